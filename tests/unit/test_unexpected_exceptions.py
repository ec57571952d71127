"""An exception that is on no list: it costs the object that raised it, and nothing else."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from hazelcast_sidecar.checks.pods import drifted, missed
from hazelcast_sidecar.checks.results import CheckResult, State
from hazelcast_sidecar.checks.runner import OF_INSTALLATION, findings
from hazelcast_sidecar.checks.snapshot import Snapshot
from hazelcast_sidecar.controller.audit.auditor import Auditor
from hazelcast_sidecar.controller.audit.drifted_pods import drifted_pods
from hazelcast_sidecar.controller.audit.findings import Findings
from hazelcast_sidecar.controller.events.denials import Denials
from hazelcast_sidecar.controller.events.recorder import Recorder
from hazelcast_sidecar.controller.lifecycle import Controller
from hazelcast_sidecar.controller.reconcile.groups import Groups, Key
from hazelcast_sidecar.controller.reconcile.reconciler import Reconciler
from hazelcast_sidecar.controller.reconcile.work_queue import WorkQueue
from hazelcast_sidecar.controller.shared import backoff, election
from hazelcast_sidecar.controller.shared.backoff import Backoff, keep_up, run_periodically
from hazelcast_sidecar.controller.shared.controller_metrics import Where
from hazelcast_sidecar.controller.shared.guarded import GuardedIndex
from hazelcast_sidecar.controller.shared.reflector import Watcher
from hazelcast_sidecar.controller.shared.watched_pods import WatchedPods
from hazelcast_sidecar.errors import InvalidSettingsError, Problem
from hazelcast_sidecar.injection.drift import DriftDetector, InjectedPod, Verdict
from hazelcast_sidecar.kube.client import Api, ApiError, Page
from hazelcast_sidecar.kube.objects import POD, Kind, Metadata, Partial
from hazelcast_sidecar.names import INJECT
from hazelcast_sidecar.owners import OwnerReference
from hazelcast_sidecar.runtime import reload
from hazelcast_sidecar.runtime.reload import count_reloads, follow
from hazelcast_sidecar.spec.settings import Settings, read
from tests.harness.controller_parts import Seen, running, until
from tests.unit.snapshots import HEALTHY, injected, pod_without_member

DEEP = RecursionError("maximum recursion depth exceeded")


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have waits after failures last milliseconds."""
    monkeypatch.setattr("random.uniform", lambda _low, _high: 0.01)


# --- counting and logging ----------------------------------------------------------------------------------


def test_all_are_counted_and_the_log_is_not_flooded(seen: Seen) -> None:
    for _ in range(100):
        with seen.faults.pass_over(Where.INDEX, namespace="evil", name="pod"):
            raise DEEP
    with seen.faults.pass_over(Where.REPAIR):
        raise KeyError("x" * 10_000)
    assert (seen.count(Where.INDEX), seen.count(Where.REPAIR)) == (100, 1)
    assert len(seen.lines) == 11, "ten of one place, and one of another"
    assert seen.lines[0] == {
        "message": "skipped after an unexpected exception",
        "level": "error",
        "where": "index",
        "error": repr(DEEP),
        "namespace": "evil",
        "name": "pod",
    }
    assert len(seen.lines[-1]["error"]) == 300
    seen.now += 10
    seen.faults.note(Where.INDEX, DEEP)
    assert seen.lines[-1]["unlogged"] == 90


@pytest.mark.parametrize("error", [asyncio.CancelledError(), ApiError(500, "no"), OSError(), TimeoutError()])
def test_a_cancellation_and_what_a_request_raises_are_nobodys_object(
    seen: Seen, error: BaseException
) -> None:
    with pytest.raises(type(error)), seen.faults.pass_over(Where.INDEX):
        raise error
    assert seen.lines == []


# --- indexes and watches -----------------------------------------------------------------------------------


