"""One program beside its member and as a client of a separate cluster, and the way there and back.

As docs/topologies.md has it, with the same manifests.
"""

from __future__ import annotations

import copy
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from hazelcast_sidecar.names import GROUP
from tests.e2e.conftest import namespace, rendered
from tests.e2e.http_client import api_proxy, front_door, replica
from tests.e2e.kubectl import Kubectl, until
from tests.e2e.replicas import DEMO_PODS
from tests.e2e.traffic import Traffic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.conftest import Images, Sightings
    from tests.e2e.http_client import Entrance

pytestmark = pytest.mark.e2e

MEMBERS = "app.kubernetes.io/name=hazelcast"
ENTRIES = 500
Documents = list[dict[str, Any]]


@pytest.fixture
def own(webhook: Kubectl) -> Iterator[Kubectl]:
    assert webhook
    with namespace("hazelcast-topologies") as kubectl:
        kubectl("label", "namespace", kubectl.namespace, "pod-security.kubernetes.io/enforce=restricted")
        yield kubectl


@pytest.fixture
def api(own: Kubectl) -> Iterator[Entrance]:
    with api_proxy(own) as entrance:
        yield entrance


@pytest.fixture(scope="module")
def client_server(cluster: Kubectl, images: Images) -> Documents:
    return rendered(cluster, "demo-client-server", images.demo)


def moved(documents: Documents, own: Kubectl) -> Documents:
    """The same objects for the namespace of these tests."""
    found = [copy.deepcopy(document) for document in documents if document["kind"] != "Namespace"]
    for document in found:
        document["metadata"]["namespace"] = own.namespace
    return found


def applied(own: Kubectl, documents: Documents, containers: int) -> list[str]:
    """Apply the demo and wait until its Pods have so many containers, and no others are left; their names."""
    own.apply(*moved(documents, own))
    own.rolled_out("deployment/demo", seconds=300)
    ready = [f"{containers}/{containers}"] * 2
    until(
        240,
        f"two Pods, {ready}",
        lambda: [line.split()[1] for line in own.ready(DEMO_PODS).splitlines()] == ready,
    )
    return own.pods(DEMO_PODS)


def all_see(own: Kubectl, size: int) -> None:
    """Wait until each member, beside an application or not, has a list of so many in its log."""

    def seen() -> bool:
        pods = [pod for selector in (DEMO_PODS, MEMBERS) for pod in own.pods(f"{selector},{GROUP}")]
        return [own.member_count(pod, "hazelcast") for pod in pods] == [size] * size

    until(120, f"{size} members see as many", seen)


def may_be_evicted(own: Kubectl, pod: str) -> bool:
    """Whether a drain could take a Pod, which none can that has two budgets."""
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod, "namespace": own.namespace},
        "deleteOptions": {"dryRun": ["All"]},
    }
    path = f"/api/v1/namespaces/{own.namespace}/pods/{pod}/eviction"
    answer = json.loads(own("create", f"--raw={path}", "--filename=-", stdin=json.dumps(eviction)))
    return bool(answer["status"] == "Success")


def put_through_one_and_get_through_the_other(api: Entrance, pods: list[str], key: str) -> list[str | None]:
    """Return which member each of two replicas has beside it."""
    first, second = (replica(api, pod) for pod in pods)
    assert first.get("/put", key=key, value="someValue") == ""
    assert second.get("/get", key=key) == "someValue"
    return [json.loads(each.get("/members"))["local"] for each in (first, second)]


def test_the_image_of_the_demo_is_a_client_of_a_separate_cluster(
    own: Kubectl, api: Entrance, client_server: Documents, sightings: Sightings
) -> None:
    """Beside its member it is in test_cluster.py."""
    pods = applied(own, client_server, 1)
    own.rolled_out("statefulset/hazelcast")
    all_see(own, 2)
    assert put_through_one_and_get_through_the_other(api, pods, "client") == [None, None]
    sightings.note("manifests/demo-client-server", own("get", "pods"))


@pytest.mark.faults
def test_entries_stay_from_one_to_the_other_and_back(
    own: Kubectl, api: Entrance, demo_manifests: Documents, client_server: Documents, sightings: Sightings
) -> None:
    took: dict[str, float] = {}

    def timed(step: str, act: Callable[[], Any]) -> Any:
        started = time.monotonic()
        done = act()
        took[step] = round(time.monotonic() - started)
        return done

    pods = timed("beside its member", lambda: applied(own, demo_manifests, 2))
    all_see(own, 2)
    beside = put_through_one_and_get_through_the_other(api, pods, "beside")
    assert None not in beside
    assert len(set(beside)) == 2

    traffic = Traffic(front_door(own, "demo", api))
    traffic.fill(ENTRIES)
    assert len(traffic.acknowledged) == ENTRIES, traffic.summary()
    members = [each for each in client_server if each["metadata"]["name"].startswith("hazelcast")]
    with traffic:
        own.apply(*moved(members, own))
        timed("members join", lambda: own.rolled_out("statefulset/hazelcast"))
        all_see(own, 4)
        pods = timed("members beside it leave", lambda: applied(own, client_server, 1))
        all_see(own, 2)
        own("delete", "poddisruptionbudget", "hazelcast-demo", "hazelcast")
        own.apply(*moved(client_server, own))
        until(60, "a member may be evicted", lambda: may_be_evicted(own, "hazelcast-0"))
        assert put_through_one_and_get_through_the_other(api, pods, "client") == [None, None]
        there = len(traffic.acknowledged)

        pods = timed("members beside it join", lambda: applied(own, demo_manifests, 2))
        all_see(own, 4)
        own("scale", "statefulset/hazelcast", "--replicas=0")
        timed("members leave", lambda: until(180, "no member is left", lambda: not own.ready(MEMBERS)))
        all_see(own, 2)
        assert None not in put_through_one_and_get_through_the_other(api, pods, "back")

    sightings.note(
        "from members beside it to a separate cluster and back", f"{traffic.summary()}; seconds: {took}"
    )
    assert ENTRIES < there < len(traffic.acknowledged), "puts went on"
    assert traffic.lost() == []
    assert traffic.wrong == {}
