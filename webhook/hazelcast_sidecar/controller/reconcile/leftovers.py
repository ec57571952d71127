"""Garbage collection of objects whose groups have had no Pods for a while and will not get any.

Mostly Kubernetes' garbage collector deletes them with the workload that owns them. But the owner is what Pods
claimed: it may live for ever, be of another group, or never have existed.
"""

import asyncio
from typing import Any

import msgspec

from hazelcast_sidecar.controller.events.top_owner import CONFIRMABLE, is_well_formed
from hazelcast_sidecar.controller.reconcile.groups import Groups, Key, ManagedObjects
from hazelcast_sidecar.controller.shared.backoff import run_periodically
from hazelcast_sidecar.controller.shared.controller_metrics import Where
from hazelcast_sidecar.controller.shared.faults import Faults
from hazelcast_sidecar.controller.shared.watched_pods import WatchedPods
from hazelcast_sidecar.kube.client import FIELD_MANAGER, Api
from hazelcast_sidecar.kube.objects import KEPT_KINDS, POD, Kind, Metadata, Partial
from hazelcast_sidecar.model.opt_in import asked
from hazelcast_sidecar.model.pod import workload_name
from hazelcast_sidecar.model.workload import KINDS, Workload, WorkloadMetadata, as_pod
from hazelcast_sidecar.names import GROUP, group_of_workload
from hazelcast_sidecar.owners import OwnerReference
from hazelcast_sidecar.runtime.log import LogLine

EMPTY_SECONDS = 600.0
"""Seconds without Pods that are more than a pause: a rollout that recreates, a drained node, a workload that
is scaled to zero and back, a controller that could not create Pods."""

LOOK_SECONDS = 60.0
_AGAIN_SECONDS = 3600.0
"""Seconds until the next check of a group whose workload is scaled to zero, or whose objects have other
owners, too."""


class _ManagedFields(msgspec.Struct, gc=False, rename={"fields": "fieldsV1"}):
    manager: str = ""
    fields: dict[str, Any] = {}


class _KeptMetadata(msgspec.Struct, gc=False, rename="camel"):
    owner_references: tuple[OwnerReference, ...] = ()
    managed_fields: tuple[_ManagedFields, ...] = ()

    def is_owned_by_others(self) -> bool:
        """Tell whether another than the controller has written an owner reference."""
        return any(
            entry.manager != FIELD_MANAGER and "f:ownerReferences" in entry.fields.get("f:metadata", {})
            for entry in self.managed_fields
        )


class _Kept(msgspec.Struct, gc=False):
    """An object that the controller manages, with its owners and who wrote them."""

    metadata: _KeptMetadata


class _OwnerMetadata(WorkloadMetadata, gc=False):
    uid: str = ""


class _Owner(Workload, gc=False):
    """A workload with its identity."""

    metadata: _OwnerMetadata


class Leftovers:
    """Collector of such objects while this replica leads; a new leader counts the time from its start.

    Args:
        api: to look up owners and Pods, and to delete.
        pods: the watched Pods.
        groups: the groups that have Pods.
        kept: the objects of all groups, by kind.
        log: receives a line for each object.
        faults: receives unexpected exceptions.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - one argument for each thing it connects
        self,
        api: Api,
        pods: WatchedPods,
        groups: Groups,
        kept: dict[str, ManagedObjects],
        log: LogLine,
        faults: Faults,
    ) -> None:
        self._faults = faults
        self._api, self._pods, self._groups, self._kept, self._log = api, pods, groups, kept, log
        self._due: dict[Key, float] = {}

    async def work(self) -> None:
        """Collect until cancelled."""
        self._due.clear()
        trouble = "failed to clean up groups without Pods"
        await run_periodically(LOOK_SECONDS, self.look, self._log, trouble, self._faults, Where.LEFTOVERS)

    async def look(self) -> None:
        """Check every group once that has objects and no Pods.

        Raises:
            ApiError: refused.
        """
        now = asyncio.get_running_loop().time()
        known = {key for kept in self._kept.values() for key in kept.keys()}  # noqa: SIM118 - no mapping
        empty = [key for key in known if self._groups.requirements(key) is None]
        self._due = {key: self._due.get(key, now + EMPTY_SECONDS) for key in empty}
        for key in empty:
            if self._due[key] <= now:
                self._due[key] = now + EMPTY_SECONDS  # if this fails, others have their turn
                await self._clear(key)
                self._due[key] = now + _AGAIN_SECONDS

    async def _clear(self, key: Key) -> None:
        if self._groups.is_doubtful(key) or await self._has_pods(key):
            return
        for name, kept in self._kept.items():
            item = kept.get(key)
            if item is None or await self._is_wanted(key, KEPT_KINDS[name], item):
                continue
            if self._groups.requirements(key) is not None:
                return  # a Pod has arrived meanwhile
            await self._api.delete(KEPT_KINDS[name], item)
            self._log("deleted", namespace=key.namespace, group=key.group, kind=name, why="no Pods")

    async def _has_pods(self, key: Key) -> bool:
        """Tell whether there are Pods that the index does not know, as a watch may be late."""
        selector = f"{GROUP}={key.group}"
        async for page in self._api.pages(POD, Partial, key.namespace, labelSelector=selector):
            for pod in page.items:
                if not self._pods.knows(pod.metadata):
                    return True
        return False

    async def _is_wanted(self, key: Key, kind: Kind, item: Metadata) -> bool:
        """Tell whether an object is needed without Pods: for its workload, or because others own it, too."""
        document = await self._api.read_as(_Kept, kind, item.namespace, item.name)
        if document is None:
            return False
        for owner in document.metadata.owner_references:
            if await self._makes_pods_of(key, owner):
                return True
        return document.metadata.is_owned_by_others()

    async def _makes_pods_of(self, key: Key, owner: OwnerReference) -> bool:
        """Tell whether an owner exists, and Pods of its template would be of this group.

        A namespace's default of the group is not known here; then the objects are deleted, and created again
        with the first Pod.
        """
        kind = CONFIRMABLE.get((owner.api_version, owner.kind))
        api_group, _, _ = owner.api_version.rpartition("/")
        workload_kind = KINDS.get((api_group, owner.kind))
        if kind is None or workload_kind is None or not is_well_formed(owner):
            return False
        try:
            found = await self._api.read_as(_Owner, kind, key.namespace, owner.name)
        except msgspec.MsgspecError:
            return False
        if found is None or found.metadata.uid != owner.uid:
            return False
        template = found.template
        if template is None or asked(template.annotations, template.labels) is None:
            return False
        pod = as_pod(workload_kind, found, template, template.annotations, template.labels)
        return key.group == template.annotations.get(GROUP, group_of_workload(workload_name(pod)))
