"""One name, one type: whoever reads a type's name need not ask which of two is meant."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

import hazelcast_sidecar

PACKAGE = Path(hazelcast_sidecar.__file__).parent


@pytest.mark.heavy
def test_no_two_public_types_have_the_same_name() -> None:
    files: defaultdict[str, list[str]] = defaultdict(list)
    for file in sorted(PACKAGE.rglob("*.py")):
        for name in types_of(ast.parse(file.read_text())):
            files[name].append(str(file.relative_to(PACKAGE)))
    assert {"Metadata", "OwnerReference", "Kind", "Status"} <= files.keys()
    assert {name: where for name, where in files.items() if len(where) > 1} == {}


def test_classes_and_aliases_are_types_and_what_begins_with_an_underscore_is_private() -> None:
    module = """
T = TypeVar("T")
MAX_NAME, Alias, Other = 63, dict[str, Any], 1
Annotated: TypeAlias = Mapping[str, str]
class Public: pass
class _Private: pass
_Alias = str
def make():
    Local = int
"""
    assert list(types_of(ast.parse(module))) == ["Alias", "Other", "Annotated", "Public"]


def types_of(module: ast.Module) -> Iterator[str]:
    """The names of the public types at the top of a module: classes, and aliases in CapWords."""
    for statement in module.body:
        if isinstance(statement, ast.ClassDef):
            names = [statement.name]
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            found = [node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]
            names = [name for name in found if name[:1].isupper() and not name.isupper()]
        else:
            continue
        yield from (name for name in names if not name.startswith("_"))
