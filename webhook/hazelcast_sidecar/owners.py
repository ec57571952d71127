"""Owner references: what an object belongs to, and which of its owners controls it."""

from collections.abc import Iterable
from typing import Protocol, TypeVar

import msgspec


class OwnerReference(msgspec.Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """What an object belongs to; Kubernetes' garbage collector removes it with the last one."""

    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool | None = None


class _Owner(Protocol):
    @property
    def controller(self) -> bool | None: ...


_OwnerT = TypeVar("_OwnerT", bound=_Owner)


def controller_of(owners: Iterable[_OwnerT] | None) -> _OwnerT | None:
    """Return the owner that controls an object, such as the ReplicaSet of a Pod; None where none does."""
    for owner in owners or ():  # asked for each Pod that is created: a generator costs more than the rest
        if owner.controller:
            return owner
    return None
