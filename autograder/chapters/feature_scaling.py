"""Feature scaling: what its exercises ask, and the mistakes that people make in them.

``X`` is a table of N rows (samples) and D columns (features), shape (N, D). Every formula here is
per column. References agree with scikit-learn's ``MinMaxScaler`` and ``StandardScaler``.

The code of mistakes and alternatives is written as students write it, and stands alone: it uses
nothing but NumPy and its arguments.
"""

import numpy as np

from autograder.exercise import (
    Argument,
    Chapter,
    Exercise,
    Explained,
    Tolerance,
    mistake,
    probe,
)

# A column that is constant but for rounding may come out as 1e-17 / 1: that is 0 here. So is the
# mean of a column whose entries were rounded to float32 at the end.
TOLERANCE = Tolerance(relative=1e-6, absolute=1e-7)

ANY_DIVISOR = "a constant column is 0 before the division, and 0 divided by anything is 0"

ZERO_DIVISION_HINT = (
    "A column that never varies has no spread to divide by: 0/0 is NaN. Replace a spread of zero "
    "by 1 before you divide; the column then becomes constant, and stays finite."
)
COMPUTED_ZERO_HINT = (
    "A constant column's *computed* deviation may be 1e-15, so `std == 0` can be False. Ask whether "
    "max and min are equal, and use 1 there."
)
IN_PLACE_HINT = (
    "`X -= m`, `X /= s` and `X[:] = ...` write into the caller's array, and the caller will "
    "use it again. `X - m` makes a new array."
)
WHOLE_NUMBER_HINT = (
    "`zeros_like(X)` and `X.copy()` take over the dtype of X; if X holds whole numbers, every "
    "result loses its decimals. Let the arithmetic make the array, or ask for dtype=float."
)
ROWS_HINT = (
    "A feature is a column: its statistics run down the rows, along axis 0, and there is one for "
    "each of the D columns."
)
WHOLE_MATRIX_HINT = (
    "Without `axis=0`, NumPy reduces the whole table to one number, so that the feature with the "
    "largest unit decides for all. Each column needs its own statistics."
)
RANGE_PARENTHESES_HINT = (
    "Division binds before subtraction: `x / high - low` is `(x / high) - low`. Put the range, "
    "high - low, in parentheses."
)
EPSILON_HINT = (
    "A constant added to the spread changes every answer a little, and a feature in small "
    "units a lot: with a spread of 1e-6, an epsilon of 1e-8 is one per cent. Treat a column "
    "that never varies as the special case that it is: its max and min are equal."
)
KEPT_EPSILON_HINT = (
    "A constant beside the deviation, or a floor under it, changes what becomes of features "
    "in small units. Leave it out: use 1 where a column's max and min are equal, and the "
    "deviation itself elsewhere."
)
FLOOR_HINT = (
    "Small is not zero: lengths of nanometres, in metres, lie 1e-9 apart. `spread < 1e-8` and "
    "`np.isclose(spread, 0)` know nothing of units; ask whether the column's max and min are equal."
)
SAMPLE_HINT = (
    "The population formula is asked here, which divides by N. `np.std` does so by default; "
    "`ddof=1`, and the `.std()` of pandas, divide by N - 1."
)


SPREAD = np.array([1.0, 3.0, 15.0, 300.0])
CENTER = np.array([1.0, -3e3, 2e4, 3e5])  # most are so far from 0 that float32 surely shows


def table(rng, rows=7):
    """A table like the wine data: four features, whose units lie far apart."""
    return rng.standard_normal((rows, 4)) * SPREAD + CENTER


# The least deviation that a scaled column may have where only its mean is asked for: it must be
# large beside the tolerance. All that the wrong divisors of beginners leave is larger.
LEAST = 1e-6


def correlations(X, Z):
    """The correlation of each column of Z with the same column of X.

    It is 1 for a column that was only moved and stretched, whatever by. Probes that ask for a mean or
    a deviation ask for it too: otherwise an invented table with the right mean would do. It is NaN
    for a column that hardly varies: any mean of it is as good as 0, as that of ``X * 1e-15`` is.
    """
    if Z.shape != X.shape:
        raise ValueError(f"the result has shape {Z.shape}, the table {X.shape}")
    # A class of a thousand asks for this 24,000 times: `mean` and `**` take twice as long.
    dX, dZ = X - np.add.reduce(X) / len(X), Z - np.add.reduce(Z) / len(Z)
    with np.errstate(invalid="ignore", divide="ignore"):
        varied = np.add.reduce(dZ * dZ)
        found = np.add.reduce(dX * dZ) / np.sqrt(np.add.reduce(dX * dX) * varied)
    return np.where(varied > LEAST**2 * len(Z), found, np.nan)


def with_constant_column(rng, value, rows=7):
    """A table whose second column has the same value in every row."""
    X = table(rng, rows)
    X[:, 1] = value
    return X


def without(X):
    """The table without its second column, the one that `with_constant_column` makes constant."""
    return np.delete(X, 1, axis=1)


def are_numbers_like(expected, got):
    """Whether a result, which may be anything, is an array of finite numbers of the expected shape."""
    return (
        isinstance(got, np.ndarray)
        and got.dtype.kind == "f"
        and got.shape == np.shape(expected)
        and bool(np.isfinite(got).all())
    )


def explained_spread(X, scaled):
    """A scaled table that can say by how much its divisors differ from the columns' spreads.

    Whatever the spread is (a range, a deviation), it is the range of X over that of the result. A
    constant that was added to it, or a floor under it, is the same number in all columns.
    """

    def explain(expected, got):
        if not are_numbers_like(expected, got):
            return ""
        with np.errstate(all="ignore"):
            right = np.ptp(X, axis=0) / np.ptp(expected, axis=0)
            yours = np.ptp(X, axis=0) / np.ptp(got, axis=0)
            added, floor = yours - right, yours[yours > 1.001 * right]
        if not (np.isfinite(yours).all() and (added > -1e-9 * right).all()):
            return ""
        # Beside columns that vary this little, a divisor of about 1 is rather one spread for all.
        if 0 < added.min() < 0.1 and np.ptp(added) < 1e-3 * added.min():
            return f"It is as if {added.mean():.3g} were added to the spread of each column."
        floored = len(floor) > 1 and np.ptp(floor) < 1e-6 * floor.min()
        if floored and floor.mean() < 0.999 * right.max():  # and not one spread for all
            return f"It is as if no spread could be smaller than {floor.mean():.3g}."
        return ""

    return Explained(scaled, explain)


def explained_residue(column):
    """A scaled column that was constant; it can say that what is left of it is rounding."""

    def explain(expected, got):
        if are_numbers_like(expected, got) and np.abs(got).max() < 0.01:
            return (
                "What is left of this column after centering is rounding, and its divisor is nearly "
                "as small, with or without a small constant in it. Divide such a column by 1."
            )
        return ""

    return Explained(column, explain)


def in_small_units(rng, rows=7):
    """A table whose features are measured in units so large that most differ by about 1e-9.

    Their deviations are given: whether an epsilon or a floor shows beside them is no luck. Nor is it
    whether float32 shows beside their means.
    """
    X = table(rng, rows)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    # The values of the last column lie less than 1e-9 apart.
    return X * np.array([1e-5, 1e-9, 1e-9, 2.5e-10]) + np.array([2e-4, 1e-7, 1e-7, 1e-7])


def beside_one(rng):
    """A table of numbers near 1 that lie about 1e-9 apart, as the notebook says that they may.

    Eight such numbers have a mean and deviations without rounding, in whatever way they are found.
    """
    steps = rng.permuted(np.tile(np.arange(8), (4, 1)), axis=1).T * np.array([2, 3, 4, 5])
    return 1 + steps * 2.0**-33


def beside_the_first(X, scaled):
    """The columns' deviations, divided by the first one's: a common factor is asked for elsewhere.

    They can say what was added to the divisors, or how small these could be: it is the same in all
    columns.
    """

    def explain(expected, got):
        if not are_numbers_like(expected, got):
            return ""
        with np.errstate(all="ignore"):
            std = X.std(axis=0)
            floor = (std / got)[1:]
            added = (floor - std[1:]) / (1 - floor / std[0])
        if not np.isfinite([floor, added]).all():
            return ""
        if np.ptp(floor) < 1e-6 * floor.min() and floor.mean() < 0.999 * std[0]:
            return f"It is as if no deviation could be smaller than {floor.mean():.3g}."
        if 0 < added.min() < 0.1 and np.ptp(added) < 1e-3 * added.min():
            return f"It is as if {added.mean():.3g} were added to the deviation of each column."
        return ""

    std = scaled.std(axis=0)
    return Explained(std / std[0], explain)


