"""The far side: the warm parent that workers are forked from, and the loop that a worker runs.

The judge starts `main` in a fresh interpreter, in which this folder is a package of its own, named
`sandbox`: the package `autograder`, with its references and its tests, is never imported there, and
no worker can read its files. The parent imports the preloaded libraries, moves into its namespaces,
and then does nothing but to fork and to end workers; it has one thread and no secrets. It ends
when the judge does, and its workers with it.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import itertools
import json
import operator
import os
import random
import select
import shutil
import signal
import site
import socket
import sys
import time
import traceback
from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np

from . import atfork, measure, notebook, rehearsal, walls, wire

# An object that a judge holds on to stays alive in its worker; a runaway stops here.
_MAX_HANDLES = 100_000
# What a graded cell may iterate over: some is without end.
_MAX_ITEMS = 100_000
# Often enough: a disk takes a hundred megabytes in this time.
_WATCH_SECONDS = 0.1
_now = time.monotonic  # whatever a student makes of `time`


def main() -> None:
    """Be the parent: prepare, say so, then fork and end workers until the judge is gone.

    The judge is at the other end of standard input.
    """
    control = socket.socket(fileno=os.dup(0))
    with open(os.devnull, "r+b") as null:
        os.dup2(null.fileno(), 0)
    os.umask(0o022)
    config = json.loads(control.recv(1 << 16))
    place, name = os.path.split(config["scratch"])
    outside = os.open(place, os.O_RDONLY | os.O_DIRECTORY)  # for the end; workers close it
    plan: walls.Plan | None = None
    gc.disable()  # what is imported stays
    try:
        _preload(config)
        atfork.put_back()
        if config["walls"] and sys.platform == "linux":
            # Shared libraries that packages load; conda has them all there, and few in packages.
            libraries = os.path.join(sys.base_prefix, "lib")
            plan = walls.prepare(
                config["limits"],
                [*sys.path, libraries],
                config["hidden"],
                config["scratch"],
                private=config["namespaces"],
            )
        for _ in range(rehearsal.TIMES):
            ours, theirs = socket.socketpair()
            with ours, theirs:
                rehearsal.play(_Server(theirs, rehearsal.OUTPUT_BYTES)._answer, ours)
        # The same start for every worker, and on every regrade.
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002 (students use the global state)
        if "torch" in sys.modules:
            sys.modules["torch"].manual_seed(0)
        # Made here, it need not be in every worker, which puts its own line in place of this one.
        server = _Server(socket.socketpair()[0], config["limits"]["output_bytes"])
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGALRM, server.overtime)
        gc.collect()
        gc.freeze()
        gc.enable()
        reply = {"ready": True, "notes": plan.notes if plan else []}
    except BaseException as error:
        text = "".join(traceback.format_exception(error))
        reply = {"ready": False, "notes": [text[-4000:]]}
    with open(os.devnull, "wb") as null:
        os.dup2(null.fileno(), 2)
    control.send(wire.to_json({**reply, "n": config["n"]}))
    workers: dict[int, bool] = {}  # by process number; whether it has filled its folder
    watched = plan is not None and not plan.private
    while True:
        if watched and not select.select([control], [], [], _WATCH_SECONDS)[0]:
            _watch(plan, workers)
            continue
        message, fds, _, _ = socket.recv_fds(control, 1 << 16, 1)
        if not message:
            break
        order = json.loads(message)
        if order["op"] == "fork":
            reply = _fork(control, fds[0], config, plan, workers, server)
        else:
            reply = _end(order["pid"], config["scratch"], plan, workers)
        control.send(wire.to_json({**reply, "n": order["n"]}))
    for pid in tuple(workers):
        _end(pid, config["scratch"], plan, workers)
    with contextlib.suppress(OSError):
        shutil.rmtree(name, dir_fd=outside)


def _preload(config: dict[str, Any]) -> None:
    sys.argv = [""]
    sys.path = list(dict.fromkeys(os.path.realpath(path) for path in sys.path))
    for name in (*config["preload"], "numpy.random"):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    missing = [name for name in config["preload"] if name not in sys.modules]
    if missing:
        raise ImportError(f"cannot preload {', '.join(missing)}")
    if "IPython" in sys.modules:
        for name in ("IPython.display", "IPython.core.inputtransformer2"):
            importlib.import_module(name)
    if "matplotlib" in sys.modules:  # imports what a first figure imports, and finds the fonts
        plt = importlib.import_module("matplotlib.pyplot")
        figure, axes = plt.subplots(figsize=(1, 1))
        axes.plot([0, 1], label="0")
        axes.legend()
        notebook.bundle(figure)
        plt.close("all")
    torch = sys.modules.get("torch")
    if torch is not None:  # one thread: a pool of them would not survive the fork
        torch.set_num_threads(1)
        (torch.ones(2, 2, requires_grad=True) @ torch.ones(2, 2)).sum().backward()
    site.setquit()
    for name in [n for n in sys.modules if n.split(".")[0] == __package__]:
        del sys.modules[name]
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        os.environ.pop(name, None)
    os.environ["MPLCONFIGDIR"] = config["scratch"]


def _fork(
    control: socket.socket,
    fd: int,
    config: dict[str, Any],
    plan: walls.Plan | None,
    workers: dict[int, bool],
    server: _Server,
) -> dict[str, Any]:
    parent = os.getpid()
    try:
        pid = os.fork()
    except OSError as error:
        os.close(fd)
        return {"error": f"cannot fork: {error}"}
    if pid:
        os.close(fd)
        workers[pid] = False
        return {"pid": pid}
    try:
        _be_a_worker(fd, server, config, plan, parent)
    finally:
        os._exit(70)


def _be_a_worker(
    fd: int, server: _Server, config: dict[str, Any], plan: walls.Plan | None, parent: int
) -> None:
    sock = server.sock
    os.dup2(fd, sock.fileno(), inheritable=False)
    null = os.open(os.devnull, os.O_RDWR)  # the parent's has flags, which all workers would share
    for number in range(3):
        os.dup2(null, number)
    os.close(null)
    os.setsid()
    if plan is None:
        scratch, layers = os.path.join(config["scratch"], f"w{os.getpid()}"), []
        os.mkdir(scratch)
        os.chdir(scratch)
        walls.die_with(parent, ctypes.CDLL(None))
    else:
        try:
            layers = walls.enclose(plan, parent)
        except OSError as error:
            wire.send(sock, {"id": "hello", "error": str(error)}, [])
            return
        scratch = walls.scratch_of(plan, os.getpid())
    if scratch != config["scratch"]:
        os.environ.update(HOME=scratch, TMPDIR=scratch, MPLCONFIGDIR=scratch)
    os.closerange(3, sock.fileno())
    os.closerange(sock.fileno() + 1, 1 << 16)
    server.reply({"id": "hello", "layers": layers})
    server.serve()


def _end(
    pid: int, scratch: str, plan: walls.Plan | None, workers: dict[int, bool]
) -> dict[str, Any]:
    if pid not in workers:
        return {"status": signal.SIGKILL.value, "cpu": 0.0, "full": False}
    os.kill(pid, signal.SIGKILL)  # ours, and not reaped yet: the number is still its own
    _, status, usage = os.wait4(pid, 0)
    full = workers.pop(pid)
    if plan is None or not plan.private:
        walls.wipe(os.path.join(scratch, f"w{pid}"))
    return {"status": status, "cpu": usage.ru_utime + usage.ru_stime, "full": full}


def _watch(plan: walls.Plan | None, workers: dict[int, bool]) -> None:
    """End the workers whose folders are too full, where no tmpfs of their own bounds them."""
    for pid, full in workers.items():
        if plan is not None and not full:
            limit = plan.limits["scratch_bytes"]
            if walls.usage(walls.scratch_of(plan, pid), limit) > limit:
                workers[pid] = True
                os.kill(pid, signal.SIGKILL)


class _Overtime(BaseException):
    """The soft deadline: it says where the time went. The hard one is the judge's."""


