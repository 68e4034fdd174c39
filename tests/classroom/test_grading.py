"""A class: nobody's notebook, and no death of a process, is at the cost of somebody else."""

from __future__ import annotations

import copy
import os
import signal
import time
import warnings
from pathlib import Path

import nbformat
import pytest
from classroom_helpers import (
    LIMITS,
    QUICKLY,
    ROOT,
    SECRET,
    SLUG,
    Desk,
    as_bytes,
    autograder,
    grade_class,
    nbgrader,
)
from nbconvert import HTMLExporter
from nbgrader.converters.base import NbGraderException

from autograder.classroom import preprocessor
from autograder.classroom.cells import grade_id, student_names
from autograder.classroom.grading import _test, grade, harmless, legible
from autograder.classroom.judges import Setup, judge_one
from autograder.classroom.release import students_version
from autograder.classroom.session import Session
from autograder.classroom.submissions import MAX_CELLS, Assignment, Given, from_bytes
from autograder.sandbox.pool import Limits, Pool
from autograder.verdict import Failure, Verdict


@pytest.fixture
def students(desk):
    return [desk.read(desk.fill_in(), f"student {n}") for n in range(4)]


class Poison(str):
    """A piece of a notebook that kills the judge's process that takes it; it stands for a bug."""

    def __reduce__(self):
        return _die, ()


def _die():
    import multiprocessing

    if multiprocessing.parent_process() is not None:
        os.kill(os.getpid(), signal.SIGKILL)


class Raises(str):
    """Another piece, on which the grader fails with an exception."""

    def __reduce__(self):
        return Raises, (str(self),)

    def strip(self, *_):
        raise ZeroDivisionError("a bug in the grader")


def with_first_cell(submission, source):
    from dataclasses import replace

    first, *others = submission.cells
    return replace(submission, cells=(first._replace(source=source), *others))


class TestClass:
    def test_nobody(self, desk):
        assert grade_class(desk, []) == {}

    def test_the_result_does_not_depend_on_how_many_are_graded_at_once(self, desk, students):
        alone = {s.student: desk.grade(desk.fill_in(), s.student) for s in students}
        graded = grade_class(desk, students, jobs=3)
        assert {n: g.to_dict() for n, g in graded.items()} == {
            n: g.to_dict() for n, g in alone.items()
        }
        assert {n: g.notebook for n, g in graded.items()} == {
            n: g.notebook for n, g in alone.items()
        }

    @pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system does not tell")
    def test_judges_keep_to_a_core_each_where_there_is_none_to_spare(self, desk):
        cores = os.sched_getaffinity(0)
        tell = "import os\nprint(len(os.sched_getaffinity(0)), 'cores')"
        notebook = desk.fill_in(above=tell)
        for jobs, alone in ((len(cores), True), (len(cores) - 1, False)):
            if jobs:
                submissions = [desk.read(notebook, f"student {n}") for n in range(2 * jobs)]
                graded = grade_class(desk, submissions, jobs=jobs)
                told = f"{1 if alone else len(cores)} cores"
                assert all(told in g.notebook for g in graded.values())

    def test_our_own_failures_are_told_and_are_at_nobodys_cost(self, desk, students):
        students[0] = with_first_cell(students[0], Poison("x"))
        students[1] = with_first_cell(students[1], Raises("x"))
        graded = grade_class(desk, students, jobs=1)
        assert [graded[s.student].blocked for s in students] == [True, True, False, False]
        assert {g.score for s in students[:2] for g in graded[s.student].grades} == {None}
        assert "died" in graded["student 0"].problem
        assert graded["student 1"].headline == "ZeroDivisionError: a bug in the grader"
        assert {graded[s.student].score for s in students[2:]} == {desk.full}

    def test_nothing_runs_where_a_wall_is_missing_that_is_required(
        self, desk, tmp_path, monkeypatch
    ):
        mark = tmp_path / "ran"
        submission = desk.read(desk.fill_in(above=f"open({str(mark)!r}, 'w').close()"))
        with Pool(limits=LIMITS, walls=False) as pool:
            refused = judge_one(Setup(desk.assignment, SECRET, True), pool, submission)
            assert (refused.grades, refused.walls) == ((), pool.walls.missing)
            assert not mark.exists()
            graded = judge_one(Setup(desk.assignment, SECRET, False), pool, submission)
            assert (graded.score, graded.walls) == (desk.full, pool.walls.missing)
            assert mark.exists()
            monkeypatch.setattr("autograder.classroom.grading.worksheet", None)  # a fault of ours
            failed = judge_one(Setup(desk.assignment, SECRET, False), pool, submission)
            assert (failed.blocked, failed.walls) == (True, pool.walls.missing)

    def test_timeouts_in_every_exercise_are_bounded_together(self, hasty):
        loops = {
            e.name: f"def {e.name}(*a, **k):\n    while True: pass" for e in hasty.subject.exercises
        }
        loops["Scaler"] = "class Scaler:\n    def fit(self, X):\n        while True: pass"
        start = time.monotonic()
        graded = hasty.grade(hasty.fill_in(loops))
        assert time.monotonic() - start < 2 * LIMITS.total_seconds
        assert {g.verdict for g in graded.grades[:5]} == {Verdict.TIMEOUT}
        assert graded.score == 0


