"""A real Prometheus on this machine, which scrapes what PodMonitors say through the API server.

So it needs neither a way to the Pods' network nor the operator, whose part is played here: from a PodMonitor
to targets. What NetworkPolicies do to scrapes is tested elsewhere, from Pods.
"""

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

from tests.e2e.kubectl import Kubectl, until
from tests.harness.control_plane import Program
from tests.harness.ports import free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.http_client import Entrance

SCRAPE_SECONDS = 2
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


def targets_of(monitor: JsonObject, api: Entrance) -> list[JsonObject]:
    """The targets that a PodMonitor selects, with the labels that the operator gives them."""
    spec = monitor["spec"]
    anywhere = spec.get("namespaceSelector", {}).get("any", False)
    pods = Kubectl(monitor["metadata"]["namespace"])(
        "get", "pods", f"--selector={selector_text(spec['selector'])}", "--output=json",
        *(["--all-namespaces"] if anywhere else []),
    )  # fmt: skip
    (endpoint,) = spec["podMetricsEndpoints"]
    return [
        {
            "targets": [f"{api.host}:{api.port}"],
            "labels": {
                "__metrics_path__": f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}:"
                f"{port['containerPort']}/proxy/metrics",
                "instance": f"{pod['status']['podIP']}:{port['containerPort']}",
                "namespace": meta["namespace"],
                "pod": meta["name"],
                "container": container["name"],
                **labels_of(endpoint, meta["labels"]),
            },
        }
        for pod in json.loads(pods)["items"]
        for meta in [pod["metadata"]]
        if pod["status"]["phase"] == "Running" and "deletionTimestamp" not in meta
        for container in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]
        for port in container.get("ports", [])
        if port.get("name") == endpoint["port"]
    ]


def selector_text(selector: JsonObject) -> str:
    """A selector as kubectl takes it."""
    terms = [f"{key}={value}" for key, value in selector.get("matchLabels", {}).items()]
    for expression in selector.get("matchExpressions", []):
        assert expression["operator"] == "Exists", expression
        terms.append(expression["key"])
    return ",".join(terms)


def labels_of(endpoint: JsonObject, labels: JsonObject) -> JsonObject:
    """What its relabelings make of a Pod's labels."""
    discovered = {
        f"__meta_kubernetes_pod_label_{re.sub(r'[^a-zA-Z0-9_]', '_', k)}": v for k, v in labels.items()
    }
    return {each["targetLabel"]: discovered[each["sourceLabels"][0]] for each in endpoint["relabelings"]}


def job_of(monitor: JsonObject, api: Entrance) -> JsonObject:
    """A PodMonitor as a job of Prometheus."""
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    job = {
        "job_name": f"{monitor['metadata']['namespace']}/{monitor['metadata']['name']}",
        "honor_labels": endpoint.get("honorLabels", False),
        "static_configs": targets_of(monitor, api),
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
def running_prometheus(
    folder: Path, monitors: list[JsonObject], rules: JsonObject, api: Entrance
) -> Iterator[Prometheus]:
    """Run one with these rules, until every target is up."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip(
            "prometheus is not on PATH, so NO QUERY IS TESTED (on Debian: apt-get install prometheus)"
        )
    (port,) = free_ports(1)
    here = {"targets": [f"{api.host}:{api.port}"]}
    config = {
        "global": {"scrape_interval": f"{SCRAPE_SECONDS}s", "evaluation_interval": f"{SCRAPE_SECONDS}s"},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [
            *(job_of(monitor, api) for monitor in monitors),
            {"job_name": "apiserver", "static_configs": [here]},
        ],
    }
    (folder / "rules.yaml").write_text(yaml.safe_dump(rules))
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    command = [program, f"--config.file={folder}/prometheus.yaml", f"--storage.tsdb.path={folder}/data"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]
    started = Program("prometheus", command, folder / "prometheus.log")
    try:
        prometheus = Prometheus(port)
        started.wait_until(prometheus.is_ready)
        until(UP_SECONDS, "every target is up", lambda: all_up(prometheus.targets()))
        yield prometheus
    finally:
        started.stop()


def all_up(targets: dict[str, list[str]]) -> bool:
    """Whether they all are."""
    return all(health == "up" for healths in targets.values() for health in healths)
