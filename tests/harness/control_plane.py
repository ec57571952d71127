"""A real kube-apiserver with its etcd, for tests that need the judge itself and not a stand-in.

There is no kubelet, no scheduler and no controller here: Pods are stored and never run, ReplicaSets make no
Pods. What is real is all that decides about a stored object: validation, admission webhooks with their match
conditions, Pod Security, RBAC and server-side apply. The pair is ready two to three seconds after the start.

The programs come from the folder that KUBEBUILDER_ASSETS names, as envtest has it; without it they are built
once from their Go modules (`go/` beside this file) into a cache outside the repository.
"""

import base64
import contextlib
import functools
import http.client
import json
import os
import secrets
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.harness.go_programs import GoProgram, built, required_version
from tests.harness.kept_connections import KeptConnections
from tests.harness.ports import free_ports

PROGRAMS = ("etcd", "kube-apiserver", "kubectl")
RELEASE = "1.36"
"""The release of Kubernetes that the tests run on unless told otherwise."""
MERGE = "application/merge-patch+json"
"""The content type of a merge patch."""
READY_SECONDS = 300
STOP_SECONDS = 60
SHOWN_LOG_LINES = 20


class StartError(Exception):
    """A program did not come up: one sentence, the path of its log, and the log's last lines."""


# --- finding or building the programs ----------------------------------------------------------------------


def find_programs(announce: Callable[[str], None]) -> Path:
    """Return the folder that holds etcd, kube-apiserver and kubectl, building it when there is none yet.

    A KUBEBUILDER_ASSETS that names an incomplete folder is a mistake to report, not a reason to skip.

    Args:
        announce: takes one line at a time about the build, which is long enough to look like a hang.
    """
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if assets:
        missing = [name for name in PROGRAMS if shutil.which(name, path=assets) is None]
        if missing:
            raise StartError(f"KUBEBUILDER_ASSETS={assets} has no {', '.join(missing)}")
        return Path(assets)
    return build_programs(RELEASE, announce)


def build_programs(release: str, announce: Callable[[str], None]) -> Path:
    """Return the folder with those of one release of Kubernetes, such as 1.36, building them if need be.

    Args:
        release: one that `go/` has a module of, `kubernetes-1.36`.
        announce: takes one line at a time about the build.
    """
    module = f"kubernetes-{release}"
    version = required_version(module, "k8s.io/kubernetes")
    component = "k8s.io/component-base/version"
    minor = version.split(".")[1]
    stamp = f"-X {component}.gitVersion={version} -X {component}.gitMajor=1 -X {component}.gitMinor={minor}"
    programs = {
        "etcd": GoProgram("etcd", "go.etcd.io/etcd/server/v3"),
        "kubectl": GoProgram(module, "k8s.io/kubernetes/cmd/kubectl", stamp),
        "kube-apiserver": GoProgram(module, "k8s.io/kubernetes/cmd/kube-apiserver", stamp),
    }
    otherwise = (
        "no kube-apiserver: set KUBEBUILDER_ASSETS to a folder with etcd, kube-apiserver and kubectl "
        "(setup-envtest fetches one), or install Go to have them built once"
    )
    return built("envtest", version, programs, announce, otherwise=otherwise)


