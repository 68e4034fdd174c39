"""The course's secret, from which every student's random inputs come.

Inputs are fresh for each student, so that copied numbers are worth nothing, and the same on every
regrade, so that a grade can be explained. The secret lives outside the repository.
"""

from __future__ import annotations

import contextlib
import functools
import hmac
import os
import re
import secrets
import shlex
import tempfile
from pathlib import Path

from autograder.classroom.release import CourseError

BYTES = 32


def secret_path(course_id: str) -> Path:
    """Where the secret of a course is kept; `AUTOGRADER_HOME` or `XDG_CONFIG_HOME` moves it."""
    default = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "autograder"
    home = Path(os.environ.get("AUTOGRADER_HOME") or default)
    return home / (re.sub(r"[^\w.-]", "_", course_id or "course") + ".secret")


def course_secret(course_id: str) -> bytes:
    """The secret of a course; made on first use, readable by its owner only.

    Raises:
        CourseError: it can be read by others, cannot be read by us, or is no secret.
    """
    path = secret_path(course_id)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _make(path)
        if os.name == "posix" and path.stat().st_mode & 0o077:
            named = shlex.quote(str(path))
            raise CourseError(f"{path} can be read by others; run: chmod 600 {named}")
        key = bytes.fromhex(path.read_text(encoding="utf-8").strip())
    except OSError as error:
        raise CourseError(
            f"the course's secret cannot be kept in {path}: {error.strerror}. "
            "AUTOGRADER_HOME names another folder."
        ) from error
    except ValueError:
        key = b""
    if len(key) != BYTES:
        raise CourseError(
            f"{path} is no secret: delete it, and a new one is made (grades may move)"
        )
    return key


def _make(path: Path) -> None:
    """Write a new secret; when two runs begin at once, both go on with the one that was first."""
    descriptor, name = tempfile.mkstemp(dir=path.parent)  # mode 600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(secrets.token_hex(BYTES) + "\n")
        with contextlib.suppress(FileExistsError):
            os.link(name, path)
    finally:
        os.unlink(name)


@functools.lru_cache(maxsize=64)  # each is asked for when a notebook is planned, and again
def seed(secret: bytes, assignment: str, student: str, grade_id: str) -> int:
    """What a student's inputs for one graded cell are drawn from: HMAC-SHA256, 128 bits."""
    message = "\0".join((assignment, student, grade_id)).encode("utf-8", "replace")
    return int.from_bytes(hmac.digest(secret, message, "sha256")[:16], "big")
