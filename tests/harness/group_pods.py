"""Pods in an API server as the webhook leaves them."""

import json
from typing import Any

import msgspec

from hazelcast_sidecar.injection import member
from hazelcast_sidecar.injection.fingerprint import fingerprint
from hazelcast_sidecar.names import PREFIX
from hazelcast_sidecar.spec.annotations import DefaultSpecs, SidecarSpec, parse
from hazelcast_sidecar.spec.settings import Settings
from tests.harness.control_plane import ControlPlane

_PARSED = parse({f"{PREFIX}inject": "true"}, DefaultSpecs(Settings()).of("default"))
assert isinstance(_PARSED, SidecarSpec)
_SPEC: SidecarSpec = _PARSED
TODAYS = fingerprint(_SPEC, Settings().run_as_user)
"""What today's settings give a Pod with no further annotations."""
ON_REQUEST = {"PodDisruptionBudget": "disruptionBudget", "NetworkPolicy": "networkPolicy"}
"""What is there only where a Pod's record asks for it, and by which field."""


def status(group: str, **changed: Any) -> dict[str, Any]:
    """Make the record that the webhook leaves on a Pod."""
    made = {"version": "0.1.0", "group": group, "cluster": "dev", "image": "hazelcast/hazelcast:5.7.0"}
    return made | {"discovery": "dns", "port": 5701, "config": False, "fingerprint": TODAYS} | changed


def spec_of(record: dict[str, Any]) -> dict[str, Any]:
    """Make the spec of a Pod as the webhook leaves it, to which this record is true."""
    spec = msgspec.structs.replace(
        _SPEC,
        port=record["port"],
        clients="pod" if record.get("podClients") else "any",
        discovery=record["discovery"],
        config="mine" if record["config"] else None,
    )
    accounts = {"serviceAccountName": record["serviceAccount"]} if record.get("serviceAccount") else {}
    return accounts | {
        "initContainers": [member.container(spec, record["group"], Settings().run_as_user)],
        "containers": [{"name": "app", "image": "shop:1"}],
        "volumes": member.volumes(spec, record["group"]),
    }


def create_pod(
    cluster: ControlPlane,
    namespace: str,
    name: str,
    group: str,
    record: dict[str, Any] | str | None = None,
    owner: dict[str, Any] | None = None,
    spec: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Create a Pod as the webhook leaves it.

    Args:
        cluster: where.
        namespace: where it is to be.
        name: of the Pod.
        group: of its label, and of its member where the record is no mapping.
        record: its status; text is taken as it is.
        owner: what controls it; a Pod without one is a bare one.
        spec: another one than the record tells of.
    """
    text = record if isinstance(record, str) else json.dumps(record or status(group))
    metadata: dict[str, Any] = {"name": name, "labels": {f"{PREFIX}group": group}}
    asked_for = {f"{PREFIX}inject": "true", f"{PREFIX}group": group}
    metadata["annotations"] = asked_for | {f"{PREFIX}status": text}
    if owner:
        metadata["ownerReferences"] = [owner | {"controller": True, "blockOwnerDeletion": True}]
    true = record if isinstance(record, dict) else status(group)
    body = {"metadata": metadata, "spec": spec or spec_of(true)}
    answer = cluster.request("POST", f"/api/v1/namespaces/{namespace}/pods", body)
    assert answer.code == 201, answer.message
    return answer.document


def api(group: str, service_account: str = "default") -> dict[str, Any]:
    return status(group, discovery="api", serviceAccount=service_account)


def delete_pod(cluster: ControlPlane, namespace: str, name: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/pods/{name}?gracePeriodSeconds=0"
    assert cluster.request("DELETE", path).code == 200


def api_part(discovery: str) -> dict[str, str]:
    return {"serviceAccount": "default"} if discovery == "api" else {}


def asking_for(kind: str, group: str) -> dict[str, Any]:
    """Make the record of a Pod that needs an object of a kind."""
    discovery = "dns" if kind == "Service" else "api"
    asked_for = {ON_REQUEST[kind]: True} if kind in ON_REQUEST else {}
    return status(group, discovery=discovery, **api_part(discovery), **asked_for)
