"""What a hostile student tries, and what comes of it: nothing.

Each test is an attack; most collect in `got` what they got hold of. Each is tried against all
layers of walls, and against those that stand where namespaces are not allowed.
"""

from __future__ import annotations

import operator
import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from autograder.sandbox.pool import CellResult, Pool, Worker
from autograder.verdict import Failure, Verdict

Needs = Callable[..., None]
HERE = Path(__file__)
REPOSITORY = HERE.parents[2]

PRELUDE = """
import ctypes, errno, os, signal, socket, sys, threading, time
got = []
libc = ctypes.CDLL(None, use_errno=True)
def attempt(what, function, *args):
    try:
        value = function(*args)
        if value != -1:
            got.append(what)
        return value
    except (OSError, RuntimeError, MemoryError, ImportError, AttributeError):
        return None
"""


def attack(victim: Worker, source: str, **names: object) -> CellResult:
    """Run the attack; assert that it got nothing, and that the worker is still there to say so."""
    setting = "".join(f"{name} = {value!r}\n" for name, value in names.items())
    result = victim.execute(PRELUDE + setting + source)
    assert result.failure is None, (result.failure.message, result.failure.traceback)
    assert victim.value("got") == []
    return result


def ended(result: CellResult, victim: Worker, *verdicts: Verdict) -> None:
    assert result.verdict in verdicts
    assert not victim.alive


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file that anybody on this machine may read and write, but not a student."""
    for folder in (tmp_path, *tmp_path.parents[:2]):
        if folder != Path(tempfile.gettempdir()):
            folder.chmod(0o777)
    path = tmp_path / "gradebook.db"
    path.write_text("points = 0")
    path.chmod(0o666)
    return path


@pytest.fixture
def listener() -> Iterator[tuple[int, list[object]]]:
    """A server on this machine, and who called."""
    calls: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        done = threading.Event()

        def serve() -> None:
            while not done.is_set():
                try:
                    connection, address = server.accept()
                except TimeoutError:
                    continue
                connection.close()
                calls.append(address)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1], calls
        done.set()
        thread.join()


# ---- files ---------------------------------------------------------------------------------------


def test_read_files(victim: Worker, secret: Path, needs: Needs) -> None:
    needs("reading")
    places = [
        secret,
        HERE,
        REPOSITORY / "pyproject.toml",
        REPOSITORY / "autograder" / "judge.py",
        REPOSITORY / "autograder" / "sandbox" / "worker.py",
        "/etc/passwd",
        "/etc/hostname",
        "/proc/self/environ",
        "/proc/self/maps",
        f"/proc/{os.getpid()}/environ",
        f"/proc/{os.getpid()}/cmdline",
        "/proc/1/status",
        "/sys/kernel/hostname",
        "/dev/tty",
    ]
    source = "for place in places:\n    attempt(place, open, place)"
    attack(victim, source, places=[str(place) for place in places])


def test_list_folders(victim: Worker, secret: Path, needs: Needs) -> None:
    needs("reading")
    places = ["/", "/root", "/home", "/tmp", "/proc", "/etc", "..", "../..", str(REPOSITORY)]
    places += [str(secret.parent), str(REPOSITORY / "solutions"), str(REPOSITORY / "autograder")]
    source = "for place in places:\n    attempt(place, os.listdir, place)"
    attack(victim, source, places=places)


def test_import_the_judge(victim: Worker, needs: Needs) -> None:
    needs("reading")
    source = """
import importlib
sys.path.insert(0, repository); sys.path.insert(0, repository + "/autograder")
for name in ("autograder.judge", "autograder.chapters", "autograder.sandbox.pool", "judge",
             "compare", "verdict", "sandbox", "sandbox.worker", "pytest_hidden"):
    attempt(name, importlib.import_module, name)
del sys.modules["autograder"]
attempt("autograder", importlib.import_module, "autograder")
"""
    attack(victim, source, repository=str(REPOSITORY))


def test_links_out_of_the_scratch_folder(victim: Worker, secret: Path, needs: Needs) -> None:
    needs("reading", "writing")
    source = """
attempt("hard link", os.link, secret, "hard")
try:
    os.symlink(secret, "soft")
except OSError:
    pass
attempt("read", open, "soft"); attempt("write", open, "soft", "r+"); attempt("up", open, "../../x")
attempt("rename", os.rename, secret, "mine"); attempt("exchange", os.replace, "soft", secret)
"""
    attack(victim, source, secret=str(secret))


def test_write_files(victim: Worker, secret: Path, needs: Needs) -> None:
    needs("writing")
    source = """
import shutil, sqlite3
attempt("write", open, secret, "w"); attempt("append", open, secret, "a")
attempt("truncate", os.truncate, secret, 0)
attempt("truncate by opening", os.open, secret, os.O_RDONLY | os.O_TRUNC)
attempt("mode", os.chmod, secret, 0o777); attempt("owner", os.chown, secret, 0, 0)
attempt("time", os.utime, secret, (0, 0)); attempt("remove", os.remove, secret)
attempt("attribute", os.setxattr, secret, "user.x", b"x")
attempt("folder", os.mkdir, os.path.dirname(secret) + "/new")
attempt("device", os.mknod, "sda", 0o60600, 0x0800)
for place in ("/usr/lib/x.so", os.__file__, sys.path[-1] + "/sitecustomize.py", "/tmp/x", "/x"):
    attempt(place, open, place, "a")
