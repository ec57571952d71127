"""Whether the members of a group form one cluster, judged by their answers."""

import json

import pytest

from hazelcast_sidecar.group_status.report import heading
from hazelcast_sidecar.members.assessment import Assessment, GroupPod, Severity, assess
from hazelcast_sidecar.members.view import (
    MAX_ANSWER,
    Health,
    ListedMember,
    MemberView,
    decode_health,
    decode_members,
)
from hazelcast_sidecar.untrusted import UndecodableError


def view(
    own: str, *others: str, safe: bool = True, state: str = "ACTIVE", version: str = "5.7.0"
) -> MemberView:
    listed = tuple(
        ListedMember(f"[{name}]:5701", uuid=name, local_member=name == own, member_version=version)
        for name in (own, *others)
    )
    return MemberView(Health(state, "ACTIVE", safe, 0 if safe else 7, len(listed)), listed)


def pod(name: str, seen: MemberView | None, **changes: object) -> GroupPod:
    fields: dict[str, object] = {
        "ready": True,
        "terminating": False,
        "image": "hazelcast:5.7.0",
        "fingerprint": "f",
    }
    return GroupPod(name=name, view=seen, **(fields | changes))  # type: ignore[arg-type]


def assessed(*pods: GroupPod) -> Assessment:
    return assess("team", "shop", pods)


def test_one_cluster_needs_no_word() -> None:
    found = assessed(pod("b", view("b", "a")), pod("a", view("a", "b")))
    assert (found.observations, found.is_split, found.severity) == ((), False, Severity.NOTE)
    assert [each.name for each in found.pods] == ["a", "b"]
    assert heading(found) == "one cluster of 2 members, safe"


def test_members_that_see_different_lists_are_a_problem() -> None:
    found = assessed(pod("a", view("a", "b")), pod("b", view("b", "a")), pod("c", view("c")))
    (only,) = found.observations
    assert only.severity == Severity.PROBLEM
    assert only.message == "the members do not form one cluster: a, b see 2 members; c sees only itself"
    assert only.remedy.endswith("kubectl -n team delete pod c")
    assert found.is_split
    assert heading(found) == "2 clusters instead of one"


def test_two_clusters_of_one_size_are_told_apart_by_their_lists() -> None:
    assert assessed(
        pod("a", view("a", "b")), pod("b", view("b", "a")), pod("c", view("c", "d")), pod("d", view("d", "c"))
    ).is_split


def test_members_that_list_nothing_are_told_apart_by_their_sizes() -> None:
    sizes = [MemberView(Health("ACTIVE", "ACTIVE", True, 0, size)) for size in (2, 2, 1)]  # noqa: FBT003
    assert assessed(*(pod(str(number), seen) for number, seen in enumerate(sizes))).is_split
    assert not assessed(*(pod(str(number), seen) for number, seen in enumerate(sizes[:2]))).is_split


def test_a_member_that_ends_is_in_nobody_s_list_and_no_split() -> None:
    found = assessed(pod("a", view("a")), pod("b", view("b", "a", state="PASSIVE"), terminating=True))
    assert (found.is_split, found.observations) == (False, ())


@pytest.mark.parametrize(
    ("pods", "severity", "sentence"),
    [
        pytest.param(
            [pod("a", view("a", "b", "x", "y"))], Severity.WARNING, "a sees 4 members, but the group has 1",
            id="strangers",
        ),
        pytest.param(
            [pod("a", view("a")), pod("b", None, error="no answer within 5 s")],
            Severity.WARNING, "b could not be asked: no answer within 5 s", id="silent",
        ),
        pytest.param(
            [pod("a", view("a", state="FROZEN"))], Severity.WARNING, "the member of a is FROZEN", id="state"
        ),
        pytest.param(
            [pod("a", view("a", "b", safe=False)), pod("b", view("b", "a"))],
            Severity.WARNING, "entries are being copied between members, as a says", id="unsafe",
        ),
        pytest.param(
            [pod("a", view("a", version="5.6.0")), pod("b", view("b", version="5.7.0"))],
            Severity.PROBLEM, "members of the releases 5.6.0, 5.7.0 cannot form one cluster", id="releases",
        ),
        pytest.param(
            [pod("a", view("a", "b")), pod("b", view("b", "a"), image="hazelcast:5.7.1")],
            Severity.NOTE, "the images are hazelcast:5.7.0, hazelcast:5.7.1", id="images",
        ),
        pytest.param(
            [pod("a", view("a", "b")), pod("b", view("b", "a"), fingerprint="other")],
            Severity.NOTE, "injected with different settings", id="settings",
        ),
    ],
)  # fmt: skip
def test_what_deserves_a_word(pods: list[GroupPod], severity: Severity, sentence: str) -> None:
    found = [each for each in assessed(*pods).observations if sentence in each.message]
    assert [each.severity for each in found] == [severity], assessed(*pods).observations
    assert bool(found[0].remedy) == (severity != Severity.NOTE)


def test_a_pod_that_is_not_ready_owes_no_answer() -> None:
    assert assessed(pod("a", view("a")), pod("b", None, ready=False, error="refused")).observations == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"nodeState":"ACTIVE"}',
        "[" * 100_000,
        '{"clusterSize":-1}',
        "9" * 5000,
        " " * (MAX_ANSWER + 1),
    ],
)
def test_an_answer_of_something_else_is_refused(text: str) -> None:
    for decode in (decode_health, decode_members):
        with pytest.raises(UndecodableError):
            decode(text)


def test_long_texts_in_an_answer_are_refused() -> None:
    answer = {"nodeState": "A" * 129, "clusterState": "", "clusterSafe": True}
    answer |= {"migrationQueueSize": 0, "clusterSize": 1}
    with pytest.raises(UndecodableError, match="128"):
        decode_health(json.dumps(answer))
