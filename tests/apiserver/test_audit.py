"""What the audit finds and repair mends, on a real API server and with exactly the shipped rights.

No ReplicaSet controller, kubelet or disruption controller runs: the tests play them. Pods have a node, so one
that is evicted goes only when the test, as the kubelet, says so.
"""

import json
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jsonpatch
import pytest

from hazelcast_sidecar.names import INJECTOR, PREFIX
from hazelcast_sidecar.spec.settings import Settings
from tests.harness.accounts import NAME, Account, rights_of
from tests.harness.audit_log import asked
from tests.harness.audits import (
    FOUND_SECONDS,
    GOES_SECONDS,
    STATUS,
    STAYS_SECONDS,
    auditing,
    can_evict,
    create,
    evictions,
    going,
    missed,
    put_away,
    report,
    scheduled,
    stays_so,
)
from tests.harness.control_plane import MERGE, ControlPlane
from tests.harness.group_pods import delete_pod
from tests.harness.installation import CONFIGURATIONS
from tests.harness.namespaces import create_namespace, remove_pods
from tests.harness.pods import injected
from tests.harness.shipped_manifests import ROOT, apply_strictly, rendered, wait_until_called
from tests.harness.stored_workloads import replica_set
from tests.harness.waiting import until
from tests.harness.webhook_server import WebhookServer
from tests.harness.workload_events import wait_for_sentence, wait_until_told

pytestmark = pytest.mark.apiserver

LATER_SECONDS = 10.0  # what cannot go now is tried again then


# --- the installation --------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def away(cluster: ControlPlane) -> Iterator[None]:
    """Register a webhook that never answers and is passed over: so Pods are missed, and would not be again.

    For all that the audit sees, it is back by now.
    """
    put_away(cluster)
    yield
    assert cluster.request("DELETE", f"{CONFIGURATIONS}/{INJECTOR}").code in (200, 404)


# --- Pods --------------------------------------------------------------------------------------------------


# --- missed ------------------------------------------------------------------------------------------------


@pytest.fixture
def registered(cluster: ControlPlane, webhook: WebhookServer) -> Callable[[], None]:
    """Register the real webhook when called, in the place of the one that is away."""

    def register() -> None:
        assert cluster.request("DELETE", f"{CONFIGURATIONS}/{INJECTOR}").code == 200
        objects = rendered(cluster, ROOT / "manifests" / "base")
        (found,) = [o for o in objects if o["kind"] == "MutatingWebhookConfiguration"]
        webhook.take_the_place_of_the_service(found)
        assert apply_strictly(cluster, [found]) == []
        wait_until_called(cluster, webhook)

    return register


def test_pods_from_before_the_webhook_are_found_and_told_by_owner(
    cluster: ControlPlane,
    shipped: Account,
    namespace: str,
    registered: Callable[[], None],
    tmp_path: Path,
) -> None:
    owner = replica_set(cluster, namespace, "shop")
    for name in ("shop-a", "shop-b"):
        create(cluster, namespace, scheduled(name, owner))
    create(cluster, namespace, scheduled("wrong", port="80"))
    create(cluster, namespace, scheduled("declined", inject="false"))
    create(cluster, namespace, {**scheduled("plain"), "metadata": {"name": "plain"}})
    create(cluster, namespace, scheduled("over"))
    report(cluster, namespace, "over", ready=False, phase="Succeeded")
    labelled = scheduled("labelled", owner, group="shop")
    labelled["metadata"]["labels"][f"{PREFIX}group"] = "shop"
    create(cluster, namespace, labelled)
    registered()
    create(cluster, namespace, scheduled("later", owner))
    with auditing(cluster, shipped, tmp_path, "--certificates", "leave") as running:
        until(FOUND_SECONDS, "four are found", lambda: missed(running) == 4)
        events = wait_until_told(cluster, namespace, "Missed", 2)
        by_owner = {
            f"{event['involvedObject']['kind']}/{event['involvedObject']['name']}": event["message"]
            for event in events
        }
        assert by_owner["ReplicaSet/shop"].startswith(
            "3 Pods run without the member that is asked for, for example labelled: it was created while"
        )
        assert "kubectl rollout restart" in by_owner["ReplicaSet/shop"]
        assert "it would be denied now" in by_owner["Pod/wrong"]
        assert '"80" is not an integer' in by_owner["Pod/wrong"]
        lines = [line["owner"] for line in running.said("Missed")]
        assert sorted(lines) == ["Pod/wrong", "ReplicaSet/shop"], "a line for each owner"

        for name in ("shop-a", "wrong"):
            delete_pod(cluster, namespace, name)
        until(FOUND_SECONDS, "two are left", lambda: missed(running) == 2)
        assert [line["owner"] for line in running.said("Missed Pods resolved")] == ["Pod/wrong"]
        time.sleep(2)
        assert len(running.said("Missed")) == 2, "what is known is not told again"
        assert evictions(cluster, shipped) == []


