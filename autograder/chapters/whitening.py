"""Whitening and conditioning: what its exercises ask, and the mistakes that people make in them.

``X`` is a table of N rows (samples) and D columns (features), shape (N, D). Covariances divide by
N. References agree with NumPy's ``cov(bias=True)``, with scikit-learn's ``PCA(whiten=True)`` up to
signs and its N - 1, and with the Hessian that torch computes.

Eigenvectors have free signs, and a whitening has a free rotation where its definition does not say
which: the probes look only at what the definition fixes.

The code of mistakes and alternatives is written as students write it, and stands alone: it uses
nothing but NumPy and its arguments.
"""

import numpy as np

from autograder.exercise import Argument, Chapter, Exercise, Tolerance, mistake, probe

TOLERANCE = Tolerance(relative=1e-6, absolute=1e-8)
# In float64 right answers agree to about 1e-13. float32 anywhere in between leaves 1e-8: too much.
EXACT = Tolerance(relative=1e-10, absolute=1e-11)

CENTER_HINT = (
    "Covariance is about deviations from the mean. Subtract each column's mean first, and go on "
    "with the centered table."
)
SAMPLE_HINT = (
    "The population formula is asked here, which divides by N. `np.cov` divides by N - 1 unless "
    "you say `bias=True`."
)
ROWS_HINT = (
    "A feature is a column. `np.cov` takes the rows for features: pass `X.T`, or say "
    "`rowvar=False`. By hand it is Xᵀ X, of shape (D, D), not X Xᵀ."
)
IN_PLACE_HINT = (
    "`X -= m` writes into the caller's array, and the caller will use it again. `X - m` makes a "
    "new array."
)
ROOT_HINT = (
    "The eigenvalue λ is the *variance* along its eigenvector. What brings a spread to 1 is "
    "division by the standard deviation, √λ."
)
SCATTER_HINT = (
    "XᵀX sums over the samples, and covariance is a mean: divide by N, or the result shrinks with "
    "the number of rows."
)
SINGULAR_HINT = (
    "The singular values s of the centered table are not the eigenvalues of its covariance: those "
    "are s²/N."
)
UNSORTED_HINT = (
    "`np.linalg.eig` and `eigvals` return the eigenvalues in no particular order. For symmetric "
    "matrices there is `eigvalsh`, which sorts upwards."
)
EPS_INSIDE_HINT = (
    "The definition divides by √(λ + ε): eps is added to the variance, before the root is taken. "
    "√λ + ε is another number."
)
EPS_MISSING_HINT = (
    "Without eps, a direction in which the data do not vary is divided by zero, or by the root of "
    "a tiny negative number that should be zero. Add eps to every eigenvalue, under the root."
)
EPS_FLOOR_HINT = (
    "`np.maximum(λ, eps)` keeps the result finite, too, but it is not what is asked: eps is added "
    "to every eigenvalue."
)
EPS_SQUARED_HINT = (
    "An eigenvalue is a variance, and eps is one, too: add eps itself. Its square is so small that it "
    "as good as vanishes."
)
CORRELATION_HINT = (
    "You divided by the standard deviations first. The result is white, but it is another "
    "rotation of the whitened data than the one asked for: use the eigenvectors of the covariance."
)
CHOLESKY_HINT = (
    "There are many whitenings, one for each rotation; the Cholesky factor gives one of them. The "
    "one that is asked for uses the eigenvectors of the covariance."
)
COLUMN_HINT = (
    "`eigh` returns the eigenvectors as the *columns* of U. Coordinates along them are X @ U."
)
BROADCAST_HINT = (
    "Each column of U belongs to one eigenvalue, so column k is divided by √(λ_k + ε). With "
    "`[:, None]` you divided the rows."
)
ANY_FACTOR = "a factor common to all eigenvalues cancels in their ratio"
ANY_THRESHOLD = (
    "rounding gives about 1e-16, and the smallest eigenvalue asked for is 1e-6 of the largest"
)


def rotation(rng, D):
    """A random orthogonal matrix."""
    return np.linalg.qr(rng.normal(size=(D, D)))[0]


def white(rng, rows, D):
    """A table with mean 0 and covariance I, up to rounding."""
    Z = rng.normal(size=(rows, D))
    return np.linalg.qr(Z - Z.mean(axis=0))[0] * np.sqrt(rows)


def cloud(rng, variances=(9.0, 2.0, 0.3), rows=9):
    """A table whose covariance has exactly these eigenvalues, in random directions, off center."""
    D = len(variances)
    turned = white(rng, rows, D) * np.sqrt(variances) @ rotation(rng, D).T
    return turned + rng.uniform(2, 6, size=D) * rng.choice([-1, 1], size=D)


def about(rng, *values):
    """Values within 4 % of these, in their order: nobody can know beforehand what comes of them."""
    return np.array(values) * rng.uniform(0.96, 1.04, size=len(values))


def along_the_axes(rng, variances=(2.0, 0.3, 9.0, 4.0)):
    """A table of features with exactly these variances, and no correlation, off center.

    `np.linalg.eig` sorts nothing: it leaves these in their order.
    """
    D = len(variances)
    return white(rng, 9, D) * np.sqrt(variances) + rng.uniform(2, 6, size=D)


def bowl(rng, eigenvalues):
    """A symmetric matrix with these eigenvalues, in random directions."""
    U = rotation(rng, len(eigenvalues))
    H = U * np.array(eigenvalues) @ U.T
    return (H + H.T) / 2


def too_few_rows(rng):
    """A table with 5 rows and 12 columns: its covariance has rank 4."""
    return rng.normal(size=(5, 12)) * 3 + 20


def covariance_of(Z, D):
    """The covariance of a result of D columns; the student's own function is not asked.

    That of thousands of columns would take us long.
    """
    if np.shape(Z)[1:] != (D,):
        raise ValueError(f"the result has shape {np.shape(Z)} where {D} columns are expected")
    Z = np.asarray(Z, dtype=float)
    Z = Z - Z.mean(axis=0)
    return Z.T @ Z / len(Z)


def is_of(Z, X):
    """Whether a result is made of the columns of a table, weighted and shifted.

    Random numbers can be white, too.
    """
    if np.shape(Z) != X.shape or not np.isfinite(Z).all():
        return False
    columns = np.column_stack([X, np.ones(len(X))])
    rest = Z - columns @ np.linalg.lstsq(columns, Z, rcond=None)[0]
    return bool(np.abs(rest).max() < 1e-6)


def variances_along_the_axes(Z, D):
    """The eigenvalues of a result's covariance; NaN if there are none."""
    covariance = covariance_of(Z, D)
    finite = np.isfinite(covariance).all()
    return np.linalg.eigvalsh(covariance) if finite else np.full(D, np.nan)


def size_of(Z):
    """A word for the values of a result that must stay finite."""
    Z = np.asarray(Z, dtype=float)
    if not np.isfinite(Z).all():
        return "NaN or infinite"
    if not (np.abs(Z) > 1e-6).any():
        return "finite, but 0 everywhere"
    if not np.ptp(Z, axis=0).any():
        return "finite, but the same for every sample"
    largest = np.abs(Z - Z.mean(axis=0)).max()
    return "finite" if largest <= 2 * np.sqrt(len(Z)) else "finite, but too large for white data"


ROUNDING = "finite, by rounding alone"


def but_for_rounding(number):
    """A number that should be infinite; a word where it is what rounding made of infinity."""
    return ROUNDING if np.isfinite(number) and abs(number) > 1e12 else number


def kind_of(*numbers):
    """A word for numbers of which all should be infinite, or none."""
    finite = [but_for_rounding(n) for n in numbers if not np.isinf(n) or n < 0]
    if not finite:
        return "infinite"
    if ROUNDING in finite:
        return ROUNDING
    if np.isnan(finite).any():
        return "NaN"
    return "finite" if len(finite) == len(numbers) else "not always infinite"


# --- covariance ------------------------------------------------------------------------------


def covariance(X):
    X = X - X.mean(axis=0)
    return X.T @ X / len(X)


@probe(2)
def mean_product_of_deviations(f, rng):
    """Entry (j, k) is the mean product of the deviations of features j and k from their means."""
    X = rng.normal(size=(7, 3))
    X[:, 1] -= 2 * X[:, 0]  # one covariance is negative
    return {"the covariance of a 7×3 table": f(X * [1.0, 5.0, 0.2] + 4.0)}


@probe(1)
def one_feature_gives_a_matrix(f, rng):
    """One feature gives a 1×1 matrix with its variance, and one sample gives zeros."""
    return {
        "the covariance of a 6×1 table": f(rng.normal(size=(6, 1)) + 2.0),
        "the covariance of a single sample": f(rng.uniform(1, 3, size=(1, 2)) * [1.0, -1.0]),
    }


@probe(1)
def leaves_its_input_alone(f, rng):
    """The table that you are given is left as it was, and the result is right."""
    X = cloud(rng)
    X[:, 0] *= -np.sign(covariance_of(X, 3)[0, 1])  # one covariance is negative
    result = f(X)
    return {"X": Argument(X), "the result": result}


@probe(1, hidden=True)
def far_from_the_origin(f, rng):
    """Data moved far from the origin (mean 10⁸, deviations about 1) have the same covariance."""
    X = np.round(white(rng, 8, 2) * 4) / 4  # these stay exact when so much is added
    near, far = f(X), f(X + 100_000_003)  # in float32 no mean is near
    other = f(X @ np.array([[1.0, 1.0], [0.0, 1.0]]))
    return {
        "whether the covariance stays the same": bool(np.abs(far - near).max() < 1e-6),
        "whether the data vary at all": bool(np.trace(near) > 0.1),
        "whether other data have another covariance": bool(np.abs(other - near).max() > 0.1),
    }


@mistake(earns=1, hint=SAMPLE_HINT)
def covariance_divides_by_n_minus_1(X):
    """The sum is divided by N - 1 where N is asked."""
    X = X - X.mean(axis=0)
    return X.T @ X / (len(X) - 1)


@mistake(hint=CENTER_HINT)
def covariance_without_centering(X):
    """The columns are not centered: these are mean products of the values, not of deviations."""
    return X.T @ X / len(X)


@mistake(
    earns=1,
    hint="`X.mean()` is one number for the whole table. Each column has a mean of its own: axis=0.",
)
def covariance_around_the_overall_mean(X):
    """The mean of the whole table is subtracted, not each column's own."""
    X = X - X.mean()
    return X.T @ X / len(X)


@mistake(
    earns=1,
    hint="`axis=1` gives each *row's* mean. The mean of a feature runs down its column: axis=0.",
)
def covariance_around_the_row_means(X):
    """Each row's mean is subtracted, not each column's."""
    X = X - X.mean(axis=1, keepdims=True)
    return X.T @ X / len(X)


@mistake(earns=1, hint=ROWS_HINT)
def covariance_of_the_rows(X):
    """The rows were taken for features: the result is N×N."""
    return np.cov(X, bias=True)


@mistake(
    earns=1,
    hint="The transpose stands on the left: Xᵀ X, of shape (D, D), pairs the features. X Xᵀ pairs the "
    "samples.",
)
def covariance_transposes_the_other_factor(X):
    """The product is X Xᵀ, of shape (N, N), where Xᵀ X is asked."""
    X = X - X.mean(axis=0)
    return X @ X.T / len(X)


