"""What is asked ahead is judged like what is asked one by one, and like a local function."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_attacks import FORGE, PRELUDE

from autograder.chapters import SLUGS, chapter
from autograder.classroom import cells
from autograder.classroom.release import read_source, source_path
from autograder.classroom.sample import as_answer
from autograder.exercise import Certain, Exercise, Operation, outcome, probe
from autograder.judge import judge
from autograder.report import Report
from autograder.sandbox import wire
from autograder.sandbox.ahead import Ahead, Plan, Step, came
from autograder.sandbox.pool import Limits, Pool, Worker
from autograder.verdict import Lost, Verdict

ROOT = Path(__file__).parents[2]
# Of an exercise's known mistakes one in so many is tried: most where objects remember, fewest where
# nets are trained.
ONE_IN = {"feature_scaling": 1, "inference": 2, "networks": 24}


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
    for exercise in chapter(slug).exercises:
        known = [m.implementation for m in exercise.mistakes[:: ONE_IN.get(slug, 5)]]
        for implementation in (exercise.reference, *exercise.alternatives, *known):
            sources = [*given, as_answer(implementation, exercise.name)]
            report = judged(patient, exercise, sources, True, seed=5)
            other = judged(patient, exercise, sources, False, seed=5)
            assert report.to_dict() == other.to_dict(), implementation.__name__
            local = judge(exercise, implementation, seed=5)
            assert (report.earned, report.headline) == (local.earned, local.headline)


def judged(
    pool: Pool, exercise: Exercise, sources: list[str], foresees: bool, seed: int = 0
) -> Report:
    """As the classroom does: what is lost is asked again, one by one, of a fresh worker."""
    with pool.worker() as worker:
        worker.foresees = foresees
        for source in sources:
            worker.execute(source)
        try:
            return judge(exercise, worker.handle(exercise.name), seed=seed)
        except Lost:
            assert foresees
            assert not worker.alive
    return judged(pool, exercise, sources, False, seed)


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
    return judged(pool, DOUBLE, ["import numpy as np", source], False, seed=1).to_dict()


def asked_ahead(pool: Pool, source: str) -> dict[str, object]:
    return judged(pool, DOUBLE, ["import numpy as np", source], True, seed=1).to_dict()


@probe(1)
def steps_twice(f, rng):
    """Two steps, one after the other."""
    state = {"values": [1.0, rng.normal(size=2)], "count": 0}
    first = f(state)
    return {"first": first, "second": f(state), "state": state}


@probe(1)
def steps_once(f, rng):
    """One step."""
    state = {"values": [rng.normal(), np.ones(2)], "count": 0}
    f(state)
    return {"state": state, "values": state["values"]}


def step(state):
    state["count"] += 1
    state["values"][0] *= 2.0
    state["values"][1] += 1.0
    return state["count"]


STEP = Exercise("step", step, (steps_once, steps_twice))
STEPS = {
    "right": as_answer(step, "step"),
    "another dict": "def step(state): return state['count'] + 1",
    "another list": (
        "def step(state):\n    state['count'] += 1\n"
        "    state['values'] = [2 * state['values'][0], state['values'][1] + 1]\n"
        "    return state['count']"
    ),
    "not the list": "def step(state):\n    state['count'] += 1\n    return state['count']",
    "empties it": "def step(state): state.clear()",
    "fails midway": "def step(state):\n    state['count'] += 1\n    raise ValueError",
    "without end": "def step(state):\n    state['self'] = state\n    return 1",
}


@pytest.mark.parametrize("name", STEPS)
def test_what_is_changed_in_place_is_judged_as_here(name, patient):
    sources = ["import numpy as np", STEPS[name]]
    ahead, one_by_one = (judged(patient, STEP, sources, way, seed=1) for way in (True, False))
    assert ahead.to_dict() == one_by_one.to_dict()
    namespace: dict[str, Any] = {"np": np}
    exec(STEPS[name], namespace)
    if name != "without end":  # which is too deep to come over
        local = judge(STEP, namespace["step"], seed=1)
        assert [f.verdict for f in ahead.findings] == [f.verdict for f in local.findings]
        assert ahead.headline.startswith(local.headline)  # which has no lines of code
    assert ahead.passed == (name in ("right", "another list"))


def test_a_worker_that_remembers_is_asked_in_the_same_order(patient):
    source = "calls = []\ndef double(x):\n    calls.append(np.array(x))\n    return 2 * x\n"
    source += "def seen(): return calls"
    orders = []
    for foresees in (True, False):
        with patient.worker() as worker:
            worker.foresees = foresees
            worker.execute("import numpy as np\n" + source)
            judge(DOUBLE, worker.handle("double"), seed=2)
            orders.append(worker.handle("seen")())
    assert len(orders[0]) == len(orders[1])
    for mine, theirs in zip(*orders, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_all_is_asked_in_one_journey_where_nothing_depends_on_an_answer(patient, monkeypatch):
    exercise = Exercise("double", double, (doubles, counts_nothing))
    with patient.worker() as worker:
        worker.execute("def double(x): return 2 * x")
        handle = worker.handle("double")
        worker.foresees = True
        journeys = Journeys(worker, monkeypatch)
        assert judge(exercise, handle).passed
    assert journeys.count == 1


def test_what_was_read_is_as_it_was_then(patient):
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

    with patient.worker() as worker:
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


def test_an_ended_worker_costs_only_what_was_asked_of_it(patient):
    report = asked_ahead(patient, ANSWERS["ends itself at the fourth call"])
    verdicts = [f["verdict"] for f in report["findings"]]
    assert verdicts[0] == Verdict.PASS
    assert set(verdicts[1:]) == {Verdict.CRASH}


def test_what_was_returned_may_be_asked_about_in_the_same_journey(patient, monkeypatch):
    """Not what the reference returned is sent, but that it is the answer before."""
    exercise = Exercise("double", double, (doubles_what_it_returned, counts_nothing))
    sent = []
    send = wire.send
    monkeypatch.setattr(wire, "send", lambda s, h, p, d: (sent.append(h), send(s, h, p, d)))
    for source in (ANSWERS["right"], "def double(x): return 3 * x"):
        with patient.worker() as worker:
            worker.execute(source)
            handle = worker.handle("double")
            worker.foresees = True
            sent.clear()
            report = judge(exercise, handle)
            assert report.passed is (source == ANSWERS["right"])
        (header,) = sent
        questions = header["steps"][0][1]
        arguments = [question[1][0] for question in questions]
        assert [a[:2] for a in arguments] == [
            *(["a", "float64"], ["v", 0]),
            *(["a", "float64"], ["v", 2], ["v", 3]),
        ]


@pytest.mark.parametrize(
    "source",
    [
        "def double(x): return (2 * x)[::-1][::-1]",  # a view
        "def double(x): return np.asfortranarray(2 * x)",
        "class Mine(np.ndarray): pass\ndef double(x): return (2 * x).view(Mine)",
        "out = np.zeros(4)\ndef double(x):\n    out[:] = 2 * x\n    return out",
        "def double(x):\n    out = 2 * x\n    out.flags.writeable = False\n    return out",
        "def double(x): return (2 * x).astype(np.float32)",
        "def double(x): return list(2 * np.array(x))",
        "def double(x): return 2 * x if x.flags.owndata else 2 * x",
        "kept = []\ndef double(x):\n    kept.append(x)\n    kept[0][:] = 1\n    return 2 * x",
    ],
)
def test_what_was_returned_comes_back_as_if_it_had_crossed_the_border(source, patient):
    exercise = Exercise("double", double, (doubles_what_it_returned,))
    sources = ["import numpy as np", source]
    reports = [judged(patient, exercise, sources, foresees).to_dict() for foresees in (True, False)]
    assert reports[0] == reports[1]


@probe(1)
def catches(f, rng):
    """It does not take words."""
    return {"first": f(1.0), "words": outcome(lambda: f("one")), "last": f(2.0)}


def no_words(x):
    if isinstance(x, str):
        raise ValueError("a number, please")
    return 2 * x


@pytest.mark.parametrize(
    ("source", "journeys"),
    [
        ("return 2 * x", 2),  # for "one" it gives "oneone", which is as good as a number here
        ("raise NotImplementedError", 1),
        ("return no_words(x)", 4),
    ],
)
def test_an_exception_that_ends_a_probe_does_not_end_the_journey(
    source, journeys, patient, monkeypatch
):
    """But one that the probe catches does."""
    exercise = Exercise("double", no_words, (doubles, counts_nothing, catches))
    reports = []
    for foresees in (True, False):
        with patient.worker() as worker:
            worker.execute(f"{inspect.getsource(no_words)}\ndef double(x): {source}")
            handle = worker.handle("double")
            worker.foresees = foresees
            made = Journeys(worker, monkeypatch)
            reports.append(judge(exercise, handle).to_dict())
            if foresees:
                assert made.count <= journeys
    assert reports[0] == reports[1]


def test_an_answer_changed_by_the_probe_is_sent_when_it_is_there(patient):
    @probe(1)
    def changes_what_it_returned(f, rng):
        """It doubles what was added to what it returned."""
        once = f(rng.normal(size=3))
        once += 1
        return {"twice": f(once)}

    exercise = Exercise("double", double, (changes_what_it_returned,))
    with patient.worker() as worker:
        worker.foresees = True
        worker.execute(ANSWERS["right"])
        assert judge(exercise, worker.handle("double")).passed


def test_right_to_the_last_bit_need_not_be_looked_at_again(patient):
    """And what is right within the tolerance is."""
    runs = []

    @probe(1)
    def is_looked_at(f, rng):
        """It doubles."""
        runs.append(f)
        return {"out": f(rng.normal(size=3))}

    exercise = Exercise("double", double, (is_looked_at,))
    for source, expected in (("2 * x", 1), ("2 * x + 1e-12", 2), ("(x + x)", 1), ("x", 2)):
        with patient.worker() as worker:
            worker.foresees = True
            worker.execute(f"def double(x): return {source}")
            handle = worker.handle("double")
            judge(exercise, handle)  # also finds out what is certain
            runs.clear()
            assert judge(exercise, handle).passed is (source != "x")
        assert len(runs) == expected, source


def doubles_in_place(x):
    x *= 2


class DoublesLater:
    """It keeps what it was given, and changes it when it is asked for something else."""

    def __init__(self, x):
        self.x = x

    def step(self):
        self.x *= 2


@probe(1)
def is_doubled(f, rng):
    """It doubles the array that it is given."""
    x = rng.normal(size=4)
    f(x)
    return {"x": x}


@probe(1)
def is_doubled_later(f, rng):
    """A step doubles the array that it was given."""
    x = rng.normal(size=4)
    f(x).step()
    return {"x": x}


@probe(1)
def doubles_an_entry(f, rng):
    """It puts the double into the dict that it is given."""
    state = {"x": rng.normal(size=4)}
    f(state)
    return {"x": state["x"]}


def doubles_the_entry(state):
    state["x"] = 2 * state["x"]


NOTHING = """
class DoublesLater:
    def __init__(self, x): pass
    def step(self): pass
