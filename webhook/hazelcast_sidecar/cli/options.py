"""Options that several commands have, and their types."""

import argparse
from datetime import timedelta
from pathlib import Path

from hazelcast_sidecar.errors import InvalidSettingsError, Problem
from hazelcast_sidecar.names import DNS_LABEL, INJECTOR, MAX_LABEL

OptionContainer = argparse._ActionsContainer  # noqa: SLF001 - a parser or a group of its options


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add the option for the file with the settings, such as defaults of annotations."""
    parser.add_argument(
        "--settings",
        type=Path,
        metavar="FILE",
        help="YAML file with the installation's settings (default: the shipped ones)",
    )


def add_files(parser: OptionContainer, *, positional: bool = False) -> None:
    """Add the options for the files to read."""
    parser.add_argument(
        "-f",
        "--filename",
        action="append",
        metavar="FILE",
        help="manifest or folder of manifests, YAML or JSON; - is standard input; repeatable",
    )
    if positional:
        parser.add_argument("files", nargs="*", metavar="FILE", help="the same as -f")
        add_recursive(parser)


def add_recursive(parser: OptionContainer) -> None:
    """Add the option to read subfolders."""
    parser.add_argument("-R", "--recursive", action="store_true", help="also read subfolders")


def add_namespace(parser: argparse.ArgumentParser, of: str = "namespace of objects without one") -> None:
    """Add the option for the namespace of what names none."""
    parser.add_argument("-n", "--namespace", default="default", metavar="NS", help=f"{of} (%(default)s)")


def add_injector_namespace(parser: argparse.ArgumentParser) -> None:
    """Add the option for the namespace of an installation that is printed."""
    parser.add_argument(
        "-n",
        "--namespace",
        default=INJECTOR,
        type=_namespace,
        metavar="NS",
        help="namespace of the injector (%(default)s)",
    )


def _namespace(text: str) -> str:
    if len(text) > MAX_LABEL or not DNS_LABEL.fullmatch(text):
        raise argparse.ArgumentTypeError(f'"{text}" is not the name of a namespace, such as {INJECTOR}')
    return text


def add_cluster(parser: argparse.ArgumentParser) -> None:
    """Add the options for the cluster, as kubectl has them."""
    parser.add_argument(
        "--kubeconfig", type=Path, metavar="FILE", help="kubeconfig (default: as for kubectl)"
    )
    parser.add_argument("--context", metavar="NAME", help="context of the kubeconfig (default: current)")


def check_kubeconfig(options: argparse.Namespace) -> None:
    """Check the option that `add_cluster` adds.

    Raises:
        InvalidSettingsError: it names no file.
    """
    if options.kubeconfig and not options.kubeconfig.is_file():
        raise InvalidSettingsError([Problem("--kubeconfig", f"the file {options.kubeconfig} does not exist")])


def time_span(text: str) -> timedelta:
    """Parse a time span, as annotations have it, of one second or more."""
    from hazelcast_sidecar.spec.values import seconds  # noqa: PLC0415 - --help does without it

    try:
        found = seconds(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f'"{text}" {error}') from error
    if not found:
        raise argparse.ArgumentTypeError(f'"{text}" is less than a second')
    return timedelta(seconds=found)
