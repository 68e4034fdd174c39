"""One style for every figure of the book, legible on white and on near-black paper.

The background is transparent and the page shows through, so each colour must stand out against
both. Text and axes are a neutral grey, the one that reaches a contrast of 4.5 : 1 on white and
keeps as much as is left (4.1 : 1) on the dark page. The five colours of the lines keep at least
3 : 1 on both and stay apart under the three common forms of colour blindness; since colour alone
must never carry a meaning, each comes with its own marker and dash pattern.

Nothing here is drawn by chance: the same data give the same bytes.
"""

from dataclasses import dataclass
from typing import Any, Literal

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Spread = Literal["std", "se"]

LIGHT_PAGE, DARK_PAGE = "#ffffff", "#121212"
INK = "#767676"
"""Text, axes and everything neutral."""


@dataclass(frozen=True)
class Series:
    """How one line of a figure looks: colour, marker and dashes together."""

    color: str
    marker: str
    linestyle: str | tuple[int, tuple[float, ...]]


SERIES = (
    Series("#0072B2", "o", "-"),  # blue
    Series("#D55E00", "s", "--"),  # vermilion
    Series("#009E73", "^", "-."),  # green
    Series("#CC79A7", "D", ":"),  # pink
    Series("#8B50E0", "v", (0, (5, 1, 1, 1, 1, 1))),  # violet
    Series(INK, "P", (0, (1, 1))),  # grey, for what the others are compared with
)


def use(kind: Literal["svg", "png"] = "svg") -> None:
    """Adopt the style for all figures that follow; call it once, at the top of a page.

    Parameters
    ----------
    kind : "svg" or "png"
        Drawings that stay sharp at every size, or pixels at twice the screen's density: take "png"
        for pages that draw many thousand points.
    """
    mpl.rcdefaults()
    mpl.rcParams.update(_STYLE)
    _show_inline_as(kind)


_STYLE: dict[str, Any] = {
    "figure.figsize": (5.6, 3.1),  # narrow, so that letters are still letters on a telephone
    "figure.dpi": 100,
    "figure.facecolor": "none",
    "figure.constrained_layout.use": True,
    "savefig.facecolor": "none",
    "savefig.edgecolor": "none",
    "savefig.bbox": "tight",
    "savefig.dpi": 200,
    "svg.hashsalt": "book",  # the ids inside an SVG are the same in every build
    "svg.fonttype": "path",  # and its letters look the same in every browser
    "axes.facecolor": "none",
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": "medium",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.prop_cycle": cycler(
        color=[s.color for s in SERIES],
        marker=[s.marker for s in SERIES],
        linestyle=[s.linestyle for s in SERIES],
    ),
    "font.size": 11,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": INK,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "lines.linewidth": 1.8,
    "lines.markersize": 5.5,
    "hatch.color": INK,
    "image.cmap": "cividis",
}


def series(index: int, **overrides: Any) -> dict[str, Any]:
    """Return the keywords of one line, e.g. ``ax.plot(x, y, **series(0), label="raw")``.

    ``overrides`` replace or add keywords: ``series(1, linestyle="none")`` draws markers only.
    """
    look = SERIES[index % len(SERIES)]
    return {"color": look.color, "marker": look.marker, "linestyle": look.linestyle} | overrides


def summarize(values: ArrayLike, spread: Spread = "std", axis: int = 0) -> tuple[Array, Array]:
    """Return the mean over seeds and the length of its error bar.

    Parameters
    ----------
    values : array
        One entry per seed along ``axis``.
    spread : "std" or "se"
        "std" is the sample standard deviation (dividing by seeds − 1): how far one seed falls from
        the mean. "se" is that over √seeds, the standard error: how far the mean itself may be off.
    """
    values = np.asarray(values, dtype=np.float64)
    seeds = values.shape[axis]
    if seeds < 2:
        raise ValueError("an error bar needs at least two seeds")
    width = values.std(axis=axis, ddof=1)
    return values.mean(axis=axis), width / np.sqrt(seeds) if spread == "se" else width


def pm(values: ArrayLike, spread: Spread = "std", digits: int = 3) -> str:
    """Return ``mean ± error`` over seeds as text, e.g. ``0.958 ± 0.018``, which does not wrap."""
    mean, error = summarize(np.ravel(values), spread)
    return f"{mean:.{digits}f} ± {error:.{digits}f}".replace(" ", "\N{NO-BREAK SPACE}").replace(
        "-", "\N{MINUS SIGN}"
    )


def errorbars(
    ax: Axes,
    x: ArrayLike,
    values: ArrayLike,
    index: int = 0,
    spread: Spread = "std",
    label: str | None = None,
    **overrides: Any,
) -> None:
    """Draw the mean over seeds with its error bars.

    Parameters
    ----------
    ax : matplotlib Axes
    x : (P,)
        Positions.
    values : (seeds, P)
        One row per seed.
    index : int
        Which of ``SERIES`` to draw it as.
    spread : "std" or "se"
        See :func:`summarize`; say in the caption which one it is.
    """
    mean, error = summarize(values, spread)
    ax.errorbar(x, mean, yerr=error, label=label, capsize=3, **series(index, **overrides))


def contrast(first: str, second: str) -> float:
    """Return the contrast ratio of two colours, from 1 to 21 (WCAG 2.2, relative luminance)."""
    dark, light = sorted((_luminance(first), _luminance(second)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(color: str) -> float:
    channels = np.asarray(mpl.colors.to_rgb(color))
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def _show_inline_as(kind: Literal["svg", "png"]) -> None:
    """Tell a notebook, if this runs in one, how to show figures."""
    try:
        from IPython import get_ipython
        from matplotlib_inline.backend_inline import set_matplotlib_formats
    except ImportError:
        return
    if get_ipython() is None:
        return
    if kind == "svg":
        set_matplotlib_formats("svg", metadata={"Date": None})  # type: ignore[no-untyped-call]
    else:
        set_matplotlib_formats("png", dpi=200)  # type: ignore[no-untyped-call]
    plt.close("all")