def test_all_pods_are_gone_through_by_pages(
    cluster: ControlPlane, shipped: Account, namespace: str, tmp_path: Path
) -> None:
    """And of those that do not ask, nothing but the metadata is read."""

    def store(number: int) -> None:
        plain = {**scheduled(f"p-{number}"), "metadata": {"name": f"p-{number:03}"}}
        assert cluster.request("POST", f"/api/v1/namespaces/{namespace}/pods", plain).code == 201

    with ThreadPoolExecutor(8) as creators:
        list(creators.map(store, range(510)))
    create(cluster, namespace, scheduled("q-asks"))
    create(cluster, namespace, scheduled("q-declines", inject="false"))
    offset = cluster.audit_log.stat().st_size
    with auditing(cluster, shipped, tmp_path, "--certificates", "leave") as running:
        until(FOUND_SECONDS, "the last one is found", lambda: missed(running) == 1)
    pods = [a for a in asked(cluster, shipped.user, offset) if a.resource == "pods"]
    limits = [int(re.findall(r"limit=(\d+)", a.uri)[0]) for a in pods if a.verb == "list"]
    assert min(limits) == 50, "the first page of a list is small"
    assert max(limits) == 500
    assert any("continue=" in a.uri for a in pods)
    assert {a.uri.rpartition("/")[2] for a in pods if a.verb == "get"} == {"q-asks"}


def test_exempt_pods_have_a_sentence_of_their_own(
    cluster: ControlPlane, shipped: Account, tmp_path: Path, may_evict: None
) -> None:
    assert may_evict is None
    owner = replica_set(cluster, "kube-system", "shop")
    create(cluster, "kube-system", scheduled("shop-a", owner))
    try:
        with auditing(cluster, shipped, tmp_path, "--repair", "all") as running:
            until(FOUND_SECONDS, "it is found", lambda: missed(running) == 1)
            sentence = "the namespace kube-system is excluded from injection"
            wait_for_sentence(cluster, "kube-system", "Missed", sentence)
            stays_so(lambda: going(cluster, "kube-system") == set())
            assert running.metric("evictions_total") == 0
    finally:
        remove_pods(cluster, "kube-system")


# --- drifted -----------------------------------------------------------------------------------------------


