"""The book's laboratory: what the experiments of all chapters share.

:mod:`lab.data` and :mod:`lab.fashion` serve the tables, :mod:`lab.descent` walks downhill and
counts its steps, :mod:`lab.stacks` trains many small networks side by side, :mod:`lab.figures`
draws, :mod:`lab.animation` adds a slider, :mod:`lab.tables` writes tables. The others hold the
machinery of one chapter each. A page imports what it needs: ``from lab import data, figures``.
"""
