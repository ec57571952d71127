"""The webhook under test, as a program of its own."""

import base64
import contextlib
import http.client
import json
import ssl
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hazelcast_sidecar import certificates
from tests.harness.control_plane import Program, get
from tests.harness.ports import free_ports
from tests.harness.prometheus_text import counted


class WebhookServer:
    """`hazelcast-sidecar serve` as a program of its own, on two loopback ports that stay the same.

    Args:
        folder: takes its certificate, key and log.
        more: further options.
    """

    def __init__(self, folder: Path, *more: str) -> None:
        self._more = more
        now = datetime.now(UTC)
        authority = certificates.make_authority(now)
        leaf = certificates.make_leaf(authority, ["127.0.0.1"], now)
        self.ca = authority.certificate
        self.log = folder / "webhook.log"
        self.certificate, self.key = folder / "tls.crt", folder / "tls.key"
        self.certificate.write_bytes(leaf.certificate)
        self.key.write_bytes(leaf.key)
        self._port, self._admin_port = free_ports(2)
        self._program: Program | None = None

    def take_the_place_of_the_service(self, configuration: dict[str, Any]) -> None:
        """Have every webhook of a configuration name this server, and trust it."""
        for each in configuration["webhooks"]:
            url = f"https://127.0.0.1:{self._port}{each['clientConfig']['service']['path']}"
            each["clientConfig"] = {"url": url, "caBundle": base64.b64encode(self.ca).decode()}

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the server and return when /readyz says so."""
        command = [sys.executable, "-m", "hazelcast_sidecar.cli", "serve"]
        command += ["--listen", f"127.0.0.1:{self._port}", "--admin-listen", f"127.0.0.1:{self._admin_port}"]
        command += ["--tls-cert", str(self.certificate), "--tls-key", str(self.key)]
        command += ["--drain-seconds", "0"]  # there is no Service whose endpoints would have to notice first
        command += self._more
        self._program = Program("hazelcast-sidecar serve", command, self.log)
        self._program.wait_until(self._is_ready)

    def stop(self) -> int | None:
        """Stop the server as Kubernetes does, with SIGTERM, and return its exit status."""
        program, self._program = self._program, None
        return program.stop() if program else None

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._port

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Take the server down for a while, for what the API server does when nobody answers."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def patch(self, pod: dict[str, Any]) -> list[dict[str, Any]]:
        """Ask for the JSON Patch as the API server does, to see it before the API server has read it."""
        request = {"uid": "test", "operation": "CREATE", "namespace": "default", "object": pod}
        request |= {"kind": {"group": "", "version": "v1", "kind": "Pod"}}
        request |= {"resource": {"group": "", "version": "v1", "resource": "pods"}}
        review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
        context = ssl.create_default_context(cadata=self.ca.decode())
        connection = http.client.HTTPSConnection("127.0.0.1", self._port, context=context, timeout=60)
        with contextlib.closing(connection):
            headers = {"Content-Type": "application/json"}
            connection.request("POST", "/mutate/pods", json.dumps(review), headers)
            response = json.loads(connection.getresponse().read())["response"]
        operations: list[dict[str, Any]] = json.loads(base64.b64decode(response["patch"]))
        return operations

    def answered(self, outcome: str | None = None) -> float:
        """Return how many admission requests the server counts since its start, of one outcome or of all."""
        return counted(self.metrics(), "hazelcast_sidecar_admission_requests_total", {"outcome": outcome})

    def metrics(self) -> str:
        """Read what it exposes to Prometheus."""
        return get(self._admin_port, "/metrics")[1]

    def _is_ready(self) -> bool:
        try:
            return get(self._admin_port, "/readyz")[0] == http.HTTPStatus.OK
        except OSError:
            return False
