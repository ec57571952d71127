"""Reconciliation of a group's objects with what its Pods need."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from time import perf_counter
from typing import Any

import msgspec

from hazelcast_sidecar.controller.events.recorder import Recorder
from hazelcast_sidecar.controller.reconcile.groups import Groups, Key, ManagedObjects, Wanted
from hazelcast_sidecar.controller.reconcile.verification import Verifier
from hazelcast_sidecar.controller.reconcile.work_queue import WorkQueue
from hazelcast_sidecar.controller.shared.backoff import Backoff
from hazelcast_sidecar.controller.shared.controller_metrics import ControllerMetrics, Where
from hazelcast_sidecar.controller.shared.faults import Faults
from hazelcast_sidecar.group_objects.desired_objects import OURS, of_group
from hazelcast_sidecar.kube.bounded import UnreadableAnswerError
from hazelcast_sidecar.kube.client import CONNECTION_ERRORS, Api, ApiError, in_words
from hazelcast_sidecar.kube.objects import KEPT_KINDS, Kind, Metadata, Partial
from hazelcast_sidecar.limits import shown
from hazelcast_sidecar.model.status import Status
from hazelcast_sidecar.names import GROUP, resource_name
from hazelcast_sidecar.runtime.log import LogLine

_CONFLICT_SECONDS = 60
"""Seconds after which a conflicting object of others is checked again: it may have been renamed."""

_NEWS = timedelta(minutes=2)
"""The maximal age of a workload's first Pod for an Event: a new leader finds older ones, too."""


class _GlobalBackoff:
    """A pause in which all workers leave the API server alone; otherwise each group would retry by itself."""

    def __init__(self) -> None:
        self._waits = Backoff()
        self._end = 0.0

    def begin(self, error: Exception) -> float | None:
        """Begin a pause, and return its length; None if one is in effect: several workers see one error."""
        now = asyncio.get_running_loop().time()
        if now < self._end:
            return None
        seconds = self._waits.next_delay(error)
        self._end = now + seconds
        return seconds

    def reset(self) -> None:
        """Reset the backoff after a success."""
        self._waits.reset()

    async def over(self) -> None:
        """Wait for the end of the pause."""
        await asyncio.sleep(max(0.0, self._end - asyncio.get_running_loop().time()))