attempt("delete", shutil.rmtree, os.path.dirname(secret))
try:
    sqlite3.connect(secret).execute("create table x (y)")
    got.append("database")
except sqlite3.Error:
    pass
"""
    before = secret.stat()
    attack(victim, source, secret=str(secret))
    after = secret.stat()
    assert secret.read_text() == "points = 0"
    assert (before.st_mode, before.st_uid, before.st_mtime) == (
        after.st_mode,
        after.st_uid,
        after.st_mtime,
    )
    assert list(secret.parent.iterdir()) == [secret]


def test_another_students_folder(walled: Pool, victim: Worker, needs: Needs) -> None:
    needs("reading", "writing")
    with walled.worker() as neighbour:
        neighbour.execute("open('mine', 'w').write('answer'); import os; here = os.getcwd()")
        there = neighbour.value("here")
        victim.execute("import os; here = os.getcwd()")
        if victim.value("here") == there:  # the same path, but in another mount table
            source = "attempt('read', open, 'mine')\nopen('mine', 'w').write('changed')"
        else:
            source = "attempt('read', open, there + '/mine')\nattempt('list', os.listdir, there)"
            source += "\nattempt('write', open, there + '/mine', 'w')"
        attack(victim, source, there=there)
        neighbour.execute("text = open('mine').read()")
        assert neighbour.value("text") == "answer"


def test_messages_to_a_neighbour_by_locks(walled: Pool, victim: Worker, needs: Needs) -> None:
    """Two students' workers read the same files: what one locks there, the other could see."""
    needs("signals")
    place = "import fcntl, struct\nfile = os.open(os.__file__, os.O_RDONLY)\n"
    lock = "struct.pack('hhqqi4x', {kind}, 0, 42, 1, 0)"
    source = f"""
{place}
for how in (
    lambda: fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB),
    lambda: fcntl.fcntl(file, fcntl.F_SETLK, {lock.format(kind=0)}),
    lambda: fcntl.fcntl(file, 37, {lock.format(kind=0)}),  # F_OFD_SETLK
):
    try:
        how()
    except OSError:
        pass
"""
    with walled.worker() as neighbour:
        assert neighbour.execute(PRELUDE + source).verdict is Verdict.PASS
        source = f"""
attempt("flock", fcntl.flock, file, fcntl.LOCK_EX | fcntl.LOCK_NB)
attempt("see a lock", fcntl.fcntl, file, fcntl.F_GETLK, {lock.format(kind=1)})
attempt("see a lock of a file", fcntl.fcntl, file, 36, {lock.format(kind=1)})
"""
        attack(victim, place + source)


def test_the_clocks_of_others(victim: Worker, needs: Needs) -> None:
    """How long the judge computes may tell what it thinks of an answer."""
    needs("signals")
    source = """
clock = ~os.getppid() << 3 | 2
attempt("see how long another computes", time.clock_gettime, clock)
if libc.syscall(230 if os.uname().machine == "x86_64" else 115, clock, 0, bytes(16), 0) == 0:
    got.append("wait for another to compute")
assert all(clock() for clock in (time.time, time.monotonic, time.process_time, time.thread_time))
"""
    attack(victim, source)


def test_a_large_file(victim: Worker, needs: Needs) -> None:
    needs("cpu")
    source = """
try:
    with open("large", "wb", buffering=0) as file:
        for _ in range(100):
            file.write(bytes(1 << 20))
    got.append("100 MB")
except OSError as error:
    assert error.errno in (errno.EFBIG, errno.ENOSPC)
"""
    attack(victim, source)


def overfull(victim: Worker, source: str) -> None:
    """A tmpfs says so itself; elsewhere the worker is ended from outside."""
    result = victim.execute(PRELUDE + source + "\ntime.sleep(1)")
    if result.failure is None:
        assert victim.value("got") == []
    else:
        ended(result, victim, Verdict.OUTPUT)


def test_fill_the_disk(victim: Worker, needs: Needs) -> None:
    needs("disk")
    source = """
written = 0
try:
    for i in range(100):
        with open(f"file{i}", "wb", buffering=0) as file:
            written += file.write(bytes(1 << 20))
except OSError as error:
    assert error.errno == errno.ENOSPC
if written > 10 << 20:
    got.append(written)
"""
    overfull(victim, source)


@pytest.mark.parametrize("mode", [0o700, 0o300])
def test_many_small_files(victim: Worker, needs: Needs, mode: int) -> None:
    needs("disk")
    source = f"""
os.mkdir("deep", {mode})
try:
    for i in range(6_000):
        os.mkdir(f"deep/{{i}}")
    got.append("6,000 folders")
except OSError as error:
    assert error.errno == errno.ENOSPC
"""
    overfull(victim, source)


