"""Tests side by side: what runs alone, and in which order files begin."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.harness.distribution import ALONE, longest_first

CONFTEST = """
import sys
sys.path.insert(0, {checkout!r})
from tests.harness.distribution import ByFile, longest_first
def pytest_collection_modifyitems(items):
    longest_first(items, {{}})
def pytest_xdist_make_scheduler(config, log):
    return ByFile(config, log)
"""
TESTS = """
import time
import pytest
@pytest.mark.parametrize("number", range(3))
def test(number):
    with open({log!r}, "a") as log:
        log.write("begin {name}\\n")
        log.flush()
        time.sleep(0.1)
        log.write("end {name}\\n")
"""


@pytest.mark.slow
def test_what_compares_speed_runs_when_nothing_else_does(tmp_path: Path, checkout: Path) -> None:
    log = tmp_path / "log"
    for name in ("tests/a/test_a.py", "tests/b/test_b.py", "tests/c/test_c.py", "tests/d/test_d.py", *ALONE):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(TESTS.format(log=str(log), name=name))
    (tmp_path / "conftest.py").write_text(CONFTEST.format(checkout=str(checkout)))
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib -p no:cacheprovider\n")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "3", "tests"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    lines = log.read_text().splitlines()
    assert len(lines) == 2 * 3 * (4 + len(ALONE))
    last = [line.split() for line in lines[-2 * 3 * len(ALONE) :]]
    assert {name for _, name in last} == {*ALONE}
    assert [what for what, _ in last] == ["begin", "end"] * (len(last) // 2)


def test_files_that_took_long_begin_first_and_what_runs_alone_last() -> None:
    def item(file: str, test: str) -> Any:
        return SimpleNamespace(nodeid=f"{file}::{test}", path=Path(file))

    names = (
        "tests/cli/test_a.py",
        "tests/unit/test_speed.py",
        "tests/apiserver/test_b.py",
        "tests/cli/test_c.py",
    )
    items = [item(file, test) for file in names for test in ("test_1", "test_2")]
    longest_first(items, {"tests/cli/test_c.py::test_2": 3.0, "tests/unit/test_speed.py::test_1": 1.0})
    assert [each.nodeid.split("/")[-1] for each in items] == [
        "test_b.py::test_1",
        "test_b.py::test_2",
        "test_c.py::test_1",
        "test_c.py::test_2",
        "test_a.py::test_1",
        "test_a.py::test_2",
        "test_speed.py::test_1",
        "test_speed.py::test_2",
    ]
