"""What a real API server makes of the webhook and of the manifests: accepted, called, obeyed, enforced."""

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import jsonpatch
import pytest
import yaml

from hazelcast_sidecar.injection.member import TOKEN_DIRECTORY
from hazelcast_sidecar.injection.webhook_configuration import AGAIN, DECISIVE, OTHERS, PODS, WORKLOADS
from hazelcast_sidecar.names import ZONE
from hazelcast_sidecar.spec.annotations import TABLE
from tests.harness.control_plane import Answer, ControlPlane
from tests.harness.pods import restricted, with_account
from tests.harness.prometheus_text import counted
from tests.harness.shipped_manifests import ROOT, apply_strictly, rendered
from tests.harness.webhook_server import WebhookServer

pytestmark = pytest.mark.apiserver

PREFIX = "sidecar.hazelcast.com/"
OPTED_IN = {f"{PREFIX}inject": "true"}
INJECT = f"{PREFIX}inject"
LABELLED = {INJECT: "true"}
OWN_NAMESPACE = "hazelcast-sidecar-injector"
KUSTOMIZATIONS = sorted(
    str(file.parent.relative_to(ROOT / "manifests"))
    for file in (ROOT / "manifests").rglob("kustomization.yaml")
)


def create(control_plane: ControlPlane, namespace: str, body: dict[str, Any], query: str = "") -> Answer:
    """Create a Pod, with unknown fields refused."""
    path = f"/api/v1/namespaces/{namespace}/pods?fieldValidation=Strict{query}"
    return control_plane.request("POST", path, with_account(body))


def stored(control_plane: ControlPlane, namespace: str, name: str = "shop") -> Answer:
    """Read a Pod back."""
    return control_plane.request("GET", f"/api/v1/namespaces/{namespace}/pods/{name}")


