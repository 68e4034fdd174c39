"""The only room that decides: probes an implementation, compares, diagnoses, and reports.

Each probe runs twice on the same random inputs, once against the reference and once against the
answer. What the two runs saw is compared. When something differs, the known mistakes run too: the
one that would have shown the same is the diagnosis.

The judge does not know whether it holds a local function or a handle on a remote one. To spare the
latter many short journeys, it says ahead what the probes will ask, as far as the run against the
reference shows it: an implementation whose class has ``__foresee__`` takes that down (see
`Foresight`), and says of each probe whether it need not run, because every answer was the
reference's.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import itertools
import math
import re
import sysconfig
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from numpy.random.bit_generator import ISeedSequence

from autograder.compare import content, describe, difference, identical
from autograder.exercise import (
    Certain,
    Exercise,
    Foresight,
    Implementation,
    Mistake,
    Observations,
    Operation,
    Probe,
    Script,
    Tolerance,
)
from autograder.report import Diagnosis, Finding, Report
from autograder.verdict import Failure, Lost, Verdict, class_names, message_of

Seed = int | Sequence[int]

# Code that is installed, not written by a student: a line of it explains nothing. Packages may be
# in several folders, such as the user's and Debian's own, but all of these are called alike.
_PYTHON = ("<frozen", *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib")))
_PACKAGES = re.compile(r"[\\/](?:site|dist)-packages[\\/]")


def judge(
    exercise: Exercise, implementation: Any, *, seed: Seed = 0, hidden: bool = True
) -> Report:
    """Judge an answer to an exercise.

    Args:
        exercise: what is asked.
        implementation: the answer: a function or class, local or remote; None when there is none,
            or the `Failure` that kept it from being defined.
        seed: what the probes' inputs are drawn from; the same seed gives the same report.
        hidden: whether the hidden probes run, and count, too.

    Returns:
        A finding for each probe that ran, with the diagnosis where there is one.
    """
    probes = [p for p in exercise.probes if hidden or not p.hidden]
    if isinstance(implementation, Failure) or not callable(implementation):
        return _missing(exercise, probes, implementation)
    foresight = _foresee(exercise, probes, implementation)
    expected = _expected(exercise, probes, seed, foresight)
    if foresight is not None and foresight.early:
        return Report(exercise.name, (), exercise.points, len(exercise.probes))
    runs: dict[str, Run] = {}
    ended: Failure | None = None
    for number, (probe, known) in enumerate(zip(probes, expected, strict=True)):
        # When the worker was ended, the probes after it would only wait for the same end again.
        if ended is not None:
            run = Run(failure=ended)
        elif foresight is not None and foresight.begin(number) and known.quiet:
            run = known
        else:
            run = _watched(probe, implementation, exercise.name, seed, most=_most(known))
        runs[probe.name] = run
        if run.failure is not None and not run.failure.kinds:
            ended = run.failure
    if foresight is not None:
        foresight.begin(len(probes))
    return Report(
        exercise=exercise.name,
        findings=_findings(exercise, probes, runs, expected, seed),
        points=exercise.points,
        unseen=len(exercise.probes) - len(probes),
        printed="".join(run.printed for run in runs.values()),
        warned=tuple(dict.fromkeys(w for run in runs.values() for w in run.warned)),
    )


# --- running a probe -------------------------------------------------------------------------


@dataclass
class Run:
    """What one probe saw of one implementation, and what it did to see it."""

    seen: Observations | None = None
    failure: Failure | None = None
    calls: list[Call] = field(default_factory=list)
    operations: int = 0
    script: Script | None = None
    printed: str = ""
    warned: tuple[str, ...] = ()
    quiet: bool = False  # nothing was printed, nobody warned
    largest: int = 0  # the extent of its largest answer, or of a list that was an argument
    most: float = math.inf  # what that may be


@dataclass
class Call:
    """One call of an implementation, for the sentences of the report."""

    name: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    result: Any = None
    returned: bool = False
    found: bool = True

    @property
    def text(self) -> str:
        """The call as it would be written."""
        given = [_argument(a) for a in self.args]
        given += [f"{k}={_argument(v)}" for k, v in self.kwargs.items()]
        return f"{self.name}({', '.join(given)})"


class Witness:
    """Stands in for an implementation and remembers how it was called.

    Instances that an implementation makes, and their methods, are stood in for too; plain data
    passes as it is.
    """

    def __init__(self, target: Any, text: str, run: Run, number: int = -1) -> None:
        self._target = target
        self._text = text
        self._run = run
        self._number = number  # of the operation that it came of

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the implementation, and remember the call."""
        call = Call(self._text, args, kwargs)
        self._run.calls.append(call)
        self._asks(None, args, kwargs)
        call.result = self._target(*args, **kwargs)
        call.returned = True
        for argument in (*args, *kwargs.values()):  # which may have been made larger
            if isinstance(argument, (list, tuple, dict)):
                self._weigh(argument)
        text = f"{self._text}(…)" if args or kwargs else self._text
        return self._answered(call.result, text)

    def __getattr__(self, name: str) -> Any:
        text = f"{self._text}.{name}"
        try:
            value = getattr(self._target, name)
        except BaseException:
            self._run.calls.append(Call(text, found=False))
            raise
        self._asks(name, (), {})
        return self._answered(value, text)

    def _asks(self, attribute: str | None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._run.operations += 1
        if self._run.script is not None:
            self._run.script.asks(Operation(self._number, attribute, args, kwargs))

    def _answered(self, value: Any, text: str) -> Any:
        if self._run.script is not None:
            self._run.script.answers(value)
        if _is_plain(value):
            self._weigh(value)
            return _as_held(value)
        return type(self)(value, text, self._run, self._run.operations - 1)

    def _weigh(self, value: Any) -> None:
        """Refuse to go on with much more than there should be."""
        self._run.largest = max(self._run.largest, _extent(value))
        if self._run.largest > self._run.most:
            raise Failure(
                Verdict.WRONG,
                "the answer is much larger than it should be",
                kinds=("TooLarge", "Exception"),
            )


_PLAIN = (
    *(type(None), bool, int, float, complex, str, bytes),
    *(list, tuple, dict, np.ndarray, np.generic),
)


def _is_plain(value: Any) -> bool:
    return isinstance(value, _PLAIN)


def _as_held(value: Any) -> Any:
    """An array of a subclass, such as a matrix, as what it holds: so it comes out of a worker.

    An array of several arrays, of different shapes perhaps, is several results.
    """
    if isinstance(value, np.ndarray) and value.dtype.hasobject and value.ndim == 1:
        items = tuple(np.ndarray.tolist(value))
        return items if any(type(item) is np.ndarray for item in items) else value
    if type(value) is tuple:
        return tuple(map(_as_held, value))
    if not isinstance(value, np.ndarray) or (type(value) is np.ndarray and value.dtype.isnative):
        return value
    array = np.ndarray.view(value, np.ndarray)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


# What a probe computes from two answers may have as many entries as the product of theirs.
_SMALL = 4_000


def _most(expected: Run) -> int:
    """How large an answer may be, so that what a probe computes from it costs us little."""
    return max(_SMALL, 2 * expected.largest)


def _extent(value: Any) -> int:
    """How many parts plain data has. Long axes count in an empty array, too: its sum has them.

    So do lists and dicts, however empty: each takes room.
    """
    if isinstance(value, np.ndarray):
        return math.prod(n or 1 for n in value.shape)
    if isinstance(value, (list, tuple)):
        return 1 + sum(map(_extent, value))
    if isinstance(value, dict):
        return 1 + sum(_extent(key) + _extent(item) for key, item in value.items())
    return len(value) if isinstance(value, (str, bytes)) else 1


def _argument(value: Any) -> str:
    if isinstance(value, np.ndarray) and value.ndim:
        return f"{'×'.join(map(str, value.shape))} {value.dtype} array"
    if isinstance(value, (tuple, list)):
        first = ", ".join(map(_argument, value[:3])) + (", …" if len(value) > 3 else "")
        return f"[{first}]" if isinstance(value, list) else f"({first})"
    return describe(value)


def _expected(
    exercise: Exercise, probes: Sequence[Probe], seed: Seed, foresight: Foresight | None
) -> list[Run]:
    """Run the probes on the reference, once. What our own code says is not for the student.

    Raises Lost if what was foreseen is not what is asked now.
    """
    asked = exercise, tuple(probes), seed
    if foresight is not None and foresight.expected is not None:
        foreseen, runs = foresight.expected
        if asked != foreseen:
            raise Lost
        return cast("list[Run]", runs)
    runs = []
    with _captured() as (out, caught):
        for number, probe in enumerate(probes):
            said = out.tell(), len(caught)
            script = foresight.scripts[number] if foresight is not None else None
            run = _run(probe, exercise.reference, exercise.name, seed, script=script)
            run.quiet = said == (out.tell(), len(caught))
            runs.append(run)
    if foresight is not None:
        foresight.expected = asked, runs
    return runs


def _watched(
    probe: Probe, implementation: Implementation, name: str, seed: Seed, most: float
) -> Run:
    """Run one probe on an answer; what it prints and what NumPy warns of is kept, too."""
    with _captured() as (out, caught):
        run = _run(probe, implementation, name, seed, most=most)
    run.printed = out.getvalue()[:10_000]
    run.warned = tuple(dict.fromkeys(_short(f"{w.category.__name__}: {w.message}") for w in caught))
    return run


def _run(
    probe: Probe,
    implementation: Implementation,
    name: str,
    seed: Seed,
    witness: type[Witness] = Witness,
    script: Script | None = None,
    most: float = math.inf,
) -> Run:
    """Run one probe; whatever the implementation does ends up in the `Run`."""
    run = Run(script=script, most=most)
    start: Any = _Start(probe.name, (seed,) if isinstance(seed, int) else tuple(seed))
    rng = np.random.Generator(np.random.PCG64(start))
    try:
        seen = probe.observe(witness(implementation, name, run), rng)
        run.seen = {k: v._target if isinstance(v, Witness) else v for k, v in seen.items()}
    except Failure as failure:
        run.failure = failure.with_traceback(None)  # which would keep all that is alive here
    except (KeyboardInterrupt, Lost):
        raise
    except BaseException as error:  # SystemExit too: an answer must not end the judge
        verdict = Verdict.MEMORY if isinstance(error, MemoryError) else Verdict.ERROR
        run.failure = Failure(
            verdict, message_of(error), kinds=class_names(error), traceback=_where(error)
        )
    return run


class _Start(ISeedSequence):
    """Where the inputs of a probe begin: at the same place in every run.

    NumPy's own `SeedSequence` takes ten times as long to mix as many bits.
    """

    def __init__(self, probe: str, seed: tuple[int, ...]) -> None:
        named = f"{probe} {seed}".encode()
        self._state = hashlib.blake2b(named, digest_size=32).digest()

    def generate_state(self, n_words: int, dtype: Any = np.uint64) -> Any:
        assert (n_words, dtype) == (4, np.uint64), "what PCG64 asks for"
        return np.frombuffer(self._state, dtype)


@contextlib.contextmanager
def _captured() -> Iterator[tuple[io.StringIO, list[warnings.WarningMessage]]]:
    """Keep what an answer prints, and what NumPy warns of, for the report.

    Unread warnings on stderr would cost a right answer its points in stock nbgrader. What a
    notebook set with `np.seterr` does not count: the same answer gets the same verdict everywhere.
    """
    out = io.StringIO()
    with (
        warnings.catch_warnings(record=True, action="always") as caught,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(out),
        np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"),
    ):
        yield out, caught


def _where(error: BaseException) -> str:
    """The student's own frames, as text: those below the `Witness`, without installed code.

    Empty when the exception came from the probe: its lines are not for the student.
    """
    ours = (Witness.__call__.__code__, Witness.__getattr__.__code__)
    codes = [frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)]
    called = max((i for i, code in enumerate(codes) if code in ours), default=len(codes))
    frames = traceback.extract_tb(error.__traceback__)[called + 1 :]
    return "".join(traceback.format_list([f for f in frames if not _installed(f.filename)][-20:]))


