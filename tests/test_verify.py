"""Proving an assignment: whatever falls short is found, and said in a sentence."""

import copy
import dataclasses
import importlib
import re
import shutil
import signal
import textwrap
from pathlib import Path

import nbformat
import numpy as np
import pytest
from typer.testing import CliRunner

import autograder.cli
from autograder.chapters import chapter
from autograder.classroom import verify as rooms
from autograder.classroom.cells import student_names
from autograder.classroom.release import read_source, release_text
from autograder.classroom.timing import OutOfTime, time_limit
from autograder.classroom.verify import notebook_faults, prove, run
from autograder.exercise import Chapter, Exercise, mistake, probe

ROOT = Path(__file__).parents[1]

# --- what contributors are shown -------------------------------------------------------------


def test_the_example_for_contributors_is_in_order(tmp_path, monkeypatch):
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (code,) = re.findall(
        r"^   ```python\n(   from autograder\.exercise.*?)^   ```", page, re.M | re.S
    )
    (tmp_path / "my_chapter.py").write_text(textwrap.dedent(code), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    (exercise,) = importlib.import_module("my_chapter").CHAPTER.exercises
    assert exercise.points == 3
    assert prove(exercise).faults == []


# --- an exercise that is in order ------------------------------------------------------------


def double(x):
    return x * 2


def reverse(x):
    return x[::-1]


@probe(2)
def doubles(f, rng):
    """Each number is doubled."""
    return {"the result": f(rng.normal(size=3) + 5)}


@probe(1)
def nothing_stays_nothing(f, rng):
    """Zeros stay zeros."""
    return {"the result": f(np.zeros(2))}


@mistake(earns=1, hint="Do not square.")
def squares(x):
    """The number is squared."""
    return x**2


@mistake(hint="Do not add.")
def adds_two(x):
    """Two is added."""
    return x + 2


DOUBLE = Exercise(
    "double",
    double,
    (doubles, nothing_stays_nothing),
    (squares, adds_two),
    alternatives=(lambda x: x + x,),
)


def faults(**changes):
    return prove(dataclasses.replace(DOUBLE, **changes)).faults


class TestProve:
    def test_an_exercise_in_order(self):
        proof = prove(DOUBLE)
        assert proof.ok
        assert proof.faults == []
        assert proof.survivors == []
        assert proof.killed == proof.mutants >= 3

    def test_a_mistake_that_is_not_caught(self):
        @mistake(hint="?")
        def harmless(x):
            """It is the same."""
            return 2 * x

        found = faults(mistakes=(harmless,))
        assert found.count("the mistake harmless is not caught (seeds 0, 1, 2, 3, 4)") == 1
        assert sum("harmless" in fault for fault in found) == 1, "said once"

    def test_a_mistake_that_is_taken_for_another(self):
        @mistake(earns=1, hint="?")
        def multiplies_by_itself(x):
            """It is multiplied by itself."""
            return x * x

        found = faults(mistakes=(squares, multiplies_by_itself))
        assert (
            found[0]
            == "the mistake multiplies_by_itself is diagnosed as squares (seeds 0, 1, 2, 3, 4)"
        )

    def test_a_mistake_that_deserves_other_points(self):
        @mistake(earns=3, hint="?")
        def triples(x):
            """It is tripled."""
            return x * 3

        assert faults(mistakes=(triples,))[0] == (
            "the mistake triples earns 1.0 where it deserves 3 (seeds 0, 1, 2, 3, 4)"
        )

    def test_a_mistake_that_shows_only_now_and_then(self):
        @mistake(earns=1, hint="?")
        def sometimes(x):
            """It is wrong for numbers above 5."""
            return np.where(x > 5.5, 3 * x, 2 * x)

        found = faults(mistakes=(sometimes,), probes=(one_number, nothing_stays_nothing))
        assert any("is not caught" in fault for fault in found)
        seeds = " ".join(re.findall(r"\(seeds? ([\d, ]+)\)", "\n".join(found)))
        assert set(map(int, re.findall(r"\d", seeds))) < set(rooms.SEEDS), "some seeds show it"

    def test_a_right_answer_that_does_not_pass(self):
        def thrice(x):
            return x * 3

        found = faults(alternatives=(thrice,))
        (said,) = found
        assert said.startswith("the right answer thrice earns 1.0 of 3 (seeds 0, 1, 2, 3, 4): the")

    def test_a_reference_that_fails(self):
        def broken(x):
            return x / {}

        assert "the right answer broken earns 0.0 of 3" in faults(reference=broken)[0]

    def test_a_mutant_that_survives(self):
        proof = prove(dataclasses.replace(DOUBLE, probes=(nothing_stays_nothing,), mistakes=()))
        assert not proof.ok
        assert "return x * 2  →  return x / 2" in [str(m)[8:] for m in proof.survivors]
        assert proof.killed < proof.mutants

    def test_a_mutant_that_computes_the_same_is_excused(self):
        probes = (nothing_stays_nothing,)
        survivors = prove(dataclasses.replace(DOUBLE, probes=probes, mistakes=())).survivors
        excuses = {m.after: "zero is zero" for m in survivors}
        changes = {"probes": probes, "mistakes": (), "equivalents": excuses}
        proof = prove(dataclasses.replace(DOUBLE, **changes))
        assert proof.ok
        assert {reason for _, reason in proof.equivalents} == {"zero is zero"}

    def test_a_stale_excuse(self):
        assert faults(equivalents={"return x * 7": "because"}) == [
            "no mutant survives as `return x * 7`: drop it from equivalents"
        ]

    def test_an_excuse_for_a_mutant_that_is_caught(self):
        assert faults(equivalents={"return x / 2": "because"}) == [
            "no mutant survives as `return x / 2`: drop it from equivalents"
        ]

    def test_a_mutant_that_never_ends_counts_as_caught(self, monkeypatch):
        monkeypatch.setattr(rooms, "MUTANT_SECONDS", 0.2)

        def countdown(x):
            n = 3
            while n != 0:
                n = n - 1
            return x * 2

        proof = prove(dataclasses.replace(DOUBLE, reference=countdown))
        assert proof.mutants > 5
        assert not any("n + 1" in m.after for m in proof.survivors)


@probe(2)
def one_number(f, rng):
    """A number is doubled."""
    return {"the result": f(rng.normal(size=1) + 5)}


def loop():
    while True:
        pass


def test_the_time_limit_ends_a_loop_and_leaves_no_alarm_behind():
    with pytest.raises(OutOfTime), time_limit(0.05):
        loop()
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    with time_limit(5):
        pass
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


# --- the notebook ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    copied = tmp_path_factory.mktemp("course")
    shutil.copy(ROOT / "nbgrader_config.py", copied)
    shutil.copytree(
        ROOT / "solutions", copied / "solutions", ignore=shutil.ignore_patterns("*.ipynb")
    )
    return copied


CHAPTER = chapter("feature_scaling")


@pytest.fixture(scope="module")
def notebooks(course):
    source = read_source(course / "solutions" / CHAPTER.slug / f"{CHAPTER.slug}.py")
    return source, nbformat.reads(release_text(course, CHAPTER.slug), as_version=4)


@pytest.fixture
def command(course, notebooks, monkeypatch):
    """`autograder verify`, for any chapter in place of the real one, with its notebook."""

    def verify(subject):
        monkeypatch.setattr(autograder.cli, "chapter", lambda slug: subject)
        monkeypatch.setattr(rooms, "chapter", lambda slug: subject)
        monkeypatch.setattr(rooms, "release_text", lambda *_: nbformat.writes(notebooks[1]))
        arguments = ["verify", CHAPTER.slug, "--course", str(course)]
        return CliRunner().invoke(autograder.cli.app, arguments)

    return verify


@pytest.fixture
def source(notebooks):
    return copy.deepcopy(notebooks[0])


@pytest.fixture
def release(notebooks):
    return copy.deepcopy(notebooks[1])


def cell(notebook, grade_id):
    return next(c for c in notebook.cells if c.metadata.nbgrader.grade_id == grade_id)


TRIES = """
def first(values):
    import itertools
    match next(itertools.chain(values)):
        case [one, *_] | {"one": one}:
            return one

try:
    first([])
except StopIteration as error:
    assert not str(error)
"""

IF_IT_CAN = """
try:
    from math import fsum
except ImportError:
    raise
else:
    def spread(X):
        return X.std()
"""


class TestNotebook:
    def test_a_notebook_in_order(self, source, release):
        assert notebook_faults(CHAPTER, source, release) == []

    def test_points_that_do_not_agree(self, source, release):
        cell(source, "test_standardize").metadata.nbgrader.points = 5
        faults = notebook_faults(CHAPTER, source, release)
        assert "standardize is worth 7, but its cell says 5" in faults

    def test_an_exercise_without_a_cell(self, source, release):
        source.cells.remove(cell(source, "test_Scaler"))
        assert "no cell grades Scaler" in notebook_faults(CHAPTER, source, release)

    def test_a_graded_cell_that_uses_a_foreign_name(self, source, release):
        graded = cell(source, "test_standardize")
        graded.source = graded.source.replace("from autograder import check", "x = helper(np)")
        faults = notebook_faults(CHAPTER, source, release)
        assert faults[0] == (
            "test_standardize uses check, helper, np, which neither it imports nor students define"
        )

    def test_a_graded_cell_that_makes_its_own_names_somewhere_within(self, source, release):
        graded = cell(source, "test_standardize")
        graded.source = TRIES + graded.source
        assert notebook_faults(CHAPTER, source, release) == []

    def test_what_a_cell_imports_or_defines_if_it_can_is_there(self, source, release):
        def standardize(X):
            return (X - fsum(X)) / spread(X)  # noqa: F821 (the notebook has them)

        first, *others = CHAPTER.exercises
        alike = dataclasses.replace(first, alternatives=(standardize,))
        subject = dataclasses.replace(CHAPTER, exercises=(alike, *others))
        (fault,) = notebook_faults(subject, source, release)
        assert fault.startswith("standardize could not be handed in: it uses fsum, spread,")
        given = next(c for c in source.cells if c.cell_type == "code")
        given.source += IF_IT_CAN
        assert notebook_faults(subject, source, release) == []

    def test_what_a_solution_imports_is_never_the_students(self, source):
        cell(source, "standardize").source += IF_IT_CAN
        assert {"spread", "fsum"} & set(student_names(source)) == {"spread"}

    def test_two_cells_of_one_name(self, source, release):
        cell(source, "mean_normalize_text").metadata.nbgrader.grade_id = "standardize_text"
        assert "two cells have the same grade_id: standardize_text" in notebook_faults(
            CHAPTER, source, release
        )

    def test_a_wrong_solution(self, source, release):
        answer = cell(source, "standardize")
        answer.source = answer.source.replace("X.std(axis=0)", "X.std(axis=0, ddof=1)")
        faults = notebook_faults(CHAPTER, source, release)
        assert faults == ["the solution earns 3 of 7 in test_standardize"]

    def test_a_solution_that_raises(self, source, release):
        answer = cell(source, "mean_normalize")
        answer.source = "def mean_normalize(X):\n    return X.nothing()\n"
        faults = notebook_faults(CHAPTER, source, release)
        assert faults == ["the solution earns 0 of 6 in test_mean_normalize"]

    def test_a_release_that_shows_the_solution(self, source, release):
        answer = cell(release, "standardize")
        answer.source = cell(source, "standardize").source
        faults = notebook_faults(CHAPTER, source, release)
        assert "the release still shows a 'BEGIN SOLUTION'" in faults
        assert any(f.startswith("the release, with nothing filled in, earns") for f in faults)

    @pytest.mark.parametrize("grade_id", ["test_standardize", "leakage_text"])
    def test_a_release_that_shows_how_it_is_graded(self, source, release, grade_id):
        cell(release, grade_id).source = cell(source, grade_id).source
        faults = notebook_faults(CHAPTER, source, release)
        assert any(fault.startswith("the release still shows a") for fault in faults)


def test_running_a_notebook_gives_the_points_of_each_cell(source, release):
    earned = run(source)
    assert earned == {f"test_{exercise.name}": exercise.points for exercise in CHAPTER.exercises}
    assert run(release) == dict.fromkeys(earned, 0.0)


# --- the command -----------------------------------------------------------------------------


def test_the_command_ends_well(command, monkeypatch):
    monkeypatch.setattr(rooms, "prove", lambda exercise: rooms.Proof(exercise, mutants=3))
    result = command(CHAPTER)
    assert result.exit_code == 0
    assert "the solution earns everything, the release nothing" in result.output
    assert "Mutation score: 100.0%" in result.output


def test_the_command_fails_and_says_why(command):
    @mistake(hint="?")
    def harmless(x):
        """It is the same."""
        return 2 * x

    broken = dataclasses.replace(
        DOUBLE,
        mistakes=(harmless,),
        probes=(nothing_stays_nothing,),
        equivalents={"return x * 7": "because"},
    )
    result = command(Chapter(CHAPTER.slug, "Broken", (broken,)))
    output = " ".join(result.output.split())
    assert result.exit_code == 1
    assert "✗ double: the mistake harmless is not caught (seeds 0, 1, 2, 3, 4)" in output
    assert "✗ double: no probe catches line 2: return x * 2 → return x / 2" in output
    assert "✗ double: no mutant survives as `return x * 7`: drop it from equivalents" in output
    assert "✗ notebook: no cell grades double" in output
    assert "Traceback" not in output


def test_the_command_names_a_chapter_that_has_the_same_exercise(command, monkeypatch):
    monkeypatch.setattr(rooms, "prove", rooms.Proof)
    other = chapter("whitening")
    name = other.exercises[0].name
    twice = dataclasses.replace(DOUBLE, name=name)
    result = command(Chapter(CHAPTER.slug, "Twice", (twice,)))
    said = " ".join(result.output.split())
    assert result.exit_code == 1
    assert f"✗ {name}: the chapter whitening has an exercise of this name, too" in said


def test_the_command_shows_brackets_as_they_are(command):
    def masked(x):
        mask = x > 100
        x = np.array(x)
        x[mask] = 3
        return x * 2

    broken = dataclasses.replace(DOUBLE, reference=masked, mistakes=(), alternatives=())
    result = command(Chapter(CHAPTER.slug, "Broken", (broken,)))
    assert "x[mask] = 3" in result.output
