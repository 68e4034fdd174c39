"""What is asked ahead is judged like what is asked one by one, and like a local function."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from test_attacks import FORGE, PRELUDE

from autograder.chapters import SLUGS, chapter
from autograder.classroom import cells
from autograder.classroom.release import read_source, source_path
from autograder.classroom.sample import as_answer
from autograder.exercise import Exercise, Operation, Script, probe
from autograder.judge import judge
from autograder.sandbox import wire
from autograder.sandbox.ahead import Ahead, Lost
from autograder.sandbox.pool import Limits, Pool, Worker
from autograder.verdict import Unforeseen, Verdict

ROOT = Path(__file__).parents[2]
# Of an exercise's known mistakes one in so many is tried: most where objects remember, fewest where
# nets are trained.
ONE_IN = {"feature_scaling": 1, "inference": 2, "networks": 24}


@pytest.fixture(scope="module")
def patient() -> Iterator[Pool]:
    """Some chapters' answers train a net."""
    with Pool(limits=Limits(cell_seconds=20, call_seconds=20)) as pool:
        yield pool


class Journeys:
    """Counts a worker's journeys."""

    def __init__(self, worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        exchange = worker._exchange

        def counted(*args, **kwargs):
            self.count += 1
            return exchange(*args, **kwargs)

        monkeypatch.setattr(worker, "_exchange", counted)


# --- the whole catalogue ---------------------------------------------------------------------


@pytest.mark.parametrize("slug", SLUGS)
def test_the_catalogue_is_judged_as_if_it_were_asked_one_by_one(slug, patient):
    given = [
        cell.source
        for cell in read_source(source_path(ROOT, slug)).cells
        if cell.cell_type == "code" and not cells.is_solution(cell) and not cells.is_test(cell)
    ]
    with patient.worker() as worker:
        for source in given:
            worker.execute(source)
        for exercise in chapter(slug).exercises:
            known = [m.implementation for m in exercise.mistakes]
            for implementation in (exercise.reference, *exercise.alternatives, *known):
                reports = []
                for worker.foresees in (True, False):
                    worker.execute(as_answer(implementation, exercise.name))
                    reports.append(judge(exercise, worker.handle(exercise.name), seed=5))
                assert reports[0].to_dict() == reports[1].to_dict(), implementation.__name__
                local = judge(exercise, implementation, seed=5)
                assert reports[0].earned == local.earned
                assert reports[0].headline == local.headline


def test_right_answers_need_few_journeys(patient, monkeypatch):
    asked = foreseen = 0
    for slug in ("feature_scaling", "whitening", "gradients", "batchnorm_forward", "relatives"):
        for exercise in chapter(slug).exercises:
            for worker_foresees in (True, False):
                with patient.worker() as worker:
                    source = as_answer(exercise.reference, exercise.name)
                    worker.execute(f"import numpy as np\n{source}")
                    handle = worker.handle(exercise.name)
                    worker.foresees = worker_foresees
                    journeys = Journeys(worker, monkeypatch)
                    assert judge(exercise, handle, seed=6).passed
                if worker_foresees:
                    foreseen += journeys.count
                else:
                    asked += journeys.count
    print(f"{asked} questions in {foreseen} journeys")
    assert foreseen < asked / 5


# --- answers that are not as foreseen --------------------------------------------------------


@probe(2)
def doubles(f, rng):
    """It doubles."""
    x = rng.normal(size=3)
    return {"first": f(x), "second": f(x + 1), "x": x}


@probe(1)
def doubles_what_it_returned(f, rng):
    """It doubles what it returned."""
    x = rng.normal(size=4)
    return {"twice": f(f(x)), "thrice": f(f(f(x)))}


@probe(1)
def branches(f, rng):
    """It is asked once more when it returned a scalar."""
    out = f(rng.normal(size=2))
    return {"out": out, "more": f(np.ones(3)) if np.ndim(out) else f(2.0)}


@probe(1)
def counts_nothing(f, rng):
    """It does not remember."""
    x = rng.normal(size=3)
    return {"out": [f(x), f(x), f(x)]}


def double(x):
    return 2 * x


DOUBLE = Exercise("double", double, (doubles, doubles_what_it_returned, branches, counts_nothing))
ANSWERS = {
    "right": "def double(x): return 2 * x",
    "in place": "def double(x):\n    x *= 2\n    return x",
    "raises": "def double(x): raise ValueError('no')",
    "raises at the second call": (
        "calls = []\ndef double(x):\n    calls.append(x)\n"
        "    if len(calls) == 2: raise ValueError('no')\n    return 2 * x"
    ),
    "remembers": "calls = []\ndef double(x):\n    calls.append(x)\n    return 2 * x + len(calls)",
    "nothing": "def double(x): pass",
    "a scalar": "def double(x): return float(2 * np.sum(x))",
    "an object": "def double(x): return {1}",
    "a function": "def double(x): return double",
    "a list": "def double(x): return list(2 * np.atleast_1d(x))",
    "prints": "def double(x):\n    print(x)\n    return 2 * x",
    "too deep": "def double(x):\n    out = 1\n    for _ in range(99): out = [out]\n    return out",
    "exits": "def double(x): exit()",
    "recurses": "def double(x): return double(x)",
    "mind": "def double(x): return 2 * x if np.ndim(x) else 0",
    "the memory": "def double(x): return np.ones(10 ** 12)",
    "slow": "import time\ndef double(x):\n    time.sleep(0.2)\n    return 2 * x",
    "never": "def double(x):\n    while True: pass",
    "never at the third call": (
        "calls = []\ndef double(x):\n    calls.append(x)\n"
        "    while len(calls) == 3: pass\n    return 2 * x"
    ),
    "never, and takes no alarm": (
        "import signal\ndef double(x):\n    signal.signal(signal.SIGALRM, signal.SIG_IGN)\n"
        "    while True: pass"
    ),
    "ends itself": "import os\ndef double(x): os._exit(3)",
    "ends itself at the fourth call": (
        "import os\ncalls = []\ndef double(x):\n    calls.append(x)\n"
        "    if len(calls) == 4: os._exit(3)\n    return 2 * x"
    ),
    "floods": "def double(x):\n    while True: print('x' * 1000)",
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_is_judged_as_if_it_were_asked_one_by_one(name, pool):
    assert asked_ahead(pool, ANSWERS[name]) == one_by_one(pool, ANSWERS[name])


def one_by_one(pool: Pool, source: str) -> dict[str, object]:
    with pool.worker() as worker:
        worker.execute("import numpy as np\n" + source)
        return judge(DOUBLE, worker.handle("double"), seed=1).to_dict()


def asked_ahead(pool: Pool, source: str) -> dict[str, object]:
    """As the classroom does: what is lost is asked again, one by one."""
    with pool.worker() as worker:
        worker.foresees = True
        worker.execute("import numpy as np\n" + source)
        try:
            return judge(DOUBLE, worker.handle("double"), seed=1).to_dict()
        except Lost:
            assert not worker.alive
            return one_by_one(pool, source)


def test_a_worker_that_remembers_is_asked_in_the_same_order(pool):
    source = "calls = []\ndef double(x):\n    calls.append(np.array(x))\n    return 2 * x\n"
    source += "def seen(): return calls"
    orders = []
    for foresees in (True, False):
        with pool.worker() as worker:
            worker.foresees = foresees
            worker.execute("import numpy as np\n" + source)
            judge(DOUBLE, worker.handle("double"), seed=2)
            orders.append(worker.handle("seen")())
    assert len(orders[0]) == len(orders[1])
    for mine, theirs in zip(*orders, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_all_is_asked_in_one_journey_where_nothing_depends_on_an_answer(pool, monkeypatch):
    exercise = Exercise("double", double, (doubles, counts_nothing))
    with pool.worker() as worker:
        worker.execute("def double(x): return 2 * x")
        handle = worker.handle("double")
        worker.foresees = True
        journeys = Journeys(worker, monkeypatch)
        assert judge(exercise, handle).passed
    assert journeys.count == 1


def test_what_was_read_is_as_it_was_then(pool):
    """Not as it is when all is sent: an object may go on with the same array."""
    source = """
class double:
    def __init__(self): self.total = np.zeros(3)
    def add(self, x): self.total += x
"""

    @probe(1)
    def totals(f, rng):
        """It adds."""
        made = f()
        seen = {}
        for k in range(3):
            made.add(np.ones(3))
            seen[f"total {k}"] = made.total
        return seen

    class Sum:
        def __init__(self):
            self.total = np.zeros(3)

        def add(self, x):
            self.total = self.total + x

    with pool.worker() as worker:
        worker.foresees = True
        worker.execute("import numpy as np" + source)
        report = judge(Exercise("double", Sum, (totals,)), worker.handle("double"))
    assert report.passed, report


def test_nothing_is_asked_ahead_of_who_is_not_ready_for_it(worker, monkeypatch):
    worker.execute("def double(x): return 2 * x")
    handle = worker.handle("double")
    journeys = Journeys(worker, monkeypatch)
    assert judge(DOUBLE, handle).passed
    assert journeys.count > 8


def test_who_is_slow_is_not_left_alone_for_long(pool):
    """Half a second, and what is left is asked one by one, each with its own limit."""
    source = "import time\ndef double(x):\n    time.sleep(0.3)\n    return 2 * x"
    report = asked_ahead(pool, source)
    assert report["earned"] == DOUBLE.points


def test_an_ended_worker_costs_only_what_was_asked_of_it(pool):
    report = asked_ahead(pool, ANSWERS["ends itself at the fourth call"])
    verdicts = [f["verdict"] for f in report["findings"]]
    assert verdicts[0] == Verdict.PASS
    assert set(verdicts[1:]) == {Verdict.CRASH}


# --- what comes back -------------------------------------------------------------------------

X = np.arange(3.0)
SCRIPT = Script([Operation(-1, None, (X,)), Operation(0, "mean"), Operation(1, None)], True)


def answered(*answers: object, body: bytes = b"") -> Ahead:
    ahead = Ahead(7, [SCRIPT, SCRIPT])
    ahead.begin(0)
    ahead.answered(0, list(answers), bytearray(body))
    return ahead


HANDLE = {"value": ["r", 3, "object"], "changed": [], "size": 0}


def test_a_question_is_answered_once_and_in_order():
    ahead = answered(HANDLE, {**HANDLE, "value": ["r", 4, "method"]})
    assert ahead.knows
    assert ahead.take("call", 7, ((X.copy(),), {})).answer == HANDLE
    assert ahead.take("get", 3, ("mean",)).handle == 4
    assert not ahead.knows


@pytest.mark.parametrize(
    ("operation", "target", "arguments"),
    [
        ("get", 7, ((X,), {})),
        ("call", 8, ((X,), {})),
        ("call", 7, ((X,), {"axis": 0})),
        ("call", 7, ((X + 1e-15,), {})),
        ("call", 7, ((X.astype(np.float32),), {})),
        ("call", 7, ((X.reshape(1, 3),), {})),
        ("call", 7, (([0.0, 1.0, 2.0],), {})),
        ("set", 7, ("x", 1)),
    ],
)
def test_another_question_has_no_answer(operation, target, arguments):
    ahead = answered(HANDLE, HANDLE, HANDLE)
    with pytest.raises(Unforeseen):
        ahead.take(operation, target, arguments)
    assert not ahead.knows  # all of the probe is asked again, one by one


@pytest.mark.parametrize(
    "value", [1, None, ["r"], ["r", 1], [], {}, "r", ["l", 1, 2], ["r", [1], "x"], ["r", True, ""]]
)
def test_an_answer_that_is_no_handle_is_the_target_of_nothing(value):
    ahead = answered({**HANDLE, "value": value}, HANDLE)
    ahead.take("call", 7, ((X,), {}))
    with pytest.raises(Unforeseen):
        ahead.take("get", 3, ("mean",))


@pytest.mark.parametrize(
    "answers",
    [
        None,
        7,
        "xx",
        {"0": HANDLE},
        [1],
        [None],
        [{}],
        [{"size": -1}],
        [{"size": 5}],
        [{"size": 4}, {"size": 1}],
        [{"size": True}],
        [{"size": 1.0}],
        [{"size": "1"}],
        [{"size": [1]}],
        [{"size": 10**30}],
    ],
)
def test_malformed_answers(answers):
    ahead = Ahead(7, [SCRIPT])
    ahead.begin(0)
    with pytest.raises(wire.WireError):
        ahead.answered(0, answers, bytearray(4))


def test_more_answers_than_questions_are_not_looked_at():
    ahead = answered(*[HANDLE] * 99)
    ahead.begin(1)
    for operation, target, arguments in (("call", 7, ((X,), {})), ("get", 3, ("mean",))):
        ahead.take(operation, target, arguments)
    assert ahead.knows


def test_a_probe_that_was_not_begun_is_asked_again():
    ahead = answered(HANDLE, HANDLE, HANDLE)
    assert len(ahead.begin(1)) == 1
    ahead = answered(HANDLE, HANDLE, HANDLE, HANDLE)
    assert ahead.begin(1) == []


@pytest.mark.parametrize(
    "answers",
    [
        "7",
        "[7]",
        "[{'size': 9}]",
        "[{'size': 0, 'value': ['r', 0, 'x'], 'changed': []}] * 9",
        "[{'size': 0, 'value': 2.0, 'changed': 7}] * 9",
        "[{'size': 0, 'value': 2.0, 'changed': [[0, 1]]}] * 9",
        "[{'size': 0, 'value': ['a', 'object', [1], 0, True], 'changed': []}] * 9",
        "[{'size': 0, 'error': 7}] * 9",
        "[{'size': 0}] * 9",
        "[]",
        "[{'size': 0, 'value': 2.0, 'changed': []}] * 100000",
    ],
)
def test_forged_answers_earn_nothing(answers, pool):
    reply = f"{{'id': nonce(), 'outputs': [], 'answers': {answers}}}"
    source = f"{PRELUDE}{FORGE}\ndef double(x):\n    everywhere(frame({reply}))\n    return 0"
    report = asked_ahead(pool, source)
    assert report["earned"] == 0
    assert all(f["verdict"] != Verdict.INTERNAL for f in report["findings"])
