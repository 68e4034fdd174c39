"""What a student, an instructor and nbgrader read: one report, in four forms.

`str(report)` is text for a terminal, `report.to_html()` is what a notebook shows (no script, and
no colour that only one theme can show), `report.to_dict()` is JSON, and `repr(report)` is the plain
number of points earned, which is what nbgrader takes from the cell.
"""

from __future__ import annotations

import functools
import html
import io
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from autograder.exercise import Mistake, Probe
from autograder.verdict import Verdict

if TYPE_CHECKING:
    from rich.console import RenderableType

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Diagnosis:
    """The known mistake that shows what an answer showed."""

    mistake: str
    summary: str
    hint: str

    @classmethod
    def of(cls, mistake: Mistake, *, guessed: bool = False) -> Diagnosis:
        """The diagnosis that names this mistake, as a guess where it may be another one."""
        summary = f"Perhaps: {mistake.summary}" if guessed else mistake.summary
        return cls(mistake.name, summary, mistake.hint)


@dataclass(frozen=True)
class Finding:
    """What became of one probe.

    Attributes:
        probe: its name.
        sentence: what it asks.
        points: what it is worth.
        verdict: PASS, or what went wrong.
        detail: how the answer differs, as a sentence; empty when it passes.
        hidden: whether the probe runs only when graded.
        where: which entries of a 1-D or 2-D array differ; or None.
        diagnosis: the known mistake behind it; or None.
    """

    probe: str
    sentence: str
    points: float
    verdict: Verdict
    detail: str = ""
    hidden: bool = False
    where: Mask | None = field(default=None, compare=False)  # an array: `==` gives many truths
    diagnosis: Diagnosis | None = None

    @classmethod
    def of(
        cls, probe: Probe, verdict: Verdict, detail: str = "", where: Mask | None = None
    ) -> Finding:
        """The finding of a probe."""
        if verdict is Verdict.PASS and not detail:
            return _passed(probe)
        return cls(
            probe.name, probe.sentence, float(probe.points), verdict, detail, probe.hidden, where
        )

    def diagnosed(self, diagnosis: Diagnosis | None) -> Finding:
        """The same finding with its diagnosis."""
        return replace(self, diagnosis=diagnosis) if diagnosis else self

    @property
    def earned(self) -> float:
        """The probe's points when it passes, else 0."""
        return self.points if self.verdict is Verdict.PASS else 0.0


@functools.lru_cache(maxsize=4096)
def _passed(probe: Probe) -> Finding:
    """The finding of a probe that passed, which is the same in most reports of a class."""
    points = float(probe.points)
    return Finding(probe.name, probe.sentence, points, Verdict.PASS, hidden=probe.hidden)


