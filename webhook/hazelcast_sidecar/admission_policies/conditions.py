"""Conditions in CEL about a Pod and its problems, as variables that both admission policies share.

They follow `annotations.parse`, `pod_decision.decide` and `collisions.collisions`. Constants, bounds and
regular expressions are those of the program; user settings become literals.
"""

from collections.abc import Callable
from typing import Any

from hazelcast_sidecar.cel import Code, Text, matches, source
from hazelcast_sidecar.injection import collisions, excess, intact
from hazelcast_sidecar.injection.pod_decision import MEMBER_IMAGES
from hazelcast_sidecar.injection.pod_in_cel import PORTS, TYPES, listed, text_of, value_of, where
from hazelcast_sidecar.model.opt_in import ASKED as ASKED_TEXT
from hazelcast_sidecar.model.opt_in import DECLINED
from hazelcast_sidecar.model.pod import HASH_LABELS, NAMING_LABELS, NODE, WITHOUT_SCALE
from hazelcast_sidecar.names import (
    DISRUPTION_BUDGET,
    DNS_LABEL,
    GROUP,
    INJECT,
    MAX_GROUP,
    PREFIX,
    STATUS,
    WRITTEN_ANNOTATIONS,
)
from hazelcast_sidecar.spec.annotations import TABLE
from hazelcast_sidecar.spec.settings import Settings
from hazelcast_sidecar.spec.values import MAX_SHOWN

ANNOTATIONS = "object.metadata.?annotations.orValue({})"
_LABEL = f"object.metadata.?labels[?{source(INJECT)}]"
ASKED = (
    f"({_LABEL}.orValue({source(ASKED_TEXT)}) == {source(DECLINED)} ? {source(DECLINED)} "
    f": {ANNOTATIONS}[?{source(INJECT)}].or({_LABEL}).orValue({source(DECLINED)}))"
)
"""An expression equal to `opt_in.asked`; a Pod that says nothing declines."""
ASKS = f"{ASKED} != {source(DECLINED)}"
_IS_NO_GROUP = f"size(variables.group) > {MAX_GROUP} || !{matches('variables.group', DNS_LABEL)}"
CONTAINERS = "object.spec.?initContainers.orValue([]) + object.spec.?containers.orValue([])"


def checks(settings: Settings) -> dict[str, str]:
    """Return variables and their expressions, each using only those before it.

    `problems` is a list of sentences. `hand_written` says that the Pod has a user-provided member, `torn`
    that it was injected and has lost parts of that: intact Pods are skipped.

    Args:
        settings: with valid defaults, as they become texts in the expressions.
    """
    return {
        # Each value's type is declared once: values read from an object have none, and may be taken for
        # bytes.
        "annotations": f"{ANNOTATIONS}.transformMap(k, v, string(v))",
        "ours": f"variables.annotations.filter(k, k.startsWith({source(PREFIX)}) && "
        f"!(k in {source(sorted(WRITTEN_ANNOTATIONS))}))",
        "is_recorded": f"{source(STATUS)} in variables.annotations",
        "owners": _owners(),
        "scalable": f"variables.owners.exists(o, !(o.kind in {source(list(WITHOUT_SCALE))}))",
        "defaults": by_namespace(settings, lambda namespace: _default_texts(settings, namespace)),
        "texts": _texts(),
        "containers": CONTAINERS,
        "hand_written": _hand_written(),
        "workload": _workload(),
        "group": _group(),
        "members": f"variables.containers.filter(c, {intact.IS_MEMBER})",
        "torn": _torn(),
        "too_many": excess.IN_CEL,
        "invalid": _invalid(),
        "contradictions": _contradictions(),
        "collisions": _collisions(),
        "unusable_status": _unusable_status(),
        "problems": _problems(),
    }


def by_namespace(settings: Settings, value: Callable[[str], Any]) -> str:
    """Return an expression that differs between namespaces, by that of the request; "" is any other one."""
    everywhere = source(value(""))
    own = {namespace: value(namespace) for namespace in settings.namespaces}
    return f"{source(own)}[?request.namespace].orValue({everywhere})" if own else everywhere


def _default_texts(settings: Settings, namespace: str) -> dict[str, str]:
    shipped = {row.name: row.default for row in TABLE if row.default is not None}
    texts = {**shipped, **settings.defaults, **settings.namespaces.get(namespace, {})}
    return {**texts, "java-opts": " ".join(texts["java-opts"].split())}


def _texts() -> str:
    """Return each annotation's text by its name, if the Pod or a default has one."""
    given = {
        name: f"variables.annotations[?{source(PREFIX + name)}].or(variables.defaults[?{source(name)}])"
        for name in TYPES
    }
    budget = source(DISRUPTION_BUDGET.removeprefix(PREFIX))
    given["disruption-budget"] = (
        f"variables.annotations[?{source(DISRUPTION_BUDGET)}]"
        f'.or(variables.scalable ? variables.defaults[?{budget}] : optional.of("false"))'
    )
    # An injected member stays as it is, even if the defaults have changed.
    given["discovery"] = (
        f'variables.is_recorded ? optional.of({intact.DISCOVERED_BY_API} ? "api" : "dns")\n'
        f"    : {given['discovery']}"
    )
    given["memory-request"] += f".or({given['memory-limit']})"
    entries = ",\n".join(f"  ?{source(name)}: {text}" for name, text in given.items())
    return f"{{\n{entries}\n}}"


def _hand_written() -> str:
    repositories = "|".join(MEMBER_IMAGES)
    image = source(f"^(?:[^@]*/)?(?:{repositories})(?::[^@/]*)?(?:@|$)")
    return f'variables.containers.exists(c, c.?image.orValue("").matches({image}))'


