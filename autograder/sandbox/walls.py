"""The walls around a worker: how they are raised, and how we know that they stand.

Five layers, none of which needs root: namespaces (a private root and network, once for all
workers), resource limits, identity (another user where we are root, no capabilities, no new
privileges), Landlock (which files), and seccomp (which system calls). They overlap on purpose. A
kernel or a container may refuse some, so what counts is measured (see `measure`), and a
`WallsReport` says what came of it.

A worker raises its walls between being forked and hearing of any student; a worker with fewer
layers than the measured one is not used.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import resource
import signal
import struct
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from . import landlock, namespaces, seccomp

# What a computation may need besides Python's own library and its packages.
SYSTEM_PATHS = (
    *("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/etc/ld.so.cache"),
    *("/usr/share/zoneinfo", "/etc/localtime", "/usr/share/fonts"),
)
_READABLE_DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")
# Where workers' user numbers start when we are root: away from people, services and `nobody`.
_FIRST_UID, _UIDS = 50_000, 9_000
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 1, 4, 38, 47
_CAPABILITY_VERSION_3 = 0x20080522


@dataclass(frozen=True)
class Wall:
    """Whether one wall stands, and if not, what got through."""

    up: bool
    reason: str = ""


@dataclass(frozen=True)
class WallsReport(Mapping[str, Wall]):
    """What was measured: the walls by name, and the layers that hold them up."""

    walls: Mapping[str, Wall]
    layers: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[str, ...]:
        """The names of the walls that do not stand."""
        return tuple(name for name, wall in self.walls.items() if not wall.up)

    def __getitem__(self, name: str) -> Wall:
        return self.walls[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.walls)

    def __len__(self) -> int:
        return len(self.walls)

    def __str__(self) -> str:
        lines = [f"layers: {', '.join(self.layers) or 'none'}"]
        lines += [f"{n}: {'up' if w.up else 'MISSING: ' + w.reason}" for n, w in self.walls.items()]
        return "\n".join((*lines, *self.notes))


@dataclass
class Plan:
    """What the parent prepares once, so that a worker's walls rise in half a millisecond."""

    limits: Mapping[str, int]
    scratch: str
    libc: ctypes.CDLL
    private: bool = False
    drop_uid: bool = False
    rules: landlock.Ruleset | None = None
    code: bytes = b""
    rlimits: list[tuple[int, tuple[int, int]]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def around(path: str, hidden: Iterable[str]) -> Iterator[str]:
    """Yield a path; or, if something below it is hidden, everything below it but that."""
    hidden = tuple(hidden)
    if path in hidden:
        return
    if not any(place.startswith(path.rstrip("/") + "/") for place in hidden):
        yield path
    else:
        for name in sorted(os.listdir(path)):
            yield from around(os.path.join(path, name), hidden)


def prepare(
    limits: Mapping[str, int],
    packages: Iterable[str],
    hidden: Iterable[str],
    scratch: str,
    *,
    private: bool = True,
) -> Plan:
    """Do in the parent what can be done once for all workers.

    Args:
        limits: ``cpu_seconds``, ``memory_bytes``, ``file_bytes``, ``scratch_bytes``.
        packages: the folders that Python imports from.
        hidden: files or folders that stay hidden, even inside those folders.
        scratch: the folder for the workers' own folders.
        private: whether to try namespaces.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    address_space = int(Path("/proc/self/statm").read_text().split()[0]) * mmap.PAGESIZE
    plan = Plan(limits, scratch, libc)
    for name in ("unshare", "mount", "prctl", "capset", "syscall"):
        getattr(libc, name)  # looked up here, it need not be in every worker
    plan.rlimits = list(_rlimits(limits, address_space))
    real = sorted({os.path.realpath(path) for path in (*packages, *SYSTEM_PATHS)})
    real = [p for p in real if not any(p.startswith(f"{above}/") for above in real)]
    hidden = tuple(os.path.realpath(path) for path in hidden)
    paths = [p for path in real if os.path.exists(path) for p in around(path, hidden)]
    if private:
        trouble = _trial(lambda: namespaces.private_root(paths, scratch, libc))
        if trouble:
            plan.notes.append(f"no namespaces: {trouble}")
        else:
            namespaces.private_root(paths, scratch, libc)
            plan.private = True
    if os.geteuid() == 0:
        trouble = _trial(lambda: _live_as_another(paths, scratch))
        if trouble:
            plan.notes.append(f"no other user: {trouble}")
        plan.drop_uid = not trouble
    if landlock.abi(libc):
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        plan.rules = landlock.Ruleset(libc)
        plan.rules.read(filter(os.path.exists, (*paths, *_READABLE_DEVICES)))
        # Where something is hidden, Python still has to list the folder to import the rest.
        plan.rules.list(path for path in real if path not in paths and os.path.exists(path))
        plan.rules.write("/dev/null")
    else:
        plan.notes.append("no Landlock in this kernel")
    code = seccomp.program(unnaming=plan.private) if seccomp.supported() else b""
    trouble = _trial(lambda: _filter(code, libc)) if code else "not known for this machine"
    if trouble:
        plan.notes.append(f"no seccomp filter: {trouble}")
    else:
        plan.code = code
    return plan


def _trial(action: Callable[[], None]) -> str:
    """Do something in a child; return what went wrong, or nothing."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            action()
        except BaseException as error:
            os.write(writer, str(error).encode() or b"?")
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, errors="replace") as pipe:
        trouble = pipe.read()
    return trouble if os.waitpid(pid, 0)[1] == 0 else "it crashed"


