"""One report in four forms: a number, text, HTML and JSON."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat import v4
from nbgrader.utils import determine_grade

from autograder import check
from autograder.chapters import find
from autograder.report import Diagnosis, Finding, Report, number
from autograder.verdict import Verdict

EVIL = '<script>alert("x")</script> <img src=//evil onerror=1> \' & `code` </div>'


def finding(verdict=Verdict.PASS, **changes):
    described = {"probe": "p", "sentence": "It is so.", "points": 1.0, "verdict": verdict}
    return Finding(**(described | changes))


def report(*findings, **changes):
    described = {"exercise": "f", "findings": findings, "points": sum(f.points for f in findings)}
    return Report(**(described | changes))


WRONG = finding(
    Verdict.WRONG,
    probe="q",
    sentence="It is `that`.",
    points=2.0,
    detail="it is 3 where 2 is expected",
    diagnosis=Diagnosis("m", "It adds one.", "Do not add `1`."),
)
MIXED = report(finding(), WRONG, points=4.0, unseen=1, printed="hi\nyou\n", warned=("W: w",))


@pytest.fixture(scope="module")
def real():
    """Reports as they come: nothing written, two mistakes, an error, a picture, all right."""

    def two(X):
        return (X - X.mean(axis=0)) / X.std(axis=0, ddof=1)

    def error(X):
        return X / X.shape[2]

    def two_entries(X):
        print("<b>bold</b>")
        Z = find("standardize").reference(X)
        Z[1, 2] += 1
        Z[4, 0] = np.nan
        return Z

    answers = (None, two, error, two_entries, find("standardize").reference)
    return [check("standardize", answer, hidden=bool(i % 2)) for i, answer in enumerate(answers)]


# --- the number ------------------------------------------------------------------------------


def graded_cell(output, points):
    """A graded cell of nbgrader's with one output."""
    cell = v4.new_code_cell("report", outputs=[output])
    cell.metadata["nbgrader"] = {
        **{"grade": True, "solution": False, "locked": True, "task": False},
        **{"grade_id": "test_f", "points": points, "schema_version": 3, "cell_type": "code"},
    }
    return cell


class TestNumber:
    def test_earned_is_the_sum_of_what_passed(self):
        assert (MIXED.earned, MIXED.possible, MIXED.points) == (1, 3, 4)
        assert float(MIXED) == 1.0

    def test_repr_is_a_plain_float(self):
        numpy_points = report(finding(points=np.float64(1.5)), points=np.float64(1.5))
        assert repr(numpy_points) == "1.5"
        assert type(numpy_points.earned) is float

    @given(st.lists(st.tuples(st.sampled_from([0.1, 0.25, 0.7, 1.0, 3.0]), st.booleans())))
    def test_nbgrader_reads_the_points_from_the_cell(self, probes):
        made = report(
            *(
                finding(Verdict.PASS if ok else Verdict.WRONG, points=points)
                for points, ok in probes
            )
        )
        output = v4.new_output(
            "execute_result", {"text/plain": repr(made), "text/html": made.to_html()}
        )
        score, maximum = determine_grade(graded_cell(output, made.points))
        assert (score, maximum) == (made.earned, made.points)
        assert score <= maximum

    def test_points_are_written_as_people_write_them(self):
        assert [number(p) for p in (0, 1, 2.5, 0.25, 10, 100, 1 / 3)] == [
            *("0", "1", "2.5", "0.25", "10", "100", "0.33")
        ]


class TestVerdict:
    def test_all_passed(self):
        assert report(finding(), finding()).verdict is Verdict.PASS

    def test_the_first_that_did_not_pass(self):
        made = report(finding(), finding(Verdict.ERROR), finding(Verdict.WRONG))
        assert made.verdict is Verdict.ERROR
        assert not made.passed

    def test_our_own_failure_goes_before_all(self):
        made = report(finding(Verdict.WRONG), finding(Verdict.INTERNAL))
        assert made.verdict is Verdict.INTERNAL

    def test_a_diagnosis_is_listed_once(self):
        assert len(report(WRONG, WRONG).diagnoses) == 1

    def test_the_headline_is_the_diagnosis_else_the_detail(self):
        assert MIXED.headline == "It adds one."
        assert report(finding(Verdict.WRONG, detail="too long")).headline == "too long"
        assert report(finding()).headline == ""


# --- text ------------------------------------------------------------------------------------


