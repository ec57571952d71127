"""What the leader's audit, repair and watch of denials wait for and ask for, without an API server."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from hazelcast_sidecar.controller.audit import auditor, repairer
from hazelcast_sidecar.controller.audit.auditor import Auditor
from hazelcast_sidecar.controller.audit.drifted_pods import drifted_pods
from hazelcast_sidecar.controller.audit.findings import DRIFTED, MISSED, Findings
from hazelcast_sidecar.controller.audit.registered import Registered
from hazelcast_sidecar.controller.audit.repairer import Repairer
from hazelcast_sidecar.controller.events.denials import Denials, _FailedCreate
from hazelcast_sidecar.controller.events.recorder import Recorder
from hazelcast_sidecar.controller.lifecycle import Controller
from hazelcast_sidecar.controller.reconcile.groups import Groups
from hazelcast_sidecar.controller.reconcile.verification import Verifier
from hazelcast_sidecar.controller.shared.controller_metrics import Where
from hazelcast_sidecar.controller.shared.watched_pods import WatchedPods
from hazelcast_sidecar.injection.drift import DriftDetector
from hazelcast_sidecar.kube.client import Api, ListMetadata, Page
from hazelcast_sidecar.kube.objects import POD, RUNNING, Kind, Metadata, Partial
from hazelcast_sidecar.names import GROUP, INJECT, INJECTOR
from hazelcast_sidecar.owners import OwnerReference
from hazelcast_sidecar.spec.settings import Settings
from tests.harness.controller_parts import Seen, running, until
from tests.unit.snapshots import injected


class Pods:
    """Stands in for an API server: lists Pods that ask for a member, and has some of them later."""

    def __init__(self, **uids: str | None) -> None:
        self._uids = uids

    async def pages(self, *_: object, **__: object) -> AsyncIterator[Page[Partial]]:
        pods = [
            Metadata(name=name, uid=f"uid-{name}", known_annotations={INJECT: "true"}) for name in self._uids
        ]
        yield Page(ListMetadata(), [Partial(pod) for pod in pods])

    async def get(self, *_: object) -> None:
        """Read a namespace."""

    async def read(self, kind: Kind, _: str, name: str) -> dict[str, Any] | None:
        if kind != POD:
            return None
        uid = self._uids[name]
        if uid is None:
            return None
        return {
            "metadata": {"name": name, "uid": uid, "annotations": {INJECT: "true"}},
            "spec": {"containers": []},
        }


class Audit:
    """An auditor, with what it found."""

    def __init__(self, seen: Seen, pods: Pods) -> None:
        self.watched = WatchedPods(Groups(lambda _: None), seen.log)
        self.missed, self.drifted = (self._findings(reason, seen) for reason in (MISSED, DRIFTED))
        self.auditor = Auditor(
            cast("Api", pods),
            DriftDetector(Settings()),
            self.watched,
            self.missed,
            self.drifted,
            300,
            seen.log,
            seen.faults,
        )

    @staticmethod
    def _findings(reason: str, seen: Seen) -> Findings:
        return Findings(reason, seen.log, lambda *_, **__: None)

    def names(self, findings: Findings) -> list[str]:
        return [finding.name for found in findings.by_owner() for finding in found]


async def test_a_pod_that_goes_or_is_replaced_before_it_is_read_is_no_finding(seen: Seen) -> None:
    audit = Audit(seen, Pods(gone=None, replaced="uid-another", there="uid-there"))
    await audit.auditor._look_for_missed()  # noqa: SLF001 - one look
    assert audit.names(audit.missed) == ["there"]
    assert seen.count(Where.AUDIT) == 0


async def test_a_drifted_pod_that_comes_while_the_leader_runs_is_found_in_this_term_and_in_the_next(
    seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auditor, "_PAUSE_SECONDS", 0)
    audit = Audit(seen, Pods())
    audit.watched.changed.set()
    async with running(audit.auditor.work()):
        await until(lambda: not audit.watched.changed.is_set())
        audit.watched.upsert(injected("old", fingerprint="0" * 16))
        await until(lambda: audit.names(audit.drifted) == ["old"])
    assert audit.names(audit.drifted) == [], "another replica may lead now"
    async with running(audit.auditor.work()):
        await until(lambda: audit.names(audit.drifted) == ["old"])


async def test_a_look_for_drifted_pods_that_failed_is_made_again_though_nothing_changed(
    seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("random.uniform", lambda _low, _high: 0.01)
    monkeypatch.setattr(auditor, "_PAUSE_SECONDS", 0)
    audit = Audit(seen, Pods())
    audit.watched.upsert(injected("old", fingerprint="0" * 16))
    # The look for missed Pods begins one, too.
    failures: list[Exception] = [RecursionError("deep"), RecursionError("deep")]

    async def drifted(*given: Any) -> Any:
        if failures:
            raise failures.pop()
        return await drifted_pods(*given)

    monkeypatch.setattr(auditor, "drifted_pods", drifted)
    async with running(audit.auditor.work()):
        await until(lambda: audit.names(audit.drifted) == ["old"])
    assert seen.count(Where.AUDIT) == 2


async def test_the_audit_waits_for_the_index_of_injected_pods(seen: Seen) -> None:
    begun = asyncio.Event()

    async def work() -> None:
        begun.set()
        await asyncio.Event().wait()

    controller = cast("Any", Controller.__new__(Controller))
    controller.faults, controller._repairer = seen.faults, None  # noqa: SLF001
    controller._pods_known = asyncio.Event()  # noqa: SLF001
    controller._auditor = SimpleNamespace(work=work)  # noqa: SLF001
    async with running(controller._audit()):  # noqa: SLF001
        for _ in range(100):
            await asyncio.sleep(0)
        assert not begun.is_set()
        controller._pods_known.set()  # noqa: SLF001
        await until(begun.is_set)


async def test_repair_waits_before_the_next_look(seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    looks = 0

    def clock() -> float:
        nonlocal looks
        looks += 1
        assert looks < 1000, "it never waits"
        return 0.0

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        await asyncio.Event().wait()

    monkeypatch.setattr(repairer, "asyncio", SimpleNamespace(sleep=sleep))
    repair = Repairer(
        cast("Api", Pods()),
        DriftDetector(Settings()),
        [Audit(seen, Pods()).missed],
        seconds=300,
        metrics=seen.metrics,
        log=seen.log,
        tell=lambda *_, **__: None,
        clock=clock,
    )
    async with running(repair.work()):
        await until(lambda: waits or looks >= 1000)
    assert waits == [repairer._LOOK_SECONDS]  # noqa: SLF001


async def test_of_all_events_only_those_that_may_tell_of_a_denial_are_asked_for(seen: Seen) -> None:
    """A cluster has thousands of others an hour."""
    asked: list[Any] = []

    class Events:
        async def pages(self, *_: object, **query: object) -> AsyncIterator[Page[Partial]]:
            asked.append(query)
            yield Page(ListMetadata(resource_version="7"), [])

        async def watch(self, *arguments: object, **query: object) -> AsyncIterator[Any]:
            asked.append((arguments[-1], query))
            return
            yield

    denials = Denials(cast("Api", Events()), cast("Recorder", None), seen.metrics, seen.log)
    await denials._list()  # noqa: SLF001 - once each
    await denials._watch()  # noqa: SLF001
    selector = {"fieldSelector": "reason=FailedCreate,involvedObject.kind=ReplicaSet"}
    assert asked == [selector, ("7", selector)]


DENIED = 'admission webhook "pods.sidecar.hazelcast.com" denied the request: '


@pytest.mark.parametrize(
    ("change", "message", "told"),
    [
        ("ADDED", f"Error creating: {DENIED}port: no", "port: no"),
        ("MODIFIED", f"{DENIED}port: no", "port: no"),
        (
            "ADDED",
            f"forbidden: ValidatingAdmissionPolicy '{INJECTOR}' with binding '{INJECTOR}' denied request: no",
            "no",
        ),
        ("DELETED", f"{DENIED}port: no", None),
        ("BOOKMARK", f"{DENIED}port: no", None),
        ("ADDED", 'admission webhook "x.example" denied the request: no', None),
        ("ADDED", "exceeded quota", None),
    ],
)
async def test_a_workload_is_warned_of_what_we_denied_alone(
    seen: Seen, change: str, message: str, told: str | None
) -> None:
    event = {
        "metadata": {"namespace": "ns", "name": "x", "resourceVersion": "8"},
        "message": message,
        "involvedObject": {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "shop-1", "uid": "uid-1"},
    }

    class Events:
        async def watch(self, _: Kind, item: type[Any], *__: object, **___: object) -> AsyncIterator[Any]:
            yield change, msgspec.convert(event, item)

    said: list[Any] = []
    recorder = SimpleNamespace(tell=lambda *what, **more: said.append((what, more)))
    denials = Denials(cast("Api", Events()), cast("Recorder", recorder), seen.metrics, seen.log)
    await denials._watch()  # noqa: SLF001 - once
    owner = OwnerReference("apps/v1", "ReplicaSet", "shop-1", "uid-1")
    expected = (("ns", owner, "Denied", told), {"pod": None, "warning": True, "asking": False})
    assert said == ([expected] if told else [])
    assert denials._version == "8"  # noqa: SLF001
    assert seen.lines == []


@pytest.mark.parametrize("part", ["apiVersion", "kind", "name", "uid"])
def test_an_event_about_what_no_object_can_be_called_is_not_read(part: str) -> None:
    about = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "shop-1", "uid": "uid-1"}
    longest = 1024 - sum(map(len, about.values())) + len(about[part])
    msgspec.convert({"metadata": {}, "involvedObject": about | {part: "x" * longest}}, _FailedCreate)
    with pytest.raises(msgspec.ValidationError, match="a name that no object can have"):
        msgspec.convert(
            {"metadata": {}, "involvedObject": about | {part: "x" * (longest + 1)}}, _FailedCreate
        )


async def test_only_pods_that_ask_and_are_there_to_stay_are_read(seen: Seen) -> None:
    read: list[str] = []

    class Listed(Pods):
        async def pages(self, *_: object, **query: object) -> AsyncIterator[Page[Partial]]:
            asks = {INJECT: "true"}
            pods = [
                Metadata(name="asks", uid="uid-asks", known_annotations=asks),
                Metadata(
                    name="ends", uid="uid-ends", known_annotations=asks, deletion_timestamp="2026-01-01"
                ),
                Metadata(name="asks-not", uid="uid-asks-not"),
                Metadata(name="declines", uid="uid-declines", known_annotations={INJECT: "false"}),
            ]
            assert query == {"labelSelector": f"!{GROUP}", "fieldSelector": RUNNING}
            yield Page(ListMetadata(), [Partial(pod) for pod in pods])

        async def read(self, kind: Kind, namespace: str, name: str) -> dict[str, Any] | None:
            if kind == POD:
                read.append(name)
            return await super().read(kind, namespace, name)

    audit = Audit(seen, Listed(asks="uid-asks"))
    await audit.auditor._look_for_missed()  # noqa: SLF001 - one look
    assert (read, audit.names(audit.missed)) == (["asks"], ["asks"])


async def test_changed_settings_have_all_pods_audited_at_once(seen: Seen) -> None:
    looks = 0

    class Listed(Pods):
        async def pages(self, *_: object, **__: object) -> AsyncIterator[Page[Partial]]:
            nonlocal looks
            looks += 1
            yield Page(ListMetadata(), [])

    audit = Audit(seen, Listed())
    async with running(audit.auditor.work()):
        await until(lambda: looks == 1)
        audit.auditor.use(Settings({"port": "6000"}))
        await until(lambda: looks == 2)
        for _ in range(100):
            await asyncio.sleep(0)
        assert looks == 2, "and then five minutes later"


async def test_what_is_registered_and_a_namespace_are_read_once_for_each_look() -> None:
    asked: list[str] = []

    class Registry:
        async def read(self, kind: Kind, _: str, name: str) -> None:
            asked.append(f"{kind.name} {name}")

        async def get(self, kind: Kind, _: str, name: str) -> Partial | None:
            asked.append(f"{kind.name} {name}")
            return Partial(Metadata(labels={"a": "b"})) if name == "there" else None

    registered = Registered(cast("Api", Registry()))
    for namespace in ("there", "gone", "there", "gone"):
        await registered.selected(namespace, {})
    assert asked == [
        "MutatingWebhookConfiguration hazelcast-sidecar-injector",
        "MutatingAdmissionPolicy hazelcast-sidecar-injector",
        "MutatingAdmissionPolicyBinding hazelcast-sidecar-injector",
        "Namespace there",
        "Namespace gone",
    ]


async def test_of_many_claims_some_are_verified_before_other_groups_have_their_turn(seen: Seen) -> None:
    reads: list[str] = []

    class Gone:
        async def read_as(self, _: object, kind: Kind, namespace: str, name: str) -> None:
            reads.append(f"{kind.name} {namespace}/{name}")

    groups = Groups(lambda _: None)
    pods = WatchedPods(groups, seen.log)
    for number in range(45):
        pods.upsert(injected(f"{number:02}"))
    (key,) = groups.keys()
    api = cast("Api", Gone())
    verifier = Verifier(api, groups, Recorder(api, seen.metrics, seen.log), seen.metrics, seen.log)
    assert [await verifier.verify(key) for _ in range(3)] == [False, False, True]
    assert len(set(reads)) == len(reads) == 45
