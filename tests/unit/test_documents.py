"""Documents to the letter: their bounds, the lines of their objects, and how a value is written where."""

import json
from typing import Any

import pytest

from hazelcast_sidecar.manifest_text.content import read_yaml
from hazelcast_sidecar.manifest_text.document import Change, Document
from hazelcast_sidecar.manifest_text.failures import UnreadableError
from hazelcast_sidecar.manifest_text.render import Style, pair_lines, value_lines
from hazelcast_sidecar.manifest_text.scalars import plain
from hazelcast_sidecar.manifest_text.yaml_events import MAX_DEPTH

BOM = "\ufeff"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("9223372036854775808", 2**63),
        ("18446744073709551615", 2**64 - 1),
        ("18446744073709551616", float(2**64)),
        ("+9223372036854775807", 2**63 - 1),
        ("+9223372036854775808", float(2**63)),
        ("-9223372036854775808", -(2**63)),
        ("-9223372036854775809", -float(2**63)),
        ("9" * 400, "9" * 400),
        ("0." + "1" * 398, float("0." + "1" * 398)),
        ("0." + "1" * 399, "0." + "1" * 399),
    ],
)
def test_numbers_at_the_ends_of_what_go_takes_for_one(text: str, value: Any) -> None:
    assert (type(plain(text)), plain(text)) == (type(value), value)


def nested(levels: int) -> str:
    return "[" * levels + "]" * levels


def test_json_and_yaml_are_read_to_the_same_depth() -> None:
    deepest = f'{{"a": {nested(MAX_DEPTH - 1)}}}'
    assert Document(deepest).is_json
    assert read_yaml(deepest).value["a"]
    for text in (f'{{"a": {nested(MAX_DEPTH)}}}', nested(MAX_DEPTH + 1)):
        with pytest.raises(UnreadableError, match=f"is nested in more than {MAX_DEPTH} levels"):
            Document(text)


@pytest.mark.parametrize(
    "element", ["- x\n", "- &b x\n", "- {}\n", "- *s\n"], ids=["scalar", "anchor", "empty", "alias"]
)
def test_aliases_may_unfold_to_ten_times_the_text_and_a_thousand_nodes(element: str) -> None:
    """A node is a scalar or a collection; keys are none."""
    elements, first = 99, "s: &s x\n"
    text = f"{first}a: &a\n{element * elements}b:\n"
    of_a = 1 + elements  # itself, and what is in it
    unfolded = elements if "*" in element else 0
    written = 1 + 1 + (1 + (0 if unfolded else elements)) + 1  # the root, s, what stands for a, b
    allowed = (10 * written + 1000 - unfolded) // of_a
    # What an alias stands for is no text, so the text does not grow by aliases.
    read_yaml(text + "- *a\n" * allowed)
    with pytest.raises(UnreadableError, match="unfold to many times its text"):
        read_yaml(text + "- *a\n" * (allowed + 1))


@pytest.mark.parametrize("head", ["", "---\n", f"---\n{BOM}", f"{BOM}---\n", f"{BOM}--- # why\n{BOM}"])
def test_a_duplicate_key_is_found_in_the_object_that_has_it(head: str) -> None:
    document = Document(f"{head}items:\n- {{a: 1, b: {{c: 1, c: 2}}}}\n- {{a: 1}}\n- {{d: 1, d: 2}}\n")
    found = [document.repeated_key(path) for path in ("/items/0", "/items/1", "/items/2", "")]
    assert found == ["c", None, "d", "c"]
    assert Document('{"a": 1, "a": 2}').repeated_key("") == "a"
    assert Document('{"a": 1, "b": 2}').repeated_key("") is None


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a: 1\n", [7]),
        ("\n# why\n\na: 1\n", [10]),
        ("---\na: 1\n", [8]),
        ("# why\n---  # here\n\n# and\na: 1\n", [11]),
        (f"---\n{BOM}a: 1\n", [8]),
        (f"---\n{BOM}# why\na: 1\n", [9]),
        ("%YAML 1.1\n---\na: 1\n", [9]),
        ('{"a": 1}', [7]),
        ('\n{\n"items": [\n{},\n\n{}]}', [8, 10, 12]),
        ("items:\n- a: 1\n  b: 1\n-\n  a: 2\n", [7, 8, 11]),
    ],
)
def test_the_line_in_which_an_object_begins(text: str, lines: list[int]) -> None:
    document = Document(text, 7)
    paths = ["", *(f"/items/{number}" for number in range(len(lines) - 1))]
    assert [document.line_at(path) for path in paths] == lines
    assert [document.line_at(path) for path in reversed(paths)] == lines[::-1], "in any order"


