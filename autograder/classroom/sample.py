"""A sample class, made from the catalogue, with the score that each submission deserves.

It stands in for a real class wherever one is needed: to try the tools, to prove the grader from the
notebook to the gradebook, and to measure. It is the same class each time it is made.
"""

from __future__ import annotations

import ast
import copy
import inspect
import json
import shlex
import shutil
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from autograder.chapters import chapter
from autograder.classroom import cells
from autograder.classroom.release import (
    CONFIG,
    CourseError,
    course_config,
    generate,
    source_path,
)
from autograder.classroom.submissions import Assignment
from autograder.exercise import Chapter, Exercise, Implementation

DESERVED = "deserved.json"
"""The file of a sample class that holds what each submission deserves; it marks the folder ours."""

NAMES = """
ada alan alonzo amalie andrey annie barbara carl cecilia daniel donald edsger emmy evelyn frances
george grace hedy henri hypatia ida john joan kathleen katherine kurt leonhard lise maria mary
maryam niels noether olga paul pierre radia rosalind rozsa sofia sophie srinivasa stephen thomas
ursula vera wang xiaotian yuri zhang
""".split()


@dataclass(frozen=True)
class Sample:
    """One submission.

    Attributes:
        student: the student's id.
        what: what it is, as a sentence.
        data: the bytes of the notebook; None when there is none.
        deserved: the points it deserves, by exercise.
        honest: whether it is an ordinary notebook, which any grader should grade alike.
    """

    student: str
    what: str
    data: bytes | None
    deserved: Mapping[str, float]
    honest: bool = True


@dataclass
class Draft:
    """A submission in the making: the release, filled in."""

    subject: Chapter
    source: NotebookNode
    notebook: NotebookNode
    deserved: dict[str, float] = field(default_factory=dict)

    def cell(self, exercise: Exercise) -> NotebookNode:
        """The cell in which an exercise is written."""
        return next(
            mine
            for mine, ours in zip(self.notebook.cells, self.source.cells, strict=True)
            if cells.is_solution(ours)
            and ours.cell_type == "code"
            and exercise.name in cells.defined(ours.source)
        )

    def index(self, exercise: Exercise) -> int:
        """Where the cell of an exercise is."""
        return list(self.notebook.cells).index(self.cell(exercise))

    def write(self, exercise: Exercise, implementation: Implementation, points: float) -> None:
        """Hand in an implementation for an exercise."""
        self.cell(exercise).source = as_answer(implementation, exercise.name)
        self.deserved[exercise.name] = points

    def right(self, exercise: Exercise, style: int = 0) -> None:
        """Hand in a right answer, in one of the styles that the catalogue has."""
        styles = (exercise.reference, *exercise.alternatives)
        self.write(exercise, styles[style % len(styles)], exercise.points)

    def all_right(self, style: int = 0) -> None:
        """Hand in right answers for everything."""
        for exercise in self.subject.exercises:
            self.right(exercise, style)

    def replace(self, answers: Mapping[str, str]) -> None:
        """Hand in other code for some exercises, by their names."""
        for exercise in self.subject.exercises:
            if exercise.name in answers:
                self.cell(exercise).source = answers[exercise.name]

    def surround(self, above: str = "", below: str = "") -> None:
        """Put a cell of the student's own behind the first code cell, and one at the end."""
        found = self.notebook.cells
        if above:
            place = next(i for i, c in enumerate(found) if c.cell_type == "code") + 1
            found.insert(place, nbformat.v4.new_code_cell(above, id="above"))
        if below:
            found.append(nbformat.v4.new_code_cell(below, id="below"))

    def explain(self) -> None:
        """Write something for the answers that a person grades."""
        for mine, ours in zip(self.notebook.cells, self.source.cells, strict=True):
            if cells.is_written(ours):
                mine.source = (
                    "The statistics must come from the training rows only. Otherwise the test rows "
                    "take part in the preparation, and the estimate is too good, if only a little."
                )


def as_answer(implementation: Implementation, name: str) -> str:
    """The code of a function or class as a student's answer: under its name, without docstring.

    Raises:
        ValueError: it is no function or class with source code, which a student could hand in.
    """
    try:
        definition = ast.parse(textwrap.dedent(inspect.getsource(implementation))).body[0]
    except (OSError, TypeError, SyntaxError):
        definition = ast.Pass()
    if not isinstance(definition, (ast.FunctionDef, ast.ClassDef)):
        raise ValueError(f"{implementation!r} is no function or class with source code")
    definition.decorator_list = []
    definition.name = name
    if ast.get_docstring(definition) and len(definition.body) > 1:
        definition.body = definition.body[1:]
    return ast.unparse(definition)


def sample_class(course: Path, slug: str) -> list[Sample]:
    """The sample submissions of a chapter."""
    assignment = Assignment.load(course, slug)
    subject = chapter(slug)
    names = iter(NAMES)
    samples = []
    for what, honest, recipe in _recipes(subject):
        draft = Draft(
            subject,
            assignment.source,
            copy.deepcopy(assignment.release),
            {e.name: 0.0 for e in subject.exercises},
        )
        data = recipe(draft)
        samples.append(Sample(next(names), what, data, draft.deserved, honest))
    return samples


