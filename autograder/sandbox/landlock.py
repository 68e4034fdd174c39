"""Landlock: which files a worker may read and write, whom it may connect to or signal."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446  # the same numbers on every architecture
_PATH_BENEATH = 1

# struct landlock_ruleset_attr: file rights, one bit each in the kernel's order; net; scope.
_WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 1, 1 << 2, 1 << 3
_READ = _READ_FILE | _READ_DIR  # never EXECUTE: there is nothing to run
_RIGHTS_BY_ABI = {1: 13, 2: 14, 3: 15, 5: 16}  # how many file rights there are since which ABI
_NET_BY_ABI, _BIND_OR_CONNECT = 4, 0b11
_SCOPE_BY_ABI, _ABSTRACT_SOCKETS_AND_SIGNALS = 6, 0b11
# On a file, and not a folder, only these rights make sense.
_FILE_RIGHTS = 1 << 0 | _WRITE_FILE | _READ_FILE | 1 << 14 | 1 << 15
_MAKE_DEVICES = 1 << 6 | 1 << 11


def abi(libc: ctypes.CDLL) -> int:
    """Return the kernel's Landlock version; 0 if it has none."""
    return max(0, int(libc.syscall(_CREATE, None, ctypes.c_size_t(0), 1)))


class Ruleset:
    """Rules in the making: nothing is allowed but what is added. Raises OSError throughout."""

    def __init__(self, libc: ctypes.CDLL) -> None:
        self._libc = libc
        version = abi(libc)
        if not version:
            raise OSError("the kernel has no Landlock")
        self._rights = (1 << max(n for v, n in _RIGHTS_BY_ABI.items() if v <= version)) - 1
        fields = [self._rights]
        if version >= _NET_BY_ABI:
            fields.append(_BIND_OR_CONNECT)
        if version >= _SCOPE_BY_ABI:
            fields.append(_ABSTRACT_SOCKETS_AND_SIGNALS)
        attribute = struct.pack(f"={len(fields)}Q", *fields)
        self._fd = libc.syscall(_CREATE, attribute, ctypes.c_size_t(len(attribute)), 0)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "landlock_create_ruleset")

    def read(self, paths: Iterable[str | int]) -> None:
        """Allow to read these files, and everything below these folders (paths or open ones)."""
        for path in paths:
            self._add(path, _READ)

    def list(self, paths: Iterable[str | int]) -> None:
        """Allow to list these folders, and those below, but not to read what is in them."""
        for path in paths:
            self._add(path, _READ_DIR)

    def write(self, paths: Iterable[str | int]) -> None:
        """Allow everything below these folders, but to execute and to make devices."""
        for path in paths:
            self._add(path, self._rights & ~(1 | _MAKE_DEVICES))

    def enforce(self) -> None:
        """Put this process behind the rules, for ever; needs no_new_privs."""
        if self._libc.syscall(_RESTRICT, self._fd, 0):
            raise OSError(ctypes.get_errno(), "landlock_restrict_self")
        os.close(self._fd)

    def _add(self, path: str | int, rights: int) -> None:
        fd = path if isinstance(path, int) else os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            if not os.path.isdir(fd):
                rights &= _FILE_RIGHTS
            rule = struct.pack("=Qi", rights, fd)
            if self._libc.syscall(_ADD_RULE, self._fd, _PATH_BENEATH, rule, 0):
                raise OSError(ctypes.get_errno(), "landlock_add_rule", path)
        finally:
            if fd != path:
                os.close(fd)
