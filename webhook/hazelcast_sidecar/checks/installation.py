"""What runs of the installation: both Deployments, the Service's endpoints, the Lease, the settings."""

from datetime import datetime, timedelta

from hazelcast_sidecar.checks.registration import client_of
from hazelcast_sidecar.checks.results import Area, CheckResult, Unread
from hazelcast_sidecar.checks.snapshot import Snapshot
from hazelcast_sidecar.errors import InvalidSettingsError
from hazelcast_sidecar.kube.objects import JsonObject
from hazelcast_sidecar.names import CONTROLLER, INJECTOR, SETTINGS, SETTINGS_KEY
from hazelcast_sidecar.spec.annotations import DefaultSpecs
from hazelcast_sidecar.spec.settings import Settings, installed

_AREA = Area("installation")
_INSTALL = "kubectl apply -k manifests/base"
_LEASE_PATIENCE = timedelta(minutes=1)
"""Beside the Lease's own life: the clock here may differ from the controller's."""


def deployments(snapshot: Snapshot) -> list[CheckResult]:
    """Whether the webhook and the controller are available."""
    found = [_availability("controller", CONTROLLER, snapshot.controller, snapshot.namespace)]
    if not (snapshot.webhook is None and _by_url(snapshot)):
        found.insert(0, _availability("webhook", INJECTOR, snapshot.webhook, snapshot.namespace))
    return found


def _availability(
    check: str, name: str, deployment: JsonObject | Unread | None, namespace: str
) -> CheckResult:
    if isinstance(deployment, Unread):
        return _AREA.skipped(check, deployment)
    if deployment is None:
        return _AREA.problem(check, f"there is no Deployment {name} in {namespace}", _INSTALL)
    wanted = deployment["spec"].get("replicas", 1)
    there = deployment.get("status", {}).get("availableReplicas", 0)
    message = f"{there} of {wanted} replicas of {name} are available"
    if wanted == 0:
        return _AREA.problem(check, message, f"kubectl -n {namespace} scale deployment/{name} --replicas=2")
    fix = f"kubectl -n {namespace} describe pods; kubectl -n {namespace} logs deployment/{name}"
    if there == 0:
        return _AREA.problem(check, message, fix)
    return _AREA.warning(check, message, fix) if there < wanted else _AREA.ok(check, message)


def endpoints(snapshot: Snapshot) -> list[CheckResult]:
    """Whether the webhook's Service leads to somebody."""
    check = "endpoints"
    if _by_url(snapshot):
        return [_AREA.skipped(check, Unread("the configuration names a URL, and no Service"))]
    if isinstance(snapshot.endpoints, Unread):
        return [_AREA.skipped(check, snapshot.endpoints)]
    ready = {
        address
        for each in snapshot.endpoints
        for endpoint in each.get("endpoints") or ()
        if endpoint.get("conditions", {}).get("ready") is not False
        for address in endpoint["addresses"]
    }
    if not ready:
        message = f"the Service {INJECTOR} has no ready endpoint: annotated Pods are refused"
        return [_AREA.problem(check, message, f"kubectl -n {snapshot.namespace} describe service {INJECTOR}")]
    return [_AREA.ok(check, f"the Service {INJECTOR} has {len(ready)} ready")]


def lease(snapshot: Snapshot) -> list[CheckResult]:
    """Whether a controller leads."""
    check = "lease"
    if isinstance(snapshot.lease, Unread):
        return [_AREA.skipped(check, snapshot.lease)]
    fix = f"kubectl -n {snapshot.namespace} logs deployment/{CONTROLLER}"
    spec = (snapshot.lease or {}).get("spec") or {}
    holder, renewed = spec.get("holderIdentity"), spec.get("renewTime")
    if not (holder and renewed):
        message = f"nobody holds the Lease {CONTROLLER}: objects of groups are not kept"
        return [_AREA.problem(check, message, fix)]
    age = snapshot.now - datetime.fromisoformat(renewed)
    if age > timedelta(seconds=spec.get("leaseDurationSeconds", 0)) + _LEASE_PATIENCE:
        message = f"{holder} has not renewed the Lease {CONTROLLER} for {age.total_seconds():.0f} s"
        return [_AREA.problem(check, message, fix)]
    return [_AREA.ok(check, f"{holder} leads")]


def settings(snapshot: Snapshot) -> list[CheckResult]:
    """Whether the settings can be used."""
    check = "settings"
    if isinstance(snapshot.settings, Unread):
        return [_AREA.skipped(check, snapshot.settings)]
    name = f"ConfigMap {SETTINGS}"
    if snapshot.settings is None:
        return [_AREA.problem(check, f"there is no {name} in {snapshot.namespace}", _INSTALL)]
    if SETTINGS_KEY not in (snapshot.settings.get("data") or {}):
        return [_AREA.problem(check, f"the {name} has no {SETTINGS_KEY}", _INSTALL)]
    try:
        _usable(snapshot.settings)
    except InvalidSettingsError as error:
        fix = f"kubectl -n {snapshot.namespace} edit configmap {SETTINGS}"
        return [_AREA.problem(check, f"the {name} cannot be used: {error}", fix)]
    return [_AREA.ok(check, f"the {name} can be used")]


def todays_settings(snapshot: Snapshot) -> Settings | None:
    """Those in force; None where they cannot be known."""
    if not isinstance(snapshot.settings, dict):
        return None
    try:
        return _usable(snapshot.settings)
    except InvalidSettingsError:
        return None


def _usable(config_map: JsonObject) -> Settings:
    """The settings, tried.

    Raises:
        InvalidSettingsError: they cannot be used.
    """
    found = installed(config_map)
    DefaultSpecs(found)
    return found


def _by_url(snapshot: Snapshot) -> bool:
    return isinstance(snapshot.configuration, dict) and "url" in client_of(snapshot.configuration)
