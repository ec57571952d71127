"""Certificates of clients, such as API servers can have; the program itself makes none."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hazelcast_sidecar.certificates import KeyPair


def make_client(authority: KeyPair, common_name: str, *alternative_names: str) -> KeyPair:
    """A client's certificate, signed by an authority, and its key."""
    issuer = x509.load_pem_x509_certificate(authority.certificate)
    issuer_key = serialization.load_pem_private_key(authority.key, password=None)
    assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    issuer_id = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_id), critical=False
        )
    )
    if alternative_names:
        names = x509.SubjectAlternativeName([x509.DNSName(name) for name in alternative_names])
        builder = builder.add_extension(names, critical=False)
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return KeyPair(
        builder.sign(issuer_key, hashes.SHA256()).public_bytes(encoding),
        key.private_bytes(encoding, form, serialization.NoEncryption()),
    )


def write_pair(pair: KeyPair, folder: Path, name: str) -> tuple[Path, Path]:
    """Both as files, which is how `ssl` and kubeconfig files take them."""
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    certificate.write_bytes(pair.certificate)
    key.write_bytes(pair.key)
    return certificate, key
