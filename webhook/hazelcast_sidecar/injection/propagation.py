"""Propagation of a workload's annotations to its Pod template.

In most injectors an annotation on the workload itself has no effect, which is the most frequent mistake of
users. Here it counts: it is copied to the Pod template, so that the workload rolls out with it. The copies
are recorded on the workload, with their values, so that they can be updated and removed without touching
what users wrote on the template. The workload alone decides, and deciding twice changes nothing.

| annotation of the workload | annotation of its template     | then the template's        |
|----------------------------|--------------------------------|----------------------------|
| there                      | absent, or copied before       | becomes the workload's     |
| there                      | a user's, the same             | stays                      |
| there                      | a user's, different            | stays, with a warning      |
| absent, or declined        | copied before                  | goes                       |
| absent, or declined        | a user's                       | stays                      |
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

import msgspec

from hazelcast_sidecar.limits import MAX_ANNOTATIONS
from hazelcast_sidecar.model.opt_in import ASKED, asks
from hazelcast_sidecar.names import COPIED, INJECT, PREFIX, WRITTEN_ANNOTATIONS
from hazelcast_sidecar.untrusted import UndecodableError, decoder


class Copying(NamedTuple):
    """The resulting annotations of a template."""

    annotations: dict[str, str]
    """All of them."""
    copied: dict[str, str]
    """The copies among them."""
    contradictions: list[str]
    """Keys that the workload and its template both have, with different values; the template's counts."""


def plan(
    own: Mapping[str, str],
    template: Mapping[str, str],
    written: Collection[str],
    label: str | None = None,
) -> Copying:
    """Plan the annotations of a template.

    Without `inject`, or with "false", nothing is copied: other annotations alone would only cause a rollout.

    Args:
        own: annotations of the workload.
        template: annotations of its Pod template.
        written: those of the template that users wrote, as far as known.
        label: a user's own label `inject` of the template.
    """
    before = copied_before(own)
    kept = {key: value for key, value in template.items() if key in written or before.get(key) != value}
    offered = {key: value for key, value in own.items() if _is_ours(key)}
    asking = kept if INJECT in kept or label is not None else offered
    wanted = asks(asking, None if label is None else {INJECT: label})
    # A copy stays recorded though a user wrote it too: kubectl's record of what it applied can name what was
    # not there when it was copied, and deciding twice would forget it.
    again = {key: value for key, value in kept.items() if before.get(key) == value == offered.get(key)}
    copied = {k: v for k, v in offered.items() if k not in kept} | again if wanted else {}
    contradictions = [key for key, value in offered.items() if kept.get(key, value) != value]
    return Copying(kept | copied, copied, contradictions)


_LABEL = "label"
"""The key in the record for the template's label, if the webhook wrote it; no annotation has this name."""


def copied_annotation(copied: Mapping[str, str], *, labelled: bool) -> str | None:
    """Encode the annotation that records what the webhook wrote on a template; None if that is nothing.

    Args:
        copied: the copies.
        labelled: whether it wrote the label.
    """
    record = {**copied, _LABEL: ASKED} if labelled else copied
    return msgspec.json.encode(record, order="sorted").decode() if record else None


def copied_before(own: Mapping[str, str]) -> dict[str, str]:
    """Return the former copies with their values, as recorded on the workload."""
    # Anyone can write the annotation, but it must not remove others' annotations.
    return {key: value for key, value in _record(own).items() if _is_ours(key)}


def labelled_before(own: Mapping[str, str]) -> bool:
    """Tell whether the webhook wrote the template's label, as recorded on the workload."""
    return _record(own).get(_LABEL) == ASKED


def _record(own: Mapping[str, str]) -> dict[str, str]:
    try:
        return _decode(own.get(COPIED, "{}"))
    except UndecodableError:
        return {}  # edited by hand; what was written before then counts as written by users


def _is_ours(key: str) -> bool:
    """Tell whether an annotation is copied."""
    return key.startswith(PREFIX) and key not in WRITTEN_ANNOTATIONS


_decode = decoder(dict[str, str], MAX_ANNOTATIONS)  # the API server takes no longer one
