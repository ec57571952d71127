"""Hostile input against the real program: each gets its documented answer, and it goes on injecting."""

import json
import re
import resource
import signal
import socket
import ssl
import struct
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Self

import pytest
import yaml

from hazelcast_sidecar.injection.excess import MAX_CONTAINERS
from hazelcast_sidecar.limits import MAX_PROBLEMS, MAX_REVIEW_BYTES, MAX_VALUES
from hazelcast_sidecar.runtime.connections import KEEPALIVE_SECONDS, Bounds, Closed
from tests.harness.many import LARGEST, largest_decoded
from tests.harness.many import SHAPES as MANY
from tests.harness.procfs import memory_mib
from tests.server.conftest import TlsFiles
from tests.server.hostile import BODIES, GOOD, HEADS, LENGTHS, MIB, SHAPES, Shape, post, request
from tests.server.raw import PATIENCE_SECONDS, Answer, RawClient
from tests.server.test_serve import Server

DOCUMENT = "docs/bad-input.md"
BEGIN, END = "<!-- {} -->", "<!-- /{} -->"
FUZZED_BYTES = 65536  # `make fuzz` looks at no longer ones
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc what the server holds")
TLS_REFUSED = (ssl.SSLError, ConnectionError)


class Victim(Server):
    """The server, with what it writes in files, which never fill as a pipe does."""

    def __init__(self, tls: TlsFiles, folder: Path) -> None:
        self.output, self.errors = folder / "output", folder / "errors"
        with self.output.open("w") as output, self.errors.open("w") as errors:
            super().__init__(tls, "--drain-seconds", "0", stdout=output, stderr=errors)

    def connect(self, *, plain: bool = False, source: str = "127.0.0.1") -> RawClient:
        return RawClient(self.port, None if plain else self.tls.client, source)

    def memory(self) -> float:
        """The most that it ever had in memory, in bytes."""
        return memory_mib(self.program.pid, "VmHWM") * MIB

    def open_files(self) -> int:
        return len(list(Path(f"/proc/{self.program.pid}/fd").iterdir()))

    def closed(self, reason: Closed) -> int:
        """How many connections it has closed for this reason."""
        with RawClient(self.admin_port, None) as client:
            client.send(request(method="GET", path="/metrics"))
            answer = client.answer()
        assert answer
        counter = rb'closed_connections_total\{reason="%b"\} (\d+)' % reason.encode()
        found = re.search(counter, answer.body)
        assert found
        return int(found[1])

    def stop(self) -> None:
        self.program.send_signal(signal.SIGTERM)
        self.program.wait(timeout=PATIENCE_SECONDS)


