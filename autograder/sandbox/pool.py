"""The judge's side: warm parents to fork workers from, and what becomes of them.

    with Pool() as pool, pool.worker() as worker:
        result = worker.execute("def double(x): return 2 * x")
        double = worker.handle("double")
        double(21)

A `Pool` belongs to one process and may be used by all of its threads; a `Worker` belongs to one
thread at a time. Workers of one pool run side by side.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

from ..exercise import Certain, Foresight
from ..verdict import Failure, Lost, Verdict, failure_of
from . import ahead, measure, replies, wire
from .parent import Parent
from .remote import Remote, reference
from .walls import WallsReport

# The worker raises its own alarm at the limit, which tells where it was; who ignores it is ended
# this much later.
_GRACE = 0.5
_HELLO_SECONDS = 30.0


@dataclass(frozen=True)
class Limits:
    """What one worker may use up."""

    # A cell of this course trains a small net at most; this is ten times what that takes.
    cell_seconds: float = 20.0
    # A probe's arrays are small: an honest call takes milliseconds.
    call_seconds: float = 5.0
    # What a whole submission may take: it keeps one student from holding up the class.
    total_seconds: float = 120.0
    # The same for CPU time; with one thread it cannot pass the wall clock by much.
    cpu_seconds: int = 120
    # Beyond what the warm parent has mapped; two GiB is two hundred times a chapter's data.
    memory_bytes: int = 2 << 30
    # Text and figures together: a figure is about 30 kB, a megabyte of text is a flood.
    output_bytes: int = 2 << 20
    # The arrays that its functions return, all together: an honest notebook's are 0.1 MB, and the
    # judge has to keep some of them.
    answer_bytes: int = 256 << 20
    # One file in the scratch folder.
    file_bytes: int = 16 << 20
    # All files in the scratch folder.
    scratch_bytes: int = 32 << 20


@dataclass(frozen=True)
class CellResult:
    """What became of one cell: PASS, or the verdict of its failure, and its nbformat outputs.

    Values are handles on the functions and classes among the names that were asked for.
    """

    verdict: Verdict
    outputs: list[dict[str, Any]]
    failure: Failure | None
    seconds: float
    values: Mapping[str, Any] = field(default_factory=dict)


class Pool:
    """Warm parents, and the workers forked from them.

    Args:
        preload: what every parent imports, so that a worker need not, besides NumPy.
        limits: what one worker may use up.
        walls: whether to raise walls around the workers. Without them nothing but goodwill keeps
            student code from the machine; deadlines and bounded outputs remain.
        namespaces: whether to add the second layer; the tests try the first one alone.

    Attributes:
        walls: which walls stand; measured at the start in a worker of its own. Workers with other
            layers than that one, of whichever parent, are not used.
    """

    def __init__(
        self,
        *,
        preload: Sequence[str] = (),
        limits: Limits = Limits(),
        walls: bool = True,
        namespaces: bool = True,
    ) -> None:
        self.limits = limits
        self._preload = tuple(dict.fromkeys(("numpy", *preload)))
        self._walled = walls
        self._namespaces = namespaces
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._closed = False
        self._workers: weakref.WeakSet[Worker] = weakref.WeakSet()
        self._layers: list[str] | None = None
        self._unusable: set[tuple[str, ...]] = set()
        self._parents = {self._preload: self._start(self._preload)}
        try:
            self.walls = self._measure()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the parents and every worker, and wipe their folders."""
        with self._lock:
            self._closed = True
            for parent in self._parents.values():
                parent.stop()
        for worker in tuple(self._workers):
            worker.close()

    def worker(self, needs: Iterable[str] = ()) -> Worker:
        """Fork a fresh worker, of a parent that has imported what it needs.

        Raises Failure(INTERNAL) if that cannot be done.
        """
        preload = (*self._preload, *sorted(set(needs) - set(self._preload)))
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                pid, parent = self._fork(theirs, preload)
            except BaseException:
                ours.close()
                raise
        worker = Worker(self, ours, pid, parent)
        self._workers.add(worker)
        if self._layers is None:
            self._layers = worker.layers
        elif worker.layers != self._layers:
            worker.close()
            raise Failure(Verdict.INTERNAL, "a worker could not raise the walls that it should")
        return worker

    def end(self, pid: int, parent: Parent) -> dict[str, Any]:
        """End a worker; return how that went (see `_cause`). For `Worker` only."""
        with self._lock:
            try:
                return parent.order({"op": "end", "pid": pid})
            except Failure:  # the parent is gone, and its workers with it
                return {"status": signal.SIGKILL.value, "cpu": 0.0, "full": False, "gone": True}

    def _start(self, preload: tuple[str, ...]) -> Parent:
        limits = asdict(self.limits)
        return Parent(preload, limits, walls=self._walled, namespaces=self._namespaces)

    def _fork(self, sock: socket.socket, preload: tuple[str, ...]) -> tuple[int, Parent]:
        with self._lock:
            if self._closed or self._owner != os.getpid():
                message = "this pool is closed, or belongs to another process"
                raise Failure(Verdict.INTERNAL, message)
            if preload not in self._parents and preload not in self._unusable:
                try:
                    self._parents[preload] = self._start(preload)
                except Failure:  # what a package cannot do here, a student is told by importing it
                    self._unusable.add(preload)
            if preload in self._unusable:
                preload = self._preload
            parent = self._parents[preload]
            try:
                reply = parent.order({"op": "fork"}, sock.fileno())
            except Failure:  # the parent died: a new one, once
                parent.stop()
                parent = self._parents[preload] = self._start(preload)
                reply = parent.order({"op": "fork"}, sock.fileno())
        if "pid" not in reply:
            raise Failure(Verdict.INTERNAL, f"no worker could be started: {reply.get('error')}")
        return int(reply["pid"]), parent

    def _measure(self) -> WallsReport:
        if not self._walled:
            return measure.none("walls=False")
        if sys.platform != "linux":
            return measure.none(f"there are none for {sys.platform}")
        with (
            tempfile.TemporaryDirectory() as folder,
            socket.create_server(("127.0.0.1", 0)) as listener,
            self.worker() as worker,
        ):
            os.chmod(folder, 0o755)
            secret = Path(folder, "secret")
            secret.write_text("secret")
            bait = {
                **{name: int(value) for name, value in asdict(self.limits).items()},
                "secret": str(secret),
                "folder": folder,
                "port": listener.getsockname()[1],
                "judge": os.getpid(),
            }
            found = worker.request("probe", bait)
            try:
                held = worker.request("overfill", self.limits.scratch_bytes)
            except Failure as failure:
                held = failure.verdict is Verdict.OUTPUT
            if not held:
                found["disk"] = "filled the disk"
            return measure.report(found, worker.layers, self._parents[self._preload].notes)


