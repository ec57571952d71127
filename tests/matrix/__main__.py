"""`make test-matrix`: the tests that depend on it, on each release of Kubernetes and of Python.

Programs of Kubernetes are built once from their Go modules, some minutes for a release. A good run
goes into recorded.json beside this file, and from there into docs/compatibility.md.
"""

import argparse
import sys
import time

from tests.harness.document_parts import agree_parts
from tests.harness.go_programs import BuildError, UnavailableError
from tests.matrix import record
from tests.matrix.outcome import ROOT, Outcome
from tests.matrix.versions import KUBERNETES, PYTHON, MissingError, on_kubernetes, on_python


def main() -> int:
    """Run what is asked for, or all; 1 where a test failed, 2 where a version could not be run."""
    options = _options()
    everything = not (options.kubernetes or options.python)
    chosen = [("Kubernetes", each) for each in (KUBERNETES if everything else options.kubernetes)]
    chosen += [("Python", each) for each in (PYTHON if everything else options.python)]
    status = 0
    for what, release in chosen:
        status = max(status, _one(what, release, short=options.short))
    return status


def _one(what: str, release: str, *, short: bool) -> int:
    _say(f"== {what} {release}")
    begun = time.monotonic()
    try:
        version, outcome = (
            on_kubernetes(release, _say, short=short) if what == "Kubernetes" else on_python(release)
        )
    except (BuildError, UnavailableError, MissingError) as error:
        _say(f"== {what} {release}: not run: {error}")
        return 2
    _say(f"== {what} {version}: {_summary(outcome)}, {time.monotonic() - begun:.0f} s")
    if outcome.is_good and not short:
        record.add(what, release, version, outcome)
        # At once: the tests of the next version look at it.
        agree_parts(ROOT / "docs" / "compatibility.md", {"versions": record.table()}, update=True)
    return 0 if outcome.is_good else 1


def _summary(outcome: Outcome) -> str:
    left_out = "".join(f"; {count} left out: {reason}" for reason, count in outcome.left_out.items())
    return f"{outcome.passed} passed, {len(outcome.failed)} failed{left_out}"


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make test-matrix ARGS=", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument(
        "--kubernetes", action="append", choices=KUBERNETES, default=[], help="may be repeated"
    )
    parser.add_argument("--python", action="append", choices=PYTHON, default=[], help="may be repeated")
    parser.add_argument("--short", action="store_true", help="the tests that tell most; nothing is recorded")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
