"""`hazelcast-sidecar check`, on a real API server with the real webhook behind it.

No kubelet and no controllers of Kubernetes run: the tests play them where the check looks at what they leave.
"""

import base64
import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hazelcast_sidecar.certificates import KeyPair, make_authority, make_leaf
from hazelcast_sidecar.names import INJECTOR, PREFIX
from tests.harness.accounts import NAME
from tests.harness.checked_installation import (
    VIEW,
    Check,
    Findings,
    create_pod,
    merge,
    message,
    user,
    wrong,
)
from tests.harness.command_line import run_here
from tests.harness.control_plane import ControlPlane
from tests.harness.group_pods import api, status
from tests.harness.installation import CONFIGURATIONS
from tests.harness.kept_objects import foreign, wanted, wanted_by
from tests.harness.pods import ours
from tests.harness.shipped_manifests import OWN_NAMESPACE, apply_strictly, wait_until_called
from tests.harness.stored_workloads import replica_set, workload
from tests.harness.waiting import until
from tests.harness.webhook_server import WebhookServer

pytestmark = pytest.mark.apiserver


@pytest.fixture
def configured(
    cluster: ControlPlane, installation: dict[str, Any], server: WebhookServer
) -> Iterator[dict[str, Any]]:
    """The configuration, to be changed; afterwards it is as it was, and in force."""
    yield deepcopy(installation)
    replace(cluster, installation)
    wait_until_called(cluster, server)


def replace(cluster: ControlPlane, configuration: dict[str, Any]) -> None:
    """Put a configuration in the place of the one that is there."""
    path = f"{CONFIGURATIONS}/{INJECTOR}"
    version = cluster.request("GET", path).document["metadata"]["resourceVersion"]
    metadata = {**configuration["metadata"], "resourceVersion": version}
    answer = cluster.request("PUT", path, {**configuration, "metadata": metadata})
    assert answer.code == 200, answer.message


def until_wrong(check: Check, expected: set[tuple[str, str]]) -> Findings:
    """Check until it says so: the API server takes up a configuration a moment after it is stored."""
    last: list[Findings] = []

    def seen() -> bool:
        last[:] = [check()[1]]
        return wrong(last[0]) == expected

    try:
        until(60, str(expected), seen)
    except AssertionError as error:
        raise AssertionError(last[0]) from error
    return last[0]


# --- what it says ------------------------------------------------------------------------------------------


def test_a_healthy_installation(check: Check, cluster: ControlPlane, namespace: str) -> None:
    create_pod(cluster, namespace, "shop-1", "shop", owner=replica_set(cluster, namespace, "shop"))
    for obj in wanted(namespace, "shop", "dns").values():
        assert apply_strictly(cluster, [obj]) == []
    code, findings = check("--namespace", namespace)
    assert wrong(findings) == set()
    assert code == 0
    assert message(findings, "dry run").startswith(f"a Pod in {namespace} gets a member")
    assert message(findings, "caBundle") == "verifies the certificate that is served"
    assert message(findings, "objects") == "2 exist for injected Pods, all managed by the controller"
    skipped = [each["check"] for each in findings if each["state"] == "skipped"]
    assert skipped == ["endpoints"], "the configuration names a URL"


def test_a_blank_ca_bundle(check: Check, cluster: ControlPlane, configured: dict[str, Any]) -> None:
    for each in configured["webhooks"]:
        del each["clientConfig"]["caBundle"]
    replace(cluster, configured)
    findings = until_wrong(check, {("caBundle", "problem"), ("dry run", "problem")})
    assert "x509" in message(findings, "dry run")
    assert check()[0] == 1


def test_a_ca_bundle_of_somebody_else(
    check: Check, cluster: ControlPlane, configured: dict[str, Any]
) -> None:
    other = base64.b64encode(make_authority(datetime.now(UTC)).certificate).decode()
    for each in configured["webhooks"]:
        each["clientConfig"]["caBundle"] = other
    replace(cluster, configured)
    findings = until_wrong(check, {("caBundle", "problem"), ("dry run", "problem")})
    assert "does not verify" in message(findings, "caBundle")