HIDES = {
    "unlink": """
def hide():
    fd = os.open("file", os.O_CREAT | os.O_RDWR)
    os.unlink("file")
    return fd
""",
    "rename": """
os.close(os.open("other", os.O_CREAT | os.O_RDWR))
def hide():
    fd = os.open("file", os.O_CREAT | os.O_RDWR)
    os.rename("other", "file")
    os.close(os.open("other", os.O_CREAT | os.O_RDWR))
    return fd
""",
    "never named": """
def hide():
    return os.open(".", os.O_TMPFILE | os.O_RDWR)
""",
}


@pytest.mark.parametrize("how", HIDES)
def test_fill_the_disk_with_files_that_have_no_name(victim: Worker, needs: Needs, how: str) -> None:
    needs("disk")
    source = """
import mmap
kept = []
try:
    for i in range(8):
        fd = hide()
        os.write(fd, bytes(2 << 20))
        kept.append(mmap.mmap(fd, 4096))
        os.close(fd)
    got.append("16 MB")
except OSError as error:
    assert error.errno in (errno.ENOSPC, errno.EPERM), error
"""
    overfull(victim, HIDES[how] + source)


# ---- processes -----------------------------------------------------------------------------------


def test_fork_bomb(victim: Worker, needs: Needs, children: Callable[[], set[int]]) -> None:
    needs("processes")
    before = children()
    source = """
import subprocess, multiprocessing
def fork():
    if not os.fork():
        time.sleep(20); os._exit(0)
for _ in range(50):
    attempt("fork", fork)
attempt("vfork", subprocess.run, ["/bin/true"])
attempt("spawn", os.posix_spawn, "/bin/true", ["true"], {})
attempt("system", lambda: os.system("true") or 1) if os.system("true") == 0 else None
attempt("exec", os.execv, sys.executable or "/usr/bin/python3", ["python"])
attempt("pty", os.forkpty)
attempt("multiprocessing", multiprocessing.get_context("fork").Process(target=int).start)
for number in (56, 57, 58, 435, 220):
    attempt(f"system call {number}", libc.syscall, number, 17, 0, 0, 0, 0)
"""
    attack(victim, source)
    assert children() == before


def test_daemon(victim: Worker, needs: Needs, secret: Path) -> None:
    needs("processes", "writing")
    source = """
def daemon():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(0.3); open(secret, "w").write("points = 100"); os._exit(0)
        os._exit(0)
attempt("daemon", daemon); attempt("session", os.setsid); attempt("group", os.setpgid, 0, 0)
"""
    attack(victim, source, secret=str(secret))
    victim.close()
    time.sleep(0.4)
    assert secret.read_text() == "points = 0"


def test_thread_bomb(victim: Worker, needs: Needs) -> None:
    needs("processes")
    source = """
import _thread, concurrent.futures
for _ in range(50):
    attempt("thread", _thread.start_new_thread, time.sleep, (9,))
    attempt("thread", threading.Thread(target=time.sleep, args=(9,), daemon=True).start)
attempt("pool", concurrent.futures.ThreadPoolExecutor(4).submit, int)
"""
    attack(victim, source)


def test_kill_others(victim: Worker, needs: Needs) -> None:
    needs("signals")
    source = """
for pid in (os.getppid(), judge, 0, -1, 1, -os.getpgid(0)):
    for number in (0, signal.SIGSTOP, signal.SIGKILL):
        attempt(f"kill {pid}", os.kill, pid, number)
        attempt(f"tkill {pid}", libc.syscall, 200, pid, number)
        attempt(f"tgkill {pid}", libc.syscall, 234, pid, pid, number)
        attempt(f"sigqueue {pid}", libc.sigqueue, pid, number, None)
attempt("pidfd", os.pidfd_open, judge)
attempt("group", os.killpg, 0, signal.SIGKILL)
"""
    attack(victim, source, judge=os.getpid())


def test_signals_by_way_of_a_socket(victim: Worker, needs: Needs) -> None:
    """The kernel sends the signal that F_SETSIG names to the process that F_SETOWN names."""
    needs("signals")
    source = """
import fcntl
a, b = socket.socketpair()
for pid in (judge, os.getppid()):
    for name, command, value in (("F_SETOWN", 8, pid), ("F_SETSIG", 10, signal.SIGKILL)):
        attempt(name, fcntl.fcntl, a, command, value)
    owner = int.to_bytes(1, 4, "little") + pid.to_bytes(4, "little")
    attempt("F_SETOWN_EX", fcntl.fcntl, a, 15, owner)
    attempt("FIOSETOWN", fcntl.ioctl, a, 0x8901, pid.to_bytes(4, "little"))
    attempt("FIOASYNC", fcntl.ioctl, a, 0x5452, int.to_bytes(1, 4, "little"))
fcntl.fcntl(a, fcntl.F_SETFL, fcntl.fcntl(a, fcntl.F_GETFL) | os.O_ASYNC)
b.send(b"x")
"""
    attack(victim, source, judge=os.getpid())


