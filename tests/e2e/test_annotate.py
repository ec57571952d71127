"""What the README opens with: create a Deployment, annotate it, use its cluster, take the annotation away."""

from __future__ import annotations

import json
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.bystander import TAKES_NO_CLIENTS, knock
from tests.e2e.conftest import namespace
from tests.e2e.http_client import Entrance, api_proxy, replica
from tests.e2e.kubectl import Kubectl, agree_on, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.conftest import Images, Sightings

pytestmark = pytest.mark.e2e

INJECT, CLIENTS = "sidecar.hazelcast.com/inject", "sidecar.hazelcast.com/clients"
PODS = "app=shop"


@pytest.fixture
def fresh(webhook: Kubectl) -> Iterator[Kubectl]:
    """A namespace with nothing in it."""
    assert webhook
    with namespace("hazelcast-fresh") as kubectl:
        yield kubectl


def shown(kubectl: Kubectl, *arguments: str) -> str:
    """What a person sees: warnings go to standard error."""
    command = ["kubectl", f"--namespace={kubectl.namespace}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return f"$ kubectl {' '.join(arguments)}\n{done.stderr}{done.stdout}"


def passes_on(first: Entrance, second: Entrance) -> bool:
    """Whether both applications are up, which nothing told the kubelet to wait for, and share a map."""
    try:
        first.get("/put", key="k", value="v")
        return second.get("/get", key="k") == "v"
    except OSError:
        return False


def test_annotating_a_deployment_gives_it_a_cluster_and_taking_the_annotation_away_takes_it_out(
    fresh: Kubectl, images: Images, sightings: Sightings
) -> None:
    steps = [shown(fresh, "create", "deployment", "shop", f"--image={images.demo}", "--replicas=2")]
    fresh.rolled_out("deployment/shop")
    assert {line.split()[1] for line in fresh.ready(PODS).splitlines()} == {"1/1"}

    started = time.monotonic()
    steps.append(shown(fresh, "annotate", "deployment", "shop", f"{INJECT}=true"))
    assert 'Warning: injected: each Pod gets a Hazelcast member, group "shop", cluster "dev"' in steps[-1]
    fresh.rolled_out("deployment/shop")
    pods = agree_on(fresh, PODS, "hazelcast", 2)
    seconds = time.monotonic() - started
    steps.append(shown(fresh, "get", "pods,services,configmaps", f"--selector={PODS}"))
    assert fresh.ready(PODS).count("2/2") == 2
    with api_proxy(fresh) as api:
        first, second = (replica(api, pod) for pod in pods)
        until(60, "an entry goes from one replica to the other", lambda: passes_on(first, second))

    steps.append(shown(fresh, "annotate", "deployment", "shop", f"{INJECT}-"))
    assert "Warning: removed: the Pods have no Hazelcast members" in steps[-1]
    fresh.rolled_out("deployment/shop")

    def without_members() -> bool:
        return {line.split()[1] for line in fresh.ready(PODS).splitlines()} == {"1/1"}

    until(120, "no Pod has a member any more", without_members)
    template = fresh.read("deployment", "shop")["spec"]["template"]
    assert "hazelcast" not in json.dumps(template["metadata"].get("annotations") or {})
    steps.append(f"one cluster of two {seconds:.1f} s after kubectl annotate")
    sightings.note("kubectl annotate deployment", "\n".join(steps))


def test_clients_of_other_pods_are_kept_out(fresh: Kubectl, images: Images, sightings: Sightings) -> None:
    fresh("create", "deployment", "shop", f"--image={images.demo}", "--replicas=2")
    fresh("set", "env", "deployment/shop", "HAZELCAST_SMART_ROUTING=false")
    steps = [shown(fresh, "annotate", "deployment", "shop", f"{INJECT}=true", f"{CLIENTS}=pod")]
    fresh.rolled_out("deployment/shop")
    pods = agree_on(fresh, PODS, "hazelcast", 2)
    with api_proxy(fresh) as api:
        first, second = (replica(api, pod) for pod in pods)
        until(60, "an entry goes from one replica to the other", lambda: passes_on(first, second))

    address = fresh.read("pod", pods[1])["status"]["podIP"]
    knocked = knock(fresh, pods[0], address, 5701, 5702, 5703)
    assert knocked == {5701: "refused", 5702: TAKES_NO_CLIENTS, 5703: TAKES_NO_CLIENTS}
    steps.append(f"a client's first word, from another Pod: {knocked}")
    sightings.note(f"{CLIENTS}=pod", "\n".join(steps))
