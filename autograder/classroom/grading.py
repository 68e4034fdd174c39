"""Grading one submission, in a worker of its own.

The student's cells run in the worker. The graded cells run here, as the instructor wrote them; in
them, the names that students define are handles on the worker, and all others are ours.
"""

from __future__ import annotations

import builtins
import contextlib
import copy
import functools
import importlib.util
import itertools
import json
import numbers
import re
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import orjson

import autograder
from autograder import graded_seed
from autograder.answers import Answers, notebook_answers
from autograder.chapters import UnknownExercise
from autograder.classroom import cells
from autograder.classroom.secret import seed
from autograder.classroom.session import Session
from autograder.classroom.submissions import (
    UNREAD,
    Assignment,
    Entry,
    Given,
    Role,
    Submission,
    Worksheet,
    definitions,
    worksheet,
)
from autograder.report import Report, number, printable
from autograder.sandbox.notebook import needs_ipython
from autograder.sandbox.pool import CellResult, Pool
from autograder.sandbox.remote import NOT_PLAIN, Remote
from autograder.sandbox.replies import MAX_MESSAGE
from autograder.sandbox.wire import to_json
from autograder.verdict import Failure, Lost, Verdict

Node = dict[str, Any]
"""A part of a notebook as JSON has it: what is only written needs no more, and no validation."""


@dataclass(frozen=True)
class CellGrade:
    """What one graded cell earned.

    Attributes:
        grade_id: the cell's name in nbgrader.
        exercise: what it graded; the grade_id where the cell has no report.
        points: what it is worth.
        score: the points earned; None when a person has to say, or when we failed.
        verdict: PASS, or what went wrong; empty for an answer that a person grades.
        headline: what went wrong, in one line.
        report: the report as plain data; None when there is none.
    """

    grade_id: str
    exercise: str
    points: float
    score: float | None
    verdict: str = ""
    headline: str = ""
    report: dict[str, Any] | None = None

    @property
    def to_mend(self) -> bool:
        """Whether it is open for a fault of the graded cell's, which stays until it is mended."""
        return self.verdict == Verdict.INTERNAL and self.headline.startswith(_GRADED_CELL)


# How a sentence begins that tells instructors of a fault of theirs.
_GRADED_CELL = "the graded cell "


@dataclass(frozen=True)
class Graded:
    """What became of a submission.

    Attributes:
        student: the student's id.
        assignment: the assignment's name.
        digest: SHA-256 of what was graded.
        grades: one for each cell that carries points, in the order of the notebook.
        repairs: what had to be put in order, as sentences.
        problem: why it could not be read; empty when it could.
        notebook: the notebook as graded, as JSON text; empty when there is none.
        walls: the names of the walls that could not be raised.
        seconds: how long it took.
        line: all that was decided, as JSON, where the reports are not whole (see `kept`).
    """

    student: str
    assignment: str
    digest: str
    grades: tuple[CellGrade, ...]
    repairs: tuple[str, ...] = ()
    problem: str = ""
    notebook: str = ""
    walls: tuple[str, ...] = ()
    seconds: float = 0.0
    line: bytes = b""

    @property
    def score(self) -> float:
        """The points earned so far: what a person grades is not in it yet."""
        return sum(g.score or 0.0 for g in self.grades)

    @property
    def points(self) -> float:
        """What the assignment is worth."""
        return sum(g.points for g in self.grades)

    @property
    def blocked(self) -> bool:
        """Whether a grade is missing because we failed, not the student."""
        return any(g.verdict == Verdict.INTERNAL for g in self.grades)

    @property
    def worth_another_try(self) -> bool:
        """Whether a grade is missing that another run might find."""
        return any(g.verdict == Verdict.INTERNAL and not g.to_mend for g in self.grades)

    @property
    def headline(self) -> str:
        """What to tell first: the problem, or the first thing that went wrong."""
        wrong = next((g for g in self.grades if g.verdict not in ("", Verdict.PASS)), None)
        said = self.problem or (f"{wrong.exercise}: {wrong.headline}" if wrong else "")
        return printable(said)

    def to_dict(self) -> dict[str, Any]:
        """The result as plain data for JSON: what was decided, not how long it took."""
        left_out = ("notebook", "seconds", "line")
        data = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in left_out}
        grades = [dict(vars(g)) for g in self.grades]
        return {**data, "grades": grades, "score": self.score, "points": self.points}

    def to_json(self) -> bytes:
        """The same as JSON."""
        return self.line or sorted_json(self.to_dict())

    def kept(self) -> Graded:
        """What is kept of a large class: no notebook, and of reports only what explains them.

        As objects, a class of ten thousand would take a gigabyte.
        """
        grades = tuple(replace(g, report=_explained(g.report)) for g in self.grades)
        return replace(self, grades=grades, notebook="", line=self.to_json())


