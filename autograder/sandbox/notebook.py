"""What a worker offers in place of a notebook's kernel: magics, `display`, figures, `check`.

It runs one cell after the other in one namespace, and gathers what nbformat calls outputs. Nothing
here is a wall: a student can patch all of it, and will have patched his own notebook.
"""

from __future__ import annotations

import ast
import base64
import builtins
import contextlib
import io
import linecache
import re
import sys
import time
import traceback
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

_CELL = "<cell "
_MAX_MESSAGE = 4_000
_DPI = 72
_MARGIN = 7  # pixels around a figure, as Matplotlib leaves
# What a line begins with, or holds, that IPython makes Python of: magics, commands, calls without
# brackets, prompts. (A question ends with its sign.)
_BEGINS = ("%", "!", "?", ",", ";", "/", ">>>", "...", "In [", "In[")
_HOLDS = ("IPython", "=%", "= %", "=!", "= !")
_POSTPONED: int = annotations.compiler_flag  # what `from __future__ import annotations` sets


class Silence:
    """What `check(...)` returns in a worker: nothing to see, and nothing that fails."""

    def __call__(self, *args: Any, **kwargs: Any) -> Silence:  # noqa: D102
        return self

    def __getattr__(self, name: str) -> Silence:
        if name.startswith("_"):
            raise AttributeError(name)
        return self

    def __float__(self) -> float:
        return 0.0

    def __format__(self, _: str) -> str:
        return ""

    def __repr__(self) -> str:
        return ""


class Outputs:
    """Collects nbformat outputs, and ends the worker's work when they are too many bytes."""

    def __init__(self, limit: int, flood: Callable[[], None]) -> None:
        self._limit = limit
        self._flood = flood
        self._outputs: list[dict[str, Any]] = []
        self._texts: list[str] = []
        self._open: str | None = None

    def write(self, name: str, text: str) -> None:
        """Add text to a stream."""
        if name != self._open:
            self._close()
            self._open = name
        self._texts.append(text)
        self._count(len(text))

    def add(self, kind: str, **fields: Any) -> None:
        """Add an output of another type."""
        self._close()
        self._outputs.append({"output_type": kind, **fields})
        self._count(sum(map(len, fields.get("data", {}).values())))

    def take(self) -> list[dict[str, Any]]:
        """Return the outputs gathered since the last call."""
        self._close()
        taken, self._outputs = self._outputs, []
        return taken

    def _close(self) -> None:
        if self._open and self._texts:
            text = "".join(self._texts)
            self._outputs.append({"output_type": "stream", "name": self._open, "text": text})
        self._open, self._texts = None, []

    def _count(self, size: int) -> None:
        self._limit -= size + 1
        if self._limit < 0:
            self._close()
            self._flood()


class _Stream(io.TextIOBase):
    """`sys.stdout` or `sys.stderr`."""

    encoding = "utf-8"

    def __init__(self, outputs: Outputs, name: str) -> None:
        self._outputs = outputs
        self.name = name

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        self._outputs.write(self.name, text)
        return len(text)


