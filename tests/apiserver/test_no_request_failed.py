"""Fifty annotated Pods a second through a real API server, with two replicas of the webhook at one address.

While they are created, one thing after another goes wrong or is replaced. None of these Pods may be refused,
or stored without its member, except where the API server itself is away. Certificates are rotated under the
same load in test_certificates.py.
"""

import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from http import HTTPStatus
from os import kill
from pathlib import Path

import pytest

from hazelcast_sidecar.injection.webhook_configuration import PODS
from tests.harness.accounts import Account
from tests.harness.control_plane import ControlPlane
from tests.harness.controller_program import Controller, started
from tests.harness.installation import (
    LEAF,
    Kubelet,
    injects,
    put_configuration,
    read_ca_bundle,
    read_secret,
    route_to,
)
from tests.harness.load import Load, creating, gated_pod
from tests.harness.namespaces import create_namespace
from tests.harness.prometheus_text import counted
from tests.harness.service import Replica, Service
from tests.harness.waiting import until

pytestmark = [pytest.mark.apiserver, pytest.mark.slow]

READY_SECONDS = 30
STEADY_SECONDS = 2.0
"""Before a fault and after it, so that the faultless time is seen, too."""
NOTICE_SECONDS = 1.5
"""Until the kubelet has seen the end of a container and starts it again."""
KILLS = 4
MANY = 500


class Webhook:
    """Two replicas, the Service in front of them, and what both read."""

    def __init__(self, folder: Path, service: Service) -> None:
        self.service = service
        self.settings = folder / "settings.yaml"
        self.settings.write_text("defaults: {}\n")
        self._folder = folder
        self._count = 0
        self.replicas: list[Replica] = []

    def add(self) -> Replica:
        """Run one more, ready and in the Service."""
        self._count += 1
        replica = Replica(f"replica-{self._count}", self._folder, self.settings)
        self.replicas.append(replica)
        self.service.select(*self.replicas)
        replica.program.wait_until(replica.is_ready)
        return replica

    def roll(self) -> None:
        """Replace one Pod as a rollout does: with maxUnavailable 0 the new one is ready first."""
        old = self.replicas[0]
        self.add()
        self.replicas.remove(old)
        self.service.select(*self.replicas)
        assert old.program.stop(patience=30) == 0, old.program.failure("SIGTERM is the ordinary end")

    def end(self) -> None:
        for replica in self.replicas:
            replica.program.stop()

    def settle(self) -> None:
        until(READY_SECONDS, "the Service leads to both", lambda: self.service.leads_to(*self.replicas))


@pytest.fixture(scope="module")
def controller(
    cluster: ControlPlane, shipped: Account, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Controller]:
    """Run one that has made the certificates."""
    put_configuration(cluster)
    running = Controller(shipped, tmp_path_factory.mktemp("controller") / "controller.log")
    with started(running):
        until(READY_SECONDS, "the leaf", lambda: bool(read_secret(cluster, LEAF)))
        yield running


@pytest.fixture(scope="module")
def webhook(
    cluster: ControlPlane, controller: Controller, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Webhook]:
    assert controller
    folder = tmp_path_factory.mktemp("webhook")
    Kubelet(cluster, folder).sync()
    with Service() as service:
        running = Webhook(folder, service)
        try:
            running.add()
            running.add()
            route_to(cluster, service.port)
            until(READY_SECONDS, "caBundle", lambda: bool(read_ca_bundle(cluster)))
            until(READY_SECONDS, "Pods get a member", lambda: injects(cluster, "default"))
            yield running
        finally:
            running.end()


@pytest.fixture
def namespace(cluster: ControlPlane, webhook: Webhook) -> str:
    """Name a fresh one; its Pods stay until the API server goes, for to delete thousands takes longer."""
    webhook.settle()
    return create_namespace(cluster, {})


def others(load: Load, *away: tuple[float, float]) -> list[str]:
    """What failed, except while the API server was away."""
    return [
        failure.what
        for failure in load.tally.failures
        if not any(failure.ended >= begun and failure.begun <= ended for begun, ended in away)
    ]


def test_rolling_restart(
    cluster: ControlPlane, webhook: Webhook, namespace: str, say: Callable[[str], None]
) -> None:
    with creating(cluster, namespace) as load:
        time.sleep(STEADY_SECONDS)
        webhook.roll()
        webhook.roll()
        time.sleep(STEADY_SECONDS)
    say(f"webhook rolled: {load.tally}")
    assert others(load) == []