def test_a_value_is_quoted_where_it_is_in_brackets_alone() -> None:
    style = Style()
    assert pair_lines("a, b", "c, d", 0, style) == ["a, b: c, d"]
    assert pair_lines("a", ["c, d", ["e, f"], {}, [], {"g": "h, i"}], 0, style) == [
        "a:",
        "- c, d",
        "- - e, f",
        "- {}",
        "- []",
        "- g: h, i",
    ]
    assert pair_lines("a", {}, 0, style) == ["a: {}"]
    assert value_lines({"a": {"b": 1}}, 1, Style(step=3)) == ["    a:", "       b: 1"]
    assert value_lines([[1, 2], 3], 1, Style(offset=2, dash=4)) == [
        "   -   -   1",
        "       -   2",
        "   -   3",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a:\n", "a: x, y\n"),
        ("a: # why\n", "a: x, y # why\n"),
        ("{a: , b: 1}\n", '{a: "x, y" , b: 1}\n'),
        ("a:\nc: {b: 1}\n", "a: x, y\nc: {b: 1}\n"),
    ],
)
def test_a_key_without_a_value_gets_one(text: str, expected: str) -> None:
    done = Document(text).changed([Change("", [{"op": "replace", "path": "/a", "value": "x, y"}])])
    assert (done.text, done.refused) == (expected, {})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("c: {a: , b: 1}\n", 'c: {a: "x, y" , b: 1}\n'),
        ("{c: {a: , b: 1}}\n", '{c: {a: "x, y" , b: 1}}\n'),
        ("c:\n  a:\n", "c:\n  a: x, y\n"),
        ("c:\n- a:\n", None),
    ],
)
def test_a_key_without_a_value_gets_one_as_its_own_mapping_is_written(
    text: str, expected: str | None
) -> None:
    path = "/c/a" if expected else "/c/0/a"
    done = Document(text).changed([Change("", [{"op": "replace", "path": path, "value": "x, y"}])])
    assert (done.text, done.refused) == (expected or "c:\n- a: x, y\n", {})


def test_a_key_without_a_value_gets_a_collection_below_it() -> None:
    value = {"b": ["x, y"]}
    for text in ("a:\n", "a:  # why\nz: 1\n"):
        done = Document(text).changed([Change("", [{"op": "replace", "path": "/a", "value": value}])])
        head, newline, tail = text.partition("\n")
        assert done.text == f"{head}{newline}  b:\n  - x, y\n{tail}"
    flowed = Document("{a: }\n").changed([Change("", [{"op": "replace", "path": "/a", "value": value}])])
    assert flowed.text == '{a: {b: ["x, y"]} }\n'


def test_json_is_read_as_json_though_a_list_in_it_has_items_of_its_own() -> None:
    inner = {"kind": "List", "items": [{"items": [1]}, {}]}
    text = json.dumps({"before": {"items": [2]}, **inner, "after": 1})
    document = Document(text)
    assert document.is_json
    assert document.content["items"] == inner["items"]
    done = document.changed([Change("/items/1", [{"op": "add", "path": "/a", "value": "x"}])])
    assert json.loads(done.text)["items"] == [{"items": [1]}, {"a": "x"}]