f = DoublesLater
"""


@pytest.mark.parametrize(
    ("reference", "its_probe", "source", "earned"),
    [
        (doubles_in_place, is_doubled, "def f(x): x *= 2", 1),
        (doubles_in_place, is_doubled, "def f(x): pass", 0),
        (DoublesLater, is_doubled_later, NOTHING, 0),
        (doubles_the_entry, doubles_an_entry, "def f(state): pass", 0),
    ],
)
def test_who_does_nothing_does_not_what_is_done_in_place(
    reference, its_probe, source, earned, patient
):
    """Its answers are the reference's, to the last bit: both return None."""
    exercise = Exercise("f", reference, (its_probe,))
    for foresees in (True, False):
        with patient.worker() as worker:
            worker.foresees = foresees
            worker.execute(source)
            assert judge(exercise, worker.handle("f")).earned == earned


@pytest.mark.parametrize(
    "value",
    ["True", "1.0", "np.float64(1)", "np.int64(1)", "[1]", "(1,)", "np.array(1)", "'1'", "1 + 0j"],
)
def test_another_type_is_not_the_same_to_the_last_bit(value, patient):
    def one(x):
        return 1

    @probe(1)
    def is_one(f, rng):
        """It is one."""
        return {"out": f(2.0)}

    exercise = Exercise("one", one, (is_one,))
    reports = []
    for foresees in (True, False):
        with patient.worker() as worker:
            worker.foresees = foresees
            worker.execute(f"import numpy as np\ndef one(x): return {value}")
            reports.append(judge(exercise, worker.handle("one")).to_dict())
    assert reports[0] == reports[1]


