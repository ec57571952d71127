"""Running Pods without the member that they ask for, and those with an outdated one."""

from collections import defaultdict
from collections.abc import Mapping

from hazelcast_sidecar.checks.dry_run import member_of
from hazelcast_sidecar.checks.installation import todays_settings
from hazelcast_sidecar.checks.reinstallation import install_again
from hazelcast_sidecar.checks.results import Area, CheckResult, Unread
from hazelcast_sidecar.checks.selected import selected
from hazelcast_sidecar.checks.snapshot import ObjectName, Snapshot
from hazelcast_sidecar.checks.workloads import workload_of
from hazelcast_sidecar.injection.drift import (
    DriftDetector,
    Verdict,
    injected_pod,
    not_injected,
    unless_excluded,
)
from hazelcast_sidecar.injection.webhook_configuration import lacks_label
from hazelcast_sidecar.kube.objects import Metadata, owner_of
from hazelcast_sidecar.model.selection import Selected
from hazelcast_sidecar.names import INJECT, INJECTOR, STATUS
from hazelcast_sidecar.owners import OwnerReference
from hazelcast_sidecar.spec.settings import Settings
from hazelcast_sidecar.version import __version__

_AREA = Area("Pods")
_RESTARTABLE = ("Deployment", "StatefulSet", "DaemonSet")
_USER_RANGE = "openshift.io/sa.scc.uid-range"
"""OpenShift's annotation on a namespace: the platform assigns a user to Pods that name none."""


def others(snapshot: Snapshot) -> list[CheckResult]:
    """Report Pods that are not checked, as the user may read those of one namespace only; else nothing."""
    unread = snapshot.other_namespaces
    return [_AREA.skipped("other namespaces", unread)] if unread else []


def missed(snapshot: Snapshot) -> list[CheckResult]:
    """Report Pods without a member, one finding per owner."""
    check = "missed"
    if isinstance(snapshot.without_member, Unread):
        return [_AREA.skipped(check, snapshot.without_member)]
    detector = DriftDetector(todays_settings(snapshot) or Settings())
    found: list[CheckResult] = []
    for without in snapshot.without_member:
        pod = without.metadata
        with _AREA.passing_over(check, f"the Pod {_named(pod)}", _show(pod), found):
            if isinstance(without.pod, Unread):
                found.append(_AREA.problem(check, f"{_named(pod)}: {without.pod.why}", _show(pod)))
                continue
            asked = _selected(snapshot, pod.namespace, pod.labels)
            if verdict := detector.missed(pod.namespace, without.pod, asked):
                pods = _counted(without.alike)
                message = f"{pods} without a member, for example {_named(pod)}: {verdict.sentence}"
                found.append(_AREA.problem(check, message, _remedy(snapshot, pod, verdict)))
    return found or [_AREA.ok(check, "every Pod that asks for a member has one")]


def drifted(snapshot: Snapshot) -> list[CheckResult]:
    """Report Pods with an outdated member, one finding per owner."""
    check = "drifted"
    if isinstance(snapshot.pods, Unread):
        return [_AREA.skipped(check, snapshot.pods)]
    today = todays_settings(snapshot)
    if today is None:
        return [_AREA.skipped(check, Unread("it needs the settings"))]
    made = None if isinstance(snapshot.dry_run, Unread) else member_of(snapshot.dry_run)
    if made and made.version != __version__:
        return [_AREA.skipped(check, Unread(f"the webhook is {made.version}, this command {__version__}"))]
    detector = DriftDetector(today)
    owners: defaultdict[tuple[str, OwnerReference], list[tuple[Metadata, Verdict]]] = defaultdict(list)
    found: list[CheckResult] = []
    for pod in snapshot.pods:
        with _AREA.passing_over(check, f"the Pod {_named(pod)}", _show(pod), found):
            injected = None if pod.deletion_timestamp else injected_pod(pod)
            if injected and (verdict := detector.drifted(injected)):
                owners[pod.namespace, owner_of(pod)].append((pod, verdict))
    for alike in owners.values():
        pod, verdict = alike[0]
        verdict = unless_excluded(verdict, pod.namespace, _selected(snapshot, pod.namespace, None))
        pods = _counted(len(alike))
        message = f"{pods} with an outdated member, for example {_named(pod)}: {verdict.sentence}"
        found.append(_AREA.warning(check, message, _remedy(snapshot, pod, verdict)))
    return found or [_AREA.ok(check, "every member matches the current settings")]


