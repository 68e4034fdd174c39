"""What is in nbgrader's gradebook afterwards, and what becomes of it when something goes wrong."""

from __future__ import annotations

import copy
import datetime
import errno
import multiprocessing
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from functools import partial

import nbformat
import pytest
from bs4 import BeautifulSoup
from classroom_helpers import NOTEBOOK, SECRET, SLUG, as_bytes, nbgrader
from nbgrader.api import Gradebook

from autograder.classroom import cells, gradebook, grading, runs
from autograder.classroom.gradebook import record, write_notebook, write_whole
from autograder.classroom.judges import lost
from autograder.classroom.release import CourseError, course_directory
from autograder.classroom.submissions import Assignment, find_submissions
from autograder.classroom.timing import OutOfTime, time_limit

PENALTY = """
from nbgrader.plugins import BasePlugin

class PerHour(BasePlugin):
    def late_submission_penalty(self, student_id, score, total_seconds_late):
        assert score >= 0
        return total_seconds_late / 3600
"""


STEPS = ("_enter", "_record_scores", "_record_comments", "_record_times")


@pytest.fixture
def grade_all(course, desk):
    """Grade what was handed in, write it all down, and return what was odd."""

    def run():
        directory = course_directory(course)
        graded = []
        for handed in find_submissions(course / "submitted", SLUG):
            graded.append(grading.grade(desk.assignment, handed.read(), desk.pool, SECRET))
            write_notebook(directory, graded[-1])
        return record(course, desk.assignment, graded)

    return run


@pytest.fixture
def book(course):
    with Gradebook(f"sqlite:///{course}/gradebook.db", "batch-normalization") as opened:
        yield Reader(opened)


class Reader:
    """What the gradebook says of a student, read anew each time."""

    def __init__(self, opened):
        self.book = opened

    def notebook(self, student="eve"):
        self.book.db.expire_all()
        return self.book.find_submission_notebook(SLUG, SLUG, student)

    def grades(self, student="eve"):
        return {g.cell.name: g for g in self.notebook(student).grades}

    def scores(self, student="eve"):
        return {name: g.score for name, g in self.grades(student).items()}

    def comments(self, student="eve"):
        return {c.cell.name: c.auto_comment for c in self.notebook(student).comments}

    def total(self, student="eve"):
        """The score as nbgrader exports it."""
        submission = self.submission(student)
        return max(0, submission.score - submission.late_submission_penalty)

    def submission(self, student="eve"):
        self.book.db.expire_all()
        return self.book.find_submission(SLUG, student)


def content(course):
    """Everything in the gradebook, without the ids that it gives its rows."""
    with closing(sqlite3.connect(course / "gradebook.db")) as database:
        return sorted(line for line in database.iterdump() if "INSERT" in line)


def answer(desk, name, code):
    return desk.fill_in({name: code})


WRONG_DIVISOR = (
    "def standardize(X):\n    constant = X.max(axis=0) == X.min(axis=0)\n"
    "    return (X - X.mean(axis=0)) / np.where(constant, 1, X.std(axis=0, ddof=1))"
)


