"""NetworkPolicies, evaluated on labels.

Source: Kubernetes documentation, "Network Policies": Pods that no policy selects are open; Pods that one
selects are open only for what some policy allows.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, NamedTuple

from hazelcast_sidecar.model.selectors import selects

NetworkPolicy = Mapping[str, Any]
"""As the API has it."""
Peer = Mapping[str, Any]
"""An element of `from` or `to`."""
IsPeer = Callable[[Peer], bool]
"""Whether a peer is, or may be, at the other end."""
Direction = Literal["ingress", "egress"]

_PEERS = {"ingress": "from", "egress": "to"}


class TargetPort(NamedTuple):
    """A port that traffic goes to."""

    protocol: str
    numbers: tuple[int, ...] = ()
    """Any of these will do; none: any port, as the number is unknown."""
    name: str | None = None
    """The name of the port; empty: none; None: unknown, so any name may be it."""

    def __str__(self) -> str:
        """Show it for people."""
        return f"{self.protocol} port {self.numbers[0]}" if self.numbers else self.protocol


def closing(
    policies: Iterable[NetworkPolicy],
    labels: Mapping[str, str],
    direction: Direction,
    port: TargetPort,
    is_peer: IsPeer,
) -> list[str]:
    """Return the names of the policies that keep a Pod from some traffic; none if it is allowed.

    Args:
        policies: those of the Pod's namespace.
        labels: the Pod's.
        direction: as seen from the Pod.
        port: at the receiving end.
        is_peer: of the other end.
    """
    holding = [each for each in policies if direction in _directions(each) and _selects(each, labels)]
    rules = [rule for each in holding for rule in each["spec"].get(direction) or ()]
    if any(_has_port(rule, port) and _has_peer(rule, direction, is_peer) for rule in rules):
        return []
    return [each["metadata"]["name"] for each in holding]


def is_pod(labels: Mapping[str, str], namespace: Mapping[str, str]) -> IsPeer:
    """Match a Pod of the policy's namespace, by its labels and those of the namespace."""

    def matches(peer: Peer) -> bool:
        if "ipBlock" in peer:  # may have its address
            return True
        if "namespaceSelector" in peer and not selects(peer["namespaceSelector"] or {}, namespace):
            return False
        return selects(peer.get("podSelector") or {}, labels)

    return matches


def is_in(namespaces: Iterable[Mapping[str, str]]) -> IsPeer:
    """Match Pods with any labels in other namespaces than the policy's, of which these are the labels."""
    there = list(namespaces)

    def matches(peer: Peer) -> bool:
        if "ipBlock" in peer:  # may have their addresses
            return True
        selector = peer.get("namespaceSelector")
        # Without one it is about the policy's own namespace.
        return selector is not None and any(selects(selector, labels) for labels in there)

    return matches


def _selects(policy: NetworkPolicy, labels: Mapping[str, str]) -> bool:
    return selects(policy["spec"].get("podSelector") or {}, labels)


def _directions(policy: NetworkPolicy) -> list[str]:
    spec = policy["spec"]
    types = spec.get("policyTypes") or ["Ingress", *(["Egress"] if spec.get("egress") else [])]
    return [each.lower() for each in types]


def _has_peer(rule: Mapping[str, Any], direction: Direction, is_peer: IsPeer) -> bool:
    """Tell whether a rule lists a peer; an empty list means all."""
    peers = rule.get(_PEERS[direction])
    return not peers or any(map(is_peer, peers))


def _has_port(rule: Mapping[str, Any], port: TargetPort) -> bool:
    """Tell whether a rule lists a port; an empty list means all."""
    listed = rule.get("ports")
    return not listed or any(
        each.get("protocol", "TCP") == port.protocol and _may_be(each, port) for each in listed
    )


def _may_be(listed: Mapping[str, Any], port: TargetPort) -> bool:
    """Tell whether an element of a rule's ports is, or may be, a port of the same protocol."""
    first = listed.get("port")
    if first is None:
        return True
    if not isinstance(first, int):
        return port.name in (None, first)
    last = listed.get("endPort", first)
    return not port.numbers or any(first <= number <= last for number in port.numbers)
