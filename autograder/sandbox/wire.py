"""What may cross between the judge and a worker, and how.

A frame is eight bytes (two big-endian lengths), a JSON object, and a body of raw bytes. Values are
JSON trees: ``null``, booleans, numbers and strings stand for themselves, and everything else is a
list whose first item is a tag:

    ["l", items...]  list      ["t", items...]  tuple      ["d", key, value, ...]  dict
    ["i", hex]       large int ["f", name]      nan, ±inf  ["c", real, imag]       complex
    ["b", offset, size]                bytes, in the body
    ["a", dtype, shape, offset, writeable]   a NumPy array, C order, in the body
    ["s", dtype, offset]               a NumPy scalar, in the body
    ["T", dtype, shape, offset, requires_grad]   a torch tensor, in the body
    ["r", number, label]               a handle on an object that stays in the worker

Nothing is ever unpickled. What arrives is rebuilt as exact types, and whatever is malformed, too
deep or too large is a `WireError` and nothing else. The same module serves both sides; it knows
nothing of either.
"""

from __future__ import annotations

import json
import math
import operator
import select
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import orjson

# A frame's JSON and body: a hundred thousand numbers, or eight million float64.
MAX_HEADER = 4 << 20
MAX_BODY = 64 << 20
# Deeper than anything a course returns, and far from Python's recursion limit.
MAX_DEPTH = 32
MAX_NODES = 200_000
# Longer integers are attacks on whoever prints them.
MAX_INT_BITS = 4096
MAX_DIMENSIONS = 32
# Numbers (and tuples of them) can be chosen so that they collide in a dictionary, which makes it
# slow: of such keys all dictionaries together have no more.
MAX_ODD_KEYS = 1_000
# A body up to this is sent and read in one piece with what is before it: copying it costs less than
# another call.
_SMALL = 1 << 16
# Arrays start at multiples of this, so that they are aligned for every dtype.
ALIGN = 16

DTYPES = {
    name: np.dtype(name)
    for name in (
        *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        *("float16", "float32", "float64", "complex64", "complex128"),
    )
}
_NAMES = {dtype: name for name, dtype in DTYPES.items()}
_CONSTANTS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
_LENGTHS = struct.Struct(">II")
_PLAIN_INT = 1 << 53

Array = np.ndarray[Any, np.dtype[Any]]
Mutable = Array | list[Any] | dict[Any, Any]
Json = Any


class WireError(Exception):
    """What came is malformed, or (`Unsendable`) what should go cannot."""


class Unsendable(WireError):
    """A value is too deep or too large to be handed over."""


class Closed(Exception):
    """The other side is gone."""


class Deadline(Exception):
    """The other side did not answer in time."""


@dataclass(frozen=True, eq=False)
class Tensor:
    """A torch tensor, as the judge sees it: its values, and that it was a tensor.

    The judge may also send one; the worker then makes a torch tensor of it, whose changes in place
    do not come back.
    """

    array: Array
    requires_grad: bool = False


