"""A real Chromium, and replicas of the demo application with real members for its pages."""

import contextlib
import os
import shutil
import signal
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.harness.ports import own_network
from tests.hazelcast.conftest import Eventually, Launcher, Program, eventually, launcher

__all__ = ["eventually", "launcher"]  # fixtures of these tests, too

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
PATIENCE = 180_000
"""Milliseconds, for a busy machine."""


def find_chromium() -> str:
    """Return the browser's command; without one the tests are skipped, and say what to install."""
    given = os.environ.get("CHROMIUM")
    found = next(filter(None, map(shutil.which, [given] if given else CHROMIUM)), None)
    if not found:
        pytest.skip(
            "NO CHROMIUM, so the page is not tested: `apt-get install chromium`, or CHROMIUM=/path/to/it"
        )
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """For one module: a test with an event loop could not run while this one is open."""
    command = find_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=command)
        yield browser
        browser.close()


@dataclass
class Replica:
    """A member and an application on one address, which a test may kill and start again."""

    address: str
    group: list[str]
    launcher: Launcher
    programs: list[Program]

    @property
    def url(self) -> str:
        return f"http://{self.address}:5000/"

    @property
    def member(self) -> str:
        return f"{self.address}:5701"

    def start_member(self) -> None:
        self.programs.append(self.launcher.member(self.address, group=self.group))

    def start_app(self) -> None:
        self.programs.append(self.launcher.app(self.address))

    def kill(self) -> None:
        """Kill both at once, as when a node is lost."""
        for program in self.programs:
            program.popen.kill()
        for program in self.programs:
            program.popen.wait()
        self.programs.clear()

    def kill_member(self) -> None:
        """Kill the member alone."""
        self.programs.pop(0).end(signal.SIGKILL)


@pytest.fixture(scope="module")
def replicas(launcher: Launcher) -> list[Replica]:
    """Two of them; a test that kills one starts it again."""
    addresses = [f"{own_network()}.{number}" for number in (42, 43)]
    found = [Replica(address, addresses, launcher, []) for address in addresses]
    for replica in found:
        replica.start_member()
        replica.start_app()
    return found


class Service(socketserver.ThreadingTCPServer):
    """Leads new connections to one replica at a time, as a Service does whose other Pods are gone."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address: str, backend: str) -> None:
        self.backend = backend
        self.url = f"http://{address}:5000/"
        super().__init__((address, 5000), _Connection)


class _Connection(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, Service)
        with contextlib.suppress(OSError), socket.create_connection((self.server.backend, 5000)) as backend:
            forth = threading.Thread(target=_pass_on, args=(self.request, backend), daemon=True)
            forth.start()
            _pass_on(backend, self.request)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    """Pass on what comes until either end is gone, and then end the other."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def service(replicas: list[Replica]) -> Iterator[Service]:
    """A Service that leads to the first replica for now."""
    with Service(f"{own_network()}.44", replicas[0].address) as service:
        serving = threading.Thread(target=service.serve_forever, daemon=True)
        serving.start()
        yield service
        service.shutdown()
        serving.join()


Open = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser, eventually: Eventually) -> Iterator[Open]:
    """Open the page of a replica; what a page complains about fails its test in the end."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_it(replica: Replica, *, at: str = "", **options: object) -> Page:
        context = browser.new_context(**{"viewport": DESKTOP, "color_scheme": "light", **options})  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console", lambda message: complaints.append(message.text) if _is_complaint(message) else None
        )
        eventually(lambda: replica.programs[-1].ask("/healthz").status == 200)
        page.goto(at or replica.url)
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert not complaints


def _is_complaint(message: object) -> bool:
    """Whether the console has an error of the page's own: a replica that is away is none."""
    text = str(getattr(message, "text", ""))
    return getattr(message, "type", "") == "error" and "Failed to load resource" not in text
