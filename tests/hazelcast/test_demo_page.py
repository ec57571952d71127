"""What the demo application's page asks for, over HTTP: longer values, entries, the tally and the stream."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from tests.harness.ports import own_network
from tests.hazelcast.conftest import connected_app, load_app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.hazelcast.conftest import Eventually, Launcher, Program

pytestmark = pytest.mark.hazelcast

NETWORK = own_network()
ADDRESS, GUEST, BESIDES, SQL, COUNTING, *PAIR = (f"{NETWORK}.{number}" for number in range(62, 69))
FORM, JSON = "application/x-www-form-urlencoded", "application/json"
"""Of the module that members need for SQL, in the same release."""
PAGE = "0123456789abcdef"
VALUE_BYTES, URL_BYTES = 1_048_576, 8_190


@pytest.fixture(scope="module")
def app(launcher: Launcher, eventually: Eventually) -> Program:
    return connected_app(launcher, eventually, ADDRESS)


@pytest.fixture(scope="module")
def guest(launcher: Launcher, app: Program, eventually: Eventually) -> Program:
    """Another replica of the same cluster, as a client of a member elsewhere."""
    guest = launcher.app(BESIDES, member=app.address)
    eventually(lambda: guest.ask("/readyz").status == 200)
    return guest


@pytest.fixture
def key(request: pytest.FixtureRequest) -> str:
    """A key that no other test uses."""
    return str(request.node.name)


def send(
    method: str, path: str, body: bytes | str = b"", kind: str = "", address: str = ADDRESS
) -> tuple[int, str]:
    """Send a request; its status and text."""
    connection = http.client.HTTPConnection(address, 5000, timeout=30)
    with contextlib.closing(connection):
        connection.request(method, path, body or None, {"Content-Type": kind} if kind else {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


@contextlib.contextmanager
def stream(address: str = ADDRESS) -> Iterator[http.client.HTTPResponse]:
    """Open the page's stream."""
    connection = http.client.HTTPConnection(address, 5000, timeout=30)
    with contextlib.closing(connection):
        connection.request("GET", "/events")
        yield connection.getresponse()


def next_event(answer: http.client.HTTPResponse) -> tuple[str, dict[str, Any]]:
    """The next event; comments are passed over."""
    event: dict[str, str] = {}
    line = ""
    while len(event) < 2 or line.strip():
        line = answer.readline().decode()
        assert line, "the stream ended"
        field, _, text = line.strip().partition(": ")
        if field:
            event[field] = text
    return event["event"], dict(json.loads(event["data"]))


def tally(**lists: list[int]) -> dict[str, Any]:
    asked = {"page": PAGE, "write": [], "read": [], "drop": [], **lists}
    status, text = send("POST", "/tally", json.dumps(asked), JSON)
    assert status == 200, text
    return dict(json.loads(text))


def test_a_value_that_is_too_long_for_a_url_goes_by_post(app: Program, key: str) -> None:
    value = "ü&=" * 5000

    assert send("POST", "/put", urlencode({"key": key, "value": "old"}), FORM) == (200, "")
    assert send("POST", "/put", urlencode({"key": key, "value": value}), FORM) == (200, "old")

    assert app.ask("/get", key=key)[:2] == (200, value)


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize(
    ("form", "kind", "status", "sentence"),
    [
        ("key=k", FORM, 400, "Missing value: send both fields, key and value"),
        ("", FORM, 400, "Missing key and value: send both fields"),
        ("key=k&value=v", "text/plain", 415, "This is text/plain: send the fields key and value as a form"),
        ("key=k&value=v", f"{FORM}; charset=none", 400, "The form is not in the charset that it names"),
        ("key=k&value=" + "v" * (VALUE_BYTES + 1), FORM, 413, "The value has 1,048,577 bytes, and at most 1"),
        ("value=v&key=" + "k" * 8191, FORM, 413, "The key has 8,191 bytes, and at most 8,190 are taken"),
        ("v" * 4_000_000, FORM, 413, "This request is too large: at most 1,048,576 bytes are taken"),
    ],
)  # fmt: skip
def test_a_form_that_cannot_be_put_is_answered_with_what_to_send(
    form: str, kind: str, status: int, sentence: str
) -> None:
    found, text = send("POST", "/put", form, kind)

    assert (found, text[: len(sentence)]) == (status, sentence)


@pytest.mark.usefixtures("app")
def test_a_url_that_is_too_long_is_answered_with_the_limit_and_the_way_around() -> None:
    path = "/put?key=k&value="
    longest = "v" * (URL_BYTES - len(path))

    assert send("GET", path + longest)[0] == 200
    for value in (longest + "v", "v" * 200_000):
        status, text = send("GET", path + value)
        size = len(path + value)
        assert status == 414
        assert text.startswith(
            f"This URL has {size:,} bytes, and at most 8,190 are taken; send a value of up to "
        )
        assert "by POST: curl --data-urlencode key=KEY --data-urlencode value@FILE" in text


