"""Are two observations the same? If not, the sentence that says how they differ.

A student reads these sentences, so they speak of what was returned, in plain words and with the
numbers at hand, and they look for the simple pattern behind a difference: a factor, an offset, a
sign, a transpose.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from autograder.exercise import Argument, Explained, Raised, Tolerance

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Difference:
    """How an observation differs from the expected one.

    Attributes:
        said: the sentence for the student, or what makes it: most are never read.
        where: which entries of a 1-D or 2-D array differ, for a small picture; or None.
    """

    said: str | Callable[[], str]
    where: Mask | None = None

    @property
    def sentence(self) -> str:
        """How it differs, for the student."""
        if isinstance(self.said, str):
            return self.said
        with np.errstate(all="ignore"):
            return self.said()


def difference(expected: Any, got: Any, tolerance: Tolerance) -> Difference | None:
    """How ``got`` differs from ``expected``; None when they are the same.

    Numbers are compared within the tolerance, NaN equals NaN, and type, shape and dtype count.
    """
    # NumPy's warnings about numbers like 1e308 are not for the student, and stock nbgrader takes
    # points off for them.
    with np.errstate(all="ignore"):
        return _difference(expected, got, tolerance)


def identical(one: Any, other: Any) -> bool:
    """Are two values the same plain data, to the last bit, in the same types?"""
    kind = type(one)
    if kind is not type(other):
        return False
    if kind is np.ndarray or isinstance(one, np.generic):
        return content(one) == content(other)
    if kind is list or kind is tuple:
        return len(one) == len(other) and all(map(identical, one, other))
    if kind is dict:
        return identical([*one.items()], [*other.items()])
    return kind in _SCALARS and repr(one) == repr(other)


def content(array: Array) -> tuple[np.dtype[Any], tuple[int, ...], bytes]:
    """What an array holds, to the last bit."""
    return array.dtype, array.shape, array.tobytes()


_SCALARS = (type(None), bool, int, float, complex, str, bytes)


def _difference(expected: Any, got: Any, tolerance: Tolerance) -> Difference | None:
    if isinstance(expected, Raised) or isinstance(got, Raised):
        return _raised(expected, got)
    if isinstance(expected, Argument):
        changed = _difference(expected.value, getattr(got, "value", got), tolerance)
        return changed and Difference(
            "the array that you were given was changed in place; work on a copy "
            f"(`X = X - m` makes a new array, `X -= m` does not): {changed.sentence}",
            changed.where,
        )
    if isinstance(expected, Explained):
        return _explained(expected, got, tolerance)
    if got is None and expected is not None:
        return Difference(f"it is None where {describe(expected)} is expected")
    if isinstance(expected, np.ndarray) and expected.ndim == 0:
        expected = expected[()]  # as good as the number in it
    if isinstance(expected, np.ndarray):
        return _arrays(expected, got, tolerance)
    if isinstance(got, np.ndarray) and got.ndim == 0:
        got = got[()]
    if isinstance(expected, (bool, np.bool_)):
        same = isinstance(got, (bool, np.bool_)) and bool(got) == bool(expected)
        return None if same else Difference(f"it is {describe(got)} where {expected} is expected")
    if isinstance(expected, (int, float, complex, np.number)):
        return _numbers(expected, got, tolerance)
    if isinstance(expected, (list, tuple)):
        return _sequences(expected, got, tolerance)
    if isinstance(expected, dict):
        return _dicts(expected, got, tolerance)
    if type(got) is type(expected) and got == expected:
        return None
    return Difference(f"it is {describe(got)} where {describe(expected)} is expected")


def describe(value: Any) -> str:
    """A short description of a value: what it is, its shape, its dtype."""
    if isinstance(value, np.ndarray):
        if value.ndim == 0:
            inside = _number(value[()]) if value.dtype.kind in "biufc" else f"dtype {value.dtype}"
            return f"a 0-dimensional array ({inside})"
        return f"an array of shape {_shape(value.shape)} and dtype {value.dtype}"
    if isinstance(value, (bool, np.bool_)) or value is None:
        return str(value)
    if _is_number(value):
        return _number(value)
    if isinstance(value, str):
        return repr(str(value) if len(value) <= 60 else value[:57] + "...")
    if isinstance(value, (list, tuple, dict)):
        return f"a {type(value).__name__} of {len(value)}"
    if isinstance(value, Raised):
        return f"an exception, {value.kinds[0] if value.kinds else 'unknown'}"
    name = type(value).__name__
    if hasattr(type(value), "_remote_label"):  # a handle stands for an object behind the walls
        name = str(value._remote_label).split(" ")[0]
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def _explained(expected: Explained, got: Any, tolerance: Tolerance) -> Difference | None:
    got = got.value if isinstance(got, Explained) else got
    found = _difference(expected.value, got, tolerance)
    if found is None or not (more := expected.explain(expected.value, got)):
        return found
    return Difference(f"{found.sentence.removesuffix('.')}. {more}", found.where)


def _raised(expected: Any, got: Any) -> Difference | None:
    if not isinstance(got, Raised):
        return Difference(f"it should raise {expected.kinds[0]}, but gave {describe(got)}")
    said = f"it raised {got.kinds[0]}" + (f" ({got.message})" if got.message else "")
    if not isinstance(expected, Raised):
        return Difference(f"{said} where {describe(expected)} is expected")
    if expected.kinds[0] in got.kinds:
        return None
    return Difference(f"{said} where {expected.kinds[0]} is expected")


def _sequences(expected: Sequence[Any], got: Any, tolerance: Tolerance) -> Difference | None:
    if not isinstance(got, (list, tuple)) or len(got) != len(expected):
        noun = f"{len(expected)} values" if len(expected) != 1 else "one value"
        return Difference(
            f"it is {describe(got)} where a {type(expected).__name__} of {noun} is expected"
        )
    if type(got) is not type(expected):
        return Difference(f"it is {describe(got)} where {describe(expected)} is expected")
    for index, (e, g) in enumerate(zip(expected, got, strict=True)):
        if found := _difference(e, g, tolerance):
            return Difference(
                f"value {index + 1} of {len(expected)}: {found.sentence}", found.where
            )
    return None


def _dicts(expected: dict[Any, Any], got: Any, tolerance: Tolerance) -> Difference | None:
    if not isinstance(got, dict):
        return Difference(f"it is {describe(got)} where a dict is expected")
    if missing := [key for key in expected if key not in got]:
        return Difference(f"the key {missing[0]!r} is missing")
    if extra := [key for key in got if key not in expected]:
        return Difference(f"the key {describe(extra[0])} is not asked for")
    for key, value in expected.items():
        if found := _difference(value, got[key], tolerance):
            return Difference(f"[{key!r}]: {found.sentence}", found.where)
    return None


def _numbers(expected: Any, got: Any, tolerance: Tolerance) -> Difference | None:
    if not _is_number(got):
        return Difference(f"it is {describe(got)} where the number {_number(expected)} is expected")
    if type(expected) is type(got) and expected == got:
        return None  # also whole numbers that are too large for a float
    try:
        close = bool(_close(np.asarray(expected, complex), np.asarray(got, complex), tolerance))
    except OverflowError:
        close = False
    if close:
        return None
    sentence = _instead(got, expected, tolerance)
    if all(isinstance(value, (float, np.floating)) for value in (expected, got)):
        near = _nearly(np.asarray(expected), np.asarray(got))
        return Difference(f"{sentence}. {near}" if near else sentence)
    return Difference(sentence)


def _is_number(value: Any) -> bool:
    number = isinstance(value, (int, float, complex, np.number))
    return number and not isinstance(value, (bool, np.timedelta64))


def _arrays(expected: Array, got: Any, tolerance: Tolerance) -> Difference | None:
    if not isinstance(got, np.ndarray):
        if isinstance(got, (list, tuple)):
            return Difference(f"it is a {type(got).__name__} where a NumPy array is expected")
        return Difference(f"it is {describe(got)} where {describe(expected)} is expected")
    got = np.asarray(got)  # a subclass may call anything equal; the plain array does not
    if got.shape != expected.shape:
        return Difference(_shape_sentence(expected.shape, got.shape))
    if got.dtype != expected.dtype:
        return Difference(_dtype_sentence(expected.dtype, got.dtype))
    if np.array_equal(expected, got):
        return None  # as right answers mostly are: to the last bit
    if expected.dtype.kind not in "biufc":
        return Difference("its entries differ from the expected ones")
    differs = ~_close(expected, got, tolerance)
    if not differs.any():
        return None
    where = differs if 1 <= differs.ndim <= 2 else None
    sentence = functools.partial(_values_sentence, expected, got, differs, tolerance)
    return Difference(sentence, where)


def _close(expected: Array, got: Array, tolerance: Tolerance) -> Mask:
    """Entry by entry: the same number, within the tolerance; NaN is the same as NaN."""
    if expected.dtype != got.dtype or expected.dtype.kind not in "fc":
        expected, got = (np.asarray(a, complex) for a in (expected, got))
    # As `np.isclose` has it, at a fifth of its time.
    near = np.abs(got - expected) <= tolerance.absolute + tolerance.relative * np.abs(expected)
    near &= np.isfinite(expected)
    near |= got == expected
    near |= (got != got) & (expected != expected)
    return np.asarray(near)


def _shape_sentence(expected: tuple[int, ...], got: tuple[int, ...]) -> str:
    sentence = f"its shape is {_shape(got)} where {_shape(expected)} is expected"
    if tuple(n for n in got if n != 1) == tuple(n for n in expected if n != 1):
        return sentence + ": an axis of length 1 is left over or missing (keepdims?)"
    if len(got) == 2 and got == expected[::-1]:
        return sentence + ": rows and columns are exchanged"
    if not got:
        return sentence + ": everything was reduced to one number, so an axis is missing"
    return sentence


def _dtype_sentence(expected: np.dtype[Any], got: np.dtype[Any]) -> str:
    sentence = f"its dtype is {got} where {expected} is expected"
    if got.kind in "iu" and expected.kind == "f":
        return sentence + ": the result was cut to whole numbers"
    if got.kind == "f" and expected.kind == "f" and got.itemsize < expected.itemsize:
        return sentence + ": half of the digits, or more, are lost"
    if got.kind == "O":
        return sentence + ": an array of Python objects, made from entries that are not all numbers"
    return sentence


def _values_sentence(expected: Array, got: Array, differs: Mask, tolerance: Tolerance) -> str:
    odd = ~np.isfinite(got) & np.isfinite(expected)
    if odd.any():
        kinds = "NaN" if np.isnan(got[odd]).all() else "NaN or infinite"
        if np.isinf(got[odd]).all():
            kinds = "infinite"
        rest = int((differs & ~odd).sum())
        return (
            f"{_count(odd)} {'is' if odd.sum() == 1 else 'are'} {kinds} where numbers are "
            f"expected, the first at {_index(odd)}"
            + (f"; {rest} more {'differs' if rest == 1 else 'differ'}" if rest else "")
        )
    at = _worst(expected, got, differs)
    sentence = (
        f"{_count(differs)} {'differs' if differs.sum() == 1 else 'differ'}; at {list(at)} "
        + _instead(got[at], expected[at], tolerance)
    )
    pattern = _nearly(expected, got) or _pattern(expected, got, tolerance)
    return f"{sentence}. {pattern}" if pattern else sentence


# float32 keeps seven digits, of which a few are lost on the way.
_NEARLY = 1e-5


def _nearly(expected: Array, got: Array) -> str:
    """Why floating-point numbers may differ by so little, as a sentence; or nothing."""
    if expected.dtype.kind not in "fc":
        return ""
    with np.errstate(invalid="ignore", over="ignore"):
        gap, size = (float(np.abs(a).max()) for a in (got - expected, expected))
    if not gap <= _NEARLY * size < math.inf:
        return ""
    return "That is nearly right: float32 on the way, or an ε too many or too few?"


def _worst(expected: Array, got: Array, differs: Mask) -> tuple[int, ...]:
    with np.errstate(invalid="ignore", over="ignore"):
        gap = np.where(differs, np.abs(np.asarray(got, complex) - expected), -1.0)
    gap = np.where(np.isnan(gap), np.inf, gap)
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(gap)), gap.shape))


def _pattern(expected: Array, got: Array, tolerance: Tolerance) -> str:
    """The simple relation between two arrays of numbers, as a sentence; or nothing."""
    if expected.size < 3 or expected.dtype.kind not in "fc" or not np.isfinite(expected).all():
        return ""
    if not np.isfinite(got).all():
        return ""

    def same(candidate: Array) -> bool:
        return candidate.shape == got.shape and bool(_close(candidate, got, tolerance).all())

    if expected.ndim == 2 and same(expected.T):
        return "It is the transpose of what is expected."
    if same(-expected):
        return "Every sign is the opposite of what is expected."
    norm = float(np.vdot(expected, expected).real)
    sizes = np.abs(expected)
    # The squares of very small numbers are 0.
    if norm and not _close(sizes, np.full_like(sizes, sizes.max()), tolerance).all():
        factor = float(np.vdot(expected, got).real) / norm
        if abs(factor) > 1e-9 and same(factor * expected):  # what is nearly 0 is no multiple
            return f"Every entry is {_factor(factor, expected.shape)} times what is expected."
    offset = float(np.mean(got - expected).real)
    if same(expected + offset):
        return f"Every entry is {_number(abs(offset))} too {'high' if offset > 0 else 'low'}."
    if expected.ndim == 2 and expected.shape[0] >= 3:
        norms = np.sum(np.abs(expected) ** 2, axis=0)
        if (norms > 0).all():
            factors = np.sum(expected * got, axis=0) / norms
            if same(factors * expected):
                return f"Each column is off by a factor of its own: {_list(factors)}."
        offsets = np.mean(got - expected, axis=0)
        if same(expected + offsets):
            return f"Each column is shifted by a constant of its own: {_list(offsets)}."
    return ""


def _factor(factor: float, shape: tuple[int, ...]) -> str:
    """A factor, with its formula when it is one that N and N - 1 make."""
    n = shape[0]
    for value, formula in (
        (
            (n / (n - 1), "N/(N-1)"),
            ((n - 1) / n, "(N-1)/N"),
            (math.sqrt(n / (n - 1)), "√(N/(N-1))"),
            (math.sqrt((n - 1) / n), "√((N-1)/N)"),
        )
        if n > 1
        else ()
    ):
        if math.isclose(factor, value, rel_tol=1e-6):
            return f"{_number(factor)} = {formula}"
    return _number(factor)


def _list(values: Array) -> str:
    shown = ", ".join(_number(v) for v in values[:6])
    return shown + (", …" if len(values) > 6 else "")


def _count(mask: Mask) -> str:
    if mask.ndim == 0 or mask.size == 1:
        return "its only entry"
    return f"{int(mask.sum())} of {mask.size} entries"


def _index(mask: Mask) -> str:
    return str([int(i) for i in np.argwhere(mask)[0]])


def _shape(shape: tuple[int, ...]) -> str:
    return str(tuple(int(n) for n in shape))


def _instead(got: Any, expected: Any, tolerance: Tolerance) -> str:
    """What a number is, and what it should be, with as many digits as it takes to differ."""
    if not isinstance(expected, (bool, np.bool_)) and abs(expected) <= tolerance.absolute:
        expected = 0  # nobody wants to read 3.5e-17
    digits = next((n for n in (6, 9, 12) if _number(got, n) != _number(expected, n)), 17)
    return f"it is {_number(got, digits)} where {_number(expected, digits)} is expected"


def _number(value: Any, digits: int = 6) -> str:
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value))
    if isinstance(value, (int, np.integer)):
        small = abs(int(value)) < 10**15
        return str(int(value)) if small else f"a whole number of {int(value).bit_length()} bits"
    if isinstance(value, (complex, np.complexfloating)):
        return f"{complex(value):.{digits}g}"
    return f"{float(value):.{digits}g}".replace("nan", "NaN").replace("inf", "infinity")
