"""From one source to students: a chapter's ``.py`` becomes nbgrader's source and the release.

The source of an assignment is ``solutions/<slug>/<slug>.py``, a Python file with cells (jupytext's
percent format) and nbgrader's metadata. nbgrader itself takes the solutions out.
"""

from __future__ import annotations

import ast
import contextlib
import copy
import errno
import logging
import shlex
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from traitlets.config import Config
from traitlets.config.loader import PyFileConfigLoader

from autograder.classroom import cells
from autograder.sandbox.notebook import needs_ipython

CONFIG = "nbgrader_config.py"


class CourseError(Exception):
    """Something about the course directory keeps us from going on; the message says what to do."""


def unwritable(path: Path, error: OSError) -> CourseError:
    """The error for a result that could not be written: the disk is full, or it is not ours."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    mend = "make room" if full else "see to it that you may write there"
    return CourseError(
        f"{path} cannot be written: {error.strerror}. What was graded before is kept; {mend}, and "
        "run the same command again."
    )


def course_config(course: Path) -> Config:
    """The nbgrader configuration of a course directory.

    Raises:
        CourseError: there is none, or it cannot be run.
    """
    if not (course / CONFIG).is_file():
        raise CourseError(
            f"{course} is not a course directory: it has no {CONFIG}. "
            "Run the command at the root of the course, or name it with --course."
        )
    try:
        loaded = PyFileConfigLoader(CONFIG, path=str(course)).load_config()
    except Exception as error:  # the file is Python: anything may be wrong with it
        frames = traceback.extract_tb(error.__traceback__)
        lines = [f.lineno for f in frames if Path(f.filename).name == CONFIG]
        where = f", line {lines[-1]}" if lines else ""
        why = f"{type(error).__name__}: {error}"
        raise CourseError(f"{course / CONFIG}{where} cannot be run ({why})") from error
    config = Config(loaded)
    config.CourseDirectory.root = str(course.resolve())
    return config


def typed_here(course: Path, command: str) -> str:
    """A command of nbgrader's as it is to be typed: elsewhere it would mean another course."""
    if course.resolve() == Path.cwd():
        return command
    return f"(cd {shlex.quote(str(course))} && {command})"


def course_directory(course: Path) -> Any:
    """nbgrader's view of a course directory."""
    return _directory(course_config(course))


def source_path(course: Path, assignment: str) -> Path:
    """Where the instructor's source of an assignment is: the ``.py``, or nbgrader's notebook.

    Raises:
        CourseError: there is neither, or another notebook as well.
    """
    if assignment in ("", ".", "..") or "/" in assignment:
        raise CourseError(
            f"{assignment!r} is not the name of an assignment, such as feature_scaling"
        )
    directory = course_directory(course)
    folder = Path(directory.format_path(directory.source_directory, ".", assignment))
    if others := sorted(p.name for p in folder.glob("*.ipynb") if p.stem != assignment):
        raise CourseError(
            f"an assignment is one notebook here, {assignment}.ipynb, but {folder} also has "
            f"{', '.join(others)}: make each an assignment of its own"
        )
    for suffix in (".py", ".ipynb"):
        if (path := folder / f"{assignment}{suffix}").is_file():
            return path
    raise CourseError(
        f"there is no assignment {assignment!r}: neither {assignment}.py nor {assignment}.ipynb "
        f"is in {folder}. The whole course is needed, with its sources: run the command there, or "
        "name it with --course."
    )


