"""Automatic mutants: each known fault is planted, once, in functions and in classes."""

import numpy as np
import pytest

from autograder.chapters import chapters
from autograder.mutants import mutants


def arithmetic(a, b):
    return a + b * 2


def scale(X, axis=0):
    """Scale a table."""
    low = np.min(X, axis=axis)
    if low.all() and X.size > 1:
        low = -low
    return X - low


def pair(x):
    y = x**2
    return x, y


def fill(x):
    x[0] = 7
    return x


def only(x):
    x += 1


def flags(x):
    return np.sum(x, keepdims=True) if x is not None else 0.5


def all_alike(x):
    return np.where(x, x, x), (x, x)


class Counter:
    """Counts."""

    start = 3

    def __init__(self):
        self.n = self.start

    def add(self, k):
        self.n += k
        return self


SUBJECTS = (arithmetic, scale, pair, fill, only, flags, all_alike, Counter)


def changes(subject):
    return {(m.before, m.after) for m in mutants(subject)}


@pytest.mark.parametrize(
    ("subject", "before", "after"),
    [
        (arithmetic, "return a + b * 2", "return a - b * 2"),
        (arithmetic, "return a + b * 2", "return a + b / 2"),
        (arithmetic, "return a + b * 2", "return a + b * 3"),
        (arithmetic, "return a + b * 2", "return a + b * 1"),
        (arithmetic, "return a + b * 2", "return a + b * 0"),
        (arithmetic, "return a + b * 2", "return b + b * 2"),
        (arithmetic, "return a + b * 2", "return a + a * 2"),
        (scale, "low = np.min(X, axis=axis)", "low = np.max(X, axis=axis)"),
        (scale, "low = np.min(X, axis=axis)", "low = np.mean(X, axis=axis)"),
        (scale, "low = np.min(X, axis=axis)", "low = np.min(X)"),
        (scale, "low = np.min(X, axis=axis)", "low = np.min(axis, axis=axis)"),
        (scale, "def scale(X, axis=0):", "def scale(X, axis=1):"),
        (scale, "if low.all() and X.size > 1:", "if low.all() or X.size > 1:"),
        (scale, "if low.all() and X.size > 1:", "if low.any() and X.size > 1:"),
        (scale, "if low.all() and X.size > 1:", "if low.all() and X.size >= 1:"),
        (scale, "low = -low", "low = +low"),
        (scale, "low = -low", "(deleted) low = -low"),
        (scale, "low = np.min(X, axis=axis)", "(deleted) low = np.min(X, axis=axis)"),
        (scale, "if low.all() and X.size > 1:", "(deleted) if low.all() and X.size > 1:"),
        (pair, "y = x ** 2", "y = x * 2"),
        (pair, "return (x, y)", "return (y, x)"),
        (fill, "x[0] = 7", "(deleted) x[0] = 7"),
        (fill, "x[0] = 7", "x[1] = 7"),
        (fill, "x[0] = 7", "x[-1] = 7"),
        (only, "x += 1", "x -= 1"),
        (only, "x += 1", "(deleted) x += 1"),
        (
            flags,
            "return np.sum(x, keepdims=True) if x is not None else 0.5",
            "return np.mean(x, keepdims=True) if x is not None else 0.5",
        ),
        (
            flags,
            "return np.sum(x, keepdims=True) if x is not None else 0.5",
            "return np.sum(x, keepdims=False) if x is not None else 0.5",
        ),
        (
            flags,
            "return np.sum(x, keepdims=True) if x is not None else 0.5",
            "return np.sum(x, keepdims=True) if x is None else 0.5",
        ),
        (
            flags,
            "return np.sum(x, keepdims=True) if x is not None else 0.5",
            "return np.sum(x, keepdims=True) if x is not None else 1.0",
        ),
        (Counter, "self.n += k", "self.n -= k"),
        (Counter, "self.n += k", "(deleted) self.n += k"),
        (Counter, "self.n = self.start", "(deleted) self.n = self.start"),
        (Counter, "start = 3", "start = 4"),
    ],
)
def test_a_known_fault_is_planted(subject, before, after):
    assert (before, after) in changes(subject)


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda s: s.__name__)
def test_each_mutant_is_a_change_and_comes_once(subject):
    texts = [str(m) for m in mutants(subject)]
    assert texts
    assert len(set(texts)) == len(texts)
    assert all(m.before != m.after for m in mutants(subject))


def test_the_mutant_is_what_its_text_says():
    made = {m.after: m.implementation for m in mutants(arithmetic)}
    assert made["return a - b * 2"](1, 10) == -19
    assert made["return a + a * 2"](1, 10) == 3
    assert arithmetic(1, 10) == 21


def test_a_class_is_made_anew():
    made = {m.after: m.implementation for m in mutants(Counter)}
    assert made["self.n -= k"]().add(2).n == 1
    assert made["start = 4"]().add(2).n == 6
    assert made["(deleted) self.n += k"]().add(2).n == 3
    assert Counter().add(2).n == 5


def test_a_mutant_finds_what_its_module_imports():
    made = {m.after: m.implementation for m in mutants(scale)}
    X = np.array([[1.0, 5.0], [3.0, 4.0]])
    assert made["low = np.max(X, axis=axis)"](X).tolist() == [[4, 10], [6, 9]]


def test_lines_are_counted_from_the_first_of_the_source():
    lines = {m.after: m.line for m in mutants(scale)}
    assert lines["def scale(X, axis=1):"] == 1
    assert lines["low = np.max(X, axis=axis)"] == 3
    assert lines["(deleted) low = -low"] == 5
    assert str(next(mutants(arithmetic))).startswith("line 2: return a + b * 2  →  return")


def test_docstrings_and_returns_stay():
    assert not any("return" in m.after for m in mutants(scale) if "(deleted)" in m.after)
    assert not any("Scale a table" in m.after for m in mutants(scale))


def test_a_decorator_is_not_part_of_the_mutant():
    calls = []

    def counted(f):
        calls.append(f)
        return f

    @counted
    def decorated(x):
        return x + 1

    assert [m.implementation(1) for m in mutants(decorated)][:1] == [0]
    assert len(calls) == 1


# References without much to mutate: two methods of three lines, and a table of answers, of which
# every wrong entry is a mistake in the catalogue.
FEW = {"Repaired2": 2, "Repaired5": 2, "read_tables": 0}


@pytest.mark.parametrize(
    "exercise", [e for c in chapters() for e in c.exercises], ids=lambda e: e.name
)
def test_every_reference_has_mutants_that_can_be_told_apart(exercise):
    found = list(mutants(exercise.reference))
    assert len(found) >= FEW.get(exercise.name, 5)  # the shortest of the others is one line
    assert len({(m.line, m.after, m.before) for m in found}) >= 0.9 * len(found)
    assert all(callable(m.implementation) for m in found)
