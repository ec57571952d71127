"""What the build of the member's image repairs in Hazelcast: found by starting members, for each release."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.hazelcast.patching import JAR, PATCH, Built, Patcher
from tests.hazelcast.test_releases import jar_of

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.hazelcast, pytest.mark.slow]

FORGETS, KEEPS = "A joined member forgets its master.", "A joined member keeps its master."
SPINS, WAITS = "A member spins while a peer says nothing.", "A member waits for a peer that says nothing."


def test_the_published_jar_has_two_faults_and_the_patched_class_path_none(
    patched: Built, patcher: Patcher, patched_class_path: list[Path], tmp_path: Path
) -> None:
    assert patched.text.splitlines() == [
        *("As published:", FORGETS, SPINS),
        *(f"With {JAR}:", KEEPS, WAITS),
    ]
    assert patched.files == ["NOTICE", JAR]

    again = patcher.build(patched_class_path, tmp_path / "again")
    assert (again.status, again.files) == (0, []), "one that needs no patch gets none"
    assert again.text.splitlines() == ["As published:", KEEPS, WAITS, "Nothing to patch."]


def test_a_release_gets_what_it_needs_of_the_patch(patcher: Patcher, tmp_path: Path) -> None:
    built = patcher.build([jar_of("5.5.0")], tmp_path / "out")
    assert built.text.splitlines() == ["As published:", KEEPS, SPINS, f"With {JAR}:", WAITS]
    assert (built.status, built.files) == (0, ["NOTICE", JAR])


@pytest.mark.parametrize(
    ("check", "found"),
    [
        ("MasterCheck", "0 calls of setMasterAddress in setMasterAddressToJoin where 1 is known"),
        ("SilentPeerCheck", "0 answers CLEAN in onWrite where 2 are known"),
    ],
)
def test_code_that_is_not_the_known_one_stops_the_build(
    patcher: Patcher, patched_class_path: list[Path], tmp_path: Path, check: str, found: str
) -> None:
    """As in a release whose code is another: here they are the patched classes."""
    classes = tmp_path / "classes"
    patcher.compile(classes, PATCH / "Patch.java")
    ended = patcher.run(
        [*patched_class_path, classes], "Patch", tmp_path / "out.jar", PATCH / "NOTICE", check
    )
    assert ended.returncode != 0
    assert f"this Hazelcast has {found}: member/patch has to be looked at" in ended.stdout
    assert not (tmp_path / "out.jar").exists()
