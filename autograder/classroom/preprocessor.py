"""The judge inside nbgrader: preprocessors in place of `Execute`, for comments, and before them.

With it in `nbgrader_config.py`, ``nbgrader autograde`` and formgrader's button grade with this
engine: nbgrader reads, sanitizes, and saves as always, and what would have run the student's code
in a kernel beside the tests asks the judge instead.
"""

from __future__ import annotations

import atexit
import json
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbgrader.api import Gradebook
from nbgrader.converters.base import NbGraderException
from nbgrader.preprocessors import NbGraderPreprocessor
from traitlets import Bool, Float

from autograder.classroom.cells import grade_id
from autograder.classroom.gradebook import comments, forget
from autograder.classroom.grading import grade
from autograder.classroom.release import CourseError, course_config
from autograder.classroom.secret import course_secret
from autograder.classroom.submissions import Assignment, from_bytes
from autograder.sandbox.pool import Limits, Pool
from autograder.verdict import Failure


class KnownCells(NbGraderPreprocessor):  # type: ignore[misc]
    """Have nbgrader take a cell as what the assignment says it is, before it looks at the cell.

    It refuses a whole notebook for the metadata of a single cell: a copy of an older release may
    have a cell that is gone or has another name, and students' tools and hands change metadata.
    """

    def preprocess(
        self, nb: NotebookNode, resources: dict[str, Any]
    ) -> tuple[NotebookNode, dict[str, Any]]:
        """Take over the source's metadata, by `grade_id`, and drop those of unknown cells.

        Raises:
            NbGraderException: the course cannot be read.
        """
        about = resources["nbgrader"]
        try:
            assignment = Assignment.load(
                _course(Path(resources["metadata"]["path"])), about["assignment"]
            )
        except CourseError as error:
            self.log.error("%s", error)
            raise NbGraderException(str(error)) from None
        known = {
            grade_id(c): c.metadata["nbgrader"] for c in assignment.release.cells if grade_id(c)
        }
        for cell in nb.cells:
            if "nbgrader" in cell.metadata:
                name, given = grade_id(cell), cell.metadata.pop("nbgrader")
                if name in known:
                    cell.metadata["nbgrader"] = {**known[name]}
                if not isinstance(given, dict) or _marks(given) != _marks(known.get(name, {})):
                    self.log.warning(
                        "%s: the metadata of a cell (%s) are not those of the assignment; %s",
                        about["student"],
                        name or "without a name",
                        "they are put back"
                        if name in known
                        else "it is graded as the student's own",
                    )
        return nb, resources


class Judge(NbGraderPreprocessor):  # type: ignore[misc]
    """Grade a submitted notebook outside of nbgrader's process, and show the reports in it."""

    cell_seconds = Float(20.0, help="The time limit for one of the student's cells.").tag(
        config=True
    )
    call_seconds = Float(5.0, help="The time limit for one call of a student's function.").tag(
        config=True
    )
    without_walls = Bool(
        False, help="Grade even where the walls around students' code cannot be raised."
    ).tag(config=True)

    def preprocess(
        self, nb: NotebookNode, resources: dict[str, Any]
    ) -> tuple[NotebookNode, dict[str, Any]]:
        """Put the outputs of the judge into a notebook that nbgrader is grading.

        Raises:
            NbGraderException: a grade is missing through our own fault, walls are, no worker can be
                started, or the course or the notebook cannot be read.
        """
        try:
            return self._graded(nb, resources)
        except (CourseError, Failure, BlockingIOError, NbGraderException) as error:
            self.log.error("%s", error)  # nbgrader shows a traceback of whatever is raised
            raise NbGraderException(str(error)) from None

    def _graded(
        self, nb: NotebookNode, resources: dict[str, Any]
    ) -> tuple[NotebookNode, dict[str, Any]]:
        about = resources["nbgrader"]
        course = _course(Path(resources["metadata"]["path"]))
        pool = _pool(Limits(cell_seconds=self.cell_seconds, call_seconds=self.call_seconds))
        if pool.walls.missing and not self.without_walls:
            raise NbGraderException(
                f"on this machine these walls around students' code cannot be raised: "
                f"{', '.join(pool.walls.missing)}. To grade all the same: "
                "c.Judge.without_walls = True in nbgrader_config.py"
            )
        data = json.dumps(nb).encode()
        submission = from_bytes(about["student"], Path(about["notebook"]), data)
        if submission.problem:
            raise NbGraderException(f"{submission.student}: {submission.problem}")
        secret = course_secret(course_config(course).CourseDirectory.get("course_id", ""))
        # Read each time: formgrader's process lives on when the instructor mends a test.
        assignment = Assignment.load(course, about["assignment"])
        graded = grade(assignment, submission, pool, secret)
        for repair in graded.repairs:
            self.log.warning("%s: %s", graded.student, repair)
        if graded.blocked:
            raise NbGraderException(f"{graded.student}: {graded.headline}")
        nb.cells = nbformat.reads(graded.notebook, as_version=4).cells
        resources["comments"] = comments(assignment, graded)
        return nb, resources


class Comments(NbGraderPreprocessor):  # type: ignore[misc]
    """Write the judge's comments into the gradebook, after `SaveAutoGrades` has emptied them."""

    def preprocess(
        self, nb: NotebookNode, resources: dict[str, Any]
    ) -> tuple[NotebookNode, dict[str, Any]]:
        """Say at each solution cell what went wrong in what it defines."""
        about = resources["nbgrader"]
        with Gradebook(about["db_url"]) as book:
            page = book.find_submission_notebook(
                about["notebook"], about["assignment"], about["student"]
            )
            for comment in page.comments:
                comment.auto_comment = resources["comments"].get(comment.cell.name)
            forget(book.db, [page.id])
            book.db.commit()
        return nb, resources


def _marks(metadata: dict[str, Any]) -> dict[str, Any]:
    """What says how a cell is graded; its checksum only says whether it was touched."""
    return {key: value for key, value in metadata.items() if key != "checksum"}


def _course(folder: Path) -> Path:
    """The course directory above ``autograded/<student>/<assignment>``."""
    for place in (folder.resolve(), *folder.resolve().parents, Path.cwd()):
        if (place / "nbgrader_config.py").is_file():
            return place
    raise NbGraderException(f"there is no nbgrader_config.py above {folder}")


@cache
def _pool(limits: Limits) -> Pool:
    """The pool of this process, for all submissions that it grades."""
    pool = Pool(limits=limits)
    atexit.register(pool.close)
    return pool
