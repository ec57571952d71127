"""Record what an earlier version makes, for the tests of upgrades from it.

    cd tests/apiserver/recorded
    git worktree add /tmp/earlier COMMIT
    ../../../.venv/bin/python record.py /tmp/earlier KUBECTL >COMMIT.json

It runs the code of that checkout, of any layout that there was: Pods as its webhook left them, the objects
that its controller made for their groups, workloads as its webhook stored them, and what its kustomization
installs. A recording is never made again: what runs in clusters does not change either.
"""

import importlib
import json
import subprocess
import sys
from base64 import b64decode
from pathlib import Path
from typing import Any

import jsonpatch
import yaml

PREFIX = "sidecar.hazelcast.com/"
NAMESPACE = "NAMESPACE"
"""In the place of the namespace that the objects are for."""

ASKED: dict[str, dict[str, str]] = {
    "plain": {},
    "other-settings": {"port": "6000", "log-level": "DEBUG", "cluster-name": "orders"},
    "by-api": {"discovery": "api"},
    "ordinary-container": {"native-sidecar": "false"},
    "another-release": {"image": "hazelcast/hazelcast:5.6.0"},
}
"""Annotations by the name of the workload."""
GROUPS = ("plain", "by-api")
"""The groups whose objects are recorded; those of the others are like the first one's."""


def main(checkout: Path, kubectl: str) -> None:
    """Print the recording of a checkout."""
    sys.path[:0] = [str(checkout / "webhook"), str(checkout)]
    reviewer = _first("webhook.review", "hazelcast_sidecar.injection.reviewer").Reviewer()
    statuses = _first("webhook.status", "hazelcast_sidecar.model.status")
    objects = _first("webhook.resources", "hazelcast_sidecar.group_objects.desired_objects")
    needs = getattr(objects, "requirements_of", None) or objects.needs_of
    review_pod = getattr(reviewer, "review_pod", None) or reviewer.review
    pods = {name: _reviewed(review_pod, _pod(name, asked), "Pod") for name, asked in ASKED.items()}
    of_groups = {
        name: objects.of_group(
            needs([statuses.decode(pods[name]["metadata"]["annotations"][f"{PREFIX}status"])]),
            name,
            NAMESPACE,
        )
        for name in GROUPS
    }
    review_workload = getattr(reviewer, "review_workload", None)
    workloads = {
        name: _reviewed(review_workload, _deployment(name, asked), "Deployment")
        for name, asked in (ASKED.items() if review_workload else ())
    }
    base = subprocess.run(
        [kubectl, "kustomize", str(checkout / "manifests" / "base")],
        capture_output=True,
        text=True,
        check=True,
    )
    said = ["git", "-C", str(checkout), "log", "-1", "--format=%h %cs"]
    commit, date = subprocess.run(said, capture_output=True, text=True, check=True).stdout.split()
    recorded = {
        "commit": commit,
        "date": date,
        "pods": pods,
        "objects": of_groups,
        "workloads": workloads,
        "installation": [each for each in yaml.safe_load_all(base.stdout) if each],
    }
    sys.stdout.write(json.dumps(recorded, indent=1) + "\n")


def _first(*names: str) -> Any:
    """Import the first module that there is: the oldest layout first, as the newest may be installed, too."""
    for name in names:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError:
            continue
    raise LookupError(f"a layout without any of {', '.join(names)}; name its modules here")


def _metadata(name: str, asked: dict[str, str]) -> dict[str, Any]:
    given = {"inject": "true", **asked}
    return {"name": name, "annotations": {f"{PREFIX}{key}": text for key, text in given.items()}}


def _pod(name: str, asked: dict[str, str]) -> dict[str, Any]:
    """Make a Pod as the ReplicaSet of a Deployment does."""
    metadata = _metadata(name, asked)
    metadata["name"] = f"{name}-6d4b75cb6d-x2x4z"
    metadata["labels"] = {"app": name, "pod-template-hash": "6d4b75cb6d"}
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": f"{name}-6d4b75cb6d", "uid": "UID"}
    metadata["ownerReferences"] = [owner | {"controller": True}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": _spec()}


def _spec() -> dict[str, Any]:
    # As the API server completes it.
    return {
        "containers": [{"name": "app", "image": "shop:1"}],
        "serviceAccountName": "default",
        "automountServiceAccountToken": True,
        "terminationGracePeriodSeconds": 30,
    }


def _deployment(name: str, asked: dict[str, str]) -> dict[str, Any]:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": _spec()}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": _metadata(name, asked), "spec": spec}


def _reviewed(review: Any, obj: dict[str, Any], kind: str) -> dict[str, Any]:
    """Have an object reviewed, and return it as it is stored."""
    group = obj["apiVersion"].rpartition("/")[0]
    request = {
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
        "kind": {"group": group, "version": "v1", "kind": kind},
        "resource": {"group": group, "version": "v1", "resource": f"{kind.lower()}s"},
        "namespace": "default",
        "operation": "CREATE",
        "object": obj,
    }
    body = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
    response = json.loads(review(json.dumps(body).encode()).body)["response"]
    if "patch" not in response:
        raise ValueError(f"{obj['metadata']['name']} is not changed: {response}")
    stored: dict[str, Any] = jsonpatch.apply_patch(obj, json.loads(b64decode(response["patch"])))
    return stored


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
