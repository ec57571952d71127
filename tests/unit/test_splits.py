"""How the leader finds groups that are not one cluster, and what it says; with a clock of the tests' own."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, cast

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from hazelcast_sidecar.controller.events.recorder import Recorder
from hazelcast_sidecar.controller.reconcile.groups import Groups, Key, Standing
from hazelcast_sidecar.controller.shared.bounded_series import with_series
from hazelcast_sidecar.controller.shared.controller_metrics import Where
from hazelcast_sidecar.controller.shared.watched_pods import WatchedPods
from hazelcast_sidecar.controller.splits.episodes import Episodes, Transition
from hazelcast_sidecar.controller.splits.member_client import MemberClient
from hazelcast_sidecar.controller.splits.member_pods import MemberPods
from hazelcast_sidecar.controller.splits.split_detector import SplitDetector
from hazelcast_sidecar.controller.splits.split_metrics import SplitMetrics
from hazelcast_sidecar.group_objects.desired_objects import GroupWorkload
from hazelcast_sidecar.http_answer import HttpAnswerError
from hazelcast_sidecar.kube.client import Api, ListMetadata, Page
from hazelcast_sidecar.kube.objects import POD, Kind, Metadata
from hazelcast_sidecar.members.running_pod import RunningPod
from hazelcast_sidecar.members.view import MemberView, view_of
from hazelcast_sidecar.names import GROUP
from tests.harness.controller_parts import Seen, running, until
from tests.unit.snapshots import injected

SHOP = Key("team-a", "shop")
MINUTE = 60.0
SERIES = "hazelcast_sidecar_group_split"
COUNT = "hazelcast_sidecar_controller_split_groups"
SILENT = "hazelcast_sidecar_controller_silent_groups"
ASKED = "hazelcast_sidecar_controller_members_asked_total"


# --- episodes ----------------------------------------------------------------------------------------------


class Group:
    """One group, at which is looked at times that a test says."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.episodes: Episodes[str] = Episodes(MINUTE, lambda: self.now)

    def look(self, after: float, *, split: bool, all_answered: bool = True) -> Transition | None:
        self.now += after
        return self.episodes.see("shop", split=split, all_answered=all_answered)


@pytest.fixture
def group() -> Group:
    return Group()


def test_a_split_is_reported_once_when_it_has_lasted_and_once_when_it_is_over(group: Group) -> None:
    for _ in range(2):
        assert group.look(0, split=True) is None
        assert group.look(59, split=True) is None
        assert group.episodes.reported() == []
        assert group.look(1, split=True) is Transition.SPLIT
        assert group.look(600, split=True) is None
        assert group.episodes.reported() == ["shop"]
        assert group.episodes.seconds_of("shop") == 660
        assert group.look(10, split=False) is Transition.HEALED
        assert group.episodes.reported() == []
        assert group.look(10, split=False) is None


def test_what_heals_within_the_minute_is_never_mentioned(group: Group) -> None:
    for _ in range(10):
        assert group.look(10, split=True) is None
        assert group.look(40, split=True) is None
        assert group.look(10, split=False) is None
        assert not group.episodes.is_open("shop")


def test_while_members_do_not_answer_a_split_is_neither_over_nor_new(group: Group) -> None:
    group.look(0, split=True)
    for _ in range(5):
        assert group.look(50, split=False, all_answered=False) is None
    assert group.look(10, split=True) is Transition.SPLIT
    assert group.look(299, split=False, all_answered=False) is None
    assert group.look(0, split=False, all_answered=True) is Transition.HEALED


def test_a_split_of_which_nothing_is_known_any_more_is_given_up(group: Group) -> None:
    group.look(0, split=True)
    assert group.look(300, split=False, all_answered=False) is None
    assert not group.episodes.is_open("shop"), "it was never reported"
    group.look(0, split=True)
    group.look(60, split=True)
    assert group.look(300, split=False, all_answered=False) is Transition.LOST
    assert group.episodes.reported() == []


def test_what_is_gone_is_forgotten(group: Group) -> None:
    group.look(0, split=True)
    group.episodes.retain(["other"])
    assert not group.episodes.is_open("shop")


# --- the detector ------------------------------------------------------------------------------------------


def view(*members: str) -> MemberView:
    """The view of a member that sees these; it is the first of them."""
    health = {"nodeState": "ACTIVE", "clusterState": "ACTIVE", "clusterSafe": True}
    health |= {"migrationQueueSize": 0, "clusterSize": len(members)}
    listed = [{"address": f"[{name}]:5701", "uuid": name} for name in members]
    return view_of(json.dumps(health).encode(), json.dumps({"members": listed}).encode())


