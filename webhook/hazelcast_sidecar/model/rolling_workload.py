"""The parts of a workload that decide how its Pods are replaced by others: strategy and probes.

Only what `check` and `explain` give advice about; a review has them in `model/workload.py` as far as it needs
them.
"""

import msgspec

from hazelcast_sidecar.model.pod import Int64
from hazelcast_sidecar.model.workload import Strategy
from hazelcast_sidecar.names import CONTAINER

ROLLING_KINDS = ("Deployment", "StatefulSet", "DaemonSet")
"""The kinds of workloads that replace their Pods by rollouts; all of apps/v1."""

_MAX_CONTAINERS = 100
"""Containers that are looked at; their names are kept."""


class Probe(msgspec.Struct, gc=False, rename="camel"):
    """How often the kubelet asks, with its defaults."""

    initial_delay_seconds: Int64 | None = None
    period_seconds: Int64 | None = None
    failure_threshold: Int64 | None = None

    @property
    def latest(self) -> int:
        """Return after how many seconds it has asked for certain."""
        return (self.initial_delay_seconds or 0) + (self.period_seconds or _PERIOD)

    @property
    def patience(self) -> int:
        """Return for how many seconds failures change nothing."""
        failures = self.failure_threshold or _FAILURES
        return (self.initial_delay_seconds or 0) + failures * (self.period_seconds or _PERIOD)


_PERIOD, _FAILURES = 10, 3


class ProbedContainer(msgspec.Struct, gc=False, rename="camel"):
    """A container, with the probes that say when it is ready."""

    name: str = ""
    startup_probe: Probe | None = None
    readiness_probe: Probe | None = None

    @property
    def probes(self) -> list[tuple[str, Probe]]:
        """Return the probes that it has, with their fields."""
        given = ("startupProbe", self.startup_probe), ("readinessProbe", self.readiness_probe)
        return [(field, probe) for field, probe in given if probe is not None]


class _PodSpec(msgspec.Struct, gc=False):
    containers: list[ProbedContainer] | None = None

    def __post_init__(self) -> None:
        """Drop what no honest Pod has."""
        self.containers = (self.containers or [])[:_MAX_CONTAINERS]


class _PodTemplate(msgspec.Struct, gc=False):
    spec: _PodSpec = msgspec.field(default_factory=_PodSpec)


class _RollingSpec(msgspec.Struct, gc=False, rename="camel"):
    replicas: Int64 | None = None
    strategy: Strategy | None = None
    update_strategy: Strategy | None = None
    template: _PodTemplate = msgspec.field(default_factory=_PodTemplate)


class RollingWorkload(msgspec.Struct, gc=False):
    """A workload with rollouts."""

    spec: _RollingSpec

    @property
    def strategy(self) -> Strategy:
        """Return how its Pods are replaced."""
        return self.spec.strategy or self.spec.update_strategy or Strategy()

    @property
    def application(self) -> list[ProbedContainer]:
        """Return its containers, without a member that is in its manifest."""
        return [each for each in self.spec.template.spec.containers or () if each.name != CONTAINER]
