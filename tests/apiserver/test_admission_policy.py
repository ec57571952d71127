"""The exported policies on a real API server: they make of a Pod what the webhook makes of it, or deny it."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import pytest
import yaml

from hazelcast_sidecar.admission_policies.policies import NAME
from hazelcast_sidecar.injection.fingerprint import UNKNOWN
from hazelcast_sidecar.injection.reviewer import Reviewer
from hazelcast_sidecar.names import GROUP, PREFIX, STATUS
from hazelcast_sidecar.spec import settings
from tests.apiserver.conftest import ACTIVE_SECONDS, WebhookServer, apply_strictly, create_namespace, rendered
from tests.apiserver.control_plane import Answer, ControlPlane
from tests.apiserver.controller import POLICY_DENIAL
from tests.conftest import CHECKOUT, ours, patched, response_in, review_of
from tests.torn import TEARS, in_any_order

pytestmark = pytest.mark.apiserver

EXEMPT = "kube-system"
CASES = CHECKOUT / "tests" / "golden" / "cases"
Pod = dict[str, Any]


def pod(annotations: dict[str, str] | None = None, /, **spec: Any) -> Pod:
    """A bare Pod, asking for a member unless told otherwise."""
    given = ours() if annotations is None else annotations
    container = {"name": "app", "image": "shop:1"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "shop", "annotations": given},
        "spec": {"containers": [container], **spec},
    }


def owned(
    kind: str, name: str, labels: dict[str, str] | None = None, *, controller: bool = True, **annotations: str
) -> Pod:
    """A Pod that a workload's controller makes."""
    made = pod(ours(**annotations))
    owner = {"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": "1", "controller": controller}
    made["metadata"] |= {"name": "shop-0", "ownerReferences": [owner]}
    made["metadata"] |= {"labels": labels} if labels else {}
    return made


def app(name: str = "app", **fields: Any) -> Pod:
    return {"name": name, "image": "shop:1", **fields}


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
        (expected, found), denied = self.both(pod()), pod(ours(port="fast"))
        while found.code != 201 or expected != shown(found.document) or self.create(denied).code == 201:
            assert time.monotonic() < deadline, f"no effect within {ACTIVE_SECONDS} s: {found.message}"
            expected, found = self.both(pod())

    def create(self, body: Pod, namespace: str = "default", query: str = "&dryRun=All") -> Answer:
        """Create a Pod where the policies hold, without storing it unless told."""
        path = f"/api/v1/namespaces/{namespace}/pods?fieldValidation=Strict{query}"
        return self._cluster.request("POST", path, body)

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
    sent = deepcopy(body)
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


def golden(name: str) -> Pod:
    made: Pod = yaml.safe_load((CASES / f"{name}.input.yaml").read_text(encoding="utf-8"))
    made["metadata"].pop("namespace", None)
    for owner in made["metadata"].get("ownerReferences", []):
        owner.setdefault("uid", "1")
    return made


ENV = [{"name": "GREETING", "value": "hello"}]
ADDRESS, CLUSTER_NAME = (
    {"name": "HAZELCAST_ADDRESS", "value": "elsewhere:5701"},
    {"name": "HAZELCAST_CLUSTER_NAME", "value": "mine"},
)

