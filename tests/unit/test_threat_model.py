"""What docs/threat-model.md says of files here holds."""

import re
from pathlib import Path
from typing import Any

import yaml

from hazelcast_sidecar.group_objects.desired_objects import HAZELCAST_YAML
from hazelcast_sidecar.names import CONTROLLER, CONTROLLER_LABELS
from tests.unit.test_docs import NAMED_TEST


def test_every_row_names_a_test(checkout: Path) -> None:
    rows = re.findall(
        r"^\|(?! could |---)(.+)\|$", (checkout / "docs" / "threat-model.md").read_text("utf-8"), re.MULTILINE
    )
    assert rows
    assert [row for row in rows if not NAMED_TEST.search(row.split(" | ")[-1])] == []


def base(checkout: Path, name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((checkout / "manifests" / "base" / name).read_text("utf-8")))


def test_the_webhook_has_no_credentials_and_little_else(checkout: Path) -> None:
    (deployment,) = base(checkout, "deployment.yaml")
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["automountServiceAccountToken"] is False
    assert base(checkout, "serviceaccount.yaml")[0]["automountServiceAccountToken"] is False
    assert {next(iter({*volume} - {"name"})) for volume in pod["volumes"]} == {"secret", "configMap"}
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    bound = {
        subject["name"] for o in base(checkout, "controller-rbac.yaml") for subject in o.get("subjects", [])
    }
    assert bound == {"hazelcast-sidecar-controller"}


def test_nothing_goes_out_of_the_webhook(checkout: Path) -> None:
    (policy,) = base(checkout, "networkpolicy.yaml")
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert "egress" not in policy["spec"]
    assert [port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]] == [
        "webhook",
        "admin",
    ]
    (deployment,) = base(checkout, "deployment.yaml")
    assert (
        deployment["spec"]["template"]["metadata"]["labels"].items()
        >= policy["spec"]["podSelector"]["matchLabels"].items()
    )


def test_groups_let_in_the_controllers_pods_and_no_others(checkout: Path) -> None:
    documents = [*base(checkout, "controller.yaml"), *base(checkout, "deployment.yaml")]
    admitted = [
        document["metadata"]["name"]
        for document in documents
        if document["kind"] == "Deployment"
        and CONTROLLER_LABELS.items() <= document["spec"]["template"]["metadata"]["labels"].items()
    ]
    assert admitted == [CONTROLLER]


def test_a_watched_group_takes_no_right_more(checkout: Path) -> None:
    folder = checkout / "manifests" / "components" / "watch-groups"
    assert [file.name for file in folder.iterdir()] == ["kustomization.yaml"]
    component = yaml.safe_load((folder / "kustomization.yaml").read_text("utf-8"))
    assert component.keys() == {"apiVersion", "kind", "patches"}
    (patch,) = component["patches"]
    assert patch["target"] == {"kind": "Deployment", "name": CONTROLLER}
    assert yaml.safe_load(patch["patch"]) == [
        {"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": "--watch-groups"}
    ]


def test_no_client_can_have_a_member_run_code() -> None:
    hazelcast = yaml.safe_load(HAZELCAST_YAML)["hazelcast"]
    assert hazelcast["jet"] == {"enabled": False, "resource-upload-enabled": False}
    assert hazelcast["management-center"] == {
        "scripting-enabled": False,
        "console-enabled": False,
        "data-access-enabled": False,
    }
    assert hazelcast["serialization"]["java-serialization-filter"] == {"defaults-disabled": False}
    # The list of members, which every client is sent, and nothing that changes anything or holds entries.
    groups = hazelcast["network"]["rest-api"]["endpoint-groups"]
    assert {name for name, group in groups.items() if group["enabled"]} == {"HEALTH_CHECK", "CLUSTER_READ"}


def test_every_dependency_is_pinned_with_its_hashes(checkout: Path) -> None:
    locks = [*(checkout / "requirements").glob("*.lock"), checkout / "demo-app" / "requirements.lock"]
    assert len(locks) >= 5
    for lock in locks:
        for pinned in re.split(r"\n(?! )", lock.read_text("utf-8").strip()):
            assert re.match(r"[\w.-]+(\[[\w,-]+\])?==[\w.!+-]+ ", pinned), pinned
            assert "--hash=sha256:" in pinned, pinned
    for recipe in ("Makefile", "Dockerfile", "demo-app/Dockerfile"):
        text = (checkout / recipe).read_text("utf-8")
        assert "--require-hashes" in text, recipe
