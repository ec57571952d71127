"""The groups of watched Pods, and the requirements of each, without any I/O."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from hazelcast_sidecar.controller.shared.watched_pods import WatchedPod
from hazelcast_sidecar.group_objects.claims import Facts
from hazelcast_sidecar.group_objects.desired_objects import (
    GroupWorkload,
    Participant,
    Requirements,
    Unmet,
    requirements_of_group,
    unmet_requests,
)
from hazelcast_sidecar.kube.objects import Metadata, is_older, pod_reference
from hazelcast_sidecar.model.status import Status
from hazelcast_sidecar.names import GROUP, RESOURCE_PREFIX, resource_name
from hazelcast_sidecar.owners import OwnerReference

_MAX_OWNERS = 100
"""The most owners of a group's objects: each Pod without a workload is one, and each changes all objects."""


class Key(NamedTuple):
    """A group in its namespace."""

    namespace: str
    group: str


class Claim(msgspec.Struct, frozen=True, gc=False):
    """What Pods claim about themselves; anyone who may create or update Pods can have written it."""

    key: Key
    status: Status
    owner: OwnerReference


class Standing(NamedTuple):
    """The owner of Pods, as confirmed by the API server."""

    owner: OwnerReference
    """The owner of the group's objects."""
    workload: GroupWorkload


@dataclass(slots=True, eq=False)
class Bearers:
    """The Pods with the same claim."""

    claim: Claim
    pods: dict[str, WatchedPod] = field(default_factory=dict)
    """By uid."""
    untried: dict[str, None] = field(default_factory=dict)
    """The uids of those that may prove it, as long as none has."""
    believed: bool = False
    standing: Standing | None = None
    """Only if it is believed; then None means that each Pod is its own workload."""
    news_since: datetime | None = None
    """When the oldest of its Pods was created, until there is an Event about it."""


class Newcomer(NamedTuple):
    """A workload whose Pods have a status annotation that none of its Pods had before."""

    owner: OwnerReference
    status: Status
    pod: OwnerReference


class Asker(NamedTuple):
    """A workload that gets Events about its group: the owner that its Pods name, and one of the Pods."""

    owner: OwnerReference
    pod: OwnerReference


class Wanted(NamedTuple):
    """The requirements of a group's Pods."""

    needs: Requirements
    owners: list[OwnerReference]
    """The owners of its objects."""
    unmet: list[Unmet]


Touch = Callable[[Key], None]

_LONG_AGO = datetime.fromtimestamp(0, UTC)


