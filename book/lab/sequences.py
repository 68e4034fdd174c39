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

CLASSES, FEATURES, SHORTEST, LONGEST = 4, 8, 2, 8
NOISE, ENDS = 1.5, 0.35
"""Standard deviation of the noise on a hint, and how likely a sequence ends at each step."""
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
    rngs: Sequence[np.random.Generator],
    samples: int,
    even: Sequence[bool],
    steps: int = LONGEST,
) -> Sequences:
    """Draw N sequences for each of R runs.

    Where ``even`` is true, all sequences of the run have ``steps`` steps; elsewhere their lengths
    are geometric, from 2 to 8.
    """
    hints = np.concatenate([np.eye(CLASSES), -np.eye(CLASSES)], axis=1)  # (K, D)
    X, lengths, y = [], [], []
    for rng, full in zip(rngs, even, strict=True):
        label = rng.integers(0, CLASSES, samples)
        X.append(hints[label][:, None] + NOISE * rng.normal(size=(samples, steps, FEATURES)))
        drawn = np.minimum(SHORTEST - 1 + rng.geometric(ENDS, samples), LONGEST)
        lengths.append(np.full(samples, steps) if full else drawn)
        y.append(label)
    return Sequences(
        torch.as_tensor(np.stack(X)).float(),
        torch.as_tensor(np.stack(lengths)),
        torch.as_tensor(np.stack(y)),
    )


class Recurrent:
    """R recurrent networks of M units, with a linear layer on the state after the last step.

    Parameters
    ----------
    norm : "none", "batch" or "layer"
        "batch" takes its statistics at each step from the sequences that have not ended.
    seeds, even : (R,) each
        The seed of a run's weights and sequences, and whether its sequences all have 8 steps.
    """

    def __init__(
        self, norm: Norm, seeds: Sequence[int], even: Sequence[bool], units: int = 32
    ) -> None:
        self.norm, self.seeds, self.even = norm, tuple(seeds), tuple(even)
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

    def scores(
        self,
        batch: Sequences,
        moments: Sequence[Moments] | None = None,
        seen: list[Moments] | None = None,
    ) -> Tensor:
        """Return the scores (R, N, K).

        Batch normalization takes the batch's own statistics, or ``moments``, of which the last
        serves all later steps. The batch's own are appended to ``seen``, if it is given.
        """
        h = torch.zeros(*batch.y.shape, self.U.shape[1])
        inputs = torch.einsum("rntd,rdm->trnm", batch.X, self.W)
        for t in range(int(batch.lengths.max())):
            active = (batch.lengths > t)[..., None]
            u = torch.baddbmm(inputs[t], h, self.U)
            if seen is not None:
                seen.append(_moments(u, active))
            if self.norm == "layer":
                u = torch.nn.functional.layer_norm(u, u.shape[2:], eps=EPS) * self.gamma
            elif self.norm == "batch":
                at = _moments(u, active) if moments is None else moments[min(t, len(moments) - 1)]
                u = (u - at[0]) * torch.rsqrt(at[1] + EPS) * self.gamma
            h = torch.where(active, torch.tanh(u + self.beta), h)
        return torch.baddbmm(self.bias, h, self.V)

    def fit(self, lrs: ArrayLike, steps: int, size: int) -> "Recurrent":
        """Train by SGD on fresh sequences in batches of ``size``; gradients are clipped to 1."""
        rate = torch.as_tensor(np.asarray(lrs, dtype=np.float32)).reshape(-1, 1, 1)
        different = list(dict.fromkeys(zip(self.seeds, self.even, strict=True)))
        rngs = [np.random.default_rng([seed, 1]) for seed, _ in different]
        which = [different.index(pair) for pair in zip(self.seeds, self.even, strict=True)]
        for _ in range(steps):
            drawn = draw(rngs, size, [even for _, even in different])
            batch = Sequences(drawn.X[which], drawn.lengths[which], drawn.y[which])
            loss = torch.nn.functional.cross_entropy(
                self.scores(batch).flatten(0, 1), batch.y.flatten(), reduction="sum"
            )
            gradients = torch.autograd.grad(loss / size, self.learned)
            with torch.no_grad():
                squares = torch.stack([(g**2).sum(dim=(1, 2), keepdim=True) for g in gradients])
                factor = rate / squares.sum(dim=0).sqrt().clamp(min=1.0)
                for p, g in zip(self.learned, gradients, strict=True):
                    p -= factor * g
        return self

    @torch.no_grad()
    def population(self, samples: int = 512) -> list[Moments]:
        """Return each step's mean and variance over many sequences like those of training."""
        seen: list[Moments] = []
        rngs = [np.random.default_rng([seed, 2]) for seed in self.seeds]
        self.scores(draw(rngs, samples, self.even), seen=seen)
        return seen

    @torch.no_grad()
    def accuracy(
        self, steps: int, moments: Sequence[Moments] | None = None, samples: int = 512
    ) -> Array:
        """Return the (R,) accuracies on new sequences that all have so many steps."""
        rngs = [np.random.default_rng([seed, 3]) for seed in self.seeds]
        batch = draw(rngs, samples, [True] * len(rngs), steps)
        right = self.scores(batch, moments).argmax(dim=2) == batch.y
        return right.double().mean(dim=1).numpy()


def shared(moments: Sequence[Moments]) -> list[Moments]:
    """Return one pair of statistics for all steps: the averages over the steps."""
    means, variances = zip(*moments, strict=True)
    return [(torch.stack(means).mean(dim=0), torch.stack(variances).mean(dim=0))]


def spreads(moments: Sequence[Moments]) -> Array:
    """Return the (R, T) standard deviations of a step, as root mean squares over the units."""
    return torch.cat([var.mean(dim=2).sqrt() for _, var in moments], dim=1).double().numpy()


def _moments(u: Tensor, active: Tensor) -> Moments:
    """Return mean and biased variance over the active samples, (R, 1, M) each."""
    count = active.sum(dim=1, keepdim=True).clamp(min=1)
    mean = torch.where(active, u, 0).sum(dim=1, keepdim=True) / count
    var = torch.where(active, (u - mean) ** 2, 0).sum(dim=1, keepdim=True) / count
    return mean, var