SAME = {
    **{name: golden(name) for name in ("bare-pod", "deployment", "job", "other-sidecars")},
    "nothing but a container": pod(),
    "empty lists": pod(volumes=[], initContainers=[], containers=[app(env=[])]),
    "labels": pod() | {"metadata": {"name": "shop", "labels": {"app": "shop"}, "annotations": ours()}},
    "the very label": pod()
    | {"metadata": {"name": "shop", "labels": {GROUP: "shop"}, "annotations": ours()}},
    "volumes": pod(volumes=[{"name": "data", "emptyDir": {}}]),
    "init containers": pod(initContainers=[app("first"), app("second", restartPolicy="Always")]),
    "environments": pod(
        containers=[
            app("none"),
            app("some", env=ENV),
            app("address", env=[ADDRESS, *ENV]),
            app("name", env=[*ENV, CLUSTER_NAME]),
            app("both", env=[CLUSTER_NAME, *ENV, ADDRESS]),
        ]
    ),
    "no grace": pod(terminationGracePeriodSeconds=0),
    "long grace": pod(terminationGracePeriodSeconds=2**31 - 30),
    "endless grace": pod(terminationGracePeriodSeconds=2**63 - 1),
    "Deployment": owned("ReplicaSet", "web-7c5d", {"pod-template-hash": "7c5d"}),
    "Rollout": owned(
        "ReplicaSet", "web-7c5d", {"rollouts-pod-template-hash": "7c5d", "pod-template-hash": ""}
    ),
    "ReplicaSet of its own": owned("ReplicaSet", "web-7c5d"),
    "another hash": owned("ReplicaSet", "web-7c5d", {"pod-template-hash": "5d"}),
    "StatefulSet": owned("StatefulSet", "orders-7c5d", {"pod-template-hash": "7c5d"}),
    "DaemonSet": owned("DaemonSet", "agent"),
    "Job": owned("Job", "import"),
    "owned but not controlled": owned("ConfigMap", "web", controller=False),
    "name to come": pod() | {"metadata": {"generateName": "solo--", "annotations": ours()}},
    "a name of 53 characters": pod() | {"metadata": {"name": "a" * 53, "annotations": ours()}},
    "group": pod(ours(group="orders")),
    "budget and policy": owned("StatefulSet", "orders", disruption_budget="true", network_policy="true"),
    "owned by a Node": owned("Node", "node-a"),
    "defaults spelt out": pod(ours(port="5701", image="hazelcast/hazelcast:5.7.0", metrics="false")),
    "others' annotations": pod(ours() | {"example.com/sidecar": "\n\"'$"}),
    "UDP on the port": pod(containers=[app(ports=[{"containerPort": 5701, "protocol": "UDP"}])]),
    "the port after": pod(containers=[app(ports=[{"containerPort": 5702}])]),
    "a metrics port that is not used": pod(containers=[app(ports=[{"containerPort": 9701}])]),
    "own DNS": pod(dnsPolicy="None", dnsConfig={"nameservers": ["192.0.2.1"]}),
    "Linux": pod(os={"name": "linux"}, nodeSelector={"kubernetes.io/os": "linux"}),
    "host network": pod(hostNetwork=True, dnsPolicy="ClusterFirstWithHostNet"),
}

OTHER_MEMBER = {
    "every-annotation": golden("every-annotation"),
    "cluster-name": pod(ours(cluster_name='Käse "$(X)" \\ $ 日本 {{x}} \U0001f600')),
    "image": pod(ours(image="registry.example:5000/a/hazelcast:5.7@sha256:" + "0" * 64)),
    "config": pod(ours(config="own.config")),
    "discovery": pod(ours(discovery="api"), serviceAccountName="shop"),
    "discovery by the default account": pod(ours(discovery="api"), hostNetwork=True, dnsPolicy="Default"),
    "port": pod(ours(port="05801")),
    "clients": pod(ours(clients="pod")),
    "clients, port": pod(ours(clients="pod", port="06000", metrics="true")),
    "cpu": pod(ours(cpu_request="0.25", cpu_limit="1500m")),
    "memory-limit": pod(ours(memory_limit="1Gi")),
    "memory-request": pod(ours(memory_request="268435456")),
    "heap-percentage": pod(ours(heap_percentage="60")),
    "java-opts": pod(ours(java_opts="-Da=b,%@:/+ --add-opens=java.base/java.lang=ALL-UNNAMED")),
    "native-sidecar": pod(ours(native_sidecar="false")),
    "native-sidecar, grace": pod(ours(native_sidecar="false"), terminationGracePeriodSeconds=90),
    "shutdown-timeout": pod(ours(shutdown_timeout="90")),
    "shutdown-timeout in minutes": pod(ours(shutdown_timeout="5m")),
    "shutdown-timeout in hours": pod(ours(shutdown_timeout="1h")),
    "metrics": pod(ours(metrics="true", metrics_port="9801", java_opts="-Xlog:gc")),
    "log-format": pod(ours(log_format="json")),
    "log-level": pod(ours(log_level="DEBUG")),
    "all switches": owned(
        "ReplicaSet",
        "web",
        native_sidecar="false",
        metrics="true",
        config="own",
        discovery="api",
        clients="pod",
        log_format="json",
        java_opts="-Da=b",
        disruption_budget="true",
        network_policy="true",
    ),
}


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


