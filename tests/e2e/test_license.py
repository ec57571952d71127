"""A licence by reference: what a Pod whose Secret is missing says, and that it starts once it is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.kubectl import until
from tests.e2e.workloads import with_members

if TYPE_CHECKING:
    from tests.e2e.kubectl import Kubectl

pytestmark = pytest.mark.e2e

NAME = "licensed"


def test_a_member_waits_for_the_secret_with_its_licence(
    demo: Kubectl, demo_manifests: list[dict[str, Any]]
) -> None:
    """No licence was at hand: the open-source image takes the variable, and does not look at it."""
    demo.apply(with_members(demo_manifests, NAME, 1, **{"license-secret": NAME}))
    said = until(60, "why the member does not start", lambda: waits_for(demo))
    assert said == f'secret "{NAME}" not found'
    demo("create", "secret", "generic", NAME, "--from-literal=license-key=none")
    demo.rolled_out(f"deployment/{NAME}")
    demo("delete", f"deployment/{NAME}", f"secret/{NAME}", "--wait=false")


def waits_for(kubectl: Kubectl) -> str | None:
    """What the kubelet says about a member whose container cannot be made."""
    for pod in kubectl.read("pods", f"--selector=app={NAME}")["items"]:
        for status in pod["status"].get("initContainerStatuses", []):
            waiting = status["state"].get("waiting", {})
            if waiting.get("reason") == "CreateContainerConfigError":
                return str(waiting["message"])
    return None
