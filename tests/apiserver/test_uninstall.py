"""Taken off a cluster, by `make uninstall` or by hand in any order, it leaves nothing that blocks anybody.

No kube-controller-manager runs here, so a thread empties and removes namespaces that are being deleted.
Garbage is not collected; tests/e2e/test_uninstall.py sees that.
"""

import http.client
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from hazelcast_sidecar.admission_policies.policies import policies
from hazelcast_sidecar.names import INJECTOR
from hazelcast_sidecar.spec.settings import Settings
from tests.harness.accounts import NAME, RIGHTS, account, wait_for_rights
from tests.harness.control_plane import ControlPlane
from tests.harness.controller_program import LEASES, Controller, started
from tests.harness.installation import (
    CONFIGURATIONS,
    belongs_to,
    cluster_roles,
    has_ca_bundle,
    is_installed,
)
from tests.harness.load import gated_pod
from tests.harness.namespaces import create_namespace
from tests.harness.shipped_manifests import ACTIVE_SECONDS, OWN_NAMESPACE, ROOT, apply_strictly, rendered
from tests.harness.waiting import until

pytestmark = [pytest.mark.apiserver, pytest.mark.slow, pytest.mark.usefixtures("namespace_controller")]

NAMESPACE = f"/api/v1/namespaces/{OWN_NAMESPACE}"
POLICIES = "/apis/admissionregistration.k8s.io/v1"
SECONDS = 60.0
REPAIR_SECONDS = 7.0
"""Longer than the controller takes to look again."""


@pytest.fixture
def controller(cluster: ControlPlane, tmp_path: Path) -> Iterator[Controller]:
    """Everything of manifests/base installed, and the controller at work."""
    until(SECONDS, "no earlier namespace", lambda: cluster.request("GET", NAMESPACE).code == 404)
    assert apply_strictly(cluster, rendered(cluster, ROOT / "manifests" / "base")) == []
    assert cluster.request("DELETE", f"{LEASES}/{OWN_NAMESPACE}/leases/{NAME}").code in (200, 404)
    installed = account(cluster, OWN_NAMESPACE, tmp_path)
    wait_for_rights(cluster, installed.user, RIGHTS)
    running = Controller(installed, tmp_path / "controller.log")
    with started(running):
        until(SECONDS, "caBundle", lambda: has_ca_bundle(cluster))
        until(SECONDS, "it belongs to its namespace", lambda: belongs_to(cluster) == [OWN_NAMESPACE])
        yield running


