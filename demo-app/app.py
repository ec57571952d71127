"""The demo application: the entries of a Hazelcast map over HTTP, through the member beside it.

GET /put?key=K&value=V   puts an entry; answers the value it replaces, or an empty body
GET /get?key=K           answers the value, or an empty body
GET /members             the cluster's members, and which of them is the one beside this application
GET /readyz              200 while connected to the cluster, else 503
GET /healthz             200 while this application is alive

Settings come from the environment:

HAZELCAST_ADDRESS        the member, 127.0.0.1:5701 by default
HAZELCAST_CLUSTER_NAME   its cluster, dev by default
HOST, PORT               where to listen; every address and port 5000 by default
DRAIN_SECONDS            how long requests are still answered after SIGTERM; 2 by default
HAZELCAST_SMART_ROUTING  false: talk to this member alone, as where only its own Pod's clients are let in
HAZELCAST_NEAR_CACHE     true: keep entries that were read, and answer them without asking a member

With a near cache, /get may answer what the entry was up to 10 s ago (NEAR_CACHE_SECONDS). Members tell
who keeps an entry when it changes, but by default in batches, of 100 changes or of 10 s; with
-Dhazelcast.map.invalidation.batch.enabled=false among the members' java-opts they do so at once, and
10 s is for the case that word is lost. A put through this application drops the entry here, so a get
after it answers the new value, unless another get of the same key was on its way meanwhile.
"""

import asyncio
import logging
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

from aiohttp import web
from aiohttp.typedefs import Handler
from hazelcast.asyncio import HazelcastClient, Map
from hazelcast.config import InMemoryFormat, ReconnectMode
from hazelcast.core import Address
from hazelcast.errors import HazelcastError
from hazelcast.lifecycle import LifecycleState

# All in seconds. REQUEST_LIMIT is enough for a backup to step in for a member that died.
REQUEST_LIMIT, START_LIMIT, SHUTDOWN_LIMIT = 4.0, 5.0, 0.75
RETRY_PAUSE, NEXT_CLIENT_PAUSE = 0.1, 0.5
# How old an answer of the near cache may be. The client does not notice when word of a change is lost,
# as with a connection, or when it overtakes the value: without an end such an entry would stay wrong.
NEAR_CACHE_SECONDS = 10.0
# With what comes after it, it fits into the 30 s that Kubernetes gives a Pod to end.
LONGEST_DRAIN = 25.0

MAP = "map"

log = logging.getLogger("demo-app")


class Settings(NamedTuple):
    """Where the member is, and where to listen (host None: every address, IPv4 and IPv6); time in seconds."""

    address: str
    cluster_name: str
    host: str | None
    port: int
    near_cache: bool = False
    smart_routing: bool = True
    drain: float = 2.0