def _installed(file: str) -> bool:
    return file.startswith(_PYTHON) or _PACKAGES.search(file) is not None


_FRAME = re.compile(r'^  File ".*", line (\d+), in .*(?:\n    (.*))?$', re.MULTILINE)


def _line(frames: str) -> str:
    """The last line of a traceback, as text; empty when there is none."""
    if not (found := _FRAME.findall(frames)):
        return ""
    line, code = found[-1]
    return f"line {line}: `{_short(code, 120)}`" if code else f"line {line}"


def _short(text: str, length: int = 300) -> str:
    """A text on one line, and not much longer than that."""
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1] + "…"


# --- foreseeing ------------------------------------------------------------------------------


def _foresee(exercise: Exercise, probes: Sequence[Probe], implementation: Any) -> Foresight | None:
    """What an implementation makes of knowing ahead what will be asked; None if nothing."""
    foresee = getattr(type(implementation), "__foresee__", None)
    if foresee is None:
        return None
    certain = [_certain(p, exercise.reference, exercise.name) for p in probes]
    return cast("Foresight | None", foresee(implementation, certain))


@functools.cache
def _certain(probe: Probe, reference: Implementation, name: str, seed: Seed = 0) -> Certain:
    """What of a probe does not depend on what its operations give.

    The probe runs twice on the same inputs, and the second time every number that comes back is
    another one. Then it runs once for each operation, which raises. What comes out is the same for
    all seeds; the tests of the catalogue see to that, because what a reference returned must never
    be sent to an answer.
    """
    one, other = _Notes(), _Notes()
    with _captured():
        _run(probe, reference, name, seed, script=one)
        _run(probe, reference, name, seed, Doubter, script=other)
        pairs = zip(one.asked, other.asked, strict=False)
        count = sum(1 for _ in itertools.takewhile(lambda pair: identical(*pair), pairs))
        whole = count == len(one.asked) == len(other.asked)
        ends = all(
            _run(probe, reference, name, seed, script=_Notes(raises)).operations == raises + 1
            for raises in range(count)
        )
    return Certain(None if whole else count, ends)


