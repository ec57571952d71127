"""The controller under test, as a program of its own."""

import contextlib
import http.client
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.harness.accounts import Account
from tests.harness.control_plane import Program, get
from tests.harness.ports import free_ports
from tests.harness.procfs import memory_mib
from tests.harness.prometheus_text import counted

METRICS = "hazelcast_sidecar_controller_"
LEASES = "/apis/coordination.k8s.io/v1/namespaces"
LEASE_SECONDS = 5


class Controller:
    """`hazelcast-sidecar controller` as a program of its own.

    Args:
        account: what it runs as; its Lease is in that namespace.
        log: takes its output.
        identity: its name on the Lease.
        options: further ones of the command line.
    """

    def __init__(
        self, account: Account, log: Path, identity: str = "one", options: Sequence[str] = ()
    ) -> None:
        self.identity = identity
        self.log = log
        (self._port,) = free_ports(1)
        command = [sys.executable, "-m", "hazelcast_sidecar.cli", "controller"]
        command += ["--kubeconfig", str(account.kubeconfig), "--namespace", account.namespace]
        command += ["--admin-listen", f"127.0.0.1:{self._port}", "--identity", identity]
        command += ["--lease-seconds", str(LEASE_SECONDS), *options]
        self.program = Program(identity, command, log)

    def is_ready(self) -> bool:
        return self._answers("/readyz")

    def is_alive(self) -> bool:
        return self._answers("/livez")

    def leads(self) -> bool:
        return self.metric("leader") == 1

    def metric(self, name: str, result: str | None = None, **labels: str) -> float:
        """Read a gauge, or a counter for one result or for all."""
        return counted(self.metrics(), METRICS + name, {"result": result, **labels})

    def metrics(self) -> str:
        return get(self._port, "/metrics")[1]

    def lines(self) -> list[dict[str, Any]]:
        """Read its log; a line that is no JSON object is a traceback or a stray print."""
        found = [json.loads(line) for line in self.log.read_text().splitlines()]
        for line in found:
            assert {"time", "level", "message"} <= line.keys(), line
        return found

    def said(self, message: str) -> list[dict[str, Any]]:
        return [line for line in self.lines() if line["message"] == message]

    def memory(self, which: str = "VmRSS") -> float:
        """Its memory in MiB; see `memory_mib`."""
        return memory_mib(self.program.pid, which)

    def _answers(self, path: str) -> bool:
        try:
            return get(self._port, path)[0] == http.HTTPStatus.OK
        except OSError:
            return False


@contextlib.contextmanager
def started(*controllers: Controller) -> Iterator[None]:
    """Wait until they are ready, and stop whatever of them still runs."""
    try:
        for controller in controllers:
            controller.program.wait_until(controller.is_ready)
        yield
    finally:
        for controller in controllers:
            controller.program.stop()
