"""What it costs to inject megabytes of manifests, beside kubectl reading the same file.

CPU seconds and the highest memory of one process each: `kubectl annotate --local`, which needs no cluster,
reads every object and prints it again.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from tests.bench.report import Report, Table, Target
from tests.harness.control_plane import find_programs
from tests.harness.go_programs import UnavailableError

COMMAND = Path(sys.executable).parent / "hazelcast-sidecar"
SIZE = 5_000_000
CPU_SECONDS, MEGABYTES = 8, 200

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: shop-{number}
spec:
  replicas: 2
  selector:
    matchLabels:
      app: shop-{number}
  template:
    metadata:
      labels:
        app: shop-{number}
      annotations:
        {annotation}: "true"
    spec:
      containers:
        - name: shop
          image: registry.example/shop:1
          securityContext:
            allowPrivilegeEscalation: false
            capabilities:
              drop: [ALL]
          livenessProbe:
            httpGet:
              path: /healthz
              port: 8080
          readinessProbe:
            httpGet:
              path: /ready
              port: 8080
            periodSeconds: 5
          resources:
            requests:
              cpu: 100m
              memory: 128Mi
            limits:
              cpu: 500m
              memory: 256Mi
          ports:
            - containerPort: 8080
          env:
            - name: DATABASE_URL
              valueFrom:
                secretKeyRef:
                  name: shop-database
                  key: url
            - name: LOG_LEVEL
              value: info
          volumeMounts:
            - name: config
              mountPath: /etc/shop
              readOnly: true
      affinity:
        podAntiAffinity:
          preferredDuringSchedulingIgnoredDuringExecution:
            - weight: 100
              podAffinityTerm:
                topologyKey: kubernetes.io/hostname
                labelSelector:
                  matchLabels:
                    app: shop-{number}
      volumes:
        - name: config
          configMap:
            name: shop-config
"""
ASKING, OTHER = "sidecar.hazelcast.com/inject", "example.com/note"


class _Cost(NamedTuple):
    """What one run took."""

    cpu: float
    megabytes: float


def documents(size: int, annotation: str) -> str:
    """So many bytes of Deployments, as documents."""
    return "---\n".join(_deployments(size // len(DEPLOYMENT), annotation))


def a_list(count: int, annotation: str) -> str:
    """A List of so many Deployments."""
    items = (text.replace("\n", "\n  ").rstrip(" ") for text in _deployments(count, annotation))
    return "apiVersion: v1\nkind: List\nitems:\n" + "".join(f"- {item}" for item in items)


def _deployments(count: int, annotation: str) -> list[str]:
    return [DEPLOYMENT.format(number=number, annotation=annotation) for number in range(count)]


def measure(*, quick: bool) -> Report:
    """CPU and memory of `inject` and of kubectl for each file."""
    size = SIZE // 10 if quick else SIZE
    count = size // len(DEPLOYMENT)
    files: dict[str, Callable[[], str]] = {
        "documents, none annotated": lambda: documents(size, OTHER),
        "documents, all annotated": lambda: documents(size, ASKING),
        "a List of 500 Deployments, all annotated": lambda: a_list(500, ASKING),
        "a List of 1000 Deployments, all annotated": lambda: a_list(1000, ASKING),
        "one List, all annotated": lambda: a_list(count, ASKING),
    }
    try:
        kubectl: Path | None = find_programs(print) / "kubectl"
    except UnavailableError:
        kubectl = None
    rows: list[tuple[str | float, ...]] = []
    costs: list[_Cost] = []
    with TemporaryDirectory() as folder:
        path = Path(folder) / "manifests.yaml"
        for name, text in files.items():
            path.write_text(text())
            ours = _run([COMMAND, "inject", path])
            costs.append(ours)
            theirs = (
                _run([kubectl, "annotate", "--local", "-f", path, "-o", "json", "a=b"]) if kubectl else None
            )
            beside = (theirs.cpu, theirs.megabytes) if theirs else ("-", "-")
            rows.append((name, path.stat().st_size / 1e6, ours.cpu, ours.megabytes, *beside))
    columns = ("file", "MB", "inject, CPU s", "MiB", "kubectl, CPU s", "MiB")
    return Report(
        "manifests",
        [Table("manifests read and rewritten", columns, rows)],
        [
            Target("most CPU for a file, seconds", max(cost.cpu for cost in costs), CPU_SECONDS),
            Target("most memory for a file, MiB", max(cost.megabytes for cost in costs), MEGABYTES),
        ],
        {"costs": json.loads(json.dumps(costs))},
    )


def _run(command: list[str | Path]) -> _Cost:
    """Run a program to its end."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command[0]} ended with {process.returncode}")
    return _Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
