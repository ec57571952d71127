"""What is not printable is escaped where it leaves, and means the same where programs read it."""

import io
import json
import sys
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from hazelcast_sidecar.checks.report import lines
from hazelcast_sidecar.checks.results import Area
from hazelcast_sidecar.cli import main
from hazelcast_sidecar.cli.output import complain, plain, print_table, say, values, write_documents
from hazelcast_sidecar.runtime.log import json_lines
from hazelcast_sidecar.text import in_json, in_json_line, in_lines, in_one_line

EVIL = "a\x1b[2J\u009b1m\u202eb\u2028c\ud800\x7f\r\n"
ESCAPED = r"a\x1b[2J\x9b1m\u202eb\u2028c\ud800\x7f\r\n"

texts = st.text() | st.text(
    st.sampled_from("a\x1b\x85\u009b\u202e\u2028\ud800\U000e0001\x7f\n\t\r \"'\\:#-é")
)
documents = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(text=texts)
def test_one_line_is_printable_and_what_was_printable_stays(text: str) -> None:
    assert in_one_line(text).isprintable()
    assert in_one_line(text) == text or not text.isprintable()
    assert "".join(in_lines(text).split("\n")).replace("\t", "").isprintable()
    assert in_lines(text).count("\n") == text.count("\n")


def test_it_is_escaped_as_python_writes_it() -> None:
    assert in_one_line(EVIL) == ESCAPED


@given(document=documents)
def test_json_and_yaml_are_printable_and_mean_the_same(document: Any) -> None:
    as_json, as_yaml = values([document], "json"), values([document], "yaml")
    assert as_json.replace("\n", "").isprintable()
    assert as_yaml.replace("\n", "").isprintable()
    assert json.loads(as_json) == document
    assert yaml.safe_load(as_yaml) == document


@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_a_line_of_json_is_printable_and_means_the_same(text: str) -> None:
    line = in_json_line(msgspec.json.encode({"x": text}))
    assert line.decode().isprintable()
    assert msgspec.json.decode(line) == {"x": text}
    assert in_json(line.decode()) == line.decode()


def test_a_line_of_the_log_is_printable_and_never_lost() -> None:
    stream = io.BytesIO()
    log = json_lines(stream)
    log(EVIL.replace("\ud800", ""), pod="\u202e")
    log("half a surrogate pair", pod=EVIL, odd=object())
    first, second = stream.getvalue().decode().splitlines()
    assert first.isprintable()
    assert json.loads(first)["pod"] == "\u202e"
    assert second.isprintable()
    assert json.loads(second)["pod"] == ESCAPED


# --- the command line --------------------------------------------------------------------------------------


@pytest.mark.parametrize("print_it", [say, complain, lambda text: print_table(["X"], [[plain(text)]])])
def test_what_people_read_is_printable(
    print_it: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    print_it(EVIL)
    out, err = capsys.readouterr()
    assert ESCAPED in out + err
    assert (out + err).replace("\n", "").isprintable()


def test_a_report_is_printable() -> None:
    finding = Area("Pods").problem("missed", EVIL, f"kubectl delete pod {EVIL}")
    stream = io.StringIO()
    for line in lines([finding]):
        Console(file=stream, width=500).print(line, soft_wrap=True)
    assert stream.getvalue().count(ESCAPED) == 2
    assert stream.getvalue().replace("\n", "").isprintable()


def test_an_error_is_printable(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "-f", "no-such-\x1b[31m\ud800"]) == 1
    assert r"no-such-\x1b[31m\ud800" in capsys.readouterr().err


@pytest.mark.parametrize(("terminal", "shown"), [("yes", "a\\x1b\n\tb\n"), ("", "a\x1b\n\tb\n")])
def test_documents_are_escaped_for_a_terminal_and_left_alone_for_a_pipe(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    terminal: str,
    shown: str,
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: bool(terminal))
    write_documents("a\x1b\n\tb\n")
    assert capsys.readouterr().out == shown
