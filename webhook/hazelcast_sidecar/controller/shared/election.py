"""Leader election by a Lease: one replica works, the others watch and wait.

The election is the library's (`kubernetes.aio.leaderelection`, after client-go). Two leaders for a moment
would do no harm: both would apply the same objects.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from kubernetes.aio.client import ApiClient, V1Lease, V1ObjectMeta
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.leaderelection.electionconfig import Config
from kubernetes.aio.leaderelection.leaderelection import LeaderElection
from kubernetes.aio.leaderelection.leaderelectionrecord import LeaderElectionRecord
from kubernetes.aio.leaderelection.resourcelock.leaselock import LeaseLock

from hazelcast_sidecar.controller.shared.backoff import Backoff
from hazelcast_sidecar.controller.shared.controller_metrics import Where
from hazelcast_sidecar.controller.shared.faults import Faults
from hazelcast_sidecar.kube.client import CONNECTION_ERRORS, in_words
from hazelcast_sidecar.names import CONTROLLER
from hazelcast_sidecar.runtime.log import LogLine

_REQUEST_SECONDS = 3


async def lead(  # noqa: PLR0913, PLR0917 - the election's own parameters
    client: ApiClient,
    namespace: str,
    identity: str,
    lease_seconds: int,
    work: Callable[[], Awaitable[None]],
    log: LogLine,
    faults: Faults,
) -> None:
    """Take part in the election until cancelled; run `work` while leading, and cancel it when that is lost.

    Leadership is lost as soon as it cannot be renewed, even if the API server is unavailable: no other
    replica can take the Lease then, and the work could do nothing either. At its end the Lease is released,
    so that no replica has to wait until it expires. The same happens if `work`, which should not end,
    raises, or if the library does: the next term begins after a while, here or elsewhere.
    """
    # The library logs a traceback for every failed request; what matters is logged here.
    logging.getLogger("kubernetes.aio.leaderelection").setLevel(logging.CRITICAL)
    waiting = Backoff()
    while True:
        error: BaseException = RuntimeError("not renewed in time")
        try:
            await _one_term(_Lease(CONTROLLER, namespace, identity, client), lease_seconds, work, log)
        except (*CONNECTION_ERRORS, _TakenError) as lost:
            error = lost
        except Exception as fault:  # noqa: BLE001 - it would end the watches, too, and come back with a restart
            error = fault
            faults.note(Where.ELECTION, fault)
        else:
            waiting.reset()
        log("not leading", level="warning", identity=identity, error=in_words(error))
        await asyncio.sleep(waiting.next_delay(error))


async def _one_term(
    lease: "_Lease", lease_seconds: int, work: Callable[[], Awaitable[None]], log: LogLine
) -> None:
    """Wait for the Lease, and work until it is lost.

    The library neither stops the work when a renewal raises nor notices when the work does; both end here.
    """
    term: list[asyncio.Task[None]] = []
    failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def leading() -> None:
        lease.is_ours = True
        log("leading", identity=lease.identity)
        term.append(asyncio.ensure_future(work()))
        try:
            await term[0]
        except Exception as error:  # noqa: BLE001 - handed on
            failed.set_exception(error)

    config = Config(
        lease,
        lease_duration=lease_seconds,
        renew_deadline=lease_seconds * 2 / 3,
        retry_period=max(1.0, lease_seconds / 7.5),
        onstarted_leading=leading,
        onstopped_leading=None,
    )
    election = asyncio.create_task(LeaderElection(config).run())
    try:
        await asyncio.wait([election, failed], return_when=asyncio.FIRST_COMPLETED)
        (failed if failed.done() else election).result()
    finally:
        failed.cancel()
        for task in (election, *term):
            task.cancel()
        await asyncio.gather(election, *term, return_exceptions=True)
        if term:
            await lease.release()


class _TakenError(Exception):
    """Another replica holds the Lease."""


class _Lease(LeaseLock):  # type: ignore[misc] # the library has no types
    """The library's lock, with a bound on the time of its requests (its own is five minutes), and an end.

    A leader renews it without reading it first, which would be a request for each renewal: the version that
    its last renewal was answered with is enough, as another's write is a conflict then.
    Source: client-go, `LeaderElector.tryAcquireOrRenew`, the fast path.
    """

    is_ours = False
    """Whether it was acquired. A leader that finds it taken has lost it: the library would go on trying until
    the renewal deadline, and two would lead."""
    lease_reference: Any
    """As it was read or answered last."""
    _is_known = False
    """Whether `lease_reference` is what our last renewal was answered with."""

    async def release(self) -> None:
        """Release the Lease, if it is ours: without a holder any replica can take it.

        It is written with the version that was read, so another holder's is never released. A renewal of our
        own may still be in progress and come in between: then it is read once more. Failing that, it
        expires.
        Source: client-go, `LeaderElectionConfig.ReleaseOnCancel`.
        """
        with suppress(ApiException, *CONNECTION_ERRORS):
            async with asyncio.timeout(_REQUEST_SECONDS):
                while not await self._released():
                    pass

    async def _released(self) -> bool:
        """Try to release it; return False if it changed meanwhile."""
        lease = await self.api_instance.read_namespaced_lease(self.name, self.namespace)
        if lease.spec.holder_identity != self.identity:
            return True
        lease.spec.holder_identity = None
        try:
            await self.api_instance.replace_namespaced_lease(self.name, self.namespace, lease)
        except ApiException as error:
            if error.status != HTTPStatus.CONFLICT:
                raise
            return False
        return True

    async def get(self, name: str, namespace: str) -> tuple[bool, Any]:
        if self.is_ours and self._is_known:
            return True, self.election_record(self.lease_reference)
        async with asyncio.timeout(_REQUEST_SECONDS):
            found: tuple[bool, Any] = await super().get(name, namespace)
        is_there, record = found
        if self.is_ours and is_there and record.holder_identity not in {None, self.identity}:
            raise _TakenError(f"the Lease is held by {record.holder_identity}")
        return found

    async def create(self, name: str, namespace: str, election_record: LeaderElectionRecord) -> bool:
        # 37.0 passes `pretty=True`, which the client's own validation refuses.
        body = V1Lease(metadata=V1ObjectMeta(name=name), spec=self.update_lease(election_record))
        try:
            async with asyncio.timeout(_REQUEST_SECONDS):
                await self.api_instance.create_namespaced_lease(namespace, body)
        except ApiException:  # another replica was faster
            return False
        return True

    async def update(self, name: str, namespace: str, updated_record: LeaderElectionRecord) -> bool:
        self._is_known = False
        self.lease_reference.spec = self.update_lease(updated_record, self.lease_reference.spec)
        try:
            async with asyncio.timeout(_REQUEST_SECONDS):
                self.lease_reference = await self.api_instance.replace_namespaced_lease(
                    name, namespace, self.lease_reference
                )
        except ApiException:
            if self.is_ours:
                await self.get(name, namespace)  # whether it is taken; else it is tried again
            return False
        self._is_known = True
        return True