def whole_numbers(rng):
    """A table of counts, with dtype int64."""
    return rng.permuted(np.arange(24).reshape(6, 4) * np.array([1, 3, 10, 100]), axis=0)


# --- min_max_scale ---------------------------------------------------------------------------


def min_max_scale(X, feature_range=(0, 1)):
    a, b = feature_range
    low = X.min(axis=0)
    span = X.max(axis=0) - low
    span = np.where(span == 0, 1, span)
    return a + (b - a) * (X - low) / span


@probe(2)
def each_column_spans_the_range(f, rng):
    """The smallest value of each column becomes 0, the largest 1, and the rest keep their proportions."""
    scaled = f(table(rng))
    return {
        "the column minima": scaled.min(axis=0),
        "the column maxima": scaled.max(axis=0),
        "the scaled table": scaled,
    }


@probe(1)
def any_range(f, rng):
    """With `feature_range=(a, b)`, each column runs from a to b."""
    scaled = f(table(rng), feature_range=(-2, 5))
    return {
        "the column minima for (-2, 5)": scaled.min(axis=0),
        "the column maxima for (-2, 5)": scaled.max(axis=0),
        "the table scaled to (-2, 5)": scaled,
    }


@probe(1)
def constant_column_becomes_the_lower_bound(f, rng):
    """A column that never varies becomes the lower bound of the range, not NaN."""
    X = with_constant_column(rng, 8.1, rows=12)  # its computed deviation is not 0
    unit = f(X.copy())
    return {
        "the constant column for (0, 1)": unit[:, 1],
        "the constant column for (-2, 5)": f(X.copy(), feature_range=(-2, 5))[:, 1],
        "the change of the other columns when the constant one is there": without(unit)
        - f(without(X)),
    }


@probe(1)
def takes_whole_numbers(f, rng):
    """A table of whole numbers is scaled to fractions, too."""
    return {"the result for whole numbers": f(whole_numbers(rng))}


@probe(1)
def leaves_its_input_alone(f, rng):
    """The table that you are given is left as it was, and the result is right."""
    X = table(rng)
    scaled = f(X)
    return {"X": Argument(X), "the result": scaled}


@probe(1, hidden=True)
def small_units(f, rng):
    """A feature that varies by very little (about 1e-9) is scaled as exactly as any other."""
    X = in_small_units(rng, rows=8)
    scaled = f(np.hstack([X, beside_one(rng)]))  # one question: a class of a thousand has three
    return {
        "the result for small numbers": explained_spread(X, scaled[:, :4]),
        "the result for numbers near 1 that lie 1e-9 apart": scaled[:, 4:],
    }


@mistake(hint=WHOLE_MATRIX_HINT)
def min_max_of_the_whole_matrix(X, feature_range=(0, 1)):
    """The minimum and maximum are those of the whole table, not of each column."""
    a, b = feature_range
    return a + (b - a) * (X - X.min()) / (X.max() - X.min())


@mistake(earns=1, hint=WHOLE_MATRIX_HINT)
def min_max_with_one_range(X, feature_range=(0, 1)):
    """Each column's minimum is subtracted, but all are divided by the range of the whole table."""
    a, b = feature_range
    return a + (b - a) * (X - X.min(axis=0)) / (X.max() - X.min())


@mistake(hint=WHOLE_MATRIX_HINT)
def min_max_with_one_minimum(X, feature_range=(0, 1)):
    """The minimum is that of the whole table; only the maximum is that of each column."""
    a, b = feature_range
    return a + (b - a) * (X - X.min()) / (X.max(axis=0) - X.min())


@mistake(hint=ROWS_HINT)
def min_max_of_rows(X, feature_range=(0, 1)):
    """Each row is scaled by its own minimum and maximum, where each column should be."""
    a, b = feature_range
    low = X.min(axis=1, keepdims=True)
    high = X.max(axis=1, keepdims=True)
    return a + (b - a) * (X - low) / (high - low)


@mistake(
    earns=5, hint="`feature_range` holds a and b: stretch [0, 1] by b - a, then shift it by a."
)
def ignores_the_range(X, feature_range=(0, 1)):
    """The result is in [0, 1] whatever `feature_range` asks for."""
    low = X.min(axis=0)
    span = X.max(axis=0) - low
    span = np.where(span == 0, 1, span)
    return (X - low) / span


@mistake(
    earns=5, hint="A range of the right length still has to begin at a. What is missing is a sum."
)
def forgets_to_shift_to_the_lower_bound(X, feature_range=(0, 1)):
    """The result is stretched by b - a, but not shifted to begin at a."""
    a, b = feature_range
    low = X.min(axis=0)
    span = X.max(axis=0) - low
    span = np.where(span == 0, 1, span)
    return (b - a) * (X - low) / span


@mistake(
    earns=6,
    hint="Stretching by b only gives the right length when a is 0. The range has the length b - a.",
)
def stretches_by_the_upper_bound(X, feature_range=(0, 1)):
    """The result is stretched by b where b - a is the length of the range."""
    a, b = feature_range
    low = X.min(axis=0)
    span = X.max(axis=0) - low
    span = np.where(span == 0, 1, span)
    return a + b * (X - low) / span


@mistake(
    earns=6,
    hint="Beginning at a is half of it. The range [a, b] has the length b - a: stretch by that "
    "before you shift by a.",
)
def forgets_to_stretch(X, feature_range=(0, 1)):
    """The result begins at a, but is not stretched to the length b - a."""
    a, _ = feature_range
    low = X.min(axis=0)
    span = X.max(axis=0) - low
    span = np.where(span == 0, 1, span)
    return a + (X - low) / span


@mistake(
    earns=5,
    hint="b times a number in [0, 1] runs from 0 to b. Stretch by b - a, and then shift by a.",
)
def multiplies_by_the_upper_bound(X, feature_range=(0, 1)):
    """The result in [0, 1] is multiplied by b; a does not enter."""
    _, b = feature_range
    low = X.min(axis=0)
    span = X.max(axis=0) - low
    span = np.where(span == 0, 1, span)
    return b * (X - low) / span


@mistake(hint="The smallest value should arrive at a and the largest at b; yours run backwards.")
def turns_the_range_around(X, feature_range=(0, 1)):
    """The smallest value goes to b and the largest to a."""
    b, a = feature_range
    low = X.min(axis=0)
    span = X.max(axis=0) - low
    span = np.where(span == 0, 1, span)
    return a + (b - a) * (X - low) / span


@mistake(
    hint="The range begins at a: the smallest value of a column should arrive there, and yours arrives "
    "at b."
)
def begins_at_the_upper_bound(X, feature_range=(0, 1)):
    """The result is shifted by b, where it should begin at a."""
    a, b = feature_range
    low = X.min(axis=0)
    span = X.max(axis=0) - low
    span = np.where(span == 0, 1, span)
    return b + (b - a) * (X - low) / span


@mistake(
    hint="Dividing by the maximum fixes the top of the range only. Subtract the minimum first, and "
    "divide by what is left: max - min."
)
def divides_by_the_maximum(X, feature_range=(0, 1)):
    """The column is divided by its maximum; the minimum is not subtracted."""
    a, b = feature_range
    return a + (b - a) * X / X.max(axis=0)


@mistake(
    hint="Dividing by the largest absolute value brings a column into [-1, 1], with 0 where it was. "
    "Subtract the minimum first, and divide by max - min."
)
def divides_by_the_largest_absolute_value(X, feature_range=(0, 1)):
    """The column is divided by its largest absolute value; the minimum is not subtracted."""
    a, b = feature_range
    return a + (b - a) * X / np.abs(X).max(axis=0)


@mistake(
    earns=1,
    hint="The minimum is subtracted, but the divisor is still the maximum: divide by max - min.",
)
def divides_by_the_maximum_after_shifting(X, feature_range=(0, 1)):
    """The minimum is subtracted, but the divisor is the maximum, not max - min."""
    a, b = feature_range
    return a + (b - a) * (X - X.min(axis=0)) / X.max(axis=0)


@mistake(hint=RANGE_PARENTHESES_HINT)
def min_max_misses_the_parentheses(X, feature_range=(0, 1)):
    """Only the maximum divides, and the minimum is subtracted afterwards: parentheses are missing."""
    a, b = feature_range
    low, high = X.min(axis=0), X.max(axis=0)
    return a + (b - a) * (X - low) / high - low


