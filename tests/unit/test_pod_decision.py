"""The truth table of decisions, row by row."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from hazelcast_sidecar.injection.intact import member_of
from hazelcast_sidecar.injection.pod_decision import SENTENCES, Deny, Inject, Reason, Restore, Skip, decide
from hazelcast_sidecar.limits import MAX_ANNOTATIONS, annotation_bytes
from hazelcast_sidecar.model.pod import Pod
from hazelcast_sidecar.spec.annotations import DefaultSpecs
from hazelcast_sidecar.spec.settings import Settings
from tests.harness.pods import annotated, injected, labelled, ours, pod, torn, with_metadata

DEFAULTS = DefaultSpecs(Settings()).of("default")
MEMBER = {"name": "hazelcast", "image": "x"}
STATUS, GROUP = "sidecar.hazelcast.com/status", "sidecar.hazelcast.com/group"
MIRROR = {"kubernetes.io/config.mirror": "0f0f0f"}
RECORD = {STATUS: "{}"}


def decision(obj: dict[str, Any], operation: str = "CREATE") -> Any:
    return decide(msgspec.convert(obj, Pod), operation, DEFAULTS)


def made_by(kind: str, name: str, **annotations: str) -> dict[str, Any]:
    """A Pod that such a workload made; none, where the kind is empty."""
    owners = [{"kind": kind, "name": name, "controller": True}] if kind else []
    return with_metadata(pod(ours(**annotations)), ownerReferences=owners)


@pytest.mark.parametrize(
    ("obj", "operation", "reason"),
    [
        (pod(), "UPDATE", Reason.NOT_A_CREATION),
        (pod({}), "CREATE", Reason.NOT_REQUESTED),
        (pod({"sidecar.hazelcast.com/inject": "false"}), "CREATE", Reason.DECLINED),
        (pod(ours(port="x", inject="false")), "CREATE", Reason.DECLINED),
        (injected(pod()), "CREATE", Reason.ALREADY_INJECTED),
        (injected(pod(ours(native_sidecar="false"))), "CREATE", Reason.ALREADY_INJECTED),
        (injected(pod(ours(discovery="api"))), "CREATE", Reason.ALREADY_INJECTED),
        (annotated(injected(pod()), port="fast"), "CREATE", Reason.ALREADY_INJECTED),
        (annotated(injected(pod()), inject="yes"), "CREATE", Reason.ALREADY_INJECTED),
        (annotated(injected(pod()), inject="false"), "CREATE", Reason.DECLINED),
        (annotated(torn(pod(), "env"), inject="false"), "CREATE", Reason.DECLINED),
        (pod(MIRROR), "CREATE", Reason.NOT_REQUESTED),
        (pod(ours(inject="false") | MIRROR), "CREATE", Reason.DECLINED),
        (pod(ours(inject="false") | MIRROR | RECORD), "CREATE", Reason.DECLINED),
    ],
)
def test_pods_that_are_skipped(obj: dict[str, Any], operation: str, reason: Reason) -> None:
    assert decision(obj, operation) == Skip(reason)


@pytest.mark.parametrize(
    ("obj", "reason"),
    [
        (pod(ours(inject="yes")), Reason.INVALID),
        (pod(ours(port="x")), Reason.INVALID),
        (pod(initContainers=[MEMBER]), Reason.COLLISION),
        (pod(containers=[MEMBER]), Reason.COLLISION),
        (pod(ours() | RECORD), Reason.NO_MEMBER),
        (pod(RECORD), Reason.NO_MEMBER),
        (pod(ours(inject="false") | RECORD), Reason.NO_MEMBER),
        (pod(ours() | RECORD, containers=[MEMBER]), Reason.NO_MEMBER),
        (torn(pod(), "env", "mounts"), Reason.NO_MEMBER),
        (injected(pod()) | {"spec": pod()["spec"]}, Reason.NO_MEMBER),
        (annotated(injected(pod()), status="{}"), Reason.INVALID),
        (annotated(injected(pod()), status="[" * 50_000), Reason.INVALID),
        (labelled(injected(pod()), "other"), Reason.COLLISION),
        (annotated(torn(pod(), "restartPolicy"), port="fast"), Reason.INVALID),
    ],
)
def test_pods_that_are_denied(obj: dict[str, Any], reason: Reason) -> None:
    denied = decision(obj)
    assert isinstance(denied, Deny)
    assert denied.reason == reason


def test_a_pod_without_member_that_asks_for_one_is_injected() -> None:
    injected = decision(pod())
    assert isinstance(injected, Inject)
    assert injected.group == "shop"


def test_a_status_without_its_member_says_what_happened_and_what_helps() -> None:
    denied = decision(injected(pod()) | {"spec": pod()["spec"]})
    text = str(denied.problems[0])
    assert f"{STATUS}: says that a member was injected, but there is none" in text
    assert "Another webhook removed it, or the annotation was copied" in text
    assert "remove the annotation" in text


@pytest.mark.parametrize(
    ("tear", "words"),
    {
        "restartPolicy": "restartPolicy",
        "volumes": "volumes hazelcast-config hazelcast-tmp",
        "a mount": "volumeMounts /tmp",
        "the token": "volumeMounts /var/run/secrets/kubernetes.io/serviceaccount",
        "discovery": "env HAZELCAST_KUBERNETES_SERVICE_DNS",
        "label": f"the label {GROUP}",
        "labels": f"the label {GROUP}",
        "status": f"the annotation {STATUS}",
    }.items(),
)
def test_what_another_webhook_removed_is_named_and_put_back(tear: str, words: str) -> None:
    bare = pod(ours(group="shop"))
    restored = decision(torn(bare, tear))
    assert isinstance(restored, Restore)
    (warning,) = restored.warnings
    assert warning == f"another webhook removed parts of the Hazelcast member, which are restored: {words}"
    assert restored.group == "shop"


def spec_with(**fields: Any) -> Callable[[dict[str, Any]], None]:
    """A change of the spec of a Pod in place."""
    return lambda obj: obj["spec"].update(fields)


def app_with(**fields: Any) -> Callable[[dict[str, Any]], None]:
    """A change of the application's container."""
    return lambda obj: obj["spec"]["containers"][0].update(fields)


