"""The way back through batch normalization: its graph, its three paths, and what goes wrong there.

Everything is computed by PyTorch in float64 unless a caller passes other tensors. A path is cut by
``detach``: the statistic keeps its value and no longer takes part in the gradient.

Shapes: N samples, D features, R networks.
"""

import timeit
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from lab import data, figures

Array = NDArray[np.float64]
PATHS = ("direct", "mean", "variance")

# The matrices are small: threads would wait for one another longer than they work.
torch.set_num_threads(1)


@dataclass(frozen=True)
class Batch:
    """A layer's input, its scale, and a gradient that arrives at its output."""

    x: Tensor
    gamma: Tensor
    dy: Tensor


def batch(seed: int, samples: int = 16, features: int = 5) -> Batch:
    """Draw a batch whose features differ in center and scale, and a random incoming gradient.

    Returns x and dy of shape (N, D), and gamma of shape (D,), away from 0 and of either sign.
    """
    rng = np.random.default_rng([seed, 11])
    scale, center = np.exp(rng.normal(size=features)), 3 * rng.normal(size=features)
    x = rng.normal(size=(samples, features)) * scale + center
    gamma = rng.uniform(0.5, 2.0, features) * rng.choice([-1, 1], features)
    dy = rng.normal(size=(samples, features)) + rng.normal(size=features)
    return Batch(*(torch.as_tensor(a) for a in (x, gamma, dy)))


def normalize(
    x: Tensor, eps: float = 1e-5, paths: Collection[str] = PATHS, dim: int | tuple[int, ...] = 0
) -> Tensor:
    """Return x_hat; the gradient passes along the given paths only."""
    mean = x.mean(dim=dim, keepdim=True)
    var = x.var(dim=dim, keepdim=True, correction=0)
    if "mean" not in paths:
        mean = mean.detach()
    if "variance" not in paths:
        var = var.detach()
    through = x if "direct" in paths else x.detach()
    return (through - mean) / torch.sqrt(var + eps)


def gradient(
    b: Batch, eps: float = 1e-5, paths: Collection[str] = PATHS, dy: Tensor | None = None
) -> Tensor:
    """Return dx, shape (N, D), by autograd, along the given paths only."""
    x = b.x.clone().requires_grad_()
    y = b.gamma * normalize(x, eps, paths)
    (dx,) = torch.autograd.grad(y, x, b.dy if dy is None else dy)
    return dx


# --- the graph -------------------------------------------------------------------------------

_PLACES = {
    "x": (0, 1),
    "mean": (1.0, 0),
    "centered": (2.2, 1),
    "squared": (2.9, 0),
    "var": (4.1, 0),
    "std": (5.0, 0),
    "inv_std": (6.0, 0),
    "x_hat": (6.4, 1),
    "y": (7.5, 1),
    "γ, β": (7.5, 0),
}
_EDGES = (
    ("x", "mean", "variance"),
    ("mean", "centered", "mean"),
    ("x", "centered", "direct"),
    ("centered", "x_hat", "direct"),
    ("centered", "squared", "variance"),
    ("squared", "var", "variance"),
    ("var", "std", "variance"),
    ("std", "inv_std", "variance"),
    ("inv_std", "x_hat", "variance"),
    ("x_hat", "y", "direct"),
    ("γ, β", "y", "none"),
)
_LOOKS = {"direct": 0, "mean": 1, "variance": 2, "none": 5}


def _room(start: str, end: str, node: str) -> float:
    """How far from the middle of a node an arrow begins or ends, in points."""
    level = _PLACES[start][1] == _PLACES[end][1]
    return 9 + 2.3 * len({"x_hat": "x", "inv_std": "1/std"}.get(node, node)) if level else 13


