"""The page for instructors says what is so: commands, walls, verdicts, messages, measurements."""

from __future__ import annotations

import ast
import json
import re
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import typer.main

from autograder.cli import app
from autograder.sandbox.measure import none
from autograder.sandbox.pool import Pool
from autograder.verdict import Verdict

sys.path.insert(0, str(Path(__file__).parent.parent / "book"))

from lab import measured

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "book" / "teaching.md").read_text(encoding="utf-8")
COMMANDS = typer.main.get_command(app).commands
SHELL = [
    line.strip()
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
]
INLINE = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", PAGE)
SAID = [*SHELL, *INLINE]


def table(head: str) -> list[list[str]]:
    """The rows of the page's table whose first column has this head."""
    _, _, below = PAGE.partition(f"\n| {head} |")
    assert below, f"there is no table of {head}s"
    rows = []
    for line in below.splitlines()[2:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


# --- commands --------------------------------------------------------------------------------


def uses(program: str) -> list[list[str]]:
    """Every use of a program on the page, as words behind its name."""
    return [line.split()[1:] for line in SAID if re.match(rf"{program} [a-z]", line)]


def options(command: str) -> set[str]:
    return {name for parameter in COMMANDS[command].params for name in parameter.opts}


@pytest.mark.parametrize("words", uses("autograder"), ids=" ".join)
def test_our_commands_are_there(words):
    command, *rest = words
    assert command in COMMANDS
    for word in rest:
        if word.startswith("-"):
            assert word.split("=")[0] in options(command)


def test_the_page_uses_every_command_that_an_instructor_needs():
    assert {words[0] for words in uses("autograder")} >= {"catalog", "verify", "release", "grade"}


def test_every_option_of_grade_is_explained():
    explained = {
        name
        for line in re.findall(r"^(`--.*`)\n: ", PAGE, re.MULTILINE)
        for name in re.findall(r"`(--[a-z-]+)`", line)
    }
    wanted = {o for o in options("grade") if o.startswith("--")} - {"--course", "--help"}
    assert explained == wanted


def test_options_named_alone_are_options():
    ours = {name for command in COMMANDS for name in options(command)}
    theirs = {"--force"}
    named = {word.split()[0].split("=")[0] for word in INLINE if word.startswith("--")}
    assert named <= ours | theirs | {"--student"}


def test_limits_are_the_ones_that_hold():
    defaults = {p.name: p.default for p in COMMANDS["grade"].params}
    assert f"cells ({defaults['cell_seconds']:g} s)" in PAGE
    assert f"function ({defaults['call_seconds']:g} s)" in PAGE
    with Pool(preload=("numpy",), walls=False) as pool:
        limits = asdict(pool.limits)
    assert f"notebook gets {limits['total_seconds']:g} s" in PAGE.replace("\n  ", " ")
    assert f"may take {limits['memory_bytes'] >> 30} GiB" in PAGE


@pytest.mark.parametrize("words", uses("nbgrader"), ids=" ".join)
def test_nbgraders_commands_are_there(words):
    from nbgrader.apps import NbGraderApp

    assert words[0] in NbGraderApp().subcommands
    application = NbGraderApp().subcommands[words[0]][0]
    if words[0] == "db":
        from nbgrader.apps.dbapp import DbApp

        assert words[1] in DbApp.subcommands
        application = DbApp.subcommands[words[1]][0]
        if words[1] in ("assignment", "student"):
            application = application.subcommands[words[2]][0]
    known = {*application().flags, *application().aliases}
    for word in words:
        if word.startswith("--"):
            assert word[2:].split("=")[0] in known


def test_targets_of_make_are_there():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {line.split()[1] for line in SAID if re.match(r"make [a-z]", line)}
    assert named
    assert named <= targets


def test_files_that_prove_something_are_there():
    named = [word for word in INLINE if re.fullmatch(r"tests/\S+\.py", word)]
    assert len(named) >= 5
    for name in (*named, "CONTRIBUTING.md", "nbgrader_config.py"):
        assert (ROOT / name).is_file(), name


def test_settings_are_there():
    from nbgrader.exchange.default import Exchange
    from nbgrader.plugins import LateSubmissionPlugin
    from nbgrader.plugins.zipcollect import FileNameCollectorPlugin
    from nbgrader.preprocessors import AssignLatePenalties

    from autograder.classroom.preprocessor import Judge

    places = {
        "Exchange": Exchange,
        "Judge": Judge,
        "LateSubmissionPlugin": LateSubmissionPlugin,
        "AssignLatePenalties": AssignLatePenalties,
        "FileNameCollectorPlugin": FileNameCollectorPlugin,
    }
    named = set(re.findall(r"\bc\.(\w+)\.(\w+)", PAGE)) - {("CourseDirectory", "course_id")}
    assert {place for place, _ in named} == set(places)
    for place, setting in named:
        assert setting in places[place].class_trait_names(config=True)


def test_the_pattern_for_an_lms_reads_its_example():
    pattern = "".join(re.findall(r'^    r"(.*)"$', PAGE, re.MULTILINE))
    (example,) = [word for word in INLINE if "_attempt_" in word]
    found = re.match(pattern, f"downloaded/feature_scaling/extracted/{example}").groupdict()
    assert found["student_id"] == "ada"
    assert found["timestamp"] == "2026-11-20-10-00-00"
    assert found["file_id"] == "feature_scaling"


def test_the_penalty_of_the_example_is_taken(tmp_path, monkeypatch):
    (code,) = re.findall(r"```python\n(from nbgrader\.plugins.*?)```", PAGE, re.DOTALL)
    namespace: dict[str, type] = {}
    exec(code, namespace)
    penalty = namespace["HalfAPointAnHour"]()
    assert penalty.late_submission_penalty("ada", 38.0, 7200.0) == 1.0


# --- promises --------------------------------------------------------------------------------


def test_the_walls_are_those_that_are_measured():
    named = [row[0].strip("`") for row in table("wall")]
    with Pool(preload=("numpy",)) as pool:
        assert named == list(pool.walls)
    assert set(named) == set(none("").walls)
    assert len(named) == 10, "the page speaks of ten walls"
    assert all(all(row) for row in table("wall"))


def test_the_verdicts_are_all_there():
    assert [row[0].strip("`") for row in table("verdict")] == [v.value for v in Verdict]


def test_only_a_pass_scores_and_our_failure_is_never_a_zero():
    scores = {row[0].strip("`"): row[2] for row in table("verdict")}
    assert scores.pop("PASS") == "full"
    assert scores.pop("INTERNAL") == "open, never 0"
    assert set(scores.values()) == {"0"}


def spoken() -> str:
    """All texts in the code of the grader, with … where a value is filled in."""
    texts = ["'plugin_class' … could not be imported"]  # traitlets' own
    for path in (ROOT / "autograder").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [v.value if isinstance(v, ast.Constant) else "…" for v in node.values]
                texts.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return "\n".join(texts)


def test_messages_are_those_that_are_said():
    _, _, section = PAGE.partition("## When something goes wrong")
    terms = re.findall(r"^(`.*`)\n: ", section, re.MULTILINE)
    assert len(terms) > 10
    said = spoken()
    for message in re.findall(r"`([^`]+)`", "\n".join(terms)):
        assert message in said, message


# --- what was measured -----------------------------------------------------------------------


@pytest.fixture
def figures():
    return {
        "machine": {"system": "Linux <x>", "cores": 2, "python": "3.11.7"},
        "grading": {
            "honest_submissions": 25,
            "rounds": 3,
            "ours_class_seconds": 2.0,
            "nbgrader_class_seconds": 50.0,
            "nbgrader_process_per_submission_seconds": 4.0,
            "ratio_same_class_whole_runs": 25.0,
            "ours_submission_seconds": 0.02,
            "ratio_rate_large_class_to_nbgrader_one_process": 100.0,
            "ratio_rate_large_class_to_nbgrader_process_per_submission": 200.0,
            "floor_seconds_per_submission": 0.016,
            "times_the_floor": 2.5,
            "megabytes_of_a_worker": 5.04,
            "growth": {
                1000: {
                    "seconds": 20.0,
                    "submissions_per_second": 50.0,
                    "peak_megabytes_of_largest_process": 210.4,
                },
                100: {
                    "seconds": 0.95,
                    "submissions_per_second": 30.0,
                    "peak_megabytes_of_largest_process": 200.0,
                },
            },
        },
        "cheating": {
            "worth": 38.0,
            "not_run_against_stock": {"bomb": "nothing would bound it"},
            "stock": {"run": 2, "got points for wrong answers": 1, "made the run fail": 1},
            "ours": {"run": 3, "got points for wrong answers": 0, "made the run fail": 0},
            "attacks": {
                "be_equal": {
                    "idea": "A4: an object <b>that</b> equals everything",
                    "stock": {"points": 38.0, "classmate": 0.0, "ended": "well"},
                    "ours": {"points": 0.0, "classmate": 38.0, "ended": "well"},
                },
                "end_it": {
                    "idea": "end the grader",
                    "stock": {"points": None, "classmate": None, "ended": "not in time"},
                    "ours": {"points": 0.0, "classmate": 38.0, "ended": "well"},
                },
                "bomb": {
                    "idea": "too many processes",
                    "stock": None,
                    "ours": {"points": 0.0, "classmate": 38.0, "ended": "failed"},
                },
            },
        },
    }


@pytest.fixture
def bench(figures, tmp_path):
    """The figures as they come from the file, where JSON made texts of the classes' sizes."""
    path = tmp_path / "bench.json"
    path.write_text(json.dumps(figures), encoding="utf-8")
    return measured.load(path)


def test_speed(bench):
    rows = {name: tuple(cells) for name, *cells in measured.speed(bench).rows}
    assert rows["a class of 25, the whole command"] == ("2 s", "50 s", "25 ×")
    one, each = (
        rows[f"a submission; nbgrader takes {how}"]
        for how in ("all in one process", "a process for each")
    )
    assert one == ("20 ms", "2 s", "100 ×")
    assert each == ("20 ms", "4 s", "200 ×")
    grown = [name for name in rows if re.match(r"a class of 1", name)]
    assert grown == [
        "a class of 100 (at most 200 MB in a process)",
        "a class of 1,000 (at most 210 MB in a process)",
    ]
    assert rows[grown[0]][0] == "950 ms"
    (floor,) = [name for name in rows if "plain fork" in name]
    assert "(16 ms of one core)" in floor
    assert rows[floor][0] == "40 ms of one core; 2.5 × that"
    assert rows["memory of a worker, beyond what all share"][0] == "5.04 MB"


def test_speed_with_a_huge_class(bench):
    """The ratios are of the large class: the time beside them must be, too."""
    growth = bench["grading"]["growth"]
    growth["10000"] = growth["1000"] | {"seconds": 500.0, "submissions_per_second": 20.0}
    rows = {name: cells[0] for name, *cells in measured.speed(bench).rows}
    assert rows["a submission; nbgrader takes all in one process"] == "20 ms"
    assert rows["a class of 10,000 (at most 210 MB in a process)"] == "500 s"


def test_attacks(bench):
    shown = measured.attacks(bench)
    assert shown.columns == ("stock nbgrader", "this course")
    assert shown.rows == (
        ("got points for wrong answers", "1 of 2", "0 of 3"),
        ("made the run fail", "1 of 2", "0 of 3"),
    )


def test_each_attack(bench):
    shown = measured.each_attack(bench)
    items = dict(shown.items)
    assert items["be equal"].startswith("an object")
    assert items["be equal"].endswith("Stock nbgrader: 38; the classmate has 0. Here: 0.")
    assert "no grade; the run ended not in time; the classmate has no grade." in items["end it"]
    assert "not run: nothing would bound it. Here: 0; the run failed." in items["bomb"]
    html = shown._repr_markdown_()
    assert html.startswith("<details><summary>All 3 attacks")
    assert "&lt;b&gt;that" in html
    assert "<b>" not in html
    assert "too many processes" in repr(shown)


def test_machine(bench):
    note = measured.machine(bench)
    assert repr(note) == ("Measured with Python 3.11.7 on 2 cores, Linux <x>; medians of 3 rounds.")
    assert "&lt;x&gt;" in note._repr_markdown_()


TABLES = (measured.machine, measured.speed, measured.attacks, measured.each_attack)


@pytest.mark.parametrize("shown", TABLES)
def test_without_a_file_it_says_so(shown, tmp_path):
    bench = measured.load(tmp_path / "bench.json")
    assert repr(shown(bench)).startswith("Nothing has been measured yet")
    assert "make bench" in shown(bench)._repr_markdown_()


@pytest.mark.parametrize("shown", [measured.attacks, measured.each_attack])
def test_attacks_that_could_not_be_run_are_no_zeros(shown, bench):
    assert repr(shown({**bench, "cheating": {}})).startswith("The attacks have not been measured")


def test_the_benchmarks_write_what_the_tables_read(figures):
    """The names of the figures are in the code that writes them."""
    grading, cheating = (
        (ROOT / "benchmarks" / f"{name}.py").read_text(encoding="utf-8")
        for name in ("grading", "cheating")
    )
    for name in (*figures["grading"], *figures["grading"]["growth"][100]):
        assert f'"{name}"' in grading
    for name in (*figures["cheating"], *figures["cheating"]["stock"]):
        assert f'"{name}"' in cheating


def test_the_file_in_the_book_can_be_shown():
    """Whatever lies there now: the page's cells do not fail on it."""
    bench = measured.load()
    assert all(repr(shown(bench)) for shown in TABLES)
