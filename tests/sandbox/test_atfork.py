"""What is left out of a fork, and what is not."""

from __future__ import annotations

import os
import threading

import pytest

from autograder.sandbox import atfork


@pytest.fixture
def registered(monkeypatch):
    made = []
    monkeypatch.setattr(atfork, "_register", lambda **hooks: made.append(sorted(hooks)))
    monkeypatch.setattr(os, "register_at_fork", os.register_at_fork)
    atfork.leave_out()
    return made


def of(module):
    def hook():
        pass

    hook.__module__ = module
    return hook


def test_all_hooks_of_a_call_or_none(registered):
    """From Python 3.13 on, `logging` registers a lock's own methods beside a function."""
    lock = threading.RLock()
    os.register_at_fork(
        before=lock.acquire, after_in_child=of("logging"), after_in_parent=lock.release
    )
    assert registered == []


def test_others_are_kept(registered):
    os.register_at_fork(after_in_child=of("random"))
    os.register_at_fork(after_in_child=of("torch.random"))
    os.register_at_fork(before=threading.Lock().acquire)
    assert registered == [["after_in_child"], ["before"]]
