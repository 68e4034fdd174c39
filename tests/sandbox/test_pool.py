"""A pool starts, measures its walls, survives its workers, and leaves nothing behind."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import orjson
import pytest

from autograder.sandbox import measure, parent, walls
from autograder.sandbox.pool import Limits, Pool, Worker
from autograder.verdict import Failure, Verdict

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files that nobody else uses meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        monkeypatch.setattr(tempfile, "tempdir", folder)
        monkeypatch.setenv("TMPDIR", folder)
        yield Path(folder)


def test_every_wall_stands_here(pool: Pool, first_layer: Pool) -> None:
    for each in (pool, first_layer):
        if each.walls.missing:
            pytest.skip(f"THESE WALLS ARE MISSING HERE: {each.walls}")
        assert {"reading", "writing", "network", "processes", "signals"} < set(each.walls)
        assert "missing" not in str(each.walls).lower()


def test_the_measurement_sees_a_missing_wall(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the probe worker tries does succeed where there are no walls."""
    with tempfile.TemporaryDirectory() as folder:
        secret = Path(folder, "secret")
        secret.write_text("secret")
        bait = {
            **{"secret": str(secret), "folder": folder, "port": 9, "judge": os.getpid()},
            **{"memory_bytes": 1 << 20, "cpu_seconds": 1, "file_bytes": 1, "scratch_bytes": 1},
        }
        monkeypatch.chdir(folder)
        for name in ("killpg", "chroot", "setresuid", "chown", "rename", "truncate"):
            monkeypatch.setattr(os, name, lambda *_: None)
        found = measure.attempts(bait)
    assert {name for name, reason in found.items() if reason} >= {
        *("reading", "writing", "processes", "signals", "memory", "cpu", "disk", "privileges"),
    }


def test_without_walls_the_rest_still_works(temporary: Path) -> None:
    with Pool(preload=(), walls=False, limits=Limits(call_seconds=0.3)) as pool:
        assert "reading" in pool.walls.missing
        with pool.worker() as worker:
            worker.execute("import time\ndef f(x): return x\ndef g(): time.sleep(9)")
            assert worker.handle("f")(1) == 1
            with pytest.raises(Failure):
                worker.handle("g")()
    assert not list(temporary.iterdir())


def test_what_is_returned_is_bounded_over_the_whole_notebook() -> None:
    source = "import numpy as np\ndef f(n): return np.zeros(n)"
    with Pool(preload=(), limits=Limits(answer_bytes=1 << 20)) as pool:
        with pool.worker() as worker:
            worker.execute(source)
            f = worker.handle("f")
            assert [len(f(1 << 14)) for _ in range(8)] == [1 << 14] * 8  # to the last byte
            with pytest.raises(Failure, match="returned more data") as caught:
                f(1)
            assert caught.value.verdict is Verdict.OUTPUT
            assert not worker.alive
        with pool.worker() as other:
            other.execute(source)
            assert len(other.handle("f")(1)) == 1


@pytest.mark.parametrize("namespaces", [True, False])
def test_nothing_is_left(
    namespaces: bool, temporary: Path, children: Callable[[], set[int]]
) -> None:
    processes, descriptors = children(), len(os.listdir("/proc/self/fd"))
    with Pool(preload=(), namespaces=namespaces) as pool:
        assert list(temporary.iterdir())
        workers = [pool.worker() for _ in range(5)]
        for worker in workers:
            worker.execute("open('x', 'w').write('x')")
        workers[0].execute("import os; os._exit(0)")
        workers[1].close()
        assert workers[2].execute("1").verdict is Verdict.PASS
    assert not list(temporary.iterdir())
    assert children() == processes
    assert workers[2].execute("1").verdict is Verdict.CRASH
    assert len(os.listdir("/proc/self/fd")) == descriptors
    with pytest.raises(Failure) as caught:
        pool.worker()
    assert caught.value.verdict is Verdict.INTERNAL


