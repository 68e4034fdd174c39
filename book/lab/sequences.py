"""Recurrent networks that normalize each step, on sequences of different length.

The task is to gather evidence: at every step a noisy hint at one of K classes arrives, and after
the last one the network must name the class. Sequences end at different steps, so that late steps
have few samples left. R networks are trained side by side; the recurrent unit is

    h_t = tanh(γ · normalize(x_t W + h_{t−1} U) + β).

Shapes: R runs, N sequences, T steps, D features, M hidden units.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

Array = NDArray[np.float64]
Norm = Literal["none", "batch", "layer"]
Moments = tuple[Tensor, Tensor]

CLASSES, FEATURES, SHORTEST, LONGEST = 4, 8, 2, 12
EPS = 1e-5

# The matrices are small: threads would wait for one another longer than they work.
torch.set_num_threads(1)


@dataclass(frozen=True)
class Sequences:
    """N sequences of hints in each of R runs.

    Attributes
    ----------
    X : (R, N, T, D)
    lengths : (R, N)
        Steps beyond a sequence's length are there, and must not be looked at.
    y : (R, N)
    """

    X: Tensor
    lengths: Tensor
    y: Tensor


def draw(
    rngs: Sequence[np.random.Generator], samples: int, steps: int = LONGEST, even: bool = False
) -> Sequences:
    """Draw sequences, one set of N per generator.

    Their lengths are geometric, from 2 to 12; all have ``steps`` steps if ``even``.
    """
    hints = np.concatenate([np.eye(CLASSES), -np.eye(CLASSES)], axis=1)  # (K, D)
    X, lengths, y = [], [], []
    for rng in rngs:
        label = rng.integers(0, CLASSES, samples)
        noise = 2.0 * rng.normal(size=(samples, steps, FEATURES))
        X.append(hints[label][:, None] + noise)
        drawn = np.minimum(SHORTEST - 1 + rng.geometric(0.25, samples), LONGEST)
        lengths.append(np.full(samples, steps) if even else drawn)
        y.append(label)
    return Sequences(
        torch.as_tensor(np.stack(X)).float(),
        torch.as_tensor(np.stack(lengths)),
        torch.as_tensor(np.stack(y)),
    )


class Recurrent:
    """R recurrent networks of M units, with a linear layer on the state after the last step."""

    def __init__(self, norm: Norm, seeds: Sequence[int], units: int = 32) -> None:
        self.norm = norm
        self.seeds = tuple(seeds)
        made = {}
        for seed in dict.fromkeys(seeds):
            rng = np.random.default_rng([seed, 0])
            made[seed] = (
                rng.normal(size=(FEATURES, units)) / np.sqrt(FEATURES),
                np.linalg.qr(rng.normal(size=(units, units)))[0],
                rng.normal(size=(units, CLASSES)) / np.sqrt(units),
            )
        self.W, self.U, self.V = (
            torch.as_tensor(np.stack([made[seed][i] for seed in seeds])).float() for i in range(3)
        )
        self.gamma = torch.ones(len(seeds), 1, units)
        self.beta = torch.zeros(len(seeds), 1, units)
        self.bias = torch.zeros(len(seeds), 1, CLASSES)
        self.learned = [self.W, self.U, self.V, self.beta, self.bias]
        if norm != "none":
            self.learned.append(self.gamma)
        for parameter in self.learned:
            parameter.requires_grad_()

    def run(
        self, batch: Sequences, moments: Sequence[Moments] | None = None
    ) -> tuple[Tensor, list[Moments]]:
        """Return the scores (R, N, K), and the batch's mean and variance at each step.

        In inference ``moments`` are used instead, and the last of them for all later steps.
        """
        h = torch.zeros(*batch.y.shape, self.U.shape[1])
        seen = []
        for t in range(int(batch.lengths.max())):
            active = (batch.lengths > t)[..., None]
            u = torch.baddbmm(batch.X[:, :, t] @ self.W, h, self.U)
            mean, var = _moments(u, active)
            seen.append((mean, var))
            if self.norm == "layer":
                mean = u.mean(dim=2, keepdim=True)
                var = u.var(dim=2, keepdim=True, correction=0)
            elif moments is not None:
                mean, var = moments[min(t, len(moments) - 1)]
            if self.norm != "none":
                u = (u - mean) / torch.sqrt(var + EPS) * self.gamma
            h = torch.where(active, torch.tanh(u + self.beta), h)
        return torch.baddbmm(self.bias, h, self.V), seen

    def fit(self, lrs: ArrayLike, steps: int, size: int, even: bool = False) -> "Recurrent":
        """Train by plain SGD on fresh sequences, in batches of ``size``."""
        rate = torch.as_tensor(np.asarray(lrs, dtype=np.float32)).reshape(-1, 1, 1)
        rngs = {seed: np.random.default_rng([seed, 1]) for seed in self.seeds}
        which = [list(rngs).index(seed) for seed in self.seeds]
        for _ in range(steps):
            drawn = draw(list(rngs.values()), size, even=even)
            batch = Sequences(drawn.X[which], drawn.lengths[which], drawn.y[which])
            scores, _ = self.run(batch)
            loss = torch.nn.functional.cross_entropy(
                scores.flatten(0, 1), batch.y.flatten(), reduction="sum"
            )
            gradients = torch.autograd.grad(loss / size, self.learned)
            norm = torch.sqrt(sum((g**2).sum(dim=(1, 2), keepdim=True) for g in gradients))
            with torch.no_grad():
                for p, g in zip(self.learned, gradients, strict=True):
                    p -= rate * g / torch.clamp(norm, min=1.0)  # clipped by global norm
        return self

    @torch.no_grad()
    def population(self, even: bool = False, samples: int = 512) -> list[Moments]:
        """Return each step's mean and variance over many sequences like those of training."""
        _, seen = self.run(self._fresh(2, samples, LONGEST, even))
        return seen

    @torch.no_grad()
    def accuracy(
        self, steps: int, moments: Sequence[Moments] | None = None, samples: int = 512
    ) -> Array:
        """Return the (R,) accuracies on new sequences that all have so many steps."""
        batch = self._fresh(3, samples, steps, True)
        scores, _ = self.run(batch, moments)
        return (scores.argmax(dim=2) == batch.y).double().mean(dim=1).numpy()

    def _fresh(self, purpose: int, samples: int, steps: int, even: bool) -> Sequences:
        rngs = [np.random.default_rng([seed, purpose]) for seed in self.seeds]
        return draw(rngs, samples, steps, even)


def shared(moments: Sequence[Moments]) -> list[Moments]:
    """Return one pair of statistics for all steps: the averages over the steps."""
    return [tuple(torch.stack(each).mean(dim=0) for each in zip(*moments, strict=True))]  # type: ignore[list-item]


def spreads(moments: Sequence[Moments]) -> Array:
    """Return the (R, T) standard deviations of a step, as root mean squares over the units."""
    return torch.cat([var.mean(dim=2).sqrt() for _, var in moments], dim=1).double().numpy()


def _moments(u: Tensor, active: Tensor) -> Moments:
    """Return mean and biased variance over the active samples, (R, 1, M) each."""
    count = active.sum(dim=1, keepdim=True).clamp(min=1)
    mean = torch.where(active, u, 0).sum(dim=1, keepdim=True) / count
    var = torch.where(active, (u - mean) ** 2, 0).sum(dim=1, keepdim=True) / count
    return mean, var
