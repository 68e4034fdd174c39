"""Automatic mutants: the reference with one small fault each, to test the probes.

A probe suite is worth what it catches. Every mutant that passes for the reference is a mistake that
a student could make unnoticed, unless it computes the same (an *equivalent* mutant).
"""

from __future__ import annotations

import ast
import copy
import inspect
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from autograder.exercise import Implementation


@dataclass(frozen=True)
class Mutant:
    """A faulty copy of a function or class.

    Attributes:
        line: where the fault is, counted from the first line of the source.
        before: the statement as it was.
        after: the statement as it is; what it was after "(deleted)" when it is gone.
        implementation: the faulty function or class.
    """

    line: int
    before: str
    after: str
    implementation: Implementation

    def __str__(self) -> str:
        return f"line {self.line}: {self.before}  →  {self.after}"


def mutants(implementation: Implementation) -> Iterator[Mutant]:
    """Every mutant of a function or class that is not, as text, the same as another."""
    source = textwrap.dedent(inspect.getsource(implementation))
    tree = ast.parse(source)
    definition = tree.body[0]
    assert isinstance(definition, (ast.FunctionDef, ast.ClassDef))
    definition.decorator_list = []
    namespace = vars(inspect.getmodule(implementation))
    seen = {ast.unparse(tree)}
    for index, node in enumerate(ast.walk(tree)):
        for change in _changes(node, definition):
            faulty = copy.deepcopy(tree)
            target = next(n for i, n in enumerate(ast.walk(faulty)) if i == index)
            change(target)
            text = ast.unparse(faulty)
            if text in seen:
                continue
            seen.add(text)
            made: dict[str, Any] = dict(namespace)
            try:
                exec(compile(ast.fix_missing_locations(faulty), "<mutant>", "exec"), made)
            except (SyntaxError, TypeError, ValueError):
                continue  # not a program: nobody could hand it in
            if isinstance(change, _Deletion):
                line = change.line(node)
                before = _statement(tree, line)
                after = f"(deleted) {before}"
            else:
                line = int(getattr(node, "lineno", 1))
                before, after = _statement(tree, line), _statement(faulty, line)
            yield Mutant(line, before, after, made[definition.name])


def _statement(tree: ast.AST, line: int) -> str:
    """The first line of the innermost statement on a line, as source."""
    found = [n for n in ast.walk(tree) if isinstance(n, ast.stmt) and n.lineno <= line <= _end(n)]
    innermost = min(found, key=lambda n: _end(n) - n.lineno)
    return ast.unparse(innermost).split("\n")[0]


def _end(node: ast.stmt) -> int:
    return node.end_lineno or node.lineno


Change = Callable[[Any], None]

_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Pow: ast.Mult,
    ast.MatMult: ast.Mult,
}
_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
# Functions that are taken for one another.
_FUNCTIONS = {
    "max": ("min", "mean"),
    "min": ("max", "mean"),
    "maximum": ("minimum",),
    "minimum": ("maximum",),
    "mean": ("sum", "min"),
    "sum": ("mean",),
    "std": ("var",),
    "var": ("std",),
    "sqrt": ("square", "asarray"),
    "exp": ("asarray",),
    "zeros": ("ones",),
    "ones": ("zeros",),
    "zeros_like": ("ones_like",),
    "ones_like": ("zeros_like",),
    "eigh": ("eig",),
    "all": ("any",),
    "any": ("all",),
}


def _changes(node: ast.AST, definition: ast.FunctionDef | ast.ClassDef) -> Iterator[Change]:
    """The faults that can be planted at a node."""
    if isinstance(node, (ast.BinOp, ast.AugAssign)) and type(node.op) in _OPERATORS:
        yield _set("op", _OPERATORS[type(node.op)]())
    if isinstance(node, ast.Compare) and type(node.ops[0]) in _COMPARISONS:
        yield _set("ops", [_COMPARISONS[type(node.ops[0])](), *node.ops[1:]])
    if isinstance(node, ast.UnaryOp):
        yield _drop_unary
    if isinstance(node, ast.BoolOp):
        yield _set("op", ast.Or() if isinstance(node.op, ast.And) else ast.And())
    if isinstance(node, ast.Constant):
        yield from _other_constants(node.value)
    if isinstance(node, ast.Call):
        yield from (_drop_keyword(i) for i in range(len(node.keywords)))
        yield from (_swap("args", i) for i in range(len(node.args) - 1))
    if isinstance(node, ast.Attribute):
        yield from (_set("attr", name) for name in _FUNCTIONS.get(node.attr, ()))
    if isinstance(node, ast.Tuple) and isinstance(node.ctx, ast.Load) and len(node.elts) > 1:
        yield _swap("elts", 0)
    if isinstance(node, (ast.FunctionDef, ast.For, ast.While, ast.If)):
        yield from (_Deletion(i) for i, s in enumerate(node.body) if _can_go(s))
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        names = _arguments(definition)
        yield from (_set("id", n) for n in names if node.id in names and n != node.id)


def _arguments(definition: ast.FunctionDef | ast.ClassDef) -> tuple[str, ...]:
    """The arguments of a function that may be confused with one another."""
    if isinstance(definition, ast.ClassDef):
        return ()
    return tuple(a.arg for a in definition.args.args)


def _can_go(statement: ast.stmt) -> bool:
    docstring = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return isinstance(statement, (ast.Assign, ast.AugAssign, ast.Expr, ast.If)) and not docstring


def _other_constants(value: object) -> Iterator[Change]:
    if isinstance(value, bool):
        yield _set("value", not value)
    elif isinstance(value, int):
        yield from (_set("value", v) for v in {value + 1, value - 1, 0} - {value})
    elif isinstance(value, float):
        yield from (_set("value", v) for v in {value * 2, value / 2, 0.0} - {value})


def _set(name: str, value: object) -> Change:
    return lambda node: setattr(node, name, value)


def _swap(name: str, index: int) -> Change:
    """Exchange an item of a list with the one behind it."""

    def change(node: Any) -> None:
        items = getattr(node, name)
        items[index], items[index + 1] = items[index + 1], items[index]

    return change


def _drop_keyword(index: int) -> Change:
    def change(node: Any) -> None:
        del node.keywords[index]

    return change


def _drop_unary(node: Any) -> None:
    if isinstance(node.op, ast.USub):
        node.op = ast.UAdd()
    else:  # `not not x` and `~~x` are as good as x
        node.operand = ast.UnaryOp(node.op, node.operand)


@dataclass(frozen=True)
class _Deletion:
    """The fault that one statement of a node's body is missing."""

    index: int

    def __call__(self, node: Any) -> None:
        if len(node.body) == 1:
            node.body[self.index] = ast.Pass()
        else:
            del node.body[self.index]

    def line(self, node: Any) -> int:
        """Where the statement was."""
        return int(node.body[self.index].lineno)