class TestScores:
    def test_right_answers(self, hand_in, grade_all, book):
        hand_in()
        assert grade_all() == []
        assert book.scores() == {
            "test_min_max_scale": 7.0,
            "test_mean_normalize": 6.0,
            "test_standardize": 7.0,
            "test_Scaler": 11.0,
            "test_scale_splits": 7.0,
            "leakage": 0.0,
        }
        assert book.submission().max_score == 42

    def test_a_person_is_asked_only_for_what_a_person_has_to_say(
        self, hand_in, grade_all, book, desk
    ):
        notebook = desk.fill_in()
        notebook.cells[-1].source = "Because."
        hand_in("eve", notebook)
        hand_in("bob")
        grade_all()
        assert {n: g.needs_manual_grade for n, g in book.grades("eve").items()} == dict.fromkeys(
            book.grades("eve"), False
        ) | {"leakage": True}
        assert not any(g.needs_manual_grade for g in book.grades("bob").values())

    def test_the_diagnosis_stands_at_the_answer(self, hand_in, grade_all, book, desk, subject):
        hand_in("eve", answer(desk, "standardize", WRONG_DIVISOR))
        grade_all()
        (known,) = [
            m
            for e in subject.exercises
            if e.name == "standardize"
            for m in e.mistakes
            if m.name == "divides_by_n_minus_1"
        ]
        assert book.comments() == {
            "min_max_scale": None,
            "mean_normalize": None,
            "standardize": f"{known.summary} {known.hint}",
            "Scaler": None,
            "scale_splits": None,
            "leakage": "No response.",
        }
        assert book.scores()["test_standardize"] == known.earns

    def test_without_a_diagnosis_the_first_thing_that_went_wrong(
        self, hand_in, grade_all, book, desk
    ):
        hand_in("eve", answer(desk, "standardize", "def standardize(X):\n    return X.spam"))
        hand_in("bob", answer(desk, "standardize", "def standardize(X)\n    return X"))
        hand_in("ada", answer(desk, "standardize", "import time\ntime.sleep(9)"))
        grade_all()
        assert "AttributeError" in book.comments("eve")["standardize"]
        assert "SyntaxError" in book.comments("bob")["standardize"]
        assert "it took more than" in book.comments("ada")["standardize"]

    def test_a_cell_without_a_report_has_its_comment_at_the_answer(self, course, desk):
        from autograder.classroom.gradebook import comments
        from autograder.classroom.grading import CellGrade, Graded

        grades = tuple(
            CellGrade(f"test_{e.name}", f"test_{e.name}", e.points, 0.0, "WRONG", "no")
            for e in desk.subject.exercises
        )
        graded = Graded("eve", SLUG, "0", (*grades, CellGrade("leakage", "leakage", 4, None)))
        assert comments(desk.assignment, graded) == {
            e.name: "WRONG: no" for e in desk.subject.exercises
        }

    def test_a_comment_says_which_answer_to_mend_first(self, hand_in, grade_all, book, desk):
        splits = (
            "def scale_splits(X_train, X_test):\n"
            "    return standardize(X_train), standardize(X_test)"
        )
        hand_in("eve", desk.fill_in({"standardize": WRONG_DIVISOR, "scale_splits": splits}))
        hand_in("eva", answer(desk, "scale_splits", splits))
        grade_all()
        assert book.comments("eve")["scale_splits"].startswith(
            "It uses `standardize`: begin there."
        )
        assert "begin there" not in book.comments("eva")["scale_splits"]
        assert "begin there" not in book.comments("eve")["standardize"]

    def test_a_comment_is_no_markup(self, hand_in, grade_all, book, desk):
        """A32: formgrader and feedback render comments as Markdown, HTML and all."""
        evil = "<img src=x onerror=alert(1)> [x](javascript:alert(1)) ![x](http://evil/x.png)"
        hand_in(
            "eve",
            answer(desk, "standardize", f"def standardize(X):\n    raise ValueError({evil!r})"),
        )
        grade_all()
        said = book.comments()["standardize"]
        assert "ValueError" in said
        assert not re.search(r"<[a-z]|\]\(java|!\[", said)


class TestUnreadable:
    def test_zeros_and_a_person_to_look_at_it(self, hand_in, grade_all, book, course):
        hand_in("eve", b"{")
        (course / "submitted" / "bob" / SLUG).mkdir(parents=True)
        assert grade_all() == []
        for student, why in (("eve", "not a notebook"), ("bob", "is not there")):
            assert set(book.scores(student).values()) == {0.0}
            assert all(g.needs_manual_grade for g in book.grades(student).values())
            assert why in book.comments(student)["standardize"]
            shown = nbformat.read(course / "autograded" / student / SLUG / NOTEBOOK, as_version=4)
            nbformat.validate(shown)
            assert why in shown.cells[0].source
            assert not any("hidden=True" in c.source for c in shown.cells)

    def test_our_own_failure_is_never_a_zero(self, hand_in, course, desk, book, grade_all):
        hand_in()
        grade_all()
        failed = lost(desk.assignment, "eve", "out of paper")
        assert failed.blocked
        write_notebook(course_directory(course), failed)
        record(course, desk.assignment, [failed])
        for grade in book.grades().values():
            assert grade.auto_score is None
            assert grade.needs_manual_grade
        assert not (course / "autograded" / "eve" / SLUG / NOTEBOOK).exists()

    @staticmethod
    def graded_with_a_broken(part, desk, monkeypatch):
        import autograder.judge

        def broken(*args, **kwargs):
            raise ZeroDivisionError("a bug in the judge")

        monkeypatch.setattr(autograder.judge, part, broken)
        graded = desk.grade(desk.fill_in({"standardize": "def standardize(X):\n    return X"}))
        assert graded.blocked
        return {g.grade_id: g.score for g in graded.grades[:5]}

    def test_an_error_of_ours_in_a_graded_cell_is_ours(self, desk, monkeypatch):
        scores = self.graded_with_a_broken("_findings", desk, monkeypatch)
        assert set(scores.values()) == {None}

    def test_an_error_of_ours_in_one_exercise_leaves_the_others(self, desk, monkeypatch):
        scores = self.graded_with_a_broken("_diagnose", desk, monkeypatch)
        assert scores.pop("test_standardize") is None
        assert all(scores.values()), "what needed no diagnosis is graded"


