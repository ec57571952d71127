"""The README says what the code does."""

import re
from pathlib import Path

import pytest

from hazelcast_sidecar.spec.annotations import TABLE, Annotation

BEGIN, END = "<!-- annotations:", "<!-- /annotations -->"


def row(annotation: Annotation) -> str:
    default = f"`{annotation.default}`" if annotation.default else annotation.otherwise
    return f"| `{annotation.name}` | {annotation.type.description} | {default} | {annotation.meaning} |"


def table() -> str:
    head = ["| annotation | type | default | meaning |", "|---|---|---|---|"]
    return "\n".join(head + [row(annotation) for annotation in TABLE])


def test_the_table_of_annotations_is_the_one_in_the_code(
    checkout: Path, request: pytest.FixtureRequest
) -> None:
    path = checkout / "README.md"
    text = path.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    comment, rest = rest.split("-->\n", 1)
    found, after = rest.split(END)
    if request.config.getoption("--update"):
        path.write_text(f"{before}{BEGIN}{comment}-->\n{table()}\n{END}{after}", encoding="utf-8")
    assert path.read_text(encoding="utf-8").split("-->\n", 1)[1].split(END)[0].strip() == table(), found


def test_every_file_that_it_links_to_exists(checkout: Path) -> None:
    documents = [path.relative_to(checkout) for path in (checkout / "docs").rglob("*.md")]
    for document in (*map(Path, ("README.md", "CONTRIBUTING.md", "certs/README.md")), *documents):
        text = (checkout / document).read_text(encoding="utf-8")
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
            assert ((checkout / document).parent / target).exists(), f"{document} links to {target}"


def test_every_make_target_that_it_names_exists(checkout: Path) -> None:
    targets = re.findall(
        r"^([a-z0-9]+):.*##", (checkout / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    )
    named = set(re.findall(r"make ([a-z0-9]+)", (checkout / "README.md").read_text(encoding="utf-8")))
    assert named <= {*targets}
    assert {"demo", "test"} <= named
