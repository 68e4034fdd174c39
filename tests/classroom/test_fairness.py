"""Does a right answer earn everything, however it is written?"""

from __future__ import annotations

import importlib.util

import nbformat
import pytest
from classroom_helpers import scores
from honest import HONEST

from autograder.classroom import grading
from autograder.classroom.sample import Draft
from autograder.classroom.submissions import Role, worksheet
from autograder.verdict import Verdict


@pytest.mark.parametrize("name", HONEST)
def test_style(name, desk):
    style = HONEST[name]
    if style.needs and importlib.util.find_spec(style.needs) is None:
        pytest.skip(f"{style.needs} is not installed")
    graded = desk.grade(desk.fill_in(style.answers, above=style.above, below=style.below))
    assert graded.score == desk.full, f"{graded.headline} {scores(graded)}"


def test_a_cell_that_fails_costs_nothing_else(desk):
    graded = desk.grade(desk.fill_in({"mean_normalize": "def mean_normalize(X)\n    return X"}))
    assert [g.score for g in graded.grades[:5]] == [7, 0, 7, 11, 7]
    assert graded.grades[1].verdict == Verdict.ERROR
    assert "SyntaxError" in graded.headline


def test_a_crash_costs_only_what_crashed(desk):
    graded = desk.grade(
        desk.fill_in({"mean_normalize": "def mean_normalize(X):\n    import os\n    os._exit(1)"})
    )
    assert [g.score for g in graded.grades[:5]] == [7, 0, 7, 11, 7]
    assert graded.grades[1].verdict == Verdict.CRASH


def test_a_cell_that_ends_the_worker_is_left_out_afterwards(desk):
    graded = desk.grade(desk.fill_in(above="helper = 1\nimport os\nos._exit(1)"))
    assert graded.score == desk.full


def test_what_was_defined_before_a_crash_is_defined_after_it(desk):
    answers = {
        "min_max_scale": "import os\ndef min_max_scale(X, feature_range=(0, 1)):\n    os._exit(1)",
        "standardize": "def standardize(X):\n    return helper(X)",
    }
    above = (
        "def helper(X):\n    constant = X.max(axis=0) == X.min(axis=0)\n"
        "    return (X - X.mean(axis=0)) / np.where(constant, 1, X.std(axis=0))"
    )
    graded = desk.grade(desk.fill_in(answers, above=above))
    assert [g.score for g in graded.grades[:5]] == [0, 6, 7, 11, 7]


def test_a_test_above_its_answer_is_run_at_the_end(desk):
    notebook = desk.fill_in()
    ids = [c.metadata.get("nbgrader", {}).get("grade_id") for c in notebook.cells]
    notebook.cells.insert(2, notebook.cells.pop(ids.index("test_standardize")))
    graded = desk.grade(notebook)
    assert graded.score == desk.full
    assert "test_standardize was above the answer; it ran at the end" in graded.repairs


HELPER = """
def helper(X):
    constant = X.max(axis=0) == X.min(axis=0)
    return (X - X.mean(axis=0)) / np.where(constant, 1, X.std(axis=0))
"""
BELOW = {
    "the answer, by another way than def": "globals()['standardize'] = lambda X: helper(X)",
    "the answer, in a string": "exec('def standardize(X): return helper(X)')",
    "a helper of the answer": "",
}


@pytest.mark.parametrize("what", BELOW)
def test_what_a_test_needs_may_stand_below_it(desk, what):
    answer = "def standardize(X):\n    return helper(X)"
    answers = {"standardize": as_released(desk)["standardize"] if BELOW[what] else answer}
    graded = desk.grade(desk.fill_in(answers, below=HELPER + BELOW[what]))
    assert graded.score == desk.full


def test_what_nobody_wrote_is_judged_once(desk, monkeypatch):
    judged = []
    monkeypatch.setattr(
        grading, "_test", lambda *given, test=grading._test: judged.append(given) or test(*given)
    )
    first, *others = desk.subject.exercises
    graded = desk.grade(desk.fill_in({e.name: as_released(desk)[e.name] for e in others}))
    assert graded.score == first.points
    assert len(judged) == 1 + len(others)


def as_released(desk):
    """The cells in which the exercises are to be solved, as students get them."""
    draft = Draft(desk.subject, desk.assignment.source, desk.assignment.release)
    return {e.name: draft.cell(e).source for e in desk.subject.exercises}


def test_an_answer_that_worked_at_its_place_is_not_judged_again(desk):
    """What stands below a graded cell cannot take its points away."""
    graded = desk.grade(desk.fill_in(below="def standardize(X):\n    return None"))
    assert graded.score == desk.full


def test_the_time_of_a_whole_notebook_is_said(hasty):
    """When the time is used up, the rest is told so; what was earned before is kept."""
    notebook = hasty.fill_in()
    ids = [c.metadata.get("nbgrader", {}).get("grade_id") for c in notebook.cells]
    behind = ids.index("test_min_max_scale") + 1
    for n in range(6):
        loop = nbformat.v4.new_code_cell("while True: pass", id=f"loop-{n}")
        notebook.cells.insert(behind, loop)
    graded = hasty.grade(notebook)
    assert graded.grades[0].score == 7
    assert 0 < graded.score < hasty.full
    late = next(g for g in graded.grades if g.score == 0)
    assert late.verdict == Verdict.TIMEOUT
    assert "used up" in late.headline


def test_a_worksheet_keeps_the_students_order(desk):
    sheet = worksheet(desk.assignment, desk.read(desk.fill_in(above="a = 1", below="b = 2")))
    own = [e.source for e in sheet.entries if e.role is Role.STUDENT and e.origin is None]
    assert own == ["a = 1", "b = 2"]
