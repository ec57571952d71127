"""More than a map: a counter, a queue, a topic, and SQL over the entries of the map.

GET /counter      {"replica", "value"}
POST /counter     a number to add, such as 1; answers the same
POST /queue       a text, which goes to the end; answers {"replica", "size"}
DELETE /queue     takes the first text: {"replica", "size", "text" (null where there is none)}
POST /topic       a text, which each page of each replica is sent as the event `said`; answers {"replica"}
GET /sql?part=P   the entries that have P in their value: {"replica", "entries": [[key, value], ...]},
                  both shortened; 501 with a sentence where the members answer no SQL

Bodies are JSON. The client asks again where an answer got lost, which is right for a map. So while a member
is killed a number may be added twice, and a text may be taken without getting here. The counter has no backup
that an answer waits for: what was added within the last second may go with the member that was killed.
"""

import json

from aiohttp import web
from hazelcast.errors import ConsistencyLostError
from hazelcast.sql import HazelcastSqlError

from app.cluster import MAP, TOPIC, Link
from app.guide import parameters
from app.keys import CLUSTER, SETTINGS

COUNTER, QUEUE = "counter", "queue"
LARGEST_STEP = 1_000
LONGEST_TEXT = 500
LONGEST_QUEUE = 100
MOST_ENTRIES = 20
LONGEST_SHOWN = 100
"""Characters of a key or a value in an answer to SQL."""

_MAPPING = f"""
CREATE MAPPING IF NOT EXISTS "{MAP}" TYPE IMap OPTIONS ('keyFormat' = 'varchar', 'valueFormat' = 'varchar')
"""
_QUERY = f"""
SELECT SUBSTRING(__key FROM 1 FOR {LONGEST_SHOWN}), SUBSTRING(this FROM 1 FOR {LONGEST_SHOWN})
FROM "{MAP}" WHERE POSITION(? IN this) > 0 ORDER BY __key LIMIT {MOST_ENTRIES}
"""  # noqa: S608 - of constants; what is asked for is a parameter


async def counter(request: web.Request) -> web.Response:
    """Answers the counter's value."""
    return await _add(request, 0)


async def add(request: web.Request) -> web.Response:
    """Add a number to the counter."""
    step = await _body(request)
    if type(step) is not int or abs(step) > LARGEST_STEP:
        raise web.HTTPBadRequest(text=f"Expected a whole number from -{LARGEST_STEP} to {LARGEST_STEP}\n")
    return await _add(request, step)


async def _add(request: web.Request, step: int) -> web.Response:
    async def ask(link: Link) -> int:
        counter = await link.client.get_pn_counter(COUNTER)
        try:
            return int(await counter.add_and_get(step) if step else await counter.get())
        except ConsistencyLostError:
            counter.reset()  # what a killed member had told none is gone: go on from what the others have
            raise

    return _answer(request, value=await request.app[CLUSTER].ask(ask))


async def enqueue(request: web.Request) -> web.Response:
    """Put a text at the end of the queue."""
    text = await _text(request)

    async def ask(link: Link) -> int:
        queue = await link.client.get_queue(QUEUE)
        size = int(await queue.size())
        if size < LONGEST_QUEUE:
            await queue.add(text)
        return size

    size = await request.app[CLUSTER].ask(ask)
    if size >= LONGEST_QUEUE:
        raise web.HTTPConflict(text=f"The queue has {size} texts, and takes no more: take some first\n")
    return _answer(request, size=size + 1)


async def take(request: web.Request) -> web.Response:
    """Take the first text of the queue."""

    async def ask(link: Link) -> tuple[str | None, int]:
        queue = await link.client.get_queue(QUEUE)
        return await queue.poll(), await queue.size()

    text, size = await request.app[CLUSTER].ask(ask)
    return _answer(request, text=None if text is None else str(text)[:LONGEST_TEXT], size=size)


async def publish(request: web.Request) -> web.Response:
    """Say something to the pages of all replicas."""
    said = f"{request.app[SETTINGS].replica}: {await _text(request)}"

    async def ask(link: Link) -> None:
        topic = await link.client.get_topic(TOPIC)
        await topic.publish(said)

    await request.app[CLUSTER].ask(ask)
    return _answer(request)


async def sql(request: web.Request) -> web.Response:
    """Find entries by their values."""
    (part,) = parameters(request, "part")

    async def ask(link: Link) -> list[list[str]] | HazelcastSqlError:
        try:
            await link.client.sql.execute(_MAPPING)
            rows = await link.client.sql.execute(_QUERY, part)
            return [[row.get_object_with_index(column) for column in (0, 1)] async for row in rows]
        except HazelcastSqlError as error:  # asked again, members would answer no better
            return error

    found = await request.app[CLUSTER].ask(ask)
    if isinstance(found, HazelcastSqlError):
        raise web.HTTPNotImplemented(text=_why_no_sql(str(found)))
    return _answer(request, entries=found)


def _why_no_sql(said: str) -> str:
    if "Jet engine is disabled" in said:
        return "SQL is off: it needs Jet, which members have with the annotation sidecar.hazelcast.com/sql.\n"
    return f"The members do not answer this by SQL: {said.splitlines()[0][:LONGEST_TEXT]}\n"


async def _body(request: web.Request) -> object:
    if request.content_type != "application/json":  # which no page of another site sends without asking
        raise web.HTTPUnsupportedMediaType(text='Expected application/json, such as 1 or "a text"\n')
    try:
        return json.loads(await request.read())
    except (ValueError, RecursionError) as error:
        raise web.HTTPBadRequest(text=f"This is not JSON: {error}\n") from None


async def _text(request: web.Request) -> str:
    text = await _body(request)
    if not isinstance(text, str) or not 0 < len(text) <= LONGEST_TEXT:
        raise web.HTTPBadRequest(text=f"Expected a text of 1 to {LONGEST_TEXT} characters, in quotes\n")
    return text


def _answer(request: web.Request, **document: object) -> web.Response:
    return web.json_response({"replica": request.app[SETTINGS].replica, **document})
