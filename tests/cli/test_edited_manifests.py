"""Injected manifests that people edit by hand: injected and taken out again, or refused with a sentence."""

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
    {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "shop", "annotations": {f"{PREFIX}inject": "true"}},
    }
    | {"spec": {"containers": [{"name": "a", "image": "x:1", "env": [], "ports": []}], "volumes": None}},
    indent=2,
)


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
        "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata:\n    name: b\n"
        '    annotations: {sidecar.hazelcast.com/inject: "true"}\n  spec:\n    volumes: []\n    containers:\n'
        "    - {name: a, image: x}\n- apiVersion: v1\n  kind: Pod\n  metadata:\n    name: c\n"
        '    annotations:\n      sidecar.hazelcast.com/inject: "true"\n'
        "  spec:\n    containers:\n    - name: a\n      image: x\n"
    )
    file.inject()
    edited = file.text.replace('inject: "true"', 'inject: "true", sidecar.hazelcast.com/port: "6000"', 1)
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


# --- what people did to its containers ---------------------------------------------------------------------

OWN = """\
    env:
    - name: HAZELCAST_ADDRESS
      value: 127.0.0.1:5701
"""
B = "  - name: b\n    image: y:1\n"


def containers(file: File) -> dict[str, dict[str, str]]:
    """The variables of each container, by its name."""
    return {
        each["name"]: {variable["name"]: variable["value"] for variable in each.get("env") or ()}
        for each in file.spec["containers"]
    }


def blocks(file: File) -> tuple[str, str, str]:
    """What is before the container `a`, the container itself, and what follows."""
    before, a, after = file.text.partition("  - name: a\n")
    body, b, rest = after.partition("  - name: b\n")
    return before, a + body, b + rest


def test_the_containers_own_variables_are_known_by_its_name_when_another_one_is_removed(opened: Open) -> None:
    file = opened(POD + OWN + B)
    file.inject()
    before, _, after = blocks(file)
    file.text = before + after
    file.annotate(f'{PREFIX}port: "6000"')
    file.inject()
    assert containers(file)["b"]["HAZELCAST_ADDRESS"] == "127.0.0.1:6000"
    file.uninject()
    assert containers(file) == {"b": {}}


def test_the_containers_own_variables_are_known_by_its_name_when_another_one_is_inserted(
    opened: Open,
) -> None:
    file = opened(POD + OWN)
    file.inject()
    file.edit("  - name: a\n", "  - name: first\n    image: z:1\n  - name: a\n")
    file.uninject()
    assert containers(file) == {"first": {}, "a": {"HAZELCAST_ADDRESS": "127.0.0.1:5701"}}


def test_an_empty_list_goes_back_to_the_container_that_had_it(opened: Open) -> None:
    file = opened(POD + "    env: [ ]\n")
    file.inject()
    file.edit("  - name: a\n", B + "    env:\n    - {name: X, value: x}\n  - name: a\n")
    assert (
        file.uninject()
        == POD.replace("  - name: a\n", B + "    env:\n    - {name: X, value: x}\n  - name: a\n")
        + "    env: [ ]\n"
    )


def test_a_record_with_indexes_is_still_read(opened: Open) -> None:
    file = opened(POD + OWN + B + "    env: []\n")
    before = file.text
    file.inject()
    file.text = file.text.replace("[name=a]", "0").replace("[name=b]", "1")
    assert file.uninject() == before


# --- what people did to the member -------------------------------------------------------------------------

COMMANDS = ("inject", "explain", "resources")


def agreed(file: File, sentence: str) -> None:
    """The commands all refuse a file with the sentence, print no object and leave it alone."""
    before = file.text
    for command in COMMANDS:
        status, out, err = file.run(command)
        assert status == 1, command
        assert sentence in out + err, command
        assert "kind:" not in out, command
    assert file.run("inject", "--in-place")[0] == 1
    assert file.text == before


def test_a_status_that_cannot_be_read_is_removed_as_the_message_says(opened: Open) -> None:
    file = opened(POD)
    file.inject()
    start = file.text.index(f"    {STATUS}: ")
    end = file.text.index("\n", start)
    file.text = f"{file.text[:start]}    {STATUS}: x{file.text[end:]}"
    agreed(file, "`hazelcast-sidecar uninject` does so in manifests")
    status, _, err = file.run("uninject", "--in-place")
    assert (status, err.splitlines()[-1]) == (0, "1 uninjected")
    assert "HAZELCAST_ADDRESS, HAZELCAST_CLUSTER_NAME, terminationGracePeriodSeconds may be" in err
    assert not {"initContainers", "volumes"} & file.spec.keys()
    assert "labels" not in Document(file.text).content["metadata"]
    file.inject()


def test_a_member_that_was_renamed_is_left_with_its_volumes(opened: Open) -> None:
    file = opened(POD)
    file.inject()
    file.edit("  - name: hazelcast\n    image", "  - name: hz\n    image")
    agreed(file, "says that a member was injected, but there is none")
    before = file.text
    status, _, err = file.run("uninject", "--in-place")
    assert status == 1
    assert 'spec.initContainers[0]: mounts the volume "hazelcast-config"' in err
    assert 'name the container "hazelcast" again' in err
    assert file.text == before
    file.edit("  - name: hz\n    image", "  - name: hazelcast\n    image")
    assert file.uninject() == POD


