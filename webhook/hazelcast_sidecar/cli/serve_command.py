"""`hazelcast-sidecar serve`, which runs the webhook's server."""

import argparse
from pathlib import Path

from hazelcast_sidecar.cli.listen_options import add_admin_listen, address
from hazelcast_sidecar.cli.options import add_settings
from hazelcast_sidecar.errors import InvalidSettingsError, Problem

_EXAMPLES = """examples:
  hazelcast-sidecar serve --tls-cert tls.crt --tls-key tls.key
  hazelcast-sidecar serve --tls-cert tls.crt --tls-key tls.key --settings settings.yaml
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = _EXAMPLES
    parser.add_argument(
        "--listen",
        type=address,
        default="0.0.0.0:8443",
        metavar="HOST:PORT",
        help="address of the webhook, over TLS (%(default)s)",
    )
    add_admin_listen(parser)
    parser.add_argument("--tls-cert", type=Path, required=True, metavar="FILE", help="certificate chain, PEM")
    parser.add_argument("--tls-key", type=Path, required=True, metavar="FILE", help="its private key, PEM")
    parser.add_argument(
        "--client-ca",
        type=Path,
        metavar="FILE",
        help="serve only clients whose certificate was signed by one of these CAs (PEM)",
    )
    parser.add_argument(
        "--client-name",
        metavar="NAME",
        help="serve only the client whose certificate has this name (common name or alternative name)",
    )
    add_settings(parser)
    parser.add_argument(
        "--drain-seconds",
        type=_seconds,
        default=5.0,
        metavar="N",
        help="time to go on answering after SIGTERM (%(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    """Serve until a signal ends it."""
    if options.client_name and not options.client_ca:
        raise InvalidSettingsError(
            [Problem("--client-name", "it needs client certificates; give --client-ca, too")]
        )
    # Imported here: --help and completion do without what serves, and so without the extra.
    from hazelcast_sidecar.server.server import ServerSettings  # noqa: PLC0415
    from hazelcast_sidecar.server.server import run as run_server  # noqa: PLC0415

    server = ServerSettings(
        listen=options.listen,
        admin_listen=options.admin_listen,
        tls_certificate=options.tls_cert,
        tls_key=options.tls_key,
        settings=options.settings,
        client_authority=options.client_ca,
        client_name=options.client_name,
        drain_seconds=options.drain_seconds,
    )
    run_server(server)
    return 0


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError(f'"{text}" is not a number of seconds')
    return seconds
