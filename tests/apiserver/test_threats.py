"""What somebody tries with the controller's token, or who may edit Namespaces; the API server refuses it."""

import http.client
import json
import ssl
from collections.abc import Callable
from contextlib import closing
from urllib.parse import urlsplit

import pytest
import yaml

from tests.harness.accounts import Account
from tests.harness.control_plane import MERGE, ControlPlane
from tests.harness.namespaces import create_namespace
from tests.harness.pods import ours, restricted
from tests.harness.webhook_server import WebhookServer

pytestmark = pytest.mark.apiserver

RBAC = "/apis/rbac.authorization.k8s.io/v1"
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
NAMESPACED = "/api/v1/namespaces/{}"
FORBIDDEN = 403
Attempt = Callable[..., tuple[int, str]]


@pytest.fixture
def attempt(cluster: ControlPlane, shipped: Account) -> Attempt:
    """Make one request with the controller's token."""
    config = yaml.safe_load(shipped.kubeconfig.read_text("utf-8"))
    token = config["users"][0]["user"]["token"]

    def request(method: str, path: str, body: object = None) -> tuple[int, str]:
        context = ssl.create_default_context(cafile=cluster.ca_file)
        connection = http.client.HTTPSConnection(urlsplit(cluster.url).netloc, context=context, timeout=30)
        patches = "application/merge-patch+json" if method == "PATCH" else "application/json"
        headers = {"Authorization": f"Bearer {token}", "Content-Type": patches}
        with closing(connection):
            connection.request(method, path, json.dumps(body) if body else None, headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read()).get("message", "")

    return request


def role(*rules: tuple[str, str, str]) -> dict[str, object]:
    made = [{"apiGroups": [group], "resources": [kind], "verbs": [verb]} for group, kind, verb in rules]
    return {"metadata": {"name": "more"}, "rules": made}


def binding(kind: str, name: str) -> dict[str, object]:
    group = "rbac.authorization.k8s.io"
    subject = {"kind": "User", "name": "mallory", "apiGroup": group}
    reference = {"kind": kind, "name": name, "apiGroup": group}
    return {"metadata": {"name": "more"}, "roleRef": reference, "subjects": [subject]}


def test_the_controllers_token_cannot_grant_more_than_it_holds(
    cluster: ControlPlane, attempt: Attempt
) -> None:
    folder = f"{RBAC}/namespaces/{create_namespace(cluster, {})}"
    assert attempt("POST", f"{folder}/roles", role(("", "pods", "get")))[0] == FORBIDDEN
    status, message = attempt("POST", f"{folder}/rolebindings", binding("ClusterRole", "cluster-admin"))
    assert (status, "attempting to grant RBAC permissions not currently held" in message) == (FORBIDDEN, True)
    for name in ("cluster-admin", "system:node", "system:kube-scheduler"):
        assert attempt("POST", f"{folder}/rolebindings", binding("ClusterRole", name))[0] == FORBIDDEN
    assert (
        attempt("POST", f"{RBAC}/clusterrolebindings", binding("ClusterRole", "cluster-admin"))[0]
        == FORBIDDEN
    )
    assert attempt("POST", f"{RBAC}/clusterroles", role(("", "pods", "get")))[0] == FORBIDDEN
    own = f"{RBAC}/clusterroles/hazelcast-sidecar-controller"
    assert attempt("PATCH", own, role(("*", "*", "*")))[0] == FORBIDDEN
    # What it does grant, as long as that is no more than it holds: it may not bind what another made of it.
    discovery = binding("ClusterRole", "hazelcast-sidecar-discovery")
    assert attempt("POST", f"{folder}/rolebindings", discovery)[0] == 201
    assert cluster.request("DELETE", f"{folder}/rolebindings/more").code == 200
    path = f"{RBAC}/clusterroles/hazelcast-sidecar-discovery"
    shipped = cluster.request("GET", path).document["rules"]
    more = {"rules": [*shipped, {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]}
    assert cluster.request("PATCH", path, more, MERGE).code == 200
    try:
        assert attempt("POST", f"{folder}/rolebindings", discovery)[0] == FORBIDDEN
    finally:
        assert cluster.request("PATCH", path, {"rules": shipped}, MERGE).code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/secrets"),
        ("GET", NAMESPACED.format("kube-system") + "/secrets"),
        ("GET", NAMESPACED.format("hazelcast-sidecar-injector") + "/secrets"),
        ("GET", NAMESPACED.format("hazelcast-sidecar-injector") + "/secrets/other"),
        ("POST", NAMESPACED.format("default") + "/pods"),
        ("DELETE", NAMESPACED.format("default") + "/pods/shop"),
        ("POST", NAMESPACED.format("default") + "/pods/shop/exec?command=id"),
        ("POST", NAMESPACED.format("default") + "/pods/shop/eviction"),
        ("GET", NAMESPACED.format("default") + "/pods/shop/log"),
        ("POST", NAMESPACED.format("kube-system") + "/serviceaccounts/default/token"),
        ("POST", "/api/v1/namespaces"),
        ("GET", "/api/v1/namespaces"),
        ("GET", f"{ADMISSION}/mutatingwebhookconfigurations"),
        ("GET", f"{ADMISSION}/mutatingadmissionpolicies"),
        ("GET", f"{ADMISSION}/mutatingadmissionpolicies/other"),
        ("PATCH", NAMESPACED.format("kube-system")),
        ("GET", "/api/v1/nodes"),
        ("GET", "/apis/apps/v1/deployments"),
        ("POST", RBAC + "/namespaces/default/roles"),
        ("POST", f"{ADMISSION}/mutatingwebhookconfigurations"),
        ("PATCH", f"{ADMISSION}/mutatingwebhookconfigurations/other"),
        ("DELETE", f"{ADMISSION}/mutatingwebhookconfigurations/other"),
        ("POST", f"{ADMISSION}/validatingwebhookconfigurations"),
        ("POST", "/apis/certificates.k8s.io/v1/certificatesigningrequests"),
    ],
)
def test_the_controllers_token_cannot_do_what_nobody_gave_it(
    attempt: Attempt, method: str, path: str
) -> None:
    body = {"metadata": {"name": "shop"}} if method in {"POST", "PATCH"} else None
    assert attempt(method, path, body)[0] == FORBIDDEN


def test_a_label_does_not_move_a_namespace_in_or_out(
    control_plane: ControlPlane, webhook: WebhookServer, webhook_configuration: object, namespace: str
) -> None:
    assert webhook_configuration
    label = {"metadata": {"labels": {"kubernetes.io/metadata.name": "kube-system"}}}
    path = NAMESPACED.format(namespace)
    patched = control_plane.request("PATCH", path, label, "application/merge-patch+json")
    assert patched.code in {200, 422}
    labels = control_plane.request("GET", path).document["metadata"]["labels"]
    assert labels["kubernetes.io/metadata.name"] == namespace
    before = webhook.answered()
    assert control_plane.request("POST", f"{path}/pods", restricted(ours())).code == 201
    assert webhook.answered() > before
