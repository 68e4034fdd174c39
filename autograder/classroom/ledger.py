"""The ledger of an assignment: what was decided, and from what.

One line of JSON per graded submission, appended and flushed as it happens. A run that is killed
loses at most the line it was writing, a machine that loses its power perhaps the last few; the next
run takes what is decided from here and grades the rest.
Each line carries the hash of the one before, and a seal that only the course's secret can make: no
line can be changed or added unseen, none but the last be taken out so, and what is not sealed
decides nothing. What was said of an odd line is written down, too, so that it is said once.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import hmac
import os
import platform
import time
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import nbformat
import numpy as np
import orjson

import autograder
from autograder.chapters import SLUGS
from autograder.classroom.grading import CellGrade, Graded, sorted_json
from autograder.classroom.release import CourseError, unwritable
from autograder.classroom.submissions import Assignment, Submission
from autograder.sandbox.pool import Limits

BEGINNING = "0" * 64


@functools.cache
def engine(assignment: str) -> str:
    """SHA-256 of the code that decides about an assignment: another engine may decide otherwise."""
    digest = hashlib.sha256()
    root = Path(autograder.__file__).parent
    used = _used(root / "chapters", assignment)
    for path in sorted(root.rglob("*.py")):
        if path.parent.name == "chapters" and path.stem in SLUGS and path.stem not in used:
            continue
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _used(folder: Path, assignment: str) -> set[str]:
    """A chapter, and those that its module imports from, and that they do."""
    used = [assignment]
    for name in used:  # which grows
        path = folder / f"{name}.py"
        code = path.read_text("utf-8") if name in SLUGS else ""
        used += [s for s in SLUGS if f"autograder.chapters.{s} " in code and s not in used]
    return set(used)


def circumstances(assignment: Assignment, secret: bytes, limits: Limits) -> dict[str, Any]:
    """All that a grade depends on besides the submission itself."""
    return {
        "assignment": hashlib.sha256(nbformat.writes(assignment.source).encode()).hexdigest(),
        "engine": engine(assignment.name),
        "limits": asdict(limits),
        "numpy": np.__version__,
        "python": platform.python_version(),
        "secret_id": hashlib.sha256(b"id of " + secret).hexdigest()[:16],
    }


# How long a run that was killed may take to end.
_ENDING_SECONDS = 10.0

# What a line without a verdict says of a student.
_NOBODY: dict[str, Any] = {"student": "", "grades": ()}

# How often the disk is waited for, at most: it is when a line is written.
_SYNC_SECONDS = 1.0


class Ledger:
    """The ledger file of an assignment, open for appending.

    Attributes:
        path: the file.
        notes: what is odd about the file and was not said before, as sentences.
        students: whoever it has a verdict about, under whatever circumstances.
    """

    def __init__(self, path: Path, around: Mapping[str, Any], secret: bytes) -> None:
        self.path = path
        self._secret = secret
        self.notes: list[str] = []
        self.students: set[str] = set()
        self._odd: set[str] = set()
        self._around = dict(around)
        # The last line of each student, if it was written under these circumstances: an earlier
        # one is of a notebook that is no longer there. As text: objects take ten times as much.
        self._decided: dict[str, bytes] = {}
        self._last = BEGINNING
        self._file: IO[bytes] | None = None
        self._synced = time.monotonic()

    def __enter__(self) -> Self:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.ExitStack() as failed:
                self._file = failed.enter_context(open(self.path, "ab"))
                if not _alone(self._file):
                    raise CourseError(
                        f"another run is grading this: it writes into {self.path}. Wait until it "
                        "is done, and run the same command again"
                    )
                whole = self._read()
                if self._file.seek(0, os.SEEK_END) > whole:  # it may have grown while we waited
                    self._file.truncate(whole)  # the line that a killed run was writing
                failed.pop_all()
        except OSError as error:
            raise CourseError(f"{self.path} cannot be opened: {error.strerror}") from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            try:
                with self._file:
                    os.fsync(self._file.fileno())
            except OSError as failed:
                if error is None:  # one that is on its way says more
                    raise unwritable(self.path, failed) from failed

    def knows(self, student: str) -> bool:
        """Whether something was decided about a student under the same circumstances."""
        return student in self._decided

    def decided(self, submission: Submission) -> Graded | None:
        """What was decided about this very submission under the same circumstances; or None."""
        line = self._decided.get(submission.student)
        if line is None:
            return None
        graded = orjson.loads(line)["graded"]
        if (graded["digest"], graded["problem"]) != (submission.digest, submission.problem):
            return None
        known = {f.name for f in fields(Graded)}
        data = {k: v for k, v in graded.items() if k in known}
        data["grades"] = tuple(CellGrade(**g) for g in data["grades"])
        data["repairs"], data["walls"] = tuple(data["repairs"]), tuple(data["walls"])
        return Graded(**data)

    def append(self, graded: Graded) -> None:
        """Write down what was decided; what is INTERNAL is written too, but decides nothing.

        Raises:
            CourseError: the file cannot be written; what was decided before is in it.
        """
        self._write({"graded": graded.to_dict()})

    def said(self) -> None:
        """Write down that the notes were said: a line that stays odd is not told of again.

        Raises:
            CourseError: the file cannot be written.
        """
        if self._odd:
            self._write({"said": sorted(self._odd)})
            self._odd = set()

    def _write(self, what: dict[str, Any]) -> None:
        """Append a line."""
        assert self._file is not None
        record = {"previous": self._last, "around": self._around, **what}
        line = self._sealed(sorted_json(record))
        try:
            self._file.write(line)
            self._file.flush()
            if time.monotonic() - self._synced > _SYNC_SECONDS:
                os.fsync(self._file.fileno())
                self._synced = time.monotonic()
        except OSError as error:
            raise unwritable(self.path, error) from error
        self._last = hashlib.sha256(line).hexdigest()

    def _sealed(self, record: bytes) -> bytes:
        """The line of a record: at its end, what proves that who has the secret wrote it."""
        seal = hmac.digest(self._secret, b"ledger\0" + record, "sha256").hex()
        return record[:-1] + f',"seal":"{seal}"}}\n'.encode()

    def _read(self) -> int:
        """Read what is there, and return where the last whole line ends."""
        whole = 0
        odd: list[tuple[bytes, str]] = []  # which line, and what is odd about it
        said: set[str] = set()
        with self.path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    cut = f"the last line of {self.path.name} was cut off; it is graded again"
                    self.notes.append(cut)
                    break
                whole += len(line)
                before, self._last = self._last, hashlib.sha256(line).hexdigest()
                for sentence in self._take(line, before, said):
                    here = f"line {number} of {self.path.name}"
                    odd.append((before.encode() + line, f"{here} {sentence}"))
        keyed = [(hashlib.sha256(which).hexdigest(), sentence) for which, sentence in odd]
        self._odd = {key for key, _ in keyed} - said
        self.notes += [sentence for key, sentence in keyed if key not in said]
        return whole

    def _take(self, line: bytes, before: str, said: set[str]) -> list[str]:
        """Take what a line decides, or adds to what was said; return what is odd about it.

        Args:
            line: the line.
            before: the hash of the one before.
            said: which odd lines were told of already.
        """
        odd = []
        try:
            record = orjson.loads(line)
            previous, around = record["previous"], record["around"]
            ours = around.get("secret_id") == self._around["secret_id"]
            told = set(record.get("said", ()))
            graded = _NOBODY if told else record["graded"]
            student = str(graded["student"])
            blocked = any(g["verdict"] == "INTERNAL" for g in graded["grades"])
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return ["is not a verdict; left out"]
        if previous != before:
            odd.append(
                "does not follow the one before: a line was changed or taken out; nothing up to "
                "here is taken from it"
            )
            self._decided.clear()
        self._decided.pop(student, None)
        self.students |= {student} - {""}
        unsealed = line.rpartition(b',"seal":')[0] + b"}"
        sealed = hmac.compare_digest(line, self._sealed(unsealed))
        if ours and not sealed:  # with another secret it is graded again in any case
            again = f"; {student} is graded again" if student else ""
            odd.append(f"was not written by the grader{again}")
        elif told:
            said |= told if ours else set()
        elif not blocked and around == self._around:
            self._decided[student] = line
        return odd


def _alone(file: IO[bytes]) -> bool:
    """Whether no other run writes into a file; until it is closed, none can.

    A run that was killed may still be ending, and has a moment for it.
    """
    end = time.monotonic() + _ENDING_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                return False
            time.sleep(0.05)
        except OSError:  # a file system that has no locks
            return True
        else:
            return True
