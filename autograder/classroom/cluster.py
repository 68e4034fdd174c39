"""A class graded by a Dask cluster: ``autograder grade --scheduler ADDRESS``.

Each of Dask's processes holds a judge with its own pool of workers, as a local run does; what comes
back is written by one process, the one that asked. A machine that dies on the way costs time only:
Dask gives what it had not finished to another.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from autograder.classroom.grading import Graded
from autograder.classroom.judges import Setup, judge_one, lost
from autograder.classroom.ledger import circumstances
from autograder.classroom.release import CourseError
from autograder.classroom.submissions import Assignment, Submission
from autograder.sandbox.pool import Limits, Pool

BATCH = 20
"""Submissions in one of Dask's tasks: enough that its own few milliseconds do not count."""


def grade_on_cluster(
    address: str,
    assignment: Assignment,
    submissions: Sequence[Submission],
    secret: bytes,
    *,
    limits: Limits,
    require_walls: bool = False,
) -> Iterator[Graded]:
    """Grade submissions on a cluster, and yield each as its batch is done.

    Args:
        address: Dask's scheduler, such as ``tcp://127.0.0.1:8786``.
        assignment: what is graded.
        submissions: what was handed in.
        secret: the course's secret; it travels to the cluster, so the cluster must be the course's.
        limits: what one submission may use up.
        require_walls: whether to grade nothing where walls are missing; the results name them.

    Raises:
        CourseError: Dask is not installed, the scheduler does not answer or goes away, or it has
            nobody to give work to.
    """
    try:
        from distributed import Client, Security, as_completed
        from distributed.comm import resolve_address
    except ImportError as error:
        raise CourseError(
            "grading on a cluster needs Dask: pip install 'batch-normalization-course[cluster]'"
        ) from error
    try:
        # A client that was half made waits, and ends with a traceback.
        resolve_address(address)
        context = Security().get_connection_args("client")["ssl_context"]
        if address.startswith("tls:") and context is None:
            raise ValueError("for TLS, Dask needs its own settings: distributed.comm.tls")
        client = Client(address, timeout="10s", set_as_default=False)
    except (OSError, ValueError) as error:
        raise CourseError(f"there is no Dask scheduler at {address} ({error})") from error
    setup = Setup(assignment, secret, require_walls)
    around = circumstances(assignment, secret, limits)
    with client:
        if not client.scheduler_info()["workers"]:
            raise CourseError(
                f"the Dask scheduler at {address} has no workers yet. Start some, with: "
                f"dask worker {address} --nthreads 1"
            )
        shared = client.scatter((setup, limits), broadcast=True, hash=False)
        batches = [submissions[i : i + BATCH] for i in range(0, len(submissions), BATCH)]
        futures = {
            client.submit(
                _grade_batch, shared, batch, key=_key(around, require_walls, batch)
            ): batch
            for batch in batches
        }
        for future in as_completed(list(futures), loop=client.loop):
            if future.status == "finished":
                yield from future.result()
            elif future.status != "error":
                raise CourseError(
                    f"the Dask scheduler at {address} went away. What was graded is kept; when it "
                    "is there again, run the same command again"
                )
            else:  # no worker can be started there, or the batch took several processes down
                why = f"the cluster could not grade this: {future.exception()}"
                for submission in futures[future]:
                    yield lost(assignment, submission.student, why)


def _key(around: Mapping[str, Any], require_walls: bool, batch: Sequence[Submission]) -> str:
    """A name for a batch that is the same whenever the result would be."""
    what = [around, require_walls, [(s.student, s.digest, s.problem) for s in batch]]
    return "grade-" + hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()


_lock = threading.Lock()
_pools: dict[Limits, Pool] = {}


def _grade_batch(shared: tuple[Setup, Limits], batch: Sequence[Submission]) -> list[Graded]:
    """Grade a batch in one of Dask's processes; its threads take turns."""
    setup, limits = shared
    with _lock:
        if limits not in _pools:
            _pools[limits] = Pool(limits=limits)
        return [judge_one(setup, _pools[limits], submission) for submission in batch]
