"""Annotations on workloads: what the API server stores, whoever writes them and with whatever command.

No kube-controller-manager runs, so what a workload's controller would do with its template stays undone; the
`generation` says whether there is anything new for it to do.
"""

import json
import time
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import yaml

from hazelcast_sidecar.injection.reviewer import Reviewer
from hazelcast_sidecar.names import COPIED
from tests.harness.control_plane import ControlPlane
from tests.harness.reviews import patched, response_in, review_of
from tests.harness.shipped_manifests import ACTIVE_SECONDS, apply_strictly, wait_until_called
from tests.harness.webhook_server import WebhookServer
from tests.harness.workloads import deployment, template

pytestmark = [pytest.mark.apiserver, pytest.mark.usefixtures("webhook_configuration")]

PREFIX = "sidecar.hazelcast.com/"
INJECT = f"{PREFIX}inject"
OPTED_IN = {INJECT: "true"}


class Kubectl:
    """kubectl in one namespace, as a person uses it."""

    def __init__(self, control_plane: ControlPlane, namespace: str) -> None:
        self._control_plane, self._namespace = control_plane, namespace

    def __call__(self, *arguments: str, stdin: Any = None) -> str:
        """Run it, and return what it warned of or complained about."""
        text = None if stdin is None else yaml.safe_dump(stdin)
        given = ["-n", self._namespace, *arguments]
        return self._control_plane.kubectl(*given, stdin=text, check=False).stderr

    def apply(self, obj: dict[str, Any], *options: str) -> str:
        return self("apply", *options, "-f", "-", stdin=obj)

    def replace(self, obj: dict[str, Any]) -> str:
        return self("replace", "-f", "-", stdin=obj)

    def annotate(self, *annotations: str, name: str = "deployment/shop") -> str:
        return self("annotate", "--overwrite", name, *annotations)

    def get(self, name: str = "deployment/shop") -> dict[str, Any]:
        arguments = ["-n", self._namespace, "get", name, "-o", "json", "--show-managed-fields"]
        return dict(json.loads(self._control_plane.kubectl(*arguments).stdout))

    def label_of_template(self, name: str = "deployment/shop") -> str | None:
        """Read our label on the Pod template."""
        spec = self.get(name)["spec"]
        spec = spec["jobTemplate"]["spec"] if "jobTemplate" in spec else spec
        found: str | None = spec["template"]["metadata"].get("labels", {}).get(INJECT)
        return found

    def of_template(self, name: str = "deployment/shop") -> dict[str, str]:
        """Read our annotations on the Pod template."""
        spec = self.get(name)["spec"]
        spec = spec["jobTemplate"]["spec"] if "jobTemplate" in spec else spec
        given = spec["template"]["metadata"].get("annotations") or {}
        return {key: value for key, value in given.items() if key.startswith(PREFIX)}


@pytest.fixture
def kubectl(control_plane: ControlPlane, namespace: str) -> Kubectl:
    return Kubectl(control_plane, namespace)


# --- annotate is enough ------------------------------------------------------------------------------------


def test_annotating_a_deployment_rolls_it_out_changing_a_value_again_and_taking_it_away_too(
    kubectl: Kubectl,
) -> None:
    assert kubectl("create", "deployment", "shop", "--image=shop:1") == ""
    assert kubectl.of_template() == {}

    assert 'group "shop", cluster "dev"' in kubectl.annotate(f"{INJECT}=true")
    assert kubectl.of_template() == OPTED_IN
    assert kubectl.label_of_template() == "true"

    assert 'cluster "shops"' in kubectl.annotate(f"{PREFIX}cluster-name=shops")
    assert kubectl.of_template() == OPTED_IN | {f"{PREFIX}cluster-name": "shops"}

    said = kubectl.annotate(f"{INJECT}-")
    assert "have no Hazelcast members" in said
    assert f"{PREFIX}cluster-name is set, {INJECT} is not" in said
    assert kubectl.of_template() == {}
    assert kubectl.label_of_template() is None

    assert kubectl.annotate(f"{PREFIX}cluster-name-") == ""
    assert not [key for key in kubectl.get()["metadata"].get("annotations", {}) if key.startswith(PREFIX)]