@mistake(hint="Multiplication binds before subtraction: put the length b - a in parentheses.")
def min_max_misses_the_parentheses_of_the_length(X, feature_range=(0, 1)):
    """The parentheses around b - a are missing, so that only a is multiplied."""
    a, b = feature_range
    low, span = X.min(axis=0), X.max(axis=0) - X.min(axis=0)
    return a + b - a * (X - low) / np.where(span == 0, 1, span)


@mistake(earns=6, hint=ZERO_DIVISION_HINT)
def min_max_divides_by_zero(X, feature_range=(0, 1)):
    """A constant column is divided by its range of zero."""
    a, b = feature_range
    low, high = X.min(axis=0), X.max(axis=0)
    return a + (b - a) * (X - low) / (high - low)


@mistake(earns=6, hint=EPSILON_HINT)
def min_max_adds_an_epsilon(X, feature_range=(0, 1)):
    """A small constant is added to the range to avoid 0/0."""
    a, b = feature_range
    low, high = X.min(axis=0), X.max(axis=0)
    return a + (b - a) * (X - low) / (high - low + 1e-8)


@mistake(earns=6, hint=FLOOR_HINT)
def min_max_takes_a_small_range_for_none(X, feature_range=(0, 1)):
    """A column that varies by very little is treated like one that never varies."""
    a, b = feature_range
    low, span = X.min(axis=0), X.max(axis=0) - X.min(axis=0)
    return a + (b - a) * (X - low) / np.where(span < 1e-8, 1, span)


@mistake(earns=5, hint=IN_PLACE_HINT)
def min_max_changes_its_input(X, feature_range=(0, 1)):
    """The table is scaled in place, so that the caller's data are gone."""
    a, b = feature_range
    X -= X.min(axis=0)
    span = X.max(axis=0)
    X /= np.where(span == 0, 1, span)
    X *= b - a
    X += a
    return X


@mistake(earns=6, hint=WHOLE_NUMBER_HINT)
def min_max_keeps_whole_numbers(X, feature_range=(0, 1)):
    """The result takes over the dtype of X, and whole numbers cut it to 0 and 1."""
    a, b = feature_range
    scaled = np.zeros_like(X)
    for j in range(X.shape[1]):
        low, high = X[:, j].min(), X[:, j].max()
        scaled[:, j] = a + (b - a) * (X[:, j] - low) / (high - low if high > low else 1)
    return scaled


def min_max_by_columns(X, feature_range=(0, 1)):
    a, b = feature_range
    columns = []
    for column in np.asarray(X, dtype=float).T:
        low, high = column.min(), column.max()
        if high == low:
            columns.append(np.full(len(column), float(a)))
        else:
            columns.append((column - low) / (high - low) * (b - a) + a)
    return np.column_stack(columns)


def min_max_by_mask(X, feature_range=(0, 1)):
    lower, upper = feature_range
    ranges = np.ptp(X, axis=0)
    ranges = ranges.astype(float)
    ranges[ranges == 0] = 1.0
    unit = np.divide(np.subtract(X, np.amin(X, axis=0)), ranges)
    return unit * (upper - lower) + lower


def min_max_in_pure_python(X, feature_range=(0, 1)):
    a, b = feature_range
    rows = [[0.0] * X.shape[1] for _ in range(X.shape[0])]
    for j in range(X.shape[1]):
        values = [float(X[i, j]) for i in range(X.shape[0])]
        low, high = min(values), max(values)
        for i, value in enumerate(values):
            rows[i][j] = a + (b - a) * ((value - low) / (high - low) if high > low else 0.0)
    return np.array(rows)


# --- mean_normalize --------------------------------------------------------------------------


def mean_normalize(X):
    span = X.max(axis=0) - X.min(axis=0)
    span = np.where(span == 0, 1, span)
    return (X - X.mean(axis=0)) / span


@probe(2)
def mean_zero_and_range_one(f, rng):
    """Each column has mean 0, and its largest value is 1 above its smallest."""
    X = table(rng)
    scaled = f(X.copy())
    return {
        "the column means": scaled.mean(axis=0),
        "the column ranges (max - min)": np.ptp(scaled, axis=0),
        "the correlation of each column with the original": correlations(X, scaled),
    }


def _with_a_constant_column(f, rng, value, rows=7):
    X = with_constant_column(rng, value, rows)
    scaled = f(X.copy())
    return {
        "the constant column": scaled[:, 1],
        "the correlation of the other columns with the original": np.delete(
            correlations(X, scaled), 1
        ),
        "the change of the other columns when the constant one is there": without(scaled)
        - f(without(X)),
    }


@probe(1)
def constant_column_becomes_zero(f, rng):
    """A column that never varies becomes 0, not NaN."""
    return _with_a_constant_column(f, rng, 3.5)


@probe(1)
def column_without_a_range_becomes_zero(f, rng):
    """A column that never varies becomes 0, not NaN."""
    return _with_a_constant_column(f, rng, 0.1, rows=12)  # its computed deviation is not 0


@mistake(
    earns=1,
    hint="Mean normalization divides by the range, max - min. Dividing by the standard deviation "
    "is standardization, the next exercise.",
)
def normalizes_by_the_standard_deviation(X):
    """The centered column is divided by its standard deviation, not by max - min."""
    std = X.std(axis=0)
    return (X - X.mean(axis=0)) / np.where(X.max(axis=0) == X.min(axis=0), 1, std)


@mistake(
    earns=1,
    hint="Subtracting the minimum is min-max scaling: its result begins at 0. Here the mean goes to 0.",
)
def subtracts_the_minimum(X):
    """The minimum is subtracted where the mean should be."""
    span = X.max(axis=0) - X.min(axis=0)
    return (X - X.min(axis=0)) / np.where(span == 0, 1, span)


@mistake(earns=1, hint="Centering is the first half; the second divides by max - min.")
def only_centers(X):
    """The mean is subtracted, but nothing is divided."""
    return X - X.mean(axis=0)


@mistake(hint="Dividing by the range is the second half; the first moves each column's mean to 0.")
def normalizing_forgets_to_center(X):
    """The column is divided by its range, but its mean is not subtracted."""
    span = X.max(axis=0) - X.min(axis=0)
    return X / np.where(span == 0, 1, span)


@mistake(
    earns=1,
    hint="The range is max - min. Dividing by the maximum alone depends on where the zero lies.",
)
def normalizing_divides_by_the_maximum(X):
    """The mean is subtracted, but the divisor is the maximum, not max - min."""
    return (X - X.mean(axis=0)) / X.max(axis=0)


@mistake(earns=1, hint=WHOLE_MATRIX_HINT)
def normalizing_with_one_range(X):
    """Each column's mean is subtracted, but all are divided by the range of the whole table."""
    return (X - X.mean(axis=0)) / (X.max() - X.min())


@mistake(
    earns=1,
    hint="Division binds before subtraction: `X - m / r` is `X - (m / r)`. Put X - m in parentheses.",
)
def misses_the_parentheses(X):
    """The mean is divided by the range before it is subtracted: parentheses are missing."""
    span = X.max(axis=0) - X.min(axis=0)
    return X - X.mean(axis=0) / np.where(span == 0, 1, span)


@mistake(hint=RANGE_PARENTHESES_HINT)
def misses_the_parentheses_of_the_range(X):
    """Only the maximum divides, and the minimum is subtracted afterwards: parentheses are missing."""
    return (X - X.mean(axis=0)) / X.max(axis=0) - X.min(axis=0)


@mistake(
    earns=2,
    hint="The median is another center: robust, but not the mean. Its result does not have mean 0.",
)
def subtracts_the_median(X):
    """The median is subtracted where the mean should be."""
    span = X.max(axis=0) - X.min(axis=0)
    return (X - np.median(X, axis=0)) / np.where(span == 0, 1, span)


@mistake(hint=ROWS_HINT)
def normalizes_rows(X):
    """Each row is normalized by its own mean and range, where each column should be."""
    low, high = X.min(axis=1, keepdims=True), X.max(axis=1, keepdims=True)
    return (X - X.mean(axis=1, keepdims=True)) / (high - low)


@mistake(hint=WHOLE_MATRIX_HINT)
def normalizes_the_whole_matrix(X):
    """Mean and range are those of the whole table, not of each column."""
    return (X - X.mean()) / (X.max() - X.min())


@mistake(earns=5, hint=ZERO_DIVISION_HINT)
def normalizing_divides_by_zero(X):
    """A constant column is divided by its range of zero."""
    return (X - X.mean(axis=0)) / (X.max(axis=0) - X.min(axis=0))


