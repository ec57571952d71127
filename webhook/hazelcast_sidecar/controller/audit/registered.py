"""Registrations with the API server, and the labels of namespaces, read again for each audit.

A watch of both would tell of a change at once, but it needs the right to list and watch all namespaces, and
costs the API server something also while no Pod is missed, which is always. So the configuration is read
when the first Pod is found, and a namespace when one of its Pods is; before an eviction, both again.
"""

import asyncio
from collections.abc import Mapping

from hazelcast_sidecar.kube.client import Api
from hazelcast_sidecar.kube.objects import (
    MUTATING_BINDING,
    MUTATING_POLICY,
    NAMESPACE,
    WEBHOOK_CONFIGURATION,
)
from hazelcast_sidecar.model.selection import Selected, Selection, selection_of
from hazelcast_sidecar.names import INJECTOR


class Registered:
    """Remembers what it has read; one is for one look.

    Args:
        api: to read by.
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self._selection: Selection | None = None
        self._labels: dict[str, Mapping[str, str] | None] = {}

    async def selected(self, namespace: str, pod: Mapping[str, str] | None) -> Selected:
        """Tell whether a new Pod would be injected, as far as selectors decide.

        Args:
            namespace: where it is created.
            pod: its labels; None for any Pod.

        Raises:
            ApiError: a request was refused.
        """
        if self._selection is None:
            kinds = (WEBHOOK_CONFIGURATION, MUTATING_POLICY, MUTATING_BINDING)
            self._selection = selection_of(
                *await asyncio.gather(*(self._api.read(kind, "", INJECTOR) for kind in kinds))
            )
        if namespace not in self._labels:
            found = await self._api.get(NAMESPACE, "", namespace)
            self._labels[namespace] = found.metadata.labels if found else None
        return self._selection.of(self._labels[namespace], pod)
