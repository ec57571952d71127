"""Golden files: an object, what the webhook makes of it, and a report of the decision.

    cases/NAME.input.yaml     the Pod or workload as it is sent
    cases/NAME.golden.yaml    as it is stored; absent where the webhook leaves it or denies it
    cases/NAME.report         the reason, and what the user is told

`pytest tests/golden --update` writes the last two anew; read the difference before committing it.
"""

import json
from pathlib import Path

import pytest
import yaml

from hazelcast_sidecar.injection.reviewer import Reviewer
from tests.harness.reviews import patched, response_in, review_of

CASES = Path(__file__).parent / "cases"
NAMES = sorted(path.name.removesuffix(".input.yaml") for path in CASES.glob("*.input.yaml"))


def outcome(name: str) -> tuple[str | None, str]:
    """The golden object, if the webhook changes it, and the report."""
    obj = yaml.safe_load((CASES / f"{name}.input.yaml").read_text(encoding="utf-8"))
    group, _, version = obj["apiVersion"].rpartition("/")
    review = review_of(obj, kind={"group": group, "version": version, "kind": obj["kind"]})
    reviewer = Reviewer()
    answer = reviewer.review_pod if obj["kind"] == "Pod" else reviewer.review_workload
    reviewed = answer(json.dumps(review).encode())
    response = response_in(reviewed)
    report = [f"allowed: {str(response['allowed']).lower()}", f"reason: {reviewed.decision.reason}"]
    report += [f"message: {response['status']['message']}"] if "status" in response else []
    report += [f"warning: {warning}" for warning in response.get("warnings", [])]
    after = patched(obj, response)
    golden = None if after == obj else yaml.safe_dump(after, sort_keys=False, width=120)
    return golden, "\n".join(report) + "\n"


def agree(path: Path, content: str | None, *, update: bool) -> None:
    if update:
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_text(content, encoding="utf-8")
    found = path.read_text(encoding="utf-8") if path.exists() else None
    assert found == content, f"{path.name} differs; see it with --update and git diff"


@pytest.mark.parametrize("name", NAMES)
def test_the_object_becomes_its_golden_one(name: str, request: pytest.FixtureRequest) -> None:
    golden, report = outcome(name)
    update = request.config.getoption("--update")
    agree(CASES / f"{name}.golden.yaml", golden, update=update)
    agree(CASES / f"{name}.report", report, update=update)


def test_no_golden_file_is_left_over() -> None:
    expected = {f"{name}.{kind}" for name in NAMES for kind in ("input.yaml", "golden.yaml", "report")}
    assert {path.name for path in CASES.iterdir()} <= expected
