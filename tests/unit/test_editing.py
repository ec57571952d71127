"""The text of documents: what is not touched stays as it was written, byte for byte."""

import json
import re
import time
from collections.abc import Callable
from typing import Any

import pytest

from hazelcast_sidecar.manifest_text import document as module
from hazelcast_sidecar.manifest_text.content import read_yaml
from hazelcast_sidecar.manifest_text.document import Change, Document, parts
from hazelcast_sidecar.manifest_text.edit import DocumentText, Splice, splices_of
from hazelcast_sidecar.manifest_text.failures import UnreadableError
from hazelcast_sidecar.manifest_text.nodes import Node
from hazelcast_sidecar.manifest_text.patching import Operation

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


def changed(text: str, operations: list[Operation]) -> str:
    done = Document(text).changed([Change("", operations)])
    assert done.refused == {}
    return done.text


def refusal(text: str, *operations: Operation) -> str:
    done = Document(text).changed([Change("", operations)])
    assert done.text == text
    return done.refused[""]


def test_a_document_may_begin_with_a_blank_line() -> None:
    assert changed("\nspec: 1\n", [{"op": "add", "path": "/more", "value": "x"}]) == "\nspec: 1\nmore: x\n"


@pytest.mark.parametrize("text", STYLES.values(), ids=STYLES)
def test_what_is_added_and_taken_away_again_leaves_every_byte(text: str) -> None:
    added = changed(text, ADD)
    assert added != text
    assert Document(added).content["spec"]["list"][0] == {"name": "new", "value": "yes"}
    assert changed(added, TAKE) == text


def test_only_lines_are_added_and_none_is_changed() -> None:
    text = STYLES["indented"]
    lines = iter(changed(text, ADD).splitlines())
    assert all(line in lines for line in text.splitlines()), "in their order"


def test_texts_that_some_reader_takes_for_something_else_are_quoted() -> None:
    added = changed(STYLES["kubectl"], ADD)
    for quoted in ('value: "yes"', 'number: "012"', 'size: "1e3"', '"n": "n"', "plain: a b"):
        assert quoted in added


def test_documents_are_split_and_the_untouched_ones_keep_their_bytes() -> None:
    odd = "---   # odd\na:   {b:    1}\n...\n"
    text = f"# first\n---\n{STYLES['kubectl']}{odd}--- \n\n"
    found = list(parts(text))
    assert "".join(part.text for part in found) == text
    assert [part.first_line for part in found] == [1, 2, 12, 15]
    assert [Document(*part).content is None for part in found] == [True, False, False, True]


def test_directives_belong_to_the_document_behind_them() -> None:
    (only,) = parts("# why\n%YAML 1.1\n---\na: 1\n")
    assert Document(*only).content == {"a": 1}


def test_json_values_may_follow_each_other() -> None:
    text = '{"a": 1}\n{"a": 2} {"a": 3}\n'
    found = list(parts(text))
    assert [Document(*part).content for part in found] == [{"a": 1}, {"a": 2}, {"a": 3}]
    assert "".join(part.text for part in found) == text


@pytest.mark.parametrize("indent", ["", "  ", "    ", "\t"])
def test_json_stays_json_in_its_indentation(indent: str) -> None:
    lines = ["{", f'{indent}"spec": {{', f'{indent * 2}"list": [],', f'{indent * 2}"text": "ü"']
    text = "\n".join([*lines, f"{indent}}}", "}"]) if indent else '{"spec": {"list": [], "text": "ü"}}\n'
    added = changed(text, ADD)
    assert Document(added).is_json
    assert changed(added, TAKE) == text


def test_what_is_added_to_json_is_written_in_its_letters() -> None:
    added: Operation = {"op": "add", "path": "/b", "value": "ü\u2028"}
    assert changed('{"a": "ü"}', [added]) == '{"a": "ü", "b": "ü\u2028"}'