def draw_graph(ax: Axes) -> None:
    """Draw the computation from x to y; an arrow's look says which path leads back along it."""
    names = {"x_hat": "x̂", "inv_std": "1/std"}
    for node, (x, y) in _PLACES.items():
        ax.text(
            *(x, y),
            names.get(node, node),
            ha="center",
            va="center",
            fontsize=10.5,
            bbox={"boxstyle": "round,pad=0.35", "facecolor": "none", "edgecolor": figures.INK},
        )
    for start, end, path in _EDGES:
        look = figures.SERIES[_LOOKS["mean" if start == "x" and end == "mean" else path]]
        ax.annotate(
            "",
            xytext=_PLACES[start],
            xy=_PLACES[end],
            arrowprops={
                "arrowstyle": "-|>",
                "color": look.color,
                "linestyle": look.linestyle,
                "linewidth": 1.6,
                "shrinkA": _room(start, end, start),
                "shrinkB": _room(start, end, end),
            },
        )
    for path in PATHS:
        ax.plot([], [], **figures.series(_LOOKS[path], marker=""), label=f"{path} path")
    ax.set(xlim=(-0.4, 7.95), ylim=(-0.4, 1.4))
    ax.axis("off")
    ax.legend(loc="upper center", ncols=3, bbox_to_anchor=(0.5, 1.18))


# --- wrong gradients, and checks that should find them ---------------------------------------


def wrong_gradients(b: Batch, dy: Tensor, eps: float = 1e-5) -> dict[str, Tensor]:
    """Return a dozen wrong dx, with one fault each, by the name of the fault."""
    n = len(b.x)
    right = gradient(b, eps, dy=dy)
    direct = gradient(b, eps, ("direct",), dy)
    mean = gradient(b, eps, ("direct", "mean"), dy) - direct
    variance = gradient(b, eps, ("direct", "variance"), dy) - direct
    std = torch.sqrt(b.x.var(dim=0, correction=0) + eps)
    return {
        "zero": torch.zeros_like(right),
        "statistics as constants": direct,
        "mean path missing": direct + variance,
        "variance path missing": direct + mean,
        "direct path missing": mean + variance,
        "sign of the mean term": direct - mean + variance,
        "sign of the variance term": direct + mean - variance,
        "1/N missing in both terms": direct + n * (mean + variance),
        "N − 1 in the variance term": direct + mean + n / (n - 1) * variance,
        "γ missing": right / b.gamma,
        "1/σ missing": right * std,
        "every sign": -right,
    }


# --- statistics as constants -----------------------------------------------------------------


def runaway_bias(seed: int, steps: int = 200, lr: float = 0.1) -> tuple[Array, Array]:
    """Run the example of Ioffe and Szegedy (2015), section 2: u + b, centered, mean as a constant.

    The loss is half the mean squared distance of the centered values from a target whose mean is 1.

    Returns
    -------
    bias, loss : (steps + 1,) each
    """
    rng = np.random.default_rng([seed, 12])
    u, target = rng.normal(size=64), rng.normal(size=64)
    target += 1 - target.mean()
    b, bias, loss = 0.0, [], []
    for _ in range(steps + 1):
        centered = (u + b) - (u + b).mean()
        bias.append(b)
        loss.append(0.5 * ((centered - target) ** 2).mean())
        b -= lr * (centered - target).mean()  # as if the mean did not depend on b
    return np.array(bias), np.array(loss)


@dataclass(frozen=True)
class Training:
    """How R networks trained.

    Attributes
    ----------
    bias : (steps, R)
        Norm of the first layer's bias, which batch normalization should cancel.
    loss : (steps, R)
        Of the batch at hand, in nats.
    accuracy : (R,)
        On 360 test digits, with statistics of the training set.
    """

    bias: Array
    loss: Array
    accuracy: Array


