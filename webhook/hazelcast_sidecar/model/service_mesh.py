"""Service meshes whose proxies share a member's Pod, and the ports that they leave alone.

A proxy takes what members say to each other for calls of a Service that it does not know. Each mesh has two
annotations for ports that bypass it, one for each direction.
Sources: Istio documentation, "Resource Annotations" and "Resource Labels"; Linkerd documentation, "Proxy
Configuration".
"""

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from hazelcast_sidecar.limits import MAX_PORT_LIST
from hazelcast_sidecar.names import ISTIO_PORTS, LINKERD_PORTS, Ports


class Mesh(NamedTuple):
    """A mesh with a proxy in each Pod."""

    name: str
    proxy: str
    """The container."""
    request: tuple[str, frozenset[str]]
    """A label or annotation by which a Pod asks for the proxy, and its values."""
    label: str
    """What Pods with the proxy have."""
    inbound: str
    """The annotation with the ports that the proxy does not receive for the Pod."""
    outbound: str
    """That with the ports of others to which the Pod connects by itself."""
    received: str = ""
    """That with the only ports that it receives, if there is one."""


MESHES = (
    Mesh(
        "Istio",
        "istio-proxy",
        ("sidecar.istio.io/inject", frozenset(("true",))),
        "security.istio.io/tlsMode",
        *ISTIO_PORTS,
    ),
    Mesh(
        "Linkerd",
        "linkerd-proxy",
        ("linkerd.io/inject", frozenset(("enabled", "ingress"))),
        "linkerd.io/control-plane-ns",
        *LINKERD_PORTS,
    ),
)

PROXIES = frozenset(mesh.proxy for mesh in MESHES)
"""Names of containers that carry the traffic of a Pod."""


class LackingPorts(NamedTuple):
    """Ports that a mesh does not leave alone."""

    mesh: Mesh
    annotations: dict[str, str]
    """What the Pod needs, with the ports that it lists already."""

    def __str__(self) -> str:
        """Show the annotations."""
        return " and ".join(f'{key}: "{text}"' for key, text in self.annotations.items())


def missing_ports(
    labels: Mapping[str, str], annotations: Mapping[str, str], containers: Collection[str], ports: Ports
) -> Iterator[LackingPorts]:
    """Yield what a Pod lacks for its member, for each mesh that it is in.

    Args:
        labels: of the Pod.
        annotations: of the Pod.
        containers: names of its containers, as far as they are known.
        ports: of its member.
    """
    for mesh in MESHES:
        key, values = mesh.request
        asked = labels.get(key, annotations.get(key)) in values
        if not (asked or mesh.label in labels or mesh.proxy in containers):
            continue
        only = _parts(annotations.get(mesh.received, "*"))
        received = {
            port for port in (ports.members, ports.probes) if any(_holds(part, port) for part in only)
        }
        wanted = {mesh.inbound: received, mesh.outbound: {ports.members}}
        needed = {
            key: text
            for key, numbers in wanted.items()
            if (text := _with_ports(annotations.get(key, ""), numbers)) is not None
        }
        if needed:
            yield LackingPorts(mesh, needed)


def _with_ports(listed: str, wanted: Collection[int]) -> str | None:
    """Return a list of ports with those that it lacks; None if it has all, or cannot be judged."""
    if len(listed) > MAX_PORT_LIST:
        return None
    parts = _parts(listed)
    lacking = [port for port in sorted(wanted) if not any(_holds(part, port) for part in parts)]
    return ",".join([*parts, *map(str, lacking)]) if lacking else None


def _parts(listed: str) -> list[str]:
    return [part.strip() for part in listed[:MAX_PORT_LIST].split(",") if part.strip()]


def _holds(part: str, port: int) -> bool:
    """Tell whether a port, a range such as 5701-5703, or a text that is neither may mean this port."""
    first, _, last = part.partition("-")
    if not (part.isascii() and first.isdecimal() and (last or first).isdecimal()):
        return True
    return int(first) <= port <= int(last or first)
