"""Batch normalization, forward: what its exercises ask, and the mistakes that people make in them.

``x`` is a batch of N samples with D features, shape (N, D); images have the shape (N, C, H, W). The
variance is the biased one throughout. References agree with ``torch.nn.functional.batch_norm`` in
training mode. What a student keeps in the cache is the student's affair: no probe looks into it.

The code of mistakes and alternatives is written as students write it, and stands alone: it uses
nothing but NumPy and its arguments.
"""

import numpy as np

from autograder.exercise import Argument, Chapter, Exercise, Tolerance, mistake, probe

TOLERANCE = Tolerance(relative=1e-6, absolute=1e-8)
# In float64 right answers agree to about 1e-13. float32 anywhere in between leaves 1e-8: too much.
EXACT = Tolerance(relative=1e-9, absolute=1e-10)

CACHE_IS_FREE = "the cache may hold anything, in any order"
AXES_IN_ANY_ORDER = "a mean over three axes is the same in whatever order they are named"

ROWS_HINT = (
    "Each feature is a column, with a mean and a variance of its own: reduce over the samples, "
    "axis 0. Statistics of each row are those of layer normalization, another method."
)
WHOLE_HINT = (
    "Without an axis NumPy reduces the whole batch to one number, and features with different "
    "units share it. Reduce over axis 0, so that one number is left for each feature."
)
OVERALL_HINT = (
    "Each feature has a mean of its own. `x.mean()` without an axis is one number, and features "
    "that lie far from it get a variance that is much too large."
)
SAMPLE_HINT = (
    "The batch is all that there is to normalize, so the squared deviations are divided by N. "
    "Dividing by N - 1 (`ddof=1`) makes the variance too large by a factor of N/(N-1), and "
    "fails for N = 1."
)
ONE_PASS_HINT = (
    "E[x²] - E[x]² subtracts two nearly equal numbers when the mean is large: for a mean of "
    "10⁴ the squares are near 10⁸, where float32 numbers lie 8 apart, and the variance is "
    "lost. Subtract the mean first, then square: there is no second term then."
)
KEEPDIMS_HINT = (
    "`keepdims=True` helps with broadcasting inside a function, but what you return should have "
    "one entry per feature, shape (D,). Drop the axis of length 1."
)
PROMOTION_HINT = (
    "float32 in, float32 out: networks are trained in float32, and a result in float64 would "
    "double the memory of all that follows. Do not convert, or convert the result back, to the dtype "
    "that x had before: after `x = x.astype(...)` it has another."
)
IN_PLACE_HINT = (
    "`x -= mean` writes into the caller's array, and the caller will use it again. "
    "`x - mean` makes a new array."
)
EPS_OUTSIDE_HINT = (
    "ε belongs under the root, with the variance: √(σ² + ε). Beside the root it is another "
    "formula; for a feature with a standard deviation of 10⁻³ the two differ a lot."
)
EPS_IGNORED_HINT = (
    "Without ε a feature that is constant in the batch is 0/0, and features of small variance come "
    "out differently from everybody else's. Add `eps` to the variance before taking the root."
)
EPS_FIXED_HINT = "The caller chooses ε. Use the argument `eps`, not a number of your own."
NO_ROOT_HINT = (
    "The divisor is the standard deviation, the square root of σ² + ε. Dividing by the variance "
    "gives each feature the spread 1/σ. (A misprint without the root has been in famous manuals.)"
)
SINGLE_SAMPLE_HINT = (
    "The formula holds for N = 1: the deviation is 0, the variance is 0, and ε keeps the division "
    "finite. Whether a batch of one makes sense is for the caller to decide."
)


def batch(rng, samples=7):
    """Four features with centres and spreads of their own, all spreads large beside √ε."""
    spread = np.array([100.0, 150.0, 400.0, 3000.0])
    return rng.normal(size=(samples, 4)) * spread + np.array([10.0, -200.0, 1000.0, 7500.0])


def faint(rng, samples=7):
    """Four features whose variances are about as large as a common ε, or smaller."""
    return rng.normal(size=(samples, 4)) * np.array([1e-3, 4e-3, 0.03, 0.3]) + 20


def affine(rng, size=4):
    """A scale and a shift per feature, with both signs and no two alike.

    The shifts are so large that no entry of y is near 0, where rounding would weigh more.
    """
    signs = np.where(np.arange(size) % 2, -1.0, 1.0)
    shifts = rng.uniform(10, 20, size=size) * rng.choice([-1, 1], size=size)
    return signs * rng.uniform(0.5, 2.0, size=size), shifts


def far_from_zero(rng, samples=64):
    """Three float32 features with standard deviations near 1 and means near ±10 000."""
    x = rng.normal(size=(samples, 3)) + np.array([10_000.0, -20_000.0, 15_000.0])
    return x.astype(np.float32)


def moved_to_zero(x):
    """The same batch in float64, around zero and with spreads near 100: an easy one.

    Observed beside whether a hard case went well, it tells answers apart that all got that wrong.
    """
    x = x.astype(np.float64)
    return 100 * (x - np.round(x.mean(axis=0)))


def exact_in_float64():
    """A float64 batch whose sums and squares float64 holds exactly; float32 does not hold its means.

    It tells answers that round to float32 from those that lose their digits to cancellation.
    """
    return 2.0**22 + 0.25 * (1 + np.outer([-2, -1, 1, 2], [1, 2, 3]))


def exactly_normalized(x, gamma, beta, eps, axis=0):
    """The answer in float64, for comparison with answers in float32."""
    x = x.astype(np.float64)
    deviation = x - x.mean(axis=axis, keepdims=True)
    var = (deviation**2).mean(axis=axis, keepdims=True)
    return gamma * (deviation / np.sqrt(var + eps)) + beta


def near(got, expected, margin):
    """Whether all entries are within a margin of the expected ones; rounding is no mistake."""
    got = np.asarray(got, dtype=np.float64)
    if got.shape != expected.shape:
        return False
    with np.errstate(invalid="ignore"):
        return bool(np.all(np.abs(got - expected) <= margin))


def output(result):
    """y, of the pair (y, cache)."""
    y, _cache = result
    if isinstance(y, (dict, tuple)):
        raise TypeError(f"the first of the two is a {type(y).__name__}; y comes first")
    return y


# --- stable_variance -------------------------------------------------------------------------


def stable_variance(x):
    centered = x - x.mean(axis=0)
    return (centered**2).mean(axis=0)


@probe(2)
def variance_per_feature(f, rng):
    """The result holds each feature's biased variance over the samples, shape (D,)."""
    return {"the variances": f(batch(rng))}


@probe(2)
def right_in_float32_far_from_zero(f, rng):
    """In float32, with means near 10 000 and variances near 1, each variance is right to 1 %."""
    x = far_from_zero(rng)
    true = x.astype(np.float64).var(axis=0)
    return {
        "the variances of the same batch around zero, times 10⁴": f(moved_to_zero(x)),
        "every variance is within 1 % of the true one": near(f(x), true, 0.01 * true),
    }


@probe(1)
def variance_keeps_float32(f, rng):
    """float32 in, float32 out; float64 in, float64 out."""
    x = batch(rng)
    true = x.var(axis=0)
    single, double = f(x.astype(np.float32)), f(x)
    return {
        "the dtype for a float32 batch": str(np.asarray(single).dtype),
        "the dtype for a float64 batch": str(np.asarray(double).dtype),
        "the float64 variances": double,
        "the float32 variances are within 1 % of the true ones": near(single, true, 0.01 * true),
    }


@probe(1)
def variance_leaves_its_input_alone(f, rng):
    """The batch that you are given is left as it was, and the result is right."""
    x = batch(rng)
    result = f(x)
    return {"x": Argument(x), "the variances": result}


@probe(1, hidden=True)
def right_in_float64_far_from_zero(f, rng):
    """In float64, with means near 10⁹ and variances near 1, each variance is right to 1 %, too."""
    x = rng.normal(size=(64, 3)) + np.array([1e9, -2e9, 1.5e9])
    true = x.var(axis=0)
    return {
        "the variances of the same batch around zero, times 10⁴": f(moved_to_zero(x)),
        "the variances of a batch whose squares are exact": f(exact_in_float64()),
        "every variance is within 1 % of the true one": near(f(x), true, 0.01 * true),
    }


@mistake(earns=4, hint=ONE_PASS_HINT)
def variance_in_one_pass(x):
    """The variance is computed as E[x²] - E[x]², which loses its digits when the mean is large."""
    return (x**2).mean(axis=0) - x.mean(axis=0) ** 2


@mistake(
    earns=6,
    hint="More digits only move the problem: float64 has 16 of them, and a mean of 10⁹ uses up "
    "all. Subtract the mean first, then square: there is no second term then.",
)
def variance_in_one_pass_with_more_digits(x):
    """The variance is computed as E[x²] - E[x]² in float64, which fails for still larger means."""
    wide = x.astype(np.float64)
    return ((wide**2).mean(axis=0) - wide.mean(axis=0) ** 2).astype(x.dtype)


@mistake(earns=0, hint=SAMPLE_HINT)
def variance_divides_by_n_minus_1(x):
    """The squared deviations are divided by N - 1 where N is asked (ddof=1 for ddof=0)."""
    return x.var(axis=0, ddof=1)


@mistake(earns=0, hint="The variance is asked, without the root. The root comes later, after ε.")
def returns_the_standard_deviation(x):
    """The standard deviation is returned where the variance is asked."""
    return x.std(axis=0)


