"""nbgrader's side of a graded class: the gradebook, and the graded notebooks.

Grades are written in one transaction, by one process, when all grading is done: a run that is
stopped before leaves them as they were. Formgrader and ``nbgrader generate_feedback`` go on from
here.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import logging
import re
import secrets
import tempfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import dateutil.parser
from nbgrader.api import (
    BaseCell,
    Comment,
    Grade,
    Gradebook,
    MissingEntry,
    SolutionCell,
    Student,
    SubmittedAssignment,
    SubmittedNotebook,
    new_uuid,
)
from nbgrader.utils import parse_utc
from sqlalchemy import (
    Column,
    Float,
    MetaData,
    String,
    Table,
    bindparam,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.exc import SQLAlchemyError

from autograder.classroom import cells
from autograder.classroom.grading import CellGrade, Graded, harmless
from autograder.classroom.release import (
    CourseError,
    course_config,
    course_directory,
    generate,
    typed_here,
    unwritable,
    without_programs,
)
from autograder.classroom.submissions import Assignment
from autograder.report import in_code, number, printable
from autograder.verdict import Verdict

# What the scores in the gradebook are of: the digest of each graded notebook, by its key there. It
# is a table of ours beside nbgrader's, so that the two are written, restored and deleted together.
_GRADED = Table(
    "autograder_graded",
    MetaData(),
    Column("notebook_id", String(32), primary_key=True),
    Column("digest", String(64), nullable=False),
)
# What each cell was worth when they were written, by its key.
_WORTH = Table(
    "autograder_worth",
    MetaData(),
    Column("cell_id", String(32), primary_key=True),
    Column("points", Float, nullable=False),
)


def record(
    course: Path,
    assignment: Assignment,
    graded: Sequence[Graded],
    known: Collection[str] = (),
) -> list[str]:
    """Write the scores and comments of a graded class into the gradebook.

    Every grade that the assignment expects is written for every submission, so that none is left
    over from an earlier one. Grades that a person gave are kept, and shown again if they are of
    another submission, beside another score of ours, or out of other points. A grade that is
    missing through our own fault is left open.

    Args:
        course: the course directory.
        assignment: what was graded.
        graded: what became of every submission.
        known: the students whose submissions should be in the gradebook already.

    Returns:
        What was odd, as sentences.

    Raises:
        CourseError: the gradebook cannot be written; it is as it was before.
    """
    directory = course_directory(course)
    _register(course, assignment, directory)
    try:
        with _opened(directory) as book:
            # nbgrader's methods commit one by one; held back, they make one transaction.
            commit, book.db.commit = book.db.commit, book.db.flush
            try:
                with book.db.no_autoflush:
                    entry = book.find_assignment(assignment.name)
                    _enter_answers(book.db, entry, assignment)
                    new = _enter(book.db, entry, [g.student for g in graded])
                    notes = _record_scores(book.db, entry, assignment, graded)
                    _record_comments(book.db, entry, assignment, graded)
                    notes += _record_times(book.db, entry, course, directory, graded)
                    notes += _odd(book.db, entry, graded, known, new)
                commit()
            except BaseException:
                book.db.rollback()
                raise
    except SQLAlchemyError as error:
        raise CourseError(
            f"the gradebook could not be written ({_said(error)}). It is as it was; when no other "
            "program uses it, run the same command again."
        ) from error
    return notes


def prepare(course: Path, assignment: Assignment) -> None:
    """Have nbgrader enter the assignment's cells in the gradebook already, if that can be done.

    It takes longer than to write down a small class, and does not need its grades. `record` says
    what stands in the way.
    """
    with contextlib.suppress(CourseError):
        _register(course, assignment, course_directory(course))


@contextlib.contextmanager
def _opened(directory: Any) -> Iterator[Any]:
    """nbgrader's gradebook, which keeps to itself the tracebacks of what we say in a sentence."""
    logger = logging.getLogger("tornado.application")
    before, logger.disabled = logger.disabled, True
    try:
        with without_programs():
            book = Gradebook(directory.db_url, directory.course_id)
        with book:
            yield book
    finally:
        logger.disabled = before