class Groups:
    """Every Pod with a usable status annotation by its group; a claim counts once it is believed.

    Args:
        touch: called with each group whose requirements may have changed.
    """

    def __init__(self, touch: Touch) -> None:
        self._touch = touch
        self._groups: dict[Key, dict[Claim, Bearers]] = defaultdict(dict)
        self._facts: dict[str, Facts | None] = {}
        """Facts about members that contradicted their Pods' claims, by uid."""

    @property
    def pods(self) -> int:
        """Return the number of known Pods."""
        return sum(len(bearers.pods) for claims in self._groups.values() for bearers in claims.values())

    def keys(self) -> list[Key]:
        """Return every group that has a Pod."""
        return list(self._groups)

    def requirements(self, key: Key) -> Wanted | None:
        """Return the requirements of a group and its objects' owners; None if no Pod of it is believed."""
        standings = list(self._standings(key))
        if not standings:
            return None
        participants = [Participant(standing.workload, claimed) for claimed, standing, _ in standings]
        owners = {standing.owner.uid: standing.owner for _, standing, _ in standings}
        ordered = sorted(owners.values(), key=lambda owner: (owner.kind == "Pod", owner.uid))
        return Wanted(
            requirements_of_group(participants), ordered[:_MAX_OWNERS], unmet_requests(participants)
        )

    def askers(self, key: Key, identities: frozenset[str] | None = None) -> list[Asker]:
        """List the workloads of a group that get an Event, each once.

        Args:
            key: of the group.
            identities: of the workloads among them; None: all.
        """
        found: dict[str, Asker] = {}
        for _, standing, asker in self._standings(key):
            if identities is None or standing.workload.identity in identities:
                found.setdefault(standing.owner.uid, asker)
        return list(found.values())[:_MAX_OWNERS]

    def believed(self, key: Key) -> list[Bearers]:
        """List the claims of a group that count."""
        return [bearers for bearers in self._groups.get(key, {}).values() if bearers.believed]

    def doubtful(self, key: Key) -> Iterator[tuple[Bearers, str, str]]:
        """Yield the claims of a group that must be verified, with the uid and the name of a Pod of each.

        A claim that is believed, or a Pod that is rejected, in between is taken into account.
        """
        for bearers in list(self._groups.get(key, {}).values()):
            while not bearers.believed and bearers.untried:
                uid = next(iter(bearers.untried))
                yield bearers, uid, bearers.pods[uid].name

    def is_doubtful(self, key: Key) -> bool:
        """Tell whether a claim of a group is still to be verified."""
        return next(self.doubtful(key), None) is not None

    def facts(self, uid: str) -> Facts | None:
        """Return the facts about a Pod's member, if a former claim of the Pod was rejected.

        Raises:
            KeyError: none was.
        """
        return self._facts[uid]

    @staticmethod
    def believe(bearers: Bearers, standing: Standing | None) -> None:
        """Accept a claim, as one of its Pods has proved it.

        Args:
            bearers: the Pods with the claim.
            standing: their owner; None: each is its own workload.
        """
        bearers.believed, bearers.standing = True, standing
        bearers.untried.clear()

    def refuse(self, bearers: Bearers, uid: str, facts: Facts | None) -> None:
        """Reject a Pod that contradicts its claim, which says nothing about others with the same claim."""
        bearers.untried.pop(uid, None)
        if uid in bearers.pods:
            self._facts[uid] = facts

    @staticmethod
    def skip(bearers: Bearers, uid: str) -> None:
        """Skip a Pod that could not be read, and so proves nothing."""
        bearers.untried.pop(uid, None)

    def news(self, key: Key, after: datetime) -> list[Newcomer]:
        """Return the workloads of a group with a new status annotation, each once; none with an older Pod."""
        found = []
        for bearers in self.believed(key):
            since, bearers.news_since = bearers.news_since, None
            if since is not None and since > after:
                found.append(Newcomer(bearers.claim.owner, bearers.claim.status, _first_pod(bearers)))
        return found

    def retain(self, uids: Collection[str]) -> None:
        """Forget the facts about all Pods but these."""
        for uid in [uid for uid in self._facts if uid not in uids]:
            del self._facts[uid]

    def upsert(self, pod: WatchedPod, before: WatchedPod | None, created: datetime | None) -> None:
        """Add or update a Pod; the claim of one that changed may be what it was."""
        claim = _claim_of(pod)
        known = self._bearers(claim)
        if known is not None and pod.uid in known.pods:
            known.pods[pod.uid] = pod
            return
        if before is not None:
            self.discard(before)
        if claim is not None:
            self._add(claim, pod, created or _LONG_AGO)
            self._touch(claim.key)

    def discard(self, pod: WatchedPod) -> None:
        """Remove a Pod, and keep the facts about it: it may claim something again."""
        claim = _claim_of(pod)
        bearers = self._bearers(claim)
        if claim is None or bearers is None or bearers.pods.pop(pod.uid, None) is None:
            return
        bearers.untried.pop(pod.uid, None)
        if not bearers.pods:
            del self._groups[claim.key][claim]
            if not self._groups[claim.key]:
                del self._groups[claim.key]
        self._touch(claim.key)

    def remove(self, uid: str) -> None:
        """Forget the facts about a Pod that has gone."""
        self._facts.pop(uid, None)

    def _standings(self, key: Key) -> Iterator[tuple[Status, Standing, Asker]]:
        """Yield what is believed in a group, workload by workload."""
        for bearers in self.believed(key):
            claim = bearers.claim
            if bearers.standing is not None:
                yield claim.status, bearers.standing, Asker(claim.owner, _first_pod(bearers))
                continue
            for pod in bearers.pods.values():
                reference = pod_reference(pod.name, pod.uid)
                itself = GroupWorkload(identity=pod.uid, name=f"Pod/{pod.name}", scalable=False)
                yield claim.status, Standing(reference, itself), Asker(reference, reference)

    def _add(self, claim: Claim, pod: WatchedPod, created: datetime) -> None:
        """Add a Pod; the first one with its status annotation is news, and an older one corrects its time."""
        bearers = self._groups[claim.key].get(claim)
        if bearers is None:
            bearers = self._groups[claim.key][claim] = Bearers(claim, news_since=created)
        elif bearers.news_since is not None:
            bearers.news_since = min(created, bearers.news_since)
        bearers.pods[pod.uid] = pod
        if not bearers.believed:
            bearers.untried[pod.uid] = None

    def _bearers(self, claim: Claim | None) -> Bearers | None:
        return None if claim is None else self._groups.get(claim.key, {}).get(claim)