def read_source(path: Path) -> NotebookNode:
    """The instructor's source as a notebook, with the same cell ids each time.

    Raises:
        CourseError: it is not one, or not UTF-8, or a graded cell or a solution is not Python.
    """
    try:
        notebook = _read_source(path)
    except (ValueError, nbformat.ValidationError) as error:
        raise CourseError(f"{path} cannot be read: {_first_line(error)}") from error
    for cell in notebook.cells:
        graded = cells.is_test(cell)
        solution = cells.is_solution(cell) and cell.cell_type == "code"
        if not graded and (not solution or needs_ipython(cell.source)):
            continue
        try:
            ast.parse(cell.source)
        except SyntaxError as error:
            what = "graded cell" if graded else "solution in the cell"
            advice = " (magics are for cells that are not graded)" if graded else ""
            raise CourseError(
                f"{path}: the {what} {cells.grade_id(cell)} is not Python: line "
                f"{error.lineno}: {error.msg}{advice}"
            ) from error
    return notebook


def _read_source(path: Path) -> NotebookNode:
    if path.suffix == ".ipynb":
        notebook = nbformat.read(path, as_version=4)
        for index, cell in enumerate(notebook.cells):  # before 4.5 there were no ids
            cell.setdefault("id", f"cell-{index}")
        notebook.nbformat_minor = 5
        return notebook
    import jupytext  # no judge needs it, and it takes as long to import as all that one needs

    notebook = jupytext.read(path, fmt="py:percent")
    notebook.metadata.pop("jupytext", None)
    seen: set[str] = set()  # nbgrader refuses what has a grade_id twice, and says so
    for index, cell in enumerate(notebook.cells):
        cell.metadata.pop("lines_to_next_cell", None)
        name = cells.grade_id(cell)
        cell["id"] = name if name and name not in seen else f"cell-{index}"
        seen.add(name)
    notebook.nbformat_minor = 5
    nbformat.validate(notebook)
    return notebook


def write_source(course: Path, assignment: str) -> Path:
    """Write nbgrader's source notebook beside the ``.py``; a source without one is kept."""
    path = source_path(course, assignment)
    if path.suffix == ".ipynb":
        return path
    target = path.with_suffix(".ipynb")
    text = nbformat.writes(read_source(path))
    if not target.is_file() or target.read_text(encoding="utf-8") != text:
        target.write_text(text, encoding="utf-8")
    return target


def generate(
    course: Path, assignment: str, *, release: Path | None = None, db_url: str | None = None
) -> Path:
    """Release an assignment with nbgrader's own ``generate_assignment``.

    Args:
        course: the course directory.
        assignment: the assignment's name.
        release: write below this folder instead of the course's release directory.
        db_url: register the assignment in this gradebook; in none by default.

    Returns:
        The released notebook.

    Raises:
        CourseError: nbgrader refused; the message is its own. Or it would not find the course.
    """
    from nbgrader.converters import GenerateAssignment
    from nbgrader.converters.base import NbGraderException

    config = course_config(course)
    if set("*?[") & set(str(course.resolve())):
        raise CourseError(f"nbgrader takes *, ? and [ for a pattern: rename {course.resolve()}")
    write_source(course, assignment)
    config.CourseDirectory.assignment_id = assignment
    if release is not None:
        config.CourseDirectory.release_directory = str(release.resolve())
    with tempfile.TemporaryDirectory() as scratch:
        config.CourseDirectory.db_url = db_url or f"sqlite:///{scratch}/gradebook.db"
        directory = _directory(config)
        with _listening() as said:
            converter = GenerateAssignment(coursedir=directory, config=config, log=_quiet())
            converter.force = True
            try:
                with without_programs():
                    converter.start()
            except (NbGraderException, SystemExit, RuntimeError) as error:
                path = source_path(course, assignment)
                source = nbformat.read(path.with_suffix(".ipynb"), 4)
                why = _malformed(source, path) or _reason(said) or error
                raise CourseError(f"nbgrader could not release {assignment}: {why}") from error
    folder = directory.format_path(directory.release_directory, ".", assignment)
    return Path(folder) / f"{assignment}.ipynb"


def _malformed(notebook: NotebookNode, path: Path) -> str:
    """What is wrong with the metadata of a source, in nbgrader's words; empty if nothing is.

    Args:
        notebook: the source.
        path: where it was read.
    """
    if said := _refused(notebook, path):
        for cell in notebook.cells:
            if alone := _refused(nbformat.v4.new_notebook(cells=[cell]), path):
                return f"the cell {cells.grade_id(cell) or repr(cell.source.strip()[:40])}: {alone}"
    return said


