"""Another webhook changes the Pod, before ours or after it: both are asked again, and nothing is doubled.

What another one removes of the member is put back, or the Pod is denied with what happened.
"""

import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests.harness.another_webhook import CONFIGURATIONS, OtherWebhook, registered, serving
from tests.harness.control_plane import Answer, ControlPlane
from tests.harness.namespaces import create_namespace
from tests.harness.pods import with_account
from tests.harness.shipped_manifests import ACTIVE_SECONDS
from tests.harness.torn import TEARS, TEARS_BY_API, in_any_order
from tests.harness.webhook_server import WebhookServer

pytestmark = pytest.mark.apiserver

PREFIX = "sidecar.hazelcast.com/"
LABELLED = {f"{PREFIX}inject": "true"}
"""As the templates of workloads that ask have it."""
ADDED = "proxy"
"""The name of everything that the other webhook adds."""


def missing(elements: list[dict[str, Any]] | None, name: str = ADDED) -> bool:
    """Whether the other webhook has not been at this list."""
    return name not in [element["name"] for element in elements or []]


def meshed(spec: dict[str, Any]) -> dict[str, Any]:
    """The spec as a service mesh wants it: one thing more in every list, in front or behind, and once."""
    made = deepcopy(spec)
    if missing(made["containers"]):
        made["containers"].append({"name": ADDED, "image": "proxy:1"})
    if missing(made.get("initContainers"), f"{ADDED}-init"):
        # In front, where ours belongs too.
        first = {"name": f"{ADDED}-init", "image": "proxy:1"}
        made["initContainers"] = [first, *made.get("initContainers", [])]
    if missing(made.get("volumes")):
        made["volumes"] = [{"name": ADDED, "emptyDir": {}}, *made.get("volumes", [])]
    for container in made["containers"] + made["initContainers"]:
        if missing(container.get("env")):
            container["env"] = [{"name": ADDED, "value": "x"}, *container.get("env", [])]
    return made


def unmeshed(spec: dict[str, Any]) -> dict[str, Any]:
    """The spec without what `meshed` adds; a list that is empty then is absent, as the API server has it."""
    left = deepcopy(spec)
    for part in ("containers", "initContainers", "volumes"):
        left[part] = [each for each in left.get(part, []) if each["name"] not in {ADDED, f"{ADDED}-init"}]
        for each in left[part]:
            each["env"] = [variable for variable in each.get("env", []) if variable["name"] != ADDED]
            if not each["env"]:
                del each["env"]
        if not left[part]:
            del left[part]
    return left


def mesh(pod: dict[str, Any]) -> None:
    """Change a Pod as a service mesh does."""
    pod["spec"] = meshed(pod["spec"])


@pytest.fixture
def other(tmp_path: Path) -> Iterator[OtherWebhook]:
    """Serve that webhook."""
    with serving(tmp_path) as server:
        server.change = mesh
        yield server


Create = Callable[..., dict[str, Any]]


@pytest.fixture
def create(control_plane: ControlPlane) -> Create:
    """Create a Pod and return its spec as it is stored."""

    def creating(
        namespace: str, annotations: dict[str, str], init_containers: list[Any], query: str = ""
    ) -> dict[str, Any]:
        spec = {"containers": [{"name": "app", "image": "shop:1"}], "initContainers": init_containers}
        metadata = {"name": "shop", "annotations": annotations, "labels": LABELLED if annotations else {}}
        body = {"metadata": metadata, "spec": spec}
        answer = control_plane.request("POST", f"/api/v1/namespaces/{namespace}/pods{query}", body)
        assert answer.code == 201, answer.message
        stored: dict[str, Any] = answer.document["spec"]
        return stored

    return creating


@pytest.fixture(params=["a-mesh", "mesh"], ids=["before ours", "after ours"])
def meshed_namespace(
    request: pytest.FixtureRequest,
    control_plane: ControlPlane,
    namespace: str,
    webhook_configuration: dict[str, Any],
    other: OtherWebhook,
    create: Create,
) -> Iterator[str]:
    """Name a namespace whose Pods the other webhook changes; webhooks are called by name order."""
    is_before = request.param < webhook_configuration["metadata"]["name"]
    assert is_before == (request.param == "a-mesh")
    with registered(control_plane, request.param, namespace, other, "IfNeeded"):
        deadline = time.monotonic() + ACTIVE_SECONDS
        while missing(create(namespace, {}, [], "?dryRun=All")["containers"]):
            assert time.monotonic() < deadline, f"no call within {ACTIVE_SECONDS} s"
        yield namespace


def names(elements: list[dict[str, Any]]) -> list[str]:
    return [element["name"] for element in elements]