class _Server:
    """Answers the judge's requests, one at a time, from one student's namespace.

    Attributes:
        sock: the line to the judge.
        busy: whether the student's code runs; only then the alarm interrupts.
        objects: the classes asked for whose instances stay here, although they are plain data, too.
    """

    def __init__(self, sock: socket.socket, output_bytes: int) -> None:
        self.sock = sock
        self._handles: list[Any] = []
        self._found: dict[str, Any] = {}  # what the last cell left, by name
        self._request = ""
        self.busy = False
        self.objects: tuple[type, ...] = ()
        self._outputs = notebook.Outputs(output_bytes, self._flood)
        self._notebook = notebook.Notebook(self._outputs)
        self._operations: dict[str, Callable[..., Any]] = {
            "cell": self._cell,
            "name": self._name,
            "call": lambda target, args, kwargs: target(*args, **kwargs),
            "get": getattr,
            "set": setattr,
            "item": operator.getitem,
            "items": _items,
            "probe": measure.attempts,
            "overfill": measure.overfill,
        }

    def serve(self) -> None:
        while True:
            try:
                header, body = wire.receive(self.sock)
            except wire.Closed:
                return
            self._request = header["id"]
            self._answer(header, body)

    def _answer(self, header: dict[str, Any], body: bytearray) -> None:
        do = self._ahead if header["op"] == "ahead" else self._perform
        answer, parts = do(header, body)
        signal.setitimer(signal.ITIMER_REAL, 0)
        self.reply({"id": self._request, **answer}, parts)

    def _ahead(self, header: dict[str, Any], body: bytearray) -> tuple[dict[str, Any], list[bytes]]:
        """Do what will be asked, in order, as long as it is as the judge foresaw it, and in time.

        Of each cell the reply says what it would have said by itself. Of each probe that was begun
        it says how many questions were answered; how long the trees of the answers are, their
        bytes, and those of the answer at which it stopped; the number of the first handle, and that
        answer.
        """
        done: list[Any] = []
        parts: list[bytes] = []
        reply: dict[str, Any] = {"done": done}
        start, until = 0, _now() + header["going_on"]
        for step in header["steps"]:
            if done and _now() > until:
                break
            if type(step) is dict:
                self._outputs.take()  # of the probes before
                ran, _ = self._perform(step, bytearray())
                done.append({**ran, "outputs": self._outputs.take()})
                if "overtime" in ran:
                    break
                continue
            root, questions, size, ends = step
            if type(root) is str and root not in self._found:
                break
            of = self._found[root] if type(root) is str else self._handles[root]
            probe = _Probe(self, of, body[start : start + size])
            start += size
            for question in questions:
                if _now() > until:
                    break
                signal.setitimer(signal.ITIMER_REAL, header["seconds"])  # each has its own
                try:
                    if not probe.do(question):
                        break
                except wire.Unsendable:  # with what came before; perhaps not by itself
                    return {"done": None}, []
            pieces = wire.to_json(probe.trees), b"".join(probe.parts), b"".join(probe.rest)
            parts += pieces
            sizes = map(len, (probe.trees, *pieces))
            done.append([*sizes, probe.first, probe.stopped])
            left = len(questions) - len(probe.trees)
            if probe.stopped is None:
                goes_on = not left
            elif "error" in probe.stopped:
                goes_on = ends
            else:  # what this one changed, no later question may see
                goes_on = left == 1
            if not goes_on:
                break
        return reply, parts

    def _perform(
        self, header: dict[str, Any], body: bytearray
    ) -> tuple[dict[str, Any], list[bytes]]:
        """Do one operation; return the answer, and what its body is."""
        decoder = wire.Decoder(body, lambda number, _: self._handles[number], _tensor)
        encoder = wire.Encoder(self.keep, self.objects)
        try:
            arguments = decoder.decode(header["arguments"])
            sent = [*map(wire.held, decoder.mutable)]
            signal.setitimer(signal.ITIMER_REAL, header["seconds"])
            self.busy = True
            value = self._operations[header["op"]](*arguments)
            tree = ["r", *self.keep(value)] if header.get("keep") else encoder.encode(value)
            self.busy = False
            changes = _changes(decoder.mutable, sent)
            return {"value": tree, "changed": _encoded(changes, encoder)}, encoder.parts
        except BaseException as error:
            self.busy = False
            return _failed(error), []

    def reply(self, header: dict[str, Any], parts: list[Any] | None = None) -> None:
        """Send a frame with the outputs so far; a judge who is gone ends the worker."""
        header["outputs"] = self._outputs.take()
        try:
            wire.send(self.sock, header, parts or [])
        except wire.WireError as error:
            small = {"kinds": ["ValueError", "Exception"], "message": str(error), "traceback": ""}
            wire.send(self.sock, {"id": header["id"], "error": small, "outputs": []}, [])

    def _cell(self, source: str, name: str, names: list[str]) -> dict[str, Any]:
        """Run a cell; return the functions and classes among these names, to save the questions."""
        self._found = {}
        try:
            self._notebook.run(source, name)
        finally:  # whatever the cell made of signals
            signal.signal(signal.SIGALRM, self.overtime)
        found = {n: self._notebook.namespace.get(n) for n in names}
        self._found = {n: v for n, v in found.items() if isinstance(v, (FunctionType, type))}
        for value in self._found.values():
            self._asked_for(value)
        return self._found

    def _name(self, name: str) -> Any:
        try:
            value = self._notebook.namespace[name]
        except KeyError:
            raise LookupError(name) from None
        self._asked_for(value)
        return value

    def _asked_for(self, value: Any) -> None:
        """What a class that inherits from dict makes has methods that the judge will ask for."""
        if isinstance(value, type) and _is_object_and_data(value):
            self.objects = (*self.objects, value)

    @property
    def handles(self) -> int:
        """How many objects are kept for the judge."""
        return len(self._handles)

    def keep(self, value: Any) -> tuple[int, str]:
        """Keep an object for the judge; return the number and the label of its handle."""
        if len(self._handles) >= _MAX_HANDLES:
            raise wire.WireError(f"more than {_MAX_HANDLES:,} objects were handed out")
        self._handles.append(value)
        return len(self._handles) - 1, wire.label(value)

    def overtime(self, *_: Any) -> None:
        """Interrupt the student's code: what `SIGALRM` does."""
        if self.busy:
            raise _Overtime

    def _flood(self) -> None:
        self.reply({"id": self._request, "flood": True})
        os._exit(0)


