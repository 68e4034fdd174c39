"""Do the walls stand? We try what is forbidden, in a worker that has never seen a student."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import resource
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from .walls import Wall, WallsReport

_BLOCKED = (OSError, MemoryError, RuntimeError, ValueError)


def attempts(bait: Mapping[str, Any]) -> dict[str, str]:
    """Try what is forbidden, in a worker; return for every wall what got through ("" if nothing).

    Args:
        bait: ``secret`` (a readable file), ``folder`` (a writable folder), ``port`` (a listener on
            127.0.0.1), ``judge`` (a process number), and the limits under their names.
    """
    secret, judge, parent = bait["secret"], bait["judge"], os.getppid()
    libc = ctypes.CDLL(None, use_errno=True)
    tries: dict[str, dict[str, Callable[[], Any]]] = {
        "reading": {
            "read a file": lambda: Path(secret).read_bytes(),
            "listed a folder": lambda: os.listdir(bait["folder"]),
            "read /proc": lambda: Path(f"/proc/{judge}/status").read_bytes(),
        },
        "writing": {
            "wrote a file": lambda: Path(bait["folder"], "new").write_bytes(b"x"),
            "changed a file": lambda: os.open(secret, os.O_WRONLY | os.O_APPEND),
            "truncated a file": lambda: os.truncate(secret, 0),
            "changed a mode": lambda: os.chmod(secret, 0o777),
            "renamed a file": lambda: os.rename(secret, secret + "x"),
        },
        "network": {
            "connected": lambda: socket.create_connection(("127.0.0.1", bait["port"]), 1),
            "sent a datagram": lambda: _udp(bait["port"]),
        },
        "processes": {"forked": _fork, "started a thread": _thread, "ran a program": _spawn},
        "signals": {
            "signalled the judge": lambda: os.kill(judge, 0),
            "signalled the parent": lambda: os.kill(parent, 0),
            "signalled the parent's group": lambda: os.killpg(parent, 0),
        },
        "inspection": {
            "opened memory": lambda: os.open(f"/proc/{judge}/mem", os.O_RDONLY),
            "traced": lambda: _must(libc.ptrace(16, judge, 0, 0)),  # PTRACE_ATTACH
        },
        "memory": {"had more memory": lambda: mmap.mmap(-1, bait["memory_bytes"] + (1 << 20))},
        "cpu": {"had more CPU time": lambda: _limited(bait["cpu_seconds"])},
        "disk": {"wrote a large file": lambda: _large_file(bait["file_bytes"])},
        "privileges": {
            "became root": lambda: os.setresuid(0, 0, 0),
            "changed its root": lambda: os.chroot("."),
            "changed an owner": lambda: os.chown(secret, os.getuid(), -1),
        },
    }
    return {
        wall: ", ".join(what for what, attempt in each.items() if not _blocked(attempt))
        for wall, each in tries.items()
    }


def _blocked(attempt: Callable[[], Any]) -> bool:
    try:
        attempt()
    except _BLOCKED:
        return True
    return False


def _must(result: int) -> None:
    if result < 0:
        raise OSError(ctypes.get_errno())


def _udp(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"x", ("127.0.0.1", port))


def _fork() -> None:
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)


def _thread() -> None:
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()


def _spawn() -> None:
    os.waitpid(os.posix_spawn(sys.executable or "/bin/true", ["x", "--version"], {}), 0)


def _limited(seconds: int) -> None:
    if 0 <= resource.getrlimit(resource.RLIMIT_CPU)[0] <= seconds:
        raise OSError("limited")


def _large_file(size: int) -> None:
    fd = os.open("large", os.O_WRONLY | os.O_CREAT)
    try:
        os.pwrite(fd, b"x", size)
    finally:
        os.close(fd)
        os.unlink("large")


def overfill(size: int) -> bool:
    """Write more than a worker may, in small files; return whether something held it back.

    At first in files that have lost their names, which who looks from outside does not see.
    """
    with contextlib.suppress(OSError), contextlib.ExitStack() as files:
        for _ in range(48):  # fewer than may be open
            file = files.enter_context(open("nameless", "wb", buffering=0))
            os.unlink("nameless")
            file.write(bytes(size // 32))
        return False
    try:
        for number in range(2 * size >> 20):
            Path(f"file{number}").write_bytes(bytes(1 << 20))
    except OSError:
        return True
    time.sleep(1)  # for who looks from outside
    return False


def report(found: Mapping[str, str], layers: Iterable[str], notes: Iterable[str]) -> WallsReport:
    """Make the report of what `attempts` found."""
    walls = {name: Wall(not reason, reason) for name, reason in found.items()}
    return WallsReport(MappingProxyType(walls), tuple(layers), tuple(notes))


def none(reason: str) -> WallsReport:
    """Make the report for workers without walls."""
    names = "reading writing network processes signals inspection memory cpu disk privileges"
    return report(dict.fromkeys(names.split(), reason), (), ())
