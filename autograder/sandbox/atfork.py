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
        kept = {
            w: hook for w, hook in hooks.items() if getattr(hook, "__module__", "") not in _IDLE
        }
        if kept:
            _register(**kept)

    os.register_at_fork = register  # type: ignore[assignment]


def put_back() -> None:
    """Let anybody register again."""
    os.register_at_fork = _register
