"""Owners of Pods, confirmed by the API server.

The creator of a Pod writes its owner references, so they may name anything. A uid is never used twice: if the
object of that kind and name has it, the reference is right, and if it has another one, it never will be.
"""

import re
from collections import OrderedDict
from typing import NamedTuple

import msgspec

from hazelcast_sidecar.kube.client import Api
from hazelcast_sidecar.kube.objects import Kind
from hazelcast_sidecar.model.opt_in import asks
from hazelcast_sidecar.names import is_object_name
from hazelcast_sidecar.owners import OwnerReference, controller_of

_MAX_KNOWN = 4096
_MAX_TEXT = 253

CONFIRMABLE = {
    (f"{group}/v1" if group else "v1", name): Kind(name, f"/apis/{group}/v1" if group else "/api/v1", plural)
    for group, name, plural in (
        ("apps", "ReplicaSet", "replicasets"),
        ("apps", "Deployment", "deployments"),
        ("apps", "StatefulSet", "statefulsets"),
        ("apps", "DaemonSet", "daemonsets"),
        ("batch", "Job", "jobs"),
        ("batch", "CronJob", "cronjobs"),
        ("", "ReplicationController", "replicationcontrollers"),
    )
}
"""The kinds of owners that the controller may read, by apiVersion and name."""

_MADE_BY = {"ReplicaSet": ("apps/v1", "Deployment"), "Job": ("batch/v1", "CronJob")}
"""The workloads that people look at instead of the owner that they created."""

_API_VERSION = re.compile(r"(?:[a-z0-9][a-z0-9.-]*/)?v[a-z0-9]+", re.ASCII)
_KIND = re.compile(r"[A-Z][A-Za-z0-9]*", re.ASCII)
_UID = re.compile(r"[A-Za-z0-9-]+", re.ASCII)


class Owner(NamedTuple):
    """An owner of Pods, as the API server has it."""

    reference: OwnerReference
    maker: OwnerReference | None
    """Its own controller reference; not confirmed."""
    asks: bool
    """Whether it has the label of Pods that ask for a member, as a ReplicaSet has those of its template."""


class TopOwners:
    """Lookup of owners and of the workloads that Events are about.

    The last answers are cached, each under its namespace.
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self._known: OrderedDict[tuple[str, OwnerReference], Owner | None] = OrderedDict()

    async def confirm(self, namespace: str, claimed: OwnerReference, *, again: bool = False) -> Owner | None:
        """Look up an owner; None if its uid does not exist, or if its kind is not in CONFIRMABLE.

        Args:
            namespace: of the owned object.
            claimed: an owner reference.
            again: also if it is cached, as it may be gone by now.

        Raises:
            ApiError: refused.
        """
        kind = CONFIRMABLE.get((claimed.api_version, claimed.kind))
        if kind is None or not is_well_formed(claimed):
            return None
        key = namespace, claimed
        if again or key not in self._known:
            self._known[key] = await self._read(kind, namespace, claimed)
        self._known.move_to_end(key)
        found = self._known[key]
        if len(self._known) > _MAX_KNOWN:
            self._known.popitem(last=False)
        return found

    async def _read(self, kind: Kind, namespace: str, claimed: OwnerReference) -> Owner | None:
        try:
            found = await self._api.get(kind, namespace, claimed.name)
        except msgspec.MsgspecError:
            return None  # only a name, which proves nothing
        if found is None or found.metadata.uid != claimed.uid:
            return None
        maker = controller_of(found.metadata.owner_references)
        if maker is not None:
            maker = _plain(maker) if is_well_formed(maker) else None
        return Owner(_plain(claimed), maker, asks(None, found.metadata.labels))

    def asks(self, namespace: str, claimed: OwnerReference) -> bool:
        """Tell whether an owner that was looked up has the label of Pods that ask for a member."""
        owner = self._known.get((namespace, claimed))
        return owner is not None and owner.asks

    def is_known(self, namespace: str, claimed: OwnerReference) -> bool:
        """Tell whether `find` needs no request."""
        if (claimed.api_version, claimed.kind) not in CONFIRMABLE or not is_well_formed(claimed):
            return True
        if (namespace, claimed) not in self._known:
            return False
        found = self._known[namespace, claimed]
        maker = _maker_of(found) if found else None
        return maker is None or (namespace, maker) in self._known

    async def find(
        self, namespace: str, claimed: OwnerReference, pod: OwnerReference | None
    ) -> OwnerReference | None:
        """Find the object of an Event: an owner's Deployment or CronJob, else the owner, else the Pod itself.

        Args:
            namespace: of the Pods.
            claimed: their owner, as one of them or another Event names it.
            pod: one of them, as the API server has it; None if there is none.

        Raises:
            ApiError: refused.
        """
        found = await self.confirm(namespace, claimed)
        if found is None:
            return pod
        maker = _maker_of(found)
        made_by = await self.confirm(namespace, maker) if maker else None
        return made_by.reference if made_by else found.reference


def is_well_formed(claimed: OwnerReference) -> bool:
    """Tell whether an owner reference can be an object's of any kind; its texts are short then."""
    return (
        len(claimed.api_version) <= _MAX_TEXT
        and _API_VERSION.fullmatch(claimed.api_version) is not None
        and len(claimed.kind) <= _MAX_TEXT
        and _KIND.fullmatch(claimed.kind) is not None
        and is_object_name(claimed.name)
        and len(claimed.uid) <= _MAX_TEXT
        and _UID.fullmatch(claimed.uid) is not None
    )


def _plain(reference: OwnerReference) -> OwnerReference:
    return msgspec.structs.replace(reference, controller=None)


def _maker_of(found: Owner) -> OwnerReference | None:
    """Return the controller of an owner, if it is the one that people look at."""
    maker = found.maker
    if maker is None or (maker.api_version, maker.kind) != _MADE_BY.get(found.reference.kind):
        return None
    return maker