def test_drift_shows_when_the_settings_file_changes(
    cluster: ControlPlane, shipped: Account, namespace: str, tmp_path: Path
) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text("")
    owner = replica_set(cluster, namespace, "shop")
    for name in ("shop-a", "shop-b"):
        create(cluster, namespace, injected(scheduled(name, owner)))
    create(cluster, namespace, injected(scheduled("own", image="r.example/hz:1", port="6000")))
    with auditing(cluster, shipped, tmp_path, "--settings", str(settings)) as running:
        until(FOUND_SECONDS, "all are known", lambda: running.metric("watched_pods") == 3)
        time.sleep(2)
        assert running.metric("drifted_pods") == 0
        settings.write_text("defaults: {image: r.example/hz:1}\n")
        until(FOUND_SECONDS, "two have drifted", lambda: running.metric("drifted_pods") == 2)
        sentence = "2 Pods run with an outdated member, for example shop-a: "
        event = wait_for_sentence(cluster, namespace, "Drifted", sentence)
        assert event["involvedObject"]["name"] == "shop"
        settings.write_text("defaults: {image: [}\n")
        until(FOUND_SECONDS, "it is refused", lambda: len(running.said("settings not reloaded")) == 1)
        assert running.metric("drifted_pods") == 2
        settings.write_text("defaults: {metrics: 'true', metrics-port: '6000'}\n")
        until(FOUND_SECONDS, "all have drifted", lambda: running.metric("drifted_pods") == 3)
        wait_for_sentence(cluster, namespace, "Drifted", "it would be denied now")
        settings.write_text("")
        until(FOUND_SECONDS, "none has", lambda: running.metric("drifted_pods") == 0)
        assert len(running.said("settings reloaded")) == 3

        old = injected(scheduled("old"))
        record = json.loads(old["metadata"]["annotations"][STATUS])
        del record["fingerprint"]
        old["metadata"]["annotations"][STATUS] = json.dumps(record)
        create(cluster, namespace, old)
        until(FOUND_SECONDS, "one of an older version", lambda: running.metric("drifted_pods") == 1)
        wait_for_sentence(cluster, namespace, "Drifted", "an older version injected it")
        assert evictions(cluster, shipped) == []


def test_what_the_running_webhook_writes_is_no_drift(
    cluster: ControlPlane, shipped: Account, namespace: str, webhook: WebhookServer, tmp_path: Path
) -> None:
    """The name of a Pod is open when the webhook sees it, and the API server adds defaults afterwards."""
    for obj in (
        scheduled("bare"),
        scheduled("shop-a", replica_set(cluster, namespace, "shop"), metrics="true"),
    ):
        create(cluster, namespace, jsonpatch.apply_patch(obj, webhook.patch(obj)))
    generated = scheduled("x")
    del generated["metadata"]["name"]
    generated["metadata"]["generateName"] = "made-"
    generated = jsonpatch.apply_patch(generated, webhook.patch(generated))
    assert cluster.request("POST", f"/api/v1/namespaces/{namespace}/pods", generated).code == 201
    with auditing(cluster, shipped, tmp_path) as running:
        until(FOUND_SECONDS, "all are known", lambda: running.metric("watched_pods") == 3)
        time.sleep(2)
        assert (running.metric("drifted_pods"), missed(running)) == (0, 0)


# --- repair ------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_nothing_is_evicted_unless_asked_for(
    cluster: ControlPlane, shipped: Account, namespace: str, tmp_path: Path, may_evict: None
) -> None:
    assert may_evict is None
    create(cluster, namespace, scheduled("shop-a", replica_set(cluster, namespace, "shop")))
    offset = cluster.audit_log.stat().st_size
    with auditing(cluster, shipped, tmp_path) as running:
        until(FOUND_SECONDS, "it is found", lambda: missed(running) == 1)
        stays_so(lambda: evictions(cluster, shipped, offset) == [])


def test_the_shipped_rights_refuse_evictions(
    cluster: ControlPlane, shipped: Account, namespace: str, tmp_path: Path
) -> None:
    assert not can_evict(cluster, shipped)
    create(cluster, namespace, scheduled("shop-a", replica_set(cluster, namespace, "shop")))
    with auditing(cluster, shipped, tmp_path, "--repair", "missed") as running:
        until(FOUND_SECONDS, "it is refused", lambda: running.metric("evictions_total", "error") == 1)
        (line,) = running.said("repair failed")
        assert "pods/eviction" in line["error"]
        stays_so(lambda: going(cluster, namespace) == set())
        assert missed(running) == 1


