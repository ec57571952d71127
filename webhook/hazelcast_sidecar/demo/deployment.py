"""Pods of a Deployment's replicas, made from its manifest as Kubernetes' controllers make them."""

import hashlib
import json
import ssl
import uuid
from base64 import b64decode
from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path
from typing import NamedTuple

import aiohttp
import jsonpatch
import yaml

from hazelcast_sidecar.demo.failure import DemoError
from hazelcast_sidecar.demo.ports import USUAL, ReplicaPorts
from hazelcast_sidecar.group_objects.desired_objects import of_group, requirements_of
from hazelcast_sidecar.kube.objects import JsonObject
from hazelcast_sidecar.model import status
from hazelcast_sidecar.names import PREFIX, STATUS

_HASH_LENGTH = 10


class Beside(NamedTuple):
    """The objects of a group that its members need, apart from their Pods."""

    config_map: JsonObject
    headless_service: JsonObject


def read_deployment(folder: Path) -> tuple[JsonObject, str]:
    """Return the Deployment in a kustomization's folder, and its namespace.

    Raises:
        DemoError: a file cannot be read, or there is not exactly one of each.
    """
    try:
        documents = [
            document
            for path in sorted(folder.glob("*.yaml"))
            for document in yaml.safe_load_all(path.read_text(encoding="utf-8"))
            if document
        ]
    except (OSError, yaml.YAMLError) as error:
        raise DemoError(f"the manifests in {folder} cannot be read: {error}") from error
    deployments, kustomizations = (
        [document for document in documents if document.get("kind") == kind]
        for kind in ("Deployment", "Kustomization")
    )
    if (len(deployments), len(kustomizations)) != (1, 1):
        raise DemoError(f"{folder} does not hold exactly one Deployment and one Kustomization")
    return deployments[0], kustomizations[0]["namespace"]


def on_ports(deployment: JsonObject, ports: ReplicaPorts) -> JsonObject:
    """Return a Deployment whose application and members have these ports; the usual ones change nothing."""
    changed = deepcopy(deployment)
    template = changed["spec"]["template"]
    (container,) = template["spec"]["containers"]
    container["ports"][0]["containerPort"] = ports.application
    if ports.member != USUAL.member:
        template["metadata"]["annotations"][f"{PREFIX}port"] = str(ports.member)
    return changed


def beside(pods: Iterable[JsonObject], namespace: str) -> Beside:
    """Make the controller's objects for the members of one group, from the status annotations of its Pods."""
    statuses = [status.decode(pod["metadata"]["annotations"][STATUS]) for pod in pods]
    objects = {obj["kind"]: obj for obj in of_group(requirements_of(statuses), statuses[0].group, namespace)}
    return Beside(objects["ConfigMap"], objects["Service"])


def replica_pod(deployment: JsonObject, namespace: str) -> JsonObject:
    """Make a Pod as the Deployment's ReplicaSet creates it, with the API server's defaults."""
    template = deepcopy(deployment["spec"]["template"])
    name = deployment["metadata"]["name"]
    template_hash = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:_HASH_LENGTH]
    owner = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "name": f"{name}-{template_hash}",
        "uid": str(uuid.uuid4()),
        "controller": True,
        "blockOwnerDeletion": True,
    }
    metadata = template.get("metadata", {})
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": f"{name}-{template_hash}-",
            "namespace": namespace,
            **metadata,
            "labels": {**metadata.get("labels", {}), "pod-template-hash": template_hash},
            "ownerReferences": [owner],
        },
        "spec": {
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 30,
            "dnsPolicy": "ClusterFirst",
            "serviceAccountName": "default",
            **template["spec"],
        },
    }


def admission_review(pod: JsonObject) -> JsonObject:
    """Make the review that the API server sends before it stores a Pod (admission.k8s.io/v1)."""
    pods = {"group": "", "version": "v1", "resource": "pods"}
    kind = {"group": "", "version": "v1", "kind": "Pod"}
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": str(uuid.uuid4()),
            "kind": kind,
            "resource": pods,
            "requestKind": kind,
            "requestResource": pods,
            "namespace": pod["metadata"]["namespace"],
            "operation": "CREATE",
            "userInfo": {"username": "system:serviceaccount:kube-system:replicaset-controller"},
            "object": pod,
            "oldObject": None,
            "dryRun": False,
            "options": {"apiVersion": "meta.k8s.io/v1", "kind": "CreateOptions"},
        },
    }


async def admit(pod: JsonObject, url: str, tls: ssl.SSLContext, http: aiohttp.ClientSession) -> JsonObject:
    """Send a Pod to the webhook and apply the patch that it returns, as the API server does.

    Raises:
        DemoError: the webhook did not allow the Pod, or did not answer with a patch.
    """
    review = admission_review(pod)
    async with http.post(f"{url}?timeout=5s", json=review, ssl=tls) as response:
        text = await response.text()
    if response.status != 200:  # noqa: PLR2004 - HTTP's own number
        raise DemoError(f"the webhook answered {response.status}: {text}")
    answer = json.loads(text)["response"]
    if answer["uid"] != review["request"]["uid"]:
        raise DemoError("the webhook's answer belongs to another request")
    if not answer["allowed"]:
        raise DemoError(f"the webhook denied the Pod: {answer['status']['message']}")
    if "patch" not in answer:
        raise DemoError("the webhook did not change the Pod")
    patched: JsonObject = jsonpatch.apply_patch(pod, json.loads(b64decode(answer["patch"])))
    return patched


def selects(service: JsonObject, pod: JsonObject) -> bool:
    """Tell whether a Service's selector matches a Pod, so that its DNS name has the Pod's address."""
    labels = pod["metadata"].get("labels", {})
    return all(labels.get(key) == value for key, value in service["spec"]["selector"].items())
