"""Checks of the MutatingWebhookConfiguration, which decides about which objects the webhook is called."""

from collections.abc import Iterator
from typing import Any

from hazelcast_sidecar.checks.reinstallation import install_again
from hazelcast_sidecar.checks.results import Area, CheckResult, Unread
from hazelcast_sidecar.checks.snapshot import Snapshot
from hazelcast_sidecar.injection.webhook_configuration import (
    AGAIN,
    DECISIVE,
    OF_NO_WORKLOAD,
    OTHERS,
    PODS,
    WORKLOADS,
    exempt_namespaces,
    webhook_configuration,
)
from hazelcast_sidecar.kube.objects import JsonObject
from hazelcast_sidecar.model.selectors import combined, selects
from hazelcast_sidecar.names import INJECT, INJECTOR, NAMESPACE_NAME

_AREA = Area("admission")
_OPERATIONS = ("CREATE", "UPDATE", "DELETE", "CONNECT")
_SHOW = f"kubectl get mutatingwebhookconfiguration {INJECTOR} -o yaml"

_SHIPPED: dict[str, JsonObject] = {each["name"]: each for each in webhook_configuration()["webhooks"]}
_WITHOUT = {
    PODS: "a Pod is rejected when a connection to the webhook breaks",
    AGAIN: "a Pod is rejected when a connection to the webhook breaks",
    DECISIVE: "Pods start without a member while the webhook is unavailable",
    OTHERS: f"Pods that no workload made need the label {INJECT} beside their annotation",
    WORKLOADS: "annotations of workloads have no effect",
}
"""The consequence if one of them is missing."""


def registration(snapshot: Snapshot) -> list[CheckResult]:
    """Check the configuration, except for its caBundle."""
    check = "registration"
    configuration = snapshot.configuration
    if isinstance(configuration, Unread):
        return [_AREA.skipped(check, configuration)]
    if configuration is None:
        message = f"the MutatingWebhookConfiguration {INJECTOR} does not exist: no Pod gets a member"
        return [_AREA.problem(check, message, install_again(snapshot))]
    webhooks = {each["name"]: each for each in configuration.get("webhooks") or []}
    found: list[CheckResult] = []
    for name, without in _WITHOUT.items():
        if name not in webhooks:
            message = f"the webhook {name} is missing: {without}"
            found.append(_AREA.problem(check, message, install_again(snapshot)))
            continue
        faults = list(_faults(webhooks[name], name, snapshot))
        policy = _SHIPPED[name]["failurePolicy"]
        found += faults or [
            _AREA.ok(check, f"{name}, failurePolicy {policy}, selector and match conditions as shipped")
        ]
    return found


def _faults(webhook: JsonObject, name: str, snapshot: Snapshot) -> Iterator[CheckResult]:
    again = install_again(snapshot)
    yield from _conditions(webhook, name, again)
    yield from _object_selector(webhook, name, again)
    if missing := sorted(_asked_about(_SHIPPED[name]) - _asked_about(webhook)):
        _, resource, operation = missing[0]
        message = f"{name} does not match every {operation} of {resource}, so some objects are skipped"
        yield _AREA.problem("rules", message, again)
    if (policy := webhook.get("failurePolicy", "Fail")) != (shipped := _SHIPPED[name]["failurePolicy"]):
        about = (
            "objects are admitted without it while the webhook is unavailable"
            if policy == "Ignore"
            else _WITHOUT[name]
        )
        fix = install_again(snapshot, "failurePolicy=Fail") if shipped == "Fail" else again
        yield _AREA.warning("failurePolicy", f"{name} has failurePolicy {policy}: {about}", fix)
    for exempt in exempt_namespaces(snapshot.namespace):
        labels = {NAMESPACE_NAME: exempt}
        if selects(webhook.get("namespaceSelector") or {}, labels):
            message = f"{name} does not exempt the namespace {exempt}, which must start without it"
            yield _AREA.warning("namespaceSelector", message, again)


def _conditions(webhook: JsonObject, name: str, again: str) -> Iterator[CheckResult]:
    """Compare match conditions with those shipped; without one, unrelated requests wait for the webhook."""
    check = "match conditions"
    given, shipped = _expressions(webhook), _expressions(_SHIPPED[name])
    for condition, expression in shipped.items():
        if condition not in given:
            message = f"{name} lacks the match condition {condition}: it receives requests that it should not"
            yield _AREA.problem(check, message, again)
        elif given.pop(condition) != expression:
            message = f"{name} has a changed match condition {condition}"
            yield _AREA.warning(check, message, f"{_SHOW}; {again}")
    for condition in given:
        message = (
            f"{name} has the match condition {condition}, which is not shipped: some objects are skipped"
        )
        yield _AREA.warning(check, message, f"{_SHOW}; {again}")


def _object_selector(webhook: JsonObject, name: str, again: str) -> Iterator[CheckResult]:
    """Compare the selector of labels; the value `unlabelledWorkloads` makes a wider one."""
    check = "objectSelector"
    given, shipped = _requirements(webhook), _requirements(_SHIPPED[name])
    wider = shipped - {_requirement(each) for each in OF_NO_WORKLOAD}
    if given == shipped or (name == OTHERS and given == wider):
        return
    if given < shipped:
        message = (
            f"{name} has a wider objectSelector than is shipped: Pods of others cost the API server more"
        )
    else:
        message = f"{name} has a changed objectSelector: some objects are skipped"
    yield _AREA.warning(check, message, f"{_SHOW}; {again}")


def _requirements(webhook: JsonObject) -> frozenset[tuple[object, ...]]:
    selector = combined(webhook.get("objectSelector") or {}, {})
    return frozenset(map(_requirement, selector["matchExpressions"]))


def _requirement(expression: JsonObject) -> tuple[object, ...]:
    return expression["key"], expression["operator"], frozenset(expression.get("values") or ())


def _expressions(webhook: JsonObject) -> dict[str, str]:
    """Read the match conditions by name; blanks and line breaks do not matter."""
    conditions = webhook.get("matchConditions") or []
    return {each["name"]: "".join(each["expression"].split()) for each in conditions}


def _asked_about(webhook: JsonObject) -> set[tuple[str, str, str]]:
    return {
        (group, resource, operation)
        for rule in webhook.get("rules") or []
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for operation in (_OPERATIONS if "*" in rule["operations"] else rule["operations"])
    }


def client_of(configuration: JsonObject) -> dict[str, Any]:
    """Return the address of the webhook for Pods, and its caBundle."""
    webhooks = configuration.get("webhooks") or [{}]
    first = next((each for each in webhooks if each.get("name") == PODS), webhooks[0])
    client: dict[str, Any] = first.get("clientConfig") or {}
    return client
