"""Programs in other languages with Hazelcast's clients, built outside of the checkout's sources."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from hazelcast_sidecar.demo.java import member_jars
from tests.hazelcast.conftest import ROOT

CLIENTS = ROOT / "demo-app" / "clients"
"""The smallest client of each language, and which version of Hazelcast's it has."""
PATIENCE = 300
"""Seconds; the first time packages are downloaded and built."""


def build_node(program: Path) -> list[str]:
    """Install the packages beside a copy of a program, and return its command."""
    folder = _copied(program, CLIENTS / "node" / "package.json", CLIENTS / "node" / "package-lock.json")
    subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder, check=True)
    return ["node", str(folder / program.name)]


def build_go(program: Path) -> list[str]:
    """Build a copy of a program, and return its command."""
    folder = _copied(program, CLIENTS / "go" / "go.mod", CLIENTS / "go" / "go.sum")
    subprocess.run(
        ["go", "build", "-mod=readonly", "-buildvcs=false", "-o", "program", "."], cwd=folder, check=True
    )
    return [str(folder / "program")]


def run_java(program: Path) -> list[str]:
    """Return the command that compiles and runs a program."""
    return ["java", "-cp", os.pathsep.join(map(str, member_jars())), str(program)]


def run_client(command: list[str], address: str) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, with nothing but the address of its member."""
    env = {**os.environ, "HAZELCAST_ADDRESS": f"{address}:5701"}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False)


Builder = Callable[[Path], list[str]]
BUILDERS: dict[str, tuple[str, Builder]] = {
    "node": ("npm", build_node),
    "go": ("go", build_go),
    "java": ("javac", run_java),
}
"""For each language the tool that it needs, and what makes a command of a program's file."""


def _copied(program: Path, *others: Path) -> Path:
    """Copy files into a folder that no other program has."""
    folder = ROOT / "build" / "clients" / f"{program.parent.parent.name}-{program.parent.name}-{program.name}"
    folder.mkdir(parents=True, exist_ok=True)
    for path in (program, *others):
        shutil.copy(path, folder)
    return folder
