"""The webhook servers that are compared: ours, and the reference servers in `go/`, each alone on one core."""

import base64
import contextlib
import http.client
import json
import os
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from hazelcast_sidecar.certificates import make_authority, make_leaf
from hazelcast_sidecar.injection import member
from hazelcast_sidecar.injection.fingerprint import fingerprint
from hazelcast_sidecar.injection.patch import DEFAULT_GRACE_SECONDS, status_of
from hazelcast_sidecar.injection.pod_decision import Inject
from hazelcast_sidecar.model.status import encode
from hazelcast_sidecar.spec.annotations import DefaultSpecs, SidecarSpec, parse
from hazelcast_sidecar.spec.settings import Settings
from tests.harness.control_plane import Program
from tests.harness.ports import free_ports
from tests.harness.procfs import cpu_seconds, memory_mib

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / "build" / "bench" / "bin"
OURS, DIRECT, TYPED, STATIC = "ours", "direct", "typed", "static"
SERVER_CORE, LOAD_CORE = 0, 1
_GROUP = "GROUP-NAME"


class Certificate(NamedTuple):
    """Files of a certificate for 127.0.0.1, and of who signed it."""

    chain: Path
    key: Path
    authority: Path


class Seen(NamedTuple):
    """What the load generator saw, times in seconds, and the CPU seconds that the server took for it."""

    requests: int
    seconds: float
    p50: float
    p99: float
    longest: float
    cpu: float


@dataclass
class Server:
    """One running server."""

    name: str
    port: int
    program: Program
    certificate: Certificate
    first_answer: float
    """Seconds from its start."""

    def load(self, body: Path, *, connections: int, requests: int, groups: int = 20) -> Seen:
        """Send reviews to it; see `go/load`."""
        command = [PROGRAMS / "load", "-address", f"127.0.0.1:{self.port}", "-ca", self.certificate.authority]
        command += ["-body", body, "-connections", str(connections), "-requests", str(requests)]
        before = self.cpu_seconds()
        done = subprocess.run(
            _pinned([*map(str, command), "-groups", str(groups)], LOAD_CORE),
            check=False,
            capture_output=True,
            timeout=600,
        )
        if done.returncode:
            sys.exit(f"{self.name}: {done.stderr.decode().strip()} (log: {self.program.log})")
        cpu = self.cpu_seconds() - before
        seen = json.loads(done.stdout)
        return Seen(seen["requests"], seen["seconds"], seen["p50"], seen["p99"], seen["longest"], cpu)

    def answer(self, body: bytes) -> dict[str, Any]:
        """The response to one review."""
        context = ssl.create_default_context(cafile=str(self.certificate.authority))
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=context, timeout=10)
        with contextlib.closing(connection):
            connection.request("POST", "/mutate/pods", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            text = response.read()
            if response.status != http.HTTPStatus.OK:
                sys.exit(f"{self.name}: {response.status} {text.decode()}")
            found: dict[str, Any] = json.loads(text)["response"]
            return found

    def patch(self, body: bytes) -> list[dict[str, Any]]:
        """The JSON Patch that it answers one review with."""
        operations: list[dict[str, Any]] = json.loads(base64.b64decode(self.answer(body)["patch"]))
        return operations

    def cpu_seconds(self) -> float:
        """Of the process, and of all of its threads, since its start."""
        return cpu_seconds(self.program.pid)

    def memory_mib(self) -> float:
        """Resident memory."""
        return memory_mib(self.program.pid)


def make_certificate(folder: Path) -> Certificate:
    """Files for one run."""
    now = datetime.now(UTC)
    authority = make_authority(now)
    leaf = make_leaf(authority, ["127.0.0.1"], now)
    made = Certificate(folder / "tls.crt", folder / "tls.key", folder / "ca.crt")
    for file, content in zip(made, (leaf.certificate, leaf.key, authority.certificate), strict=True):
        file.write_bytes(content)
    return made


def build() -> None:
    """Build the reference servers and the load generator; Go's own cache makes the second time short."""
    if shutil.which("go") is None:
        sys.exit("make bench: the reference servers are in Go: install Go 1.26 or newer, and try again")
    PROGRAMS.mkdir(parents=True, exist_ok=True)
    command = ["go", "build", "-mod=readonly", "-buildvcs=false", "-trimpath", "-o", f"{PROGRAMS}/", "./..."]
    environment = os.environ | {"CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": ""}
    subprocess.run(command, cwd=Path(__file__).parent / "go", env=environment, check=True)


def template(annotations: dict[str, str]) -> dict[str, Any]:
    """What Pods with these annotations gain, for the reference servers to give; see `go/injection`."""
    settings = Settings()
    spec = parse(annotations, DefaultSpecs(settings).of("default"))
    assert isinstance(spec, SidecarSpec), spec
    status = status_of(Inject(spec, _GROUP), fingerprint(spec, settings.run_as_user))
    return {
        "container": member.container(spec, _GROUP, settings.run_as_user)
        | member.lifecycle(spec, member.stop_seconds(DEFAULT_GRACE_SECONDS)),
        "volumes": member.volumes(spec, _GROUP),
        "environment": member.env_vars(member.application_env(spec.port, spec.cluster_name)),
        "status": encode(status),
        "graceSeconds": member.grace_period(spec, DEFAULT_GRACE_SECONDS),
    }


@contextlib.contextmanager
def running(
    name: str,
    folder: Path,
    certificate: Certificate,
    given: Path,
    review: bytes,
    core: int | None = SERVER_CORE,
) -> Iterator[Server]:
    """Start a server, and stop it at the end.

    Args:
        name: OURS, or one of the reference servers.
        folder: takes its log.
        certificate: to serve.
        given: the reference servers' template.
        review: to ask for the first answer.
        core: that it runs on; None: any.
    """
    port, admin = free_ports(2)
    options = ["--listen", f"127.0.0.1:{port}"]
    files = ["--tls-cert", str(certificate.chain), "--tls-key", str(certificate.key)]
    if name == OURS:
        command = [str(Path(sys.executable).parent / "hazelcast-sidecar"), "serve", *options, *files]
        command += ["--admin-listen", f"127.0.0.1:{admin}", "--drain-seconds", "0"]
    else:
        command = [str(PROGRAMS / name), *options, *files, "--template", str(given)]
    began = time.monotonic()
    program = Program(name, _pinned(command, core), folder / f"{name}.log")
    try:
        server = Server(name, port, program, certificate, 0.0)
        while not _answers(server, review):
            if program.status is not None:
                raise program.failure(f"{name} ended with status {program.status} before it was ready")
            time.sleep(0.002)
        server.first_answer = time.monotonic() - began
        yield server
    finally:
        program.stop()


def _answers(server: Server, review: bytes) -> bool:
    try:
        server.answer(review)
    except OSError:
        return False
    return True


def _pinned(command: list[str], core: int | None) -> list[str]:
    return command if core is None else ["taskset", "--cpu-list", str(core), *command]
