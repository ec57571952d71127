"""Nobody is locked out: what is let through while no webhook answers, and what is refused.

Nothing of the shipped configuration is changed but the Service's port: nobody listens there.
"""

from typing import Any

import pytest

from hazelcast_sidecar.injection.webhook_configuration import AGAIN, DECISIVE, OTHERS, PODS
from hazelcast_sidecar.monitoring.alerts import OF_WEBHOOK
from hazelcast_sidecar.names import INJECTOR, PREFIX
from tests.harness.accounts import NAME, Account
from tests.harness.control_plane import Answer, ControlPlane
from tests.harness.installation import route_to
from tests.harness.namespaces import create_namespace
from tests.harness.pods import Pod, bare, with_metadata
from tests.harness.ports import free_ports
from tests.harness.prometheus_text import counted
from tests.harness.shipped_manifests import ACTIVE_SECONDS, OWN_NAMESPACE, ROOT, apply_strictly, rendered
from tests.harness.waiting import until

pytestmark = pytest.mark.apiserver

ANNOTATED = {f"{PREFIX}inject": "true"}


LABELLED = {f"{PREFIX}inject": "true", "pod-template-hash": "5d4f9c"}
"""As the template of an annotated Deployment has it."""


def unnamed(annotations: dict[str, str] | None = None, labels: dict[str, str] | None = None) -> Pod:
    return with_metadata(bare(annotations or {}), name=None, generateName="shop-", labels=labels or {})


def deployment(name: str, annotations: dict[str, str]) -> dict[str, Any]:
    labels = {"app": name}
    template = unnamed()
    template["metadata"] = {"labels": labels}
    metadata = {"name": name, "annotations": annotations, "finalizers": ["example.com/held"]}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    return {"metadata": metadata, "spec": spec}


def create(cluster: ControlPlane, namespace: str, body: dict[str, Any]) -> Answer:
    return cluster.request("POST", f"/api/v1/namespaces/{namespace}/pods", body)


@pytest.fixture(scope="module")
def stranded(cluster: ControlPlane, shipped: Account) -> ControlPlane:
    """Install everything of manifests/base with nobody who answers, after an annotated Deployment."""
    assert shipped
    path = "/apis/apps/v1/namespaces/default/deployments"
    assert cluster.request("POST", path, deployment("earlier", ANNOTATED)).code == 201
    objects = rendered(cluster, ROOT / "manifests" / "base")
    kept = [o for o in objects if o["kind"] != "Service"]
    assert apply_strictly(cluster, kept) == []
    route_to(cluster, *free_ports(1))
    until(
        ACTIVE_SECONDS, "it is in force", lambda: create(cluster, "default", unnamed(ANNOTATED)).code != 201
    )
    return cluster


# --- what goes on ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("annotations", [None, {}, {"example.com/inject": "true"}], ids=str)
def test_pods_that_ask_for_nothing(stranded: ControlPlane, annotations: dict[str, str] | None) -> None:
    answer = create(stranded, "default", unnamed(annotations))
    assert answer.code == 201, answer.message


@pytest.mark.parametrize("labels", [{}, LABELLED, {f"{PREFIX}inject": "false"}], ids=str)
@pytest.mark.parametrize("annotations", [{f"{PREFIX}inject": "false"}, {f"{PREFIX}group": "shop"}], ids=str)
def test_pods_that_decline(
    stranded: ControlPlane, annotations: dict[str, str], labels: dict[str, str]
) -> None:
    answer = create(stranded, "default", unnamed(annotations, labels))
    asks = labels == LABELLED and f"{PREFIX}inject" not in annotations
    assert answer.code == (500 if asks else 201), answer.message


def test_pods_of_workloads_that_were_not_labelled(stranded: ControlPlane) -> None:
    answer = create(stranded, "default", unnamed(ANNOTATED, {"pod-template-hash": "5d4f9c"}))
    assert answer.code == 201, answer.message


def test_pods_of_the_system_whatever_they_ask_for(stranded: ControlPlane) -> None:
    answer = create(stranded, "kube-system", unnamed(ANNOTATED))
    assert answer.code == 201, answer.message


