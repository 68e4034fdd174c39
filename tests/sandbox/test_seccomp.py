"""The filter's numbers are the kernel's."""

from __future__ import annotations

import platform
import re
from pathlib import Path

import pytest

from autograder.sandbox import seccomp

HEADERS = (
    Path(f"/usr/include/{platform.machine()}-linux-gnu/asm/unistd_64.h"),
    Path("/usr/include/asm-generic/unistd.h"),
)
# asm-generic calls some of its numbers by other names.
ALIASES = {"newfstatat": "fstatat", "lseek": "lseek", "sendfile": "sendfile", "fcntl": "fcntl"}


def numbers(header: Path) -> dict[str, int]:
    if not header.exists():
        pytest.skip(f"NOT CHECKED: the kernel's header {header} is not installed")
    text = header.read_text()
    found = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", text)
    return {name: int(number) for name, number in found}


@pytest.mark.parametrize("column", [0, 1], ids=["x86-64", "AArch64"])
def test_numbers(column: int) -> None:
    kernel = numbers(HEADERS[column])
    ours = {name: pair[column] for name, pair in seccomp.ALLOWED.items()}
    ours |= {name: pair[0][column] for name, pair in seccomp.CHECKED.items()}
    for name, number in ours.items():
        known = kernel.get(name, kernel.get(ALIASES.get(name, ""), None))
        if number >= 0:
            assert number == known, name
        else:
            assert known is None or (name, known) in {("time", 1062)} or known >= 1024, name


def test_what_must_never_be_allowed() -> None:
    allowed = {*seccomp.ALLOWED, *seccomp.CHECKED}
    assert not allowed & {
        *("fork", "vfork", "clone", "clone3", "execve", "execveat", "socket", "connect", "bind"),
        *("listen", "accept", "accept4", "ptrace", "process_vm_readv", "process_vm_writev"),
        *("kill", "tkill", "tgkill", "rt_sigqueueinfo", "pidfd_open", "pidfd_send_signal"),
        *("mount", "umount2", "unshare", "setns", "chroot", "pivot_root", "bpf", "keyctl"),
        *("io_uring_setup", "userfaultfd", "perf_event_open", "memfd_create", "shmget"),
        *("chmod", "fchmod", "fchmodat", "chown", "fchown", "lchown", "fchownat", "utimensat"),
        *("setxattr", "truncate", "mknod", "setuid", "setresuid", "capset", "mlock", "seccomp"),
    }
