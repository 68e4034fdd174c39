"""Length and direction: weights whose length the network does not feel.

A unit whose sum is batch normalized computes the same for its weight vector w and for a·w, a > 0.
:func:`follow` trains such networks and records what becomes of lengths and directions;
:class:`Decoupled` is the one problem small enough to compare with a theorem.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from lab import descent
from lab.bundle import Batch, Bundle, Layers

Array = NDArray[np.float64]
Direction = Callable[[list[Tensor]], list[Tensor]]


def rescaled(layers: Layers, factor: float) -> Layers:
    """Return the layers with all hidden weights multiplied by a factor; γ, β and the top stay."""
    return [[layer[0] * factor, *layer[1:]] for layer in layers[:-1]] + [layers[-1]]


@dataclass(frozen=True)
class Path:
    """What became of the hidden weights of R networks in T steps, U units in all layers together.

    Attributes
    ----------
    lengths : (T + 1, R, U)
        ‖w‖ of each unit, before the first step and after each step.
    turns : (T, R, U)
        The angle between w before and after each step, in radians.
    slopes : (T, R, U)
        The norm of the gradient that each unit received, without the decay.
    losses : (T, R)
    accuracy : (R,)
        On the test digits.
    """

    lengths: Array
    turns: Array
    slopes: Array
    losses: Array
    accuracy: Array


def follow(
    bundle: Bundle,
    rates: ArrayLike,
    steps: int,
    batch: int = 32,
    *,
    decay: ArrayLike = 0.0,
    others: ArrayLike | None = None,
    along: Direction = list,
) -> Path:
    """Train by SGD with weight decay on the hidden weights only, and follow each unit.

    Parameters
    ----------
    bundle : Bundle
        Of normalized networks; take float64, since a step may lengthen w by less than float32 sees.
    rates, decay : a number or (R,) each
        η and λ of the hidden weights: w ← w − η·(g + λ·w).
    others : a number or (R,), optional
        The learning rate of all other parameters; η where it is not given.
    along : function, optional
        Makes of the gradients of all hidden layers, (R, in, out) each, what the hidden weights go
        along in place of g: a fresh :func:`adam`. Without it they go along g.
    """
    eta, lam = (_column(value, bundle) for value in (rates, decay))
    rest = eta if others is None else _column(others, bundle)
    lengths, turns, slopes, losses = [_lengths(bundle.layers)], [], [], []
    for _ in range(steps):
        loss, gradient = bundle.gradient(bundle.draw(batch))
        old = bundle.layers
        moved = [
            [p - rest * g for p, g in zip(layer, slopes, strict=True)]
            for layer, slopes in zip(old, gradient, strict=True)
        ]
        directions = along([slopes[0] for slopes in gradient[:-1]])
        for new, (W, *_), direction in zip(moved[:-1], old[:-1], directions, strict=True):
            new[0] = W - eta * (direction + lam * W)
        bundle.layers = moved
        lengths.append(_lengths(bundle.layers))
        turns.append(_angles(old, bundle.layers))
        slopes.append(_lengths(gradient))
        losses.append(loss)
    return Path(
        *(torch.stack(found).double().numpy() for found in (lengths, turns, slopes, losses)),
        accuracy=bundle.accuracy(),
    )


def adam(eps: float = 1e-8) -> Direction:
    """What AdamW goes along: a running mean of gradients over the root of that of their squares.

    With the decay of :func:`follow`, which is not divided by the root, a step is that of Loshchilov
    and Hutter (2019), algorithm 2, with β₁ = 0.9 and β₂ = 0.999.
    """
    updates: list[descent.Update] = []

    def along(gradients: list[Tensor]) -> list[Tensor]:
        if not updates:
            updates.extend(descent.adam(1.0, eps=eps) for _ in gradients)
        arrays = [g.double().numpy() for g in gradients]
        steps = [update(0 * g, g) for update, g in zip(updates, arrays, strict=True)]
        return [torch.as_tensor(-step, dtype=gradients[0].dtype) for step in steps]

    return along


def rms(values: Array) -> Array:
    """Return the root mean square of (T, R, U) values over time and units, for each network."""
    mean: Array = (values**2).mean(axis=(0, 2))
    return np.sqrt(mean)


def _column(value: ArrayLike, bundle: Bundle) -> Tensor:
    return torch.as_tensor(np.asarray(value), dtype=bundle.X.dtype).reshape(-1, 1, 1)


def _lengths(layers: Layers) -> Tensor:
    """Return ‖w‖ of every hidden unit, (R, U)."""
    return torch.cat([W.norm(dim=1) for W, *_ in layers[:-1]], dim=1)


def _angles(old: Layers, new: Layers) -> Tensor:
    """Return the angle by which every hidden unit has turned, (R, U)."""
    found = []
    for (V, *_), (W, *_) in zip(old[:-1], new[:-1], strict=True):
        a, b = V / V.norm(dim=1, keepdim=True), W / W.norm(dim=1, keepdim=True)
        # Exact for small angles, where the arc cosine of a rounded 1 is not.
        found.append(2 * torch.arcsin(((a - b).norm(dim=1) / 2).clamp(max=1)))
    return torch.cat(found, dim=1)


def invariance(bundle: Bundle, batch: Batch, factor: float) -> tuple[float, float, float]:
    """Compare a network with one whose hidden weights are ``factor`` times as long.

    Returns
    -------
    output, slope, radial : floats
        The relative difference of the logits; that between ``factor`` times the gradient at the
        long weights and the gradient at the short ones; and the largest absolute cosine between a
        unit's weights and its gradient.
    """
    long = rescaled(bundle.layers, factor)
    with torch.no_grad():
        here, there = (bundle.forward(batch[0], layers)[-1] for layers in (bundle.layers, long))
    _, g = bundle.gradient(batch)
    _, h = bundle.gradient(batch, long)
    slope, radial = [], []
    for (W, *_), (a, *_), (b, *_) in zip(bundle.layers[:-1], g[:-1], h[:-1], strict=True):
        slope.append((factor * b - a).norm() / a.norm())
        radial.append(((W * a).sum(dim=1) / (W.norm(dim=1) * a.norm(dim=1))).abs().max())
    return (
        float((there - here).norm() / here.norm()),
        float(torch.stack(slope).max()),
        float(torch.stack(radial).max()),
    )


class Decoupled:
    """Least squares with one normalized unit: min over w, γ of ½·mean((γ·x·w/‖w‖_S − y)²).

    With the best γ for each w, what remains is a function of the direction of w alone,
    ``½·(mean(y²) − (w·c)²/(w·S·w))`` with S = XᵀX/N and c = Xᵀy/N.

    Parameters
    ----------
    X : (N, D)
    y : (N,)
    """

    def __init__(self, X: ArrayLike, y: ArrayLike) -> None:
        X, y = np.asarray(X, dtype=np.float64), np.asarray(y, dtype=np.float64)
        self.S, self.c = X.T @ X / len(X), X.T @ y / len(X)
        self.flattest, *_, self.steepest = np.linalg.eigvalsh(self.S)
        self.solution = np.linalg.solve(self.S, self.c)

    def directions(self, start: Array, steps: int) -> Array:
        """Return the excess loss along gradient descent on the direction, (steps + 1,).

        The step of Kohler et al. (2019), section 4: ``‖w‖²_S / (2·L·|ρ|)`` on
        ``ρ(w) = −(w·c)²/‖w‖²_S``, after which w is normalized.
        """
        w, found = start / np.sqrt(start @ self.S @ start), []
        best = self.c @ self.solution
        for _ in range(steps + 1):
            rho = (w @ self.c) ** 2  # w has S-norm 1
            found.append((best - rho) / 2)
            slope = -2 * ((w @ self.c) * self.c - rho * (self.S @ w))
            w = w - slope / (2 * self.steepest * rho)
            w = w / np.sqrt(w @ self.S @ w)
        return np.array(found)

    def plain(self, start: Array, steps: int) -> Array:
        """Return the excess loss along gradient descent with the rate 1/L, (steps + 1,).

        It begins where the other does: at the best multiple of ``start``.
        """
        v = start * (start @ self.c) / (start @ self.S @ start)
        found = []
        for _ in range(steps + 1):
            error = v - self.solution
            found.append(error @ self.S @ error / 2)
            v = v - (self.S @ error) / self.steepest
        return np.array(found)


def ravine(seed: int, condition: float, samples: int = 400, features: int = 20) -> Decoupled:
    """Draw a regression whose Hessian has exactly the given condition number."""
    rng = np.random.default_rng([seed, 7])
    Q, _ = np.linalg.qr(rng.normal(size=(samples, features)))
    X = Q * np.sqrt(samples * np.geomspace(1, condition, features) / condition)
    return Decoupled(X, X @ rng.normal(size=features) + 0.1 * rng.normal(size=samples))


def starts(seeds: Sequence[int], features: int = 20) -> list[Array]:
    """Return one random direction to start from per seed."""
    return [np.random.default_rng([seed, 8]).normal(size=features) for seed in seeds]


def curvature(bundle: Bundle, batch: Batch, factor: float = 1.0, distance: float = 1e-4) -> Array:
    """Return how fast the gradient of the hidden weights turns along itself, (R,).

    An effective β, ‖g − g′‖ over a short distance, at hidden weights ``factor`` times as long.
    """
    layers = rescaled(bundle.layers, factor)
    _, gradient = bundle.gradient(batch, layers)
    g = [slopes[0] for slopes in gradient[:-1]]
    length = torch.stack([(a**2).sum(dim=(1, 2)) for a in g]).sum(dim=0).sqrt()
    step = (distance * factor / length).reshape(-1, 1, 1)
    there = [[layer[0] - step * a, *layer[1:]] for layer, a in zip(layers[:-1], g, strict=True)] + [
        layers[-1]
    ]
    _, new = bundle.gradient(batch, there)
    squares = [
        ((slopes[0] - a) ** 2).sum(dim=(1, 2)) for slopes, a in zip(new[:-1], g, strict=True)
    ]
    change = torch.stack(squares).sum(dim=0).sqrt()
    return (change / (distance * factor)).double().numpy()
