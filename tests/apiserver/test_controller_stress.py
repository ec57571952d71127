"""The controller under load, and with an API server that forgets, refuses, hangs and hangs up."""

import asyncio
import contextlib
import http.client
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import load_kube_config

from hazelcast_sidecar.controller.reconcile.groups import Groups
from hazelcast_sidecar.controller.shared.controller_metrics import ControllerMetrics
from hazelcast_sidecar.controller.shared.reflector import Reflector
from hazelcast_sidecar.controller.shared.watched_pods import WatchedPods
from hazelcast_sidecar.kube.client import Api
from hazelcast_sidecar.kube.objects import POD
from hazelcast_sidecar.names import PREFIX
from tests.harness.accounts import NAME, Account
from tests.harness.audit_log import Asked, asked, verbs
from tests.harness.control_plane import ControlPlane
from tests.harness.controller_program import LEASE_SECONDS, Controller, started
from tests.harness.group_pods import api, create_pod, delete_pod
from tests.harness.kept_objects import FOLDERS, is_as_rendered, kept, kinds_found, path_of, wait_for, wanted
from tests.harness.line import Line
from tests.harness.many_pods import connect, create_all, fresh_namespaces, pod_of
from tests.harness.waiting import SETTLE_SECONDS, until

pytestmark = [pytest.mark.apiserver, pytest.mark.slow]


# --- many Pods ---------------------------------------------------------------------------------------------


def test_two_thousand_pods_at_once(
    cluster: ControlPlane, controller: Controller, shipped: Account, say: Callable[[str], None]
) -> None:
    """After an outage a cluster comes back at once: each object is written once, in whatever order."""
    count, replicas = 200, 10
    with fresh_namespaces(cluster, count) as namespaces:
        idle, offset = controller.memory(), cluster.audit_log.stat().st_size
        pods = [pod_of(name, "shop", number) for number in range(replicas) for name in namespaces]
        created = create_all(cluster, pods)
        groups = {(name, "shop"): 1 for name in namespaces}
        converged = until(
            60,
            "every group has exactly one of each",
            lambda: all(kept(cluster, kind, namespaces) == groups for kind in ("ConfigMap", "Service")),
        )
        until(120, "all Pods are known", lambda: controller.metric("watched_pods") == len(pods))
        until(120, "the queue is empty", lambda: controller.metric("queue_depth") == 0)
        counts = verbs(cluster, shipped.user, offset)
        say(
            f"{len(pods)} Pods in {count} namespaces created in {created:.1f} s "
            f"({len(pods) / created:.0f}/s), converged {converged:.2f} s after the last; "
            f"requests {dict(counts.most_common())}; memory {idle:.0f} MiB before, "
            f"{controller.memory():.0f} after, {controller.memory('VmHWM'):.0f} at the highest"
        )
        told = counts.pop("patch events", 0)
        assert told <= count, "one Event for each workload, at most: they are written more slowly"
        written = sum(number for what, number in counts.items() if what.startswith("patch"))
        assert 2 * count <= written <= 2.2 * count, "a further Pod of a group changes nothing"
        assert not any(kept(cluster, kind, namespaces) for kind in ("PodDisruptionBudget", "RoleBinding"))
        for name in namespaces:
            assert is_as_rendered(cluster, wanted(name, "shop", "dns"), "shop")
        assert controller.memory("VmHWM") < 160, "the manifest's limit is 256 MiB"


GROWTH_MIB = 40
"""What ten thousand Pods may cost."""


def test_ten_thousand_pods_cost_little_memory(
    cluster: ControlPlane,
    controller: Controller,
    shipped: Account,
    tmp_path: Path,
    say: Callable[[str], None],
) -> None:
    """However they are learned of: one by one as they are created, or all at once in the first list."""
    groups, replicas = 10, 10
    until(120, "no Pods are left of another test", lambda: controller.metric("watched_pods") == 0)
    idle = controller.memory()
    with fresh_namespaces(cluster, 100) as namespaces:
        pods = [
            pod_of(name, f"shop-{group}", number, padding=2048)
            for number in range(replicas)
            for group in range(groups)
            for name in namespaces
        ]
        created = create_all(cluster, pods)
        until(120, "all Pods are known", lambda: controller.metric("watched_pods") == len(pods))
        until(120, "the queue is empty", lambda: controller.metric("queue_depth") == 0)
        other = Controller(shipped, tmp_path / "other.log", "two")
        with started(other):
            listed = until(120, "all are listed", lambda: other.metric("watched_pods") == len(pods))
            figures = {
                "watched": controller.memory(),
                "watched, at the highest": controller.memory("VmHWM"),
                "listed": other.memory(),
                "listed, at the highest": other.memory("VmHWM"),
            }
        say(
            f"{len(pods)} Pods created in {created:.1f} s; memory {idle:.0f} MiB idle, "
            + ", ".join(f"{figure:.0f} {what}" for what, figure in figures.items())
            + f"; listed {listed:.1f} s after the other was ready"
        )
        grown = {what: figure - idle for what, figure in figures.items()}
        assert max(grown.values()) < GROWTH_MIB, grown


