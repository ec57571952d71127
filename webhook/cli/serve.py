"""`hazelcast-sidecar serve`: the webhook's server."""

import argparse
from pathlib import Path

from webhook.cli.options import add_admin_listen, address
from webhook.server.serve import ServerSettings
from webhook.server.serve import run as run_server
from webhook.settings import Settings

_MAX_USER = 2**31 - 1  # what the API server takes
_EXAMPLES = """examples:
  hazelcast-sidecar serve --tls-cert tls.crt --tls-key tls.key
  hazelcast-sidecar serve --tls-cert tls.crt --tls-key tls.key \\
    --default image=registry.example/hazelcast:5.7.0 --default cpu-limit=1
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = _EXAMPLES
    parser.add_argument(
        "--listen",
        type=address,
        default="0.0.0.0:8443",
        metavar="HOST:PORT",
        help="admission reviews, over TLS (%(default)s)",
    )
    add_admin_listen(parser)
    parser.add_argument("--tls-cert", type=Path, required=True, metavar="FILE", help="certificate chain, PEM")
    parser.add_argument("--tls-key", type=Path, required=True, metavar="FILE", help="its private key, PEM")
    parser.add_argument(
        "--default",
        type=_setting,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="what an annotation is where a Pod does not set it; may be repeated",
    )
    parser.add_argument(
        "--run-as-user",
        type=_user,
        default=Settings().run_as_user,
        metavar="UID",
        help='user of the member container, or "platform" to leave it open, for OpenShift (%(default)s)',
    )
    parser.add_argument(
        "--drain-seconds",
        type=_seconds,
        default=5.0,
        metavar="N",
        help="how long to go on answering after SIGTERM (%(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    """Serve until told to stop."""
    server = ServerSettings(
        listen=options.listen,
        admin_listen=options.admin_listen,
        tls_certificate=options.tls_cert,
        tls_key=options.tls_key,
        drain_seconds=options.drain_seconds,
    )
    run_server(server, Settings(defaults=dict(options.default), run_as_user=options.run_as_user))
    return 0


def _setting(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f'"{text}" is not NAME=VALUE, such as cpu-limit=1')
    return name, value


def _user(text: str) -> int | None:
    if text == "platform":
        return None
    if not text.isdecimal() or not 0 < int(text) <= _MAX_USER:
        raise argparse.ArgumentTypeError(f'"{text}" is neither a user from 1 to {_MAX_USER} nor "platform"')
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError(f'"{text}" is not a number of seconds')
    return seconds
