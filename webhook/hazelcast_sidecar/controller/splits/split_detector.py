"""Detection of splits: the leader compares the members' own views of each group.

Groups are asked at intervals, each for itself: one that takes long is asked less often, and each namespace
has as many at a time as any other. So none waits for another for long, however slow that is.
"""

import asyncio
import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable
from time import monotonic

import msgspec

from hazelcast_sidecar.controller.events.recorder import Recorder
from hazelcast_sidecar.controller.reconcile.groups import Groups, Key
from hazelcast_sidecar.controller.shared.controller_metrics import Where
from hazelcast_sidecar.controller.shared.faults import Faults
from hazelcast_sidecar.controller.shared.sampled_log import SampledLog
from hazelcast_sidecar.controller.splits.episodes import Episodes, Transition
from hazelcast_sidecar.controller.splits.member_client import MemberClient, NoAddressError
from hazelcast_sidecar.controller.splits.member_pods import MemberPods
from hazelcast_sidecar.controller.splits.split_metrics import SplitMetrics
from hazelcast_sidecar.errors import in_short
from hazelcast_sidecar.http_answer import HttpAnswerError
from hazelcast_sidecar.kube.client import in_words
from hazelcast_sidecar.members.assessment import Assessment, GroupPod, Observation, assess
from hazelcast_sidecar.members.running_pod import RunningPod
from hazelcast_sidecar.model.status import Status
from hazelcast_sidecar.runtime.log import LogLine
from hazelcast_sidecar.untrusted import UndecodableError

_TICK_SECONDS = 1.0
_LOOKS, _LOOKS_AT_SPLIT = 2, 6
"""Looks at a group in the time that a split must last: normally, and once members disagree."""

_SHARE = 20
"""How many times as long as a look took the group is left alone after it."""

_GROUPS_OF_NAMESPACE, _MEMBERS_OF_GROUP = 2, 8
"""Groups of one namespace, and members of one group, that are asked at the same time."""

_LINES, _LINES_PER_SECOND = 20, 0.2