@probe(1)
def looks_at_the_mean(f, rng):
    """Its mean doubles."""
    x = rng.normal(size=3)
    return {"mean": f(x).mean(), "again": f(x + 1).mean()}


@pytest.mark.parametrize(
    ("source", "earned"),
    [
        ("(2 * x).astype(object)", 0),  # a handle, of which the probe asks what was not foreseen
        ("(2 * x).astype(object) if len(calls) == 1 else 2 * x", 3),
        ("(2 * x).astype(object) if len(calls) == 3 else 2 * x", 2),
        ("{1}", 0),
    ],
)
def test_what_is_lost_within_a_probe_is_asked_again(source, earned, patient):
    exercise = Exercise("double", double, (looks_at_the_mean, doubles, counts_nothing))
    answer = f"calls = []\ndef double(x):\n    calls.append(x)\n    return {source}"
    sources = ["import numpy as np", answer]
    report = judged(patient, exercise, sources, True)
    assert report.to_dict() == judged(patient, exercise, sources, False).to_dict()
    assert report.earned == earned


@pytest.mark.parametrize(
    ("source", "points"),
    [
        # Each answer is within the limits, all of a probe together are not.
        ("[0.0] * 80_000", 1),
        # Each call is, too: the first takes long, but not so long that nothing else is begun.
        ("time.sleep(0.35 if len(calls) == 1 else 0.7 * (len(calls) == 2)) or [1.0]", 1),
    ],
)
def test_limits_are_those_of_one_question(source, points):
    exercise = Exercise("double", ones if "sleep" in source else zeros, (asks_thrice,))
    answer = f"calls = []\ndef double(x):\n    calls.append(x)\n    return {source}"
    with Pool(limits=Limits(call_seconds=0.9), walls=False) as pool:
        for foresees in (True, False):
            report = judged(pool, exercise, ["import time", answer], foresees)
            assert report.earned == points


