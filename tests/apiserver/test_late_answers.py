"""The answer to a write of the controller comes after the watch has said what became of the object."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.accounts import Account
from tests.harness.answers import Answers
from tests.harness.control_plane import MERGE, ControlPlane
from tests.harness.controller_program import LEASE_SECONDS, Controller, started
from tests.harness.group_pods import create_pod
from tests.harness.kept_objects import is_as_rendered, path_of, wanted
from tests.harness.waiting import SETTLE_SECONDS, until

pytestmark = pytest.mark.apiserver

PATIENCE_SECONDS = 180
"""As long as a busy machine may need; without a cure it would be for ever."""


@pytest.fixture
def relayed(shipped: Account, answers: Answers, tmp_path: Path, free_lease: None) -> Iterator[Controller]:
    """Run a controller that leads, and whose answers can be held."""
    assert free_lease is None
    running = Controller(answers.of(shipped, tmp_path), tmp_path / "controller.log")
    with started(running):
        until(PATIENCE_SECONDS, "it leads", running.leads)
        yield running
        assert running.program.stop(LEASE_SECONDS) == 0, "SIGTERM is the ordinary end"


@pytest.mark.usefixtures("relayed")
@pytest.mark.parametrize("became", ["deleted", "edited"])
def test_an_answer_that_comes_late_changes_nothing(
    cluster: ControlPlane, answers: Answers, namespace: str, became: str
) -> None:
    path = path_of("ConfigMap", namespace, "shop")
    answers.hold(f"PATCH {path}")
    create_pod(cluster, namespace, "shop-1", "shop")
    until(PATIENCE_SECONDS, "the answer is here", answers.has_come.is_set)
    if became == "deleted":
        assert cluster.request("DELETE", path).code == 200
        said = '"type":"DELETED"'
    else:
        answer = cluster.request("PATCH", path, {"data": {"hazelcast.yaml": "hazelcast: {}\n"}}, MERGE)
        assert answer.code == 200, answer.message
        said = f'"resourceVersion":"{answer.document["metadata"]["resourceVersion"]}"'
    until(PATIENCE_SECONDS, "the watch has said so", lambda: answers.have_passed(said))
    time.sleep(SETTLE_SECONDS)  # until the controller has read it
    answers.release()
    objects = wanted(namespace, "shop", "dns")
    until(PATIENCE_SECONDS, "all is in order", lambda: is_as_rendered(cluster, objects, "shop"))
