"""What becomes of a class when something breaks on the way: no grade lost, and none twice."""

from __future__ import annotations

import contextlib
import io
import json
import multiprocessing
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from functools import partial
from multiprocessing import forkserver
from pathlib import Path

import psutil
import pytest
from classroom_helpers import SLUG
from rich.console import Console

from autograder.classroom import judges, runs
from autograder.classroom import ledger as ledger_module
from autograder.classroom.release import CourseError
from autograder.classroom.runs import Options, grade_assignment
from autograder.classroom.sample import as_answer
from autograder.sandbox.pool import Limits, Pool
from autograder.verdict import Failure, Verdict

KILLS = 50
# What stands in the command line of a warm parent and its workers, and nowhere else.
BOOT = "from sandbox import worker"


def grade(course: Path, printed: str = os.devnull) -> None:
    """Grade a course as `autograder grade` does, in a process that has imported everything."""
    judges._METHOD = "fork"
    ledger_module._ENDING_SECONDS = 60.0  # forked judges have it open, too, until they end
    with open(printed, "w", encoding="utf-8") as file:
        options = Options(no_walls=True, no_gradebook=False, again=False, scheduler="")
        with judges.Judges(2, Limits()) as two:
            grade_assignment(Console(file=file, width=200), course, SLUG, options, two)


@pytest.fixture
def few(course: Path, hand_in, desk, subject) -> Path:
    """A course with eight submissions, some of them wrong."""
    for number, exercise in enumerate((*subject.exercises, None, None, None)):
        answers = {}
        if exercise is not None:
            answers = {exercise.name: as_answer(exercise.mistakes[0].implementation, exercise.name)}
        hand_in(f"student-{number}", desk.fill_in(answers))
    return course


def deserved(subject) -> dict[str, float]:
    full = sum(e.points for e in subject.exercises)
    lost = [e.points - e.mistakes[0].earns for e in subject.exercises]
    return {f"student-{k}": full - (lost[k] if k < len(lost) else 0) for k in range(8)}


def ledger(course: Path) -> list[dict]:
    path = course / "grades" / f"{SLUG}.ledger.jsonl"
    if not path.exists():
        return []
    whole = path.read_bytes().rpartition(b"\n")[0]
    return [json.loads(line) for line in whole.splitlines()]


def scores(course: Path) -> dict[str, float]:
    with contextlib.closing(sqlite3.connect(course / "gradebook.db")) as book:
        rows = book.execute(
            "select a.student_id, sum(g.auto_score) from grade g"
            " join submitted_notebook n on g.notebook_id = n.id"
            " join submitted_assignment a on n.assignment_id = a.id group by a.student_id"
        )
        return dict(rows)