@mistake(earns=5, hint=EPSILON_HINT)
def normalizing_adds_an_epsilon(X):
    """A small constant is added to the range to avoid 0/0."""
    return (X - X.mean(axis=0)) / (X.max(axis=0) - X.min(axis=0) + 1e-8)


@mistake(earns=5, hint=FLOOR_HINT)
def normalizing_takes_a_small_range_for_none(X):
    """A column that varies by very little is treated like one that never varies."""
    span = X.max(axis=0) - X.min(axis=0)
    return (X - X.mean(axis=0)) / np.where(span < 1e-8, 1, span)


@mistake(earns=4, hint=IN_PLACE_HINT)
def normalizing_changes_its_input(X):
    """The table is normalized in place, so that the caller's data are gone."""
    span = X.max(axis=0) - X.min(axis=0)
    X -= X.mean(axis=0)
    X /= np.where(span == 0, 1, span)
    return X


@mistake(earns=5, hint=WHOLE_NUMBER_HINT)
def normalizing_keeps_whole_numbers(X):
    """The result takes over the dtype of X, and whole numbers cut it to zeros."""
    span = X.max(axis=0) - X.min(axis=0)
    scaled = X.copy()
    scaled[:] = (X - X.mean(axis=0)) / np.where(span == 0, 1, span)
    return scaled


def mean_normalize_by_columns(X):
    result = np.empty(X.shape)
    for j in range(X.shape[1]):
        column = X[:, j].astype(float)
        spread = column.max() - column.min()
        if spread > 0:
            result[:, j] = (column - sum(column) / len(column)) / spread
        else:
            result[:, j] = 0.0
    return result


def mean_normalize_by_divide(X):
    centered = X - np.einsum("nd->d", X) / X.shape[0]
    spread = np.ptp(X, axis=0)
    return np.divide(centered, spread, out=np.zeros_like(centered), where=spread != 0)


# --- standardize -----------------------------------------------------------------------------


def standardize(X):
    constant = X.max(axis=0) == X.min(axis=0)
    std = np.where(constant, 1, X.std(axis=0))
    return (X - X.mean(axis=0)) / std


@probe(1)
def mean_zero(f, rng):
    """Each column has mean 0."""
    X = table(rng)
    scaled = f(X.copy())
    return {
        "the column means": scaled.mean(axis=0),
        "the correlation of each column with the original": correlations(X, scaled),
    }


@probe(1)
def unit_standard_deviation(f, rng):
    """Each column has standard deviation 1, by the formula that divides by N."""
    X = table(rng, rows=20)
    X[2] += 50 * SPREAD  # more than four deviations from the mean: nobody asked for a cut
    X[[1, -1], 0] = X[0, 0]  # a column whose ends agree may vary in between
    scaled = f(X.copy())
    return {
        "the column standard deviations": scaled.std(axis=0),
        "the correlation of each column with the original": correlations(X, scaled),
    }


@probe(1, hidden=True)
def constant_but_for_rounding(f, rng):
    """A column of 0.1 in every row becomes 0, although its computed deviation is not exactly 0."""
    X = with_constant_column(rng, 0.1, rows=12)
    scaled = f(X.copy())
    return {
        "the column of 0.1": explained_residue(scaled[:, 1]),
        "the correlation of the other columns with the original": np.delete(
            correlations(X, scaled), 1
        ),
    }


@mistake(earns=3, hint=SAMPLE_HINT)
def divides_by_n_minus_1(X):
    """The standard deviation divides by N - 1 where N is asked (ddof=1 for ddof=0)."""
    constant = X.max(axis=0) == X.min(axis=0)
    return (X - X.mean(axis=0)) / np.where(constant, 1, X.std(axis=0, ddof=1))


@mistake(
    earns=3,
    hint="The variance has squared units. Its square root, the standard deviation, has those of X.",
)
def divides_by_the_variance(X):
    """The column is divided by its variance, not by the square root of it."""
    constant = X.max(axis=0) == X.min(axis=0)
    return (X - X.mean(axis=0)) / np.where(constant, 1, X.var(axis=0))


@mistake(
    earns=3,
    hint="max - min makes the range 1. A standard deviation of 1 needs a division by the deviation.",
)
def divides_by_the_range(X):
    """The column is divided by max - min, not by its standard deviation."""
    span = X.max(axis=0) - X.min(axis=0)
    return (X - X.mean(axis=0)) / np.where(span == 0, 1, span)


@mistake(earns=1, hint="z = (x - mean) / std: subtract the mean before you divide.")
def forgets_to_center(X):
    """The column is divided by its standard deviation, but its mean is not subtracted."""
    constant = X.max(axis=0) == X.min(axis=0)
    return X / np.where(constant, 1, X.std(axis=0))


@mistake(earns=3, hint="Centering is the first half; the second divides by the standard deviation.")
def standardizing_only_centers(X):
    """The mean is subtracted, but nothing is divided."""
    return X - X.mean(axis=0)


@mistake(earns=2, hint=WHOLE_MATRIX_HINT)
def standardizing_with_one_deviation(X):
    """Each column's mean is subtracted, but all are divided by the deviation of the whole table."""
    return (X - X.mean(axis=0)) / X.std()


@mistake(
    earns=2,
    hint="Division binds before subtraction: `X - m / s` is `X - (m / s)`. Put X - m in parentheses.",
)
def standardizing_misses_the_parentheses(X):
    """The mean is divided by the deviation before it is subtracted: parentheses are missing."""
    constant = X.max(axis=0) == X.min(axis=0)
    return X - X.mean(axis=0) / np.where(constant, 1, X.std(axis=0))


@mistake(
    earns=3,
    hint="The variance is a mean: divide the sum of squares by N before you take the root.",
)
def divides_by_the_length_of_the_column(X):
    """The centered column is divided by the root of its sum of squares, not of their mean."""
    constant = X.max(axis=0) == X.min(axis=0)
    deviation = X - X.mean(axis=0)
    return deviation / np.where(constant, 1, np.sqrt((deviation**2).sum(axis=0)))


@mistake(
    earns=3,
    hint="Subtract first, then divide. After the division the column has another mean.",
)
def subtracts_after_dividing(X):
    """The column is divided first; then the mean of the undivided column is subtracted."""
    constant = X.max(axis=0) == X.min(axis=0)
    return X / np.where(constant, 1, X.std(axis=0)) - X.mean(axis=0)


@mistake(hint=ROWS_HINT)
def standardizes_rows(X):
    """Each row is standardized by its own mean and deviation, where each column should be."""
    return (X - X.mean(axis=1, keepdims=True)) / X.std(axis=1, keepdims=True)


@mistake(hint=WHOLE_MATRIX_HINT)
def standardizes_the_whole_matrix(X):
    """Mean and standard deviation are those of the whole table, not of each column."""
    return (X - X.mean()) / X.std()


@mistake(
    earns=5,
    hint="A column that never varies has no spread to divide by: 0/0 is NaN. Divide it by 1. Its "
    "*computed* deviation need not be 0, so ask whether max and min are equal.",
)
def standardizing_divides_by_zero(X):
    """A constant column is divided by its standard deviation of zero."""
    return (X - X.mean(axis=0)) / X.std(axis=0)


@mistake(
    earns=6,
    hint="Rounding gives a column of 0.1 a deviation of about 1e-17, so `std == 0` is False, nothing "
    "is NaN, and noise is blown up to ±1. Ask whether max and min are equal instead.",
)
def compares_the_deviation_with_zero(X):
    """A constant column is recognized by a deviation (or 0/0) of exactly zero, which rounding does not leave."""
    std = X.std(axis=0)
    return (X - X.mean(axis=0)) / np.where(std == 0, 1, std)


@mistake(
    earns=6,
    hint="The mean of the squares and the square of the mean are nearly the same number when a column "
    "is far from 0, and their difference has lost its digits. Subtract the mean first, then square.",
)
def standardizing_in_one_pass(X):
    """The variance is computed as E[x²] - E[x]², which loses its digits when the mean is large."""
    mean = X.mean(axis=0)
    constant = X.max(axis=0) == X.min(axis=0)
    std = np.where(constant, 1, np.sqrt((X**2).mean(axis=0) - mean**2))
    return np.where(constant, 0, (X - mean) / std)


@mistake(
    earns=6,
    hint="A column of numbers near 1 that lie 1e-9 apart does vary: float64 keeps sixteen digits. Ask "
    "whether the column's max and min are equal.",
)
def standardizing_takes_a_relatively_small_deviation_for_none(X):
    """A column that varies by little, compared with its mean, is treated like one that never varies."""
    mean, std = X.mean(axis=0), X.std(axis=0)
    constant = std <= 1e-8 * np.abs(mean)
    return np.where(constant, 0, (X - mean) / np.where(constant, 1, std))