class _Notes:
    """Takes down what a probe asks, as it was then; raises at one operation, if it should."""

    def __init__(self, raises: int | None = None) -> None:
        self.asked: list[Any] = []
        self._raises = raises
        self._answers: dict[Any, int] = {}

    def asks(self, operation: Operation) -> None:
        if len(self.asked) == self._raises:
            raise Failure(Verdict.ERROR, "no", kinds=("ArithmeticError", "Exception"))
        args = [self._argument(value) for value in operation.args]
        kwargs = {key: self._argument(value) for key, value in operation.kwargs.items()}
        self.asked.append([operation.target, operation.attribute, args, kwargs])

    def answers(self, value: Any) -> None:
        if type(value) is np.ndarray:
            self._answers[content(value)] = len(self.asked) - 1

    def _argument(self, value: Any) -> Any:
        """An argument; of an array that came as an answer before, only which."""
        number = self._answers.get(content(value)) if type(value) is np.ndarray else None
        return _mapped(_copied, value) if number is None else ("an answer", number)


_ENOUGH = 10_000


class Doubter(Witness):
    """A witness that changes all plain data that comes back."""

    def _answered(self, value: Any, text: str) -> Any:
        if self._run.operations > _ENOUGH:
            raise RuntimeError("a probe that would not end with answers like these")
        return super()._answered(_mapped(_changed, value), text)


