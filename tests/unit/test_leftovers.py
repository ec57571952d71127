"""Which objects of groups without Pods are deleted, and after how long."""

import asyncio
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from hazelcast_sidecar.controller.reconcile import leftovers as leftovers_module
from hazelcast_sidecar.controller.reconcile.groups import Groups, Key, ManagedObjects, Standing
from hazelcast_sidecar.controller.reconcile.leftovers import EMPTY_SECONDS, LOOK_SECONDS, Leftovers
from hazelcast_sidecar.controller.shared.watched_pods import WatchedPods
from hazelcast_sidecar.group_objects.desired_objects import GroupWorkload
from hazelcast_sidecar.kube.client import FIELD_MANAGER, ApiError
from hazelcast_sidecar.kube.objects import KEPT_KINDS
from hazelcast_sidecar.names import GROUP, INJECT
from hazelcast_sidecar.owners import OwnerReference
from tests.harness.controller_parts import Seen, running, until
from tests.unit.stored_objects import REPLICA_SET, StoredObjects, injected_pod, managed

SHOP = Key("ns", "shop")
DEPLOYMENT = OwnerReference("apps/v1", "Deployment", "shop", "uid-of-shop")


class Collecting:
    """Objects of the group shop, whose Pods are gone, and a clock."""

    def __init__(self, seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen, self.api, self.now = seen, StoredObjects(), 1000.0
        self.groups = Groups(lambda _: None)
        self.pods = WatchedPods(self.groups, seen.log)
        self.kept = {name: ManagedObjects(lambda _: None, lambda _: None) for name in KEPT_KINDS}
        for kind in ("ConfigMap", "Service"):
            self.kept[kind].upsert(managed(kind))
            self.owned_by(kind)
        self.leftovers = Leftovers(self.api, self.pods, self.groups, self.kept, seen.log, seen.faults)
        loop = SimpleNamespace(time=lambda: self.now)
        monkeypatch.setattr(leftovers_module, "asyncio", SimpleNamespace(get_running_loop=lambda: loop))

    def owned_by(self, kind: str, *owners: OwnerReference, others: dict[str, Any] | None = None) -> None:
        """Store an object with owners that the controller wrote, and perhaps fields of another manager."""
        fields: dict[str, Any] = {"f:metadata": {"f:ownerReferences": {}}}
        entries = [{"manager": FIELD_MANAGER, "fieldsV1": fields}]
        metadata = {
            "uid": f"uid-of-{kind}",
            "ownerReferences": [msgspec.to_builtins(owner) for owner in owners],
            "managedFields": entries + ([others] if others else []),
        }
        self.api.put(kind, "hazelcast-shop", {"metadata": metadata})

    def workload(self, annotations: dict[str, str], uid: str = DEPLOYMENT.uid) -> None:
        """Store the Deployment shop, and have it own the Service."""
        template = {"metadata": {"annotations": annotations}, "spec": {"containers": []}}
        metadata = {"name": "shop", "namespace": "ns", "uid": uid}
        self.api.put("Deployment", "shop", {"metadata": metadata, "spec": {"template": template}})
        self.owned_by("Service", DEPLOYMENT)

    async def look(self, *, after: float = 0.0) -> list[str]:
        """Let time pass, and look once; what was deleted."""
        self.now += after
        self.api.done.clear()
        await self.leftovers.look()
        return self.api.written()


@pytest.fixture
def collecting(seen: Seen, monkeypatch: pytest.MonkeyPatch) -> Collecting:
    return Collecting(seen, monkeypatch)


ALL = ["delete ConfigMap hazelcast-shop", "delete Service hazelcast-shop"]


async def test_objects_of_a_group_go_when_it_has_had_no_pods_for_a_while(collecting: Collecting) -> None:
    assert await collecting.look() == []
    assert await collecting.look(after=EMPTY_SECONDS - 1) == []
    assert collecting.api.done == [], "nothing is asked for"
    assert await collecting.look(after=1) == ALL
    assert collecting.seen.lines == [
        {"message": "deleted", "namespace": "ns", "group": "shop", "kind": kind, "why": "no Pods"}
        for kind in ("ConfigMap", "Service")
    ]


def believe(collecting: Collecting) -> None:
    for bearers, _, _ in collecting.groups.doubtful(SHOP):
        owner = bearers.claim.owner
        collecting.groups.believe(
            bearers, Standing(owner, GroupWorkload(owner.uid, owner.name, scalable=True))
        )


async def test_the_time_counts_from_the_last_pod(collecting: Collecting) -> None:
    await collecting.look()
    collecting.pods.upsert(injected_pod())
    believe(collecting)
    assert await collecting.look(after=EMPTY_SECONDS) == []
    collecting.pods.remove(injected_pod())
    assert await collecting.look(after=1) == []
    assert await collecting.look(after=EMPTY_SECONDS - 1) == []
    assert await collecting.look(after=1) == ALL


async def test_pods_that_are_not_verified_yet_keep_the_objects(collecting: Collecting) -> None:
    await collecting.look()
    collecting.pods.upsert(injected_pod())
    assert await collecting.look(after=EMPTY_SECONDS) == []


async def test_pods_of_which_no_watch_told_yet_keep_the_objects(collecting: Collecting) -> None:
    await collecting.look()
    late = injected_pod("late")
    collecting.api.listed = [injected_pod("labelled", group="shop"), late]
    collecting.api.listed[0].known_annotations = {}
    assert await collecting.look(after=EMPTY_SECONDS) == []
    collecting.api.listed = collecting.api.listed[:1]
    assert await collecting.look(after=3599) == []
    assert await collecting.look(after=1) == ALL, "a Pod that was only labelled needs nothing"


async def test_a_look_that_fails_has_others_take_their_turn(collecting: Collecting) -> None:
    def fails(_: str) -> None:
        raise ApiError(500, "no")

    await collecting.look()
    collecting.api.fails = fails
    with pytest.raises(ApiError):
        await collecting.look(after=EMPTY_SECONDS)
    collecting.api.fails = lambda _: None
    assert await collecting.look(after=EMPTY_SECONDS - 1) == []
    assert await collecting.look(after=1) == ALL


async def test_a_pod_that_comes_meanwhile_keeps_what_is_left(collecting: Collecting) -> None:
    def arrives(what: str) -> None:
        if what == "read Service hazelcast-shop":
            collecting.pods.upsert(injected_pod())
            believe(collecting)

    await collecting.look()
    collecting.api.fails = arrives
    assert await collecting.look(after=EMPTY_SECONDS) == ALL[:1]


async def test_an_object_that_is_gone_is_not_asked_about_its_owners(collecting: Collecting) -> None:
    collecting.api.put("Service", "hazelcast-shop", None)
    await collecting.look()
    assert await collecting.look(after=EMPTY_SECONDS) == ALL, "to delete what is gone is no error"


@pytest.mark.parametrize(
    ("entry", "stays"),
    [
        ({"manager": "kubectl", "fieldsV1": {"f:metadata": {"f:ownerReferences": {}}}}, True),
        ({"manager": "kubectl", "fieldsV1": {"f:metadata": {"f:labels": {}}}}, False),
        ({"manager": "kubectl", "fieldsV1": {"f:data": {}}}, False),
        ({"manager": "kubectl"}, False),
    ],
)
async def test_what_others_own_too_stays_and_is_looked_at_again_after_an_hour(
    collecting: Collecting,
    entry: dict[str, Any],
    stays: bool,  # noqa: FBT001
) -> None:
    collecting.owned_by("Service", others=entry)
    await collecting.look()
    assert await collecting.look(after=EMPTY_SECONDS) == (ALL[:1] if stays else ALL)
    assert await collecting.look(after=3599) == []
    assert collecting.api.done == []
    collecting.owned_by("Service")
    assert (await collecting.look(after=1))[-1] == ALL[1]


ASKS = {INJECT: "true"}


@pytest.mark.parametrize(
    ("annotations", "uid", "stays"),
    [
        (ASKS, DEPLOYMENT.uid, True),
        (ASKS, "uid-of-a-successor", False),
        ({}, DEPLOYMENT.uid, False),
        (ASKS | {GROUP: "another"}, DEPLOYMENT.uid, False),
        (ASKS | {GROUP: "shop"}, DEPLOYMENT.uid, True),
    ],
)
async def test_objects_of_a_workload_that_is_scaled_to_zero_stay(
    collecting: Collecting,
    annotations: dict[str, str],
    uid: str,
    stays: bool,  # noqa: FBT001
) -> None:
    collecting.workload(annotations, uid)
    await collecting.look()
    assert await collecting.look(after=EMPTY_SECONDS) == (ALL[:1] if stays else ALL)


async def test_of_several_owners_each_is_asked(collecting: Collecting) -> None:
    collecting.workload(ASKS)
    gone = OwnerReference("apps/v1", "StatefulSet", "gone", "uid-of-gone")
    collecting.owned_by("Service", gone, DEPLOYMENT)
    await collecting.look()
    assert await collecting.look(after=EMPTY_SECONDS) == ALL[:1]


@pytest.mark.parametrize(
    "owner",
    [
        OwnerReference("apps.kruise.io/v1alpha1", "CloneSet", "shop", "uid-of-shop"),
        OwnerReference("v1", "ReplicationController", "shop", "uid-of-shop"),
        OwnerReference("apps/v1", "Deployment", "../shop", "uid-of-shop"),
        OwnerReference("v1", "Pod", "shop", "uid-of-shop"),
    ],
)
async def test_owners_that_make_no_pods_with_members_are_not_read(
    collecting: Collecting, owner: OwnerReference
) -> None:
    collecting.workload(ASKS)
    collecting.owned_by("Service", owner)
    await collecting.look()
    assert await collecting.look(after=EMPTY_SECONDS) == ALL
    assert not [each for each in collecting.api.done if each.startswith("read ") and "hazelcast-" not in each]


@pytest.mark.parametrize("document", [{"metadata": {"uid": "uid-of-shop"}, "spec": 7}, {"spec": {}}])
async def test_an_owner_that_cannot_be_decoded_or_has_no_template_keeps_nothing(
    collecting: Collecting, document: dict[str, Any]
) -> None:
    collecting.workload(ASKS)
    collecting.api.put("Deployment", "shop", {"metadata": {"uid": DEPLOYMENT.uid}, **document})
    await collecting.look()
    assert await collecting.look(after=EMPTY_SECONDS) == ALL


async def test_a_new_term_counts_from_its_start_and_looks_each_minute(
    collecting: Collecting, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    async def periodically(seconds: float, look: Any, *_: object) -> None:
        await look()
        waits.append(seconds)
        await asyncio.Event().wait()

    monkeypatch.setattr(leftovers_module, "run_periodically", periodically)
    await collecting.look()
    collecting.now += EMPTY_SECONDS
    async with running(collecting.leftovers.work()):
        await until(lambda: waits)
    assert waits == [LOOK_SECONDS]
    assert collecting.api.written() == []
    assert await collecting.look(after=EMPTY_SECONDS) == ALL


async def test_a_pod_that_its_replica_set_made_has_its_deployments_group(collecting: Collecting) -> None:
    template = {
        "metadata": {"annotations": ASKS, "labels": {"pod-template-hash": "5d4f9c"}},
        "spec": {"containers": []},
    }
    metadata = {"name": REPLICA_SET.name, "namespace": "ns", "uid": REPLICA_SET.uid}
    collecting.api.put("ReplicaSet", REPLICA_SET.name, {"metadata": metadata, "spec": {"template": template}})
    collecting.owned_by("Service", REPLICA_SET)
    await collecting.look()
    assert await collecting.look(after=EMPTY_SECONDS) == ALL[:1]
