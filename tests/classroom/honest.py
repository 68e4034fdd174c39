"""Right answers in the many styles in which people write: each deserves full marks.

A style replaces some answers of a notebook in which all others are right. It may bring a cell above
the answers, and one below everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Style:
    """How somebody wrote right answers.

    Attributes:
        answers: the cells of exercises, by the exercise's name.
        above: a cell above the answers.
        below: a cell below everything.
        needs: a module without which the style makes no sense.
    """

    answers: Mapping[str, str] = field(default_factory=dict)
    above: str = ""
    below: str = ""
    needs: str = ""


STANDARDIZE = "def standardize(X):\n    return z_scores(X)"

Z_SCORES = """
def z_scores(X):
    constant = X.max(axis=0) == X.min(axis=0)
    return (X - X.mean(axis=0)) / np.where(constant, 1, X.std(axis=0))
"""

SCALER = """
class Scaler{bases}:
    def fit(self, X):
        constant = X.max(axis=0) == X.min(axis=0)
        self.mean_ = X.mean(axis=0)
        self.scale_ = np.where(constant, 1, X.std(axis=0))
        return self

    def transform(self, X):
        return (X - self.mean_) / self.scale_

    def inverse_transform(self, Z):
        return Z * self.scale_ + self.mean_
"""

LOOPS = """
def standardize(X):
    Z = np.zeros(X.shape)
    for j in range(X.shape[1]):
        values = [float(v) for v in X[:, j]]
        if all(v == values[0] for v in values):
            continue
        mean = sum(values) / len(values)
        variance = sum((v - mean) ** 2 for v in values) / len(values)
        for i in range(X.shape[0]):
            Z[i, j] = (X[i, j] - mean) / variance ** 0.5
    return Z
"""

EINSUM = """
def standardize(X):
    n = len(X)
    centered = X - np.einsum('ij->j', X) / n
    centered[:, (X == X[0]).all(axis=0)] = 0
    std = np.sqrt(np.einsum('ij,ij->j', centered, centered) / n)
    std[std == 0] = 1
    return np.einsum('ij,j->ij', centered, 1 / std)
"""

BROADCASTING = """
def mean_normalize(X):
    X = np.asarray(X, dtype=float)
    low, high = X.min(0)[None, :], X.max(0)[None, :]
    span = high - low
    return np.divide(X - X.mean(0)[None, :], span, out=np.zeros_like(X), where=span > 0)
"""

STACKED = """
def mean_normalize(X):
    def one(column):
        span = column.max() - column.min()
        return (column - column.mean()) / (span or 1)
    return np.stack([one(column) for column in X.T], axis=1)
"""

APPLY = """
def mean_normalize(X):
    return np.apply_along_axis(lambda c: (c - c.mean()) / (np.ptp(c) or 1), 0, X.astype(float))
"""

PURE_PYTHON = """
def mean_normalize(X):
    columns = list(zip(*X.tolist()))
    new = []
    for column in columns:
        mean = sum(column) / len(column)
        span = max(column) - min(column)
        new.append([(value - mean) / span if span else 0.0 for value in column])
    return np.array(list(zip(*new)))
"""

TYPED = """
from __future__ import annotations
from typing import Any
import numpy.typing as npt

Array = npt.NDArray[np.float64]

def scale_splits(X_train: Array, X_test: Array, *_: Any) -> tuple[Array, Array]:
    scaler: Scaler = Scaler().fit(X_train)
    return scaler.transform(X_train), scaler.transform(X_test)
"""

DATACLASS = """
from dataclasses import dataclass, field

@dataclass
class Scaler:
    mean_: np.ndarray = field(default=None, repr=False)
    scale_: np.ndarray = None

    def fit(self, X):
        self.mean_ = X.mean(axis=0)
        self.scale_ = np.where(np.ptp(X, axis=0) == 0, 1, X.std(axis=0))
        return self

    def transform(self, X):
        return (X - self.mean_) / self.scale_

    def inverse_transform(self, Z):
        return Z * self.scale_ + self.mean_
"""

PROPERTIES = """
class Scaler:
    def fit(self, X):
        self._X = np.array(X, dtype=float)
        return self

    @property
    def mean(self):
        return self._X.mean(axis=0)

    @property
    def scale(self):
        constant = (self._X == self._X[0]).all(axis=0)
        return np.where(constant, 1.0, self._X.std(axis=0))

    def transform(self, X):
        return (X - self.mean) / self.scale

    def inverse_transform(self, Z):
        return Z * self.scale + self.mean