def test_trace_and_read_others(victim: Worker, needs: Needs) -> None:
    needs("inspection")
    source = """
buffer = ctypes.create_string_buffer(64)
class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]
mine, theirs = Vector(ctypes.addressof(buffer), 64), Vector(id(0), 64)
for pid in (judge, os.getppid()):
    attempt("attach", libc.ptrace, 16, pid, 0, 0); attempt("seize", libc.ptrace, 0x4206, pid, 0, 0)
    for name in ("process_vm_readv", "process_vm_writev"):
        attempt(name, getattr(libc, name), pid, ctypes.byref(mine), 1, ctypes.byref(theirs), 1, 0)
    attempt("mem", open, f"/proc/{pid}/mem", "rb")
    attempt("kcmp", libc.syscall, 312, pid, pid, 0, 0, 0)
attempt("traceme", libc.ptrace, 0, 0, 0, 0)
attempt("perf", libc.syscall, 298, 0, 0, 0, 0, 0); attempt("bpf", libc.syscall, 321, 0, 0, 0)
"""
    attack(victim, source, judge=os.getpid())


def test_new_privileges(victim: Worker, needs: Needs) -> None:
    needs("privileges")
    source = """
for function, *args in (
    (os.setuid, 0), (os.seteuid, 0), (os.setresuid, 0, 0, 0), (os.setgid, 0), (os.setgroups, [0]),
    (os.chroot, "."), (os.nice, -5), (os.sched_setaffinity, 0, {0}),
):
    if not (function is os.setuid and os.getuid() == 0):
        attempt(function.__name__, function, *args)
attempt("unshare", libc.unshare, 0x10000000); attempt("setns", libc.setns, 0, 0)
attempt("mount", libc.mount, b"tmpfs", b".", b"tmpfs", 0, None)
attempt("umount", libc.umount2, b"/", 2)
attempt("keyctl", libc.syscall, 250, 0, -3, 0); attempt("io_uring", libc.syscall, 425, 8, 0)
attempt("userfaultfd", libc.syscall, 323, 0); attempt("memfd", os.memfd_create, "x")
attempt("dumpable", libc.prctl, 4, 1, 0, 0, 0); attempt("parent's death", libc.prctl, 1, 0, 0, 0, 0)
attempt("shared memory", libc.shmget, 0, 4096, 0o1600)
attempt("reboot", libc.syscall, 169, 0, 0, 0)
attempt("handle", libc.syscall, 303, -100, b"/", 0, 0, 0)
import resource
for what in (resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_FSIZE):
    attempt("limit", resource.setrlimit, what, (-1, -1))
"""
    result = victim.execute(PRELUDE + source)
    assert result.failure is None or result.failure.kinds[0] == "ValueError"  # setrlimit's word
    assert victim.value("got") == []


def test_other_calling_conventions(victim: Worker, needs: Needs) -> None:
    """System calls by their x32 numbers, which a filter may have forgotten."""
    needs("processes")
    source = """
for number in (57, 56, 41, 59, 62, 101):
    attempt(number, libc.syscall, 0x40000000 | number, 0, 0, 0)
"""
    attack(victim, source)


# ---- network -------------------------------------------------------------------------------------


def test_network(victim: Worker, needs: Needs, listener: tuple[int, list[object]]) -> None:
    needs("network")
    source = """
import urllib.request
attempt("connect", socket.create_connection, ("127.0.0.1", port), 1)
attempt("http", urllib.request.urlopen, f"http://127.0.0.1:{port}", None, 1)
attempt("listen", socket.create_server, ("127.0.0.1", 0))
for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX, socket.AF_NETLINK, socket.AF_PACKET,
               socket.AF_VSOCK, socket.AF_ALG):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW):
        attempt(str(family), socket.socket, family, kind)
"""
    attack(victim, source, port=listener[0])
    time.sleep(0.1)
    assert listener[1] == []


def test_a_socket_with_a_name(victim: Worker, needs: Needs) -> None:
    """A datagram socket of a pair needs no connection to send to a system's log, for instance."""
    needs("network")
    source = """
for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):
    pair = attempt("pair", socket.socketpair, socket.AF_UNIX, kind)
    if pair:
        attempt("sent", pair[0].sendto, b"x", name)
a, b = socket.socketpair()  # asyncio needs one
a.setblocking(False)
a.send(b"x")
assert b.recv(1) == b"x"
"""
    with (
        tempfile.TemporaryDirectory() as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log,
    ):
        log.bind(f"{folder}/log")
        for place in (folder, f"{folder}/log"):
            os.chmod(place, 0o777)
        log.setblocking(False)
        attack(victim, source, name=f"{folder}/log")
        with pytest.raises(BlockingIOError):
            log.recv(1)


# ---- exhaustion ----------------------------------------------------------------------------------


