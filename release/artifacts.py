"""What a release consists of, each made of a copy of the committed files."""

import hashlib
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

from release.archives import members, packed
from release.commit import Commit

_CHART = "hazelcast-sidecar-injector"
_CONTEXTS = {
    "hazelcast-sidecar-injector": (
        ".",
        ("Dockerfile", "pyproject.toml", "README.md", "requirements", "webhook"),
    ),
    "hazelcast-sidecar-demo": ("demo-app", (".",)),
    "hazelcast-sidecar-member": ("member", (".",)),
}
"""The folder of each image, and what its build reads of it."""

_IMAGES = """#!/bin/sh
# Builds the images of version {version} for amd64 and arm64 and pushes them:
#   REGISTRY=registry.example/team sh {name}
# Needs Docker with buildx, and QEMU or a second builder for the processor that this machine does not have.
set -eu
cd "$(dirname "$0")"
registry=${{REGISTRY:-{registry}}}
[ -n "$registry" ] || {{ echo "{name}: set REGISTRY, such as registry.example/team" >&2; exit 2; }}
export SOURCE_DATE_EPOCH={seconds}
for image in {images}; do
  docker buildx build --platform linux/amd64,linux/arm64 --tag "$registry/$image:{version}" --push - \\
    <"$image-{version}-context.tar.gz"
done
"""


class BuildError(Exception):
    """A part of the release could not be made: which, and what its builder said."""


class Choices(NamedTuple):
    """What the owner of the project chooses, in pyproject.toml; empty where nothing is chosen."""

    registry: str
    license: str


def choices(source: Path) -> Choices:
    """Read what is chosen."""
    project = tomllib.loads((source / "pyproject.toml").read_text(encoding="utf-8"))
    return Choices(project["tool"]["release"]["registry"], str(project["project"].get("license", "")))


def make_all(source: Path, commit: Commit, sbom: Path, folder: Path) -> None:
    """Make every file of the release.

    Args:
        source: the committed files.
        commit: which these are.
        sbom: the list of what the image has in it, by `make sbom`.
        folder: takes the files; nothing else may be in it.

    Raises:
        BuildError: one of them could not be made.
    """
    registry = choices(source).registry
    _python_packages(source, commit, folder)
    (folder / f"{_CHART}-{commit.version}.tgz").write_bytes(_chart(source, commit, registry))
    (folder / "install.yaml").write_bytes(_install(source, commit, registry))
    for image, (place, names) in _CONTEXTS.items():
        context = packed(members(source / place, names), commit.seconds)
        (folder / f"{image}-{commit.version}-context.tar.gz").write_bytes(context)
    (folder / "images.sh").write_text(_image_script(commit, registry), encoding="utf-8")
    (folder / "sbom.cdx.json").write_bytes(sbom.read_bytes())
    (folder / "SHA256SUMS").write_text(_sums(folder), encoding="utf-8")


def _python_packages(source: Path, commit: Commit, folder: Path) -> None:
    _run("hatchling", "build", "--directory", str(folder.resolve()), source=source, seconds=commit.seconds)


def _install(source: Path, commit: Commit, registry: str) -> bytes:
    image = [f"--set=image={registry}/{_CHART}:{commit.version}"] if registry else []
    return _run("hazelcast_sidecar.cli", "install", *image, source=source, seconds=commit.seconds)


def _run(module: str, *words: str, source: Path, seconds: int) -> bytes:
    """Run a module by the code of the release, and return what it printed."""
    environment = os.environ | {
        "PYTHONPATH": str(source / "webhook"),
        "PYTHONDONTWRITEBYTECODE": "1",  # else it lies among the files of the release
        "SOURCE_DATE_EPOCH": str(seconds),
    }
    command = [sys.executable, "-m", module, *words]
    done = subprocess.run(command, cwd=source, env=environment, capture_output=True, check=False)  # noqa: S603
    if done.returncode:
        raise BuildError(f"{module} {words[0]} failed: {done.stderr.decode().strip()}")
    return done.stdout


def _chart(source: Path, commit: Commit, registry: str) -> bytes:
    """Pack the chart as `helm package` would, which takes the time of the day into it."""
    files = dict(members(source / "manifests" / "chart", prefix=f"{_CHART}/"))
    if registry:
        name = f"{_CHART}/values.yaml"
        content, mode = files[name]
        line = rf"^(  repository: )({_CHART})$"
        named, count = re.subn(line, rf"\g<1>{registry}/\g<2>", content.decode(), flags=re.MULTILINE)
        if count != 1:
            raise BuildError(
                f"manifests/chart/values.yaml has {count} lines 'repository: {_CHART}', and not one"
            )
        files[name] = named.encode(), mode
    return packed(files, commit.seconds)


def _image_script(commit: Commit, registry: str) -> str:
    return _IMAGES.format(
        version=commit.version,
        name="images.sh",
        registry=registry,
        seconds=commit.seconds,
        images=" ".join(_CONTEXTS),
    )


def _sums(folder: Path) -> str:
    sums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items()))
