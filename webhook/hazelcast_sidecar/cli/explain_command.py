"""`hazelcast-sidecar explain`, which shows what would be injected, and why."""

import argparse
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from hazelcast_sidecar.cli.documents import SUFFIXES, Reading, given_files
from hazelcast_sidecar.cli.live import fetch
from hazelcast_sidecar.cli.options import add_cluster, add_files, add_namespace, add_recursive, add_settings
from hazelcast_sidecar.cli.output import add_output, complain, listed, plain, print_table, say
from hazelcast_sidecar.errors import InvalidSettingsError, Problem
from hazelcast_sidecar.injection.bystanders import remark
from hazelcast_sidecar.injection.explanation import Explanation, explain
from hazelcast_sidecar.injection.manifests import Placed, is_known, placed, unexpected
from hazelcast_sidecar.injection.pod_decision import SENTENCES, Reason
from hazelcast_sidecar.runtime.settings_file import SettingsFile
from hazelcast_sidecar.spec.settings import Settings

_EXAMPLES = """examples:
  hazelcast-sidecar explain shop.yaml --all
  hazelcast-sidecar explain deployment/shop -n team-a
  hazelcast-sidecar explain shop-6d4b75cb6d-x7k2p
  hazelcast-sidecar explain shop.yaml -o json --settings manifests/base/settings.yaml

The exit status is 1 if a Pod would be denied.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = _EXAMPLES
    parser.add_argument(
        "targets",
        nargs="*",
        metavar="FILE|POD|KIND/NAME",
        help="files and folders as for -f; or one object in the cluster, with the settings installed there",
    )
    add_files(parser)
    add_recursive(parser)
    parser.add_argument("--all", action="store_true", help="also show settings that have their defaults")
    add_namespace(parser, "namespace of the target, and of objects without one")
    add_cluster(parser)
    add_settings(parser)
    add_output(parser, "table", "yaml", "json")


def run(options: argparse.Namespace) -> int:
    """Explain every Pod and workload, and return 1 if one would be denied."""
    settings = SettingsFile(options.settings).load()
    explained: list[tuple[Placed, Explanation]] = []
    reading = Reading(_files(options), recursive=options.recursive)
    if options.target:
        live, installed = fetch(options)
        settings = settings if options.settings else installed
        explained += _explained(placed(live), settings, options.namespace)
    for found in reading.objects():
        if is_known(found.placed.obj):
            explained += _explained([found.placed], settings, options.namespace)
        elif (sentence := remark(found.placed.obj)) is not None:
            complain(f"{found.where}: {sentence}")
    if not explained:
        complain("found no Pod and no workload")
    if options.output == "table":
        for number, (explained_object, explanation) in enumerate(explained):
            sys.stdout.write("\n" if number else "")
            _print(explained_object, explanation, everything=options.all)
    else:
        sys.stdout.write(listed([_plain(*each) for each in explained], options.output))
    denied = any(explanation.problems for _, explanation in explained)
    return 1 if denied or reading.failed else 0


def _explained(
    found: Iterable[Placed], settings: Settings, namespace: str
) -> Iterator[tuple[Placed, Explanation]]:
    for each in found:
        yield each, _explanation(each, settings, namespace)


def _explanation(found: Placed, settings: Settings, namespace: str) -> Explanation:
    """Explain one object; a failure is a problem of this object alone."""
    try:
        return explain(found.obj, settings, found.namespace or namespace)
    except InvalidSettingsError:
        raise
    except Exception as error:  # noqa: BLE001 - see above
        problem = unexpected(error)
        return Explanation(Reason.INVALID, SENTENCES[Reason.INVALID], [], None, [], [problem])


def _files(options: argparse.Namespace) -> list[str]:
    """Return the files among the arguments; an argument that is not a file is the target in the cluster.

    Raises:
        InvalidSettingsError: there is no argument, or more than one target.
    """
    files = [text for text in options.targets if _is_file(text)]
    targets = [text for text in options.targets if not _is_file(text)]
    options.target = targets[0] if targets else None
    if len(targets) > 1:
        sentence = f'neither "{targets[0]}" nor "{targets[1]}" is a file; name one object at a time'
        raise InvalidSettingsError([Problem("target", sentence)])
    return [*files, *(options.filename or ())] if targets else given_files(options.filename, files)


def _is_file(text: str) -> bool:
    return text in {"", "-"} or Path(text).suffix in SUFFIXES or os.path.exists(text)  # noqa: PTH110 - raises not


def _print(found: Placed, explanation: Explanation, *, everything: bool) -> None:
    said = [*map(str, explanation.problems), *(f"warning: {text}" for text in explanation.warnings)]
    for line in (f"{found.name}: {explanation.sentence}", *said):
        say(line)
    if explanation.advice:
        say(f"advice: {explanation.advice.sentence}; in the manifest:")
        for line in explanation.advice.manifest.splitlines():
            say(f"  {line}")
    if explanation.cost:
        sys.stdout.write(f"cost: {explanation.cost.sentence}\n")
    if explanation.settings:
        first = [row for row in explanation.settings if not row.is_default]
        rest = [row for row in explanation.settings if row.is_default]
        rows = [
            (row.name, plain(row.value), plain(row.origin)) for row in [*first, *(rest if everything else ())]
        ]
        print_table(("SETTING", "VALUE", "ORIGIN"), rows)
        if not everything:
            sys.stdout.write(f"and {len(rest)} settings with their defaults (--all shows them)\n")


def _plain(found: Placed, explanation: Explanation) -> dict[str, Any]:
    return {
        "object": found.name,
        "outcome": str(explanation.outcome),
        "sentence": explanation.sentence,
        "warnings": explanation.warnings,
        "advice": explanation.advice._asdict() if explanation.advice else None,
        "problems": [problem._asdict() for problem in explanation.problems],
        "cost": explanation.cost._asdict() if explanation.cost else None,
        "settings": [setting._asdict() for setting in explanation.settings],
    }
