"""Options that several commands have, and types of options."""

import argparse
import re
from datetime import timedelta
from pathlib import Path

OptionContainer = argparse._ActionsContainer  # noqa: SLF001 - a parser or a group of its options

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def add_settings(parser: argparse.ArgumentParser) -> None:
    """What annotations are where a Pod does not set them, and the like."""
    parser.add_argument(
        "--settings",
        type=Path,
        metavar="FILE",
        help="YAML with defaults, namespaces, runAsUser; taken up again when it changes (the shipped ones)",
    )


def add_files(parser: OptionContainer, *, positional: bool = False) -> None:
    """Which files to read."""
    parser.add_argument(
        "-f",
        "--filename",
        action="append",
        metavar="FILE",
        help="manifest or folder of manifests, YAML or JSON; - is standard input; may be repeated",
    )
    if positional:
        parser.add_argument("files", nargs="*", metavar="FILE", help="the same as -f")
        add_recursive(parser)


def add_recursive(parser: OptionContainer) -> None:
    """Whether folders in folders are read."""
    parser.add_argument(
        "-R", "--recursive", action="store_true", help="read the folders in folders of manifests, too"
    )


def add_namespace(parser: argparse.ArgumentParser, of: str = "of objects that name none") -> None:
    """Which namespace is meant where nothing says it."""
    parser.add_argument("-n", "--namespace", default="default", metavar="NS", help=f"{of} (%(default)s)")


def add_cluster(parser: argparse.ArgumentParser) -> None:
    """Which cluster to ask, as kubectl has it."""
    parser.add_argument(
        "--kubeconfig", type=Path, metavar="FILE", help="names the cluster (as for kubectl: KUBECONFIG)"
    )
    parser.add_argument("--context", metavar="NAME", help="of the kubeconfig (its current one)")


def time_span(text: str) -> timedelta:
    """A number of seconds, minutes, hours or days."""
    match = re.fullmatch(r"([1-9][0-9]{0,5})([smhd])", text, re.ASCII)
    if match is None:
        raise argparse.ArgumentTypeError(f'"{text}" is not a time span such as 30s, 10m, 12h or 90d')
    return timedelta(**{_UNITS[match[2]]: int(match[1])})