def owner_with(**fields: Any) -> Callable[[dict[str, Any]], None]:
    """A change of what made the Pod."""
    return lambda obj: obj["metadata"]["ownerReferences"][0].update(fields)


def fill(obj: dict[str, Any]) -> None:
    """Leave no room for another annotation."""
    given = obj["metadata"]["annotations"]
    given["x"] = "x" * (MAX_ANNOTATIONS - 1 - annotation_bytes({**given, STATUS: ""}))


IN_THE_WAY: dict[str, tuple[dict[str, str], Callable[[dict[str, Any]], None]]] = {
    "port": ({}, app_with(ports=[{"containerPort": 5701}])),
    "metrics-port": ({"metrics": "true"}, app_with(ports=[{"containerPort": 9701}])),
    "name": ({}, lambda obj: obj["spec"]["containers"].insert(0, MEMBER)),
    "DNS": ({}, spec_with(dnsPolicy="Default")),
    "account": ({"discovery": "api"}, spec_with(serviceAccountName="a" * 254)),
    "loopback": ({"clients": "pod"}, spec_with(hostNetwork=True, dnsPolicy="ClusterFirstWithHostNet")),
    "Windows": ({}, spec_with(os={"name": "windows"})),
    "host process": ({}, app_with(securityContext={"windowsOptions": {"hostProcess": True}})),
    "whole Pod": ({}, spec_with(resources={"requests": {"memory": "600Mi"}, "limits": {"cpu": "1"}})),
    "budget": ({"disruption_budget": "true"}, owner_with(kind="Job")),
}


