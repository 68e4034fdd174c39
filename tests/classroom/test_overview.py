"""The course on one page: what an instructor sees of all assignments together."""

from __future__ import annotations

import csv
import io
import shutil
from dataclasses import replace

import pytest
from bs4 import BeautifulSoup
from rich.console import Console
from test_export import EVIL, WRONG_DIVISOR

from autograder.classroom import export, overview, runs
from autograder.classroom.judges import lost
from autograder.classroom.release import CourseError


@pytest.fixture(scope="module")
def graded(desk):
    return [
        desk.grade(desk.fill_in({"standardize": WRONG_DIVISOR}), "half"),
        desk.grade(desk.fill_in(), "full"),
    ]


@pytest.fixture
def folder(tmp_path, graded):
    """The results of two assignments; only one student handed in both."""
    export.write(tmp_path, "Feature scaling", graded)
    export.write(tmp_path, "Other", [replace(graded[0], assignment="another")])
    return tmp_path


def page(folder):
    overview.write(folder)
    return BeautifulSoup((folder / "index.html").read_text(encoding="utf-8"), "html.parser")


def rows(folder):
    overview.write(folder)
    return list(csv.DictReader(io.StringIO((folder / "index.csv").read_text(encoding="utf-8"))))


def test_every_student_has_a_line(folder):
    full, half = rows(folder)
    assert (full["student"], full["score"], full["points"]) == ("full", "38", "84")
    assert (full["feature_scaling"], full["another"]) == ("38", "")
    assert (half["score"], half["feature_scaling"], half["another"]) == ("68", "34", "34")


def test_one_is_not_several(folder, graded):
    def said():
        return " ".join(page(folder).p.get_text().split())

    assert "2 students · 2 assignments · 3 submissions" in said()
    (folder / "another.json").unlink()
    export.write(folder, "Feature scaling", graded[:1])
    assert "1 student · 1 assignment · 1 submission (" in said()


def test_assignments_come_in_the_order_of_the_course(folder):
    cards = [h.get_text() for h in page(folder).select("article h3")]
    assert cards == ["Feature scaling", "another"]


def test_mistakes_are_counted_over_the_class(folder, graded):
    again = [replace(graded[0], student=f"s{k}") for k in range(3)]
    export.write(folder, "Feature scaling", [*graded, *again])
    first = page(folder).select("ol li")[0]
    assert first.b.get_text() == "4"
    assert "N - 1" in first.get_text()
    assert first.a["href"] == "feature_scaling.html"


def test_what_waits_for_a_person_is_said(folder, desk, graded):
    answered = desk.fill_in()
    answered.cells[-1].source = "Because."
    waiting = desk.grade(answered, "waits")
    export.write(folder, "Feature scaling", [*graded, waiting])
    found = page(folder)
    assert "1 answer waits for a person to grade" in found.get_text()
    shares = [td.get_text() for td in found.select("tbody tr")[-1].select("td.n")]
    assert shares == ["38", "100", ""], "what waits is not counted against a student"


def test_our_own_failure_is_no_score(folder, desk, graded):
    failed = lost(desk.assignment, "unlucky", "no worker")
    export.write(folder, "Feature scaling", [*graded, failed])
    assert "Feature scaling: unlucky" in page(folder).select_one(".warning").get_text()