def write_sample_class(course: Path, folder: Path, slugs: list[str]) -> int:
    """Make a course directory with the sample class in ``submitted/``; returns its size.

    Raises:
        CourseError: the folder holds something else.
    """
    course_config(course)
    if folder.is_dir() and any(folder.iterdir()) and not (folder / DESERVED).is_file():
        raise CourseError(f"{folder} is not empty, and not a sample class: name another folder")
    if folder.resolve() in (course.resolve(), *course.resolve().parents):
        raise CourseError(f"{folder} holds the course that it would be made of: name another one")
    if folder.is_dir():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    # Also of one that is stopped halfway it is to be seen that it may be made anew.
    (folder / DESERVED).write_text("{}\n", encoding="utf-8")
    shutil.copyfile(course / CONFIG, folder / CONFIG)
    deserved: dict[str, dict[str, object]] = {}
    total = 0
    for slug in slugs:
        target = folder / "solutions" / slug
        target.mkdir(parents=True)
        shutil.copyfile(source_path(course, slug), target / source_path(course, slug).name)
        generate(folder, slug)
        deserved[slug] = {}
        for sample in sample_class(course, slug):
            place = folder / "submitted" / sample.student / slug
            place.mkdir(parents=True)
            if sample.data is not None:
                (place / f"{slug}.ipynb").write_bytes(sample.data)
            deserved[slug][sample.student] = {
                "what": sample.what,
                "honest": sample.honest,
                "deserved": dict(sample.deserved),
            }
            total += 1
    text = json.dumps(deserved, indent=1, ensure_ascii=False)
    (folder / DESERVED).write_text(text + "\n", encoding="utf-8")
    return total


def compare_with_deserved(folder: Path, slug: str) -> list[str]:
    """Where the grades of a sample class are not what was deserved, as sentences.

    Raises:
        CourseError: the class is not there, or not graded.
    """
    named = shlex.quote(str(folder))
    try:
        deserved = json.loads((folder / DESERVED).read_text(encoding="utf-8"))[slug]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise CourseError(
            f"{folder} is not a sample class of {slug} ({type(error).__name__}: {error}): make one "
            f"first, with `autograder sample-class {named}`"
        ) from error
    try:
        graded = json.loads((folder / "grades" / f"{slug}.json").read_text(encoding="utf-8"))
        found = {
            s["student"]: {g["exercise"]: g["score"] for g in s["grades"]}
            for s in graded["submissions"]
        }
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise CourseError(
            f"{folder} is not a graded sample class of {slug} ({type(error).__name__}: {error}): "
            f"grade it first, with `autograder grade --course {named}`"
        ) from error
    faults = []
    for student, sample in deserved.items():
        if student not in found:
            faults.append(f"{student} ({sample['what']}) was not graded")
            continue
        for exercise, points in sample["deserved"].items():
            scores = found[student]
            score = scores.get(exercise, scores.get(f"test_{exercise}"))
            if score != points:
                faults.append(
                    f"{student} ({sample['what']}) earned {score} for {exercise}, deserves {points}"
                )
    return faults


# --- the recipes -----------------------------------------------------------------------------

Recipe = Callable[[Draft], bytes | None]


def _recipes(subject: Chapter) -> Iterator[tuple[str, bool, Recipe]]:
    """What is in the class: a sentence, whether it is an ordinary notebook, and how it is made."""
    first, last = subject.exercises[0], subject.exercises[-1]
    second = subject.exercises[min(1, len(subject.exercises) - 1)]
    yield "everything right, as in the solution", True, _solution
    for style in (1, 2, 3):
        yield f"everything right, in style {style}", True, _right(style)
    yield "everything right, with prints, a warning, a magic and a plot", True, _noisy
    yield "everything right, but no written answer", True, _unexplained
    # One mistake each, from every exercise in turn.
    lists = [(e, iter(e.mistakes)) for e in subject.exercises]
    for _, (exercise, mistakes) in zip(range(12), cycle(lists), strict=False):
        mistake = next(mistakes, None)
        if mistake is not None:
            yield f"one mistake: {mistake.name}", True, _mistaken({exercise.name: mistake.name})
    yield "a mistake in two exercises", True, _mistaken(_last_mistakes(subject, 2, 1))
    yield "a mistake in three exercises", True, _mistaken(_last_mistakes(subject, 3, 2))
    yield "a mistake in every exercise", True, _mistaken(_last_mistakes(subject, 99, 3))
    yield "unfinished: the first exercise only", True, _unfinished(1)
    yield "unfinished: the last exercise is empty", True, _unfinished(-1)
    yield "nothing filled in", True, _empty
    yield f"a syntax error in {second.name}", True, _broken(second, "def oops(:\n    return 1")
    yield "a cell of the student's own raises", True, _raising(first)
    yield f"{last.name} raises for every input", True, _broken(last, _always_raises(last))
    yield f"the graded cell of {second.name} was deleted", False, _without_test(second)
    yield f"the cell of {second.name} was deleted", False, _without_answer(second)
    yield "an editor took all metadata and cell ids away", False, _stripped
    yield f"{first.name} never ends", False, _endless(first)
    yield f"{first.name} ends the interpreter", False, _exiting(first)
    yield "the file was cut off on the way", False, _truncated
    yield "there is no notebook", False, _absent


