"""The index of watched Pods: what is decoded and kept once, and what becomes of a Pod that fails."""

import msgspec
import pytest

from hazelcast_sidecar.controller.audit.drifted_pods import drifted_pods
from hazelcast_sidecar.controller.reconcile.groups import Groups, Key
from hazelcast_sidecar.controller.shared import watched_pods
from hazelcast_sidecar.controller.shared.controller_metrics import Where
from hazelcast_sidecar.controller.shared.guarded import GuardedIndex
from hazelcast_sidecar.controller.shared.watched_pods import WatchedPods
from hazelcast_sidecar.injection.drift import DriftDetector
from hazelcast_sidecar.kube.objects import Metadata
from hazelcast_sidecar.model import status
from hazelcast_sidecar.model.status import Status
from hazelcast_sidecar.names import GROUP, INJECT, PREFIX, STATUS
from hazelcast_sidecar.owners import OwnerReference
from hazelcast_sidecar.spec.settings import Settings
from tests.harness.controller_parts import Seen
from tests.unit.snapshots import injected

SHOP = Key("team-a", "shop")
MIRROR = (OwnerReference("v1", "Node", "node-1", "uid-node", controller=True),)


class Index:
    """Watched Pods with their groups, behind a guard."""

    def __init__(self, seen: Seen) -> None:
        self.touched: list[Key] = []
        self.groups = Groups(self.touched.append)
        self.pods = WatchedPods(self.groups, seen.log)
        self.guarded = GuardedIndex(self.pods, seen.faults)


def annotated(pod: Metadata, **annotations: str) -> Metadata:
    more = {f"{PREFIX}{name}": text for name, text in annotations.items()}
    return msgspec.structs.replace(pod, known_annotations={**pod.known_annotations, **more})


def test_a_pod_is_decoded_once_and_its_workload_kept_once(
    seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[str] = []

    def decode(text: str) -> Status:
        decoded.append(text)
        return status.decode(text)

    monkeypatch.setattr(watched_pods, "status", type("Spy", (), {"decode": staticmethod(decode)}))
    index = Index(seen)
    for name in ("shop-1", "shop-2"):
        index.pods.upsert(injected(name))
    assert len(decoded) == 2
    one, two = index.pods
    assert one.common is two.common
    bearers, _, _ = next(index.groups.doubtful(SHOP))
    assert bearers.claim.status is one.common.injected.status, "groups keep no status of their own"
    assert list(bearers.pods.values()) == [one, two]
    assert all(kept is pod for kept, pod in zip(bearers.pods.values(), (one, two), strict=True))


async def test_an_annotation_that_the_status_does_not_know_concerns_the_audit_alone(seen: Seen) -> None:
    index = Index(seen)
    index.pods.upsert(injected())
    bearers, _, _ = next(index.groups.doubtful(SHOP))
    index.groups.believe(bearers, None)
    index.touched.clear()
    index.pods.changed.clear()
    index.pods.upsert(annotated(injected(), port="6000"))
    assert index.pods.changed.is_set()
    assert index.touched == []
    assert index.groups.believed(SHOP) == [bearers], "its claim need not be proved again"
    (pod,) = index.pods
    assert list(bearers.pods.values()) == [pod]
    assert len(await drifted_pods(index.pods, DriftDetector(Settings()), seen.faults)) == 1


@pytest.mark.parametrize(
    ("changed", "warnings"),
    [
        ({"labels": {GROUP: "other"}}, ["status and label differ"]),
        ({"owner_references": MIRROR}, []),
        ({"owner_references": MIRROR, "labels": {}}, []),
    ],
)
async def test_a_pod_that_claims_nothing_is_audited_nonetheless(
    seen: Seen, changed: dict[str, object], warnings: list[str]
) -> None:
    index = Index(seen)
    index.pods.upsert(injected())
    index.pods.upsert(msgspec.structs.replace(injected(), **changed))
    assert index.groups.keys() == []
    assert [line["message"] for line in seen.lines] == warnings
    detector = DriftDetector(Settings(defaults={"port": "6000"}))
    assert len(await drifted_pods(index.pods, detector, seen.faults)) == 1


def test_a_mirror_pod_with_anything_as_its_status_is_no_news(seen: Seen) -> None:
    index = Index(seen)
    index.pods.upsert(Metadata(uid="1", owner_references=MIRROR, known_annotations={STATUS: "[]"}))
    assert (list(index.pods), seen.lines) == ([], [])


def test_a_pod_that_its_group_could_not_take_is_taken_from_the_next_list(
    seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = Index(seen)
    with monkeypatch.context() as patches:
        patches.setattr(index.groups, "upsert", lambda *_: 1 / 0)
        index.guarded.upsert(injected())
    index.guarded.upsert(injected("other", group="other"))
    assert seen.count(Where.INDEX) == 1
    assert index.groups.keys() == [Key("team-a", "other")], "the others have their place"
    index.guarded.upsert(injected())
    assert SHOP in index.groups.keys()  # noqa: SIM118 - no mapping


def test_only_a_pod_of_which_a_watch_will_tell_something_is_not_known(seen: Seen) -> None:
    index = Index(seen)
    assert not index.pods.knows(injected())
    assert index.pods.knows(Metadata(uid="2", known_annotations={INJECT: "true"}))
    assert index.pods.knows(msgspec.structs.replace(injected(), deletion_timestamp="2026-01-01T00:00:00Z"))
    mislabelled = msgspec.structs.replace(injected(), labels={GROUP: "other"})
    assert index.pods.knows(mislabelled), "no group will have it"
    index.pods.upsert(mislabelled)
    assert not index.pods.knows(injected()), "its label has been corrected"
    index.pods.upsert(injected())
    assert index.pods.knows(injected())


def test_a_pod_that_changes_again_and_again_does_not_flood_the_log(seen: Seen) -> None:
    index = Index(seen)
    for number in range(100):
        index.pods.upsert(annotated(injected(), status=f"[{number}]"))
    assert len(seen.lines) == 20
    assert seen.lines[0].keys() == {"message", "level", "namespace", "pod", "error"}


def test_a_pod_whose_status_follows_its_label_is_no_longer_one_without(seen: Seen) -> None:
    index = Index(seen)
    pod = injected("shop-1")
    labelled = msgspec.structs.replace(pod, known_annotations={INJECT: "true"})
    index.pods.upsert(labelled)
    assert [*index.pods.unrecorded] == [pod.uid]
    index.pods.upsert(pod)
    assert not index.pods.unrecorded
