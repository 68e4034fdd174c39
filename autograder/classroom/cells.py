"""What the code of a notebook's cells defines, needs and gives."""

from __future__ import annotations

import ast
import builtins
import functools
from types import CodeType
from typing import Any

from nbformat import NotebookNode


def metadata(cell: NotebookNode) -> dict[str, Any]:
    """A cell's nbgrader metadata; empty when it has none."""
    found = cell.get("metadata", {}).get("nbgrader", {})
    return found if isinstance(found, dict) else {}


def is_solution(cell: NotebookNode) -> bool:
    """Whether students write in this cell."""
    return bool(metadata(cell).get("solution"))


def is_test(cell: NotebookNode) -> bool:
    """Whether this cell is graded by running it."""
    return cell.cell_type == "code" and bool(metadata(cell).get("grade")) and not is_solution(cell)


def is_written(cell: NotebookNode) -> bool:
    """Whether a person grades this cell."""
    info = metadata(cell)
    return bool(info.get("task")) or bool(info.get("grade") and not is_test(cell))


def grade_id(cell: NotebookNode) -> str:
    """The name that nbgrader knows the cell by; empty when it has none."""
    return str(metadata(cell).get("grade_id", ""))


def points(cell: NotebookNode) -> float:
    """What the cell is worth."""
    return float(metadata(cell).get("points", 0.0))


def student_names(source: NotebookNode) -> tuple[str, ...]:
    """The names that students define: the top-level definitions of the source's solution cells.

    In a graded cell these, and no others, are the student's. What a solution imports is not among
    them: a graded cell that compares with a student's `np` would believe the student.
    """
    names: dict[str, None] = {}
    for cell in source.cells:
        if cell.cell_type == "code" and is_solution(cell):
            for statement in _statements(cell.source):
                names.update(dict.fromkeys(_defined_by(statement, imports=False)))
    return tuple(names)


@functools.lru_cache(maxsize=512)
def free_names(code: str) -> frozenset[str]:
    """The names that a cell uses without defining or importing them itself; builtins left out."""
    nodes = list(ast.walk(ast.parse(code)))
    used = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    return frozenset(used - set(map(_bound_by, nodes)) - set(dir(builtins)))


@functools.lru_cache(maxsize=512)
def asked_names(code: str) -> frozenset[str]:
    """The names that a cell may read before it defines or imports them itself.

    Builtins are among them: students may define a `sum` of their own. So is what only a function's
    argument is called.
    """
    asked: set[str] = set()
    made: set[str] = set()
    for statement in ast.parse(code).body:
        nodes = list(ast.walk(statement))
        read = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
        read |= {
            n.target.id
            for n in nodes
            if isinstance(n, ast.AugAssign) and isinstance(n.target, ast.Name)
        }
        asked |= read - made
        made.update(_defined_by(statement))
    return frozenset(asked)


def evaluate(code: str, namespace: dict[str, Any]) -> Any:
    """Run a cell of the instructor's in a namespace; returns the value of its last expression."""
    body, last = _compiled(code)
    exec(body, namespace)
    return None if last is None else eval(last, namespace)


@functools.cache
def _compiled(code: str) -> tuple[CodeType, CodeType | None]:
    """A cell's statements, and its last expression if it ends with one."""
    tree = ast.parse(code)
    last = tree.body[-1] if tree.body else None
    if not isinstance(last, ast.Expr):
        return compile(tree, "<graded cell>", "exec", dont_inherit=True), None
    tree.body.pop()
    value = compile(ast.Expression(last.value), "<graded cell>", "eval", dont_inherit=True)
    return compile(tree, "<graded cell>", "exec", dont_inherit=True), value


@functools.lru_cache(maxsize=512)
def defined(code: str) -> tuple[str, ...]:
    """The names that the top level of a cell defines or imports; none when it is not Python."""
    return tuple(name for statement in _statements(code) for name in _defined_by(statement))


def _statements(code: str) -> list[ast.stmt]:
    """The top level of a cell; nothing when it is not Python."""
    try:
        return ast.parse(code).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []


def _defined_by(statement: ast.stmt, *, imports: bool = True) -> list[str]:
    """The names that a statement defines where it stands: in its blocks, too, but no function's."""
    found: list[str] = []
    nodes: list[ast.AST] = [statement]
    for node in nodes:  # which grows
        if (name := _bound_by(node)) and (imports or not isinstance(node, ast.alias)):
            found.append(name)
        if not isinstance(node, _SCOPES):
            nodes += ast.iter_child_nodes(node)
    return found


_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


def _bound_by(node: ast.AST) -> str | None:
    """The name that a node of a syntax tree by itself gives to something; None for most."""
    if isinstance(node, ast.Name):
        return node.id if isinstance(node.ctx, ast.Store) else None
    if isinstance(node, ast.alias):
        return (node.asname or node.name).split(".")[0]
    if isinstance(node, ast.arg):
        return node.arg
    if isinstance(node, ast.MatchMapping):
        return node.rest
    name = getattr(node, "name", None)  # of a definition, an exception that is caught, a pattern
    return name if isinstance(name, str) else None
