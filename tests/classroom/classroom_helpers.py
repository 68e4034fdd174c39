from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from nbformat import NotebookNode

from autograder.chapters import chapter
from autograder.classroom.grading import Graded, grade
from autograder.classroom.judges import Judges
from autograder.classroom.sample import DESERVED, Draft, write_sample_class
from autograder.classroom.submissions import Assignment, Submission, from_bytes
from autograder.exercise import Chapter
from autograder.sandbox.pool import Limits, Pool

ROOT = Path(__file__).parents[2]
SLUG = "feature_scaling"
NOTEBOOK = f"{SLUG}.ipynb"
COURSE = "batch-normalization"
QUICKLY = ("--jobs", "2", "--call-seconds", "1")
SECRET = b"a secret of thirty-two bytes 012"

# Small, so that bombs go off quickly.
LIMITS = Limits(
    cell_seconds=0.8,
    call_seconds=0.4,
    total_seconds=3.0,
    cpu_seconds=6,
    memory_bytes=600 << 20,
    output_bytes=300_000,
    file_bytes=4 << 20,
    scratch_bytes=8 << 20,
)
PATIENT = replace(LIMITS, cell_seconds=6.0, call_seconds=4.0, total_seconds=24.0)


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a secret, the same for every run of the tests, and not the course's own."""
    folder = tmp_path_factory.mktemp("home")
    (folder / f"{COURSE}.secret").write_text(SECRET.hex())
    (folder / f"{COURSE}.secret").chmod(0o600)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOGRADER_HOME", str(folder))
        patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        yield folder


@pytest.fixture(scope="session")
def assignment() -> Assignment:
    return Assignment.load(ROOT, SLUG)


@pytest.fixture(scope="session")
def subject() -> Chapter:
    return chapter(SLUG)


@pytest.fixture(scope="session")
def pool() -> Iterator[Pool]:
    """For honest work: it takes little, but a busy machine may stand still for seconds."""
    with Pool(limits=PATIENT) as pool:
        yield pool


@dataclass(frozen=True)
class Desk:
    """Where notebooks are filled in, and graded one at a time."""

    assignment: Assignment
    subject: Chapter
    pool: Pool = field(repr=False)

    def fill_in(
        self, answers: Mapping[str, str] | None = None, *, above: str = "", below: str = ""
    ) -> NotebookNode:
        """The release with right answers, some of them replaced, and cells above and below."""
        draft = Draft(self.subject, self.assignment.source, copy.deepcopy(self.assignment.release))
        draft.all_right()
        draft.replace(answers or {})
        draft.surround(above, below)
        return draft.notebook

    def read(self, notebook: NotebookNode | bytes, student: str = "eve") -> Submission:
        """A submission of a notebook, as intake reads it."""
        data = notebook if isinstance(notebook, bytes) else as_bytes(notebook)
        return from_bytes(student, Path(student, SLUG, NOTEBOOK), data)

    def grade(self, notebook: NotebookNode | bytes, student: str = "eve") -> Graded:
        """What a notebook earns."""
        return grade(self.assignment, self.read(notebook, student), self.pool, SECRET)

    @property
    def full(self) -> float:
        """What right answers earn, without the one that a person grades."""
        return sum(e.points for e in self.subject.exercises)


@pytest.fixture(scope="session")
def desk(assignment: Assignment, subject: Chapter, pool: Pool) -> Desk:
    return Desk(assignment, subject, pool)


@pytest.fixture(scope="session")
def hasty(assignment: Assignment, subject: Chapter) -> Iterator[Desk]:
    """A desk at which time soon runs out."""
    with Pool(limits=LIMITS) as pool:
        yield Desk(assignment, subject, pool)


def grade_class(
    desk: Desk, submissions: Sequence[Submission], jobs: int = 2, limits: Limits = LIMITS
) -> dict[str, Graded]:
    """What each of a class gets that is graded side by side."""
    with Judges(jobs, limits) as judges:
        graded = list(judges.grade(desk.assignment, submissions, SECRET))
    assert len({g.student for g in graded}) == len(graded), "graded twice"
    return {g.student: g for g in graded}


def as_bytes(notebook: NotebookNode) -> bytes:
    """The file of a notebook; also of one that nbformat would not accept."""
    return json.dumps(notebook).encode()


def scores(graded: Graded) -> dict[str, float | None]:
    """What each graded cell earned, by its `grade_id`."""
    return {g.grade_id: g.score for g in graded.grades}


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Run a command that should go well, and return what it printed."""
    done = subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def autograder(*arguments: str | Path, cwd: Path = ROOT) -> str:
    return run(sys.executable, "-m", "autograder", *arguments, cwd=cwd)


def nbgrader(*arguments: str | Path, cwd: Path) -> str:
    return run(sys.executable, "-m", "nbgrader", *arguments, cwd=cwd)


@dataclass(frozen=True)
class SampleClass:
    """A sample class that was made and graded once; tests that write into it take a copy."""

    folder: Path
    printed: str

    @property
    def deserved(self) -> dict[str, dict[str, object]]:
        """By student: what it is, whether it is an ordinary notebook, and what it deserves."""
        found: dict[str, dict[str, object]] = json.loads((self.folder / DESERVED).read_text())[SLUG]
        return found

    @property
    def graded(self) -> dict[str, dict[str, object]]:
        """By student: the verdicts, as exported."""
        data = json.loads((self.folder / "grades" / f"{SLUG}.json").read_text())
        return {s["student"]: s for s in data["submissions"]}


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> SampleClass:
    folder = tmp_path_factory.mktemp("course") / "sample class"
    write_sample_class(ROOT, folder, [SLUG])
    return SampleClass(folder, autograder("grade", SLUG, "--course", folder, *QUICKLY))


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory, assignment: Assignment) -> Path:
    """A course whose assignment is in the gradebook, without submissions."""
    from autograder.classroom.gradebook import record

    folder = tmp_path_factory.mktemp("template")
    new_course(folder)
    record(folder, assignment, [])
    return folder


def new_course(folder: Path) -> None:
    """Make a course directory with the one assignment."""
    import shutil

    shutil.copyfile(ROOT / "nbgrader_config.py", folder / "nbgrader_config.py")
    shutil.copytree(ROOT / "solutions" / SLUG, folder / "solutions" / SLUG)


@pytest.fixture
def course(template: Path, tmp_path: Path) -> Path:
    """A copy of `template` to write into."""
    import shutil

    folder = tmp_path / "course"
    shutil.copytree(template, folder)
    return folder


HandIn = Callable[..., Path]


@pytest.fixture
def hand_in(course: Path, desk: Desk) -> HandIn:
    """Put a notebook (right by default) into ``submitted/``; returns its folder."""

    def put(student: str = "eve", notebook: NotebookNode | bytes | None = None) -> Path:
        folder = course / "submitted" / student / SLUG
        folder.mkdir(parents=True, exist_ok=True)
        notebook = desk.fill_in() if notebook is None else notebook
        data = notebook if isinstance(notebook, bytes) else as_bytes(notebook)
        (folder / NOTEBOOK).write_bytes(data)
        return folder

    return put