# --- an API server that forgets, refuses, hangs and hangs up -----------------------------------------------


@pytest.fixture
def wired(shipped: Account, line: Line, tmp_path: Path, free_lease: None) -> Iterator[Controller]:
    """Run a controller that leads, and reaches the API server over a line that can be cut."""
    assert free_lease is None
    running = Controller(line.of(shipped, tmp_path), tmp_path / "controller.log")
    with started(running):
        until(120, "it leads", running.leads)
        yield running
        assert running.program.status is None, running.program.failure("it ended by itself")
        assert running.program.stop() == 0, "SIGTERM is the ordinary end"
        running.lines()


WATCHED = (
    "configmaps",
    "networkpolicies",
    "poddisruptionbudgets",
    "pods",
    "rolebindings",
    "services",
)


def lists(cluster: ControlPlane, user: str, offset: int) -> list[str]:
    """Every list for an index that was answered, in the log from an offset on; of several pages the first.

    What a new leader reads once, its Events and the Pods without the label, is not for an index.
    """
    return [
        a.resource
        for a in asked(cluster, user, offset)
        if a.verb == "list"
        and a.code == http.HTTPStatus.OK
        and a.resource != "events"
        and not any(word in a.uri for word in ("continue=", "fieldSelector="))
    ]


def all_watches(cluster: ControlPlane, user: str, offset: int) -> list[str]:
    """Every watch that was begun, in the log from an offset on."""
    found = asked(cluster, user, offset)
    return [a.resource for a in found if a.verb == "watch" and a.code == http.HTTPStatus.OK]


def watches(cluster: ControlPlane, user: str, offset: int) -> list[str]:
    """All but that of Events."""
    return [resource for resource in all_watches(cluster, user, offset) if resource != "events"]


def test_a_watch_goes_on_where_the_connection_was_cut(
    cluster: ControlPlane, wired: Controller, line: Line, namespace: str, shipped: Account
) -> None:
    """What changed meanwhile comes with the next watch: nobody has to list everything again."""
    create_pod(cluster, namespace, "before", "before")
    wait_for(cluster, wanted(namespace, "before", "dns"), "before")
    start, restarts = cluster.audit_log.stat().st_size, wired.metric("watch_restarts_total")
    every = {*WATCHED, "events"}  # that tell of Pods that were denied
    for number in range(3):
        offset, objects = cluster.audit_log.stat().st_size, wanted(namespace, f"cut-{number}", "dns")
        line.cut()
        create_pod(cluster, namespace, f"cut-{number}", f"cut-{number}")
        until(120, "all is watched", lambda: {*all_watches(cluster, shipped.user, offset)} == every)  # noqa: B023
        wait_for(cluster, objects, f"cut-{number}")
    assert wired.metric("watch_restarts_total") == restarts + 3 * len(every)
    assert lists(cluster, shipped.user, start) == []