@mistake(earns=0, hint="A sum grows with the batch. Divide it by N: take the mean of the squares.")
def sums_the_squares(x):
    """The squared deviations are added up, but not divided by N."""
    return ((x - x.mean(axis=0)) ** 2).sum(axis=0)


@mistake(
    earns=0,
    hint="The mean of x² is the variance only if the mean of x is 0. Subtract the mean first.",
)
def does_not_subtract_the_mean(x):
    """The mean of the squares is returned: the mean was not subtracted."""
    return (x**2).mean(axis=0)


@mistake(
    earns=0,
    hint="Deviations from the mean cancel, so their mean is always 0. Square them first.",
)
def does_not_square_the_deviations(x):
    """The mean of the deviations is returned: they were not squared."""
    return (x - x.mean(axis=0)).mean(axis=0)


@mistake(
    earns=0, hint="The variance squares the deviations; their absolute values are another measure."
)
def mean_absolute_deviation(x):
    """The mean absolute deviation is returned."""
    return np.abs(x - x.mean(axis=0)).mean(axis=0)


@mistake(earns=0, hint=ROWS_HINT)
def variance_of_rows(x):
    """One variance for each row is computed, where each column should have one."""
    return x.var(axis=1)


@mistake(earns=0, hint=WHOLE_HINT)
def variance_of_the_whole_batch(x):
    """A single variance of all numbers in the batch is returned."""
    return x.var()


@mistake(hint=OVERALL_HINT)
def variance_around_the_overall_mean(x):
    """The deviations are those from the mean of all numbers in the batch."""
    return ((x - x.mean()) ** 2).mean(axis=0)


@mistake(earns=0, hint=KEEPDIMS_HINT)
def variance_keeps_an_axis(x):
    """The result has the shape (1, D): an axis of length 1 was kept."""
    return x.var(axis=0, keepdims=True)


@mistake(earns=6, hint=PROMOTION_HINT)
def variance_promotes_to_float64(x):
    """The result is float64 even for a float32 batch."""
    return x.astype(np.float64).var(axis=0)


@mistake(earns=6, hint=IN_PLACE_HINT)
def variance_changes_its_input(x):
    """The mean is subtracted in place, so that the caller's batch is gone."""
    x -= x.mean(axis=0)
    return (x**2).mean(axis=0)


@mistake(
    earns=0,
    hint="Rounding to float32 throws digits away that a float64 batch has. Keep the batch's dtype.",
)
def variance_rounds_to_float32(x):
    """The batch is converted to float32 first, and digits are lost."""
    return x.astype(np.float32).var(axis=0)


@mistake(
    earns=6,
    hint="Converting back brings back the dtype, but not the digits. Compute in the batch's own "
    "dtype.",
)
def variance_takes_a_detour_through_float32(x):
    """A float64 batch is rounded to float32 on the way: the result has the right dtype, but has
    lost half of its digits.
    """
    return x.astype(np.float32).var(axis=0).astype(x.dtype)


@mistake(
    earns=6,
    hint="`dtype=np.float32` makes NumPy compute in 24 bits what the batch has in 53. Leave it "
    "out: the dtype of the batch is the right one.",
)
def variance_sums_in_float32(x):
    """The sums are formed in float32, also for a float64 batch, and lose half of its digits."""
    return x.var(axis=0, dtype=np.float32).astype(x.dtype)


def variance_by_numpy(x):
    return np.var(x, axis=0)


def variance_by_shifted_sums(x):
    shifted = x - x[0]
    return (shifted**2).mean(axis=0) - shifted.mean(axis=0) ** 2


def variance_by_welford(x):
    mean = np.zeros(x.shape[1])
    total = np.zeros(x.shape[1])
    for n, row in enumerate(x.astype(np.float64), start=1):
        before = row - mean
        mean = mean + before / n
        total = total + before * (row - mean)
    return (total / len(x)).astype(x.dtype)


def variance_by_columns(x):
    result = np.empty(x.shape[1], dtype=x.dtype)
    for j in range(x.shape[1]):
        deviation = x[:, j] - np.mean(x[:, j])
        result[j] = np.dot(deviation, deviation) / len(deviation)
    return result


# --- batch_statistics ------------------------------------------------------------------------


def batch_statistics(x):
    mean = x.mean(axis=0)
    centered = x - mean
    return mean, (centered**2).mean(axis=0)


@probe(1)
def means_come_first(f, rng):
    """The first of the two results holds each feature's mean, shape (D,)."""
    mean, _ = f(batch(rng))
    return {"the means": mean}


@probe(2)
def biased_variances_come_second(f, rng):
    """The second of the two results holds each feature's biased variance, shape (D,)."""
    _, var = f(batch(rng, samples=3))
    _, small = f(faint(rng, samples=3))
    return {"the variances of a batch of three": var, "the variances of small values": small}


@probe(1)
def statistics_of_one_sample(f, rng):
    """A batch of one sample has that sample as its mean, and variance 0."""
    mean, var = f(batch(rng, samples=1))
    return {"the means of a batch of one": mean, "the variances of a batch of one": var}


@probe(1)
def statistics_in_float32_far_from_zero(f, rng):
    """Statistics of a float32 batch are float32, and right when means are near 10 000."""
    x = far_from_zero(rng)
    mean, var = f(x)
    true = x.astype(np.float64).var(axis=0)
    return {
        "the variances of the same batch around zero": f(moved_to_zero(x) / 100)[1],
        "the dtype of the means": str(np.asarray(mean).dtype),
        "the dtype of the variances": str(np.asarray(var).dtype),
        "every variance is within 1 % of the true one": near(var, true, 0.01 * true),
    }


@mistake(earns=1, hint=SAMPLE_HINT)
def statistics_divide_by_n_minus_1(x):
    """The variance divides by N - 1 where N is asked (ddof=1 for ddof=0)."""
    return x.mean(axis=0), x.var(axis=0, ddof=1)


@mistake(earns=2, hint="The second result is the variance: no root yet, because ε comes first.")
def statistics_hold_the_deviation(x):
    """The second result is the standard deviation, not the variance."""
    return x.mean(axis=0), x.std(axis=0)


@mistake(earns=0, hint="The order is mean first, variance second.")
def statistics_in_the_wrong_order(x):
    """The two results are returned in the wrong order."""
    return x.var(axis=0), x.mean(axis=0)


@mistake(earns=0, hint="Return both: `return mean, var`.")
def statistics_without_the_mean(x):
    """Only the variance is returned."""
    return x.var(axis=0)


@mistake(earns=0, hint=ROWS_HINT)
def statistics_of_rows(x):
    """Mean and variance are those of each row, where each column should have its own."""
    return x.mean(axis=1), x.var(axis=1)


@mistake(earns=0, hint=WHOLE_HINT)
def statistics_of_the_whole_batch(x):
    """Mean and variance are single numbers for the whole batch."""
    return x.mean(), x.var()


@mistake(earns=2, hint="A sum grows with the batch. Divide it by N: take the mean of the squares.")
def statistics_sum_the_squares(x):
    """The squared deviations are added up, but not divided by N."""
    mean = x.mean(axis=0)
    return mean, ((x - mean) ** 2).sum(axis=0)


@mistake(
    earns=2,
    hint="Deviations from the mean cancel, so their mean is always 0. Square them first.",
)
def statistics_do_not_square_the_deviations(x):
    """The second result is the mean of the deviations: they were not squared."""
    mean = x.mean(axis=0)
    return mean, (x - mean).mean(axis=0)


@mistake(
    earns=2, hint="The variance squares the deviations; their absolute values are another measure."
)
def statistics_hold_the_absolute_deviation(x):
    """The second result is the mean absolute deviation, not the variance."""
    mean = x.mean(axis=0)
    return mean, np.abs(x - mean).mean(axis=0)


@mistake(earns=1, hint=OVERALL_HINT)
def statistics_around_the_overall_mean(x):
    """The deviations are those from the mean of all numbers in the batch."""
    return x.mean(axis=0), ((x - x.mean()) ** 2).mean(axis=0)


@mistake(earns=0, hint=KEEPDIMS_HINT)
def statistics_keep_an_axis(x):
    """The results have the shape (1, D): an axis of length 1 was kept."""
    return x.mean(axis=0, keepdims=True), x.var(axis=0, keepdims=True)


@mistake(earns=4, hint=ONE_PASS_HINT)
def statistics_in_one_pass(x):
    """The variance is computed as E[x²] - E[x]², which loses its digits when the mean is large."""
    mean = x.mean(axis=0)
    return mean, (x**2).mean(axis=0) - mean**2


@mistake(earns=4, hint=PROMOTION_HINT)
def statistics_promote_to_float64(x):
    """The results are float64 even for a float32 batch."""
    x = x.astype(np.float64)
    return x.mean(axis=0), x.var(axis=0)


@mistake(
    earns=1,
    hint="ε is no part of the variance. It comes in where something is divided, in the next exercise.",
)
def statistics_include_eps(x):
    """A small constant is added to the variance."""
    return x.mean(axis=0), x.var(axis=0) + 1e-5


@mistake(earns=4, hint=SINGLE_SAMPLE_HINT)
def statistics_refuse_a_single_sample(x):
    """A batch of one sample is refused with an error."""
    if len(x) < 2:
        raise ValueError("more than one sample is needed")
    return x.mean(axis=0), x.var(axis=0)


@mistake(
    earns=4,
    hint="The median is another centre. Batch normalization uses the mean.",
)
def statistics_with_the_median(x):
    """The first result is the median, not the mean."""
    return np.median(x, axis=0), x.var(axis=0)


