"""Drift detection by the current settings: running Pods without a member, or with an outdated one."""

from typing import NamedTuple

import msgspec

from hazelcast_sidecar.errors import in_one_sentence
from hazelcast_sidecar.injection import intact, pod_decision
from hazelcast_sidecar.injection.compatibility import membership_of, recorded_membership, separation
from hazelcast_sidecar.injection.fingerprint import UNKNOWN, fingerprint
from hazelcast_sidecar.injection.pod_decision import Deny, Reason, Restore, Skip
from hazelcast_sidecar.kube.objects import Metadata
from hazelcast_sidecar.model import status
from hazelcast_sidecar.model.pod import Pod, PodMetadata, PodOwner, Spec, workload_name
from hazelcast_sidecar.model.selection import Selected
from hazelcast_sidecar.model.status import Status
from hazelcast_sidecar.names import (
    CONTAINER,
    GROUP,
    INJECT,
    INJECTOR,
    MEMBER_VOLUMES,
    PREFIX,
    STATUS,
    group_of_workload,
)
from hazelcast_sidecar.owners import controller_of
from hazelcast_sidecar.spec import annotations
from hazelcast_sidecar.spec.annotations import DefaultSpecs
from hazelcast_sidecar.spec.settings import Settings
from hazelcast_sidecar.untrusted import UndecodableError

_ANEW = "recreate its workload's Pods, for example with `kubectl rollout restart`"
_MISSED = f"it was created while the webhook was not called; {_ANEW}"
_DRIFTED = f"the settings or the injector have changed; {_ANEW}"
_UNRECORDED = f"an older version injected it; {_ANEW}"
_SEPARATED = (
    "the settings or the injector have changed, and new Pods would form another cluster, to which entries do "
    "not pass: {}; to keep them, set the old value by annotation, or copy them to a workload with the new one"
)
_REFUSED = "it would be denied now: {}; correct its workload's Pod template"
_NOT_INJECTED = {
    Selected.NAMESPACE_EXCLUDED: "the namespace {} is excluded from injection; add the labels that the "
    "namespaceSelector requires, use another namespace, or remove the annotation",
    Selected.POD_EXCLUDED: "its labels exclude it from injection; add the labels that the objectSelector "
    "requires to its workload's Pod template, or remove the annotation",
    Selected.UNLABELLED: "its workload's Pod template asks by an annotation and lacks the label "
    f'{INJECT}: "true", by which the API server knows the Pods of workloads; `kubectl rollout restart` has '
    "the webhook write it, and where something else than Kubernetes makes these Pods, write it into the "
    "template",
    Selected.NOTHING_REGISTERED: "nothing is registered that would inject it: neither the "
    f"MutatingWebhookConfiguration nor the MutatingAdmissionPolicy {INJECTOR} exists for Pods; install "
    "one of them again",
    Selected.UNKNOWN: "it is unknown whether the namespace {} is excluded from injection: its labels, or the "
    "registration, could not be read; check again when they can",
}
_DRIFTED_FOR_GOOD = "the settings or the injector have changed, and a new Pod would have no member: {}"


class Verdict(NamedTuple):
    """What is wrong with a Pod."""

    sentence: str
    """The reason, and what to do."""
    repairable: bool
    """Whether a Pod created in its place would be right."""
    selected: Selected = Selected.YES
    """Where not, and the registration is why: what is wrong with that."""


