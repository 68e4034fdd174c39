"""Reading what students hand in, and finding the instructor's cells in it again.

A submission is data from a stranger: whatever it holds, reading it ends in cells or in a sentence
that says why not. Editors lose metadata, students delete, copy and move cells; each cell of the
instructor's is looked for by its `grade_id`, then by its cell id, then by what it says. What had to
be repaired is written down.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from nbformat import NotebookNode

from autograder.classroom import cells
from autograder.classroom.release import CourseError, read_source, source_path, students_version
from autograder.sandbox.wire import clean

MAX_BYTES = 30_000_000
"""A notebook with many large figures has a few megabytes; more than this is not homework."""

MAX_PARTS = 1_000_000
"""Lists and dictionaries in the file: each takes a hundred bytes of our memory, empty or not."""

MAX_CELLS = 2_000
"""A course notebook has dozens of cells."""

MAX_CODE = 1_000_000
"""Characters of code; a course notebook has some ten thousand, and to read them takes us time.

Cells that are too long to be answers are not read, and not counted.
"""

MAX_ANSWER = 100_000
"""Characters of a cell in which an answer without its metadata is looked for."""

ALIKE = 0.75
"""How much a cell without its metadata must say the same (`_alike`) to be taken for ours."""


UNREAD = "the file cannot be read"
"""How a problem begins that is the machine's, not the student's."""


class Role(Enum):
    """What a cell of a worksheet is."""

    STUDENT = "the student's code"
    LOCKED = "the instructor's code"
    TEST = "a graded cell"
    WRITTEN = "an answer that a person grades"
    TEXT = "text"


@dataclass(frozen=True)
class Given:
    """A cell of the instructor's.

    Attributes:
        role: what it is on a worksheet.
        code: whether it is code, and not text.
        source: what the instructor wrote in it.
        released: what students get of that.
        metadata: its metadata, as students get it.
        id: its cell id; empty when it has none.
        name: its `grade_id`; empty when it has none.
        points: what it is worth; 0 when it is not graded.
        locked: whether students should leave it as it is.
        solution: whether students write in it.
    """

    role: Role
    code: bool
    source: str
    released: str
    metadata: dict[str, Any]
    id: str
    name: str
    points: float
    locked: bool
    solution: bool

    @classmethod
    def of(cls, source: NotebookNode, release: NotebookNode) -> Given:
        """What a cell says of itself, in the instructor's notebook and in the students'."""
        code, locked = source.cell_type == "code", bool(cells.metadata(source).get("locked"))
        if cells.is_test(source):
            role = Role.TEST
        elif cells.is_written(source):
            role = Role.WRITTEN
        elif locked:
            role = Role.LOCKED if code else Role.TEXT
        else:
            role = Role.STUDENT
        return cls(
            role,
            code,
            source.source,
            release.source,
            release.metadata,
            source.get("id", ""),
            cells.grade_id(source),
            cells.points(source) if role in (Role.TEST, Role.WRITTEN) else 0.0,
            locked,
            cells.is_solution(source),
        )


@dataclass(frozen=True)
class Assignment:
    """What the instructor wrote.

    Attributes:
        name: the assignment's name.
        source: the instructor's notebook, with solutions and hidden tests.
        release: the notebook as students get it, cell by cell the same.
        names: the names that students define; all others in a graded cell are the instructor's.
        solved: what the solution earns, by `grade_id`; empty until somebody wants to know.
        kinds: what the last line of each graded cell then is, as `grading` has it.
    """

    name: str
    source: NotebookNode
    release: NotebookNode
    names: tuple[str, ...]
    solved: dict[str, Any] = field(default_factory=dict, compare=False)
    kinds: dict[str, str] = field(default_factory=dict, compare=False)

    @classmethod
    def load(cls, course: Path, name: str) -> Assignment:
        """Read an assignment of a course.

        Raises:
            CourseError: there is none of that name, or nbgrader refuses it.
        """
        path = source_path(course, name)
        source = read_source(path)
        release = students_version(course, source, path)
        return cls(name, source, release, cells.student_names(source))

    @functools.cached_property
    def given(self) -> list[Given]:
        """The instructor's cells, read once for all submissions."""
        return list(map(Given.of, self.source.cells, self.release.cells))

    @functools.cached_property
    def graded(self) -> list[NotebookNode]:
        """The cells that carry points: tests, and answers that a person grades."""
        return [c for c in self.source.cells if cells.is_test(c) or cells.is_written(c)]

    @functools.cached_property
    def solution(self) -> Submission:
        """The source as if somebody had handed it in."""
        handed = (
            Cell(c.cell_type == "code", c.source, c.get("id", ""), cells.grade_id(c))
            for c in self.source.cells
        )
        return Submission("", Path(f"{self.name}.ipynb"), tuple(handed))

    @functools.cached_property
    def places(self) -> dict[str, str]:
        """The `grade_id` of the solution cell that defines each of the students' names."""
        return {
            name: cells.grade_id(cell)
            for cell in self.source.cells
            if cells.is_solution(cell) and cell.cell_type == "code"
            for name in cells.defined(cell.source)
        }

    def asked(self, test: Given) -> list[str]:
        """The students' names that a graded cell uses."""
        used = cells.asked_names(test.source)
        return [name for name in self.names if name in used]