def _mapped(change: Callable[[Any], Any], value: Any) -> Any:
    """Plain data of the same form, with each leaf changed."""
    if isinstance(value, (list, tuple)):
        return type(value)([_mapped(change, item) for item in value])
    if isinstance(value, dict):
        return {key: _mapped(change, item) for key, item in value.items()}
    return change(value)


def _copied(value: Any) -> Any:
    """The same, as it is now."""
    return value.copy() if isinstance(value, np.ndarray) else value


def _changed(value: Any) -> Any:
    """Another number, or other numbers in an array like it; anything else as it is."""
    if isinstance(value, (bool, np.bool_)):
        return not value
    if isinstance(value, (int, np.integer)):
        return value + 1
    if isinstance(value, (float, complex, np.inexact)):
        return value * 1.01 + 0.001
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
        return (~value if value.dtype.kind == "b" else value * 1.01 + 1).astype(value.dtype)
    return value


# --- comparing -------------------------------------------------------------------------------


def _findings(
    exercise: Exercise,
    probes: Sequence[Probe],
    runs: dict[str, Run],
    expected: Sequence[Run],
    seed: Seed,
) -> tuple[Finding, ...]:
    """What came of each probe, with its diagnosis."""
    pairs = list(zip(probes, expected, strict=True))
    if all(e.seen is not None and runs[p.name] is e for p, e in pairs):
        return tuple(Finding.of(p, Verdict.PASS) for p in probes)
    with _captured():  # what our own code says is not for the student
        findings = [_finding(exercise, p, runs[p.name], e) for p, e in pairs]
        failed = {f.probe for f in findings if f.verdict in (Verdict.WRONG, Verdict.ERROR)}
        passed = {f.probe for f in findings if f.verdict is Verdict.PASS}
        causes = _diagnose(exercise, probes, runs, expected, failed, passed, seed)
    return tuple(f.diagnosed(causes.get(f.probe)) for f in findings)