def test_folders_in_folders_are_wiped(temporary: Path) -> None:
    """Who wipes them must not go down with them: the parent is there for the next student, too."""
    source = """
import os
for _ in range(1_500):
    os.mkdir("d"); os.chdir("d")
open("file", "w").close(); os.symlink("/", "link"); os.makedirs("locked/inner"); os.mkdir("no", 0)
"""
    with Pool(preload=(), namespaces=False) as pool:
        left = set(temporary.rglob("*"))
        with pool.worker() as worker:
            parent = worker._parent
            assert worker.execute(source).verdict is Verdict.PASS
            failure = worker.execute("os._exit(0)").failure
        assert failure is not None
        assert failure.verdict is Verdict.CRASH
        assert set(temporary.rglob("*")) == left
        with pool.worker() as worker:
            assert worker._parent is parent
            worker.execute(source)
            os.kill(parent.pid, signal.SIGKILL)  # who then wipes it, is the judge
    assert not list(temporary.iterdir())


def test_nothing_is_left_of_a_parent_that_cannot_start(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    descriptors = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(subprocess, "Popen", fails)
    with pytest.raises(BlockingIOError):
        Pool(preload=())
    assert not list(temporary.iterdir())
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_the_parent_dies(pool: Pool) -> None:
    with Pool(preload=()) as own, own.worker() as worker:
        (parent,) = own._parents.values()
        os.kill(parent.pid, signal.SIGKILL)
        # Our fault, not the student's.
        assert worker.execute("import time; time.sleep(1)").verdict is Verdict.INTERNAL
        assert not worker.alive
        with own.worker() as other:
            assert other.execute("1").verdict is Verdict.PASS


LOADED = "import sys; print(*sorted({'matplotlib', 'torch'} & sys.modules.keys()))"


def loaded(worker: Worker) -> str:
    """Which large packages a worker has before it imports any."""
    (output,) = worker.execute(LOADED).outputs
    return str(output["text"]).strip()


def test_a_worker_has_what_it_needs_and_no_more() -> None:
    with (
        Pool() as pool,
        pool.worker() as plain,
        pool.worker(["matplotlib"]) as other,
        pool.worker() as again,
    ):
        assert [loaded(w) for w in (plain, other, again)] == ["", "matplotlib", ""]
        assert plain.layers == other.layers


def test_a_package_that_cannot_be_imported_is_for_the_student_to_find_out(pool: Pool) -> None:
    with pool.worker(["no_such_package"]) as worker:
        failure = worker.execute("import no_such_package").failure
        assert failure is not None
        assert failure.kinds[0] == "ModuleNotFoundError"


@pytest.mark.parametrize("namespaces", [True, False])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_the_judge_dies(
    number: signal.Signals, namespaces: bool, temporary: Path, children: Callable[[], set[int]]
) -> None:
    processes = children()
    source = (
        "from autograder.sandbox.pool import Pool\n"
        f"with Pool(preload=(), namespaces={namespaces}) as pool, pool.worker() as worker:\n"
        '    worker.execute(\'open("x", "w")\')\n'
        "    print('ready', flush=True)\n"
        "    worker.execute('import time; time.sleep(60)')\n"
    )
    judge = subprocess.Popen(
        [sys.executable, "-c", source],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with judge:
        assert judge.stdout is not None
        assert judge.stdout.readline() == b"ready\n"
        assert list(temporary.iterdir())
        judge.send_signal(number)
    for _ in range(100):
        if not list(temporary.iterdir()) and children() == processes:
            break
        time.sleep(0.05)
    assert not list(temporary.iterdir())
    assert children() == processes


def test_threads_share_a_pool(pool: Pool) -> None:
    answers: list[bool] = []

    def work(number: int) -> None:
        for _ in range(3):
            with pool.worker() as worker:
                worker.execute(f"import numpy as np\ndef f(x): return x + {number}")
                x = np.arange(10_000.0)
                f = worker.handle("f")
                answers.extend(bool((f(x) == x + number).all()) for _ in range(5))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [True] * 120


def test_a_forked_judge_needs_its_own_pool(pool: Pool) -> None:
    pid = os.fork()
    if not pid:
        try:
            pool.worker()
        except Failure:
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0


def test_a_package_that_cannot_be_imported(temporary: Path) -> None:
    with pytest.raises(Failure, match="no_such_package") as caught:
        Pool(preload=("no_such_package",))
    assert caught.value.verdict is Verdict.INTERNAL
    assert not list(temporary.iterdir())


def test_two_workers_draw_the_same_numbers(pool: Pool) -> None:
    draws = []
    for _ in range(2):
        with pool.worker() as worker:
            worker.execute("import numpy as np, random\nx = [np.random.rand(), random.random()]")
            draws.append(worker.value("x"))
    assert draws[0] == draws[1]


def test_libraries_beside_pythons_own_can_be_loaded(pool: Pool, first_layer: Pool) -> None:
    """There are scipy's in an environment of conda's."""
    folder = os.path.realpath(os.path.join(sys.base_prefix, "lib"))
    for each in (pool, first_layer):
        with each.worker() as worker:
            assert worker.execute(f"import os; os.listdir({folder!r})").failure is None


def test_what_a_worker_itself_needs_may_be_installed_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by `pip install --user`, beside a NumPy and an IPython of the machine's."""
    origin = str(tmp_path / "orjson" / "__init__.py")
    monkeypatch.setattr(orjson, "__spec__", ModuleSpec("orjson", None, origin=origin))
    assert str(tmp_path) in parent._packages(["numpy"])


def test_hidden_paths_are_left_out(tmp_path: Path) -> None:
    """An autograder that is installed among the packages stays hidden among them."""
    for name in ("numpy", "autograder/chapters", "other"):
        (tmp_path / name).mkdir(parents=True)
    hidden = [str(tmp_path / "autograder")]
    seen = list(walls.around(str(tmp_path), hidden))
    assert seen == [str(tmp_path / "numpy"), str(tmp_path / "other")]
    assert list(walls.around(str(tmp_path / "numpy"), hidden)) == [str(tmp_path / "numpy")]


@pytest.mark.parametrize("namespaces", [True, False])
@pytest.mark.parametrize("runs", ["the installed one", "a clone beside it"])
def test_an_autograder_among_the_packages_stays_hidden(
    tmp_path: Path, namespaces: bool, runs: str
) -> None:
    """As after `pip install`: its folder lies in one that workers import from."""
    for folder in (tmp_path, *tmp_path.parents[:2]):
        if folder != Path(tempfile.gettempdir()):
            folder.chmod(0o755)
    ignored = shutil.ignore_patterns("__pycache__", "classroom")
    shutil.copytree(REPOSITORY / "autograder", tmp_path / "autograder", ignore=ignored)
    for name in ("preloaded", "another"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("answer = 42")
    places = [str(tmp_path), str(REPOSITORY)]
    if runs != "the installed one":
        places.reverse()
    source = f"""
import sys
from autograder.sandbox.pool import Pool
with Pool(preload=["preloaded"], namespaces={namespaces}) as pool, pool.worker() as worker:
    assert not pool.walls.missing, pool.walls
    assert worker.execute("import another; another.answer").failure is None
    for name in ("verdict.py", "chapters/__init__.py", "sandbox/worker.py"):
        path = sys.argv[1] + "/autograder/" + name
        open(path).close()
        assert worker.execute(f"open({{path!r}})").failure, path
"""
    run = subprocess.run(
        [sys.executable, "-c", source, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
        cwd=places[0],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert run.returncode == 0, run.stderr


# ---- as somebody else than root ------------------------------------------------------------------

_AS_SOMEBODY = """
import ctypes, os, sys
prefix, uid, gid, *command = sys.argv[1:]
uid, gid = int(uid), int(gid)
libc = ctypes.CDLL(None, use_errno=True)
def must(result):
    if result:
        print("cannot", ctypes.get_errno()); sys.exit(77)
hidden = next((p for p in reversed([prefix, *map(str, __import__("pathlib").Path(prefix).parents)])
               if not os.stat(p).st_mode & 1), None)
if hidden:  # Python lives in a home folder: open the way to it, for this process alone
    must(libc.unshare(0x20000)); must(libc.mount(None, b"/", None, 16384 | 1 << 18, None))
    must(libc.mount(prefix.encode(), b"/mnt", None, 4096 | 16384, None))
    must(libc.mount(b"tmpfs", hidden.encode(), b"tmpfs", 0, b"mode=755"))
    os.makedirs(prefix)
    must(libc.mount(b"/mnt", prefix.encode(), None, 4096 | 16384, None))
os.setgroups([]); os.setresgid(gid, gid, gid); os.setresuid(uid, uid, uid)
os.execv(command[0], command)
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_as_somebody_else_than_root(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The same attacks, by a worker that has the instructor's own user number."""
    uid = 12_345
    with tempfile.TemporaryDirectory() as home:
        os.chown(home, uid, uid)
        names = (
            "read_files or write_files or another_students or disk or many_small or fork_bomb or "
            "daemon or kill_others or by_way_of or trace or privileges or network or memory or "
            "nothing_is_left or every_wall_stands"
        )
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", names]
        command += ["--rootdir", str(REPOSITORY), "--basetemp", f"{home}/tests", "-rs"]
        command += [f"{REPOSITORY}/tests/sandbox/test_{n}.py" for n in ("attacks", "pool")]
        run = subprocess.run(
            [sys.executable, "-c", _AS_SOMEBODY, sys.base_prefix, str(uid), str(uid), *command],
            env={"HOME": home, "TMPDIR": home, "PATH": os.environ["PATH"]}
            | {"PYTHONPATH": str(REPOSITORY)},
            cwd=home,
            capture_output=True,
            text=True,
            timeout=80,
        )
    if run.returncode == 77:
        pytest.skip(f"BECOMING SOMEBODY ELSE IS NOT POSSIBLE HERE: {run.stdout}")
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
    assert " passed" in run.stdout
    assert "MISSING" not in run.stdout, run.stdout[-3000:]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_as_somebody_whose_group_has_another_number() -> None:
    """As on a university's machines, where all are in the group `users`."""
    source = """
from autograder.sandbox.pool import Pool
with Pool(preload=()) as pool, pool.worker() as worker:
    assert not pool.walls.missing, pool.walls
    assert worker.execute("open('x', 'w').write('x')").failure is None
"""
    uid, gid = 12_345, 100
    with tempfile.TemporaryDirectory() as home:
        os.chown(home, uid, gid)
        become = [sys.executable, "-c", _AS_SOMEBODY, sys.base_prefix, str(uid), str(gid)]
        run = subprocess.run(
            [*become, sys.executable, "-c", source],
            env={"HOME": home, "TMPDIR": home, "PYTHONPATH": str(REPOSITORY)},
            cwd=home,
            capture_output=True,
            text=True,
            timeout=30,
        )
    if run.returncode == 77:
        pytest.skip(f"BECOMING SOMEBODY ELSE IS NOT POSSIBLE HERE: {run.stdout}")
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="only root has capabilities to lose")
def test_as_root_without_its_privileges() -> None:
    """As in a container that drops capabilities: here CAP_DAC_OVERRIDE and _READ_SEARCH."""
    source = """
from autograder.sandbox.pool import Pool
with Pool(preload=()) as pool, pool.worker() as worker:
    assert not pool.walls.missing, pool.walls
    assert worker.execute("open('x', 'w').write('x')").failure is None
"""
    drop = """
import ctypes, os, sys
for capability in (1, 2):
    assert not ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)
os.execv(sys.executable, [sys.executable, "-c", sys.argv[1]])
"""
    run = subprocess.run(
        [sys.executable, "-c", drop, source],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert run.returncode == 0, run.stderr


def test_the_parent_dies_behind_a_package_that_cannot_be_imported() -> None:
    with Pool() as pool:
        with pool.worker(["no_such_package"]):
            (parent,) = pool._parents.values()
        os.kill(parent.pid, signal.SIGKILL)
        with pool.worker(["no_such_package"]) as worker:
            assert worker.execute("1").verdict is Verdict.PASS