def named(elements: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """Pick the one element of that name."""
    (found,) = [element for element in elements if element["name"] == name]
    return found


class Calls(NamedTuple):
    """How often the webhook was called, by the count of either side."""

    sent: float
    answered: float


def calls(control_plane: ControlPlane, webhook: WebhookServer) -> Calls:
    """Count on both sides: a call that the webhook refused to read would be missing in its own count."""
    metrics = control_plane.kubectl("get", "--raw", "/metrics").stdout
    total = "apiserver_admission_webhook_request_total"
    sent = sum(counted(metrics, total, {"name": name}) for name in (PODS, AGAIN, DECISIVE, OTHERS))
    return Calls(sent, webhook.answered())


# --- the configuration -------------------------------------------------------------------------------------


def test_configuration_is_stored_as_written(
    control_plane: ControlPlane,
    webhook_configuration: dict[str, Any],
) -> None:
    path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/hazelcast-sidecar-injector"
    stored_webhooks = control_plane.request("GET", path).document["webhooks"]
    for kept, written in zip(stored_webhooks, webhook_configuration["webhooks"], strict=True):
        assert kept == kept | written, "the API server changed what the manifest says"
        assert kept["sideEffects"] == "None"
    assert {kept["name"]: kept["failurePolicy"] for kept in stored_webhooks} == {
        PODS: "Ignore",
        AGAIN: "Ignore",
        DECISIVE: "Fail",
        OTHERS: "Fail",
        WORKLOADS: "Fail",
    }


def test_configuration_with_a_broken_match_condition_is_refused(
    control_plane: ControlPlane,
    webhook_configuration: dict[str, Any],
) -> None:
    """The API server compiles the expression: being accepted says that ours is right CEL."""
    broken = deepcopy(webhook_configuration)
    broken["metadata"] = {"name": "broken"}
    broken["webhooks"][1]["matchConditions"][0]["expression"] += " && object.metadata.("
    path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations?dryRun=All"
    answer = control_plane.request("POST", path, broken)
    assert answer.code == 422
    assert "matchConditions[0].expression" in answer.message


# --- injection ---------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("webhook_configuration")
def test_annotated_pod_is_stored_injected(control_plane: ControlPlane, namespace: str) -> None:
    assert create(control_plane, namespace, restricted(OPTED_IN)).code == 201

    found = stored(control_plane, namespace).document
    metadata, spec = found["metadata"], found["spec"]
    member = spec["initContainers"][0]
    assert (member["name"], member["restartPolicy"]) == ("hazelcast", "Always")
    assert member["image"] == "hazelcast/hazelcast:5.7.0"
    assert {mount["mountPath"]: mount["name"] for mount in member["volumeMounts"]} == {
        "/etc/hazelcast": "hazelcast-config",
        "/tmp": "hazelcast-tmp",  # noqa: S108 (in the member's container)
        TOKEN_DIRECTORY: "hazelcast-tmp",
    }
    assert named(spec["volumes"], "hazelcast-config")["configMap"]["name"] == "hazelcast-shop"
    assert "emptyDir" in named(spec["volumes"], "hazelcast-tmp")
    assert metadata["labels"][f"{PREFIX}group"] == "shop"
    assert isinstance(json.loads(metadata["annotations"][f"{PREFIX}status"]), dict)
    env = spec["containers"][0]["env"]
    assert named(env, "HAZELCAST_ADDRESS")["value"] == "127.0.0.1:5701"
    assert named(env, "HAZELCAST_CLUSTER_NAME")["value"] == "dev"
    assert spec["terminationGracePeriodSeconds"] > 30


@pytest.mark.usefixtures("webhook_configuration")
def test_a_limit_range_says_what_the_member_leaves_open(control_plane: ControlPlane, namespace: str) -> None:
    """The API server comes back to its own defaults after the webhook."""
    limit = {"type": "Container", "default": {"ephemeral-storage": "1Gi", "memory": "64Mi"}}
    body = {"metadata": {"name": "default"}, "spec": {"limits": [limit]}}
    path = f"/api/v1/namespaces/{namespace}/limitranges"
    assert control_plane.request("POST", path, body).code == 201
    assert create(control_plane, namespace, restricted(OPTED_IN)).code == 201
    (member,) = stored(control_plane, namespace).document["spec"]["initContainers"]
    assert member["resources"]["limits"] == {"cpu": "2", "memory": "512Mi", "ephemeral-storage": "1Gi"}


@pytest.mark.usefixtures("webhook_configuration")
def test_ordinary_container_on_request(control_plane: ControlPlane, namespace: str) -> None:
    annotated = restricted(OPTED_IN | {f"{PREFIX}native-sidecar": "false"})
    assert create(control_plane, namespace, annotated).code == 201

    spec = stored(control_plane, namespace).document["spec"]
    assert [container["name"] for container in spec["containers"]] == ["app", "hazelcast"]
    assert "initContainers" not in spec


EVERY_ANNOTATION = OPTED_IN | {
    f"{PREFIX}group": "orders",
    f"{PREFIX}cluster-name": "orders cluster",
    f"{PREFIX}image": "registry.example:5000/hazelcast/hazelcast:5.7.0-slim",
    f"{PREFIX}config": "own-config",
    f"{PREFIX}extensions": "jars",
    f"{PREFIX}discovery": "api",
    f"{PREFIX}ip-family": "ipv6",
    f"{PREFIX}port": "5801",
    f"{PREFIX}clients": "pod",
    f"{PREFIX}cpu-request": "0.25",
    f"{PREFIX}cpu-limit": "1500m",
    f"{PREFIX}memory-request": "256Mi",
    f"{PREFIX}memory-limit": "1Gi",
    f"{PREFIX}heap-percentage": "60",
    f"{PREFIX}java-opts": "-Dshop.name=orders -XX:+UseSerialGC",
    f"{PREFIX}native-sidecar": "true",
    f"{PREFIX}wait": "false",
    f"{PREFIX}shutdown-timeout": "90s",
    f"{PREFIX}backups": "zone",
    f"{PREFIX}backup-count": "2",
    f"{PREFIX}disruption-budget": "true",
    f"{PREFIX}network-policy": "true",
    f"{PREFIX}metrics": "true",
    f"{PREFIX}metrics-port": "9801",
    f"{PREFIX}sql": "true",
    f"{PREFIX}management": "true",
    f"{PREFIX}license-secret": "licence",
    f"{PREFIX}log-format": "json",
    f"{PREFIX}log-level": "DEBUG",
}


def of_workload(made: dict[str, Any]) -> dict[str, Any]:
    """The Pod as one of a StatefulSet, for which a budget works, with a volume that holds extensions."""
    made["spec"]["volumes"] = [{"name": "jars", "emptyDir": {}}]
    owner = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "orders", "uid": "1", "controller": True}
    made["metadata"]["ownerReferences"] = [owner]
    return made


