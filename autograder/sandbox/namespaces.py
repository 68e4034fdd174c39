"""A private root and a private network: the second layer, where the kernel allows it.

The parent of all workers moves into them once. Its new root holds nothing but the libraries,
read-only, at their usual paths, an empty /tmp and four harmless devices; its network has no
interface that is up. Each worker then gets a mount table of its own, with its scratch folder on a
small tmpfs, which vanishes with the worker.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable

_NEWNS, _NEWUTS, _NEWIPC = 0x00020000, 0x04000000, 0x08000000
_NEWUSER, _NEWNET = 0x10000000, 0x40000000
_NOSUID, _NODEV, _REC, _PRIVATE = 2, 4, 16384, 1 << 18
BIND = 4096
_DETACH = 2
_MOUNT_SETATTR, _AT_RECURSIVE, _RDONLY, _ATTR_NOSUID = 442, 0x8000, 1, 2
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")


def _check(result: int, what: str) -> None:
    if result:
        raise OSError(ctypes.get_errno(), what)


def private_root(paths: Iterable[str], scratch: str, libc: ctypes.CDLL) -> None:
    """Move this process into a root that holds only these paths, and off the network.

    Args:
        paths: absolute files and folders, without symbolic links in them.
        scratch: an existing folder outside; the new root is built there, and in the new root it
            is an empty folder.

    Raises OSError; then this process may be anywhere between the old root and the new one, so try
    it in a child first.
    """
    flags = _NEWNS | _NEWNET | _NEWIPC | _NEWUTS
    uid, gid = os.geteuid(), os.getegid()
    if uid:  # somebody else than root needs a user namespace first
        _check(libc.unshare(flags | _NEWUSER), "unshare")
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{uid} {uid} 1"),
            ("gid_map", f"{gid} {gid} 1"),
        ):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    else:
        _check(libc.unshare(flags), "unshare")
    mount(libc, None, "/", None, _REC | _PRIVATE)
    mount(libc, "tmpfs", scratch, "tmpfs", _NOSUID, "mode=755,size=1m")
    for path in (*paths, *_DEVICES):
        _bind(libc, path, scratch + path)
    for name in ("lib", "lib64"):  # as the loader knows them
        if os.path.islink("/" + name):
            os.symlink(os.readlink("/" + name), f"{scratch}/{name}")
    os.makedirs(scratch + scratch, exist_ok=True)
    os.makedirs(scratch + "/tmp", exist_ok=True)
    os.chdir(scratch)
    machine = os.uname().machine
    if machine not in _PIVOT_ROOT:
        raise OSError(f"pivot_root is not known on {machine}")
    _check(libc.syscall(_PIVOT_ROOT[machine], b".", b"."), "pivot_root")
    _check(libc.umount2(b".", _DETACH), "umount")
    os.chdir("/")
    seal(libc, "/", recursive=False)


def private_scratch(path: str, uid: int, gid: int, size: int, libc: ctypes.CDLL) -> None:
    """Give this process a mount table of its own, with an empty tmpfs at a path.

    Both ids must be known in this user namespace, or the kernel refuses them.
    """
    _check(libc.unshare(_NEWNS), "unshare")
    options = f"mode=700,uid={uid},gid={gid},size={size},nr_inodes=4096"
    mount(libc, "tmpfs", path, "tmpfs", _NOSUID | _NODEV, options)


def _bind(libc: ctypes.CDLL, source: str, target: str) -> None:
    if not os.path.exists(source):
        return
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
    mount(libc, source, target, None, BIND | _REC)
    if source not in _DEVICES:
        seal(libc, target, recursive=True)


def seal(libc: ctypes.CDLL, path: str, *, recursive: bool) -> None:
    """Make what is mounted at a path read-only, and with `recursive` all that is below it."""
    attribute = struct.pack("=4Q", _RDONLY | _ATTR_NOSUID, 0, 0, 0)
    result = libc.syscall(
        _MOUNT_SETATTR,
        -100,
        path.encode(),
        _AT_RECURSIVE if recursive else 0,
        attribute,
        ctypes.c_size_t(len(attribute)),
    )
    _check(result, f"mount_setattr {path}")


def mount(
    libc: ctypes.CDLL,
    source: str | None,
    target: str,
    kind: str | None,
    flags: int,
    options: str | None = None,
) -> None:
    """Call mount(2); raise OSError where it fails."""
    encoded = [None if text is None else text.encode() for text in (source, kind, options)]
    arguments = (encoded[0], target.encode(), encoded[1], ctypes.c_ulong(flags), encoded[2])
    _check(libc.mount(*arguments), f"mount {target}")