def injected(body: Pod) -> Pod:
    """The Pod as the webhook leaves it."""
    response = response_in(Reviewer().review_pod(json.dumps(review_of(body)).encode()))
    return dict(patched(body, response))


def annotated(body: Pod, **annotations: str) -> Pod:
    """The Pod with other annotations of ours."""
    made = deepcopy(body)
    made["metadata"]["annotations"] |= {f"{PREFIX}{name}": text for name, text in annotations.items()}
    return made


def torn(body: Pod, *tears: str) -> Pod:
    """The Pod as the webhook and then another one leave it."""
    made = injected(body)
    for tear in tears:
        TEARS[tear](made)
    return made


def changed(body: Pod, **spec: Any) -> Pod:
    """The Pod with other fields of its spec."""
    return body | {"spec": body["spec"] | spec}


def labelled(body: Pod, group: str) -> Pod:
    """The Pod with another label of ours."""
    made = deepcopy(body)
    made["metadata"]["labels"] |= {GROUP: group}
    return made


MIRROR = {"kubernetes.io/config.mirror": "0f0f0f"}

LEFT = {
    "plain": pod({}),
    "declined": pod(ours(inject="false", port="fast")),
    "forgotten": golden("forgotten-inject"),
    "hand-written": golden("hand-written-member"),
    "hand-written by digest": pod(containers=[app(image="a:5000/b/hazelcast-enterprise@sha256:" + "0" * 64)]),
    "injected": annotated(injected(pod()), port="fast"),
    "injected, discovery by API": injected(pod(ours(discovery="api"))),
    "injected, an ordinary container": injected(pod(ours(native_sidecar="false"))),
    "injected, a value that looks like discovery": injected(pod(ours(cluster_name='"discovery":"api"'))),
    "injected and declined": annotated(torn(pod(), "label"), inject="false"),
    "mirror": pod(ours() | MIRROR, nodeName="node-a"),
    "mirror with a status": pod(ours() | MIRROR | {STATUS: "{}"}, nodeName="node-a"),
}


@pytest.mark.parametrize("name", LEFT)
def test_pod_is_left_alone(policies: Policies, name: str) -> None:
    expected, found = policies.both(LEFT[name])
    assert found.code == 201, found.message
    assert shown(found.document) == expected
    assert shown(found.document) == shown(policies.create(LEFT[name], EXEMPT).document)


# --- Pods that have lost parts of their member -------------------------------------------------------------


@pytest.mark.parametrize("tear", TEARS)
def test_what_was_removed_is_put_back_as_the_webhook_does(policies: Policies, tear: str) -> None:
    expected, found = policies.both(torn(pod(ours(group="orders")), tear))
    assert found.code == 201, found.message
    assert expected is not None
    assert STATUS in expected["metadata"]["annotations"]
    if tear == "status":
        expected = with_fingerprint_of(found.document, expected)
    assert shown(found.document) == expected
    whole = policies.create(injected(pod(ours(group="orders"))), EXEMPT).document
    assert in_any_order(expected) == in_any_order(with_fingerprint_of(expected, shown(whole)))


def with_fingerprint_of(one: Pod, other: Pod) -> Pod:
    """The second Pod with the status of the first, whose fingerprint may be unknown to a policy."""
    statuses = [json.loads(each["metadata"]["annotations"][STATUS]) for each in (one, other)]
    assert {**statuses[0], "fingerprint": ""} == {**statuses[1], "fingerprint": ""}
    return annotated(other, status=one["metadata"]["annotations"][STATUS])


