"""Layers of a network in NumPy, each with a forward and a backward pass, for a trainer in a page.

The contract: ``forward(x, training)`` returns the output and remembers what the way back needs;
``backward(dy)`` takes the gradient of the loss with respect to that output, fills ``gradients`` and
returns the gradient with respect to the input. ``parameters`` and ``gradients`` are dicts of arrays
under the same names. All arrays are float64, batches are (N, D).
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Labels = NDArray[np.int64]


class Layer(Protocol):
    """What a trainer needs to know of a layer."""

    parameters: dict[str, Array]
    gradients: dict[str, Array]

    def forward(self, x: Array, training: bool) -> Array:
        """Return the output for a batch (N, D)."""

    def backward(self, dy: Array) -> Array:
        """Return the gradient with respect to the last input; fill ``gradients``."""


class Linear:
    """``x @ W + b``, with W (D_in, D_out) normal of a given standard deviation, and b = 0.

    Without ``bias`` there is no b: for a layer with batch normalization right behind it.
    """

    def __init__(
        self, rng: np.random.Generator, D_in: int, D_out: int, std: float, bias: bool = True
    ) -> None:
        self.parameters = {"W": std * rng.normal(size=(D_in, D_out))}
        if bias:
            self.parameters["b"] = np.zeros(D_out)
        self.gradients: dict[str, Array] = {}

    def forward(self, x: Array, training: bool) -> Array:
        """Return (N, D_out) values."""
        self._x = x
        return x @ self.parameters["W"] + self.parameters.get("b", 0.0)

    def backward(self, dy: Array) -> Array:
        """Return the (N, D_in) gradient."""
        self.gradients = {"W": self._x.T @ dy}
        if "b" in self.parameters:
            self.gradients["b"] = dy.sum(axis=0)
        return dy @ self.parameters["W"].T


class Sigmoid:
    """``1 / (1 + exp(−x))``, entry by entry."""

    def __init__(self) -> None:
        self.parameters: dict[str, Array] = {}
        self.gradients: dict[str, Array] = {}

    def forward(self, x: Array, training: bool) -> Array:
        """Return values between 0 and 1."""
        self._h = 0.5 * (1 + np.tanh(0.5 * x))  # the same function, and it cannot overflow
        return self._h

    def backward(self, dy: Array) -> Array:
        """Return ``dy · h (1 − h)``."""
        return dy * self._h * (1 - self._h)


class ReLU:
    """``max(x, 0)``, entry by entry."""

    def __init__(self) -> None:
        self.parameters: dict[str, Array] = {}
        self.gradients: dict[str, Array] = {}

    def forward(self, x: Array, training: bool) -> Array:
        """Return values that are not negative."""
        self._open = x > 0
        return np.where(self._open, x, 0.0)

    def backward(self, dy: Array) -> Array:
        """Pass the gradient where the input was positive."""
        return np.where(self._open, dy, 0.0)


class BatchNorm:
    """Batch normalization with running statistics, in PyTorch's conventions.

    In training, a batch is normalized by its own statistics, and the running ones follow (the
    variance unbiased, N − 1). Otherwise the running ones are used.

    Raises
    ------
    ValueError
        For a batch of one sample in training, which has no variance.
    """

    def __init__(self, D: int, momentum: float = 0.1, eps: float = 1e-5) -> None:
        self.parameters = {"gamma": np.ones(D), "beta": np.zeros(D)}
        self.gradients: dict[str, Array] = {}
        self.running_mean, self.running_var = np.zeros(D), np.ones(D)
        self.momentum, self.eps = momentum, eps

    def forward(self, x: Array, training: bool) -> Array:
        """Return (N, D) values."""
        self._training = training
        if training:
            if len(x) == 1:
                raise ValueError("batch normalization cannot train on a batch of one sample")
            mean, var = x.mean(axis=0), x.var(axis=0)
            unbiased = var * len(x) / (len(x) - 1)
            self.running_mean = (1 - self.momentum) * self.running_mean + self.momentum * mean
            self.running_var = (1 - self.momentum) * self.running_var + self.momentum * unbiased
        else:
            mean, var = self.running_mean, self.running_var
        self._scale = 1 / np.sqrt(var + self.eps)
        self._x_hat = (x - mean) * self._scale
        return self.parameters["gamma"] * self._x_hat + self.parameters["beta"]

    def backward(self, dy: Array) -> Array:
        """Return the (N, D) gradient: through the statistics, if they were the batch's own."""
        self.gradients = {"gamma": (dy * self._x_hat).sum(axis=0), "beta": dy.sum(axis=0)}
        if self._training:
            total = self.gradients["beta"] + self._x_hat * self.gradients["gamma"]
            dy = dy - total / len(dy)
        return self.parameters["gamma"] * self._scale * dy


def softmax_cross_entropy(logits: Array, y: Labels) -> tuple[float, Array]:
    """Return the mean loss of a batch, and its gradient with respect to the logits (N, K)."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    rows = np.arange(len(y))
    gradient = np.exp(log_p)
    gradient[rows, y] -= 1
    return float(-log_p[rows, y].mean()), gradient / len(y)
