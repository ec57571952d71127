"""Which workload a Pod belongs to, and the group that follows."""

import re
from typing import Any

import msgspec
import pytest

from hazelcast_sidecar.model.pod import Pod, workload_name
from hazelcast_sidecar.names import MAX_GROUP, group_of_workload, resource_name


def workload(**metadata: Any) -> str:
    return workload_name(msgspec.convert({"metadata": metadata, "spec": {}}, Pod))


def owner(kind: str, name: str, *, controller: bool = True) -> dict[str, Any]:
    return {"kind": kind, "name": name, "controller": controller}


@pytest.mark.parametrize(
    ("metadata", "name"),
    [
        (
            {"ownerReferences": [owner("ReplicaSet", "shop-1a")], "labels": {"pod-template-hash": "1a"}},
            "shop",
        ),
        (
            {
                "ownerReferences": [owner("ReplicaSet", "shop-1a")],
                "labels": {"rollouts-pod-template-hash": "1a"},
            },
            "shop",
        ),
        ({"ownerReferences": [owner("ReplicaSet", "shop-1a")]}, "shop-1a"),
        (
            {"ownerReferences": [owner("ReplicaSet", "shop-1a")], "labels": {"pod-template-hash": "2b"}},
            "shop-1a",
        ),
        (
            {
                "ownerReferences": [owner("ReplicationController", "orders-3")],
                "labels": {"deploymentconfig": "orders"},
            },
            "orders",
        ),
        (
            {
                "ownerReferences": [owner("ReplicaSet", "greeter-00007-deployment-5f")],
                "labels": {"pod-template-hash": "5f", "serving.knative.dev/service": "greeter"},
            },
            "greeter",
        ),
        (
            {
                "ownerReferences": [owner("Job", "drain-queue-7xk2p")],
                "labels": {"scaledjob.keda.sh/name": "drain-queue"},
            },
            "drain-queue",
        ),
        (  # the label of another one, or of nobody
            {
                "ownerReferences": [owner("ReplicationController", "orders-3")],
                "labels": {"deploymentconfig": "order"},
            },
            "orders-3",
        ),
        ({"ownerReferences": [owner("Job", "a-b")], "labels": {"scaledjob.keda.sh/name": ""}}, "a-b"),
        ({"ownerReferences": [owner("StatefulSet", "a-b")], "labels": {"deploymentconfig": "a"}}, "a-b"),
        ({"ownerReferences": [owner("StatefulSet", "db")], "name": "db-0"}, "db"),
        ({"ownerReferences": [owner("Node", "n", controller=False)], "name": "alone"}, "alone"),
        ({"name": "alone"}, "alone"),
        ({"generateName": "alone--"}, "alone"),
    ],
)
def test_the_workload_is_what_made_the_pod(metadata: dict[str, Any], name: str) -> None:
    assert workload(**metadata) == name


@pytest.mark.parametrize(
    "name",
    ["a" * 253, "a.b", "x" * 54, "a" * 40 + "." + "b" * 40, "system:foo", "My_Flow", ".a", "-", "", "ü"],
)
def test_a_name_that_fits_no_label_gets_a_group_of_its_own_that_does(name: str) -> None:
    group = group_of_workload(name)
    assert len(group) <= MAX_GROUP
    assert len(resource_name(group)) <= 63
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", group)
    assert group not in {group_of_workload(name + "x"), group_of_workload("x" + name)}


def test_a_name_that_fits_is_the_group() -> None:
    assert group_of_workload("shop") == "shop"
