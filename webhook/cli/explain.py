"""`hazelcast-sidecar explain`: what would be injected, and why."""

import argparse
import sys
from typing import Any

from webhook.cli.documents import read_objects
from webhook.cli.live import fetch
from webhook.cli.options import add_cluster, add_files, add_namespace, add_settings
from webhook.cli.output import add_output, complain, plain, print_table, say, values
from webhook.daemon.settings_file import SettingsFile
from webhook.errors import InvalidSettingsError
from webhook.explanation import Explanation, explain
from webhook.manifest import Placed, placed, unexpected
from webhook.policy import SENTENCES, Reason
from webhook.settings import Settings

_EXAMPLES = """examples:
  hazelcast-sidecar explain -f shop.yaml
  hazelcast-sidecar explain deployment/shop -n team-a
  hazelcast-sidecar explain shop-6d4b75cb6d-x7k2p
  hazelcast-sidecar explain -f shop.yaml -o json --settings manifests/base/settings.yaml

It exits with 1 where a Pod would be denied.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = _EXAMPLES
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "target", nargs="?", metavar="POD|KIND/NAME", help="in the cluster, by the settings installed there"
    )
    add_files(source)
    add_namespace(parser, "of the target, or of objects that name none")
    add_cluster(parser)
    add_settings(parser)
    add_output(parser, "table", "yaml", "json")


def run(options: argparse.Namespace) -> int:
    """Explain every Pod and workload; 1 where one would be denied."""
    settings = SettingsFile(options.settings).load()
    if options.target:
        live, installed = fetch(options)
        given = placed(live)
        settings = settings if options.settings else installed
    else:
        given = read_objects(options.filename)
    explained = [(each, _explained(each, settings, options.namespace)) for each in given]
    if not explained:
        complain("there is neither a Pod nor a workload")
    if options.output == "table":
        for number, (found, explanation) in enumerate(explained):
            sys.stdout.write("\n" if number else "")
            _print(found, explanation)
    else:
        sys.stdout.write(values([_plain(*each) for each in explained], options.output))
    return 1 if any(explanation.problems for _, explanation in explained) else 0


def _explained(found: Placed, settings: Settings, namespace: str) -> Explanation:
    """Explain one object; that this fails, in whatever way, is a problem of this object alone."""
    try:
        return explain(found.obj, settings, found.namespace or namespace)
    except InvalidSettingsError:
        raise
    except Exception as error:  # noqa: BLE001 - see above
        problem = unexpected(error)
        return Explanation(Reason.INVALID, SENTENCES[Reason.INVALID], [], [], [problem])


def _print(found: Placed, explanation: Explanation) -> None:
    said = [*map(str, explanation.problems), *(f"warning: {text}" for text in explanation.warnings)]
    for line in (f"{found.name}: {explanation.sentence}", *said):
        say(line)
    if explanation.settings:
        rows = [(row.name, plain(row.value), plain(row.origin)) for row in explanation.settings]
        print_table(("SETTING", "VALUE", "ORIGIN"), rows)


def _plain(found: Placed, explanation: Explanation) -> dict[str, Any]:
    return {
        "object": found.name,
        "outcome": str(explanation.outcome),
        "sentence": explanation.sentence,
        "warnings": explanation.warnings,
        "problems": [problem._asdict() for problem in explanation.problems],
        "settings": [setting._asdict() for setting in explanation.settings],
    }
