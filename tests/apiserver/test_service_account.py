"""The token of a Pod's ServiceAccount, which the API server adds to containers: to the application's only."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.apiserver.conftest import WebhookServer, found_programs, register
from tests.apiserver.control_plane import ControlPlane
from tests.conftest import ours
from webhook.sidecar import TOKEN_DIRECTORY

pytestmark = pytest.mark.apiserver

PODS = "/api/v1/namespaces/default/pods"


@pytest.fixture(scope="module")
def cluster(
    request: pytest.FixtureRequest, webhook: WebhookServer, manifests: Path
) -> Iterator[ControlPlane]:
    """A kube-apiserver with the ServiceAccount plugin, and the account that a controller would make."""
    with ControlPlane(found_programs(request.config), service_accounts=True) as running:
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
        answer = running.request("POST", "/api/v1/namespaces/default/serviceaccounts", account)
        assert answer.code == 201, answer.message
        register(running, webhook, manifests)
        yield running


def mounts(cluster: ControlPlane, **annotations: str) -> dict[str, str]:
    """What stands in the token's place in each container of a Pod with these annotations."""
    pod = {
        "metadata": {"name": "shop", "annotations": ours(**annotations)},
        "spec": {"containers": [{"name": "app", "image": "shop:1"}]},
    }
    answer = cluster.request("POST", f"{PODS}?dryRun=All&fieldValidation=Strict", pod)
    assert answer.code == 201, answer.message
    spec: dict[str, Any] = answer.document["spec"]
    return {
        container["name"]: mount["name"].partition("-api-access-")[0]
        for container in [*spec.get("initContainers", []), *spec["containers"]]
        for mount in container["volumeMounts"]
        if mount["mountPath"] == TOKEN_DIRECTORY
    }


@pytest.mark.parametrize("native", ["true", "false"])
def test_a_member_gets_no_token(cluster: ControlPlane, native: str) -> None:
    assert mounts(cluster, native_sidecar=native) == {"app": "kube", "hazelcast": "hazelcast-tmp"}


def test_a_member_that_asks_the_api_gets_it(cluster: ControlPlane) -> None:
    assert mounts(cluster, discovery="api") == {"app": "kube", "hazelcast": "kube"}