@pytest.mark.slow
def test_missed_pods_are_evicted_one_at_a_time(
    cluster: ControlPlane, shipped: Account, namespace: str, tmp_path: Path, may_evict: None
) -> None:
    assert may_evict is None
    owner = replica_set(cluster, namespace, "shop")
    other = replica_set(cluster, namespace, "zebra")
    for name in ("shop-a", "shop-b"):
        create(cluster, namespace, scheduled(name, owner))
    create(cluster, namespace, scheduled("zebra-a", other))
    with auditing(cluster, shipped, tmp_path, "--repair", "missed") as running:
        for name, reference in (("shop-a", owner), ("zebra-a", other), ("shop-b", owner)):
            until(GOES_SECONDS, f"{name} goes", lambda name=name: going(cluster, namespace) == {name})  # type: ignore[misc]
            stays_so(lambda name=name: going(cluster, namespace) == {name})  # type: ignore[misc]
            create(cluster, namespace, injected(scheduled(f"{name}-new", reference)), ready=False)
            delete_pod(cluster, namespace, name)
            stays_so(lambda: going(cluster, namespace) == set())
            report(cluster, namespace, f"{name}-new", ready=True)
        until(FOUND_SECONDS, "none is left", lambda: missed(running) == 0)
        assert running.metric("evictions_total", "evicted") == 3
        assert running.metric("evictions_total") == 3
        assert [line["pod"] for line in running.said("evicted")] == ["shop-a", "zebra-a", "shop-b"]


@pytest.mark.slow
def test_a_pod_that_is_not_ready_goes_first(
    cluster: ControlPlane, shipped: Account, namespace: str, tmp_path: Path, may_evict: None
) -> None:
    """It serves nobody; and were it waited for, none would ever go."""
    assert may_evict is None
    owner = replica_set(cluster, namespace, "shop")
    create(cluster, namespace, scheduled("shop-a", owner))
    create(cluster, namespace, scheduled("shop-b", owner), ready=False)
    create(cluster, namespace, scheduled("shop-c", owner), ready=False)
    with auditing(cluster, shipped, tmp_path, "--repair", "missed") as running:
        for name in ("shop-b", "shop-c", "shop-a"):
            until(GOES_SECONDS, f"{name} goes", lambda name=name: going(cluster, namespace) == {name})  # type: ignore[misc]
            create(cluster, namespace, injected(scheduled(f"{name}-new", owner)))
            delete_pod(cluster, namespace, name)
        until(FOUND_SECONDS, "none is left", lambda: missed(running) == 0)