def statistics_by_numpy(x):
    return np.mean(x, axis=0), np.var(x, axis=0)


def statistics_by_sums(x):
    N = x.shape[0]
    mean = np.sum(x, axis=0) / N
    var = np.sum(np.square(x - mean), axis=0) / N
    return mean, var


# --- batchnorm_forward -----------------------------------------------------------------------


def batchnorm_forward(x, gamma, beta, eps=1e-5):
    centered = x - x.mean(axis=0)
    std = np.sqrt((centered**2).mean(axis=0) + eps)
    return gamma * (centered / std) + beta, (centered, std)


@probe(2)
def mean_beta_and_deviation_gamma(f, rng):
    """Every feature of y has mean β and, when ε is tiny, standard deviation |γ|."""
    gamma, beta = affine(rng)
    y = output(f(batch(rng), gamma, beta, eps=1e-12))
    return {
        "the means of y": y.mean(axis=0),
        "the standard deviations of y": y.std(axis=0),
    }


@probe(2)
def values_of_y(f, rng):
    """y = γ·x̂ + β, entry by entry, also for features with negative γ."""
    gamma, beta = affine(rng)
    return {"y": output(f(batch(rng), gamma, beta, eps=1e-14))}


@probe(2)
def eps_under_the_root(f, rng):
    """ε is added to the variance under the root: as large as the caller says, and 1e-5 by default."""
    x, (gamma, beta) = faint(rng), affine(rng)
    return {
        "y for small variances and eps=0.01": output(f(x.copy(), gamma, beta, eps=0.01)),
        "y for small variances and the default eps": output(f(x.copy(), gamma, beta)),
    }


@probe(1)
def constant_feature_becomes_beta(f, rng):
    """A feature that is constant in the batch comes out as β, not as NaN."""
    x, (gamma, beta) = batch(rng), affine(rng)
    x[:, 1] = 3.5
    return {"the constant feature": output(f(x, gamma, beta, eps=1e-5))[:, 1]}


@probe(1)
def one_sample_becomes_beta(f, rng):
    """A batch of one sample comes out as β, whatever the sample is."""
    gamma, beta = affine(rng)
    return {"y for a batch of one": output(f(batch(rng, samples=1), gamma, beta, eps=1e-5))}


@probe(2)
def float32_far_from_zero(f, rng):
    """In float32, with means near 10 000, y is right to 0.05 and has no NaN."""
    x, (gamma, beta) = far_from_zero(rng), affine(rng, 3)
    easy = output(f(moved_to_zero(x), gamma, beta, eps=1e-14))
    gamma, beta = gamma.astype(np.float32), beta.astype(np.float32)
    true = exactly_normalized(x, gamma, beta, 1e-5)
    y = output(f(x, gamma, beta, eps=1e-5))
    return {
        "y for the same batch around zero": easy,
        "every entry of y is within 0.05 of the true one": near(y, true, 0.05),
    }


@probe(1)
def y_keeps_float32(f, rng):
    """When x, γ and β are float32, so is y."""
    x, (gamma, beta) = batch(rng), affine(rng)
    double = output(f(x.copy(), gamma, beta, eps=1e-14))
    x, gamma, beta = (a.astype(np.float32) for a in (x, gamma, beta))
    true = exactly_normalized(x, gamma, beta, 1e-5)
    y = output(f(x, gamma, beta, eps=1e-5))
    return {
        "y in float64": double,
        "the dtype of y": str(np.asarray(y).dtype),
        "every entry of y is within 0.01 of the true one": near(y, true, 0.01),
    }


@probe(1)
def arguments_are_left_alone(f, rng):
    """x, γ and β are left as they were, and y is right."""
    x, (gamma, beta) = batch(rng), affine(rng)
    y = output(f(x, gamma, beta, eps=1e-14))
    return {"x": Argument(x), "gamma": Argument(gamma), "beta": Argument(beta), "y": y}


@probe(1, hidden=True)
def a_sample_depends_on_its_batch_only(f, rng):
    """The output for a sample changes with its batch, and with nothing that came before."""
    gamma, beta = affine(rng)
    one, other = batch(rng, samples=5), 2 * batch(rng, samples=5) + 300
    other[0] = one[0]
    return {
        "the first sample in one batch": output(f(one.copy(), gamma, beta, eps=1e-14))[0],
        "the first sample in another batch": output(f(other, gamma, beta, eps=1e-14))[0],
        "the first sample in the first batch again": output(f(one.copy(), gamma, beta, eps=1e-14))[
            0
        ],
    }


@mistake(earns=0, hint=ROWS_HINT)
def normalizes_each_sample(x, gamma, beta, eps=1e-5):
    """Mean and variance are those of each sample (row): this is layer normalization."""
    mean, var = x.mean(axis=1, keepdims=True), x.var(axis=1, keepdims=True)
    x_hat = (x - mean) / np.sqrt(var + eps)
    return gamma * x_hat + beta, x_hat


@mistake(earns=0, hint=WHOLE_HINT)
def normalizes_the_whole_batch(x, gamma, beta, eps=1e-5):
    """Mean and variance are those of the whole batch, the same for all features."""
    x_hat = (x - x.mean()) / np.sqrt(x.var() + eps)
    return gamma * x_hat + beta, x_hat


@mistake(earns=1, hint=SAMPLE_HINT)
def forward_divides_by_n_minus_1(x, gamma, beta, eps=1e-5):
    """The variance divides by N - 1 where N is asked (ddof=1 for ddof=0)."""
    x_hat = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0, ddof=1) + eps)
    return gamma * x_hat + beta, x_hat


@mistake(earns=2, hint=NO_ROOT_HINT)
def divides_by_the_variance(x, gamma, beta, eps=1e-5):
    """The deviations are divided by σ² + ε: the square root is missing."""
    x_hat = (x - x.mean(axis=0)) / (x.var(axis=0) + eps)
    return gamma * x_hat + beta, x_hat


@mistake(earns=11, hint=EPS_OUTSIDE_HINT)
def adds_eps_outside_the_root(x, gamma, beta, eps=1e-5):
    """ε is added to the standard deviation, outside the root."""
    x_hat = (x - x.mean(axis=0)) / (x.std(axis=0) + eps)
    return gamma * x_hat + beta, x_hat


@mistake(earns=11, hint="ε is added to the variance as it is; do not square it.")
def adds_eps_squared(x, gamma, beta, eps=1e-5):
    """ε is squared before it is added to the variance."""
    x_hat = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + eps**2)
    return gamma * x_hat + beta, x_hat


@mistake(
    earns=10,
    hint="ε is added to the variance first; then one root is taken, that of the sum.",
)
def adds_the_root_of_eps(x, gamma, beta, eps=1e-5):
    """The root is taken of σ² and of ε separately, and the two roots are added."""
    x_hat = (x - x.mean(axis=0)) / (np.sqrt(x.var(axis=0)) + np.sqrt(eps))
    return gamma * x_hat + beta, x_hat


@mistake(earns=9, hint=EPS_IGNORED_HINT)
def ignores_eps(x, gamma, beta, eps=1e-5):
    """ε is not used: a constant feature is 0/0."""
    x_hat = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0))
    return gamma * x_hat + beta, x_hat


@mistake(
    earns=9,
    hint="ε keeps the root away from zero, so it is added to the variance. Subtracted, it makes the root "
    "of a small variance NaN.",
)
def subtracts_eps(x, gamma, beta, eps=1e-5):
    """ε is subtracted from the variance, where it should be added."""
    x_hat = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) - eps)
    return gamma * x_hat + beta, x_hat


@mistake(
    earns=11,
    hint="`np.maximum(σ², ε)` avoids 0/0, too, but it is not what is asked: ε is added to every "
    "variance, under the root.",
)
def takes_eps_as_a_floor(x, gamma, beta, eps=1e-5):
    """ε is a lower limit for the variance, where it should be added to it."""
    x_hat = (x - x.mean(axis=0)) / np.sqrt(np.maximum(x.var(axis=0), eps))
    return gamma * x_hat + beta, x_hat


@mistake(earns=11, hint=EPS_FIXED_HINT)
def uses_its_own_eps(x, gamma, beta, eps=1e-5):
    """ε is always 1e-5, whatever the caller asks for."""
    x_hat = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5)
    return gamma * x_hat + beta, x_hat


@mistake(earns=11, hint="1e-5 is asked for as the default, as in PyTorch; Keras has 1e-3.")
def has_the_default_eps_of_keras(x, gamma, beta, eps=1e-3):
    """The default of ε is 1e-3, where 1e-5 is asked."""
    x_hat = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + eps)
    return gamma * x_hat + beta, x_hat


@mistake(earns=0, hint="The shift comes last: scale x̂ by γ, then add β.")
def shifts_before_scaling(x, gamma, beta, eps=1e-5):
    """y = γ·(x̂ + β): the shift is scaled, too."""
    x_hat = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + eps)
    return gamma * (x_hat + beta), x_hat


@mistake(earns=0, hint="γ multiplies and β is added. Yours have changed places.")
def exchanges_gamma_and_beta(x, gamma, beta, eps=1e-5):
    """β multiplies and γ is added: the two are exchanged."""
    x_hat = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + eps)
    return beta * x_hat + gamma, x_hat


@mistake(earns=0, hint="Add β to the scaled values: y = γ·x̂ + β.")
def forgets_beta(x, gamma, beta, eps=1e-5):
    """β is not added."""
    x_hat = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + eps)
    return gamma * x_hat, x_hat


