"""The objects beside the Pods."""

from typing import Any

import pytest
import yaml

from webhook.resources import needs_of, of_group
from webhook.status import Status


def status(**fields: Any) -> Status:
    defaults = {
        "version": "1",
        "group": "g",
        "cluster": "dev",
        "image": "i",
        "discovery": "dns",
        "port": 5701,
    }
    return Status(**{**defaults, **fields})


def objects(*statuses: Status) -> dict[str, Any]:
    return {found["kind"]: found for found in of_group(needs_of(statuses), "g", "ns")}


def test_discovery_by_dns_needs_no_rights() -> None:
    assert set(objects(status())) == {"ConfigMap", "Service"}


def test_discovery_by_api_needs_to_read_pods_of_its_namespace_and_nothing_else() -> None:
    found = objects(status(discovery="api", service_account="shop"))
    assert set(found) == {"ConfigMap", "Role", "RoleBinding"}
    assert found["Role"]["rules"] == [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}]
    assert found["RoleBinding"]["subjects"] == [{"kind": "ServiceAccount", "name": "shop", "namespace": "ns"}]
    assert found["RoleBinding"]["roleRef"]["name"] == found["Role"]["metadata"]["name"] == "hazelcast-g"


def test_a_config_map_of_ones_own_is_not_made() -> None:
    assert set(objects(status(config=True))) == {"Service"}


def test_the_headless_service_publishes_members_before_they_are_ready() -> None:
    service = objects(status(port=6000))["Service"]["spec"]
    assert (service["clusterIP"], service["publishNotReadyAddresses"]) == ("None", True)
    assert service["selector"] == {"sidecar.hazelcast.com/group": "g"}
    assert [(port["name"], port["port"]) for port in service["ports"]] == [("hazelcast", 6000)]


def test_members_whose_clients_are_in_their_pod_meet_on_the_port_after() -> None:
    found = objects(status(pod_clients=True, network_policy=True))
    assert [port["port"] for port in found["Service"]["spec"]["ports"]] == [5702]
    assert admitted(found["NetworkPolicy"], "TCP", 5702) == [GROUP_ITSELF]
    assert admitted(found["NetworkPolicy"], "TCP", 5703) == [None], "the kubelet's probes"


def test_the_second_configuration_differs_in_the_network_alone() -> None:
    data = objects(status())["ConfigMap"]["data"]
    plain, pod = (yaml.safe_load(data[key])["hazelcast"] for key in ("hazelcast.yaml", "hazelcast-pod.yaml"))
    network, advanced = plain.pop("network"), pod.pop("advanced-network")
    assert plain == pod
    assert advanced["join"] == network["join"]
    rest = advanced["rest-server-socket-endpoint-config"]
    assert rest["endpoint-groups"] == network["rest-api"]["endpoint-groups"]


def test_during_a_rollout_old_and_new_pods_have_what_each_needs() -> None:
    found = objects(
        status(), status(port=6000), status(config=True, discovery="api", service_account="b"),
        status(discovery="api", service_account="a"),
    )  # fmt: skip
    assert set(found) == {"ConfigMap", "Service", "Role", "RoleBinding"}
    assert [port["name"] for port in found["Service"]["spec"]["ports"]] == [
        "hazelcast-5701",
        "hazelcast-6000",
    ]
    assert [subject["name"] for subject in found["RoleBinding"]["subjects"]] == ["a", "b"]


def test_a_disruption_budget_is_there_where_any_pod_asks_for_it() -> None:
    assert "PodDisruptionBudget" not in objects(status(), status(port=6000))
    budget = objects(status(), status(disruption_budget=True))["PodDisruptionBudget"]
    assert (budget["apiVersion"], budget["metadata"]["name"]) == ("policy/v1", "hazelcast-g")
    assert budget["spec"] == {
        "maxUnavailable": 1,
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
        "selector": {"matchLabels": {"sidecar.hazelcast.com/group": "g"}},
    }


def admitted(policy: dict[str, Any], protocol: str, port: int) -> list[Any]:
    """From where a NetworkPolicy lets a port be reached; None stands for anywhere."""
    return [
        rule.get("from")
        for rule in policy["spec"]["ingress"]
        for listed in rule["ports"]
        if listed["protocol"] == protocol
        and ("port" not in listed or listed["port"] <= port <= listed.get("endPort", listed["port"]))
    ]


GROUP_ITSELF = [{"podSelector": {"matchLabels": {"sidecar.hazelcast.com/group": "g"}}}]


@pytest.mark.parametrize(
    "closed", [(5701,), (5701, 5702), (5701, 5703), (1024,), (65533,), (1024, 5701, 65532, 65533)]
)
def test_a_network_policy_closes_the_members_ports_and_no_other(closed: tuple[int, ...]) -> None:
    policy = objects(*(status(port=port, network_policy=True) for port in closed))["NetworkPolicy"]
    assert policy["spec"]["podSelector"] == GROUP_ITSELF[0]["podSelector"]
    assert policy["spec"]["policyTypes"] == ["Ingress"]
    for port in {1, 1023, 65535, *(port + step for port in closed for step in (-1, 0, 1))} - {65536}:
        assert admitted(policy, "TCP", port) == [GROUP_ITSELF if port in closed else None], port
        assert admitted(policy, "UDP", port) == admitted(policy, "SCTP", port) == [None]
    for rule in policy["spec"]["ingress"]:
        for listed in rule["ports"]:
            assert 1 <= listed.get("port", 1) <= listed.get("endPort", 65535) <= 65535


def test_a_network_policy_covers_the_ports_of_all_pods_when_one_asks_for_it() -> None:
    assert "NetworkPolicy" not in objects(status(), status(port=6000))
    policy = objects(
        status(), status(port=6000, discovery="api", service_account="a"), status(network_policy=True)
    )["NetworkPolicy"]
    for port in (5701, 6000):
        assert admitted(policy, "TCP", port) == [GROUP_ITSELF]
