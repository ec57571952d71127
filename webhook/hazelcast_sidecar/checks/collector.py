"""A reader of clusters, which collects a snapshot; what the user may not read becomes `Unread` in it."""

import asyncio
import ssl
from base64 import b64decode
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from time import perf_counter
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

import msgspec

from hazelcast_sidecar.checks import dry_run
from hazelcast_sidecar.checks.group_health import groups_of, needed, unmet
from hazelcast_sidecar.checks.preflight import PARTS
from hazelcast_sidecar.checks.rbac import rights_of
from hazelcast_sidecar.checks.registration import client_of
from hazelcast_sidecar.checks.results import Unread
from hazelcast_sidecar.checks.selected import selected
from hazelcast_sidecar.checks.snapshot import DryRun, ObjectName, PodWithoutMember, Snapshot
from hazelcast_sidecar.errors import InvalidSettingsError, Problem, in_short
from hazelcast_sidecar.group_objects.desired_objects import OURS_SELECTOR
from hazelcast_sidecar.kube.client import CONNECTION_ERRORS, Api, ApiError, in_words
from hazelcast_sidecar.kube.objects import (
    KEPT_KINDS,
    MUTATING_BINDING,
    MUTATING_POLICY,
    NAMESPACE,
    POD,
    RUNNING,
    SECRET,
    WEBHOOK_CONFIGURATION,
    JsonObject,
    Kind,
    Metadata,
    Partial,
    owner_of,
)
from hazelcast_sidecar.kube.permissions import Right
from hazelcast_sidecar.model.pod import Pod
from hazelcast_sidecar.model.selection import Selected
from hazelcast_sidecar.names import (
    CONTROLLER,
    GROUP,
    INJECT,
    INJECTOR,
    LEAF_SECRET,
    PREFIX,
    SERVICE_NAME,
    SETTINGS,
    STATUS,
)
from hazelcast_sidecar.owners import OwnerReference
from hazelcast_sidecar.untrusted import UNDECODABLE

_TRIALS = 3
_TLS_SECONDS = 5

_NODE = Kind("Node", "/api/v1", "nodes")
_DEPLOYMENT = Kind("Deployment", "/apis/apps/v1", "deployments")
_LEASE = Kind("Lease", "/apis/coordination.k8s.io/v1", "leases")
_ENDPOINT_SLICE = Kind("EndpointSlice", "/apis/discovery.k8s.io/v1", "endpointslices")
_AUTHORIZATION = "/apis/authorization.k8s.io/v1"
_OF_ANOTHER = Kind("SubjectAccessReview", _AUTHORIZATION, "subjectaccessreviews")
_OF_ONESELF = Kind("SelfSubjectAccessReview", _AUTHORIZATION, "selfsubjectaccessreviews")

Say = Callable[[str], None]
"""Called with what is read next."""

_Read = TypeVar("_Read")
_Item = TypeVar("_Item")


async def attempt(what: str, reading: Awaitable[_Read]) -> _Read | Unread:
    """Return what was read, or why not; `what` is a verb and its object, such as "list nodes"."""
    try:
        return await reading
    except ApiError as error:
        if error.status == HTTPStatus.FORBIDDEN:
            return Unread(f"you may not {what}")
        return Unread(f"could not {what}: {error.message}")
    except CONNECTION_ERRORS as error:
        return Unread(f"could not {what}: {in_words(error)}")
    except Exception as error:  # noqa: BLE001 - what cannot be read must not keep the rest from being read
        return Unread(f"could not {what}: {in_short(error)}")


