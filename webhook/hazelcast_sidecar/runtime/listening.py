"""Listening ports, each with TLS and limits."""

import asyncio
import os
import resource
import socket
from collections.abc import Callable
from functools import partial
from ssl import SSLContext
from typing import Any

from aiohttp import web

from hazelcast_sidecar.errors import InvalidSettingsError, Problem
from hazelcast_sidecar.runtime.address import Address
from hazelcast_sidecar.runtime.connections import KEEPALIVE_SECONDS, Bounds, Closed, Connection, Connections

HTTP: dict[str, Any] = {
    "keepalive_timeout": KEEPALIVE_SECONDS,
    "lingering_time": 2,  # for the rest of a refused body
    "auto_decompress": False,  # API servers send plain reviews, and a small body could become a large one
}
"""aiohttp's settings here, for its applications and for its low-level server."""

ADMIN_BOUNDS = Bounds(connections=200, request_bytes=64 * 1024, buffered_bytes=1024 * 1024)
"""Limits of a port that serves the kubelet and Prometheus, without bodies."""

_BACKLOG = 1024
_MAPPED = "::ffff:"
_OTHER_FILES = 100  # beside connections: the program's own
_SHUTDOWN_SECONDS = 5
_TLS_GOODBYE_SECONDS = 2
_RETRY_SECONDS = 0.1
_ACCEPTED_AT_ONCE = 100  # between them, answers go on


class Port:
    """An open port, made by `listen`.

    Args:
        runner: runs the server that answers.
        listening: a listening socket.
        connections: the connections of this port.
        tls: the context for the next connection; None: no TLS.
    """

    def __init__(
        self,
        runner: web.BaseRunner,
        listening: socket.socket,
        connections: Connections,
        tls: Callable[[], SSLContext] | None,
    ) -> None:
        self._runner, self._listening, self._tls = runner, listening, tls
        self.connections = connections
        self._loop = asyncio.get_running_loop()
        self._silent: set[Connection] = set()
        self._arriving: set[asyncio.Task[None]] = set()
        self._sweeping = self._loop.create_task(connections.sweep())
        self._open()

    @property
    def address(self) -> Address:
        """Return the address it listens on, with the port that the system chose if none was named."""
        return Address(*self._listening.getsockname()[:2])

    async def cleanup(self) -> None:
        """Stop accepting, finish answers in progress, and close."""
        self._loop.remove_reader(self._listening)
        self._listening.close()
        self._sweeping.cancel()
        for connection in list(self._silent):
            connection.hang_up()
            connection.end()
        for arriving in self._arriving:
            arriving.cancel()
        await self._runner.cleanup()

    def _open(self) -> None:
        self._loop.add_reader(self._listening, self._accept)

    def _accept(self) -> None:
        """Accept some of the connections that have arrived."""
        for _ in range(_ACCEPTED_AT_ONCE):
            try:
                accepted, peer = self._listening.accept()
            except BlockingIOError:
                return
            except ConnectionAbortedError:
                continue
            except OSError:  # no file descriptor is left
                self._loop.remove_reader(self._listening)
                self._loop.call_later(_RETRY_SECONDS, self._reopen)
                return
            accepted.settimeout(0)
            connection = self.connections.add(source_of(peer[0]))
            if self._tls:
                self._await_client(accepted, connection)
            else:
                self._begin(accepted, connection)

    def _reopen(self) -> None:
        if self._listening.fileno() != -1:  # it is not closed
            self._open()

    def _await_client(self, accepted: socket.socket, connection: Connection) -> None:
        """Delay TLS until the client has sent its first byte.

        Without that, a flood of silent connections takes four times as much CPU.
        """
        self._silent.add(connection)
        connection.hang_up = partial(self._forget, accepted, connection)
        self._loop.add_reader(accepted, self._hear, accepted, connection)

    def _hear(self, accepted: socket.socket, connection: Connection) -> None:
        """Begin TLS with a client that has sent something, or clean up if it has closed."""
        try:
            spoke = accepted.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:  # the client has reset the connection
            spoke = b""
        if spoke:
            self._silent.discard(connection)
            self._loop.remove_reader(accepted)
            self._begin(accepted, connection)
        else:
            connection.abort(Closed.HANDSHAKE)

    def _forget(self, accepted: socket.socket, connection: Connection) -> None:
        """Close a connection that has not begun."""
        self._silent.discard(connection)
        self._loop.remove_reader(accepted)
        accepted.close()

    def _begin(self, accepted: socket.socket, connection: Connection) -> None:
        """Serve a connection in a task of its own, so that a slow handshake delays no others."""
        arriving = self._loop.create_task(self._arrive(accepted, connection))
        connection.hang_up = arriving.cancel
        self._arriving.add(arriving)
        arriving.add_done_callback(partial(self._begun, accepted))

    def _begun(self, accepted: socket.socket, arriving: asyncio.Task[None]) -> None:
        self._arriving.discard(arriving)
        if arriving.cancelled():
            accepted.close()  # a task that is cancelled before its first step has not passed it on

    async def _arrive(self, accepted: socket.socket, connection: Connection) -> None:
        """Complete the TLS handshake, and let the server answer requests."""
        server = self._runner.server
        assert server  # noqa: S101 - `listen` has set the runner up
        secure: dict[str, Any] = {}
        if self._tls:
            patience = self.connections.bounds.handshake_seconds
            secure = {"ssl_handshake_timeout": patience, "ssl_shutdown_timeout": _TLS_GOODBYE_SECONDS}
            secure["ssl"] = self._tls()
        try:
            await self._loop.connect_accepted_socket(lambda: connection.serve(server()), accepted, **secure)
        except OSError:  # TLS errors are OSErrors, too
            connection.abort(Closed.HANDSHAKE)
        except BaseException:
            connection.end()
            raise


