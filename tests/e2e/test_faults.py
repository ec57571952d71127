"""Faults on purpose: memory or disk runs out, a member does not start, DNS or a group's objects are missing.

What is promised: no acknowledged entry is lost, and everything is well again without help once the fault is
gone. What was seen is printed at the end of the run.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

import pytest

from hazelcast_sidecar.names import PREFIX
from tests.e2e.conftest import CONTROLLER, namespace
from tests.e2e.http_client import Entrance, api_proxy, replica
from tests.e2e.kubectl import Kubectl, KubectlError, agree_on, container_statuses, until
from tests.e2e.replicas import DEMO_PODS, settle, went_through
from tests.e2e.workloads import with_members

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.conftest import Sightings

pytestmark = pytest.mark.e2e

BROKEN = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "broken"}}
BROKEN_FILE = {**BROKEN, "data": {"hazelcast.yaml": "hazelcast:\n  network: [\n"}}
ABSENT_SECONDS = 60


def container(pod: Any, name: str) -> Any:
    """The status of one container, whichever kind it is of.

    Raises:
        KubectlError: the kubelet has told nothing yet.
    """
    for one in container_statuses(pod):
        if one["name"] == name:
            return one
    raise KubectlError(f"{pod['metadata']['name']}: no status of {name} yet")


def inside(kubectl: Kubectl, pod: str, script: str) -> None:
    """Run a script in the member's container; that it breaks off with the container is no error."""
    with contextlib.suppress(KubectlError):
        kubectl("exec", pod, "--container=hazelcast", "--", "sh", "-c", script)


# Each of them is smaller than the JVM, so that the kernel chooses the JVM; together they are larger than the
# limit. `tail` keeps what it reads until a line ends, and none does.
TAKE_ALL_MEMORY = """
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do
  { head -c 30000000 /dev/zero | tail | sleep 20; } &
done
wait
"""


def test_a_member_whose_memory_runs_out_comes_back_in_its_pod(
    demo: Kubectl, door_of_three: Entrance, sightings: Sightings
) -> None:
    before = demo.pods(DEMO_PODS)
    name = before[0]

    def out_of_memory(demo: Kubectl) -> None:
        inside(demo, name, TAKE_ALL_MEMORY)

        def restarted() -> Any:
            member = container(demo.read("pod", name), "hazelcast")
            return member if member["restartCount"] and member["ready"] else None

        last = until(120, "the member was killed and is back", restarted)["lastState"]["terminated"]
        sightings.note("the member that ran out of memory", f"{last['reason']}, exit code {last['exitCode']}")
        assert last["reason"] == "OOMKilled"
        settle(demo)

    went_through(out_of_memory, demo, door_of_three, sightings)
    assert demo.pods(DEMO_PODS) == before, "no Pod was replaced"


@pytest.mark.faults
def test_a_pod_whose_member_fills_its_disk_is_replaced(
    demo: Kubectl, door_of_three: Entrance, sightings: Sightings
) -> None:
    before = demo.pods(DEMO_PODS)
    name = before[0]

    def full_disk(demo: Kubectl) -> None:
        inside(demo, name, "head -c 100000000 /dev/zero >/tmp/full")
        status = until(120, "the Pod is evicted", lambda: evicted(demo, name))
        sightings.note("the Pod whose /tmp is full", f"{status['reason']}: {status['message']}")
        assert "hazelcast-tmp" in status["message"]
        demo("delete", "pod", name)  # what is left of it, for people to read
        settle(demo)

    went_through(full_disk, demo, door_of_three, sightings)
    assert set(before) - set(demo.pods(DEMO_PODS)) == {name}


def evicted(kubectl: Kubectl, pod: str) -> Any:
    """The status of a Pod that was evicted and is over; None before."""
    status = kubectl.read("pod", pod)["status"]
    return status if (status["phase"], status.get("reason")) == ("Failed", "Evicted") else None


def test_a_member_that_does_not_start_stops_the_rollout_and_nothing_else(
    demo: Kubectl, door_of_three: Entrance, sightings: Sightings
) -> None:
    before = demo.pods(DEMO_PODS)

    def broken_rollout(demo: Kubectl) -> None:
        demo.apply(BROKEN_FILE)
        demo("annotate", "deployment/demo", f"{PREFIX}config=broken")
        try:
            failing = until(120, "the new Pod's member failed twice", lambda: new_and_failing(demo, before))
            sightings.note("kubectl get pods, while a member does not start", demo("get", "pods"))
            sightings.note("kubectl describe pod", said_of_member(demo, failing["metadata"]["name"]))
            assert container(failing, "app")["state"].keys() == {"waiting"}, "it was never started"
            ready = dict(line.split() for line in demo.ready(DEMO_PODS).splitlines())
            assert {name: ready[name] for name in before} == dict.fromkeys(before, "2/2")
            assert len(ready) == len(before) + 1
        finally:
            demo("annotate", "deployment/demo", f"{PREFIX}config-")
        settle(demo)

    went_through(broken_rollout, demo, door_of_three, sightings)
    assert demo.pods(DEMO_PODS) == before, "the old Pods went on"


def new_and_failing(kubectl: Kubectl, before: list[str]) -> Any:
    """The Pod that was not there before, once its member was started again."""
    pods = kubectl.read("pods", f"--selector={DEMO_PODS}")["items"]
    return next(
        (
            pod
            for pod in pods
            if pod["metadata"]["name"] not in before and container(pod, "hazelcast")["restartCount"]
        ),
        None,
    )


