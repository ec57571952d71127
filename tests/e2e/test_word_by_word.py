"""What the documents have one type, typed on the cluster as it stands there, from nothing to nothing.

It runs when the injector that the other tests use is gone.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hazelcast_sidecar.version import __version__
from tests.e2e.conftest import INJECTOR, OURS, wait_for_injection
from tests.e2e.kubectl import Kubectl, until
from tests.e2e.workloads import DEMO, first_pod
from tests.harness.document_commands import ROOT, Shown, block

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.conftest import Images, Sightings

pytestmark = pytest.mark.e2e

SECONDS = 240

INSTALL = block("README.md", "kubectl apply -k manifests/base")
ANNOTATE = block("README.md", "kubectl create deployment shop")
LOOK = block("README.md", "hazelcast-sidecar explain")
TRY = block("docs/install.md", "kubectl apply -k manifests/demo")
ASK = block("docs/install.md", "kubectl -n hazelcast-demo port-forward")
METRICS = block("docs/metrics.md", "kubectl -n hazelcast-sidecar-injector port-forward")
POLICY = block("docs/operations.md", "kubectl apply -k manifests/base")
UNINSTALL = block("docs/install.md", "make uninstall")
BY_COMMAND = block("docs/install.md", "pip install hazelcast-sidecar-injector")[1:]
BY_COMMAND_AWAY = block("docs/install.md", "hazelcast-sidecar uninstall")
TYPED = (INSTALL, ANNOTATE, LOOK, TRY, ASK, METRICS, POLICY, UNINSTALL, BY_COMMAND, BY_COMMAND_AWAY)
"""The blocks that are run here; of others, `tests/unit/test_document_commands.py` knows where."""


class Terminal:
    """Somebody who types commands, in one folder, and reads what they print."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._background: list[subprocess.Popen[str]] = []

    def type(self, *shown: Shown, folder: Path | None = None) -> str:
        """Run what is shown; each must succeed, and print what the document says.

        Raises:
            AssertionError: one did not.
        """
        return "".join(self._run(each, folder or self.folder) for each in shown)

    def _run(self, shown: Shown, folder: Path) -> str:
        # A reader has the images under the names that the documents' registry stands for.
        command = re.sub(r"registry\.example/(hazelcast-sidecar-)", r"\1", shown.command)
        if command.endswith("&"):
            return self._start(command.removesuffix("&"), folder)
        done = subprocess.run(
            ["/bin/bash", "-o", "pipefail", "-c", command],
            cwd=folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"$ {command}\n{done.stdout}"
        for line in shown.output:
            assert line in done.stdout.splitlines(), f"$ {command}\n{done.stdout}"
        return done.stdout

    def _start(self, command: str, folder: Path) -> str:
        """Go on when it has said its first words."""
        begun = subprocess.Popen(
            ["/bin/bash", "-c", f"exec {command}"],
            cwd=folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._background.append(begun)
        assert begun.stdout
        return begun.stdout.readline()

    @property
    def _environment(self) -> dict[str, str]:
        return {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    def close(self) -> None:
        """End what runs in the background."""
        for each in self._background:
            each.terminate()
            each.communicate(timeout=20)
        self._background.clear()


@pytest.fixture
def terminal(cluster: Kubectl, images: Images) -> Iterator[Terminal]:
    """A cluster without the injector, and images that have the documents' names."""
    if images.webhook != f"{INJECTOR}:{__version__}":
        pytest.skip(f"the documents install {INJECTOR}:{__version__}, and WEBHOOK_IMAGE is {images.webhook}")
    cluster("delete", "namespace", INJECTOR, DEMO, "--ignore-not-found", seconds=SECONDS)
    opened = Terminal(ROOT)
    yield opened
    opened.close()


def mark(*names: str) -> None:
    """What documents make is removed like all that these tests make."""
    Kubectl("default")("label", "namespace", *names, f"{OURS}=yes", "--overwrite")


def injected(name: str) -> bool:
    """Whether a Deployment has a Pod with a member."""
    pods = Kubectl("default").read("pods", f"--selector=app={name}")["items"]
    return any("initContainers" in pod["spec"] for pod in pods)


@pytest.fixture
def shop() -> Iterator[str]:
    """The name of the Deployment that the README makes in the namespace default."""
    yield "shop"
    Kubectl("default")("delete", "deployment/shop", "--ignore-not-found", seconds=SECONDS)


def test_from_nothing_to_nothing(
    terminal: Terminal,
    shop: str,
    demo_manifests: list[dict[str, Any]],
    images: Images,
    tmp_path: Path,
    sightings: Sightings,
) -> None:
    begun = time.monotonic()
    terminal.type(*INSTALL)
    mark(INJECTOR, DEMO)
    terminal.type(*ANNOTATE)
    until(60, "a Pod has a member", lambda: injected(shop))
    sightings.note("README, from nothing to an injected Pod", f"{time.monotonic() - begun:.0f} s")

    default = Kubectl("default")
    default("set", "image", f"deployment/{shop}", f"{shop}={images.demo}")  # one that there is
    default.rolled_out(f"deployment/{shop}", seconds=SECONDS)
    explain, inject, check, status = LOOK
    assert shop in terminal.type(explain)
    (tmp_path / "shop.yaml").write_text(default("get", f"deployment/{shop}", "--output=yaml"))
    assert "initContainers" in terminal.type(inject, folder=tmp_path)
    assert "\n0 problems" in terminal.type(check)
    assert f"default/{shop}" in terminal.type(status)

    Kubectl(DEMO).rolled_out("deployment/demo")
    assert "Running" in terminal.type(*TRY)
    terminal.type(*ASK)
    assert "hazelcast_sidecar_" in terminal.type(*METRICS)

    terminal.type(*POLICY)
    wait_for_injection(Kubectl(DEMO), first_pod(demo_manifests))
    terminal.type(*UNINSTALL)
    assert "hazelcast" not in default("get", "mutatingwebhookconfigurations", "--output=name")


def test_by_the_command_alone(terminal: Terminal, sightings: Sightings) -> None:
    begun = time.monotonic()
    install, check = BY_COMMAND
    terminal.type(install)
    mark(INJECTOR)
    assert "\n0 problems" in terminal.type(check)
    took = time.monotonic() - begun
    sightings.note("`install`, from nothing until `check --wait` is content", f"{took:.0f} s")
    terminal.type(*BY_COMMAND_AWAY)