async def test_a_watch_that_comes_to_its_end_goes_on_with_another(
    cluster: ControlPlane, shipped: Account, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program's own parts, with shorter watches: an end in order is no fault, and no reason to list."""
    monkeypatch.setattr("hazelcast_sidecar.kube.client.WATCH_SECONDS", 2)
    configuration = Configuration()
    await load_kube_config(str(shipped.kubeconfig), client_configuration=configuration)
    said: list[str] = []

    def log(message: str, **fields: Any) -> None:
        said.append(f"{message} {fields}")

    offset, groups = cluster.audit_log.stat().st_size, Groups(lambda _: None)
    async with ApiClient(configuration) as client:
        metrics = ControllerMetrics(pods=lambda: 0, queue_depth=lambda: 0, requests=lambda: 0)
        pods = WatchedPods(groups, log)
        running = asyncio.create_task(Reflector(Api(client), POD, f"{PREFIX}group", pods, metrics, log).run())
        for number in range(5):
            create_pod(cluster, namespace, f"shop-{number}", "shop")
            await asyncio.sleep(2)
        running.cancel()
    assert groups.pods == 5
    assert lists(cluster, shipped.user, offset) == ["pods"]
    assert len(watches(cluster, shipped.user, offset)) >= 4
    assert said == []


@pytest.mark.usefixtures("wired")
def test_connections_that_die_in_silence_are_noticed(
    cluster: ControlPlane, line: Line, namespace: str, say: Callable[[str], None]
) -> None:
    """A route that is lost ends no connection: a watch on it just has no more to tell."""
    create_pod(cluster, namespace, "before", "before")
    wait_for(cluster, wanted(namespace, "before", "dns"), "before")
    line.silence()
    create_pod(cluster, namespace, "after", "after")
    objects = wanted(namespace, "after", "dns")
    took = until(120, "it is noticed", lambda: is_as_rendered(cluster, objects, "after"))
    say(f"connections that died in silence: noticed after {took:.0f} s")


def test_what_the_api_server_has_forgotten_is_listed_again(
    cluster: ControlPlane,
    wired: Controller,
    line: Line,
    namespace: str,
    shipped: Account,
    say: Callable[[str], None],
) -> None:
    """A controller that is cut off misses changes that etcd and the API server then forget: 410."""
    for name in ("stays", "goes"):
        create_pod(cluster, namespace, name, name, api(name))
        wait_for(cluster, wanted(namespace, name, "api"), name)
    restarts = wired.metric("watch_restarts_total")
    os.kill(wired.program.pid, signal.SIGSTOP)
    line.cut()  # else what happens now would wait in its connections
    try:
        create_pod(cluster, namespace, "comes", "comes")
        create_pod(cluster, namespace, "goes-too", "goes-too")
        for name in ("goes", "goes-too"):
            delete_pod(cluster, namespace, name)
        path = path_of("RoleBinding", namespace, "stays")
        assert cluster.request("DELETE", path).code == 200
        cluster.stop_apiserver()
        cluster.compact()
        cluster.start_apiserver()
        offset = cluster.audit_log.stat().st_size
    finally:
        os.kill(wired.program.pid, signal.SIGCONT)
    took = until(
        30, "it has caught up", lambda: is_as_rendered(cluster, wanted(namespace, "comes", "dns"), "comes")
    )
    until(
        120,
        "the RoleBinding is back",
        lambda: is_as_rendered(cluster, wanted(namespace, "stays", "api"), "stays"),
    )
    until(120, "it knows which Pods there are", lambda: wired.metric("watched_pods") == 2)
    assert kinds_found(cluster, namespace, "goes-too") == []
    time.sleep(5 * SETTLE_SECONDS)
    counts = verbs(cluster, shipped.user, offset)
    say(
        f"forgotten: caught up {took:.1f} s after; requests {dict(counts.most_common())}, "
        f"{len(wired.said('watch interrupted'))} lines of log about it"
    )
    assert wired.metric("watch_restarts_total") > restarts
    assert any("too old" in said["error"] for said in wired.said("watch interrupted"))
    relisted = Counter(lists(cluster, shipped.user, offset))
    assert relisted["pods"] == 1
    assert max(relisted.values()) == 1, "listed once each: no loop"
    assert max(Counter(watches(cluster, shipped.user, offset)).values()) <= 3


FLOW = "/apis/flowcontrol.apiserver.k8s.io/v1"


@contextlib.contextmanager
def too_many_requests(cluster: ControlPlane, account: Account) -> Iterator[None]:
    """Let the API server answer 429 to whatever an account asks for.

    Its priority level has no share of the API server, so that one request at a time gets through: that place
    is taken by one of the account's whose body never comes.
    """
    everything: dict[str, Any] = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
    everything |= {"clusterScope": True, "namespaces": ["*"]}
    subject = {"kind": "ServiceAccount", "serviceAccount": {"namespace": account.namespace, "name": NAME}}
    limited = {"nominalConcurrencyShares": 0, "lendablePercent": 0, "borrowingLimitPercent": 0}
    level = {
        "metadata": {"name": "none"},
        "spec": {"type": "Limited", "limited": limited | {"limitResponse": {"type": "Reject"}}},
    }
    schema = {
        "metadata": {"name": "none"},
        "spec": {
            "matchingPrecedence": 2,
            "priorityLevelConfiguration": {"name": "none"},
            "rules": [{"subjects": [subject], "resourceRules": [everything]}],
        },
    }
    for folder, body in (("prioritylevelconfigurations", level), ("flowschemas", schema)):
        answer = cluster.request("POST", f"{FLOW}/{folder}", body)
        assert answer.code == 201, answer.message
    headers = {"Authorization": f"Bearer {token_of(account)}", "Content-Type": "application/json"}
    with contextlib.ExitStack() as taken:

        def refuses() -> bool:
            slow = taken.enter_context(contextlib.closing(connect(cluster)))
            slow.request(
                "POST", FOLDERS["ConfigMap"].format("default"), None, headers | {"Content-Length": "1"}
            )
            time.sleep(0.2)
            with contextlib.closing(connect(cluster)) as probe:
                probe.request("GET", "/api/v1/pods?limit=1", headers=headers)
                return probe.getresponse().status == http.HTTPStatus.TOO_MANY_REQUESTS

        try:
            until(120, "it refuses", refuses)
            yield
        finally:
            for folder in ("flowschemas", "prioritylevelconfigurations"):
                assert cluster.request("DELETE", f"{FLOW}/{folder}/none").code == 200


def token_of(account: Account) -> str:
    (user,) = json.loads(account.kubeconfig.read_text())["users"]
    return str(user["user"]["token"])


def refused(cluster: ControlPlane, user: str, offset: int) -> list[Asked]:
    return [a for a in asked(cluster, user, offset) if a.code == http.HTTPStatus.TOO_MANY_REQUESTS]


def test_too_many_requests_are_answered_with_patience(
    cluster: ControlPlane, wired: Controller, line: Line, shipped: Account, say: Callable[[str], None]
) -> None:
    """An API server that defends itself is not pressed: neither for each group, nor for each watch."""
    count, seconds = 200, 10
    with fresh_namespaces(cluster, 1) as (namespace,):
        create_pod(cluster, namespace, "before", "before")
        wait_for(cluster, wanted(namespace, "before", "dns"), "before")
        with too_many_requests(cluster, shipped):
            offset, said = cluster.audit_log.stat().st_size, len(wired.lines())
            create_all(cluster, [pod_of(namespace, f"shop-{number}", 0) for number in range(count)])
            line.cut()
            begun = time.monotonic()
            time.sleep(seconds)
            seen, passed = refused(cluster, shipped.user, offset), time.monotonic() - begun
            lines = wired.lines()[said:]
            counts = Counter(f"{a.verb} {a.resource}" for a in seen)
            say(f"429: {len(seen)} requests in {passed:.0f} s {dict(counts)}, {len(lines)} lines of log")
            assert wired.is_alive()
        groups = {(namespace, f"shop-{number}"): 1 for number in range(count)} | {(namespace, "before"): 1}
        took = until(
            60,
            "all is in order",
            lambda: all(kept(cluster, kind, [namespace]) == groups for kind in ("ConfigMap", "Service")),
        )
        say(f"429: all in order {took:.1f} s after the last of them")
        assert wired.leads()
        assert any("429" in str(line.get("error")) for line in lines)
        assert len(seen) <= 10 * seconds, "not one for each group"
        assert len(lines) <= 10 * seconds


def test_an_api_server_that_hangs(
    cluster: ControlPlane, controller: Controller, shipped: Account, say: Callable[[str], None]
) -> None:
    """It takes requests and answers nothing, for longer than a request may last; nothing is lost by it."""
    count, seconds = 30, 20
    with fresh_namespaces(cluster, 1) as (namespace,):
        create_pod(cluster, namespace, "before", "before")
        wait_for(cluster, wanted(namespace, "before", "dns"), "before")
        offset, said = cluster.audit_log.stat().st_size, len(controller.lines())
        create_all(cluster, [pod_of(namespace, f"shop-{number}", 0) for number in range(count)])
        with cluster.frozen_apiserver():
            time.sleep(seconds)
            assert controller.is_alive(), "the kubelet must not kill it for what it cannot help"
        groups = {(namespace, f"shop-{number}"): 1 for number in range(count)} | {(namespace, "before"): 1}
        took = until(
            60,
            "all is in order",
            lambda: all(kept(cluster, kind, [namespace]) == groups for kind in ("ConfigMap", "Service")),
        )
        say(
            f"hung for {seconds} s: all in order {took:.1f} s after, "
            f"requests {dict(verbs(cluster, shipped.user, offset).most_common())}, "
            f"{len(controller.lines()) - said} lines of log"
        )
        assert controller.said("not leading"), "it noticed"
        until(2 * LEASE_SECONDS, "it leads", controller.leads)
        assert lists(cluster, shipped.user, offset) == [], "the watches outlast it"
