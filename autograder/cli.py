"""The command `autograder`."""

from __future__ import annotations

import errno
import functools
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from autograder import __version__
from autograder.chapters import SLUGS, BrokenChapter, UnknownExercise, chapter, chapters
from autograder.exercise import Chapter
from autograder.report import number, printable

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
# A pipe or a file has no width of its own; 80 columns would fold every table. (A job may have no
# output at all: then there is no stdout.)
console = Console() if sys.stdout and sys.stdout.isatty() else Console(width=120)


def cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


Command = TypeVar("Command", bound=Callable[..., Any])
Course = Annotated[
    Path, typer.Option("--course", help="The course directory: where nbgrader_config.py is.")
]


def clear_errors(command: Command) -> Command:
    """Show a user's mistake as a sentence, without a traceback."""

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except (BrokenChapter, UnknownExercise) as error:
            _stop(str(error))
        except ModuleNotFoundError as error:
            if str(error.name).startswith("autograder"):
                raise
            if error.name in ("fcntl", "resource"):  # Python has them, but not everywhere
                _stop(
                    "this command needs Linux or macOS (on Windows: WSL 2). In a notebook, "
                    "check(...) works everywhere"
                )
            _stop(
                f"this command needs the package {error.name}, which checking in a notebook does "
                'not. Install all that grading needs: pip install ".[classroom]" in a copy of the '
                "course"
            )
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)  # these do not say where
            if error.filename is None and not full:
                raise
            where = f"{error.filename}: " if error.filename is not None else ""
            advice = ""
            if full:
                places = f"in the course directory or in {tempfile.gettempdir()}"
                advice = f". Make room, {places}, and run the same command again"
            _stop(f"{where}{error.strerror}{advice}")
        except Exception as error:
            if type(error).__name__ != "CourseError":  # imported only where it can be raised
                raise
            _stop(str(error))

    return wrapped  # type: ignore[return-value]


def _stop(message: str, code: int = 2) -> NoReturn:
    message = "\n".join(map(printable, message.splitlines()))  # it may hold a student's file name
    said = f"[bold red]autograder:[/] {escape(message)}"
    Console(stderr=True).print(said, highlight=False, soft_wrap=True)
    raise typer.Exit(code)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"autograder {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Check, prove, release and grade the course's exercises."""


