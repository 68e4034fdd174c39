"""What hostile notebooks get out of stock nbgrader, and out of us: the same ones, side by side.

Each attack hands in wrong answers beside a classmate with right ones. Stock nbgrader runs it as it
would on a teacher's machine, but in namespaces of its own, with limits and a deadline, because some
of these notebooks end every process and change every grade that they can reach.
"""

from __future__ import annotations

import copy
import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from autograder.chapters import chapter
from autograder.classroom.sample import Draft, write_sample_class
from autograder.classroom.submissions import Assignment
from benchmarks import alone
from benchmarks.grading import SLUG, STOCK, autograder, cores, nbgrader, scores

# The corpus belongs to the tests, which hold our own engine against it.
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "classroom"))
from attacks import ATTACKS, Attack

CLASSMATE = "zoe"
ATTACKER = "mallory"
# A process of root's is not bound by a limit on processes: nothing here would stop this one.
NOT_RUN = {"fork_bomb": "nothing would bound it"}
STOCK_SECONDS = 10
WHOLE_SECONDS = 90.0


@dataclass(frozen=True)
class Outcome:
    """What came of one attack.

    Attributes:
        points: what the attacker got; None without a grade.
        classmate: what the classmate, who deserves everything, got; None without a grade.
        ended: how the run ended: "well", "failed", or "not in time".
    """

    points: float | None
    classmate: float | None
    ended: str


def measure(console: Console) -> dict[str, Any]:
    """Run every attack against both, print a table, and return the figures."""
    if not alone.possible():
        console.print(
            "[bold yellow]NOT MEASURED:[/] attacks on stock nbgrader need namespaces, "
            "so that they cannot change anything else on this machine"
        )
        return {}
    with tempfile.TemporaryDirectory() as scratch:
        desk = Desk(Path(scratch))
        run = [name for name in ATTACKS if name not in NOT_RUN]
        with ThreadPoolExecutor(cores()) as threads:
            stock = dict(
                zip(
                    run,
                    track(
                        threads.map(desk.attack_stock, run),
                        "Attacking stock nbgrader",
                        len(run),
                        console=console,
                        transient=True,
                    ),
                    strict=True,
                )
            )
        ours = desk.attack_us()
    figures = {
        "worth": desk.worth,
        "not_run_against_stock": NOT_RUN,
        "stock": summary(stock, desk.worth),
        "ours": summary(ours, desk.worth),
        "attacks": {
            name: {
                "idea": attack.idea,
                "stock": asdict(stock[name]) if name in stock else None,
                "ours": asdict(ours[name]),
            }
            for name, attack in ATTACKS.items()
        },
    }
    console.print(table(figures))
    return figures


def summary(outcomes: dict[str, Outcome], worth: float) -> dict[str, int]:
    """How many attacks did what."""
    found = outcomes.values()
    return {
        "run": len(outcomes),
        "got points for wrong answers": sum((o.points or 0) > 0 for o in found),
        "got full marks for wrong answers": sum((o.points or 0) >= worth for o in found),
        "took a classmate's grade or changed it": sum(o.classmate != worth for o in found),
        "made the run fail": sum(o.ended != "well" for o in found),
    }


class Desk:
    """Where classes of one attacker and one classmate are made, and graded."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        # Python 3.11 counts the depth of syntax trees over all threads, and trips over it.
        self.writing = threading.Lock()
        self.subject = chapter(SLUG)
        self.worth = sum(e.points for e in self.subject.exercises)
        self.assignment = Assignment.load(Path(), SLUG)
        self.template = scratch / "template"
        write_sample_class(Path(), self.template, [SLUG])
        for folder in ("submitted", "exercises"):
            shutil.rmtree(self.template / folder)
        # The released assignment, in the gradebook: what both start from.
        command = [*nbgrader("generate_assignment"), SLUG]
        subprocess.run(command, cwd=self.template, check=True, capture_output=True)
        with open(self.template / "nbgrader_config.py", "a", encoding="utf-8") as config:
            config.write(f"{STOCK}c.Execute.timeout = {STOCK_SECONDS}\n")

    def attack_stock(self, name: str) -> Outcome:
        """Grade a class of two with stock nbgrader."""
        course = self.scratch / "stock" / name
        shutil.copytree(self.template, course)
        with self.writing:
            self.hand_in(course, ATTACKER, ATTACKS[name])
            self.hand_in(course, CLASSMATE, None)
        home = course / "home"
        home.mkdir()
        process = subprocess.Popen(
            [*alone.prefix(course), *nbgrader(), SLUG],
            env={**os.environ, "HOME": str(home), "TMPDIR": str(home)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=bounded,
        )
        try:
            ended = "failed" if process.wait(WHOLE_SECONDS) else "well"
        except subprocess.TimeoutExpired:
            ended = "not in time"
            os.killpg(process.pid, signal.SIGKILL)  # the first of its namespace: the rest follows
            process.wait()
        outcome = self.outcome(course, ATTACKER, ended)
        shutil.rmtree(course, ignore_errors=True)
        return outcome

    def attack_us(self) -> dict[str, Outcome]:
        """Grade one class of all attackers, and the classmate."""
        course = self.scratch / "ours"
        shutil.copytree(self.template, course)
        for name, attack in ATTACKS.items():
            self.hand_in(course, name, attack)
        self.hand_in(course, CLASSMATE, None)
        limits = ["--call-seconds", "1", "--cell-seconds", "2"]
        done = subprocess.run([*autograder(), "grade", SLUG, *limits], cwd=course, check=False)
        ended = "failed" if done.returncode else "well"
        return {name: self.outcome(course, name, ended) for name in ATTACKS}

    def hand_in(self, course: Path, student: str, attack: Attack | None) -> None:
        """Put an attacker's notebook, or one with right answers, where it is collected."""
        release = copy.deepcopy(self.assignment.release)
        draft = Draft(self.subject, self.assignment.source, release)
        draft.all_right()
        if attack is not None:
            draft.replace(attack.answers)
            draft.surround(attack.code, attack.after)
        folder = course / "submitted" / student / SLUG
        folder.mkdir(parents=True)
        text = json.dumps(draft.notebook)
        (folder / f"{SLUG}.ipynb").write_text(text, encoding="utf-8")

    def outcome(self, course: Path, attacker: str, ended: str) -> Outcome:
        """What the gradebook says."""
        found: dict[str, float | None] = {}
        try:
            found = scores(course)
        except sqlite3.Error:
            ended = "failed"  # there is no gradebook any more
        return Outcome(found.get(attacker), found.get(CLASSMATE), ended)


def bounded() -> None:
    """Bound what a run may use, in its process: memory, files, time."""
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 20, 64 << 20))
    resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def table(figures: dict[str, Any]) -> Table:
    """The figures for a person."""
    shown = Table(title="Hostile notebooks", title_justify="left")
    shown.add_column("how many")
    shown.add_column("stock nbgrader", justify="right")
    shown.add_column("this course", justify="right")
    for what, count in figures["stock"].items():
        shown.add_row(what, str(count), str(figures["ours"][what]))
    return shown
