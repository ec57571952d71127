"""Files rewritten atomically: new ones are written beside the old ones, then renamed."""

import contextlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from hazelcast_sidecar.cli.output import complain


class Rewritten(NamedTuple):
    """A file with a new text."""

    path: Path
    text: str


def write_all(files: Iterable[Rewritten]) -> None:
    """Write all of these files, or none if one cannot be written.

    Mode and owner are kept; a symbolic link is followed. A file with several hard links is separated from the
    others, which a message reports.

    Raises:
        OSError: one cannot be written; nothing has changed.
    """
    with contextlib.ExitStack() as written:
        beside = [(_beside(file, written), file.path.resolve()) for file in files]
        for new, path in beside:
            links = path.stat().st_nlink
            new.replace(path)
            if links > 1:
                complain(f"{path}: had {links} names (hard links); the others keep the old text")


def _beside(file: Rewritten, written: contextlib.ExitStack) -> Path:
    """Write a text beside the file that it is for, with that one's mode and owner."""
    path = file.path.resolve(strict=True)
    before = path.stat()
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    written.callback(Path(name).unlink, missing_ok=True)
    with os.fdopen(descriptor, "wb") as new:
        new.write(file.text.encode())
        new.flush()
        os.fsync(new.fileno())
        if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
            os.fchown(new.fileno(), before.st_uid, before.st_gid)
        os.fchmod(new.fileno(), before.st_mode & 0o7777)
    return Path(name)