def _dump(draft: Draft) -> bytes:
    return str(nbformat.writes(draft.notebook)).encode("utf-8")


def _solution(draft: Draft) -> bytes:
    for mine, ours in zip(draft.notebook.cells, draft.source.cells, strict=True):
        if cells.is_solution(ours) and ours.cell_type == "code":
            mine.source = "\n".join(line for line in ours.source.split("\n") if "### " not in line)
    draft.deserved.update({e.name: e.points for e in draft.subject.exercises})
    draft.explain()
    return _dump(draft)


def _right(style: int) -> Recipe:
    def recipe(draft: Draft) -> bytes:
        draft.all_right(style)
        draft.explain()
        return _dump(draft)

    return recipe


def _noisy(draft: Draft) -> bytes:
    draft.all_right(1)
    draft.explain()
    code = (
        "%matplotlib inline\n"
        "import warnings\n"
        "import matplotlib.pyplot as plt\n"
        "print('trying things out')\n"
        "warnings.warn('only a warning')\n"
        "plt.plot([1, 2, 3])\n"
        "plt.show()"
    )
    draft.notebook.cells.insert(
        draft.index(draft.subject.exercises[0]), nbformat.v4.new_code_cell(code, id="scratch")
    )
    return _dump(draft)


def _unexplained(draft: Draft) -> bytes:
    draft.all_right()
    return _dump(draft)


def _mistaken(mistakes: Mapping[str, str]) -> Recipe:
    def recipe(draft: Draft) -> bytes:
        draft.all_right()
        draft.explain()
        for exercise in draft.subject.exercises:
            for mistake in exercise.mistakes:
                if mistakes.get(exercise.name) == mistake.name:
                    draft.write(exercise, mistake.implementation, mistake.earns)
        return _dump(draft)

    return recipe


def _last_mistakes(subject: Chapter, count: int, offset: int) -> dict[str, str]:
    return {
        e.name: e.mistakes[-offset % len(e.mistakes)].name
        for e in subject.exercises[:count]
        if e.mistakes
    }


def _unfinished(count: int) -> Recipe:
    def recipe(draft: Draft) -> bytes:
        for exercise in draft.subject.exercises[:count]:
            draft.right(exercise)
        return _dump(draft)

    return recipe


def _empty(draft: Draft) -> bytes:
    return _dump(draft)


def _broken(exercise: Exercise, code: str) -> Recipe:
    def recipe(draft: Draft) -> bytes:
        draft.all_right()
        draft.explain()
        draft.cell(exercise).source = code
        draft.deserved[exercise.name] = 0.0
        return _dump(draft)

    return recipe


def _always_raises(exercise: Exercise) -> str:
    return f"def {exercise.name}(*args, **kwargs):\n    raise RuntimeError('this cannot be')"


def _raising(exercise: Exercise) -> Recipe:
    def recipe(draft: Draft) -> bytes:
        draft.all_right()
        draft.explain()
        cell = nbformat.v4.new_code_cell("print(not_defined_anywhere)", id="scratch")
        draft.notebook.cells.insert(draft.index(exercise) + 1, cell)
        return _dump(draft)

    return recipe


def _without_test(exercise: Exercise) -> Recipe:
    def recipe(draft: Draft) -> bytes:
        draft.all_right()
        draft.explain()
        del draft.notebook.cells[draft.index(exercise) + 1]
        return _dump(draft)

    return recipe


def _without_answer(exercise: Exercise) -> Recipe:
    def recipe(draft: Draft) -> bytes:
        draft.all_right()
        draft.explain()
        del draft.notebook.cells[draft.index(exercise)]
        draft.deserved[exercise.name] = 0.0
        return _dump(draft)

    return recipe


def _stripped(draft: Draft) -> bytes:
    draft.all_right()
    draft.explain()
    for cell in draft.notebook.cells:
        cell.metadata = NotebookNode()
        cell.pop("id", None)
    draft.notebook.nbformat_minor = 2
    return json.dumps(draft.notebook).encode("utf-8")


def _endless(exercise: Exercise) -> Recipe:
    return _broken(
        exercise, f"def {exercise.name}(*args, **kwargs):\n    while True:\n        pass"
    )


def _exiting(exercise: Exercise) -> Recipe:
    code = f"import os\n\ndef {exercise.name}(*args, **kwargs):\n    os._exit(0)"
    return _broken(exercise, code)


def _truncated(draft: Draft) -> bytes:
    draft.all_right()
    data = _dump(draft)
    draft.deserved.update({e.name: 0.0 for e in draft.subject.exercises})
    return data[: len(data) * 2 // 3]


def _absent(_: Draft) -> None:
    return None