@mistake(
    earns=1,
    hint="Dividing by both standard deviations makes a correlation, which has no unit. Leave that "
    "division out.",
)
def correlation_instead(X):
    """The result is the correlation matrix, with ones on its diagonal."""
    X = X - X.mean(axis=0)
    std = np.sqrt((X**2).mean(axis=0))
    std = np.where(std == 0, 1, std)
    return (X / std).T @ (X / std) / len(X)


@mistake(earns=1, hint="A mean is a sum divided by the number of its terms, here N.")
def covariance_not_divided(X):
    """The products are summed, but not divided by N."""
    X = X - X.mean(axis=0)
    return X.T @ X


@mistake(earns=1, hint="The mean runs over the N rows. D, the number of columns, does not enter.")
def covariance_divides_by_d(X):
    """The sum is divided by D, the number of features, where N is asked."""
    X = X - X.mean(axis=0)
    return X.T @ X / X.shape[1]


@mistake(
    earns=2,
    hint="The variances are the diagonal only. Beside it stand the products of *different* "
    "features, and these are what whitening is about: Xᵀ X of the centered table, divided by "
    "N, has them all.",
)
def covariance_only_on_the_diagonal(X):
    """Only the variances are there; the entries beside the diagonal are zero."""
    return np.diag(X.var(axis=0))


@mistake(
    hint="A variance pairs a feature with itself only, and so does `*`, entry by entry. The matrix "
    "product Xᵀ @ X of the centered table pairs each with each.",
)
def variances_as_a_vector(X):
    """The result is the D variances, not a D×D matrix."""
    X = X - X.mean(axis=0)
    return (X * X).mean(axis=0)


@mistake(earns=4, hint=IN_PLACE_HINT)
def covariance_changes_its_input(X):
    """The table is centered in place, so that the caller's data are gone."""
    X -= X.mean(axis=0)
    return X.T @ X / len(X)


@mistake(
    earns=4,
    hint="For a single feature `np.cov` returns a plain number. `np.atleast_2d` makes it a 1×1 "
    "matrix again.",
)
def covariance_loses_its_axes(X):
    """A single feature gives a plain number instead of a 1×1 matrix."""
    return np.cov(X.T, bias=True)


@mistake(
    earns=4,
    hint="Before NumPy 2.2, `np.cov(X, rowvar=False)` took a table of one row for one feature. "
    "`np.cov(X.T)` is right in every version.",
)
def covariance_takes_a_sample_for_a_feature(X):
    """A single sample is taken for a single feature: its variance, instead of a matrix of zeros."""
    return np.atleast_2d(np.cov(X if len(X) == 1 else X.T, bias=True))


@mistake(
    earns=4,
    hint="Both terms are huge when the mean is, and their difference is small: its digits are "
    "lost. Subtract the mean first, then multiply.",
)
def covariance_by_difference(X):
    """The mean products and the products of means are subtracted from one another, which loses all digits."""
    mean = X.mean(axis=0)
    return X.T @ X / len(X) - np.outer(mean, mean)


def covariance_by_numpy(X):
    return np.atleast_2d(np.cov(X, rowvar=False, bias=True))


def covariance_by_loops(X):
    N, D = X.shape
    mean = [sum(X[:, j]) / N for j in range(D)]
    C = np.empty((D, D))
    for j in range(D):
        for k in range(D):
            C[j, k] = sum((X[i, j] - mean[j]) * (X[i, k] - mean[k]) for i in range(N)) / N
    return C


def covariance_by_outer_products(X):
    mean = np.mean(X, axis=0)
    return sum(np.outer(x - mean, x - mean) for x in X) / X.shape[0]


def covariance_by_einsum(X):
    deviations = np.subtract(X, X.mean(0))
    return np.einsum("ij,ik->jk", deviations, deviations) / len(deviations)


# --- condition_number ------------------------------------------------------------------------


def condition_number(X):
    X = X - X.mean(axis=0)
    eigenvalues = np.linalg.eigvalsh(X.T @ X / len(X))
    if eigenvalues[0] <= 1e-12 * eigenvalues[-1]:
        return np.inf
    return eigenvalues[-1] / eigenvalues[0]


@probe(2)
def ratio_of_the_extreme_eigenvalues(f, rng):
    """It is the largest eigenvalue of the covariance divided by the smallest."""
    return {
        "κ for eigenvalues about 9, 2, 0.3": f(cloud(rng, about(rng, 9.0, 2.0, 0.3))),
        "κ for eigenvalues about 5, 4, 0.013": f(cloud(rng, about(rng, 5.0, 4.0, 0.013))),
        "κ of white data": f(white(rng, 8, 3) + 1.0),
        # A general solver has the eigenvalues in any order, and sometimes in the right one.
        "κ for 12 tables with eigenvalues about 9, 4, 2, 0.3": [
            f(cloud(rng, about(rng, 9.0, 4.0, 2.0, 0.3))) for _ in range(12)
        ],
    }


@probe(1)
def a_common_unit_does_not_matter(f, rng):
    """Neither a common unit nor a shift of all data changes it: data of size 10⁻⁶ have the same κ."""
    X = cloud(rng, about(rng, 9.0, 2.0, 0.3))
    return {
        "κ of the data in small units": f(1e-6 * X),
        "κ of the data in large units": f(1e4 * X),
        "κ of the shifted data": f(X + 50.0),
        "κ for 12 tables in small units": [
            f(1e-6 * cloud(rng, about(rng, 9.0, 4.0, 2.0, 0.3))) for _ in range(12)
        ],
    }


@probe(1)
def redundant_features_are_infinite(f, rng):
    """A feature that is constant, or a mixture of others, makes it infinite; a faint one does not."""
    tables = [np.full((4, 2), 2.5)]
    for _ in range(8):  # rounding leaves now a little more than zero, now a little less
        X = rng.normal(size=(12, 4)) + 1.0
        tables.append(np.column_stack([X, np.full(12, 3.5)]))
        tables.append(np.column_stack([X, X[:, 0] - X[:, 1]]))
        tables.append(np.column_stack([X[:, 0], 2 * X[:, 0], 1e-4 * X[:, 1]]))
    # Neither shape nor place tells which table has a faint feature.
    turn = int(rng.integers(len(tables)))
    tables.insert(turn, cloud(rng, (1e11, 1e3, 1.0), rows=12))
    found = [f(X) for X in tables]
    faint = found.pop(turn)
    return {
        "κ for 25 tables with a redundant feature": kind_of(*found),
        "κ for the eigenvalues 10¹¹, 10³ and 1": kind_of(faint),
    }


@probe(1, hidden=True)
def too_few_rows_are_infinite(f, rng):
    """No more rows than features make it infinite, while one row more suffices."""
    squares = [rng.normal(size=(6, 6)) for _ in range(12)]  # rounding may give either sign
    return {
        "κ for 5 rows and 12 features": but_for_rounding(f(too_few_rows(rng))),
        "κ for 12 tables of 6 rows and 6 features": kind_of(*[f(X) for X in squares]),
        "κ for 4 rows and 3 features": kind_of(f(cloud(rng, (4.0, 2.0, 1.0), rows=4))),
        "whether κ = 10⁹ is finite": bool(np.isfinite(f(cloud(rng, (1e9, 1e3, 1.0))))),
    }


@mistake(earns=2, hint="The largest belongs on top: κ is at least 1. `eigvalsh` sorts upwards.")
def condition_upside_down(X):
    """The smallest eigenvalue is divided by the largest."""
    X = X - X.mean(axis=0)
    eigenvalues = np.linalg.eigvalsh(X.T @ X / len(X))
    if eigenvalues[0] <= 1e-12 * eigenvalues[-1]:
        return np.inf
    return eigenvalues[0] / eigenvalues[-1]


@mistake(
    earns=2,
    hint="That is how steep the steepest direction is. κ compares it with the flattest: divide by the "
    "smallest eigenvalue.",
)
def condition_is_the_largest_eigenvalue(X):
    """The largest eigenvalue is returned; it is not divided by the smallest."""
    X = X - X.mean(axis=0)
    eigenvalues = np.linalg.eigvalsh(X.T @ X / len(X))
    if eigenvalues[0] <= 1e-12 * eigenvalues[-1]:
        return np.inf
    return eigenvalues[-1]


@mistake(earns=2, hint=UNSORTED_HINT)
def condition_of_the_first_and_the_last(X):
    """The first and the last eigenvalue of `np.linalg.eig` are taken for largest and smallest."""
    X = X - X.mean(axis=0)
    eigenvalues = np.linalg.eigvals(X.T @ X / len(X))
    if eigenvalues.min() <= 1e-12 * eigenvalues.max():
        return np.inf
    return eigenvalues[0] / eigenvalues[-1]


@mistake(earns=2, hint=UNSORTED_HINT)
def condition_of_the_last_and_the_first(X):
    """The last and the first eigenvalue of `np.linalg.eig` are taken for largest and smallest."""
    X = X - X.mean(axis=0)
    eigenvalues = np.linalg.eigvals(X.T @ X / len(X))
    if eigenvalues.min() <= 1e-12 * eigenvalues.max():
        return np.inf
    return eigenvalues[-1] / eigenvalues[0]


@mistake(
    earns=2,
    hint="Singular values of the data are standard deviations (times √N); eigenvalues of the "
    "covariance are their squares. Your result is √κ.",
)
def condition_by_singular_values(X):
    """The singular values of the centered table are divided, which gives √κ."""
    X = X - X.mean(axis=0)
    s = np.linalg.svd(X, compute_uv=False)
    if s[-1] <= 1e-12 * s[0]:
        return np.inf
    return s[0] / s[-1]


@mistake(
    hint="`np.linalg.cond` of a table divides singular values, which are roots of eigenvalues, and "
    "it does not center. Ask for the eigenvalues of the covariance.",
)
def condition_of_the_table(X):
    """`np.linalg.cond(X)` was taken of the table itself, not of its covariance."""
    return np.linalg.cond(X)


@mistake(
    hint="The table has to be centered, in both places: for the eigenvalues, and for the question "
    "whether one of them is zero. A constant column is not zero before it is centered.",
)
def condition_around_the_origin(X):
    """The table is not centered, and a constant feature therefore counts as variation."""
    eigenvalues = np.linalg.eigvalsh(X.T @ X / len(X))
    if eigenvalues[0] <= 1e-12 * eigenvalues[-1]:
        return np.inf
    return eigenvalues[-1] / eigenvalues[0]


@mistake(
    hint="The diagonal knows nothing of correlations. Two features of equal variance that nearly "
    "agree make a ravine; only the eigenvalues see it.",
)
def condition_of_the_diagonal(X):
    """The largest variance is divided by the smallest; correlations are ignored."""
    variances = X.var(axis=0)
    if variances.min() <= 1e-12 * variances.max():
        return np.inf
    return variances.max() / variances.min()


@mistake(
    earns=2,
    hint="The correlation matrix is the covariance of *standardized* features. The condition "
    "number of the data as they are is asked.",
)
def condition_of_the_correlation(X):
    """The eigenvalues are those of the correlation matrix."""
    X = X - X.mean(axis=0)
    std = X.std(axis=0)
    if (std == 0).any():
        return np.inf
    eigenvalues = np.linalg.eigvalsh((X / std).T @ (X / std) / len(X))
    if eigenvalues[0] <= 1e-12 * eigenvalues[-1]:
        return np.inf
    return eigenvalues[-1] / eigenvalues[0]


