"""How many Pods Kubernetes ends at once, by its own rules: a rollout, an autoscaler, evictions.

Source: Kubernetes API reference, apps/v1, autoscaling/v2 and policy/v1. Each rounds in its own way; see
`ResolveFenceposts`, `getStatefulSetMaxUnavailable`, `UnavailableCount` (pkg/controller/daemon),
`calculateScaleDownLimitWithBehaviors` and `getExpectedPodCount`.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from hazelcast_sidecar.model.pod import Int64
from hazelcast_sidecar.model.selectors import selects
from hazelcast_sidecar.model.workload import Strategy

IntOrPercent = Int64 | str
"""A number of Pods, or a percentage of them as text."""

_Number = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
_MAX_POLICIES, _MAX_SELECTED = 100, 100
"""Policies of an autoscaler, and values of a budget's selector, that are read: honest objects have fewer."""

_ALL = 100


def unavailable_in_rollout(kind: str, strategy: Strategy, pods: int | None) -> int:
    """Return how many of a workload's Pods a rollout may end before there are new ones in their place.

    Args:
        kind: the workload's.
        strategy: as in its spec, RollingUpdate; what is absent has its default.
        pods: how many it has; None if that is unknown, and a percentage of it is taken for none.
    """
    if strategy.type == "OnDelete" or kind not in _BY_DEFAULT:
        return 0
    rolling = strategy.rolling_update
    given = rolling.max_unavailable if rolling else None
    most = _count(_BY_DEFAULT[kind] if given is None else given, pods or 0, up=kind == "DaemonSet")
    return most if pods is None else min(pods, most)


_BY_DEFAULT: Mapping[str, IntOrPercent] = {"Deployment": "25%", "StatefulSet": 1, "DaemonSet": 1}
"""maxUnavailable of each kind that has rollouts."""


def _count(given: IntOrPercent, of: int, *, up: bool) -> int:
    """Return a number of Pods; for a text that is not a percentage, which the API server rejects, 0."""
    if not isinstance(given, str):
        return given
    percent = re.fullmatch(r"([0-9]{1,3})%", given, re.ASCII)
    return (of * int(percent[1]) + (99 if up else 0)) // 100 if percent else 0


class ScalingPolicy(msgspec.Struct, gc=False, rename="camel"):
    """How many Pods an autoscaler may add or remove within a period."""

    type: Literal["Pods", "Percent"]
    value: _Number

    def removed(self, pods: int) -> int:
        """Return how many of so many Pods it lets go at once; what a percentage leaves is rounded down."""
        if self.type == "Pods":
            return min(pods, self.value)
        return pods - pods * max(0, _ALL - self.value) // _ALL


_WITHOUT_POLICY = (ScalingPolicy("Percent", _ALL),)
"""What holds for scaling down where nothing is said."""


class ScalingRules(msgspec.Struct, gc=False, rename="camel"):
    """The rules for one direction of scaling."""

    select_policy: Literal["Max", "Min", "Disabled"] | None = None
    policies: list[ScalingPolicy] | None = None

    def __post_init__(self) -> None:
        """Check the number of policies.

        Raises:
            ValueError: there are too many.
        """
        if self.policies and len(self.policies) > _MAX_POLICIES:
            raise ValueError(f"it has more than {_MAX_POLICIES} policies")


class Behavior(msgspec.Struct, gc=False, rename="camel"):
    """How fast an autoscaler scales."""

    scale_down: ScalingRules | None = None


class ScaleTarget(msgspec.Struct, gc=False):
    """The workload that an autoscaler scales."""

    kind: str
    name: str


class AutoscalerSpec(msgspec.Struct, gc=False, rename="camel"):
    """The spec of an autoscaler."""

    scale_target_ref: ScaleTarget
    max_replicas: _Number
    min_replicas: _Number | None = None
    behavior: Behavior | None = None


class Autoscaler(msgspec.Struct, gc=False):
    """A HorizontalPodAutoscaler, as far as it decides how many Pods end at once."""

    spec: AutoscalerSpec

    @property
    def rules(self) -> ScalingRules:
        """Return its rules for scaling down."""
        return (self.spec.behavior.scale_down if self.spec.behavior else None) or ScalingRules()

    @property
    def at_once(self) -> int:
        """Return how many Pods it may end at once: at most all above its minimum."""
        most = self.spec.max_replicas
        least = 1 if self.spec.min_replicas is None else self.spec.min_replicas
        rules = self.rules
        if rules.select_policy == "Disabled":
            return 0
        removed = [policy.removed(most) for policy in rules.policies or _WITHOUT_POLICY]
        chosen = min(removed) if rules.select_policy == "Min" else max(removed)
        return min(chosen, max(0, most - least))


class _BudgetSpec(msgspec.Struct, gc=False, rename="camel"):
    selector: dict[str, Any] | None = None
    max_unavailable: IntOrPercent | None = None
    min_available: IntOrPercent | None = None

    def __post_init__(self) -> None:
        """Check the length of the selector.

        Raises:
            ValueError: it is too long.
        """
        selector = self.selector or {}
        expressions = selector.get("matchExpressions") or ()
        values = sum(1 + len(each.get("values") or ()) for each in expressions)
        if values + len(selector.get("matchLabels") or ()) > _MAX_SELECTED:
            raise ValueError(f"its selector has more than {_MAX_SELECTED} values")


class _BudgetStatus(msgspec.Struct, gc=False, rename="camel"):
    expected_pods: _Number = 0


class DisruptionBudget(msgspec.Struct, gc=False):
    """A PodDisruptionBudget, as far as it decides how many Pods are evicted at once."""

    spec: _BudgetSpec = msgspec.field(default_factory=_BudgetSpec)
    status: _BudgetStatus = msgspec.field(default_factory=_BudgetStatus)

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Tell whether it counts a Pod; without a selector it counts none."""
        return self.spec.selector is not None and selects(self.spec.selector, labels)

    def at_once(self, pods: int) -> int:
        """Return how many of so many healthy Pods it lets evictions end at once.

        Args:
            pods: those that are known to be selected; its status may know of more.
        """
        expected = max(pods, self.status.expected_pods)
        if self.spec.max_unavailable is not None:
            return min(pods, _count(self.spec.max_unavailable, expected, up=True))
        if self.spec.min_available is not None:
            return min(pods, max(0, expected - _count(self.spec.min_available, expected, up=True)))
        return 0
