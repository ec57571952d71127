"""The controller's life: watch, take part in the election, work while leading, stop."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import uvloop
from kubernetes.aio import client, config

from webhook.controller.api import KEPT_KINDS, POD, Api
from webhook.controller.certificates import CertificateKeeper
from webhook.controller.election import lead
from webhook.controller.groups import Groups, Kept, Key
from webhook.controller.metrics import Metrics
from webhook.controller.reconciler import Queue, Reconciler
from webhook.controller.reflector import Reflector
from webhook.controller.rotation import Policy
from webhook.daemon.admin import Address, Readiness, admin_application, listen, stop_signals
from webhook.daemon.log import LogLine, json_lines
from webhook.errors import InvalidSettingsError, Problem
from webhook.names import GROUP
from webhook.resources import OURS
from webhook.version import __version__

_WORKERS = 8
_MISSED_SECONDS = 1.0
_OURS_SELECTOR = ",".join([GROUP, *(f"{key}={value}" for key, value in OURS.items())])


@dataclass(frozen=True)
class ControllerSettings:
    """How one controller runs.

    Attributes:
        kubeconfig: names the cluster; None: the one that this Pod runs in.
        namespace: where the Lease is.
        identity: this replica's, in the Lease.
        lease_seconds: how long a leader that is gone keeps the others waiting.
        certificates: how to keep the webhook's; None: somebody else does.
    """

    admin_listen: Address
    kubeconfig: Path | None
    namespace: str
    identity: str
    lease_seconds: int = 15
    certificates: Policy | None = None


def run(settings: ControllerSettings) -> None:
    """Run until SIGTERM or SIGINT.

    Raises:
        InvalidSettingsError: a setting cannot be used, or an address is taken.
    """
    uvloop.run(_run(settings))


async def _run(settings: ControllerSettings) -> None:
    log = json_lines()
    stop, _ = stop_signals()
    configuration = await _configuration(settings.kubeconfig)
    async with client.ApiClient(configuration) as api_client:
        controller = Controller(api_client, settings, log)
        readiness = Readiness()
        app = admin_application(readiness, controller.metrics.exposition)
        admin = await listen("--admin-listen", app, settings.admin_listen)
        election = lead(
            api_client, settings.namespace, settings.identity, settings.lease_seconds, controller.work, log
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
        task.result()  # none should end by itself: it has a fault to tell
    log("stopped")


class Controller:
    """The parts, put together: every replica watches, and the one that leads works."""

    def __init__(self, api_client: client.ApiClient, settings: ControllerSettings, log: LogLine) -> None:
        api = Api(api_client)
        self._queue = Queue()
        self._groups = Groups(self._queue.add, log)
        kept = {name: Kept(self._queue.add, self._miss) for name in KEPT_KINDS}
        self.metrics = Metrics(
            pods=lambda: self._groups.pods,
            queue_depth=lambda: len(self._queue),
            requests=lambda: api.requests,
        )
        self._reconciler = Reconciler(api, self._groups, kept, self._queue, self.metrics, log)
        self._reflectors = [
            Reflector(api, kind, _OURS_SELECTOR, kept[name], self.metrics, log)
            for name, kind in KEPT_KINDS.items()
        ]
        self._reflectors.append(Reflector(api, POD, GROUP, self._groups, self.metrics, log))
        self._keeper = None
        if settings.certificates:
            self._keeper = CertificateKeeper(
                api, settings.namespace, settings.certificates, self.metrics, log
            )

    def _miss(self, key: Key) -> None:
        """Look at a group whose object has gone, but not at once.

        With its workload the garbage collector removes Pods and objects in any order; what is made again for
        Pods that are about to go would only have to be removed again.
        """
        self._queue.add_later(key, _MISSED_SECONDS)

    async def watch(self) -> None:
        """Keep the indexes like the API server's, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for reflector in self._reflectors:
                group.create_task(reflector.run())

    async def work(self) -> None:
        """What the leader does, until cancelled."""
        self.metrics.leader.set(1)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._reconcile())
                if self._keeper:
                    group.create_task(self._keeper.work())
        finally:
            self.metrics.leader.set(0)

    async def _reconcile(self) -> None:
        """First every group, since nobody may have done so for a while; then those that are touched."""
        for reflector in self._reflectors:
            await reflector.synced.wait()
        for key in self._groups.keys():  # noqa: SIM118 - no mapping
            self._queue.add(key)
        async with asyncio.TaskGroup() as group:
            for _ in range(_WORKERS):
                group.create_task(self._reconciler.work())


async def _first(stop: asyncio.Event, tasks: list[asyncio.Task[None]]) -> list[asyncio.Task[None]]:
    """Wait for the signal to stop, or for a task that ended though none should."""
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    return [task for task in tasks if task.done()]


async def _configuration(kubeconfig: Path | None) -> client.Configuration:
    configuration = client.Configuration()
    try:
        if kubeconfig is None:
            config.load_incluster_config(configuration)
        else:
            await config.load_kube_config(str(kubeconfig), client_configuration=configuration)
    except (config.ConfigException, OSError) as error:
        where = "--kubeconfig" if kubeconfig else "in-cluster configuration"
        raise InvalidSettingsError(
            [Problem(where, f"{error} (outside a cluster, --kubeconfig names one)")]
        ) from error
    return configuration
