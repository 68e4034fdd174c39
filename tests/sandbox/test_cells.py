"""A cell does in a worker what it does in a notebook."""

from __future__ import annotations

import ast
import base64
import time
import warnings
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.sandbox.notebook import _ends_in_a_definition, needs_ipython
from autograder.sandbox.pool import CellResult, Limits, Pool, Worker
from autograder.verdict import Verdict


def texts(result: CellResult, name: str = "stdout") -> str:
    return "".join(o["text"] for o in result.outputs if o.get("name") == name)


def shown(result: CellResult) -> list[Any]:
    return [o["data"]["text/plain"] for o in result.outputs if "data" in o]


def test_prints_and_the_last_expression(worker: Worker) -> None:
    start = time.monotonic()
    result = worker.execute("print('a')\nprint('b', end='')\nx = 2\nx + 1")
    assert 0 < result.seconds <= time.monotonic() - start
    assert result.verdict is Verdict.PASS
    assert result.failure is None
    assert result.outputs == [
        {"output_type": "stream", "name": "stdout", "text": "a\nb"},
        {
            "output_type": "execute_result",
            "data": {"text/plain": "3"},
            "metadata": {},
            "execution_count": 1,
        },
    ]


def test_names_live_on(worker: Worker) -> None:
    worker.execute("x = 2")
    assert shown(worker.execute("x * 21")) == ["42"]
    assert worker.value("x") == 2


PIECES = (
    *("def f(x):\n", "    return x\n", "class A:\n", '    """doc"""\n', "async def h():\n", "@f\n"),
    *("5\n", "f(1)\n", "x = (\n", ")\n", "# c\n", "\n", "\\\n", "\f5\n", "f(1)\r", "\r\n"),
    *('"""\n', "'''\n", 's = "\\\n', 'f("""\n', '""")\n', "defined\n", '"def f(): pass"\n'),
)


@settings(max_examples=500)
@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=7).map("".join))
def test_a_last_expression_is_never_overlooked(source: str) -> None:
    with warnings.catch_warnings(action="ignore"):
        try:
            last = ast.parse(source).body[-1:]
        except SyntaxError:
            last = []
    if last and isinstance(last[0], ast.Expr):
        assert not _ends_in_a_definition(source)


@pytest.mark.parametrize(
    "source",
    [
        "def f(x):\n    return x",
        "import numpy as np\n\n\nclass A:\n    def f(self): pass\n\n# the end\n",
        "x = 1\nasync def f():\n  pass",
    ],
)
def test_an_answer_needs_no_look_for_it(source: str) -> None:
    assert _ends_in_a_definition(source)


@pytest.mark.parametrize("source", ["", "  \n", "# only a comment", "1;", "None", "x = 1"])
def test_nothing_to_show(worker: Worker, source: str) -> None:
    assert worker.execute(source).outputs == []


def test_warnings_go_to_stderr_and_fail_nothing(worker: Worker) -> None:
    result = worker.execute("import warnings; warnings.warn('careful')")
    assert result.verdict is Verdict.PASS
    assert "careful" in texts(result, "stderr")


@pytest.mark.parametrize(
    "source",
    [
        "%matplotlib inline",
        "%load_ext autoreload\n%autoreload 2",
        "%time y = 1\nassert y == 1",
        "%%time\ny = 1",
        "%%timeit\n1 + 1",
        "print?",
        "?print",
        "get_ipython().run_line_magic('matplotlib', 'inline')",
        "get_ipython().ast_node_interactivity",
        "%config InlineBackend.figure_format = 'retina'",
    ],
)
def test_magics(worker: Worker, source: str) -> None:
    assert worker.execute(source).verdict is Verdict.PASS


@pytest.mark.parametrize("source", ["!ls", "files = !ls", "%pip install x", "%%bash\nls"])
def test_shell_lines_are_skipped_politely(worker: Worker, source: str) -> None:
    result = worker.execute(source)
    assert result.verdict is Verdict.PASS
    assert "is not run here" in texts(result, "stderr")


