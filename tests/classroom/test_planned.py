"""A notebook that is done in one go gets the grades, and shows the outputs, of one by one."""

from __future__ import annotations

import copy
import gc
from dataclasses import replace

import pytest
from classroom_helpers import LIMITS, ROOT, SECRET, Desk

from autograder.classroom.grading import Graded, grade
from autograder.classroom.sample import write_sample_class
from autograder.classroom.session import Session
from autograder.classroom.submissions import Assignment, Submission, find_submissions
from autograder.sandbox.ahead import Ahead, Cell, Plan, Script
from autograder.sandbox.pool import Pool, Worker

RIGHT = """
def standardize(X):
    constant = X.max(axis=0) == X.min(axis=0)
    return (X - X.mean(axis=0)) / np.where(constant, 1, X.std(axis=0))
"""

# What stands in place of an answer, or in cells above and below all.
NOTEBOOKS: dict[str, tuple[dict[str, str], str, str]] = {
    "right": ({}, "", ""),
    "nothing is written": (
        {"standardize": "def standardize(*args):\n    raise NotImplementedError"},
        "",
        "",
    ),
    "not Python": ({"mean_normalize": "def mean_normalize(X)\n    return X"}, "", ""),
    "not defined": ({"standardize": "x = 1"}, "", ""),
    "not a function": ({"standardize": "standardize = 3"}, "", ""),
    "an object to be called": (
        {"standardize": RIGHT.replace("standardize", "f") + "standardize = np.vectorize(f)"},
        "",
        "",
    ),
    "another name of a function": (
        {"standardize": RIGHT.replace("standardize", "f") + "standardize = f"},
        "",
        "",
    ),
    "a cell raises behind its answer": ({"standardize": RIGHT + "\n1 / 0"}, "", ""),
    "defined again below": ({}, "", "def standardize(X): return None"),
    "defined above": ({"standardize": "print('done above')"}, f"import numpy as np\n{RIGHT}", ""),
    "takes itself away when it is called": (
        {
            "standardize": RIGHT.replace(
                "    return", "    globals().pop('standardize', 0)\n    return"
            )
        },
        "",
        "",
    ),
    "replaces itself when it is called": (
        {
            "standardize": "def standardize(X):\n    global standardize\n"
            "    standardize = lambda X: X\n"
            "    constant = X.max(axis=0) == X.min(axis=0)\n"
            "    return (X - X.mean(axis=0)) / np.where(constant, 1, X.std(axis=0))"
        },
        "",
        "",
    ),
    "what it does is changed by a later cell": (
        {
            "min_max_scale": "late = False\ndef min_max_scale(X, feature_range=(0, 1)):\n"
            "    if late: return None\n"
            "    a, b = feature_range\n    low = X.min(axis=0)\n"
            "    span = X.max(axis=0) - low\n    span = np.where(span == 0, 1, span)\n"
            "    return a + (b - a) * (X - low) / span",
            "mean_normalize": "late = True\ndef mean_normalize(X):\n"
            "    return min_max_scale(X) - 0.5",
        },
        "",
        "",
    ),
    "remembers what it was asked before": (
        {
            "min_max_scale": "seen = []\ndef min_max_scale(X, feature_range=(0, 1)):\n"
            "    seen.append(X.sum())\n    return X",
            "mean_normalize": "print(len(seen), f'{sum(seen):.10g}')\n"
            "def mean_normalize(X):\n    seen.append(1)\n    return X - len(seen)",
            "standardize": f"print(len(seen))\n{RIGHT}",
        },
        "",
        "print(len(seen))",
    ),
    "prints while it is judged": (
        {"standardize": RIGHT.replace("    constant", "    print('hello')\n    constant")},
        "print('above')",
        "print('below')",
    ),
    "displays": ({}, "1 + 1", "'the end'"),
    "warns": ({}, "import warnings\nwarnings.warn('careful')", ""),
    "prints too much in a cell": ({"standardize": f"{RIGHT}\nprint('x' * 400_000)"}, "", ""),
    "prints too much when it is called": (
        {"standardize": "def standardize(X):\n    while True: print('x' * 1000)"},
        "",
        "",
    ),
    "prints too much in all": (
        {"standardize": f"{RIGHT}\nprint('x' * 200_000)"},
        "print('x' * 200_000)",
        "",
    ),
    "a cell that never ends": ({"standardize": f"{RIGHT}\nwhile True: pass"}, "", ""),
    "a cell that takes no alarm": (
        {
            "standardize": f"{RIGHT}\nimport signal\n"
            "signal.signal(signal.SIGALRM, signal.SIG_IGN)\nwhile True: pass"
        },
        "",
        "",
    ),
    "a call that never ends": (
        {"standardize": "def standardize(X):\n    while True: pass"},
        "",
        "",
    ),
    "slow cells": ({}, "import time\ntime.sleep(0.3)", "time.sleep(0.3)"),
    "ends itself in a cell": ({"standardize": f"{RIGHT}\nimport os\nos._exit(0)"}, "", ""),
    "ends itself above all": ({}, "import os\nos._exit(0)", ""),
    "ends itself below all": ({}, "", "import os\nos._exit(0)"),
    "ends itself when it is called": (
        {"standardize": "import os\ndef standardize(X): os._exit(0)"},
        "",
        "",
    ),
    "crashes": ({"standardize": f"{RIGHT}\nimport ctypes\nctypes.string_at(0)"}, "", ""),
    "raises SystemExit": ({"standardize": f"{RIGHT}\nexit()"}, "", ""),
    "raises KeyboardInterrupt": ({"standardize": f"{RIGHT}\nraise KeyboardInterrupt"}, "", ""),
    "takes memory": ({"standardize": f"{RIGHT}\nx = np.ones(10 ** 11)"}, "", ""),
    "magics": ({}, "%matplotlib inline\n!ls", "%load_ext x\n1 + 1"),
    "random": ({}, "import random\nprint(random.random(), np.random.rand())", "random.random()"),
    "waits": ({}, "import asyncio\nawait asyncio.sleep(0)", ""),
    "too large to be sent": ({}, "x = '" + "x" * 5_000_000 + "'", ""),
    "a figure": ({}, "import matplotlib.pyplot as plt\nplt.plot([1, 2]);", ""),
    "counts its handles": ({"Scaler": "class Scaler:\n    def fit(self, X): return self"}, "", ""),
    "empty": (dict.fromkeys(("min_max_scale", "mean_normalize", "standardize"), ""), "", ""),
}


