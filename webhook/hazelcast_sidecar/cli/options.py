"""Options that several commands have, and their types."""

import argparse
import re
from datetime import timedelta
from pathlib import Path

OptionContainer = argparse._ActionsContainer  # noqa: SLF001 - a parser or a group of its options

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add the option for the file with the settings, such as defaults of annotations."""
    parser.add_argument(
        "--settings",
        type=Path,
        metavar="FILE",
        help="YAML file with defaults, namespaces and runAsUser (default: the shipped settings)",
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


def add_cluster(parser: argparse.ArgumentParser) -> None:
    """Add the options for the cluster, as kubectl has them."""
    parser.add_argument(
        "--kubeconfig", type=Path, metavar="FILE", help="kubeconfig (default: as for kubectl)"
    )
    parser.add_argument("--context", metavar="NAME", help="context of the kubeconfig (default: current)")


def time_span(text: str) -> timedelta:
    """Parse a number of seconds, minutes, hours or days."""
    match = re.fullmatch(r"([1-9][0-9]{0,5})([smhd])", text, re.ASCII)
    if match is None:
        raise argparse.ArgumentTypeError(f'"{text}" is not a time span such as 30s, 10m, 12h or 90d')
    return timedelta(**{_UNITS[match[2]]: int(match[1])})
