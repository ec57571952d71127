"""Admission reviews: bytes in, bytes out."""

import json
from base64 import b64decode
from http import HTTPStatus
from typing import Any

import pytest

from hazelcast_sidecar.errors import ReviewError
from hazelcast_sidecar.injection.pod_decision import SENTENCES, Reason
from hazelcast_sidecar.injection.reviewer import Reviewer
from hazelcast_sidecar.model.admission_review import allowed
from hazelcast_sidecar.spec.settings import Settings
from tests.harness.named_pods import SAME
from tests.harness.pods import ours, pod
from tests.harness.reviews import patched, response_in, review_of

REVIEWER = Reviewer()
MIRRORED = Reviewer(Settings(image_pull_secrets=("mirror", "other")))


def respond(obj: Any, reviewer: Reviewer = REVIEWER, **request: Any) -> dict[str, Any]:
    return response_in(reviewer.review_pod(json.dumps(review_of(obj, **request)).encode()))


def inject(obj: dict[str, Any], reviewer: Reviewer = REVIEWER) -> Any:
    response = respond(obj, reviewer)
    assert response["allowed"], response
    return patched(obj, response)


def test_an_annotated_pod_is_allowed_with_a_patch_and_its_uid() -> None:
    response = respond(pod(), uid='u"1')
    assert response["uid"] == 'u"1'
    assert response["allowed"] is True
    assert patched(pod(), response)["spec"]["initContainers"][0]["name"] == "hazelcast"


def test_the_audit_names_the_group_of_what_is_injected_and_restored() -> None:
    response = respond(pod())
    assert response["auditAnnotations"] == {"outcome": "injected", "group": "shop"}
    torn = patched(pod(), response)
    del torn["metadata"]["labels"]["sidecar.hazelcast.com/group"]
    assert respond(torn)["auditAnnotations"] == {"outcome": "restored", "group": "shop"}
    assert respond(pod({}))["auditAnnotations"] == {"outcome": "not-requested"}


def test_the_patch_of_a_workload_names_only_what_differs() -> None:
    before = {"other": "x", "sidecar.hazelcast.com/inject": "true"}
    workload = {
        "metadata": {"name": "shop", "annotations": ours(port="6000") | {"mine": "y"}},
        "spec": {"template": {"metadata": {"annotations": before}, "spec": {"containers": [{"name": "a"}]}}},
    }
    kind = {"group": "apps", "version": "v1", "kind": "Deployment"}
    review = json.dumps(review_of(workload, kind=kind)).encode()
    response = response_in(REVIEWER.review_workload(review))
    port, label, record = json.loads(b64decode(response["patch"]))
    assert port == {
        "op": "add",
        "path": "/spec/template/metadata/annotations/sidecar.hazelcast.com~1port",
        "value": "6000",
    }
    assert label == {
        "op": "add",
        "path": "/spec/template/metadata/labels",
        "value": {"sidecar.hazelcast.com/inject": "true"},
    }
    assert (record["op"], record["path"].rpartition("/")[0]) == ("add", "/metadata/annotations")


def test_a_warning_has_as_many_characters_as_the_api_server_takes() -> None:
    texts = ("x" * 256, "x" * 257, "\n" * 200)
    short, long, escaped = json.loads(b"{%b}" % allowed({}, texts))["warnings"]
    assert short == "x" * 256
    assert long == "x" * 255 + "…"
    assert len(escaped) == 256


@pytest.mark.parametrize("annotations", [{}, {"sidecar.hazelcast.com/inject": "false"}, {"other": "x"}])
def test_a_pod_that_does_not_ask_is_allowed_unchanged(annotations: dict[str, str]) -> None:
    response = respond(pod(annotations))
    assert response.keys() == {"uid", "allowed", "auditAnnotations"}
    assert response["allowed"] is True


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
    ("asked", "reason"),
    [
        ({"operation": "DELETE", "object": None}, Reason.NOT_A_WRITE),
        ({"subResource": "scale"}, Reason.NOT_A_WRITE),
        ({}, Reason.NO_TEMPLATE),
    ],
)
def test_each_cause_that_leaves_a_workload_as_it_is_has_its_code(
    asked: dict[str, Any], reason: Reason
) -> None:
    obj = {"metadata": {"name": "shop"}, "spec": {}}
    review = review_of(obj, kind={"group": "apps", "version": "v1", "kind": "Deployment"}, **asked)
    reviewed = Reviewer().review_workload(json.dumps(review).encode())
    assert reviewed.decision.reason is reason
    assert response_in(reviewed)["auditAnnotations"] == {"outcome": reason}


