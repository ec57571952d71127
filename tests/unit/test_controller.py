"""The controller's parts that need no API server: indexes, the queue, waiting."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from hazelcast_sidecar.controller.reconcile import reconciler
from hazelcast_sidecar.controller.reconcile.groups import Groups, Key, ManagedObjects, Standing
from hazelcast_sidecar.controller.reconcile.work_queue import WorkQueue
from hazelcast_sidecar.controller.shared import reflector as reflector_module
from hazelcast_sidecar.controller.shared.backoff import Backoff
from hazelcast_sidecar.controller.shared.controller_metrics import ControllerMetrics
from hazelcast_sidecar.controller.shared.reflector import Reflector
from hazelcast_sidecar.controller.shared.sampled_log import SampledLog
from hazelcast_sidecar.controller.shared.unread import UnreadObjects
from hazelcast_sidecar.controller.shared.watched_pods import WatchedPods
from hazelcast_sidecar.group_objects.claims import Facts
from hazelcast_sidecar.group_objects.desired_objects import GroupWorkload, Requirements
from hazelcast_sidecar.kube.bounded import TooLongError
from hazelcast_sidecar.kube.client import Api, ApiError, ListMetadata, Page
from hazelcast_sidecar.kube.objects import EVENT, POD, Kind, Metadata, Partial
from hazelcast_sidecar.model.status import Status, encode
from hazelcast_sidecar.names import STATUS
from hazelcast_sidecar.owners import OwnerReference

SHOP = Key("ns", "shop")
DNS = Requirements(
    config_map=True, ports=(5701,), service_accounts=(), disruption_budget=False, closed_ports=()
)


def watched(
    uid: str, *, owner: str = "", group: str = "shop", label: str | None = None, **fields: Any
) -> Metadata:
    defaults = {
        "version": "1",
        "group": group,
        "cluster": "dev",
        "image": "i",
        "discovery": "dns",
        "port": 5701,
    }
    owners = (
        (OwnerReference("apps/v1", "ReplicaSet", owner, f"uid-{owner}", controller=True),) if owner else ()
    )
    return Metadata(
        name=f"pod-{uid}",
        namespace="ns",
        uid=uid,
        labels={"sidecar.hazelcast.com/group": label or group},
        known_annotations={STATUS: encode(Status(**{**defaults, **fields}))},
        owner_references=owners,
    )


class Recorder:
    """Watched Pods, their groups, the keys that were touched, and the warnings that were logged."""

    def __init__(self) -> None:
        self.touched: list[Key] = []
        self.warnings: list[str] = []
        self.groups = Groups(self.touched.append)
        self.pods = WatchedPods(self.groups, self._log)

    def _log(self, message: str, **_: object) -> None:
        self.warnings.append(message)

    def believe(self) -> None:
        """Take every Pod at its word."""
        for key in self.groups.keys():  # noqa: SIM118 - no mapping
            for bearers, _, _ in self.groups.doubtful(key):
                owner = bearers.claim.owner
                stands_for = GroupWorkload(owner.uid, owner.name, scalable=True)
                itself = owner.kind == "Pod"
                self.groups.believe(bearers, None if itself else Standing(owner, stands_for))

    def take(self) -> list[Key]:
        touched, self.touched[:] = list(self.touched), []
        return touched


def test_a_group_is_touched_when_what_it_needs_may_change_and_only_then() -> None:
    seen = Recorder()
    seen.pods.upsert(watched("1", owner="a"))
    assert seen.take() == [SHOP]
    seen.pods.upsert(watched("1", owner="a"))
    assert seen.take() == []
    seen.pods.upsert(watched("1", owner="a", port=6000))
    assert set(seen.take()) == {SHOP}
    seen.pods.remove(watched("1"))
    assert seen.take() == [SHOP]
    assert seen.groups.requirements(SHOP) is None
    assert seen.groups.keys() == []


def test_a_group_belongs_to_what_made_its_pods() -> None:
    seen = Recorder()
    for metadata in (
        watched("1", owner="old"),
        watched("2", owner="new"),
        watched("3", owner="new"),
        watched("4"),
    ):
        seen.pods.upsert(metadata)
    assert seen.groups.requirements(SHOP) is None, "nothing of it was verified"
    seen.believe()
    found = seen.groups.requirements(SHOP)
    assert found is not None
    needs, owners, _ = found
    assert needs == DNS
    assert [(owner.kind, owner.name) for owner in owners] == [
        ("ReplicaSet", "new"),
        ("ReplicaSet", "old"),
        ("Pod", "pod-4"),
    ]
    # `controller: true` is for what controls an object; we only want it to go with the workload.
    assert all("controller" not in msgspec.to_builtins(owner) for owner in owners)


def test_a_new_list_replaces_what_was_known() -> None:
    seen = Recorder()
    seen.pods.upsert(watched("1"))
    seen.pods.upsert(watched("2", group="other"))
    seen.take()
    for metadata in (watched("2", group="other"), watched("3", group="third")):
        seen.pods.upsert(metadata)
    seen.pods.retain({"2", "3"})
    assert set(seen.take()) == {SHOP, Key("ns", "third")}
    assert seen.groups.pods == 2


@pytest.mark.parametrize(
    ("metadata", "warning"),
    [
        (watched("1", label="else"), "status and label differ"),
        (watched("1", group="Not_A_Name"), "status and label differ"),
        (watched("1", discovery="api"), "status without ServiceAccount"),
        (watched("1", discovery="api", service_account="../x"), "status without ServiceAccount"),
        (Metadata(uid="1", known_annotations={STATUS: "[]"}), "unreadable status"),
        (
            Metadata(uid="1", known_annotations={STATUS: '{"port": "x"}'}),
            "unreadable status",
        ),
    ],
)
def test_a_record_that_anybody_may_have_written_is_passed_over(metadata: Metadata, warning: str) -> None:
    seen = Recorder()
    seen.pods.upsert(metadata)
    assert (seen.groups.pods, seen.warnings, seen.take()) == (0, [warning], [])


def test_a_pod_that_ends_needs_nothing_any_more() -> None:
    seen = Recorder()
    seen.pods.upsert(watched("1"))
    ending = watched("1")
    ending.deletion_timestamp = "2026-01-01T00:00:00Z"
    seen.pods.upsert(ending)
    assert seen.groups.requirements(SHOP) is None
    seen.pods.remove(ending)
    assert seen.groups.pods == 0


def test_a_pod_that_was_only_labelled_is_passed_over_in_silence() -> None:
    seen = Recorder()
    seen.pods.upsert(Metadata(uid="1", labels={"sidecar.hazelcast.com/group": "shop"}))
    assert (seen.groups.pods, seen.warnings) == (0, [])


FACTS = Facts("shop", "", (5701,), "hazelcast-shop", "default")


def test_what_one_pod_shows_counts_for_those_that_claim_the_same() -> None:
    seen = Recorder()
    for number in range(400):
        seen.pods.upsert(watched(str(number), owner="a"))
    assert next(seen.groups.doubtful(SHOP))
    seen.believe()
    seen.pods.upsert(watched("late", owner="a"))
    assert list(seen.groups.doubtful(SHOP)) == []
    seen.pods.upsert(watched("other", owner="a", port=6000))
    seen.pods.upsert(watched("else", owner="b"))
    assert [uid for _, uid, _ in _once(seen)] == ["other", "else"]


def _once(seen: Recorder) -> list[Any]:
    found = []
    for bearers, uid, name in seen.groups.doubtful(SHOP):
        found.append((bearers, uid, name))
        seen.groups.skip(bearers, uid)
    return found


def test_a_forged_pod_takes_belief_from_no_other_and_is_asked_once() -> None:
    seen = Recorder()
    for uid in ("forged-1", "forged-2", "honest"):
        seen.pods.upsert(watched(uid, owner="a"))
    asked = []
    for bearers, uid, _ in seen.groups.doubtful(SHOP):
        asked.append(uid)
        if uid.startswith("forged"):
            seen.groups.refuse(bearers, uid, None)
        else:
            seen.groups.believe(bearers, None)
    assert asked == ["forged-1", "forged-2", "honest"]
    assert seen.groups.requirements(SHOP) is not None
    seen.pods.upsert(watched("forged-1", owner="a", port=6000))
    assert seen.groups.facts("forged-1") is None, "it is known, so it is not read again"
    with pytest.raises(KeyError):
        seen.groups.facts("honest")
    seen.pods.remove(watched("forged-1"))
    with pytest.raises(KeyError):
        seen.groups.facts("forged-1")


def test_facts_are_kept_as_long_as_their_pod() -> None:
    seen = Recorder()
    for uid in ("gone", "there"):
        seen.pods.upsert(watched(uid, owner="a"))
    for bearers, uid, _ in seen.groups.doubtful(SHOP):
        seen.groups.refuse(bearers, uid, FACTS)
    seen.pods.retain({"there"})
    assert seen.groups.facts("there") == FACTS
    with pytest.raises(KeyError):
        seen.groups.facts("gone")


def test_a_group_of_refused_pods_needs_nothing() -> None:
    seen = Recorder()
    seen.pods.upsert(watched("1", owner="a"))
    bearers, uid, _ = next(seen.groups.doubtful(SHOP))
    seen.groups.refuse(bearers, uid, FACTS)
    assert seen.groups.requirements(SHOP) is None
    assert seen.groups.news(SHOP, MONDAY) == []
    assert list(seen.groups.doubtful(SHOP)) == []
    assert seen.groups.facts("1") == FACTS


def test_a_record_that_no_pod_bears_any_more_is_verified_again() -> None:
    seen = Recorder()
    seen.pods.upsert(watched("1", owner="a"))
    seen.believe()
    seen.pods.remove(watched("1", owner="a"))
    seen.pods.upsert(watched("2", owner="a"))
    assert seen.groups.requirements(SHOP) is None


def test_a_mirror_of_a_static_pod_has_no_group() -> None:
    seen = Recorder()
    mirror = watched("1")
    mirror.owner_references = (OwnerReference("v1", "Node", "node-1", "uid-node", controller=True),)
    seen.pods.upsert(mirror)
    assert (seen.groups.pods, seen.groups.keys(), seen.warnings) == (0, [], [])


def test_a_group_has_a_bounded_number_of_owners_and_workloads_come_first() -> None:
    seen = Recorder()
    for number in range(500):
        seen.pods.upsert(watched(f"{number:03}"))
    seen.pods.upsert(watched("last", owner="z"))
    seen.believe()
    found = seen.groups.requirements(SHOP)
    assert found is not None
    assert (len(found.owners), found.owners[0].name) == (100, "z")


MONDAY = datetime(2026, 1, 5, tzinfo=UTC)


def made(metadata: Metadata, time: datetime) -> Metadata:
    return msgspec.structs.replace(metadata, creation_timestamp=time)


def news(seen: Recorder, after: datetime = MONDAY - timedelta(minutes=2)) -> list[tuple[str, int]]:
    seen.believe()
    return [(found.owner.name, found.status.port) for found in seen.groups.news(SHOP, after)]


def test_a_workload_is_news_once_for_each_record() -> None:
    seen = Recorder()
    for number in range(20):
        seen.pods.upsert(made(watched(str(number), owner="a"), MONDAY + timedelta(seconds=number)))
    seen.pods.upsert(made(watched("other", owner="b"), MONDAY))
    assert news(seen) == [("a", 5701), ("b", 5701)]
    seen.pods.upsert(made(watched("late", owner="a"), MONDAY + timedelta(days=1)))
    assert news(seen) == []
    seen.pods.upsert(made(watched("changed", owner="a", port=6000), MONDAY))
    assert news(seen) == [("a", 6000)]


@pytest.mark.parametrize("names", [["1", "2"], ["2", "1"]])
def test_what_is_old_is_no_news_to_a_new_leader(names: list[str]) -> None:
    """A list comes in the order of names: the first of a workload's Pods may be its youngest."""
    seen = Recorder()
    ages = (timedelta(0), timedelta(days=1))
    pods = [made(watched(name, owner="a"), MONDAY - age) for name, age in zip(names, ages, strict=True)]
    for found in sorted(pods, key=lambda found: found.name):
        seen.pods.upsert(found)
    seen.pods.upsert(made(watched("3", owner="young"), MONDAY))
    seen.pods.upsert(watched("4", owner="of-unknown-age"))
    assert news(seen) == [("young", 5701)]
    assert news(seen, MONDAY - timedelta(days=7)) == [], "it was asked for once"


