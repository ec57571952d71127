"""Objects of a hostile tenant, stored by a real API server: they cost no other tenant anything."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.harness.accounts import SHIPPED, Account
from tests.harness.command_line import run_here
from tests.harness.control_plane import ControlPlane
from tests.harness.controller_program import LEASE_SECONDS, Controller, started
from tests.harness.group_pods import create_pod
from tests.harness.kept_objects import wait_for, wanted
from tests.harness.namespaces import create_namespace, remove_pods
from tests.harness.stored_workloads import replica_set
from tests.harness.waiting import until
from tests.harness.workload_events import DENIAL, deny_until_told, failed_create

pytestmark = pytest.mark.apiserver


BRACKETS = "[" * 50_000
STATUSES = {
    "of-the-issue": '{"x":' + BRACKETS,
    "short": '{"x":' + "[" * 5_000,
    "deep": '{"version":' + '{"a":[' * 20_000,
    "huge": json.dumps({"version": "9" * 200_000}),
    "digits": '{"port":' + "9" * 5_000 + "}",
    "odd": '{"group":"\u202e\x1b[31m\u2028"}',
}
OWNER = {
    "apiVersion": "apps/v1\x1b[2J",
    "kind": "ReplicaSet\u202e",
    "name": "$(reboot)\x1b]0;x\x07",
    "uid": "\u2028",
}


def hostile_pods(cluster: ControlPlane, namespace: str) -> None:
    """Create Pods as a tenant may who may create any; they need not be schedulable."""
    for name, text in STATUSES.items():
        create_pod(cluster, namespace, name, "shop", text)
    create_pod(cluster, namespace, "owned", "owned", owner=OWNER)
    create_pod(cluster, namespace, "asking", "asking", "[" * 10, owner=OWNER)


@pytest.fixture
def honest(cluster: ControlPlane) -> Any:
    """Another tenant's namespace."""
    name = create_namespace(cluster, {})
    yield name
    remove_pods(cluster, name)


def test_a_controller_at_work_goes_on(
    cluster: ControlPlane, controller: Controller, namespace: str, honest: str
) -> None:
    hostile_pods(cluster, namespace)

    def passed_over() -> float:
        return controller.metric("unread_objects_total") + len(controller.said("unreadable status"))

    until(60, "it has seen them", lambda: passed_over() >= len(STATUSES))
    create_pod(cluster, honest, "shop-1", "shop")
    wait_for(cluster, wanted(honest, "shop", "dns"), "shop")
    assert controller.program.status is None
    assert controller.metric("faults_total") == 0, "what is expected of tenants is no fault"
    assert all(line.isprintable() for line in controller.log.read_text().splitlines())


def test_a_controller_that_starts_serves_the_others(
    cluster: ControlPlane, shipped: Account, free_lease: None, tmp_path: Path, namespace: str, honest: str
) -> None:
    assert free_lease is None
    hostile_pods(cluster, namespace)
    create_pod(cluster, honest, "shop-1", "shop")
    starting = Controller(shipped, tmp_path / "controller.log")
    with started(starting):
        until(LEASE_SECONDS * 4, "it leads", starting.leads)
        wait_for(cluster, wanted(honest, "shop", "dns"), "shop")
        assert starting.program.stop() == 0


def test_an_event_of_a_tenant_does_not_keep_those_of_others(
    cluster: ControlPlane, controller: Controller, namespace: str, honest: str
) -> None:
    for owner in (OWNER, OWNER | {"name": "x" * 5_000, "uid": ""}):
        failed_create(cluster, namespace, owner, f"{DENIAL} \x1b[31m{BRACKETS}")
    real = replica_set(cluster, honest, "shop-6d4b75cb6d")
    event = deny_until_told(cluster, honest, real, f"{DENIAL} \x1b[31m\u202e")
    assert event["message"].endswith(r"no \x1b[31m\u202e")
    assert controller.program.status is None


def test_check_and_explain_answer(cluster: ControlPlane, namespace: str, honest: str) -> None:
    assert SHIPPED
    hostile_pods(cluster, namespace)
    create_pod(cluster, honest, "shop-1", "shop")
    given = ["--kubeconfig", str(cluster.kubeconfig)]
    for form in ("table", "json", "yaml"):
        done = run_here("check", "-o", form, *given)
        assert done.returncode in (0, 1), done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout.replace("\n", "").isprintable()
        if form == "json":
            checked = json.loads(done.stdout)
    assert {"groups", "Pods", "networks"} <= {finding["area"] for finding in checked}
    assert f"hazelcast-shop is missing in {honest}" in json.dumps(checked)
    for name in (*STATUSES, "owned", "asking"):
        done = run_here("explain", name, "-n", namespace, *given)
        assert done.returncode in (0, 1), done.stderr
        assert done.stderr == ""
        assert done.stdout.startswith(f"Pod/{name}: ")
        assert done.stdout.replace("\n", "").isprintable()