class Notebook:
    """One namespace, and the cells that have run in it."""

    def __init__(self, outputs: Outputs) -> None:
        self.outputs = outputs
        self.module = types.ModuleType("__main__")
        self.namespace = self.module.__dict__
        self._count = 0
        self._flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        self._install()

    def _install(self) -> None:
        sys.modules["__main__"] = self.module
        sys.stdout, sys.stderr = _Stream(self.outputs, "stdout"), _Stream(self.outputs, "stderr")
        sys.displayhook = self.display
        magics = _Magics(self)
        self.namespace.update(
            __builtins__=builtins, get_ipython=lambda: magics, display=self.display
        )
        stub = types.ModuleType("autograder")
        stub.check = lambda *args, **kwargs: Silence()  # type: ignore[attr-defined]
        sys.modules["autograder"] = stub
        for name in ("IPython.display", "IPython.core.display_functions"):
            if name in sys.modules:
                sys.modules[name].display = self.display  # type: ignore[attr-defined]
        self._take_over_show()

    def _take_over_show(self) -> None:
        if "matplotlib.pyplot" in sys.modules:
            sys.modules["matplotlib.pyplot"].show = self.show_figures  # type: ignore[attr-defined]

    def run(self, source: str, name: str) -> None:
        """Run a cell; its last expression is displayed, its open figures are shown.

        Raises whatever the cell raises.
        """
        self._count += 1
        self._take_over_show()
        filename = f"{_CELL}{name or self._count}>"
        code: types.CodeType | ast.Module | None
        try:
            if _ends_in_a_definition(source):
                code = self._compiled(source, filename, "exec")
            else:
                code = ast.parse(source, filename)
        except SyntaxError:  # plain Python, as nearly all of it is, has nothing to be transformed
            source = _transformed(source)
            code = None
        lines = source.splitlines(keepends=True)
        linecache.cache[filename] = (len(source), None, lines, filename)
        if isinstance(code, types.CodeType):
            self._evaluate(code)
        else:
            self.execute(source, filename, code)
        self.show_figures()

    def execute(self, code: str, filename: str, tree: ast.Module | None = None) -> None:
        """Run Python source in the namespace, and display its last expression."""
        tree = tree or ast.parse(code, filename)
        last = None
        if tree.body and isinstance(tree.body[-1], ast.Expr):
            quiet = code.rstrip().endswith(";")
            last = None if quiet else ast.Expression(tree.body.pop().value)  # type: ignore[attr-defined]
        if tree.body:
            self._evaluate(self._compiled(tree, filename, "exec"))
        if last is not None:
            value = self._evaluate(self._compiled(last, filename, "eval"))
            if value is not None and not isinstance(value, Silence):
                self.namespace["_"] = value
                data = bundle(value)
                self.outputs.add("execute_result", data=data, execution_count=self._count)

    def _compiled(
        self, code: str | ast.Module | ast.Expression, filename: str, mode: str
    ) -> types.CodeType:
        """Compile code as a kernel does: with annotations as a cell before it wants them."""
        made: types.CodeType = compile(code, filename, mode, self._flags, dont_inherit=True)
        self._flags |= made.co_flags & _POSTPONED
        return made

    def _evaluate(self, code: types.CodeType) -> Any:
        value = eval(code, self.namespace)
        if code.co_flags & 0x80:  # CO_COROUTINE: the cell awaits
            import asyncio

            value = asyncio.run(value)
        return value

    def display(self, *values: Any, **_: Any) -> None:
        """Show values, as IPython's `display` does."""
        for value in values:
            if value is not None and not isinstance(value, Silence):
                self.outputs.add("display_data", data=bundle(value))

    def show_figures(self, *_: Any, **__: Any) -> None:
        """Show the figures that are open, and close them, as `plt.show` does in a notebook."""
        helpers = sys.modules.get("matplotlib._pylab_helpers")
        if helpers is not None and helpers.Gcf.figs:
            figures = [manager.canvas.figure for manager in helpers.Gcf.get_all_fig_managers()]
            helpers.Gcf.destroy_all()
            self.display(*figures)


_LINE = re.compile(r"^[^ \t\n#]", re.MULTILINE)
_DEFINITION = re.compile(r"(def|class|async def)\b")


def _ends_in_a_definition(source: str) -> bool:
    """Whether there is no last expression to be displayed, as most answers have none.

    To look for one would take as long as to compile the cell. What begins the last line that is not
    indented begins the last statement, unless it is in a string.
    """
    start = max((line.start() for line in _LINE.finditer(source)), default=0)
    if _DEFINITION.match(source, start) is None or "\r" in source:
        return False
    return '"""' not in source[:start] and "'''" not in source[:start]


def needs_ipython(source: str) -> bool:
    """Whether a cell uses IPython, or may be its dialect instead of plain Python."""
    lines = [line.strip() for line in source.splitlines()]
    return (
        source[:1].isspace()  # it is indented as a whole
        or any(sign in source for sign in _HOLDS)
        or any(line.startswith(_BEGINS) for line in lines)
        or any(line.endswith("?") and " " not in line for line in lines)
    )


def _transformed(source: str) -> str:
    if needs_ipython(source):
        with contextlib.suppress(ImportError):  # cells with magics are then syntax errors
            from IPython.core.inputtransformer2 import TransformerManager

            return str(TransformerManager().transform_cell(source))
    return source


def bundle(value: Any) -> dict[str, str]:
    """Return a value's picture, if it is or has one, and its text."""
    data = {"text/plain": repr(value)}
    png = None
    if hasattr(type(value), "savefig"):
        png = _png(value)
    elif hasattr(type(value), "_repr_png_"):
        png = value._repr_png_()
    if isinstance(png, bytes):
        data["image/png"] = base64.b64encode(png).decode("ascii")
    return data


