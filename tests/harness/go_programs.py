"""Programs built once from Go modules, which `go/` pins with their dependencies.

They go into a cache outside the repository.
"""

import hashlib
import os
import platform
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from tests.harness.locks import locked

_GO_MODULES = Path(__file__).parent / "go"
_SHOWN_LINES = 20


class UnavailableError(Exception):
    """There are no programs and no way to build them: the reason to skip, in one sentence."""


class BuildError(Exception):
    """A program cannot be built: one sentence, and the last lines of the compiler."""


class GoProgram(NamedTuple):
    """A program, by its module in `go/`, its package, and what the linker writes into it."""

    module: str
    package: str
    symbols: str = ""


def required_version(module: str, path: str) -> str:
    """Return the version of a module as go.mod has it, so that no version is written down twice."""
    file = _GO_MODULES / module / "go.mod"
    required = re.search(rf"^(?:\t|require ){re.escape(path)} (v\S+)", file.read_text(), re.MULTILINE)
    if required is None:
        raise BuildError(f"{file} does not require {path}")
    return required[1]


def built(
    kind: str,
    version: str,
    programs: Mapping[str, GoProgram],
    announce: Callable[[str], None],
    *,
    otherwise: str,
) -> Path:
    """Return the folder with some programs, building them when there is none yet.

    Args:
        kind: the folder's name in the cache.
        version: of the programs, as it is shown.
        programs: by the names that they get.
        announce: takes one line at a time about the build, which is long enough to look like a hang.
        otherwise: where there is no Go: what is not there, and what to do.
    """
    folder = _cache_folder(kind, version, {program.module for program in programs.values()})
    if folder.is_dir():
        return folder
    if shutil.which("go") is None:
        raise UnavailableError(otherwise)
    # A second run waits for the first one's build instead of building the same thing beside it.
    with locked(folder.with_name(folder.name + ".lock")):
        if not folder.is_dir():  # else another run built it while this one waited
            _build(folder, version, programs, announce)
    return folder


def _cache_folder(kind: str, version: str, modules: set[str]) -> Path:
    """Return where built programs belong: another name for every version, platform and set of modules."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    system = platform.system().lower()
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    sums = hashlib.sha256()
    for file in sorted(file for module in modules for file in (_GO_MODULES / module).glob("go.*")):
        sums.update(file.read_bytes())
    name = f"{version.removeprefix('v')}-{system}-{machine}-{sums.hexdigest()[:12]}"
    return cache / "hazelcast-sidecar-injector" / kind / name


def _build(
    folder: Path, version: str, programs: Mapping[str, GoProgram], announce: Callable[[str], None]
) -> None:
    """Build into a folder beside the final one and move it into place whole: half a build is never found."""
    announce(f"building {', '.join(programs)} {version} once into {folder}: this takes some minutes")
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=".building-", dir=folder.parent) as scratch:
        made = Path(scratch) / "built"
        for name, program in programs.items():
            begun = time.monotonic()
            _go_build(program, made / name)
            announce(f"built {name} in {time.monotonic() - begun:.0f} s")
        made.rename(folder)
    announce(f"built all in {time.monotonic() - started:.0f} s")


def _go_build(program: GoProgram, output: Path) -> None:
    """Build one static program; the caller's own workspace and cross-compilation settings play no part."""
    command = ["go", "build", "-mod=readonly", "-buildvcs=false", "-trimpath"]
    environment = os.environ | {"CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": "", "GOOS": "", "GOARCH": ""}
    module = _GO_MODULES / program.module
    build = subprocess.run(
        [*command, "-ldflags", f"-s -w {program.symbols}", "-o", str(output), program.package],
        cwd=module,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if build.returncode:
        lines = "\n".join(build.stdout.splitlines()[-_SHOWN_LINES:])
        raise BuildError(f"go build {program.package} failed in {module}:\n{lines}")
