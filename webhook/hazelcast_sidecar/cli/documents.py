"""Manifest files, read: each with its documents, or with the reason why one cannot be read."""

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from hazelcast_sidecar.cli.output import complain
from hazelcast_sidecar.errors import InvalidSettingsError, Problem
from hazelcast_sidecar.injection.manifests import Placed, objects_in
from hazelcast_sidecar.manifest_text.document import Document, parts
from hazelcast_sidecar.manifest_text.failures import UnreadableError

SUFFIXES = (".yaml", ".yml", ".json")
_STANDARD_INPUT = "-"


class InputFile(NamedTuple):
    """A file or standard input, with its text."""

    path: Path | None
    """None: standard input."""
    text: str

    @property
    def name(self) -> str:
        """Return the name that messages use for it."""
        return "standard input" if self.path is None else str(self.path)


class UnreadDocument(NamedTuple):
    """A document that cannot be read."""

    text: str
    line: int
    sentence: str


class Found(NamedTuple):
    """An object in a file."""

    source: InputFile
    document: Document
    placed: Placed

    @property
    def where(self) -> str:
        """Return the file, the line, and the object's kind and name."""
        return f"{self.source.name}:{self.document.line_at(self.placed.path)}: {self.placed.name}"


class Reading:
    """Reader of the files that a command is given; reports and skips what cannot be read.

    Args:
        paths: files and folders; - is standard input.
        recursive: whether subfolders are read, too.

    Attributes:
        failed: whether something could not be read.
    """

    def __init__(self, paths: Sequence[str], *, recursive: bool = False) -> None:
        self._paths, self._recursive = paths, recursive
        self.failed = False

    def sources(self) -> Iterator[InputFile]:
        """Yield each file that is named, or is in a folder that is."""
        for given in self._paths:
            if given == _STANDARD_INPUT:
                yield from self._from_standard_input()
                continue
            for path in self._listed(Path(given)):
                try:
                    yield from self._decoded(path, path.read_bytes())
                except OSError as error:
                    self.fail(f"{path}: cannot be read: {error.strerror or error}")
                except ValueError as error:  # no file can have such a name
                    self.fail(f"{path}: cannot be read: {error}")

    def objects(self) -> Iterator[Found]:
        """Yield every object in these files."""
        for source in self.sources():
            for document in self.documents(source):
                if isinstance(document, Document):
                    for placed in objects_in(document.content):
                        yield Found(source, document, placed)

    def documents(self, source: InputFile) -> Iterator[Document | UnreadDocument]:
        """Yield the documents of a file."""
        for part in parts(source.text):
            try:
                document: Document | UnreadDocument = Document(*part)
            except UnreadableError as error:
                line = part.first_line + part.text.count("\n", 0, error.index)
                document = UnreadDocument(part.text, line, str(error))
                self.fail(f"{source.name}:{line}: cannot be read: {error}")
            yield document

    def fail(self, sentence: str) -> None:
        """Report a problem, and remember that there was one."""
        self.failed = True
        complain(sentence)

    def _from_standard_input(self) -> Iterator[InputFile]:
        if sys.stdin is None:
            self.fail("standard input: cannot be read: it is closed")
            return
        binary = getattr(sys.stdin, "buffer", None)
        yield from self._decoded(None, binary.read() if binary is not None else sys.stdin.read().encode())

    def _decoded(self, path: Path | None, content: bytes) -> Iterator[InputFile]:
        try:
            yield InputFile(path, content.decode())
        except UnicodeDecodeError as error:
            name = path or "standard input"
            self.fail(f"{name}:{content.count(10, 0, error.start) + 1}: cannot be read: it is not UTF-8")

    def _listed(self, given: Path) -> list[Path]:
        try:
            if not given.is_dir():
                return [given]
            inside = self._below(given) if self._recursive else given.iterdir()
            listed = sorted(path for path in inside if path.suffix in SUFFIXES and path.is_file())
        except OSError as error:
            self._fail_to_read(error)
            return []
        if not listed:
            deeper = "" if self._recursive else "; -R also reads its subfolders"
            self.fail(f"{given}: has no manifest (*{', *'.join(SUFFIXES)}){deeper}")
        return listed

    def _below(self, folder: Path) -> Iterator[Path]:
        """Yield what is in a folder and its subfolders; report those that cannot be read."""
        for inside, _, names in os.walk(folder, onerror=self._fail_to_read):
            yield from (Path(inside, name) for name in names)

    def _fail_to_read(self, error: OSError) -> None:
        self.fail(f"{error.filename}: cannot be read: {error.strerror or error}")


def given_files(named: Sequence[str] | None, positional: Sequence[str] | None) -> list[str]:
    """Return the files that a command was given, in the order of its arguments.

    Raises:
        InvalidSettingsError: no file is named, or one by no name.
    """
    given = [*(positional or ()), *(named or ())]
    if "" in given:  # such as a shell variable that is not set, and not the current folder
        raise InvalidSettingsError([Problem("FILE", "is empty; name a file or a folder, such as .")])
    if not given:
        raise InvalidSettingsError(
            [Problem("FILE", "name files or folders of manifests; - is standard input")]
        )
    return given