class Encoder:
    """Turns values into JSON trees, and gathers the bytes that belong into the body.

    Args:
        opaque: called for an object that is not plain data; returns the number and the label of a
            handle on it, or raises. By default it raises TypeError.
        objects: classes whose instances count as objects, although they are plain data, too.

    Attributes:
        parts: the body, in pieces: the bytes of what was encoded, as they were then.
        mutable: the arrays, lists and dicts met, in order: what may be changed in place.
    """

    def __init__(
        self,
        opaque: Callable[[Any], tuple[int, str]] | None = None,
        objects: tuple[type, ...] = (),
    ) -> None:
        self.opaque = opaque or _only_plain
        self.objects = objects
        self.parts: list[bytes] = []
        self.mutable: list[Mutable] = []
        self._size = 0
        self._nodes = 0
        self._odd = 0

    def encode(self, value: Any, depth: int = 0) -> Json:
        """Return the JSON tree of a value; raise Unsendable if it is too deep or too large."""
        self._nodes += 1
        if depth > MAX_DEPTH:
            raise Unsendable(f"the value is nested more than {MAX_DEPTH} levels deep")
        if self._nodes > MAX_NODES:
            raise Unsendable(f"the value has more than {MAX_NODES:,} parts")
        kind = type(value)
        if kind is np.ndarray:
            return self._numpy(value, depth)
        if value is None or kind is bool or kind is str:
            return value
        if self.objects and isinstance(value, self.objects):
            return ["r", *self.opaque(value)]
        if isinstance(value, np.ndarray | np.generic):
            return self._numpy(value, depth)
        if isinstance(value, str):
            return str.__str__(value)
        if isinstance(value, int):
            return self._int(int.__int__(value))
        if isinstance(value, float):
            number = float.__float__(value)
            return number if math.isfinite(number) else ["f", repr(number)]
        if isinstance(value, complex):
            parts = (float(part) for part in (value.real, value.imag))
            return ["c", *[self.encode(part, depth + 1) for part in parts]]
        if isinstance(value, bytes):
            return ["b", self._append(bytes(value)), len(value)]
        if isinstance(value, list):
            self.mutable.append(value)
            return ["l", *[self.encode(item, depth + 1) for item in value]]
        if isinstance(value, tuple):
            return ["t", *[self.encode(item, depth + 1) for item in value]]
        if isinstance(value, dict):
            self._odd += _odd_keys(value)
            if self._odd > MAX_ODD_KEYS:
                raise Unsendable(f"dictionaries with more than {MAX_ODD_KEYS:,} odd keys")
            self.mutable.append(value)
            tree: list[Json] = ["d"]
            for key, item in value.items():
                tree += (self.encode(key, depth + 1), self.encode(item, depth + 1))
            return tree
        return self._tensor(value) or ["r", *self.opaque(value)]

    def _int(self, value: int) -> Json:
        if abs(value) <= _PLAIN_INT:
            return value
        if value.bit_length() > MAX_INT_BITS:
            raise Unsendable(f"the integer has more than {MAX_INT_BITS} bits")
        return ["i", hex(value)]

    def _numpy(self, value: Any, depth: int) -> Json:
        if isinstance(value, np.generic):
            name = _NAMES.get(value.dtype)
            if name is not None:
                return ["s", name, self._append(value.tobytes())]
            if isinstance(value, str | bytes):  # NumPy's own strings
                return self.encode(str(value) if isinstance(value, str) else bytes(value))
            if value.dtype.kind in "fc":  # a longdouble: as near as the judge has numbers
                near = np.float64 if value.dtype.kind == "f" else np.complex128
                return self._numpy(near(value), depth)
            return ["r", *self.opaque(value)]
        # A subclass is sent as what it holds, whatever it claims to be.
        array = value if type(value) is np.ndarray else np.ndarray.view(value, np.ndarray)
        if not array.dtype.isnative:
            array = array.astype(array.dtype.newbyteorder("="))
        name = _NAMES.get(array.dtype)
        if name is None and array.ndim == 0 and array.dtype.kind in "fc":
            return self._numpy(array[()], depth)
        if name is None and array.ndim == 1 and any(type(item) is np.ndarray for item in array):
            return ["t", *[self.encode(item, depth + 1) for item in array]]  # several results
        if name is None:
            return ["r", *self.opaque(value)]
        if array.ndim > MAX_DIMENSIONS:
            raise Unsendable(f"the array has more than {MAX_DIMENSIONS} dimensions")
        self.mutable.append(value)
        return ["a", name, list(array.shape), self._array(array), array.flags.writeable]

    def _tensor(self, value: Any) -> Json | None:
        if isinstance(value, Tensor):
            name, grad, array = _NAMES.get(value.array.dtype), value.requires_grad, value.array
        else:
            torch = sys.modules.get("torch")
            if torch is None or not isinstance(value, torch.Tensor):
                return None
            try:
                array = value.detach().cpu().numpy()
            except (TypeError, RuntimeError):  # bfloat16, sparse, quantized: they stay there
                return None
            name, grad = _NAMES.get(array.dtype), bool(value.requires_grad)
        if name is None:
            return None
        return ["T", name, list(array.shape), self._array(array), grad]

    def _array(self, array: Array) -> int:
        if array.nbytes > MAX_BODY:
            raise Unsendable(f"the array has {array.nbytes:,} bytes, more than {MAX_BODY:,}")
        return self._append(array.tobytes())

    def _append(self, data: bytes) -> int:
        size = len(data)
        padding = -self._size % ALIGN
        if padding:
            self.parts.append(bytes(padding))
        offset = self._size + padding
        self._size = offset + size
        if self._size > MAX_BODY:
            raise Unsendable(f"the values have more than {MAX_BODY:,} bytes")
        self.parts.append(data)
        return offset


