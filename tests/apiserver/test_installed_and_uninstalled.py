"""The chart and `install` on a real API server: what they keep of the controller's, and what they leave."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from hazelcast_sidecar.names import INJECTOR
from tests.harness.accounts import RIGHTS, account, wait_for_rights
from tests.harness.audit_log import asked
from tests.harness.command_line import run_here
from tests.harness.control_plane import ControlPlane
from tests.harness.controller_program import Controller, started
from tests.harness.helm import CHART, Helm, HelmError
from tests.harness.installation import (
    CONFIGURATIONS,
    belongs_to,
    cluster_roles,
    has_ca_bundle,
    is_installed,
)
from tests.harness.shipped_manifests import OWN_NAMESPACE
from tests.harness.waiting import until

pytestmark = [pytest.mark.apiserver, pytest.mark.usefixtures("namespace_controller")]

NAMESPACE = f"/api/v1/namespaces/{OWN_NAMESPACE}"
SECONDS = 60.0
CHOSEN = "sidecar.hazelcast.com/injection"


@pytest.fixture(autouse=True)
def nothing_left(cluster: ControlPlane) -> Iterator[None]:
    yield
    cluster.request("DELETE", NAMESPACE)
    until(SECONDS, "no namespace", lambda: cluster.request("GET", NAMESPACE).code == 404)
    assert not is_installed(cluster)
    assert cluster_roles(cluster) == []


def selects_chosen(cluster: ControlPlane) -> bool:
    webhooks = cluster.request("GET", f"{CONFIGURATIONS}/{INJECTOR}").document["webhooks"]
    (found,) = {
        any(each["key"] == CHOSEN for each in webhook["namespaceSelector"]["matchExpressions"])
        for webhook in webhooks
    }
    return found


def test_upgrade_and_rollback_leave_what_the_controller_wrote(
    helm: Helm, cluster: ControlPlane, tmp_path: Path
) -> None:
    where = (f"--kubeconfig={cluster.kubeconfig}", f"--namespace={OWN_NAMESPACE}")
    given = ("injector", str(CHART), *where)
    helm("install", *given, "--create-namespace")
    installed = account(cluster, OWN_NAMESPACE, tmp_path)
    wait_for_rights(cluster, installed.user, RIGHTS)

    def is_kept() -> bool:
        return has_ca_bundle(cluster) and belongs_to(cluster) == [OWN_NAMESPACE]

    with started(Controller(installed, tmp_path / "controller.log")):
        until(SECONDS, "the controller wrote", is_kept)
    # From here on it could not write it again.
    assert not selects_chosen(cluster)
    helm("upgrade", *given, "--set=chosenNamespaces=true")
    assert selects_chosen(cluster)
    assert is_kept()
    helm("rollback", "injector", "1", *where)
    assert not selects_chosen(cluster)
    assert is_kept()
    with pytest.raises(HelmError, match="injector"):
        helm("install", "another", str(CHART), f"--kubeconfig={cluster.kubeconfig}", "--namespace=default")
    offset = cluster.audit_log.stat().st_size
    helm("uninstall", "injector", *where)
    assert not is_installed(cluster)
    deleted = [each.resource for each in asked(cluster, "admin", offset) if each.verb == "delete"]
    assert deleted[0] == "mutatingwebhookconfigurations", "nothing may be asked of a Service that has gone"
    assert "services" in deleted


def test_install_and_uninstall_by_kubectl(cluster: ControlPlane) -> None:
    made = run_here("install", "--component", "repair").stdout
    cluster.kubectl("apply", "-f", "-", stdin=made)
    names = {each["metadata"]["name"] for each in yaml.safe_load_all(made)}
    assert set(cluster_roles(cluster)) <= names
    assert is_installed(cluster)
    assert cluster.kubectl("diff", "-f", "-", stdin=made).stdout == ""
    gone = run_here("uninstall").stdout
    deleted = cluster.kubectl("delete", "--ignore-not-found", "-f", "-", stdin=gone).stdout.splitlines()
    assert deleted[0].startswith("mutatingwebhookconfiguration")
    assert len(deleted) == len(list(yaml.safe_load_all(gone)))
    assert cluster.kubectl("delete", "--ignore-not-found", "-f", "-", stdin=gone).stdout == ""
