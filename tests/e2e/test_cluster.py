"""The main job on a real cluster: annotate, get a Hazelcast cluster, use it."""

from __future__ import annotations

import base64
import contextlib
import copy
import itertools
import json
import re
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509

from hazelcast_sidecar.certificates import KeyPair, flaw
from tests.e2e.conftest import CONTROLLER, INJECTOR
from tests.e2e.http_client import Entrance, api_proxy, front_door, replica
from tests.e2e.kubectl import KubectlError, agree_on, container_statuses, find, until
from tests.e2e.replicas import DEMO_PODS
from tests.e2e.workloads import DEMO, first_pod

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.conftest import Images, Sightings
    from tests.e2e.kubectl import Kubectl

pytestmark = pytest.mark.e2e

PREFIX = "sidecar.hazelcast.com/"
# The application logs the list in one line, a member in one line for each entry and a bracket at the end.
MEMBER_LIST = re.compile(r"Members \{size:[^[]+\[(?:.+\]$|\n(?:.+\n)+?\])", re.MULTILINE)


@pytest.fixture(scope="module")
def api(demo: Kubectl) -> Iterator[Entrance]:
    with api_proxy(demo) as entrance:
        yield entrance


@pytest.fixture(scope="module")
def door(demo: Kubectl, api: Entrance, sightings: Sightings) -> Entrance:
    found = front_door(demo, "demo", api)
    sightings.note("the demo's front door", str(found))
    return found


def certificates(webhook: Kubectl) -> tuple[list[bytes], bytes, KeyPair]:
    """The caBundles, the bundle beside the leaf, and the leaf."""
    configuration = webhook.read("mutatingwebhookconfiguration", INJECTOR)
    data = {k: base64.b64decode(v) for k, v in webhook.read("secret", f"{INJECTOR}-tls")["data"].items()}
    bundles = [base64.b64decode(w["clientConfig"].get("caBundle", "")) for w in configuration["webhooks"]]
    return bundles, data["ca.crt"], KeyPair(data["tls.crt"], data["tls.key"])


def test_nobody_made_the_certificates_by_hand(
    webhook: Kubectl, webhook_manifests: list[dict[str, Any]]
) -> None:
    assert "Secret" not in {document["kind"] for document in webhook_manifests}
    configuration = find(webhook_manifests, "MutatingWebhookConfiguration", INJECTOR)
    assert not any("caBundle" in w["clientConfig"] for w in configuration["webhooks"])
    bundles, bundle, leaf = certificates(webhook)
    assert set(bundles) == {bundle}
    assert flaw(leaf, bundle, [f"{INJECTOR}.{INJECTOR}.svc"], datetime.now(UTC)) is None


def test_two_webhook_replicas_are_ready_without_credentials(webhook: Kubectl) -> None:
    pods = webhook.read("pods", "--selector=app.kubernetes.io/component=webhook")["items"]
    statuses = [pod["status"]["containerStatuses"][0] for pod in pods]
    assert [(s["ready"], s["restartCount"]) for s in statuses] == [(True, 0)] * 2
    for pod in pods:
        mounted = {m["mountPath"] for c in pod["spec"]["containers"] for m in c["volumeMounts"]}
        assert mounted == {"/etc/webhook/tls", "/etc/webhook/settings"}, "no token of the cluster"


def test_two_controller_replicas_are_ready_and_one_leads(webhook: Kubectl, sightings: Sightings) -> None:
    pods = webhook.read("pods", "--selector=app.kubernetes.io/component=controller")["items"]
    statuses = [pod["status"]["containerStatuses"][0] for pod in pods]
    assert [(s["ready"], s["restartCount"]) for s in statuses] == [(True, 0)] * 2
    holder = until(30, "one leads", lambda: webhook.read("lease", CONTROLLER)["spec"].get("holderIdentity"))
    assert holder in [pod["metadata"]["name"] for pod in pods]
    sightings.note(f"kubectl -n {INJECTOR} get lease", webhook("get", "lease"))


def test_the_controller_made_what_the_demo_needs(demo: Kubectl, sightings: Sightings) -> None:
    """Nobody applied it: the demo's manifests have an application and its annotation."""
    kinds = ("ConfigMap", "Service", "PodDisruptionBudget")
    assert kept(demo, "demo") == [f"{kind}/hazelcast-demo" for kind in kinds]
    sightings.note(f"kubectl -n {DEMO} get {KEPT}", demo("get", KEPT))


