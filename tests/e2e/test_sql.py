"""SQL in an injected Pod, by the client for Python of the demo application."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.http_client import api_proxy, replica
from tests.e2e.kubectl import until
from tests.e2e.workloads import with_members

if TYPE_CHECKING:
    from tests.e2e.http_client import Entrance
    from tests.e2e.kubectl import Kubectl

pytestmark = pytest.mark.e2e


def test_entries_are_found_by_their_values(demo: Kubectl, demo_manifests: list[dict[str, Any]]) -> None:
    demo.apply(with_members(demo_manifests, "sql", 1, sql="true"))
    demo.rolled_out("deployment/sql")
    (pod,) = demo.pods("app=sql")
    with api_proxy(demo) as api:
        app = replica(api, pod)
        for key, value in (("a", "apple"), ("b", "banana")):
            app.get("/put", key=key, value=value)
        # The first one may take a busy member longer than the application waits.
        until(60, "an answer", lambda: found(app) == [["b", "banana"]])
    demo("delete", "deployment/sql", "--wait=false")


def found(app: Entrance) -> Any:
    try:
        return json.loads(app.get("/sql", part="ban"))["entries"]
    except OSError:
        return None