class _Probe:
    """What a probe asks of an object, done question by question (see `ahead.Script`).

    Args:
        server: who keeps objects.
        root: the object.
        body: the bytes that belong to the questions.

    Attributes:
        first: the number of the first handle that it may give out.
        trees: the answers; handles in them are numbered from the first.
        stopped: the answer behind them at which it stopped, if it was one.
        rest: the bytes that belong to that.
    """

    def __init__(self, server: _Server, root: Any, body: bytearray) -> None:
        self.first = server.handles
        self.trees: list[wire.Json] = []
        self.stopped: dict[str, Any] | None = None
        self.rest: list[bytes] = []
        self._server = server
        self._decoder = wire.Decoder(body, _no_object, _tensor)
        self._encoder = wire.Encoder(self._keep, server.objects)
        self._objects = {-1: root}  # by the number of the question that they answer
        self._arrays: dict[int, bytes] = {}

    @property
    def parts(self) -> list[bytes]:
        """The bytes that belong to the answers."""
        return self._encoder.parts

    def do(self, question: wire.Json) -> bool:
        """Do what a question says; return whether the next one may be done, too."""
        number, target = len(self.trees), question[0]
        if target not in self._objects:
            return False
        decoder = self._decoder
        decoder.mutable.clear()
        if len(question) > 2:
            try:
                args = [self._argument(item) for item in question[1]]
                kwargs = {name: self._argument(item) for name, item in question[2].items()}
            except _Other:
                return False
        try:
            sent = [*map(wire.held, decoder.mutable)]
            self._server.busy = True
            if len(question) == 2:
                value = getattr(self._objects[target], question[1])
            else:
                value = self._objects[target](*args, **kwargs)
            tree = self._encoder.encode(value)
            self._server.busy = False
            if changes := _changes(decoder.mutable, sent):
                encoder = wire.Encoder(self._server.keep, self._server.objects)
                tree = encoder.encode(value)
                self.stopped = {"value": tree, "changed": _encoded(changes, encoder)}
                self.rest = encoder.parts
                return False
        except wire.Unsendable:
            self._server.busy = False
            raise
        except BaseException as error:
            self._server.busy = False
            self.stopped = _failed(error)
            return False
        self.trees.append(tree)
        kind = tree[0] if type(tree) is list else ""
        if kind == "r":
            self._objects[number] = value
        elif kind == "a":
            self._arrays[number] = self._encoder.parts[-1]
        return True

    def _argument(self, tree: wire.Json) -> Any:
        if type(tree) is not list or tree[0] != "v":
            return self._decoder.decode(tree)
        _, number, writeable = tree
        if number not in self._arrays:
            raise _Other
        _, dtype, shape, _, _ = self.trees[number]
        copy = wire.Decoder(bytearray(self._arrays[number]), _no_object)
        array = copy.decode(["a", dtype, shape, 0, writeable])
        self._decoder.mutable.append(array)
        return array

    def _keep(self, value: Any) -> tuple[int, str]:
        number, label = self._server.keep(value)
        return number - self.first, label


