"""The server's TLS certificate and its client CAs, reloaded when their files change.

Kubernetes renews a mounted Secret by swapping a symbolic link, so certificate and key change together, under
the same paths. A change is loaded into a new context, which replaces the old one only if it works.
"""

import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from hazelcast_sidecar.errors import InvalidSettingsError, Problem


class _EncryptedKeyError(Exception):
    """The key needs a passphrase, and there is no terminal to ask for it."""


class _Files(NamedTuple):
    """The files behind the paths, resolved, and what tells them from others."""

    certificate: Path
    key: Path
    client_authority: Path | None
    marks: tuple[tuple[int, int, int], ...]


class ServedCertificate:
    """A certificate chain and its key, in PEM files, and the TLS context that serves them.

    Args:
        certificate: the chain, the leaf first.
        key: the leaf's private key.
        client_authority: CAs that sign client certificates; None: any client is served.

    Raises:
        InvalidSettingsError: a file cannot be read, or the pair does not belong together.
    """

    def __init__(self, certificate: Path, key: Path, client_authority: Path | None = None) -> None:
        self._paths = {"--tls-cert": certificate, "--tls-key": key}
        if client_authority:
            self._paths["--client-ca"] = client_authority
        self._files = self._find()
        self.expires = _expiry(self._files)
        self.context = _context(self._files)

    def reload(self) -> bool:
        """Reload the files if they changed, and return whether they did.

        Raises:
            InvalidSettingsError: the new ones cannot be served; the old ones still are.
        """
        files = self._find()
        if files == self._files:
            return False
        self.expires = _expiry(files)
        self.context = _context(files)
        self._files = files
        return True

    def fields(self) -> dict[str, str]:
        """Return what log lines say of the certificate."""
        return {"certificate_expires": self.expires.isoformat()}

    def _find(self) -> _Files:
        """Return the files behind the paths, resolved, so that a swap half-way cannot mix old and new."""
        found, marks = [], []
        for option, path in self._paths.items():
            try:
                real = path.resolve(strict=True)
                stat = real.stat()
                real.read_bytes()
            except OSError as error:
                problem = Problem(option, f"{path} cannot be read: {error.strerror}")
                raise InvalidSettingsError([problem]) from error
            found.append(real)
            marks.append((stat.st_ino, stat.st_mtime_ns, stat.st_size))
        client_authority = found[2] if found[2:] else None
        return _Files(found[0], found[1], client_authority, tuple(marks))


def _context(files: _Files) -> ssl.SSLContext:
    """Make a context that serves these files over TLS 1.3, which all supported API servers speak."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0  # the API server keeps its connections; tickets only cost at each handshake
    try:
        context.load_cert_chain(files.certificate, files.key, password=_no_passphrase)
    except _EncryptedKeyError as error:
        problem = Problem("--tls-key", f"{files.key} is encrypted; use a key without a passphrase")
        raise InvalidSettingsError([problem]) from error
    except (ssl.SSLError, OSError) as error:
        sentence = f"{files.certificate} and {files.key} are not a certificate with its key (PEM): {error}"
        raise InvalidSettingsError([Problem("--tls-cert, --tls-key", sentence)]) from error
    if files.client_authority:
        _require_client_certificates(context, files.client_authority)
    return context


def _require_client_certificates(context: ssl.SSLContext, authority: Path) -> None:
    try:
        context.load_verify_locations(authority)
    except (ssl.SSLError, OSError) as error:
        problem = Problem("--client-ca", f"{authority} has no certificates (PEM): {error}")
        raise InvalidSettingsError([problem]) from error
    context.verify_mode = ssl.CERT_REQUIRED


def _no_passphrase() -> str:
    raise _EncryptedKeyError


def _expiry(files: _Files) -> datetime:
    """Return when a pair expires, after serving it once to a client in memory that trusts only it.

    Raises:
        InvalidSettingsError: it cannot be served, or is not valid now.
    """
    server_context = _context(files)
    # Text around the PEM blocks may be in any encoding; PEM itself is ASCII.
    trusted = files.certificate.read_bytes().decode("ascii", errors="ignore")
    client_context = ssl.create_default_context(cadata=trusted)
    client_context.check_hostname = False
    # The leaf itself is trusted, so its issuer does not matter here.
    client_context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server)
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    try:
        # One flight each: hello, answer with the certificate, the client's result.
        for step in (client.do_handshake, server.do_handshake, client.do_handshake):
            _until_blocked(step)
    except ssl.SSLError as error:
        reason = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else str(error)
        raise InvalidSettingsError(
            [Problem("--tls-cert", f"{files.certificate} cannot be served: {reason}")]
        ) from error
    served = client.getpeercert() or {}
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(served["notAfter"])), UTC)


def _until_blocked(step: Callable[[], None]) -> None:
    try:
        step()
    except ssl.SSLWantReadError:
        return
