"""Members on the network of their nodes, which has more addresses than the Pod's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.conftest import namespace
from tests.e2e.kubectl import agree_on
from tests.e2e.workloads import spread, with_members

if TYPE_CHECKING:
    from tests.e2e.kubectl import Kubectl

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("two_nodes")]

NAME, PORT = "host-network", "5711"


def test_members_find_each_other_on_the_network_of_their_nodes(
    webhook: Kubectl, demo_manifests: list[dict[str, Any]]
) -> None:
    assert webhook
    deployment = spread(with_members(demo_manifests, NAME, 2, port=PORT))
    deployment["spec"]["template"]["spec"] |= {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"}
    with namespace("hazelcast-host-network") as kubectl:
        kubectl.apply(deployment)
        kubectl.rolled_out(f"deployment/{NAME}")
        pods = agree_on(kubectl, f"app={NAME}", "hazelcast", 2)
        addresses = {kubectl.read(f"pod/{pod}")["status"]["hostIP"] for pod in pods}
        assert len(addresses) == len(pods)
        for pod in pods:
            log = kubectl("logs", pod, "--container=hazelcast")
            assert all(f"Member [{address}]:{PORT}" in log for address in addresses)
