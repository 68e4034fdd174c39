"""Training with batch normalization, watched: many runs at once, and what becomes of each.

:mod:`lab.stacks` trains many small networks side by side and says how they end. The chapter on
networks asks more: what happens on the way, from weights of any scale, with dropout, with weight
decay, with a normalization of the logits. So here a *record* is kept: the accuracy at chosen steps,
the loss at every step, and what enters the last hidden activation.

Shapes: R runs, T checks, N samples, D features, U units.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from lab.data import Split

Array = NDArray[np.float64]
Logits = Literal["plain", "normalized", "affine"]

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
}
EPS = 1e-5
"""What batch normalization adds to the variance."""
PERCENTILES = (15, 50, 85)
"""Those of figure 1 in Ioffe and Szegedy (2015)."""

# The matrices are small: threads would wait for one another longer than they work.
torch.set_num_threads(1)
torch.set_flush_denormal(True)


@dataclass(frozen=True)
class Net:
    """The shape of a multilayer perceptron, common to all runs of one call.

    Attributes
    ----------
    hidden : widths of the hidden layers
    activation : "relu", "sigmoid" or "tanh"
    bn : bool
        Batch normalization before each hidden activation, with γ and β, in place of the bias.
    logits : "plain", "normalized" or "affine"
        What is done to the logits: nothing; batch normalization without γ and β; or with them.
    dropout : float
        The probability with which each hidden activation is set to 0 in training.
    init : "he", "lecun" or a number
        The standard deviation of the first weights: √(2/D_in), √(1/D_in), or that number.
    """

    hidden: tuple[int, ...] = (100, 100, 100)
    activation: str = "sigmoid"
    bn: bool = False
    logits: Logits = "plain"
    dropout: float = 0.0
    init: Literal["he", "lecun"] | float = "lecun"


@dataclass(frozen=True)
class Record:
    """What became of R runs.

    Attributes
    ----------
    steps : (T,) int64
        The steps after which the networks were tested.
    accuracy, test_loss : (T, R)
        On the test rows. Batch normalization then uses the statistics of training rows, not of the
        batch.
    losses : (steps, R)
        The loss on each training batch, before the step is taken; NaN or infinite from where a run
        diverged.
    percentiles : (T, watched runs, U, 3)
        The 15th, 50th and 85th percentile over training rows of what enters each unit's activation,
        in the last hidden layer.
    weights, gammas, betas : lists of (R, D_in, D_out), (R, D) and (R, D)
        At the end, from the bottom to the top; those of a normalization of the logits come last.
    """

    steps: NDArray[np.int64]
    accuracy: Array
    test_loss: Array
    losses: Array
    percentiles: Array
    weights: list[Array]
    gammas: list[Array]
    betas: list[Array]

    def late_loss(self, share: float = 0.1) -> Array:
        """Return the (R,) mean training losses over the last share of the steps."""
        return self.losses[-max(1, round(share * len(self.losses))) :].mean(axis=0)

    def steps_to(self, level: float) -> Array:
        """Return for each run the first check with at least this test accuracy; NaN if none."""
        there = self.accuracy >= level
        first = self.steps[there.argmax(axis=0)].astype(np.float64)
        return np.where(there.any(axis=0), first, np.nan)


def train(
    parts: Sequence[Split],
    net: Net,
    runs: Sequence[int],
    lrs: ArrayLike,
    *,
    gains: ArrayLike = 1.0,
    decay: ArrayLike = 0.0,
    decay_all: bool = False,
    steps: int = 400,
    batch: int = 32,
    checks: Sequence[int] | None = None,
    population: int = 512,
    watch: Sequence[int] = (),
) -> Record:
    """Train R classifiers by plain SGD, and keep a record.

    Parameters
    ----------
    parts : Splits of equal sizes
        One per seed; the classes are 0 … K−1.
    runs : (R,) int
        The seed of each run, which is also the number of its part. Runs of one seed begin with the
        same weights (up to their gains) and see the same batches, in every call.
    lrs, decay : (R,) or one number
        The learning rate, and the weight decay λ, which adds λw to the gradient of w.
    gains : (R,) or one number, or (layers, R)
        The factor of the first weights, in all linear layers or in each, bottom to top.
    decay_all : bool
        Whether biases, γ and β decay as the weights do.
    steps, batch : int
        How many batches of how many samples, drawn without replacement within a batch.
    checks : of int, optional
        The steps after which to test, ascending; only after the last one by default.
    population : int
        How many training rows give the statistics for testing, and are watched.
    watch : of int
        Which of the R runs to record percentiles of.
    """
    X, X_test = (_tensor([getattr(p, key) for p in parts]) for key in ("X_train", "X_test"))
    y, y_test = (
        torch.as_tensor(np.stack([getattr(p, key) for p in parts])) for key in ("y_train", "y_test")
    )
    seed = torch.as_tensor(np.asarray(runs))
    sizes = [X.shape[2], *net.hidden, int(y.max()) + 1]
    factors = np.broadcast_to(np.asarray(gains, np.float32), (len(sizes) - 1, len(runs)))
    model = _Model(net, sizes, runs, [_per_run(row, len(runs)) for row in factors])
    rate = _per_run(lrs, len(runs))
    shrink = _per_run(decay, len(runs))
    decaying = bool(shrink.any())
    # Runs that share a seed share their draws, too: draw once for each different seed.
    different, which = np.unique(np.asarray(runs), return_inverse=True)
    draws = [np.random.default_rng([s, 1]) for s in different]
    masks = [np.random.default_rng([s, 2]) for s in different]
    due = [steps] if checks is None else list(checks)
    losses, found = [], []

    def test() -> None:
        # A few runs at a time: all test rows of hundreds of runs need not be in memory at once.
        pieces = [
            _test(model, X[seed[r], :population], X_test[seed[r]], y_test[seed[r]], r)
            for r in torch.arange(len(runs)).split(50)
        ]
        r = torch.as_tensor(np.asarray(watch, dtype=np.int64))
        accuracy, loss = (np.concatenate(piece) for piece in zip(*pieces, strict=True))
        found.append((accuracy, loss, _percentiles(model, X[seed[r], :population], r)))

    for step in range(steps + 1):
        if step in due:
            test()
        if step == steps:
            break
        drawn = np.stack([d.choice(X.shape[1], batch, replace=False) for d in draws])
        chosen = torch.as_tensor(drawn[which])
        keep = None
        if net.dropout:
            keep = [_masks(masks, (batch, width), net.dropout)[which] for width in net.hidden]
        scores, _ = model(X[seed[:, None], chosen], keep=keep)
        each = torch.nn.functional.cross_entropy(
            scores.movedim(2, 1), y[seed[:, None], chosen], reduction="none"
        ).mean(dim=1)
        gradients = torch.autograd.grad(each.sum(), model.learned)
        with torch.no_grad():
            for i, (w, gradient) in enumerate(zip(model.learned, gradients, strict=True)):
                if decaying and (decay_all or i < len(model.weights)):
                    gradient = torch.addcmul(gradient, shrink, w)
                w.addcmul_(rate, gradient, value=-1)
        losses.append(each.detach())
    columns = list(zip(*found, strict=True))
    return Record(
        steps=np.array([s for s in due if s <= steps]),
        accuracy=np.stack(columns[0]),
        test_loss=np.stack(columns[1]),
        losses=_array(torch.stack(losses)) if losses else np.empty((0, len(runs))),
        percentiles=np.stack(columns[2]),
        weights=[_array(w) for w in model.weights],
        gammas=[_array(g)[:, 0] for g in model.gammas],
        betas=[_array(b)[:, 0] for b in model.betas],
    )


class _BatchNorm(torch.autograd.Function):
    """Batch normalization of (R, N, D) over N, with the compact backward pass.

    Differentiated piece by piece, the same formula takes six times as long.
    """

    @staticmethod
    def forward(ctx, u: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        centered = u - u.mean(dim=1, keepdim=True)
        scale = torch.rsqrt((centered * centered).mean(dim=1, keepdim=True) + EPS)
        x_hat = centered * scale
        ctx.save_for_backward(x_hat, scale, gamma)
        return torch.addcmul(beta, x_hat, gamma)

    @staticmethod
    def backward(ctx, dy: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # type: ignore[no-untyped-def]
        x_hat, scale, gamma = ctx.saved_tensors
        dbeta = dy.sum(dim=1, keepdim=True)
        dgamma = (dy * x_hat).sum(dim=1, keepdim=True)
        du = dy - (dbeta + x_hat * dgamma) / dy.shape[1]
        return gamma * scale * du, dgamma, dbeta


class _Model:
    """R networks of one shape; called with (R, N, D) inputs, it returns (R, N, K) logits."""

    def __init__(
        self, net: Net, sizes: list[int], runs: Sequence[int], gains: list[Tensor]
    ) -> None:
        self.net = net
        self.weights = _first_weights(net, sizes, runs, gains)
        self.normalized = [net.bn] * len(net.hidden) + [net.logits != "plain"]
        shapes = [(len(runs), 1, width) for width in sizes[1:]]
        pairs = list(zip(shapes, self.normalized, strict=True))
        self.biases = [torch.zeros(shape) for shape, bn in pairs if not bn]
        self.gammas = [torch.ones(shape) for shape, bn in pairs if bn]
        self.betas = [torch.zeros(shape) for shape, bn in pairs if bn]
        fixed = net.logits == "normalized"
        self.learned = [
            *self.weights,
            *self.biases,
            *(self.gammas[:-1] if fixed else self.gammas),
            *(self.betas[:-1] if fixed else self.betas),
        ]
        for w in self.learned:
            w.requires_grad_()

    def __call__(
        self,
        h: Tensor,
        rows: int | None = None,
        keep: list[Tensor] | None = None,
        of: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return logits and last hidden pre-activations; statistics come from the first rows."""

        def mine(w: Tensor) -> Tensor:
            return w if of is None else w[of]

        biases, scales = iter(self.biases), iter(zip(self.gammas, self.betas, strict=True))
        last = len(self.weights) - 1
        u = inputs = h
        for layer, W in enumerate(self.weights):
            if self.normalized[layer]:
                gamma, beta = next(scales)
                u = torch.bmm(h, mine(W))
                if rows is None:
                    u = _BatchNorm.apply(u, mine(gamma), mine(beta))
                else:
                    var, mean = torch.var_mean(u[:, :rows], dim=1, keepdim=True, correction=0)
                    u = (u - mean) * (mine(gamma) / torch.sqrt(var + EPS)) + mine(beta)
            else:
                u = torch.baddbmm(mine(next(biases)), h, mine(W))
            if layer < last:
                inputs = u
                h = ACTIVATIONS[self.net.activation](u)
                if keep is not None:
                    h = h * keep[layer]
        return u, inputs


