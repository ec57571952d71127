"""Denials of Pods, by the webhook, the policy or limits that count the member, reported on their workloads.

Kubernetes records a denial as FailedCreate on the ReplicaSet; the Deployment only reports a lack of progress.
Workloads that create Pods without a ReplicaSet have the Event already.
"""

import re

import msgspec

from hazelcast_sidecar.controller.events.limits_of_namespaces import about_limits
from hazelcast_sidecar.controller.events.recorder import Recorder
from hazelcast_sidecar.controller.shared.controller_metrics import ControllerMetrics, Where
from hazelcast_sidecar.controller.shared.reflector import Watcher
from hazelcast_sidecar.kube.client import Api
from hazelcast_sidecar.kube.objects import EVENT, MAX_OWNER_TEXT, Partial
from hazelcast_sidecar.names import INJECTOR, POD_WEBHOOKS
from hazelcast_sidecar.owners import OwnerReference
from hazelcast_sidecar.runtime.log import LogLine

_FAILED_CREATE = "reason=FailedCreate,involvedObject.kind=ReplicaSet"
_MAX_READ = 4096
"""Characters of a message that are read; Kubernetes writes at most 1024."""
_DENIED = re.compile(
    rf'admission webhook "(?:{"|".join(map(re.escape, POD_WEBHOOKS))})" denied the request: '
    rf"|ValidatingAdmissionPolicy '{INJECTOR}' with binding '{INJECTOR}' denied request: "
)


class _InvolvedObject(msgspec.Struct, gc=False, rename="camel"):
    """The object that an Event is about."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""

    def __post_init__(self) -> None:
        """Reject a name that no object can have: it would wait to be reported, with many others.

        Raises:
            ValueError: it is longer than any object's name.
        """
        if len(self.api_version) + len(self.kind) + len(self.name) + len(self.uid) > MAX_OWNER_TEXT:
            raise ValueError("the Event's object has a name that no object can have")


class _FailedCreate(Partial, gc=False, rename="camel"):
    """An Event as far as it shows a denial."""

    message: str = ""
    involved_object: _InvolvedObject = msgspec.field(default_factory=_InvolvedObject)


class Denials(Watcher):
    """Watcher of denials from now on; a denied Pod is attempted, and denied, again."""

    def __init__(self, api: Api, recorder: Recorder, metrics: ControllerMetrics, log: LogLine) -> None:
        super().__init__(api, EVENT, metrics, log)
        self._recorder = recorder

    async def _list(self) -> None:
        async for page in self._api.pages(EVENT, Partial, fieldSelector=_FAILED_CREATE):
            self._version = page.metadata.resource_version
            break  # every page has the same version, and nothing else matters

    async def _watch(self) -> None:
        changes = self._api.watch(EVENT, _FailedCreate, self._version, fieldSelector=_FAILED_CREATE)
        async for change, item in changes:
            if change in {"ADDED", "MODIFIED"}:
                with self._faults.pass_over(Where.DENIAL, namespace=item.metadata.namespace):
                    self._tell(item)
            self._version = item.metadata.resource_version

    def _tell(self, item: _FailedCreate) -> None:
        message = item.message[:_MAX_READ]
        if (denied := _DENIED.search(message)) is not None:
            self._tell_of(item, "Denied", message[denied.end() :], asking=False)
        elif (sentence := about_limits(message)) is not None:
            # It says nothing about whose Pods these are.
            self._tell_of(item, "Refused", sentence, asking=True)

    def _tell_of(self, item: _FailedCreate, reason: str, sentence: str, *, asking: bool) -> None:
        about = item.involved_object
        owner = OwnerReference(about.api_version, about.kind, about.name, about.uid)
        # Anyone who may create Events can name any object; a denied Pod does not exist.
        self._recorder.tell(
            item.metadata.namespace, owner, reason, sentence, pod=None, warning=True, asking=asking
        )
