"""The small, fixed vocabulary in which the autograder speaks of an answer."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, NoReturn


class Verdict(StrEnum):
    """What became of one probe, or of one cell.

    Every verdict but INTERNAL is about the student's work. INTERNAL is about ours: it is never
    turned into a zero, it blocks the grade and is reported to the instructor.
    """

    PASS = "PASS"
    WRONG = "WRONG"
    ERROR = "ERROR"
    TIMEOUT = "TIMEOUT"
    MEMORY = "MEMORY"
    CRASH = "CRASH"
    OUTPUT = "OUTPUT"
    MISSING = "MISSING"
    INTERNAL = "INTERNAL"


class Failure(Exception):
    """A student's code did not come back with a value, and here is how.

    The sandbox raises it in place of the exception (or the death) that happened on the other side;
    the judge turns it into a finding.

    Attributes:
        verdict: ERROR for an exception; TIMEOUT, MEMORY, CRASH or OUTPUT when the worker was ended;
            MISSING when there is nothing to call.
        kinds: the names of the exception's classes, the most special first, as in ``("KeyError",
            "LookupError", "Exception")``; empty when there was no Python exception.
        message: what the exception said, or what happened, as a plain sentence.
        traceback: the student's own frames, as text; may be empty.
    """

    def __init__(
        self,
        verdict: Verdict,
        message: str,
        *,
        kinds: tuple[str, ...] = (),
        traceback: str = "",
    ) -> None:
        super().__init__(message)
        self.verdict = verdict
        self.message = message
        self.kinds = kinds
        self.traceback = traceback

    @property
    def said(self) -> str:
        """What was raised, or what happened, in one line."""
        return ": ".join(filter(None, (*self.kinds[:1], self.message)))

    def __call__(self, *_: Any, **__: Any) -> NoReturn:
        """Raise it: what stands for an answer that there is not fails where it is called."""
        raise self


# What code of the instructor's may want to catch: the built-in exceptions that can be made of a
# message. StopIteration is left out: it would silently end a loop of ours.
_CATCHABLE: dict[str, type[Failure]] = {
    kind.__name__: type(kind.__name__, (Failure, kind), {})
    for kind in (
        *(ArithmeticError, FloatingPointError, OverflowError, ZeroDivisionError),
        *(AssertionError, AttributeError, BufferError, EOFError, ImportError, ModuleNotFoundError),
        *(LookupError, IndexError, KeyError, NameError, UnboundLocalError, RuntimeError),
        *(NotImplementedError, RecursionError, TypeError, ValueError, UnicodeError),
        *(OSError, FileExistsError, FileNotFoundError, IsADirectoryError, NotADirectoryError),
        *(PermissionError, TimeoutError),
    )
}


def failure_of(kinds: Sequence[str]) -> type[Failure]:
    """The `Failure` for an exception of these classes: ``except ValueError`` catches it, too.

    So a graded cell can try what should raise an exception, as it would beside the student's code.
    """
    return next((_CATCHABLE[kind] for kind in kinds if kind in _CATCHABLE), Failure)


class Lost(BaseException):
    """A worker was ended by what it was asked ahead, or because that was of no use.

    Not an `Exception`, so that no probe takes it for the answer's own.

    Attributes:
        times: how often that was. A graded cell may catch everything: who has to begin again looks
            here, too.
    """

    times = 0

    def __init__(self) -> None:
        super().__init__()
        Lost.times += 1


def class_names(error: BaseException) -> tuple[str, ...]:
    """The names of an exception's classes, the most special first, without ``BaseException``."""
    return tuple(c.__name__ for c in type(error).__mro__ if c not in (BaseException, object))


def message_of(error: BaseException) -> str:
    """What an exception says; nothing if that cannot be made, as a student's own may not."""
    try:
        return str(error)
    except Exception:
        return ""
