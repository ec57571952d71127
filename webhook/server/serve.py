"""The server's life: start, serve, drain, stop."""

import asyncio
import gc
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from webhook.daemon.admin import Address, Readiness, admin_application, listen, stop_signals
from webhook.daemon.log import LogLine, json_lines
from webhook.errors import InvalidSettingsError
from webhook.review import Reviewer
from webhook.server.app import webhook_application
from webhook.server.metrics import Metrics
from webhook.server.tls import ServedCertificate
from webhook.settings import Settings
from webhook.version import __version__

_CERTIFICATE_SECONDS = 2
"""How often the certificate's files are looked at: two calls of stat each time."""

_EXPIRED = "certificate expired"


@dataclass(frozen=True)
class ServerSettings:
    """How one server process runs.

    Attributes:
        drain_seconds: how long requests are still answered after SIGTERM, with /readyz false: the API
            server's node learns of a Pod's end some time after the Pod itself.
    """

    listen: Address
    admin_listen: Address
    tls_certificate: Path
    tls_key: Path
    drain_seconds: float = 5.0


def run(server: ServerSettings, settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        InvalidSettingsError: a setting cannot be used, or an address is taken.
    """
    uvloop.run(_serve(server, Reviewer(settings), ServedCertificate(server.tls_certificate, server.tls_key)))


async def _serve(server: ServerSettings, reviewer: Reviewer, certificate: ServedCertificate) -> None:
    log = json_lines()
    readiness, metrics = Readiness(), Metrics()
    stop, stop_at_once = stop_signals()
    admin = await listen(
        "--admin-listen", admin_application(readiness, metrics.exposition), server.admin_listen
    )
    webhook = await listen(
        "--listen", webhook_application(reviewer, readiness, metrics, log), server.listen, certificate.context
    )
    # What was made until now stays: the collector need not look at it again during requests.
    gc.collect()
    gc.freeze()
    readiness.obstacles.clear()
    addresses = {"listen": str(server.listen), "admin": str(server.admin_listen)}
    log("serving", version=__version__, certificate_expires=certificate.expires.isoformat(), **addresses)
    renewing = asyncio.create_task(keep_certificate(certificate, readiness, metrics, log))
    await stop.wait()
    readiness.obstacles.add("draining")
    log("draining", seconds=server.drain_seconds)
    with suppress(TimeoutError):
        await asyncio.wait_for(stop_at_once.wait(), server.drain_seconds)
    renewing.cancel()
    await webhook.cleanup()
    await admin.cleanup()
    log("stopped")


async def keep_certificate(
    certificate: ServedCertificate, readiness: Readiness, metrics: Metrics, log: LogLine
) -> None:
    """Take up renewed certificate files, until cancelled.

    A pair that cannot be served is said once, and the one before goes on being served; the server is not
    ready only while that one has expired.
    """
    said = ""
    while True:
        metrics.certificate_expiry.set(certificate.expires.timestamp())
        if certificate.expires <= datetime.now(UTC):
            readiness.obstacles.add(_EXPIRED)
        else:
            readiness.obstacles.discard(_EXPIRED)
        await asyncio.sleep(_CERTIFICATE_SECONDS)
        try:
            if certificate.reload():
                said = ""
                metrics.certificate_reloads.inc()
                log("certificate reloaded", certificate_expires=certificate.expires.isoformat())
        except InvalidSettingsError as error:
            if str(error) != said:
                said = str(error)
                metrics.certificate_failures.inc()
                log("certificate not reloaded", level="error", error=said)
