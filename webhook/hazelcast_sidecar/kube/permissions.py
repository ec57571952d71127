"""What the controller and the check after an installation may do: RBAC rules, each with its reason.

`manifests/`, `check` and the tests have them from here.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from hazelcast_sidecar.kube.objects import JsonObject
from hazelcast_sidecar.names import AUTHORITY_SECRET, CONTROLLER, INJECTOR, LEAF_SECRET

RBAC = "rbac.authorization.k8s.io"
_ADMISSION = "admissionregistration.k8s.io"
_KEEP = ("get", "list", "watch", "create", "patch", "delete")


class PolicyRule(NamedTuple):
    """A rule of a role."""

    reason: str
    """For readers of the manifest; empty where the rule before it has it."""
    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    names: tuple[str, ...] = ()


class Right(NamedTuple):
    """One verb on one kind of objects: a permission."""

    verb: str
    group: str
    resource: str
    name: str = ""
    own: bool = False
    """Whether it holds in the installation's own namespace only."""

    def __str__(self) -> str:
        resource = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{self.verb} {resource} {self.name}".rstrip()


IN_CLUSTER = (
    PolicyRule(
        "To see injected Pods, and to read one of each workload: its status annotation anyone can write. "
        "With `--watch-groups` they are watched as a whole, for the addresses of their members. "
        "Also, get and list are what its RoleBindings grant: the API server lets it grant what it holds, so "
        "it needs no right to `bind`.",
        "",
        ("pods",),
        ("get", "list", "watch"),
    ),
    PolicyRule(
        "What it keeps in the namespaces of these Pods. Server-side apply is patch, and create for what is "
        "not there.",
        "",
        ("configmaps", "services"),
        _KEEP,
    ),
    PolicyRule("", "policy", ("poddisruptionbudgets",), _KEEP),
    PolicyRule("", "networking.k8s.io", ("networkpolicies",), _KEEP),
    PolicyRule("", RBAC, ("rolebindings",), _KEEP),
    PolicyRule(
        "Events on workloads. It lists its own once, to repeat none, and watches those of Pods that were "
        "denied.",
        "",
        ("events",),
        ("list", "watch", "create", "patch"),
    ),
    PolicyRule(
        "Whose the Pods are: an owner reference, too, anyone can write.",
        "",
        ("replicationcontrollers",),
        ("get",),
    ),
    PolicyRule("", "apps", ("daemonsets", "deployments", "replicasets", "statefulsets"), ("get",)),
    PolicyRule("", "batch", ("cronjobs", "jobs"), ("get",)),
    PolicyRule(
        "The caBundle of its own configuration, and of no other one, and that it goes with the namespace. "
        "Who may not delete an object may not say what it belongs to (OwnerReferencesPermissionEnforcement, "
        "as on OpenShift).",
        _ADMISSION,
        ("mutatingwebhookconfigurations",),
        ("get", "patch", "delete"),
        (INJECTOR,),
    ),
    PolicyRule(
        "Whether a Pod without a member would get one if it were made again: which namespaces and Pods are "
        "selected, by the configuration or by policies of `hazelcast-sidecar policy`, and what labels the "
        "Pod's namespace has. One by one, when such a Pod is found; to list or watch namespaces it needs no "
        "right. Its own the configuration belongs to.",
        _ADMISSION,
        ("mutatingadmissionpolicies", "mutatingadmissionpolicybindings"),
        ("get",),
        (INJECTOR,),
    ),
    PolicyRule("", "", ("namespaces",), ("get",)),
)
"""In all namespaces."""

IN_OWN_NAMESPACE = (
    PolicyRule(
        "The Lease of the one that leads. What is created has no name yet when that is judged, so create "
        "cannot be bound to names.",
        "coordination.k8s.io",
        ("leases",),
        ("create",),
    ),
    PolicyRule("", "coordination.k8s.io", ("leases",), ("get", "update"), (CONTROLLER,)),
    PolicyRule("The two Secrets with the certificates.", "", ("secrets",), ("create",)),
    PolicyRule("", "", ("secrets",), ("get", "patch"), (AUTHORITY_SECRET, LEAF_SECRET)),
)

TO_REPAIR = (PolicyRule("", "", ("pods/eviction",), ("create",)),)
"""In all namespaces, where it is started with --repair."""


TO_CHECK = (
    PolicyRule(
        "What `hazelcast-sidecar check` reads. Not Secrets, as they have private keys: it says that it skips "
        "the certificate.",
        "",
        ("configmaps", "namespaces", "nodes", "pods", "services"),
        ("get", "list"),
    ),
    PolicyRule("", "apps", ("daemonsets", "deployments", "replicasets", "statefulsets"), ("get", "list")),
    PolicyRule("", "autoscaling", ("horizontalpodautoscalers",), ("get", "list")),
    PolicyRule("", "coordination.k8s.io", ("leases",), ("get", "list")),
    PolicyRule("", "discovery.k8s.io", ("endpointslices",), ("get", "list")),
    PolicyRule("", "networking.k8s.io", ("networkpolicies",), ("get", "list")),
    PolicyRule("", "policy", ("poddisruptionbudgets",), ("get", "list")),
    PolicyRule("", RBAC, ("rolebindings",), ("get", "list")),
    PolicyRule(
        "",
        _ADMISSION,
        ("mutatingadmissionpolicies", "mutatingadmissionpolicybindings", "mutatingwebhookconfigurations"),
        ("get", "list"),
    ),
    PolicyRule(
        "Whether the controller has its rights.",
        "authorization.k8s.io",
        ("subjectaccessreviews",),
        ("create",),
    ),
)
"""In all namespaces, for as long as `helm test` runs."""

TO_TRY = (PolicyRule("A dry run of an injection, which stores nothing.", "", ("pods",), ("create",)),)
"""In one namespace, for as long as `helm test` runs."""


def rights_of(rules: Sequence[PolicyRule], *, own: bool = False) -> Iterator[Right]:
    """Yield every single right that rules give.

    Args:
        rules: of one role.
        own: whether that is for the installation's own namespace.
    """
    for rule in rules:
        for resource in rule.resources:
            for name in rule.names or ("",):
                for verb in rule.verbs:
                    yield Right(verb, rule.group, resource, name, own)


def role(kind: str, name: str, rules: Sequence[PolicyRule]) -> JsonObject:
    """Make a ClusterRole or a Role."""
    made = [
        {
            "apiGroups": [rule.group],
            "resources": list(rule.resources),
            **({"resourceNames": list(rule.names)} if rule.names else {}),
            "verbs": list(rule.verbs),
        }
        for rule in rules
    ]
    return {"apiVersion": f"{RBAC}/v1", "kind": kind, "metadata": {"name": name}, "rules": made}


def binding(kind: str, name: str, namespace: str = INJECTOR, *, account: str = CONTROLLER) -> JsonObject:
    """Make the binding of a role to a ServiceAccount; role and binding have the same name.

    Args:
        kind: of the role.
        name: of the role.
        namespace: the installation's own.
        account: the ServiceAccount.
    """
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": f"{kind}Binding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": RBAC, "kind": kind, "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
    }


def reasons(rules: Sequence[PolicyRule]) -> dict[tuple[str | int, ...], str]:
    """Return the reasons of rules by their place in the role."""
    return {("rules", position): rule.reason for position, rule in enumerate(rules) if rule.reason}
