"""A replica: the containers of an injected Pod as programs, on a loopback address of their own.

In a Pod all containers share 127.0.0.1. Here each replica has a loopback address, so several replicas
can use the same ports, as they do in a cluster.
"""

import re
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from hazelcast_sidecar.demo.deployment import Beside, selects
from hazelcast_sidecar.demo.failure import DemoError
from hazelcast_sidecar.demo.member_program import hosts_text, java_command, member_environment
from hazelcast_sidecar.demo.programs import Program, Programs
from hazelcast_sidecar.kube.objects import JsonObject
from hazelcast_sidecar.names import CONFIG_VOLUME, CONTAINER
from hazelcast_sidecar.spec.values import quantity

_POD_LOOPBACK = "127.0.0.1"
_APP_START_SECONDS = 30
_REFERENCE = re.compile(r"\$\$|\$\(([^)]*)\)")
"""What the kubelet expands in a value: an escaped dollar sign, or another variable."""


@dataclass(frozen=True)
class Machine:
    """Stand-ins for a node, its images and the cluster's DNS."""

    programs: Programs
    folder: Path
    java: Path
    jars: list[Path]
    app: Path
    """The folder of the demo application's package."""
    http: aiohttp.ClientSession
    shell: dict[str, str]
    """The environment of the calling shell."""


@dataclass
class Replica:
    """One Pod of the Deployment, run as programs of this machine."""

    index: int
    address: str
    pod: JsonObject
    machine: Machine
    running: dict[str, Program] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Return the URL of its application."""
        return f"http://{self.address}:{self._app_container()['ports'][0]['containerPort']}"

    async def start(self, beside: Beside, addresses: list[str]) -> None:
        """Start the member, wait for its startup probe, then start the application, as the kubelet does.

        Raises:
            DemoError: a container did not start, with the end of its log.
        """
        member = self._member_container()
        env = self._env(member)
        env["HAZELCAST_CONFIG"] = env["HAZELCAST_CONFIG"].replace(*self._mount_config(member, beside))
        command = java_command(
            self.machine.java,
            self.machine.jars,
            env,
            shares_network=True,
            hosts_file=self._hosts_file(env, beside, addresses),
            memory_limit=int(quantity(member["resources"]["limits"]["memory"])),
        )
        started = await self._run(CONTAINER, command, member_environment(env, self.machine.shell))
        if probe := member.get("startupProbe"):  # none with `wait: "false"`
            await started.until_ok(
                self.machine.http,
                f"http://{self.address}:{probe['httpGet']['port']}{probe['httpGet']['path']}",
                probe["failureThreshold"] * probe["periodSeconds"],
            )
        await self._start_app()

    async def _start_app(self) -> None:
        container = self._app_container()
        env = {
            name: value.replace(_POD_LOOPBACK, self.address) for name, value in self._env(container).items()
        }
        port = container["ports"][0]["containerPort"]
        command = [sys.executable, "-m", "app"]
        env |= {"HOST": self.address, "PORT": str(port), "PYTHONUNBUFFERED": "1"}
        env["PYTHONPATH"] = str(self.machine.app)
        # No Service here has endpoints that would have to be updated first.
        env |= {"DRAIN_SECONDS": "0"}
        started = await self._run(container["name"], command, member_environment(env, self.machine.shell))
        probe = container["readinessProbe"]["httpGet"]
        await started.until_ok(self.machine.http, f"{self.url}{probe['path']}", _APP_START_SECONDS)

    async def until_members(self, size: int, seconds: float) -> None:
        """Wait until the member's log lists that many members.

        Raises:
            DemoError: it does not do so in time.
        """
        member = self.running[CONTAINER]
        line = f"Members {{size:{size}"
        await member.until(lambda: line in member.output(), f'"{line}, ..."', seconds)

    async def until_safe(self, seconds: float) -> None:
        """Wait until the member says that each entry of its cluster has its backups.

        Raises:
            DemoError: it does not say so in time.
        """
        port = self._member_container()["readinessProbe"]["httpGet"]["port"]
        await self.running[CONTAINER].until_ok(
            self.machine.http, f"http://{self.address}:{port}/hazelcast/health/cluster-safe", seconds
        )

    async def kill(self) -> None:
        """Kill everything at once, as when a node is lost."""
        for program in self.running.values():
            program.signal(signal.SIGKILL)
        for program in self.running.values():
            await program.wait()
        self.running.clear()

    async def get(self, path: str, **query: str) -> str:
        """GET a path, and return the application's answer.

        Raises:
            DemoError: the application answered with an error.
        """
        async with self.machine.http.get(self.url + path, params=query) as response:
            text = await response.text()
            if response.status != 200:  # noqa: PLR2004 - HTTP's own number
                raise DemoError(f"replica {self.index} answered {response.status} to {path}: {text}")
            return text

    async def _run(self, container: str, command: list[str], env: dict[str, str]) -> Program:
        program = await self.machine.programs.start(f"replica {self.index} {container}", command, env)
        self.running[container] = program
        return program

    def _member_container(self) -> JsonObject:
        spec = self.pod["spec"]
        for container in spec.get("initContainers", []) + spec["containers"]:
            if container["name"] == CONTAINER:
                return dict(container)
        raise DemoError(f"the Pod of replica {self.index} has no container {CONTAINER}")

    def _app_container(self) -> JsonObject:
        return next(dict(c) for c in self.pod["spec"]["containers"] if c["name"] != CONTAINER)

    def _mount_config(self, member: JsonObject, beside: Beside) -> tuple[str, str]:
        """Write the ConfigMap as files, as the kubelet does, and return its paths there and here."""
        volume = next(v for v in self.pod["spec"]["volumes"] if v["name"] == CONFIG_VOLUME)
        wanted, found = volume["configMap"]["name"], beside.config_map["metadata"]["name"]
        if wanted != found:
            raise DemoError(
                f'the Pod mounts the ConfigMap "{wanted}", but the controller would create "{found}"'
            )
        folder = self.machine.folder / f"replica-{self.index}-{CONFIG_VOLUME}"
        folder.mkdir(exist_ok=True)
        for name, content in beside.config_map["data"].items():
            (folder / name).write_text(content, encoding="utf-8")
        mount = next(m for m in member["volumeMounts"] if m["name"] == CONFIG_VOLUME)
        return mount["mountPath"], str(folder)

    def _hosts_file(self, env: dict[str, str], beside: Beside, addresses: list[str]) -> Path:
        """Write the DNS entries of this member: the headless Service's name has the address of every Pod."""
        service = beside.headless_service
        name = service["metadata"]["name"]
        if env["HAZELCAST_KUBERNETES_SERVICE_DNS"] != name or not selects(service, self.pod):
            raise DemoError(
                f'the headless Service "{name}" of the manifests is not the one that the Pod looks up'
            )
        path = self.machine.folder / f"replica-{self.index}-hosts"
        path.write_text(hosts_text(name, addresses), encoding="utf-8")
        return path

    def _env(self, container: JsonObject) -> dict[str, str]:
        """Return a container's variables as the kubelet passes them on.

        Where one has no value, it is the Pod's address.
        """
        given = {each["name"]: each.get("value", self.address) for each in container.get("env", [])}

        def replacement(match: re.Match[str]) -> str:
            return "$" if match[1] is None else given.get(match[1], match[0])

        return {name: _REFERENCE.sub(replacement, text) for name, text in given.items()}
