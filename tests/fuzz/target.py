"""What holds for any body that reaches the reviews, whoever made it."""

import json
from base64 import b64decode
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import jsonpatch

from hazelcast_sidecar.errors import ReviewError
from hazelcast_sidecar.injection.reviewer import Reviewed, Reviewer

REVIEWER = Reviewer()
REVIEWS: tuple[Callable[[bytes], Reviewed], ...] = (REVIEWER.review_pod, REVIEWER.review_workload)

MAX_GROWTH = 10_000_000
"""Bytes that an answer may be longer than its review: 65,536 bytes hold some ten thousand containers."""


def check(body: bytes) -> int:
    """Have a body reviewed on both paths, and say on how many it was answered.

    Raises:
        AssertionError: an answer is none that the API server can read, or none to this review.
        Exception: any other than ReviewError is a mistake of the program.
    """
    return sum(_is_answered(review, body) for review in REVIEWS)


def _is_answered(review: Callable[[bytes], Reviewed], body: bytes) -> bool:
    try:
        reviewed = review(body)
    except ReviewError as refusal:
        _check_refusal(refusal)
        return False
    assert len(reviewed.body) < len(body) + MAX_GROWTH
    answer = json.loads(reviewed.body)
    assert (answer["apiVersion"], answer["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    response = answer["response"]
    assert isinstance(response["allowed"], bool)
    assert response["allowed"] or response["status"]["message"].isprintable()
    # What nobody reads may be no UTF-8, or nested beyond what Python's own reader takes.
    with suppress(RecursionError):
        _check_against(response, json.loads(body.decode(errors="replace"))["request"])
    return True


def _check_refusal(refusal: ReviewError) -> None:
    assert HTTPStatus.BAD_REQUEST <= refusal.status < HTTPStatus.INTERNAL_SERVER_ERROR
    assert refusal.sentence


def _check_against(response: dict[str, Any], request: dict[str, Any]) -> None:
    assert response["uid"] == request["uid"]
    assert response["allowed"] or "patch" not in response
    if "patch" in response:
        assert response["patchType"] == "JSONPatch"
        operations = json.loads(b64decode(response["patch"], validate=True))
        assert jsonpatch.apply_patch(request["object"], operations) != request["object"]
