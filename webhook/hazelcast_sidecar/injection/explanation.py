"""Explanation of an injection: each setting, its value, and its origin."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from decimal import Decimal
from typing import NamedTuple

import msgspec

from hazelcast_sidecar.errors import Problem
from hazelcast_sidecar.injection import propagation
from hazelcast_sidecar.injection.manifests import (
    Object,
    as_stored,
    inject,
    kind_of,
    knows_its_group,
    part,
    status_in,
)
from hazelcast_sidecar.injection.pod_decision import SENTENCES, Inject, Reason
from hazelcast_sidecar.injection.reinjection import before_injection, is_recorded, outdated
from hazelcast_sidecar.injection.rollout_advice import Advice, about_readiness
from hazelcast_sidecar.model.pod import Pod
from hazelcast_sidecar.model.rolling_workload import ROLLING_KINDS, RollingWorkload
from hazelcast_sidecar.model.workload import Workload, written_by_users
from hazelcast_sidecar.names import INJECT, PREFIX
from hazelcast_sidecar.spec.annotations import TABLE, DefaultSpecs
from hazelcast_sidecar.spec.settings import Settings


class Setting(NamedTuple):
    """One row of the table of annotations, for one object."""

    name: str
    value: str
    origin: str
    is_default: bool
    """Whether it is the table's own default, set by no one."""


class Cost(NamedTuple):
    """Resources that members reserve in the cluster, in addition to the application's."""

    replicas: int | None
    """None: as many as there are nodes, or Jobs, or as an autoscaler decides."""
    cpu_request: str
    memory_request: str
    cpu_limit: str
    memory_limit: str
    sentence: str


class Explanation(NamedTuple):
    """Why an object is injected, or is not, or cannot be."""

    outcome: str
    """A reason code."""
    sentence: str
    settings: list[Setting]
    """Empty if nothing is injected."""
    cost: Cost | None
    """None if nothing is injected."""
    warnings: list[str]
    problems: list[Problem]
    advice: Advice | None = None
    """What could be better; not worth a warning each time that the object is applied."""


def explain(obj: Object, settings: Settings, namespace: str) -> Explanation:
    """Explain why, and with which settings, a Pod or workload gets a member; if injected, as it was before.

    Args:
        obj: an object from `manifests.placed`.
        settings: of the installation.
        namespace: that it is in.

    Raises:
        InvalidSettingsError: the settings' defaults are invalid.
    """
    defaults = DefaultSpecs(settings).of(namespace)
    now = inject(obj, defaults, settings.run_as_user)
    if now.problems and is_recorded(obj):
        # Without its status annotation, as it is explained below, nothing might be wrong with it.
        sentence = SENTENCES[now.reason]
        return Explanation(now.reason, sentence, [], None, list(now.warnings), list(now.problems))
    before = as_stored(before_injection(obj))
    result = inject(before, defaults, settings.run_as_user)
    found = list(_settings(before, settings, namespace, result.injection)) if result.injection else []
    cost = _cost(before, result.injection) if result.injection else None
    sentence = "a Hazelcast member is injected" if result.injection else SENTENCES[result.reason]
    removed = now.warnings if now.reason is Reason.RESTORED else ()
    differs = outdated(status_in(obj), result, settings.run_as_user)
    warnings = [*removed, *result.warnings, *differs]
    advice = _advice(before) if result.injection else None
    return Explanation(result.reason, sentence, found, cost, warnings, list(result.problems), advice)


def _advice(obj: Object) -> Advice | None:
    kind = kind_of(obj)
    if kind is None or kind.name not in ROLLING_KINDS:
        return None
    with suppress(msgspec.ValidationError):  # the API server rejects it, and says why
        return about_readiness(msgspec.convert(obj, RollingWorkload))
    return None


