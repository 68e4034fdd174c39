"""`check(...)` as a student uses it: in a notebook, with one line."""

import importlib
import re
import signal
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbgrader.utils import determine_grade
from typer.testing import CliRunner

import autograder.chapters
from autograder import check, graded_seed
from autograder.chapters import SLUGS, BrokenChapter, UnknownExercise, chapter, find
from autograder.classroom import cells
from autograder.classroom.release import read_source
from autograder.classroom.timing import OutOfTime
from autograder.cli import app
from autograder.verdict import Verdict

ROOT = Path(__file__).parents[1]
STANDARDIZE = find("standardize").reference


def test_a_right_answer():
    report = check("standardize", STANDARDIZE)
    assert report.passed
    assert report.unseen == sum(p.hidden for p in find("standardize").probes)


def test_hidden_probes_run_when_asked_for():
    report = check("standardize", STANDARDIZE, hidden=True)
    assert report.unseen == 0
    assert report.earned == report.points


def test_who_stops_an_endless_loop_is_told_where_it_is():
    def standardize(X):
        while True:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt) as stopped:
        check("standardize", standardize)
    said = (
        r"standardize was interrupted in line \d+: `signal\.raise_signal\(.*\)`: does what it .*\?"
    )
    assert re.fullmatch(said, str(stopped.value))
    assert len(stopped.traceback) == 2, "this test, and the check"
    assert stopped.value.__suppress_context__


def test_the_graders_own_clock_passes_a_check():
    def standardize(X):
        raise OutOfTime

    with pytest.raises(OutOfTime):
        check("standardize", standardize)


def test_the_same_inputs_each_time():
    answer = find("standardize").mistakes[0].implementation
    first, second = check("standardize", answer), check("standardize", answer)
    assert first.to_dict() == second.to_dict()
    assert check("standardize", answer, seed=1).to_dict() != first.to_dict()


def test_the_classroom_sets_the_seed():
    answer = find("standardize").mistakes[0].implementation
    token = graded_seed.set((1, 2, 3))
    try:
        graded = check("standardize", answer)
    finally:
        graded_seed.reset(token)
    assert graded.to_dict() == check("standardize", answer, seed=(1, 2, 3)).to_dict()
    assert graded.to_dict() != check("standardize", answer).to_dict()


class TestUnknownExercise:
    def test_it_suggests_the_nearest(self):
        with pytest.raises(UnknownExercise) as caught:
            check("standardise", STANDARDIZE)
        assert str(caught.value) == (
            "there is no exercise named 'standardise'. Did you mean 'standardize'?"
        )

    def test_it_lists_all_when_none_is_near(self):
        with pytest.raises(UnknownExercise, match="There are: min_max_scale, mean_normalize"):
            check("xyz", STANDARDIZE)

    def test_a_chapter_that_is_not_entered_yet(self, monkeypatch):
        monkeypatch.setattr(autograder.chapters, "SLUGS", ("whitening",))
        with pytest.raises(UnknownExercise, match=r"evidence is not in SLUGS yet, in .*init__.py"):
            chapter.__wrapped__("evidence")

    def test_a_notebook_shows_the_sentence_alone(self):
        error = UnknownExercise("there is none")
        assert error._render_traceback_() == ["UnknownExercise: there is none"]

    def test_exchanged_arguments(self):
        with pytest.raises(UnknownExercise):
            check(STANDARDIZE, "standardize")


GOOD = """
from autograder.exercise import Chapter, Exercise, mistake, probe

@probe()
def one(f, rng):
    \"\"\"It is one.\"\"\"
    return {"one": f()}

@mistake(hint="Say one.")
def two():
    \"\"\"It is two.\"\"\"
    return 2

CHAPTER = Chapter("fresh", "Fresh", (Exercise("f", lambda: 1, (one,), (two,)),))
"""


