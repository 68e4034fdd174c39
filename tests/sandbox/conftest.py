from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from autograder.sandbox.pool import Limits, Pool, Worker

# Small, so that bombs go off quickly.
LIMITS = Limits(
    cell_seconds=1.5,
    call_seconds=1.0,
    total_seconds=20.0,
    cpu_seconds=4,
    memory_bytes=400 << 20,
    output_bytes=300_000,
    file_bytes=4 << 20,
    scratch_bytes=8 << 20,
)


@pytest.fixture(scope="session")
def pool() -> Iterator[Pool]:
    with Pool(limits=LIMITS, preload=["matplotlib", "IPython"]) as pool:
        yield pool


@pytest.fixture(scope="session")
def first_layer() -> Iterator[Pool]:
    """Workers without namespaces, as in a container that does not allow them."""
    with Pool(limits=LIMITS, preload=["matplotlib", "IPython"], namespaces=False) as pool:
        yield pool


@pytest.fixture(scope="session")
def patient() -> Iterator[Pool]:
    """For honest cells: they take milliseconds, but a busy machine may stand still for seconds."""
    limits = replace(LIMITS, cell_seconds=15.0, call_seconds=15.0, total_seconds=60.0)
    with Pool(limits=limits, preload=["matplotlib", "IPython"]) as pool:
        yield pool


@pytest.fixture
def worker(patient: Pool) -> Iterator[Worker]:
    with patient.worker() as worker:
        yield worker


@pytest.fixture
def hasty(pool: Pool) -> Iterator[Worker]:
    """A worker whose cells and calls soon take too long."""
    with pool.worker() as worker:
        yield worker


@pytest.fixture(params=["all layers", "without namespaces"])
def walled(request: pytest.FixtureRequest) -> Pool:
    """A pool to be attacked; every attack is tried on all layers and on the first one alone."""
    name = "pool" if request.param == "all layers" else "first_layer"
    found: Pool = request.getfixturevalue(name)
    return found


@pytest.fixture
def needs(walled: Pool) -> Callable[..., None]:
    """Skip a test, and say why, if a wall that it needs is missing."""

    def check(*names: str) -> None:
        for name in names:
            if not walled.walls[name].up:
                pytest.skip(f"THE WALL '{name}' IS MISSING HERE: {walled.walls[name].reason}")

    return check


@pytest.fixture
def victim(walled: Pool) -> Iterator[Worker]:
    """A worker that a hostile student is in."""
    with walled.worker() as worker:
        yield worker


@pytest.fixture
def children() -> Callable[[], set[int]]:
    """A function that returns this process, and those that descend from it."""
    return _children


def _children() -> set[int]:
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = Path(f"/proc/{entry}/stat").read_text()
            except OSError:
                continue
            parents[int(entry)] = int(stat.rpartition(")")[2].split()[1])
    found, size = {os.getpid()}, 0
    while len(found) != size:
        size = len(found)
        found |= {pid for pid, parent in parents.items() if parent in found}
    return found
