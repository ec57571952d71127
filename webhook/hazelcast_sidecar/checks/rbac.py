"""The permissions that the controller needs, which are exactly those of the manifests."""

from hazelcast_sidecar.checks.reinstallation import install_again
from hazelcast_sidecar.checks.results import Area, CheckResult, Unread
from hazelcast_sidecar.checks.snapshot import Snapshot
from hazelcast_sidecar.kube import permissions
from hazelcast_sidecar.kube.objects import JsonObject
from hazelcast_sidecar.kube.permissions import Right
from hazelcast_sidecar.text import some_of

_AREA = Area("rights")
_SHOWN = 5
_WITH_REPAIR = "kubectl apply -k .  # with components: [manifests/components/repair] in kustomization.yaml"

CONTROLLER_RIGHTS = (
    *permissions.rights_of(permissions.IN_CLUSTER),
    *permissions.rights_of(permissions.IN_OWN_NAMESPACE, own=True),
)
(REPAIR,) = permissions.rights_of(permissions.TO_REPAIR)
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
    missing = snapshot.missing_permissions
    if isinstance(missing, Unread):
        return [_AREA.skipped(check, missing)]
    if not missing:
        return [_AREA.ok(check, "has all permissions that it needs")]
    fix = install_again(snapshot, otherwise=_WITH_REPAIR) if missing == [REPAIR] else install_again(snapshot)
    return [_AREA.problem(check, f"it may not {some_of([*map(str, missing)], _SHOWN)}", fix)]