@mistake(earns=2, hint="Scale the normalized values by γ before you add β: y = γ·x̂ + β.")
def forgets_gamma(x, gamma, beta, eps=1e-5):
    """x̂ is not scaled by γ."""
    x_hat = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + eps)
    return x_hat + beta, x_hat


@mistake(earns=0, hint="Normalizing is the first half. The second is y = γ·x̂ + β.")
def returns_x_hat(x, gamma, beta, eps=1e-5):
    """The normalized values are returned without scale and shift."""
    x_hat = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + eps)
    return x_hat, x_hat


@mistake(
    earns=0,
    hint="Whatever is scaled and shifted before the normalization is undone by it (but for signs). "
    "Normalize x first, then apply γ and β.",
)
def scales_and_shifts_first(x, gamma, beta, eps=1e-5):
    """γ and β are applied to x, and the result is normalized: they cancel."""
    u = gamma * x + beta
    x_hat = (u - u.mean(axis=0)) / np.sqrt(u.var(axis=0) + eps)
    return x_hat, x_hat


@mistake(
    earns=4,
    hint="γ may be negative: the feature is then turned upside down. Its sign must survive.",
)
def takes_gamma_without_its_sign(x, gamma, beta, eps=1e-5):
    """The absolute value of γ is used."""
    x_hat = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + eps)
    return np.abs(gamma) * x_hat + beta, x_hat


@mistake(earns=0, hint="Subtract the batch mean of each feature before you divide.")
def forward_forgets_to_center(x, gamma, beta, eps=1e-5):
    """The mean is not subtracted."""
    x_hat = x / np.sqrt(x.var(axis=0) + eps)
    return gamma * x_hat + beta, x_hat


@mistake(earns=2, hint="Centering is half of it; divide by √(σ² + ε), too.")
def forward_only_centers(x, gamma, beta, eps=1e-5):
    """The mean is subtracted, but nothing is divided."""
    x_hat = x - x.mean(axis=0)
    return gamma * x_hat + beta, x_hat


@mistake(earns=4, hint="x̂ grows with x: it is x minus the mean, not the mean minus x.")
def subtracts_x_from_the_mean(x, gamma, beta, eps=1e-5):
    """x is subtracted from the mean, so that x̂ has the opposite sign."""
    x_hat = (x.mean(axis=0) - x) / np.sqrt(x.var(axis=0) + eps)
    return gamma * x_hat + beta, x_hat


@mistake(
    earns=2,
    hint="`x.std()` is a root already: the root of it is the fourth root of the variance. Under "
    "the root stands the variance itself, `x.var()`.",
)
def takes_the_root_twice(x, gamma, beta, eps=1e-5):
    """The standard deviation stands under the root, where the variance belongs."""
    x_hat = (x - x.mean(axis=0)) / np.sqrt(x.std(axis=0) + eps)
    return gamma * x_hat + beta, x_hat


@mistake(
    earns=0,
    hint="Division binds before subtraction: `x - mean / std` is `x - (mean / std)`. "
    "Put x - mean in parentheses.",
)
def forward_misses_the_parentheses(x, gamma, beta, eps=1e-5):
    """The mean is divided before it is subtracted: parentheses are missing."""
    x_hat = x - x.mean(axis=0) / np.sqrt(x.var(axis=0) + eps)
    return gamma * x_hat + beta, x_hat


@mistake(earns=11, hint=ONE_PASS_HINT)
def forward_in_one_pass(x, gamma, beta, eps=1e-5):
    """The variance is computed as E[x²] - E[x]²: large means make it 0, or negative and y NaN."""
    mean = x.mean(axis=0)
    var = (x**2).mean(axis=0) - mean**2
    x_hat = (x - mean) / np.sqrt(var + eps)
    return gamma * x_hat + beta, x_hat


@mistake(earns=12, hint=PROMOTION_HINT)
def forward_promotes_to_float64(x, gamma, beta, eps=1e-5):
    """y is float64 even when all arguments are float32."""
    x = x.astype(np.float64)
    x_hat = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + eps)
    return gamma * x_hat + beta, x_hat


@mistake(earns=12, hint=SINGLE_SAMPLE_HINT)
def forward_refuses_a_single_sample(x, gamma, beta, eps=1e-5):
    """A batch of one sample is refused with an error."""
    if x.shape[0] == 1:
        raise ValueError("batch normalization needs more than one sample")
    x_hat = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + eps)
    return gamma * x_hat + beta, x_hat


@mistake(
    earns=11,
    hint="A constant feature needs no special treatment: its x̂ is 0 thanks to ε, and y = γ·0 + β.",
)
def leaves_constant_features_at_zero(x, gamma, beta, eps=1e-5):
    """Features with variance 0 come out as 0, without β."""
    std = np.sqrt(x.var(axis=0) + eps)
    y = gamma * (x - x.mean(axis=0)) / std + beta
    return np.where(x.var(axis=0) == 0, 0.0, y).astype(y.dtype), std


@mistake(
    earns=0,
    hint="In training, each batch is normalized by its own mean and variance. Running averages are "
    "kept for inference, and do not enter here.",
)
def normalizes_by_running_statistics(x, gamma, beta, eps=1e-5):
    """x is normalized by running averages (begun at 0 and 1), not by the batch's statistics."""
    running_mean = 0.9 * np.zeros(x.shape[1]) + 0.1 * x.mean(axis=0)
    running_var = 0.9 * np.ones(x.shape[1]) + 0.1 * x.var(axis=0)
    x_hat = (x - running_mean) / np.sqrt(running_var + eps)
    return gamma * x_hat + beta, x_hat


@mistake(earns=12, hint=IN_PLACE_HINT)
def forward_changes_its_input(x, gamma, beta, eps=1e-5):
    """x is normalized in place, so that the caller's batch is gone."""
    x -= x.mean(axis=0)
    x /= np.sqrt((x**2).mean(axis=0) + eps)
    return gamma * x + beta, x


@mistake(earns=0, hint="Return the pair: `return y, cache`.")
def returns_y_only(x, gamma, beta, eps=1e-5):
    """Only y is returned, without the cache."""
    x_hat = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + eps)
    return gamma * x_hat + beta


def forward_by_numpy(x, gamma, beta, eps=1e-5):
    mean, var = np.mean(x, axis=0), np.var(x, axis=0)
    x_hat = (x - mean) / np.sqrt(var + eps)
    return gamma * x_hat + beta, {"x": x, "x_hat": x_hat, "mean": mean, "var": var}


def forward_in_steps(x, gamma, beta, eps=1e-5):
    N = x.shape[0]
    mu = 1.0 / N * np.sum(x, axis=0)
    deviation = x - mu
    squares = deviation**2
    var = 1.0 / N * np.sum(squares, axis=0)
    std = np.sqrt(var + eps)
    inverse = 1.0 / std
    x_hat = deviation * inverse
    scaled = gamma * x_hat
    y = scaled + beta
    return y, (x_hat, gamma, deviation, inverse, std, var, eps)


def forward_by_features(x, gamma, beta, eps=1e-5):
    y = np.zeros_like(x)
    for j in range(x.shape[1]):
        column = x[:, j]
        deviation = column - column.mean()
        y[:, j] = gamma[j] * deviation / (np.mean(deviation**2) + eps) ** 0.5 + beta[j]
    return y, None


def forward_as_one_affine_map(x, gamma, beta, eps=1e-5):
    mean = x.mean(axis=0)
    slope = gamma / np.sqrt(x.var(axis=0) + eps)
    return slope * (x - mean) + beta, (slope, mean)


# --- identity_parameters ---------------------------------------------------------------------


def identity_parameters(x, eps=1e-5):
    mean = x.mean(axis=0)
    centered = x - mean
    return np.sqrt((centered**2).mean(axis=0) + eps), mean


@probe(2)
def restores_the_batch(f, rng):
    """With your γ and β, batch normalization returns the batch that it was given."""
    x = batch(rng) + 20_000
    gamma, beta = f(x, eps=1e-12)
    return {"the output for x": exactly_normalized(x, gamma, beta, 1e-12)}


@probe(1)
def restores_a_batch_of_small_variance(f, rng):
    """It does so, too, where ε is as large as the variance: ε is part of what γ must undo."""
    x = faint(rng)
    large, default = f(x, eps=0.01), f(x)
    return {
        "the output for x, with eps=0.01": exactly_normalized(x, *large, 0.01),
        "the output for x, with the default eps": exactly_normalized(x, *default, 1e-5),
    }


@probe(1)
def one_pair_per_feature(f, rng):
    """γ and β are arrays of shape (D,), also when a feature is constant."""
    x = faint(rng)
    x[:, 2] = 3.5
    gamma, beta = f(x, eps=1e-5)
    return {"gamma": gamma, "beta": beta}


@mistake(
    earns=2,
    hint="The layer divides by √(σ² + ε), so that is what γ must multiply by: with ε inside.",
)
def identity_forgets_eps(x, eps=1e-5):
    """γ is the standard deviation, without ε."""
    return x.std(axis=0), x.mean(axis=0)


@mistake(earns=2, hint="ε stands under the root in the layer, and must stand there in γ, too.")
def identity_adds_eps_outside(x, eps=1e-5):
    """γ is σ + ε: ε is outside the root."""
    return x.std(axis=0) + eps, x.mean(axis=0)


@mistake(earns=0, hint="γ multiplies values, so it needs the unit of x. Take the root of σ² + ε.")
def identity_takes_the_variance(x, eps=1e-5):
    """γ is σ² + ε: the root is missing."""
    return x.var(axis=0) + eps, x.mean(axis=0)