@pytest.mark.usefixtures("app")
def test_an_empty_value_is_not_an_absent_one(key: str) -> None:
    absent = json.loads(send("GET", f"/entry?key={key}")[1])
    first = json.loads(send("PUT", f"/entry?key={key}", "")[1])
    second = json.loads(send("PUT", f"/entry?key={key}", "x")[1])

    assert [each["value"] for each in (absent, first, second)] == [None, None, ""]
    assert second["replica"] == ADDRESS
    assert second["owner"] == f"{ADDRESS}:5701"
    assert 0 <= second["partition"] < 271
    assert send("PUT", f"/entry?key={key}", b"\xff")[0] == 400


@pytest.mark.usefixtures("app")
def test_the_tally_finds_what_it_wrote_and_nothing_else() -> None:
    assert tally(write=[1, 2, 3])["written"] == [1, 2, 3]
    answer = tally(read=[1, 2, 4], drop=[3])
    assert (answer["found"], answer["absent"]) == ([1, 2], [4])
    assert tally(read=[3])["absent"] == [3]


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ("{", "Expecting property name"),
        ("[" * 100_000, "maximum recursion depth"),
        ("[]", 'expected {"page": '),
        ({"page": PAGE, "write": [], "read": []}, 'expected {"page": '),
        ({"page": "../" + PAGE, "write": [], "read": [], "drop": []}, "page: expected 16 hexadecimal digits"),
        (
            {"page": PAGE, "write": [*range(51)], "read": [], "drop": []},
            "write: expected a list of at most 50",
        ),
        ({"page": PAGE, "write": [], "read": [True], "drop": []}, "read: expected whole numbers from 0 to"),
        ({"page": PAGE, "write": [], "read": [], "drop": [2**53]}, "drop: expected whole numbers from 0 to"),
    ],
)
def test_a_tally_that_cannot_be_read_is_answered_with_what_is_wrong(asked: Any, sentence: str) -> None:
    status, text = send("POST", "/tally", asked if isinstance(asked, str) else json.dumps(asked), JSON)

    assert status == 400
    assert sentence in text


@pytest.mark.usefixtures("app")
def test_a_page_of_another_site_cannot_send_a_tally() -> None:
    assert send("POST", "/tally", "{}", "text/plain")[0] == 415


def structure(method: str, path: str, body: Any = None, address: str = ADDRESS) -> dict[str, Any]:
    status, text = send(method, path, "" if body is None else json.dumps(body), JSON, address)
    assert status == 200, text
    return dict(json.loads(text))


@pytest.mark.usefixtures("app")
def test_a_counter_and_a_queue_are_the_same_for_all(guest: Program) -> None:
    before = structure("GET", "/counter")["value"]
    assert structure("POST", "/counter", 2)["value"] == before + 2
    assert structure("POST", "/counter", -1, guest.address)["value"] == before + 1
    assert structure("GET", "/counter")["value"] == before + 1

    texts = [f"text {number}" for number in range(100)]
    assert [structure("POST", "/queue", text)["size"] for text in texts] == [*range(1, 101)]
    assert send("POST", "/queue", '"more"', JSON) == (
        409,
        "The queue has 100 texts, and takes no more: take some first\n",
    )
    taken = [structure("DELETE", "/queue", address=guest.address) for _ in range(101)]
    assert [each["text"] for each in taken] == [*texts, None]
    assert (taken[0]["size"], taken[-1]["size"]) == (99, 0)


@pytest.mark.slow
def test_the_counter_goes_on_without_what_a_killed_member_had_told_none(
    launcher: Launcher, eventually: Eventually
) -> None:
    """What is gone depends on when members last told each other; in one run of three it mattered."""
    first, second = PAIR
    asked = launcher.member(first, group=PAIR)  # by the client for good, being the first
    client = launcher.app(COUNTING, member=first)
    eventually(lambda: client.ask("/counter").status == 200)
    other = launcher.member(second, group=PAIR)
    eventually(lambda: "successfully authenticated" in other.text())

    structure("POST", "/counter", 5, COUNTING)
    assert structure("GET", "/counter", address=COUNTING)["value"] == 5
    asked.end(signal.SIGKILL)  # members tell each other once a second

    eventually(lambda: client.ask("/counter").status == 200)
    assert structure("POST", "/counter", 1, COUNTING)["value"] in {1, 6}


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize(
    ("path", "body", "kind", "status", "sentence"),
    [
        ("/counter", "1", "text/plain", 415, 'Expected application/json, such as 1 or "a text"'),
        ("/counter", "[" * 100_000, JSON, 400, "This is not JSON: "),
        ("/counter", "1001", JSON, 400, "Expected a whole number from -1000 to 1000"),
        ("/counter", "true", JSON, 400, "Expected a whole number"),
        ("/queue", '""', JSON, 400, "Expected a text of 1 to 500 characters, in quotes"),
        ("/topic", json.dumps("v" * 501), JSON, 400, "Expected a text of 1 to 500 characters"),
    ],
)  # fmt: skip
def test_what_a_structure_cannot_take_is_answered_with_what_it_takes(
    path: str, body: str, kind: str, status: int, sentence: str
) -> None:
    found, text = send("POST", path, body, kind)

    assert (found, text[: len(sentence)]) == (status, sentence)


