"""The smallest clients of demo-app/clients, in other languages, with members as the webhook injects them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.harness.locks import only_one
from tests.harness.ports import free_ports, own_network
from tests.hazelcast.client_programs import BUILDERS, CLIENTS, PATIENCE
from tests.hazelcast.conftest import connected_app

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.hazelcast.conftest import Eventually, Launcher, Program

pytestmark = [pytest.mark.hazelcast, pytest.mark.slow]

PROGRAMS = {"node": "put-get.js", "go": "main.go", "java": "PutGet.java"}
LANGUAGES = [*PROGRAMS]
MOST_LINES = 40
NETWORK = own_network()
ADDRESS = f"{NETWORK}.72"


@dataclass(frozen=True)
class Client:
    """A program that puts or gets one entry, with nothing but what the webhook tells a container."""

    command: list[str]

    def run(self, *arguments: str, address: str, **env: str) -> list[str]:
        """The lines that it prints, among them those of its log; it fails the test where it fails."""
        shell = {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}
        done = subprocess.run(
            [*self.command, *arguments],
            env={**shell, "LC_ALL": "C.UTF-8", "HAZELCAST_ADDRESS": address, **env},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.splitlines()


@pytest.fixture(scope="module")
def clients() -> Iterator[dict[str, Client]]:
    """Those whose language this machine has."""
    with only_one("clients"):
        yield {
            language: Client(build(CLIENTS / language / PROGRAMS[language]))
            for language, (tool, build) in BUILDERS.items()
            if shutil.which(tool)
        }


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest, clients: dict[str, Client]) -> str:
    if request.param not in clients:
        pytest.skip(f"needs {BUILDERS[request.param][0]}")
    return str(request.param)


@pytest.fixture(scope="module")
def app(launcher: Launcher, eventually: Eventually) -> Program:
    return connected_app(launcher, eventually, ADDRESS)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_client_is_short(language: str) -> None:
    assert len((CLIENTS / language / PROGRAMS[language]).read_text().splitlines()) < MOST_LINES


def test_what_one_language_puts_another_gets(app: Program, clients: dict[str, Client], language: str) -> None:
    address, value = f"{ADDRESS}:5701", f"Grüße aus {language}"

    clients[language].run("put", language, value, address=address)

    assert app.ask("/get", key=language)[:2] == (200, value)
    names = [*clients]
    another = names[(names.index(language) + 1) % len(names)]
    assert value in clients[another].run("get", language, address=address)


@pytest.fixture(scope="module")
def of_the_pod(launcher: Launcher, eventually: Eventually) -> str:
    """The address of a member with `clients: pod`, a port and a cluster name of its own."""
    port, *_ = free_ports(3)  # on the machine's own loopback address, as nothing else here
    alone = "-Dhazelcast.wait.seconds.before.join=0"
    given = {"clients": "pod", "port": str(port), "java_opts": alone, "cluster_name": "own"}
    member = launcher.member("127.0.0.1", group=[], given=given)
    eventually(lambda: re.search(rf":{port + 1} is STARTED", member.text()))
    return f"127.0.0.1:{port}"


def test_a_member_for_its_pod_alone_on_another_port_and_of_another_name_is_used(
    clients: dict[str, Client], language: str, of_the_pod: str
) -> None:
    client = clients[language]

    client.run("put", language, "v", address=of_the_pod, HAZELCAST_CLUSTER_NAME="own")

    assert client.run("get", language, address=of_the_pod, HAZELCAST_CLUSTER_NAME="own").count("v") == 1
