"""A class graded by a Dask cluster, on loopback: the same results, whoever dies on the way."""

from __future__ import annotations

import os
import signal
import threading
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace

import pytest
from classroom_helpers import LIMITS, SECRET

from autograder.classroom.cluster import _key, grade_on_cluster
from autograder.classroom.grading import grade
from autograder.classroom.ledger import circumstances
from autograder.classroom.release import CourseError
from autograder.classroom.sample import as_answer

distributed = pytest.importorskip("distributed", reason="Dask is not installed: no cluster to try")


@pytest.fixture
def cluster() -> Iterator[distributed.LocalCluster]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Dask's own, about ports and sockets
        with distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            silence_logs=50,
        ) as cluster:
            yield cluster


def test_a_cluster_gives_the_same_results_although_a_machine_dies(cluster, desk, subject):
    first = subject.exercises[0]
    mistakes = [None, *(m for m in first.mistakes)]
    submissions = []
    for number in range(60):
        mistake = mistakes[number % len(mistakes)]
        code = as_answer(mistake.implementation, first.name) if mistake else None
        notebook = desk.fill_in({first.name: code} if code else None)
        submissions.append(desk.read(notebook, f"student-{number:02d}"))
    wanted = {
        s.student: grade(desk.assignment, s, desk.pool, SECRET).to_dict() for s in submissions
    }
    found = {}
    victim = next(iter(cluster.workers.values())).pid
    results = grade_on_cluster(
        cluster.scheduler_address, desk.assignment, submissions, SECRET, limits=desk.pool.limits
    )
    for graded in results:
        if not found:
            os.kill(victim, signal.SIGKILL)
        assert graded.student not in found, "graded twice"
        found[graded.student] = graded.to_dict()
    assert found == wanted


def test_what_is_graded_otherwise_has_another_name(desk):
    batch = [replace(desk.read(b""), digest="of an empty file")]
    around = circumstances(desk.assignment, SECRET, LIMITS)
    changes = [{"assignment": "another"}, {"engine": "newer"}, {"limits": {}}, {"secret_id": "x"}]
    others = [_key({**around, **change}, True, batch) for change in changes]
    others += [_key(around, False, batch), _key(around, True, [replace(batch[0], student="ada")])]
    assert len({_key(around, True, batch), *others}) == 7
    again = circumstances(desk.assignment, SECRET, LIMITS)
    assert _key(again, True, list(batch)) == _key(around, True, batch)


def test_why_a_cluster_cannot_grade_is_said(cluster, desk):
    limits = replace(LIMITS, total_seconds=0.0)  # in which no worker shows its walls
    submission = desk.read(desk.fill_in(), "ada")
    results = grade_on_cluster(
        cluster.scheduler_address, desk.assignment, [submission], SECRET, limits=limits
    )
    (graded,) = results
    assert graded.blocked
    assert graded.problem.startswith("the cluster could not grade this: ")
    assert "the time for the whole notebook is used up" in graded.problem


def test_a_scheduler_that_is_not_there_is_said_plainly(desk):
    results = grade_on_cluster("tcp://127.0.0.1:9", desk.assignment, [], SECRET, limits=LIMITS)
    with pytest.raises(CourseError, match="no Dask scheduler"):
        next(results)


def test_a_scheduler_that_goes_away_gives_nobody_an_open_grade(cluster, desk):
    slow = desk.fill_in(above="import time\ntime.sleep(1.5)")
    submissions = [desk.read(slow, f"student-{number}") for number in range(9)]
    results = grade_on_cluster(
        cluster.scheduler_address, desk.assignment, submissions, SECRET, limits=LIMITS
    )
    stop = threading.Timer(2, cluster.close)
    stop.start()
    with pytest.raises(CourseError, match=r"went away. What was graded is kept"):
        list(results)
    stop.join()


def test_a_scheduler_without_workers_is_said_plainly(cluster, desk):
    cluster.scale(0)
    with distributed.Client(cluster) as client:
        while client.scheduler_info()["workers"]:
            time.sleep(0.1)
    results = grade_on_cluster(
        cluster.scheduler_address, desk.assignment, [], SECRET, limits=LIMITS
    )
    with pytest.raises(CourseError, match=r"has no workers yet. Start some, with: dask worker tcp"):
        next(results)


@pytest.mark.parametrize("address", ["scheduler", "http://127.0.0.1:9", "tls://127.0.0.1:9"])
def test_what_is_no_address_is_said_at_once(address, desk, monkeypatch):
    monkeypatch.setattr(distributed, "Client", None)  # would leave a traceback behind
    with pytest.raises(CourseError, match=f"no Dask scheduler at {address}"):
        next(grade_on_cluster(address, desk.assignment, [], SECRET, limits=LIMITS))
