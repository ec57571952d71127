"""Small faults, each a change of one expression or statement in a function of the package."""

import ast
from collections.abc import Iterator
from typing import NamedTuple

_REVERSED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_SAYS = frozenset(("log", "_log", "_say", "say", "complain", "inc", "observe"))
"""Calls that only tell: what they say is another matter than what is done."""
_NOT_MUTATED = (ast.Assert, ast.Raise, ast.AnnAssign, ast.JoinedStr)
_NODES = (ast.Compare, ast.BoolOp, ast.UnaryOp, ast.Constant, ast.BinOp, ast.Expr, ast.If, ast.IfExp)


class Fault(NamedTuple):
    """One change of a module."""

    place: int
    """Of the node, in the order in which the module is walked."""
    line: int
    """Where its statement begins."""
    last_line: int
    before: str
    after: str


def faults(source: str) -> list[Fault]:
    """List the faults that can be put into the functions of a module."""
    found = []
    for place, node, line in list(_places(ast.parse(source))):
        before = ast.unparse(node).partition("\n")[0]
        end = node.test.end_lineno if isinstance(node, ast.If) else node.end_lineno
        if _change(node):
            after = ast.unparse(node).partition("\n")[0]
            found.append(Fault(place, line, end or line, before, after))
    return found


def with_fault(source: str, fault: Fault) -> str:
    """Put a fault into a module."""
    tree = ast.parse(source)
    node = next(node for place, node, _ in _places(tree) if place == fault.place)
    _change(node)
    return ast.unparse(ast.fix_missing_locations(tree))


def _places(tree: ast.Module) -> Iterator[tuple[int, ast.expr | ast.stmt, int]]:
    """Yield the nodes in functions, numbered, with the line where their statement begins.

    Not those in what only says, demands or annotates.
    """
    waiting: list[tuple[ast.AST, bool, int]] = [(tree, False, 1)]
    place = 0
    while waiting:
        node, in_function, line = waiting.pop()
        if isinstance(node, _NOT_MUTATED) or _only_says(node) or _is_precaution(node):
            continue
        line = node.lineno if isinstance(node, ast.stmt) else line
        if in_function and isinstance(node, _NODES):
            yield place, node, line
        place += 1
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            waiting += [(child, True, line) for child in node.body]
        else:
            waiting += [(child, in_function, line) for child in ast.iter_child_nodes(node)]


def _only_says(node: ast.AST) -> bool:
    if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
        return False
    called = node.value.func
    return (
        isinstance(called, ast.Attribute | ast.Name)
        and (called.attr if isinstance(called, ast.Attribute) else called.id) in _SAYS
    )


def _is_precaution(node: ast.AST) -> bool:
    """Whether it only matters where something else is wrong: `zip(..., strict=True)`."""
    return isinstance(node, ast.keyword) and node.arg == "strict"


def _change(node: ast.expr | ast.stmt) -> bool:  # noqa: C901 - a case for each kind of fault
    """Make the fault of a node, if there is one of its kind."""
    match node:
        case ast.Compare(ops=[only]):
            node.ops = [_REVERSED[type(only)]()]
        case ast.BoolOp(op=ast.And()):
            node.op = ast.Or()
        case ast.BoolOp():
            node.op = ast.And()
        case ast.UnaryOp(op=ast.Not()):
            node.op, node.operand = ast.Not(), ast.UnaryOp(ast.Not(), node.operand)
        case (
            ast.If(test=ast.Name() | ast.Attribute() | ast.Call())
            | ast.IfExp(test=ast.Name() | ast.Attribute() | ast.Call())
        ):
            node.test = ast.UnaryOp(ast.Not(), node.test)
        case ast.Constant(value=bool()):
            node.value = not node.value
        case ast.Constant(value=int(number)):
            node.value = number + 1
        case ast.BinOp(op=ast.Add(), left=left, right=right) if not _is_text(left) and not _is_text(right):
            node.op = ast.Sub()
        case ast.BinOp(op=ast.Sub()):
            node.op = ast.Add()
        case ast.Expr(value=ast.Call() | ast.Await(value=ast.Call())):
            node.value = ast.Constant(value=None)
        case _:
            return False
    return True


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))
