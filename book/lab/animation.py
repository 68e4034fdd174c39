"""Moving pictures that are computed when the book is built: frames of numbers → one piece of HTML.

The reader gets a row of small panels, a slider, and a button that plays the frames. Nothing moves
before the button is pressed, everything works by keyboard, and what the picture shows is also there
in words (a sentence per frame, and all frames as a table). There is no library and no request: the
numbers, 30 lines of style and 60 of script are in the page. Without scripts the first frame is a
drawing and the table is complete.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lab.figures import SERIES

Kind = Literal["bars", "lines"]

WIDTH, HEIGHT = 300, 100
"""The units in which a panel is drawn; heights are rounded to whole ones."""


@dataclass(frozen=True)
class Animation:
    """An animation that shows itself: as HTML in a page, as a table of its readings elsewhere.

    Attributes
    ----------
    panels : title of a panel → {name of a series → (F, P) whole heights}
    frames : the slider's F positions, as text
    control : what the slider changes
    description : what the picture shows, for those who cannot see it
    readings : column → F texts; the numbers of each frame in words
    kind : "bars" or "lines"
    ends : the texts at the left and the right end of a panel's horizontal axis
    columns : panels per row
    start : the frame that is shown at first
    caption : plain text below the controls
    """

    panels: Mapping[str, Mapping[str, NDArray[np.int64]]]
    frames: tuple[str, ...]
    control: str
    description: str
    readings: Mapping[str, tuple[str, ...]]
    kind: Kind
    ends: tuple[str, str]
    columns: int
    start: int
    caption: str

    def reading(self, frame: int) -> str:
        """Return the numbers of one frame as a sentence."""
        numbers = "".join(f"; {name}: {texts[frame]}" for name, texts in self.readings.items())
        return f"{self.control}: {self.frames[frame]}{numbers}."

    def _repr_html_(self) -> str:
        names = list(next(iter(self.panels.values())))
        drawn = "".join(
            f'<div><span class="title">{escape(title)}</span>'
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" focusable="false">'
            + "".join(
                f'<path class="{_look(self.kind, i)}" style="--ink: {SERIES[i].color}" '
                f'd="{path(_look(self.kind, i), values[self.start])}"/>'
                for i, values in enumerate(series.values())
            )
            + f"</svg><span class='ends'><span>{escape(self.ends[0])}</span>"
            f"<span>{escape(self.ends[1])}</span></span></div>"
            for title, series in self.panels.items()
        )
        legend = "".join(
            f'<span><svg viewBox="0 0 30 12" focusable="false" aria-hidden="true">'
            f'<path class="{_look(self.kind, i)}" style="--ink: {SERIES[i].color}" d="'
            f'{"M1 11V2h28V11z" if _look(self.kind, i) == "bars" else "M1 6h28"}"/></svg>'
            f"{escape(name)}</span>"
            for i, name in enumerate(names)
        )
        numbers = {
            "frames": self.frames,
            "readings": [self.reading(i) for i in range(len(self.frames))],
            "size": [WIDTH, HEIGHT],
            "looks": [_look(self.kind, i) for i in range(len(names))],
            "panels": [[v.tolist() for v in series.values()] for series in self.panels.values()],
        }
        data = json.dumps(numbers, ensure_ascii=False, separators=(",", ":")).replace(
            "<", "\\u003c"
        )
        head = "".join(f'<th scope="col">{escape(n)}</th>' for n in (self.control, *self.readings))
        rows = "".join(
            f'<tr><th scope="row">{escape(frame)}</th>'
            + "".join(f"<td>{escape(texts[i])}</td>" for texts in self.readings.values())
            + "</tr>"
            for i, frame in enumerate(self.frames)
        )
        return (
            f'<figure class="lab-animation" style="--columns: {self.columns}">'
            f"<style>{_STYLE}</style>"
            f'<div class="panels" role="img" aria-label="{escape(self.description)}">{drawn}</div>'
            + (f'<p class="legend">{legend}</p>' if len(names) > 1 else "")
            + '<div class="controls" hidden><button type="button">Play</button>'
            f"<label><span>{escape(self.control)}</span>"
            f'<input type="range" min="0" max="{len(self.frames) - 1}" step="1" '
            f'value="{self.start}" aria-valuetext="{escape(self.frames[self.start])}"></label>'
            f'<span class="value" aria-hidden="true">{escape(self.frames[self.start])}</span></div>'
            f'<p class="reading" aria-live="polite">{escape(self.reading(self.start))}</p>'
            + "<noscript><p>Without scripts the picture stands still; the table has the numbers of "
            "all frames.</p></noscript>"
            "<details><summary>All frames as a table</summary>"
            '<div class="scroll" role="group" tabindex="0" aria-label="All frames as a table">'
            f'<table class="dataframe"><thead><tr>{head}</tr></thead>'
            f"<tbody>{rows}</tbody></table></div></details>"
            + (f"<figcaption>{escape(self.caption)}</figcaption>" if self.caption else "")
            + f'<script type="application/json">{data}</script>'
            f"<script>{_SCRIPT}</script></figure>"
        )

    def __repr__(self) -> str:
        return "\n".join(self.reading(i) for i in range(len(self.frames)))


def animate(
    panels: Mapping[str, Mapping[str, ArrayLike]],
    frames: Sequence[str],
    readings: Mapping[str, Sequence[str]],
    *,
    control: str,
    description: str,
    top: float | None = None,
    kind: Kind = "bars",
    ends: tuple[str, str] = ("", ""),
    columns: int = 5,
    start: int = 0,
    caption: str = "",
) -> Animation:
    """Return an animation; as the last line of a cell, it is what the cell shows.

    Parameters
    ----------
    panels : title → {name of a series → (F, P) values}
        One small picture per title, all with the same series. Each series has P values, from left
        to right at equal distances, in each of F frames; none is negative.
    frames : F texts
        What the slider says at each of its positions.
    readings : column → F texts
        What the picture shows, in numbers: read aloud after each move, and listed in a table.
    control : str
        What the slider changes.
    description : str
        What can be seen, as a sentence or two.
    top : float, optional
        The value at the upper edge, common to all panels; larger ones are cut off there. By default
        the largest of all values.
    kind : "bars" or "lines"
        With "bars" the first series is filled, and all others are outlines.
    ends : two texts
        The ends of the horizontal axis.
    columns, start, caption
        Panels per row, the first frame shown, and a text below.
    """
    values = {
        title: {name: np.asarray(v, dtype=np.float64) for name, v in series.items()}
        for title, series in panels.items()
    }
    every = [v for series in values.values() for v in series.values()]
    names = {tuple(series) for series in values.values()}
    if not every or len(names) != 1:
        raise ValueError("an animation needs panels, and the same series in each of them")
    if len(next(iter(names))) > len(SERIES):
        raise ValueError(f"at most {len(SERIES)} series can be told apart")
    if any(v.ndim != 2 or len(v) != len(frames) or v.shape[1] < 2 for v in every):
        raise ValueError(f"every series must be ({len(frames)} frames, at least 2 values)")
    if any(not np.isfinite(v).all() or (v < 0).any() for v in every):
        raise ValueError("values must be finite and not negative")
    if any(len(texts) != len(frames) for texts in readings.values()):
        raise ValueError(f"every reading must have {len(frames)} texts")
    highest = top if top is not None else max(float(v.max()) for v in every)
    unit = HEIGHT / highest if highest > 0 else 0.0
    return Animation(
        panels={
            title: {
                name: np.minimum(np.rint(v * unit), HEIGHT).astype(np.int64)
                for name, v in series.items()
            }
            for title, series in values.items()
        },
        frames=tuple(frames),
        control=control,
        description=description,
        readings={name: tuple(texts) for name, texts in readings.items()},
        kind=kind,
        ends=ends,
        columns=columns,
        start=start,
        caption=caption,
    )


def histograms(values: Sequence[ArrayLike], edges: ArrayLike) -> NDArray[np.float64]:
    """Return the shares of each array's values between the edges: F arrays → (F, P)."""
    bins = np.asarray(edges, dtype=np.float64)
    return np.array([np.histogram(v, bins)[0] / np.size(v) for v in values])


