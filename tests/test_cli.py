"""The command `autograder`, as an instructor uses it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from autograder import __version__
from autograder.chapters import SLUGS, chapters
from autograder.cli import app

ROOT = Path(__file__).parents[1]


def autograder(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


def words(text):
    """The text without line breaks, which depend on the width of the terminal."""
    return " ".join(text.split())


def stopped(result, sentence):
    """The command ended with a sentence, and without a traceback."""
    assert result.exit_code == 2
    assert isinstance(result.exception, SystemExit)
    assert sentence in words(result.output)
    assert "Traceback" not in result.output


def test_version():
    assert autograder("--version").output == f"autograder {__version__}\n"


class TestCatalog:
    def test_it_lists_chapters_exercises_probes_and_mistakes(self):
        output = words(autograder("catalog").output)
        for subject in chapters():
            assert f"{subject.title} ({subject.slug})" in output
            for exercise in subject.exercises:
                assert f"{exercise.name}, {exercise.points:g} points" in output
                for part in (*exercise.probes, *exercise.mistakes):
                    text = part.sentence if hasattr(part, "sentence") else part.summary
                    assert words(text) in output

    def test_it_says_which_probes_a_student_does_not_run(self):
        output = words(autograder("catalog").output)
        hidden = sum(p.hidden for c in chapters() for e in c.exercises for p in e.probes)
        assert output.count("(when graded)") == hidden > 0

    def test_as_json(self):
        result = autograder("catalog", "--json")
        assert result.exit_code == 0
        listed = json.loads(result.output)
        assert [c["chapter"] for c in listed] == list(SLUGS)
        for subject, entry in zip(chapters(), listed, strict=True):
            for exercise, described in zip(subject.exercises, entry["exercises"], strict=True):
                assert described["name"] == exercise.name
                assert described["points"] == sum(p["points"] for p in described["probes"])
                assert [m["name"] for m in described["mistakes"]] == [
                    m.name for m in exercise.mistakes
                ]

    def test_json_is_nothing_but_json_in_a_pipe(self):
        code = "import sys; from autograder.cli import app; sys.argv[0] = 'autograder'; app()"
        command = [sys.executable, "-c", code, "catalog", "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert json.loads(done.stdout)
        assert done.stderr == ""


class TestRelease:
    @pytest.fixture
    def course(self, tmp_path):
        shutil.copy(ROOT / "nbgrader_config.py", tmp_path)
        folder = tmp_path / "solutions" / SLUGS[0]
        folder.mkdir(parents=True)
        shutil.copy(ROOT / "solutions" / SLUGS[0] / f"{SLUGS[0]}.py", folder)
        return tmp_path

    def test_it_makes_the_students_notebook_and_says_where(self, course):
        result = autograder("release", SLUGS[0], "--course", course)
        assert result.exit_code == 0
        made = course / "exercises" / SLUGS[0] / f"{SLUGS[0]}.ipynb"
        assert made.is_file()
        assert str(made) in result.output.replace("\n", "")

    def test_an_unknown_assignment(self, course):
        stopped(
            autograder("release", "nothing", "--course", course),
            "autograder: there is no assignment 'nothing'",
        )

    @pytest.mark.parametrize("command", ["release", "verify"])
    def test_not_a_course_directory(self, command, tmp_path, monkeypatch):
        monkeypatch.setattr("autograder.classroom.verify.prove", lambda exercise: None)
        stopped(
            autograder(command, SLUGS[0], "--course", tmp_path),
            "is not a course directory: it has no nbgrader_config.py. Run the command at the root",
        )


class TestErrors:
    def test_an_unknown_chapter_suggests_the_nearest(self):
        stopped(
            autograder("verify", "feature_scalling"),
            "there is no chapter named 'feature_scalling'. Did you mean 'feature_scaling'?",
        )

    def test_an_unknown_chapter_that_is_like_no_other_lists_all(self):
        stopped(autograder("verify", "xyz"), "There are: feature_scaling")

    def test_no_command_shows_the_help(self):
        output = autograder().output
        for command in ("catalog", "verify", "release"):
            assert command in output

    def test_a_package_that_only_checking_does_without(self, monkeypatch):
        for name in [n for n in sys.modules if n.startswith("autograder.classroom")]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "jupytext", None)
        stopped(autograder("verify", SLUGS[0]), "needs the package jupytext")
        stopped(autograder("check", "some.ipynb"), "pip install '.[classroom]'")

    def test_a_fault_of_ours_is_not_hidden(self, monkeypatch):
        def broken():
            raise RuntimeError("a bug")

        monkeypatch.setattr("autograder.cli.chapters", broken)
        with pytest.raises(RuntimeError, match="a bug"):
            CliRunner().invoke(app, ["catalog"], catch_exceptions=False)

    def test_brackets_in_a_path_are_shown(self, tmp_path):
        folder = tmp_path / "course[spring]"
        folder.mkdir()
        result = autograder("release", SLUGS[0], "--course", folder)
        assert "course[spring]isnot" in "".join(result.output.split())