class TestAgain:
    def test_a_second_run_changes_nothing(self, hand_in, grade_all, course, desk):
        hand_in("eve")
        hand_in("bob", answer(desk, "standardize", WRONG_DIVISOR))
        grade_all()
        before, file = content(course), course / "autograded" / "bob" / SLUG / NOTEBOOK
        text = file.read_bytes()
        grade_all()
        assert content(course) == before
        assert file.read_bytes() == text

    def test_manual_grades_are_kept_and_shown_again(self, hand_in, grade_all, book, desk):
        hand_in("eve")
        grade_all()
        notebook = book.notebook()
        (grade,) = [g for g in notebook.grades if g.cell.name == "leakage"]
        grade.manual_score, grade.extra_credit = 3.0, 1.0
        grade.needs_manual_grade = False
        notebook.comments[0].manual_comment = "Well said."
        book.book.db.commit()
        hand_in("eve", answer(desk, "standardize", WRONG_DIVISOR))
        grade_all()
        grade = book.grades()["leakage"]
        assert (grade.manual_score, grade.extra_credit, grade.score) == (3.0, 1.0, 4.0)
        assert grade.needs_manual_grade, "the answer may be another one now"
        assert book.notebook().comments[0].manual_comment == "Well said."
        assert book.scores()["test_standardize"] == 3.0

    def test_what_a_person_has_looked_at_is_not_asked_again(self, hand_in, grade_all, book, desk):
        def look(name, score):
            grade = book.grades()[name]
            grade.manual_score, grade.needs_manual_grade = score, False
            book.book.db.commit()

        hand_in("eve", answer(desk, "standardize", WRONG_DIVISOR))
        grade_all()
        look("leakage", 3.0)
        look("test_standardize", 5.0)
        for _ in range(2):
            grade_all()
            assert not any(g.needs_manual_grade for n, g in book.grades().items())
        assert book.scores()["test_standardize"] == 5.0
        grade = book.grades()["leakage"]
        grade.needs_manual_grade = True  # it wants another look, for reasons of its own
        book.book.db.commit()
        grade_all()
        assert book.grades()["leakage"].needs_manual_grade
        look("leakage", 3.0)
        hand_in("eve")
        grade_all()
        asked = {name for name, g in book.grades().items() if g.needs_manual_grade}
        assert asked == {"leakage", "test_standardize"}

    @pytest.mark.parametrize(("now", "said"), [(2, "2 now, not 4"), (6, "6 now, not 4")])
    def test_other_points_ask_for_another_look(self, now, said, hand_in, course, desk, book):
        def grade_out_of(points):
            source = copy.deepcopy(desk.assignment.source)
            (cell,) = [c for c in source.cells if cells.grade_id(c) == "leakage"]
            cell.metadata.nbgrader.points = points
            (course / "solutions" / SLUG / f"{SLUG}.py").unlink(missing_ok=True)
            nbformat.write(source, course / "solutions" / SLUG / NOTEBOOK)
            assignment = Assignment.load(course, SLUG)
            found = find_submissions(course / "submitted", SLUG)
            return record(
                course,
                assignment,
                [grading.grade(assignment, handed.read(), desk.pool, SECRET) for handed in found],
            )

        def asked(student):
            return {n for n, g in book.grades(student).items() if g.needs_manual_grade}

        notebook = desk.fill_in()
        notebook.cells[-1].source = "Because."
        for student in ("ada", "bob", "eve"):
            hand_in(student, notebook)
        assert grade_out_of(4) == []
        for student, points in (("ada", 4.0), ("eve", 1.5)):
            given = book.grades(student)["leakage"]
            given.manual_score, given.needs_manual_grade = points, False
            book.book.db.commit()
        (note,) = grade_out_of(now)
        assert note.startswith(f"leakage is worth {said}: the points that a person gave are kept")
        assert note.endswith("(ada 4, eve 1.5)")
        assert book.scores("ada")["leakage"] == 4.0
        assert asked("ada") == asked("bob") == asked("eve") == {"leakage"}
        book.grades("ada")["leakage"].needs_manual_grade = False
        book.book.db.commit()
        assert grade_out_of(now) == []
        assert asked("ada") == set()

    def test_another_score_of_ours_asks_for_another_look(self, hand_in, grade_all, book):
        hand_in("eve")
        grade_all()
        grade = book.grades()["test_Scaler"]
        grade.manual_score, grade.auto_score = 10.0, 9.0  # as a grader before this one had it
        grade.needs_manual_grade = False
        book.book.db.commit()
        grade_all()
        assert {n for n, g in book.grades().items() if g.needs_manual_grade} == {"test_Scaler"}

    def test_a_submission_that_cannot_be_read_is_looked_at_once(self, hand_in, grade_all, book):
        hand_in("eve", b"{")
        grade_all()
        for grade in book.grades().values():
            grade.manual_score, grade.needs_manual_grade = 0.0, False
        book.book.db.commit()
        grade_all()
        assert not any(g.needs_manual_grade for g in book.grades().values())

    def test_what_is_asked_anew_is_said_once(self, hand_in, grade_all, book, desk):
        hand_in("bob")
        hand_in("eve")
        grade_all()
        for student in ("bob", "eve"):
            grade = book.grades(student)["test_Scaler"]
            grade.manual_score, grade.needs_manual_grade = 5.0, False
            book.book.db.commit()
        assert grade_all() == []
        hand_in("eve", answer(desk, "standardize", WRONG_DIVISOR))
        (note,) = grade_all()
        assert note.startswith("eve: the submission or our score may be another one than when a ")
        assert "kept, and marked for another look" in note
        assert grade_all() == []
        assert book.scores("eve")["test_Scaler"] == 5.0

    def test_extra_credit_is_shown_again_too(self, hand_in, grade_all, book, desk):
        """Formgrader keeps it beside our score, without points of a person's."""
        hand_in()
        grade_all()
        grade = book.grades()["test_standardize"]
        grade.extra_credit = 2.0
        book.book.db.commit()
        assert grade_all() == []
        assert not book.grades()["test_standardize"].needs_manual_grade
        hand_in("eve", answer(desk, "standardize", WRONG_DIVISOR))
        assert len(grade_all()) == 1
        assert {n for n, g in book.grades().items() if g.needs_manual_grade} == {"test_standardize"}
        assert book.scores()["test_standardize"] == 5.0

    def test_a_notebook_that_is_not_there_is_looked_at_once(self, hand_in, grade_all, book):
        notebook = hand_in() / NOTEBOOK
        notebook.rename(notebook.with_name("mine.ipynb"))
        grade_all()
        for grade in book.grades().values():
            grade.manual_score, grade.needs_manual_grade = 1.0, False
        book.book.db.commit()
        assert grade_all() == []
        assert not any(g.needs_manual_grade for g in book.grades().values())
        notebook.with_name("mine.ipynb").rename(notebook.with_name("another.ipynb"))
        assert len(grade_all()) == 1
        assert all(g.needs_manual_grade for g in book.grades().values())

    def test_who_hands_in_nothing_any_more_is_named(self, hand_in, grade_all, book, course):
        for student in ("ann", "bob", "eve"):
            folder = hand_in(student)
        shutil.rmtree(folder.parent)
        grade_all()
        shutil.move(folder.parent.parent / "bob", course / "bob")
        (note,) = grade_all()
        assert note == ("nothing is handed in any more by bob: the gradebook keeps the old grade")
        assert book.scores("bob")["test_Scaler"] == 11.0

    def test_a_resubmission_keeps_no_old_score(self, hand_in, grade_all, book, desk):
        """A9: nbgrader kept the scores of graded cells that a resubmission does not have."""
        hand_in("eve")
        grade_all()
        empty = {"cells": []}
        hand_in("eve", as_bytes(empty))
        grade_all()
        assert set(book.scores().values()) == {0.0}
        hand_in("eve", b"")
        grade_all()
        assert set(book.scores().values()) == {0.0}
        hand_in("eve")
        grade_all()
        assert book.scores()["test_Scaler"] == 11.0
        assert not any(g.needs_manual_grade for g in book.grades().values())

    def test_an_old_comment_goes_with_the_old_mistake(self, hand_in, grade_all, book, desk):
        hand_in("eve", answer(desk, "standardize", WRONG_DIVISOR))
        grade_all()
        assert book.comments()["standardize"]
        hand_in("eve")
        grade_all()
        assert book.comments()["standardize"] is None

    def test_points_that_the_instructor_changed_are_taken_over(
        self, hand_in, grade_all, course, book, desk
    ):
        hand_in()
        grade_all()
        source = course / "solutions" / SLUG / f"{SLUG}.py"
        source.write_text(source.read_text().replace('"points": 4', '"points": 5'))
        from autograder.classroom.submissions import Assignment

        changed = Assignment.load(course, SLUG)
        record(course, changed, [])
        assert book.submission().max_score == 43

    def test_points_that_changed_beside_a_new_text(self, hand_in, grade_all, course, book):
        """nbgrader itself takes no points over where any cell is new."""
        hand_in()
        grade_all()
        source = course / "solutions" / SLUG / f"{SLUG}.py"
        text = source.read_text().replace('"points": 4', '"points": 5')
        head = '# %% [markdown] nbgrader={"grade": false, "grade_id": "'
        assert text.count(f"{head}leakage_text") == 1
        rest = '"locked": true, "schema_version": 3, "solution": false, "task": false}'
        new = f'{head}erratum", {rest}\n# Five points.\n\n{head}leakage_text'
        source.write_text(text.replace(f"{head}leakage_text", new))
        record(course, Assignment.load(course, SLUG), [])
        assert book.submission().max_score == 43

    def test_an_answers_cell_that_has_another_name_now(
        self, hand_in, grade_all, course, desk, book
    ):
        """It has no points, but nbgrader's feedback looks for a comment at it."""
        hand_in("eve", answer(desk, "standardize", WRONG_DIVISOR))
        grade_all()
        said = book.comments()["standardize"]
        source = course / "solutions" / SLUG / f"{SLUG}.py"
        text = source.read_text()
        assert text.count('"standardize", "locked": false') == 1
        source.write_text(text.replace('"standardize", "locked"', '"its_answer", "locked"'))
        changed = Assignment.load(course, SLUG)
        hand_in("zoe", answer(desk, "standardize", WRONG_DIVISOR))
        for _ in range(2):
            graded = []
            for handed in find_submissions(course / "submitted", SLUG):
                graded.append(grading.grade(changed, handed.read(), desk.pool, SECRET))
                write_notebook(course_directory(course), graded[-1])
            assert record(course, changed, graded) == []
        assert book.comments("eve")["its_answer"] == book.comments("zoe")["its_answer"] == said
        assert len(book.comments("eve")) == len(book.comments("zoe")) == 7
        nbgrader("generate_feedback", SLUG, cwd=course)

    def test_cells_that_the_gradebook_does_not_know(self, hand_in, grade_all, course, book, capfd):
        """New cells under old grades: nbgrader refuses, and so do we, with nothing written."""
        hand_in()
        grade_all()
        before = content(course)
        source = course / "solutions" / SLUG / f"{SLUG}.py"
        source.write_text(source.read_text().replace('"test_Scaler"', '"tests_of_Scaler"'))
        from autograder.classroom.submissions import Assignment

        with pytest.raises(CourseError, match=f"has grades for other cells of {SLUG}") as caught:
            record(course, Assignment.load(course, SLUG), [])
        # Typed where we are, the command alone would take the grades of another course away.
        assert f": (cd {course} && nbgrader db assignment remove {SLUG} --force)" in str(
            caught.value
        )
        assert content(course) == before
        assert "".join(capfd.readouterr()) == "", "a sentence is enough"

    def test_what_nbgrader_leaves_where_it_fails(self, hand_in, grade_all, course):
        """`nbgrader autograde` of an assignment of which the gradebook has but the deadline."""
        hand_in()
        (course / "gradebook.db").unlink()
        with Gradebook(f"sqlite:///{course}/gradebook.db", "batch-normalization") as opened:
            opened.add_assignment(SLUG, duedate="2030-01-01 00:00 UTC")
            opened.add_student("eve")
            with opened.db.no_autoflush:
                opened.add_submission(SLUG, "eve")
            assert not opened.find_submission(SLUG, "eve").notebooks
        grade_all()
        with Gradebook(f"sqlite:///{course}/gradebook.db", "batch-normalization") as opened:
            assert opened.find_submission(SLUG, "eve").score == 38
            assert opened.find_assignment(SLUG).duedate.year == 2030

    def test_grades_for_two_notebooks(self, hand_in, grade_all, course, book):
        """As nbgrader takes it, and we do not: a sentence says how to go on."""
        hand_in()
        grade_all()
        book.book.add_notebook("second", SLUG)
        before = content(course)
        with pytest.raises(CourseError, match=f"has grades for other cells of {SLUG}"):
            grade_all()
        assert content(course) == before


