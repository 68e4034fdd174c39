"""What can be graded: chapters of exercises, each a reference with its probes and its mistakes.

Everything here is frozen data. A probe looks at an implementation and writes down what it saw; it
does not know whether it looked at the reference, at a student's answer or at a known mistake, nor
whether that lives in this process or behind a wall. `autograder.judge` compares what was seen.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from autograder.verdict import Failure, class_names, message_of

Implementation = Callable[..., Any]
"""A function or a class that a student writes."""

Observations = Mapping[str, Any]
"""What a probe saw, by names that read well: arrays, numbers, strings, or a kind from below."""


@dataclass(frozen=True)
class Argument:
    """An array that was passed to an implementation, as the call left it.

    Observing it is how a probe asks for functions that leave their input alone: the reference
    does, so any change is a difference, and the report can say so in its own words.
    """

    value: Any


@dataclass(frozen=True)
class Explained:
    """An observation that can say more about how it is wrong than that it differs.

    Attributes:
        value: compared like any other.
        explain: called with the expected value and one that differs from it, which may be anything;
            returns a sentence for the student, or nothing.
    """

    value: Any
    explain: Callable[[Any, Any], str] = field(compare=False)


@dataclass(frozen=True)
class Raised:
    """An exception, as an observation: for probes that ask for an error on bad input."""

    kinds: tuple[str, ...]
    message: str = ""


def outcome(call: Callable[[], Any]) -> Any:
    """The value of ``call()``, or `Raised` when it raises an exception.

    A worker that was ended (time, memory, crash) is not an exception to observe: it passes on.
    """
    try:
        return call()
    except Failure as failure:
        if not failure.kinds:
            raise
        return Raised(failure.kinds, failure.message)
    except Exception as error:
        return Raised(class_names(error), message_of(error))


@dataclass(frozen=True)
class Operation:
    """What a probe did to an implementation, or to an object that came of it.

    Attributes:
        target: the number, within the probe, of the operation whose result it was done to; -1 for
            the implementation itself.
        attribute: the name of the attribute that was read; None for a call.
        args: the call's arguments.
        kwargs: the call's keyword arguments.
    """

    target: int
    attribute: str | None = None
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Certain:
    """What a probe does whatever the answers are.

    Attributes:
        operations: how many of its first operations; None if that is all it does. What was
            answered may be an argument of them: an array, by itself, unchanged or copied.
        ends: whether it does nothing more when one of them raises an exception.
    """

    operations: int | None
    ends: bool


class Script(Protocol):
    """Takes down what a probe does to the reference, and what comes of it, as it happens."""

    def asks(self, operation: Operation) -> None:
        """The probe does this now."""

    def answers(self, value: Any) -> None:
        """This came of it; nothing did if an exception was raised."""


class Foresight(Protocol):
    """What an implementation makes of knowing ahead what probes will ask of it.

    Attributes:
        expected: for the judge to keep what it knows of the reference.
    """

    expected: Any

    @property
    def early(self) -> bool:
        """Whether the implementation is not there yet: what it will be asked is only taken down.

        When it is there, it comes with the same foresight.
        """
        ...

    @property
    def scripts(self) -> Sequence[Script]:
        """One for each probe, to take down what it asks of the reference."""
        ...

    def begin(self, number: int) -> bool:
        """A probe begins; with one number more, all have ended.

        Returns:
            Whether it need not run: all that it would ask has been answered as by the reference.
        """
        ...


@dataclass(frozen=True)
class Tolerance:
    """Two numbers a (expected) and b are the same when ``|a - b| <= absolute + relative * |a|``."""

    relative: float = 1e-7
    absolute: float = 1e-9


@dataclass(frozen=True)
class Probe:
    """One property of an answer, and the points it is worth.

    Attributes:
        observe: called with an implementation and a random generator; returns observations. Its
            docstring is the sentence that a student reads.
        points: what the property earns; positive.
        hidden: not run in a student's own check, only when the answer is graded.
    """

    observe: Callable[[Any, np.random.Generator], Observations]
    points: float = 1.0
    hidden: bool = False

    def __post_init__(self) -> None:
        if not self.points > 0:
            raise ValueError(f"probe {self.name}: points must be positive, not {self.points}")
        if not self.sentence:
            raise ValueError(f"probe {self.name} needs a docstring: the sentence a student reads")

    @property
    def name(self) -> str:
        """The probe's name: its function's."""
        return self.observe.__name__

    @property
    def sentence(self) -> str:
        """What the probe asks, as one sentence."""
        return _first_paragraph(self.observe)


def probe(
    points: float = 1.0, *, hidden: bool = False
) -> Callable[[Callable[[Any, np.random.Generator], Observations]], Probe]:
    """Make a `Probe` of a function ``observe(implementation, rng)``."""
    return lambda observe: Probe(observe, points, hidden)


@dataclass(frozen=True)
class Mistake:
    """A wrong implementation that students really write, and what to tell them.

    Attributes:
        implementation: the mistake itself. Its docstring says what it does, as one sentence.
        hint: how to get it right, without giving the answer away.
        earns: the points that an answer with just this mistake deserves.
    """

    implementation: Implementation
    hint: str
    earns: float

    def __post_init__(self) -> None:
        if not self.summary:
            raise ValueError(f"mistake {self.name} needs a docstring: the sentence a student reads")

    @property
    def name(self) -> str:
        """The mistake's name: its function's."""
        return self.implementation.__name__

    @property
    def summary(self) -> str:
        """What the mistake does, as one sentence."""
        return _first_paragraph(self.implementation)


def mistake(*, hint: str, earns: float = 0.0) -> Callable[[Implementation], Mistake]:
    """Make a `Mistake` of a wrong function or class."""
    return lambda implementation: Mistake(implementation, hint, float(earns))


@dataclass(frozen=True)
class Exercise:
    """Something a student writes, and all that is needed to judge it.

    Attributes:
        name: the name of the function or class, the same in the notebook.
        reference: a right answer; NumPy only, so that it runs wherever NumPy does.
        probes: what is asked; their points add up to the exercise's.
        mistakes: wrong answers, each caught and told apart from the others.
        alternatives: right answers in other styles, each worth full points.
        tolerance: how near is the same.
        equivalents: automatic mutants of the reference that compute the same: the statement as
            mutated, and why it makes no difference.
    """

    name: str
    reference: Implementation
    probes: tuple[Probe, ...]
    mistakes: tuple[Mistake, ...] = ()
    alternatives: tuple[Implementation, ...] = ()
    tolerance: Tolerance = field(default_factory=Tolerance)
    equivalents: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.probes:
            raise ValueError(f"exercise {self.name} has no probe")
        for kind, known, made in (
            ("probe", Probe, self.probes),
            ("mistake", Mistake, self.mistakes),
        ):
            for thing in made:
                if not isinstance(thing, known):
                    name = getattr(thing, "__name__", thing)
                    raise ValueError(f"exercise {self.name}: @{kind}(...) is not above {name}")
        for kind, names in (
            ("probe", [p.name for p in self.probes]),
            ("mistake", [m.name for m in self.mistakes]),
        ):
            twice = {name for name in names if names.count(name) > 1}
            if twice:
                raise ValueError(f"exercise {self.name} has two {kind}s named {min(twice)}")

    @property
    def points(self) -> float:
        """What a right answer earns."""
        return float(sum(p.points for p in self.probes))


@dataclass(frozen=True)
class Chapter:
    """The exercises of one chapter of the book.

    Attributes:
        slug: the name that the page, the exercise, the solution and the module share.
        title: the chapter's title, as in the book.
        exercises: in the order of the notebook.
    """

    slug: str
    title: str
    exercises: tuple[Exercise, ...]


@functools.lru_cache(maxsize=4096)
def _first_paragraph(thing: Any) -> str:
    """The first paragraph of a docstring, on one line; empty when there is none."""
    return " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())
