"""Manifest files, rewritten object by object: to standard output, in place, or shown as a diff."""

import argparse
import gc
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from difflib import unified_diff
from typing import Any, NamedTuple

from hazelcast_sidecar.cli.documents import Found, InputFile, Reading, UnreadDocument, given_files
from hazelcast_sidecar.cli.options import add_files
from hazelcast_sidecar.cli.output import complain, objects, plain, print_table, write_documents
from hazelcast_sidecar.cli.writing import Rewritten, UnwritableError, write_all
from hazelcast_sidecar.errors import InvalidSettingsError, Problem
from hazelcast_sidecar.injection.bystanders import remark
from hazelcast_sidecar.injection.manifests import Placed, Result, is_known, objects_in, unexpected
from hazelcast_sidecar.injection.pod_decision import SENTENCES, Reason, said
from hazelcast_sidecar.injection.record import Written
from hazelcast_sidecar.manifest_text.document import Change, Document, parts
from hazelcast_sidecar.manifest_text.failures import UneditableError, UnreadableError
from hazelcast_sidecar.manifest_text.turns import changed_in_turn
from hazelcast_sidecar.manifest_text.yaml_events import BYTE_ORDER_MARK

Rewrite = Callable[[Placed, Written], Result]

_REFUSED = "refused"
_UNCHANGED = "unchanged"


class _File(NamedTuple):
    """A file, before and after."""

    source: InputFile
    after: str
    """With every object in it, for the file itself."""
    piped: str
    """Without refused objects, for a pipe."""
    contents: list[Any]
    """Its documents, for a pipe."""


def add_rewriting(parser: argparse.ArgumentParser) -> None:
    """Add the options for what to read, and where the result goes."""
    add_files(parser, positional=True)
    parser.add_argument(
        "--keep-refused",
        action="store_true",
        help="print refused objects unchanged, instead of leaving them out",
    )
    to = parser.add_mutually_exclusive_group()
    to.add_argument("--in-place", action="store_true", help="write the result into the files")
    to.add_argument("--diff", action="store_true", help="show what would change")
    to.add_argument(
        "-o",
        "--output",
        choices=("yaml", "json", "table"),
        help="output format, or a list of what happens to each object (default: the format of each file)",
    )


def rewrite(options: argparse.Namespace, one: Rewrite) -> int:
    """Rewrite every file, and return 1 if there is a problem, which leaves its object unchanged."""
    given = given_files(options.filename, options.files)
    if options.in_place and "-" in given:
        raise InvalidSettingsError([Problem("--in-place", "standard input is not a file")])
    reading = Reading(given, recursive=options.recursive)
    rewriting = _Rewriting(
        reading, one, keep_refused=options.keep_refused, keeps_contents=options.output in {"yaml", "json"}
    )
    # Trees of plain objects have no cycles, and looking for some takes a fifth of the time.
    gc.disable()
    rewritten = [rewriting.file(source) for source in reading.sources()]
    gc.enable()
    if options.output == "table":
        print_table(("OBJECT", "OUTCOME", "MEANING"), rewriting.rows)
    elif not _write(options, rewritten, reading):
        return 1
    if rewriting.left_out and not (options.in_place or options.diff or options.output == "table"):
        complain("left out of the output: refused and unreadable objects; --keep-refused keeps them")
    complain(rewriting.summary)
    return 1 if reading.failed else 0