class TestTime:
    @pytest.fixture
    def due(self, course, book):
        assignment = book.book.find_assignment(SLUG)
        assignment.duedate = datetime.datetime(2030, 1, 1, 12)
        book.book.db.commit()
        (course / "penalties.py").write_text(PENALTY)
        with open(course / "nbgrader_config.py", "a") as config:
            config.write(
                f"\nimport sys\nsys.path.insert(0, {str(course)!r})\n"
                "c.AssignLatePenalties.plugin_class = 'penalties.PerHour'\n"
            )
        yield
        sys.modules.pop("penalties", None)

    def stamp(self, folder, text):
        data = text if isinstance(text, bytes) else text.encode()
        (folder / "timestamp.txt").write_bytes(data)

    def test_in_time(self, due, hand_in, grade_all, book):
        self.stamp(hand_in(), "2030-01-01 11:59:59 UTC")
        assert grade_all() == []
        assert book.submission().timestamp == datetime.datetime(2030, 1, 1, 11, 59, 59)
        assert not book.notebook().late_submission_penalty

    def test_late(self, due, hand_in, grade_all, book):
        self.stamp(hand_in(), "2030-01-01 16:30 +0200\n")
        grade_all()
        assert book.notebook().late_submission_penalty == 2.5
        assert book.total() == 38 - 2.5

    def test_later_than_the_points_reach(self, due, hand_in, grade_all, book):
        self.stamp(hand_in(), "2040-01-01 00:00 UTC")
        grade_all()
        assert book.notebook().late_submission_penalty == 38
        assert book.total() == 0

    def test_the_penalty_counts_what_a_person_gave(self, due, hand_in, grade_all, book):
        self.stamp(hand_in("eve", as_bytes({"cells": []})), "2030-01-01 13:00 UTC")
        grade_all()
        assert book.total() == 0
        book.grades()["leakage"].manual_score = 4.0
        book.book.db.commit()
        grade_all()
        assert book.total() == 3

    def test_a_plugin_that_is_not_there(self, due, hand_in, grade_all, course):
        self.stamp(hand_in(), "2040-01-01 00:00 UTC")
        config = course / "nbgrader_config.py"
        config.write_text(config.read_text().replace("penalties.PerHour", "nowhere.Plugin"))
        before = content(course)
        with pytest.raises(CourseError, match="late submissions cannot be used") as raised:
            grade_all()
        assert " at 0x" not in str(raised.value)
        assert content(course) == before

    def test_a_plugin_that_fails(self, due, hand_in, grade_all, course):
        self.stamp(hand_in(), "2040-01-01 00:00 UTC")
        plugin = course / "penalties.py"
        plugin.write_text(plugin.read_text().replace("total_seconds_late", "secnds", 1))
        before = content(course)
        with pytest.raises(CourseError, match=r"failed for \w+ \(\w+Error: .*nothing was written"):
            grade_all()
        assert content(course) == before
        plugin.write_text(PENALTY.replace("assert score >= 0", "raise RuntimeError"))
        sys.modules.pop("penalties")
        with pytest.raises(CourseError, match=r"failed for \w+ \(RuntimeError\)"):
            grade_all()

    def test_a_regrade_in_time_takes_the_penalty_away(self, due, hand_in, grade_all, book):
        folder = hand_in()
        self.stamp(folder, "2030-01-01 13:00 UTC")
        grade_all()
        assert book.total() == 37
        self.stamp(folder, "2030-01-01 11:00 UTC")
        grade_all()
        assert book.total() == 38

    def test_no_time_at_all_leaves_none(self, due, hand_in, grade_all, book, course):
        folder = hand_in()
        self.stamp(folder, "2030-01-01 13:00 UTC")
        grade_all()
        assert (course / "autograded" / "eve" / SLUG / "timestamp.txt").exists()
        (folder / "timestamp.txt").unlink()
        assert grade_all() == []
        assert book.submission().timestamp is None
        assert book.total() == 38
        assert not (course / "autograded" / "eve" / SLUG / "timestamp.txt").exists()

    @pytest.mark.parametrize(
        "text",
        ["yesterday", "", b"\xff\xfe\x00", "9" * 50, "2030-13-45", "0000-00-00", "1:2:3:4 am pm",
         "x" * 10_000_000, "\0" * 40, "10000000000000000-1-1", "10:00", "Friday", "20 November"],
    )  # fmt: skip
    def test_what_is_no_time(self, text, due, hand_in, grade_all, book, course):
        self.stamp(hand_in(), text)
        (note,) = grade_all()
        assert note == "eve: timestamp.txt is not a time; the submission counts as having none"
        assert book.submission().timestamp is None
        assert not (course / "autograded" / "eve" / SLUG / "timestamp.txt").exists()

    def test_a_link_is_not_followed(self, due, hand_in, grade_all, book, tmp_path):
        """A27: a student may not point at the time of somebody else."""
        folder = hand_in()
        (tmp_path / "time").write_text("2029-01-01 00:00 UTC")
        (folder / "timestamp.txt").symlink_to(tmp_path / "time")
        (note,) = grade_all()
        assert "is not a time" in note
        assert book.submission().timestamp is None


