"""Indexes that take what they can: an object that one cannot take costs no other its place."""

from collections.abc import Collection

from hazelcast_sidecar.controller.shared.controller_metrics import Where
from hazelcast_sidecar.controller.shared.faults import Faults
from hazelcast_sidecar.controller.shared.reflector import Index, Watched
from hazelcast_sidecar.kube.objects import Metadata


class Guarded:
    """Passes on to an index what it is fed with; what raises is passed over.

    Args:
        index: takes the objects.
        faults: takes what that raises.
    """

    def __init__(self, index: Watched, faults: Faults) -> None:
        self._index, self._faults = index, faults

    def upsert(self, item: Metadata) -> None:
        """Take an object that is new, or changed."""
        with self._faults.pass_over(Where.INDEX, namespace=item.namespace, name=item.name):
            self._index.upsert(item)

    def remove(self, item: Metadata) -> None:
        """Take out an object that has gone."""
        with self._faults.pass_over(Where.INDEX, namespace=item.namespace, name=item.name):
            self._index.remove(item)

    def retain(self, uids: Collection[str]) -> None:
        """Take out all objects but these."""
        with self._faults.pass_over(Where.INDEX):
            self._index.retain(uids)


class GuardedIndex(Guarded):
    """The same for an index that is told of the beginning of a list."""

    def __init__(self, index: Index, faults: Faults) -> None:
        super().__init__(index, faults)
        self._begin = index.begin

    def begin(self, version: str) -> None:
        """Begin a list."""
        with self._faults.pass_over(Where.INDEX):
            self._begin(version)
