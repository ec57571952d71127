"""All that the controller does, with the shipped rights and with each of them missing."""

import contextlib
import http.client
import time
from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from hazelcast_sidecar.kube import permissions
from hazelcast_sidecar.names import INJECTOR, PREFIX
from tests.harness.accounts import NAME, RIGHTS, SHIPPED, Account, Right, account, allowed, wait_for_rights
from tests.harness.audit_log import Asked, asked
from tests.harness.control_plane import MERGE, ControlPlane
from tests.harness.controller_program import LEASE_SECONDS, Controller, started
from tests.harness.group_pods import ON_REQUEST, api, api_part, create_pod, delete_pod, status
from tests.harness.installation import belongs_to, has_ca_bundle, put_configuration
from tests.harness.kept_objects import (
    EDITS,
    FOLDERS,
    foreign,
    is_as_rendered,
    kinds_found,
    path_of,
    wanted,
    wanted_by,
)
from tests.harness.namespaces import create_namespace
from tests.harness.shipped_manifests import apply_strictly
from tests.harness.stored_workloads import replica_set, workload
from tests.harness.waiting import until
from tests.harness.workload_events import DENIAL, failed_create

pytestmark = pytest.mark.apiserver


STEP_SECONDS = 30.0  # for one step of all that it does; certificates are looked at every five
OFTEN = ("--audit-interval", "1s")


