"""Annotated Pods, created at a steady rate, whatever happens to the webhook meanwhile.

They are created in dry runs, which for the API server are creations, with all of admission, up to where
others are stored. So there are no thousands of Pods, each a group of its own, for the controller to work on.
"""

from __future__ import annotations

import http.client
import json
import time
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from hazelcast_sidecar.names import CONTAINER, INJECT
from tests.e2e.background import Background
from tests.e2e.kubectl import until

if TYPE_CHECKING:
    from tests.e2e.http_client import Entrance


class Creation(NamedTuple):
    """What came of one Pod."""

    at: float
    """On the monotonic clock, when it was asked for."""
    has_member: bool
    seconds: float


class Creations(Background):
    """Pods that are created for as long as the context lasts.

    Args:
        api: the API server's way to the Pods of a namespace.
        rate: how many a second; of what is late, none is left out.
        threads: how many are created side by side.
    """

    def __init__(self, api: Entrance, rate: float, threads: int = 4) -> None:
        self.made: list[Creation] = []
        self.refused: Counter[str] = Counter()
        """By what the API server said."""
        self._api, self._interval = api, threads / rate
        super().__init__(*(partial(self._repeat, number) for number in range(threads)))

    def since(self, moment: float) -> list[Creation]:
        """The Pods that were asked for since a moment."""
        return [each for each in list(self.made) if each.at >= moment]

    def expect_members(self, seconds: float) -> float:
        """Wait until Pods get their members; from which moment on they do, on the monotonic clock."""
        begun = time.monotonic()

        def last_has_one() -> bool:
            found = self.since(begun)
            return bool(found) and found[-1].has_member

        until(seconds, "a Pod gets a member", last_has_one)
        return time.monotonic()

    def expect_bare(self, seconds: float) -> None:
        """Wait until Pods get no members any more."""
        until(seconds, "Pods are bare", lambda: self.made and not self.made[-1].has_member)

    def served(self, begun: float, ended: float) -> int:
        """How many were asked for between two moments; each has its member, and none was ever refused.

        Raises:
            AssertionError: one has none, or was refused.
        """
        assert self.refused == {}
        found = [each for each in self.since(begun) if each.at < ended]
        assert found
        bare = sum(not each.has_member for each in found)
        assert bare == 0, f"{bare} of {len(found)}"
        return len(found)

    def summary(self) -> str:
        """All of it in a line."""
        seconds = self._ended - self._begun
        bare = sum(not each.has_member for each in self.made)
        slowest = max(each.seconds for each in self.made) * 1000
        return (
            f"{len(self.made)} Pods in {seconds:.0f} s ({len(self.made) / seconds:.0f} a second), {bare} "
            f"of them without a member, {self.refused.total()} refused, the slowest in {slowest:.0f} ms"
        )

    def _repeat(self, thread: int) -> None:
        connection = http.client.HTTPConnection(self._api.host, self._api.port, timeout=60)
        number, due = 0, time.monotonic()
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            self._create(connection, f"steady-{thread}-{number}")
            number, due = number + 1, due + self._interval
        connection.close()

    def _create(self, connection: http.client.HTTPConnection, name: str) -> None:
        pod = {
            # With the label, as a workload's Pods have it: a bare Pod is asked about once.
            "metadata": {"name": name, "annotations": {INJECT: "true"}, "labels": {INJECT: "true"}},
            "spec": {"containers": [{"name": "app", "image": "app:1"}]},
        }
        at = time.monotonic()
        headers = {"Content-Type": "application/json"}
        try:
            connection.request("POST", f"{self._api.prefix}/pods?dryRun=All", json.dumps(pod), headers)
            answer = connection.getresponse()
            document = json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.refused[repr(error)] += 1
            connection.close()  # the next request opens it again
            return
        if answer.status != http.client.CREATED:
            self.refused[document.get("message", str(answer.status))] += 1
            return
        names = [each["name"] for each in document["spec"].get("initContainers", ())]
        self.made.append(Creation(at, CONTAINER in names, time.monotonic() - at))
