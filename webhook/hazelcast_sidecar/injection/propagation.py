"""A workload's annotations, copied onto its Pod template.

In most injectors an annotation on the workload itself does nothing, which is the mistake that users make
most. Here it counts: it is copied to the Pod template, so that the workload rolls out with it. What was
copied is recorded on the workload, with its values: so it can follow a change, and be taken away again,
without ever touching what somebody wrote on the template. All that is decided from the workload alone, and
deciding twice changes nothing.

| annotation of the workload | annotation of its template     | then the template's        |
|----------------------------|--------------------------------|----------------------------|
| there                      | absent, or copied before       | becomes the workload's     |
| there                      | somebody's, the same           | stays                      |
| there                      | somebody's, another            | stays, with a warning      |
| absent, or declined        | copied before                  | goes                       |
| absent, or declined        | somebody's                     | stays                      |
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

import msgspec

from hazelcast_sidecar.limits import MAX_ANNOTATIONS
from hazelcast_sidecar.names import COPIED, INJECT, PREFIX, WRITTEN_ANNOTATIONS
from hazelcast_sidecar.untrusted import UndecodableError, decoder


class Copying(NamedTuple):
    """What becomes of a template's annotations."""

    annotations: dict[str, str]
    """All of them, afterwards."""
    copied: dict[str, str]
    """Those among them that are copies."""
    contradictions: list[str]
    """Keys that the workload and its template both have, with different values; the template's counts."""


def plan(own: Mapping[str, str], template: Mapping[str, str], written: Collection[str]) -> Copying:
    """Which annotations a template should have.

    Without `inject`, or with "false", nothing is copied: other annotations alone would only cause a rollout.

    Args:
        own: annotations of the workload.
        template: annotations of its Pod template.
        written: those of the template that somebody wrote, as far as that is known.
    """
    before = copied_before(own)
    kept = {key: value for key, value in template.items() if key in written or before.get(key) != value}
    offered = {key: value for key, value in own.items() if _is_ours(key)}
    wanted = kept.get(INJECT, offered.get(INJECT, "false")) != "false"
    # What was copied stays recorded though somebody wrote it too: kubectl's record of what it applied can
    # name what was not there when it was copied, and deciding twice would forget it.
    again = {key: value for key, value in kept.items() if before.get(key) == value == offered.get(key)}
    copied = {k: v for k, v in offered.items() if k not in kept} | again if wanted else {}
    contradictions = [key for key, value in offered.items() if kept.get(key, value) != value]
    return Copying(kept | copied, copied, contradictions)


def copied_annotation(copying: Copying) -> str | None:
    """The record of what was copied, for the workload; None where nothing was."""
    return msgspec.json.encode(copying.copied, order="sorted").decode() if copying.copied else None


def copied_before(own: Mapping[str, str]) -> dict[str, str]:
    """What was copied before, with its values, as the record on the workload has it."""
    try:
        found = _decode(own.get(COPIED, "{}"))
    except UndecodableError:
        return {}  # somebody's hand; what was copied then counts as written by them
    # Anyone can write the record: others' annotations are not for it to take away.
    return {key: value for key, value in found.items() if _is_ours(key)}


def _is_ours(key: str) -> bool:
    """Whether an annotation is one that is copied."""
    return key.startswith(PREFIX) and key not in WRITTEN_ANNOTATIONS


_decode = decoder(dict[str, str], MAX_ANNOTATIONS)  # the API server takes no longer one
