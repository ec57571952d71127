"""The index of watched Pods: each is decoded once and kept once, for the groups and for the audit."""

import asyncio
from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Protocol
from weakref import WeakValueDictionary

import msgspec

from hazelcast_sidecar.controller.shared.sampled_log import SampledLog
from hazelcast_sidecar.group_objects.claims import is_mirror, why_unusable
from hazelcast_sidecar.injection.drift import InjectedPod, as_injected
from hazelcast_sidecar.kube.objects import Metadata, owner_of
from hazelcast_sidecar.limits import shown
from hazelcast_sidecar.model import status
from hazelcast_sidecar.model.opt_in import asked
from hazelcast_sidecar.model.pod import HASH_LABELS
from hazelcast_sidecar.names import STATUS
from hazelcast_sidecar.owners import OwnerReference
from hazelcast_sidecar.runtime.log import LogLine
from hazelcast_sidecar.untrusted import UndecodableError

_LINES, _LINES_PER_SECOND = 20, 0.2


class CommonMetadata(msgspec.Struct, frozen=True, weakref=True):  # with weakref, no gc=False
    """What the metadata of an injected Pod says; the Pods of a workload have equal ones, and share one."""

    injected: InjectedPod
    owner: OwnerReference
    selector: str
    is_claim: bool
    """Whether the status can be one of the Pod's group."""


class WatchedPod(msgspec.Struct, frozen=True, gc=False):
    """A Pod with a readable status annotation."""

    uid: str
    name: str
    common: CommonMetadata


class Claims(Protocol):
    """An index of the claims of watched Pods."""

    def upsert(self, pod: WatchedPod, before: WatchedPod | None, created: datetime | None) -> None:
        """Add a Pod, or update it.

        Args:
            pod: the Pod.
            before: the same Pod as it was.
            created: when.
        """

    def discard(self, pod: WatchedPod) -> None:
        """Remove a Pod that has no readable status any more, or is terminating."""

    def remove(self, uid: str) -> None:
        """Forget everything about a Pod that has gone."""

    def retain(self, uids: Collection[str]) -> None:
        """Forget everything about all Pods but these."""


class WatchedPods:
    """Index of every Pod with the label of a group.

    Args:
        claims: follow its changes.
        log: receives what is wrong with Pods, at a limited rate: they may change again and again.
    """

    def __init__(self, claims: Claims, log: LogLine) -> None:
        self._claims, self._log = claims, SampledLog(log, _LINES, _LINES_PER_SECOND)
        self._pods: dict[str, WatchedPod] = {}
        self._shared: WeakValueDictionary[int, CommonMetadata] = WeakValueDictionary()
        """By hash, as the keys are no weak references; each goes with the last Pod that has it."""
        self.unrecorded: dict[str, Metadata] = {}
        """Pods with the label from their template that ask for a member, by uid."""
        self.changed = asyncio.Event()

    def __iter__(self) -> Iterator[WatchedPod]:
        """Iterate over the Pods with a readable status annotation."""
        return iter(self._pods.values())

    def knows(self, item: Metadata) -> bool:
        """Tell whether nothing more will be learned of an existing Pod; otherwise a watch is late."""
        known = self._pods.get(item.uid)
        if known is not None and known.common.is_claim:
            return True
        found = self._read(item)
        return found is None or not found.is_claim

    def begin(self, version: str) -> None:
        """Begin a list, which this index need not know."""

    def retain(self, uids: Collection[str]) -> None:
        """Forget all Pods but these."""
        for uid in [uid for uid in (*self._pods, *self.unrecorded) if uid not in uids]:
            self._forget(uid)
        self._claims.retain(uids)

    def upsert(self, item: Metadata) -> None:
        """Add or update a Pod; changes without effect on what is kept of it are ignored."""
        found = self._read(item)
        if found is None:
            self._forget(item.uid)
            asks = asked(item.known_annotations, item.labels) is not None
            if asks and STATUS not in item.known_annotations:
                self.unrecorded[item.uid] = item
            return
        self.unrecorded.pop(item.uid, None)
        known = self._pods.get(item.uid)
        if known is not None and known.common == found:
            return
        pod = WatchedPod(item.uid, item.name, self._share(found))
        self._claims.upsert(pod, known, item.creation_timestamp)
        self._pods[item.uid] = pod
        self.changed.set()

    def remove(self, item: Metadata) -> None:
        """Remove a Pod that has gone."""
        self._forget(item.uid)
        self._claims.remove(item.uid)

    def _forget(self, uid: str) -> None:
        self.unrecorded.pop(uid, None)
        pod = self._pods.pop(uid, None)
        if pod is not None:
            self.changed.set()
            self._claims.discard(pod)

    def _share(self, found: CommonMetadata) -> CommonMetadata:
        """Return what other Pods have that is equal, if there is any."""
        key = hash(found)
        known = self._shared.get(key)
        if known is not None and known == found:
            return known
        self._shared[key] = found
        return found

    def _read(self, item: Metadata) -> CommonMetadata | None:
        """Return what a Pod's metadata says; None if it was not injected, or is terminating.

        A terminating Pod needs neither repair nor objects, and when its workload is deleted its objects may
        go before it does: they must not be created again for it.
        """
        text = item.known_annotations.get(STATUS)
        if text is None or item.deletion_timestamp is not None:
            return None
        owner = owner_of(item)
        mirror = is_mirror(owner)
        try:
            found = status.decode(text)
        except UndecodableError as error:
            if not mirror:
                self._say(item, "unreadable status", error=shown(str(error)))
            return None
        why = None if mirror else why_unusable(item, found)
        if why:
            self._say(item, why)
        return CommonMetadata(
            as_injected(item, found), owner, selector_of(item), is_claim=not mirror and not why
        )

    def _say(self, item: Metadata, what: str, **fields: object) -> None:
        self._log(what, what, "warning", namespace=item.namespace, pod=item.name, **fields)


def selector_of(pod: Metadata) -> str:
    """Return a selector that only a ReplicaSet's Pods match; empty if there is none."""
    return next((f"{label}={pod.labels[label]}" for label in HASH_LABELS if label in pod.labels), "")
