"""Members of two minor releases: no common cluster, and the way through that docs/upgrade.md has."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hazelcast_sidecar.demo.java import find_java, member_jars
from tests.harness.ports import own_network
from tests.hazelcast.conftest import ROOT, Eventually, Launcher, Program
from tests.hazelcast.test_releases import jar_of

pytestmark = [pytest.mark.hazelcast, pytest.mark.slow]

OLD = "5.6.0"
PORT = 5742
ENTRIES = {f"key-{number}": f"value {number}" for number in range(20)}


@pytest.fixture
def launchers(tmp_path: Path) -> Iterator[tuple[Launcher, Launcher]]:
    """Start members of the release before the default one, and of the default one."""
    earlier = [jar_of(OLD)]
    made = []
    for name, jars in (("old", earlier), ("new", member_jars())):
        folder = tmp_path / name
        folder.mkdir()
        made.append(Launcher(folder, find_java(), jars))
    yield made[0], made[1]
    for each in made:
        each.stop()


REFUSAL = "Joining node's version 5.7.0 is not compatible with cluster version 5.6"


def test_entries_stay_with_the_old_members_and_are_copied_by_the_program_of_the_page(
    launchers: tuple[Launcher, Launcher], eventually: Eventually, tmp_path: Path
) -> None:
    """First in one group, as in a rollout, then beside it, in a group of its own."""
    first, second, third = (f"{own_network()}.{number}" for number in (130, 131, 132))
    old = _member_and_app(launchers[0], eventually, first)
    for key, value in ENTRIES.items():
        assert old.ask("/put", key=key, value=value).status == 200

    late = launchers[1].member(second, group=[first, second], given={"port": str(PORT)})
    assert late.popen.wait(180) != 0
    assert REFUSAL in late.log.read_text()

    new = _member_and_app(launchers[1], eventually, third)
    assert new.ask("/put", key="key-0", value="newer").status == 200
    assert new.ask("/get", key="key-1").text == ""
    places = [f"{address}:{PORT}" for address in (first, third)]
    assert _copy(tmp_path / "copy_map.py", *places) == f"{len(ENTRIES)} entries in {places[1]}\n"
    for app, entries in ((old, ENTRIES), (new, ENTRIES | {"key-0": "newer"})):
        assert {key: app.ask("/get", key=key).text for key in ENTRIES} == entries


def _member_and_app(launcher: Launcher, eventually: Eventually, address: str) -> Program:
    """Start a member of a group of one, and the application beside it."""
    launcher.member(address, given={"port": str(PORT)})
    app = launcher.app(address, HAZELCAST_ADDRESS=f"{address}:{PORT}")
    eventually(lambda: len(app.members()) == 1)
    return app


def _copy(file: Path, source: str, target: str) -> str:
    """Run the program of the page for the application's map; what it says."""
    page = (ROOT / "docs" / "upgrade.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"^```python\n(# copy_map.py .*?)^```", page, re.MULTILINE | re.DOTALL)
    file.write_text(program)
    command = [sys.executable, "-W", "ignore", str(file), source, target, "map"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout
