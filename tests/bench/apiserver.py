"""What a webhook costs the API server: creations a second and their latency, on a real kube-apiserver.

All sides share the machine: the API server, etcd, the clients and the webhook. The sides take turns, each
alone registered in its turn. `static` answers every review with the same bytes: no webhook costs the API
server less. Pods wait behind a scheduling gate, and are removed after each turn.
"""

import base64
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import yaml

from tests.bench import reviews
from tests.bench.report import Report, Table, Target
from tests.bench.servers import (
    DIRECT,
    OURS,
    PROGRAMS,
    ROOT,
    STATIC,
    Certificate,
    Server,
    build,
    make_certificate,
    running,
    template,
)
from tests.harness.control_plane import ControlPlane, find_programs
from tests.harness.procfs import cpu_seconds

NONE, POLICY = "none", "policy"
PLAIN, ELSEWHERE = "ours, Pods not annotated", "ours, namespace not chosen"
SIDES = (NONE, ELSEWHERE, PLAIN, OURS, STATIC, DIRECT, POLICY)
ROUNDS, CREATED = 5, 1200
RATE = 200
NAMESPACES = "/api/v1/namespaces"
CHOSEN = "chosen"
"""A namespace with the label by which the component `chosen-namespaces` chooses."""
HISTOGRAM = "apiserver_admission_webhook_admission_duration_seconds"
SOON_SECONDS = 0.005
ACTIVE_SECONDS = 60


class Seen(NamedTuple):
    """What the clients saw in one turn: creations a second, and times in seconds."""

    rate: float
    p50: float
    p99: float
    cpu: float
    """Of the API server, seconds for each creation."""


@dataclass
class Bench:
    """An API server, the servers it may call, and what was seen of each side."""

    cluster: ControlPlane
    servers: dict[str, Server]
    certificate: Certificate
    folder: Path
    seen: dict[str, list[Seen]] = field(default_factory=lambda: {side: [] for side in SIDES})

    def turn(self, side: str, count: int, rate: int = 0) -> Seen:
        """Create Pods with one side registered, and remove them and it."""
        pods = pods_in("default" if side == ELSEWHERE else CHOSEN)
        with self.registered(side):
            seen = self.create(pods, annotated=side not in (NONE, PLAIN, ELSEWHERE), count=count, rate=rate)
        self.cluster.request("DELETE", f"{pods}?gracePeriodSeconds=0")
        return seen

    def create(self, pods: str, *, annotated: bool, count: int, rate: int) -> Seen:
        """Let the clients create Pods in a namespace."""
        body = self.folder / ("annotated.json" if annotated else "plain.json")
        body.write_text(json.dumps(gated(annotated=annotated)))
        command = [PROGRAMS / "create", "-url", self.cluster.url + pods, "-ca", self.cluster.ca_file]
        command += ["-token", self.cluster.token, "-body", body]
        options = ["-count", str(count), "-rate", str(rate)]
        before = cpu_seconds(self.cluster.apiserver_pid)
        done = subprocess.run([*map(str, command), *options], check=False, capture_output=True, timeout=300)
        if done.returncode:
            sys.exit(f"make bench: {done.stderr.decode()}")
        found = json.loads(done.stdout)
        cpu = (cpu_seconds(self.cluster.apiserver_pid) - before) / found["created"]
        return Seen(found["created"] / found["seconds"], found["p50"], found["p99"], cpu)

    @contextlib.contextmanager
    def registered(self, side: str) -> Iterator[None]:
        """Have the API server call one side only, from the moment on that it really does."""
        objects = self._objects(side)
        text = yaml.safe_dump_all(objects)
        if objects:
            self.cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=text)
        try:
            self._wait_until(injected=bool(objects))
            yield
        finally:
            if objects:
                self.cluster.kubectl("delete", "-f", "-", stdin=text)
            self._wait_until(injected=False)

    def admissions(self) -> tuple[float, float]:
        """How often the API server called webhooks, and how often it had an answer within `SOON_SECONDS`."""
        path = ["get", "--raw", "/metrics"]
        lines = [
            line for line in self.cluster.kubectl(*path).stdout.splitlines() if line.startswith(HISTOGRAM)
        ]

        def total(wanted: Callable[[str], object]) -> float:
            return sum(float(line.rpartition(" ")[2]) for line in lines if wanted(line))

        soon = re.compile(rf'_bucket{{.*le="{SOON_SECONDS}"')
        return total(lambda line: line.startswith(f"{HISTOGRAM}_count")), total(soon.search)

    def _objects(self, side: str) -> list[dict[str, Any]]:
        if side == NONE:
            return []
        if side == POLICY:
            command = [str(Path(sys.executable).parent / "hazelcast-sidecar"), "policy"]
            text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            return list(yaml.safe_load_all(text))
        server = self.servers[OURS if side in (PLAIN, ELSEWHERE) else side]
        rendered = self.cluster.kubectl("kustomize", str(self._manifests(side))).stdout
        configuration = next(
            document
            for document in yaml.safe_load_all(rendered)
            if document["kind"] == "MutatingWebhookConfiguration"
        )
        configuration = deepcopy(configuration)
        for webhook in configuration["webhooks"]:
            url = f"https://127.0.0.1:{server.port}{webhook['clientConfig']['service']['path']}"
            authority = base64.b64encode(self.certificate.authority.read_bytes()).decode()
            webhook["clientConfig"] = {"url": url, "caBundle": authority}
        return [configuration]

    def _manifests(self, side: str) -> Path:
        """The folder to render: the manifests' base, or one with the component on top."""
        if side != ELSEWHERE:
            return ROOT / "manifests" / "base"
        whole = self.folder / "chosen-namespaces"
        whole.mkdir(exist_ok=True)
        manifests = os.path.relpath(ROOT / "manifests", whole)
        parts = {
            "resources": [f"{manifests}/base"],
            "components": [f"{manifests}/components/chosen-namespaces"],
        }
        (whole / "kustomization.yaml").write_text(yaml.safe_dump(parts))
        return whole

    def _wait_until(self, *, injected: bool) -> None:
        """Return when several Pods in a row are treated so."""
        deadline = time.monotonic() + ACTIVE_SECONDS
        in_a_row = 0
        while in_a_row < 5:
            if time.monotonic() > deadline:
                sys.exit(f"make bench: the API server did not take it up within {ACTIVE_SECONDS} s")
            answer = self.cluster.request("POST", f"{pods_in(CHOSEN)}?dryRun=All", gated(annotated=True))
            seen = "initContainers" in answer.document.get("spec", {})
            in_a_row = in_a_row + 1 if seen == injected else 0