def _refused(notebook: NotebookNode, path: Path) -> str:
    from nbgrader.nbgraderformat import (
        SCHEMA_VERSION,
        MetadataValidator,
        SchemaTooNewError,
        SchemaTooOldError,
    )

    try:
        MetadataValidator().validate_nb(notebook)
    except SchemaTooOldError as error:
        advice = f"Keep a copy of it, and run: nbgrader update {shlex.quote(str(path))}"
        if path.suffix == ".py":  # where nbgrader looks for nothing
            advice = f'Write "schema_version": {SCHEMA_VERSION} there, in {path}'
        return f"{_first_line(error)}. {advice}"
    except SchemaTooNewError as error:
        return f"{_first_line(error)}. Install a newer nbgrader"
    except Exception as error:  # nbgrader's own, and those of its schema
        return _first_line(error)
    return ""


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


@contextlib.contextmanager
def without_programs() -> Iterator[None]:
    """Have nbgrader make a new gradebook by itself.

    It would start a program, which takes seconds, for one word: the version of its tables.
    """
    from unittest.mock import patch

    from nbgrader import api

    with patch.object(api, "get_alembic_version", _version):
        yield


def _version() -> str | None:
    """The version of nbgrader's tables."""
    from alembic.script import ScriptDirectory
    from nbgrader import alembic

    (folder,) = alembic.__path__
    return ScriptDirectory(folder).get_current_head()


def students_version(course: Path, source: NotebookNode, path: Path) -> NotebookNode:
    """The source as students get it, cell by cell: solutions and hidden tests cleared.

    Args:
        course: the course directory.
        source: the instructor's notebook.
        path: where it was read.

    Raises:
        CourseError: nbgrader refuses the source; the message is its own.
    """
    from nbgrader.preprocessors import (
        ClearHiddenTests,
        ClearMarkScheme,
        ClearSolutions,
        ComputeChecksums,
        LockCells,
    )

    if why := _malformed(source, path):
        raise CourseError(f"the source is refused by nbgrader: {why}")
    config = course_config(course)
    notebook = copy.deepcopy(source)
    resources: dict[str, Any] = {}
    steps = (LockCells, ClearSolutions, ClearHiddenTests, ClearMarkScheme, ComputeChecksums)
    try:
        for step in steps:
            notebook, resources = step(config=config).preprocess(notebook, resources)
    except RuntimeError as error:  # a region that does not end
        raise CourseError(f"the source is refused by nbgrader: {error}") from error
    return notebook


def release_text(course: Path, assignment: str) -> str:
    """What the released notebook would be, without releasing it."""
    with tempfile.TemporaryDirectory() as scratch:
        return generate(course, assignment, release=Path(scratch)).read_text(encoding="utf-8")


def _directory(config: Config) -> Any:
    from nbgrader.coursedir import CourseDirectory

    return CourseDirectory(config=config)


def _quiet() -> logging.Logger:
    """A logger for nbgrader that keeps routine messages to itself."""
    logger = logging.getLogger("autograder.nbgrader")
    logger.setLevel(logging.ERROR)
    return logger


@contextlib.contextmanager
def _listening() -> Iterator[list[str]]:
    """Keep what nbgrader reports, instead of printing it with all its tracebacks."""
    said: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    handler, logger = Keep(), _quiet()
    before, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield said
    finally:
        logger.removeHandler(handler)
        logger.propagate = before


def _reason(said: Sequence[str]) -> str:
    """The exception that ended the last traceback which was reported, in one line; or nothing."""
    _, found, rest = "\n".join(said).rpartition("Traceback (most recent call last):")
    return next((line for line in rest.splitlines() if found and line[:1].strip()), "")