def train(seeds: Sequence[int], lr: float, paths: Collection[str], steps: int = 400) -> Training:
    """Train networks 64-100-100-10 (ReLU, batch normalization before it, batches of 60) by SGD.

    The linear layers keep their biases on purpose. One network per seed, side by side.
    """
    parts = data.stack([data.center_and_rescale(p) for p in data.splits(data.digits(), seeds, 360)])
    X, X_test = (torch.as_tensor(a).float() for a in (parts.X_train, parts.X_test))
    y, y_test = (torch.as_tensor(a) for a in (parts.y_train, parts.y_test))
    draws = [np.random.default_rng([seed, 13]) for seed in seeds]
    parameters: list[Tensor] = []
    for fan_in, fan_out in ((64, 100), (100, 100), (100, 10)):
        W = np.stack([d.normal(size=(fan_in, fan_out)) * np.sqrt(2 / fan_in) for d in draws])
        parameters += [torch.as_tensor(W).float(), torch.zeros(len(seeds), 1, fan_out)]
    for _ in range(2):
        parameters += [torch.ones(len(seeds), 1, 100), torch.zeros(len(seeds), 1, 100)]
    for p in parameters:
        p.requires_grad_()

    def logits(h: Tensor, fitted_on: int | None = None) -> Tensor:
        for i in range(2):
            u = h @ parameters[2 * i] + parameters[2 * i + 1]
            if fitted_on is None:
                x_hat = normalize(u, paths=paths, dim=1)
            else:
                rows = u[:, :fitted_on]
                var = rows.var(dim=1, keepdim=True, correction=0)
                x_hat = (u - rows.mean(dim=1, keepdim=True)) / torch.sqrt(var + 1e-5)
            h = torch.relu(parameters[6 + 2 * i] * x_hat + parameters[7 + 2 * i])
        return h @ parameters[4] + parameters[5]

    row = torch.arange(len(seeds))[:, None]
    bias, loss = [], []
    for _ in range(steps):
        chosen = torch.as_tensor(np.stack([d.choice(X.shape[1], 60, False) for d in draws]))
        each = torch.nn.functional.cross_entropy(
            logits(X[row, chosen]).movedim(2, 1), y[row, chosen], reduction="none"
        ).mean(dim=1)
        gradients = torch.autograd.grad(each.sum(), parameters)
        with torch.no_grad():
            for p, g in zip(parameters, gradients, strict=True):
                p -= lr * g
        bias.append(parameters[1].detach().norm(dim=(1, 2)).double().numpy())
        loss.append(each.detach().double().numpy())
    with torch.no_grad():
        scores = logits(torch.cat([X, X_test], dim=1), X.shape[1])[:, X.shape[1] :]
        accuracy = (scores.argmax(dim=2) == y_test).double().mean(dim=1).numpy()
    return Training(np.array(bias), np.array(loss), accuracy)


def relative_error(found: ArrayLike, right: ArrayLike) -> float:
    """Return the norm of the difference, relative to the larger norm (0 if both are 0)."""
    a, b = np.asarray(found, dtype=float), np.asarray(right, dtype=float)
    size = max(np.linalg.norm(a), np.linalg.norm(b))
    return float(np.linalg.norm(a - b) / size) if size else 0.0


# --- cost ------------------------------------------------------------------------------------


def ways_back(samples: int, features: int) -> dict[str, tuple[Tensor, Callable[[], Tensor]]]:
    """Return four ways to the same dx in float32: what they give, and a function that does it.

    Only the way back is in the function; what the way forward leaves behind is ready.
    """
    made = batch(0, samples, features)
    x, gamma, dy = (t.float() for t in (made.x, made.gamma, made.dy))
    mean = x.mean(dim=0)
    inv_std = torch.rsqrt(x.var(dim=0, correction=0) + 1e-5)
    x_hat = (x - mean) * inv_std
    leaf, leaf_gamma = x.clone().requires_grad_(), gamma.clone().requires_grad_()
    beta = torch.zeros_like(gamma).requires_grad_()
    nodes = leaf_gamma * normalize(leaf) + beta
    fused = torch.nn.functional.batch_norm(leaf, None, None, leaf_gamma, beta, training=True)
    eye = torch.eye(samples)

    def closed() -> Tensor:
        dbeta, dgamma = dy.sum(dim=0), (dy * x_hat).sum(dim=0)
        rest = torch.addcmul(dbeta, x_hat, dgamma)
        return torch.sub(dy, rest, alpha=1 / samples).mul_(gamma * inv_std)

    def matrices() -> Tensor:
        columns = []
        for j in range(features):
            v = x_hat[:, j]
            J = (eye - 1 / samples - torch.outer(v, v) / samples) * inv_std[j]
            columns.append(gamma[j] * (J @ dy[:, j]))
        return torch.stack(columns, dim=1)

    def back(y: Tensor) -> Callable[[], Tensor]:
        inputs = (leaf, leaf_gamma, beta)
        return lambda: torch.autograd.grad(y, inputs, dy, retain_graph=True)[0]

    ways = {
        "closed form": closed,
        "node by node": back(nodes),
        "PyTorch's own": back(fused),
        "one matrix per feature": matrices,
    }
    return {name: (way(), way) for name, way in ways.items()}


def seconds(call: Callable[[], object], repeats: int = 7, number: int = 5) -> float:
    """Return the shortest of several timings of a call, which is the least disturbed one."""
    return min(timeit.repeat(call, repeat=repeats, number=number)) / number