@pytest.fixture(scope="module")
def victim(tls: TlsFiles, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    """One server for all that is hostile; at its end nothing that it wrote is a traceback."""
    server = Victim(tls, tmp_path_factory.mktemp("victim"))
    try:
        yield server
        server.stop()
        assert server.program.returncode == 0
        assert server.errors.read_text(encoding="utf-8") == ""
        lines = [json.loads(line) for line in server.output.read_text(encoding="utf-8").splitlines()]
        assert [line for line in lines if line["level"] == "error"] == []
    finally:
        server.program.kill()
        server.program.wait()


@pytest.fixture(autouse=True)
def injects_afterwards(victim: Victim) -> Iterator[None]:
    yield
    assert victim.program.poll() is None, "the server ended"
    assert victim.member_port() == 5701


@pytest.fixture
def memory_limit(checkout: Path) -> int:
    """What the manifests give the container, in bytes."""
    manifest = yaml.safe_load((checkout / "manifests" / "base" / "deployment.yaml").read_text("utf-8"))
    (container,) = manifest["spec"]["template"]["spec"]["containers"]
    limit = re.fullmatch(r"(\d+)Mi", container["resources"]["limits"]["memory"])
    assert limit
    return int(limit[1]) * MIB


def is_injected(answer: Answer | None) -> bool:
    return answer is not None and answer.status == 200 and b'"patch"' in answer.body


def takes_a_review(client: RawClient) -> bool:
    """Whether it is answered, over a new connection where the server renewed the one of the last time."""
    if client.is_to_renew:
        client.reconnect()
    client.send(post())
    answer = client.answer()
    if answer is None or not is_injected(answer):
        return False
    client.is_to_renew = answer.headers.get("connection") == "close"
    return True


def pass_a_renewal(victim: "Victim") -> None:
    """Return in a moment when the server, for a second, closes no connection behind a good answer."""
    while True:
        with victim.connect() as client:
            assert takes_a_review(client)
            if client.is_to_renew:
                return
        time.sleep(0.05)


ROWS: dict[str, list[tuple[str, str]]] = {
    "bodies": [(shape.what, shape.answer) for shape in BODIES],
    "lengths": [(shape.what, shape.answer) for shape in LENGTHS],
    "heads": [(shape.what, shape.answer) for shape in HEADS],
    "connections": [],
}
"""What the document says, by section."""

Test = Callable[..., None]


def documented(what: str, answer: str) -> Callable[[Test], Test]:
    """A row of the document, which stands and falls with its test."""

    def add(test: Test) -> Test:
        ROWS["connections"].append((what, answer))
        return test

    return add


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.what)
def test_what_is_sent_gets_its_answer(victim: Victim, shape: Shape) -> None:
    if 200 in shape.status:
        pass_a_renewal(victim)
    with victim.connect() as client:
        client.send(shape.sent)
        for status in shape.status:
            answer = client.answer(bodiless=shape.sent.startswith(b"HEAD"))
            assert answer
            assert answer.status == status
            assert b"Traceback" not in answer.body
            assert len(answer.body) < 10_000
            if status == 200:
                assert is_injected(answer)
        assert answer
        assert shape.says in answer.body.decode().replace('\\"', '"')
        assert takes_a_review(client) is shape.stays


# --- what is slow ------------------------------------------------------------------------------------------

HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"  # how a TLS client begins; hundreds of bytes are due


def silent(_: RawClient) -> None:
    """Nothing more is sent."""


def sends(data: bytes) -> Callable[[RawClient], None]:
    return lambda client: client.send(data)


def trickles(head: bytes, drop: bytes) -> Callable[[RawClient], None]:
    """Sends a start, and then a little each third of a second until the server has closed."""

    def send(client: RawClient) -> None:
        client.send(head)
        client.socket.settimeout(0.3)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            try:
                client.socket.sendall(drop)
                assert client.socket.recv(1) == b""
            except TimeoutError:
                continue
            except (ConnectionError, ssl.SSLError):
                pass
            return
        pytest.fail("the server does not close")

    return send


def is_invited(client: RawClient) -> None:
    """Asks whether to send a body, and does not when it may."""
    client.send(request("Expect: 100-continue", f"Content-Length: {len(GOOD)}"))
    answer = client.answer()
    assert answer
    assert answer.status == 100


def does_not_read(client: RawClient) -> None:
    """Sends requests until the server has closed, without taking an answer.

    At first so many that no socket buffers hold all answers, and fewer bytes than may be unanswered; then one
    now and then, since only that shows whether the server has closed. They are no reviews: behind the answer
    to one of these the server may renew the connection.
    """
    asked = request(method="GET")
    deadline = time.monotonic() + 2 * PATIENCE_SECONDS
    with suppress(ConnectionError, ssl.SSLError):
        client.socket.sendall(asked * 60_000)
        while time.monotonic() < deadline:
            time.sleep(0.3)
            client.socket.sendall(asked)
        pytest.fail("the server does not close")


SLOW: tuple[tuple[str, bool, Callable[[RawClient], None]], ...] = (
    ("a connection, and no TLS handshake", True, silent),
    ("half of a TLS handshake", True, sends(HELLO)),
    ("a TLS handshake byte by byte", True, trickles(HELLO, b"\0")),
    ("half of a head", False, sends(b"POST /mutate/pods HTTP/1.1\r\nHost: x\r\n")),
    ("a head byte by byte", False, trickles(b"POST /mutate/pods HTTP/1.1\r\nX: ", b"a")),
    ("a body that stops half-way", False, sends(post(length=len(GOOD) + 1))),
    ("a body byte by byte", False, trickles(post(length=len(GOOD) + 1000), b" ")),
    ("chunks that stop half-way", False, sends(request("Transfer-Encoding: chunked") + b"5\r\nab")),
    ("chunks one by one", False, trickles(request("Transfer-Encoding: chunked"), b"1\r\n \r\n")),
    ("Expect: 100-continue, an answer 100, and no body", False, is_invited),
    ("answers that are not taken", False, does_not_read),
)