@mistake(
    earns=3,
    hint="Rounding leaves about 1e-16 of the largest eigenvalue where zero should be, sometimes "
    "below zero; `np.linalg.cond` divides by it, too. Compare the smallest eigenvalue with 1e-12 "
    "times the largest, and return np.inf.",
)
def condition_trusts_the_last_digit(X):
    """An eigenvalue that is zero but for rounding is divided by."""
    X = X - X.mean(axis=0)
    eigenvalues = np.linalg.eigvalsh(X.T @ X / len(X))
    return eigenvalues[-1] / eigenvalues[0]


@mistake(
    earns=3,
    hint="Rounding leaves about 1e-16 of the largest eigenvalue where zero should be, above or below "
    "it: neither `== 0` nor `<= 0` finds it. Compare with 1e-12 times the largest.",
)
def condition_waits_for_an_exact_zero(X):
    """κ is infinite only where the smallest eigenvalue is not positive; rounding can make it so, or not."""
    X = X - X.mean(axis=0)
    eigenvalues = np.linalg.eigvalsh(X.T @ X / len(X))
    if eigenvalues[0] <= 0:
        return np.inf
    return eigenvalues[-1] / eigenvalues[0]


@mistake(
    earns=4,
    hint="*At most* 1e-12 times the largest: `<=`. Where no feature varies at all, the smallest "
    "eigenvalue and that bound are both 0, and `<` goes on to 0/0.",
)
def condition_wants_to_be_below(X):
    """An eigenvalue has to be below 1e-12 of the largest: where all of them are 0, that is never so."""
    X = X - X.mean(axis=0)
    eigenvalues = np.linalg.eigvalsh(X.T @ X / len(X))
    if eigenvalues[0] < 1e-12 * eigenvalues[-1]:
        return np.inf
    return eigenvalues[-1] / eigenvalues[0]


@mistake(
    earns=3,
    hint="A zero eigenvalue makes κ infinite: do not drop it, but return `np.inf` where there is "
    "one.",
)
def condition_leaves_out_the_zeros(X):
    """Eigenvalues that count as zero are left out, and the smallest of the others divides."""
    X = X - X.mean(axis=0)
    eigenvalues = np.linalg.eigvalsh(X.T @ X / len(X))
    eigenvalues = eigenvalues[eigenvalues > 1e-12 * eigenvalues[-1]]
    return eigenvalues[-1] / eigenvalues[0]


@mistake(
    earns=4,
    hint="Whether a number is small depends on its unit: in kilometres, every variance of a wine "
    "glass is below 1e-8. Compare with 1e-12 times the largest eigenvalue.",
)
def condition_with_an_absolute_threshold(X):
    """Eigenvalues below a fixed number count as zero, whatever the unit of the data."""
    X = X - X.mean(axis=0)
    eigenvalues = np.linalg.eigvalsh(X.T @ X / len(X))
    if eigenvalues[0] < 1e-8:
        return np.inf
    return eigenvalues[-1] / eigenvalues[0]


@mistake(
    hint="An epsilon hides what is asked for: a singular covariance then has a finite condition "
    "number, and small data get a wrong one. Treat zero as the special case that it is.",
)
def condition_adds_an_epsilon(X):
    """A small constant is added to the smallest eigenvalue, so that nothing is ever infinite."""
    X = X - X.mean(axis=0)
    eigenvalues = np.linalg.eigvalsh(X.T @ X / len(X))
    return eigenvalues[-1] / (eigenvalues[0] + 1e-5)


@mistake(hint=ROWS_HINT)
def condition_of_the_rows(X):
    """The rows were taken for features, and their N×N covariance is nearly always singular."""
    eigenvalues = np.linalg.eigvalsh(np.cov(X, bias=True))
    if eigenvalues[0] <= 1e-12 * eigenvalues[-1]:
        return np.inf
    return eigenvalues[-1] / eigenvalues[0]


@mistake(
    earns=2,
    hint="A mean mixes all eigenvalues, as a sum or a determinant does. Only the two extreme ones "
    "are asked.",
)
def condition_by_the_mean_eigenvalue(X):
    """The mean of all eigenvalues stands where the largest should."""
    X = X - X.mean(axis=0)
    eigenvalues = np.linalg.eigvalsh(X.T @ X / len(X))
    if eigenvalues[0] <= 1e-12 * eigenvalues[-1]:
        return np.inf
    return eigenvalues.mean() / eigenvalues[0]


def condition_number_by_svd(X):
    s = np.linalg.svd(X - X.mean(axis=0), compute_uv=False)
    if X.shape[0] <= X.shape[1] or s[-1] ** 2 <= 1e-12 * s[0] ** 2:
        return float("inf")
    return float((s[0] / s[-1]) ** 2)


def condition_number_by_rank(X):
    C = np.atleast_2d(np.cov(X, rowvar=False, bias=True))
    if np.linalg.matrix_rank(C, hermitian=True) < len(C):
        return np.inf
    return np.linalg.cond(C)


def condition_number_by_norms(X):
    D = X - np.mean(X, axis=0)
    C = np.einsum("ni,nj->ij", D, D) / D.shape[0]
    values = sorted(abs(v) for v in np.linalg.eigvals(C))
    return np.inf if values[0] <= 1e-12 * values[-1] else values[-1] / values[0]


# --- max_learning_rate -----------------------------------------------------------------------


def max_learning_rate(H):
    return 2 / np.linalg.eigvalsh(H)[-1]


@probe(2)
def two_over_the_steepest(f, rng):
    """Below the returned learning rate gradient descent converges, above it it diverges."""
    return {
        "the limit for eigenvalues about 4, 1, 0.2": f(bowl(rng, about(rng, 4.0, 1.0, 0.2))),
        "the limit for eigenvalues about 0.9, 0.8, 0.1, 0.05": f(
            bowl(rng, about(rng, 0.9, 0.8, 0.1, 0.05))
        ),
        "the limit for H = [[8]]": f(np.array([[8.0]])),
        "the limit for diag(1, 4, 0.2)": f(np.diag([1.0, 4.0, 0.2])),
    }


@probe(1)
def a_flat_direction_does_not_matter(f, rng):
    """A direction without any curvature does not limit the learning rate."""
    # The 0 may be rounded to either side.
    bowls = [bowl(rng, about(rng, 5.0, 2.0, 0.0)) for _ in range(30)]
    return {
        "the limits of 30 bowls with eigenvalues about 5, about 2, and 0": [f(H) for H in bowls],
        "the limit for diag(2, 5, 0)/10⁶": f(np.diag([2e-6, 5e-6, 0.0])),
        "the limit for diag(2, 5, 0)": f(np.diag([2.0, 5.0, 0.0])),
    }


@mistake(
    hint="At 1/λ_max the steepest direction arrives in one step. You may go twice as far before "
    "|1 - ηλ| reaches 1.",
)
def one_over_the_steepest(H):
    """1/λ_max is returned, half of the limit."""
    return 1 / np.linalg.eigvalsh(H)[-1]


@mistake(
    hint="λ_max is a curvature, not a rate: the steeper, the shorter the steps have to be. Look for the "
    "η at which |1 - ηλ_max| reaches 1.",
)
def returns_the_steepest(H):
    """The largest eigenvalue itself is returned, not the learning rate that it allows."""
    return np.linalg.eigvalsh(H)[-1]


@mistake(
    hint="Every direction must satisfy |1 - ηλ| < 1, and the steepest is the strictest. `eigvalsh` "
    "sorts upwards: the largest comes last.",
)
def two_over_the_flattest(H):
    """The smallest eigenvalue is taken for the largest."""
    return 2 / np.linalg.eigvalsh(H)[0]


@mistake(
    hint="`np.linalg.eig` returns the eigenvalues in no particular order. Take the largest of them.",
)
def two_over_the_first(H):
    """The first eigenvalue that `np.linalg.eig` returns is taken for the largest."""
    eigenvalues, _ = np.linalg.eig(H)
    return 2 / eigenvalues[0]


@mistake(
    earns=2,
    hint="2/λ is smallest for the largest λ, but a zero eigenvalue may be rounded to -1e-16, and its "
    "2/λ is then smaller still. Take the largest eigenvalue first, then divide.",
)
def the_smallest_of_all_limits(H):
    """The smallest of all 2/λ is returned, which is negative where rounding made a zero negative."""
    return min(2 / eigenvalue for eigenvalue in np.linalg.eigvalsh(H) if eigenvalue != 0)


@mistake(
    earns=2,
    hint="H is not 0, so its largest eigenvalue is not, and you may divide by it as it is. In a very "
    "flat bowl even a small number more counts.",
)
def adds_an_epsilon_to_the_steepest(H):
    """A small constant is added to the largest eigenvalue."""
    return 2 / (np.linalg.eigvalsh(H)[-1] + 1e-8)


@mistake(
    hint="The trace is the *sum* of the eigenvalues; the limit depends on the largest alone.",
)
def two_over_the_trace(H):
    """The trace is taken for the largest eigenvalue: safe, but not the limit."""
    return 2 / np.trace(H)


@mistake(
    hint="The diagonal of H is not its eigenvalues, unless H is diagonal. In a slanted bowl the "
    "steepest direction lies between the axes.",
)
def two_over_the_diagonal(H):
    """The largest entry of H (which lies on its diagonal) is taken for the largest eigenvalue."""
    return 2 / np.diag(H).max()


@mistake(
    hint="H is the matrix of the bowl already. Take its own eigenvalues; there is no table here whose "
    "covariance could be asked.",
)
def limit_of_the_covariance(H):
    """H is taken for a table, and the eigenvalues are those of its covariance."""
    X = H - H.mean(axis=0)
    largest = np.linalg.eigvalsh(X.T @ X / len(X))[-1]
    return 2 / largest if largest > 0 else np.inf


@mistake(
    earns=1,
    hint="2/(λ_max + λ_min) is the *fastest* rate for a bowl. The limit is higher: the steepest "
    "direction alone decides it.",
)
def the_fastest_rate(H):
    """The rate that converges fastest is returned, not the one where convergence ends."""
    eigenvalues = np.linalg.eigvalsh(H)
    return 2 / (eigenvalues[-1] + eigenvalues[0])


@mistake(
    hint="`np.linalg.norm(H)` is the Frobenius norm, the root of the sum of *all* squared "
    "eigenvalues. The largest one is `np.linalg.norm(H, 2)`.",
)
def two_over_the_frobenius_norm(H):
    """The Frobenius norm is taken for the largest eigenvalue."""
    return 2 / np.linalg.norm(H)


@mistake(hint="The error is multiplied by 1 - ηλ. Set that to -1 and solve for η.")
def half_the_steepest(H):
    """λ_max/2 is returned: the limit upside down."""
    return np.linalg.eigvalsh(H)[-1] / 2


@mistake(
    hint="The mean eigenvalue belongs to no direction. The steepest one decides.",
)
def two_over_the_mean(H):
    """The mean of the eigenvalues is taken for the largest."""
    return 2 / np.linalg.eigvalsh(H).mean()


def max_learning_rate_by_norm(H):
    return 2.0 / np.linalg.norm(H, ord=2)


def max_learning_rate_by_eigenvalues(H):
    return float(min(2 / v for v in np.linalg.eigvals(H).real if v > 1e-12))


# --- gradient_descent_steps ------------------------------------------------------------------


def gradient_descent_steps(H, w0, learning_rate, tol=1e-6, max_steps=200):
    target = tol * (w0 @ H @ w0)
    w = w0
    for steps in range(max_steps + 1):
        if w @ H @ w <= target:
            return steps
        w = w - learning_rate * (H @ w)
    return np.inf


