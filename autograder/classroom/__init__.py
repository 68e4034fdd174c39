"""Where a class lives: releases, submissions, grading, and nbgrader's gradebook."""

import importlib
import sys

# What nbformat checks notebooks with builds 38 grammars when it is imported, which takes longer
# than to grade a class; they are for international web addresses, of which notebooks have none.
if "jsonschema" not in sys.modules and "rfc3987_syntax" not in sys.modules:
    sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]
    try:
        importlib.import_module("jsonschema")
    finally:
        del sys.modules["rfc3987_syntax"]
