"""Pods, workloads and their annotations as hypothesis strategies.

A Pod is made of parts that are in use somewhere: service meshes, secret injectors, members written by hand.
Each list can be absent, null, empty or filled, as whatever stands behind the API server sees all four. With
`valid=True` only what the API server takes is made, apart from rare contradictions between two parts.
"""

import json
from collections.abc import Iterable
from itertools import cycle, islice, permutations
from random import Random
from typing import Any

from hypothesis import strategies as st

PREFIX = "sidecar.hazelcast.com/"
COPIED = PREFIX + "copied"
ABSENT = object()

Document = dict[str, Any]


def documents(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Document]:
    """Mappings in which a field that is ABSENT is left out."""
    return st.fixed_dictionaries(fields).map(
        lambda found: {key: value for key, value in found.items() if value is not ABSENT}
    )


def field(filled: st.SearchStrategy[Any], empty: Any = ABSENT, *, valid: bool) -> st.SearchStrategy[Any]:
    """A field that is absent, null, empty or filled; null and empty only where the reader sees them."""
    others = [ABSENT] if empty is ABSENT else [ABSENT, empty]
    return st.sampled_from(others if valid else [*others, None]) | filled


def some(elements: list[Any], most: int = 3) -> st.SearchStrategy[list[Any]]:
    """Up to so many of these elements, each once, in any order: one draw, where a list takes several."""
    by_length = [[*permutations(elements, length)] for length in range(min(most, len(elements)) + 1)]
    longest = max(map(len, by_length))
    every = [chosen for same in by_length for chosen in islice(cycle(same), longest)]  # each length as often
    return st.sampled_from(every).map(list)


# --- annotations -------------------------------------------------------------------------------------------

GOOD: dict[str, list[str]] = {
    "group": ["orders", "a", "g" * 53],
    "cluster-name": ["orders", "Läden $(HOME) \"1\" '2'", "$$(X) ${Y} `z`", "é" * 128],
    "image": ["r.example:5000/hazelcast/hazelcast:5.7.0-slim", "hazelcast@sha256:" + "0" * 64],
    "config": ["own", "a.b-1"],
    "extensions": ["jars"],
    "discovery": ["dns", "api"],
    "ip-family": ["ipv4", "ipv6"],
    "port": ["5701", "6000", "65533"],
    "clients": ["any", "pod"],
    "cpu-request": ["1m", "0.05", "100m"],
    "cpu-limit": ["100m", "1.", "64", "999999999999999E"],
    "memory-request": ["256Mi", "268435456.5", "300M"],
    "memory-limit": ["512Mi", "0.5Gi", "600000000000m", "999999999999999E"],
    "heap-percentage": ["10", "80"],
    "java-opts": ["", " -Da=b\n-Xmx1g ", "-XX:+UseSerialGC"],
    "native-sidecar": ["true", "false"],
    "wait": ["true", "false"],
    "shutdown-timeout": ["1", "90s", "1h"],
    "backups": ["any", "node", "zone"],
    "backup-count": ["0", "1", "6"],
    "disruption-budget": ["true", "false"],
    "network-policy": ["true", "false"],
    "metrics": ["true", "false"],
    "metrics-port": ["9701", "9801"],
    "sql": ["true", "false"],
    "management": ["true", "false"],
    "license-secret": ["licence", "a.b"],
    "log-format": ["text", "json"],
    "log-level": ["ERROR", "DEBUG"],
}
"""Values that every annotation but `inject` takes."""

BAD: dict[str, list[str]] = {name: ["", "\0", "x y", "-1", "٤٢"] for name in GOOD} | {
    "cluster-name": ["", "\0", " x", "x" * 129],
    "java-opts": ["-version", "-Da=$(X)", "*", "x" * 4097],
}
"""Values that it refuses."""

UNKNOWN = ["prot", "x" * 300, "a/b", "a~b", "\uff5e", ""]
"""Names that no annotation has."""

FOREIGN = {"example.com/note": "x", "sidecar.istio.io/status": "{}", "linkerd.io/inject": "enabled"}


def texts(names: list[str], values: dict[str, list[str]], most: int = 4) -> st.SearchStrategy[dict[str, str]]:
    """Up to so many annotations of ours, each with one of its values."""
    pairs = [(PREFIX + name, value) for name in names for value in values[name]]
    return st.lists(st.sampled_from(pairs), max_size=most, unique_by=lambda pair: pair[0]).map(dict)


good_annotations = texts([*GOOD], GOOD)
bad_annotations = texts([*BAD], BAD, most=2)
unknown_annotations = texts(UNKNOWN, {key: ["x"] for key in UNKNOWN}, most=1)
foreign_annotations = some([*FOREIGN.items()]).map(dict)
inject = st.sampled_from([{PREFIX + "inject": "true"}] * 8 + [{PREFIX + "inject": "false"}, {}])
odd_inject = inject | st.sampled_from([{PREFIX + "inject": text} for text in ("True", "yes", "")])


