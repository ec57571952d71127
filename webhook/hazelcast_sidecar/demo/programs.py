"""Programs that a demonstration starts, watches and always stops."""

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Self

import aiohttp

from hazelcast_sidecar.demo.failure import DemoError

_STOP_SECONDS = 10
_POLL_SECONDS = 0.1
_LOG_TAIL = 15
_LEASH = ("setpriv", "--pdeathsig", "KILL", "--") if shutil.which("setpriv") else ()
"""Makes the end of a program's parent its own, and becomes the program."""


class Program:
    """One running program, with its output in a file."""

    def __init__(self, name: str, started: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self.log = log
        self._started = started

    @property
    def ended(self) -> bool:
        """Tell whether it has ended."""
        return self._started.returncode is not None

    def output(self) -> str:
        """Return what it has printed so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it and to its own children."""
        if not self.ended:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._started.pid, number)

    async def wait(self) -> None:
        """Wait for its end."""
        await self._started.wait()

    async def until(self, condition: Callable[[], bool], what: str, seconds: float) -> None:
        """Wait for a condition.

        Raises:
            DemoError: the program ended, or the time is up; with the end of its output.
        """
        deadline = monotonic() + seconds
        while not condition():
            if self.ended:
                raise DemoError(
                    f"{self.name} ended with status {self._started.returncode} before {what}:\n{self._tail()}"
                )
            if monotonic() > deadline:
                raise DemoError(f"{self.name}: no {what} within {seconds:.0f} s:\n{self._tail()}")
            await asyncio.sleep(_POLL_SECONDS)

    async def until_ok(self, http: aiohttp.ClientSession, url: str, seconds: float) -> None:
        """Wait until a GET is answered with status 200, as the kubelet's probes do.

        Raises:
            DemoError: as `until`.
        """
        answered = False

        async def ask() -> None:
            nonlocal answered
            while not answered:
                with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                    async with http.get(url) as response:
                        answered = response.status == 200  # noqa: PLR2004 - HTTP's own number
                if not answered:
                    await asyncio.sleep(_POLL_SECONDS)

        asking = asyncio.create_task(ask())
        try:
            await self.until(lambda: answered, f"200 from {url}", seconds)
        finally:
            asking.cancel()

    def _tail(self) -> str:
        return "\n".join(f"    {line}" for line in self.output().splitlines()[-_LOG_TAIL:])


class Programs:
    """Started programs; leaving the context stops them all, after any exception."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._programs: list[Program] = []

    async def start(self, name: str, command: Sequence[str], env: Mapping[str, str]) -> Program:
        """Start a program in a session of its own, so that Ctrl-C reaches us alone.

        On Linux it ends with us, even if we are killed.
        """
        log = self._folder / f"{name.replace(' ', '-')}.log"
        with log.open("ab") as output:
            started = await asyncio.create_subprocess_exec(
                *_LEASH,
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                env=dict(env),
                cwd=self._folder,
                start_new_session=True,
            )
        program = Program(name, started, log)
        self._programs.append(program)
        return program

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def stop(self) -> None:
        """End everything: politely, and after some seconds by force."""
        for program in self._programs:
            program.signal(signal.SIGTERM)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_STOP_SECONDS):
                    await asyncio.gather(*(program.wait() for program in self._programs))
        finally:
            for program in self._programs:
                program.signal(signal.SIGKILL)
        await asyncio.gather(*(program.wait() for program in self._programs))
