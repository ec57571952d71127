"""`hazelcast-sidecar inject`, which does to manifests what the webhook would do."""

import argparse

from hazelcast_sidecar.cli.options import add_namespace, add_settings
from hazelcast_sidecar.cli.rewrite import add_rewriting, rewrite
from hazelcast_sidecar.injection.manifests import Placed, Result
from hazelcast_sidecar.injection.record import Written
from hazelcast_sidecar.injection.reinjection import renew
from hazelcast_sidecar.runtime.settings_file import SettingsFile
from hazelcast_sidecar.spec.annotations import DefaultSpecs

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
    """Inject members into every annotated Pod and workload."""
    settings = SettingsFile(options.settings).load()
    defaults = DefaultSpecs(settings)

    def one(placed: Placed, written: Written) -> Result:
        namespace = placed.namespace or options.namespace
        return renew(placed.obj, defaults.of(namespace), settings.run_as_user, written)

    return rewrite(options, one)
