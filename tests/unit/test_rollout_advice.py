"""Advice about rollouts: what is worth one, and that its lines are YAML that takes the reason away."""

from typing import Any

import msgspec
import pytest
import yaml

from hazelcast_sidecar.injection.rollout_advice import (
    about_readiness,
    about_rollout,
    backups_in_words,
    most_at_once,
)
from hazelcast_sidecar.model.rolling_workload import RollingWorkload
from tests.harness.specs import spec


def workload(**given: Any) -> RollingWorkload:
    return msgspec.convert({"spec": given}, RollingWorkload)


@pytest.mark.parametrize(
    ("given", "most", "words"),
    [
        ({}, 1, "each entry has 1 backup"),
        ({"backup_count": "0"}, 1, "each entry has no backup"),
        ({"backup_count": "1"}, 1, "each entry has 1 backup"),
        ({"backup_count": "2"}, 2, "each entry has 2 backups"),
        ({"config": "mine"}, 1, "each entry has 1 backup, unless the ConfigMap mine says otherwise"),
        ({"config": "mine", "backup_count": "3"}, 3, "each entry has 3 backups"),
    ],
)
def test_as_many_may_end_at_once_as_there_are_backups(given: dict[str, str], most: int, words: str) -> None:
    assert (most_at_once(spec(**given)), backups_in_words(spec(**given))) == (most, words)


@pytest.mark.parametrize(
    ("kind", "given", "words"),
    [
        ("Deployment", {"strategy": {"type": "Recreate"}}, "strategy Recreate ends all Pods at once"),
        ("Deployment", {}, "may end 2 Pods at once"),
        ("Deployment", {"strategy": {"rollingUpdate": {"maxUnavailable": 5}}}, "may end 5 Pods at once"),
        (
            "StatefulSet",
            {"updateStrategy": {"rollingUpdate": {"maxUnavailable": "50%"}}},
            "may end 5 Pods at once",
        ),
        ("DaemonSet", {"updateStrategy": {"rollingUpdate": {"maxUnavailable": "11%"}}}, "may end 2 Pods"),
    ],
)
def test_the_lines_about_a_rollout_take_the_reason_away(kind: str, given: dict[str, Any], words: str) -> None:
    advice = about_rollout(kind, workload(**given).strategy, 10, spec())
    assert advice
    assert words in advice.sentence
    pasted = yaml.safe_load(advice.manifest)
    assert about_rollout(kind, workload(**pasted["spec"]).strategy, 10, spec()) is None


def test_a_rollout_that_ends_as_many_as_there_are_backups_is_in_order() -> None:
    assert about_rollout("Deployment", workload().strategy, 7, spec()) is None
    assert about_rollout("Deployment", workload().strategy, 11, spec(backup_count="2")) is None
    advice = about_rollout("Deployment", workload().strategy, 12, spec(backup_count="2"))
    assert advice
    assert yaml.safe_load(advice.manifest)["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 2


def container(name: str = "app", **probes: Any) -> dict[str, Any]:
    return {"name": name, **probes}


def with_containers(*containers: dict[str, Any]) -> RollingWorkload:
    return workload(template={"spec": {"containers": [*containers]}})


QUICK: dict[str, Any] = {"readinessProbe": {"periodSeconds": 5}}
SLOW: dict[str, Any] = {"readinessProbe": {"httpGet": {"port": 80}, "periodSeconds": 6}}


@pytest.mark.parametrize(
    ("containers", "words"),
    [
        ([container()], "no container of the application has a readiness probe"),
        ([container(), container("hazelcast", **QUICK)], "no container of the application"),
        ([container(readinessProbe={})], "readinessProbe of app up to 10 s"),
        ([container(**SLOW)], "readinessProbe of app up to 6 s"),
        ([container(**QUICK), container("proxy", **SLOW)], "readinessProbe of proxy up to 6 s"),
        ([container(startupProbe={"periodSeconds": 20}, **QUICK)], "startupProbe of app up to 20 s"),
        (
            [container(readinessProbe={"periodSeconds": 1, "initialDelaySeconds": 30})],
            "readinessProbe of app up to 31 s",
        ),
    ],
)
def test_what_delays_a_rollout(containers: list[dict[str, Any]], words: str) -> None:
    advice = about_readiness(with_containers(*containers))
    assert advice
    assert words in advice.sentence
    assert about_readiness(merged(containers, advice.manifest)) is None


def merged(containers: list[dict[str, Any]], manifest: str) -> RollingWorkload:
    """The workload with these lines, as a strategic merge patch adds them."""
    named: dict[str, dict[str, Any]] = {each["name"]: dict(each) for each in containers}
    for each in yaml.safe_load(manifest)["spec"]["template"]["spec"]["containers"]:
        for field in ("startupProbe", "readinessProbe"):
            if field in each:
                named[each["name"]][field] = named[each["name"]].get(field, {}) | each[field]
    return with_containers(*named.values())


@pytest.mark.parametrize(
    "containers",
    [
        [container(**QUICK)],
        [container(), container("proxy", **QUICK)],
        [container(startupProbe={"periodSeconds": 1})],
        [container(**QUICK), container("hazelcast", **SLOW)],
        [],
    ],
)
def test_what_delays_none(containers: list[dict[str, Any]]) -> None:
    assert about_readiness(with_containers(*containers)) is None


def test_a_probe_that_asks_more_often_is_as_patient_as_before() -> None:
    probe = {"initialDelaySeconds": 20, "periodSeconds": 10, "failureThreshold": 30}
    advice = about_readiness(with_containers(container("1", startupProbe=probe)))
    assert advice
    (pasted,) = yaml.safe_load(advice.manifest)["spec"]["template"]["spec"]["containers"]
    assert pasted == {
        "name": "1",
        "startupProbe": {"initialDelaySeconds": 0, "periodSeconds": 1, "failureThreshold": 320},
    }


def test_a_probe_without_a_delay_gets_none() -> None:
    advice = about_readiness(with_containers(container(readinessProbe={})))
    assert advice
    (pasted,) = yaml.safe_load(advice.manifest)["spec"]["template"]["spec"]["containers"]
    assert pasted == {"name": "app", "readinessProbe": {"periodSeconds": 1, "failureThreshold": 30}}


@pytest.mark.parametrize("name", ["on", "1e3", 'a": b', "x\n  y: z", "{}", "é"])
def test_a_name_of_any_text_is_a_name_in_the_lines(name: str) -> None:
    advice = about_readiness(with_containers(container(name)))
    assert advice
    (pasted,) = yaml.safe_load(advice.manifest)["spec"]["template"]["spec"]["containers"]
    assert pasted["name"] == name