class Worker:
    """One student's process, and a context manager: leaving it ends the process.

    Attributes:
        layers: the names of the layers of walls that it raised.
        plan: what it will be asked, as far as that is known; None when it has ended.
        foresees: whether it does ahead what it is told that it will be asked. Who sets it has to
            be ready for `Lost`.
    """

    def __init__(self, pool: Pool, sock: socket.socket, pid: int, parent: Parent) -> None:
        self._pool = pool
        self._sock = sock
        self._pid = pid
        self._parent = parent
        self._left = pool.limits.total_seconds
        self._left_output = pool.limits.output_bytes
        self._left_answers = pool.limits.answer_bytes
        self._outputs: list[dict[str, Any]] = []
        self._ended: str | None = None
        self._ahead: ahead.Ahead | None = None
        self.plan: ahead.Plan | None = ahead.Plan(self._remote, self._ask_ahead)
        self.foresees = False
        try:
            header, _ = wire.receive(sock, time.monotonic() + _HELLO_SECONDS)
        except (wire.WireError, wire.Closed, wire.Deadline):
            header = {"error": "it did not start"}
        if "error" in header:
            self.close()
            raise Failure(Verdict.INTERNAL, f"a worker has no walls: {header['error']}")
        self.layers = [str(layer) for layer in header["layers"]]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def alive(self) -> bool:
        """Whether it can still be asked something."""
        return self._ended is None

    def close(self) -> None:
        """End the process and wipe its folder."""
        if self._ended is None:
            self._end("it was closed")

    def execute(self, source: str, *, name: str = "", names: Sequence[str] = ()) -> CellResult:
        """Run one cell. A failure is returned, and never raised; see whether it is `alive` then.

        Args:
            source: the cell.
            name: what tracebacks call it.
            names: what the result should have handles on.
        """
        self.take_output()
        start = time.monotonic()
        failure = None
        values: Any = None
        try:
            values = self._run(source, name, names)
        except Failure as error:
            failure = error
        verdict = failure.verdict if failure else Verdict.PASS
        outputs = self.take_output()
        if failure is not None:
            kind = failure.kinds[0] if failure.kinds else verdict.value
            trace = [*failure.traceback.splitlines(), f"{kind}: {failure.message}"]
            outputs.append(
                {
                    "output_type": "error",
                    "ename": kind,
                    "evalue": failure.message,
                    "traceback": trace,
                }
            )
        known = values if type(values) is dict else {}
        handles = {n: known[n] for n in names if type(known.get(n)) is Remote}
        if self.plan is not None:
            self.plan.roots = {n: handle._remote_number for n, handle in handles.items()}
        return CellResult(verdict, outputs, failure, time.monotonic() - start, handles)

    def handle(self, name: str) -> Remote:
        """Return a handle on what a top-level name stands for; Failure(MISSING) if nothing."""
        remote = self._name(name, keep=True)
        if type(remote) is not Remote:
            self._die(Verdict.CRASH, "it answered something else than a handle")
        return remote

    def value(self, name: str) -> Any:
        """Return what a top-level name stands for, as data if it is plain data."""
        return self._name(name, keep=False)

    def take_output(self) -> list[dict[str, Any]]:
        """Return the nbformat outputs since the last call: what was printed, warned, displayed."""
        taken, self._outputs = self._outputs, []
        return taken

    def request(self, operation: str, *arguments: Any) -> Any:
        """Have the worker do something with its objects, within `call_seconds`. For `Remote`."""
        seconds = self._pool.limits.call_seconds
        if self._ahead is None or not self._ahead.knows:
            return self._request(operation, arguments, seconds)
        target, *rest = arguments
        with self._closed_if_lost(), self._sense():
            number = target._remote_number
            answer, decoder, sent = self._ahead.take(operation, number, tuple(rest))
        value = self._value(answer, decoder, sent, seconds)
        self._ahead.gave(value)
        return value

    def foresee(self, root: Remote, certain: Sequence[Certain]) -> Foresight | None:
        """Have the worker do ahead what will be asked of an object. For `Remote`.

        To begin with a probe raises `Lost` if the worker was ended by what it was asked.
        """
        if self.plan is None or not (self.foresees or self.plan.begun):
            return None
        with self._closed_if_lost():
            self._ahead = self.plan.judge(root._remote_number, certain)
        return self._ahead

    def _run(self, source: str, name: str, names: Sequence[str]) -> Any:
        """Run a cell, unless that has been done; return what is known of the names."""
        seconds = self._pool.limits.cell_seconds
        with self._closed_if_lost():
            ran = self.plan.run(source, name, names) if self.plan is not None else None
        if ran is None:
            return self._request("cell", (source, name, list(names)), seconds)
        self.take_output()  # of what came behind the cell
        self._keep_output(ran)
        return self._value(ran, wire.Decoder(bytearray(), self._remote), [], seconds)

    def _ask_ahead(self, steps: Sequence[ahead.Step]) -> None:
        """Have the worker do what is foreseen."""
        if not self.foresees:
            return
        limits = self._pool.limits
        call, cell = (min(each, self._left) for each in (limits.call_seconds, limits.cell_seconds))
        asked: list[Any] = []
        parts, longest = [], call
        for step in steps:
            if isinstance(step, ahead.Cell):
                tree = wire.Encoder(lambda value: reference(value, self)).encode(step.cell)
                asked.append({"op": "cell", "arguments": tree, "seconds": cell})
                longest = cell
            else:
                parts.append(step.body)
                asked.append([step.root, step.questions, len(parts[-1]), step.ends])
        header = {"op": "ahead", "steps": asked, "seconds": call, "going_on": ahead.SECONDS}
        try:
            reply, body = self._exchange(header, parts, longest, ahead.SECONDS)
            with self._sense():
                ahead.came(steps, reply, body)
        except Failure:  # a frame that is too large to be sent is asked one by one
            if not self.alive:
                raise Lost from None
            for step in steps:
                step.parted = True

    def _name(self, name: str, keep: bool) -> Any:
        try:
            return self._request("name", (name,), self._pool.limits.call_seconds, keep)
        except Failure as failure:
            if failure.verdict is Verdict.ERROR:
                message = f"there is no {name} in the notebook"
                raise Failure(Verdict.MISSING, message) from None
            raise

    def _request(
        self, operation: str, arguments: tuple[Any, ...], seconds: float, keep: bool = False
    ) -> Any:
        if self.plan is not None and self.plan.begun:
            self.close()
            raise Lost
        encoder = wire.Encoder(lambda value: reference(value, self))
        try:
            tree = encoder.encode(arguments)
        except wire.Unsendable as error:
            raise _unsendable(error) from None
        seconds = min(seconds, self._left)
        header = {"op": operation, "arguments": tree, "keep": keep, "seconds": seconds}
        reply, body = self._exchange(header, encoder.parts, seconds)
        return self._value(reply, wire.Decoder(body, self._remote), encoder.mutable, seconds)

    def _exchange(
        self, header: dict[str, Any], parts: list[Any], seconds: float, more: float = 0.0
    ) -> tuple[dict[str, Any], bytearray]:
        """Send a frame, and return the one that answers it.

        One operation may take so many seconds, and all of them so many more.
        """
        if self._ended is not None:
            raise Failure(Verdict.CRASH, f"the worker is gone: {self._ended}")
        if seconds <= 0:
            self._die(Verdict.TIMEOUT, "the time for the whole notebook is used up")
        identity = secrets.token_hex(8)
        start = time.monotonic()
        deadline = start + seconds + more + _GRACE
        try:
            wire.send(self._sock, {"id": identity, **header}, parts, deadline)
            with self._sense():
                reply, body = wire.receive(self._sock, deadline)
                if reply.get("id") != identity:
                    raise wire.WireError("not the answer to this question")
        except wire.Unsendable as error:
            raise _unsendable(error) from None
        except wire.Deadline:
            self._die(Verdict.TIMEOUT, _took(seconds))
        except wire.Closed:
            verdict, self._ended = _cause(self._end("it ended"), self._pool.limits)
            raise Failure(verdict, self._ended) from None
        except Failure:
            raise
        except BaseException:  # an interrupt: the answer that is due would confuse the next one
            self.close()
            raise
        finally:
            self._left -= time.monotonic() - start
        self._keep_output(reply)
        self._left_answers -= len(body)
        if self._left_answers < 0:
            self._die(Verdict.OUTPUT, "it returned more data than a notebook may")
        return reply, body

    def _keep_output(self, reply: dict[str, Any]) -> None:
        """Keep what was printed and displayed, as long as it is not too much."""
        with self._sense():
            outputs, size = replies.outputs(reply.get("outputs"))
        self._outputs += outputs
        self._left_output -= size
        if reply.get("flood") or self._left_output < 0:
            self._die(Verdict.OUTPUT, "it printed or displayed more than a notebook may")

    def _value(
        self,
        reply: dict[str, Any],
        decoder: wire.Decoder,
        sent: list[wire.Mutable],
        seconds: float,
    ) -> Any:
        """Return what a reply says, or raise it."""
        with self._sense():
            if "error" not in reply:
                value = decoder.decode(reply.get("value"))
                replies.write_back(reply.get("changed"), decoder, sent)
                return value
            kinds, message, trace = replies.error(reply["error"])
        if reply.get("overtime"):
            self._die(Verdict.TIMEOUT, _took(seconds), traceback=trace)
        memory = "MemoryError" in kinds or "can't allocate memory" in message
        verdict = Verdict.MEMORY if memory else Verdict.ERROR
        raise failure_of(kinds)(verdict, message, kinds=kinds, traceback=trace)

    def _remote(self, number: int, label: str) -> Remote:
        return Remote(self, number, label)

    @contextlib.contextmanager
    def _closed_if_lost(self) -> Iterator[None]:
        """What has gone on with something else is of no more use."""
        try:
            yield
        except Lost:
            self.close()
            raise

    @contextlib.contextmanager
    def _sense(self) -> Iterator[None]:
        """Who talks nonsense is ended."""
        try:
            yield
        except wire.WireError as error:
            self._die(Verdict.CRASH, f"the worker's answer made no sense ({error})")

    def _die(self, verdict: Verdict, message: str, traceback: str = "") -> NoReturn:
        self._end(message)
        raise Failure(verdict, message, traceback=traceback)

    def _end(self, why: str) -> dict[str, Any]:
        self._ended = why
        if self.plan is not None:
            self.plan.end()
        self._ahead = self.plan = None
        try:  # before it hears that nobody listens, and wakes up to end by itself
            return self._pool.end(self._pid, self._parent)
        finally:
            self._sock.close()