@pytest.mark.parametrize(
    "annotations",
    [{"discovery": "api"}, {"clients": "pod", "metrics": "true"}, {"native_sidecar": "false"}],
    ids=str,
)
@pytest.mark.parametrize(
    "tears", [("env", "volumes", "labels"), ("mounts", "restartPolicy"), ("the token", "a volume", "status")]
)
def test_several_parts_of_other_members_are_put_back(
    policies: Policies, annotations: dict[str, str], tears: tuple[str, ...]
) -> None:
    body = torn(pod(ours(**annotations)), *tears)
    expected, found = policies.both(body)
    assert found.code == 201, found.message
    assert expected is not None
    assert shown(found.document) == with_fingerprint_of(found.document, expected)


def test_a_variable_that_a_member_can_do_without_is_not_put_back(policies: Policies) -> None:
    """It was removed on purpose, perhaps; what is put back is what makes the Pod a member again."""
    body = torn(pod(ours(group="orders")), "label")
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
    assert "initContainers" not in policies.create(pod(), EXEMPT).document["spec"]


def test_injected_twice_is_injected_once(cluster: ControlPlane, policies: Policies) -> None:
    """Read back and created again, as backups do it; and stored, not only shown."""
    namespace = create_namespace(cluster, {})
    first = policies.create(pod(), namespace, "")
    assert first.code == 201, first.message
    path = f"/api/v1/namespaces/{namespace}/pods/shop"
    stored = shown(cluster.request("GET", path).document)
    assert stored == policies.by_webhook(pod())
    assert cluster.request("DELETE", f"{path}?gracePeriodSeconds=0").code == 200
    again = policies.create(stored, namespace, "")
    assert again.code == 201, again.message
    assert shown(again.document) == stored


# --- Pods that are denied ----------------------------------------------------------------------------------


class Denied(NamedTuple):
    """A Pod that both deny, and what the policy says."""

    """A Pod and what the message about it has in it."""

    body: Pod
    sentences: tuple[str, ...]


def denied(body: Pod, *sentences: str) -> Denied:
    return Denied(body, sentences)