def both_ways(
    assignment: Assignment, submission: Submission, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> tuple[Graded, Graded]:
    """Grade with a plan, and with nothing asked ahead."""
    planned = grade(assignment, submission, pool, SECRET)
    with monkeypatch.context() as patch:
        patch.setattr(Session, "_has_time", False)
        return planned, grade(assignment, submission, pool, SECRET)


def assert_same(planned: Graded, plain: Graded) -> None:
    assert planned.to_dict() == plain.to_dict()
    assert planned.notebook == plain.notebook


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook(name, hasty, monkeypatch):
    answers, above, below = NOTEBOOKS[name]
    submission = hasty.read(hasty.fill_in(answers, above=above, below=below))
    assert_same(*both_ways(hasty.assignment, submission, hasty.pool, monkeypatch))


@pytest.mark.parametrize("slug", ["feature_scaling", "batchnorm_forward", "inference"])
def test_the_sample_class(slug, tmp_path, desk, monkeypatch):
    write_sample_class(ROOT, tmp_path / "class", [slug])
    assignment = Assignment.load(tmp_path / "class", slug)
    for handed in find_submissions(tmp_path / "class" / "submitted", slug):
        submission = handed.read()
        if submission.problem:
            continue
        assert_same(*both_ways(assignment, submission, desk.pool, monkeypatch))


class Exchanges:
    """Counts what is sent to workers, by operation."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made: list[str] = []
        exchange = Worker._exchange

        def counted(worker, header, *args, **kwargs):
            self.made.append(header["op"])
            return exchange(worker, header, *args, **kwargs)

        monkeypatch.setattr(Worker, "_exchange", counted)


def test_all_is_done_in_one_exchange(desk, monkeypatch):
    made = Exchanges(monkeypatch).made
    assert desk.grade(desk.fill_in()).score == desk.full
    assert made == ["ahead"]


def test_an_answer_that_changes_its_input_stops_few_probes(desk, monkeypatch):
    """It stops a probe only where another question would follow, as in one of these."""
    source = "def standardize(X):\n    X -= X.mean(axis=0)\n    X /= X.std(axis=0)\n    return X"
    submission = desk.read(desk.fill_in({"standardize": source}))
    planned, plain = both_ways(desk.assignment, submission, desk.pool, monkeypatch)
    assert_same(planned, plain)
    made = Exchanges(monkeypatch).made
    desk.grade(desk.fill_in({"standardize": source}))
    assert made == ["ahead", "call", "ahead"]


def test_an_answer_that_is_missing_costs_two_more(desk, monkeypatch):
    made = Exchanges(monkeypatch).made
    desk.grade(desk.fill_in({"standardize": "x = 1  # standardize follows"}))
    # Perhaps it stands below: it is looked for again at the end.
    assert made == ["ahead", "name", "ahead", "name"]


def test_the_reference_runs_once_for_each_exercise(desk, monkeypatch):
    import autograder.judge as judging

    ran = []
    run = judging._run

    def counted(probe, implementation, *args, **kwargs):
        ran.append(implementation)
        return run(probe, implementation, *args, **kwargs)

    desk.grade(desk.fill_in())  # what is certain of the probes is known from here on
    monkeypatch.setattr(judging, "_run", counted)
    assert desk.grade(desk.fill_in()).score == desk.full
    exercises = desk.subject.exercises
    for exercise in exercises:
        assert ran.count(exercise.reference) == len(exercise.probes)


# --- graded cells of other kinds ----------------------------------------------------------------

CHECK = "from autograder import check\n"
GRADED = {
    "two checks": (
        "a = check('standardize', standardize, hidden=True)\n"
        "b = check('mean_normalize', mean_normalize, hidden=True)\nfloat(a) + float(b)"
    ),
    "the second depends on the first": (
        "a = check('standardize', standardize)\n"
        "float(check('mean_normalize', mean_normalize) if a.passed else 0)"
    ),
    "the first depends on a value": (
        "check('standardize', standardize if standardize(np.eye(2)).shape else mean_normalize)"
    ),
    "which one depends on a report": (
        "a = check('standardize', standardize)\n"
        "b = check('mean_normalize', mean_normalize if a.passed else standardize)\nfloat(b)"
    ),
    "other inputs each time": (
        "import itertools, builtins\nbuiltins.count = getattr(builtins, 'count', "
        "itertools.count())\ncheck('standardize', standardize, seed=next(builtins.count))"
    ),
    "twice the same": "check('standardize', standardize)\ncheck('standardize', standardize)",
    "a call behind it": (
        "check('standardize', standardize)\nfloat(standardize(np.eye(2)).shape == (2, 2))"
    ),
    "a call before it": ("y = standardize(np.eye(2))\ncheck('standardize', standardize)"),
    "assertions": "assert standardize(np.eye(2)).shape == (2, 2)",
    "an assertion that fails": "assert standardize(np.eye(2)).shape == (2, 3)",
    "nothing of the student's": "1.0",
    "a wrapper": "check('standardize', lambda X: standardize(X))",
    "an exercise that does not exist": "check('no_such_thing', standardize)",
    "it fails": "check('standardize', standardize)\n1 / 0",
    "it catches everything": (
        "try:\n    y = standardize(np.eye(3))\nexcept:\n    y = None\n"
        "float(check('standardize', standardize)) if y is not None else 0.0"
    ),
    "it catches everything around a check": (
        "import itertools, builtins\nbuiltins.turn = getattr(builtins, 'turn', "
        "itertools.cycle([1, 2, 2]))\nk = next(builtins.turn)\n"  # foreseen, asked, asked again
        "try:\n    r = check('standardize', standardize, seed=k)\nexcept:\n    r = 0.0\nr"
    ),
    "a call whatever happens": (
        "try:\n    y = standardize(np.eye(3))\n    r = check('standardize', standardize)\n"
        "finally:\n    mean_normalize(np.eye(3))\nr"
    ),
    "it ends Python unless all is right": (
        "import sys\nr = check('standardize', standardize)\n"
        "if not r.passed: sys.exit('no')\nfloat(r)"
    ),
    "it defines a function": ("def of(f): return check('standardize', f)\nof(standardize)"),
}


def with_graded(assignment: Assignment, source: str) -> Assignment:
    """The same, with another graded cell for `standardize`."""
    sides = copy.deepcopy((assignment.source, assignment.release))
    for side in sides:
        for cell in side.cells:
            if cell.metadata.get("nbgrader", {}).get("grade_id") == "test_standardize":
                cell.source = f"import numpy as np\n{CHECK}{source}"
    return Assignment(assignment.name, *sides, assignment.names)


@pytest.mark.parametrize("answer", ["right", "wrong"])
@pytest.mark.parametrize("name", GRADED)
def test_a_graded_cell(name, answer, desk, monkeypatch):
    other = replace(desk, assignment=with_graded(desk.assignment, GRADED[name]))
    answers = {} if answer == "right" else {"standardize": "def standardize(X): return X"}
    counts = "seen = 0\ndef mean_normalize(X):\n    global seen\n    seen += 1\n    return X * seen"
    submission = other.read(other.fill_in({**answers, "mean_normalize": counts}))
    planned, plain = both_ways(other.assignment, submission, desk.pool, monkeypatch)
    if name in ("other inputs each time", "it catches everything around a check"):
        assert [g.score for g in planned.grades] == [g.score for g in plain.grades]
    else:
        assert_same(planned, plain)


def test_two_graded_cells_behind_one_another(desk, monkeypatch):
    sides = copy.deepcopy((desk.assignment.source, desk.assignment.release))
    for side in sides:
        ids = [c.metadata.get("nbgrader", {}).get("grade_id") for c in side.cells]
        side.cells.insert(
            ids.index("test_standardize"), side.cells.pop(ids.index("test_mean_normalize"))
        )
    other = replace(
        desk, assignment=Assignment(desk.assignment.name, *sides, desk.assignment.names)
    )
    submission = other.read(other.fill_in())
    planned, plain = both_ways(other.assignment, submission, desk.pool, monkeypatch)
    assert_same(planned, plain)
    assert planned.score == desk.full


def test_where_time_is_short_nothing_is_asked_ahead(assignment, subject, monkeypatch):
    """What has been answered is used all the same."""
    monkeypatch.setattr("autograder.sandbox.ahead.SECONDS", 30)  # on a busy machine, too
    limits = replace(LIMITS, cell_seconds=4, call_seconds=1, total_seconds=4)
    slow = "import time\nend = time.monotonic() + 0.45\nwhile time.monotonic() < end: pass"
    with Pool(limits=limits) as pool:
        desk = Desk(assignment, subject, pool)
        made = Exchanges(monkeypatch).made
        assert desk.grade(desk.fill_in(above=slow)).score == desk.full
    assert made == ["ahead"]


def test_a_plan_is_gone_with_its_grade(desk):
    """Whatever the graded cells define."""
    submission = desk.read(desk.fill_in())
    assignment = with_graded(desk.assignment, GRADED["it defines a function"])
    gc.collect()
    gc.disable()
    try:
        before = planned()  # what other tests keep
        grade(assignment, submission, desk.pool, SECRET)
        kept = planned().keys() - before.keys()
    finally:
        gc.enable()
    assert kept == set()


def planned() -> dict[int, object]:
    """All parts of plans that there are."""
    return {id(o): o for o in gc.get_objects() if type(o) in (Plan, Ahead, Script, Cell)}


def test_what_is_too_large_to_be_sent_is_not_tried_again_and_again(desk, monkeypatch):
    made = Exchanges(monkeypatch).made
    notebook = desk.fill_in(below="x = '" + "x" * 5_000_000 + "'")
    assert desk.grade(notebook).score == desk.full
    cells = sum(cell.cell_type == "code" for cell in notebook.cells)
    assert made.count("cell") == 2  # the first, with which all would have gone, and the large one
    assert len(made) < 3 * cells + sum(len(e.probes) for e in desk.subject.exercises)
