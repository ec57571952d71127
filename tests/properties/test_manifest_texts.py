"""What holds for every manifest, in whatever style it is written."""

from copy import deepcopy
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import jsonpatch
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hazelcast_sidecar.cli import main
from hazelcast_sidecar.injection.manifests import Placed, Result, is_known, objects_in
from hazelcast_sidecar.injection.reinjection import renew
from hazelcast_sidecar.injection.uninjection import uninject
from hazelcast_sidecar.manifest_text.document import Change, Document, parts
from hazelcast_sidecar.manifest_text.patching import same
from hazelcast_sidecar.manifest_text.turns import changed_in_turn
from hazelcast_sidecar.spec.annotations import Defaults, DefaultSpecs
from hazelcast_sidecar.spec.settings import Settings
from tests.harness.manifest_texts import Written, json_files, yaml_files

DEFAULTS = DefaultSpecs(Settings()).of("default")
OTHERS = DefaultSpecs(Settings(defaults={"log-level": "DEBUG", "shutdown-timeout": "75s"})).of("default")
patient = settings(suppress_health_check=[HealthCheck.too_slow])


def documents(text: str) -> list[Document]:
    found = [Document(*part) for part in parts(text)]
    assert "".join(document.text for document in found) == text
    return found


def results(document: Document, defaults: Defaults, *, undo: bool) -> dict[str, Result]:
    def result(placed: Placed) -> Result:
        if undo:
            return uninject(placed.obj)
        return renew(placed.obj, defaults, 65534, lambda steps: document.written(placed.path, steps))

    found = objects_in(document.content)
    return {placed.path: result(placed) for placed in found if is_known(placed.obj)}


def rewritten(text: str, defaults: Defaults = DEFAULTS, *, undo: bool = False) -> str:
    """The text with every object injected, or uninjected; none is refused, and each says what it should."""
    after = []
    for document in documents(text):
        before = deepcopy(document.content)
        found = results(document, defaults, undo=undo)
        assert not any(result.problems for result in found.values())
        undoing = [Change(path, result.undoing) for path, result in found.items()]
        changes = [Change(path, result.operations) for path, result in found.items()]
        changed = changed_in_turn(document, [each for each in undoing if each.operations], changes)
        assert changed.refused == {}
        operations = [op for change in (*undoing, *changes) for op in change.from_root]
        expected = jsonpatch.apply_patch(before, operations)
        assert same(Document(changed.text).content, expected)
        after.append(changed.text)
    return "".join(after)


@patient
@given(yaml_files)
def test_a_text_says_what_was_written(written: Written) -> None:
    found = [document.content for document in documents(written.text) if document.content is not None]
    assert same(found, written.objects)


@pytest.mark.parametrize("files", [yaml_files, json_files], ids=["yaml", "json"])
def test_what_is_injected_comes_out_again_to_the_byte(files: Any) -> None:
    @patient
    @given(files)
    def check(written: Written) -> None:
        injected = rewritten(written.text)
        assert injected != written.text
        assert rewritten(injected) == injected, "injecting twice changes nothing"
        assert rewritten(injected, undo=True) == written.text
        upgraded = rewritten(injected, OTHERS)
        assert upgraded == rewritten(written.text, OTHERS), "as if it had never had another member"
        assert rewritten(upgraded, undo=True) == written.text

    check()


# --- what nobody meant -------------------------------------------------------------------------------------

SHAPES = sorted((Path(__file__).parents[1] / "cli" / "shapes").iterdir())
MARKS = ["&a ", "*a", "[", "]", "{", "}", ": ", "- ", "|", ">", '"', "'", "#", "<<: *a", "!!int ", "? ", ","]
PIECES = [*MARKS, "null", "~", "\n", "  ", "---\n", "...\n", "\t", "\r", "\ufeff", "\u2028", "[]", "{}", "1"]
VALUES = ["[]", "{}", "null", "1", "x", "[x]", "{a: b}", "&a x", "true"]


def mutated(seed: int) -> str:
    """A manifest with some mistakes in it."""
    random = Random(seed)  # noqa: S311 - mistakes
    text = random.choice(SHAPES).read_bytes().decode()
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(text) + 1)
        lines = text.split("\n")
        number = random.randrange(len(lines))
        match random.randrange(5):
            case 0:
                text = text[:at] + random.choice(PIECES) + text[at:]
            case 1:
                text = text[:at] + text[at + random.randint(1, 20) :]
            case 2:
                text = "\n".join(
                    [*lines[:number], " " * random.randrange(4) + lines[number], *lines[number + 1 :]]
                )
            case 3:
                text = "\n".join([*lines[:number], *lines[number + 1 :]])
            case _:
                key, colon, _ = lines[number].partition(":")
                lines[number] = f"{key}: {random.choice(VALUES)}" if colon else lines[number]
                text = "\n".join(lines)
    return text


@patient
@given(st.integers(0, 2**63).map(mutated))
def test_no_text_ends_in_a_traceback(text: str) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "manifest.yaml"
        path.write_bytes(text.encode())
        for command in ("inject", "uninject", "explain", "resources"):
            assert main([command, str(path)]) in {0, 1}