class TestTrouble:
    @pytest.fixture(autouse=True)
    def impatient(self, monkeypatch):
        """SQLite waits for five seconds before it says that a database is locked."""
        real = sqlite3.dbapi2.connect
        monkeypatch.setattr(
            sqlite3.dbapi2, "connect", lambda *args, **kwargs: real(*args, timeout=0.1, **kwargs)
        )

    def test_a_locked_gradebook(self, hand_in, grade_all, course, desk, caplog):
        hand_in("eve")
        grade_all()
        before = content(course)
        hand_in("eve", answer(desk, "standardize", WRONG_DIVISOR))
        other = sqlite3.connect(course / "gradebook.db")
        other.execute("begin exclusive")
        try:
            with pytest.raises(CourseError) as caught:
                grade_all()
        finally:
            other.close()
        assert "gradebook" in str(caught.value)
        assert "run" in str(caught.value)
        assert not caplog.records, "a sentence is enough"
        assert content(course) == before
        grade_all()
        assert content(course) != before

    def test_a_gradebook_that_somebody_else_writes(self, hand_in, grade_all, course, caplog):
        hand_in("eve")
        other = sqlite3.connect(course / "gradebook.db")
        other.execute("begin immediate")
        try:
            with pytest.raises(CourseError, match="could not be written"):
                grade_all()
        finally:
            other.close()
        assert not caplog.records
        assert not any("'eve'" in line for line in content(course))

    def test_what_is_no_gradebook(self, hand_in, grade_all, course):
        hand_in()
        (course / "gradebook.db").write_bytes(b"not a database" * 1000)
        with pytest.raises(CourseError, match="cannot be used"):
            grade_all()

    @pytest.mark.parametrize("step", STEPS)
    def test_a_run_that_is_stopped_writes_nothing(
        self, step, hand_in, grade_all, course, monkeypatch
    ):
        for student in ("ada", "bob", "eve"):
            hand_in(student)
        before, real = content(course), getattr(gradebook, step)

        def interrupted(*args):
            real(*args)
            raise KeyboardInterrupt

        monkeypatch.setattr(gradebook, step, interrupted)
        with pytest.raises(KeyboardInterrupt):
            grade_all()
        assert content(course) == before

    @pytest.mark.parametrize("step", STEPS)
    def test_a_run_that_is_killed_writes_nothing(self, step, hand_in, grade_all, course):
        hand_in("ada")
        grade_all()
        before = content(course)
        hand_in("ada", b"")
        hand_in("bob")
        code = f"""
            import os, signal
            from pathlib import Path
            from autograder.classroom import gradebook, judges
            from autograder.classroom.submissions import Assignment, find_submissions
            course = Path({str(course)!r})
            assignment = Assignment.load(course, {SLUG!r})
            found = find_submissions(course / "submitted", {SLUG!r})
            graded = [judges.lost(assignment, s.student, "x") for s in found]
            real = gradebook.{step}
            def killed(db, *rest):
                real(db, *rest)
                db.flush()
                os.kill(os.getpid(), signal.SIGKILL)
            gradebook.{step} = killed
            gradebook.record(course, assignment, graded)
        """
        done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True)
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert content(course) == before

    def test_the_secret_of_a_submission_goes_along(self, hand_in, grade_all, course):
        """`nbgrader release_feedback` names its files by it."""
        folder = hand_in()
        there = course / "autograded" / "eve" / SLUG / "submission_secret.txt"
        (folder / there.name).write_text("0123456789abcdef" * 8)
        grade_all()
        assert there.read_text() == "0123456789abcdef" * 8
        for odd in ("../../x", "0" * 5000, "", "łä"):
            (folder / there.name).write_text(odd)
            grade_all()
            assert not there.exists(), odd
        (folder / there.name).unlink()
        (folder / there.name).symlink_to(course / "nbgrader_config.py")
        grade_all()
        assert not there.exists()

    def test_no_room_for_the_notebook(self, hand_in, grade_all, course):
        hand_in()
        grade_all()
        file = course / "autograded" / "eve" / SLUG / NOTEBOOK
        file.chmod(0o444)  # as nbgrader itself leaves it
        grade_all()
        assert [p.name for p in file.parent.iterdir()] == [NOTEBOOK]
        assert os.access(file, os.W_OK)

    def test_who_may_read_results_is_for_the_instructor_to_say(self, course):
        for mask, mode in ((0o077, 0o600), (0o027, 0o640)):
            before = os.umask(mask)
            try:
                write_whole(course / "grades" / "x.csv", "x")
            finally:
                os.umask(before)
            assert os.stat(course / "grades" / "x.csv").st_mode & 0o777 == mode


