"""How large a heap may become, as the webhook reckons it and as a JVM does."""

import re
import subprocess

import pytest

from hazelcast_sidecar.injection.heap import heap_of
from hazelcast_sidecar.injection.member import member_env
from hazelcast_sidecar.spec.values import quantity
from tests.harness.specs import spec
from tests.hazelcast.conftest import Launcher

pytestmark = pytest.mark.hazelcast

ROUNDING = 4 * 2**20
"""Bytes: the JVM's heap has whole regions."""


@pytest.mark.parametrize(
    "options",
    [
        "",
        "-Xmx300m",
        "-Xmx300M -XX:MaxRAMPercentage=20",
        "-XX:MaxHeapSize=200000k -Xmx128m",
        "-Xmx128m -XX:MaxHeapSize=0200m",
        "-XX:MaxRAMPercentage=20 -XX:MaxRAMPercentage=33.3",
        "-Xlog:gc*:stdout:time -XX:MaxHeapSize=314572800",
    ],
)
def test_the_jvm_agrees(launcher: Launcher, options: str) -> None:
    asked = spec(memory_limit="1Gi", heap_percentage="40", java_opts=options)
    memory = f"-XX:MaxRAM={int(quantity(asked.memory_limit))}"
    command = [str(launcher.java), memory, *member_env(asked, "g")["JAVA_OPTS"].split()]
    flags = subprocess.run(
        [*command, "-XX:+PrintFlagsFinal", "-version"], capture_output=True, text=True, check=True
    ).stdout
    found = re.search(r"MaxHeapSize\s*=\s*(\d+)", flags)
    assert found
    assert abs(int(found[1]) - heap_of(asked).size) <= ROUNDING
