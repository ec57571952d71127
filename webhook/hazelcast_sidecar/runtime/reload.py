"""Files that may change while a program runs: taken up in place, or refused with a sentence.

Kubernetes renews a mounted ConfigMap or Secret by swapping a symbolic link; looking every other second is as
good as being told, and works on every file system.
"""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter

from hazelcast_sidecar.errors import InvalidSettingsError
from hazelcast_sidecar.runtime.log import LogLine

_LOOK_SECONDS = 2


class Reloads(NamedTuple):
    """How often something was taken up again, and how often it could not be."""

    taken_up: Counter
    refused: Counter


def count_reloads(registry: CollectorRegistry, what: str) -> Reloads:
    """The metrics of one thing that is taken up again when its files change."""
    prefix = f"hazelcast_sidecar_{what}"
    return Reloads(
        Counter(f"{prefix}_reloads", f"Changed {what} taken up.", registry=registry),
        Counter(f"{prefix}_failures", f"Changed {what} that could not be used.", registry=registry),
    )


async def follow(
    what: str,
    reload: Callable[[], bool],
    reloads: Reloads,
    log: LogLine,
    fields: Callable[[], dict[str, str]] = dict,
) -> None:
    """Take up what changes, until cancelled; what cannot be used is said once, and the old stays in use.

    That holds for whatever taking it up raises.

    Args:
        what: for the log.
        reload: takes up the files if they changed: whether they did; InvalidSettingsError: they cannot be.
        reloads: counts both.
        log: takes both.
        fields: further ones of the line that says what was taken up.
    """
    said = ""
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        try:
            if reload():
                said = ""
                reloads.taken_up.inc()
                log(f"{what} reloaded", **fields())
        except Exception as error:  # noqa: BLE001 - what cannot be taken up must not end the looking
            why = str(error) if isinstance(error, InvalidSettingsError) else repr(error)
            if why != said:
                said = why
                reloads.refused.inc()
                log(f"{what} not reloaded", level="error", error=said)
