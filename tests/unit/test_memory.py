"""When the server gives memory back to the system."""

import asyncio
import contextlib
import ctypes
import resource
from pathlib import Path
from types import SimpleNamespace

import pytest

from hazelcast_sidecar.runtime import memory

MUCH = 96 * 2**20


def look(folder: Path, monkeypatch: pytest.MonkeyPatch, resident: int | None) -> None:
    """Have the process look at what the system says, without a pause."""
    statm = folder / "statm"
    if resident is not None:
        statm.write_text(f"{2**30} {resident // resource.getpagesize()} 77 1 0 99 0\n")
    monkeypatch.setattr(memory, "_PAGES", statm)
    monkeypatch.setattr(memory, "_LOOK_SECONDS", 0)


@pytest.mark.parametrize(
    ("resident", "gives"), [(MUCH, False), (MUCH + resource.getpagesize(), True), (None, False)]
)
async def test_memory_is_given_back_while_there_is_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resident: int | None, *, gives: bool
) -> None:
    given: list[int] = []
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace(malloc_trim=given.append))
    look(tmp_path, monkeypatch, resident)
    giving = asyncio.create_task(memory.give_back_memory())
    for _ in range(10):
        await asyncio.sleep(0)
    giving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await giving
    assert set(given) == ({0} if gives else set())
    assert memory._resident_bytes() == (resident or 0)  # noqa: SLF001


async def test_another_libc_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    look(tmp_path, monkeypatch, 2 * MUCH)
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace())
    await asyncio.wait_for(memory.give_back_memory(), 30)


def test_the_system_says_how_much_there_is() -> None:
    """Python alone takes some MiB."""
    assert 2**22 < memory._resident_bytes() < 2**36  # noqa: SLF001 - what the real file says
