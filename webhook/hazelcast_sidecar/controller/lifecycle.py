"""The controller's life cycle: watch, take part in the election, work while leading, stop."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import uvloop
from kubernetes.aio import client

from hazelcast_sidecar.controller.audit.audit_metrics import AuditMetrics
from hazelcast_sidecar.controller.audit.auditor import Auditor
from hazelcast_sidecar.controller.audit.findings import DRIFTED, MISSED, Findings
from hazelcast_sidecar.controller.audit.repairer import Repairer
from hazelcast_sidecar.controller.events.denials import Denials
from hazelcast_sidecar.controller.events.recorder import Recorder
from hazelcast_sidecar.controller.reconcile.groups import Groups, Key, ManagedObjects
from hazelcast_sidecar.controller.reconcile.leftovers import Leftovers
from hazelcast_sidecar.controller.reconcile.reconciler import Reconciler
from hazelcast_sidecar.controller.reconcile.work_queue import WorkQueue
from hazelcast_sidecar.controller.registration.certificate_keeper import CertificateKeeper
from hazelcast_sidecar.controller.registration.rotation import Policy
from hazelcast_sidecar.controller.registration.webhook_owner import WebhookOwner
from hazelcast_sidecar.controller.shared.backoff import keep_up
from hazelcast_sidecar.controller.shared.controller_metrics import ControllerMetrics, Where
from hazelcast_sidecar.controller.shared.election import lead
from hazelcast_sidecar.controller.shared.faults import Faults
from hazelcast_sidecar.controller.shared.guarded import GuardedIndex
from hazelcast_sidecar.controller.shared.reflector import Reflector
from hazelcast_sidecar.controller.shared.unread import UnreadObjects
from hazelcast_sidecar.controller.shared.watched_pods import WatchedPods
from hazelcast_sidecar.controller.splits.member_client import MemberClient
from hazelcast_sidecar.controller.splits.member_pods import MemberPods
from hazelcast_sidecar.controller.splits.split_detector import SplitDetector
from hazelcast_sidecar.controller.splits.split_metrics import SplitMetrics
from hazelcast_sidecar.group_objects.desired_objects import OURS_SELECTOR
from hazelcast_sidecar.injection.drift import DriftDetector
from hazelcast_sidecar.kube.client import Api
from hazelcast_sidecar.kube.kubeconfig import configuration
from hazelcast_sidecar.kube.objects import KEPT_KINDS, POD
from hazelcast_sidecar.names import GROUP
from hazelcast_sidecar.runtime.address import Address
from hazelcast_sidecar.runtime.admin import Readiness, admin_application, stop_signals
from hazelcast_sidecar.runtime.connections import Connections
from hazelcast_sidecar.runtime.listening import ADMIN_BOUNDS, listen
from hazelcast_sidecar.runtime.log import LogLine, json_lines
from hazelcast_sidecar.runtime.reload import follow
from hazelcast_sidecar.runtime.settings_file import SettingsFile
from hazelcast_sidecar.spec.settings import Settings
from hazelcast_sidecar.version import __version__

_WORKERS = 8
_MISSED_SECONDS = 1.0


@dataclass(frozen=True)
class ControllerSettings:
    """Settings of one controller.

    Attributes:
        kubeconfig: the kubeconfig of the cluster; None: the Pod's own cluster.
        namespace: of the Lease.
        identity: of this replica, in the Lease.
        lease_seconds: time until another replica takes over from a lost leader.
        certificates: the policy for the webhook's certificates; None: others issue them.
        settings: the webhook's settings file; None: the shipped settings.
        audit_seconds: interval between audits of all Pods.
        repair: findings for which Pods are evicted, in this order.
        repair_seconds: time of leading, with unchanged settings, before that.
        split_seconds: how long a group must be split to be reported; None: members are not asked.
    """

    admin_listen: Address
    kubeconfig: Path | None
    namespace: str
    identity: str
    lease_seconds: int = 15
    certificates: Policy | None = None
    settings: Path | None = None
    audit_seconds: float = 300.0
    repair: tuple[str, ...] = ()
    repair_seconds: float = 300.0
    split_seconds: float | None = None


def run(settings: ControllerSettings) -> None:
    """Run until SIGTERM or SIGINT.

    Raises:
        InvalidSettingsError: a setting cannot be used, or an address is taken.
    """
    uvloop.run(_run(settings))


async def _run(settings: ControllerSettings) -> None:
    log = json_lines()
    stop, _ = stop_signals()
    async with client.ApiClient(await configuration(settings.kubeconfig)) as api_client:
        controller = Controller(api_client, settings, log)
        readiness = Readiness()
        app = admin_application(readiness, controller.metrics.exposition)
        admin = await listen("--admin-listen", app, settings.admin_listen, Connections(ADMIN_BOUNDS))
        election = lead(
            api_client,
            settings.namespace,
            settings.identity,
            settings.lease_seconds,
            controller.work,
            log,
            controller.faults,
        )
        tasks = [asyncio.create_task(task) for task in (controller.watch(), election)]
        readiness.obstacles.clear()
        log("running", version=__version__, identity=settings.identity, admin=str(settings.admin_listen))
        ended = await _first(stop, tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await admin.cleanup()
    for task in ended:
        task.result()  # tasks do not end by themselves: this raises their error
    log("stopped")


class Controller:
    """All parts of a controller: every replica watches, and the leader works."""

    def __init__(self, api_client: client.ApiClient, settings: ControllerSettings, log: LogLine) -> None:
        self._log = log
        self._queue = WorkQueue()
        self._reconciling = False
        self._groups = Groups(self._touch)
        watched = WatchedPods(self._groups, log)
        kept = {name: ManagedObjects(self._touch, self._miss) for name in KEPT_KINDS}
        self.metrics = ControllerMetrics(
            pods=lambda: self._groups.pods,
            queue_depth=lambda: len(self._queue),
            requests=lambda: api.requests,
        )
        api = self._api = Api(api_client, UnreadObjects(self.metrics, log).note)
        faults = self.faults = Faults(self.metrics, log)
        self._recorder = Recorder(api, self.metrics, log)
        self._leftovers = Leftovers(api, watched, self._groups, kept, log, faults)
        watched_from = "" if settings.split_seconds is None else settings.namespace
        self._reconciler = Reconciler(
            api, self._groups, kept, self._queue, self._recorder, self.metrics, log, watched_from
        )
        self._reflectors = [
            Reflector(api, kind, OURS_SELECTOR, GuardedIndex(kept[name], faults), self.metrics, log)
            for name, kind in KEPT_KINDS.items()
        ]
        pods = Reflector(api, POD, GROUP, GuardedIndex(watched, faults), self.metrics, log)
        self._reflectors.append(pods)
        self._pods_known = pods.synced
        self._settings = SettingsFile(settings.settings)
        detector = DriftDetector(self._settings.load())
        tell = self._recorder.tell
        findings = {
            MISSED: Findings(MISSED, log, tell),
            DRIFTED: Findings(DRIFTED, log, tell),
        }
        self.metrics.add(AuditMetrics(findings[MISSED].by_namespace, findings[DRIFTED].by_namespace))
        self._auditor = Auditor(
            api, detector, watched, findings[MISSED], findings[DRIFTED], settings.audit_seconds, log, faults
        )
        self._repairer = None
        if settings.repair:
            self._repairer = Repairer(
                api,
                detector,
                [findings[reason] for reason in settings.repair],
                seconds=settings.repair_seconds,
                metrics=self.metrics,
                log=log,
                tell=tell,
            )
        self._split_seconds = settings.split_seconds
        self._split_metrics = SplitMetrics()
        if settings.split_seconds is not None:
            self.metrics.add(self._split_metrics)
        self._webhook_owner = WebhookOwner(api, settings.namespace, log, faults)
        self._keeper = None
        if settings.certificates:
            self._keeper = CertificateKeeper(
                api, settings.namespace, settings.certificates, self.metrics, log
            )

    def _touch(self, key: Key) -> None:
        """Enqueue a group, if this replica reconciles groups; otherwise they would only accumulate."""
        if self._reconciling:
            self._queue.add(key)

    def _miss(self, key: Key) -> None:
        """Enqueue the group of a deleted object after a delay.

        With a workload the garbage collector deletes Pods and objects in any order; an object that is
        created again for Pods that are about to go would have to be deleted again.
        """
        if self._reconciling:
            self._queue.add_later(key, _MISSED_SECONDS)

    async def watch(self) -> None:
        """Keep the indexes in sync with the API server, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for reflector in self._reflectors:
                group.create_task(self._keep_up(reflector.run, Where.WATCH))
            reload = partial(self._settings.reload, self._use)
            following = partial(follow, "settings", reload, self.metrics.settings, self._log)
            group.create_task(self._keep_up(following, Where.SETTINGS))

    async def work(self) -> None:
        """Do the leader's work, until cancelled."""
        self.metrics.leader.set(1)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._keep_up(self._recorder.work, Where.EVENT))
                group.create_task(self._keep_up(self._reconcile, Where.RECONCILE))
                # A new one for each term: it reports what happens from now on.
                denials = Denials(self._api, self._recorder, self.metrics, self._log)
                group.create_task(self._keep_up(denials.run, Where.DENIAL))
                group.create_task(self._keep_up(self._webhook_owner.work, Where.OWNER))
                if self._keeper:
                    group.create_task(self._keep_up(self._keeper.work, Where.CERTIFICATES))
                group.create_task(self._keep_up(self._audit, Where.AUDIT))
                if self._split_seconds is not None:
                    detector = self._split_detector(self._split_seconds)
                    group.create_task(self._keep_up(detector.work, Where.SPLITS))
        finally:
            self.metrics.leader.set(0)

    def _split_detector(self, seconds: float) -> SplitDetector:
        return SplitDetector(
            self._groups,
            MemberPods(self._api, self.metrics, self._log),
            MemberClient(),
            seconds=seconds,
            metrics=self._split_metrics,
            log=self._log,
            recorder=self._recorder,
            faults=self.faults,
        )

    async def _keep_up(self, work: Callable[[], Awaitable[None]], where: Where) -> None:
        """Run one of several parallel tasks; its failure ends none of the others."""
        await keep_up(work, self.faults, where)

    async def _audit(self) -> None:
        """Audit once the index of injected Pods is complete, on which the audit depends."""
        await self._pods_known.wait()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_up(self._auditor.work, Where.AUDIT))
            if self._repairer:
                group.create_task(self._keep_up(self._repairer.work, Where.REPAIR))

    def _use(self, settings: Settings) -> None:
        self._auditor.use(settings)
        if self._repairer:
            self._repairer.settle()

    async def _reconcile(self) -> None:
        """Reconcile every group once, as there may have been no leader for a while; then enqueued ones."""
        self._reconciler.forget()
        self._reconciling = True
        try:
            for reflector in self._reflectors:
                await reflector.synced.wait()
            for key in self._groups.keys():  # noqa: SIM118 - no mapping
                self._queue.add(key)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._leftovers.work())
                for _ in range(_WORKERS):
                    group.create_task(self._reconciler.work())
        finally:
            self._reconciling = False
            self._queue.clear()


async def _first(stop: asyncio.Event, tasks: list[asyncio.Task[None]]) -> list[asyncio.Task[None]]:
    """Wait for the signal to stop, or for a task that ended unexpectedly."""
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    return [task for task in tasks if task.done()]