def test_a_workload_without_pods_is_no_news_and_is_again_when_it_comes_back() -> None:
    seen = Recorder()
    seen.pods.upsert(made(watched("1", owner="a"), MONDAY))
    seen.pods.remove(watched("1"))
    assert news(seen) == []
    seen.pods.upsert(made(watched("2", owner="a"), MONDAY))
    assert news(seen) == [("a", 5701)]


def service(name: str = "hazelcast-shop", version: str = "1", uid: str = "u") -> Metadata:
    labels = {"sidecar.hazelcast.com/group": "shop"}
    return Metadata(name=name, namespace="ns", uid=uid, resource_version=version, labels=labels)


def test_what_we_made_ourselves_touches_nothing_and_what_others_did_does() -> None:
    touched: list[Key] = []
    missed: list[Key] = []
    kept = ManagedObjects(touched.append, missed.append)
    kept.observe(service(version="7"))
    kept.upsert(service(version="7"))
    assert touched == []
    kept.upsert(service(version="8"))
    kept.remove(service(version="9"))
    assert (touched, missed) == ([SHOP], [SHOP])
    assert kept.get(SHOP) is None


def test_a_list_from_before_what_was_known_and_one_without_an_object_touch_its_group() -> None:
    """The first is of a store that was restored."""
    touched: list[Key] = []
    kept = ManagedObjects(touched.append, touched.append)
    kept.begin("7")
    kept.upsert(service(version="7"))
    kept.begin("8")
    kept.retain({"u"})
    assert touched == [SHOP]
    kept.begin("5")
    assert (touched, kept.get(SHOP)) == ([SHOP] * 2, None)
    kept.upsert(service(version="5"))
    kept.begin("6")
    kept.retain({"another"})
    assert (touched, kept.get(SHOP)) == ([SHOP] * 4, None)


