"""The sample class, from its notebooks to its files: does every submission get what it deserves?"""

from __future__ import annotations

import csv
import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace

import nbformat
import pytest
from bs4 import BeautifulSoup
from classroom_helpers import NOTEBOOK, QUICKLY, ROOT, SECRET, SLUG, autograder, nbgrader

from autograder.chapters import SLUGS, chapter
from autograder.classroom.grading import grade as grade_one
from autograder.classroom.release import CourseError
from autograder.classroom.sample import compare_with_deserved, sample_class, write_sample_class
from autograder.classroom.submissions import Assignment, Submission


def gradebook(folder):
    """What the gradebook says: per student and cell, all that graders and students see."""
    with closing(sqlite3.connect(folder / "gradebook.db")) as database:
        return (
            database.execute(
                """
            select s.student_id, c.name, g.auto_score, g.manual_score, g.needs_manual_grade
            from grade g
            join base_cell c on g.cell_id = c.id
            join submitted_notebook n on g.notebook_id = n.id
            join submitted_assignment s on n.assignment_id = s.id
            order by 1, 2
            """
            ).fetchall()
            + database.execute(
                """
            select s.student_id, c.name, m.auto_comment
            from comment m
            join base_cell c on m.cell_id = c.id
            join submitted_notebook n on m.notebook_id = n.id
            join submitted_assignment s on n.assignment_id = s.id
            order by 1, 2
            """
            ).fetchall()
        )


def files(folder):
    """Every file that grading writes, but the ledger, to which each run adds."""
    found = [*(folder / "autograded").rglob("*"), *(folder / "grades").rglob("*")]
    return {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in found
        if p.is_file() and "ledger" not in p.name
    }


def test_everybody_gets_what_is_deserved(sample):
    assert compare_with_deserved(sample.folder, SLUG) == []


@pytest.mark.parametrize("slug", [s for s in SLUGS if s != SLUG])
def test_so_it_is_in_every_chapter(slug, desk):
    """The other chapters' classes, submission by submission, without what is around them."""
    assignment = Assignment.load(ROOT, slug)
    desk = replace(desk, assignment=assignment, subject=chapter(slug))
    for sample in sample_class(ROOT, slug):
        submission = (
            Submission(sample.student, ROOT, problem="it is not there")
            if sample.data is None
            else desk.read(sample.data, sample.student)
        )
        graded = grade_one(assignment, submission, desk.pool, SECRET)
        found = {g.exercise.removeprefix("test_"): g.score for g in graded.grades}
        assert not graded.blocked
        assert {name: found[name] for name in sample.deserved} == sample.deserved, (
            f"{sample.student} ({sample.what}): {graded.headline}"
        )


def test_it_has_all_kinds_of_submissions(sample):
    kinds = {str(s["what"]).split(":")[0] for s in sample.deserved.values()}
    assert len(sample.deserved) >= 30
    assert len(kinds) >= 15
    verdicts = {g["verdict"] for s in sample.graded.values() for g in s["grades"]}
    assert verdicts >= {"PASS", "WRONG", "ERROR", "TIMEOUT", "CRASH", "MISSING", ""}


def test_the_table(sample):
    lines = sample.printed.splitlines()
    for student, graded in sample.graded.items():
        (line,) = [x for x in lines if f" {student} " in x]
        assert f"{graded['score']:g} of 42" in line
    assert "Traceback" not in sample.printed
    assert f"{len(sample.deserved)} submissions" in sample.printed


def test_csv_and_html_say_the_same_as_json(sample):
    with open(sample.folder / "grades" / f"{SLUG}.csv", encoding="utf-8", newline="") as file:
        rows = {row["student"]: row for row in csv.DictReader(file)}
    page = BeautifulSoup(
        (sample.folder / "grades" / f"{SLUG}.html").read_text(encoding="utf-8"), "html.parser"
    )
    shown = {
        tr.find("td").get_text(): tr.find_all("td")[1].get_text() for tr in page.select("tbody tr")
    }
    for student, graded in sample.graded.items():
        assert float(rows[student]["score"]) == graded["score"] == float(shown[student])
        for grade in graded["grades"]:
            said = rows[student][grade["exercise"].removeprefix("test_")]
            assert (float(said) if said else None) == grade["score"]
    assert set(rows) == set(shown) == set(sample.deserved)


def test_the_gradebook_says_the_same_as_json(sample):
    for student, cell, auto_score, manual_score, needs in (
        row for row in gradebook(sample.folder) if len(row) == 5
    ):
        graded = sample.graded[student]
        (grade,) = [g for g in graded["grades"] if g["grade_id"] == cell]
        assert auto_score == grade["score"]
        assert manual_score is None
        assert bool(needs) == (grade["score"] is None or bool(graded["problem"]))


