"""How costs grow: the controller's with the number of injected Pods, the webhook's with the size of a Pod."""

import sys

from tests.bench import growth_of_controller, growth_of_webhook
from tests.bench.report import Report
from tests.harness.control_plane import find_programs

PODS, QUICK_PODS = (100, 1000, 10_000), (100, 1000)
PEACE_SECONDS, QUICK_PEACE_SECONDS = 30.0, 10.0
ROUNDS, QUICK_ROUNDS = 30, 5


def measure(*, quick: bool) -> Report:
    """Both, one after the other."""
    rounds = QUICK_ROUNDS if quick else ROUNDS
    annotations = growth_of_webhook.run(growth_of_webhook.by_annotations(), rounds)
    containers = growth_of_webhook.run(growth_of_webhook.by_containers(), rounds)
    programs = find_programs(lambda line: print(line, file=sys.stderr))  # noqa: T201 (a build of minutes)
    peace = QUICK_PEACE_SECONDS if quick else PEACE_SECONDS
    found = [growth_of_controller.run(programs, pods, peace) for pods in (QUICK_PODS if quick else PODS)]
    return Report(
        "growth",
        [
            growth_of_controller.table(found),
            growth_of_webhook.table("annotations", annotations),
            growth_of_webhook.table("containers", containers),
        ],
        [
            *growth_of_controller.targets(found),
            *growth_of_webhook.targets(annotations),
            *growth_of_webhook.targets(containers),
        ],
        {"controller": [vars(size) for size in found]},
    )