@pytest.mark.parametrize(
    "source",
    [
        "plt.plot([1, 2]);",
        "fig, ax = plt.subplots()",
        "plt.plot([1]); plt.show()",
        "display(fig())",
    ],
)
def test_figures(worker: Worker, source: str) -> None:
    worker.execute("import matplotlib.pyplot as plt\ndef fig():\n    return plt.Figure()")
    result = worker.execute(source)
    pictures = [o["data"]["image/png"] for o in result.outputs if "image/png" in o.get("data", {})]
    assert len(pictures) == 1
    assert base64.b64decode(pictures[0]).startswith(b"\x89PNG")
    assert worker.execute("1;").outputs == []


def test_display(worker: Worker) -> None:
    source = "from IPython.display import HTML\ndisplay(1, 'two')\ndisplay(HTML('<script>'))"
    result = worker.execute(source)
    assert shown(result) == ["1", "'two'", "<IPython.core.display.HTML object>"]
    assert all(set(o["data"]) == {"text/plain"} for o in result.outputs)


def test_top_level_await(worker: Worker) -> None:
    source = "import asyncio\nawait asyncio.sleep(0)\nawait asyncio.sleep(0, 5)"
    assert shown(worker.execute(source)) == ["5"]


def test_annotations_are_values_until_a_cell_wants_them_postponed(worker: Worker) -> None:
    """As in a kernel: not as in our own modules, and from that cell on."""
    cell = "class Settings:\n    eps: float\n"
    worker.execute(cell)
    assert shown(worker.execute("Settings.__annotations__['eps']('0.5')")) == ["0.5"]
    worker.execute("from __future__ import annotations")
    worker.execute(cell)
    assert shown(worker.execute("Settings.__annotations__")) == ["{'eps': 'float'}"]


def test_check_is_silent(worker: Worker) -> None:
    source = (
        "from autograder import check\nreport = check('x', len)\n"
        "f'{float(report)} {report.points:.2f}'\nassert report.anything\nreport"
    )
    result = worker.execute(source)
    assert result.verdict is Verdict.PASS
    assert result.outputs == []


def test_errors(worker: Worker) -> None:
    worker.execute("def f(x):\n    return 1 / x", name="one")
    result = worker.execute("y = 1\nf(0)", name="two")
    assert result.verdict is Verdict.ERROR
    assert result.failure is not None
    assert result.failure.kinds == ("ZeroDivisionError", "ArithmeticError", "Exception")
    assert result.failure.message == "division by zero"
    trace = result.failure.traceback
    assert [line for line in trace.splitlines() if "File" in line] == [
        '  File "<cell two>", line 2, in <module>',
        '  File "<cell one>", line 2, in f',
    ]
    assert "return 1 / x" in trace
    assert result.outputs[-1]["output_type"] == "error"
    assert result.outputs[-1]["ename"] == "ZeroDivisionError"
    assert worker.alive
    assert worker.value("y") == 1


def test_many_small_outputs_are_too_many(worker: Worker) -> None:
    """A page of them takes nbgrader longer than a page of as many letters."""
    result = worker.execute("for i in range(500): display(i)")
    assert (result.verdict, len(result.outputs)) == (Verdict.PASS, 500)
    assert worker.execute("for i in range(1_000): display(i)").verdict is Verdict.OUTPUT


def test_colours_are_left_out(worker: Worker) -> None:
    """Pages make HTML of each, and a million of them take minutes."""
    source = """
class Shown:
    def __repr__(self):
        return "\\x1b[1;31mshown\\x1b"
print("\\x1b[31m", "printed", "\\x1b[", "\\x1b]0;title\\x07", "\\x1b[38:5:1m" * 3)
display(Shown())
raise ValueError("\\x1b[31mraised\\x1b[0m")
"""
    result = worker.execute(source)
    assert texts(result) == " printed [ ]0;title\x07 \n"
    assert shown(result) == ["shown"]
    assert result.failure is not None
    assert result.failure.message == "raised"
    assert "\x1b" not in repr(result.outputs) + result.failure.traceback


def test_syntax_errors(worker: Worker) -> None:
    result = worker.execute("def f(:\n  pass")
    assert result.failure is not None
    assert result.failure.kinds[0] == "SyntaxError"
    assert "def f(:" in result.failure.traceback


@pytest.mark.parametrize("source", ["exit()", "import sys; sys.exit(3)", "raise SystemExit"])
def test_leaving_is_an_error_and_no_death(worker: Worker, source: str) -> None:
    result = worker.execute(source)
    assert result.failure is not None
    assert result.failure.kinds == ("SystemExit",)
    assert worker.alive


