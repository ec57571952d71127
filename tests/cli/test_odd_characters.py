"""Characters, labels and lists that made a rewriting lose something."""

import json
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from hazelcast_sidecar.cli import main
from hazelcast_sidecar.manifest_text.document import Document, parts

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
  annotations:
    sidecar.hazelcast.com/inject: "true"
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      containers:
      - name: app
        image: x:1
        args: ["a{odd} b"]
"""


@pytest.mark.parametrize("odd", ["\u2028", "\u2029", "\x85"], ids=["U+2028", "U+2029", "U+0085"])
def test_a_letter_that_ends_a_line_in_yaml_alone_is_no_line_break_of_the_file(
    tmp_path: Path, odd: str
) -> None:
    path = tmp_path / "two.yaml"
    text = DEPLOYMENT.format(name="a", odd=odd) + "---\n" + DEPLOYMENT.format(name="b", odd="")
    path.write_text(text, encoding="utf-8")
    assert main(["inject", str(path), "--in-place"]) == 0
    injected = path.read_text(encoding="utf-8")
    names = [Document(*part).content["metadata"]["name"] for part in parts(injected)]
    assert names == ["a", "b"]
    assert [each["metadata"]["name"] for each in yaml.safe_load_all(injected)] == names
    assert main(["uninject", str(path), "--in-place"]) == 0
    assert path.read_text(encoding="utf-8") == text


def test_a_control_character_is_a_sentence_and_the_other_files_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "esc.yaml").write_text("a: b \x1b[0m\n")
    (tmp_path / "good.yaml").write_text(DEPLOYMENT.format(name="good", odd=""))
    assert main(["inject", str(tmp_path / "esc.yaml"), str(tmp_path / "good.yaml")]) == 1
    out, err = capsys.readouterr()
    assert "the character U+001B is not allowed" in err
    assert "name: good" in out


def test_a_label_of_the_users_own_stays(tmp_path: Path) -> None:
    path = tmp_path / "shop.yaml"
    text = DEPLOYMENT.format(name="shop", odd="").replace(
        "    metadata: {labels: {app: shop}}\n",
        '    metadata:\n      labels:\n        sidecar.hazelcast.com/group: "g"   # ours\n'
        "      annotations:\n        sidecar.hazelcast.com/group: g\n",
    )
    path.write_text(text)
    assert main(["inject", str(path), "--in-place"]) == 0
    assert main(["uninject", str(path), "--in-place"]) == 0
    assert path.read_text() == text


def test_metadata_with_nothing_but_null_stays(tmp_path: Path) -> None:
    path = tmp_path / "shop.yaml"
    text = DEPLOYMENT.format(name="shop", odd="").replace(
        "    metadata: {labels: {app: shop}}\n", "    metadata:\n      creationTimestamp: null\n"
    )
    path.write_text(text)
    assert main(["inject", str(path), "--in-place"]) == 0
    injected = path.read_text()
    assert main(["inject", str(path), "--in-place"]) == 0
    assert path.read_text() == injected
    assert main(["uninject", str(path), "--in-place"]) == 0
    assert path.read_text() == text


def test_a_list_in_a_list_is_injected_with_what_is_beside_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b, c = (yaml.safe_load(DEPLOYMENT.format(name=name, odd="")) for name in "abc")
    inner = {"apiVersion": "v1", "kind": "List", "items": [b]}
    path = tmp_path / "lists.json"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": [a, inner, c]}, indent=2))
    assert main(["inject", str(path)]) == 0
    assert capsys.readouterr().err.endswith("3 injected\n")


def test_a_list_that_cannot_do_without_what_was_refused_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "list.yaml"
    path.write_text("""\
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Pod
  metadata: {name: bad, labels: &l {app: x}, annotations: {sidecar.hazelcast.com/inject: "true"}}
  spec: {containers: [{name: hazelcast, image: x}]}
- apiVersion: v1
  kind: Pod
  metadata: {name: good, labels: *l}
  spec: {containers: [{name: app, image: x}]}
""")
    assert main(["inject", str(path)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "the whole list is left out" in err


def test_a_difference_of_a_file_without_a_final_line_break_is_a_patch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text(DEPLOYMENT.format(name="shop", odd="").rstrip("\n"))
    assert main(["inject", str(path), "--diff"]) == 0
    patch = capsys.readouterr().out
    subprocess.run(["patch", str(path)], input=patch, text=True, check=True, capture_output=True)
    patched = path.read_text()
    assert main(["inject", str(path)]) == 0
    assert capsys.readouterr().out.rstrip("\n") == patched.rstrip("\n")
    assert "initContainers" in patched


@pytest.mark.heavy
def test_many_keys_of_which_one_stands_twice_are_read_at_once(tmp_path: Path) -> None:
    def seconds(count: int) -> float:
        keys = ",".join(f'"k{number}":1' for number in range(count))
        text = f'{{"a":{{{keys},"z":1,"z":1}}}}'
        path = tmp_path / f"{count}.json"
        path.write_text(text)
        begun = time.process_time()
        main(["inject", str(path)])
        return time.process_time() - begun

    seconds(10)
    few = min(seconds(10_000) for _ in range(3))
    assert min(seconds(40_000) for _ in range(3)) < 10 * few + 0.05


def test_a_line_break_that_changes_a_value_is_not_added_in_silence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = tmp_path / "first.yaml"
    first.write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  k: |\n    text")
    second = tmp_path / "second.yaml"
    second.write_text(DEPLOYMENT.format(name="shop", odd=""))
    assert main(["inject", str(second), str(first)]) == 0
    assert "gets a line break" not in capsys.readouterr().err, "nothing comes behind it"
    assert main(["inject", str(first), str(second)]) == 0
    assert "first.yaml: its last text ends with an added line break" in capsys.readouterr().err


def test_what_follows_a_refused_document_stays_a_document_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mixed.yaml"
    refused = DEPLOYMENT.format(name="bad", odd="").replace("name: app", "name: hazelcast")
    good = json.dumps(yaml.safe_load(DEPLOYMENT.format(name="good", odd="")))
    bad = json.dumps(yaml.safe_load(refused))
    path.write_text(f"{DEPLOYMENT.format(name='first', odd='')}---\n{bad}\n{good}\n")
    assert main(["inject", str(path)]) == 1
    out = capsys.readouterr().out
    assert [each["metadata"]["name"] for each in yaml.safe_load_all(out)] == ["first", "good"]
