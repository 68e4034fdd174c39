"""An autograder that names the mistake.

In a notebook, one line is enough::

    from autograder import check

    check("standardize", standardize)
"""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autograder.report import Report

__all__ = ["Report", "check"]
__version__ = "0.1.0"

Seed = int | Sequence[int]

graded_seed: ContextVar[Seed] = ContextVar("graded_seed", default=0)
"""What `check` draws its inputs from when no seed is given; the classroom sets it per student."""


def check(
    name: str, implementation: Any, *, hidden: bool = False, seed: Seed | None = None
) -> Report:
    """Check an answer to an exercise, and say why it is wrong where it is.

    Args:
        name: the exercise, such as ``"standardize"``; `autograder catalog` lists them.
        implementation: your function or class.
        hidden: run the probes too that are kept for grading.
        seed: what the random inputs are drawn from; by default 0 in a notebook, and the student's
            own when a class is graded.

    Returns:
        A report that shows itself in a notebook, prints as text, and is the number of points
        earned for ``float(report)``.

    Raises:
        UnknownExercise: there is no exercise of that name; the message suggests the nearest.
        BrokenChapter: a chapter's module cannot be imported; the message says where.
    """
    from autograder.answers import notebook_answers
    from autograder.chapters import find
    from autograder.judge import judge, where_it_was

    if seed is None:
        seed = graded_seed.get()
    try:
        report = judge(find(name), implementation, seed=seed, hidden=hidden)
    except KeyboardInterrupt as stopped:
        if type(stopped) is not KeyboardInterrupt:  # the grader's own clock
            raise
        # Who stops an endless loop wants to know where it is, not how it was called.
        raise KeyboardInterrupt(f"{name} was interrupted{where_it_was(stopped)}") from None
    return notebook_answers.get().judged(report, implementation)


if not TYPE_CHECKING:  # to a type checker, every name would be there

    def __getattr__(name: str) -> Any:
        """Import the report's class when it is asked for: a command begins without NumPy."""
        if name != "Report":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from autograder.report import Report

        return Report