class Decoder:
    """Rebuilds values from JSON trees and a body.

    Args:
        body: the frame's raw bytes; arrays are views into it.
        remote: makes an object of a handle's number and label.
        tensor: makes an object of a tensor's array and its requires_grad.

    Attributes:
        mutable: the arrays, lists and dicts rebuilt, in the order of their trees.
    """

    def __init__(
        self,
        body: bytearray,
        remote: Callable[[int, str], Any],
        tensor: Callable[[Array, bool], Any] = Tensor,
    ) -> None:
        self.body = body
        self.remote = remote
        self.tensor = tensor
        self.mutable: list[Mutable] = []
        self._nodes = 0
        self._odd = 0
        self._unused = len(body)

    def decode(self, tree: Json) -> Any:
        """Return the value of a JSON tree; raise WireError, and nothing else, if it is not one."""
        try:
            return self._decode(tree, 0)
        except WireError:
            raise
        except Exception as error:
            raise WireError(f"malformed value: {type(error).__name__}") from None

    def _decode(self, tree: Json, depth: int) -> Any:
        self._nodes += 1
        if depth > MAX_DEPTH or self._nodes > MAX_NODES:
            raise WireError("malformed value: too deep or too many parts")
        kind = type(tree)
        if kind is not list:
            if tree is None or kind is bool or kind is float:
                return tree
            if kind is int and abs(tree) <= _PLAIN_INT:
                return tree
            if kind is str:
                return clean(tree)
            raise WireError("malformed value: no tag, or an integer too long")
        if not tree or type(tree[0]) is not str:
            raise WireError("malformed value: no tag")
        tag, *rest = tree
        if tag == "l":
            made: list[Any] = []
            self.mutable.append(made)  # before what is in it, as where it was encoded
            made += [self._decode(item, depth + 1) for item in rest]
            return made
        if tag == "t":
            return tuple(self._decode(item, depth + 1) for item in rest)
        if tag == "d":
            table: dict[Any, Any] = {}
            self.mutable.append(table)
            items = [self._decode(item, depth + 1) for item in rest]
            if len(items) % 2:
                raise WireError("malformed value: a key without a value")
            self._odd += _odd_keys(items[::2])
            if self._odd > MAX_ODD_KEYS:
                raise WireError("malformed value: too many odd keys")
            table.update(zip(items[::2], items[1::2], strict=True))
            return table
        return self._leaf(tag, rest)

    def _leaf(self, tag: str, rest: list[Any]) -> Any:
        if tag == "a":
            name, shape, offset, writeable = rest
            array = self._array(name, shape, offset)
            array.flags.writeable = _is(writeable, bool)
            self.mutable.append(array)
            return array
        if tag == "s":
            name, offset = rest
            return self._array(name, [], offset)[()]
        if tag == "T":
            name, shape, offset, grad = rest
            return self.tensor(self._array(name, shape, offset), _is(grad, bool))
        if tag == "r":
            number, label = rest
            return self.remote(natural(number), clean(_is(label, str))[:100])
        if tag == "f":
            (name,) = rest
            return _CONSTANTS[name]
        if tag == "c":
            real, imag = (self._decode(part, MAX_DEPTH) for part in rest)
            return complex(_is(real, float), _is(imag, float))
        if tag == "b":
            offset, size = map(natural, rest)
            return bytes(self._slice(offset, size))
        if tag == "i":
            (digits,) = rest
            if len(_is(digits, str)) > MAX_INT_BITS // 4 + 3:
                raise WireError("malformed value: an integer too long")
            return int(digits, 16)
        raise WireError("malformed value: an unknown tag")

    def _slice(self, offset: int, size: int) -> memoryview:
        self._unused -= size  # a byte is used once: a small frame cannot become a large value
        if self._unused < 0 or offset + size > len(self.body):
            raise WireError("malformed value: outside the body")
        return memoryview(self.body)[offset : offset + size]

    def _array(self, name: Any, shape: Any, offset: Any) -> Array:
        dtype = DTYPES[_is(name, str)]
        sizes = [natural(size) for size in _is(shape, list)]
        if len(sizes) > MAX_DIMENSIONS:
            raise WireError("malformed value: too many dimensions")
        data = self._slice(natural(offset), math.prod(sizes) * dtype.itemsize)
        array = np.frombuffer(data, dtype)
        if name == "bool":  # any byte may come, but a bool is 0 or 1
            np.not_equal(array.view(np.uint8), 0, out=array)
        return array if len(sizes) == 1 else array.reshape(sizes)


def _only_plain(value: Any) -> NoReturn:
    raise TypeError(f"{type(value).__name__} is not plain data")


def _odd_keys(keys: Iterable[Any]) -> int:
    """How many of a dictionary's keys may collide."""
    return sum(
        not (type(key) is str or (type(key) is int and abs(key) <= _PLAIN_INT)) for key in keys
    )


