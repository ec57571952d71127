"""Pods that the webhook or the admission policy denied, told where people look.

Kubernetes records a denial as FailedCreate on the ReplicaSet; the Deployment only says that it makes no
progress. What makes Pods without a ReplicaSet between has the Event already.
"""

import re

import msgspec

from hazelcast_sidecar.controller.events.recorder import Recorder
from hazelcast_sidecar.controller.shared.controller_metrics import ControllerMetrics, Where
from hazelcast_sidecar.controller.shared.reflector import Watcher
from hazelcast_sidecar.kube.client import Api
from hazelcast_sidecar.kube.objects import EVENT, MAX_OWNER_TEXT, Partial
from hazelcast_sidecar.names import INJECTOR, POD_WEBHOOKS
from hazelcast_sidecar.owners import OwnerReference
from hazelcast_sidecar.runtime.log import LogLine

_FAILED_CREATE = "reason=FailedCreate,involvedObject.kind=ReplicaSet"
_DENIED = re.compile(
    rf'admission webhook "(?:{"|".join(map(re.escape, POD_WEBHOOKS))})" denied the request: '
    rf"|ValidatingAdmissionPolicy '{INJECTOR}' with binding '{INJECTOR}' denied request: "
)


class _InvolvedObject(msgspec.Struct, gc=False, rename="camel"):
    """What an Event is about."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""

    def __post_init__(self) -> None:
        """Refuse what names nothing: it would wait to be told of, with many others.

        Raises:
            ValueError: it is longer than what names any object.
        """
        if len(self.api_version) + len(self.kind) + len(self.name) + len(self.uid) > MAX_OWNER_TEXT:
            raise ValueError("what the Event is about has a name that no object has")


class _FailedCreate(Partial, gc=False, rename="camel"):
    """An Event as far as a denial shows in it."""

    message: str = ""
    involved_object: _InvolvedObject = msgspec.field(default_factory=_InvolvedObject)


class Denials(Watcher):
    """Tells what is denied from now on; who denied earlier Pods will deny the next attempt too."""

    def __init__(self, api: Api, recorder: Recorder, metrics: ControllerMetrics, log: LogLine) -> None:
        super().__init__(api, EVENT, metrics, log)
        self._recorder = recorder

    async def _list(self) -> None:
        async for page in self._api.pages(EVENT, Partial, fieldSelector=_FAILED_CREATE):
            self._version = page.metadata.resource_version
            break  # every page has the same version, and none matters otherwise

    async def _watch(self) -> None:
        changes = self._api.watch(EVENT, _FailedCreate, self._version, fieldSelector=_FAILED_CREATE)
        async for change, item in changes:
            if change in {"ADDED", "MODIFIED"}:
                with self._faults.pass_over(Where.DENIAL, namespace=item.metadata.namespace):
                    self._tell(item)
            self._version = item.metadata.resource_version

    def _tell(self, item: _FailedCreate) -> None:
        denied = _DENIED.search(item.message)
        if denied is None:
            return
        sentence = item.message[denied.end() :]
        about = item.involved_object
        owner = OwnerReference(about.api_version, about.kind, about.name, about.uid)
        # Anyone who may create Events can name anything; a denied Pod does not exist.
        self._recorder.tell(item.metadata.namespace, owner, "Denied", sentence, pod=None, warning=True)