def test_yaml_in_braces_is_yaml() -> None:
    text = "{kind: A, spec: {list: [{name: one}], text: 'a b', number: 0o10}}\n"
    added = changed(text, ADD)
    assert added.startswith('{kind: A, spec: {list: [{name: new, value: "yes"}, {name: one}]')
    assert changed(added, TAKE) == text


def test_braces_that_are_neither_say_both() -> None:
    with pytest.raises(UnreadableError, match=r"as JSON: .* as YAML: "):
        Document("{a: b: c}")


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        "{",
        "a: b: c",
        "a: *b",
        "[" * 100_000,
        "- " * 100_000,
        '{"a":' * 100_000,
        "\t- a",
        "a: .inf",
        "? [a]\n: b",
        "~: a",
        "<<: 3",
        "a: &a [*a]",
        "a: !!int b",
        "a: \x00",
        "name: {{ .Release.Name }}",
    ],
)
def test_what_kubectl_would_not_read_is_refused(text: str) -> None:
    with pytest.raises(UnreadableError, match=r"."):
        Document(text)


# --- bounds ------------------------------------------------------------------------------------------------


def laughs(levels: int, width: int = 9) -> str:
    lines = ["a0: &a0 [x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, levels)]
    return "\n".join(lines)


def test_aliases_that_unfold_to_many_times_their_text_are_refused_at_once() -> None:
    text = laughs(12)
    assert len(text) < 700
    start = time.process_time()
    with pytest.raises(UnreadableError, match="unfold to many times its text"):
        Document(text)
    assert time.process_time() - start < 1, "a second, against a minute of unfolding"


def test_anchors_as_people_use_them_are_read() -> None:
    text = "labels: &labels {app: shop, tier: web}\n" + "".join(f"a{n}: *labels\n" for n in range(500))
    assert Document(text).content["a499"] == {"app": "shop", "tier": "web"}


# --- aliases and merge keys --------------------------------------------------------------------------------

ADD_LABEL: Operation = {"op": "add", "path": "/labels/new", "value": "x"}


def test_an_alias_on_the_way_is_refused_with_its_name() -> None:
    text = "selector: &labels\n  app: a\nlabels: *labels\n"
    assert refusal(text, ADD_LABEL) == "labels: is the alias *labels; write it out there"


def test_an_anchor_that_is_used_elsewhere_is_refused() -> None:
    text = "labels: &labels\n  app: a\nselector: *labels\n"
    assert "is used in other places by the anchor &labels" in refusal(text, ADD_LABEL)


def test_what_a_merge_key_brings_is_refused() -> None:
    text = "base: &base\n  env: []\nc:\n  <<: *base\n  name: x\n"
    sentence = refusal(text, {"op": "add", "path": "/c/env/0", "value": {"name": "n"}})
    assert sentence == "c.env: comes from a merge key; write it out there"


def test_a_key_beside_a_merge_key_is_added() -> None:
    text = "base: &base\n  a: 1\nc:\n  <<: *base\n"
    assert changed(text, [{"op": "add", "path": "/c/b", "value": "x"}]) == f"{text}  b: x\n"


def test_a_comment_without_a_line_break_behind_a_text_is_no_part_of_it() -> None:
    added: Operation = {"op": "add", "path": "/list/-", "value": "b"}
    assert changed("list:\n- |\n  a\n# end", [added]) == "list:\n- |\n  a\n- b\n# end"


def test_a_text_that_ends_the_file_without_a_line_break_is_not_made_longer() -> None:
    text = "list:\n- |\n  a"
    assert "put a line break at its end" in refusal(text, {"op": "add", "path": "/list/-", "value": "b"})
    text = "spec:\n  a: x\n  b: |\n    y"
    assert (
        changed(text, [{"op": "add", "path": "/spec/c", "value": "z"}])
        == "spec:\n  a: x\n  c: z\n  b: |\n    y"
    )


# --- scalars, as kubectl has them --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0400", 256),
        ("0o17", 15),
        ("0x1F", 31),
        ("0b11", 3),
        ("-0b1", -1),
        ("08", 8.0),
        ("1_000", 1000),
        ("_1", "_1"),
        ("7e2", 700.0),
        ("1e400", "1e400"),
        (".5", 0.5),
        ("190:20:30", "190:20:30"),
        ("2001-01-01", "2001-01-01"),
        ("2001-12-14t21:59:43.10-05:00", "2001-12-14t21:59:43.10-05:00"),
        ("y", True),
        ("Off", False),
        ("=", "="),
        ("", None),
        ("~", None),
        ("18446744073709551615", 2**64 - 1),
        ("!!str 12", "12"),
        ('!!int "12"', 12),
        ("!foo 12", "12"),
        ("!!binary aGVsbG8=", "hello"),
    ],
)
def test_a_scalar_is_what_kubectl_takes_it_for(text: str, value: Any) -> None:
    found = read_yaml(f"a: {text}").value["a"]
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize(
    ("number", "key"),
    [
        ("1.23456789", "1.2345679"),
        ("123456.7", "123456.7"),
        ("1234567.0", "1.234567e+06"),
        ("1e6", "1e+06"),
        ("0.00001", "1e-05"),
        ("0.5", "0.5"),
        ("-2.0", "-2"),
        ("1.5e300", ".inf"),
    ],
)
def test_a_number_is_a_key_as_kubectl_writes_it(number: str, key: str) -> None:
    assert read_yaml(f"{{{number}: x}}").value == {key: "x"}


