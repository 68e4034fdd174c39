"""The course's own additions to Sphinx, as one extension with six rooms.

``settings``      what YAML cannot say: where node is, which repository this is, what to rebuild
``execution``     pages executed several at a time
``directives``    what authors write: ``{quiz}``, ``{objectives}``, ``{graded}``
``pages``         what every page must be: accessible, described, free of requests to other hosts
``bibliography``  how a reference is written
``claims``        the ledger of claims, read from ``claims.yml``: ``{claims}``
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from course import bibliography, claims, directives, execution, pages, settings

if TYPE_CHECKING:
    from sphinx.application import Sphinx


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the six rooms."""
    for room in (settings, execution, directives, pages, bibliography, claims):
        room.setup(app)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