class Index:
    """One that raises at some objects."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def begin(self, version: str) -> None:
        raise KeyError(version)

    def upsert(self, item: Metadata) -> None:
        if item.name.startswith("evil"):
            raise DEEP
        self.names.add(item.name)

    def remove(self, item: Metadata) -> None:
        if item.name.startswith("evil"):
            raise DEEP
        self.names.discard(item.name)

    def retain(self, uids: Collection[str]) -> None:
        raise KeyError(*uids)


def test_an_object_that_an_index_cannot_take_costs_no_other_its_place(seen: Seen) -> None:
    index = Index()
    guarded = GuardedIndex(index, seen.faults)
    guarded.begin("1")
    for name in ("a", "evil-1", "b", "evil-2", "c"):
        guarded.upsert(Metadata(name=name, namespace="ns"))
    guarded.retain(["a"])
    assert index.names == {"a", "b", "c"}
    guarded.remove(Metadata(name="evil-3"))
    guarded.remove(Metadata(name="a"))
    assert index.names == {"b", "c"}
    assert seen.count(Where.INDEX) == 5
    assert (seen.lines[1]["namespace"], seen.lines[1]["name"]) == ("ns", "evil-1")


class Watched(Watcher):
    """Meets something at the first version, and not at the second."""

    def __init__(self, seen: Seen) -> None:
        super().__init__(cast("Api", None), POD, seen.metrics, seen.log)
        self.lists, self.goes_on = 0, asyncio.Event()

    async def _list(self) -> None:
        self.lists += 1
        self._version = str(self.lists)

    async def _watch(self) -> None:
        if self._version == "1":
            raise DEEP
        self.goes_on.set()
        await asyncio.sleep(3600)


async def test_a_watch_goes_on_behind_what_nothing_expected(seen: Seen) -> None:
    watcher = Watched(seen)
    async with running(watcher.run()):
        await asyncio.wait_for(watcher.goes_on.wait(), 30)
    assert watcher.lists == 2
    assert seen.count(Where.WATCH) == 1


# --- loops -------------------------------------------------------------------------------------------------


async def test_a_look_that_fails_in_any_way_is_followed_by_another(seen: Seen) -> None:
    outcomes: list[Exception] = [DEEP, KeyError("x"), ApiError(500, "no"), ExceptionGroup("", [DEEP])]
    worked = asyncio.Event()

    async def look() -> None:
        if outcomes:
            raise outcomes.pop(0)
        worked.set()

    async def pause(_: float) -> None:
        await asyncio.sleep(0)

    async with running(run_periodically(1, look, seen.log, "trouble", seen.faults, Where.AUDIT, pause)):
        await asyncio.wait_for(worked.wait(), 30)
    assert seen.count(Where.AUDIT) == 3
    assert [line["message"] for line in seen.lines].count("trouble") == 1


async def test_looks_that_fail_in_a_row_grow_fewer_until_one_succeeds(
    seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("random.uniform", lambda _low, _high: 1.0)
    outcomes = [OSError(), DEEP, None, None, ApiError(500, "no"), None]
    waits: list[float] = []

    async def look() -> None:
        if outcome := outcomes.pop(0):
            raise outcome

    async def pause(seconds: float) -> None:
        waits.append(seconds)
        await asyncio.sleep(0 if outcomes else 3600)

    async with running(run_periodically(7, look, seen.log, "trouble", seen.faults, Where.AUDIT, pause)):
        await until(lambda: not outcomes)
    assert waits == pytest.approx([0.2, 0.4, 7, 7, 0.2, 7])


async def test_what_ends_again_and_again_is_begun_less_often(
    seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("random.uniform", lambda _low, _high: 1.0)
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async def work() -> None:
        if len(waits) < 3:
            raise DEEP

    monkeypatch.setattr(backoff, "asyncio", SimpleNamespace(sleep=sleep))
    await keep_up(work, seen.faults, Where.EVENT)
    assert waits == pytest.approx([0.2, 0.4, 0.8])


async def test_what_ends_nonetheless_is_begun_again(seen: Seen) -> None:
    begun = 0

    async def work() -> None:
        nonlocal begun
        begun += 1
        if begun < 3:
            raise DEEP

    await asyncio.wait_for(keep_up(work, seen.faults, Where.EVENT), 30)
    assert (begun, seen.count(Where.EVENT)) == (3, 2)


async def test_the_election_goes_on_where_a_term_ends_by_a_fault(
    seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    terms = 0
    again = asyncio.Event()

    async def term(*_: object) -> None:
        nonlocal terms
        terms += 1
        if terms == 1:
            raise DEEP
        again.set()
        await asyncio.sleep(3600)

    async def work() -> None:
        """Lead."""

    monkeypatch.setattr(election, "_one_term", term)
    monkeypatch.setattr(election, "_Lease", lambda *_: None)
    led = election.lead(cast("Any", None), "ns", "one", 15, work, seen.log, seen.faults)
    async with running(led):
        await asyncio.wait_for(again.wait(), 30)
    assert seen.count(Where.ELECTION) == 1


async def test_terms_that_end_badly_follow_each_other_less_often_until_one_is_led(
    seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("random.uniform", lambda _low, _high: 1.0)
    terms: list[Exception | None] = [OSError("reset"), DEEP, None, OSError("reset")]
    waits: list[float] = []

    async def term(lease: object, *_: object) -> None:
        assert lease == "the lease"
        if outcome := terms.pop(0):
            raise outcome

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if not terms:
            await asyncio.Event().wait()

    async def work() -> None:
        """Lead."""

    monkeypatch.setattr(election, "_one_term", term)
    monkeypatch.setattr(election, "_Lease", lambda *_: "the lease")
    monkeypatch.setattr(election, "asyncio", SimpleNamespace(sleep=sleep))
    async with running(election.lead(cast("Any", None), "ns", "one", 15, work, seen.log, seen.faults)):
        await until(lambda: len(waits) == 4)
    assert waits == pytest.approx([0.2, 0.4, 0.2, 0.4])
    said = [line["error"] for line in seen.lines if line["message"] == "not leading"]
    assert said == ["reset", str(DEEP), "not renewed in time", "reset"]
    assert seen.count(Where.ELECTION) == 1
    assert not logging.getLogger("kubernetes.aio.leaderelection").isEnabledFor(logging.ERROR)


async def test_files_are_looked_at_again_whatever_taking_them_up_raised(
    seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reload, "_LOOK_SECONDS", 0)
    invalid = InvalidSettingsError([Problem("--settings", "no such annotation")])
    outcomes: list[Exception | bool] = [DEEP, DEEP, invalid, KeyError("x"), True, DEEP, True]

    def take_up() -> bool:
        outcome = outcomes.pop(0) if outcomes else False
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    reloads = count_reloads(CollectorRegistry(), "settings")
    async with running(follow("settings", take_up, reloads, seen.log)):
        await until(lambda: [line["message"] for line in seen.lines].count("settings reloaded") == 2)
    said = [line.get("error", line["message"]) for line in seen.lines]
    assert said == [
        repr(DEEP),
        "--settings: no such annotation",
        "KeyError('x')",
        "settings reloaded",
        repr(DEEP),
        "settings reloaded",
    ]
    assert (reloads.taken_up._value.get(), reloads.refused._value.get()) == (2, 4)  # noqa: SLF001


def test_a_server_that_asks_for_years_of_patience_gets_minutes() -> None:
    assert Backoff().next_delay(ApiError(429, "slow down", retry_after=float("inf"))) == 300


# --- groups ------------------------------------------------------------------------------------------------

EVIL, HONEST = Key("evil", "shop"), Key("honest", "shop")


class PickyGroups:
    """Groups of which one raises, for a while or always."""

    def __init__(self, *outcomes: Exception | None) -> None:
        self.asked: list[Key] = []
        self.since: list[datetime] = []
        self._outcomes = list(outcomes)

    def news(self, _: Key, after: datetime) -> list[Any]:
        self.since.append(after)
        return []

    def doubtful(self, _: Key) -> list[Any]:
        return []

    def believed(self, _: Key) -> list[Any]:
        return []

    def requirements(self, key: Key) -> None:
        self.asked.append(key)
        if key == EVIL and (error := self._outcomes.pop(0) if self._outcomes else DEEP):
            raise error


def reconciler_of(groups: PickyGroups, queue: WorkQueue, seen: Seen) -> Reconciler:
    """A reconciler without an API server."""
    api = cast("Api", None)
    recorder = Recorder(api, seen.metrics, seen.log)
    return Reconciler(api, cast("Groups", groups), {}, queue, recorder, seen.metrics, seen.log)


async def test_a_group_that_cannot_be_reconciled_is_tried_again_and_the_others_are_served(seen: Seen) -> None:
    groups, queue = PickyGroups(), WorkQueue()
    queue.add(EVIL)
    queue.add(HONEST)
    async with running(reconciler_of(groups, queue, seen).work()):
        await until(lambda: groups.asked.count(EVIL) >= 2 and HONEST in groups.asked)
    assert seen.count(Where.RECONCILE) >= 2
    assert (seen.lines[0]["namespace"], seen.lines[0]["group"]) == EVIL
    assert HONEST not in queue._later, "it is in order"  # noqa: SLF001


async def test_a_group_that_fails_in_a_row_is_tried_less_often_until_it_succeeds(seen: Seen) -> None:
    groups, queue = PickyGroups(DEEP, ApiError(500, "no"), TimeoutError(), None, DEEP, None), WorkQueue()
    queue.add(EVIL)
    async with running(reconciler_of(groups, queue, seen).work()):
        await until(lambda: len(groups.asked) == 4)
        queue.add(EVIL)
        await until(lambda: len(groups.asked) == 6)
        await until(lambda: seen.metrics.reconciled["ok"]._value.get() == 2)  # noqa: SLF001
    assert [line["seconds"] for line in seen.lines] == pytest.approx([0.002, 0.004, 0.008, 0.002])
    assert [line["message"] for line in seen.lines].count("reconcile failed") == 2
    assert seen.metrics.reconciled["error"]._value.get() == 4  # noqa: SLF001
    assert not queue._later  # noqa: SLF001


@pytest.mark.parametrize("error", [ApiError(429, "slow down"), OSError("reset")])
async def test_what_is_wrong_with_the_api_server_pauses_all_groups(
    seen: Seen, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr("random.uniform", lambda _low, _high: 1.0)
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr("asyncio.sleep", sleep)
    groups, queue = PickyGroups(error, error, None), WorkQueue()
    reconciler = reconciler_of(groups, queue, seen)
    for _ in range(2):
        reconciler._put_off(EVIL, error)  # noqa: SLF001
        await reconciler._pause.over()  # noqa: SLF001
    assert [line["message"] for line in seen.lines] == ["reconciliation paused"], (
        "several workers see one error"
    )
    assert 0.1 < waits[-1] <= seen.lines[0]["seconds"] == pytest.approx(0.2)
    assert (len(queue), queue._later) == (1, {}), "it waits for its turn"  # noqa: SLF001


async def test_a_pause_is_short_again_after_a_success(seen: Seen) -> None:
    groups, queue = PickyGroups(OSError("reset"), OSError("reset"), None, OSError("reset"), None), WorkQueue()
    queue.add(EVIL)
    async with running(reconciler_of(groups, queue, seen).work()):
        await until(lambda: len(groups.asked) == 3)
        queue.add(EVIL)
        await until(lambda: len(groups.asked) == 5)
    assert [line["seconds"] for line in seen.lines] == pytest.approx([0.002, 0.004, 0.002])


async def test_only_workloads_of_the_last_two_minutes_are_news(seen: Seen) -> None:
    groups = PickyGroups()
    before = datetime.now(UTC)
    await reconciler_of(groups, WorkQueue(), seen)._reconcile(HONEST)  # noqa: SLF001 - one of them
    (after,) = groups.since
    assert before <= after + timedelta(minutes=2) <= datetime.now(UTC)


# --- Events ------------------------------------------------------------------------------------------------

SHOP = OwnerReference("apps/v1", "Deployment", "shop", "uid-shop")


class Server:
    """Stands in for the API server where it answers what no API server does."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.events = [("ADDED", "1", 7), ("ADDED", "2", "fine"), ("MODIFIED", "3", None)]

    async def pages(self, *_: object, **__: object) -> AsyncIterator[Any]:
        nothing: list[Any] = []
        for page in nothing:
            yield page

    async def apply(self, _: object, obj: dict[str, Any], *, force: bool) -> None:
        assert force
        if obj["message"] == "evil":
            raise DEEP
        self.said.append(obj["message"])

    async def get(self, *_: object) -> None:
        return None

    async def watch(self, *_: object, **__: object) -> AsyncIterator[Any]:
        for change, version, message in self.events:
            denied = 'admission webhook "pods.sidecar.hazelcast.com" denied the request: '
            text = denied + message if isinstance(message, str) else message
            metadata = Metadata(namespace="ns", resource_version=version)
            yield change, SimpleNamespace(metadata=metadata, message=text, involved_object=SHOP)