async def listen(
    option: str,
    server: web.Application | web.Server,
    address: Address,
    connections: Connections,
    tls: Callable[[], SSLContext] | None = None,
) -> Port:
    """Serve at an address until the port's `cleanup`.

    Args:
        option: the option that named the address.
        server: an application, or aiohttp's low-level server, made with the arguments `HTTP`.
        address: where to listen.
        connections: the port's connections, empty as yet, with their limits.
        tls: the context for the next connection; None: no TLS.

    Raises:
        InvalidSettingsError: the address is taken, or is not one of this machine's.
    """
    runner: web.BaseRunner = (
        web.AppRunner(server, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS, **HTTP)
        if isinstance(server, web.Application)
        else web.ServerRunner(server, shutdown_timeout=_SHUTDOWN_SECONDS)
    )
    try:
        listening = _listening_socket(address)
    except OSError as error:
        sentence = f"cannot listen on {address}: {os.strerror(error.errno) if error.errno else error}"
        raise InvalidSettingsError([Problem(option, sentence)]) from error
    _allow_open_files(connections.bounds.connections)
    await runner.setup()
    return Port(runner, listening, connections, tls)


def source_of(host: str) -> str:
    """Return the source by which a client's connections are counted.

    It is an IPv4 address, or the first half of an IPv6 address: one machine may have each of the 2^64
    addresses of its network. A socket for both families has IPv4 addresses as `::ffff:192.0.2.1`.
    """
    if ":" not in host or host.startswith(_MAPPED):
        return host
    return socket.inet_pton(socket.AF_INET6, host.partition("%")[0])[:8].hex()


def _listening_socket(address: Address) -> socket.socket:
    """Open a socket; without a host, on all addresses of this machine."""
    where = address.host, address.port
    if not address.host and socket.has_dualstack_ipv6():
        family, both = socket.AF_INET6, True
    else:
        family, both = socket.AF_INET6 if ":" in address.host else socket.AF_INET, False
    listening = socket.create_server(where, family=family, backlog=_BACKLOG, dualstack_ipv6=both)
    listening.settimeout(0)
    return listening


def _allow_open_files(connections: int) -> None:
    """Raise the soft limit of open files to what two such ports may need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * connections + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
