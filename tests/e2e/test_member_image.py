"""The image of member/: it starts by its cache, and without one where the cache does not fit."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.conftest import with_members
from tests.e2e.http_client import api_proxy, replica
from tests.e2e.kubectl import agree_on

if TYPE_CHECKING:
    from tests.e2e.conftest import Images, Sightings
    from tests.e2e.kubectl import Kubectl

pytestmark = pytest.mark.e2e

REPLICAS = 5
CACHE = "/opt/aot/member.aot"


def maps_the_cache(kubectl: Kubectl, pod: str) -> bool:
    """Whether the JVM has the cache in its memory; as the first process it gets the container's signals."""
    inside = ("exec", pod, "--container=hazelcast", "--", "cat")
    assert kubectl(*inside, "/proc/1/comm").strip() == "java"
    return CACHE in kubectl(*inside, "/proc/1/maps")


def test_replicas_that_start_at_once_by_the_cache_form_one_cluster(
    demo: Kubectl, demo_manifests: list[dict[str, Any]], images: Images, sightings: Sightings
) -> None:
    """It is in a namespace that enforces `restricted`, like all of the demo."""
    demo.apply(with_members(demo_manifests, "fast", REPLICAS, image=images.member))
    demo.rolled_out("deployment/fast")
    pods = agree_on(demo, "app=fast", "hazelcast", REPLICAS)
    logs = [demo("logs", pod, "--container=hazelcast") for pod in pods]
    assert len([log for log in logs if "Members {size:1," in log]) == 1, "one founded the cluster"
    assert [pod for pod in pods if not maps_the_cache(demo, pod)] == []
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
    option = {"java-opts": "-XX:+UseCompactObjectHeaders"}
    demo.apply(with_members(demo_manifests, "unfit", 1, image=images.member, **option))
    demo.rolled_out("deployment/unfit")
    (pod,) = demo.pods("app=unfit")
    assert not maps_the_cache(demo, pod)
    log = demo("logs", pod, "--container=hazelcast")
    said = [line for line in log.splitlines() if "Unable to use AOT cache" in line]
    sightings.note(f"a member with {option['java-opts']}", "\n".join(said))
    assert said
    demo("delete", "deployment/unfit", "--wait=false")
