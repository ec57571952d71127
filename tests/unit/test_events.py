"""What Events say, what they are called, how often they are written, and what happens when they cannot be."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from hazelcast_sidecar.controller.events import recorder as recorder_module
from hazelcast_sidecar.controller.events.event import MAX_MESSAGE, EventNotice, cut, event_name
from hazelcast_sidecar.controller.events.recorder import Recorder
from hazelcast_sidecar.controller.shared.controller_metrics import ControllerMetrics
from hazelcast_sidecar.controller.shared.token_bucket import TokenBucket
from hazelcast_sidecar.kube.client import Api, ApiError, ListMetadata, Page
from hazelcast_sidecar.kube.objects import EVENT, Kind, Metadata, Partial
from hazelcast_sidecar.names import is_object_name
from hazelcast_sidecar.owners import OwnerReference

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
SHOP = OwnerReference("apps/v1", "Deployment", "shop", "uid-shop")
NEWS = EventNotice("ns", SHOP, "Injected", "it is there", warning=False)


# --- names and sentences -----------------------------------------------------------------------------------


@given(name=st.text(max_size=300), uid=st.text(max_size=50), sentence=st.text(max_size=100))
def test_every_event_has_a_name_that_the_api_server_takes(name: str, uid: str, sentence: str) -> None:
    subject = OwnerReference("apps/v1", "Deployment", name, uid)
    assert is_object_name(
        event_name(EventNotice("ns", subject, "Injected", sentence, warning=False), subject)
    )


@pytest.mark.parametrize(
    ("name", "stem"),
    [("shop", "shop"), ("a.b-c", "a.b-c"), ("x" * 253, "x" * 236), ("x" * 235 + ".y", "x" * 235)],
)
def test_a_name_begins_with_the_workloads_own(name: str, stem: str) -> None:
    subject = OwnerReference("apps/v1", "Deployment", name, "uid")
    assert event_name(NEWS, subject).rpartition(".")[0] == stem


def test_whatever_makes_another_event_makes_another_name() -> None:
    names = {
        event_name(
            NEWS._replace(reason=reason, sentence=sentence), OwnerReference("apps/v1", "X", "shop", uid)
        )
        for reason in ("Injected", "Conflict")
        for sentence in ("a", "b")
        for uid in ("1", "2")
    }
    assert len(names) == 8
    assert event_name(NEWS, SHOP) == event_name(NEWS._replace(owner=SHOP, warning=True), SHOP)


@example(length=MAX_MESSAGE, rest="")
@example(length=MAX_MESSAGE + 1, rest="")
@given(length=st.integers(1000, 1030), rest=st.text(max_size=30).filter(str.isprintable))
def test_a_message_is_the_sentence_or_as_much_of_it_as_there_is_room_for(length: int, rest: str) -> None:
    sentence = "x" * length + rest
    message = cut(sentence)
    if len(sentence.encode()) <= MAX_MESSAGE:
        assert message == sentence
    else:
        # The ellipsis has three bytes, and a letter of up to four may not fit in front of it.
        assert MAX_MESSAGE - 3 <= len(message.encode()) <= MAX_MESSAGE
        assert message.endswith("…")
        assert sentence.startswith(message.removesuffix("…"))


@given(sentence=st.text(max_size=2000))
def test_a_message_is_one_printable_line_whatever_it_repeats(sentence: str) -> None:
    assert cut(sentence).isprintable()
    assert len(cut(sentence).encode()) <= MAX_MESSAGE


def test_what_is_not_printable_is_escaped() -> None:
    assert cut("a\ud800b\x1b[31m\u202ec\n") == r"a\ud800b\x1b[31m\u202ec\n"


# --- the bucket --------------------------------------------------------------------------------------------


def test_a_bucket_gives_a_burst_and_then_so_many_a_second() -> None:
    now = 100.0
    bucket = TokenBucket(3, 2.0, lambda: now)
    assert [bucket.take() for _ in range(5)] == [0, 0, 0, 0.5, 1.0]
    now += 1.0  # those two have come, and been waited for
    assert bucket.take() == 0.5
    now += 1.0
    assert [bucket.take(), bucket.take()] == [0.0, 0.5]
    now += 3600
    assert [bucket.take() for _ in range(4)] == [0, 0, 0, 0.5], "it holds no more than its burst"


# --- the recorder ------------------------------------------------------------------------------------------


class Server:
    """Stands in for the API server where time passes or writing fails."""

    def __init__(self) -> None:
        self.applied: list[dict[str, Any]] = []
        self.error: Exception | None = None
        self.recorded: list[dict[str, Any]] = []

    async def pages(self, kind: Kind, item: type[Any], **query: str) -> AsyncIterator[Page[Any]]:
        assert (kind, query) == (EVENT, {"fieldSelector": "reportingComponent=hazelcast-sidecar-controller"})
        if self.error:
            raise self.error
        for event in self.recorded:
            yield Page(ListMetadata(), [msgspec.convert(event, item)])

    async def get(self, kind: Kind, namespace: str, name: str) -> Partial | None:
        assert (kind.name, bool(namespace)) == ("Deployment", True)
        if self.error:
            raise self.error
        return Partial(Metadata(name=name, uid=SHOP.uid)) if name == SHOP.name else None

    async def apply(self, kind: Kind, obj: dict[str, Any], *, force: bool) -> None:
        assert (kind, force) == (EVENT, True)
        if self.error:
            raise self.error
        self.applied.append(obj)


class Telling:
    """A recorder at work, with a clock of its own."""

    def __init__(self) -> None:
        self.now = NOW
        self.server = Server()
        self.logged: list[str] = []
        self.metrics = ControllerMetrics(pods=lambda: 0, queue_depth=lambda: 0, requests=lambda: 0)
        self.recorder = Recorder(
            cast("Api", self.server), self.metrics, self._log, lambda: self.now, self._seconds
        )

    def _seconds(self) -> float:
        return (self.now - NOW).total_seconds()

    def _log(self, message: str, **_: object) -> None:
        self.logged.append(message)

    def tell(self, sentence: str, *, namespace: str = "ns", warning: bool = False) -> None:
        self.recorder.tell(namespace, SHOP, "Injected", sentence, pod=None, warning=warning)

    async def settle(self) -> None:
        """Let it work until nothing is left to do."""
        working = asyncio.create_task(self.recorder.work())
        written = -1
        while written != len(self.server.applied):
            written = len(self.server.applied)
            await asyncio.sleep(0.02)
        working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working

    def count(self, result: str) -> float:
        for family in text_string_to_metric_families(self.metrics.exposition().decode()):
            for sample in family.samples:
                if sample.name.endswith("_events_total") and sample.labels["result"] == result:
                    return sample.value
        raise AssertionError(result)


@pytest.fixture
def telling() -> Telling:
    return Telling()


async def test_the_same_is_written_once_in_five_minutes_with_its_count(telling: Telling) -> None:
    for _ in range(3):
        telling.tell("a")
    await telling.settle()
    for minutes in (1, 4):
        telling.now = NOW + timedelta(minutes=minutes)
        telling.tell("a")
        await telling.settle()
    assert [found["count"] for found in telling.server.applied] == [3]
    telling.now = NOW + timedelta(minutes=5)
    telling.tell("a")
    await telling.settle()
    first, second = telling.server.applied
    assert first["metadata"]["name"] == second["metadata"]["name"]
    assert (second["count"], second["firstTimestamp"], second["lastTimestamp"]) == (
        6,
        "2026-01-05T12:00:00Z",
        "2026-01-05T12:05:00Z",
    )


async def test_failures_are_counted_logged_once_and_not_tried_again(telling: Telling) -> None:
    telling.server.error = ApiError(403, "no")
    for sentence in "abc":
        telling.tell(sentence)
    await telling.settle()
    assert telling.logged == ["failed to write Events"]
    assert telling.count("failed") == 4, "and that it cannot read what was told"
    telling.server.error = None
    telling.tell("d", warning=True)
    await telling.settle()
    assert [found["message"] for found in telling.server.applied] == ["d"]
    assert (telling.server.applied[0]["type"], telling.count("sent")) == ("Warning", 1)


async def test_a_failure_is_logged_again_after_a_success(telling: Telling) -> None:
    for number in range(2):
        telling.server.error = ApiError(403, "no")
        telling.tell(f"a {number}")
        await telling.settle()
        telling.server.error = None
        telling.tell(f"b {number}")
        await telling.settle()
        assert telling.logged == ["failed to write Events"] * (number + 1)


async def test_what_is_told_while_nothing_is_left_to_do_is_written(telling: Telling) -> None:
    working = asyncio.create_task(telling.recorder.work())
    for number in range(2):
        async with asyncio.timeout(30):
            while not telling.recorder._some._waiters:  # noqa: ASYNC110, SLF001
                await asyncio.sleep(0)
        telling.tell(str(number))
        async with asyncio.timeout(30):
            while len(telling.server.applied) <= number:  # noqa: ASYNC110 - it knows of no event
                await asyncio.sleep(0)
    working.cancel()


async def test_what_a_former_leader_wrote_is_counted_on(telling: Telling) -> None:
    for sentence in "ab":
        telling.tell(sentence)
    await telling.settle()
    written = telling.server.applied
    for minutes, counts in ((4, []), (5, [(2, written[0]["firstTimestamp"])])):
        successor = Telling()
        successor.server.recorded = [*written, {"metadata": written[0]["metadata"]}]
        successor.now = NOW + timedelta(minutes=minutes)
        successor.tell("a")
        await successor.settle()
        assert [(each["count"], each["firstTimestamp"]) for each in successor.server.applied] == counts


@pytest.mark.heavy
async def test_what_was_not_written_for_longest_is_forgotten_first(
    telling: Telling, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "_MAX_TOLD", 2)
    for minutes, sentence in enumerate("ab" + "acba"):
        telling.now = NOW + timedelta(minutes=6 * minutes)
        telling.tell(sentence)
        await telling.settle()
    counts = [(found["message"], found["count"]) for found in telling.server.applied]
    assert counts == [("a", 1), ("b", 1), ("a", 2), ("c", 1), ("b", 1), ("a", 1)]


async def test_a_look_at_what_is_unknown_and_an_event_take_their_turn_and_a_repetition_takes_none(
    telling: Telling, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[float] = []

    def take() -> float:
        taken.append(0.0)
        return 0.0

    monkeypatch.setattr(telling.recorder._bucket, "take", take)  # noqa: SLF001
    for sentence, turns in (("a", 1), ("b", 2), ("b", 2), ("c", 3)):
        telling.tell(sentence)
        await telling.settle()
        assert len(taken) == turns, sentence


async def test_nothing_is_kept_of_namespaces_whose_notices_are_written(telling: Telling) -> None:
    for number in range(6):
        telling.tell(str(number), namespace=f"ns-{number % 2}")
    await telling.settle()
    assert len(telling.server.applied) == 6
    assert not telling.recorder._served  # noqa: SLF001 - what is kept is the point
    assert not telling.recorder._waiting  # noqa: SLF001


async def test_so_many_wait_and_no_more(telling: Telling) -> None:
    for number in range(1100):
        telling.tell(str(number), namespace=f"ns-{number % 10}")
    telling.tell("1", namespace="ns-1")  # it waits already
    assert telling.count("dropped") == 100
    await telling.settle()
    assert len(telling.server.applied) == 50, "the burst"
    telling.now += timedelta(seconds=10)
    await telling.settle()
    assert len(telling.server.applied) == 50, "what waits for one who does not lead any more is not told"


async def test_what_waited_in_one_term_takes_no_place_in_the_next(telling: Telling) -> None:
    for number in range(300):
        telling.tell(str(number))
    await telling.settle()
    dropped = telling.count("dropped")
    for number in range(200):
        telling.tell(f"in the next term {number}")
    assert telling.count("dropped") == dropped


async def test_one_namespace_neither_fills_the_places_nor_keeps_the_turns_of_others(telling: Telling) -> None:
    for number in range(1100):
        telling.tell(str(number), namespace="loud")
    assert telling.count("dropped") == 900
    for number in range(3):
        telling.tell(f"honest {number}", namespace=f"quiet-{number % 2}")
    await telling.settle()
    assert [found["message"] for found in telling.server.applied[:7]] == [
        *("0", "honest 0", "honest 1", "1", "honest 2", "2", "3")
    ]


POD = OwnerReference("v1", "Pod", "shop-1", "uid-pod")


@pytest.mark.parametrize(
    ("claimed", "pod", "about"),
    [
        (SHOP, POD, SHOP),
        (SHOP, None, SHOP),
        (msgspec.structs.replace(SHOP, uid="another"), POD, POD),
        (msgspec.structs.replace(SHOP, name="gone"), POD, POD),
        (msgspec.structs.replace(SHOP, name="../secrets/x"), POD, POD),
        (msgspec.structs.replace(SHOP, uid="another"), None, None),
        (OwnerReference("v1", "Node", "node", "uid-node"), POD, POD),
        (OwnerReference("apps.kruise.io/v1alpha1", "CloneSet", "shop", "uid"), POD, POD),
        (OwnerReference("v1", "Pod", "shop-2", "another"), POD, POD),
        (POD, POD, POD),
        (POD, None, None),
    ],
)
async def test_an_event_is_about_what_exists(
    telling: Telling, claimed: OwnerReference, pod: OwnerReference | None, about: OwnerReference | None
) -> None:
    telling.recorder.tell("ns", claimed, "Injected", "a", pod=pod)
    await telling.settle()
    found = [
        (event["involvedObject"]["kind"], event["involvedObject"]["uid"]) for event in telling.server.applied
    ]
    assert found == ([(about.kind, about.uid)] if about else [])
    assert telling.count("unconfirmed") == (0 if about else 1)
