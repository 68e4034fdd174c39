"""The answers of one notebook, one after the other: which of them use others that are wrong."""

from __future__ import annotations

import dis
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import replace
from types import CodeType, FunctionType, MethodType
from typing import Any

from autograder.report import Report
from autograder.verdict import Verdict


class Answers:
    """What is known of a notebook's answers so far.

    Args:
        names: gives the global names that an answer uses, from the exercise's name and the answer.
    """

    def __init__(self, names: Callable[[str, Any], set[str]]) -> None:
        self._names = names
        self._wrong: set[str] = set()  # those that did not pass when they were judged last

    def judged(self, report: Report, answer: Any) -> Report:
        """Take note of a report; where the answer uses others that are wrong, it then says so."""
        name = report.exercise
        if report.verdict is Verdict.PASS:
            self._wrong.discard(name)
            return report
        others = self._wrong - {name}
        self._wrong.add(name)
        used = sorted(others & self._names(name, answer)) if others else []
        return replace(report, uses=tuple(used)) if used else report


def _names(_: str, answer: Any) -> set[str]:
    """The global names in the code of a function, or of the methods of a class."""
    parts = vars(answer).values() if isinstance(answer, type) else [answer]
    found = set()
    for part in parts:  # of a student's own object no attribute is asked: it may raise
        if isinstance(part, (staticmethod, classmethod, MethodType)):
            part = part.__func__
        elif isinstance(part, property):
            part = part.fget
        if isinstance(part, FunctionType):
            found |= set(_globals(part.__code__))
    return found


def _globals(code: CodeType) -> Iterator[str]:
    yield from (i.argval for i in dis.get_instructions(code) if i.opname == "LOAD_GLOBAL")
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _globals(constant)


_HERE = Answers(_names)
notebook_answers: ContextVar[Answers] = ContextVar("notebook_answers", default=_HERE)
"""Where `check` takes note; the classroom sets one for each notebook that it grades."""