@pytest.mark.parametrize("native", ["true", "false"])
@pytest.mark.parametrize("tear", ["label", "status", "a variable"])
@pytest.mark.parametrize("name", IN_THE_WAY)
def test_what_keeps_a_member_out_keeps_it_from_being_put_back(name: str, tear: str, native: str) -> None:
    """The problems are those of the Pod without its member, and no others for the member's sake."""
    annotations, change = IN_THE_WAY[name]
    bare = pod(ours(group="shop", native_sidecar=native, **annotations))
    damaged = torn(bare, tear)
    assert isinstance(decision(damaged), Restore)
    change(bare)
    change(damaged)
    expected, denied = decision(bare), decision(damaged)
    assert isinstance(expected, Deny)
    assert isinstance(denied, Deny)
    assert denied == expected


def test_a_status_is_not_put_back_where_there_is_no_room_for_it() -> None:
    damaged = torn(pod(ours(group="shop")), "status")
    fill(damaged)
    denied = decision(damaged)
    assert isinstance(denied, Deny)
    assert str(denied.problems[0]).startswith("metadata.annotations: are 262")


def test_a_status_that_is_there_needs_no_room() -> None:
    damaged = torn(pod(ours(group="shop")), "label")
    text = damaged["metadata"]["annotations"].pop(STATUS)
    fill(damaged)
    damaged["metadata"]["annotations"][STATUS] = text
    assert isinstance(decision(damaged), Restore)


def test_an_ordinary_member_needs_no_restart_policy() -> None:
    assert torn(pod(ours(native_sidecar="false")), "restartPolicy") == injected(
        pod(ours(native_sidecar="false"))
    )


def test_what_is_put_back_follows_the_status_where_the_defaults_have_changed_since() -> None:
    by_api = DefaultSpecs(Settings(defaults={"discovery": "api"})).of("default")
    found = decide(msgspec.convert(torn(pod(), "env"), Pod), "CREATE", by_api)
    assert isinstance(found, Restore)
    assert found.injection.spec.discovery == "dns"


def test_mirror_pods_are_not_injected_and_warned_of() -> None:
    skipped = decision(pod(ours() | MIRROR))
    assert skipped.reason == Reason.MIRROR
    assert "this is the mirror Pod of a static Pod" in skipped.warnings[0]


def test_a_node_is_no_workload() -> None:
    made = made_by("Node", "node-a")
    made["metadata"] |= {"name": "edge", "labels": {}}
    assert decision(made).group == "edge"


# --- budgets -----------------------------------------------------------------------------------------------

BUDGET = "sidecar.hazelcast.com/disruption-budget"
WITH_BUDGETS = DefaultSpecs(Settings(defaults={"disruption-budget": "true"})).of("default")


@pytest.mark.parametrize("kind", ["Job", "DaemonSet", "CronJob", "Node", ""])
def test_a_budget_that_would_block_evictions_is_denied(kind: str) -> None:
    denied = decision(made_by(kind, "shop", disruption_budget="true"))
    assert denied.reason == Reason.COLLISION
    (problem,) = denied.problems
    maker = f"a {kind}" if kind not in {"Node", ""} else "no workload"
    assert str(problem).startswith(f'{BUDGET}: is "true", but {maker} made the Pod')


@pytest.mark.parametrize(
    "kind", ["ReplicaSet", "Deployment", "StatefulSet", "ReplicationController", "CloneSet"]
)
def test_a_budget_is_for_workloads_that_scale(kind: str) -> None:
    assert decision(made_by(kind, "shop", disruption_budget="true")).spec.disruption_budget


@pytest.mark.parametrize(("kind", "budget"), [("Job", False), ("", False), ("ReplicaSet", True)])
def test_a_budget_by_default_is_for_those_that_can_have_one(kind: str, budget: bool) -> None:  # noqa: FBT001
    found = decide(msgspec.convert(made_by(kind, "shop"), Pod), "CREATE", WITH_BUDGETS)
    assert isinstance(found, Inject)
    assert found.spec.disruption_budget is budget


