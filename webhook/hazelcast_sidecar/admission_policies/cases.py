"""What a function makes of every spec, as one expression.

A switch decides which form the function makes, and the function is called for every combination of them: for
`n` switches 2^n times. So a switch that the function does not read makes no further case.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from hazelcast_sidecar import cel
from hazelcast_sidecar.spec.annotations import SidecarSpec


class Switch(NamedTuple):
    """An attribute of the spec that decides about the form of what a Pod gains.

    Of several for one attribute the first whose condition holds decides.
    """

    field: str
    condition: str
    yes: Any
    no: Any


def in_all_cases(
    make: Callable[[SidecarSpec], Any], switches: Sequence[Switch], fields: Mapping[str, Any]
) -> Any:  # noqa: ANN401 - a tree
    """Return one tree of what a function makes of every spec.

    Args:
        make: the function; what it returns depends on nothing but the attributes that it reads.
        switches: those that may decide about the form.
        fields: the other attributes.
    """
    return _case(make, switches, fields).tree


class _Case(NamedTuple):
    tree: Any
    read: frozenset[str]
    """The attributes that were read to make it."""


class _Watched(SidecarSpec, frozen=True, gc=True):
    """A spec that notes which of its attributes are read."""

    read: set[str] = msgspec.field(default_factory=set)

    def __getattribute__(self, name: str) -> Any:  # noqa: ANN401 - any attribute
        """Return an attribute, and note it."""
        if name != "read":
            super().__getattribute__("read").add(name)
        return super().__getattribute__(name)


def _case(make: Callable[[SidecarSpec], Any], switches: Sequence[Switch], fields: Mapping[str, Any]) -> _Case:
    if not switches:
        spec = _Watched(**fields)
        return _Case(cel.node(make(spec)), frozenset(spec.read))
    first, *rest = switches
    no = _case(make, rest, {**fields, first.field: first.no})
    if first.field not in no.read:
        return no  # the function does not see a difference
    others = [switch for switch in rest if switch.field != first.field]
    yes = _case(make, others, {**fields, first.field: first.yes})
    return _Case(cel.choice(first.condition, yes.tree, no.tree), yes.read | no.read)
