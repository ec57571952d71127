"""The demo application's near cache: what it answers, how long that may be out of date, and what it costs."""

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest

from tests.harness.ports import own_network
from tests.hazelcast.conftest import Eventually, Launcher, Program, load_app

pytestmark = [pytest.mark.hazelcast, pytest.mark.slow]

NETWORK = own_network()
FIRST, SECOND = (f"{NETWORK}.{number}" for number in (22, 23))
ADDRESS, NEAR = "HAZELCAST_ADDRESS", "HAZELCAST_NEAR_CACHE"


class Replicas(NamedTuple):
    """Two members, an application with a near cache beside one, and one without beside the other."""

    members: list[Program]
    near: Program
    plain: Program


@pytest.fixture(scope="module")
def started(launcher: Launcher) -> Replicas:
    group = [FIRST, SECOND]
    members = [launcher.member(address, group=group) for address in group]
    return Replicas(members, launcher.app(FIRST, HAZELCAST_NEAR_CACHE="true"), launcher.app(SECOND))


@pytest.fixture
def replicas(started: Replicas, eventually: Eventually) -> Replicas:
    """Both applications with both members, as they were or as they have become again."""
    for app in (started.near, started.plain):
        eventually(lambda app=app: len(app.members()) == len(started.members))
        for member in started.members:
            eventually(lambda app=app, member=member: app.is_connected_to(member.address))
    return started


@pytest.fixture
def key(request: pytest.FixtureRequest) -> str:
    """A key that no other test uses."""
    return str(request.node.name)


@contextlib.asynccontextmanager
async def connected(near_cache: str) -> AsyncIterator[Any]:
    """Run the part of the application that knows Hazelcast in this program."""
    cluster = load_app("cluster").Cluster(
        load_app("settings").parse_settings({ADDRESS: f"{FIRST}:5701", NEAR: near_cache})
    )
    connecting = asyncio.create_task(cluster.stay_connected())

    async def answers() -> bool:
        with contextlib.suppress(load_app("cluster").MemberAwayError):
            return bool(cluster.members()[0])
        return False

    try:
        await until(answers)
        yield cluster
    finally:
        while not connecting.done():  # as the application itself does
            connecting.cancel()
            await asyncio.wait([connecting], timeout=0.1)


async def until(question: Callable[[], Awaitable[bool]]) -> None:
    """Ask until the answer is yes."""
    for _ in range(1800):
        if await question():
            return
        await asyncio.sleep(0.1)
    pytest.fail("not within 180 s")


def test_who_puts_an_entry_reads_it(replicas: Replicas, key: str) -> None:
    for value in map(str, range(10)):
        assert replicas.near.ask("/put", key=key, value=value).status == 200
        assert [replicas.near.ask("/get", key=key).text for _ in range(2)] == [value, value]


def test_another_replicas_put_is_read_in_the_end(
    replicas: Replicas, key: str, eventually: Eventually
) -> None:
    assert replicas.near.ask("/put", key=key, value="old").status == 200
    assert replicas.near.ask("/get", key=key).text == "old"

    assert replicas.plain.ask("/put", key=key, value="new")[:2] == (200, "old")

    eventually(lambda: replicas.near.ask("/get", key=key).text == "new")


@pytest.mark.parametrize("how", ["told", "expired"])
async def test_an_entry_goes_by_word_of_a_change_alone_and_by_its_time_alone(
    replicas: Replicas, key: str, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(load_app("cluster"), "NEAR_CACHE_SECONDS", 3600 if how == "told" else 0.5)
    if how == "expired":  # as when word of the change went with the connection that it came by
        monkeypatch.setattr("hazelcast.near_cache.NearCache._invalidate", lambda _cache, _key: None)
    async with connected(near_cache="true") as cluster:
        assert replicas.plain.ask("/put", key=key, value="old").status == 200
        assert await cluster.get(key) == "old"

        assert replicas.plain.ask("/put", key=key, value="new")[:2] == (200, "old")

        async def is_new() -> bool:
            return bool(await cluster.get(key) == "new")

        await until(is_new)


@pytest.mark.usefixtures("replicas")
async def test_a_hit_costs_a_fraction_of_what_asking_a_member_costs(key: str) -> None:
    """CPU time of this program alone: the same calls of the same code, in turns."""
    costs: dict[str, list[float]] = {"true": [], "false": []}
    async with connected("true") as near, connected("false") as plain:
        for _ in range(10):
            for cluster, cost in zip((near, plain), costs.values(), strict=True):
                began = time.process_time()
                for _ in range(100):
                    await cluster.get(key)
                cost.append(time.process_time() - began)
    assert min(costs["true"]) < min(costs["false"]) / 2


# The last one: clients take a frozen member for lost and begin anew, which the others would notice.
def test_what_was_read_is_answered_without_a_member(replicas: Replicas, key: str) -> None:
    assert replicas.near.ask("/put", key=key, value="kept").status == 200
    assert replicas.near.ask("/get", key=key)[:2] == (200, "kept")

    with contextlib.ExitStack() as frozen, ThreadPoolExecutor(2) as threads:
        for member in replicas.members:
            member.popen.send_signal(signal.SIGSTOP)
            frozen.callback(member.popen.send_signal, signal.SIGCONT)
        hit, miss = threads.map(lambda key: replicas.near.ask("/get", key=key), (key, f"not {key}"))

    assert hit[:2] == (200, "kept")
    assert miss.status == 503
