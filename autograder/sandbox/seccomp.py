"""A seccomp filter: which system calls a worker may make. Everything else answers EPERM.

The list allows one process with one thread that computes, and reads and writes files that it can
open (which ones, is Landlock's business). There is no process or thread to create, no program to
run, no socket to open, no signal to send to anybody, no permission or owner to change, no
namespace, no key, no tracing, no memory outside the limits.

Where no tmpfs of a worker's own bounds its files, they are counted by their names, and none may
lose its name: nothing can be removed or renamed there, and no file can be made without a name.

The filter is classic BPF, written by hand, for x86-64 and AArch64. A system call made under
another convention than the native one kills the worker. It is short, because the kernel checks,
translates and tries it out for every worker.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
from collections.abc import Iterable, Iterator

# name -> (number on x86-64, number on AArch64); -1 where there is none.
ALLOWED = {
    # Files that are open, or that Landlock lets it open.
    "read": (0, 63), "write": (1, 64), "pread64": (17, 67), "pwrite64": (18, 68),
    "readv": (19, 65), "writev": (20, 66), "preadv": (295, 69), "pwritev": (296, 70),
    "open": (2, -1), "openat": (257, 56), "openat2": (437, 437), "creat": (85, -1),
    "close": (3, 57), "close_range": (436, 436), "lseek": (8, 62), "dup": (32, 23),
    "dup2": (33, -1), "dup3": (292, 24), "fsync": (74, 82), "fdatasync": (75, 83),
    "ftruncate": (77, 46), "fallocate": (285, 47), "fadvise64": (221, 223),
    "sendfile": (40, 71), "copy_file_range": (326, 285), "umask": (95, 166),
    # Names and what they stand for. (No chmod, chown, utime, xattr: Landlock does not see them.)
    "stat": (4, -1), "lstat": (6, -1), "fstat": (5, 80), "newfstatat": (262, 79),
    "statx": (332, 291), "statfs": (137, 43), "fstatfs": (138, 44), "access": (21, -1),
    "faccessat": (269, 48), "faccessat2": (439, 439), "readlink": (89, -1),
    "readlinkat": (267, 78), "getdents64": (217, 61), "getdents": (78, -1), "getcwd": (79, 17),
    "chdir": (80, 49), "fchdir": (81, 50), "mkdir": (83, -1), "mkdirat": (258, 34),
    "rmdir": (84, -1), "unlink": (87, -1), "unlinkat": (263, 35), "rename": (82, -1),
    "renameat": (264, 38), "renameat2": (316, 276), "link": (86, -1), "linkat": (265, 37),
    "symlink": (88, -1), "symlinkat": (266, 36),
    # Memory. (No memfd, no System V or POSIX segments: RLIMIT_AS does not count them.)
    "brk": (12, 214), "mmap": (9, 222), "munmap": (11, 215), "mprotect": (10, 226),
    "mremap": (25, 216), "madvise": (28, 233), "msync": (26, 227), "mincore": (27, 232),
    "get_mempolicy": (239, 236), "membarrier": (324, 283),
    # Waiting, and talking over what is already open.
    "poll": (7, -1), "ppoll": (271, 73), "select": (23, -1), "pselect6": (270, 72),
    "epoll_create": (213, -1), "epoll_create1": (291, 20), "epoll_ctl": (233, 21),
    "epoll_wait": (232, -1), "epoll_pwait": (281, 22), "eventfd2": (290, 19), "pipe": (22, -1),
    "pipe2": (293, 59), "sendto": (44, 206), "recvfrom": (45, 207),
    "sendmsg": (46, 211), "recvmsg": (47, 212), "shutdown": (48, 210),
    "getsockname": (51, 204), "getpeername": (52, 205), "futex": (202, 98),
    "restart_syscall": (219, 128),
    # Clocks, timers and its own signals' handlers.
    "nanosleep": (35, 101), "clock_getres": (229, 114), "gettimeofday": (96, 169),
    "time": (201, -1), "times": (100, 153), "alarm": (37, -1),
    "setitimer": (38, 103), "getitimer": (36, 102),
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139),
    "rt_sigpending": (127, 136), "rt_sigsuspend": (130, 133), "rt_sigtimedwait": (128, 137),
    "sigaltstack": (131, 132), "pause": (34, -1),
    # What it may know of itself.
    "getpid": (39, 172), "getppid": (110, 173), "gettid": (186, 178), "getuid": (102, 174),
    "geteuid": (107, 175), "getgid": (104, 176), "getegid": (108, 177), "getresuid": (118, 148),
    "getresgid": (120, 150), "getgroups": (115, 158), "getpgrp": (111, -1), "getpgid": (121, 155),
    "getsid": (124, 156), "getrlimit": (97, 163), "getrusage": (98, 165), "uname": (63, 160),
    "sysinfo": (99, 179), "getcpu": (309, 168), "getrandom": (318, 278), "wait4": (61, 260),
    "waitid": (247, 95), "sched_yield": (24, 124), "sched_getaffinity": (204, 123),
    "sched_getscheduler": (145, 120), "sched_getparam": (143, 121),
    # The C library's own housekeeping.
    "arch_prctl": (158, -1), "set_tid_address": (218, 96), "set_robust_list": (273, 99),
    "rseq": (334, 293), "exit": (60, 93), "exit_group": (231, 94),
}  # fmt: skip

# name -> (numbers, which argument, the values it may have).
CHECKED = {
    # F_DUPFD, F_{GET,SET}{FD,FL}, pipe size; never F_SETOWN or F_SETSIG, with which the kernel can
    # be asked to send somebody a signal. No locks either: on a file that all workers read, one sees
    # those of another, and numbers in them.
    "fcntl": ((72, 25), 1, (0, 1, 2, 3, 4, 1030, 1032)),
    # The clocks that have names: the others tell how long another process, such as the judge, has
    # computed.
    "clock_gettime": ((228, 113), 0, tuple(range(12))),
    "clock_nanosleep": ((230, 115), 0, tuple(range(12))),
    # SOCK_STREAM, perhaps SOCK_NONBLOCK and SOCK_CLOEXEC. Never a datagram socket: one of a pair
    # can send to any other on this machine that has a name in the file system.
    "socketpair": ((53, 199), 1, (0x1, 0x801, 0x80001, 0x80801)),
    # SO_TYPE, SO_ERROR, the sizes of its buffers, SO_PROTOCOL, SO_DOMAIN; never SO_PEERPIDFD, which
    # is a handle on the judge. None may be set: larger buffers are memory that no limit counts.
    "getsockopt": ((55, 209), 2, (3, 4, 7, 8, 38, 39)),
    # TCGETS (isatty), TIOCGWINSZ, FIONREAD, FIOCLEX, FIONCLEX, FIONBIO.
    "ioctl": ((16, 29), 1, (0x5401, 0x5413, 0x541B, 0x5451, 0x5450, 0x5421)),
    # PR_SET_NAME, PR_GET_NAME, PR_SET_VMA.
    "prctl": ((157, 167), 0, (15, 16, 0x53564D41)),
    # Its own limits only; it has no capability to raise them.
    "prlimit64": ((302, 261), 0, (0,)),
}

# What takes a file's name away; and what makes a file without one: __O_TMPFILE among the flags of
# `open`, which are this argument. (Those of openat2 are in memory, where no filter looks.)
UNNAMING = ("unlink", "unlinkat", "rename", "renameat", "renameat2", "openat2")
OPENING = {"open": 1, "openat": 2}
_O_TMPFILE = 0x400000

# glibc tries clone3 first and falls back to clone (which gets EPERM) only on ENOSYS.
_CLONE3 = (435, 435)

_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_KILL, _ERRNO, _ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
_LOAD, _RETURN = 0x20, 0x06  # BPF_LD|W|ABS, BPF_RET|K
# BPF_JMP|K and JEQ, JGT, JGE, JSET.
_EQUAL, _GREATER, _NOT_LESS, _HAS = 0x15, 0x25, 0x35, 0x45
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2


def supported() -> bool:
    """Whether this machine's system calls are known."""
    return platform.machine() in _ARCHITECTURES