def test_declining_takes_the_members_out_as_well(kubectl: Kubectl) -> None:
    kubectl.apply(deployment(OPTED_IN))
    kubectl.annotate(f"{INJECT}=false")
    assert kubectl.of_template() == {}


WORKLOADS: dict[str, dict[str, Any]] = {
    "statefulset": {"apiVersion": "apps/v1", "kind": "StatefulSet", "spec": {"serviceName": "shop"}},
    "daemonset": {"apiVersion": "apps/v1", "kind": "DaemonSet", "spec": {}},
    "replicaset": {"apiVersion": "apps/v1", "kind": "ReplicaSet", "spec": {}},
}


@pytest.mark.parametrize("kind", WORKLOADS)
def test_every_kind_of_workload_can_be_annotated(kubectl: Kubectl, kind: str) -> None:
    spec = {"selector": {"matchLabels": {"app": "shop"}}, "template": template(), **WORKLOADS[kind]["spec"]}
    kubectl.apply({**WORKLOADS[kind], "metadata": {"name": "shop"}, "spec": spec})
    assert "each Pod gets a Hazelcast member" in kubectl.annotate(f"{INJECT}=true", name=f"{kind}/shop")
    assert kubectl.of_template(f"{kind}/shop") == OPTED_IN
    assert kubectl.label_of_template(f"{kind}/shop") == "true"


def job(annotations: dict[str, str], **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "shop", "annotations": annotations, **metadata},
        "spec": {"template": template(restartPolicy="Never")},
    }


def test_a_cron_job_hands_its_annotations_to_its_jobs_pods(kubectl: Kubectl) -> None:
    of_job = {"spec": job({})["spec"]}
    cron_job = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "shop"},
        "spec": {"schedule": "0 3 * * *", "jobTemplate": of_job},
    }
    kubectl.apply(cron_job)
    assert "a cluster of their own" in kubectl.annotate(f"{INJECT}=true", name="cronjob/shop")
    assert kubectl.of_template("cronjob/shop") == OPTED_IN
    assert kubectl.label_of_template("cronjob/shop") == "true"


def test_a_job_is_annotated_when_it_is_created_and_told_that_it_is_too_late_afterwards(
    kubectl: Kubectl,
) -> None:
    assert "each Pod gets a Hazelcast member" in kubectl.apply(job(OPTED_IN))
    assert kubectl.of_template("job/shop") == OPTED_IN
    assert kubectl.label_of_template("job/shop") == "true"
    kubectl.apply(job({}, name="late"))
    said = kubectl.annotate(f"{INJECT}=true", name="job/late")
    assert said == "Warning: a Job's Pod template is immutable; delete and recreate the Job\n"
    assert kubectl.of_template("job/late") == {}


def test_what_a_deployment_makes_is_left_alone(
    kubectl: Kubectl, control_plane: ControlPlane, webhook: WebhookServer, namespace: str
) -> None:
    """A ReplicaSet has the annotations of its Deployment; a rollout back must find its template as it was."""
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop", "uid": "1", "controller": True}
    body = {
        "metadata": {"name": "shop-1", "annotations": OPTED_IN, "ownerReferences": [owner]},
        "spec": {"selector": {"matchLabels": {"app": "shop"}}, "template": template()},
    }
    before = webhook.answered()
    path = f"/apis/apps/v1/namespaces/{namespace}/replicasets"
    answer = control_plane.request("POST", path, body)
    assert answer.code == 201, answer.message
    assert kubectl.of_template("replicaset/shop-1") == {}
    assert webhook.answered() == before


# --- no endless rollouts -----------------------------------------------------------------------------------

Write = Callable[[Kubectl, dict[str, Any]], str]
ROUNDS = 3
"""Each leaves all as the one before it did, whoever wrote what included; so do all that could follow."""
APPLIERS: dict[str, Write] = {
    "client-side apply": lambda kubectl, obj: kubectl.apply(obj),
    "server-side apply": lambda kubectl, obj: kubectl.apply(obj, "--server-side", "--force-conflicts"),
    "replace": lambda kubectl, obj: kubectl.replace(obj),
}
MANIFESTS = {
    "on-the-deployment": deployment(OPTED_IN | {f"{PREFIX}group": "shops"}),
    "on-the-template": deployment(None, OPTED_IN),
    "on-both": deployment(OPTED_IN, OPTED_IN),
    "contradicting": deployment(OPTED_IN | {f"{PREFIX}group": "a"}, {f"{PREFIX}group": "b"}),
    "on-a-template-that-has-some": deployment(OPTED_IN, {"example.com/note": "x"}),
}


