"""The log: one JSON line a call, and never a reason to fail."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.http_exceptions import BadHttpMessage

from hazelcast_sidecar.runtime.log import json_lines, take_up_logging


def test_a_line_is_json_with_its_fields() -> None:
    stream = io.BytesIO()
    json_lines(stream)("hello", level="warning", group="g\n")
    line = json.loads(stream.getvalue())
    assert (line["message"], line["level"], line["group"]) == ("hello", "warning", "g\n")
    assert line["time"].endswith("Z")
    assert stream.getvalue().count(b"\n") == 1


def test_lines_of_one_moment_are_written_together_and_in_order() -> None:
    stream, soon = io.BytesIO(), list[Callable[[], None]]()
    log = json_lines(stream, soon.append)
    for message in ("one", "two"):
        log(message)
    assert stream.getvalue() == b""
    (flush,) = soon
    flush()
    log("three")
    soon[1]()
    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["one", "two", "three"]


def test_a_reader_that_went_away_is_no_error() -> None:
    class Broken(io.BytesIO):
        def write(self, _: object) -> int:
            raise BrokenPipeError

    json_lines(Broken())("hello")


def test_a_line_is_there_at_once_also_where_output_is_buffered(tmp_path: Path) -> None:
    output = tmp_path / "output"
    with output.open("wb") as stream:
        json_lines(stream)("hello")
        assert json.loads(output.read_bytes())["message"] == "hello"


def test_lines_go_to_standard_output(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    json_lines()("hello")
    assert json.loads(capfdbinary.readouterr().out)["message"] == "hello"


def test_a_value_without_a_json_form_costs_no_line() -> None:
    stream = io.BytesIO()
    json_lines(stream)("hello", name="\ud800", what=2**70)
    line = json.loads(stream.getvalue())
    assert (line["message"], line["name"], line["what"]) == ("hello", r"\ud800", str(2**70))


@pytest.fixture
def lines() -> Iterator[list[dict[str, Any]]]:
    """What libraries log, as long as our log has taken that up."""
    root, found = logging.getLogger(), list[dict[str, Any]]()
    handlers, level = root.handlers[:], root.level
    take_up_logging(lambda message, **fields: found.append({"message": message, **fields}))
    yield found
    root.handlers, root.level = handlers, level


def test_what_libraries_log_is_a_line_without_a_traceback(lines: list[dict[str, Any]]) -> None:
    library = logging.getLogger("library")
    library.info("not worth a line")
    library.warning("the pool of %s is full", "x")
    library.error("failed", exc_info=KeyError("y"))
    assert lines == [
        {"message": "the pool of x is full", "level": "warning", "logger": "library"},
        {"message": "failed", "level": "error", "logger": "library", "error": "KeyError: 'y'"},
    ]


def test_what_is_not_http_is_no_error_of_ours(lines: list[dict[str, Any]]) -> None:
    logging.getLogger("aiohttp.server").error("invalid", exc_info=BadHttpMessage("no"))
    (line,) = lines
    assert (line["level"], line["error"]) == ("warning", "BadHttpMessage: 400, message:\n  no")
