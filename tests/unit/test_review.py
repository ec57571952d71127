"""Admission reviews: bytes in, bytes out."""

import json
from http import HTTPStatus
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import ours, patched, pod, response_in, review_of
from webhook.errors import ReviewError
from webhook.review import Reviewer
from webhook.settings import Settings

REVIEWER = Reviewer()


def respond(obj: Any, reviewer: Reviewer = REVIEWER, **request: Any) -> dict[str, Any]:
    return response_in(reviewer.review(json.dumps(review_of(obj, **request)).encode()))


def inject(obj: dict[str, Any], reviewer: Reviewer = REVIEWER) -> Any:
    response = respond(obj, reviewer)
    assert response["allowed"], response
    return patched(obj, response)


def test_an_annotated_pod_is_allowed_with_a_patch_and_its_uid() -> None:
    response = respond(pod(), uid='u"1')
    assert response["uid"] == 'u"1'
    assert response["allowed"] is True
    assert patched(pod(), response)["spec"]["initContainers"][0]["name"] == "hazelcast"


@pytest.mark.parametrize("annotations", [{}, {"sidecar.hazelcast.com/inject": "false"}, {"other": "x"}])
def test_a_pod_that_does_not_ask_is_allowed_unchanged(annotations: dict[str, str]) -> None:
    response = respond(pod(annotations))
    assert response == {"uid": response["uid"], "allowed": True}


def test_a_forgotten_inject_is_a_warning() -> None:
    response = respond(pod({"sidecar.hazelcast.com/port": "6000"}))
    assert response["allowed"]
    assert response["warnings"][0].startswith(
        "no Hazelcast member is injected: sidecar.hazelcast.com/port is set"
    )


def test_a_denied_pod_hears_everything_at_once_with_code_422() -> None:
    response = respond(pod(ours(port="80", imge="x")))
    assert response["allowed"] is False
    assert response["status"]["code"] == HTTPStatus.UNPROCESSABLE_ENTITY
    message = response["status"]["message"]
    assert message.startswith("Pod shop-6d4b75cb6d-*: 2 problems: (1) sidecar.hazelcast.com/port")
    assert '(2) sidecar.hazelcast.com/imge: no such annotation (did you mean "image"?)' in message
    assert "patch" not in response


def test_a_deletion_and_a_subresource_are_allowed_unchanged() -> None:
    assert respond(None, operation="DELETE")["allowed"]
    assert "patch" not in respond(pod(), subResource="ephemeralcontainers")


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "no AdmissionReview"),
        (b"{", "no AdmissionReview"),
        (b"\xff\xfe", "no AdmissionReview"),
        (b"[]", "no AdmissionReview"),
        (b'{"a":' + b"[" * 100_000, "nested too deeply"),
        (json.dumps({"kind": "Pod"}).encode(), 'the body is a "Pod", not an AdmissionReview'),
        (json.dumps({**review_of(pod()), "apiVersion": "admission.k8s.io/v1beta1"}).encode(), "must name v1"),
        (json.dumps({**review_of(pod()), "request": None}).encode(), "has no request"),
        (json.dumps(review_of(pod(), uid="")).encode(), "no uid"),
        (
            json.dumps(
                review_of(pod(), kind={"group": "apps", "version": "v1", "kind": "Deployment"})
            ).encode(),
            "apps/v1/Deployment",
        ),
        (
            json.dumps(review_of({"spec": 1}, kind={"group": "", "version": "v1", "kind": "Node"})).encode(),
            'the request is about a "v1/Node", not a Pod',
        ),
        (
            json.dumps(review_of({"metadata": {"labels": {"a": 1}}, "spec": {}})).encode(),
            "$.request.object.metadata.labels",
        ),
        (json.dumps(review_of({"spec": {}})).encode(), "missing required field `metadata`"),
    ],
)
def test_what_is_no_review_of_a_pod_is_a_bad_request_with_a_sentence(body: bytes, sentence: str) -> None:
    with pytest.raises(ReviewError) as refusal:
        REVIEWER.review(body)
    assert refusal.value.status == HTTPStatus.BAD_REQUEST
    assert sentence in refusal.value.sentence


def test_injecting_an_injected_pod_changes_nothing() -> None:
    once = inject(pod())
    assert inject(once) == once


