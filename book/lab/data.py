"""Four small real tables, and seeded ways to split them.

All four come with scikit-learn, so that a page builds without a network. Values are the raw
measurements: nothing is centered or scaled here, because when and how to do that is the subject of
the book.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn import datasets
from sklearn.model_selection import train_test_split
from sklearn.utils import Bunch

Array = NDArray[np.float64]
Target = NDArray[np.int64] | NDArray[np.float64]


@dataclass(frozen=True)
class Table:
    """N samples of D features, and what is to be predicted.

    Attributes
    ----------
    X : (N, D) float64
        One row per sample, one column per feature, in the units of the measurement.
    y : (N,)
        Class numbers 0 … K−1 (int64), or real values (float64) for regression.
    features : D names
        The columns of ``X``.
    classes : K names
        What the class numbers mean; empty for regression.
    """

    X: Array
    y: Target
    features: tuple[str, ...]
    classes: tuple[str, ...] = ()

    def column(self, feature: str) -> Array:
        """Return the (N,) values of one feature, by its name."""
        if feature not in self.features:
            raise ValueError(f"no feature {feature!r}; there are {', '.join(self.features)}")
        return self.X[:, self.features.index(feature)]


@dataclass(frozen=True)
class Split:
    """Rows to learn from, and rows kept aside.

    Attributes
    ----------
    X_train, X_test : (N_train, D) and (N_test, D) float64
    y_train, y_test : (N_train,) and (N_test,)
    """

    X_train: Array
    y_train: Target
    X_test: Array
    y_test: Target


def _table(bunch: Bunch, classification: bool = True) -> Table:
    names = tuple(str(name) for name in bunch.feature_names)
    if not classification:
        return Table(bunch.data.astype(np.float64), bunch.target.astype(np.float64), names)
    classes = tuple(str(name) for name in bunch.target_names)
    return Table(bunch.data.astype(np.float64), bunch.target.astype(np.int64), names, classes)


def wine() -> Table:
    """178 wines from one Italian region, 13 chemical measurements, 3 cultivars.

    ``X`` is (178, 13). The columns live on very different scales: ``proline`` runs from 278 to
    1680, ``hue`` from 0.48 to 1.71. The file states no units. Classes hold 59, 71 and 48 wines.

    Source: UCI Machine Learning Repository, data set "Wine" (1991).
    """
    return _table(datasets.load_wine())


def digits() -> Table:
    """1797 handwritten digits of 8 × 8 pixels, 10 classes.

    ``X`` is (1797, 64); a pixel counts the ink in a 4 × 4 cell and is a whole number from 0 to 16.
    All pixels share one unit. Three of them are 0 in every image.

    Source: UCI Machine Learning Repository, "Optical Recognition of Handwritten Digits" (1998).
    """
    return _table(datasets.load_digits())


def breast_cancer() -> Table:
    """569 breast masses, 30 measurements of their cell nuclei, malignant (0) or benign (1).

    ``X`` is (569, 30): the mean, standard error and worst value of ten quantities, from
    ``mean smoothness`` near 0.1 to ``worst area`` near 900. Classes hold 212 and 357 masses.

    Source: UCI Machine Learning Repository, "Breast Cancer Wisconsin (Diagnostic)" (1995).
    """
    return _table(datasets.load_breast_cancer())


def diabetes() -> Table:
    """442 patients, 10 measurements, and the progress of diabetes one year later (regression).

    ``X`` is (442, 10) in the units of the measurement (age in years, blood pressure, six blood
    serum values …), *not* the prescaled version that scikit-learn serves by default. ``y`` runs
    from 25 to 346.

    Source: Efron, Hastie, Johnstone and Tibshirani, "Least Angle Regression" (2004).
    """
    return _table(datasets.load_diabetes(scaled=False), classification=False)


def split(table: Table, seed: int, test_size: float | int = 0.3) -> Split:
    """Divide a table at random into rows for training and rows for testing.

    Parameters
    ----------
    table : Table
        Classes keep their shares in both parts (stratified); regression tables are just shuffled.
    seed : int
        The same seed gives the same split, on every machine.
    test_size : float or int
        A share of the rows (0.3) or their number (360).
    """
    parts = train_test_split(
        table.X,
        table.y,
        test_size=test_size,
        random_state=seed,
        stratify=table.y if table.classes else None,
    )
    X_train, X_test, y_train, y_test = parts
    return Split(X_train, y_train, X_test, y_test)


def splits(table: Table, seeds: Iterable[int], test_size: float | int = 0.3) -> list[Split]:
    """Return one :func:`split` per seed."""
    return [split(table, seed, test_size) for seed in seeds]


class Transformer(Protocol):
    """What scikit-learn's transformers can do: learn from some rows, then change any rows."""

    def fit_transform(self, X: Array) -> Array:
        """Learn from ``X``, and return it changed."""

    def transform(self, X: Array) -> Array:
        """Return ``X`` changed in the same way."""


def scaled(part: Split, scaler: Transformer) -> Split:
    """Fit a scaler on the training rows, and apply it to both parts."""
    X_train = scaler.fit_transform(part.X_train)
    return Split(X_train, part.y_train, scaler.transform(part.X_test), part.y_test)


def stack(parts: Sequence[Split]) -> Split:
    """Stack R splits of equal sizes along a new first axis, for runs side by side.

    Returns arrays of the shapes (R, N_train, D), (R, N_train), (R, N_test, D) and (R, N_test).
    """
    return Split(
        np.stack([part.X_train for part in parts]),
        np.stack([part.y_train for part in parts]),  # type: ignore[arg-type]
        np.stack([part.X_test for part in parts]),
        np.stack([part.y_test for part in parts]),  # type: ignore[arg-type]
    )


def center_and_rescale(part: Split) -> Split:
    """Center every feature, then divide *all* of them by one number.

    The right treatment when all features share a unit, as pixels do: the relations between their
    spreads survive. The D means and the one standard deviation (of all centered training values,
    dividing by their number) come from the training rows alone; both parts are then transformed
    with them.
    """
    mean = part.X_train.mean(axis=0)
    std = (part.X_train - mean).std()
    return Split((part.X_train - mean) / std, part.y_train, (part.X_test - mean) / std, part.y_test)
