"""What the audit makes of Pods, and when repair evicts one, without an API server."""

import json
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from hazelcast_sidecar.controller.audit import repairer
from hazelcast_sidecar.controller.audit.audit_metrics import AuditMetrics
from hazelcast_sidecar.controller.audit.drifted_pods import drifted_pods
from hazelcast_sidecar.controller.audit.findings import DRIFTED, MISSED, Finding, Findings
from hazelcast_sidecar.controller.audit.repairer import LivePod, Repairer
from hazelcast_sidecar.controller.reconcile.groups import Groups
from hazelcast_sidecar.controller.shared.controller_metrics import ControllerMetrics
from hazelcast_sidecar.controller.shared.faults import Faults
from hazelcast_sidecar.controller.shared.watched_pods import WatchedPods, selector_of
from hazelcast_sidecar.injection.drift import (
    DriftDetector,
    InjectedPod,
    Verdict,
    injected_pod,
    unless_excluded,
)
from hazelcast_sidecar.injection.fingerprint import UNKNOWN
from hazelcast_sidecar.injection.reviewer import Reviewer
from hazelcast_sidecar.kube.client import ApiError, ListMetadata, Page
from hazelcast_sidecar.kube.objects import NAMESPACE, WEBHOOK_CONFIGURATION, Kind, Metadata, Partial, owner_of
from hazelcast_sidecar.model.pod import Container, Named, Pod
from hazelcast_sidecar.model.selection import Selected
from hazelcast_sidecar.names import INJECT, STATUS
from hazelcast_sidecar.owners import OwnerReference
from hazelcast_sidecar.spec.settings import Settings
from tests.harness.pods import ours
from tests.harness.pods import pod as sent
from tests.harness.reviews import patched, response_in, review_of

MEMBER = Container(name="hazelcast", env=[Named("HAZELCAST_CONFIG")])
SHOP = OwnerReference("apps/v1", "ReplicaSet", "shop-6d4b75cb6d", "uid-shop")


def injected(
    uid: str, settings: Settings | None = None, namespace: str = "ns", **annotations: str
) -> Metadata:
    """The metadata of a Pod as the webhook, with these settings, leaves it."""
    obj = sent(ours(**annotations))
    review = review_of(obj, namespace=namespace)
    response = response_in(Reviewer(settings).review_pod(json.dumps(review).encode()))
    metadata = patched(obj, response)["metadata"] | {
        "name": f"shop-{uid}",
        "namespace": namespace,
        "uid": uid,
    }
    metadata["ownerReferences"] = [msgspec.to_builtins(SHOP) | {"controller": True}]
    return msgspec.convert(metadata, Metadata)


def record(*arguments: Any, **fields: Any) -> InjectedPod:
    found = injected_pod(injected(*arguments, **fields))
    assert found
    return found


def with_fingerprint(of: InjectedPod, fingerprint: str) -> InjectedPod:
    return msgspec.structs.replace(of, status=msgspec.structs.replace(of.status, fingerprint=fingerprint))


def watched() -> WatchedPods:
    return WatchedPods(Groups(lambda _: None), lambda *_, **__: None)


def faults() -> Faults:
    metrics = ControllerMetrics(pods=lambda: 0, queue_depth=lambda: 0, requests=lambda: 0)
    return Faults(metrics, lambda *_, **__: None)


def detector(**settings: Any) -> DriftDetector:
    return DriftDetector(Settings(**settings))


# --- what is the matter with a Pod -------------------------------------------------------------------------


def test_a_pod_drifts_with_the_settings_that_hold_for_it() -> None:
    plain = record("1")
    assert detector().drifted(plain) is None
    assert detector(defaults={"port": "6000"}).drifted(plain)
    assert detector(namespaces={"ns": {"port": "6000"}}).drifted(plain)
    assert detector(namespaces={"other": {"port": "6000"}}).drifted(plain) is None
    assert detector(run_as_user=None).drifted(plain)
    assert detector(defaults={"port": "6000"}).drifted(record("1", port="5701")) is None


def test_only_a_pod_whose_replacement_finds_the_others_is_repairable() -> None:
    def is_repairable(pod: InjectedPod, **settings: Any) -> bool:
        verdict = detector(**settings).drifted(pod)
        assert verdict
        return verdict.repairable

    plain = record("1")
    assert is_repairable(with_fingerprint(plain, "0" * 16))
    assert is_repairable(with_fingerprint(plain, "")), "an older version's"
    assert is_repairable(plain, defaults={"log-level": "DEBUG"})
    assert not is_repairable(plain, defaults={"group": "all"})
    assert not is_repairable(msgspec.structs.replace(plain, ours=((INJECT, "maybe"),)))


