"""The exported policies on a real API server: they make of a Pod what the webhook makes of it, or deny it."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from statistics import median

import pytest
import yaml

from hazelcast_sidecar.injection.fingerprint import UNKNOWN
from hazelcast_sidecar.injection.pod_decision import Deny, Reason
from hazelcast_sidecar.injection.reviewer import Reviewer
from hazelcast_sidecar.names import GROUP, INJECTOR, PREFIX, STATUS
from hazelcast_sidecar.spec import settings
from tests.harness.control_plane import Answer, ControlPlane
from tests.harness.named_pods import DENIED, ENV, LEFT, OTHER_MEMBER, SAME
from tests.harness.namespaces import create_namespace
from tests.harness.pods import Pod, annotated, app, bare, injected, ours, owned, torn, with_account
from tests.harness.reviews import patched, response_in, review_of
from tests.harness.shipped_manifests import ACTIVE_SECONDS, apply_strictly, rendered
from tests.harness.torn import TEARS, in_any_order
from tests.harness.webhook_server import WebhookServer
from tests.harness.workload_events import POLICY_DENIAL

pytestmark = [pytest.mark.apiserver, pytest.mark.since("1.36", "injection without a webhook")]

EXEMPT = "kube-system"


# --- both ways ---------------------------------------------------------------------------------------------


class Policies:
    """The policies of one settings file, in effect on an API server, beside the webhook's own code.

    Args:
        cluster: whose policies they become.
        folder: takes the settings.
        written: the settings, as YAML.
    """

    def __init__(self, cluster: ControlPlane, folder: Path, written: str = "") -> None:
        self._cluster = cluster
        file = folder / "settings.yaml"
        file.write_text(written, encoding="utf-8")
        self._reviewer = Reviewer(settings.read(written))
        self.exported = exported("--settings", str(file))
        assert apply_strictly(cluster, list(yaml.safe_load_all(self.exported))) == []
        self._wait_for_effect()

    def _wait_for_effect(self) -> None:
        deadline = time.monotonic() + ACTIVE_SECONDS
        (expected, found), denied = self.both(bare()), bare(ours(port="fast"))
        while found.code != 201 or expected != shown(found.document) or self.create(denied).code == 201:
            assert time.monotonic() < deadline, f"no effect within {ACTIVE_SECONDS} s: {found.message}"
            expected, found = self.both(bare())

    def create(self, body: Pod, namespace: str = "default", query: str = "&dryRun=All") -> Answer:
        """Create a Pod where the policies hold, without storing it unless told."""
        path = f"/api/v1/namespaces/{namespace}/pods?fieldValidation=Strict{query}"
        return self._cluster.request("POST", path, with_account(body))

    def by_webhook(self, body: Pod, namespace: str = "default") -> Pod | None:
        """The Pod that the webhook's patch leaves, as an API server would store it; None where it denies."""
        review = review_of(with_defaults(body), namespace=namespace)
        response = response_in(self._reviewer.review_pod(json.dumps(review).encode()))
        if not response["allowed"]:
            return None
        answer = self.create(patched(with_defaults(body), response), EXEMPT)
        assert answer.code == 201, answer.message
        return shown(answer.document)

    def both(self, body: Pod, namespace: str = "default") -> tuple[Pod | None, Answer]:
        """What the webhook makes of a Pod, and what the policies make of it."""
        return self.by_webhook(body, namespace), self.create(body, namespace)


def with_defaults(body: Pod) -> Pod:
    """A Pod as the API server sends it: what is empty is absent."""
    sent = deepcopy(with_account(body))
    for holder in (sent["metadata"], sent["spec"], *sent["spec"]["containers"]):
        for key in [key for key, value in holder.items() if value in ([], {}) and key != "annotations"]:
            del holder[key]
    return sent


def shown(document: Pod) -> Pod:
    """A stored Pod without what the API server sets for itself."""
    kept = deepcopy(document)
    for key in ("uid", "creationTimestamp", "managedFields", "namespace", "generation", "resourceVersion"):
        kept["metadata"].pop(key, None)
    if "generateName" in kept["metadata"]:
        kept["metadata"].pop("name")
    return kept


