"""The objects beside the Pods, and the demo's manifests, which are the same objects."""

from pathlib import Path

import yaml

from tests.conftest import ours
from webhook.annotations import SidecarSpec, parse, read_defaults
from webhook.resources import of_group


def spec(**annotations: str) -> SidecarSpec:
    parsed = parse(ours(**annotations), read_defaults({}))
    assert isinstance(parsed, SidecarSpec), parsed
    return parsed


def test_the_demos_manifests_are_what_the_code_renders(checkout: Path) -> None:
    text = (checkout / "manifests/demo/hazelcast.yaml").read_text(encoding="utf-8")
    assert list(yaml.safe_load_all(text)) == of_group(spec(), "demo", "hazelcast-demo", "default")


def test_discovery_by_dns_needs_no_rights() -> None:
    assert [found["kind"] for found in of_group(spec(), "g", "ns", "default")] == ["ConfigMap", "Service"]


def test_discovery_by_api_needs_to_read_pods_of_its_namespace_and_nothing_else() -> None:
    config_map, role, binding = of_group(spec(discovery="api"), "g", "ns", "shop")
    assert config_map["kind"] == "ConfigMap"
    assert role["kind"] == "Role"
    assert role["rules"] == [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "shop", "namespace": "ns"}]


def test_a_config_map_of_ones_own_is_not_made() -> None:
    assert [found["kind"] for found in of_group(spec(config="mine"), "g", "ns", "default")] == ["Service"]


def test_the_headless_service_publishes_members_before_they_are_ready() -> None:
    service = of_group(spec(port="6000"), "g", "ns", "default")[1]["spec"]
    assert (service["clusterIP"], service["publishNotReadyAddresses"]) == ("None", True)
    assert service["selector"] == {"sidecar.hazelcast.com/group": "g"}
    assert service["ports"][0]["port"] == 6000