EVIL_TEXT = r"""
I would use *the mean of the training rows*, since $a < b$ and `x<y`.

<script>alert("text")</script> <img src=x onerror=alert(1)> <svg/onload=alert(1)>
<iframe src="javascript:alert(1)"></iframe><a href="javascript:alert(1)">x</a>
<div style="position:fixed">x</div> <!-- <script>alert(2)</script> -->
[one](javascript:alert(1)) [two](JaVaScRiPt:alert(1)) [three](java&#115;cript:alert(1))
[four](<javascript:alert(1)>) [five](
javascript:alert(1)) [six](&#x6A;avascript&colon;alert(1)) [seven]( javascript:alert(1) "x")
[eight](vbscript:x) [nine](data:text/html;base64,PHNjcmlwdD4=) <javascript:alert(1)>
[ten][ref] ![eleven](https://evil.example/x.png) ![twelve][ref]

[ref]: javascript:alert(1)
[ref2]: <javascript:alert(1)>

$\href{javascript:alert(1)}{x}$ $\style{position:fixed}{42 of 42}$ $$\require{html}\class{x}{y}$$

<https://evil.example> <p/><script
>alert(1)</script
>
"""

NAMES = ("eve", "łucja żółć", "=1+1", "<i>bob", "o'hara", "late")