def _owners() -> str:
    """List the workload that made the Pod, if any."""
    controls = f"o.?controller.orValue(false) && o.kind != {source(NODE)}"
    return f"object.metadata.?ownerReferences.orValue([]).filter(o, {controls})"


def _text_of_label(label: str) -> str:
    """Return the expression of a label's text; "" if the Pod has no such label."""
    return f'object.metadata.?labels[?{source(label)}].orValue("")'


def _workload() -> str:
    """Return the expression of `pod.workload_name`."""
    cases = []
    for kind, label in NAMING_LABELS.items():
        found = _text_of_label(label)
        cases.append(
            f'o.kind == {source(kind)} && {found} != "" && o.name.startsWith({found} + "-")\n'
            f"  ? {found}\n  : "
        )
    for label in HASH_LABELS:
        found = _text_of_label(label)
        cases.append(
            f'o.kind == "ReplicaSet" && {found} != "" && o.name.endsWith("-" + {found})\n'
            f"  ? o.name.substring(0, size(o.name) - size({found}) - 1)\n  : "
        )
    unowned = (
        'object.metadata.?name.orValue("") != "" ? object.metadata.name\n  : '
        'object.metadata.?generateName.orValue("").find("^(?:.*[^-])?")'
    )
    return f"variables.owners.map(o, {''.join(cases)}o.name)[?0]\n.orValue({unowned})"


def _group() -> str:
    """Return the expression of a Pod's group; of an injected Pod from its status ("" if that has none)."""
    pattern, before = source('"group":"[^"]*"'), source('"group":')
    recorded = f'{intact.RECORDED}.find({pattern}).replace({before}, "").replace("\\"", "")'
    return f'variables.is_recorded ? {recorded}\n  : variables.texts[?"group"].orValue(variables.workload)'


def _torn() -> str:
    """Follow `pod_decision.decide`: an injected Pod has a status or, if that was removed, our label."""
    return f"size(variables.members) > 0 && (variables.is_recorded || {intact.LABEL} == variables.group)"


def _invalid() -> str:
    """List sentences about unknown annotations, and about invalid texts."""
    known = source(f": no such annotation; known are {', '.join(TYPES)}")
    keys = source([PREFIX + name for name in TYPES])
    shown = f'strings.quote(size(text) > {MAX_SHOWN} ? text.substring(0, {MAX_SHOWN}) + "…" : text)'
    wrong = []
    for row in TABLE:
        text = f"variables.annotations[?{source(row.key)}]"
        if row.key == INJECT:
            text += f".or({_LABEL})"
        described = row.type.description.replace("`", "")
        sentence = _joined(f"{row.key}: ", Code(shown), f" is not of its type: {described}")
        wrong.append(
            f"?{text}.optFlatMap(text, {row.type.admits('text')}\n"
            f"    ? optional.none() : optional.of({sentence}))"
        )
    return f"variables.ours.filter(k, !(k in {keys})).map(k, k + {known}) + {listed(*wrong)}"


def _contradictions() -> str:
    """List the sentences of `annotations._contradictions`."""
    found = []
    for resource in ("cpu", "memory"):
        request, limit = text_of(f"{resource}-request"), text_of(f"{resource}-limit")
        found.append(
            where(
                f"quantity({request}).compareTo(quantity({limit})) > 0",
                _joined(
                    f"{PREFIX}{resource}-request: ",
                    Code(request),
                    " is more than the limit of ",
                    Code(limit),
                    f" ({PREFIX}{resource}-limit)",
                ),
            )
        )
    found.append(
        where(
            f"{value_of('metrics')} && {value_of('metrics-port')} in {PORTS}",
            source(f"{PREFIX}metrics-port: is a port of the member's own ({PREFIX}port)"),
        )
    )
    return listed(*found)


def _collisions() -> str:
    """List the sentences of the rules in `collisions.py`, and of names that need a hash."""
    return f"{listed(_unfit_name())} +\n{collisions.IN_CEL}"


def _unfit_name() -> str:
    """Return a sentence about a workload's name that needs a hash for its group: CEL has no SHA-256."""
    return where(
        _IS_NO_GROUP,
        _joined(
            "the workload's name \"",
            Code("variables.group"),
            f'" is not a DNS label of at most {MAX_GROUP} characters: annotate a group ({GROUP})',
        ),
    )


def _unusable_status() -> str:
    """List sentences about a status that no injection can have written, or that the label contradicts."""
    unreadable = where(_IS_NO_GROUP, source(f"{STATUS}: {intact.UNREADABLE}"))
    return listed(unreadable, collisions.FOREIGN_GROUP_IN_CEL)


def _problems() -> str:
    """List each kind of problems only if the ones before found nothing, as `pod_decision.decide` does."""
    recorded = "variables.is_recorded"
    return (
        f"{recorded} && size(variables.members) == 0 ? [{source(f'{STATUS}: {intact.NO_MEMBER}')}]\n"
        f"  : !({ASKS}) ? []\n"
        f"  : {recorded} && size(variables.unusable_status) > 0 ? variables.unusable_status\n"
        "  : size(variables.too_many) > 0 ? variables.too_many\n"
        "  : size(variables.invalid) > 0 ? variables.invalid\n"
        "  : size(variables.contradictions) > 0 ? variables.contradictions\n"
        "  : variables.hand_written && !variables.torn ? [] : variables.collisions"
    )


def _joined(*parts: str | Code) -> str:
    return source(Text(parts))
