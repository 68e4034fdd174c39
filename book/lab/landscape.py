"""What a network meets when it takes a step: shifted inputs, changed gradients, a bent loss.

The quantities of Santurkar, Tsipras, Ilyas and Madry (2018), for R networks of a
:class:`lab.bundle.Bundle` at once.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lab.bundle import Batch, Bundle, flat

Array = NDArray[np.float64]
MULTIPLES = (0.5, 1.0, 2.0, 3.0, 4.0)
"""How far to look along the gradient, in steps."""


@dataclass(frozen=True)
class Shift:
    """How one step of the layers below changes the gradient of a layer, for R networks.

    Attributes
    ----------
    distance : (layers, R)
        ‖G − G′‖: internal covariate shift as Santurkar et al. (2018, definition 2.1) define it.
    relative : (layers, R)
        ‖G − G′‖ / ‖G‖.
    cosine : (layers, R)
        Between G and G′.
    """

    distance: Array
    relative: Array
    cosine: Array


def covariate_shift(bundle: Bundle, batch: Batch, rate: float) -> Shift:
    """Measure G and G′ of every layer but the first, which has nothing below it.

    G is a layer's gradient at the current weights. G′ is its gradient on the same batch after all
    layers *below* it took their step of SGD, while it and the layers above stayed.
    """
    _, before = bundle.gradient(batch)
    new = bundle.moved(before, rate)
    rows: list[tuple[Tensor, Tensor, Tensor]] = []
    for i in range(1, len(new)):
        _, after = bundle.gradient(batch, [*new[:i], *bundle.layers[i:]])
        G, H = flat([before[i]]), flat([after[i]])
        distance, length = (G - H).norm(dim=1), G.norm(dim=1)
        cosine = (G * H).sum(dim=1) / (length * H.norm(dim=1))
        rows.append((distance, distance / length, cosine))
    return Shift(*(torch.stack(column).numpy() for column in zip(*rows, strict=True)))


@dataclass(frozen=True)
class Step:
    """One look along the gradient of R networks, at P distances.

    Attributes
    ----------
    rates : (P,)
        Distances, as learning rates.
    loss : (P + 1, R)
        Here, and at each distance.
    change : (P, R)
        ‖g − g′‖ / ‖g‖, with g the gradient here and g′ there.
    cosine : (P, R)
        Between g and g′.
    smoothness : (P, R)
        ‖g − g′‖ over the distance, which is ``rate · ‖g‖``.
    """

    rates: Array
    loss: Array
    change: Array
    cosine: Array
    smoothness: Array


def look(bundle: Bundle, batch: Batch, rates: Sequence[float]) -> Step:
    """Walk along the negative gradient on one batch, and look at loss and gradient there."""
    here, gradient = bundle.gradient(batch)
    g = flat(gradient)
    length = g.norm(dim=1)
    losses, changes, cosines = [here.double()], [], []
    for rate in rates:
        there, further = bundle.gradient(batch, bundle.moved(gradient, rate))
        h = flat(further)
        losses.append(there.double())
        changes.append((g - h).norm(dim=1) / length)
        cosines.append((g * h).sum(dim=1) / (length * h.norm(dim=1)))
    distances = np.asarray(rates, dtype=np.float64)
    change = torch.stack(changes).numpy()
    return Step(
        rates=distances,
        loss=torch.stack(losses).numpy(),
        change=change,
        cosine=torch.stack(cosines).numpy(),
        smoothness=change / distances[:, None],
    )


@dataclass(frozen=True)
class Landscape:
    """Looks along the gradient during training, T of them for R networks.

    Attributes
    ----------
    loss_range : (T, R)
        Largest minus smallest loss at the distances looked at.
    change : (T, R)
        The largest ‖g − g′‖ / ‖g‖.
    cosine : (T, R)
        The smallest cosine between g and g′.
    smoothness : (T, R)
        The largest ‖g − g′‖ per distance, an effective β.
    accuracy : (R,)
        On the test digits, after the last step.
    """

    loss_range: Array
    change: Array
    cosine: Array
    smoothness: Array
    accuracy: Array


def survey(
    bundle: Bundle,
    rate: float,
    steps: int = 150,
    batch: int = 64,
    every: int = 5,
    multiples: Sequence[float] = MULTIPLES,
) -> Landscape:
    """Train a bundle by SGD, and look along the gradient before every fifth step or so."""
    rows: list[tuple[Array, Array, Array, Array]] = []
    for step in range(steps):
        drawn = bundle.draw(batch)
        if step % every == 0:
            ahead = look(bundle, drawn, [rate * m for m in multiples])
            there = ahead.loss[1:]
            rows.append(
                (
                    there.max(axis=0) - there.min(axis=0),
                    ahead.change.max(axis=0),
                    ahead.cosine.min(axis=0),
                    ahead.smoothness.max(axis=0),
                )
            )
        _, gradient = bundle.gradient(drawn)
        bundle.layers = bundle.moved(gradient, rate)
    columns = [np.stack(column) for column in zip(*rows, strict=True)]
    return Landscape(*columns, accuracy=bundle.accuracy())


@dataclass(frozen=True)
class Drift:
    """How the inputs of the last layer move during training, and what came of it.

    Attributes
    ----------
    drift : (T, R)
        Between looks: how far the mean of a unit moves, in its standard deviations; median over
        the units.
    accuracy : (P, R)
        On the test digits, after each of the P numbers of steps asked for.
    """

    drift: Array
    accuracy: Array


def drift(
    bundle: Bundle, rate: float, stops: Sequence[int], batch: int = 64, every: int = 5
) -> Drift:
    """Train a bundle, and follow the distribution of what its last layer receives.

    The distribution is that of the first 256 training digits, passed through the network as it is
    in training: noise included.
    """
    moments: list[tuple[Tensor, Tensor]] = []
    scores = []
    for step in range(max(stops) + 1):
        if step in stops:
            scores.append(bundle.accuracy())
        if step % every == 0:
            with torch.no_grad():
                std, mean = torch.std_mean(bundle.forward(bundle.X[:, :256])[-2], dim=1)
            moments.append((mean.double(), std.double()))
        if step < max(stops):
            bundle.train(rate, 1, batch)
    found = [
        ((new - old).abs() / std.clamp(min=1e-12)).median(dim=1).values
        for (old, std), (new, _) in itertools.pairwise(moments)
    ]
    return Drift(torch.stack(found).numpy(), np.stack(scores))
