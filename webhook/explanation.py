"""What would be injected into an object, and why: each setting, its value, and where that comes from."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import jsonpatch
import msgspec

from webhook import copying
from webhook.annotations import TABLE, DefaultSpecs
from webhook.errors import Problem
from webhook.manifest import Object, inject, kind_of
from webhook.names import PREFIX
from webhook.pod import Pod
from webhook.policy import SENTENCES, Inject, Reason
from webhook.settings import Settings
from webhook.uninjection import uninject
from webhook.workload import Workload, written_by_users


class Setting(NamedTuple):
    """One row of the table of annotations, for one object."""

    name: str
    value: str
    origin: str


class Explanation(NamedTuple):
    """Why an object is injected, or is not, or cannot be."""

    outcome: str
    """A reason code."""
    sentence: str
    settings: list[Setting]
    """Empty where nothing is injected."""
    warnings: list[str]
    problems: list[Problem]


def explain(obj: Object, settings: Settings, namespace: str) -> Explanation:
    """Why, and with which settings, a Pod or workload gets a member; an injected one as it was before.

    Args:
        obj: as `manifest.placed` finds them.
        settings: of the installation.
        namespace: that it is in.

    Raises:
        InvalidSettingsError: the settings' defaults cannot be used.
    """
    defaults = DefaultSpecs(settings).of(namespace)
    now = inject(obj, defaults, settings.run_as_user)
    if now.reason is Reason.NO_MEMBER:
        # Without its status, as it is explained below, nothing would be wrong with it.
        return Explanation(now.reason, SENTENCES[now.reason], [], list(now.warnings), list(now.problems))
    before = jsonpatch.apply_patch(obj, list(uninject(obj).operations))
    result = inject(before, defaults, settings.run_as_user)
    found = list(_settings(before, settings, namespace, result.injection)) if result.injection else []
    sentence = "a Hazelcast member is injected" if result.injection else SENTENCES[result.reason]
    removed = now.warnings if now.reason is Reason.RESTORED else ()
    warnings = [*removed, *result.warnings]
    return Explanation(result.reason, sentence, found, warnings, list(result.problems))


def _settings(obj: Object, settings: Settings, namespace: str, decision: Inject) -> Iterator[Setting]:
    layers = [*_annotations(obj), *_defaults(settings, namespace)]
    for row in TABLE:
        origin, value = next(
            ((origin, texts[row.name]) for origin, texts in layers if row.name in texts), ("", "")
        )
        if not origin:
            origin, value = "default", row.otherwise
            if row.name == "group":
                origin, value = "the workload's name", decision.group
            elif row.name == "memory-request":
                origin, value = "memory-limit", decision.spec.memory_request
        elif row.name == "disruption-budget" and value == "true" and not decision.spec.disruption_budget:
            origin, value = "no budget works for Pods of this kind", "false"
        yield Setting(row.name, value, origin)


def _defaults(settings: Settings, namespace: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    yield f"settings for namespace {namespace}", settings.namespaces.get(namespace, {})
    yield "settings", settings.defaults
    yield "default", {row.name: row.default for row in TABLE if row.default is not None}


def _annotations(obj: Object) -> Iterator[tuple[str, Mapping[str, str]]]:
    """The annotations that count, those of the Pod or its template first."""
    kind = kind_of(obj)
    if kind is None:
        yield "Pod", _ours(msgspec.convert(obj, Pod).metadata.annotations or {})
        return
    workload = msgspec.convert(obj, Workload)
    of_template = workload.template.annotations if workload.template else {}
    own = workload.metadata.annotations or {}
    planned = copying.plan(own, of_template, written_by_users(kind, workload))
    copied = planned.copied
    yield "Pod template", _ours({k: v for k, v in planned.annotations.items() if k not in copied})
    yield kind.name, _ours(copied)


def _ours(annotations: Mapping[str, str]) -> dict[str, str]:
    return {key.removeprefix(PREFIX): value for key, value in annotations.items() if key.startswith(PREFIX)}
