"""Archives that depend on the content of files alone: not on their owner, time or order in a folder."""

import gzip
import io
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

Members = Mapping[str, tuple[bytes, bool]]
"""The files of an archive by name: content, and whether it can be run."""


def members(folder: Path, names: Iterable[str] = (".",), *, prefix: str = "") -> Members:
    """Read the files below some files and folders of a folder.

    Args:
        folder: from which they are named.
        names: files and folders in it.
        prefix: put before each name.
    """
    found = {}
    for name in names:
        start = folder / name
        for path in [start] if start.is_file() else start.rglob("*"):
            if path.is_file():
                can_be_run = bool(path.stat().st_mode & 0o100)
                found[f"{prefix}{path.relative_to(folder)}"] = (path.read_bytes(), can_be_run)
    return found


def packed(files: Members, seconds: int) -> bytes:
    """Return a .tar.gz of files that all are of one time, in seconds since 1970."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, (content, can_be_run) in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime, entry.mode = len(content), seconds, 0o755 if can_be_run else 0o644
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(output.getvalue(), mtime=seconds)