@pytest.mark.usefixtures("webhook_configuration")
def test_every_annotation_makes_a_valid_pod(control_plane: ControlPlane, namespace: str) -> None:
    """Whatever text the table lets through must also pass the API server, or the user gets its error."""
    assert set(EVERY_ANNOTATION) == {row.key for row in TABLE}
    answer = create(control_plane, namespace, of_workload(restricted(EVERY_ANNOTATION)))
    assert answer.code == 201, answer.message

    found = stored(control_plane, namespace).document
    member = named(found["spec"]["initContainers"], "hazelcast")
    assert found["metadata"]["labels"][f"{PREFIX}group"] == "orders"
    assert member["image"] == EVERY_ANNOTATION[f"{PREFIX}image"]
    assert [port["containerPort"] for port in member["ports"]] == [5802, 5803, 9801]
    assert member["resources"] == {
        "requests": {"cpu": "250m", "memory": "256Mi"},
        "limits": {"cpu": "1500m", "memory": "1Gi"},
    }
    assert named(found["spec"]["volumes"], "hazelcast-config")["configMap"]["name"] == "own-config"


@pytest.mark.parametrize(
    "annotations",
    [OPTED_IN, OPTED_IN | {f"{PREFIX}native-sidecar": "false"}, EVERY_ANNOTATION],
    ids=["defaults", "ordinary container", "every annotation"],
)
def test_patch_has_only_fields_of_a_pod(
    control_plane: ControlPlane,
    webhook: WebhookServer,
    namespace: str,
    annotations: dict[str, str],
) -> None:
    """A webhook's patch is read leniently: what it misspells is dropped without a word.

    So the patched Pod goes to the API server as a user's own, without the annotations that would bring in the
    webhook, and is read strictly.
    """
    body = of_workload(restricted(annotations))
    patched = jsonpatch.apply_patch(body, webhook.patch(body))
    patched["metadata"]["annotations"] = {}
    answer = create(control_plane, namespace, patched)
    assert answer.code == 201, answer.message
    containers = answer.document["spec"].get("initContainers", []) + answer.document["spec"]["containers"]
    assert {container["name"] for container in containers} == {"app", "hazelcast"}


def of_deployment() -> dict[str, Any]:
    """What the ReplicaSet controller sends for a Deployment: no name yet, an owner, the template's hash."""
    template_hash = "7c5ddbdf54"
    owner = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "name": f"web-{template_hash}",
        "uid": "5e1f6a1c-3c52-4f2b-9d3c-0a8f1f7a2b11",
        "controller": True,
        "blockOwnerDeletion": True,
    }
    labels = {"app": "web", "pod-template-hash": template_hash, **LABELLED}
    made = restricted(OPTED_IN, generateName=f"web-{template_hash}-", ownerReferences=[owner], labels=labels)
    del made["metadata"]["name"]
    return made


def of_stateful_set() -> dict[str, Any]:
    """What the StatefulSet controller sends: the name is known, and numbered."""
    owner = {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "name": "orders",
        "uid": "0d6d2a0e-6a0e-4a8f-8a7b-0a4c9a3f5c22",
        "controller": True,
    }
    return restricted(OPTED_IN, name="orders-0", ownerReferences=[owner])


def of_nobody() -> dict[str, Any]:
    """What `kubectl create` sends for a bare Pod that leaves the end of its name to the API server."""
    made = restricted(OPTED_IN, generateName="solo-")
    del made["metadata"]["name"]
    return made


