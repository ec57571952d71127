"""Whether the Pods of a group form one cluster, judged by what their members answer."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from enum import StrEnum

import msgspec

from hazelcast_sidecar.members.view import Health, MemberView
from hazelcast_sidecar.names import SERVICE_NAME, resource_name
from hazelcast_sidecar.text import some_of

_ACTIVE = "ACTIVE"
_SHOWN = 5


class GroupPod(msgspec.Struct, frozen=True):
    """A Pod of a group, as the API has it, and what its member answered."""

    name: str
    ready: bool
    terminating: bool
    image: str
    """The member container's."""
    fingerprint: str
    """Of what the injector added to it (`injection/fingerprint.py`)."""
    view: MemberView | None = None
    error: str = ""
    """Why there is no view, as half a sentence."""

    @property
    def health(self) -> Health | None:
        """Return what its member says, if it answered and stays: one that ends has left the others' lists."""
        return None if self.view is None or self.terminating else self.view.health


class Severity(StrEnum):
    """How much an observation matters."""

    NOTE = "note"
    WARNING = "warning"
    PROBLEM = "problem"


class Observation(msgspec.Struct, frozen=True):
    """One sentence about a group, and what to do about it."""

    severity: Severity
    message: str
    remedy: str = ""


class Assessment(msgspec.Struct, frozen=True):
    """What is known of one group."""

    namespace: str
    group: str
    pods: tuple[GroupPod, ...]
    observations: tuple[Observation, ...]
    split: Observation | None = None
    """The one of them that says that members belong to more than one cluster."""

    @property
    def severity(self) -> Severity:
        """Return the worst of its observations."""
        order = list(Severity)
        return max((each.severity for each in self.observations), key=order.index, default=Severity.NOTE)

    @property
    def silent(self) -> list[GroupPod]:
        """Return the Pods whose members could not be asked, though they are ready."""
        return _silent(self.pods)


def clusters(pods: Iterable[GroupPod]) -> list[list[GroupPod]]:
    """Sort the Pods whose members answered, and stay, by the cluster that they see, the largest first.

    Of a member that does not say which others it sees, but only how many, the number is compared.
    """
    found: defaultdict[str, list[GroupPod]] = defaultdict(list)
    counting = []
    for pod in pods:
        if pod.view is None or pod.health is None:
            continue
        if pod.view.cluster:
            found[pod.view.cluster].append(pod)
        else:
            counting.append(pod)
    parts = list(found.values())
    of_size = {_size(part): part for part in parts}
    for pod in counting:
        size = _size([pod])
        if size not in of_size:
            of_size[size] = []
            parts.append(of_size[size])
        of_size[size].append(pod)
    return sorted(parts, key=len, reverse=True)


def assess(namespace: str, group: str, pods: Sequence[GroupPod]) -> Assessment:
    """Compare what the members of a group say."""
    ordered = tuple(sorted(pods, key=lambda pod: pod.name))
    apart = clusters(ordered)
    split = _split(namespace, apart)
    found = [
        *([split] if split else ()),
        *_strangers(namespace, group, apart, len(ordered)),
        *_unanswered(namespace, ordered),
        *_states(namespace, ordered),
        *_backups(ordered),
        *_differences(namespace, ordered),
    ]
    return Assessment(namespace, group, ordered, tuple(found), split)


def _split(namespace: str, apart: Sequence[Sequence[GroupPod]]) -> Observation | None:
    if len(apart) < 2:  # noqa: PLR2004 - one is as it should be
        return None
    shown = [f"{_names(part)} {_verb(part, 'see')} {_seen(part)}" for part in apart]
    parts = some_of(shown, _SHOWN, "; ")
    smaller = " ".join(pod.name for part in apart[1 : _SHOWN + 1] for pod in part[:_SHOWN])
    return Observation(
        Severity.PROBLEM,
        f"the members do not form one cluster: {parts}",
        "clusters that formed apart merge within two minutes; if they do not, restart the smaller one (what "
        f"only it holds is lost): kubectl -n {namespace} delete pod {smaller}",
    )


def _size(part: Sequence[GroupPod]) -> int:
    assert part[0].health is not None  # noqa: S101 - only those that answered are sorted
    return part[0].health.cluster_size


def _seen(part: Sequence[GroupPod]) -> str:
    return "only itself" if _size(part) == 1 else f"{_size(part)} members"


def _strangers(
    namespace: str, group: str, apart: Sequence[Sequence[GroupPod]], pods: int
) -> Iterable[Observation]:
    """Notice members that belong to no Pod of the group; those that are ending may still be listed."""
    for part in apart:
        if _size(part) > pods:
            yield Observation(
                Severity.WARNING,
                f"{_names(part)} {_verb(part, 'see')} {_size(part)} members, but the group has {pods} Pods",
                f"kubectl -n {namespace} get endpointslices -o wide -l {SERVICE_NAME}={resource_name(group)}"
                "  # whose addresses they are; a Pod that was killed stays listed for some seconds",
            )


def _silent(pods: Iterable[GroupPod]) -> list[GroupPod]:
    return [pod for pod in pods if pod.view is None and pod.ready and not pod.terminating]


def _unanswered(namespace: str, pods: Sequence[GroupPod]) -> Iterable[Observation]:
    by_error: defaultdict[str, list[GroupPod]] = defaultdict(list)
    for pod in _silent(pods):
        by_error[pod.error].append(pod)
    for error, those in by_error.items():
        yield Observation(
            Severity.WARNING,
            f"{_names(those)} could not be asked: {error}",
            f"kubectl -n {namespace} auth can-i create pods/portforward; the member's log: "
            f"kubectl -n {namespace} logs {those[0].name} -c hazelcast",
        )


def _states(namespace: str, pods: Sequence[GroupPod]) -> Iterable[Observation]:
    for pod in pods:
        if pod.health is not None and pod.health.node_state != _ACTIVE:
            yield Observation(
                Severity.WARNING,
                f"the member of {pod.name} is {pod.health.node_state}",
                f"kubectl -n {namespace} logs {pod.name} -c hazelcast",
            )


def _backups(pods: Sequence[GroupPod]) -> Iterable[Observation]:
    unsafe = [pod for pod in pods if pod.health is not None and not pod.health.cluster_safe]
    if unsafe:
        yield Observation(
            Severity.WARNING,
            f"entries are being copied between members, as {_names(unsafe)} {_verb(unsafe, 'say')}: "
            "a member lost now may take entries with it",
            "end no Pod of the group until its cluster is safe",
        )


def _differences(namespace: str, pods: Sequence[GroupPod]) -> Iterable[Observation]:
    alive = [pod for pod in pods if not pod.terminating]
    versions = sorted({pod.view.version for pod in alive if pod.view and pod.view.version})
    images = sorted({pod.image for pod in alive})
    if len({_minor(version) for version in versions}) > 1:
        yield Observation(
            Severity.PROBLEM,
            f"members of the releases {', '.join(versions)} cannot form one cluster",
            f"kubectl -n {namespace} rollout status of the workload; all Pods need the same image",
        )
    elif len(images) > 1:
        yield Observation(
            Severity.NOTE, f"a rollout is under way, or stopped: the images are {some_of(images, _SHOWN)}"
        )
    elif len({pod.fingerprint for pod in alive}) > 1:
        yield Observation(Severity.NOTE, "the members were injected with different settings")


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _verb(pods: Sequence[GroupPod], verb: str) -> str:
    return f"{verb}s" if len(pods) == 1 else verb


def _names(pods: Sequence[GroupPod]) -> str:
    return some_of([pod.name for pod in pods], _SHOWN)
