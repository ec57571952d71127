"""`hazelcast-sidecar explain` of what a cluster has, by the settings that are installed there."""

import json
from collections.abc import Callable, Iterator
from subprocess import CompletedProcess
from typing import Any

import pytest

from tests.harness.command_line import run_here
from tests.harness.control_plane import ControlPlane
from tests.harness.pods import ours
from tests.harness.shipped_manifests import apply_strictly

pytestmark = [pytest.mark.apiserver, pytest.mark.usefixtures("webhook_configuration")]

INJECTOR = "hazelcast-sidecar-injector"
Explain = Callable[..., CompletedProcess[str]]


@pytest.fixture
def explain(control_plane: ControlPlane, namespace: str) -> Explain:
    def run(*arguments: str) -> CompletedProcess[str]:
        given = ["-n", namespace, "--kubeconfig", str(control_plane.kubeconfig)]
        return run_here("explain", *arguments, *given)

    return run


@pytest.fixture
def installed_settings(control_plane: ControlPlane) -> Iterator[None]:
    """Install settings, as `kubectl apply -k` does."""
    metadata = {"name": INJECTOR, "labels": {"made-by": "test"}}
    made = control_plane.request("POST", "/api/v1/namespaces", {"metadata": metadata})
    assert made.code in (201, 409), made.message
    settings = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"settings.yaml": "defaults: {port: 6000}"}}
    settings["metadata"] = {"name": "hazelcast-sidecar-settings", "namespace": INJECTOR}
    assert apply_strictly(control_plane, [settings]) == []
    yield
    path = f"/api/v1/namespaces/{INJECTOR}/configmaps/hazelcast-sidecar-settings"
    assert control_plane.request("DELETE", path).code == 200


def create(control_plane: ControlPlane, path: str, body: dict[str, Any]) -> None:
    answer = control_plane.request("POST", path, body)
    assert answer.code == 201, answer.message


def origins(shown: str) -> dict[str, tuple[str, str]]:
    return {row["name"]: (row["value"], row["origin"]) for row in json.loads(shown)[0]["settings"]}


@pytest.mark.usefixtures("installed_settings")
@pytest.mark.parametrize("target", ["deployment/shop", "deploy/shop", "deployments.apps/shop"])
def test_a_deployment_of_the_cluster(
    control_plane: ControlPlane, namespace: str, explain: Explain, target: str
) -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "a", "image": "a"}]}}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
    body = {"metadata": {"name": "shop", "annotations": ours(log_level="WARN")}, "spec": spec}
    create(control_plane, f"/apis/apps/v1/namespaces/{namespace}/deployments", body)
    done = explain(target, "-o", "json")
    assert done.returncode == 0, done.stderr
    found = origins(done.stdout)
    assert found["log-level"] == ("WARN", "Deployment")
    assert found["port"] == ("6000", "settings")
    assert found["group"] == ("shop", "the workload's name")


def test_an_injected_pod_of_the_cluster_as_it_was_before(
    control_plane: ControlPlane, namespace: str, explain: Explain
) -> None:
    spec = {"containers": [{"name": "a", "image": "a"}]}
    body = {"metadata": {"name": "once", "annotations": ours()}, "spec": spec}
    create(control_plane, f"/api/v1/namespaces/{namespace}/pods", body)
    done = explain("once", "-o", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["outcome"] == "injected"
    assert origins(done.stdout)["inject"] == ("true", "Pod")


def test_what_is_not_there_is_one_sentence(explain: Explain, namespace: str) -> None:
    for target, sentence in (
        ("deployment/none", f"target: the namespace {namespace} has no Deployment none"),
        ("service/shop", 'target: "service/shop" is neither a Pod nor KIND/NAME'),
        ("deployment/", 'target: "deployment/" is neither a Pod nor KIND/NAME'),
    ):
        done = explain(target)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"hazelcast-sidecar explain: {sentence}")
