"""What a worker is asked ahead, in one frame, and how its answers are given out one by one.

A probe's questions are many and small, and a journey to the worker and back costs more than most
answers. What the probes are sure to ask is therefore sent at once, and so is what comes before and
behind them: the cells of the notebook, and the probes of the next. The worker does it in the same
order, and stops where going on would not be what the judge does: at an exception, at an argument
that was changed in place (unless nothing else is asked in that probe), at plain data where an
object was expected, where nothing was defined, and when it takes long. What is left is asked one by
one. Nothing is asked behind a probe that is not foreseen to its end. (Where a probe breaks off,
because it cannot go on with what was returned, the rest of it has been done all the same, and what
follows: a wrong answer that counts its calls can see that, as can a later cell that shows the
count.)

What the reference answers is taken down, too, in the very bytes that a worker would send. When the
worker's are the same, to the last bit, the probe would see again what it saw of the reference: it
need not run.

Where an answer ends the worker or makes no sense, and where something else is asked than was
foreseen, `Lost` is raised: all is then to be asked again, one by one, of a fresh worker, so that it
costs only itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from ..compare import content, identical
from ..exercise import Certain, Operation
from ..verdict import Lost
from . import wire

# How long a worker goes on by itself; an honest exercise takes a fiftieth of this.
SECONDS = 0.5

Answer = tuple[dict[str, Any], wire.Decoder, list[wire.Mutable]]
"""A reply of the worker's, what decodes it, and what it may have changed in place."""


class Cell:
    """A cell of the student's, to be run.

    Args:
        source: the cell.
        name: what tracebacks call it.
        names: which handles are needed next.

    Attributes:
        cell: all of that.
        next: the step that follows; None behind the last.
        parted: whether that is not sure to follow.
        answered: what the worker made of it; None before it has been asked.
    """

    whole = True  # as a `Script` may be

    def __init__(self, source: str, name: str, names: Sequence[str]) -> None:
        self.cell = (source, name, list(names))
        self.next: Step | None = None
        self.parted = False
        self.answered: dict[str, Any] | None = None


