"""What a worker is asked ahead, in one frame, and how its answers are given out one by one.

A probe's questions are many and small, and a journey to the worker and back costs more than most
answers. What the probes are sure to ask is therefore sent at once. The worker does it in the same
order, and stops where going on would not be what the judge does: at an exception, at an argument
that was changed in place, at plain data where an object was expected, and when it takes long. What
is left is asked one by one. Nothing is asked behind a probe that is not foreseen to its end. (Where
a probe breaks off, because it cannot go on with what was returned, the rest of it has been done all
the same: a wrong answer that counts its calls can see that.)

Where an answer ends the worker or makes no sense, `Lost` is raised: all is then to be asked again,
one by one, of a fresh worker, so that it costs only itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from ..compare import identical
from ..exercise import Operation, Script
from ..verdict import Unforeseen
from . import wire

# How long a worker goes on by itself; an honest exercise takes a fiftieth of this.
SECONDS = 0.5


class Lost(BaseException):
    """A worker was ended by what it was asked ahead."""


@dataclass
class Question:
    """One operation on its way, and what came back.

    Attributes:
        operation: "call" or "get".
        target: see `Operation`.
        arguments: what goes with it.
        tree: the arguments' JSON tree.
        body: the bytes that belong to it.
        answer: the worker's reply; None until there is one.
        data: the bytes that belong to the answer.
    """

    operation: str
    target: int
    arguments: tuple[Any, ...]
    tree: wire.Json
    body: bytes
    answer: dict[str, Any] | None = None
    data: bytearray = field(default_factory=bytearray)

    @property
    def handle(self) -> int | None:
        """The number of the object that it was answered with; None if it was no object."""
        value = self.answer.get("value") if self.answer else None
        return value[1] if type(value) is list and len(value) == 3 and value[0] == "r" else None


class Ahead:
    """The questions of an exercise's probes about one object.

    Args:
        root: the number of the object's handle.
        scripts: what is foreseen of each probe.

    Attributes:
        root: as given.
    """

    def __init__(self, root: int, scripts: Sequence[Script]) -> None:
        self.root = root
        self._scripts = [list(_questions(script.operations)) for script in scripts]
        self._whole = [
            script.whole and len(script.operations) == len(questions)
            for script, questions in zip(scripts, self._scripts, strict=True)
        ]
        self._asked = 0  # probes before this one have been asked, as far as they will be
        self._now: list[Question] = []  # the questions of the probe that runs, and where it is
        self._next = 0

    def begin(self, number: int) -> list[list[Question]]:
        """Begin with a probe; returns what is to be asked now, by probe, and perhaps nothing."""
        self._next = 0
        if number == len(self._scripts):
            self._now = []
            return []
        self._now = self._scripts[number]
        if number < self._asked:
            return []
        self._asked = number + 1
        while self._asked < len(self._scripts) and self._whole[self._asked - 1]:
            self._asked += 1
        return self._scripts[number : self._asked]

    def answered(self, number: int, answers: Any, body: bytearray) -> None:
        """Take in what came back, which may be anything; raises WireError if it makes no sense.

        A probe that the worker did not begin is asked again when it begins.
        """
        if not isinstance(answers, (list, tuple)):
            raise wire.WireError("malformed answers")
        waiting = [q for questions in self._scripts[number : self._asked] for q in questions]
        start = 0
        for question, answer in zip(waiting, answers, strict=False):
            size = answer.get("size") if type(answer) is dict else None
            if type(size) is not int or not 0 <= size <= len(body) - start:
                raise wire.WireError("malformed answers")
            question.answer, question.data = answer, body[start : start + size]
            start += size
        for later in range(number + 1, self._asked):
            if self._scripts[later] and self._scripts[later][0].answer is None:
                self._asked = later
                break

    @property
    def knows(self) -> bool:
        """Whether the next question has been answered."""
        return self._next < len(self._now) and self._now[self._next].answer is not None

    def take(self, operation: str, target: int, arguments: tuple[Any, ...]) -> Question:
        """Return the next question, if this is it, to the last bit.

        Raises Unforeseen if not; the probe has to begin again then, and nothing of it is foreseen.
        """
        question = self._now[self._next]
        expected = self.root if question.target < 0 else self._now[question.target].handle
        same = (operation, target) == (question.operation, expected)
        if not (same and identical(arguments, question.arguments)):
            self._now = []
            self._next = 0
            raise Unforeseen
        self._next += 1
        return question


def arrays(arguments: tuple[Any, ...]) -> list[wire.Array]:
    """Return the arrays among arguments, in the order in which they are sent."""
    encoder = wire.Encoder(_refuse)
    encoder.encode(arguments)
    return encoder.arrays


def _questions(operations: Sequence[Operation]) -> Iterator[Question]:
    """What can be asked ahead of these operations, in order."""
    for operation in operations:
        name = operation.attribute
        arguments = (operation.args, dict(operation.kwargs)) if name is None else (name,)
        encoder = wire.Encoder(_refuse)
        try:
            tree = encoder.encode(arguments)
        except (wire.Unsendable, TypeError):
            return
        kind = "call" if name is None else "get"
        yield Question(kind, operation.target, arguments, tree, b"".join(encoder.parts))


def _refuse(_: Any) -> NoReturn:
    raise TypeError("an object cannot be handed to a student's code")
