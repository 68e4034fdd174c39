"""How fast a class is graded: against stock nbgrader, against the floor, and as it grows.

All ratios are medians of what was measured in turn, within a minute or two, on the same honest
submissions of the sample class, whose scores must agree.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from autograder.chapters import chapter
from autograder.classroom.cells import is_solution, is_test
from autograder.classroom.sample import DESERVED, write_sample_class
from autograder.cli import cores
from autograder.judge import judge
from autograder.sandbox.pool import Pool

SLUG = "feature_scaling"
STOCK = """
# Stock nbgrader's own way to grade.
c.Autograde.sanitize_preprocessors = [
    "nbgrader.preprocessors.ClearOutput",
    "nbgrader.preprocessors.DeduplicateIds",
    "nbgrader.preprocessors.OverwriteKernelspec",
    "nbgrader.preprocessors.OverwriteCells",
    "nbgrader.preprocessors.CheckCellMetadata",
]
c.Autograde.autograde_preprocessors = [
    "nbgrader.preprocessors.Execute",
    "nbgrader.preprocessors.IgnorePattern",
    "nbconvert.preprocessors.ClearMetadataPreprocessor",
    "nbgrader.preprocessors.LimitOutput",
    "nbgrader.preprocessors.SaveAutoGrades",
    "nbgrader.preprocessors.AssignLatePenalties",
    "nbgrader.preprocessors.CheckCellMetadata",
]
"""


def measure(console: Console, *, rounds: int, large: int, huge: bool) -> dict[str, Any]:
    """Measure, print a table, and return the figures."""
    with tempfile.TemporaryDirectory() as scratch:
        course = Path(scratch) / "class"
        write_sample_class(Path(), course, [SLUG])
        honest = keep_honest(course)
        console.print(f"{len(honest)} honest submissions of {SLUG}, {cores()} cores")
        growth = {large // 10: graded_class(course, large // 10)}
        measured = []
        for _ in range(rounds):
            figures, growth[large] = one_round(course, honest, large)
            measured.append(figures)
        scores_agree(course, honest)
        if huge:
            growth[10 * large] = graded_class(course, 10 * large)
        held = worker_megabytes(course, honest)
    medians = {name: statistics.median(m[name] for m in measured) for name in measured[0]}
    figures = {
        "honest_submissions": len(honest),
        "rounds": rounds,
        **medians,
        "megabytes_of_a_worker": held,
        "growth": growth,
    }
    console.print(table(figures))
    return figures


def one_round(
    course: Path, honest: list[str], large: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Measure everything once, one after the other, and form the ratios.

    A machine's speed changes within minutes: a ratio is of what was measured in the same round.

    Returns:
        The figures, and what there is to say of the large class.
    """
    ours = run(course, [*autograder(), "grade", SLUG, "--again"])
    whole = run(course, [*nbgrader(), SLUG, "--force"], stock=True)
    whole_class = graded_class(course, large)
    seconds = whole_class["seconds"] / large
    command = [*nbgrader(), SLUG, "--force", f"--student={honest[0]}"]
    single = run(course, command, stock=True)
    floor = floor_seconds(course, honest)
    figures = {
        "ours_class_seconds": ours,
        "nbgrader_class_seconds": whole,
        "ours_submission_seconds": seconds,
        "nbgrader_process_per_submission_seconds": single,
        "floor_seconds_per_submission": floor,
        "ratio_same_class_whole_runs": whole / ours,
        "ratio_rate_large_class_to_nbgrader_one_process": whole / len(honest) / seconds,
        "ratio_rate_large_class_to_nbgrader_process_per_submission": single / seconds,
        "times_the_floor": cores() * seconds / floor,
    }
    return figures, whole_class


def autograder() -> list[str]:
    """The command line of our grader."""
    return [sys.executable, "-m", "autograder"]


def nbgrader(command: str = "autograde") -> list[str]:
    """A command line of stock nbgrader's."""
    return [sys.executable, "-m", "nbgrader", command]


def keep_honest(course: Path) -> list[str]:
    """Take the submissions out that only one of the two graders can take; returns who is left."""
    deserved = json.loads((course / DESERVED).read_text(encoding="utf-8"))[SLUG]
    for student, sample in deserved.items():
        if not sample["honest"]:
            shutil.rmtree(course / "submitted" / student)
    with open(course / "nbgrader_config.py", "a", encoding="utf-8") as config:
        config.write(STOCK)
    return [s for s, sample in deserved.items() if sample["honest"]]


def run(course: Path, command: list[str], *, stock: bool = False) -> float:
    """The seconds that a whole command takes in a course; a failure stops the benchmark."""
    return run_measured(course, command, stock=stock)[0]


