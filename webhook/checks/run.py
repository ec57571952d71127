"""All checks, in the order in which a person would look."""

from collections.abc import Callable

from webhook.checks import (
    admission,
    before,
    certificate,
    cluster,
    groups,
    injection,
    networks,
    pods,
    rights,
    running,
)
from webhook.checks.findings import Area, Finding
from webhook.checks.snapshot import Snapshot

Check = Callable[[Snapshot], list[Finding]]

_EVERYWHERE: tuple[Check, ...] = (cluster.api_server, cluster.kubelets, cluster.operating_systems)

OF_INSTALLATION: tuple[Check, ...] = (
    *_EVERYWHERE,
    running.deployments,
    running.endpoints,
    running.lease,
    running.settings,
    admission.registration,
    certificate.ca_bundle,
    certificate.expiry,
    injection.injection,
    injection.same_version,
    rights.controller_rights,
    pods.missed,
    pods.drifted,
    pods.pod_security,
    groups.objects,
    groups.requests,
    groups.services,
    networks.policies,
)
"""Whether what is installed is healthy."""

BEFORE: tuple[Check, ...] = (
    *_EVERYWHERE,
    before.admission_api,
    before.may_create,
    before.other_installation,
    before.target_namespace,
    before.other_webhooks,
)
"""Whether an installation would work."""


_AREA = Area("check")
_REPORT = "hazelcast-sidecar --version  # this is a fault of this command: report it, with this line"


def findings(snapshot: Snapshot, checks: tuple[Check, ...]) -> list[Finding]:
    """What all of them say; where one fails, in whatever way, that is what it says."""
    found: list[Finding] = []
    for check in checks:
        name = check.__name__.replace("_", " ")
        with _AREA.passing_over(name, "something in the cluster", _REPORT, found):
            found += check(snapshot)
    return found
