"""A client of the Kubernetes API, with lists and watches, mostly of metadata, and server-side apply.

`kubernetes.aio` brings configuration, authentication and the HTTP client. Its typed methods always decode
whole objects, which for ten thousand Pods costs hundreds of MiB; asking for PartialObjectMetadata and
decoding it into small structs costs a tenth of that.
Source: Kubernetes documentation, "API Concepts" (metadata-only fetches, watches, server-side apply).
"""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator
from contextlib import aclosing
from http import HTTPStatus
from typing import Any, Generic, Literal, NamedTuple, TypeVar

import aiohttp
import msgspec
from kubernetes.aio.client import ApiClient

from hazelcast_sidecar.kube.bounded import (
    HEAD_BYTES,
    MAX_BYTES,
    LineSplitter,
    TooLongError,
    UnreadableAnswerError,
    chunks,
    whole,
)
from hazelcast_sidecar.kube.objects import POD, Kind, Metadata, Partial

FIELD_MANAGER = "hazelcast-sidecar-controller"


REQUEST_SECONDS = 15


WATCH_SECONDS = 60
"""Seconds that one watch lasts; only a new watch notices a connection that has died silently."""


_FIRST_PAGE, _LARGEST_PAGE = 50, 500
"""Objects in the first page of a list, and the most in any page."""


_WANTED_PAGE_BYTES = MAX_BYTES // 2
"""Bytes up to which pages grow: the objects of the next one may be larger."""


_MAX_REFUSAL_BYTES = 64 * 1024
"""Bytes that are read of an error answer."""


class ListMetadata(msgspec.Struct, rename={"resource_version": "resourceVersion", "next": "continue"}):
    """Metadata of a list: its version, and where its next page begins."""

    resource_version: str = ""
    next: str = ""


_Item = TypeVar("_Item")


class _RawPage(msgspec.Struct):
    """A page whose objects are not decoded yet."""

    metadata: ListMetadata
    items: list[msgspec.Raw] | None = None  # null in an empty list of metadata


class Page(NamedTuple, Generic[_Item]):
    """Some objects of a list."""

    metadata: ListMetadata
    items: Iterable[_Item]
    """To be iterated once: each is decoded when it is asked for."""


