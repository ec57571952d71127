"""Advice about how a workload's Pods are replaced: what costs entries or time, and what to set instead.

A member that ends hands its entries over. Where it cannot, because its node fails, its memory runs out or its
time is over, the backups are left: so no more members should end at the same time than an entry has backups.
"""

from collections.abc import Sequence
from textwrap import indent
from typing import NamedTuple

import msgspec

from hazelcast_sidecar.model.disruption import unavailable_in_rollout
from hazelcast_sidecar.model.rolling_workload import Probe, RollingWorkload
from hazelcast_sidecar.model.workload import Strategy
from hazelcast_sidecar.spec.annotations import SidecarSpec
from hazelcast_sidecar.text import some_of

_BACKUPS = 1
"""What Hazelcast has by default, and the configuration of groups too."""

_LATE_SECONDS = 5
"""A probe that may ask later than that delays each Pod of a rollout."""

CAN_BE_LOST = "entries that they cannot hand over can be lost"

_SHOWN = 3
_MAX_INT32 = 2**31 - 1


class Advice(NamedTuple):
    """What Kubernetes will do, and lines for the manifest that change it."""

    sentence: str
    manifest: str
    """YAML from the root of the object."""


def backups_of(spec: SidecarSpec) -> int:
    """Return how many backups an entry has; a configuration of the user's own may say otherwise."""
    return _BACKUPS if spec.backup_count is None else spec.backup_count


def most_at_once(spec: SidecarSpec) -> int:
    """Return how many members may end at the same time without a loss, even if none hands its entries over.

    Without backups it is one all the same: some member has to be the first.
    """
    return max(1, backups_of(spec))


def backups_in_words(spec: SidecarSpec) -> str:
    """Say how many backups an entry has."""
    count = backups_of(spec)
    words = f"each entry has {count or 'no'} backup{'' if count <= 1 else 's'}"
    if spec.config is not None and spec.backup_count is None:
        return f"{words}, unless the ConfigMap {spec.config} says otherwise"
    return words


def about_rollout(kind: str, strategy: Strategy, pods: int | None, spec: SidecarSpec) -> Advice | None:
    """Return advice about Pods that a rollout ends at once; None where that loses nothing.

    Args:
        kind: the workload's.
        strategy: how it replaces its Pods.
        pods: how many it has; None if that is unknown.
        spec: of the Pods.
    """
    if strategy.type == "Recreate":
        return Advice(
            "strategy Recreate ends all Pods at once, and every entry is lost with each rollout; use "
            "RollingUpdate",
            "spec:\n  strategy:\n    type: RollingUpdate\n    rollingUpdate:\n      maxUnavailable: 0\n"
            "      maxSurge: 1\n",
        )
    ended, most = unavailable_in_rollout(kind, strategy, pods), most_at_once(spec)
    if ended <= most:
        return None
    field = "strategy" if kind == "Deployment" else "updateStrategy"
    return Advice(
        f"a rollout may end {ended} Pods at once (maxUnavailable), and {backups_in_words(spec)}: "
        f"{CAN_BE_LOST}; set maxUnavailable to {most}",
        f"spec:\n  {field}:\n    rollingUpdate:\n      maxUnavailable: {most}\n",
    )


def about_readiness(workload: RollingWorkload) -> Advice | None:
    """Return advice about how the kubelet finds out that the application is ready; None where that is quick.

    A rollout goes on to the next Pod when the one before is ready.
    """
    application = workload.application
    if not any(container.probes for container in application):
        if not application:
            return None
        return Advice(
            "no container of the application has a readiness probe: a rollout goes on, and requests arrive, "
            "before the application answers",
            _of_containers([_container(application[0].name, [_EXAMPLE])]),
        )
    late = {
        container.name: [(field, probe) for field, probe in container.probes if probe.latest > _LATE_SECONDS]
        for container in application
    }
    said = [
        f"{field} of {name} up to {probe.latest} s"
        for name, probes in late.items()
        for field, probe in probes
    ]
    if not said:
        return None
    return Advice(
        f"each Pod of a rollout waits for its probes: {some_of(said, _SHOWN)} (initialDelaySeconds and "
        "periodSeconds)",
        _of_containers(
            [
                _container(name, [_every_second(field, probe) for field, probe in probes])
                for name, probes in late.items()
                if probes
            ]
        ),
    )


_EXAMPLE = """\
readinessProbe:
  httpGet: {path: /healthz, port: 8080}  # or what your application has
  periodSeconds: 1
"""


def _every_second(field: str, probe: Probe) -> str:
    """Write a probe that asks each second, and is as patient as before."""
    delay = "  initialDelaySeconds: 0\n" if probe.initial_delay_seconds else ""
    return f"{field}:\n{delay}  periodSeconds: 1\n  failureThreshold: {min(probe.patience, _MAX_INT32)}\n"


def _container(name: str, fields: Sequence[str]) -> str:
    """Write a container; quoted, as a name may look like a number."""
    return f"- name: {msgspec.json.encode(name).decode()}\n" + indent("".join(fields), "  ")


def _of_containers(containers: Sequence[str]) -> str:
    return "spec:\n  template:\n    spec:\n      containers:\n" + indent("".join(containers), " " * 6)