class Cell(NamedTuple):
    """A cell that a student handed in: what is read of it.

    Attributes:
        code: whether it is code, and not text.
        source: what it says.
        id: its cell id; empty when it has none.
        name: its `grade_id`; empty when it has none.
    """

    code: bool
    source: str
    id: str
    name: str


@dataclass(frozen=True)
class Submission:
    """What one student handed in.

    Attributes:
        student: the student's id: the folder's name.
        path: the notebook.
        cells: its cells; empty when it cannot be read.
        digest: SHA-256 of the file, in hex; empty when there is no file.
        problem: why it cannot be read, as a sentence; empty when it can.
        notes: what was odd about the file, but could be dealt with.
    """

    student: str
    path: Path
    cells: tuple[Cell, ...] = ()
    digest: str = ""
    problem: str = ""
    notes: tuple[str, ...] = ()


class Handed(NamedTuple):
    """What a student handed in, not read yet: that takes time, and is best done where it is graded.

    Attributes:
        student: the student's id: the folder's name.
        path: where the notebook should be.
        problem: why it is not to be read, as a sentence; empty when it is.
    """

    student: str
    path: Path
    problem: str = ""

    def read(self) -> Submission:
        """Read it; never raises for what is in it."""
        if self.problem:
            return Submission(self.student, self.path, problem=self.problem)
        return read_submission(self.student, self.path)


def find_submissions(submitted: Path, assignment: str) -> list[Handed]:
    """Every student's submission of an assignment: ``submitted/<student>/<assignment>/``.

    A student's folder without the notebook is one, too: reading it says so. A folder that is a link
    has a `problem`: what it leads to may be the work of someone else.

    Raises:
        CourseError: a name that Python does not read as UTF-8 here; it would be another student's.
    """
    if not submitted.is_dir():
        return []
    found = []
    folders = sorted(submitted.absolute().iterdir())
    taken = {folder.name for folder in folders}
    for folder in folders:
        if not os.path.isdir(folder / assignment):  # nor is one that we may not look into
            continue
        path = folder / assignment / f"{assignment}.ipynb"
        student, problem = _spelt_out(folder.name, taken), ""
        if student != folder.name:
            if (encoding := sys.getfilesystemencoding()) != "utf-8":
                raise CourseError(
                    f"{submitted} has names that are not ASCII, and this shell's locale reads them "
                    f"as {encoding}: run the same command again with PYTHONUTF8=1 before it"
                )
            problem = "the name of the student's folder is not UTF-8: rename it"
        elif folder.is_symlink() or path.parent.is_symlink():
            problem = "the student's folder is a link, not a folder"
        found.append(Handed(student, path, problem))
    return found


def _spelt_out(name: str, taken: set[str]) -> str:
    """A file's name, or what to call it if it is no text: two of them must not become one."""
    data = os.fsencode(name)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("utf-8", "backslashreplace")
    while text in taken:
        text += "_"
    taken.add(text)
    return text


def locked(submitted: Path, assignment: str) -> list[Path]:
    """Students' folders that we may not look into: there may be a submission in them, or none."""
    return [folder for folder in _entries(submitted) if _is_locked(folder / assignment)]


