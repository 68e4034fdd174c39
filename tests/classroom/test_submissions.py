"""Whatever a student hands in ends in cells, or in a sentence that says why not."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
from classroom_helpers import NOTEBOOK, SLUG, as_bytes, grade_class, scores
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from autograder.classroom import submissions
from autograder.classroom.grading import grade
from autograder.classroom.release import read_source
from autograder.classroom.submissions import (
    MAX_ANSWER,
    MAX_BYTES,
    MAX_CELLS,
    MAX_CODE,
    MAX_PARTS,
    Assignment,
    Role,
    Unreadable,
    find_submissions,
    locked,
    lost_on_nbgrader,
    misplaced,
    parse,
    read_submission,
    worksheet,
)


def ids(notebook):
    return [c.metadata.get("nbgrader", {}).get("grade_id") for c in notebook.cells]


def cell(notebook, name):
    return notebook.cells[ids(notebook).index(name)]


# --- files -----------------------------------------------------------------------------------


@pytest.fixture
def submitted(tmp_path):
    return tmp_path / "submitted"


def put(submitted, student="eve", data=b"", name=NOTEBOOK):
    folder = submitted / student / SLUG
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)
    return folder


def read_all(submitted):
    return [handed.read() for handed in find_submissions(submitted, SLUG)]


def test_what_lies_elsewhere_is_named(submitted):
    put(submitted)
    wrong_case = submitted / "ann" / SLUG.upper()
    wrong_case.mkdir(parents=True)
    (submitted / "bob").mkdir()
    loose = [submitted / "bob" / NOTEBOOK, submitted / f"Ada_{NOTEBOOK}"]
    for path in (*loose, submitted / "bob" / "another.ipynb", submitted / "notes.txt"):
        path.write_bytes(b"")
    assert set(misplaced(submitted, SLUG)) == {wrong_case, *loose}
    (submitted / "link").symlink_to(submitted / "bob")
    assert set(misplaced(submitted, SLUG)) == {wrong_case, *loose}
    assert misplaced(submitted / "nowhere", SLUG) == []


def test_what_lies_beside_a_submission_is_named(submitted):
    folder = put(submitted)
    put(submitted, name="scratch.ipynb")
    (folder / ".ipynb_checkpoints").mkdir()
    beside = [folder / f"{SLUG}-Copy1.ipynb", submitted / "eve" / NOTEBOOK]
    for path in beside:
        path.write_bytes(b"")
    assert set(misplaced(submitted, SLUG)) == set(beside)
    (folder / NOTEBOOK).unlink()  # reading it names the other one
    assert misplaced(submitted, SLUG) == [submitted / "eve" / NOTEBOOK]


def test_what_is_found_by_another_case_of_its_name_lies_where_it_should(submitted, monkeypatch):
    """As on the disks of macOS."""
    for path in (f"ann/{SLUG.upper()}/{NOTEBOOK}", f"bob/{SLUG}/{SLUG.upper()}.ipynb"):
        (submitted / path).parent.mkdir(parents=True)
        (submitted / path).write_bytes(b"")

    def any_case(real):
        def found(path, *arguments, **options):
            actual = next((p for p in there if p.casefold() == str(path).casefold()), path)
            return real(actual, *arguments, **options)

        return found

    there = [str(path) for path in submitted.rglob("*")]
    for name in ("stat", "lstat"):
        monkeypatch.setattr(os, name, any_case(getattr(os, name)))
    assert [handed.problem for handed in find_submissions(submitted, SLUG)] == ["", ""]
    assert misplaced(submitted, SLUG) == []


def test_folders_that_nbgrader_does_not_find_are_named(submitted):
    odd = [".ann", "a*", "a[b]", "a?", "line\nbreak"]
    for student in (*odd, "a.b", "-x", "Zoë O'Neil", "{a}", "a]"):
        put(submitted, student=student)
    found = lost_on_nbgrader(find_submissions(submitted, SLUG))
    assert sorted(path.name for path in found) == sorted(odd)


@contextlib.contextmanager
def as_somebody():
    """Be somebody whom permissions bind, as they do not bind root; nothing can be imported then."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(12_345)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.fixture
