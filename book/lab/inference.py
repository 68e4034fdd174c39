"""Trained networks side by side in PyTorch's own layers, for what happens after training.

Batch normalization treats every feature by itself. So R networks of the same shape can share one
``nn.BatchNorm1d``: put their features next to one another, and the layer of R · D features does
exactly what R layers of D features would do. Only the linear maps must be kept apart, and that is
what :class:`SideBySide` is for. A stack of networks is then an ordinary ``nn.Sequential``, with
``train()`` and ``eval()``, ``state_dict()`` and buffers, and what it shows is PyTorch's behaviour.

Shapes: R networks, N samples, D features, K classes, T steps.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from time import thread_time
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.nn import functional

from lab.data import Split

Array = NDArray[np.float64]

# The matrices are small: threads would wait for one another longer than they work.
torch.set_num_threads(1)


# --- networks ------------------------------------------------------------------------------------


class SideBySide(nn.Module):
    """R linear layers, each on its own features: (N, R · D_in) → (N, R · D_out)."""

    def __init__(self, weight: Tensor) -> None:
        """Take the R weight matrices, (R, D_in, D_out); the biases begin at 0."""
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(torch.zeros(len(weight), 1, weight.shape[2]))

    def forward(self, x: Tensor) -> Tensor:
        """Multiply the features of each network by its own matrix."""
        apart = x.reshape(len(x), len(self.weight), -1).movedim(1, 0)
        return wide(torch.baddbmm(self.bias, apart, self.weight))


def wide(x: Tensor) -> Tensor:
    """Put R stacked arrays next to one another: (R, N, D) → (N, R · D)."""
    return x.movedim(0, 1).reshape(x.shape[1], -1)


def networks(
    seeds: Sequence[int],
    sizes: Sequence[int] = (64, 100, 100, 10),
    *,
    momentum: float | None = 0.1,
    norm: bool = True,
) -> nn.Sequential:
    """Return R fresh classifiers in one module: linear, batch normalization, ReLU, …, linear.

    Parameters
    ----------
    seeds : R numbers
        One network each; its weights are drawn with variance 2 / D_in (He et al., 2015).
    sizes : widths
        From the inputs to the classes.
    momentum : float or None
        Of the running statistics, in PyTorch's convention.
    norm : bool
        Without it, linear layers and ReLU only, with the same weights.
    """
    draws = [np.random.default_rng([seed, 0]) for seed in seeds]
    layers: list[nn.Module] = []
    for i, (before, after) in enumerate(pairwise(sizes)):
        W = np.stack([rng.normal(size=(before, after)) * np.sqrt(2 / before) for rng in draws])
        layers.append(SideBySide(torch.as_tensor(W).float()))
        if i < len(sizes) - 2:
            if norm:
                layers.append(nn.BatchNorm1d(len(seeds) * after, momentum=momentum))
            layers.append(nn.ReLU())
    return nn.Sequential(*layers)


def norms(model: nn.Module) -> list[nn.BatchNorm1d]:
    """Return the batch normalization layers of a model, from the bottom to the top."""
    return [layer for layer in model.modules() if isinstance(layer, nn.BatchNorm1d)]


def single(model: nn.Sequential, index: int) -> nn.Sequential:
    """Return one of R networks as an ordinary one, in ``nn.Linear`` and ``nn.BatchNorm1d``.

    Weights and buffers are copied; the mode is that of ``model``.
    """
    layers: list[nn.Module] = []
    for layer in model:
        if isinstance(layer, SideBySide):
            _, before, after = layer.weight.shape
            linear = nn.Linear(before, after)
            with torch.no_grad():
                linear.weight.copy_(layer.weight[index].T)
                linear.bias.copy_(layer.bias[index, 0])
            layers.append(linear)
        elif isinstance(layer, nn.BatchNorm1d):
            # The features of network `index` stand next to one another.
            mine = slice(index * after, (index + 1) * after)
            own = nn.BatchNorm1d(after, eps=layer.eps, momentum=layer.momentum)
            state = layer.state_dict()
            own.load_state_dict({k: v[mine] if v.ndim else v for k, v in state.items()})
            layers.append(own)
        else:
            layers.append(nn.ReLU())
    return nn.Sequential(*layers).train(model.training)


# --- training ------------------------------------------------------------------------------------


def fit(
    model: nn.Module,
    X: ArrayLike,
    y: ArrayLike,
    seeds: Sequence[int],
    *,
    lr: float = 0.1,
    steps: int = 450,
    batch: int = 32,
) -> None:
    """Train R networks by plain SGD, in whatever mode the model is.

    Parameters
    ----------
    model : module from (N, R · D) to (N, R · K)
        Only parameters that require a gradient are trained.
    X, y : (R, N, D) and (R, N)
    seeds : R numbers
        Each network draws its batches with its own seed, without replacement within a batch.
        A longer training begins with the batches of a shorter one.
    """
    inputs, labels = _tensors(X, y)
    draws = [np.random.default_rng([seed, 1]) for seed in seeds]
    row = torch.arange(len(inputs))[:, None]
    learned = [p for p in model.parameters() if p.requires_grad]
    for _ in range(steps):
        chosen = torch.as_tensor(
            np.stack([rng.choice(inputs.shape[1], batch, replace=False) for rng in draws])
        )
        # A sum over networks: the gradient of each is that of its own mean loss.
        loss = _losses(
            _apart(model(wide(inputs[row, chosen])), len(inputs)), labels[row, chosen]
        ).sum()
        # By hand: the first import of torch.optim takes longer than the training.
        gradients = torch.autograd.grad(loss, learned)
        with torch.no_grad():
            for parameter, gradient in zip(learned, gradients, strict=True):
                parameter.sub_(gradient, alpha=lr)


@dataclass(frozen=True)
class History:
    """The batch statistics of each batch normalization layer, step by step.

    Attributes
    ----------
    means, variances : one list of T arrays (R · D,) per layer
        The variances are unbiased, as the running variance takes them.
    """

    means: list[list[Array]]
    variances: list[list[Array]]


@contextmanager
def recorded(model: nn.Module) -> Iterator[History]:
    """Write down the batch statistics of every forward pass inside the ``with`` block."""
    layers = norms(model)
    history = History([[] for _ in layers], [[] for _ in layers])

    def note(layer: int, x: Tensor) -> None:
        var, mean = torch.var_mean(x.detach(), dim=0)
        history.means[layer].append(mean.double().numpy())
        history.variances[layer].append(var.double().numpy())

    hooks = [
        layer.register_forward_pre_hook(lambda _, args, i=i: note(i, args[0]))
        for i, layer in enumerate(layers)
    ]
    try:
        yield history
    finally:
        for hook in hooks:
            hook.remove()


# --- running statistics --------------------------------------------------------------------------


def moving_average(
    values: ArrayLike,
    momentum: float | None,
    start: ArrayLike,
    dtype: torch.dtype = torch.float64,
    *,
    often: bool = False,
) -> Array:
    """Return the running value after each of T steps: (T, …) → (T + 1, …), the start included.

    Parameters
    ----------
    values : (T, …)
        What the batches deliver.
    momentum : float or None
        The weight of the new value; ``None`` is the average of all values so far.
    start : float or (…)
        The value before the first step.
    dtype : torch.dtype
        What the running value is rounded to after each step, as a layer's buffer is.
    often : bool
        Whether weights and products are rounded, too, as PyTorch 2 does it to a mean on a CPU in
        bfloat16. (Of a variance it leaves the product with the new value unrounded.)
    """

    def rounded(number: Any) -> Any:
        if dtype == torch.float64:
            return number
        return torch.as_tensor(number, dtype=torch.float64).to(dtype).double().numpy()

    on_the_way = rounded if often else lambda number: number
    values = on_the_way(np.asarray(values, dtype=np.float64))
    running = np.empty((len(values) + 1, *values.shape[1:]))
    running[0] = start
    for t, value in enumerate(values, start=1):
        weight = 1 / t if momentum is None else momentum
        old, new = (
            on_the_way(on_the_way(w) * v)
            for w, v in ((1 - weight, running[t - 1]), (weight, value))
        )
        running[t] = rounded(old + new)
    return running


def use_history(
    model: nn.Module,
    history: History,
    momentum: float | None,
    dtype: torch.dtype = torch.float64,
    *,
    often: bool = False,
) -> None:
    """Give a model the running statistics that this momentum would have left it with.

    The momentum has no say in training, nor has the dtype that statistics are stored in: one
    training run tells the story of all of them.
    """
    with torch.no_grad():
        for layer, means, variances in zip(
            norms(model), history.means, history.variances, strict=True
        ):
            mean = moving_average(means, momentum, 0.0, dtype, often=often)[-1]
            variance = moving_average(variances, momentum, 1.0, dtype, often=often)[-1]
            layer.running_mean.copy_(torch.as_tensor(mean))
            layer.running_var.copy_(torch.as_tensor(variance))


def recalibrate(
    model: nn.Module, X: ArrayLike, batch: int = 128, momentum: float | None = None
) -> None:
    """Replace the running statistics by averages over the batches of X, (R, N, D).

    The model is in training mode for the pass, so that each layer sees what it saw in training; its
    modes and momenta are restored. Rows are taken as they come; what is left over at the end is
    not used. With a momentum, the average is a moving one instead of that of all batches.
    """
    (inputs,) = _tensors(X)
    layers, modes = norms(model), {module: module.training for module in model.modules()}
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = momentum
    model.train()
    with torch.no_grad():
        for start in range(0, inputs.shape[1] - batch + 1, batch):
            model(wide(inputs[:, start : start + batch]))
    for layer, before in zip(layers, momenta, strict=True):
        layer.momentum = before
    for module, training in modes.items():
        module.training = training


def distance(model: nn.Module, reference: nn.Module) -> Array:
    """Return how far the running means are from those of another model, per feature.

    In units of the reference's running standard deviations; all layers one after the other.
    """
    return np.concatenate(
        [
            ((a.running_mean - b.running_mean) / b.running_var.sqrt()).double().numpy()
            for a, b in zip(norms(model), norms(reference), strict=True)
        ]
    )


# --- testing -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Score:
    """How R networks do.

    Attributes
    ----------
    accuracy, loss : (R,)
        Share of right answers, and mean cross-entropy.
    answers : (R, N)
        The class that each network gives to each row.
    """

    accuracy: Array
    loss: Array
    answers: NDArray[np.int64]


def score(
    model: nn.Module, X: ArrayLike, y: ArrayLike, batch: int | None = None, *, mode: str = "eval"
) -> Score:
    """Test R networks on (R, N, D) rows, in batches taken in order, and leave them as they were.

    In ``mode="train"`` the normalization uses the statistics of the batch at hand. A last batch
    that would be smaller is left out then.
    """
    inputs, labels = _tensors(X, y)
    total = inputs.shape[1]
    size = total if batch is None else batch
    used = total // size * size if mode == "train" else total
    model = copy.deepcopy(model).train(mode == "train")
    with torch.no_grad():
        logits = torch.cat(
            [
                _apart(model(wide(inputs[:, i : min(i + size, used)])), len(inputs))
                for i in range(0, used, size)
            ],
            dim=1,
        )
    answers = logits.argmax(dim=2)
    return Score(
        accuracy=(answers == labels[:, :used]).double().mean(dim=1).numpy(),
        loss=_losses(logits, labels[:, :used]).double().numpy(),
        answers=answers.numpy(),
    )


def ordered(X: ArrayLike, y: ArrayLike, by: ArrayLike) -> tuple[Array, NDArray[np.int64]]:
    """Return the rows of (R, N, D) and (R, N) arrays, sorted by an (R, N) key (stable)."""
    order = np.argsort(by, axis=1, kind="stable")
    rows = np.arange(len(order))[:, None]
    return np.asarray(X)[rows, order], np.asarray(y)[rows, order]


def only(part: Split, classes: Sequence[int]) -> Split:
    """Return the rows of some classes, which are numbered 0, 1, … in the order given."""
    number = np.full(int(part.y_train.max()) + 1, -1)
    number[list(classes)] = np.arange(len(classes))
    train, held = (np.isin(y, classes) for y in (part.y_train, part.y_test))
    return Split(
        part.X_train[train],
        number[part.y_train[train].astype(int)],
        part.X_test[held],
        number[part.y_test[held].astype(int)],
    )


def time_ratios(
    slow: Callable[[], object], fast: Callable[[], object], rounds: int = 15, calls: int = 20
) -> Array:
    """Return how many times longer one function takes than another, round by round.

    What counts is the processor time of this thread, so that other work on the machine disturbs
    little; and the two take turns, so that a machine that slows down slows down both.
    """

    def duration(function: Callable[[], object]) -> float:
        start = thread_time()
        for _ in range(calls):
            function()
        return thread_time() - start

    duration(slow), duration(fast)  # warm up
    return np.array([duration(slow) / duration(fast) for _ in range(rounds)])


def _tensors(X: ArrayLike, y: ArrayLike | None = None) -> list[Tensor]:
    found = [torch.as_tensor(np.asarray(X), dtype=torch.float32)]
    return found if y is None else [*found, torch.as_tensor(np.asarray(y)).long()]


def _apart(x: Tensor, runs: int) -> Tensor:
    """Undo :func:`wide`: (N, R · K) → (R, N, K)."""
    return x.reshape(len(x), runs, -1).movedim(1, 0)


def _losses(scores: Tensor, y: Tensor) -> Tensor:
    """Return the mean cross-entropy of each network, (R,)."""
    return functional.cross_entropy(scores.movedim(2, 1), y, reduction="none").mean(dim=1)
