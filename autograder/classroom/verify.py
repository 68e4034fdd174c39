"""The proof of an assignment, before it is released.

An assignment is ready when a right answer earns everything, an empty one nothing, every known
mistake is caught, named, and earns what it deserves, no automatic mutant of a reference slips
through, and the notebook's cells say the same as the exercises.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from autograder.chapters import chapter, chapters
from autograder.classroom import cells
from autograder.classroom.release import read_source, release_text, source_path
from autograder.classroom.sample import as_answer
from autograder.classroom.timing import OutOfTime, time_limit
from autograder.exercise import Chapter, Exercise
from autograder.judge import judge
from autograder.mutants import Mutant, mutants
from autograder.report import Report, number

SEEDS = (0, 1, 2, 3, 4)
"""Inputs are random: what holds for one seed is tried on several."""

MUTANT_SECONDS = 5.0
"""A mutant may loop for ever; after this time it counts as caught."""


@dataclass
class Proof:
    """What was shown of one exercise.

    Attributes:
        exercise: which one.
        faults: what fell short, as sentences; none when all is well.
        mutants: how many automatic mutants ran.
        survivors: those that no probe caught, and that are not known to compute the same.
        equivalents: those known to compute the same, with the reason.
    """

    exercise: Exercise
    faults: list[str] = field(default_factory=list)
    mutants: int = 0
    survivors: list[Mutant] = field(default_factory=list)
    equivalents: list[tuple[Mutant, str]] = field(default_factory=list)

    @property
    def killed(self) -> int:
        """How many mutants were caught."""
        return self.mutants - len(self.survivors) - len(self.equivalents)

    @property
    def ok(self) -> bool:
        """Whether nothing fell short."""
        return not self.faults and not self.survivors


@dataclass
class Verification:
    """What was shown of a chapter: each exercise, and the notebook as a whole."""

    chapter: Chapter
    proofs: list[Proof]
    notebook_faults: list[str]

    @property
    def ok(self) -> bool:
        """Whether the assignment may be released."""
        return not self.notebook_faults and all(p.ok for p in self.proofs)

    @property
    def mutation_score(self) -> float:
        """The share of mutants caught, those that compute the same left out."""
        killed = sum(p.killed for p in self.proofs)
        return killed / max(1, killed + sum(len(p.survivors) for p in self.proofs))


def verify(course: Path, slug: str) -> Verification:
    """Prove the assignment of a chapter.

    Raises:
        UnknownExercise: there is no such chapter.
        CourseError: its source cannot be read, or nbgrader refuses it.
    """
    subject = chapter(slug)
    source = read_source(source_path(course, slug))
    proofs = [prove(exercise) for exercise in subject.exercises]
    for proof in proofs:
        name = proof.exercise.name
        for other in chapters():
            if other.slug != slug and name in {e.name for e in other.exercises}:
                proof.faults.append(
                    f"the chapter {other.slug} has an exercise of this name, too: rename one of "
                    "them, since `check` knows exercises by their names alone"
                )
    release = nbformat.reads(release_text(course, slug), as_version=4)
    return Verification(subject, proofs, notebook_faults(subject, source, release))


def prove(exercise: Exercise) -> Proof:
    """Prove one exercise: its reference, alternatives, mistakes and mutants."""
    proof = Proof(exercise)
    seeds: dict[str, list[str]] = {}
    details: dict[str, str] = {}
    for seed in SEEDS:
        for fault, detail in _faults(exercise, seed):
            seeds.setdefault(fault, []).append(str(seed))
            details.setdefault(fault, detail)
    for fault, some in seeds.items():  # a fault is said once, however many seeds show it
        where = f"seed{'s' * (len(some) > 1)} {', '.join(some)}"
        proof.faults.append(f"{fault} ({where}){details[fault]}")
    unused = set(exercise.equivalents)
    for mutant in mutants(exercise.reference):
        proof.mutants += 1
        if _caught(exercise, mutant):
            continue
        if reason := exercise.equivalents.get(mutant.after):
            proof.equivalents.append((mutant, reason))
            unused.discard(mutant.after)
        else:
            proof.survivors.append(mutant)
    proof.faults += [f"no mutant survives as `{text}`: drop it from equivalents" for text in unused]
    return proof


def _faults(exercise: Exercise, seed: int) -> Iterator[tuple[str, str]]:
    """What falls short on one seed: the fault, and what it looks like there."""
    for right in (exercise.reference, *exercise.alternatives):
        report = judge(exercise, right, seed=seed)
        if not report.passed:
            yield (
                f"the right answer {right.__name__} earns {report!r} of {number(exercise.points)}",
                f": {report.headline}",
            )
    for mistake in exercise.mistakes:
        report = judge(exercise, mistake.implementation, seed=seed)
        named = [d.mistake for d in report.diagnoses]
        if report.passed:
            yield f"the mistake {mistake.name} is not caught", ""
            continue  # that it earns too much, too, is the same fault
        if named != [mistake.name]:
            others = ", ".join(named) or "nothing"
            yield f"the mistake {mistake.name} is diagnosed as {others}", ""
        if report.earned != mistake.earns:
            deserved = f"earns {report!r} where it deserves {number(mistake.earns)}"
            yield f"the mistake {mistake.name} {deserved}", ""


def _caught(exercise: Exercise, mutant: Mutant) -> bool:
    try:
        with time_limit(MUTANT_SECONDS):
            return not judge(exercise, mutant.implementation).passed
    except OutOfTime:
        return True


def notebook_faults(subject: Chapter, source: NotebookNode, release: NotebookNode) -> list[str]:
    """What is wrong with an assignment's notebook, as sentences."""
    faults = []
    students = set(cells.student_names(source))
    worth = {e.name: e.points for e in subject.exercises}
    asked: dict[str, float] = {}
    for cell in filter(cells.is_test, source.cells):
        where = cells.grade_id(cell)
        names = cells.free_names(cell.source)
        if strange := sorted(names - students):
            faults.append(
                f"{where} uses {', '.join(strange)}, which neither it imports nor students define"
            )
        for name in sorted(names & worth.keys()):
            asked[name] = cells.points(cell)
    for name, points in worth.items():
        if name not in asked:
            faults.append(f"no cell grades {name}")
        elif asked[name] != points:
            faults.append(
                f"{name} is worth {number(points)}, but its cell says {number(asked[name])}"
            )
    given = {"np", *students}
    for cell in source.cells:
        if cell.cell_type == "code" and not cells.is_solution(cell) and not cells.is_test(cell):
            given.update(cells.defined(cell.source))
    for exercise in subject.exercises:
        mistakes = [m.implementation for m in exercise.mistakes]
        for known in (exercise.reference, *exercise.alternatives, *mistakes):
            try:
                needed = cells.free_names(as_answer(known, exercise.name)) - given
            except ValueError as error:
                faults.append(f"an answer to {exercise.name} could not be handed in: {error}")
                continue
            if needed:
                faults.append(
                    f"{known.__name__} could not be handed in: it uses "
                    f"{', '.join(sorted(needed))}, which the notebook does not have"
                )
    ids = [cells.grade_id(c) for c in source.cells if cells.metadata(c)]
    if twice := sorted({i for i in ids if ids.count(i) > 1}):
        faults.append(f"two cells have the same grade_id: {', '.join(twice)}")
    earned = run(source)
    for cell in filter(cells.is_test, source.cells):
        where, full = cells.grade_id(cell), cells.points(cell)
        if earned[where] != full:
            faults.append(
                f"the solution earns {number(earned[where])} of {number(full)} in {where}"
            )
    if got := sum(run(release).values()):
        faults.append(f"the release, with nothing filled in, earns {number(got)} instead of 0")
    for marker in ("BEGIN SOLUTION", "BEGIN HIDDEN TESTS", "BEGIN MARK SCHEME", "hidden=True"):
        if any(marker in c.source for c in release.cells):
            faults.append(f"the release still shows a {marker!r}")
    return faults


def run(notebook: NotebookNode) -> dict[str, float]:
    """Run an instructor's notebook here, and return what each graded cell earns by `grade_id`.

    Only for notebooks that we wrote ourselves: the code runs in this process.
    """
    namespace: dict[str, object] = {"__name__": "__main__"}
    earned: dict[str, float] = {}
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        value: object = None
        with contextlib.suppress(Exception):  # an empty answer raises; what follows earns nothing
            value = cells.evaluate(cell.source, namespace)
        if cells.is_test(cell):
            earned[cells.grade_id(cell)] = float(value) if isinstance(value, Report) else 0.0
    return earned
