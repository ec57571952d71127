"""Files that may change while a program runs, which are reloaded in place, or rejected with a message.

Kubernetes renews a mounted ConfigMap or Secret by swapping a symbolic link; looking every other second is as
good as a notification, and works on every file system.
"""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter

from hazelcast_sidecar.errors import InvalidSettingsError
from hazelcast_sidecar.runtime.log import LogLine

_LOOK_SECONDS = 2


class Reloads(NamedTuple):
    """Counters of successful and failed reloads."""

    taken_up: Counter
    refused: Counter


def count_reloads(registry: CollectorRegistry, what: str) -> Reloads:
    """Make the metrics of one thing that is reloaded when its files change."""
    prefix = f"hazelcast_sidecar_{what}"
    return Reloads(
        Counter(f"{prefix}_reloads", f"Reloads of changed {what}.", registry=registry),
        Counter(f"{prefix}_failures", f"Changes of {what} that could not be used.", registry=registry),
    )


async def follow(
    what: str,
    reload: Callable[[], bool],
    reloads: Reloads,
    log: LogLine,
    fields: Callable[[], dict[str, str]] = dict,
) -> None:
    """Reload files when they change, until cancelled; a failure is logged once, and the old content stays.

    That holds for any exception that reloading raises.

    Args:
        what: the subject, for the log.
        reload: reloads the files if they changed, and returns whether; may raise InvalidSettingsError.
        reloads: counts both.
        log: takes both.
        fields: further fields of the line about a reload.
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
