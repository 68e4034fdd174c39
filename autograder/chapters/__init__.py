"""The course's chapters: one module each, of the same name as the page and the notebook.

A module whose name begins with an underscore holds a large exercise of one of them.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import traceback
from pathlib import Path

from autograder.exercise import Chapter, Exercise

SLUGS = (
    "feature_scaling",
    "whitening",
    "gradients",
    "batchnorm_forward",
    "batchnorm_backward",
    "inference",
    "networks",
    "evidence",
    "relatives",
)
"""The chapters, in the order of the book."""


class UnknownExercise(LookupError):
    """There is no exercise, or no chapter, of that name."""

    def _render_traceback_(self) -> list[str]:
        """What IPython shows: the sentence, without the frames that led to it."""
        return [f"UnknownExercise: {self}"]


class BrokenChapter(Exception):
    """A chapter's module cannot be used; the message says where and why."""


@functools.cache
def chapter(slug: str) -> Chapter:
    """The chapter with this slug.

    Raises:
        UnknownExercise: there is none; the message suggests the nearest.
        BrokenChapter: its module cannot be imported, or has no such chapter.
    """
    path = Path(__file__).parent / f"{slug}.py"
    if slug not in SLUGS:
        if slug.isidentifier() and path.is_file():
            raise UnknownExercise(f"the chapter {slug} is not in SLUGS yet, in {__file__}")
        raise UnknownExercise(_no_such("chapter", slug, SLUGS))
    try:
        found = importlib.import_module(f"autograder.chapters.{slug}").CHAPTER
    except Exception as error:  # the module is Python: anything may be wrong with it
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == str(path)]
        line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
        where = f"{path}, line {line}" if line else str(path)
        raise BrokenChapter(f"{where}: {type(error).__name__}: {error}") from error
    if not isinstance(found, Chapter) or found.slug != slug:
        raise BrokenChapter(f"{path}: CHAPTER is not a Chapter with the slug {slug!r}")
    return found


def chapters() -> tuple[Chapter, ...]:
    """All chapters, in the order of the book."""
    return tuple(chapter(slug) for slug in SLUGS)


def find(name: str) -> Exercise:
    """The exercise of this name, of whichever chapter.

    Raises:
        UnknownExercise: there is none; the message suggests the nearest.
        BrokenChapter: a chapter's module cannot be used.
    """
    names: list[str] = []
    for slug in SLUGS:  # no more chapters are imported than it takes
        for exercise in chapter(slug).exercises:
            if exercise.name == name:
                return exercise
            names.append(exercise.name)
    raise UnknownExercise(_no_such("exercise", name, tuple(names)))


def _no_such(kind: str, name: object, names: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    advice = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(names)}."
    return f"there is no {kind} named {name!r}. {advice}"
