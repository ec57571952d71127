"""Options and fixtures of all tests."""

import json
import os
import sys
from base64 import b64decode
from pathlib import Path
from typing import Any

import jsonpatch
import pytest
from hypothesis import HealthCheck, settings

from hazelcast_sidecar.injection.reviewer import Reviewed
from tests.harness.distribution import ByFile, Durations

CHECKOUT = Path(__file__).parent.parent

# Else each of the hundreds of programs that tests start compiles the package first, which takes longer than
# its start, and pytest rewrites the assertions of all tests in each process.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# The same examples in every run, so that a failure is there again, and fewer of them in `quick`;
# `--hypothesis-profile thorough` looks further, and elsewhere each time.
settings.register_profile("steady", deadline=None, max_examples=200, derandomize=True, database=None)
settings.register_profile(
    "quick",
    settings.get_profile("steady"),
    max_examples=20,
    suppress_health_check=[HealthCheck.filter_too_much],  # of so few, the first count for much
)
settings.register_profile("thorough", deadline=None, max_examples=1000, print_blob=True)
settings.load_profile("steady")


def pytest_configure(config: pytest.Config) -> None:
    """Know how long tests take, for the order in which they run side by side."""
    config.pluginmanager.register(Durations(config))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    """Keep the tests of a file together."""
    return ByFile(config, log)


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The folder of the source checkout."""
    return CHECKOUT


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--update`: write the golden files anew."""
    parser.addoption("--update", action="store_true", help="write the golden files anew")


def pod(annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    """A small Pod of the Deployment `shop`, asking for a member unless told otherwise."""
    given = {"sidecar.hazelcast.com/inject": "true"} if annotations is None else annotations
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": "shop-6d4b75cb6d-",
            "labels": {"app": "shop", "pod-template-hash": "6d4b75cb6d"},
            "annotations": given,
            "ownerReferences": [{"kind": "ReplicaSet", "name": "shop-6d4b75cb6d", "controller": True}],
        },
        "spec": {
            "containers": [{"name": "app", "image": "shop:1"}],
            "terminationGracePeriodSeconds": 30,
            **spec,
        },
    }


def ours(**annotations: str) -> dict[str, str]:
    """Annotations under our prefix, with inject; `java_opts` stands for `java-opts`."""
    return {
        f"sidecar.hazelcast.com/{name.replace('_', '-')}": value
        for name, value in {"inject": "true", **annotations}.items()
    }


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