class TestShown:
    @pytest.mark.parametrize(
        "text",
        [
            "Plain words, *emphasis*, **more**, `code`, and a list:\n\n1. one\n2. two",
            "$a < b$, and $\\frac{1}{N}\\sum_i x_i$, & so on; 3 > 2 < 4; x <- y",
            "A [page](https://example.org), a [mail](mailto:x@y.z), [here](#there).",
            "```python\nif a < b:\n    x[0] = f(y)\n```",
            "A | table\n--|--\n1 | 2",
            "# A heading\n\n> a quotation\n\n---",
        ],
    )
    def test_ordinary_text_is_left_as_it_is(self, text):
        assert harmless(text) == text

    @pytest.mark.parametrize(
        "text",
        [
            '$\\mmlToken{mi}[href="javascript:alert(1)"]{x}$',
            "$\\bbox[background:url(https://example.org)]{x}$",
            "$\\href{javascript:alert(1)}{x}$",
            "$\\style1{x}$",
        ],
    )
    def test_mathematics_is_no_way_to_html(self, text):
        assert harmless(text) == text.replace("\\", "\\ ")

    def test_text_of_any_length_takes_linear_time(self):
        start = time.monotonic()
        for sign in ("<", "[", "](", "![", "\\href", "&#"):
            harmless(sign * 500_000)
        assert time.monotonic() - start < 5

    @pytest.mark.parametrize(
        "code", ["", "x = 1\n", "def f(x):\n\n\n    return x  # \f\n\n", "x\r\ny"]
    )
    def test_ordinary_code_is_left_as_it_is(self, code):
        assert legible(code) == code

    def test_too_much_in_a_line_and_too_many_blank_lines_are_cut(self):
        code = "x" + " \n" * 5_000 + "y" * 5_000 + "\nz"
        lines = legible(code).splitlines()
        assert (lines[0], lines[-1], len(lines)) == ("x ", "z", 23)
        assert lines[-2] == "y" * 1_000 + " # …"

    def test_a_page_of_it_is_made_in_time(self, desk):
        """Feedback and formgrader show it: one student must not keep a class from theirs."""
        notebook = desk.fill_in(above="x" + "\n" * 6_000 + "y", below="a." * 10_000)
        notebook.cells += [nbformat.v4.new_markdown_cell("[" * 8_000) for _ in range(30)]
        notebook.cells += [nbformat.v4.new_code_cell("f'{'\n" * 50_000)]
        graded = desk.grade(notebook)
        assert graded.score == desk.full
        shown = nbformat.reads(graded.notebook, as_version=4)
        theirs = [cell.source for cell in shown.cells if "nbgrader" not in cell.metadata]
        assert sum(map(len, theirs)) < 110_000
        assert any("characters more are not shown" in source for source in theirs)
        start = time.process_time()
        HTMLExporter().from_notebook_node(shown)
        assert time.process_time() - start < 40

    def test_the_mark_scheme_has_no_markers(self, desk):
        shown = desk.grade(desk.fill_in()).notebook
        assert "1 point each" in shown
        assert "MARK SCHEME" not in shown

    def test_control_characters_do_not_reach_a_terminal(self, desk):
        code = "def standardize(X):\n    raise ValueError('\\x1b[2J\\x1b]0;title\\x07\\r\\u202e')"
        assert desk.grade(desk.fill_in({"standardize": code})).headline.isprintable()


