"""NetworkPolicies and service meshes between the members of a group, or between them and discovery."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import NamedTuple

from hazelcast_sidecar.checks.group_health import Group, groups_of
from hazelcast_sidecar.checks.results import Area, CheckResult, Unread
from hazelcast_sidecar.checks.snapshot import Snapshot
from hazelcast_sidecar.kube.objects import JsonObject, Metadata
from hazelcast_sidecar.model.network_policy import Direction, IsPeer, TargetPort, closing, is_in, is_pod
from hazelcast_sidecar.model.service_mesh import missing_ports
from hazelcast_sidecar.names import GROUP, PORT_NAME
from hazelcast_sidecar.text import some_of

_AREA = Area("networks")
_CHECK = "NetworkPolicies"
_AT_MOST = 10
"""The most sets of labels of a group that are tried with each other; a StatefulSet's Pods all differ."""
_SHOWN = 3

_DIRECTIONS: tuple[Direction, ...] = ("ingress", "egress")
_DNS_NAMESPACES = ("kube-system", "openshift-dns")
"""Where the Pods of the cluster's DNS are."""
_DNS = TargetPort("UDP", (53, 5353))
"""The port of the Service, and that of OpenShift's Pods behind it."""


class _Need(NamedTuple):
    """Traffic without which members do not find each other."""

    labels: Mapping[str, str]
    """Of the Pods that need it."""
    direction: Direction
    port: TargetPort
    is_peer: IsPeer
    target: str
    """What is reached by it."""
    remedy: str

    def __str__(self) -> str:
        """Show it for people."""
        return f"{self.direction.capitalize()} on {self.port}"


def policies(snapshot: Snapshot) -> list[CheckResult]:
    """Check that members reach each other and what they find each other by, where NetworkPolicies decide."""
    if unread := _AREA.unread(_CHECK, snapshot.pods, snapshot.policies, snapshot.namespaces):
        return unread
    assert not isinstance(snapshot.pods, Unread)  # noqa: S101 - looked at just before
    assert not isinstance(snapshot.policies, Unread)  # noqa: S101
    assert not isinstance(snapshot.namespaces, Unread)  # noqa: S101
    found: list[CheckResult] = []
    for group in groups_of(snapshot.pods):
        there = [each for each in snapshot.policies if each["metadata"]["namespace"] == group.namespace]
        show = f"kubectl -n {group.namespace} get networkpolicies -o yaml"
        with _AREA.passing_over(_CHECK, f"the policies of the group {group}", show, found):
            for needs in (_each_other(group, snapshot.namespaces), _discovery(group, snapshot.namespaces)):
                found += _first_closed(group, there, needs)
    return found or [_AREA.ok(_CHECK, "none separates members of a group, or keeps them from discovery")]


def meshes(snapshot: Snapshot) -> list[CheckResult]:
    """Check that the proxies of service meshes leave the ports of members alone."""
    check = "service meshes"
    if unread := _AREA.unread(check, snapshot.pods):
        return unread
    assert not isinstance(snapshot.pods, Unread)  # noqa: S101 - looked at just before
    found: list[CheckResult] = []
    for group in groups_of(snapshot.pods):
        show = f"kubectl -n {group.namespace} get pods -l {GROUP}={group.name} -o yaml"
        with _AREA.passing_over(check, f"the Pods of the group {group}", show, found):
            lacks = {
                lack.mesh.name: lack
                for pod, status in zip(group.pods, group.statuses, strict=True)
                for lack in missing_ports(pod.labels, pod.known_annotations, (), status.ports)
            }
            for name, lack in lacks.items():
                message = f"{name}'s proxy is between the members of the group {group}"
                found.append(_AREA.warning(check, message, f"{show}  # annotate their template with {lack}"))
    return found or [_AREA.ok(check, "none is between members of a group")]


def _first_closed(group: Group, there: list[JsonObject], needs: Iterable[_Need]) -> Iterator[CheckResult]:
    """Report the first need that is not met; the others are mostly closed by the same policies."""
    members = f"members of the group {group.name}"
    edit = f"kubectl -n {group.namespace} edit networkpolicy"
    named = None
    for need in needs:
        if names := _closing(there, need):
            message = (
                f"{some_of(names, _SHOWN)} in {group.namespace} keeps {members} from {need.target}: {need}"
            )
            yield _AREA.problem(_CHECK, message, f"{edit} {names[0]}  # allow {need.remedy}")
            return
        if named is None and need.port.name and (names := _closing(there, _by_number(need))):
            message = (
                f"{some_of(names, _SHOWN)} in {group.namespace} lets {members} reach {need.target} by the "
                f"name of their port alone, which some networks do not know of native sidecars: {need}"
            )
            named = _AREA.warning(_CHECK, message, f"{edit} {names[0]}  # allow {need.remedy}, by number")
    if named is not None:
        yield named


def _closing(there: list[JsonObject], need: _Need) -> list[str]:
    return closing(there, need.labels, need.direction, need.port, need.is_peer)


def _by_number(need: _Need) -> _Need:
    """Return the same need, which no name of a port meets."""
    return need._replace(port=need.port._replace(name=""))


def _each_other(group: Group, namespaces: Mapping[str, Metadata]) -> Iterator[_Need]:
    """Yield what each Pod needs to reach the others, and to be reached by them."""
    namespace = namespaces.get(group.namespace, Metadata()).labels
    alike = _alike(group)
    numbers = sorted({status.ports.members for status in group.statuses})
    for direction, mine, theirs, number in product(_DIRECTIONS, alike, alike, numbers):
        port = TargetPort("TCP", (number,), PORT_NAME)
        remedy = f"TCP {number} among Pods labelled {GROUP}={group.name}"
        yield _Need(mine, direction, port, is_pod(theirs, namespace), "each other", remedy)


def _discovery(group: Group, namespaces: Mapping[str, Metadata]) -> Iterator[_Need]:
    """Yield what each Pod needs to learn of the others."""
    by = {status.discovery for status in group.statuses}
    for labels in _alike(group):
        if "dns" in by:
            is_dns = is_in(namespaces[name].labels for name in _DNS_NAMESPACES if name in namespaces)
            target = "the DNS, by which they find each other"
            remedy = "UDP and TCP 53 to the Pods of the DNS, mostly k8s-app=kube-dns in kube-system"
            yield _Need(labels, "egress", _DNS, is_dns, target, remedy)
        if "api" in by:
            # Mostly outside of the Pod network, where no selector reaches.
            target = "the Kubernetes API, by which they find each other"
            remedy = "TCP to the addresses of the API servers (kubectl get endpointslices kubernetes)"
            yield _Need(labels, "egress", TargetPort("TCP"), is_in(()), target, remedy)


def _alike(group: Group) -> list[dict[str, str]]:
    """Return the different sets of labels of a group's Pods, within bounds."""
    return list({tuple(sorted(pod.labels.items())): pod.labels for pod in group.pods}.values())[:_AT_MOST]
