"""Which labels a selector selects, and which Pods what is registered with the API server."""

from copy import deepcopy
from typing import Any

import pytest

from hazelcast_sidecar.admission_policies.policies import policies
from hazelcast_sidecar.injection.webhook_configuration import webhook_configuration
from hazelcast_sidecar.installation.rendering import installation_objects
from hazelcast_sidecar.installation.values_reader import read_values
from hazelcast_sidecar.model.selection import Selected, Selection, selection_of
from hazelcast_sidecar.model.selectors import combined, selects
from hazelcast_sidecar.names import INJECT
from hazelcast_sidecar.spec.settings import Settings

# --- selectors ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "selected"),
    [
        ({"operator": "In", "values": ["a", "b"]}, True),
        ({"operator": "In", "values": ["b"]}, False),
        ({"operator": "NotIn", "values": ["b"]}, True),
        ({"operator": "NotIn", "values": ["a"]}, False),
        ({"operator": "Exists"}, True),
        ({"operator": "DoesNotExist"}, False),
    ],
)
def test_expressions_of_selectors(expression: dict[str, Any], selected: bool) -> None:  # noqa: FBT001
    selector = {"matchExpressions": [{"key": "tier", **expression}]}
    assert selects(selector, {"tier": "a"}) is selected
    without = expression["operator"] in ("NotIn", "DoesNotExist")
    assert selects(selector, {}) is without


def test_all_that_a_selector_asks_for_must_hold() -> None:
    selector = {
        "matchLabels": {"tier": "a"},
        "matchExpressions": [{"key": "stage", "operator": "NotIn", "values": ["old"]}],
    }
    assert selects({}, {})
    assert selects({"matchLabels": None, "matchExpressions": None}, {})
    assert selects(selector, {"tier": "a", "more": "b"})
    assert not selects(selector, {"tier": "b"})
    assert not selects(selector, {"tier": "a", "stage": "old"})


def test_an_operator_that_nobody_knows_selects_nothing() -> None:
    assert not selects({"matchExpressions": [{"key": "tier", "operator": "Like", "values": ["a"]}]}, {})


def test_two_selectors_combined_select_what_both_select() -> None:
    first, second = {"matchLabels": {"tier": "a"}}, {"matchExpressions": [{"key": "b", "operator": "Exists"}]}
    assert selects(combined(first, second), {"tier": "a", "b": ""})
    assert not selects(combined(first, second), {"tier": "a"})
    assert not selects(combined(first, second), {"b": ""})
    assert not selects(combined(first, {"matchLabels": {"tier": "b"}}), {"tier": "a"})
    assert selects(combined({}, {}), {})


# --- what is registered ------------------------------------------------------------------------------------

RULE: dict[str, Any] = {"apiGroups": [""], "resources": ["pods"], "operations": ["CREATE"]}
CHOSEN = {"matchLabels": {"chosen": "yes"}}


def webhooks(*each: dict[str, Any]) -> Selection:
    """Register these."""
    return selection_of({"webhooks": [{"rules": [RULE], **webhook} for webhook in each]})


def test_one_webhook_that_selects_is_enough() -> None:
    both = webhooks({"namespaceSelector": CHOSEN}, {"objectSelector": CHOSEN})
    assert both.of({"chosen": "yes"}, {}) is Selected.YES
    assert both.of({}, {"chosen": "yes"}) is Selected.YES
    assert both.of({}, {}) is Selected.POD_EXCLUDED
    assert both.of({}, None) is Selected.YES, "some Pods there are selected"
    assert webhooks({"namespaceSelector": CHOSEN}).of({}, {}) is Selected.NAMESPACE_EXCLUDED


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({}, Selected.YES),
        ({"rollouts-pod-template-hash": "7c5d"}, Selected.YES),
        ({"pod-template-hash": "7c5d", INJECT: "true"}, Selected.YES),
        ({"pod-template-hash": "7c5d", INJECT: "yes"}, Selected.YES),
        ({"pod-template-hash": "7c5d"}, Selected.UNLABELLED),
        ({"statefulset.kubernetes.io/pod-name": "shop-0"}, Selected.UNLABELLED),
        ({"pod-template-generation": "1"}, Selected.UNLABELLED),
        ({"batch.kubernetes.io/job-name": "shop"}, Selected.UNLABELLED),
        ({INJECT: "false"}, Selected.POD_EXCLUDED),
        ({"pod-template-hash": "7c5d", INJECT: "false"}, Selected.POD_EXCLUDED),
    ],
)
def test_whom_the_shipped_configuration_selects(labels: dict[str, str], expected: Selected) -> None:
    assert selection_of(webhook_configuration()).of({}, labels) is expected