def test_memory_bomb(victim: Worker, needs: Needs) -> None:
    needs("memory")
    result = victim.execute(
        "import numpy as np\nx = []\nwhile True:\n    x.append(np.zeros(1 << 20))"
    )
    assert result.verdict is Verdict.MEMORY
    assert victim.execute("del x").verdict is Verdict.PASS


def test_memory_by_other_means(victim: Worker, needs: Needs) -> None:
    needs("memory")
    source = """
import mmap, numpy as np
attempt("mmap", mmap.mmap, -1, 1 << 30); attempt("numpy", np.empty, 1 << 28)
attempt("malloc", lambda: libc.malloc(ctypes.c_size_t(1 << 30)) or -1)
attempt("brk", lambda: libc.sbrk(1 << 30))
attempt("many", lambda: [mmap.mmap(-1, 50 << 20) for _ in range(20)])
"""
    attack(victim, source)


def test_memory_in_the_buffers_of_sockets(victim: Worker) -> None:
    """What is in them, no limit counts: they are to stay as small as they are by themselves."""
    source = """
for one in socket.socketpair():
    for size in (socket.SO_SNDBUF, socket.SO_RCVBUF, 32, 33):
        attempt(f"a larger buffer ({size})", one.setsockopt, socket.SOL_SOCKET, size, 1 << 30)
    attempt("a handle on the other side", one.getsockopt, socket.SOL_SOCKET, 77)
    assert one.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) == socket.SOCK_STREAM
"""
    attack(victim, source)


def test_huge_virtual_arrays(victim: Worker) -> None:
    source = """
import numpy as np
def strided():
    return np.lib.stride_tricks.as_strided(np.zeros(1), (10**12,), (0,))
def broadcast():
    return np.broadcast_to(np.float64(1), (10**6, 10**6))
"""
    attack(victim, source)
    for name in ("strided", "broadcast"):
        with pytest.raises(Failure) as caught:
            victim.handle(name)()
        assert caught.value.verdict in (Verdict.ERROR, Verdict.MEMORY)


@pytest.mark.parametrize("size", [1, 1000, 1_000_000])
def test_output_flood(victim: Worker, size: int) -> None:
    result = victim.execute(f"while True:\n    print('x' * {size})")
    ended(result, victim, Verdict.OUTPUT)
    assert sum(len(output.get("text", "")) for output in result.outputs) < 5 << 20


def test_output_flood_of_figures_and_displays(victim: Worker) -> None:
    result = victim.execute("while True:\n    display('x' * 1000)")
    ended(result, victim, Verdict.OUTPUT)


def test_output_flood_past_python(victim: Worker) -> None:
    attack(victim, "for _ in range(10_000):\n    os.write(1, bytes(10_000)); os.write(2, bytes(9))")


def test_output_without_counting(victim: Worker) -> None:
    """A worker whose own limit is patched away meets the judge's."""
    source = """
import gc
gc.unfreeze()  # the parent froze what it had
for thing in gc.get_objects():
    if type(thing).__name__ == "Outputs":
        thing._limit = 10**12
print("x" * 2_000_000)
"""
    ended(victim.execute(source), victim, Verdict.OUTPUT)


def test_sleep(victim: Worker) -> None:
    ended(victim.execute("import time; time.sleep(1e6)"), victim, Verdict.TIMEOUT)


def test_a_loop_that_swallows_everything(victim: Worker) -> None:
    source = "while True:\n    try:\n        while True: pass\n    except BaseException: pass"
    start = time.monotonic()
    ended(victim.execute(source), victim, Verdict.TIMEOUT)
    assert time.monotonic() - start < 4


def test_blocked_signals(victim: Worker) -> None:
    source = """
import signal
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
while True: pass
"""
    ended(victim.execute(source), victim, Verdict.TIMEOUT)


def test_a_loop_in_c(victim: Worker) -> None:
    ended(victim.execute("sum(range(10**12))"), victim, Verdict.TIMEOUT)


def test_stop_itself(victim: Worker) -> None:
    source = "import signal, os\nos.kill(os.getpid(), signal.SIGSTOP)\nsignal.raise_signal(19)"
    assert victim.execute(source).verdict in (Verdict.ERROR, Verdict.TIMEOUT)


def test_recursion(victim: Worker) -> None:
    result = victim.execute("def f(): f()\nf()")
    assert result.failure is not None
    assert result.failure.kinds[0] == "RecursionError"


def test_recursion_without_a_limit(victim: Worker) -> None:
    source = (
        "import sys; sys.setrecursionlimit(10**9)\n"
        "class A:\n    def __getattr__(self, name): return repr(self)\n"
        "    def __repr__(self): return getattr(self, 'x')\nrepr(A())"
    )
    result = victim.execute(source)
    if result.verdict is Verdict.ERROR:  # since 3.12, Python counts what the limit does not
        assert result.failure is not None
        assert result.failure.kinds[0] == "RecursionError"
    else:
        ended(result, victim, Verdict.CRASH, Verdict.MEMORY, Verdict.TIMEOUT)