@pytest.mark.usefixtures("webhook_configuration")
@pytest.mark.parametrize(
    ("body", "group"),
    [(of_deployment(), "web"), (of_stateful_set(), "orders"), (of_nobody(), "solo")],
    ids=["Deployment", "StatefulSet", "none"],
)
def test_group_is_the_workload(
    control_plane: ControlPlane,
    namespace: str,
    body: dict[str, Any],
    group: str,
) -> None:
    """Replicas must find each other, so they need the same group although their own names differ."""
    answer = create(control_plane, namespace, body)
    assert answer.code == 201, answer.message
    found = answer.document
    assert found["metadata"]["labels"][f"{PREFIX}group"] == group
    configuration = named(found["spec"]["volumes"], "hazelcast-config")["configMap"]
    assert configuration["name"] == f"hazelcast-{group}"


@pytest.mark.since("1.35", "the label of a node's zone on its Pods (`backups: zone`)")
@pytest.mark.usefixtures("webhook_configuration")
def test_a_member_knows_the_zone_of_its_node(control_plane: ControlPlane, namespace: str) -> None:
    """By a label that the API server puts on a Pod when it is bound; no container reads those of nodes."""
    body = restricted(OPTED_IN | {f"{PREFIX}backups": "zone"})
    assert create(control_plane, namespace, body).code == 201
    node = f"node-{namespace}"
    labelled = {"metadata": {"name": node, "labels": {ZONE: "one"}}}
    assert control_plane.request("POST", "/api/v1/nodes", labelled).code == 201
    binding = {"metadata": {"name": "shop"}, "target": {"apiVersion": "v1", "kind": "Node", "name": node}}
    path = f"/api/v1/namespaces/{namespace}/pods/shop/binding"
    bound = control_plane.request("POST", path, binding)
    assert bound.code == 201, bound.message
    found = stored(control_plane, namespace).document
    assert found["metadata"]["labels"].get(ZONE) == "one"
    read = {
        each.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
        for each in named(found["spec"]["initContainers"], "hazelcast")["env"]
    }
    assert f"metadata.labels['{ZONE}']" in read


@pytest.mark.usefixtures("webhook_configuration")
def test_stored_pod_is_accepted_again_unchanged(
    control_plane: ControlPlane,
    webhook: WebhookServer,
    namespace: str,
) -> None:
    """Read back and created again, as people move Pods and backups restore them."""
    assert create(control_plane, namespace, restricted(OPTED_IN, labels=LABELLED)).code == 201
    exported = control_plane.kubectl("-n", namespace, "get", "pod", "shop", "-o", "yaml").stdout
    injected_before = webhook.answered("injected")
    answered_before = webhook.answered()

    control_plane.kubectl("-n", namespace, "replace", "--force", "-f", "-", stdin=exported)

    before, after = yaml.safe_load(exported), stored(control_plane, namespace).document
    assert before["metadata"]["uid"] != after["metadata"]["uid"], "the Pod was not created again"
    assert webhook.answered() == answered_before + 1, "the webhook was not asked again"
    assert webhook.answered("injected") == injected_before, "the Pod was injected a second time"
    assert after["spec"] == before["spec"]
    for part in ("labels", "annotations"):
        assert after["metadata"][part] == before["metadata"][part]


@pytest.mark.usefixtures("webhook_configuration")
def test_dry_run_shows_the_member_and_stores_nothing(control_plane: ControlPlane, namespace: str) -> None:
    """A webhook with side effects, or one that does not declare that it has none, would be refused here."""
    arguments = ["-n", namespace, "create", "--dry-run=server", "-o", "json", "-f", "-"]
    shown = json.loads(control_plane.kubectl(*arguments, stdin=json.dumps(restricted(OPTED_IN))).stdout)
    assert shown["spec"]["initContainers"][0]["name"] == "hazelcast"
    assert stored(control_plane, namespace).code == 404


# --- who is called, and who is not -------------------------------------------------------------------------