def test_kubectl_get_pods_shows_two_of_two_ready(demo: Kubectl, sightings: Sightings) -> None:
    sightings.note(f"kubectl -n {DEMO} get pods", demo("get", "pods"))
    lines = demo.ready(DEMO_PODS).splitlines()
    assert [line.split()[1] for line in lines] == ["2/2", "2/2"]


def test_members_and_applications_log_a_cluster_of_two(demo: Kubectl, sightings: Sightings) -> None:
    pods = agree_on(demo, DEMO_PODS, "hazelcast", 2)
    agree_on(demo, DEMO_PODS, "app", 2)
    for container in ("hazelcast", "app"):
        logged = MEMBER_LIST.findall(demo("logs", pods[0], f"--container={container}"))
        sightings.note(f"kubectl logs {pods[0]} -c {container}", logged[-1])


def test_an_entry_put_through_one_replica_is_read_through_the_other(
    demo: Kubectl, api: Entrance, sightings: Sightings
) -> None:
    first, second = (replica(api, pod) for pod in demo.pods(DEMO_PODS))
    local = [json.loads(one.get("/members"))["local"] for one in (first, second)]
    assert local[0] != local[1], "each application talks to the member beside it"
    assert first.get("/put", key="someKey", value="someValue") == ""
    assert second.get("/get", key="someKey") == "someValue"
    assert second.get("/put", key="someKey", value="other") == "someValue"
    assert first.get("/get", key="someKey") == "other"
    sightings.note("put through one replica, read through the other", f"{local[0]} <-> {local[1]}")


def test_the_node_port_leads_to_both_replicas(door: Entrance, sightings: Sightings) -> None:
    assert door.get("/put", key="through the door", value="a & b = ü") == ""
    reached: Counter[str] = Counter()

    def both_reached() -> bool:
        assert door.get("/get", key="through the door") == "a & b = ü"
        reached[json.loads(door.get("/members"))["local"]] += 1
        return len(reached) == 2

    until(60, "the front door leads to both replicas", both_reached)
    sightings.note("requests through the front door", json.dumps(reached))


def pod_like_the_demo(
    manifests: list[dict[str, Any]], name: str, given: dict[str, str], command: list[str]
) -> dict[str, Any]:
    """A Pod of its own with the demo's container and the given annotations."""
    template = copy.deepcopy(find(manifests, "Deployment", "demo")["spec"]["template"])
    container = template["spec"]["containers"][0]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        del container[probe]
    container["command"] = command
    template["spec"]["restartPolicy"] = "Never"
    metadata = {"name": name, "labels": {"app": name}, "annotations": given}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def test_a_denied_pod_shows_every_problem_in_one_sentence(
    demo: Kubectl, demo_manifests: list[dict[str, Any]], sightings: Sightings
) -> None:
    given = {f"{PREFIX}inject": "true", f"{PREFIX}prot": "5701", f"{PREFIX}heap-percentage": "much"}
    pod = pod_like_the_demo(demo_manifests, "denied", given, ["true"])
    with pytest.raises(KubectlError) as denied:
        demo.apply(pod)
    sentence = str(denied.value).split(": ", 1)[1]
    sightings.note("kubectl apply of a Pod with wrong annotations", sentence)
    assert "pods.sidecar.hazelcast.com" in sentence
    for part in (f"{PREFIX}prot", 'did you mean "port"', f"{PREFIX}heap-percentage", '"much"'):
        assert part in sentence
    assert demo.pods("app=denied") == []


def test_a_pod_without_annotations_is_left_alone(demo: Kubectl, demo_manifests: list[dict[str, Any]]) -> None:
    demo.apply(pod_like_the_demo(demo_manifests, "plain", {}, ["true"]))
    pod = demo.read("pod", "plain")
    spec = pod["spec"]
    assert [c["name"] for c in spec["containers"]] == ["app"]
    assert "env" not in spec["containers"][0]
    assert not {"initContainers", "volumes"} & spec.keys()
    assert PREFIX not in json.dumps(pod["metadata"])
    assert pod["metadata"]["labels"] == {"app": "plain"}
    until(60, "the Pod ran", lambda: demo.read("pod", "plain")["status"]["phase"] == "Succeeded")


KEPT = "configmap,service,poddisruptionbudget,networkpolicy,rolebinding"


def kept(kubectl: Kubectl, group: str) -> list[str]:
    """What the controller keeps for a group, as kind/name."""
    objects = kubectl.read(KEPT, f"--selector={PREFIX}group={group}")["items"]
    return [f"{found['kind']}/{found['metadata']['name']}" for found in objects]