def zeros(x):
    return [0.0] * 80_000


def ones(x):
    return [1.0]


@probe(1)
def asks_thrice(f, rng):
    """Three times the same."""
    return {name: f(name) for name in ("one", "two", "three")}


# --- what comes back -------------------------------------------------------------------------

X = np.arange(3.0)


def remote(number: int, label: str) -> tuple[int, str]:
    return number, label


def ahead_of(
    probes: int = 1, *, certain: int | None = None, ends: bool = True
) -> tuple[Ahead, list[Step]]:
    """A call that gives an object, its attribute `mean`, and a call of that; in so many probes."""
    asked: list[Step] = []
    ahead = Plan(remote, asked.extend).judge(7, [Certain(certain, ends)] * probes)
    for script in ahead.scripts:
        script.asks(Operation(-1, None, (X,)))
        script.answers(object())
        script.asks(Operation(0, "mean"))
        script.answers(X.mean)
        script.asks(Operation(1, None))
        script.answers(1.0)
    return ahead, asked


HANDLE, METHOD = ["r", 0, "object"], ["r", 1, "builtin_function_or_method mean"]
RIGHT = [HANDLE, METHOD, 1.0]


def replied(asked: list[Step], *probes: list[object], stopped: object = None) -> None:
    """What a worker answers, from handle 40 on."""
    texts = [wire.to_json(trees) for trees in probes]
    pairs = zip(probes, texts, strict=True)
    done = [[len(trees), len(text), 0, 0, 40, stopped] for trees, text in pairs]
    came(asked, {"done": done}, bytearray(b"".join(texts)))


