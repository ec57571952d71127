"""The process of a member in its container."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.e2e.kubectl import Kubectl

CACHE = "/opt/aot/member.aot"


def maps_the_cache(kubectl: Kubectl, pod: str) -> bool:
    """Whether the JVM has the cache in its memory; as the first process it gets the container's signals."""
    inside = ("exec", pod, "--container=hazelcast", "--", "cat")
    assert kubectl(*inside, "/proc/1/comm").strip() == "java"
    return CACHE in kubectl(*inside, "/proc/1/maps")
