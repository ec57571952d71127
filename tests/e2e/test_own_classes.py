"""Classes of the user's own, from a volume of the Pod, beside the cache of the image in member/."""

from __future__ import annotations

import base64
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from hazelcast_sidecar.demo.java import member_jars
from hazelcast_sidecar.group_objects.desired_objects import CONFIGURATIONS
from hazelcast_sidecar.names import CONFIG_KEY
from tests.e2e.http_client import api_proxy, replica
from tests.e2e.kubectl import KubectlError
from tests.e2e.member_process import maps_the_cache
from tests.e2e.workloads import with_members

if TYPE_CHECKING:
    from tests.e2e.conftest import Images, Sightings
    from tests.e2e.kubectl import Kubectl

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(shutil.which("javac") is None, reason="needs a JDK, to compile the class"),
]

GREETER = Path(__file__).with_name("Greeter.java")


@pytest.fixture
def jar(tmp_path: Path) -> bytes:
    path = ":".join(map(str, member_jars()))
    subprocess.run(["javac", "--release", "17", "-cp", path, "-d", tmp_path, GREETER], check=True)
    jar = tmp_path / "greeter.jar"
    subprocess.run(["jar", "--create", "--file", jar, "-C", tmp_path, "Greeter.class"], check=True)
    return jar.read_bytes()


def config_map(name: str, **content: dict[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, **content}


def configuration() -> str:
    """The group's own, with a class for the map of the demo application."""
    document = yaml.safe_load(CONFIGURATIONS[CONFIG_KEY])
    document["hazelcast"]["map"]["map"] = {"map-store": {"enabled": True, "class-name": "Greeter"}}
    return yaml.safe_dump(document)


def test_a_class_from_a_volume_serves_a_map_and_the_cache_still_holds(
    demo: Kubectl, demo_manifests: list[dict[str, Any]], images: Images, jar: bytes, sightings: Sightings
) -> None:
    demo.apply(config_map("greeter-jar", binaryData={"greeter.jar": base64.b64encode(jar).decode()}))
    demo.apply(config_map("greeter", data={CONFIG_KEY: configuration()}))
    given = {"config": "greeter", "extensions": "jars"}
    deployment = with_members(demo_manifests, "greeter", 2, image=images.member, **given)
    with pytest.raises(KubectlError, match=r'spec\.volumes: has no "jars"'):
        demo.dry_run(deployment)

    pod = deployment["spec"]["template"]["spec"]
    pod["volumes"] = [*pod.get("volumes", []), {"name": "jars", "configMap": {"name": "greeter-jar"}}]
    demo.apply(deployment)
    demo.rolled_out("deployment/greeter")
    pods = demo.pods("app=greeter")
    assert [each for each in pods if not maps_the_cache(demo, each)] == []
    with api_proxy(demo) as api:
        assert [replica(api, each).get("/get", key=each) for each in pods] == [
            f"Hello {each}" for each in pods
        ]
    sightings.note("a class of the user's own", demo.ready("app=greeter"))
    demo("delete", "deployment/greeter", "configmap/greeter", "configmap/greeter-jar", "--wait=false")