def open_folder():
    """A ``submitted/`` that somebody else than its owner may look into."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)
        for path in Path(folder).rglob("*"):
            path.chmod(0o755)


@pytest.mark.parametrize("mode", [0o000, 0o600, 0o644])
def test_a_locked_folder_costs_nobody_else_a_grade(mode, open_folder, desk):
    for student in ("ann", "eve", "zoe"):
        put(open_folder, student, as_bytes(desk.fill_in()))
    (open_folder / "roster.csv").write_text("ann,eve,zoe")
    (open_folder / "eve").chmod(mode)
    with as_somebody():
        assert [h.student for h in find_submissions(open_folder, SLUG)] == ["ann", "zoe"]
        assert locked(open_folder, SLUG) == [open_folder / "eve"]
        assert misplaced(open_folder, SLUG) == []


def problem(data):
    with pytest.raises(Unreadable) as caught:
        parse(data)
    sentence = str(caught.value)
    assert sentence
    assert "\n" not in sentence
    assert len(sentence) < 300
    return sentence


class TestFiles:
    def test_no_folder_at_all(self, submitted):
        assert read_all(submitted) == []

    def test_a_right_one(self, submitted, desk):
        put(submitted, data=as_bytes(desk.fill_in()))
        (found,) = read_all(submitted)
        assert (found.student, found.problem, found.notes) == ("eve", "", ())
        assert len(found.digest) == 64

    def test_students_come_in_order_and_other_files_are_passed_by(self, submitted, desk):
        for student in ("mia", "ada", "zoe"):
            put(submitted, student, as_bytes(desk.fill_in()))
        put(submitted, "no homework", name="other.ipynb").rename(submitted / "no homework/other")
        (submitted / ".DS_Store").write_text("")
        (submitted / "roster.csv").write_text("ada,mia,zoe")
        assert [s.student for s in read_all(submitted)] == ["ada", "mia", "zoe"]

    def test_a_missing_notebook_and_what_is_there_instead(self, submitted):
        put(submitted, name="Feature Scaling (1).ipynb")
        (found,) = read_all(submitted)
        assert found.problem == f"{NOTEBOOK} is not there; there is Feature Scaling (1).ipynb"
        assert found.digest == ""

    def test_a_linked_notebook(self, submitted, tmp_path, desk):
        (tmp_path / "friend.ipynb").write_bytes(as_bytes(desk.fill_in()))
        folder = put(submitted, name="x")
        (folder / NOTEBOOK).symlink_to(tmp_path / "friend.ipynb")
        assert read_all(submitted)[0].problem == "the notebook is a link, not a file"

    @pytest.mark.parametrize("what", ["student", "assignment"])
    def test_a_linked_folder_is_not_somebody_elses_work(self, what, submitted, desk):
        put(submitted, "ada", as_bytes(desk.fill_in()))
        if what == "student":
            (submitted / "eve").symlink_to("ada")
        else:
            (submitted / "eve").mkdir()
            (submitted / "eve" / SLUG).symlink_to(submitted / "ada" / SLUG)
        ada, eve = read_all(submitted)
        assert not ada.problem
        assert eve.problem == "the student's folder is a link, not a folder"
        assert eve.cells == ()

    def test_a_link_to_itself(self, submitted):
        folder = put(submitted, name="x")
        (folder / NOTEBOOK).symlink_to(NOTEBOOK)
        assert read_all(submitted)[0].problem == "the notebook is a link, not a file"

    def test_a_named_pipe_is_not_waited_for(self, submitted):
        folder = put(submitted, name="x")
        os.mkfifo(folder / NOTEBOOK)
        assert read_all(submitted)[0].problem == f"{NOTEBOOK} is not a file"

    def test_a_folder_named_like_a_notebook(self, submitted):
        (submitted / "eve" / SLUG / NOTEBOOK).mkdir(parents=True)
        assert read_all(submitted)[0].problem == f"{NOTEBOOK} is not a file"

    @pytest.mark.parametrize("what", ["", NOTEBOOK])
    def test_what_may_not_be_read(self, what, open_folder):
        (put(open_folder) / what).chmod(0)
        with as_somebody():
            (found,) = read_all(open_folder)
            assert locked(open_folder, SLUG) == misplaced(open_folder, SLUG) == []
        assert found.problem == "the file cannot be read: Permission denied"

    def test_what_the_machine_cannot_read_is_no_zero(self, open_folder, desk):
        (put(open_folder, "eve", as_bytes(desk.fill_in())) / NOTEBOOK).chmod(0)
        with as_somebody():
            (found,) = read_all(open_folder)
        graded = grade(desk.assignment, found, desk.pool, b"")
        assert graded.blocked
        assert {g.score for g in graded.grades} == {None}

    def test_a_huge_file_is_not_read(self, submitted):
        folder = put(submitted)
        with open(folder / NOTEBOOK, "wb") as file:
            file.truncate(MAX_BYTES * 1000)  # sparse: it takes no room
        start = time.monotonic()
        found = read_all(submitted)[0]
        assert found.problem == "the notebook is too large (30000 MB)"
        assert time.monotonic() - start < 5

    @pytest.mark.parametrize("part", [b"[]", b'{"a":{}}'])
    def test_a_file_of_nothing_but_lists_is_not_read(self, part):
        """It would take a gigabyte to read thirty megabytes of them."""
        data = b'{"cells": [], "metadata": {"x": [' + b",".join([part] * MAX_PARTS) + b"]}}"
        assert len(data) < MAX_BYTES
        tracemalloc.start()
        assert "more than 1,000,000 parts; clear its outputs" in problem(data)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
        tracemalloc.stop()

    @pytest.mark.parametrize(
        "student",
        [
            "anna karenina",
            "łucja-żółć",
            "李雷",
            "=1+1",
            "-x",
            "<b>bob",
            'o\'hara, "x"',
            "new\nline",
            "[red]",
            "{student_id}",
            "%s",
            "a" * 255,
            "..hidden",
            "$(touch x)",
        ],
    )
    def test_strange_names(self, student, submitted, desk):
        put(submitted, student, as_bytes(desk.fill_in()))
        (found,) = read_all(submitted)
        assert (found.student, found.problem) == (student, "")

    def test_a_name_that_is_no_text(self, submitted, desk):
        put(submitted, "eve", as_bytes(desk.fill_in()))
        os.rename(os.fsencode(submitted / "eve"), os.fsencode(submitted) + b"/ev\xff")
        (found,) = read_all(submitted)
        assert found.student.encode("utf-8")
        assert found.problem == "the name of the student's folder is not UTF-8: rename it"

    @pytest.mark.parametrize("student", ["ann", "Zoë"])
    def test_a_locale_that_reads_names_otherwise_grades_nobody_as_another(self, student, tmp_path):
        put(tmp_path, student)
        code = f"find_submissions(Path(), {SLUG!r})"
        code = f"from pathlib import Path; from {submissions.__name__} import *; {code}"
        ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
        env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **ascii_only}
        command = [sys.executable, "-c", code]
        ended = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, check=False)
        refused = b"CourseError: . has names that are not ASCII" in ended.stderr
        assert (ended.returncode == 0) is (student == "ann") is not refused

    def test_two_names_that_are_no_text_are_two_students(self, submitted):
        """The gradebook takes no student twice: it could not be written for anybody."""
        names = (b"ev\xfe", b"ev\xff", b"ev?", rb"ev\xff", b"\xff\\xff", b"\xff\xff")
        for name in names:
            os.makedirs(os.fsencode(submitted) + b"/" + name + b"/" + SLUG.encode())
        found = {found.student for found in read_all(submitted)}
        assert len(found) == len(names)
        assert {"ev?", r"ev\xff"} < found, "names that are text stay as they are"

    def test_modules_beside_the_notebook_are_not_imported(self, course, hand_in, desk):
        """A26: what lies beside a notebook is not looked at, not by us and not by the worker."""
        folder = hand_in("eve")
        for name in ("numpy.py", "autograder.py", "sitecustomize.py", "random.py"):
            (folder / name).write_text("raise SystemExit('imported')")
        submission = read_submission("eve", folder / NOTEBOOK)
        assert not submission.problem
        assert desk.grade((folder / NOTEBOOK).read_bytes()).score == desk.full


# --- bytes -----------------------------------------------------------------------------------


class TestBytes:
    def test_empty(self):
        assert problem(b"") == "the file is empty"
        assert problem(b" \n\t ") == "the file is empty"
        assert problem(b"\xef\xbb\xbf") == "the file is empty"

    @pytest.mark.parametrize("share", [0.01, 0.3, 0.66, 0.99])
    def test_cut_off(self, share, desk):
        data = as_bytes(desk.fill_in())
        assert "not a notebook" in problem(data[: int(len(data) * share)])

    def test_a_byte_order_mark(self, desk):
        found, notes = parse(b"\xef\xbb\xbf" + as_bytes(desk.fill_in()))
        assert found
        assert notes == []

    @pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "cp1252"])
    def test_other_encodings(self, encoding, desk):
        notebook = desk.fill_in(above="# Größe")
        data = json.dumps(notebook, ensure_ascii=False).encode(encoding, "replace")
        if encoding == "utf-16-le":
            data = b"\xff\xfe" + data
        if encoding == "utf-16-be":
            data = b"\xfe\xff" + data
        assert desk.grade(data).score == desk.full
        found, notes = parse(data)
        assert notes == ["the file is not UTF-8; it was read all the same"]
        assert any(c.source == "# Größe" for c in found)

    @pytest.mark.parametrize(
        "data",
        [
            b"\0" * 1000,
            b"PK\x03\x04" + bytes(range(256)),
            b"%PDF-1.7",
            b"<!doctype html><title>Sign in</title>",
            b"\xff\xfe",
            b"\xfe\xff\xd8",
            b"[" * 200_000,
            b'{"cells": ' * 100_000,
            b'{"cells":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
            b"[]",
            b"1",
            b"null",
            b'"cells"',
            b"NaN",
            b"{}",
            b'{"cells": null}',
            b'{"cells": {}}',
            b'{"cells": 7}',
            b'{"worksheets": 7}',
            b'{"worksheets": [7]}',
            b'{"worksheets": [{}]}',
            b'{"worksheets": [{"cells": 7}]}',
            b'{"worksheets": {"cells": []}}',
            b"9" * 100_000,
            b'{"cells": [' + b"9" * 10_000 + b"]}",
            b'{"cells": []} {"cells": []}',
        ],
    )
    def test_what_is_no_notebook(self, data):
        problem(data)

    def test_too_many_cells(self):
        many = json.dumps({"cells": [{"cell_type": "code", "source": ""}] * (MAX_CELLS + 1)})
        assert problem(many.encode()) == f"the notebook has {MAX_CELLS + 1} cells"

    def test_too_much_code(self):
        cell = {"cell_type": "code", "source": "x" * MAX_ANSWER}
        many = MAX_CODE // MAX_ANSWER + 1
        said = f"the notebook has {many * MAX_ANSWER:,} characters of code"
        assert problem(json.dumps({"cells": [cell] * many}).encode()) == said
        for unread in ({"source": "x" * (MAX_ANSWER + 1)}, {"cell_type": "markdown"}):
            cells = [cell | unread] * many
            assert len(parse(json.dumps({"cells": cells}).encode())[0]) == many

    def test_not_a_number_in_json(self, desk):
        notebook = desk.fill_in()
        notebook.metadata["x"] = float("nan")
        notebook.cells[3].metadata["y"] = float("-inf")
        assert desk.grade(as_bytes(notebook)).score == desk.full

    def test_keys_twice(self, desk):
        data = as_bytes(desk.fill_in()).replace(b'"cell_type"', b'"source": 7, "cell_type"')
        assert desk.grade(data).score == desk.full

    def test_lone_surrogates(self, desk):
        notebook = desk.fill_in(above="x = '\ud800'")
        graded = desk.grade(as_bytes(notebook))
        assert graded.score == desk.full
        graded.notebook.encode("utf-8")


# --- cells -----------------------------------------------------------------------------------


class TestCells:
    """A notebook with right answers that somebody, or an editor, or a cheat has worked on."""

    def full(self, desk, notebook):
        graded = desk.grade(as_bytes(notebook))
        assert graded.score == desk.full, f"{graded.headline} {graded.repairs} {scores(graded)}"
        assert not graded.problem
        return graded

    def test_nothing_odd_is_not_remarked_upon(self, desk):
        assert self.full(desk, desk.fill_in()).repairs == ()

    def test_edited_tests(self, desk):
        notebook = desk.fill_in()
        for name in ids(notebook):
            if name and name.startswith("test_"):
                cell(notebook, name).source = "7.0"
        graded = self.full(desk, notebook)
        assert (
            "test_Scaler differs from the source; the instructor's version was used"
            in graded.repairs
        )

    def test_edited_tests_below_wrong_answers(self, desk):
        notebook = copy.deepcopy(desk.assignment.release)
        for name in ids(notebook):
            if name and name.startswith("test_"):
                cell(notebook, name).source = "7.0"
        assert desk.grade(as_bytes(notebook)).score == 0

    def test_edited_locked_code(self, desk):
        notebook = desk.fill_in()
        cell(notebook, "imports").source = "import numpy as mp"
        self.full(desk, notebook)

    @pytest.mark.parametrize(
        "name", ["imports", "wine", "test_standardize", "standardize_text", "introduction"]
    )
    def test_deleted(self, name, desk):
        notebook = desk.fill_in()
        notebook.cells.remove(cell(notebook, name))
        self.full(desk, notebook)

    def test_all_of_ours_deleted(self, desk):
        notebook = desk.fill_in()
        keep = {"min_max_scale", "mean_normalize", "standardize", "Scaler", "scale_splits"}
        notebook.cells = [cell(notebook, name) for name in ids(notebook) if name in keep]
        self.full(desk, notebook)

    def test_everything_deleted(self, desk):
        graded = desk.grade(b'{"cells": []}')
        assert graded.score == 0
        assert {g.verdict for g in graded.grades} == {"MISSING"}

    @pytest.mark.parametrize("name", ["test_standardize", "standardize", "imports", "Scaler_text"])
    @pytest.mark.parametrize("where", ["behind", "end"])
    def test_duplicated(self, name, where, desk):
        notebook = desk.fill_in()
        place = ids(notebook).index(name) + 1 if where == "behind" else len(notebook.cells)
        notebook.cells.insert(place, copy.deepcopy(cell(notebook, name)))
        graded = self.full(desk, notebook)
        assert f"{name} is there 2 times; one was graded" in graded.repairs

    def test_a_copied_test_used_as_scratch_paper(self, desk):
        notebook = desk.fill_in()
        copied = copy.deepcopy(cell(notebook, "test_standardize"))
        copied.source = "standardize(wine)"
        notebook.cells.insert(ids(notebook).index("test_standardize"), copied)
        self.full(desk, notebook)

    def test_a_split_answer(self, desk):
        notebook = desk.fill_in()
        place = ids(notebook).index("Scaler")
        first = copy.deepcopy(notebook.cells[place])
        first.source = "helper = 1"
        notebook.cells.insert(place, first)
        self.full(desk, notebook)

    @pytest.mark.parametrize("seed", range(5))
    def test_shuffled(self, seed, desk):
        """Order matters to Python: `scale_splits` needs `Scaler` only when it is called."""
        notebook = desk.fill_in()
        random.Random(seed).shuffle(notebook.cells)
        self.full(desk, notebook)

    def test_reversed(self, desk):
        notebook = desk.fill_in()
        notebook.cells.reverse()
        self.full(desk, notebook)

    def test_without_metadata(self, desk):
        notebook = desk.fill_in()
        for each in notebook.cells:
            each.metadata = {}
        self.full(desk, notebook)

    def test_without_metadata_and_ids(self, desk):
        notebook = desk.fill_in(above="import math")
        for n, each in enumerate(notebook.cells):
            each.metadata = {"colab": {"base_uri": "x"}, "id": str(n)}
            del each["id"]
        notebook.nbformat_minor = 0
        graded = self.full(desk, notebook)
        assert any("found by what they say" in r for r in graded.repairs)

    def test_written_answers_are_found_without_metadata(self, desk):
        notebook = desk.fill_in()
        answer = cell(notebook, "leakage")
        answer.source = "My own words."
        for each in notebook.cells:
            each.metadata = {}
            each.pop("id")
        graded = self.full(desk, notebook)
        assert graded.grades[-1].score is None, "a person has to read it"

    def test_other_types(self, desk):
        notebook = desk.fill_in()
        for name in ("standardize", "test_standardize", "imports"):
            cell(notebook, name).cell_type = "raw"
        cell(notebook, "mean_normalize").cell_type = "markdown"
        cell(notebook, "leakage").cell_type = "code"
        self.full(desk, notebook)

    def test_forged_metadata(self, desk):
        """A24, and points=1000, and tests that claim to be solutions."""
        notebook = desk.fill_in({"mean_normalize": "def mean_normalize(X):\n    return 42"})
        for each in notebook.cells:
            info = each.metadata.get("nbgrader")
            if info:
                info.update(points=1000, solution=True, grade=False, locked=False, task=True)
                info.update(schema_version=99, checksum="0" * 32, cell_type="raw", extra=[1])
        graded = desk.grade(as_bytes(notebook))
        assert graded.score == desk.full - 6
        assert graded.points == desk.full + 4

    def test_ids_of_others(self, desk):
        """An easy test's id on every cell does not make the others easy."""
        notebook = desk.fill_in({"Scaler": "class Scaler: pass"})
        for each in notebook.cells:
            if "nbgrader" in each.metadata:
                each.metadata["nbgrader"]["grade_id"] = "test_mean_normalize"
        graded = desk.grade(as_bytes(notebook))
        assert scores(graded)["test_Scaler"] == 0
        assert graded.score <= desk.full - 11

    def test_exchanged_ids(self, desk):
        notebook = desk.fill_in()
        one, two = cell(notebook, "test_Scaler"), cell(notebook, "test_mean_normalize")
        one.metadata, two.metadata = two.metadata, one.metadata
        self.full(desk, notebook)

    @pytest.mark.parametrize(
        "tags", [["skip-execution"], ["raises-exception"], ["remove-cell"], "x", 7, None]
    )
    def test_tags(self, tags, desk):
        """A8: a tag on a graded cell neither skips it nor earns its points."""
        for answers, expected in ((None, desk.full), ({"standardize": "x = 1"}, desk.full - 7)):
            notebook = desk.fill_in(answers)
            for each in notebook.cells:
                each.metadata["tags"] = tags
            assert desk.grade(as_bytes(notebook)).score == expected

    @pytest.mark.parametrize(
        "odd", [None, 7, "x", [], [1], True, {"nbgrader": 7}, {"nbgrader": []},
                {"nbgrader": {"grade_id": 7}}, {"nbgrader": {"grade_id": None}},
                {"nbgrader": {"grade_id": "x" * 100_000}}, {"nbgrader": {"grade_id": "\ud800"}}]
    )  # fmt: skip
    def test_metadata_of_odd_types(self, odd, desk):
        notebook = desk.fill_in()
        for each in notebook.cells:
            each["metadata"] = odd
        self.full(desk, notebook)

    @pytest.mark.parametrize("odd", [None, 7, [], {}, "code "])
    def test_cells_of_odd_types(self, odd, desk):
        notebook = desk.fill_in()
        raw = json.loads(as_bytes(notebook))
        raw["cells"].insert(3, {"cell_type": odd, "source": "raise SystemExit"})
        raw["cells"].insert(3, odd)
        raw["cells"].insert(3, {"cell_type": "code", "source": odd})
        raw["cells"].insert(3, {"cell_type": "code", "source": [odd, "x = 1\n", odd]})
        raw["cells"].insert(3, {"id": odd, "outputs": odd, "execution_count": odd})
        self.full(desk, raw)

    def test_sources_as_lists_of_lines(self, desk):
        raw = json.loads(as_bytes(desk.fill_in()))
        for each in raw["cells"]:
            each["source"] = each["source"].splitlines(keepends=True)
        self.full(desk, raw)

    def test_forged_outputs(self, desk):
        notebook = desk.fill_in({"standardize": "x = 1"})
        for each in notebook.cells:
            if each.cell_type == "code":
                each.outputs = [
                    {"output_type": "execute_result", "data": {"text/plain": "7.0"}, "x": []}
                ]
                each.execution_count = 10**9
        graded = desk.grade(as_bytes(notebook))
        assert graded.score == desk.full - 7
        shown = nbformat.reads(graded.notebook, as_version=4)
        assert cell(shown, "test_standardize").outputs[0]["data"]["text/plain"] == "0.0"
        assert cell(shown, "imports").outputs == []

    def test_format_3(self, desk):
        old = nbformat.convert(nbformat.from_dict(json.loads(as_bytes(desk.fill_in()))), 3)
        graded = self.full(desk, old)
        assert "the notebook had an old format; it was converted" in graded.repairs

    def test_a_large_notebook_of_format_3_takes_no_longer_than_others(self):
        cell = b'{"cell_type":"raw","source":""}'
        many = b'{"nbformat":3,"worksheets":[{"cells":[' + b",".join([cell] * 300_000) + b"]}]}"
        start = time.monotonic()
        assert problem(many) == "the notebook has 300000 cells"
        assert time.monotonic() - start < 5

    def test_format_of_the_future(self, desk):
        notebook = desk.fill_in()
        notebook.update(nbformat=5, nbformat_minor=77, surprise=[1, 2])
        self.full(desk, notebook)

    @pytest.mark.parametrize("odd", [None, "four", -1, 10**40, [], 4.5])
    def test_odd_format_numbers(self, odd, desk):
        notebook = desk.fill_in()
        notebook.update(nbformat=odd, nbformat_minor=odd, metadata=odd)
        self.full(desk, notebook)

    def test_attachments_and_kernels_are_left_behind(self, desk):
        notebook = desk.fill_in()
        notebook.metadata = {"kernelspec": {"name": "evil", "argv": ["rm"]}, "widgets": {"x": 1}}
        notebook.cells[0]["attachments"] = {"x": {"text/html": "<script>"}}
        shown = nbformat.reads(self.full(desk, notebook).notebook, as_version=4)
        nbformat.validate(shown)
        assert shown.metadata == desk.assignment.source.metadata
        assert "attachments" not in shown.cells[0]

    def test_the_graded_notebook_is_valid_and_has_our_metadata(self, desk):
        graded = self.full(desk, desk.fill_in(above="1", below="2"))
        shown = nbformat.reads(graded.notebook, as_version=4)
        nbformat.validate(shown)
        for mine in desk.assignment.release.cells:
            name = mine.metadata["nbgrader"]["grade_id"]
            assert cell(shown, name).metadata == mine.metadata

    def test_hidden_tests_are_not_in_the_graded_notebook(self, desk):
        notebook = desk.fill_in()
        notebook.cells.remove(cell(notebook, "test_Scaler"))
        assert "hidden=True" not in self.full(desk, notebook).notebook

    def test_a_source_without_cell_ids(self, desk):
        """An instructor may bring an older notebook instead of a .py file."""
        sides = copy.deepcopy((desk.assignment.source, desk.assignment.release))
        for each in (*sides[0].cells, *sides[1].cells):
            del each["id"]
        plain = Assignment(SLUG, *sides, desk.assignment.names)
        graded = replace(desk, assignment=plain).grade(desk.fill_in())
        assert (graded.score, graded.repairs) == (desk.full, ())
        nbformat.validate(nbformat.reads(graded.notebook, as_version=4))

    def test_an_older_source_gets_cell_ids(self, desk, tmp_path):
        notebook = copy.deepcopy(desk.assignment.source)
        for cell in notebook.cells:
            del cell["id"]
        notebook.nbformat_minor = 4
        path = tmp_path / "old.ipynb"
        path.write_text(nbformat.writes(notebook, version=nbformat.NO_CONVERT), encoding="utf-8")
        ids = [cell.id for cell in read_source(path).cells]
        assert len(set(ids)) == len(notebook.cells)
        assert ids == [cell.id for cell in read_source(path).cells]

    def test_a_task_waits_for_a_person(self, desk):
        """nbgrader's task cells are locked, and answered in cells of the student's own."""
        task = replace(desk, assignment=with_a_task(desk.assignment))
        nothing = nbformat.v4.new_notebook()
        for graded in (task.grade(task.fill_in()), task.grade(nothing)):
            (mine,) = (g for g in graded.grades if g.grade_id == "plot_it")
            assert mine.points == 5
            assert mine.verdict != "INTERNAL"
        assert task.grade(task.fill_in()).grades[-1].score is None

    def test_a_locked_task_is_shown_as_it_was_given(self, desk):
        """Also when a student wrote into it, or took it out."""
        task = replace(desk, assignment=with_a_task(desk.assignment))
        edited, without = task.fill_in(), task.fill_in()
        edited.cells[-1].source = "Do not plot it."
        del without.cells[-1]
        said = [task.grade(notebook).repairs for notebook in (edited, without)]
        shown = [task.grade(notebook).notebook for notebook in (edited, without)]
        assert "differs from the source" in said[0][-1]
        assert all("Plot it." in text and "Do not" not in text for text in shown)


