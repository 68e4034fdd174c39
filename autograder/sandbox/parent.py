"""The warm parent of all workers, as the judge sees it: a process that takes orders."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import json
import os
import socket
import subprocess
import sys
import sysconfig
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from ..verdict import Failure, Verdict
from . import walls, wire

_HERE = Path(__file__).parent
# In the parent this folder is a package of its own: `autograder` is not imported there.
_BOOT = (
    "import sys, types; sandbox = types.ModuleType('sandbox'); sandbox.__path__ = [sys.argv[1]]; "
    "sys.modules['sandbox'] = sandbox; sys.path += sys.argv[2:]; "
    "from sandbox import atfork; atfork.leave_out(); from sandbox import worker; worker.main()"
)
_START_SECONDS = 120.0
_ORDER_SECONDS = 30.0


class Parent:
    """A running parent. It ends when it is stopped, forgotten, or when this process ends.

    Args:
        preload: what it imports.
        limits: what one worker may use up, by name.
        walls: whether its workers raise walls.
        namespaces: whether it moves into namespaces first, if it can.

    Attributes:
        notes: what it could not do for the walls.
    """

    def __init__(
        self, preload: Sequence[str], limits: Mapping[str, float], *, walls: bool, namespaces: bool
    ) -> None:
        scratch = os.path.realpath(tempfile.mkdtemp(prefix="worker-"))
        os.chmod(scratch, 0o711)  # workers may be other users, with folders of their own in it
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed in _stop)
        kind = socket.SOCK_SEQPACKET if sys.platform == "linux" else socket.SOCK_STREAM
        self._control, theirs = socket.socketpair(socket.AF_UNIX, kind)
        self._numbers = itertools.count()
        flags = ("-P", "-s", "-S", "-B")
        packages = _packages(preload)
        # Also a copy that is installed among the packages while this one runs from a clone.
        copies = [_HERE.parent, *(Path(folder, _HERE.parent.name) for folder in packages)]
        try:
            process = subprocess.Popen(
                [sys.executable, *flags, "-c", _BOOT, str(_HERE), *packages],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=self._errors.fileno(),
                cwd=scratch,
                env=_environment(scratch),
                start_new_session=True,
            )
        except OSError:
            self._control.close()
            self._errors.close()
            os.rmdir(scratch)
            raise
        finally:
            theirs.close()
        self.pid = process.pid
        self.stop = weakref.finalize(
            self, _stop, process, self._control, self._errors, scratch, os.getpid()
        )
        try:
            self._control.settimeout(_START_SECONDS)
            reply = self.order(
                {
                    "preload": preload,
                    "hidden": [str(path) for path in copies if path.exists()],
                    "limits": limits,
                    "scratch": scratch,
                    "walls": walls,
                    "namespaces": namespaces,
                }
            )
            self._control.settimeout(_ORDER_SECONDS)
            self.notes: tuple[str, ...] = tuple(reply["notes"])
            if not reply["ready"]:
                raise Failure(Verdict.INTERNAL, f"the parent of the workers: {self.notes[0]}")
        except BaseException:
            self.stop()
            raise

    def order(self, message: Mapping[str, Any], *fds: int) -> dict[str, Any]:
        """Send an order, with descriptors, and return the answer; Failure(INTERNAL) if none."""
        number = next(self._numbers)
        with contextlib.suppress(OSError, ValueError):
            socket.send_fds(self._control, [wire.to_json({**message, "n": number})], fds)
            while data := self._control.recv(1 << 16):
                reply = dict(json.loads(data))
                if reply.pop("n") == number:  # not one that was due when we were interrupted
                    return reply
        said = ""
        with contextlib.suppress(OSError, ValueError):
            self._errors.seek(0)
            said = self._errors.read()[-2000:].decode(errors="replace")
        raise Failure(Verdict.INTERNAL, f"the parent of the workers is gone. {said}".rstrip())


def _packages(names: Sequence[str]) -> list[str]:
    """Return the folders that these packages, and IPython and ours, are imported from.

    They may be several: what somebody has installed for himself stands beside the machine's.
    """
    folders = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    for name in (*names, "IPython", "orjson"):
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin is not None:
            folders.append(str(Path(spec.origin).parents[1]))
    return list(dict.fromkeys(folders))


def _environment(scratch: str) -> dict[str, str]:
    """Return the parent's whole environment: only where fonts are known is inherited."""
    one_thread = (
        *("OMP_NUM_THREADS", "OMP_THREAD_LIMIT", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"),
        "VECLIB_MAXIMUM_THREADS",  # macOS, whose threads do not survive a fork either
    )
    environment = {
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": scratch,
        "TMPDIR": scratch,
        "XDG_CONFIG_HOME": scratch,
        "MPLBACKEND": "agg",
        "PYTHONHASHSEED": "0",
        "PYTHONUTF8": "1",
        "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",  # a fork copies a smaller page table
        **dict.fromkeys(one_thread, "1"),
    }
    with contextlib.suppress(RuntimeError):  # Matplotlib's list of fonts; only the parent sees it
        cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        environment["XDG_CACHE_HOME"] = cache
    return environment


def _stop(
    process: subprocess.Popen[bytes],
    control: socket.socket,
    errors: IO[bytes],
    scratch: str,
    owner: int,
) -> None:
    """End a parent, which ends its workers, and wipe their folders."""
    if os.getpid() != owner:
        return
    control.close()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    errors.close()
    walls.wipe(scratch)