def _is_locked(path: Path) -> bool:
    try:
        path.lstat()
    except PermissionError:
        return True
    except OSError:
        pass
    return False


def misplaced(submitted: Path, assignment: str) -> list[Path]:
    """What looks like a submission of an assignment, but is not where it is looked for.

    Also what lies beside one. A folder without the notebook has a problem, which names the others.
    """
    found = []
    for entry in _entries(submitted):
        if os.path.isfile(entry):
            found.append(entry)
        elif not entry.is_symlink() and not _is_locked(place := entry / assignment):
            found += (
                path
                for path in _entries(entry)
                if not _is_same(path, place) or not os.path.isdir(path)
            )
            notebook = place / f"{assignment}.ipynb"
            if os.path.isfile(notebook) and not place.is_symlink():
                found += (
                    path
                    for path in _entries(place)
                    if not _is_same(path, notebook) and os.path.isfile(path)
                )
    return [path for path in found if _is_like(path, assignment)]


def _is_same(path: Path, other: Path) -> bool:
    """Whether two paths in one folder are the same: to macOS's disks, `A` and `a` are."""
    if path.name.casefold() != other.name.casefold():
        return False
    try:
        return os.path.samestat(path.lstat(), other.lstat())
    except OSError:
        return False


def lost_on_nbgrader(submissions: Iterable[Handed]) -> list[Path]:
    """Students' folders with names that we take, and nbgrader's own commands do not."""
    odd = re.compile(r"^\.|[*?\[\x00-\x1f]")
    return [handed.path.parent.parent for handed in submissions if odd.search(handed.student)]


