"""The command line: `hazelcast-sidecar`.

Each command's module is imported only when it is called, so that `--help` is quick.
"""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from webhook.errors import InvalidSettingsError
from webhook.version import __version__

OK, MISUSE, INTERRUPTED = 0, 2, 130
"""Exit statuses; commands that look for problems return 1 when they found some."""

_COMMANDS = {
    "serve": "answer the API server's admission reviews",
    "controller": "keep what injected Pods need beside them: ConfigMap, headless Service, Role",
    "demo": "run a cluster of two replicas on this machine: real members, the real webhook, no Kubernetes",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog="hazelcast-sidecar", description="Hazelcast members as sidecars.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary in _COMMANDS.items():
        command = commands.add_parser(
            name, help=summary, description=summary, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        if name in given[:1]:
            module = import_module(f"webhook.cli.{name}")
            module.configure(command)
            command.set_defaults(run=module.run)
    options = parser.parse_args(given)
    try:
        return int(options.run(options))
    except InvalidSettingsError as error:
        for problem in error.problems:
            print(f"hazelcast-sidecar {options.command}: {problem}", file=sys.stderr)  # noqa: T201
        return MISUSE
    except KeyboardInterrupt:
        return INTERRUPTED
