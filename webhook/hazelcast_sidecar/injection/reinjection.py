"""Reinjection of injected objects in manifests, which get the current member.

So an injected manifest follows edits of its annotations, and one without a change stays byte for byte as it
is.
"""

from hazelcast_sidecar.errors import Problem
from hazelcast_sidecar.injection.manifests import Object, Result, inject, kind_of, pod_in, status_in
from hazelcast_sidecar.injection.patch import pointer
from hazelcast_sidecar.injection.pod_decision import Reason
from hazelcast_sidecar.injection.record import Written, texts
from hazelcast_sidecar.injection.uninjection import uninject
from hazelcast_sidecar.manifest_text.patching import same
from hazelcast_sidecar.names import GROUP
from hazelcast_sidecar.spec.annotations import Defaults


def before_injection(obj: Object) -> Object:
    """Return an object as it was before it was injected, as far as its status annotation says."""
    return uninject(obj).of(obj)


def renew(
    obj: Object, defaults: Defaults, run_as_user: int | None, written: Written = lambda _: None
) -> Result:
    """Return what gives a Pod or a workload the member that its annotations ask for.

    Args:
        obj: a Pod or a workload, injected or not.
        defaults: the defaults of its namespace.
        run_as_user: as the settings have it.
        written: how its values are written, to restore them later.
    """
    status = status_in(obj)
    if status is None or not status.reversible:
        return _bounded(obj, inject(obj, defaults, run_as_user, written))
    undone = uninject(obj)
    if undone.problems:
        return undone
    kind = kind_of(obj)
    depth = 0 if kind is None else len(kind.template)
    before = undone.of(obj)
    was = texts(status, pod_in(before))
    result = _bounded(
        before, inject(before, defaults, run_as_user, lambda steps: was.get(pointer(*steps[depth:])))
    )
    if result.problems:
        return result
    result = result._replace(undoing=undone.operations)
    if result.injection is not None and same(result.of(obj), obj):
        return Result(Reason.ALREADY_INJECTED, injection=result.injection)
    return result


_EACH_JOB = (
    "is not set: the webhook gives the Pods of each Job a group of their own, named after the Job, which no "
    "manifest can name beforehand; set the annotation, or leave this CronJob to the webhook"
)


def _bounded(obj: Object, result: Result) -> Result:
    """Reject what only the webhook can do."""
    kind = kind_of(obj)
    if kind is None or kind.name != "CronJob" or result.injection is None or result.injection.spec.group:
        return result
    return Result(Reason.INVALID, problems=[Problem(GROUP, _EACH_JOB)])
