"""The metrics that the programs expose: name, type, labels and meaning, from the text for Prometheus."""

from collections import Counter, defaultdict
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from hazelcast_sidecar.controller.audit.audit_metrics import AuditMetrics
from hazelcast_sidecar.controller.reconcile.groups import Key
from hazelcast_sidecar.controller.shared.controller_metrics import ControllerMetrics
from hazelcast_sidecar.controller.splits.split_metrics import SplitMetrics
from hazelcast_sidecar.server.server_metrics import ServerMetrics

_OPEN = {"namespace", "group", "kind", "version"}
"""Labels whose values nobody can list."""


class Exposed(NamedTuple):
    """One metric. `labels` are names, with their values where these are known."""

    name: str
    type: str
    meaning: str
    labels: dict[str, tuple[str, ...]] = {}  # noqa: RUF012 - read only


def exposed(text: str) -> list[Exposed]:
    """Read the metrics in what a program exposes, in its order; counters have the name that queries use."""
    found = []
    for family in text_string_to_metric_families(text):
        labels: defaultdict[str, dict[str, None]] = defaultdict(dict)
        for sample in family.samples:
            for name, value in sample.labels.items():
                if name != "le":
                    labels[name][value] = None
        name = f"{family.name}_total" if family.type == "counter" else family.name
        values = {label: () if label in _OPEN else tuple(seen) for label, seen in labels.items()}
        found.append(Exposed(name, family.type, family.documentation, values))
    return found


def webhook_metrics() -> list[Exposed]:
    """The webhook's."""
    return exposed(ServerMetrics().exposition().decode())


def controller_metrics() -> list[Exposed]:
    """The controller's, with one sample at least of each."""
    metrics = ControllerMetrics(pods=lambda: 0, queue_depth=lambda: 0, requests=lambda: 0)
    for reason in ("long", "malformed"):
        metrics.unread.labels("pods", reason)
    found = Counter({"team-a": 1})
    metrics.add(AuditMetrics(lambda: found, lambda: found))
    splits = SplitMetrics()
    splits.split = [Key("team-a", "shop")]
    metrics.add(splits)
    return exposed(metrics.exposition().decode())


def sample_names(text: str) -> set[str]:
    """The names of all series that a program exposes, or would expose with a first sample."""
    families = list(text_string_to_metric_families(text))
    return {each.name for each in exposed(text)} | {sample.name for f in families for sample in f.samples}