def test_a_webhook_that_is_down(check: Check, server: WebhookServer) -> None:
    with server.stopped():
        code, findings = check()
    assert (code, wrong(findings)) == (1, {("dry run", "problem")})
    assert "connection refused" in message(findings, "dry run")
    (fix,) = [each["fix"] for each in findings if each["check"] == "dry run"]
    assert "TCP 8443" in fix
    assert "firewall" in fix


def test_waiting_ends_when_the_webhook_is_back(
    check: Check, cluster: ControlPlane, server: WebhookServer
) -> None:
    with server.stopped():
        started = time.monotonic()
        code, findings = check("--wait", "1s")
        assert time.monotonic() - started >= 1
        assert (code, wrong(findings)) == (1, {("dry run", "problem")})
        command = [sys.executable, "-m", "hazelcast_sidecar.cli", "check", "--wait", "10m"]
        with socket.create_server(("127.0.0.1", server.port)) as in_its_place:
            waiting = subprocess.Popen(
                [*command, "--kubeconfig", str(cluster.kubeconfig)], stdout=subprocess.PIPE
            )
            in_its_place.accept()[0].close()  # the API server asked, for the dry run
    with waiting:
        assert waiting.wait(timeout=120) == 0


def test_an_expired_certificate(
    check: Check, cluster: ControlPlane, configured: dict[str, Any], server: WebhookServer
) -> None:
    now = datetime.now(UTC)
    authority = make_authority(now)
    short = make_leaf(authority, ["127.0.0.1"], now, lifetime=timedelta(seconds=6))
    with exchanged(server, short):  # an expired one it would not begin to serve
        time.sleep(max(0.0, (now + timedelta(seconds=7) - datetime.now(UTC)).total_seconds()))
        for each in configured["webhooks"]:
            each["clientConfig"]["caBundle"] = base64.b64encode(authority.certificate).decode()
        replace(cluster, configured)
        findings = until_wrong(check, {("expiry", "problem"), ("dry run", "problem")})
    assert "expired on" in message(findings, "expiry")


@contextlib.contextmanager
def exchanged(server: WebhookServer, pair: KeyPair) -> Iterator[None]:
    """Have the server show another certificate for a while."""
    files = server.certificate, server.key
    before = [file.read_bytes() for file in files]
    server.stop()
    try:
        for file, content in zip(files, pair, strict=True):
            file.write_bytes(content)
        server.start()
        yield
    finally:
        server.stop()
        for file, content in zip(files, before, strict=True):
            file.write_bytes(content)
        server.start()


def test_a_match_condition_that_was_removed(
    check: Check, cluster: ControlPlane, configured: dict[str, Any]
) -> None:
    configured["webhooks"][1]["matchConditions"] = []
    replace(cluster, configured)
    code, findings = check()
    assert (code, wrong(findings)) == (1, {("match conditions", "problem")})
    assert "again.pods.sidecar.hazelcast.com" in message(findings, "match conditions")


def test_no_configuration_at_all(check: Check, cluster: ControlPlane, configured: dict[str, Any]) -> None:
    assert cluster.request("DELETE", f"{CONFIGURATIONS}/{INJECTOR}").code == 200
    try:
        _, findings = check()
        assert ("registration", "problem") in wrong(findings)
        assert "no webhook is registered" in message(findings, "dry run")
    finally:
        assert cluster.request("POST", CONFIGURATIONS, configured).code == 201


def test_pods_that_were_missed(
    check: Check, cluster: ControlPlane, configured: dict[str, Any], namespace: str
) -> None:
    owner = replica_set(cluster, namespace, "shop-5d4f9c")
    assert cluster.request("DELETE", f"{CONFIGURATIONS}/{INJECTOR}").code == 200
    try:
        for name in ("shop-1", "shop-2"):
            until(60, "no member is added", partial(create_asking, cluster, namespace, name, owner))
    finally:
        assert cluster.request("POST", CONFIGURATIONS, configured).code == 201
    code, findings = check()
    assert (code, wrong(findings)) == (1, {("missed", "problem")})
    assert message(findings, "missed").startswith("2 Pods without a member, for example ")
    (fix,) = [each["fix"] for each in findings if each["check"] == "missed"]
    assert fix == f"kubectl -n {namespace} rollout restart deployment/shop"