def _said(error: Exception) -> str:
    """What a database says of its trouble, in one line."""
    return str(error.args[0] if error.args else error).splitlines()[0]


def _register(course: Path, assignment: Assignment, directory: Any) -> None:
    """Have nbgrader enter the assignment's cells in the gradebook, unless it has these very cells.

    Raises:
        CourseError: the gradebook cannot be opened, or has grades for other cells than these.
    """
    name = assignment.name
    try:
        with _opened(directory) as book:
            if _registered(book, name) == _expected(assignment):
                return
            _forget_blank(book, name)
            try:
                with tempfile.TemporaryDirectory() as scratch:
                    generate(course, name, release=Path(scratch), db_url=directory.db_url)
            except CourseError as error:
                if not any(said in str(error) for said in _IN_USE):
                    raise
                _take_points(book, assignment)
            book.db.expire_all()
            if _registered(book, name) == _expected(assignment):
                return
    except (SQLAlchemyError, CourseError) as error:
        raise CourseError(
            f"the gradebook cannot be used ({_said(error)}). If another program uses it, wait and "
            f"run again; if it is of another nbgrader, run: "
            f"{typed_here(course, 'nbgrader db upgrade')}"
        ) from error
    raise CourseError(
        f"the gradebook has grades for other cells of {name} than the source has now. Take the "
        "change back, or begin anew, without the deadline and the grades that a person gave: "
        f"{typed_here(course, f'nbgrader db assignment remove {name} --force')}"
    )


# What nbgrader says of an assignment that it does not change because something was handed in.
_IN_USE = ("Cannot add or remove cells", "Cannot modify existing assignment")


def _forget_blank(book: Any, name: str) -> None:
    """Take away all submissions of an assignment, if there is nothing in any of them.

    `nbgrader autograde` leaves them where it fails, and then nbgrader takes no cells in any more.
    """
    try:
        entry = book.find_assignment(name)
    except MissingEntry:
        return
    if not entry.submissions or not all(map(_is_blank, entry.submissions)):
        return
    mine = SubmittedAssignment.assignment_id == entry.id
    pages = select(SubmittedAssignment.id).where(mine)
    of_pages = SubmittedNotebook.assignment_id.in_(pages)
    sheets = select(SubmittedNotebook.id).where(of_pages)
    for table, which in (
        (Grade, Grade.notebook_id.in_(sheets)),
        (Comment, Comment.notebook_id.in_(sheets)),
        (SubmittedNotebook, of_pages),
        (SubmittedAssignment, mine),
    ):
        book.db.execute(delete(table).where(which).execution_options(synchronize_session=False))
    book.db.commit()
    book.db.expire_all()


def _take_points(book: Any, assignment: Assignment) -> None:
    """Take other points over, if the graded cells are those that the gradebook knows.

    nbgrader refuses them where any cell at all is new or gone, be it a text.
    """
    name, worth = assignment.name, _expected(assignment)
    if _registered(book, name).keys() != worth.keys():
        return
    notebook = book.find_notebook(name, name)
    for cell in (*notebook.grade_cells, *notebook.task_cells):
        cell.max_score = worth[cell.name]
    book.db.commit()


def _is_blank(submission: Any) -> bool:
    given = [submission.extension]
    for notebook in submission.notebooks:
        given += [v for g in notebook.grades for v in (g.auto_score, g.manual_score)]
        given += [g.extra_credit for g in notebook.grades]
        given += [c.manual_comment for c in notebook.comments]
    return all(value is None for value in given)


def _expected(assignment: Assignment) -> dict[str, float]:
    """The graded cells of an assignment, and what they are worth."""
    return {cells.grade_id(c): cells.points(c) for c in assignment.graded}