async def test_an_event_that_cannot_be_written_does_not_keep_the_next_one(seen: Seen) -> None:
    server = Server()
    recorder = Recorder(cast("Api", server), seen.metrics, seen.log)
    for sentence in ("evil", "honest"):
        recorder.tell("ns", SHOP, "Injected", sentence, pod=SHOP)
    async with running(recorder.work()):
        await until(lambda: server.said)
    assert server.said == ["honest"]
    assert seen.count(Where.EVENT) == 1


async def test_an_event_that_cannot_be_read_does_not_keep_the_next_one(seen: Seen) -> None:
    server = Server()
    recorder = Recorder(cast("Api", server), seen.metrics, seen.log)
    denials = Denials(cast("Api", server), recorder, seen.metrics, seen.log)
    await denials._watch()  # noqa: SLF001 - one watch
    assert [news.sentence for news in recorder._pending] == ["fine"]  # noqa: SLF001
    assert denials._version == "3", "it moves on"  # noqa: SLF001
    assert seen.count(Where.DENIAL) == 2


@pytest.mark.parametrize("part", ["api_version", "kind", "name", "uid"])
def test_what_cannot_be_an_owner_gets_no_event(seen: Seen, part: str) -> None:
    recorder = Recorder(cast("Api", Server()), seen.metrics, seen.log)
    owner = msgspec.structs.replace(SHOP, **{part: "x\x1b[31m"})
    recorder.tell("ns", owner, "Injected", "a", pod=None)
    assert not recorder._pending  # noqa: SLF001
    assert seen.metrics.events["dropped"]._value.get() == 1  # noqa: SLF001


