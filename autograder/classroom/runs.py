"""Whole runs, as a person starts them: grade a class, check a notebook."""

from __future__ import annotations

import contextlib
import multiprocessing
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar, cast

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from autograder import check
from autograder.chapters import SLUGS, chapter
from autograder.classroom import cells, export, overview
from autograder.classroom.cluster import grade_on_cluster
from autograder.classroom.gradebook import notebook_path, prepare, record, write_notebook
from autograder.classroom.grading import Graded, answers_of, large_packages
from autograder.classroom.judges import Judges
from autograder.classroom.ledger import Ledger, circumstances
from autograder.classroom.release import (
    CourseError,
    course_config,
    course_directory,
    typed_here,
)
from autograder.classroom.secret import course_secret
from autograder.classroom.session import Session
from autograder.classroom.submissions import (
    Assignment,
    Handed,
    Role,
    find_submissions,
    locked,
    lost_on_nbgrader,
    misplaced,
    read_submission,
    worksheet,
)
from autograder.report import counted, number, printable
from autograder.sandbox.pool import Pool
from autograder.verdict import Failure, Verdict


@dataclass(frozen=True)
class Options:
    """How a class is graded."""

    no_walls: bool
    no_gradebook: bool
    again: bool
    scheduler: str


def grade_course(
    console: Console, course: Path, names: Sequence[str], options: Options, judges: Judges
) -> None:
    """Grade assignments one after the other, then write the page that shows all of them.

    Without names: the chapters of which there are submissions.

    Raises:
        CourseError: no chapter was handed in, or see `grade_assignment`; the page then shows what
            was graded before.
    """
    folder = course / "grades"
    if not names:
        submitted = course / str(course_directory(course).submitted_directory)
        names = [slug for slug in SLUGS if find_submissions(submitted, slug)]
        if not names:
            raise CourseError(
                f"there are no submissions of any chapter in {submitted}. They belong in "
                f"{submitted}/<student>/<chapter>/<chapter>.ipynb. An assignment of your own is "
                "graded when it is named: autograder grade <assignment>"
            )
    try:
        for done, name in enumerate(names, start=1):
            try:
                grade_assignment(console, course, name, options, judges)
            except CourseError as error:
                if rest := " ".join(names[done:]):
                    raise CourseError(
                        f"{error} (not reached: {rest}; to go on without {name}, name them)"
                    ) from error
                raise
    except BaseException:  # an interrupt, too
        with contextlib.suppress(CourseError):
            overview.write(folder)
        raise
    for path in overview.strays(folder):
        _warn(console, f"{path} is no result of grading, and is left out of the page of the class")
    files = escape(", ".join(map(str, overview.write(folder))))
    console.print(f"[green]✓[/] the class in all assignments so far: {files}")


def grade_assignment(
    console: Console, course: Path, name: str, options: Options, judges: Judges
) -> list[Graded]:
    """Grade every submission of an assignment, write the results, and print a table.

    Raises:
        CourseError: there is nothing to grade, walls are missing, no worker can be started, another
            run is grading the same, or a result or the gradebook cannot be written. What was graded
            before that is in the ledger.
    """
    assignment = Assignment.load(course, name)
    directory = course_directory(course)
    submitted = course / str(directory.submitted_directory)
    submissions = find_submissions(submitted, name)
    for path in locked(submitted, name):
        _warn(console, f"{path} may not be read: what is in it is not graded")
    for path in misplaced(submitted, name):
        place = submitted / "<student>" / name / f"{name}.ipynb"
        _warn(console, f"{path} is not graded: a submission belongs in {place}")
    for path in lost_on_nbgrader(submissions):
        _warn(
            console,
            f"nbgrader's own commands (generate_feedback …) cannot find {path}, or stop there: "
            "rename the folder, without *, ?, [, line breaks, and dots at the start",
        )
    if not submissions:
        raise CourseError(
            f"there are no submissions of {name} in {submitted}. They belong in "
            f"{submitted}/<student>/{name}/{name}.ipynb, where `nbgrader collect` puts them."
        )
    secret = course_secret(course_config(course).CourseDirectory.get("course_id", ""))
    ledger_path = course / "grades" / f"{name}.ledger.jsonl"
    around = circumstances(assignment, secret, judges.limits)
    preparing: Callable[[], object] = partial(prepare, course, assignment)
    # Until the gradebook is written: two runs must not write into it in turns either.
    with Ledger(ledger_path, around, secret) as ledger:
        for note in ledger.notes:
            _warn(console, note)
        ledger.said()
        with _beside(list if options.no_gradebook else preparing) as prepared:
            graded = _decide(
                console, assignment, directory, submissions, secret, options, judges, ledger
            )
            prepared()
        _write_down(console, course, assignment, graded, options, ledger.students)
    return graded


