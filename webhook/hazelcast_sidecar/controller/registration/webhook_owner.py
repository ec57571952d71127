"""Ownership of the webhook's configuration by the namespace of the installation.

Deleting that namespace deletes the webhook, but not its configuration, which has no namespace: the API
server would go on calling the webhook, and reject every annotated Pod. As a dependent of the namespace it is
deleted by Kubernetes' garbage collector, also when no controller runs any more.
Source: Kubernetes documentation, "Garbage Collection" (cluster-scoped dependents have cluster-scoped owners).
"""

import msgspec

from hazelcast_sidecar.controller.shared.backoff import run_periodically
from hazelcast_sidecar.controller.shared.controller_metrics import Where
from hazelcast_sidecar.controller.shared.faults import Faults
from hazelcast_sidecar.kube.client import Api
from hazelcast_sidecar.kube.objects import NAMESPACE, WEBHOOK_CONFIGURATION
from hazelcast_sidecar.names import INJECTOR
from hazelcast_sidecar.owners import OwnerReference
from hazelcast_sidecar.runtime.log import LogLine

_LOOK_SECONDS = 5


class WebhookOwner:
    """Keeper of the owner reference from the configuration to the namespace."""

    def __init__(self, api: Api, namespace: str, log: LogLine, faults: Faults) -> None:
        self._api, self._namespace, self._log, self._faults = api, namespace, log, faults
        self._owner: OwnerReference | None = None

    async def work(self) -> None:
        """Maintain the owner reference until cancelled."""
        trouble = "failed to set the configuration's owner"
        await run_periodically(_LOOK_SECONDS, self._look, self._log, trouble, self._faults, Where.OWNER)

    async def _look(self) -> None:
        configuration = await self._api.get(WEBHOOK_CONFIGURATION, "", INJECTOR)
        if configuration is None:
            return  # it may be installed later
        if self._owner is None:
            self._owner = await self._find_owner()
        if self._owner is None or self._owner in configuration.metadata.owner_references:
            return
        # An apply names all fields of this field manager, so a reference to an earlier namespace goes.
        dependent = {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": WEBHOOK_CONFIGURATION.name,
            "metadata": {"name": INJECTOR, "ownerReferences": [msgspec.to_builtins(self._owner)]},
        }
        await self._api.apply(WEBHOOK_CONFIGURATION, dependent, force=True)
        self._log("configuration owned by its namespace", configuration=INJECTOR)

    async def _find_owner(self) -> OwnerReference | None:
        """Return the namespace, if it exists: it keeps its uid for life, and this Pod lives no longer."""
        found = await self._api.get(NAMESPACE, "", self._namespace)
        if found is None:
            return None
        return OwnerReference(
            api_version="v1", kind=NAMESPACE.name, name=self._namespace, uid=found.metadata.uid
        )
