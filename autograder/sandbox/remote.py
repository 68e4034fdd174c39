"""The judge's handle on an object that lives in a worker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from ..exercise import Certain, Foresight

NOT_PLAIN = (
    "only plain data comes over from a student's code: numbers, strings, lists, tuples, "
    "dictionaries, arrays"
)
"""Why something cannot be done with a handle."""


class Requests(Protocol):
    """What a handle needs of its worker."""

    def request(self, operation: str, *arguments: Any) -> Any:
        """Have the worker do something with its objects, and return what comes of it."""

    def foresee(self, root: Remote, certain: Sequence[Certain]) -> Foresight | None:
        """Have the worker do ahead what will be asked of an object (see `ahead`)."""


class Remote:
    """A student's function, class, instance or bound attribute.

    Call it, read and set its attributes, or index it, as if it were here: plain data goes over and
    comes back by value, everything else comes back as a handle, and a handle may be an argument.
    Where a call that returns has changed an array, a list or a dict in place, an argument or in
    one, that is changed here, too; a list or dict then has copies of what is in it. Whatever goes
    wrong on the other side is raised as `autograder.verdict.Failure`, which ``except ValueError``
    catches too if it was one. Who iterates gets all items at once, in a list's iterator. Python's
    other protocols (comparison, ``__array__``, ...) do not cross: to compare it, or to ask whether
    it is true, raises TypeError, because nothing that could be said here would be about the object.
    """

    __slots__ = ("_remote_label", "_remote_number", "_remote_worker")
    _remote_label: str
    _remote_number: int
    _remote_worker: Requests

    def __init__(self, worker: Requests, number: int, label: str) -> None:
        for name, value in (("worker", worker), ("number", number), ("label", label)):
            object.__setattr__(self, f"_remote_{name}", value)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: D102 (see the class)
        return self._remote_worker.request("call", self, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)  # how Python asks whether a protocol is supported
        return self._remote_worker.request("get", self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._remote_worker.request("set", self, name, value)

    def __getitem__(self, key: Any) -> Any:
        return self._remote_worker.request("item", self, key)

    def __foresee__(self, certain: Sequence[Certain]) -> Foresight | None:
        """Say ahead what will be asked; see `autograder.judge`."""
        return self._remote_worker.foresee(self, certain)

    def __iter__(self) -> Iterator[Any]:
        items = self._remote_worker.request("items", self)
        if type(items) is not list:  # it says so itself, and may say anything
            raise TypeError(f"{self!r} has no list of items")
        return iter(items)

    def __eq__(self, other: object) -> bool:
        if other is None or other is self:  # for the many who write ``!= None``
            return other is self
        raise TypeError(f"{self!r} cannot be compared: {NOT_PLAIN}")

    __hash__ = object.__hash__

    def __bool__(self) -> bool:
        raise TypeError(f"{self!r} is neither true nor false: {NOT_PLAIN}")

    def __repr__(self) -> str:
        return f"<the student's {self._remote_label}>"


def reference(value: Any, worker: Requests) -> tuple[int, str]:
    """Return what stands for a value in a request to a worker; TypeError if nothing can."""
    if type(value) is not Remote:
        raise TypeError(f"a {type(value).__name__} cannot be handed to a student's code")
    if value._remote_worker is not worker:
        raise TypeError("a handle can only be handed to the worker that it came from")
    return value._remote_number, value._remote_label