@mistake(
    earns=0, hint="The layer has already divided by √(σ² + ε); γ must multiply by it, to undo that."
)
def identity_divides_again(x, eps=1e-5):
    """γ is 1/√(σ² + ε), which divides once more."""
    return 1 / np.sqrt(x.var(axis=0) + eps), x.mean(axis=0)


@mistake(earns=0, hint="The layer has subtracted the mean; β is added, so it is the mean itself.")
def identity_subtracts_again(x, eps=1e-5):
    """β is minus the mean."""
    return np.sqrt(x.var(axis=0) + eps), -x.mean(axis=0)


@mistake(earns=0, hint="Scaling alone leaves the batch centred. Which β brings the mean back?")
def identity_without_beta(x, eps=1e-5):
    """β is 0: the mean is not brought back."""
    return np.sqrt(x.var(axis=0) + eps), np.zeros(x.shape[1])


@mistake(earns=0, hint="γ = 1 and β = 0 leave x̂ as it is; the batch that should come back is x.")
def identity_of_x_hat(x, eps=1e-5):
    """γ is 1 and β is 0, which returns x̂ and not x."""
    return np.ones(x.shape[1]), np.zeros(x.shape[1])


@mistake(earns=0, hint="β is added after γ has multiplied, so it is not divided by anything.")
def identity_divides_beta(x, eps=1e-5):
    """β is the mean divided by √(σ² + ε)."""
    std = np.sqrt(x.var(axis=0) + eps)
    return std, x.mean(axis=0) / std


@mistake(earns=0, hint="The order is gamma first, beta second.")
def identity_in_the_wrong_order(x, eps=1e-5):
    """β is returned first and γ second."""
    return x.mean(axis=0), np.sqrt(x.var(axis=0) + eps)


@mistake(
    earns=0, hint="The layer divides by the biased deviation, with N; γ must match it exactly."
)
def identity_divides_by_n_minus_1(x, eps=1e-5):
    """γ contains the variance with N - 1 where the layer's has N."""
    return np.sqrt(x.var(axis=0, ddof=1) + eps), x.mean(axis=0)


@mistake(earns=0, hint=WHOLE_HINT)
def identity_of_the_whole_batch(x, eps=1e-5):
    """γ and β are single numbers, from the statistics of the whole batch."""
    return np.sqrt(x.var() + eps), x.mean()


@mistake(earns=3, hint=KEEPDIMS_HINT)
def identity_keeps_an_axis(x, eps=1e-5):
    """γ and β have the shape (1, D): an axis of length 1 was kept."""
    return np.sqrt(x.var(axis=0, keepdims=True) + eps), x.mean(axis=0, keepdims=True)


@mistake(
    earns=3, hint="γ has to undo the division for the ε that the caller names: use the argument."
)
def identity_uses_its_own_eps(x, eps=1e-5):
    """ε is always 1e-5, whatever the caller asks for."""
    return np.sqrt(x.var(axis=0) + 1e-5), x.mean(axis=0)


def identity_by_numpy(x, eps=1e-5):
    return (np.var(x, axis=0) + eps) ** 0.5, np.mean(x, axis=0)


def identity_by_least_squares(x, eps=1e-5):
    gammas, betas = [], []
    for column in x.T:
        deviation = column - column.mean()
        x_hat = deviation / np.sqrt(np.mean(deviation**2) + eps)
        square = np.sum(x_hat**2)
        gammas.append(np.sum(deviation * x_hat) / square if square > 0 else np.sqrt(eps))
        betas.append(column.mean())
    return np.array(gammas), np.array(betas)


# --- batchnorm2d_forward ---------------------------------------------------------------------


def batchnorm2d_forward(x, gamma, beta, eps=1e-5):
    axes = (0, 2, 3)
    centered = x - x.mean(axis=axes, keepdims=True)
    std = np.sqrt((centered**2).mean(axis=axes, keepdims=True) + eps)
    return gamma[:, None, None] * (centered / std) + beta[:, None, None], (centered, std)


def images(rng, samples=4, channels=3, height=5, width=6):
    """Images whose channels differ in centre and spread, and each image from the next.

    All spreads are large beside √ε.
    """
    spread = 100.0 * np.arange(1, channels + 1).reshape(1, channels, 1, 1)
    shift = 200 * rng.normal(size=(samples, channels, 1, 1))
    pixels = rng.normal(size=(samples, channels, height, width))
    return spread * pixels + shift + 5 * spread


@probe(2)
def each_channel_has_mean_beta(f, rng):
    """Over N, H and W, every channel of y has mean β and, when ε is tiny, deviation |γ|."""
    gamma, beta = affine(rng, 3)
    y = output(f(images(rng), gamma, beta, eps=1e-12))
    return {
        "the means of the channels": y.mean(axis=(0, 2, 3)),
        "the standard deviations of the channels": y.std(axis=(0, 2, 3)),
    }


@probe(2)
def values_of_the_images(f, rng):
    """y has the shape of x, (N, C, H, W), and every entry is right."""
    gamma, beta = affine(rng, 3)
    return {"y": output(f(images(rng), gamma, beta, eps=1e-14))}


@probe(1)
def as_many_channels_as_columns(f, rng):
    """It is right, too, when C, H and W are equal and every shape fits every other."""
    gamma, beta = affine(rng, 4)
    x = images(rng, samples=3, channels=4, height=4, width=4)
    return {"y for 4×4 images with 4 channels": output(f(x, gamma, beta, eps=1e-14))}


@probe(1)
def eps_under_the_root_of_channels(f, rng):
    """ε is added to the variance of a channel under the root, and is 1e-5 by default."""
    x, (gamma, beta) = images(rng) * 3e-5, affine(rng, 3)
    return {
        "y for small variances and eps=0.01": output(f(x, gamma, beta, eps=0.01)),
        "y for small variances and the default eps": output(f(x * 0.1, gamma, beta)),
    }


@probe(1)
def one_image_is_a_batch(f, rng):
    """A batch of one image works: it still has H·W values per channel."""
    gamma, beta = affine(rng, 3)
    return {"y for one image": output(f(images(rng, samples=1), gamma, beta, eps=1e-14))}


@probe(1)
def images_stay_float32_and_untouched(f, rng):
    """When all arguments are float32, so is y, to 0.05 even for means near 10 000; x is left as it was."""
    x, (gamma, beta) = images(rng), affine(rng, 3)
    double = output(f(x.copy(), gamma, beta, eps=1e-14))
    x, gamma, beta = (a.astype(np.float32) for a in (x, gamma, beta))
    true = exactly_normalized(
        x, gamma[:, None, None].astype(float), beta[:, None, None], 1e-5, (0, 2, 3)
    )
    y = output(f(x, gamma, beta, eps=1e-5))
    far = (rng.normal(size=x.shape) + 10_000).astype(np.float32)
    far_true = exactly_normalized(
        far, gamma[:, None, None].astype(float), beta[:, None, None], 1e-5, (0, 2, 3)
    )
    far_y = output(f(far, gamma, beta, eps=1e-5))
    return {
        "y in float64": double,
        "the dtype of y": str(np.asarray(y).dtype),
        "x": Argument(x),
        "every entry of y is within 0.001 of the true one": near(y, true, 1e-3),
        "every entry of y is within 0.05 of the true one for means near 10 000": near(
            far_y, far_true, 0.05
        ),
    }


@probe(1, hidden=True)
def channels_may_be_reordered(f, rng):
    """Reordering the channels of x, γ and β reorders the channels of y, and nothing else."""
    x, (gamma, beta) = images(rng, channels=5), affine(rng, 5)
    order = np.array([3, 0, 4, 1, 2])
    return {
        "y for reordered channels": output(f(x[:, order], gamma[order], beta[order], eps=1e-14))
    }


@mistake(
    earns=3,
    hint="Statistics over H and W alone belong to one image: that is instance normalization. Pool "
    "over the batch, too: axes 0, 2 and 3.",
)
def normalizes_each_image(x, gamma, beta, eps=1e-5):
    """Each channel of each image is normalized by itself: this is instance normalization."""
    mean, var = x.mean(axis=(2, 3), keepdims=True), x.var(axis=(2, 3), keepdims=True)
    x_hat = (x - mean) / np.sqrt(var + eps)
    return gamma.reshape(1, -1, 1, 1) * x_hat + beta.reshape(1, -1, 1, 1), x_hat


@mistake(
    earns=2,
    hint="A convolution applies the same filter everywhere, so all pixels of a channel are values "
    "of one feature. Reduce over H and W, too: axes 0, 2 and 3, with `keepdims=True`.",
)
def normalizes_each_pixel(x, gamma, beta, eps=1e-5):
    """Every pixel position has its own statistics over the batch: only axis 0 is reduced."""
    x_hat = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + eps)
    return gamma.reshape(1, -1, 1, 1) * x_hat + beta.reshape(1, -1, 1, 1), x_hat


@mistake(
    earns=0,
    hint="Axes (0, 1, 2) are right for images with channels last, (N, H, W, C). Here the channels "
    "are axis 1, so axes 0, 2 and 3 are reduced, with `keepdims=True`.",
)
def reduces_as_if_channels_came_last(x, gamma, beta, eps=1e-5):
    """Axes (0, 1, 2) are reduced, as for images with channels last: one mean per column of pixels."""
    mean, var = x.mean(axis=(0, 1, 2)), x.var(axis=(0, 1, 2))
    x_hat = (x - mean) / np.sqrt(var + eps)
    return gamma.reshape(1, -1, 1, 1) * x_hat + beta.reshape(1, -1, 1, 1), x_hat