def test_one_of_ours_that_is_given_the_label_of_another_group_is_still_ours() -> None:
    touched: list[Key] = []
    missed: list[Key] = []
    kept = ManagedObjects(touched.append, missed.append)
    kept.observe(service(version="7"))
    relabelled = msgspec.structs.replace(service(version="8"), labels={"sidecar.hazelcast.com/group": "evil"})
    kept.upsert(relabelled)
    assert touched == [SHOP]
    known = kept.get(SHOP)
    assert known is not None
    assert known.resource_version == "8"
    kept.remove(msgspec.structs.replace(relabelled, resource_version="9"))
    assert (missed, kept.get(SHOP)) == ([SHOP], None)


def test_a_copy_under_another_name_is_not_taken_for_ours() -> None:
    touched: list[Key] = []
    kept = ManagedObjects(touched.append, touched.append)
    kept.upsert(service("a-copy"))
    kept.retain({"u"})
    kept.remove(service("a-copy"))
    assert (touched, kept.get(SHOP)) == ([], None)


def test_an_old_objects_end_does_not_hide_its_successor() -> None:
    kept = ManagedObjects(lambda _: None, lambda _: None)
    kept.observe(service(uid="new"))
    kept.remove(service(uid="old"))
    assert kept.get(SHOP) is not None


