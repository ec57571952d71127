"""The annotation table: it gives a spec, or every problem at once."""

import msgspec
import pytest

from hazelcast_sidecar.names import PREFIX, STATUS
from hazelcast_sidecar.spec.annotations import TABLE, DefaultSpecs, SidecarSpec, parse
from hazelcast_sidecar.spec.settings import Settings
from tests.harness.pods import ours

DEFAULTS = DefaultSpecs(Settings()).of("default")


def test_every_row_of_the_table_is_an_attribute_of_the_spec() -> None:
    """And so that no annotation chooses a pull secret, one attribute has no row."""
    assert [*(annotation.field for annotation in TABLE), "pull_secrets"] == [
        field.name for field in msgspec.structs.fields(SidecarSpec)
    ]


def test_every_default_is_valid_and_every_row_says_what_holds_without_a_value() -> None:
    for annotation in TABLE:
        assert annotation.default or annotation.otherwise
        if annotation.default is not None:
            annotation.type.parse(annotation.default)


def test_inject_alone_gives_the_defaults() -> None:
    spec = parse(ours(), DEFAULTS)
    assert isinstance(spec, SidecarSpec)
    assert (spec.inject, spec.cluster_name, spec.image, spec.port) == (
        True,
        "dev",
        "hazelcast/hazelcast:5.7.0",
        5701,
    )
    assert spec.group is None
    assert spec.memory_request == spec.memory_limit == "512Mi"


def test_each_annotation_sets_its_attribute() -> None:
    given = ours(
        group="shops",
        cluster_name="prod",
        image="r.example/hz:1",
        config="mine",
        extensions="jars",
        discovery="api",
        ip_family="ipv6",
        port="6000",
        clients="pod",
        cpu_request="1",
        cpu_limit="3",
        memory_request="1Gi",
        memory_limit="2Gi",
        heap_percentage="60",
        java_opts="-Xss1m",
        native_sidecar="false",
        wait="false",
        shutdown_timeout="2m",
        backups="zone",
        backup_count="2",
        disruption_budget="true",
        network_policy="true",
        metrics="true",
        metrics_port="6009",
        sql="true",
        management="true",
        license_secret="licence",  # noqa: S106 - the name of one
        log_format="json",
        log_level="DEBUG",
    )
    assert {key.removeprefix(PREFIX) for key in given} == {annotation.name for annotation in TABLE}
    assert parse(given, DEFAULTS) == SidecarSpec(
        inject=True,
        group="shops",
        cluster_name="prod",
        image="r.example/hz:1",
        config="mine",
        extensions="jars",
        discovery="api",
        ip_family="ipv6",
        port=6000,
        clients="pod",
        cpu_request="1",
        cpu_limit="3",
        memory_request="1Gi",
        memory_limit="2Gi",
        heap_percentage=60,
        java_opts=("-Xss1m",),
        native_sidecar=False,
        wait=False,
        shutdown_timeout=120,
        backups="zone",
        backup_count=2,
        disruption_budget=True,
        network_policy=True,
        metrics=True,
        metrics_port=6009,
        sql=True,
        management=True,
        license_secret="licence",  # noqa: S106 - the name of one
        log_format="json",
        log_level="DEBUG",
    )


def test_all_problems_are_named_at_once() -> None:
    problems = parse(ours(port="80", clustername="x", memory_limit="lots", discovery="mdns"), DEFAULTS)
    assert isinstance(problems, list)
    assert [str(problem) for problem in problems] == [
        'sidecar.hazelcast.com/port: "80" is not an integer from 1024 to 65533',
        'sidecar.hazelcast.com/clustername: no such annotation (did you mean "cluster-name"?)',
        'sidecar.hazelcast.com/memory-limit: "lots" is not a Kubernetes quantity such as "500m" or "512Mi"',
        'sidecar.hazelcast.com/discovery: "mdns" is none of "dns", "api" (did you mean "dns"?)',
    ]


def test_an_unknown_key_unlike_any_other_lists_the_known_ones() -> None:
    (problem,) = parse(ours(zzz="1"), DEFAULTS)  # type: ignore[misc]
    assert "known are inject, group, cluster-name" in str(problem)


def test_problems_without_end_are_not_all_listed() -> None:
    problems = parse(ours(**{f"x{number}": "1" for number in range(10_000)}), DEFAULTS)
    assert isinstance(problems, list)
    assert len(problems) == 26
    assert "perhaps more" in str(problems[-1])


def test_the_known_keys_are_listed_once() -> None:
    problems = parse(ours(zzz="1", yyy="2"), DEFAULTS)
    assert isinstance(problems, list)
    assert [str(problem).count("known are") for problem in problems] == [1, 0]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            {"memory_request": "1Gi"},
            "1Gi is more than the limit of 512Mi (sidecar.hazelcast.com/memory-limit)",
        ),
        ({"cpu_request": "3"}, "3 is more than the limit of 2 (sidecar.hazelcast.com/cpu-limit)"),
        ({"metrics": "true", "metrics_port": "5701"}, "5701 is a port of the member's own"),
        ({"metrics": "true", "metrics_port": "5703", "clients": "pod"}, "5703 is a port of the member's own"),
    ],
)
def test_values_that_contradict_each_other_are_a_problem(given: dict[str, str], sentence: str) -> None:
    (problem,) = parse(ours(**given), DEFAULTS)  # type: ignore[misc]
    assert sentence in str(problem)


def test_other_prefixes_and_our_own_record_are_passed_over() -> None:
    spec = parse({**ours(), "example.com/port": "x", STATUS: "{}"}, DEFAULTS)
    assert isinstance(spec, SidecarSpec)


def test_a_long_value_is_shown_shortened() -> None:
    (problem,) = parse(ours(port="9" * 300_000), DEFAULTS)  # type: ignore[misc]
    assert len(str(problem)) < 200


def test_defaults_of_the_server_hold_where_the_pod_says_nothing() -> None:
    defaults = DefaultSpecs(Settings({"image": "r.example/hz:1", "memory-limit": "1Gi"})).of("default")
    spec = parse(ours(memory_limit="2Gi"), defaults)
    assert isinstance(spec, SidecarSpec)
    assert (spec.image, spec.memory_limit, spec.memory_request) == ("r.example/hz:1", "2Gi", "2Gi")