@dataclass(frozen=True)
class Report:
    """What became of one exercise.

    Attributes:
        exercise: its name.
        findings: one for each probe that ran.
        points: what the whole exercise is worth.
        unseen: how many hidden probes did not run.
        uses: the other exercises whose answers this one uses, and that did not pass either.
        printed: what the answer printed while it ran.
        warned: the warnings that it caused.
    """

    exercise: str
    findings: tuple[Finding, ...]
    points: float
    unseen: int = 0
    uses: tuple[str, ...] = ()
    printed: str = ""
    warned: tuple[str, ...] = ()

    @property
    def earned(self) -> float:
        """The points earned, a plain float between 0 and ``points``."""
        return float(min(sum(f.earned for f in self.findings), self.points))

    @property
    def possible(self) -> float:
        """The points of the probes that ran."""
        return float(sum(f.points for f in self.findings))

    @property
    def passed(self) -> bool:
        """Whether every probe that ran passed."""
        return all(f.verdict is Verdict.PASS for f in self.findings)

    @property
    def verdict(self) -> Verdict:
        """PASS when everything passed, else the first verdict that did not; INTERNAL before all."""
        others = [f.verdict for f in self.findings if f.verdict is not Verdict.PASS]
        if Verdict.INTERNAL in others:
            return Verdict.INTERNAL
        return others[0] if others else Verdict.PASS

    @property
    def diagnoses(self) -> tuple[Diagnosis, ...]:
        """The mistakes found, each once, in the order of the probes."""
        return tuple(dict.fromkeys(f.diagnosis for f in self.findings if f.diagnosis))

    @property
    def headline(self) -> str:
        """What went wrong first, in one line: the diagnosis when there is one."""
        if self.diagnoses:
            return self.diagnoses[0].summary
        if self.uses:
            return self.following[0]
        failed = next((f for f in self.findings if f.verdict is not Verdict.PASS), None)
        return failed.detail if failed else ""

    @property
    def following(self) -> tuple[str, str]:
        """What to say, and what to do, where the answer uses others that did not pass."""
        does, it = ("does", "it") if len(self.uses) == 1 else ("do", "them")
        return (
            f"It uses {in_code(self.uses)}, which {does} not pass either.",
            f"Mend {it} first, and check `{self.exercise}` again: it may be right then.",
        )

    def __float__(self) -> float:
        return self.earned

    def __repr__(self) -> str:
        return repr(self.earned)

    def __str__(self) -> str:
        from rich.console import Console

        text = io.StringIO()
        # In a notebook, rich would show it there instead of writing it.
        Console(file=text, width=96, color_system=None, force_jupyter=False).print(self.__rich__())
        return "\n".join(line.rstrip() for line in text.getvalue().rstrip().split("\n"))

    def _repr_html_(self) -> str:
        return self.to_html()

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data for JSON."""
        return {
            "exercise": self.exercise,
            "earned": self.earned,
            "possible": self.possible,
            "points": self.points,
            "verdict": self.verdict.value,
            "unseen_probes": self.unseen,
            "uses": list(self.uses),
            "findings": [
                {
                    "probe": f.probe,
                    "sentence": f.sentence,
                    "verdict": f.verdict.value,
                    "earned": f.earned,
                    "points": f.points,
                    "detail": f.detail,
                    "hidden": f.hidden,
                    "mistake": f.diagnosis.mistake if f.diagnosis else None,
                }
                for f in self.findings
            ],
            "diagnoses": [
                {"mistake": d.mistake, "summary": d.summary, "hint": d.hint} for d in self.diagnoses
            ],
            "printed": self.printed,
            "warned": list(self.warned),
        }

    # --- text --------------------------------------------------------------------------------

    def __rich__(self) -> RenderableType:
        from rich.console import Group
        from rich.padding import Padding
        from rich.table import Table
        from rich.text import Text

        style = "green" if self.passed else "red"
        title = Text.assemble((self.exercise, "bold"), "  ", (self._score(), style))
        table = Table.grid(padding=(0, 1))
        table.add_column()
        table.add_column()
        table.add_column(justify="right", no_wrap=True)
        for finding, detail in self._told():
            ok = finding.verdict is Verdict.PASS
            mark = Text("✓" if ok else "✗", style="green" if ok else "red")
            table.add_row(mark, Text(finding.sentence), Text(_points(finding), style="dim"))
            if not ok:
                table.add_row("", Text(f"{finding.verdict}: {printable(detail)}", style="yellow"))
        parts: list[RenderableType] = [title, Padding(table, (0, 0, 0, 2))]
        for summary, hint in self._causes():
            parts.append(Padding(Text(f"→ {summary}", style="bold"), (0, 0, 0, 2)))
            parts.append(Padding(Text(hint), (0, 0, 0, 4)))
        parts += [
            Padding(Text(printable(note), style="dim"), (0, 0, 0, 2)) for note in self._notes()
        ]
        return Group(*parts)

    def _score(self) -> str:
        if self.unseen:
            rest = number(self.points - self.possible)
            more = "probe" if self.unseen == 1 else "probes"
            return (
                f"{number(self.earned)} of {number(self.possible)} points "
                f"({self.unseen} more {more}, worth {rest}, when graded)"
            )
        return f"{number(self.earned)} of {number(self.points)} points"

    def _told(self) -> Iterable[tuple[Finding, str]]:
        """Each finding with its detail, which is not told twice in a row."""
        last = ""
        for finding in self.findings:
            same = finding.detail and finding.detail == last
            yield finding, "as above" if same else finding.detail
            last = finding.detail or last

    def _causes(self) -> Iterable[tuple[str, str]]:
        """What went wrong, and what to do: the answers that it uses, and the mistakes found."""
        if self.uses:
            yield self.following
        for diagnosis in self.diagnoses:
            yield diagnosis.summary, diagnosis.hint

    def _notes(self) -> Iterable[str]:
        for warning in self.warned[:3]:
            yield f"While it ran: {warning}"
        if self.printed.strip():
            printed = " ".join(self.printed.split())
            yield "It printed: " + (printed if len(printed) <= 200 else printed[:199] + "…")

    # --- HTML --------------------------------------------------------------------------------

    def to_html(self) -> str:
        """The report for a notebook: text takes the theme's colour, marks carry their own."""
        share = self.earned / self.possible if self.possible else 0.0
        label = f"{self.exercise}: {self._score()}"
        parts = [
            f'<div class="{_PLAIN}" role="group" aria-label="{_e(label)}" style="{_CARD}">',
            f'<div style="{_ROW}"><strong style="font-size:1.05em"><code style="{_CODE}">'
            f"{_e(self.exercise)}</code></strong>"
            f'<span style="{_badge(self.passed)}">{_e(self._score())}</span></div>',
            f'<div aria-hidden="true" style="{_TRACK}"><div style="width:{share:.0%};'
            f'height:100%;background:{_GREEN}"></div></div>',
            *(_cause_html(summary, hint) for summary, hint in self._causes()),
            f'<ul style="{_LIST}">',
            *(_finding_html(f, detail) for f, detail in self._told()),
            "</ul>",
            *(f'<div style="{_NOTE}">{_e(note)}</div>' for note in self._notes()),
            "</div>",
        ]
        return "".join(parts)


def number(value: float) -> str:
    """Points as people write them: 3, 2.5."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def counted(count: int, what: str) -> str:
    """How many there are: 1 student, 2 students."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def printable(text: str) -> str:
    """A text in one line, with nothing in it that a terminal obeys."""
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)