@functools.cache
def release_of(programs: Path) -> tuple[int, int]:
    """Return major and minor of the kube-apiserver in a folder: (1, 36)."""
    command = [str(programs / "kube-apiserver"), "--version"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    _, _, version = said.partition(" v")
    major, minor, *_ = version.split(".")
    return int(major), int(minor)


# --- running a program -------------------------------------------------------------------------------------


def _last_lines(text: str) -> str:
    return "\n".join(text.splitlines()[-SHOWN_LOG_LINES:])


def get(port: int, path: str) -> tuple[int, str]:
    """The status and the body of a GET from a port of this machine, without TLS."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.closing(connection):
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()


class Program:
    """A program that the tests started: it writes to a log file, can be waited for, and always be stopped.

    Args:
        name: what messages call it.
        command: the words to run it with.
        log: the file that takes its output; what an earlier run left there is kept.
    """

    def __init__(self, name: str, command: list[str], log: Path) -> None:
        self.name = name
        self.log = log
        # Ctrl-C reaches the whole terminal group: in a session of its own the program outlives it until it is
        # stopped in order. Should this interpreter be killed outright, Linux ends the program with it.
        leash = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
        with log.open("ab") as output:
            self._child = subprocess.Popen(
                [*leash, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_until(self, ready: Callable[[], bool], *companions: "Program") -> None:
        """Return once `ready` says so; an end of this program or a companion is reported, not waited out."""
        deadline = time.monotonic() + READY_SECONDS
        while not ready():
            for program in (self, *companions):
                status = program._child.poll()  # noqa: SLF001 (of its own class)
                if status is not None:
                    raise program.failure(f"{program.name} ended with status {status} before it was ready")
            if time.monotonic() > deadline:
                raise self.failure(f"{self.name} was not ready after {READY_SECONDS} s")
            time.sleep(0.05)

    def failure(self, sentence: str) -> StartError:
        """Make the error for one clear sentence, with the end of the log that explains it."""
        return StartError(
            f"{sentence} (log: {self.log})\n{_last_lines(self.log.read_text(errors='replace'))}"
        )

    @property
    def pid(self) -> int:
        """Its process number: setpriv becomes the program and leaves none between."""
        return self._child.pid

    @property
    def status(self) -> int | None:
        """Its exit status; None while it runs."""
        return self._child.poll()

    def kill(self) -> None:
        """End it as a lost node does: without a chance to say good-bye."""
        self._child.kill()
        self._child.wait(STOP_SECONDS)

    def stop(self, patience: float = STOP_SECONDS) -> int:
        """End the program, by force after `patience` seconds, and return its exit status."""
        if self._child.poll() is None:
            self._child.send_signal(signal.SIGTERM)
        try:
            return self._child.wait(patience)
        except subprocess.TimeoutExpired:
            self._child.kill()
            return self._child.wait()


# --- the control plane -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """What the API server said to one request."""

    code: int
    document: dict[str, Any]

    @property
    def message(self) -> str:
        """What a `Status` says to the user; empty for any other object."""
        return str(self.document.get("message", ""))


class ControlPlane:
    """etcd and kube-apiserver on loopback ports of their own, with everything they write in one folder.

    Use it as a context manager, or call `stop()`: nothing survives it. Only a failed start leaves something
    behind, the logs that its message names.

    Args:
        programs: the folder with etcd, kube-apiserver and kubectl.
        service_accounts: enable the ServiceAccount admission plugin. Off by default, because without a
            controller nobody makes the `default` ServiceAccount that it demands of every Pod's namespace.
        audit: write every answered request to `audit_log`, one JSON object a line, without its body.
        flags: further ones of the API server.
    """

    def __init__(
        self,
        programs: Path,
        *,
        service_accounts: bool = False,
        audit: bool = False,
        flags: Sequence[str] = (),
    ) -> None:
        self._programs = programs
        self._flags = flags
        self._service_accounts = service_accounts
        self._audit = audit
        self._running: list[Program] = []
        self._folder = Path(tempfile.mkdtemp(prefix="control-plane-"))
        etcd_port, peer_port, self._port = free_ports(3)
        self._etcd_url = f"http://127.0.0.1:{etcd_port}"
        self._peer_url = f"http://127.0.0.1:{peer_port}"
        self.url = f"https://127.0.0.1:{self._port}"
        self.token = secrets.token_urlsafe(24)
        self.ca_file = self._folder / "certificates" / "apiserver.crt"
        self.kubeconfig = self._folder / "kubeconfig"
        self.etcd_log = self._folder / "etcd.log"
        self.apiserver_log = self._folder / "kube-apiserver.log"
        self.audit_log = self._folder / "audit.log"
        self._connections = KeptConnections(lambda: self._connect(timeout=60))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start both programs at once (the API server waits for etcd by itself) and return when ready."""
        try:
            self._write_credentials()
            etcd = Program("etcd", self._etcd_command(), self.etcd_log)
            self._running.append(etcd)
            self.start_apiserver()
            self._write_kubeconfig()
        except StartError:
            self._stop_programs(patience=0)  # an API server that waits for etcd does not listen
            for leftover in self._folder.iterdir():
                if leftover.suffix != ".log":
                    shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
            raise
        except BaseException:
            self.stop()
            raise

    def start_apiserver(self) -> None:
        """Start the API server beside the running etcd; a second start keeps port, keys and objects."""
        (etcd,) = self._running
        apiserver = Program("kube-apiserver", self._apiserver_command(), self.apiserver_log)
        self._running.append(apiserver)
        apiserver.wait_until(self._is_ready, etcd)

    def stop_apiserver(self) -> None:
        """Take the API server away; etcd keeps what is stored."""
        self._connections.close()
        self._running.pop().stop()

    def stop_etcd(self) -> None:
        """Take the store away from under the running API server."""
        self._running[0].stop()

    def start_etcd(self) -> None:
        """Start etcd again, with what it had stored, and return when the API server is ready again."""
        _, apiserver = self._running
        self._running[0] = Program("etcd", self._etcd_command(), self.etcd_log)
        apiserver.wait_until(self._is_ready, self._running[0])

    @property
    def apiserver_pid(self) -> int:
        """The number of the running API server's process."""
        return self._running[1].pid

    @contextlib.contextmanager
    def frozen_apiserver(self) -> Iterator[None]:
        """Let the API server hang: it takes connections, and answers nothing until it goes on."""
        _, apiserver = self._running
        os.kill(apiserver.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(apiserver.pid, signal.SIGCONT)

    def compact(self) -> None:
        """Let etcd forget every version of everything but the present one."""
        found = self._etcd("/v3/kv/range", {"key": base64.b64encode(b"/").decode()})
        self._etcd("/v3/kv/compaction", {"revision": found["header"]["revision"], "physical": True})

    def _etcd(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Make one request of etcd, which has JSON for whoever does not speak gRPC."""
        connection = http.client.HTTPConnection(urlsplit(self._etcd_url).netloc, timeout=60)
        with contextlib.closing(connection):
            connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer: dict[str, Any] = json.loads(response.read())
            assert response.status == http.HTTPStatus.OK, answer
            return answer

    def stop(self) -> None:
        """Stop what runs and remove the folder; a second call finds nothing to do."""
        self._connections.close()
        self._stop_programs()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _stop_programs(self, patience: float = STOP_SECONDS) -> None:
        """Stop the API server before the etcd that it would otherwise wait for."""
        while self._running:
            self._running.pop().stop(patience)

    def request(
        self, method: str, path: str, body: object = None, content_type: str = "application/json"
    ) -> Answer:
        """Make one request as the administrator; unlike kubectl, the answer keeps its status code."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": content_type}
        written = None if body is None else json.dumps(body)
        status, text = self._connections.request(method, path, written, headers)
        return Answer(status, json.loads(text))

    def _connect(self, timeout: float) -> http.client.HTTPSConnection:
        context = ssl.create_default_context(cafile=self.ca_file)
        return http.client.HTTPSConnection("127.0.0.1", self._port, context=context, timeout=timeout)

    @property
    def kubectl_program(self) -> Path:
        """For those who run it themselves."""
        return self._programs / "kubectl"

    def kubectl(
        self,
        *arguments: str,
        stdin: str | None = None,
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl as the administrator; a failure that nobody asked for shows what kubectl said."""
        command = [str(self.kubectl_program), "--kubeconfig", str(self.kubeconfig)]
        command += ["--cache-dir", str(self._folder / "kubectl-cache")]
        done = subprocess.run(
            [*command, *arguments],
            input=stdin or "",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=os.environ | {"KUBECTL_KUBERC": "false"},
        )
        if check and done.returncode:
            raise AssertionError(
                f"kubectl {' '.join(arguments)} ended with status {done.returncode}:\n{done.stderr}"
            )
        return done

    def _write_credentials(self) -> None:
        """Write the administrator's token, and the key to sign ServiceAccount tokens with (required)."""
        (self._folder / "tokens.csv").write_text(f'{self.token},admin,admin,"system:masters"\n')
        key = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        (self._folder / "service-accounts.key").write_bytes(key)
        policy = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [{"level": "Metadata"}]}
        (self._folder / "audit-policy.yaml").write_text(
            json.dumps(policy | {"omitStages": ["RequestReceived"]})
        )

    def _etcd_command(self) -> list[str]:
        """Leave out fsync: the stored objects are gone with the test run anyway."""
        return [
            str(self._programs / "etcd"),
            f"--data-dir={self._folder / 'etcd'}",
            "--unsafe-no-fsync",
            "--log-level=warn",
            f"--listen-client-urls={self._etcd_url}",
            f"--advertise-client-urls={self._etcd_url}",
            f"--listen-peer-urls={self._peer_url}",
            f"--initial-advertise-peer-urls={self._peer_url}",
            f"--initial-cluster=default={self._peer_url}",
        ]

    def _apiserver_command(self) -> list[str]:
        """Name the flags: no audit log by default, and a serving certificate that the server makes itself."""
        service_accounts = [] if self._service_accounts else ["--disable-admission-plugins=ServiceAccount"]
        key = self._folder / "service-accounts.key"
        audit = [
            f"--audit-policy-file={self._folder / 'audit-policy.yaml'}",
            f"--audit-log-path={self.audit_log}",
        ]
        return [
            str(self._programs / "kube-apiserver"),
            f"--etcd-servers={self._etcd_url}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",  # else it looks for a network interface, and fails without one
            f"--secure-port={self._port}",
            f"--cert-dir={self.ca_file.parent}",
            f"--token-auth-file={self._folder / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            *service_accounts,
            # As on OpenShift: who says what an object belongs to must be allowed to delete it.
            "--enable-admission-plugins=OwnerReferencesPermissionEnforcement",
            f"--service-account-issuer={self.url}",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
            "--service-cluster-ip-range=10.0.0.0/24",
            # A loopback address cannot be an endpoint of the `kubernetes` Service, and no test asks for one.
            "--endpoint-reconciler-type=none",
            # So that it is Pod Security that refuses a privileged Pod, and not this flag's default.
            "--allow-privileged=true",
            *(audit if self._audit else ()),
            *self._flags,
        ]

    def _is_ready(self) -> bool:
        """Tell whether /readyz says ok; before that there may be no port, no certificate, no access."""
        try:
            with contextlib.closing(self._connect(timeout=5)) as connection:
                connection.request("GET", "/readyz", headers={"Authorization": f"Bearer {self.token}"})
                return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False

    def _write_kubeconfig(self) -> None:
        """Write the file that kubectl and clients read, with the certificate inside; JSON is YAML too."""
        certificate = base64.b64encode(self.ca_file.read_bytes()).decode()
        cluster = {"server": self.url, "certificate-authority-data": certificate}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "admin", "user": {"token": self.token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
        }
        self.kubeconfig.touch(mode=0o600)
        self.kubeconfig.write_text(json.dumps(config))