@pytest.mark.parametrize("init_containers", [[], [{"name": "migrate", "image": "shop:1"}]], ids=["", "init"])
@pytest.mark.parametrize("native", ["true", "false"], ids=["native", "ordinary"])
def test_each_thing_is_there_once_and_ours_is_intact(
    control_plane: ControlPlane,
    webhook: WebhookServer,
    meshed_namespace: str,
    create: Create,
    init_containers: list[Any],
    native: str,
) -> None:
    annotations = {f"{PREFIX}inject": "true", f"{PREFIX}native-sidecar": native}
    alone = create(create_namespace(control_plane, {}), annotations, init_containers)
    injected, asked_again = webhook.answered("injected"), webhook.answered("already-injected")

    spec = create(meshed_namespace, annotations, init_containers)

    assert webhook.answered("injected") == injected + 1
    assert webhook.answered("already-injected") > asked_again, "the webhook was not invoked again"
    assert unmeshed(spec) == alone
    containers = spec["initContainers"] + spec["containers"]
    for elements in (containers, spec["volumes"], *(container["env"] for container in containers)):
        assert len(names(elements)) == len(set(names(elements)))
    assert {"hazelcast", ADDED, f"{ADDED}-init"} <= set(names(containers))
    assert all(ADDED in names(container["env"]) for container in containers)


def istio(pod: dict[str, Any]) -> None:
    """Change a Pod as Istio does, which moves its containers to the front where they are not."""
    others = [each for each in pod["spec"].get("initContainers", []) if "istio" not in each["name"]]
    proxy = {"name": "istio-proxy", "image": "istio/proxyv2:1.30.0", "restartPolicy": "Always"}
    pod["spec"]["initContainers"] = [{"name": "istio-init", "image": proxy["image"]}, proxy, *others]
    if missing(pod["spec"]["containers"]):
        pod["spec"]["containers"].append({"name": ADDED, "image": "proxy:1"})


def test_the_member_starts_behind_the_proxy_of_a_mesh(
    meshed_namespace: str, other: OtherWebhook, create: Create
) -> None:
    other.change = istio
    asking = {f"{PREFIX}inject": "true"}
    spec = create(meshed_namespace, asking, [{"name": "migrate", "image": "shop:1"}])
    assert names(spec["initContainers"]) == ["istio-init", "istio-proxy", "hazelcast", "migrate"]


# --- another webhook that removes parts of the member ------------------------------------------------------

SEEN = "example.com/seen"
"""The annotation by which a Pod shows that the other webhook was asked."""


@pytest.fixture
def torn_namespace(
    control_plane: ControlPlane, namespace: str, webhook_configuration: dict[str, Any], other: OtherWebhook
) -> Iterator[str]:
    """Name a namespace whose Pods the other webhook changes behind ours, once each."""
    assert webhook_configuration["metadata"]["name"] < "torn"
    other.change = lambda pod: pod["metadata"].setdefault("annotations", {}).update({SEEN: "yes"})
    with registered(control_plane, "torn", namespace, other, "Never"):
        deadline = time.monotonic() + ACTIVE_SECONDS
        while SEEN not in created(control_plane, namespace, {}).document["metadata"].get("annotations", {}):
            assert time.monotonic() < deadline, f"no call within {ACTIVE_SECONDS} s"
        yield namespace


def created(
    control_plane: ControlPlane,
    namespace: str,
    annotations: dict[str, str],
    labels: dict[str, str] | None = None,
) -> Answer:
    """What the API server says to a Pod that it does not store."""
    body = {
        "metadata": {"name": "shop", "annotations": annotations, "labels": labels},
        "spec": {"containers": [{"name": "app", "image": "shop:1"}]},
    }
    path = f"/api/v1/namespaces/{namespace}/pods?dryRun=All"
    return control_plane.request("POST", path, with_account(body))


ASKING = {f"{PREFIX}inject": "true"}
ASKING_BY_API = ASKING | {f"{PREFIX}discovery": "api"}
TORN = {
    **{what: (ASKING, tear) for what, tear in TEARS.items()},
    **{f"{what}, by API": (ASKING_BY_API, tear) for what, tear in TEARS_BY_API.items()},
}
"""Annotations of a Pod, and what it loses."""


