"""All checks, in the order in which a person would look."""

from collections.abc import Callable

from hazelcast_sidecar.checks import (
    cluster,
    disruptions,
    dry_run,
    evictions,
    group_health,
    installation,
    networks,
    pods,
    preflight,
    rbac,
    registration,
    serving_certificate,
)
from hazelcast_sidecar.checks.results import Area, CheckResult
from hazelcast_sidecar.checks.snapshot import Snapshot

Check = Callable[[Snapshot], list[CheckResult]]

_EVERYWHERE: tuple[Check, ...] = (cluster.api_server, cluster.kubelets, cluster.operating_systems)

OF_INSTALLATION: tuple[Check, ...] = (
    *_EVERYWHERE,
    installation.deployments,
    installation.endpoints,
    installation.lease,
    installation.settings,
    registration.registration,
    serving_certificate.ca_bundle,
    serving_certificate.expiry,
    dry_run.injection,
    dry_run.same_version,
    rbac.controller_rights,
    pods.others,
    pods.missed,
    pods.drifted,
    pods.unlabelled,
    pods.pod_security,
    group_health.objects,
    group_health.requests,
    group_health.services,
    group_health.zones,
    networks.policies,
    networks.meshes,
    evictions.budgets,
    disruptions.autoscalers,
    disruptions.rollouts,
    disruptions.readiness,
)
"""Checks of an installation."""

BEFORE: tuple[Check, ...] = (
    *_EVERYWHERE,
    preflight.admission_api,
    preflight.may_create,
    preflight.other_installation,
    preflight.target_namespace,
    preflight.other_webhooks,
)
"""Preflight checks."""


_AREA = Area("check")
_REPORT = "hazelcast-sidecar --version  # this is a bug: report it, with this line"


def findings(snapshot: Snapshot, checks: tuple[Check, ...]) -> list[CheckResult]:
    """Run all checks; one that raises anything becomes a finding."""
    found: list[CheckResult] = []
    for check in checks:
        name = check.__name__.replace("_", " ")
        with _AREA.passing_over(name, "something in the cluster", _REPORT, found):
            found += check(snapshot)
    return found
