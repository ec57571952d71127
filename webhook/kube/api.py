"""The Kubernetes API: lists and watches, mostly of metadata, and server-side apply.

`kubernetes.aio` brings configuration, authentication and the HTTP client. Its typed methods always decode
whole objects, which for ten thousand Pods costs hundreds of MiB; asking for PartialObjectMetadata and
decoding it into small structs costs a tenth of that.
Source: Kubernetes documentation, "API Concepts" (metadata-only fetches, watches, server-side apply).
"""

from collections.abc import AsyncIterator
from datetime import datetime
from http import HTTPStatus
from typing import Any, Generic, Literal, NamedTuple, TypeVar

import aiohttp
import msgspec
from kubernetes.aio.client import ApiClient

from webhook.names import PREFIX

_READ = (PREFIX, "openshift.io/")

FIELD_MANAGER = "hazelcast-sidecar-controller"

REQUEST_SECONDS = 15
WATCH_SECONDS = 60
"""How long one watch lasts before it is made anew; only so a connection is noticed that died in silence."""

_PAGE = 500


class OwnerReference(msgspec.Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """What an object belongs to; Kubernetes' garbage collector removes it with the last one."""

    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool | None = None


class Metadata(msgspec.Struct, gc=False, rename="camel"):
    """The metadata that the controller reads."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    """Those that are read here; with the others a list of ten thousand Pods would be all text."""
    owner_references: tuple[OwnerReference, ...] = ()
    creation_timestamp: datetime | None = None
    deletion_timestamp: str | None = None

    def __post_init__(self) -> None:
        if self.annotations:
            self.annotations = {k: text for k, text in self.annotations.items() if k.startswith(_READ)}


def owner_of(pod: Metadata) -> OwnerReference:
    """What made a Pod; a Pod that nothing made belongs to itself."""
    owner = next((reference for reference in pod.owner_references if reference.controller), None)
    if owner is None:
        return pod_reference(pod.name, pod.uid)
    return msgspec.structs.replace(owner, controller=None)


def pod_reference(name: str, uid: str) -> OwnerReference:
    """A Pod as the owner of what belongs to it."""
    return OwnerReference(api_version="v1", kind="Pod", name=name, uid=uid)


class Partial(msgspec.Struct, gc=False):
    """An object as PartialObjectMetadata."""

    metadata: Metadata


class _ListMetadata(msgspec.Struct, rename={"resource_version": "resourceVersion", "next": "continue"}):
    resource_version: str = ""
    next: str = ""


_Item = TypeVar("_Item")


class Page(msgspec.Struct, Generic[_Item]):
    """Some objects of a list."""

    metadata: _ListMetadata
    items: list[_Item] | None = None  # null in an empty list of metadata


class _WatchEvent(msgspec.Struct):
    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"]
    object: msgspec.Raw


class _Status(msgspec.Struct):
    message: str = ""
    reason: str = ""
    code: int = 0


class Kind(NamedTuple):
    """A kind of objects, and where the API has them."""

    name: str
    path: str
    plural: str

    def collection(self, namespace: str = "") -> str:
        """The path of all of them, in one namespace or in all."""
        return (
            f"{self.path}/namespaces/{namespace}/{self.plural}" if namespace else f"{self.path}/{self.plural}"
        )


_RBAC = "/apis/rbac.authorization.k8s.io/v1"
RUNNING = "status.phase!=Succeeded,status.phase!=Failed"
"""A field selector: Pods that have not ended."""

POD = Kind("Pod", "/api/v1", "pods")
EVENT = Kind("Event", "/api/v1", "events")
NAMESPACE = Kind("Namespace", "/api/v1", "namespaces")
SECRET = Kind("Secret", "/api/v1", "secrets")
WEBHOOK_CONFIGURATION = Kind(
    "MutatingWebhookConfiguration", "/apis/admissionregistration.k8s.io/v1", "mutatingwebhookconfigurations"
)
KEPT_KINDS = {
    kind.name: kind
    for kind in (
        Kind("ConfigMap", "/api/v1", "configmaps"),
        Kind("Service", "/api/v1", "services"),
        Kind("PodDisruptionBudget", "/apis/policy/v1", "poddisruptionbudgets"),
        Kind("NetworkPolicy", "/apis/networking.k8s.io/v1", "networkpolicies"),
        Kind("RoleBinding", _RBAC, "rolebindings"),
    )
}
"""What the controller keeps for a group."""


class ApiError(Exception):
    """The API server refused a request."""

    def __init__(self, status: int, message: str, retry_after: float | None = None) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message
        self.retry_after = retry_after
        """Seconds, where the server asked for patience."""


CONNECTION_ERRORS = (aiohttp.ClientError, OSError, TimeoutError)
"""What a request raises when no API server answers."""


def in_words(error: BaseException) -> str:
    """An error as text; a timeout has none of its own."""
    return str(error) or type(error).__name__


class Api:
    """Requests of one API server."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self.requests = 0
        """How many were made, watches included."""

    async def list(self, kind: Kind, selector: str) -> tuple[list[Partial], str]:
        """The metadata of all objects of a kind with these labels, and the version to watch from.

        Raises:
            ApiError: refused.
        """
        items: list[Partial] = []
        version = ""
        async for page in self.pages(kind, Partial, labelSelector=selector):
            items += page.items or ()
            version = page.metadata.resource_version
        return items, version

    async def pages(
        self, kind: Kind, item: type[_Item], namespace: str = "", **query: str
    ) -> AsyncIterator[Page[_Item]]:
        """All objects of a kind, a page at a time.

        Args:
            kind: of the objects.
            item: what each is decoded as; only of `Partial` no more than the metadata is asked for.
            namespace: where they are; all of them where it is empty.
            query: `labelSelector` and `fieldSelector`.

        Raises:
            ApiError: refused, or the pages were asked for too slowly (410).
        """
        accept = _metadata_only("List") if item is Partial else "application/json"
        query = {name: text for name, text in query.items() if text} | {"limit": str(_PAGE)}
        while True:
            answer = await self._request("GET", kind.collection(namespace), query, accept=accept)
            page = msgspec.json.decode(answer, type=Page[item])  # type: ignore[valid-type]
            yield page
            if not page.metadata.next:
                return
            query["continue"] = page.metadata.next

    async def watch(
        self, kind: Kind, item: type[_Item], version: str, **query: str
    ) -> AsyncIterator[tuple[str, _Item]]:
        """Changes since a version, for some minutes; BOOKMARK events only move the version on.

        Args:
            kind: of the objects.
            item: as for `pages`.
            version: of a list, or of the last change.
            query: `labelSelector` and `fieldSelector`.

        Raises:
            ApiError: refused, or the version is too old (410).
        """
        query |= {
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        timeout = aiohttp.ClientTimeout(
            sock_connect=REQUEST_SECONDS, sock_read=WATCH_SECONDS + REQUEST_SECONDS
        )
        accept = _metadata_only("") if item is Partial else "application/json"
        response = await self._send("GET", kind.collection(), query, accept=accept, timeout=timeout)
        async with response:
            await _refusal(response)
            while line := await response.content.readline():
                event = msgspec.json.decode(line, type=_WatchEvent)
                if event.type == "ERROR":
                    status = msgspec.json.decode(event.object, type=_Status)
                    raise ApiError(status.code, status.message)
                yield event.type, msgspec.json.decode(event.object, type=item)

    async def get(self, kind: Kind, namespace: str, name: str) -> Partial | None:
        """The metadata of one object; None where there is none.

        Raises:
            ApiError: refused.
        """
        answer = await self._find(kind, namespace, name, accept=_metadata_only(""))
        return None if answer is None else msgspec.json.decode(answer, type=Partial)

    async def read(self, kind: Kind, namespace: str, name: str) -> dict[str, Any] | None:
        """One whole object; None where there is none.

        Raises:
            ApiError: refused.
        """
        return await self.read_as(dict[str, Any], kind, namespace, name)

    async def read_as(self, item: type[_Item], kind: Kind, namespace: str, name: str) -> _Item | None:
        """Read one whole object, of which no more is kept than a type asks for; None where there is none.

        Raises:
            ApiError: refused.
            msgspec.MsgspecError: it is not of that type.
        """
        answer = await self._find(kind, namespace, name, accept="application/json")
        return None if answer is None else msgspec.json.decode(answer, type=item)

    async def _find(self, kind: Kind, namespace: str, name: str, *, accept: str) -> bytes | None:
        try:
            return await self._request("GET", f"{kind.collection(namespace)}/{name}", {}, accept=accept)
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    async def document(self, path: str) -> dict[str, Any]:
        """What stands under a path that is no object's, such as /version.

        Raises:
            ApiError: refused, or there is none.
        """
        answer = await self._request("GET", path, {}, accept="application/json")
        return msgspec.json.decode(answer, type=dict[str, Any])

    async def create(
        self, kind: Kind, namespace: str, obj: dict[str, Any], *, dry_run: bool = False
    ) -> dict[str, Any]:
        """Create an object; what stands there afterwards, or with a dry run would.

        Raises:
            ApiError: refused.
        """
        query = {"dryRun": "All"} if dry_run else {}
        path = kind.collection(namespace)
        answer = await self._request("POST", path, query, accept="application/json", body=obj)
        return msgspec.json.decode(answer, type=dict[str, Any])

    async def apply(
        self, kind: Kind, obj: dict[str, Any], *, force: bool, field_manager: str = FIELD_MANAGER
    ) -> Partial:
        """Server-side apply; what stands there afterwards.

        Args:
            kind: of the object.
            obj: all fields that are ours.
            force: take over fields that others have set to other values.
            field_manager: as whom they are ours.

        Raises:
            ApiError: refused; 409 where, without force, others hold the fields.
        """
        metadata = obj["metadata"]
        path = f"{kind.collection(metadata.get('namespace', ''))}/{metadata['name']}"
        query = {"fieldManager": field_manager, "force": "true" if force else "false"}
        answer = await self._request("PATCH", path, query, accept=_metadata_only(""), body=obj)
        return msgspec.json.decode(answer, type=Partial)

    async def delete(self, kind: Kind, metadata: Metadata) -> None:
        """Delete exactly this object; one that has gone already is no error.

        Raises:
            ApiError: refused.
        """
        path = f"{kind.collection(metadata.namespace)}/{metadata.name}"
        body = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": metadata.uid}}
        try:
            await self._request("DELETE", path, {}, accept="application/json", body=body)
        except ApiError as error:
            if error.status not in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT):
                raise

    async def evict(self, metadata: Metadata) -> None:
        """Ask for the eviction of exactly this Pod.

        Source: Kubernetes documentation, "API-initiated Eviction".

        Raises:
            ApiError: refused; 429 where a PodDisruptionBudget forbids it now, 404 where it has gone, 409
                where another has its name.
        """
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": metadata.name, "namespace": metadata.namespace},
            "deleteOptions": {"preconditions": {"uid": metadata.uid}},
        }
        path = f"{POD.collection(metadata.namespace)}/{metadata.name}/eviction"
        await self._request("POST", path, {}, accept="application/json", body=body)

    async def _request(
        self,
        method: str,
        path: str,
        query: dict[str, str],
        *,
        accept: str,
        body: dict[str, Any] | None = None,
    ) -> bytes:
        timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
        response = await self._send(method, path, query, accept=accept, body=body, timeout=timeout)
        async with response:
            await _refusal(response)
            return await response.read()

    async def _send(  # noqa: PLR0913 - an HTTP request
        self,
        method: str,
        path: str,
        query: dict[str, str],
        *,
        accept: str,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's own kind
        body: dict[str, Any] | None = None,
    ) -> aiohttp.ClientResponse:
        self.requests += 1
        content_type = "application/apply-patch+yaml" if method == "PATCH" else "application/json"
        method, url, headers, body, _ = await self._client.param_serialize(
            method,
            path,
            query_params=list(query.items()),
            header_params={"Accept": accept, "Content-Type": content_type},
            body=body,
            auth_settings=["BearerToken"],
        )
        sent = await self._client.call_api(method, url, headers, body, _request_timeout=timeout)
        response: aiohttp.ClientResponse = sent.response
        return response


def _metadata_only(suffix: str) -> str:
    return f"application/json;as=PartialObjectMetadata{suffix};g=meta.k8s.io;v=v1"


async def _refusal(response: aiohttp.ClientResponse) -> None:
    """Raise what the API server said, where it did not answer with success."""
    if response.status < HTTPStatus.BAD_REQUEST:
        return
    text = await response.read()
    try:
        message = msgspec.json.decode(text, type=_Status).message
    except msgspec.MsgspecError:
        message = text.decode(errors="replace")[:200]
    patience = response.headers.get("Retry-After", "")
    raise ApiError(response.status, message, float(patience) if patience.isdecimal() else None)