def budget(cluster: ControlPlane, namespace: str, allowed_disruptions: int) -> None:
    """As the disruption controller, say how many Pods may go."""
    path = f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets"
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "shop"}}}
    body = {"metadata": {"name": "shop"}, "spec": spec}
    answer = cluster.request("POST", path, body)
    assert answer.code in (201, 409), answer.message
    status = {"observedGeneration": 1, "disruptionsAllowed": allowed_disruptions}
    status |= {"currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 1}
    answer = cluster.request("PATCH", f"{path}/shop/status", {"status": status}, MERGE)
    assert answer.code == 200, answer.message


@pytest.mark.slow
def test_a_disruption_budget_is_honoured(
    cluster: ControlPlane, shipped: Account, namespace: str, tmp_path: Path, may_evict: None
) -> None:
    assert may_evict is None
    free = create_namespace(cluster, {})
    create(cluster, namespace, scheduled("shop-a", replica_set(cluster, namespace, "shop")))
    create(cluster, free, scheduled("free-a", replica_set(cluster, free, "free")))
    budget(cluster, namespace, 0)
    try:
        with auditing(cluster, shipped, tmp_path, "--repair", "missed") as running:
            until(GOES_SECONDS, "others do not wait for it", lambda: going(cluster, free) == {"free-a"})
            create(cluster, free, injected(scheduled("free-b", replica_set_of(cluster, free, "free"))))
            delete_pod(cluster, free, "free-a")
            until(GOES_SECONDS, "it is forbidden", lambda: running.metric("evictions_total", "budget") > 0)
            stays_so(lambda: going(cluster, namespace) == set())
            budget(cluster, namespace, 1)
            until(GOES_SECONDS, "then it goes", lambda: going(cluster, namespace) == {"shop-a"})
    finally:
        remove_pods(cluster, free)


def replica_set_of(cluster: ControlPlane, namespace: str, name: str) -> dict[str, Any]:
    """The reference to a ReplicaSet that is there."""
    found = cluster.request("GET", f"/apis/apps/v1/namespaces/{namespace}/replicasets/{name}").document
    return {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": name, "uid": found["metadata"]["uid"]}


@pytest.mark.slow
def test_an_owner_whose_new_pod_is_no_better_is_put_aside(
    cluster: ControlPlane, shipped: Account, namespace: str, tmp_path: Path, may_evict: None
) -> None:
    """The webhook is still away, for instance: evicting on would only disturb."""
    assert may_evict is None
    owner = replica_set(cluster, namespace, "shop")
    for name in ("shop-a", "shop-b"):
        create(cluster, namespace, scheduled(name, owner))
    with auditing(cluster, shipped, tmp_path, "--repair", "missed") as running:
        until(GOES_SECONDS, "one goes", lambda: going(cluster, namespace) == {"shop-a"})
        create(cluster, namespace, scheduled("shop-c", owner))
        delete_pod(cluster, namespace, "shop-a")
        until(FOUND_SECONDS, "it is put aside", lambda: len(running.said("eviction suspended")) == 1)
        wait_for_sentence(cluster, namespace, "Missed", "shop-c, its replacement, is not better")
        time.sleep(LATER_SECONDS + STAYS_SECONDS)
        assert running.metric("evictions_total") == 1
        assert missed(running) == 2


@pytest.mark.slow
def test_what_nobody_would_make_again_is_left_alone(
    cluster: ControlPlane, shipped: Account, namespace: str, tmp_path: Path, may_evict: None
) -> None:
    assert may_evict is None
    job = {"apiVersion": "batch/v1", "kind": "Job", "name": "count", "uid": "5f1c"}
    foreign = {"apiVersion": "x.example/v1", "kind": "StatefulSet", "name": "db", "uid": "5f1d"}
    create(cluster, namespace, scheduled("bare"))
    create(cluster, namespace, scheduled("count-a", job))
    create(cluster, namespace, scheduled("db-0", foreign))
    create(cluster, namespace, scheduled("refused", replica_set(cluster, namespace, "shop"), port="80"))
    with auditing(cluster, shipped, tmp_path, "--repair", "all") as running:
        until(FOUND_SECONDS, "all are found", lambda: missed(running) == 4)
        stays_so(lambda: going(cluster, namespace) == set())
        assert running.metric("evictions_total") == 0


@pytest.mark.slow
def test_drifted_pods_go_only_while_their_group_is_whole(
    cluster: ControlPlane, shipped: Account, namespace: str, tmp_path: Path, may_evict: None
) -> None:
    """A member that ends hands over to the others what it holds."""
    assert may_evict is None
    settings = tmp_path / "settings.yaml"
    settings.write_text("defaults: {log-level: DEBUG}\n")
    today = Settings({"log-level": "DEBUG"})
    owner = replica_set(cluster, namespace, "shop")
    create(cluster, namespace, injected(scheduled("shop-a", owner, group="shop")))
    create(cluster, namespace, injected(scheduled("member", group="shop"), today), ready=False)
    with auditing(cluster, shipped, tmp_path, "--repair", "all", "--settings", str(settings)) as running:
        until(FOUND_SECONDS, "it is found", lambda: running.metric("drifted_pods") == 1)
        stays_so(lambda: going(cluster, namespace) == set())
        report(cluster, namespace, "member", ready=True)
        until(GOES_SECONDS, "it goes", lambda: going(cluster, namespace) == {"shop-a"})
        create(cluster, namespace, injected(scheduled("shop-b", owner, group="shop"), today))
        delete_pod(cluster, namespace, "shop-a")
        until(FOUND_SECONDS, "it was replaced", lambda: len(running.said("replaced")) == 1)
        assert running.metric("drifted_pods") == 0


@pytest.mark.slow
def test_a_drifted_pod_that_would_be_refused_today_stays(
    cluster: ControlPlane, shipped: Account, namespace: str, tmp_path: Path, may_evict: None
) -> None:
    """A default that has changed collides with a port of the application."""
    assert may_evict is None
    settings = tmp_path / "settings.yaml"
    settings.write_text("defaults: {metrics: 'true', metrics-port: '6000'}\n")
    obj = scheduled("shop-a", replica_set(cluster, namespace, "shop"))
    obj["spec"]["containers"][0]["ports"] = [{"containerPort": 6000}]
    create(cluster, namespace, injected(obj))
    with auditing(cluster, shipped, tmp_path, "--repair", "all", "--settings", str(settings)) as running:
        until(GOES_SECONDS, "it is left", lambda: len(running.said("not evicted")) == 1)
        assert "it would be denied now" in running.said("not evicted")[0]["why"]
        stays_so(lambda: going(cluster, namespace) == set())
        assert running.metric("evictions_total") == 0


@pytest.mark.slow
def test_drifted_pods_whose_new_members_would_form_another_cluster_stay(
    cluster: ControlPlane, shipped: Account, namespace: str, tmp_path: Path, may_evict: None
) -> None:
    """Another minor release as the new default: one Pod after the other would take its entries with it."""
    assert may_evict is None
    settings = tmp_path / "settings.yaml"
    settings.write_text("defaults: {image: 'hazelcast/hazelcast:5.8.0'}\n")
    owner = replica_set(cluster, namespace, "shop")
    for name in ("shop-a", "shop-b"):
        create(cluster, namespace, injected(scheduled(name, owner)))
    with auditing(cluster, shipped, tmp_path, "--repair", "all", "--settings", str(settings)) as running:
        until(FOUND_SECONDS, "both have drifted", lambda: running.metric("drifted_pods") == 2)
        sentence = "members of Hazelcast 5.7 and 5.8 form no common cluster"
        assert "entries do not pass" in wait_for_sentence(cluster, namespace, "Drifted", sentence)["message"]
        stays_so(lambda: going(cluster, namespace) == set())
        assert running.metric("evictions_total") == 0


# --- the manifests -----------------------------------------------------------------------------------------


def test_the_component_adds_the_argument_and_one_right(cluster: ControlPlane, repair_overlay: Path) -> None:
    base = rendered(cluster, ROOT / "manifests" / "base")
    more = rendered(cluster, repair_overlay)
    added = [o for o in more if (o["kind"], o["metadata"]["name"]) not in {identity(b) for b in base}]
    assert [(r.group, r.resource, r.verb) for r in rights_of(added)] == [("", "pods/eviction", "create")]
    changed = [o for o in more if o not in base and o not in added]
    assert [identity(o) for o in changed] == [("Deployment", NAME)]
    assert arguments(changed) == [*arguments(base), "--repair=missed"]


def test_the_controller_judges_by_the_settings_of_the_webhook(cluster: ControlPlane) -> None:
    base = rendered(cluster, ROOT / "manifests" / "base")
    uses = []
    for name in (INJECTOR, NAME):
        (found,) = [o for o in base if identity(o) == ("Deployment", name)]
        spec = found["spec"]["template"]["spec"]
        (volume,) = [v["configMap"]["name"] for v in spec["volumes"] if v["name"] == "settings"]
        (mount,) = [m for m in spec["containers"][0]["volumeMounts"] if m["name"] == "settings"]
        args = spec["containers"][0]["args"]
        uses.append((volume, mount["mountPath"], args[args.index("--settings") + 1]))
    folder = "/etc/webhook/settings"
    assert uses == [("hazelcast-sidecar-settings", folder, f"{folder}/settings.yaml")] * 2


def identity(obj: dict[str, Any]) -> tuple[str, str]:
    return obj["kind"], obj["metadata"]["name"]


def arguments(objects: list[dict[str, Any]]) -> list[str]:
    (found,) = [o for o in objects if identity(o) == ("Deployment", NAME)]
    args: list[str] = found["spec"]["template"]["spec"]["containers"][0]["args"]
    return args