@pytest.mark.parametrize("name", EVIL)
def test_nothing_in_it_is_obeyed(name, tmp_path, graded):
    export.write(tmp_path, "Feature scaling", [replace(graded[0], student=name)])
    found = page(tmp_path)
    assert not found.find_all(["script", "img", "iframe", "link", "object"])
    assert "default-src 'none'" in found.find("meta", {"http-equiv": True})["content"]
    assert not any(a.startswith("on") for tag in found.find_all(True) for a in tag.attrs)
    (row,) = rows(tmp_path)
    assert not row["student"].lstrip().startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠"))


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "{}", '{"submissions": [{}]}', '{"submissions": []}'),
        *('{"submissions": [\n{}\n]}\n', '{"submissions": [\n]}\n', '{"submissions": [\n[]\n]}\n'),
        '{"submissions": [\n{"student": "a", "points": 1, "score": 1, "grades": []},\n',
    ],
)
def test_what_is_no_result_is_named(text, folder):
    (folder / "another.json").write_text(text)
    assert overview.strays(folder) == [folder / "another.json"]
    assert "84" not in {row["points"] for row in rows(folder)}, "another is left out"
    (folder / "another.ledger.jsonl").touch()  # it was graded, so its result was spoilt
    assert overview.strays(folder) == []
    with pytest.raises(CourseError, match="another"):
        overview.write(folder)


def test_a_stray_file_ends_no_run(tmp_path, graded, monkeypatch):
    def grade_assignment(_console, course, *_):
        export.write(course / "grades", "Feature scaling", graded)

    monkeypatch.setattr(runs, "grade_assignment", grade_assignment)
    (tmp_path / "grades").mkdir()
    stray = tmp_path / "grades" / "roster.json"
    stray.write_text("[]")
    console = Console(width=1000, file=io.StringIO())
    runs.grade_course(console, tmp_path, ["feature_scaling"], None, None)
    said = console.file.getvalue()
    assert f"! {stray} is no result of grading, and is left out" in said
    assert "grades/index.csv" in said
    assert stray.exists()


def test_the_same_class_gives_the_same_bytes(folder):
    before = [p.read_bytes() for p in overview.write(folder)]
    assert [p.read_bytes() for p in overview.write(folder)] == before


def test_nothing_is_written_where_nothing_was_graded(tmp_path):
    assert overview.write(tmp_path) == []
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("end", [CourseError("there are no submissions"), KeyboardInterrupt()])
def test_an_assignment_that_is_not_graded_does_not_take_the_page_of_the_others(
    end, tmp_path, graded, monkeypatch
):
    def grade_assignment(_console, course, name, _options, _judges):
        if name == "another":
            raise end
        export.write(course / "grades", "Feature scaling", graded)

    monkeypatch.setattr(runs, "grade_assignment", grade_assignment)
    with pytest.raises(type(end)):
        runs.grade_course(Console(quiet=True), tmp_path, ["feature_scaling", "another"], None, None)
    assert "full" in (tmp_path / "grades" / "index.csv").read_text(encoding="utf-8")


def test_what_was_not_reached_is_said(tmp_path, monkeypatch):
    def grade_assignment(*_):
        raise CourseError("the gradebook has grades for other cells")

    monkeypatch.setattr(runs, "grade_assignment", grade_assignment)
    with pytest.raises(CourseError, match=r"other cells \(not reached: b c; to go on without a, "):
        runs.grade_course(Console(quiet=True), tmp_path, ["a", "b", "c"], None, None)
    with pytest.raises(CourseError, match=r"other cells$"):
        runs.grade_course(Console(quiet=True), tmp_path, ["a"], None, None)


def test_without_names_and_submissions_it_is_said_how_to_name_one(tmp_path):
    shutil.copy("nbgrader_config.py", tmp_path)
    (tmp_path / "submitted" / "eve" / "mine").mkdir(parents=True)
    with pytest.raises(CourseError, match=r"of any chapter in .*submitted.* when it is named: "):
        runs.grade_course(Console(quiet=True), tmp_path, [], None, None)


def test_without_names_what_was_handed_in_is_graded(tmp_path, monkeypatch):
    shutil.copy("nbgrader_config.py", tmp_path)
    asked = []
    monkeypatch.setattr(
        runs, "grade_assignment", lambda _console, _course, name, *_: asked.append(name)
    )
    for slug in ("whitening", "inference"):
        (tmp_path / "submitted" / "eve" / slug).mkdir(parents=True)
    runs.grade_course(Console(quiet=True), tmp_path, [], None, None)
    assert asked == ["whitening", "inference"]
