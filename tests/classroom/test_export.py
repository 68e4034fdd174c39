"""The files of a graded class: what a spreadsheet, a program and a person read."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from functools import partial

import pytest
from bs4 import BeautifulSoup
from rich.console import Console

from autograder.classroom import export, gradebook, runs
from autograder.classroom.judges import lost
from autograder.report import number

EVIL = (
    "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\n=1", "＝1", "a,b", 'a"b', "a\nb",
    "x;=1", 'x; "=1', "x;\t-1;@1",
    "<script>alert(1)</script>", "'><img src=x onerror=alert(1)>", "{{ 7 * 7 }}", "łucja 李",
)  # fmt: skip


WRONG_DIVISOR = (
    "def standardize(X):\n    constant = X.max(axis=0) == X.min(axis=0)\n"
    "    return (X - X.mean(axis=0)) / np.where(constant, 1, X.std(axis=0, ddof=1))"
)


@pytest.fixture(scope="module")
def graded(desk):
    half = desk.fill_in({"standardize": WRONG_DIVISOR})
    half.cells[-1].source = "Because."
    broken = {"standardize": "def standardize(X):\n    raise ValueError('=1 <script> [/red]')"}
    return [
        desk.grade(half, "half"),
        desk.grade(desk.fill_in(), "full"),
        desk.grade(b"{", "unreadable"),
        desk.grade(desk.fill_in(broken), "broken"),
    ]


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


class TestCsv:
    def test_a_line_per_student(self, graded):
        half, full, unreadable, _ = rows(export.as_csv(graded))
        assert list(full) == [
            "student", "score", "points", "min_max_scale", "mean_normalize", "standardize",
            "Scaler", "scale_splits", "leakage", "first diagnosis", "repairs", "walls",
        ]  # fmt: skip
        assert (full["student"], full["score"], full["points"]) == ("full", "38", "42")
        assert full["leakage"] == "0"
        assert half["leakage"] == "", "open: a person has to grade it"
        assert half["standardize"] == "3"
        assert unreadable["score"] == "0"
        assert "not a notebook" in unreadable["first diagnosis"]

    @pytest.mark.parametrize("name", EVIL)
    def test_no_field_is_a_formula(self, name, graded):
        """A34: what a student is called, or says, is not computed by a spreadsheet."""
        evil = replace(graded[0], student=name, repairs=(name,), problem=name)
        text = export.as_csv([evil])
        _, row = csv.reader(io.StringIO(text, newline=""))
        assert row[0].replace("'", "").split() == name.replace("'", "").split()
        # Spreadsheets take a comma or a semicolon between fields, as the country has it.
        for field in ";".join(row).split(";"):
            assert not field.lstrip('" ').startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠"))

    def test_columns_are_named_by_exercises_when_some_were_readable(self, graded):
        for some, name in ((graded[2:3], "test_Scaler"), (graded[1:3], "Scaler")):
            assert name in rows(export.as_csv(some))[0]


class TestJson:
    def test_it_holds_every_verdict(self, graded):
        data = json.loads(export.as_json(graded))
        half = data["submissions"][0]
        assert half["score"] == graded[0].score
        assert [g["score"] for g in half["grades"]][-1] is None
        assert half["grades"][2]["report"]["diagnoses"][0]["mistake"]

    def test_it_holds_neither_notebooks_nor_times(self, graded):
        text = export.as_json(graded).decode()
        assert "seconds" not in text
        assert "nbformat" not in text

    def test_no_number_that_is_none(self, graded):
        json.loads(export.as_json(graded), parse_constant=pytest.fail)


class TestHtml:
    def page(self, graded, title="Feature scaling"):
        return BeautifulSoup(export.as_html(title, graded), "html.parser")

    def test_what_it_shows(self, graded):
        page = self.page(graded)
        text = " ".join(page.get_text(" ").split())
        assert page.title.string == "Feature scaling: the class"
        assert "4 submissions" in text
        assert "of 42 points" in text
        for name in ("min_max_scale", "Scaler", "half", "full", "unreadable"):
            assert name in text
        assert len(page.select("tbody tr")) == 4
        assert page.select("svg[role=img]")[0]["aria-label"].startswith("How many students")

    @pytest.mark.parametrize("name", EVIL)
    def test_nothing_in_it_is_obeyed(self, name, graded):
        evil = [replace(g, student=name, repairs=(name,), problem=name) for g in graded]
        page = self.page(evil, title=name)
        assert not page.find_all(["script", "img", "iframe", "link", "object"])
        assert "default-src 'none'" in page.find("meta", {"http-equiv": True})["content"]
        assert not any(a.startswith("on") for tag in page.find_all(True) for a in tag.attrs)
        cell = page.select_one("tbody td").get_text()
        assert cell.split() == name.split()

    def test_a_class_of_which_nothing_could_be_read(self, graded):
        assert "unreadable" in self.page([graded[2]]).get_text()

    def test_missing_walls_are_told(self, graded):
        unwalled = [replace(g, walls=("network", "files")) for g in graded]
        assert "without these walls" in self.page(unwalled).get_text()
        assert "without these walls" not in self.page(graded).get_text()
        assert "missing: network, files" in export.as_csv(unwalled)

    def test_what_we_failed_to_grade_waits_for_nobody(self, desk, graded):
        page = self.page([graded[1], lost(desk.assignment, "unlucky", "no worker")])
        cards = [article.get_text() for article in page.select("article")]
        assert all("1 submission could not be graded" in card for card in cards)
        assert not any("for a person to grade" in card for card in cards)


def test_every_share_has_its_bar(graded):
    (first, *_, leakage) = export.summaries(graded)
    assert sum(first.counts) == first.graded == 4
    assert (first.counts[0], first.counts[10], first.full) == (1, 3, 3)
    assert leakage.graded == 3


def test_the_most_frequent_mistake_comes_first(graded):
    standardize = export.summaries([graded[0], graded[0], graded[1]])[2]
    assert standardize.mistakes[0][0] == 2


def test_what_is_kept_of_a_large_class_says_the_same(graded, desk):
    kept = [g.kept() for g in graded]
    assert [k.kept() for k in kept] == kept
    for made in (export.as_csv, export.as_json, partial(export.as_html, "Feature scaling")):
        assert made(kept) == made(graded)
    said = [gradebook.comments(desk.assignment, g) for g in graded]
    assert any(said)
    assert [gradebook.comments(desk.assignment, k) for k in kept] == said
    assert not any(k.notebook or "findings" in str(k.grades) for k in kept)


def test_files_are_whole_and_the_same_each_time(graded, tmp_path):
    paths = export.write(tmp_path, "Feature scaling", graded)
    before = [p.read_bytes() for p in paths]
    assert [p.suffix for p in paths] == [".csv", ".json", ".html"]
    export.write(tmp_path, "Feature scaling", graded[::-1])
    assert [p.read_bytes() for p in paths] == before
    assert len(list(tmp_path.iterdir())) == 3


def test_a_table_in_a_terminal_is_not_longer_than_somebody_reads(graded):
    well = [replace(graded[0], student=f"s{n:03}", problem="", repairs=()) for n in range(150)]
    odd = [replace(g, student=f"odd{n:03}", repairs=("put back",)) for n, g in enumerate(well)]
    for several, shown, said in (
        (well[:100], 100, None),
        (well + odd[:7], 7, "7 of 157 submissions have problems or repairs"),
        (well + odd, 100, "the first 100: 150 of 300 submissions have problems or repairs"),
    ):
        table = runs._table("Feature scaling", several)
        assert (table.row_count, table.caption) == (shown, said)
    text = "Feature scaling: none of 150 submissions has problems or repairs"
    assert runs._table("Feature scaling", well) == text


def test_a_students_name_takes_nothing_from_others_in_a_terminal(graded):
    named = [replace(graded[1], student=student) for student in ("a" * 200, "\x1b[2J[red]\u202eb")]
    text = io.StringIO()
    Console(file=text, width=120).print(runs._table("Feature scaling", named))
    assert not {"\x1b", "\u202e"} & set(text.getvalue())
    assert f"{number(graded[1].score)} of {number(graded[1].points)}" in text.getvalue()
