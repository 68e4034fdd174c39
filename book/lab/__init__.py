"""The book's laboratory: what the experiments of all chapters share.

:mod:`lab.data` serves the tables, :mod:`lab.descent` walks downhill and counts its steps,
:mod:`lab.figures` draws, :mod:`lab.tables` writes tables. A page imports what it needs:
``from lab import data, figures``.
"""