def with_a_task(assignment: Assignment) -> Assignment:
    """The same with one of nbgrader's task cells at its end."""
    info = {"task": True, "locked": True, "grade": False, "solution": False}
    info.update(schema_version=3, grade_id="plot_it", points=5, cell_type="markdown")
    sides = copy.deepcopy((assignment.source, assignment.release))
    for side in sides:
        cell = nbformat.v4.new_markdown_cell("Plot it.", metadata={"nbgrader": info})
        cell.id = "plot_it"
        side.cells.append(cell)
    return Assignment(SLUG, *sides, assignment.names)


class TestTime:
    """Reading is linear: no submission holds up the class before it even runs."""

    def test_many_cells_that_look_like_ours(self, desk):
        notebook = {"cells": []}
        for n in range(MAX_CELLS):
            ours = desk.assignment.release.cells[n % len(desk.assignment.release.cells)]
            letters = list(ours.source)
            random.Random(n).shuffle(letters)
            notebook["cells"].append({"cell_type": ours.cell_type, "source": "".join(letters)})
        submission = desk.read(json.dumps(notebook).encode())
        start = time.monotonic()
        worksheet(desk.assignment, submission)
        assert time.monotonic() - start < 5

    def test_much_code_that_may_hold_every_answer(self, desk, monkeypatch):
        read = []
        monkeypatch.setattr(submissions, "definitions", lambda code: read.append(code) or {code})
        cells = [{"cell_type": "code", "source": f"x{n}"} for n in range(MAX_CELLS)]
        worksheet(desk.assignment, desk.read(json.dumps({"cells": cells}).encode()))
        assert len([code for code in read if code.startswith("x")]) == MAX_CELLS, "each once"

    def test_one_long_line(self, desk):
        notebook = {"cells": [{"cell_type": "code", "source": "f(" + "a=1," * 2_000_000 + ")"}]}
        submission = desk.read(json.dumps(notebook).encode())
        start = time.monotonic()
        worksheet(desk.assignment, submission)
        assert time.monotonic() - start < 5


