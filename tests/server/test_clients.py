"""With --client-ca only clients are served that show a certificate of that authority."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hazelcast_sidecar.certificates import KeyPair, make_authority, make_leaf
from hazelcast_sidecar.server.clients import only
from tests.harness.client_certificates import make_client, write_pair
from tests.server.conftest import TlsFiles
from tests.server.hostile import post
from tests.server.raw import RawClient
from tests.server.test_serve import PATIENCE_SECONDS, Server, command, refusal, wait_until

NOW = datetime.now(UTC)
CLUSTER, OTHER = make_authority(NOW, name="cluster"), make_authority(NOW, name="other")


@contextmanager
def serving(tls: TlsFiles, authority: Path, *more: str, output: Path | None = None) -> Iterator[Server]:
    options = "--drain-seconds", "0", "--client-ca", str(authority), *more
    with output.open("w") if output else nullcontext() as stdout:
        server = Server(tls, *options, **({"stdout": stdout} if stdout else {}))
    try:
        yield server
    finally:
        server.program.kill()
        server.program.communicate()


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    """The file that the server is given."""
    path = tmp_path / "client-ca.crt"
    path.write_bytes(CLUSTER.certificate)
    return path


def injects(server: Server, folder: Path, client: KeyPair | None) -> bool:
    """Whether the server answers a client with such a certificate."""
    context = server.tls.client
    if client:
        context.load_cert_chain(*write_pair(client, folder, "client"))
    with RawClient(server.port, context) as connection:
        connection.send(post())
        answer = connection.answer()
    assert answer is None or b'"patch"' in answer.body
    return answer is not None


def test_only_a_client_that_the_authority_signed_for_is_served(
    tls: TlsFiles, authority: Path, tmp_path: Path
) -> None:
    with serving(tls, authority) as server:
        assert injects(server, tmp_path, make_client(CLUSTER, "kube-apiserver"))
        assert not injects(server, tmp_path, None)
        assert not injects(server, tmp_path, make_client(OTHER, "kube-apiserver"))
        # A certificate of the right authority that is for servers.
        assert not injects(server, tmp_path, make_leaf(CLUSTER, ["kube-apiserver"], NOW))
        assert injects(server, tmp_path, make_client(CLUSTER, "anyone"))
        assert server.readyz() == 200


def test_with_a_name_others_of_the_authority_are_not_served(
    tls: TlsFiles, authority: Path, tmp_path: Path
) -> None:
    with serving(tls, authority, "--client-name", "api.example") as server:
        assert injects(server, tmp_path, make_client(CLUSTER, "api.example"))
        assert injects(server, tmp_path, make_client(CLUSTER, "kube-apiserver", "x.example", "api.example"))
        for other in ("system:node:n1", "api.example.com", "*.example"):
            assert not injects(server, tmp_path, make_client(CLUSTER, other, "b.example"))
        assert not injects(server, tmp_path, make_client(OTHER, "api.example"))
        server.program.send_signal(signal.SIGTERM)
        output, _ = server.program.communicate(timeout=PATIENCE_SECONDS)
    lines = [json.loads(line) for line in output.splitlines()]
    refused = [line for line in lines if line["message"] == "client refused"]
    assert [line["names"][-1] for line in refused] == ["system:node:n1", "b.example", "b.example"]
    assert refused[0]["sentence"] == '--client-name asks for "api.example"'


def test_another_authority_is_taken_up_in_place_and_an_unusable_one_is_not(
    tls: TlsFiles, authority: Path, tmp_path: Path
) -> None:
    known, other = make_client(CLUSTER, "api"), make_client(OTHER, "api")
    output = tmp_path / "output"
    with serving(tls, authority, output=output) as server:
        authority.write_bytes(b"no certificate")
        wait_until(lambda: '"certificate not reloaded"' in output.read_text(), "it is not looked at")
        assert (injects(server, tmp_path, known), server.readyz()) == (True, 200)
        authority.write_bytes(CLUSTER.certificate + OTHER.certificate)
        wait_until(lambda: injects(server, tmp_path, other), "the second authority is not trusted")
        assert injects(server, tmp_path, known)
        authority.write_bytes(OTHER.certificate)
        wait_until(lambda: not injects(server, tmp_path, known), "the first authority is still trusted")
        assert injects(server, tmp_path, other)


def test_what_cannot_be_used_is_one_sentence(tls: TlsFiles, tmp_path: Path) -> None:
    empty = tmp_path / "empty.crt"
    empty.touch()
    assert f"--client-ca: {empty} has no certificates (PEM)" in refusal(
        command(tls, 0, 0, "--client-ca", str(empty))
    )
    missing = refusal(command(tls, 0, 0, "--client-ca", "/nowhere.crt"))
    assert "--client-ca: /nowhere.crt cannot be read" in missing
    assert "give --client-ca, too" in refusal(command(tls, 0, 0, "--client-name", "x"))


# As `ssl` decodes certificates.
BY_COMMON_NAME = {"subject": ((("organizationName", "masters"),), (("commonName", "api"),))}
BY_ALTERNATIVE_NAME = {"subject": ((("commonName", "x"),),), "subjectAltName": (("DNS", "y"), ("DNS", "api"))}
OF_ANOTHER = {"subject": ((("commonName", "x"),),), "subjectAltName": (("DNS", "api.example"),)}
BY_ORGANIZATION = {"subject": ((("organizationName", "api"), ("commonName", "x")),)}


@pytest.mark.parametrize(
    ("certificate", "refused"),
    [
        (BY_COMMON_NAME, None),
        (BY_ALTERNATIVE_NAME, None),
        (OF_ANOTHER, ["api.example", "x"]),
        (BY_ORGANIZATION, ["x"]),
        (None, []),
    ],
)
def test_a_client_is_known_by_its_common_or_an_alternative_name(
    certificate: dict[str, Any] | None, refused: list[str] | None
) -> None:
    lines: list[Any] = []
    admits = only("api", lambda message, **fields: lines.append((message, fields["names"])))
    transport: Any = SimpleNamespace(get_extra_info={"peercert": certificate}.get)
    assert admits(transport) is (refused is None)
    assert lines == ([] if refused is None else [("client refused", refused)])
