"""Layers that normalize over other axes, and many small networks trained with each of them.

A *stack* is R networks of one shape, trained side by side by batched products, as in
:mod:`lab.stacks`; here the layer may be any of the family, images may pass through convolutions,
and the batches come from a function, so that they can be as unusual as an experiment wants.

A *kind* of normalization is a function ``kind(u, rows) -> u_hat`` of an array (R, N, D) or
(R, N, C, H, W). Those that need a batch take their statistics from the first ``rows`` samples: all
of them in training, those of a reference set in inference.

Shapes: R runs, N samples, D features; C channels, H × W positions, T steps of a sequence.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from lab.data import Split

Array = NDArray[np.float64]
Kind = Callable[[Tensor, int | None], Tensor]
Draw = Callable[[int], tuple[Tensor, Tensor]]

EPS = 1e-5

# The matrices are small: threads would wait for one another longer than they work.
torch.set_num_threads(1)


# --- the family --------------------------------------------------------------------------------


def normalize(x: Tensor, axes: tuple[int, ...], rows: int | None = None) -> Tensor:
    """Give mean 0 and variance 1 over the axes; with statistics of the first ``rows`` samples."""
    var, mean = torch.var_mean(x[:, :rows], dim=axes, correction=0, keepdim=True)
    return (x - mean) * torch.rsqrt(var + EPS)


def none(u: Tensor, rows: int | None = None) -> Tensor:
    """Leave everything as it is."""
    return u


def batch(u: Tensor, rows: int | None = None) -> Tensor:
    """Over the samples, and the positions if there are any."""
    return normalize(u, (1, *range(3, u.ndim)), rows)


def pixelwise(u: Tensor, rows: int | None = None) -> Tensor:
    """Over the samples alone: each position of an image is then a feature of its own."""
    return normalize(u, (1,), rows)


def layer(u: Tensor, rows: int | None = None) -> Tensor:
    """Over all features of each sample."""
    return torch.nn.functional.layer_norm(u, u.shape[2:], eps=EPS)


def rms(u: Tensor, rows: int | None = None) -> Tensor:
    """As :func:`layer`, without the mean."""
    return torch.nn.functional.rms_norm(u, u.shape[2:], eps=EPS)


def instance(u: Tensor, rows: int | None = None) -> Tensor:
    """Over the positions of each channel of each image."""
    return normalize(u, tuple(range(3, u.ndim)))


def group(count: int) -> Kind:
    """Over each of ``count`` groups of neighbouring features, in each sample."""

    def grouped(u: Tensor, rows: int | None = None) -> Tensor:
        return torch.nn.functional.group_norm(u.flatten(0, 1), count, eps=EPS).view_as(u)

    return grouped


def ghost(size: int) -> Kind:
    """Batch normalization in training by parts of ``size`` samples, each with its statistics."""

    def parted(u: Tensor, rows: int | None = None) -> Tensor:
        if rows is not None:
            return batch(u, rows)
        return batch(u.reshape(-1, size, *u.shape[2:])).reshape(u.shape)

    return parted


@dataclass
class Renorm:
    """Batch renormalization (Ioffe, 2017): in training, corrected towards running statistics.

    The corrections r and d are limited to [1/r_max, r_max] and [−d_max, d_max], and no gradient
    passes through them. Both limits open linearly from 1 and 0 between ``warm`` and 2 ``warm``
    steps. One object serves all layers of one stack: a layer is known by the order of the calls.
    """

    layers: int
    r_max: float = 3.0
    d_max: float = 5.0
    momentum: float = 0.02
    warm: int = 50
    calls: int = 0
    running: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)

    def __call__(self, u: Tensor, rows: int | None = None) -> Tensor:
        """Normalize (R, N, D), and remember the batch if this is training."""
        if rows is not None:
            return batch(u, rows)
        step, which = divmod(self.calls, self.layers)
        self.calls += 1
        var, mean = torch.var_mean(u, dim=1, keepdim=True, correction=0)
        sigma = torch.sqrt(var + EPS)
        with torch.no_grad():
            m, s = self.running.get(which, (mean.detach(), sigma.detach()))
            opened = min(max(step / self.warm - 1, 0.0), 1.0)
            r_max, d_max = 1 + opened * (self.r_max - 1), opened * self.d_max
            r = (sigma / s).clamp(1 / r_max, r_max)
            d = ((mean - m) / s).clamp(-d_max, d_max)
            # The first steps weigh more, so that the start is forgotten.
            weight = max(self.momentum, 1 / (step + 1))
            self.running[which] = (m + weight * (mean - m), s + weight * (sigma - s))
        return (u - mean) / sigma * r + d


# --- stacks of networks ------------------------------------------------------------------------


class Stack:
    """R networks of ReLUs; each normalized layer is followed by a γ and a β per feature.

    Parameters
    ----------
    widths : sizes of all layers
        From the D inputs to the K classes.
    kind : Kind
        How the hidden layers are normalized; :func:`none` keeps β, which is then a plain bias.
    seeds : (R,)
        Runs of the same seed begin with the same weights, whatever the kind.
    channels : widths of convolutions, optional
        Convolutions of 3 × 3 come before the linear layers; each row of the input is then a square
        image. The first of them is followed by maximum pooling over 2 × 2.
    """

    def __init__(
        self, widths: Sequence[int], kind: Kind, seeds: Sequence[int], channels: Sequence[int] = ()
    ) -> None:
        self.kind, self.convolutions = kind, len(channels)
        self.side = round(widths[0] ** 0.5)
        maps = [1, *channels]
        shapes = [(9 * before, after) for before, after in itertools.pairwise(maps)]
        flat = maps[-1] * (self.side // 2) ** 2 if channels else widths[0]
        shapes += itertools.pairwise([flat, *widths[1:]])
        self.weights = _initial(shapes, seeds)
        self.gammas = [torch.ones(len(seeds), 1, after) for _, after in shapes[:-1]]
        self.betas = [torch.zeros(len(seeds), 1, after) for _, after in shapes]
        self.learned = [*self.weights, *self.betas, *(self.gammas if kind is not none else [])]
        for parameter in self.learned:
            parameter.requires_grad_()
        self.velocity = [torch.zeros_like(p) for p in self.learned]

    def logits(self, X: Tensor, rows: int | None = None) -> Tensor:
        """Return the (R, N, K) scores of (R, N, D) samples."""
        h = X.reshape(*X.shape[:2], 1, self.side, self.side) if self.convolutions else X
        hidden = zip(self.weights[:-1], self.gammas, self.betas[:-1], strict=True)
        for i, (W, gamma, beta) in enumerate(hidden):
            if i < self.convolutions:
                u = self.kind(_convolve(h, W), rows)
                h = torch.relu(u * gamma[..., None, None] + beta[..., None, None])
                if i == 0:
                    h = torch.nn.functional.max_pool2d(h.flatten(0, 1), 2).unflatten(0, X.shape[:2])
                if i == self.convolutions - 1:
                    h = h.flatten(2)
            else:
                h = torch.relu(torch.addcmul(beta, self.kind(h @ W, rows), gamma))
        return torch.baddbmm(self.betas[-1], h, self.weights[-1])

    def step(self, X: Tensor, y: Tensor, lrs: Tensor, momentum: float = 0.0) -> None:
        """Take one step of gradient descent of the mean loss of each run."""
        losses = torch.nn.functional.cross_entropy(
            self.logits(X).flatten(0, 1), y.flatten(), reduction="none"
        )
        gradients = torch.autograd.grad(losses.sum() / y.shape[1], self.learned)
        with torch.no_grad():
            for p, v, g in zip(self.learned, self.velocity, gradients, strict=True):
                if momentum:
                    g = v.mul_(momentum).add_(g)
                p -= lrs * g

    @torch.no_grad()
    def predict(self, X: Tensor, reference: Tensor | None = None) -> Tensor:
        """Return the (R, N) classes of X, in inference with the statistics of a reference set.

        Without one, X is a batch in training mode, and provides its own statistics.
        """
        if reference is None:
            return self.logits(X).argmax(dim=2)
        rows = reference.shape[1]
        return self.logits(torch.cat([reference, X], dim=1), rows)[:, rows:].argmax(dim=2)


def fit(stack: Stack, draw: Draw, lrs: ArrayLike, steps: int, momentum: float = 0.0) -> Stack:
    """Train a stack for so many steps on the batches that ``draw(step)`` returns: X and y."""
    rate = torch.as_tensor(np.asarray(lrs, dtype=np.float32)).reshape(-1, 1, 1)
    for step in range(steps):
        stack.step(*draw(step), rate, momentum)
    return stack


@dataclass(frozen=True)
class Rows:
    """The tensors of R stacked splits, and ways to draw batches from them.

    Attributes
    ----------
    X, X_test : (R, N, D) float32
    y, y_test : (R, N)
    seeds : (R,)
        Runs of the same seed see the same batches.
    """

    X: Tensor
    y: Tensor
    X_test: Tensor
    y_test: Tensor
    seeds: tuple[int, ...]

    @classmethod
    def of(cls, runs: Split, seeds: Sequence[int]) -> "Rows":
        """Take R splits stacked by :func:`lab.data.stack`."""
        X, X_test = (torch.as_tensor(a, dtype=torch.float32) for a in (runs.X_train, runs.X_test))
        y, y_test = (torch.as_tensor(a) for a in (runs.y_train, runs.y_test))
        return cls(X, y, X_test, y_test, tuple(seeds))

    def epochs(self, size: int) -> Draw:
        """Draw batches as usual: all samples in random order, again and again."""
        per_epoch = self.X.shape[1] // size
        different, which = np.unique(self.seeds, return_inverse=True)
        rngs = [np.random.default_rng([seed, 1]) for seed in different]
        order = np.zeros((len(different), self.X.shape[1]), dtype=np.int64)

        def draw(step: int) -> tuple[Tensor, Tensor]:
            at = step % per_epoch
            if at == 0:
                order[:] = [rng.permutation(self.X.shape[1]) for rng in rngs]
            return self.take(order[which, at * size : (at + 1) * size])

        return draw

    def classes(self, size: int, counts: Sequence[int]) -> Draw:
        """Draw batches from few classes: in each run from so many, chosen anew for each batch."""
        pairs = list(zip(self.seeds, counts, strict=True))
        rngs = {pair: np.random.default_rng([*pair, 2]) for pair in pairs}
        members = _members(self.y, self.seeds)

        def draw(step: int) -> tuple[Tensor, Tensor]:
            chosen = {}
            for (seed, count), rng in rngs.items():
                few = rng.choice(10, count, replace=False)
                pool = np.concatenate([members[seed][c] for c in few])
                chosen[seed, count] = rng.choice(pool, size, replace=False)
            return self.take(np.stack([chosen[pair] for pair in pairs]))

        return draw

    def odd_one_out(self, size: int, test: bool = False) -> Draw:
        """Draw batches of one class with a single stranger, always in another place; y says who.

        Every class is the stranger equally often, so that a digit alone says nothing about y.
        """
        X, labels = (self.X_test, self.y_test) if test else (self.X, self.y)
        members = _members(labels, self.seeds)
        rngs = {seed: np.random.default_rng([seed, 3 + test]) for seed in members}
        row = torch.arange(len(self.seeds))[:, None]

        def draw(step: int) -> tuple[Tensor, Tensor]:
            chosen, odd = {}, {}
            for seed, rng in rngs.items():
                many, one = rng.choice(10, 2, replace=False)
                rows = rng.choice(members[seed][many], size, replace=False)
                place = int(rng.integers(size))
                rows[place] = rng.choice(members[seed][one])
                chosen[seed], odd[seed] = rows, np.arange(size) == place
            index = torch.as_tensor(np.stack([chosen[seed] for seed in self.seeds]))
            y = torch.as_tensor(np.stack([odd[seed] for seed in self.seeds]).astype(np.int64))
            return X[row, index], y

        return draw

    def take(self, index: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Return the training rows of an (R, N) array of indices, and their classes."""
        chosen = torch.as_tensor(index)
        row = torch.arange(len(self.seeds))[:, None]
        return self.X[row, chosen], self.y[row, chosen]

    def accuracy(self, stack: Stack) -> Array:
        """Return the (R,) test accuracies, with the statistics of all training rows."""
        return share(stack.predict(self.X_test, self.X) == self.y_test)