class Scenario:
    """All that the controller does, step after step, until something is refused.

    Args:
        cluster: where.
        controller: that does it.
        namespace: a fresh one.
        user: whom the audit log watches.
    """

    def __init__(self, cluster: ControlPlane, controller: Controller, namespace: str, user: str) -> None:
        self._cluster = cluster
        self._controller = controller
        self._namespace = namespace
        self._user = user
        self._offset = cluster.audit_log.stat().st_size

    def requests(self) -> list[Asked]:
        return asked(self._cluster, self._user, self._offset)

    def refused(self) -> list[Asked]:
        return [request for request in self.requests() if request.code == http.HTTPStatus.FORBIDDEN]

    def play(self) -> bool:
        """Return whether it came to its end; it stops where a request was refused."""
        return all(map(self._settled, self._steps()))

    def _settled(self, expected: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + STEP_SECONDS
        while not self.refused():
            if expected():
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return False

    def _steps(self) -> Iterator[Callable[[], bool]]:
        cluster, namespace = self._cluster, self._namespace
        put_configuration(cluster)
        yield self._controller.leads
        asks: dict[str, Any] = {"metadata": {"name": "missed", "annotations": {f"{PREFIX}inject": "true"}}}
        asks["spec"] = {"containers": [{"name": "app", "image": "shop:1"}]}
        assert cluster.request("POST", f"/api/v1/namespaces/{namespace}/pods", asks).code == 201
        yield lambda: self._controller.metric("missed_pods") > 0
        yield lambda: has_ca_bundle(cluster)
        yield lambda: belongs_to(cluster) == [self._user.split(":")[2]]
        owners = [workload(cluster, namespace, kind, "told") for kind in ("Deployment", "CronJob")]
        for kind, maker in zip(("ReplicaSet", "Job"), owners[:2], strict=True):
            owners.append(workload(cluster, namespace, kind, "told", maker=maker))
        others = ("StatefulSet", "DaemonSet", "ReplicationController")
        owners += [workload(cluster, namespace, kind, "told") for kind in others]
        for number, owner in enumerate(owners[2:]):
            create_pod(cluster, namespace, f"told-{number}", "told", owner=owner)
        yield lambda: self._controller.metric("events_total", "sent") >= len(owners[2:])
        failed_create(cluster, namespace, owners[2], DENIAL)
        yield lambda: self._controller.metric("events_total", "sent") > len(owners[2:])
        on_request = dict.fromkeys(ON_REQUEST.values(), True)
        for kind in FOLDERS:
            foreign(cluster, kind, namespace, "taken")
        create_pod(cluster, namespace, "taken-1", "taken")
        owner = replica_set(cluster, namespace, "taken")
        create_pod(cluster, namespace, "taken-2", "taken", api("taken") | on_request, owner)
        yield lambda: self._controller.metric("reconciles_total", "conflict") > 0
        for before, after in (("dns", "api"), ("api", "dns")):
            group = f"from-{before}"
            record = status(group, discovery=before) | api_part(before) | on_request
            old, new = wanted_by(namespace, group, record), wanted(namespace, group, after)
            create_pod(
                cluster, namespace, f"{group}-1", group, record, replica_set(cluster, namespace, group)
            )
            yield lambda old=old, group=group: is_as_rendered(cluster, old, group)  # type: ignore[misc]
            for kind in old:
                cluster.request("PATCH", path_of(kind, namespace, group), EDITS[kind], MERGE)
                yield lambda old=old, group=group: is_as_rendered(cluster, old, group)  # type: ignore[misc]
                cluster.request("DELETE", path_of(kind, namespace, group))
                yield lambda old=old, group=group: is_as_rendered(cluster, old, group)  # type: ignore[misc]
            create_pod(
                cluster, namespace, f"{group}-2", group, status(group, discovery=after) | api_part(after)
            )
            delete_pod(cluster, namespace, f"{group}-1")
            yield lambda new=new, group=group: is_as_rendered(cluster, new, group)  # type: ignore[misc]
            create_pod(cluster, namespace, f"{group}-3", group, status(group, config=True))
            delete_pod(cluster, namespace, f"{group}-2")
            yield lambda group=group: kinds_found(cluster, namespace, group) == ["Service"]  # type: ignore[misc]


def test_the_shipped_rights_are_enough(
    cluster: ControlPlane,
    free_lease: None,
    namespace: str,
    shipped: Account,
    say: Callable[[str], None],
    tmp_path: Path,
) -> None:
    assert free_lease is None
    running = Controller(shipped, tmp_path / "controller.log", options=OFTEN)
    scenario = Scenario(cluster, running, namespace, shipped.user)
    with started(running):
        assert scenario.play()
    assert scenario.refused() == []
    counts = Counter(f"{a.verb} {a.resource}" for a in scenario.requests())
    say(f"requests of one pass through everything: {dict(counts.most_common())}")


def test_rights_are_the_listed_ones() -> None:
    """The roles give what the table says, and nothing in it is wider than it need be."""
    listed = {
        *(("ClusterRole", right) for right in permissions.rights_of(permissions.IN_CLUSTER)),
        *(("Role", right) for right in permissions.rights_of(permissions.IN_OWN_NAMESPACE)),
    }
    given = {
        (right.role, permissions.Right(right.verb, right.group, right.resource, name))
        for right in RIGHTS
        for name in right.names or ("",)
    }
    assert given == listed
    assert not any("*" in (right.verb, right.group, right.resource) for _, right in given)
    of = {
        resource: {(role, right.verb, right.name) for role, right in given if right.resource == resource}
        for resource in ("pods", "secrets", "namespaces", "mutatingwebhookconfigurations")
    }
    assert of["pods"] == {("ClusterRole", verb, "") for verb in ("get", "list", "watch")}
    assert of["secrets"] == {
        ("Role", "create", ""),
        *(("Role", verb, f"{INJECTOR}-{which}") for verb in ("get", "patch") for which in ("ca", "tls")),
    }
    assert of["namespaces"] == {("ClusterRole", "get", "")}
    assert {name for _, _, name in of["mutatingwebhookconfigurations"]} == {INJECTOR}


def without(right: Right, namespace: str) -> list[dict[str, Any]]:
    """The shipped roles and bindings less one right, under names of their own."""
    name = f"{NAME}-{namespace}"
    made = deepcopy(SHIPPED)
    for document in made:
        cluster_wide = document["kind"].startswith("Cluster")
        document["metadata"] = {"name": name} if cluster_wide else {"name": NAME, "namespace": namespace}
        for subject in document.get("subjects", []):
            subject["namespace"] = namespace
        if document["kind"] == "ClusterRoleBinding":
            document["roleRef"]["name"] = name
        if "rules" in document:
            document["rules"] = [
                {"apiGroups": [r.group], "resources": [r.resource], "verbs": [r.verb]}
                | ({"resourceNames": list(r.names)} if r.names else {})
                for r in RIGHTS
                if r.role == document["kind"] and r != right
            ]
    return made


@pytest.mark.slow
@pytest.mark.parametrize("right", RIGHTS, ids=str)
def test_every_right_is_needed(
    cluster: ControlPlane, namespace: str, shipped: Account, tmp_path: Path, right: Right
) -> None:
    """Without it the API server refuses the controller something that it does."""
    assert shipped
    other = create_namespace(cluster, {})
    accounts = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": NAME, "namespace": other}}
    assert apply_strictly(cluster, [accounts, *without(right, other)]) == []
    reduced = account(cluster, other, tmp_path)
    wait_for_rights(cluster, reduced.user, [r for r in RIGHTS if r != right])
    assert not allowed(cluster, reduced.user, right)

    running = Controller(reduced, tmp_path / "controller.log", options=OFTEN)
    scenario = Scenario(cluster, running, namespace, reduced.user)
    try:
        until(30, "it answers", running.is_alive)
        came_to_its_end = scenario.play()
        with contextlib.suppress(AssertionError):
            until(LEASE_SECONDS, "something is refused", lambda: bool(scenario.refused()))
        assert scenario.refused(), (
            f"nothing was refused{' and all worked' if came_to_its_end else ''}: is '{right}' needed?"
        )
        assert running.program.status is None, "it goes on, for the right may come back"
    finally:
        running.program.stop()
