"""A real Prometheus on this machine, which does what PodMonitors say; the operator's part is played here."""

from __future__ import annotations

import contextlib
import json
import math
import re
import shutil
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.harness.control_plane import Program
from tests.harness.ports import free_ports
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRAPE_SECONDS = 3
UP_SECONDS = 60
JsonObject = dict[str, Any]


class Prometheus:
    """Its HTTP API."""

    def __init__(self, port: int) -> None:
        self._port = port

    def ask(self, path: str, **query: str) -> Any:
        """The data of an answer of its API.

        Raises:
            AssertionError: it is an error.
        """
        words = urllib.parse.urlencode(query)
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self._port}/api/v1/{path}?{words}", timeout=30
            ) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path} {query}: {error.read().decode()}") from error

    def values(self, expression: str) -> list[float]:
        """The values of an expression now, those alone that are numbers."""
        result = self.ask("query", query=expression)["result"]
        return [value for value in (float(series["value"][1]) for series in result) if math.isfinite(value)]

    def is_ready(self) -> bool:
        """Whether it answers queries."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def targets(self) -> dict[str, list[str]]:
        """What it scrapes, by job: `up`, or what went wrong."""
        found: dict[str, list[str]] = {}
        for target in self.ask("targets", state="active")["activeTargets"]:
            health = "up" if target["health"] == "up" else target["lastError"] or "not scraped yet"
            found.setdefault(target["labels"]["job"], []).append(health)
        return found


def job_of(monitor: JsonObject, targets: list[JsonObject]) -> JsonObject:
    """A PodMonitor as a job of Prometheus.

    Args:
        monitor: the PodMonitor, of one endpoint.
        targets: what it selects, as Prometheus has targets that are written down.
    """
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    job = {
        "job_name": f"{monitor['metadata']['namespace']}/{monitor['metadata']['name']}",
        "honor_labels": endpoint.get("honorLabels", False),
        "static_configs": targets,
    }
    if "metricRelabelings" in endpoint:
        job["metric_relabel_configs"] = [snake_case(each) for each in endpoint["metricRelabelings"]]
    bounds = {key: value for key, value in monitor["spec"].items() if key.endswith("Limit")}
    return job | snake_case(bounds)


def snake_case(fields: JsonObject) -> JsonObject:
    """The same fields, as Prometheus names them."""
    return {
        re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", key): value for key, value in fields.items()
    }


@contextlib.contextmanager
def running_prometheus(folder: Path, jobs: list[JsonObject], rules: JsonObject) -> Iterator[Prometheus]:
    """Run one with these rules, until every target is up.

    Args:
        folder: takes its files.
        jobs: what it scrapes.
        rules: as a rule file has them.
    """
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip(
            "prometheus is not on PATH, so NO QUERY IS TESTED (on Debian: apt-get install prometheus)"
        )
    (port,) = free_ports(1)
    config = {
        "global": {"scrape_interval": f"{SCRAPE_SECONDS}s", "evaluation_interval": f"{SCRAPE_SECONDS}s"},
        "rule_files": ["rules.yaml"],
        "scrape_configs": jobs,
    }
    (folder / "rules.yaml").write_text(yaml.safe_dump(rules))
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    command = [program, f"--config.file={folder}/prometheus.yaml", f"--storage.tsdb.path={folder}/data"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]
    started = Program("prometheus", command, folder / "prometheus.log")
    try:
        prometheus = Prometheus(port)
        started.wait_until(prometheus.is_ready)
        try:
            until(UP_SECONDS, "every target is up", lambda: all_up(prometheus.targets()))
        except AssertionError as error:
            raise AssertionError(f"{error}: {prometheus.targets()}") from None
        yield prometheus
    finally:
        started.stop()


def all_up(targets: dict[str, list[str]]) -> bool:
    """Whether they all are; in the beginning it knows of none."""
    return bool(targets) and all(health == "up" for healths in targets.values() for health in healths)
