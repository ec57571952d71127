"""Upgrades from earlier versions: what they left in a cluster, and this version.

`tests/apiserver/recorded` has what each of them made, and how that was recorded. No kubelet and no ReplicaSet
controller run: the tests play them.
"""

import json
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml

from hazelcast_sidecar.injection.fingerprint import fingerprint
from hazelcast_sidecar.injection.reviewer import Reviewer
from hazelcast_sidecar.model.status import decode
from hazelcast_sidecar.names import CONTROLLER, INJECTOR
from hazelcast_sidecar.spec.annotations import DefaultSpecs, SidecarSpec, parse
from hazelcast_sidecar.spec.settings import Settings
from tests.harness.accounts import Account
from tests.harness.audits import (
    FOUND_SECONDS,
    GOES_SECONDS,
    STATUS,
    auditing,
    create,
    evictions,
    going,
    missed,
    put_away,
    scheduled,
    stays_so,
)
from tests.harness.command_line import run_here
from tests.harness.control_plane import ControlPlane
from tests.harness.helm import CHART, Helm, HelmError
from tests.harness.installation import CONFIGURATIONS, is_installed
from tests.harness.kept_objects import is_as_rendered, says, wanted_by
from tests.harness.namespaces import create_namespace, remove_pods
from tests.harness.reviews import patched, response_in, review_of
from tests.harness.shipped_manifests import OWN_NAMESPACE
from tests.harness.stored_workloads import replica_set
from tests.harness.waiting import APPEAR_SECONDS, until
from tests.harness.workload_events import told

pytestmark = pytest.mark.apiserver

Recording = dict[str, Any]

RECORDED: dict[str, Recording] = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted(Path(__file__).with_name("recorded").glob("*.json"))
}
NO_FINGERPRINT, OTHER_MEMBER, LAST = "cfd9812", "6dc3038", "79743dd"
"""Without a fingerprint in the status; with another member than today's; with a member much like today's."""
EACH = pytest.mark.parametrize("recorded", RECORDED.values(), ids=RECORDED)

UNRECORDED = (
    "an older version injected it; recreate its workload's Pods, for example with `kubectl rollout restart`"
)
CHANGED = (
    "the settings or the injector have changed; recreate its workload's Pods, for example with "
    "`kubectl rollout restart`"
)
DIVIDED = (
    "the settings or the injector have changed, and new Pods would form another cluster, to which entries do "
    "not pass"
)


# --- Pods that run -----------------------------------------------------------------------------------------


@pytest.fixture
def namespaces(cluster: ControlPlane) -> Iterator[dict[str, str]]:
    """A namespace for each version, with the Pods that it injected and the objects of two of their groups."""
    put_away(cluster, "unlabelled-workloads")
    made = {version: create_namespace(cluster, {}) for version in RECORDED}
    for version, namespace in made.items():
        _as_recorded(cluster, namespace, RECORDED[version])
    yield made
    for namespace in made.values():
        remove_pods(cluster, namespace)
    assert cluster.request("DELETE", f"{CONFIGURATIONS}/{INJECTOR}").code == 200


def _as_recorded(cluster: ControlPlane, namespace: str, recorded: Recording) -> None:
    text = json.dumps([*chain.from_iterable(recorded["objects"].values())]).replace("NAMESPACE", namespace)
    as_controller = ("apply", "--server-side", f"--field-manager={CONTROLLER}", "-f", "-")
    cluster.kubectl(*as_controller, stdin=yaml.safe_dump_all(json.loads(text)))
    for pod in recorded["pods"].values():
        metadata = dict(pod["metadata"])
        owner = replica_set(cluster, namespace, metadata["ownerReferences"][0]["name"])
        metadata["ownerReferences"] = [owner | {"controller": True}]
        create(cluster, namespace, {**pod, "metadata": metadata, "spec": {**pod["spec"], "nodeName": "node"}})


def _versions(cluster: ControlPlane, namespaces: dict[str, str]) -> dict[str, str]:
    """The version of each Pod and ReplicaSet as the API server has it."""
    found: dict[str, str] = {}
    for namespace in namespaces.values():
        for path in (
            f"/api/v1/namespaces/{namespace}/pods",
            f"/apis/apps/v1/namespaces/{namespace}/replicasets",
        ):
            items = cluster.request("GET", path).document["items"]
            found |= {item["metadata"]["uid"]: item["metadata"]["resourceVersion"] for item in items}
    return found