def _masks(draws: Sequence[np.random.Generator], shape: tuple[int, int], p: float) -> Tensor:
    """Return (S, N, U) factors: 0 with probability p, and 1 / (1 − p) otherwise."""
    drawn = np.stack([draw.random(shape, np.float32) for draw in draws])
    return torch.as_tensor((drawn >= p) / np.float32(1 - p))


def _test(model: _Model, X: Tensor, X_test: Tensor, y: Tensor, of: Tensor) -> tuple[Array, Array]:
    """Return accuracy and loss on the test rows of some of the runs."""
    rows = X.shape[1]
    with torch.no_grad():
        scores = model(torch.cat([X, X_test], dim=1), rows, of=of)[0][:, rows:]
        loss = torch.nn.functional.cross_entropy(scores.movedim(2, 1), y, reduction="none")
        accuracy = (scores.argmax(dim=2) == y).double().mean(dim=1)
    return accuracy.numpy(), _array(loss.mean(dim=1))


def _percentiles(model: _Model, X: Tensor, of: Tensor) -> Array:
    """Return the (R, U, 3) percentiles of what enters the last hidden activation."""
    if not len(of):
        return np.empty((0, model.net.hidden[-1], len(PERCENTILES)))
    with torch.no_grad():
        inputs = model(X, X.shape[1], of=of)[1]
        found = torch.quantile(inputs, torch.tensor(PERCENTILES) / 100, dim=1)
    return _array(found.movedim(0, -1))