def test_the_annotated_group_outranks_the_workload() -> None:
    assert decision(pod(ours(group="all"))).group == "all"


@pytest.mark.parametrize("key", ["port", "injct"])
def test_annotations_that_do_nothing_are_warned_of(key: str) -> None:
    skipped = decision(pod({f"sidecar.hazelcast.com/{key}": "true"}))
    assert skipped.reason == Reason.NOT_REQUESTED
    assert f"sidecar.hazelcast.com/{key} is set, sidecar.hazelcast.com/inject is not" in skipped.warnings[0]


@pytest.mark.parametrize(
    "image",
    [
        "hazelcast/hazelcast:3.12",
        "hazelcast",
        "r.example:5000/a/hazelcast-enterprise:5.7.0@sha256:" + "0" * 64,
    ],
)
def test_a_member_written_by_hand_is_not_doubled(image: str) -> None:
    skipped = decision(pod(containers=[{"name": "app"}, {"name": "hz", "image": image}]))
    assert skipped.reason == Reason.HAND_WRITTEN
    assert f'spec.containers[1] "hz" is one already ({image})' in skipped.warnings[0]


@pytest.mark.parametrize(
    ("obj", "sentences"),
    [
        (pod(containers=[MEMBER]), ['spec.containers[0]: is named "hazelcast"']),
        (
            pod(containers=[{"name": "a", "ports": [{"containerPort": 5701}]}]),
            [
                'spec.containers[0]: container "a" declares port 5701',
                "set sidecar.hazelcast.com/port to a free port",
            ],
        ),
        (
            pod(ours(metrics="true"), containers=[{"name": "a", "ports": [{"containerPort": 9701}]}]),
            ["set sidecar.hazelcast.com/metrics-port to a free port"],
        ),
        *(
            (
                pod(ours(clients="pod"), containers=[{"name": "a", "ports": [{"containerPort": port}]}]),
                [f"declares port {port}", "set sidecar.hazelcast.com/port to a free port"],
            )
            for port in (5701, 5702, 5703)
        ),
        (
            pod(ours(clients="pod"), hostNetwork=True, dnsPolicy="ClusterFirstWithHostNet"),
            ["spec.hostNetwork: is true, so 127.0.0.1 is the node's", "or sidecar.hazelcast.com/clients"],
        ),
        (pod(dnsPolicy="Default"), ["spec.dnsPolicy: does not use", 'set it to "ClusterFirst"']),
        (pod(hostNetwork=True, dnsPolicy="ClusterFirst"), ['set it to "ClusterFirstWithHostNet"']),
        (pod(volumes=[{"name": "hazelcast-tmp"}]), ['spec.volumes[0]: is named "hazelcast-tmp"']),
        (
            {**pod(), "metadata": {**pod()["metadata"], "labels": {"sidecar.hazelcast.com/group": "other"}}},
            ['label sidecar.hazelcast.com/group: is "other"'],
        ),
        (pod(os={"name": "windows"}), ["spec.os.name: is windows, but Hazelcast members run on Linux"]),
        (pod(nodeSelector={"kubernetes.io/os": "windows"}), ["spec.nodeSelector: is windows"]),
        (
            pod(resources={"limits": {"memory": "256Mi"}}),
            ["spec.resources.limits.memory: 256Mi is less than the member's own 512Mi", "memory-limit"],
        ),
        (
            pod(
                resources={"requests": {"cpu": "1", "memory": "1Gi"}},
                containers=[{"name": "a", "resources": {"requests": {"memory": "600Mi"}}}],
            ),
            ["spec.resources.requests.memory: 1Gi is less than", "the member (512Mi)", "memory-request"],
        ),
        (
            pod(
                ours(native_sidecar="false"),
                resources={"requests": {"memory": "1Gi"}},
                containers=[{"name": "a", "resources": {"requests": {"memory": "600Mi"}}}],
            ),
            ["spec.resources.requests.memory: 1Gi is less than", "the member (512Mi)"],
        ),
        (
            pod(
                resources={"requests": {"memory": "1Gi"}},
                initContainers=[
                    {
                        "name": "proxy",
                        "restartPolicy": "Always",
                        "resources": {"requests": {"memory": "600Mi"}},
                    }
                ],
            ),
            ["spec.resources.requests.memory: 1Gi is less than"],
        ),
        (
            pod(containers=[MEMBER], volumes=[{"name": "v"}, {"name": "hazelcast-config"}]),
            ["spec.containers[0]: ", "spec.volumes[1]: "],
        ),
    ],
)
def test_a_collision_names_both_sides(obj: dict[str, Any], sentences: list[str]) -> None:
    text = "; ".join(map(str, decision(obj).problems))
    for sentence in sentences:
        assert sentence in text