def _live_as_another(paths: Iterable[str], scratch: str) -> None:
    _drop_uid(_FIRST_UID)
    os.chdir(scratch)
    for path in paths:
        os.listdir(path) if os.path.isdir(path) else os.close(os.open(path, os.O_RDONLY))


def _filter(code: bytes, libc: ctypes.CDLL) -> None:
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    seccomp.load(code, libc)


def _drop_uid(uid: int) -> None:
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def scratch_of(plan: Plan, pid: int) -> str:
    """Return where the worker with this process number has its folder."""
    return plan.scratch if plan.private else os.path.join(plan.scratch, f"w{pid}")


def enclose(plan: Plan, parent: int) -> list[str]:
    """Raise every wall that the plan has around this process; return the names of the layers.

    Raises OSError if a wall that the plan has cannot be raised: the worker must then end.
    """
    libc, layers = plan.libc, ["limits"]
    uid = _FIRST_UID + os.getpid() % _UIDS if plan.drop_uid else os.geteuid()
    scratch = scratch_of(plan, os.getpid())
    if plan.private:
        gid = uid if plan.drop_uid else os.getegid()
        namespaces.private_scratch(scratch, uid, gid, plan.limits["scratch_bytes"], libc)
        layers.append("namespaces")
    else:
        os.mkdir(scratch, 0o700)
        os.chown(scratch, uid, -1)
    if plan.drop_uid:
        _drop_uid(uid)
        layers.append("other user")
    os.chdir(scratch)  # not before: a container may have taken from root what it needs for that
    _give_up_privileges(libc, parent)
    layers.append("no privileges")
    if plan.rules:
        plan.rules.write(scratch)
        plan.rules.enforce()
        layers.append(f"landlock {plan.rules.abi}")
    for what, limit in plan.rlimits:  # not earlier: the rules need more descriptors than a student
        resource.setrlimit(what, limit)
    if plan.code:
        seccomp.load(plan.code, libc)
        layers.append("seccomp")
    return layers


def _rlimits(
    limits: Mapping[str, int], address_space: int
) -> Iterator[tuple[int, tuple[int, int]]]:
    address_space += limits["memory_bytes"]
    for what, soft, hard in (
        (resource.RLIMIT_AS, address_space, address_space),
        (resource.RLIMIT_CPU, limits["cpu_seconds"], limits["cpu_seconds"] + 1),
        (resource.RLIMIT_FSIZE, limits["file_bytes"], limits["file_bytes"]),
        (resource.RLIMIT_NOFILE, 64, 64),
        (resource.RLIMIT_NPROC, 0, 0),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_MEMLOCK, 0, 0),
    ):
        ceiling = resource.getrlimit(what)[1]
        if ceiling != resource.RLIM_INFINITY:
            soft, hard = min(soft, ceiling), min(hard, ceiling)
        yield what, (soft, hard)


def _give_up_privileges(libc: ctypes.CDLL, parent: int) -> None:
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    libc.prctl(_PR_CAP_AMBIENT, 4, 0, 0, 0)
    if libc.capset(header, bytes(24)):
        raise OSError(ctypes.get_errno(), "capset")
    for option, value in ((_PR_SET_DUMPABLE, 0), (_PR_SET_NO_NEW_PRIVS, 1)):
        if libc.prctl(option, value, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")
    die_with(parent, libc)  # not before the change of user, which resets it


def die_with(parent: int, libc: ctypes.CDLL) -> None:
    """Have the kernel end this process when its parent ends."""
    if sys.platform == "linux":
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        raise OSError("the parent is gone")


def usage(folder: str, enough: int) -> int:
    """Return how many bytes the files in a folder take, or anything above `enough`.

    An entry counts for a block, so that empty ones are counted too. A folder that cannot be looked
    into is more than enough.
    """
    used, folders = 0, [folder]
    while folders and used <= enough:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    used += 4096 + entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    if used > enough:
                        break
        except FileNotFoundError:
            continue
        except OSError:
            return enough + 1
    return used


def wipe(folder: str) -> None:
    """Remove a folder with all that is in it, however deep, and what its owner locked, too.

    Nobody else may be at work in it. `shutil.rmtree` calls itself for each folder in another, and
    a student can make more of them than Python lets it.
    """
    aside = os.path.join(folder, os.urandom(8).hex())
    emptied = [folder]
    for place in emptied:  # which grows
        entries: list[os.DirEntry[str]] = []
        with contextlib.suppress(OSError):
            os.chmod(place, 0o700)
            entries = list(os.scandir(place))
        for entry in entries:
            with contextlib.suppress(OSError):
                if not entry.is_dir(follow_symlinks=False):
                    os.unlink(entry.path)
                elif place == folder:
                    emptied.append(entry.path)
                else:  # up, so that no path becomes too long
                    path = f"{aside}{len(emptied)}"
                    os.chmod(entry.path, 0o700)
                    os.rename(entry.path, path)
                    emptied.append(path)
    for place in reversed(emptied):
        with contextlib.suppress(OSError):
            os.rmdir(place)