def _first_weights(
    net: Net, sizes: list[int], runs: Sequence[int], gains: list[Tensor]
) -> list[Tensor]:
    made = {}
    for seed in dict.fromkeys(runs):
        rng = np.random.default_rng([seed, 0])
        made[seed] = []
        for before, after in itertools.pairwise(sizes):
            std = {"he": (2 / before) ** 0.5, "lecun": before**-0.5}.get(net.init, net.init)
            made[seed].append(std * rng.normal(size=(before, after)))
    stacked = [np.stack([made[seed][i] for seed in runs]) for i in range(len(sizes) - 1)]
    return [torch.as_tensor(w).float() * g for w, g in zip(stacked, gains, strict=True)]


# --- data made harder ----------------------------------------------------------------------------


def few(part: Split, rows: int, noise: float = 0.0, seed: int = 0) -> Split:
    """Keep the first training rows, and give a share of them a wrong class.

    The test rows stay as they are: what is measured there is the truth.
    """
    X, y = part.X_train[:rows], part.y_train[:rows].astype(np.int64)
    rng = np.random.default_rng([seed, 3])
    wrong = rng.permutation(rows)[: round(noise * rows)]
    classes = int(part.y_train.max()) + 1
    y[wrong] = (y[wrong] + rng.integers(1, classes, size=len(wrong))) % classes
    return Split(X, y, part.X_test, part.y_test)


def _per_run(values: ArrayLike, runs: int) -> Tensor:
    numbers = np.asarray(values, dtype=np.float32)
    return torch.as_tensor(np.broadcast_to(numbers, (runs,)).copy()).reshape(-1, 1, 1)


def _tensor(arrays: Sequence[Array]) -> Tensor:
    return torch.as_tensor(np.stack([a.astype(np.float32) for a in arrays]))


def _array(values: Tensor) -> Array:
    return values.detach().double().numpy()
