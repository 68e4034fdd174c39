"""What Python's own modules do in every new process, left out where it is of no use.

A parent has one thread and holds no lock when it forks: there is none to be released in a worker,
and what is random begins in all of them alike. Asked to, these modules would spend a third of what
an empty worker costs.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

_IDLE = ("threading", "logging", "random")
_register = os.register_at_fork


def leave_out() -> None:
    """From now on, do not let these modules register anything; to be called before they come."""

    def register(**hooks: Callable[[], Any]) -> None:
        # All or none: what is locked before a fork is to be released behind it. (A lock's own
        # methods, which `logging` registers from Python 3.13 on, are of no module.)
        if not any(getattr(hook, "__module__", "") in _IDLE for hook in hooks.values()):
            _register(**hooks)

    os.register_at_fork = register  # type: ignore[assignment]


def put_back() -> None:
    """Let anybody register again."""
    os.register_at_fork = _register