def test_every_code_has_a_sentence_of_its_own() -> None:
    assert SENTENCES.keys() == set(Reason)
    assert len(set(SENTENCES.values())) == len(SENTENCES)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "not an AdmissionReview"),
        (b"{", "not an AdmissionReview"),
        (b"\xff\xfe", "not an AdmissionReview"),
        (b"[]", "not an AdmissionReview"),
        (b'{"a":' + b"[" * 1_000_000, "nested too deeply"),
        (json.dumps({"kind": "Pod"}).encode(), 'the body is a "Pod", not an AdmissionReview'),
        (
            json.dumps({**review_of(pod()), "apiVersion": "admission.k8s.io/v1beta1"}).encode(),
            "must contain v1",
        ),
        (json.dumps({**review_of(pod()), "request": None}).encode(), "has no request"),
        (
            json.dumps({**review_of({"spec": 1}), "apiVersion": "admission.k8s.io/v1beta1"}).encode(),
            "must contain v1",
        ),
        (json.dumps({"kind": "Pod", "request": 7}).encode(), 'the body is a "Pod", not an AdmissionReview'),
        (json.dumps({**review_of(pod()), "request": 7}).encode(), "the AdmissionReview cannot be read: "),
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
        REVIEWER.review_pod(body)
    assert refusal.value.status == HTTPStatus.BAD_REQUEST
    assert sentence in refusal.value.sentence


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
    assert len(reviewer._kept) == 0  # noqa: SLF001 - what is kept is the point
    inject(pod(), reviewer)
    assert len(reviewer._kept) == 1  # noqa: SLF001


@pytest.mark.heavy
def test_a_patch_that_was_pushed_out_is_made_again() -> None:
    reviewer = Reviewer()
    first = inject(pod(ours(group="g0")), reviewer)
    for number in range(1100):
        inject(pod(ours(group=f"g{number}")), reviewer)
    assert inject(pod(ours(group="g0")), reviewer) == first
    assert len(reviewer._kept) <= 1024  # noqa: SLF001 - the bound is the point


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ({}, ["mirror", "other"]),
        ({"imagePullSecrets": None}, ["mirror", "other"]),
        ({"imagePullSecrets": []}, ["mirror", "other"]),
        ({"imagePullSecrets": [{"name": "mine"}]}, ["mine", "mirror", "other"]),
        ({"imagePullSecrets": [{"name": "other"}, {}]}, ["other", None, "mirror"]),
        ({"imagePullSecrets": [{"name": "other"}, {"name": "mirror"}]}, ["other", "mirror"]),
    ],
)
def test_pull_secrets_are_added_to_those_that_a_pod_has(own: dict[str, Any], expected: list[str]) -> None:
    """One reviewer for all of them would show a patch that is kept for another Pod."""
    injected = inject(pod(**own), MIRRORED)
    assert [each.get("name") for each in injected["spec"]["imagePullSecrets"]] == expected
    assert inject(injected, MIRRORED) == injected
    assert "imagePullSecrets" not in inject(pod(annotations={}), MIRRORED)["spec"]


def test_no_annotation_chooses_pull_secrets() -> None:
    reviewed = MIRRORED.review_pod(json.dumps(review_of(pod(ours(**{"image-pull-secrets": "x"})))).encode())
    assert "image-pull-secrets: no such annotation" in response_in(reviewed)["status"]["message"]


def test_settings_reach_the_member() -> None:
    reviewer = Reviewer(Settings(defaults={"image": "r.example/hz:1"}, run_as_user=None))
    member = inject(pod(), reviewer)["spec"]["initContainers"][0]
    assert member["image"] == "r.example/hz:1"
    assert "runAsUser" not in member["securityContext"]
    assert member["securityContext"]["runAsNonRoot"] is True


@pytest.mark.parametrize(
    ("name", "user"),
    [
        ("of OpenShift", 1000680000),
        ("of OpenShift, no user", 65534),
        ("of OpenShift, root", 65534),
        ("a user without OpenShift", 65534),
    ],
)
def test_the_member_has_the_user_that_openshift_assigned(name: str, user: int) -> None:
    """It takes no other. Where it assigned none, or the Pod runs elsewhere, it is that of the settings."""
    context = inject(SAME[name])["spec"]["initContainers"][0]["securityContext"]
    assert (context["runAsUser"], context["runAsGroup"]) == (user, user)


def test_the_platform_s_user_is_left_to_the_platform() -> None:
    reviewer = Reviewer(Settings(run_as_user=None))
    context = inject(SAME["of OpenShift"], reviewer)["spec"]["initContainers"][0]["securityContext"]
    assert "runAsUser" not in context