@pytest.mark.parametrize("write", APPLIERS.values(), ids=APPLIERS)
def test_a_manifest_applied_again_and_again_rolls_out_once(kubectl: Kubectl, write: Write) -> None:
    """All in one file, as kubectl takes longer to start than to apply them."""
    items = [{**obj, "metadata": {**obj["metadata"], "name": name}} for name, obj in MANIFESTS.items()]
    manifest = {"apiVersion": "v1", "kind": "List", "items": items}
    kubectl("create", "-f", "-", stdin=manifest)
    created = stored(kubectl)
    write(kubectl, manifest)  # its first time: kubectl notes what it applied, in an annotation
    before = stored(kubectl)
    after = before
    for _ in range(ROUNDS):
        write(kubectl, manifest)
        last, after = after, stored(kubectl)
        assert without_times(after) == without_times(last)
    assert created.keys() == before.keys() == after.keys() == MANIFESTS.keys()
    for name in MANIFESTS:
        assert before[name]["spec"] == created[name]["spec"]
        assert after[name]["spec"] == before[name]["spec"]
        assert after[name]["metadata"]["generation"] == before[name]["metadata"]["generation"]
        assert after[name]["spec"]["template"]["metadata"]["annotations"][INJECT] == "true"
        assert after[name]["spec"]["template"]["metadata"]["labels"][INJECT] == "true"


def injected_before() -> list[dict[str, Any]]:
    """Return what the manifests are as an earlier release stored them: with copies, and without the label.

    A label of their own keeps the webhook from being asked about them.
    """
    made = []
    for name, obj in MANIFESTS.items():
        review = review_of(obj, kind={"group": "apps", "version": "v1", "kind": "Deployment"})
        response = response_in(Reviewer().review_workload(json.dumps(review).encode()))
        stored = patched({**obj, "metadata": {**obj["metadata"], "name": name}}, response)
        stored["metadata"]["labels"] = UNASKED
        del stored["spec"]["template"]["metadata"]["labels"][INJECT]
        record = json.loads(stored["metadata"]["annotations"].pop(COPIED))
        del record["label"]
        if record:
            stored["metadata"]["annotations"][COPIED] = json.dumps(record, separators=(",", ":"))
        made.append(stored)
    return made


UNASKED = {"pod-template-hash": "5d4f9c"}


@pytest.mark.parametrize("write", APPLIERS.values(), ids=APPLIERS)
def test_what_was_injected_without_the_label_does_not_roll_out_for_it(kubectl: Kubectl, write: Write) -> None:
    """Whoever writes it, and whatever is written; the next rollout that is asked for brings the label."""
    kubectl("create", "-f", "-", stdin={"apiVersion": "v1", "kind": "List", "items": injected_before()})
    created = stored(kubectl)
    assert created.keys() == MANIFESTS.keys()
    kubectl("label", "deployments", "--all", "pod-template-hash-")
    items = [{**obj, "metadata": {**obj["metadata"], "name": name}} for name, obj in MANIFESTS.items()]
    manifest = {"apiVersion": "v1", "kind": "List", "items": items}
    write(kubectl, manifest)  # its first time, as above: a change of annotations moves the generation, too
    before = stored(kubectl)
    for number in range(ROUNDS):
        write(kubectl, manifest)
        kubectl("label", "--overwrite", "deployments", "--all", f"example.com/note={number}")
    after = stored(kubectl)
    for name in MANIFESTS:
        assert after[name]["spec"] == before[name]["spec"] == created[name]["spec"]
        assert after[name]["metadata"]["generation"] == before[name]["metadata"]["generation"]
        assert INJECT not in after[name]["spec"]["template"]["metadata"]["labels"]

    kubectl("rollout", "restart", *(f"deployment/{name}" for name in MANIFESTS))
    restarted = stored(kubectl)
    write(kubectl, manifest)
    last = stored(kubectl)
    for name in MANIFESTS:
        assert restarted[name]["metadata"]["generation"] == after[name]["metadata"]["generation"] + 1
        assert restarted[name]["spec"]["template"]["metadata"]["labels"][INJECT] == "true"
        if write is not APPLIERS["replace"]:  # which takes the annotation of the restart away, and rolls out
            assert last[name]["spec"] == restarted[name]["spec"]
        assert last[name]["spec"]["template"]["metadata"]["labels"][INJECT] == "true"


