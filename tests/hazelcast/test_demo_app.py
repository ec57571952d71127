"""The demo application beside real members: its contract, and what it does when a member goes away."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import yaml

from tests.harness.ports import free_ports, own_network
from tests.hazelcast.conftest import ROOT, load_app

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.hazelcast.conftest import Eventually, Launcher, Program

pytestmark = pytest.mark.hazelcast

NETWORK = own_network()
FIRST, SECOND, ALONE, GUEST = (f"{NETWORK}.{number}" for number in (2, 3, 4, 5))
BOTH = [f"{FIRST}:5701", f"{SECOND}:5701"]

# The application promises an answer within 4 s; the rest is for a busy machine.
LONGEST_REQUEST = 5.5
AT_ONCE = 3.0
"""Less than a request waits for its member; the rest is for a busy machine."""
PATIENCE = 60


class Pair(NamedTuple):
    """Two replicas: a member and an application on each of two addresses."""

    members: list[Program]
    apps: list[Program]


def _is_whole(pair: Pair) -> bool:
    for member in pair.members:
        member.must_run()
    # A client opens its connections to further members up to a second after it knows of them.
    return all(
        sorted(app.members()) == BOTH and all(app.is_connected_to(member.address) for member in pair.members)
        for app in pair.apps
    )


@pytest.fixture(scope="module")
def started(launcher: Launcher) -> Pair:
    group = [FIRST, SECOND]
    return Pair([launcher.member(a, group=group) for a in group], [launcher.app(a) for a in group])


@pytest.fixture
def pair(started: Pair, eventually: Eventually) -> Pair:
    """The two replicas, whole: a test may break them, and the next one waits until they have recovered."""
    eventually(lambda: _is_whole(started))
    return started


@pytest.fixture
def key(request: pytest.FixtureRequest) -> str:
    """A key that no other test uses."""
    return str(request.node.name)


@pytest.fixture
def guest(launcher: Launcher) -> Iterator[Any]:
    """Start one more application, which ends with the test."""
    with contextlib.ExitStack() as stack:

        def start(**settings: str) -> Program:
            app = launcher.app(GUEST, **settings)
            stack.callback(app.popen.wait)
            stack.callback(app.popen.kill)
            return app

        yield start


def test_an_entry_put_through_one_replica_is_read_through_the_other(pair: Pair, key: str) -> None:
    one, other = pair.apps

    assert one.ask("/put", key=key, value="Grüße & mehr=1").status == 200

    assert other.ask("/get", key=key)[:2] == (200, "Grüße & mehr=1")


def test_put_answers_the_value_it_replaces(pair: Pair, key: str) -> None:
    one, other = pair.apps

    assert one.ask("/put", key=key, value="old")[:2] == (200, "")
    assert other.ask("/put", key=key, value="new")[:2] == (200, "old")


def test_get_answers_an_empty_body_for_a_key_that_is_not_there(pair: Pair, key: str) -> None:
    assert pair.apps[0].ask("/get", key=key)[:2] == (200, "")


@pytest.mark.parametrize(
    ("path", "query", "sentence"),
    [
        ("/get", {}, "Missing key: call /get?key=KEY"),
        ("/put", {"key": "k"}, "Missing value: call /put?key=KEY&value=VALUE"),
        ("/put", {}, "Missing key and value: call /put?key=KEY&value=VALUE"),
    ],
)
def test_a_missing_parameter_is_answered_with_what_to_call(
    pair: Pair, path: str, query: dict[str, str], sentence: str
) -> None:
    status, text, _ = pair.apps[0].ask(path, **query)

    assert (status, text.strip()) == (400, sentence)


def test_members_names_all_and_the_one_beside_the_application(pair: Pair) -> None:
    status, text, _ = pair.apps[1].ask("/members")

    found = json.loads(text)
    found["members"].sort()
    assert (status, found) == (200, {"size": 2, "members": BOTH, "local": f"{SECOND}:5701"})


def test_the_member_list_is_logged(pair: Pair) -> None:
    for app in pair.apps:
        size_2 = re.findall(r"Members \{size:2\} \[(.*)\]", app.log.read_text())
        assert size_2
        assert sorted(size_2[-1].split(", ")) == BOTH


@pytest.mark.slow
def test_an_application_without_its_member_says_so_and_recovers_by_itself(
    launcher: Launcher, eventually: Eventually
) -> None:
    app = launcher.app(ALONE)
    eventually(lambda: app.ask("/healthz").status == 200)
    for path, query in (("/readyz", {}), ("/members", {}), ("/get", {"key": "k"})):
        status, text, seconds = app.ask(path, **query)
        assert status == 503
        assert text.startswith(f"No answer from the Hazelcast member at {ALONE}:5701, cluster 'dev'")
        assert seconds < AT_ONCE

    member = launcher.member(ALONE)
    eventually(lambda: app.ask("/readyz").status == 200)
    assert app.ask("/put", key="k", value="v").status == 200

    # The only member: its entries are gone with it, and there is nobody to fail over to.
    member.end(signal.SIGKILL)
    eventually(lambda: app.ask("/readyz").status == 503, seconds=AT_ONCE)
    assert app.ask("/healthz").status == 200

    launcher.member(ALONE)
    eventually(lambda: app.ask("/get", key="k")[:2] == (200, ""))


def test_a_killed_member_costs_no_entry_and_is_found_again(
    launcher: Launcher, pair: Pair, key: str, eventually: Eventually
) -> None:
    keys = [f"{key}-{number}" for number in range(40)]
    for each in keys:
        assert pair.apps[0].ask("/put", key=each, value=each.upper()).status == 200

    pair.members[0].end(signal.SIGKILL)

    for app in pair.apps:
        for answer in (app.ask("/get", key=each) for each in keys):
            assert answer.status == 200 or (answer.status == 503 and "try again" in answer.text)
            assert answer.seconds < LONGEST_REQUEST
    for app in pair.apps:
        eventually(lambda app=app: app.members() == [f"{SECOND}:5701"])
        assert [app.ask("/get", key=each).text for each in keys] == [each.upper() for each in keys]

    pair.members[0] = launcher.member(FIRST, group=[FIRST, SECOND])
    eventually(lambda: _is_whole(pair))
    assert pair.apps[0].ask("/get", key=keys[0])[:2] == (200, keys[0].upper())


def test_a_frozen_member_neither_delays_a_request_for_long_nor_keeps_an_application_out(
    pair: Pair, key: str, guest: Any, eventually: Eventually
) -> None:
    frozen = pair.members[1].popen
    frozen.send_signal(signal.SIGSTOP)
    try:
        newcomer = guest(HAZELCAST_ADDRESS=BOTH[0])
        eventually(lambda: newcomer.ask("/readyz").status == 200, seconds=20)
        answers = _in_parallel([lambda n=n: pair.apps[0].ask("/get", key=f"{key}-{n}") for n in range(20)])
    finally:
        frozen.send_signal(signal.SIGCONT)

    # Those that belong to the frozen member; which and how many of the keys do is up to Hazelcast.
    assert {503} <= {answer.status for answer in answers} <= {200, 503}
    assert max(answer.seconds for answer in answers) < LONGEST_REQUEST


def test_the_first_puts_of_an_application_are_not_slow(
    pair: Pair, key: str, guest: Any, eventually: Eventually
) -> None:
    app = guest(HAZELCAST_ADDRESS=f"{pair.members[0].address}:5701")
    eventually(lambda: app.ask("/readyz").status == 200)

    answers = [app.ask("/put", key=f"{key}-{number}", value="v") for number in range(20)]

    assert {answer.status for answer in answers} == {200}
    assert max(answer.seconds for answer in answers) < AT_ONCE


def test_a_member_that_accepts_and_never_answers_is_tried_anew(guest: Any) -> None:
    with socket.create_server((GUEST, 5701)) as silent:
        silent.settimeout(PATIENCE)
        app = guest()
        first, _ = silent.accept()
        with first:
            again, _ = silent.accept()
            again.close()
            assert app.ask("/readyz").text.startswith(f"No answer from the Hazelcast member at {GUEST}:5701")
            assert "it did not let this client in within 5 s" in app.log.read_text()


def test_a_wrong_cluster_name_is_named(guest: Any, pair: Pair, eventually: Eventually) -> None:
    app = guest(HAZELCAST_ADDRESS=f"{pair.members[0].address}:5701", HAZELCAST_CLUSTER_NAME="other")

    eventually(lambda: "Check cluster name" in app.ask("/readyz").text)


@pytest.mark.parametrize(
    ("number", "drain"), [(signal.SIGTERM, "0"), (signal.SIGINT, "25")], ids=["no-drain", "Ctrl-C"]
)
@pytest.mark.parametrize("member", [FIRST, GUEST], ids=["connected", "without-a-member"])
def test_a_signal_ends_it_at_once_with_status_0(
    pair: Pair, guest: Any, eventually: Eventually, number: signal.Signals, drain: str, member: str
) -> None:
    app = guest(HAZELCAST_ADDRESS=f"{member}:5701", DRAIN_SECONDS=drain)
    expected = 200 if member == pair.members[0].address else 503
    eventually(lambda: app.ask("/readyz").status == expected)

    assert app.end(number, seconds=20) == 0, "less than the drain that it does not wait for"
    assert {*re.findall(r"draining for (\d+) s", app.log.read_text())} <= {"0"}
    assert "Traceback" not in app.log.read_text()


def test_after_sigterm_it_drains_and_then_ends_with_status_0(
    pair: Pair, guest: Any, key: str, eventually: Eventually
) -> None:
    app = guest(HAZELCAST_ADDRESS=f"{pair.members[0].address}:5701", PYTHONUNBUFFERED="1")
    eventually(lambda: app.ask("/readyz").status == 200)

    began = time.monotonic()
    app.popen.send_signal(signal.SIGTERM)
    eventually(lambda: app.ask("/readyz").status == 503)

    assert app.ask("/put", key=key, value="late")[:2] == (200, "")
    assert app.ask("/get", key=key)[:2] == (200, "late")
    assert app.popen.wait(PATIENCE) == 0
    assert time.monotonic() - began >= 2
    assert "draining for 2 s" in app.log.read_text()
    assert "Traceback" not in app.log.read_text()


def test_the_longest_drain_fits_into_the_grace_period_of_its_pod() -> None:
    """Afterwards come requests that are under way, the client's end, and Python's own."""
    (pod,) = (
        document["spec"]["template"]["spec"]
        for document in yaml.safe_load_all((ROOT / "manifests" / "demo" / "deployment.yaml").read_text())
    )

    afterwards = 2 * load_app("cluster").SHUTDOWN_LIMIT + 1

    assert load_app("settings").LONGEST_DRAIN + afterwards <= pod.get("terminationGracePeriodSeconds", 30)


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_the_drain(
    pair: Pair, guest: Any, eventually: Eventually, second: signal.Signals
) -> None:
    app = guest(HAZELCAST_ADDRESS=f"{pair.members[0].address}:5701", DRAIN_SECONDS="25")
    eventually(lambda: app.ask("/readyz").status == 200)
    app.popen.send_signal(signal.SIGTERM)
    eventually(lambda: app.ask("/readyz").status == 503)

    assert app.end(second, seconds=20) == 0
    assert "Traceback" not in app.log.read_text()


def test_draining_it_sends_kept_connections_elsewhere(
    pair: Pair, guest: Any, key: str, eventually: Eventually
) -> None:
    app = guest(HAZELCAST_ADDRESS=f"{pair.members[0].address}:5701", DRAIN_SECONDS="25")
    eventually(lambda: app.ask("/readyz").status == 200)
    kept = http.client.HTTPConnection(GUEST, 5000, timeout=10)
    with contextlib.closing(kept):

        def says_close() -> bool:
            kept.request("GET", f"/get?key={key}")
            answer = kept.getresponse()
            assert (answer.status, answer.read()) == (200, b"")
            return answer.getheader("Connection") == "close"

        assert not says_close()
        app.popen.send_signal(signal.SIGTERM)
        eventually(lambda: app.ask("/readyz").status == 503)
        assert says_close()


def test_it_listens_on_every_address_where_no_host_is_given(guest: Any, eventually: Eventually) -> None:
    (port,) = free_ports(1)
    guest(HOST="", PORT=str(port))

    for address in ("127.0.0.1", "::1") if _has_ipv6() else ("127.0.0.1",):
        eventually(lambda address=address: _answers(address, port))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"PORT": "80 80"}, "demo-app: PORT is '80 80': expected a number from 1 to 65535"),
        ({"PORT": "65536"}, "demo-app: PORT is '65536': expected a number from 1 to 65535"),
        ({"HAZELCAST_ADDRESS": "::1"}, "demo-app: HAZELCAST_ADDRESS is '::1': expected HOST:PORT"),
        (
            {"HAZELCAST_NEAR_CACHE": "True"},
            "demo-app: HAZELCAST_NEAR_CACHE is 'True': expected true or false",
        ),
        ({"DRAIN_SECONDS": "25.1"}, "demo-app: DRAIN_SECONDS is '25.1': expected a number from 0 to 25"),
        ({"DRAIN_SECONDS": "-1"}, "demo-app: DRAIN_SECONDS is '-1': expected a number from 0 to 25"),
        ({"DRAIN_SECONDS": "2s"}, "demo-app: DRAIN_SECONDS is '2s': expected a number from 0 to 25"),
        ({"HOST": FIRST}, "demo-app: [Errno 98] error while attempting to bind on address"),
    ],
)
def test_what_keeps_it_from_starting_is_one_sentence(
    pair: Pair, guest: Any, settings: dict[str, str], sentence: str
) -> None:
    del pair  # its application has port 5000 of the first address
    app = guest(**settings)

    assert app.popen.wait(PATIENCE) == 1
    assert app.log.read_text().splitlines()[-1].startswith(sentence)
    assert "Traceback" not in app.log.read_text()


def _in_parallel(questions: list[Any]) -> list[Any]:
    with ThreadPoolExecutor(len(questions)) as threads:
        return list(threads.map(lambda question: question(), questions))


def _answers(address: str, port: int) -> bool:
    with socket.create_connection((address, port)):
        return True


def _has_ipv6() -> bool:
    with contextlib.suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        return True
    return False