@pytest.mark.parametrize("annotations", [{}, ANNOTATED], ids=["plain", "annotated"])
@pytest.mark.parametrize("name", [INJECTOR, NAME])
def test_the_pods_of_the_installation(stranded: ControlPlane, name: str, annotations: dict[str, str]) -> None:
    """As its Deployments make them: else it could never come back."""
    path = f"/apis/apps/v1/namespaces/{OWN_NAMESPACE}/deployments/{name}"
    template = stranded.request("GET", path).document["spec"]["template"]
    metadata = template["metadata"] | {"generateName": f"{name}-", "annotations": annotations}
    answer = create(stranded, OWN_NAMESPACE, {"metadata": metadata, "spec": template["spec"]})
    assert answer.code == 201, answer.message


def test_nodes(stranded: ControlPlane) -> None:
    body = {"metadata": {"name": "node-1", "annotations": ANNOTATED}}
    answer = stranded.request("POST", "/api/v1/nodes", body)
    assert answer.code == 201, answer.message


def test_namespaces(stranded: ControlPlane) -> None:
    assert create_namespace(stranded, {f"{PREFIX}group": "shop"})


def test_annotated_workloads_that_are_there_can_be_scaled_and_deleted(stranded: ControlPlane) -> None:
    path = "/apis/apps/v1/namespaces/default/deployments/earlier"
    merge = "application/merge-patch+json"
    scaled = stranded.request("PATCH", f"{path}/scale", {"spec": {"replicas": 0}}, merge)
    assert scaled.code == 200, scaled.message
    reported = stranded.request("PATCH", f"{path}/status", {"status": {"observedGeneration": 2}}, merge)
    assert reported.code == 200, reported.message
    assert stranded.request("DELETE", path).code == 200
    released = stranded.request("PATCH", path, {"metadata": {"finalizers": None}}, merge)
    assert released.code == 200, released.message
    assert stranded.request("GET", path).code == 404


# --- what is refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("annotations", "labels", "name"),
    [(ANNOTATED, {}, OTHERS), (ANNOTATED, LABELLED, DECISIVE), ({}, LABELLED, DECISIVE)],
    ids=["a bare Pod", "a workload's", "by its label alone"],
)
def test_pods_that_ask_are_refused_with_a_sentence(
    stranded: ControlPlane, annotations: dict[str, str], labels: dict[str, str], name: str
) -> None:
    answer = create(stranded, "default", unnamed(annotations, labels))
    assert answer.code == 500
    assert f'failed calling webhook "{name}"' in answer.message
    assert f"{INJECTOR}.{OWN_NAMESPACE}.svc" in answer.message, "where to look"
    assert "connection refused" in answer.message


def test_annotated_workloads_are_refused_with_a_sentence(stranded: ControlPlane) -> None:
    """Their annotations would not reach their Pods, which would run without a member for good."""
    path = "/apis/apps/v1/namespaces/default/deployments"
    answer = stranded.request("POST", path, deployment("later", ANNOTATED))
    assert answer.code == 500
    assert 'failed calling webhook "workloads.sidecar.hazelcast.com"' in answer.message
    assert stranded.request("POST", path, deployment("plain", {})).code == 201


# --- what tells of it --------------------------------------------------------------------------------------


def test_the_api_server_counts_what_alerts_read(stranded: ControlPlane) -> None:
    expected = [
        ("apiserver_admission_webhook_fail_open_count", {"name": PODS}),
        ("apiserver_admission_webhook_fail_open_count", {"name": AGAIN}),
        (
            "apiserver_admission_webhook_rejection_count",
            {"name": DECISIVE, "error_type": "calling_webhook_error"},
        ),
        (
            "apiserver_admission_webhook_rejection_count",
            {"name": OTHERS, "error_type": "calling_webhook_error"},
        ),
    ]

    def counts() -> list[float]:
        metrics = stranded.kubectl("get", "--raw", "/metrics").stdout
        # The reader gives a counter the suffix that it should have.
        return [counted(metrics, f"{name}_total", dict(labels)) for name, labels in expected]

    before = counts()
    assert create(stranded, "default", unnamed(ANNOTATED, LABELLED)).code == 500
    assert create(stranded, "default", unnamed(ANNOTATED)).code == 500
    assert counts() == [count + 1 for count in before]
    expressions = " ".join(alert.expression for alert in OF_WEBHOOK)
    for name, labels in expected:
        assert name in expressions
        assert all(value.replace(".", "[.]") in expressions for value in labels.values())
