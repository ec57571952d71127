"""Rotation of certificates, as a pure function of what exists and of the time.

A new CA is trusted before anything is signed by it, and an old one for as long as anything that it signed may
still be served:

1. the authority has reached 2/3 of its lifetime: a new one joins the bundle, the leaf stays;
2. an overlap later, when every API server trusts both: a leaf of the new authority;
3. another overlap later, when every webhook replica serves that leaf: the old authority leaves the bundle.
"""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from hazelcast_sidecar.certificates import (
    KeyPair,
    UnreadableCertificateError,
    flaw,
    issued,
    make_authority,
    make_leaf,
    parsed_certificate,
    renewal,
)

# No dash is in base64; that a block ends with the next one keeps the search linear for any input.
_PEM_BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----")


class Policy(NamedTuple):
    """The names in the certificates, and their lifetimes."""

    names: Sequence[str]
    """DNS names of the webhook's Service."""
    leaf_lifetime: timedelta
    authority_lifetime: timedelta
    overlap: timedelta


class Certificates(NamedTuple):
    """The certificates in the cluster, as they are or should be."""

    authority: KeyPair | None
    bundle: bytes
    """Every trusted CA, PEM, the newest first."""
    leaf: KeyPair | None


def plan(found: Certificates, policy: Policy, now: datetime) -> Certificates:
    """Return the certificates that should exist now, which are the given ones if nothing is due."""
    trusted = [
        certificate for certificate in _certificates(found.bundle) if certificate.not_valid_after_utc > now
    ]
    authority, leaf = found.authority, found.leaf
    current = _authority(authority, policy, now)
    if authority is None or current is None or now >= renewal(current):
        authority = make_authority(now, lifetime=policy.authority_lifetime)
        current = parsed_certificate(authority.certificate)
    if current not in trusted:
        trusted.insert(0, current)
    if leaf is None or _is_due(leaf, current, trusted, policy, now):
        leaf = make_leaf(authority, policy.names, now, lifetime=policy.leaf_lifetime)
    if (
        _is_of(leaf, current, policy, now)
        and _age(parsed_certificate(leaf.certificate), now) >= policy.overlap
    ):
        trusted = [current]
    return Certificates(authority, _pem(trusted), leaf)


def expiry(certificate: bytes) -> datetime:
    """Return when a PEM certificate expires."""
    return parsed_certificate(certificate).not_valid_after_utc


def _is_due(
    leaf: KeyPair, current: x509.Certificate, trusted: list[x509.Certificate], policy: Policy, now: datetime
) -> bool:
    """Tell whether a leaf must be replaced: it is invalid, it is old, or there is a newer CA to move to."""
    if flaw(leaf, _pem(trusted), policy.names, now) is not None:
        return True
    if not _is_of(leaf, current, policy, now):
        # A working leaf is replaced only when every API server trusts the CA that would sign the new one.
        return _age(current, now) >= policy.overlap
    return now >= renewal(parsed_certificate(leaf.certificate))


def _is_of(leaf: KeyPair, authority: x509.Certificate, policy: Policy, now: datetime) -> bool:
    return flaw(leaf, _pem([authority]), policy.names, now) is None


def _authority(pair: KeyPair | None, policy: Policy, now: datetime) -> x509.Certificate | None:
    """Return the certificate of a CA; None if what it signs would not be trusted, which is tried."""
    if pair is None:
        return None
    try:
        certificate = parsed_certificate(pair.certificate)
        trial = make_leaf(pair, policy.names, now, lifetime=policy.leaf_lifetime)
    except Exception:  # noqa: BLE001 - after any failure, it cannot sign
        return None
    return certificate if _is_of(trial, certificate, policy, now) else None


def _age(certificate: x509.Certificate, now: datetime) -> timedelta:
    return now - issued(certificate)


def _certificates(bundle: bytes) -> list[x509.Certificate]:
    """Return each certificate in a bundle once, without those that cannot be parsed."""
    found: list[x509.Certificate] = []
    for block in _PEM_BLOCK.findall(bundle):
        try:
            certificate = parsed_certificate(block)
        except UnreadableCertificateError:
            continue
        if certificate not in found:
            found.append(certificate)
    return found


def _pem(certificates: list[x509.Certificate]) -> bytes:
    return b"".join(c.public_bytes(serialization.Encoding.PEM) for c in certificates)
