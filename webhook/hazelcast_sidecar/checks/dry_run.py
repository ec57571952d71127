"""A dry run of an injection through the API server: its result, and how long it takes."""

import re
from statistics import median

from hazelcast_sidecar.checks.reinstallation import install_again
from hazelcast_sidecar.checks.results import Area, CheckResult, Unread
from hazelcast_sidecar.checks.snapshot import DryRun, Snapshot
from hazelcast_sidecar.kube.objects import JsonObject
from hazelcast_sidecar.model import status
from hazelcast_sidecar.model.status import Status
from hazelcast_sidecar.names import CONTAINER, CONTROLLER, INJECT, INJECTOR, STATUS
from hazelcast_sidecar.untrusted import UndecodableError
from hazelcast_sidecar.version import __version__

_AREA = Area("injection")
_PORT = 8443
_SLOW_SECONDS = 1.0

POD: JsonObject = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "hazelcast-sidecar-check", "annotations": {INJECT: "true"}},
    "spec": {
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "check",
                "image": "hazelcast-sidecar-check",
                "resources": {
                    "requests": {"cpu": "1m", "memory": "1Mi"},
                    "limits": {"cpu": "1m", "memory": "1Mi"},
                },
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                    "runAsUser": 65534,
                },
            }
        ],
    },
}
"""The Pod of the dry run: it passes the strictest Pod Security level and fits into any quota."""


def injection(snapshot: Snapshot) -> list[CheckResult]:
    """Check that a Pod that asks for a member gets one."""
    check = "dry run"
    tried = snapshot.dry_run
    if isinstance(tried, Unread):
        return [_AREA.skipped(check, tried)]
    if tried.pod is None:
        return [
            _AREA.problem(
                check, f"a Pod in {tried.namespace} was refused: {tried.refusal}", _way_out(snapshot, tried)
            )
        ]
    made = member_of(tried)
    if made is None:
        message = f"a Pod in {tried.namespace} that asks for a member got none"
        fix = f"kubectl get mutatingwebhookconfiguration {INJECTOR} -o yaml"
        return [_AREA.problem(check, message, fix)]
    milliseconds = median(tried.seconds) * 1000
    message = f"a Pod in {tried.namespace} gets a member; the API server answers in {milliseconds:.0f} ms"
    if milliseconds >= _SLOW_SECONDS * 1000:
        fix = f"kubectl -n {snapshot.namespace} top pods; kubectl -n {snapshot.namespace} get pods -o wide"
        return [_AREA.warning(check, f"{message}, and every new Pod waits as long", fix)]
    return [_AREA.ok(check, message)]


def same_version(snapshot: Snapshot) -> list[CheckResult]:
    """Check that the webhook has the version of this command: another one may inject another member."""
    if isinstance(snapshot.dry_run, Unread) or (made := member_of(snapshot.dry_run)) is None:
        return []
    if made.version == __version__:
        return [_AREA.ok("version", f"the webhook and this command are {__version__}")]
    message = f"the webhook is {made.version} and this command {__version__}: drift cannot be detected"
    return [_AREA.warning("version", message, f"pip install hazelcast-sidecar-injector=={made.version}")]


def member_of(tried: DryRun) -> Status | None:
    """Return the status annotation of the resulting Pod, if it has a member."""
    if tried.pod is None:
        return None
    spec = tried.pod["spec"]
    names = [each["name"] for each in (*spec.get("initContainers", ()), *spec["containers"])]
    if CONTAINER not in names:
        return None
    try:
        return status.decode((tried.pod["metadata"].get("annotations") or {}).get(STATUS, ""))
    except UndecodableError:
        return None


def _way_out(snapshot: Snapshot, tried: DryRun) -> str:
    """Return how to fix a refusal, by the API server's reason."""
    in_own = f"kubectl -n {snapshot.namespace}"
    reach = (
        f"{in_own} get pods  # if they are Ready, the control plane cannot reach the nodes on TCP {_PORT}: "
        "a private control plane needs a firewall rule for it (just after a rollout, kube-proxy may lag: try "
        "again)"
    )
    fixes = {
        "no endpoints available": f"{in_own} get pods; {in_own} scale deployment/{INJECTOR} --replicas=2",
        "x509: |tls: ": f"{in_own} logs deployment/{CONTROLLER}",
        "connection refused|deadline exceeded|i/o timeout|no route to host|EOF": reach,
        'service "[^"]+" not found': install_again(snapshot),
        'namespaces "[^"]+" not found': "kubectl get namespaces  # choose one of them with --namespace",
        "exceeded quota": f"kubectl -n {tried.namespace} describe resourcequota",
    }
    return next(
        (fix for pattern, fix in fixes.items() if re.search(pattern, tried.refusal)),
        f"{in_own} logs deployment/{INJECTOR}",
    )