def share(right: Tensor) -> Array:
    """Return the (R,) shares of what is true in (R, N)."""
    return right.double().mean(dim=1).numpy()


def _members(y: Tensor, seeds: Sequence[int]) -> dict[int, list[NDArray[np.int64]]]:
    """Return for each seed the rows of each of the ten classes."""
    return {
        seed: [np.flatnonzero(y[seeds.index(seed)].numpy() == c) for c in range(10)]
        for seed in dict.fromkeys(seeds)
    }


def _convolve(h: Tensor, W: Tensor) -> Tensor:
    """Convolve (R, N, C, H, W) images with (R, 9 C, C_out) filters of 3 × 3, padded by zeros."""
    runs, samples, _, height, width = h.shape
    patches = torch.nn.functional.unfold(h.flatten(0, 1), 3, padding=1)
    patches = patches.reshape(runs, samples, -1, height * width)
    return (W.mT[:, None] @ patches).reshape(runs, samples, -1, height, width)


def _initial(shapes: Sequence[tuple[int, int]], seeds: Sequence[int]) -> list[Tensor]:
    """Return the weights of all runs, of variance 2 / D_in (He et al., 2015)."""
    drawn = {}
    for seed in dict.fromkeys(seeds):
        rng = np.random.default_rng([seed, 0])
        drawn[seed] = [rng.normal(size=s) * np.sqrt(2 / s[0]) for s in shapes]
    return [
        torch.as_tensor(np.stack([drawn[seed][i] for seed in seeds])).float()
        for i in range(len(shapes))
    ]