async def test_a_group_waits_once_and_is_looked_at_by_one_worker_at_a_time() -> None:
    queue = WorkQueue()
    queue.add(SHOP)
    queue.add(SHOP)
    assert len(queue) == 1
    assert await queue.get() == SHOP
    queue.add(SHOP)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(queue.get(), 0.05)
    queue.done(SHOP)
    assert await asyncio.wait_for(queue.get(), 1) == SHOP


async def test_a_group_that_came_back_while_a_worker_had_it_is_for_whoever_waits() -> None:
    queue = WorkQueue()
    queue.add(SHOP)
    assert await queue.get() == SHOP
    waiting = asyncio.create_task(queue.get())
    queue.add(SHOP)
    for _ in range(10):
        await asyncio.sleep(0)
    assert not waiting.done()
    queue.done(SHOP)
    assert await asyncio.wait_for(waiting, 30) == SHOP


async def test_of_several_delays_of_a_group_the_shortest_counts_and_one_is_left() -> None:
    """Each touch of a group in conflict used to start one more chain of delays that never ended."""
    queue = WorkQueue()
    for seconds in (60, 0.05, 60, 60):
        queue.add_later(SHOP, seconds)
    assert len(queue._later) == 1  # noqa: SLF001 - what waits is not seen otherwise
    assert await asyncio.wait_for(queue.get(), 30) == SHOP
    assert not queue._later  # noqa: SLF001
    queue.add_later(SHOP, 60)
    queue.add(Key("ns", "other"))
    waits = queue._later[SHOP]  # noqa: SLF001
    queue.clear()
    assert (len(queue), queue._later) == (0, {})  # noqa: SLF001
    assert waits.cancelled()


