"""What `make bench` measured, as tables for the page on teaching.

The benchmarks write ``build/bench.json``; a copy of it lies in ``book/measured/``. Where there is
none, or a part of it was not measured, each table says so instead.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from lab.tables import Shown, table

FILE = Path(__file__).parent.parent / "measured" / "bench.json"

NOTHING = (
    "Nothing has been measured yet: run make bench, and copy build/bench.json to "
    "book/measured/bench.json."
)
NO_ATTACKS = (
    "The attacks have not been measured: the machine of the benchmarks could not give stock "
    "nbgrader a namespace of its own."
)


# Both show themselves as Markdown, in which HTML is allowed: the theme puts a light ground beneath
# every HTML output that is no table, in dark pages too.


@dataclass(frozen=True)
class Note:
    """A sentence in the place of a table."""

    text: str

    def _repr_markdown_(self) -> str:
        return f"<p>{escape(self.text)}</p>"

    def __repr__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Folded:
    """A list that a reader opens; in a terminal, the list."""

    title: str
    items: tuple[tuple[str, str], ...]

    def _repr_markdown_(self) -> str:
        items = "".join(
            f"<li><strong>{escape(name)}</strong>: {escape(text)}</li>" for name, text in self.items
        )
        return f"<details><summary>{escape(self.title)}</summary><ul>{items}</ul></details>"

    def __repr__(self) -> str:
        return "\n".join([self.title, *(f"  {name}: {text}" for name, text in self.items)])


def load(file: Path = FILE) -> dict[str, Any]:
    """Read the benchmarks' results; empty when there are none."""
    if not file.is_file():
        return {}
    results: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return results


def machine(bench: Mapping[str, Any]) -> Note:
    """Where it was measured, in a sentence."""
    if not bench:
        return Note(NOTHING)
    about = bench["machine"]
    rounds = bench.get("grading", {}).get("rounds")
    said = f"Measured with Python {about['python']} on {about['cores']} cores, {about['system']}"
    return Note(f"{said}; medians of {rounds} rounds." if rounds else f"{said}.")


def speed(bench: Mapping[str, Any]) -> Shown | Note:
    """How fast a class is graded: against stock nbgrader, as it grows, and against the floor."""
    grading = bench.get("grading")
    if not grading:
        return Note(NOTHING)
    growth = {int(size): row for size, row in grading["growth"].items()}
    in_each = grading["nbgrader_process_per_submission_seconds"]
    times_in_each = grading["ratio_rate_large_class_to_nbgrader_process_per_submission"]
    ours = grading["ours_submission_seconds"]
    in_one = grading["nbgrader_class_seconds"] / grading["honest_submissions"]
    rows = {
        f"a class of {grading['honest_submissions']}, the whole command": (
            grading["ours_class_seconds"],
            grading["nbgrader_class_seconds"],
            grading["ratio_same_class_whole_runs"],
        ),
        "a submission; nbgrader takes all in one process": (
            ours,
            in_one,
            grading["ratio_rate_large_class_to_nbgrader_one_process"],
        ),
        "a submission; nbgrader takes a process for each": (ours, in_each, times_in_each),
    }
    shown = {
        what: (seconds(here), seconds(stock), f"{ratio:.3g} ×")
        for what, (here, stock, ratio) in rows.items()
    }
    for size, row in sorted(growth.items()):
        memory = f"at most {row['peak_megabytes_of_largest_process']:.0f} MB in a process"
        shown[f"a class of {size:,} ({memory})"] = (seconds(row["seconds"]), "–", "–")
    floor = seconds(grading["floor_seconds_per_submission"])
    what = f"a submission, against a plain fork that runs and judges it ({floor} of one core)"
    spent = seconds(ours * bench["machine"]["cores"])
    shown[what] = (f"{spent} of one core; {grading['times_the_floor']:.3g} × that", "–", "–")
    if held := grading.get("megabytes_of_a_worker"):
        shown["memory of a worker, beyond what all share"] = (f"{held:.3g} MB", "–", "–")
    return table(("this course", "stock nbgrader", "stock / this"), shown, corner="measured")


def seconds(time: float) -> str:
    """A time that a person can take in: three digits, and the unit that suits them."""
    return f"{time:.3g} s" if time >= 0.9995 else f"{1000 * time:.3g} ms"


def attacks(bench: Mapping[str, Any]) -> Shown | Note:
    """How many hostile notebooks got what, under stock nbgrader and here."""
    if not bench:
        return Note(NOTHING)
    if not (cheating := bench.get("cheating")):
        return Note(NO_ATTACKS)
    stock, ours = cheating["stock"], cheating["ours"]
    rows = {
        what: (f"{stock[what]} of {stock['run']}", f"{ours[what]} of {ours['run']}")
        for what in stock
        if what != "run"
    }
    return table(("stock nbgrader", "this course"), rows, corner="hostile notebooks that")


def each_attack(bench: Mapping[str, Any]) -> Folded | Note:
    """Every attack by name: its idea, what it got under stock nbgrader, what it got here."""
    if not bench:
        return Note(NOTHING)
    if not (cheating := bench.get("cheating")):
        return Note(NO_ATTACKS)
    worth, reasons = cheating["worth"], cheating["not_run_against_stock"]
    items = []
    for name, attack in cheating["attacks"].items():
        stock = outcome(attack["stock"], worth, reasons.get(name, ""))
        idea = re.sub(r"^A\d+: ", "", attack["idea"])  # its number is of a list that is not here
        text = f"{idea}. Stock nbgrader: {stock}. Here: {outcome(attack['ours'], worth)}."
        items.append((name.replace("_", " "), text))
    return Folded(f"All {len(items)} attacks, with the points of {worth:g} they got", tuple(items))


def outcome(found: Mapping[str, Any] | None, worth: float, reason: str = "") -> str:
    """What came of an attack, in a few words; `reason` says why it was not run."""
    if found is None:
        return f"not run: {reason}" if reason else "not run"
    said = ["no grade" if found["points"] is None else f"{found['points']:g}"]
    if found["ended"] == "failed":
        said.append("the run failed")
    elif found["ended"] != "well":
        said.append(f"the run ended {found['ended']}")
    if found["classmate"] is None:
        said.append("the classmate has no grade")
    elif found["classmate"] != worth:
        said.append(f"the classmate has {found['classmate']:g}")
    return "; ".join(said)