class SplitDetector:
    """Detector that looks at groups while this replica leads; a new one is for one term.

    Args:
        groups: the groups, and whose status annotations are believed.
        pods: where their members are.
        client: asks members.
        seconds: how long a group must be split to be reported.
        metrics: show the groups that are split.
        log: receives a line for each of them.
        recorder: receives an Event for each of their workloads.
        faults: receives unexpected exceptions.
        clock: a monotonic clock in seconds.
    """

    def __init__(  # noqa: PLR0913 - one argument for each thing it connects
        self,
        groups: Groups,
        pods: MemberPods,
        client: MemberClient,
        *,
        seconds: float,
        metrics: SplitMetrics,
        log: LogLine,
        recorder: Recorder,
        faults: Faults,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._groups, self._pods, self._client = groups, pods, client
        self._seconds, self._metrics, self._recorder, self._faults = seconds, metrics, recorder, faults
        self._log = SampledLog(log, _LINES, _LINES_PER_SECOND, clock)
        self._clock = clock
        self._episodes: Episodes[Key] = Episodes(seconds, clock)
        self._due: dict[Key, float] = {}
        """When each group is due."""
        self._waiting: defaultdict[str, dict[Key, None]] = defaultdict(dict)
        """The groups of each namespace that are due, those that are due for longest first."""
        self._workers: Counter[str] = Counter()
        self._silent: set[Key] = set()

    async def work(self) -> None:
        """Look at groups until cancelled."""
        self._metrics.take_over(lambda: self._client.asked)
        self._due.clear()
        self._waiting.clear()
        self._workers.clear()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._pods.run())
                await self._pods.synced.wait()
                while True:
                    for namespace in self.enqueue_due():
                        tasks.create_task(self.work_off(namespace))
                    await asyncio.sleep(_TICK_SECONDS)
        finally:
            self._metrics.clear()

    def enqueue_due(self) -> list[str]:
        """Enqueue the groups that are due; return a namespace for each worker that may `work_off` them."""
        now = self._clock()
        known = dict.fromkeys(self._groups.keys())
        self._forget_all_but(known)
        for key in known:
            # Not all at once at the beginning, nor ever after.
            self._due.setdefault(key, now + random.uniform(0, self._seconds / _LOOKS))  # noqa: S311
        for key in sorted((key for key in known if self._due[key] <= now), key=self._due.__getitem__):
            self._waiting[key.namespace][key] = None
            self._due[key] = math.inf  # until it was looked at
        begun = [
            namespace
            for namespace, waiting in self._waiting.items()
            for _ in range(min(len(waiting), _GROUPS_OF_NAMESPACE - self._workers[namespace]))
        ]
        self._workers.update(begun)
        return begun

    def _forget_all_but(self, known: dict[Key, None]) -> None:
        self._due = {key: when for key, when in self._due.items() if key in known}
        self._episodes.retain(known)
        self._silent &= known.keys()
        self._show()

    async def work_off(self, namespace: str) -> None:
        """Look at the groups of a namespace that wait, one after the other."""
        waiting = self._waiting[namespace]
        while waiting:
            key = next(iter(waiting))
            del waiting[key]
            await self._look(key)
        self._workers[namespace] -= 1
        if not self._workers[namespace]:
            del self._workers[namespace], self._waiting[namespace]

    async def _look(self, key: Key) -> None:
        """Look at one group; a failure concerns this group only."""
        began = self._clock()
        try:
            pods = self._members(key)
            # One member is one cluster, and an answer could not change that.
            asked = await self._ask(pods) if len(pods) > 1 else []
            self._take_up(key, assess(*key, asked))
        except Exception as error:  # noqa: BLE001 - one group's must not keep the others from their looks
            self._faults.note(Where.SPLITS, error, **key._asdict())
        looks = _LOOKS_AT_SPLIT if self._episodes.is_open(key) else _LOOKS
        now = self._clock()
        self._due[key] = now + max(self._seconds / looks, _SHARE * (now - began))

    def _members(self, key: Key) -> list[tuple[RunningPod, Status]]:
        """Return the Pods of a group that have not ended, as far as their status annotations are believed."""
        found = []
        for bearers in self._groups.believed(key):
            for uid in bearers.pods:
                pod = self._pods.get(uid)
                if pod is not None and not pod.has_ended:
                    found.append((pod, bearers.claim.status))
        return found

    async def _ask(self, pods: list[tuple[RunningPod, Status]]) -> list[GroupPod]:
        at_once = asyncio.Semaphore(_MEMBERS_OF_GROUP)

        async def ask(pod: RunningPod, recorded: Status) -> GroupPod:
            known = pod.as_asked(recorded)
            if not pod.has_started:
                return known
            address, port = pod.status.pod_ip, recorded.ports.probes
            try:
                async with at_once:
                    # With clients in their own Pod alone, that port tells no one else who the members are.
                    view = await self._client.view(address, port, lists=not recorded.pod_clients)
            except (OSError, HttpAnswerError, NoAddressError, UndecodableError) as error:
                return msgspec.structs.replace(known, error=_reason(error))
            return msgspec.structs.replace(known, view=view)

        return await asyncio.gather(*(ask(*pod) for pod in pods))

    def _take_up(self, key: Key, found: Assessment) -> None:
        """Record what a look has shown, and report what is new."""
        silent, split = found.silent, found.split
        if silent and key not in self._silent:
            self._say("members could not be asked", key, level="warning", error=silent[0].error)
        (self._silent.add if silent else self._silent.discard)(key)
        transition = self._episodes.see(key, split=split is not None, all_answered=not silent)
        if transition is Transition.SPLIT and split is not None:
            self._report_split(key, split)
        elif transition is Transition.HEALED:
            self._say("split healed", key)
            sentence = f"the members of the group {key.group} form one cluster again"
            self._tell_all(key, "Healed", sentence)
        elif transition is Transition.LOST:
            self._say("split not followed", key, level="warning", why="its members do not answer any more")
        self._show()

    def _report_split(self, key: Key, split: Observation) -> None:
        seconds = round(self._episodes.seconds_of(key))
        self._say("split", key, level="warning", why=split.message, seconds=seconds)
        sentence = f"the group {key.group}: {split.message}; {split.remedy}"
        self._tell_all(key, "Split", sentence, warning=True)

    def _tell_all(self, key: Key, reason: str, sentence: str, *, warning: bool = False) -> None:
        for asker in self._groups.askers(key):
            self._recorder.tell(key.namespace, asker.owner, reason, sentence, pod=asker.pod, warning=warning)

    def _show(self) -> None:
        self._metrics.split, self._metrics.silent = self._episodes.reported(), self._silent

    def _say(self, message: str, key: Key, *, level: str = "info", **fields: object) -> None:
        self._log(message, message, level, namespace=key.namespace, group=key.group, **fields)


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return in_short(error) if isinstance(error, UndecodableError) else in_words(error)
