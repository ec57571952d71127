"""A reader of injected Pods, of the objects of their groups, and of what ends several of them at once."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from hazelcast_sidecar.checks.api_reads import all_objects, attempt, converted, each_object
from hazelcast_sidecar.checks.group_health import groups_of, needed, unmet
from hazelcast_sidecar.checks.results import Unread
from hazelcast_sidecar.checks.snapshot import ObjectName, PodWithoutMember
from hazelcast_sidecar.checks.workloads import ROLLING, rolling_workloads
from hazelcast_sidecar.group_objects.desired_objects import OURS_SELECTOR
from hazelcast_sidecar.kube.client import Api
from hazelcast_sidecar.kube.objects import (
    ENDPOINT_SLICE,
    KEPT_KINDS,
    POD,
    RUNNING,
    JsonObject,
    Kind,
    Metadata,
    Partial,
    owner_of,
)
from hazelcast_sidecar.model.disruption import Autoscaler, DisruptionBudget
from hazelcast_sidecar.model.opt_in import asked
from hazelcast_sidecar.model.pod import Pod
from hazelcast_sidecar.model.rolling_workload import RollingWorkload
from hazelcast_sidecar.names import GROUP, INJECT, PREFIX, SERVICE_NAME, STATUS
from hazelcast_sidecar.owners import OwnerReference

_AUTOSCALER = Kind("HorizontalPodAutoscaler", "/apis/autoscaling/v2", "horizontalpodautoscalers")
_FROM_PODS = (
    "without_member",
    "running",
    "existing_objects",
    "unmet_requests",
    "services",
    "group_endpoints",
    "policies",
    "workloads",
    "autoscalers",
    "budgets",
)
"""Fields of a snapshot that are unknown without Pods."""

_AT_ONCE = 16
"""Workloads that are read at the same time."""

_Form = TypeVar("_Form")


class GroupCollector:
    """Collector of one namespace, or of all.

    Args:
        api: the client of the API server.
        namespace: where Pods are; empty: anywhere.
    """

    def __init__(self, api: Api, namespace: str = "") -> None:
        self._api, self._namespace = api, namespace
        self._at_once = asyncio.Semaphore(_AT_ONCE)

    async def pods(self) -> list[Metadata] | Unread:
        """Read Pods with annotations of ours."""
        return await attempt("list pods", self._pods())

    async def of_groups(self, pods: list[Metadata] | Unread) -> dict[str, Any]:
        """Read the objects of the Pods' groups, as fields of a snapshot."""
        if isinstance(pods, Unread):
            return dict.fromkeys(("pods", *_FROM_PODS), pods)
        of_groups = {"labelSelector": OURS_SELECTOR}
        groups = groups_of(pods)
        injected = frozenset(group.namespace for group in groups)
        without_member, running, existing_objects, services, endpoints, policies = await asyncio.gather(
            attempt("get pods", self._without_member(pods)),
            attempt("list pods", self._running()),
            attempt("list the objects of groups", self._metadata_of(needed(groups))),
            self._all(KEPT_KINDS["Service"], **of_groups),
            self._all(ENDPOINT_SLICE, labelSelector=f"{GROUP},{SERVICE_NAME}"),
            self._all(KEPT_KINDS["NetworkPolicy"]),
        )
        workloads, autoscalers, budgets = await asyncio.gather(
            self._workloads(rolling_workloads(pod for group in groups for pod in group.pods)),
            self._converted(_AUTOSCALER, Autoscaler, injected),
            self._converted(KEPT_KINDS["PodDisruptionBudget"], DisruptionBudget, injected),
        )
        unmet_requests = await attempt("list the objects of groups", self._metadata_of(unmet(groups)))
        if not isinstance(policies, Unread):
            policies = [each for each in policies if each["metadata"]["namespace"] in injected]
        return {
            "pods": pods,
            "without_member": without_member,
            "running": running,
            "existing_objects": existing_objects,
            "unmet_requests": unmet_requests,
            "services": services if isinstance(services, Unread) else {_key(each): each for each in services},
            "group_endpoints": endpoints,
            "policies": policies,
            "workloads": workloads,
            "autoscalers": autoscalers,
            "budgets": budgets,
        }

    async def _pods(self) -> list[Metadata]:
        """List Pods a page at a time, and keep those with annotations of ours or with our label."""
        return [
            item.metadata
            async for item in each_object(self._api, POD, Partial, self._namespace, fieldSelector=RUNNING)
            if INJECT in item.metadata.labels
            or any(key.startswith(PREFIX) for key in item.metadata.known_annotations)
        ]

    async def _running(self) -> frozenset[str]:
        of_groups = {"labelSelector": GROUP, "fieldSelector": "status.phase=Running"}
        items = each_object(self._api, POD, Partial, self._namespace, **of_groups)
        return frozenset([item.metadata.uid async for item in items])

    async def _without_member(self, pods: Iterable[Metadata]) -> list[PodWithoutMember]:
        """Read one whole Pod of each owner whose Pods have our annotation but not the status annotation."""
        owners: defaultdict[tuple[str, OwnerReference], list[Metadata]] = defaultdict(list)
        for pod in pods:
            injected = GROUP in pod.labels and STATUS in pod.known_annotations
            asks = asked(pod.known_annotations, pod.labels) is not None
            if asks and not injected and not pod.deletion_timestamp:
                owners[pod.namespace, owner_of(pod)].append(pod)
        found = []
        for alike in owners.values():
            first = alike[0]
            document = await self._api.read(POD, first.namespace, first.name)
            if document is not None:
                found.append(PodWithoutMember(first, converted(document, Pod), len(alike)))
        return found

    async def _metadata_of(
        self, names: Sequence[ObjectName]
    ) -> Mapping[ObjectName, Metadata | Unread | None]:
        """Read ours with one list of each kind, and others one by one."""
        found: dict[ObjectName, Metadata | Unread | None] = {}
        for kind in {name.kind: KEPT_KINDS[name.kind] for name in names}.values():
            wanted = [name for name in names if name.kind == kind.name]
            listed = await attempt(f"list {kind.plural}", self._ours(kind))
            if isinstance(listed, Unread):
                found |= dict.fromkeys(wanted, listed)
                continue
            ours = {(metadata.namespace, metadata.name): metadata for metadata in listed}
            for name in wanted:
                known = ours.get((name.namespace, name.name))
                found[name] = known or await self._metadata(kind, name)
        return found

    async def _ours(self, kind: Kind) -> list[Metadata]:
        items = each_object(self._api, kind, Partial, self._namespace, labelSelector=OURS_SELECTOR)
        return [item.metadata async for item in items]

    async def _metadata(self, kind: Kind, name: ObjectName) -> Metadata | Unread | None:
        found = await attempt(f"get {kind.plural}", self._api.get(kind, name.namespace, name.name))
        return found.metadata if isinstance(found, Partial) else found

    async def _workloads(
        self, names: Sequence[ObjectName]
    ) -> Mapping[ObjectName, RollingWorkload | Unread | None]:
        """Read workloads one by one: there may be many more in the cluster."""
        return dict(zip(names, await asyncio.gather(*map(self._workload, names)), strict=True))

    async def _workload(self, name: ObjectName) -> RollingWorkload | Unread | None:
        kind = ROLLING[name.kind]
        async with self._at_once:
            found = await attempt(f"get {kind.plural}", self._api.read(kind, name.namespace, name.name))
        return converted(found, RollingWorkload) if isinstance(found, dict) else found

    async def _converted(
        self, kind: Kind, form: type[_Form], namespaces: frozenset[str]
    ) -> Mapping[ObjectName, _Form | Unread] | Unread:
        """Read the objects of a kind in some namespaces, and keep of each what its type has."""

        async def collected() -> Mapping[ObjectName, _Form | Unread]:
            return {
                ObjectName(kind.name, *key): converted(each, form)
                async for each in each_object(self._api, kind, dict, self._namespace)
                if (key := _key(each))[0] in namespaces
            }

        return await attempt(f"list {kind.plural}", collected()) if namespaces else {}

    async def _all(self, kind: Kind, **query: str) -> list[JsonObject] | Unread:
        return await all_objects(self._api, kind, self._namespace, **query)


def _key(document: JsonObject) -> tuple[str, str]:
    return document["metadata"]["namespace"], document["metadata"]["name"]