def merged(*parts: st.SearchStrategy[dict[str, str]]) -> st.SearchStrategy[dict[str, str]]:
    """All of them in one mapping."""
    return st.tuples(*parts).map(lambda found: {key: text for part in found for key, text in part.items()})


valid_annotations = merged(inject, good_annotations, foreign_annotations)
wild_annotations = st.one_of(
    valid_annotations,
    valid_annotations,
    merged(odd_inject, good_annotations, bad_annotations, unknown_annotations, foreign_annotations),
)


# --- parts of a Pod ----------------------------------------------------------------------------------------

VARIABLES = [
    {"name": "HAZELCAST_ADDRESS", "value": "elsewhere:5701"},
    {"name": "HAZELCAST_CLUSTER_NAME", "value": "$(OTHER)-$$(X)"},
    {"name": "OTHER", "value": "$(HAZELCAST_ADDRESS)"},
    {"name": "POD_IP", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}},
    {"name": "OTHER", "value": "set twice"},
    {"name": "EMPTY"},
]
PORTS = [
    {"containerPort": 8080},
    {"containerPort": 5701, "protocol": "UDP"},
    {"containerPort": 9090, "name": "hazelcast", "protocol": "TCP"},
    {"containerPort": 9701, "name": "metrics"},
    {"containerPort": 5701, "name": "hz"},
]
RESOURCES = [
    {},
    {"requests": {"cpu": "100m", "memory": "64Mi"}},
    {"requests": {"memory": "1e8"}, "limits": {"cpu": "1", "memory": "1e9"}},
    {"limits": {"cpu": "2", "memory": "1Gi", "ephemeral-storage": "1Gi"}},
]
ENV_FROM = [{"configMapRef": {"name": "settings"}}, {"prefix": "S_", "secretRef": {"name": "secrets"}}]
MOUNT_TMP = [{"name": "work", "mountPath": "/tmp"}]  # noqa: S108 - somebody's own
SECURITY = [
    {"runAsNonRoot": True, "runAsUser": 1000},
    {"privileged": True},
    {"windowsOptions": {"hostProcess": True}},
]