def _decide(
    console: Console,
    assignment: Assignment,
    directory: Any,
    submissions: Sequence[Handed],
    secret: bytes,
    options: Options,
    judges: Judges,
    ledger: Ledger,
) -> list[Graded]:
    """Grade what is not in the ledger; return what became of every submission."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    walls = not options.no_walls
    with Progress(*columns, console=console, transient=True) as progress:
        graded = [] if options.again else _decided(ledger, directory, submissions)
        if walls:  # what was decided without walls is decided again behind them
            graded = [g for g in graded if not g.walls]
        task = progress.add_task(
            f"Grading {assignment.name}", total=len(submissions), completed=len(graded)
        )
        known = {g.student for g in graded}
        waiting = [s for s in submissions if s.student not in known]
        # The solution is graded, too: what it does not earn, students cannot either.
        solution = [assignment.solution] if waiting else []
        if options.scheduler:  # its machines may have other disks: what they grade is read here
            results = grade_on_cluster(
                options.scheduler,
                assignment,
                solution + [handed.read() for handed in waiting],
                secret,
                limits=judges.limits,
                require_walls=walls,
            )
        else:
            results = judges.grade(assignment, [*solution, *waiting], secret, require_walls=walls)
        for result in results:
            if result.walls and walls:
                raise _without_walls(result.walls)
            if result.student == assignment.solution.student:
                for sentence in _out_of_reach(assignment, result):
                    _warn(console, sentence)
                continue
            # The notebook first: a verdict in the ledger says that all of it is there.
            write_notebook(directory, result)
            ledger.append(result)
            graded.append(result.kept())
            progress.advance(task)
    if known:
        console.print(
            f"[green]✓[/] {len(known)} of {len(submissions)} had been graded before, with the same "
            "result (--again grades them once more)"
        )
    return sorted(graded, key=lambda g: g.student)


def _write_down(
    console: Console,
    course: Path,
    assignment: Assignment,
    graded: list[Graded],
    options: Options,
    before: Collection[str],
) -> None:
    """Write a graded class into its files and the gradebook, and say what became of it.

    Args:
        console: where to say it.
        course: the course directory.
        assignment: what was graded.
        graded: what became of every submission.
        options: how the class is graded.
        before: the students of whom there was a verdict before this run.
    """
    name = assignment.name
    title = next((chapter(s).title for s in SLUGS if s == name), name)
    finished = (course / "grades" / f"{name}.json").exists()  # an earlier run, with its gradebook
    known = {g.student for g in graded}.intersection(before) if finished else ()
    recording: Callable[[], list[str]] = partial(record, course, assignment, graded, known)
    with _beside(list if options.no_gradebook else recording) as noted:
        paths = export.write(course / "grades", title, graded)
        console.print(_table(title, graded))
        notes = noted()
    for note in notes:
        _warn(console, note)
    blocked = [(g.student, c) for g in graded for c in g.grades if c.verdict == Verdict.INTERNAL]
    if blocked:
        students = [*dict.fromkeys(student for student, _ in blocked)]
        few = escape(printable(", ".join(students[:5])))
        first = blocked[0][1]
        why = escape(printable(f"{first.exercise}: {first.headline}"))
        again = "Mend the graded cell, and run" if first.to_mend else "Run"
        console.print(
            f"[bold red]{counted(len(students), 'submission')} could not be graded, through no "
            f"fault of the students[/] ({few}): their grades are left open. {again} the same "
            f"command again. The first: {why}"
        )
    files = escape(", ".join(map(str, paths)))
    console.print(f"[green]✓[/] {counted(len(graded), 'submission')}; results in {files}")
    if not options.no_gradebook:
        feedback = typed_here(course, f"nbgrader generate_feedback {name}")
        console.print(
            "[green]✓[/] scores and comments are in the gradebook; go on with formgrader, or with "
            f"`{escape(feedback)}`"
        )


def _warn(console: Console, text: str) -> None:
    """Print what somebody should look at; it may hold names that students chose."""
    console.print(f"[yellow]![/] {escape(printable(text))}", highlight=False)


Result = TypeVar("Result")


@contextlib.contextmanager
def _beside(work: Callable[[], Result]) -> Iterator[Callable[[], Result]]:
    """Begin a piece of work on another core, in a copy of this process; yield how to wait for it.

    Where a process cannot be copied, or its copy fails, the work is done here.
    """
    if sys.platform != "linux":
        yield work
        return
    copies = multiprocessing.get_context("fork")
    ours, theirs = copies.Pipe(duplex=False)
    copy = copies.Process(target=_tell, args=(work, ours, theirs))
    with theirs:
        try:
            copy.start()
        except OSError:  # too many processes, or too little memory
            ours.close()
    if ours.closed:
        yield work
        return

    def done() -> Result:
        try:
            said, error = ours.recv()
        except EOFError:
            return work()
        if error is not None:
            raise error
        return cast("Result", said)

    try:
        yield done
    finally:
        ours.close()  # before we wait: a copy that still has much to say must not wait for us
        copy.join()


def _tell(work: Callable[[], Any], theirs: Connection, pipe: Connection) -> None:
    """Do a piece of work, and say what came of it; or nothing, if that is no use."""
    theirs.close()  # while it is open here, nobody tells us that they no longer listen
    with contextlib.suppress(Exception, KeyboardInterrupt):
        try:
            pipe.send((work(), None))
        except CourseError as error:
            pipe.send((None, error))


def _decided(ledger: Ledger, directory: Any, submissions: Sequence[Handed]) -> list[Graded]:
    """What need not be graded again: decided under the same circumstances, notebook and all."""
    found = (ledger.decided(s.read()) for s in submissions if ledger.knows(s.student))
    return [g.kept() for g in found if g is not None and notebook_path(directory, g).is_file()]


def _out_of_reach(assignment: Assignment, solved: Graded) -> list[str]:
    """What to say of graded cells in which the solution itself does not earn everything."""
    tests = set(map(cells.grade_id, filter(cells.is_test, assignment.source.cells)))
    said = []
    for cell in solved.grades:
        worth = float((cell.report or {}).get("points", cell.points))
        if worth != cell.points:  # as `verify` says, too
            said.append(
                f"{cell.exercise} is worth {number(worth)}, but its cell {cell.grade_id} says "
                f"{number(cell.points)}: scores are those of the exercise, cut off where the cell "
                "has less. Change its probes' points as well"
            )
        elif cell.grade_id in tests and cell.score != cell.points:
            said.append(
                f"the solution itself does not earn the {number(cell.points)} points of "
                f"{cell.grade_id}; mend it, or the cell: {cell.headline}"
            )
    return said


def _without_walls(missing: Sequence[str]) -> CourseError:
    return CourseError(
        f"where the class is graded, these walls around students' code cannot be raised: "
        f"{', '.join(missing)}. Grade on another machine, or, if you trust every student, "
        "with --no-walls (the results will say so)."
    )


# A longer list runs out of the window, and a longer name takes it from the scores.
_ROWS, _NAME = 100, 40


def _table(title: str, graded: list[Graded]) -> Table | str:
    """The class, or of a large one those at whom somebody should look."""
    table = Table(title=title, title_justify="left", caption_justify="left")
    if len(graded) > _ROWS:
        odd = [g for g in graded if g.problem or g.repairs or g.blocked]
        if not odd:
            return f"{escape(title)}: none of {len(graded)} submissions has problems or repairs"
        table.caption = f"{len(odd)} of {len(graded)} submissions have problems or repairs"
        if len(odd) > _ROWS:
            table.caption = f"the first {_ROWS}: {table.caption}"
        graded = odd[:_ROWS]
    table.add_column("student", no_wrap=True, max_width=_NAME)
    table.add_column("score", justify="right", no_wrap=True)
    table.add_column("first diagnosis", overflow="fold")
    for result in graded:
        open_points = sum(g.points for g in result.grades if g.score is None)
        waiting = f" (+{number(open_points)} open)" if open_points else ""
        score = f"{number(result.score)} of {number(result.points)}{waiting}"
        lines = [escape(result.headline)] if result.headline else []
        if result.repairs:
            more = f" (and {len(result.repairs) - 1} more)" if len(result.repairs) > 1 else ""
            lines.append(f"[dim]repaired: {escape(result.repairs[0])}{more}[/]")
        style = "red" if result.problem else "green" if not result.headline else ""
        table.add_row(
            escape(printable(result.student)),
            f"[{style}]{score}[/]" if style else score,
            "\n".join(lines),
        )
    return table


def check_notebook(console: Console, course: Path, path: Path) -> bool:
    """Print the reports that a student's notebook would show; returns whether all passed.

    Raises:
        CourseError: the notebook cannot be read or run, or belongs to no assignment.
    """
    submission = read_submission("", path)
    if submission.problem:
        raise CourseError(f"{path}: {printable(submission.problem)}")
    assignment = _assignment_of(course, path)
    sheet = worksheet(assignment, submission)
    for repair in sheet.repairs:  # a changed cell that is put back may be why an answer fails
        console.print(f"[yellow]as when graded:[/] {escape(printable(repair))}")
    exercises = {e.name for e in chapter(assignment.name).exercises}
    well = True
    try:
        workers = Pool(preload=large_packages(sheet.entries))
    except (Failure, BlockingIOError) as error:  # the latter where there are too many processes
        raise CourseError(f"a notebook cannot be run here: {error}") from error
    with (
        workers as pool,
        Session(pool) as session,
        answers_of(sheet.entries),
    ):
        for index, entry in enumerate(sheet.entries):
            if entry.role in (Role.STUDENT, Role.LOCKED):
                try:
                    defines = cells.defined(entry.origin.source) if entry.origin else ()
                    failure = session.run(entry.source, str(index + 1), defines).failure
                except Failure as error:
                    failure = error
                if failure is not None and failure.kinds[:1] != ("NotImplementedError",):
                    said = failure.kinds[0] if failure.kinds else failure.verdict
                    console.print(
                        f"[yellow]cell {index + 1} raised {escape(printable(said))}:[/] "
                        f"{escape(printable(failure.message))}"
                    )
            elif entry.role is Role.TEST:
                names = sorted(cells.free_names(entry.source) & exercises)
                for name in names:
                    report = check(name, session.values([name])[name])
                    console.print(report)
                    console.print()
                    well = well and report.verdict is Verdict.PASS
    return well


def _assignment_of(course: Path, path: Path) -> Assignment:
    """The assignment that a notebook belongs to: by its name, else by its folder's."""
    for name in (path.stem, path.resolve().parent.name):
        if name in SLUGS:
            return Assignment.load(course, name)
    raise CourseError(
        f"{path.name} belongs to no chapter, and nothing else can be checked here: keep the name "
        "that it was handed out with "
        f"({', '.join(s + '.ipynb' for s in SLUGS)})"
    )
