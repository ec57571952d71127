"""Certificates that are renewed under a running server, as the kubelet renews a mounted Secret."""

import json
import signal
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hazelcast_sidecar.certificates import KeyPair, make_authority, make_leaf
from hazelcast_sidecar.errors import InvalidSettingsError
from hazelcast_sidecar.server.tls import ServedCertificate
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
        (*leaf(-2 * DAY), "certificate has expired"),
        (*leaf(2 * DAY), "certificate is not yet valid"),
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