def test_a_group_that_is_a_default_today_is_another() -> None:
    assert detector(defaults={"group": "all"}).drifted(record("1"))
    assert detector().drifted(record("1", Settings({"group": "all"}))), "today it is the workload's"
    assert detector().drifted(record("1", group="mine")) is None


def test_a_pod_that_a_policy_injected_drifts_with_its_cluster_alone() -> None:
    """An admission policy cannot make a fingerprint: only what the status annotation names is compared."""
    unknown = with_fingerprint(record("1", port="6000"), UNKNOWN)
    assert detector().drifted(unknown) is None
    assert detector(defaults={"log-level": "DEBUG"}).drifted(unknown) is None
    assert detector(defaults={"image": "hazelcast/hazelcast:5.8.0"}).drifted(unknown)
    assert detector(defaults={"group": "all"}).drifted(unknown)
    assert detector().drifted(with_fingerprint(unknown, "")), "an older version's"


@pytest.mark.parametrize(
    ("defaults", "reason"),
    [
        ({"image": "hazelcast/hazelcast:5.8.0"}, "members of Hazelcast 5.7 and 5.8 form no common cluster"),
        ({"image": "hazelcast/hazelcast:latest"}, "whose tags do not say their releases"),
        ({"port": "6000"}, "members on port 5701 and members on port 6000 do not find each other"),
        ({"clients": "pod"}, "members on port 5701 and members on port 5702 do not find each other"),
        ({"cluster-name": "prod"}, 'members of the clusters "dev" and "prod" do not join each other'),
        ({"group": "all"}, 'and "all" do not look for each other'),
        ({"backups": "node"}, "backups any and node form no common cluster"),
    ],
)
def test_a_pod_in_whose_place_a_member_of_another_cluster_would_come_is_not_repairable(
    defaults: dict[str, str], reason: str
) -> None:
    """Repair would take the Pods one by one, and with the last of them all entries."""
    verdict = detector(defaults=defaults).drifted(record("1"))
    assert verdict
    assert not verdict.repairable
    assert reason in verdict.sentence
    assert "entries do not pass" in verdict.sentence


def test_a_pod_in_whose_place_a_member_of_the_same_cluster_would_come_is_repairable() -> None:
    verdict = detector(defaults={"image": "mirror.example/hazelcast:5.7.1"}).drifted(record("1"))
    assert verdict
    assert verdict.repairable


def test_what_the_annotations_mean_today_may_be_no_member_at_all() -> None:
    contradiction = detector(defaults={"metrics": "true", "metrics-port": "6000"})
    verdict = contradiction.drifted(record("1", port="6000"))
    assert verdict
    assert not verdict.repairable
    assert "it would be denied now: sidecar.hazelcast.com/metrics-port: 6000" in verdict.sentence


@pytest.mark.parametrize(
    ("selected", "sentence"),
    [
        (Selected.NAMESPACE_EXCLUDED, "the namespace ns is excluded from injection; add the labels"),
        (Selected.POD_EXCLUDED, "its labels exclude it from injection; add the labels"),
        (Selected.NOTHING_REGISTERED, "nothing is registered that would inject it: neither the Mutating"),
        (Selected.UNKNOWN, "it is unknown whether the namespace ns is excluded"),
    ],
)
def test_a_pod_that_would_get_no_member_is_missed_and_not_repairable(
    selected: Selected, sentence: str
) -> None:
    verdict = detector().missed("ns", msgspec.convert(sent(), Pod), selected)
    assert verdict
    assert verdict.sentence.startswith(sentence)
    assert (verdict.repairable, verdict.selected) == (False, selected)
    there = detector().missed("ns", msgspec.convert(sent(), Pod), Selected.YES)
    assert there
    assert there.repairable


def test_a_drifted_pod_in_whose_place_none_would_have_a_member_is_not_to_be_made_anew() -> None:
    drifted = detector(defaults={"log-level": "DEBUG"}).drifted(record("1"))
    assert drifted
    assert unless_excluded(drifted, "ns", Selected.YES) == drifted
    excluded = unless_excluded(drifted, "ns", Selected.NAMESPACE_EXCLUDED)
    assert not excluded.repairable
    assert "a new Pod would have no member: the namespace ns is excluded from injection" in (
        excluded.sentence
    )
    refused = Verdict("today it would be refused", repairable=False)
    assert unless_excluded(refused, "ns", Selected.NAMESPACE_EXCLUDED) == refused


