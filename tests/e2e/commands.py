"""The command line, run on the cluster as a person runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from tests.harness.document_commands import ROOT


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command of `hazelcast-sidecar` to its end, whatever its exit status."""
    line = [sys.executable, "-m", "hazelcast_sidecar.cli", *command]
    return subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)


def findings(state: str) -> list[dict[str, Any]]:
    """What `check` finds of this state: warning, problem and so on."""
    found: list[dict[str, Any]] = json.loads(run("check", "-o", "json").stdout)
    return [finding for finding in found if finding["state"] == state]


def group_status(namespace: str, group: str) -> dict[str, Any]:
    """What `status` finds of one group; nothing while there is none."""
    found = json.loads(run("status", "-n", namespace, group, "-o", "json").stdout)
    return found[0] if found else {"pods": [], "observations": []}


def sizes_seen(namespace: str, group: str) -> list[int | None]:
    """How many members each Pod's member sees, by `status`; None of one that does not answer."""
    views = [pod["view"] for pod in group_status(namespace, group)["pods"]]
    return [view and view["health"]["clusterSize"] for view in views]


def make_uninstall() -> str:
    """Take the injector off the cluster; what that prints."""
    command = ["make", "-C", str(ROOT), "uninstall"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