# --- chance ----------------------------------------------------------------------------------

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.text(max_size=20),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=3),
    st.sampled_from(
        ["code", "markdown", "raw", "standardize", "test_Scaler", "<script>", "\ud800"]
    ),
)


def places(tree, path=()):
    """Every place in a JSON tree."""
    yield path
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in items:
        if isinstance(value, (dict, list)):
            yield from places(value, (*path, key))
        else:
            yield (*path, key)


def change(tree, place, value, how):
    """Replace, delete or copy what is at a place of a JSON tree."""
    if not place:
        return value
    here = tree
    for key in place[:-1]:
        here = here[key]
    key = place[-1]
    if how == "delete":
        del here[key]
    elif how == "copy" and isinstance(here, list):
        here.insert(0, copy.deepcopy(here[key]))
    elif how == "swap" and isinstance(here, list):
        here[key], here[0] = here[0], here[key]
    else:
        here[key] = value
    return tree


@st.composite
def mutated(draw, raw):
    """A notebook's JSON with some odd changes."""
    tree = json.loads(raw)
    for _ in range(draw(st.integers(1, 6))):
        if not isinstance(tree, (dict, list)):
            break
        place = draw(st.sampled_from(list(places(tree))))
        how = draw(st.sampled_from(["set", "delete", "copy", "swap"]))
        tree = change(tree, place, draw(ODD), how)
    return json.dumps(tree).encode()


