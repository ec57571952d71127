"""A guard of an index, which confines an exception to the object that caused it."""

from collections.abc import Collection

from hazelcast_sidecar.controller.shared.controller_metrics import Where
from hazelcast_sidecar.controller.shared.faults import Faults
from hazelcast_sidecar.controller.shared.reflector import Index
from hazelcast_sidecar.kube.objects import Metadata


class GuardedIndex:
    """Guard that passes objects on to an index, and catches exceptions.

    Args:
        index: receives the objects.
        faults: receives exceptions.
    """

    def __init__(self, index: Index, faults: Faults) -> None:
        self._index, self._faults = index, faults

    def begin(self, version: str) -> None:
        """Begin a list."""
        with self._faults.pass_over(Where.INDEX):
            self._index.begin(version)

    def upsert(self, item: Metadata) -> None:
        """Add a new object, or update a changed one."""
        with self._faults.pass_over(Where.INDEX, namespace=item.namespace, name=item.name):
            self._index.upsert(item)

    def remove(self, item: Metadata) -> None:
        """Remove an object that has gone."""
        with self._faults.pass_over(Where.INDEX, namespace=item.namespace, name=item.name):
            self._index.remove(item)

    def retain(self, uids: Collection[str]) -> None:
        """Remove all objects but these."""
        with self._faults.pass_over(Where.INDEX):
            self._index.retain(uids)
