"""The whole course on one page: every assignment that was graded, every student."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograder.chapters import SLUGS, chapter
from autograder.classroom.export import harmless_field, steps, submissions, template
from autograder.classroom.gradebook import write_whole
from autograder.classroom.release import CourseError
from autograder.report import number
from autograder.verdict import Verdict

_MISTAKES = 15


@dataclass(frozen=True)
class Result:
    """An assignment as it was graded last.

    Attributes:
        name: the assignment's name.
        title: its title in the book.
        points: what it is worth.
        scores: what each student earned so far.
        shares: the same as a share of what the grader can give: without the points that wait for a
            person.
        waiting: how many answers wait for a person.
        blocked: whose grade is missing because we failed.
        mistakes: how often which mistake was diagnosed in which exercise.
    """

    name: str
    title: str
    points: float
    scores: dict[str, float]
    shares: dict[str, float]
    waiting: int
    blocked: tuple[str, ...]
    mistakes: Counter[tuple[str, str]]

    @property
    def submitted(self) -> int:
        """How many handed it in."""
        return len(self.scores)

    @property
    def mean(self) -> float:
        """The mean score."""
        return sum(self.scores.values()) / max(1, len(self.scores))

    @property
    def counts(self) -> tuple[int, ...]:
        """How many students earned which share, in ten steps from 0 to 1, and 1 itself."""
        return steps(self.shares.values())


def write(folder: Path) -> list[Path]:
    """Write ``index.html`` and ``index.csv`` beside the results of the assignments in a folder.

    Nothing is written where there are no results. What `strays` names is left out.

    Raises:
        CourseError: a result cannot be read, or the files cannot be written.
    """
    found = set(folder.glob("*.json")) - set(strays(folder))
    results = [read(path) for path in sorted(found, key=_in_course_order)]
    if not results:
        return []
    made = {"index.html": as_html(results), "index.csv": as_csv(results)}
    for name, text in made.items():
        write_whole(folder / name, text)
    return [folder / name for name in made]


def strays(folder: Path) -> list[Path]:
    """The JSON files in a folder that are no results of grading: there is no ledger of them.

    A result that was spoilt has one.
    """
    found = []
    for path in sorted(folder.glob("*.json")):
        if not path.with_name(f"{path.stem}.ledger.jsonl").exists():
            try:
                read(path)
            except CourseError:
                found.append(path)
    return found


def read(path: Path) -> Result:
    """The result of an assignment, from the JSON that grading wrote.

    Raises:
        CourseError: it is not such a file.
    """
    name = path.stem
    points, waiting = 0.0, 0
    scores: dict[str, float] = {}
    shares: dict[str, float] = {}
    blocked: list[str] = []
    mistakes: Counter[tuple[str, str]] = Counter()
    try:
        for submission in submissions(path):
            student, grades = str(submission["student"]), submission["grades"]
            points = max(points, float(submission["points"]))
            scores[student] = float(submission["score"])
            shares[student] = _share(grades)
            waiting += sum(g["score"] is None and not g["verdict"] for g in grades)
            if any(g["verdict"] == Verdict.INTERNAL for g in grades):
                blocked.append(student)
            mistakes.update(
                (str(g["exercise"]), str(d["summary"]))
                for g in grades
                for d in (g["report"] or {}).get("diagnoses", ())
            )
        if not scores:
            raise ValueError("nobody")
        title = chapter(name).title if name in SLUGS else name
        return Result(name, title, points, scores, shares, waiting, tuple(blocked), mistakes)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CourseError(
            f"{path} is no result of grading ({type(error).__name__}). Delete it, and grade {name} "
            "once more."
        ) from error


def _share(grades: Sequence[dict[str, Any]]) -> float:
    """What was earned of what could be, where a score was given."""
    given = [g for g in grades if g["score"] is not None]
    points = sum(float(g["points"]) for g in given)
    return min(1.0, sum(float(g["score"]) for g in given) / points) if points else 0.0


def _in_course_order(path: Path) -> tuple[int, str]:
    return (SLUGS.index(path.stem) if path.stem in SLUGS else len(SLUGS), path.stem)


def as_html(results: Sequence[Result]) -> str:
    """A page of its own, without script."""
    students = sorted({student for r in results for student in r.scores})
    mistakes = [
        {"count": n, "what": what, "exercise": exercise, "assignment": r.name, "title": r.title}
        for r in results
        for (exercise, what), n in sorted(r.mistakes.items())
    ]
    mistakes.sort(key=lambda m: -int(str(m["count"])))  # and otherwise as in the course
    return template("course_report.html").render(
        results=results,
        students=[
            {
                "name": student,
                "score": sum(r.scores.get(student, 0.0) for r in results),
                "shares": [r.shares.get(student) for r in results],
            }
            for student in students
        ],
        mistakes=mistakes[:_MISTAKES],
        blocked=[f"{r.title}: {', '.join(r.blocked)}" for r in results if r.blocked],
    )


def as_csv(results: Sequence[Result]) -> str:
    """One line per student: the score in all, and in each assignment."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["student", "score", "points", *(r.name for r in results)])
    points = number(sum(r.points for r in results))
    for student in sorted({student for r in results for student in r.scores}):
        scores = [r.scores.get(student) for r in results]
        total = number(sum(s or 0.0 for s in scores))
        row = [student, total, points, *("" if s is None else number(s) for s in scores)]
        writer.writerow([harmless_field(value) for value in row])
    return text.getvalue()