FUZZ = settings(
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def good(desk) -> bytes:
    """A notebook with right answers, as a file."""
    return as_bytes(desk.fill_in())


def spoilt(chance: random.Random, raw: bytes) -> bytes:
    """A notebook's JSON with something replaced, deleted, copied, swapped, or cut."""
    if chance.random() < 0.2:
        at, length = chance.randrange(len(raw)), chance.randrange(30)
        return raw[:at] + chance.randbytes(chance.randrange(4)) + raw[at + length :]
    tree = json.loads(raw)
    odd = (None, True, -1, 10**20, 0.5, "", "code", "test_Scaler", "\ud800", [], [1], {}, {"a": 1})
    for _ in range(chance.randint(1, 6)):
        if not isinstance(tree, (dict, list)):
            break
        how = chance.choice(["set", "delete", "copy", "swap"])
        tree = change(tree, chance.choice(list(places(tree))), chance.choice(odd), how)
    return json.dumps(tree).encode()


def fair(desk, graded):
    """Whatever is done to a notebook, no cell earns more than it is worth, or is our fault."""
    assert not graded.blocked
    assert len(graded.grades) == 6
    for each in graded.grades:
        assert each.score is None or 0 <= each.score <= each.points
    assert graded.score <= desk.full
    json.dumps(graded.to_dict(), ensure_ascii=False).encode("utf-8")
    if graded.notebook:
        nbformat.validate(nbformat.reads(graded.notebook, as_version=4))


class TestChance:
    def intake(self, desk, data):
        submission = desk.read(data)
        if submission.problem:
            assert "\n" not in submission.problem
            return submission
        sheet = worksheet(desk.assignment, submission)
        roles = [e.role for e in sheet.entries]
        assert roles.count(Role.TEST) == 5, "every graded cell is there, once"
        assert roles.count(Role.WRITTEN) == 1
        for entry in sheet.entries:
            entry.source.encode("utf-8")
            if entry.role in (Role.TEST, Role.LOCKED):
                assert entry.source == entry.origin.source
        return submission

    @settings(FUZZ, max_examples=1000)
    @given(data=st.data())
    def test_changed_structure(self, data, desk, good):
        self.intake(desk, data.draw(mutated(good)))

    @settings(FUZZ, max_examples=500)
    @given(
        cuts=st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=4), st.integers(0, 9))),
    )
    @example(cuts=[(0.5, b"\0", 0)])
    def test_changed_bytes(self, cuts, desk, good):
        raw = bytearray(good)
        for place, new, length in cuts:
            at = int(place * len(raw))
            raw[at : at + length] = new
        self.intake(desk, bytes(raw))

    @settings(FUZZ, max_examples=200)
    @given(st.binary(max_size=200))
    def test_noise(self, desk, noise):
        self.intake(desk, noise)

    @settings(FUZZ, max_examples=40)
    @given(data=st.data())
    def test_graded(self, data, desk, good):
        fair(desk, desk.grade(data.draw(mutated(good))))

    def test_a_class_of_chance(self, desk, good):
        """Three hundred spoilt notebooks, graded as one class: each has its grades, none waits."""
        chance = random.Random(0)
        waiting = [
            desk.read(spoilt(chance, good) if k % 10 else good, f"student-{k:03d}")
            for k in range(300)
        ]
        found = grade_class(desk, waiting)
        assert set(found) == {s.student for s in waiting}
        for number, each in enumerate(sorted(found.values(), key=lambda g: g.student)):
            fair(desk, each)
            assert number % 10 or each.score == desk.full, "an innocent lost points"

    @settings(FUZZ, max_examples=20)
    @given(data=st.data())
    def test_nothing_is_earned_by_chance(self, data, desk):
        graded = desk.grade(data.draw(mutated(as_bytes(desk.assignment.release))))
        assert graded.score == 0
