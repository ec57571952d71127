"""Conflicts between a Pod and the member container, found before anything is patched.

Each rule finds it in Python for the webhook and in CEL for the admission policies, with the same sentence.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple

from hazelcast_sidecar.cel import Unknown, source
from hazelcast_sidecar.errors import Problem
from hazelcast_sidecar.injection.pod_in_cel import (
    BY_API,
    CLIENTS_IN_POD,
    DNS_POLICY,
    GROUP_OF_POD,
    HOST_NETWORK,
    METRICS_PORTS,
    PATH,
    PORTS,
    VOLUMES,
    Sentence,
    listed,
    of_containers,
    text_of,
    value_of,
    where,
)
from hazelcast_sidecar.limits import (
    AND_MORE,
    MAX_ANNOTATIONS,
    MAX_NAME,
    MAX_PROBLEMS,
    annotation_bytes,
    fit,
    shown,
)
from hazelcast_sidecar.model.pod import Container, NodeAffinity, Pod, Quantity, is_scalable, owner_kind
from hazelcast_sidecar.names import (
    CONTAINER,
    DISRUPTION_BUDGET,
    GROUP,
    INJECT,
    MEMBER_VOLUMES,
    PREFIX,
    STATUS,
)
from hazelcast_sidecar.spec.annotations import SidecarSpec
from hazelcast_sidecar.spec.values import quantity_if_any


class Asking(NamedTuple):
    """A Pod, and the member that it asks for."""

    pod: Pod
    spec: SidecarSpec
    group: str
    containers: Sequence[Container]
    """Init containers and containers."""


class OnlyInPython(NamedTuple):
    """A rule that the policies leave to the API server, which rejects such Pods in its own words."""

    why: str


class Rule(NamedTuple):
    """One way in which a Pod conflicts with its member, in Python and in CEL."""

    find: Callable[[Asking], Iterable[Problem]]
    in_cel: str | OnlyInPython
    """The expression of a list of sentences."""


def collisions(pod: Pod, spec: SidecarSpec, group: str) -> list[Problem]:
    """Return all conflicts, each naming both sides and what resolves it, or the first `MAX_PROBLEMS`."""
    asking = Asking(pod, spec, group, pod.containers)
    problems: list[Problem] = []
    for find in _FINDERS:
        for problem in find(asking):
            if len(problems) == MAX_PROBLEMS:
                return [*problems, Problem("spec", AND_MORE)]
            problems.append(problem)
    return problems


# --- names -------------------------------------------------------------------------------------------------

_TAKEN_NAME = Sentence(
    "{path}",
    f'is named "{CONTAINER}", as the member that {INJECT} asks for; rename or remove this container, or '
    "remove the annotation",
)


def _taken_names(asking: Asking) -> Iterator[Problem]:
    for index, container in enumerate(asking.containers):
        if container.name == CONTAINER:
            yield _TAKEN_NAME.about(path=asking.pod.path_at(index))


_TAKEN_VOLUME = Sentence("spec.volumes[{index}]", 'is named "{name}", as a volume of the member; rename it')

_TAKEN_CLAIM = Sentence(
    "spec.volumes", 'gets "{name}" of the volumeClaimTemplates, as a volume of the member is named; rename it'
)


def _taken_volumes(asking: Asking) -> Iterator[Problem]:
    for index, volume in enumerate(asking.pod.spec.volumes or ()):
        if volume.name in MEMBER_VOLUMES:
            yield _TAKEN_VOLUME.about(index=index, name=volume.name)
    for name in asking.pod.claim_names:
        if name in MEMBER_VOLUMES:
            yield _TAKEN_CLAIM.about(name=name)


_VOLUME_NAMES = source([*MEMBER_VOLUMES])
_TAKEN_VOLUMES_IN_CEL = (
    # The volumes of a Pod that was injected are the member's own.
    f"(variables.torn ? [] : {VOLUMES}.transformList(i, v, v.name in {_VOLUME_NAMES}, "
    f"{_TAKEN_VOLUME.in_cel(index=Unknown('i', text=False), name=Unknown('v.name'))}))"
)


_ABSENT_VOLUME = Sentence(
    "spec.volumes",
    f'has no "{{name}}", in which {PREFIX}extensions expects jars; add that volume, or remove the annotation',
)


def _absent_volume(asking: Asking) -> list[Problem]:
    """Find extensions that are in no volume: the API server's words would name the member's mount."""
    wanted = asking.spec.extensions
    if wanted is None or wanted in asking.pod.claim_names:
        return []
    found = any(volume.name == wanted for volume in asking.pod.spec.volumes or ())
    return [] if found else [_ABSENT_VOLUME.about(name=wanted)]


_ABSENT_VOLUME_IN_CEL = where(
    f'"extensions" in variables.texts && !{VOLUMES}.exists(v, v.name == {text_of("extensions")})',
    _ABSENT_VOLUME.in_cel(name=Unknown(text_of("extensions"))),
)

# --- ports -------------------------------------------------------------------------------------------------

_TAKEN_PORT = Sentence(
    "{path}",
    'container "{container}" declares port {port}, which the member needs; set '
    f"{PREFIX}{{annotation}} to a free port",
)


def _taken_ports(asking: Asking) -> Iterator[Problem]:
    spec = asking.spec
    member_ports = {spec.port: "port"}
    if spec.pod_clients:
        member_ports |= dict.fromkeys(spec.ports, "port")
    if spec.metrics:
        member_ports[spec.metrics_port] = "metrics-port"
    for index, container in enumerate(asking.containers):
        for port in container.ports or ():
            number = port.container_port
            if number in member_ports and port.protocol == "TCP":
                yield _TAKEN_PORT.about(
                    path=asking.pod.path_at(index),
                    container=shown(container.name),
                    port=number,
                    annotation=member_ports[number],
                )


def _taken_port_in_cel(annotation: str, ports: str) -> str:
    """List a sentence about the first of these ports that each container declares."""
    is_taken = f'p.containerPort in {ports} && p.?protocol.orValue("TCP") == "TCP"'
    declared = f"c.?ports.orValue([]).filter(p, {is_taken})"
    sentence = _TAKEN_PORT.in_cel(
        path=PATH,
        container=Unknown("c.name"),
        port=Unknown(f"{declared}[0].containerPort", text=False),
        annotation=annotation,
    )
    return of_containers(f"size({declared}) > 0", sentence)


# --- the group, and how members find each other ------------------------------------------------------------

_FOREIGN_GROUP = Sentence(
    f"label {GROUP}",
    'is "{label}", but the member joins the group "{group}"; remove the label and set the annotation '
    f"{GROUP}",
)


def foreign_group(pod: Pod, group: str) -> list[Problem]:
    """Find a label that puts the Pod among the members of another group than its own."""
    labelled = (pod.metadata.labels or {}).get(GROUP)
    if labelled is None or labelled == group:
        return []
    return [_FOREIGN_GROUP.about(label=shown(labelled), group=group)]


_LABEL = f"object.metadata.?labels[?{source(GROUP)}]"
FOREIGN_GROUP_IN_CEL = where(
    f"{_LABEL}.orValue({GROUP_OF_POD}) != {GROUP_OF_POD}",
    _FOREIGN_GROUP.in_cel(label=Unknown(f'{_LABEL}.orValue("")'), group=Unknown(GROUP_OF_POD)),
)
"""An element of a list."""

_WITHOUT_DNS = Sentence(
    "spec.dnsPolicy",
    "does not use the cluster's DNS, by which members find each other; set it to "
    f'"{{policy}}", or set {PREFIX}discovery to "api"',
)


_WITHOUT_SEARCHES = Sentence(
    "spec.dnsConfig.searches",
    "is empty, and members find each other by a name that a search domain completes; add "
    f'NAMESPACE.svc. and the cluster\'s domain, or set {PREFIX}discovery to "api"',
)


def _without_dns(asking: Asking) -> list[Problem]:
    spec = asking.pod.spec
    if asking.spec.discovery == "api":
        return []
    if spec.dns_policy == "None":
        return [] if spec.dns_config and spec.dns_config.searches else [_WITHOUT_SEARCHES.about()]
    if spec.dns_policy == "Default" or (spec.host_network and spec.dns_policy != "ClusterFirstWithHostNet"):
        return [_WITHOUT_DNS.about(policy="ClusterFirstWithHostNet" if spec.host_network else "ClusterFirst")]
    return []


_WITHOUT_SEARCHES_IN_CEL = where(
    f'!({BY_API}) && {DNS_POLICY} == "None" && size(object.spec.?dnsConfig.?searches.orValue([])) == 0',
    _WITHOUT_SEARCHES.in_cel(),
)
_WITHOUT_DNS_IN_CEL = where(
    f'!({BY_API}) && ({DNS_POLICY} == "Default" || '
    f'{HOST_NETWORK} && !({DNS_POLICY} in ["ClusterFirstWithHostNet", "None"]))',
    _WITHOUT_DNS.in_cel(policy=Unknown(f'({HOST_NETWORK} ? "ClusterFirstWithHostNet" : "ClusterFirst")')),
)

_ENDLESS_ACCOUNT = Sentence(
    "spec.serviceAccountName", f"is longer than {MAX_NAME} characters; name one that exists"
)


def _endless_account(asking: Asking) -> list[Problem]:
    """Find a ServiceAccount that cannot exist: its name would be recorded, however long it is."""
    found = asking.spec.discovery == "api" and len(asking.pod.spec.service_account_name) > MAX_NAME
    return [_ENDLESS_ACCOUNT.about()] if found else []


_SHARED_LOOPBACK = Sentence(
    "spec.hostNetwork",
    "is true, so 127.0.0.1 is the node's, and any program on the node could be a client of the member; "
    f"remove it, or {PREFIX}clients",
)


def _shared_loopback(asking: Asking) -> list[Problem]:
    found = asking.spec.pod_clients and asking.pod.spec.host_network
    return [_SHARED_LOOPBACK.about()] if found else []


# --- the platform ------------------------------------------------------------------------------------------

_OS = ("kubernetes.io/os", "beta.kubernetes.io/os")
"""The labels of a node that say its system."""
_WINDOWS = "windows"
_ON_WINDOWS = Sentence("{where}", f"is windows, but Hazelcast members run on Linux; remove {INJECT}")
_HOST_PROCESS = Sentence(
    "{path}.securityContext.windowsOptions.hostProcess",
    f"is true, but Hazelcast members run on Linux; remove it, or {INJECT}",
)


def _on_windows(asking: Asking) -> Iterator[Problem]:
    """Find Windows Pods: members run on Linux, and their security context is invalid on Windows."""
    spec = asking.pod.spec
    if spec.os is not None and spec.os.name == _WINDOWS:
        yield _ON_WINDOWS.about(where="spec.os.name")
    if spec.node_selector and any(spec.node_selector.get(label) == _WINDOWS for label in _OS):
        yield _ON_WINDOWS.about(where="spec.nodeSelector")
    if spec.affinity and spec.affinity.node_affinity and _wants_windows(spec.affinity.node_affinity):
        yield _ON_WINDOWS.about(where="spec.affinity.nodeAffinity")


def _wants_windows(affinity: NodeAffinity) -> bool:
    """Tell whether each way in which a node may suit the Pod asks for Windows."""
    required = affinity.required_during_scheduling_ignored_during_execution
    terms = (required and required.node_selector_terms) or ()
    return bool(terms) and all(
        any(
            each.key in _OS and each.operator == "In" and each.values == [_WINDOWS]
            for each in term.match_expressions or ()
        )
        for term in terms
    )


_TERMS = (
    "object.spec.?affinity.?nodeAffinity.?requiredDuringSchedulingIgnoredDuringExecution"
    ".?nodeSelectorTerms.orValue([])"
)
_ON_WINDOWS_IN_CEL = [
    where(condition, _ON_WINDOWS.in_cel(where=place))
    for place, condition in {
        "spec.os.name": f'object.spec.?os.?name.orValue("") == {source(_WINDOWS)}',
        "spec.nodeSelector": (
            f"{source(list(_OS))}.exists(l, object.spec.?nodeSelector[?l].orValue('') == {source(_WINDOWS)})"
        ),
        "spec.affinity.nodeAffinity": (
            f"size({_TERMS}) > 0 && {_TERMS}.all(t, t.?matchExpressions.orValue([]).exists(e, "
            f'e.key in {source(list(_OS))} && e.operator == "In" && '
            f"e.?values.orValue([]) == [{source(_WINDOWS)}]))"
        ),
    }.items()
]


def _host_process(asking: Asking) -> Iterator[Problem]:
    """Find host processes; the API server wants all containers of a Pod to be such, or none."""
    context = asking.pod.spec.security_context
    if context is not None and context.is_host_process:
        yield _HOST_PROCESS.about(path="spec")
    for index, container in enumerate(asking.containers):
        context = container.security_context
        if context is not None and context.is_host_process:
            yield _HOST_PROCESS.about(path=asking.pod.path_at(index))


_IS_HOST_PROCESS = "?securityContext.?windowsOptions.?hostProcess.orValue(false)"


# --- resources, budgets and annotations --------------------------------------------------------------------


def _too_small_pod(asking: Asking) -> list[Problem]:
    """Find resources of the whole Pod that leave no room for the member: the API server would reject them.

    Source: KEP-2837, "Pod Level Resource Specifications".
    """
    pod, spec = asking.pod, asking.spec
    whole = pod.spec.resources
    if whole is None:
        return []
    found = []
    for resource, request, limit in (
        ("cpu", spec.cpu_request, spec.cpu_limit),
        ("memory", spec.memory_request, spec.memory_limit),
    ):
        highest = (whole.limits or {}).get(resource)
        if highest is not None and _is_less(highest, [quantity_if_any(limit)]):
            sentence = (
                f"{shown(str(highest))} is less than the member's own {limit}; raise it, or lower "
                f"{PREFIX}{resource}-limit"
            )
            found.append(Problem(f"spec.resources.limits.{resource}", sentence))
        room = (whole.requests or {}).get(resource)
        if room is not None and _is_less(room, _at_once(pod, spec, resource, request)):
            sentence = (
                f"{shown(str(room))} is less than the containers and the member ({request}) request "
                f"together; raise it, or lower {PREFIX}{resource}-request"
            )
            found.append(Problem(f"spec.resources.requests.{resource}", sentence))
    return found


def _at_once(pod: Pod, spec: SidecarSpec, resource: str, member: str) -> Iterator[Decimal]:
    """Add up the requests that hold at the same time: while each init container runs, and afterwards.

    Source: KEP-753, "Sidecar Containers", resources.
    """
    sidecars = quantity_if_any(member) if spec.native_sidecar else Decimal(0)
    for container in pod.spec.init_containers or ():
        request = _request(container, resource)
        if container.restart_policy == "Always":
            sidecars += request
        else:
            yield sidecars + request
    own = sum((_request(container, resource) for container in pod.spec.containers or ()), sidecars)
    yield own if spec.native_sidecar else own + quantity_if_any(member)


def _request(container: Container, resource: str) -> Decimal:
    requests = container.resources.requests if container.resources else None
    return quantity_if_any((requests or {}).get(resource, "0"))


def _is_less(room: Quantity, sums: Iterable[Decimal]) -> bool:
    """Tell whether some sum is known to be more than there is room for."""
    bound = quantity_if_any(room)
    return not bound.is_nan() and any(not each.is_nan() and each > bound for each in sums)


_BLOCKING_BUDGET = Sentence(
    DISRUPTION_BUDGET,
    'is "true", but {maker} made the Pod: a budget works for Pods of a Deployment, ReplicaSet or '
    "StatefulSet, and would block every eviction of this one; remove the annotation",
)


def _impossible_budget(asking: Asking) -> list[Problem]:
    """Find a PodDisruptionBudget that would block every eviction."""
    if not asking.spec.disruption_budget or is_scalable(asking.pod):
        return []
    kind = owner_kind(asking.pod)
    maker = f"a {kind}" if kind else "no workload"  # one of those without scale, and no other text
    return [_BLOCKING_BUDGET.about(maker=maker)]


_MAKER = 'variables.owners.map(o, "a " + o.kind)[?0].orValue("no workload")'

_MAX_RECORD = 2048
"""Maximal bytes of the Pod's status annotation."""


