"""The connection to the cluster: kept up, found again, and asked until there is an answer."""

import asyncio
import itertools
import logging
import socket
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, Literal, NamedTuple, TypeVar

from hazelcast.asyncio import HazelcastClient, Map
from hazelcast.config import InMemoryFormat, ReconnectMode
from hazelcast.core import Address, EndpointQualifier, MemberInfo, ProtocolType
from hazelcast.errors import HazelcastError
from hazelcast.lifecycle import LifecycleState

from app.settings import Settings

# All in seconds. REQUEST_LIMIT is enough for a backup to step in for a member that died.
REQUEST_LIMIT, START_LIMIT, SHUTDOWN_LIMIT = 4.0, 5.0, 0.75
RETRY_PAUSE, NEXT_CLIENT_PAUSE = 0.1, 0.5
# How old an answer of the near cache may be. The client does not notice when word of a change is lost,
# as with a connection, or when it overtakes the value: without an end such an entry would stay wrong.
NEAR_CACHE_SECONDS = 10.0

MAP, TOPIC = "map", "topic"
LATEST_NEWS = 32
"""How many of the latest news are kept for the page."""
LONGEST_SAID = 600
"""Characters; what is said in the topic may come from elsewhere."""

T = TypeVar("T")

log = logging.getLogger("demo-app")


class MemberAwayError(Exception):
    """No member answers right now; the message is the sentence for the caller."""


class LatestFailure(logging.Handler):
    """Keeps what felled the client's latest attempt to connect, which it only logs (and often)."""

    cause: BaseException | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record of the client's log."""
        self.cause = record.exc_info[1] if record.exc_info else self.cause


class Link(NamedTuple):
    """A client that is connected, and the map of the entries."""

    client: HazelcastClient
    entries: Map[str, Any]

    async def partition_of(self, key: str) -> int:
        """Return the partition that a key belongs to."""
        return int(await self.client.partition_service.get_partition_id(key))


class Picture(NamedTuple):
    """The cluster as this client knows it.

    Args:
        members: addresses, of the oldest member first.
        local: which of them is beside this application, as an index.
        owners: for each partition the index of its owner, or -1 while it has none among the members.
    """

    members: list[str]
    local: int | None
    owners: list[int]