@pytest.fixture(scope="module")
def after(template, desk, tmp_path_factory):
    import shutil

    from classroom_helpers import SECRET

    course = tmp_path_factory.mktemp("after") / "course"
    shutil.copytree(template, course)
    code = (
        "from IPython.display import HTML, display\n"
        "class Rich:\n"
        "    def _repr_html_(self): return '<script>alert(\"html\")</script>'\n"
        "    def __repr__(self): return '<script>alert(\"repr\")</script>'\n"
        "print('<script>alert(\"print\")</script>')\n"
        "display(HTML('<script>alert(\"display\")</script>'), Rich())\n"
        "raise ValueError('<script>alert(\"error\")</script>')"
    )
    evil = desk.fill_in(
        {"standardize": "def standardize(X):\n    raise ValueError('<script>alert(1)')"},
        above=code,
    )
    evil.cells[-1].source = EVIL_TEXT
    evil.cells.insert(1, nbformat.v4.new_markdown_cell(EVIL_TEXT))
    for name in NAMES:
        folder = course / "submitted" / name / SLUG
        folder.mkdir(parents=True)
        (folder / NOTEBOOK).write_bytes(as_bytes(evil if name == "eve" else desk.fill_in()))
    (course / "submitted" / "late" / SLUG / "timestamp.txt").write_text("not a time")
    (course / "submitted" / "late" / SLUG / NOTEBOOK).write_bytes(b"{")
    graded = [
        grading.grade(desk.assignment, s.read(), desk.pool, SECRET)
        for s in find_submissions(course / "submitted", SLUG)
    ]
    for result in graded:
        write_notebook(course_directory(course), result)
    record(course, desk.assignment, graded)
    nbgrader("generate_feedback", SLUG, cwd=course)
    return course


