"""The series of members that matter, as the image's agent exposes them where an annotation asks for metrics.

The agent names an attribute of a bean of Hazelcast's own metrics; the label `prefix` is the part of the
member that it is about, and `tag0` a map, as `"name=shop"` with these quotes.
"""

from typing import NamedTuple


class MemberSeries(NamedTuple):
    """One metric of members."""

    name: str
    labels: tuple[str, ...]
    meaning: str


_OF_MAP = ('prefix="map"', "tag0")

MEMBER_SERIES = (
    MemberSeries(
        "com_hazelcast_Metrics_size", ('prefix="cluster"',), "Members that this one sees, itself included."
    ),
    MemberSeries("com_hazelcast_Metrics_clientCount", ('prefix="tcp.connection"',), "Connected clients."),
    MemberSeries("com_hazelcast_Metrics_usedHeap", ('prefix="memory"',), "Heap in use, in bytes."),
    MemberSeries(
        "com_hazelcast_Metrics_maxHeap", ('prefix="memory"',), "The most that the heap may take, in bytes."
    ),
    MemberSeries(
        "com_hazelcast_Metrics_migrationQueueSize",
        ('prefix="partitions"',),
        "Migrations of partitions that wait; 0 is rest.",
    ),
    MemberSeries(
        "com_hazelcast_Metrics_localPartitionCount",
        ('prefix="partitions"',),
        "Partitions that this member owns.",
    ),
    MemberSeries(
        "com_hazelcast_Metrics_pending",
        ('prefix="operation.invocations"',),
        "Operations that wait for an answer, of this member or of another one.",
    ),
    MemberSeries(
        "com_hazelcast_Metrics_operationTimeoutCount",
        ('prefix="operation"',),
        "Operations that were not answered in time, since the start.",
    ),
    MemberSeries("com_hazelcast_Metrics_ownedEntryCount", _OF_MAP, "Entries of a map that this member owns."),
    MemberSeries(
        "com_hazelcast_Metrics_backupEntryCount", _OF_MAP, "Backups of a map's entries that it holds."
    ),
    MemberSeries(
        "com_hazelcast_Metrics_ownedEntryMemoryCost", _OF_MAP, "Heap of the owned entries, in bytes."
    ),
    MemberSeries("com_hazelcast_Metrics_getCount", _OF_MAP, "Reads of a map, since the start."),
    MemberSeries("com_hazelcast_Metrics_putCount", _OF_MAP, "Puts into a map, since the start."),
    MemberSeries("com_hazelcast_Metrics_totalGetLatency", _OF_MAP, "Time of all reads, in milliseconds."),
    MemberSeries("com_hazelcast_Metrics_totalPutLatency", _OF_MAP, "Time of all puts, in milliseconds."),
    MemberSeries(
        "com_hazelcast_Metrics_evictionCount", _OF_MAP, "Entries that were evicted, since the start."
    ),
    MemberSeries(
        "jvm_gc_collection_seconds_sum", ("gc",), "Time of garbage collections, in seconds, since the start."
    ),
    MemberSeries("process_cpu_seconds_total", (), "CPU time of the member, in seconds, since the start."),
    MemberSeries("process_resident_memory_bytes", (), "Memory of the member, in bytes."),
)
"""In the order of the documents."""
