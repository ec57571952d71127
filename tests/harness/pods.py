"""Pods as a user or a workload's controller sends them, and as webhooks leave them."""

import json
from copy import deepcopy
from typing import Any

from hazelcast_sidecar.injection.reviewer import Reviewer
from hazelcast_sidecar.names import GROUP, PREFIX, STATUS
from hazelcast_sidecar.spec.settings import Settings
from tests.harness.reviews import patched, response_in, review_of
from tests.harness.torn import TEARS

Pod = dict[str, Any]


def ours(**annotations: str) -> dict[str, str]:
    """Annotations under our prefix, with inject; `java_opts` stands for `java-opts`."""
    return {
        f"sidecar.hazelcast.com/{name.replace('_', '-')}": value
        for name, value in {"inject": "true", **annotations}.items()
    }


def pod(annotations: dict[str, str] | None = None, **spec: Any) -> Pod:
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


def bare(annotations: dict[str, str] | None = None, /, **spec: Any) -> Pod:
    """A bare Pod, asking for a member unless told otherwise."""
    given = ours() if annotations is None else annotations
    container = {"name": "app", "image": "shop:1"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "shop", "annotations": given},
        "spec": {"containers": [container], **spec},
    }


def owned(
    kind: str, name: str, labels: dict[str, str] | None = None, *, controller: bool = True, **annotations: str
) -> Pod:
    """A Pod that a workload's controller makes."""
    made = bare(ours(**annotations))
    owner = {"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": "1", "controller": controller}
    made["metadata"] |= {"name": "shop-0", "ownerReferences": [owner]}
    made["metadata"] |= {"labels": labels} if labels else {}
    return made


def with_account(pod: Pod) -> Pod:
    """The Pod with the name of its ServiceAccount, as all webhooks see it.

    The API server's plugin sets it before them. It is off in most tests, as it wants accounts; a Pod without
    a name may have no token there.
    """
    return {**pod, "spec": {"serviceAccountName": "default"} | pod["spec"]}


def restricted(annotations: dict[str, str], **metadata: Any) -> Pod:
    """Make a Pod that passes `restricted` as it is, so that what is refused is refused for what was added."""
    container = {
        "name": "app",
        "image": "shop:1",
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "shop", "annotations": annotations, **metadata},
        "spec": {
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [container],
        },
    }


def app(name: str = "app", **fields: Any) -> Pod:
    return {"name": name, "image": "shop:1", **fields}


def with_metadata(body: Pod, **metadata: Any) -> Pod:
    """The Pod with other metadata; None takes a field away."""
    made = body["metadata"] | metadata
    return body | {"metadata": {key: value for key, value in made.items() if value is not None}}


def injected(body: Pod, settings: Settings | None = None) -> Pod:
    """The Pod as the webhook, with these settings, leaves it."""
    response = response_in(Reviewer(settings).review_pod(json.dumps(review_of(body)).encode()))
    made: Pod = patched(body, response)
    assert STATUS in made["metadata"]["annotations"], response
    return made


def annotated(body: Pod, **annotations: str) -> Pod:
    """The Pod with other annotations of ours."""
    made = deepcopy(body)
    made["metadata"]["annotations"] |= {f"{PREFIX}{name}": text for name, text in annotations.items()}
    return made


def torn(body: Pod, *tears: str) -> Pod:
    """The Pod as the webhook and then another one leave it."""
    made = injected(body)
    for tear in tears:
        TEARS[tear](made)
    return made


def changed(body: Pod, **spec: Any) -> Pod:
    """The Pod with other fields of its spec."""
    return body | {"spec": body["spec"] | spec}


def labelled(body: Pod, group: str) -> Pod:
    """The Pod with another label of ours."""
    made = deepcopy(body)
    made["metadata"]["labels"] |= {GROUP: group}
    return made