def test_a_member_that_was_removed_is_missed_by_every_command(opened: Open) -> None:
    file = opened(POD)
    file.inject()
    start = file.text.index("  initContainers:\n")
    end = file.text.index("  volumes:\n")
    file.text = file.text[:start] + file.text[end:]
    agreed(file, "says that a member was injected, but there is none")
    assert file.uninject() == POD


def test_a_status_of_another_pod_changes_nothing_but_itself(opened: Open) -> None:
    file = opened(POD)
    injected = file.inject()
    start = injected.index(f"    {STATUS}: ")
    status = injected[start : injected.index("\n", start) + 1]
    own = POD + OWN + "  - name: hazelcast\n    image: mine:1\n  terminationGracePeriodSeconds: 7\n"
    file.text = own.replace("spec:\n", f"{status}spec:\n", 1)
    agreed(file, "the annotation was copied from another Pod")
    assert file.uninject() == own


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (f"{PREFIX}inject:", f'{PREFIX}prot: "1"\n    {PREFIX}inject:', 'did you mean "port"?'),
        (f"    {PREFIX}group: shop\n", f"    {PREFIX}group: other\n", "other"),
    ],
    ids=["annotation", "label"],
)
def test_what_is_denied_has_no_objects(old: str, new: str, sentence: str, opened: Open) -> None:
    file = opened(POD)
    file.inject()
    file.edit(old, new)
    agreed(file, sentence)


def test_each_command_says_that_the_webhooks_member_differs_and_its_advice_works(opened: Open) -> None:
    file = opened(POD)
    file.inject()
    made = file.text
    start = made.index(f"    {STATUS}: ")
    end = made.index("\n", start)
    status = json.loads(Document(made).content["metadata"]["annotations"][STATUS])
    webhooks = json.dumps({k: v for k, v in status.items() if k != "manifest" and not k.startswith("own")})
    file.text = f"{made[:start]}    {STATUS}: '{webhooks}'{made[end:]}"
    assert [file.run(command)[0] for command in COMMANDS] == [0, 0, 0]
    assert not any("outdated" in "".join(file.run(command)[1:]) for command in COMMANDS)
    file.annotate(f'{PREFIX}port: "6000"')
    for command in COMMANDS:
        status_code, out, err = file.run(command)
        assert status_code == 0
        assert "the member, which the webhook injected, is outdated" in out + err, command
    file.uninject()
    file.text = file.text[: file.text.index("    env:\n")]  # by hand, as it names them
    file.inject()
    assert containers(file)["a"]["HAZELCAST_ADDRESS"] == "127.0.0.1:6000"


# --- to the byte, or not at all ----------------------------------------------------------------------------

ODD = {
    "comment in brackets": POD + "    env: [ # none\n    ]\n",
    "comment in braces": POD.replace("spec:", "  labels: { # none\n  }\nspec:"),
    "anchor above null": POD + "    env: &a\n      null\n",
    "anchor and comment above": POD + "    env: &a # none\n      []\n",
    "tag": POD + "  volumes: !!seq []\n",
}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_the_bytes_of_an_empty_value_are_given_back(text: str, opened: Open) -> None:
    file = opened(text)
    once = file.inject()
    assert file.inject() == once
    assert file.uninject() == text


SHARED = {
    "grace period by alias": (
        POD + "  activeDeadlineSeconds: &g 40\n  terminationGracePeriodSeconds: *g\n",
        "spec.terminationGracePeriodSeconds: is the alias *g; write it out there",
    ),
    "env by alias": (
        POD + "    args: &e []\n    env: *e\n",
        "spec.containers.0.env: is the alias *e; write it out there",
    ),
    "env that others use": (
        POD + "    env: &e []\n    args: *e\n",
        "spec.containers.0.env: is used in other places by the anchor &e; write it out there",
    ),
    "grace period by merge key": (
        f"x: &x {{terminationGracePeriodSeconds: 40}}\n{POD}  <<: *x\n",
        "spec.terminationGracePeriodSeconds: comes from a merge key; write it out there",
    ),
    "null env by merge key": (
        f"x: &x {{env: null}}\n{POD}    <<: *x\n",
        "spec.containers.0.env: comes from a merge key; write it out there",
    ),
    "status too long to be read again": (
        POD + "    env: [" + 70_000 * " " + "]\n",
        f"{STATUS}: would have 70,",
    ),
}


@pytest.mark.parametrize(("text", "sentence"), SHARED.values(), ids=SHARED)
def test_what_could_not_be_given_back_is_refused(text: str, sentence: str, opened: Open) -> None:
    file = opened(text)
    status, _, err = file.run("inject", "--in-place")
    assert status == 1
    assert sentence in err
    assert file.text == text


def test_a_merge_key_that_brings_none_of_it_is_no_obstacle(opened: Open) -> None:
    file = opened(f"x: &x {{workingDir: /}}\n{POD}    <<: *x\n")
    before = file.text
    file.inject()
    assert file.uninject() == before