def _registered(book: Any, name: str) -> dict[str, float]:
    """The graded cells of an assignment that the gradebook knows, and what they are worth.

    None where it takes it for more than one notebook, as nbgrader does, and we do not.
    """
    try:
        notebook = book.find_notebook(name, name)
    except MissingEntry:
        return {}
    if len(notebook.assignment.notebooks) > 1:
        return {}
    return {c.name: c.max_score for c in (*notebook.grade_cells, *notebook.task_cells)}


def _enter_answers(db: Any, entry: Any, assignment: Assignment) -> None:
    """Enter the cells for answers that the gradebook does not know, and a comment for each student.

    They carry no points themselves. nbgrader takes in none where something was handed in, and then
    stumbles over them in feedback.
    """
    (notebook,) = entry.notebooks
    known = {c.name for c in notebook.solution_cells}
    mine = SubmittedNotebook.notebook_id == notebook.id
    for name in map(cells.grade_id, filter(cells.is_solution, assignment.source.cells)):
        if name not in known:
            cell = SolutionCell(id=new_uuid(), name=name, notebook=notebook)
            db.add(cell)
            db.flush()
            rows = [
                {"notebook_id": sheet, "cell_id": cell.id}
                for sheet in db.scalars(select(SubmittedNotebook.id).where(mine))
            ]
            if rows:
                db.execute(insert(Comment), rows)


def _enter(db: Any, entry: Any, students: Sequence[str]) -> set[str]:
    """Enter students and their submissions, blank, where the gradebook has none; return whose.

    nbgrader's own methods do the same for one student at a time, with ten queries each.
    """
    (notebook,) = entry.notebooks
    graded = [c.id for c in (*notebook.grade_cells, *notebook.task_cells)]
    commented = [c.id for c in (*notebook.solution_cells, *notebook.task_cells)]
    enrolled = set(db.scalars(select(Student.id)))
    known = set(
        db.scalars(
            select(SubmittedAssignment.student_id).where(
                SubmittedAssignment.assignment_id == entry.id
            )
        )
    )
    new = [(student, new_uuid(), new_uuid()) for student in students if student not in known]
    for table, rows in (
        (Student, [{"id": s} for s in students if s not in enrolled]),
        (
            SubmittedAssignment,
            [{"id": page, "assignment_id": entry.id, "student_id": s} for s, page, _ in new],
        ),
        (
            SubmittedNotebook,
            [
                {"id": sheet, "assignment_id": page, "notebook_id": notebook.id}
                for _, page, sheet in new
            ],
        ),
        (Grade, [{"notebook_id": sheet, "cell_id": c} for _, _, sheet in new for c in graded]),
        (Comment, [{"notebook_id": sheet, "cell_id": c} for _, _, sheet in new for c in commented]),
    ):
        if rows:
            db.execute(insert(table), rows)
    return {student for student, _, _ in new}


def _record_scores(
    db: Any, entry: Any, assignment: Assignment, graded: Sequence[Graded]
) -> list[str]:
    """Write down what every cell earned, and where a person is asked.

    Returns:
        Where a person should look again at points that a person gave, as sentences.
    """
    results = {g.student: g for g in graded}
    worth, then = _worth(db, entry, assignment)
    moved: dict[str, list[str]] = {}
    stale: set[str] = set()
    scores = {(r.student, g.grade_id): g.score for r in graded for g in r.grades}
    _GRADED.create(db.connection(), checkfirst=True)
    before = dict(db.execute(select(_GRADED)).all())
    by_person = (Grade.manual_score, Grade.extra_credit, Grade.needs_manual_grade)
    changes, digests = [], {}
    for row in db.execute(_of_cells(Grade, entry, Grade.notebook_id, Grade.auto_score, *by_person)):
        key, student, cell, sheet, was, by_hand, extra, asked = row
        if student in results:
            result, mine = results[student], scores.get((student, cell))
            digest = digests[sheet] = _digest(result)
            ask = mine is None or bool(result.problem)
            if by_hand is not None or extra:
                same = digest and (before.get(sheet), was) == (digest, mine)
                ask = asked or not same or (by_hand is None and mine is None)
                if not same and not asked:
                    stale.add(student)
            if by_hand is not None and cell in then:
                moved.setdefault(cell, []).append(f"{student} {number(by_hand)}")
                ask = True
            changes.append({"id": key, "auto_score": mine, "needs_manual_grade": ask})
    _change(db, Grade, changes)
    changed = {sheet for sheet, digest in digests.items() if before.get(sheet) != digest}
    forget(db, changed & before.keys())
    if changed:
        rows = [{"notebook_id": sheet, "digest": digests[sheet]} for sheet in sorted(changed)]
        db.execute(insert(_GRADED), rows)
    notes = [
        f"{cell} is worth {number(worth[cell])} now, not {number(then[cell])}: the points that a "
        f"person gave are kept, and marked for another look in formgrader ({_few(sorted(given))})"
        for cell, given in sorted(moved.items())
    ]
    if stale:
        notes.append(
            f"{_few(sorted(stale))}: the submission or our score may be another one than when a "
            "person gave points: these are kept, and marked for another look in formgrader"
        )
    return notes