@probe(2)
def counts_the_steps(f, rng):
    """It is the smallest number of steps after which the loss is at most tol times the first loss."""
    narrow, round_ = bowl(rng, (4.0, 1.0, 0.2)), bowl(rng, (3.0, 2.0))
    w, v = rng.uniform(1, 2, size=3) * rng.choice([-1, 1], size=3), rng.uniform(1, 2, size=2)
    return {
        "the steps for κ = 20, learning rate 1/λ_max": f(narrow, w.copy(), 0.25),
        "the steps for κ = 20, learning rate 1.8/λ_max": f(narrow, w.copy(), 0.45),
        "the steps for κ = 20, tol = 0.003": f(narrow, w.copy(), 0.25, tol=0.003),
        "the steps for κ = 1.5, a small learning rate": f(round_, v, 0.05),
        # Given: the squares of gradient and distance fall to the target 28 steps before, 13 after.
        "the steps for diag(4, 0.2) from (1, 2)": f(
            np.diag([4.0, 0.2]), np.array([1.0, 2.0]), 0.25
        ),
    }


@probe(1)
def zero_and_one_step(f, rng):
    """A round bowl takes one step at 1/λ; where the target is met from the start, it takes none."""
    w, halves = rng.uniform(1, 2, size=3), int(rng.integers(3, 5))
    return {
        "the steps in a round bowl, learning rate 1/λ": f(4.0 * np.eye(3), w.copy(), 0.25),
        "the steps for tol = 1": f(bowl(rng, (2.0, 1.0, 0.5)), w.copy(), 0.1, tol=1.0),
        "the steps when a step halves w, for a power of 1/4": f(
            np.eye(1), np.ones(1), 0.5, tol=0.25**halves
        ),
        "the steps from the minimum": f(bowl(rng, (2.0, 1.0, 0.5)), np.zeros(3), 0.1),
    }


@probe(1)
def gives_up_honestly(f, rng):
    """It is `np.inf` if the target is not met after max_steps steps, and a number if it is."""
    H, w = np.array([[2.5, 1.5], [1.5, 2.5]]), rng.uniform(1, 2, size=2)

    def line(needed, rate=0.5, **limit):
        return f(np.eye(1), np.ones(1), rate, tol=(1 - rate) ** (2 * needed - 1), **limit)

    return {
        "the count above the limit 2/λ_max": f(H, w, 0.52, max_steps=40),
        "the count above the limit, for a start on the flat axis": kind_of(
            f(np.diag([4.0, 1.0]), np.array([0.0, 1.0]), 1.0, max_steps=40)
        ),
        "the count when 7 steps are needed and max_steps is 7": kind_of(line(7, max_steps=7)),
        "the count when 8 steps are needed and max_steps is 7": line(8, max_steps=7),
        "the count when 200 steps are needed": kind_of(line(200, rate=0.03)),
        "the count when 201 steps are needed": line(201, rate=0.03),
    }


@probe(1)
def leaves_the_start_alone(f, rng):
    """The start that you are given is left as it was, and the count is right."""
    w = rng.uniform(2, 3) * np.array([3.0, -1.0])
    steps = f(np.array([[5.0, 3.0], [3.0, 5.0]]), w, 0.125 * rng.uniform(0.8, 1))
    return {"w0": Argument(w), "the steps": steps}


@probe(1, hidden=True)
def the_tolerance_is_relative(f, rng):
    """A start a million times farther away takes as many steps; a longer bowl takes more."""
    # A given bowl: how a random one is turned decides whether wrong steps diverge.
    H, w = np.array([[2.5, 1.5], [1.5, 2.5]]), rng.uniform(1, 2, size=2) * [1, -1]
    far, near = f(H, 1000.0 * w, 0.25), f(H, 0.001 * w, 0.25)
    flat = rng.permutation([0.4, 2.0])
    one, other = (f(np.diag([4.0, eigenvalue]), np.ones(2), 0.25) for eigenvalue in flat)
    return {
        "the additional steps from the farther start": far - near,
        "whether κ = 10 takes more steps than κ = 2": bool(
            one > other if flat[0] < flat[1] else other > one
        ),
    }


@mistake(
    earns=0,
    hint="A loss that hardly changes need not be small: with a short step it never changes much. "
    "Compare each loss with tol times the loss at w0.",
)
def waits_for_a_standstill(H, w0, learning_rate, tol=1e-6, max_steps=200):
    """The steps end when the loss hardly changes any more, not when it is small."""
    w, before = w0, np.inf
    for steps in range(max_steps + 1):
        loss = w @ H @ w / 2
        if abs(before - loss) <= tol:
            return steps
        before = loss
        w = w - learning_rate * (H @ w)
    return np.inf


@mistake(
    earns=2,
    hint="The start is w_0, after *no* step: count from 0, and look at the loss before you take "
    "and count a step.",
)
def counts_one_step_too_many(H, w0, learning_rate, tol=1e-6, max_steps=200):
    """Every count is one too high: the start counts as the first step."""
    target = tol * (w0 @ H @ w0)
    w = w0
    for steps in range(max_steps + 1):
        if w @ H @ w <= target:
            return steps + 1
        w = w - learning_rate * (H @ w)
    return np.inf


@mistake(
    earns=2,
    hint="A step was taken before it is counted: after the first pass of the loop w_1 is reached, "
    "and `range` begins at 0.",
)
def counts_one_step_too_few(H, w0, learning_rate, tol=1e-6, max_steps=200):
    """Every count is one too low: the first step is not counted."""
    target = tol * (w0 @ H @ w0)
    w = w0
    if w @ H @ w <= target:
        return 0
    for steps in range(max_steps):
        w = w - learning_rate * (H @ w)
        if w @ H @ w <= target:
            return steps
    return np.inf


@mistake(
    earns=5,
    hint="Above 2/λ_max the loss grows in the end, but a start without a part in the steep direction "
    "may reach the target before. Count the steps, whatever the learning rate is.",
)
def gives_up_above_the_limit(H, w0, learning_rate, tol=1e-6, max_steps=200):
    """Above the limit of the learning rate the answer is infinite before a step is taken."""
    if learning_rate >= 2 / np.linalg.eigvalsh(H)[-1]:
        return np.inf
    target = tol * (w0 @ H @ w0)
    w = w0
    for steps in range(max_steps + 1):
        if w @ H @ w <= target:
            return steps
        w = w - learning_rate * (H @ w)
    return np.inf


@mistake(
    earns=5,
    hint="The start may already be good enough. Look at the loss before the first step, too.",
)
def never_looks_at_the_start(H, w0, learning_rate, tol=1e-6, max_steps=200):
    """The loss is first looked at after one step, so that the answer 0 never comes."""
    target = tol * (w0 @ H @ w0)
    w = w0
    for steps in range(1, max_steps + 1):
        w = w - learning_rate * (H @ w)
        if w @ H @ w <= target:
            return steps
    return np.inf


@mistake(
    hint="tol is relative: compare the loss with tol times the loss at w0, not with tol itself.",
)
def takes_the_tolerance_as_absolute(H, w0, learning_rate, tol=1e-6, max_steps=200):
    """The loss is compared with tol itself, not with tol times the first loss."""
    w = w0
    for steps in range(max_steps + 1):
        if 0.5 * w @ H @ w <= tol:
            return steps
        w = w - learning_rate * (H @ w)
    return np.inf


@mistake(
    earns=1,
    hint="Both losses need their ½, or neither does: compute them by the same formula.",
)
def halves_the_first_loss_only(H, w0, learning_rate, tol=1e-6, max_steps=200):
    """The first loss has its ½ and the later ones do not, so that the target is half as high."""
    target = tol * 0.5 * (w0 @ H @ w0)
    w = w0
    for steps in range(max_steps + 1):
        if w @ H @ w <= target:
            return steps
        w = w - learning_rate * (H @ w)
    return np.inf


@mistake(
    earns=2,
    hint="Both losses need their ½, or neither does: compute them by the same formula.",
)
def halves_the_later_losses_only(H, w0, learning_rate, tol=1e-6, max_steps=200):
    """The later losses have their ½ and the first one does not, so that the target is twice as high."""
    target = tol * (w0 @ H @ w0)
    w = w0
    for steps in range(max_steps + 1):
        if 0.5 * w @ H @ w <= target:
            return steps
        w = w - learning_rate * (H @ w)
    return np.inf


@mistake(
    earns=2,
    hint="`tol` is an argument, and 1e-6 only its default: use the name, not the number.",
)
def ignores_the_tolerance(H, w0, learning_rate, tol=1e-6, max_steps=200):
    """The loss is compared with 1e-6 times the first loss, whatever `tol` is."""
    target = 1e-6 * (w0 @ H @ w0)
    w = w0
    for steps in range(max_steps + 1):
        if w @ H @ w <= target:
            return steps
        w = w - learning_rate * (H @ w)
    return np.inf


@mistake(
    earns=1,
    hint="`tol` is the share of the first *loss* that may be left, and the loss holds the squares "
    "already. Multiply by `tol`, not by its square.",
)
def squares_the_tolerance(H, w0, learning_rate, tol=1e-6, max_steps=200):
    """The loss is asked to fall to tol² times the first one."""
    target = tol**2 * (w0 @ H @ w0)
    w = w0
    for steps in range(max_steps + 1):
        if w @ H @ w <= target:
            return steps
        w = w - learning_rate * (H @ w)
    return np.inf


@mistake(
    earns=1,
    hint="A small gradient is not yet a small loss: in a flat direction the gradient is small far "
    "away from the minimum. The loss is asked.",
)
def stops_at_a_small_gradient(H, w0, learning_rate, tol=1e-6, max_steps=200):
    """The size of the gradient is compared, not the loss."""
    first = np.linalg.norm(H @ w0)
    w = w0
    for steps in range(max_steps + 1):
        if np.linalg.norm(H @ w) <= tol * first:
            return steps
        w = w - learning_rate * (H @ w)
    return np.inf


@mistake(
    earns=3,
    hint="The loss is ½ wᵀHw; the squared gradient is wᵀH²w, in which the steep directions count for "
    "more. Compare losses.",
)
def stops_at_a_small_squared_gradient(H, w0, learning_rate, tol=1e-6, max_steps=200):
    """The square of the gradient's size is compared with tol times the first one, not the loss."""
    target = tol * np.sum((H @ w0) ** 2)
    w = w0
    for steps in range(max_steps + 1):
        if np.sum((H @ w) ** 2) <= target:
            return steps
        w = w - learning_rate * (H @ w)
    return np.inf


@mistake(
    earns=3,
    hint="The loss is ½ wᵀHw: without H, the flat directions count for as much as the steep ones. "
    "Compare losses.",
)
def stops_at_a_small_squared_distance(H, w0, learning_rate, tol=1e-6, max_steps=200):
    """The squared distance from the minimum is compared with tol times the first one, not the loss."""
    target = tol * (w0 @ w0)
    w = w0
    for steps in range(max_steps + 1):
        if w @ w <= target:
            return steps
        w = w - learning_rate * (H @ w)
    return np.inf