@pytest.mark.parametrize(("annotations", "tear"), TORN.values(), ids=TORN)
def test_what_another_webhook_removes_is_put_back(
    control_plane: ControlPlane,
    webhook: WebhookServer,
    torn_namespace: str,
    other: OtherWebhook,
    annotations: dict[str, str],
    tear: Callable[[Any], None],
) -> None:
    def change(pod: dict[str, Any]) -> None:
        if any(each["name"] == "hazelcast" for each in pod["spec"].get("initContainers", [])):
            tear(pod)

    whole = created(control_plane, create_namespace(control_plane, {}), annotations)
    assert whole.code == 201, whole.message
    restored = webhook.answered("restored")
    other.change = change
    answer = created(control_plane, torn_namespace, annotations)
    assert answer.code == 201, answer.message
    assert comparable(answer) == comparable(whole)
    assert webhook.answered("restored") == restored + 1


def comparable(answer: Answer) -> dict[str, Any]:
    """A Pod that was created, without what differs each time."""
    pod = in_any_order(answer.document)
    for key in ("uid", "creationTimestamp", "managedFields", "namespace"):
        pod["metadata"].pop(key, None)
    return pod


def test_a_member_that_another_webhook_removes_is_missed_aloud(
    control_plane: ControlPlane, webhook: WebhookServer, torn_namespace: str, other: OtherWebhook
) -> None:
    def change(pod: dict[str, Any]) -> None:
        pod["spec"].pop("initContainers", None)

    denied = webhook.answered("status-without-member")
    other.change = change
    answer = created(control_plane, torn_namespace, ASKING)
    assert answer.code == 422, answer.document
    assert "denied the request: Pod shop: sidecar.hazelcast.com/status: says that" in answer.message
    assert "Another webhook removed it" in answer.message
    assert webhook.answered("status-without-member") == denied + 1


# --- the webhooks that are asked again ---------------------------------------------------------------------


@pytest.fixture
def asked_again(control_plane: ControlPlane, webhook_configuration: dict[str, Any]) -> Iterator[str]:
    """Name a namespace for which the second of our webhooks is asked alone: the configuration exempts it."""
    namespace = "kube-system"
    control_plane.request("DELETE", f"/api/v1/namespaces/{namespace}/pods/shop?gracePeriodSeconds=0")
    _, again, *_ = deepcopy(webhook_configuration["webhooks"])
    again["namespaceSelector"] = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    name = "again-alone"
    answer = control_plane.request("POST", CONFIGURATIONS, {"metadata": {"name": name}, "webhooks": [again]})
    assert answer.code == 201, answer.message
    try:
        deadline = time.monotonic() + ACTIVE_SECONDS
        while (answer := created(control_plane, namespace, ASKING, LABELLED)).code == 201:
            if "initContainers" in answer.document["spec"]:
                break
            assert time.monotonic() < deadline, f"no call within {ACTIVE_SECONDS} s"
        assert answer.code == 201, answer.message
        yield namespace
    finally:
        control_plane.request("DELETE", f"{CONFIGURATIONS}/{name}")


def sent(control_plane: ControlPlane, namespace: str, pod: dict[str, Any]) -> Answer:
    """What the API server says to a Pod that was read from it, for a dry run."""
    path = f"/api/v1/namespaces/{namespace}/pods?dryRun=All"
    return control_plane.request("POST", path, {"metadata": pod["metadata"], "spec": pod["spec"]})


def test_the_match_conditions_tell_a_torn_pod_from_an_intact_one(
    control_plane: ControlPlane, webhook: WebhookServer, asked_again: str
) -> None:
    pod, by_api = (
        comparable(created(control_plane, asked_again, annotations, LABELLED))
        for annotations in (ASKING, ASKING_BY_API)
    )
    asked = webhook.answered()
    for each in (pod, by_api):
        assert comparable(sent(control_plane, asked_again, each)) == each
    mirror = deepcopy(pod)
    mirror["metadata"]["annotations"]["kubernetes.io/config.mirror"] = "0f0f0f"
    mirror["spec"]["nodeName"] = "node-a"
    TEARS["label"](mirror)
    assert sent(control_plane, asked_again, mirror).code == 201
    assert webhook.answered() == asked, "it was asked about an intact Pod, or a mirror Pod"
    for number, (what, (annotations, tear)) in enumerate(TORN.items(), 1):
        whole = by_api if annotations is ASKING_BY_API else pod
        torn = deepcopy(whole)
        tear(torn)
        torn["metadata"].setdefault("labels", {}).update(LABELLED)  # else another webhook of ours is asked
        answer = sent(control_plane, asked_again, torn)
        assert answer.code == 201, (what, answer.message)
        assert comparable(answer) == whole, what
        assert webhook.answered() == asked + number, what
    copied = created(control_plane, asked_again, ASKING | {f"{PREFIX}status": "{}"}, LABELLED)
    assert copied.code == 422
    assert "says that a member was injected, but there is none" in copied.message