@pytest.mark.usefixtures("webhook_configuration")
def test_only_annotated_pods_leave_the_api_server(
    control_plane: ControlPlane,
    webhook: WebhookServer,
    namespace: str,
) -> None:
    before = calls(control_plane, webhook)
    foreign = {"inject": "true", "sidecar.hazelcast.com.example/inject": "true"}
    plain = restricted({}, name="plain")
    del plain["metadata"]["annotations"]
    for body in (plain, restricted({}, name="empty"), restricted(foreign, name="foreign")):
        answer = create(control_plane, namespace, body)
        assert answer.code == 201
        assert "initContainers" not in answer.document["spec"]
    assert calls(control_plane, webhook) == before

    assert create(control_plane, namespace, restricted(OPTED_IN)).code == 201
    assert calls(control_plane, webhook) == Calls(before.sent + 1, before.answered + 1)


OF_A_WORKLOAD = {
    "Deployment": {"pod-template-hash": "7c9d8f6b54"},
    "StatefulSet": {"statefulset.kubernetes.io/pod-name": "shop-0"},
    "DaemonSet": {"pod-template-generation": "1"},
    "Job": {"batch.kubernetes.io/job-name": "shop"},
}


@pytest.mark.usefixtures("webhook_configuration")
@pytest.mark.parametrize("labels", OF_A_WORKLOAD.values(), ids=OF_A_WORKLOAD)
def test_a_workloads_pods_are_sent_by_their_label_alone(
    control_plane: ControlPlane, webhook: WebhookServer, namespace: str, labels: dict[str, str]
) -> None:
    before = calls(control_plane, webhook)
    assert create(control_plane, namespace, restricted({}, name="plain", labels=labels)).code == 201
    # Its template was not labelled: the audit tells of it.
    assert create(control_plane, namespace, restricted(OPTED_IN, name="missed", labels=labels)).code == 201
    assert calls(control_plane, webhook) == before
    answer = create(control_plane, namespace, restricted(OPTED_IN, labels=labels | LABELLED))
    assert [each["name"] for each in answer.document["spec"]["initContainers"]] == ["hazelcast"]
    assert calls(control_plane, webhook) == Calls(before.sent + 1, before.answered + 1)


@pytest.mark.usefixtures("webhook_configuration")
def test_the_label_is_enough_and_a_wrong_one_is_told(
    control_plane: ControlPlane, webhook: WebhookServer, namespace: str
) -> None:
    by_label = restricted({}, labels=LABELLED)
    del by_label["metadata"]["annotations"]
    answer = create(control_plane, namespace, by_label)
    assert [each["name"] for each in answer.document["spec"]["initContainers"]] == ["hazelcast"]
    before = calls(control_plane, webhook)
    answer = create(control_plane, namespace, restricted(OPTED_IN, name="no", labels={INJECT: "false"}))
    assert "initContainers" not in answer.document["spec"]
    assert calls(control_plane, webhook) == before, "one that declines need not be sent"
    answer = create(control_plane, namespace, restricted({}, name="wrong", labels={INJECT: "yes"}))
    assert f'admission webhook "{PODS}" denied the request: ' in answer.message
    assert f'{INJECT}: "yes" is none of "true", "false"' in answer.message


@pytest.mark.usefixtures("webhook_configuration")
def test_declined_pod_is_stored_as_it_was_sent(control_plane: ControlPlane, namespace: str) -> None:
    declined = create(control_plane, namespace, restricted({f"{PREFIX}inject": "false"})).document
    assert "initContainers" not in declined["spec"]
    assert [volume["name"] for volume in declined["spec"].get("volumes", [])] == []
    assert declined["metadata"]["annotations"] == {f"{PREFIX}inject": "false"}


@pytest.mark.usefixtures("webhook_configuration")
@pytest.mark.parametrize("excluded", ["kube-system", OWN_NAMESPACE])
def test_excluded_namespaces_are_not_called(
    control_plane: ControlPlane,
    webhook: WebhookServer,
    excluded: str,
) -> None:
    """The webhook's own Pods must come up while it is down."""
    made = control_plane.request("POST", "/api/v1/namespaces", {"metadata": {"name": excluded}})
    assert made.code in (201, 409)
    before = calls(control_plane, webhook)
    answer = create(control_plane, excluded, restricted(OPTED_IN))
    assert answer.code == 201
    assert "initContainers" not in answer.document["spec"]
    assert calls(control_plane, webhook) == before