def test_a_replica_is_killed(
    cluster: ControlPlane, webhook: Webhook, namespace: str, say: Callable[[str], None]
) -> None:
    """The API server asks again, and each time its connection may lead to the dead one.

    Until kube-proxy knows, every second new connection does: of the creations that need new ones an eighth
    fails, and those are few. Of the reviews that were broken off at first at most a quarter is, then.
    """
    before = passed_over(cluster)
    with creating(cluster, namespace) as load:
        for number in range(KILLS):
            time.sleep(STEADY_SECONDS)
            victim = webhook.replicas[number % 2]
            victim.program.kill()
            time.sleep(NOTICE_SECONDS)
            victim.restart()
            webhook.settle()
    broken = passed_over(cluster) - before
    say(f"a replica killed {KILLS} times, {broken:.0f} reviews broken off: {load.tally}")
    assert len(load.tally.failures) <= broken / 2 + 2
    assert load.tally.bare == 0


def passed_over(cluster: ControlPlane) -> float:
    """How many first attempts to ask about a Pod failed, by the API server's count."""
    metrics = cluster.kubectl("get", "--raw", "/metrics").stdout
    return counted(metrics, "apiserver_admission_webhook_fail_open_count_total", {"name": PODS})


def test_a_replica_that_came_back_gets_its_share(
    cluster: ControlPlane, webhook: Webhook, namespace: str
) -> None:
    """One Pod after the other needs one connection, which the API server would keep for ever."""
    path = f"/api/v1/namespaces/{namespace}/pods?dryRun=All"
    idle = webhook.replicas[0]
    idle.program.kill()
    time.sleep(NOTICE_SECONDS)
    idle.restart()
    webhook.settle()
    for _ in range(MANY):
        assert cluster.request("POST", path, gated_pod("probe")).code == HTTPStatus.CREATED
        if idle.answered():
            break
    assert idle.answered()


def test_settings_reload(
    cluster: ControlPlane, webhook: Webhook, namespace: str, say: Callable[[str], None]
) -> None:
    with creating(cluster, namespace) as load:
        for limit in ("640Mi", "768Mi"):
            time.sleep(STEADY_SECONDS)
            webhook.settings.write_text(f"defaults: {{memory-limit: {limit}}}\n")
            until(READY_SECONDS, f"all get {limit}", partial(has_limit, cluster, namespace, limit))
    say(f"settings changed twice: {load.tally}")
    assert others(load) == []


def has_limit(cluster: ControlPlane, namespace: str, limit: str) -> bool:
    """Whether members get this memory limit, enough of them to come from both replicas."""
    path = f"/api/v1/namespaces/{namespace}/pods?dryRun=All"
    answers = [cluster.request("POST", path, gated_pod("probe")) for _ in range(10)]
    return all(
        each.code == HTTPStatus.CREATED
        and each.document["spec"]["initContainers"][0]["resources"]["limits"]["memory"] == limit
        for each in answers
    )


def test_without_the_controller(
    cluster: ControlPlane,
    webhook: Webhook,
    controller: Controller,
    namespace: str,
    say: Callable[[str], None],
) -> None:
    assert webhook
    kill(controller.program.pid, signal.SIGSTOP)
    try:
        with creating(cluster, namespace) as load:
            time.sleep(2 * STEADY_SECONDS)
    finally:
        kill(controller.program.pid, signal.SIGCONT)
    say(f"controller away: {load.tally}")
    assert others(load) == []


def test_api_server_restarts(
    cluster: ControlPlane, webhook: Webhook, namespace: str, say: Callable[[str], None]
) -> None:
    """What begins as soon as it is ready again finds the webhook's configuration in force."""
    assert webhook

    def restart() -> None:
        cluster.stop_apiserver()
        cluster.start_apiserver()

    went_through(restart, "API server restarted", cluster, namespace, say)


def test_etcd_restarts(
    cluster: ControlPlane, webhook: Webhook, namespace: str, say: Callable[[str], None]
) -> None:
    """Without its store the API server is away, though it answers."""
    assert webhook

    def restart() -> None:
        cluster.stop_etcd()
        time.sleep(STEADY_SECONDS)
        cluster.start_etcd()

    went_through(restart, "etcd restarted", cluster, namespace, say)


def went_through(
    outage: Callable[[], None], what: str, cluster: ControlPlane, namespace: str, say: Callable[[str], None]
) -> None:
    """Have it happen under load: what fails, fails while it lasts, and no Pod is without a member."""
    with creating(cluster, namespace) as load:
        time.sleep(STEADY_SECONDS)
        begun = time.monotonic()
        outage()
        away = begun, time.monotonic()
        time.sleep(2 * STEADY_SECONDS)
    say(f"{what}, away for {away[1] - away[0]:.1f} s: {load.tally}")
    assert others(load, away) == []
    assert load.tally.bare == 0
