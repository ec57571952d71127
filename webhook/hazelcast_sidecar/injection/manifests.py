"""Injection into the objects of manifests, without a webhook.

The decisions and the operations are the webhook's own; here they apply to a workload's Pod template,
instead of to each Pod that is created from it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from hazelcast_sidecar.errors import Problem, in_short
from hazelcast_sidecar.injection import patch, pod_decision, workload_decision
from hazelcast_sidecar.injection.patch import Record
from hazelcast_sidecar.injection.pod_decision import Decision, Deny, Inject, Reason, Restore, Skip
from hazelcast_sidecar.injection.record import LABEL, Written, record_of
from hazelcast_sidecar.injection.workload_decision import Copy
from hazelcast_sidecar.manifest_text.patching import Operation, patched
from hazelcast_sidecar.model import status
from hazelcast_sidecar.model.pod import Pod
from hazelcast_sidecar.model.status import Status
from hazelcast_sidecar.model.workload import KINDS, Workload, WorkloadKind, as_pod, names_its_group
from hazelcast_sidecar.names import INJECT, PREFIX, STATUS
from hazelcast_sidecar.spec.annotations import Defaults
from hazelcast_sidecar.untrusted import UndecodableError

Object = Mapping[str, Any]


class Placed(NamedTuple):
    """An object in a document, which may be a List."""

    path: str
    """JSON pointer to it; empty for the document itself."""
    obj: Object

    @property
    def kind(self) -> str:
        """Return its kind."""
        return str(self.obj.get("kind", ""))

    @property
    def name(self) -> str:
        """Return kind and name, as in "Deployment/shop"."""
        metadata = self.obj.get("metadata")
        metadata = metadata if isinstance(metadata, Mapping) else {}
        name = metadata.get("name") or f"{metadata.get('generateName', '')}*"
        return f"{self.kind}/{name}"

    @property
    def namespace(self) -> str:
        """Return its namespace, if it names one."""
        namespace = part(self.obj, ("metadata",)).get("namespace")
        return namespace if isinstance(namespace, str) else ""


class Result(NamedTuple):
    """The outcome for one object."""

    reason: Reason
    operations: Sequence[Operation] = ()
    """From the object's root."""
    warnings: Sequence[str] = ()
    outcome: str = ""
    """What a workload's Pods will have."""
    problems: Sequence[Problem] = ()
    injection: Inject | None = None
    undoing: Sequence[Operation] = ()
    """What is to be done before the operations, as a change of its own."""

    @property
    def changes(self) -> bool:
        """Tell whether the object changes."""
        return bool(self.operations or self.undoing)

    def of(self, obj: Object) -> Object:
        """Return what an object becomes."""
        after: Object = patched(obj, [*self.undoing, *self.operations])
        return after


def placed(document: Any) -> Iterator[Placed]:  # noqa: ANN401 - any document
    """Yield the Pods and workloads in a document, those of a List one by one, without other objects."""
    return (found for found in objects_in(document) if is_known(found.obj))


def objects_in(document: Any) -> Iterator[Placed]:  # noqa: ANN401 - as above
    """Yield the objects in a document, those of a List one by one."""
    waiting = [("", document)]  # no recursion: Lists of Lists may be nested deeper than Python allows
    while waiting:
        path, obj = waiting.pop()
        if not isinstance(obj, Mapping):
            continue
        items = obj.get("items")
        if isinstance(items, list) and str(obj.get("kind", "")).endswith("List"):
            waiting += reversed([(f"{path}/items/{index}", item) for index, item in enumerate(items)])
        else:
            yield Placed(path, obj)


def is_known(obj: Object) -> bool:
    """Tell whether an object is a Pod or a workload of a kind that is injected."""
    return _is_pod(obj) or kind_of(obj) is not None


def _is_pod(obj: Object) -> bool:
    return (obj.get("apiVersion"), obj.get("kind")) == ("v1", "Pod")


def kind_of(obj: Object) -> WorkloadKind | None:
    """Return the kind of workload that an object is; None for a Pod, and for anything else."""
    group, _, version = str(obj.get("apiVersion", "")).rpartition("/")
    return KINDS.get((group, str(obj.get("kind", "")))) if version == "v1" else None


def knows_its_group(obj: Object) -> bool:
    """Tell whether a manifest shows the group that its Pods have without an annotation."""
    kind = kind_of(obj)
    return kind is None or names_its_group(kind, part(obj, ("metadata",)).get("name") or "")


def asks(obj: Object) -> bool:
    """Tell whether an object or its Pod template has an annotation of ours or our label, where it counts."""
    kind = kind_of(obj)
    places = (
        [obj] if kind is None else [obj, *(part(obj, kind.template[:end]) for end in (2, len(kind.template)))]
    )
    return any(str(key).startswith(PREFIX) for place in places for key in annotations_of(place)) or (
        INJECT in labels_of(pod_in(obj))
    )


def as_stored(obj: Any) -> Any:  # noqa: ANN401 - JSON
    """Return an object as the API server has it: null is absent, and empty in a mapping of texts."""
    if isinstance(obj, Mapping):
        return {
            key: _texts(value) if key in _TEXTS else as_stored(value)
            for key, value in obj.items()
            if value is not None
        }
    return [as_stored(each) for each in obj] if isinstance(obj, list) else obj


_TEXTS = frozenset(("annotations", "labels", "matchLabels", "nodeSelector"))
"""Fields that are mappings of texts, wherever they are."""


def _texts(value: Any) -> Any:  # noqa: ANN401 - JSON
    if not isinstance(value, Mapping):
        return value
    return {key: "" if each is None else each for key, each in value.items()}