def _digest(result: Graded) -> str:
    """What was graded, or why there is nothing; empty if it could not be seen."""
    if result.digest or result.blocked:
        return result.digest
    return hashlib.sha256(result.problem.encode("utf-8", "replace")).hexdigest()


def _worth(
    db: Any, entry: Any, assignment: Assignment
) -> tuple[dict[str, float], dict[str, float]]:
    """Write down what each cell is worth; return that, and what those were worth that changed."""
    (notebook,) = entry.notebooks
    keys = {c.name: c.id for c in (*notebook.grade_cells, *notebook.task_cells)}
    _WORTH.create(db.connection(), checkfirst=True)
    mine = _WORTH.c.cell_id.in_(keys.values())
    before = dict(db.execute(select(_WORTH).where(mine)).all())
    worth = _expected(assignment)
    db.execute(delete(_WORTH).where(mine))
    if worth:
        db.execute(insert(_WORTH), [{"cell_id": keys[c], "points": p} for c, p in worth.items()])
    then = {c: before[keys[c]] for c, p in worth.items() if before.get(keys[c], p) != p}
    return worth, then


def _few(names: Sequence[str]) -> str:
    """The first few of some names."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def forget(db: Any, sheets: Collection[str]) -> None:
    """No longer take it that the scores of some notebooks, by their keys, are what we wrote."""
    _GRADED.create(db.connection(), checkfirst=True)
    if sheets:
        one = delete(_GRADED).where(_GRADED.c.notebook_id == bindparam("sheet"))
        db.execute(one, [{"sheet": sheet} for sheet in sheets])


def _odd(
    db: Any, entry: Any, graded: Sequence[Graded], known: Collection[str], new: set[str]
) -> list[str]:
    """What somebody may have done to the gradebook, or to what was handed in, as sentences."""
    notes = []
    if known and new.issuperset(known):
        notes.append(
            "the gradebook had none of the submissions that were graded before: what an older one "
            "had of deadlines, and of points that a person gave, is not in it"
        )
    students = {g.student for g in graded}
    mine = SubmittedAssignment.assignment_id == entry.id
    gone = sorted(set(db.scalars(select(SubmittedAssignment.student_id).where(mine))) - students)
    if gone:
        notes.append(
            f"nothing is handed in any more by {_few(gone)}: the gradebook keeps the old grade"
        )
    return notes


def _record_comments(db: Any, entry: Any, assignment: Assignment, graded: Sequence[Graded]) -> None:
    """Write down what there is to say at every answer."""
    said = {g.student: comments(assignment, g) for g in graded}
    changes = [
        {"id": key, "auto_comment": said[student].get(cell)}
        for key, student, cell in db.execute(_of_cells(Comment, entry))
        if student in said
    ]
    _change(db, Comment, changes)


def _record_times(
    db: Any, entry: Any, course: Path, directory: Any, graded: Sequence[Graded]
) -> list[str]:
    """Write down when submissions were received, and what the late ones lose by it.

    Returns:
        What was odd, as sentences.
    """
    found = db.execute(
        select(SubmittedAssignment.student_id, SubmittedAssignment.id, SubmittedNotebook.id)
        .join(SubmittedNotebook.assignment)
        .where(SubmittedAssignment.assignment_id == entry.id)
    )
    ids = {student: (page, sheet) for student, page, sheet in found}
    notes, pages, sheets = [], [], []
    for result in graded:
        timestamp, note = _timestamp(_submitted(directory, result))
        if note:
            notes.append(f"{result.student}: {note}")
        page, sheet = ids[result.student]
        pages.append({"id": page, "timestamp": timestamp})
        sheets.append({"id": sheet, "late_submission_penalty": None})
    _change(db, SubmittedAssignment, pages)
    _change(db, SubmittedNotebook, sheets)
    if entry.duedate is not None:
        timed = {page["id"] for page in pages if page["timestamp"] is not None}
        mine = SubmittedAssignment.assignment_id == entry.id
        for submission in db.scalars(select(SubmittedAssignment).where(mine)):
            if submission.id in timed and submission.total_seconds_late > 0:
                (notebook,) = submission.notebooks  # its score counts what a person gave, too
                notebook.late_submission_penalty = _penalty(
                    course,
                    submission.student_id,
                    float(notebook.score),
                    float(submission.total_seconds_late),
                )
    return notes


def _of_cells(table: Any, entry: Any, *columns: Any) -> Any:
    """The rows of a table for the cells of all submissions: its key, the student, the cell."""
    return (
        select(table.id, SubmittedAssignment.student_id, BaseCell.name, *columns)
        .join(table.notebook)
        .join(SubmittedNotebook.assignment)
        .join(table.cell)
        .where(SubmittedAssignment.assignment_id == entry.id)
    )


def _change(db: Any, table: Any, changes: Sequence[dict[str, Any]]) -> None:
    """Change rows, each by its key, in one go: nbgrader's objects for them would take seconds."""
    if changes:
        db.execute(update(table), changes)


