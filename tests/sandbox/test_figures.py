"""A figure's picture holds what Matplotlib's own holds, though it is drawn only once."""

from __future__ import annotations

import base64
import datetime
import io
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from autograder.sandbox import notebook
from autograder.sandbox.pool import Worker

plt = pytest.importorskip("matplotlib.pyplot")
Image = pytest.importorskip("PIL.Image")
X = np.linspace(0.0, 6.0, 40)
GRID = np.outer(np.sin(X), np.cos(X))


@pytest.fixture(autouse=True)
def no_figures() -> Iterator[None]:
    with plt.rc_context({"backend": "agg"}):
        yield
    plt.close("all")


def lines(**options: Any) -> Any:
    figure, axes = plt.subplots(**options)
    for one in np.ravel(axes):
        one.plot(X, np.sin(X), label="sin")
    return figure


def legend_outside() -> Any:
    figure = lines()
    figure.axes[0].legend(loc="upper left", bbox_to_anchor=(1.3, 1))
    return figure


def long_title() -> Any:
    figure = lines()
    figure.axes[0].set_title("many words " * 12)
    return figure


def high_title() -> Any:
    figure = lines()
    figure.axes[0].set(title="three\nlines\nof title\nor four", xlabel="step", ylabel="loss")
    return figure


def image() -> Any:
    figure, axes = plt.subplots()
    figure.colorbar(axes.imshow(GRID), label="height")
    return figure


def dates() -> Any:
    figure, axes = plt.subplots()
    axes.plot([datetime.date(2024, 1, 1) + datetime.timedelta(days=9 * n) for n in range(40)], X)
    figure.autofmt_xdate()
    return figure


def bars() -> Any:
    figure, axes = plt.subplots(facecolor="pink")
    axes.barh(["a rather long name", "b"], [-3, 1])
    return figure


def inset() -> Any:
    figure = lines()
    figure.axes[0].inset_axes((1.1, 0.5, 0.4, 0.4)).plot([1, 2])
    return figure


def space() -> Any:
    figure, axes = plt.subplots(subplot_kw={"projection": "3d"})
    axes.plot(X, X, X)
    axes.set_zlabel("z")
    return figure


def parts() -> Any:
    figure = plt.figure()
    for part in figure.subfigures(1, 2):
        part.subplots().plot(X)
    return figure


def annotated() -> Any:
    figure = lines()
    figure.axes[0].annotate("here", (1, 0), (7.5, 2), arrowprops={})
    return figure


FIGURES: dict[str, Callable[[], Any]] = {
    "lines": lines,
    "nothing": lambda: plt.Figure(),
    "an empty plot": lambda: plt.subplots()[0],
    "a grid": lambda: lines(nrows=2, ncols=2, figsize=(7, 4), dpi=123),
    "shared axes": lambda: lines(nrows=2, sharex=True),
    "constrained": lambda: lines(ncols=2, layout="constrained"),
    "tight": lambda: lines(ncols=2, layout="tight"),
    "polar": lambda: lines(subplot_kw={"projection": "polar"}),
    "small": lambda: lines(figsize=(1, 0.8)),
    **{f.__name__: f for f in (legend_outside, long_title, high_title, image, dates, bars)},
    **{f.__name__: f for f in (inset, space, parts, annotated)},
}


def pixels(png: bytes) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), float)


def ink(picture: np.ndarray[Any, Any]) -> tuple[int, int, float]:
    """How high and wide a picture is without its margins, and how much is on it."""
    drawn = np.abs(picture - picture[0, 0]).sum(axis=-1)
    rows, columns = (np.flatnonzero(drawn.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return 0, 0, 0.0
    return int(np.ptp(rows)), int(np.ptp(columns)), float(drawn.sum())


@pytest.mark.parametrize("name", FIGURES)
def test_all_of_a_figure_is_there(name: str) -> None:
    buffer = io.BytesIO()
    FIGURES[name]().savefig(buffer, format="png", dpi=notebook._DPI, bbox_inches="tight")
    figure = FIGURES[name]()
    dpi = figure.dpi
    mine, theirs = (
        pixels(png)
        for png in (base64.b64decode(notebook.bundle(figure)["image/png"]), buffer.getvalue())
    )
    (high, wide, much), (their_high, their_wide, their_much) = ink(mine), ink(theirs)
    assert abs(high - their_high) <= 2
    assert abs(wide - their_wide) <= 2
    assert much == pytest.approx(their_much, rel=0.03)
    assert np.abs(np.subtract(mine.shape, theirs.shape)).max() <= notebook._MARGIN + 2
    assert figure.dpi == dpi


COUNTED = """
import matplotlib.pyplot as plt
draw, drawn = plt.Figure.draw, []
plt.Figure.draw = lambda self, renderer: (drawn.append(self), draw(self, renderer))
figure = plt.figure()
plt.plot([1, 2])
"""


@pytest.mark.parametrize(
    "shown",
    ["plt.show()", "None", "plt.close(figure); figure", "plt.close(figure); display(figure)"],
)
def test_what_a_cell_shows_is_drawn_once(worker: Worker, shown: str) -> None:
    outputs = worker.execute(COUNTED + shown).outputs
    assert [sorted(o["data"]) for o in outputs] == [["image/png", "text/plain"]]
    worker.execute("times = len(drawn)")
    assert worker.value("times") == 1


@pytest.mark.parametrize(
    ("made", "kinds"),
    [
        ("b'PNG'", ["text/plain"]),
        ("40 * b'PNG'", ["text/plain"]),
        ("png(20_000, 2_000)", ["image/png", "text/plain"]),
        ("png(60_000, 60_000)", ["text/plain"]),
    ],
)
def test_pictures_that_no_browser_can_show_are_left_out(
    worker: Worker, made: str, kinds: list[str]
) -> None:
    worker.execute(
        "import struct\ndef png(width, height):\n"
        "    head = struct.pack('>I4sII', 13, b'IHDR', width, height)\n"
        "    return b'\\x89PNG\\r\\n\\x1a\\n' + head + bytes(200)"
    )
    source = f"class Picture:\n    def _repr_png_(self):\n        return {made}\nPicture()"
    assert [sorted(o["data"]) for o in worker.execute(source).outputs] == [kinds]


def test_what_only_looks_like_a_figure_saves_itself() -> None:
    class Grid:
        def savefig(self, file: io.BytesIO, **options: Any) -> None:
            file.write(b"a picture, " + options["bbox_inches"].encode())

    picture = base64.b64decode(notebook.bundle(Grid())["image/png"])
    assert picture == b"a picture, tight"


def test_what_cannot_be_drawn_fails_as_it_does_by_itself() -> None:
    figure, axes = plt.subplots()
    axes.set_title(r"$\frac{$")
    with pytest.raises(ValueError, match="frac"):
        notebook.bundle(figure)
    assert figure.dpi == plt.rcParams["figure.dpi"]