def unlabelled(snapshot: Snapshot) -> list[CheckResult]:
    """Report Pods with a member whose replacements would have none, one finding per owner."""
    check = "label"
    if isinstance(snapshot.pods, Unread):
        return [_AREA.skipped(check, snapshot.pods)]
    owners: defaultdict[tuple[str, OwnerReference], list[Metadata]] = defaultdict(list)
    for pod in snapshot.pods:
        if STATUS in pod.known_annotations and lacks_label(pod.labels):
            owners[pod.namespace, owner_of(pod)].append(pod)
    found = []
    for alike in owners.values():
        pod = alike[0]
        asked = _selected(snapshot, pod.namespace, pod.labels)
        if asked is Selected.UNLABELLED:
            verdict = Verdict(not_injected(asked, pod.namespace), repairable=False, selected=asked)
            message = (
                f"{_counted(len(alike))} with a member, for example {_named(pod)}, whose replacements would "
                f"have none: {verdict.sentence}"
            )
            found.append(_AREA.problem(check, message, _remedy(snapshot, pod, verdict)))
    if owners and not found:
        lacking = (
            f"owners of Pods whose template lacks the label, which unlabelledWorkloads injects: {len(owners)}"
        )
        return [_AREA.ok(check, lacking)]
    return found or [_AREA.ok(check, "every workload with members has its label")]


def pod_security(snapshot: Snapshot) -> list[CheckResult]:
    """Check that the namespaces' Pod Security levels admit the member."""
    check = "Pod Security"
    if unread := _AREA.unread(check, snapshot.pods, snapshot.namespaces):
        return unread
    assert not isinstance(snapshot.pods, Unread)  # noqa: S101 - looked at just before
    assert not isinstance(snapshot.namespaces, Unread)  # noqa: S101
    today = todays_settings(snapshot)
    if today is None:
        return [_AREA.skipped(check, Unread("it needs the settings"))]
    found = []
    for name in sorted({pod.namespace for pod in snapshot.pods}):
        namespace = snapshot.namespaces.get(name, Metadata())
        if today.run_as_user is None and _USER_RANGE not in namespace.known_annotations:
            message = (
                f"runAsUser is `platform`, and nothing assigns one to Pods in {name}: the kubelet does not "
                "start a member whose image has a named user"
            )
            fix = f"kubectl -n {snapshot.namespace} edit configmap hazelcast-sidecar-settings"
            found.append(_AREA.warning(check, message, fix))
    return found or [_AREA.ok(check, "members pass every level, including restricted")]


def _selected(snapshot: Snapshot, namespace: str, pod: Mapping[str, str] | None) -> Selected:
    registered = snapshot.configuration, snapshot.mutating_policy, snapshot.mutating_binding
    return selected(registered, snapshot.namespaces, namespace, pod)


_SHOW = f"kubectl get mutatingwebhookconfiguration {INJECTOR} -o yaml"
_REGISTRATION_REMEDIES = {
    Selected.NAMESPACE_EXCLUDED: f"{_SHOW}  # its namespaceSelector; then: kubectl label namespace {{}} ...",
    Selected.POD_EXCLUDED: f"{_SHOW}  # its objectSelector; then label the Pod template",
    Selected.UNKNOWN: f"{_SHOW}; kubectl get namespace {{}} --show-labels  # as a user who may",
}
"""The fixes if the registration is why a Pod has no member."""


def _remedy(snapshot: Snapshot, pod: Metadata, verdict: Verdict) -> str:
    """Return the command that recreates the Pod, or opens its workload in an editor.

    The owner comes from the Pod's creator, with any text, and this line is pasted into a shell.
    """
    workload = workload_of(pod)
    in_namespace = f"kubectl -n {pod.namespace}"
    if verdict.selected is Selected.UNLABELLED:
        return f"{in_namespace} {_labelled_by(workload)}"
    if verdict.selected is not Selected.YES:
        return _registered_by(snapshot, pod.namespace, verdict.selected)
    if not verdict.repairable:
        return f"{in_namespace} edit {workload.argument}"
    if workload.kind in _RESTARTABLE:
        return f"{in_namespace} rollout restart {workload.argument}"
    if workload.kind == "Pod":
        return f"{in_namespace} delete pod {pod.name}  # and create it again"
    return f"{in_namespace} delete pod {pod.name}"


def _registered_by(snapshot: Snapshot, namespace: str, selected: Selected) -> str:
    """Return the command that shows or makes a registration that selects a namespace's Pods."""
    if selected is Selected.NOTHING_REGISTERED:
        return install_again(snapshot)
    return _REGISTRATION_REMEDIES[selected].format(namespace)


def _labelled_by(workload: ObjectName) -> str:
    """Return the command after which a workload's Pod template has the label."""
    if workload.kind in _RESTARTABLE:
        return f"rollout restart {workload.argument}"
    if workload.kind == "Job":
        return f"delete {workload.argument}  # and create it again"
    return f'edit {workload.argument}  # label its Pod template {INJECT}: "true"'


def _show(pod: Metadata) -> str:
    return f"kubectl -n {pod.namespace} get pod {pod.name} -o yaml"


def _counted(number: int) -> str:
    return f"{number} Pod" if number == 1 else f"{number} Pods"


def _named(pod: Metadata) -> str:
    return f"{pod.namespace}/{pod.name}"