class Script:
    """What one probe is sure to ask, what the reference answered, and what the worker did.

    A question is ``[target, name]`` when an attribute is read, and ``[target, [arguments...],
    {name: argument}]`` for a call; see `Operation` for the target. An argument is a tree of `wire`,
    or ``["v", number, writeable]`` for an array like the one that an earlier question was answered
    with.

    Args:
        root: the number of the object's handle, or the name that will stand for the object.
        certain: which operations are sure.
        remote: makes an object of a handle's number and label.

    Attributes:
        root: as given; the number, once it is known.
        next: the step that follows; None behind the last.
        parted: whether that is not sure to follow.
        questions: in order.
        whole: whether nothing else is asked.
        ends: whether nothing more is asked after an exception.
        answered: how many questions the worker has answered; None before it has been asked.
    """

    def __init__(
        self, root: int | str, certain: Certain, remote: Callable[[int, str], Any]
    ) -> None:
        self.root = root
        self.next: Step | None = None
        self.questions: list[wire.Json] = []
        self.whole = certain.operations is None
        self.parted = False
        self.ends = certain.ends
        self.answered: int | None = None
        self._certain = certain.operations
        self._open = True
        self._asked = _Arguments()
        self._expected = wire.Encoder(_Objects())
        self._trees: list[wire.Json] = []
        # What of the arguments can be changed in place, each with what it held when it was asked.
        self._held: list[tuple[wire.Mutable, bytes | list[Any]]] = []
        self._remote = remote

    # --- taking down what the reference is asked ------------------------------------------

    def asks(self, operation: Operation) -> None:
        """The reference is asked something."""
        if not self._open or len(self.questions) == self._certain:
            self._open = False
            return
        known = len(self._asked.mutable)
        try:
            if operation.attribute is not None:
                asked = [operation.attribute]
            else:
                asked = self._asked.trees(operation.args, operation.kwargs)
        except (wire.Unsendable, TypeError):
            self._open = self.whole = False
            return
        self.questions.append([operation.target, *asked])
        self._held += [(value, wire.held(value)) for value in self._asked.mutable[known:]]

    def answers(self, value: Any) -> None:
        """The reference has answered; it does not when it raises."""
        if not self._open:
            return
        number = len(self.questions) - 1
        try:
            tree = self._expected.encode(value)
        except wire.Unsendable:
            return
        # What raised before has no tree, and nothing then is as expected.
        self._trees.append(tree)
        self._asked.answered(number, value)

    # --- what the worker answers ----------------------------------------------------------

    @property
    def body(self) -> bytes:
        """The bytes that belong to the questions."""
        return b"".join(self._asked.parts)

    def came(
        self,
        answered: int,
        text: bytearray,
        data: bytearray,
        first: int,
        stopped: Any,
        rest: bytearray,
    ) -> None:
        """Take in what came back.

        Args:
            answered: how many questions were answered.
            text: the JSON of the answers' trees.
            data: their bytes.
            first: the number of the first handle among them.
            stopped: the answer behind them at which the worker stopped; None if there is none.
            rest: the bytes of that.
        """
        self.answered = answered
        self._text, self._data, self._first = text, data, first
        self._stopped, self._rest = stopped, rest
        self._given = 0
        self._again = _Arguments()
        self._came: list[wire.Json] | None = None

    @property
    def as_expected(self) -> bool:
        """Whether all answers are those of the reference, to the last bit.

        Where the reference changed an argument in place, its answers are not all that it did.
        """
        if not self.whole or not self.questions or self.answered != len(self.questions):
            return False
        if len(self._trees) != self.answered:
            return False
        trees, data = wire.to_json(self._trees), b"".join(self._expected.parts)
        if self._text != trees or self._data != data:
            return False
        return all(wire.holds(value, then) for value, then in self._held)

    # --- giving the answers out -----------------------------------------------------------

    @property
    def knows(self) -> bool:
        """Whether the next question has been answered."""
        if self.answered is None:
            return False
        known = self.answered + (self._stopped is not None)
        return self._given < min(known, len(self.questions))

    def take(self, operation: str, target: int, arguments: tuple[Any, ...]) -> Answer:
        """Return the answer to the next question, if this is it, to the last bit.

        Raises Lost if not, and WireError for an answer that makes no sense.
        """
        if self._came is None:
            self._came = _trees(self._text, self.answered)
            first, remote = self._first, self._remote
            self._decoder = wire.Decoder(self._data, lambda n, label: remote(first + n, label))
        number = self._given
        of, *asked = self.questions[number]
        known, parts = len(self._again.mutable), len(self._again.parts)
        try:
            if operation == "get":
                again: list[Any] = list(arguments)
            elif operation == "call":
                again = self._again.trees(*arguments)
            else:
                raise Lost
        except (wire.Unsendable, TypeError):
            raise Lost from None
        sent = self._asked.parts[parts : len(self._again.parts)]
        same = target == (self.root if of < 0 else self._object(of)) and identical(again, asked)
        if not same or self._again.parts[parts:] != sent:
            raise Lost
        self._given += 1
        if number < len(self._came):
            return {"value": self._came[number], "changed": []}, self._decoder, []
        if type(self._stopped) is not dict:
            raise wire.WireError("malformed answers")
        decoder = wire.Decoder(self._rest, self._remote)
        return self._stopped, decoder, self._again.mutable[known:]

    def gave(self, value: Any) -> None:
        """Remember what the last question was answered with: it may be an argument of the next."""
        self._again.answered(self._given - 1, value)

    def _object(self, number: int) -> int | None:
        """The number of the handle that a question was answered with; None if it was none."""
        tree = self._came[number] if self._came and number < len(self._came) else None
        if type(tree) is not list or len(tree) != 3 or tree[0] != "r" or type(tree[1]) is not int:
            return None
        return self._first + tree[1]


class _Objects:
    """Numbers the objects that the reference answers with, as a worker does."""

    def __init__(self) -> None:
        self._count = itertools.count()

    def __call__(self, value: Any) -> tuple[int, str]:
        return next(self._count), wire.label(value)


