"""Many small networks trained at once: seeds, learning rates and variants side by side.

A *stack* is R multilayer perceptrons of one shape. Their weights live in arrays with a first axis
R, one batched matrix product moves all of them, and each has its own data, seed and learning rate.
Runs do not touch one another: one that diverges is a result, and harmless to the rest.

The hidden layers may be batch normalized, before or after their activation, whole or with parts
left out: :class:`Norm` says which. Shapes: R runs, N samples, D features.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from lab.data import Split, Table

Array = NDArray[np.float64]

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "steep sigmoid": lambda u: torch.sigmoid(4 * u),  # bends where the other is still straight
    "tanh": torch.tanh,
}

# The matrices are small: threads would wait for one another longer than they work.
torch.set_num_threads(1)


@dataclass(frozen=True)
class Norm:
    """Batch normalization of the hidden layers, or what is left of it.

    Attributes
    ----------
    place : "before" or "after"
        On which side of the activation.
    center, divide : bool
        Whether the batch mean is subtracted, and whether the batch standard deviation divides.
    gamma, beta : bool
        Whether a scale and a shift are learned; otherwise they stay 1 and 0.
    eps : float
        What is added to the variance.
    """

    place: Literal["before", "after"] = "before"
    center: bool = True
    divide: bool = True
    gamma: bool = True
    beta: bool = True
    eps: float = 1e-5

    def __call__(self, u: Tensor, gamma: Tensor, beta: Tensor, rows: int | None = None) -> Tensor:
        """Normalize (R, N, D) values over N with the statistics of the first ``rows`` of them."""
        seen = u[:, :rows]
        mean = seen.mean(dim=1, keepdim=True)
        if self.divide:
            var = seen.var(dim=1, keepdim=True, correction=0)
            gamma = gamma / torch.sqrt(var + self.eps)
        return (u - mean) * gamma + beta if self.center else u * gamma + beta


@dataclass(frozen=True)
class Outcome:
    """What became of R runs.

    Attributes
    ----------
    accuracy : (R,)
        On the test rows; batch normalization then uses the statistics of all training rows.
    loss : (R,)
        The mean training loss over the last tenth of the steps; NaN where a run diverged.
    weights : list of (R, D_in, D_out)
        Of each layer, from the bottom to the top.
    gammas, betas : lists of (R, D)
        Of each hidden layer that has them; empty without normalization.
    """

    accuracy: Array
    loss: Array
    weights: list[Array]
    gammas: list[Array]
    betas: list[Array]


def train(
    runs: Split,
    hidden: Sequence[int],
    lrs: ArrayLike,
    seeds: Sequence[int],
    *,
    norm: Norm | None = None,
    activation: str = "relu",
    bias: bool = True,
    steps: int = 400,
    batch: int = 32,
) -> Outcome:
    """Train R classifiers by plain SGD, and test each of them.

    Parameters
    ----------
    runs : Split
        R splits stacked by :func:`lab.data.stack`; the classes are 0 … K−1.
    hidden : widths
        Of the hidden layers; a linear layer to the K classes follows.
    lrs, seeds : (R,) each
        The learning rate of each run, and the seed of its weights and batches. Runs of the same
        seed begin with the same weights and see the same batches, in every call.
    norm : Norm, optional
        How the hidden layers are normalized; not at all without it.
    bias : bool
        Whether the hidden linear layers have a bias, which begins at 0.
    steps, batch : int
        How many batches of how many samples, drawn without replacement within a batch.
    """
    X, X_test = (torch.as_tensor(a, dtype=torch.float32) for a in (runs.X_train, runs.X_test))
    y, y_test = (torch.as_tensor(a) for a in (runs.y_train, runs.y_test))
    sizes = [X.shape[2], *hidden, int(y.max()) + 1]
    weights = _glorot(sizes, seeds)
    shapes = [(len(seeds), 1, width) for width in sizes[1:]]
    biases = [torch.zeros(shape) for shape in shapes]
    gammas = [torch.ones(shape) for shape in shapes[:-1]]
    betas = [torch.zeros(shape) for shape in shapes[:-1]]
    learned = [*weights, biases[-1]]
    if bias:
        learned += biases[:-1]
    if norm is not None:
        learned += (gammas if norm.gamma else []) + (betas if norm.beta else [])
    for parameter in learned:
        parameter.requires_grad_()

    def logits(h: Tensor, rows: int | None = None) -> Tensor:
        for W, b, gamma, beta in zip(weights, biases, gammas, betas, strict=False):
            h = torch.baddbmm(b, h, W)
            if norm is not None and norm.place == "before":
                h = norm(h, gamma, beta, rows)
            h = ACTIVATIONS[activation](h)
            if norm is not None and norm.place == "after":
                h = norm(h, gamma, beta, rows)
        return torch.baddbmm(biases[-1], h, weights[-1])

    rate = torch.as_tensor(np.asarray(lrs, dtype=np.float32)).reshape(-1, 1, 1)
    # Runs that share a seed share their draws, too: draw once for each different seed.
    different, which = np.unique(np.asarray(seeds), return_inverse=True)
    draws = [np.random.default_rng([seed, 1]) for seed in different]
    row = torch.arange(len(seeds))[:, None]
    late: list[Tensor] = []
    for step in range(steps):
        drawn = np.stack([d.choice(X.shape[1], batch, replace=False) for d in draws])
        chosen = torch.as_tensor(drawn[which])
        losses = torch.nn.functional.cross_entropy(
            logits(X[row, chosen]).movedim(2, 1), y[row, chosen], reduction="none"
        ).mean(dim=1)
        gradients = torch.autograd.grad(losses.sum(), learned)
        with torch.no_grad():
            for parameter, gradient in zip(learned, gradients, strict=True):
                parameter -= rate * gradient
        if step >= steps - max(1, steps // 10):
            late.append(losses.detach())
    with torch.no_grad():
        scores = logits(torch.cat([X, X_test], dim=1), X.shape[1])[:, X.shape[1] :]
        accuracy = (scores.argmax(dim=2) == y_test).double().mean(dim=1)
    return Outcome(
        accuracy=accuracy.numpy(),
        loss=torch.stack(late).double().mean(dim=0).numpy(),
        weights=[_array(W) for W in weights],
        gammas=[_array(g)[:, 0] for g in gammas] if norm is not None else [],
        betas=[_array(b)[:, 0] for b in betas] if norm is not None else [],
    )


def grid(seeds: Sequence[int], lrs: Sequence[float]) -> tuple[list[int], Array]:
    """Every seed with every learning rate: two lists of R = seeds × rates, seed by seed.

    A result of R runs then reads as a table with ``result.reshape(len(seeds), len(lrs))``.
    """
    return [s for s in seeds for _ in lrs], np.tile(np.asarray(lrs, dtype=float), len(seeds))


# --- two tasks in the plane --------------------------------------------------------------------


def xor(seed: int, samples: int = 600) -> Table:
    """Four clouds at the corners of a square; opposite corners are of one class."""
    rng = np.random.default_rng(seed)
    corner = rng.choice([-1.0, 1.0], size=(samples, 2))
    X = corner + 0.35 * rng.normal(size=(samples, 2))
    return Table(X, (corner[:, 0] * corner[:, 1] > 0).astype(np.int64), ("x", "y"), ("odd", "even"))


def spiral(seed: int, samples: int = 600) -> Table:
    """Two arms of one and a half turns; turned by 180 degrees, one arm is the other."""
    rng = np.random.default_rng(seed)
    arm = rng.integers(0, 2, size=samples)
    turn = np.sqrt(rng.uniform(0.02, 1, size=samples))
    angle = 3 * np.pi * turn + np.pi * arm
    X = 2 * turn[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return Table(
        X + 0.06 * rng.normal(size=(samples, 2)), arm.astype(np.int64), ("x", "y"), ("one", "two")
    )


def _glorot(sizes: Sequence[int], seeds: Sequence[int]) -> list[Tensor]:
    """Return weights for all runs, of variance 2 / (D_in + D_out) (Glorot and Bengio, 2010)."""
    draws = {seed: np.random.default_rng([seed, 0]) for seed in dict.fromkeys(seeds)}
    made = {
        seed: [
            rng.normal(size=(before, after)) * np.sqrt(2 / (before + after))
            for before, after in itertools.pairwise(sizes)
        ]
        for seed, rng in draws.items()
    }
    return [
        torch.as_tensor(np.stack([made[seed][layer] for seed in seeds])).float()
        for layer in range(len(sizes) - 1)
    ]


def _array(values: Tensor) -> Array:
    return values.detach().double().numpy()