def test_workloads_with_equal_annotations_do_not_share_a_patch() -> None:
    for name in ("one", "two"):
        obj = pod()
        obj["metadata"]["ownerReferences"] = [{"kind": "StatefulSet", "name": name, "controller": True}]
        after = inject(obj)
        assert after["metadata"]["labels"]["sidecar.hazelcast.com/group"] == name
        assert after["spec"]["volumes"][0]["configMap"]["name"] == f"hazelcast-{name}"


def test_a_pod_without_containers_is_left_to_the_api_server() -> None:
    for native in ("true", "false"):
        inject(pod(ours(native_sidecar=native), containers=None))


def test_a_patch_for_very_many_containers_is_not_kept() -> None:
    reviewer = Reviewer()
    inject(pod(containers=[{"name": f"c{number}"} for number in range(1000)]), reviewer)
    assert len(reviewer._patches) == 0  # noqa: SLF001 - what is kept is the point
    inject(pod(), reviewer)
    assert len(reviewer._patches) == 1  # noqa: SLF001


def test_a_patch_that_was_pushed_out_is_made_again() -> None:
    reviewer = Reviewer()
    first = inject(pod(ours(group="g0")), reviewer)
    for number in range(1100):
        inject(pod(ours(group=f"g{number}")), reviewer)
    assert inject(pod(ours(group="g0")), reviewer) == first
    assert len(reviewer._patches) <= 1024  # noqa: SLF001 - the bound is the point


def test_settings_reach_the_member() -> None:
    reviewer = Reviewer(Settings(defaults={"image": "r.example/hz:1"}, run_as_user=None))
    member = inject(pod(), reviewer)["spec"]["initContainers"][0]
    assert member["image"] == "r.example/hz:1"
    assert "runAsUser" not in member["securityContext"]
    assert member["securityContext"]["runAsNonRoot"] is True


names = st.sampled_from(["HAZELCAST_ADDRESS", "HAZELCAST_CLUSTER_NAME", "OTHER", "MORE"])
env = st.none() | st.lists(names, unique=True).map(
    lambda chosen: [{"name": name, "value": "v"} for name in chosen]
)
containers = st.lists(env, min_size=1, max_size=3).map(
    lambda envs: [{"name": f"c{i}"} | ({} if e is None else {"env": e}) for i, e in enumerate(envs)]
)
optional_lists = st.none() | st.lists(
    st.sampled_from([{"name": "x"}, {"name": "y"}]), max_size=2, unique_by=str
)
pods = st.builds(
    lambda annotations, labels, containers, init, volumes, grace: {
        "metadata": {"name": "p", "annotations": annotations}
        | ({} if labels is None else {"labels": labels}),
        "spec": {"containers": containers}
        | ({} if init is None else {"initContainers": init})
        | ({} if volumes is None else {"volumes": volumes})
        | ({} if grace is None else {"terminationGracePeriodSeconds": grace}),
    },
    st.sampled_from([ours(), ours(native_sidecar="false"), ours(metrics="true", discovery="api")]),
    st.none() | st.just({}) | st.just({"app": "p"}),
    containers,
    optional_lists,
    optional_lists,
    st.none() | st.integers(0, 400),
)


KEEPING = Reviewer()


@settings(max_examples=300)
@given(pods, st.sampled_from(["one", "two"]))
def test_a_kept_patch_is_the_one_that_would_be_made_anew(obj: dict[str, Any], name: str) -> None:
    named = {**obj, "metadata": {**obj["metadata"], "name": name}}
    assert inject(named, KEEPING) == inject(named, Reviewer())


@settings(max_examples=500)
@given(pods)
def test_any_pod_keeps_what_it_had_and_gains_a_member_once(obj: dict[str, Any]) -> None:
    once = inject(obj)
    assert inject(once) == once
    before, after = obj["spec"], once["spec"]
    own = [c for c in after.get("initContainers", []) + after["containers"] if c["name"] == "hazelcast"]
    assert len(own) == 1
    assert [c["name"] for c in after["containers"] if c not in own] == [
        c["name"] for c in before["containers"]
    ]
    assert [c for c in after.get("initContainers", []) if c not in own] == before.get("initContainers", [])
    assert after["volumes"][:-2] == before.get("volumes", [])
    assert after["terminationGracePeriodSeconds"] >= before.get("terminationGracePeriodSeconds", 30)
    for old, new in zip(before["containers"], after["containers"], strict=False):
        variables = [variable["name"] for variable in new["env"]]
        assert sorted(variables) == sorted({*variables, "HAZELCAST_ADDRESS", "HAZELCAST_CLUSTER_NAME"})
        assert [v for v in new["env"] if v in old.get("env", [])] == old.get("env", [])