def exported(*arguments: str) -> str:
    """What the command prints."""
    command = [sys.executable, "-m", "hazelcast_sidecar.cli", "policy", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture(scope="module")
def policies(cluster: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Policies:
    """Those of the shipped settings."""
    return Policies(cluster, tmp_path_factory.mktemp("settings"))


def without_fingerprint(body: Pod) -> Pod:
    """The Pod, with a record as where a fingerprint could not be made."""
    changed = deepcopy(body)
    record = json.loads(changed["metadata"]["annotations"][STATUS])
    assert record["fingerprint"] not in ("", UNKNOWN)
    text = changed["metadata"]["annotations"][STATUS]
    changed["metadata"]["annotations"][STATUS] = text.replace(record["fingerprint"], UNKNOWN)
    return changed


# --- Pods that are injected --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SAME)
def test_pod_is_the_webhooks(policies: Policies, name: str) -> None:
    expected, found = policies.both(SAME[name])
    assert found.code == 201, found.message
    assert expected is not None
    assert STATUS in expected["metadata"]["annotations"]
    assert shown(found.document) == expected


@pytest.mark.parametrize("name", OTHER_MEMBER)
def test_pod_with_another_member_is_the_webhooks(policies: Policies, name: str) -> None:
    """All but the fingerprint, for which CEL has no SHA-256."""
    expected, found = policies.both(OTHER_MEMBER[name])
    assert found.code == 201, found.message
    assert expected is not None
    assert shown(found.document) == without_fingerprint(expected)


# --- Pods that are left alone ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LEFT)
def test_pod_is_left_alone(policies: Policies, name: str) -> None:
    expected, found = policies.both(LEFT[name])
    assert found.code == 201, found.message
    assert shown(found.document) == expected
    assert shown(found.document) == shown(policies.create(LEFT[name], EXEMPT).document)


# --- Pods that have lost parts of their member -------------------------------------------------------------


@pytest.mark.parametrize("tear", TEARS)
def test_what_was_removed_is_put_back_as_the_webhook_does(policies: Policies, tear: str) -> None:
    expected, found = policies.both(torn(bare(ours(group="orders")), tear))
    assert found.code == 201, found.message
    assert expected is not None
    assert STATUS in expected["metadata"]["annotations"]
    if tear == "status":
        expected = with_fingerprint_of(found.document, expected)
    assert shown(found.document) == expected
    whole = policies.create(injected(bare(ours(group="orders"))), EXEMPT).document
    assert in_any_order(expected) == in_any_order(with_fingerprint_of(expected, shown(whole)))


def with_fingerprint_of(one: Pod, other: Pod) -> Pod:
    """The second Pod with the status of the first, whose fingerprint may be unknown to a policy."""
    statuses = [json.loads(each["metadata"]["annotations"][STATUS]) for each in (one, other)]
    assert {**statuses[0], "fingerprint": ""} == {**statuses[1], "fingerprint": ""}
    return annotated(other, status=one["metadata"]["annotations"][STATUS])


@pytest.mark.parametrize(
    "annotations",
    [
        {"discovery": "api"},
        {"clients": "pod", "metrics": "true"},
        {"native_sidecar": "false"},
        {"extensions": "jars"},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "tears", [("env", "volumes", "labels"), ("mounts", "restartPolicy"), ("the token", "a volume", "status")]
)
def test_several_parts_of_other_members_are_put_back(
    policies: Policies, annotations: dict[str, str], tears: tuple[str, ...]
) -> None:
    body = torn(bare(ours(**annotations), volumes=[{"name": "jars", "emptyDir": {}}]), *tears)
    expected, found = policies.both(body)
    assert found.code == 201, found.message
    assert expected is not None
    assert shown(found.document) == with_fingerprint_of(found.document, expected)


def test_a_variable_that_a_member_can_do_without_is_not_put_back(policies: Policies) -> None:
    """It was removed on purpose, perhaps; what is put back is what makes the Pod a member again."""
    body = torn(bare(ours(group="orders")), "label")
    (found,) = body["spec"]["initContainers"]
    found["env"] = [each for each in found["env"] if each["name"] != "LOGGING_LEVEL"]
    expected, answer = policies.both(body)
    assert answer.code == 201, answer.message
    assert expected is not None
    assert "LOGGING_LEVEL" not in json.dumps(expected)
    assert shown(answer.document) == expected


def test_json_is_the_same_as_yaml(cluster: ControlPlane, policies: Policies) -> None:
    listed = exported("-o", "json")
    assert json.loads(listed)["items"] == list(yaml.safe_load_all(policies.exported))
    assert (
        cluster.kubectl("apply", "--server-side", "--dry-run=server", "-f", "-", stdin=listed).stdout.count(
            "\n"
        )
        == 4
    )


def test_exempt_namespaces_are_left_alone(policies: Policies) -> None:
    assert "initContainers" not in policies.create(bare(), EXEMPT).document["spec"]


def test_injected_twice_is_injected_once(cluster: ControlPlane, policies: Policies) -> None:
    """Read back and created again, as backups do it; and stored, not only shown."""
    namespace = create_namespace(cluster, {})
    first = policies.create(bare(), namespace, "")
    assert first.code == 201, first.message
    path = f"/api/v1/namespaces/{namespace}/pods/shop"
    stored = shown(cluster.request("GET", path).document)
    assert stored == policies.by_webhook(bare())
    assert cluster.request("DELETE", f"{path}?gracePeriodSeconds=0").code == 200
    again = policies.create(stored, namespace, "")
    assert again.code == 201, again.message
    assert shown(again.document) == stored


# --- Pods that are denied ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DENIED)
def test_pod_that_the_webhook_denies_is_denied(policies: Policies, name: str) -> None:
    body, sentences = DENIED[name]
    assert policies.by_webhook(body) is None
    answer = policies.create(body)
    assert answer.code == 422, answer.document
    assert f"is forbidden: {POLICY_DENIAL}" in answer.message, "the controller could not tell whose it is"
    for sentence in sentences:
        assert sentence in answer.message
    decision = Reviewer().review_pod(json.dumps(review_of(body)).encode()).decision
    assert isinstance(decision, Deny)
    if decision.reason is Reason.COLLISION:
        for problem in decision.problems:
            assert str(problem) in answer.message, "both say the same"


@pytest.mark.parametrize("name", ["a.b", "a" * 54])
def test_name_that_needs_a_hash_is_denied(policies: Policies, name: str) -> None:
    answer = policies.create(owned("StatefulSet", name))
    assert answer.code == 422
    assert f'the workload\'s name "{name}" is not a DNS label of at most 53 characters' in answer.message
    assert f"annotate a group ({GROUP})" in answer.message
    grouped = owned("StatefulSet", name)
    grouped["metadata"]["annotations"] |= {GROUP: "orders"}
    expected, found = policies.both(grouped)
    assert shown(found.document) == expected


def test_odd_spaces_between_options_are_denied(policies: Policies) -> None:
    answer = policies.create(bare(ours(java_opts="-Da=b  -Dc=d")))
    assert answer.code == 422
    assert f"{PREFIX}java-opts" in answer.message


def test_too_small_pod_is_refused_by_the_api_server(policies: Policies) -> None:
    body = bare(resources={"limits": {"memory": "256Mi"}, "requests": {"memory": "256Mi"}})
    assert policies.by_webhook(body) is None
    answer = policies.create(body)
    assert answer.code == 422
    assert "Invalid value" in answer.message


def test_too_many_mistakes_are_denied_all_the_same(policies: Policies) -> None:
    """A list beyond what a message may have gives way to a sentence."""
    answer = policies.create(bare(ours(**{f"wrong_{number}": "x" for number in range(100)})))
    assert answer.code == 422
    assert "the list of problems is too long" in answer.message


# --- size --------------------------------------------------------------------------------------------------


def test_costs_stay_within_limits_with_large_pods(policies: Policies) -> None:
    """As much as a Pod can well have: 60 KiB, in many containers, variables, ports and annotations."""
    containers = [
        app(
            f"app-{number}",
            env=[{"name": f"VARIABLE_{each}", "value": "x" * 40} for each in range(16)],
            ports=[{"containerPort": 10_000 + 20 * number + each} for each in range(8)],
        )
        for number in range(40)
    ]
    annotations = {f"example.com/annotation-{number}": "y" * 100 for number in range(60)}
    options = " ".join(f"-Doption.{number}=value" for number in range(170))
    body = bare(
        annotations | ours(java_opts=options, metrics="true", cluster_name="n" * 128, config="c"),
        containers=containers,
        volumes=[{"name": f"volume-{number}", "emptyDir": {}} for number in range(40)],
    )
    assert len(json.dumps(body)) > 60 * 1024
    expected, found = policies.both(body)
    assert found.code == 201, found.message
    assert expected is not None
    assert shown(found.document) == without_fingerprint(expected)
    body["metadata"]["annotations"] = annotations
    assert "initContainers" not in policies.create(body).document["spec"]


# --- beside another policy ---------------------------------------------------------------------------------

PROXY_POLICY = """
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: proxy}
spec:
  failurePolicy: Fail
  reinvocationPolicy: Never
  matchConstraints:
    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}]
  matchConditions:
    - name: once
      expression: '!object.spec.containers.exists(c, c.name == "proxy")'
  mutations:
    - patchType: JSONPatch
      jsonPatch:
        expression: >-
          [JSONPatch{op: "add", path: "/spec/containers/-", value: {"name": "proxy", "image": "proxy:1"}}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: proxy}
spec:
  policyName: proxy
  matchResources:
    namespaceSelector: {matchLabels: {meshed: "true"}}
"""


def test_member_is_injected_once_when_another_policy_changes_the_pod(
    cluster: ControlPlane, policies: Policies
) -> None:
    namespace = create_namespace(cluster, {"meshed": "true"})
    assert apply_strictly(cluster, list(yaml.safe_load_all(PROXY_POLICY))) == []
    deadline = time.monotonic() + ACTIVE_SECONDS
    while len(policies.create(bare({}), namespace).document["spec"]["containers"]) == 1:
        assert time.monotonic() < deadline
    answer = policies.create(bare(), namespace)
    assert answer.code == 201, answer.message
    spec = answer.document["spec"]
    names = [container["name"] for container in [*spec["initContainers"], *spec["containers"]]]
    assert sorted(names) == ["app", "hazelcast", "proxy"]
    assert len(spec["volumes"]) == 2


TEARING_POLICY = f"""
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {{name: torn}}
spec:
  failurePolicy: Fail
  reinvocationPolicy: Never
  matchConstraints:
    resourceRules: [{{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}}]
  matchConditions:
    - name: labelled
      expression: '"{GROUP}" in object.metadata.?labels.orValue({{}})'
  mutations:
    - patchType: JSONPatch
      jsonPatch:
        expression: '[JSONPatch{{op: "remove", path: "/metadata/labels/" + jsonpatch.escapeKey("{GROUP}")}}]'
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {{name: torn}}
spec:
  policyName: torn
  matchResources:
    namespaceSelector: {{matchLabels: {{torn: "true"}}}}
"""


def test_what_another_policy_removes_is_put_back(cluster: ControlPlane, policies: Policies) -> None:
    namespace = create_namespace(cluster, {"torn": "true"})
    assert apply_strictly(cluster, list(yaml.safe_load_all(TEARING_POLICY))) == []
    labelled_only = bare({})
    labelled_only["metadata"]["labels"] = {GROUP: "shop"}
    deadline = time.monotonic() + ACTIVE_SECONDS
    while "labels" in policies.create(labelled_only, namespace).document["metadata"]:
        assert time.monotonic() < deadline
    answer = policies.create(bare(), namespace)
    assert answer.code == 201, answer.message
    assert answer.document["metadata"]["labels"] == {GROUP: "shop"}


# --- other settings ----------------------------------------------------------------------------------------

TEAM = "team-a"
OTHER_SETTINGS = """
runAsUser: platform
imagePullSecrets: [{name: mirror}, {name: other.mirror}]
defaults:
  image: registry.example/hazelcast:5.7.0
  cluster-name: "a \\"quoted\\" 'name' \\\\ $(X) {{.}} \\u00fc"
  java-opts: "-Da=b   -Dc=d"
  native-sidecar: false
  memory-request: 256Mi
  shutdown-timeout: 2m
  disruption-budget: true
namespaces:
  team-a:
    discovery: api
    group: everyone
    config: shared
    metrics: true
    native-sidecar: true
"""


@pytest.fixture
def other_policies(cluster: ControlPlane, policies: Policies, tmp_path: Path) -> Iterator[Policies]:
    """Those of other settings; the shipped ones come back afterwards."""
    made = cluster.request("POST", "/api/v1/namespaces", {"metadata": {"name": TEAM}})
    assert made.code == 201
    yield Policies(cluster, tmp_path, OTHER_SETTINGS)
    assert apply_strictly(cluster, list(yaml.safe_load_all(policies.exported))) == []


def test_settings_are_the_webhooks(other_policies: Policies) -> None:
    for namespace in ("default", TEAM):
        for body in (
            bare(),
            owned("StatefulSet", "orders"),
            owned("Job", "import"),
            bare(containers=[app(env=ENV)]),
            bare(imagePullSecrets=[{"name": "mine"}, {"name": "mirror"}]),
            bare(ours(group="mine", discovery="dns")),
        ):
            expected, found = other_policies.both(body, namespace)
            assert found.code == 201, found.message
            assert expected is not None
            if "discovery" in str(body["metadata"]["annotations"]) and namespace == TEAM:
                expected = without_fingerprint(expected)
            elif "discovery" in str(body["metadata"]["annotations"]):
                assert json.loads(found.document["metadata"]["annotations"][STATUS])["fingerprint"] != UNKNOWN
            assert shown(found.document) == expected


# --- the two policies together -----------------------------------------------------------------------------


def test_without_the_mutating_policy_nothing_goes_without_a_member(
    cluster: ControlPlane, policies: Policies, tmp_path: Path
) -> None:
    """The validating policy holds what the other one promises."""
    path = "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings/hazelcast-sidecar-injector"
    assert cluster.request("DELETE", path).code == 200
    try:
        deadline = time.monotonic() + ACTIVE_SECONDS
        while (answer := policies.create(bare())).code == 201:
            assert time.monotonic() < deadline
        assert answer.code == 422
        assert "and got none" in answer.message
        answer = policies.create(torn(bare(), "label"))
        assert answer.code == 422
        assert "parts of the Hazelcast member are missing" in answer.message
        assert policies.create(bare({})).code == 201
    finally:
        Policies(cluster, tmp_path)


# --- how long it takes -------------------------------------------------------------------------------------

CREATIONS = 200


@pytest.mark.slow
def test_time_of_creations_is_shown(
    cluster: ControlPlane,
    policies: Policies,
    webhook: WebhookServer,
    manifests: Path,
    say: Callable[[str], None],
) -> None:
    """In turn, so that all see the same machine; a namespace's label tells webhook and policies apart."""
    objects = rendered(cluster, manifests / "base")
    (configuration,) = [found for found in objects if found["kind"] == "MutatingWebhookConfiguration"]
    webhook.take_the_place_of_the_service(configuration)
    called = {"matchLabels": {"injected-by": "webhook"}}
    for each in configuration["webhooks"]:
        each["namespaceSelector"] = called
    assert apply_strictly(cluster, [configuration]) == []
    by_webhook, by_policy = create_namespace(cluster, called["matchLabels"]), create_namespace(cluster, {})
    excepted = list(yaml.safe_load_all(policies.exported))
    for document in excepted:
        if "matchConstraints" in document["spec"]:
            found = document["spec"]["matchConstraints"]["namespaceSelector"]["matchExpressions"]
            found.append({"key": "injected-by", "operator": "DoesNotExist"})
    assert apply_strictly(cluster, excepted) == []
    deadline = time.monotonic() + ACTIVE_SECONDS
    before = webhook.answered("injected")
    while webhook.answered("injected") == before:
        assert time.monotonic() < deadline
        policies.create(bare(), by_webhook)
    ways = {
        "by the webhook": (by_webhook, bare()),
        "by the policies": (by_policy, bare()),
        "without a member": (by_policy, bare({})),
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(CREATIONS):
        for way, (namespace, body) in ways.items():
            started = time.perf_counter()
            answer = policies.create(body, namespace)
            seconds[way].append(time.perf_counter() - started)
            assert answer.code == 201, answer.message
            assert ("initContainers" in answer.document["spec"]) == (way != "without a member")
    assert webhook.answered("injected") - before >= CREATIONS
    medians = ", ".join(f"{1000 * median(seconds[way]):.1f} ms {way}" for way in ways)
    say(f"{CREATIONS} creations each, the median: {medians}")
    cluster.request(
        "DELETE", "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/" + INJECTOR
    )
    assert apply_strictly(cluster, list(yaml.safe_load_all(policies.exported))) == []
