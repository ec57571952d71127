"""The member container, volume and environment."""

import contextlib
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hazelcast_sidecar.injection.member import (
    application_env,
    container,
    env_vars,
    grace_period,
    lifecycle,
    member_env,
    stop_seconds,
    volumes,
)
from tests.harness.specs import spec


def test_values_reach_the_container_literally() -> None:
    # The kubelet expands $(VAR) and makes one dollar sign of two.
    assert env_vars({"A": "$(HOME) $$ x"}) == [{"name": "A", "value": "$$(HOME) $$$$ x"}]


def test_no_variable_of_the_member_reaches_the_application() -> None:
    # HZ_* variables would configure a member or client inside the application itself.
    assert application_env(6000, "x") == {
        "HAZELCAST_ADDRESS": "127.0.0.1:6000",
        "HAZELCAST_CLUSTER_NAME": "x",
    }


def test_discovery_by_dns_names_the_headless_service_only() -> None:
    env = member_env(spec(), "shop")
    assert env["HAZELCAST_KUBERNETES_SERVICE_DNS"] == "hazelcast-shop"
    assert "HAZELCAST_KUBERNETES_POD_LABEL_NAME" not in env


def test_discovery_by_api_selects_the_label_and_asks_for_pods_only() -> None:
    env = member_env(spec(discovery="api", port="6000"), "shop")
    assert env["HAZELCAST_KUBERNETES_POD_LABEL_NAME"] == "sidecar.hazelcast.com/group"
    assert env["HAZELCAST_KUBERNETES_POD_LABEL_VALUE"] == "shop"
    assert env["HAZELCAST_KUBERNETES_EXPOSE_EXTERNALLY"] == "false"
    assert env["HAZELCAST_KUBERNETES_SERVICE_PORT"] == "6000"
    assert "HAZELCAST_KUBERNETES_SERVICE_DNS" not in env


@pytest.mark.parametrize(
    ("native", "own", "seconds"),
    [
        ("true", 30, 90),
        ("true", 0, 60),
        ("true", 300, 360),
        ("false", 30, 60),
        ("false", 300, 300),
        ("true", 2**63 - 1, 2**63 - 1),
    ],
)
def test_the_grace_period_leaves_the_member_its_time(native: str, own: int, seconds: int) -> None:
    assert grace_period(spec(native_sidecar=native), own) == seconds


@pytest.mark.parametrize(("own", "seconds"), [(30, 30), (300, 300), (2, 2), (1, 2), (0, 2), (-5, 2)])
def test_a_member_stops_when_the_kubelet_would_have_killed_the_application(own: int, seconds: int) -> None:
    """Not before: the kubelet gives two seconds also to what asks for none."""
    assert stop_seconds(own) == seconds
    assert f"sleep {seconds} &&" in hook(seconds)[-1]


def hook(seconds: int) -> list[str]:
    """The command that the kubelet runs in the member's container when the deletion of its Pod begins."""
    (command,) = lifecycle(spec(), seconds)["lifecycle"]["preStop"]["exec"].values()
    return list(command)


def test_an_ordinary_container_is_stopped_beside_the_application() -> None:
    assert lifecycle(spec(native_sidecar="false"), 30) == {}


# A container with processes of its own: what is first there, as an init is, and what was executed in it.
CONTAINER = """
trap : TERM
"$0"/java 20 & java=$!
"$0"/other 20 & other=$!
"$@"
kill -0 $java && echo "returned, and java runs"
wait $java
echo "java: $?"
kill -0 $other && echo "other runs"
"""


@pytest.mark.heavy
def test_the_hook_returns_at_once_and_then_stops_the_jvm_alone(tmp_path: Path) -> None:
    """In whatever shell an image has; both wait at the same time."""
    for name in ("java", "other"):
        shutil.copy("/bin/sleep", tmp_path / name)
    isolated = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"]
    if shutil.which("unshare") is None or subprocess.run([*isolated, "true"], check=False).returncode:
        pytest.skip("needs Linux, and the right to make a PID namespace")
    with contextlib.ExitStack() as stack:
        started = {
            shell: stack.enter_context(
                subprocess.Popen(
                    [*isolated, "sh", "-c", CONTAINER, str(tmp_path), shell, *hook(1)[1:]],
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for shell in ("sh", "bash")
        }
        shown = {shell: process.communicate(timeout=60)[0] for shell, process in started.items()}
    for shell, process in started.items():
        assert process.returncode == 0, shell
        assert shown[shell].splitlines() == ["returned, and java runs", "java: 143", "other runs"], shell


def test_further_java_options_come_last_so_that_they_win() -> None:
    options = member_env(spec(java_opts="-XX:MaxRAMPercentage=70 -Xss1m", metrics="true"), "g")[
        "JAVA_OPTS"
    ].split()
    assert options[:2] == ["-XX:MaxRAMPercentage=50", "-XX:MinRAMPercentage=50"]
    assert "-Dhazelcast.jmx=true" in options
    assert options[-2:] == ["-XX:MaxRAMPercentage=70", "-Xss1m"]


def test_metrics_and_json_logs_are_asked_of_the_image() -> None:
    env = member_env(spec(metrics="true", log_format="json", log_level="DEBUG"), "g")
    assert (env["PROMETHEUS_PORT"], env["LOGGING_CONFIG"], env["LOGGING_LEVEL"]) == (
        "9701",
        "log4j2-json.properties",
        "DEBUG",
    )
    ports: list[dict[str, Any]] = container(spec(metrics="true"), "g", 1)["ports"]
    assert [port["containerPort"] for port in ports] == [5701, 9701]
    assert all(len(port["name"]) <= 15 for port in ports)


def test_variables_that_a_service_could_set_are_always_set() -> None:
    # A Service named prometheus or hazelcast-kubernetes makes the kubelet set them to a URL.
    env = member_env(spec(), "g")
    assert (env["PROMETHEUS_PORT"], env["HAZELCAST_KUBERNETES_SERVICE_PORT"]) == ("", "5701")


def test_a_config_map_of_ones_own_takes_the_place_of_the_groups() -> None:
    assert volumes(spec(config="mine"), "g")[0]["configMap"] == {"name": "mine"}
    assert volumes(spec(), "g")[0]["configMap"] == {"name": "hazelcast-g"}