def _explained(report: dict[str, Any] | None) -> dict[str, Any] | None:
    return report and {key: report[key] for key in ("diagnoses", "uses") if key in report}


def sorted_json(data: Any) -> bytes:
    """Plain data as JSON, with sorted keys: what is equal gives the same bytes."""
    try:
        return orjson.dumps(data, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # a text that UTF-8 does not have
        text = json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return text.encode("utf-8", "replace")


def grade(assignment: Assignment, submission: Submission, pool: Pool, secret: bytes) -> Graded:
    """Grade one submission.

    Whatever the submission does, this returns; only what is our own fault raises.
    """
    start = time.monotonic()
    if submission.problem:
        return _unread(assignment, submission, pool)
    sheet = worksheet(assignment, submission)
    grades: dict[str, CellGrade] = {}
    shown = [_shown(entry, index) for index, entry in enumerate(sheet.entries)]
    _shorten(sheet.entries, shown)
    tests: list[tuple[Given, Node]] = []
    early: list[tuple[Given, Node]] = []
    kinds: dict[str, str] = {}
    with (
        Session(pool, large_packages(sheet.entries)) as session,
        answers_of(sheet.entries),
    ):
        _foretell(assignment, submission, sheet.entries, shown, session, secret)
        for index, (entry, cell) in enumerate(zip(sheet.entries, shown, strict=True)):
            if entry.role in (Role.STUDENT, Role.LOCKED):
                asked = _asked(assignment, sheet.entries[index + 1 :])
                ran = _run(session, entry, cell["id"], asked)
                cell["outputs"] = [_safe(o) for o in ran.outputs]
            elif entry.role is Role.TEST:
                assert entry.origin is not None
                result, cell["outputs"], kinds[entry.origin.name] = _test(
                    assignment, submission, entry.origin, session, secret
                )
                grades[result.grade_id] = result
                tests.append((entry.origin, cell))
                failed = result.verdict in (Verdict.MISSING, Verdict.ERROR) and not result.score
                if failed and _is_written(assignment.asked(entry.origin), sheet.entries):
                    early.append((entry.origin, cell))
            elif entry.role is Role.WRITTEN:
                result = _written(entry)
                grades[result.grade_id] = result
        for origin, cell in early:  # perhaps the answer stands below the cell that grades it
            result, outputs, kind = _test(assignment, submission, origin, session, secret)
            if result.score != 0:
                grades[result.grade_id], cell["outputs"] = result, outputs
                kinds[origin.name] = kind
                sheet.repairs.append(f"{result.grade_id} was above the answer; it ran at the end")
    if submission is assignment.solution:
        assignment.kinds.update(kinds)
    else:
        for origin, cell in tests:
            name, points = origin.name, origin.points
            if said := _unearnable(assignment, origin, grades[name], sheet, pool, secret):
                grades[name], cell["outputs"] = _failed(name, points, Verdict.INTERNAL, said)
            elif said := _unscored(assignment, name, kinds[name], pool, secret):
                grades[name], cell["outputs"] = _failed(name, points, Verdict.WRONG, said)
    notebook = _notebook(assignment, shown)
    return Graded(
        student=submission.student,
        assignment=assignment.name,
        digest=submission.digest,
        grades=tuple(grades[cells.grade_id(c)] for c in assignment.graded),
        repairs=tuple(sheet.repairs),
        notebook=to_json(notebook).decode("utf-8"),
        walls=tuple(pool.walls.missing),
        seconds=time.monotonic() - start,
    )


def _unearnable(
    assignment: Assignment,
    origin: Given,
    result: CellGrade,
    sheet: Worksheet,
    pool: Pool,
    secret: bytes,
) -> str:
    """Why a failure says nothing about a student, as a sentence; empty if it may.

    It says nothing where the instructor's own solution fails in the same way. Who wrote nothing
    has earned nothing all the same.
    """
    if result.score != 0 or result.verdict not in (Verdict.ERROR, Verdict.WRONG):
        return ""
    asked = assignment.asked(origin)
    if asked and not _is_written(asked, sheet.entries):
        return ""
    best = _solved(assignment, pool, secret)[origin.name]
    # What is not plain data says what it is; others' may be something else.
    same = best.headline == result.headline or (
        NOT_PLAIN in best.headline and NOT_PLAIN in result.headline
    )
    if (best.score, best.verdict) != (0, result.verdict) or not same:
        return ""
    return f"the graded cell fails with the solution, too: {result.headline}"


def _unscored(assignment: Assignment, name: str, kind: str, pool: Pool, secret: bytes) -> str:
    """Why a cell that went well earned nothing, as a sentence; empty if that is not so.

    Its last line computes the points, as it does with the solution. An answer that makes something
    else of it, a list of them, must not have them all for that.
    """
    if kind in ("", _NUMBER):
        return ""
    _solved(assignment, pool, secret)
    if assignment.kinds[name] != _NUMBER:
        return ""
    return f"the graded cell computes its points with the answer, and got no number: {kind}"


def _solved(assignment: Assignment, pool: Pool, secret: bytes) -> Mapping[str, CellGrade]:
    """What the solution earns, by `grade_id`."""
    if not assignment.solved:
        solution = grade(assignment, assignment.solution, pool, secret)
        assignment.solved.update({g.grade_id: g for g in solution.grades})
    return assignment.solved


def _unread(assignment: Assignment, submission: Submission, pool: Pool) -> Graded:
    """The grades of a submission that cannot be read: nothing, for a person to look at.

    Where the machine could not read the file, they are open: that is not the student's fault.
    Formgrader shows only what has a notebook: this one is the release, and says what happened.
    """
    why = submission.problem
    said = f"**This submission could not be graded: {harmless(why)}.**"
    shown = [_cell("problem", said, code=False)]
    shown += copy.deepcopy(list(assignment.release.cells))
    verdict = Verdict.INTERNAL if why.startswith(UNREAD) else Verdict.MISSING
    grades = []
    for cell in assignment.graded:
        grade, _ = _failed(cells.grade_id(cell), cells.points(cell), verdict, why)
        grades.append(grade)
    return Graded(
        student=submission.student,
        assignment=assignment.name,
        digest=submission.digest,
        grades=tuple(grades),
        problem=why,
        notebook=nbformat.writes(nbformat.from_dict(_notebook(assignment, shown))),
        walls=tuple(pool.walls.missing),
    )


# Packages that take long to import, and how code shows that it uses them.
_LARGE: dict[str, Callable[[str], bool]] = {
    "matplotlib": lambda code: "matplotlib" in code or "pylab" in code,
    "torch": lambda code: "torch" in code,
    "IPython": needs_ipython,
}

_spec = functools.cache(importlib.util.find_spec)


def large_packages(entries: Sequence[Entry]) -> list[str]:
    """The packages that a notebook's worker should have imported already, as its code uses them."""
    code = [e.source for e in entries if e.role in (Role.STUDENT, Role.LOCKED)]
    used = [name for name, uses in _LARGE.items() if any(map(uses, code))]
    if used:  # a warm parent for each set of them that a class needs would take longer
        used = [*dict.fromkeys((*used, "IPython"))]
    return [name for name in used if _spec(name) is not None]


def _foretell(
    assignment: Assignment,
    submission: Submission,
    entries: Sequence[Entry],
    shown: Sequence[Node],
    session: Session,
    secret: bytes,
) -> None:
    """Plan all that will be asked of the worker, so that it is done in one go."""
    plan = session.plan()
    if plan is None:
        return
    found: list[str] = []
    for index, (entry, cell) in enumerate(zip(entries, shown, strict=True)):
        if entry.role in (Role.STUDENT, Role.LOCKED):
            found = _asked(assignment, entries[index + 1 :])
            plan.cell(entry.source, cell["id"], found)
        elif entry.role is Role.TEST and entry.origin is not None:
            names = assignment.asked(entry.origin)
            if set(names) <= set(found):
                with _seeded(assignment, submission, entry.origin, secret):
                    plan.graded(names, functools.partial(cells.evaluate, entry.origin.source))
            else:
                plan.unknown()
            found = []


@contextlib.contextmanager
def _seeded(
    assignment: Assignment, submission: Submission, origin: Given, secret: bytes
) -> Iterator[None]:
    """Have `check` draw from the inputs of a student and a graded cell."""
    drawn = seed(secret, assignment.name, submission.student, origin.name)
    token = graded_seed.set(drawn)
    try:
        yield
    finally:
        graded_seed.reset(token)


@contextlib.contextmanager
def answers_of(entries: Sequence[Entry]) -> Iterator[None]:
    """Have `check` say which answers of a notebook use others that are wrong."""

    written = [entry.source for entry in entries if entry.role is Role.STUDENT]
    defines, uses = functools.cache(definitions), functools.cache(_used)  # each is read once

    def names(name: str, _: object) -> set[str]:
        return set().union(*(uses(code) for code in written if name in defines(code)))

    token = notebook_answers.set(Answers(names))
    try:
        yield
    finally:
        notebook_answers.reset(token)


def _used(code: str) -> frozenset[str]:
    """The names that a student's cell uses; none when it is nested too deep for us to see."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of strange escapes: nobody who grades wrote them
            return cells.free_names(code)
    except (RecursionError, MemoryError):
        return frozenset()


def _asked(assignment: Assignment, following: Sequence[Entry]) -> list[str]:
    """The names that a graded cell will ask for, if one is the next to run."""
    for entry in following:
        if entry.role in (Role.STUDENT, Role.LOCKED):
            break
        if entry.role is Role.TEST and entry.origin is not None:
            return assignment.asked(entry.origin)
    return []


def _is_written(names: Sequence[str], entries: Sequence[Entry]) -> bool:
    """Whether a student wrote anything in a cell that has to do with one of these names."""
    return any(
        name in entry.source
        for entry in entries
        if entry.role is Role.STUDENT
        and (entry.origin is None or entry.source.strip() != entry.origin.released.strip())
        for name in names
    )


def _run(session: Session, entry: Entry, name: str, asked: Sequence[str]) -> CellResult:
    try:
        defines = cells.defined(entry.origin.source) if entry.origin is not None else ()
        return session.run(entry.source, name, defines, asked)
    except Failure as failure:
        if failure.verdict is Verdict.INTERNAL:
            raise
        output = _error(failure.verdict, failure.message)
        return CellResult(failure.verdict, [output], failure, 0.0)


# What the last line of a graded cell may be: the points.
_NUMBER = "a number"


def _test(
    assignment: Assignment,
    submission: Submission,
    origin: Given,
    session: Session,
    secret: bytes,
) -> tuple[CellGrade, list[Node], str]:
    """Run a graded cell, here, with handles for the student's names.

    The third result says what its last line was: a number, another type's name, or nothing.
    """
    name, points = origin.name, origin.points
    start = time.monotonic()
    found: dict[str, Any] = {}
    try:
        names = assignment.asked(origin)
        with _seeded(assignment, submission, origin, secret):
            before = Lost.times
            try:
                found = session.values(names, foresee=True)
                value = _evaluated(origin.source, found)
            except KeyboardInterrupt:
                raise
            except BaseException:
                if Lost.times == before:
                    raise
            if Lost.times != before:  # whatever the cell made of it
                session.begin_again()
                session.spend(time.monotonic() - start)
                start = time.monotonic()
                found = session.values(names)
                value = _evaluated(origin.source, found)
    except Failure as failure:
        return *_failed(name, points, failure.verdict, failure.said), ""
    except AssertionError as error:
        said = str(error) or "an assertion does not hold"
        return *_failed(name, points, Verdict.WRONG, said), ""
    except (KeyboardInterrupt, Lost):
        raise
    except BaseException as error:  # SystemExit, too, and what pytest raises
        if lacks := _lacking(origin.source, error):
            return *_failed(name, points, Verdict.INTERNAL, lacks), ""
        if absent := _used_otherwise(found.values(), error):
            return *_failed(name, points, absent.verdict, absent.message), ""
        verdict = Verdict.INTERNAL if _is_ours(error) else Verdict.ERROR
        said = f"{type(error).__name__}: {error}"
        if Remote.__name__ in said:
            said += f" ({Remote.__name__}: {NOT_PLAIN})"
        return *_failed(name, points, verdict, said), ""
    finally:
        session.spend(time.monotonic() - start)
    if isinstance(value, Report):
        return *_reported(name, points, value), ""
    score, kind = points, "" if value is None else type(value).__name__
    if isinstance(value, np.ndarray) and not value.ndim:
        value = value[()]
    if isinstance(value, numbers.Real) and not isinstance(value, bool):  # NumPy's numbers, too
        kind = _NUMBER
        within: Any = min(max(value, 0.0), points)  # a whole number may be too large for a float
        score = float(within) if value == value else 0.0
    verdict = Verdict.PASS if score == points else Verdict.WRONG
    said = f"{number(score)} of {number(points)} points" if score != points else ""
    shown = _result({"text/plain": repr(score)})
    return CellGrade(name, name, points, score, verdict, said), [shown], kind


def _evaluated(source: str, found: Mapping[str, Any]) -> Any:
    """The value of a graded cell, with what the students' names stand for.

    What is not there is not defined, as in a notebook; else a cell that only looks at it might
    pass. Only for `check`, which reports it, a Failure stands in its place; and for a builtin's
    name, which would otherwise be the builtin.
    """
    missing = {name: value for name, value in found.items() if isinstance(value, Failure)}
    there = {n: v for n, v in found.items() if n not in missing or hasattr(builtins, n)}
    try:
        return cells.evaluate(source, there)
    except NameError as error:
        failure = None if isinstance(error, Failure) else missing.get(error.name or "")
        if failure is None:
            raise
    value = cells.evaluate(source, dict(found))
    if isinstance(value, Report):
        return value
    raise failure


def _used_otherwise(found: Iterable[Any], error: BaseException) -> Failure | None:
    """The failure whose use, otherwise than by a call, an exception complains of; or None.

    It stands for an answer that there is not, and a student knows nothing of it.
    """
    if not isinstance(error, (TypeError, AttributeError)) or "'Failure'" not in str(error):
        return None
    return next((value for value in found if isinstance(value, Failure)), None)


def _lacking(code: str, error: BaseException) -> str:
    """What the instructor has to add to a graded cell, as a sentence; empty if it lacks nothing."""
    if isinstance(error, ImportError):
        return f"the graded cell cannot import what it needs: {error}"
    if isinstance(error, UnknownExercise):
        return f"the graded cell checks what is no exercise: {error}"
    if isinstance(error, NameError) and error.name in cells.free_names(code):
        return (
            f"the graded cell uses {error.name}, which neither it imports nor students define; "
            "what other cells define is not there"
        )
    return ""


def _result(data: dict[str, str]) -> Node:
    """What a graded cell shows."""
    kind = "execute_result"
    return {"output_type": kind, "data": data, "metadata": {}, "execution_count": None}


def _error(verdict: Verdict, message: str) -> Node:
    """What a cell shows that failed."""
    return {
        "output_type": "error",
        "ename": verdict.value,
        "evalue": message,
        "traceback": [f"{verdict}: {message}"],
    }


_PACKAGE = Path(autograder.__file__).parent


def _is_ours(error: BaseException) -> bool:
    """Whether an exception in a graded cell came from this package, beneath the cell."""
    files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    beneath = [Path(f) for f in itertools.dropwhile(lambda f: not f.startswith("<graded"), files)]
    remote = _PACKAGE / "sandbox"  # refuses what a graded cell should not have handed over
    return any(_PACKAGE in f.parents and remote not in f.parents for f in beneath)


def _reported(name: str, points: float, report: Report) -> tuple[CellGrade, list[Node]]:
    if report.verdict is Verdict.INTERNAL:
        return _failed(name, points, Verdict.INTERNAL, report.headline)
    score = float(min(max(report.earned, 0.0), points))
    shown = _result({"text/html": report.to_html(), "text/plain": repr(score)})
    return (
        CellGrade(
            name,
            report.exercise,
            points,
            score,
            report.verdict.value,
            report.headline,
            report.to_dict(),
        ),
        [shown],
    )


def _failed(
    name: str, points: float, verdict: Verdict, message: str
) -> tuple[CellGrade, list[Node]]:
    score = None if verdict is Verdict.INTERNAL else 0.0
    message = message[:MAX_MESSAGE]  # a cell's own words may quote an answer of megabytes
    grade = CellGrade(name, name, points, score, verdict.value, message)
    return grade, [_error(verdict, message)]


def _written(entry: Entry) -> CellGrade:
    """An answer that a person grades; one that was not touched is 0, as nbgrader has it."""
    origin = entry.origin
    assert origin is not None
    # A task is answered in cells of the student's own.
    empty = origin.solution and entry.source.strip() in ("", origin.released.strip())
    return CellGrade(
        origin.name,
        origin.name,
        origin.points,
        0.0 if empty else None,
        Verdict.MISSING.value if empty else "",
        "no answer" if empty else "",
    )


# --- the notebook as graded ------------------------------------------------------------------


def _cell(name: str, source: str, *, code: bool, metadata: Node | None = None) -> Node:
    cell = {
        "cell_type": "code" if code else "markdown",
        "id": name,
        "metadata": metadata or {},
        "source": source,
    }
    return {**cell, "execution_count": None, "outputs": []} if code else cell


def _shown(entry: Entry, index: int) -> Node:
    """The cell that formgrader shows: our metadata, the student's words without their markup.

    Of a graded cell the released version is shown, because feedback must not hold hidden tests.
    """
    name, origin = f"cell-{index}", entry.origin
    if origin is None:
        code = entry.role is Role.STUDENT
        return _cell(name, entry.source if code else harmless(entry.source), code=code)
    code = origin.code or entry.role is Role.STUDENT
    if entry.role is Role.TEST:
        source = origin.released
    elif code:
        source = entry.source
    else:
        source = _MARK_SCHEME.sub("", entry.source) if origin.locked else harmless(entry.source)
    return _cell(origin.id or name, source, code=code, metadata=origin.metadata)


# The lines around what only the person who grades needs; Markdown takes them for headings.
_MARK_SCHEME = re.compile(r"^### (?:BEGIN|END) MARK SCHEME *\n?", re.MULTILINE)

# What a browser or MathJax might obey in Markdown: tags, autolinks and character references;
# links to anything but pages, and pictures from elsewhere; MathJax's ways to HTML.
_MATHJAX = "href|url|style|class|cssId|data|require|unicode|csname|mmlToken|bbox"
_OBEYED = (
    (re.compile(r"<(?=[A-Za-z!/?])"), "< "),
    (re.compile(r"&(?=[A-Za-z#])"), "& "),
    (re.compile(r"!(?=\[)"), "! "),
    (re.compile(r"\](?=\((?!\s*(?:https?://|mailto:|#)))"), "] "),
    (re.compile(r"\](?=:(?!\s*(?:https?://|mailto:|#)))"), "] "),
    (re.compile(rf"\\(?=(?:{_MATHJAX})(?![A-Za-z]))"), "\\\\ "),
)


def harmless(text: str) -> str:
    """A student's Markdown, whose markup a browser shows and does not obey.

    Each sign that would begin something active is kept, and a space behind it takes its meaning.
    """
    for sign, apart in _OBEYED:
        text = sign.sub(apart, text)
    return text


# What pages show of a student's cells. nbgrader's colour code and set Markdown in a time that may
# grow with the square of what was made for it, with the cube of blank lines. The largest notebook
# of the course has 26,000 characters.
_LONGEST_CELL, _LONGEST_LINE, _MOST_BLANK_LINES, _LONGEST = 20_000, 1_000, 20, 100_000


def _shorten(entries: Sequence[Entry], shown: Sequence[Node]) -> None:
    """Cut what students wrote where a page of it would take too long to be made."""
    left = _LONGEST
    for entry, cell in zip(entries, shown, strict=True):
        if entry.role in (Role.STUDENT, Role.TEXT, Role.WRITTEN):
            code = cell["cell_type"] == "code"
            text = legible(cell["source"]) if code else cell["source"]
            more = len(text) - min(left, _LONGEST_CELL)
            if more > 0:
                sign = "# " if code else "\n"
                text = f"{text[:-more]}\n{sign}… ({more:,} characters more are not shown)"
            cell["source"] = text
            left = max(0, left - len(text))


def legible(code: str) -> str:
    """A student's code, without what is too much in a line, or of blank lines."""
    given, lines, blank = code.splitlines(), [], 0
    for line in given:
        blank = 0 if line.strip() else blank + 1
        if blank <= _MOST_BLANK_LINES:
            long = len(line) > _LONGEST_LINE
            lines.append(f"{line[:_LONGEST_LINE]} # …" if long else line)
    return code if lines == given else "\n".join(lines)


def _safe(output: Node) -> Node:
    """A student's output as text and pixels only: nothing that a browser would run."""
    kept = ("text/plain", "image/png")
    if "data" in output:
        output = {**output, "data": {k: v for k, v in output["data"].items() if k in kept}}
        output["metadata"] = {}
    return output


def _notebook(assignment: Assignment, shown: list[Node]) -> Node:
    seen: set[str] = set()
    for index, cell in enumerate(shown):
        while cell["id"] in seen:
            cell["id"] = f"cell-{index}-{len(seen)}"
        seen.add(cell["id"])
        for output in cell.get("outputs", ()):
            if output["output_type"] == "execute_result":
                output["execution_count"] = None
    metadata = assignment.source.metadata
    return {"cells": shown, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