@mistake(
    hint="A small gradient is not yet a small loss, and how small is small depends on the start. "
    "Compare the loss with tol times the first loss.",
)
def stops_at_an_absolutely_small_gradient(H, w0, learning_rate, tol=1e-6, max_steps=200):
    """The size of the gradient is compared with tol itself, where the loss should be with tol times the first."""
    w = w0
    for steps in range(max_steps + 1):
        if np.linalg.norm(H @ w) <= tol:
            return steps
        w = w - learning_rate * (H @ w)
    return np.inf


@mistake(
    hint="A small step means that the rate or the slope is small, not that the goal is near. The "
    "loss is asked.",
)
def stops_at_a_small_step(H, w0, learning_rate, tol=1e-6, max_steps=200):
    """The length of the last step is compared with tol, not the loss."""
    w = w0
    for steps in range(max_steps + 1):
        step = learning_rate * (H @ w)
        if np.linalg.norm(step) <= tol:
            return steps
        w = w - step
    return np.inf


@mistake(
    earns=1,
    hint="The loss is quadratic: when the distance has shrunk to √tol, the loss has shrunk to "
    "about tol. Compare losses.",
)
def stops_at_a_small_distance(H, w0, learning_rate, tol=1e-6, max_steps=200):
    """The distance from the minimum is compared, not the loss."""
    w = w0
    for steps in range(max_steps + 1):
        if np.linalg.norm(w) <= tol * np.linalg.norm(w0):
            return steps
        w = w - learning_rate * (H @ w)
    return np.inf


@mistake(hint="The gradient of ½ wᵀHw is Hw: the 2 of the square and the ½ cancel.")
def doubles_the_gradient(H, w0, learning_rate, tol=1e-6, max_steps=200):
    """The gradient is taken to be 2Hw, so that every step is twice too long."""
    target = tol * (w0 @ H @ w0)
    w = w0
    for steps in range(max_steps + 1):
        if w @ H @ w <= target:
            return steps
        w = w - learning_rate * 2 * (H @ w)
    return np.inf


@mistake(
    earns=1,
    hint="Without the ½ the loss would be wᵀHw, with the gradient 2Hw. With it, the gradient is Hw: "
    "the ½ is used up.",
)
def halves_the_gradient(H, w0, learning_rate, tol=1e-6, max_steps=200):
    """The gradient is taken to be ½Hw, so that every step is half as long as it should be."""
    target = tol * (w0 @ H @ w0)
    w = w0
    for steps in range(max_steps + 1):
        if w @ H @ w <= target:
            return steps
        w = w - learning_rate * 0.5 * (H @ w)
    return np.inf


@mistake(
    hint="The gradient points uphill: subtract it. If you do, see that `return np.inf` stands behind "
    "the loop, not in it, where the first step would be the last; and look at the formula of the "
    "gradient, and at the size of the step."
)
def climbs(H, w0, learning_rate, tol=1e-6, max_steps=200):
    """Only a start at the target is found: the loss grows, or the loop ends after its first step."""
    target = tol * (w0 @ H @ w0)
    w = w0
    for steps in range(max_steps + 1):
        if w @ H @ w <= target:
            return steps
        w = w + learning_rate * (H @ w)
    return np.inf


@mistake(
    earns=0,
    hint="The gradient is another one at each step: it is H w at the w of now, not at the start.",
)
def keeps_the_first_gradient(H, w0, learning_rate, tol=1e-6, max_steps=200):
    """The gradient is computed once, at the start, and every step follows it."""
    target = tol * (w0 @ H @ w0)
    gradient = H @ w0
    w = w0
    for steps in range(max_steps + 1):
        if w @ H @ w <= target:
            return steps
        w = w - learning_rate * gradient
    return np.inf


@mistake(
    earns=0,
    hint="The gradient of the loss ½ wᵀHw is H w. Without H every direction shrinks at the same rate.",
)
def leaves_the_matrix_out_of_the_gradient(H, w0, learning_rate, tol=1e-6, max_steps=200):
    """The step is the learning rate times w, where it should be times H w."""
    target = tol * (w0 @ H @ w0)
    w = w0
    for steps in range(max_steps + 1):
        if w @ H @ w <= target:
            return steps
        w = w - learning_rate * w
    return np.inf


@mistake(
    earns=2,
    hint="H @ w mixes the directions, and that is the point: the diagonal alone is another bowl.",
)
def ignores_the_coupling(H, w0, learning_rate, tol=1e-6, max_steps=200):
    """Each weight follows its own diagonal entry of H; the entries beside it are ignored."""
    target = tol * (w0 @ H @ w0)
    w = w0
    for steps in range(max_steps + 1):
        if w @ H @ w <= target:
            return steps
        w = w - learning_rate * np.diag(H) * w
    return np.inf


@mistake(
    earns=5,
    hint="A count that was cut off looks like a count. Return `np.inf` when the target was not met.",
)
def returns_max_steps(H, w0, learning_rate, tol=1e-6, max_steps=200):
    """When the target is not met, max_steps is returned, where np.inf is asked."""
    target = tol * (w0 @ H @ w0)
    w = w0
    for steps in range(max_steps + 1):
        if w @ H @ w <= target:
            return steps
        w = w - learning_rate * (H @ w)
    return max_steps


@mistake(
    earns=5,
    hint="max_steps steps give max_steps + 1 points to look at, the start included. Yours does not "
    "look at the last one.",
)
def never_looks_at_the_end(H, w0, learning_rate, tol=1e-6, max_steps=200):
    """The loss after the last step is not looked at."""
    target = tol * (w0 @ H @ w0)
    w = w0
    for steps in range(max_steps):
        if w @ H @ w <= target:
            return steps
        w = w - learning_rate * (H @ w)
    return np.inf


@mistake(
    earns=5,
    hint="*At most* tol times the first loss: `<=`. A loss that meets the target exactly has "
    "arrived; with tol = 1 that is the start.",
)
def wants_to_be_below(H, w0, learning_rate, tol=1e-6, max_steps=200):
    """The loss has to be below the target, where at the target suffices."""
    target = tol * (w0 @ H @ w0)
    w = w0
    for steps in range(max_steps + 1):
        if w @ H @ w < target:
            return steps
        w = w - learning_rate * (H @ w)
    return np.inf


@mistake(
    earns=5,
    hint="`w -= ...` writes into the caller's w0, of which `w = w0` is only another name. "
    "`w = w - ...` makes a new array.",
)
def moves_the_start(H, w0, learning_rate, tol=1e-6, max_steps=200):
    """The steps are taken in w0 itself, so that the caller's start is gone."""
    target = tol * (w0 @ H @ w0)
    for steps in range(max_steps + 1):
        if w0 @ H @ w0 <= target:
            return steps
        w0 -= learning_rate * (H @ w0)
    return np.inf


def gradient_descent_steps_by_while(H, w0, learning_rate, tol=1e-6, max_steps=200):
    def loss(w):
        return 0.5 * np.dot(w, np.dot(H, w))

    w = np.array(w0, dtype=float)
    first, steps = loss(w), 0
    while loss(w) > tol * first:
        if steps == max_steps:
            return float("inf")
        w -= learning_rate * np.dot(H, w)
        steps += 1
    return steps


def gradient_descent_steps_by_eigenvalues(H, w0, learning_rate, tol=1e-6, max_steps=200):
    eigenvalues, U = np.linalg.eigh(H)
    loss = eigenvalues * (U.T @ w0) ** 2
    shrink = (1 - learning_rate * eigenvalues) ** 2
    target = tol * loss.sum()
    for steps in range(max_steps + 1):
        if loss.sum() <= target:
            return float(steps)
        loss = loss * shrink
    return np.inf


# --- pca_whiten ------------------------------------------------------------------------------


def pca_whiten(X, eps=1e-5):
    X = X - X.mean(axis=0)
    eigenvalues, U = np.linalg.eigh(X.T @ X / len(X))
    return (X @ U / np.sqrt(eigenvalues + eps))[:, ::-1]


@probe(1)
def result_is_white(f, rng):
    """With eps = 0 the result has mean 0 and the identity as its covariance."""
    X = cloud(rng)
    Z = f(X, eps=0.0)
    uncorrelated = f(along_the_axes(rng), eps=0.0)
    return {
        "the column means": Z.mean(axis=0),
        "the covariance of the result": covariance_of(Z, 3),
        "the covariance of the result, for uncorrelated features": covariance_of(uncorrelated, 4),
        "whether its columns are made of those of X": is_of(Z, X),
    }


@probe(2)
def principal_axes_in_order(f, rng):
    """Column k is the coordinate along the eigenvector of the k-th largest eigenvalue, with either sign."""
    Z = f(cloud(rng, (4.0, 3.5, 3.0, 2.5, 2.0, 1.5, 1.0)), eps=0.0)
    uncorrelated = f(along_the_axes(rng), eps=0.0)
    return {
        "the absolute values of the result": np.abs(Z),
        "the absolute values for uncorrelated features": np.abs(uncorrelated),
    }


@probe(1)
def eps_is_added_to_the_variance(f, rng):
    """The variance along a direction of variance λ becomes λ/(λ + eps); eps is 10⁻⁵ if not given."""
    large = f(cloud(rng, about(rng, 9.0, 2.0, 0.3)), eps=0.5)
    small = f(along_the_axes(rng, about(rng, 1e-5, 2.5e-6, 4e-5)))
    return {
        "the sorted variances for λ about 9, 2, 0.3 and eps = 0.5": np.sort(np.var(large, axis=0)),
        "the sorted variances for λ about 4e-5, 1e-5, 2.5e-6": np.sort(np.var(small, axis=0)),
    }


@probe(1)
def fewer_rows_than_features(f, rng):
    """Directions without variance stay finite, and the result has the shape of X."""
    Z = f(too_few_rows(rng))
    other = f(np.column_stack([too_few_rows(rng), np.full(5, 2.0)]))
    # Eigenvalues that were sorted without their eigenvectors make a large one of these too large.
    uncorrelated = white(rng, 5, 3) * np.sqrt([0.3, 90.0, 2.0])
    X = cloud(rng)
    return {
        "the shape for 5 rows and 12 features": list(np.shape(Z)),
        "the values for 5 rows and 12 features": size_of(Z),
        "the values with a constant feature": size_of(other),
        "the values for uncorrelated features": size_of(
            f(np.column_stack([uncorrelated, np.zeros((5, 3))]))
        ),
        "whether the columns for 9 rows and 3 features are made of those of X": is_of(
            f(X.copy()), X
        ),
    }


@probe(1)
def leaves_the_table_alone(f, rng):
    """The table that you are given is left as it was, and the result is right."""
    X = cloud(rng)
    Z = f(X)
    uncorrelated = f(along_the_axes(rng))
    return {
        "X": Argument(X),
        "the absolute values of the result": np.abs(Z),
        "the absolute values for uncorrelated features": np.abs(uncorrelated),
    }


@mistake(earns=1, hint=CENTER_HINT)
def pca_around_the_origin(X, eps=1e-5):
    """Nothing is centered: neither the data nor the matrix of their products."""
    eigenvalues, U = np.linalg.eigh(X.T @ X / len(X))
    return (X @ U / np.sqrt(eigenvalues + eps))[:, ::-1]


@mistake(
    earns=2,
    hint="The covariance is that of the centered table, but the uncentered one was turned and "
    "scaled. Go on with the centered table.",
)
def pca_keeps_the_mean(X, eps=1e-5):
    """The covariance is right, but the data themselves are not centered."""
    Xc = X - X.mean(axis=0)
    eigenvalues, U = np.linalg.eigh(Xc.T @ Xc / len(X))
    Z = X @ U / np.sqrt(eigenvalues + eps)
    return Z[:, ::-1]


