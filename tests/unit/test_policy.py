"""The truth table of decisions, row by row."""

from typing import Any

import msgspec
import pytest

from tests.conftest import ours, pod
from webhook.annotations import DefaultSpecs
from webhook.pod import Pod
from webhook.policy import SENTENCES, Deny, Inject, Reason, Skip, decide
from webhook.settings import Settings

DEFAULTS = DefaultSpecs(Settings()).of("default")
MEMBER = {"name": "hazelcast", "image": "x"}
RECORD = {"sidecar.hazelcast.com/status": "{}"}


def decision(obj: dict[str, Any], operation: str = "CREATE") -> Any:
    return decide(msgspec.convert(obj, Pod), operation, DEFAULTS)


@pytest.mark.parametrize(
    ("obj", "operation", "reason"),
    [
        (pod(), "UPDATE", Reason.NOT_A_CREATION),
        (pod({}), "CREATE", Reason.NOT_REQUESTED),
        (pod({"sidecar.hazelcast.com/inject": "false"}), "CREATE", Reason.DECLINED),
        (pod(ours(port="x", inject="false")), "CREATE", Reason.DECLINED),
        (pod(ours() | RECORD, initContainers=[MEMBER]), "CREATE", Reason.ALREADY_INJECTED),
        (pod(ours() | RECORD, containers=[MEMBER]), "CREATE", Reason.ALREADY_INJECTED),
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


def test_a_record_without_its_member_does_not_keep_a_pod_from_being_injected() -> None:
    assert isinstance(decision(pod(ours() | RECORD)), Inject)


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
        (
            pod(ours(discovery="api"), automountServiceAccountToken=False),
            ["spec.automountServiceAccountToken: is false", 'set sidecar.hazelcast.com/discovery to "dns"'],
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
        pod(automountServiceAccountToken=False),
        pod(hostNetwork=True, dnsPolicy="ClusterFirstWithHostNet"),
        pod(ours(discovery="api"), dnsPolicy="Default"),
        pod(dnsPolicy="None"),
        pod(dnsPolicy="ClusterFirst"),
    ],
)
def test_what_only_looks_like_a_collision_is_none(obj: dict[str, Any]) -> None:
    assert isinstance(decision(obj), Inject)


def test_every_reason_has_a_sentence() -> None:
    assert set(SENTENCES) == set(Reason)