def test_the_label_is_taken_away_with_the_annotation_and_a_users_stays(kubectl: Kubectl) -> None:
    kubectl.apply(deployment(None, OPTED_IN))
    assert kubectl.label_of_template() == "true"
    kubectl.apply(deployment(None, {}))
    assert kubectl.label_of_template() is None

    own = deployment(None, OPTED_IN)
    own["spec"]["template"]["metadata"]["labels"] |= OPTED_IN
    kubectl.apply(own, "--server-side", "--force-conflicts")
    del own["spec"]["template"]["metadata"]["annotations"]
    kubectl.apply(own, "--server-side", "--force-conflicts")
    assert kubectl.of_template() == {}
    assert kubectl.label_of_template() == "true"


def stored(kubectl: Kubectl) -> dict[str, dict[str, Any]]:
    """Read the Deployments of the namespace, by name."""
    return {found["metadata"]["name"]: found for found in kubectl.get("deployments")["items"]}


def without_times(found: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Leave out of objects what changes though nothing does: when each was written, and its version."""
    same = deepcopy(found)
    for obj in same.values():
        del obj["metadata"]["resourceVersion"]
        for entry in obj["metadata"]["managedFields"]:
            entry.pop("time", None)
    return same


@pytest.mark.parametrize("write", APPLIERS.values(), ids=APPLIERS)
def test_an_annotated_deployment_keeps_its_members_when_its_manifest_without_them_is_applied(
    kubectl: Kubectl, write: Write
) -> None:
    """Annotated once, with a pipeline that goes on applying: only `replace` takes away what it lacks."""
    kubectl.apply(deployment(), *(["--server-side"] if write is APPLIERS["server-side apply"] else []))
    kubectl.annotate(f"{INJECT}=true")
    spec = kubectl.get()["spec"]
    write(kubectl, deployment())
    if write is APPLIERS["replace"]:
        assert kubectl.of_template() == {}
    else:
        assert kubectl.get()["spec"] == spec


# --- what somebody wrote on the template -------------------------------------------------------------------


def test_the_template_wins_and_the_contradiction_is_told(kubectl: Kubectl) -> None:
    said = kubectl.apply(deployment(OPTED_IN | {f"{PREFIX}port": "6001"}, {f"{PREFIX}port": "6002"}))
    assert f'{PREFIX}port is "6001" on the Deployment and "6002" on its Pod template' in said
    assert kubectl.of_template() == OPTED_IN | {f"{PREFIX}port": "6002"}
    kubectl.annotate(f"{PREFIX}port-")
    assert kubectl.of_template() == OPTED_IN | {f"{PREFIX}port": "6002"}
    kubectl.annotate(f"{INJECT}-")
    assert kubectl.of_template() == {f"{PREFIX}port": "6002"}


@pytest.mark.parametrize("options", [[], ["--server-side"]], ids=["client-side", "server-side"])
def test_an_annotation_that_moves_from_the_deployment_to_its_template_costs_no_rollout(
    kubectl: Kubectl, options: list[str]
) -> None:
    """Otherwise the members would go, and with them what they hold, to come back with the next apply."""
    kubectl.apply(deployment(OPTED_IN), *options)
    spec = kubectl.get()["spec"]
    kubectl.apply(deployment(None, OPTED_IN), *options)
    assert INJECT not in kubectl.get()["metadata"].get("annotations", {})
    assert kubectl.get()["spec"] == spec
    assert kubectl.of_template() == OPTED_IN
    kubectl.apply(deployment(None, {}), *options)
    assert kubectl.of_template() == {}


def test_what_the_webhook_adds_belongs_to_nobody(kubectl: Kubectl) -> None:
    """The ground on which the copies are told from what somebody wrote."""
    kubectl.apply(deployment())
    kubectl.annotate(f"{INJECT}=true")
    kubectl("scale", "deployment/shop", "--replicas=3")
    kubectl("set", "image", "deployment/shop", "app=shop:2")
    assert kubectl.of_template() == OPTED_IN
    for entry in kubectl.get()["metadata"]["managedFields"]:
        of_template = entry["fieldsV1"].get("f:spec", {}).get("f:template", {}).get("f:metadata", {})
        assert f"f:{INJECT}" not in of_template.get("f:annotations", {}), entry["manager"]


# --- mistakes ----------------------------------------------------------------------------------------------


def test_a_mistake_is_told_to_whoever_makes_it(kubectl: Kubectl) -> None:
    kubectl.apply(deployment())
    said = kubectl.annotate(f"{INJECT}=true", f"{PREFIX}prot=6000")
    assert "denied the request: Deployment shop: " in said
    assert f'{PREFIX}prot: no such annotation (did you mean "port"?)' in said
    assert kubectl.of_template() == {}
    said = kubectl.apply(deployment(None, {INJECT: "yes"}))
    assert f'{INJECT}: "yes" is none of "true", "false"' in said


def test_a_collision_names_the_place_in_the_workload(kubectl: Kubectl) -> None:
    taken = deployment(OPTED_IN)
    taken["spec"]["template"]["spec"]["containers"][0]["ports"] = [{"containerPort": 5701}]
    said = kubectl.apply(taken)
    assert 'spec.template.spec.containers[0]: container "app" declares port 5701' in said


@pytest.fixture
def broken(
    control_plane: ControlPlane,
    webhook: WebhookServer,
    webhook_configuration: dict[str, Any],
    kubectl: Kubectl,
) -> dict[str, Any]:
    """Store a Deployment that was written before the webhook was installed."""
    path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/hazelcast-sidecar-injector"
    assert control_plane.request("DELETE", path).code == 200
    written = deployment(None, {INJECT: "yes"})
    until_stored = time.monotonic() + ACTIVE_SECONDS
    while "denied" in kubectl.apply(written):
        assert time.monotonic() < until_stored
    assert apply_strictly(control_plane, [webhook_configuration]) == []
    wait_until_called(control_plane, webhook)
    return written


def test_a_workload_that_was_no_better_before_can_still_be_labelled_and_mended(
    kubectl: Kubectl, broken: dict[str, Any]
) -> None:
    said = kubectl("label", "deployment/shop", "tier=front")
    assert said.startswith("Warning: no Pod can be created: ")
    assert kubectl.get()["metadata"]["labels"] == {"tier": "front"}
    worse = deepcopy(broken)
    worse["spec"]["template"]["metadata"]["annotations"][f"{PREFIX}port"] = "x"
    assert "denied the request" in kubectl.apply(worse)
    assert "each Pod gets a Hazelcast member" in kubectl.apply(deployment(None, OPTED_IN))


def test_without_the_server_a_workload_can_still_be_deleted_and_others_written(
    kubectl: Kubectl, webhook: WebhookServer
) -> None:
    held = deployment(OPTED_IN)
    held["metadata"]["finalizers"] = ["example.com/held"]
    kubectl.apply(held)
    other = deployment()
    other["metadata"]["name"] = "other"
    with webhook.stopped():
        assert "failed calling webhook" in kubectl.annotate("note=x")
        assert kubectl("delete", "deployment/shop", "--wait=false") == ""
        assert (
            kubectl("patch", "deployment/shop", "--type=merge", '-p={"metadata":{"finalizers":null}}') == ""
        )
        assert "NotFound" in kubectl("get", "deployment/shop")
        assert kubectl.apply(other) == ""
        assert kubectl.annotate("note=x", name="deployment/other") == ""


# --- warnings ----------------------------------------------------------------------------------------------


def test_what_deserves_a_word_is_told(kubectl: Kubectl) -> None:
    risky = deployment(OPTED_IN | {f"{PREFIX}heap-percentage": "80"}, replicas=200)
    risky["spec"]["strategy"] = {"type": "Recreate"}
    said = kubectl.apply(risky)
    for sentence in ("200 replicas", "strategy Recreate", "left beside the member's heap"):
        assert sentence in said
    assert kubectl("scale", "deployment/shop", "--replicas=3") == ""
