"""How long a Pod takes to have a member in a cluster of two, and an application that works with it.

Four sides take turns, each with two replicas: a member beside the application as Hazelcast's guide writes
it; the injector with the stock image; the injector with the image of member/Dockerfile; the same for an
application that does not wait. Times count from the
moment at which the first Pod is scheduled. The application is the demo's, ready when it is connected to its
member.
"""

import copy
import statistics
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from tests.bench.cluster import Pods, first_list, images, injector, log
from tests.bench.report import Report, Table, Target
from tests.e2e.conftest import namespace
from tests.e2e.kubectl import Kubectl, until

ROUNDS = 5
REPLICAS = 2
PREFIX = "sidecar.hazelcast.com/"

# What the guide's ConfigMap has: https://github.com/hazelcast-guides/kubernetes-sidecar
GUIDE_CONFIG = """\
hazelcast:
  network:
    join:
      multicast:
        enabled: false
      kubernetes:
        enabled: true
        namespace: {namespace}
"""
STOCK_IMAGE = "hazelcast/hazelcast:5.7.0"

Document = dict[str, Any]


@dataclass(frozen=True)
class Round:
    """One start of two replicas, seconds since the first of them was scheduled; the later one counts."""

    member_starts: float
    """The first line that the member's container prints."""
    members_two: float
    application_ready: float


def measure(*, quick: bool) -> Report:
    """Medians of each side, and the injector's part of the guide's time."""
    sides: dict[str, Callable[[Document], Document]] = {
        "guide": by_hand,
        "stock": annotated,
        "fast": lambda demo: annotated(demo, image=images().member),
        "beside": lambda demo: annotated(demo, image=images().member, wait="false"),
    }
    rounds: dict[str, list[Round]] = {side: [] for side in sides}
    with ExitStack() as stack:
        demo = stack.enter_context(injector())
        pods = {side: Pods(stack.enter_context(namespace(f"bench-{side}")).namespace) for side in sides}
        allow_the_guide(pods["guide"].kubectl)
        for number in range(2 if quick else ROUNDS):
            for side, change in sides.items():
                rounds[side].append(start(pods[side], change(named(demo, f"round-{number}"))))
    titles = {
        "guide": "as in the guide",
        "stock": "injected, stock image",
        "fast": "injected, fast image",
        "beside": 'injected, fast image, `wait: "false"`',
    }
    rows = [
        (
            titles[side],
            *(spread([getattr(one, field) for one in seen]) for field in Round.__dataclass_fields__),
        )
        for side, seen in rounds.items()
    ]
    columns = (
        "two replicas",
        "the member's first line",
        "Members {size:2} on both",
        "both applications ready",
    )
    targets = [
        Target(
            f"{what}, {titles[side]}, part of the guide's",
            median(rounds[side], field) / median(rounds["guide"], field),
            limit,
        )
        for side, field, what, limit in (
            ("fast", "members_two", "size:2 on both", 0.22),
            ("fast", "application_ready", "applications ready", 0.3),
            ("beside", "application_ready", "applications ready", 0.3),
        )
    ]
    title = "seconds since the first Pod was scheduled, median (least to most)"
    return Report(
        "member",
        [Table(title, columns, rows)],
        targets,
        {"rounds": {side: [vars(one) for one in seen] for side, seen in rounds.items()}},
    )


def median(rounds: list[Round], field: str) -> float:
    """The median of one figure of the rounds."""
    return float(statistics.median(getattr(one, field) for one in rounds))


def spread(figures: list[float]) -> str:
    """A median with the least and the most, as the tables show it."""
    return f"{statistics.median(figures):.1f} ({min(figures):.1f} to {max(figures):.1f})"


def start(pods: Pods, deployment: Document) -> Round:
    """Create a Deployment of two, wait until all is well, take it away again."""
    name = deployment["metadata"]["name"]
    pods.kubectl.apply(deployment)
    names = pods.of(name, REPLICAS)

    def both() -> list[tuple[float, float]] | None:
        logs = [log(pods.kubectl, pod) for pod in names]
        found = [(lines[0].time, first_list(lines, REPLICAS)) for lines in logs]
        return [(begun, two) for begun, two in found if two] if all(two for _, two in found) else None

    times = until(120, f"{name}: both members log two", both)
    seen = [pods.seen[pod] for pod in names]
    begun = min(one.scheduled or 0 for one in seen)
    pods.remove(name)
    return Round(
        max(first for first, _ in times) - begun,
        max(two for _, two in times) - begun,
        max(one.application_ready or 0 for one in seen) - begun,
    )


def named(demo: Document, name: str) -> Document:
    """The demo's Deployment with another name, for any namespace."""
    deployment = copy.deepcopy(demo)
    labels = {"app": name}
    deployment["metadata"] = {"name": name}
    deployment["spec"]["selector"]["matchLabels"] = labels
    deployment["spec"]["template"]["metadata"] = {"labels": labels}
    return deployment


def annotated(deployment: Document, **given: str) -> Document:
    """It asks for members."""
    annotations = {
        f"{PREFIX}inject": "true",
        **{PREFIX + key.replace("_", "-"): text for key, text in given.items()},
    }
    deployment["spec"]["template"]["metadata"]["annotations"] = annotations
    return deployment


def by_hand(deployment: Document) -> Document:
    """Its Pods have the guide's container: the image's own settings, and discovery by the Kubernetes API."""
    spec = deployment["spec"]["template"]["spec"]
    spec["automountServiceAccountToken"] = True
    spec["containers"].insert(
        0,
        {
            "name": "hazelcast",
            "image": STOCK_IMAGE,
            "ports": [{"name": "hazelcast", "containerPort": 5701}],
            "env": [{"name": "JAVA_OPTS", "value": "-Dhazelcast.config=/data/hazelcast/hazelcast.yaml"}],
            "volumeMounts": [{"name": "hazelcast-storage", "mountPath": "/data/hazelcast"}],
        },
    )
    spec["volumes"] = [{"name": "hazelcast-storage", "configMap": {"name": "hazelcast-configuration"}}]
    return deployment


def allow_the_guide(kubectl: Kubectl) -> None:
    """What the guide has one apply first: the configuration, and a right to read for the ServiceAccount."""
    name = kubectl.namespace
    configuration = {"hazelcast.yaml": GUIDE_CONFIG.format(namespace=name)}
    kubectl.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "hazelcast-configuration"},
            "data": configuration,
        }
    )
    kubectl("create", "rolebinding", "default-view", "--clusterrole=view", f"--serviceaccount={name}:default")