def _png(figure: Any) -> bytes:
    """Return a figure's picture, as large as what is on it.

    Matplotlib would draw it once to learn that, and once more.
    """
    buffer = io.BytesIO()
    agg = sys.modules.get("matplotlib.backends.backend_agg")
    canvas: Any = getattr(figure, "canvas", None)
    if agg is not None and type(canvas) is agg.FigureCanvasBase:
        canvas = agg.FigureCanvasAgg(figure)  # one that pyplot has closed, or never knew
    if agg is None or type(canvas) is not agg.FigureCanvasAgg:
        figure.savefig(buffer, format="png", dpi=_DPI, bbox_inches="tight")
        return buffer.getvalue()
    dpi, figure.dpi = figure.dpi, _DPI
    try:
        canvas.draw()
        pixels = np.asarray(canvas.buffer_rgba())
        box = figure.get_tightbbox(canvas.get_renderer())
    finally:
        figure.dpi = dpi
    height, width, _ = pixels.shape
    left, low, right, high = (round(_DPI * side) for side in box.extents)
    if min(left, low) < 0 or right > width or high > height:  # not all of it was drawn
        figure.savefig(buffer, format="png", dpi=_DPI, bbox_inches=box.padded(_MARGIN / _DPI))
        return buffer.getvalue()
    rows = slice(max(height - high - _MARGIN, 0), height - low + _MARGIN)
    columns = slice(max(left - _MARGIN, 0), right + _MARGIN)
    sys.modules["PIL.Image"].fromarray(pixels[rows, columns]).save(buffer, "png")
    return buffer.getvalue()


class _Magics:
    """What `get_ipython()` returns: the magics that mean something here, and a note on others."""

    def __init__(self, notebook: Notebook) -> None:
        self._notebook = notebook

    def run_line_magic(self, name: str, line: str, *_: Any) -> None:
        if name in ("time", "timeit") and line:
            with self._timed():
                self._notebook.execute(line, f"{_CELL}%{name}>")
        elif name not in ("matplotlib", "config", "load_ext", "autoreload", "pinfo", "pinfo2"):
            self._skip(f"%{name}")

    def run_cell_magic(self, name: str, line: str, cell: str) -> None:
        if name in ("time", "timeit"):
            with self._timed():
                self._notebook.execute(cell, f"{_CELL}%%{name}>")
        elif name == "capture":
            self._notebook.execute(cell, f"{_CELL}%%{name}>")
        else:
            self._skip(f"%%{name}")

    def system(self, command: str) -> None:
        self._skip(f"!{command}")

    def getoutput(self, command: str) -> list[str]:
        self._skip(f"!{command}")
        return []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return Silence()

    @contextlib.contextmanager
    def _timed(self) -> Iterator[None]:
        start = time.perf_counter()
        yield
        print(f"Wall time: {1000 * (time.perf_counter() - start):.3g} ms")

    @staticmethod
    def _skip(what: str) -> None:
        print(f"{what.split(chr(10))[0][:80]} is not run here.", file=sys.stderr)


def describe(error: BaseException) -> dict[str, Any]:
    """Return an exception as plain data: its classes, what it said, the student's own frames."""
    kinds = [k.__name__ for k in type(error).__mro__ if k not in (BaseException, object)]
    try:
        message = str(error)
    except Exception:
        message = "(its message could not be made)"
    lines = traceback.format_list(traceback.extract_tb(_own(error.__traceback__)))
    if isinstance(error, SyntaxError) and str(error.filename).startswith(_CELL):
        lines = traceback.format_exception_only(error)[:-1]
    return {
        "kinds": kinds[:20],
        "message": message[:_MAX_MESSAGE],
        "traceback": "".join(lines)[:_MAX_MESSAGE],
    }


def _own(trace: types.TracebackType | None) -> types.TracebackType | None:
    """Return a traceback of the student's own frames alone, and not of more than twenty."""
    own = []
    while trace is not None:
        if trace.tb_frame.f_code.co_filename.startswith(_CELL):
            own.append(trace)
        trace = trace.tb_next
    if len(own) > 20:
        own = own[:10] + own[-10:]
    for one in reversed(own):
        trace = types.TracebackType(trace, one.tb_frame, one.tb_lasti, one.tb_lineno)
    return trace
