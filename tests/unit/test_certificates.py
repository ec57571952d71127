"""What the certificates promise: a chain that strict clients accept, and refusals that say why."""

from __future__ import annotations

import contextlib
import runpy
import socket
import ssl
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from hazelcast_sidecar.certificates import KeyPair, flaw, make_authority, make_leaf, validity

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
NAMES = ["injector.injector.svc", "injector.injector.svc.cluster.local", "localhost", "127.0.0.1", "::1"]
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def authority() -> KeyPair:
    return make_authority(NOW)


@pytest.fixture(scope="module")
def leaf(authority: KeyPair) -> KeyPair:
    return make_leaf(authority, NAMES, NOW)


def parsed(pair: KeyPair) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pair.certificate)


def test_a_fresh_leaf_has_no_flaw_under_any_of_its_names(authority: KeyPair, leaf: KeyPair) -> None:
    assert flaw(leaf, authority.certificate, NAMES, NOW) is None


@pytest.mark.parametrize("server_name", ["localhost", "injector.injector.svc", "127.0.0.1"])
def test_a_strict_client_completes_a_handshake(tmp_path: Path, server_name: str) -> None:
    """OpenSSL in strict mode (the default of Python 3.13) checks more than Go's verifier does."""
    now = datetime.now(UTC)
    authority = make_authority(now)
    leaf = make_leaf(authority, NAMES, now)
    client = ssl.create_default_context(cadata=authority.certificate.decode())
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    assert handshake(tmp_path, leaf, client, server_name) == "TLSv1.3"


def test_a_client_of_another_authority_refuses(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    leaf = make_leaf(make_authority(now), NAMES, now)
    client = ssl.create_default_context(cadata=make_authority(now).certificate.decode())
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(tmp_path, leaf, client, "localhost")


def handshake(folder: Path, leaf: KeyPair, client: ssl.SSLContext, name: str) -> str | None:
    """Shake hands over a real loopback connection; the TLS version, or the client's error."""
    (folder / "tls.crt").write_bytes(leaf.certificate)
    (folder / "tls.key").write_bytes(leaf.key)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        thread = threading.Thread(target=accept_one, args=(listener, server))
        thread.start()
        stack.callback(thread.join)
        raw = stack.enter_context(socket.create_connection(listener.getsockname(), timeout=5))
        return stack.enter_context(client.wrap_socket(raw, server_hostname=name)).version()


def accept_one(listener: socket.socket, context: ssl.SSLContext) -> None:
    raw, _ = listener.accept()
    # A client that refuses the certificate ends the handshake: that is the test's outcome, not the server's.
    with raw, contextlib.suppress(OSError), context.wrap_socket(raw, server_side=True):
        pass


def test_the_authority_may_sign_leaves_only(authority: KeyPair) -> None:
    certificate = parsed(authority)
    basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)
    assert basic.critical
    assert basic.value == x509.BasicConstraints(ca=True, path_length=0)
    assert usage.critical
    assert usage.value.key_cert_sign
    assert not usage.value.digital_signature
    certificate.verify_directly_issued_by(certificate)


def test_the_leaf_is_for_a_server_and_signs_nothing(authority: KeyPair, leaf: KeyPair) -> None:
    found = parsed(leaf).extensions
    basic = found.get_extension_for_class(x509.BasicConstraints)
    usage = found.get_extension_for_class(x509.KeyUsage)
    assert basic.critical
    assert basic.value == x509.BasicConstraints(ca=False, path_length=None)
    assert usage.critical
    assert usage.value.digital_signature
    assert not usage.value.key_cert_sign
    assert list(found.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.SERVER_AUTH
    ]
    issuer_id = parsed(authority).extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert found.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier == issuer_id.digest


def test_both_keys_are_p256(authority: KeyPair, leaf: KeyPair) -> None:
    for pair in (authority, leaf):
        key = parsed(pair).public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        assert isinstance(key.curve, ec.SECP256R1)


def test_addresses_and_names_are_told_apart(leaf: KeyPair) -> None:
    names = parsed(leaf).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == NAMES[:3]
    assert [str(a) for a in names.get_values_for_type(x509.IPAddress)] == NAMES[3:]


def test_a_leaf_without_names_is_refused(authority: KeyPair) -> None:
    with pytest.raises(ValueError, match="at least one"):
        make_leaf(authority, [], NOW)


def test_a_leaf_never_outlives_its_authority() -> None:
    authority = make_authority(NOW, lifetime=10 * DAY)
    leaf = make_leaf(authority, NAMES, NOW, lifetime=90 * DAY)
    assert validity(leaf.certificate).ends == validity(authority.certificate).ends == NOW + 10 * DAY


