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
    """Rules in the making: nothing is allowed but what is added. Raises OSError throughout.

    What is the same for all workers is added once, in their parent; each of them then makes the
    kernel's ruleset of it, so that none shares one with another.
    """

    def __init__(self, libc: ctypes.CDLL) -> None:
        self._libc = libc
        self.abi = abi(libc)
        if not self.abi:
            raise OSError("the kernel has no Landlock")
        self._rights = (1 << max(n for v, n in _RIGHTS_BY_ABI.items() if v <= self.abi)) - 1
        fields = [self._rights]
        if self.abi >= _NET_BY_ABI:
            fields.append(_BIND_OR_CONNECT)
        if self.abi >= _SCOPE_BY_ABI:
            fields.append(_ABSTRACT_SOCKETS_AND_SIGNALS)
        self._attribute = struct.pack(f"={len(fields)}Q", *fields)
        self._rules: list[bytes] = []

    def read(self, paths: Iterable[str]) -> None:
        """Allow to read these files, and everything below these folders."""
        self._rules += [self._rule(path, _READ) for path in paths]

    def list(self, paths: Iterable[str]) -> None:
        """Allow to list these folders, and those below, but not to read what is in them."""
        self._rules += [self._rule(path, _READ_DIR) for path in paths]

    def write(self, *paths: str) -> None:
        """Allow everything below these folders, but to execute and to make devices."""
        self._rules += [self._rule(path, self._rights & ~(1 | _MAKE_DEVICES)) for path in paths]

    def enforce(self) -> None:
        """Put this process behind the rules, for ever; needs no_new_privs.

        The open paths that the rules are about are left for the caller to close.
        """
        attribute, call = self._attribute, self._libc.syscall
        ruleset = call(_CREATE, attribute, ctypes.c_size_t(len(attribute)), 0)
        if ruleset < 0:
            raise OSError(ctypes.get_errno(), "landlock_create_ruleset")
        for rule in self._rules:
            if call(_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0):
                raise OSError(ctypes.get_errno(), "landlock_add_rule")
        if call(_RESTRICT, ruleset, 0):
            raise OSError(ctypes.get_errno(), "landlock_restrict_self")
        os.close(ruleset)

    @staticmethod
    def _rule(path: str, rights: int) -> bytes:
        """Open a path, and return its ``struct landlock_path_beneath_attr``."""
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        if not os.path.isdir(fd):
            rights &= _FILE_RIGHTS
        return struct.pack("=Qi", rights, fd)