@app.command()
@clear_errors
def catalog(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List chapters, exercises, points, probes and mistakes."""
    if as_json:
        print(json.dumps([_catalog(c) for c in chapters()], indent=2))  # ASCII: whole everywhere
        return
    for subject in chapters():
        points = number(sum(e.points for e in subject.exercises))
        console.print(f"[bold]{subject.title}[/] ({subject.slug}), {points} points")
        for exercise in subject.exercises:
            table = Table(
                title=f"{exercise.name}, {number(exercise.points)} points",
                title_justify="left",
                show_header=False,
                box=None,
                padding=(0, 2, 0, 2),
            )
            for probe in exercise.probes:
                hidden = " [dim](when graded)[/]" if probe.hidden else ""
                table.add_row(
                    f"[green]probe[/] {number(probe.points)}", escape(probe.sentence) + hidden
                )
            for mistake in exercise.mistakes:
                table.add_row(f"[red]mistake[/] {number(mistake.earns)}", escape(mistake.summary))
            console.print(table)
        console.print()


def _catalog(subject: Chapter) -> dict[str, Any]:
    return {
        "chapter": subject.slug,
        "title": subject.title,
        "exercises": [
            {
                "name": e.name,
                "points": e.points,
                "probes": [
                    {
                        "name": p.name,
                        "sentence": p.sentence,
                        "points": float(p.points),
                        "hidden": p.hidden,
                    }
                    for p in e.probes
                ],
                "mistakes": [
                    {"name": m.name, "summary": m.summary, "hint": m.hint, "earns": m.earns}
                    for m in e.mistakes
                ],
            }
            for e in subject.exercises
        ],
    }


@app.command()
@clear_errors
def verify(
    assignments: Annotated[
        list[str] | None, typer.Argument(help="Which chapters; all by default.")
    ] = None,
    course: Course = Path(),
) -> None:
    """Prove assignments before release: answers, mistakes, mutants, cells. Exits 1 if one fails."""
    from autograder.classroom.verify import verify as prove_assignment

    well = True
    for slug in assignments or SLUGS:
        subject = chapter(slug)
        with console.status(f"Proving {subject.title} …"):
            result = prove_assignment(course, slug)
        table = Table(title=f"{subject.title} ({slug})", title_justify="left")
        table.add_column("exercise", no_wrap=True)
        for column in ("points", "probes", "right answers", "mistakes named", "mutants caught"):
            table.add_column(column, justify="right")
        table.add_column("proved")
        for proof in result.proofs:
            exercise = proof.exercise
            alike = f" (+{len(proof.equivalents)} alike)" if proof.equivalents else ""
            counted = proof.mutants - len(proof.equivalents)
            table.add_row(
                exercise.name,
                number(exercise.points),
                str(len(exercise.probes)),
                str(1 + len(exercise.alternatives)),
                str(len(exercise.mistakes)),
                f"{proof.killed} of {counted}{alike}",
                "[green]yes[/]" if proof.ok else "[bold red]no[/]",
            )
        console.print(table)
        for proof in result.proofs:
            for fault in proof.faults:
                console.print(f"  [red]✗[/] {proof.exercise.name}: {escape(fault)}")
            for survivor in proof.survivors:
                console.print(
                    f"  [red]✗[/] {proof.exercise.name}: no probe catches {escape(str(survivor))}"
                )
            for mutant, reason in proof.equivalents:
                alike = escape(f"{mutant}: {reason}")
                console.print(f"  [dim]= {proof.exercise.name}: {alike}[/]")
        for fault in result.notebook_faults:
            console.print(f"  [red]✗[/] notebook: {escape(fault)}")
        if not result.notebook_faults:
            console.print(
                "  [green]✓[/] notebook: the solution earns everything, the release nothing, the "
                "points agree, and graded cells stand alone"
            )
        console.print(f"  Mutation score: [bold]{result.mutation_score:.1%}[/]\n")
        well = well and result.ok
    if not well:
        raise typer.Exit(1)


@app.command()
@clear_errors
def release(
    assignments: Annotated[
        list[str] | None, typer.Argument(help="Which chapters; all by default.")
    ] = None,
    course: Course = Path(),
) -> None:
    """Make the students' notebooks from the solutions, with nbgrader's generate_assignment."""
    from autograder.classroom.release import generate

    for slug in assignments or SLUGS:
        with console.status(f"Releasing {slug} …"):
            path = generate(course, slug)
        console.print(f"[green]✓[/] {escape(str(path))}")


@app.command("sample-class")
@clear_errors
def sample_class(
    folder: Annotated[Path, typer.Argument(help="Where to make it: a course directory.")],
    course: Course = Path(),
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Compare the grades of one that is graded; exits 1 if one is wrong."
        ),
    ] = False,
) -> None:
    """Make a class of sample submissions, with the score that each deserves."""
    from autograder.classroom.sample import compare_with_deserved, write_sample_class

    if not check:
        with console.status("Making the sample class …"):
            total = write_sample_class(course, folder, list(SLUGS))
        console.print(f"[green]✓[/] {total} submissions in {escape(str(folder))}/submitted")
        return
    faults = [fault for slug in SLUGS for fault in compare_with_deserved(folder, slug)]
    for fault in faults:
        console.print(f"[red]✗[/] {escape(fault)}")
    if faults:
        raise typer.Exit(1)
    console.print("[green]✓[/] every sample submission has the score that it deserves")


@app.command()
@clear_errors
def grade(
    assignments: Annotated[
        list[str] | None,
        typer.Argument(help="Which assignments; by default all chapters that were handed in."),
    ] = None,
    course: Course = Path(),
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", min=1, help="How many submissions side by side.")
    ] = cores(),
    cell_seconds: Annotated[
        float, typer.Option(min=0.1, max=120, help="The time limit for one of the student's cells.")
    ] = 20.0,
    call_seconds: Annotated[
        float,
        typer.Option(min=0.1, max=120, help="The time limit for one call of a student's function."),
    ] = 5.0,
    no_walls: Annotated[
        bool, typer.Option("--no-walls", help="Grade even where walls cannot be raised.")
    ] = False,
    no_gradebook: Annotated[
        bool, typer.Option("--no-gradebook", help="Leave nbgrader's gradebook alone.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Grade again what is in the ledger already.")
    ] = False,
    scheduler: Annotated[
        str, typer.Option(help="Grade on a Dask cluster: its scheduler, tcp://HOST:PORT.")
    ] = "",
) -> None:
    """Grade a class: every submission in a process of its own, then the gradebook in one go."""
    try:
        from autograder.classroom.judges import Judges, collect_seldom, warm_up

        warm_up()
        collect_seldom()  # also while much is imported
        from autograder.classroom import runs
        from autograder.sandbox.pool import Limits

        collect_seldom()
        limits = Limits(cell_seconds=cell_seconds, call_seconds=call_seconds)
        options = runs.Options(no_walls, no_gradebook, again, scheduler)
        with Judges(jobs, limits) as judges:
            runs.grade_course(console, course, assignments or [], options, judges)
    except KeyboardInterrupt:
        _stop("interrupted. What was graded is kept: run the same command again to go on", 130)


@app.command()
@clear_errors
def check(
    notebook: Annotated[Path, typer.Argument(help="Your notebook.", dir_okay=False)],
    course: Course = Path(),
) -> None:
    """Check a notebook as a student: its reports, in the terminal. Exits 1 if one does not pass."""
    from autograder.classroom import runs

    if not runs.check_notebook(console, course, notebook):
        raise typer.Exit(1)