VOLUMES = [
    {"name": "work", "emptyDir": {}},
    {"name": "istio-envoy", "emptyDir": {"medium": "Memory"}},
    {"name": "linkerd-identity-end-entity", "emptyDir": {"medium": "Memory"}},
    {"name": "vault-secrets", "emptyDir": {"medium": "Memory"}},
    {"name": "kube-api-access-x", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
    {"name": "hazelcast", "configMap": {"name": "hazelcast"}},
    {"name": "jars", "image": {"reference": "r.example/jars:1"}},
    {"name": "hazelcast-tmp", "emptyDir": {}},
]
TOLERATIONS = [{"operator": "Exists"}, {"key": "a", "operator": "Equal", "value": "b", "effect": "NoExecute"}]

ISTIO = {"name": "istio-proxy", "image": "istio/proxyv2:1.27", "ports": [{"containerPort": 15090}]}
LINKERD = {"name": "linkerd-proxy", "image": "cr.l5d.io/linkerd/proxy:2", "env": [{"name": "_l5d_ns"}]}
VAULT = {"name": "vault-agent", "image": "hashicorp/vault:1.20", "env": [{"name": "VAULT_ADDR"}]}
SIDECARS: list[Document] = [ISTIO, LINKERD, VAULT]
INIT_CONTAINERS: list[Document] = [
    *({**sidecar, "restartPolicy": "Always"} for sidecar in SIDECARS),
    {"name": "istio-init", "image": "istio/proxyv2:1.27", "args": ["istio-iptables"]},
    {"name": "vault-agent-init", "image": "hashicorp/vault:1.20", "env": [{"name": "HAZELCAST_ADDRESS"}]},
    {"name": "migrate", "image": "shop:1", "resources": {"requests": {"memory": "700Mi"}}},
]
MEMBERS = [
    {"name": "hz", "image": "hazelcast/hazelcast:5.3.6", "ports": [{"containerPort": 5701}]},
    {"name": "hazelcast", "image": "r.example:5000/hazelcast-enterprise@sha256:" + "0" * 64},
    {"name": "hazelcast", "image": "proxy:1"},
]
"""Written by hand; the last one has the name only."""


def containers(*, valid: bool) -> st.SearchStrategy[Document]:
    """An application's container; its name is still open."""
    return documents(
        image=st.sampled_from(["shop:1", "r.example/hazelcast-client:1", "shop@sha256:" + "0" * 64]),
        env=field(some(VARIABLES), [], valid=valid),
        envFrom=field(some(ENV_FROM), [], valid=valid),
        ports=field(some(PORTS[:-1]) if valid else some(PORTS), [], valid=valid),
        resources=field(st.sampled_from(RESOURCES), valid=valid),
        securityContext=field(st.sampled_from(SECURITY if valid else SECURITY[:1]), valid=valid),
        volumeMounts=st.just(ABSENT) if valid else field(st.just(MOUNT_TMP), [], valid=valid),
    )


def _named(found: tuple[list[Document], list[Document]]) -> list[Document]:
    own, others = found
    return [*({"name": f"app-{index}", **each} for index, each in enumerate(own)), *others]


def container_lists(*, valid: bool) -> st.SearchStrategy[list[Document]]:
    """Containers of an application, some with sidecars beside, seldom with a member written by hand."""
    own = st.lists(containers(valid=valid), min_size=1, max_size=3)
    members = st.sampled_from([[]] * 12 + [[member] for member in MEMBERS])
    others = st.tuples(some(SIDECARS, most=1), members).map(lambda found: [*found[0], *found[1]])
    return st.tuples(own, others).map(_named)


def init_container_lists(*, valid: bool) -> st.SearchStrategy[Any]:
    """Init containers, native sidecars among them, none of them named as one of SIDECARS in `containers`."""
    filled = some([{**each, "name": f"{each['name']}-i"} for each in INIT_CONTAINERS])
    return field(filled, [], valid=valid)


GRACE = [0, 1, 30, 400, 2**31 - 1, 2**62]
WHOLE_POD_RESOURCES = [
    {"limits": {"cpu": "4", "memory": "4Gi"}},
    {"requests": {"cpu": "200m", "memory": "600Mi"}, "limits": {"memory": "8Gi"}},
    {"requests": {"cpu": "3", "memory": "3Gi"}},
    {"limits": {"memory": "1e8"}},
    {"requests": {"memory": "1500Mi"}, "limits": {"memory": "2e9"}},
]


def specs(*, valid: bool) -> st.SearchStrategy[Document]:
    """The spec of a Pod."""
    rarely = st.sampled_from([ABSENT] * 5 + [*WHOLE_POD_RESOURCES])
    return documents(
        containers=container_lists(valid=valid),
        initContainers=init_container_lists(valid=valid),
        volumes=field(some(VOLUMES if not valid else VOLUMES[:-1]), [], valid=valid),
        tolerations=field(some(TOLERATIONS), [], valid=valid),
        terminationGracePeriodSeconds=field(st.sampled_from(GRACE), valid=valid),
        hostNetwork=field(st.sampled_from([True, False]), valid=valid),
        dnsPolicy=st.sampled_from(
            [ABSENT] * 5 + ["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"]
        ),
        dnsConfig=st.sampled_from([ABSENT, {"searches": []}, {"searches": ["default.svc.cluster.local"]}]),
        nodeSelector=field(
            st.sampled_from([{"kubernetes.io/os": "linux"}, {"kubernetes.io/os": "windows"}]), {}, valid=valid
        ),
        os=st.sampled_from([ABSENT] * 6 + [{"name": "linux"}, {"name": "windows"}]),
        resources=rarely,
        automountServiceAccountToken=st.sampled_from([ABSENT, True, False]),
        restartPolicy=st.sampled_from([ABSENT, "Always", "Never", "OnFailure"]),
        serviceAccountName=st.sampled_from([ABSENT, "shop"]),
        securityContext=field(st.sampled_from([{"runAsUser": 1000}, {"fsGroup": 0}]), {}, valid=valid),
        shareProcessNamespace=st.sampled_from([ABSENT, True]),
    )


# --- Pods --------------------------------------------------------------------------------------------------

HASH = "6d4b75cb6d"
OWNERS = [
    [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": f"shop-{HASH}", "uid": "1", "controller": True}],
    [{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "shop", "uid": "2", "controller": True}],
    [
        {
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "name": "a.b." + "c" * 60,
            "uid": "3",
            "controller": True,
        }
    ],
    [{"apiVersion": "batch/v1", "kind": "Job", "name": "shop-28391", "uid": "4", "controller": True}],
    [{"apiVersion": "v1", "kind": "ReplicationController", "name": "shop", "uid": "5", "controller": True}],
    [{"apiVersion": "example.com/v1", "kind": "Shop", "name": "Shop", "uid": "6", "controller": False}],
]
LABELS = [{"app": "shop"}, {"app": "shop", "pod-template-hash": HASH}, {"rollouts-pod-template-hash": HASH}]
FOREIGN_LABELS = [{PREFIX + "group": "other"}, {PREFIX + "group": "shop"}]


def metadata(annotations: st.SearchStrategy[Any], *, valid: bool) -> st.SearchStrategy[Document]:
    """Metadata of a Pod, with a name or with one that the API server will complete."""
    name = st.sampled_from([{"name": "shop"}, {"generateName": f"shop-{HASH}-"}, {"name": "shop.1"}])
    labels = LABELS if valid else [*LABELS, *FOREIGN_LABELS]
    rest = documents(
        annotations=annotations,
        labels=field(st.sampled_from(labels), {}, valid=valid),
        ownerReferences=field(st.sampled_from(OWNERS), [], valid=valid),
    )
    return st.tuples(name, rest).map(lambda found: {**found[0], **found[1]})


def pods(
    annotations: st.SearchStrategy[Any] = wild_annotations, *, valid: bool = False
) -> st.SearchStrategy[Document]:
    """Pods as they reach the webhook."""
    return documents(
        apiVersion=st.just("v1"),
        kind=st.just("Pod"),
        metadata=metadata(annotations, valid=valid),
        spec=specs(valid=valid),
    ).map(as_sent)


def as_sent(document: Document) -> Document:
    """The document with every part its own: a list that stands in it twice would also change twice."""
    return dict(json.loads(json.dumps(document)))


def shuffled(document: Any, random: Random) -> Any:
    """The same document with the keys of its mappings in another order."""
    match document:
        case dict():
            keys = random.sample([*document], len(document))
            return {key: shuffled(document[key], random) for key in keys}
        case list():
            return [shuffled(each, random) for each in document]
        case _:
            return document


# --- workloads ---------------------------------------------------------------------------------------------

TEMPLATES = {
    ("apps", "Deployment"): ("spec", "template"),
    ("apps", "StatefulSet"): ("spec", "template"),
    ("apps", "DaemonSet"): ("spec", "template"),
    ("apps", "ReplicaSet"): ("spec", "template"),
    ("batch", "Job"): ("spec", "template"),
    ("batch", "CronJob"): ("spec", "jobTemplate", "spec", "template"),
}
"""Where each kind of workload has its Pod template, by API group and kind."""

SMALL_SPEC: Document = {"containers": [{"name": "app", "image": "shop:1"}]}
KEYS = ["inject", "group", "cluster-name", "log-level"]
VALUES = {
    "inject": ["true", "false"],
    "group": ["a", "b"],
    "cluster-name": ["a", "b"],
    "log-level": ["WARN", "no"],
}
few_annotations = merged(texts(KEYS, VALUES), foreign_annotations)
records = st.sampled_from(["", "{", "[]", "null", '{"a": 1}', "[" * 3000]) | (
    few_annotations | valid_annotations
).map(json.dumps)
"""The annotation in which it stands what was copied, as it is or as somebody's hand made it."""


def fields_of(path: tuple[str, ...], keys: Iterable[str]) -> Document:
    """An entry of `managedFields`, of somebody who owns annotations of a template."""
    fields: Document = {f"f:{key}": {} for key in sorted(keys)}
    for step in reversed((*path, "metadata", "annotations")):
        fields = {f"f:{step}": fields}
    return {"manager": "kubectl", "operation": "Update", "fieldsType": "FieldsV1", "fieldsV1": fields}


def nested(path: tuple[str, ...], innermost: Any) -> Document:
    """A document with something at a path."""
    for step in reversed(path):
        innermost = {step: innermost}
    return dict(innermost)


# Made once: to make strategies takes longer than to draw from them.
_kinds = st.sampled_from([*TEMPLATES])
_annotations = field(few_annotations | wild_annotations, {}, valid=False)
_specs = st.just(SMALL_SPEC) | specs(valid=False)
_plain_metadata = st.sampled_from([None, {}, {"labels": {"app": "shop"}}])


@st.composite
def workloads(draw: st.DrawFn) -> tuple[tuple[str, str], Document]:
    """A kind, and a workload of it, with any record and any account of who wrote what."""
    kind = draw(_kinds)
    path = TEMPLATES[kind]
    of_template = draw(_annotations)
    template: Document = {"spec": draw(_specs)}
    if of_template is not ABSENT:
        template["metadata"] = {"labels": {"app": "shop"}, "annotations": of_template}
    elif draw(st.booleans()):
        template["metadata"] = draw(_plain_metadata)
    own = draw(_annotations)
    if own not in (ABSENT, None) and draw(st.booleans()):
        own = own | {COPIED: draw(records)}
    if own not in (ABSENT, None) and draw(st.booleans()):
        # What was applied need not be there any more: somebody may have edited the template since.
        applied = nested(path, {"metadata": {"annotations": draw(few_annotations)}})
        own = own | {"kubectl.kubernetes.io/last-applied-configuration": json.dumps(applied)}
    metadata: Document = {"name": "shop"} | ({} if own is ABSENT else {"annotations": own})
    if of_template not in (ABSENT, None) and draw(st.booleans()):
        metadata["managedFields"] = [fields_of(path, draw(some([*of_template])))]
    return kind, as_sent({"metadata": metadata, **nested(path, template)})
