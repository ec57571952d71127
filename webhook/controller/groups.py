"""The groups that injected Pods form, and what each needs; fed with Pods, without any I/O."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from webhook import status
from webhook.daemon.log import LogLine
from webhook.kube.api import Metadata, OwnerReference, is_older, owner_of
from webhook.names import GROUP, STATUS, is_group, is_object_name, resource_name
from webhook.resources import Needs, needs_of
from webhook.status import Status


class Key(NamedTuple):
    """A group in its namespace."""

    namespace: str
    group: str


class _Member(msgspec.Struct, frozen=True, gc=False):
    """What is kept of a Pod."""

    key: Key
    status: Status
    owner: OwnerReference


class Newcomer(NamedTuple):
    """A workload whose Pods carry a record that none of its Pods had before."""

    owner: OwnerReference
    status: Status


Touch = Callable[[Key], None]

_LONG_AGO = datetime.fromtimestamp(0, UTC)


class Groups:
    """Every injected Pod by its group.

    Args:
        touch: called with each group that may need something else now.
    """

    def __init__(self, touch: Touch, log: LogLine) -> None:
        self._touch, self._log = touch, log
        self._pods: dict[str, _Member] = {}
        self._groups: dict[Key, set[str]] = defaultdict(set)
        self._alike: Counter[_Member] = Counter()
        """How many Pods of a workload have a record."""
        self._news: dict[Key, dict[_Member, datetime]] = defaultdict(dict)
        """What was not asked for yet, and when the oldest of its Pods was made."""

    @property
    def pods(self) -> int:
        """How many Pods are known."""
        return len(self._pods)

    def keys(self) -> list[Key]:
        """Every group that has a Pod."""
        return list(self._groups)

    def needs(self, key: Key) -> tuple[Needs, list[OwnerReference]] | None:
        """What a group needs, and what its objects belong to; None where it has no Pod."""
        if key not in self._groups:
            return None
        members = [self._pods[uid] for uid in self._groups[key]]
        owners = {member.owner.uid: member.owner for member in members}
        return needs_of(member.status for member in members), [owners[uid] for uid in sorted(owners)]

    def news(self, key: Key, after: datetime) -> list[Newcomer]:
        """The workloads of a group whose Pods have a new record, each once; none with an older Pod."""
        found = self._news.pop(key, {})
        return [Newcomer(member.owner, member.status) for member, since in found.items() if since > after]

    def retain(self, uids: Collection[str]) -> None:
        """Forget all Pods but these."""
        for uid in [uid for uid in self._pods if uid not in uids]:
            self._forget(uid)

    def upsert(self, item: Metadata) -> None:
        """A Pod is there; nothing happens where nothing of interest changed."""
        member = self._read(item)
        if member == self._pods.get(item.uid):
            return
        self._forget(item.uid)
        if member is not None:
            self._pods[item.uid] = member
            self._groups[member.key].add(item.uid)
            self._note(member, item.creation_timestamp or _LONG_AGO)
            self._touch(member.key)

    def remove(self, item: Metadata) -> None:
        """A Pod has gone."""
        self._forget(item.uid)

    def _forget(self, uid: str) -> None:
        member = self._pods.pop(uid, None)
        if member is None:
            return
        uids = self._groups[member.key]
        uids.discard(uid)
        if not uids:
            del self._groups[member.key]
        self._alike[member] -= 1
        if not self._alike[member]:
            del self._alike[member]
            self._forget_news(member)
        self._touch(member.key)

    def _note(self, member: _Member, made: datetime) -> None:
        """The first Pod with its record is news; that it is not the oldest may be seen until that is told."""
        self._alike[member] += 1
        news = self._news.get(member.key, {})
        if self._alike[member] == 1 or member in news:
            self._news[member.key][member] = min(made, news.get(member, made))

    def _forget_news(self, member: _Member) -> None:
        news = self._news.get(member.key, {})
        news.pop(member, None)
        if not news:
            self._news.pop(member.key, None)

    def _read(self, item: Metadata) -> _Member | None:
        """A Pod as far as it concerns its group; None where it was not injected, or is on its way out.

        A Pod that ends needs nothing any more, and when its workload is deleted its objects go before it
        does: they must not be made again for it.
        """
        text = item.annotations.get(STATUS)
        if text is None or item.deletion_timestamp is not None:
            return None
        try:
            found = status.decode(text)
        except msgspec.MsgspecError as error:
            self._log(
                "unreadable status",
                level="warning",
                namespace=item.namespace,
                pod=item.name,
                error=str(error),
            )
            return None
        if found.group != item.labels.get(GROUP) or not is_group(found.group):
            self._log("status and label differ", level="warning", namespace=item.namespace, pod=item.name)
            return None
        if found.discovery == "api" and not is_object_name(found.service_account):
            self._log(
                "status without ServiceAccount", level="warning", namespace=item.namespace, pod=item.name
            )
            return None
        return _Member(Key(item.namespace, found.group), found, owner_of(item))


class Kept:
    """The objects that the controller keeps, of one kind, by group.

    Two sources say what there is: the watch, and the answers to our own writes. An answer may come long after
    the watch has said what became of the object. So what is known never goes back to an older version:
    versions of one kind's objects are numbers that grow. Where they are none, the last word counts.
    Source: Kubernetes documentation, "API Concepts" (resource versions, from 1.35 on).

    Args:
        touch: called with the group of an object that was changed.
        miss: called with the group of an object that has gone.
    """

    def __init__(self, touch: Touch, miss: Touch) -> None:
        self._touch, self._miss = touch, miss
        self._objects: dict[Key, Metadata] = {}
        self._passed = ""
        """The version up to which the watch has said everything."""

    def get(self, key: Key) -> Metadata | None:
        """The object of a group, as last seen."""
        return self._objects.get(key)

    def note(self, item: Metadata) -> None:
        """Take in what a write of ours left, so that the watch will say nothing new when it comes to it.

        Where the watch has passed it already, it says nothing new itself: the object may have gone since.
        """
        if not _is_past(item, self._passed) and not self._is_known(item):
            self._put(item)

    def begin(self, version: str) -> None:
        """A list begins, as of this version; an older one than before is of a store that was restored."""
        if is_older(version, self._passed):
            known, self._objects = self._objects, {}
            for key in known:
                self._touch(key)
        self._passed = version

    def retain(self, uids: Collection[str]) -> None:
        """Forget all but these, and what a write of ours has left since the list began."""
        for key, known in list(self._objects.items()):
            if known.uid not in uids and not is_older(self._passed, known.resource_version):
                del self._objects[key]
                self._touch(key)

    def upsert(self, item: Metadata) -> None:
        """It is there; whoever changed it, its group is looked at unless it was us."""
        self._pass(item)
        if not _is_named_so(item):
            return
        if not self._is_known(item):
            self._touch(self._put(item))

    def remove(self, item: Metadata) -> None:
        """It has gone, as of its version."""
        self._pass(item)
        if not _is_named_so(item):
            return
        key = _key_of(item)
        known = self._objects.get(key)
        if (
            known is not None
            and known.uid == item.uid
            and not is_older(item.resource_version, known.resource_version)
        ):
            del self._objects[key]
        self._miss(key)

    def _pass(self, item: Metadata) -> None:
        """Changes come in the order of their versions; objects of a list are not newer than the list."""
        if not is_older(item.resource_version, self._passed):
            self._passed = item.resource_version

    def _is_known(self, item: Metadata) -> bool:
        """Whether the object is known as it is here, or as it was later."""
        known = self._objects.get(_key_of(item))
        return known is not None and _is_past(item, known.resource_version)

    def _put(self, item: Metadata) -> Key:
        """Keep what is read of it: anyone may give an object our labels, and much beside them."""
        key = _key_of(item)
        self._objects[key] = Metadata(
            name=item.name,
            namespace=item.namespace,
            uid=item.uid,
            resource_version=item.resource_version,
        )
        return key


def _is_past(item: Metadata, version: str) -> bool:
    return item.resource_version == version or is_older(item.resource_version, version)


def _is_named_so(item: Metadata) -> bool:
    """Whether an object has the name that ours have; a copy of one has our labels too."""
    return item.name == resource_name(item.labels.get(GROUP, ""))


def _key_of(item: Metadata) -> Key:
    return Key(item.namespace, item.labels.get(GROUP, ""))
