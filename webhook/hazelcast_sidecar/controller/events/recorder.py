"""Events on workloads, which `kubectl describe deployment` shows.

A dry run creates no Pods, so it never causes an Event.
"""

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import count

import msgspec

from hazelcast_sidecar.controller.events.event import EventNotice, EventSeries, can_be, cut, event, event_name
from hazelcast_sidecar.controller.events.top_owner import TopOwners
from hazelcast_sidecar.controller.shared.controller_metrics import ControllerMetrics, Where
from hazelcast_sidecar.controller.shared.faults import Faults
from hazelcast_sidecar.controller.shared.token_bucket import TokenBucket
from hazelcast_sidecar.kube.client import CONNECTION_ERRORS, FIELD_MANAGER, Api, ApiError, in_words
from hazelcast_sidecar.kube.objects import EVENT
from hazelcast_sidecar.owners import OwnerReference
from hazelcast_sidecar.runtime.log import LogLine

_AGAIN = timedelta(minutes=5)
"""Seconds in which an equal notice is not written again."""

_BURST, _PER_SECOND = 50, 5.0
_MAX_PENDING, _MAX_PENDING_OF_NAMESPACE = 1000, 200

_MAX_TOLD = 4096

_REMEMBER_SECONDS = 30.0
"""Seconds that Events wait for former leaders' Events: anyone may create many, and large, that look so."""


class _Name(msgspec.Struct, gc=False):
    name: str
    namespace: str


class _Recorded(msgspec.Struct, gc=False, rename="camel"):
    """An Event of ours as it is stored."""

    metadata: _Name
    first_timestamp: datetime | None = None
    last_timestamp: datetime | None = None
    count: int | None = None


