"""`hazelcast-sidecar inject`: what the webhook would do, done to manifests."""

import argparse

from webhook.annotations import DefaultSpecs
from webhook.cli.options import add_namespace, add_settings
from webhook.cli.rewrite import add_rewriting, rewrite
from webhook.daemon.settings_file import SettingsFile
from webhook.manifest import Placed, Result, Written
from webhook.renewal import renew

_EXAMPLES = """examples:
  hazelcast-sidecar inject shop.yaml | kubectl apply -f -
  hazelcast-sidecar inject -R manifests/ --in-place
  helm template shop ./chart | hazelcast-sidecar inject - --diff
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = _EXAMPLES
    add_rewriting(parser)
    add_settings(parser)
    add_namespace(parser)


def run(options: argparse.Namespace) -> int:
    """Inject every Pod and workload that is annotated."""
    settings = SettingsFile(options.settings).load()
    defaults = DefaultSpecs(settings)

    def one(placed: Placed, written: Written) -> Result:
        namespace = placed.namespace or options.namespace
        return renew(placed.obj, defaults.of(namespace), settings.run_as_user, written)

    return rewrite(options, one)
