"""`make sbom` lists what the image's Python consists of: what requirements/runtime.lock pins, and our own."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from hazelcast_sidecar.version import __version__

pytestmark = pytest.mark.slow

PINNED = re.compile(r"^(?! )(.+?)(?: \\)?$", re.MULTILINE)


@pytest.fixture(scope="module")
def made(checkout: Path) -> bytes:
    done = subprocess.run(
        ["make", "-C", str(checkout), "sbom"],
        env={key: value for key, value in os.environ.items() if not key.startswith("MAKE")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return (checkout / "build" / "sbom.cdx.json").read_bytes()


@pytest.fixture(scope="module")
def listed(made: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(made)
    return found


def test_it_lists_what_is_pinned_and_nothing_else(listed: dict[str, Any], checkout: Path) -> None:
    assert listed["bomFormat"] == "CycloneDX"
    lock = (checkout / "requirements" / "runtime.lock").read_text("utf-8")
    pinned = [Requirement(line) for line in PINNED.findall(lock)]
    here = {(each.name, str(each.specifier)) for each in pinned if not each.marker or each.marker.evaluate()}
    assert len(here) > 20
    ours = ("hazelcast-sidecar-injector", f"=={__version__}")
    found = {(canonicalize_name(part["name"]), f"=={part['version']}") for part in listed["components"]}
    assert found == here | {ours}


def test_scanners_can_tell_each_package(listed: dict[str, Any]) -> None:
    assert all(part["purl"].startswith("pkg:pypi/") for part in listed["components"])


def test_it_is_the_same_each_time_and_everywhere(listed: dict[str, Any], made: bytes) -> None:
    """No time, no number made at random, and no path."""
    assert "serialNumber" not in listed
    assert "timestamp" not in listed["metadata"]
    assert b"file:" not in made
