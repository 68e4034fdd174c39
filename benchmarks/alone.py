"""Run a command that can write into one folder, and into a /tmp of its own, and nowhere else.

Hostile notebooks look for the grades of other courses, and stock nbgrader would let them: without
this, measuring it could change what a teacher keeps on the same machine. It runs in namespaces
that `unshare` makes: `prefix` is what to write before a command.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import sys
from pathlib import Path

from autograder.sandbox.namespaces import BIND, mount, seal

_UNSHARE = ("unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--mount-proc")
_PRIVATE = ("/tmp", "/dev/shm")
_PR_CAPBSET_DROP, _CAPABILITIES = 24, 64
_ROOT = Path(__file__).resolve().parents[1]


def prefix(folder: Path) -> list[str]:
    """What to write before a command, which will start in this folder."""
    return [*_UNSHARE, sys.executable, "-P", __file__, str(folder.resolve())]


def possible() -> bool:
    """Whether this machine lets us."""
    command = [*prefix(Path(__file__).parent), "true"]
    return not subprocess.run(command, check=False, capture_output=True).returncode


def enter(folder: str) -> None:
    """Leave this process nothing to write but a folder, in a mount table that is its own.

    Raises OSError where the kernel does not allow it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    # Held open, because Python, the packages and the folder may lie below what is covered.
    needed = sorted({sys.base_prefix, sys.prefix, str(_ROOT)})
    kept = {path: os.open(path, os.O_PATH) for path in (*needed, folder)}
    for place in filter(os.path.isdir, _PRIVATE):
        mount(libc, "tmpfs", place, "tmpfs", 0, "mode=1777")
    for path, held in kept.items():
        if path == folder or not os.path.exists(path):
            os.makedirs(path, exist_ok=True)
            mount(libc, f"/proc/self/fd/{held}", path, None, BIND)
        os.close(held)
    writable = {*_PRIVATE, folder}
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        place = line.split()[4].encode().decode("unicode_escape")
        if place not in writable:
            with contextlib.suppress(FileNotFoundError):  # covered, so out of reach
                seal(libc, place, recursive=False)
    os.chdir(folder)
    for capability in range(_CAPABILITIES):  # or the command could mount it all anew
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)


if __name__ == "__main__":
    enter(sys.argv[1])
    # A shell is the first process of the namespace: no other one in it can end that one.
    os.execvp("sh", ["sh", "-c", '"$@"; exit $?', "sh", *sys.argv[2:]])
