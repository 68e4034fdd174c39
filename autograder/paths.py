"""Which path through a batch normalization layer is wrong in a gradient? A least-squares fit.

The gradient with respect to the layer's input has, feature by feature, three terms:

    dx = γ/σ · dy  −  γ/σ · mean(dy)  −  γ/σ · mean(dy · x̂) · x̂

The first comes down the direct path, the second through the batch's mean, the third through its
variance. A wrong dx is fitted as a·dy + b·1 + c·x̂. Its three coefficients, divided by those of the
right one, say which term is missing, has the wrong sign, or lacks one of its factors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

TERMS = (
    "the direct term (dy)",
    "the term of the mean (the same for all samples)",
    "the term of the variance (a multiple of x̂)",
)
RIGHT = "is right"

# Fewer samples than this cannot tell three terms from anything else.
_FEWEST = 5
_NEAR = 1e-5


def explain(dy: Array, x_hat: Array, gamma: Array, std: Array) -> Callable[[Any, Any], str]:
    """What `autograder.exercise.Explained` asks, for a gradient with respect to the input.

    Args:
        dy: the gradient that arrives, shape (N, D) or (N, C, H, W).
        x_hat: the normalized input, of the same shape.
        gamma: (D,) or (C,).
        std: the root of variance plus eps, (D,) or (C,).

    Returns:
        A function of the expected gradient and another one that returns a sentence; an empty one
        when the other is no gradient at all, or nothing can be read off it.
    """
    basis = [np.array(a, dtype=float) for a in (dy, x_hat, gamma, std)]
    return lambda expected, got: _sentence(expected, got, *basis)


def _sentence(expected: Any, got: Any, dy: Array, x_hat: Array, gamma: Array, std: Array) -> str:
    for a in (expected, got):
        if not isinstance(a, np.ndarray) or a.shape != dy.shape or a.dtype.kind != "f":
            return ""
    if not np.isfinite(got).all():
        return ""
    dy, x_hat, expected, got = (_by_feature(a) for a in (dy, x_hat, expected, got))
    if len(dy) < _FEWEST:
        return ""
    right, _ = _fit(expected, dy, x_hat)
    found, rest = _fit(got, dy, x_hat)
    if rest > _NEAR:
        return (
            "It is not made of dy, 1 and x̂ alone, of which every gradient through this layer "
            "consists: something else has been mixed in."
        )
    n = len(dy)
    said = [_term(r, f, n, gamma, std) for r, f in zip(right, found, strict=True)]
    if len(set(said)) == 1 and said[0] != RIGHT:
        return f"Fitted to dy, 1 and x̂, feature by feature: each of its three terms {said[0]}."
    told = "; ".join(f"{term} {what}" for term, what in zip(TERMS, said, strict=True))
    return f"Fitted to dy, 1 and x̂, feature by feature: {told}."


def _by_feature(a: Array) -> Array:
    """An array of shape (N, D) or (N, C, ...), with one column for each feature or channel."""
    return np.moveaxis(np.asarray(a, dtype=float), 1, -1).reshape(-1, a.shape[1])


def _fit(dx: Array, dy: Array, x_hat: Array) -> tuple[Array, float]:
    """The coefficients of dy, 1 and x̂, shape (3, D), and what is left over, relative to dx."""
    basis = np.stack([dy.T, np.ones_like(dy.T), x_hat.T], axis=-1)
    coefficients = np.einsum("dkn,nd->kd", np.linalg.pinv(basis), dx)
    left = np.linalg.norm(dx - np.einsum("dnk,kd->nd", basis, coefficients), axis=0)
    size = np.maximum(np.linalg.norm(dx, axis=0), 1e-300)
    return coefficients, float((left / size).max())


def _term(right: Array, found: Array, n: int, gamma: Array, std: Array) -> str:
    """What is wrong with the coefficients of one term, to follow its name."""
    size = max(float(np.abs(right).max()), 1e-300)
    if np.abs(right).max() < 1e-9:
        return RIGHT if np.abs(found).max() < 1e-9 else "is there, where none belongs"
    if np.abs(found).max() < 1e-7 * size:
        return "is missing"
    ratio = found / np.where(right == 0, np.nan, right)
    faults = {
        "": np.ones_like(gamma),
        "is N times too large": np.full_like(gamma, n),
        "is N times too small": np.full_like(gamma, 1 / n),
        "is N/(N-1) times too large": np.full_like(gamma, n / (n - 1)),
        "is too small by the factor (N-1)/N": np.full_like(gamma, (n - 1) / n),
        "lacks its factor γ": 1 / gamma,
        "has its factor γ twice": gamma,
        "is not divided by σ": std,
        "is divided by σ once too often": 1 / std,
        "lacks both γ and 1/σ": std / gamma,
        "has γ twice and lacks 1/σ": gamma * std,
        "is twice what it should be": np.full_like(gamma, 2),
        "is half of what it should be": np.full_like(gamma, 0.5),
    }
    for what, factor in faults.items():
        if np.allclose(ratio, factor, rtol=_NEAR, atol=0):
            return what or RIGHT
        if np.allclose(ratio, -factor, rtol=_NEAR, atol=0):
            return f"has the wrong sign and {what}" if what else "has the wrong sign"
    if np.allclose(ratio, ratio[0], rtol=_NEAR, atol=0):
        return f"is {ratio[0]:.4g} times what it should be"
    return "is off by a factor of its own in each feature"