def comments(assignment: Assignment, result: Graded) -> dict[str, str]:
    """What to say at each solution cell, by its `grade_id`: what went wrong in what it defines."""
    said: dict[str, str] = {}
    places = assignment.places
    for cell, grade in zip(assignment.graded, result.grades, strict=True):
        if grade.verdict in ("", Verdict.PASS):
            continue
        names = [grade.exercise]
        if cells.is_test(cell):
            names += sorted(cells.free_names(cell.source))
        place = next((places[name] for name in names if name in places), grade.grade_id)
        # A comment is Markdown to formgrader, and may repeat what a student's exception said.
        said[place] = harmless(printable(_comment(grade)))
    return said


def _comment(grade: CellGrade) -> str:
    if grade.verdict == Verdict.MISSING and not grade.report:
        return "No response." if grade.headline == "no answer" else grade.headline
    if grade.verdict == Verdict.INTERNAL:  # nbgrader's feedback shows an open score as 0
        return f"Not graded yet, through no fault of yours: {grade.headline}"
    report = grade.report or {}
    said = [f"{d['summary']} {d['hint']}" for d in report.get("diagnoses", [])]
    if said and report.get("uses"):
        said.insert(0, f"It uses {in_code(report['uses'])}: begin there.")
    return " ".join(said) or f"{grade.verdict}: {grade.headline}"


def _penalty(course: Path, student: str, score: float, seconds_late: float) -> float | None:
    """What the course's late-submission plugin takes off, between nothing and the score."""
    from nbgrader.preprocessors import AssignLatePenalties

    config = course_config(course)
    what = "cannot be used"
    try:
        preprocessor = AssignLatePenalties(config=config)
        preprocessor.init_plugin()
        what = f"failed for {student}"
        penalty = preprocessor.plugin_inst.late_submission_penalty(student, score, seconds_late)
        return None if penalty is None else float(min(max(penalty, 0.0), score))
    except Exception as error:  # the plugin is the course's own
        why = _ADDRESS.sub("", f"{type(error).__name__}: {error}").removesuffix(": ")
        raise CourseError(
            f"the plugin for late submissions {what} ({why}). See "
            "AssignLatePenalties.plugin_class in nbgrader_config.py; nothing was written into the "
            "gradebook."
        ) from error


