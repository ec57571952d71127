"""Reviews with very many elements, or very long texts, in each place that the webhook reads.

Sizes are in bytes of the whole review. Each shape is what a tenant can send: an API server decodes an object
before it asks webhooks, and validates it afterwards.
"""

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any, NamedTuple

from hazelcast_sidecar.limits import MAX_VALUES, UNCOUNTED_BYTES
from hazelcast_sidecar.model.workload import KINDS, LAST_APPLIED
from hazelcast_sidecar.names import COPIED, GROUP, PREFIX
from hazelcast_sidecar.server.app import MUTATE_PODS, MUTATE_WORKLOADS
from tests.harness.pods import ours, pod
from tests.harness.reviews import review_of

UNPRINTABLE = "\u200b"
WIDE = "\U0001f600"
"""A letter that makes each of its text take four bytes in memory."""

_HOLE = "@"
Build = Callable[[int], bytes]


class Shape(NamedTuple):
    """One place, and what it is filled with."""

    what: str
    path: str
    """Where its review is posted."""
    build: Build
    """Makes a review of about this size."""


def listing(element: str) -> Callable[[int], str]:
    """A list of equal elements."""
    return lambda size: "[" + ",".join([element] * max(1, size // (len(element) + 1))) + "]"


def mapping(value: str = '"x"', prefix: str = "") -> Callable[[int], str]:
    """A mapping of different keys, each with this value."""

    def filled(size: int) -> str:
        count = max(1, size // (len(prefix) + len(value) + 10))
        return "{" + ",".join([f'"{prefix}{number:06x}":{value}' for number in range(count)]) + "}"

    return filled


def text(unit: str, before: str = "") -> Callable[[int], str]:
    """A string; `unit` is what JSON has between quotes."""
    return lambda size: f'"{before}{unit * (size // len(unit.encode()))}"'


def quoted(filled: Callable[[int], str]) -> Callable[[int], str]:
    """A string of JSON text."""
    return lambda size: json.dumps(filled(size))


def nested(opening: str, closing: str, depth: int = 300) -> Callable[[int], str]:
    """A list of what is nested as deep as decoders let it be."""
    return listing(opening * depth + "1" + closing * depth)


def _put(document: Any, where: tuple[str | int, ...], value: object) -> None:
    for step in where[:-1]:
        document = document[step] if isinstance(step, int) else document.setdefault(step, {})
    document[where[-1]] = value


def _filled(review: dict[str, Any], fill: Callable[[int], str], *places: tuple[str | int, ...]) -> Build:
    """A review with the same bulk in each place."""
    review = deepcopy(review)
    for where in places:
        _put(review["request"], where, _HOLE)
    parts = json.dumps(review, ensure_ascii=False).split(json.dumps(_HOLE))
    return lambda size: fill((size - sum(map(len, parts))) // len(places)).join(parts).encode()


def _workload(kind: str) -> dict[str, Any]:
    """A review of the update of a workload whose Pods get a member."""
    group, template = next((known.group, known.template) for known in KINDS.values() if known.name == kind)
    obj: dict[str, Any] = {"kind": kind, "metadata": {"name": "shop", "annotations": ours()}}
    _put(obj, template, {key: pod({})[key] for key in ("metadata", "spec")})
    about = {"group": group, "version": "v1", "kind": kind}
    return review_of(obj, kind=about, operation="UPDATE", oldObject=deepcopy(obj))


# Of a Pod, and of a workload's Pod template.
_IN_PODS: dict[str, tuple[tuple[str | int, ...], Callable[[int], str]]] = {
    "containers, empty": (("spec", "containers"), listing("{}")),
    "containers named as the member": (("spec", "containers"), listing('{"name":"hazelcast"}')),
    "containers with the member's port": (
        ("spec", "containers"),
        listing('{"ports":[{"containerPort":5701}]}'),
    ),
    "containers of a member's image": (("spec", "containers"), listing('{"image":"hazelcast"}')),
    "containers with our variables": (
        ("spec", "containers"),
        listing('{"name":"a","env":[{"name":"HAZELCAST_ADDRESS"},{"name":"HAZELCAST_CLUSTER_NAME"}]}'),
    ),
    "containers with empty resources": (
        ("spec", "containers"),
        listing('{"resources":{"requests":{},"limits":{}}}'),
    ),
    "Windows containers": (
        ("spec", "containers"),
        listing('{"securityContext":{"windowsOptions":{"hostProcess":true}}}'),
    ),
    "init containers, empty": (("spec", "initContainers"), listing("{}")),
    "init containers named as the member": (("spec", "initContainers"), listing('{"name":"hazelcast"}')),
    "sidecars": (("spec", "initContainers"), listing('{"restartPolicy":"Always"}')),
    "volumes, empty": (("spec", "volumes"), listing("{}")),
    "volumes named as the member's": (("spec", "volumes"), listing('{"name":"hazelcast-tmp"}')),
    "env of a container": (("spec", "containers", 0, "env"), listing("{}")),
    "our variables in a container": (
        ("spec", "containers", 0, "env"),
        listing('{"name":"HAZELCAST_ADDRESS"}'),
    ),
    "ports of a container": (("spec", "containers", 0, "ports"), listing('{"containerPort":1}')),
    "the member's port in a container": (
        ("spec", "containers", 0, "ports"),
        listing('{"containerPort":5701}'),
    ),
    "requests of a container": (("spec", "containers", 0, "resources", "requests"), mapping()),
    "limits of a container": (("spec", "containers", 0, "resources", "limits"), mapping("1")),
    "requests of the Pod": (("spec", "resources", "requests"), mapping()),
    "limits of the Pod": (("spec", "resources", "limits"), mapping('"1"')),
    "node selector": (("spec", "nodeSelector"), mapping()),
    "spread constraints": (("spec", "topologySpreadConstraints"), listing("{}")),
    "labels": (("metadata", "labels"), mapping('"xy"')),
    "owner references": (("metadata", "ownerReferences"), listing("{}")),
    "controllers": (("metadata", "ownerReferences"), listing('{"controller":true}')),
    "tolerations, which are not read": (("spec", "tolerations"), listing("{}")),
    "args, which are not read": (("spec", "containers", 0, "args"), listing('""')),
    "a container's name": (("spec", "containers", 0, "name"), text("x")),
    "a container's name that is not printable": (
        ("spec", "initContainers"),
        lambda size: f'[{{"name":{text(UNPRINTABLE)(size)},"ports":[{{"containerPort":5701}}]}}]',
    ),
    "a container's name with one wide letter": (("spec", "containers", 0, "name"), text("x", WIDE)),
    "a container's image": (("spec", "containers", 0, "image"), text("hazelcast/")),
    "a label of the group": (("metadata", "labels", GROUP), text("x")),
    "a request of the Pod": (("spec", "resources", "requests", "cpu"), text("1")),
    "a service account": (("spec", "serviceAccountName"), text("x")),
    "an owner's name": (
        ("metadata", "ownerReferences"),
        lambda size: f'[{{"kind":"ReplicaSet","controller":true,"name":{text("X-")(size)}}}]',
    ),
}

_ANNOTATIONS: dict[str, tuple[tuple[str | int, ...], Callable[[int], str]]] = {
    "annotations of others": ((), mapping('"xy"')),
    "unknown annotations of ours": ((), mapping('"xy"', PREFIX)),
    "an annotation with one wide letter": (("example.com/note",), text("x", WIDE)),
    "an unknown annotation": ((), lambda size: "{" + text("x", PREFIX)(size) + ':"x"}'),
    **{
        f"the value of {name}": ((PREFIX + name,), text(unit))
        for name, unit in (
            ("inject", "x"),
            ("log-level", "DEBUGINF"),
            ("cluster-name", UNPRINTABLE),
            ("java-opts", "-Da "),
            ("image", "a/"),
            ("group", "a-"),
            ("config", "a."),
            ("cpu-limit", "1"),
            ("port", "1"),
            ("shutdown-timeout", "1"),
        )
    },
}

_IN_WORKLOADS: dict[str, tuple[tuple[str | int, ...], Callable[[int], str]]] = {
    "labels": (("metadata", "labels"), mapping('"xy"')),
    "owner references": (("metadata", "ownerReferences"), listing("{}")),
    "managed fields, empty": (("metadata", "managedFields"), listing("{}")),
    "managed fields of empty objects": (
        ("metadata", "managedFields"),
        listing('{"fieldsV1":{"f:spec":{}}}'),
    ),
    "managed fields in a mapping": (
        ("metadata", "managedFields"),
        lambda size: f'[{{"fieldsV1":{mapping("{}")(size)}}}]',
    ),
    "managed fields in lists": (
        ("metadata", "managedFields"),
        lambda size: f'[{{"fieldsV1":{{"f:x":{listing("[]")(size)}}}}}]',
    ),
    "managed fields in nested lists": (
        ("metadata", "managedFields"),
        lambda size: f'[{{"fieldsV1":{{"f:x":{nested("[", "]")(size)}}}}}]',
    ),
    "managed fields in nested objects": (
        ("metadata", "managedFields"),
        lambda size: '[{"fieldsV1":{"f:x":' + nested('{"a":', "}")(size) + "}}]",
    ),
    "managed annotations": (
        ("metadata", "managedFields"),
        lambda size: (
            f'[{{"fieldsV1":{{"f:spec":{{"f:template":{{"f:metadata":{{"f:annotations":'
            f"{mapping('{}', 'f:')(size)}}}}}}}}}}}]"
        ),
    ),
    "what kubectl applied": (
        ("metadata", "annotations", LAST_APPLIED),
        quoted(lambda size: f'{{"a":{listing("{}")(size)}}}'),
    ),
    "annotations that kubectl applied": (
        ("metadata", "annotations", LAST_APPLIED),
        quoted(lambda s: f'{{"spec":{{"template":{{"metadata":{{"annotations":{mapping()(s)}}}}}}}}}'),
    ),
    "the record of copies": (("metadata", "annotations", COPIED), quoted(mapping(prefix=PREFIX))),
}


def _pods(annotations: dict[str, str], suffix: str = "") -> list[Shape]:
    review = review_of(pod(annotations, resources={"requests": {"cpu": "9"}, "limits": {"cpu": "9"}}))
    places = {
        **_IN_PODS,
        **{what: (("metadata", "annotations", *where), fill) for what, (where, fill) in _ANNOTATIONS.items()},
    }
    return [
        Shape(f"{what}{suffix}", MUTATE_PODS, _filled(review, fill, ("object", *where)))
        for what, (where, fill) in places.items()
    ]


def _workloads(kind: str) -> list[Shape]:
    review = _workload(kind)
    template = next(known.template for known in KINDS.values() if known.name == kind)
    places = {
        **{f"{kind}: {what}": place for what, place in _IN_WORKLOADS.items()},
        **{
            f"{kind}: {what}": (("metadata", "annotations", *at), fill)
            for what, (at, fill) in _ANNOTATIONS.items()
        },
        **{f"{kind}'s template: {what}": ((*template, *at), fill) for what, (at, fill) in _IN_PODS.items()},
        **{
            f"{kind}'s template: {what}": ((*template, "metadata", "annotations", *at), fill)
            for what, (at, fill) in _ANNOTATIONS.items()
        },
    }
    shapes = [
        Shape(
            what,
            MUTATE_WORKLOADS,
            _filled(review, fill, ("object", *where), *[("oldObject", *where)] * (number % 2)),
        )
        for number, (what, (where, fill)) in enumerate(places.items())
    ]
    contradictory = _filled(
        review,
        lambda size: mapping(f'"{size}"', PREFIX)(size),
        ("object", "metadata", "annotations"),
        ("object", *template, "metadata", "annotations"),
    )
    return [*shapes, Shape(f"{kind}: annotations on both", MUTATE_WORKLOADS, contradictory)]


def _of_requests() -> list[Shape]:
    review = review_of(pod())
    return [
        Shape(what, MUTATE_PODS, _filled(review, fill, where))
        for what, where, fill in (
            ("the request's uid", ("uid",), text("x")),
            ("the request's namespace", ("namespace",), text(UNPRINTABLE)),
            ("the request's operation", ("operation",), text("x")),
            ("the request's kind", ("kind", "kind"), text(UNPRINTABLE)),
            ("the Pod's name", ("object", "metadata", "name"), text(UNPRINTABLE)),
            ("the Pod's name with one wide letter", ("object", "metadata", "generateName"), text("-", WIDE)),
            ("groups of the user, which are not read", ("userInfo", "groups"), listing('""')),
            ("a Pod that is a list", ("object",), listing("{}")),
            ("a request that is a list", ("object", "metadata", "labels"), listing("{}")),
            ("a namespace that is nested lists", ("namespace",), nested("[", "]")),
        )
    ]


LARGEST = 7_200_000
"""Bytes; the server takes a little more."""


def largest_decoded(shape: Shape) -> bytes:
    """Build about the largest review of a shape that has few enough values to be decoded."""
    sample = shape.build(UNCOUNTED_BYTES)
    values = sum(map(sample.count, (b",", b"{", b"[")))
    return shape.build(min(LARGEST, int(0.98 * MAX_VALUES * len(sample) / values)))


SHAPES = (
    *_pods(ours(discovery="api")),
    *[shape for shape in _pods({}, ", without annotation") if "value" not in shape.what],
    *_workloads("Deployment"),
    *[shape for shape in _workloads("CronJob") if "template" in shape.what and "value" not in shape.what],
    *_of_requests(),
)