class TestPlainTests:
    """Graded cells without a report: other courses have them."""

    def outcome(self, desk, code, points=2.0, answers=None):
        info = {"grade": True, "grade_id": "t", "points": points, "solution": False}
        cell = nbformat.v4.new_code_cell(code, metadata={"nbgrader": info})
        submission = desk.read(desk.fill_in(answers))
        with Session(desk.pool) as session:
            for each in submission.cells:
                if each.code and "check" not in each.source:
                    session.run(each.source, "x")
            origin = Given.of(cell, cell)
            grade, (output, *_), _ = _test(desk.assignment, submission, origin, session, SECRET)
        return grade, output

    def test_no_exception_is_full_points(self, desk):
        grade, _ = self.outcome(desk, "assert callable(standardize)")
        assert (grade.score, grade.verdict) == (2.0, Verdict.PASS)

    def test_annotations_are_values_as_in_a_notebook(self, desk):
        grade, _ = self.outcome(desk, "def f(x: int): ...\nassert f.__annotations__ == {'x': int}")
        assert grade.verdict == Verdict.PASS

    def test_a_failing_assertion(self, desk):
        grade, output = self.outcome(desk, "assert False, 'nope'")
        assert (grade.score, grade.verdict, grade.headline) == (0.0, Verdict.WRONG, "nope")
        assert output["output_type"] == "error"

    @pytest.mark.parametrize(
        ("value", "score"),
        [
            ("1.5", 1.5),
            ("7", 2.0),
            ("-1", 0.0),
            ("float('nan')", 0.0),
            ("float('inf')", 2.0),
            ("-float('inf')", 0.0),
            ("__import__('numpy').float64(1.5)", 1.5),
            ("__import__('numpy').float64('nan')", 0.0),
            ("__import__('numpy').int64(1)", 1.0),
            ("2.0000000001", 2.0),
            ("10**400", 2.0),
            ("-10**400", 0.0),
            ("mean_normalize(1)", 2.0),
        ],
    )
    def test_the_last_number_is_the_score(self, value, score, desk):
        """A25: what nbgrader takes from a cell, without its traps."""
        long = {"mean_normalize": "def mean_normalize(X):\n    return 10**400"}
        grade, output = self.outcome(desk, value, answers=long)
        assert grade.score == score
        assert type(grade.score) is float
        assert output["data"]["text/plain"] == repr(score)

    @pytest.mark.parametrize(
        "cell",
        [
            "assert standardize(1) == 2, standardize(1)",
            "raise KeyError(standardize(1))",
        ],
    )
    def test_a_cell_that_quotes_a_long_answer_is_brief(self, cell, desk):
        """What it says is kept in the gradebook and in every file of results."""
        long = "def standardize(X):\n    return 3_000_000 * 'x'"
        grade, output = self.outcome(desk, cell, answers={"standardize": long})
        assert grade.score == 0
        assert len(grade.headline) <= 5_000
        assert len(str(output)) < 20_000

    def test_part_of_the_points_is_said(self, desk):
        grade, _ = self.outcome(desk, "1.5")
        assert (grade.verdict, grade.headline) == (Verdict.WRONG, "1.5 of 2 points")

    @pytest.mark.parametrize(
        ("raises", "catches"),
        [
            ("ValueError", "ValueError"),
            ("KeyError", "LookupError"),
            ("type('Odd', (ValueError,), {})", "ValueError"),
            ("FileNotFoundError", "OSError"),
            ("NameError", "NameError"),
        ],
    )
    def test_an_answer_should_raise_an_exception(self, raises, catches, desk):
        cell = f"""
try:
    standardize(1)
except {catches}:
    pass
else:
    raise AssertionError("it raises nothing")
"""
        right = f"def standardize(X):\n    raise {raises}('no')"
        wrong = "def standardize(X):\n    return X"
        other = "def standardize(X):\n    raise ZeroDivisionError('no')"
        grades = [self.outcome(desk, cell, answers={"standardize": a}) for a in (right, wrong)]
        assert [(g.score, g.headline) for g, _ in grades] == [(2, ""), (0, "it raises nothing")]
        grade, _ = self.outcome(desk, cell, answers={"standardize": other})
        said = "ZeroDivisionError: no"
        assert (grade.score, grade.verdict, grade.headline) == (0, Verdict.ERROR, said)

    def test_an_exception_without_words_is_named(self, desk):
        empty = {"standardize": "def standardize(X):\n    raise NotImplementedError()"}
        grade, _ = self.outcome(desk, "standardize(1)", answers=empty)
        assert (grade.score, grade.headline) == (0, "NotImplementedError")

    @pytest.mark.parametrize(
        ("code", "said"),
        [
            ("np.testing.assert_allclose(1, 1)", "uses np, which neither it imports nor"),
            ("def looks():\n    return wine\nlooks()", "uses wine, which neither it imports nor"),
            ("import helpers_of_ours", "cannot import what it needs: No module named"),
        ],
    )
    def test_what_a_cell_lacks_is_not_the_students_fault(self, code, said, desk):
        grade, _ = self.outcome(desk, code)
        assert (grade.score, grade.verdict) == (None, Verdict.INTERNAL)
        assert said in grade.headline

    def test_a_name_that_a_wrong_answer_leaves_undefined_is(self, desk):
        code = "if standardize is None:\n    found = 1\nassert found"
        grade, _ = self.outcome(desk, code)
        assert (grade.score, grade.verdict) == (0.0, Verdict.ERROR)

    def test_an_exercise_that_does_not_exist_is_our_mistake(self, desk):
        grade, _ = self.outcome(
            desk, "from autograder import check\ncheck('no_such_thing', standardize)"
        )
        assert (grade.score, grade.verdict) == (None, Verdict.INTERNAL)

    def test_a_mistake_in_the_cell_itself_is_not_ours(self, desk):
        grade, _ = self.outcome(desk, "1 / 0")
        assert (grade.score, grade.verdict) == (0.0, Verdict.ERROR)