_ADDRESS = re.compile(r"( object)? at 0x[0-9a-fA-F]+")
# dateutil takes from today what a text does not say: then it says something else every day.
_DAYS = (datetime.datetime(2001, 1, 1), datetime.datetime(2002, 2, 2))
_OFFSET = re.compile(r"\s+(?=[+-]\d\d:?\d\d$)")


def _timestamp(submitted: Path) -> tuple[datetime.datetime | None, str]:
    """When the submission was received, from ``timestamp.txt``; and what is wrong with it."""
    try:
        text = _text_beside(submitted, "timestamp.txt", 100)
        if text is None:
            return None, ""
        with contextlib.suppress(ValueError):  # nbgrader takes +0200 for 200 seconds
            return parse_utc(datetime.datetime.fromisoformat(_OFFSET.sub("", text.strip()))), ""
        if len({dateutil.parser.parse(text, default=day) for day in _DAYS}) > 1:
            raise ValueError("no date")
        return parse_utc(text.strip()), ""
    except Exception:  # dateutil trips in many ways
        return None, "timestamp.txt is not a time; the submission counts as having none"


def _submitted(directory: Any, result: Graded) -> Path:
    """The folder of what a student handed in."""
    place = directory.submitted_directory, result.student, result.assignment
    return Path(directory.format_path(*place))


def _text_beside(submitted: Path, name: str, most: int) -> str | None:
    """What a file that nbgrader laid beside a submission says, up to a length; None without one.

    Raises OSError or ValueError if it cannot be read as text, or if somebody else's could be meant.
    """
    path = submitted / name
    if not path.is_file():
        return None
    if path.is_symlink() or submitted.is_symlink():
        raise ValueError("a link")
    with path.open(encoding="utf-8") as file:
        return file.read(most)


def notebook_path(directory: Any, result: Graded) -> Path:
    """Where formgrader looks for the graded notebook of a student."""
    folder = directory.format_path(
        directory.autograded_directory, result.student, result.assignment
    )
    return Path(folder) / f"{result.assignment}.ipynb"


def write_notebook(directory: Any, result: Graded) -> None:
    """Put the graded notebook where formgrader looks for it: whole, or not at all."""
    target = notebook_path(directory, result)
    if not result.notebook:
        target.unlink(missing_ok=True)  # an older one would belong to an older submission
        return
    write_whole(target, result.notebook)
    submitted = _submitted(directory, result)
    timestamp, _ = _timestamp(submitted)  # nbgrader would stumble over what is not a time
    for name, text in (
        ("timestamp.txt", f"{timestamp} UTC\n" if timestamp else None),
        ("submission_secret.txt", _submission_secret(submitted)),
    ):
        if text is None:
            (target.parent / name).unlink(missing_ok=True)
        else:
            write_whole(target.parent / name, text)


def _submission_secret(submitted: Path) -> str | None:
    """What `nbgrader submit` laid beside the notebook; `release_feedback` names its files by it."""
    try:
        text = _text_beside(submitted, "submission_secret.txt", 1000)
    except (OSError, ValueError):
        return None
    return text if text and re.fullmatch(r"[0-9a-fA-F]{8,999}\n?", text) else None


def write_whole(path: Path, data: str | bytes) -> None:
    """Write a file so that it is there whole or not at all, whenever the run is stopped.

    Text is written as UTF-8.

    Raises:
        CourseError: there is no room, or no permission.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_aside(path, data.encode("utf-8") if isinstance(data, str) else data)
    except OSError as error:
        raise unwritable(path, error) from error


def _write_aside(path: Path, data: bytes) -> None:
    """Write a file under another name, then give it its own."""
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with aside.open("xb") as file:  # who may read it, the umask says
            file.write(data)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
