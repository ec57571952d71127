"""The series of members that matter, as the image's agent exposes them where an annotation asks for metrics.

The agent names an attribute of a bean of Hazelcast's own metrics; the label `prefix` is the part of the
member that it is about, and `tag0` a map, as `"name=shop"` with these quotes.
"""

from typing import NamedTuple


class MemberSeries(NamedTuple):
    """One metric of members.

    Attributes:
        name: as the agent has it.
        prefix: the part of the member that it is about; attributes of several parts have the same name.
        meaning: one sentence.
        labels: further ones that matter.
    """

    name: str
    prefix: str
    meaning: str
    labels: tuple[str, ...] = ()

    @property
    def selector(self) -> str:
        """Return what tells its series from others of that name."""
        return f'prefix="{self.prefix}"' if self.prefix else ""


MEMBER_SERIES = (
    MemberSeries("com_hazelcast_Metrics_size", "cluster", "Members that this one sees, itself included."),
    MemberSeries("com_hazelcast_Metrics_clientCount", "tcp.connection", "Connected clients."),
    MemberSeries("com_hazelcast_Metrics_usedHeap", "memory", "Heap in use, in bytes."),
    MemberSeries("com_hazelcast_Metrics_maxHeap", "memory", "The most that the heap may take, in bytes."),
    MemberSeries(
        "com_hazelcast_Metrics_migrationQueueSize",
        "partitions",
        "Migrations of partitions that wait; 0 is rest.",
    ),
    MemberSeries(
        "com_hazelcast_Metrics_pending",
        "operation.invocations",
        "Operations that wait for an answer, of this member or of another one.",
    ),
    MemberSeries(
        "com_hazelcast_Metrics_operationTimeoutCount",
        "operation",
        "Operations that were not answered in time, since the start.",
    ),
    MemberSeries(
        "com_hazelcast_Metrics_ownedEntryCount", "map", "Entries of a map that this member owns.", ("tag0",)
    ),
    MemberSeries(
        "com_hazelcast_Metrics_backupEntryCount",
        "map",
        "Backups of a map's entries that it holds.",
        ("tag0",),
    ),
    MemberSeries(
        "com_hazelcast_Metrics_ownedEntryMemoryCost", "map", "Heap of the owned entries, in bytes.", ("tag0",)
    ),
    MemberSeries("com_hazelcast_Metrics_getCount", "map", "Reads of a map, since the start.", ("tag0",)),
    MemberSeries("com_hazelcast_Metrics_putCount", "map", "Puts into a map, since the start.", ("tag0",)),
    MemberSeries(
        "com_hazelcast_Metrics_totalGetLatency", "map", "Time of all reads, in milliseconds.", ("tag0",)
    ),
    MemberSeries(
        "com_hazelcast_Metrics_totalPutLatency", "map", "Time of all puts, in milliseconds.", ("tag0",)
    ),
    MemberSeries(
        "com_hazelcast_Metrics_evictionCount", "map", "Entries that were evicted, since the start.", ("tag0",)
    ),
    MemberSeries(
        "jvm_gc_collection_seconds_sum",
        "",
        "Time of garbage collections, in seconds, since the start.",
        ("gc",),
    ),
    MemberSeries("process_cpu_seconds_total", "", "CPU time of the member, in seconds, since the start."),
    MemberSeries("process_resident_memory_bytes", "", "Memory of the member, in bytes."),
)
"""In the order of the documents."""

_BY_NAME = {each.name: each for each in MEMBER_SERIES}


def series_of(attribute: str, *more: str) -> str:
    """Select the series of one of these attributes, with further matchers."""
    series = _BY_NAME[f"com_hazelcast_Metrics_{attribute}"]
    return f"{series.name}{{{', '.join((series.selector, *more))}}}"