@pytest.mark.parametrize("again", [(), ("--again",)])
def test_a_second_run_changes_nothing(again, sample, tmp_path):
    folder = tmp_path / "sample class"
    shutil.copytree(sample.folder, folder)
    if again:  # a few of each kind are enough: the endless ones take their time
        kept = {}
        for student, graded in sample.graded.items():
            verdicts = tuple(sorted(g["verdict"] for g in graded["grades"]))
            kept.setdefault(verdicts, student)
        for place in ("submitted", "autograded"):
            for each in (folder / place).iterdir():
                if each.name not in kept.values():
                    shutil.rmtree(each)
    before, book = files(folder), gradebook(folder)
    autograder("grade", SLUG, "--course", folder, *QUICKLY, *again)
    after = files(folder)
    if again:
        results = json.loads(after[f"grades/{SLUG}.json"])["submissions"]
        assert {s["student"]: s for s in results} == {n: sample.graded[n] for n in kept.values()}
        before = {n: b for n, b in before.items() if n.startswith("autograded")}
        after = {n: b for n, b in after.items() if n.startswith("autograded")}
    assert after == before
    assert gradebook(folder) == book


def test_what_formgrader_shows_is_put_back(sample, tmp_path):
    """Also the notebook that says why a submission could not be read."""
    folder = tmp_path / "sample class"
    shutil.copytree(sample.folder, folder)
    lost = ("ada", "noether", "olga")
    before = files(folder)
    for student in lost:
        shutil.rmtree(folder / "autograded" / student)
    printed = autograder("grade", SLUG, "--course", folder, *QUICKLY)
    known = len(sample.deserved) - len(lost)
    assert f"{known} of {len(sample.deserved)} had been graded before" in printed
    assert files(folder) == before


def test_it_is_the_same_class_each_time():
    one, two = sample_class(ROOT, SLUG), sample_class(ROOT, SLUG)
    assert [(s.student, s.what, s.data, dict(s.deserved)) for s in one] == [
        (s.student, s.what, s.data, dict(s.deserved)) for s in two
    ]


@pytest.mark.parametrize("count", [1, 2])
def test_a_chapter_may_have_few_exercises(count, monkeypatch):
    short = replace(chapter(SLUG), exercises=chapter(SLUG).exercises[:count])
    monkeypatch.setattr("autograder.classroom.sample.chapter", lambda slug: short)
    assert len(sample_class(ROOT, SLUG)) > 20


def test_ordinary_notebooks_are_valid(sample):
    for student, about in sample.deserved.items():
        if about["honest"]:
            nbformat.validate(
                nbformat.read(sample.folder / "submitted" / student / SLUG / NOTEBOOK, as_version=4)
            )


def test_nothing_is_written_over(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(CourseError, match="not empty"):
        write_sample_class(ROOT, tmp_path, [SLUG])
    assert (tmp_path / "thesis.tex").exists()


@pytest.mark.parametrize(
    "found", [None, "{}", "[]", '{"submissions": [{"student": "a", "grades": 1}]}', "{"]
)
def test_what_is_not_graded_cannot_be_compared(found, sample, tmp_path):
    shutil.copy(sample.folder / "deserved.json", tmp_path)
    if found is not None:
        (tmp_path / "grades").mkdir()
        (tmp_path / "grades" / f"{SLUG}.json").write_text(found)
    with pytest.raises(CourseError, match=r"not a graded sample class.*grade it first"):
        compare_with_deserved(tmp_path, SLUG)


@pytest.mark.parametrize("found", [None, "{}", "[]", "{"])
def test_what_is_no_sample_class_need_not_be_graded(found, tmp_path):
    """Grading it first would not help: there is nothing to compare with."""
    if found is not None:
        (tmp_path / "deserved.json").write_text(found)
    with pytest.raises(CourseError, match=r"not a sample class of.*autograder sample-class"):
        compare_with_deserved(tmp_path, SLUG)


def test_a_wrong_score_is_found(sample, tmp_path):
    shutil.copytree(sample.folder / "grades", tmp_path / "grades")
    shutil.copy(sample.folder / "deserved.json", tmp_path)
    path = tmp_path / "grades" / f"{SLUG}.json"
    data = json.loads(path.read_text())
    first = data["submissions"][0]
    first["grades"][0]["score"] -= 1
    del data["submissions"][1]
    path.write_text(json.dumps(data))
    one, two = compare_with_deserved(tmp_path, SLUG)
    assert first["student"] in one
    assert "earned 6.0 for min_max_scale, deserves 7.0" in one
    assert "was not graded" in two


@pytest.fixture(scope="module")
def feedback(sample, tmp_path_factory):
    folder = tmp_path_factory.mktemp("feedback") / "course"
    shutil.copytree(sample.folder, folder)
    few = ("ada", "cecilia", "olga")
    for student in (p.name for p in (folder / "autograded").iterdir()):
        if student not in few:
            shutil.rmtree(folder / "autograded" / student)
    nbgrader("generate_feedback", SLUG, cwd=folder)
    return folder


def test_feedback(feedback):
    texts = {
        p.parents[1].name: BeautifulSoup(p.read_text(), "html.parser").get_text(" ")
        for p in (feedback / "feedback").rglob("*.html")
    }
    assert set(texts) == {"ada", "cecilia", "olga"}
    assert "7 of 7 points" in texts["ada"]
    assert "divides by N - 1 where N is asked" in texts["cecilia"]
    assert "could not be graded" in texts["olga"]
    assert not any("hidden=True" in text for text in texts.values())