class News(NamedTuple):
    """A key that was written, or what was said in the topic, through any replica; `number` counts them."""

    number: int
    kind: Literal["written", "said"]
    text: str


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
        self._members: list[tuple[object, str]] = []  # UUIDs and addresses
        self._local: int | None = None
        self._link: Link | None = None  # None while there is no connection
        self._news: deque[News] = deque(maxlen=LATEST_NEWS)
        self._numbers = itertools.count(1)
        self._watched = asyncio.Event()

    async def put(self, key: str, value: str) -> str | None:
        """Put an entry and return the value it replaces, or None; takes REQUEST_LIMIT at most."""
        # Sent again when the answer got lost, which is safe: putting the same entry twice leaves what
        # putting it once does. Only the value it replaces may then be the new one.
        before = await self.ask(lambda link: link.entries.put(key, value))
        return None if before is None else str(before)

    async def get(self, key: str) -> str | None:
        """Return the value of a key, or None; takes REQUEST_LIMIT at most."""
        value = await self.ask(lambda link: link.entries.get(key))
        return None if value is None else str(value)

    async def locate(self, key: str) -> tuple[int, str | None]:
        """Return the partition of a key, and the address of the member that owns it."""
        partition = await self.ask(lambda link: link.partition_of(key))
        picture = self.picture()
        owner = picture.owners[partition]
        return partition, picture.members[owner] if owner >= 0 else None

    def members(self) -> tuple[list[str], str | None]:
        """Return the members as the client knows them, the oldest first, and the one in this Pod."""
        if self._link is None:
            raise self._away()
        addresses = [address for _, address in self._members]
        return addresses, None if self._local is None else addresses[self._local]

    def picture(self) -> Picture:
        """Return the members, and who owns which partition."""
        if self._link is None:
            raise self._away()
        service = self._link.client.partition_service
        places = {uuid: index for index, (uuid, _) in enumerate(self._members)}
        owners = map(service.get_partition_owner, range(service.get_partition_count()))
        return Picture(
            [address for _, address in self._members],
            self._local,
            [places.get(owner, -1) for owner in owners],
        )

    def news_since(self, number: int) -> list[News]:
        """Return the latest news from any replica, but those up to a number.

        It knows of none before it was called for the first time: only then members are asked to tell.
        """
        self._watched.set()
        return [news for news in self._news if news.number > number]

    async def stay_connected(self) -> None:
        """Connect, and connect again after each loss of the connection, until cancelled."""
        while True:
            client = self._new_client()
            listed, lost = asyncio.Event(), asyncio.Event()
            client.cluster_service.add_listener(*[partial(self._note_members, client, listed)] * 2)
            client.lifecycle_service.add_listener(partial(self._note_state, lost))
            listening: asyncio.Task[None] | None = None
            try:
                async with asyncio.timeout(START_LIMIT):
                    # What create_and_start does; but that keeps the client to itself until it is up, so
                    # nobody could shut down one that hangs on the way (a member that leaves is enough).
                    await client._start()  # noqa: SLF001
                    await listed.wait()
                    self._link = Link(client, await client.get_map(MAP))
                log.info("connected to %s", self._name)
                listening = asyncio.create_task(self._listen(self._link))
                await lost.wait()
                self._note_trouble("the connection was lost")
            except TimeoutError:
                self._note_trouble(f"it did not let this client in within {START_LIMIT:g} s")
            except Exception as error:  # noqa: BLE001 (whatever felled this client, the next one may live)
                self._note_trouble(str(self._failure.cause or error))
            finally:
                self._link = None
                if listening:
                    listening.cancel()
                with suppress(Exception):  # nothing depends on this client any more
                    async with asyncio.timeout(SHUTDOWN_LIMIT):
                        await client.shutdown()
            await asyncio.sleep(NEXT_CLIENT_PAUSE)

    async def ask(self, question: Callable[[Link], Awaitable[T]]) -> T:
        """Ask until there is an answer, through the next client if need be; for REQUEST_LIMIT at most."""
        if self._link is None:
            raise self._away()
        try:
            async with asyncio.timeout(REQUEST_LIMIT):
                while True:
                    if self._link is not None:
                        try:
                            return await question(self._link)
                        except (HazelcastError, OSError) as error:
                            log.debug("asking again: %s", error)
                    await asyncio.sleep(RETRY_PAUSE)
        except TimeoutError:
            raise self._away() from None

    async def _listen(self, link: Link) -> None:
        """Note the news of all replicas; apart from connecting, which a frozen member must not delay."""
        await self._watched.wait()
        note = self._note_write
        await _repeat(lambda: link.entries.add_entry_listener(added_func=note, updated_func=note))
        topic = await _repeat(lambda: link.client.get_topic(TOPIC))
        await _repeat(lambda: topic.add_listener(self._note_said))

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
        found = client.cluster_service.get_members()
        members = [(member.uuid, in_text(member_address(member))) for member in found]
        if members and members != self._members:
            log.info("Members {size:%d} [%s]", len(members), ", ".join(address for _, address in members))
            self._members = members
            here = (index for index, member in enumerate(found) if self._is_beside(member))
            self._local = next(here, None)
        listed.set()

    def _is_beside(self, member: MemberInfo) -> bool:
        address = member_address(member)
        return in_text(address) == self._settings.address or is_here(address)

    def _note_write(self, event: Any) -> None:  # noqa: ANN401 (of no public type)
        self._news.append(News(next(self._numbers), "written", str(event.key)))

    def _note_said(self, message: Any) -> None:  # noqa: ANN401 (of no public type)
        self._news.append(News(next(self._numbers), "said", str(message.message)[:LONGEST_SAID]))

    def _note_trouble(self, trouble: str) -> None:
        if trouble != self._trouble:  # one line, however many attempts fail for the same reason
            log.warning("no connection to %s: %s", self._name, trouble)
        self._trouble = trouble

    def _away(self) -> MemberAwayError:
        why = self._trouble if self._link is None else f"within {REQUEST_LIMIT:g} s"
        return MemberAwayError(f"No answer from {self._name} ({why}); try again in a few seconds.")


async def _repeat(act: Callable[[], Awaitable[T]]) -> T:
    """Do something until it succeeds."""
    while True:
        with suppress(HazelcastError, OSError):
            return await act()
        await asyncio.sleep(NEXT_CLIENT_PAUSE)


def member_address(member: MemberInfo) -> Address:
    """Return where a member meets others; with `clients: pod`, all have one address for their clients."""
    return member.address_map.get(EndpointQualifier(ProtocolType.MEMBER, None), member.address)


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
