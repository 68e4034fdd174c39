"""Gradient descent with the steps counted, for many runs at once.

A *run* is one training of one model: one seed, one scaling, one learning rate. Runs with the same
shapes are stacked along a leading axis R and walk side by side, each with its own data and its own
learning rate, so that twenty seeds cost little more than one and error bars come nearly free. A run
that diverges fills up with infinities and leaves its neighbours alone.

Shapes: R runs, N samples, D features (one more with the bias), K classes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Update = Callable[[Array, Array], Array]


class Problem(Protocol):
    """What can be descended: R losses and their gradients at R points."""

    start: Array

    def loss_and_gradient(self, w: Array) -> tuple[Array, Array]:
        """Return the (R,) losses and the gradients, shaped like ``w``."""


def with_bias(X: ArrayLike) -> Array:
    """Append a feature that is always 1, whose weight is the bias: (…, N, D) → (…, N, D + 1)."""
    X = np.asarray(X, dtype=np.float64)
    return np.concatenate([X, np.ones((*X.shape[:-1], 1))], axis=-1)


def curvature(X: ArrayLike, bias: bool = True) -> tuple[Array, Array]:
    """Return the smallest and the largest eigenvalue of ``XᵀX / N``.

    For least squares with the loss ½·mean((Xw − y)²) this matrix is the Hessian. For softmax
    regression it is, up to the factor 1/K and outside the flat directions, the Hessian at zero
    weights.

    Parameters
    ----------
    X : (…, N, D)
    bias : bool
        Append the constant feature first, as a model with a bias has it.

    Returns
    -------
    flattest, steepest : (…,) each
        In squared units of the features. Computed from the singular values of ``X``, which keeps
        small eigenvalues accurate beside large ones.
    """
    X = with_bias(X) if bias else np.asarray(X, dtype=np.float64)
    eigenvalues = np.linalg.svd(X, compute_uv=False) ** 2 / X.shape[-2]
    return eigenvalues[..., -1], eigenvalues[..., 0]


def condition_number(X: ArrayLike, bias: bool = True) -> Array:
    """Return the ratio of the two :func:`curvature` values: 1 is a round bowl, 10⁶ a ravine."""
    flattest, steepest = curvature(X, bias)
    return steepest / flattest


class LeastSquares:
    """R linear regressions with the loss ½·mean((Xw − y)²).

    Parameters
    ----------
    X : (R, N, D)
        Used as it is: apply :func:`with_bias` for a model with a bias.
    y : (R, N)

    Attributes
    ----------
    start : (R, D)
        Zeros.
    solution, minimum : (R, D) and (R,)
        The minimiser (closed form) and the loss there.
    """

    def __init__(self, X: ArrayLike, y: ArrayLike) -> None:
        X, y = np.asarray(X, dtype=np.float64), np.asarray(y, dtype=np.float64)
        if X.ndim != 3 or y.shape != X.shape[:2]:
            raise ValueError(f"X must be (R, N, D) and y (R, N), not {X.shape} and {y.shape}")
        self.start = np.zeros((X.shape[0], X.shape[2]))
        self.solution = np.stack(
            [np.linalg.lstsq(A, b, rcond=None)[0] for A, b in zip(X, y, strict=True)]
        )
        residual = (X @ self.solution[..., None])[..., 0] - y
        self.minimum = 0.5 * (residual**2).mean(axis=-1)
        # The loss is a quadratic: it needs the data only through their Gram matrix.
        self._gram = np.swapaxes(X, -1, -2) @ X / X.shape[1]

    def loss_and_gradient(self, w: Array) -> tuple[Array, Array]:
        """Return the (R,) losses and the (R, D) gradients at ``w`` (R, D)."""
        error = w - self.solution
        gradient = (self._gram @ error[..., None])[..., 0]
        return self.minimum + 0.5 * (error * gradient).sum(axis=-1), gradient


class SoftmaxRegression:
    """R softmax regressions with the mean cross-entropy (in nats) as loss.

    Parameters
    ----------
    X : (R, N, D)
        A constant feature for the bias is appended.
    y : (R, N) integers
        Class numbers 0 … K−1.
    classes : int, optional
        K; by default one more than the largest class number.

    Attributes
    ----------
    start : (R, D + 1, K)
        Zeros: all classes equally likely, loss log K.
    """

    def __init__(self, X: ArrayLike, y: ArrayLike, classes: int | None = None) -> None:
        self._X, y = with_bias(X), np.asarray(y)
        if self._X.ndim != 3 or y.shape != self._X.shape[:2]:
            raise ValueError(f"X must be (R, N, D) and y (R, N), not {np.shape(X)} and {y.shape}")
        K = int(y.max()) + 1 if classes is None else classes
        self._one_hot = np.eye(K)[y]
        self.start = np.zeros((self._X.shape[0], self._X.shape[2], K))

    @property
    def curvature_bound(self) -> Array:
        """The (R,) numbers that no eigenvalue of a Hessian exceeds, wherever the weights are.

        Half the largest eigenvalue of ``XᵀX / N``; its inverse is a learning rate at which gradient
        descent never increases the loss (Böhning, 1992).
        """
        return 0.5 * curvature(self._X, bias=False)[1]

    def loss_and_gradient(self, w: Array) -> tuple[Array, Array]:
        """Return the (R,) losses and the (R, D + 1, K) gradients at ``w``."""
        scores = self._X @ w
        scores -= scores.max(axis=-1, keepdims=True)
        powers = np.exp(scores)
        total = powers.sum(axis=-1, keepdims=True)
        loss = -((scores - np.log(total)) * self._one_hot).sum(axis=-1).mean(axis=-1)
        gradient = np.swapaxes(self._X, -1, -2) @ (powers / total - self._one_hot)
        return loss, gradient / self._X.shape[1]


def predict(w: Array, X: ArrayLike) -> NDArray[np.int64]:
    """Return the likeliest class of each row: weights (R, D + 1, K), X (R, N, D) → (R, N)."""
    likeliest: NDArray[np.int64] = (with_bias(X) @ w).argmax(axis=-1)
    return likeliest


def gradient_descent(lr: ArrayLike) -> Update:
    """Steps −lr · gradient; ``lr`` is one number or (R,) numbers."""
    rate = np.asarray(lr, dtype=np.float64)

    def update(w: Array, gradient: Array) -> Array:
        return w - _per_run(rate, w) * gradient

    return update


def heavy_ball(lr: ArrayLike, momentum: ArrayLike) -> Update:
    """Gradient descent that keeps a share of its last step (Polyak, 1964).

    ``momentum`` is that share, one number or (R,) numbers. For a quadratic of known curvature,
    :func:`heavy_ball_for` fills in the best pair.
    """
    rate, share = np.asarray(lr, dtype=np.float64), np.asarray(momentum, dtype=np.float64)
    step: Array | None = None

    def update(w: Array, gradient: Array) -> Array:
        nonlocal step
        last = np.zeros_like(w) if step is None else step
        step = _per_run(share, w) * last - _per_run(rate, w) * gradient
        return w + step

    return update


def heavy_ball_for(flattest: ArrayLike, steepest: ArrayLike) -> Update:
    """Heavy ball with the rates that are best for eigenvalues between these, each (R,)."""
    low, high = np.sqrt(flattest), np.sqrt(steepest)
    return heavy_ball(4 / (low + high) ** 2, ((high - low) / (high + low)) ** 2)


def adam(lr: ArrayLike, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8) -> Update:
    """Adam (Kingma and Ba, 2015, algorithm 1): every weight has its own yardstick."""
    rate = np.asarray(lr, dtype=np.float64)
    first: Array | float = 0.0
    second: Array | float = 0.0
    count = 0

    def update(w: Array, gradient: Array) -> Array:
        nonlocal first, second, count
        count += 1
        first = beta1 * first + (1 - beta1) * gradient
        second = beta2 * second + (1 - beta2) * gradient**2
        mean = first / (1 - beta1**count)
        size = np.sqrt(second / (1 - beta2**count))
        return w - _per_run(rate, w) * mean / (size + eps)

    return update


@dataclass(frozen=True)
class Descent:
    """Where R runs ended, and after how many steps.

    Attributes
    ----------
    w : (R, …)
        The weights when a run reached its target, or after the last step.
    loss : (R,)
        The loss at those weights.
    steps : (R,) int64
        Updates taken until the loss was at or below the target for the first time; ``max_steps``
        where it never was.
    reached : (R,) bool
        Whether the target was reached. Report it: a mean over capped counts is no mean.
    """

    w: Array
    loss: Array
    steps: NDArray[np.int64]
    reached: NDArray[np.bool_]


def descend(
    problem: Problem, update: Update, target: ArrayLike = -np.inf, max_steps: int = 1000
) -> Descent:
    """Walk downhill from ``problem.start`` until every run has reached its target.

    Parameters
    ----------
    problem : Problem
        Whose R losses are to sink.
    update : Update
        A fresh one from :func:`gradient_descent`, :func:`heavy_ball` or :func:`adam`: these
        remember their past, so one update serves one descent.
    target : float or (R,)
        The loss at which a run counts as done. Without one, all runs take ``max_steps`` steps.
    max_steps : int
        Where to give up.
    """
    w = problem.start.copy()
    runs = len(w)
    goal = np.broadcast_to(np.asarray(target, dtype=np.float64), (runs,))
    final, final_loss = w.copy(), np.full(runs, np.nan)
    steps, reached = np.full(runs, max_steps), np.zeros(runs, dtype=bool)
    with np.errstate(over="ignore", invalid="ignore"):  # a diverging run is a result, not an error
        for step in range(max_steps + 1):
            loss, gradient = problem.loss_and_gradient(w)
            arrived = ~reached & (loss <= goal)
            final[arrived], final_loss[arrived], steps[arrived] = w[arrived], loss[arrived], step
            reached |= arrived
            if reached.all() or step == max_steps:
                break
            w = update(w, gradient)
    final[~reached], final_loss[~reached] = w[~reached], loss[~reached]
    return Descent(final, final_loss, steps, reached)


def _per_run(values: Array, w: Array) -> Array:
    """Give (R,) values the trailing axes that make them broadcast against ``w``."""
    return values.reshape(values.shape + (1,) * (w.ndim - 1)) if values.ndim else values