"""

SLOTS = """
class Scaler:
    __slots__ = ('a', 'b')

    def fit(self, X, y=None):
        self.a = X.mean(axis=0)
        self.b = np.array([s if hi > lo else 1 for s, hi, lo in
                           zip(X.std(axis=0), X.max(axis=0), X.min(axis=0))])
        return self

    def transform(self, X, copy=True):
        return np.subtract(X, self.a) / self.b

    def inverse_transform(self, Z):
        return np.multiply(Z, self.b) + self.a
"""

ABSTRACT = """
from abc import ABC, abstractmethod

class Base(ABC):
    @abstractmethod
    def statistics(self, X): ...

    def fit(self, X):
        self.center, self.spread = self.statistics(X)
        return self

    def transform(self, X):
        return (X - self.center) / self.spread

    def inverse_transform(self, Z):
        return Z * self.spread + self.center

class Scaler(Base):
    def statistics(self, X):
        constant = X.max(axis=0) == X.min(axis=0)
        return X.mean(axis=0), np.where(constant, 1, X.std(axis=0))
"""

DICT = """
class Scaler(dict):
    def fit(self, X):
        constant = X.max(axis=0) == X.min(axis=0)
        self.update(mean=X.mean(axis=0), scale=np.where(constant, 1, X.std(axis=0)))
        return self

    def transform(self, X):
        return (X - self["mean"]) / self["scale"]

    def inverse_transform(self, Z):
        return Z * self["scale"] + self["mean"]
"""

CLOSURE = """
def Scaler():
    class Object:
        pass
    self = Object()
    def fit(X):
        self.mean = X.mean(axis=0)
        self.std = np.where(X.max(axis=0) == X.min(axis=0), 1, X.std(axis=0))
        return self
    self.fit = fit
    self.transform = lambda X: (X - self.mean) / self.std
    self.inverse_transform = lambda Z: Z * self.std + self.mean
    return self
"""

CALLABLE = """
class MinMax:
    def __init__(self, default):
        self.default = default

    def __call__(self, X, feature_range=None):
        a, b = feature_range or self.default
        low, high = X.min(axis=0), X.max(axis=0)
        return a + (b - a) * (X - low) / np.where(high == low, 1, high - low)

min_max_scale = MinMax((0, 1))
"""

PARTIAL = """
from functools import partial

def scale(low, high, X, feature_range=(0, 1)):
    a, b = feature_range
    lows, highs = low(X, axis=0), high(X, axis=0)
    return (X - lows) / np.where(highs == lows, 1, highs - lows) * (b - a) + a

min_max_scale = partial(scale, np.min, np.max)
"""

DECORATED = """
import functools

