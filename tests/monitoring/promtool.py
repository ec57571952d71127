"""promtool, which comes with Prometheus: it checks rules and runs them on series that a test writes down."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from hazelcast_sidecar.monitoring.alerts import rule_groups

WHERE = "on Debian: apt-get install prometheus; else from the releases of Prometheus"


def promtool(*arguments: str, folder: Path) -> str:
    """Run it in a folder; what it said.

    Raises:
        AssertionError: it failed; the message has what it said.
    """
    program = shutil.which("promtool")
    if program is None:
        pytest.skip(f"promtool is not on PATH, so NO ALERT IS TESTED ({WHERE})")
    done = subprocess.run(
        [program, *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def write_rules(folder: Path) -> Path:
    """Write the alerts as Prometheus reads them."""
    path = folder / "rules.yaml"
    path.write_text(yaml.safe_dump(rule_groups()))
    return path


def rule_test(series: Mapping[str, str], minute: int, alert: str, fired: list[dict[str, Any]]) -> Any:
    """One test of promtool: after that many minutes of these series, the alert is on with these labels."""
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [{"eval_time": f"{minute}m", "alertname": alert, "exp_alerts": fired}],
    }


def run_rule_tests(folder: Path, *tests: Any) -> None:
    """Have promtool run them."""
    rules = write_rules(folder)
    path = folder / "tests.yaml"
    path.write_text(
        yaml.safe_dump({"rule_files": [rules.name], "evaluation_interval": "1m", "tests": list(tests)})
    )
    promtool("test", "rules", path.name, folder=folder)
