"""The documents say what the code does."""

import argparse
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import hazelcast_sidecar.cli
from hazelcast_sidecar.spec.annotations import TABLE, Annotation
from tests.harness.document_parts import agree_parts, markdown_table
from tests.matrix import record

MOST_USED = ("inject", "group", "image", "memory-limit", "clients", "backups", "network-policy", "metrics")


def row(annotation: Annotation) -> list[str]:
    default = f"`{annotation.default}`" if annotation.default else annotation.otherwise
    return [f"`{annotation.name}`", annotation.type.description, default, annotation.meaning]


def annotations() -> str:
    return markdown_table(("annotation", "type", "default", "meaning"), [row(each) for each in TABLE])


def most_used() -> str:
    """Of each its first sentence, in the order of the list."""
    known = {each.name: each for each in TABLE}
    rows = []
    for name in MOST_USED:
        _, kind, default, meaning = row(known[name])
        first, *_ = re.split(r"(?<=\.) ", meaning)
        rows.append([f"`{name}`", kind, default.removesuffix(" (see below)"), first])
    return markdown_table(("annotation", "type", "default", "meaning"), rows)


def commands() -> str:
    return "\n\n".join(command(*each) for each in _subcommands(hazelcast_sidecar.cli.parser()))


def _subcommands(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to look at a parser
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - as above
            yield from action.choices.items()


def command(name: str, parser: argparse.ArgumentParser) -> str:
    shown = [f"### `{name}`", _sentence(parser.description or "")]
    rows = [
        [_spelled(action), _meaning(action)]
        for action in parser._actions  # noqa: SLF001 - as above
        if action.dest not in ("help", "command")
    ]
    if rows:
        shown.append(markdown_table(("option", "meaning"), rows))
    first, _, examples = (parser.epilog or "").strip().partition("examples:\n")
    examples, *notes = re.split(r"\n\n+", examples)
    if first:
        shown.append(_sentence(first.strip().replace("\n", ". ", 1)))
    shown += [f"```console\n{textwrap.dedent(examples)}\n```", *notes]
    return "\n\n".join(shown)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."


def _spelled(action: argparse.Action) -> str:
    value = action.metavar or (
        "` or `".join(map(str, action.choices)) if action.choices else action.dest.upper()
    )
    if not action.option_strings:
        return f"`{value if isinstance(value, str) else value[0]}`"
    takes_none = action.nargs == 0
    return ", ".join(f"`{option}`" for option in action.option_strings) + (
        "" if takes_none else f" `{value}`"
    )


def _meaning(action: argparse.Action) -> str:
    return ((action.help or "") % {"default": action.default}).replace("|", r"\|")


GENERATED: dict[str, dict[str, Callable[[], str]]] = {
    "docs/configuration.md": {"annotations": annotations},
    "README.md": {"most used": most_used},
    "docs/cli.md": {"commands": commands},
    "docs/compatibility.md": {"versions": record.table},
}
"""The parts of documents that come from the code."""

NAMED_TEST = re.compile(r"`(tests/[\w/.-]+)(?:::(\w+))?`")
"""The path of a test as documents name it, and maybe the test's own name."""


@pytest.mark.parametrize("document", GENERATED)
def test_what_comes_from_the_code_is_what_the_code_says(
    checkout: Path, request: pytest.FixtureRequest, document: str
) -> None:
    made = {name: make() for name, make in GENERATED[document].items()}
    agree_parts(checkout / document, made, update=request.config.getoption("--update"))


def test_the_readme_is_read_in_one_sitting(checkout: Path) -> None:
    assert len((checkout / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def headings(text: str) -> set[str]:
    """The fragments by which a Markdown file's headings are linked to."""
    titles = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_file_and_heading_that_is_linked_to_exists(checkout: Path) -> None:
    documents = [path.relative_to(checkout) for path in (checkout / "docs").rglob("*.md")]
    for document in (*map(Path, ("README.md", "CONTRIBUTING.md", "certs/README.md")), *documents):
        text = (checkout / document).read_text(encoding="utf-8")
        for target, heading in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", text):
            path = (checkout / document).parent / target if target else checkout / document
            assert path.exists(), f"{document} links to {target}"
            if heading:
                assert heading in headings(path.read_text(encoding="utf-8")), (
                    f"{document}: {target}#{heading}"
                )


def test_the_index_names_every_document(checkout: Path) -> None:
    index = (checkout / "docs" / "README.md").read_text(encoding="utf-8")
    missing = [path.name for path in (checkout / "docs").glob("*.md") if f"({path.name})" not in index]
    assert missing == ["README.md"]


def test_every_make_target_that_a_document_names_exists(checkout: Path) -> None:
    makefile = (checkout / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z0-9-]+):.*##", makefile, re.MULTILINE))
    for document in (checkout / "README.md", checkout / "CONTRIBUTING.md", *(checkout / "docs").glob("*.md")):
        named = set(re.findall(r"`make ([a-z0-9-]+)", document.read_text(encoding="utf-8")))
        assert named <= targets, document


def test_every_test_that_a_document_names_exists(checkout: Path) -> None:
    named = [
        (document.name, path, name)
        for document in (checkout / "docs").rglob("*.md")
        for path, name in NAMED_TEST.findall(document.read_text(encoding="utf-8"))
    ]
    assert {"threat-model.md", "reliability.md", "bad-input.md"} <= {document for document, _, _ in named}
    for document, path, name in named:
        assert (checkout / path).exists(), f"{document}: {path}"
        if name:
            text = (checkout / path).read_text(encoding="utf-8")
            assert re.search(rf"^(async )?def {name}\(", text, re.MULTILINE), f"{document}: {path}::{name}"
