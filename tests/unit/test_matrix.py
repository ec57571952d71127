"""What is recorded of the versions that the tests were run with."""

from tests.matrix import record
from tests.matrix.outcome import Outcome, read
from tests.matrix.versions import KUBERNETES, PYTHON, pinned

REPORT = """<testsuites><testsuite>
  <testcase classname="tests.a" name="test_one"/>
  <testcase classname="tests.a" name="test_two"><failure message="no"/></testcase>
  <testcase classname="tests.a" name="test_three"><error message="no fixture"/></testcase>
  <testcase classname="tests.a" name="test_four"><skipped message="too old"/></testcase>
  <testcase classname="tests.a" name="test_five"><skipped message="too old"/></testcase>
</testsuite></testsuites>"""


def test_an_outcome_tells_failures_from_what_was_left_out() -> None:
    assert read(REPORT) == Outcome(1, ("tests.a::test_two", "tests.a::test_three"), {"too old": 2})
    assert not read(REPORT).is_good
    assert Outcome(1, (), {"too old": 2}).is_good
    assert not Outcome(0, (), {"too old": 2}).is_good


def test_what_is_recorded_is_what_would_be_built() -> None:
    """A newer patch release that is pinned must be run, too: make test-matrix."""
    recorded = {release: entry["version"] for release, entry in record.read()["Kubernetes"].items()}
    assert recorded
    assert recorded == {release: pinned(release) for release in recorded}


def test_the_table_has_a_row_for_each_version_that_is_named() -> None:
    rows = record.table().splitlines()[2:]
    assert len(rows) == len(KUBERNETES) + len(PYTHON)
    for name in (*(f"Kubernetes {each}" for each in KUBERNETES), *(f"Python {each}" for each in PYTHON)):
        (row,) = [row for row in rows if row.startswith(f"| {name}")]
        assert row.split(" | ")[1].isdigit() or "not run" in row