class InjectedPod(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """Everything that decides whether a Pod has drifted; the Pods of a workload have equal ones."""

    namespace: str
    ours: tuple[tuple[str, str], ...]
    """Its annotations under our prefix."""
    of_workload: str
    """The group that it would have if neither annotations nor defaults name one."""
    status: Status


def injected_pod(pod: Metadata) -> InjectedPod | None:
    """Return an injected Pod's facts; None if it was not injected, or its status annotation is unreadable."""
    try:
        found = status.decode(pod.known_annotations.get(STATUS, ""))
    except UndecodableError:
        return None
    return as_injected(pod, found)


def as_injected(pod: Metadata, found: Status) -> InjectedPod:
    """Return the facts of an injected Pod with this status."""
    ours = sorted(
        item for item in pod.known_annotations.items() if item[0].startswith(PREFIX) and item[0] != STATUS
    )
    made = controller_of(pod.owner_references) is not None
    # A bare Pod may have been unnamed when its group was derived from its name.
    of_workload = group_of_workload(workload_name(as_created(pod))) if made else found.group
    return InjectedPod(pod.namespace, tuple(ours), of_workload, found)


def as_created(pod: Metadata, spec: Spec | None = None) -> Pod:
    """Return a running Pod as the webhook would see it."""
    owners = [PodOwner(owner.kind, owner.name, owner.controller) for owner in pod.owner_references]
    metadata = PodMetadata(
        name=pod.name,
        annotations=pod.known_annotations,
        labels=pod.labels,
        owner_references=owners,
    )
    return Pod(metadata, spec or Spec())


def as_sent(pod: Metadata, spec: Spec) -> Pod:
    """Return an injected Pod as its template has it: without what the webhook added."""
    sent = as_created(pod, msgspec.structs.replace(spec))
    sent.metadata.annotations = {key: text for key, text in pod.known_annotations.items() if key != STATUS}
    sent.metadata.labels = {key: text for key, text in pod.labels.items() if key != GROUP}
    sent.spec.init_containers = [c for c in spec.init_containers or () if c.name != CONTAINER]
    sent.spec.containers = [c for c in spec.containers or () if c.name != CONTAINER]
    sent.spec.volumes = [v for v in spec.volumes or () if v.name not in MEMBER_VOLUMES]
    return sent


class DriftDetector:
    """Detector that compares running Pods with one set of settings at a time.

    Args:
        settings: the initial settings.

    Raises:
        InvalidSettingsError: the settings' defaults are invalid.
    """

    def __init__(self, settings: Settings) -> None:
        self.use(settings)

    def use(self, settings: Settings) -> None:
        """Compare with these settings from now on.

        Raises:
            InvalidSettingsError: their defaults are invalid; the previous ones stay in use.
        """
        self._defaults = DefaultSpecs(settings)
        self._run_as_user = settings.run_as_user

    def is_missed(self, namespace: str, pod: Pod) -> bool:
        """Tell whether a Pod should have a member that it does not have."""
        return not _has_what_it_asks_for(pod, self._decision(namespace, pod))

    def missed(self, namespace: str, pod: Pod, selected: Selected) -> Verdict | None:
        """Return why a Pod should have a member that it does not have; None if it should not.

        Args:
            namespace: the Pod's.
            pod: as the webhook would see it.
            selected: whether the webhook is asked about such a Pod.
        """
        decision = self._decision(namespace, pod)
        if _has_what_it_asks_for(pod, decision):
            return None
        if isinstance(decision, Deny) and selected in {Selected.YES, Selected.UNLABELLED}:
            return Verdict(_REFUSED.format(in_one_sentence(decision.problems)), repairable=False)
        if selected is not Selected.YES:
            return Verdict(not_injected(selected, namespace), repairable=False, selected=selected)
        return Verdict(_MISSED, repairable=True)

    def drifted(self, injected: InjectedPod) -> Verdict | None:
        """Return why an injected Pod's member is outdated; None if it is not."""
        spec = annotations.parse(dict(injected.ours), self._defaults.of(injected.namespace))
        if isinstance(spec, list):
            return Verdict(_REFUSED.format(in_one_sentence(spec)), repairable=False)
        now = membership_of(spec, spec.group or injected.of_workload)
        if reasons := separation(recorded_membership(injected.status), now):
            return Verdict(_SEPARATED.format("; ".join(reasons)), repairable=False)
        recorded = injected.status.fingerprint
        if not recorded:
            return Verdict(_UNRECORDED, repairable=True)
        # An admission policy may write no fingerprint, and then only the membership can be compared.
        known = recorded != UNKNOWN
        changed = known and recorded != fingerprint(spec, self._run_as_user)
        return Verdict(_DRIFTED, repairable=True) if changed else None

    def _decision(self, namespace: str, pod: Pod) -> pod_decision.Decision:
        return pod_decision.decide(pod, "CREATE", self._defaults.of(namespace))


def _has_what_it_asks_for(pod: Pod, decision: pod_decision.Decision) -> bool:
    """Tell whether a Pod has its member: what that lacks, such as our label, may have been removed since."""
    collides = isinstance(decision, Deny) and decision.reason is Reason.COLLISION
    return isinstance(decision, Skip | Restore) or (collides and intact.member_of(pod) is not None)


def not_injected(selected: Selected, namespace: str) -> str:
    """Return why the API server asks about no such Pod, and what to do."""
    return _NOT_INJECTED[selected].format(namespace)


def unless_excluded(verdict: Verdict, namespace: str, selected: Selected) -> Verdict:
    """Return what to say of a drifted Pod where one in its place would have no member at all."""
    if not verdict.repairable or selected in {Selected.YES, Selected.UNKNOWN}:
        return verdict
    why = not_injected(selected, namespace)
    return Verdict(_DRIFTED_FOR_GOOD.format(why), repairable=False, selected=selected)