def test_huge_integers(victim: Worker) -> None:
    source = "def small(): return 10**4000\ndef large(): return 1 << 10**8"
    attack(victim, source)
    for name in ("small", "large"):
        with pytest.raises(Failure) as caught:
            victim.handle(name)()
        assert caught.value.verdict is Verdict.ERROR


# ---- deaths --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        "import ctypes; ctypes.string_at(0)",
        "import os; os._exit(0)",
        "import os; os.abort()",
        "import faulthandler; faulthandler._read_null()",
        "import ctypes; ctypes.CDLL(None).exit(0)",
        "import os; os.closerange(0, 1000)",
        "import os, stat\nfor fd in range(64):\n    try: os.dup2(0, fd)\n    except OSError: pass",
        "import signal; signal.signal(signal.SIGALRM, signal.SIG_DFL); signal.alarm(1)\n"
        "while True: pass",
    ],
)
def test_deaths(walled: Pool, victim: Worker, source: str) -> None:
    ended(victim.execute(source), victim, Verdict.CRASH)
    with pytest.raises(Failure) as caught:
        victim.handle("anything")
    assert caught.value.verdict is Verdict.CRASH
    with walled.worker() as next_one:
        assert next_one.execute("1").verdict is Verdict.PASS


def test_deaths_in_a_call(victim: Worker) -> None:
    victim.execute("import os\ndef f(x): os._exit(0)")
    with pytest.raises(Failure) as caught:
        victim.handle("f")(np.zeros((64, 128)))
    assert caught.value.verdict is Verdict.CRASH
    assert not victim.alive


def test_exit_handlers(victim: Worker, secret: Path) -> None:
    source = """
import atexit
def late(): open(secret, "w").write("points = 100"); time.sleep(60)
atexit.register(late)
class Late:
    def __del__(self): late()
keep = Late()
"""
    attack(victim, source, secret=str(secret))
    start = time.monotonic()
    victim.close()
    assert time.monotonic() - start < 1
    assert secret.read_text() == "points = 0"


# ---- the protocol --------------------------------------------------------------------------------

FORGE = """
import json, struct
def frame(header, body=b""):
    text = json.dumps(header).encode()
    return struct.pack(">II", len(text), len(body)) + text + body
def everywhere(data):
    for fd in range(64):
        try:
            os.set_blocking(fd, False); os.write(fd, data); os.set_blocking(fd, True)
        except OSError:
            pass
def nonce():
    frame = sys._getframe()
    while frame:
        for value in frame.f_locals.values():
            if type(value).__name__ == "_Server":
                return value._request
        frame = frame.f_back
PASS = {"id": "0" * 16, "value": True, "outputs": [], "changed": []}
"""


def test_frames_prepared_in_advance(victim: Worker) -> None:
    victim.execute(PRELUDE + FORGE + "def f(): everywhere(frame(PASS) * 3); return 1")
    with pytest.raises(Failure) as caught:
        victim.handle("f")()
    assert caught.value.verdict is Verdict.CRASH
    assert not victim.alive


def test_a_forged_answer_is_only_a_value(victim: Worker) -> None:
    """Who finds the question's number can answer it: that is a value like any other, once."""
    source = "def f():\n    everywhere(frame({**PASS, 'id': nonce(), 'value': 42})); return 1"
    victim.execute(PRELUDE + FORGE + source)
    f = victim.handle("f")
    assert f() == 42
    with pytest.raises(Failure) as caught:
        f()
    assert caught.value.verdict is Verdict.CRASH


@pytest.mark.parametrize(
    "data",
    [
        "b'\\xff' * 16",
        "b'\\0' * 64",
        "struct.pack('>II', 4 << 20, 64 << 20) + b'x'",
        "struct.pack('>II', 2, 0) + b'[]'",
        "struct.pack('>II', 200_000, 0) + b'[' * 200_000",
        "frame({**PASS, 'id': nonce(), 'outputs': None})",
        "frame({**PASS, 'id': nonce(), 'outputs': [{'output_type': 'display_data', 'data': "
        "{'text/html': '<script>'}}]})",
        "frame({**PASS, 'id': nonce(), 'outputs': [{'output_type': 'stream', 'name': 'x', "
        "'text': 1}]})",
        "frame({**PASS, 'id': nonce(), 'value': ['a', 'object', [1], 0, True]})",
        "frame({**PASS, 'id': nonce(), 'value': ['r', -1, 'x']})",
        "frame({**PASS, 'id': nonce(), 'value': ['x']})",
        "frame({**PASS, 'id': nonce(), 'changed': [[0, ['a', 'int8', [1], 0, True]]]}, b'x')",
        "frame({**PASS, 'id': nonce(), 'changed': 7})",
        "frame({**PASS, 'id': nonce(), 'changed': [[0, ['l', 1]]]})",
        "frame({**PASS, 'id': nonce(), 'changed': [[1, ['d', 1, 2]]]})",
        "frame({**PASS, 'id': nonce(), 'changed': [[1, ['t', 1]]]})",
        "frame({**PASS, 'id': nonce(), 'changed': [[1, 'text']]})",
        "frame({**PASS, 'id': nonce(), 'changed': [[2, ['l']]]})",
        "frame({**PASS, 'id': nonce(), 'changed': [[3, ['d']], [3, ['d']], [-1, ['l']]]})",
        "frame({'id': nonce(), 'outputs': [], 'error': 'x'})",
        "frame({'id': nonce(), 'outputs': [], 'error': {'kinds': [1], 'message': '', "
        "'traceback': ''}})",
        "frame({'id': [nonce()], 'outputs': []})",
    ],
)
def test_malformed_answers(victim: Worker, data: str) -> None:
    victim.execute(PRELUDE + FORGE + f"def f(x, *args): everywhere({data}); time.sleep(9)")
    kept = [1.0], {"a": 1}
    with pytest.raises(Failure) as caught:
        victim.handle("f")(np.zeros(2), *kept)
    assert kept == ([1.0], {"a": 1})
    assert caught.value.verdict in (Verdict.CRASH, Verdict.TIMEOUT)
    assert not victim.alive


