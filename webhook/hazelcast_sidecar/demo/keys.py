"""Keys that are pressed on the terminal, each as soon as it is pressed."""

import asyncio
import os
import sys
import termios
import tty
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

_END_OF_INPUT = "\x04"


@contextmanager
def single_keys() -> Iterator[AsyncIterator[str]]:
    """Let standard input, a terminal, give each key at once; afterwards it is as before.

    Ctrl-C stays a signal. A terminal that goes away, and Ctrl-D, end the keys.
    """
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    pressed: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read() -> None:
        try:
            text = os.read(terminal, 64).decode(errors="ignore")
        except OSError:
            text = ""
        for key in text or _END_OF_INPUT:
            pressed.put_nowait(key)
        if not text:
            loop.remove_reader(terminal)

    tty.setcbreak(terminal)
    loop.add_reader(terminal, read)
    try:
        yield _until_the_end(pressed)
    finally:
        loop.remove_reader(terminal)
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


async def _until_the_end(pressed: asyncio.Queue[str]) -> AsyncIterator[str]:
    while (key := await pressed.get()) != _END_OF_INPUT:
        yield key