def in_code(names: Iterable[str]) -> str:
    """Names as Markdown shows code: `a` and `b`."""
    return " and ".join(f"`{name}`" for name in names)


def _points(finding: Finding) -> str:
    return f"{number(finding.earned)}/{number(finding.points)}"


# White on these two keeps a contrast above 4.5:1 whatever the notebook's theme; all other text
# takes the theme's own colour.
_GREEN, _RED = "#1a7f37", "#b3261e"
# What a student wrote is not for MathJax, however many dollars are in it.
_PLAIN = "tex2jax_ignore mathjax_ignore"
_CARD = (
    "max-width:52em;margin:.4em 0;padding:.8em 1em;border:1px solid rgba(128,128,128,.45);"
    "border-radius:8px;background:transparent;color:inherit;line-height:1.45;font-size:14px;"
    "font-family:system-ui,sans-serif;text-align:left"
)
_ROW = "display:flex;flex-wrap:wrap;gap:.6em;align-items:baseline;justify-content:space-between"
_CODE = "background:transparent;color:inherit;padding:0;font-size:1em"
_TRACK = (
    "height:4px;margin:.6em 0;border-radius:2px;overflow:hidden;background:rgba(128,128,128,.3)"
)
_LIST = "list-style:none;margin:.4em 0 0;padding:0"
_NOTE = "margin-top:.4em;font-size:.92em"
_BOX = (
    "margin:.6em 0;padding:.6em .8em;border-radius:0 6px 6px 0;background:rgba(128,128,128,.12);"
    f"border-left:4px solid {_RED}"
)


def _badge(good: bool) -> str:
    return (
        f"background:{_GREEN if good else _RED};color:#fff;border-radius:1em;padding:.1em .8em;"
        "font-size:.92em;font-weight:600"
    )


def _mark(good: bool) -> str:
    return (
        f'<span role="img" aria-label="{"passed" if good else "failed"}" '
        f'style="display:inline-block;'
        f"min-width:1.5em;height:1.5em;line-height:1.5em;margin-right:.6em;text-align:center;"
        f"border-radius:50%;background:{_GREEN if good else _RED};color:#fff;font-size:.8em;"
        f'font-weight:700">{"✓" if good else "✗"}</span>'
    )


def _cause_html(summary: str, hint: str) -> str:
    return f'<div style="{_BOX}"><strong>{_code(summary)}</strong><div>{_code(hint)}</div></div>'


def _finding_html(finding: Finding, detail: str) -> str:
    if finding.verdict is Verdict.PASS:
        return _passed_html(finding.sentence, finding.points)
    told = (
        f'<div style="margin-top:.15em;font-size:.95em"><strong>{finding.verdict}</strong>: '
        f"{_code(detail)}{_picture(finding.where)}</div>"
    )
    return _row_html(False, finding.sentence, told, _points(finding))


@functools.lru_cache(maxsize=512)
def _passed_html(sentence: str, points: float) -> str:
    """The row of a probe that passed, which is the same in most reports of a class."""
    return _row_html(True, sentence, "", f"{number(points)}/{number(points)}")


def _row_html(good: bool, sentence: str, told: str, points: str) -> str:
    return (
        f'<li style="display:flex;margin:.35em 0;padding:0">{_mark(good)}<div style="flex:1">'
        f"{_code(sentence)}{told}</div>"
        f'<span style="margin-left:1em;white-space:nowrap">{points}</span></li>'
    )


def _picture(where: Mask | None) -> str:
    """A small grid of which entries differ; rows run down, as in the array."""
    if where is None or where.all():
        return ""
    grid = np.atleast_2d(where)
    rows, columns = (int(n) for n in grid.shape)
    if rows * columns < 2 or rows > 24 or columns > 48:
        return ""
    size, wide, high = 10, columns * 10, rows * 10
    squares = "".join(
        f'<rect x="{c * size + 1}" y="{r * size + 1}" width="8" height="8" rx="1.5" '
        + (f'fill="{_RED}"/>' if grid[r, c] else 'fill="rgba(128,128,128,.4)"/>')
        for r in range(rows)
        for c in range(columns)
    )
    label = f"{int(grid.sum())} of {grid.size} entries differ, shown in red"
    return (
        f'<div style="margin:.4em 0 .2em"><svg role="img" aria-label="{label}" width="{wide}" '
        f'height="{high}" viewBox="0 0 {wide} {high}">{squares}</svg></div>'
    )


def _e(text: str) -> str:
    """Text that may come from a student, safe inside HTML."""
    return html.escape(text, quote=True)


def _code(text: str) -> str:
    """Escaped text with `code` between backticks set as code."""
    pieces = _e(text).split("`")
    if len(pieces) % 2 == 0:  # a backtick without its partner is left as it is
        return _e(text)
    return "".join(
        piece if i % 2 == 0 else f'<code style="{_CODE}">{piece}</code>'
        for i, piece in enumerate(pieces)
    )