def parse_settings(environment: Mapping[str, str]) -> Settings:
    """Read the settings from environment variables; ValueError says which one is wrong, and how."""
    address = environment.get("HAZELCAST_ADDRESS") or "127.0.0.1:5701"
    if not re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^\s:\[\]]+):[0-9]{1,5}", address):
        raise ValueError(f"HAZELCAST_ADDRESS is {address!r}: expected HOST:PORT, such as 127.0.0.1:5701")
    port = environment.get("PORT") or "5000"
    if not re.fullmatch("[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:  # noqa: PLR2004 (TCP's last port)
        raise ValueError(f"PORT is {port!r}: expected a number from 1 to 65535")
    cluster_name = environment.get("HAZELCAST_CLUSTER_NAME") or "dev"
    near_cache = parse_switch(environment, "HAZELCAST_NEAR_CACHE", otherwise="false")
    smart_routing = parse_switch(environment, "HAZELCAST_SMART_ROUTING", otherwise="true")
    drain = environment.get("DRAIN_SECONDS") or "2"
    if not re.fullmatch(r"[0-9]{1,2}(\.[0-9]{1,3})?", drain) or float(drain) > LONGEST_DRAIN:
        raise ValueError(f"DRAIN_SECONDS is {drain!r}: expected a number from 0 to {LONGEST_DRAIN:g}")
    host = environment.get("HOST") or None
    return Settings(address, cluster_name, host, int(port), near_cache, smart_routing, float(drain))


def parse_switch(environment: Mapping[str, str], name: str, *, otherwise: str) -> bool:
    """Read a variable that is true or false; ValueError if it is neither."""
    text = environment.get(name) or otherwise
    if text not in {"true", "false"}:
        raise ValueError(f"{name} is {text!r}: expected true or false")
    return text == "true"


class MemberAwayError(Exception):
    """No member answers right now; the message is the sentence for the caller."""


class LatestFailure(logging.Handler):
    """Keeps what felled the client's latest attempt to connect, which it only logs (and often)."""

    cause: BaseException | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record of the client's log."""
        self.cause = record.exc_info[1] if record.exc_info else self.cause


class Cluster:
    """Owns the connection to the cluster; without one, its methods raise MemberAwayError.

    A client lives for as long as it has a member to talk to. When it has lost the last one, or does not come
    up in time, it is thrown away, and the next one starts from the address in the settings. So a member that
    restarts is found again however long that takes, a client that hangs does not stay for long, and nobody
    calls at a remembered address that may belong to another cluster's Pod by now.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._name = f"the Hazelcast member at {settings.address}, cluster {settings.cluster_name!r}"
        self._failure = LatestFailure(logging.WARNING)
        client_log = logging.getLogger("hazelcast")
        client_log.addHandler(self._failure)
        client_log.propagate = False
        self._trouble = "not connected yet"
        self._members: list[Address] = []
        self._entries: Map[str, Any] | None = None  # None while there is no connection

    async def put(self, key: str, value: str) -> str:
        """Put an entry and return the value it replaces, or ""; takes REQUEST_LIMIT at most."""
        # Sent again when the answer got lost, which is safe: putting the same entry twice leaves what
        # putting it once does. Only the value it replaces may then be the new one.
        return await self._answer(lambda entries: entries.put(key, value))

    async def get(self, key: str) -> str:
        """Return the value of a key, or ""; takes REQUEST_LIMIT at most."""
        return await self._answer(lambda entries: entries.get(key))

    def members(self) -> tuple[list[str], str | None]:
        """Return the members as the client knows them, the oldest first, and the one in this Pod."""
        if self._entries is None:
            raise self._away()
        here = [in_text(m) for m in self._members if in_text(m) == self._settings.address or is_here(m)]
        return [in_text(m) for m in self._members], here[0] if here else None

    async def stay_connected(self) -> None:
        """Connect, and connect again after each loss of the connection, until cancelled."""
        while True:
            client = self._new_client()
            listed, lost = asyncio.Event(), asyncio.Event()
            client.cluster_service.add_listener(*[partial(self._note_members, client, listed)] * 2)
            client.lifecycle_service.add_listener(partial(self._note_state, lost))
            try:
                async with asyncio.timeout(START_LIMIT):
                    # What create_and_start does; but that keeps the client to itself until it is up, so
                    # nobody could shut down one that hangs on the way (a member that leaves is enough).
                    await client._start()  # noqa: SLF001
                    await listed.wait()
                    self._entries = await client.get_map(MAP)
                log.info("connected to %s", self._name)
                await lost.wait()
                self._note_trouble("the connection was lost")
            except TimeoutError:
                self._note_trouble(f"it did not let this client in within {START_LIMIT:g} s")
            except Exception as error:  # noqa: BLE001 (whatever felled this client, the next one may live)
                self._note_trouble(str(self._failure.cause or error))
            finally:
                self._entries = None
                with suppress(Exception):  # nothing depends on this client any more
                    async with asyncio.timeout(SHUTDOWN_LIMIT):
                        await client.shutdown()
            await asyncio.sleep(NEXT_CLIENT_PAUSE)

    async def _answer(self, ask: Callable[[Map[str, Any]], Awaitable[object]]) -> str:
        """Asks until there is an answer, through the next client if need be."""
        if self._entries is None:
            raise self._away()
        try:
            async with asyncio.timeout(REQUEST_LIMIT):
                while True:
                    if self._entries is not None:
                        try:
                            value = await ask(self._entries)
                        except (HazelcastError, OSError) as error:
                            log.debug("asking again: %s", error)
                        else:
                            return "" if value is None else str(value)
                    await asyncio.sleep(RETRY_PAUSE)
        except TimeoutError:
            raise self._away() from None

    def _new_client(self) -> HazelcastClient:
        # A text cannot change, so every reader may have the same one; and a hit need not decode it.
        near_cache = {"time_to_live": NEAR_CACHE_SECONDS, "in_memory_format": InMemoryFormat.OBJECT}
        return HazelcastClient(
            cluster_name=self._settings.cluster_name,
            cluster_members=[self._settings.address],
            smart_routing=self._settings.smart_routing,
            # One round of attempts, and no reconnecting: that is what the next client is for.
            cluster_connect_timeout=0,
            reconnect_mode=ReconnectMode.OFF,
            # Up with the first member that answers: waiting for all would wait for a frozen one, too.
            async_start=True,
            # A backup confirms to its primary. Told to confirm to the client, it has nobody to tell until
            # that has connected to it, too, and a put takes 5 s for that long.
            backup_ack_to_client_enabled=False,
            # An address that is gone does not even refuse; notice that within seconds.
            connection_timeout=1.0,
            heartbeat_interval=1.0,
            heartbeat_timeout=REQUEST_LIMIT,
            redo_operation=True,
            invocation_timeout=REQUEST_LIMIT,
            invocation_retry_pause=RETRY_PAUSE,
            near_caches={MAP: near_cache} if self._settings.near_cache else {},
        )

    def _note_state(self, lost: asyncio.Event, state: str) -> None:
        if state == LifecycleState.DISCONNECTED:
            lost.set()

    def _note_members(self, client: HazelcastClient, listed: asyncio.Event, _changed: object) -> None:
        members = [member.address for member in client.cluster_service.get_members()]
        if members and members != self._members:
            log.info("Members {size:%d} [%s]", len(members), ", ".join(map(in_text, members)))
            self._members = members
        listed.set()

    def _note_trouble(self, trouble: str) -> None:
        if trouble != self._trouble:  # one line, however many attempts fail for the same reason
            log.warning("no connection to %s: %s", self._name, trouble)
        self._trouble = trouble

    def _away(self) -> MemberAwayError:
        why = self._trouble if self._entries is None else f"within {REQUEST_LIMIT:g} s"
        return MemberAwayError(f"No answer from {self._name} ({why}); try again in a few seconds.")


def in_text(address: Address) -> str:
    """Format an address as HOST:PORT, with brackets around an IPv6 host."""
    return f"[{address.host}]:{address.port}" if ":" in address.host else f"{address.host}:{address.port}"


def is_here(address: Address) -> bool:
    """Whether an address is this machine's own (in a Pod: the Pod's)."""
    with socket.socket(
        socket.AF_INET6 if ":" in address.host else socket.AF_INET, socket.SOCK_DGRAM
    ) as probe:
        # Connecting a datagram socket sends nothing; it picks the address that packets would leave from.
        refused = probe.connect_ex((address.host, address.port))
        return not refused and bool(probe.getsockname()[0] == address.host)


CLUSTER = web.AppKey("cluster", Cluster)
DRAINING = web.AppKey("draining", asyncio.Event)


def parameters(request: web.Request, *names: str) -> list[str]:
    """Return the values of these query parameters, all of which must be there (else 400)."""
    missing = [name for name in names if name not in request.query]
    if missing:
        call = f"{request.path}?" + "&".join(f"{name}={name.upper()}" for name in names)
        raise web.HTTPBadRequest(text=f"Missing {' and '.join(missing)}: call {call}\n")
    return [request.query[name] for name in names]


async def put(request: web.Request) -> web.Response:
    """Answers the value that the new one replaces."""
    return web.Response(text=await request.app[CLUSTER].put(*parameters(request, "key", "value")))


async def get(request: web.Request) -> web.Response:
    """Answers the value of a key."""
    return web.Response(text=await request.app[CLUSTER].get(*parameters(request, "key")))


async def members(request: web.Request) -> web.Response:
    """Answers {"size": N, "members": ["HOST:PORT", ...], "local": "HOST:PORT" or null}."""
    addresses, local = request.app[CLUSTER].members()
    return web.json_response({"size": len(addresses), "members": addresses, "local": local})


async def readyz(request: web.Request) -> web.Response:
    """Answers 200 while connected and not about to end."""
    if request.app[DRAINING].is_set():
        raise web.HTTPServiceUnavailable(text="draining: this replica is about to end\n")
    addresses, _ = request.app[CLUSTER].members()
    return web.Response(text=f"connected, {len(addresses)} members\n")


async def healthz(_request: web.Request) -> web.Response:
    """Answers 200, whatever the member does."""
    return web.Response(text="alive\n")


@web.middleware
async def say_when_away(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answers 503 with a sentence while no member does."""
    try:
        return await handler(request)
    except MemberAwayError as away:
        raise web.HTTPServiceUnavailable(text=f"{away}\n", headers={"Retry-After": "1"}) from None


