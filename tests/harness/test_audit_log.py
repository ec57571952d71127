"""The harness's own audit log: what is read from where the file ended a moment ago."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.harness.audit_log import asked

ME = {"username": "me"}


def line(verb: str, user: dict[str, str] = ME) -> bytes:
    event = {"user": user, "verb": verb, "stage": "ResponseComplete", "requestURI": "/"}
    return json.dumps(event).encode() + b"\n"


@pytest.mark.parametrize(
    ("offset", "verbs"),
    [
        (0, ["get", "list", "patch"]),
        (len(line("get")), ["list", "patch"]),
        (len(line("get")) + 7, ["patch"]),
    ],
    ids=["all", "from the end of a line", "from the middle of a line"],
)
def test_what_was_asked_for_since_is_read_by_whole_lines(
    tmp_path: Path, offset: int, verbs: list[str]
) -> None:
    log = tmp_path / "audit.log"
    log.write_bytes(line("get") + line("list") + line("patch") + line("watch")[:20])
    cluster = cast("Any", SimpleNamespace(audit_log=log))
    assert [request.verb for request in asked(cluster, "me", offset)] == verbs


def test_a_request_that_ended_before_it_was_authenticated_is_no_users(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    log.write_bytes(line("list", {}) + line("get"))
    cluster = cast("Any", SimpleNamespace(audit_log=log))
    assert [request.verb for request in asked(cluster, "me")] == ["get"]
