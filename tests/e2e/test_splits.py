"""The controller watches whether groups are one cluster: it reports a split, and members that it may not ask.

The split is a real one: members that start without DNS form a cluster each, and merge when it is back.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.bystander import fetch
from tests.e2e.conftest import CONTROLLER, namespace, rendered
from tests.e2e.kubectl import Kubectl, agree_on, find, until
from tests.e2e.test_faults import scaled_to_nothing
from tests.e2e.workloads import idle_pod, with_members

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.conftest import Images, Sightings

pytestmark = [pytest.mark.e2e, pytest.mark.faults]

CONTROLLERS = "app.kubernetes.io/component=controller"
SCRAPER = "scraper"
REPORTED_SECONDS = 300  # a minute and a look or two are promised
MINUTE = 60


class Controllers(NamedTuple):
    """The controller with the component, and a Pod of another namespace that reads its metrics."""

    kubectl: Kubectl
    scraper: Kubectl

    def samples(self, name: str) -> list[tuple[dict[str, str], float]]:
        """The labels and values of a metric, of all replicas."""
        found = []
        for pod in self.kubectl.read("pods", f"--selector={CONTROLLERS}")["items"]:
            if pod["metadata"].get("deletionTimestamp"):
                continue
            text = fetch(self.scraper, SCRAPER, f"http://{pod['status']['podIP']}:8080/metrics")
            for family in text_string_to_metric_families(text):
                found += [(each.labels, each.value) for each in family.samples if each.name == name]
        return found

    def total(self, name: str) -> float:
        return sum(value for _, value in self.samples(f"hazelcast_sidecar_controller_{name}"))

    def split(self) -> list[dict[str, str]]:
        return [labels for labels, value in self.samples("hazelcast_sidecar_group_split") if value == 1]


@pytest.fixture(scope="module")
def watching(
    webhook: Kubectl,
    webhook_manifests: list[dict[str, Any]],
    demo_manifests: list[dict[str, Any]],
    images: Images,
) -> Iterator[Controllers]:
    """The controller with the component, and afterwards as it was."""
    manifests = rendered(webhook, "base", images.webhook, "watch-groups")
    webhook.apply(find(manifests, "Deployment", CONTROLLER))
    webhook.rolled_out(f"deployment/{CONTROLLER}")
    with namespace("hazelcast-scraper") as scraper:
        scraper.apply(idle_pod(demo_manifests, SCRAPER))
        scraper.pods_ready(SCRAPER)
        yield Controllers(webhook, scraper)
    webhook.apply(find(webhook_manifests, "Deployment", CONTROLLER))
    webhook.rolled_out(f"deployment/{CONTROLLER}")


@pytest.fixture
def elsewhere(watching: Controllers) -> Iterator[Kubectl]:
    """A namespace with nothing in it."""
    assert watching
    with namespace("hazelcast-splits") as kubectl:
        yield kubectl


def events(kubectl: Kubectl, reason: str) -> list[Any]:
    found: list[Any] = kubectl.read("events", f"--field-selector=reason={reason}")["items"]
    return found


def test_a_split_is_reported_and_so_is_its_end(
    watching: Controllers, elsewhere: Kubectl, demo_manifests: list[dict[str, Any]], sightings: Sightings
) -> None:
    with scaled_to_nothing(Kubectl("kube-system"), "coredns", "k8s-app=kube-dns"):
        elsewhere.apply(with_members(demo_manifests, "dark", 2))
        elsewhere.rolled_out("deployment/dark")
        apart = time.monotonic()
        assert watching.split() == [], "it is not a minute yet"
        series = until(REPORTED_SECONDS, "the split shows", watching.split)
        assert series == [{"namespace": elsewhere.namespace, "group": "dark"}]
        (event,) = until(MINUTE, "there is an Event", lambda: events(elsewhere, "Split"))
        reported = time.monotonic() - apart
    assert event["involvedObject"]["kind"] == "Deployment"
    assert event["involvedObject"]["name"] == "dark"
    assert "see" in event["message"]
    back = time.monotonic()
    agree_on(elsewhere, "app=dark", "hazelcast", 2)
    until(REPORTED_SECONDS, "the series is gone", lambda: watching.split() == [])
    (healed,) = until(MINUTE, "so is an Event", lambda: events(elsewhere, "Healed"))
    sightings.note(
        "kubectl describe deployment/dark, of a split",
        f"{event['type']}  {event['reason']}  {event['message']}\n"
        f"{healed['type']}  {healed['reason']}  {healed['message']}\n"
        f"reported {reported:.0f} s after the Pods were ready, "
        f"healed {time.monotonic() - back:.0f} s after DNS was back",
    )
    assert len(events(elsewhere, "Split")) == 1, "once for each"


ONLY_ITSELF = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "only-itself"},
    "spec": {
        "podSelector": {"matchLabels": {"app": "deaf"}},
        "policyTypes": ["Ingress"],
        "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "deaf"}}}]}],
    },
}


@pytest.mark.usefixtures("enforced")
def test_a_groups_own_policy_lets_the_controller_in_and_behind_another_it_is_silent_and_not_split(
    watching: Controllers, elsewhere: Kubectl, demo_manifests: list[dict[str, Any]]
) -> None:
    elsewhere.apply(with_members(demo_manifests, "shut", 2, **{"network-policy": "true"}))
    elsewhere.rolled_out("deployment/shut")
    agree_on(elsewhere, "app=shut", "hazelcast", 2)
    asked = watching.total("members_asked_total")
    until(3 * MINUTE, "both are asked twice", lambda: watching.total("members_asked_total") >= asked + 4)
    assert watching.total("silent_groups") == 0

    elsewhere.apply(ONLY_ITSELF, with_members(demo_manifests, "deaf", 2))
    elsewhere.rolled_out("deployment/deaf")
    agree_on(elsewhere, "app=deaf", "hazelcast", 2)
    until(2 * MINUTE, "it cannot be asked", lambda: watching.total("silent_groups") == 1)
    elsewhere("delete", "networkpolicy/only-itself")
    until(2 * REPORTED_SECONDS, "it can", lambda: watching.total("silent_groups") == 0)
    assert (watching.split(), events(elsewhere, "Split")) == ([], [])