def _unsendable(error: wire.Unsendable) -> Failure:
    """What a probe is told whose argument is too large, as what a student returned may be."""
    message = f"an argument cannot be sent: {error}"
    return Failure(Verdict.ERROR, message, kinds=("ValueError", "Exception"))


def _took(seconds: float) -> str:
    return f"it took more than {seconds:.3g} seconds"


def _cause(end: dict[str, Any], limits: Limits) -> tuple[Verdict, str]:
    """Return why a worker ended, from what its parent says of it."""
    status = end["status"]
    if end.get("gone"):  # not what the student did: walls keep workers from their parent
        return Verdict.INTERNAL, "the parent of the workers is gone"
    if end["full"]:
        return Verdict.OUTPUT, "it wrote more files than it may"
    if not os.WIFSIGNALED(status):
        return Verdict.CRASH, f"it ended Python (exit status {os.waitstatus_to_exitcode(status)})"
    number = os.WTERMSIG(status)
    if end["cpu"] >= limits.cpu_seconds or number == signal.SIGXCPU:
        return Verdict.TIMEOUT, "it used up its CPU time"
    if number == signal.SIGKILL:
        return Verdict.CRASH, "it was ended, or it closed its connection"
    name = signal.strsignal(number) or f"signal {number}"
    return Verdict.CRASH, f"it crashed Python ({name.lower()})"
