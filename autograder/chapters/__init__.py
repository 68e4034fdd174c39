"""The course's chapters: one module each, of the same name as the page and the notebook.

A module whose name begins with an underscore holds a large exercise of one of them.
"""

from __future__ import annotations

import difflib
import functools
import importlib

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


@functools.cache
def chapter(slug: str) -> Chapter:
    """The chapter with this slug.

    Raises:
        UnknownExercise: there is none; the message suggests the nearest.
    """
    if slug not in SLUGS:
        raise UnknownExercise(_no_such("chapter", slug, SLUGS))
    found = importlib.import_module(f"autograder.chapters.{slug}").CHAPTER
    assert isinstance(found, Chapter)
    return found


def chapters() -> tuple[Chapter, ...]:
    """All chapters, in the order of the book."""
    return tuple(chapter(slug) for slug in SLUGS)


def find(name: str) -> Exercise:
    """The exercise of this name, of whichever chapter.

    Raises:
        UnknownExercise: there is none; the message suggests the nearest.
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