def test_pods_of_namespaces_that_are_not_chosen(
    check: Check, cluster: ControlPlane, configured: dict[str, Any], namespace: str
) -> None:
    """They are named with the reason, and never to be restarted; a namespace that is chosen is tried."""
    chosen = {"key": f"{PREFIX}injection", "operator": "In", "values": ["enabled"]}
    for each in configured["webhooks"]:
        each["namespaceSelector"]["matchExpressions"].append(chosen)
    replace(cluster, configured)
    owner = replica_set(cluster, namespace, "shop-5d4f9c")
    until(60, "no member is added", partial(create_asking, cluster, namespace, "shop-1", owner))
    code, findings = check()
    assert (code, wrong(findings)) == (1, {("missed", "problem")})
    assert f"the namespace {namespace} is excluded from injection" in message(findings, "missed")
    (fix,) = [each["fix"] for each in findings if each["check"] == "missed"]
    assert fix.endswith(f"kubectl label namespace {namespace} ...")
    assert message(findings, "dry run").startswith("not checked: default is excluded from injection")

    merge(
        cluster,
        f"/api/v1/namespaces/{namespace}",
        {"metadata": {"labels": {f"{PREFIX}injection": "enabled"}}},
    )
    _, findings = check("--namespace", namespace)
    (fix,) = [each["fix"] for each in findings if each["check"] == "missed"]
    assert fix == f"kubectl -n {namespace} rollout restart deployment/shop"
    assert message(findings, "dry run").startswith(f"a Pod in {namespace} gets a member")


def create_asking(cluster: ControlPlane, namespace: str, name: str, owner: dict[str, Any]) -> bool:
    """Create a Pod that asks for a member; whether none was added."""
    metadata: dict[str, Any] = {
        "name": name,
        "annotations": ours(),
        "labels": {"pod-template-hash": "5d4f9c"},
    }
    metadata["ownerReferences"] = [owner | {"controller": True, "blockOwnerDeletion": True}]
    path = f"/api/v1/namespaces/{namespace}/pods"
    body = {"metadata": metadata, "spec": {"containers": [{"name": "app", "image": "shop:1"}]}}
    answer = cluster.request("POST", path, body)
    assert answer.code == 201, answer.message
    if "initContainers" not in answer.document["spec"]:
        return True
    assert cluster.request("DELETE", f"{path}/{name}?gracePeriodSeconds=0").code == 200
    return False


def record_anew(cluster: ControlPlane, namespace: str, name: str, record: dict[str, Any]) -> None:
    """Write another record in the place of the webhook's."""
    path = f"/api/v1/namespaces/{namespace}/pods/{name}"
    merge(cluster, path, {"metadata": {"annotations": {f"{PREFIX}status": json.dumps(record)}}})


def test_a_pod_that_has_drifted(check: Check, cluster: ControlPlane, namespace: str) -> None:
    owner = replica_set(cluster, namespace, "shop")
    create_pod(cluster, namespace, "shop-1", "shop", owner=owner)
    record_anew(cluster, namespace, "shop-1", status("shop", fingerprint="of-yesterday"))
    for obj in wanted(namespace, "shop", "dns").values():
        assert apply_strictly(cluster, [obj]) == []
    code, findings = check()
    assert (code, wrong(findings)) == (0, {("drifted", "warning")})


def test_a_foreign_service_in_the_way(check: Check, cluster: ControlPlane, namespace: str) -> None:
    create_pod(cluster, namespace, "shop-1", "shop")
    foreign(cluster, "Service", namespace, "shop")
    assert apply_strictly(cluster, [wanted(namespace, "shop", "dns")["ConfigMap"]]) == []
    code, findings = check()
    assert (code, wrong(findings)) == (1, {("objects", "problem")})
    assert f"the Service hazelcast-shop in {namespace} exists but is not managed here" in message(
        findings, "objects"
    )