async def connection(app: web.Application) -> AsyncIterator[None]:
    """Connect in the background, so that the port answers from the start, even without a member."""
    connecting = asyncio.create_task(app[CLUSTER].stay_connected())
    yield
    while not connecting.done():  # the client swallows a cancellation that meets it while it connects
        connecting.cancel()
        await asyncio.wait([connecting], timeout=RETRY_PAUSE)


async def drain(seconds: float, app: web.Application) -> AsyncIterator[None]:
    """Take the signals over from aiohttp, which ends at the first one.

    SIGTERM is how a Pod's end begins, and whoever sends requests here learns of that a little later: they
    are answered for so many seconds more. SIGINT, or a second SIGTERM, ends it at once.
    """
    loop, timers = asyncio.get_running_loop(), list[asyncio.TimerHandle]()

    def begin() -> None:
        log.info("draining for %g s", seconds)
        app[DRAINING].set()
        loop.add_signal_handler(signal.SIGTERM, end)
        timers.append(loop.call_later(seconds, end))

    def end() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, lambda: None)  # it ends already
        for timer in timers:
            timer.cancel()
        raise web.GracefulExit

    loop.add_signal_handler(signal.SIGTERM, begin)
    loop.add_signal_handler(signal.SIGINT, end)
    yield


async def send_elsewhere(request: web.Request, response: web.StreamResponse) -> None:
    """End each connection with its next answer while draining: a kept one would lead here until the end."""
    if request.app[DRAINING].is_set():
        response.headers["Connection"] = "close"
        response.force_close()


def main() -> None:
    """Serve until SIGINT, or for DRAIN_SECONDS after SIGTERM, and end with status 0 then."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stdout)
    try:
        settings = parse_settings(os.environ)
        app = web.Application(middlewares=[say_when_away])
        app[CLUSTER] = Cluster(settings)
        app[DRAINING] = asyncio.Event()
        app.cleanup_ctx.extend((connection, partial(drain, settings.drain)))
        app.on_response_prepare.append(send_elsewhere)
        app.router.add_get("/put", put, allow_head=False)  # a HEAD request must not write
        app.add_routes([web.get(f"/{h.__name__}", h) for h in (get, members, readyz, healthz)])
        web.run_app(
            app,
            host=settings.host,
            port=settings.port,
            shutdown_timeout=SHUTDOWN_LIMIT,
            access_log=None,
            print=None,
        )
    except (ValueError, OSError) as error:
        sys.exit(f"demo-app: {error}")


if __name__ == "__main__":
    main()