def test_unlabelled_pods_of_workloads_are_selected_where_a_value_says_so() -> None:
    values = read_values({"unlabelledWorkloads": True})
    (wide,) = [o for o in installation_objects(values) if o["kind"] == "MutatingWebhookConfiguration"]
    for labels in ({"pod-template-hash": "7c5d"}, {}, {INJECT: "true"}):
        assert selection_of(wide).of({}, labels) is Selected.YES
    assert selection_of(wide).of({}, {INJECT: "false"}) is Selected.POD_EXCLUDED


def test_namespace_and_pod_must_be_selected_by_the_same_webhook() -> None:
    apart = webhooks(
        {"namespaceSelector": CHOSEN, "objectSelector": {"matchLabels": {"a": "b"}}},
        {"namespaceSelector": {"matchLabels": {"other": "yes"}}},
    )
    assert apart.of({"chosen": "yes"}, {}) is Selected.POD_EXCLUDED


def test_a_namespace_whose_labels_are_not_known() -> None:
    assert webhooks({}).of(None, {}) is Selected.UNKNOWN


@pytest.mark.parametrize(
    "configuration",
    [
        None,
        {},
        {"webhooks": None},
        {"webhooks": []},
        {"webhooks": [{"rules": None}]},
        {"webhooks": [{"rules": [{**RULE, "resources": ["deployments"]}]}]},
        {"webhooks": [{"rules": [{**RULE, "operations": ["UPDATE"]}]}]},
        {"webhooks": [{"rules": [{**RULE, "apiGroups": ["apps"]}]}]},
        {"webhooks": [{"rules": [{**RULE, "scope": "Cluster"}]}]},
    ],
)
def test_no_webhook_is_asked_about_new_pods(configuration: dict[str, Any] | None) -> None:
    assert selection_of(configuration).of({}, {}) is Selected.NOTHING_REGISTERED


@pytest.fixture(scope="module")
def shipped() -> list[dict[str, Any]]:
    """The shipped policy that injects, and its binding."""
    return policies(Settings())[:2]


def changed(shipped: list[dict[str, Any]], changes: dict[str, Any]) -> Selection:
    """The shipped policy and binding, with changes to `constraints` or `binding`."""
    policy, binding = deepcopy(shipped)
    policy["spec"]["matchConstraints"] |= changes.get("constraints", {})
    binding["spec"] |= changes.get("binding", {})
    return selection_of(None, policy, binding)


@pytest.mark.heavy
def test_a_policy_injects_as_a_webhook_does(shipped: list[dict[str, Any]]) -> None:
    alone = selection_of(None, *shipped)
    assert alone.of({"kubernetes.io/metadata.name": "team-a"}, {}) is Selected.YES
    assert alone.of({"kubernetes.io/metadata.name": "kube-system"}, {}) is Selected.NAMESPACE_EXCLUDED
    both = selection_of({"webhooks": [{"rules": [RULE], "namespaceSelector": CHOSEN}]}, *shipped)
    assert both.of({}, {}) is Selected.YES


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"constraints": {"objectSelector": CHOSEN}}, Selected.POD_EXCLUDED),
        ({"binding": {"matchResources": {"objectSelector": CHOSEN}}}, Selected.POD_EXCLUDED),
        ({"binding": {"matchResources": {"namespaceSelector": CHOSEN}}}, Selected.NAMESPACE_EXCLUDED),
        ({"binding": {"matchResources": {"resourceRules": [RULE]}}}, Selected.YES),
        (
            {"binding": {"matchResources": {"resourceRules": [{**RULE, "operations": ["UPDATE"]}]}}},
            Selected.NOTHING_REGISTERED,
        ),
        ({"binding": {"matchResources": {"excludeResourceRules": [RULE]}}}, Selected.NOTHING_REGISTERED),
        ({"constraints": {"excludeResourceRules": [RULE]}}, Selected.NOTHING_REGISTERED),
        ({"constraints": {"resourceRules": []}}, Selected.NOTHING_REGISTERED),
        ({"binding": {"policyName": "another"}}, Selected.NOTHING_REGISTERED),
    ],
)
def test_a_policy_that_was_narrowed(
    shipped: list[dict[str, Any]], changes: dict[str, Any], expected: Selected
) -> None:
    assert changed(shipped, changes).of({}, {}) is expected


@pytest.mark.heavy
def test_a_policy_without_its_binding_does_nothing(shipped: list[dict[str, Any]]) -> None:
    policy, binding = shipped
    assert selection_of(None, policy, None).of({}, {}) is Selected.NOTHING_REGISTERED
    assert selection_of(None, None, binding).of({}, {}) is Selected.NOTHING_REGISTERED
