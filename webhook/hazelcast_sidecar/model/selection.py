"""Which Pods the API server has injected: by the selectors of what is registered with it.

Match conditions are not evaluated: those of the manifests let every Pod pass that asks for a member and has
none, and `check` tells of any other.
Source: Kubernetes API reference, admissionregistration.k8s.io/v1.
"""

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from hazelcast_sidecar.model.opt_in import ASKED
from hazelcast_sidecar.model.selectors import Selector, combined, selects
from hazelcast_sidecar.names import INJECT

_Object = Mapping[str, Any]


class Selected(StrEnum):
    """Whether a Pod that is created now would be injected, as far as selectors go."""

    YES = "yes"
    NAMESPACE_EXCLUDED = "namespace excluded"
    POD_EXCLUDED = "Pod excluded"
    UNLABELLED = "Pod unlabelled"
    """It would be, with the label `inject`, which its workload's template lacks."""
    NOTHING_REGISTERED = "nothing registered"
    UNKNOWN = "unknown"
    """The labels of its namespace are not known, or what is registered."""


class _Registered(NamedTuple):
    """The selectors of one webhook or policy."""

    namespaces: Selector
    objects: Selector


class Selection(NamedTuple):
    """The selectors of all that injects; a Pod is injected where any of them selects it."""

    registered: tuple[_Registered, ...]

    def of(self, namespace: Mapping[str, str] | None, pod: Mapping[str, str] | None) -> Selected:
        """Tell whether a Pod is selected.

        Args:
            namespace: the labels of its namespace; None where they are not known.
            pod: its own labels; None for any Pod of the namespace.
        """
        if not self.registered:
            return Selected.NOTHING_REGISTERED
        if namespace is None:
            return Selected.UNKNOWN
        here = [each for each in self.registered if selects(each.namespaces, namespace)]
        if not here:
            return Selected.NAMESPACE_EXCLUDED
        if pod is None or any(selects(each.objects, pod) for each in here):
            return Selected.YES
        labelled = {**pod, INJECT: ASKED}
        if INJECT not in pod and any(selects(each.objects, labelled) for each in here):
            return Selected.UNLABELLED
        return Selected.POD_EXCLUDED


def selection_of(
    configuration: _Object | None, policy: _Object | None = None, binding: _Object | None = None
) -> Selection:
    """Return the selection of what is registered; None for what does not exist.

    Args:
        configuration: the MutatingWebhookConfiguration.
        policy: the MutatingAdmissionPolicy, which injects without a webhook.
        binding: of that policy, without which it does nothing.
    """
    return Selection((*_of_webhooks(configuration or {}), *_of_policy(policy, binding)))


def _of_webhooks(configuration: _Object) -> Iterator[_Registered]:
    for webhook in configuration.get("webhooks") or ():
        if concerns_new_pods(webhook.get("rules") or ()):
            yield _selectors(webhook)


def _of_policy(policy: _Object | None, binding: _Object | None) -> Iterator[_Registered]:
    if not (policy and binding) or binding["spec"].get("policyName") != policy["metadata"]["name"]:
        return
    constraints = policy["spec"].get("matchConstraints") or {}
    narrowed = binding["spec"].get("matchResources") or {}
    ruled_out = (*_rules(constraints, "excludeResourceRules"), *_rules(narrowed, "excludeResourceRules"))
    if not concerns_new_pods(_rules(constraints, "resourceRules")) or concerns_new_pods(ruled_out):
        return
    if (rules := _rules(narrowed, "resourceRules")) and not concerns_new_pods(rules):
        return
    first, second = _selectors(constraints), _selectors(narrowed)
    yield _Registered(combined(first.namespaces, second.namespaces), combined(first.objects, second.objects))


def _rules(resources: _Object, field: str) -> tuple[_Object, ...]:
    return tuple(resources.get(field) or ())


def _selectors(holder: _Object) -> _Registered:
    return _Registered(holder.get("namespaceSelector") or {}, holder.get("objectSelector") or {})


def concerns_new_pods(rules: Iterable[_Object]) -> bool:
    """Tell whether rules of a webhook or a policy match the creation of Pods."""
    return any(
        {"", "*"} & set(rule["apiGroups"])
        and {"pods", "*", "*/*"} & set(rule["resources"])
        and {"CREATE", "*"} & set(rule["operations"])
        and rule.get("scope", "*") in ("*", "Namespaced")
        for rule in rules
    )
