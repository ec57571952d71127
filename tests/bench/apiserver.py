"""What a webhook costs the API server: creations a second and their latency, on a real kube-apiserver.

All sides share the machine: the API server, etcd, the clients and the webhook. The sides take turns, each
alone registered in its turn. The turns are short and many, and a side is compared with another one of the
same round, because a shared machine is faster and slower by a half for seconds at a time. `static` answers
every review with the same bytes: no webhook costs the API server less. Pods wait behind a scheduling gate,
and are removed after each turn. Deployments without an annotation are written, too: what that costs beside
no webhook.
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
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import yaml

from hazelcast_sidecar.names import INJECT
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
ELSEWHERE = "ours, namespace not chosen"
PLAIN = {
    "ours, Pods not annotated, of a Deployment": ("ReplicaSet", {"pod-template-hash": "7c9d8f6b54"}),
    "ours, of a StatefulSet": ("StatefulSet", {"statefulset.kubernetes.io/pod-name": "checkout-0"}),
    "ours, of a DaemonSet": ("DaemonSet", {"pod-template-generation": "1"}),
    "ours, of a Job": ("Job", {"batch.kubernetes.io/job-name": "checkout"}),
}
"""Sides with Pods that do not ask: who made them, and the label by which that is known."""
BARE = "ours, bare Pods not annotated"
WRITES, WRITES_OURS = "none, Deployments written", "ours, Deployments not annotated written"
SIDES = (NONE, ELSEWHERE, *PLAIN, BARE, OURS, STATIC, DIRECT, POLICY, WRITES, WRITES_OURS)
REGISTERED = {WRITES: NONE} | dict.fromkeys((ELSEWHERE, *PLAIN, BARE, WRITES_OURS), OURS)
"""What is registered, where the side is not called after it."""
CLIENTS = 16
ROUNDS, CREATED = 20, 300
REST_SECONDS = 0.3
"""Between the turns: what was removed still reaches the watches then."""
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
        time.sleep(REST_SECONDS)
        with self.registered(side):
            if side in (WRITES, WRITES_OURS):
                return self.send(f"{DEPLOYMENTS}/{_deployment('CLIENT')}", WRITTEN, count, "-update")
            pods = pods_in("default" if side == ELSEWHERE else CHOSEN)
            seen = self.send(pods, body_of(side), count, "-rate", str(rate))
        self.cluster.request("DELETE", f"{pods}?gracePeriodSeconds=0")
        return seen

    def send(self, path: str, body: dict[str, Any], count: int, *options: str) -> Seen:
        """Let the clients send so many requests."""
        file = self.folder / "body.json"
        file.write_text(json.dumps(body))
        command = [PROGRAMS / "create", "-url", self.cluster.url + path, "-ca", self.cluster.ca_file]
        command += ["-token", self.cluster.token, "-body", file, "-count", count, "-clients", CLIENTS]
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
        registered = REGISTERED.get(side, side)
        if registered == NONE:
            return []
        if side == POLICY:
            command = [str(Path(sys.executable).parent / "hazelcast-sidecar"), "policy"]
            text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            return list(yaml.safe_load_all(text))
        server = self.servers[registered]
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


DEPLOYMENTS = f"/apis/apps/v1/namespaces/{CHOSEN}/deployments"
WRITTEN = {"metadata": {"annotations": {"example.com/written": "NUMBER"}}}


def _deployment(client: int | str) -> str:
    return f"checkout-{client}"


def deployments() -> Iterator[dict[str, Any]]:
    """A Deployment for each client, with the typical Pod as its template."""
    pod = body_of(BARE)
    for client in range(CLIENTS):
        template = {"metadata": {"labels": pod["metadata"]["labels"]}, "spec": pod["spec"]}
        spec = {"replicas": 0, "selector": {"matchLabels": pod["metadata"]["labels"]}, "template": template}
        yield {"metadata": {"name": _deployment(client)}, "spec": spec}


def body_of(side: str) -> dict[str, Any]:
    """The Pod that a side creates."""
    pod = gated(annotated=side not in (NONE, ELSEWHERE, *PLAIN, BARE))
    metadata = pod["metadata"]
    if side == BARE:
        del metadata["ownerReferences"], metadata["labels"]["pod-template-hash"]
    elif side in PLAIN:
        kind, labels = PLAIN[side]
        del metadata["labels"]["pod-template-hash"]
        metadata["labels"] |= labels
        metadata["ownerReferences"][0] |= {"kind": kind}
    return pod


def gated(*, annotated: bool) -> dict[str, Any]:
    """The typical Pod of a Deployment behind a gate.

    Args:
        annotated: whether it asks for a member, and so has the label from its template.
    """
    pod = reviews.pod("typical")
    metadata = pod["metadata"]
    pod["spec"]["schedulingGates"] = [{"name": "example.com/never"}]
    if annotated:
        metadata["labels"][INJECT] = "true"
    else:
        notes = metadata["annotations"]
        metadata["annotations"] = {key: notes[key] for key in notes if "hazelcast" not in key}
    return pod


def measure(*, quick: bool) -> Report:
    """Medians of the rounds."""
    build()
    programs = find_programs(_announce)
    with TemporaryDirectory() as text, contextlib.ExitStack() as stack:
        folder = Path(text)
        cluster = stack.enter_context(ControlPlane(programs))
        labels = {"sidecar.hazelcast.com/injection": "enabled"}
        cluster.request("POST", NAMESPACES, {"metadata": {"name": CHOSEN, "labels": labels}})
        for deployment in deployments():
            cluster.request("POST", DEPLOYMENTS, deployment)
        certificate = make_certificate(folder)
        servers = dict(_servers(stack, folder, certificate))
        bench = Bench(cluster, servers, certificate, folder)
        for number in range(-1, 3 if quick else ROUNDS):  # the first one warms up
            for side in SIDES if number % 2 else reversed(SIDES):  # what came before weighs on nobody alone
                seen = bench.turn(side, CREATED)
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
    def median(figure: str, *sides: str, beside: str = "") -> float:
        """Of all rounds of the sides: of one figure, or of what it is to another side's in the same round."""
        figures: list[float] = [getattr(turn, figure) for side in sides for turn in seen[side]]
        others: list[float] = [getattr(turn, figure) for turn in seen.get(beside, ())] * len(sides)
        if not others:
            return statistics.median(figures)
        return statistics.median(mine / other for mine, other in zip(figures, others, strict=True))

    def least(what: str, beside: str, *sides: str, limit: float) -> Target:
        return Target(f"{what}, to {beside}", median("rate", *sides, beside=beside), limit, at_least=True)

    def most_cpu(what: str, *sides: str, limit: float) -> Target:
        return Target(f"CPU, {what}, to none", median("cpu", *sides, beside=NONE), limit)

    columns = ("webhook", "{}/s", "to none", "API server's CPU µs", "to none", "p50 ms", "p99 ms")

    def rows(none: str, sides: Iterable[str]) -> list[tuple[str | float, ...]]:
        return [
            (
                side,
                median("rate", side),
                median("rate", side, beside=none),
                median("cpu", side) * 1e6,
                median("cpu", side, beside=none),
                median("p50", side) * 1e3,
                median("p99", side) * 1e3,
            )
            for side in sides
        ]

    writes = (WRITES, WRITES_OURS)
    size = len(json.dumps(gated(annotated=True))) / 1024
    return Report(
        "apiserver",
        [
            Table(
                f"creations of a Pod of {size:.1f} KiB, {CLIENTS} clients",
                tuple(column.format("Pods") for column in columns),
                rows(NONE, [side for side in SIDES if side not in writes]),
            ),
            Table(
                f"writes of a Deployment of that Pod, {CLIENTS} clients",
                tuple(column.format("writes") for column in columns),
                rows(WRITES, writes),
            ),
            Table(
                f"annotated Pods at {RATE} a second, ours",
                ("", "creation p50 ms", "creation p99 ms", "admissions within 5 ms"),
                [("ours", steady.p50 * 1e3, steady.p99 * 1e3, f"{soon:.2%}")],
            ),
        ],
        [
            least("Pods/s, not annotated, of the four kinds", NONE, *PLAIN, limit=0.97),
            most_cpu("not annotated, of the four kinds", *PLAIN, limit=1.03),
            least("Pods/s, namespace not chosen", NONE, ELSEWHERE, limit=0.97),
            least("Pods/s, bare, not annotated", NONE, BARE, limit=0.75),
            most_cpu("bare, not annotated", BARE, limit=1.35),
            least("writes/s, not annotated", WRITES, WRITES_OURS, limit=0.97),
            least("Pods/s, ours", STATIC, OURS, limit=0.98),
            least("Pods/s, ours", DIRECT, OURS, limit=1.1),
            Target(f"share of admissions within 5 ms at {RATE} a second", soon, 0.99, at_least=True),
        ],
        {"turns": {side: [turn._asdict() for turn in turns] for side, turns in seen.items()}},
    )