def program(*, unnaming: bool = True) -> bytes:
    """Return the filter, as an array of ``struct sock_filter``.

    Args:
        unnaming: whether files may lose their names.
    """
    column, arch = _ARCHITECTURES[platform.machine()]
    instructions = list(_instructions(column, arch, unnaming))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)


def _instructions(column: int, arch: int, unnaming: bool) -> Iterator[tuple[int, int, int, int]]:
    allow = (_RETURN, 0, 0, _ALLOW)
    deny = (_RETURN, 0, 0, _ERRNO | errno.EPERM)
    kept = () if unnaming else (*UNNAMING, *OPENING)
    numbered = {name: numbers[column] for name, numbers in ALLOWED.items() if numbers[column] >= 0}
    runs = _runs(number for name, number in numbered.items() if name not in kept)
    rest = []
    for name in () if unnaming else OPENING.keys() & numbered.keys():
        rest.append((_EQUAL, 0, 4, numbered[name]))
        rest.append((_LOAD, 0, 0, _ARGUMENTS + 8 * OPENING[name]))
        rest += ((_HAS, 0, 1, _O_TMPFILE), deny, allow)
    for numbers, argument, values in CHECKED.values():
        # The kernel looks at the low 32 bits of these arguments, and so does the filter.
        rest.append((_EQUAL, 0, len(values) + 3, numbers[column]))
        rest.append((_LOAD, 0, 0, _ARGUMENTS + 8 * argument))
        for left, value in zip(range(len(values), 0, -1), values, strict=True):
            rest.append((_EQUAL, left, 0, value))
        rest += (deny, allow)
    rest.append((_EQUAL, 0, 1, _CLONE3[column]))
    rest.append((_RETURN, 0, 0, _ERRNO | errno.ENOSYS))
    rest += (deny, allow)
    yield (_LOAD, 0, 0, _ARCH)
    yield (_EQUAL, 1, 0, arch)
    yield (_RETURN, 0, 0, _KILL)
    yield (_LOAD, 0, 0, _NUMBER)
    # Runs of allowed numbers, upwards. A number beyond one goes on to the next; a number in it
    # jumps to the very end, which allows it; a number before it is in none, and jumps to the rest.
    for left, (first, last) in zip(range(len(runs) - 1, -1, -1), runs, strict=True):
        yield (_GREATER, 1, 0, last)
        yield (_NOT_LESS, 2 * left + len(rest) - 1, 2 * left, first)
    yield from rest


def _runs(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Return the runs of consecutive numbers, by their first and last, upwards."""
    runs: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def load(code: bytes, libc: ctypes.CDLL) -> None:
    """Put this process behind the filter; needs no_new_privs. Raises OSError."""
    filter_program = _Program(len(code) // 8, code)
    if libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(filter_program), 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp")