def test_objects_that_are_missing(check: Check, cluster: ControlPlane, namespace: str) -> None:
    create_pod(cluster, namespace, "shop-1", "shop")
    record_anew(cluster, namespace, "shop-1", api("shop"))
    _, findings = check()
    missing = [each["message"] for each in findings if each["check"] == "objects"]
    assert missing == [
        f"the {kind} hazelcast-shop is missing in {namespace}" for kind in ("ConfigMap", "RoleBinding")
    ]


def test_a_budget_that_lets_no_pod_be_evicted(check: Check, cluster: ControlPlane, namespace: str) -> None:
    """As an older version made them for Jobs."""
    record = status("shop", disruptionBudget=True)
    create_pod(cluster, namespace, "shop-1", "shop", workload(cluster, namespace, "Job", "shop"))
    record_anew(cluster, namespace, "shop-1", record)
    for obj in wanted_by(namespace, "shop", record).values():
        assert apply_strictly(cluster, [obj]) == []
    code, findings = check()
    assert (code, wrong(findings)) == (1, {("requests", "warning"), ("requests", "problem")})
    said = [each["message"] for each in findings if each["check"] == "requests"]
    assert f"the group {namespace}/shop gets no PodDisruptionBudget: it needs a scale" in said[0]
    assert f"the PodDisruptionBudget hazelcast-shop in {namespace} must not exist" in said[1]


def test_a_network_policy_that_closes_the_member_port(
    check: Check, cluster: ControlPlane, namespace: str
) -> None:
    create_pod(cluster, namespace, "shop-1", "shop")
    for obj in wanted(namespace, "shop", "dns").values():
        assert apply_strictly(cluster, [obj]) == []
    policy = {"metadata": {"name": "deny-all"}, "spec": {"podSelector": {}, "policyTypes": ["Ingress"]}}
    path = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies"
    assert cluster.request("POST", path, policy).code == 201
    code, findings = check()
    assert (code, wrong(findings)) == (1, {("NetworkPolicies", "problem")})
    assert "deny-all" in message(findings, "NetworkPolicies")


def test_settings_that_cannot_be_used(check: Check, cluster: ControlPlane) -> None:
    path = f"/api/v1/namespaces/{OWN_NAMESPACE}/configmaps/hazelcast-sidecar-settings"
    before = cluster.request("GET", path).document["data"]
    merge(cluster, path, {"data": {"settings.yaml": "defaults: {memory-limit: much}"}})
    try:
        code, findings = check()
    finally:
        merge(cluster, path, {"data": before})
    assert (code, wrong(findings)) == (1, {("settings", "problem")})
    assert "memory-limit" in message(findings, "settings")


def test_a_controller_without_a_right(check: Check, cluster: ControlPlane) -> None:
    path = f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{NAME}"
    rules = cluster.request("GET", path).document["rules"]
    less = [rule for rule in rules if rule.get("resources") != ["events"]]
    merge(cluster, path, {"rules": less})
    try:
        findings = until_wrong(check, {("controller", "problem")})
    finally:
        merge(cluster, path, {"rules": rules})
    until_wrong(check, set())
    sentence = "it may not list events, watch events, create events, patch events"
    assert sentence in [each["message"] for each in findings]


# --- who may not see everything ----------------------------------------------------------------------------


@pytest.fixture
def viewer(cluster: ControlPlane, tmp_path: Path) -> Path:
    """Somebody who may `view`, anywhere. What that role consists of is aggregated by a controller."""
    return user(cluster, tmp_path, "viewer", "ClusterRoleBinding", VIEW)


def test_what_a_viewer_may_not_see_is_skipped(check: Check, viewer: Path) -> None:
    def seen() -> bool:
        return "not checked" not in message(check(kubeconfig=viewer)[1], "settings")

    until(60, "the role is in force", seen)
    code, findings = check(kubeconfig=viewer)
    assert (code, wrong(findings)) == (0, set())
    skipped = {each["check"]: each["message"] for each in findings if each["state"] == "skipped"}
    assert skipped["kubelets"] == "not checked: you may not list nodes"
    assert skipped["dry run"] == "not checked: you may not create pods in default"
    assert skipped["expiry"] == "not checked: you may not get secrets"
    assert skipped["controller"] == "not checked: you may not review the controller's permissions"
    assert skipped.keys() == {
        "kubelets", "node systems", "lease", "registration", "caBundle", "expiry", "dry run", "controller",
    }  # fmt: skip