@mistake(
    earns=0,
    hint="Statistics over C, H and W belong to one image: that is layer normalization. Each channel "
    "needs its own, over axes 0, 2 and 3.",
)
def normalizes_all_channels_of_an_image(x, gamma, beta, eps=1e-5):
    """Each image is normalized as a whole, all channels together: this is layer normalization."""
    axes = (1, 2, 3)
    mean, var = x.mean(axis=axes, keepdims=True), x.var(axis=axes, keepdims=True)
    x_hat = (x - mean) / np.sqrt(var + eps)
    return gamma.reshape(1, -1, 1, 1) * x_hat + beta.reshape(1, -1, 1, 1), x_hat


@mistake(
    earns=0,
    hint="Channels differ, and each needs its own mean and variance: reduce over axes 0, 2 and 3, "
    "with `keepdims=True`.",
)
def normalizes_all_images_together(x, gamma, beta, eps=1e-5):
    """One mean and one variance of all numbers serve all channels."""
    x_hat = (x - x.mean()) / np.sqrt(x.var() + eps)
    return gamma.reshape(1, -1, 1, 1) * x_hat + beta.reshape(1, -1, 1, 1), x_hat


@mistake(
    earns=0,
    hint="In `(N, C, H, W)` the channels are axis 1, not the last one: average over the axes `(0, "
    "2, 3)`, with `keepdims=True`. Channels come last in TensorFlow.",
)
def takes_the_channels_for_the_last_axis(x, gamma, beta, eps=1e-5):
    """Mean and variance run over the axes (0, 1, 2), as if the channels came last."""
    x_hat = (x - x.mean(axis=(0, 1, 2))) / np.sqrt(x.var(axis=(0, 1, 2)) + eps)
    return gamma * x_hat + beta, x_hat


@mistake(
    earns=1,
    hint="In memory N comes before C: `reshape(C, -1)` cuts the batch into C pieces of mixed "
    "channels. Move the channels to the front with `swapaxes(0, 1)` first; on the way back, "
    "reshape to (C, N, H, W) and exchange the axes again.",
)
def cuts_the_batch_into_channels(x, gamma, beta, eps=1e-5):
    """x is reshaped to (C, N·H·W) without moving the channels first, which mixes them up."""
    rows = x.reshape(x.shape[1], -1)
    mean, var = rows.mean(axis=1, keepdims=True), rows.var(axis=1, keepdims=True)
    x_hat = (rows - mean) / np.sqrt(var + eps)
    return (gamma[:, None] * x_hat + beta[:, None]).reshape(x.shape), x_hat


@mistake(
    earns=0,
    hint="`reshape` keeps the numbers in their order in memory, where C comes before H and W. Move "
    "the channels to the end with `transpose(0, 2, 3, 1)` first; on the way back, reshape to "
    "(N, H, W, C) and move them to their place again.",
)
def reshapes_without_transposing(x, gamma, beta, eps=1e-5):
    """x is reshaped to (N·H·W, C) without moving the channels last, which mixes them up."""
    flat = x.reshape(-1, x.shape[1])
    x_hat = (flat - flat.mean(axis=0)) / np.sqrt(flat.var(axis=0) + eps)
    return (gamma * x_hat + beta).reshape(x.shape), x_hat


@mistake(
    earns=0,
    hint="The result is right, but its axes are (N, H, W, C). Move the channels back: "
    "`transpose(0, 3, 1, 2)`.",
)
def leaves_the_channels_last(x, gamma, beta, eps=1e-5):
    """y is returned with the channels last, (N, H, W, C)."""
    moved = x.transpose(0, 2, 3, 1)
    mean, var = moved.mean(axis=(0, 1, 2)), moved.var(axis=(0, 1, 2))
    x_hat = (moved - mean) / np.sqrt(var + eps)
    return gamma * x_hat + beta, x_hat


@mistake(
    earns=0,
    hint="After `transpose(0, 2, 3, 1)` the numbers are in another order; `reshape(x.shape)` does not "
    "bring them back. Reshape to (N, H, W, C), then transpose.",
)
def reshapes_back_without_transposing(x, gamma, beta, eps=1e-5):
    """The channels are moved last, but the way back is a reshape without a transpose."""
    flat = x.transpose(0, 2, 3, 1).reshape(-1, x.shape[1])
    x_hat = (flat - flat.mean(axis=0)) / np.sqrt(flat.var(axis=0) + eps)
    return (gamma * x_hat + beta).reshape(x.shape), x_hat


@mistake(
    earns=1,
    hint="With the channels in front the axes are (C, N, H, W). Reshape to that, and exchange the first "
    "two axes on the way back; `reshape` to (N, C, H, W) mixes images and channels.",
)
def leaves_the_channels_in_front(x, gamma, beta, eps=1e-5):
    """The channels are moved to the front, but the way back is a reshape without a transpose."""
    flat = x.transpose(1, 0, 2, 3).reshape(x.shape[1], -1)
    mean, var = flat.mean(axis=1, keepdims=True), flat.var(axis=1, keepdims=True)
    x_hat = (flat - mean) / np.sqrt(var + eps)
    return (gamma[:, None] * x_hat + beta[:, None]).reshape(x.shape), x_hat


@mistake(
    earns=0,
    hint="NumPy aligns shapes from the right, so `gamma * x_hat` pairs C with W: an error, or, when "
    "they happen to be equal, a silent mix-up. Reshape to (1, C, 1, 1).",
)
def lets_gamma_run_along_the_width(x, gamma, beta, eps=1e-5):
    """γ and β of shape (C,) meet the axis W, the last one, instead of C."""
    mean, var = x.mean(axis=(0, 2, 3), keepdims=True), x.var(axis=(0, 2, 3), keepdims=True)
    x_hat = (x - mean) / np.sqrt(var + eps)
    return gamma * x_hat + beta, x_hat


@mistake(
    earns=1,
    hint="The variance of a channel is larger than the mean variance of its images: the images also "
    "differ from one another. Take deviations from the mean of the channel.",
)
def averages_the_variances_of_the_images(x, gamma, beta, eps=1e-5):
    """The variance is the mean of the variances within each image; what lies between is missing."""
    mean = x.mean(axis=(2, 3)).mean(axis=0).reshape(1, -1, 1, 1)
    var = x.var(axis=(2, 3)).mean(axis=0).reshape(1, -1, 1, 1)
    x_hat = (x - mean) / np.sqrt(var + eps)
    return gamma.reshape(1, -1, 1, 1) * x_hat + beta.reshape(1, -1, 1, 1), x_hat


@mistake(
    earns=0,
    hint="A channel has N·H·W values, and the squares are divided by that number: no `ddof=1`.",
)
def images_divide_by_m_minus_1(x, gamma, beta, eps=1e-5):
    """The variance divides by N·H·W - 1 where N·H·W is asked (ddof=1 for ddof=0)."""
    mean = x.mean(axis=(0, 2, 3), keepdims=True)
    var = x.var(axis=(0, 2, 3), keepdims=True, ddof=1)
    x_hat = (x - mean) / np.sqrt(var + eps)
    return gamma.reshape(1, -1, 1, 1) * x_hat + beta.reshape(1, -1, 1, 1), x_hat


@mistake(earns=8, hint=EPS_OUTSIDE_HINT)
def images_add_eps_outside_the_root(x, gamma, beta, eps=1e-5):
    """ε is added to the standard deviation, outside the root."""
    mean, std = x.mean(axis=(0, 2, 3), keepdims=True), x.std(axis=(0, 2, 3), keepdims=True)
    x_hat = (x - mean) / (std + eps)
    return gamma.reshape(1, -1, 1, 1) * x_hat + beta.reshape(1, -1, 1, 1), x_hat


@mistake(earns=0, hint=NO_ROOT_HINT)
def images_divide_by_the_variance(x, gamma, beta, eps=1e-5):
    """The deviations are divided by σ² + ε: the square root is missing."""
    mean, var = x.mean(axis=(0, 2, 3), keepdims=True), x.var(axis=(0, 2, 3), keepdims=True)
    x_hat = (x - mean) / (var + eps)
    return gamma.reshape(1, -1, 1, 1) * x_hat + beta.reshape(1, -1, 1, 1), x_hat


@mistake(
    earns=8,
    hint="The caller chooses ε: use the argument `eps`, and hand it on if you call "
    "`batchnorm_forward`.",
)
def images_use_their_own_eps(x, gamma, beta, eps=1e-5):
    """ε is always 1e-5, whatever the caller asks for."""
    mean, var = x.mean(axis=(0, 2, 3), keepdims=True), x.var(axis=(0, 2, 3), keepdims=True)
    x_hat = (x - mean) / np.sqrt(var + 1e-5)
    return gamma.reshape(1, -1, 1, 1) * x_hat + beta.reshape(1, -1, 1, 1), x_hat


@mistake(earns=8, hint=PROMOTION_HINT)
def images_promote_to_float64(x, gamma, beta, eps=1e-5):
    """y is float64 even when all arguments are float32."""
    x = np.array(x, dtype=float)
    mean, var = x.mean(axis=(0, 2, 3), keepdims=True), x.var(axis=(0, 2, 3), keepdims=True)
    x_hat = (x - mean) / np.sqrt(var + eps)
    return gamma.reshape(1, -1, 1, 1) * x_hat + beta.reshape(1, -1, 1, 1), x_hat