@pytest.mark.usefixtures("webhook_configuration")
def test_updates_of_injected_pods_are_not_called(
    control_plane: ControlPlane,
    webhook: WebhookServer,
    namespace: str,
) -> None:
    """The kubelet and people who label a running Pod must not depend on the webhook."""
    assert create(control_plane, namespace, restricted(OPTED_IN)).code == 201
    before = calls(control_plane, webhook)
    control_plane.kubectl("-n", namespace, "label", "pod", "shop", "tier=front")
    assert calls(control_plane, webhook) == before


# --- refusal -----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("webhook_configuration")
def test_denied_pod_shows_every_sentence(control_plane: ControlPlane, namespace: str) -> None:
    wrong = restricted(OPTED_IN | {f"{PREFIX}port": "fast", f"{PREFIX}discvery": "dns"})
    answer = create(control_plane, namespace, wrong)
    assert answer.code == 422
    message = answer.message
    assert message.startswith(f'admission webhook "{OTHERS}" denied the request: ')
    assert f"{PREFIX}port" in message
    assert '"fast"' in message
    assert f"{PREFIX}discvery" in message
    assert '"discovery"' in message, "there is no hint at the right key"
    assert stored(control_plane, namespace).code == 404

    refused = control_plane.kubectl(
        "-n", namespace, "create", "-f", "-", stdin=json.dumps(wrong), check=False
    )
    assert refused.returncode == 1
    assert message in refused.stderr


@pytest.mark.usefixtures("webhook_configuration")
def test_collision_is_refused_by_the_webhook(control_plane: ControlPlane, namespace: str) -> None:
    """Its sentence names the cause; the API server's own would speak of a duplicate nobody wrote."""
    taken = restricted(OPTED_IN)
    taken["spec"]["containers"][0]["name"] = "hazelcast"
    answer = create(control_plane, namespace, taken)
    assert answer.code == 422
    assert "denied the request" in answer.message
    assert "Duplicate value" not in answer.message


@pytest.fixture
def absent_webhook(webhook: WebhookServer, webhook_configuration: dict[str, Any]) -> Iterator[None]:
    """Take the server down while its configuration stays."""
    assert webhook_configuration
    with webhook.stopped():
        yield


@pytest.mark.usefixtures("absent_webhook")
def test_without_the_server_only_annotated_pods_are_refused(
    control_plane: ControlPlane, namespace: str
) -> None:
    """Failing closed must not stop those who never asked for a member."""
    answer = create(control_plane, namespace, restricted(OPTED_IN))
    assert answer.code == 500
    assert f'failed calling webhook "{OTHERS}"' in answer.message
    answer = create(control_plane, namespace, restricted({}, labels=LABELLED))
    assert answer.code == 500
    assert f'failed calling webhook "{DECISIVE}"' in answer.message
    assert stored(control_plane, namespace).code == 404
    assert create(control_plane, namespace, restricted({})).code == 201


# --- Pod Security ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("webhook_configuration")
@pytest.mark.parametrize("native", ["true", "false"])
def test_injected_pod_passes_restricted(
    control_plane: ControlPlane,
    restricted_namespace: str,
    native: str,
) -> None:
    """Enforcement looks at the Pod after mutation, so it judges the member too."""
    annotated = restricted(OPTED_IN | {f"{PREFIX}native-sidecar": native})
    answer = create(control_plane, restricted_namespace, annotated)
    assert answer.code == 201, answer.message
    assert stored(control_plane, restricted_namespace).code == 200


@pytest.mark.usefixtures("webhook_configuration")
def test_restricted_refuses_the_member_without_its_security_context(
    control_plane: ControlPlane,
    restricted_namespace: str,
) -> None:
    """What the enforcement accepts, it refuses when the member alone is less careful.

    The Pod goes past the webhook, which would have its say about a Pod of ours.
    """
    made = create(control_plane, restricted_namespace, restricted(OPTED_IN), "&dryRun=All").document
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "shop"}, "spec": made["spec"]}
    assert create(control_plane, restricted_namespace, body, "&dryRun=All").code == 201

    del named(body["spec"]["initContainers"], "hazelcast")["securityContext"]
    answer = create(control_plane, restricted_namespace, body)
    assert answer.code == 403
    assert 'violates PodSecurity "restricted:latest"' in answer.message
    assert 'container "hazelcast"' in answer.message


