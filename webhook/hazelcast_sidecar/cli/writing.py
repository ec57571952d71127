"""Files rewritten all or none: new ones are written beside the old ones, then renamed."""

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator
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
        UnwritableError: one cannot be written; nothing has changed.
    """
    with contextlib.ExitStack() as temporary, contextlib.ExitStack() as undo:
        beside = []
        for file in files:
            with _about(file.path):
                beside.append((file.path, file.path.resolve(strict=True), _beside(file, temporary)))
        for given, path, new in beside:
            with _about(given):
                links = path.stat().st_nlink
                former = _former(path, temporary)
                new.replace(path)
                undo.callback(former.replace, path)
            if links > 1:
                complain(f"{given}: had {links} names (hard links); the others keep the old text")
        undo.pop_all()


class UnwritableError(Exception):
    """A file that cannot be written: which one, and why."""


@contextlib.contextmanager
def _about(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnwritableError(f"{path}: cannot be written: {error.strerror or error}") from error


def _reserved(path: Path, temporary: contextlib.ExitStack) -> Path:
    """Make an empty file beside another, which goes at the end if it is still there."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(descriptor)
    temporary.callback(Path(name).unlink, missing_ok=True)
    return Path(name)


def _former(path: Path, temporary: contextlib.ExitStack) -> Path:
    """Give a file another name, or a copy where the file system has no hard links."""
    name = _reserved(path, temporary)
    name.unlink()
    try:
        name.hardlink_to(path)
    except OSError:
        return _beside(Rewritten(path, path.read_bytes().decode()), temporary)
    return name


def _beside(file: Rewritten, temporary: contextlib.ExitStack) -> Path:
    """Write a text beside the file that it is for, with that one's mode and owner."""
    path = file.path.resolve(strict=True)
    before = path.stat()
    new = _reserved(path, temporary)
    with new.open("wb") as content:
        content.write(file.text.encode())
        content.flush()
        os.fsync(content.fileno())
        if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
            os.fchown(content.fileno(), before.st_uid, before.st_gid)
        os.fchmod(content.fileno(), before.st_mode & 0o7777)
    return new
