"""The order and grouping of tests that several processes run side by side (pytest-xdist, `-n`).

The tests of a file stay together: they share what takes long to start. Files that take long begin first, so
that none of them is still at it when all others are done: by what their tests took the last time, which
pytest's cache keeps, and where it has nothing, by their folders.
"""

from collections import defaultdict
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

FOLDERS = ("apiserver", "hazelcast", "browser", "demo", "server", "properties")
"""Those whose tests wait for real programs, or look at many examples; the longest first."""

ALONE = (
    "tests/apiserver/test_certificates.py",
    "tests/apiserver/test_controller_stress.py",
    "tests/apiserver/test_no_request_failed.py",
    "tests/apiserver/test_partition.py",
    "tests/hazelcast/test_master.py",
    "tests/unit/test_speed.py",
    "tests/unit/test_time_of_reviews.py",
)
"""Files that measure loads, failovers and CPU times, or provoke a race: nothing runs beside them."""

_CACHE = "hazelcast-sidecar/seconds"
_LEAST_SECONDS = 0.02
"""Of tests that count for the order; those of the inner loop take no longer."""


def file_of(nodeid: str) -> str:
    """Return the file of a test."""
    return nodeid.split("::", 1)[0]


class ByFile(LoadScopeScheduling):  # type: ignore[misc] # it has no types
    """Give each process the next file when it is about to be done with its own.

    What runs alone is left for the last process, which gets it when all others are done.
    """

    def __init__(self, config: pytest.Config, log: Any) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False  # `longest_first` did

    def _split_scope(self, nodeid: str) -> str:
        return file_of(nodeid)

    def mark_test_complete(self, node: WorkerController, item_index: int, duration: float = 0) -> None:
        super().mark_test_complete(node, item_index, duration)
        if self._only_alone_left():
            for each in self.nodes:
                self._reschedule(each)  # it may have waited for this one

    def _reschedule(self, node: WorkerController) -> None:
        if node.shutting_down:
            return
        others = [other for other in self.nodes if other is not node]
        alone = self._only_alone_left()
        if not self.workqueue or (alone and not all(other.shutting_down for other in others)):
            node.shutdown()  # when it is done with what it has
        elif alone and any(self._pending_of(self.assigned_work[other]) for other in others):
            return
        elif self._pending_of(self.assigned_work[node]) <= 1:  # it waits to know its next
            self._assign_work_unit(node)

    def _only_alone_left(self) -> bool:
        return bool(self.workqueue) and next(iter(self.workqueue)) in ALONE


def longest_first(items: list[pytest.Item], known: dict[str, float]) -> None:
    """Sort tests by what their files took when they were run last; those of a file keep their order."""
    seconds: defaultdict[str, float] = defaultdict(float)
    for item in items:
        seconds[file_of(item.nodeid)] += known.get(item.nodeid, 0.0)
    first = max(seconds.values(), default=0.0)  # what is not known yet may be the longest

    def key(item: pytest.Item) -> tuple[bool, float, int, str]:
        file = file_of(item.nodeid)
        folder = item.path.parent.name
        rank = FOLDERS.index(folder) if folder in FOLDERS else len(FOLDERS)
        return file in ALONE, -(seconds[file] or (first if folder in FOLDERS else 0.0)), rank, file

    items.sort(key=key)


class Durations:
    """How long each test takes, with its fixtures: read from pytest's cache, and kept there in the end."""

    def __init__(self, config: pytest.Config) -> None:
        self._cache = config.cache
        self._is_worker = hasattr(config, "workerinput")
        self._seconds: defaultdict[str, float] = defaultdict(float)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        if self._is_worker and self._cache:
            longest_first(items, self._cache.get(_CACHE, {}))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._seconds[report.nodeid] += report.duration

    def pytest_sessionfinish(self) -> None:
        if self._is_worker or not self._cache:
            return
        known = self._cache.get(_CACHE, {}) | self._seconds
        self._cache.set(_CACHE, {test: took for test, took in known.items() if took > _LEAST_SECONDS})
