"""The patch of the member's image, built as its Dockerfile does, and run by real members."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

PATCH = Path(__file__).parents[2] / "member" / "patch"
JAR = "hazelcast-patch.jar"


class Built(NamedTuple):
    """What the build of the patch left and said."""

    out: Path
    status: int
    text: str

    @property
    def files(self) -> list[str]:
        return sorted(file.name for file in self.out.iterdir())


class Patcher(NamedTuple):
    """Runs the build of the patch."""

    java: Path
    compiler: str

    def build(self, stock: Sequence[Path], out: Path) -> Built:
        ended = subprocess.run(
            ["sh", PATCH / "build", out, *stock],
            env={"PATH": os.environ["PATH"], "JAVA": str(self.java), "JAVAC": self.compiler},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return Built(out, ended.returncode, ended.stdout)

    def compile(self, classes: Path, source: Path) -> None:
        subprocess.run([*self.compiler.split(), "-d", classes, source], check=True)

    def run(self, class_path: Sequence[Path], *words: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.java, "-cp", ":".join(map(str, class_path)), *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
