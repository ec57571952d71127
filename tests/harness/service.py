"""A Service of two replicas on this machine: what stands between the API server and the webhook's Pods.

A cluster's kube-proxy leads each new connection to one of the endpoints at random, and learns of a change a
moment after it happened; a connection that stands stays with its replica to its end. So does this.
"""

import contextlib
import http.client
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.harness.control_plane import Program, get
from tests.harness.ports import free_ports
from tests.harness.prometheus_text import counted

LAG_SECONDS = 1.0
"""From what happens to a replica until new connections are led otherwise."""
_LOOK_SECONDS = 0.1
_READY_SECONDS = 300
_STOP_SECONDS = 60


class Replica:
    """One Pod of the webhook: its ports stay the same when its container is started again.

    Args:
        name: tells its log from others'.
        folder: has tls.crt and tls.key, and takes its log.
        settings: their file.
    """

    def __init__(self, name: str, folder: Path, settings: Path | None = None) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self.port, self._admin_port = free_ports(2)
        self._command = [sys.executable, "-m", "hazelcast_sidecar.cli", "serve"]
        self._command += ["--listen", f"127.0.0.1:{self.port}"]
        self._command += ["--admin-listen", f"127.0.0.1:{self._admin_port}"]
        self._command += ["--tls-cert", str(folder / "tls.crt"), "--tls-key", str(folder / "tls.key")]
        if settings:
            self._command += ["--settings", str(settings)]
        self.program = self._run()

    def _run(self) -> Program:
        return Program(f"hazelcast-sidecar serve ({self.name})", self._command, self.log)

    def restart(self) -> None:
        """Start its container again, as the kubelet does with one that ended."""
        assert self.program.status is not None
        self.program = self._run()

    def is_ready(self) -> bool:
        with contextlib.suppress(OSError, http.client.HTTPException):
            return get(self._admin_port, "/readyz")[0] == http.HTTPStatus.OK
        return False

    def answered(self) -> float:
        """Return how many reviews it has answered since its container started."""
        return counted(get(self._admin_port, "/metrics")[1], "hazelcast_sidecar_admission_requests_total", {})


class Service:
    """One address for several replicas; a context manager.

    A replica is an endpoint from `LAG_SECONDS` after it became ready until `LAG_SECONDS` after it no longer
    is.
    """

    def __init__(self) -> None:
        (self.port,) = free_ports(1)
        self._replicas: Sequence[Replica] = ()
        self._readiness: dict[Replica, tuple[bool, float]] = {}
        self._endpoints: list[Replica] = []
        self._stop = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.harness.relay", str(self.port)]
        self._relay = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, bufsize=1)
        self._watcher.start()
        deadline = time.monotonic() + _READY_SECONDS
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return self
            assert time.monotonic() < deadline, "the relay does not listen"
            time.sleep(0.05)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._watcher.join(_STOP_SECONDS)
        assert self._relay.stdin
        self._relay.stdin.close()
        try:
            self._relay.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._relay.kill()
            self._relay.wait()

    def select(self, *replicas: Replica) -> None:
        """Name the Pods that belong to it; they are endpoints while they are ready."""
        self._replicas = replicas

    def leads_to(self, *replicas: Replica) -> bool:
        """Whether new connections go to exactly these."""
        return set(self._endpoints) == set(replicas)

    def _watch(self) -> None:
        """What the kubelet, the endpoint controller and kube-proxy do together."""
        while not self._stop.wait(_LOOK_SECONDS):
            for replica in {*self._replicas, *self._readiness}:
                ready = replica in self._replicas and replica.is_ready()
                if self._readiness.get(replica, (False, 0.0))[0] != ready:
                    self._readiness[replica] = ready, time.monotonic()
            now = time.monotonic()
            endpoints = [
                replica
                for replica, (ready, since) in self._readiness.items()
                if ready == (now - since >= LAG_SECONDS)
            ]
            if endpoints != self._endpoints:
                assert self._relay.stdin
                self._relay.stdin.write(" ".join(str(each.port) for each in endpoints) + "\n")
                self._endpoints = endpoints