def path(look: str, heights: NDArray[np.int64]) -> str:
    """Return the SVG path of one series; the script draws all other frames in the same way."""
    tops = [HEIGHT - int(h) for h in heights]
    if look == "lines":
        step = WIDTH / (len(tops) - 1)
        return "M" + "L".join(f"{round(i * step)} {y}" for i, y in enumerate(tops))
    lefts = [round(i * WIDTH / len(tops)) for i in range(len(tops) + 1)]
    if look == "bars":
        return "".join(
            f"M{lefts[i]} {HEIGHT}V{y}H{lefts[i + 1]}V{HEIGHT}z"
            for i, y in enumerate(tops)
            if y < HEIGHT
        )
    return f"M0 {HEIGHT}" + "".join(f"V{y}H{lefts[i + 1]}" for i, y in enumerate(tops))


def _look(kind: Kind, index: int) -> str:
    return "lines" if kind == "lines" else "bars" if index == 0 else "outline"


_STYLE = """
.lab-animation { margin: 1.5rem 0; }
.lab-animation .panels { display: grid; gap: 0.6rem 0.5rem; align-items: end;
  grid-template-columns: repeat(var(--columns), minmax(0, 1fr));
  background: var(--course-figure, transparent);
  border: 1px solid var(--pst-color-border-muted, currentcolor);
  border-radius: var(--course-radius, 0.5rem); padding: 0.75rem; }
.lab-animation .panels span { font-size: 0.8rem; line-height: 1.3; }
.lab-animation .panels svg { display: block; width: 100%; height: 5rem; overflow: hidden;
  border-bottom: 1px solid currentcolor; }
.lab-animation .ends { display: flex; justify-content: space-between; }
.lab-animation path { fill: none; stroke: var(--ink); stroke-width: 2;
  vector-effect: non-scaling-stroke; }
.lab-animation path.bars { fill: var(--ink); stroke: none; }
.lab-animation path.lines:nth-of-type(even) { stroke-dasharray: 6 3; }
.lab-animation .legend { display: flex; flex-wrap: wrap; gap: 0 1.25rem; margin: 0.4rem 0 0;
  font-size: 0.9rem; }
.lab-animation .legend svg { width: 1.9rem; height: 0.75rem; margin-right: 0.4rem; }
.lab-animation .controls:not([hidden]) { display: flex; flex-wrap: wrap; align-items: center;
  gap: 0.4rem 0.9rem; margin-top: 0.75rem; }
.lab-animation button { min-width: 5rem; padding: 0.3rem 0.9rem; font: inherit; cursor: pointer;
  color: inherit; background: transparent; border: 1px solid currentcolor; border-radius: 0.4rem; }
.lab-animation label { display: flex; flex: 1 1 14rem; align-items: center; gap: 0.6rem;
  margin: 0; }
.lab-animation label span { white-space: nowrap; }
.lab-animation input { flex: 1; min-width: 5rem; min-height: 1.5rem; cursor: pointer;
  accent-color: var(--pst-color-primary, #0072b2); }
.lab-animation .value { min-width: 4ch; font-variant-numeric: tabular-nums; }
.lab-animation .reading { margin: 0.5rem 0; min-height: 3.2em; font-variant-numeric: tabular-nums; }
.lab-animation .scroll { max-height: 22rem; overflow: auto; margin-top: 0.5rem; }
.lab-animation summary { cursor: pointer; }
.lab-animation figcaption { margin-top: 0.5rem; text-align: left; }
@media print { .lab-animation .controls { display: none !important; } }
""".strip()

