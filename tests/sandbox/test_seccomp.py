"""The filter's numbers are the kernel's."""

from __future__ import annotations

import errno
import platform
import re
import struct
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
        *("flock", "timer_create", "clock_settime", "clock_adjtime", "sched_setaffinity"),
        *("setxattr", "truncate", "mknod", "setuid", "setresuid", "capset", "mlock", "seccomp"),
    }


@pytest.mark.parametrize("unnaming", [True, False])
@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_program_says_what_the_tables_say(
    machine: str, unnaming: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    program = list(struct.iter_unpack("=HBBI", seccomp.program(unnaming=unnaming)))
    column, arch = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}[machine]
    allowed = {pair[column] for pair in seccomp.ALLOWED.values()}
    checked = {pair[column]: rest for pair, *rest in seccomp.CHECKED.values()}
    if not unnaming:
        allowed -= {seccomp.ALLOWED[name][column] for name in seccomp.UNNAMING}
    opening = {seccomp.ALLOWED[name][column]: n for name, n in seccomp.OPENING.items()}
    for number in (*range(1100), 0x40000000, 0x40000001, 0x7FFFFFFF, 0xFFFFFFFF):
        assert answer(program, number, arch ^ 1, 0, 0) == KILL
        for value in (
            0,
            1,
            2,
            8,
            15,
            38,
            0x80001,
            0x80002,
            0x5401,
            0x5412,
            1032,
            0x410002,  # O_TMPFILE | O_RDWR
            0x53564D41,
            0xFFFFFFFF,
        ):
            for place in (0, 1, 2):
                fine = number in allowed
                if number in checked:
                    which, values = checked[number]
                    fine = (value if which == place else 99) in values
                if not unnaming and opening.get(number) == place and value & 0x400000:
                    fine = False
                expected = ALLOW if fine else ENOSYS if number == 435 else EPERM
                arguments = [value if place == n else 99 for n in range(3)]
                assert answer(program, number, arch, *arguments) == expected, (number, arguments)


KILL, ALLOW = 0x80000000, 0x7FFF0000
EPERM, ENOSYS = 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS


def answer(program: list[tuple[int, ...]], number: int, arch: int, *arguments: int) -> int:
    """Run a filter as the kernel would."""
    data = {0: number, 4: arch, **{16 + 8 * n: value for n, value in enumerate(arguments)}}
    loaded, at = 0, 0
    while True:
        code, if_true, if_false, value = program[at]
        at += 1
        if code == 0x06:
            return value
        if code == 0x20:
            loaded = data[value]
        else:
            holds = {
                0x15: loaded == value,
                0x25: loaded > value,
                0x35: loaded >= value,
                0x45: loaded & value,
            }[code]
            at += if_true if holds else if_false