def test_nobody_is_told_so(cluster: ControlPlane, tmp_path: Path) -> None:
    config = json.loads(cluster.kubeconfig.read_text())
    config["users"][0]["user"]["token"] = "unknown"  # noqa: S105 - a wrong one
    file = tmp_path / "nobody.kubeconfig"
    file.write_text(json.dumps(config))
    done = run_here("check", "--kubeconfig", str(file))
    assert done.returncode == 2
    assert done.stderr == (
        "hazelcast-sidecar check: credentials: the API server rejects your credentials; log in again, or "
        "choose another --context\n"
    )


# --- before an installation --------------------------------------------------------------------------------


def test_before_an_installation(check: Check) -> None:
    code, findings = check("--pre", "--injector-namespace", "elsewhere")
    assert (code, wrong(findings)) == (1, {("name", "problem")}), "one of that name is registered"
    assert message(findings, "your permissions") == "you may create all objects of an installation"


def test_before_an_installation_by_a_viewer(check: Check, viewer: Path) -> None:
    def seen() -> bool:
        return "not checked" not in message(check("--pre", kubeconfig=viewer)[1], "namespace")

    until(60, "the role is in force", seen)
    code, findings = check("--pre", kubeconfig=viewer)
    assert (code, wrong(findings)) == (1, {("your permissions", "problem")})
    assert "create clusterroles.rbac.authorization.k8s.io" in message(findings, "your permissions")


def test_another_webhook_that_our_own_pods_would_wait_for(check: Check, cluster: ControlPlane) -> None:
    rule = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"]}
    client = {"url": "https://127.0.0.1:1/"}
    each = {"name": "all.example.com", "rules": [rule], "clientConfig": client, "sideEffects": "None"}
    each |= {"admissionReviewVersions": ["v1"], "failurePolicy": "Fail"}
    each["matchConditions"] = [{"name": "never", "expression": "false"}]
    body = {"metadata": {"name": "jealous"}, "webhooks": [each]}
    assert cluster.request("POST", CONFIGURATIONS, body).code == 201
    try:
        _, findings = check("--pre")
    finally:
        assert cluster.request("DELETE", f"{CONFIGURATIONS}/jealous").code == 200
    assert ("other webhooks", "warning") in wrong(findings)


# --- on a terminal and off it ------------------------------------------------------------------------------


def test_the_table_of_a_pipe_has_no_colour(cluster: ControlPlane, installation: dict[str, Any]) -> None:
    assert installation
    command = [
        sys.executable,
        "-m",
        "hazelcast_sidecar.cli",
        "check",
        "--kubeconfig",
        str(cluster.kubeconfig),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    assert "  ok       API server: v" in done.stdout


@pytest.mark.usefixtures("installation")
def test_an_object_that_cannot_be_read_is_said_and_passed_over(cluster: ControlPlane, namespace: str) -> None:
    owner = {"apiVersion": "v1", "kind": "Node", "name": "n" * 2000, "uid": "none"}
    create_pod(cluster, namespace, "odd", "shop", owner=owner)
    done = run_here("check", "--kubeconfig", str(cluster.kubeconfig), "-o", "json")
    assert f"Pod {namespace}/odd cannot be read and is skipped" in done.stderr
    assert json.loads(done.stdout)


def test_no_cluster_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    for options in ((), ("--kubeconfig", str(tmp_path / "none")), ("--context", "none")):
        done = run_here("check", *options)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1, done.stderr


def test_a_cluster_that_does_not_answer_is_one_sentence(cluster: ControlPlane, tmp_path: Path) -> None:
    config = json.loads(cluster.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    file = tmp_path / "away.kubeconfig"
    file.write_text(json.dumps(config))
    started = time.monotonic()
    done = run_here("check", "--kubeconfig", str(file))
    assert done.returncode == 2
    assert done.stderr.startswith("hazelcast-sidecar check: cluster: no API server answers")
    assert len(done.stderr.splitlines()) == 1
    assert time.monotonic() - started < 30
