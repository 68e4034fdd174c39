"""A class graded side by side: judges' processes, each with its own pool of workers."""

from __future__ import annotations

import gc
import multiprocessing
import multiprocessing.connection
import os
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autograder.verdict import Verdict

if TYPE_CHECKING:
    from multiprocessing.queues import SimpleQueue

    from autograder.classroom.grading import Graded
    from autograder.classroom.submissions import Assignment, Handed, Submission
    from autograder.sandbox.pool import Limits, Pool

# Judges are forked from a server that has imported what judging needs, which takes seconds.
_METHOD = "spawn" if sys.platform == "win32" else "forkserver"

# When all judges die so many times in a row, it is not for what they were given.
_BARREN = 3


def warm_up() -> None:
    """Have the judges' imports begin, beside whatever this process does next."""
    if _METHOD == "forkserver":
        from multiprocessing import forkserver

        multiprocessing.set_forkserver_preload(["autograder.classroom.grading"])
        forkserver.ensure_running()


def collect_seldom() -> None:
    """Look for cycles less often than Python does, and not in what is there already.

    What is imported, and what is known of a class, stays; to look there again and again takes a
    tenth of a judge's time.
    """
    gc.freeze()
    gc.set_threshold(100_000)


def grade_class(
    assignment: Assignment,
    submissions: Sequence[Handed | Submission],
    secret: bytes,
    *,
    jobs: int,
    limits: Limits,
    require_walls: bool = False,
) -> Iterator[Graded]:
    """Grade submissions side by side, and yield each as it is done.

    A judge's process that dies takes no other grade with it: the submissions that were being
    graded then, and those that failed through our own fault, are tried again, each in a process of
    its own, and are then reported as INTERNAL. Where walls are required and missing, nothing runs:
    the results name them, without grades.
    """
    waiting = deque(submissions)
    suspects: deque[Handed | Submission] = deque()
    setup = assignment, secret, limits, require_walls
    barren = 0
    while waiting and barren < _BARREN:
        barren += 1
        for graded in _pass(setup, waiting, suspects, jobs):
            barren = 0
            yield graded
    for submission in (*suspects, *waiting):
        failed: deque[Handed | Submission] = deque()
        yield from _pass(setup, deque([submission]), failed, 1, last=True)
        for again in failed:
            yield lost(assignment, again.student, "the grader itself died while grading this")


def _pass(
    setup: tuple[Assignment, bytes, Limits, bool],
    waiting: deque[Handed | Submission],
    suspects: deque[Handed | Submission],
    jobs: int,
    *,
    last: bool = False,
) -> Iterator[Graded]:
    """Grade what waits until a process dies; what it may have died of goes to the suspects."""
    jobs = max(1, min(jobs, len(waiting)))
    context = multiprocessing.get_context(_METHOD)
    cores = context.SimpleQueue()
    for core in _cores(jobs):
        cores.put(core)
    executor = ProcessPoolExecutor(
        max_workers=jobs, mp_context=context, initializer=_start, initargs=(*setup, cores)
    )
    running: dict[Future[Graded], Handed | Submission] = {}
    alive = True
    try:
        while running or (waiting and alive):
            # One more for each process, so that none has to wait for us, nor for the disk.
            while alive and waiting and len(running) < 2 * jobs:
                try:
                    future = executor.submit(_grade, waiting[0])
                except BrokenProcessPool:
                    alive = False
                else:
                    running[future] = waiting.popleft()
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                submission = running.pop(future)
                try:
                    graded = future.result()
                except BrokenProcessPool:
                    alive = False
                    suspects.append(submission)
                    continue
                if graded.blocked and not last:
                    suspects.append(submission)
                else:
                    yield graded
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _cores(jobs: int) -> list[int | None]:
    """The core that each judge is to keep to, with its workers; None for any.

    A judge and its worker take turns, and what one leaves in a core's caches serves the other. But
    where there are cores to spare, others may be busy on those that we would choose.
    """
    if not hasattr(os, "sched_getaffinity"):
        return [None] * jobs
    cores = sorted(os.sched_getaffinity(0))
    return [cores[n % len(cores)] if jobs >= len(cores) else None for n in range(jobs)]


@dataclass
class Judge:
    """What a judge's process holds: the assignment, the secret, and a pool of workers.

    One that requires walls runs no student's code where some cannot be raised.
    """

    assignment: Assignment
    secret: bytes
    pool: Pool
    require_walls: bool


_judge: Judge | None = None


def _start(
    assignment: Assignment,
    secret: bytes,
    limits: Limits,
    require_walls: bool,
    cores: SimpleQueue[int | None],
) -> None:
    """Begin a judge's process: its pool lives as long as it does, and it no longer than we do."""
    from autograder.sandbox.pool import Pool

    global _judge
    if (core := cores.get()) is not None:
        os.sched_setaffinity(0, {core})
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _judge = Judge(assignment, secret, Pool(limits=limits), require_walls)
    collect_seldom()


def _end_with_parent() -> None:
    """End this process when the one that asked is gone, even if it was killed."""
    if parent := multiprocessing.parent_process():
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


def _grade(submission: Handed | Submission) -> Graded:
    assert _judge is not None
    return judge_one(_judge, submission)


def judge_one(judge: Judge, submission: Handed | Submission) -> Graded:
    """Read and grade one submission; what goes wrong on our side is INTERNAL, not an exception.

    Where walls are missing that are required, the result names them and grades nothing.
    """
    from autograder.classroom.grading import Graded, grade
    from autograder.classroom.submissions import Handed
    from autograder.classroom.timing import OutOfTime, time_limit

    if judge.require_walls and (missing := judge.pool.walls.missing):
        return Graded(submission.student, judge.assignment.name, "", (), walls=missing)
    # Workers keep to their limits; this one is for the judge itself.
    seconds = 2 * judge.pool.limits.total_seconds + 60
    try:
        with time_limit(seconds):
            read = submission.read() if isinstance(submission, Handed) else submission
            return grade(judge.assignment, read, judge.pool, judge.secret)
    except OutOfTime:
        why = f"grading took more than {seconds:.0f} s"
    except Exception as error:  # ours, not the student's: it must not stop the class
        why = f"{type(error).__name__}: {error}"
    return lost(judge.assignment, submission.student, why)


def lost(assignment: Assignment, student: str, why: str) -> Graded:
    """What to say of a submission that could not be graded through our own fault: INTERNAL."""
    from autograder.classroom import cells
    from autograder.classroom.grading import CellGrade, Graded

    return Graded(
        student=student,
        assignment=assignment.name,
        digest="",
        grades=tuple(
            CellGrade(
                cells.grade_id(c),
                cells.grade_id(c),
                cells.points(c),
                None,
                Verdict.INTERNAL.value,
                why,
            )
            for c in assignment.graded
        ),
        problem=why,
    )
