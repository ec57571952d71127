"""Members where NetworkPolicies deny everything: what they do, what is said of it, and what opens it."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.e2e.commands import findings, run, sizes_seen
from tests.e2e.conftest import ROOT, namespace
from tests.e2e.kubectl import Kubectl, agree_on, until
from tests.e2e.workloads import DENY_ALL, with_members

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.conftest import Images, Sightings

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("enforced")]

WAITS = re.compile(r"Waiting for the DNS to list this member under \S+, for (\d+) s now")
LONGER_THAN_THE_SEARCH = 15
"""Seconds; the search for other members, after which one that finds none forms a cluster, takes six."""

NO_MEMBERS = "deny-all in {} keeps members of the group {} from each other: Ingress on TCP port 5701"
NO_DNS = (
    "deny-all in {} keeps members of the group {} from the DNS, by which they find each other: "
    "Egress on UDP port 53"
)


@pytest.fixture
def empty(webhook: Kubectl) -> Iterator[Kubectl]:
    """A namespace with nothing in it."""
    assert webhook
    with namespace("hazelcast-denied") as kubectl:
        yield kubectl


def opening() -> dict[str, Any]:
    """The NetworkPolicy that the documents have for such namespaces."""
    document = (ROOT / "docs" / "security.md").read_text()
    (text,) = re.findall(r"```yaml\n(apiVersion: networking.+?)```", document, re.DOTALL)
    policy: dict[str, Any] = yaml.safe_load(text)
    return policy


def said_of(kubectl: Kubectl) -> list[str]:
    """What `check` finds wrong with the networks of a namespace."""
    return [
        finding["message"]
        for finding in findings("problem")
        if finding["check"] == "NetworkPolicies" and f" {kubectl.namespace} " in finding["message"]
    ]


def waited(kubectl: Kubectl, pods: list[str]) -> list[int]:
    """For how long each member says that it waits for the DNS; the seconds of the last line."""
    logs = [kubectl("logs", pod, "--container=hazelcast") for pod in pods]
    assert [log for log in logs if "Members {size" in log] == [], "none formed a cluster"
    return [int((WAITS.findall(log) or ["0"])[-1]) for log in logs]


def test_members_of_the_image_built_here_wait_until_the_namespace_is_opened(
    empty: Kubectl, demo_manifests: list[dict[str, Any]], images: Images, sightings: Sightings
) -> None:
    kubectl = empty
    kubectl.apply(DENY_ALL, with_members(demo_manifests, "dark", 2, image=images.member))
    until(60, "two Pods", lambda: len(kubectl.pods("app=dark")) == 2)
    pods = kubectl.pods("app=dark")
    until(120, "both wait for the DNS", lambda: min(waited(kubectl, pods)) >= LONGER_THAN_THE_SEARCH)
    assert {line.split()[1] for line in kubectl.ready("app=dark").splitlines()} == {"0/2"}
    sentences = said_of(kubectl)
    assert sentences == [each.format(kubectl.namespace, "dark") for each in (NO_MEMBERS, NO_DNS)]
    waiting = kubectl("logs", pods[0], "--container=hazelcast", "--tail=1")

    kubectl.apply(opening())
    kubectl.rolled_out("deployment/dark")
    assert agree_on(kubectl, "app=dark", "hazelcast", 2) == pods, "the same Pods"
    assert said_of(kubectl) == []
    until(60, "status finds one cluster", lambda: run("status", "-n", kubectl.namespace).returncode == 0)
    sightings.note("a namespace that denies everything", "\n".join([waiting, *sentences]))


@pytest.mark.faults
@pytest.mark.parametrize(
    ("image", "types", "closed"),
    [
        pytest.param("stock", ["Ingress", "Egress"], [NO_MEMBERS, NO_DNS], id="stock image"),
        pytest.param("built here", ["Ingress"], [NO_MEMBERS], id="DNS open"),
    ],
)
def test_members_that_do_not_reach_each_other_form_a_cluster_each_until_they_do(
    empty: Kubectl,
    demo_manifests: list[dict[str, Any]],
    images: Images,
    sightings: Sightings,
    image: str,
    types: list[str],
    closed: list[str],
) -> None:
    """Those of the stock image, and of any image that the DNS answers: being listed is not being reached."""
    kubectl = empty
    kubectl.apply({**DENY_ALL, "spec": {**DENY_ALL["spec"], "policyTypes": types}})
    given = {"image": images.member} if image == "built here" else {}
    kubectl.apply(with_members(demo_manifests, "split", 2, **given))
    kubectl.rolled_out("deployment/split")
    until(60, "each sees itself", lambda: sizes_seen(kubectl.namespace, "split") == [1, 1])
    shown = run("status", "-n", kubectl.namespace)
    assert shown.returncode == 1
    assert "2 clusters instead of one" in shown.stdout
    assert said_of(kubectl) == [each.format(kubectl.namespace, "split") for each in closed]

    kubectl.apply(opening())
    begun = time.monotonic()
    agree_on(kubectl, "app=split", "hazelcast", 2, seconds=180)
    assert said_of(kubectl) == []
    took = f"one cluster {time.monotonic() - begun:.0f} s after the namespace was opened"
    sightings.note(f"members that do not reach each other, {types} denied", f"{shown.stdout}{took}")