# --- the audit ---------------------------------------------------------------------------------------------


class Picky(DriftDetector):
    """Cannot judge what is named evil."""

    def __init__(self) -> None:
        super().__init__(Settings())

    def drifted(self, record: InjectedPod) -> Verdict | None:
        if record.namespace == "evil":
            raise DEEP
        return Verdict("drifted", repairable=True)


async def test_a_record_that_cannot_be_judged_costs_no_other_its_verdict(seen: Seen) -> None:
    pods = WatchedPods(Groups(lambda _: None), seen.log)
    for each in (injected("a", "evil"), injected("b", "honest")):
        pods.upsert(each)
    assert [found.name for found in await drifted_pods(pods, Picky(), seen.faults)] == ["b"]
    assert seen.count(Where.AUDIT) == 1


class Pods:
    """Stands in for an API server with Pods of which one does not decode."""

    async def pages(self, *_: object, **__: object) -> AsyncIterator[Page[Partial]]:
        pods = [
            Metadata(name=name, uid=name, known_annotations={INJECT: "true"}) for name in ("evil", "honest")
        ]
        yield Page(metadata=SimpleNamespace(next=""), items=[Partial(pod) for pod in pods])  # type: ignore[arg-type]

    async def get(self, *_: object) -> None:
        return None

    async def read(self, kind: Kind, _: str, name: str) -> dict[str, Any] | None:
        if kind != POD:
            return None
        metadata = {"name": name, "uid": name, "annotations": {INJECT: "true"}}
        return {"metadata": metadata, "spec": {"containers": "none" if name == "evil" else []}}


