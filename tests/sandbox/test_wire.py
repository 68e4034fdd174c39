"""What crosses is rebuilt exactly, and what is malformed is refused, always in the same way."""

from __future__ import annotations

import json
import math
import random
import socket
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from autograder.sandbox import wire


def across(value: Any) -> Any:
    encoder = wire.Encoder()
    tree = json.loads(json.dumps(encoder.encode(value), allow_nan=False))
    body = bytearray(b"".join(bytes(part) for part in encoder.parts))
    return wire.Decoder(body, lambda number, label: (number, label)).decode(tree)


def same(a: Any, b: Any) -> bool:
    """Equal in type and in every bit that matters."""
    if type(a) is not type(b):
        return False
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return list(map(repr, a)) == list(map(repr, b)) and all(map(same, a.values(), b.values()))
    if isinstance(a, np.ndarray | np.generic):
        return (
            a.dtype == b.dtype
            and a.shape == b.shape
            and np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")
        )
    if isinstance(a, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and repr(a) == repr(b))
    return repr(a) == repr(b)


numbers = st.none() | st.booleans() | st.integers(-(2**4000), 2**4000) | st.floats()
texts = st.text(st.characters(exclude_categories=["Cs"])) | st.binary()
dtypes = st.sampled_from(list(wire.DTYPES.values()))
arrays = dtypes.flatmap(lambda dtype: npst.arrays(dtype, npst.array_shapes(min_dims=0, min_side=0)))
scalars = dtypes.flatmap(lambda dtype: npst.arrays(dtype, ())).map(lambda array: array[()])
leaves = numbers | texts | st.complex_numbers() | arrays | scalars
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(values)
@settings(max_examples=300, deadline=None)
def test_values_come_back_exactly(value: Any) -> None:
    assert same(across(value), value)


@pytest.mark.parametrize("name", wire.DTYPES)
def test_arrays_of_every_dtype(name: str) -> None:
    array = np.arange(24).reshape(2, 3, 4).astype(name)
    for given_array in (array, array.T, array[::-1, ::2], np.asfortranarray(array), array[:0]):
        back = across(given_array)
        assert type(back) is np.ndarray
        assert back.flags.c_contiguous
        assert same(back, given_array)
    assert across(array.astype(array.dtype.newbyteorder(">"))).dtype == array.dtype


def test_subclasses_arrive_as_what_they_hold() -> None:
    class Liar(np.ndarray):
        def __eq__(self, other: object) -> bool:  # type: ignore[override]
            return True

        __hash__ = None  # type: ignore[assignment]

    class Number(float):
        pass

    assert type(across(np.ones(3).view(Liar))) is np.ndarray
    assert type(across(Number(2))) is float
    assert type(across(np.float64(2))) is np.float64
    assert type(across(np.str_("a"))) is str


@pytest.mark.parametrize(("kind", "near"), [("g", np.float64), ("G", np.complex128)])
def test_long_numbers_arrive_as_the_nearest(kind: str, near: type) -> None:
    number = np.array(1, kind) / 3
    for long in (number, np.array(number)):
        arrived = across(long)
        assert type(arrived) is near
        assert arrived == near(number)


def test_an_array_of_arrays_arrives_as_several_results() -> None:
    both = np.empty(2, dtype=object)
    both[0], both[1] = np.arange(6.0).reshape(2, 3), np.arange(3.0)
    first, second = across(both)
    assert same(first, both[0])
    assert same(second, both[1])
    both[1] = both
    with pytest.raises(wire.Unsendable):
        wire.Encoder().encode(both)


def test_lone_surrogates_are_replaced() -> None:
    assert across("a\ud800b") == "a?b"


def test_large_integers_are_refused() -> None:
    with pytest.raises(wire.Unsendable):
        across(1 << 5000)


def test_what_is_not_plain_goes_to_opaque() -> None:
    for value in (object(), np.array([object()]), np.ones(1, "g"), {1, 2}, len, range(3)):
        with pytest.raises(TypeError):
            across(value)


def test_cycles_and_depth_are_refused() -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    with pytest.raises(wire.Unsendable):
        across(cycle)