def test_waits_grow_up_to_a_bound_and_start_anew() -> None:
    waits = Backoff()
    seconds = [waits.next_delay(OSError()) for _ in range(12)]
    assert 0.1 <= seconds[0] <= 0.3
    assert 7.5 <= seconds[-1] <= 22.5
    waits.reset()
    assert waits.next_delay(OSError()) <= 0.3


async def test_the_pause_of_all_workers_starts_short_again_after_a_success() -> None:
    pause, error = reconciler._GlobalBackoff(), ApiError(503, "away")  # noqa: SLF001 - its waits are too long
    for _ in range(8):
        pause._end = 0  # noqa: SLF001 - as if it were over
        pause.begin(error)
    assert pause.begin(error) is None, "there is one already"
    pause.reset()
    pause._end = 0  # noqa: SLF001
    seconds = pause.begin(error)
    assert seconds
    assert seconds < 1


def test_each_wait_is_twice_as_long_as_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda _low, _high: 1.0)
    waits = Backoff()
    seconds = [waits.next_delay(OSError()) for _ in range(9)]
    assert seconds == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 15.0, 15.0])


def test_the_server_is_waited_for_as_long_as_it_asks() -> None:
    assert Backoff().next_delay(ApiError(429, "slow down", retry_after=5.0)) == 5.0


class Forgetful(Api):
    """An API server that answers each list, and forgets it before it can be watched from."""

    def __init__(self) -> None:
        self.lists = 0

    async def pages(
        self, kind: Kind, item: type[Any], namespace: str = "", **query: str
    ) -> AsyncIterator[Page[Any]]:
        assert (kind, item, namespace, query) == (POD, Partial, "", {"labelSelector": "group"})
        self.lists += 1
        yield Page(ListMetadata(str(self.lists)), [])

    async def watch(
        self, kind: Kind, item: type[Any], version: str, **query: str
    ) -> AsyncGenerator[tuple[str, Any], None]:
        raise ApiError(410, f"too old resource version: {kind.name} {item} {version} {query}")
        yield  # what makes it a generator


class Deaf(Api):
    """An API server whose watches say nothing, and whose lists have what they are given.

    Args:
        listed: the pages of each list in turn, each as the names of its objects; None: it is refused there.
    """

    def __init__(self, *listed: list[list[str] | None]) -> None:
        self.listed = list(listed)
        self.watched: list[str] = []
        self.done = asyncio.Event()

    async def pages(
        self, kind: Kind, item: type[Any], namespace: str = "", **query: str
    ) -> AsyncIterator[Page[Any]]:
        assert (kind, item, namespace, query) == (POD, Partial, "", {"labelSelector": "group"})
        if not self.listed:
            self.done.set()
            await asyncio.Event().wait()
        version = ListMetadata(str(10 - len(self.listed)))
        for names in self.listed.pop(0):
            if names is None:
                raise ApiError(500, "no")
            yield Page(version, [Partial(Metadata(name=name, uid=name)) for name in names])

    async def watch(
        self, kind: Kind, item: type[Any], version: str, **query: str
    ) -> AsyncGenerator[tuple[str, Any], None]:
        assert (kind, item, query) == (POD, Partial, {"labelSelector": "group"})
        self.watched.append(version)
        return
        yield  # what makes it a generator