async def test_a_pod_that_cannot_be_read_costs_no_other_the_audit(seen: Seen) -> None:
    findings = cast("Findings", None)
    detector = DriftDetector(Settings())
    pods = WatchedPods(Groups(lambda _: None), seen.log)
    auditor = Auditor(cast("Api", Pods()), detector, pods, findings, findings, 300, seen.log, seen.faults)
    found = [finding.name async for finding in auditor._without_member()]  # noqa: SLF001 - one look
    assert found == ["honest"]
    assert seen.count(Where.AUDIT) == 1
    assert seen.lines[0]["name"] == "evil"


# --- the whole controller ----------------------------------------------------------------------------------


async def test_a_part_of_the_leaders_work_that_ends_ends_no_other(
    seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What each part guards itself against is above; this is for what none of them does."""
    begun: list[str] = []
    controller = cast("Any", Controller.__new__(Controller))
    controller.metrics, controller.faults = seen.metrics, seen.faults

    def part(name: str, fails: int = 0) -> Callable[[], Awaitable[None]]:
        async def work() -> None:
            begun.append(name)
            if begun.count(name) <= fails:
                raise DEEP
            await asyncio.sleep(3600)

        return work

    controller._api = controller._recorder = controller._log = None  # noqa: SLF001
    controller._recorder = SimpleNamespace(work=part("events", 2))  # noqa: SLF001
    controller._webhook_owner = SimpleNamespace(work=part("owner"))  # noqa: SLF001
    controller._keeper = SimpleNamespace(work=part("certificates", 1))  # noqa: SLF001
    controller._reconcile = part("reconcile")  # noqa: SLF001
    controller._audit = part("audit", 1)  # noqa: SLF001
    controller._split_seconds = 60.0  # noqa: SLF001
    controller._split_detector = lambda _: SimpleNamespace(work=part("splits", 1))  # noqa: SLF001
    monkeypatch.setattr(
        "hazelcast_sidecar.controller.lifecycle.Denials", lambda *_: SimpleNamespace(run=part("denials", 1))
    )
    leads = seen.metrics.leader._value.get  # noqa: SLF001
    async with running(controller.work()):
        await until(lambda: len(begun) == 13)
        assert leads() == 1
    assert leads() == 0
    assert begun.count("events") == 3
    assert (begun.count("owner"), begun.count("reconcile"), begun.count("splits")) == (1, 1, 2)
    assert (seen.count(Where.CERTIFICATES), seen.count(Where.SPLITS)) == (1, 1)


# --- check -------------------------------------------------------------------------------------------------


def test_a_check_that_fails_says_so_and_the_others_go_on() -> None:
    def broken(_: Snapshot) -> list[CheckResult]:
        raise DEEP

    found = findings(HEALTHY, (broken, *OF_INSTALLATION))
    assert found[1:] == findings(HEALTHY, OF_INSTALLATION)
    assert (found[0].check, found[0].state) == ("broken", State.PROBLEM)
    assert repr(DEEP) in found[0].message


@pytest.mark.parametrize("check", [missed, drifted])
def test_a_pod_that_cannot_be_judged_is_a_finding_and_the_others_are_judged(
    monkeypatch: pytest.MonkeyPatch, check: Callable[[Snapshot], list[CheckResult]]
) -> None:
    def judged(_: DriftDetector, first: Any, *_rest: Any) -> Verdict:
        if (first if isinstance(first, str) else first.namespace) == "evil":
            raise DEEP
        return Verdict("because", repairable=True)

    monkeypatch.setattr(DriftDetector, "missed", judged)
    monkeypatch.setattr(DriftDetector, "drifted", judged)
    pods = [injected("a", "evil"), injected("b", "honest")]
    both = [pod_without_member("a", "evil"), pod_without_member("b", "honest")]
    found = check(replace(HEALTHY, pods=pods, without_member=both))
    assert [("evil/a" in f.message, "honest/b" in f.message) for f in found] == [(True, False), (False, True)]


def test_a_fix_can_be_pasted_whatever_the_owner_is_called() -> None:
    evil = pod_without_member()
    evil.metadata.owner_references = (
        OwnerReference("apps/v1", "StatefulSet", "x; rm -rf ~ #", "u", controller=True),
    )
    (found,) = missed(replace(HEALTHY, without_member=[evil]))
    assert found.fix == "kubectl -n team-a rollout restart 'statefulset/x; rm -rf ~ #'"


# --- settings ----------------------------------------------------------------------------------------------


def test_a_user_of_thousands_of_digits_is_refused_with_a_sentence() -> None:
    with pytest.raises(InvalidSettingsError, match="is neither a user"):
        read(f"runAsUser: {'9' * 5000}")