def make_uninstall(cluster: ControlPlane) -> subprocess.CompletedProcess[str]:
    command = ["make", "-C", str(ROOT), "uninstall", f"KUBECTL={cluster.kubectl_program}"]
    environment = os.environ | {"KUBECONFIG": str(cluster.kubeconfig)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def blocks(cluster: ControlPlane, namespace: str) -> bool:
    """Whether annotated Pods are refused; no webhook runs."""
    answer = cluster.request("POST", f"/api/v1/namespaces/{namespace}/pods?dryRun=All", gated_pod("probe"))
    return answer.code != http.HTTPStatus.CREATED


POLICY_KINDS = (
    "mutatingadmissionpolicies",
    "mutatingadmissionpolicybindings",
    "validatingadmissionpolicies",
    "validatingadmissionpolicybindings",
)


def kinds_of_policies(cluster: ControlPlane) -> set[str]:
    """Those that the API server has: the mutating ones since Kubernetes 1.36."""
    return {
        plural
        for plural in POLICY_KINDS
        if cluster.request("GET", f"{POLICIES}/{plural}").code == http.HTTPStatus.OK
    }


def test_make_uninstall(cluster: ControlPlane, controller: Controller) -> None:
    """Also of what the README installs without a webhook, and of the component that repairs."""
    namespace = create_namespace(cluster, {})
    running = cluster.request(
        "POST", f"/api/v1/namespaces/{namespace}/pods", gated_pod("own") | metadata_only()
    )
    assert running.code == 201, running.message
    # Before the policies: where these inject, nobody is asked who is not there.
    until(ACTIVE_SECONDS, "it is in force", lambda: blocks(cluster, namespace))
    if kinds_of_policies(cluster) == {*POLICY_KINDS}:
        assert apply_strictly(cluster, policies(Settings())) == []
    extra = yaml.safe_load_all((ROOT / "manifests" / "components" / "repair" / "rbac.yaml").read_text())
    assert apply_strictly(cluster, list(extra)) == []

    done = make_uninstall(cluster)
    assert done.returncode == 0, done.stderr
    assert "Pods with their members" in done.stdout
    assert not is_installed(cluster)
    assert cluster.request("GET", NAMESPACE).code == 404
    assert cluster_roles(cluster) == []
    kinds = kinds_of_policies(cluster)
    assert {*POLICY_KINDS[2:]} <= kinds
    for plural in kinds:
        assert cluster.request("GET", f"{POLICIES}/{plural}").document["items"] == []
    until(ACTIVE_SECONDS, "nothing blocks", lambda: not blocks(cluster, namespace))
    path = f"/api/v1/namespaces/{namespace}/pods/own"
    assert cluster.request("GET", path).document["metadata"]["uid"] == running.document["metadata"]["uid"]
    assert controller.program.status is None, "nobody stopped this one: it has nothing left to bring back"
    assert not is_installed(cluster)

    again = make_uninstall(cluster)
    assert again.returncode == 0, again.stderr


def metadata_only() -> dict[str, Any]:
    """A Pod that asks for nothing, and is there before."""
    return {"metadata": {"name": "own"}}


@pytest.mark.parametrize("first", ["configuration", "rights"])
def test_in_any_order_nothing_comes_back(cluster: ControlPlane, controller: Controller, first: str) -> None:
    """The controller repairs what it finds, and goes on while all around it is taken away."""
    steps = {
        "configuration": ["mutatingwebhookconfiguration", INJECTOR],
        "rights": ["clusterrolebinding", NAME],
        "namespace": ["namespace", OWN_NAMESPACE],
    }
    for step in (first, *(step for step in steps if step != first)):
        cluster.kubectl("delete", *steps[step])
        if step == "configuration":
            quiet = threading.Event()
            quiet.wait(REPAIR_SECONDS)
            assert not is_installed(cluster), "the controller made it again"
    assert controller.program.status is None
    assert not is_installed(cluster)
    until(ACTIVE_SECONDS, "nothing blocks", lambda: not blocks(cluster, "default"))


def test_the_configuration_goes_with_the_namespace(cluster: ControlPlane, controller: Controller) -> None:
    """Whoever deletes just the namespace leaves an object whose only owner has gone: garbage."""
    assert controller.leads()
    uid = cluster.request("GET", NAMESPACE).document["metadata"]["uid"]
    metadata = cluster.request("GET", f"{CONFIGURATIONS}/{INJECTOR}").document["metadata"]
    owner = {"apiVersion": "v1", "kind": "Namespace", "name": OWN_NAMESPACE, "uid": uid}
    assert metadata["ownerReferences"] == [owner]
    cluster.kubectl("delete", "namespace", OWN_NAMESPACE)
    assert cluster.request("GET", NAMESPACE).code == 404
    metadata = cluster.request("GET", f"{CONFIGURATIONS}/{INJECTOR}").document["metadata"]
    assert metadata["ownerReferences"] == [owner], "nobody takes the reference away again"
    assert make_uninstall(cluster).returncode == 0


def test_installing_again_leaves_the_reference(cluster: ControlPlane, controller: Controller) -> None:
    """What is applied and what the controller writes are different fields; one taken away is put back."""
    assert controller.leads()
    objects = rendered(cluster, ROOT / "manifests" / "base")
    (configuration,) = [o for o in objects if o["kind"] == "MutatingWebhookConfiguration"]
    configuration["webhooks"][0]["timeoutSeconds"] = 7
    assert apply_strictly(cluster, [configuration], "--force-conflicts") == []
    assert belongs_to(cluster) == [OWN_NAMESPACE]
    merge = "application/merge-patch+json"
    path = f"{CONFIGURATIONS}/{INJECTOR}"
    assert cluster.request("PATCH", path, {"metadata": {"ownerReferences": None}}, merge).code == 200
    assert belongs_to(cluster) == []
    until(SECONDS, "it belongs to its namespace again", lambda: belongs_to(cluster) == [OWN_NAMESPACE])
    assert make_uninstall(cluster).returncode == 0