def test_a_timeout_says_where(hasty: Worker) -> None:
    result = hasty.execute("print('before')\nwhile True:\n    pass")
    assert result.verdict is Verdict.TIMEOUT
    assert result.failure is not None
    assert "line 2" in result.failure.traceback or "line 3" in result.failure.traceback
    assert texts(result) == "before\n"
    assert not hasty.alive
    assert hasty.execute("1").verdict is Verdict.CRASH


ORDINARY = (
    """
import dataclasses, json, pathlib, random, sqlite3, statistics, tempfile, pickle
import numpy as np
from numpy import random as npr
@dataclasses.dataclass
class P:
    x: int = 1
pathlib.Path("file.txt").write_text("x" * 1000)
assert pathlib.Path("file.txt").read_text() == "x" * 1000
with tempfile.TemporaryDirectory() as folder:
    np.save(folder + "/a.npy", np.ones(3))
    assert np.load(folder + "/a.npy").sum() == 3
pickle.loads(pickle.dumps(P(3)))
np.linalg.svd(np.random.default_rng().normal(size=(64, 64)))
json.dumps({"a": random.random()})
""",
    """
import matplotlib.pyplot as plt
fig, ax = plt.subplots(); ax.hist(np.random.randn(100)); ax.set_title(r"$\\sigma^2$ β")
""",
    'fig.savefig("figure.pdf")',
)


def test_ordinary_notebook_code_works(worker: Worker) -> None:
    for source in ORDINARY:
        result = worker.execute(source)
        assert result.failure is None, (result.failure.message, result.failure.traceback)


@pytest.mark.parametrize(
    ("source", "needed"),
    [
        ("%matplotlib inline", True),
        ("with a:\n    %time b()", True),
        ("files = !ls", True),
        ("x = %sql 1", True),
        ("!ls", True),
        ("np.mean?", True),
        ("?np.mean", True),
        ("np.*load*?", True),
        (">>> x = 1", True),
        ("In [3]: x = 1", True),
        ("    x = 1\n    y = 2", True),
        (",print a b", True),
        ("from IPython.display import HTML", True),
        ("x = 7 % 2\ny = x != 1\nz = '%d' % y", False),
        ("def f(x):\n    return x  # why?\n\n# Is it right?", False),
        ("def f(x)\n    return x", False),
        ("", False),
    ],
)
def test_what_only_ipython_understands_is_known_by_its_signs(source: str, needed: bool) -> None:
    """A parent with IPython is larger, and workers of it cost more."""
    assert needs_ipython(source) is needed


def test_magics_where_the_parent_has_not_imported_ipython() -> None:
    with Pool() as pool, pool.worker() as worker:
        assert shown(worker.execute("import sys\n'IPython' in sys.modules")) == ["False"]
        assert worker.execute("%time x = 1\n!ls").verdict is Verdict.PASS
        assert worker.value("x") == 1
        broken = worker.execute("def f(x)\n    return x")
        assert (broken.verdict, broken.failure.kinds[0]) == (Verdict.ERROR, "SyntaxError")


def test_a_worker_knows_nothing_of_what_was_played_before_it(worker: Worker) -> None:
    """The parent's rehearsal makes workers fast, and leaves no name, object or output."""
    said = worker.execute(
        """
import gc, linecache, sys
gc.unfreeze()
everything = gc.get_objects()
classes = [type(o).__name__ for o in everything]
names = {k for o in everything if type(o) is dict for k in o if type(k) is str}
servers, notebooks = classes.count("_Server"), classes.count("Notebook")
left = {"failure"} & names
left |= {o.__name__ for o in everything if type(o) is type and o.__module__ == "__main__"}
(servers, notebooks, sorted(left), [n for n in linecache.cache if "rehearsal" in n])
"""
    )
    assert shown(said) == ["(1, 1, [], [])"]
    assert len(said.outputs) == 1


def test_what_was_played_does_not_count_as_output() -> None:
    """However little a notebook may print."""
    with Pool(limits=Limits(output_bytes=20)) as pool, pool.worker() as worker:
        assert texts(worker.execute("print('hi')")) == "hi\n"