def _drifted(cluster: ControlPlane, namespace: str) -> dict[str, str]:
    """What is told of drifted Pods, by the ReplicaSet that owns them."""
    return {each["involvedObject"]["name"]: each["message"] for each in told(cluster, namespace, "Drifted")}


def _expected(recorded: Recording, settings: Settings) -> dict[str, str]:
    """What is to be told of each ReplicaSet whose Pod has another member than these settings give."""
    expected = {}
    for pod in recorded["pods"].values():
        given = pod["metadata"]["annotations"]
        spec = parse(given, DefaultSpecs(settings).of("any"))
        assert isinstance(spec, SidecarSpec)
        then = decode(given[STATUS])
        if then.image != spec.image:
            sentence = DIVIDED
        elif then.fingerprint == fingerprint(spec, settings.run_as_user):
            continue
        else:
            sentence = CHANGED if then.fingerprint else UNRECORDED
        expected[pod["metadata"]["ownerReferences"][0]["name"]] = sentence
    return expected


def _agrees(found: dict[str, str], expected: dict[str, str]) -> bool:
    return found.keys() == expected.keys() and all(expected[name] in said for name, said in found.items())


def test_members_of_earlier_versions_run_on_and_drift_is_told(
    cluster: ControlPlane, shipped: Account, namespaces: dict[str, str], tmp_path: Path
) -> None:
    create(cluster, namespaces[LAST], scheduled("no-member"))
    before = _versions(cluster, namespaces)
    expected = {version: _expected(recorded, Settings()) for version, recorded in RECORDED.items()}
    assert set(expected[NO_FINGERPRINT].values()) == {UNRECORDED}
    assert set(expected[OTHER_MEMBER].values()) == {CHANGED}
    with auditing(cluster, shipped, tmp_path, "--certificates", "leave") as running:
        until(FOUND_SECONDS, "the audit has looked", lambda: missed(running) == 1)
        for version, namespace in namespaces.items():
            _wait_for_objects(cluster, namespace, RECORDED[version])
            until(
                FOUND_SECONDS,
                f"drift since {version} is told",
                lambda at=namespace, of=version: _agrees(_drifted(cluster, at), expected[of]),  # type: ignore[misc]
            )
        assert running.metric("drifted_pods") == sum(map(len, expected.values()))
        assert missed(running) == 1, "and no other"
        assert running.metric("reconciles_total", "error") == 0, running.log.read_text()
    assert _versions(cluster, namespaces) == before, "nothing of theirs was written"


def _wait_for_objects(cluster: ControlPlane, namespace: str, recorded: Recording) -> None:
    """Wait until the groups' objects are today's, those that an earlier version made included."""
    for name, pod in recorded["pods"].items():
        objects = wanted_by(namespace, name, json.loads(pod["metadata"]["annotations"][STATUS]))
        until(APPEAR_SECONDS, f"objects of {name}", lambda o=objects, n=name: is_as_rendered(cluster, o, n))  # type: ignore[misc]


def test_repair_leaves_members_whose_successors_would_be_another_cluster(
    cluster: ControlPlane, shipped: Account, namespaces: dict[str, str], tmp_path: Path, may_evict: None
) -> None:
    """With the default image of another minor release; one workload names that one itself."""
    assert may_evict is None
    settings = tmp_path / "settings.yaml"
    settings.write_text("defaults: {image: 'hazelcast/hazelcast:5.6.0'}\n")
    today = Settings({"image": "hazelcast/hazelcast:5.6.0"})
    expected = {version: _expected(recorded, today) for version, recorded in RECORDED.items()}
    assert set(expected[OTHER_MEMBER].values()) == {DIVIDED, CHANGED}
    offset = cluster.audit_log.stat().st_size

    def all_going() -> set[str]:
        return set.union(*(going(cluster, namespace) for namespace in namespaces.values()))

    options = ("--certificates", "leave", "--repair", "all", "--settings", str(settings))
    with auditing(cluster, shipped, tmp_path, *options) as running:
        for version, namespace in namespaces.items():
            until(
                FOUND_SECONDS,
                f"drift since {version} is told",
                lambda at=namespace, of=version: _agrees(_drifted(cluster, at), expected[of]),  # type: ignore[misc]
            )
        until(GOES_SECONDS, "one is evicted", lambda: evictions(cluster, shipped, offset) == [201])
        assert missed(running) == 0
        stays_so(lambda: all_going() == {"another-release-6d4b75cb6d-x2x4z"})


# --- status annotations and workloads ----------------------------------------------------------------------


