"""The server's side of TLS."""

import ssl
from pathlib import Path

from webhook.errors import InvalidSettingsError, Problem


class _EncryptedKeyError(Exception):
    """The key asks for a passphrase, and nobody is there to type it."""


def _no_passphrase() -> str:
    raise _EncryptedKeyError


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """A context that serves this certificate chain and key (PEM) over TLS 1.3.

    The API server has spoken TLS 1.3 since Kubernetes 1.14, and nobody else calls.

    Raises:
        InvalidSettingsError: a file cannot be read, or the two do not belong together.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0  # the API server keeps its connections; tickets only cost at each handshake
    for option, path in (("--tls-cert", certificate), ("--tls-key", key)):
        try:
            path.read_bytes()
        except OSError as error:
            raise InvalidSettingsError(
                [Problem(option, f"{path} cannot be read: {error.strerror}")]
            ) from error
    try:
        context.load_cert_chain(certificate, key, password=_no_passphrase)
    except _EncryptedKeyError as error:
        problem = Problem("--tls-key", f"{key} is encrypted; give a key without a passphrase")
        raise InvalidSettingsError([problem]) from error
    except ssl.SSLError as error:
        problem = Problem(
            "--tls-cert, --tls-key", f"{certificate} and {key} are no certificate with its key (PEM): {error}"
        )
        raise InvalidSettingsError([problem]) from error
    return context