def _claim_of(pod: WatchedPod) -> Claim | None:
    """Return what a Pod claims; None if its status is not of its group."""
    if not pod.common.is_claim:
        return None
    injected = pod.common.injected
    return Claim(Key(injected.namespace, injected.status.group), injected.status, pod.common.owner)


def _first_pod(bearers: Bearers) -> OwnerReference:
    pod = next(iter(bearers.pods.values()))
    return pod_reference(pod.name, pod.uid)


class ManagedObjects:
    """The objects of one kind that the controller manages, by group.

    The watch and the answers to our own writes both report objects. An answer may arrive long after the watch
    has reported a later version. So what is known never goes back to an older version: versions of one kind's
    objects are numbers that grow. If they are not numbers, the last report counts.
    Source: Kubernetes documentation, "API Concepts" (resource versions, from 1.35 on).

    Args:
        touch: called with the group of a changed object.
        miss: called with the group of a deleted object.
    """

    def __init__(self, touch: Touch, miss: Touch) -> None:
        self._touch, self._miss = touch, miss
        self._objects: dict[Key, Metadata] = {}
        self._passed = ""
        """The version up to which the watch has reported everything."""

    def get(self, key: Key) -> Metadata | None:
        """Return the object of a group, as last seen."""
        return self._objects.get(key)

    def keys(self) -> list[Key]:
        """Return every group that has one."""
        return list(self._objects)

    def observe(self, item: Metadata) -> None:
        """Record the result of our own write, so that the watch brings no news of it.

        If the watch is past it, it is ignored: the object may be gone since.
        """
        key = _key_of(item)
        if not _is_past(item, self._passed) and not self._is_known(key, item):
            self._put(key, item)

    def begin(self, version: str) -> None:
        """Begin a list of this version; an older one than before is of a restored store."""
        if is_older(version, self._passed):
            known, self._objects = self._objects, {}
            for key in known:
                self._touch(key)
        self._passed = version

    def retain(self, uids: Collection[str]) -> None:
        """Forget all but these, and results of our own writes since the list began."""
        for key, known in list(self._objects.items()):
            if known.uid not in uids and not is_older(self._passed, known.resource_version):
                del self._objects[key]
                self._touch(key)

    def upsert(self, item: Metadata) -> None:
        """Add or update an object, and enqueue its group unless the change was our own."""
        self._pass(item)
        key = self._place_of(item)
        if key is not None and not self._is_known(key, item):
            self._put(key, item)
            self._touch(key)

    def remove(self, item: Metadata) -> None:
        """Remove an object that was deleted in this version."""
        self._pass(item)
        key = self._place_of(item)
        if key is None:
            return
        known = self._objects.get(key)
        if (
            known is not None
            and known.uid == item.uid
            and not is_older(item.resource_version, known.resource_version)
        ):
            del self._objects[key]
        self._miss(key)

    def _pass(self, item: Metadata) -> None:
        """Advance the version: changes come in order, and objects of a list are not newer than the list."""
        if not is_older(item.resource_version, self._passed):
            self._passed = item.resource_version

    def _place_of(self, item: Metadata) -> Key | None:
        """Return the group of an object; None if it is not ours.

        Its name must be that of our objects: a copy of one has our labels, too. But one of ours may have
        been given the label of another group.
        """
        if _is_named_so(item):
            return _key_of(item)
        key = Key(item.namespace, item.name.removeprefix(RESOURCE_PREFIX))
        known = self._objects.get(key)
        return key if known is not None and known.uid == item.uid else None

    def _is_known(self, key: Key, item: Metadata) -> bool:
        """Tell whether this version of an object, or a later one, is known."""
        known = self._objects.get(key)
        return known is not None and _is_past(item, known.resource_version)

    def _put(self, key: Key, item: Metadata) -> None:
        """Keep what is needed of an object: anyone may give an object our labels, and much more."""
        self._objects[key] = Metadata(
            name=item.name,
            namespace=item.namespace,
            uid=item.uid,
            resource_version=item.resource_version,
        )


def _is_past(item: Metadata, version: str) -> bool:
    return item.resource_version == version or is_older(item.resource_version, version)


def _is_named_so(item: Metadata) -> bool:
    """Tell whether an object has the name of our objects of its group."""
    return item.name == resource_name(item.labels.get(GROUP, ""))


def _key_of(item: Metadata) -> Key:
    return Key(item.namespace, item.labels.get(GROUP, ""))
