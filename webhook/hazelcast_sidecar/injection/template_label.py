"""The label on Pod templates by which the API server knows Pods that ask for a member (decision 36).

It compares labels before anything else, so Pods of others cost it nothing. The label follows the annotation,
but never causes a rollout: a template gets it only where it changes anyway. That we wrote it is recorded
beside the copies, so that a user's own label stays.

| the template asks by annotation | its label             | it changes anyway | then the label |
|---------------------------------|-----------------------|-------------------|----------------|
| any                             | a user's              | any               | stays          |
| yes                             | ours                  | any               | stays          |
| yes                             | absent                | yes               | is written     |
| yes                             | absent                | no                | stays absent   |
| no                              | ours                  | any               | goes           |
| no                              | absent                | any               | stays absent   |

"Changes anyway" includes one that has it as it is stored: a user who replaces a workload by a manifest leaves
it out.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from hazelcast_sidecar.model.opt_in import ASKED
from hazelcast_sidecar.model.workload import WorkloadKind
from hazelcast_sidecar.names import INJECT


class Labelling(NamedTuple):
    """The resulting label of a template."""

    label: str | None
    """None: it has none."""
    is_ours: bool
    """Whether the webhook wrote it, which is to be recorded."""


def users_label(label: str | None, *, recorded: bool, written: bool) -> str | None:
    """Return the label of a template if a user wrote it, as far as known.

    Args:
        label: of the template.
        recorded: whether the webhook recorded that it wrote it.
        written: whether a user wrote it, as far as known.
    """
    return None if recorded and not written and label == ASKED else label


def plan(
    label: str | None, *, recorded: bool, written: bool, asks: bool, changes_anyway: Callable[[], bool]
) -> Labelling:
    """Plan the label of a template.

    Args:
        label: as it has it.
        recorded: as in `users_label`.
        written: as in `users_label`.
        asks: whether its annotations ask for a member, once they are copied.
        changes_anyway: tells whether its Pods are replaced without the label, too.
    """
    if label is None:
        adds = asks and changes_anyway()
        return Labelling(ASKED if adds else None, adds)
    is_ours = recorded and label == ASKED
    if asks:
        # It stays recorded though a user wrote it too, for the reason that copies do.
        return Labelling(label, is_ours)
    return Labelling(users_label(label, recorded=recorded, written=written), is_ours=False)


def with_label(labels: Mapping[str, str], label: str | None) -> dict[str, str]:
    """Return the labels of a template with this one; None: without it."""
    others = {key: text for key, text in labels.items() if key != INJECT}
    return others if label is None else {**others, INJECT: label}


def differs(kind: WorkloadKind, workload: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    """Tell whether two Pod templates differ in anything but their annotations and the label.

    Args:
        kind: the kind of both workloads.
        workload: as it was sent.
        before: as it is stored.
    """
    return bool(_rest(kind, workload) != _rest(kind, before))


def _rest(kind: WorkloadKind, workload: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
    template: Any = workload
    for step in kind.template:
        template = template.get(step) if isinstance(template, Mapping) else None
    if not isinstance(template, Mapping):
        return template
    metadata = template.get("metadata") or {}
    labels = metadata.get("labels") or {}
    others = {key: value for key, value in labels.items() if key != INJECT}
    rest = {key: value for key, value in metadata.items() if key not in {"annotations", "labels"}}
    return {**template, "metadata": {**rest, "labels": others}}