# --- the manifests -----------------------------------------------------------------------------------------


def complaints(control_plane: ControlPlane, objects: list[dict[str, Any]]) -> list[str]:
    """Let the API server judge objects as `kubectl apply` would store them, without storing them.

    Only their namespaces are made, because a dry run makes none for the objects after it.
    """
    for found in objects:
        if found["kind"] == "Namespace":
            assert apply_strictly(control_plane, [found]) == []
    return apply_strictly(control_plane, objects, "--dry-run=server")


def built(control_plane: ControlPlane, manifests: Path, folder: str) -> list[dict[str, Any]]:
    """Render a kustomization; a component on top of the base, which it changes."""
    if not folder.startswith("components/"):
        return rendered(control_plane, manifests / folder)
    whole = manifests / folder.replace("/", "-")
    whole.mkdir(exist_ok=True)
    (whole / "kustomization.yaml").write_text(
        json.dumps({"resources": ["../base"], "components": [f"../{folder}"]}), encoding="utf-8"
    )
    return rendered(control_plane, whole)


def test_only_what_a_component_is_for_changes(control_plane: ControlPlane, manifests: Path) -> None:
    base = rendered(control_plane, manifests / "base")
    changed = {
        folder: {
            (found["kind"], found["metadata"]["name"])
            for found in built(control_plane, manifests, f"components/{folder}")
            if found not in base
        }
        for folder in ("api-servers-only", "chosen-namespaces", "client-certificates")
    }
    assert changed == {
        "api-servers-only": {("NetworkPolicy", OWN_NAMESPACE)},
        "chosen-namespaces": {("MutatingWebhookConfiguration", OWN_NAMESPACE)},
        "client-certificates": {("Deployment", OWN_NAMESPACE)},
    }


def test_every_webhook_is_for_chosen_namespaces(control_plane: ControlPlane, manifests: Path) -> None:
    """What a namespace's labels decide costs Pods of all others nothing."""
    base, chosen = (
        next(found for found in objects if found["kind"] == "MutatingWebhookConfiguration")["webhooks"]
        for objects in (
            rendered(control_plane, manifests / "base"),
            built(control_plane, manifests, "components/chosen-namespaces"),
        )
    )
    wanted = {"key": f"{PREFIX}injection", "operator": "In", "values": ["enabled"]}
    for before, after in zip(base, chosen, strict=True):
        before["namespaceSelector"]["matchExpressions"].append(wanted)
        assert after == before


def test_there_are_kustomizations_to_check() -> None:
    assert {"base", "demo", "overlays/cert-manager", "overlays/dev"} <= set(KUSTOMIZATIONS)


@pytest.mark.parametrize("folder", KUSTOMIZATIONS)
def test_manifests_pass_strict_validation(control_plane: ControlPlane, manifests: Path, folder: str) -> None:
    """Strict: unknown and duplicate fields, and whatever the API server would only warn about, are errors.

    Kinds of cert-manager and of Prometheus' operator are left out: the API server has never heard of them.
    """
    objects = [
        found
        for found in built(control_plane, manifests, folder)
        if not found["apiVersion"].startswith(("cert-manager.io/", "monitoring.coreos.com/"))
    ]
    assert objects
    good_news = "Warning: injected: each Pod gets a Hazelcast member"
    said = complaints(control_plane, objects)
    assert [complaint for complaint in said if not complaint.startswith(good_news)] == []


def test_a_misspelt_field_does_not_pass(control_plane: ControlPlane, manifests: Path) -> None:
    objects = rendered(control_plane, manifests / "base")
    deployment = next(found for found in objects if found["kind"] == "Deployment")
    deployment["spec"]["template"]["spec"]["automountServiceAcountToken"] = False
    (complaint,) = complaints(control_plane, objects)
    assert "automountServiceAcountToken" in complaint
