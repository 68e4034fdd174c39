"""What the ledger remembers, and what it does not believe."""

from __future__ import annotations

import fcntl
import json
import os
import platform
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from classroom_helpers import LIMITS, SECRET

import autograder
from autograder.classroom import ledger as module
from autograder.classroom.ledger import Ledger, circumstances
from autograder.classroom.release import CourseError


@pytest.fixture(scope="module")
def handed_in(desk):
    return {name: desk.read(desk.fill_in(), name) for name in ("ada", "bob", "eve")}


@pytest.fixture(scope="module")
def graded(desk):
    return {name: desk.grade(desk.fill_in(), name) for name in ("ada", "bob", "eve")}


@pytest.fixture
def open_ledger(tmp_path, assignment):
    def opened(secret=SECRET):
        path = tmp_path / "grades" / "x.ledger.jsonl"
        return Ledger(path, circumstances(assignment, secret, LIMITS), secret)

    return opened


@pytest.fixture
def file(open_ledger, graded):
    with open_ledger() as ledger:
        for result in graded.values():
            ledger.append(result)
    return ledger.path


def lines(file):
    return file.read_bytes().splitlines(keepends=True)


def known(ledger, handed_in):
    return [name for name, submission in handed_in.items() if ledger.decided(submission)]


def test_what_was_decided_is_remembered(file, open_ledger, handed_in, graded):
    with open_ledger() as ledger:
        for name, submission in handed_in.items():
            assert ledger.decided(submission).to_dict() == graded[name].to_dict()
    assert ledger.notes == []