class TestBrokenChapter:
    @pytest.fixture
    def load(self, tmp_path, monkeypatch):
        """Load a chapter from its source, in place of the course's."""

        def load(source):
            (tmp_path / "fresh.py").write_text(source, encoding="utf-8")
            monkeypatch.delitem(sys.modules, "autograder.chapters.fresh", raising=False)
            importlib.invalidate_caches()
            return chapter.__wrapped__("fresh")

        monkeypatch.setattr(autograder.chapters, "SLUGS", ("fresh",))
        monkeypatch.setattr(autograder.chapters, "__path__", [str(tmp_path)])
        monkeypatch.setattr(autograder.chapters, "__file__", str(tmp_path / "__init__.py"))
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        return load

    def test_a_sound_one(self, load):
        assert load(GOOD).title == "Fresh"

    @pytest.mark.parametrize(
        ("right", "wrong", "said"),
        [
            ("rng):", "rng:", r"line 5: SyntaxError"),
            ('(hint="Say one.")', "()", r"line 9: TypeError: mistake\(\) missing .* 'hint'"),
            ('"""It is two."""', "", r"line 9: ValueError: mistake two needs a docstring"),
            ("@probe()\n", "", r"line 13: ValueError: exercise f: @probe\(...\) is not above one"),
            ("CHAPTER", "CHAPTERS", r"fresh.py: AttributeError: .* no attribute 'CHAPTER'"),
            ('"fresh"', '"other"', r"fresh.py: CHAPTER is not a Chapter with the slug 'fresh'"),
        ],
    )
    def test_it_is_said_where_and_why(self, right, wrong, said, load):
        assert right in GOOD
        with pytest.raises(BrokenChapter, match=said):
            load(GOOD.replace(right, wrong))

    def test_the_command_says_it_in_a_sentence(self, load, tmp_path, monkeypatch):
        with pytest.raises(BrokenChapter):
            load("1 / 0")
        monkeypatch.setattr("autograder.cli.chapter", chapter.__wrapped__)
        result = CliRunner().invoke(app, ["verify", "fresh"])
        assert result.exit_code == 2
        assert "fresh.py, line 1: ZeroDivisionError: division by zero" in result.output


def test_names_of_exercises_are_unique():
    names = [e.name for slug in SLUGS for e in chapter(slug).exercises]
    assert len(set(names)) == len(names)


def test_what_is_public_is_little():
    assert autograder.__all__ == ["Report", "check"]


HEAVY = {"torch", "matplotlib", "scipy", "sklearn", "pandas", "nbgrader", "nbformat", "rich"}


def test_a_check_loads_nothing_heavy():
    code = (
        "import sys; from autograder import check\n"
        "check('standardize', lambda X: X)._repr_html_()\n"
        "print(*{m.split('.')[0] for m in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert {"autograder", "numpy"} <= loaded
    assert loaded.isdisjoint(HEAVY)
    assert done.stderr == ""


# --- the released notebook, done by a student ------------------------------------------------

MISTAKE = """
def mean_normalize(X):
    print("normalizing", X.shape)
    span = X.max(axis=0) - X.min(axis=0)
    return X - X.mean(axis=0) / np.where(span == 0, 1, span)
"""


@pytest.fixture(scope="module")
def done():
    """The released notebook with right answers, but one wrong and one left empty, executed."""
    slug = "feature_scaling"
    released = nbformat.read(ROOT / "exercises" / slug / f"{slug}.ipynb", as_version=4)
    source = read_source(ROOT / "solutions" / slug / f"{slug}.py")
    solutions = {cells.grade_id(c): c.source for c in source.cells}
    for cell in filter(cells.is_solution, released.cells):
        if cell.cell_type == "code":
            cell.source = solutions[cells.grade_id(cell)]
    by_id = {cells.grade_id(c): c for c in released.cells}
    by_id["mean_normalize"].source = MISTAKE
    by_id["min_max_scale"].source = "def min_max_scale(X, feature_range=(0, 1)):\n    1 / 0"
    NotebookClient(released, timeout=60, kernel_name="python3").execute()
    return by_id


def shown(cell):
    """A cell's one output, as text and HTML."""
    (output,) = cell.outputs
    assert output.output_type == "execute_result"
    return output.data["text/plain"], output.data["text/html"]


class TestNotebook:
    @pytest.mark.parametrize("name", ["standardize", "Scaler", "scale_splits"])
    def test_a_right_answer_is_shown_as_such(self, done, name):
        cell = done[f"test_{name}"]
        text, html = shown(cell)
        exercise = find(name)
        visible = sum(p.points for p in exercise.probes if not p.hidden)
        assert text == repr(float(visible))
        assert f"{visible:g} of {visible:g} points" in html
        assert 'aria-label="failed"' not in html
        assert determine_grade(cell) == (visible, exercise.points)

    def test_a_mistake_is_named(self, done):
        text, html = shown(done["test_mean_normalize"])
        assert text == "1.0"  # for the constant column
        assert "parentheses are missing" in html
        assert "It printed: normalizing (7, 4)" in html

    def test_an_error_is_shown_with_the_students_line(self, done):
        text, html = shown(done["test_min_max_scale"])
        assert text == "0.0"
        assert "ZeroDivisionError: division by zero, in line 2: " in html
        assert re.search(r"<code[^>]*>1 / 0</code>", html)
        assert "Traceback" not in html

    def test_nothing_else_is_written(self, done):
        for cell in done.values():
            assert all(o.output_type != "stream" for o in cell.get("outputs", []))


def test_what_is_missing_is_said():
    report = check("standardize", None)
    assert report.verdict is Verdict.MISSING
    assert "there is no standardize: define it" in str(report)