def _finding(exercise: Exercise, probe: Probe, run: Run, expected: Run) -> Finding:
    if expected.seen is None:
        assert expected.failure is not None
        said = ": ".join([*expected.failure.kinds[:1], expected.failure.message])
        what = f"the reference itself failed in the probe {probe.name} ({said})"
        return Finding.of(probe, Verdict.INTERNAL, what)
    if run is expected:
        return Finding.of(probe, Verdict.PASS)
    if run.failure is not None:
        return _failed(exercise, probe, run, expected)
    assert run.seen is not None
    for name, value in expected.seen.items():
        if found := difference(value, run.seen.get(name), exercise.tolerance):
            cause = _structure(exercise, run, expected)
            sentence = cause or f"{name}: {found.sentence}"
            return Finding.of(probe, Verdict.WRONG, sentence, None if cause else found.where)
    if strange := _objects(run, expected):
        return Finding.of(probe, Verdict.WRONG, strange)
    return Finding.of(probe, Verdict.PASS)


def _objects(run: Run, expected: Run) -> str:
    """The first call that gave an object where the reference gives plain data; empty if none.

    An object answers the probe's questions as it likes; it may have the right mean and no table.
    """
    for mine, theirs in zip(run.calls, expected.calls, strict=False):
        data = theirs.returned and theirs.result is not None and _is_data(theirs.result)
        if data and mine.returned and not _is_data(mine.result):
            got, wanted = describe(mine.result), describe(theirs.result)
            if not isinstance(mine.result, (list, tuple, dict)):
                return f"{mine.text} returned {got} where {wanted} is expected"
            what = describe(_no_data(mine.result))
            return (
                f"{mine.text} returned {got} with {what} in it, where only plain data may be: "
                "numbers, strings, arrays, lists, tuples, dicts"
            )
    return ""


def _no_data(value: Any) -> Any:
    """The first part of a list, tuple or dict that is not plain data."""
    parts = value.values() if isinstance(value, dict) else value
    part = next(part for part in parts if not _is_data(part))
    return _no_data(part) if isinstance(part, (list, tuple, dict)) else part


def _is_data(value: Any) -> bool:
    """Whether a value is plain data through and through."""
    if isinstance(value, (list, tuple)):
        return all(map(_is_data, value))
    if isinstance(value, dict):
        return all(map(_is_data, value.values()))
    return _is_plain(value)


def _failed(exercise: Exercise, probe: Probe, run: Run, expected: Run) -> Finding:
    """The finding when a probe could not finish on the answer."""
    failure = run.failure
    assert failure is not None
    if not failure.kinds:
        return Finding.of(probe, failure.verdict, failure.message)
    call = run.calls[-1] if run.calls else Call(exercise.name)
    if failure.kinds[0] == "NotImplementedError":
        what = f"{call.name} is not written yet: it still raises NotImplementedError"
        return Finding.of(probe, Verdict.MISSING, what)
    # An earlier call may have given something that nobody could go on with.
    if cause := _structure(exercise, run, expected):
        return Finding.of(probe, Verdict.WRONG, cause)
    message = _short(failure.message)
    if failure.kinds[0] == "SystemExit":
        message = "exit() ends the whole program; use return"
    said = failure.kinds[0] + (f": {message}" if message else "")
    if not call.found and failure.kinds[0] == "AttributeError" and not failure.traceback:
        return Finding.of(probe, Verdict.MISSING, f"there is no {call.name}: is it written yet?")
    where = f", in {line}" if (line := _line(failure.traceback)) else ""
    if failure.kinds[0] == "KeyError" and message in _lacking(run, expected):
        what = f"{call.text} returned a dict without the key {message}"
    elif call.returned:
        what = f"{call.text} returned {describe(call.result)}, and then came {said}{where}"
    else:
        what = f"{call.text} raised {said}{where}{_asks(said)}"
    return Finding.of(probe, failure.verdict, what)