DENIED = {
    "golden annotations": denied(golden("denied-annotations"), f"{PREFIX}"),
    "golden collision": denied(golden("denied-collision"), "port"),
    "unknown": denied(pod(ours(discvery="dns")), f"{PREFIX}discvery: no such annotation"),
    "inject": denied(pod(ours(inject="yes")), f'{PREFIX}inject: "yes" is not of its type: true or false'),
    "inject, empty": denied(pod(ours(inject="")), f"{PREFIX}inject"),
    "several": denied(pod(ours(port="fast", metrics="on")), "2 problems: (1) ", "; (2) ", "port", "metrics"),
    "line break": denied(pod(ours(port="1\n2")), r'"1\n2" is not'),
    "long value": denied(pod(ours(port="1" * 5000)), "1" * 64 + "…"),
    **{
        f"{name} {text!r}": denied(pod(ours(**{name: text})), f"{PREFIX}{name.replace('_', '-')}: ")
        for name, texts in {
            "group": ("", "Shop", "a.b", "a" * 54, "-a", "a\n"),
            "cluster_name": ("", " a", "a ", "a\tb", "a\u00a0b", "a\u200bb", "a" * 129, "\ue000"),
            "image": ("", "a b", "A/B", "a:", "a@sha256:12", "a/" * 130 + "a", "a" * 256),
            "config": ("", "a_b", "a..b", "a" * 254),
            "discovery": ("DNS",),
            "port": ("1023", "65536", "-1", "5701 ", "1e4", "\u0665\u0667\u0660\u0661", "9" * 10),
            "cpu_request": ("0", "1x", "1e3", "+1", "1mi", "1K"),
            "cpu_limit": ("99m",),
            "memory_limit": ("512m", "255Mi", "1" * 16),
            "heap_percentage": ("9", "81"),
            "java_opts": ("-version", "-Da=$(b)", "-Da=b;", "-D", "-Da=*"),
            "native_sidecar": ("True",),
            "shutdown_timeout": ("0s", "3601", "2h", "1d", "90.5s", "-1s", "999999999h"),
            "log_format": ("xml",),
            "log_level": ("debug",),
        }.items()
        for text in texts
    },
    "requests over limits": denied(
        pod(ours(cpu_request="3", memory_request="1Gi")),
        f"{PREFIX}cpu-request: 3 is more than the limit of 2",
        f"{PREFIX}memory-request: 1Gi is more than the limit of 512Mi",
    ),
    "ports of the member": denied(pod(ours(metrics="true", metrics_port="5701")), f"{PREFIX}metrics-port"),
    "ports of the member, clients in the Pod": denied(
        pod(ours(clients="pod", metrics="true", metrics_port="5703")), f"{PREFIX}metrics-port"
    ),
    "contradiction beside a member": denied(
        pod(ours(cpu_request="3"), containers=[app(image="hazelcast/hazelcast:5")]), f"{PREFIX}cpu-request"
    ),
    "container": denied(pod(containers=[app("hazelcast")]), 'a container is named "hazelcast"'),
    "init container": denied(pod(initContainers=[app("hazelcast")]), 'a container is named "hazelcast"'),
    "volumes": denied(
        pod(
            volumes=[{"name": "hazelcast-config", "emptyDir": {}}, {"name": "hazelcast-tmp", "emptyDir": {}}]
        ),
        'volume "hazelcast-config"',
        'volume "hazelcast-tmp"',
    ),
    "port": denied(
        pod(initContainers=[app("first", ports=[{"containerPort": 5701}])]),
        f'container "first": declares port 5701, which the member needs; set {PREFIX}port',
    ),
    "port of other members": denied(
        pod(ours(clients="pod"), containers=[app(ports=[{"containerPort": 80}, {"containerPort": 5702}])]),
        f'container "app": declares port 5702, which the member needs; set {PREFIX}port',
    ),
    "clients on the node": denied(
        pod(ours(clients="pod"), hostNetwork=True, dnsPolicy="ClusterFirstWithHostNet"), "spec.hostNetwork"
    ),
    "metrics port": denied(
        pod(ours(metrics="true"), containers=[app(ports=[{"containerPort": 9701}])]),
        f'container "app": declares port 9701, which the member needs; set {PREFIX}metrics-port',
    ),
    "label": denied(
        pod() | {"metadata": {"name": "shop", "labels": {GROUP: "other"}, "annotations": ours()}},
        'is "other", but the member joins the group "shop"',
    ),
    "token": denied(
        pod(ours(discovery="api"), automountServiceAccountToken=False), "automountServiceAccount"
    ),
    "DNS": denied(pod(dnsPolicy="Default"), "spec.dnsPolicy"),
    "DNS of the host": denied(pod(hostNetwork=True), "spec.dnsPolicy"),
    "status": denied(pod(ours() | {STATUS: "{}"}), f"{STATUS}: says that a member was injected"),
    "empty status": denied(pod(ours() | {STATUS: ""}), f"{STATUS}: says that a member was injected"),
    "status without more": denied(pod({STATUS: "{}"}), f"{STATUS}: says that a member was injected"),
    "status, declined": denied(pod(ours(inject="false") | {STATUS: "{}"}), "says that a member was injected"),
    "status beside another container": denied(
        pod(ours() | {STATUS: "{}"}, containers=[app("hazelcast")]), "says that a member was injected"
    ),
    "status that no injection writes": denied(annotated(injected(pod()), status="{}"), "cannot be read"),
    "another group than the label": denied(labelled(injected(pod()), "other"), 'is "other", but the member'),
    "torn, with a mistake": denied(annotated(torn(pod(), "label"), port="fast"), f"{PREFIX}port"),
    "nothing of the member left": denied(torn(pod(), "env", "mounts"), "says that a member was injected"),
    "budget": denied(pod(ours(disruption_budget="true")), 'is "true", but no workload made the Pod'),
    **{
        f"budget of a {kind}": denied(
            owned(kind, "shop", disruption_budget="true"),
            f'{PREFIX}disruption-budget: is "true", but a {kind} made the Pod',
        )
        for kind in ("Job", "DaemonSet")
    },
    "Windows": denied(pod(os={"name": "windows"}), "spec.os.name"),
    "torn, its port taken": denied(
        changed(torn(pod(), "label"), containers=[app(ports=[{"containerPort": 5701}])]),
        'container "app": declares port 5701',
    ),
    "torn, without its status, on the node": denied(
        changed(
            torn(pod(ours(clients="pod")), "status"), hostNetwork=True, dnsPolicy="ClusterFirstWithHostNet"
        ),
        "spec.hostNetwork",
    ),
    "torn, with a budget": denied(
        annotated(torn(pod(), "status"), **{"disruption-budget": "true"}), "no workload made the Pod"
    ),
    "Windows nodes": denied(pod(nodeSelector={"kubernetes.io/os": "windows"}), "spec.nodeSelector"),
}


