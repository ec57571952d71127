"""How large a member's Java heap may become: by its annotation, or by what JVM options make of that."""

import re
from decimal import Decimal
from typing import NamedTuple

from hazelcast_sidecar.spec.annotations import SidecarSpec
from hazelcast_sidecar.spec.values import quantity

_SIZE = re.compile(r"(?:-Xmx|-XX:MaxHeapSize=)(\d+)([kmgt]?)", re.IGNORECASE | re.ASCII)
_PERCENTAGE = re.compile(r"-XX:MaxRAMPercentage=(\d+(?:\.\d+)?)", re.ASCII)
_UNITS = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}
"""Powers of two, by the letter behind a size."""


class Heap(NamedTuple):
    """The most that a heap may take.

    Attributes:
        size: in bytes.
        why: what says so: a JVM option, or a percentage.
        is_option: whether it is an option.
    """

    size: Decimal
    why: str
    is_option: bool


def heap_of(spec: SidecarSpec) -> Heap:
    """Return the bound of a member's heap.

    As in the JVM, a size outranks a percentage, wherever they stand, and the last of a kind counts
    (Java documentation, "The java Command").
    """
    limit = quantity(spec.memory_limit)
    for option in reversed(spec.java_opts):
        if size := _SIZE.fullmatch(option):
            return Heap(Decimal(int(size[1]) << _UNITS[size[2].lower()]), option, is_option=True)
    for option in reversed(spec.java_opts):
        if percentage := _PERCENTAGE.fullmatch(option):
            return Heap(limit * Decimal(percentage[1]) / 100, option, is_option=True)
    return Heap(limit * spec.heap_percentage / 100, f"{spec.heap_percentage} %", is_option=False)
