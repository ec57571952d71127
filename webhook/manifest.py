"""Objects as they stand in manifests, injected without a webhook.

The decisions and the operations are the webhook's own; here they apply to a workload's Pod template at once,
instead of to each Pod that is made of it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from webhook import patch, policy, status, workload_policy
from webhook.annotations import Defaults
from webhook.errors import Problem, in_short
from webhook.names import STATUS
from webhook.patch import Operation
from webhook.pod import Pod
from webhook.policy import Deny, Inject, Reason, Restore, Skip
from webhook.status import Status
from webhook.untrusted import UndecodableError
from webhook.workload import KINDS, Kind, Workload, as_pod
from webhook.workload_policy import Copy

Object = Mapping[str, Any]


class Placed(NamedTuple):
    """An object in a document, which may be a List."""

    path: str
    """JSON pointer to it; empty for the document itself."""
    obj: Object

    @property
    def kind(self) -> str:
        """Its kind."""
        return str(self.obj.get("kind", ""))

    @property
    def name(self) -> str:
        """Kind and name, as in "Deployment/shop"."""
        metadata = self.obj.get("metadata")
        metadata = metadata if isinstance(metadata, Mapping) else {}
        name = metadata.get("name") or f"{metadata.get('generateName', '')}*"
        return f"{self.kind}/{name}"

    @property
    def namespace(self) -> str:
        """Its namespace, where it says one."""
        metadata = self.obj.get("metadata")
        return str(metadata.get("namespace", "")) if isinstance(metadata, Mapping) else ""


class Result(NamedTuple):
    """What comes of one object."""

    reason: Reason
    operations: Sequence[Operation] = ()
    """From the object's root."""
    warnings: Sequence[str] = ()
    problems: Sequence[Problem] = ()
    injection: Inject | None = None


def placed(document: Any) -> Iterator[Placed]:  # noqa: ANN401 - whatever a file contains
    """The Pods and workloads in a document, those of a List one by one; other objects are passed over."""
    waiting = [("", document)]  # no recursion: Lists of Lists may be nested deeper than Python allows
    while waiting:
        path, obj = waiting.pop()
        if not isinstance(obj, Mapping):
            continue
        if isinstance(obj.get("items"), Sequence) and str(obj.get("kind", "")).endswith("List"):
            waiting += reversed([(f"{path}/items/{index}", item) for index, item in enumerate(obj["items"])])
        elif _is_pod(obj) or kind_of(obj) is not None:
            yield Placed(path, obj)


def _is_pod(obj: Object) -> bool:
    return (obj.get("apiVersion"), obj.get("kind")) == ("v1", "Pod")


def kind_of(obj: Object) -> Kind | None:
    """The kind of workload that an object is; None for a Pod, and for anything else."""
    group, _, version = str(obj.get("apiVersion", "")).rpartition("/")
    return KINDS.get((group, str(obj.get("kind", "")))) if version == "v1" else None


def inject(obj: Object, defaults: Defaults, run_as_user: int | None) -> Result:
    """What the webhook would do about an object, and about the Pods that would be made of it.

    Args:
        obj: a Pod or a workload, as `placed` finds them.
        defaults: what holds in its namespace where its annotations say nothing.
        run_as_user: as the settings have it.
    """
    kind = kind_of(obj)
    try:
        if kind is None:
            return _inject_pod(msgspec.convert(obj, Pod), "", defaults, run_as_user)
        return _inject_workload(kind, msgspec.convert(obj, Workload), defaults, run_as_user)
    except msgspec.ValidationError as error:
        return Result(Reason.INVALID, problems=[malformed(error)])


def malformed(error: msgspec.ValidationError) -> Problem:
    """What is wrong with an object that is not of its own kind's shape."""
    sentence, _, where = str(error).partition(" - at ")
    hint = "; annotations are text: put the value in quotes" if "annotations" in where else ""
    return Problem(where.strip("`") or "$", sentence + hint)


def unexpected(error: Exception) -> Problem:
    """Say that an object raised an unexpected exception; the others of its file go on."""
    return Problem("$", f"cannot be read as what it says it is: {in_short(error)}")


def _inject_pod(pod: Pod, path: str, defaults: Defaults, run_as_user: int | None) -> Result:
    decision = policy.decide(pod, "CREATE", defaults)
    match decision:
        case Inject():
            operations = patch.operations(decision, patch.shape_of(pod), run_as_user, reversible=True)
            return Result(decision.reason, under(path, operations), decision.warnings, injection=decision)
        case Restore(reason=reason, warnings=warnings):
            operations = patch.restore_operations(decision, pod, run_as_user)
            return Result(reason, under(path, operations), warnings)
        case Skip(reason, warnings):
            return Result(reason, warnings=warnings)
        case Deny(reason, problems):
            return Result(reason, problems=problems)


def _inject_workload(kind: Kind, workload: Workload, defaults: Defaults, run_as_user: int | None) -> Result:
    decided = workload_policy.decide(kind, workload, None, defaults)
    if isinstance(decided, Deny):
        return Result(decided.reason, problems=decided.problems)
    template = workload.template
    copied: list[Operation] = []
    annotations = template.annotations if template else {}
    if isinstance(decided, Copy):
        copied = patch.copy_operations(kind, workload, decided.copying)
        annotations = decided.copying.annotations
    result = Result(decided.reason)
    if template is not None:
        pod = as_pod(kind, workload, template, annotations)
        result = _inject_pod(pod, patch.pointer(*kind.template), defaults, run_as_user)
    return result._replace(operations=[*copied, *result.operations], warnings=decided.warnings)


def under(path: str, operations: Iterable[Operation]) -> list[Operation]:
    """Operations on a part of an object, as operations on the whole."""
    return [{**operation, "path": path + operation["path"]} for operation in operations]


def record_in(obj: Object) -> Status | None:
    """The record of what was injected into a Pod or a workload's Pod template; None where there is none."""
    kind = kind_of(obj)
    pod = obj if kind is None else part(obj, kind.template)
    text = annotations_of(pod).get(STATUS)
    try:
        return None if text is None else status.decode(text)
    except UndecodableError:
        return None  # not ours, or of a version that nobody knows


def annotations_of(obj: Object) -> dict[str, str]:
    """The annotations of an object, or of a Pod template."""
    return (obj.get("metadata") or {}).get("annotations") or {}


def part(obj: Object, path: tuple[str, ...]) -> Object:
    """A part of an object; empty where it has none."""
    for step in path:
        obj = obj.get(step) or {}
    return obj
