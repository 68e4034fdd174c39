"""Notebooks of students who want points without an answer: a name, and what they wrote.

Unless an attack brings answers of its own, every answer is `return 42`, which deserves nothing. The
code of an attack runs in a cell above the answers. Numbers such as A4 refer to the list of attacks
that stock nbgrader or Otter-Grader fell for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

WRONG = {
    "min_max_scale": "def min_max_scale(X, feature_range=(0, 1)):\n    return 42",
    "mean_normalize": "def mean_normalize(X):\n    return 42",
    "standardize": "def standardize(X):\n    return 42",
    "Scaler": (
        "class Scaler:\n"
        "    def fit(self, X):\n        return 42\n"
        "    def transform(self, X):\n        return 42\n"
        "    def inverse_transform(self, Z):\n        return 42"
    ),
    "scale_splits": "def scale_splits(X_train, X_test):\n    return 42",
}


def returning(value: str) -> dict[str, str]:
    """Answers that return one thing, whatever they are asked."""
    return {name: code.replace("42", value) for name, code in WRONG.items()}


@dataclass(frozen=True)
class Attack:
    """What a student handed in, and why somebody might think that it works.

    Attributes:
        idea: the thought behind it.
        code: the cell above the answers.
        answers: the answers; wrong ones where none are given.
        after: a cell below everything.
    """

    idea: str
    code: str = ""
    answers: Mapping[str, str] = field(default_factory=lambda: WRONG)
    after: str = ""


LIAR = '''
import numpy as np

class Liar:
    """Has every property that it is asked for."""
    shape, ndim, dtype, size = (7, 4), 2, np.dtype(float), 28
    def mean(self, axis=None): return np.zeros(4)
    def std(self, axis=None): return np.ones(4)
    def min(self, axis=None): return np.zeros(4)
    def max(self, axis=None): return np.ones(4)
    def fit(self, X): return self
    def transform(self, X): return self
    def inverse_transform(self, Z): return self
    def __getitem__(self, key): return np.zeros(12)
    def __sub__(self, other): return np.zeros((5, 4))
    def __eq__(self, other): return True
    def __array__(self, *args, **kwargs): return np.zeros((7, 4))
'''

SOCKET = """
import gc, json, os, socket
def is_open(s):
    try:
        return bool(os.fstat(s.fileno()))
    except OSError:
        return False
gc.unfreeze()  # the parent froze what it had
mine = [o for o in gc.get_objects() if isinstance(o, socket.socket) and is_open(o)]
assert mine
"""

SERVER = """
import json, sys
def above(function, name):
    frame = sys._getframe()
    while frame and frame.f_code.co_name != function:
        frame = frame.f_back
    return frame.f_locals[name] if frame else None