def test_mirror_pods_and_members_that_lack_something_are_not_missed() -> None:
    """The first cannot have a member, and what the second lacks may have been removed by hand since."""
    mirror = msgspec.convert(sent(ours() | {"kubernetes.io/config.mirror": "0f0f0f"}), Pod)
    assert detector().missed("ns", mirror, Selected.YES) is None
    response = response_in(Reviewer().review_pod(json.dumps(review_of(sent())).encode()))
    whole = patched(sent(), response)
    del whole["metadata"]["labels"]
    assert detector().missed("ns", msgspec.convert(whole, Pod), Selected.YES) is None
    whole["spec"]["containers"][0]["ports"] = [{"containerPort": 5701}]
    assert detector().missed("ns", msgspec.convert(whole, Pod), Selected.YES) is None
    del whole["spec"]["initContainers"]
    verdict = detector().missed("ns", msgspec.convert(whole, Pod), Selected.YES)
    assert verdict
    assert "it would be denied now: sidecar.hazelcast.com/status: says that" in verdict.sentence


@pytest.mark.parametrize("text", [None, "", "[]", "no JSON"])
def test_a_pod_without_a_readable_status_has_no_record(text: str | None) -> None:
    pod = injected("1")
    pod.known_annotations = ours() if text is None else {**ours(), STATUS: text}
    assert injected_pod(pod) is None


# --- injected Pods -----------------------------------------------------------------------------------------


async def test_pods_come_and_go() -> None:
    index, today = watched(), detector(defaults={"port": "6000"})
    index.upsert(injected("1"))
    index.upsert(injected("2", port="6000"))
    assert [finding.uid for finding in await drifted_pods(index, today, faults())] == ["1"]
    index.upsert(injected("3"))
    assert {finding.uid for finding in await drifted_pods(index, today, faults())} == {"1", "3"}
    ending = injected("1")
    ending.deletion_timestamp = "2026-01-01T00:00:00Z"
    index.upsert(ending)
    index.retain({"2"})
    assert await drifted_pods(index, today, faults()) == []


@pytest.mark.heavy
async def test_a_pod_that_changes_again_and_again_leaves_nothing() -> None:
    """A replica that does not lead never looks, so what is shared must not wait for that."""
    index = watched()
    for number in range(300):
        index.upsert(injected("1", port=str(2000 + number)))
    assert len(index._shared) == 1  # noqa: SLF001 - what is kept is the point


async def test_that_a_pod_goes_is_a_change() -> None:
    index = watched()
    index.upsert(injected("1"))
    index.changed.clear()
    index.remove(injected("2"))
    assert not index.changed.is_set()
    index.remove(injected("1"))
    assert index.changed.is_set()
    labelled = Metadata(uid="3", known_annotations=ours())
    index.upsert(labelled)
    assert list(index.unrecorded) == ["3"]
    index.remove(labelled)
    assert not index.unrecorded


async def test_only_a_pod_that_asks_and_has_no_status_is_without_record() -> None:
    """The others were not injected, or by something else."""
    index = watched()
    for uid, annotations in (("1", {}), ("2", {STATUS: "[]"}), ("3", ours() | {STATUS: "[]"}), ("4", ours())):
        index.upsert(Metadata(uid=uid, known_annotations=annotations))
    assert list(index.unrecorded) == ["4"]