def applied_count(webhook: Kubectl, group: str) -> int:
    """How often the controller's replicas say that they wrote an object of a group."""
    logs = [
        webhook("logs", pod, "--container=controller").splitlines()
        for pod in webhook.pods("app.kubernetes.io/component=controller")
    ]
    lines = [json.loads(line) for log in logs for line in log]
    return len([line for line in lines if line["message"] == "applied" and line.get("group") == group])


def expect_garbage_collected(
    demo: Kubectl, webhook: Kubectl, group: str, workload: str, sightings: Sightings
) -> None:
    """Delete a workload: what the controller made for it goes too, and does not come back meanwhile."""
    before = applied_count(webhook, group)
    objects = kept(demo, group)
    started = time.monotonic()
    demo("delete", workload, "--wait=false")
    until(
        120, f"no Pod of {group}", lambda: not demo.read("pods", f"--selector={PREFIX}group={group}")["items"]
    )
    pods_gone = time.monotonic() - started
    until(60, f"nothing is left of {group}", lambda: not kept(demo, group))
    sightings.note(
        f"kubectl delete {workload}",
        f"Pods gone after {pods_gone:.1f} s, {', '.join(objects)} after {time.monotonic() - started:.1f} s",
    )
    time.sleep(3)
    assert kept(demo, group) == []
    # A Pod that is going wants nothing more: else the controller and the garbage collector play ping-pong for
    # as long as Pods take to end. Once is possible, where objects go long before their Pods are told to.
    assert applied_count(webhook, group) <= before + len(objects)


def test_discovery_by_the_kubernetes_api_forms_a_cluster_of_its_own(
    demo: Kubectl, webhook: Kubectl, demo_manifests: list[dict[str, Any]], sightings: Sightings
) -> None:
    """It has what the RoleBinding of its group gives and no more, and never meets the demo's members.

    Neither the Pod nor its ServiceAccount mounts a token.
    """
    name, given = "demo-api", {f"{PREFIX}inject": "true", f"{PREFIX}discovery": "api"}
    deployment = copy.deepcopy(find(demo_manifests, "Deployment", "demo"))
    labels = {"app.kubernetes.io/name": name}
    deployment["metadata"] = {"name": name, "namespace": DEMO}
    deployment["spec"]["selector"]["matchLabels"] = labels
    template = deployment["spec"]["template"]
    template["metadata"] = {"labels": labels, "annotations": given}
    template["spec"].pop("automountServiceAccountToken", None)
    template["spec"]["serviceAccountName"] = name
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": name, "namespace": DEMO},
        "automountServiceAccountToken": False,
    }
    demo.apply(account)
    started = time.monotonic()
    demo.apply(deployment)
    demo.rolled_out(f"deployment/{name}")
    pods = agree_on(demo, f"app.kubernetes.io/name={name}", "hazelcast", 2)
    agree_on(demo, DEMO_PODS, "hazelcast", 2, seconds=5)
    log = "".join(demo("logs", pod, "--container=hazelcast") for pod in pods)
    sightings.note(
        "a Deployment with discovery by the API",
        f"{demo.ready(f'app.kubernetes.io/name={name}')}\n"
        f"one cluster {time.monotonic() - started:.1f} s after kubectl apply\n{MEMBER_LIST.findall(log)[-1]}",
    )
    assert "forbidden" not in log.lower(), "without its RoleBinding a member starts alone, and only warns"
    assert kept(demo, name) == [f"{kind}/hazelcast-{name}" for kind in ("ConfigMap", "RoleBinding")]
    expect_garbage_collected(demo, webhook, name, f"deployment/{name}", sightings)


USE_THE_MEMBER = """
from hazelcast import HazelcastClient
client = HazelcastClient()
entries = client.get_map("map").blocking()
entries.put("job", "done")
print("read back:", entries.get("job"))
client.shutdown()
"""