def _no_room_for_the_record(asking: Asking) -> list[Problem]:
    given = asking.pod.metadata.annotations or {}
    if STATUS in given or fit(given, MAX_ANNOTATIONS - _MAX_RECORD):
        return []
    sentence = (
        f"are {annotation_bytes(given)} bytes, and the API server takes {MAX_ANNOTATIONS}, of which the "
        f"member's record needs up to {_MAX_RECORD}; shorten them, or remove {INJECT}"
    )
    return [Problem("metadata.annotations", sentence)]


# --- all of them -------------------------------------------------------------------------------------------

RULES = (
    Rule(_taken_names, of_containers(f"c.name == {source(CONTAINER)}", _TAKEN_NAME.in_cel(path=PATH))),
    Rule(_taken_volumes, _TAKEN_VOLUMES_IN_CEL),
    Rule(_absent_volume, listed(_ABSENT_VOLUME_IN_CEL)),
    Rule(
        _taken_ports,
        " +\n".join(
            _taken_port_in_cel(name, ports)
            for name, ports in (("port", PORTS), ("metrics-port", METRICS_PORTS))
        ),
    ),
    Rule(lambda asking: foreign_group(asking.pod, asking.group), listed(FOREIGN_GROUP_IN_CEL)),
    Rule(_without_dns, listed(_WITHOUT_SEARCHES_IN_CEL, _WITHOUT_DNS_IN_CEL)),
    Rule(
        _endless_account,
        listed(
            where(
                f'{BY_API} && size(object.spec.?serviceAccountName.orValue("")) > {MAX_NAME}',
                _ENDLESS_ACCOUNT.in_cel(),
            )
        ),
    ),
    Rule(_shared_loopback, listed(where(f"{CLIENTS_IN_POD} && {HOST_NETWORK}", _SHARED_LOOPBACK.in_cel()))),
    Rule(_on_windows, listed(*_ON_WINDOWS_IN_CEL)),
    Rule(
        _host_process,
        listed(where(f"object.spec.{_IS_HOST_PROCESS}", _HOST_PROCESS.in_cel(path="spec")))
        + " +\n"
        + of_containers(f"c.{_IS_HOST_PROCESS}", _HOST_PROCESS.in_cel(path=PATH)),
    ),
    Rule(_too_small_pod, OnlyInPython("CEL would have to add up the quantities of all containers")),
    Rule(
        _impossible_budget,
        listed(
            where(
                f"{value_of('disruption-budget')} && !variables.scalable",
                _BLOCKING_BUDGET.in_cel(maker=Unknown(_MAKER)),
            )
        ),
    ),
    Rule(_no_room_for_the_record, OnlyInPython("CEL counts characters of a text, and no bytes")),
)
"""In the order in which they are said."""

_FINDERS = tuple(rule.find for rule in RULES)

IN_CEL = " +\n".join(rule.in_cel for rule in RULES if isinstance(rule.in_cel, str))
"""The expression of the sentences of all rules."""
