"""Groups that are not one cluster, found by the controller with the shipped rights; members are played here.

A Pod's address is one of loopback, as its status says; what answers there says what a test wants. No kubelet
runs, so the tests write that status.
"""

import contextlib
import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hazelcast_sidecar.members.view import HEALTH_PATH, MEMBERS_PATH
from tests.harness.accounts import NAME, Account
from tests.harness.audit_log import asked
from tests.harness.control_plane import MERGE, ControlPlane
from tests.harness.controller_program import LEASES, Controller, started
from tests.harness.group_pods import create_pod, delete_pod, status
from tests.harness.kept_objects import found
from tests.harness.ports import free_ports, own_network
from tests.harness.prometheus_text import counted
from tests.harness.shipped_manifests import OWN_NAMESPACE
from tests.harness.stored_workloads import workload
from tests.harness.waiting import APPEAR_SECONDS, SETTLE_SECONDS, until
from tests.harness.workload_events import told, wait_until_told

pytestmark = pytest.mark.apiserver

WATCHING = ("--watch-groups", "--split-after", "2s")
SERIES = "hazelcast_sidecar_group_split"
NETWORK = own_network()
FIRST, SECOND, THIRD, FOURTH = (f"{NETWORK}.{number}" for number in range(61, 65))


# --- members -----------------------------------------------------------------------------------------------


