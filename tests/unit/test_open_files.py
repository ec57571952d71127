"""The limit of open files; it holds for a whole process, so one that is lowered for good has its own."""

import resource
import subprocess
import sys
from collections.abc import Iterator

import pytest
from aiohttp import web

from hazelcast_sidecar.runtime.address import Address
from hazelcast_sidecar.runtime.connections import Bounds, Connections
from hazelcast_sidecar.runtime.listening import _allow_open_files, listen

PROGRAM = """
import resource
from hazelcast_sidecar.runtime.listening import _allow_open_files
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

def after(connections, soft, hard):
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    _allow_open_files(connections)
    print(*resource.getrlimit(resource.RLIMIT_NOFILE))

after(10, 600, hard)
after(400, 600, 1500)
after(4000, 1024, 1500)
"""


@pytest.mark.heavy
def test_the_limit_of_open_files_is_raised_to_what_is_needed_and_may_be_had() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True
    )
    enough, needed, all_there_is = done.stdout.splitlines()
    assert enough.startswith("600 ")
    assert 800 < int(needed.split()[0]) < 1200
    assert all_there_is == "1500 1500"


@pytest.fixture
def few_files() -> Iterator[None]:
    """A low soft limit, which can be raised again."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 600), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("few_files")
def test_the_limit_of_open_files_is_never_lowered() -> None:
    before, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    _allow_open_files(10)
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == before
    _allow_open_files(400)
    raised, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert 800 < raised < 1200
    _allow_open_files(10)
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == raised


@pytest.mark.parametrize(
    ("soft", "hard", "allowed"),
    [
        (600, resource.RLIM_INFINITY, 900),
        (600, 700, 700),
        (901, 1000, None),
        (900, 1000, None),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, None),
    ],
)
def test_a_limit_is_raised_as_far_as_the_hard_one_allows(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, allowed: int | None
) -> None:
    """Only an administrator could set all of these."""
    limits: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, both: limits.append(both))
    _allow_open_files(400)
    assert limits == ([] if allowed is None else [(allowed, hard)])


@pytest.mark.usefixtures("few_files")
async def test_a_port_may_have_as_many_files_as_connections() -> None:
    async def nothing(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response()

    connections = Connections(Bounds(connections=400))
    port = await listen("--listen", web.Server(nothing), Address("127.0.0.1", 0), connections)
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 800
    await port.cleanup()