class _Rewriting:
    """Rewrites files, and counts what happens to their objects."""

    def __init__(self, reading: Reading, one: Rewrite, *, keep_refused: bool, keeps_contents: bool) -> None:
        self._reading, self._one = reading, one
        self._keeps_refused, self._keeps_contents = keep_refused, keeps_contents
        self.rows: list[tuple[str, str, str]] = []
        self.left_out = False
        self._counts: Counter[str] = Counter()

    @property
    def summary(self) -> str:
        """Return how many objects were changed, unchanged and refused."""
        counted = self._counts.items() or [("no Pod or workload", 0)]
        return ", ".join(f"{count} {outcome}" if count else outcome for outcome, count in sorted(counted))

    def file(self, source: InputFile) -> _File:
        """Rewrite a file."""
        after, piped, contents = [], [], []
        for document in self._reading.documents(source):
            if isinstance(document, UnreadDocument):
                after.append(document.text)
                self.left_out = True
                piped.append(document.text if self._keeps_refused else "")
                continue
            whole, text, content = self._document(source, document)
            after.append(whole)
            # What begins this document may have gone with the one before it.
            apart = text and piped and not piped[-1] and not text.startswith("---")
            piped.append(f"---\n{text}" if apart else text)
            if self._keeps_contents:
                contents.append(content)
        return _File(source, "".join(after), "".join(piped), contents)

    def _document(self, source: InputFile, document: Document) -> tuple[str, str, Any]:
        """Rewrite a document: its text for the file, its text for a pipe, and its content for a pipe."""
        results = dict(self._results(source, document))
        changing = {path: each for path, (_, each) in results.items() if each.changes and not each.problems}
        undoing = [Change(path, each.undoing) for path, each in changing.items() if each.undoing]
        changes = [Change(path, each.operations) for path, each in changing.items() if each.operations]
        changed = changed_in_turn(document, undoing, changes) if changing else None
        refused: list[str] = []
        for path, (found, result) in results.items():
            problems = [str(problem) for problem in result.problems]
            if changed and path in changed.refused:
                problems.append(changed.refused[path])
            self._report(found, result, problems)
            if problems:
                refused.append(path)
        text = changed.text if changed else document.text
        content = changed.content if changed else document.content
        if not refused or self._keeps_refused:
            return text, text, content
        self.left_out = True
        left, content = _without(text, document, refused)
        if content is None and "" not in refused:
            sentence = "the whole list is left out, because it cannot be read without its refused objects"
            complain(f"{source.name}:{document.first_line}: {sentence}")
        return text, left, content

    def _results(self, source: InputFile, document: Document) -> Iterator[tuple[str, tuple[Found, Result]]]:
        """Yield the outcome for each Pod and workload in a document, by its path."""
        for placed in objects_in(document.content):
            found = Found(source, document, placed)
            if is_known(placed.obj):
                yield placed.path, (found, self._result(found))
            elif (sentence := remark(placed.obj)) is not None:
                complain(f"{found.where}: {sentence}")

    def _result(self, found: Found) -> Result:
        document, placed = found.document, found.placed

        def written(steps: Sequence[str]) -> str | None:
            try:
                return document.written(placed.path, steps)
            except (UneditableError, UnreadableError):
                return None

        try:
            result = self._one(placed, written)
        except InvalidSettingsError:
            raise
        except Exception as error:  # noqa: BLE001 - any failure is this object's alone
            return Result(Reason.INVALID, problems=[unexpected(error)])
        if result.changes and (key := document.repeated_key(placed.path)) is not None:
            sentence = "is twice in one mapping, and kubectl takes the last; remove one of them"
            return result._replace(operations=(), undoing=(), problems=[Problem(key, sentence)])
        return result

    def _report(self, found: Found, result: Result, problems: list[str]) -> None:
        for sentence in problems or said(result):
            complain(f"{found.where}: {sentence}")
        if problems:
            self._reading.failed = True
        done = str(result.reason) if result.changes else _UNCHANGED
        self._counts[_REFUSED if problems else done] += 1
        if problems and not result.problems:
            self.rows.append((plain(found.placed.name), _REFUSED, problems[0]))
        else:
            self.rows.append((plain(found.placed.name), result.reason, SENTENCES[result.reason]))


def _without(text: str, document: Document, refused: list[str]) -> tuple[str, Any]:
    """Return the text and the content of a document without some of its objects; empty where none is left."""
    if "" in refused:
        return "", None
    removal = [{"op": "remove", "path": path} for path in reversed(refused)]
    changed = Document(text, document.first_line).changed([Change("", removal)])
    return ("", None) if changed.refused else (changed.text, changed.content)


def _write(options: argparse.Namespace, rewritten: list[_File], reading: Reading) -> bool:
    """Write the outcome, and return whether that was possible."""
    if options.in_place:
        changed = [
            Rewritten(file.source.path, file.after)
            for file in rewritten
            if file.source.path is not None and file.after != file.source.text
        ]
        try:
            write_all(changed)
        except UnwritableError as error:
            reading.fail(f"{error}; no file was changed")
            return False
    elif options.diff:
        for file in rewritten:
            before, after = _diff_lines(file.source.text), _diff_lines(file.after)
            name = _name_in_patch(file.source.name)
            write_documents("".join(unified_diff(before, after, fromfile=name, tofile=name)))
    elif options.output:
        contents = [content for file in rewritten for content in file.contents if content is not None]
        write_documents(objects(contents, options.output))
    else:
        for file in rewritten[:-1]:
            if _ends_within_a_text(file.piped):
                complain(f"{file.source.name}: its last text ends with an added line break in this output")
        write_documents(_joined([file.piped for file in rewritten]))
    return True


def _ends_within_a_text(text: str) -> bool:
    """Tell whether a line break after a stream would become part of its last text."""
    if text.endswith("\n") or not text:
        return False
    *_, last = parts(text)
    try:
        return bool(Document(*last).content != Document(f"{last.text}\n", last.first_line).content)
    except UnreadableError:
        return False


def _diff_lines(text: str) -> list[str]:
    """Return the lines of a text as a patch has them, which knows no other line break than this one."""
    lines = text.split("\n")
    last = lines.pop()
    return [f"{line}\n" for line in lines] + ([f"{last}\n\\ No newline at end of file\n"] if last else [])


def _name_in_patch(name: str) -> str:
    """Return a file's name as patch and git read it: a tab ends one with blanks, quotes are around others."""
    if set(name) & {"\t", "\n", "\r", '"', "\\"}:
        return json.dumps(name, ensure_ascii=False)  # which escapes these as C does
    return f"{name}\t" if " " in name else name


def _joined(texts: list[str]) -> str:
    """Join several files to one stream."""
    pieces: list[str] = []
    for text in filter(None, texts):
        if pieces and not pieces[-1].endswith("\n"):
            pieces.append("\n")
        # The mark begins a stream, and no document in it.
        further = text.removeprefix(BYTE_ORDER_MARK)
        if pieces and not further.startswith("---"):
            pieces.append("---\n")
        pieces.append(further if pieces else text)
    return "".join(pieces)
