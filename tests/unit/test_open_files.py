"""The limit of open files; it holds for a whole process, so one that is lowered for good has its own."""

import resource
import subprocess
import sys
from collections.abc import Iterator

import pytest

from hazelcast_sidecar.runtime.listening import _allow_open_files

PROGRAM = """
import resource
from hazelcast_sidecar.runtime.listening import _allow_open_files
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

def after(connections, soft, hard):
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    _allow_open_files(connections)
    print(*resource.getrlimit(resource.RLIMIT_NOFILE))

after(10, 600, hard)
after(400, 600, 1500)
after(4000, 1024, 1500)
"""


def test_the_limit_of_open_files_is_raised_to_what_is_needed_and_may_be_had() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True
    )
    enough, needed, all_there_is = done.stdout.splitlines()
    assert enough.startswith("600 ")
    assert 800 < int(needed.split()[0]) < 1500
    assert all_there_is == "1500 1500"


@pytest.fixture
def few_files() -> Iterator[None]:
    """A low soft limit, which can be raised again."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 600), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("few_files")
def test_the_limit_of_open_files_is_never_lowered() -> None:
    before, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    _allow_open_files(10)
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == before
    _allow_open_files(400)
    raised, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert raised > 800
    _allow_open_files(10)
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == raised