def pods_in(namespace: str) -> str:
    """The path of a namespace's Pods."""
    return f"{NAMESPACES}/{namespace}/pods"


def gated(*, annotated: bool) -> dict[str, Any]:
    """The typical Pod behind a gate."""
    made = reviews.pod("typical")
    made["spec"]["schedulingGates"] = [{"name": "example.com/never"}]
    if not annotated:
        notes = made["metadata"]["annotations"]
        made["metadata"]["annotations"] = {key: notes[key] for key in notes if "hazelcast" not in key}
    return made


def measure(*, quick: bool) -> Report:
    """Medians of the rounds."""
    build()
    programs = find_programs(_announce)
    with TemporaryDirectory() as text, contextlib.ExitStack() as stack:
        folder = Path(text)
        cluster = stack.enter_context(ControlPlane(programs))
        labels = {"sidecar.hazelcast.com/injection": "enabled"}
        cluster.request("POST", NAMESPACES, {"metadata": {"name": CHOSEN, "labels": labels}})
        certificate = make_certificate(folder)
        servers = dict(_servers(stack, folder, certificate))
        bench = Bench(cluster, servers, certificate, folder)
        for number in range(-1, 1 if quick else ROUNDS):  # the first one warms up
            for side in SIDES if number % 2 else reversed(SIDES):  # what came before weighs on nobody alone
                seen = bench.turn(side, CREATED if number >= 0 else CREATED // 4)
                if number >= 0:
                    bench.seen[side].append(seen)
        before = bench.admissions()
        steady = bench.turn(OURS, RATE * (3 if quick else 15), RATE)
        calls, soon = (after - first for after, first in zip(bench.admissions(), before, strict=True))
    return _report(bench.seen, steady, soon / calls)


def _announce(line: str) -> None:
    sys.stderr.write(line + "\n")


def _servers(
    stack: contextlib.ExitStack, folder: Path, certificate: Certificate
) -> Iterator[tuple[str, Server]]:
    body = reviews.recorded("typical").read_bytes()
    given = folder / "template.json"
    given.write_text(json.dumps(template(reviews.pod("typical")["metadata"]["annotations"])))
    ours = stack.enter_context(running(OURS, folder, certificate, given, body, core=None))
    yield OURS, ours
    yield DIRECT, stack.enter_context(running(DIRECT, folder, certificate, given, body, core=None))
    answer = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}
    whole = folder / "answer.json"
    response = {**ours.answer(body), "uid": "UID"}
    whole.write_text(json.dumps({**answer, "response": response}, separators=(",", ":")))
    yield STATIC, stack.enter_context(running(STATIC, folder, certificate, whole, body, core=None))


def _report(seen: dict[str, list[Seen]], steady: Seen, soon: float) -> Report:
    rates = {side: statistics.median(turn.rate for turn in turns) for side, turns in seen.items()}
    cpu = {side: statistics.median(turn.cpu for turn in turns) for side, turns in seen.items()}
    rows = [
        (
            side,
            rates[side],
            rates[side] / rates[NONE],
            cpu[side] * 1e6,
            statistics.median(turn.p50 for turn in turns) * 1e3,
            statistics.median(turn.p99 for turn in turns) * 1e3,
        )
        for side, turns in seen.items()
    ]
    return Report(
        "apiserver",
        [
            Table(
                f"creations of a Pod of {len(json.dumps(gated(annotated=True))) / 1024:.1f} KiB, 16 clients",
                ("webhook", "Pods/s", "to none", "API server's CPU µs", "p50 ms", "p99 ms"),
                rows,
            ),
            Table(
                f"annotated Pods at {RATE} a second, ours",
                ("", "creation p50 ms", "creation p99 ms", "admissions within 5 ms"),
                [("ours", steady.p50 * 1e3, steady.p99 * 1e3, f"{soon:.2%}")],
            ),
        ],
        [
            Target("Pods/s, not annotated, to none", rates[PLAIN] / rates[NONE], 0.97, at_least=True),
            Target(
                "Pods/s, namespace not chosen, to none", rates[ELSEWHERE] / rates[NONE], 0.97, at_least=True
            ),
            Target("Pods/s, ours to static", rates[OURS] / rates[STATIC], 0.95, at_least=True),
            Target("Pods/s, ours to direct", rates[OURS] / rates[DIRECT], 1.1, at_least=True),
            Target(f"share of admissions within 5 ms at {RATE} a second", soon, 0.99, at_least=True),
        ],
        {"turns": {side: [turn._asdict() for turn in turns] for side, turns in seen.items()}},
    )
