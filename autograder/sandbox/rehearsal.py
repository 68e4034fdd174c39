"""A notebook that a parent plays before it forks, so that its workers find everything in use.

What runs for the first time, Python and NumPy prepare: code is specialized where it runs often, and
the loops of functions are looked up once and kept. Each worker would do that anew, and the kernel
would copy each page of memory that it writes into.
"""

from __future__ import annotations

import linecache
import socket
from collections.abc import Callable
from typing import Any

import numpy as np

from . import wire

# Afterwards a worker finds nothing new in the server, the border, and the commonest of NumPy.
TIMES = 3
# More than is printed here, whatever a student's notebook may print.
OUTPUT_BYTES = 10_000

_FUNCTION = '''
import math

import numpy as np


def function(X, power=2.0, *, small=1e-5):
    """What answers are made of."""
    X = np.asarray(X)
    low, high, span = X.min(axis=0), X.max(axis=0), np.ptp(X, axis=0)
    mean, var, std, total = X.mean(axis=0), X.var(axis=0), X.std(axis=0), X.sum(axis=0)
    std[std == 0] = 1.0
    scaled = (X - low) / np.where(high - low == 0, 1, span) * 2 + -1
    centered = np.where(np.isfinite(X), (X - mean) / np.sqrt(var + small), 0)
    other = np.zeros_like(scaled) + np.ones(X.shape[1]) * np.abs(scaled) ** power
    other = np.maximum(other, 0.0) - np.minimum(other, np.array([1.0])) + np.sum(std)
    other[:, 0] = np.exp(-other[:, 1]) + np.log(1 + other[:, 1]) + np.tanh(other[:, 0])
    other += np.arange(X.shape[1])
    other *= 2.0
    other /= 3.0
    for row in range(len(X)):
        for column in range(X.shape[1]):
            other[row, column] -= float(X[row, column]) + math.sqrt(abs(total[column]))
    product = X.T @ other / len(X) + np.eye(X.shape[1])
    sums = [float(value) for value in np.sum(product, axis=1, keepdims=True).ravel()]
    if any(math.isnan(value) for value in sums) or not np.allclose(product, product):
        raise ValueError("not a number")
    return centered + np.dot(X, product)
'''
_CLASS = '''
class Class:
    """An object that remembers."""

    def __init__(self, momentum=0.1):
        self.momentum = momentum
        self.mean = None

    def fit(self, X):
        self.mean = np.mean(X, axis=0)
        self.std = np.std(X, axis=0)
        return self

    def transform(self, X):
        return (X - self.mean) / self.std
'''
_FAILURE = """
print("done")


def failure(X):
    raise ValueError(f"{X.shape} is not right")
"""
_SHOWN = "{'a': 1, 'b': [1.0, 2, (3, None)]}"


def play(answer: Callable[[dict[str, Any], bytearray], None], sock: socket.socket) -> None:
    """Have a server do what a judge asks of a notebook.

    Args:
        answer: does what a frame asks, and sends its answer to the socket.
        sock: where that arrives.
    """
    table = np.linspace(-1.0, 5.0, 28).reshape(7, 4) ** 3
    steps: list[Any] = []
    parts: list[bytes] = []

    def cell(source: str, *names: str) -> None:
        tree = wire.Encoder().encode((source, "rehearsal", list(names)))
        steps.append({"op": "cell", "arguments": tree, "seconds": 60})

    def probe(name: str, *questions: tuple[int, Any]) -> None:
        encoder = wire.Encoder()
        asked = [
            [target, what] if isinstance(what, str) else [target, [*map(encoder.encode, what)], {}]
            for target, what in questions
        ]
        parts.append(b"".join(encoder.parts))
        steps.append([name, asked, len(parts[-1]), False])

    cell(_FUNCTION, "function")
    for X in (table, table[:, :2].copy(), np.arange(24).reshape(6, 4)):
        probe("function", (-1, (X,)), (-1, (X, 3)))
    cell(_CLASS, "Class")
    probe("Class", (-1, ()), (0, "fit"), (1, (table,)), (0, "transform"), (3, (table,)))
    cell(_SHOWN)
    cell(_FAILURE, "failure")
    probe("failure", (-1, (table,)))
    header = {"op": "ahead", "id": "", "steps": steps, "seconds": 60, "going_on": 60}
    answer(header, bytearray(b"".join(parts)))
    reply, _ = wire.receive(sock)
    assert len(reply["done"]) == len(steps), "all of it was played"
    linecache.clearcache()
