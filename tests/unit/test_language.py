"""The language of code and documents: words that have better ones, and docstrings that begin with a verb."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "webhook" / "hazelcast_sidecar"
MODULES = sorted(PACKAGE.rglob("*.py"))
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *PACKAGE.rglob("*.yaml")])

BETTER = {
    r"somebody|nobody": "a user, others, no one, no ...",
    r"whoever|whatever": "any, everything that, even if",
    r"anew": "again; recreate",
    r"told": "reported, notified, by default",
    r"stands": "is, conflicts with",
    r"mend(s|ed)?": "fix, repair, correct",
    r"(?<!there )(?<!it )is no(?! longer\b| more\b)": "is not a ...",
    r"he|him": "they, the user",
}
"""Words and what to write instead; see docs/glossary.md for the terms."""

_ANY = re.compile(rf"(?i)\b(?:{'|'.join(BETTER)})\b")

FRAGMENTS = re.compile(
    r"(?:An?|The|All|Any|Each|Every|It|Its|No|None|Nothing|Of|One|Some|Something|Those|What|When|Where|Whether|Which"
    r"|Who|Whom|Why|How|Until)\b"
)


def words_of(source: str) -> Iterator[tuple[int, str]]:
    """Yield the comments and strings of a module, with their first lines, if any has such a word."""
    if not _ANY.search(source):
        return
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in (tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", -1)):
            yield token.start[0], token.string


def worse_words(text: str) -> Iterator[tuple[int, str]]:
    """Yield the words of a text that have better ones, with the number of line breaks before each."""
    for pattern, instead in BETTER.items():
        for found in re.finditer(rf"(?i)\b(?:{pattern})\b", text):
            yield text.count("\n", 0, found.start()), f"{found[0]!r}: write {instead}"


def functions_of(module: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield the functions of a module, also those in each other and in classes; no expression is visited."""
    for each in ast.iter_child_nodes(module):
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
            yield each
        if isinstance(each, ast.stmt | ast.excepthandler | ast.match_case):
            yield from functions_of(each)


# Not a test for each file: hundreds of them would take longer to run than to do their work.


def test_the_words_of_modules_are_the_usual_ones() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line + below}: {sentence}"
        for path in MODULES
        for line, text in words_of(path.read_text(encoding="utf-8"))
        for below, sentence in worse_words(text)
    ]
    assert not found, "\n".join(found)


def test_the_words_of_documents_are_the_usual_ones() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line + 1}: {sentence}"
        for path in DOCUMENTS
        # Names of tests and the like are quoted.
        for line, sentence in worse_words(re.sub(r"`[^`\n]*`", "``", path.read_text(encoding="utf-8")))
    ]
    assert not found, "\n".join(found)


@pytest.mark.heavy
def test_the_docstrings_of_functions_begin_with_verbs() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {node.name}: {docstring.splitlines()[0]}"
        for path in MODULES
        for node in functions_of(ast.parse(path.read_text(encoding="utf-8")))
        if (docstring := ast.get_docstring(node)) and FRAGMENTS.match(docstring)
    ]
    assert not found, "\n".join(found)


def test_words_with_better_ones_are_found() -> None:
    text = "somebody is no User,\nit is no longer there; whatever stands, he told him anew to mend it"
    assert len(list(worse_words(text))) == 9
    assert list(words_of("a = 1\n\nb = 'him'  # anew")) == [(3, "'him'"), (3, "# anew")]
    assert not list(worse_words("there is no Pod; it understands, amends and recommends the shelter"))


def test_the_functions_of_a_module_are_found_wherever_they_are() -> None:
    module = """
def a():
    def b(): pass
class C:
    async def c(self): pass
try:
    with x:
        def d(): pass
except OSError:
    def e(): pass
match x:
    case 1:
        def f(): pass
if x: pass
else:
    def g(): pass
"""
    assert sorted(found.name for found in functions_of(ast.parse(module))) == [*"abcdefg"]