@mistake(
    earns=0,
    hint="A loop over channels is fine, but every channel needs statistics of its own: compute mean "
    "and variance inside the loop.",
)
def shares_the_statistics_of_one_channel(x, gamma, beta, eps=1e-5):
    """Mean and variance of the first channel are used for all channels."""
    y = np.empty_like(x)
    mean, var = x[:, 0].mean(), x[:, 0].var()
    for c in range(x.shape[1]):
        y[:, c] = gamma[c] * (x[:, c] - mean) / np.sqrt(var + eps) + beta[c]
    return y, None


@mistake(earns=0, hint="Normalizing is the first half. The second is y = γ·x̂ + β, per channel.")
def images_without_gamma_and_beta(x, gamma, beta, eps=1e-5):
    """The normalized images are returned without scale and shift."""
    mean, var = x.mean(axis=(0, 2, 3), keepdims=True), x.var(axis=(0, 2, 3), keepdims=True)
    x_hat = (x - mean) / np.sqrt(var + eps)
    return x_hat, x_hat


@mistake(earns=0, hint="The shift is missing: y = γ·x̂ + β, per channel.")
def images_without_beta(x, gamma, beta, eps=1e-5):
    """β is not added."""
    mean, var = x.mean(axis=(0, 2, 3), keepdims=True), x.var(axis=(0, 2, 3), keepdims=True)
    x_hat = (x - mean) / np.sqrt(var + eps)
    return gamma.reshape(1, -1, 1, 1) * x_hat, x_hat


@mistake(earns=8, hint=EPS_IGNORED_HINT)
def images_ignore_eps(x, gamma, beta, eps=1e-5):
    """ε is not used."""
    mean, std = x.mean(axis=(0, 2, 3), keepdims=True), x.std(axis=(0, 2, 3), keepdims=True)
    x_hat = (x - mean) / std
    return gamma.reshape(1, -1, 1, 1) * x_hat + beta.reshape(1, -1, 1, 1), x_hat


@mistake(earns=8, hint=ONE_PASS_HINT)
def images_in_one_pass(x, gamma, beta, eps=1e-5):
    """The variance is computed as E[x²] - E[x]², which loses its digits when the mean is large."""
    mean = x.mean(axis=(0, 2, 3), keepdims=True)
    var = (x**2).mean(axis=(0, 2, 3), keepdims=True) - mean**2
    x_hat = (x - mean) / np.sqrt(var + eps)
    return gamma.reshape(1, -1, 1, 1) * x_hat + beta.reshape(1, -1, 1, 1), x_hat


@mistake(earns=8, hint=IN_PLACE_HINT)
def images_are_changed_in_place(x, gamma, beta, eps=1e-5):
    """x is centred in place, so that the caller's images are gone."""
    x -= x.mean(axis=(0, 2, 3), keepdims=True)
    x_hat = x / np.sqrt((x**2).mean(axis=(0, 2, 3), keepdims=True) + eps)
    return gamma.reshape(1, -1, 1, 1) * x_hat + beta.reshape(1, -1, 1, 1), x_hat


def images_as_a_table(x, gamma, beta, eps=1e-5):
    N, C, H, W = x.shape
    flat = x.transpose(0, 2, 3, 1).reshape(N * H * W, C)
    x_hat = (flat - flat.mean(axis=0)) / np.sqrt(flat.var(axis=0) + eps)
    y = gamma * x_hat + beta
    return y.reshape(N, H, W, C).transpose(0, 3, 1, 2), (x_hat, gamma)


def images_by_channels(x, gamma, beta, eps=1e-5):
    y = np.empty_like(x)
    for c in range(x.shape[1]):
        channel = x[:, c]
        y[:, c] = gamma[c] * (channel - channel.mean()) / np.sqrt(channel.var() + eps) + beta[c]
    return y, {"gamma": gamma}


def images_with_keepdims(x, gamma, beta, eps=1e-5):
    shape = (1, x.shape[1], 1, 1)
    mean = np.mean(x, axis=(0, 2, 3), keepdims=True)
    var = np.var(x, axis=(0, 2, 3), keepdims=True)
    return gamma.reshape(shape) * (x - mean) / np.sqrt(var + eps) + beta.reshape(shape), ()


# --- fold_bias -------------------------------------------------------------------------------


def fold_bias(b, gamma, beta, mean, var):
    return gamma, beta, mean - b, var


def biased_layer(rng, eps=1e-5):
    """The sums x W of a batch, and the six vectors of the layer: one bias, gamma, beta, mean, var."""
    sums = batch(rng, samples=6) * 0.01
    gamma, beta = affine(rng)
    b = rng.uniform(1, 8, size=4) * np.array([1.0, -1.0, 1.0, -1.0])
    mean = batch(rng).mean(axis=0) * 0.01 + 10 + b
    var = rng.uniform(900, 2500, size=4)
    return sums, b, gamma, beta, mean, var


@probe(2)
def same_with_kept_statistics(f, rng):
    """With the kept mean and variance, the layer without b computes the same as the one with b."""
    sums, b, gamma, beta, mean, var = biased_layer(rng)
    new_gamma, new_beta, new_mean, new_var = f(b, gamma, beta, mean, var)
    y = new_gamma * (sums - new_mean) / np.sqrt(new_var + 1e-5) + new_beta
    return {"y with the kept statistics": y}


@probe(2)
def same_in_training(f, rng):
    """With the statistics of the batch, the layer without b computes the same as the one with b."""
    sums, b, gamma, beta, mean, var = biased_layer(rng)
    new_gamma, new_beta, _, _ = f(b, gamma, beta, mean, var)
    return {
        "y with the statistics of the batch": exactly_normalized(sums, new_gamma, new_beta, 1e-5)
    }


@probe(1)
def vectors_are_left_alone(f, rng):
    """The vectors that you are given are left as they were, and the kept mean fits the new sums."""
    _, b, gamma, beta, mean, var = biased_layer(rng)
    result = f(b, gamma, beta, mean, var)
    return {
        "b": Argument(b),
        "gamma": Argument(gamma),
        "beta": Argument(beta),
        "mean": Argument(mean),
        "var": Argument(var),
        "the new kept mean": result[2],
    }


@mistake(
    earns=2,
    hint="In training b cancels, but the kept mean is one of sums *with* b. Without b it is too "
    "large by exactly b.",
)
def only_drops_the_bias(b, gamma, beta, mean, var):
    """The kept mean stays as it was, and still contains the bias."""
    return gamma.copy(), beta.copy(), mean.copy(), var.copy()


@mistake(
    earns=0,
    hint="The bias is added before the normalization and β after it, so they are not "
    "interchangeable: the normalization removes b. Leave β as it is, and look at where b is "
    "hidden: in the kept mean.",
)
def adds_the_bias_to_beta(b, gamma, beta, mean, var):
    """The bias is added to β."""
    return gamma.copy(), beta + b, mean.copy(), var.copy()


@mistake(
    earns=0,
    hint="b is not hidden in β, which is added after the normalization. It is hidden in the kept "
    "mean, which is one of sums *with* b.",
)
def subtracts_the_bias_from_beta(b, gamma, beta, mean, var):
    """The bias is subtracted from β."""
    return gamma.copy(), beta - b, mean.copy(), var.copy()


@mistake(
    earns=0,
    hint="On its way to the output b is divided by √(σ² + ε), too; and even then β would be right "
    "for the kept statistics only. Leave β as it is, and look at where b is hidden: in the "
    "kept mean.",
)
def adds_gamma_times_the_bias_to_beta(b, gamma, beta, mean, var):
    """γ·b is added to β."""
    return gamma.copy(), beta + gamma * b, mean.copy(), var.copy()


@mistake(
    earns=2,
    hint="γ·b/σ in β is right for the kept statistics, but in training b never reached the output, "
    "and now it does. Which of the four vectors is used with kept statistics only?",
)
def folds_the_bias_into_beta(b, gamma, beta, mean, var):
    """γ·b/√(σ² + ε) is added to β, which is right with kept statistics and wrong in training."""
    return gamma.copy(), beta + gamma * b / np.sqrt(var + 1e-5), mean.copy(), var.copy()


@mistake(
    earns=0,
    hint="The bias stands in the kept mean with the opposite sign of what β would need, and β is used in "
    "training, too, where b never reached the output. Which of the four vectors holds b?",
)
def subtracts_the_folded_bias_from_beta(b, gamma, beta, mean, var):
    """γ·b/√(σ² + ε) is subtracted from β, which holds nothing of the bias."""
    return gamma.copy(), beta - gamma * b / np.sqrt(var + 1e-5), mean.copy(), var.copy()


@mistake(
    earns=2,
    hint="The sums become smaller by b, and so does their mean: subtract b from it.",
)
def adds_the_bias_to_the_mean(b, gamma, beta, mean, var):
    """The bias is added to the kept mean where it must be subtracted."""
    return gamma.copy(), beta.copy(), mean + b, var.copy()


@mistake(
    earns=2,
    hint="The old mean is one of sums with b. The sums become smaller by b, and so does their mean: what "
    "is subtracted from what?",
)
def subtracts_the_mean_from_the_bias(b, gamma, beta, mean, var):
    """The new mean is b - mean, the right one with the opposite sign."""
    return gamma.copy(), beta.copy(), b - mean, var.copy()


@mistake(
    earns=1,
    hint="β is added after the normalization and holds nothing of b. Only the kept mean does.",
)
def subtracts_the_bias_from_mean_and_beta(b, gamma, beta, mean, var):
    """The bias is subtracted from the kept mean, and from β, too."""
    return gamma.copy(), beta - b, mean - b, var.copy()