def test_a_job_with_a_native_sidecar_completes(
    demo: Kubectl, webhook: Kubectl, demo_manifests: list[dict[str, Any]], sightings: Sightings
) -> None:
    """The member is there before the application, needs no settings in the client, and ends with it."""
    given = {f"{PREFIX}inject": "true"}
    pod = pod_like_the_demo(demo_manifests, "once", given, ["python", "-c", USE_THE_MEMBER])
    template = {"metadata": {"labels": {"app": "once"}, "annotations": given}, "spec": pod["spec"]}
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "once", "namespace": DEMO},
        "spec": {"backoffLimit": 0, "template": template},
    }
    demo.apply(job)
    started = time.monotonic()
    demo("wait", "job/once", "--for=condition=complete", "--timeout=120s", seconds=130)
    logged = demo("logs", "job/once", "--container=app")
    sightings.note(
        "a Job with a native sidecar",
        f"{demo('get', 'pods', '--selector=app=once')}complete after {time.monotonic() - started:.1f} s; "
        f"{logged.strip().splitlines()[-1]}",
    )
    assert "read back: done" in logged
    assert kept(demo, "once") == ["ConfigMap/hazelcast-once", "Service/hazelcast-once"]
    expect_garbage_collected(demo, webhook, "once", "job/once", sightings)


REPAIR_SECONDS = 150
"""Until new certificates serve: the kubelet takes up to a minute and a half to bring a Secret to a Pod."""


REPLICAS = "app.kubernetes.io/component=webhook"


def reloads(webhook: Kubectl) -> dict[str, int]:
    """How often each replica says that it took up another certificate."""
    return {
        name: webhook("logs", name, "--container=webhook").count('"certificate reloaded"')
        for name in webhook.pods(REPLICAS)
    }


OVERLAP_SECONDS = 100
"""Between the steps of a rotation: longer than the kubelet takes to bring a Secret to a Pod."""


class Creator:
    """Creates annotated Pods that nobody schedules, and looks whether each is stored with a member.

    They belong to a ConfigMap: what the controller makes for them does too, and all go with it.
    """

    def __init__(self, demo: Kubectl, manifests: list[dict[str, Any]]) -> None:
        self.created = 0
        self.bare: list[str] = []
        self.refused: Counter[str] = Counter()
        self._demo = demo
        demo("create", "configmap", "rotation")
        owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "rotation", "controller": True}
        owner["uid"] = demo.read("configmap", "rotation")["metadata"]["uid"]
        self._pod = first_pod(manifests)
        self._pod["metadata"]["annotations"] = {f"{PREFIX}inject": "true", f"{PREFIX}group": "rotation"}
        self._pod["metadata"]["ownerReferences"] = [owner]
        self._pod["spec"]["schedulerName"] = "nobody"

    def create_until(self, stop: threading.Event) -> None:
        """Go on at a moderate pace while certificates change."""
        for number in itertools.count():
            if stop.wait(0.1):
                return
            pod = copy.deepcopy(self._pod)
            pod["metadata"]["name"] = f"rotation-{number}"
            try:
                stored = self._demo("create", "--output=json", "--filename=-", stdin=json.dumps(pod))
            except KubectlError as error:
                self.refused[str(error).rsplit(": ", 1)[-1]] += 1
                continue
            self.created += 1
            if "initContainers" not in json.loads(stored)["spec"]:
                self.bare.append(pod["metadata"]["name"])


@contextlib.contextmanager
def short_overlap(webhook: Kubectl) -> Iterator[None]:
    """Let the controller rotate faster, and take that back."""
    add = [{"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": "--overlap"}]
    add.append(add[0] | {"value": f"{OVERLAP_SECONDS}s"})
    webhook("patch", f"deployment/{CONTROLLER}", "--type=json", f"--patch={json.dumps(add)}")
    try:
        webhook.rolled_out(f"deployment/{CONTROLLER}")
        yield
    finally:
        webhook("rollout", "undo", f"deployment/{CONTROLLER}")
        webhook.rolled_out(f"deployment/{CONTROLLER}")


