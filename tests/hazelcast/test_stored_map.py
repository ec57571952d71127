"""Classes of the user's own: a map whose entries are in a database, and outlive all members."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from hazelcast_sidecar.demo.java import find_java, member_jars
from hazelcast_sidecar.names import CONFIG_KEY
from tests.harness.extensions import make_jar, with_map_store
from tests.harness.ports import own_network
from tests.hazelcast.conftest import ROOT, Eventually, Launcher, Program, from_maven_central

DATABASES = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
"""Where Debian installs PostgreSQL, by its version."""

pytestmark = [
    pytest.mark.hazelcast,
    pytest.mark.slow,
    pytest.mark.skipif(not DATABASES, reason="needs PostgreSQL (Debian's package postgresql)"),
    pytest.mark.skipif(shutil.which("javac") is None, reason="needs a JDK, to compile the extension"),
]

NETWORK = own_network()
EXTENSION = ROOT / "demo-app" / "extensions" / "StoredMap.java"
DRIVER = ("org.postgresql", "postgresql", "42.7.4")
DRIVER_SHA256 = "188976721ead8e8627eb6d8389d500dccc0c9bebd885268a3047180274a6031e"
ENTRIES = {f"key-{number}": f"value {number}" for number in range(20)}


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """Run an empty one on an address of its own, and name its URL."""
    address = f"{NETWORK}.100"
    # It refuses to run as root, and pytest's folders are closed to others.
    other: dict[str, Any] = (
        {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
    )
    with TemporaryDirectory() as folder, (Path(folder) / "log").open("wb") as log:
        if other:
            shutil.chown(folder, "nobody")
        data = Path(folder) / "data"
        made: list[str | Path] = [
            DATABASES[-1].with_name("initdb"),
            "-D",
            data,
            "-U",
            "hazelcast",
            "-A",
            "trust",
            "--no-sync",
        ]
        subprocess.run(made, check=True, stdout=log, stderr=log, cwd=folder, **other)
        options = {"listen_addresses": address, "unix_socket_directories": "", "fsync": "off"}
        command: list[str | Path] = [
            DATABASES[-1],
            "-D",
            data,
            *(f"--{name}={value}" for name, value in options.items()),
        ]
        running = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, **other)
        try:
            yield f"jdbc:postgresql://{address}/postgres?user=hazelcast"
        finally:
            running.terminate()
            assert running.wait(60) == 0


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    """Start members with the jars at the end of their class path, as the image's start script has them."""
    jars = tmp_path_factory.mktemp("jars")
    shutil.copy(from_maven_central(*DRIVER, DRIVER_SHA256), jars)
    make_jar(EXTENSION, jars / "stored-map.jar", tmp_path_factory.mktemp("classes"))
    launcher = Launcher(
        tmp_path_factory.mktemp("programs"), find_java(), [*member_jars(), *sorted(jars.iterdir())]
    )
    yield launcher
    launcher.stop()


@pytest.fixture(scope="module")
def config(database: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the group's own configuration with a map of ours, as docs/own-classes.md has it."""
    file = tmp_path_factory.mktemp("config") / CONFIG_KEY
    file.write_text(with_map_store("StoredMap", url=database))
    return file


def test_entries_outlive_all_members(members: Launcher, config: Path, eventually: Eventually) -> None:
    def started(number: int) -> Program:
        address = f"{NETWORK}.{number}"
        member, app = members.member(address, config=config), members.app(address)
        running.append(member)
        eventually(lambda: app.ask("/readyz").status == 200)
        return app

    running: list[Program] = []
    app = started(101)
    for key, value in ENTRIES.items():
        assert app.ask("/put", key=key, value=value).status == 200
    running[0].end(signal.SIGKILL)

    app = started(102)
    assert {key: app.ask("/get", key=key).text for key in ENTRIES} == ENTRIES


def test_without_the_jar_a_sentence_names_the_class(
    launcher: Launcher, config: Path, eventually: Eventually
) -> None:
    address = f"{NETWORK}.103"
    member, app = launcher.member(address, config=config), launcher.app(address)
    eventually(lambda: app.ask("/readyz").status == 200)
    answer = app.ask("/put", key="k", value="v")
    assert "ClassNotFoundException: StoredMap" in answer.text + member.text()
