"""Certificates that are renewed under a running server, as the kubelet renews a mounted Secret."""

import asyncio
import json
import signal
import ssl
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hazelcast_sidecar.certificates import KeyPair, make_authority, make_leaf
from hazelcast_sidecar.errors import InvalidSettingsError
from hazelcast_sidecar.runtime.admin import Readiness
from hazelcast_sidecar.server.server import watch_expiry
from hazelcast_sidecar.server.server_metrics import ServerMetrics
from hazelcast_sidecar.server.tls import ServedCertificate
from tests.harness.client_certificates import make_client, write_pair
from tests.server.conftest import TlsFiles
from tests.server.test_serve import PATIENCE_SECONDS, Server, wait_until

AUTHORITY = make_authority(datetime.now(UTC) - timedelta(days=10))
NOW, DAY = timedelta(0), timedelta(days=1)


def leaf(begins: timedelta = NOW, lifetime: timedelta = DAY) -> KeyPair:
    return make_leaf(AUTHORITY, ["127.0.0.1"], datetime.now(UTC) + begins, lifetime=lifetime)


class Mount:
    """A Secret's folder in a Pod: links to files in a folder that is swapped as a whole."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tls = TlsFiles(AUTHORITY, folder / "tls.crt", folder / "tls.key")
        self._versions = 0
        for name in ("tls.crt", "tls.key"):
            (folder / name).symlink_to(Path("..data", name))

    def put(self, certificate: bytes, key: bytes) -> None:
        """What the kubelet does when the Secret has changed."""
        self._versions += 1
        version = self.folder / f"..{self._versions}"
        version.mkdir()
        (version / "tls.crt").write_bytes(certificate)
        (version / "tls.key").write_bytes(key)
        (self.folder / "..new").symlink_to(version.name)
        (self.folder / "..new").rename(self.folder / "..data")


@pytest.fixture
def mount(tmp_path: Path) -> Mount:
    mount = Mount(tmp_path)
    mount.put(*leaf())
    return mount


def test_a_renewed_pair_is_taken_up_once(mount: Mount) -> None:
    served = ServedCertificate(mount.tls.certificate, mount.tls.key)
    assert served.reload() is False
    mount.put(*leaf(lifetime=5 * DAY))
    assert served.reload() is True
    assert served.expires - datetime.now(UTC) > 4 * DAY
    assert served.reload() is False


@pytest.mark.parametrize(
    ("certificate", "key", "sentence"),
    [
        (leaf().certificate, leaf().key, "are not a certificate with its key"),
        (b"", b"", "are not a certificate with its key"),
        (*leaf(-2 * DAY), "cannot be served: certificate has expired$"),
        (*leaf(2 * DAY), "cannot be served: certificate is not yet valid$"),
    ],
)
def test_a_pair_that_cannot_be_served_leaves_the_one_before(
    mount: Mount, certificate: bytes, key: bytes, sentence: str
) -> None:
    served = ServedCertificate(mount.tls.certificate, mount.tls.key)
    before = served.expires
    mount.put(certificate, key)
    for _ in range(2):  # it is not forgotten that there is something to tell
        with pytest.raises(InvalidSettingsError, match=sentence):
            served.reload()
    assert served.expires == before
    mount.put(*leaf(lifetime=3 * DAY))
    assert served.reload() is True


def shake_hands(served: ServedCertificate, client: ssl.SSLContext) -> None:
    """Complete a handshake in memory, and read the server's first byte.

    Raises:
        SSLError: one side refuses the other.
    """
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client_side = client.wrap_bio(to_client, to_server, server_hostname="127.0.0.1")
    server_side = served.context.wrap_bio(to_server, to_client, server_side=True)
    for step in (client_side.do_handshake, server_side.do_handshake, client_side.do_handshake):
        with suppress(ssl.SSLWantReadError):
            step()
    server_side.do_handshake()
    server_side.write(b"x")
    assert client_side.read(1) == b"x"


def test_with_a_client_authority_only_its_clients_are_served(mount: Mount, tmp_path: Path) -> None:
    cluster = make_authority(datetime.now(UTC), name="cluster")
    ca = tmp_path / "client-ca.crt"
    ca.write_bytes(cluster.certificate)
    served = ServedCertificate(mount.tls.certificate, mount.tls.key, ca)
    for authority in (AUTHORITY, None):
        stranger = mount.tls.client
        if authority:
            stranger.load_cert_chain(*write_pair(make_client(authority, "x"), tmp_path, "stranger"))
        with pytest.raises(ssl.SSLError):
            shake_hands(served, stranger)
    known = mount.tls.client
    known.load_cert_chain(*write_pair(make_client(cluster, "x"), tmp_path, "known"))
    shake_hands(served, known)
    shake_hands(ServedCertificate(mount.tls.certificate, mount.tls.key), mount.tls.client)
    assert served.reload() is False
    ca.write_bytes(AUTHORITY.certificate)
    assert served.reload() is True
    with pytest.raises(ssl.SSLError):
        shake_hands(served, known)


@pytest.mark.parametrize("option", ["--tls-cert", "--tls-key", "--client-ca"])
def test_a_file_that_cannot_be_read_is_named_with_its_option(
    mount: Mount, tmp_path: Path, option: str
) -> None:
    folder, missing = tmp_path / "folder", tmp_path / "missing"
    folder.mkdir()
    for path, reason in ((folder, "Is a directory"), (missing, "No such file or directory")):
        files = {
            "--tls-cert": mount.tls.certificate,
            "--tls-key": mount.tls.key,
            "--client-ca": None,
            option: path,
        }
        with pytest.raises(InvalidSettingsError) as refused:
            ServedCertificate(*files.values())  # type: ignore[arg-type]
        assert str(refused.value) == f"{option}: {path} cannot be read: {reason}"


async def test_a_server_is_not_ready_while_its_certificate_has_expired(
    mount: Mount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hazelcast_sidecar.server.server._EXPIRY_SECONDS", 0)
    served = ServedCertificate(mount.tls.certificate, mount.tls.key)
    readiness, metrics = Readiness(set()), ServerMetrics()

    def shown() -> float:
        name = "hazelcast_sidecar_certificate_expiry_timestamp_seconds "
        lines = metrics.exposition().decode().splitlines()
        return next(float(line.removeprefix(name)) for line in lines if line.startswith(name))

    watching = asyncio.create_task(watch_expiry(served, readiness, metrics))
    for lifetime in (NOW, DAY, -DAY, DAY):
        served.expires = datetime.now(UTC) + lifetime
        async with asyncio.timeout(PATIENCE_SECONDS):
            while shown() != served.expires.timestamp() or readiness.ready is (lifetime <= NOW):  # noqa: ASYNC110
                await asyncio.sleep(0)
    watching.cancel()


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """What the server writes."""
    return tmp_path / "output"


@pytest.fixture
def server(mount: Mount, output: Path) -> Iterator[Server]:
    with output.open("w") as stdout:
        server = Server(mount.tls, "--drain-seconds", "0", stdout=stdout)
    yield server
    server.program.kill()
    server.program.wait()


def served_by(server: Server) -> str:
    """The certificate that a new connection gets."""
    return ssl.get_server_certificate(("127.0.0.1", server.port), timeout=PATIENCE_SECONDS)


def test_the_server_takes_up_what_the_kubelet_puts_and_goes_on_through_a_bad_one(
    mount: Mount, server: Server, output: Path
) -> None:
    first = served_by(server)
    mount.put(b"broken", b"broken")
    wait_until(lambda: '"certificate not reloaded"' in output.read_text(), "the broken one is not looked at")
    assert served_by(server) == first
    assert (server.review(), server.readyz()) == (True, 200)
    mount.put(*leaf())
    wait_until(lambda: served_by(server) != first, "the renewed certificate is not served")
    assert (server.review(), server.readyz()) == (True, 200)
    server.program.send_signal(signal.SIGTERM)
    server.program.wait(PATIENCE_SECONDS)
    lines = [json.loads(line) for line in output.read_text().splitlines()]
    assert [line["message"] for line in lines].count("certificate not reloaded") == 1
    (reloaded,) = [line for line in lines if line["message"] == "certificate reloaded"]
    assert "certificate_expires" in reloaded


def test_a_server_whose_certificate_has_expired_says_so_until_it_is_renewed(tmp_path: Path) -> None:
    mount = Mount(tmp_path)
    # Long enough for the server to start, which it would not with an expired one.
    mount.put(*leaf(-timedelta(minutes=60), timedelta(minutes=60, seconds=10)))
    server = Server(mount.tls, "--drain-seconds", "0")
    try:
        wait_until(lambda: server.readyz() == 503, "it stays ready")
        mount.put(*leaf())
        wait_until(lambda: server.readyz() == 200, "it does not become ready again")
    finally:
        server.program.kill()
        server.program.communicate()
