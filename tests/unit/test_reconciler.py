"""What the leader asks the API server for, to give a group what its Pods need, and what it tells of it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from hazelcast_sidecar.controller.events.recorder import Recorder
from hazelcast_sidecar.controller.reconcile import reconciler as reconciler_module
from hazelcast_sidecar.controller.reconcile.groups import Groups, Key, ManagedObjects
from hazelcast_sidecar.controller.reconcile.reconciler import Reconciler
from hazelcast_sidecar.controller.reconcile.work_queue import WorkQueue
from hazelcast_sidecar.controller.shared.watched_pods import WatchedPods
from hazelcast_sidecar.group_objects.desired_objects import OURS
from hazelcast_sidecar.kube.bounded import UnreadableAnswerError
from hazelcast_sidecar.kube.client import ApiError
from hazelcast_sidecar.kube.objects import KEPT_KINDS
from hazelcast_sidecar.names import GROUP
from hazelcast_sidecar.owners import OwnerReference
from tests.harness.controller_parts import Seen, running, until
from tests.unit.stored_objects import REPLICA_SET, StoredObjects, injected_pod, managed, whole_pod

SHOP = Key("ns", "shop")
OWNER = msgspec.structs.replace(REPLICA_SET, controller=None)


class Leading:
    """A reconciler with its indexes, and what it told workloads."""

    def __init__(self, seen: Seen) -> None:
        self.seen, self.api, self.queue = seen, StoredObjects(), WorkQueue()
        self.groups = Groups(lambda _: None)
        self.pods = WatchedPods(self.groups, seen.log)
        self.kept = {name: ManagedObjects(lambda _: None, lambda _: None) for name in KEPT_KINDS}
        self.told: list[tuple[Any, ...]] = []
        recorder = Recorder(self.api, seen.metrics, seen.log)
        recorder.tell = self._tell  # type: ignore[method-assign]
        self.reconciler = Reconciler(
            self.api, self.groups, self.kept, self.queue, recorder, seen.metrics, seen.log
        )
        self.api.put("ReplicaSet", REPLICA_SET.name, {"metadata": {"uid": REPLICA_SET.uid}})

    def _tell(self, namespace: str, owner: OwnerReference, reason: str, sentence: str, **more: Any) -> None:
        self.told.append((namespace, owner.name, reason, sentence, more["pod"], more.get("warning", False)))

    def reasons(self) -> list[tuple[str, str]]:
        """Who was told of what."""
        return [(owner, reason) for _, owner, reason, *_ in self.told]

    def pod(self, name: str = "shop-1", **changed: Any) -> None:
        """Have a Pod arrive that is what it says."""
        age = changed.pop("age", timedelta(hours=1))
        made = injected_pod(name, **changed)
        made.creation_timestamp = datetime.now(UTC) - age
        self.pods.upsert(made)
        self.api.put("Pod", name, whole_pod(name, changed.get("port", 5701), changed.get("group", "shop")))

    async def reconcile(self) -> str:
        """Reconcile once; what is asked for before is forgotten."""
        self.api.done.clear()
        return await self.reconciler._reconcile(SHOP)  # noqa: SLF001 - one of them


@pytest.fixture
def leading(seen: Seen) -> Leading:
    return Leading(seen)


NEW = [
    *("get ConfigMap hazelcast-shop", "apply ConfigMap hazelcast-shop"),
    *("get Service hazelcast-shop", "apply Service hazelcast-shop"),
]


async def test_a_new_group_gets_what_it_needs_and_one_more_pod_like_the_others_costs_nothing(
    leading: Leading,
) -> None:
    leading.pod()
    assert await leading.reconcile() == "ok"
    assert leading.api.done == ["read Pod shop-1", f"get ReplicaSet {REPLICA_SET.name}", *NEW]
    stored = leading.api.stored["Service", "ns", "hazelcast-shop"]["metadata"]
    (reference,) = stored["ownerReferences"]
    assert reference == {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "name": REPLICA_SET.name,
        "uid": REPLICA_SET.uid,
    }
    leading.pod("shop-2")
    assert await leading.reconcile() == "ok"
    assert leading.api.done == []
    applied = [line for line in leading.seen.lines if line["message"] == "applied"]
    assert [(line["kind"], line["namespace"], line["group"]) for line in applied] == [
        ("ConfigMap", "ns", "shop"),
        ("Service", "ns", "shop"),
    ]


async def test_an_object_that_another_changed_is_taken_back_with_owners_that_still_exist(
    leading: Leading,
) -> None:
    leading.pod()
    await leading.reconcile()
    leading.kept["Service"].upsert(leading.api.change("Service", "hazelcast-shop"))
    leading.seen.lines.clear()
    assert await leading.reconcile() == "ok"
    assert leading.api.done == [
        f"get ReplicaSet {REPLICA_SET.name}",
        "take ConfigMap hazelcast-shop",
        "take Service hazelcast-shop",
    ]
    assert [(line["message"], line["kind"]) for line in leading.seen.lines] == [("applied", "Service")]
    assert await leading.reconcile() == "ok"
    assert leading.api.done == []
    del leading.api.stored["ReplicaSet", "ns", REPLICA_SET.name]
    leading.kept["Service"].upsert(leading.api.change("Service", "hazelcast-shop"))
    await leading.reconcile()
    (reference,) = leading.api.stored["Service", "ns", "hazelcast-shop"]["applied"]["metadata"][
        "ownerReferences"
    ]
    assert (reference["kind"], reference["name"]) == ("Pod", "shop-1"), "each Pod is its own workload"


@pytest.mark.heavy
async def test_of_several_claims_of_one_owner_it_is_looked_up_once(leading: Leading) -> None:
    leading.pod()
    leading.pod("shop-2", port=5800)
    await leading.reconcile()
    assert leading.api.done.count(f"get ReplicaSet {REPLICA_SET.name}") == 1
    leading.kept["Service"].remove(managed("Service"))
    leading.kept["Service"].upsert(managed("Service", "900"))
    await leading.reconcile()
    assert leading.api.done.count(f"get ReplicaSet {REPLICA_SET.name}") == 1


async def test_a_second_term_looks_at_every_group_again(leading: Leading) -> None:
    leading.pod()
    await leading.reconcile()
    leading.reconciler.forget()
    assert await leading.reconcile() == "ok"
    assert leading.api.done == ["take ConfigMap hazelcast-shop", "take Service hazelcast-shop"]


async def test_a_group_that_failed_in_an_earlier_term_is_tried_again_soon(
    leading: Leading, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("random.uniform", lambda _low, _high: 1.0)
    for _ in range(3):
        leading.reconciler._put_off(SHOP, ApiError(500, "no"))  # noqa: SLF001
    leading.reconciler.forget()
    leading.reconciler._put_off(SHOP, ApiError(500, "no"))  # noqa: SLF001
    waits = [line["seconds"] for line in leading.seen.lines]
    assert waits == pytest.approx([0.2, 0.4, 0.8, 0.2])
    leading.queue.clear()


async def test_a_group_whose_pods_are_gone_keeps_its_objects_and_gets_them_again_when_they_come_back(
    leading: Leading,
) -> None:
    leading.pod()
    await leading.reconcile()
    leading.pods.remove(injected_pod())
    assert await leading.reconcile() == "ok"
    assert leading.api.done == []
    leading.pod()
    await leading.reconcile()
    assert leading.api.written() == ["take ConfigMap hazelcast-shop", "take Service hazelcast-shop"]


async def test_what_a_group_needs_no_more_is_deleted(leading: Leading) -> None:
    leading.pod(disruption_budget=True)
    leading.api.put("Deployment", "shop", {"metadata": {"uid": "uid-of-deployment"}})
    await leading.reconcile()
    assert "apply PodDisruptionBudget hazelcast-shop" in leading.api.done
    leading.pod()
    assert await leading.reconcile() == "ok"
    assert "delete PodDisruptionBudget hazelcast-shop" in leading.api.done
    assert leading.seen.lines[-1] == {
        "message": "deleted",
        "namespace": "ns",
        "group": "shop",
        "kind": "PodDisruptionBudget",
    }


def refuse(what: str, error: Exception) -> Callable[[str], None]:
    def fails(asked: str) -> None:
        if asked == what:
            raise error

    return fails


async def test_an_object_of_others_is_left_alone_and_each_workload_is_told(leading: Leading) -> None:
    leading.api.put("Service", "hazelcast-shop", {"metadata": {"uid": "x", "labels": {GROUP: "shop"}}})
    leading.pod()
    leading.pod("shop-2")
    assert await leading.reconcile() == "conflict"
    assert leading.api.written() == ["apply ConfigMap hazelcast-shop"]
    ((namespace, owner, reason, sentence, pod, warning),) = leading.told
    assert (namespace, owner, reason, pod.name, warning) == (
        "ns",
        REPLICA_SET.name,
        "Conflict",
        "shop-1",
        True,
    )
    assert sentence.startswith("the Service hazelcast-shop exists but is not managed here")
    (line,) = [line for line in leading.seen.lines if line["message"] == "conflict"]
    assert (line["level"], line["kind"]) == ("warning", "Service")
    assert await leading.reconcile() == "conflict", "it is looked at again each time"
    del leading.api.stored["Service", "ns", "hazelcast-shop"]
    assert await leading.reconcile() == "ok"


async def test_an_object_with_our_labels_is_ours_though_no_watch_told_of_it_yet(leading: Leading) -> None:
    labels = {**OURS, GROUP: "shop"}
    leading.api.put(
        "Service", "hazelcast-shop", {"metadata": {"uid": "x", "labels": labels}, "applied": None}
    )
    leading.pod()
    assert await leading.reconcile() == "ok"
    assert "apply Service hazelcast-shop" in leading.api.done


@pytest.mark.parametrize(
    ("error", "known", "conflicts"),
    [
        (ApiError(409, "fields of another"), False, True),
        (ApiError(409, "fields of another"), True, False),
        (ApiError(403, "no"), False, False),
        (UnreadableAnswerError("longer than may be read", b""), False, True),
        (UnreadableAnswerError("longer than may be read", b""), True, True),
    ],
)
async def test_what_is_refused_is_a_conflict_where_the_object_is_anothers(
    leading: Leading,
    error: Exception,
    known: bool,  # noqa: FBT001
    conflicts: bool,  # noqa: FBT001
) -> None:
    leading.pod()
    if known:
        leading.kept["Service"].upsert(managed("Service"))
    leading.api.fails = refuse(f"{'take' if known else 'apply'} Service hazelcast-shop", error)
    if conflicts:
        assert await leading.reconcile() == "conflict"
        assert leading.reasons() == [(REPLICA_SET.name, "Conflict")]
    else:
        with pytest.raises(ApiError):
            await leading.reconcile()
        assert leading.told == []


async def test_a_role_binding_to_another_role_is_made_again(leading: Leading) -> None:
    asked: list[str] = []

    def fails(what: str) -> None:
        asked.append(what)
        if (
            asked.count("take RoleBinding hazelcast-shop") == 1
            and what == asked[-1] == "take RoleBinding hazelcast-shop"
        ):
            raise ApiError(422, "roleRef is immutable")

    leading.pods.upsert(injected_pod(discovery="api", service_account="seller"))
    document = whole_pod()
    document["spec"]["serviceAccountName"] = "seller"
    document["spec"]["initContainers"][0]["env"] = [
        {"name": "HAZELCAST_KUBERNETES_POD_LABEL_NAME", "value": GROUP},
        {"name": "HAZELCAST_KUBERNETES_POD_LABEL_VALUE", "value": "shop"},
    ]
    leading.api.put("Pod", "shop-1", document)
    leading.kept["RoleBinding"].upsert(managed("RoleBinding"))
    leading.api.fails = fails
    assert await leading.reconcile() == "ok"
    assert [each for each in leading.api.written() if "RoleBinding" in each] == [
        "take RoleBinding hazelcast-shop",
        "delete RoleBinding hazelcast-shop",
        "take RoleBinding hazelcast-shop",
    ]


@pytest.mark.parametrize(
    ("kind", "status", "known"), [("Service", 422, True), ("ConfigMap", 403, True), ("Service", 422, False)]
)
async def test_nothing_else_that_is_refused_is_deleted(
    leading: Leading,
    kind: str,
    status: int,
    known: bool,  # noqa: FBT001
) -> None:
    leading.pod()
    if known:
        leading.kept[kind].upsert(managed(kind))
    leading.api.fails = refuse(
        f"{'take' if known else 'apply'} {kind} hazelcast-shop", ApiError(status, "no")
    )
    with pytest.raises(ApiError):
        await leading.reconcile()
    assert not [each for each in leading.api.written() if each.startswith("delete")]


async def test_what_workloads_ask_for_and_do_not_get_is_told_to_them_once(leading: Leading) -> None:
    other = OwnerReference("apps/v1", "ReplicaSet", "other", "uid-of-other", controller=True)
    leading.api.put("ReplicaSet", "other", {"metadata": {"uid": "uid-of-other"}})
    leading.pod(network_policy=True)
    leading.pod("other-1", owner=other)
    await leading.reconcile()
    assert leading.reasons() == [(REPLICA_SET.name, "NotMet")]
    _, _, _, sentence, pod, warning = leading.told[0]
    assert sentence.startswith("the group shop gets no NetworkPolicy: ")
    assert (pod.name, warning) == ("shop-1", True)
    (line,) = [line for line in leading.seen.lines if line["message"] == "unmet request"]
    assert (line["level"], line["kind"], sentence.endswith(line["why"])) == ("warning", "NetworkPolicy", True)
    leading.pod("other-2", owner=other, port=5800)
    await leading.reconcile()
    assert len(leading.told) == 1, "it is the same request"
    leading.pods.remove(injected_pod("other-1", other))
    leading.pods.remove(injected_pod("other-2", other, port=5800))
    assert await leading.reconcile() == "ok"
    assert "apply NetworkPolicy hazelcast-shop" in leading.api.done


async def test_a_workload_is_told_that_its_pods_are_injected(leading: Leading) -> None:
    leading.pod(age=timedelta(seconds=10))
    await leading.reconcile()
    ((namespace, owner, reason, sentence, pod, warning),) = leading.told
    assert (namespace, owner, reason, pod.name, warning) == (
        "ns",
        REPLICA_SET.name,
        "Injected",
        "shop-1",
        False,
    )
    assert sentence == "each Pod gets a Hazelcast member (i): group shop, cluster dev, found by DNS"


# --- verification ------------------------------------------------------------------------------------------


async def test_a_pod_that_is_not_what_it_says_gets_nothing_and_is_told(leading: Leading) -> None:
    leading.pod()
    leading.api.put("Pod", "shop-1", whole_pod(port=6000))
    assert await leading.reconcile() == "ok"
    assert leading.api.done == ["read Pod shop-1"]
    ((namespace, owner, reason, sentence, pod, warning),) = leading.told
    assert (namespace, owner, reason, pod.name, warning) == ("ns", "shop-1", "StatusRejected", "shop-1", True)
    assert sentence.startswith("its status annotation is ignored: the member declares no port 5701. ")
    assert leading.seen.metrics.rejected._value.get() == 1  # noqa: SLF001
    assert await leading.reconcile() == "ok"
    assert leading.api.done == [], "it was read, and does not change"
    leading.pods.upsert(injected_pod(port=6000))
    assert await leading.reconcile() == "ok"
    assert "read Pod shop-1" not in leading.api.done, "what it shows is known"
    assert "apply Service hazelcast-shop" in leading.api.done


@pytest.mark.parametrize(
    "document",
    [None, {**whole_pod(), "metadata": {"uid": "of-a-successor"}}],
    ids=["gone", "replaced"],
)
async def test_a_pod_that_is_gone_proves_nothing_and_the_next_one_is_read(
    leading: Leading, document: Any
) -> None:
    leading.pod()
    leading.pod("shop-2")
    leading.api.put("Pod", "shop-1", document)
    assert await leading.reconcile() == "ok"
    assert leading.api.done[:2] == ["read Pod shop-1", "read Pod shop-2"]
    assert leading.api.written() != []
    assert leading.told == []


async def test_a_pod_that_cannot_be_decoded_has_no_member(leading: Leading) -> None:
    leading.pod()
    leading.api.put("Pod", "shop-1", {"metadata": {"uid": "uid-shop-1"}, "spec": {"containers": 7}})
    assert await leading.reconcile() == "ok"
    assert leading.api.written() == []
    assert "the Pod has no container hazelcast" in leading.told[0][3]


@pytest.mark.parametrize(
    ("claimed", "owner"),
    [
        (REPLICA_SET, "ReplicaSet"),
        (msgspec.structs.replace(REPLICA_SET, uid="another"), "Pod"),
        (msgspec.structs.replace(REPLICA_SET, name="../x"), "Pod"),
        (OwnerReference("apps.kruise.io/v1alpha1", "CloneSet", "shop", "uid", controller=True), "CloneSet"),
        (OwnerReference("apps.kruise.io/v1alpha1", "CloneSet", "../shop", "uid", controller=True), "Pod"),
        (OwnerReference("v1", "Pod", "another", "uid", controller=True), "Pod"),
        (None, "Pod"),
    ],
)
async def test_objects_belong_to_owners_that_exist_or_to_each_pod(
    leading: Leading, claimed: OwnerReference | None, owner: str
) -> None:
    leading.pod(owner=claimed)
    await leading.reconcile()
    (reference,) = leading.api.stored["Service", "ns", "hazelcast-shop"]["metadata"]["ownerReferences"]
    assert reference["kind"] == owner
    assert reference["name"] == ("shop-1" if owner == "Pod" else claimed and claimed.name)


async def test_a_budget_is_for_what_has_a_scale_and_counts_the_pods_of_a_deployment_once(
    leading: Leading,
) -> None:
    """Two ReplicaSets of a Deployment during a rollout are one workload, of which both ask."""
    maker = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop", "uid": "d", "controller": True}
    second = OwnerReference("apps/v1", "ReplicaSet", "shop-2", "uid-2", controller=True)
    for each in (REPLICA_SET, second):
        metadata = {"uid": each.uid, "ownerReferences": [maker]}
        leading.api.put("ReplicaSet", each.name, {"metadata": metadata})
    leading.pod(disruption_budget=True)
    leading.pod("new", owner=second, disruption_budget=False)
    await leading.reconcile()
    assert "apply PodDisruptionBudget hazelcast-shop" in leading.api.done
    leading.pod("daemon", owner=OwnerReference("apps/v1", "DaemonSet", "d", "uid-d", controller=True))
    leading.api.put("DaemonSet", "d", {"metadata": {"uid": "uid-d"}})
    await leading.reconcile()
    assert "delete PodDisruptionBudget hazelcast-shop" in leading.api.done
    unmet = [sentence for _, _, reason, sentence, *_ in leading.told if reason == "NotMet"]
    assert any(
        "it needs a scale, so with Pods of DaemonSet/d it would allow no eviction" in each for each in unmet
    )


async def test_pods_of_a_kind_that_may_not_be_read_get_no_budget(leading: Leading) -> None:
    clone_set = OwnerReference("apps.kruise.io/v1alpha1", "CloneSet", "shop", "uid", controller=True)
    leading.pod(owner=clone_set, disruption_budget=True)
    await leading.reconcile()
    assert not [each for each in leading.api.written() if "PodDisruptionBudget" in each]
    assert leading.reasons() == [("shop", "NotMet")]


# --- the queue ---------------------------------------------------------------------------------------------


async def test_a_group_in_conflict_is_looked_at_again_later(leading: Leading) -> None:
    leading.api.put("Service", "hazelcast-shop", {"metadata": {"uid": "x"}})
    leading.pod()
    leading.queue.add(SHOP)
    counted = leading.seen.metrics.reconciled["conflict"]._value.get  # noqa: SLF001
    async with running(leading.reconciler.work()):
        await until(lambda: counted() == 1)
    assert [*leading.queue._later] == [SHOP]  # noqa: SLF001 - what waits is not seen otherwise
    assert len(leading.queue) == 0


async def test_what_is_left_of_many_claims_is_verified_in_the_groups_next_turn(
    leading: Leading, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hazelcast_sidecar.controller.reconcile.verification._AT_ONCE", 2)
    for number in range(3):
        leading.pod(f"shop-{number}", port=5701 + number)
    assert await leading.reconcile() == "ok"
    assert len(leading.queue) == 1
    assert [each for each in leading.api.done if each.startswith("read")] == [
        "read Pod shop-0",
        "read Pod shop-1",
    ]
    await leading.queue.get()
    assert await leading.reconcile() == "ok"
    assert len(leading.queue) == 0


@pytest.mark.parametrize(
    ("error", "about_all"),
    [
        (ApiError(429, "slow down"), True),
        (ApiError(500, "no"), False),
        (OSError("reset"), True),
        (TimeoutError(), False),
        (KeyError("x"), False),
    ],
)
def test_whose_failure_it_is(error: Exception, about_all: bool) -> None:  # noqa: FBT001
    assert reconciler_module._is_about_all(error) is about_all  # noqa: SLF001


async def test_a_group_that_was_reconciled_may_be_taken_again(leading: Leading) -> None:
    leading.pod()
    leading.queue.add(SHOP)
    counted = leading.seen.metrics.reconciled["ok"]._value.get  # noqa: SLF001
    async with running(leading.reconciler.work()):
        await until(lambda: counted() == 1)
        leading.queue.add(SHOP)
        await until(lambda: counted() == 2)
    seconds = leading.seen.metrics.seconds._sum.get()  # noqa: SLF001
    assert 0 < seconds < 60
