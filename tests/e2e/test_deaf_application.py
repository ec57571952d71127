"""An application that ignores SIGTERM: its member does not wait for the end of the whole grace period."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.endings import Endings
from tests.e2e.kubectl import until
from tests.e2e.workloads import with_members

if TYPE_CHECKING:
    from tests.e2e.conftest import Sightings
    from tests.e2e.kubectl import Kubectl

pytestmark = pytest.mark.e2e

DEAF = ["sh", "-c", "trap : TERM; python -m app & while :; do wait; done"]
SIGTERM, SIGKILL = 143, 137
OWN_GRACE, SHUTDOWN_TIMEOUT = 4, 8


@pytest.mark.parametrize("shared", [False, True], ids=["own processes", "shareProcessNamespace"])
def test_its_member_is_stopped_when_its_own_grace_period_is_over(
    demo: Kubectl, demo_manifests: list[dict[str, Any]], sightings: Sightings, *, shared: bool
) -> None:
    """With shared processes the first one is the sandbox's, here of the same user: it must not be stopped."""
    name = "shared" if shared else "deaf"
    deployment = with_members(demo_manifests, name, 1, **{"shutdown-timeout": f"{SHUTDOWN_TIMEOUT}s"})
    spec = deployment["spec"]["template"]["spec"]
    spec |= {"terminationGracePeriodSeconds": OWN_GRACE, "shareProcessNamespace": shared}
    spec["containers"][0]["command"] = DEAF
    demo.apply(deployment)
    demo.rolled_out(f"deployment/{name}")
    with Endings(demo, f"app={name}") as endings:
        demo("delete", f"deployment/{name}", "--wait=false")
        until(60, "the Pod is gone", lambda: not demo.read("pods", f"--selector=app={name}")["items"])
    sightings.note(f"how the Pod of a deaf application ended: {name}", str(endings))
    (end,) = endings.seen
    assert end.code == SIGTERM
    assert OWN_GRACE <= end.member < OWN_GRACE + SHUTDOWN_TIMEOUT
    assert end.application >= OWN_GRACE + SHUTDOWN_TIMEOUT, "it went on to the end of the whole period"
