"""The objects beside the Pods."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hazelcast_sidecar.group_objects.desired_objects import (
    GroupWorkload,
    Participant,
    discovery_role,
    of_group,
    requirements_of,
    requirements_of_group,
    unmet_requests,
)
from hazelcast_sidecar.model.status import Status

BUDGET, NETWORK = "PodDisruptionBudget", "NetworkPolicy"
SHOP = GroupWorkload("uid-shop", "Deployment/shop", scalable=True)
CART = GroupWorkload("uid-cart", "StatefulSet/cart", scalable=True)
JOB = GroupWorkload("uid-job", "Job/import", scalable=False)


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
    return {found["kind"]: found for found in of_group(requirements_of(statuses), "g", "ns")}


def test_discovery_by_dns_needs_no_rights() -> None:
    assert set(objects(status())) == {"ConfigMap", "Service"}


def test_discovery_by_api_needs_to_read_pods_of_its_namespace_and_nothing_else() -> None:
    found = objects(status(discovery="api", service_account="shop"))
    assert set(found) == {"ConfigMap", "RoleBinding"}
    role = discovery_role()
    assert role["rules"] == [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}]
    assert found["RoleBinding"]["subjects"] == [{"kind": "ServiceAccount", "name": "shop", "namespace": "ns"}]
    assert found["RoleBinding"]["roleRef"] == {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": role["kind"],
        "name": role["metadata"]["name"],
    }


def test_the_shipped_role_is_the_one_that_is_printed(checkout: Path) -> None:
    manifests = checkout / "manifests" / "base" / "controller-rbac.yaml"
    assert discovery_role() in yaml.safe_load_all(manifests.read_text("utf-8"))


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
    rest = advanced["rest-server-socket-endpoint-config"]["endpoint-groups"]
    # Who reaches that port is no client, and is not told who the members are.
    assert rest.pop("CLUSTER_READ") == {"enabled": False}
    assert network["rest-api"]["endpoint-groups"].pop("CLUSTER_READ") == {"enabled": True}
    assert rest == network["rest-api"]["endpoint-groups"]


def test_during_a_rollout_old_and_new_pods_have_what_each_needs() -> None:
    found = objects(
        status(), status(port=6000), status(config=True, discovery="api", service_account="b"),
        status(discovery="api", service_account="a"),
    )  # fmt: skip
    assert set(found) == {"ConfigMap", "Service", "RoleBinding"}
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


CONTROLLER_ITSELF = [
    {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "injector"}},
        "podSelector": {
            "matchLabels": {
                "app.kubernetes.io/name": "hazelcast-sidecar-injector",
                "app.kubernetes.io/component": "controller",
            }
        },
    }
]


def test_a_controller_that_asks_the_members_is_let_in_where_they_are_asked_and_nowhere_else() -> None:
    def policy(*statuses: Status, watched_from: str) -> dict[str, Any]:
        found = of_group(requirements_of(statuses), "g", "ns", watched_from)
        return next(obj for obj in found if obj["kind"] == "NetworkPolicy")

    closed = [status(network_policy=True), status(network_policy=True, port=6000, pod_clients=True)]
    watched = policy(*closed, watched_from="injector")
    assert admitted(watched, "TCP", 5701) == [GROUP_ITSELF, CONTROLLER_ITSELF]
    assert admitted(watched, "TCP", 6001) == [GROUP_ITSELF], "members meet there"
    assert admitted(watched, "TCP", 6002) == [None], "the probes' port is open to all"
    unwatched = policy(*closed, watched_from="")
    assert unwatched["spec"]["ingress"] == watched["spec"]["ingress"][:2]
    in_pods = policy(closed[1], watched_from="injector")
    assert in_pods["spec"]["ingress"] == policy(closed[1], watched_from="")["spec"]["ingress"]


def test_a_network_policy_covers_the_ports_of_all_pods_when_one_asks_for_it() -> None:
    assert "NetworkPolicy" not in objects(status(), status(port=6000))
    policy = objects(
        status(), status(port=6000, discovery="api", service_account="a"), status(network_policy=True)
    )["NetworkPolicy"]
    for port in (5701, 6000):
        assert admitted(policy, "TCP", port) == [GROUP_ITSELF]


@pytest.mark.parametrize(
    ("participants", "made", "unmet"),
    [
        ([(SHOP, True)], {BUDGET, NETWORK}, {}),
        ([(SHOP, False)], set(), {}),
        # The old and the new Pods of a rollout: what either asks for counts.
        ([(SHOP, False), (SHOP, True)], {BUDGET, NETWORK}, {}),
        ([(SHOP, True), (CART, True)], {BUDGET, NETWORK}, {}),
        (
            [(SHOP, True), (CART, False)],
            set(),
            {BUDGET: ("StatefulSet/cart", {"uid-shop"}), NETWORK: ("StatefulSet/cart", {"uid-shop"})},
        ),
        (
            [(SHOP, False), (SHOP, True), (CART, False)],
            set(),
            {BUDGET: ("StatefulSet/cart", {"uid-shop"}), NETWORK: ("StatefulSet/cart", {"uid-shop"})},
        ),
        # The API server would let no Pod of the group be evicted.
        ([(JOB, True)], {NETWORK}, {BUDGET: ("Job/import", {"uid-job"})}),
        ([(SHOP, True), (JOB, True)], {NETWORK}, {BUDGET: ("Job/import", {"uid-shop", "uid-job"})}),
        (
            [(SHOP, True), (JOB, False)],
            set(),
            {BUDGET: ("Job/import", {"uid-shop"}), NETWORK: ("Job/import", {"uid-shop"})},
        ),
        ([(JOB, False)], set(), {}),
        ([], set(), {}),
    ],
)
def test_what_binds_all_pods_of_a_group_is_there_where_all_its_workloads_ask(
    participants: list[tuple[GroupWorkload, bool]], made: set[str], unmet: dict[str, tuple[str, set[str]]]
) -> None:
    listed = [
        Participant(workload, status(disruption_budget=asks, network_policy=asks))
        for workload, asks in participants
    ]
    kinds = {obj["kind"] for obj in of_group(requirements_of_group(listed), "g", "ns")}
    assert kinds & {BUDGET, NETWORK} == made
    found = unmet_requests(listed)
    assert {each.kind: each.askers for each in found} == {kind: who for kind, (_, who) in unmet.items()}
    assert all(unmet[each.kind][0] in each.reason for each in found)


def test_many_that_do_not_ask_are_counted() -> None:
    others = [GroupWorkload(str(number), f"Job/{number}", scalable=True) for number in range(9)]
    listed = [Participant(SHOP, status(network_policy=True)), *(Participant(w, status()) for w in others)]
    (found,) = unmet_requests(listed)
    assert found.reason.startswith("Job/0, Job/1, Job/2 and 6 more in the same group")


@given(
    st.lists(
        st.tuples(st.sampled_from([SHOP, CART, JOB]), st.booleans(), st.booleans(), st.integers(1024, 65533)),
        max_size=6,
    ),
    st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=3),
)
def test_who_joins_a_group_adds_nothing_that_binds_the_others(
    there: list[tuple[GroupWorkload, bool, bool, int]], joining: list[tuple[bool, bool]]
) -> None:
    """Whatever it asks for: it can take away what would bind itself, and never bring it."""
    before = [
        Participant(workload, status(disruption_budget=budget, network_policy=network, port=port))
        for workload, budget, network, port in there
    ]
    newcomer = GroupWorkload("uid-newcomer", "Job/newcomer", scalable=True)
    after = [
        Participant(newcomer, status(disruption_budget=budget, network_policy=network))
        for budget, network in joining
    ]
    old, new = requirements_of_group(before), requirements_of_group([*before, *after])
    assert old.disruption_budget or not (before and new.disruption_budget)
    assert old.closed_ports or not (before and new.closed_ports)
    assert set(old.ports) <= set(new.ports)
    assert new.config_map >= old.config_map
