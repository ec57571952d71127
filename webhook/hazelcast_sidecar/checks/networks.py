"""NetworkPolicies that separate the members of a group.

Source: Kubernetes documentation, "Network Policies": Pods that no policy selects are open; Pods that one
selects are open only for what some policy allows.
"""

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from hazelcast_sidecar.checks.group_health import Group, groups_of
from hazelcast_sidecar.checks.results import Area, CheckResult, Unread
from hazelcast_sidecar.checks.snapshot import Snapshot
from hazelcast_sidecar.kube.objects import JsonObject, Metadata
from hazelcast_sidecar.model.selectors import selects
from hazelcast_sidecar.names import GROUP, PORT_NAME

_AREA = Area("networks")
_AT_MOST = 10
"""The most sets of labels of a group that are tried with each other; a StatefulSet's Pods all differ."""

_DIRECTIONS = (("Ingress", "ingress", "from"), ("Egress", "egress", "to"))


def policies(snapshot: Snapshot) -> list[CheckResult]:
    """Check that members reach each other, as far as NetworkPolicies decide."""
    check = "NetworkPolicies"
    for part in (snapshot.pods, snapshot.policies, snapshot.namespaces):
        if isinstance(part, Unread):
            return [_AREA.skipped(check, part)]
    assert not isinstance(snapshot.pods, Unread)  # noqa: S101 - looked at just before
    assert not isinstance(snapshot.policies, Unread)  # noqa: S101
    assert not isinstance(snapshot.namespaces, Unread)  # noqa: S101
    found: list[CheckResult] = []
    for group in groups_of(snapshot.pods):
        there = [each for each in snapshot.policies if each["metadata"]["namespace"] == group.namespace]
        labels = snapshot.namespaces.get(group.namespace, Metadata()).labels
        show = f"kubectl -n {group.namespace} get networkpolicies -o yaml"
        with _AREA.passing_over(check, f"the policies of the group {group}", show, found):
            if closing := next(_closed(group, there, labels), None):
                direction, port, names = closing
                message = (
                    f"{', '.join(names)} in {group.namespace} keeps members of the group {group.name} from "
                    f"each other: {direction} on TCP port {port}"
                )
                fix = (
                    f"kubectl -n {group.namespace} edit networkpolicy {names[0]}  # allow TCP {port} among "
                    f"Pods labelled {GROUP}={group.name}"
                )
                found.append(_AREA.problem(check, message, fix))
    return found or [_AREA.ok(check, "none separates members of a group")]


def _closed(
    group: Group, policies: list[JsonObject], namespace: Mapping[str, str]
) -> Iterator[tuple[str, int, list[str]]]:
    """Return directions and ports that are closed between Pods of the group, and by which policies."""
    alike = {tuple(sorted(pod.labels.items())): pod.labels for pod in group.pods}
    labels = list(alike.values())[:_AT_MOST]
    ports = sorted({status.ports.members for status in group.statuses})
    for direction, rules, peers in _DIRECTIONS:
        for mine, theirs in product(labels, labels):
            holding = [each for each in policies if direction in _types(each) and selects(_of(each), mine)]
            for port in ports if holding else ():
                if not any(
                    _opens(rule, peers, port, theirs, namespace)
                    for each in holding
                    for rule in each["spec"].get(rules) or ()
                ):
                    yield direction, port, [each["metadata"]["name"] for each in holding]


def _of(policy: JsonObject) -> Mapping[str, Any]:
    return policy["spec"].get("podSelector") or {}


def _types(policy: JsonObject) -> list[str]:
    spec = policy["spec"]
    return spec.get("policyTypes") or ["Ingress", *(["Egress"] if spec.get("egress") else [])]


def _opens(
    rule: JsonObject, peers: str, port: int, labels: Mapping[str, str], namespace: Mapping[str, str]
) -> bool:
    listed = rule.get(peers)
    return _has_port(rule.get("ports"), port) and (
        not listed or any(_is_peer(each, labels, namespace) for each in listed)
    )


def _has_port(listed: list[JsonObject] | None, port: int) -> bool:
    """Tell whether a rule lists a TCP port; an empty list means all."""
    return not listed or any(
        each.get("protocol", "TCP") == "TCP"
        and (
            (number := each.get("port")) in (None, PORT_NAME, port)
            or (isinstance(number, int) and number <= port <= each.get("endPort", number))
        )
        for each in listed
    )


def _is_peer(peer: JsonObject, labels: Mapping[str, str], namespace: Mapping[str, str]) -> bool:
    """Tell whether a peer matches a Pod of the policy's namespace; an address might, which is unknown."""
    if "ipBlock" in peer:
        return True
    if "namespaceSelector" in peer and not selects(peer["namespaceSelector"] or {}, namespace):
        return False
    return selects(peer.get("podSelector") or {}, labels)
