"""Leads each new connection to one of several ports at random: a program, so that no test delays it.

    python -m tests.harness.relay PORT

A line on its standard input names the ports that connections are led to from then on; its end is the end.
"""

import asyncio
import contextlib
import random
import sys
from asyncio import StreamReader, StreamWriter

import uvloop

_CHUNK = 65536


class Relay:
    """What kube-proxy's rules in the kernel do for one Service.

    Where the kernel would refuse a connection, this one takes it and resets it: to a client both are a
    connection that could not be made.
    """

    def __init__(self) -> None:
        self._ports: list[int] = []

    async def run(self, port: int) -> None:
        """Until the standard input ends."""
        server = await asyncio.start_server(self._lead, "127.0.0.1", port, backlog=1024)
        commands = StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
        while line := await commands.readline():
            self._ports = [int(each) for each in line.split()]
        server.close()

    async def _lead(self, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            if not self._ports:
                raise ConnectionRefusedError
            port = random.choice(self._ports)  # noqa: S311 - as kube-proxy does
            backend_reader, backend = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.transport.abort()
            return
        ways = [
            asyncio.create_task(_pass_on(reader, backend)),
            asyncio.create_task(_pass_on(backend_reader, writer)),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        for end in (writer, backend):
            end.close()


async def _pass_on(reader: StreamReader, writer: StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()


if __name__ == "__main__":
    uvloop.run(Relay().run(int(sys.argv[1])))
