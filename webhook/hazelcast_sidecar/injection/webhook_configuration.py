"""The MutatingWebhookConfiguration: what the API server asks about, and what holds while nothing answers.

`manifests/`, `check` and the admission policies have it from here.
"""

from collections.abc import Mapping
from copy import deepcopy
from functools import partial

from hazelcast_sidecar.injection import intact
from hazelcast_sidecar.kube.objects import JsonObject
from hazelcast_sidecar.model.opt_in import ASKED, DECLINED
from hazelcast_sidecar.names import INJECT, INJECTOR, MIRROR, NAMESPACE_NAME, POD_WEBHOOKS, PREFIX, STATUS

_Path = tuple[str | int, ...]
"""Of a part of an object: keys and positions."""

PODS, AGAIN, DECISIVE, OTHERS = POD_WEBHOOKS
WORKLOADS = "workloads.sidecar.hazelcast.com"

CHOSEN = {f"{PREFIX}injection": "enabled"}
"""The label of namespaces that are chosen, where injection is not for all of them."""

_LABELLED: list[JsonObject] = [
    {"key": INJECT, "operator": "Exists"},
    {"key": INJECT, "operator": "NotIn", "values": [DECLINED]},
]
"""Selects Pods with the label, also one with a wrong value, which is denied with a sentence."""

UNLABELLED: list[JsonObject] = [{"key": INJECT, "operator": "DoesNotExist"}]
"""Selects Pods without the label."""

_OF_A_WORKLOAD = (
    "pod-template-hash",
    "statefulset.kubernetes.io/pod-name",
    "pod-template-generation",
    "batch.kubernetes.io/job-name",
)
"""Labels of the Pods that Deployments, StatefulSets, DaemonSets and Jobs make."""

OF_NO_WORKLOAD: list[JsonObject] = [{"key": key, "operator": "DoesNotExist"} for key in _OF_A_WORKLOAD]
"""Expressions of a selector that leaves out the Pods of these, whose templates `WORKLOADS` has labelled."""


def lacks_label(pod: Mapping[str, str]) -> bool:
    """Tell by a Pod's labels whether a workload made it whose template was never labelled."""
    return INJECT not in pod and not pod.keys().isdisjoint(_OF_A_WORKLOAD)


_OF_NO_DEPLOYMENT: list[JsonObject] = [{"key": "pod-template-hash", "operator": "DoesNotExist"}]


def _still_without(otherwise: str) -> str:
    """Return the condition on a Pod that has no member, or not all of it, and asks by its annotation.

    Args:
        otherwise: the text of an annotation that it lacks.
    """
    return (
        f"(object.metadata.?annotations[?'{INJECT}'].orValue('{otherwise}') != '{DECLINED}' || "
        f"object.metadata.?annotations[?'{STATUS}'].hasValue()) && "
        f"!object.metadata.?annotations[?'{MIRROR}'].hasValue() && "
        f"!({intact.IS_INTACT})"
    )


_ASKS_SOMEWHERE = (
    "[object, oldObject].exists(o, o != null && [o.metadata.?annotations, "
    "o.spec.?template.?metadata.?annotations, o.spec.?template.?metadata.?labels, "
    "o.spec.?jobTemplate.?metadata.?annotations, "
    "o.spec.?jobTemplate.?spec.?template.?metadata.?annotations, "
    "o.spec.?jobTemplate.?spec.?template.?metadata.?labels"
    f"].exists(a, a.orValue({{}}).exists(k, k.startsWith('{PREFIX}'))))"
)
_COUNTS_ITSELF = (
    "!has(object.metadata.deletionTimestamp) && "
    "!(request.kind.kind in ['ReplicaSet', 'Job'] && has(object.metadata.ownerReferences) && "
    "object.metadata.ownerReferences.exists(r, has(r.controller) && r.controller))"
)

REASONS: dict[_Path, str] = {
    ("webhooks", 0, "objectSelector"): (
        "Only Pods with the label leave the API server, so no others can be locked out, and it compares "
        "labels before anything else: others cost it nothing. The last webhook below writes the label on "
        "the templates of workloads that ask."
    ),
    ("webhooks", 0, "failurePolicy"): (
        "The API server asks once and not again, so a connection that breaks when a replica is lost would "
        "fail a creation. So a failure is ignored here, and the API server asks again below about a Pod that "
        "was not injected."
    ),
    ("webhooks", 0, "namespaceSelector"): (
        "A second line of defence: these must come up also when every annotation is wrong."
    ),
    ("webhooks", 0, "reinvocationPolicy"): (
        "Injection is idempotent: when another webhook changes the Pod, ours may look again."
    ),
    ("webhooks", 1): (
        "A Pod that was not injected is sent again, on another connection: it may lead to another replica."
    ),
    ("webhooks", 1, "matchConditions", 0): (
        "Also one whose member, or part of it, another webhook removed (injection/intact.py)."
    ),
    ("webhooks", 2): "The third attempt decides.",
    ("webhooks", 3): (
        "Pods without the label that none of the known workloads made need no more than the annotation. They "
        "are asked about once, as each match condition costs the API server a copy of every such Pod."
    ),
    ("webhooks", 4): "An annotation on a workload itself counts too: it is copied onto the Pod template.",
    ("webhooks", 4, "objectSelector"): "A Deployment's ReplicaSets, which are not for anyone to change.",
    ("webhooks", 4, "matchConditions", 0): (
        "On the workload or on its Pod template; also those that are being opted out."
    ),
    ("webhooks", 4, "matchConditions", 1): (
        "What a Deployment or a CronJob makes has their annotations, but is not for anyone to change. What "
        "is being deleted must lose its finalizers also while no webhook runs."
    ),
}
"""Why parts of it are as they are, for readers of the manifest."""


