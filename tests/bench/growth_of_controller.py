"""How the controller's costs grow with the number of injected Pods.

It starts where all Pods are there and nothing beside them yet, as after an outage; then it starts anew where
nothing is left to do, and is watched in peace. Each size has a kube-apiserver and an etcd of its own.
"""

import contextlib
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import unquote

from hazelcast_sidecar.names import GROUP
from tests.bench.report import Table, Target
from tests.harness.accounts import NAME, Account, ship
from tests.harness.audit_log import Asked, asked
from tests.harness.control_plane import ControlPlane
from tests.harness.controller_program import Controller, started
from tests.harness.installation import put_configuration
from tests.harness.kept_objects import kept
from tests.harness.many_pods import create_all, pod_of
from tests.harness.namespaces import create_namespace
from tests.harness.procfs import cpu_seconds
from tests.harness.waiting import until

PODS_OF_GROUP, GROUPS_OF_NAMESPACE = 10, 10
SETTLE_SECONDS = 5.0
"""After the last write, until word of it has come back."""
CONVERGE_SECONDS = 600

NO_WORSE = 1.25
"""What noise may add to CPU time that is to grow linearly."""
KIB_OF_POD = 4.0
"""Of memory, at most, where there are so many Pods that one can tell: FROM_PODS."""
FROM_PODS = 10_000
EVENTS = {"events"}
"""Events are told five a second, until long after."""
CERTIFICATES = {"secrets", "mutatingwebhookconfigurations"}
"""What the leader looks at every three seconds, however many Pods there are."""
CONSTANT = {*EVENTS, *CERTIFICATES, "leases"}
"""What is asked for at a rate that Pods do not change."""


@dataclass(frozen=True)
class Converged:
    """One size; times in seconds, memory in MiB."""

    pods: int
    idle: float
    """Memory without any Pod."""
    converged: float
    """From leading until each group has what it needs."""
    cpu: float
    """Of the controller, from its start until then."""
    written: int
    """Requests for that, without those of CONSTANT."""
    memory: float
    known: float
    """From the start of a controller that has nothing to do until it knows every Pod."""
    listed: dict[str, int]
    """What it asked for until all was told."""
    memory_listed: float
    peace: dict[str, int]
    """What it asked for afterwards, in so many seconds."""
    restless: int
    """Those among these that are neither a watch, nor the Lease's, CERTIFICATES or a page of the audit."""


def run(programs: Path, pods: int, peace: float) -> Converged:
    """Measure one size.

    Args:
        programs: what a control plane consists of.
        pods: how many.
        peace: for how many seconds nothing happens in the end.
    """
    with TemporaryDirectory() as text, ControlPlane(programs, audit=True) as cluster:
        folder = Path(text)
        account = ship(cluster, folder)
        put_configuration(cluster)
        with _leading(cluster, account, folder, "idle") as controller:
            time.sleep(SETTLE_SECONDS)
            idle = controller.memory()
        groups = _create(cluster, pods)
        done = _has_all(pods, groups)
        offset = cluster.audit_log.stat().st_size
        with _leading(cluster, account, folder, "converging") as controller:
            converged = until(CONVERGE_SECONDS, "each group has its objects", lambda: done(controller))
            cpu = cpu_seconds(controller.program.pid)
            time.sleep(SETTLE_SECONDS)
            memory = controller.memory()
            _check(cluster, groups)
        requests = asked(cluster, account.user, offset)
        written = sum(request.resource not in CONSTANT for request in requests)
        offset, began = cluster.audit_log.stat().st_size, time.monotonic()
        with _leading(cluster, account, folder, "again") as controller:
            until(CONVERGE_SECONDS, "all Pods are known", lambda: controller.metric("watched_pods") == pods)
            known = time.monotonic() - began
            until(CONVERGE_SECONDS, "its queue is empty", lambda: controller.metric("queue_depth") == 0)
            _until_all_is_told(cluster, account)
            listed, offset = asked(cluster, account.user, offset), cluster.audit_log.stat().st_size
            time.sleep(peace)
            quiet, memory_listed = asked(cluster, account.user, offset), controller.memory()
    return Converged(
        pods,
        idle,
        converged,
        cpu,
        written,
        memory,
        known,
        _counted(listed),
        memory_listed,
        _counted(quiet),
        sum(not _is_expected(request) for request in quiet),
    )


