"""Locks between processes: of one run side by side, and of several runs on one machine."""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold the lock of a file, which is made if it is not there; the end of the process frees it, too."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def only_one(what: str) -> contextlib.AbstractContextManager[None]:
    """Hold what a user of this machine has once, such as an address."""
    return locked(Path(tempfile.gettempdir()) / f"hazelcast-sidecar-tests-{os.getuid()}-{what}.lock")
