"""The command `autograder`, as an instructor uses it."""

import errno
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from autograder import __version__
from autograder.chapters import SLUGS, chapters
from autograder.cli import app, cores
from autograder.verdict import Failure, Verdict

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


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system does not tell")
def test_a_machine_may_have_more_cores_than_we_may_use():
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert cores() == 1
    finally:
        os.sched_setaffinity(0, before)


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

    def test_json_is_whole_in_every_encoding(self):
        assert autograder("catalog", "--json").output.isascii()

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

    def test_a_source_that_is_not_utf_8(self, course):
        source = course / "solutions" / SLUGS[0] / f"{SLUGS[0]}.py"
        source.write_bytes(source.read_bytes() + "# é".encode("latin-1"))
        stopped(autograder("release", SLUGS[0], "--course", course), "cannot be read: 'utf-8'")

    def test_what_nbgrader_refuses_is_said_in_a_sentence(self, course, capfd):
        source = course / "solutions" / SLUGS[0] / f"{SLUGS[0]}.py"
        source.write_text(source.read_text().replace("### END SOLUTION", ""))
        result = autograder("release", SLUGS[0], "--course", course)
        stopped(result, f"nbgrader could not release {SLUGS[0]}: ")
        assert "RuntimeError: no end solution statement found" in words(result.output)
        assert "Traceback" not in "".join(capfd.readouterr())

    def test_a_folder_that_cannot_be_written(self, course):
        (course / "exercises").write_text("a file")
        result = autograder("release", SLUGS[0], "--course", course)
        assert result.exit_code == 2
        assert "Traceback" not in result.output


class TestSampleClass:
    @pytest.fixture
    def made(self, tmp_path, monkeypatch):
        """A small class, and how to make it."""
        monkeypatch.setattr("autograder.cli.SLUGS", ())
        folder = tmp_path / "class"

        def make(folder=folder, course=ROOT):
            return autograder("sample-class", folder, "--course", course)

        assert make().exit_code == 0
        return folder, make

    def test_it_is_made_anew(self, made):
        folder, make = made
        (folder / "old").touch()
        assert make().exit_code == 0
        assert not (folder / "old").exists()

    def test_one_that_was_stopped_halfway_is_made_anew(self, made, monkeypatch):
        folder, make = made
        shutil.rmtree(folder)
        with monkeypatch.context() as patch:
            patch.setattr("autograder.cli.SLUGS", SLUGS[:1])
            sample = importlib.import_module("autograder.classroom.sample")
            patch.setattr(sample, "generate", _interrupted)
            assert make().exit_code == 130
        assert (folder / "solutions").is_dir()
        assert make().exit_code == 0
        assert not (folder / "solutions").exists()

    @pytest.mark.parametrize("inside", ["", "solutions/.."])
    def test_it_does_not_replace_the_course_that_it_is_made_of(self, made, inside):
        folder, make = made
        (folder / "solutions").mkdir()
        stopped(make(folder / inside, course=folder), "name another one")
        assert (folder / "solutions").is_dir()

    def test_not_where_something_else_is(self, made, tmp_path):
        _, make = made
        stopped(make(tmp_path), "is not empty, and not a sample class")
        (tmp_path / "file").touch()
        stopped(make(tmp_path / "file"), "File exists")
        stopped(make(tmp_path / "file" / "class"), "Not a directory")

    def test_not_of_what_is_no_course(self, made, tmp_path):
        _, make = made
        stopped(make(tmp_path / "new", course=tmp_path), "is not a course directory")
        assert not (tmp_path / "new").exists()


def _interrupted(*_):
    raise KeyboardInterrupt


def _not_yet_imported(monkeypatch, *packages):
    """Until the test ends, which puts back the modules and where the package names them."""
    for package in (f"autograder.{name}" for name in packages):
        monkeypatch.delattr(package, raising=False)
        for module in [n for n in sys.modules if f"{n}.".startswith(f"{package}.")]:
            monkeypatch.delitem(sys.modules, module)


