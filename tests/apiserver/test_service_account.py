"""What the API server adds to a Pod of its ServiceAccount: a token, for the application, and pull secrets."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hazelcast_sidecar.injection.member import TOKEN_DIRECTORY
from tests.apiserver.conftest import found_programs
from tests.harness.another_webhook import registered, serving
from tests.harness.control_plane import MERGE, ControlPlane
from tests.harness.pods import ours
from tests.harness.shipped_manifests import ACTIVE_SECONDS, register
from tests.harness.torn import TEARS
from tests.harness.waiting import until
from tests.harness.webhook_server import WebhookServer

pytestmark = pytest.mark.apiserver

PODS = "/api/v1/namespaces/default/pods"


@pytest.fixture(scope="module")
def webhook(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebhookServer]:
    """One of this module's own, whose settings have a pull secret."""
    folder = tmp_path_factory.mktemp("webhook")
    settings = folder / "settings.yaml"
    settings.write_text("imagePullSecrets: [{name: mirror}]")
    with WebhookServer(folder, "--settings", str(settings)) as running:
        yield running


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


def created(cluster: ControlPlane, annotations: dict[str, str], **spec: Any) -> dict[str, Any]:
    """The spec of a Pod with these annotations, which is not stored."""
    pod = {
        "metadata": {"name": "shop", "annotations": ours(**annotations)},
        "spec": {"containers": [{"name": "app", "image": "shop:1"}], **spec},
    }
    answer = cluster.request("POST", f"{PODS}?dryRun=All&fieldValidation=Strict", pod)
    assert answer.code == 201, answer.message
    found: dict[str, Any] = answer.document["spec"]
    return found


def images(cluster: ControlPlane) -> list[str]:
    """The images of a Pod's init containers."""
    return [container["image"] for container in created(cluster, {})["initContainers"]]


def mounts(cluster: ControlPlane, **annotations: str) -> dict[str, str]:
    """What stands in the token's place in each container of a Pod with these annotations."""
    spec = created(cluster, annotations)
    return {
        container["name"]: mount["name"].partition("-api-access-")[0]
        for container in [*spec.get("initContainers", []), *spec["containers"]]
        for mount in container["volumeMounts"]
        if mount["mountPath"] == TOKEN_DIRECTORY
    }


@pytest.mark.parametrize("native", ["true", "false"])
def test_a_member_gets_no_token(cluster: ControlPlane, native: str) -> None:
    assert mounts(cluster, native_sidecar=native) == {"app": "kube", "hazelcast": "hazelcast-tmp"}


def test_a_member_gets_no_token_where_another_webhook_removed_its_mounts(
    cluster: ControlPlane, tmp_path: Path
) -> None:
    """Before ours is asked again, the API server has put the token where our mount was."""

    def change(pod: dict[str, Any]) -> None:
        for container in pod["spec"].get("initContainers", []):
            TEARS["mounts"](pod)
            container["image"] = "changed:1"

    with serving(tmp_path) as other, registered(cluster, "zz-other", "default", other, "Never"):
        other.change = change
        deadline = time.monotonic() + ACTIVE_SECONDS
        while "changed:1" not in images(cluster):
            assert time.monotonic() < deadline, f"no call within {ACTIVE_SECONDS} s"
        assert mounts(cluster) == {"app": "kube", "hazelcast": "hazelcast-tmp"}
        assert mounts(cluster, discovery="api") == {"app": "kube", "hazelcast": "hazelcast-api-access"}


def test_a_member_that_asks_the_api_has_a_token_of_its_own(cluster: ControlPlane) -> None:
    """So it has one, too, where the Pod, or its ServiceAccount, mounts none."""
    assert mounts(cluster, discovery="api") == {"app": "kube", "hazelcast": "hazelcast-api-access"}
    without = created(cluster, {"discovery": "api"}, automountServiceAccountToken=False)
    assert "volumeMounts" not in without["containers"][0]
    volume = next(each for each in without["volumes"] if each["name"] == "hazelcast-api-access")
    with_token = created(cluster, {})
    own = next(each for each in with_token["volumes"] if each["name"].startswith("kube-api-access-"))
    assert volume["projected"] == own["projected"], "as the API server's own"


# --- pull secrets ------------------------------------------------------------------------------------------


def pull_secrets(cluster: ControlPlane, **spec: Any) -> list[str]:
    return [each["name"] for each in created(cluster, {}, **spec).get("imagePullSecrets", [])]


def test_pull_secrets_of_the_account_and_of_the_pod_stay(cluster: ControlPlane) -> None:
    """The API server gives a Pod those of its account only where it has none, and before any webhook."""
    assert pull_secrets(cluster) == ["mirror"]
    account = "/api/v1/namespaces/default/serviceaccounts/default"
    answer = cluster.request("PATCH", account, {"imagePullSecrets": [{"name": "of-account"}]}, MERGE)
    assert answer.code == 200, answer.message
    until(ACTIVE_SECONDS, "both", lambda: pull_secrets(cluster) == ["of-account", "mirror"])
    assert pull_secrets(cluster, imagePullSecrets=[{"name": "mine"}]) == ["mine", "mirror"]