def run_measured(course: Path, command: list[str], *, stock: bool = False) -> tuple[float, float]:
    """The same, and the megabytes of its largest process."""
    if stock:
        shutil.rmtree(course / "autograded", ignore_errors=True)
    with tempfile.TemporaryFile("w+") as said:
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=course, stdout=said, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise SystemExit(f"{' '.join(command)} failed:\n{said.read()}")
    return seconds, used.ru_maxrss / 1024


def scores_agree(course: Path, honest: list[str]) -> None:
    """Stop unless stock nbgrader, which ran last, and we gave every student the same."""
    ours = json.loads((course / "grades" / f"{SLUG}.json").read_text(encoding="utf-8"))
    mine = {s["student"]: s["score"] for s in ours["submissions"]}
    theirs = scores(course)
    wrong = [s for s in honest if abs(mine[s] - (theirs[s] or 0.0)) > 1e-9]
    if wrong:
        raise SystemExit(f"the two graders disagree about {', '.join(wrong)}")


def scores(course: Path) -> dict[str, float | None]:
    """What each student has in a course's gradebook."""
    path = f"file:{course / 'gradebook.db'}?mode=ro"
    with contextlib.closing(sqlite3.connect(path, uri=True)) as book:
        return dict(
            book.execute(
                "select a.student_id, sum(g.auto_score) from grade g"
                " join submitted_notebook n on g.notebook_id = n.id"
                " join submitted_assignment a on n.assignment_id = a.id group by a.student_id"
            )
        )


def graded_class(course: Path, size: int) -> dict[str, float]:
    """Grade the honest class, repeated to a size, in one run of the command."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "class"
        copy.mkdir()
        for name in ("nbgrader_config.py", "solutions"):
            source = course / name
            (shutil.copytree if source.is_dir() else shutil.copyfile)(source, copy / name)
        originals = sorted((course / "submitted").iterdir())
        for k in range(size):
            shutil.copytree(originals[k % len(originals)], copy / "submitted" / f"student-{k:05d}")
        seconds, megabytes = run_measured(copy, [*autograder(), "grade", SLUG])
    return {
        "seconds": seconds,
        "submissions_per_second": size / seconds,
        "peak_megabytes_of_largest_process": megabytes,
    }


def floor_seconds(course: Path, honest: list[str]) -> float:
    """CPU seconds per submission of the plainest design: a fork, the answers, and the judging.

    Each honest notebook's answers run in a plain fork of this process, which has judged before, and
    are judged there, with all probes: no border, no walls, no files.
    """
    subject = chapter(SLUG)
    for exercise in subject.exercises:  # warm, as our parents and judges are
        judge(exercise, exercise.reference, seed=0)
    gc.collect()
    gc.freeze()
    seconds = []
    for student in honest:
        notebook = nbformat.read(course / "submitted" / student / SLUG / f"{SLUG}.ipynb", 4)
        answers = [c.source for c in notebook.cells if is_solution(c) and c.cell_type == "code"]
        if not (pid := os.fork()):
            namespace: dict[str, Any] = {"np": np}
            with open(os.devnull, "w", encoding="utf-8") as null:
                sys.stdout = sys.stderr = null
                for source in answers:
                    with contextlib.suppress(Exception):
                        exec(source, namespace)
                for exercise in subject.exercises:
                    judge(exercise, namespace.get(exercise.name), seed=0)
            os._exit(0)
        _, _, used = os.wait4(pid, 0)
        seconds.append(used.ru_utime + used.ru_stime)
    return statistics.median(seconds)


def worker_megabytes(course: Path, honest: list[str]) -> float:
    """The memory that a worker holds for itself at the end of an honest notebook."""
    held = []
    with Pool() as pool:
        for student in honest[:5]:
            notebook = nbformat.read(course / "submitted" / student / SLUG / f"{SLUG}.ipynb", 4)
            with pool.worker() as worker:
                for cell in notebook.cells:
                    if cell.cell_type == "code" and not is_test(cell):
                        worker.execute(cell.source)
                parent = psutil.Process().children()[-1]
                (process,) = parent.children()
                held.append(process.memory_full_info().uss / 2**20)
    return statistics.median(held)


def table(figures: dict[str, Any]) -> Table:
    """The figures for a person."""
    shown = Table(title="Grading", title_justify="left")
    shown.add_column("what")
    shown.add_column("figure", justify="right")
    for name, value in figures.items():
        if isinstance(value, dict):
            for size, row in value.items():
                text = ", ".join(f"{k.replace('_', ' ')} {v:.1f}" for k, v in row.items())
                shown.add_row(f"class of {size}", text)
        else:
            shown.add_row(name.replace("_", " "), f"{value:.4g}")
    return shown
