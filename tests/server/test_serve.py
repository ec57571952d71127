"""The server as a program: start, drain, stop, and what keeps it from starting."""

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from hazelcast_sidecar.server.app import MUTATE_PODS
from tests.harness.pods import pod
from tests.harness.ports import free_ports
from tests.harness.reviews import patched, review_of
from tests.server.conftest import TlsFiles

PATIENCE_SECONDS = 180
"""For what takes a second or two, on a machine with much else to do."""

INJECTED = "a Hazelcast member was injected"


def wait_until(condition: Callable[[], bool], otherwise: str) -> None:
    """Return when it holds.

    Args:
        condition: asked ten times a second.
        otherwise: what is wrong if it never does.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.1)


def command(tls: TlsFiles, port: int, admin_port: int, *more: str) -> list[str]:
    listen = ["--listen", f"127.0.0.1:{port}", "--admin-listen", f"127.0.0.1:{admin_port}"]
    files = ["--tls-cert", str(tls.certificate), "--tls-key", str(tls.key)]
    return [sys.executable, "-m", "hazelcast_sidecar.cli", "serve", *listen, *files, *more]


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE_SECONDS) as response:  # noqa: S310 - loopback
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0


class Server:
    """`hazelcast-sidecar serve` as a program of its own, that is ready.

    Args:
        tls: what it serves with.
        more: options of its command line.
        streams: of `subprocess.Popen`; without any, its output is a pipe.
    """

    def __init__(self, tls: TlsFiles, *more: str, **streams: Any) -> None:
        self.tls = tls
        self.port, self.admin_port = free_ports(2)
        self.program = subprocess.Popen(
            command(tls, self.port, self.admin_port, *more),
            text=True,
            **{"stdout": subprocess.PIPE, **streams},
        )
        wait_until(lambda: self.program.poll() is not None or self.readyz() == 200, "the server is not ready")
        assert self.program.poll() is None, "the server ended"

    def readyz(self) -> int:
        return status(f"http://127.0.0.1:{self.admin_port}/readyz")

    def review(self) -> bool:
        return bool(self._response()["allowed"])

    def member_port(self) -> int:
        """The port that the member of an injected Pod gets."""
        injected = patched(pod(), self._response())
        return int(injected["spec"]["initContainers"][0]["ports"][0]["containerPort"])

    def _response(self) -> dict[str, Any]:
        request = urllib.request.Request(
            f"https://127.0.0.1:{self.port}{MUTATE_PODS}",
            data=json.dumps(review_of(pod())).encode(),
            headers={"Content-Type": "application/json"},
        )
        context = self.tls.client
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS, context=context) as response:  # noqa: S310
            return dict(json.load(response)["response"])


@pytest.fixture
def draining_server(tls: TlsFiles) -> Iterator[Server]:
    server = Server(tls, "--drain-seconds", "5")
    yield server
    server.program.kill()
    server.program.communicate()


def test_after_sigterm_it_goes_on_answering_while_not_ready_and_then_ends_with_success(
    draining_server: Server,
) -> None:
    server = draining_server
    assert server.review()
    server.program.send_signal(signal.SIGTERM)
    wait_until(lambda: server.readyz() == 503, "it stays ready")
    assert server.review()
    output, _ = server.program.communicate(timeout=PATIENCE_SECONDS)
    assert server.program.returncode == 0
    messages = [json.loads(line)["message"] for line in output.splitlines()]
    assert messages == ["serving", INJECTED, "draining", INJECTED, "stopped"]


def test_a_second_signal_ends_the_draining(tls: TlsFiles) -> None:
    server = Server(tls, "--drain-seconds", "3600")
    # One without a first byte, which nothing keeps.
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE_SECONDS) as silent:
        server.program.send_signal(signal.SIGTERM)
        wait_until(lambda: server.readyz() == 503, "it stays ready")
        server.program.send_signal(signal.SIGTERM)
        output, _ = server.program.communicate(timeout=PATIENCE_SECONDS)
        assert silent.recv(1) == b""
    assert server.program.returncode == 0
    assert [json.loads(line)["message"] for line in output.splitlines()] == ["serving", "draining", "stopped"]


def test_a_client_that_leaves_half_way_is_no_error_of_ours(tls: TlsFiles) -> None:
    server = Server(tls, "--drain-seconds", "0")
    headers = ["Host: x", "Content-Type: application/json", "Content-Length: 99"]
    with (
        socket.create_connection(("127.0.0.1", server.port)) as plain,
        tls.client.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        connection.sendall("\r\n".join([f"POST {MUTATE_PODS} HTTP/1.1", *headers, "", "{"]).encode())
        time.sleep(0.2)
    assert server.review()
    server.program.send_signal(signal.SIGTERM)
    output, _ = server.program.communicate(timeout=PATIENCE_SECONDS)
    lines = [json.loads(line) for line in output.splitlines()]
    refused = next(line for line in lines if line["message"] == "refused")
    assert (refused["status"], refused["sentence"]) == (400, "the body is incomplete: Connection lost")
    assert INJECTED in [line["message"] for line in lines]


def refusal(arguments: list[str]) -> str:
    ended = subprocess.run(arguments, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    return ended.stderr


def test_a_busy_port_is_one_sentence(tls: TlsFiles) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        text = refusal(command(tls, port, free_ports(1)[0]))
    assert f"--listen: cannot listen on 127.0.0.1:{port}" in text


def test_files_that_are_no_certificate_with_its_key_are_one_sentence(tls: TlsFiles, tmp_path: Path) -> None:
    swapped = TlsFiles(tls.authority, tls.key, tls.certificate)
    assert "are not a certificate with its key (PEM)" in refusal(command(swapped, 0, 0))
    encrypted = tmp_path / "encrypted.key"
    key = serialization.load_pem_private_key(tls.key.read_bytes(), password=None)
    encryption = serialization.BestAvailableEncryption(b"secret")
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    encrypted.write_bytes(key.private_bytes(pem, form, encryption))
    assert "is encrypted" in refusal(command(TlsFiles(tls.authority, tls.certificate, encrypted), 0, 0))
    missing = TlsFiles(tls.authority, tmp_path / "none.crt", tls.key)
    assert "--tls-cert: " in refusal(command(missing, 0, 0))
    assert "No such file" in refusal(command(missing, 0, 0))


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--settings", "/nowhere.yaml"], "--settings: /nowhere.yaml cannot be read: "),
        (["--listen", "8443"], '"8443" is not HOST:PORT'),
        (["--drain-seconds", "-1"], "not a number of seconds"),
    ],
)
def test_unusable_settings_are_one_sentence(tls: TlsFiles, more: list[str], sentence: str) -> None:
    assert sentence in refusal(command(tls, 0, 0, *more))


def test_settings_that_cannot_be_used_are_one_sentence(tls: TlsFiles, tmp_path: Path) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text("defaults: {prot: 1}")
    text = refusal(command(tls, 0, 0, "--settings", str(settings)))
    assert 'default prot: no such annotation (did you mean "port"?)' in text


def test_changed_settings_are_taken_up_and_unusable_ones_are_not(tls: TlsFiles, tmp_path: Path) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text("defaults: {port: 6001}")
    output = tmp_path / "output"
    with output.open("w") as stdout:
        server = Server(tls, "--drain-seconds", "0", "--settings", str(settings), stdout=stdout)
    try:
        assert server.member_port() == 6001
        for text, message, port in (
            ("defaults: {prot: 1}", "settings not reloaded", 6001),
            ("namespaces: {default: {port: 6002}}", "settings reloaded", 6002),
        ):
            settings.write_text(text)
            wait_until(lambda message=message: message in output.read_text(), message)  # type: ignore[misc]
            assert (server.member_port(), server.readyz()) == (port, 200)
        server.program.send_signal(signal.SIGTERM)
        server.program.wait(PATIENCE_SECONDS)
    finally:
        server.program.kill()
        server.program.wait()
    lines = [json.loads(line) for line in output.read_text().splitlines()]
    assert [line["message"] for line in lines if "reloaded" in line["message"]] == [
        "settings not reloaded",
        "settings reloaded",
    ]
    (refused,) = [line for line in lines if line["message"] == "settings not reloaded"]
    assert refused["error"] == 'default prot: no such annotation (did you mean "port"?)'