# What beginners meet most, and what its message does not say.
_ASKS = (
    (r"NameError: name 'self' is not", "is `self` the first parameter?"),
    (r"NameError: ", "is it spelled right, and does a cell before this one define it?"),
    (
        r"TypeError: \S+(?<!<locals>)\.\w+\(\) takes \d+ positional arguments? but \d+ w",
        "does it take `self`, and all that it is given?",
    ),
    (r"ValueError: matmul: .* mismatch", "`A @ B` needs as many columns in A as B has rows"),
    (
        r"ValueError: operands could not be broadcast together",
        "shapes are compared from the last axis on: is `keepdims=True` missing, or does a vector "
        "meet the wrong axis?",
    ),
    (
        r"ValueError: The truth value of an array",
        "`if`, `and`, `or` and `max` ask about a single number; entry by entry there are "
        "`np.where`, `&`, `|` and `np.maximum`",
    ),
)


def _asks(said: str) -> str:
    """What to look for after an exception, to follow its message; empty for most."""
    return next((f": {asks}" for pattern, asks in _ASKS if re.match(pattern, said)), "")


def _lacking(run: Run, expected: Run) -> list[str]:
    """The keys, as they are written, that the last call's dict does not have and should."""
    if not 0 < len(run.calls) <= len(expected.calls):
        return []
    mine, theirs = run.calls[-1].result, expected.calls[len(run.calls) - 1].result
    if not isinstance(mine, dict) or not isinstance(theirs, dict):
        return []
    return [repr(key) for key in theirs if key not in mine]


def _structure(exercise: Exercise, run: Run, expected: Run) -> str:
    """The first call that returned the wrong kind of thing: None, another type, shape or dtype.

    It explains a failing probe better than the observation that went wrong because of it. Empty
    when there is none.
    """
    for mine, theirs in zip(run.calls, expected.calls, strict=False):
        if not (mine.returned and theirs.returned):
            continue
        got, wanted = mine.result, theirs.result
        if wanted is None:  # `return self` where nothing is asked does no harm
            continue
        if not _is_plain(wanted):
            # What nobody used, such as the result of `fit`, did no harm.
            stuck = run.failure is not None and mine is run.calls[-1]
            if not (stuck and got is None):
                continue
        elif isinstance(got, np.ndarray) and isinstance(wanted, np.ndarray):
            if got.shape == wanted.shape and got.dtype == wanted.dtype:
                continue
        elif isinstance(got, (list, tuple)) and isinstance(wanted, (list, tuple)):
            if len(got) == len(wanted):  # a list is unpacked like a tuple
                continue
        elif type(got) is type(wanted):
            continue
        if found := difference(wanted, got, exercise.tolerance):
            asks = ": is there a `return`?" if got is None else ""
            return f"{mine.text} returned {_returned(found.sentence)}{asks}"
    return ""


def _returned(sentence: str) -> str:
    """The sentence of a difference, to follow the word "returned"."""
    for opening, noun in (
        ("it is ", ""),
        ("its shape is ", "an array of shape "),
        ("its dtype is ", "an array of dtype "),
    ):
        if sentence.startswith(opening):
            return noun + sentence.removeprefix(opening)
    return f"something else: {sentence}"


