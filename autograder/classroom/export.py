"""The results of a class as files: CSV for a spreadsheet, JSON for a program, HTML for a person."""

from __future__ import annotations

import csv
import io
import re
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from jinja2 import Environment, PackageLoader, Template

from autograder import __version__
from autograder.classroom.gradebook import write_whole
from autograder.classroom.grading import Graded
from autograder.report import counted, number, printable
from autograder.verdict import Verdict


def write(folder: Path, title: str, graded: Sequence[Graded]) -> list[Path]:
    """Write the class as ``<assignment>.csv``, ``.json`` and ``.html`` into a folder."""
    ordered = sorted(graded, key=lambda g: g.student)
    name = ordered[0].assignment
    made: dict[str, str | bytes] = {
        "csv": as_csv(ordered),
        "json": as_json(ordered),
        "html": as_html(title, ordered),
    }
    paths = []
    for suffix, data in made.items():
        path = folder / f"{name}.{suffix}"
        write_whole(path, data)
        paths.append(path)
    return paths


def as_csv(graded: Sequence[Graded]) -> str:
    """One line per student: score, points, a column per exercise, the first diagnosis."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [g.exercise for g in _names(graded)]
    writer.writerow(["student", "score", "points", *names, "first diagnosis", "repairs", "walls"])
    for result in graded:
        scores = ["" if g.score is None else number(g.score) for g in result.grades]
        row = [
            result.student,
            number(result.score),
            number(result.points),
            *scores,
            result.headline,
            "; ".join(result.repairs),
            "missing: " + ", ".join(result.walls) if result.walls else "",
        ]
        writer.writerow([harmless_field(value) for value in row])
    return text.getvalue()


def as_json(graded: Sequence[Graded]) -> bytes:
    """Everything that was decided, sorted, so that the same class gives the same bytes.

    A submission has a line of its own.
    """
    pieces = [f'{{"autograder": "{__version__}", "submissions": ['.encode()]
    for result in graded:
        pieces += [b"\n", result.to_json(), b","]
    pieces[-1] = b"\n]}\n"
    return b"".join(pieces)  # once: of a large class it is a hundred megabytes


def submissions(path: Path) -> Iterator[dict[str, Any]]:
    """What `as_json` wrote into a file, one by one: all at once, a large class fills the memory.

    Raises:
        ValueError: something else wrote it, or it was cut off.
    """
    with path.open("rb") as file:
        if not file.readline().endswith(b'"submissions": [\n'):
            raise ValueError("another form")
        for line in file:
            if line == b"]}\n":
                return
            yield orjson.loads(line.rstrip(b",\n"))
    raise ValueError("cut off")


@dataclass(frozen=True)
class Summary:
    """How a class did in one exercise.

    Attributes:
        name: the exercise.
        points: what it is worth.
        mean: the mean score.
        counts: how many students earned which share, in ten steps from 0 to 1, and 1 itself.
        full: how many earned everything.
        graded: how many have a score.
        waiting: how many wait for a person.
        lost: how many have none because we failed.
        mistakes: (how often, what) of the diagnosed mistakes, the most frequent first.
    """

    name: str
    points: float
    mean: float
    counts: tuple[int, ...]
    full: int
    graded: int
    waiting: int
    lost: int
    mistakes: tuple[tuple[int, str], ...]


def summaries(graded: Sequence[Graded]) -> list[Summary]:
    """How the class did, exercise by exercise."""
    found = []
    for index, first in enumerate(_names(graded)):
        grades = [g.grades[index] for g in graded]
        scores = [g.score for g in grades if g.score is not None]
        counts = steps(score / first.points if first.points else 0.0 for score in scores)
        mistakes = Counter(d["summary"] for g in grades if g.report for d in g.report["diagnoses"])
        found.append(
            Summary(
                first.exercise,
                first.points,
                statistics.fmean(scores) if scores else 0.0,
                counts,
                counts[10],
                len(scores),
                sum(g.score is None and not g.verdict for g in grades),
                sum(g.verdict == Verdict.INTERNAL for g in grades),
                tuple((n, text) for text, n in mistakes.most_common(8)),
            )
        )
    return found


def steps(shares: Iterable[float]) -> tuple[int, ...]:
    """How many of the shares are in each of ten steps from 0 to 1, and how many are 1 itself."""
    counts = Counter(int(10 * share) for share in shares)
    return tuple(counts[step] for step in range(11))


def as_html(title: str, graded: Sequence[Graded]) -> str:
    """A page of its own, without script: the distribution, the mistakes, and a line per student."""
    scores = [g.score for g in graded]
    return template("class_report.html").render(
        title=title,
        graded=graded,
        summaries=summaries(graded),
        mean=statistics.fmean(scores),
        median=statistics.median(scores),
        points=graded[0].points,
        walls=sorted({w for g in graded for w in g.walls}),
        verdicts=Verdict,
    )


def template(name: str) -> Template:
    """A report's template, which escapes whatever it is given."""
    environment = Environment(
        loader=PackageLoader("autograder.classroom", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["points"] = number
    environment.filters["counted"] = counted
    return environment.get_template(name)


def _names(graded: Sequence[Graded]) -> list[Named]:
    """The graded cells by their exercises' names, taken from submissions that could be read."""
    columns = []
    for index, grade in enumerate(graded[0].grades):
        exercise = next(
            (g.grades[index].exercise for g in graded if g.grades[index].report), grade.exercise
        )
        columns.append(Named(exercise, grade.points))
    return columns


@dataclass(frozen=True)
class Named:
    """A graded cell: what it grades, and what it is worth."""

    exercise: str
    points: float


_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
# Where the decimal sign is a comma, spreadsheets begin a new field behind a semicolon.
_NEXT_FIELD = re.compile(rf'(;[\s"]*)(?=[{re.escape("".join(_FORMULA))}])')


def harmless_field(value: str) -> str:
    """A field in one line that no spreadsheet takes for a formula."""
    value = _NEXT_FIELD.sub(r"\1'", printable(value))
    return f"'{value}" if value.lstrip().startswith(_FORMULA) else value
