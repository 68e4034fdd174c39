"""A handle on a student's object behaves as the object would, or raises a Failure."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autograder.sandbox import wire
from autograder.sandbox.pool import Limits, Pool, Worker
from autograder.sandbox.remote import Remote
from autograder.verdict import Failure, Verdict

SOURCE = """
import numpy as np
from collections import namedtuple

def double(x, *, times=2):
    return times * x

def forward(x, gamma=1.0):
    cache = {"x": x, "gamma": gamma, "undo": lambda out: out / 2}
    return 2 * x, cache

def backward(dout, cache):
    return cache["undo"](dout) + 0 * cache["x"]

def standardize(x):
    x -= x.mean()

def fails(kind="ValueError"):
    raise {"ValueError": ValueError, "NotImplementedError": NotImplementedError,
           "MemoryError": MemoryError, "SystemExit": SystemExit}[kind]("no\\ud800 good")

def echo(*args):
    return args

def same(a, b):
    return a is b

def some(n):
    i = 0
    while i != n:
        yield i
        i += 1

class Layer:
    size = 3
    def __init__(self, width):
        self.width = width
        self.weight = np.ones(width)
        self.hidden = object()
    def __call__(self, x):
        return self.weight * x
    def scaled(self, by):
        self.weight = self.weight * by
        return self

Pair = namedtuple("Pair", "a b")
pair = Pair(1, [2])
secret_set = {1}
"""


@pytest.fixture
def student(worker: Worker) -> Worker:
    assert worker.execute(SOURCE).verdict is Verdict.PASS
    return worker


def failure(call: Callable[[], object]) -> Failure:
    with pytest.raises(Failure) as caught:
        call()
    return caught.value


def test_functions(student: Worker) -> None:
    double = student.handle("double")
    assert isinstance(double, Remote)
    assert repr(double) == "<the student's function double>"
    assert double(21) == 42
    assert double("ab", times=3) == "ababab"
    x = np.random.default_rng(0).normal(size=(64, 128))
    np.testing.assert_array_equal(double(x), 2 * x)
    assert type(double(np.float32(1))) is np.float32


def test_opaque_parts_stay_and_come_back(student: Worker) -> None:
    x = np.arange(4.0)
    out, cache = student.handle("forward")(x)
    assert set(cache) == {"x", "gamma", "undo"}
    assert isinstance(cache["undo"], Remote)
    np.testing.assert_array_equal(student.handle("backward")(out, cache), x)


def test_instances(student: Worker) -> None:
    layer = student.handle("Layer")(3)
    assert isinstance(layer, Remote)
    assert layer.width == 3
    np.testing.assert_array_equal(layer(np.full(3, 2.0)), [2, 2, 2])
    assert isinstance(layer.scaled(3.0), Remote)
    np.testing.assert_array_equal(layer.weight, [3, 3, 3])
    layer.weight = np.zeros(3)
    np.testing.assert_array_equal(layer(np.ones(3)), [0, 0, 0])
    assert isinstance(layer.hidden, Remote)
    assert student.handle("same")(layer, layer) is True
    assert student.handle("Layer").size == 3
    error = failure(lambda: layer.nothing)
    assert error.verdict is Verdict.ERROR
    assert error.kinds == ("AttributeError", "Exception")


@pytest.mark.parametrize("base", ["dict", "list", "namedtuple('Base', 'a', defaults=[1])"])
def test_instances_of_a_class_asked_for_are_objects_whatever_they_inherit(
    worker: Worker, base: str
) -> None:
    """A dict or a tuple comes over as data, but not what has the methods that are asked for."""
    worker.execute(
        "from collections import namedtuple\n"
        "class Result(dict):\n"
        "    def total(self):\n        return sum(self.values())\n"
        f"class Scaler({base}):\n"
        "    def fit(self):\n        self.fitted = 2\n        return self\n"
        "    def result(self):\n        return Result(a=self.fitted)\n"
    )
    scaler = worker.handle("Scaler")()
    assert isinstance(scaler, Remote)
    assert scaler.fit().result() == {"a": 2}


def test_a_class_without_methods_makes_data_where_it_inherits_from_data(worker: Worker) -> None:
    worker.execute(
        "import numpy as np\n"
        "class double(np.ndarray):\n"
        "    def __new__(cls, x):\n        return (2 * x).view(cls)\n"
    )
    np.testing.assert_array_equal(worker.handle("double")(np.ones(3)), 2 * np.ones(3))


def test_values_by_name(student: Worker) -> None:
    assert student.value("pair") == (1, [2])
    assert isinstance(student.value("secret_set"), Remote)
    assert student.handle("pair").b == [2]
    assert student.handle("pair")[0] == 1


def test_protocols_do_not_cross(student: Worker) -> None:
    remote = student.handle("secret_set")
    assert not hasattr(remote, "__array__")
    for ask in (bool, len, next, lambda one: one == {1}, lambda one: one != {2}):
        with pytest.raises(TypeError):
            ask(remote)
    assert remote != None  # noqa: E711 (as instructors write it)
    assert len({remote, remote}) == 1


def test_items_come_over_in_a_list(student: Worker) -> None:
    assert list(student.handle("secret_set")) == [1]
    assert 1 in student.handle("secret_set")
    assert [*student.handle("some")(3)] == [0, 1, 2]
    assert failure(lambda: list(student.handle("Layer")(1))).kinds[0] == "TypeError"
    endless = failure(lambda: list(student.handle("some")(-1)))
    assert "there are more than 100,000 items" in endless.message
    assert student.alive


class Liar:
    """A worker that answers every question with the same."""

    def __init__(self) -> None:
        self.answer: object = Remote(self, 1, "set")

    def request(self, *_: object) -> object:
        return self.answer

    def foresee(self, *_: object) -> None:
        return None


def test_items_that_are_no_list_are_refused() -> None:
    liar = Liar()
    for answer in (liar.answer, "abc", 3):
        liar.answer = answer
        with pytest.raises(TypeError, match="has no list of items"):
            list(Remote(liar, 0, "set"))


def test_missing(student: Worker) -> None:
    assert failure(lambda: student.handle("nothing")).verdict is Verdict.MISSING
    assert student.alive


@pytest.mark.parametrize("kind", ["ValueError", "NotImplementedError", "SystemExit"])
def test_exceptions(student: Worker, kind: str) -> None:
    error = failure(lambda: student.handle("fails")(kind))
    assert error.verdict is Verdict.ERROR
    assert error.kinds[0] == kind
    assert error.message == "no? good"
    assert "in fails" in error.traceback
    assert "sandbox" not in error.traceback
    assert student.alive


def test_memory_errors(student: Worker) -> None:
    assert failure(lambda: student.handle("fails")("MemoryError")).verdict is Verdict.MEMORY
    assert student.alive


def test_changes_in_place_come_back(student: Worker) -> None:
    x, y = np.arange(4.0), np.arange(4.0)
    assert student.handle("standardize")(x) is None
    np.testing.assert_array_equal(x, [-1.5, -0.5, 0.5, 1.5])
    student.handle("double")(y)
    np.testing.assert_array_equal(y, np.arange(4.0))
    z = np.zeros((3, 4))
    z[:, 1] = 4
    student.handle("standardize")(z.T)
    assert z[0].tolist() == [-1, 3, -1, -1]
    big_endian = np.arange(4.0).astype(">f8")
    student.handle("standardize")(big_endian)
    assert big_endian.tolist() == [-1.5, -0.5, 0.5, 1.5]
    mask = np.array([True, False])
    student.execute("def flip(lists):\n    lists[0][0][:] ^= True")
    student.handle("flip")([[mask]])
    assert mask.tolist() == [False, True]


CHANGES = """
def sort(values, *, reverse=False): values.sort(reverse=reverse)
def put(table, key, value): table[key] = value
def append(values, value): values.append(value)
def deep(pair):
    pair[0]["inner"].pop()
    pair[1][:] = [9]
