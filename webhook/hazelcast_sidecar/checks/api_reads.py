"""Reading of a cluster's objects; what the user may not read, or cannot be read, becomes `Unread`."""

from collections.abc import AsyncIterator, Awaitable
from http import HTTPStatus
from typing import TypeVar, cast

import msgspec

from hazelcast_sidecar.checks.results import Unread
from hazelcast_sidecar.errors import in_short
from hazelcast_sidecar.kube.client import CONNECTION_ERRORS, Api, ApiError, in_words
from hazelcast_sidecar.kube.objects import JsonObject, Kind
from hazelcast_sidecar.limits import shown
from hazelcast_sidecar.untrusted import UNDECODABLE

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


def converted(document: JsonObject, form: type[_Item]) -> _Item | Unread:
    """Keep of an object what its type has; a failure concerns this object only."""
    try:
        return msgspec.convert(document, form)
    except (*UNDECODABLE, LookupError, TypeError, AttributeError) as error:
        return Unread(f"it cannot be read as a {form.__name__}: {shown(str(error))}")


async def one_object(api: Api, kind: Kind, namespace: str, name: str) -> JsonObject | Unread | None:
    """Read one object; None if it does not exist."""
    return await attempt(f"get {kind.plural}", api.read(kind, namespace, name))


async def all_objects(api: Api, kind: Kind, namespace: str = "", **query: str) -> list[JsonObject] | Unread:
    """Read all objects of a kind, in one namespace or in all."""

    async def collected() -> list[JsonObject]:
        item = cast("type[JsonObject]", dict)
        return [each async for each in each_object(api, kind, item, namespace, **query)]

    return await attempt(f"list {kind.plural}", collected())


async def each_object(
    api: Api, kind: Kind, item: type[_Item], namespace: str = "", **query: str
) -> AsyncIterator[_Item]:
    """Yield the objects of a kind, each decoded as `item`."""
    async for page in api.pages(kind, item, namespace, **query):
        for each in page.items:
            yield each