class Members:
    """Members on loopback addresses, each of which sees what a test says."""

    def __init__(self) -> None:
        (self.port,) = free_ports(1)
        self.sees: dict[str, list[str]] = {}
        self.odd: dict[str, Callable[[http.server.BaseHTTPRequestHandler], None]] = {}
        """What answers in another way, by its address."""
        self.questions: list[tuple[str, str]] = []
        self._servers: list[http.server.ThreadingHTTPServer] = []

    def start(self, address: str) -> None:
        members = self

        class Answers(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                members.questions.append((address, self.path))
                if address in members.odd:
                    members.odd[address](self)
                    return
                self.close_connection = False  # as Hazelcast does
                body = members.body(address, self.path)
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        server = http.server.ThreadingHTTPServer((address, self.port), Answers)
        server.daemon_threads = True
        self._servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def body(self, address: str, path: str) -> bytes:
        seen = self.sees[address]
        health = {"nodeState": "ACTIVE", "clusterState": "ACTIVE", "clusterSafe": True}
        health |= {"migrationQueueSize": 0, "clusterSize": len(seen)}
        listed = [{"address": f"[{each}]:{self.port}", "uuid": each} for each in seen]
        return json.dumps({HEALTH_PATH: health, MEMBERS_PATH: {"members": listed}}[path]).encode()

    def stop(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def are_one(self, *addresses: str) -> None:
        self.sees |= {each: list(addresses) for each in addresses}

    def are_apart(self, *addresses: str) -> None:
        self.sees |= {each: [each] for each in addresses}


@pytest.fixture
def members() -> Iterator[Members]:
    made = Members()
    for address in (FIRST, SECOND, THIRD, FOURTH):
        made.start(address)
    yield made
    made.stop()


def run_on(cluster: ControlPlane, namespace: str, name: str, address: str) -> None:
    """Say of a Pod what a kubelet does: it runs, at this address, and its member is ready."""
    member = {"name": "hazelcast", "ready": True, "restartCount": 0, "image": "i", "imageID": ""}
    where = {"podIP": address, "podIPs": [{"ip": address}]}
    said = {"status": {"phase": "Running", **where, "initContainerStatuses": [member]}}
    path = f"/api/v1/namespaces/{namespace}/pods/{name}/status"
    answer = cluster.request("PATCH", path, said, MERGE)
    assert answer.code == 200, answer.message


def deploy(
    cluster: ControlPlane, namespace: str, group: str, port: int, *addresses: str, **record: Any
) -> dict[str, Any]:
    """Make the Pods of a Deployment, which run; the Deployment, as Events name it."""
    made = workload(cluster, namespace, "Deployment", group)
    owner = workload(cluster, namespace, "ReplicaSet", group, maker=made)
    for number, address in enumerate(addresses):
        name = f"{group}-{number}"
        create_pod(cluster, namespace, name, group, status(group, port=port, **record), owner)
        run_on(cluster, namespace, name, address)
    return made


# --- the controller ----------------------------------------------------------------------------------------


@contextlib.contextmanager
def controller(cluster: ControlPlane, account: Account, folder: Path, *options: str) -> Iterator[Controller]:
    """Run one that leads, is refused nothing, and must end in order."""
    assert cluster.request("DELETE", f"{LEASES}/{OWN_NAMESPACE}/leases/{NAME}").code in (200, 404)
    offset = cluster.audit_log.stat().st_size
    running = Controller(account, folder / "controller.log", options=options)
    with started(running):
        until(APPEAR_SECONDS, "it leads", running.leads)
        yield running
        assert running.program.status is None, running.program.failure("it ended by itself")
        assert running.metric("faults_total") == 0, running.log.read_text()
        assert running.program.stop() == 0, "SIGTERM is the ordinary end"
        running.lines()
    assert [request for request in asked(cluster, account.user, offset) if request.code == 403] == []


def split_groups(running: Controller) -> float:
    return counted(running.metrics(), SERIES, {})


def is_split(running: Controller, namespace: str, group: str) -> bool:
    return counted(running.metrics(), SERIES, {"namespace": namespace, "group": group}) == 1


def test_a_split_shows_as_a_series_and_an_event_until_it_is_healed(
    cluster: ControlPlane, shipped: Account, namespace: str, members: Members, tmp_path: Path
) -> None:
    members.are_one(FIRST, SECOND, THIRD)
    deployment = deploy(cluster, namespace, "shop", members.port, FIRST, SECOND, THIRD)
    with controller(cluster, shipped, tmp_path, *WATCHING) as running:
        until(APPEAR_SECONDS, "all are asked", lambda: running.metric("members_asked_total") >= 6)
        assert split_groups(running) == 0
        assert told(cluster, namespace, "Split") == []

        members.are_one(FIRST, SECOND)
        members.are_apart(THIRD)
        until(APPEAR_SECONDS, "it is split", lambda: is_split(running, namespace, "shop"))
        (event,) = wait_until_told(cluster, namespace, "Split")
        assert (event["involvedObject"]["kind"], event["involvedObject"]["uid"]) == (
            "Deployment",
            deployment["uid"],
        )
        assert event["type"] == "Warning"
        assert event["message"].startswith(
            "the group shop: the members do not form one cluster: shop-0, shop-1 see 2 members; shop-2 sees "
            "only itself; clusters that formed apart merge within two minutes"
        )
        (line,) = running.said("split")
        assert (line["namespace"], line["group"], line["level"]) == (namespace, "shop", "warning")
        assert running.metric("split_groups") == 1

        members.are_one(FIRST, SECOND, THIRD)
        (event,) = wait_until_told(cluster, namespace, "Healed")
        assert (event["involvedObject"]["uid"], event["type"]) == (deployment["uid"], "Normal")
        assert event["message"] == "the members of the group shop form one cluster again"
        assert split_groups(running) == running.metric("split_groups") == 0
        time.sleep(SETTLE_SECONDS)
        assert [each["count"] for each in told(cluster, namespace, "Split")] == [1], "once for an episode"


@pytest.mark.slow
def test_a_series_goes_with_its_group_and_with_the_lead(
    cluster: ControlPlane, shipped: Account, namespace: str, members: Members, tmp_path: Path
) -> None:
    members.are_apart(FIRST, SECOND, THIRD, FOURTH)
    deploy(cluster, namespace, "shop", members.port, FIRST, SECOND)
    deploy(cluster, namespace, "other", members.port, THIRD, FOURTH)
    with controller(cluster, shipped, tmp_path, *WATCHING) as running:
        until(APPEAR_SECONDS, "both are split", lambda: split_groups(running) == 2)
        for number in range(2):
            delete_pod(cluster, namespace, f"other-{number}")
        until(APPEAR_SECONDS, "one is gone", lambda: split_groups(running) == 1)
        assert is_split(running, namespace, "shop")
        assert told(cluster, namespace, "Healed") == []
        path = f"{LEASES}/{OWN_NAMESPACE}/leases/{NAME}"
        taken = {"spec": {"holderIdentity": "another", "leaseDurationSeconds": 3600}}
        assert cluster.request("PATCH", path, taken, MERGE).code == 200
        until(APPEAR_SECONDS, "another leads", lambda: not running.leads())
        until(APPEAR_SECONDS, "it says nothing of what another sees", lambda: split_groups(running) == 0)


@pytest.mark.slow
def test_the_next_leader_reports_the_same_split_by_the_same_event(
    cluster: ControlPlane, shipped: Account, namespace: str, members: Members, tmp_path: Path
) -> None:
    members.are_apart(FIRST, SECOND)
    deploy(cluster, namespace, "shop", members.port, FIRST, SECOND)
    for _ in range(2):
        with controller(cluster, shipped, tmp_path, *WATCHING) as running:
            until(APPEAR_SECONDS, "it is split", lambda running=running: split_groups(running) == 1)  # type: ignore[misc]
            wait_until_told(cluster, namespace, "Split")
            time.sleep(SETTLE_SECONDS)
    assert len(told(cluster, namespace, "Split")) == 1


# --- what tenants can have answer --------------------------------------------------------------------------


def redirects(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.send_response(302)
    port = handler.connection.getsockname()[1]
    handler.send_header("Location", f"http://{FOURTH}:{port}{HEALTH_PATH}")
    handler.send_header("Content-Length", "0")
    handler.end_headers()


def drips(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    with contextlib.suppress(OSError):
        while True:
            handler.wfile.write(b" ")
            time.sleep(0.01)


def floods(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    with contextlib.suppress(OSError):
        while True:
            handler.wfile.write(b"[" * 100_000)


def lies(handler: http.server.BaseHTTPRequestHandler) -> None:
    body = json.dumps({"nodeState": "A" * 100_000}).encode()
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@pytest.mark.parametrize(
    "odd", [lies, *(pytest.param(each, marks=pytest.mark.slow) for each in (redirects, drips, floods))]
)
def test_what_answers_oddly_costs_its_own_group_alone(
    cluster: ControlPlane,
    shipped: Account,
    namespace: str,
    members: Members,
    tmp_path: Path,
    odd: Callable[[http.server.BaseHTTPRequestHandler], None],
) -> None:
    members.are_apart(FIRST, SECOND)
    members.odd[THIRD] = odd
    deploy(cluster, namespace, "odd", members.port, THIRD, THIRD, THIRD)
    deploy(cluster, namespace, "shop", members.port, FIRST, SECOND)
    with controller(cluster, shipped, tmp_path, *WATCHING) as running:
        until(APPEAR_SECONDS, "the other is split", lambda: is_split(running, namespace, "shop"))
        until(APPEAR_SECONDS, "the odd one is silent", lambda: running.metric("silent_groups") == 1)
        (line,) = running.said("members could not be asked")
        assert (line["namespace"], line["group"]) == (namespace, "odd")
        assert split_groups(running) == 1
        assert FOURTH not in {address for address, _ in members.questions}
        assert running.memory("VmHWM") < 256


def test_a_forged_pod_is_not_asked(
    cluster: ControlPlane, shipped: Account, namespace: str, members: Members, tmp_path: Path
) -> None:
    """One with a status annotation and no member could name any port, and speak for any group."""
    members.are_apart(FIRST, SECOND, THIRD)
    members.are_one(FIRST, SECOND)
    deploy(cluster, namespace, "shop", members.port, FIRST, SECOND)
    spec = {"containers": [{"name": "app", "image": "shop:1"}]}
    create_pod(cluster, namespace, "forged", "shop", status("shop", port=members.port), spec=spec)
    run_on(cluster, namespace, "forged", THIRD)
    with controller(cluster, shipped, tmp_path, *WATCHING) as running:
        until(APPEAR_SECONDS, "it is refused", lambda: running.metric("statuses_rejected_total") == 1)
        until(APPEAR_SECONDS, "the others are asked", lambda: running.metric("members_asked_total") >= 10)
        assert split_groups(running) == 0
    assert THIRD not in {address for address, _ in members.questions}


# --- off, and the network ----------------------------------------------------------------------------------


def peers(policy: dict[str, Any]) -> list[Any]:
    return [rule.get("from") for rule in policy["spec"]["ingress"]]


def test_without_the_flag_no_member_is_asked_and_a_network_policy_lets_no_one_more_in(
    cluster: ControlPlane, shipped: Account, namespace: str, members: Members, tmp_path: Path
) -> None:
    members.are_apart(FIRST, SECOND)
    deploy(cluster, namespace, "shop", members.port, FIRST, SECOND, networkPolicy=True)

    def policy() -> dict[str, Any] | None:
        return found(cluster, "NetworkPolicy", namespace, "shop")

    with controller(cluster, shipped, tmp_path) as running:
        until(APPEAR_SECONDS, "the policy is there", lambda: policy() is not None)
        time.sleep(SETTLE_SECONDS)
        assert "group_split" not in running.metrics()
        assert "members_asked" not in running.metrics()
    assert members.questions == []
    before = policy()
    assert before
    assert len(peers(before)) == 2

    with controller(cluster, shipped, tmp_path, *WATCHING) as running:
        until(APPEAR_SECONDS, "it lets the controller in", lambda: len(peers(policy() or before)) == 3)
        until(APPEAR_SECONDS, "and asks", lambda: is_split(running, namespace, "shop"))
    after = policy()
    assert after
    ((peer,),) = peers(after)[2:]
    assert peer["namespaceSelector"] == {"matchLabels": {"kubernetes.io/metadata.name": OWN_NAMESPACE}}
    assert after["spec"]["ingress"][2]["ports"] == [{"protocol": "TCP", "port": members.port}]

    with controller(cluster, shipped, tmp_path):
        until(APPEAR_SECONDS, "it is as it was", lambda: (policy() or after)["spec"] == before["spec"])
