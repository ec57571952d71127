"""Reinjection of injected objects in manifests, which get the current member.

So an injected manifest follows edits of its annotations, and one without a change stays byte for byte as it
is.
"""

from collections.abc import Sequence

import msgspec

from hazelcast_sidecar.errors import Problem
from hazelcast_sidecar.injection.fingerprint import UNKNOWN, fingerprint
from hazelcast_sidecar.injection.manifests import (
    Object,
    Result,
    annotations_of,
    inject,
    kind_of,
    knows_its_group,
    pod_in,
    status_in,
)
from hazelcast_sidecar.injection.patch import pointer, status_of
from hazelcast_sidecar.injection.pod_decision import Reason
from hazelcast_sidecar.injection.record import Written, texts
from hazelcast_sidecar.injection.uninjection import dangling, undo
from hazelcast_sidecar.injection.workload_decision import OUTDATED_IN_TEMPLATE
from hazelcast_sidecar.manifest_text.patching import same
from hazelcast_sidecar.model.status import Status
from hazelcast_sidecar.names import GROUP, STATUS
from hazelcast_sidecar.spec.annotations import Defaults


def before_injection(obj: Object) -> Object:
    """Return an object as it was before it was injected, as far as its status annotation says."""
    return undo(obj).of(obj)


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
    now = inject(obj, defaults, run_as_user, written)
    if not is_recorded(obj):
        return _bounded(obj, now)
    if now.problems:
        return now
    status, undone = status_in(obj), undo(obj)
    if status is None or not status.reversible:
        wanted = inject(undone.of(obj), defaults, run_as_user)
        return wanted if wanted.problems else _kept(now, outdated(status, wanted, run_as_user))
    return _renewed(obj, undone, status, defaults, run_as_user)


def _renewed(
    obj: Object, undone: Result, status: Status, defaults: Defaults, run_as_user: int | None
) -> Result:
    """Return what injects an object again, from what was there before."""
    before, kind = undone.of(obj), kind_of(obj)
    depth = 0 if kind is None else len(kind.template)
    was = texts(status, pod_in(before))
    result = _bounded(
        before, inject(before, defaults, run_as_user, lambda steps: was.get(pointer(*steps[depth:])))
    )
    if result.problems:
        return result
    result = result._replace(undoing=undone.operations)
    after = result.of(obj)
    if problems := dangling(obj, after):
        return Result(Reason.INVALID, problems=problems)
    if result.injection is not None and same(after, obj):
        return Result(Reason.ALREADY_INJECTED, injection=result.injection)
    return result


def is_recorded(obj: Object) -> bool:
    """Tell whether a Pod or a Pod template has a status annotation, even if it cannot be read."""
    return STATUS in annotations_of(pod_in(obj))


OUTDATED = (
    "the member, which the webhook injected, is outdated by the annotations or the settings, and stays as it "
    "is, because its status annotation does not say what was there before; run `hazelcast-sidecar uninject`, "
    "remove by hand what that names, and inject again"
)


def outdated(status: Status | None, wanted: Result, run_as_user: int | None) -> tuple[str, ...]:
    """Warn of a member of the webhook's that differs from the one that is asked for.

    Args:
        status: what its status annotation says.
        wanted: the outcome for the object as it was before.
        run_as_user: as the settings have it.
    """
    if status is None or status.reversible or wanted.injection is None:
        return ()
    injection = wanted.injection
    new = status_of(injection, fingerprint(injection.spec, run_as_user))
    old = msgspec.structs.replace(status, version=new.version)
    if old.fingerprint in ("", UNKNOWN):
        old = msgspec.structs.replace(old, fingerprint=new.fingerprint)
    if injection.spec.group is None:  # by the name of the workload, which a Pod does not always have
        old = msgspec.structs.replace(old, group=new.group)
    return () if old == new else (OUTDATED,)


def _kept(now: Result, warnings: Sequence[str]) -> Result:
    """Return the outcome for a member of the webhook's, of which injecting again would change nothing."""
    others = [warning for warning in now.warnings if not warnings or warning != OUTDATED_IN_TEMPLATE]
    return now._replace(warnings=[*others, *warnings])


_EACH_JOB = (
    "is not set: the webhook gives the Pods of each Job a group of their own, named after the Job, which no "
    "manifest can name beforehand; set the annotation, or leave this CronJob to the webhook"
)
_GENERATED = (
    "is not set: the webhook names the group after the {kind}, whose name the API server generates, so no "
    "manifest can name it beforehand; set the annotation, or leave this {kind} to the webhook"
)


def _bounded(obj: Object, result: Result) -> Result:
    """Reject what only the webhook can do."""
    kind = kind_of(obj)
    injection = result.injection
    if kind is None or injection is None or injection.spec.group or knows_its_group(obj):
        return result
    why = _EACH_JOB if kind.name == "CronJob" else _GENERATED
    return Result(Reason.INVALID, problems=[Problem(GROUP, why.format(kind=kind.name))])
