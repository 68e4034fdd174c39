"""Results in rows and columns, as a table that a screen reader can walk through."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

# Words that a browser may break, and that cannot be read in two lines: 1.9e-16, |∂L/∂W|, 64-100-10,
# 501–1000 and z-score.
WHOLE = re.compile(r"\S*(?:\de-\d|/|\d[-–]\d|(?<!\S)\w-)\S*")


def markup(text: str) -> str:
    """Return a cell's text as HTML, in which some words stay on one line."""
    return WHOLE.sub(r'<span class="joined">\g<0></span>', escape(text))


@dataclass(frozen=True)
class Shown:
    """A table that shows itself: as HTML in a page, as aligned text in a terminal."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    corner: str = ""

    def _repr_html_(self) -> str:
        # The theme knows the class "dataframe", and gives such tables a dark version.
        head = f'<th scope="col">{markup(self.corner)}</th>' if self.corner else "<td></td>"
        head += "".join(f'<th scope="col">{markup(column)}</th>' for column in self.columns)
        body = "".join(
            f'<tr><th scope="row">{markup(name)}</th>'
            + "".join(f"<td>{markup(cell)}</td>" for cell in cells)
            + "</tr>"
            for name, *cells in self.rows
        )
        return (
            f'<table class="dataframe"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
        )

    def __repr__(self) -> str:
        lines = [(self.corner, *self.columns), *self.rows]
        widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
        return "\n".join(
            line[0].ljust(widths[0])
            + "".join("  " + cell.rjust(n) for cell, n in zip(line[1:], widths[1:], strict=True))
            for line in lines
        )


def table(columns: Sequence[str], rows: Mapping[str, Sequence[object]], corner: str = "") -> Shown:
    """Return a table; as the last line of a cell, it is what the cell shows.

    Parameters
    ----------
    columns : names of the columns, with units where there are any
    rows : name of the row → its cells, as many as there are columns
        Cells are turned into text with ``str``: round numbers first.
    corner : what the names of the rows are
    """
    for name, cells in rows.items():
        if len(cells) != len(columns):
            raise ValueError(f"row {name!r} has {len(cells)} cells for {len(columns)} columns")
    lines = tuple((name, *map(str, cells)) for name, cells in rows.items())
    return Shown(tuple(columns), lines, corner)
