"""Two controllers, and the one that leads loses its route to the API server, which the other keeps."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from tests.harness.accounts import Account
from tests.harness.audit_log import asked
from tests.harness.control_plane import ControlPlane
from tests.harness.controller_program import Controller, started
from tests.harness.kept_objects import is_as_rendered, kept, path_of, wanted
from tests.harness.line import Line
from tests.harness.many_pods import create_all, fresh_namespaces, pod_of
from tests.harness.waiting import SETTLE_SECONDS, until

pytestmark = [pytest.mark.apiserver, pytest.mark.slow]

LEASE_SECONDS = 10
"""Longer than in other tests: what a leader needs to notice is mostly the patience of one request."""
BATCH = 20
KINDS = ("ConfigMap", "Service")
WRITES = ("create", "update", "patch", "delete")


class Pair(NamedTuple):
    """Two controllers; the one that leads reaches the API server over a line, the other directly."""

    leader: Controller
    other: Controller


@pytest.fixture
def pair(shipped: Account, line: Line, tmp_path: Path, free_lease: None) -> Iterator[Pair]:
    assert free_lease is None
    options = ["--lease-seconds", str(LEASE_SECONDS)]
    leader = Controller(line.of(shipped, tmp_path), tmp_path / "one.log", "one", options)
    with started(leader):
        until(120, "it leads", leader.leads)
        other = Controller(shipped, tmp_path / "two.log", "two", options)
        with started(other):
            yield Pair(leader, other)
            for each in (leader, other):
                assert each.program.stop() == 0, "SIGTERM is the ordinary end"
                each.lines()


def groups_of(namespace: str, *batches: str) -> Counter[tuple[str, str]]:
    return Counter((namespace, f"{batch}-{number}") for batch in batches for number in range(BATCH))


def writes(cluster: ControlPlane, user: str, offset: int) -> Counter[str]:
    """How often each kept object was written, by both controllers: they are one user."""
    return Counter(
        urlsplit(request.uri).path
        for request in asked(cluster, user, offset)
        if request.verb in WRITES and request.resource in {"configmaps", "services"}
    )


@pytest.mark.parametrize("lost", ["everything", "answers"])
def test_a_leader_that_is_cut_off(
    cluster: ControlPlane,
    pair: Pair,
    line: Line,
    shipped: Account,
    lost: str,
    say: Callable[[str], None],
) -> None:
    """It knows before the other begins, so no two lead; the other brings all into order.

    When it has its route again it looks on: nothing is written for a second time.
    """
    leader, other = pair

    with fresh_namespaces(cluster, 1) as (namespace,):

        def create(batch: str) -> None:
            create_all(cluster, [pod_of(namespace, f"{batch}-{number}", 0) for number in range(BATCH)])

        def in_order(*batches: str) -> bool:
            return all(kept(cluster, kind, [namespace]) == groups_of(namespace, *batches) for kind in KINDS)

        offset = cluster.audit_log.stat().st_size
        create("before")  # the leader has just begun with these
        line.part(answers_alone=lost == "answers")
        parted = time.monotonic()
        create("during")
        until(LEASE_SECONDS, "the leader knows that it is none", lambda: not leader.leads())
        knows = time.monotonic() - parted
        assert not other.leads(), "never two"
        until(120, "the other leads", other.leads)
        leads = time.monotonic() - parted
        until(120, "all is in order", lambda: in_order("before", "during"))
        orderly = time.monotonic() - parted
        assert leader.is_alive(), "the kubelet must not kill it for what it cannot help"
        assert leads - knows <= LEASE_SECONDS

        worked, mended = leader.metric("reconciles_total"), cluster.audit_log.stat().st_size
        line.mend()
        create("after")
        assert cluster.request("DELETE", path_of("ConfigMap", namespace, "before-0")).code == 200
        until(120, "all is in order", lambda: in_order("before", "during", "after"))
        until(120, "both know all Pods", lambda: leader.metric("watched_pods") == 3 * BATCH)
        time.sleep(SETTLE_SECONDS)
        say(
            f"leader cut off, {lost} lost: it knows after {knows:.1f} s, the other leads "
            f"after {leads:.1f} s, {2 * BATCH} groups in order after {orderly:.1f} s"
        )
        assert (leader.leads(), other.leads()) == (False, True)
        assert leader.metric("reconciles_total") == worked, "it looks on"
        again = writes(cluster, shipped.user, mended)
        touched = ["before-0", *(f"after-{number}" for number in range(BATCH))]
        assert again == Counter(path_of(kind, namespace, group) for group in touched for kind in KINDS)
        # What the leader had begun with the other looks at once more.
        assert max((writes(cluster, shipped.user, offset) - again).values()) <= 2
        for batch in ("before", "during", "after"):
            group = f"{batch}-{BATCH - 1}"
            assert is_as_rendered(cluster, wanted(namespace, group, "dns"), group)

        assert other.program.stop() == 0
        until(120, "whoever was cut off leads again", leader.leads)