server = above("serve", "self")
"""

ATTACKS = {
    # --- the notebook's machinery ------------------------------------------------------------
    "input_transformer": Attack(
        "A1: replace the source of every later cell",
        "ip = get_ipython()\nip.input_transformers_cleanup = [lambda lines: ['pass\\n']]\n"
        "ip.input_transformers_cleanup.append(lambda lines: ['pass\\n'])",
    ),
    "input_transformer_post": Attack(
        "A1: the same, one stage later",
        "get_ipython().input_transformers_post.append(lambda lines: ['7.0\\n'])",
    ),
    "run_code": Attack(
        "A2: have the shell run nothing",
        "async def run_code(*args, **kwargs):\n    return False\nget_ipython().run_code = run_code",
    ),
    "kernel_do_execute": Attack(
        "A3: have the kernel report success",
        "async def ok(*args, **kwargs):\n"
        "    return {'status': 'ok', 'execution_count': 1, 'payload': [], 'user_expressions': {}}\n"
        "get_ipython().kernel.do_execute = ok",
    ),
    "ast_transformer": Attack(
        "A6: take every assert out of later cells",
        "import ast\n"
        "class NoAssert(ast.NodeTransformer):\n"
        "    def visit_Assert(self, node): return ast.Pass()\n"
        "get_ipython().ast_transformers.append(NoAssert())",
    ),
    "patched_compiler": Attack(
        "A6: compile later cells to something else",
        "import ast, builtins\n"
        "real = builtins.compile\n"
        "def fake(source, *args, **kwargs):\n"
        "    return real('7.0', '<x>', 'eval') if args[1:2] == ('eval',) else "
        "real(source, *args, **kwargs)\n"
        "builtins.compile = fake",
    ),
    "pre_run_hook": Attack(
        "A11: read each cell before it runs",
        "seen = []\n"
        "get_ipython().events.register('pre_run_cell', lambda info: seen.append(info.raw_cell))",
        answers=returning("seen[-1]"),
    ),
    "display_hook": Attack(
        "A25: write 7.0 where the number of points is shown",
        "import sys\nsys.displayhook = lambda value: print(7.0)\n"
        "get_ipython().display_formatter.format = lambda value: ({'text/plain': '7.0'}, {})",
    ),
    "printed_points": Attack(
        "A25: print what a report would say",
        "from IPython.display import display, HTML\n"
        "display(HTML('<b>38 of 38 points</b>'))\nprint('38.0')\n38.0",
        after="38.0",
    ),
    # --- what the tests use ------------------------------------------------------------------
    "redefined_check": Attack(
        "A7: bring a check of one's own",
        "def check(name, implementation, hidden=False, seed=None):\n    return 7.0\n"
        "report = 7.0\nfloat = lambda x: 7.0",
    ),
    "fake_autograder_module": Attack(
        "A26: be the module that the tests import",
        "import sys, types\nfake = types.ModuleType('autograder')\n"
        "fake.check = lambda *args, **kwargs: 7.0\nsys.modules['autograder'] = fake\n"
        "open('autograder.py', 'w').write('check = lambda *args, **kwargs: 7.0')",
    ),
    "shadowed_numpy": Attack(
        "A26: a numpy.py beside the notebook",
        "open('numpy.py', 'w').write('def __getattr__(name): return lambda *a, **k: True')\n"
        "import sys\nsys.path.insert(0, '.')\nsys.modules.pop('numpy')\nimport numpy",
    ),
    "sitecustomize": Attack(
        "A26: a file that the next Python runs when it starts",
        "for name in ('sitecustomize.py', 'usercustomize.py', 'conftest.py', 'evil.pth'):\n"
        "    open(name, 'w').write('import os; os._exit(0)')",
    ),
    "patched_numpy_testing": Attack(
        "A5: comparisons that always hold",
        "import numpy as np, numpy.testing, math\n"
        "for module in (np, np.testing, math):\n"
        "    for name in dir(module):\n"
        "        if 'close' in name or 'equal' in name:\n"
        "            setattr(module, name, lambda *args, **kwargs: True)",
    ),
    "patched_builtins": Attack(
        "A7: float, abs, all and isinstance that agree with everything",
        "import builtins\nbuiltins.float = lambda *args: 7.0\nbuiltins.abs = lambda x: 0\n"
        "builtins.all = lambda xs: True\nbuiltins.isinstance = lambda x, kind: True",
    ),
    "no_builtins": Attack(
        "take away what everybody needs",
        "import builtins\nfor name in ('len', 'type', 'repr', 'getattr'):\n"
        "    delattr(builtins, name)",
    ),
    # --- values that pretend -----------------------------------------------------------------
    "always_equal": Attack(
        "A4: an object that equals everything",
        "class Equal:\n"
        "    def __eq__(self, other): return True\n"
        "    def __ne__(self, other): return False\n"
        "    def __lt__(self, other): return True\n"
        "    __le__ = __gt__ = __ge__ = __lt__\n"
        "    def __bool__(self): return True\n"
        "    __hash__ = None",
        answers=returning("Equal()"),
    ),
    "array_subclass": Attack(
        "A4: an array that answers every operation",
        "import numpy as np\n"
        "class Yes(np.ndarray):\n"
        "    def __array_ufunc__(self, *args, **kwargs): return np.True_\n"
        "    def __array_function__(self, *args, **kwargs): return np.True_\n"
        "    def __eq__(self, other): return np.True_\n"
        "    def mean(self, axis=None): return np.zeros(4)\n"
        "    def std(self, axis=None): return np.ones(4)\n"
        "    def min(self, axis=None): return np.zeros(4)\n"
        "    def max(self, axis=None): return np.ones(4)",
        answers=returning("np.full((7, 4), 42.0).view(Yes)"),
    ),
    "number_subclass": Attack(
        "A4: numbers that lie about themselves",
        "class Float(float):\n"
        "    def __eq__(self, other): return True\n"
        "    def __sub__(self, other): return 0.0\n"
        "    __rsub__ = __sub__\n"
        "    def __float__(self): return 7.0\n"
        "    def __abs__(self): return 0.0",
        answers=returning("Float(42)"),
    ),
    "lying_class": Attack(
        "A4: an object whose __class__ is ndarray",
        "import numpy as np\n"
        "class Costume:\n"
        "    __class__ = np.ndarray\n"
        "    shape, ndim, dtype, size = (7, 4), 2, np.dtype(float), 28",
        answers=returning("Costume()"),
    ),
    "lying_object": Attack(
        "an object that has every property",
        LIAR,
        answers=returning("Liar()")
        | {"scale_splits": "def scale_splits(a, b):\n    return Liar(), Liar()"},
    ),
    "lying_scaler": Attack(
        "a scaler whose instances have every method, and no data",
        LIAR,
        answers=WRONG | {"Scaler": "Scaler = Liar"},
    ),
    "changing_object": Attack(
        "an object that answers differently each time, until it is right",
        "import itertools, numpy as np\nturn = itertools.count()\n"
        "class Changing:\n"
        "    def __getattr__(self, name):\n"
        "        return (lambda *a, **k: np.full(4, float(next(turn) % 2)))\n"
        "    def __getitem__(self, key): return np.full(7, float(next(turn) % 2))",
        answers=returning("Changing()"),
    ),
    "returns_itself": Attack(
        "a function that returns a function that returns …",
        answers={
            "min_max_scale": "def min_max_scale(*args, **kwargs):\n    return min_max_scale",
            "mean_normalize": "def mean_normalize(*args, **kwargs):\n    return mean_normalize",
            "standardize": "def standardize(*args, **kwargs):\n    return standardize",
            "Scaler": "class Scaler:\n    def __getattr__(self, name):\n"
            "        return lambda *args: Scaler()",
            "scale_splits": "def scale_splits(*args):\n    return scale_splits, scale_splits",
        },
    ),
    "looks_like_a_report": Attack(
        "an answer that is a full report",
        "class Report:\n    earned = points = possible = 7.0\n    verdict = 'PASS'\n"
        "    passed = True\n    def __float__(self): return 7.0\n"
        "    def __repr__(self): return '7.0'",
        answers={name: f"{name} = Report()" for name in WRONG},
    ),
    "a_number_for_a_function": Attack(
        "A25: the points themselves", answers={name: f"{name} = 7.0" for name in WRONG}
    ),
    "none_for_a_function": Attack("nothing", answers={name: f"{name} = None" for name in WRONG}),
    "not_a_number": Attack("A25: NaN is near everything", answers=returning("float('nan')")),
    "nan_array": Attack(
        "A25: arrays of NaN", "import numpy as np", returning("np.full((7, 4), np.nan)")
    ),
    "negative_infinity": Attack("A25: below every bound", answers=returning("-float('inf')")),
    # --- looking for the answers -------------------------------------------------------------
    "import_reference": Attack(
        "A11: take the reference from the package",
        "import sys\nsys.modules.pop('autograder', None)\n"
        "try:\n"
        "    from autograder.chapters.feature_scaling import CHAPTER\n"
        "except ImportError:\n"
        "    CHAPTER = None",
        after="for e in CHAPTER.exercises if CHAPTER else ():\n    globals()[e.name] = e.reference",
    ),
    "load_reference_file": Attack(
        "A12: find the reference or the solution on the disk",
        "import glob, os, sys\nfound = []\n"
        "for root in {*sys.path, os.getcwd(), os.path.expanduser('~'), '/home', '/root', '/srv'}:\n"
        "    for name in ('autograder/chapters/*.py', 'solutions/*/*.py', 'gradebook.db',\n"
        "                 '*/autograder/chapters/*.py', '*/*/solutions/*/*.py'):\n"
        "        found += glob.glob(os.path.join(root, name))\n"
        "for path in found:\n"
        "    try:\n"
        "        exec(open(path).read())\n"
        "    except Exception:\n"
        "        pass",
    ),
    "garbage_collector": Attack(
        "A11: look for the tests in memory",
        "import gc\n"
        "gc.unfreeze()\n"
        "loot = [o for o in gc.get_objects() if callable(o)\n"
        "        and 'autograder' in str(getattr(o, '__module__', ''))]",
        answers={
            name: f"{name} = next((o for o in loot if o.__name__ == {name!r}), None)"
            for name in WRONG
        },
    ),
    "frames": Attack(
        "A11: look for the tests in the callers",
        "import sys\n"
        "def search():\n"
        "    frame = sys._getframe()\n"
        "    while frame:\n"
        "        for place in (frame.f_locals, frame.f_globals):\n"
        "            for key in ('expected', 'reference', 'exercise', 'seen', 'secret', 'rng'):\n"
        "                if key in place:\n"
        "                    return place[key]\n"
        "        frame = frame.f_back\n"
        "    return 42",
        answers=returning("search()"),
    ),
    "gradebook": Attack(
        "A10: write into the gradebook",
        "import glob, os, sqlite3\n"
        "for path in ('gradebook.db', '../gradebook.db', '../../gradebook.db',\n"
        "             '../../../gradebook.db', *glob.glob('/tmp/*/gradebook.db'),\n"
        "             *glob.glob('/tmp/*/*/*/gradebook.db')):\n"
        "    try:\n"
        "        book = sqlite3.connect(path)\n"
        "        book.execute('update grade set auto_score = 99')\n"
        "        book.commit()\n"
        "    except Exception:\n"
        "        pass",
    ),
    "ledger": Attack(
        "write verdicts where verdicts are kept",
        "import glob\n"
        "for path in glob.glob('/tmp/**/grades', recursive=True):\n"
        "    try:\n"
        "        open(path + '/feature_scaling.json', 'w').write('{}')\n"
        "    except OSError:\n"
        "        pass",
    ),
    # --- knowing that it is being graded -----------------------------------------------------
    "detects_grading": Attack(
        "A28: be somebody else when the grader looks",
        "import os, sys\n"
        "graded = 'NBGRADER_EXECUTION' in os.environ or 'ipykernel' not in sys.modules",
        answers=returning("X * 0 + 42 if graded else None")
        | {"scale_splits": WRONG["scale_splits"]},
    ),
    "replays_inputs": Attack(
        "A36: remember what came in, and hand it out again",
        "seen = []\ndef replay(X):\n    seen.append(X.copy())\n    return seen[0]",
        answers=returning("replay(X)")
        | {"scale_splits": "def scale_splits(a, b):\n    return replay(a), replay(b)"},
    ),
    "learns_from_probes": Attack(
        "A37: try another answer at every call",
        "import numpy as np\ncalls = 0\n"
        "def guess(X):\n"
        "    global calls\n"
        "    calls += 1\n"
        "    return (None, 42, X, X[0], [1.0], X.tolist())[calls % 6]",
        answers=returning("guess(X)")
        | {
            "scale_splits": "def scale_splits(a, b):\n    return guess(a), guess(b)",
            "Scaler": WRONG["Scaler"],
        },
    ),
    "leaks_inputs": Attack(
        "A37: have the error message tell the hidden inputs",
        "def tell(X):\n    raise ValueError(repr(X.tolist()))",
        answers=returning("tell(X)")
        | {"scale_splits": "def scale_splits(a, b):\n    return tell(b)"},
    ),
    "changes_inputs": Attack(
        "A38: make the inputs fit the answer",
        "def spoil(X):\n    X[...] = 42\n    return 42",
        answers=returning("spoil(X)")
        | {
            "scale_splits": "def scale_splits(a, b):\n    return spoil(a), spoil(b)",
            "Scaler": WRONG["Scaler"],
        },
    ),
    "resizes_inputs": Attack(
        "A38: hand the inputs back with another shape and dtype",
        "def spoil(X):\n"
        "    try:\n"
        "        X.dtype = 'complex128'\n"
        "        X.shape = (-1,)\n"
        "    except Exception:\n"
        "        X.setflags(write=False)\n"
        "    return 42",
        answers=returning("spoil(X)")
        | {
            "scale_splits": "def scale_splits(a, b):\n    return spoil(a), spoil(b)",
            "Scaler": WRONG["Scaler"],
        },
    ),
    # --- time, memory, noise -----------------------------------------------------------------
    "loops_everywhere": Attack(
        "A15: wait in every exercise",
        "def forever():\n    while True:\n        pass",
        answers=returning("forever()"),
    ),
    "sleeps_everywhere": Attack(
        "A16: sleep through every deadline",
        "import time\n"
        "def rest():\n"
        "    while True:\n"
        "        try:\n"
        "            time.sleep(60)\n"
        "        except BaseException:\n"
        "            pass",
        answers=returning("rest()"),
    ),
    "sleeping_cells": Attack(
        "A15: cells that never end, one after the other",
        "while True: pass",
        after="while True: pass",
    ),
    "slow_replay": Attack(
        "take time again whenever the notebook is begun anew",
        "import time\ntime.sleep(0.8)",
        answers=returning("__import__('os')._exit(0)"),
    ),
    "exits": Attack("A13: leave", answers=returning("__import__('os')._exit(0)")),
    "exits_in_a_cell": Attack("A13: leave early", "import os\nos._exit(0)"),
    "system_exit": Attack("A14: leave politely", answers=returning("exit()")),
    "system_exit_in_a_cell": Attack("A14: leave politely, early", "raise SystemExit(0)"),
    "interrupt": Attack(
        "an exception that graders let through",
        "def stop():\n    raise KeyboardInterrupt",
        answers=returning("stop()"),
    ),
    "generator_exit": Attack(
        "another one",
        "def stop():\n    raise GeneratorExit",
        answers=returning("stop()"),
    ),
    "recursion": Attack(
        "fill the stack", "def deep(n=0):\n    return deep(n + 1)", answers=returning("deep()")
    ),
    "segmentation_fault": Attack(
        "crash the interpreter", "import ctypes", answers=returning("ctypes.string_at(0)")
    ),
    "memory": Attack("A18: eat all memory", "", returning("bytearray(10**12)")),
    "flood": Attack(
        "A20: print without end",
        "def flood():\n    while True:\n        print('x' * 10_000)",
        returning("flood()"),
    ),
    "flood_in_a_cell": Attack("A20: the same in a cell", "while True:\n    print('x' * 10_000)"),
    "fills_the_disk": Attack(
        "A21: write without end",
        "with open('big', 'wb') as file:\n    while True:\n        file.write(bytes(1 << 20))",
    ),
    "nameless_files": Attack(
        "the same in files that nobody finds",
        "import mmap, os\nkept = []\n"
        "def fill():\n"
        "    for i in range(20):\n"
        "        fd = os.open('big', os.O_CREAT | os.O_RDWR)\n"
        "        os.unlink('big')\n"
        "        os.write(fd, bytes(1 << 22))\n"
        "        kept.append(mmap.mmap(fd, 4096))\n"
        "        os.close(fd)\n"
        "fill()",
    ),
    "slow_pages": Attack(
        "what feedback takes an hour to show: blank lines, dots, colours",
        "print('\\x1b[31mx' * 100_000)\nx = (1" + "\n" * 20_000 + ")",
        after="a." * 20_000,
    ),
    "empty_outputs": Attack(
        "outputs without a letter in them, more than a notebook can hold",
        "import sys\n"
        "none = {'output_type': 'stream', 'name': 'stdout', 'text': ''}\n"
        "sys.stdout._outputs.take = lambda: [none] * 50_000",
    ),
    "long_code": Attack(
        "a cell that takes long to be read, and a gigabyte", f"x = [{'0,' * 450_000}]"
    ),
    "many_warnings": Attack(
        "warn without end",
        "import warnings\nwarnings.simplefilter('always')\n"
        "def warn():\n    for i in range(3_000):\n        warnings.warn('w' * 50)\n    return 42",
        answers=returning("warn()"),
    ),
    # --- too much to hand over ---------------------------------------------------------------
    "huge_array": Attack("A35: 400 MB", "import numpy as np", returning("np.zeros((50, 10**6))")),
    "endless_strides": Attack(
        "A35: an array that is larger than it is",
        "import numpy as np",
        returning("np.broadcast_to(0.0, (10**9, 10**9))"),
    ),
    "long_axes": Attack(
        "an array of nothing, whose sums have gigabytes",
        "import numpy as np",
        returning("np.zeros((0, 10**8))"),
    ),
    "outer_sum": Attack(
        "two answers that are small, and whose difference is not",
        "import numpy as np\n"
        "def spread(X):\n    return np.ones((20_000, 2) if X.shape[1] == 4 else 20_000)",
        returning("spread(X)")
        | {"scale_splits": "def scale_splits(a, b):\n    return spread(a), spread(b)"},
    ),
    "large_arrays": Attack(
        "as much as may be sent, in every answer",
        "import numpy as np",
        returning("np.zeros((2_800, 2_800))"),
    ),
    "many_dimensions": Attack("64 axes", "import numpy as np", returning("np.zeros((1,) * 64)")),
    "self_containing_list": Attack(
        "a list in itself", "loop = []\nloop.append(loop)", returning("loop")
    ),
    "long_integer": Attack("a number of 300 kB", "", returning("10 ** 300_000")),
    "long_text": Attack("a text of 100 MB", "", returning("'x' * 10**8")),
    "many_handles": Attack("a million objects", "", returning("[object() for _ in range(10**6)]")),
    "object_array": Attack(
        "A29: something that has to be unpickled",
        "import numpy as np, os\nclass Bomb:\n    def __reduce__(self): return os._exit, (0,)",
        returning("np.array([Bomb()] * 28).reshape(7, 4)"),
    ),
    "odd_dtypes": Attack(
        "arrays of dates, records and texts",
        "import numpy as np, itertools\n"
        "kinds = itertools.cycle(['M8[s]', 'm8[s]', 'U3', 'S3', 'O', 'f2', 'c8', '>f8', '?'])",
        returning("np.full((7, 4), 42).astype(next(kinds))"),
    ),
    "empty_arrays": Attack(
        "nothing is within every tolerance", "import numpy as np", returning("np.zeros((0, 4))")
    ),
    "lone_surrogates": Attack("text that cannot be written", "", returning("chr(0xD800) * 9")),
    # --- exceptions --------------------------------------------------------------------------
    "evil_message": Attack(
        "an exception whose text cannot be made",
        "class Evil(Exception):\n    def __str__(self): raise self\n    __repr__ = __str__\n"
        "def fail():\n    raise Evil",
        answers=returning("fail()"),
    ),
    "evil_message_exits": Attack(
        "an exception whose text ends Python",
        "import os\nclass Evil(Exception):\n    def __str__(self): os._exit(0)\n"
        "def fail():\n    raise Evil",
        answers=returning("fail()"),
    ),
    "long_message": Attack(
        "an exception that has a lot to say",
        "def fail():\n    raise ValueError('x' * 10**7)",
        answers=returning("fail()"),
    ),
    "marked_up_message": Attack(
        "an exception in a terminal's, a spreadsheet's and a browser's language",
        "def fail():\n"
        "    raise ValueError('=1+1 [/red] [bold link=file:///etc/passwd]x \\x1b[2J\\x1b]0;x\\x07"
        " <script>alert(1)</script>')",
        answers=returning("fail()"),
    ),
    "caused_by_itself": Attack(
        "an exception that is its own cause",
        "def fail():\n    error = ValueError('x')\n    error.__cause__ = error\n"
        "    error.__context__ = error\n    raise error",
        answers=returning("fail()"),
    ),
    "borrowed_exception": Attack(
        "an exception that looks like one of the judge's",
        "class Failure(Exception):\n    verdict = 'PASS'\n    kinds = ()\n    message = ''\n"
        "def fail():\n    raise Failure('PASS')",
        answers=returning("fail()"),
    ),
    "assertion": Attack(
        "an exception that tests wait for",
        "def fail():\n    raise AssertionError('all good')",
        answers=returning("fail()"),
    ),
    "long_class_names": Attack(
        "an exception with a name like a book",
        "def fail():\n    raise type('<img src=x onerror=alert(1)>' * 10_000, (Exception,), {})()",
        answers=returning("fail()"),
    ),
    # --- the worker itself -------------------------------------------------------------------
    "forged_reply": Attack(
        "answer the judge's questions before they are asked",
        SOCKET + "for s in mine:\n"
        "    text = json.dumps({'id': '0', 'value': 7.0, 'outputs': []}).encode()\n"
        "    s.sendall(len(text).to_bytes(4, 'big') + bytes(4) + text)",
    ),
    "closed_socket": Attack(
        "hang up", SOCKET + "def hang_up():\n    [s.close() for s in mine]", returning("hang_up()")
    ),
    "garbage_on_the_wire": Attack(
        "talk nonsense",
        SOCKET + "def babble():\n    [s.sendall(b'\\xff' * 100_000) for s in mine]",
        returning("babble()"),
    ),
    "patched_worker": Attack(
        "have the worker answer 7.0 to everything",
        "import gc\n"
        "gc.unfreeze()\n"
        "for o in gc.get_objects():\n"
        "    if type(o).__name__ == '_Server':\n"
        "        for key in o._operations:\n"
        "            o._operations[key] = lambda *args: 7.0",
    ),
    "dead_parent": Attack(
        "A17: end the grader",
        "import os, signal\n"
        "for pid in (os.getppid(), 1, -1):\n"
        "    try:\n"
        "        os.kill(pid, signal.SIGKILL)\n"
        "    except Exception:\n"
        "        pass",
    ),
    "fork_bomb": Attack(
        "A19: too many processes",
        "import os\nwhile True:\n    try:\n        os.fork()\n    except Exception:\n        break",
    ),
    "thread": Attack(
        "A33: a thread that changes what is being looked at",
        "import threading, time\n"
        "def work():\n"
        "    while True:\n"
        "        time.sleep(0.001)\n"
        "        globals().update(check=lambda *a, **k: 7.0)\n"
        "threading.Thread(target=work, daemon=True).start()",
    ),
    "exit_handler": Attack(
        "A33: write a result when Python ends",
        "import atexit\n"
        "atexit.register(lambda: open('results.json', 'w').write('{\"score\": 99}'))\n"
        "open('/tmp/left_for_the_next_one', 'w').write('x')",
    ),
    "left_behind": Attack(
        "what the one before left for the next one",
        "import os\nfound = [p for p in ('/tmp/left_for_the_next_one', 'results.json', 'numpy.py')"
        " if os.path.exists(p)]\n"
        "assert not found, found",
    ),
    # --- what is asked ahead ------------------------------------------------------------------
    "null_ahead": Attack(
        "say of all that was sent ahead that it is done, and gave nothing",
        SERVER + "steps, honest = above('_ahead', 'header')['steps'], server.reply\n"
        "def lie(header, parts=None):\n"
        "    if 'done' in header:\n"
        "        cells = iter([row for row in header['done'] if type(row) is dict])\n"
        "        header['done'], parts = [], []\n"
        "        for step in steps:\n"
        "            if type(step) is list:\n"
        "                parts.append(json.dumps([None] * len(step[1])).encode())\n"
        "                row = [len(step[1]), len(parts[-1]), 0, 0, 0, None]\n"
        "            else:\n"
        "                row = next(cells, {'value': ['d'], 'changed': [], 'outputs': []})\n"
        "            header['done'].append(row)\n"
        "    honest(header, parts)\n"
        "server.reply = lie",
    ),
    "inputs_ahead": Attack(
        "look in what was sent ahead for a table that is standardized already",
        SERVER + "import numpy as np\n"
        "def find(X):\n"
        "    body = bytes(above('_ahead', 'body') or b'')\n"
        "    for start in range(0, len(body) - X.nbytes, 16):\n"
        "        Z = np.frombuffer(body[start : start + X.nbytes]).reshape(X.shape)\n"
        "        if abs(Z.mean()) < 1e-9 and Z.any():\n"
        "            return Z.copy()\n"
        "    return 42",
        answers=returning("find(X)") | {"scale_splits": WRONG["scale_splits"]},
    ),
    "handles_of_nothing": Attack(
        "answer with handles that were never given out",
        SERVER + "honest = server._perform\n"
        "def perform(header, body):\n"
        "    reply, parts = honest(header, body)\n"
        "    if header['op'] != 'cell':\n"
        "        reply = {'value': ['r', 99_999, 'function'], 'changed': []}\n"
        "    return reply, parts\n"
        "server._perform = perform",
    ),
    # --- having the grader blame itself -------------------------------------------------------
    "an_exception_of_no_class": Attack(
        "fail as only the grader does: without an exception",
        SERVER
        + "server._perform = lambda header, body: ({'error': {'kinds': [], 'traceback': '',\n"
        "    'message': 'the reference itself failed'}}, [])",
    ),
    "faults_of_the_grader": Attack(
        "exceptions with the names and words of faults that leave a grade open",
        "import itertools\n"
        "words = itertools.cycle(['the parent of the workers is gone', \"has no 'Failure'\",\n"
        "    'the graded cell fails with the solution, too: x', 'grading took more than 300 s'])\n"
        "names = itertools.cycle(['Lost', 'OutOfTime', 'ImportError', 'NameError', 'TypeError',\n"
        "    'UnknownExercise', 'CourseError', 'INTERNAL', 'KeyboardInterrupt'])\n"
        "def fail():\n    raise type(next(names), (BaseException,), {'name': 'np'})(next(words))",
        answers=returning("fail()"),
    ),
    # --- Python's own machinery ---------------------------------------------------------------
    "audit_hook": Attack(
        "a hook that cannot be taken away again",
        "import sys\ndef hook(event, args):\n"
        "    if event.startswith(('socket', 'object')):\n        raise SystemExit\n"
        "sys.addaudithook(hook)",
    ),
    "clock": Attack(
        "a clock that rings all the time, and a trace of every line",
        "import signal, sys\nsignal.setitimer(signal.ITIMER_PROF, 1e-4, 1e-4)\n"
        "sys.settrace(lambda *args: None)",
    ),
    # --- numbers ------------------------------------------------------------------------------
    "hardly_any_number": Attack(
        "numbers whose squares are 0, or infinite, and sums that cancel",
        "import itertools, numpy as np\nsizes = itertools.cycle([5e-324, 1.7e308])\n"
        "def odd(X):\n    return np.where(np.indices(X.shape).sum(0) % 2, 1, -1) * next(sizes)",
        answers=returning("odd(X)")
        | {"scale_splits": "def scale_splits(a, b):\n    return odd(a), odd(b)"},
    ),
    "hardly_any_spread": Attack(
        "a table so small that its means are 0 within every tolerance, and its shape is right",
        answers={
            "min_max_scale": "def min_max_scale(X, feature_range=(0, 1)):\n    return 42",
            "mean_normalize": "def mean_normalize(X):\n    return X * 1e-15",
            "standardize": "def standardize(X):\n    return X * 1e-15",
            "Scaler": (
                "class Scaler:\n"
                "    def fit(self, X):\n        return self\n"
                "    def transform(self, X):\n        return X * 1e-15\n"
                "    def inverse_transform(self, Z):\n        return 42"
            ),
            "scale_splits": "def scale_splits(a, b):\n    return a * 1e-15, b * 1e-15",
        },
    ),
    # --- a browser ---------------------------------------------------------------------------
    "scripts_in_outputs": Attack(
        "A32: have the instructor's browser run something",
        "from IPython.display import HTML, Javascript, Markdown, SVG, display\n"
        "class Rich:\n"
        "    def _repr_html_(self): return '<script>alert(1)</script>'\n"
        "    def _repr_javascript_(self): return 'alert(1)'\n"
        "    def _repr_svg_(self): return '<svg onload=alert(1)></svg>'\n"
        "    def _repr_mimebundle_(self, **kwargs):\n"
        "        return {'text/html': '<img src=x onerror=alert(1)>'}\n"
        "    def __repr__(self): return '<script>alert(1)</script>'\n"
        "print('<script>alert(1)</script> \\x1b[31m<img src=x onerror=alert(1)>')\n"
        "display(HTML('<script>alert(1)</script>'), Javascript('alert(1)'),\n"
        "        Markdown('<script>alert(1)</script>'), Rich())\nRich()",
    ),
    "script_in_a_name": Attack(
        "A32: markup in the names of functions",
        "def fail(): pass\nfail.__name__ = fail.__qualname__ = '<script>alert(1)</script>'",
        answers=returning("fail"),
    ),
    "script_as_a_picture": Attack(
        "A32: a picture that is none",
        "class Picture:\n"
        "    def _repr_png_(self): return b'\"><script>alert(1)</script>'\n"
        "Picture()",
    ),
    "not_python": Attack("A24: a cell that is no code", "%%html\n<script>alert(1)</script>"),
    "shell": Attack("magics that reach out", "!touch /tmp/shell\n%run ../solutions.py\n%cd /"),
    "null_bytes": Attack("a cell that no parser reads", "x = 1\0"),
    "deep_code": Attack("a cell that parsers stumble over", "x = " + "-" * 50_000 + "1"),
}
"""Every attack, by its name."""