async def test_others_have_their_turn_between_pods(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    index, pod = watched(), injected("1")
    for number in range(450):
        index.upsert(msgspec.structs.replace(pod, uid=str(number)))
    monkeypatch.setattr("asyncio.sleep", sleep)
    await drifted_pods(index, detector(), faults())
    assert waits == [0, 0]


async def test_only_what_matters_counts_as_a_change() -> None:
    index = watched()
    index.upsert(injected("1"))
    assert index.changed.is_set()
    index.changed.clear()
    same = injected("1")
    same.resource_version = "7"
    index.upsert(same)
    assert not index.changed.is_set()
    index.upsert(injected("1", port="6000"))
    assert index.changed.is_set()


@pytest.mark.heavy
async def test_thousands_of_pods_of_many_workloads_take_little_room() -> None:
    template = injected("0", java_opts="-Dx=" + "y" * 1000)
    encoded = msgspec.json.encode(template)
    index = watched()
    tracemalloc.start()
    try:
        for number in range(3000):
            pod = msgspec.json.decode(encoded, type=Metadata)  # its own objects, as from the API server
            pod.name, pod.uid = f"shop-6d4b75cb6d-{number}", f"0d5f1b3a-1c55-4b6c-9d1c-{number:012}"
            pod.namespace = f"ns-{number // 20}"
            index.upsert(pod)
        found = await drifted_pods(index, detector(defaults={"port": "6000"}), faults())
        room, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(found) == 3000
    assert room < 6 * 2**20


# --- telling -----------------------------------------------------------------------------------------------


class Told:
    """Findings, and what they said."""

    def __init__(self, reason: str = MISSED) -> None:
        self.log: list[str] = []
        self.sentences: list[str] = []
        self.warned: list[bool] = []
        self.findings = Findings(reason, lambda line, **_: self.log.append(line), self.tell)

    def tell(
        self,
        namespace: str,
        owner: OwnerReference,
        reason: str,
        sentence: str,
        *,
        pod: OwnerReference | None,
        warning: bool = False,
    ) -> None:
        assert (namespace, owner.uid, reason) == ("ns", SHOP.uid, self.findings.reason)
        assert (pod.kind if pod else "") == "Pod"
        self.sentences.append(sentence)
        self.warned.append(warning)

    def take(self) -> list[str]:
        taken, self.sentences[:] = list(self.sentences), []
        return taken


def finding(uid: str, why: str = "why") -> Finding:
    return Finding("ns", f"shop-{uid}", uid, SHOP, "", Verdict(why, repairable=True))


def test_owners_of_one_name_and_uid_are_told_once_each() -> None:
    """A tenant may write any owner: those that differ in their kind alone came out once for each Pod."""
    twin = msgspec.structs.replace(SHOP, kind="StatefulSet")
    found = [
        msgspec.structs.replace(finding(f"{number:02}"), owner=(SHOP, twin)[number % 2])
        for number in range(20)
    ]
    seen = Told()
    seen.findings.replace(found)
    assert len(seen.take()) == 2
    assert [len(each) for each in seen.findings.by_owner()] == [10, 10]


def test_an_owner_is_told_once_and_again_when_there_are_more() -> None:
    seen = Told()
    two = [finding("b"), finding("a")]
    seen.findings.replace(two)
    assert seen.take() == ["2 Pods run without the member that is asked for, for example shop-a: why"]
    seen.findings.replace(two)
    seen.findings.replace(two[:1])
    assert seen.take() == []
    seen.findings.replace(two)
    assert len(seen.take()) == 1
    seen.findings.replace([finding("a", "else"), finding("b", "else")])
    assert seen.take() == ["2 Pods run without the member that is asked for, for example shop-a: else"]
    seen.findings.replace([])
    assert (seen.take(), seen.log[-1]) == ([], "Missed Pods resolved")


@pytest.mark.parametrize(
    ("reason", "state", "warns"),
    [(MISSED, "without the member that is asked for", True), (DRIFTED, "with an outdated member", False)],
)
def test_an_owner_of_one_pod_is_told_in_the_singular_and_warned_if_it_has_no_member(
    reason: str, state: str, *, warns: bool
) -> None:
    seen = Told(reason)
    seen.findings.replace([finding("a")])
    assert seen.take() == [f"1 Pod runs {state}, for example shop-a: why"]
    assert seen.warned == [warns]
    seen.findings.clear()
    seen.findings.replace([finding("a")])
    assert len(seen.take()) == 1, "it is another leader's term"
    assert list(seen.findings.by_owner()) == [[finding("a")]]


@pytest.mark.parametrize(
    ("api_version", "kind", "repairable", "expected"),
    [
        ("apps/v1", "ReplicaSet", True, True),
        ("v1", "ReplicationController", True, True),
        ("apps/v1", "ReplicaSet", False, False),
        ("batch/v1", "Job", True, False),
        ("v1", "ReplicaSet", True, False),
    ],
)
def test_only_a_pod_that_is_made_again_is_repaired(
    api_version: str, kind: str, *, repairable: bool, expected: bool
) -> None:
    owner = msgspec.structs.replace(SHOP, api_version=api_version, kind=kind)
    found = Finding("ns", "shop-a", "a", owner, "", Verdict("why", repairable=repairable))
    assert found.repairable is expected


def test_only_the_pods_of_an_owner_are_listed_where_a_label_tells_them() -> None:
    assert selector_of(injected("1")) == "pod-template-hash=6d4b75cb6d"
    assert selector_of(Metadata(labels={"app": "shop"})) == ""


def test_pods_are_counted_by_namespace() -> None:
    missed, drifted = (
        Findings(reason, lambda *_, **__: None, lambda *_, **__: None) for reason in (MISSED, DRIFTED)
    )
    registry = CollectorRegistry()
    registry.register(AuditMetrics(missed.by_namespace, drifted.by_namespace))

    def shown(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"hazelcast_sidecar_{name}", labels)

    missed.replace([finding("a"), finding("b"), msgspec.structs.replace(finding("c"), namespace="other")])
    assert (shown("controller_missed_pods"), shown("controller_drifted_pods")) == (3, 0)
    assert (shown("missed_pods", namespace="ns"), shown("missed_pods", namespace="other")) == (2, 1)
    assert shown("drifted_pods", namespace="ns") is None
    missed.forget("a")
    missed.forget("c")
    assert (shown("controller_missed_pods"), shown("missed_pods", namespace="ns")) == (1, 1)
    assert shown("missed_pods", namespace="other") is None, "a series without Pods is gone"
    missed.clear()
    assert (shown("controller_missed_pods"), shown("missed_pods", namespace="ns")) == (0, None)


def test_the_namespaces_with_the_most_pods_have_a_series_and_all_are_counted() -> None:
    pods = Counter({f"ns{number}": 1 for number in range(300)} | {"worst": 9})
    registry = CollectorRegistry()
    registry.register(AuditMetrics(Counter, lambda: pods))
    (series,) = (f.samples for f in registry.collect() if f.name == "hazelcast_sidecar_drifted_pods")
    assert len(series) == 200
    assert series[0].labels == {"namespace": "worst"}
    assert registry.get_sample_value("hazelcast_sidecar_controller_drifted_pods") == 309


# --- repair, whose waits are too long for a real one -------------------------------------------------------


def live(uid: str, *, ready: bool = True, grace: int | None = None, annotated: bool = True) -> LivePod:
    """A Pod without a member."""
    document = {
        "metadata": {
            "name": f"shop-{uid}",
            "namespace": "ns",
            "uid": uid,
            "annotations": ours() if annotated else {},
            "ownerReferences": [msgspec.to_builtins(SHOP) | {"controller": True}],
        },
        "spec": {"containers": [{"name": "app"}], "terminationGracePeriodSeconds": grace},
        "status": {"conditions": [{"type": "Ready", "status": str(ready)}]},
    }
    return msgspec.convert(document, LivePod)


def asks_about_pods(**selectors: Any) -> dict[str, Any]:
    """A configuration that has the API server ask about new Pods."""
    rule = {"apiGroups": [""], "resources": ["pods"], "operations": ["CREATE"]}
    return {"webhooks": [{"rules": [rule], **selectors}]}


class Cluster:
    """Stands in for the API server, and for time: each list of Pods takes ten seconds."""

    def __init__(self, *pods: LivePod) -> None:
        self.pods = {pod.metadata.uid: pod for pod in pods}
        self.evicted: list[str] = []
        self.replacement: LivePod | None = None
        self.refusal: ApiError | None = None
        self.now = 0.0
        self.lingers = 0.0
        """Seconds for which an evicted Pod is terminating."""
        self._gone: dict[str, float] = {}
        self.configuration: dict[str, Any] | None = asks_about_pods()
        self.labels: dict[str, str] | None = {}

    async def pages(self, *_: object, **__: object) -> AsyncIterator[Page[LivePod]]:
        self.now += 10
        for uid, when in list(self._gone.items()):
            if when <= self.now:
                del self._gone[uid], self.pods[uid]
        yield Page(ListMetadata(), msgspec.convert(list(self.pods.values()), list[LivePod]))

    async def read(self, kind: Kind, *_: str) -> dict[str, Any] | None:
        return self.configuration if kind == WEBHOOK_CONFIGURATION else None

    async def get(self, kind: Kind, *_: str) -> Partial | None:
        assert kind == NAMESPACE
        return None if self.labels is None else Partial(Metadata(labels=self.labels))

    async def evict(self, metadata: Metadata) -> None:
        if self.refusal:
            raise self.refusal
        self.evicted.append(metadata.uid)
        self.pods[metadata.uid].metadata.deletion_timestamp = "2026-01-01T00:00:00Z"
        self._gone[metadata.uid] = self.now + self.lingers
        if self.replacement:
            self.pods[self.replacement.metadata.uid] = self.replacement


class Repair:
    """A Repairer on such a cluster, to be taken through single sweeps."""

    def __init__(
        self, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, reason: str = MISSED, **settings: Any
    ) -> None:
        monkeypatch.setattr(repairer, "_LOOK_SECONDS", 0)
        self.cluster, self.told = cluster, Told(reason)
        self.metrics = ControllerMetrics(pods=lambda: 0, queue_depth=lambda: 0, requests=lambda: 0)
        self.repairer = Repairer(
            cluster,  # type: ignore[arg-type]
            detector(**settings),
            [self.told.findings],
            seconds=300,
            metrics=self.metrics,
            log=lambda line, **_: self.told.log.append(line),
            tell=self.told.tell,
            clock=lambda: cluster.now,
        )

    async def sweep(self) -> list[str]:
        """Which Pods it evicts when it goes through all that was found."""
        before = len(self.cluster.evicted)
        found = [finding(uid) for uid in self.cluster.pods if uid.startswith("m")]
        self.told.findings.replace(found)
        for findings, of_owner in self.repairer._next():  # noqa: SLF001 - one turn of its endless loop
            await self.repairer._try(findings, of_owner)  # noqa: SLF001
        return self.cluster.evicted[before:]


async def test_what_does_not_become_ready_is_given_up_after_five_minutes_and_its_grace_period(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster = Cluster(live("m1", grace=500), live("m2"))
    cluster.replacement = live("n1", ready=False, annotated=False)
    repair = Repair(cluster, monkeypatch)
    assert await repair.sweep() == ["m1"]
    assert 800 <= cluster.now <= 830
    assert "its Pods were not all Ready within 800 s" in repair.told.take()[-1]
    cluster.replacement = None
    cluster.pods["n1"] = live("n1", annotated=False)
    cluster.now += 3000
    assert await repair.sweep() == []
    cluster.now += 700
    assert await repair.sweep() == ["m2"], "an hour later it is tried again"


async def test_replacements_are_looked_for_at_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(live("m1"), live("m2"))
    cluster.replacement = live("n1", ready=False, annotated=False)
    repair = Repair(cluster, monkeypatch)
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(repairer, "_LOOK_SECONDS", 7)
    monkeypatch.setattr(repairer, "asyncio", SimpleNamespace(sleep=sleep))
    assert await repair.sweep() == ["m1"]
    assert len(waits) > 1
    assert set(waits) == {7}


def unheard() -> Findings:
    """Findings whose reports nobody takes."""
    return Findings(MISSED, lambda *_, **__: None, lambda *_, **__: None)


YEARS = 68 * 365 * 24 * 3600


async def test_a_grace_period_of_68_years_is_waited_for_within_a_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster = Cluster(live("m1", grace=YEARS), live("m2"))
    cluster.replacement = live("n1", ready=False, annotated=False)
    repair = Repair(cluster, monkeypatch)
    assert await repair.sweep() == ["m1"]
    assert 1200 <= cluster.now <= 1230
    assert "its Pods were not all Ready within 1200 s" in repair.told.take()[-1]


async def test_a_replacement_that_is_not_better_suspends_evictions(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(live("m1"), live("m2"))
    cluster.lingers, cluster.replacement = 60, live("n1")
    repair = Repair(cluster, monkeypatch)
    assert await repair.sweep() == ["m1"]
    assert cluster.now < 60, "the evicted Pod need not be gone for that"
    assert "but shop-n1, its replacement, is not better; no further Pod is evicted" in repair.told.take()[-1]
    assert repair.told.warned[-1] is True
    cluster.now += 3500
    cluster.replacement = live("n2", annotated=False)
    assert await repair.sweep() == []
    cluster.now += 100
    assert await repair.sweep() == ["m2"]


async def test_an_evicted_pod_is_waited_for_until_it_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(live("m1"), live("n0", annotated=False))
    cluster.lingers, cluster.replacement = 60, live("n1", annotated=False)
    repair = Repair(cluster, monkeypatch)
    assert await repair.sweep() == ["m1"]
    assert repair.told.log[-1] == "replaced"
    assert cluster.now >= 60


@pytest.mark.parametrize(("was_ready", "end"), [(False, "replaced"), (True, "eviction suspended")])
async def test_only_pods_that_were_ready_must_be_so_again(
    monkeypatch: pytest.MonkeyPatch, *, was_ready: bool, end: str
) -> None:
    """One that had been Ready and is so no more may have suffered from the eviction."""
    cluster = Cluster(live("m1", ready=False), live("n0", ready=was_ready, annotated=False))
    cluster.replacement = live("n1", annotated=False)
    repair = Repair(cluster, monkeypatch)
    evict = cluster.evict

    async def disturbs(metadata: Metadata) -> None:
        await evict(metadata)
        cluster.pods["n0"] = live("n0", ready=False, annotated=False)

    monkeypatch.setattr(cluster, "evict", disturbs)
    assert await repair.sweep() == ["m1"]
    assert repair.told.log[-1] == end


async def test_namespaces_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenant with many owners, whose Pods never come back, costs another one eviction at a time."""
    pods = {}
    for namespace, owners in (("evil", 20), ("honest", 2)):
        for number in range(owners):
            pod = live(f"m-{namespace}-{number}", grace=YEARS if namespace == "evil" else None)
            owner = OwnerReference("apps/v1", "ReplicaSet", f"rs-{number}", f"uid-{number}", controller=True)
            pod.metadata.namespace, pod.metadata.owner_references = namespace, (owner,)
            pods[pod.metadata.uid] = pod
    cluster = Cluster(*pods.values())
    repair = Repair(cluster, monkeypatch)
    repair.told.findings = repair.repairer._repaired[0] = unheard()  # noqa: SLF001 - which asserts less
    found = [
        Finding(pod.metadata.namespace, uid, uid, owner_of(pod.metadata), "", Verdict("why", repairable=True))
        for uid, pod in pods.items()
    ]
    repair.told.findings.replace(found)
    for _ in range(2):
        for findings, of_owner in repair.repairer._next():  # noqa: SLF001
            await repair.repairer._try(findings, of_owner)  # noqa: SLF001
    assert cluster.evicted == ["m-evil-0", "m-honest-0", "m-evil-1", "m-honest-1"]


async def test_owners_of_one_namespace_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while nothing keeps the first one back."""
    cluster = Cluster()
    repair = Repair(cluster, monkeypatch)
    owners = [msgspec.structs.replace(SHOP, name=name, uid=f"uid-{name}", controller=True) for name in "abc"]
    for number, owner in enumerate(owners * 3):
        pod = live(f"m{number}")
        pod.metadata.owner_references = (owner,)
        cluster.pods[pod.metadata.uid] = pod
    repair.told.findings = repair.repairer._repaired[0] = unheard()  # noqa: SLF001 - which asserts less
    repair.told.findings.replace(
        [
            Finding("ns", uid, uid, owner_of(pod.metadata), "", Verdict("why", repairable=True))
            for uid, pod in cluster.pods.items()
        ]
    )
    for number in range(9):
        replacement = live(f"n{number}", annotated=False)
        replacement.metadata.owner_references = (owners[number % 3],)
        cluster.replacement = replacement
        for findings, of_owner in repair.repairer._next():  # noqa: SLF001
            await repair.repairer._try(findings, of_owner)  # noqa: SLF001
    assert [int(uid.removeprefix("m")) % 3 for uid in cluster.evicted] == [0, 1, 2] * 3


async def test_an_owner_whose_repair_raises_is_put_off_and_the_others_are_repaired(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster = Cluster(live("m1"))
    cluster.replacement = live("n1", annotated=False)
    repair = Repair(cluster, monkeypatch)
    missed = repair.repairer._detector.missed  # noqa: SLF001
    broken = True

    def judged(*arguments: Any) -> Verdict | None:
        if broken:
            raise RecursionError
        return missed(*arguments)

    monkeypatch.setattr(repair.repairer._detector, "missed", judged)  # noqa: SLF001
    assert await repair.sweep() == []
    assert await repair.sweep() == []
    assert repair.told.log == ["Missed", "skipped after an unexpected exception"]
    broken = False
    cluster.now += 3600
    assert await repair.sweep() == ["m1"], "an hour later it is tried again"


async def test_nothing_is_evicted_until_the_settings_have_reached_the_webhook(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster = Cluster(live("m1"))
    cluster.replacement = live("n1", annotated=False)
    repair = Repair(cluster, monkeypatch)
    repair.repairer.settle()
    cluster.now = 299
    assert await repair.sweep() == []
    repair.repairer.settle()
    cluster.now = 598
    assert await repair.sweep() == []
    cluster.now = 599
    assert await repair.sweep() == ["m1"]
    assert "replaced" in repair.told.log


async def test_a_pod_that_others_must_stand_in_for_waits_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(live("m1"), live("n1", ready=False, annotated=False))
    repair = Repair(cluster, monkeypatch)
    assert await repair.sweep() == []
    cluster.pods["n1"] = live("n1", annotated=False)
    assert await repair.sweep() == [], "not before ten seconds"
    cluster.now += 10
    cluster.replacement = live("n2", annotated=False)
    assert await repair.sweep() == ["m1"]


async def test_a_pod_that_is_on_its_way_out_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(live("m1", ready=False), live("n1", annotated=False))
    cluster.pods["n1"].metadata.deletion_timestamp = "2026-01-01T00:00:00Z"
    assert await Repair(cluster, monkeypatch).sweep() == []


@pytest.mark.parametrize(
    ("status", "result"), [(429, "budget"), (404, "gone"), (409, "gone"), (403, "error"), (500, "error")]
)
async def test_a_refused_eviction_is_counted_and_tried_later(
    monkeypatch: pytest.MonkeyPatch, status: int, result: str
) -> None:
    cluster = Cluster(live("m1"))
    cluster.refusal = ApiError(status, "no", retry_after=60.0 if status == 429 else None)
    repair = Repair(cluster, monkeypatch)
    assert await repair.sweep() == []
    counts = {name: counter._value.get() for name, counter in repair.metrics.evictions.items()}  # noqa: SLF001
    assert counts == dict.fromkeys(counts, 0) | {result: 1}
    cluster.refusal = None
    cluster.replacement = live("n1", annotated=False)
    cluster.now += {429: 60, 403: 3600}.get(status, 10) - 1
    assert await repair.sweep() == []
    cluster.now += 1
    assert await repair.sweep() == ["m1"]


@pytest.mark.parametrize(
    ("configuration", "labels"),
    [
        (asks_about_pods(namespaceSelector={"matchLabels": {"chosen": "yes"}}), {}),
        (asks_about_pods(objectSelector={"matchLabels": {"chosen": "yes"}}), {}),
        (asks_about_pods(objectSelector={"matchLabels": {INJECT: "true"}}), {}),  # it would come as it was
        (asks_about_pods(), None),
        ({"webhooks": []}, {}),
        ({}, {}),
        (None, {}),
    ],
)
async def test_nothing_is_evicted_where_nothing_would_inject(
    monkeypatch: pytest.MonkeyPatch, configuration: dict[str, Any] | None, labels: dict[str, str] | None
) -> None:
    """And what was so when the Pod was found does not count: it is read anew before each eviction."""
    cluster = Cluster(live("m1"))
    cluster.configuration, cluster.labels = configuration, labels
    repair = Repair(cluster, monkeypatch)
    assert await repair.sweep() == []
    assert repair.told.log[-1] == "not evicted"
    cluster.configuration, cluster.labels = asks_about_pods(), {}
    cluster.replacement = live("n1", annotated=False)
    cluster.now += 3600
    assert await repair.sweep() == ["m1"]


async def test_a_budget_that_forbids_for_long_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(live("m1"))
    cluster.refusal = ApiError(429, "no")
    repair = Repair(cluster, monkeypatch)
    for _ in range(3):
        assert await repair.sweep() == []
        cluster.now += 10
    assert repair.told.log.count("not evicted") == 1


async def test_nothing_is_kept_of_owners_that_have_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Anyone may make owners whose Pods a budget keeps, one after the other; each is said anew."""
    cluster = Cluster(live("m1"))
    cluster.refusal = ApiError(429, "no")
    repair = Repair(cluster, monkeypatch)
    assert await repair.sweep() == []
    cluster.now += 10
    gone, cluster.pods = cluster.pods, {}
    assert await repair.sweep() == []
    cluster.pods = gone
    assert await repair.sweep() == []
    assert repair.told.log.count("not evicted") == 2


async def test_what_has_gone_meanwhile_or_was_taken_back_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(live("m1", annotated=False))
    assert await Repair(cluster, monkeypatch).sweep() == []


@pytest.mark.parametrize(("defaults", "evicted"), [({}, []), ({"log-level": "DEBUG"}, ["m1"])])
async def test_a_drifted_pod_is_evicted_only_while_it_is_one(
    monkeypatch: pytest.MonkeyPatch, defaults: dict[str, str], evicted: list[str]
) -> None:
    """The settings may have been taken back since it was found."""
    pod = live("m1")
    pod.metadata, pod.spec.init_containers = injected("m1"), [MEMBER]
    cluster = Cluster(pod)
    cluster.replacement = live("n1", annotated=False)
    assert await Repair(cluster, monkeypatch, DRIFTED, defaults=defaults).sweep() == evicted