def _is(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise WireError(f"malformed value: expected {kind.__name__}")
    return value


def natural(value: Any) -> int:
    """Return what came, if it is a natural number that can be a size or a place."""
    if type(value) is not int or not 0 <= value < 1 << 31:
        raise WireError("malformed value: expected a natural number")
    return value


def held(value: Mutable) -> bytes | list[Any]:
    """What an array, list or dict holds now, for `holds`: its bytes, or its items."""
    if isinstance(value, np.ndarray):
        return value.tobytes()
    return [*value] if isinstance(value, list) else [*value, *value.values()]


def holds(value: Mutable, then: bytes | list[Any]) -> bool:
    """Whether it holds what it held: the same bytes, or the very same objects.

    Objects are not asked whether they are equal: they might say anything.
    """
    now = held(value)
    if isinstance(now, bytes) or isinstance(then, bytes):
        return now == then
    return len(now) == len(then) and all(map(operator.is_, now, then))


def label(value: Any) -> str:
    """What a handle on an object says about it: its class, and its name if it has one."""
    name = getattr(value, "__name__", "")
    kind = type(value).__name__
    return (f"{kind} {name}" if isinstance(name, str) and name else kind)[:100]


def clean(text: str) -> str:
    """Return the text with lone surrogates replaced, so that it can be printed anywhere."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def send(
    sock: socket.socket, header: dict[str, Json], parts: list[Any], deadline: float | None = None
) -> None:
    """Send one frame, in one write where the kernel takes it.

    Raises Unsendable if the frame is too large, Closed if the other side is gone, Deadline when
    `time.monotonic` reaches the deadline.
    """
    text = to_json(header)
    size = sum(map(len, parts))
    if len(text) > MAX_HEADER or size > MAX_BODY:
        raise Unsendable("the values are too large to be handed over")
    pieces = [_LENGTHS.pack(len(text), size), text, *parts]
    if size < _SMALL:
        pieces = [b"".join(pieces)]
    chunks = [memoryview(piece) for piece in pieces]
    while chunks:
        try:
            sent = sock.sendmsg(chunks[:64], (), 0 if deadline is None else socket.MSG_DONTWAIT)
        except BlockingIOError:
            _wait(sock, select.POLLOUT, deadline)
            continue
        except OSError:
            raise Closed from None
        while chunks and sent >= len(chunks[0]):
            sent -= len(chunks.pop(0))
        if sent:
            chunks[0] = chunks[0][sent:]


def receive(
    sock: socket.socket, deadline: float | None = None
) -> tuple[dict[str, Json], bytearray]:
    """Return the next frame's JSON object and body; the raw bytes are bounded before they are kept.

    Exactly one frame is read: what a worker sends behind it is the answer to a later question, and
    is judged as that, however the two arrive.

    Raises WireError, Closed or Deadline, and nothing else.
    """
    if deadline is not None:
        _wait(sock, select.POLLIN, deadline)
    text_size, body_size = _LENGTHS.unpack(_read(sock, _LENGTHS.size, deadline))
    if text_size > MAX_HEADER or body_size > MAX_BODY:
        raise WireError("malformed frame: too large")
    if body_size < _SMALL:
        both = _read(sock, text_size + body_size, deadline)
        text, body = both[:text_size], both[text_size:]
    else:
        text, body = (_read(sock, size, deadline) for size in (text_size, body_size))
    try:
        header = from_json(text)
    except (ValueError, RecursionError):
        raise WireError("malformed frame: not JSON") from None
    if type(header) is not dict:
        raise WireError("malformed frame: not an object")
    return header, body


def _read(sock: socket.socket, size: int, deadline: float | None) -> bytearray:
    """Return so many bytes; those that are there already are taken without waiting."""
    data = bytearray(size)
    view = memoryview(data)
    while view:
        try:
            # Never recvmsg: descriptors sent along are dropped.
            count = sock.recv_into(view, 0, 0 if deadline is None else socket.MSG_DONTWAIT)
        except BlockingIOError:
            _wait(sock, select.POLLIN, deadline)
            continue
        except OSError:
            raise Closed from None
        if not count:
            raise Closed
        view = view[count:]
        if deadline is not None and view and time.monotonic() >= deadline:
            raise Deadline  # a drop at a time is no answer either
    return data


def _wait(sock: socket.socket, event: int, deadline: float | None) -> None:
    """Wait until a socket can be read from or written to."""
    assert deadline is not None, "a blocking socket does not ask to wait"
    poll = select.poll()
    poll.register(sock, event)
    while (remaining := deadline - time.monotonic()) > 0:
        if poll.poll(math.ceil(1000 * remaining)):
            return
    raise Deadline


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def to_json(value: Any) -> bytes:
    """Return plain data as JSON."""
    try:
        return orjson.dumps(value)
    except TypeError:  # a text that UTF-8 does not have, such as half of an emoji
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii")


# Made once: it has settings that `json.loads` would set up on every call.
_decode = json.JSONDecoder(parse_constant=_refuse).decode


def from_json(text: bytes | bytearray) -> Json:
    """Return what JSON says; raise ValueError or RecursionError if it is none."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:  # perhaps for half of an emoji
        return _decode(text.decode("utf-8"))