def _missing(exercise: Exercise, probes: Sequence[Probe], implementation: Any) -> Report:
    verdict = Verdict.MISSING
    if implementation is None:
        what = f"there is no {exercise.name}: define it, and run its cell before this one"
    elif isinstance(implementation, Failure):
        verdict, what = implementation.verdict, implementation.message
    else:
        what = (
            f"{exercise.name} is {describe(implementation)}, not a function or a class: was it "
            "called, or its name used for something else?"
        )
    return Report(
        exercise=exercise.name,
        findings=tuple(Finding.of(p, verdict, what) for p in probes),
        points=exercise.points,
        unseen=len(exercise.probes) - len(probes),
    )


def where_it_was(interrupt: KeyboardInterrupt) -> str:
    """Where an answer was when somebody stopped it, as the end of a sentence; empty in our code."""
    line = _line(_where(interrupt))
    return f" in {line}: does what it repeats come to an end?" if line else ""


# --- diagnosing ------------------------------------------------------------------------------


def _diagnose(
    exercise: Exercise,
    probes: Sequence[Probe],
    runs: dict[str, Run],
    expected: Sequence[Run],
    failed: set[str],
    passed: set[str],
    seed: Seed,
) -> dict[str, Diagnosis]:
    """For each failed probe, the known mistake that shows the same, where there is one.

    A mistake that agrees with the answer on every probe explains all of it. Otherwise the answer
    may hold several mistakes: those that fail nothing which the answer passed are taken one by
    one, the one that explains most first. One that explains no more than half of it, and shows
    something else in the rest, may agree by chance: it is only a guess.

    The kind of an exception alone says little: many things are a ValueError. By itself it explains
    nothing, unless it says the same, too. Even then a ValueError says little, such as that shapes
    do not fit; so does a no where a yes is expected, or infinity where a number is. A mistake must
    show the same in one of the probes that tell more, if there are any.
    """
    causes: dict[str, Diagnosis] = {}
    if not failed:
        return causes
    telling = {
        p.name
        for p, e in zip(probes, expected, strict=True)
        if p.name in failed and _tells(exercise, runs[p.name], e)
    }
    shown = {name: _kind(runs[name]) for name in failed} | dict.fromkeys(passed, ())
    agreeing: list[tuple[Diagnosis, set[str]]] = []
    for mistake in exercise.mistakes:
        alike = _alike(exercise, mistake, probes, shown)
        agrees, sure = set(), set()
        for probe in alike:
            known = _run(probe, mistake.implementation, exercise.name, seed)
            run = runs[probe.name]
            if _same(exercise, known, run):
                agrees.add(probe.name)
                if _said_by(known) == _said_by(run):
                    sure.add(probe.name)
            elif probe.name in passed:
                break
        if len(agrees) == len(probes) and sure:
            return dict.fromkeys(failed, Diagnosis.of(mistake))
        if sure & (telling or failed) and passed <= agrees:
            others = [p for p in probes if p.name in failed - agrees]
            guessed = 2 * len(others) >= len(failed) and any(
                _fails(exercise, mistake, p) for p in others
            )
            agreeing.append((Diagnosis.of(mistake, guessed=guessed), sure & failed))
    while left := failed - causes.keys():
        best = max(agreeing, key=lambda pair: len(pair[1] & left), default=None)
        if best is None or not best[1] & left:
            break
        causes.update(dict.fromkeys(best[1] & left, best[0]))
    return causes


def _alike(
    exercise: Exercise,
    mistake: Mistake,
    probes: Sequence[Probe],
    shown: dict[str, tuple[str, ...]],
) -> list[Probe]:
    """The probes in which a mistake may do what an answer did, those that it passed first.

    None if it fails what the answer passed, or fails otherwise wherever the answer does. Most
    mistakes are out by this, and need not run again for every student.

    Args:
        shown: what came of the answer in each probe, as of a mistake (see `_outcome`); a probe
            that could not finish for other reasons is not there.
    """
    passed = {probe for probe in probes if shown.get(probe.name) == ()}
    outcomes: dict[Probe, tuple[str, ...]] = {}
    for probe in sorted(probes, key=lambda p: p not in passed):
        outcome = _fails(exercise, mistake, probe)
        if outcome and probe in passed:
            return []
        outcomes[probe] = outcome
    if not any(outcomes.values()):  # it shows only now and then, or in a probe that is hidden
        return list(outcomes)
    alike = [probe for probe, outcome in outcomes.items() if outcome == shown.get(probe.name)]
    return alike if len(alike) > len(passed) else []


