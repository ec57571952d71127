"""What tests of the audit and of repair share: a controller that audits often, Pods as a kubelet has them."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hazelcast_sidecar.names import INJECTOR, PREFIX
from tests.harness.accounts import NAME, Account
from tests.harness.audit_log import asked
from tests.harness.command_line import run_here
from tests.harness.control_plane import MERGE, ControlPlane
from tests.harness.controller_program import LEASES, Controller, started
from tests.harness.installation import CONFIGURATIONS
from tests.harness.pods import Pod, bare, ours, with_metadata
from tests.harness.shipped_manifests import OWN_NAMESPACE
from tests.harness.waiting import until

FOUND_SECONDS = 180.0
GOES_SECONDS = 180.0
STAYS_SECONDS = 3.5  # repair looks every two
QUICK = ("--audit-interval", "1s", "--repair-after", "1s")
COMPONENT = f"{NAME}-repair"
STATUS = f"{PREFIX}status"


def can_evict(cluster: ControlPlane, account: Account) -> bool:
    """Tell whether a user may evict Pods."""
    attributes = {"resource": "pods", "subresource": "eviction", "verb": "create", "namespace": "default"}
    review = {"spec": {"user": account.user, "resourceAttributes": attributes}}
    answer = cluster.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    return bool(answer.document["status"]["allowed"])


@contextlib.contextmanager
def auditing(cluster: ControlPlane, account: Account, folder: Path, *options: str) -> Iterator[Controller]:
    """Run one that leads, and must end in order."""
    assert cluster.request("DELETE", f"{LEASES}/{OWN_NAMESPACE}/leases/{NAME}").code in (200, 404)
    running = Controller(account, folder / "controller.log", options=(*QUICK, *options))
    with started(running):
        until(FOUND_SECONDS, "it leads", running.leads)
        yield running
        assert running.program.status is None, running.program.failure("it ended by itself")
        assert running.program.stop() == 0, "SIGTERM is the ordinary end"
        running.lines()


def scheduled(name: str, owner: dict[str, Any] | None = None, **annotations: str) -> Pod:
    """A Pod with a node, which asks for a member."""
    owners = [owner | {"controller": True}] if owner else None
    made = bare(ours(**annotations), nodeName="node")
    return with_metadata(made, name=name, labels={"app": "shop"}, ownerReferences=owners)


def create(cluster: ControlPlane, namespace: str, obj: dict[str, Any], *, ready: bool = True) -> None:
    """Store a Pod and, as the kubelet, report that it runs."""
    answer = cluster.request("POST", f"/api/v1/namespaces/{namespace}/pods", obj)
    assert answer.code == 201, answer.message
    report(cluster, namespace, obj["metadata"]["name"], ready=ready)


def report(cluster: ControlPlane, namespace: str, name: str, *, ready: bool, phase: str = "Running") -> None:
    condition = {"type": "Ready", "status": "True" if ready else "False"}
    path = f"/api/v1/namespaces/{namespace}/pods/{name}/status"
    answer = cluster.request("PATCH", path, {"status": {"phase": phase, "conditions": [condition]}}, MERGE)
    assert answer.code == 200, answer.message


def going(cluster: ControlPlane, namespace: str) -> set[str]:
    """The Pods that were evicted and wait for the kubelet."""
    items = cluster.request("GET", f"/api/v1/namespaces/{namespace}/pods").document["items"]
    return {i["metadata"]["name"] for i in items if "deletionTimestamp" in i["metadata"]}


def evictions(cluster: ControlPlane, account: Account, offset: int = 0) -> list[int]:
    """The answers that the controller got to its evictions."""
    return [a.code for a in asked(cluster, account.user, offset) if a.uri.endswith("/eviction")]


def stays_so(state: Callable[[], bool]) -> None:
    """Look for a while whether nothing happens."""
    deadline = time.monotonic() + STAYS_SECONDS
    while time.monotonic() < deadline:
        assert state()
        time.sleep(0.2)


def missed(running: Controller) -> float:
    return running.metric("missed_pods")


def put_away(cluster: ControlPlane, *components: str) -> None:
    """Register the shipped configuration, or that of components, with an address where no one listens."""
    options = [f"--component={component}" for component in components]
    objects = json.loads(run_here("install", *options, "--output=json").stdout)["items"]
    document = next(each for each in objects if each["kind"] == "MutatingWebhookConfiguration")
    for each in document["webhooks"]:
        each |= {"clientConfig": {"url": "https://127.0.0.1:1/"}, "failurePolicy": "Ignore"}
    assert cluster.request("DELETE", f"{CONFIGURATIONS}/{INJECTOR}").code in (200, 404)
    answer = cluster.request("POST", CONFIGURATIONS, document)
    assert answer.code == 201, answer.message