@mistake(earns=6, hint=EPSILON_HINT)
def standardizing_adds_an_epsilon(X):
    """A small constant is added to the standard deviation to avoid 0/0."""
    return (X - X.mean(axis=0)) / (X.std(axis=0) + 1e-8)


@mistake(earns=6, hint=FLOOR_HINT)
def standardizing_takes_a_small_deviation_for_none(X):
    """A column that varies by very little is treated like one that never varies."""
    std = X.std(axis=0)
    return (X - X.mean(axis=0)) / np.where(std < 1e-8, 1, std)


@mistake(earns=5, hint=IN_PLACE_HINT)
def standardizing_changes_its_input(X):
    """The table is standardized in place, so that the caller's data are gone."""
    constant = X.max(axis=0) == X.min(axis=0)
    std = np.where(constant, 1, X.std(axis=0))
    X -= X.mean(axis=0)
    X /= std
    return X


@mistake(earns=6, hint=WHOLE_NUMBER_HINT)
def standardizing_keeps_whole_numbers(X):
    """The result takes over the dtype of X, and whole numbers cut it to -1, 0 and 1."""
    scaled = np.zeros_like(X)
    for j in range(X.shape[1]):
        column = X[:, j]
        std = column.std() if column.max() > column.min() else 1
        scaled[:, j] = (column - column.mean()) / std
    return scaled


def standardize_by_definition(X):
    mean = X.sum(axis=0) / len(X)
    deviation = X - mean
    variance = (deviation**2).sum(axis=0) / len(X)
    std = np.sqrt(variance)
    std[np.ptp(X, axis=0) == 0] = 1.0
    return deviation / std


def standardize_by_columns(X):
    def z_scores(column):
        if np.all(column == column[0]):
            return np.zeros(len(column))
        return (column - np.mean(column)) / np.std(column)

    return np.stack([z_scores(X[:, j]) for j in range(X.shape[1])], axis=1)


def standardize_by_rows_of_the_transpose(X):
    T = X.T.astype(float)
    centered = T - T.mean(axis=1, keepdims=True)
    norm = np.sqrt(np.einsum("dn,dn->d", centered, centered) / T.shape[1])
    norm[T.min(axis=1) == T.max(axis=1)] = 1
    return (centered / norm[:, None]).T


# --- Scaler ----------------------------------------------------------------------------------


class Scaler:
    def fit(self, X):
        constant = X.max(axis=0) == X.min(axis=0)
        self.mean_ = X.mean(axis=0)
        self.scale_ = np.where(constant, 1, X.std(axis=0))
        return self

    def transform(self, X):
        return (X - self.mean_) / self.scale_

    def inverse_transform(self, Z):
        return Z * self.scale_ + self.mean_


@probe(2)
def transform_standardizes(C, rng):
    """After `fit(X)`, `transform(X)` has mean 0 and standard deviation 1 in each column."""
    X = table(rng)
    scaler = C()
    scaler.fit(X.copy())
    Z = scaler.transform(X.copy())
    return {
        "the column means": Z.mean(axis=0),
        "the column standard deviations": Z.std(axis=0),
        "the correlation of each column with the original": correlations(X, Z),
    }


@probe(1)
def fit_returns_the_scaler(C, rng):
    """`fit` returns the scaler itself, so that `Scaler().fit(X).transform(X)` works."""
    X = table(rng)
    Z = C().fit(X.copy()).transform(X.copy())
    return {
        "the column means": Z.mean(axis=0),
        "the correlation of each column with the original": correlations(X, Z),
    }


@probe(2)
def remembers_what_it_was_fitted_on(C, rng):
    """`transform` uses the mean and deviation of the data that `fit` saw, whatever it is given."""
    train, test = table(rng), table(rng, rows=5) * 2
    scaler = C()
    scaler.fit(train)
    return {
        "transform of other rows": scaler.transform(test.copy()),
        "transform of a single row": scaler.transform(test[:1].copy()),
    }


@probe(2)
def inverse_transform_undoes_transform(C, rng):
    """`inverse_transform` gives back the original numbers."""
    train, test = table(rng), table(rng, rows=5) * 2  # far beyond what `fit` saw
    Z = rng.uniform(-1, 1, size=(3, 4))  # a scale that is 1e-8 too large does not show
    scaler = C()
    scaler.fit(train)
    return {
        "inverse_transform(transform(X)) - X": scaler.inverse_transform(
            scaler.transform(test.copy())
        )
        - test,
        "inverse_transform of new numbers": scaler.inverse_transform(Z),
    }


@probe(1)
def scaler_survives_a_constant_column(C, rng):
    """A column that was constant in `fit`, and no other, is centered only, and comes back unchanged."""
    train = with_constant_column(rng, 8.1, rows=12)
    test = table(rng, rows=3)
    scaler = C()
    scaler.fit(train.copy())
    Z = scaler.transform(train.copy())
    seen = {
        "the constant column after transform": explained_residue(Z[:, 1]),
        "new values in that column after transform": scaler.transform(test.copy())[:, 1],
        "the constant column after inverse_transform": scaler.inverse_transform(Z.copy())[:, 1],
    }
    other = C()
    other.fit(without(train))
    change = without(Z) - other.transform(without(train))
    X, third = in_small_units(rng), C()
    third.fit(X.copy())
    return {
        **seen,
        "the change of the other columns when the constant one is there": change,
        "the deviations for small numbers, beside that of the first column": beside_the_first(
            X, third.transform(X.copy())
        ),
    }


@probe(1)
def scalers_are_independent(C, rng):
    """Two scalers fitted on different data do not disturb each other."""
    A, B = table(rng), table(rng) * 3 + 1
    first, second = C(), C()
    first.fit(A.copy())
    second.fit(B)
    Z = first.transform(A.copy())
    return {
        "the first scaler's column means": Z.mean(axis=0),
        "the correlation of each column with the original": correlations(A, Z),
    }


@probe(1, hidden=True)
def fitting_again_replaces(C, rng):
    """A second `fit` forgets the first."""
    A, B = table(rng), table(rng) * 3 + 1
    scaler = C()
    scaler.fit(A)
    scaler.fit(B.copy())
    Z = scaler.transform(B.copy())
    return {
        "the column means after a second fit": Z.mean(axis=0),
        "the correlation of each column with the original": correlations(B, Z),
    }


@probe(1)
def scaler_leaves_its_inputs_alone(C, rng):
    """`fit`, `transform` and `inverse_transform` leave the tables that they are given as they were."""
    X = table(rng)
    before = X.copy()
    Z = rng.normal(size=(3, 4))
    scaler = C()
    scaler.fit(X)
    scaled = scaler.transform(X)
    scaler.inverse_transform(Z)
    return {
        "X": Argument(X),
        "Z": Argument(Z),
        "the column means": scaled.mean(axis=0),
        "the correlation of each column with the original": correlations(before, scaled),
    }


@mistake(
    earns=6,
    hint="`transform` computes statistics of its own argument: a single test row would always "
    "become 0. Compute them in `fit`, keep them on `self`, and only use them in `transform`.",
)
class RefitsOnTransform:
    """`transform` computes the mean and deviation anew from the data that it is given."""

    def fit(self, X):
        constant = X.max(axis=0) == X.min(axis=0)
        self.mean_ = X.mean(axis=0)
        self.scale_ = np.where(constant, 1, X.std(axis=0))
        return self

    def transform(self, X):
        constant = X.max(axis=0) == X.min(axis=0)
        return (X - X.mean(axis=0)) / np.where(constant, 1, X.std(axis=0))

    def inverse_transform(self, Z):
        return Z * self.scale_ + self.mean_


@mistake(
    earns=6,
    hint="`transform` computes statistics of its own argument: of a single row, the deviation is 0. "
    "Compute them in `fit`, keep them on `self`, and only use them in `transform`.",
)
class RefitsWithoutAGuard:
    """`transform` computes mean and deviation anew from its argument, and divides by a deviation of zero."""

    def fit(self, X):
        constant = X.max(axis=0) == X.min(axis=0)
        self.mean_ = X.mean(axis=0)
        self.scale_ = np.where(constant, 1, X.std(axis=0))
        return self

    def transform(self, X):
        return (X - X.mean(axis=0)) / X.std(axis=0)

    def inverse_transform(self, Z):
        return Z * self.scale_ + self.mean_