def test_another_submission_is_not_known(file, open_ledger, handed_in):
    with open_ledger() as ledger:
        assert ledger.decided(replace(handed_in["ada"], digest="1")) is None


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_changed_score_is_not_believed(place, file, open_ledger, handed_in):
    """Also in the last line, which no other line follows."""
    changed = lines(file)
    record = json.loads(changed[place])
    student = record["graded"]["student"]
    record["graded"]["grades"][0]["score"] = 1.0
    changed[place] = json.dumps(record, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    file.write_bytes(b"".join(changed))
    with open_ledger() as ledger:
        assert student not in known(ledger, handed_in)
    assert any(f"{student} is graded again" in note for note in ledger.notes)


def test_a_line_of_somebody_elses_making_is_not_believed(file, open_ledger, handed_in):
    """One that follows well: everything in it is right but the seal."""
    *first, last = lines(file)
    record = json.loads(last)
    record["graded"]["grades"][0]["score"] = 1.0
    del record["seal"]
    file.write_bytes(b"".join(first) + json.dumps(record).encode() + b"\n")
    with open_ledger() as ledger:
        assert known(ledger, handed_in) == ["ada", "bob"]


def test_a_line_taken_out_is_noticed(file, open_ledger, handed_in):
    first, _, last = lines(file)
    file.write_bytes(first + last)
    with open_ledger() as ledger:
        assert known(ledger, handed_in) == ["eve"]
    assert any("changed or taken out" in note for note in ledger.notes)


def test_lines_taken_off_the_end_do_not_show(file, open_ledger, handed_in):
    """Nothing stands behind them that would miss them; nor do they decide anything."""
    first, *_ = lines(file)
    file.write_bytes(first)
    with open_ledger() as ledger:
        assert known(ledger, handed_in) == ["ada"]
    assert ledger.notes == []


def test_a_line_cut_off_is_taken_away(file, open_ledger, handed_in, graded):
    whole = file.read_bytes()
    file.write_bytes(whole[:-30])
    with open_ledger() as ledger:
        assert known(ledger, handed_in) == ["ada", "bob"]
        ledger.append(graded["eve"])
    assert file.read_bytes() == whole


def test_what_is_odd_is_said_once(file, open_ledger, graded):
    first, _, last = lines(file)
    file.write_bytes(first + last)
    with open_ledger() as ledger:  # a run that ended before it said anything
        assert len(ledger.notes) == 1
    with open_ledger() as ledger:
        assert len(ledger.notes) == 1
        ledger.said()
        ledger.said()
        ledger.append(graded["ada"])
    assert len(lines(file)) == 4
    with open_ledger() as ledger:
        assert ledger.notes == []
        ledger.said()
    assert len(lines(file)) == 4
    file.write_bytes(file.read_bytes()[:-30])
    for _ in range(2):
        with open_ledger() as ledger:
            (note,) = ledger.notes
            assert "cut off" in note
            ledger.said()
        file.write_bytes(file.read_bytes() + b"{")


def test_what_is_changed_after_something_was_said_is_said(file, open_ledger):
    first, second, last = lines(file)
    file.write_bytes(first + last)
    with open_ledger() as ledger:
        ledger.said()
    *_, said = lines(file)
    for changed in (first + second + said, first + last.replace(b"eve", b"ada") + said):
        file.write_bytes(changed)
        with open_ledger() as ledger:
            assert ledger.notes


def test_nobody_else_can_write_that_something_was_said(file, open_ledger):
    first, _, last = lines(file)
    file.write_bytes(first + last)
    with open_ledger() as ledger:
        ledger.said()
    *_, said = lines(file)
    for lie in (said[:-10] + b'00000000"}\n', said.replace(b'"secret_id":"', b'"secret_id":"0')):
        file.write_bytes(first + last + lie)
        with open_ledger() as ledger:
            assert any("changed or taken out" in note for note in ledger.notes)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full file")
def test_a_full_disk_is_said_with_the_files_name(open_ledger, graded):
    """Also where the file cannot be closed, since what was not written is still to be."""
    ledger = open_ledger()

    def grade():
        with ledger:
            with open("/dev/full", "ab") as full:
                os.dup2(full.fileno(), ledger._file.fileno())
            ledger.append(graded["ada"])

    with pytest.raises(CourseError, match=r"x\.ledger\.jsonl cannot be written: No space left"):
        grade()


def test_a_ledger_that_cannot_be_brought_to_the_disk(open_ledger, monkeypatch):
    def fails(_):
        raise OSError(28, "No space left on device")

    with pytest.raises(CourseError, match=r"No space left .*; make room"), open_ledger():
        monkeypatch.setattr(module.os, "fsync", fails)


def test_two_runs_do_not_write_into_one_ledger(file, open_ledger, monkeypatch):
    monkeypatch.setattr(module, "_ENDING_SECONDS", 0.1)
    before = file.read_bytes()
    with (
        open_ledger(),
        pytest.raises(CourseError, match=r"another run is grading this.* same command"),
        open_ledger(),
    ):
        pass
    assert file.read_bytes() == before
    with open_ledger() as ledger:
        assert ledger.notes == []


def test_what_a_run_writes_while_it_ends_is_waited_for(file, open_ledger, graded, handed_in):
    ending = file.open("ab")
    fcntl.flock(ending, fcntl.LOCK_EX)

    def end():
        with ending:
            ending.write(b'{"half a line')

    threading.Timer(0.3, end).start()
    with open_ledger() as ledger:
        ledger.append(graded["ada"])
    with open_ledger() as ledger:
        assert (ledger.notes, known(ledger, handed_in)) == ([], list(handed_in))


def test_another_python_may_decide_otherwise(file, open_ledger, handed_in, monkeypatch):
    """What is a syntax error to one is none to the next."""
    monkeypatch.setattr(platform, "python_version", lambda: "3.99.0")
    with open_ledger() as ledger:
        assert known(ledger, handed_in) == []


def test_what_another_secret_sealed_decides_nothing(file, open_ledger, handed_in):
    """A new course, or a lost secret: graded again, and nobody is accused."""
    with open_ledger(b"another secret of the same length") as ledger:
        assert known(ledger, handed_in) == []
        assert ledger.students == {"ada", "bob", "eve"}
    assert ledger.notes == []


def test_odd_characters_keep_their_seal(open_ledger, graded, desk):
    odd = replace(desk.read(b"{", "zoë \ud800"), problem="\ud800 łä\u2028")
    result = replace(graded["ada"], student=odd.student, digest=odd.digest, problem=odd.problem)
    with open_ledger() as ledger:
        ledger.append(result)
    with open_ledger() as ledger:
        assert ledger.notes == []


def test_another_chapter_counts_where_a_chapter_takes_something_from_it(tmp_path, monkeypatch):
    package = tmp_path / "autograder"
    shutil.copytree(Path(autograder.__file__).parent, package)
    monkeypatch.setattr(autograder, "__file__", str(package / "__init__.py"))
    monkeypatch.setattr(module, "engine", module.engine.__wrapped__)
    slugs = ("feature_scaling", "batchnorm_forward", "relatives", "of_ones_own")
    before = {slug: module.engine(slug) for slug in slugs}
    with (package / "chapters" / "batchnorm_forward.py").open("a") as file:
        file.write("# newer\n")
    changed = {slug for slug in slugs if module.engine(slug) != before[slug]}
    assert changed == {"batchnorm_forward", "relatives"}
