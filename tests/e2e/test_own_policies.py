"""The NetworkPolicies of manifests/base on a network that enforces them: who reaches what of the injector."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import yaml

from tests.e2e.bystander import KEPT_OUT, fetch, knock
from tests.e2e.conftest import CONTROLLER, ENFORCED_SECONDS, INJECTOR, ROOT, namespace
from tests.e2e.kubectl import Kubectl, KubectlError, until
from tests.e2e.workloads import DEMO, first_pod, idle_pod

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.conftest import Images, Sightings

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("enforced")]

WEBHOOK_PORT, ADMIN_PORT = 8443, 8080
EXTRA_PORT = 9999
"""Where the programs do not listen, and an ephemeral container of these tests does."""
LISTENER = "listener"
LISTEN = ("timeout", "600", "python", "-m", "http.server", str(EXTRA_PORT))


class Target(NamedTuple):
    """A Pod of the injector."""

    pod: str
    address: str


@pytest.fixture(scope="module")
def stranger(webhook: Kubectl, demo_manifests: list[dict[str, Any]]) -> Iterator[Kubectl]:
    """A Pod of that name in a namespace that the injector knows nothing of."""
    assert webhook
    with namespace("hazelcast-strangers") as kubectl:
        kubectl.apply(idle_pod(demo_manifests, "stranger"))
        kubectl.pods_ready("stranger")
        yield kubectl


@pytest.fixture(scope="module")
def targets(webhook: Kubectl, images: Images) -> dict[str, Target]:
    """A Pod of the webhook and one of the controller, each with one more port that is open in it."""
    found = {}
    for component in ("webhook", "controller"):
        pod = webhook.pods(f"app.kubernetes.io/component={component}")[0]
        options = (f"--image={images.demo}", "--image-pull-policy=IfNotPresent", f"--container={LISTENER}")
        webhook("debug", f"pod/{pod}", *options, "--profile=restricted", "--quiet", "--", *LISTEN)
        found[component] = Target(pod, webhook.read("pod", pod)["status"]["podIP"])
    until(60, "the containers run", lambda: all(listens(webhook, each.pod) for each in found.values()))
    return found


def listens(webhook: Kubectl, pod: str) -> bool:
    statuses = webhook.read("pod", pod)["status"].get("ephemeralContainerStatuses", [])
    return [status["state"].keys() for status in statuses] == [{"running"}]


def is_reached(kubectl: Kubectl, pod: str, address: str, port: int, container: str = "") -> bool:
    return knock(kubectl, pod, address, port, container=container)[port] not in KEPT_OUT


def policies(manifests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [document for document in manifests if document["kind"] == "NetworkPolicy"]


def test_what_is_reached_of_the_injector_and_what_it_reaches(
    webhook: Kubectl,
    stranger: Kubectl,
    targets: dict[str, Target],
    webhook_manifests: list[dict[str, Any]],
    sightings: Sightings,
) -> None:
    """Without the policies every port is open, and the webhook reaches the API server."""
    api_server = webhook.read("--namespace=default", "service", "kubernetes")["spec"]["clusterIP"]
    shipped = policies(webhook_manifests)
    assert {policy["metadata"]["name"] for policy in shipped} == {INJECTOR, CONTROLLER}

    def reached() -> dict[str, Any]:
        ports = WEBHOOK_PORT, ADMIN_PORT, EXTRA_PORT
        words = {
            component: knock(stranger, "stranger", target.address, *ports)
            for component, target in targets.items()
        }
        found: dict[str, Any] = {
            component: {port for port, word in said.items() if word not in KEPT_OUT}
            for component, said in words.items()
        }
        for component, target in targets.items():
            out = is_reached(webhook, target.pod, api_server, 443, container=LISTENER)
            found[f"{component} reaches the API server"] = out
        return found

    shut = {
        "webhook": {WEBHOOK_PORT, ADMIN_PORT},
        "controller": {ADMIN_PORT},
        "webhook reaches the API server": False,
        "controller reaches the API server": True,
    }
    until(ENFORCED_SECONDS, "only what must be reached is", lambda: reached() == shut)
    try:
        webhook("delete", "networkpolicies", INJECTOR, CONTROLLER)
        bare = {
            "webhook": {WEBHOOK_PORT, ADMIN_PORT, EXTRA_PORT},
            "controller": {ADMIN_PORT, EXTRA_PORT},
            "webhook reaches the API server": True,
            "controller reaches the API server": True,
        }
        until(ENFORCED_SECONDS, "without policies all is reached", lambda: reached() == bare)
    finally:
        webhook.apply(*shipped)
    until(ENFORCED_SECONDS, "only what must be reached is", lambda: reached() == shut)
    for target in targets.values():
        metrics = fetch(stranger, "stranger", f"http://{target.address}:{ADMIN_PORT}/metrics")
        assert "hazelcast_sidecar_" in metrics, "a scraper gets its metrics"
    sightings.note("what a Pod of another namespace reaches of the injector", str(shut))


def is_asked(webhook: Kubectl) -> bool:
    """Whether the API server reaches every replica, on whichever node; each refuses what it is asked."""
    said = []
    for pod in webhook.pods("app.kubernetes.io/component=webhook"):
        path = f"/api/v1/namespaces/{INJECTOR}/pods/https:{pod}:{WEBHOOK_PORT}/proxy/"
        with pytest.raises(KubectlError) as refused:
            webhook("get", f"--raw={path}")
        said.append(str(refused.value))
    return not any("error trying to reach" in sentence for sentence in said)


def api_servers(webhook: Kubectl) -> list[str]:
    """The addresses of the API servers, as blocks of one."""
    selector = "--selector=kubernetes.io/service-name=kubernetes"
    ends = [
        end
        for each in webhook.read("--namespace=default", "endpointslices", selector)["items"]
        for end in each["endpoints"]
    ]
    addresses = [address for end in ends for address in end["addresses"]]
    return [f"{address}/{128 if ':' in address else 32}" for address in addresses]


def test_with_the_component_only_api_servers_reach_the_webhook(
    webhook: Kubectl,
    stranger: Kubectl,
    targets: dict[str, Target],
    webhook_manifests: list[dict[str, Any]],
    demo_manifests: list[dict[str, Any]],
    sightings: Sightings,
) -> None:
    """Here the API server's calls come from the address that it is known by."""
    address = targets["webhook"].address
    assert is_reached(stranger, "stranger", address, WEBHOOK_PORT)
    until(30, "the API server reaches the replicas", lambda: is_asked(webhook))

    component = ROOT / "manifests" / "components" / "api-servers-only" / "kustomization.yaml"
    (patch,) = yaml.safe_load(component.read_text())["patches"]
    (operation,) = yaml.safe_load(patch["patch"])
    operation["value"] = [{"ipBlock": {"cidr": cidr}} for cidr in api_servers(webhook)]
    webhook("patch", "networkpolicy", INJECTOR, "--type=json", f"--patch={json.dumps([operation])}")
    try:
        until(
            ENFORCED_SECONDS,
            "a stranger is kept out",
            lambda: not is_reached(stranger, "stranger", address, WEBHOOK_PORT),
        )
        assert is_reached(stranger, "stranger", address, ADMIN_PORT)
        assert is_asked(webhook)
        pod = first_pod(demo_manifests)
        assert "initContainers" in json.loads(Kubectl(DEMO).dry_run(pod))["spec"]
        sightings.note("api-servers-only", f"8443 from {operation['value']} alone; a Pod is injected")
    finally:
        webhook.apply(*policies(webhook_manifests))
