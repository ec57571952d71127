"""Admission reviews, and what their answers make of an object."""

import json
from base64 import b64decode
from typing import Any

import jsonpatch

from hazelcast_sidecar.injection.reviewer import Reviewed


def review_of(obj: Any, **request: Any) -> dict[str, Any]:
    """An AdmissionReview of the creation of an object."""
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "namespace": "default",
            "operation": "CREATE",
            "object": obj,
            "oldObject": None,
            "dryRun": False,
            **request,
        },
    }


def response_in(reviewed: Reviewed) -> dict[str, Any]:
    """The admission response of an answer."""
    answer = json.loads(reviewed.body)
    assert (answer["apiVersion"], answer["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    return dict(answer["response"])


def patched(obj: Any, response: dict[str, Any]) -> Any:
    """The object with the response's patch applied, as the API server applies it."""
    if "patch" not in response:
        return obj
    assert response["patchType"] == "JSONPatch"
    return jsonpatch.apply_patch(obj, json.loads(b64decode(response["patch"])))
