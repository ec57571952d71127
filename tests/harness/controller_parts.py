"""Parts of the controller without an API server: what they count and log, and tasks that go on."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from hazelcast_sidecar.controller.shared.controller_metrics import ControllerMetrics, Where
from hazelcast_sidecar.controller.shared.faults import Faults


class Seen:
    """Metrics and a log, as a controller has them."""

    def __init__(self) -> None:
        self.metrics = ControllerMetrics(pods=lambda: 0, queue_depth=lambda: 0, requests=lambda: 0)
        self.lines: list[dict[str, Any]] = []
        self.now = 0.0
        self.faults = Faults(self.metrics, self.log, lambda: self.now)

    def log(self, message: str, **fields: Any) -> None:
        self.lines.append({"message": message, **fields})

    def count(self, where: Where) -> float:
        text = self.metrics.exposition().decode()
        name = f'hazelcast_sidecar_controller_faults_total{{where="{where}"}} '
        return float(next(line for line in text.splitlines() if line.startswith(name)).rpartition(" ")[2])


@contextlib.asynccontextmanager
async def running(work: Awaitable[Any]) -> AsyncIterator[asyncio.Task[Any]]:
    """Run something that goes on until cancelled; that it has ended by itself is an error."""
    task = asyncio.ensure_future(work)
    yield task
    ended = task.done()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert not ended, "it ended by itself"


async def until(is_so: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not is_so():  # noqa: ASYNC110 - what is waited for knows of no event
            await asyncio.sleep(0.01)
