"""A reader of clusters, which collects a snapshot; what the user may not read becomes `Unread` in it."""

import asyncio
import ssl
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

from hazelcast_sidecar.checks import dry_run
from hazelcast_sidecar.checks.api_reads import all_objects, attempt, each_object, one_object
from hazelcast_sidecar.checks.group_collector import GroupCollector
from hazelcast_sidecar.checks.preflight import PARTS
from hazelcast_sidecar.checks.rbac import rights_of
from hazelcast_sidecar.checks.registration import client_of
from hazelcast_sidecar.checks.results import Unread
from hazelcast_sidecar.checks.selected import selected
from hazelcast_sidecar.checks.snapshot import DryRun, Snapshot
from hazelcast_sidecar.checks.workloads import ROLLING
from hazelcast_sidecar.errors import InvalidSettingsError, Problem
from hazelcast_sidecar.kube.client import CONNECTION_ERRORS, Api, ApiError, in_words
from hazelcast_sidecar.kube.objects import (
    ENDPOINT_SLICE,
    KEPT_KINDS,
    MUTATING_BINDING,
    MUTATING_POLICY,
    NAMESPACE,
    POD,
    SECRET,
    WEBHOOK_CONFIGURATION,
    JsonObject,
    Kind,
    Metadata,
    Partial,
)
from hazelcast_sidecar.kube.permissions import Right
from hazelcast_sidecar.model.selection import Selected
from hazelcast_sidecar.names import (
    CONTROLLER,
    INJECTOR,
    LEAF_SECRET,
    SERVICE_NAME,
    SETTINGS,
)

_TRIALS = 3
_TLS_SECONDS = 5

_NODE = Kind("Node", "/api/v1", "nodes")
_LEASE = Kind("Lease", "/apis/coordination.k8s.io/v1", "leases")
_AUTHORIZATION = "/apis/authorization.k8s.io/v1"
_OF_ANOTHER = Kind("SubjectAccessReview", _AUTHORIZATION, "subjectaccessreviews")
_OF_ONESELF = Kind("SelfSubjectAccessReview", _AUTHORIZATION, "selfsubjectaccessreviews")

Say = Callable[[str], None]
"""Called with what is read next."""


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
        found |= await self._groups(dry_run_in)
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
        found["configurations"] = await all_objects(self._api, WEBHOOK_CONFIGURATION)
        found["denied_permissions"] = await attempt(
            "review your permissions", self._missing(_OF_ONESELF, PARTS, found["namespace"], {})
        )
        return Snapshot(now=datetime.now(UTC), **found)

    async def _ground(self) -> dict[str, Any]:
        """Read what both sets of checks start with."""
        self._say("the cluster")
        version = await self._version()
        nodes, namespaces, configuration = await asyncio.gather(
            all_objects(self._api, _NODE),
            attempt("list namespaces", self._namespaces()),
            one_object(self._api, WEBHOOK_CONFIGURATION, "", INJECTOR),
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
            one_object(self._api, MUTATING_POLICY, "", INJECTOR),
            one_object(self._api, MUTATING_BINDING, "", INJECTOR),
            one_object(self._api, ROLLING["Deployment"], namespace, INJECTOR),
            one_object(self._api, ROLLING["Deployment"], namespace, CONTROLLER),
            one_object(self._api, _LEASE, namespace, CONTROLLER),
            one_object(self._api, KEPT_KINDS["ConfigMap"], namespace, SETTINGS),
            one_object(self._api, SECRET, namespace, LEAF_SECRET),
            all_objects(self._api, ENDPOINT_SLICE, namespace, labelSelector=selector),
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

    async def _groups(self, chosen: str) -> dict[str, Any]:
        """Read the groups of all namespaces; of the chosen one where the user may not read all."""
        everywhere = GroupCollector(self._api)
        pods = await everywhere.pods()
        if isinstance(pods, Unread):
            there = GroupCollector(self._api, chosen)
            of_chosen = await there.pods()
            if not isinstance(of_chosen, Unread):
                others = Unread(f"Pods of other namespaces than {chosen}: {pods.why}")
                return {**await there.of_groups(of_chosen), "other_namespaces": others}
        return await everywhere.of_groups(pods)

    async def _namespaces(self) -> Mapping[str, Metadata]:
        return {
            item.metadata.name: item.metadata async for item in each_object(self._api, NAMESPACE, Partial)
        }


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
