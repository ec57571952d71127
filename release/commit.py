"""The commit that is released: what it must be, and a copy of its files."""

import re
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

VERSION_FILE = "webhook/hazelcast_sidecar/version.py"
_SHOWN_CHANGES = 5


class RefusalError(Exception):
    """There is no release of this work tree: why, and what to do."""


class Commit(NamedTuple):
    """A commit of a clean work tree."""

    name: str
    version: str
    seconds: int
    """When it was made, in seconds since 1970: the SOURCE_DATE_EPOCH of all that is made of it."""
    is_tagged: bool


def committed(checkout: Path) -> Commit:
    """Return the commit that is checked out.

    Raises:
        RefusalError: files differ from it, or its version, tags and CHANGELOG.md do not agree.
    """
    changes = _git(checkout, "status", "--porcelain").splitlines()
    if changes:
        shown = ", ".join(change[3:] for change in changes[:_SHOWN_CHANGES])
        raise RefusalError(f"{len(changes)} files are not as committed ({shown}): commit or remove them")
    version = version_of((checkout / VERSION_FILE).read_text(encoding="utf-8"))
    name = _git(checkout, "rev-parse", "HEAD").strip()
    tag = f"v{version}"
    tags = [each for each in _git(checkout, "tag", "--points-at", "HEAD").split() if re.match(r"v\d", each)]
    if tags and tags != [tag]:
        raise RefusalError(
            f"this commit has the tag {', '.join(tags)} and the version {version}: change {VERSION_FILE} "
            f"and commit, or remove the tag (git tag --delete)"
        )
    if not tags and _git(checkout, "tag", "--list", tag):
        raise RefusalError(f"the tag {tag} is on another commit: raise the version in {VERSION_FILE}")
    _check_changelog((checkout / "CHANGELOG.md").read_text(encoding="utf-8"), version, is_tagged=bool(tags))
    return Commit(name, version, int(_git(checkout, "log", "-1", "--format=%ct")), bool(tags))


def version_of(text: str) -> str:
    """Return the version in the text of version.py."""
    found = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    if found is None:
        raise RefusalError(f"{VERSION_FILE} has no line __version__ = ...")
    return found[1]


def _check_changelog(text: str, version: str, *, is_tagged: bool) -> None:
    first = re.search(r"^## (\S+)(.*)$", text, re.MULTILINE)
    if first is None or first[1] != version:
        raise RefusalError(f"CHANGELOG.md must begin with a section of {version}")
    if is_tagged and "unreleased" in first[2]:
        raise RefusalError(
            f"CHANGELOG.md calls {version} unreleased: put the date there, commit, and tag that commit"
        )


def export(checkout: Path, folder: Path) -> None:
    """Write the committed files into a folder: nothing that is ignored is in a release."""
    archive = _run(checkout, "archive", "--format=tar", "HEAD")
    with tarfile.open(fileobj=BytesIO(archive)) as files:
        files.extractall(folder, filter="data")


def _git(checkout: Path, *words: str) -> str:
    return _run(checkout, *words).decode()


def _run(checkout: Path, *words: str) -> bytes:
    done = subprocess.run(["git", *words], cwd=checkout, capture_output=True, check=False)  # noqa: S603, S607
    if done.returncode:
        raise RefusalError(f"git {words[0]} failed in {checkout}: {done.stderr.decode().strip()}")
    return done.stdout
