"""The command line: `hazelcast-sidecar`.

Each command's module is imported only when it is called, so that `--help` is quick.
"""

import argparse
import errno
import os
import sys
from collections.abc import Collection, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from hazelcast_sidecar.demo import is_offered
from hazelcast_sidecar.errors import InvalidSettingsError
from hazelcast_sidecar.text import in_one_line
from hazelcast_sidecar.version import __version__

OK, MISUSE, INTERRUPTED = 0, 2, 130
"""Exit statuses; commands that look for problems return 1 when they found some."""

_PLUGIN = "kubectl-hazelcast_sidecar"

COMMANDS = {
    "install": "print the objects of an installation, for kubectl apply",
    "uninstall": "print what to delete of an installation, in a safe order",
    "serve": "serve the webhook: answer the API server's admission reviews",
    "controller": "reconcile what injected Pods need: ConfigMap, headless Service, RoleBinding",
    "check": "check whether an installation is healthy, or would work here, and print fixes",
    "status": "show whether the members of each group form one cluster, and whether its entries are safe",
    "inject": "inject members into the Pods and workloads of manifests, without a webhook",
    "uninject": "remove injected members from manifests",
    "explain": "explain what would be injected into Pods and workloads, and why",
    "resources": "print the objects that the controller would create for injected Pods",
    "policy": "print admission policies with which the API server injects members itself",
    "version": "print the version",
    "help": "show how a command is used",
    "completion": "print a shell completion script",
}
if is_offered():  # an installed package does not bring what it shows
    COMMANDS["demo"] = "run two replicas on this machine: real members, the real webhook, no Kubernetes"

# What a command needs beyond the dependencies; pyproject.toml says what is in these extras.
_EXTRAS = dict.fromkeys(("serve", "controller", "check", "status", "explain"), "cluster") | {"demo": "demo"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parser(given[:1]).parse_args(given)
    if sys.stdout is None:  # the caller closed it; what is written must fail, and only that
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_RDONLY), "w", encoding="utf-8")
    try:
        status = int(options.run(options))
        sys.stdout.flush()
    except InvalidSettingsError as error:
        for problem in error.problems:
            line = in_one_line(f"hazelcast-sidecar {options.command}: {problem}")
            print(line, file=sys.stderr)  # noqa: T201
        return MISUSE
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get(options.command)
        if extra is None or str(error.name).startswith(__package__.partition(".")[0]):
            raise
        print(  # noqa: T201
            f'hazelcast-sidecar {options.command}: needs the package "{error.name}", which is not installed: '
            f"pip install 'hazelcast-sidecar-injector[{extra}]'",
            file=sys.stderr,
        )
        return MISUSE
    except BrokenPipeError:  # such as `| head`
        _drop_output()
        return OK
    except OSError as error:
        return _reported(options.command, error)
    except KeyboardInterrupt:
        return INTERRUPTED
    return status


def _reported(command: str, error: OSError) -> int:
    """Report an error of a file, or of the output; any other one is raised."""
    if error.filename:
        what = str(error.filename)
    elif error.errno in _OF_OUTPUT:
        _drop_output()
        what = "the output cannot be written"
    else:
        raise error
    line = in_one_line(f"hazelcast-sidecar {command}: {what}: {error.strerror or error}")
    print(line, file=sys.stderr)  # noqa: T201
    return MISUSE


_OF_OUTPUT = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF}
"""What writing to a stream raises, which has no file name; sockets raise others."""


def _drop_output() -> None:
    """Drop what is still buffered: Python would try to write it once more at its end."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def parser(commands: Collection[str] | None = None) -> argparse.ArgumentParser:
    """Build the parser of the command line.

    Args:
        commands: the ones to parse; None: all. If none of them exists, all are listed, without options.
    """
    needed = {name: summary for name, summary in COMMANDS.items() if commands is None or name in commands}
    made = argparse.ArgumentParser(prog=_program(), description="Hazelcast members as sidecars of Pods.")
    made.add_argument("--version", action="version", version=__version__)
    subparsers = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary in (needed or COMMANDS).items():
        command = subparsers.add_parser(
            name, help=summary, description=summary, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        if name in needed:
            module = import_module(f"hazelcast_sidecar.cli.{name}_command")
            module.configure(command)
            command.set_defaults(run=module.run)
    return made


def _program() -> str:
    """Return the program's name as it was typed: kubectl finds its plugins by their file names."""
    return "kubectl hazelcast-sidecar" if Path(sys.argv[0]).name == _PLUGIN else "hazelcast-sidecar"