def test_a_question_is_answered_once_and_in_order():
    ahead, asked = ahead_of()
    ahead.begin(0)
    replied(asked, [["r", 0, "thing"], ["r", 1, "method"]])
    answer, decoder, sent = ahead.take("call", 7, ((X.copy(),), {}))
    assert (decoder.decode(answer["value"]), sent) == ((40, "thing"), [])
    answer, decoder, _ = ahead.take("get", 40, ("mean",))
    assert decoder.decode(answer["value"]) == (41, "method")
    assert not ahead.knows
    assert not ahead.begin(0)


def test_what_is_as_expected_need_not_be_asked():
    ahead, asked = ahead_of(2)
    assert not ahead.begin(0)
    assert asked == ahead.scripts
    replied(asked, RIGHT, [HANDLE, METHOD, 1])
    assert ahead.begin(0)
    assert not ahead.begin(1)
    assert not ahead.begin(2)


@pytest.mark.parametrize(
    ("trees", "stopped"),
    [
        ([], None),
        ([HANDLE, METHOD], None),
        ([HANDLE, METHOD], {"value": 1.0, "changed": []}),
        ([HANDLE, ["r", 2, METHOD[2]], 1.0], None),
        ([HANDLE, METHOD, 2.0], None),
        ([HANDLE, METHOD, True], None),
        ([HANDLE, METHOD, ["s", "float64", 0]], None),
        ([HANDLE, 1.0, 1.0], None),
    ],
)
def test_what_is_not_quite_as_expected_is_looked_at(trees, stopped):
    ahead, asked = ahead_of()
    ahead.begin(0)
    replied(asked, trees, stopped=stopped)
    assert not ahead.begin(0)


def test_what_is_certain_in_part_is_looked_at():
    ahead, asked = ahead_of(2, certain=2)
    ahead.begin(0)
    assert asked == ahead.scripts[:1]  # nothing behind it is foreseen
    replied(asked, [HANDLE, METHOD])
    assert ahead.knows
    assert not ahead.begin(0)


def test_where_the_reference_raises_nothing_is_as_expected():
    asked: list[Step] = []
    ahead = Plan(remote, asked.extend).judge(7, [Certain(None, ends=True)])
    (script,) = ahead.scripts
    script.asks(Operation(-1, None, (X,)))
    script.asks(Operation(-1, None, (X,)))
    script.answers(1.0)
    ahead.begin(0)
    replied(asked, [1.0])
    assert not ahead.begin(0)
    replied(asked, [1.0, 1.0])
    assert not ahead.begin(0)


def test_a_probe_that_goes_on_where_it_should_have_ended_is_noticed():
    ahead, asked = ahead_of(2)
    ahead.begin(0)
    replied(asked, RIGHT, RIGHT)
    for operation, target, arguments in (
        ("call", 7, ((X,), {})),
        ("get", 40, ("mean",)),
        ("call", 41, ((), {})),
    ):
        assert ahead.knows
        ahead.take(operation, target, arguments)
    assert not ahead.knows
    assert ahead._plan.begun
    ahead.begin(1)
    assert not ahead._plan.begun


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
        ("call", 7, ((object(),), {})),
        ("set", 7, ("x", 1)),
    ],
)
def test_another_question_has_no_answer(operation, target, arguments):
    ahead, asked = ahead_of()
    ahead.begin(0)
    replied(asked, RIGHT)
    with pytest.raises(Lost):
        ahead.take(operation, target, arguments)


@pytest.mark.parametrize(
    "value", [1, None, ["r"], ["r", 1], [], {}, "r", ["l", 1, 2], ["r", [1], "x"], ["r", True, ""]]
)
def test_an_answer_that_is_no_handle_is_the_target_of_nothing(value):
    ahead, asked = ahead_of()
    ahead.begin(0)
    replied(asked, [value, METHOD])
    ahead.take("call", 7, ((X,), {}))
    with pytest.raises(Lost):
        ahead.take("get", 40, ("mean",))