class TestAFaultOfTheGradedCells:
    """Where the instructor's solution fails in the same way, a failure says nothing."""

    RIGHT = "def double(x):\n    return x + x"
    WRONG = "def double(x):\n    return 3 * x"

    @pytest.fixture
    def graded(self, desk):
        """Grade answers in an assignment of one exercise and one graded cell."""

        def cell(code, name, **info):
            info = {"grade": False, "solution": False, "locked": False, "task": False, **info}
            about = {"nbgrader": {"schema_version": 3, "grade_id": name, **info}}
            return nbformat.v4.new_code_cell(code, metadata=about)

        def grade_all(test, *answers, solution="return 2 * x", asked=""):
            body = f"### BEGIN SOLUTION\n    {solution}\n### END SOLUTION"
            asked = asked or f"def double(x):\n{body}"
            source = nbformat.v4.new_notebook()
            source.cells = [
                cell(asked, "double", solution=True),
                cell(test, "t", grade=True, locked=True, points=2),
            ]
            release = students_version(ROOT, source, Path("own.ipynb"))
            own = Assignment("own", source, release, student_names(source))
            for answer in answers:
                notebook = copy.deepcopy(release)
                if answer is not None:
                    notebook.cells[0].source = answer
                handed = from_bytes("eve", Path("own.ipynb"), as_bytes(notebook))
                yield grade(own, handed, desk.pool, SECRET)

        return grade_all

    @pytest.mark.parametrize(
        ("test", "said"),
        [
            ("double.nothing", "no attribute 'nothing'"),
            ("[][double(1)]", "IndexError: list index out of range"),
            ("1 / 0", "ZeroDivisionError: division by zero"),
            ("assert double(1, 2) == 2", "takes 1 positional argument but 2 were given"),
            ("assert double(2) == 5", "an assertion does not hold"),
            ("double(2)\nraise SystemExit", "SystemExit"),
            ("double(2)\nfloat('nan')", "0 of 2 points"),
            ("from autograder import check\ncheck('Scaler', double)", "Scaler"),
        ],
    )
    def test_leaves_the_grade_open(self, test, said, graded):
        (result,) = graded(test, self.RIGHT)
        (found,) = result.grades
        assert (found.score, found.verdict) == (None, Verdict.INTERNAL)
        assert found.headline.startswith("the graded cell fails with the solution, too: ")
        assert said in found.headline
        assert found.headline in result.notebook
        assert (result.blocked, result.worth_another_try) == (True, False)

    def test_does_not_excuse_who_wrote_nothing(self, graded):
        (result,) = graded("double(1)\n1 / 0", None)
        assert result.score == 0
        assert not result.blocked

    def test_does_not_excuse_what_fails_otherwise(self, graded):
        test = "assert double(1) == 2, 'one'\nassert double(2) == 5, 'two'"
        wrong, right = (r.grades[0] for r in graded(test, self.WRONG, self.RIGHT))
        assert (wrong.score, wrong.verdict, wrong.headline) == (0, Verdict.WRONG, "one")
        assert right.score is None

    def test_a_part_of_the_points_is_kept(self, graded):
        """Perhaps a person gives the rest."""
        (result,) = graded("double(1)\n1.5", self.RIGHT)
        assert (result.score, result.blocked) == (1.5, False)

    def test_a_solution_that_is_wrong_costs_nobody_anything(self, graded):
        test = "assert double(2) == 4"
        found = [r.grades[0].score for r in graded(test, self.RIGHT, self.WRONG, solution="pass")]
        assert found == [2, None]

    @pytest.mark.parametrize(
        ("returned", "kind"),
        [
            ("__import__('numpy').ones((0, 3))", "ndarray"),
            ("__import__('numpy').ones(4)", "ndarray"),
            ("type('F', (float,), {'__eq__': lambda *_: 'x'})()", ""),
            ("[]", ""),
        ],
    )
    def test_points_that_are_no_number_are_none(self, returned, kind, graded):
        """What they are computed with is the answer, which may make anything of them."""
        test = "1.0 * (double(1) == 2) + 1.0 * (double(2) == 4)"
        wrong, right = (
            r.grades[0] for r in graded(test, f"def double(x):\n    return {returned}", self.RIGHT)
        )
        assert (wrong.score, wrong.verdict) == (0, Verdict.WRONG)
        assert wrong.headline.endswith(f"got no number: {kind}" if kind else "0 of 2 points")
        assert right.score == 2

    def test_a_number_in_an_array_without_axes_is_one(self, graded):
        answer = "import numpy as np\ndef double(x):\n    return np.array(2 * x)"
        for test, score in (("double(1) - 1", 1), ("double(1) - 2", 0)):
            (result,) = graded(test, answer)
            assert result.score == score

    @pytest.mark.parametrize("last", ["double(2)", "str(double(2))", "print(double(2))", "[2]"])
    def test_a_last_line_that_is_no_number_with_the_solution_is_only_shown(self, last, graded):
        answer = "import numpy as np\ndef double(x):\n    return np.array([2 * x])"
        (result,) = graded(f"assert double(1) == 2\n{last}", answer, solution="return [2 * x]")
        assert result.score == 2

    def test_a_list_that_is_changed_in_place_is_changed_here(self, graded):
        test = "values = [1, [2]]\nassert double(values) is None\nassert values == [1, [2], 1, [2]]"
        right, wrong = (f"def double(x):\n    {what}" for what in ("x += x", "x = x + x"))
        found = [r.score for r in graded(test, right, wrong, solution="x *= 2")]
        assert found == [2, 0]

    def test_a_right_cell_excuses_nobody(self, graded):
        found = [r.grades[0] for r in graded("assert double(2) == 4", self.RIGHT, self.WRONG)]
        assert [g.score for g in found] == [2, 0]

    @pytest.mark.parametrize("test", ["from autograder import check\ncheck('doubel', double)"])
    def test_an_exercise_that_does_not_exist_is_to_be_mended(self, test, graded):
        (result,) = graded(test, self.RIGHT)
        assert result.grades[0].to_mend
        assert "checks what is no exercise: there is no exercise named 'dou" in result.headline

    @pytest.mark.parametrize(
        ("test", "right"),
        [
            ("assert double is not None", "double = 4"),
            ("assert double != 3", "double = 4"),
            ("assert callable(double)", RIGHT),
        ],
    )
    def test_what_is_not_defined_does_not_pass(self, test, right, graded):
        found = [r.grades[0] for r in graded(test, "def other(x): return x", right)]
        assert [(g.score, g.verdict) for g in found] == [(0, Verdict.MISSING), (2, Verdict.PASS)]
        assert found[0].headline.startswith("there is no double: define it")

    def test_what_is_not_defined_can_be_looked_for(self, graded):
        test = "try:\n    double\nexcept NameError:\n    points = 1\nelse:\n    points = 2\npoints"
        found = graded(test, "def other(x): return x", self.RIGHT)
        assert [r.score for r in found] == [1, 2]

    def test_a_name_of_pythons_is_the_students(self, graded):
        name = "def sum(x):\n### BEGIN SOLUTION\n    return 2 * x\n### END SOLUTION"
        right, wrong = "def sum(x):\n    return x + x", "def sum(x):\n    return 3"
        found = [
            r.grades[0]
            for r in graded("assert sum([1]) == [1, 1]", right, wrong, "sums = 1", asked=name)
        ]
        assert [(g.score, g.verdict) for g in found] == [
            (2, Verdict.PASS),
            (0, Verdict.WRONG),
            (0, Verdict.MISSING),
        ]

    @pytest.mark.parametrize(
        "test",
        [
            "def twice(double):\n    return double(2)\nassert twice(double) == 4",
            "double = double(2)\nassert double == 4",
            "assert double(sum(double for double in range(3))) == 6",
        ],
    )
    def test_a_name_may_be_used_again(self, test, graded):
        found = [r.grades[0] for r in graded(test, self.RIGHT, self.WRONG)]
        assert [(g.score, g.verdict) for g in found] == [(2, Verdict.PASS), (0, Verdict.WRONG)]

    def test_what_the_solution_imports_is_not_the_students(self, graded):
        """Else a student's `np` would say whether the answer is right."""
        name = "### BEGIN SOLUTION\nimport numpy as np\ndouble = 4\n### END SOLUTION"
        forged = (
            "class np:\n    class testing:\n"
            "        assert_array_equal = staticmethod(print)\ndouble = 3"
        )
        test = "np.testing.assert_array_equal(double, 4)"
        (result,) = graded(test, forged, asked=name)
        assert result.grades[0].to_mend
        assert "uses np, which neither it imports" in result.grades[0].headline
        (result,) = graded(f"import numpy as np\n{test}", forged, asked=name)
        assert (result.score, result.grades[0].verdict) == (0, Verdict.WRONG)

    def test_what_pytest_raises_is_about_the_answer(self, graded):
        """It is no `Exception`, and ended the judge."""
        test = "import pytest\nwith pytest.raises(ValueError):\n    double('a', 1)"
        answers = "def double(x, y=0):\n    raise ValueError", "def double(x, y=0):\n    return x"
        solution = "raise ValueError"
        found = [r.grades[0] for r in graded(test, *answers, solution=solution)]
        assert [(g.score, g.verdict) for g in found] == [(2, Verdict.PASS), (0, Verdict.ERROR)]
        assert found[1].headline.startswith("Failed: DID NOT RAISE")

    @pytest.mark.parametrize("gives", ["set()", "frozenset()", "object()"])
    @pytest.mark.parametrize("test", ["assert not double(1)", "assert double(1) != {1}"])
    def test_what_is_not_plain_is_not_compared(self, gives, test, graded):
        """Whatever it is: what the solution gives may be called otherwise."""
        answers = f"def double(x):\n    return {gives}", "def double(x):\n    return [1]"
        open_, wrong = (r.grades[0] for r in graded(test, *answers, solution="return set()"))
        assert (open_.score, open_.verdict) == (None, Verdict.INTERNAL)
        assert "only plain data comes over" in open_.headline
        if "not" in test:
            assert (wrong.score, wrong.verdict) == (0, Verdict.WRONG)

    @pytest.mark.parametrize("gives", ["range(x)", "zip(range(x))", "set([x])", "(i for i in [x])"])
    def test_what_is_iterated_over_comes_over(self, gives, graded):
        test = "assert isinstance(sorted(double(2)), list)\nassert len(list(double(2))) > 0"
        (result,) = graded(test, f"def double(x):\n    return {gives}", solution="return [x]")
        assert result.score == 2

    @pytest.mark.parametrize(
        ("answer", "said"),
        [
            ("def other(x): return x", "there is no double: define it"),
            ("def double(x) return x", "the cell that should define double failed: SyntaxError"),
        ],
    )
    @pytest.mark.parametrize(
        "test",
        [
            "try:\n    double('a', 1)\nexcept TypeError:\n    pass\nelse:\n    assert False",
            "double + 1",
        ],
    )
    def test_what_is_not_defined_is_no_type_error(self, test, answer, said, graded):
        (result,) = graded(test, answer, solution="raise TypeError")
        assert result.score == 0
        assert said in result.headline