@mistake(
    earns=1,
    hint="Once is enough: the kept mean takes up b completely, and β stays as it is.",
)
def folds_the_bias_twice(b, gamma, beta, mean, var):
    """The bias is taken out of the kept mean and put into β, too."""
    return gamma.copy(), beta + gamma * b / np.sqrt(var + 1e-5), mean - b, var.copy()


@mistake(
    earns=2,
    hint="Mean and bias are both in units of the sums, before any division: subtract b as it is.",
)
def divides_the_bias_first(b, gamma, beta, mean, var):
    """The bias is divided by √(σ² + ε) before it is subtracted from the kept mean."""
    return gamma.copy(), beta.copy(), mean - b / np.sqrt(var + 1e-5), var.copy()


@mistake(
    earns=3,
    hint="A constant shifts the mean and leaves the variance as it is: adding b to all samples does "
    "not spread them out.",
)
def changes_the_variance(b, gamma, beta, mean, var):
    """The square of the bias is subtracted from the variance."""
    return gamma.copy(), beta.copy(), mean - b, np.abs(var - b**2)


@mistake(
    earns=2,
    hint="The kept mean holds more than b: the mean of x W is still in it. Subtract b, do not "
    "replace.",
)
def sets_the_mean_to_zero(b, gamma, beta, mean, var):
    """The kept mean is set to 0, as if it held nothing but the bias."""
    return gamma.copy(), beta.copy(), np.zeros_like(mean), var.copy()


@mistake(earns=4, hint="`mean -= b` writes into the caller's array; `mean - b` makes a new one.")
def changes_the_kept_mean_in_place(b, gamma, beta, mean, var):
    """The bias is subtracted from the caller's mean in place."""
    mean -= b
    return gamma, beta, mean, var


@mistake(earns=0, hint="The order is gamma, beta, mean, var, as in the arguments.")
def returns_mean_and_variance_first(b, gamma, beta, mean, var):
    """The vectors are returned in another order: mean and variance come first."""
    return mean - b, var.copy(), gamma.copy(), beta.copy()


def fold_bias_with_copies(b, gamma, beta, mean, var):
    gamma, beta, mean, var = (np.array(a) for a in (gamma, beta, mean, var))
    mean -= b
    return gamma, beta, mean, var


def fold_bias_by_subtract(b, gamma, beta, mean, var):
    without = np.subtract(mean, b)
    return [gamma, beta, without, var]


# --- the chapter -----------------------------------------------------------------------------

CHAPTER = Chapter(
    slug="batchnorm_forward",
    title="Batch normalization, forward",
    exercises=(
        Exercise(
            name="stable_variance",
            reference=stable_variance,
            probes=(
                variance_per_feature,
                right_in_float32_far_from_zero,
                variance_keeps_float32,
                variance_leaves_its_input_alone,
                right_in_float64_far_from_zero,
            ),
            mistakes=(
                variance_in_one_pass,
                variance_in_one_pass_with_more_digits,
                variance_divides_by_n_minus_1,
                returns_the_standard_deviation,
                sums_the_squares,
                does_not_subtract_the_mean,
                does_not_square_the_deviations,
                mean_absolute_deviation,
                variance_of_rows,
                variance_of_the_whole_batch,
                variance_around_the_overall_mean,
                variance_keeps_an_axis,
                variance_promotes_to_float64,
                variance_changes_its_input,
                variance_rounds_to_float32,
                variance_takes_a_detour_through_float32,
                variance_sums_in_float32,
            ),
            alternatives=(
                variance_by_numpy,
                variance_by_shifted_sums,
                variance_by_welford,
                variance_by_columns,
            ),
            tolerance=TOLERANCE,
        ),
        Exercise(
            name="batch_statistics",
            reference=batch_statistics,
            probes=(
                means_come_first,
                biased_variances_come_second,
                statistics_of_one_sample,
                statistics_in_float32_far_from_zero,
            ),
            mistakes=(
                statistics_divide_by_n_minus_1,
                statistics_hold_the_deviation,
                statistics_in_the_wrong_order,
                statistics_sum_the_squares,
                statistics_without_the_mean,
                statistics_do_not_square_the_deviations,
                statistics_hold_the_absolute_deviation,
                statistics_around_the_overall_mean,
                statistics_of_rows,
                statistics_of_the_whole_batch,
                statistics_keep_an_axis,
                statistics_in_one_pass,
                statistics_promote_to_float64,
                statistics_include_eps,
                statistics_refuse_a_single_sample,
                statistics_with_the_median,
            ),
            alternatives=(statistics_by_numpy, statistics_by_sums),
            tolerance=EXACT,
        ),
        Exercise(
            name="batchnorm_forward",
            reference=batchnorm_forward,
            probes=(
                mean_beta_and_deviation_gamma,
                values_of_y,
                eps_under_the_root,
                constant_feature_becomes_beta,
                one_sample_becomes_beta,
                float32_far_from_zero,
                y_keeps_float32,
                arguments_are_left_alone,
                a_sample_depends_on_its_batch_only,
            ),
            mistakes=(
                normalizes_each_sample,
                normalizes_the_whole_batch,
                forward_divides_by_n_minus_1,
                divides_by_the_variance,
                adds_eps_outside_the_root,
                adds_eps_squared,
                takes_eps_as_a_floor,
                adds_the_root_of_eps,
                ignores_eps,
                subtracts_eps,
                uses_its_own_eps,
                has_the_default_eps_of_keras,
                shifts_before_scaling,
                exchanges_gamma_and_beta,
                forgets_beta,
                forgets_gamma,
                returns_x_hat,
                scales_and_shifts_first,
                takes_gamma_without_its_sign,
                forward_forgets_to_center,
                forward_only_centers,
                subtracts_x_from_the_mean,
                takes_the_root_twice,
                forward_misses_the_parentheses,
                forward_in_one_pass,
                forward_promotes_to_float64,
                forward_refuses_a_single_sample,
                leaves_constant_features_at_zero,
                normalizes_by_running_statistics,
                forward_changes_its_input,
                returns_y_only,
            ),
            alternatives=(
                forward_by_numpy,
                forward_in_steps,
                forward_by_features,
                forward_as_one_affine_map,
            ),
            equivalents={
                "return (gamma * (centered / std) + beta, (std, centered))": CACHE_IS_FREE,
            },
            tolerance=TOLERANCE,
        ),
        Exercise(
            name="identity_parameters",
            reference=identity_parameters,
            probes=(
                restores_the_batch,
                restores_a_batch_of_small_variance,
                one_pair_per_feature,
            ),
            mistakes=(
                identity_forgets_eps,
                identity_adds_eps_outside,
                identity_takes_the_variance,
                identity_divides_again,
                identity_subtracts_again,
                identity_without_beta,
                identity_of_x_hat,
                identity_divides_beta,
                identity_in_the_wrong_order,
                identity_divides_by_n_minus_1,
                identity_of_the_whole_batch,
                identity_keeps_an_axis,
                identity_uses_its_own_eps,
            ),
            alternatives=(identity_by_numpy, identity_by_least_squares),
            tolerance=TOLERANCE,
        ),
        Exercise(
            name="batchnorm2d_forward",
            reference=batchnorm2d_forward,
            probes=(
                each_channel_has_mean_beta,
                values_of_the_images,
                as_many_channels_as_columns,
                eps_under_the_root_of_channels,
                one_image_is_a_batch,
                images_stay_float32_and_untouched,
                channels_may_be_reordered,
            ),
            mistakes=(
                normalizes_each_image,
                normalizes_each_pixel,
                reduces_as_if_channels_came_last,
                normalizes_all_channels_of_an_image,
                normalizes_all_images_together,
                takes_the_channels_for_the_last_axis,
                cuts_the_batch_into_channels,
                reshapes_without_transposing,
                leaves_the_channels_last,
                reshapes_back_without_transposing,
                leaves_the_channels_in_front,
                lets_gamma_run_along_the_width,
                averages_the_variances_of_the_images,
                images_divide_by_m_minus_1,
                images_add_eps_outside_the_root,
                images_divide_by_the_variance,
                images_use_their_own_eps,
                images_promote_to_float64,
                shares_the_statistics_of_one_channel,
                images_without_gamma_and_beta,
                images_without_beta,
                images_ignore_eps,
                images_in_one_pass,
                images_are_changed_in_place,
            ),
            alternatives=(images_as_a_table, images_by_channels, images_with_keepdims),
            equivalents={
                "axes = (2, 0, 3)": AXES_IN_ANY_ORDER,
                "return (gamma[:, None, None] * (centered / std) + beta[:, None, None], "
                "(std, centered))": CACHE_IS_FREE,
            },
            tolerance=TOLERANCE,
        ),
        Exercise(
            name="fold_bias",
            reference=fold_bias,
            probes=(same_with_kept_statistics, same_in_training, vectors_are_left_alone),
            mistakes=(
                only_drops_the_bias,
                adds_the_bias_to_beta,
                subtracts_the_bias_from_beta,
                adds_gamma_times_the_bias_to_beta,
                folds_the_bias_into_beta,
                subtracts_the_folded_bias_from_beta,
                adds_the_bias_to_the_mean,
                subtracts_the_mean_from_the_bias,
                subtracts_the_bias_from_mean_and_beta,
                folds_the_bias_twice,
                divides_the_bias_first,
                changes_the_variance,
                sets_the_mean_to_zero,
                changes_the_kept_mean_in_place,
                returns_mean_and_variance_first,
            ),
            alternatives=(fold_bias_with_copies, fold_bias_by_subtract),
            tolerance=TOLERANCE,
        ),
    ),
)
