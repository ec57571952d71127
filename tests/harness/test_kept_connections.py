"""Connections that are kept: as few as possible, and none that the server has closed is in the way."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ssl import SSLEOFError
from types import SimpleNamespace
from typing import Any

import pytest

from tests.harness.kept_connections import KeptConnections


class Handler(BaseHTTPRequestHandler):
    """Answers with the body of the request, when all who shall come at a time are there."""

    protocol_version = "HTTP/1.1"
    at_a_time: threading.Barrier

    def setup(self) -> None:
        super().setup()
        self.server.taken.append(self.connection)  # type: ignore[attr-defined]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.at_a_time.wait(30)
        self.send_response(201)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None: ...


class Server(ThreadingHTTPServer):
    """Knows every connection that it took."""

    taken: list[socket.socket]

    @property
    def port(self) -> int:
        return int(self.server_address[1])


@pytest.fixture
def server() -> Iterator[Server]:
    Handler.at_a_time = threading.Barrier(1)
    with Server(("127.0.0.1", 0), Handler) as serving:
        serving.taken = []
        thread = threading.Thread(target=serving.serve_forever, args=(0.01,))
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()


@pytest.fixture
def connections(server: Server) -> Iterator[KeptConnections]:
    kept = KeptConnections(lambda: HTTPConnection("127.0.0.1", server.port, timeout=30))
    with contextlib.closing(kept):
        yield kept


def post(connections: KeptConnections, body: str = "a") -> None:
    assert connections.request("POST", "/", body, {}) == (201, body.encode())


def test_requests_in_turn_share_a_connection(server: Server, connections: KeptConnections) -> None:
    for body in "abc":
        post(connections, body)
    assert len(server.taken) == 1


def test_requests_at_a_time_have_one_each(server: Server, connections: KeptConnections) -> None:
    Handler.at_a_time = threading.Barrier(3)
    with ThreadPoolExecutor(3) as threads:
        for _ in range(2):
            list(threads.map(lambda body: post(connections, body), "abc"))
    assert len(server.taken) == 3


def test_those_that_the_server_has_closed_are_replaced(server: Server, connections: KeptConnections) -> None:
    Handler.at_a_time = threading.Barrier(2)
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda body: post(connections, body), "ab"))
    for connection in server.taken:
        connection.shutdown(socket.SHUT_RDWR)
    Handler.at_a_time = threading.Barrier(1)
    post(connections)
    assert len(server.taken) == 3


def test_a_server_that_is_gone_is_an_error(server: Server, connections: KeptConnections) -> None:
    post(connections)
    server.taken[0].shutdown(socket.SHUT_RDWR)
    server.shutdown()
    server.server_close()
    with pytest.raises(ConnectionError):
        post(connections)


@pytest.mark.parametrize("error", [SSLEOFError, BrokenPipeError])
def test_a_connection_that_was_closed_while_a_request_is_sent_is_replaced(error: type[Exception]) -> None:
    class Closing:
        requests = 0

        def request(self, *_: Any) -> None:
            self.requests += 1
            if self.requests == 2:
                raise error

        def getresponse(self) -> Any:
            return SimpleNamespace(status=200, read=lambda: b"ok")

        def close(self) -> None:
            pass

    made: list[Closing] = []

    def connect() -> Any:
        made.append(Closing())
        return made[-1]

    kept = KeptConnections(connect)
    assert [kept.request("GET", "/", None, {}) for _ in range(2)] == [(200, b"ok")] * 2
    assert len(made) == 2
