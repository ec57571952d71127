"""Manifests as kubectl itself reads them, before and after: the oracle for what a text says.

`kubectl annotate --local` needs no API server, and prints the object that it would send.
"""

import json
import subprocess
from pathlib import Path
from random import Random
from typing import Any

import jsonpatch
import pytest

from hazelcast_sidecar.cli.output import objects as as_text
from hazelcast_sidecar.injection.manifests import is_known, objects_in
from hazelcast_sidecar.injection.reinjection import renew
from hazelcast_sidecar.manifest_text.document import Change, Document, parts
from hazelcast_sidecar.spec.annotations import DefaultSpecs
from hazelcast_sidecar.spec.settings import Settings
from tests.harness.control_plane import find_programs
from tests.harness.go_programs import UnavailableError
from tests.harness.manifest_texts import OTHERS, asking, yaml_text

pytestmark = pytest.mark.apiserver

DEFAULTS = DefaultSpecs(Settings()).of("default")
SAMPLE = 40
"""Files; kubectl takes a tenth of a second for one."""
MARK = "example.com/seen"


@pytest.fixture(scope="module")
def kubectl() -> Path:
    try:
        return find_programs(print) / "kubectl"
    except UnavailableError as error:
        pytest.skip(str(error))


def as_kubectl_reads(kubectl: Path, text: str) -> list[Any]:
    command = [str(kubectl), "annotate", "--local", "-f", "-", "-o", "json", f"{MARK}=yes"]
    done = subprocess.run(command, input=text.encode(), capture_output=True, check=True)
    decoder, found, rest = json.JSONDecoder(), [], done.stdout.decode().strip()
    while rest:
        obj, end = decoder.raw_decode(rest)
        del obj["metadata"]["annotations"][MARK]
        found.append(obj)
        rest = rest[end:].strip()
    return found


def plain(obj: Any) -> Any:
    """An object without the empty annotations that kubectl leaves; all numbers are floats."""
    obj = json.loads(json.dumps(obj), parse_int=float)
    if not obj["metadata"].get("annotations"):
        obj["metadata"].pop("annotations", None)
    return obj


def file_of(seed: int) -> str:
    """A file without a List, which kubectl takes apart, and without directives, which it does not read."""
    random = Random(seed)  # noqa: S311 - styles
    found = [asking(random, f"shop{number}") for number in range(2)] + random.sample(OTHERS, 1)
    while True:
        text = yaml_text(random, found)
        # kubectl takes "--- # why" for a part of the document before it.
        if "%YAML" not in text and "--- #" not in text:
            return text


@pytest.mark.parametrize("seed", range(SAMPLE))
def test_what_kubectl_reads_afterwards_differs_by_our_additions_alone(kubectl: Path, seed: int) -> None:
    text = file_of(seed)
    after, expected, contents = [], [], []
    for document in (Document(*part) for part in parts(text)):
        changes = [
            Change(placed.path, renew(placed.obj, DEFAULTS, 65534).operations)
            for placed in objects_in(document.content)
            if is_known(placed.obj)
        ]
        changed = document.changed(changes)
        assert not changed.refused
        after.append(changed.text)
        if document.content is not None:
            contents.append(changed.content)
            expected.append([op for change in changes for op in change.from_root])
    before = as_kubectl_reads(kubectl, text)
    meant = [jsonpatch.apply_patch(obj, list(ops)) for obj, ops in zip(before, expected, strict=True)]
    seen = as_kubectl_reads(kubectl, "".join(after))
    assert list(map(plain, seen)) == list(map(plain, meant))
    for form in ("yaml", "json"):
        printed = as_kubectl_reads(kubectl, as_text(contents, form))
        assert list(map(plain, printed)) == list(map(plain, meant)), form