class _Arguments:
    """Encodes the arguments of a probe's calls, one call after the other.

    Attributes:
        parts: the bytes that belong to them.
        mutable: what of them can be changed in place.
    """

    def __init__(self) -> None:
        self._encoder = wire.Encoder()
        self.parts = self._encoder.parts
        self.mutable = self._encoder.mutable
        self._answers: dict[Any, int] = {}

    def trees(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Any]:
        """Return a call's arguments as trees; TypeError or Unsendable where there are none."""
        return [[self._tree(arg) for arg in args], {k: self._tree(v) for k, v in kwargs.items()}]

    def answered(self, number: int, value: Any) -> None:
        """A question was answered with this."""
        if type(value) is np.ndarray:
            self._answers[content(value)] = number

    def _tree(self, value: Any) -> wire.Json:
        if type(value) is np.ndarray and self._answers:
            number = self._answers.get(content(value))
            if number is not None:
                self.mutable.append(value)
                return ["v", number, value.flags.writeable]
        return self._encoder.encode(value)


def _trees(text: bytearray, count: int | None) -> list[wire.Json]:
    try:
        trees = wire.from_json(text)
    except (ValueError, RecursionError):
        raise wire.WireError("malformed answers") from None
    if type(trees) is not list or len(trees) != count:
        raise wire.WireError("malformed answers")
    return trees


Step = Cell | Script


class Ahead:
    """The questions of an exercise's probes about one object.

    Args:
        plan: what they are a part of.
        root: the number of the object's handle, or the name that will stand for the object.
        certain: which operations of each probe are sure.

    Attributes:
        expected: for the judge to keep what it knows of the reference.
        scripts: one for each probe; they take down what the reference is asked.
    """

    def __init__(self, plan: Plan, root: int | str, certain: Sequence[Certain]) -> None:
        self.expected: Any = None
        self.scripts = [Script(root, each, plan.remote) for each in certain]
        self._plan = plan
        self._now: Script | None = None

    @property
    def early(self) -> bool:
        """Whether the object is not there yet."""
        return any(type(script.root) is str for script in self.scripts)

    def begin(self, number: int) -> bool:
        """Begin with a probe, or end behind the last; see `Foresight`."""
        if number == len(self.scripts):
            self._now = None
            return False
        self._now = self.scripts[number]
        self._plan.reach(self._now)
        if self._now.answered is None:
            self._plan.ask()
        return self._now.as_expected

    @property
    def knows(self) -> bool:
        """Whether the next question has been answered."""
        return self._now is not None and self._now.knows

    def take(self, operation: str, target: int, arguments: tuple[Any, ...]) -> Answer:
        """Return the answer to the next question, if this is it, to the last bit; else Lost."""
        if self._now is None or not self._now.knows:
            raise Lost
        return self._now.take(operation, target, arguments)

    def gave(self, value: Any) -> None:
        """Remember what the last question was answered with."""
        if self._now is not None:
            self._now.gave(value)