def test_the_text():
    assert str(MIXED).splitlines() == [
        "f  1 of 3 points (1 more probe, worth 1, when graded)",
        "  ✓ It is so.                          1/1",
        "  ✗ It is `that`.                      0/2",
        "    WRONG: it is 3 where 2 is expected",
        "  → It adds one.",
        "    Do not add `1`.",
        "  While it ran: W: w",
        "  It printed: hi you",
    ]


def test_reports_with_pictures_can_be_compared():
    pictured = [report(finding(Verdict.WRONG, where=np.array([True, False]))) for _ in range(2)]
    assert pictured[0] == pictured[1] != MIXED


def test_the_text_is_the_same_in_a_notebook(monkeypatch):
    """There `rich` shows what it should write, unless it is told not to."""
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    test_the_text()


def test_the_text_does_not_say_the_same_twice_in_a_row():
    again = finding(Verdict.MISSING, detail="it is not written yet")
    text = str(report(again, again, finding(), again))
    assert text.count("it is not written yet") == 1
    assert text.count("MISSING: as above") == 2


def test_brackets_are_text_and_not_markup():
    made = report(finding(Verdict.WRONG, sentence="[bold]b[/]", detail="X[mask] is [red]"))
    assert "[bold]b[/]" in str(made)
    assert "X[mask] is [red]" in str(made)


def test_lines_are_at_most_96_wide(real):
    for made in real:
        assert max(map(len, str(made).splitlines())) <= 96


def test_what_was_printed_is_cut():
    assert len(str(report(finding(), printed="x" * 9999))) < 600


# --- HTML ------------------------------------------------------------------------------------