def test_halves_of_surrogate_pairs_are_read_as_go_does() -> None:
    assert Document('{"\\ud800": "\\udc00", "ok": "\\ud83d\\ude00"}').content == {
        "\ufffd": "\ufffd",
        "ok": "\U0001f600",
    }


def test_a_number_that_has_no_place_in_64_bits_is_no_number_of_json() -> None:
    assert Document('{"a": 1e999}').content == {"a": "1e999"}, "so it is read as YAML"


def test_a_merge_key_wins_over_what_stands_before_it_as_in_go() -> None:
    assert read_yaml("{x: q, <<: {x: y}}").value == {"x": True}
    assert read_yaml("{<<: {x: z}, x: q}").value == {"x": "q"}
    assert read_yaml("{<<: [{x: a}, {x: b}]}").value == {"x": "a"}


# --- Lists in which much is refused ------------------------------------------------------------------------

ANNOTATE: list[Operation] = [{"op": "add", "path": "/metadata/labels", "value": {"a": "b"}}]
IN_LISTS = {
    "block": lambda number: f"- kind: A\n  metadata:\n    name: a{number}\n  spec: {{}}\n",
    "flow": lambda number: f"- {{kind: A, metadata: {{name: a{number}}}, spec: {{}}}}\n",
    "json": lambda number: f'{{"kind": "A", "metadata": {{"name": "a{number}"}}, "spec": {{}}}}\n',
}


def list_of(style: str, objects: int) -> str:
    """A List of such objects."""
    made = [IN_LISTS[style](number) for number in range(objects)]
    if style == "json":
        return f'{{"kind": "List", "items": [\n{",".join(made)}]}}\n'
    return "kind: List\nitems:\n" + "".join(made)


def faulty_for(every: int) -> Callable[..., list[Splice]]:
    """A fault of the editor: what it writes into some objects is not what was asked for."""

    def faulty(document: DocumentText, root: Node, *others: Any) -> list[Splice]:
        made = splices_of(document, root, *others)
        number = int(re.search(r"a(\d+)", document.text[root.start :])[1])  # type: ignore[index]
        return made if number % every else [each._replace(text=each.text.replace("b", "c")) for each in made]

    return faulty


@pytest.mark.parametrize("style", IN_LISTS)
def test_objects_that_cannot_be_changed_cost_the_others_nothing(
    monkeypatch: pytest.MonkeyPatch, style: str
) -> None:
    """However many there are."""
    monkeypatch.setattr(module, "splices_of", faulty_for(2))
    readings = 0
    verifies = Document.verifies

    def counted(*arguments: Any) -> bool:
        nonlocal readings
        readings += 1
        return verifies(*arguments)

    monkeypatch.setattr(Document, "verifies", counted)
    document = Document(list_of(style, 200))
    changed = document.changed([Change(f"/items/{number}", ANNOTATE) for number in range(200)])
    assert sorted(changed.refused) == sorted(f"/items/{number}" for number in range(0, 200, 2))
    found = Document(changed.text).content["items"]
    assert [each["metadata"].get("labels") for each in found] == [None, {"a": "b"}] * 100
    assert readings <= 3