def test_a_crash_costs_only_itself_where_little_time_is_left(assignment, subject):
    """Asking ahead and then again must not take the time of what comes after."""
    limits = Limits(cell_seconds=4, call_seconds=1, total_seconds=4)
    slow = "import time\nend = time.monotonic() + 2.1\nwhile time.monotonic() < end: pass"
    crash = "import os\ndef min_max_scale(X, feature_range=(0, 1)): os._exit(1)"
    with Pool(limits=limits) as pool:
        desk = Desk(assignment, subject, pool)
        graded = desk.grade(desk.fill_in({"min_max_scale": crash}, above=slow))
    scores = [g.score for g in graded.grades if g.verdict]
    assert scores[0] == 0
    assert sum(filter(None, scores)) == desk.full - subject.exercises[0].points


def test_a_handle_of_an_ended_worker_is_not_handed_out(desk):
    source = """
import os
looks = []
class Odd:
    @property
    def __class__(self):
        looks.append(1)
        if len(looks) > 2: os._exit(1)
        return int
odd = Odd()
def double(x): return 2 * x
"""
    with Session(desk.pool) as session:
        session.run(source, "cell", asked=["odd", "double"])
        found = session.values(["odd", "double"])
        assert isinstance(found["odd"], Failure)
        assert found["double"](3) == 6