ROWS["connections"] += [(row[0], f"closed after {Bounds().request_seconds:.0f} s") for row in SLOW]


def test_what_is_slow_is_closed(victim: Victim) -> None:
    """All at once, and a client with manners beside them."""

    def ended_after(plain: bool, send: Callable[[RawClient], None]) -> float:  # noqa: FBT001
        with victim.connect(plain=plain) as client:
            begun = time.monotonic()
            send(client)
            if send is not does_not_read and not send.__qualname__.startswith("trickles"):
                assert client.answer() is None
            return time.monotonic() - begun

    before = {reason: victim.closed(reason) for reason in Closed}
    with ThreadPoolExecutor(len(SLOW)) as pool:
        attacks = {what: pool.submit(ended_after, plain, send) for what, plain, send in SLOW}
        with victim.connect() as mannered:
            while not all(attack.done() for attack in attacks.values()):
                assert takes_a_review(mannered)
                time.sleep(0.2)
    for what, attack in attacks.items():
        assert attack.result() > Bounds().request_seconds - 1, what
    assert victim.closed(Closed.SLOW) - before[Closed.SLOW] == len(
        [what for what, plain, _ in SLOW if not plain]
    )
    assert victim.closed(Closed.HANDSHAKE) - before[Closed.HANDSHAKE] == 3


# --- TLS ---------------------------------------------------------------------------------------------------


@documented("TLS 1.1 or 1.2", "the handshake fails; closed")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_only_tls_1_3_is_spoken(victim: Victim, version: ssl.TLSVersion) -> None:
    context = victim.tls.client
    context.minimum_version = context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")  # else it is the client that does not speak TLS 1.1
    with pytest.raises(TLS_REFUSED, match=r"(?i)EOF|reset"):  # by the server, without an alert
        RawClient(victim.port, context)


@documented("renegotiation", "TLS 1.3 has none: a client that asks for it speaks TLS 1.2")
def test_there_is_nothing_to_renegotiate(victim: Victim) -> None:
    with victim.connect() as client:
        assert isinstance(client.socket, ssl.SSLSocket)
        assert client.socket.version() == "TLSv1.3"


@documented("another server name, or none", "the same certificate: whom to trust is the client's to decide")
@pytest.mark.parametrize("name", ["example.com", "kubernetes.default.svc", "x" * 60, "192.0.2.1"])
def test_the_server_name_changes_nothing(victim: Victim, name: str) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match=r"(?i)mismatch|not valid for"):
        RawClient(victim.port, victim.tls.client, name=name)
    trusting = victim.tls.client
    trusting.check_hostname = False
    with RawClient(victim.port, trusting, name=name) as client:
        assert takes_a_review(client)


@documented("HTTP without TLS", "closed without a word")
def test_plain_http_is_not_answered(victim: Victim) -> None:
    with victim.connect(plain=True) as client:
        client.send(post())
        answer = client.socket.recv(1000)
    assert b"HTTP" not in answer


@documented("a client that closes its side behind its review", "closed; the answer may still come")
def test_a_half_closed_connection_is_closed(victim: Victim) -> None:
    before = victim.closed(Closed.SLOW)
    for sent in (b"", post()[:-9], post()):
        with victim.connect() as client:
            client.send(sent)
            client.socket.shutdown(socket.SHUT_WR)
            while client.socket.recv(65536):
                pass
    assert victim.closed(Closed.SLOW) == before


