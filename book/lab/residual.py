"""Residual networks: what a skip connection and a normalization do to one another.

Block l adds a branch to the stream, ``h ← h + α·W·relu(·)``; before the ReLU the stream may be
batch normalized. This is the pre-activation block of He et al. (2016) with one layer in place of
two or three.

Shapes: N samples, D units, K blocks, R networks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from lab import data, depth
from lab.bundle import digits, normalize

Array = NDArray[np.float64]
Branch = Literal["plain", "normalized", "scaled"]
EPS = 1e-5

torch.set_num_threads(1)


@dataclass(frozen=True)
class Birth:
    """A fresh residual network, seen by one batch.

    Attributes
    ----------
    variance : (K + 1,)
        Of the stream, at the input and after each block, mean over units.
    share : (K,)
        The variance of each block's branch, in parts of the stream's after the block.
    gradients : (K + 1,)
        Norms of the gradient at the stream, in the same places, for a random one of norm 1 on top.
    """

    variance: Array
    share: Array
    gradients: Array


def birth(
    seed: int, branch: Branch, blocks: int = 50, width: int = 256, samples: int = 128
) -> Birth:
    """Send a batch of noise up and a random gradient down, in float64, with He's weights."""
    stream = torch.as_tensor(depth.noise(seed, samples, width)).requires_grad_()
    streams, share = [stream], []
    alpha = 1 / np.sqrt(blocks) if branch == "scaled" else 1.0
    for matrix in depth.weights(seed, blocks, width, std=np.sqrt(2 / width)):
        h = depth.batch_norm(stream) if branch == "normalized" else stream
        added = alpha * (torch.relu(h) @ torch.as_tensor(matrix))
        stream = stream + added
        streams.append(stream)
        share.append(
            (added.var(dim=0, correction=0).mean() / stream.var(dim=0, correction=0).mean()).item()
        )
    down = torch.as_tensor(np.random.default_rng([seed, 3]).normal(size=tuple(stream.shape)))
    found = torch.autograd.grad((stream * down / down.norm()).sum(), streams)
    return Birth(
        variance=np.array([h.var(dim=0, correction=0).mean().item() for h in streams]),
        share=np.array(share),
        gradients=np.array([g.norm().item() for g in found]),
    )


def train(
    lrs: ArrayLike,
    seeds: Sequence[int],
    *,
    norm: bool = False,
    last: bool = False,
    skip: bool = True,
    scale: float = 1.0,
    learned: bool = False,
    activation: str = "relu",
    blocks: int = 50,
    width: int = 50,
    after: Sequence[int] = (100,),
    batch: int = 32,
) -> Array:
    """Train R classifiers of the digits by plain SGD; return their test accuracies, (T, R).

    Parameters
    ----------
    lrs, seeds : (R,) each
    norm : bool
        Whether the stream is batch normalized before each activation, and once before the top.
    last : bool
        Whether each branch is batch normalized once more at its end.
    skip : bool
        Whether a block adds to the stream, or replaces it.
    scale : float
        Where the γ of the last normalization of each branch begin, if ``last``; otherwise α, the
        factor of each branch. (A γ in front of a ReLU must not begin at 0: there the slope of the
        ReLU is 0, and the branch would never move.)
    learned : bool
        Whether α is learned, one number per block.
    after : (T,)
        The numbers of steps after which they are tested, ascending.
    """
    parts = data.stack([digits(seed) for seed in seeds])
    X, X_test = (torch.as_tensor(a).float() for a in (parts.X_train, parts.X_test))
    y, y_test = (torch.as_tensor(a) for a in (parts.y_train, parts.y_test))
    R, f = len(seeds), depth.ACTIVATIONS[activation]
    gain = 2.0 if activation == "relu" else 1.0
    drawn = [depth.weights(s, blocks, width, np.sqrt(gain / width)) for s in seeds]
    stem = [
        np.random.default_rng([s, 9]).normal(size=(X.shape[2], width)) / np.sqrt(X.shape[2])
        for s in seeds
    ]
    head = [np.random.default_rng([s, 4]).normal(size=(width, 10)) / np.sqrt(width) for s in seeds]
    first, top = (torch.as_tensor(np.stack(a)).float() for a in (stem, head))
    hidden = [torch.as_tensor(np.stack(a)).float() for a in zip(*drawn, strict=True)]
    alphas = [torch.full((R, 1, 1), 1.0 if last else scale) for _ in hidden]
    gammas = [torch.ones(R, 1, width) for _ in range(blocks + 1)]
    betas = [torch.zeros(R, 1, width) for _ in gammas]
    end_gammas = [torch.full((R, 1, width), scale) for _ in hidden]
    end_betas = [torch.zeros(R, 1, width) for _ in hidden]
    parameters = [first, top, *hidden]
    parameters += [*gammas, *betas] if norm else []
    parameters += [*end_gammas, *end_betas] if last else []
    parameters += alphas if learned else []
    for p in parameters:
        p.requires_grad_()

    def normalized(h: Tensor, i: int, rows: int | None) -> Tensor:
        return normalize(h, gammas[i], betas[i], EPS, rows) if norm else h

    def logits(X: Tensor, rows: int | None = None) -> Tensor:
        h = X @ first
        for i, W in enumerate(hidden):
            added = alphas[i] * (f(normalized(h, i, rows)) @ W)
            if last:
                added = normalize(added, end_gammas[i], end_betas[i], EPS, rows)
            h = h + added if skip else added
        return normalized(h, blocks, rows) @ top

    def accuracy() -> Array:
        with torch.no_grad():
            scores = logits(torch.cat([X, X_test], dim=1), X.shape[1])[:, X.shape[1] :]
        hits = (scores.argmax(dim=2) == y_test) & scores.isfinite().all(dim=2)
        return hits.double().mean(dim=1).numpy()

    draws = [np.random.default_rng([seed, 5]) for seed in seeds]
    rate = torch.as_tensor(np.asarray(lrs, dtype=np.float32)).reshape(-1, 1, 1)
    row = torch.arange(R)[:, None]
    found = []
    for before, steps in pairwise((0, *after)):
        for _ in range(steps - before):
            chosen = torch.as_tensor(np.stack([d.choice(X.shape[1], batch, False) for d in draws]))
            loss = torch.nn.functional.cross_entropy(
                logits(X[row, chosen]).movedim(2, 1), y[row, chosen], reduction="none"
            )
            gradients = torch.autograd.grad(loss.mean(dim=1).sum(), parameters)
            with torch.no_grad():
                for p, g in zip(parameters, gradients, strict=True):
                    p -= rate * g
        found.append(accuracy())
    return np.array(found)
