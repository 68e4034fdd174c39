"""Bowls and the data that make them: whitening transforms, and steps counted without taking them.

:class:`Whitening` has the methods of scikit-learn's transformers, so that ``data.scaled`` can use
it: it learns from training rows and then treats any rows alike.
"""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Kind = Literal["rotate", "pca", "zca", "cholesky"]


class Whitening:
    """Centre the data, then multiply by a matrix that makes their covariance the identity.

    Parameters
    ----------
    kind : "rotate", "pca", "zca" or "cholesky"
        Which of the many such matrices: "pca" leaves the coordinates on the principal axes,
        largest variance first, "zca" turns them back, "cholesky" is triangular. "rotate" is
        "pca" without the division: it decorrelates and does not whiten.
    eps : float
        Added to every variance before the root is taken. With ``eps=0``, directions without
        variance are set to 0 instead of being divided by it.

    Attributes
    ----------
    mean : (D,)
    matrix : (D, D)
        The result is ``(X - mean) @ matrix``.
    variances : (D,)
        The variances along the principal axes, falling; 0 where there is none.
    """

    def __init__(self, kind: Kind = "zca", eps: float = 0.0) -> None:
        self.kind, self.eps = kind, eps

    def fit(self, X: ArrayLike) -> "Whitening":
        """Learn mean and matrix from the rows of ``X`` (N, D)."""
        X = np.asarray(X, dtype=np.float64)
        N, D = X.shape
        self.mean = X.mean(axis=0)
        singular, axes = np.linalg.svd(X - self.mean, full_matrices=True)[1:]
        # Singular values measure deviations, which keeps small ones accurate beside large ones.
        self.variances = np.zeros(D)
        self.variances[: len(singular)] = singular**2 / N
        self.variances[self.variances <= 1e-24 * self.variances[0]] = 0.0
        raised = self.variances + self.eps
        factors = np.divide(1.0, np.sqrt(raised), where=raised > 0, out=np.zeros(D))
        if self.kind == "rotate":
            self.matrix = axes.T
        elif self.kind == "pca":
            self.matrix = axes.T * factors
        elif self.kind == "zca":
            self.matrix = axes.T * factors @ axes
        elif self.kind == "cholesky":
            covariance = axes.T * raised @ axes
            self.matrix = np.linalg.inv(np.linalg.cholesky(covariance)).T
        else:
            raise ValueError(f"no whitening is called {self.kind!r}")
        return self

    def transform(self, X: ArrayLike) -> Array:
        """Return the rows of ``X`` (any, D), treated with what was learned."""
        return (np.asarray(X, dtype=np.float64) - self.mean) @ self.matrix

    def fit_transform(self, X: ArrayLike) -> Array:
        """Learn from ``X``, and return it treated."""
        return self.fit(X).transform(X)


def curvatures(X: ArrayLike) -> Array:
    """Return the eigenvalues of ``XᵀX / N`` for X (…, N, D), largest first.

    They are the curvatures of the least-squares loss ½·mean((Xw − y)²). Zeros are returned where
    there are fewer rows than columns.
    """
    X = np.asarray(X, dtype=np.float64)
    singular = np.linalg.svd(X, compute_uv=False)
    values = np.zeros((*X.shape[:-2], X.shape[-1]))
    values[..., : singular.shape[-1]] = singular**2 / X.shape[-2]
    return values


def steps_to(
    curvature: ArrayLike, excess: ArrayLike, lr: float, tol: float, give_up: int = 10**12
) -> float:
    """Count the steps of gradient descent on a quadratic, without taking them.

    After ``t`` steps the direction of curvature λ still holds ``(1 - lr·λ)^(2t)`` of its part of
    the excess loss, so the count is found by bisection. It is the number that
    :func:`lab.descent.descend` finds by walking.

    Parameters
    ----------
    curvature : (D,)
        The eigenvalues λ of the Hessian.
    excess : (D,)
        What each eigenvector contributes to the loss above its minimum at the start, ½λc².
    lr : float
    tol : float
        The share of the excess loss at which to stop.
    give_up : int
        No more steps than these; the count is infinite if they are not enough.

    Returns
    -------
    float
        A whole number, or ``inf`` when the loss does not fall so far.
    """
    shrink = np.abs(1 - lr * np.asarray(curvature, dtype=np.float64))
    excess = np.asarray(excess, dtype=np.float64)
    used = excess > 0
    if (shrink[used] >= 1).any() and not _arrived(shrink, excess, 0, tol):
        return np.inf
    low, high = -1, 1
    while not _arrived(shrink, excess, high, tol):
        low, high = high, 2 * high
        if low > give_up:
            return np.inf
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _arrived(shrink, excess, middle, tol) else (middle, high)
    return float(high)


def _arrived(shrink: Array, excess: Array, steps: int, tol: float) -> bool:
    with np.errstate(under="ignore"):
        return bool((shrink ** (2.0 * steps) * excess).sum() <= tol * excess.sum())


def newton_root(C: Array, iterations: int) -> Array:
    """Approximate ``C^(-1/2)`` by matrix products alone (Newton's iteration; Huang et al., 2019).

    ``C`` (…, D, D) is symmetric and positive definite. Dividing by the trace first brings all
    eigenvalues into (0, 1], where the iteration converges; small ones take longest.
    """
    identity = np.eye(C.shape[-1])
    trace = np.trace(C, axis1=-2, axis2=-1)[..., None, None]
    scaled = C / trace
    root = np.broadcast_to(identity, C.shape)
    for _ in range(iterations):
        root = (3 * root - root @ root @ root @ scaled) / 2
    return root / np.sqrt(trace)
