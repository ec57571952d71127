"""Whatever Pod the API server takes, it takes injected too, or our webhook says why not: hundreds of Pods.

A refusal by the API server's own validation would name fields that the user never wrote.
"""

from copy import deepcopy

import pytest
from hypothesis import HealthCheck, assume, event, given, settings

from tests.harness.control_plane import Answer, ControlPlane
from tests.harness.strategies import PREFIX, Document, pods, valid_annotations

pytestmark = [pytest.mark.apiserver, pytest.mark.slow, pytest.mark.usefixtures("webhook_configuration")]

OURS = 'pods.sidecar.hazelcast.com" denied the request: Pod shop'


def dry_run(control_plane: ControlPlane, pod: Document) -> Answer:
    """Send a Pod as if to create it."""
    path = "/api/v1/namespaces/default/pods?dryRun=All&fieldValidation=Strict"
    return control_plane.request("POST", path, pod)


def without_ours(pod: Document) -> Document:
    """The same Pod as users without our webhook have it."""
    plain = deepcopy(pod)
    annotations = plain["metadata"]["annotations"]
    plain["metadata"]["annotations"] = {
        key: text for key, text in annotations.items() if not key.startswith(PREFIX)
    }
    return plain


annotations = valid_annotations.map(lambda found: {**found, PREFIX + "inject": "true"})


@settings(max_examples=300, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(pod=pods(annotations, valid=True))
def test_what_the_api_server_takes_it_takes_injected(control_plane: ControlPlane, pod: Document) -> None:
    plain = dry_run(control_plane, without_ours(pod))
    event(f"without a member: {plain.code}")
    assume(plain.code == 201)
    answer = dry_run(control_plane, pod)
    event(f"with a member: {answer.code}")
    assert answer.code == 201 or OURS in answer.message, answer.message


HOST_PROCESS = {"windowsOptions": {"hostProcess": True}}
ON_WINDOWS = {
    "hostNetwork": True,
    "dnsPolicy": "ClusterFirstWithHostNet",
    "containers": [{"name": "app", "image": "shop:1", "securityContext": HOST_PROCESS}],
}
APP = {"name": "app", "image": "shop:1"}
MIGRATE = {"name": "migrate", "image": "shop:1", "resources": {"requests": {"memory": "300Mi"}}}


@pytest.mark.parametrize(
    ("spec", "note", "sentence"),
    [
        (ON_WINDOWS, "", "spec.containers[0].securityContext.windowsOptions.hostProcess: is true"),
        ({"containers": [APP]}, "x" * (256 * 1024 - 500), "metadata.annotations: are 26"),
        (
            {"containers": [APP], "resources": {"requests": {"memory": "0.5e9"}}},
            "",
            "spec.resources.requests.memory: 500e6 is less than the containers and the member (512Mi)",
        ),
        ({"containers": [APP], "terminationGracePeriodSeconds": -(2**63)}, "", ""),
        (
            {"containers": [MIGRATE], "initContainers": [{**MIGRATE, "name": "first"}]}
            | {"resources": {"requests": {"memory": "900Mi"}}},
            "",
            "",
        ),
    ],
    ids=["host process", "large annotations", "exponent", "negative grace", "one after the other"],
)
def test_what_random_pods_seldom_are(
    control_plane: ControlPlane, spec: Document, note: str, sentence: str
) -> None:
    pod = {
        "metadata": {"name": "shop", "annotations": {PREFIX + "inject": "true", "note": note}},
        "spec": spec,
    }
    assert dry_run(control_plane, without_ours(pod)).code == 201
    answer = dry_run(control_plane, pod)
    if sentence:
        assert OURS in answer.message
        assert sentence in answer.message
    else:
        assert answer.code == 201, answer.message
