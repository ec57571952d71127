"""Files of manifests: what is not touched stays as it was written, byte for byte."""

from pathlib import Path

import pytest

from webhook.cli.documents import Document, files, split
from webhook.errors import InvalidSettingsError
from webhook.patch import Operation

ADD: list[Operation] = [
    {"op": "add", "path": "/spec/list/0", "value": {"name": "new", "value": "yes"}},
    {"op": "add", "path": "/spec/more", "value": {"number": "012", "size": "1e3", "plain": "a b", "n": "n"}},
]
TAKE: list[Operation] = [{"op": "remove", "path": "/spec/more"}, {"op": "remove", "path": "/spec/list/0"}]

STYLES = {
    "kubectl": """\
kind: A
metadata:
  creationTimestamp: null
spec:
  list:
  - name: 'one'   # first
    value: "x"
  # between
  - name: two
""",
    "indented": """\
# head
kind: A   # why

spec:
  list:
    - name: one

    - {name: two,   value: 0644}
  empty:
  none: ~
""",
    "wide": """\
spec:
    list:
    -   name: one
    text: |
        a
         b
""",
    "folded": """\
spec:
  text: >-
    a
    b
  list:
  - name: one
""",
    "anchors": "spec:\n  a: &a {x: 1}\n  b: *a\n  list:\n  - name: one\n",
    "long lines": f"spec:\n  text: {'word ' * 60}end\n  list:\n  - name: one\n",
}


@pytest.mark.parametrize("text", STYLES.values(), ids=STYLES)
def test_what_is_added_and_taken_away_again_leaves_every_byte(text: str) -> None:
    added = Document(text).changed(ADD)
    assert added != text
    assert Document(added).content["spec"]["list"][0] == {"name": "new", "value": "yes"}
    assert Document(added).changed(TAKE) == text


def test_only_lines_are_added_and_none_is_changed() -> None:
    text = STYLES["indented"]
    lines = iter(Document(text).changed(ADD).splitlines())
    assert all(line in lines for line in text.splitlines()), "in their order"


def test_texts_that_some_reader_takes_for_something_else_are_quoted() -> None:
    added = Document(STYLES["kubectl"]).changed(ADD)
    for quoted in ('value: "yes"', 'number: "012"', "size: '1e3'", 'n: "n"', "plain: a b"):
        assert quoted in added


def test_documents_are_split_and_the_untouched_ones_keep_their_bytes() -> None:
    odd = "---   # odd\na:   {b:    1}\n...\n"
    text = f"# first\n---\n{STYLES['kubectl']}{odd}--- \n\n"
    parts = split(text)
    assert "".join(part.changed([]) for part in parts) == text
    assert [part.content is None for part in parts] == [True, False, False, True]
    assert "".join([*[p.changed([]) for p in parts[:1]], parts[1].changed(ADD)]).startswith(
        "# first\n---\nkind"
    )


@pytest.mark.parametrize("indent", ["", "  ", "    "])
def test_json_stays_json_in_its_indentation(indent: str) -> None:
    lines = ["{", f'{indent}"spec": {{', f'{indent * 2}"list": [],', f'{indent * 2}"text": "ü"']
    text = "\n".join([*lines, f"{indent}}}", "}"]) if indent else '{"spec": {"list": [], "text": "ü"}}\n'
    assert Document(Document(text).changed(ADD)).changed(TAKE) == text


def test_yaml_in_braces_is_yaml() -> None:
    text = "{kind: A, spec: {list: [{name: one}], text: 'a b', number: 0o10}}\n"
    assert Document(text).changed([]) == text
    added = Document(text).changed(ADD)
    assert added.startswith('{kind: A, spec: {list: [{name: new, value: "yes"}, {name: one}]')
    assert Document(added).changed(TAKE) == text


def test_braces_that_are_neither_say_both() -> None:
    with pytest.raises(ValueError, match=r"as JSON: .* as YAML: "):
        split("{a: b: c}")


@pytest.mark.parametrize("text", ["a: [", "{", "a: b: c", "a: *b", "[" * 100_000, "\t- a"])
def test_what_is_neither_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        split(text)


def test_a_folder_is_its_manifests_in_order(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yml", "c.json", "README.md"):
        (tmp_path / name).write_text(name)
    assert [text for _, text in files([str(tmp_path)])] == ["a.yml", "b.yaml", "c.json"]
    with pytest.raises(InvalidSettingsError, match=r"cannot be read"):
        list(files([str(tmp_path / "none")]))