@contextlib.contextmanager
def _leading(cluster: ControlPlane, account: Account, folder: Path, name: str) -> Iterator[Controller]:
    """Run one that leads; the Lease of the one before is in nobody's way."""
    lease = f"/apis/coordination.k8s.io/v1/namespaces/{account.namespace}/leases/{NAME}"
    cluster.request("DELETE", lease)
    controller = Controller(account, folder / f"{name}.log", name)
    with started(controller):
        until(60, "it leads", controller.leads)
        yield controller


def _create(cluster: ControlPlane, pods: int) -> list[tuple[str, str]]:
    """Create Pods as the webhook leaves them; their groups, by namespace and name."""
    count = pods // (PODS_OF_GROUP * GROUPS_OF_NAMESPACE)
    groups = [
        (namespace, f"shop-{number}")
        for namespace in [create_namespace(cluster, {}) for _ in range(count)]
        for number in range(GROUPS_OF_NAMESPACE)
    ]
    create_all(
        cluster,
        [
            pod_of(namespace, group, number, padding=2048)
            for number in range(PODS_OF_GROUP)
            for namespace, group in groups
        ],
    )
    return groups


def _has_all(pods: int, groups: list[tuple[str, str]]) -> Callable[[Controller], bool]:
    def seen(controller: Controller) -> bool:
        return (
            controller.metric("watched_pods") == pods
            and controller.metric("reconciles_total") >= len(groups)
            and controller.metric("queue_depth") == 0
        )

    return seen


def _check(cluster: ControlPlane, groups: list[tuple[str, str]]) -> None:
    """End the run unless each group has exactly one of each object."""
    namespaces = sorted({namespace for namespace, _ in groups})
    for kind in ("ConfigMap", "Service"):
        if kept(cluster, kind, namespaces) != Counter(groups):
            sys.exit(f"make bench: not every group has its {kind}")


def _until_all_is_told(cluster: ControlPlane, account: Account) -> None:
    """Return when there were no Events for a while."""
    deadline = time.monotonic() + CONVERGE_SECONDS
    while time.monotonic() < deadline:
        offset = cluster.audit_log.stat().st_size
        time.sleep(SETTLE_SECONDS)
        if not any(request.resource in EVENTS for request in asked(cluster, account.user, offset)):
            return
    sys.exit(f"make bench: Events are still told after {CONVERGE_SECONDS} s")


def _counted(requests: list[Asked]) -> dict[str, int]:
    return dict(Counter(f"{request.verb} {request.resource}" for request in requests).most_common())


def _is_expected(request: Asked) -> bool:
    is_audit = request.verb == "list" and f"labelSelector=!{GROUP}" in unquote(request.uri)
    return request.verb == "watch" or request.resource in {*CERTIFICATES, "leases"} or is_audit


def table(found: list[Converged]) -> Table:
    """A row for each size."""
    columns = (
        "Pods",
        "converged s",
        "CPU s",
        "requests",
        "MiB",
        "known again s",
        "requests",
        "MiB",
        "then, in peace",
    )
    rows = [
        (
            f"{size.pods:,}",
            size.converged,
            size.cpu,
            size.written,
            size.memory,
            size.known,
            sum(count for what, count in size.listed.items() if what.split()[1] not in CONSTANT),
            size.memory_listed,
            ", ".join(f"{count} {what}" for what, count in size.peace.items()),
        )
        for size in found
    ]
    return Table(f"controller ({found[0].idle:.0f} MiB without Pods)", columns, rows)


def targets(found: list[Converged]) -> list[Target]:
    """Linear, from the last size but one to the last; and no request in peace."""
    before, last = found[-2:]
    factor = last.pods / before.pods
    sizes = f"{last.pods:,} Pods to {before.pods:,}"
    found_targets = [
        Target(f"CPU to converge, {sizes}", last.cpu / before.cpu, factor * NO_WORSE),
        Target(f"requests to converge, {sizes}", last.written / before.written, factor),
        Target("requests in peace for Pods, groups or Events", sum(s.restless for s in found), 0),
    ]
    if last.pods >= FROM_PODS:
        grown = max(last.memory, last.memory_listed) - last.idle
        found_targets.append(Target("memory, KiB a Pod", grown * 1024 / last.pods, KIB_OF_POD))
    return found_targets