@pytest.fixture
def within_nbgrader(course, desk, monkeypatch):
    """The notebook that nbgrader's own autograde makes of another."""
    monkeypatch.setattr(preprocessor, "_pool", lambda _: desk.pool)
    about = {"student": "eve", "notebook": SLUG, "assignment": SLUG}
    place = {"path": str(course / "autograded" / "eve" / SLUG)}

    def graded(notebook):
        resources = {"nbgrader": about, "metadata": place}
        return preprocessor.Judge().preprocess(notebook, resources)[0]

    return graded


def test_a_fault_of_the_instructors_is_said_to_be_one(course, hand_in):
    source = course / "solutions" / SLUG / f"{SLUG}.py"
    test = 'check(\n    "min_max'
    source.write_text(source.read_text().replace(test, f"np.zeros(1)\n{test}"))
    hand_in("eve")
    said = " ".join(autograder("grade", SLUG, "--course", course, *QUICKLY).split())
    assert "1 submission could not be graded, through no fault of the students (eve)" in said
    assert "Mend the graded cell, and run the same command again. The first: test_min_max" in said
    nbgrader("generate_feedback", SLUG, cwd=course)
    page = (course / "feedback" / "eve" / SLUG / f"{SLUG}.html").read_text(encoding="utf-8")
    assert "Not graded yet, through no fault of yours: the graded cell uses np" in page