@pytest.fixture
def warm():
    """A context whose processes start with everything imported, so that kills hit the work."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["autograder.classroom.runs", "autograder.classroom.grading"])
    return context


def test_what_nobody_can_earn_is_said(course, hand_in, desk, tmp_path, warm):
    source = course / "solutions" / SLUG / f"{SLUG}.py"
    text = source.read_text(encoding="utf-8")
    for right, wrong in (
        ("X.std(axis=0)", "X.std(axis=0, ddof=1)"),
        ("### END HIDDEN TESTS\n)\n", "### END HIDDEN TESTS\n).earned - 3\n"),
    ):
        assert right in text
        text = text.replace(right, wrong, 1)
    source.write_text(text, encoding="utf-8")
    hand_in("ada", desk.fill_in())
    printed = tmp_path / "printed"
    run = warm.Process(target=grade, args=(course, str(printed)))
    run.start()
    run.join()
    said = printed.read_text(encoding="utf-8")
    assert said.count("the solution itself does not earn the ") == 2
    assert "the 7 points of test_min_max_scale; mend it, or the cell: 4 of 7 points\n" in said
    assert "the 7 points of test_standardize; mend it, or the cell: The standard deviation" in said
    assert scores(course) == {"ada": 35}
    assert [line["graded"]["student"] for line in ledger(course)] == ["ada"]


def test_points_that_only_the_cell_has_are_said(few, tmp_path, warm):
    source = few / "solutions" / SLUG / f"{SLUG}.py"
    text = source.read_text(encoding="utf-8")
    for name, points, now in (("standardize", 7, 4), ("Scaler", 11, 22)):
        cell = f'"grade_id": "test_{name}", "locked": true, "points": '
        assert text.count(f"{cell}{points},") == 1
        text = text.replace(f"{cell}{points},", f"{cell}{now},")
    source.write_text(text, encoding="utf-8")
    printed = tmp_path / "printed"
    run = warm.Process(target=grade, args=(few, str(printed)))
    run.start()
    run.join()
    said = printed.read_text(encoding="utf-8")
    assert "standardize is worth 7, but its cell test_standardize says 4: scores are those" in said
    assert "Scaler is worth 11, but its cell test_Scaler says 22: scores are those" in said
    assert "the solution itself" not in said


def test_nobody_else_grades_until_the_gradebook_is_written(few, monkeypatch):
    """Two runs that write into it at once stop each other, or leave older scores in it."""
    path = few / "grades" / f"{SLUG}.ledger.jsonl"

    def record(*_):
        with (
            pytest.raises(CourseError, match="another run is grading this"),
            ledger_module.Ledger(path, {"secret_id": ""}, b""),
        ):
            pass
        return ["asked"]

    monkeypatch.setattr(ledger_module, "_ENDING_SECONDS", 0.1)
    monkeypatch.setattr(runs, "record", record)
    console = Console(width=200, file=io.StringIO())
    options = Options(no_walls=True, no_gradebook=False, again=False, scheduler="")
    with judges.Judges(1, Limits()) as one:
        grade_assignment(console, few, SLUG, options, one)
    assert "! asked" in console.file.getvalue()


def test_a_run_killed_at_any_moment_goes_on_where_it_stopped(few, tmp_path, warm, subject):
    course = shutil.copytree(few, tmp_path / "killed")
    untouched = few
    start = time.monotonic()
    warm_run = warm.Process(target=grade, args=(untouched,))
    warm_run.start()
    warm_run.join()
    assert warm_run.exitcode == 0
    length = time.monotonic() - start
    wanted = (untouched / "grades" / f"{SLUG}.json").read_bytes()

    moments = random.Random(0)
    finished = 0
    for _ in range(KILLS):
        before = ledger(course)
        run = warm.Process(target=grade, args=(course,))
        run.start()
        run.join(moments.uniform(0, length))
        if run.exitcode is None:
            os.kill(run.pid, signal.SIGKILL)
            run.join()
        else:
            finished += 1
            assert run.exitcode == 0
            # What is finished is cleared away, so that later kills have something to hit.
            shutil.rmtree(course / "grades")
            (course / "gradebook.db").unlink()
            continue
        after = ledger(course)
        assert after[: len(before)] == before, "a verdict was lost"
        graded = [line["graded"]["student"] for line in after]
        assert len(graded) == len(set(graded)), "a submission was graded twice"
    run = warm.Process(target=grade, args=(course,))
    run.start()
    run.join()
    assert run.exitcode == 0
    assert finished < KILLS
    assert (course / "grades" / f"{SLUG}.json").read_bytes() == wanted
    assert scores(course) == scores(untouched) == deserved(subject)


def test_a_killed_run_leaves_no_process_behind(few, warm):
    course = few
    before = {p.pid for p in psutil.process_iter()}
    run = warm.Process(target=grade, args=(course,))
    run.start()
    while len(ledger(course)) < 2:
        assert run.exitcode is None
        time.sleep(0.02)
    os.kill(run.pid, signal.SIGKILL)
    run.join()
    end = time.monotonic() + 15
    left: list[psutil.Process] = []
    while time.monotonic() < end:
        left = [p for p in psutil.process_iter() if p.pid not in before and belongs(p, course)]
        if not left:
            return
        time.sleep(0.1)
    pytest.fail(f"still running: {[p.cmdline() for p in left]}")


def test_an_interrupted_run_says_how_to_go_on(few, hand_in, desk):
    slow = hand_in("slow", desk.fill_in(below="import time\ntime.sleep(19)"))
    grading = [sys.executable, "-m", "autograder", "grade", SLUG, "--course", few, "--no-walls"]
    run = subprocess.Popen(
        grading, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while len(ledger(few)) < 6:  # of nine; one may wait for the same judge as the slow one
        assert run.poll() is None
        time.sleep(0.05)
    os.killpg(run.pid, signal.SIGINT)  # as a terminal does
    _, said = run.communicate(timeout=15)
    assert run.returncode == 130
    assert "run the same command again to go on" in " ".join(said.split())
    assert "Traceback" not in said
    shutil.rmtree(slow)
    kept = len(ledger(few))
    again = subprocess.run(grading, capture_output=True, text=True, check=True)
    assert f"{kept} of 8 had been graded before" in " ".join(again.stdout.split())


def test_an_interrupt_at_the_start_is_said_in_a_sentence(few):
    """While the judges' imports run, in a process that a terminal interrupts, too."""
    run = subprocess.Popen(
        [sys.executable, "-m", "autograder", "grade", SLUG, "--course", few],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not psutil.Process(run.pid).children():
        assert run.poll() is None
        time.sleep(0.01)
    time.sleep(0.3)
    os.killpg(run.pid, signal.SIGINT)
    _, said = run.communicate(timeout=15)
    assert run.returncode == 130
    assert "run the same command again to go on" in " ".join(said.split())
    assert "Traceback" not in said


def test_an_interrupt_while_the_judges_server_begins_is_heard(monkeypatch):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    interrupt = partial(os.kill, os.getpid(), signal.SIGINT)
    monkeypatch.setattr(forkserver, "ensure_running", interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            judges.warm_up()
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="Python itself may take another folder")
def test_a_long_name_of_the_temporary_folder_is_said_in_a_sentence(few, tmp_path):
    folder = tmp_path / ("long" * 25)
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "autograder", "grade", SLUG, "--course", few],
        env={**os.environ, "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "has too long a name" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def belongs(process: psutil.Process, course: Path) -> bool:
    """Whether a process is one of a run: a judge, a warm parent, a worker."""
    with contextlib.suppress(psutil.Error):
        line = " ".join(process.cmdline())
        return process.status() != psutil.STATUS_ZOMBIE and (BOOT in line or str(course) in line)
    return False


def is_warm_parent(process: psutil.Process) -> bool:
    """Whether a process is what workers are forked from; a worker's own parent is one."""
    with contextlib.suppress(psutil.Error):
        parent = process.parent()
        return (
            BOOT in " ".join(process.cmdline())
            and parent is not None
            and BOOT not in " ".join(parent.cmdline())
        )
    return False


def test_a_warm_parent_that_dies_costs_no_grade(few, warm, subject, hand_in, desk):
    course = few
    first = subject.exercises[0]
    answer = as_answer(first.reference, first.name)
    # It keeps a worker busy, so that there is a parent to kill however fast the others are graded.
    slow = desk.fill_in({first.name: f"import time\ntime.sleep(4)\n{answer}"})
    hand_in("a-slow-student", slow)
    run = warm.Process(target=grade, args=(course,))
    run.start()
    killed = set()
    while run.exitcode is None and len(killed) < 3:
        with contextlib.suppress(psutil.Error):
            for process in psutil.Process(run.pid).children(recursive=True):
                if process.pid not in killed and is_warm_parent(process) and ledger(course):
                    process.kill()
                    killed.add(process.pid)
        time.sleep(0.05)
    run.join(60)
    assert killed
    assert run.exitcode == 0
    again = warm.Process(target=grade, args=(course,))
    again.start()
    again.join(60)
    assert again.exitcode == 0
    full = sum(e.points for e in subject.exercises)
    assert scores(course) == {**deserved(subject), "a-slow-student": full}


def test_where_no_worker_can_start_the_run_says_why(few, monkeypatch):
    def fails(**_):
        raise Failure(Verdict.INTERNAL, "cannot preload numpy")

    monkeypatch.setattr("autograder.sandbox.pool.Pool", fails)
    monkeypatch.setattr(judges, "_METHOD", "fork")
    with pytest.raises(CourseError, match="cannot be run here: cannot preload numpy"):
        grade(few)
    assert ledger(few) == []
    assert not (few / "gradebook.db").exists() or scores(few) == {}


def only(times: int, folder: Path):
    """A pool that can be made so often, in whichever process, and then no more."""

    def made(**kwargs):
        for number in range(times):
            with contextlib.suppress(FileExistsError):
                (folder / f"pool-{number}").touch(exist_ok=False)
                return Pool(**kwargs)
        raise Failure(Verdict.INTERNAL, "too many processes")

    return made


def test_a_judge_that_cannot_start_leaves_its_share_to_the_others(
    few, tmp_path, monkeypatch, subject
):
    monkeypatch.setattr("autograder.sandbox.pool.Pool", only(1, tmp_path))
    monkeypatch.setattr(judges, "_METHOD", "fork")
    grade(few)
    assert len(ledger(few)) == 8
    assert scores(few) == deserved(subject)


def test_what_cannot_be_tried_again_is_left_open(few, tmp_path, monkeypatch, subject):
    last, judge_one = "student-7", judges.judge_one

    def dies(setup, pool, given):
        if given.student == last:
            os._exit(1)
        return judge_one(setup, pool, given)

    monkeypatch.setattr("autograder.sandbox.pool.Pool", only(2, tmp_path))
    monkeypatch.setattr(judges, "judge_one", dies)
    monkeypatch.setattr(judges, "_METHOD", "fork")
    grade(few)
    assert scores(few) == {**deserved(subject), last: None}
    (why,) = {line["graded"]["problem"] for line in ledger(few)} - {""}
    assert why == "it cannot be run here: too many processes"


FILL = """
set -eu
mount -t tmpfs -o size=3m tmpfs {place}
cp -r {course} {place}/course
room=$(df --output=avail -k {place} | tail -1)
head -c $(( (room - {left}) * 1024 )) /dev/zero > {place}/fill || true
{python} -m autograder grade {slug} --course {place}/course --jobs 2 --no-walls > {out}/first 2>&1 \
    && code=0 || code=$?
echo $code > {out}/code
cp {place}/course/grades/{slug}.ledger.jsonl {out}/before || true
rm {place}/fill
{python} -m autograder grade {slug} --course {place}/course --jobs 2 --no-walls > {out}/second 2>&1
cp -r {place}/course {out}/course
"""


@pytest.mark.parametrize("left", [0, 24, 120, 400, 700])
def test_a_full_disk_loses_nothing(left, few, tmp_path, subject):
    """On a small disk with so many kilobytes left: a sentence, and then all goes on."""
    alone = ["unshare", "--user", "--map-root-user", "--mount", "bash", "-c"]
    if subprocess.run([*alone, "true"], check=False, capture_output=True).returncode:
        pytest.skip("NO NAMESPACES HERE: a full disk was not tried")
    place, out = tmp_path / "disk", tmp_path / "out"
    place.mkdir()
    out.mkdir()
    script = FILL.format(
        place=place, course=few, left=left, python=sys.executable, slug=SLUG, out=out
    )
    done = subprocess.run([*alone, script], check=False, capture_output=True, text=True)
    first = (out / "first").read_text()
    assert done.returncode == 0, done.stderr + first + (out / "second").read_text()
    assert (out / "code").read_text().strip() in ("0", "2"), first
    assert "Traceback" not in first
    if (out / "code").read_text().strip() == "2":
        said = " ".join(first.split())
        assert "No space left on device" in said or "disk is full" in said, first
        assert "run the same command again" in said, first
    after = (out / "course" / "grades" / f"{SLUG}.ledger.jsonl").read_bytes()
    if (out / "before").exists():
        kept = (out / "before").read_bytes().rpartition(b"\n")[0]
        assert after.startswith(kept), "a verdict was lost"
    students = [line["graded"]["student"] for line in ledger(out / "course")]
    assert len(students) == len(set(students)), "a submission was graded twice"
    assert scores(out / "course") == deserved(subject)
