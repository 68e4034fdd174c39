"""What a worker answered, checked: nothing in a reply is taken for granted."""

from __future__ import annotations

import base64
import re
import struct
from typing import Any

import numpy as np

from . import wire

_STREAMS = ("stdout", "stderr")
# Text and pictures. HTML and scripts that a student made must not reach an instructor's browser.
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
MAX_MESSAGE = 5_000
"""How much is kept of what was said of a failure."""
# Colours. nbgrader's pages make HTML of them, and take a minute for as many as may be printed.
_ESCAPE = re.compile(r"\x1b(?:\[[0-9;:?]*[@-~])?")
# A small file may hold an enormous picture: a browser that shows it takes four bytes a pixel.
_MAX_PIXELS = 50_000_000
# What an output counts besides its text: an empty one takes room, too, and nbgrader's pages take
# more than two milliseconds for it.
_OUTPUT_BYTES = 500
_MAX_KINDS = 20


def outputs(tree: Any) -> tuple[list[dict[str, Any]], int]:
    """Return the nbformat outputs of a reply and their size; WireError if they are none."""
    if type(tree) is not list:
        raise wire.WireError("malformed outputs")
    made = [_output(item) for item in tree]
    return [output for output, _ in made], sum(size + _OUTPUT_BYTES for _, size in made)


def _output(item: Any) -> tuple[dict[str, Any], int]:
    kind = _get(item, "output_type", str)
    if kind == "stream":
        name = _get(item, "name", str)
        if name not in _STREAMS:
            raise wire.WireError("malformed outputs")
        text = _text(_get(item, "text", str))
        return {"output_type": kind, "name": name, "text": text}, len(text)
    if kind not in ("display_data", "execute_result"):
        raise wire.WireError("malformed outputs")
    bundle = _get(item, "data", dict)
    data = {"text/plain": _text(_get(bundle, "text/plain", str))}
    picture = bundle.get("image/png")
    if picture is not None:
        if type(picture) is not str or not _BASE64.fullmatch(picture):
            raise wire.WireError("malformed outputs")
        if _can_be_shown(picture):
            data["image/png"] = picture
    output = {"output_type": kind, "data": data, "metadata": {}}
    if kind == "execute_result":
        output["execution_count"] = _get(item, "execution_count", int)
    return output, sum(map(len, data.values()))


def _text(text: str) -> str:
    """A text that can be printed anywhere, without what colours it."""
    text = wire.clean(text)
    return _ESCAPE.sub("", text) if "\x1b" in text else text


def _can_be_shown(picture: str) -> bool:
    """Whether base64 text begins as a PNG does, and a browser has room for its pixels."""
    if len(picture) < 36:
        return False
    head = base64.b64decode(picture[:32])
    width, height = struct.unpack(">II", head[16:])
    return head.startswith(b"\x89PNG\r\n\x1a\n") and width * height <= _MAX_PIXELS


def error(tree: Any) -> tuple[tuple[str, ...], str, str]:
    """Return the class names, the message and the traceback of an exception in a reply."""
    kinds = _get(tree, "kinds", list)
    if len(kinds) > _MAX_KINDS or any(type(kind) is not str for kind in kinds):
        raise wire.WireError("malformed error")
    message, trace = (_text(_get(tree, key, str))[:MAX_MESSAGE] for key in ("message", "traceback"))
    return tuple(wire.clean(kind)[:200] for kind in kinds), message, trace


def write_back(tree: Any, decoder: wire.Decoder, sent: list[wire.Mutable]) -> None:
    """Copy the arguments that were changed in place into what they were made of."""
    if type(tree) is not list or len(tree) > len(sent):
        raise wire.WireError("malformed changes")
    changes = []
    for change in tree:
        if type(change) is not list or len(change) != 2 or type(change[0]) is not int:
            raise wire.WireError("malformed changes")
        index, value = change[0], decoder.decode(change[1])
        if not 0 <= index < len(sent) or not _can_become(sent[index], value):
            raise wire.WireError("malformed changes")
        changes.append((sent[index], value))
    for target, value in changes:
        if isinstance(target, np.ndarray):
            if target.flags.writeable:
                target[...] = value
        elif isinstance(target, list):
            target[:] = value
        else:
            target.clear()
            target.update(value)


def _can_become(target: wire.Mutable, value: Any) -> bool:
    """Whether an argument can have been changed in place into this."""
    if isinstance(target, np.ndarray):
        return (
            isinstance(value, np.ndarray)
            and value.shape == target.shape
            and np.can_cast(value.dtype, target.dtype, "equiv")
        )
    return type(value) is (list if isinstance(target, list) else dict)


def _get(tree: Any, key: str, kind: type) -> Any:
    value = tree.get(key) if type(tree) is dict else None
    if type(value) is not kind:
        raise wire.WireError(f"malformed reply: {key}")
    return value