@mistake(
    earns=9,
    hint="transform subtracts, then divides. To go back, undo the last step first: multiply, then add.",
)
class UndoesInTheWrongOrder:
    """`inverse_transform` adds the mean before it multiplies by the deviation."""

    def fit(self, X):
        constant = X.max(axis=0) == X.min(axis=0)
        self.mean_ = X.mean(axis=0)
        self.scale_ = np.where(constant, 1, X.std(axis=0))
        return self

    def transform(self, X):
        return (X - self.mean_) / self.scale_

    def inverse_transform(self, Z):
        return (Z + self.mean_) * self.scale_


@mistake(earns=8, hint="The original numbers had a mean: add it back after multiplying.")
class ForgetsTheMeanOnTheWayBack:
    """`inverse_transform` multiplies by the deviation, but does not add the mean."""

    def fit(self, X):
        constant = X.max(axis=0) == X.min(axis=0)
        self.mean_ = X.mean(axis=0)
        self.scale_ = np.where(constant, 1, X.std(axis=0))
        return self

    def transform(self, X):
        return (X - self.mean_) / self.scale_

    def inverse_transform(self, Z):
        return Z * self.scale_


@mistake(
    earns=8,
    hint="Z has mean 0 and deviation 1, or the statistics of some other rows: neither leads back. Use "
    "what `fit` has kept on `self`.",
)
class RecomputesOnTheWayBack:
    """`inverse_transform` uses the mean and deviation of Z, not those that were fitted."""

    def fit(self, X):
        constant = X.max(axis=0) == X.min(axis=0)
        self.mean_ = X.mean(axis=0)
        self.scale_ = np.where(constant, 1, X.std(axis=0))
        return self

    def transform(self, X):
        return (X - self.mean_) / self.scale_

    def inverse_transform(self, Z):
        return Z * Z.std(axis=0) + Z.mean(axis=0)


@mistake(
    earns=9,
    hint="`transform` divides; the way back multiplies by the deviation, and then adds the mean.",
)
class DividesOnTheWayBack:
    """`inverse_transform` divides by the deviation once more, where it should multiply."""

    def fit(self, X):
        constant = X.max(axis=0) == X.min(axis=0)
        self.mean_ = X.mean(axis=0)
        self.scale_ = np.where(constant, 1, X.std(axis=0))
        return self

    def transform(self, X):
        return (X - self.mean_) / self.scale_

    def inverse_transform(self, Z):
        return Z / self.scale_ + self.mean_


@mistake(earns=10, hint="End `fit` with `return self`; scikit-learn's scalers do so, too.")
class FitReturnsNothing:
    """`fit` does not return the scaler."""

    def fit(self, X):
        constant = X.max(axis=0) == X.min(axis=0)
        self.mean_ = X.mean(axis=0)
        self.scale_ = np.where(constant, 1, X.std(axis=0))

    def transform(self, X):
        return (X - self.mean_) / self.scale_

    def inverse_transform(self, Z):
        return Z * self.scale_ + self.mean_


@mistake(
    earns=10,
    hint="What is set on the class belongs to all its instances. Set it on `self`.",
)
class SharesItsState:
    """The statistics are kept on the class, so that all scalers share the last fit."""

    def fit(self, X):
        constant = X.max(axis=0) == X.min(axis=0)
        type(self).mean_ = X.mean(axis=0)
        type(self).scale_ = np.where(constant, 1, X.std(axis=0))
        return self

    def transform(self, X):
        return (X - self.mean_) / self.scale_

    def inverse_transform(self, Z):
        return Z * self.scale_ + self.mean_


@mistake(earns=10, hint="`fit` must compute the statistics each time it is called.")
class KeepsTheFirstFit:
    """A second `fit` is ignored: the statistics of the first stay."""

    mean_ = None

    def fit(self, X):
        if self.mean_ is None:
            constant = X.max(axis=0) == X.min(axis=0)
            self.mean_ = X.mean(axis=0)
            self.scale_ = np.where(constant, 1, X.std(axis=0))
        return self

    def transform(self, X):
        return (X - self.mean_) / self.scale_

    def inverse_transform(self, Z):
        return Z * self.scale_ + self.mean_


@mistake(earns=10, hint=COMPUTED_ZERO_HINT)
class ScalerDividesByZero:
    """A column that is constant in `fit` gets a scale of zero (or, by rounding, of about 1e-15)."""

    def fit(self, X):
        self.mean_ = X.mean(axis=0)
        self.scale_ = X.std(axis=0)
        return self

    def transform(self, X):
        return (X - self.mean_) / self.scale_

    def inverse_transform(self, Z):
        return Z * self.scale_ + self.mean_


@mistake(
    earns=10,
    hint="A column that never varied in `fit` is centered only. New data may hold other values there, "
    "and their distance from the mean is information.",
)
class ScalerSetsConstantColumnsToZero:
    """A column that is constant in `fit` becomes 0 in `transform`, whatever new data hold there."""

    def fit(self, X):
        self.constant_ = X.max(axis=0) == X.min(axis=0)
        self.mean_ = X.mean(axis=0)
        self.scale_ = np.where(self.constant_, 1, X.std(axis=0))
        return self

    def transform(self, X):
        return np.where(self.constant_, 0.0, (X - self.mean_) / self.scale_)

    def inverse_transform(self, Z):
        return Z * self.scale_ + self.mean_


@mistake(earns=10, hint=KEPT_EPSILON_HINT)
class ScalerAddsAnEpsilon:
    """A small constant is added to the standard deviation, or is its least value, to avoid 0/0."""

    def fit(self, X):
        self.mean_ = X.mean(axis=0)
        self.scale_ = X.std(axis=0) + 1e-8
        return self

    def transform(self, X):
        return (X - self.mean_) / self.scale_

    def inverse_transform(self, Z):
        return Z * self.scale_ + self.mean_


@mistake(earns=10, hint=FLOOR_HINT)
class ScalerTakesASmallDeviationForNone:
    """A column that varied by very little in `fit` is treated like one that never varied."""

    def fit(self, X):
        std = X.std(axis=0)
        self.mean_ = X.mean(axis=0)
        self.scale_ = np.where(std < 1e-8, 1, std)
        return self

    def transform(self, X):
        return (X - self.mean_) / self.scale_

    def inverse_transform(self, Z):
        return Z * self.scale_ + self.mean_


@mistake(earns=10, hint=IN_PLACE_HINT)
class ScalerChangesItsInput:
    """`transform` works in place, so that the caller's data are gone."""

    def fit(self, X):
        constant = X.max(axis=0) == X.min(axis=0)
        self.mean_ = X.mean(axis=0)
        self.scale_ = np.where(constant, 1, X.std(axis=0))
        return self

    def transform(self, X):
        X -= self.mean_
        X /= self.scale_
        return X

    def inverse_transform(self, Z):
        return Z * self.scale_ + self.mean_


@mistake(earns=5, hint=SAMPLE_HINT)
class ScalerDividesByNMinus1:
    """The standard deviation divides by N - 1 where N is asked (ddof=1 for ddof=0)."""

    def fit(self, X):
        constant = X.max(axis=0) == X.min(axis=0)
        self.mean_ = X.mean(axis=0)
        self.scale_ = np.where(constant, 1, X.std(axis=0, ddof=1))
        return self

    def transform(self, X):
        return (X - self.mean_) / self.scale_

    def inverse_transform(self, Z):
        return Z * self.scale_ + self.mean_


@mistake(
    earns=4,
    hint="The variance has squared units. Its square root, the standard deviation, has those of X.",
)
class ScalerDividesByTheVariance:
    """The variance is kept as the scale, not the square root of it."""

    def fit(self, X):
        constant = X.max(axis=0) == X.min(axis=0)
        self.mean_ = X.mean(axis=0)
        self.scale_ = np.where(constant, 1, X.var(axis=0))
        return self

    def transform(self, X):
        return (X - self.mean_) / self.scale_

    def inverse_transform(self, Z):
        return Z * self.scale_ + self.mean_


@mistake(hint=WHOLE_MATRIX_HINT)
class ScalerOfTheWholeTable:
    """Mean and standard deviation are those of the whole table, not of each column."""

    def fit(self, X):
        self.mean_ = X.mean()
        self.scale_ = X.std()
        return self

    def transform(self, X):
        return (X - self.mean_) / self.scale_

    def inverse_transform(self, Z):
        return Z * self.scale_ + self.mean_