def inject(
    obj: Object, defaults: Defaults, run_as_user: int | None, written: Written = lambda _: None
) -> Result:
    """Decide about an object and its Pods as the webhook would.

    Args:
        obj: a Pod or a workload, as `placed` finds them.
        defaults: the defaults of its namespace.
        run_as_user: as the settings have it.
        written: how its values are written, to restore them later.
    """
    if not asks(obj):
        # It may be a part of an object, for a tool that puts parts together.
        return Result(Reason.NOT_REQUESTED)
    kind = kind_of(obj)
    try:
        if kind is None:
            pod = msgspec.convert(as_stored(obj), Pod)
            return _inject_pod(pod, "", defaults, run_as_user, record_of(obj, written))
        workload = msgspec.convert(as_stored(obj), Workload)
        record = record_of(part(obj, kind.template), lambda steps: written([*kind.template, *steps]))
        return _inject_workload(kind, workload, defaults, run_as_user, record)
    except msgspec.ValidationError as error:
        return Result(Reason.INVALID, problems=[malformed(error)])


def malformed(error: msgspec.ValidationError) -> Problem:
    """Return what is wrong with an object that does not fit its kind."""
    sentence, _, where = str(error).partition(" - at ")
    hint = "; annotations are text: put the value in quotes" if "annotations" in where else ""
    return Problem(where.strip("`") or "$", sentence + hint)


def unexpected(error: Exception) -> Problem:
    """Report an unexpected exception of an object; the others of its file go on."""
    return Problem("$", f"cannot be read as an object of its kind: {in_short(error)}")


def _inject_pod(pod: Pod, path: str, defaults: Defaults, run_as_user: int | None, record: Record) -> Result:
    return _result(pod, pod_decision.decide(pod, "CREATE", defaults), path, run_as_user, record)


def _result(pod: Pod, decision: Decision, path: str, run_as_user: int | None, record: Record) -> Result:
    """Return what a decision about a Pod makes of the object that it is in, at this path."""
    match decision:
        case Inject():
            shape = patch.shape_of(pod, decision.spec.pull_secrets)
            operations = patch.operations(decision, shape, run_as_user, record=record)
            if (label := patch.pointer(*LABEL)) in record.own_text:
                # It is the group's, and stays as it was written.
                operations = [each for each in operations if each["path"] != label]
            if (problem := _unreadable(operations)) is not None:
                return Result(Reason.TOO_LARGE, problems=[problem])
            return Result(decision.reason, under(path, operations), decision.warnings, injection=decision)
        case Restore(reason=reason, warnings=warnings):
            operations = patch.restore_operations(decision, pod, run_as_user)
            return Result(reason, under(path, operations), warnings)
        case Skip(reason, warnings):
            return Result(reason, warnings=warnings)
        case Deny(reason, problems):
            return Result(reason, problems=problems)


def _unreadable(operations: Sequence[Operation]) -> Problem | None:
    """Reject a status annotation that nothing would read again, `uninject` included."""
    path = patch.pointer("metadata", "annotations", STATUS)
    letters = sum(len(operation["value"]) for operation in operations if operation["path"] == path)
    if letters <= status.MAX_LETTERS:
        return None
    return Problem(
        STATUS,
        f"would have {letters:,} characters, to record how the empty values are written that it replaces "
        f"and which variables containers set themselves; {status.MAX_LETTERS:,} are read: write these values "
        "shorter, such as []",
    )


def _inject_workload(
    kind: WorkloadKind,
    workload: Workload,
    defaults: Defaults,
    run_as_user: int | None,
    record: Record,
) -> Result:
    # Nothing is labelled: the Pods of a manifest have their member already.
    decided, of_pods = workload_decision.decide_with_pods(kind, workload, None, defaults, lambda: False)
    if isinstance(decided, Deny):
        return Result(decided.reason, problems=decided.problems)
    template, path = workload.template, patch.pointer(*kind.template)
    copied: list[Operation] = []
    if isinstance(decided, Copy):
        copied = patch.copy_operations(kind, workload, decided.copying, decided.labelling)
    result = Result(decided.reason)
    if of_pods is not None:
        result = _result(of_pods.pod, of_pods.decision, path, run_as_user, record)
    elif template is not None:  # which may ask by itself
        pod = as_pod(kind, workload, template, template.annotations, template.labels)
        result = _inject_pod(pod, path, defaults, run_as_user, record)
    return result._replace(
        operations=[*copied, *result.operations], warnings=decided.warnings, outcome=decided.outcome
    )


def under(path: str, operations: Iterable[Operation]) -> list[Operation]:
    """Turn operations on a part of an object into operations on the whole."""
    return [{**operation, "path": path + operation["path"]} for operation in operations]


def pod_in(obj: Object) -> Object:
    """Return a Pod itself, and of a workload the Pod template; empty if there is none."""
    kind = kind_of(obj)
    return obj if kind is None else part(obj, kind.template)


def status_in(obj: Object) -> Status | None:
    """Return the status annotation of a Pod or a workload's Pod template; None if it has none."""
    text = annotations_of(pod_in(obj)).get(STATUS)
    try:
        return status.decode(text) if isinstance(text, str) else None
    except UndecodableError:
        return None  # not ours, or of an unknown version


def annotations_of(obj: Object) -> dict[str, str]:
    """Return the annotations of an object, or of a Pod template; empty if it has no mapping of them."""
    return dict(part(obj, ("metadata", "annotations")))


def labels_of(obj: Object) -> dict[str, str]:
    """Return the labels of an object, or of a Pod template; empty if it has no mapping of them."""
    return dict(part(obj, ("metadata", "labels")))


def part(obj: Object, path: Sequence[str]) -> Object:
    """Return a part of an object; empty if there is no mapping."""
    for step in path:
        found = obj.get(step)
        obj = found if isinstance(found, Mapping) else {}
    return obj