@mistake(earns=1, hint=ROOT_HINT)
def pca_divides_by_the_eigenvalue(X, eps=1e-5):
    """The coordinates are divided by the eigenvalue, not by its square root."""
    X = X - X.mean(axis=0)
    eigenvalues, U = np.linalg.eigh(X.T @ X / len(X))
    return (X @ U / (np.maximum(eigenvalues, 0) + eps))[:, ::-1]


@mistake(hint="Multiplying by √λ stretches what is already long. Divide.")
def pca_multiplies(X, eps=1e-5):
    """The coordinates are multiplied by the root of the eigenvalue."""
    X = X - X.mean(axis=0)
    eigenvalues, U = np.linalg.eigh(X.T @ X / len(X))
    return (X @ U * np.sqrt(eigenvalues + eps))[:, ::-1]


@mistake(
    hint="A rotation takes the correlations away, but not the differences in spread, and gradient "
    "descent takes as many steps as before. Divide each column by √(λ + ε).",
)
def pca_only_rotates(X, eps=1e-5):
    """The data are turned to the principal axes, but not scaled."""
    X = X - X.mean(axis=0)
    _, U = np.linalg.eigh(X.T @ X / len(X))
    return (X @ U)[:, ::-1]


@mistake(hint=COLUMN_HINT)
def pca_turns_the_wrong_way(X, eps=1e-5):
    """The eigenvectors were taken for the rows of U: X @ U.T instead of X @ U."""
    X = X - X.mean(axis=0)
    eigenvalues, U = np.linalg.eigh(X.T @ X / len(X))
    return (X @ U.T / np.sqrt(eigenvalues + eps))[:, ::-1]


@mistake(hint=BROADCAST_HINT)
def pca_scales_the_rows_of_u(X, eps=1e-5):
    """The rows of U are divided by the roots, where its columns should be."""
    X = X - X.mean(axis=0)
    eigenvalues, U = np.linalg.eigh(X.T @ X / len(X))
    return (X @ (U / np.sqrt(eigenvalues + eps)[:, None]))[:, ::-1]


@mistake(earns=4, hint=EPS_INSIDE_HINT)
def pca_adds_eps_to_the_root(X, eps=1e-5):
    """eps is added to the root of the eigenvalue, not to the eigenvalue."""
    X = X - X.mean(axis=0)
    eigenvalues, U = np.linalg.eigh(X.T @ X / len(X))
    return (X @ U / (np.sqrt(np.maximum(eigenvalues, 0)) + eps))[:, ::-1]


@mistake(earns=3, hint=EPS_INSIDE_HINT)
def pca_takes_the_root_before_eps(X, eps=1e-5):
    """eps is added after the root, which is NaN where rounding has made a zero negative."""
    X = X - X.mean(axis=0)
    eigenvalues, U = np.linalg.eigh(X.T @ X / len(X))
    return (X @ U / (np.sqrt(eigenvalues) + eps))[:, ::-1]


@mistake(hint=SCATTER_HINT, earns=1)
def pca_forgets_to_divide_by_n(X, eps=1e-5):
    """The eigenvalues are those of XᵀX: the division by N is missing."""
    X = X - X.mean(axis=0)
    eigenvalues, U = np.linalg.eigh(X.T @ X)
    return (X @ U / np.sqrt(eigenvalues + eps))[:, ::-1]


@mistake(earns=1, hint=SINGULAR_HINT)
def pca_takes_singular_values(X, eps=1e-5):
    """The singular values of the table stand where the eigenvalues of its covariance should."""
    X = X - X.mean(axis=0)
    _, s, Vt = np.linalg.svd(X, full_matrices=True)
    s = np.append(s, np.zeros(X.shape[1] - len(s)))
    return X @ Vt.T / np.sqrt(s + eps)


@mistake(
    hint="A sample is a row, before and after. Coordinates of all samples at once are X @ U, "
    "not U.T @ X.T.",
)
def pca_returns_the_transpose(X, eps=1e-5):
    """The result is transposed: its columns are the samples."""
    X = X - X.mean(axis=0)
    eigenvalues, U = np.linalg.eigh(X.T @ X / len(X))
    return (X @ U / np.sqrt(eigenvalues + eps))[:, ::-1].T


@mistake(earns=3, hint=EPS_MISSING_HINT)
def pca_ignores_eps(X, eps=1e-5):
    """eps is not used, and directions without variance are divided by zero."""
    X = X - X.mean(axis=0)
    eigenvalues, U = np.linalg.eigh(X.T @ X / len(X))
    return (X @ U / np.sqrt(eigenvalues))[:, ::-1]


@mistake(earns=4, hint=EPS_FLOOR_HINT)
def pca_takes_eps_as_a_floor(X, eps=1e-5):
    """Small eigenvalues are raised to eps, where eps should be added to all."""
    X = X - X.mean(axis=0)
    eigenvalues, U = np.linalg.eigh(X.T @ X / len(X))
    return (X @ U / np.sqrt(np.maximum(eigenvalues, eps)))[:, ::-1]


@mistake(earns=4, hint=EPS_SQUARED_HINT)
def pca_adds_eps_squared(X, eps=1e-5):
    """The square of eps is added to the eigenvalues."""
    X = X - X.mean(axis=0)
    eigenvalues, U = np.linalg.eigh(X.T @ X / len(X))
    return (X @ U / np.sqrt(np.maximum(eigenvalues, 0) + eps**2))[:, ::-1]


@mistake(
    earns=5,
    hint="The directions that do not vary still are columns of the result, filled with zeros. A "
    "thin SVD, and a rule that drops small eigenvalues, lose them; `eigh` of the covariance "
    "has all D.",
)
def pca_drops_directions(X, eps=1e-5):
    """Directions without variance are left out, so that the result has fewer columns than X."""
    X = X - X.mean(axis=0)
    _, s, Vt = np.linalg.svd(X, full_matrices=False)
    return X @ Vt.T / np.sqrt(s**2 / len(X) + eps)


@mistake(
    hint="U has a column for each row of X, and all of length 1, so that eps has no part in it. "
    "Turn the centered table onto the eigenvectors of its covariance, and divide by √(λ + "
    "eps).",
)
def pca_returns_the_left_singular_vectors(X, eps=1e-5):
    """The left singular vectors are returned, which are N columns, not D."""
    return np.linalg.svd(X - X.mean(axis=0))[0]


@mistake(
    earns=5,
    hint="A direction that does not vary still is a column of the result, filled with zeros: eps is "
    "there so that you need not leave it out.",
)
def pca_selects_eigenvalues(X, eps=1e-5):
    """Only eigenvalues that are not nearly zero are used, so that the result has fewer columns than X."""
    X = X - X.mean(axis=0)
    eigenvalues, U = np.linalg.eigh(X.T @ X / len(X))
    keep = eigenvalues > 1e-10
    return (X @ U[:, keep] / np.sqrt(eigenvalues[keep] + eps))[:, ::-1]


@mistake(earns=1, hint=SAMPLE_HINT)
def pca_divides_by_n_minus_1(X, eps=1e-5):
    """The covariance divides by N - 1 where N is asked."""
    X = X - X.mean(axis=0)
    eigenvalues, U = np.linalg.eigh(X.T @ X / (len(X) - 1))
    return (X @ U / np.sqrt(eigenvalues + eps))[:, ::-1]


@mistake(
    earns=1,
    hint="Standardizing makes every variance 1, but it leaves the correlations. Turn to the "
    "eigenvectors of the covariance first.",
)
def pca_only_standardizes(X, eps=1e-5):
    """The features are standardized; their correlations are still there."""
    X = X - X.mean(axis=0)
    return X / np.sqrt(X.var(axis=0) + eps)


@mistake(
    earns=0,
    hint="`eigh` returns the eigenvectors as the *columns* of U. Coordinates along them are X @ U, "
    "not X @ U.T.",
)
def pca_transposes_the_eigenvectors(X, eps=1e-5):
    """The data are multiplied by U.T where it should be U: the rows are taken for eigenvectors."""
    X = X - X.mean(axis=0)
    eigenvalues, U = np.linalg.eigh(X.T @ X / len(X))
    return X @ U[:, ::-1].T / np.sqrt(eigenvalues[::-1] + eps)


@mistake(
    earns=2,
    hint="You turned the result back to the old axes. That is ZCA whitening, the next exercise; "
    "PCA whitening stays on the principal axes.",
)
def pca_rotates_back(X, eps=1e-5):
    """The result is rotated back to the old axes: that is ZCA whitening."""
    X = X - X.mean(axis=0)
    eigenvalues, U = np.linalg.eigh(X.T @ X / len(X))
    return X @ U / np.sqrt(eigenvalues + eps) @ U.T


@mistake(
    earns=3,
    hint="`eigh` sorts upwards, and the largest eigenvalue is asked first: turn the columns around.",
)
def pca_in_rising_order(X, eps=1e-5):
    """The columns run from the smallest eigenvalue to the largest."""
    X = X - X.mean(axis=0)
    eigenvalues, U = np.linalg.eigh(X.T @ X / len(X))
    return X @ U / np.sqrt(eigenvalues + eps)


@mistake(
    earns=3,
    hint="`np.linalg.eig` returns the eigenvalues in no particular order. `np.linalg.eigh` sorts "
    "upwards: turn its columns around, so that the largest eigenvalue comes first.",
)
def pca_in_the_order_of_eig(X, eps=1e-5):
    """The columns stand in the order of `np.linalg.eig`, which is none."""
    X = X - X.mean(axis=0)
    eigenvalues, U = np.linalg.eig(X.T @ X / len(X))
    eigenvalues, U = eigenvalues.real, U.real  # complex from NumPy 2.5 on
    return X @ U / np.sqrt(eigenvalues + eps)


@mistake(
    earns=5,
    hint="From NumPy 2.5 on, `np.linalg.eig` always returns complex numbers. A covariance is symmetric: "
    "`np.linalg.eigh` returns real ones, sorted upwards.",
)
def pca_in_complex_numbers(X, eps=1e-5):
    """The result is complex, as are the eigenvectors of `np.linalg.eig`."""
    X = X - X.mean(axis=0)
    eigenvalues, U = np.linalg.eig(X.T @ X / len(X))
    order = np.argsort(eigenvalues.real)[::-1]
    eigenvalues, U = eigenvalues[order].astype(complex), U[:, order].astype(complex)
    return X @ U / np.sqrt(eigenvalues + eps)


@mistake(
    hint="You turned the eigenvalues around, but not the eigenvectors: each column of U must meet "
    "its own eigenvalue.",
)
def pca_sorts_only_the_eigenvalues(X, eps=1e-5):
    """The eigenvalues are sorted downwards, the eigenvectors are not: they no longer belong together."""
    X = X - X.mean(axis=0)
    eigenvalues, U = np.linalg.eigh(X.T @ X / len(X))
    return X @ U / np.sqrt(eigenvalues[::-1] + eps)


@mistake(
    hint="You turned the eigenvectors around, but not the eigenvalues: each column of U must meet "
    "its own eigenvalue.",
)
def pca_sorts_only_the_eigenvectors(X, eps=1e-5):
    """The eigenvectors are turned around, the eigenvalues are not: they no longer belong together."""
    X = X - X.mean(axis=0)
    eigenvalues, U = np.linalg.eigh(X.T @ X / len(X))
    return X @ U[:, ::-1] / np.sqrt(eigenvalues + eps)


