"""Deep networks at birth: what the signal does on its way up, and the gradient on its way down.

A network here is a list of K weight matrices without biases, and layer l computes
``u = h @ W``, ``h = f(u)`` with one activation f for all. Nothing is trained by :func:`trace`; it
sends one batch through and differentiates with PyTorch's autograd, in float64, because gradients of
1e-31 are a result and not a rounding error. :func:`train` trains many such networks side by side.

Shapes: N samples, D units, K layers, R networks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from lab import data

Array = NDArray[np.float64]
Normalization = Literal["none", "before", "after"]

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "linear": lambda u: u,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
}
ENDS = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}
EPS = 1e-5
"""What batch normalization adds to the variance."""

# The matrices are small: on a busy machine, threads would wait for one another more than they work.
torch.set_num_threads(1)
torch.set_flush_denormal(True)  # numbers below 1e-308 slow a processor down, and are 0 to us


def weights(
    seed: int, depth: int, width: int = 100, std: float = 1.0, inputs: int | None = None
) -> list[Array]:
    """Draw the K weight matrices of one network.

    Parameters
    ----------
    seed : int
        The same seed gives the same matrices up to the factor ``std``, so that networks of
        different scales are compared draw by draw.
    depth, width : int
        K matrices; all are (width, width), except the first if ``inputs`` is given.
    std : float
        The standard deviation of the hidden weights. A first matrix of another shape gets
        ``std · √(width / inputs)``, so that its sums have the same spread as all others.
    inputs : int, optional
        D of the data.
    """
    rng = np.random.default_rng([seed, 1])
    first = width if inputs is None else inputs
    shapes = [(first, width)] + [(width, width)] * (depth - 1)
    return [rng.normal(size=s) * std * np.sqrt(width / s[0]) for s in shapes]


def noise(seed: int, samples: int = 128, width: int = 100) -> Array:
    """Draw a batch of (N, D) independent standard normal inputs."""
    return np.random.default_rng([seed, 2]).normal(size=(samples, width))


def batch_norm(u: Tensor, dim: int = 0) -> Tensor:
    """Give each unit mean 0 and variance 1 over the batch; the gradient passes through both."""
    centered = u - u.mean(dim=dim, keepdim=True)
    return centered / torch.sqrt((centered**2).mean(dim=dim, keepdim=True) + EPS)


@dataclass(frozen=True)
class Trace:
    """What one batch saw of a network.

    Attributes
    ----------
    inputs : K arrays (N, D)
        What enters each activation: u, or its normalized version.
    activations : K arrays (N, D)
        What leaves each activation, before a normalization that may follow.
    gradients : (K + 1,)
        Norms of the gradient with respect to the input and to each layer's output, in this order.
    weight_gradients : (K,)
        Norms of the gradients with respect to the weights.
    alignment : (K,)
        The inner product of each weight matrix with its gradient.
    """

    inputs: list[Array]
    activations: list[Array]
    gradients: Array
    weight_gradients: Array
    alignment: Array


def trace(
    X: ArrayLike,
    matrices: Sequence[ArrayLike],
    activation: str,
    normalization: Normalization = "none",
    seed: int = 0,
) -> Trace:
    """Send a batch up and a random gradient of norm 1 down.

    Parameters
    ----------
    X : (N, D)
    matrices : K arrays
        From :func:`weights`.
    activation : "linear", "sigmoid", "tanh" or "relu"
    normalization : "none", "before" or "after"
        Batch normalization (without scale and shift) of each layer, before or after its activation.
    seed : int
        Draws the gradient that arrives at the output: a direction at random stands for that of a
        loss.
    """
    f = ACTIVATIONS[activation]
    h = torch.as_tensor(np.asarray(X, dtype=np.float64)).requires_grad_()
    parameters = [torch.as_tensor(np.asarray(W)).requires_grad_() for W in matrices]
    layers, inputs, activations = [h], [], []
    for W in parameters:
        u = h @ W
        if normalization == "before":
            u = batch_norm(u)
        h = f(u)
        inputs.append(u.detach().numpy())
        activations.append(h.detach().numpy())
        if normalization == "after":
            h = batch_norm(h)
        layers.append(h)
    upstream = torch.as_tensor(np.random.default_rng([seed, 3]).normal(size=tuple(h.shape)))
    upstream = upstream / upstream.norm()
    found = torch.autograd.grad((h * upstream).sum(), [*layers, *parameters])
    by_layer, by_weight = found[: len(layers)], found[len(layers) :]
    return Trace(
        inputs=inputs,
        activations=activations,
        gradients=np.array([g.norm().item() for g in by_layer]),
        weight_gradients=np.array([g.norm().item() for g in by_weight]),
        alignment=np.array(
            [(W * g).sum().item() for W, g in zip(parameters, by_weight, strict=True)]
        ),
    )


def factor(gradients: Array, skip: int = 5) -> float:
    """Return the factor per layer by which a gradient grows (or shrinks) towards the input.

    The slope of a straight line through the logarithms of the (K + 1,) norms; the first and last
    ``skip`` layers, which differ from the others, are left out.
    """
    norms = np.log(gradients[skip : len(gradients) - skip])
    return float(np.exp(-np.polyfit(np.arange(len(norms)), norms, deg=1)[0]))


def saturation(layer: Array, activation: str) -> float:
    """Return the share of activations more than 99 % of the way to an end (for ReLU: that are 0).

    The slope of sigmoid and tanh is below 2 % of its maximum there.
    """
    if activation not in ENDS:
        return float(np.mean(layer == 0))
    low, high = ENDS[activation]
    return float(np.mean(np.abs(2 * layer - low - high) > 0.99 * (high - low)))


def slope(u: ArrayLike, activation: str) -> Array:
    """Return the slope of an activation at its inputs."""
    point = torch.as_tensor(np.asarray(u, dtype=np.float64)).requires_grad_()
    (found,) = torch.autograd.grad(ACTIVATIONS[activation](point).sum(), point)
    return found.numpy()


def gaussian_average(function: Callable[[Array], Array], std: float = 1.0) -> float:
    """Return the mean of ``function(u)`` for u normal with mean 0, by a fine sum."""
    z = np.linspace(-10, 10, 40_000)  # an even number, so that a kink at 0 lies between two
    density = np.exp(-(z**2) / 2)
    return float((function(std * z) * density).sum() / density.sum())


def power(value: float) -> str:
    """Return a number as short text, very large and very small ones with a power of ten."""
    if value == 0 or 0.01 <= abs(value) < 1000:
        return f"{value:.2g}" if abs(value) < 100 else f"{value:.0f}"
    digit, exponent = f"{value:.0e}".split("e")
    raised = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{digit}·10{raised}"


def train(
    activation: str,
    depth: int,
    stds: ArrayLike,
    lrs: ArrayLike,
    seeds: Sequence[int],
    *,
    width: int = 100,
    steps: int = 200,
    batch: int = 64,
    normalization: Normalization = "none",
    max_norm: float = np.inf,
    growth: float = 1.0,
) -> tuple[Array, NDArray[np.bool_]]:
    """Train R classifiers of the digits side by side by plain SGD, and test them.

    Parameters
    ----------
    activation, normalization
        As in :func:`trace`; a batch normalization here also learns a scale and a shift per unit.
    depth, width : int
        K hidden layers, and one linear layer to the ten classes on top of them.
    stds, lrs, seeds : (R,) each
        Per network: the standard deviation of its hidden weights, its learning rate, and the seed
        of its split, weights and batches.
    steps, batch : int
        How many batches of how many samples.
    max_norm : float
        Where the global norm of each network's gradient is clipped.
    growth : float
        Each hidden layer's rate is smaller than that of the hidden layer above it by this factor,
        by which its gradient may be larger. The last hidden layer and the top keep the rate.

    Returns
    -------
    accuracy, finite : (R,) each
        On 360 test digits, with statistics of the training set where batches are normalized; and
        whether the last loss was a finite number.
    """
    parts = data.stack([data.center_and_rescale(p) for p in data.splits(data.digits(), seeds, 360)])
    X, X_test = (torch.as_tensor(a).float() for a in (parts.X_train, parts.X_test))
    y, y_test = (torch.as_tensor(a) for a in (parts.y_train, parts.y_test))
    drawn = [
        weights(seed, depth, width, std, X.shape[2])
        for seed, std in zip(seeds, np.asarray(stds, dtype=float), strict=True)
    ]
    hidden = [torch.as_tensor(np.stack(layer)).float() for layer in zip(*drawn, strict=True)]
    top = [np.random.default_rng([s, 4]).normal(size=(width, 10)) / np.sqrt(width) for s in seeds]
    parameters = [*hidden, torch.as_tensor(np.stack(top)).float()]
    if normalization != "none":
        for _ in hidden:
            parameters += [torch.ones(len(seeds), 1, width), torch.zeros(len(seeds), 1, width)]
    for p in parameters:
        p.requires_grad_()

    def logits(X: Tensor, fitted_on: int | None = None) -> Tensor:
        h = X
        for i in range(depth):
            h = h @ parameters[i]
            if normalization == "after":
                h = ACTIVATIONS[activation](h)
            if normalization != "none":
                rows = h[:, :fitted_on]
                variance, center = torch.var_mean(rows, dim=1, keepdim=True, correction=0)
                gamma, beta = parameters[depth + 1 + 2 * i : depth + 3 + 2 * i]
                h = torch.addcmul(beta, h - center, gamma * torch.rsqrt(variance + EPS))
            if normalization != "after":
                h = ACTIVATIONS[activation](h)
        return h @ parameters[depth]

    # How many hidden layers are above that of each parameter; scale and shift come last, in pairs.
    above = [*range(depth - 1, -1, -1)]
    above += [0] + [n for n in above for _ in range(2)] * (normalization != "none")
    draws = [np.random.default_rng([seed, 5]) for seed in seeds]
    rate = torch.as_tensor(np.asarray(lrs, dtype=np.float32)).reshape(-1, 1, 1)
    row = torch.arange(len(seeds))[:, None]
    for _ in range(steps):
        chosen = torch.as_tensor(np.stack([d.choice(X.shape[1], batch, False) for d in draws]))
        losses = torch.nn.functional.cross_entropy(
            logits(X[row, chosen]).movedim(2, 1), y[row, chosen], reduction="none"
        ).mean(dim=1)
        gradients = torch.autograd.grad(losses.sum(), parameters)
        norm = torch.stack([(g**2).sum(dim=(1, 2)) for g in gradients]).sum(dim=0).sqrt()
        shrink = torch.clamp(max_norm / norm, max=1.0).reshape(-1, 1, 1)
        with torch.no_grad():
            for p, g, n in zip(parameters, gradients, above, strict=True):
                p -= rate / growth**n * shrink * g
    with torch.no_grad():
        scores = logits(torch.cat([X, X_test], dim=1), X.shape[1])[:, X.shape[1] :]
        accuracy = (scores.argmax(dim=2) == y_test).double().mean(dim=1)
    return accuracy.numpy(), torch.isfinite(losses.detach()).numpy()
