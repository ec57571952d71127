"""Events about workloads: those of the controller, and those that it reads."""

import time
from typing import Any

from tests.harness.accounts import NAME
from tests.harness.control_plane import ControlPlane
from tests.harness.waiting import SETTLE_SECONDS, until

TELL_SECONDS = 180.0
POLICY_DENIAL = (
    "ValidatingAdmissionPolicy 'hazelcast-sidecar-injector' with binding 'hazelcast-sidecar-injector' "
    "denied request: "
)
DENIAL = 'Error creating: admission webhook "pods.sidecar.hazelcast.com" denied the request: Pod shop-*: no'


def failed_create(cluster: ControlPlane, namespace: str, owner: dict[str, Any], message: str) -> None:
    """Record what the ReplicaSet controller does when its Pod was refused."""
    about = owner | {"namespace": namespace, "kind": "ReplicaSet"}
    body = {"metadata": {"generateName": "failed-"}, "involvedObject": about, "type": "Warning", "count": 1}
    body |= {"reason": "FailedCreate", "message": message, "source": {"component": "replicaset-controller"}}
    answer = cluster.request("POST", f"/api/v1/namespaces/{namespace}/events", body)
    assert answer.code == 201, answer.message


def told(cluster: ControlPlane, namespace: str, reason: str | None = None) -> list[dict[str, Any]]:
    """Read the Events of ours."""
    answer = cluster.request("GET", f"/api/v1/namespaces/{namespace}/events")
    assert answer.code == 200, answer.message
    return [
        event
        for event in answer.document["items"]
        if event["source"].get("component") == NAME and reason in (None, event["reason"])
    ]


def wait_until_told(
    cluster: ControlPlane, namespace: str, reason: str, events: int = 1
) -> list[dict[str, Any]]:
    until(TELL_SECONDS, f"{events} of {reason}", lambda: len(told(cluster, namespace, reason)) >= events)
    return told(cluster, namespace, reason)


def deny_until_told(
    cluster: ControlPlane, namespace: str, owner: dict[str, Any], message: str, reason: str = "Denied"
) -> dict[str, Any]:
    """Deny a Pod again and again, as a real ReplicaSet's is, until one Event of ours says so: return that.

    A new leader tells of what is denied from then on, and the metric that says it leads may be sooner.
    """

    def is_told() -> bool:
        failed_create(cluster, namespace, owner, message)
        time.sleep(SETTLE_SECONDS)
        return bool(told(cluster, namespace, reason))

    until(TELL_SECONDS, f"it is told that Pods are refused: {reason}", is_told)
    (event,) = told(cluster, namespace, reason)
    return event


def wait_for_sentence(cluster: ControlPlane, namespace: str, reason: str, sentence: str) -> dict[str, Any]:
    """Wait until an Event says it, and return that Event."""
    seen: list[dict[str, Any]] = []

    def said() -> bool:
        seen[:] = [event for event in told(cluster, namespace, reason) if sentence in event["message"]]
        return bool(seen)

    until(TELL_SECONDS, f"{reason}: {sentence}", said)
    return seen[0]
