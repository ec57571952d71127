"""Checks of the running installation: both Deployments, endpoints, the Lease, the settings."""

from datetime import datetime, timedelta

from hazelcast_sidecar.checks.registration import client_of
from hazelcast_sidecar.checks.reinstallation import install_again
from hazelcast_sidecar.checks.results import Area, CheckResult, Unread
from hazelcast_sidecar.checks.snapshot import Snapshot
from hazelcast_sidecar.errors import InvalidSettingsError
from hazelcast_sidecar.kube.objects import JsonObject
from hazelcast_sidecar.names import CONTROLLER, INJECTOR, SETTINGS, SETTINGS_KEY
from hazelcast_sidecar.spec.annotations import DefaultSpecs
from hazelcast_sidecar.spec.settings import Settings, installed

_AREA = Area("installation")
_LEASE_PATIENCE = timedelta(minutes=1)
"""Added to the Lease's duration: the clock here may differ from the controller's."""


def deployments(snapshot: Snapshot) -> list[CheckResult]:
    """Check that the webhook and the controller are available."""
    found = [_availability("controller", CONTROLLER, snapshot.controller, snapshot)]
    if not (snapshot.webhook is None and _by_url(snapshot)):
        found.insert(0, _availability("webhook", INJECTOR, snapshot.webhook, snapshot))
    return found


def _availability(
    check: str, name: str, deployment: JsonObject | Unread | None, snapshot: Snapshot
) -> CheckResult:
    namespace = snapshot.namespace
    if isinstance(deployment, Unread):
        return _AREA.skipped(check, deployment)
    if deployment is None:
        message = f"the Deployment {name} does not exist in {namespace}"
        return _AREA.problem(check, message, install_again(snapshot))
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
    """Check that the webhook's Service has ready endpoints."""
    check = "endpoints"
    if _by_url(snapshot):
        return [_AREA.skipped(check, Unread("the configuration has a URL instead of a Service"))]
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
        message = f"the Service {INJECTOR} has no ready endpoint: annotated Pods are rejected"
        return [_AREA.problem(check, message, f"kubectl -n {snapshot.namespace} describe service {INJECTOR}")]
    return [_AREA.ok(check, f"the Service {INJECTOR} has {len(ready)} ready endpoints")]


def lease(snapshot: Snapshot) -> list[CheckResult]:
    """Check that a controller leads."""
    check = "lease"
    if isinstance(snapshot.lease, Unread):
        return [_AREA.skipped(check, snapshot.lease)]
    fix = f"kubectl -n {snapshot.namespace} logs deployment/{CONTROLLER}"
    spec = (snapshot.lease or {}).get("spec") or {}
    holder, renewed = spec.get("holderIdentity"), spec.get("renewTime")
    if not (holder and renewed):
        message = f"no controller holds the Lease {CONTROLLER}: objects of groups are not reconciled"
        return [_AREA.problem(check, message, fix)]
    age = snapshot.now - datetime.fromisoformat(renewed)
    if age > timedelta(seconds=spec.get("leaseDurationSeconds", 0)) + _LEASE_PATIENCE:
        message = f"{holder} has not renewed the Lease {CONTROLLER} for {age.total_seconds():.0f} s"
        return [_AREA.problem(check, message, fix)]
    return [_AREA.ok(check, f"{holder} is the leader")]


def settings(snapshot: Snapshot) -> list[CheckResult]:
    """Check that the settings are valid."""
    check = "settings"
    if isinstance(snapshot.settings, Unread):
        return [_AREA.skipped(check, snapshot.settings)]
    name = f"ConfigMap {SETTINGS}"
    if snapshot.settings is None:
        message = f"the {name} does not exist in {snapshot.namespace}"
        return [_AREA.problem(check, message, install_again(snapshot))]
    if SETTINGS_KEY not in (snapshot.settings.get("data") or {}):
        return [_AREA.problem(check, f"the {name} has no key {SETTINGS_KEY}", install_again(snapshot))]
    try:
        _usable(snapshot.settings)
    except InvalidSettingsError as error:
        fix = f"kubectl -n {snapshot.namespace} edit configmap {SETTINGS}"
        return [_AREA.problem(check, f"the {name} is invalid: {error}", fix)]
    return [_AREA.ok(check, f"the {name} is valid")]


def todays_settings(snapshot: Snapshot) -> Settings | None:
    """Return the settings in force; None if they are unknown."""
    if not isinstance(snapshot.settings, dict):
        return None
    try:
        return _usable(snapshot.settings)
    except InvalidSettingsError:
        return None


def _usable(config_map: JsonObject) -> Settings:
    """Parse and validate the settings.

    Raises:
        InvalidSettingsError: they are invalid.
    """
    found = installed(config_map)
    DefaultSpecs(found)
    return found


def _by_url(snapshot: Snapshot) -> bool:
    return isinstance(snapshot.configuration, dict) and "url" in client_of(snapshot.configuration)