class Tags(HTMLParser):
    """Which tags are there, with their attributes; and that each is closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.seen, self.text = [], [], ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))
        self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


HARMLESS = {"div", "span", "strong", "code", "ul", "li", "svg", "rect"}


class TestHtml:
    def test_whatever_a_student_wrote_is_text(self):
        made = report(
            finding(
                Verdict.ERROR,
                sentence=EVIL,
                detail=EVIL,
                diagnosis=Diagnosis("m", EVIL, EVIL),
            ),
            exercise=EVIL,
            printed=EVIL,
            warned=(EVIL,),
        )
        tags = Tags(made.to_html())
        assert {tag for tag, _ in tags.seen} <= HARMLESS
        assert tags.text.count('<script>alert("x")</script>') == 7
        assert EVIL in tags.seen[0][1]["aria-label"]

    @given(st.text())
    def test_no_text_breaks_out(self, text):
        made = report(finding(Verdict.ERROR, detail=text), printed=text)
        assert {tag for tag, _ in Tags(made.to_html()).seen} <= HARMLESS

    def test_there_is_no_script_and_nothing_from_elsewhere(self, real):
        for made in real:
            for tag, attributes in Tags(made.to_html()).seen:
                assert tag in HARMLESS
                assert attributes.keys().isdisjoint({"src", "href", "onclick", "onload", "id"})
                assert "url(" not in attributes.get("style", "")

    def test_code_between_backticks_is_set_as_code(self):
        html = MIXED.to_html()
        assert re.search(r"<code[^>]*>that</code>", html)
        assert "`" not in html

    def test_a_students_dollars_are_not_for_mathjax(self):
        html = report(finding(Verdict.ERROR, detail="$\\href{x}{y}$")).to_html()
        _, attributes = Tags(html).seen[0]
        assert {"tex2jax_ignore", "mathjax_ignore"} <= set(attributes["class"].split())

    def test_a_single_backtick_stays(self):
        html = report(finding(Verdict.ERROR, detail="a ` b")).to_html()
        assert "a ` b" in html

    def test_everything_that_the_text_says_is_there(self, real):
        for made in real:
            text = " ".join(Tags(made.to_html()).text.split())
            for part in (made.exercise, *(f.sentence for f in made.findings)):
                assert part.replace("`", "") in text
            for diagnosis in made.diagnoses:
                assert diagnosis.hint.replace("`", "") in text

    def test_marks_can_be_heard(self, real):
        marks = [a["aria-label"] for _, a in Tags(real[1].to_html()).seen if a.get("role") == "img"]
        assert marks.count("passed") == 1
        assert marks.count("failed") == 6

    def test_a_picture_shows_which_entries_differ(self):
        where = np.zeros((3, 4), bool)
        where[1, 2] = where[2, 0] = True
        html = report(finding(Verdict.WRONG, where=where)).to_html()
        assert 'aria-label="2 of 12 entries differ, shown in red"' in html
        squares = re.findall(r'<rect x="(\d+)" y="(\d+)"[^>]*fill="#', html)
        assert squares == [("21", "11"), ("1", "21")]
        assert html.count("<rect") == 12

    @pytest.mark.parametrize(
        "where", [np.ones((2, 2), bool), np.array([True]), np.eye(50, dtype=bool), None]
    )
    def test_a_picture_that_would_not_help_is_left_out(self, where):
        assert "<svg" not in report(finding(Verdict.WRONG, where=where)).to_html()

    def test_a_row_of_entries_is_a_picture_too(self):
        html = report(finding(Verdict.WRONG, where=np.array([True, False]))).to_html()
        assert html.count("<rect") == 2

    def test_a_notebook_shows_it(self):
        assert MIXED._repr_html_() == MIXED.to_html()

    def test_all_probes_hidden_is_no_division_by_zero(self):
        assert "0 of 0 points" in Report("f", (), 2.0, unseen=2).to_html()


@pytest.mark.parametrize(("page", "ink"), [("#fff", "#111"), ("#111", "#ddd")], ids=str)
@pytest.mark.parametrize("width", [1000, 360])
def test_reports_are_legible_on_light_and_dark_pages(browser, real, page, ink, width):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    tab = browser.new_page(viewport={"width": width, "height": 900})
    reports = "".join(made.to_html() for made in real)
    tab.set_content(
        f'<!doctype html><html lang="en"><title>reports</title>'
        f'<body style="background:{page};color:{ink}"><main><h1>Reports</h1>{reports}</main></html>'
    )
    found = axe.run(tab).response
    problems = [
        f"{v['id']}: {node['html'][:100]}" for v in found["violations"] for node in v["nodes"]
    ]
    assert problems == []
    assert any(rule["id"] == "color-contrast" for rule in found["passes"])
    too_wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert not tab.evaluate(too_wide)
    tab.close()


# --- JSON ------------------------------------------------------------------------------------


class TestUses:
    """An answer that uses others that are wrong."""

    def test_it_says_where_to_begin(self):
        made = report(finding(), WRONG, uses=("g",))
        summary, hint = "It uses `g`, which does not pass either.", "Mend it first, and check `f`"
        text = str(made)
        assert text.index(summary) < text.index(hint) < text.index("It adds one.")
        html = made.to_html()
        assert html.index("It uses <code") < html.index("Mend it first") < html.index("It adds one")
        assert made.to_dict()["uses"] == ["g"]

    def test_a_diagnosis_is_the_headline_where_there_is_one(self):
        assert report(WRONG, uses=("g",)).headline == "It adds one."
        bare = finding(Verdict.WRONG, detail="it is 3 where 2 is expected")
        made = report(bare, uses=("g", "h"))
        assert made.headline == "It uses `g` and `h`, which do not pass either."


class TestJson:
    def test_it_comes_back_as_it_was(self, real):
        for made in real:
            data = made.to_dict()
            assert json.loads(json.dumps(data, allow_nan=False)) == data

    def test_it_says_everything(self):
        assert MIXED.to_dict() == {
            "exercise": "f",
            "earned": 1.0,
            "possible": 3.0,
            "points": 4.0,
            "verdict": "WRONG",
            "unseen_probes": 1,
            "uses": [],
            "findings": [
                {
                    **{"probe": "p", "sentence": "It is so.", "verdict": "PASS", "earned": 1.0},
                    **{"points": 1.0, "detail": "", "hidden": False, "mistake": None},
                },
                {
                    **{"probe": "q", "sentence": "It is `that`.", "verdict": "WRONG"},
                    **{"earned": 0.0, "points": 2.0, "detail": "it is 3 where 2 is expected"},
                    **{"hidden": False, "mistake": "m"},
                },
            ],
            "diagnoses": [{"mistake": "m", "summary": "It adds one.", "hint": "Do not add `1`."}],
            "printed": "hi\nyou\n",
            "warned": ["W: w"],
        }

    def test_the_verdict_is_a_plain_string(self):
        assert type(MIXED.to_dict()["verdict"]) is str
        assert type(MIXED.to_dict()["findings"][0]["verdict"]) is str


def test_a_terminal_obeys_nothing_that_a_student_wrote():
    evil = "\x1b[2J\x1b]0;x\x07 \u202e"
    said = report(finding(Verdict.ERROR, detail=evil), printed=evil, warned=(evil,))
    assert not {"\x1b", "\x07", "\u202e"} & set(str(said))