class Names:
    """An index of names, and what it was fed."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.begun: list[str] = []

    def begin(self, version: str) -> None:
        self.begun.append(version)

    def upsert(self, item: Metadata) -> None:
        self.names.add(item.name)

    def remove(self, item: Metadata) -> None:
        raise AssertionError(item)

    def retain(self, uids: Collection[str]) -> None:
        self.names.intersection_update(uids)


async def reflect(api: Deaf, monkeypatch: pytest.MonkeyPatch) -> Names:
    """Run a reflector that always lists again, until all lists were asked for."""
    monkeypatch.setattr(reflector_module, "_RELIST_SECONDS", 0.0)
    monkeypatch.setattr(reflector_module, "_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr("random.uniform", lambda _low, _high: 0.01)
    index = Names()
    metrics = ControllerMetrics(pods=lambda: 0, queue_depth=lambda: 0, requests=lambda: 0)
    reflector = Reflector(api, POD, "group", index, metrics, lambda *_, **__: None)
    running = asyncio.create_task(reflector.run())
    await asyncio.wait_for(api.done.wait(), 60)
    running.cancel()
    return index


async def test_what_no_watch_said_is_found_by_the_next_list(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Deaf([["a", "b"], ["c"]], [["b"], ["c", "d"]])
    index = await reflect(api, monkeypatch)
    assert index.names == {"b", "c", "d"}
    assert api.watched == index.begun == ["8", "9"]


async def test_a_second_line_that_is_refused_leaves_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that was begun must be completed, as a part of what is known is newer by then."""
    api = Deaf([["a"]], [None], [["b"], None], [["b"], ["c"]])
    index = await reflect(api, monkeypatch)
    assert index.names == {"b", "c"}
    assert index.begun == ["6", "8", "9"]
    assert api.watched == ["6", "9"], "none from a version that the index has left"


def test_what_is_passed_over_is_counted_and_logged_once_a_minute() -> None:
    metrics = ControllerMetrics(pods=lambda: 0, queue_depth=lambda: 0, requests=lambda: 0)
    lines: list[dict[str, Any]] = []
    now = [0.0]
    unread = UnreadObjects(metrics, lambda _, **fields: lines.append(fields), lambda: now[0])
    for seconds in (0, 1, 59, 61, 62):
        now[0] = seconds
        unread.note(POD, f"ns/{seconds}", ValueError("x" * 1000))
        unread.note(EVENT, "", TooLongError("long", b""))
    assert [(line["kind"], line["name"]) for line in lines] == [
        ("Pod", "ns/0"),
        ("Event", ""),
        ("Pod", "ns/61"),
        ("Event", ""),
    ]
    assert [line.get("unlogged") for line in lines] == [None, None, 2, 2]
    assert max(len(line["why"]) for line in lines) == 300
    text = metrics.exposition().decode()
    for kind, reason in (("Pod", "malformed"), ("Event", "long")):
        name = "hazelcast_sidecar_controller_unread_objects_total"
        assert f'{name}{{kind="{kind}",reason="{reason}"}} 5.0' in text


def test_who_logs_learns_whether_the_line_was_written() -> None:
    """An Event about the same goes with it."""
    lines: list[str] = []
    log = SampledLog(lambda message, **_: lines.append(message), 2, 1.0, lambda: 0.0)
    assert [log("pods", f"line {number}", "info") for number in range(3)] == [True, True, False]
    assert log("events", "line 3", "info"), "one sort hides no other"
    assert lines == ["line 0", "line 1", "line 3"]


async def test_lists_that_no_watch_follows_grow_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    """An API server that lags behind the others of its cluster may be like that for a while."""
    monkeypatch.setattr("random.uniform", lambda _low, _high: 0.01)
    api, seconds, enough = Forgetful(), [], asyncio.Event()
    metrics = ControllerMetrics(pods=lambda: 0, queue_depth=lambda: 0, requests=lambda: 0)

    def log(message: str, **fields: Any) -> None:
        assert message == "watch interrupted"
        seconds.append(fields["seconds"])
        if len(seconds) == 4:
            enough.set()

    kept = ManagedObjects(lambda _: None, lambda _: None)
    reflector = Reflector(api, POD, "group", kept, metrics, log)
    running = asyncio.create_task(reflector.run())
    await asyncio.wait_for(enough.wait(), 30)
    running.cancel()
    assert api.lists == 4
    assert seconds == pytest.approx([0.002, 0.004, 0.008, 0.016])