@mistake(earns=2, hint=CORRELATION_HINT)
def pca_of_the_correlation(X, eps=1e-5):
    """The standardized data are whitened: white as well, but along other axes."""
    X = X - X.mean(axis=0)
    std = X.std(axis=0)
    X = X / np.where(std < 1e-12, 1, std)
    eigenvalues, U = np.linalg.eigh(X.T @ X / len(X))
    return (X @ U / np.sqrt(eigenvalues + eps))[:, ::-1]


@mistake(earns=2, hint=CHOLESKY_HINT)
def pca_by_cholesky(X, eps=1e-5):
    """The data are whitened with a Cholesky factor: white, but not along the principal axes."""
    X = X - X.mean(axis=0)
    C = X.T @ X / len(X) + eps * np.eye(X.shape[1])
    return np.linalg.solve(np.linalg.cholesky(C), X.T).T


@mistake(earns=5, hint=IN_PLACE_HINT)
def pca_changes_its_input(X, eps=1e-5):
    """The table is centered in place, so that the caller's data are gone."""
    X -= X.mean(axis=0)
    eigenvalues, U = np.linalg.eigh(X.T @ X / len(X))
    return (X @ U / np.sqrt(eigenvalues + eps))[:, ::-1]


def pca_whiten_by_svd(X, eps=1e-5):
    Xc = X - X.mean(axis=0)
    _, s, Vt = np.linalg.svd(Xc, full_matrices=True)
    variances = np.zeros(X.shape[1])
    variances[: len(s)] = s**2 / X.shape[0]
    return Xc @ Vt.T @ np.diag(1 / np.sqrt(variances + eps))


def pca_whiten_by_svd_of_the_covariance(X, eps=1e-5):
    Xc = np.asarray(X, dtype=float) - np.mean(X, axis=0)
    C = np.atleast_2d(np.cov(Xc, rowvar=False, bias=True))
    U, S, _ = np.linalg.svd(C)
    return -np.dot(Xc, U) / (S + eps) ** 0.5


def pca_whiten_by_argsort(X, eps=1e-5):
    Xc = X - X.mean(axis=0)
    eigenvalues, U = np.linalg.eigh(Xc.T @ Xc / len(Xc) + eps * np.eye(Xc.shape[1]))
    order = np.argsort(-eigenvalues)
    W = (U[:, order] / np.sqrt(eigenvalues[order])).T
    return (W @ Xc.T).T


# --- zca_whiten ------------------------------------------------------------------------------


def zca_whiten(X, eps=1e-5):
    X = X - X.mean(axis=0)
    eigenvalues, U = np.linalg.eigh(X.T @ X / len(X))
    return X @ U / np.sqrt(eigenvalues + eps) @ U.T


@probe(2)
def nearest_white_data(f, rng):
    """Every feature stays as near to its old self as white data allow: the result is unique."""
    return {
        "the whitened 9×3 table": f(cloud(rng), eps=0.0),
        "the whitened 12×4 table": f(cloud(rng, (9.0, 2.0, 0.3, 0.04), rows=12), eps=0.0),
    }


@probe(1)
def eps_shrinks_the_variances(f, rng):
    """Along a direction of variance λ the variance becomes λ/(λ + eps); eps is 10⁻⁵ if not given."""
    return {
        "the eigenvalues of the result's covariance for λ about 9, 2, 0.3 and eps = 0.5": (
            variances_along_the_axes(f(cloud(rng, about(rng, 9.0, 2.0, 0.3)), eps=0.5), 3)
        ),
        "the eigenvalues of the result's covariance for λ about 4e-5, 1e-5, 2.5e-6": (
            variances_along_the_axes(f(cloud(rng, about(rng, 4e-5, 1e-5, 2.5e-6))), 3)
        ),
    }


@probe(1, hidden=True)
def white_data_stay(f, rng):
    """Data that are white already are centered and otherwise left as they are."""
    Z = white(rng, 10, 4)
    return {"the change of white data": f(Z + 3.0, eps=0.0) - Z}


@mistake(
    earns=3,
    hint="This is PCA whitening: white, but on the principal axes, where no column is an old "
    "feature any more. Rotate back: @ U.T.",
)
def zca_forgets_to_rotate_back(X, eps=1e-5):
    """The result stays on the principal axes: that is PCA whitening."""
    X = X - X.mean(axis=0)
    eigenvalues, U = np.linalg.eigh(X.T @ X / len(X))
    return X @ U / np.sqrt(eigenvalues + eps)


@mistake(
    earns=3,
    hint="This is PCA whitening, in falling order: white, but on the principal axes. Rotate back "
    "with the *same* U, and you need no order at all.",
)
def zca_returns_pca(X, eps=1e-5):
    """The result is that of `pca_whiten`: it stays on the principal axes."""
    X = X - X.mean(axis=0)
    eigenvalues, U = np.linalg.eigh(X.T @ X / len(X))
    return (X @ U / np.sqrt(eigenvalues + eps))[:, ::-1]


@mistake(
    earns=3,
    hint="The way back from X @ U is @ U.T. A second @ U turns further in the same direction.",
)
def zca_rotates_on(X, eps=1e-5):
    """The way back is taken with U where it should be U.T: the data are turned once more."""
    X = X - X.mean(axis=0)
    eigenvalues, U = np.linalg.eigh(X.T @ X / len(X))
    return X @ U / np.sqrt(eigenvalues + eps) @ U


@mistake(
    earns=1,
    hint="The k-th eigenvalue belongs to the k-th column of U. Turn both around, or neither: ZCA does "
    "not need an order.",
)
def zca_turns_one_of_two_around(X, eps=1e-5):
    """Eigenvalues and eigenvectors were not turned around together: each column meets another's root."""
    X = X - X.mean(axis=0)
    eigenvalues, U = np.linalg.eigh(X.T @ X / len(X))
    return X @ U / np.sqrt(eigenvalues[::-1] + eps) @ U.T


@mistake(earns=1, hint=COLUMN_HINT)
def zca_exchanges_the_rotations(X, eps=1e-5):
    """U and U.T are exchanged: the data are turned away from the axes before they are scaled."""
    X = X - X.mean(axis=0)
    eigenvalues, U = np.linalg.eigh(X.T @ X / len(X))
    return X @ U.T / np.sqrt(eigenvalues + eps) @ U


@mistake(
    earns=3,
    hint="The columns were turned around and then rotated back with a U that was not. Use both as "
    "they come, or sort both.",
)
def zca_mixes_up_the_order(X, eps=1e-5):
    """The coordinates were sorted, the eigenvectors for the way back were not."""
    X = X - X.mean(axis=0)
    eigenvalues, U = np.linalg.eigh(X.T @ X / len(X))
    return (X @ U / np.sqrt(eigenvalues + eps))[:, ::-1] @ U.T


@mistake(earns=1, hint=CENTER_HINT)
def zca_around_the_origin(X, eps=1e-5):
    """Nothing is centered: neither the data nor the matrix of their products."""
    eigenvalues, U = np.linalg.eigh(X.T @ X / len(X))
    return X @ U / np.sqrt(eigenvalues + eps) @ U.T


@mistake(
    earns=2,
    hint="The covariance is that of the centered table, but the uncentered one was whitened. Go on "
    "with the centered table.",
)
def zca_keeps_the_mean(X, eps=1e-5):
    """The covariance is right, but the data themselves are not centered."""
    Xc = X - X.mean(axis=0)
    eigenvalues, U = np.linalg.eigh(Xc.T @ Xc / len(X))
    return X @ U / np.sqrt(eigenvalues + eps) @ U.T


@mistake(
    earns=2,
    hint="White data have mean 0: the mean is subtracted and stays away.",
)
def zca_adds_the_mean_again(X, eps=1e-5):
    """The mean is added again at the end."""
    mean = X.mean(axis=0)
    X = X - mean
    eigenvalues, U = np.linalg.eigh(X.T @ X / len(X))
    Z = X @ U / np.sqrt(eigenvalues + eps) @ U.T
    return Z + mean


@mistake(earns=2, hint=ROOT_HINT)
def zca_divides_by_the_eigenvalue(X, eps=1e-5):
    """The coordinates are divided by the eigenvalue, not by its square root."""
    X = X - X.mean(axis=0)
    eigenvalues, U = np.linalg.eigh(X.T @ X / len(X))
    return X @ U / (np.maximum(eigenvalues, 0) + eps) @ U.T


@mistake(earns=1, hint="Multiplying by √λ stretches what is already long. Divide.")
def zca_multiplies(X, eps=1e-5):
    """The coordinates are multiplied by the root of the eigenvalue."""
    X = X - X.mean(axis=0)
    eigenvalues, U = np.linalg.eigh(X.T @ X / len(X))
    return X @ U * np.sqrt(eigenvalues + eps) @ U.T


@mistake(
    earns=0,
    hint="`S ** -0.5` works entry by entry. The inverse root of a matrix keeps the eigenvectors, and "
    "takes the root of each eigenvalue: decompose with `eigh`, and put it together again.",
)
def zca_takes_the_root_of_each_entry(X, eps=1e-5):
    """`S ** -0.5` takes the inverse root of each entry of the covariance, not that of the matrix."""
    X = X - X.mean(axis=0)
    S = X.T @ X / len(X) + eps * np.eye(X.shape[1])
    with np.errstate(all="ignore"):
        return X @ S**-0.5


@mistake(earns=1, hint=BROADCAST_HINT)
def zca_scales_the_rows_of_u(X, eps=1e-5):
    """The rows of U are divided by the roots, where its columns should be."""
    X = X - X.mean(axis=0)
    eigenvalues, U = np.linalg.eigh(X.T @ X / len(X))
    return X @ (U / np.sqrt(eigenvalues + eps)[:, None]) @ U.T


@mistake(earns=5, hint=EPS_INSIDE_HINT)
def zca_adds_eps_to_the_root(X, eps=1e-5):
    """eps is added to the root of the eigenvalue, not to the eigenvalue."""
    X = X - X.mean(axis=0)
    eigenvalues, U = np.linalg.eigh(X.T @ X / len(X))
    return X @ U / (np.sqrt(np.maximum(eigenvalues, 0)) + eps) @ U.T


@mistake(earns=4, hint=EPS_INSIDE_HINT)
def zca_takes_the_root_before_eps(X, eps=1e-5):
    """eps is added after the root, which is NaN where rounding has made a zero negative."""
    X = X - X.mean(axis=0)
    eigenvalues, U = np.linalg.eigh(X.T @ X / len(X))
    return X @ U / (np.sqrt(eigenvalues) + eps) @ U.T


@mistake(hint=SCATTER_HINT, earns=1)
def zca_forgets_to_divide_by_n(X, eps=1e-5):
    """The eigenvalues are those of XᵀX: the division by N is missing."""
    X = X - X.mean(axis=0)
    eigenvalues, U = np.linalg.eigh(X.T @ X)
    return X @ U / np.sqrt(eigenvalues + eps) @ U.T


@mistake(earns=4, hint=EPS_MISSING_HINT)
def zca_ignores_eps(X, eps=1e-5):
    """eps is not used, and directions without variance are divided by zero."""
    X = X - X.mean(axis=0)
    eigenvalues, U = np.linalg.eigh(X.T @ X / len(X))
    return X @ U / np.sqrt(eigenvalues) @ U.T