class _Other(Exception):
    """An answer is not what the judge foresaw as the argument of a later question."""


def _items(target: Any) -> list[Any]:
    """The items of an iterable that may have no end."""
    found = list(itertools.islice(target, _MAX_ITEMS + 1))
    if len(found) > _MAX_ITEMS:
        raise ValueError(f"there are more than {_MAX_ITEMS:,} items")
    return found


_PLAIN = (np.ndarray, np.generic, str, int, float, complex, bytes, list, tuple, dict)


def _is_object_and_data(kind: type) -> bool:
    """Whether a class inherits from plain data, such as dict, and has public methods of its own."""
    own = [item for base in kind.__mro__ if base not in _PLAIN for item in vars(base).items()]
    return issubclass(kind, _PLAIN) and any(
        isinstance(value, FunctionType) and not name.startswith("_") for name, value in own
    )


def _failed(error: BaseException) -> dict[str, Any]:
    """The answer when an exception was raised instead."""
    answer: dict[str, Any] = {"error": notebook.describe(error)}
    if isinstance(error, _Overtime):
        answer["overtime"] = True
    elif isinstance(error, wire.WireError):
        answer["error"]["kinds"] = ["ValueError", "Exception"]
    return answer


def _changes(
    mutable: list[wire.Mutable], sent: list[bytes | list[Any]]
) -> list[tuple[int, wire.Mutable]]:
    """The arguments, and what is in them, with their places, that are no longer what was sent."""
    pairs = enumerate(zip(mutable, sent, strict=True))
    return [(number, value) for number, (value, then) in pairs if not wire.holds(value, then)]


def _encoded(changes: list[tuple[int, wire.Mutable]], encoder: wire.Encoder) -> wire.Json:
    return [[number, encoder.encode(value)] for number, value in changes]


def _no_object(number: int, label: str) -> Any:
    raise wire.WireError("an object where none can be")


def _tensor(array: wire.Array, requires_grad: bool) -> Any:
    torch = importlib.import_module("torch")
    return torch.from_numpy(array).requires_grad_(requires_grad)