def exempt_namespaces(namespace: str = INJECTOR) -> tuple[str, ...]:
    """Return those of which nothing is injected: they must come up also when everything else is wrong.

    Args:
        namespace: the installation's own.
    """
    return ("kube-system", namespace)


def namespace_selector(namespace: str = INJECTOR, chosen: Mapping[str, str] | None = None) -> JsonObject:
    """Select the namespaces that are injected: all but the exempt ones, or of those the labelled ones."""
    exempt = {
        "key": NAMESPACE_NAME,
        "operator": "NotIn",
        "values": list(exempt_namespaces(namespace)),
    }
    return {"matchExpressions": [exempt, *chosen_expressions(chosen or {})]}


def chosen_expressions(chosen: Mapping[str, str]) -> list[JsonObject]:
    """Return the expressions of a selector that wants these labels."""
    return [{"key": key, "operator": "In", "values": [value]} for key, value in chosen.items()]


def pod_rule() -> JsonObject:
    """Return the rule by which the API server asks about Pods."""
    return _rule("", ["CREATE"], ["pods"])


def webhook_configuration(namespace: str = INJECTOR, chosen: Mapping[str, str] | None = None) -> JsonObject:
    """Make the configuration.

    Args:
        namespace: the installation's own.
        chosen: labels of the namespaces that are injected; None: all are.
    """
    again = {"still-without-a-member": _still_without(ASKED)}
    other = {"still-without-a-member": _still_without(DECLINED)}
    others = [*UNLABELLED, *OF_NO_WORKLOAD]
    workload = {"annotated-for-sidecar": _ASKS_SOMEWHERE, "counts-itself": _COUNTS_ITSELF}
    webhook = partial(_webhook, namespace, chosen)
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": INJECTOR},
        "webhooks": [
            webhook(PODS, "/mutate/pods", [pod_rule()], _LABELLED, {}, "Ignore", 3),
            webhook(AGAIN, "/mutate/pods", [pod_rule()], _LABELLED, again, "Ignore", 3),
            webhook(DECISIVE, "/mutate/pods", [pod_rule()], _LABELLED, again, "Fail", 5),
            webhook(OTHERS, "/mutate/pods", [pod_rule()], others, other, "Fail", 5),
            webhook(
                WORKLOADS, "/mutate/workloads", _workload_rules(), _OF_NO_DEPLOYMENT, workload, "Fail", 5
            ),
        ],
    }


def _webhook(  # noqa: PLR0913, PLR0917 - what configurations differ in, and then their webhooks
    namespace: str,
    chosen: Mapping[str, str] | None,
    name: str,
    path: str,
    rules: list[JsonObject],
    selected: list[JsonObject],
    conditions: Mapping[str, str],
    failure_policy: str,
    seconds: int,
) -> JsonObject:
    made: JsonObject = {
        "name": name,
        "admissionReviewVersions": ["v1"],
        "clientConfig": {"service": {"name": INJECTOR, "namespace": namespace, "path": path, "port": 443}},
        "rules": rules,
        "matchPolicy": "Equivalent",
    }
    if conditions:
        made["matchConditions"] = [
            {"name": condition, "expression": expression} for condition, expression in conditions.items()
        ]
    return {
        **made,
        "failurePolicy": failure_policy,
        "namespaceSelector": namespace_selector(namespace, chosen),
        # Of its own: YAML would refer from one selector to another.
        "objectSelector": {"matchExpressions": deepcopy(selected)},
        "sideEffects": "None",
        "reinvocationPolicy": "IfNeeded",
        "timeoutSeconds": seconds,
    }


def _workload_rules() -> list[JsonObject]:
    operations = ["CREATE", "UPDATE"]
    return [
        _rule("apps", operations, ["deployments", "statefulsets", "daemonsets", "replicasets"]),
        _rule("batch", operations, ["jobs", "cronjobs"]),
    ]


def _rule(group: str, operations: list[str], resources: list[str]) -> JsonObject:
    return {
        "apiGroups": [group],
        "apiVersions": ["v1"],
        "operations": [*operations],  # of its own: YAML would refer from one rule to another
        "resources": resources,
        "scope": "Namespaced",
    }