@pytest.mark.parametrize("keys", [600, 1_001])
def test_keys_that_may_collide_are_few_in_all_dictionaries_together(keys: int) -> None:
    """A thousand numbers with one hash take as long as a million others."""
    whole = {number * ((1 << 61) - 1) + (1 << 60): 0 for number in range(keys)}
    assert len(set(map(hash, whole))) == 1
    assert across([dict.fromkeys(map(str, whole)), dict.fromkeys(range(3_000))] * 3)
    with pytest.raises(wire.Unsendable):
        across([whole, whole])
    tree = ["d", *[part for key in whole for part in (["i", hex(key)], 0)]]
    with pytest.raises(wire.WireError):
        wire.Decoder(bytearray(), lambda number, label: None).decode(["l", tree, tree])


@pytest.mark.parametrize(
    "tree",
    [
        [], {}, ["x"], ["a"], ["a", "object", [1], 0, True], ["a", "float64", [9], 0, True],
        ["a", "float64", [-1], 0, True], ["a", "float64", [1], -8, True],
        ["a", "float64", [1 << 40, 0], 0, True], ["a", "float64", 3, 0, True],
        ["a", "float64", [1] * 40, 0, True], ["a", "float64", [True], 0, True],
        ["a", "float64", [1], 0, 1], ["a", "V8", [1], 0, True], ["a", ["float64"], [1], 0, True],
        ["s", "float64", 60], ["s", "float64"], ["f", "nope"], ["f", []], ["c", 1.0],
        ["c", "a", "b"], ["c", ["l"], 0.0], ["i", "zz"], ["i", 5], ["i", "0x" + "f" * 9999],
        ["b", 0, 65], ["b", 0], ["d", 1], ["d", ["l"], 1], ["r", -1, ""], ["r", 1.5, ""],
        ["r", 1 << 40, ""], ["r", 1, 2], ["t", ["x"]], [["l"]], [None], ["l", {}], 1 << 60,
        ["l", ["b", 0, 64], ["b", 0, 64]],
        ["d", *[x for i in range(1200) for x in (["f", "inf"] if i else 1.5, 0)], 2.5, 0, *[
            x for i in range(1200) for x in (i + 0.5, 0)]],
    ],
)  # fmt: skip
def test_malformed_values_are_wire_errors(tree: Any) -> None:
    with pytest.raises(wire.WireError):
        wire.Decoder(bytearray(64), lambda number, label: None).decode(tree)


def test_a_deep_value_is_a_wire_error() -> None:
    tree: Any = 1
    for _ in range(10_000):
        tree = ["l", tree]
    with pytest.raises(wire.WireError):
        wire.Decoder(bytearray(), lambda number, label: None).decode(tree)


def _frame() -> bytes:
    encoder = wire.Encoder()
    tree = encoder.encode([np.arange(6.0).reshape(2, 3), {"a": (1, 2.5, None), "b": "text"}, 1j])
    ours, theirs = socket.socketpair()
    with ours, theirs:
        wire.send(ours, {"id": "0", "value": tree}, encoder.parts)
        return theirs.recv(1 << 16)


def test_mutated_frames_never_crash_nor_hang() -> None:
    frame, rng = _frame(), random.Random(0)
    outcomes = {"value": 0, "refused": 0}
    for _ in range(2_000):
        data = bytearray(frame)
        for _ in range(rng.randrange(1, 4)):
            kind, place = rng.randrange(4), rng.randrange(len(data))
            if kind == 0:
                data[place] = rng.randrange(256)
            elif kind == 1:
                del data[place : place + rng.randrange(1, 9)]
            elif kind == 2:
                data[place:place] = rng.randbytes(rng.randrange(1, 9))
            else:
                data[place] ^= 1 << rng.randrange(8)
        ours, theirs = socket.socketpair()
        with ours, theirs:
            theirs.sendall(data)
            theirs.shutdown(socket.SHUT_WR)
            try:
                header, body = wire.receive(ours, time.monotonic() + 1)
                wire.Decoder(body, lambda number, label: None).decode(header.get("value"))
                outcomes["value"] += 1
            except (wire.WireError, wire.Closed):
                outcomes["refused"] += 1
    assert outcomes["refused"] > 500


def test_oversized_frames_are_refused_before_they_are_read() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"\xff" * 8)
        with pytest.raises(wire.WireError):
            wire.receive(ours, time.monotonic() + 1)


def test_deadline_and_hangup() -> None:
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            theirs.sendall(b"\0\0")
            with pytest.raises(wire.Deadline):
                wire.receive(ours, time.monotonic() + 0.05)
        with pytest.raises(wire.Closed):
            wire.receive(ours, time.monotonic() + 1)