class TestAfterwards:
    """nbgrader's own tools go on with what was written."""

    def feedback(self, course, student):
        file = course / "feedback" / student / SLUG / f"{SLUG}.html"
        return BeautifulSoup(file.read_text(encoding="utf-8"), "html.parser")

    def test_everybody_gets_feedback(self, after):
        for name in NAMES:
            assert self.feedback(after, name).find("title")

    def test_it_holds_the_reports_and_no_hidden_tests(self, after):
        page = self.feedback(after, "o'hara")
        text = page.get_text(" ")
        assert "11 of 11 points" in text
        assert "A second" in text, "hidden probes were run, and are told"
        assert "hidden=True" not in text
        assert "BEGIN HIDDEN" not in text

    def test_it_says_why_nothing_could_be_graded(self, after):
        assert "could not be graded" in self.feedback(after, "late").get_text()

    def test_no_script_of_a_students_is_in_it(self, after):
        right, evil = (self.feedback(after, name) for name in ("o'hara", "eve"))
        scripts = [len(page.find_all("script")) for page in (right, evil)]
        assert scripts[0] == scripts[1]
        assert not any("alert" in s.get_text() for s in evil.find_all("script"))
        for tag in evil.find_all(True):
            assert tag.name not in ("iframe", "object", "embed", "form", "base", "marquee")
            for name, value in tag.attrs.items():
                assert not name.startswith("on"), f"{name}={value}"
                if name in ("href", "src", "action", "data"):
                    plain = re.sub(r"[\s\0]", "", str(value)).lower()
                    assert not plain.startswith(("javascript", "vbscript", "data:text"))
                    assert name != "src" or "evil.example" not in plain
        text = evil.get_text()
        assert 'alert("print")' in text, "it is shown, and not obeyed"
        assert not re.search(r"\\(href|style|require|class)\b", text), "MathJax obeys these"

    def test_what_a_student_wrote_can_still_be_read(self, after):
        text = self.feedback(after, "eve").get_text()
        assert "the mean of the training rows" in text
        assert "a < b" in text

    def test_export(self, after):
        nbgrader("export", cwd=after)
        lines = (after / "grades.csv").read_text(encoding="utf-8").splitlines()
        assert len(lines) == 1 + len(NAMES)

    def test_nbgrader_finds_nothing_to_do(self, after):
        """Our notebooks are what nbgrader would have made: it does not want to grade them again."""
        assert "Skipping existing" in nbgrader("generate_feedback", SLUG, "--debug", cwd=after)


def refuse_to_be_a_copy(original: int) -> list[str]:
    if os.getpid() != original:
        os._exit(1)
    return ["done"]


def refuse(_: int) -> list[str]:
    raise CourseError("the gradebook is locked")


def test_what_is_done_beside_is_done_here_if_the_copy_dies():
    with runs._beside(partial(refuse_to_be_a_copy, os.getpid())) as notes:
        assert notes() == ["done"]


def test_what_is_done_beside_is_done_here_if_there_can_be_no_copy(monkeypatch):
    def no_more():
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", no_more)
    with runs._beside(partial(refuse_to_be_a_copy, os.getpid())) as notes:
        assert notes() == ["done"]


def say_much() -> list[str]:
    return ["a timestamp is not a time" * 100_000]


def test_nobody_waits_for_a_copy_that_still_has_much_to_say():
    """What is done meanwhile, such as to write the results, may fail before it is heard."""
    try:
        with time_limit(30), pytest.raises(CourseError, match="disk"), runs._beside(say_much):
            raise CourseError("the disk is full")
    except OutOfTime:
        for copied in multiprocessing.active_children():
            copied.kill()
        pytest.fail("it waits for ever")


def test_what_goes_wrong_beside_is_said_here():
    with runs._beside(partial(refuse, 0)) as notes, pytest.raises(CourseError, match="locked"):
        notes()
