"""The permissions that the controller needs, which are exactly those of the manifests."""

from hazelcast_sidecar.checks.results import Area, CheckResult, Unread
from hazelcast_sidecar.checks.snapshot import Right, Snapshot
from hazelcast_sidecar.kube.objects import JsonObject
from hazelcast_sidecar.names import AUTHORITY_SECRET, CONTROLLER, INJECTOR, LEAF_SECRET

_AREA = Area("rights")
_RBAC = "rbac.authorization.k8s.io"
_SHOWN = 5
_KEEP = "get list watch create patch delete"

_EVERYWHERE = (
    ("", "pods", "get list watch"),
    ("", "configmaps", _KEEP),
    ("", "services", _KEEP),
    ("policy", "poddisruptionbudgets", _KEEP),
    ("networking.k8s.io", "networkpolicies", _KEEP),
    (_RBAC, "rolebindings", _KEEP),
    ("", "events", "list watch create patch"),
    ("", "replicationcontrollers", "get"),
    ("apps", "daemonsets", "get"),
    ("apps", "deployments", "get"),
    ("apps", "replicasets", "get"),
    ("apps", "statefulsets", "get"),
    ("batch", "cronjobs", "get"),
    ("batch", "jobs", "get"),
    ("", "namespaces", "get"),
)
_NAMED = (
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations", "get patch delete", INJECTOR, False),
    ("admissionregistration.k8s.io", "mutatingadmissionpolicies", "get", INJECTOR, False),
    ("admissionregistration.k8s.io", "mutatingadmissionpolicybindings", "get", INJECTOR, False),
    ("coordination.k8s.io", "leases", "create", "", True),
    ("coordination.k8s.io", "leases", "get update", CONTROLLER, True),
    ("", "secrets", "create", "", True),
    ("", "secrets", "get patch", AUTHORITY_SECRET, True),
    ("", "secrets", "get patch", LEAF_SECRET, True),
)

CONTROLLER_RIGHTS = tuple(
    Right(verb, group, resource, name, own)
    for group, resource, verbs, name, own in (*((*each, "", False) for each in _EVERYWHERE), *_NAMED)
    for verb in verbs.split()
)
REPAIR = Right("create", "", "pods/eviction")
"""Needed with --repair."""


def rights_of(controller: JsonObject | Unread | None) -> tuple[Right, ...]:
    """Return the permissions that the controller needs, according to its arguments."""
    if not isinstance(controller, dict):
        return CONTROLLER_RIGHTS
    containers = controller["spec"]["template"]["spec"]["containers"]
    arguments = [argument for each in containers for argument in each.get("args") or ()]
    repairs = any(argument.startswith("--repair") for argument in arguments)
    return (*CONTROLLER_RIGHTS, REPAIR) if repairs else CONTROLLER_RIGHTS


def controller_rights(snapshot: Snapshot) -> list[CheckResult]:
    """Check that the controller has its permissions."""
    check = "controller"
    if isinstance(snapshot.missing_permissions, Unread):
        return [_AREA.skipped(check, snapshot.missing_permissions)]
    if not snapshot.missing_permissions:
        return [_AREA.ok(check, "has all permissions that it needs")]
    listed = ", ".join(str(right) for right in snapshot.missing_permissions[:_SHOWN])
    more = (
        f" and {len(snapshot.missing_permissions) - _SHOWN} more"
        if len(snapshot.missing_permissions) > _SHOWN
        else ""
    )
    fix = "kubectl apply -k manifests/base"
    if snapshot.missing_permissions == [REPAIR]:
        fix = "kubectl apply -k .  # with components: [manifests/components/repair] in kustomization.yaml"
    return [_AREA.problem(check, f"it may not {listed}{more}", fix)]
