"""CEL made of Python values; tests/apiserver/test_admission_policy.py has a real API server read it."""

import msgspec
import pytest

from hazelcast_sidecar import cel
from hazelcast_sidecar.cel import Unknown, choice, node, source

NAME, PORT = Unknown("v.name"), Unknown("v.port", text=False)
OPTIONS = ["-Da", NAME]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, "true"),
        (5701, "5701"),
        ("", '""'),
        ('a "b" \\ \n\u0001 ü 😀', '"a \\"b\\" \\\\ \\n\\u0001 ü 😀"'),
        (NAME, "v.name"),
        (PORT, "v.port"),
        (f"{NAME}:{PORT}", 'v.name + ":" + string(v.port)'),
        (str(PORT), "string(v.port)"),
        ([PORT + 1], "[v.port + 1]"),
        (NAME + "-a", 'v.name + "-a"'),
        (NAME.replace("$", "$$"), 'v.name.replace("$", "$$")'),
        (" ".join(OPTIONS), '"-Da " + v.name'),
        (["a", "b"], '["a", "b"]'),
        ({"a": "b", "c": NAME}, '{"a": "b", "c": v.name}'),
        ({"a": "b", "c": 1}, '{"a": dyn("b"), "c": dyn(1)}'),
        ([{"a": "b"}, {"a": 1}], '[dyn({"a": "b"}), dyn({"a": 1})]'),
    ],
)
def test_a_value_becomes_a_literal(value: object, expected: str) -> None:
    assert source(value) == expected


@pytest.mark.parametrize(
    ("yes", "no", "expected"),
    [
        ("same", "same", '"same"'),
        ("-Da -Djmx -Db", "-Da -Db", '"-Da -" + (v.on ? "Djmx -" : "") + "Db"'),
        ({"a": "x", "b": "y"}, {"a": "x"}, '{"a": "x", ?"b": v.on ? optional.of("y") : optional.none()}'),
        ({"a": "x"}, {"a": "y"}, '{"a": (v.on ? "x" : "y")}'),
        (["a", "c"], ["a", "b", "c"], '["a", ?!(v.on) ? optional.of("b") : optional.none(), "c"]'),
        (1, 2, "(v.on ? 1 : 2)"),
        (
            [{"name": "a", "value": "x"}],
            [{"name": "a", "value": "y"}],
            '[{"name": "a", "value": (v.on ? "x" : "y")}]',
        ),
    ],
)
def test_two_cases_share_what_is_the_same(yes: object, no: object, expected: str) -> None:
    assert source(choice("v.on", node(yes), node(no))) == expected


def test_a_switch_may_count_in_one_case_of_another_alone() -> None:
    def case(*, one: bool, two: bool) -> object:
        return node({"a": "x"} if one and not two else {"a": "x", "b": "y"})

    found = choice(
        "v.one",
        choice("v.two", case(one=True, two=True), case(one=True, two=False)),
        choice("v.two", case(one=False, two=True), case(one=False, two=False)),
    )
    assert source(found) == ('{"a": "x", ?"b": (v.one ? v.two : true) ? optional.of("y") : optional.none()}')


def test_cases_of_two_switches_stand_beside_each_other() -> None:
    def case(*, one: bool, two: bool) -> object:
        return node([*(["one"] if one else []), "both", *(["two"] if two else [])])

    inner = {one: choice("v.two", case(one=one, two=True), case(one=one, two=False)) for one in (True, False)}
    assert source(choice("v.one", inner[True], inner[False])).split("\n") == [
        "[",
        '  ?v.one ? optional.of("one") : optional.none(),',
        '  "both",',
        '  ?v.two ? optional.of("two") : optional.none()',
        "]",
    ]


def test_an_element_may_stand_under_two_conditions() -> None:
    inner = choice("v.two", node(["both"]), node([]))
    expected = '[?v.one && v.two ? optional.of("both") : optional.none()]'
    assert source(choice("v.one", inner, node([]))) == expected


def test_what_is_unknown_keeps_its_type_in_json() -> None:
    text = msgspec.json.encode({"name": NAME, "port": PORT}, enc_hook=cel.in_json).decode()
    escaped = 'v.name.replace("\\\\", "\\\\\\\\").replace("\\"", "\\\\\\"")'
    assert source(text) == f'"{{\\"name\\":\\"" + {escaped} + "\\",\\"port\\":" + string(v.port) + "}}"'
    with pytest.raises(TypeError):
        msgspec.json.encode(object(), enc_hook=cel.in_json)


def test_a_pattern_matches_the_whole_text() -> None:
    assert cel.matches("v.name", r"a|\d") == 'v.name.matches("^(?:a|\\\\d)$")'