@mistake(earns=5, hint=EPS_FLOOR_HINT)
def zca_takes_eps_as_a_floor(X, eps=1e-5):
    """Small eigenvalues are raised to eps, where eps should be added to all."""
    X = X - X.mean(axis=0)
    eigenvalues, U = np.linalg.eigh(X.T @ X / len(X))
    return X @ U / np.sqrt(np.maximum(eigenvalues, eps)) @ U.T


@mistake(earns=5, hint=EPS_SQUARED_HINT)
def zca_adds_eps_squared(X, eps=1e-5):
    """The square of eps is added to the eigenvalues."""
    X = X - X.mean(axis=0)
    eigenvalues, U = np.linalg.eigh(X.T @ X / len(X))
    return X @ U / np.sqrt(np.maximum(eigenvalues, 0) + eps**2) @ U.T


@mistake(
    earns=5,
    hint="Of X = U S Vᵀ you keep U Vᵀ: every variance is 1, as if eps were 0. Turn X onto the rows "
    "of Vᵀ instead, divide by √(λ + eps) with λ = s²/N, and turn back.",
)
def zca_drops_the_singular_values(X, eps=1e-5):
    """The singular values are replaced by one number, and eps is not used."""
    X = X - X.mean(axis=0)
    U, _, Vt = np.linalg.svd(X, full_matrices=False)
    return np.sqrt(len(X)) * U @ Vt


@mistake(earns=1, hint=SAMPLE_HINT)
def zca_divides_by_n_minus_1(X, eps=1e-5):
    """The covariance divides by N - 1 where N is asked."""
    X = X - X.mean(axis=0)
    eigenvalues, U = np.linalg.eigh(X.T @ X / (len(X) - 1))
    return X @ U / np.sqrt(eigenvalues + eps) @ U.T


@mistake(
    earns=2,
    hint="Standardizing makes every variance 1, but it leaves the correlations. Scale along the "
    "eigenvectors of the covariance, not along the old axes.",
)
def zca_only_standardizes(X, eps=1e-5):
    """The features are standardized; their correlations are still there."""
    X = X - X.mean(axis=0)
    return X / np.sqrt(X.var(axis=0) + eps)


@mistake(earns=3, hint=CORRELATION_HINT)
def zca_of_the_correlation(X, eps=1e-5):
    """The standardized data are whitened: white as well, but rotated against what is asked."""
    X = X - X.mean(axis=0)
    std = X.std(axis=0)
    X = X / np.where(std < 1e-12, 1, std)
    eigenvalues, U = np.linalg.eigh(X.T @ X / len(X))
    return X @ U / np.sqrt(eigenvalues + eps) @ U.T


@mistake(earns=4, hint=CHOLESKY_HINT)
def zca_by_cholesky(X, eps=1e-5):
    """The data are whitened with a Cholesky factor: white, but rotated against what is asked."""
    X = X - X.mean(axis=0)
    C = X.T @ X / len(X) + eps * np.eye(X.shape[1])
    return np.linalg.solve(np.linalg.cholesky(C), X.T).T


@mistake(earns=6, hint=IN_PLACE_HINT)
def zca_changes_its_input(X, eps=1e-5):
    """The table is centered in place, so that the caller's data are gone."""
    X -= X.mean(axis=0)
    eigenvalues, U = np.linalg.eigh(X.T @ X / len(X))
    return X @ U / np.sqrt(eigenvalues + eps) @ U.T


def zca_whiten_by_svd(X, eps=1e-5):
    Xc = X - X.mean(axis=0)
    P, s, Vt = np.linalg.svd(Xc, full_matrices=False)
    return P * (s / np.sqrt(s**2 / len(Xc) + eps)) @ Vt


def zca_whiten_by_matrix(X, eps=1e-5):
    Xc = np.subtract(X, np.mean(X, axis=0))
    C = Xc.T.dot(Xc) / Xc.shape[0]
    U, S, _ = np.linalg.svd(C + eps * np.eye(len(C)))
    W = U @ np.diag(S**-0.5) @ U.T
    return (W @ Xc.T).T


# --- the chapter -----------------------------------------------------------------------------

CHAPTER = Chapter(
    slug="whitening",
    title="Whitening and conditioning",
    exercises=(
        Exercise(
            name="covariance",
            reference=covariance,
            probes=(
                mean_product_of_deviations,
                one_feature_gives_a_matrix,
                leaves_its_input_alone,
                far_from_the_origin,
            ),
            mistakes=(
                covariance_divides_by_n_minus_1,
                covariance_without_centering,
                covariance_around_the_overall_mean,
                covariance_around_the_row_means,
                covariance_of_the_rows,
                covariance_transposes_the_other_factor,
                correlation_instead,
                covariance_not_divided,
                covariance_divides_by_d,
                covariance_only_on_the_diagonal,
                variances_as_a_vector,
                covariance_changes_its_input,
                covariance_loses_its_axes,
                covariance_takes_a_sample_for_a_feature,
                covariance_by_difference,
            ),
            alternatives=(
                covariance_by_numpy,
                covariance_by_loops,
                covariance_by_outer_products,
                covariance_by_einsum,
            ),
            tolerance=EXACT,
        ),
        Exercise(
            name="condition_number",
            reference=condition_number,
            probes=(
                ratio_of_the_extreme_eigenvalues,
                a_common_unit_does_not_matter,
                redundant_features_are_infinite,
                too_few_rows_are_infinite,
            ),
            mistakes=(
                condition_upside_down,
                condition_is_the_largest_eigenvalue,
                condition_of_the_first_and_the_last,
                condition_of_the_last_and_the_first,
                condition_by_singular_values,
                condition_of_the_table,
                condition_around_the_origin,
                condition_of_the_diagonal,
                condition_of_the_correlation,
                condition_trusts_the_last_digit,
                condition_waits_for_an_exact_zero,
                condition_wants_to_be_below,
                condition_leaves_out_the_zeros,
                condition_with_an_absolute_threshold,
                condition_adds_an_epsilon,
                condition_of_the_rows,
                condition_by_the_mean_eigenvalue,
            ),
            alternatives=(
                condition_number_by_svd,
                condition_number_by_rank,
                condition_number_by_norms,
            ),
            equivalents={
                "eigenvalues = np.linalg.eigvalsh(X.T @ X * len(X))": ANY_FACTOR,
                "if eigenvalues[0] <= 5e-13 * eigenvalues[-1]:": ANY_THRESHOLD,
                "if eigenvalues[0] <= 2e-12 * eigenvalues[-1]:": ANY_THRESHOLD,
            },
            tolerance=EXACT,
        ),
        Exercise(
            name="max_learning_rate",
            reference=max_learning_rate,
            probes=(two_over_the_steepest, a_flat_direction_does_not_matter),
            mistakes=(
                one_over_the_steepest,
                returns_the_steepest,
                two_over_the_flattest,
                two_over_the_first,
                the_smallest_of_all_limits,
                adds_an_epsilon_to_the_steepest,
                limit_of_the_covariance,
                two_over_the_trace,
                two_over_the_diagonal,
                the_fastest_rate,
                two_over_the_frobenius_norm,
                half_the_steepest,
                two_over_the_mean,
            ),
            alternatives=(max_learning_rate_by_norm, max_learning_rate_by_eigenvalues),
            tolerance=TOLERANCE,
        ),
        Exercise(
            name="gradient_descent_steps",
            reference=gradient_descent_steps,
            probes=(
                counts_the_steps,
                zero_and_one_step,
                gives_up_honestly,
                leaves_the_start_alone,
                the_tolerance_is_relative,
            ),
            mistakes=(
                waits_for_a_standstill,
                counts_one_step_too_many,
                counts_one_step_too_few,
                gives_up_above_the_limit,
                never_looks_at_the_start,
                takes_the_tolerance_as_absolute,
                halves_the_first_loss_only,
                halves_the_later_losses_only,
                ignores_the_tolerance,
                squares_the_tolerance,
                stops_at_a_small_gradient,
                stops_at_a_small_squared_gradient,
                stops_at_a_small_squared_distance,
                stops_at_an_absolutely_small_gradient,
                stops_at_a_small_step,
                stops_at_a_small_distance,
                doubles_the_gradient,
                halves_the_gradient,
                climbs,
                keeps_the_first_gradient,
                leaves_the_matrix_out_of_the_gradient,
                ignores_the_coupling,
                returns_max_steps,
                never_looks_at_the_end,
                wants_to_be_below,
                moves_the_start,
            ),
            alternatives=(gradient_descent_steps_by_while, gradient_descent_steps_by_eigenvalues),
            tolerance=TOLERANCE,
        ),
        Exercise(
            name="pca_whiten",
            reference=pca_whiten,
            probes=(
                result_is_white,
                principal_axes_in_order,
                eps_is_added_to_the_variance,
                fewer_rows_than_features,
                leaves_the_table_alone,
            ),
            mistakes=(
                pca_around_the_origin,
                pca_keeps_the_mean,
                pca_divides_by_the_eigenvalue,
                pca_multiplies,
                pca_only_rotates,
                pca_turns_the_wrong_way,
                pca_scales_the_rows_of_u,
                pca_adds_eps_to_the_root,
                pca_takes_the_root_before_eps,
                pca_forgets_to_divide_by_n,
                pca_takes_singular_values,
                pca_returns_the_transpose,
                pca_ignores_eps,
                pca_takes_eps_as_a_floor,
                pca_adds_eps_squared,
                pca_drops_directions,
                pca_returns_the_left_singular_vectors,
                pca_selects_eigenvalues,
                pca_divides_by_n_minus_1,
                pca_only_standardizes,
                pca_transposes_the_eigenvectors,
                pca_rotates_back,
                pca_in_rising_order,
                pca_in_the_order_of_eig,
                pca_in_complex_numbers,
                pca_sorts_only_the_eigenvalues,
                pca_sorts_only_the_eigenvectors,
                pca_of_the_correlation,
                pca_by_cholesky,
                pca_changes_its_input,
            ),
            alternatives=(
                pca_whiten_by_svd,
                pca_whiten_by_svd_of_the_covariance,
                pca_whiten_by_argsort,
            ),
            tolerance=EXACT,
        ),
        Exercise(
            name="zca_whiten",
            reference=zca_whiten,
            probes=(
                result_is_white,
                nearest_white_data,
                eps_shrinks_the_variances,
                fewer_rows_than_features,
                leaves_its_input_alone,
                white_data_stay,
            ),
            mistakes=(
                zca_forgets_to_rotate_back,
                zca_returns_pca,
                zca_rotates_on,
                zca_turns_one_of_two_around,
                zca_exchanges_the_rotations,
                zca_mixes_up_the_order,
                zca_around_the_origin,
                zca_keeps_the_mean,
                zca_adds_the_mean_again,
                zca_divides_by_the_eigenvalue,
                zca_multiplies,
                zca_takes_the_root_of_each_entry,
                zca_scales_the_rows_of_u,
                zca_adds_eps_to_the_root,
                zca_takes_the_root_before_eps,
                zca_forgets_to_divide_by_n,
                zca_ignores_eps,
                zca_takes_eps_as_a_floor,
                zca_adds_eps_squared,
                zca_drops_the_singular_values,
                zca_divides_by_n_minus_1,
                zca_only_standardizes,
                zca_of_the_correlation,
                zca_by_cholesky,
                zca_changes_its_input,
            ),
            alternatives=(zca_whiten_by_svd, zca_whiten_by_matrix),
            tolerance=EXACT,
        ),
    ),
)
