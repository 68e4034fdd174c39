"""What students get: just what the solutions generate, without the solutions."""

import ast
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbgrader.nbgraderformat import MetadataValidator

from autograder.chapters import SLUGS
from autograder.classroom import cells
from autograder.classroom.release import (
    CourseError,
    generate,
    read_source,
    release_text,
    source_path,
    typed_here,
)
from autograder.classroom.submissions import Assignment

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A copy of the course directory, so that releasing leaves the repository as it is."""
    copy = tmp_path_factory.mktemp("course")
    shutil.copy(ROOT / "nbgrader_config.py", copy)
    for source in ROOT.glob("solutions/*/*.py"):
        target = copy / source.relative_to(ROOT)
        target.parent.mkdir(parents=True)
        shutil.copy(source, target)
    return copy


@pytest.fixture(scope="module", params=SLUGS)
def slug(request):
    return request.param


@pytest.fixture(scope="module")
def path(course, slug):
    return generate(course, slug)


@pytest.fixture(scope="module")
def released(path):
    return nbformat.read(path, as_version=4)


@pytest.fixture(scope="module")
def trial(course, slug, path):
    """The text of a trial release, and whether the released notebook was left alone."""
    before = path.stat().st_mtime_ns
    text = release_text(course, slug)
    return text, path.stat().st_mtime_ns == before


@pytest.fixture(scope="module")
def source(course, slug):
    return read_source(course / "solutions" / slug / f"{slug}.py")


def test_exercises_are_what_the_solutions_generate(path, slug):
    committed = ROOT / "exercises" / slug / f"{slug}.ipynb"
    assert committed.is_file(), f"{committed} is missing: run `make exercises`"
    same = committed.read_text(encoding="utf-8") == path.read_text(encoding="utf-8")
    assert same, f"exercises/{slug} is not what solutions/{slug} generates: run `make exercises`"


def test_there_is_a_solution_and_a_release_for_each_chapter_and_no_others():
    assert {p.parent.name for p in ROOT.glob("solutions/*/*.py")} == set(SLUGS)
    assert {p.parent.name for p in ROOT.glob("exercises/*/*.ipynb")} == set(SLUGS)


def test_nothing_but_the_notebook_is_copied(course, slug, released):
    assert [p.name for p in (course / "exercises" / slug).iterdir()] == [f"{slug}.ipynb"]
    committed = [p.name for p in (ROOT / "exercises" / slug).iterdir() if p.name[0] != "."]
    assert committed == [f"{slug}.ipynb"]


def test_the_release_is_the_same_each_time(path, trial):
    assert trial[0] == path.read_text(encoding="utf-8")


def test_a_trial_release_leaves_the_exercises_alone(trial):
    assert trial[1]


def test_no_gradebook_is_left_behind(course, released):
    assert not list(course.rglob("*.db"))


def test_the_release_is_a_valid_notebook_of_nbgraders(released):
    nbformat.validate(released)
    MetadataValidator().validate_nb(released)


def test_cells_are_those_of_the_source_in_its_order(released, source):
    assert [c.id for c in released.cells] == [c.id for c in source.cells]
    assert [c.cell_type for c in released.cells] == [c.cell_type for c in source.cells]
    assert len({c.id for c in released.cells}) == len(released.cells)


def test_only_answers_can_be_edited(released):
    for cell in released.cells:
        info = cells.metadata(cell)
        assert info, f"a cell is not known to nbgrader: {cell.source[:60]!r}"
        answer = cells.is_solution(cell)
        assert info["locked"] == (not answer)
        assert cell.metadata.get("editable", True) == answer
        assert cell.metadata["deletable"] is False


def test_solutions_hidden_tests_and_mark_schemes_are_gone(released, source):
    text = nbformat.writes(released)
    for marker in ("### BEGIN", "### END", "hidden=True", "Mark scheme", "mark scheme"):
        assert marker not in text
    assert "### BEGIN SOLUTION" in nbformat.writes(source)


def test_no_line_of_a_solution_is_released(released, source):
    """Except in code that the notebook gives, which may use what an exercise asks for."""
    given = [c.source for c in source.cells if c.cell_type == "code" and not cells.is_solution(c)]
    text = "\n".join(c.source for c in released.cells if c.source not in given)
    for cell in source.cells:
        for block in cell.source.split("### BEGIN SOLUTION")[1:]:
            for line in block.split("### END SOLUTION")[0].splitlines():
                if len(line.strip(" #")) > 25:
                    assert line.strip(" #") not in text


def test_an_empty_answer_says_so(released):
    for cell in filter(cells.is_solution, released.cells):
        if cell.cell_type == "code":
            assert "raise NotImplementedError()" in cell.source
            ast.parse(cell.source)
        else:
            assert cell.source == "*Write your answer here.*"


def test_nothing_was_run(released):
    for cell in filter(lambda c: c.cell_type == "code", released.cells):
        assert cell.outputs == []
        assert cell.execution_count is None


def test_names_of_machines_and_people_stay_here(released):
    text = nbformat.writes(released)
    assert str(ROOT) not in text
    assert str(Path.home()) not in text
    assert set(released.metadata) <= {"kernelspec", "language_info"}


def test_nbgraders_commands_are_typed_for_the_course_that_is_meant(tmp_path, monkeypatch):
    """They take no --course: where it is another folder, they would change what is there."""
    monkeypatch.chdir(tmp_path)
    assert typed_here(Path(), "nbgrader x") == typed_here(tmp_path, "nbgrader x") == "nbgrader x"
    assert typed_here(Path("my course"), "nbgrader x") == "(cd 'my course' && nbgrader x)"


class TestErrors:
    def test_an_unknown_assignment(self, course):
        with pytest.raises(CourseError, match="there is no assignment 'nothing': neither nothing"):
            generate(course, "nothing")

    def test_not_a_course_directory(self, tmp_path):
        with pytest.raises(CourseError, match="is not a course directory: it has no nbgrader_conf"):
            generate(tmp_path, SLUGS[0])

    def test_a_path_that_nbgrader_takes_for_a_pattern(self, course, tmp_path):
        shutil.copytree(course, odd := tmp_path / "course [1]")
        with pytest.raises(CourseError, match=r"a pattern: rename .*course \[1\]"):
            generate(odd, SLUGS[0])

    def test_a_configuration_that_cannot_be_run(self, tmp_path):
        config = tmp_path / "nbgrader_config.py"
        config.write_text("c = get_config()\nc.Foo = = 3\n")
        with pytest.raises(CourseError, match=r"cannot be run \(SyntaxError: .*line 2\)"):
            generate(tmp_path, SLUGS[0])
        config.write_text("c = get_config()\nc.CourseDirectory.root = rot\n")
        with pytest.raises(CourseError, match=r"config.py, line 2 cannot be run \(NameError"):
            generate(tmp_path, SLUGS[0])

    def test_what_nbgrader_refuses(self, tmp_path):
        shutil.copy(ROOT / "nbgrader_config.py", tmp_path)
        folder = tmp_path / "solutions" / "broken"
        folder.mkdir(parents=True)
        (folder / "broken.py").write_text(
            '# %% nbgrader={"grade": false, "grade_id": "a", "locked": false, "schema_version": 3, '
            '"solution": true, "task": false}\n### BEGIN SOLUTION\nx = 1\n',
            encoding="utf-8",
        )
        with pytest.raises(CourseError, match="nbgrader could not release broken"):
            generate(tmp_path, "broken")
        assert not (tmp_path / "exercises" / "broken" / "broken.ipynb").exists()

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ('"points": 1, ', "the cell test_f: nbgrader cell 'test_f' does not have points"),
            ('"grade_id": "f", ', "the cell 'def f(): return 1': nbgrader cell does not have a"),
            ('"schema_version": 3, ', 'version: 0 (expected 3). Write "schema_version": 3 there'),
        ],
    )
    def test_a_cell_that_nbgrader_refuses_is_named(self, wrong, said, small):
        course = small(SMALL.replace(wrong, ""))
        with pytest.raises(CourseError, match="nbgrader could not release small") as caught:
            generate(course, "small")
        assert said in str(caught.value)

    @pytest.mark.parametrize(
        ("right", "wrong", "said"),
        [
            ('"points": 1, ', "", "the cell test_f: nbgrader cell 'test_f' does not have points"),
            ('"grade_id": "f", ', "", "the cell 'def f.*: nbgrader cell does not have a grade_id"),
            ('"schema_version": 3, ', "", r"schema version: 0 .*Write .* 3 there, in .*py$"),
            ('"points": 1', '"points": -1', "the cell test_f: -1 is less than the minimum"),
            ('"test_f"', '"f"', "Duplicate grade id: f"),
            ("def f()", "### BEGIN SOLUTION\ndef f()", "no end solution statement found"),
        ],
    )
    def test_nothing_is_graded_by_what_nbgrader_refuses(self, right, wrong, said, small):
        course = small(SMALL.replace(right, wrong))
        with pytest.raises(CourseError, match=f"the source is refused by nbgrader: .*{said}"):
            Assignment.load(course, "small")

    def test_metadata_of_an_older_nbgrader(self, small):
        """What the message says to run mends a notebook; in a .py nbgrader would find nothing."""
        course = small("")
        path = course / "solutions" / "old one" / "old one.ipynb"
        path.parent.mkdir()
        about = {"schema_version": 1, "grade_id": "f", "locked": False}
        about |= {"grade": False, "solution": True}
        code = "### BEGIN SOLUTION\nx = 1\n### END SOLUTION"
        cell = nbformat.v4.new_code_cell(code, metadata={"nbgrader": about})
        nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
        with pytest.raises(CourseError, match=r"Outdated schema version: 1") as caught:
            generate(course, "old one")
        _, _, advice = str(caught.value).partition("run: nbgrader ")
        command = [sys.executable, "-m", "nbgrader", *shlex.split(advice)]
        subprocess.run(command, check=True, capture_output=True)
        assert generate(course, "old one").is_file()

    def test_a_grade_id_twice(self, small, recwarn):
        course = small(SMALL.replace('"test_f"', '"f"'))
        with pytest.raises(CourseError, match=r"could not release small: Duplicate grade id: f$"):
            generate(course, "small")
        assert not [w for w in recwarn if "cell id" in str(w.message)]

    @pytest.mark.parametrize("code", ["assert f( == 1", "%matplotlib inline"])
    def test_a_graded_cell_that_is_not_python(self, code, small):
        course = small(SMALL.replace("assert f() == 1", "# first\n" + code))
        with pytest.raises(CourseError, match="the graded cell test_f is not Python: line 2: inv"):
            read_source(source_path(course, "small"))

    def test_a_solution_that_is_not_python(self, small):
        course = small(SMALL.replace("def f(): return 1", "# first\ndef f() return 1"))
        with pytest.raises(CourseError, match="the solution in the cell f is not Python: line 2: "):
            read_source(source_path(course, "small"))

    def test_a_solution_may_have_magics(self, small):
        course = small(SMALL.replace("def f(): return 1", "%matplotlib inline\ndef f(): return 1"))
        assert len(read_source(source_path(course, "small")).cells) == 2

    def test_an_assignment_of_two_notebooks(self, small):
        course = small(SMALL)
        generate(course, "small")
        (course / "solutions" / "small" / "more.ipynb").touch()
        with pytest.raises(CourseError, match=r"one notebook here, small.ipynb, but .*more.ipynb"):
            source_path(course, "small")


SMALL = """# %% nbgrader={"grade": false, "grade_id": "f", "locked": false, "schema_version": 3, "solution": true}
def f(): return 1
# %% nbgrader={"grade": true, "grade_id": "test_f", "locked": true, "points": 1, "schema_version": 3, "solution": false}
assert f() == 1
"""  # noqa: E501


@pytest.fixture
def small(tmp_path):
    """Make a course with one small assignment."""

    def make(source):
        shutil.copy(ROOT / "nbgrader_config.py", tmp_path)
        folder = tmp_path / "solutions" / "small"
        folder.mkdir(parents=True)
        (folder / "small.py").write_text(source, encoding="utf-8")
        return tmp_path

    return make
