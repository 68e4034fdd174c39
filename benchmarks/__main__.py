"""Run every benchmark, print the tables, and write ``build/bench.json``."""

from __future__ import annotations

import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from benchmarks import cheating, grading

console = Console()


def main(
    rounds: int = typer.Option(3, min=1, help="How often each pair is measured."),
    large: int = typer.Option(1000, min=10, help="The size of the large class."),
    huge: bool = typer.Option(False, help="Grade a class of ten times that size, too."),
) -> None:
    """Measure grading against stock nbgrader: its speed, and what hostile notebooks get of it."""
    # Stock nbgrader starts a program by name, which is beside the interpreter.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    results: dict[str, Any] = {
        "machine": {
            "system": platform.platform(),
            "cores": grading.cores(),
            "python": platform.python_version(),
        },
        "grading": grading.measure(console, rounds=rounds, large=large, huge=huge),
    }
    write(results)  # what took long to measure is kept, whatever becomes of the rest
    results["cheating"] = cheating.measure(console)
    write(results)


def write(results: dict[str, Any]) -> None:
    """Write what has been measured so far."""
    path = Path("build/bench.json")
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    console.print(f"Written to {path}")


typer.run(main)
