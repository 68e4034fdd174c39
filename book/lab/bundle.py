"""Many small networks side by side, open for inspection between any two steps.

:mod:`lab.stacks` trains and reports; a *bundle* stops wherever a measurement wants to look: at the
gradient on a given batch, at weights that are half new and half old, at the loss one long step
ahead. R networks of one recipe are moved by batched matrix products, each with its own split of
the digits, its own weights and its own batches.

Shapes: R networks, N samples, D units, K hidden layers.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from lab import data

Array = NDArray[np.float64]
Layers = list[list[Tensor]]
Batch = tuple[Tensor, Tensor]

ACTIVATIONS = {"relu": torch.relu, "sigmoid": torch.sigmoid, "tanh": torch.tanh}

# The matrices are small: threads would wait for one another longer than they work.
torch.set_num_threads(1)


@dataclass(frozen=True)
class Recipe:
    """What the networks of a bundle are made of.

    Attributes
    ----------
    hidden : widths
        Of the K hidden layers; a linear layer to the ten classes follows.
    activation : "relu", "sigmoid" or "tanh"
    gain : float
        The hidden weights have the standard deviation gain / √D_in: √2 is He's.
    norm : bool
        Batch normalization before each activation, with γ and β. Layers without it have a bias.
    gamma : float
        Where γ begins.
    eps : float
        What is added to the variance.
    group : int, optional
        Ghost batches: samples are normalized in groups of so many, which must divide the batch.
    noise : bool
        After each normalization, every unit is shifted by U(−1, 1) and scaled by U(1, 1.25), both
        drawn anew in each step, and every value receives noise of standard deviation ¼.
    dropout : float
        The probability with which a hidden activation is dropped in training.
    """

    hidden: tuple[int, ...]
    activation: str = "relu"
    gain: float = float(np.sqrt(2))
    norm: bool = False
    gamma: float = 1.0
    eps: float = 1e-5
    group: int | None = None
    noise: bool = False
    dropout: float = 0.0


class Bundle:
    """R networks, their data, and their next batch.

    Parameters
    ----------
    recipe : Recipe
    seeds : R integers
        Networks of the same seed share split, weights and batches, whatever their recipe.
    samples : int, optional
        How many training digits to keep of 1437.
    flipped : float
        The share of training labels that are replaced by another one at random.
    precision : torch dtype

    Attributes
    ----------
    layers : K + 1 lists of tensors
        ``[W, gamma, beta]`` of a normalized layer, ``[W, b]`` of any other; W is (R, D_in, D_out),
        the rest (R, 1, D_out).
    """

    def __init__(
        self,
        recipe: Recipe,
        seeds: Sequence[int],
        *,
        samples: int | None = None,
        flipped: float = 0.0,
        precision: torch.dtype = torch.float32,
    ) -> None:
        self.recipe, self.seeds = recipe, tuple(seeds)
        runs = data.stack([digits(seed) for seed in seeds])
        self.X = torch.as_tensor(runs.X_train[:, :samples], dtype=precision)
        self.X_test = torch.as_tensor(runs.X_test, dtype=precision)
        labels = np.stack(
            [flip(y[:samples], flipped, s) for y, s in zip(runs.y_train, seeds, strict=True)]
        )
        self.y, self.y_test = torch.as_tensor(labels), torch.as_tensor(runs.y_test)
        self.layers = _born(recipe, self.X.shape[2], seeds, precision)
        different, self._which = np.unique(np.asarray(seeds), return_inverse=True)
        self._draws = [np.random.default_rng([seed, 1]) for seed in different]
        self._noise = torch.Generator().manual_seed(int(different[0]))

    def draw(self, batch: int) -> Batch:
        """Return the next batch: inputs (R, N, D) and labels (R, N)."""
        drawn = np.stack([d.choice(self.X.shape[1], batch, replace=False) for d in self._draws])
        chosen = torch.as_tensor(drawn[self._which])
        row = torch.arange(len(self.seeds))[:, None]
        return self.X[row, chosen], self.y[row, chosen]

    def forward(
        self,
        X: Tensor,
        layers: Layers | None = None,
        rows: int | None = None,
        training: bool = True,
    ) -> list[Tensor]:
        """Return what enters each of the K + 1 matrices: the last entry but one … and the logits.

        Parameters
        ----------
        X : (R, N, D)
        layers : Layers, optional
            Weights other than the bundle's own.
        rows : int, optional
            Only the first so many rows give the statistics.
        training : bool
            Whether noise, dropout and ghost batches act.
        """
        recipe = self.recipe
        h, seen = X, [X]
        layers = self.layers if layers is None else layers
        for W, *rest in layers[:-1]:
            if recipe.norm:
                gamma, beta = rest
                h = self._normalize(h @ W, gamma, beta, rows, training)
            else:
                h = torch.baddbmm(rest[0], h, W)
            h = ACTIVATIONS[recipe.activation](h)
            if recipe.dropout and training:
                kept = torch.rand(h.shape, generator=self._noise) >= recipe.dropout
                h = h * kept / (1 - recipe.dropout)
            seen.append(h)
        W, b = layers[-1]
        return [*seen, torch.baddbmm(b, h, W)]

    def _normalize(
        self, u: Tensor, gamma: Tensor, beta: Tensor, rows: int | None, training: bool
    ) -> Tensor:
        y = normalize(
            u, gamma, beta, self.recipe.eps, rows, self.recipe.group if training else None
        )
        if self.recipe.noise and training:
            units = (u.shape[0], 1, u.shape[2])
            shift = torch.rand(units, generator=self._noise) * 2 - 1
            scale = 1 + torch.rand(units, generator=self._noise) / 4
            y = y * scale + shift + torch.randn(u.shape, generator=self._noise) / 4
        return y

    def losses(self, batch: Batch, layers: Layers | None = None) -> Tensor:
        """Return the (R,) mean cross-entropies on a batch."""
        X, y = batch
        logits = self.forward(X, layers)[-1]
        each = torch.nn.functional.cross_entropy(logits.movedim(2, 1), y, reduction="none")
        return each.mean(dim=1)

    def gradient(self, batch: Batch, layers: Layers | None = None) -> tuple[Tensor, Layers]:
        """Return the (R,) losses and their gradients, arranged as the layers are."""
        at = [[p.detach().requires_grad_() for p in layer] for layer in layers or self.layers]
        losses = self.losses(batch, at)
        flat = iter(torch.autograd.grad(losses.sum(), [p for layer in at for p in layer]))
        return losses.detach(), [[next(flat) for _ in layer] for layer in at]

    def moved(self, gradient: Layers, rates: ArrayLike) -> Layers:
        """Return the layers one step down the gradient; ``rates`` is a number or (R,) of them."""
        rate = torch.as_tensor(np.asarray(rates), dtype=self.X.dtype).reshape(-1, 1, 1)
        return [
            [p - rate * g for p, g in zip(layer, slopes, strict=True)]
            for layer, slopes in zip(self.layers, gradient, strict=True)
        ]

    def train(self, rates: ArrayLike, steps: int, batch: int) -> Array:
        """Take so many steps of plain SGD; return the (steps, R) losses."""
        found = []
        for _ in range(steps):
            losses, gradient = self.gradient(self.draw(batch))
            self.layers = self.moved(gradient, rates)
            found.append(losses)
        return torch.stack(found).double().numpy() if found else np.empty((0, len(self.seeds)))

    def accuracy(self, on: str = "test") -> Array:
        """Return the (R,) accuracies on the test digits, or on the "train" labels as they are.

        Normalization uses the statistics of all training rows.
        """
        rows = self.X.shape[1]
        with torch.no_grad():
            X = torch.cat([self.X, self.X_test], dim=1) if on == "test" else self.X
            logits = self.forward(X, rows=rows, training=False)[-1]
            if on == "test":
                hits = logits[:, rows:].argmax(dim=2) == self.y_test
            else:
                hits = logits.argmax(dim=2) == self.y
        return hits.double().mean(dim=1).numpy()


def normalize(
    u: Tensor,
    gamma: Tensor,
    beta: Tensor,
    eps: float = 1e-5,
    rows: int | None = None,
    group: int | None = None,
) -> Tensor:
    """Normalize (R, N, D) values over N, with γ and β of shape (R, 1, D).

    Parameters
    ----------
    rows : int, optional
        Only the first so many rows give the statistics.
    group : int, optional
        Rows are normalized in groups of so many instead of all together.
    """
    if rows is not None or eps == 0:  # which PyTorch's layer does not do
        var, mean = torch.var_mean(u[:, :rows], dim=1, keepdim=True, correction=0)
        return torch.addcmul(beta, u - mean, gamma * torch.rsqrt(var + eps))
    runs, samples, units = u.shape
    size = samples if group is None else group
    # Every unit of every group of every network is a feature of its own to PyTorch.
    tall = u.reshape(runs, -1, size, units).permute(2, 0, 1, 3)
    wide = tall.shape[1:]
    y = torch.nn.functional.batch_norm(
        tall.reshape(size, -1),
        None,
        None,
        gamma.expand(wide).reshape(-1),
        beta.expand(wide).reshape(-1),
        training=True,
        eps=eps,
    )
    return y.reshape(tall.shape).permute(1, 2, 0, 3).reshape(u.shape)


@cache
def digits(seed: int) -> data.Split:
    """Return the digits, 1437 for training and 360 for testing, centered, on one common scale."""
    return data.center_and_rescale(data.split(_table(), seed, 360))


@cache
def _table() -> data.Table:
    return data.digits()


def flat(layers: Layers) -> Tensor:
    """Return all numbers of R networks as (R, P), in float64."""
    return torch.cat([p.flatten(start_dim=1) for layer in layers for p in layer], dim=1).double()


def flip(y: NDArray[np.int64], share: float, seed: int) -> NDArray[np.int64]:
    """Return labels of which exactly a share (rounded) has become another digit."""
    rng = np.random.default_rng([seed, 6])
    wrong = rng.choice(len(y), round(share * len(y)), replace=False)
    changed = y.copy()
    changed[wrong] = (y[wrong] + rng.integers(1, 10, len(wrong))) % 10
    return changed


def _born(recipe: Recipe, inputs: int, seeds: Sequence[int], precision: torch.dtype) -> Layers:
    sizes = [inputs, *recipe.hidden, 10]
    runs = len(seeds)
    rngs = {seed: np.random.default_rng([seed, 0]) for seed in dict.fromkeys(seeds)}
    layers: Layers = []
    for i, (before, after) in enumerate(itertools.pairwise(sizes)):
        top = i == len(recipe.hidden)
        gain = 1.0 if top else recipe.gain
        made = {
            s: rng.normal(size=(before, after)) * gain / np.sqrt(before) for s, rng in rngs.items()
        }
        W = torch.as_tensor(np.stack([made[s] for s in seeds]), dtype=precision)
        zeros = torch.zeros(runs, 1, after, dtype=precision)
        layers.append([W, zeros + recipe.gamma, zeros] if recipe.norm and not top else [W, zeros])
    return layers