class Reconciler:
    """Reconciler that works on the queue while this replica leads."""

    def __init__(  # noqa: PLR0913, PLR0917 - one argument for each thing it connects
        self,
        api: Api,
        groups: Groups,
        kept: dict[str, ManagedObjects],
        queue: WorkQueue,
        recorder: Recorder,
        metrics: ControllerMetrics,
        log: LogLine,
        watched_from: str = "",
    ) -> None:
        self._watched_from = watched_from
        self._api, self._groups, self._kept, self._queue = api, groups, kept, queue
        self._recorder = recorder
        self._metrics, self._log = metrics, log
        self._faults = Faults(metrics, log)
        self._waits: dict[Key, Backoff] = {}
        self._pause = _GlobalBackoff()
        self._verifier = Verifier(api, groups, recorder, metrics, log)
        self._last_applied: dict[Key, tuple[Wanted, list[str | None]]] = {}
        """The requirements of each group, and the versions of its applied objects."""

    def forget(self) -> None:
        """Forget what an earlier term of this leader found."""
        self._last_applied.clear()
        self._waits.clear()

    async def work(self) -> None:
        """Reconcile until cancelled."""
        while True:
            key = await self._queue.get()
            started = perf_counter()
            try:
                await self._pause.over()
                started = perf_counter()
                result = await self._reconcile(key)
                self._waits.pop(key, None)
                self._pause.reset()
                if result == "conflict":
                    self._queue.add_later(key, _CONFLICT_SECONDS)
            except Exception as error:  # noqa: BLE001 - one group's must not end the work on the others
                result = "error"
                self._put_off(key, error)
            finally:
                self._queue.done(key)
            self._metrics.reconciled[result].inc()
            self._metrics.seconds.observe(perf_counter() - started)

    def _put_off(self, key: Key, error: Exception) -> None:
        """Enqueue a group later; if the failure concerns all groups, pause all."""
        if _is_about_all(error):
            self._queue.add(key)
            if seconds := self._pause.begin(error):
                self._log("reconciliation paused", level="warning", error=in_words(error), seconds=seconds)
        else:
            seconds = self._waits.setdefault(key, Backoff()).next_delay(error)
            self._queue.add_later(key, seconds)
            if isinstance(error, (*CONNECTION_ERRORS, ApiError)):
                self._say("reconcile failed", key, level="warning", error=in_words(error), seconds=seconds)
            else:
                self._faults.note(Where.RECONCILE, error, **key._asdict(), seconds=seconds)

    async def _reconcile(self, key: Key) -> str:
        """Reconcile one group, and return "ok", or "conflict" if an object of the same name is not ours.

        A group without Pods keeps its objects for now: its workload may be scaled to zero, and when that is
        deleted, the garbage collector deletes the objects that it owns. `Leftovers` deletes the rest.
        """
        if not await self._verifier.verify(key):
            self._queue.add(key)
        self._tell_injected(key)
        wanted = self._groups.requirements(key)
        if wanted is None:
            self._last_applied.pop(key, None)
            return "ok"
        known, versions = self._last_applied.get(key, (None, []))
        if known == wanted:
            if versions == self._versions(key):
                return "ok"  # one more Pod like the others
            await self._verifier.confirm_again(key)
            wanted = self._groups.requirements(key) or wanted
        left: dict[str, str] = {}
        result = await self._bring_into_shape(key, wanted, left)
        if result == "ok":
            # Not as the watch has them: its later reports are for the next reconciliation.
            self._last_applied[key] = (wanted, [left.get(name) for name in self._kept])
        if known is None or known.unmet != wanted.unmet:
            self._tell_unmet(key, wanted)
        return result

    def _versions(self, key: Key) -> list[str | None]:
        """Return the known versions of the objects: a change by others changes one of them."""
        known = [kept.get(key) for kept in self._kept.values()]
        return [metadata.resource_version if metadata else None for metadata in known]

    async def _bring_into_shape(self, key: Key, wanted: Wanted, left: dict[str, str]) -> str:
        """Apply what a group needs, and delete what it does not; record the versions in `left`, by kind."""
        objects = {
            obj["kind"]: obj for obj in of_group(wanted.needs, key.group, key.namespace, self._watched_from)
        }
        references = [msgspec.to_builtins(owner) for owner in wanted.owners]
        result = "ok"
        for name, kind in KEPT_KINDS.items():
            if name in objects:
                objects[name]["metadata"]["ownerReferences"] = references
                if not await self._keep(key, kind, objects[name], left):
                    result = "conflict"
                    self._tell_conflict(key, name)
            elif (unneeded := self._kept[name].get(key)) is not None:
                await self._api.delete(kind, unneeded)
                self._say("deleted", key, kind=name)
        return result

    async def _keep(self, key: Key, kind: Kind, obj: dict[str, Any], left: dict[str, str]) -> bool:
        """Apply one object; return False if its name is taken by another one."""
        kept = self._kept[kind.name]
        known = kept.get(key)
        try:
            if known is None:
                found = await self._api.get(kind, key.namespace, obj["metadata"]["name"])
                if found is not None and not OURS.items() <= found.metadata.labels.items():
                    return self._conflict(
                        key, kind, "an object of that name exists and is not managed by the controller"
                    )
            applied = await self._apply(kind, obj, known)
        except UnreadableAnswerError as error:
            # Anyone may give an object of ours what is not read, and it stays until they remove it.
            return self._conflict(key, kind, f"the object of that name cannot be read: {shown(str(error))}")
        except ApiError as error:
            if error.status == HTTPStatus.CONFLICT and known is None:
                return self._conflict(key, kind, str(error))
            raise
        kept.observe(applied.metadata)
        left[kind.name] = applied.metadata.resource_version
        if known is None or known.resource_version != applied.metadata.resource_version:
            self._say("applied", key, kind=kind.name)
        return True

    async def _apply(self, kind: Kind, obj: dict[str, Any], known: Metadata | None) -> Partial:
        """Apply an object; a RoleBinding to another role is created again, since its role is immutable."""
        try:
            return await self._api.apply(kind, obj, force=known is not None)
        except ApiError as error:
            immutable = kind.name == "RoleBinding" and error.status == HTTPStatus.UNPROCESSABLE_ENTITY
            if known is None or not immutable:
                raise
        await self._api.delete(kind, known)
        return await self._api.apply(kind, obj, force=True)

    def _conflict(self, key: Key, kind: Kind, why: str) -> bool:
        self._say("conflict", key, level="warning", kind=kind.name, why=why)
        return False

    def _tell_injected(self, key: Key) -> None:
        for found in self._groups.news(key, after=datetime.now(UTC) - _NEWS):
            sentence = _injected(found.status)
            self._recorder.tell(key.namespace, found.owner, "Injected", sentence, pod=found.pod)

    def _tell_conflict(self, key: Key, kind: str) -> None:
        sentence = (
            f"the {kind} {resource_name(key.group)} exists but is not managed here; the members of the "
            f"group {key.group} need that name: rename or delete it, or give the Pods another group "
            f"with the annotation {GROUP}"
        )
        for asker in self._groups.askers(key):
            self._recorder.tell(key.namespace, asker.owner, "Conflict", sentence, pod=asker.pod, warning=True)

    def _tell_unmet(self, key: Key, wanted: Wanted) -> None:
        for unmet in wanted.unmet:
            sentence = f"the group {key.group} gets no {unmet.kind}: {unmet.reason}"
            self._say("unmet request", key, level="warning", kind=unmet.kind, why=unmet.reason)
            for asker in self._groups.askers(key, unmet.askers):
                self._recorder.tell(
                    key.namespace, asker.owner, "NotMet", sentence, pod=asker.pod, warning=True
                )

    def _say(self, message: str, key: Key, **fields: object) -> None:
        say: Callable[..., None] = self._log
        say(message, namespace=key.namespace, group=key.group, **fields)


def _injected(status: Status) -> str:
    by = "DNS" if status.discovery == "dns" else "the Kubernetes API"
    return (
        f"each Pod gets a Hazelcast member ({status.image}): group {status.group}, cluster {status.cluster}, "
        f"found by {by}"
    )


def _is_about_all(error: Exception) -> bool:
    """Tell whether an error is the API server's, and not of the group that met it.

    A timeout may be the group's own: of an admission webhook for its namespace.
    """
    if isinstance(error, ApiError):
        return error.status == HTTPStatus.TOO_MANY_REQUESTS
    return isinstance(error, CONNECTION_ERRORS) and not isinstance(error, TimeoutError)
