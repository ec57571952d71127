"""HTTP connections that wait for the next request: a handshake takes several times the CPU time of one."""

from collections.abc import Callable, Mapping
from http.client import HTTPConnection
from ssl import SSLEOFError

_CLOSED = (ConnectionError, SSLEOFError)
"""What a request raises on a connection that the server has closed; the second with TLS, while it is sent."""


class KeptConnections:
    """Connections to one server, as many as threads make requests at a time.

    Args:
        connect: makes another one.
    """

    def __init__(self, connect: Callable[[], HTTPConnection]) -> None:
        self._connect = connect
        self._idle: list[HTTPConnection] = []

    def request(
        self, method: str, path: str, body: str | None, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        """Make a request, and return the status and the body of the answer.

        A connection that the server has closed meanwhile is replaced.
        """
        while True:
            try:
                connection, was_kept = self._idle.pop(), True
            except IndexError:
                connection, was_kept = self._connect(), False
            try:
                connection.request(method, path, body, headers)
                response = connection.getresponse()
                answer = response.status, response.read()
            except BaseException as error:
                connection.close()
                if not was_kept or not isinstance(error, _CLOSED):
                    raise
            else:
                self._idle.append(connection)
                return answer

    def close(self) -> None:
        """Close those that wait."""
        while self._idle:
            self._idle.pop().close()
