"""The tally: entries that a page writes and looks for again, to see whether any is lost.

POST /tally  {"page": 16 hexadecimal digits, "write": [numbers], "read": [numbers], "drop": [numbers]}
answers      {"replica", "written": [numbers], "found": [numbers], "absent": [numbers]}

Each number is an entry of its own, written once: so one that was written, and is absent when it is read, is
lost, whatever became of attempts that went unanswered. What no member answered is in none of the lists. The
page counts: it outlives the replica that it came from.
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NamedTuple

from aiohttp import web
from hazelcast.asyncio import Map

from app.cluster import Cluster, Link, MemberAwayError
from app.keys import CLUSTER, SETTINGS

MAP = "tally"
SECONDS_KEPT = 3600.0
"""Members forget an entry after that, if its page did not drop it."""
LONGEST_LIST = 50
"""How many numbers one request may bring to be written, to be read, and to be dropped."""
_LARGEST = 2**53 - 1  # that a number of JavaScript has exactly
_FORMAT = '{"page": "16 hexadecimal digits", "write": [1, 2], "read": [1], "drop": []}'


class Request(NamedTuple):
    """What a page asks for: numbers to write, to read and to drop, among those of this page."""

    page: str
    write: list[int]
    read: list[int]
    drop: list[int]


def parse(body: bytes) -> Request:
    """Read a request; ValueError says what is wrong with it."""
    document = json.loads(body)
    if not isinstance(document, dict) or document.keys() != set(Request._fields):
        raise ValueError(f"expected {_FORMAT}")
    page = document.pop("page")
    if not isinstance(page, str) or not re.fullmatch("[0-9a-f]{16}", page):
        raise ValueError("page: expected 16 hexadecimal digits")
    for name, numbers in document.items():
        if not isinstance(numbers, list) or len(numbers) > LONGEST_LIST:
            raise ValueError(f"{name}: expected a list of at most {LONGEST_LIST} numbers")
        if not all(type(number) is int and 0 <= number <= _LARGEST for number in numbers):
            raise ValueError(f"{name}: expected whole numbers from 0 to {_LARGEST}")
    return Request(page, **document)


async def tally(request: web.Request) -> web.Response:
    """Write, read and drop entries of a page's tally."""
    if request.content_type != "application/json":  # which no page of another site sends without asking
        raise web.HTTPUnsupportedMediaType(text=f"Expected application/json: {_FORMAT}\n")
    try:
        asked = parse(await request.read())
    except (ValueError, RecursionError) as error:
        raise web.HTTPBadRequest(text=f"The tally's request cannot be used: {error}\n") from None
    cluster = request.app[CLUSTER]
    written, read, _ = await asyncio.gather(
        _each(cluster, asked.write, lambda n: _write(cluster, f"{asked.page}/{n}")),
        _each(cluster, asked.read, lambda n: _read(cluster, f"{asked.page}/{n}")),
        _each(cluster, asked.drop, lambda n: _drop(cluster, f"{asked.page}/{n}")),
    )
    return web.json_response(
        {
            "replica": request.app[SETTINGS].replica,
            "written": [*written],
            "found": [number for number, found in read.items() if found],
            "absent": [number for number, found in read.items() if not found],
        }
    )


async def _each(
    cluster: Cluster, numbers: list[int], act: Callable[[int], Coroutine[Any, Any, bool]]
) -> dict[int, bool]:
    """Return what came of each number, but for those that no member answered."""
    cluster.members()  # where there is no connection, this says so once for all
    answers = await asyncio.gather(*map(act, numbers), return_exceptions=True)
    found = {}
    for number, answer in zip(numbers, answers, strict=True):
        if isinstance(answer, bool):
            found[number] = answer
        elif not isinstance(answer, MemberAwayError):
            raise answer
    return found


async def _write(cluster: Cluster, key: str) -> bool:
    await _ask(cluster, lambda entries: entries.set(key, key, ttl=SECONDS_KEPT))
    return True


async def _read(cluster: Cluster, key: str) -> bool:
    return bool(await _ask(cluster, lambda entries: entries.get(key)) == key)


async def _drop(cluster: Cluster, key: str) -> bool:
    await _ask(cluster, lambda entries: entries.delete(key))
    return True


async def _ask(cluster: Cluster, act: Callable[[Map[str, str]], Awaitable[object]]) -> object:
    """Do something with the map of the tallies, and return what comes of it."""

    async def ask(link: Link) -> object:
        return await act(await link.client.get_map(MAP))

    return await cluster.ask(ask)