def test_no_pod_is_refused_while_leaf_and_authority_change(
    demo: Kubectl, webhook: Kubectl, demo_manifests: list[dict[str, Any]], sightings: Sightings
) -> None:
    """First another leaf of the same authority; then another authority, an overlap at each step."""
    creator, stop = Creator(demo, demo_manifests), threading.Event()
    background = threading.Thread(target=creator.create_until, args=(stop,))
    started = time.monotonic()
    steps: list[str] = []

    def step(what: str, seen: Callable[[], bool]) -> None:
        until(OVERLAP_SECONDS + REPAIR_SECONDS, what, seen)
        steps.append(f"{what} {time.monotonic() - started:.0f} s")

    with short_overlap(webhook):
        _, first_bundle, first_leaf = certificates(webhook)
        background.start()
        started = time.monotonic()
        try:
            webhook("delete", "secret", f"{INJECTOR}-tls")
            step("another leaf", lambda: certificates(webhook)[2] != first_leaf)
            _, _, second_leaf = certificates(webhook)
            step("served by both replicas", lambda: is_served(webhook, second_leaf))
            webhook("delete", "secret", f"{INJECTOR}-ca")
            step("two authorities", lambda: len(authorities(webhook)) == 2)
            step("a leaf of the new one", lambda: certificates(webhook)[2] != second_leaf)
            _, _, third_leaf = certificates(webhook)
            step("served by both replicas", lambda: is_served(webhook, third_leaf))
            step("the old authority is out", lambda: len(authorities(webhook)) == 1)
            time.sleep(10)
        finally:
            stop.set()
            background.join()
    assert certificates(webhook)[1] != first_bundle
    sightings.note(
        "leaf and authority replaced, while Pods are created",
        f"{creator.created} Pods stored, {len(creator.bare)} of them without a member, "
        f"{creator.refused.total()} refused {dict(creator.refused) or ''}\n" + ", ".join(steps),
    )
    demo("delete", "configmap", "rotation")
    until(
        120, "the Pods are gone", lambda: not demo.read("pods", f"--selector={PREFIX}group=rotation")["items"]
    )
    assert creator.created > OVERLAP_SECONDS
    assert creator.bare == []
    assert creator.refused == {}


def is_served(webhook: Kubectl, leaf: KeyPair) -> bool:
    """Whether it is what each replica says that it took up last."""
    expires = x509.load_pem_x509_certificate(leaf.certificate).not_valid_after_utc.isoformat()
    logs = [webhook("logs", name, "--container=webhook") for name in webhook.pods(REPLICAS)]
    taken_up = [[line for line in log.splitlines() if '"certificate reloaded"' in line] for log in logs]
    return all(lines and json.loads(lines[-1])["certificate_expires"] == expires for lines in taken_up)


def authorities(webhook: Kubectl) -> list[x509.Certificate]:
    """Whom the API server trusts; nobody while the caBundles differ."""
    bundles, _, _ = certificates(webhook)
    return x509.load_pem_x509_certificates(bundles[0]) if len({*bundles}) == 1 else []


def test_injection_comes_back_when_both_secrets_are_deleted(
    demo: Kubectl, webhook: Kubectl, demo_manifests: list[dict[str, Any]], sightings: Sightings
) -> None:
    """Every key is lost, so nothing can be handed over smoothly; but nobody has to do anything."""
    pod = first_pod(demo_manifests)
    assert "initContainers" in json.loads(demo.dry_run(pod))["spec"]
    _, old_bundle, old_leaf = certificates(webhook)
    before = reloads(webhook)
    newest = x509.load_pem_x509_certificate(old_bundle)
    created = refused = 0
    last_refusal = 0.0
    why: Counter[str] = Counter()
    webhook("delete", "secret", f"{INJECTOR}-ca", f"{INJECTOR}-tls")
    started = time.monotonic()
    made: float | None = None

    while True:
        passed = time.monotonic() - started
        try:
            assert "initContainers" in json.loads(demo.dry_run(pod))["spec"]
            created += 1
        except KubectlError as error:
            refused += 1
            last_refusal = passed
            why[str(error).rsplit(": ", 1)[-1]] += 1
        if made is None:
            with contextlib.suppress(KubectlError):
                bundles, bundle, leaf = certificates(webhook)
                if leaf != old_leaf and set(bundles) == {bundle}:
                    made = passed
        if made is not None and all(count > before[name] for name, count in reloads(webhook).items()):
            break
        assert passed < REPAIR_SECONDS, f"not in order: {dict(why)}"
        time.sleep(0.2)
    demo.dry_run(pod)
    sightings.note(
        "both Secrets deleted, while Pods are created",
        f"new ones after {made:.1f} s, served by both replicas after {time.monotonic() - started:.1f} s; "
        f"{created} Pods injected, {refused} refused (the last after {last_refusal:.1f} s) {dict(why) or ''}",
    )
    assert newest != x509.load_pem_x509_certificate(certificates(webhook)[1])


def test_nothing_was_restarted_on_the_way(demo: Kubectl, webhook: Kubectl, images: Images) -> None:
    """A probe that is too strict, or a member short of memory, shows here."""
    assert images
    restarts = {
        f"{pod['metadata']['name']}/{status['name']}": status["restartCount"]
        for kubectl in (demo, webhook)
        for pod in kubectl.read("pods")["items"]
        for status in container_statuses(pod)
    }
    assert restarts
    assert {name: count for name, count in restarts.items() if count} == {}