def test_within_nbgrader_a_test_that_was_mended_is_used_at_once(course, desk, within_nbgrader):
    """Formgrader's button grades in a process that lives for days."""
    source = course / "solutions" / SLUG / f"{SLUG}.py"

    def shown():
        cells = within_nbgrader(desk.fill_in()).cells
        (found,) = [c for c in cells if grade_id(c) == "test_min_max_scale"]
        return float(found.outputs[0]["data"]["text/plain"])

    full = shown()
    source.write_text(
        source.read_text().replace('check(\n    "min_max', '0.5 or check(\n    "min_max')
    )
    assert (full, shown()) == (desk.subject.exercises[0].points, 0.5)


def test_within_nbgrader_what_cannot_be_read_gets_no_grade_and_a_sentence(desk, within_nbgrader):
    notebook = desk.fill_in()
    notebook.cells = [nbformat.v4.new_code_cell() for _ in range(MAX_CELLS + 1)]
    with pytest.raises(NbGraderException, match=f"eve: the notebook has {MAX_CELLS + 1} cells"):
        within_nbgrader(notebook)


def test_within_nbgrader_a_course_that_cannot_be_read_is_said_in_a_sentence(
    course, desk, within_nbgrader, caplog
):
    source = course / "solutions" / SLUG
    (source / "second.ipynb").write_text("{}")
    caplog.set_level("ERROR")
    with pytest.raises(NbGraderException, match=r"also has second\.ipynb") as stopped:
        within_nbgrader(desk.fill_in())
    assert "an assignment is one notebook here" in caplog.text
    assert stopped.value.__suppress_context__, "what led to it would be shown as well"


def test_strange_escapes_in_an_answer_are_not_said_to_who_grades(desk):
    """Some of Python's versions warn of them, on the console of the run."""
    strange = {
        "standardize": "def standardize(X):\n    return 1",
        "Scaler": "class Scaler:\n    '\\d'\n    def fit(self, X):\n        standardize(X)",
    }
    with warnings.catch_warnings(record=True, action="always") as caught:
        graded = desk.grade(desk.fill_in(strange))
    assert graded.grades[3].report["uses"] == ["standardize"], "its names were read"
    assert not caught


def test_what_we_compute_of_answers_is_in_their_time_too(hasty):
    with Session(hasty.pool) as session:
        session.run("def f(): return 1", "one", ["f"])
        session.spend(3 * LIMITS.total_seconds)
        assert session.values(["f"])["f"].verdict is Verdict.TIMEOUT