class Reader:
    """Reader of one cluster.

    Args:
        api: the client of its API server.
        namespace: the installation's; empty: the one in the webhook configuration.
        say: called with what is read next.
    """

    def __init__(self, api: Api, namespace: str, say: Say) -> None:
        self._api, self._given, self._say = api, namespace, say

    async def installation(self, dry_run_in: str) -> Snapshot:
        """Read all that the checks of an installation need.

        Args:
            dry_run_in: the namespace of the dry run of an injection.

        Raises:
            InvalidSettingsError: no API server answers, or it does not know who asks.
        """
        found = await self._ground()
        namespace = found["namespace"]
        self._say("the installation")
        found |= await self._parts(namespace)
        found["served"] = await _served(found["configuration"])
        found["missing_permissions"] = await self._missing_permissions(namespace, found["controller"])
        self._say(f"a dry run in {dry_run_in}")
        found["dry_run"] = await self._try(dry_run_in, found)
        self._say("Pods and the objects of their groups")
        found |= await self._workloads()
        return Snapshot(now=datetime.now(UTC), **found)

    async def before(self) -> Snapshot:
        """Read all that the preflight checks need.

        Raises:
            InvalidSettingsError: no API server answers, or it does not know who asks.
        """
        found = await self._ground()
        self._say("what an installation needs")
        registration = WEBHOOK_CONFIGURATION.path
        found["admission_api"] = await attempt(f"get {registration}", self._api.document(registration))
        found["configurations"] = await self._documents(WEBHOOK_CONFIGURATION)
        found["denied_permissions"] = await attempt(
            "review your permissions", self._missing(_OF_ONESELF, PARTS, found["namespace"], {})
        )
        return Snapshot(now=datetime.now(UTC), **found)

    async def _ground(self) -> dict[str, Any]:
        """Read what both sets of checks start with."""
        self._say("the cluster")
        version = await self._version()
        nodes, namespaces, configuration = await asyncio.gather(
            self._documents(_NODE),
            attempt("list namespaces", self._namespaces()),
            self._object(WEBHOOK_CONFIGURATION, "", INJECTOR),
        )
        namespace = self._given or INJECTOR
        if not self._given and isinstance(configuration, dict):
            namespace = (client_of(configuration).get("service") or {}).get("namespace", INJECTOR)
        return {
            "namespace": namespace,
            "version": version,
            "nodes": nodes,
            "namespaces": namespaces,
            "configuration": configuration,
        }

    async def _version(self) -> JsonObject | Unread:
        try:
            return await self._api.document("/version")
        except ApiError as error:
            if error.status == HTTPStatus.UNAUTHORIZED:
                sentence = (
                    "the API server rejects your credentials; log in again, or choose another --context"
                )
                raise InvalidSettingsError([Problem("credentials", sentence)]) from error
            return Unread(f"could not get /version: {error.message}")
        except CONNECTION_ERRORS as error:
            sentence = f"no API server answers: {in_words(error)}"
            raise InvalidSettingsError([Problem("cluster", sentence)]) from error

    async def _parts(self, namespace: str) -> dict[str, Any]:
        """Read the objects of the installation."""
        selector = f"{SERVICE_NAME}={INJECTOR}"
        policy, binding, webhook, controller, lease, settings, leaf, endpoints = await asyncio.gather(
            self._object(MUTATING_POLICY, "", INJECTOR),
            self._object(MUTATING_BINDING, "", INJECTOR),
            self._object(_DEPLOYMENT, namespace, INJECTOR),
            self._object(_DEPLOYMENT, namespace, CONTROLLER),
            self._object(_LEASE, namespace, CONTROLLER),
            self._object(KEPT_KINDS["ConfigMap"], namespace, SETTINGS),
            self._object(SECRET, namespace, LEAF_SECRET),
            self._documents(_ENDPOINT_SLICE, namespace, labelSelector=selector),
        )
        return {
            "mutating_policy": policy,
            "mutating_binding": binding,
            "webhook": webhook,
            "controller": controller,
            "lease": lease,
            "settings": settings,
            "leaf": _certificate(leaf) if isinstance(leaf, dict) else leaf,
            "endpoints": endpoints,
        }

    async def _missing_permissions(
        self, namespace: str, controller: JsonObject | Unread | None
    ) -> list[Right] | Unread:
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"]
        account = {"user": f"system:serviceaccount:{namespace}:{CONTROLLER}", "groups": groups}
        asked = self._missing(_OF_ANOTHER, rights_of(controller), namespace, account)
        return await attempt("review the controller's permissions", asked)

    async def _missing(
        self, review: Kind, rights: Sequence[Right], namespace: str, who: JsonObject
    ) -> list[Right]:
        """Return those of some permissions that a user does not have."""

        async def has(right: Right) -> bool:
            resource, _, subresource = right.resource.partition("/")
            attributes = {
                "verb": right.verb,
                "group": right.group,
                "resource": resource,
                "subresource": subresource,
                "name": right.name,
                "namespace": namespace if right.own else "",
            }
            body = {"apiVersion": "authorization.k8s.io/v1", "kind": review.name}
            answer = await self._api.create(
                review, "", {**body, "spec": {**who, "resourceAttributes": attributes}}
            )
            return bool(answer["status"]["allowed"])

        # Ask once first, so that a user who may not ask gets one error.
        answers = [await has(rights[0]), *await asyncio.gather(*(has(right) for right in rights[1:]))]
        return [right for right, answer in zip(rights, answers, strict=True) if not answer]

    async def _try(self, namespace: str, found: Mapping[str, Any]) -> DryRun | Unread:
        """Create a Pod with an injected member, as a dry run."""
        registered = found["configuration"], found["mutating_policy"], found["mutating_binding"]
        match selected(registered, found["namespaces"], namespace, {}):
            case Selected.NOTHING_REGISTERED:
                return Unread("no webhook is registered")
            case Selected.NAMESPACE_EXCLUDED:
                return Unread(f"{namespace} is excluded from injection; choose another one with --namespace")
        pod, seconds = None, []
        for _ in range(_TRIALS):
            started = perf_counter()
            try:
                pod = await self._api.create(POD, namespace, dry_run.POD, dry_run=True)
            except ApiError as error:
                if error.status == HTTPStatus.FORBIDDEN and "cannot create resource" in error.message:
                    return Unread(f"you may not create pods in {namespace}")
                return DryRun(namespace, refusal=error.message)
            except CONNECTION_ERRORS as error:
                return DryRun(namespace, refusal=in_words(error))
            seconds.append(perf_counter() - started)
        return DryRun(namespace, tuple(seconds), pod)

    async def _workloads(self) -> dict[str, Any]:
        """Read Pods with annotations of ours, and the objects of their groups."""
        pods = await attempt("list pods", self._pods())
        if isinstance(pods, Unread):
            parts = (
                "pods",
                "without_member",
                "running",
                "existing_objects",
                "unmet_requests",
                "services",
                "group_endpoints",
            )
            return dict.fromkeys((*parts, "policies"), pods)
        of_groups = {"labelSelector": OURS_SELECTOR}
        groups = groups_of(pods)
        without_member, running, existing_objects, services, endpoints, policies = await asyncio.gather(
            attempt("get pods", self._without_member(pods)),
            attempt("list pods", self._running()),
            attempt("list the objects of groups", self._metadata_of(needed(groups))),
            self._documents(KEPT_KINDS["Service"], **of_groups),
            self._documents(_ENDPOINT_SLICE, labelSelector=f"{GROUP},{SERVICE_NAME}"),
            self._documents(KEPT_KINDS["NetworkPolicy"]),
        )
        unmet_requests = await attempt("list the objects of groups", self._metadata_of(unmet(groups)))
        injected = {pod.namespace for pod in pods if GROUP in pod.labels}
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
        }

    async def _pods(self) -> list[Metadata]:
        """List Pods a page at a time, and keep those with annotations of ours."""
        return [
            item.metadata
            async for item in self._items(POD, Partial, fieldSelector=RUNNING)
            if any(key.startswith(PREFIX) for key in item.metadata.known_annotations)
        ]

    async def _running(self) -> frozenset[str]:
        of_groups = {"labelSelector": GROUP, "fieldSelector": "status.phase=Running"}
        return frozenset([item.metadata.uid async for item in self._items(POD, Partial, **of_groups)])

    async def _without_member(self, pods: Iterable[Metadata]) -> list[PodWithoutMember]:
        """Read one whole Pod of each owner whose Pods have our annotation but not the status annotation."""
        owners: defaultdict[tuple[str, OwnerReference], list[Metadata]] = defaultdict(list)
        for pod in pods:
            injected = GROUP in pod.labels and STATUS in pod.known_annotations
            if INJECT in pod.known_annotations and not injected and not pod.deletion_timestamp:
                owners[pod.namespace, owner_of(pod)].append(pod)
        found = []
        for alike in owners.values():
            first = alike[0]
            document = await self._api.read(POD, first.namespace, first.name)
            if document is not None:
                found.append(PodWithoutMember(first, _as_pod(document), len(alike)))
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
        return [item.metadata async for item in self._items(kind, Partial, labelSelector=OURS_SELECTOR)]

    async def _metadata(self, kind: Kind, name: ObjectName) -> Metadata | Unread | None:
        found = await attempt(f"get {kind.plural}", self._api.get(kind, name.namespace, name.name))
        return found.metadata if isinstance(found, Partial) else found

    async def _namespaces(self) -> Mapping[str, Metadata]:
        return {item.metadata.name: item.metadata async for item in self._items(NAMESPACE, Partial)}

    async def _object(self, kind: Kind, namespace: str, name: str) -> JsonObject | Unread | None:
        return await attempt(f"get {kind.plural}", self._api.read(kind, namespace, name))

    async def _documents(self, kind: Kind, namespace: str = "", **query: str) -> list[JsonObject] | Unread:
        async def collected() -> list[JsonObject]:
            item = cast("type[JsonObject]", dict)
            return [each async for each in self._items(kind, item, namespace, **query)]

        return await attempt(f"list {kind.plural}", collected())

    async def _items(
        self, kind: Kind, item: type[_Item], namespace: str = "", **query: str
    ) -> AsyncIterator[_Item]:
        async for page in self._api.pages(kind, item, namespace, **query):
            for each in page.items:
                yield each


