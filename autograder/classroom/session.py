"""A student's notebook while it is graded: what its cells defined, in a worker."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from autograder.sandbox.ahead import Plan
from autograder.sandbox.pool import CellResult, Pool, Worker
from autograder.verdict import Failure, Lost, Verdict

# The part of a notebook's time that must be left if what is lost is to be asked again.
_MUCH = 0.9


class Session:
    """A worker that holds what a student's cells defined, and a fresh one when it was ended.

    A cell that ended its worker is left out when the cells before are run again, so that it costs
    only what depends on it.

    Args:
        pool: where workers come from.
        needs: the packages that they should have imported already.
    """

    def __init__(self, pool: Pool, needs: Sequence[str] = ()) -> None:
        self._pool = pool
        self._needs = needs
        self._known: Mapping[str, Any] = {}
        self._worker: Worker | None = None
        self._done: list[tuple[str, str]] = []
        self._broken: dict[str, Failure] = {}
        self._left = pool.limits.total_seconds
        self._trusting = True

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        if self._worker is not None:
            self._worker.close()

    def run(
        self, source: str, name: str, defines: Sequence[str] = (), asked: Sequence[str] = ()
    ) -> CellResult:
        """Run a cell of the student's, which should define some names.

        Some may be asked for next, before another cell runs.
        """
        start = time.monotonic()
        self._known = {}
        try:
            worker = self._alive()
            worker.foresees = self._has_time
            try:
                result = worker.execute(source, name=name, names=asked)
            except Lost:
                # What was done too early is not at the student's cost; that happens only once.
                start, self._trusting = time.monotonic(), False
                result = self._alive().execute(source, name=name, names=asked)
        except Failure as failure:
            self._broken.update(_undefined(defines, failure))
            raise
        finally:
            self._left -= time.monotonic() - start
        if result.failure is not None:
            self._broken.update(_undefined(defines, result.failure))
        if self._worker is not None and self._worker.alive:
            self._done.append((source, name))
            self._known = result.values
        return result

    def values(self, names: Sequence[str], *, foresee: bool = False) -> dict[str, Any]:
        """What the names stand for: handles, plain data, or the Failure that left none.

        Whether handles foresee what they will be asked, is up to who is ready for `Lost`; and they
        only do while there is time enough to begin again several times.
        """
        found: dict[str, Any] = {}
        known, self._known = self._known, {}
        foresee = foresee and self._has_time
        for name in names:
            try:
                worker = self._alive()
                worker.foresees = foresee
                handle = known.get(name)
                mine = handle is not None and handle._remote_worker is worker
                found[name] = handle if mine else worker.value(name)
            except Failure as failure:
                if failure.verdict is Verdict.INTERNAL:
                    raise
                if failure.verdict is Verdict.MISSING:
                    what = f"there is no {name}: define it, and run its cell before this one"
                    failure = self._broken.get(name, Failure(Verdict.MISSING, what))
                found[name] = failure
        return found

    def plan(self) -> Plan | None:
        """What the worker is going to be asked, to be filled in; None when it is gone."""
        return self._alive().plan

    def spend(self, seconds: float) -> None:
        """Count time that the student's functions took in graded cells."""
        self._left -= seconds

    def begin_again(self) -> None:
        """Go on with a fresh worker, which knows of no plan."""
        if self._worker is not None:
            self._worker.close()

    @property
    def _has_time(self) -> bool:
        """Whether what is lost can be asked again, and more than once."""
        return self._trusting and self._left > _MUCH * self._pool.limits.total_seconds

    def _alive(self) -> Worker:
        spent = Failure(Verdict.TIMEOUT, "the time for the whole notebook was used up before")
        if self._left < -self._pool.limits.total_seconds:  # by what we computed of its answers
            raise spent
        until = time.monotonic() + self._left
        while self._worker is None or not self._worker.alive:
            if time.monotonic() >= until:
                raise spent
            self._worker = self._pool.worker(self._needs)
            for source, name in self._done:
                self._worker.execute(source, name=name)
                if not self._worker.alive:  # it went well once, and not again: leave it out
                    self._done.remove((source, name))
                    break
        return self._worker


def _undefined(names: Sequence[str], failure: Failure) -> dict[str, Failure]:
    """What is to be said of names whose cell failed."""
    return {
        name: Failure(failure.verdict, f"the cell that should define {name} failed: {failure.said}")
        for name in names
    }