@EACH
def test_a_status_annotation_says_what_it_said(recorded: Recording) -> None:
    for name, pod in recorded["pods"].items():
        text = pod["metadata"]["annotations"][STATUS]
        found = decode(text)
        assert (found.group, found.port) == (name, json.loads(text)["port"])
        assert (found.pod_clients, found.backups, found.manifest) == (False, "any", False)
        assert bool(found.fingerprint) is (recorded is not RECORDED[NO_FINGERPRINT])


@EACH
@pytest.mark.parametrize("operation", ["CREATE", "UPDATE"])
def test_what_an_earlier_version_stored_is_not_changed(recorded: Recording, operation: str) -> None:
    """So a workload that is applied again does not roll out, and a copy of a Pod gets no second member."""
    reviewer = Reviewer()
    deployment = {"group": "apps", "version": "v1", "kind": "Deployment"}
    before = {"oldObject": None} if operation == "CREATE" else {}
    for workload in recorded["workloads"].values():
        given: dict[str, Any] = {"kind": deployment, "operation": operation, "oldObject": workload} | before
        response = response_in(reviewer.review_workload(json.dumps(review_of(workload, **given)).encode()))
        assert response["allowed"]
        # One that is created rolls out anyway, so its template is labelled.
        labelled = response["auditAnnotations"]["outcome"] == "template-labelled"
        assert "patch" not in response or (operation == "CREATE" and labelled)
    for pod in recorded["pods"].values():
        response = response_in(reviewer.review_pod(json.dumps(review_of(pod)).encode()))
        assert response["allowed"]
        # What a member has gained since, such as a cover of the ServiceAccount's token, a copy has, too.
        assert response["auditAnnotations"]["outcome"] in ("already-injected", "restored")
        assert _names(patched(pod, response)) == _names(pod)


def _names(pod: dict[str, Any]) -> list[str]:
    containers = chain(pod["spec"].get("initContainers", []), pod["spec"]["containers"])
    return [container["name"] for container in containers]


# --- the installation --------------------------------------------------------------------------------------


TAKE_OVER = {3: ("--take-ownership",), 4: ("--take-ownership", "--force-conflicts")}
"""As docs/upgrade.md has it; Helm 4 applies on the server, where the fields are kubectl's."""

Identity = tuple[str, str, str]


def _identities(objects: list[dict[str, Any]]) -> set[Identity]:
    return {(o["kind"], o["metadata"].get("namespace", ""), o["metadata"]["name"]) for o in objects}


@pytest.fixture
def clean(cluster: ControlPlane) -> Iterator[None]:
    """Have no installation but its namespace, which would be terminating for ever without its controller."""
    objects = yaml.safe_dump_all(each for each in _todays() if each["kind"] != "Namespace")
    cluster.kubectl("delete", "--ignore-not-found", "-f", "-", stdin=objects)
    yield
    cluster.kubectl("delete", "--ignore-not-found", "-f", "-", stdin=objects)


def _todays() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(run_here("install").stdout))


@pytest.mark.parametrize("version", [NO_FINGERPRINT, LAST])
def test_this_version_is_applied_over_an_earlier_one_and_back(
    cluster: ControlPlane, version: str, clean: None
) -> None:
    """No selector or role that cannot change is in the way, and nothing of the earlier one stays behind."""
    assert clean is None
    new, old = _todays(), RECORDED[version]["installation"]
    assert _identities(old) <= _identities(new)
    for objects in (old, new, old):
        said = cluster.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(objects))
        # Other tests have made the namespace in another way.
        assert [each for each in said.stderr.splitlines() if "resource namespaces/" not in each] == []
        assert len(said.stdout.splitlines()) == len(objects)


def test_helm_takes_over_what_kubectl_applied(cluster: ControlPlane, helm: Helm, clean: None) -> None:
    assert clean is None
    for applied in (RECORDED[LAST]["installation"], _todays()):
        cluster.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(applied))
    where = (f"--kubeconfig={cluster.kubeconfig}", f"--namespace={OWN_NAMESPACE}")
    given = ("install", "injector", str(CHART), *where)
    with pytest.raises(HelmError, match="invalid ownership metadata"):
        helm(*given)
    helm(*given, *TAKE_OVER[helm.release])
    configuration = cluster.request("GET", f"{CONFIGURATIONS}/{INJECTOR}").document
    assert configuration["metadata"]["annotations"]["meta.helm.sh/release-name"] == "injector"
    wanted = next(each for each in _todays() if each["kind"] == "MutatingWebhookConfiguration")
    assert says(configuration["webhooks"], wanted["webhooks"])
    helm("uninstall", "injector", *where)
    assert not is_installed(cluster)
