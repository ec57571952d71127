"""Classes of the user's own, from a volume of the Pod, beside the cache of the image in member/."""

from __future__ import annotations

import base64
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hazelcast_sidecar.names import CONFIG_KEY
from tests.e2e.http_client import api_proxy, replica
from tests.e2e.kubectl import KubectlError
from tests.e2e.member_process import maps_the_cache
from tests.e2e.workloads import with_members
from tests.harness.extensions import make_jar, with_map_store

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
    classes, jar = tmp_path / "classes", tmp_path / "greeter.jar"
    make_jar(GREETER, jar, classes)
    return jar.read_bytes()


def config_map(name: str, **content: dict[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, **content}


def test_a_class_from_a_volume_serves_a_map_and_the_cache_still_holds(
    demo: Kubectl, demo_manifests: list[dict[str, Any]], images: Images, jar: bytes, sightings: Sightings
) -> None:
    demo.apply(config_map("greeter-jar", binaryData={"greeter.jar": base64.b64encode(jar).decode()}))
    demo.apply(config_map("greeter", data={CONFIG_KEY: with_map_store("Greeter")}))
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