def test_an_answer_that_dribbles(victim: Worker) -> None:
    source = """
def f():
    for byte in struct.pack(">II", 1000, 0) + b"x" * 1000:
        everywhere(bytes([byte])); time.sleep(0.05)
"""
    victim.execute(PRELUDE + FORGE + source)
    start = time.monotonic()
    with pytest.raises(Failure) as caught:
        victim.handle("f")()
    assert caught.value.verdict is Verdict.TIMEOUT
    assert time.monotonic() - start < 2


def test_descriptors_sent_along_are_dropped(victim: Worker) -> None:
    before = len(os.listdir("/proc/self/fd"))
    source = """
sock = next(s for s in map(lambda fd: attempt_socket(fd), range(3, 64)) if s)
null = os.open("/dev/null", os.O_RDONLY)
def f():
    socket.send_fds(sock, [frame({**PASS, "id": nonce(), "value": 1})], [null] * 10); time.sleep(9)
"""
    helper = """
def attempt_socket(fd):
    try:
        return socket.socket(fileno=os.dup(fd))
    except OSError:
        return None
"""
    victim.execute(PRELUDE + FORGE + helper + source)
    assert victim.handle("f")() == 1
    assert len(os.listdir("/proc/self/fd")) == before


def test_rewritten_machinery(victim: Worker) -> None:
    """Patching the modules that the worker answers with changes its answers, and nothing else."""
    source = """
import builtins, json, struct, numpy as np
np.asarray = np.array = lambda *a, **k: 1 / 0
json.dumps = lambda *a, **k: "{}"
struct.pack = lambda *a: b""
os._exit = os.close = lambda *a: None
builtins.isinstance = lambda *a: True
def f(): return 1
"""
    victim.execute(source)
    with pytest.raises(Failure) as caught:
        victim.handle("f")()
    assert caught.value.verdict in (Verdict.CRASH, Verdict.MISSING, Verdict.ERROR)
    assert np.asarray([1])[0] == 1


# ---- lies ----------------------------------------------------------------------------------------


def test_evil_objects_arrive_as_exact_types(victim: Worker) -> None:
    source = """
import numpy as np
class Array(np.ndarray):
    def __eq__(self, other): return True
    def __array_finalize__(self, other): pass
    def __reduce__(self): return (os.system, ("true",))
    def tobytes(self, *a): raise SystemExit
    shape = property(lambda self: (10**9,))
class Float(float):
    def __eq__(self, other): return True
    def __float__(self): raise SystemExit
class Text(str):
    def __str__(self): return 5
class Any_:
    def __eq__(self, other): return True
    def __reduce__(self): return (os.system, ("true",))
def array(): return np.zeros(3).view(Array)
def number(): return Float(2)
def text(): return Text("a")
def thing(): return Any_()
def objects(): return np.array([Any_()], dtype=object)
def generator(): return (i for i in range(3))
"""
    attack(victim, source)
    for name, kind in (("array", np.ndarray), ("number", float), ("text", str)):
        try:
            assert type(victim.handle(name)()) is kind
        except Failure as failure:
            assert failure.verdict is Verdict.ERROR  # noqa: PT017 (it may fail, but not lie)
    for name in ("thing", "objects", "generator"):
        remote = victim.handle(name)()
        assert type(remote).__name__ == "Remote"
        for compare in (operator.eq, operator.ne):
            with pytest.raises(TypeError, match="cannot be compared"):
                compare(remote, 1)
    assert victim.alive


