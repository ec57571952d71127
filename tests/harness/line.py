"""A line between a controller and the API server that can be cut, and on which what is sent can be lost."""

import contextlib
import socket
import threading
from pathlib import Path
from urllib.parse import urlsplit

from tests.harness.accounts import Account


class Line:
    """A TCP connection to the API server that can be cut: for the controller it is the API server.

    Args:
        url: of the API server.
    """

    def __init__(self, url: str) -> None:
        self._beyond = url
        self._ends: list[socket.socket] = []
        """Of each connection the controller's, and then the API server's."""
        self._silent: set[socket.socket] = set()
        """Ends from which nothing is passed on any more."""
        self._lost: slice | None = None
        """Which ends of a new connection are silent; None: the route is there."""
        self._door = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._door.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def of(self, account: Account, folder: Path) -> Account:
        """The same account, which reaches the API server over this line."""
        kubeconfig = folder / "line.kubeconfig"
        kubeconfig.write_text(account.kubeconfig.read_text().replace(self._beyond, self.url))
        return account._replace(kubeconfig=kubeconfig)

    def cut(self) -> None:
        """End every connection, in both directions; new ones may be made at once."""
        ends, self._ends = self._ends, []
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def silence(self) -> None:
        """Let every connection die as a lost route does: nothing comes any more, and nobody is told."""
        self._silent, self._ends = self._silent | {*self._ends}, []

    def part(self, *, answers_alone: bool = False) -> None:
        """Lose the route until it is mended: what is sent is lost, also on new connections.

        Args:
            answers_alone: what the controller sends arrives, and no answer comes back.
        """
        self._lost = slice(1, None, 2) if answers_alone else slice(None)
        self._silent |= {*self._ends[self._lost]}

    def mend(self) -> None:
        """Have the route again; connections on which something was lost have ended."""
        self._lost = None
        self._ends += self._silent
        self.cut()

    def close(self) -> None:
        self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        self.mend()

    def _accept(self) -> None:
        target = urlsplit(self._beyond)
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._door.accept()
                far = socket.create_connection((target.hostname, target.port))
                self._ends += [near, far]
                if self._lost:
                    self._silent |= {*[near, far][self._lost]}
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=self._pass_on, args=ends, daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError), source:
            while block := source.recv(65536):
                if source not in self._silent:
                    sink.sendall(block)
            if source not in self._silent:
                sink.shutdown(socket.SHUT_RDWR)