@documented("a client that is gone in the middle of anything", "nothing, and nothing is kept")
@LINUX
def test_nothing_is_kept_of_a_client_that_is_gone(victim: Victim) -> None:
    before = victim.open_files()
    for sent in (b"", post()[:-9], post(), post() * 50):
        for _ in range(20):
            with victim.connect() as client:
                client.send(sent)
                client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    deadline = time.monotonic() + PATIENCE_SECONDS
    while victim.open_files() > before:
        assert time.monotonic() < deadline, "files stay open"
        time.sleep(0.1)


# --- many --------------------------------------------------------------------------------------------------

IDLE = 10_000
PLACES = Bounds().connections


@pytest.fixture
def many_files() -> Iterator[None]:
    """Allow this program to have that many connections open."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = IDLE + 1000
    assert before[1] == resource.RLIM_INFINITY or before[1] >= wanted, f"raise `ulimit -Hn` to {wanted}"
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@documented(
    f"{IDLE:,} idle connections, some with TLS",
    f"{PLACES:,} places: each newcomer gets one, and the oldest is closed of those never answered",
)
@pytest.mark.usefixtures("many_files")
@LINUX
def test_many_idle_connections_cost_nobody_his_place(victim: Victim, memory_limit: int) -> None:
    # On a slow machine some have been without a TLS handshake for too long before there is no place left.
    reasons = Closed.EVICTED, Closed.HANDSHAKE
    before = sum(map(victim.closed, reasons))
    with ExitStack() as idle, victim.connect() as known:
        assert takes_a_review(known)
        for number in range(IDLE):
            idle.enter_context(victim.connect(plain=number % 8 > 0))
            if number % 1000 == 0:
                assert takes_a_review(known)
                with victim.connect() as newcomer:
                    assert takes_a_review(newcomer)
        # Once more; it was idle for as long as the last thousand took.
        assert takes_a_review(known)
        with victim.connect() as newcomer:  # accepted behind all others
            assert takes_a_review(newcomer)
        assert sum(map(victim.closed, reasons)) - before >= IDLE - PLACES
        assert victim.open_files() < PLACES + 100
    assert victim.memory() < memory_limit


@pytest.mark.slow
@documented(
    "more connections than places, each of which was answered",
    "of the address with the most of them the one is closed that was answered longest ago",
)
@pytest.mark.usefixtures("many_files")
def test_connections_that_were_answered_fall_by_their_last_answer(victim: Victim) -> None:
    with ExitStack() as busy, victim.connect() as known:
        for number in range(PLACES + 200):
            client = busy.enter_context(victim.connect())
            client.send(request(method="GET"))
            assert client.answer()
            if number % 100 == 0:
                assert takes_a_review(known)
        assert takes_a_review(known)


ATTACKER, API_SERVER = "127.0.0.2", "127.0.0.3"
REVIEWS = 100


class Flood:
    """Plain TCP connections from one address, 2,000 a second for as long as a test is in it, or a minute."""

    def __init__(self, victim: Victim) -> None:
        self.count = 0
        self._victim = victim
        self._open: deque[RawClient] = deque()
        self._ended = Event()
        self._thread = Thread(target=self._connect_until_ended)

    def connect(self, count: int) -> None:
        """Open this many more; of those before only the latest stay open."""
        for _ in range(count):
            self._open.append(self._victim.connect(plain=True, source=ATTACKER))
            self.count += 1
            if len(self._open) > 2 * PLACES:
                self._open.popleft().socket.close()

    def _connect_until_ended(self) -> None:
        deadline = time.monotonic() + 60
        while not self._ended.wait(0.01) and time.monotonic() < deadline:
            self.connect(20)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def end(self) -> None:
        self._ended.set()
        self._thread.join()

    def __exit__(self, *_: object) -> None:
        self.end()
        for client in self._open:
            client.socket.close()


def answered(victim: Victim, pause: float) -> int:
    """How many of `REVIEWS` are answered, each over a new connection that is silent for a while."""

    def is_answered() -> bool:
        try:
            with victim.connect(source=API_SERVER) as client:
                time.sleep(pause)
                return takes_a_review(client)
        except OSError:
            return False

    return sum(is_answered() for _ in range(REVIEWS))


@pytest.mark.slow
@documented(
    f"{PLACES:,} answered connections and 2,000 a second more from one address",
    "they are closed for each other; every review from another address is answered",
)
@pytest.mark.usefixtures("many_files")
@LINUX
def test_a_flood_from_one_address_costs_another_no_review(victim: Victim) -> None:
    with ExitStack() as held:
        for _ in range(PLACES):
            client = held.enter_context(victim.connect(source=ATTACKER))
            client.send(request(method="GET"))
            assert client.answer()
        before = victim.closed(Closed.EVICTED)
        in_use = held.enter_context(victim.connect(source=API_SERVER))
        assert takes_a_review(in_use)
        with Flood(victim) as flood:
            assert [answered(victim, pause) for pause in (0, 0.05)] == [REVIEWS, REVIEWS]
            assert takes_a_review(in_use)
            flood.end()
            assert flood.count > 2 * REVIEWS
            assert victim.closed(Closed.EVICTED) - before > 2 * REVIEWS
            # From the address of the flood, too, as where a proxy stands in between: for a while.
            for _ in range(10):
                with victim.connect(source=ATTACKER) as newcomer:
                    flood.connect(PLACES // 4)
                    assert takes_a_review(newcomer)


@documented(
    "100 bodies of 6.9 MiB that stop before their end",
    f"{Bounds().buffered_bytes // MIB} MiB are held at once; beyond, "
    "the address with the most loses its oldest",
)
@LINUX
def test_large_bodies_that_stall_are_held_within_bounds(victim: Victim, memory_limit: int) -> None:
    before = victim.closed(Closed.MEMORY)
    with ExitStack() as stalled, victim.connect() as known:
        for _ in range(100):
            client = stalled.enter_context(victim.connect())
            client.send(request("Content-Length: 7300000") + b" " * 7_200_000)
            assert takes_a_review(known)
        assert victim.closed(Closed.MEMORY) - before >= 90
    assert victim.memory() < memory_limit


@documented(
    "very many elements, or very long texts, in each place that is read: reviews up to 7 MiB",
    "an answer within a second; one that asks for a member, and has more than "
    f"{MAX_VALUES:,} values, is denied without being decoded",
)
@pytest.mark.parametrize("step", [pytest.param(1, id="all", marks=pytest.mark.slow), 8])
@LINUX
def test_no_review_takes_more_memory_than_there_is(victim: Victim, memory_limit: int, step: int) -> None:
    for number, shape in enumerate(MANY[::step]):
        # What is not decoded costs all shapes the same.
        for sent in (largest_decoded(shape), *[shape.build(LARGEST)] * (number % 4 == 0)):
            with victim.connect() as client:
                client.send(post(sent, path=shape.path))
                answer = client.answer()
            assert answer, shape.what
            assert answer.status in {200, 400, 413}, shape.what
            assert victim.memory() < memory_limit, shape.what


AT_ONCE = 40


@documented(
    f"the worst of these from {AT_ONCE} connections at once",
    f"answered one by one; {Bounds().buffered_bytes // MIB} MiB are held at once, as above",
)
@pytest.mark.parametrize("what", ["annotations of others", "Deployment: managed fields in nested objects"])
@LINUX
def test_many_such_reviews_at_once_take_no_more(victim: Victim, memory_limit: int, what: str) -> None:
    (shape,) = [shape for shape in MANY if shape.what == what]
    for sent in (shape.build(480_000), largest_decoded(shape)):
        with ExitStack() as stack:
            clients = [stack.enter_context(victim.connect()) for _ in range(AT_ONCE)]
            for client in clients:
                client.send(post(sent, path=shape.path)[:-1])
            for client in clients:
                client.send(sent[-1:])
            answers = [client.answer() for client in clients[-4:]]
        assert any(answer and answer.status == 200 for answer in answers)
        assert victim.memory() < memory_limit


@pytest.mark.slow
@documented(
    "as many connections as there are places, each answered once after it sent 64 KB or 256 KB",
    f"buffers of {Bounds().buffer_bytes // MIB} MiB are kept for them; beyond, idle ones are closed",
)
@pytest.mark.parametrize("size", [15_000, 64_000, 256_000])
@pytest.mark.usefixtures("many_files")
@LINUX
def test_connections_that_have_sent_much_leave_little(victim: Victim, memory_limit: int, size: int) -> None:
    sent = post(GOOD[:-1] + b" " * size + GOOD[-1:])
    with ExitStack() as kept:
        for _ in range(PLACES):
            client = kept.enter_context(victim.connect())
            client.send(sent)
            assert is_injected(client.answer())
        assert victim.memory() < memory_limit


@LINUX
def test_memory_stays_below_the_limit_of_the_manifest(
    victim: Victim, memory_limit: int, record_property: Callable[[str, object], None]
) -> None:
    """Of all that came before, whatever that was; alone it says little."""
    record_property("peak memory in MiB", round(victim.memory() / MIB))
    assert victim.memory() < memory_limit


@pytest.mark.slow
def test_idle_connections_outlast_those_of_the_api_server(victim: Victim) -> None:
    """Go's client keeps one for 90 s, also one that it opened and never needed."""
    with victim.connect() as used, victim.connect() as unused, victim.connect() as forgotten:
        assert takes_a_review(used)
        assert takes_a_review(used)
        assert not used.is_to_renew, "one answer in a second closes its connection, and no more"
        time.sleep(95)
        assert takes_a_review(used)
        assert takes_a_review(unused)
        assert forgotten.answer() is None