def _cost(obj: Object, decision: Inject) -> Cost:
    spec, replicas = decision.spec, _replicas(obj)
    each = f"{spec.cpu_request} CPU and {spec.memory_request} of memory"
    if replicas is None:
        sentence = f"each member reserves {each}; the manifest does not say how many there will be"
        return Cost(None, spec.cpu_request, spec.memory_request, spec.cpu_limit, spec.memory_limit, sentence)
    requests = _times(spec.cpu_request, replicas), _times(spec.memory_request, replicas)
    limits = _times(spec.cpu_limit, replicas), _times(spec.memory_limit, replicas)
    sentence = (
        f"{replicas} x ({each}) = {requests[0]} CPU and {requests[1]} reserved, "
        f"at most {limits[0]} CPU and {limits[1]}"
    )
    return Cost(replicas, *requests, *limits, sentence)


def _replicas(obj: Object) -> int | None:
    """Return how many Pods a workload will have; None if its manifest does not say."""
    kind = kind_of(obj)
    if kind is None:
        return 1
    spec = part(obj, ("spec",))
    if kind.name == "Job":
        return _number(spec.get("parallelism", 1))
    if kind.name in {"DaemonSet", "CronJob"}:
        return None
    return _number(spec.get("replicas", 1))


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _times(text: str, factor: int) -> str:
    """Multiply a Kubernetes quantity, in its own unit."""
    match = re.fullmatch(r"([0-9.]+)(.*)", text, re.ASCII)
    if match is None:
        return f"{factor} x {text}"
    return f"{Decimal(match[1]) * factor:f}{match[2]}"


def _settings(obj: Object, settings: Settings, namespace: str, decision: Inject) -> Iterator[Setting]:
    layers = [*_annotations(obj), *_defaults(settings, namespace)]
    for row in TABLE:
        origin, value = next(
            ((origin, texts[row.name]) for origin, texts in layers if row.name in texts), ("", "")
        )
        is_default = origin in ("", _DEFAULT)
        if not origin:
            origin, value = _DEFAULT, row.otherwise
            if row.name == "group":
                origin, value = _group(obj, decision)
                is_default = False
            elif row.name == "memory-request":
                origin, value = "memory-limit", decision.spec.memory_request
        elif row.name == "disruption-budget" and value == "true" and not decision.spec.disruption_budget:
            origin, value = "no PodDisruptionBudget works for Pods of this kind", "false"
        yield Setting(row.name, value, origin, is_default)


_DEFAULT = "default"


def _group(obj: Object, decision: Inject) -> tuple[str, str]:
    """Return the origin of a group that no annotation names, and the group."""
    kind = kind_of(obj)
    if kind is not None and kind.name == "CronJob":
        return "the Job's name", "one for each Job"
    if kind is not None and not knows_its_group(obj):
        return "the workload's name", f"as the {kind.name}'s name will be"
    return "the workload's name", decision.group


def _defaults(settings: Settings, namespace: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    yield f"settings for namespace {namespace}", settings.namespaces.get(namespace, {})
    yield "settings", settings.defaults
    yield _DEFAULT, {row.name: row.default for row in TABLE if row.default is not None}


def _annotations(obj: Object) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield the annotations that count, those of the Pod or its template first."""
    kind = kind_of(obj)
    if kind is None:
        metadata = msgspec.convert(obj, Pod).metadata
        yield "Pod", _ours(metadata.annotations or {})
        yield "label of the Pod", _label(metadata.labels)
        return
    workload = msgspec.convert(obj, Workload)
    of_template = workload.template.annotations if workload.template else {}
    own = workload.metadata.annotations or {}
    label = workload.template.labels.get(INJECT) if workload.template else None
    planned = propagation.plan(own, of_template, written_by_users(kind, workload).annotations, label)
    copied = planned.copied
    yield "Pod template", _ours({k: v for k, v in planned.annotations.items() if k not in copied})
    yield kind.name, _ours(copied)
    yield "label of the Pod template", _label({} if label is None else {INJECT: label})


def _label(labels: Mapping[str, str] | None) -> dict[str, str]:
    return {"inject": labels[INJECT]} if labels and INJECT in labels else {}


def _ours(annotations: Mapping[str, str]) -> dict[str, str]:
    return {key.removeprefix(PREFIX): value for key, value in annotations.items() if key.startswith(PREFIX)}