class Recorder:
    """Recorder of Events on workloads, in their order, while this replica leads."""

    def __init__(
        self,
        api: Api,
        metrics: ControllerMetrics,
        log: LogLine,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api, self._metrics, self._log, self._clock = api, metrics, log, clock
        self._faults = Faults(metrics, log)
        self.subjects = TopOwners(api)
        self._bucket = TokenBucket(_BURST, _PER_SECOND, monotonic)
        self._pending: dict[EventNotice, int] = {}
        self._waiting: Counter[str] = Counter()
        """The number of waiting notices of each namespace."""
        self._served: dict[str, int] = {}
        """The last turn of each waiting namespace."""
        self._turns = count(1)
        self._some = asyncio.Event()
        self._written: OrderedDict[tuple[str, str], EventSeries] = OrderedDict()
        self._failing = False

    def tell(  # noqa: PLR0913 - an Event
        self,
        namespace: str,
        owner: OwnerReference,
        reason: str,
        sentence: str,
        *,
        pod: OwnerReference | None,
        warning: bool = False,
        asking: bool = False,
    ) -> None:
        """Record an Event on the workload of an owner, soon; this neither waits nor raises.

        The same Event is written at most once in five minutes; its count then includes the notices in
        between. A notice is dropped if too many wait, or if its owner cannot exist.

        Args:
            namespace: of the owner.
            owner: the owner of the Pods, as they name it; the Event is for its Deployment or CronJob, if it
                has one.
            reason: one word in CamelCase.
            sentence: what happened, and what to do about it.
            pod: the object of the Event if the owner does not exist; None: then it is not written.
            warning: whether something is wrong.
            asking: whether it is true only of Pods that ask for a member, which their owner's label says.
        """
        news = EventNotice(namespace, owner, reason, cut(sentence), warning, pod, asking)
        if self._is_full(news) or (pod is None and not can_be(owner)):
            self._metrics.events["dropped"].inc()
            return
        if news not in self._pending:
            self._waiting[news.namespace] += 1
        self._pending[news] = self._pending.get(news, 0) + 1
        self._some.set()

    def _is_full(self, news: EventNotice) -> bool:
        """Tell whether a notice has no place: one namespace leaves some places for others."""
        if news in self._pending:
            return False
        return (
            len(self._pending) >= _MAX_PENDING or self._waiting[news.namespace] >= _MAX_PENDING_OF_NAMESPACE
        )

    async def work(self) -> None:
        """Write Events until cancelled; notices that wait then are left to the next leader."""
        try:
            await self._try(self._remember())
            while True:
                news, times = await self._next()
                await self._try(self._tell(news, times))
        finally:
            self._pending.clear()
            self._waiting.clear()
            self._served.clear()

    async def _next(self) -> tuple[EventNotice, int]:
        while not self._pending:
            self._some.clear()
            await self._some.wait()
        # Namespaces take turns: many notices of one delay those of the others by one each.
        news = min(self._pending, key=lambda notice: self._served.get(notice.namespace, 0))
        self._waiting[news.namespace] -= 1
        if self._waiting[news.namespace]:
            self._served[news.namespace] = next(self._turns)
        else:
            del self._waiting[news.namespace]
            self._served.pop(news.namespace, None)
        return news, self._pending.pop(news)

    async def _try(self, step: Awaitable[None]) -> None:
        """Run a step once: Events are not retried. Failures in a row are logged as one."""
        try:
            await step
            self._failing = False
        except (*CONNECTION_ERRORS, ApiError) as error:
            self._metrics.events["failed"].inc()
            if not self._failing:
                self._log("failed to write Events", level="warning", error=in_words(error))
            self._failing = True
        except Exception as error:  # noqa: BLE001 - one that cannot be written must not keep the others
            self._metrics.events["failed"].inc()
            self._faults.note(Where.EVENT, error)

    async def _remember(self) -> None:
        """Read the Events of former leaders, so that none of them is written again as new."""
        query = {"fieldSelector": f"reportingComponent={FIELD_MANAGER}"}
        async with asyncio.timeout(_REMEMBER_SECONDS):
            async for page in self._api.pages(EVENT, _Recorded, **query):
                for found in page.items:
                    if found.first_timestamp and found.last_timestamp:
                        series = EventSeries(found.first_timestamp, found.last_timestamp, found.count or 1)
                        self._note((found.metadata.namespace, found.metadata.name), series)

    async def _tell(self, news: EventNotice, times: int) -> None:
        known = self.subjects.is_known(news.namespace, news.owner)
        if not known:
            await asyncio.sleep(self._bucket.take())
        subject = await self.subjects.find(news.namespace, news.owner, news.pod)
        if subject is None or (news.asking and not self.subjects.asks(news.namespace, news.owner)):
            self._metrics.events["unconfirmed"].inc()
            return
        if not can_be(subject):
            self._metrics.events["dropped"].inc()
            return
        if self._repeats(news, subject, times):
            return  # with a known subject, it costs no token
        if known:
            await asyncio.sleep(self._bucket.take())
        await self._write(news, subject, times)

    def _repeats(self, news: EventNotice, subject: OwnerReference, times: int) -> bool:
        """Tell whether an equal notice was written a short while ago; then only its count goes up."""
        series = self._written.get((news.namespace, event_name(news, subject)))
        if series is None or self._clock() - series.last >= _AGAIN:
            return False
        series.count += times
        return True

    async def _write(self, news: EventNotice, subject: OwnerReference, times: int) -> None:
        now, key = self._clock(), (news.namespace, event_name(news, subject))
        before = self._written.get(key) or EventSeries(first=now, last=now, count=0)
        series = EventSeries(before.first, now, before.count + times)
        await self._api.apply(EVENT, event(news, subject, series), force=True)
        self._note(key, series)
        self._metrics.events["sent"].inc()

    def _note(self, key: tuple[str, str], series: EventSeries) -> None:
        self._written[key] = series
        self._written.move_to_end(key)
        if len(self._written) > _MAX_TOLD:
            self._written.popitem(last=False)