# --- the document, and the fuzzer's corpus -----------------------------------------------------------------


@pytest.mark.parametrize("section", ROWS)
def test_the_document_says_what_is_tested(
    section: str, checkout: Path, request: pytest.FixtureRequest
) -> None:
    path = checkout / DOCUMENT
    table = "| what comes | what it gets |\n|---|---|\n" + "".join(
        f"| {what} | {answer.replace('|', chr(92) + '|')} |\n" for what, answer in ROWS[section]
    )
    before, rest = path.read_text(encoding="utf-8").split(BEGIN.format(section) + "\n")
    found, after = rest.split(END.format(section))
    if request.config.getoption("--update"):
        text = f"{before}{BEGIN.format(section)}\n{table}{END.format(section)}{after}"
        path.write_text(text, encoding="utf-8")
    else:
        assert found == table, f"{DOCUMENT}: see it with --update and git diff"


def test_the_bounds_are_the_documented_ones(checkout: Path) -> None:
    text = (checkout / DOCUMENT).read_text(encoding="utf-8").split("## Bounds")[1].split("## Bodies")[0]
    rows = [line.split(" | ")[1] for line in text.splitlines() if line.startswith("| ")][1:]
    bounds = Bounds()
    assert bounds.handshake_seconds == bounds.request_seconds
    assert [re.findall(r"[\d,]+(?: MiB| s)?", row)[0] for row in rows] == [
        f"{bounds.connections:,}",
        *[f"{bounds.request_seconds:.0f} s"] * 2,
        f"{KEEPALIVE_SECONDS} s",
        f"{MAX_REVIEW_BYTES // MIB} MiB",
        "8,190",
        f"{bounds.request_bytes // MIB} MiB",
        f"{bounds.buffered_bytes // MIB} MiB",
        f"{bounds.buffer_bytes // MIB} MiB",
        f"{MAX_VALUES:,}",
        f"{MAX_CONTAINERS:,}",
        f"{MAX_PROBLEMS}",
    ]


def test_the_fuzzer_starts_from_these_bodies(checkout: Path, request: pytest.FixtureRequest) -> None:
    corpus = checkout / "tests" / "fuzz" / "corpus"
    known = {path.read_bytes() for path in corpus.iterdir()}
    for shape in BODIES:
        if shape.body is None or shape.body in known or len(shape.body) > FUZZED_BYTES:
            continue
        assert request.config.getoption("--update"), (
            f"{shape.what} is not in the corpus: write it with --update"
        )
        name = re.sub("[^a-z0-9]+", "-", shape.what.lower())
        (corpus / f"{'pod' if shape.status == (200,) else 'broken'}-{name}").write_bytes(shape.body)
