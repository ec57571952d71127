"""Coverage by the tests that need neither a cluster nor members, and by each of them. `make coverage`."""

import subprocess
import sys
from pathlib import Path

from coverage import Coverage

PACKAGE = Path("webhook") / "hazelcast_sidecar"
ALL_TESTS = Path("tests")
AREAS = {
    "core": (
        *("injection", "spec", "model", "group_objects", "admission_policies", "installation", "members"),
        "manifest_text",
        *(
            "cache.py",
            "cel.py",
            "certificates.py",
            "errors.py",
            "limits.py",
            "names.py",
            "owners.py",
            "text.py",
            "untrusted.py",
        ),
    ),
    "server": ("server", "runtime"),
    "controller": ("controller",),
    "checks": ("checks",),
}
TESTS = (
    *("tests/unit", "tests/golden", "tests/cli", "tests/properties", "tests/fuzz"),
    *("tests/server/test_app.py", "tests/server/test_clients.py", "tests/server/test_listening.py"),
    "tests/server/test_tls.py",
    "--ignore=tests/unit/test_speed.py",
)
"""Those that run the package in their own process; not the one that compares its speed."""
DATA = Path("build") / "coverage"  # as pyproject.toml says
OF_CORE = 96
"""Percent of the core's statements and branches that they run at least; CONTRIBUTING.md names it, too."""


def main() -> int:
    """Print what the tests do not run of the core; 1 where that is more than it was."""
    measure()
    found = Coverage(data_file=str(DATA))
    found.load()
    core = [str(path) for path in files_of("core")]
    percent = found.report(include=core, skip_covered=True, show_missing=True)
    if percent < OF_CORE:
        print(f"error: {percent:.1f} % of the core, and {OF_CORE} are demanded: test what is new")  # noqa: T201
    return int(percent < OF_CORE)


def measure() -> None:
    """Run the tests once, and keep which lines each of them runs.

    Raises:
        CalledProcessError: one fails without a fault.
    """
    DATA.unlink(missing_ok=True)
    DATA.parent.mkdir(exist_ok=True)
    once = ["-q", "-n", "2", "--hypothesis-profile=quick", "--cov", "--cov-context=test", "--cov-report="]
    subprocess.run([sys.executable, "-m", "pytest", *once, *TESTS], check=True)


def is_stale() -> bool:
    """Tell whether there is no measurement of the package and the tests as they are.

    Of a test that has another name by now, every fault would seem to be noticed.
    """
    changed = max(path.stat().st_mtime for folder in (PACKAGE, ALL_TESTS) for path in folder.rglob("*.py"))
    return not DATA.exists() or DATA.stat().st_mtime < changed


def files_of(area: str) -> list[Path]:
    """List the modules of an area."""
    parts = [PACKAGE / part for part in AREAS[area]]
    return sorted(path for part in parts for path in ([part] if part.is_file() else part.rglob("*.py")))


if __name__ == "__main__":
    sys.exit(main())