@pytest.mark.parametrize(
    "obj",
    [
        pod(ours(port="5702"), containers=[{"name": "a", "ports": [{"containerPort": 5701}]}]),
        pod(containers=[{"name": "a", "ports": [{"containerPort": 5701, "protocol": "UDP"}]}]),
        pod(containers=[{"name": "a", "ports": [{"containerPort": 9701}]}]),
        pod(containers=[{"name": "a", "ports": [{"containerPort": 5702}]}]),
        pod(containers=[{"name": "a", "ports": [{"containerPort": 80, "hostPort": 5701}]}]),
        pod(containers=[{"name": "a", "image": "hazelcast/management-center:5.7"}]),
        pod(containers=[{"name": "a", "image": "shop/hazelcast-client:1"}]),
        pod(os={"name": "linux"}, nodeSelector={"kubernetes.io/os": "linux"}),
        pod(resources={"limits": {"cpu": "4", "memory": "1Gi"}, "requests": {"cpu": "100m"}}),
        pod(resources={"limits": {"memory": "-1"}}),
        pod(
            resources={"requests": {"memory": "1200Mi"}},
            initContainers=[
                {"name": "first", "resources": {"requests": {"memory": "600Mi"}}},
                {"name": "second", "resources": {"requests": {"memory": "600Mi"}}},
            ],
        ),
        pod(ours(discovery="api"), automountServiceAccountToken=False),
        pod(hostNetwork=True, dnsPolicy="ClusterFirstWithHostNet"),
        pod(ours(discovery="api"), dnsPolicy="Default"),
        pod(dnsPolicy="None", dnsConfig={"searches": ["default.svc.cluster.local"]}),
        pod(dnsPolicy="ClusterFirst"),
    ],
)
def test_what_only_looks_like_a_collision_is_none(obj: dict[str, Any]) -> None:
    assert isinstance(decision(obj), Inject)


def test_every_reason_has_a_sentence() -> None:
    assert set(SENTENCES) == set(Reason)


@pytest.mark.parametrize(
    ("container", "is_member"),
    [
        ({"name": "hazelcast", "volumeMounts": [{"name": "hazelcast-config", "mountPath": "/x"}]}, True),
        ({"name": "hazelcast", "env": [{"name": "HAZELCAST_CONFIG"}]}, True),
        ({"name": "hazelcast", "volumeMounts": [{"name": "mine"}], "env": [{"name": "MINE"}]}, False),
        ({"name": "hazelcast"}, False),
        ({"name": "mine", "env": [{"name": "HAZELCAST_CONFIG"}]}, False),
    ],
)
@pytest.mark.parametrize("field", ["containers", "initContainers"])
def test_a_member_is_known_by_its_name_and_one_sign_of_our_configuration(
    field: str, container: dict[str, Any], *, is_member: bool
) -> None:
    spec = {"containers": [{"name": "app"}]} | {field: [{"name": "other"}, container]}
    found = member_of(msgspec.convert(pod(**spec), Pod))
    assert (found is not None) is is_member
    if found:
        assert (found.field, found.position) == (field, 1)
