"""Where a class lives: releases, submissions, grading, and nbgrader's gradebook."""

import os
import sys
from pathlib import Path

# nbgrader runs `alembic` by name; it is beside the interpreter, which need not be on the PATH.
_BESIDE = str(Path(sys.executable).parent)
if _BESIDE not in os.environ.get("PATH", "").split(os.pathsep):
    os.environ["PATH"] = os.pathsep.join([_BESIDE, os.environ.get("PATH", "")])
