"""Certificates for the webhook: an authority (CA) and the server's leaf certificate.

Everything here is pure: the clock is an argument and PEM is returned, so that the command for development
certificates, the demo, the tests and the controller run the same code. Only the key material is random. The
server does not import this module: it does without `cryptography`.
"""

from __future__ import annotations

import ipaddress
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

AUTHORITY_NAME = "hazelcast-sidecar-injector CA"
LEAF_NAME = "hazelcast-sidecar-injector"

AUTHORITY_LIFETIME = timedelta(days=3650)
LEAF_LIFETIME = timedelta(days=365)

# A client whose clock is a little behind must not take a new certificate for one of the future.
_CLOCK_SKEW = timedelta(minutes=5)
# Two thirds leave time to notice and repair a renewal that fails before anything expires.
_RENEWAL_POINT = 2 / 3


class KeyPair(NamedTuple):
    """A certificate and its private key, both PEM; a `kubernetes.io/tls` Secret holds the same two."""

    certificate: bytes
    key: bytes

    def __repr__(self) -> str:
        """Keep the key out of logs and tracebacks."""
        return f"KeyPair(certificate={self.certificate!r}, key=<hidden>)"


class UnreadableCertificateError(ValueError):
    """A text that is not a certificate, or not a supported one; says why."""


class Validity(NamedTuple):
    """The period in which a certificate is valid, and the moment from which it should be replaced."""

    begins: datetime
    renew: datetime
    ends: datetime


def make_authority(
    now: datetime, *, lifetime: timedelta = AUTHORITY_LIFETIME, name: str = AUTHORITY_NAME
) -> KeyPair:
    """Make a self-signed authority that may sign leaf certificates and no further authorities."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        _builder(subject, subject, key.public_key(), now - _CLOCK_SKEW, now + lifetime)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return _pair(certificate, key)


def make_leaf(
    authority: KeyPair, names: Sequence[str], now: datetime, *, lifetime: timedelta = LEAF_LIFETIME
) -> KeyPair:
    """Make a server certificate for `names` (DNS names and IP addresses), signed by `authority`.

    It never outlives the authority: a chain that expires early would be noticed only when it breaks.
    """
    if not names:
        raise ValueError("a leaf certificate needs at least one DNS name or IP address")
    issuer = x509.load_pem_x509_certificate(authority.certificate)
    issuer_key = serialization.load_pem_private_key(authority.key, password=None)
    if not isinstance(issuer_key, ec.EllipticCurvePrivateKey):
        raise TypeError("the authority's key is not an elliptic curve key")
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, LEAF_NAME)])
    ends = min(now + lifetime, issuer.not_valid_after_utc)
    issuer_id = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    certificate = (
        _builder(subject, issuer.subject, key.public_key(), now - _CLOCK_SKEW, ends)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general_name(n) for n in names]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_id), critical=False
        )
        .sign(issuer_key, hashes.SHA256())
    )
    return _pair(certificate, key)


def validity(certificate: bytes) -> Validity:
    """Return when a PEM certificate becomes valid, should be renewed, and expires.

    Raises:
        UnreadableCertificateError: it is not a certificate.
    """
    parsed = parsed_certificate(certificate)
    return Validity(parsed.not_valid_before_utc, renewal(parsed), parsed.not_valid_after_utc)


def issued(certificate: x509.Certificate) -> datetime:
    """Return when a certificate was issued; it is valid from a little earlier, for clocks that are behind."""
    return certificate.not_valid_before_utc + _CLOCK_SKEW


def renewal(certificate: x509.Certificate) -> datetime:
    """Return when a certificate should be renewed."""
    made = issued(certificate)
    return made + (certificate.not_valid_after_utc - made) * _RENEWAL_POINT


def parsed_certificate(certificate: bytes) -> x509.Certificate:
    """Parse the first certificate of a PEM file, including all that is used of it.

    Raises:
        UnreadableCertificateError: it is not a certificate.
    """
    with _reading():
        parsed = x509.load_pem_x509_certificate(certificate)
        # Read here, since some of it is parsed only when it is asked for.
        _ = parsed.not_valid_before_utc, parsed.not_valid_after_utc, parsed.public_key()
        return parsed


@contextmanager
def _reading() -> Iterator[None]:
    """Turn every exception of reading certificates and keys into one.

    The library's own (for an unknown version, key or algorithm, for a duplicate extension) have no common
    ancestor but Exception.
    """
    try:
        yield
    except Exception as error:
        raise UnreadableCertificateError(str(error) or type(error).__name__) from error


def flaw(leaf: KeyPair, ca_bundle: bytes, names: Sequence[str], now: datetime) -> str | None:
    """Return why a client that trusts `ca_bundle` would reject `leaf` under one of `names`, or None.

    The answer is a sentence for people. Renewal, and the refusal to overwrite good files, rely on it.
    """
    try:
        certificate = parsed_certificate(leaf.certificate)
        with _reading():
            key = serialization.load_pem_private_key(leaf.key, password=None)
            store = Store(x509.load_pem_x509_certificates(ca_bundle))
            belongs = key.public_key() == certificate.public_key()
    except UnreadableCertificateError as error:
        return f"unreadable PEM: {error}"
    if not belongs:
        return "the private key does not belong to the certificate"
    return _mistrust([certificate], store, names, now)


def mistrust(chain: bytes, ca_bundle: bytes, names: Sequence[str], now: datetime) -> str | None:
    """Return why a client that trusts `ca_bundle` would reject a PEM chain under one of `names`, or None."""
    try:
        with _reading():
            certificates = x509.load_pem_x509_certificates(chain)
            store = Store(x509.load_pem_x509_certificates(ca_bundle))
    except UnreadableCertificateError as error:
        return f"unreadable PEM: {error}"
    return _mistrust(certificates, store, names, now)


def _mistrust(chain: list[x509.Certificate], store: Store, names: Sequence[str], now: datetime) -> str | None:
    policy = PolicyBuilder().store(store).time(now)
    for name in names:
        try:
            with _reading():
                policy.build_server_verifier(_general_name(name)).verify(chain[0], chain[1:])
        except UnreadableCertificateError as error:
            return f"not valid for {name}: {error}"
    return None


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    begins: datetime,
    ends: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> KeyPair:
    return KeyPair(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _general_name(name: str) -> x509.DNSName | x509.IPAddress:
    address = _address(name)
    return x509.DNSName(name) if address is None else x509.IPAddress(address)