_SCRIPT = """
for (const figure of document.querySelectorAll("figure.lab-animation:not([data-ready])")) {
  figure.dataset.ready = "";
  const { frames, readings, size: [width, height], looks, panels } =
    JSON.parse(figure.querySelector("script[type='application/json']").textContent);
  const drawings = [...figure.querySelectorAll(".panels svg")];
  const controls = figure.querySelector(".controls");
  const button = controls.querySelector("button");
  const slider = controls.querySelector("input");
  const value = controls.querySelector(".value");
  const reading = figure.querySelector(".reading");
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)");
  let timer = 0;

  function path(look, heights) {
    const tops = heights.map((h) => height - h);
    const left = (i) => Math.round(i * width / tops.length);
    if (look === "lines") {
      const at = (i) => Math.round(i * width / (tops.length - 1));
      return "M" + tops.map((y, i) => `${at(i)} ${y}`).join("L");
    }
    if (look === "bars") {
      return tops.map((y, i) => y < height
        ? `M${left(i)} ${height}V${y}H${left(i + 1)}V${height}z` : "").join("");
    }
    return `M0 ${height}` + tops.map((y, i) => `V${y}H${left(i + 1)}`).join("");
  }

  function show(frame) {
    slider.value = frame;
    slider.setAttribute("aria-valuetext", frames[frame]);
    value.textContent = frames[frame];
    reading.textContent = readings[frame];
    drawings.forEach((svg, p) => svg.querySelectorAll("path").forEach((drawn, s) =>
      drawn.setAttribute("d", path(looks[s], panels[p][s][frame]))));
  }

  function pause() {
    window.clearTimeout(timer);
    timer = 0;
    button.textContent = "Play";
    reading.setAttribute("aria-live", "polite");
  }

  function next() {
    const frame = Number(slider.value);
    if (frame === frames.length - 1) return pause();
    show(frame + 1);
    timer = window.setTimeout(next, calm.matches ? 1500 : 450);
  }

  button.addEventListener("click", () => {
    if (timer) return pause();
    if (Number(slider.value) === frames.length - 1) show(0);
    button.textContent = "Pause";
    reading.setAttribute("aria-live", "off");
    timer = window.setTimeout(next, calm.matches ? 1500 : 450);
  });
  slider.addEventListener("input", () => { pause(); show(Number(slider.value)); });
  controls.hidden = false;
}
""".strip()
