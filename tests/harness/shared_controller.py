"""One running controller for the tests of a module: its start takes more CPU time than most of them.

Each test finds it with nothing left to do, and its counters and its log begin anew.
"""

from pathlib import Path
from typing import Any

from tests.harness.accounts import NAME, Account
from tests.harness.control_plane import ControlPlane, get
from tests.harness.controller_program import LEASES, METRICS, Controller
from tests.harness.prometheus_text import counted
from tests.harness.waiting import APPEAR_SECONDS, until

COUNTERS = ("_total", "_count")


class SharedController(Controller):
    """A controller that several tests share, one after the other."""

    _before, _lines_before = "", 0

    def begin(self) -> None:
        """Wait for the end of what the last test caused, and look at what comes now."""
        until(
            APPEAR_SECONDS,
            "nothing is left to do",
            lambda: self.metric("watched_pods") == self.metric("queue_depth") == 0,
        )
        self._before, self._lines_before = get(self._port, "/metrics")[1], len(super().lines())

    def metric(self, name: str, result: str | None = None, **labels: str) -> float:
        """Read a gauge, or how far a counter has moved."""
        value = super().metric(name, result, **labels)
        if name.endswith(COUNTERS):
            value -= counted(self._before, METRICS + name, {"result": result, **labels})
        return value

    def lines(self) -> list[dict[str, Any]]:
        """Read what was logged."""
        return super().lines()[self._lines_before :]


class Sharing:
    """The controller of a module, which is started when a test needs it.

    Args:
        cluster: what it is the controller of.
        account: what it runs as.
        folder: takes its logs.
    """

    def __init__(self, cluster: ControlPlane, account: Account, folder: Path) -> None:
        self._cluster, self._account, self._folder = cluster, account, folder
        self._number = 0
        self._running: SharedController | None = None

    def begin(self) -> SharedController:
        """Return the controller, for the next test."""
        running = self._running or self._start()
        running.begin()
        return running

    def _start(self) -> SharedController:
        lease = f"{LEASES}/{self._account.namespace}/leases/{NAME}"
        assert self._cluster.request("DELETE", lease).code in (200, 404)
        self._number += 1
        log = self._folder / f"{self._number}.log"
        running = self._running = SharedController(self._account, log, f"shared-{self._number}")
        running.program.wait_until(running.is_ready)
        until(APPEAR_SECONDS, "it leads", running.leads)
        return running

    def stop(self) -> None:
        """Stop it in order; a test that follows gets another one."""
        running, self._running = self._running, None
        if running:
            assert running.program.stop() == 0, "SIGTERM is the ordinary end"