@pytest.mark.parametrize(
    "done",
    [
        None,
        7,
        "xx",
        {"0": [0, 0, 0, 0, 0, None]},
        [1],
        [None],
        [[]],
        [[0, 0, 0, 0, 0]],
        [[0, 0, 0, 0, 0, None, 0]],
        [[-1, 0, 0, 0, 0, None]],
        [[4, 0, 0, 0, 0, None]],  # more answers than questions
        [[0, 5, 0, 0, 0, None]],
        [[0, 0, 5, 0, 0, None]],
        [[0, 0, 0, 5, 0, None]],
        [[0, 2, 2, 1, 0, None]],
        [[0, -1, 1, 0, 0, None]],
        [[0, 0, 1, -1, 0, None]],
        [[True, 0, 0, 0, 0, None]],
        [[1.0, 0, 0, 0, 0, None]],
        [["1", 0, 0, 0, 0, None]],
        [[0, 0, 0, 0, 10**30, None]],
        [[0, 0, 0, 0, 0, None]] * 2,  # more probes than were asked
    ],
)
def test_malformed_answers(done):
    ahead, asked = ahead_of()
    ahead.begin(0)
    with pytest.raises(wire.WireError):
        came(asked, {"done": done}, bytearray(4))


@pytest.mark.parametrize("text", [b"", b"7", b"[1]", b"[1,2,3]", b"[1,2", b"[NaN,1]", b"\xff\xfe"])
def test_trees_that_are_none(text):
    ahead, asked = ahead_of()
    ahead.begin(0)
    came(asked, {"done": [[2, len(text), 0, 0, 0, None]]}, bytearray(text))
    with pytest.raises(wire.WireError):
        ahead.take("call", 7, ((X,), {}))


def test_a_probe_that_was_not_begun_is_asked_again():
    ahead, asked = ahead_of(2)
    ahead.begin(0)
    replied(asked, RIGHT)
    asked.clear()
    ahead.begin(1)
    assert asked == ahead.scripts[1:]
    replied(asked, [])
    asked.clear()
    ahead.begin(1)
    assert asked == []


@pytest.mark.parametrize(
    ("reply", "body"),
    [
        ("'done': 7", ""),
        ("'done': [7]", ""),
        ("'done': [[9, 9, 9, 0, 9, None]]", ""),
        ("'done': [[2, 19, 0, 0, 0, None]]", '[["r",0,""],["r",0,""]]'),
        ("'done': [[2, 9, 0, 0, 0, None]]", "[2.0,2.0]"),
        ("'done': [[2, 9, 0, 0, 0, None]] * 4", "[2.0,2.0]" * 4),
        ("'done': [[1, 26, 0, 0, 0, None]]", '[["a","object",[1],0,true]]'),
        ("'done': [[0, 2, 0, 0, 0, 7]]", "[]"),
        ("'done': [[0, 2, 0, 0, 0, {'value': 2.0, 'changed': 7}]]", "[]"),
        ("'done': [[0, 2, 0, 0, 0, {'value': 2.0, 'changed': [[0, 1]]}]]", "[]"),
        ("'done': [[0, 2, 0, 0, 0, {'error': 7}]]", "[]"),
        ("'done': [[0, 2, 0, 0, 0, {}]]", "[]"),
        ("'done': []", ""),
        ("'done': [[0, 0, 0, 0, 0, None]] * 100000", ""),
    ],
)
def test_forged_answers_earn_nothing(reply, body, pool):
    forged = f"frame({{'id': nonce(), 'outputs': [], {reply}}}, {body.encode()})"
    source = f"{PRELUDE}{FORGE}\ndef double(x):\n    everywhere({forged})\n    return 0"
    report = asked_ahead(pool, source)
    assert report["earned"] == 0
    assert all(f["verdict"] != Verdict.INTERNAL for f in report["findings"])