def said_of_member(kubectl: Kubectl, pod: str) -> str:
    """What `kubectl describe pod` says of the state of the member, and its last Events."""
    shown = kubectl("describe", "pod", pod)
    init = shown.split("Init Containers:", 1)[1].split("\nContainers:", 1)[0]
    state = init[init.index("    State:") : init.index("    Ready:")]
    return f"{state}...\n{shown[shown.index('Events:') :]}"


@pytest.fixture
def elsewhere(webhook: Kubectl) -> Iterator[Kubectl]:
    """A namespace with nothing in it."""
    assert webhook
    with namespace("hazelcast-faults") as kubectl:
        yield kubectl


@pytest.mark.parametrize("given", [{"native-sidecar": "false"}, {"wait": "false"}], ids=str)
def test_an_application_starts_without_its_member_where_it_does_not_wait(
    elsewhere: Kubectl, demo_manifests: list[dict[str, Any]], sightings: Sightings, given: dict[str, str]
) -> None:
    elsewhere.apply(BROKEN_FILE)
    elsewhere.apply(with_members(demo_manifests, "alone", 1, config="broken", **given))

    def started() -> bool:
        (pod,) = elsewhere.read("pods")["items"]
        app, member = (container(pod, name) for name in ("app", "hazelcast"))
        return bool("running" in app["state"] and app["started"] and member["restartCount"])

    until(120, "the application runs and the member fails", started)
    table = elsewhere("get", "pods")
    sightings.note(f"kubectl get pods, {given}, a member that does not start", table)
    (line,) = elsewhere.ready("app=alone").splitlines()
    assert line.split()[1] == "0/2", "and the application, without a cluster, is not ready"


@contextlib.contextmanager
def scaled_to_nothing(kubectl: Kubectl, deployment: str, selector: str) -> Iterator[None]:
    """No Pod of a Deployment; afterwards as many as before."""
    replicas = kubectl.read("deployment", deployment)["spec"]["replicas"]
    kubectl("scale", f"deployment/{deployment}", "--replicas=0")
    try:
        until(
            90, f"no Pod of {deployment}", lambda: not kubectl.read("pods", f"--selector={selector}")["items"]
        )
        yield
    finally:
        kubectl("scale", f"deployment/{deployment}", f"--replicas={replicas}")
        kubectl.rolled_out(f"deployment/{deployment}")


@pytest.mark.faults
def test_members_that_start_without_dns_form_one_cluster_when_it_is_back(
    elsewhere: Kubectl, demo_manifests: list[dict[str, Any]], sightings: Sightings
) -> None:
    """Each founds a cluster of its own, and takes entries; once they meet, all entries are there."""
    with api_proxy(elsewhere) as api:
        with scaled_to_nothing(Kubectl("kube-system"), "coredns", "k8s-app=kube-dns"):
            elsewhere.apply(with_members(demo_manifests, "dark", 3))
            elsewhere.rolled_out("deployment/dark")
            pods = elsewhere.pods("app=dark")
            assert [elsewhere.member_count(pod, "hazelcast") for pod in pods] == [1, 1, 1]
            for pod in pods:
                replica(api, pod).get("/put", key=pod, value=f"from {pod}")
        back = time.monotonic()
        agree_on(elsewhere, "app=dark", "hazelcast", 3)
        met = time.monotonic()

        def all_there() -> bool:
            door = replica(api, pods[0])
            try:
                return [door.get("/get", key=pod) for pod in pods] == [f"from {pod}" for pod in pods]
            except OSError:  # its client connects anew, for its member has joined another cluster
                return False

        until(60, "the entries of all three are read through one", all_there)
        merged = time.monotonic() - met
        sightings.note(
            "three replicas that started without DNS",
            f"one cluster {met - back:.0f} s after DNS was back, all entries {merged:.0f} s later",
        )
    assert {line.split()[1] for line in elsewhere.ready("app=dark").splitlines()} == {"2/2"}


@pytest.mark.faults
def test_a_pod_waits_for_the_config_map_of_its_group(
    webhook: Kubectl, elsewhere: Kubectl, demo_manifests: list[dict[str, Any]], sightings: Sightings
) -> None:
    selector = "app.kubernetes.io/component=controller"
    with scaled_to_nothing(webhook, CONTROLLER, selector):
        elsewhere.apply(with_members(demo_manifests, "late", 1))
        time.sleep(ABSENT_SECONDS)
        (pod,) = elsewhere.pods("app=late")
        table = elsewhere("get", "pods")
        events = elsewhere("events", f"--for=pod/{pod}")
        sightings.note(f"kubectl get pods, {ABSENT_SECONDS} s without controller", f"{table}{events}")
        assert "FailedMount" in events
        assert 'configmap "hazelcast-late" not found' in events
        assert elsewhere.ready("app=late").split()[1] == "0/2"
    back = time.monotonic()
    elsewhere.rolled_out("deployment/late", seconds=300)
    sightings.note(
        "a Pod whose ConfigMap came late", f"ready {time.monotonic() - back:.0f} s after the controller"
    )
    assert elsewhere.pods("app=late") == [pod], "the same Pod"
    agree_on(elsewhere, "app=late", "hazelcast", 1)