def test_renewal_is_due_after_two_thirds(authority: KeyPair) -> None:
    begins, renew, ends = validity(make_leaf(authority, NAMES, NOW, lifetime=90 * DAY).certificate)
    assert begins < NOW
    assert ends == NOW + 90 * DAY
    assert renew == NOW + 60 * DAY, "of the time since it was issued, as the controller counts"


@pytest.mark.parametrize(
    ("when", "names", "sentence"),
    [
        (NOW + 366 * DAY, NAMES, "not valid for injector.injector.svc"),
        (NOW - DAY, NAMES, "not valid for injector.injector.svc"),
        (NOW, [*NAMES, "other.svc"], "not valid for other.svc"),
        (NOW, ["127.0.0.2"], "not valid for 127.0.0.2"),
    ],
)
def test_a_flaw_names_the_name_that_fails(
    authority: KeyPair, leaf: KeyPair, when: datetime, names: list[str], sentence: str
) -> None:
    assert (flaw(leaf, authority.certificate, names, when) or "").startswith(sentence)


def test_a_key_of_another_certificate_is_a_flaw(authority: KeyPair, leaf: KeyPair) -> None:
    mixed = KeyPair(leaf.certificate, make_leaf(authority, NAMES, NOW).key)
    assert (
        flaw(mixed, authority.certificate, NAMES, NOW) == "the private key does not belong to the certificate"
    )


def test_unreadable_files_are_a_flaw_and_no_crash(authority: KeyPair, leaf: KeyPair) -> None:
    for pair, bundle in (
        (KeyPair(b"no PEM", leaf.key), authority.certificate),
        (KeyPair(leaf.certificate, b""), authority.certificate),
        (leaf, b""),
    ):
        assert (flaw(pair, bundle, NAMES, NOW) or "").startswith("unreadable PEM")


def test_a_bundle_of_the_old_and_the_new_authority_trusts_leaves_of_both(
    authority: KeyPair, leaf: KeyPair
) -> None:
    """This is how an authority is rotated without a moment in which the API server trusts nobody."""
    successor = make_authority(NOW)
    bundle = authority.certificate + successor.certificate
    assert flaw(leaf, bundle, NAMES, NOW) is None
    assert flaw(make_leaf(successor, NAMES, NOW), bundle, NAMES, NOW) is None


def test_a_key_is_never_shown(leaf: KeyPair) -> None:
    assert "PRIVATE" not in repr(leaf)


MAKE = Path(__file__).resolve().parents[2] / "certs" / "make.py"


@pytest.mark.heavy
def test_the_command_makes_files_that_the_service_needs(tmp_path: Path) -> None:
    command = [sys.executable, str(MAKE), "--into", str(tmp_path / "tls")]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    files = {file.name: file for file in (tmp_path / "tls").iterdir()}
    assert set(files) == {"ca.crt", "tls.crt", "tls.key"}
    assert files["tls.key"].stat().st_mode & 0o777 == 0o600
    pair = KeyPair(files["tls.crt"].read_bytes(), files["tls.key"].read_bytes())
    service = "hazelcast-sidecar-injector.hazelcast-sidecar-injector.svc"
    names = [service, f"{service}.cluster.local", "localhost", "127.0.0.1"]
    assert flaw(pair, files["ca.crt"].read_bytes(), names, datetime.now(UTC)) is None
    assert f"{validity(pair.certificate).ends:%Y-%m-%d}" in shown


def test_the_command_leaves_good_files_alone_and_replaces_bad_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main = runpy.run_path(str(MAKE))["main"]

    def make(folder: Path, *options: str) -> str:
        assert main(["--into", str(folder), *options]) == 0
        return capsys.readouterr().out

    make(tmp_path, "--keep-ca-key")
    first = (tmp_path / "tls.crt").read_bytes()
    assert (tmp_path / "ca.key").stat().st_mode & 0o777 == 0o600
    assert "nothing to do" in make(tmp_path)
    assert (tmp_path / "tls.crt").read_bytes() == first
    make(tmp_path, "--force")
    second = (tmp_path / "tls.crt").read_bytes()
    assert second != first
    assert not (tmp_path / "ca.key").exists(), "the key of the authority before"
    (tmp_path / "tls.key").unlink()
    assert "tls.key is missing" in make(tmp_path)
    assert "not valid for other.example" in make(tmp_path, "--name", "other.example")
