"""Injected manifests that people edit by hand: injected again, taken out again, or refused with a sentence."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hazelcast_sidecar.cli import main
from hazelcast_sidecar.manifest_text.document import Document
from hazelcast_sidecar.names import PREFIX, STATUS

HEAD = """\
apiVersion: v1
kind: Pod
metadata:
  name: shop
  annotations:
    sidecar.hazelcast.com/inject: "true"
"""
POD = f"""\
{HEAD}spec:
  containers:
  - name: a
    image: x:1
"""
WORKLOAD = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: shop
  annotations:
    sidecar.hazelcast.com/inject: "true"
spec:
  template:
    {}
    spec:
      containers:
      - name: a
        image: x:1
"""
JSON = json.dumps(
    {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "shop", "annotations": {f"{PREFIX}inject": "true"}}}
    | {"spec": {"containers": [{"name": "a", "image": "x:1", "env": [], "ports": []}], "volumes": None}},
    indent=2,
)
OWN = '- name: HAZELCAST_ADDRESS\n      value: "127.0.0.1:5701"\n'


class File:
    """A manifest, and the commands on it."""

    def __init__(self, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._path, self._capsys = path, capsys

    @property
    def text(self) -> str:
        return self._path.read_bytes().decode()

    @text.setter
    def text(self, text: str) -> None:
        self._path.write_bytes(text.encode())

    @property
    def spec(self) -> Any:
        return Document(self.text).content["spec"]

    def run(self, command: str, *arguments: str) -> tuple[int, str, str]:
        """The exit status of a command, and what it prints to standard output and standard error."""
        self._capsys.readouterr()
        status = main([command, str(self._path), *arguments])
        return status, *self._capsys.readouterr()

    def inject(self, *arguments: str) -> str:
        """Inject in place, which succeeds; the text is what the file says then."""
        assert self.run("inject", "--in-place", *arguments)[0] == 0
        return self.text

    def uninject(self) -> str:
        """Uninject in place, likewise."""
        assert self.run("uninject", "--in-place")[0] == 0
        return self.text

    def edit(self, old: str, new: str) -> None:
        """Edit it by hand, at one place."""
        assert self.text.count(old) == 1
        self.text = self.text.replace(old, new)

    def annotate(self, line: str) -> None:
        """Add an annotation by hand."""
        before, inject, after = self.text.partition("    sidecar.hazelcast.com/inject")
        assert inject
        self.text = f"{before}    {line}\n{inject}{after}"


Open = Callable[[str], File]


@pytest.fixture
def opened(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Open:
    def opened(text: str) -> File:
        found = File(tmp_path / "shop.yaml", capsys)
        found.text = text
        return found

    return opened


# --- injected anew, where an empty value was written over --------------------------------------------------

EMPTY = {
    "env": POD + "    env: []\n",
    "env, with blanks": POD + "    env: [  ]  # none\n",
    "env, null": POD + "    env:\n",
    "env, null in a word": POD + "    env: null\n",
    "env, null below": POD + "    env:\n      ~\n",
    "volumes": POD + "  volumes: []\n",
    "volumes, null": POD + "  volumes:\n",
    "init containers": POD + "  initContainers: []\n",
    "init containers, null": POD + "  initContainers:\n",
    "labels": POD.replace("spec:", "  labels: {}\nspec:"),
    "labels, null": POD.replace("spec:", "  labels:\nspec:"),
    "grace period, null": POD + "  terminationGracePeriodSeconds:\n",
    "annotations of a template": WORKLOAD.format("metadata: {annotations: {}}"),
    "annotations of a template, in a block": WORKLOAD.format("metadata:\n      annotations: {}"),
    "annotations of a template, null": WORKLOAD.format("metadata:\n      annotations:"),
    "metadata of a template": WORKLOAD.format("metadata: {}"),
    "metadata of a template, null": WORKLOAD.format("metadata:"),
    "everything": WORKLOAD.format("metadata:\n      labels:\n      annotations: {}")
    + "        env:\n      volumes: []\n      initContainers: ~\n",
    "JSON": JSON,
}


def annotated(text: str) -> str:
    """The text with the annotation `port`."""
    if text.startswith("{"):
        return text.replace(f'"{PREFIX}inject"', f'"{PREFIX}port": "6000",\n      "{PREFIX}inject"')
    return text.replace(f"    {PREFIX}inject", f'    {PREFIX}port: "6000"\n    {PREFIX}inject', 1)


@pytest.mark.parametrize("text", EMPTY.values(), ids=EMPTY)
def test_an_edited_manifest_is_injected_as_if_it_were_new(text: str, opened: Open) -> None:
    file = opened(annotated(text))
    wanted = file.inject()
    file.text = text
    file.inject()
    file.text = annotated(file.text)
    assert file.inject() == wanted
    assert file.inject() == wanted
    assert file.uninject() == annotated(text)


def test_an_upgrade_by_the_settings_is_an_edit(opened: Open, tmp_path: Path) -> None:
    settings = tmp_path / "settings"
    settings.write_text('defaults: {image: "hazelcast/hazelcast:5.5.0"}\n')
    file = opened(POD + "    env:\n  volumes: []\n")
    before = file.text
    file.inject()
    assert "image: hazelcast/hazelcast:5.5.0" in file.inject("--settings", str(settings))
    assert file.uninject() == before


def test_an_object_that_cannot_be_injected_anew_stays_as_it_is_and_the_others_are(opened: Open) -> None:
    file = opened(
        'apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata:\n    name: b\n'
        '    annotations: {sidecar.hazelcast.com/inject: "true"}\n  spec:\n    volumes: []\n    containers:\n'
        '    - {name: a, image: x}\n- apiVersion: v1\n  kind: Pod\n  metadata:\n    name: c\n    annotations:\n'
        '      sidecar.hazelcast.com/inject: "true"\n  spec:\n    containers:\n    - name: a\n      image: x\n'
    )
    file.inject()
    edited = file.text.replace("inject: \"true\"", 'inject: "true", sidecar.hazelcast.com/port: "6000"', 1)
    edited = edited.replace(
        '      sidecar.hazelcast.com/inject: "true"\n',
        '      sidecar.hazelcast.com/inject: "true"\n      sidecar.hazelcast.com/port: "7000"\n',
    )
    # The list that a member goes into is also used elsewhere now.
    edited = edited.replace("    containers:\n    - name: a\n", "    containers:\n    - &a\n      name: a\n")
    edited += "- apiVersion: v1\n  kind: ConfigMap\n  data: {copy: *a}\n"
    file.text = edited
    status, _, err = file.run("inject", "--in-place")
    assert status == 1
    assert "Pod/c: spec.containers.0: is used in other places by the anchor &a; write it out there" in err
    assert err.endswith("1 injected, 1 refused\n")
    first, second, _ = Document(file.text).content["items"]
    assert 'port":6000' in first["metadata"]["annotations"][STATUS]
    assert second == Document(edited).content["items"][1]