class Changing(Api):
    """An API server with one object at first, and watches that say what they are given.

    Args:
        watches: of each in turn, its changes as their kind and the name of the object; an error ends it.
    """

    def __init__(self, *watches: list[tuple[str, str] | Exception]) -> None:
        self._watches = list(watches)
        self.asked: list[str] = []
        self.done = asyncio.Event()

    async def pages(
        self, kind: Kind, item: type[Any], namespace: str = "", **query: str
    ) -> AsyncIterator[Page[Any]]:
        assert (kind, item, namespace, query) == (POD, Partial, "", {"labelSelector": "group"})
        self.asked.append("list")
        yield Page(ListMetadata("1"), [Partial(Metadata(name="a", uid="a"))])

    async def watch(
        self, kind: Kind, item: type[Any], version: str, **query: str
    ) -> AsyncGenerator[tuple[str, Any], None]:
        assert (kind, item, query) == (POD, Partial, {"labelSelector": "group"})
        self.asked.append(version)
        if not self._watches:
            self.done.set()
            await asyncio.Event().wait()
        for number, change in enumerate(self._watches.pop(0), int(version) + 1):
            if isinstance(change, Exception):
                raise change
            yield change[0], Partial(Metadata(name=change[1], uid=change[1], resource_version=str(number)))


async def follow(api: Changing, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], list[float], float]:
    """What an index has heard when all watches have ended, how long it was waited, and the restarts."""
    heard: list[str] = []
    waits: list[float] = []
    index: Any = SimpleNamespace(
        begin=lambda version: heard.append(f"list {version}"),
        upsert=lambda item: heard.append(f"+{item.name}"),
        remove=lambda item: heard.append(f"-{item.name}"),
        retain=lambda uids: heard.append(f"only {sorted(uids)}"),
    )

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr("random.uniform", lambda _low, _high: 1.0)
    monkeypatch.setattr("asyncio.sleep", sleep)
    metrics = ControllerMetrics(pods=lambda: 0, queue_depth=lambda: 0, requests=lambda: 0)
    reflector = Reflector(api, POD, "group", index, metrics, lambda *_, **__: None)
    assert not reflector.synced.is_set()
    running = asyncio.create_task(reflector.run())
    await asyncio.wait_for(api.done.wait(), 30)
    running.cancel()
    assert reflector.synced.is_set()
    return heard, waits, metrics.watch_restarts._value.get()  # noqa: SLF001


async def test_an_index_hears_of_every_change_and_a_watch_goes_on_where_the_last_one_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    api = Changing([("ADDED", "b"), ("MODIFIED", "a"), ("BOOKMARK", "")], [("DELETED", "b")], [])
    heard, waits, restarts = await follow(api, monkeypatch)
    assert heard == ["list 1", "+a", "only ['a']", "+b", "+a", "-b"]
    assert api.asked == ["list", "1", "4", "5", "5"]
    assert (waits, restarts) == ([0.2, 0.2, 0.2], 0), "a proxy that ends every watch is not flooded"


async def test_a_watch_that_is_interrupted_goes_on_and_one_from_too_long_ago_begins_with_a_list(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    api = Changing(
        [ApiError(500, "no")],
        [OSError("reset")],
        [ApiError(410, "too old")],
        [("ADDED", "b"), OSError("reset")],
        [KeyError("ours")],
    )
    _, waits, restarts = await follow(api, monkeypatch)
    assert api.asked == ["list", "1", "1", "1", "list", "1", "2", "list", "1"]
    assert waits == pytest.approx([0.2, 0.4, 0.8, 0.2, 0.4]), "a change that was heard is a success"
    assert restarts == 4, "the last one is a fault of ours"


async def test_a_watch_that_ended_without_a_word_is_a_success(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Changing([OSError("reset")], [OSError("reset")], [], [OSError("reset")])
    _, waits, _ = await follow(api, monkeypatch)
    pause = reflector_module._PAUSE_SECONDS  # noqa: SLF001
    assert waits == pytest.approx([0.2, 0.4, pause, 0.2])


def test_metrics_show_what_is_known_now() -> None:
    metrics = ControllerMetrics(pods=lambda: 3, queue_depth=lambda: 4, requests=lambda: 5)
    text = metrics.exposition().decode()
    for name, number in (("watched_pods", 3), ("queue_depth", 4), ("api_requests_total", 5)):
        assert f"hazelcast_sidecar_controller_{name} {number}.0\n" in text
