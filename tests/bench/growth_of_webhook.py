"""How the webhook's cost of a review grows with the Pod in it: more annotations, more containers.

The reviewer alone, in this program; CPU time, the sizes in turns.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from hazelcast_sidecar.injection.reviewer import Reviewer
from tests.bench.report import Table, Target

ANNOTATION_KIB = (1, 2, 4, 8, 16, 32, 64)
CONTAINERS = (1, 3, 10, 30, 100)
REVIEWS = 20
"""Of each size in a round, each of another workload."""


def by_annotations() -> dict[str, Callable[[int], bytes]]:
    """What makes a review of each size."""
    return {f"{kib} KiB": _annotated(kib << 10) for kib in ANNOTATION_KIB}


def by_containers() -> dict[str, Callable[[int], bytes]]:
    """What makes a review of each size."""
    return {f"{count} containers": _of_containers(count) for count in CONTAINERS}


def _annotated(size: int) -> Callable[[int], bytes]:
    """Reviews of Pods that carry so many bytes of others' annotations."""
    return lambda number: _review(number, {"example.com/note": "n" * size}, 1)


def _of_containers(count: int) -> Callable[[int], bytes]:
    return lambda number: _review(number, {}, count)


def _review(number: int, annotations: dict[str, str], containers: int) -> bytes:
    """A review as an API server sends it; the number makes the workload."""
    made = [
        {
            "name": f"app-{index}",
            "image": f"registry.example/shop/app-{index}:1.4.2",
            "ports": [{"name": f"http-{index}", "containerPort": 20000 + index, "protocol": "TCP"}],
            "env": [{"name": f"SETTING_{name}", "value": "a value of some length"} for name in range(5)],
            "resources": {"limits": {"memory": "256Mi"}, "requests": {"cpu": "50m", "memory": "64Mi"}},
            "volumeMounts": [{"name": "token", "mountPath": "/var/run/secrets", "readOnly": True}],
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File",
            "imagePullPolicy": "IfNotPresent",
        }
        for index in range(containers)
    ]
    metadata = {
        "generateName": f"shop-{number}-5d4f8c7b9d-",
        "labels": {"app": f"shop-{number}", "pod-template-hash": "5d4f8c7b9d"},
        "annotations": {"sidecar.hazelcast.com/inject": "true", **annotations},
        "ownerReferences": [
            {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "name": f"shop-{number}-5d4f8c7b9d",
                "uid": f"00000000-0000-4000-8000-{number:012}",
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    }
    spec = {"containers": made, "volumes": [{"name": "token", "emptyDir": {}}], "restartPolicy": "Always"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    request = {
        "uid": f"11111111-0000-4000-8000-{number:012}",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "namespace": "shop",
        "operation": "CREATE",
        "userInfo": {"username": "system:serviceaccount:kube-system:replicaset-controller"},
        "object": pod,
        "oldObject": None,
        "dryRun": False,
    }
    review = {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request}
    return json.dumps(review, separators=(",", ":")).encode()


@dataclass(frozen=True)
class Reviewed:
    """One size: bytes of a review, and CPU microseconds for one."""

    what: str
    size: int
    first: float
    """Of its workload: no answer is kept."""
    further: float

    @property
    def first_byte(self) -> float:
        """Nanoseconds."""
        return self.first / self.size * 1e3

    @property
    def further_byte(self) -> float:
        """Nanoseconds."""
        return self.further / self.size * 1e3


def run(sizes: dict[str, Callable[[int], bytes]], rounds: int) -> list[Reviewed]:
    """The least of the rounds: all else is somebody else's work on the same machine."""
    bodies = {what: [review(number) for number in range(REVIEWS)] for what, review in sizes.items()}
    costs: dict[str, tuple[list[float], list[float]]] = {what: ([], []) for what in sizes}
    for _ in range(rounds):
        for what, texts in bodies.items():
            reviewer = Reviewer()
            for cost in costs[what]:
                began = time.process_time()
                answers = [reviewer.review_pod(text) for text in texts]
                cost.append((time.process_time() - began) / len(texts) * 1e6)
                if any(b'"patch"' not in answer.body for answer in answers):
                    sys.exit(f"make bench: a Pod of {what} was not injected")
    return [
        Reviewed(what, len(bodies[what][0]), min(first), min(further))
        for what, (first, further) in costs.items()
    ]


def table(what: str, rows: list[Reviewed]) -> Table:
    """A row for each size."""
    columns = ("a Pod of", "review KiB", "first µs", "ns a byte", "further µs", "ns a byte")
    cells = [
        (r.what, r.size / 1024, r.first, r.first / r.size * 1e3, r.further, r.further / r.size * 1e3)
        for r in rows
    ]
    return Table(
        f"webhook, CPU of a review by {what}: the first of its workload, and a further one", columns, cells
    )


def targets(rows: list[Reviewed]) -> list[Target]:
    """A byte of the largest costs no more than one of the smallest."""
    first, last = rows[0], rows[-1]
    name = f"CPU a byte, {last.what} to {first.what}"
    return [
        Target(f"{name}, first of its workload", last.first_byte / first.first_byte, 1.0),
        Target(f"{name}, further ones", last.further_byte / first.further_byte, 1.0),
    ]
