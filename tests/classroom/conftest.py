"""The fixtures of these tests, from `classroom_helpers`, which tests can import by its own name."""

from classroom_helpers import (
    assignment,
    course,
    desk,
    hand_in,
    hasty,
    home,
    pool,
    sample,
    subject,
    template,
)

__all__ = [
    "assignment",
    "course",
    "desk",
    "hand_in",
    "hasty",
    "home",
    "pool",
    "sample",
    "subject",
    "template",
]