def logged(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        print('calling', function.__name__)
        return function(*args, **kwargs)
    return wrapper

@logged
def mean_normalize(X):
    span = X.max(axis=0) - X.min(axis=0)
    return (X - X.mean(axis=0)) / np.where(span == 0, 1, span)
"""

CACHED = """
from functools import cache

@cache
def lengths(n):
    return list(range(n))

def mean_normalize(X):
    rows = lengths(len(X))
    span = X[rows].max(axis=0) - X[rows].min(axis=0)
    return (X - X.mean(axis=0)) / np.where(span == 0, 1, span)
"""

TORCH = """
import torch

def standardize(X):
    T = torch.tensor(np.asarray(X, dtype=float))
    constant = T.amax(dim=0) == T.amin(dim=0)
    std = T.std(dim=0, unbiased=False)
    return ((T - T.mean(dim=0)) / torch.where(constant, torch.ones_like(std), std)).numpy()
"""

SKLEARN = """
from sklearn.preprocessing import StandardScaler

def scale_splits(X_train, X_test):
    scaler = StandardScaler().fit(X_train)
    return scaler.transform(X_train), scaler.transform(X_test)
"""

NOISY = """
import warnings

def standardize(X):
    print('standardize', X.shape)
    warnings.warn('is this right?', DeprecationWarning)
    with np.errstate(all='warn'):
        Z = (X - X.mean(axis=0)) / X.std(axis=0)
    Z[:, X.max(axis=0) == X.min(axis=0)] = 0
    return Z
"""

PLOTTING = """
import matplotlib.pyplot as plt

def standardize(X):
    Z = z_scores(X)
    fig, ax = plt.subplots()
    ax.scatter(X[:, 0], Z[:, 0])
    return Z

standardize(wine)
plt.show()
"""

ITERATIVE = """
def welford(X):
    mean, m2 = np.zeros(X.shape[1]), np.zeros(X.shape[1])
    for n, row in enumerate(X, start=1):
        delta = row - mean
        mean = mean + delta / n
        m2 = m2 + delta * (row - mean)
    return mean, np.sqrt(m2 / len(X))

def standardize(X):
    mean, std = welford(X.astype(float))
    constant = X.max(axis=0) == X.min(axis=0)
    return np.where(constant, 0.0, X - mean) / np.where(constant, 1, std)
"""

RECURSIVE = """
def minimum(values):
    return values[0] if len(values) == 1 else min(values[0], minimum(values[1:]))

def maximum(values):
    return -minimum([-v for v in values])

def min_max_scale(X, feature_range=(0, 1)):
    a, b = feature_range
    columns = []
    for column in X.T.tolist():
        low, high = minimum(column), maximum(column)
        columns.append([a + (b - a) * (v - low) / (high - low) if high > low else a
                        for v in column])
    return np.array(columns, dtype=float).T
"""

MATMUL = """
def mean_normalize(X):
    n = len(X)
    centering = np.eye(n) - np.ones((n, n)) / n
    span = np.ptp(X, axis=0)
    constant = span == 0
    Z = centering @ X / np.where(constant, 1, span)
    return np.where(constant, 0, Z)
"""

TRY = """
def min_max_scale(X, feature_range=(0, 1)):
    low, high = feature_range
    try:
        assert X.ndim == 2
    except AssertionError as error:
        raise ValueError('X must be a table') from error
    new = np.empty(X.shape, float)
    for j, column in enumerate(X.T):
        match (column.min(), column.max()):
            case (lo, hi) if lo == hi:
                new[:, j] = low
            case (lo, hi):
                new[:, j] = np.interp(column, (lo, hi), (low, high))
    return new
"""

GENERATOR = """
def columns(X):
    yield from (X[:, j].astype(float) for j in range(X.shape[1]))

def mean_normalize(X):
    return np.column_stack([*((c - c.mean()) / (c.max() - c.min() or 1) for c in columns(X))])
"""

WALRUS = """
def mean_normalize(X, /, *, axis=0):
    return (X - X.mean(axis)) / np.where((span := np.ptp(X, axis=axis)) == 0, 1, span)
"""

HONEST = {
    "python_loops": Style({"standardize": LOOPS}),
    "einsum": Style({"standardize": EINSUM}),
    "broadcasting": Style({"mean_normalize": BROADCASTING}),
    "stacked_columns": Style({"mean_normalize": STACKED}),
    "apply_along_axis": Style({"mean_normalize": APPLY}),
    "pure_python": Style({"mean_normalize": PURE_PYTHON}),
    "matrix_product": Style({"mean_normalize": MATMUL}),
    "running_moments": Style({"standardize": ITERATIVE}),
    "recursion": Style({"min_max_scale": RECURSIVE}),
    "match_and_try": Style({"min_max_scale": TRY}),
    "generators": Style({"mean_normalize": GENERATOR}),
    "walrus_and_keyword_only": Style({"mean_normalize": WALRUS}),
    "helper_in_the_same_cell": Style({"standardize": f"{Z_SCORES}\n{STANDARDIZE}"}),
    "helper_in_an_earlier_cell": Style({"standardize": STANDARDIZE}, above=Z_SCORES),
    "helper_in_a_later_cell": Style({"standardize": STANDARDIZE}, below=Z_SCORES),
    "answer_in_an_earlier_cell": Style(
        {"standardize": "# see above"}, above=Z_SCORES + "\n" + STANDARDIZE
    ),
    "answer_in_a_later_cell": Style({"standardize": "pass"}, below=Z_SCORES + STANDARDIZE),
    "stub_kept_and_answered_below": Style(
        {"standardize": "def standardize(X):\n    raise NotImplementedError()"},
        below=Z_SCORES + STANDARDIZE,
    ),
    "redefined_in_the_same_cell": Style(
        {"standardize": f"def standardize(X):\n    return X\n{Z_SCORES}\n{STANDARDIZE}"}
    ),
    "repaired_before_the_test": Style(
        {"standardize": f"{Z_SCORES}\n{STANDARDIZE}"}, above="def standardize(X): return None"
    ),
    "lambda": Style({"standardize": f"{Z_SCORES}\nstandardize = lambda X: z_scores(X)"}),
    "assigned_function": Style({"standardize": f"{Z_SCORES}\nstandardize = z_scores"}),
    "conditional_definition": Style(
        {"standardize": f"{Z_SCORES}\nif True:\n    def standardize(X): return z_scores(X)"}
    ),
    "nested_function": Style(
        {
            "standardize": "def standardize(X):\n"
            + Z_SCORES.replace("\n", "\n    ")
            + "\n    return z_scores(X)"
        }
    ),
    "executed_text": Style({"standardize": f"exec({Z_SCORES + STANDARDIZE!r})"}),
    "calls_other_answers": Style(
        {
            "scale_splits": "def scale_splits(A, B):\n    s = Scaler()\n    s.fit(A)\n"
            "    return s.transform(A), s.transform(B)"
        }
    ),
    "list_for_a_tuple": Style(
        {
            "scale_splits": "def scale_splits(A, B):\n    s = Scaler().fit(A)\n"
            "    return tuple(map(s.transform, (A, B)))"
        }
    ),
    "type_hints": Style({"scale_splits": TYPED}),
    "sklearn": Style({"scale_splits": SKLEARN}, needs="sklearn"),
    "torch": Style({"standardize": TORCH}, needs="torch"),
    "dataclass": Style({"Scaler": DATACLASS}),
    "properties": Style({"Scaler": PROPERTIES}),
    "slots_and_more_arguments": Style({"Scaler": SLOTS}),
    "abstract_base_class": Style({"Scaler": ABSTRACT}),
    "inherits_from_dict": Style({"Scaler": DICT}),
    "object_base_class": Style({"Scaler": SCALER.format(bases="(object)")}),
    "metaclass": Style({"Scaler": SCALER.format(bases="(metaclass=type)")}),
    "closure_for_a_class": Style({"Scaler": CLOSURE}),
    "class_in_an_earlier_cell": Style(
        {"Scaler": "class Scaler(Parent):\n    pass"},
        above=SCALER.format(bases="").replace("Scaler", "Parent"),
    ),
    "callable_instance": Style({"min_max_scale": CALLABLE}),
    "partial": Style({"min_max_scale": PARTIAL}),
    "wraps": Style({"mean_normalize": DECORATED}),
    "cache": Style({"mean_normalize": CACHED}),
    "prints_and_warnings": Style({"standardize": NOISY}),
    "plots": Style({"standardize": Z_SCORES + PLOTTING}),
    "star_import": Style(
        {
            "standardize": "def standardize(X):\n"
            "    return (X - mean(X, 0)) / where(ptp(X, 0) == 0, 1, std(X, 0))"
        },
        above="from numpy import *",
    ),
    "other_name_for_numpy": Style(
        {"standardize": Z_SCORES.replace("np.", "numpy.") + STANDARDIZE}, above="import numpy"
    ),
    "magics": Style(
        above="%matplotlib inline\n%timeit sum(range(10))\n!pip install something\n?np.mean"
    ),
    "cell_magic": Style({"standardize": f"%%time\n{Z_SCORES}\n{STANDARDIZE}"}),
    "scratch_work_that_fails": Style(above="print(undefined)", below="1 / 0"),
    "scratch_work_with_asserts": Style(
        below="assert np.allclose(standardize(wine).mean(axis=0), 0)\nScaler().fit(wine)"
    ),
    "own_check_called": Style(
        below="from autograder import check\nreport = check('standardize', standardize)\n"
        "print(report, float(report), f'{report:.1f}')\nreport"
    ),
    "slow_but_right": Style(
        {
            "standardize": f"import time\n{Z_SCORES}\ndef standardize(X):\n    time.sleep(0.05)\n"
            "    return z_scores(X)"
        }
    ),
    "single_precision_scratch": Style(above="x = np.float32(1.5)\nnp.set_printoptions(2)"),
    "seterr_raise": Style(
        above="np.seterr(all='raise')\nimport warnings\nwarnings.simplefilter('error')"
    ),
    "random_state": Style(above="np.random.seed(0)\nrng = np.random.default_rng()\nrng.normal()"),
    "unicode_names": Style(
        {
            "standardize": "def standardize(X):\n    µ, σ = X.mean(0), X.std(0)\n"
            "    return (X - µ) / np.where(X.max(0) == X.min(0), 1, σ)  # ✓"
        }
    ),
    "tabs_and_windows_lines": Style(
        {"standardize": (Z_SCORES + STANDARDIZE).replace("    ", "\t").replace("\n", "\r\n")}
    ),
    "semicolons": Style({"standardize": f"{Z_SCORES}\n{STANDARDIZE}; 0;"}),
    "awaits": Style(above="import asyncio\nawait asyncio.sleep(0)"),
}
"""Every style, by its name."""