def test_evil_exceptions(victim: Worker) -> None:
    source = """
class Evil(Exception):
    def __str__(self): raise KeyError("again")
    def __repr__(self): return 5
class Long(Exception): pass
Long.__name__ = "L" * 100_000
def evil(): raise Evil
def long(): raise Long("x" * 10_000_000)
def surrogates(): raise ValueError("\\ud800")
def group(): raise ExceptionGroup("many", [ValueError(i) for i in range(1000)])
def chain():
    try: chain_inner()
    except Exception as error: raise ValueError from error
def chain_inner(): raise KeyError
"""
    attack(victim, source)
    for name in ("evil", "long", "surrogates", "group", "chain"):
        with pytest.raises(Failure) as caught:
            victim.handle(name)()
        assert caught.value.verdict is Verdict.ERROR
        assert len(str(caught.value)) < 10_000
        (caught.value.message + "".join(caught.value.kinds)).encode()
    assert victim.alive


def test_lone_surrogates_in_output(victim: Worker) -> None:
    result = victim.execute("print('\\ud800')\n'\\udfff'")
    assert repr(result.outputs).encode()


def test_html_does_not_leave(victim: Worker) -> None:
    source = """
class Page:
    def _repr_html_(self): return "<script>alert(1)</script>"
    def _repr_png_(self): return "<script>"
    def _repr_mimebundle_(self, **kwargs): return {"text/html": "<script>"}
    def __repr__(self): return "page"
display(Page())
Page()
"""
    result = victim.execute(source)
    assert [output["data"] for output in result.outputs] == [{"text/plain": "page"}] * 2


# ---- looking around, and leaving something behind ------------------------------------------------


def test_nothing_of_the_judges_is_in_memory(victim: Worker) -> None:
    source = """
import gc, types
gc.unfreeze()
for name in list(sys.modules):
    if name.startswith(("autograder.", "sandbox", "_pytest", "pytest", "nbgrader", "hypothesis")):
        got.append(name)
for thing in gc.get_objects():
    if isinstance(thing, types.ModuleType) and "autograder" in str(getattr(thing, "__file__", "")):
        if not thing.__name__.startswith("sandbox."):
            got.append(thing.__name__)
    if isinstance(thing, (type, types.FunctionType)):
        if str(thing.__module__).startswith(("autograder.", "_pytest")):
            got.append(thing.__qualname__)
frame = sys._getframe()
while frame:
    got += [n for n in frame.f_globals if n in ("Pool", "judge", "probes", "reference", "Exercise")]
    frame = frame.f_back
import autograder
got += [name for name in dir(autograder) if not name.startswith("__") and name != "check"]
"""
    attack(victim, source)


def test_nothing_of_the_judges_is_in_the_environment(
    walled: Pool, victim: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    attack(victim, "got += sys.argv[1:]\ngot += [p for p in sys.path if p in ('', '.')]")
    victim.execute("names = sorted(os.environ); values = list(os.environ.values())")
    names = set(victim.value("names"))
    assert not {"USER", "LOGNAME", "PYTHONPATH", "VIRTUAL_ENV", "SSH_AUTH_SOCK"} & names
    assert "PYTEST_CURRENT_TEST" not in names
    assert len(names) < 16
    paths = [*victim.value("values"), victim.value("__name__")]
    assert not any(str(REPOSITORY) in str(path) for path in paths)


def test_open_descriptors(victim: Worker) -> None:
    source = """
found = 0
for fd in range(3, 1000):
    try:
        os.fstat(fd); found += 1
    except OSError:
        pass
if found > 1:
    got.append(found)
"""
    attack(victim, source)


def test_nothing_is_left_for_the_next_worker(walled: Pool, victim: Worker) -> None:
    source = """
import builtins, fcntl, pathlib, numpy as np
np.mean = lambda *a, **k: 42
builtins.print = None
os.environ["LEFT"] = "behind"
sys.modules["statistics"] = None
folder = os.getcwd()
pathlib.Path("left.py").write_text("behind")
os.mkdir("locked"); os.mkdir("locked/inner")
os.mkdir("empty", 0)
for number in range(3):  # which a parent has, too
    fcntl.fcntl(number, fcntl.F_SETFL, os.O_APPEND | os.O_NONBLOCK)
for place in (sys.path[-1], "/tmp", os.path.dirname(folder), "/dev/shm"):
    attempt(place, open, place + "/left", "w")
"""
    attack(victim, source)
    folder = victim.value("folder")
    victim.close()
    with walled.worker() as next_one:
        check = """
import builtins, fcntl, os, statistics, numpy as np
flags = [fcntl.fcntl(number, fcntl.F_GETFL) for number in range(3)]
assert not any(flag & (os.O_APPEND | os.O_NONBLOCK) for flag in flags), flags
assert np.mean([1, 3]) == 2 and builtins.print and "LEFT" not in os.environ
assert os.listdir(".") == []
"""
        assert next_one.execute(check).failure is None
    assert not Path(folder, "left.py").exists()


def test_the_judges_arrays_are_out_of_reach(victim: Worker) -> None:
    """A kept argument is the worker's own copy: changing it later changes nothing here."""
    source = "kept = []\ndef keep(x): kept.append(x)\ndef spoil(): kept[0][:] = 7"
    attack(victim, source)
    x = np.zeros(4)
    victim.handle("keep")(x)
    victim.handle("spoil")()
    assert x.tolist() == [0, 0, 0, 0]
