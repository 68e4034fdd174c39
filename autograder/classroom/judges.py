"""A class graded side by side: judges' processes, each with its own pool of workers."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import pickle
import signal
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from autograder.verdict import Failure, Verdict

if TYPE_CHECKING:
    from autograder.classroom.grading import Graded
    from autograder.classroom.submissions import Assignment, Handed, Submission
    from autograder.sandbox.pool import Limits, Pool

    Work = Handed | Submission

# Judges are forked from a server that has imported what judging needs, which takes seconds.
_METHOD = "spawn" if sys.platform == "win32" else "forkserver"

# When judges die so many times in a row, it is not for what they were given.
_BARREN = 3

# One more for each judge than it is grading, so that none has to wait for us, nor for the disk.
_AT_HAND = 2


def warm_up() -> None:
    """Have the judges' imports begin, beside whatever this process does next.

    Raises:
        CourseError: the folder for temporary files has a name too long for sockets in it.
    """
    if _METHOD == "forkserver":
        from multiprocessing import forkserver, resource_tracker

        multiprocessing.set_forkserver_preload(["autograder.classroom.grading"])
        resource_tracker.ensure_running()  # lets interrupts through when it begins, so not below
        # Who interrupts a run means this process, and must be heard. The server would end with a
        # traceback: what is blocked here while it begins stays blocked there.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            forkserver.ensure_running()
        except OSError as error:
            if "path too long" not in str(error):
                raise
            from autograder.classroom.release import CourseError

            raise CourseError(
                f"the folder for temporary files, {tempfile.gettempdir()}, has too long a name: "
                "run the same command again with TMPDIR=/tmp before it"
            ) from error
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def collect_seldom() -> None:
    """Look for cycles less often than Python does, and not in what is there already.

    What is imported, and what is known of a class, stays; to look there again and again takes a
    tenth of a judge's time.
    """
    gc.freeze()
    gc.set_threshold(100_000)


class Setup(NamedTuple):
    """What a class is graded by.

    Attributes:
        assignment: what is graded.
        secret: the course's.
        require_walls: whether nothing runs where walls are missing; the results then name them,
            without grades.
    """

    assignment: Assignment
    secret: bytes
    require_walls: bool


class Judges:
    """Judges' processes, which stay for one class after the other, and a context manager.

    Args:
        jobs: how many there may be.
        limits: what one submission may use up.

    Attributes:
        limits: as given.
    """

    def __init__(self, jobs: int, limits: Limits) -> None:
        self.limits = limits
        self._cores = deque(_cores(jobs))  # of those that have not begun
        self._processes: list[_Process] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill() if process.given else process.dismiss()
        for process in self._processes:
            process.join()

    def _begin(self, count: int) -> None:
        """Have so many of the processes, as far as there may be."""
        while self._cores and len(self._processes) < count:
            self._processes.append(_Process(self.limits, self._cores.popleft()))

    def grade(
        self,
        assignment: Assignment,
        submissions: Sequence[Work],
        secret: bytes,
        *,
        require_walls: bool = False,
    ) -> Iterator[Graded]:
        """Grade submissions side by side, and yield each as it is done.

        A judge's process that dies takes no other grade with it: the submission that was being
        graded then, and those that failed through our own fault, are tried again, each in a process
        of its own, and are then reported as INTERNAL. A judge that cannot start its workers leaves
        its share to the others.

        Raises:
            CourseError: none of them can; the message says why.
        """
        setup = Setup(assignment, secret, require_walls)
        waiting = deque(submissions)
        suspects: list[Work] = []
        deaths = 0  # since the last result
        refused = ""  # why the last judge that could not begin did not
        try:
            while True:
                if deaths < _BARREN:
                    self._begin(len(waiting))
                    self._hand_out(setup, waiting)
                busy = {p.connection: p for p in self._processes if p.given}
                if not busy:
                    break
                for connection in wait(busy):
                    process = busy[connection]
                    graded, submission = process.answer()
                    if isinstance(graded, str):  # another on its core could not either
                        refused = graded
                        waiting.extendleft(reversed((submission, *process.given)))
                        self._end(process)
                        continue
                    if graded is None:
                        deaths += 1
                        waiting.extendleft(reversed(process.given))
                        self._give_up(process)
                    else:
                        deaths = 0
                    if graded is None or graded.worth_another_try:
                        suspects.append(submission)
                    else:
                        yield graded
        finally:
            for process in [p for p in self._processes if p.given]:  # nobody waits for it any more
                self._give_up(process)
        if refused and waiting:
            from autograder.classroom.release import CourseError

            raise CourseError(f"students' code cannot be run here: {refused}")
        for submission in (*suspects, *waiting):
            with Judges(1, self.limits) as alone:
                alone._begin(1)
                alone._processes[0].give(setup, submission)
                graded, _ = alone._processes[0].answer()
            if isinstance(graded, str):
                yield lost(assignment, submission.student, f"it cannot be run here: {graded}")
            else:
                why = "the grader itself died while grading this"
                yield graded or lost(assignment, submission.student, why)

    def _hand_out(self, setup: Setup, waiting: deque[Work]) -> None:
        for place in range(_AT_HAND):
            for process in self._processes:
                if waiting and len(process.given) <= place:
                    process.give(setup, waiting.popleft())

    def _give_up(self, process: _Process) -> None:
        """End a process; another may take its place."""
        self._end(process)
        self._cores.append(process.core)

    def _end(self, process: _Process) -> None:
        process.kill()
        process.join()
        self._processes.remove(process)


class _Process:
    """A judge's process, as we see it.

    Attributes:
        core: the core that it keeps to; None for any.
        connection: where its results arrive.
        given: what it is to grade, the first first.
    """

    def __init__(self, limits: Limits, core: int | None) -> None:
        context: Any = multiprocessing.get_context(_METHOD)
        self.core = core
        self.given: deque[Work] = deque()
        self._setup: Setup | None = None
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_judge, args=(theirs, limits, core), daemon=True)
        self._process.start()
        theirs.close()

    def give(self, setup: Setup, submission: Work) -> None:
        """Have it grade a submission when it is done with the others."""
        self.given.append(submission)
        with contextlib.suppress(OSError):  # it is gone, as its answer will say
            if setup is not self._setup:
                self.connection.send(setup)
                self._setup = setup
            self.connection.send(submission)

    def answer(self) -> tuple[Graded | str | None, Work]:
        """Wait for the next result, and return it with what was given.

        Instead of a result: why it cannot start a worker, as text; None if it died.
        """
        try:
            graded: Graded | str | None = self.connection.recv()
        except (EOFError, OSError):
            graded = None
        return graded, self.given.popleft()

    def kill(self) -> None:
        """End it, whatever it is doing; its workers end with it."""
        self._process.kill()

    def dismiss(self) -> None:
        """Have it end by itself."""
        with contextlib.suppress(OSError):
            self.connection.send_bytes(b"")

    def join(self) -> None:
        """Wait until it has ended."""
        self._process.join()
        self.connection.close()


def _cores(jobs: int) -> list[int | None]:
    """The core that each judge is to keep to, with its workers; None for any.

    A judge and its worker take turns, and what one leaves in a core's caches serves the other. But
    where there are cores to spare, others may be busy on those that we would choose.
    """
    if not hasattr(os, "sched_getaffinity"):
        return [None] * jobs
    cores = sorted(os.sched_getaffinity(0))
    return [cores[n % len(cores)] if jobs >= len(cores) else None for n in range(jobs)]


def _judge(connection: Connection, limits: Limits, core: int | None) -> None:
    """Be a judge's process: grade what is handed over, one after the other, until there is no more.

    Its pool lives as long as it does, and it no longer than who hands over.
    """
    from autograder.sandbox.pool import Pool

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who began it hears of it, and ends it
    if core is not None:
        os.sched_setaffinity(0, {core})
    handed: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_listen, args=(connection, handed), daemon=True).start()
    setup: Setup | None = None
    try:
        workers = Pool(limits=limits)
    except (Failure, OSError) as error:
        connection.send(str(error) or type(error).__name__)
        return
    with workers as pool:
        collect_seldom()
        while data := handed.get():
            given = pickle.loads(data)
            if isinstance(given, Setup):
                setup = given
                collect_seldom()
            else:
                assert setup is not None
                connection.send(judge_one(setup, pool, given))


def _listen(connection: Connection, handed: SimpleQueue[bytes]) -> None:
    """Take what is handed over, also while something is graded, so that nobody has to wait.

    End this process when the one that began it is gone, even if it was killed.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None
    with contextlib.suppress(EOFError, OSError):
        while connection in wait([connection, parent.sentinel]):
            data = connection.recv_bytes()
            handed.put(data)
            if not data:
                return
    os._exit(1)


