"""Properties of what is put back where another webhook removed parts of a member."""

import json
from copy import deepcopy
from typing import Any

from hypothesis import assume, event, given
from hypothesis import strategies as st

from hazelcast_sidecar.injection.pod_decision import Deny, Inject, Reason, Restore, Skip
from hazelcast_sidecar.injection.reviewer import Reviewer
from hazelcast_sidecar.spec.settings import Settings
from tests.harness.pods import ours
from tests.harness.pods import pod as small_pod
from tests.harness.reviews import patched, response_in, review_of
from tests.harness.strategies import PREFIX, Document, pods, valid_annotations
from tests.harness.torn import GROUP, STATUS, TEARS, TEARS_BY_API, in_any_order, member
from tests.properties.test_pods import review

ALL_TEARS = TEARS | TEARS_BY_API
subsets = st.lists(st.sampled_from([*ALL_TEARS]), min_size=1, max_size=4, unique=True)


@given(pods(valid_annotations), subsets)
def test_whatever_is_removed_is_put_back_or_the_pod_is_denied(pod: Document, tears: list[str]) -> None:
    before = review(pod)
    assume(isinstance(before.decision, Inject))
    whole = patched(pod, response_in(before))
    torn = deepcopy(whole)
    for name in tears:
        ALL_TEARS[name](torn)
    again = review(torn)
    event(again.decision.reason)
    match again.decision:
        case Restore():
            restored = patched(torn, response_in(again))
            once_more = review(restored)
            assert once_more.decision == Skip(Reason.ALREADY_INJECTED)
            assert "patch" not in response_in(once_more)
            if "labels" not in tears:  # the Pod's own labels are for the other webhook to answer for
                assert in_any_order(restored) == in_any_order(whole)
        case Skip(reason=Reason.ALREADY_INJECTED):
            assert in_any_order(torn) == in_any_order(whole)
        case Deny(reason=reason):
            unrecognizable = STATUS not in torn["metadata"]["annotations"] or not signs(torn)
            assert unrecognizable, reason
        case Skip(reason=Reason.HAND_WRITTEN):
            assert STATUS not in torn["metadata"]["annotations"]
        case _:
            raise AssertionError(again.decision)


def signs(pod: Document) -> list[Any]:
    """What a member is recognized by."""
    found = member(pod)
    return [each for each in found.get("volumeMounts") or [] if each["name"] == "hazelcast-config"] + [
        each for each in found.get("env") or [] if each["name"] == "HAZELCAST_CONFIG"
    ]


# --- hostile Pods ------------------------------------------------------------------------------------------

RECORD = {
    "version": "1",
    "group": "shop",
    "cluster": "dev",
    "image": "x",
    "discovery": "dns",
    "port": 5701,
}
statuses = st.one_of(
    st.just(json.dumps(RECORD, separators=(",", ":"))),
    st.text(),
    st.sampled_from(["{}", "", "[" * 50_000, '{"port":' + "9" * 5000 + "}"]),
    st.fixed_dictionaries(
        {},
        optional={
            key: st.sampled_from([value, "api", "", -1, None, "x" * 100, '"}', 10**30])
            for key, value in RECORD.items()
        },
    ).map(lambda found: json.dumps({**RECORD, **found}, separators=(",", ":"))),
)
names = st.sampled_from(["hazelcast", "hazelcast-config", "hazelcast-tmp", "app"])
variables = st.sampled_from(
    [
        "HAZELCAST_CONFIG",
        "HAZELCAST_CONFIG",
        "HZ_CLUSTERNAME",
        "HAZELCAST_KUBERNETES_SERVICE_DNS",
        "HAZELCAST_CONFIG ",
    ]
)
paths = st.sampled_from(
    ["/etc/hazelcast", "/tmp", "/var/run/secrets/kubernetes.io/serviceaccount", "/"]  # noqa: S108 - no file
)


def several(elements: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | st.lists(elements, min_size=1, max_size=3)


containers = st.fixed_dictionaries(
    {"name": st.sampled_from(["hazelcast", "hazelcast", "app"])},
    optional={
        "restartPolicy": st.sampled_from([None, "Always", "Never"]),
        "env": several(st.fixed_dictionaries({"name": variables})),
        "volumeMounts": several(st.fixed_dictionaries({"name": names, "mountPath": paths})),
    },
)


@given(
    statuses,
    several(containers),
    several(containers),
    several(st.fixed_dictionaries({"name": names})),
    st.none() | st.dictionaries(st.just(GROUP), st.sampled_from(["shop", "other", ""])),
    st.sampled_from(["true", "true", "true", "false", "yes", None]),
)
def test_a_status_that_somebody_wrote_gains_nothing(
    status: str, inits: Any, ordinary: Any, volumes: Any, labels: Any, inject: str | None
) -> None:
    """It is answered, the Pod is not injected for it, and what is put back once is not put back again."""
    pod = small_pod(ours() | {STATUS: status}, initContainers=inits, containers=ordinary, volumes=volumes)
    pod["metadata"]["labels"] = labels
    if inject is None:
        del pod["metadata"]["annotations"][f"{PREFIX}inject"]
    else:
        pod["metadata"]["annotations"][f"{PREFIX}inject"] = inject
    body = json.dumps(review_of(pod)).encode()
    reviewer = Reviewer(Settings())
    decision = reviewer.review_pod(body).decision
    event(decision.reason)
    assert not isinstance(decision, Inject)
    recognized = [
        each
        for each in (*(inits or []), *(ordinary or []))
        if each["name"] == "hazelcast" and signs({"spec": {"containers": [each]}})
    ]
    if not recognized:
        assert isinstance(decision, Deny)
        assert decision.reason == Reason.NO_MEMBER
    if isinstance(decision, Restore):
        again = review(patched(pod, response_in(reviewer.review_pod(body))))
        assert again.decision == Skip(Reason.ALREADY_INJECTED)