class ScalerByMinAndRange:
    def __init__(self):
        self.parameters = None

    def fit(self, X):
        deviation = np.sqrt(np.mean(np.square(X - np.mean(X, axis=0)), axis=0))
        deviation[X.max(axis=0) - X.min(axis=0) == 0] = 1.0
        self.parameters = [X.mean(axis=0), deviation]
        return self

    def transform(self, X):
        mean, deviation = self.parameters
        return np.divide(np.subtract(X, mean), deviation)

    def inverse_transform(self, Z):
        mean, deviation = self.parameters
        return np.multiply(Z, deviation) + mean


# --- scale_splits ----------------------------------------------------------------------------


def scale_splits(X_train, X_test):
    constant = X_train.max(axis=0) == X_train.min(axis=0)
    mean = X_train.mean(axis=0)
    std = np.where(constant, 1, X_train.std(axis=0))
    return (X_train - mean) / std, (X_test - mean) / std


def rows_between(X, rng, rows=4):
    """New rows that lie inside the range of X in every column."""
    weights = rng.dirichlet(np.ones(len(X)), size=rows)
    return weights @ X


@probe(1)
def training_split_is_standardized(f, rng):
    """The scaled training split has mean 0 and standard deviation 1 in each column."""
    X = table(rng)
    train, _ = f(X.copy(), rows_between(X, rng))
    return {
        "the correlation of each training column with the original": correlations(X, train),
        "the column means of the training split": train.mean(axis=0),
        "the column standard deviations of the training split": train.std(axis=0),
    }


@probe(2)
def test_split_uses_the_training_statistics(f, rng):
    """The test split is scaled with the mean and deviation of the training split."""
    X = table(rng)
    inside = rows_between(X, rng)
    _, test = f(X.copy(), inside.copy())
    _, one = f(X, inside[:1])
    return {"the scaled test split": test, "a scaled test split of one row": one}


@probe(1)
def test_split_does_not_leak(f, rng):
    """Other test data do not change the scaled training split."""
    X, other = table(rng), table(rng, rows=4)
    first, _ = f(X.copy(), other.copy())
    second, _ = f(X.copy(), other * 1000.0)
    return {
        "the change of the training split when the test split changes": second - first,
        "the correlation of each training column with the original": correlations(X, first),
        "the column means of the training split": first.mean(axis=0),
    }


@probe(1)
def values_beyond_the_training_range_are_kept(f, rng):
    """Test values beyond the training range are scaled like all others, not cut off."""
    X = table(rng)
    far = X[:3] * np.array([5.0, -4.0, 3.0, 10.0])
    _, test = f(X, far)
    return {"the scaled test split": test}


@probe(1)
def splits_with_a_constant_column(f, rng):
    """A column that never varies in the training split, and no other, is centered only, in both splits."""
    X, T = with_constant_column(rng, 8.1, rows=12), table(rng, rows=4)
    train, test = f(X.copy(), T.copy())
    others, same = f(without(X), without(T))
    small = in_small_units(rng)
    return {
        "the constant column of the training split": explained_residue(train[:, 1]),
        "the same column of the test split": test[:, 1],
        "the change of the other training columns when the constant one is there": without(train)
        - others,
        "the change of the other test columns": without(test) - same,
        "the deviations for small numbers, beside that of the first column": beside_the_first(
            small, f(small.copy(), small[:3].copy())[0]
        ),
    }


@probe(1)
def splits_are_left_alone(f, rng):
    """Both tables that you are given are left as they were, and the result is right."""
    X, other = table(rng), table(rng, rows=4)
    before = X.copy()
    train, _ = f(X, other)
    return {
        "X_train": Argument(X),
        "X_test": Argument(other),
        "the correlation of each training column with the original": correlations(before, train),
        "the column means of the training split": train.mean(axis=0),
    }


@mistake(
    hint="Mean and deviation of both splits together let the test data into the training data: "
    "leakage. Compute them from X_train alone.",
)
def fits_on_both_splits(X_train, X_test):
    """The statistics come from the training and test splits together: leakage."""
    X = np.concatenate([X_train, X_test])
    constant = X.max(axis=0) == X.min(axis=0)
    mean, std = X.mean(axis=0), np.where(constant, 1, X.std(axis=0))
    return (X_train - mean) / std, (X_test - mean) / std


@mistake(
    earns=3,
    hint="The same wine must get the same numbers in both splits. Use the mean and deviation of "
    "X_train for X_test, too.",
)
def fits_the_test_split_again(X_train, X_test):
    """The test split is scaled with its own mean and deviation."""

    def scale(X):
        constant = X.max(axis=0) == X.min(axis=0)
        return (X - X.mean(axis=0)) / np.where(constant, 1, X.std(axis=0))

    return scale(X_train), scale(X_test)


@mistake(
    earns=3,
    hint="Half of the ruler is right: the deviation is that of X_train. Use its mean for X_test, too.",
)
def centers_the_test_split_by_itself(X_train, X_test):
    """The test split is centered by its own mean, and divided by the training deviation."""
    constant = X_train.max(axis=0) == X_train.min(axis=0)
    std = np.where(constant, 1, X_train.std(axis=0))
    return (X_train - X_train.mean(axis=0)) / std, (X_test - X_test.mean(axis=0)) / std


@mistake(
    earns=3,
    hint="Half of the ruler is right: the mean is that of X_train. Use its deviation for X_test, too.",
)
def divides_the_test_split_by_its_own_deviation(X_train, X_test):
    """The test split is centered by the training mean, and divided by its own deviation."""

    def std(X):
        return np.where(X.max(axis=0) == X.min(axis=0), 1, X.std(axis=0))

    mean = X_train.mean(axis=0)
    return (X_train - mean) / std(X_train), (X_test - mean) / std(X_test)


@mistake(
    hint="The statistics come from the wrong split: compute them from X_train, and use them for "
    "both.",
)
def fits_on_the_test_split(X_train, X_test):
    """The statistics come from the test split."""
    constant = X_test.max(axis=0) == X_test.min(axis=0)
    mean, std = X_test.mean(axis=0), np.where(constant, 1, X_test.std(axis=0))
    return (X_train - mean) / std, (X_test - mean) / std


@mistake(
    earns=5,
    hint="A test value beyond the training range is information. Cutting it off hides it, and "
    "nobody is told. Scale it like all others.",
)
def clips_the_test_split(X_train, X_test):
    """Test values beyond the training range are cut off at its ends."""
    constant = X_train.max(axis=0) == X_train.min(axis=0)
    mean, std = X_train.mean(axis=0), np.where(constant, 1, X_train.std(axis=0))
    train = (X_train - mean) / std
    return train, np.clip((X_test - mean) / std, train.min(axis=0), train.max(axis=0))


@mistake(
    earns=3,
    hint="A model trained on scaled data needs scaled data to predict, too. Did you take the mean and "
    "deviation *before* you scaled the training split? Those of the scaled split are 0 and 1.",
)
def leaves_the_test_split_unscaled(X_train, X_test):
    """The test split comes back as it was, or as good as."""
    constant = X_train.max(axis=0) == X_train.min(axis=0)
    mean, std = X_train.mean(axis=0), np.where(constant, 1, X_train.std(axis=0))
    return (X_train - mean) / std, X_test.copy()


@mistake(hint="The order is training split first, test split second, as in the arguments.")
def exchanges_the_splits(X_train, X_test):
    """The two results are returned in the wrong order."""
    constant = X_train.max(axis=0) == X_train.min(axis=0)
    mean, std = X_train.mean(axis=0), np.where(constant, 1, X_train.std(axis=0))
    return (X_test - mean) / std, (X_train - mean) / std


@mistake(hint="Return both: `return train, test`.")
def returns_the_training_split_only(X_train, X_test):
    """Only the scaled training split is returned."""
    constant = X_train.max(axis=0) == X_train.min(axis=0)
    return (X_train - X_train.mean(axis=0)) / np.where(constant, 1, X_train.std(axis=0))


@mistake(earns=3, hint=SAMPLE_HINT)
def splits_divide_by_n_minus_1(X_train, X_test):
    """The standard deviation divides by N - 1 where N is asked (ddof=1 for ddof=0)."""
    constant = X_train.max(axis=0) == X_train.min(axis=0)
    mean, std = X_train.mean(axis=0), np.where(constant, 1, X_train.std(axis=0, ddof=1))
    return (X_train - mean) / std, (X_test - mean) / std


@mistake(earns=6, hint=COMPUTED_ZERO_HINT)
def splits_divide_by_zero(X_train, X_test):
    """A column that is constant in the training split is divided by a deviation of zero (or, by rounding, of about 1e-15)."""
    mean, std = X_train.mean(axis=0), X_train.std(axis=0)
    return (X_train - mean) / std, (X_test - mean) / std