def judge_one(setup: Setup, pool: Pool, submission: Work) -> Graded:
    """Read and grade one submission; what goes wrong on our side is INTERNAL, not an exception.

    Where walls are missing that are required, the result names them and grades nothing.
    """
    from autograder.classroom.grading import Graded, grade
    from autograder.classroom.submissions import Handed
    from autograder.classroom.timing import OutOfTime, time_limit

    if setup.require_walls and (missing := pool.walls.missing):
        return Graded(submission.student, setup.assignment.name, "", (), walls=missing)
    # Workers keep to their limits; this one is for the judge itself.
    seconds = 2 * pool.limits.total_seconds + 60
    try:
        with time_limit(seconds):
            read = submission.read() if isinstance(submission, Handed) else submission
            return grade(setup.assignment, read, pool, setup.secret)
    except OutOfTime:
        why = f"grading took more than {seconds:.0f} s"
    except Exception as error:  # ours, not the student's: it must not stop the class
        why = f"{type(error).__name__}: {error}"
    return lost(setup.assignment, submission.student, why, tuple(pool.walls.missing))


def lost(assignment: Assignment, student: str, why: str, walls: tuple[str, ...] = ()) -> Graded:
    """What to say of a submission that could not be graded through our own fault: INTERNAL.

    Where a worker ran, the result names the walls that it lacked, as every result does.
    """
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
        walls=walls,
    )
