"""A group of members, and the entries of its map."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.e2e.bystander import python
from tests.e2e.commands import group_status, sizes_seen
from tests.e2e.kubectl import until

if TYPE_CHECKING:
    from tests.e2e.kubectl import Kubectl

ENTRIES, BYTES = 5000, 100
PARTITIONS = 271
"""Hazelcast's default; so many entries leave none of them empty."""
LOADER = (Path(__file__).parent / "loader.py").read_text()


class Group(NamedTuple):
    """A group in its namespace, under its name, which is also its Pods' label `app`."""

    kubectl: Kubectl
    name: str
    members: int

    def settle(self) -> None:
        """Wait until each member sees all, and each entry has its backup."""
        space = self.kubectl.namespace
        until(180, "each sees all", lambda: sizes_seen(space, self.name) == [self.members] * self.members)
        until(120, "entries are safe", lambda: group_status(space, self.name)["observations"] == [])

    def load(self, pod: str, what: str) -> dict[str, Any]:
        """Have a Pod's application `fill` the map, or `check` it; its answer."""
        said = python(self.kubectl, pod, LOADER, "127.0.0.1:5701", what, str(ENTRIES), str(BYTES))
        answer: dict[str, Any] = json.loads(said.splitlines()[-1])
        return answer