class TestErrors:
    @pytest.mark.parametrize("option", ["--cell-seconds", "--call-seconds"])
    def test_limits_that_a_notebook_cannot_have(self, option):
        for seconds in ("inf", "nan", "0"):
            result = autograder("grade", option, seconds)
            assert result.exit_code == 2
            assert option in result.output

    def test_a_file_without_a_name_is_a_fault_of_ours(self, monkeypatch):
        for error, code in ((ConnectionResetError(104, "reset"), 1), (OSError(28, "No space"), 2)):

            def broken(error=error):
                raise error

            monkeypatch.setattr("autograder.cli.chapters", broken)
            result = autograder("catalog")
            assert result.exit_code == code
            assert ("Make room" in result.output) == (code == 2)

    def test_a_folder_is_not_a_notebook(self):
        result = autograder("check", ".")
        assert result.exit_code == 2
        assert "file '.' is a directory" in result.output

    @pytest.mark.parametrize("name", ["feature_scaling/", "../feature_scaling", "", "."])
    def test_a_path_is_no_assignment(self, name):
        for command in ("release", "grade"):
            said = f"autograder: {name!r} is not the name of an assignment"
            stopped(autograder(command, name, "--course", ROOT), said)
        stopped(autograder("verify", name), f"there is no chapter named {name!r}")

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
        _not_yet_imported(monkeypatch, "classroom")
        monkeypatch.setitem(sys.modules, "nbformat", None)
        stopped(autograder("verify", SLUGS[0]), "needs the package nbformat")
        stopped(autograder("check", "some.ipynb"), 'pip install ".[classroom]"')

    @pytest.mark.parametrize("module", ["fcntl", "resource"])
    def test_what_windows_does_not_have_cannot_be_installed(self, module, monkeypatch):
        _not_yet_imported(monkeypatch, "classroom", "sandbox")
        monkeypatch.setitem(sys.modules, module, None)
        result = autograder("check", "some.ipynb")
        stopped(result, "needs Linux or macOS (on Windows: WSL 2)")
        assert "pip" not in result.output

    @pytest.mark.parametrize(
        ("error", "said"),
        [
            (Failure(Verdict.INTERNAL, "cannot preload numpy"), "cannot preload numpy"),
            (BlockingIOError(errno.EAGAIN, "try again later"), f"[Errno {errno.EAGAIN}] try again"),
        ],
    )
    def test_where_no_worker_can_start_a_notebook_is_not_checked(self, error, said, monkeypatch):
        def fails(**_):
            raise error

        monkeypatch.setattr("autograder.classroom.runs.Pool", fails)
        notebook = ROOT / "exercises" / SLUGS[0] / f"{SLUGS[0]}.ipynb"
        result = autograder("check", notebook, "--course", ROOT)
        stopped(result, f"a notebook cannot be run here: {said}")

    def test_what_is_put_back_before_grading_is_said(self, tmp_path):
        """An import in a cell of the instructor's works in the notebook, and is not there then."""
        name = f"{SLUGS[0]}.ipynb"
        notebook = json.loads((ROOT / "exercises" / SLUGS[0] / name).read_text(encoding="utf-8"))
        for cell in notebook["cells"]:
            match cell["metadata"].get("nbgrader", {}).get("grade_id"):
                case "imports":
                    cell["source"] = "import math\nimport numpy as np"
                case "standardize":
                    cell["source"] = "def standardize(X)\n    return X"
        (tmp_path / name).write_text(json.dumps(notebook), encoding="utf-8")
        said = words(autograder("check", tmp_path / name, "--course", ROOT).output)
        assert "as when graded: imports differs from the source; the instructor's" in said
        assert re.search(r"cell (\d+) raised SyntaxError: expected ':' \(<cell \1>, line 1\)", said)

    def test_a_file_name_is_not_obeyed_by_a_terminal(self, tmp_path):
        evil = tmp_path / "\x1b]0;title\x07.ipynb"
        evil.write_text('{"cells": []}')
        result = autograder("check", evil, "--course", ROOT)
        stopped(result, "belongs to no chapter")
        assert not {"\x1b", "\x07"} & set(result.output)

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


INTERRUPTED = """
import runpy
import autograder.cli

def app(**_):
    try:
        exec("raise KeyboardInterrupt")  # as it may come while a dataclass is imported
    except KeyboardInterrupt:
        raise SystemExit(130)

autograder.cli.app = app
runpy.run_module("autograder", run_name="__main__")
"""


INTERRUPTED_AT_ONCE = """
import runpy
import sys

class Interrupt:
    def find_spec(name, *_):
        if name == "numpy":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupt)
runpy.run_module("autograder", run_name="__main__")
"""


def test_an_interrupt_while_all_is_imported_is_a_sentence(tmp_path):
    (tmp_path / "interrupted.py").write_text(INTERRUPTED_AT_ONCE, encoding="utf-8")
    command = [sys.executable, "-m", "interrupted"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (130, "autograder: interrupted\n")


def test_the_exit_status_of_an_interrupt_is_the_commands(tmp_path):
    (tmp_path / "interrupted.py").write_text(INTERRUPTED, encoding="utf-8")
    ended = subprocess.run([sys.executable, "-m", "interrupted"], cwd=tmp_path, check=False)
    assert ended.returncode == 130


def test_an_encoding_without_check_marks_is_no_reason_to_stop():
    command = [sys.executable, "-m", "autograder", "catalog"]
    env = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    ended = subprocess.run(command, env=env, capture_output=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert b"?" in ended.stdout


def test_a_job_without_output_does_its_work():
    code = "import os, sys; os.close(1); os.execv(sys.executable, sys.argv[1:])"
    command = [sys.executable, "-c", code, sys.executable, "-m", "autograder", "catalog"]
    ended = subprocess.run(command, capture_output=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, b"")
