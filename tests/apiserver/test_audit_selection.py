"""Whom the audit and repair leave alone, by the selectors of what is registered, on a real API server.

A Pod that asks for a member where nothing injects is found; evicted, it would come again as it was.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from hazelcast_sidecar.admission_policies.policies import policies
from hazelcast_sidecar.names import INJECTOR, PREFIX
from hazelcast_sidecar.spec.settings import Settings
from tests.harness.accounts import Account
from tests.harness.audits import (
    FOUND_SECONDS,
    GOES_SECONDS,
    auditing,
    create,
    evictions,
    going,
    missed,
    scheduled,
    stays_so,
)
from tests.harness.control_plane import MERGE, ControlPlane
from tests.harness.group_pods import delete_pod
from tests.harness.installation import CONFIGURATIONS
from tests.harness.shipped_manifests import ROOT, apply_strictly, rendered, wait_until_called
from tests.harness.stored_workloads import replica_set
from tests.harness.waiting import until
from tests.harness.webhook_server import WebhookServer
from tests.harness.workload_events import wait_for_sentence

pytestmark = [pytest.mark.apiserver, pytest.mark.usefixtures("may_evict")]


REPAIR = ("--repair", "missed", "--certificates", "leave")


@pytest.fixture
def install(
    cluster: ControlPlane, webhook: WebhookServer, tmp_path: Path
) -> Iterator[Callable[[str], dict[str, Any]]]:
    """Register the webhook as the base with a component does; afterwards it is gone."""

    def registered(component: str) -> dict[str, Any]:
        folder = tmp_path / "repository" / "manifests"
        shutil.copytree(ROOT / "manifests", folder, dirs_exist_ok=True)
        overlay = folder / "overlays" / "mine"
        overlay.mkdir(exist_ok=True)
        components = [f"../../components/{component}"] if component else []
        (overlay / "kustomization.yaml").write_text(
            json.dumps({"resources": ["../../base"], "components": components})
        )
        found: dict[str, Any]
        (found,) = [o for o in rendered(cluster, overlay) if o["kind"] == "MutatingWebhookConfiguration"]
        webhook.take_the_place_of_the_service(found)
        assert apply_strictly(cluster, [found]) == []
        return found

    yield registered
    assert cluster.request("DELETE", f"{CONFIGURATIONS}/{INJECTOR}").code in (200, 404)


def choose(cluster: ControlPlane, namespace: str) -> None:
    """Label a namespace as the component wants it."""
    label = {"metadata": {"labels": {f"{PREFIX}injection": "enabled"}}}
    assert cluster.request("PATCH", f"/api/v1/namespaces/{namespace}", label, MERGE).code == 200


def has_member(cluster: ControlPlane, namespace: str, name: str) -> bool:
    """Whether a stored Pod was injected."""
    spec = cluster.request("GET", f"/api/v1/namespaces/{namespace}/pods/{name}").document["spec"]
    return "initContainers" in spec


def test_a_pod_of_a_namespace_that_is_not_chosen_is_not_evicted_until_it_is(
    cluster: ControlPlane,
    shipped: Account,
    namespace: str,
    install: Callable[[str], dict[str, Any]],
    tmp_path: Path,
) -> None:
    install("chosen-namespaces")
    owner = replica_set(cluster, namespace, "shop")
    create(cluster, namespace, scheduled("shop-a", owner))
    assert not has_member(cluster, namespace, "shop-a")
    offset = cluster.audit_log.stat().st_size
    with auditing(cluster, shipped, tmp_path, *REPAIR) as running:
        until(FOUND_SECONDS, "it is found", lambda: missed(running) == 1)
        stays_so(lambda: going(cluster, namespace) == set())
        assert evictions(cluster, shipped, offset) == []
        sentence = f"the namespace {namespace} is excluded from injection"
        wait_for_sentence(cluster, namespace, "Missed", sentence)

        choose(cluster, namespace)
        until(GOES_SECONDS, "it goes", lambda: going(cluster, namespace) == {"shop-a"})
        create(cluster, namespace, scheduled("shop-b", owner))
        assert has_member(cluster, namespace, "shop-b")
        delete_pod(cluster, namespace, "shop-a")
        until(FOUND_SECONDS, "none is left", lambda: missed(running) == 0)


@pytest.mark.slow
def test_nothing_is_evicted_while_nothing_is_registered(
    cluster: ControlPlane,
    shipped: Account,
    namespace: str,
    install: Callable[[str], dict[str, Any]],
    webhook: WebhookServer,
    tmp_path: Path,
) -> None:
    owner = replica_set(cluster, namespace, "shop")
    create(cluster, namespace, scheduled("shop-a", owner))
    with auditing(cluster, shipped, tmp_path, *REPAIR) as running:
        until(FOUND_SECONDS, "it is found", lambda: missed(running) == 1)
        stays_so(lambda: going(cluster, namespace) == set())
        wait_for_sentence(cluster, namespace, "Missed", "nothing is registered that would inject it")

        install("")
        wait_until_called(cluster, webhook)
        until(GOES_SECONDS, "it goes", lambda: going(cluster, namespace) == {"shop-a"})


@pytest.mark.slow
def test_a_pod_that_the_object_selector_leaves_out_is_not_evicted(
    cluster: ControlPlane,
    shipped: Account,
    namespace: str,
    install: Callable[[str], dict[str, Any]],
    tmp_path: Path,
) -> None:
    """And a selector that is changed while it runs counts at the next look."""
    configuration = install("")
    for each in configuration["webhooks"][:4]:
        each["objectSelector"] = {"matchLabels": {"app": "other"}}
    assert apply_strictly(cluster, [configuration]) == []
    owner = replica_set(cluster, namespace, "shop")
    name = until_missed(cluster, namespace, owner)
    with auditing(cluster, shipped, tmp_path, *REPAIR) as running:
        until(FOUND_SECONDS, "it is found", lambda: missed(running) == 1)
        stays_so(lambda: going(cluster, namespace) == set())
        wait_for_sentence(cluster, namespace, "Missed", "its labels exclude it from injection")

        configuration["webhooks"][0]["objectSelector"] = {"matchLabels": {"app": "shop"}}
        assert apply_strictly(cluster, [configuration]) == []
        until(GOES_SECONDS, "it goes", lambda: going(cluster, namespace) == {name})


def until_missed(cluster: ControlPlane, namespace: str, owner: dict[str, Any]) -> str:
    """Create Pods until one gets no member: the API server takes up a configuration a moment later."""
    names = [f"shop-{number}" for number in range(1000)]

    def was_missed() -> bool:
        create(cluster, namespace, scheduled(names[0], owner))
        if not has_member(cluster, namespace, names[0]):
            return True
        delete_pod(cluster, namespace, names.pop(0))
        return False

    until(FOUND_SECONDS, "one gets no member", was_missed)
    return names[0]


@pytest.mark.slow
@pytest.mark.since("1.36", "injection without a webhook")
def test_policies_without_a_webhook_count_as_well(
    cluster: ControlPlane, shipped: Account, namespace: str, tmp_path: Path
) -> None:
    owner = replica_set(cluster, namespace, "shop")
    create(cluster, namespace, scheduled("shop-a", owner))
    made = policies(Settings())
    assert apply_strictly(cluster, made) == []
    try:
        with auditing(cluster, shipped, tmp_path, *REPAIR) as running:
            until(GOES_SECONDS, "it goes", lambda: going(cluster, namespace) == {"shop-a"})
            create(cluster, namespace, scheduled("shop-b", owner))
            assert has_member(cluster, namespace, "shop-b")
            delete_pod(cluster, namespace, "shop-a")
            until(FOUND_SECONDS, "none is left", lambda: missed(running) == 0)
    finally:
        cluster.kubectl("delete", "-f", "-", stdin=yaml.safe_dump_all(made))
