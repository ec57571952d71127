"""The image of member/: its cache, where that fits and where it does not, and the patched class."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.http_client import api_proxy, replica
from tests.e2e.kubectl import agree_on
from tests.e2e.member_process import maps_the_cache
from tests.e2e.workloads import with_members

if TYPE_CHECKING:
    from tests.e2e.conftest import Images, Sightings
    from tests.e2e.kubectl import Kubectl

pytestmark = pytest.mark.e2e

REPLICAS = 5
PATCH = "/opt/aot/patch/hazelcast-patch.jar"
CLUSTER = "com.hazelcast.internal.cluster.impl.ClusterServiceImpl"
CLASSES = "/tmp/classes.log"  # noqa: S108 (in the container)
LOG_CLASSES = f"-Xlog:class+load:file={CLASSES}"


def class_path(kubectl: Kubectl, pod: str) -> list[str]:
    """Of the JVM that runs; a cache that it has in its memory was made with the same one."""
    command = kubectl("exec", pod, "--container=hazelcast", "--", "cat", "/proc/1/cmdline").split("\0")
    return command[command.index("-cp") + 1].split(":")


def answer(kubectl: Kubectl, pod: str, question: str) -> str:
    """What a line of the image's start script reads."""
    return kubectl("exec", pod, "--container=hazelcast", "--", "sh", "-c", f"{question} 2>&1")


def source_of(kubectl: Kubectl, pod: str, name: str) -> str:
    """Where the JVM has a class from, as it logs it."""
    log = kubectl("exec", pod, "--container=hazelcast", "--", "cat", CLASSES)
    found = re.search(rf" {re.escape(name)} source: (.+)", log)
    assert found, f"{name} is not loaded"
    return found[1]


def test_replicas_that_start_at_once_by_the_cache_form_one_cluster(
    demo: Kubectl, demo_manifests: list[dict[str, Any]], images: Images, sightings: Sightings
) -> None:
    """It is in a namespace that enforces `restricted`, like all of the demo."""
    demo.apply(with_members(demo_manifests, "fast", REPLICAS, image=images.member))
    demo.rolled_out("deployment/fast")
    pods = agree_on(demo, "app=fast", "hazelcast", REPLICAS)
    logs = [demo("logs", pod, "--container=hazelcast") for pod in pods]
    assert len([log for log in logs if "Members {size:1," in log]) == 1, "one founded the cluster"
    assert all("hazelcast.network.join.tcpip.connectiontimeoutseconds=1" in log for log in logs)
    assert [pod for pod in pods if not maps_the_cache(demo, pod)] == []
    assert [pod for pod in pods if class_path(demo, pod)[0] != PATCH] == []
    for question in ("-version", "-XshowSettings:properties -version 2>&1 | grep java.vm.name"):
        assert answer(demo, pods[0], f"/opt/aot/bin/java {question}") == answer(
            demo, pods[0], f"/opt/aot/jdk/bin/java {question}"
        )
    assert "version" in answer(demo, pods[0], "_JAVA_OPTIONS=-Xwrong /opt/aot/bin/java -version"), "no JVM"
    with api_proxy(demo) as api:
        first, last = replica(api, pods[0]), replica(api, pods[-1])
        assert json.loads(first.get("/members"))["local"] != json.loads(last.get("/members"))["local"]
        assert first.get("/put", key="by the cache", value="someValue") == ""
        assert last.get("/get", key="by the cache") == "someValue"
    sightings.note(f"{REPLICAS} replicas with {images.member}", demo.ready("app=fast"))
    demo("delete", "deployment/fast", "--wait=false")


def test_a_member_starts_without_the_cache_where_its_options_do_not_fit(
    demo: Kubectl, demo_manifests: list[dict[str, Any]], images: Images, sightings: Sightings
) -> None:
    unfit = "-XX:+UseCompactObjectHeaders"
    options = {"java-opts": f"{unfit} {LOG_CLASSES}"}
    demo.apply(with_members(demo_manifests, "unfit", 1, image=images.member, **options))
    demo.rolled_out("deployment/unfit")
    (pod,) = demo.pods("app=unfit")
    assert not maps_the_cache(demo, pod)
    log = demo("logs", pod, "--container=hazelcast")
    said = [line for line in log.splitlines() if "Unable to use AOT cache" in line]
    sightings.note(f"a member with {unfit}", "\n".join(said))
    assert said
    assert source_of(demo, pod, CLUSTER) == f"file:{PATCH}"
    demo("delete", "deployment/unfit", "--wait=false")
