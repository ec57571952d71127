"""The fingerprint of what a Pod gains: the same for the same decision, another for another member."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hazelcast_sidecar.injection.fingerprint import fingerprint
from hazelcast_sidecar.injection.reviewer import Reviewer
from hazelcast_sidecar.model.status import decode
from hazelcast_sidecar.names import STATUS
from hazelcast_sidecar.spec.annotations import TABLE, DefaultSpecs, SidecarSpec, parse
from hazelcast_sidecar.spec.settings import Settings
from tests.harness.pods import ours, pod
from tests.harness.reviews import patched, response_in, review_of

OTHER_VALUES = {
    "cluster-name": "prod",
    "image": "r.example/hz:1",
    "config": "mine",
    "extensions": "jars",
    "discovery": "api",
    "ip-family": "ipv6",
    "port": "6000",
    "clients": "pod",
    "cpu-request": "200m",
    "cpu-limit": "3",
    "memory-request": "300Mi",
    "memory-limit": "2Gi",
    "heap-percentage": "60",
    "java-opts": "-Xss1m",
    "native-sidecar": "false",
    "wait": "false",
    "shutdown-timeout": "2m",
    "backups": "node",
    "backup-count": "2",
    "metrics": "true",
    "sql": "true",
    "management": "true",
    "license-secret": "licence",
    "log-format": "json",
    "log-level": "DEBUG",
}
WITHOUT_EFFECT = {
    "inject": "true",
    "group": "shops",  # it stands beside it
    "metrics-port": "6001",  # it counts only with metrics
    "disruption-budget": "true",  # these two stand beside the Pod
    "network-policy": "true",
}


def recorded(obj: dict[str, Any], settings: Settings | None = None) -> str:
    """The fingerprint that the webhook writes on a Pod."""
    response = response_in(Reviewer(settings).review_pod(json.dumps(review_of(obj)).encode()))
    return decode(patched(obj, response)["metadata"]["annotations"][STATUS]).fingerprint


PLAIN = recorded(pod())


def test_the_table_is_covered() -> None:
    assert {annotation.name for annotation in TABLE} == OTHER_VALUES.keys() | WITHOUT_EFFECT.keys()


@pytest.mark.parametrize(("name", "value"), OTHER_VALUES.items())
def test_an_annotation_that_changes_the_pod_changes_it(name: str, value: str) -> None:
    volumes = [{"name": "jars", "emptyDir": {}}]
    assert recorded(pod(ours(**{name: value}), volumes=volumes)) != PLAIN


@pytest.mark.parametrize(("name", "value"), WITHOUT_EFFECT.items())
def test_an_annotation_that_changes_nothing_does_not(name: str, value: str) -> None:
    assert recorded(pod(ours(**{name: value}))) == PLAIN


def test_the_port_of_metrics_changes_it_where_there_are_metrics() -> None:
    assert recorded(pod(ours(metrics="true"))) != recorded(pod(ours(metrics="true", metrics_port="6001")))


def test_the_name_of_a_config_map_of_ones_own_changes_it() -> None:
    assert recorded(pod(ours(config="mine"))) != recorded(pod(ours(config="yours")))


def test_a_changed_default_changes_it_as_the_annotation_would() -> None:
    assert recorded(pod(), Settings({"log-level": "DEBUG"})) == recorded(pod(ours(log_level="DEBUG")))
    assert recorded(pod(), Settings(run_as_user=None)) != PLAIN


def test_pull_secrets_are_no_part_of_the_member() -> None:
    """A member that runs has its image, so a change of them is no reason to replace it."""
    assert recorded(pod(), Settings(image_pull_secrets=("mirror",))) == PLAIN


lists = st.none() | st.lists(st.sampled_from([{"name": "x"}, {"name": "y"}]), max_size=2, unique_by=str)
env = st.none() | st.lists(
    st.sampled_from(["HAZELCAST_ADDRESS", "HAZELCAST_CLUSTER_NAME", "OTHER"]), unique=True
).map(lambda names: [{"name": name, "value": "v"} for name in names])


@given(lists, lists, st.none() | st.integers(0, 400), st.lists(env, min_size=1, max_size=3))
def test_the_shape_of_the_pod_does_not(
    init: list[Any] | None, volumes: list[Any] | None, grace: int | None, environments: list[Any]
) -> None:
    containers = [
        {"name": f"c{i}"} | ({"env": e} if e is not None else {}) for i, e in enumerate(environments)
    ]
    given_spec: dict[str, Any] = {
        "initContainers": init,
        "volumes": volumes,
        "terminationGracePeriodSeconds": grace,
    }
    assert recorded(pod(containers=containers, **given_spec)) == PLAIN


def test_it_is_twelve_digits_that_stay_the_same_from_one_version_to_the_next() -> None:
    """When this fails, what Pods gain has changed: every Pod that runs counts as drifted from then on."""
    spec = parse(ours(), DefaultSpecs(Settings()).of("default"))
    assert isinstance(spec, SidecarSpec)
    assert fingerprint(spec, 65534) == PLAIN == "3ecaa8d16567"
