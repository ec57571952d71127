"""Whether the members of a group form one cluster, judged by their answers."""

import json

import msgspec
import pytest

from hazelcast_sidecar.group_status.report import heading
from hazelcast_sidecar.members.assessment import Assessment, GroupPod, Severity, assess
from hazelcast_sidecar.members.view import (
    MAX_ANSWER,
    Health,
    MemberView,
    decode_health,
    decode_members,
    view_of,
)
from hazelcast_sidecar.untrusted import UndecodableError


def view(
    own: str, *others: str, safe: bool = True, state: str = "ACTIVE", version: str = "5.7.0"
) -> MemberView:
    listed = [
        {"address": f"[{name}]:5701", "uuid": name, "localMember": name == own, "memberVersion": version}
        for name in (own, *others)
    ]
    health = {"nodeState": state, "clusterState": "ACTIVE", "clusterSafe": safe, "clusterSize": len(listed)}
    health["migrationQueueSize"] = 0 if safe else 7
    return view_of(json.dumps(health).encode(), json.dumps({"members": listed}).encode())


def counting(size: int) -> MemberView:
    """The view of a member that does not say which others it sees."""
    return MemberView(
        Health("ACTIVE", "ACTIVE", cluster_safe=True, migration_queue_size=0, cluster_size=size)
    )


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
    assert (found.observations, found.split, found.severity) == ((), None, Severity.NOTE)
    assert [each.name for each in found.pods] == ["a", "b"]
    assert heading(found) == "one cluster of 2 members, safe"


def test_members_that_see_different_lists_are_a_problem() -> None:
    found = assessed(pod("a", view("a", "b")), pod("b", view("b", "a")), pod("c", view("c")))
    (only,) = found.observations
    assert only.severity == Severity.PROBLEM
    assert only.message == "the members do not form one cluster: a, b see 2 members; c sees only itself"
    assert only.remedy.endswith("kubectl -n team delete pod c")
    assert found.split == only
    assert heading(found) == "2 clusters instead of one"


def test_two_clusters_of_one_size_are_told_apart_by_their_lists() -> None:
    assert assessed(
        pod("a", view("a", "b")), pod("b", view("b", "a")), pod("c", view("c", "d")), pod("d", view("d", "c"))
    ).split


def test_members_that_list_nothing_are_told_apart_by_their_sizes() -> None:
    sizes = [counting(size) for size in (2, 2, 1)]
    assert assessed(*(pod(str(number), seen) for number, seen in enumerate(sizes))).split
    assert assessed(*(pod(str(number), seen) for number, seen in enumerate(sizes[:2]))).split is None


def test_a_member_that_lists_nothing_is_told_from_those_that_do_by_its_size() -> None:
    """As where one Pod of a group has a configuration of the user's own."""
    listing = [pod("a", view("a", "b", "c")), pod("b", view("b", "a", "c"))]
    assert assessed(*listing, pod("c", counting(3))).split is None
    found = assessed(*listing, pod("c", counting(1)), pod("d", counting(1))).split
    assert found
    assert found.message.endswith("a, b see 3 members; c, d see only itself")


def test_of_very_many_clusters_some_are_named() -> None:
    found = assessed(*(pod(f"p{number:03}", view(f"p{number:03}")) for number in range(1000))).split
    assert found
    assert found.message.endswith("p004 sees only itself and 995 more")
    assert found.remedy.endswith("kubectl -n team delete pod p001 p002 p003 p004 p005")


def test_a_member_that_ends_is_in_nobody_s_list_and_no_split() -> None:
    found = assessed(pod("a", view("a")), pod("b", view("b", "a", state="PASSIVE"), terminating=True))
    assert (found.split, found.observations) == (None, ())


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
    found = assessed(pod("a", view("a")), pod("b", None, ready=False, error="refused"))
    assert (found.observations, found.silent) == ((), [])
    assert [each.name for each in assessed(pod("a", view("a")), pod("b", None)).silent] == ["b"]


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


def test_a_list_that_is_none_counts_as_no_answer_and_an_odd_health_does_not() -> None:
    health = view("a").health
    answer = msgspec.json.encode(health)
    for listed in (None, b"", b"{}", b"\xff", b'{"members":[{"address":1}]}'):
        assert view_of(answer, listed) == MemberView(health)
    with pytest.raises(UndecodableError):
        view_of(b"{}", None)


def test_the_identity_of_a_cluster_depends_on_its_members_alone() -> None:
    seen = [view("a", "b", "c"), view("c", "a", "b"), view("a", "b"), view("a", "b", "d")]
    assert seen[0].cluster == seen[1].cluster
    assert len({each.cluster for each in seen}) == 3
    assert seen[0].members
    kept = seen[0].without_list()
    assert (kept.members, kept.cluster, kept.version) == (None, seen[0].cluster, "5.7.0")


def test_long_texts_in_an_answer_are_refused() -> None:
    answer = {"nodeState": "A" * 129, "clusterState": "", "clusterSafe": True}
    answer |= {"migrationQueueSize": 0, "clusterSize": 1}
    with pytest.raises(UndecodableError, match="128"):
        decode_health(json.dumps(answer))