class _PageSize:
    """The number of objects to ask for, so that a page has a good length, judging by the page before."""

    def __init__(self) -> None:
        self.limit = _FIRST_PAGE

    def shrink(self) -> None:
        """Ask for fewer objects, because this many were too long."""
        self.limit = max(1, self.limit // 4)

    def fit(self, objects: int, length: int) -> None:
        """Learn from a page how long objects are."""
        if objects:
            self.limit = max(1, min(_LARGEST_PAGE, _WANTED_PAGE_BYTES * objects // length))


class _WatchEvent(msgspec.Struct):
    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"]
    object: msgspec.Raw


class _ApiStatus(msgspec.Struct):
    message: str = ""
    reason: str = ""
    code: int = 0


class ApiError(Exception):
    """A request that the API server refused."""

    def __init__(self, status: int, message: str, retry_after: float | None = None) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message
        self.retry_after = retry_after
        """Seconds to wait before a retry, where the server names them."""


OnUnread = Callable[["Kind", str, Exception], None]
"""Called for each object that is skipped: its kind, its name (empty if unknown), and why."""


def _ignore(kind: "Kind", name: str, why: Exception) -> None:
    del kind, name, why


CONNECTION_ERRORS = (aiohttp.ClientError, OSError, TimeoutError)
"""Exceptions of a request when no API server answers."""


def in_words(error: BaseException) -> str:
    """Return an error as text; a timeout has no text of its own."""
    return str(error) or type(error).__name__


class Api:
    """Client of one API server.

    All answers are read within bounds (`kube/bounded.py`). Unreadable objects in lists and watches
    are skipped.

    Args:
        client: sends the requests.
        unread: called for each object that is skipped.
    """

    def __init__(self, client: ApiClient, unread: OnUnread = _ignore) -> None:
        self._client, self._unread = client, unread
        self._large = asyncio.Lock()
        self.requests = 0
        """How many requests were made, watches included."""

    async def pages(
        self, kind: Kind, item: type[_Item], namespace: str = "", **query: str
    ) -> AsyncIterator[Page[_Item]]:
        """Yield all objects of a kind, a page at a time; unreadable ones are skipped.

        Args:
            kind: of the objects.
            item: what each is decoded as; `Partial` asks for the metadata only.
            namespace: their namespace; empty: all namespaces.
            query: `labelSelector` and `fieldSelector`.

        Raises:
            ApiError: refused, or the pages were asked for too slowly (410).
            UnreadableAnswerError: the answer is not a list.
        """
        path, accept = kind.collection(namespace), _accepted(item, "List")
        query = {name: text for name, text in query.items() if text}
        decoder = msgspec.json.Decoder(item)
        size = _PageSize()
        while True:
            found = await self._page(kind, path, query, accept, size)
            metadata = found.metadata
            page = Page(metadata, self._each(kind, decoder, found.items or []))
            del found  # not needed while the next one arrives
            yield page
            del page
            if not metadata.next:
                return
            query["continue"] = metadata.next

    async def _page(
        self, kind: Kind, path: str, query: dict[str, str], accept: str, size: _PageSize
    ) -> _RawPage:
        """Ask for one page, with a lower limit until it can be read."""
        while True:
            limited = query | {"limit": str(size.limit)}
            try:
                answer = await self._request("GET", path, limited, accept=accept)
                found = _decode(answer, _RawPage)
            except UnreadableAnswerError as error:
                if size.limit > 1:
                    size.shrink()
                    continue
                found = _without_items(error.head)
                self._unread(kind, _name_in(error.head), error)
                return found
            size.fit(len(found.items or ()), len(answer))
            return found

    def _each(
        self, kind: Kind, decoder: msgspec.json.Decoder[_Item], items: list[msgspec.Raw]
    ) -> Iterator[_Item]:
        for item in items:
            try:
                decoded = decoder.decode(item)
            except Exception as error:  # noqa: BLE001 - any failure is this object's alone
                self._unread(kind, _name_in(bytes(memoryview(item)[:HEAD_BYTES])), error)
            else:
                yield decoded

    async def watch(
        self, kind: Kind, item: type[_Item], version: str, **query: str
    ) -> AsyncGenerator[tuple[str, _Item], None]:
        """Yield changes since a version, for some minutes; BOOKMARK events only advance the version.

        A change of an unreadable object is skipped, and the next one advances the version. A deletion is
        reported all the same, with no more of the object than that takes.

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
        path, accept = kind.collection(), _accepted(item, "")
        response = await self._send("GET", path, query, accept=accept, timeout=timeout)
        decoder = msgspec.json.Decoder(item)
        async with response:
            await _refusal(response)
            async with aclosing(self._lines(response)) as lines:
                async for line in lines:
                    try:
                        change, changed = _decode_change(line, decoder)
                    except ApiError:
                        raise
                    except Exception as error:  # noqa: BLE001 - any failure is this object's alone
                        head = line.head if isinstance(line, TooLongError) else bytes(line[:HEAD_BYTES])
                        self._unread(kind, _name_in(head), error)
                        if (gone := _deleted_in(head)) is None:
                            continue
                        change, changed = "DELETED", decoder.decode(gone)
                    del line  # not needed while the next one arrives
                    yield change, changed

    async def _lines(
        self, response: aiohttp.ClientResponse
    ) -> AsyncGenerator[bytearray | TooLongError, None]:
        splitter = LineSplitter(MAX_BYTES)
        parts = chunks(response.content, lambda: splitter.buffered_bytes, self._large, REQUEST_SECONDS)
        async with aclosing(parts):
            async for part in parts:
                for line in splitter.feed(part):
                    yield line
                    del line  # else it would be kept until the next one arrives

    async def get(self, kind: Kind, namespace: str, name: str) -> Partial | None:
        """Return the metadata of one object; None if it does not exist.

        Raises:
            ApiError: refused.
        """
        answer = await self._find(kind, namespace, name, accept=_metadata_only(""))
        return None if answer is None else _decode(answer, Partial)

    async def read(self, kind: Kind, namespace: str, name: str) -> dict[str, Any] | None:
        """Return one whole object; None if it does not exist.

        Raises:
            ApiError: refused.
        """
        return await self.read_as(dict[str, Any], kind, namespace, name)

    async def read_as(self, item: type[_Item], kind: Kind, namespace: str, name: str) -> _Item | None:
        """Read one whole object, and keep only what its type has; None if it does not exist.

        Raises:
            ApiError: refused.
            msgspec.MsgspecError: it is not of that type.
        """
        answer = await self._find(kind, namespace, name, accept="application/json")
        return None if answer is None else _decode(answer, item)

    async def _find(self, kind: Kind, namespace: str, name: str, *, accept: str) -> bytearray | None:
        try:
            return await self._request("GET", f"{kind.collection(namespace)}/{name}", {}, accept=accept)
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    async def document(self, path: str) -> dict[str, Any]:
        """Return the document at a path that is not an object's, such as /version.

        Raises:
            ApiError: refused, or not found.
        """
        answer = await self._request("GET", path, {}, accept="application/json")
        return _decode(answer, dict[str, Any])

    async def create(
        self, kind: Kind, namespace: str, obj: dict[str, Any], *, dry_run: bool = False
    ) -> dict[str, Any]:
        """Create an object, and return it as stored, or as it would be with a dry run.

        Raises:
            ApiError: refused.
        """
        query = {"dryRun": "All"} if dry_run else {}
        path = kind.collection(namespace)
        answer = await self._request("POST", path, query, accept="application/json", body=obj)
        return _decode(answer, dict[str, Any])

    async def apply(
        self, kind: Kind, obj: dict[str, Any], *, force: bool, field_manager: str = FIELD_MANAGER
    ) -> Partial:
        """Apply an object server-side, and return it as stored.

        Args:
            kind: of the object.
            obj: all fields that the manager owns.
            force: take over fields that others have set to other values.
            field_manager: the name of the manager.

        Raises:
            ApiError: refused; 409 if others own the fields, without force.
        """
        metadata = obj["metadata"]
        path = f"{kind.collection(metadata.get('namespace', ''))}/{metadata['name']}"
        query = {"fieldManager": field_manager, "force": "true" if force else "false"}
        answer = await self._request("PATCH", path, query, accept=_metadata_only(""), body=obj)
        return _decode(answer, Partial)

    async def delete(self, kind: Kind, metadata: Metadata) -> None:
        """Delete exactly this object; it is no error if it is gone already.

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
        """Evict exactly this Pod.

        Source: Kubernetes documentation, "API-initiated Eviction".

        Raises:
            ApiError: refused; 429 if a PodDisruptionBudget forbids it now, 404 if it is gone, 409
                if another one has its name.
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
    ) -> bytearray:
        timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
        response = await self._send(method, path, query, accept=accept, body=body, timeout=timeout)
        async with response:
            await _refusal(response)
            return await whole(response.content, self._large, REQUEST_SECONDS)

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


def _accepted(item: type, suffix: str) -> str:
    return _metadata_only(suffix) if item is Partial else "application/json"


def _decode(answer: bytes | bytearray | msgspec.Raw, form: type[_Item]) -> _Item:
    """Decode JSON.

    Raises:
        UnreadableAnswerError: it does not have this form, or is nested too deeply.
    """
    try:
        return msgspec.json.decode(answer, type=form)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise UnreadableAnswerError(in_words(error), bytes(memoryview(answer)[:HEAD_BYTES])) from error


def _decode_change(line: bytearray | TooLongError, decoder: msgspec.json.Decoder[_Item]) -> tuple[str, _Item]:
    """Decode a line of a watch.

    Raises:
        ApiError: it is an error that ends the watch.
        UnreadableAnswerError: it is not an event, or is too long.
    """
    if isinstance(line, TooLongError):
        raise line
    event = _decode(line, _WatchEvent)
    if event.type == "ERROR":
        status = _decode(event.object, _ApiStatus)
        raise ApiError(status.code, status.message)
    return event.type, decoder.decode(event.object)


async def _refusal(response: aiohttp.ClientResponse) -> None:
    """Raise the API server's error, unless it answered with success."""
    if response.status < HTTPStatus.BAD_REQUEST:
        return
    try:
        text = await whole(response.content, asyncio.Lock(), REQUEST_SECONDS, _MAX_REFUSAL_BYTES)
        message = _decode(text, _ApiStatus).message
    except UnreadableAnswerError as error:
        message = error.head.decode(errors="replace")[:200]
    patience = response.headers.get("Retry-After", "")
    raise ApiError(response.status, message, float(patience) if patience.isdecimal() else None)


_ITEMS = b'"items":'


def _without_items(head: bytes) -> _RawPage:
    """Return a page of which only the first bytes can be read: the API server writes the objects last.

    Raises:
        UnreadableAnswerError: where they begin cannot be seen.
    """
    before, _, _ = head.partition(_ITEMS)
    return _decode(before + _ITEMS + b"null}", _RawPage)


_NAME = re.compile(
    rb'"metadata":\{"name":"([^"\\]{1,253})",(?:"generateName":"[^"\\]*",)?(?:"namespace":"([^"\\]{1,63})",)?'
)


_DELETED = b'{"type":"DELETED",'
_UID_AND_VERSION = re.compile(rb'"uid":"([A-Za-z0-9-]{1,253})","resourceVersion":"([0-9]{1,40})"')


def _deleted_in(text: bytes) -> bytes | None:
    """Return the JSON of a deleted object as far as it says which one it was, by the first bytes of a line.

    Within a text of the object, a quotation mark has a backslash before it: none can pass for these fields.
    """
    named = _NAME.search(text) if text.startswith(_DELETED) else None
    versioned = _UID_AND_VERSION.match(text, named.end()) if named else None
    return b"{" + named[0] + versioned[0] + b"}}" if named and versioned else None


def _name_in(text: bytes) -> str:
    """Return the namespace and name of an object from its first bytes; empty if they are not found."""
    found = _NAME.search(text)
    parts = reversed(found.groups()) if found else ()
    return "/".join(part.decode(errors="replace") for part in parts if part)
