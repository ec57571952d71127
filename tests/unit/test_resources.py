"""The objects beside the Pods."""

from typing import Any

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
