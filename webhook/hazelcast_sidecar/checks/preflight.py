"""Preflight checks: whether an installation could be made here, and would work."""

from hazelcast_sidecar.checks.registration import client_of
from hazelcast_sidecar.checks.results import Area, CheckResult, Unread
from hazelcast_sidecar.checks.snapshot import Snapshot
from hazelcast_sidecar.kube.objects import JsonObject
from hazelcast_sidecar.kube.permissions import RBAC, Right
from hazelcast_sidecar.model.selection import concerns_new_pods
from hazelcast_sidecar.model.selectors import selects
from hazelcast_sidecar.names import INJECTOR, INSTALLATION_LABELS, NAMESPACE_NAME

_AREA = Area("installation")
_OUR_LABELS = {**INSTALLATION_LABELS, "app.kubernetes.io/component": "webhook"}

PARTS = tuple(
    Right("create", group, resource, own=own)
    for group, resource, own in (
        ("", "namespaces", False),
        ("", "serviceaccounts", True),
        ("", "configmaps", True),
        ("", "services", True),
        ("", "resourcequotas", True),
        ("apps", "deployments", True),
        ("policy", "poddisruptionbudgets", True),
        ("networking.k8s.io", "networkpolicies", True),
        ("admissionregistration.k8s.io", "mutatingwebhookconfigurations", False),
        (RBAC, "clusterroles", False),
        (RBAC, "clusterrolebindings", False),
        (RBAC, "roles", True),
        (RBAC, "rolebindings", True),
    )
)
"""The parts of manifests/base."""


def admission_api(snapshot: Snapshot) -> list[CheckResult]:
    """Check that webhooks can be registered."""
    check = "admission API"
    if isinstance(snapshot.admission_api, Unread):
        return [_AREA.skipped(check, snapshot.admission_api)]
    kinds = [each["kind"] for each in snapshot.admission_api.get("resources", ())]
    if "MutatingWebhookConfiguration" not in kinds:
        message = "admissionregistration.k8s.io/v1 has no MutatingWebhookConfiguration"
        return [
            _AREA.problem(
                check,
                message,
                "kubectl api-versions  # the API server must serve it: see its --runtime-config",
            )
        ]
    return [_AREA.ok(check, "admissionregistration.k8s.io/v1 is available")]


def may_create(snapshot: Snapshot) -> list[CheckResult]:
    """Check that the user may install."""
    check = "your permissions"
    if isinstance(snapshot.denied_permissions, Unread):
        return [_AREA.skipped(check, snapshot.denied_permissions)]
    if snapshot.denied_permissions:
        message = f"you may not {', '.join(str(right) for right in snapshot.denied_permissions)}"
        fix = (
            "kubectl apply -k manifests/base  # or another way, as a user with the ClusterRole cluster-admin"
        )
        return [_AREA.problem(check, message, fix)]
    return [_AREA.ok(check, "you may create all objects of an installation")]


def other_installation(snapshot: Snapshot) -> list[CheckResult]:
    """Check for another installation of the same name."""
    check = "name"
    if isinstance(snapshot.configuration, Unread):
        return [_AREA.skipped(check, snapshot.configuration)]
    if snapshot.configuration is None:
        return [_AREA.ok(check, f"no other {INJECTOR} is registered")]
    service = client_of(snapshot.configuration).get("service") or {}
    where = service.get("namespace", "")
    if where == snapshot.namespace:
        message = f"{INJECTOR} is already installed in {where}: applying the manifests updates it"
        return [_AREA.warning(check, message, "hazelcast-sidecar check")]
    message = f"another {INJECTOR} is registered, for {f'the namespace {where}' if where else 'a URL'}"
    return [_AREA.problem(check, message, f"kubectl delete mutatingwebhookconfiguration {INJECTOR}")]


def target_namespace(snapshot: Snapshot) -> list[CheckResult]:
    """Check that the Pod Security level of the namespace admits the injector's Pods."""
    check = "namespace"
    if isinstance(snapshot.namespaces, Unread):
        return [_AREA.skipped(check, snapshot.namespaces)]
    namespace = snapshot.namespaces.get(snapshot.namespace)
    if namespace is None:
        return [_AREA.ok(check, f"{snapshot.namespace} does not exist yet; the manifests create it")]
    if namespace.deletion_timestamp:
        message = f"{snapshot.namespace} is being deleted"
        return [_AREA.problem(check, message, f"kubectl wait --for=delete namespace/{snapshot.namespace}")]
    level = namespace.labels.get("pod-security.kubernetes.io/enforce", "privileged")
    return [_AREA.ok(check, f"{snapshot.namespace} enforces {level}, which the injector's Pods pass")]


def other_webhooks(snapshot: Snapshot) -> list[CheckResult]:
    """Report mutating webhooks of others that the injector's own Pods would have to wait for."""
    check = "other webhooks"
    if isinstance(snapshot.configurations, Unread):
        return [_AREA.skipped(check, snapshot.configurations)]
    labels = {NAMESPACE_NAME: snapshot.namespace}
    if not isinstance(snapshot.namespaces, Unread) and snapshot.namespace in snapshot.namespaces:
        labels |= snapshot.namespaces[snapshot.namespace].labels
    found = [
        _AREA.warning(
            check,
            f"while {each['name']} ({configuration['metadata']['name']}) is down, the injector's Pods cannot "
            "start: its failurePolicy is Fail, and it matches them",
            f"kubectl edit mutatingwebhookconfiguration {configuration['metadata']['name']}  # exempt "
            f"the namespace {snapshot.namespace} in its namespaceSelector",
        )
        for configuration in snapshot.configurations
        if configuration["metadata"]["name"] != INJECTOR
        for each in configuration.get("webhooks") or ()
        if _blocks_injector(each, labels)
    ]
    return found or [_AREA.ok(check, "none can block the injector's Pods")]


def _blocks_injector(webhook: JsonObject, namespace: dict[str, str]) -> bool:
    return (
        webhook.get("failurePolicy", "Fail") == "Fail"
        and selects(webhook.get("namespaceSelector") or {}, namespace)
        and selects(webhook.get("objectSelector") or {}, _OUR_LABELS)
        and concerns_new_pods(webhook.get("rules") or ())
    )