@pytest.mark.parametrize("name", DENIED)
def test_pod_that_the_webhook_denies_is_denied(policies: Policies, name: str) -> None:
    body, sentences = DENIED[name]
    assert policies.by_webhook(body) is None
    answer = policies.create(body)
    assert answer.code == 422, answer.document
    assert f"is forbidden: {POLICY_DENIAL}" in answer.message, "the controller could not tell whose it is"
    for sentence in sentences:
        assert sentence in answer.message


@pytest.mark.parametrize("name", ["a.b", "a" * 54])
def test_name_that_needs_a_hash_is_denied(policies: Policies, name: str) -> None:
    answer = policies.create(owned("StatefulSet", name))
    assert answer.code == 422
    assert f'the workload\'s name "{name}" is no DNS label of at most 53 characters' in answer.message
    assert f"annotate a group ({GROUP})" in answer.message
    grouped = owned("StatefulSet", name)
    grouped["metadata"]["annotations"] |= {GROUP: "orders"}
    expected, found = policies.both(grouped)
    assert shown(found.document) == expected


def test_odd_spaces_between_options_are_denied(policies: Policies) -> None:
    answer = policies.create(pod(ours(java_opts="-Da=b  -Dc=d")))
    assert answer.code == 422
    assert f"{PREFIX}java-opts" in answer.message


def test_too_small_pod_is_refused_by_the_api_server(policies: Policies) -> None:
    body = pod(resources={"limits": {"memory": "256Mi"}, "requests": {"memory": "256Mi"}})
    assert policies.by_webhook(body) is None
    answer = policies.create(body)
    assert answer.code == 422
    assert "Invalid value" in answer.message


def test_too_many_mistakes_are_denied_all_the_same(policies: Policies) -> None:
    """A list beyond what a message may have gives way to a sentence."""
    answer = policies.create(pod(ours(**{f"wrong_{number}": "x" for number in range(100)})))
    assert answer.code == 422
    assert "the list of mistakes is too long" in answer.message


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
    body = pod(
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
    while len(policies.create(pod({}), namespace).document["spec"]["containers"]) == 1:
        assert time.monotonic() < deadline
    answer = policies.create(pod(), namespace)
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
    labelled_only = pod({})
    labelled_only["metadata"]["labels"] = {GROUP: "shop"}
    deadline = time.monotonic() + ACTIVE_SECONDS
    while "labels" in policies.create(labelled_only, namespace).document["metadata"]:
        assert time.monotonic() < deadline
    answer = policies.create(pod(), namespace)
    assert answer.code == 201, answer.message
    assert answer.document["metadata"]["labels"] == {GROUP: "shop"}


# --- other settings ----------------------------------------------------------------------------------------

TEAM = "team-a"
OTHER_SETTINGS = """
runAsUser: platform
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
            pod(),
            owned("StatefulSet", "orders"),
            owned("Job", "import"),
            pod(containers=[app(env=ENV)]),
            pod(ours(group="mine", discovery="dns")),
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
        while (answer := policies.create(pod())).code == 201:
            assert time.monotonic() < deadline
        assert answer.code == 422
        assert "was given none" in answer.message
        answer = policies.create(torn(pod(), "label"))
        assert answer.code == 422
        assert "parts of the Hazelcast member are missing" in answer.message
        assert policies.create(pod({})).code == 201
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
        policies.create(pod(), by_webhook)
    ways = {
        "by the webhook": (by_webhook, pod()),
        "by the policies": (by_policy, pod()),
        "without a member": (by_policy, pod({})),
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
    cluster.request("DELETE", "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/" + NAME)
    assert apply_strictly(cluster, list(yaml.safe_load_all(policies.exported))) == []
