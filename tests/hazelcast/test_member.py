"""Members with the environment that the webhook injects."""

import json
import re
import signal
import socket
import time
import urllib.request
from pathlib import Path

import pytest

from tests.harness.ports import free_ports, own_network
from tests.hazelcast.conftest import Eventually, Launcher

pytestmark = pytest.mark.hazelcast

NETWORK = own_network()
FIRST, SECOND, APART, EARLY, EARLIER, LEAVING, STAYING = (f"{NETWORK}.{number}" for number in range(12, 19))
PORT = 5711


def test_a_file_of_ones_own_that_says_nothing_about_it_still_gives_a_cluster_and_probes(
    launcher: Launcher, tmp_path: Path, eventually: Eventually
) -> None:
    config = tmp_path / "hazelcast.yaml"
    config.write_text("hazelcast: {map: {default: {backup-count: 1}}}")
    annotations = {"cluster_name": "Läden $(X)", "port": str(PORT)}
    group = [FIRST, SECOND]
    members = [launcher.member(address, group=group, config=config, given=annotations) for address in group]
    apart = launcher.member(APART, group=[APART], given=annotations)
    for member in (*members, apart):
        eventually(lambda member=member: member.is_ready(PORT))  # the one apart looks for others a while
    for member in members:
        eventually(lambda member=member: "Members {size:2," in member.log.read_text())
        assert "[Läden $(X)]" in member.log.read_text()
    # The same cluster name, and another headless Service: discovery keeps groups apart.
    assert "Members {size:1," in apart.log.read_text()
    assert "Members {size:2," not in apart.log.read_text()


def test_members_that_start_before_the_dns_knows_them_form_one_cluster(
    launcher: Launcher, eventually: Eventually
) -> None:
    group = [EARLY, EARLIER]
    members = [launcher.member(address, group=[], given={"port": str(PORT)}) for address in group]
    for member in members:
        eventually(lambda member=member: "failed: unknown host" in member.log.read_text())
    for member in members:
        launcher.publish(group, to=member.address)
    for member in members:
        eventually(lambda member=member: "Members {size:2," in member.log.read_text())
    founders = [member for member in members if "Members {size:1," in member.log.read_text()]
    assert len(founders) == 1


def test_a_further_sigterm_does_not_interrupt_the_handover(
    launcher: Launcher, eventually: Eventually
) -> None:
    """Such as of the preStop hook's timer, while a member hands over whose application has just ended."""
    group = [LEAVING, STAYING]
    given = {"port": str(PORT), "cluster_name": "handover", "backup_count": "0"}
    leaving, staying = (launcher.member(address, group=group, given=given) for address in group)
    client = {"HAZELCAST_CLUSTER_NAME": "handover", "HAZELCAST_SMART_ROUTING": "false"}
    app = launcher.app(STAYING, HAZELCAST_ADDRESS=f"{STAYING}:{PORT}", **client)
    for member in (leaving, staying):
        eventually(lambda member=member: "Members {size:2," in member.log.read_text())
    eventually(lambda: len(app.members()) == 2)
    entries = {f"k{number}": f"v{number}" for number in range(300)}
    for key, value in entries.items():
        assert app.ask("/put", key=key, value=value).status == 200

    signals = 0
    while leaving.popen.poll() is None:
        leaving.popen.send_signal(signal.SIGTERM)
        signals += 1
        time.sleep(0.02)
    assert signals > 1
    eventually(lambda: len(app.members()) == 1)
    assert {key: app.ask("/get", key=key).text for key in entries} == entries


def test_clients_of_the_own_pod_alone_are_let_in(launcher: Launcher, eventually: Eventually) -> None:
    port, *_ = free_ports(3)  # on the machine's own loopback address, as nothing else here
    alone = "-Dhazelcast.wait.seconds.before.join=0"
    given = {"clients": "pod", "port": str(port), "java_opts": alone, "cluster_name": "own"}
    member = launcher.member("127.0.0.1", group=[], given=given)

    def started() -> str | None:
        member.must_run()
        found = re.search(rf"\[([0-9.]+)\]:{port + 1} is STARTED", member.log.read_text())
        return found and found[1]

    address = eventually(started)
    with urllib.request.urlopen(f"http://{address}:{port + 2}/hazelcast/health/ready", timeout=5) as answer:
        assert answer.status == 200

    app = launcher.app(
        APART,
        HAZELCAST_ADDRESS=f"127.0.0.1:{port}",
        HAZELCAST_CLUSTER_NAME="own",
        HAZELCAST_SMART_ROUTING="false",
    )
    eventually(lambda: app.ask("/put", key="k", value="v").status == 200)
    assert app.ask("/get", key="k").text == "v"
    assert json.loads(app.ask("/members").text) == {
        "size": 1,
        "members": [f"{address}:{port + 1}"],
        "local": f"{address}:{port + 1}",
    }

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port), timeout=5)
    for closed in (port + 1, port + 2):
        with socket.create_connection((address, closed), timeout=5) as client:
            client.sendall(b"CP2")  # a client's first word
            assert client.recv(3) == b"HZX", "another protocol is spoken here"