def _key(document: JsonObject) -> tuple[str, str]:
    return document["metadata"]["namespace"], document["metadata"]["name"]


def _as_pod(document: JsonObject) -> Pod | Unread:
    """Decode a Pod as the webhook does; a failure concerns this Pod only."""
    try:
        return msgspec.convert(document, Pod)
    except UNDECODABLE as error:
        return Unread(f"it cannot be read as a Pod: {error}")


def _certificate(secret: JsonObject) -> bytes | Unread | None:
    text = (secret.get("data") or {}).get("tls.crt")
    try:
        return None if text is None else b64decode(text)
    except ValueError as error:
        return Unread(f"the content of the Secret {LEAF_SECRET} is not base64: {error}")


async def _served(configuration: JsonObject | Unread | None) -> bytes | Unread | None:
    """Return the certificate of a webhook that is registered by URL; whether to trust it is checked later."""
    url = client_of(configuration).get("url") if isinstance(configuration, dict) else None
    if url is None:
        return None
    return await attempt("ask the webhook for its certificate", _shown_at(url))


async def _shown_at(url: str) -> bytes | Unread:
    parts = urlsplit(url)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        async with asyncio.timeout(_TLS_SECONDS):
            _, writer = await asyncio.open_connection(parts.hostname, parts.port or 443, ssl=context)
    except (OSError, TimeoutError) as error:
        return Unread(f"no TLS at {parts.netloc}: {in_words(error)}")
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return ssl.DER_cert_to_PEM_cert(shown).encode()
