"""Which values share a mean? A picture of N × C × H × W values, computed, not drawn by hand.

The block is laid out flat: a column of the picture is a sample, a row is a channel, and each cell
is an image of H × W values.
"""

from collections.abc import Callable, Mapping

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from torch import Tensor

from lab.figures import INK, SERIES

SHAPE = (3, 4, 3, 3)
"""N, C, H, W of the block in the picture."""


def reach(layer: Callable[[Tensor], Tensor], seed: int = 0) -> NDArray[np.bool_]:
    """Return which of the (N, C, H, W) inputs the first output depends on, by differentiating."""
    rng = np.random.default_rng(seed)
    x = torch.as_tensor(rng.normal(size=SHAPE)).requires_grad_()
    (slope,) = torch.autograd.grad(layer(x)[0, 0, 0, 0], x)
    return (slope.abs() > 1e-12).numpy()


def draw(layers: Mapping[str, Callable[[Tensor], Tensor]], columns: int = 2) -> Figure:
    """Draw the block once for each layer, with the values coloured on which the first depends."""
    rows = -(-len(layers) // columns)
    fig, axes = plt.subplots(rows, columns, figsize=(2.3 * columns, 2.4 * rows), squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    for i, (ax, (name, layer)) in enumerate(zip(axes.flat, layers.items(), strict=False)):
        _block(ax, reach(layer), first=i % columns == 0)
        ax.set_title(name, fontsize=11, loc="left")
    return fig


def _block(ax: Axes, colored: NDArray[np.bool_], first: bool) -> None:
    samples, channels, height, width = colored.shape
    for n, c in np.ndindex(samples, channels):
        left, top = n * (width + 0.8), c * (height + 0.8)
        for h, w in np.ndindex(height, width):
            seen = colored[n, c, h, w]
            ax.add_patch(
                Rectangle(
                    (left + w, top + h),
                    1,
                    1,
                    facecolor=SERIES[0].color if seen else "none",
                    edgecolor=INK,
                    linewidth=0.5,
                )
            )
    ax.plot(0.5, 0.5, marker="o", markersize=4.5, color="white", markeredgecolor=INK)
    right, bottom = samples * (width + 0.8) - 0.8, channels * (height + 0.8) - 0.8
    ax.set(xlim=(-2.2, right + 0.2), ylim=(bottom + 2.6, -0.4), aspect="equal")
    if first:
        ax.text(-0.5, bottom / 2, "channels C", rotation=90, ha="right", va="center", fontsize=9)
    ax.text(right / 2, bottom + 0.5, "samples N", ha="center", va="top", fontsize=9)
