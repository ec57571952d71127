"""The chart installed, upgraded, rolled back, uninstalled, while annotated Pods are created: none is refused.

It runs behind the test of the uninstallation, which leaves a cluster without the injector.
"""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import INJECTOR, INSTALL_SECONDS, OURS, namespace
from tests.e2e.creations import Creations
from tests.e2e.http_client import api_proxy
from tests.e2e.kubectl import Kubectl
from tests.harness.helm import CHART, RELEASES, Helm, find_helm

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.conftest import Images, Sightings

pytestmark = pytest.mark.e2e

RATE = 50
RELEASE = "injector"
WAIT = (f"--namespace={INJECTOR}", "--wait", "--timeout=3m")
SECONDS = 200


@pytest.fixture(scope="module", params=RELEASES, ids=lambda release: f"helm{release}")
def helm(request: pytest.FixtureRequest) -> Helm:
    return find_helm(request.param, print)


@pytest.fixture
def creations(cluster: Kubectl) -> Iterator[Creations]:
    assert cluster
    with namespace("hazelcast-helm") as kubectl, api_proxy(kubectl) as api:
        yield Creations(api, RATE)


@pytest.fixture
def own_namespace(cluster: Kubectl) -> Iterator[Kubectl]:
    """The chart's namespace, with the labels that docs/install.md has."""
    cluster("create", "namespace", INJECTOR)
    labels = ("pod-security.kubernetes.io/enforce=restricted", f"{OURS}=yes")
    cluster("label", "namespace", INJECTOR, *labels)
    yield Kubectl(INJECTOR)
    cluster("delete", "namespace", INJECTOR, "--wait", seconds=180)


@pytest.fixture
def values(images: Images, tmp_path: Path) -> Path:
    repository, _, tag = images.webhook.rpartition(":")
    path = tmp_path / "values.json"
    path.write_text(json.dumps({"image": {"repository": repository, "tag": tag}}))
    return path


def test_no_pod_is_refused_from_installation_to_uninstallation(
    helm: Helm, own_namespace: Kubectl, creations: Creations, values: Path, sightings: Sightings
) -> None:
    given = (RELEASE, str(CHART), f"--values={values}", *WAIT)
    took: list[str] = []

    def step(name: str, *arguments: str) -> str:
        begun = time.monotonic()
        said = helm(*arguments, seconds=SECONDS)
        took.append(f"{name} {time.monotonic() - begun:.0f} s")
        return said

    with creations:
        step("install", "install", *given, "--set=failurePolicy=Ignore")
        creations.expect_members(INSTALL_SECONDS)
        step("upgrade to Fail", "upgrade", *given)
        shown = step("test", "test", RELEASE, f"--namespace={INJECTOR}", "--logs")
        # The API server has taken Fail up by now, so no Pod may go without a member.
        members_from = time.monotonic()
        step("upgrade", "upgrade", *given, "--set=webhook.replicas=3,webhook.resources.requests.cpu=60m")
        assert len(own_namespace.pods("app.kubernetes.io/component=webhook")) == 3
        step("rollback", "rollback", RELEASE, "2", *WAIT)
        members_until = time.monotonic()
        step("uninstall", "uninstall", RELEASE, *WAIT)
        creations.expect_bare(60)
    sightings.note(
        "Helm, from installation to uninstallation",
        f"{creations.summary()}\n{', '.join(took)}\n{shown[shown.rfind('POD LOGS') :]}",
    )
    assert creations.served(members_from, members_until)
    assert "0 problems" in shown
    skipped = set(re.findall(r"^ +skipped +(\S+):", shown, re.MULTILINE))
    assert skipped == {"caBundle", "expiry"}, "it may not read Secrets, and all else"