def forget(*values, **named):
    for value in (*values, *named.values()): value.clear()
class Layer: name = "a layer"
def grow(layers): layers.append(Layer())
def nest(values): values.append(values)
def fails(values):
    values.append(1)
    raise ValueError("too late")
def within(values):
    values[0][:] = 5.0
    values.append(2)
"""


def test_changes_of_lists_and_dicts_come_back(student: Worker) -> None:
    student.execute(CHANGES)
    call = {name: student.handle(name) for name in ("sort", "put", "append", "deep", "forget")}
    values, table = [3, 1, 2], OrderedDict(a=1)
    call["sort"](values, reverse=True)
    call["put"](table, "b", np.arange(2.0))
    call["put"](table, "a", [1])
    assert values == [3, 2, 1]
    assert (type(table), list(table), table["a"]) == (OrderedDict, ["a", "b"], [1])
    assert table["b"].tolist() == [0.0, 1.0]
    inner, flat = [1, 2], [3]
    call["deep"](({"inner": inner}, flat))
    assert (inner, flat) == ([1], [9])
    call["append"](kept := [first := [1]], 2)
    assert kept == [[1], 2]
    call["forget"](values, x=first, y=table)
    assert (values, first, table) == ([], [], {})


def test_what_was_put_into_a_list_may_be_an_object(student: Worker) -> None:
    student.execute(CHANGES)
    layers: list[Any] = []
    student.handle("grow")(layers)
    student.handle("grow")(layers)  # with a handle on the first
    assert [layer.name for layer in layers] == ["a layer"] * 2


def test_what_is_not_changed_stays_the_same_object(student: Worker) -> None:
    student.execute(CHANGES)
    array = np.zeros(2)
    values, table = [0.5, array], {(1, 2): "x"}
    assert student.handle("echo")(values, table)[0][0] == 0.5
    assert values[1] is array
    student.handle("within")(values[1:] + values)  # a list that nobody else has
    assert (array.tolist(), len(values)) == ([5.0, 5.0], 2)


def test_a_change_that_cannot_come_back_is_an_error(student: Worker) -> None:
    student.execute(CHANGES)
    values = [1]
    assert failure(lambda: student.handle("nest")(values)).kinds[0] == "ValueError"
    assert failure(lambda: student.handle("fails")(values)).message == "too late"
    assert values == [1]
    assert student.alive


def test_read_only_arrays_are_read_only_there(student: Worker) -> None:
    x = np.arange(4.0)
    x.flags.writeable = False
    error = failure(lambda: student.handle("standardize")(x))
    assert error.kinds[0] == "ValueError"
    assert x.tolist() == [0, 1, 2, 3]


def test_arguments_come_back_as_they_went(student: Worker) -> None:
    values = (None, True, 1, -(2**70), 1.5, float("inf"), 1j, "β", b"\0\xff", [1, (2,)], {"a": 1})
    assert student.handle("echo")(*values) == values


def test_only_plain_data_and_handles_go_over(pool: Pool, student: Worker) -> None:
    echo = student.handle("echo")
    with pytest.raises(TypeError, match="function"):
        echo(lambda x: x)
    with pool.worker() as other:
        other.execute(SOURCE)
        with pytest.raises(TypeError, match="worker that it came from"):
            echo(other.handle("echo"))
    assert echo(1) == (1,)
    huge = np.zeros(wire.MAX_BODY // 8 + 1)
    # What is too large may be what a student returned, on its way back.
    assert failure(lambda: echo(huge)).verdict is Verdict.ERROR
    assert echo(1) == (1,)


def test_what_is_too_large_to_come_back_is_an_error(student: Worker) -> None:
    student.execute(
        "def huge():\n    return np.zeros(9_000_000)\n"
        "def cycle(x=[]):\n    x.append(x)\n    return x"
    )
    for name in ("huge", "cycle"):
        assert failure(student.handle(name)).kinds[0] == "ValueError"
    assert student.alive


def test_output_of_calls(student: Worker) -> None:
    student.execute("def loud():\n    print('hello'); import warnings; warnings.warn('careful')")
    student.handle("loud")()
    first, second = student.take_output()
    assert first["text"] == "hello\n"
    assert "careful" in second["text"]
    assert student.take_output() == []


def test_a_call_that_takes_too_long(hasty: Worker) -> None:
    hasty.execute("def forever():\n    while True: pass")
    forever = hasty.handle("forever")
    start = time.monotonic()
    error = failure(forever)
    assert error.verdict is Verdict.TIMEOUT
    assert "forever" in error.traceback
    assert time.monotonic() - start < 5
    assert not hasty.alive
    assert failure(forever).verdict is Verdict.CRASH


def test_the_time_for_everything() -> None:
    limits = Limits(cell_seconds=5, total_seconds=1.5)
    with Pool(limits=limits, preload=()) as pool, pool.worker() as worker:
        assert worker.execute("import time; time.sleep(0.8)").verdict is Verdict.PASS
        assert worker.execute("time.sleep(0.8)").verdict is Verdict.TIMEOUT


def test_torch() -> None:
    pytest.importorskip("torch")
    source = """
import torch
def layer(x):
    assert type(x) is torch.Tensor
    out = torch.nn.BatchNorm1d(3)(x)
    torch.set_num_threads(4)
    image = torch.nn.functional.conv2d(torch.ones(1, 3, 32, 32), torch.ones(4, 3, 3, 3))
    (image.sum() + out.sum()).backward()
    return out, x.grad
"""
    with Pool(preload=("numpy", "torch"), limits=Limits(cell_seconds=10)) as pool:
        assert not pool.walls.missing
        with pool.worker() as worker:
            assert worker.execute(source).verdict is Verdict.PASS
            x = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
            out, grad = worker.handle("layer")(wire.Tensor(x, requires_grad=True))
    assert isinstance(out, wire.Tensor)
    assert out.requires_grad
    assert not grad.requires_grad
    np.testing.assert_allclose(out.array.mean(0), 0, atol=1e-6)
