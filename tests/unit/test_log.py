"""The log: one JSON line a call, and never a reason to fail."""

import io
import json
from collections.abc import Callable

from hazelcast_sidecar.runtime.log import json_lines


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
