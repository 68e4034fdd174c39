"""How a reference is written: family name first, in the order of names, years and titles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pybtex.plugin import register_plugin
from pybtex.style.formatting.alpha import Style as AlphaStyle
from pybtex.style.template import names, sentence

if TYPE_CHECKING:
    from sphinx.application import Sphinx


class CourseStyle(AlphaStyle):
    """The alpha style with the family name first; its labels are not shown."""

    default_name_style = "lastfirst"

    def format_names(self, role: str, as_sentence: bool = True) -> Any:
        """List names with semicolons, because each of them contains a comma."""
        listed = names(role, sep="; ", sep2="; ", last_sep="; ")
        return sentence[listed] if as_sentence else listed


def setup(_app: Sphinx) -> None:
    """Make the style known as ``course``."""
    register_plugin("pybtex.style.formatting", "course", CourseStyle)