@pytest.mark.heavy
def test_objects_that_cannot_be_changed_do_not_take_others_along_where_there_are_anchors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where none can be read alone."""
    monkeypatch.setattr(module, "splices_of", faulty_for(5))
    document = Document("x: &x a\n" + list_of("block", 40))
    changed = document.changed([Change(f"/items/{number}", ANNOTATE) for number in range(40)])
    assert sorted(changed.refused) == sorted(f"/items/{number}" for number in range(0, 40, 5))


@pytest.mark.parametrize(
    "text",
    [
        'kind: List\nitems: ["x", null, {metadata: {name: a}}, {metadata: {name: b}, c: 1, c: 2}]\n',
        "x: &x {c: 1}\nkind: List\nitems:\n- x\n- *x\n- metadata: {name: a}\n- {metadata: {}, c: 1, c: 2}\n",
        "kind: List\nitems: [{}]\nitems: [1, 2, {metadata: {name: a}}, {metadata: {name: b}, c: 1, c: 2}]\n",
    ],
)
def test_elements_that_are_no_objects_count_among_the_others(text: str) -> None:
    document = Document(text)
    changed = document.changed([Change("/items/2", ANNOTATE)])
    assert changed.refused == {}
    assert Document(changed.text).content["items"][2] == {"metadata": {"name": "a", "labels": {"a": "b"}}}
    assert document.repeated_key("/items/2") is None
    assert document.repeated_key("/items/3") == "c"


def anchored(objects: int) -> tuple[str, str]:
    """Objects that share what is changed, two by two; and the path of each."""
    pairs = "".join(f"- metadata: &m{number} {{a: b}}\n- metadata: *m{number}\n" for number in range(objects))
    return f"kind: List\nitems:\n{pairs}", "/items/"


def nested(objects: int) -> tuple[str, str]:
    """A List in a List."""
    inner = "  - metadata: {own: x}\n" * 2 * objects
    return f"kind: List\nitems:\n- kind: List\n  items:\n{inner}", "/items/0/items/"


def on_one_line(objects: int) -> tuple[str, str]:
    """A List as programs write it."""
    text = json.dumps({"kind": "List", "items": [{"metadata": {"own": "x"}}] * 2 * objects})
    return text, "/items/"


def nested_json(objects: int) -> tuple[str, str]:
    inner = {"kind": "List", "items": [{"metadata": {"own": "x"}}] * 2 * objects}
    return json.dumps({"kind": "List", "items": [inner]}, indent=2), "/items/0/items/"


def flow(objects: int) -> tuple[str, str]:
    return "kind: List\nitems: [" + "{metadata: {own: x}}, " * 2 * objects + "]\n", "/items/"


@pytest.mark.heavy
@pytest.mark.parametrize("build", [anchored, nested, on_one_line, nested_json, flow])
def test_twice_as_many_objects_take_twice_as_long(build: Callable[[int], tuple[str, str]]) -> None:
    """Also where an object cannot be read alone, as there are anchors, or Lists in Lists."""

    def seconds(objects: int) -> float:
        text, path = build(objects)
        document = Document(text)
        started = time.process_time()
        document.changed([Change(f"{path}{number}", ANNOTATE) for number in range(2 * objects)])
        return time.process_time() - started

    fewest = [seconds(50), seconds(200)]
    for _ in range(10):
        if fewest[1] <= 4 * 1.6 * fewest[0]:
            return
        fewest = [min(fewest[0], seconds(50)), min(fewest[1], seconds(200))]
    pytest.fail(f"{fewest[0]:.3f} s, and {fewest[1]:.3f} s for four times as many")
