"""Cases of the admission policies: each that a function distinguishes is made, and no other."""

from typing import Any

import pytest

from hazelcast_sidecar.admission_policies.cases import Switch, in_all_cases
from hazelcast_sidecar.cel import source
from hazelcast_sidecar.spec.annotations import TABLE, SidecarSpec

FIELDS: dict[str, Any] = {row.field: "" for row in TABLE}
METRICS = Switch("metrics", "v.metrics", yes=True, no=False)
BUDGET = Switch("disruption_budget", "v.budget", yes=True, no=False)
CLIENTS = Switch("clients", "v.clients", "pod", "any")
NODE, ZONE = Switch("backups", "v.node", "node", "any"), Switch("backups", "v.zone", "zone", "any")


def test_a_switch_that_the_function_does_not_read_makes_no_case() -> None:
    seen = []

    def clients(spec: SidecarSpec) -> str:
        seen.append(spec.metrics)
        return spec.clients

    assert source(in_all_cases(clients, [BUDGET, METRICS, CLIENTS], FIELDS)) == '(v.clients ? "pod" : "any")'
    assert len(seen) == 4  # of eight


@pytest.mark.parametrize(
    ("where", "condition"), [("pod", "v.clients && v.metrics"), ("any", "!(v.clients) && v.metrics")]
)
def test_a_switch_that_is_read_in_one_case_of_another(where: str, condition: str) -> None:
    def metrics(spec: SidecarSpec) -> list[str]:
        return ["metrics"] if spec.clients == where and spec.metrics else []

    made = source(in_all_cases(metrics, [CLIENTS, METRICS], FIELDS))
    assert made == f'[?{condition} ? optional.of("metrics") : optional.none()]'
    turned = " && ".join(reversed(condition.split(" && ")))
    made = source(in_all_cases(metrics, [METRICS, CLIENTS], FIELDS))
    assert made == f'[?{turned} ? optional.of("metrics") : optional.none()]'


def test_an_attribute_with_three_values() -> None:
    made = in_all_cases(lambda spec: spec.backups, [NODE, ZONE, METRICS], FIELDS)
    assert source(made) == '(v.node ? "node" : (v.zone ? "zone" : "any"))'
