"""A member beside the proxy of a service mesh: its place, and the ports that the proxy must leave alone."""

from typing import Any

import msgspec
import pytest

from hazelcast_sidecar.injection.warnings import advise
from hazelcast_sidecar.model.pod import Pod
from hazelcast_sidecar.model.service_mesh import missing_ports
from hazelcast_sidecar.names import ports_of
from tests.harness.pods import ours, pod
from tests.harness.specs import spec

INBOUND, OUTBOUND = (f"traffic.sidecar.istio.io/exclude{way}Ports" for way in ("Inbound", "Outbound"))
RECEIVED = "traffic.sidecar.istio.io/includeInboundPorts"
ALONE = ports_of(5701, pod_clients=False)
THREE = ports_of(5701, pod_clients=True)


@pytest.mark.parametrize(
    ("labels", "annotations", "containers", "mesh"),
    [
        ({"sidecar.istio.io/inject": "true"}, {}, (), "Istio"),
        ({"sidecar.istio.io/inject": "false"}, {"sidecar.istio.io/inject": "true"}, (), None),
        ({"security.istio.io/tlsMode": "istio"}, {}, (), "Istio"),
        ({}, {}, ("app", "istio-proxy"), "Istio"),
        ({}, {"linkerd.io/inject": "enabled"}, (), "Linkerd"),
        ({"linkerd.io/control-plane-ns": "linkerd"}, {}, (), "Linkerd"),
        ({"sidecar.istio.io/inject": "false"}, {"linkerd.io/inject": "disabled"}, ("app",), None),
        ({"istio.io/dataplane-mode": "ambient"}, {}, ("app",), None),
    ],
)
def test_a_pod_is_in_a_mesh_that_it_asks_for_or_whose_proxy_it_has(
    labels: dict[str, str], annotations: dict[str, str], containers: tuple[str, ...], mesh: str | None
) -> None:
    found = [lack.mesh.name for lack in missing_ports(labels, annotations, containers, ALONE)]
    assert found == ([] if mesh is None else [mesh])


@pytest.mark.parametrize(
    ("given", "ports", "needed"),
    [
        ({}, ALONE, {INBOUND: "5701", OUTBOUND: "5701"}),
        ({}, THREE, {INBOUND: "5702,5703", OUTBOUND: "5702"}),
        ({INBOUND: "9090", OUTBOUND: "5701"}, ALONE, {INBOUND: "9090,5701"}),
        ({INBOUND: " 9090 , 5702", OUTBOUND: "5702"}, THREE, {INBOUND: "9090,5702,5703"}),
        ({INBOUND: "5701", OUTBOUND: "5000-6000"}, ALONE, {}),
        ({RECEIVED: "8080", OUTBOUND: "5701"}, ALONE, {}),
        ({RECEIVED: "8080,5701", OUTBOUND: "5701"}, ALONE, {INBOUND: "5701"}),
        ({INBOUND: "*", OUTBOUND: "٥٧٠٢"}, ALONE, {}),
        ({INBOUND: "5700-5699", OUTBOUND: "5701" * 65}, ALONE, {INBOUND: "5700-5699,5701"}),
    ],
    ids=[
        "none",
        "three ports",
        "another port",
        "two of three",
        "a range",
        "not received",
        "received",
        "texts",
        "an endless text",
    ],
)
def test_what_is_listed_stays_and_what_is_missing_is_added(
    given: dict[str, str], ports: Any, needed: dict[str, str]
) -> None:
    found = list(missing_ports({}, given, ("istio-proxy",), ports))
    assert [lack.annotations for lack in found] == ([needed] if needed else [])


def test_who_asks_for_both_is_told_the_lines_to_add() -> None:
    asking = pod({**ours(), "linkerd.io/inject": "enabled", "config.linkerd.io/skip-inbound-ports": "5701"})
    (said,) = advise(msgspec.convert(asking, Pod), spec())
    assert said.startswith("Linkerd's proxy is between members unless it leaves their ports alone: ")
    assert said.endswith('annotate the Pods with config.linkerd.io/skip-outbound-ports: "5701"')
