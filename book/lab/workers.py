"""One batch on several processes: each has a part of it, and all normalize with the statistics of
the whole.

A worker never sends its samples. On the way up it sends a :class:`Moments`, on the way back two
sums per feature; the coordinator adds them up and answers with the totals. This module imports
NumPy and nothing else, so that a process is there quickly.

Shapes: N samples in all, n of them at a worker, D features.
"""

import functools
import multiprocessing as mp
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]

PATIENCE = 120.0
"""Seconds to wait for a worker before giving up."""


@dataclass(frozen=True)
class Moments:
    """Count, mean, and sum of squared deviations of a set of samples, feature by feature."""

    count: int
    mean: Array
    squares: Array

    @classmethod
    def of(cls, x: Array) -> "Moments":
        """Summarize the (n, D) samples in two passes."""
        mean = x.mean(axis=0)
        return cls(len(x), mean, ((x - mean) ** 2).sum(axis=0))

    def __add__(self, other: "Moments") -> "Moments":
        """Merge two disjoint sets exactly (Chan, Golub and LeVeque, 1983, equation 2.1)."""
        count = self.count + other.count
        delta = other.mean - self.mean
        return Moments(
            count,
            self.mean + delta * (other.count / count),
            self.squares + other.squares + delta**2 * (self.count * other.count / count),
        )

    @property
    def var(self) -> Array:
        """The biased variance."""
        return self.squares / self.count


def merge(parts: Iterable[Moments]) -> Moments:
    """Merge any number of disjoint sets."""
    return functools.reduce(Moments.__add__, parts)


@dataclass(frozen=True)
class Pass:
    """What a training step with synchronized statistics gave.

    Attributes
    ----------
    y, dx : lists of (n, D), one per worker
    processes : numbers of the processes that computed them
    sent : int
        Numbers that each worker has sent, both ways together, its results apart.
    """

    y: list[Array]
    dx: list[Array]
    processes: list[int]
    sent: int


def synchronized(
    shards: Sequence[Array], dys: Sequence[Array], gamma: Array, eps: float = 1e-5
) -> Pass:
    """Batch normalization forward and backward, each shard in a process of its own.

    Parameters
    ----------
    shards, dys : lists of (n, D), one per worker
        The samples, and the gradients that arrive at their outputs; n may differ.
    gamma : (D,)
    """
    context = mp.get_context("spawn")  # the only way that works on every system
    pipes = [context.Pipe() for _ in shards]
    workers = [
        context.Process(target=_work, args=(far, x, dy, gamma, eps), daemon=True)
        for (_, far), x, dy in zip(pipes, shards, dys, strict=True)
    ]
    near = [here for here, _ in pipes]
    try:
        for worker in workers:
            worker.start()
        for _, far in pipes:
            far.close()  # the worker's end: if the worker dies, reading fails instead of waiting
        _answer(near, merge(_receive(near)))
        sums = _receive(near)
        _answer(near, sum(sums[1:], sums[0]))
        results = _receive(near)
    finally:
        for worker in workers:
            if worker.pid is not None:
                worker.join(timeout=5)
                worker.kill()
        for here in near:
            here.close()
    y, dx, processes = (list(each) for each in zip(*results, strict=True))
    return Pass(y, dx, processes, sent=1 + 2 * len(gamma) + sums[0].size)


def _work(far: Connection, x: Array, dy: Array, gamma: Array, eps: float) -> None:
    """Do a worker's part; the two exchanges are the only times it hears of the others."""
    far.send(Moments.of(x))
    whole: Moments = far.recv()
    sigma = np.sqrt(whole.var + eps)
    x_hat = (x - whole.mean) / sigma

    far.send(np.stack([dy.sum(axis=0), (dy * x_hat).sum(axis=0)]))
    dbeta, dgamma = far.recv()
    dx = gamma / sigma * (dy - dbeta / whole.count - x_hat * dgamma / whole.count)
    far.send((gamma * x_hat, dx, mp.current_process().pid))


def _receive(connections: Sequence[Connection]) -> list[Any]:
    messages = []
    for connection in connections:
        if not connection.poll(PATIENCE):
            raise TimeoutError(f"a worker was silent for {PATIENCE:g} seconds")
        messages.append(connection.recv())
    return messages


def _answer(connections: Sequence[Connection], message: object) -> None:
    for connection in connections:
        connection.send(message)
