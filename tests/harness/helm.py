"""Helm 3 and 4, built once from their Go modules, or those that HELM3 and HELM4 name."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.harness.go_programs import GoProgram, built, required_version

CHART = Path(__file__).parents[2] / "manifests" / "chart"
RELEASES = (3, 4)


class HelmError(Exception):
    """A command that failed, with what it said."""


def find_helm(release: int, announce: Callable[[str], None]) -> "Helm":
    """Return a major release of Helm, built if need be."""
    given = os.environ.get(f"HELM{release}")
    if given:
        return Helm(release, Path(given))
    version = required_version(f"helm{release}", f"helm.sh/helm/v{release}")
    program = GoProgram(f"helm{release}", f"helm.sh/helm/v{release}/cmd/helm")
    otherwise = f"no Helm {release}: set HELM{release} to one, or install Go to have it built once"
    return Helm(release, built("helm", version, {"helm": program}, announce, otherwise=otherwise) / "helm")


class Helm:
    """Runs one Helm.

    Args:
        release: 3 or 4.
        program: its file.
    """

    def __init__(self, release: int, program: Path) -> None:
        self.release = release
        self._program = program

    def __call__(self, *arguments: str, seconds: float = 120) -> str:
        """Run a command to its end and return what it printed.

        Raises:
            HelmError: it failed.
        """
        done = subprocess.run(
            [str(self._program), *arguments],
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode:
            raise HelmError(f"{done.stderr.strip()}\n{done.stdout.strip()}".strip())
        return done.stdout

    def template(self, namespace: str, *arguments: str) -> list[dict[str, Any]]:
        """Render the chart for a new Kubernetes; a Helm that has no cluster assumes one, maybe an old one."""
        text = self(
            "template",
            "injector",
            str(CHART),
            f"--namespace={namespace}",
            "--kube-version=1.36.0",
            *arguments,
        )
        return [document for document in yaml.safe_load_all(text) if document]
