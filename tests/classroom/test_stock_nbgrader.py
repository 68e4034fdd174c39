"""Stock nbgrader, with a kernel beside the tests, gives honest students the same grades."""

from __future__ import annotations

import copy
import re
import shutil

import nbformat
import pytest
from classroom_helpers import NOTEBOOK, QUICKLY, SLUG, autograder, nbgrader
from nbgrader.api import Gradebook

from autograder.classroom.cells import grade_id

ENGINE = re.compile(r"c\.Autograde\.\w+_preprocessors = \[.*?\]", re.DOTALL)


def scores(folder, students):
    """What the gradebook says of each cell of each student."""
    with Gradebook(f"sqlite:///{folder}/gradebook.db", "batch-normalization") as book:
        return {
            student: {
                g.cell.name: g.auto_score
                for g in book.find_submission_notebook(SLUG, SLUG, student).grades
            }
            for student in students
        }


def comments(folder, students):
    """What the grader said to each student."""
    with Gradebook(f"sqlite:///{folder}/gradebook.db", "batch-normalization") as book:
        return {
            student: {
                c.cell.name: c.auto_comment
                for c in book.find_submission_notebook(SLUG, SLUG, student).comments
                if c.auto_comment
            }
            for student in students
        }


def copy_of(sample, folder, students):
    """The class before it was graded, with some of its students."""
    folder.mkdir()
    for name in ("nbgrader_config.py", "deserved.json"):
        shutil.copy(sample.folder / name, folder)
    shutil.copytree(sample.folder / "solutions", folder / "solutions")
    for student in students:
        target = folder / "submitted" / student / SLUG
        target.mkdir(parents=True)
        shutil.copy(sample.folder / "submitted" / student / SLUG / NOTEBOOK, target)
    return folder


@pytest.fixture(scope="module")
def ours(sample):
    return {
        student: {g["grade_id"]: g["score"] for g in graded["grades"]}
        for student, graded in sample.graded.items()
    }


def test_stock_nbgrader_gives_the_same_scores(sample, ours, tmp_path):
    students = [name for name, about in sample.deserved.items() if about["honest"]]
    assert len(students) >= 20
    folder = copy_of(sample, tmp_path / "stock", students)
    config = folder / "nbgrader_config.py"
    text, changed = ENGINE.subn("", config.read_text())
    assert changed == 2, "the engine is switched on in two lists"
    config.write_text(text)
    nbgrader("generate_assignment", SLUG, cwd=folder)
    nbgrader("autograde", SLUG, cwd=folder)
    theirs = scores(folder, students)
    assert theirs == {name: ours[name] for name in students}


def test_our_engine_inside_nbgrader_gives_the_same_scores(sample, ours, tmp_path):
    """`nbgrader autograde` with the course's own configuration."""
    students = ["ada", "annie", "cecilia", "katherine"]
    assert all(sample.deserved[name]["honest"] for name in students)
    folder = copy_of(sample, tmp_path / "engine", students)
    nbgrader("generate_assignment", SLUG, cwd=folder)
    said = nbgrader("autograde", SLUG, cwd=folder)
    assert scores(folder, students) == {name: ours[name] for name in students}
    assert "differs from the source" not in said, "nobody touched a locked cell"
    mine = comments(folder, students)
    assert mine == comments(sample.folder, students)
    assert any(mine[name] for name in students), "a wrong answer is commented"


def test_inside_nbgrader_a_copy_of_an_older_release_is_graded_too(sample, ours, tmp_path):
    """nbgrader refuses a notebook for one cell that the gradebook does not know."""
    folder = copy_of(sample, tmp_path / "older", ["ada"])
    path = folder / "submitted" / "ada" / SLUG / NOTEBOOK
    notebook = nbformat.read(path, 4)
    (renamed,) = [c for c in notebook.cells if grade_id(c) == "test_standardize"]
    renamed.metadata.nbgrader.grade_id = "test_zscore"
    notebook.cells[0].metadata["nbgrader"] = {"grade": "yes", "locked": []}
    gone = nbformat.v4.new_code_cell(
        "check('gone', gone)", metadata=copy.deepcopy(renamed.metadata)
    )
    gone.metadata.nbgrader.grade_id = "test_gone"
    notebook.cells.append(gone)
    nbformat.write(notebook, path)
    nbgrader("generate_assignment", SLUG, "--force", cwd=folder)
    said = nbgrader("autograde", SLUG, cwd=folder)
    assert scores(folder, ["ada"]) == {"ada": ours["ada"]}
    assert "ada: the metadata of a cell (test_gone) are not those of the assignment" in said
    assert said.count("are not those of the assignment") == 3


def test_what_was_graded_elsewhere_since_is_looked_at_again(sample, tmp_path):
    """A person's score may be of what `nbgrader autograde` graded after `autograder grade`."""
    folder = copy_of(sample, tmp_path / "between", ["ada"])

    def grade():
        return autograder("grade", SLUG, "--course", folder, *QUICKLY)

    def look():
        """Give points, and return what was asked for before."""
        url = f"sqlite:///{folder}/gradebook.db"
        with Gradebook(url, "batch-normalization") as book:
            found = book.find_submission_notebook(SLUG, SLUG, "ada").grades
            (grade,) = [g for g in found if g.cell.name == "leakage"]
            asked, grade.manual_score, grade.needs_manual_grade = grade.needs_manual_grade, 2, False
            book.db.commit()
            return asked

    grade()
    assert look()
    grade()
    assert not look()
    nbgrader("autograde", SLUG, "--force", cwd=folder)
    assert look()
    grade()
    assert look()
    (folder / "gradebook.db").unlink()
    assert "the gradebook had none of the submissions" in " ".join(grade().split())
    assert "the gradebook had none" not in grade()
    (folder / "gradebook.db").unlink()
    said = autograder("grade", SLUG, "--again", "--course", folder, *QUICKLY)
    assert "the gradebook had none of the submissions" in " ".join(said.split())
