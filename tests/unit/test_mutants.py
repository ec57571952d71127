"""The faults that `make mutants` puts into the code."""

import os
from pathlib import Path

import pytest

from tests.mutants import measure
from tests.mutants.mutations import faults, with_fault

SOURCE = '''
"""A module."""

LIMIT = 3


def decide(self, pod, log):
    """Say something."""
    log("seen", 1)
    if pod.asks and not pod.finished:
        self.forget(pod)
        return len(pod.names) + 1 <= LIMIT
    assert pod == 1
    return True
'''


def test_each_fault_is_one_change_in_a_function_of_what_is_done() -> None:
    found = [(fault.line, fault.before, fault.after) for fault in faults(SOURCE)]
    assert sorted(found) == [
        (10, "not pod.finished", "not not pod.finished"),
        (10, "pod.asks and (not pod.finished)", "pod.asks or not pod.finished"),
        (11, "self.forget(pod)", "None"),
        (12, "1", "2"),
        (12, "len(pod.names) + 1", "len(pod.names) - 1"),
        (12, "len(pod.names) + 1 <= LIMIT", "len(pod.names) + 1 > LIMIT"),
        (14, "True", "False"),
    ]
    for fault in faults(SOURCE):
        changed = with_fault(SOURCE, fault)
        assert fault.after in changed
        assert changed.count("\n") <= SOURCE.count("\n")


def test_a_measurement_is_stale_once_the_package_or_a_test_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {name: tmp_path / name / "x.py" for name in ("PACKAGE", "ALL_TESTS", "DATA")}
    for seconds, (name, path) in enumerate(files.items(), 1000):
        path.parent.mkdir()
        path.touch()
        os.utime(path, (seconds, seconds))
        monkeypatch.setattr(measure, name, path if name == "DATA" else path.parent)
    assert not measure.is_stale()
    for name in ("PACKAGE", "ALL_TESTS"):
        os.utime(files[name], (2000, 2000))
        assert measure.is_stale()
        os.utime(files[name], (1000, 1000))
    files["DATA"].unlink()
    assert measure.is_stale()