@mistake(
    earns=6,
    hint="A column that never varies in the training split is centered only. In the test split it may "
    "hold other values, and their distance from the training mean is information.",
)
def splits_set_constant_columns_to_zero(X_train, X_test):
    """A column that is constant in the training split becomes 0 in the test split, whatever it holds."""
    constant = X_train.max(axis=0) == X_train.min(axis=0)
    mean, std = X_train.mean(axis=0), np.where(constant, 1, X_train.std(axis=0))
    return tuple(np.where(constant, 0.0, (X - mean) / std) for X in (X_train, X_test))


@mistake(earns=6, hint=KEPT_EPSILON_HINT)
def splits_add_an_epsilon(X_train, X_test):
    """A small constant is added to the standard deviation, or is its least value, to avoid 0/0."""
    mean, std = X_train.mean(axis=0), X_train.std(axis=0) + 1e-8
    return (X_train - mean) / std, (X_test - mean) / std


@mistake(earns=6, hint=FLOOR_HINT)
def splits_take_a_small_deviation_for_none(X_train, X_test):
    """A column that varies by very little in the training split is treated like one that never varies."""
    mean, std = X_train.mean(axis=0), X_train.std(axis=0)
    std = np.where(std < 1e-8, 1, std)
    return (X_train - mean) / std, (X_test - mean) / std


@mistake(earns=6, hint=IN_PLACE_HINT)
def splits_change_their_input(X_train, X_test):
    """The splits are scaled in place, so that the caller's data are gone."""
    constant = X_train.max(axis=0) == X_train.min(axis=0)
    mean, std = X_train.mean(axis=0), np.where(constant, 1, X_train.std(axis=0))
    X_train -= mean
    X_train /= std
    X_test -= mean
    X_test /= std
    return X_train, X_test


def scale_splits_together(X_train, X_test):
    mean = np.mean(X_train, axis=0)
    std = np.std(X_train, axis=0)
    std[np.all(X_train == X_train[0], axis=0)] = 1.0
    both = (np.vstack([X_train, X_test]) - mean) / std
    return both[: len(X_train)], both[len(X_train) :]


def scale_splits_by_comprehension(X_train, X_test):
    center = X_train.mean(0)
    spread = [s if c.max() > c.min() else 1.0 for s, c in zip(X_train.std(0), X_train.T)]
    train, test = ((X - center) / np.array(spread) for X in (X_train, X_test))
    return train, test


# --- the chapter -----------------------------------------------------------------------------

CHAPTER = Chapter(
    slug="feature_scaling",
    title="Feature scaling",
    exercises=(
        Exercise(
            name="min_max_scale",
            reference=min_max_scale,
            probes=(
                each_column_spans_the_range,
                any_range,
                constant_column_becomes_the_lower_bound,
                takes_whole_numbers,
                leaves_its_input_alone,
                small_units,
            ),
            mistakes=(
                min_max_of_the_whole_matrix,
                min_max_with_one_range,
                min_max_with_one_minimum,
                min_max_of_rows,
                ignores_the_range,
                forgets_to_shift_to_the_lower_bound,
                stretches_by_the_upper_bound,
                forgets_to_stretch,
                multiplies_by_the_upper_bound,
                turns_the_range_around,
                begins_at_the_upper_bound,
                divides_by_the_maximum,
                divides_by_the_largest_absolute_value,
                divides_by_the_maximum_after_shifting,
                min_max_misses_the_parentheses,
                min_max_misses_the_parentheses_of_the_length,
                min_max_divides_by_zero,
                min_max_adds_an_epsilon,
                min_max_takes_a_small_range_for_none,
                min_max_changes_its_input,
                min_max_keeps_whole_numbers,
            ),
            alternatives=(min_max_by_columns, min_max_by_mask, min_max_in_pure_python),
            equivalents={"span = np.where(span == 0, 2, span)": ANY_DIVISOR},
            tolerance=TOLERANCE,
        ),
        Exercise(
            name="mean_normalize",
            reference=mean_normalize,
            probes=(
                mean_zero_and_range_one,
                column_without_a_range_becomes_zero,
                takes_whole_numbers,
                leaves_its_input_alone,
                small_units,
            ),
            mistakes=(
                normalizes_by_the_standard_deviation,
                subtracts_the_minimum,
                only_centers,
                normalizing_forgets_to_center,
                normalizing_divides_by_the_maximum,
                normalizing_with_one_range,
                misses_the_parentheses,
                misses_the_parentheses_of_the_range,
                subtracts_the_median,
                normalizes_rows,
                normalizes_the_whole_matrix,
                normalizing_divides_by_zero,
                normalizing_adds_an_epsilon,
                normalizing_takes_a_small_range_for_none,
                normalizing_changes_its_input,
                normalizing_keeps_whole_numbers,
            ),
            alternatives=(mean_normalize_by_columns, mean_normalize_by_divide),
            equivalents={"span = np.where(span == 0, 2, span)": ANY_DIVISOR},
            tolerance=TOLERANCE,
        ),
        Exercise(
            name="standardize",
            reference=standardize,
            probes=(
                mean_zero,
                unit_standard_deviation,
                constant_column_becomes_zero,
                takes_whole_numbers,
                leaves_its_input_alone,
                constant_but_for_rounding,
                small_units,
            ),
            mistakes=(
                divides_by_n_minus_1,
                divides_by_the_variance,
                divides_by_the_range,
                forgets_to_center,
                standardizing_only_centers,
                standardizing_with_one_deviation,
                standardizing_misses_the_parentheses,
                divides_by_the_length_of_the_column,
                subtracts_after_dividing,
                standardizes_rows,
                standardizes_the_whole_matrix,
                standardizing_divides_by_zero,
                compares_the_deviation_with_zero,
                standardizing_in_one_pass,
                standardizing_takes_a_relatively_small_deviation_for_none,
                standardizing_adds_an_epsilon,
                standardizing_takes_a_small_deviation_for_none,
                standardizing_changes_its_input,
                standardizing_keeps_whole_numbers,
            ),
            alternatives=(
                standardize_by_definition,
                standardize_by_columns,
                standardize_by_rows_of_the_transpose,
            ),
            equivalents={"std = np.where(constant, 2, X.std(axis=0))": ANY_DIVISOR},
            tolerance=TOLERANCE,
        ),
        Exercise(
            name="Scaler",
            reference=Scaler,
            probes=(
                transform_standardizes,
                fit_returns_the_scaler,
                remembers_what_it_was_fitted_on,
                inverse_transform_undoes_transform,
                scaler_survives_a_constant_column,
                scalers_are_independent,
                scaler_leaves_its_inputs_alone,
                fitting_again_replaces,
            ),
            mistakes=(
                RefitsOnTransform,
                RefitsWithoutAGuard,
                UndoesInTheWrongOrder,
                ForgetsTheMeanOnTheWayBack,
                RecomputesOnTheWayBack,
                DividesOnTheWayBack,
                FitReturnsNothing,
                SharesItsState,
                KeepsTheFirstFit,
                ScalerDividesByZero,
                ScalerSetsConstantColumnsToZero,
                ScalerAddsAnEpsilon,
                ScalerTakesASmallDeviationForNone,
                ScalerChangesItsInput,
                ScalerDividesByNMinus1,
                ScalerDividesByTheVariance,
                ScalerOfTheWholeTable,
            ),
            alternatives=(ScalerByMinAndRange,),
            tolerance=TOLERANCE,
        ),
        Exercise(
            name="scale_splits",
            reference=scale_splits,
            probes=(
                training_split_is_standardized,
                test_split_uses_the_training_statistics,
                test_split_does_not_leak,
                values_beyond_the_training_range_are_kept,
                splits_with_a_constant_column,
                splits_are_left_alone,
            ),
            mistakes=(
                fits_on_both_splits,
                fits_the_test_split_again,
                centers_the_test_split_by_itself,
                divides_the_test_split_by_its_own_deviation,
                fits_on_the_test_split,
                clips_the_test_split,
                leaves_the_test_split_unscaled,
                exchanges_the_splits,
                returns_the_training_split_only,
                splits_divide_by_n_minus_1,
                splits_divide_by_zero,
                splits_set_constant_columns_to_zero,
                splits_add_an_epsilon,
                splits_take_a_small_deviation_for_none,
                splits_change_their_input,
            ),
            alternatives=(scale_splits_together, scale_splits_by_comprehension),
            tolerance=TOLERANCE,
        ),
    ),
)