def _fails(exercise: Exercise, mistake: Mistake, probe: Probe) -> tuple[str, ...]:
    """What comes of a mistake in a probe of its exercise; empty where it passes."""
    return _outcome(
        probe, mistake.implementation, exercise.reference, exercise.name, exercise.tolerance
    )


@functools.cache
def _outcome(
    probe: Probe,
    mistake: Implementation,
    reference: Implementation,
    name: str,
    tolerance: Tolerance,
    seed: Seed = 0,
) -> tuple[str, ...]:
    """What comes of a mistake in a probe: as `_kind`, and nothing where it passes.

    It is the same for all seeds; the tests of the catalogue see to that.
    """
    known, expected = (_run(probe, each, name, seed) for each in (mistake, reference))
    if known.seen is not None and expected.seen is not None and _agree(expected, known, tolerance):
        return ()
    return _kind(known)


def _kind(run: Run) -> tuple[str, ...]:
    """What kind of failure it is when a run fails: the exception's classes, or a wrong result."""
    return run.failure.kinds if run.failure is not None else (Verdict.WRONG.value,)


def _same(exercise: Exercise, known: Run, run: Run) -> bool:
    """Did the two runs see the same, exceptions included?"""
    if known.failure is not None or run.failure is not None:
        return (
            known.failure is not None
            and run.failure is not None
            and known.failure.kinds == run.failure.kinds
            and bool(known.failure.kinds)
            and _same_end(exercise, known, run)
        )
    return _same_lengths(known, run) and _agree(known, run, exercise.tolerance)


def _agree(known: Run, run: Run, tolerance: Tolerance) -> bool:
    """Did a probe that finished see in a run what it saw in a known one, and no objects instead?"""
    assert known.seen is not None
    assert run.seen is not None
    return not _objects(run, known) and all(
        difference(value, run.seen.get(name), tolerance) is None
        for name, value in known.seen.items()
    )


def _same_lengths(known: Run, run: Run) -> bool:
    """Did the calls of two runs return as many values? A probe may not look at all of them."""
    return all(
        _as_long(mine.result, theirs.result)
        for mine, theirs in zip(run.calls, known.calls, strict=False)
    )


def _as_long(mine: Any, theirs: Any) -> bool:
    """Whether two lists, or those under the same keys of two dicts, are equally long."""
    if isinstance(mine, dict) and isinstance(theirs, dict):
        return all(_as_long(mine[key], theirs[key]) for key in mine.keys() & theirs.keys())
    if isinstance(mine, (list, tuple)) and isinstance(theirs, (list, tuple)):
        return len(mine) == len(theirs)
    return True


def _tells(exercise: Exercise, run: Run, expected: Run) -> bool:
    """Did a failed probe see more than a ValueError, a no for a yes, a word, or infinity?"""
    if run.failure is not None:
        return "ValueError" not in run.failure.kinds[:1]
    if run.seen is None or expected.seen is None:
        return True
    return any(
        difference(value, run.seen.get(name), exercise.tolerance) is not None
        for name, value in expected.seen.items()
        if not isinstance(value, (bool, np.bool_, str))
        and (_is_infinite(value) or not _is_infinite(run.seen.get(name)))
    )


def _is_infinite(value: Any) -> bool:
    """Is it a number, but not a finite one?"""
    return isinstance(value, (float, np.floating)) and not math.isfinite(value)


def _said_by(run: Run) -> str:
    """What the exception says that ended a run; empty where none did."""
    return run.failure.message if run.failure is not None else ""


def _same_end(exercise: Exercise, known: Run, run: Run) -> bool:
    """Did the two runs break off at the same call, after it gave the same?"""
    if not known.calls or not run.calls:
        return not known.calls and not run.calls
    mine, theirs = run.calls[-1], known.calls[-1]
    if (mine.text, mine.returned) != (theirs.text, theirs.returned):
        return False
    if not _is_plain(theirs.result) or not _is_plain(mine.result):
        return _is_plain(theirs.result) == _is_plain(mine.result)
    return difference(theirs.result, mine.result, exercise.tolerance) is None