Answer = MemberView | Exception


class Client:
    """Members that answer what a test says, by the address of their Pod."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked = 0
        self.questions: list[tuple[str, int, bool]] = []

    async def view(self, address: str, port: int, *, lists: bool) -> MemberView:
        self.asked += 1
        self.questions.append((address, port, lists))
        answer = self.answers[address]
        if isinstance(answer, Exception):
            raise answer
        return answer


class World:
    """Groups, their Pods and members, and what a detector says of them."""

    def __init__(self, seen: Seen) -> None:
        self.seen = seen
        self.now = 0.0
        self.groups = Groups(lambda _: None)
        self.watched = WatchedPods(self.groups, seen.log)
        self.pods: dict[str, RunningPod] = {}
        self.client = Client()
        self.metrics = SplitMetrics()
        self.metrics.take_over(lambda: self.client.asked)
        seen.metrics.add(self.metrics)
        self.told: list[tuple[str, str, bool]] = []
        self.detector = SplitDetector(
            self.groups,
            cast("MemberPods", self.pods),
            cast("MemberClient", self.client),
            seconds=MINUTE,
            metrics=self.metrics,
            log=seen.log,
            recorder=cast("Recorder", self),
            faults=seen.faults,
            clock=lambda: self.now,
        )

    def tell(
        self, _: str, owner: Any, reason: str, sentence: str, *, pod: Any, warning: bool = False
    ) -> None:
        assert (owner.kind, pod.kind) == ("ReplicaSet", "Pod")
        self.told.append((reason, sentence, warning))

    def add(self, name: str, answer: Answer, *, believed: bool = True, **changed: Any) -> None:
        """Add a Pod whose name is its address, too."""
        state = {key: changed.pop(key) for key in ("phase", "ready", "deletion") if key in changed}
        metadata = injected(name, **changed)
        self.watched.upsert(metadata)
        if believed:
            self.believe()
        self.change(name, **state)
        self.client.answers[name] = answer

    def believe(self) -> None:
        for key in self.groups.keys():  # noqa: SIM118 - no mapping
            for bearers, _, _ in self.groups.doubtful(key):
                owner = bearers.claim.owner
                self.groups.believe(
                    bearers, Standing(owner, GroupWorkload(owner.uid, owner.name, scalable=True))
                )

    def change(
        self, name: str, *, phase: str = "Running", ready: bool = True, deletion: bool = False
    ) -> None:
        ends = {"deletionTimestamp": "2026-01-01T00:00:00Z"} if deletion else {}
        members = [{"name": "hazelcast", "ready": ready}]
        document = {
            "metadata": {"name": name, "uid": f"uid-of-{name}", **ends},
            "status": {"phase": phase, "podIP": name, "initContainerStatuses": members},
        }
        self.pods[f"uid-of-{name}"] = msgspec.convert(document, RunningPod)

    def remove(self, name: str) -> None:
        self.watched.remove(Metadata(uid=f"uid-of-{name}"))
        self.pods.pop(f"uid-of-{name}")

    async def pass_seconds(self, seconds: float) -> None:
        """Let time pass, with the looks that are due each second."""
        for _ in range(round(seconds)):
            self.now += 1
            for namespace in self.detector.enqueue_due():
                await self.detector.work_off(namespace)

    def series(self) -> list[tuple[str, str]]:
        return [
            (sample.labels["namespace"], sample.labels["group"])
            for sample in self._samples()
            if sample.name == SERIES
        ]

    def metric(self, name: str) -> float:
        (found,) = (float(sample.value) for sample in self._samples() if sample.name == name)
        return found

    def _samples(self) -> list[Any]:
        text = self.seen.metrics.exposition().decode()
        return [sample for family in text_string_to_metric_families(text) for sample in family.samples]

    def lines(self) -> list[tuple[str, str]]:
        return [(line["level"], line["message"]) for line in self.seen.lines]


@pytest.fixture
def world(seen: Seen) -> World:
    return World(seen)


WHOLE = {"a": view("a", "b"), "b": view("b", "a")}
APART = {"a": view("a"), "b": view("b")}


def add_shop(world: World, answers: dict[str, MemberView]) -> None:
    for name, answer in answers.items():
        world.add(name, answer)


async def test_a_split_shows_after_a_minute_and_vanishes_when_it_is_healed(world: World) -> None:
    add_shop(world, WHOLE)
    await world.pass_seconds(300)
    assert (world.series(), world.told, world.lines()) == ([], [], [])
    assert world.metric(ASKED) == pytest.approx(20, abs=2), "each member twice a minute"

    world.client.answers |= APART
    await world.pass_seconds(60)
    assert (world.series(), world.told, world.lines()) == ([], [], [])
    await world.pass_seconds(40)
    assert (world.series(), world.metric(COUNT)) == ([SHOP], 1)
    ((reason, sentence, warning),) = world.told
    assert (reason, warning) == ("Split", True)
    assert sentence.startswith(
        "the group shop: the members do not form one cluster: a sees only itself; b sees only itself; cl"
    )
    (line,) = world.seen.lines
    assert line.pop("seconds") == pytest.approx(60, abs=10)
    assert line == {
        "message": "split",
        "level": "warning",
        "namespace": "team-a",
        "group": "shop",
        "why": "the members do not form one cluster: a sees only itself; b sees only itself",
    }
    await world.pass_seconds(3600)
    assert len(world.told) == len(world.seen.lines) == 1, "once for each"

    world.client.answers |= WHOLE
    await world.pass_seconds(11)
    assert (world.series(), world.metric(COUNT)) == ([], 0)
    assert world.told[1:] == [("Healed", "the members of the group shop form one cluster again", False)]
    assert world.lines()[1:] == [("info", "split healed")]

    world.client.answers |= APART
    await world.pass_seconds(120)
    assert [reason for reason, _, _ in world.told] == ["Split", "Healed", "Split"]


async def test_what_takes_less_than_a_minute_is_not_mentioned(world: World) -> None:
    add_shop(world, WHOLE)
    for _ in range(20):
        world.client.answers |= APART
        await world.pass_seconds(50)
        world.client.answers |= WHOLE
        await world.pass_seconds(40)
    assert (world.series(), world.told, world.lines()) == ([], [], [])


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (ConnectionRefusedError(), {"ready": False}),
        (TimeoutError(), {"ready": False}),
        (view("c"), {"phase": "Pending", "ready": False}),
        (view("c"), {"phase": "Succeeded", "ready": False}),
        (view("c"), {"phase": "Failed", "ready": True}),
        (view("c"), {"deletion": True}),
    ],
    ids=["away", "starting", "not started", "ended", "evicted", "ending"],
)
async def test_members_that_are_away_or_start_or_end_are_no_split(
    world: World, answer: Answer, state: dict[str, Any]
) -> None:
    add_shop(world, WHOLE)
    world.add("c", answer, **state)
    await world.pass_seconds(600)
    assert (world.series(), world.told, world.lines()) == ([], [], [])
    assert world.metric(SILENT) == 0


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (TimeoutError(), "no answer in time"),
        (ConnectionRefusedError(111, "Connection refused"), "[Errno 111] Connection refused"),
        (HttpAnswerError("it answered with HTTP 302"), "it answered with HTTP 302"),
    ],
)
async def test_members_that_cannot_be_asked_are_said_to_be_so_and_never_split(
    world: World, answer: Exception, error: str
) -> None:
    for name in ("a", "b"):
        world.add(name, answer)
    await world.pass_seconds(600)
    assert (world.series(), world.told, world.metric(SILENT)) == ([], [], 1)
    (line,) = world.seen.lines
    assert (line["message"], line["level"]) == ("members could not be asked", "warning")
    assert (line["namespace"], line["group"], line["error"]) == ("team-a", "shop", error)
    world.client.answers |= WHOLE
    await world.pass_seconds(31)
    assert world.metric(SILENT) == 0
    world.client.answers |= {"a": answer, "b": answer}
    await world.pass_seconds(31)
    world.remove("a")
    await world.pass_seconds(31)
    assert world.metric(SILENT) == 0, "one member alone is not asked"


async def test_a_split_whose_members_do_not_answer_any_more_is_given_up_without_a_word_of_healing(
    world: World,
) -> None:
    add_shop(world, APART)
    await world.pass_seconds(120)
    assert world.series() == [SHOP]
    world.client.answers |= {"a": TimeoutError(), "b": TimeoutError()}
    await world.pass_seconds(270)
    assert world.series() == [SHOP]
    await world.pass_seconds(60)
    assert (world.series(), [reason for reason, _, _ in world.told]) == ([], ["Split"])
    assert world.lines()[-1] == ("warning", "split not followed")


async def test_a_group_that_has_gone_leaves_no_series_and_one_that_shrinks_is_whole(world: World) -> None:
    add_shop(world, APART)
    for name in ("c", "d"):
        world.add(name, view(name), group="other")
    await world.pass_seconds(120)
    assert sorted(world.series()) == [("team-a", "other"), SHOP]
    for name in ("a", "b", "c"):
        world.remove(name)
    await world.pass_seconds(11)
    assert world.series() == []
    healed = [sentence for reason, sentence, _ in world.told if reason == "Healed"]
    assert healed == ["the members of the group other form one cluster again"]


async def test_what_no_answer_could_change_is_not_asked(world: World) -> None:
    world.add("alone", view("alone"), group="alone")
    for name in ("f", "g"):
        world.add(name, view(name), group="forged", believed=False)
    world.add("unknown", view("unknown"))
    world.pods.clear()
    await world.pass_seconds(120)
    assert world.client.questions == []


async def test_the_port_of_the_probes_is_asked_and_for_the_list_where_it_has_one(world: World) -> None:
    add_shop(world, WHOLE)
    for name in ("c", "d"):
        world.add(name, view("c", "d"), group="pods", pod_clients=True, port=6000)
    await world.pass_seconds(31)
    assert set(world.client.questions) == {
        ("a", 5701, True),
        ("b", 5701, True),
        ("c", 6002, False),
        ("d", 6002, False),
    }


# --- many groups, slow ones, hostile ones ------------------------------------------------------------------


async def test_a_failure_concerns_its_own_group_alone(world: World) -> None:
    add_shop(world, APART)
    for name in ("x", "y"):
        world.add(name, KeyError("a fault of ours"), group="odd")
    await world.pass_seconds(120)
    assert world.series() == [SHOP]
    assert world.seen.count(Where.SPLITS) > 0


async def test_a_group_that_takes_long_is_asked_less_often(world: World) -> None:
    add_shop(world, WHOLE)
    for name in ("x", "y"):
        world.add(name, view("x", "y"), group="slow")

    async def slowly(address: str, port: int, *, lists: bool) -> MemberView:
        found = await Client.view(world.client, address, port, lists=lists)
        world.now += 5 if address in {"x", "y"} else 0
        return found

    world.client.view = slowly  # type: ignore[method-assign]
    began = world.now
    while world.now < began + 1200:
        await world.pass_seconds(1)
    asked = Counter(address for address, _, _ in world.client.questions)
    assert asked["x"] <= 1200 / 200 + 1, "its look takes ten seconds"
    assert asked["a"] >= 30


async def test_namespaces_are_looked_at_side_by_side_however_many_groups_one_has(world: World) -> None:
    for number in range(50):
        for name in ("x", "y"):
            world.add(f"{name}{number}", view("x", "y"), namespace="greedy", group=f"g{number}")
    add_shop(world, WHOLE)
    world.detector.enqueue_due()
    world.now += 40
    assert Counter(world.detector.enqueue_due()) == {"greedy": 2, "team-a": 1}
    assert "greedy" not in world.detector.enqueue_due(), "no more than two are at work"
    await world.detector.work_off("team-a")
    await world.detector.work_off("team-a")
    assert world.client.asked == 2
    await world.detector.work_off("greedy")
    assert world.client.asked == 102
    await world.detector.work_off("greedy")
    world.now += 31
    assert Counter(world.detector.enqueue_due()) == {"greedy": 2, "team-a": 1}


async def test_looks_are_spread_over_the_time_from_the_beginning(world: World) -> None:
    for number in range(300):
        for name in ("x", "y"):
            world.add(f"{name}{number}", view("x", "y"), namespace=f"ns{number}", group=f"g{number}")
    for _ in range(60):
        before = world.client.asked
        await world.pass_seconds(1)
        assert world.client.asked - before < 60, "20 are the share of a second"
    assert world.client.asked == pytest.approx(1200, rel=0.1)


def test_series_are_bounded_and_each_namespace_has_its_share() -> None:
    greedy = [Key("greedy", f"g{number}") for number in range(10_000)]
    others = [Key(f"ns{number}", "shop") for number in range(100)]
    found = with_series([*greedy, *others])
    assert Counter(key.namespace for key in found) == {"greedy": 20} | {key.namespace: 1 for key in others}
    assert found[:2] == [Key("greedy", "g0"), Key("ns0", "shop")]
    assert len(with_series([Key(f"ns{number}", "shop") for number in range(1000)])) == 200


@pytest.mark.heavy
async def test_the_log_is_not_flooded_and_all_are_counted(world: World) -> None:
    for number in range(200):
        for name in ("x", "y"):
            world.add(f"{name}{number}", view(f"{name}{number}"), namespace="greedy", group=f"g{number}")
    await world.pass_seconds(150)
    assert (world.metric(COUNT), len(world.series())) == (200, 20)
    assert 20 <= len(world.seen.lines) < 60


# --- a term of the leader ----------------------------------------------------------------------------------


@pytest.mark.heavy
async def test_a_term_ends_without_series_and_goes_on_counting(
    seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hazelcast_sidecar.controller.splits.split_detector._TICK_SECONDS", 0.01)
    world = World(seen)
    add_shop(world, APART)
    counts = []
    for _ in range(2):
        client = Client()
        client.answers |= APART
        pods = FakePods(world.pods)
        detector = SplitDetector(
            world.groups,
            cast("MemberPods", pods),
            cast("MemberClient", client),
            seconds=0.1,
            metrics=world.metrics,
            log=seen.log,
            recorder=cast("Recorder", world),
            faults=seen.faults,
        )
        async with running(detector.work()):
            for _ in range(20):
                await asyncio.sleep(0)
            assert client.asked == 0, "not before all Pods are known"
            pods.synced.set()
            await until(lambda: world.series() == [SHOP])
            counts.append(world.metric(ASKED) - client.asked)
        assert (world.series(), world.metric(COUNT)) == ([], 0)
    assert counts[0] == 0
    assert counts[1] > 0


class FakePods:
    """Pods that a watch would keep up to date."""

    def __init__(self, pods: dict[str, RunningPod]) -> None:
        self.get = pods.get
        self.synced = asyncio.Event()

    async def run(self) -> None:
        await asyncio.Event().wait()


# --- where the members are ---------------------------------------------------------------------------------


def whole_pod(name: str, address: str = "10.0.0.1", version: str = "1", **metadata: Any) -> RunningPod:
    document = {
        "metadata": {
            "name": name,
            "uid": f"uid-of-{name}",
            "resourceVersion": version,
            "labels": {GROUP: "shop"},
            **metadata,
        },
        "status": {
            "phase": "Running",
            "podIP": address,
            "containerStatuses": [{"name": "hazelcast", "ready": True}],
        },
    }
    return msgspec.convert(document, RunningPod)


class Changes:
    """Stands in for an API server: a list of Pods, and then changes of them."""

    def __init__(self, *changes: tuple[str, RunningPod]) -> None:
        self.changes = changes
        self.asked: list[Any] = []

    async def pages(self, kind: Kind, item: type, **query: str) -> AsyncIterator[Page[RunningPod]]:
        self.asked.append((kind, item, query))
        yield Page(ListMetadata(resource_version="7"), [whole_pod("a"), whole_pod("b")])
        yield Page(ListMetadata(resource_version="7"), [whole_pod("c")])

    async def watch(
        self, kind: Kind, item: type, version: str, **query: str
    ) -> AsyncGenerator[tuple[str, RunningPod], None]:
        self.asked.append((kind, item, version, query))
        for change in self.changes:
            yield change
        await asyncio.Event().wait()


async def test_addresses_follow_the_pods_and_little_is_kept(seen: Seen) -> None:
    api = Changes(
        ("MODIFIED", whole_pod("a", "10.0.0.2", "8")),
        ("DELETED", whole_pod("b", version="9")),
        ("ADDED", whole_pod("d", "10.0.0.4", "10", deletionTimestamp="2026-01-01T00:00:00Z")),
        ("BOOKMARK", RunningPod(Metadata(resource_version="11"))),
    )
    pods = MemberPods(cast("Api", api), seen.metrics, seen.log)
    assert not pods.synced.is_set()
    async with running(pods.run()):
        await until(lambda: pods.get("uid-of-d"))
        assert pods.synced.is_set()
        found = {name: pods.get(f"uid-of-{name}") for name in "abcd"}
        assert {name: pod and pod.status.pod_ip for name, pod in found.items()} == {
            "a": "10.0.0.2",
            "b": None,
            "c": "10.0.0.1",
            "d": "10.0.0.4",
        }
        assert pods.get("") is None
    kept = found["d"]
    assert kept
    assert (kept.metadata.labels, kept.metadata.name, bool(kept.metadata.deletion_timestamp)) == (
        {},
        "d",
        True,
    )
    selector = {"labelSelector": GROUP}
    assert api.asked == [(POD, RunningPod, selector), (POD, RunningPod, "7", selector)]
