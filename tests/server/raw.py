"""A client that says what no well-behaved client would, byte by byte, over TLS or without."""

import contextlib
import socket
import ssl
from dataclasses import dataclass
from types import TracebackType
from typing import Self

PATIENCE_SECONDS = 120
"""For what the server ends itself after ten seconds, on a machine with other things to do."""


@dataclass(frozen=True)
class Answer:
    """One HTTP response."""

    status: int
    headers: dict[str, str]
    body: bytes


class RawClient:
    """One connection.

    Args:
        port: on loopback.
        context: of TLS; None: plain TCP.
        source: the address to come from.
        name: the server name in the TLS handshake.
    """

    def __init__(
        self, port: int, context: ssl.SSLContext | None, source: str = "127.0.0.1", name: str = "127.0.0.1"
    ) -> None:
        self._given = port, context, source, name
        self.is_to_renew = False
        """Whether it is due for renewal, which is for whoever uses it to say."""
        self._connect(*self._given)

    def reconnect(self) -> None:
        """Go on over another connection like this one."""
        self.socket.close()
        self._connect(*self._given)

    def _connect(self, port: int, context: ssl.SSLContext | None, source: str, name: str) -> None:
        address = ("127.0.0.1", port)
        self.socket = socket.create_connection(address, PATIENCE_SECONDS, source_address=(source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context:
            plain = self.socket
            try:
                self.socket = context.wrap_socket(plain, server_hostname=name)
            except BaseException:
                plain.close()
                raise
        self._unread = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send all of it, or as much as the server takes before it closes."""
        with contextlib.suppress(ConnectionError, ssl.SSLEOFError):
            self.socket.sendall(data)

    def answer(self, *, bodiless: bool = False) -> Answer | None:
        """The next response; None: the server closed without one.

        Args:
            bodiless: it is to a HEAD.

        Raises:
            TimeoutError: it does neither.
        """
        while b"\r\n\r\n" not in self._unread:
            if not self._read():
                return None
        head, self._unread = self._unread.split(b"\r\n\r\n", 1)
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        length = 0 if bodiless else int(headers.get("content-length", 0))
        while len(self._unread) < length:
            if not self._read():
                return None
        body, self._unread = self._unread[:length], self._unread[length:]
        return Answer(int(status.split()[1]), headers, body)

    def _read(self) -> bool:
        try:
            data = self.socket.recv(65536)
        except (ConnectionError, ssl.SSLError):
            return False
        self._unread += data
        return bool(data)
