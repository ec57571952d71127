"""The limit of open files, in a program of its own: limits hold for a whole process."""

import subprocess
import sys

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