class Plan:
    """What a worker is going to be asked, step by step, and how far that has come.

    Where it is left while the worker has gone on, `Lost` is raised.

    Args:
        remote: makes an object of a handle's number and label.
        ask: has the worker do these steps, and calls `came` with its reply.

    Attributes:
        remote: as given.
        roots: the numbers of the handles that the last cell has left.
    """

    def __init__(
        self, remote: Callable[[int, str], Any], ask: Callable[[Sequence[Step]], None]
    ) -> None:
        self.remote = remote
        self.roots: dict[str, int] = {}
        self._ask = ask
        self._at: Step = Cell("", "", ())  # before the first
        self._last: Step = self._at
        self._judged: dict[Step, Ahead] = {}  # by the first step of each

    # --- making it ------------------------------------------------------------------------

    def cell(self, source: str, name: str, names: Sequence[str]) -> None:
        """A cell of the student's will run."""
        self._last = _insert(self._last, [Cell(source, name, names)])

    def graded(self, names: Sequence[str], run: Callable[[dict[str, Any]], Any]) -> None:
        """A graded cell will run, with the names that the cell before was asked for.

        It runs here, too, before any of them is there, to show what will be judged. If it needs
        more of them than that, what it does is not foreseen.
        """
        before, times = self._last, Lost.times
        namespace: dict[str, Any] = {name: Foretold(self, name) for name in names}
        try:
            run(namespace)
            foreseen = Lost.times == times  # the cell may have caught it
        except KeyboardInterrupt:
            raise
        except BaseException:  # Lost and SystemExit, too, and what pytest raises
            foreseen = False
        namespace.clear()  # what was defined in it knows it, and the plan
        if not foreseen:
            before.next, self._last = None, before
            self.unknown()

    def unknown(self) -> None:
        """Something will be asked that is not foreseen."""
        self._last.parted = True

    def foretell(self, name: str, certain: Sequence[Certain]) -> Ahead:
        """What a name will stand for is going to be judged."""
        ahead = Ahead(self, name, certain)
        self._last = _insert(self._last, ahead.scripts)
        self._judged[ahead.scripts[0]] = ahead
        return ahead

    # --- going along it -------------------------------------------------------------------

    @property
    def begun(self) -> bool:
        """Whether the worker has gone on with the next step."""
        return self._at.next is not None and self._at.next.answered is not None

    def run(self, source: str, name: str, names: Sequence[str]) -> dict[str, Any] | None:
        """A cell is to be run; return what the worker made of it, None if it has not."""
        step: Step | None = self._at.next
        cell = source, name, list(names)
        while step is not None and not (isinstance(step, Cell) and step.cell == cell):
            step = step.next
        if step is None:
            return None
        self.reach(step)
        if step.answered is None:
            self.ask()
        return step.answered

    def judge(self, root: int, certain: Sequence[Certain]) -> Ahead:
        """An object is going to be judged now."""
        ahead = self._judged.get(self._at.next) if self._at.next is not None else None
        if ahead is None or len(ahead.scripts) != len(certain):
            if self.begun:
                raise Lost
            ahead = Ahead(self, root, certain)
            _insert(self._at, ahead.scripts)
        for script in ahead.scripts:
            if script.answered is not None and self.roots.get(str(script.root)) != root:
                raise Lost
            script.root = root
        return ahead

    def reach(self, step: Step) -> None:
        """Go on to a step; those before it are left out."""
        while self._at is not step:
            assert self._at.next is not None
            self._at = self._at.next
            if self._at is not step and self._at.answered is not None:
                raise Lost

    def ask(self) -> None:
        """Have the worker do this step, and what is sure to follow."""
        steps = [self._at]
        while steps[-1].whole and not steps[-1].parted and steps[-1].next is not None:
            steps.append(steps[-1].next)
        if any(isinstance(step, Cell) or step.questions for step in steps):
            self._ask(steps)

    def end(self) -> None:
        """Nothing more is to be asked."""
        self._judged.clear()  # each knows the plan, too


class Foretold:
    """Stands for what a student has not defined yet: good for nothing but to be judged."""

    def __init__(self, plan: Plan, name: str) -> None:
        self._plan = plan
        self._name = name

    def __call__(self, *_: Any, **__: Any) -> NoReturn:
        """It is not there to be called."""
        raise Lost

    def __foresee__(self, certain: Sequence[Certain]) -> Ahead:
        """Take down what will be asked; see `autograder.judge`."""
        return self._plan.foretell(self._name, certain)


def _insert(place: Step, steps: Sequence[Step]) -> Step:
    """Put steps behind another; return the last of them."""
    behind = place.next
    for step in steps:
        place.next = step
        place = step
    place.next = behind
    return place


def came(steps: Sequence[Step], reply: dict[str, Any], body: bytearray) -> None:
    """Take in what a worker made of some steps, which may be anything.

    Steps that it did not begin are asked again when they are reached. Raises WireError if what came
    makes no sense.
    """
    rows = reply.get("done")
    if type(rows) is not list or len(rows) > len(steps):
        raise wire.WireError("malformed answers")
    start = texts = 0
    for step, row in zip(steps, rows, strict=False):
        if isinstance(step, Cell):
            if type(row) is not dict:
                raise wire.WireError("malformed answers")
            step.answered = row
            continue
        if type(row) is not list or len(row) != 6:
            raise wire.WireError("malformed answers")
        answered, *sizes, first = map(wire.natural, row[:5])
        texts += sizes[0]
        ends = list(itertools.accumulate(sizes, initial=start))
        many = answered > len(step.questions) or texts > wire.MAX_HEADER
        if many or ends[-1] > len(body):
            raise wire.WireError("malformed answers")
        text, data, rest = (body[one:other] for one, other in itertools.pairwise(ends))
        step.came(answered, text, data, first, row[5], rest)
        start = ends[-1]