def test_without_jet_sql_is_answered_with_a_sentence(app: Program) -> None:
    assert app.ask("/sql", part="v")[:2] == (
        501,
        "SQL is off: it needs Jet, which members have with the annotation sidecar.hazelcast.com/sql.\n",
    )


@pytest.mark.slow
def test_with_jet_sql_finds_entries_by_their_values(with_sql: Launcher, eventually: Eventually) -> None:
    app = connected_app(with_sql, eventually, SQL, sql="true")
    for key, value in (("a", "x" * 300), ("b", "it's % here"), ("c", "y")):
        app.ask("/put", key=key, value=value)
    eventually(lambda: app.ask("/sql", part="v").status == 200)  # the first one may take members too long

    assert json.loads(app.ask("/sql", part="it's %").text)["entries"] == [["b", "it's % here"]]
    assert json.loads(app.ask("/sql", part="x").text)["entries"] == [["a", "x" * 100]]
    assert json.loads(app.ask("/sql", part="z").text)["entries"] == []


@pytest.mark.usefixtures("app")
def test_what_one_replica_says_another_hears(guest: Program) -> None:
    with stream(guest.address) as answer, repeated(lambda: structure("POST", "/topic", "hello, all")):
        name = ""
        while name != "said":
            name, said = next_event(answer)
    assert said == {"text": f"{ADDRESS}: hello, all"}


@contextlib.contextmanager
def repeated(act: Callable[[], object]) -> Iterator[None]:
    """Do something again and again: the first times may be before members are asked to tell."""
    done = threading.Event()

    def repeat() -> None:
        while not done.wait(0.2):
            act()

    with ThreadPoolExecutor(1) as threads:
        repeating = threads.submit(repeat)
        with contextlib.ExitStack() as stack:
            stack.callback(done.set)
            yield
        repeating.result()


@pytest.mark.usefixtures("app")
def test_the_stream_has_the_cluster_and_then_each_key_that_is_written(key: str) -> None:
    query = urlencode({"key": key * 3, "value": "v"})
    with stream() as answer:
        name, picture = next_event(answer)
        assert name == "picture"
        assert (picture["replica"], picture["members"]) == (ADDRESS, [f"{ADDRESS}:5701"])
        assert len(picture["owners"]) == 271
        with repeated(lambda: send("GET", f"/put?{query}")):
            while name != "written":
                name, written = next_event(answer)
    assert (written["key"], written["whole"]) == ((key * 3)[:100], False)
    assert written["owner"] == f"{ADDRESS}:5701"


@pytest.mark.usefixtures("app")
def test_no_more_streams_than_a_replica_has_places_for(eventually: Eventually) -> None:
    most = load_app("live").MOST_STREAMS
    with contextlib.ExitStack() as open_streams:
        eventually(lambda: _all_open(open_streams, most))
        assert send("GET", "/events") == (
            503,
            f"{most} pages of this replica are live already: close one, or try again later\n",
        )
        assert send("GET", "/healthz")[0] == 200
    eventually(_is_open)


def test_without_a_member_the_stream_says_so_and_draining_ends_it(
    launcher: Launcher, eventually: Eventually
) -> None:
    guest = launcher.app(GUEST, DRAIN_SECONDS="20")
    eventually(lambda: guest.ask("/healthz").status == 200)
    with stream(GUEST) as answer:
        name, away = next_event(answer)
        assert (name, away["replica"]) == ("away", GUEST)
        assert away["sentence"].startswith(f"No answer from the Hazelcast member at {GUEST}:5701")
        guest.popen.send_signal(signal.SIGTERM)
        while answer.readline():
            pass
    assert guest.ask("/events")[:2] == (503, "draining: this replica is about to end\n")
    assert guest.end(signal.SIGINT) == 0


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("path", ["/", "/page/main.js", "/page/page.css", "/page/icon.svg"])
def test_the_page_runs_nothing_but_its_own(path: str) -> None:
    connection = http.client.HTTPConnection(ADDRESS, 5000, timeout=30)
    with contextlib.closing(connection):
        connection.request("GET", path)
        answer = connection.getresponse()
        policy = answer.getheader("Content-Security-Policy", "")
    assert answer.status == 200
    assert answer.getheader("X-Content-Type-Options") == "nosniff"
    assert policy.startswith("default-src 'none'; script-src 'self'; ")
    assert "unsafe" not in policy


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("path", ["/page/../live.py", "/page/%2e%2e/live.py", "/page//etc/passwd", "/page/"])
def test_nothing_but_the_page_is_served(path: str) -> None:
    assert send("GET", path)[0] in {403, 404}


def _all_open(streams: contextlib.ExitStack, most: int) -> bool:
    """Open so many; those of tests before may still have places."""
    with contextlib.ExitStack() as opened:
        for _ in range(most):
            if opened.enter_context(stream()).status != 200:
                return False
        streams.enter_context(opened.pop_all())
    return True


def _is_open() -> bool:
    with stream() as answer:
        return answer.status == 200