def _entries(folder: Path) -> list[Path]:
    """What is in a folder; nothing, if that cannot be read."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _is_like(path: Path, assignment: str) -> bool:
    """Whether a file or folder has nearly the name of an assignment."""
    name = assignment.casefold()
    if name not in path.name.casefold():
        return False
    return path.suffix == ".ipynb" if os.path.isfile(path) else path.name.casefold() == name


def read_submission(student: str, path: Path) -> Submission:
    """Read a notebook from a stranger; never raises for what is in it."""
    try:
        if path.is_symlink():
            return Submission(student, path, problem="the notebook is a link, not a file")
        if not path.is_file():
            what = "is not a file" if path.exists() else "is not there"
            others = sorted(clean(p.name) for p in path.parent.glob("*.ipynb") if p != path)
            there = f"; there is {', '.join(others[:3])}" if others else ""
            return Submission(student, path, problem=f"{path.name} {what}{there}")
        if path.stat().st_size > MAX_BYTES:
            size = path.stat().st_size // 1_000_000
            return Submission(student, path, problem=f"the notebook is too large ({size} MB)")
        data = path.read_bytes()
    except OSError as error:
        return Submission(student, path, problem=f"{UNREAD}: {error.strerror}")
    return from_bytes(student, path, data)


def from_bytes(student: str, path: Path, data: bytes) -> Submission:
    """The same, for a notebook that was read already."""
    digest = hashlib.sha256(data).hexdigest()
    try:
        found, notes = parse(data)
    except Unreadable as error:
        return Submission(student, path, digest=digest, problem=str(error))
    return Submission(student, path, tuple(found), digest, notes=tuple(notes))


class Unreadable(Exception):
    """A notebook that cannot be read; the message says why."""


def parse(data: bytes) -> tuple[list[Cell], list[str]]:
    """The cells of a notebook file, and what was odd about it.

    Raises:
        Unreadable: there is no notebook in it.
    """
    if data.count(b"[") + data.count(b"{") > MAX_PARTS:
        raise Unreadable(f"the notebook has more than {MAX_PARTS:,} parts; clear its outputs")
    notes: list[str] = []
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode(
            "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "cp1252", "replace"
        )
        notes.append("the file is not UTF-8; it was read all the same")
    if not text.strip():
        raise Unreadable("the file is empty")
    try:
        try:
            content = orjson.loads(text)
        except orjson.JSONDecodeError:  # slower, this takes more, and says what is wrong
            content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"the file is not a notebook: {_first_line(error)}") from None
    if not isinstance(content, dict):
        raise Unreadable("the file is JSON, but not a notebook")
    raw = content.get("cells")
    if "worksheets" in content and raw is None:  # nbformat 3
        # nbformat's converter validates what is in them, which takes minutes for a large file.
        try:
            raw = [cell for sheet in content["worksheets"] for cell in sheet["cells"]]
        except (TypeError, KeyError):
            raise Unreadable("an old notebook that cannot be converted") from None
        notes.append("the notebook had an old format; it was converted")
    if not isinstance(raw, list):
        raise Unreadable("the file is JSON, but has no list of cells")
    if len(raw) > MAX_CELLS:
        raise Unreadable(f"the notebook has {len(raw)} cells")
    found = [cell for cell in map(_cell, raw) if cell is not None]
    code = sum(len(cell.source) for cell in found if cell.code and len(cell.source) <= MAX_ANSWER)
    if code > MAX_CODE:
        raise Unreadable(f"the notebook has {code:,} characters of code")
    if len(found) < len(raw):
        notes.append(f"{len(raw) - len(found)} of {len(raw)} cells were no cells; left out")
    return found, notes


def _cell(raw: Any) -> Cell | None:
    """A clean cell of what a file holds; outputs are dropped, odd fields are left out."""
    if not isinstance(raw, dict):
        return None
    source = raw.get("source", raw.get("input", ""))  # the code of nbformat 3
    if isinstance(source, list):
        try:
            source = "".join(source)
        except TypeError:
            source = "".join(s for s in source if isinstance(s, str))
    if not isinstance(source, str):
        return None
    name = cells.metadata(raw).get("grade_id") if isinstance(raw.get("metadata"), dict) else None
    return Cell(
        raw.get("cell_type") == "code",
        clean(source),  # lone surrogates are no text
        raw["id"] if isinstance(raw.get("id"), str) else "",
        name if isinstance(name, str) else "",
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


# --- matching --------------------------------------------------------------------------------


@dataclass
class Entry:
    """A cell of the notebook as it is graded.

    Attributes:
        role: what it is.
        source: what runs, or is shown; for locked and graded cells, the instructor's.
        origin: the instructor's cell that it stands for, or None.
    """

    role: Role
    source: str
    origin: Given | None = None


@dataclass
class Worksheet:
    """A submission put in order: the student's cells, with the instructor's in their places."""

    entries: list[Entry] = field(default_factory=list)
    repairs: list[str] = field(default_factory=list)


def worksheet(assignment: Assignment, submission: Submission) -> Worksheet:
    """Put a submission in order.

    The student's cells stay in the student's order. Locked and graded cells are the instructor's
    own, whatever the submission says in them; those that are missing are put back.
    """
    sheet = Worksheet(repairs=list(submission.notes))
    place = match(assignment, submission.cells, sheet.repairs)
    stands_for = dict(zip(place, assignment.given, strict=True))
    for index, cell in enumerate(submission.cells):
        origin = stands_for.get(index)
        sheet.entries.append(_entry(cell, origin))
        if origin is not None and origin.locked:
            # Within nbgrader's own autograde the cell has the source's text already.
            theirs = (origin.released.strip(), origin.source.strip())
            if cell.source.strip() not in theirs:
                name = origin.name
                sheet.repairs.append(
                    f"{name} differs from the source; the instructor's version was used"
                )
    for i, found in enumerate(place):
        if found is None:
            _put_back(sheet, assignment.given, i)
    return sheet


def match(
    assignment: Assignment, submitted: Sequence[Cell], repairs: list[str]
) -> list[int | None]:
    """For each cell of the instructor's, the index of the student's cell that stands for it.

    None where there is none, and for cells without a `grade_id`, which need no place.
    """
    given = assignment.given
    place: list[int | None] = [None] * len(given)
    free = dict(enumerate(submitted))
    called: dict[str, list[int]] = {}
    for k, cell in free.items():
        called.setdefault(cell.name, []).append(k)

    def take(i: int, index: int) -> None:
        place[i] = index
        del free[index]

    @functools.cache
    def defines(index: int) -> frozenset[str]:  # read once, whatever of ours is missing
        return definitions(submitted[index].source)

    named = [(i, ours) for i, ours in enumerate(given) if ours.name]
    for i, ours in named:
        same = [k for k in called.get(ours.name, ()) if k in free]
        if len(same) == 1:
            take(i, same[0])
        elif same:
            take(i, max(same, key=lambda k: (_alike(ours, free[k]), -k)))
            repairs.append(f"{ours.name} is there {len(same)} times; one was graded")
    found: dict[str, list[str]] = {"by their ids": [], "by what they say": [], "by their place": []}
    for i, ours in named:
        if place[i] is None and ours.id:
            same = [k for k, cell in free.items() if cell.id == ours.id]
            if same:
                take(i, same[0])
                found["by their ids"].append(ours.name)
    for i, ours in named:
        if place[i] is None:
            scores = {k: _answers(ours, cell, partial(defines, k)) for k, cell in free.items()}
            best = max(scores, key=lambda k: scores[k], default=-1)
            if best >= 0 and scores[best] >= ALIKE:
                take(i, best)
                found["by what they say"].append(ours.name)
            elif (behind := _behind(i, place, free, ours)) is not None:
                take(i, behind)
                found["by their place"].append(ours.name)
    for how, which in found.items():
        if which:
            few = ", ".join(which[:3]) + (", …" if len(which) > 3 else "")
            repairs.append(f"cells without their metadata were found {how}: {few} ({len(which)})")
    return place


def _alike(ours: Given, cell: Cell) -> float:
    """How much a student's cell looks like one of ours, from 0 to 1."""
    if cell.code != ours.code:
        return 0.0
    if not len(ours.released) / 2 <= len(cell.source) <= 2 * len(ours.released):
        return 0.0
    said, theirs = _words(ours.released), _words(cell.source)
    return 2 * (said & theirs).total() / max(1, said.total() + theirs.total())


@functools.lru_cache(maxsize=2 * MAX_CELLS)
def _words(text: str) -> Counter[str]:
    """The words of a cell, counted: in linear time, whatever it was made to look like."""
    return Counter(re.findall(r"\w+", text))


def _answers(ours: Given, cell: Cell, defines: Callable[[], frozenset[str]]) -> float:
    """The same for a cell without its metadata: an answer is known by what it defines."""
    if not (ours.code and ours.solution):
        return _alike(ours, cell)
    names = definitions(ours.source)
    return float(cell.code and bool(names) and names <= defines())


@functools.lru_cache(maxsize=256)
def definitions(code: str) -> frozenset[str]:
    """The names that a cell defines; none when it is too long to be an answer."""
    if len(code) > MAX_ANSWER:
        return frozenset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of strange escapes, for instance
        return frozenset(cells.defined(code))


def _behind(i: int, place: Sequence[int | None], free: dict[int, Cell], ours: Given) -> int | None:
    """For a written answer, the student's free text cell right behind the question; or None."""
    before = place[i - 1] if i else None
    if ours.role is not Role.WRITTEN or before is None:
        return None
    cell = free.get(before + 1)
    return before + 1 if cell is not None and cell.code == ours.code else None


def _entry(cell: Cell, origin: Given | None) -> Entry:
    if origin is None:
        return Entry(Role.STUDENT if cell.code else Role.TEXT, cell.source)
    theirs = origin.role in (Role.STUDENT, Role.WRITTEN) and not origin.locked
    return Entry(origin.role, cell.source if theirs else origin.source, origin)


def _put_back(sheet: Worksheet, given: Sequence[Given], i: int) -> None:
    """Put one of the instructor's cells back that the submission does not have."""
    origin = given[i]
    name, role = origin.name, origin.role
    if not name:
        return
    if role is Role.TEST:
        # At the end, where everything that the student defined is there.
        sheet.entries.append(Entry(role, origin.source, origin))
        sheet.repairs.append(f"the graded cell {name} was missing; it was put back")
    elif role is Role.WRITTEN and not origin.locked:
        sheet.entries.append(Entry(role, "", origin))
        sheet.repairs.append(f"the answer {name} is missing")
    elif role is Role.STUDENT:
        sheet.repairs.append(f"the cell {name} is missing")
    else:
        before = {ours.name for ours in given[:i]}
        behind = [
            k + 1
            for k, e in enumerate(sheet.entries)
            if e.origin is not None and e.origin.name in before
        ]
        sheet.entries.insert(max(behind, default=0), Entry(role, origin.source, origin))
        if role is Role.LOCKED:
            sheet.repairs.append(f"the instructor's cell {name} was missing; it was put back")
