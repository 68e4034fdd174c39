"""Relatives of batch normalization: what their exercises ask, and the mistakes that people make.

Shapes: ``x`` is (N, D), or (N, T, D) for sequences of T tokens, or (N, C, H, W) for images with the
channels first; ``gamma`` and ``beta`` are (D,) or (C,). Variances are biased. References agree with
``layer_norm``, ``group_norm``, ``instance_norm``, ``rms_norm`` and ``batch_norm`` of
``torch.nn.functional``, gradients with its autograd, and merged statistics with those of the data
in one piece (Chan, Golub & LeVeque, 1983). Batch renormalization is Algorithm 1 of Ioffe (2017),
with a running variance, to which eps is added, in place of the running deviation.

The code of mistakes and alternatives is written as students write it, and stands alone: it uses
nothing but NumPy and its arguments.
"""

import numpy as np

from autograder import paths
from autograder.chapters.batchnorm_backward import doubles
from autograder.chapters.batchnorm_forward import EXACT, affine
from autograder.exercise import (
    Argument,
    Chapter,
    Exercise,
    Explained,
    Tolerance,
    mistake,
    outcome,
    probe,
)

TOLERANCE = Tolerance(relative=1e-6, absolute=1e-8)
# float32 somewhere in between leaves about 1e-7, too little to matter here.
ROUGH = Tolerance(relative=1e-5, absolute=1e-5)


KEEPDIMS_HINT = (
    "A reduced axis is gone, and NumPy lines the shapes up from the right, so the statistics meet "
    "the wrong axis: an error, or a silent mix-up if the lengths agree. `keepdims=True` keeps the "
    "reduced axes with length 1."
)
BIASED_HINT = (
    "All normalization layers divide the squares by the number of values, not by one less: no "
    "`ddof=1`. (`torch.std` divides by one less unless it is told otherwise, which has got into "
    "many implementations.)"
)
EPS_OUTSIDE_HINT = (
    "ε belongs under the root, with the variance: √(σ² + ε). Beside the root it is another "
    "formula, and for small variances the two differ a lot."
)
EPS_IGNORED_HINT = (
    "Without ε a set of equal values is 0/0, and sets of small variance come out differently from "
    "everybody else's. Add `eps` to the variance before taking the root."
)
EPS_FIXED_HINT = "The caller chooses ε. Use the argument `eps`, not a number of your own."
EPS_DEFAULT_HINT = (
    "10⁻³ is the default in Keras. Here it is 10⁻⁵, as in PyTorch and as the signature says."
)
NO_ROOT_HINT = (
    "The divisor is the standard deviation, the square root of σ² + ε. Dividing by the variance "
    "leaves a spread of 1/σ."
)
ONE_PASS_HINT = (
    "E[x²] - E[x]² subtracts two nearly equal numbers when the mean is large, and loses its digits. "
    "Subtract the mean first, then square."
)
IN_PLACE_HINT = (
    "`x -= mean` writes into the caller's array, and the caller will use it again. "
    "`x - mean` makes a new array."
)
PROMOTION_HINT = (
    "float32 in, float32 out: networks are trained in float32. Do not convert, or convert the "
    "result back, to the dtype that x had before: after `x = x.astype(...)` it has another."
)
CENTER_HINT = "Subtract the mean over the same axes before you divide."
AFFINE_HINT = "y = γ·x̂ + β: first scale, then shift."
LAST_AXIS_HINT = (
    "The features are the *last* axis, however many come before it: `axis=-1`. In (N, T, D), "
    "axis 1 is the tokens."
)


def evenly(low, high, count):
    """As np.linspace, which takes ten times as long for so few numbers."""
    return low + (high - low) / max(count - 1, 1) * np.arange(count)


def block(rng, *shape, scale=1e5):
    """An array whose means and spreads differ along every axis, all of them large beside √ε."""
    x = rng.normal(size=shape)
    for axis, length in enumerate(shape):
        along = [1] * len(shape)
        along[axis] = length
        x = x * rng.permutation(evenly(0.6, 1.7, length)).reshape(along)
        x = x + rng.permutation(evenly(-2.0, 2.0, length)).reshape(along)
    return scale * x


def distant(rng, *shape):
    """The same, so far from 0 that rounding x to float32, or its means, surely shows."""
    return block(rng, *shape) + 3e8


def faint(rng, *shape):
    """An array far from 0 with variances about as large as 10⁻⁵."""
    return block(rng, *shape, scale=2e-3) + 20


def single(*arrays):
    """The same arrays in float32."""
    return tuple(a.astype(np.float32) for a in arrays)


def near(got, expected, margin):
    """Whether all entries are within a margin of the expected ones; rounding is no mistake."""
    got = np.asarray(got, dtype=np.float64)
    if got.shape != expected.shape:
        return False
    with np.errstate(invalid="ignore"):
        return bool(np.all(np.abs(got - expected) <= margin))


def exactly(x, axis, eps=1e-5):
    """x normalized in float64, for comparison with answers in float32."""
    x = x.astype(np.float64)
    centered = x - x.mean(axis=axis, keepdims=True)
    return centered / np.sqrt((centered**2).mean(axis=axis, keepdims=True) + eps)


# --- normalize -------------------------------------------------------------------------------


def normalize(x, axes, eps=1e-5):
    centered = x - x.mean(axis=axes, keepdims=True)
    var = (centered**2).mean(axis=axes, keepdims=True)
    return centered / np.sqrt(var + eps)


@probe(2)
def one_axis_of_a_table(f, rng):
    """On a table (N, D), `axes=0` is batch normalization, and `axes=1` is layer normalization."""
    x = distant(rng, 7, 5)
    return {"normalize(x, 0)": f(x.copy(), 0), "normalize(x, 1)": f(x.copy(), 1)}


@probe(2)
def several_axes_of_images(f, rng):
    """On images (N, C, H, W), `(0, 2, 3)`, `(2, 3)` and `(1, 2, 3)` give batch, instance and layer normalization."""
    x = distant(rng, 4, 6, 3, 5)
    return {f"normalize(x, {axes})": f(x.copy(), axes) for axes in ((0, 2, 3), (2, 3), (1, 2, 3))}


@probe(1)
def groups_after_a_reshape(f, rng):
    """Images reshaped to (N, G, C/G, H, W) and normalized over `(2, 3, 4)`: group normalization."""
    x = distant(rng, 3, 6, 2, 4).reshape(3, 2, 3, 2, 4)
    return {"the groups, normalized": f(x, (2, 3, 4))}


@probe(1)
def normalize_eps(f, rng):
    """ε stands under the root, is taken from the argument, and is 10⁻⁵ if none is given."""
    x = faint(rng, 6, 4)
    return {
        "normalize(x, 0, eps=1e-2)": f(x.copy(), 0, eps=1e-2),
        "normalize(x, 0)": f(x.copy(), 0),
    }


@probe(1)
def constants_become_zero(f, rng):
    """Where all values are equal, or there is only one, the result is 0 and not NaN."""
    x = np.ones((4, 3)) * np.array([2.0, -8.0, 0.0])
    others = f(block(rng, 4, 3), 0)
    return {
        "of equal values": f(x, 0),
        "of single values": f(block(rng, 1, 3), 0),
        "other values give numbers, and not all 0": bool(
            np.isfinite(others).all() and np.abs(others).max() > 1e-6
        ),
    }


@probe(1)
def square_tables(f, rng):
    """Rows are rows and columns are columns in a square table, too."""
    x = distant(rng, 5, 5)
    return {"normalize(x, 1)": f(x.copy(), 1), "normalize(x, 0)": f(x.copy(), 0)}


@probe(1)
def normalize_far_from_zero(f, rng):
    """In float32, with means near 10 000 and deviations near 1, each entry is right to 0.01, in float32."""
    x = (rng.normal(size=(64, 3)) + np.array([10_000.0, -20_000.0, 15_000.0])).astype(np.float32)
    got = f(x, 0, eps=1e-5)
    easy = 100 * (x.astype(np.float64) - np.round(x.astype(np.float64).mean(axis=0)))
    return {
        "the same values around zero": f(easy, 0),
        "the dtype of the result": str(np.asarray(got).dtype),
        "every entry is within 0.01 of the true one": near(got, exactly(x, 0), 0.01),
    }


@probe(1)
def normalize_leaves_x_alone(f, rng):
    """The array that you are given is left as it was, and the result is right."""
    x = distant(rng, 6, 4)
    result = f(x, 0)
    return {"x": Argument(x), "the result": result}


@probe(1, hidden=True)
def other_ways_to_name_axes(f, rng):
    """Axes may be counted from the end, and channels may come last."""
    x = distant(rng, 3, 2, 4, 5)
    return {
        f"normalize(x, {axes})": f(x.copy(), axes)
        for axes in (-1, (-2, -1), (1, 2), (0, 1, 2), (-3, -2))
    }


@mistake(
    earns=0,
    hint="`axes` are the axes to average *over*; those that are left have statistics of their own. "
    "Batch normalization of a table averages over the samples: axis 0.",
)
def normalize_over_the_other_axes(x, axes, eps=1e-5):
    """The axes are taken for those that keep their own statistics: all *other* axes are averaged."""
    axes = (axes,) if isinstance(axes, int) else axes
    others = tuple(a for a in range(x.ndim) if a not in axes and a - x.ndim not in axes)
    return (x - x.mean(axis=others, keepdims=True)) / np.sqrt(
        x.var(axis=others, keepdims=True) + eps
    )


@mistake(earns=4, hint=KEEPDIMS_HINT)
def normalize_without_keepdims(x, axes, eps=1e-5):
    """Mean and variance lose the reduced axes, and then meet the wrong ones."""
    return (x - x.mean(axis=axes)) / np.sqrt(x.var(axis=axes) + eps)


@mistake(earns=4, hint="Which axes are averaged over is the caller's choice: use `axes`.")
def normalize_always_over_the_batch(x, axes, eps=1e-5):
    """Axis 0 is reduced, whatever `axes` says."""
    return (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + eps)


@mistake(earns=0, hint="Which axes are averaged over is the caller's choice: use `axes`.")
def normalize_always_over_the_last_axis(x, axes, eps=1e-5):
    """The last axis is reduced, whatever `axes` says."""
    centered = x - x.mean(axis=-1, keepdims=True)
    return centered / np.sqrt(x.var(axis=-1, keepdims=True) + eps)


@mistake(
    earns=0,
    hint="Without an axis NumPy reduces the whole array to one number. Hand `axes` on: "
    "`x.mean(axis=axes, keepdims=True)`.",
)
def normalize_the_whole_array(x, axes, eps=1e-5):
    """One mean and one variance of all numbers are used."""
    return (x - x.mean()) / np.sqrt(x.var() + eps)


@mistake(
    earns=7,
    hint="Normalizing over one axis after the other is another function: the second division undoes "
    "what the first achieved. NumPy reduces several axes at once: `x.mean(axis=(2, 3))`.",
)
def normalize_one_axis_after_the_other(x, axes, eps=1e-5):
    """The array is normalized over one axis after the other, where one set of values is meant."""
    for axis in np.atleast_1d(axes):
        x = (x - x.mean(axis=axis, keepdims=True)) / np.sqrt(x.var(axis=axis, keepdims=True) + eps)
    return x


@mistake(
    earns=7,
    hint="A tuple names one set of values, spread over several axes. Hand the whole tuple to "
    "`mean`, not only its first axis.",
)
def normalize_over_the_first_axis_only(x, axes, eps=1e-5):
    """Of several axes, only the first is reduced."""
    axis = axes if isinstance(axes, int) else axes[0]
    return (x - x.mean(axis=axis, keepdims=True)) / np.sqrt(x.var(axis=axis, keepdims=True) + eps)


@mistake(
    earns=7,
    hint="The mean of the deviations along one axis is smaller than the deviation of all values: "
    "the rows also differ from one another. Reduce all axes in one step.",
)
def normalize_averages_the_deviations(x, axes, eps=1e-5):
    """The standard deviation is taken along the last of the axes, and averaged over the others."""
    last = axes if isinstance(axes, int) else axes[-1]
    std = np.sqrt(x.var(axis=last, keepdims=True) + eps).mean(axis=axes, keepdims=True)
    return (x - x.mean(axis=axes, keepdims=True)) / std


@mistake(
    earns=1, hint="The variance needs the same axes as the mean: `x.var(axis=axes, keepdims=True)`."
)
def normalize_with_the_spread_of_everything(x, axes, eps=1e-5):
    """The mean is that over the axes, but the variance is that of the whole array."""
    return (x - x.mean(axis=axes, keepdims=True)) / np.sqrt(x.var() + eps)


@mistake(
    earns=3,
    hint="A single axis is a whole number, and `tuple(0)` is an error. NumPy takes both: hand `axes` "
    "on as it is.",
)
def normalize_needs_a_tuple(x, axes, eps=1e-5):
    """A single axis, given as a number, is an error: only tuples are accepted."""
    axes = tuple(axes)
    return (x - x.mean(axis=axes, keepdims=True)) / np.sqrt(x.var(axis=axes, keepdims=True) + eps)


@mistake(earns=0, hint=BIASED_HINT)
def normalize_divides_by_m_minus_1(x, axes, eps=1e-5):
    """The variance divides by m - 1 where m, the number of values, is asked (ddof=1 for ddof=0)."""
    mean, var = x.mean(axis=axes, keepdims=True), x.var(axis=axes, keepdims=True, ddof=1)
    return (x - mean) / np.sqrt(var + eps)


@mistake(earns=1, hint=NO_ROOT_HINT)
def normalize_divides_by_the_variance(x, axes, eps=1e-5):
    """The deviations are divided by the variance, not by its root."""
    return (x - x.mean(axis=axes, keepdims=True)) / (x.var(axis=axes, keepdims=True) + eps)


@mistake(earns=10, hint=EPS_OUTSIDE_HINT)
def normalize_adds_eps_outside_the_root(x, axes, eps=1e-5):
    """ε is added to the standard deviation, outside the root."""
    return (x - x.mean(axis=axes, keepdims=True)) / (x.std(axis=axes, keepdims=True) + eps)


@mistake(earns=9, hint=EPS_IGNORED_HINT)
def normalize_ignores_eps(x, axes, eps=1e-5):
    """ε is left out."""
    return (x - x.mean(axis=axes, keepdims=True)) / x.std(axis=axes, keepdims=True)


@mistake(
    earns=9,
    hint="ε keeps the root away from zero, so it is added to the variance. Subtracted, it makes the root "
    "of a small variance NaN.",
)
def normalize_subtracts_eps(x, axes, eps=1e-5):
    """ε is subtracted from the variance, where it should be added."""
    var = x.var(axis=axes, keepdims=True)
    return (x - x.mean(axis=axes, keepdims=True)) / np.sqrt(var - eps)


@mistake(earns=10, hint=EPS_FIXED_HINT)
def normalize_uses_its_own_eps(x, axes, eps=1e-5):
    """ε is always 10⁻⁵, whatever the argument says."""
    mean, var = x.mean(axis=axes, keepdims=True), x.var(axis=axes, keepdims=True)
    return (x - mean) / np.sqrt(var + 1e-5)


@mistake(earns=10, hint=EPS_DEFAULT_HINT)
def normalize_has_the_default_eps_of_keras(x, axes, eps=1e-3):
    """The default ε is 10⁻³ where 10⁻⁵ is asked."""
    mean, var = x.mean(axis=axes, keepdims=True), x.var(axis=axes, keepdims=True)
    return (x - mean) / np.sqrt(var + eps)


@mistake(earns=0, hint=CENTER_HINT)
def normalize_forgets_to_center(x, axes, eps=1e-5):
    """The values are divided by the deviation, but the mean is not subtracted."""
    return x / np.sqrt(x.var(axis=axes, keepdims=True) + eps)


@mistake(earns=1, hint="Centering is the first half; then divide by √(σ² + ε).")
def normalize_only_centers(x, axes, eps=1e-5):
    """The mean is subtracted, but nothing is divided."""
    return x - x.mean(axis=axes, keepdims=True)


@mistake(earns=10, hint=ONE_PASS_HINT)
def normalize_in_one_pass(x, axes, eps=1e-5):
    """The variance is computed as E[x²] - E[x]², which loses its digits when the mean is large."""
    mean = x.mean(axis=axes, keepdims=True)
    var = np.maximum((x**2).mean(axis=axes, keepdims=True) - mean**2, 0)
    return (x - mean) / np.sqrt(var + eps)


@mistake(earns=10, hint=IN_PLACE_HINT)
def normalize_changes_its_input(x, axes, eps=1e-5):
    """The mean is subtracted in place, so that the caller's array is gone."""
    x -= x.mean(axis=axes, keepdims=True)
    return x / np.sqrt((x**2).mean(axis=axes, keepdims=True) + eps)


@mistake(earns=10, hint=PROMOTION_HINT)
def normalize_promotes_to_float64(x, axes, eps=1e-5):
    """The result is float64 even for float32 values."""
    x = x.astype(np.float64)
    return (x - x.mean(axis=axes, keepdims=True)) / np.sqrt(x.var(axis=axes, keepdims=True) + eps)


def normalize_by_numpy(x, axes, eps=1e-5):
    mean = np.mean(x, axis=axes, keepdims=True)
    return (x - mean) / np.sqrt(np.var(x, axis=axes, keepdims=True) + eps)


def normalize_with_expand_dims(x, axes, eps=1e-5):
    centered = x - np.expand_dims(x.mean(axis=axes), axes)
    return centered * (np.expand_dims(np.square(centered).mean(axis=axes), axes) + eps) ** -0.5


def normalize_a_table_of_sets(x, axes, eps=1e-5):
    if isinstance(axes, int):
        axes = (axes,)
    last = tuple(range(-len(axes), 0))
    moved = np.moveaxis(x, axes, last)
    sets = moved.reshape(-1, int(np.prod([x.shape[a] for a in axes])))
    done = np.empty_like(sets)
    for i, values in enumerate(sets):
        done[i] = (values - values.mean()) / np.sqrt(values.var() + eps)
    return np.moveaxis(done.reshape(moved.shape), last, axes)


# --- layernorm_forward -----------------------------------------------------------------------


def layernorm_forward(x, gamma, beta, eps=1e-5):
    centered = x - x.mean(axis=-1, keepdims=True)
    std = np.sqrt((centered**2).mean(axis=-1, keepdims=True) + eps)
    x_hat = centered / std
    return gamma * x_hat + beta, {"x_hat": x_hat, "std": std, "gamma": gamma}


@probe(2)
def each_sample_is_normalized(f, rng):
    """Every sample is normalized over its own D features, then scaled and shifted feature by feature."""
    x, (gamma, beta) = block(rng, 7, 5), affine(rng, 5)
    y, _ = f(x, gamma, beta)
    return {"y": y}


@probe(2)
def what_the_cache_holds(f, rng):
    """The cache holds `x_hat`, (N, D), `std` with ε, (N, 1), and `gamma`, (D,)."""
    x, (gamma, beta) = faint(rng, 6, 4), affine(rng, 4)
    _, cache = f(x, gamma, beta, eps=1e-2)
    if isinstance(cache, dict):  # what else it may hold is nobody's affair
        cache = {key: cache[key] for key in ("x_hat", "std", "gamma") if key in cache}
    return {"the cache": cache}


@probe(1, hidden=True)
def a_sample_alone(f, rng):
    """A sample gets the same output alone, in a batch of one, as in company."""
    x, (gamma, beta) = block(rng, 4, 6), affine(rng, 6)
    together, _ = f(x.copy(), gamma, beta)
    alone, _ = f(x[2:3], gamma, beta)
    return {"y of the third sample alone": alone, "y of the third of four": together[2:3]}


@probe(2)
def tokens_are_samples(f, rng):
    """In (N, T, D), every token of every sequence is normalized over its own D features."""
    x, (gamma, beta) = block(rng, 3, 4, 5), affine(rng, 5)
    y, _ = f(x, gamma, beta)
    return {"y": y}


@probe(1)
def as_many_samples_as_features(f, rng):
    """With N = D nothing gets mixed up, although every shape fits every other."""
    x, (gamma, beta) = block(rng, 5, 5), affine(rng, 5)
    y, _ = f(x, gamma, beta)
    return {"y": y}


@probe(1)
def layernorm_eps(f, rng):
    """ε stands under the root, is taken from the argument, and is 10⁻⁵ if none is given."""
    x, (gamma, beta) = faint(rng, 6, 4), affine(rng, 4)
    return {
        "y for eps=1e-2": f(x.copy(), gamma, beta, eps=1e-2)[0],
        "y": f(x.copy(), gamma, beta)[0],
    }


@probe(1)
def layernorm_float32_and_untouched(f, rng):
    """Arguments are left alone, and for float32 arguments y is float32, and right far from zero."""
    x, (gamma, beta) = block(rng, 5, 6), affine(rng, 6)
    y, _ = f(x, gamma, beta)
    far, scale, shift = single(rng.normal(size=(5, 64)) + 1e4, *affine(rng, 64))
    got, _ = f(far, scale, shift)
    true = scale.astype(float) * exactly(far, -1) + shift.astype(float)
    return {
        "x": Argument(x),
        "gamma": Argument(gamma),
        "beta": Argument(beta),
        "y": y,
        "the dtype of y for float32": str(np.asarray(got).dtype),
        "every entry of y is within 0.05 of the true one": near(got, true, 0.05),
    }


@mistake(
    earns=0,
    hint="Those are the statistics of batch normalization: of a feature, over the samples. Layer "
    "normalization takes them of a sample, over its features: the last axis.",
)
def layernorm_over_the_batch(x, gamma, beta, eps=1e-5):
    """Each feature is normalized over the batch: this is batch normalization."""
    std = np.sqrt(x.var(axis=0, keepdims=True) + eps)
    x_hat = (x - x.mean(axis=0, keepdims=True)) / std
    return gamma * x_hat + beta, {"x_hat": x_hat, "std": std, "gamma": gamma}


@mistake(
    earns=0,
    hint="Layer normalization has no running statistics, and does the same in training and in use: "
    "everything comes from the sample at hand.",
)
def layernorm_with_running_statistics(x, gamma, beta, eps=1e-5):
    """Samples are normalized by running averages (begun at 0 and 1), as if this were batch normalization in use."""
    mean = 0.1 * x.mean(axis=-1, keepdims=True)
    var = 0.9 + 0.1 * x.var(axis=-1, keepdims=True)
    std = np.sqrt(var + eps)
    x_hat = (x - mean) / std
    return gamma * x_hat + beta, {"x_hat": x_hat, "std": std, "gamma": gamma}


@mistake(
    earns=0,
    hint="One number per layer would let one sample move all others. Reduce over the last axis only.",
)
def layernorm_over_everything(x, gamma, beta, eps=1e-5):
    """One mean and one variance of all numbers are used for all samples."""
    std = np.sqrt(x.var(keepdims=True) + eps)
    x_hat = (x - x.mean()) / std
    return gamma * x_hat + beta, {"x_hat": x_hat, "std": std, "gamma": gamma}


@mistake(earns=8, hint=LAST_AXIS_HINT)
def layernorm_over_axis_1(x, gamma, beta, eps=1e-5):
    """Axis 1 is reduced, which is the features of a table, but the tokens of a sequence."""
    std = np.sqrt(x.var(axis=1, keepdims=True) + eps)
    x_hat = (x - x.mean(axis=1, keepdims=True)) / std
    return gamma * x_hat + beta, {"x_hat": x_hat, "std": std, "gamma": gamma}


@mistake(
    earns=8,
    hint="Layer normalization of a sequence takes each token by itself, so that no token learns "
    "from another through the statistics: reduce over the last axis only.",
)
def layernorm_over_whole_sequences(x, gamma, beta, eps=1e-5):
    """All tokens of a sequence share one mean and one variance."""
    axes = tuple(range(1, x.ndim))
    std = np.sqrt(x.var(axis=axes, keepdims=True) + eps)
    x_hat = (x - x.mean(axis=axes, keepdims=True)) / std
    return gamma * x_hat + beta, {"x_hat": x_hat, "std": std, "gamma": gamma}


@mistake(
    earns=0,
    hint="The statistics are per sample, but γ and β stay per feature: shape (D,). They line up with "
    "the last axis by themselves.",
)
def layernorm_with_gamma_per_sample(x, gamma, beta, eps=1e-5):
    """γ and β are lined up with the samples, where each feature has its own."""
    std = np.sqrt(x.var(axis=-1, keepdims=True) + eps)
    x_hat = (x - x.mean(axis=-1, keepdims=True)) / std
    y = gamma[:, None] * x_hat + beta[:, None]
    return y, {"x_hat": x_hat, "std": std, "gamma": gamma}


@mistake(earns=0, hint=KEEPDIMS_HINT)
def layernorm_without_keepdims(x, gamma, beta, eps=1e-5):
    """Mean and deviation of shape (N,) are lined up with the features."""
    std = np.sqrt(x.var(axis=-1) + eps)
    x_hat = (x - x.mean(axis=-1)) / std
    return gamma * x_hat + beta, {"x_hat": x_hat, "std": std, "gamma": gamma}


@mistake(
    earns=0,
    hint="Without the mean this is RMS normalization, another exercise. Subtract each sample's "
    "own mean, before you square and before you divide.",
)
def layernorm_without_the_mean(x, gamma, beta, eps=1e-5):
    """The mean is not subtracted: this is RMS normalization with a shift."""
    std = np.sqrt((x**2).mean(axis=-1, keepdims=True) + eps)
    x_hat = x / std
    return gamma * x_hat + beta, {"x_hat": x_hat, "std": std, "gamma": gamma}


@mistake(earns=0, hint=BIASED_HINT)
def layernorm_divides_by_d_minus_1(x, gamma, beta, eps=1e-5):
    """The variance divides by D - 1 where D is asked (ddof=1 for ddof=0)."""
    std = np.sqrt(x.var(axis=-1, keepdims=True, ddof=1) + eps)
    x_hat = (x - x.mean(axis=-1, keepdims=True)) / std
    return gamma * x_hat + beta, {"x_hat": x_hat, "std": std, "gamma": gamma}


@mistake(earns=0, hint=NO_ROOT_HINT)
def layernorm_divides_by_the_variance(x, gamma, beta, eps=1e-5):
    """The deviations are divided by the variance, not by its root."""
    var = x.var(axis=-1, keepdims=True) + eps
    x_hat = (x - x.mean(axis=-1, keepdims=True)) / var
    return gamma * x_hat + beta, {"x_hat": x_hat, "std": var, "gamma": gamma}


@mistake(earns=7, hint=EPS_OUTSIDE_HINT)
def layernorm_adds_eps_outside_the_root(x, gamma, beta, eps=1e-5):
    """ε is added to the standard deviation, outside the root."""
    std = x.std(axis=-1, keepdims=True) + eps
    x_hat = (x - x.mean(axis=-1, keepdims=True)) / std
    return gamma * x_hat + beta, {"x_hat": x_hat, "std": std, "gamma": gamma}


@mistake(earns=7, hint=EPS_IGNORED_HINT)
def layernorm_ignores_eps(x, gamma, beta, eps=1e-5):
    """ε is left out."""
    std = x.std(axis=-1, keepdims=True)
    x_hat = (x - x.mean(axis=-1, keepdims=True)) / std
    return gamma * x_hat + beta, {"x_hat": x_hat, "std": std, "gamma": gamma}


@mistake(earns=7, hint=EPS_FIXED_HINT)
def layernorm_uses_its_own_eps(x, gamma, beta, eps=1e-5):
    """ε is always 10⁻⁵, whatever the argument says."""
    std = np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)
    x_hat = (x - x.mean(axis=-1, keepdims=True)) / std
    return gamma * x_hat + beta, {"x_hat": x_hat, "std": std, "gamma": gamma}


@mistake(earns=9, hint=EPS_DEFAULT_HINT)
def layernorm_has_the_default_eps_of_keras(x, gamma, beta, eps=1e-3):
    """The default ε is 10⁻³ where 10⁻⁵ is asked."""
    std = np.sqrt(x.var(axis=-1, keepdims=True) + eps)
    x_hat = (x - x.mean(axis=-1, keepdims=True)) / std
    return gamma * x_hat + beta, {"x_hat": x_hat, "std": std, "gamma": gamma}


@mistake(earns=2, hint=AFFINE_HINT)
def layernorm_shifts_before_scaling(x, gamma, beta, eps=1e-5):
    """β is added before γ multiplies: γ·(x̂ + β)."""
    std = np.sqrt(x.var(axis=-1, keepdims=True) + eps)
    x_hat = (x - x.mean(axis=-1, keepdims=True)) / std
    return gamma * (x_hat + beta), {"x_hat": x_hat, "std": std, "gamma": gamma}


@mistake(earns=2, hint="Normalizing is the first half. The second is y = γ·x̂ + β.")
def layernorm_without_gamma_and_beta(x, gamma, beta, eps=1e-5):
    """x̂ is returned without scale and shift."""
    std = np.sqrt(x.var(axis=-1, keepdims=True) + eps)
    x_hat = (x - x.mean(axis=-1, keepdims=True)) / std
    return x_hat, {"x_hat": x_hat, "std": std, "gamma": gamma}


@mistake(earns=2, hint="The shift is missing: y = γ·x̂ + β.")
def layernorm_without_beta(x, gamma, beta, eps=1e-5):
    """β is left out."""
    std = np.sqrt(x.var(axis=-1, keepdims=True) + eps)
    x_hat = (x - x.mean(axis=-1, keepdims=True)) / std
    return gamma * x_hat, {"x_hat": x_hat, "std": std, "gamma": gamma}


@mistake(earns=0, hint="The result comes first, the cache second: `return y, cache`.")
def layernorm_after_its_cache(x, gamma, beta, eps=1e-5):
    """The pair is the wrong way round: the cache comes first."""
    std = np.sqrt(x.var(axis=-1, keepdims=True) + eps)
    x_hat = (x - x.mean(axis=-1, keepdims=True)) / std
    return {"x_hat": x_hat, "std": std, "gamma": gamma}, gamma * x_hat + beta


@mistake(earns=2, hint="γ multiplies, β is added: y = γ·x̂ + β.")
def layernorm_exchanges_gamma_and_beta(x, gamma, beta, eps=1e-5):
    """γ and β are exchanged."""
    std = np.sqrt(x.var(axis=-1, keepdims=True) + eps)
    x_hat = (x - x.mean(axis=-1, keepdims=True)) / std
    return beta * x_hat + gamma, {"x_hat": x_hat, "std": std, "gamma": gamma}


@mistake(
    earns=8,
    hint="The backward pass needs x̂ *before* γ and β. Put the normalized values into the cache, "
    "not y.",
)
def layernorm_caches_y(x, gamma, beta, eps=1e-5):
    """The cache holds y under the name of x̂."""
    std = np.sqrt(x.var(axis=-1, keepdims=True) + eps)
    y = gamma * (x - x.mean(axis=-1, keepdims=True)) / std + beta
    return y, {"x_hat": y, "std": std, "gamma": gamma}


@mistake(
    earns=8,
    hint="`std` is what the forward pass divided by: the root of variance *plus* ε. The backward "
    "pass divides by the very same number.",
)
def layernorm_caches_std_without_eps(x, gamma, beta, eps=1e-5):
    """The `std` in the cache is without ε."""
    mean, var = x.mean(axis=-1, keepdims=True), x.var(axis=-1, keepdims=True)
    x_hat = (x - mean) / np.sqrt(var + eps)
    return gamma * x_hat + beta, {"x_hat": x_hat, "std": np.sqrt(var), "gamma": gamma}


@mistake(
    earns=8,
    hint="Keep the root that you divided by, √(σ² + ε), under the name `std`.",
)
def layernorm_caches_the_variance(x, gamma, beta, eps=1e-5):
    """The `std` in the cache is the variance plus ε, without the root."""
    mean, var = x.mean(axis=-1, keepdims=True), x.var(axis=-1, keepdims=True) + eps
    x_hat = (x - mean) / np.sqrt(var)
    return gamma * x_hat + beta, {"x_hat": x_hat, "std": var, "gamma": gamma}


@mistake(
    earns=8,
    hint="The backward pass divides (N, D) by `std`, row by row, so it needs the shape (N, 1): "
    "`keepdims=True`.",
)
def layernorm_caches_a_flat_std(x, gamma, beta, eps=1e-5):
    """The `std` in the cache has the shape (N,) where (N, 1) is asked."""
    std = np.sqrt(x.var(axis=-1, keepdims=True) + eps)
    x_hat = (x - x.mean(axis=-1, keepdims=True)) / std
    return gamma * x_hat + beta, {"x_hat": x_hat, "std": std[..., 0], "gamma": gamma}


@mistake(
    earns=8,
    hint="Some libraries keep 1/√(σ² + ε). Here `std` is the root itself, by which you divided.",
)
def layernorm_caches_the_inverse(x, gamma, beta, eps=1e-5):
    """The `std` in the cache is one over the root."""
    inverse = 1 / np.sqrt(x.var(axis=-1, keepdims=True) + eps)
    x_hat = (x - x.mean(axis=-1, keepdims=True)) * inverse
    return gamma * x_hat + beta, {"x_hat": x_hat, "std": inverse, "gamma": gamma}


@mistake(
    earns=8,
    hint="The backward pass needs x̂ *before* γ and β: γ is in the cache by itself.",
)
def layernorm_caches_x_hat_with_gamma(x, gamma, beta, eps=1e-5):
    """The `x_hat` in the cache is already multiplied by γ."""
    std = np.sqrt(x.var(axis=-1, keepdims=True) + eps)
    scaled = gamma * (x - x.mean(axis=-1, keepdims=True)) / std
    return scaled + beta, {"x_hat": scaled, "std": std, "gamma": gamma}


@mistake(earns=9, hint=IN_PLACE_HINT)
def layernorm_changes_its_input(x, gamma, beta, eps=1e-5):
    """The mean is subtracted in place, so that the caller's array is gone."""
    x -= x.mean(axis=-1, keepdims=True)
    std = np.sqrt((x**2).mean(axis=-1, keepdims=True) + eps)
    x_hat = x / std
    return gamma * x_hat + beta, {"x_hat": x_hat, "std": std, "gamma": gamma}


@mistake(earns=9, hint=PROMOTION_HINT)
def layernorm_promotes_to_float64(x, gamma, beta, eps=1e-5):
    """y is float64 even when all arguments are float32."""
    x = x.astype(np.float64)
    std = np.sqrt(x.var(axis=-1, keepdims=True) + eps)
    x_hat = (x - x.mean(axis=-1, keepdims=True)) / std
    return gamma * x_hat + beta, {"x_hat": x_hat, "std": std, "gamma": gamma}


@mistake(earns=9, hint=ONE_PASS_HINT)
def layernorm_in_one_pass(x, gamma, beta, eps=1e-5):
    """The variance is computed as E[x²] - E[x]², which loses its digits when the mean is large."""
    mean = x.mean(axis=-1, keepdims=True)
    var = np.maximum((x**2).mean(axis=-1, keepdims=True) - mean**2, 0)
    std = np.sqrt(var + eps)
    x_hat = (x - mean) / std
    return gamma * x_hat + beta, {"x_hat": x_hat, "std": std, "gamma": gamma}


@mistake(earns=0, hint="Return the pair: `return y, cache`.")
def layernorm_returns_y_only(x, gamma, beta, eps=1e-5):
    """Only y is returned, without the cache."""
    std = np.sqrt(x.var(axis=-1, keepdims=True) + eps)
    return gamma * (x - x.mean(axis=-1, keepdims=True)) / std + beta


def layernorm_by_numpy(x, gamma, beta, eps=1e-5):
    mean = np.mean(x, axis=-1, keepdims=True)
    std = np.sqrt(np.var(x, axis=-1, keepdims=True) + eps)
    cache = {"gamma": gamma, "std": std, "x_hat": (x - mean) / std}
    return cache["x_hat"] * gamma + beta, cache


def layernorm_by_rows(x, gamma, beta, eps=1e-5):
    rows = x.reshape(-1, x.shape[-1])
    x_hat = np.empty_like(rows)
    std = np.empty((len(rows), 1), dtype=x.dtype)
    for i, row in enumerate(rows):
        std[i] = np.sqrt(row.var() + eps)
        x_hat[i] = (row - row.mean()) / std[i]
    x_hat = x_hat.reshape(x.shape)
    cache = {"x_hat": x_hat, "std": std.reshape(*x.shape[:-1], 1), "gamma": gamma}
    return x_hat * gamma + beta, cache


def layernorm_by_transposition(x, gamma, beta, eps=1e-5):
    turned = np.moveaxis(x, -1, 0)
    std = np.sqrt(turned.var(axis=0) + eps)
    x_hat = np.moveaxis((turned - turned.mean(axis=0)) / std, 0, -1)
    return gamma * x_hat + beta, {"x_hat": x_hat, "std": std[..., None], "gamma": gamma}


# --- layernorm_backward ----------------------------------------------------------------------


def layernorm_backward(dy, cache):
    x_hat = cache["x_hat"]
    others = tuple(range(dy.ndim - 1))
    dgamma = (dy * x_hat).sum(axis=others)
    dbeta = dy.sum(axis=others)
    g = dy * cache["gamma"]
    mean = g.mean(axis=-1, keepdims=True)
    slope = (g * x_hat).mean(axis=-1, keepdims=True)
    return (g - mean - x_hat * slope) / cache["std"], dgamma, dbeta


LAYER_GAMMA = np.array([1.5, -0.7, 0.4, 2.5, -1.2, 0.8, 2.0, -0.3])
DEVIATIONS = np.array([0.5, 2.0, 6.0, 0.2, 3.0, 0.7, 1.4])


def incoming(rng, *shape):
    """Input and incoming gradient of a layer with 8 features, so that all three paths count."""
    x = rng.normal(size=(*shape, 8))
    spread = np.resize(DEVIATIONS, shape)[..., None]
    dy = rng.normal(size=x.shape) + 0.8 * x + 0.5 * np.sign(LAYER_GAMMA) + 0.3
    return x * spread + 3 * spread, dy


def layer_cache(x, eps=1e-5, gamma=LAYER_GAMMA):
    """The cache of the forward pass."""
    std = np.sqrt(x.var(axis=-1, keepdims=True) + eps)
    x_hat = (x - x.mean(axis=-1, keepdims=True)) / std
    return {"x_hat": x_hat, "std": std, "gamma": gamma.copy()}


# The fit speaks of batch normalization. Transposed, samples and features change places.
IN_OTHER_WORDS = (
    ("feature by feature", "sample by sample"),
    ("in each feature", "in each sample"),
    ("the same for all samples", "the same for all features"),
    ("dy", "γ·dy"),
    ("N", "D"),
)


def explained(dx, dy, cache):
    """An observed dx, shape (N, D), with what a fit to γ·dy, 1 and x_hat says about it."""
    g, ones = dy * cache["gamma"], np.ones(len(dy))
    explain = paths.explain(g.T, cache["x_hat"].T, ones, cache["std"][:, 0])

    def by_sample(expected, got):
        if not isinstance(got, np.ndarray):
            return ""
        sentence = explain(expected.T, got.T)
        for theirs, ours in IN_OTHER_WORDS:
            sentence = sentence.replace(theirs, ours)
        return sentence

    return Explained(dx, by_sample)


@probe(2)
def layer_parameters(f, rng):
    """dgamma and dbeta, of shape (D,), are sums over the samples, as in batch normalization."""
    x, dy = incoming(rng, 6)
    _, dgamma, dbeta = f(dy, layer_cache(x))
    return {"dgamma": dgamma, "dbeta": dbeta}


@probe(3)
def layer_input(f, rng):
    """dx holds all three paths: the direct one, the mean's and the variance's, sample by sample."""
    x, dy = incoming(rng, 6)
    cache = layer_cache(x)
    dx, _, _ = f(dy, dict(cache))
    return {"dx": explained(dx, dy, cache)}


@probe(1)
def layer_rows_sum_to_zero(f, rng):
    """Adding a constant to all features of a sample changes nothing: each row of dx sums to 0."""
    x, dy = incoming(rng, 5)
    twice, _, _ = f(2 * dy, layer_cache(x))
    dx, _, _ = f(dy, layer_cache(x))
    return {
        "the row sums of dx": dx.sum(axis=1),
        "dx is not 0, and doubles when dy does": doubles(dx, twice),
    }


@probe(1)
def layer_rows_are_orthogonal_to_x_hat(f, rng):
    """Without ε, stretching a sample changes nothing either: its dx is orthogonal to its x_hat."""
    x, dy = incoming(rng, 5)
    cache = layer_cache(x, eps=0.0)
    twice, _, _ = f(2 * dy, layer_cache(x, eps=0.0))
    dx, _, _ = f(dy, dict(cache))
    return {
        "the row sums of dx * x_hat": (dx * cache["x_hat"]).sum(axis=1),
        "dx is not 0, and doubles when dy does": doubles(dx, twice),
    }


@probe(1)
def layer_samples_are_independent(f, rng):
    """A sample's dx is the same in a batch of one as in company."""
    x, dy = incoming(rng, 4)
    together, _, _ = f(dy.copy(), layer_cache(x))
    alone, _, _ = f(dy[1:2], layer_cache(x[1:2]))
    return {"dx of the second sample alone": alone, "dx of the second of four": together[1:2]}


@probe(2)
def layer_of_sequences(f, rng):
    """For dy of shape (N, T, D), all N·T tokens add to dgamma and dbeta, and dx goes token by token."""
    x, dy = incoming(rng, 3, 4)
    dx, dgamma, dbeta = f(dy, layer_cache(x))
    return {"dx": dx, "dgamma": dgamma, "dbeta": dbeta}


@probe(1)
def layer_inputs_are_left_alone(f, rng):
    """dy and the arrays in the cache are left as they were, a second call gives the same, and float32 gives float32."""
    x, dy = incoming(rng, 5)
    cache = layer_cache(x)
    low = f(*single(dy), dict(zip(cache, single(*cache.values()))))
    twice, _, _ = f(2 * dy, layer_cache(x))
    first = np.array(f(dy, dict(cache))[0])
    second, _, _ = f(dy, dict(cache))
    arrays = {f'cache["{key}"]': Argument(cache[key]) for key in ("x_hat", "std", "gamma")}
    return {
        "dy": Argument(dy),
        **arrays,
        "how far the second dx is from the first": np.abs(second - first).max(),
        "dx is not 0, and doubles when dy does": doubles(first, twice),
        "the dtypes of dx, dgamma and dbeta for float32": [str(np.asarray(a).dtype) for a in low],
    }


@probe(1, hidden=True)
def layer_with_a_large_eps(f, rng):
    """ε counts through `std`, also when it is as large as the variance, and for N = D."""
    x, dy = incoming(rng, 8)
    cache = layer_cache(x, eps=0.5)
    dx, dgamma, dbeta = f(dy, dict(cache))
    return {"dx": explained(dx, dy, cache), "dgamma": dgamma, "dbeta": dbeta}


@mistake(
    earns=3,
    hint="Going forward each sample was normalized over its features, so the two means of the "
    "backward pass are over the features, too: the last axis, with `keepdims=True`.",
)
def layer_copied_from_batch_normalization(dy, cache):
    """dx is that of batch normalization: its means are over the samples."""
    x_hat = cache["x_hat"]
    others = tuple(range(dy.ndim - 1))
    dx = dy - dy.mean(axis=others) - x_hat * (dy * x_hat).mean(axis=others)
    dx = cache["gamma"] / cache["std"] * dx
    return dx, (dy * x_hat).sum(axis=others), dy.sum(axis=others)


@mistake(
    earns=3,
    hint="Here the means run over the features, and γ differs from feature to feature, so it cannot "
    "be taken out of them. Multiply first, g = dy·γ, and use g in all three terms; then no γ is left "
    "in front.",
)
def layer_with_gamma_outside_the_means(dy, cache):
    """The axes are exchanged, but γ still stands in front, where it must be inside the means."""
    x_hat = cache["x_hat"]
    others = tuple(range(dy.ndim - 1))
    dx = dy - dy.mean(axis=-1, keepdims=True)
    dx = dx - x_hat * (dy * x_hat).mean(axis=-1, keepdims=True)
    dx = cache["gamma"] / cache["std"] * dx
    return dx, (dy * x_hat).sum(axis=others), dy.sum(axis=others)


@mistake(
    earns=7,
    hint="γ and β are shared by all samples, as in batch normalization: dgamma and dbeta sum over "
    "the samples. Only the means inside dx change their axis.",
)
def layer_transposes_the_parameters_too(dy, cache):
    """dgamma and dbeta are summed over the features and come out with one entry per sample."""
    x_hat, g = cache["x_hat"], dy * cache["gamma"]
    dx = g - g.mean(axis=-1, keepdims=True) - x_hat * (g * x_hat).mean(axis=-1, keepdims=True)
    return dx / cache["std"], (dy * x_hat).sum(axis=-1), dy.sum(axis=-1)


@mistake(
    earns=4,
    hint="The sums run over D features, so they are divided by D. N is the number of samples, which "
    "do not know of one another here.",
)
def layer_divides_by_the_batch_size(dy, cache):
    """The sums over the features are divided by the number of samples."""
    x_hat, g = cache["x_hat"], dy * cache["gamma"]
    N = dy.size // dy.shape[-1]
    others = tuple(range(dy.ndim - 1))
    mean = g.sum(axis=-1, keepdims=True) / N
    slope = (g * x_hat).sum(axis=-1, keepdims=True) / N
    return (g - mean - x_hat * slope) / cache["std"], (dy * x_hat).sum(others), dy.sum(others)


@mistake(
    earns=3,
    hint="A sample's mean and variance are computed from its own features, so they move when a "
    "feature moves. Two more paths lead back to x, one through each of them.",
)
def layer_treats_statistics_as_constants(dy, cache):
    """Mean and variance are treated as constants: dx = γ·dy/σ."""
    others = tuple(range(dy.ndim - 1))
    dgamma = (dy * cache["x_hat"]).sum(axis=others)
    return dy * cache["gamma"] / cache["std"], dgamma, dy.sum(axis=others)


@mistake(
    earns=4,
    hint="Moving one feature moves the sample's mean, and with it all its outputs. Each row of dx "
    "must sum to 0. (Without this path it is the backward pass of RMS normalization.)",
)
def layer_misses_the_mean_path(dy, cache):
    """The path through the mean is missing."""
    x_hat, g = cache["x_hat"], dy * cache["gamma"]
    others = tuple(range(dy.ndim - 1))
    dx = g - x_hat * (g * x_hat).mean(axis=-1, keepdims=True)
    return dx / cache["std"], (dy * x_hat).sum(axis=others), dy.sum(axis=others)


@mistake(
    earns=4,
    hint="Moving one feature changes the sample's variance, and with it all its outputs: a multiple "
    "of x_hat is missing in each row.",
)
def layer_misses_the_variance_path(dy, cache):
    """The path through the variance is missing."""
    x_hat, g = cache["x_hat"], dy * cache["gamma"]
    others = tuple(range(dy.ndim - 1))
    dx = g - g.mean(axis=-1, keepdims=True)
    return dx / cache["std"], (dy * x_hat).sum(axis=others), dy.sum(axis=others)


@mistake(
    earns=3,
    hint="x_hat[i, j] depends on x[i, j] directly, too, not only through mean and variance: the "
    "term γ·dy is missing.",
)
def layer_misses_the_direct_path(dy, cache):
    """The direct path is missing: dx holds the terms of mean and variance only."""
    x_hat, g = cache["x_hat"], dy * cache["gamma"]
    others = tuple(range(dy.ndim - 1))
    dx = -g.mean(axis=-1, keepdims=True) - x_hat * (g * x_hat).mean(axis=-1, keepdims=True)
    return dx / cache["std"], (dy * x_hat).sum(axis=others), dy.sum(axis=others)


@mistake(
    earns=5,
    hint="y = γ·x̂ + β: on its way from y to x̂ the gradient is multiplied by γ. Do that first.",
)
def layer_forgets_gamma(dy, cache):
    """dx lacks γ."""
    x_hat = cache["x_hat"]
    others = tuple(range(dy.ndim - 1))
    dx = dy - dy.mean(axis=-1, keepdims=True) - x_hat * (dy * x_hat).mean(axis=-1, keepdims=True)
    return dx / cache["std"], (dy * x_hat).sum(axis=others), dy.sum(axis=others)


@mistake(
    earns=5,
    hint="x_hat is (x - mean) divided by the deviation, and so is every term of dx: divide by `std`.",
)
def layer_forgets_the_deviation(dy, cache):
    """dx is not divided by the standard deviation."""
    x_hat, g = cache["x_hat"], dy * cache["gamma"]
    others = tuple(range(dy.ndim - 1))
    dx = g - g.mean(axis=-1, keepdims=True) - x_hat * (g * x_hat).mean(axis=-1, keepdims=True)
    return dx, (dy * x_hat).sum(axis=others), dy.sum(axis=others)


@mistake(
    earns=5,
    hint="`std` in the cache is a deviation already: no further square, and no further root.",
)
def layer_divides_by_the_variance(dy, cache):
    """dx is divided by the variance where it should be divided by the deviation."""
    x_hat, g = cache["x_hat"], dy * cache["gamma"]
    others = tuple(range(dy.ndim - 1))
    dx = g - g.mean(axis=-1, keepdims=True) - x_hat * (g * x_hat).mean(axis=-1, keepdims=True)
    return dx / cache["std"] ** 2, (dy * x_hat).sum(axis=others), dy.sum(axis=others)


@mistake(
    earns=3,
    hint="Each feature is one D-th of the mean and of the variance: take means over the features, "
    "not sums.",
)
def layer_sums_where_means_belong(dy, cache):
    """Sums over the features stand where their means belong."""
    x_hat, g = cache["x_hat"], dy * cache["gamma"]
    others = tuple(range(dy.ndim - 1))
    dx = g - g.sum(axis=-1, keepdims=True) - x_hat * (g * x_hat).sum(axis=-1, keepdims=True)
    return dx / cache["std"], (dy * x_hat).sum(axis=others), dy.sum(axis=others)


@mistake(
    earns=3,
    hint="Through the variance, a feature gets the more the further it is from the sample's mean: "
    "multiply the mean of γ·dy·x_hat by x_hat.",
)
def layer_forgets_x_hat_in_the_variance_term(dy, cache):
    """The variance's term is the mean of γ·dy·x_hat alone, the same for all features: its factor
    x_hat is missing.
    """
    x_hat, g = cache["x_hat"], dy * cache["gamma"]
    others = tuple(range(dy.ndim - 1))
    dx = g - g.mean(axis=-1, keepdims=True) - (g * x_hat).mean(axis=-1, keepdims=True)
    return dx / cache["std"], (dy * x_hat).sum(axis=others), dy.sum(axis=others)


@mistake(
    earns=4,
    hint="The variance pulls back what goes along x_hat: its term is subtracted, like the mean's.",
)
def layer_adds_the_variance_term(dy, cache):
    """The variance's term is added where it should be subtracted."""
    x_hat, g = cache["x_hat"], dy * cache["gamma"]
    others = tuple(range(dy.ndim - 1))
    dx = g - g.mean(axis=-1, keepdims=True) + x_hat * (g * x_hat).mean(axis=-1, keepdims=True)
    return dx / cache["std"], (dy * x_hat).sum(axis=others), dy.sum(axis=others)


@mistake(
    earns=3,
    hint="One mean for each sample: without an axis NumPy averages over the whole batch, and "
    "samples that do not know of one another get mixed.",
)
def layer_averages_over_everything(dy, cache):
    """The two means are over the whole batch, where each sample has its own."""
    x_hat, g = cache["x_hat"], dy * cache["gamma"]
    others = tuple(range(dy.ndim - 1))
    dx = g - g.mean() - x_hat * (g * x_hat).mean()
    return dx / cache["std"], (dy * x_hat).sum(axis=others), dy.sum(axis=others)


@mistake(
    earns=4,
    hint="The forward pass divides the squares by D, so D stands in the backward pass, too.",
)
def layer_divides_by_d_minus_1(dy, cache):
    """The term of the variance is divided by D - 1 where D is asked."""
    x_hat, g = cache["x_hat"], dy * cache["gamma"]
    others = tuple(range(dy.ndim - 1))
    slope = (g * x_hat).sum(axis=-1, keepdims=True) / (dy.shape[-1] - 1)
    dx = g - g.mean(axis=-1, keepdims=True) - x_hat * slope
    return dx / cache["std"], (dy * x_hat).sum(axis=others), dy.sum(axis=others)


@mistake(
    earns=7,
    hint="The derivative of y = γ·x̂ + β with respect to γ is x̂, and that with respect to β is 1: "
    "dgamma and dbeta take dy, before γ multiplies it.",
)
def layer_dgamma_from_g(dy, cache):
    """dgamma and dbeta are sums of γ·dy where they should be of dy."""
    x_hat, g = cache["x_hat"], dy * cache["gamma"]
    others = tuple(range(dy.ndim - 1))
    dx = g - g.mean(axis=-1, keepdims=True) - x_hat * (g * x_hat).mean(axis=-1, keepdims=True)
    return dx / cache["std"], (g * x_hat).sum(axis=others), g.sum(axis=others)


@mistake(
    earns=7,
    hint="One γ acts on all samples, and what they contribute is *added*. A mean over the batch "
    "belongs in the loss, if anywhere.",
)
def layer_averages_the_parameters(dy, cache):
    """dgamma and dbeta are means over the samples where sums are asked."""
    x_hat, g = cache["x_hat"], dy * cache["gamma"]
    others = tuple(range(dy.ndim - 1))
    dx = g - g.mean(axis=-1, keepdims=True) - x_hat * (g * x_hat).mean(axis=-1, keepdims=True)
    return dx / cache["std"], (dy * x_hat).mean(axis=others), dy.mean(axis=others)


@mistake(
    earns=10,
    hint="dgamma has the shape of γ, (D,): in (N, T, D), sum over samples *and* tokens, all axes but "
    "the last.",
)
def layer_keeps_the_tokens(dy, cache):
    """dgamma and dbeta are summed over axis 0 only, so that each token keeps a gradient of its own."""
    x_hat, g = cache["x_hat"], dy * cache["gamma"]
    dx = g - g.mean(axis=-1, keepdims=True) - x_hat * (g * x_hat).mean(axis=-1, keepdims=True)
    return dx / cache["std"], (dy * x_hat).sum(axis=0), dy.sum(axis=0)


@mistake(earns=10, hint=LAST_AXIS_HINT)
def layer_means_over_axis_1(dy, cache):
    """The means in dx are over axis 1, which is the features of a table, but the tokens of a sequence."""
    x_hat, g = cache["x_hat"], dy * cache["gamma"]
    others = tuple(range(dy.ndim - 1))
    dx = g - g.mean(axis=1, keepdims=True) - x_hat * (g * x_hat).mean(axis=1, keepdims=True)
    return dx / cache["std"], (dy * x_hat).sum(axis=others), dy.sum(axis=others)


@mistake(
    earns=7,
    hint="A gradient has the shape of its variable. γ and β have the shape (D,), so leave out "
    "`keepdims=True` in their sums.",
)
def layer_keeps_the_batch_axis(dy, cache):
    """dgamma and dbeta have an axis of length 1 left over."""
    x_hat, g = cache["x_hat"], dy * cache["gamma"]
    others = tuple(range(dy.ndim - 1))
    dx = g - g.mean(axis=-1, keepdims=True) - x_hat * (g * x_hat).mean(axis=-1, keepdims=True)
    dgamma = (dy * x_hat).sum(axis=others, keepdims=True)
    return dx / cache["std"], dgamma, dy.sum(axis=others, keepdims=True)


@mistake(earns=7, hint="The order is dx, dgamma, dbeta.")
def layer_exchanges_dgamma_and_dbeta(dy, cache):
    """dgamma and dbeta are returned in the wrong order."""
    x_hat, g = cache["x_hat"], dy * cache["gamma"]
    others = tuple(range(dy.ndim - 1))
    dx = g - g.mean(axis=-1, keepdims=True) - x_hat * (g * x_hat).mean(axis=-1, keepdims=True)
    return dx / cache["std"], dy.sum(axis=others), (dy * x_hat).sum(axis=others)


@mistake(
    earns=11,
    hint="`dy *= gamma` writes into the caller's array, and the caller will use it again. "
    "`dy * gamma` makes a new one.",
)
def layer_changes_dy(dy, cache):
    """dy is multiplied by γ in place."""
    x_hat = cache["x_hat"]
    others = tuple(range(dy.ndim - 1))
    dgamma, dbeta = (dy * x_hat).sum(axis=others), dy.sum(axis=others)
    dy *= cache["gamma"]
    dx = dy - dy.mean(axis=-1, keepdims=True) - x_hat * (dy * x_hat).mean(axis=-1, keepdims=True)
    return dx / cache["std"], dgamma, dbeta


@mistake(
    earns=11,
    hint="`np.zeros(D)` is float64, whatever you add to it. Let it have the dtype of dy, "
    "`np.zeros(D, dtype=dy.dtype)`, or use `sum`.",
)
def layer_adds_up_in_float64(dy, cache):
    """dgamma and dbeta are float64 even for float32 arrays."""
    x_hat, g = cache["x_hat"], dy * cache["gamma"]
    D = dy.shape[-1]
    dgamma, dbeta = np.zeros(D), np.zeros(D)
    for row, h in zip(dy.reshape(-1, D), x_hat.reshape(-1, D)):
        dgamma += row * h
        dbeta += row
    dx = g - g.mean(axis=-1, keepdims=True) - x_hat * (g * x_hat).mean(axis=-1, keepdims=True)
    return dx / cache["std"], dgamma, dbeta


def layer_backward_by_transposition(dy, cache):
    def batchnorm_backward(dy, x_hat, std):
        return (dy - dy.mean(axis=0) - x_hat * (dy * x_hat).mean(axis=0)) / std

    D = dy.shape[-1]
    rows, x_hat = dy.reshape(-1, D), cache["x_hat"].reshape(-1, D)
    dx = batchnorm_backward((rows * cache["gamma"]).T, x_hat.T, cache["std"].reshape(-1)).T
    return dx.reshape(dy.shape), (rows * x_hat).sum(axis=0), rows.sum(axis=0)


def layer_backward_by_einsum(dy, cache):
    x_hat, gamma, std = cache["x_hat"], cache["gamma"], cache["std"]
    D = dy.shape[-1]
    sums = np.einsum("...d,d->...", dy, gamma)[..., None]
    slopes = np.einsum("...d,d,...d->...", dy, gamma, x_hat)[..., None]
    dx = (D * gamma * dy - sums - x_hat * slopes) / (D * std)
    rows = dy.reshape(-1, D)
    return [dx, np.einsum("nd,nd->d", rows, x_hat.reshape(-1, D)), np.einsum("nd->d", rows)]


def layer_backward_by_jacobians(dy, cache):
    D = dy.shape[-1]
    g = (dy * cache["gamma"]).reshape(-1, D)
    x_hat, std = cache["x_hat"].reshape(-1, D), cache["std"].reshape(-1)
    dx = np.empty_like(g)
    for i in range(len(g)):
        dx[i] = (np.eye(D) - 1 / D - np.outer(x_hat[i], x_hat[i]) / D) @ g[i] / std[i]
    rows = dy.reshape(-1, D)
    return dx.reshape(dy.shape), (rows * x_hat).sum(axis=0), rows.sum(axis=0)


# --- groupnorm_forward -----------------------------------------------------------------------


def groupnorm_forward(x, gamma, beta, groups, eps=1e-5):
    N, C = x.shape[:2]
    if C % groups:
        raise ValueError("the channels cannot be divided into groups of one size")
    sets = x.reshape(N * groups, x.size // (N * groups))
    centered = sets - sets.mean(axis=1, keepdims=True)
    var = (centered**2).mean(axis=1, keepdims=True)
    x_hat = (centered / np.sqrt(var + eps)).reshape(x.shape)
    return gamma[:, None, None] * x_hat + beta[:, None, None]


@probe(3)
def groups_of_channels(f, rng):
    """With 6 channels in 2 groups, the first three channels of an image are normalized together, and the last three."""
    x, (gamma, beta) = block(rng, 4, 6, 3, 5), affine(rng, 6)
    return {"y": f(x, gamma, beta, 2)}


@probe(1)
def one_group_is_layer_normalization(f, rng):
    """With one group, each image is normalized as a whole, and then scaled and shifted channel by channel."""
    x, (gamma, beta) = block(rng, 3, 4, 2, 5), affine(rng, 4)
    return {"y for groups=1": f(x, gamma, beta, 1)}


@probe(1)
def a_group_per_channel_is_instance_normalization(f, rng):
    """With as many groups as channels, each channel of each image is normalized by itself."""
    x, (gamma, beta) = block(rng, 3, 4, 2, 5), affine(rng, 4)
    return {"y for groups=4": f(x, gamma, beta, 4)}


@probe(1, hidden=True)
def an_image_alone(f, rng):
    """An image gets the same output in a batch of one as in company."""
    x, (gamma, beta) = block(rng, 4, 6, 2, 3), affine(rng, 6)
    together = f(x.copy(), gamma, beta, 3)
    alone = f(x[3:], gamma, beta, 3)
    return {"y of the last image alone": alone, "y of the last of four": together[3:]}


@probe(1)
def as_wide_as_channels(f, rng):
    """Images as high and as wide as they have channels are no special case."""
    x, (gamma, beta) = block(rng, 6, 6, 6, 6), affine(rng, 6)
    return {"y": f(x, gamma, beta, 2)}


@probe(1)
def groups_eps(f, rng):
    """ε stands under the root, is taken from the argument, and is 10⁻⁵ if none is given."""
    x, (gamma, beta) = faint(rng, 2, 6, 3, 2), affine(rng, 6)
    return {
        "y for eps=1e-2": f(x.copy(), gamma, beta, 2, eps=1e-2),
        "y": f(x.copy(), gamma, beta, 2),
    }


@probe(1)
def unequal_groups_are_refused(f, rng):
    """Channels that cannot be divided into groups of one size are refused with a ValueError."""
    x, (gamma, beta) = block(rng, 2, 6, 2, 4), affine(rng, 6)
    return {
        "the shape of y for 6 channels in 3 groups": np.shape(f(x.copy(), gamma, beta, 3)),
        "6 channels in 4 groups": outcome(lambda: f(x, gamma, beta, 4)),
    }


@probe(1)
def groups_float32_and_untouched(f, rng):
    """Arguments are left alone, and float32 arguments give a float32 y."""
    x, (gamma, beta) = block(rng, 3, 6, 5, 2), affine(rng, 6)
    low = f(*single(x, gamma, beta), 2)
    y = f(x, gamma, beta, 2)
    return {
        "x": Argument(x),
        "y": y,
        "the dtype of y for float32": str(np.asarray(low).dtype),
        "every entry of y is within 0.001 of that for float64": near(
            low,
            gamma[:, None, None] * exactly(x.reshape(3, 2, -1), 2).reshape(x.shape)
            + beta[:, None, None],
            1e-3,
        ),
    }


@mistake(
    earns=1,
    hint="After the reshape, axis 1 counts the groups, which keep their own statistics, and axis 2 the "
    "channels of a group: average over `(2, 3, 4)`.",
)
def averages_over_the_groups(x, gamma, beta, groups, eps=1e-5):
    """The statistics run over the axis of the groups, where the axis of their channels is meant."""
    N, C, H, W = x.shape
    if C % groups:
        raise ValueError("unequal groups")
    sets = x.reshape(N, groups, C // groups, H, W)
    mean, var = sets.mean(axis=(1, 3, 4), keepdims=True), sets.var(axis=(1, 3, 4), keepdims=True)
    x_hat = ((sets - mean) / np.sqrt(var + eps)).reshape(x.shape)
    return gamma.reshape(1, C, 1, 1) * x_hat + beta.reshape(1, C, 1, 1)


@mistake(
    earns=1,
    hint="`groups` is how many groups there are, not how many channels a group has: that is "
    "C // groups.",
)
def takes_groups_for_the_group_size(x, gamma, beta, groups, eps=1e-5):
    """`groups` is taken for the number of channels in a group."""
    N, C, H, W = x.shape
    if C % groups:
        raise ValueError("unequal groups")
    sets = x.reshape(N, C // groups, groups, H, W)
    mean, var = sets.mean(axis=(2, 3, 4), keepdims=True), sets.var(axis=(2, 3, 4), keepdims=True)
    x_hat = ((sets - mean) / np.sqrt(var + eps)).reshape(x.shape)
    return gamma.reshape(1, C, 1, 1) * x_hat + beta.reshape(1, C, 1, 1)


@mistake(
    earns=3,
    hint="A group is a run of neighbouring channels: in the reshape the groups come first, "
    "(N, groups, C // groups, H, W), and each keeps its own statistics.",
)
def takes_every_gth_channel(x, gamma, beta, groups, eps=1e-5):
    """Channels are dealt out to the groups in turn, where a group is a run of neighbours."""
    N, C, H, W = x.shape
    if C % groups:
        raise ValueError("unequal groups")
    sets = x.reshape(N, C // groups, groups, H, W)
    mean, var = sets.mean(axis=(1, 3, 4), keepdims=True), sets.var(axis=(1, 3, 4), keepdims=True)
    x_hat = ((sets - mean) / np.sqrt(var + eps)).reshape(x.shape)
    return gamma.reshape(1, C, 1, 1) * x_hat + beta.reshape(1, C, 1, 1)


@mistake(
    earns=1,
    hint="Group normalization never looks at another image: leave axis 0 out of the reduction.",
)
def pools_the_groups_over_the_batch(x, gamma, beta, groups, eps=1e-5):
    """The statistics of a group are taken over all images of the batch."""
    N, C, H, W = x.shape
    if C % groups:
        raise ValueError("unequal groups")
    sets = x.reshape(N, groups, C // groups, H, W)
    axes = (0, 2, 3, 4)
    mean, var = sets.mean(axis=axes, keepdims=True), sets.var(axis=axes, keepdims=True)
    x_hat = ((sets - mean) / np.sqrt(var + eps)).reshape(x.shape)
    return gamma.reshape(1, C, 1, 1) * x_hat + beta.reshape(1, C, 1, 1)


@mistake(
    earns=0,
    hint="Channels are divided into groups, not images. Parts of a batch with statistics of their "
    "own are ghost batches, another method.",
)
def groups_the_images(x, gamma, beta, groups, eps=1e-5):
    """The images are divided into groups, and each channel is normalized over a group of images."""
    N, C, H, W = x.shape
    if C % groups:
        raise ValueError("unequal groups")
    sets = x.reshape(groups, N // groups, C, H, W)
    axes = (1, 3, 4)
    mean, var = sets.mean(axis=axes, keepdims=True), sets.var(axis=axes, keepdims=True)
    x_hat = ((sets - mean) / np.sqrt(var + eps)).reshape(x.shape)
    return gamma.reshape(1, C, 1, 1) * x_hat + beta.reshape(1, C, 1, 1)


@mistake(
    earns=2,
    hint="Channels of one group share their statistics: reduce over the channels within the group, "
    "too, not only over H and W.",
)
def instance_where_group_is_meant(x, gamma, beta, groups, eps=1e-5):
    """Each channel is normalized by itself, whatever `groups` says: this is instance normalization."""
    N, C, H, W = x.shape
    if C % groups:
        raise ValueError("unequal groups")
    sets = x.reshape(N, groups, C // groups, H, W)
    mean, var = sets.mean(axis=(3, 4), keepdims=True), sets.var(axis=(3, 4), keepdims=True)
    x_hat = ((sets - mean) / np.sqrt(var + eps)).reshape(x.shape)
    return gamma.reshape(1, C, 1, 1) * x_hat + beta.reshape(1, C, 1, 1)


@mistake(
    earns=2,
    hint="With all channels together this is layer normalization, which is right for one group only. "
    "Reshape to (N, groups, C // groups, H, W) first.",
)
def layer_where_group_is_meant(x, gamma, beta, groups, eps=1e-5):
    """All channels of an image are normalized together, whatever `groups` says."""
    C = x.shape[1]
    if C % groups:
        raise ValueError("unequal groups")
    axes = (1, 2, 3)
    mean, var = x.mean(axis=axes, keepdims=True), x.var(axis=axes, keepdims=True)
    x_hat = (x - mean) / np.sqrt(var + eps)
    return gamma.reshape(1, C, 1, 1) * x_hat + beta.reshape(1, C, 1, 1)


@mistake(
    earns=1,
    hint="Those are the statistics of batch normalization. Here each image has statistics of its "
    "own, and within an image the channels of a group share theirs: divide the channels into groups "
    "first, and leave the images apart.",
)
def batch_where_group_is_meant(x, gamma, beta, groups, eps=1e-5):
    """Each channel is normalized over the batch: this is batch normalization."""
    C = x.shape[1]
    if C % groups:
        raise ValueError("unequal groups")
    axes = (0, 2, 3)
    mean, var = x.mean(axis=axes, keepdims=True), x.var(axis=axes, keepdims=True)
    x_hat = (x - mean) / np.sqrt(var + eps)
    return gamma.reshape(1, C, 1, 1) * x_hat + beta.reshape(1, C, 1, 1)


@mistake(
    earns=1,
    hint="A group is a set of channels *with all their pixels*: reduce over H and W, too.",
)
def normalizes_groups_pixel_by_pixel(x, gamma, beta, groups, eps=1e-5):
    """Each pixel position has statistics of its own: H and W are not reduced."""
    N, C, H, W = x.shape
    if C % groups:
        raise ValueError("unequal groups")
    sets = x.reshape(N, groups, C // groups, H, W)
    mean, var = sets.mean(axis=2, keepdims=True), sets.var(axis=2, keepdims=True)
    x_hat = ((sets - mean) / np.sqrt(var + eps)).reshape(x.shape)
    return gamma.reshape(1, C, 1, 1) * x_hat + beta.reshape(1, C, 1, 1)


@mistake(
    earns=0,
    hint="The channels are axis 1 here, (N, C, H, W). Grouping the last axis is for images with "
    "channels last, as in Keras.",
)
def groups_as_if_channels_came_last(x, gamma, beta, groups, eps=1e-5):
    """The last axis is divided into groups, as for images with channels last, (N, H, W, C)."""
    N, H, W, C = x.shape
    if C % groups:
        raise ValueError("unequal groups")
    sets = x.reshape(N, H, W, groups, C // groups)
    mean, var = sets.mean(axis=(1, 2, 4), keepdims=True), sets.var(axis=(1, 2, 4), keepdims=True)
    x_hat = ((sets - mean) / np.sqrt(var + eps)).reshape(x.shape)
    return gamma * x_hat + beta


@mistake(
    earns=0,
    hint="NumPy lines shapes up from the right, so γ of shape (C,) meets the width: an error, or a "
    "silent mix-up when C = W. Reshape it to (1, C, 1, 1).",
)
def lets_gamma_run_along_the_width(x, gamma, beta, groups, eps=1e-5):
    """γ and β of shape (C,) meet the axis W, the last one, instead of C."""
    N, C, H, W = x.shape
    if C % groups:
        raise ValueError("unequal groups")
    sets = x.reshape(N, groups, C // groups, H, W)
    mean, var = sets.mean(axis=(2, 3, 4), keepdims=True), sets.var(axis=(2, 3, 4), keepdims=True)
    x_hat = ((sets - mean) / np.sqrt(var + eps)).reshape(x.shape)
    return gamma * x_hat + beta


@mistake(
    earns=2,
    hint="The statistics are shared by a group, γ and β are not: there is one of each for every "
    "channel. Apply them after reshaping back.",
)
def has_one_gamma_per_group(x, gamma, beta, groups, eps=1e-5):
    """All channels of a group are scaled and shifted by the same γ and β."""
    N, C, H, W = x.shape
    if C % groups:
        raise ValueError("unequal groups")
    sets = x.reshape(N, groups, C // groups, H, W)
    mean, var = sets.mean(axis=(2, 3, 4), keepdims=True), sets.var(axis=(2, 3, 4), keepdims=True)
    gamma, beta = (a[:: C // groups].reshape(1, groups, 1, 1, 1) for a in (gamma, beta))
    return (gamma * (sets - mean) / np.sqrt(var + eps) + beta).reshape(x.shape)


@mistake(
    earns=2,
    hint="The variance of a group is larger than the mean variance of its channels: the channels "
    "also differ from one another. Take deviations from the mean of the group.",
)
def averages_the_variances_of_the_channels(x, gamma, beta, groups, eps=1e-5):
    """The variance of a group is the mean of its channels' variances; what lies between them is missing."""
    N, C, H, W = x.shape
    if C % groups:
        raise ValueError("unequal groups")
    sets = x.reshape(N, groups, C // groups, H, W)
    mean = sets.mean(axis=(2, 3, 4), keepdims=True)
    var = sets.var(axis=(3, 4), keepdims=True).mean(axis=2, keepdims=True)
    x_hat = ((sets - mean) / np.sqrt(var + eps)).reshape(x.shape)
    return gamma.reshape(1, C, 1, 1) * x_hat + beta.reshape(1, C, 1, 1)


@mistake(
    earns=0,
    hint="y should have the shape of x: `reshape(x.shape)` at the end brings the groups back "
    "together.",
)
def leaves_the_groups_apart(x, gamma, beta, groups, eps=1e-5):
    """y keeps the shape (N, groups, C // groups, H, W)."""
    N, C, H, W = x.shape
    if C % groups:
        raise ValueError("unequal groups")
    sets = x.reshape(N, groups, C // groups, H, W)
    mean, var = sets.mean(axis=(2, 3, 4), keepdims=True), sets.var(axis=(2, 3, 4), keepdims=True)
    gamma, beta = (a.reshape(1, groups, C // groups, 1, 1) for a in (gamma, beta))
    return gamma * (sets - mean) / np.sqrt(var + eps) + beta


@mistake(
    earns=9,
    hint="`reshape(N, groups, -1)` succeeds whenever C·H·W can be divided by `groups`, and then "
    "cuts through channels. Check that C % groups is 0, and raise a ValueError if it is not.",
)
def cuts_through_channels(x, gamma, beta, groups, eps=1e-5):
    """Groups of unequal size are not refused; the groups then cut through channels."""
    N, C = x.shape[:2]
    sets = x.reshape(N, groups, -1)
    mean, var = sets.mean(axis=2, keepdims=True), sets.var(axis=2, keepdims=True)
    x_hat = ((sets - mean) / np.sqrt(var + eps)).reshape(x.shape)
    return gamma.reshape(1, C, 1, 1) * x_hat + beta.reshape(1, C, 1, 1)


@mistake(
    earns=9,
    hint="An `assert` raises AssertionError, and is skipped when Python runs with -O. Raise a "
    "ValueError.",
)
def asserts_where_it_should_raise(x, gamma, beta, groups, eps=1e-5):
    """Unequal groups end in an AssertionError where a ValueError is asked."""
    N, C, H, W = x.shape
    assert C % groups == 0
    sets = x.reshape(N, groups, C // groups, H, W)
    mean, var = sets.mean(axis=(2, 3, 4), keepdims=True), sets.var(axis=(2, 3, 4), keepdims=True)
    x_hat = ((sets - mean) / np.sqrt(var + eps)).reshape(x.shape)
    return gamma.reshape(1, C, 1, 1) * x_hat + beta.reshape(1, C, 1, 1)


@mistake(earns=1, hint=BIASED_HINT)
def groups_divide_by_m_minus_1(x, gamma, beta, groups, eps=1e-5):
    """The variance divides by m - 1 where m, the number of values in a group, is asked (ddof=1)."""
    N, C = x.shape[:2]
    if C % groups:
        raise ValueError("unequal groups")
    sets = x.reshape(N, groups, -1)
    mean, var = sets.mean(axis=2, keepdims=True), sets.var(axis=2, keepdims=True, ddof=1)
    x_hat = ((sets - mean) / np.sqrt(var + eps)).reshape(x.shape)
    return gamma.reshape(1, C, 1, 1) * x_hat + beta.reshape(1, C, 1, 1)


@mistake(
    earns=1,
    hint="The result should have *standard deviation* 1: take the square root of the variance before "
    "you divide.",
)
def groups_divide_by_the_variance(x, gamma, beta, groups, eps=1e-5):
    """The values of a group are divided by their variance (plus ε) instead of its root."""
    N, C = x.shape[:2]
    if C % groups:
        raise ValueError("unequal groups")
    sets = x.reshape(N, groups, -1)
    mean, var = sets.mean(axis=2, keepdims=True), sets.var(axis=2, keepdims=True)
    x_hat = ((sets - mean) / (var + eps)).reshape(x.shape)
    return gamma.reshape(1, C, 1, 1) * x_hat + beta.reshape(1, C, 1, 1)


@mistake(earns=9, hint=EPS_OUTSIDE_HINT)
def groups_add_eps_outside_the_root(x, gamma, beta, groups, eps=1e-5):
    """ε is added to the standard deviation, outside the root."""
    N, C = x.shape[:2]
    if C % groups:
        raise ValueError("unequal groups")
    sets = x.reshape(N, groups, -1)
    mean, std = sets.mean(axis=2, keepdims=True), sets.std(axis=2, keepdims=True)
    x_hat = ((sets - mean) / (std + eps)).reshape(x.shape)
    return gamma.reshape(1, C, 1, 1) * x_hat + beta.reshape(1, C, 1, 1)


@mistake(earns=9, hint=EPS_IGNORED_HINT)
def groups_ignore_eps(x, gamma, beta, groups, eps=1e-5):
    """ε is left out."""
    N, C = x.shape[:2]
    if C % groups:
        raise ValueError("unequal groups")
    sets = x.reshape(N, groups, -1)
    mean, std = sets.mean(axis=2, keepdims=True), sets.std(axis=2, keepdims=True)
    x_hat = ((sets - mean) / std).reshape(x.shape)
    return gamma.reshape(1, C, 1, 1) * x_hat + beta.reshape(1, C, 1, 1)


@mistake(earns=1, hint="Normalizing is the first half. The second is y = γ·x̂ + β, per channel.")
def groups_without_gamma_and_beta(x, gamma, beta, groups, eps=1e-5):
    """The normalized images are returned without scale and shift."""
    N, C = x.shape[:2]
    if C % groups:
        raise ValueError("unequal groups")
    sets = x.reshape(N, groups, -1)
    mean, var = sets.mean(axis=2, keepdims=True), sets.var(axis=2, keepdims=True)
    return ((sets - mean) / np.sqrt(var + eps)).reshape(x.shape)


@mistake(
    earns=9,
    hint="`reshape` gives a view of the caller's images, and `-=` writes through it. "
    "`sets - mean` makes a new array.",
)
def groups_change_their_input(x, gamma, beta, groups, eps=1e-5):
    """The groups are centred in place, and the caller's images with them."""
    N, C = x.shape[:2]
    if C % groups:
        raise ValueError("unequal groups")
    sets = x.reshape(N, groups, -1)
    sets -= sets.mean(axis=2, keepdims=True)
    x_hat = (sets / np.sqrt((sets**2).mean(axis=2, keepdims=True) + eps)).reshape(x.shape)
    return gamma.reshape(1, C, 1, 1) * x_hat + beta.reshape(1, C, 1, 1)


@mistake(earns=9, hint=PROMOTION_HINT)
def groups_promote_to_float64(x, gamma, beta, groups, eps=1e-5):
    """y is float64 even when all arguments are float32."""
    N, C = x.shape[:2]
    if C % groups:
        raise ValueError("unequal groups")
    sets = np.array(x, dtype=float).reshape(N, groups, -1)
    mean, var = sets.mean(axis=2, keepdims=True), sets.var(axis=2, keepdims=True)
    x_hat = ((sets - mean) / np.sqrt(var + eps)).reshape(x.shape)
    return gamma.reshape(1, C, 1, 1) * x_hat + beta.reshape(1, C, 1, 1)


def groups_in_five_axes(x, gamma, beta, groups, eps=1e-5):
    N, C, H, W = x.shape
    sets = x.reshape(N, groups, C // groups, H, W)  # raises ValueError for unequal groups
    mean, var = sets.mean(axis=(2, 3, 4), keepdims=True), sets.var(axis=(2, 3, 4), keepdims=True)
    x_hat = ((sets - mean) / np.sqrt(var + eps)).reshape(x.shape)
    return gamma.reshape(1, C, 1, 1) * x_hat + beta.reshape(1, C, 1, 1)


def groups_in_a_loop(x, gamma, beta, groups, eps=1e-5):
    size, rest = divmod(x.shape[1], groups)
    if rest != 0:
        raise ValueError("groups must have the same size")
    y = np.empty_like(x)
    for n in range(len(x)):
        for first in range(0, x.shape[1], size):
            some = x[n, first : first + size]
            x_hat = (some - some.mean()) / np.sqrt(some.var() + eps)
            for c in range(size):
                y[n, first + c] = gamma[first + c] * x_hat[c] + beta[first + c]
    return y


def groups_by_splitting(x, gamma, beta, groups, eps=1e-5):
    parts = []
    for part in np.split(x, groups, axis=1):  # raises ValueError for unequal groups
        mean, var = part.mean(axis=(1, 2, 3), keepdims=True), part.var((1, 2, 3), keepdims=True)
        parts.append((part - mean) / np.sqrt(var + eps))
    return np.concatenate(parts, axis=1) * gamma[None, :, None, None] + beta[None, :, None, None]


# --- rmsnorm_forward -------------------------------------------------------------------------


def rmsnorm_forward(x, gamma, eps=1e-5):
    rms = np.sqrt((x**2).mean(axis=-1, keepdims=True) + eps)
    return gamma * x / rms


@probe(2)
def divided_by_the_root_mean_square(f, rng):
    """Every sample is divided by the root of the mean square of its features, then scaled by γ."""
    x, (gamma, _) = block(rng, 7, 5), affine(rng, 5)
    return {"y": f(x, gamma)}


@probe(1, hidden=True)
def the_mean_stays(f, rng):
    """The mean is not subtracted: equal features come out as ±γ, and not as 0."""
    gamma, _ = affine(rng, 4)
    x = np.repeat(rng.uniform(50, 300, size=(5, 1)) * [[1], [-1], [1], [-1], [1]], 4, axis=1)
    return {
        "y of equal features": f(x, gamma),
        "y of other features is not 0": bool(np.any(f(block(rng, 5, 4), gamma) != 0)),
    }


@probe(2)
def tokens_by_themselves(f, rng):
    """In (N, T, D), every token of every sequence is divided by a number of its own."""
    x, (gamma, _) = block(rng, 3, 4, 5), affine(rng, 5)
    return {"y": f(x, gamma)}


@probe(1)
def rms_of_square_tables(f, rng):
    """With N = D nothing gets mixed up, although every shape fits every other."""
    x, (gamma, _) = block(rng, 5, 5), affine(rng, 5)
    return {"y": f(x, gamma)}


@probe(1)
def rms_eps(f, rng):
    """ε stands under the root, is taken from the argument, and is 10⁻⁵ if none is given; zeros stay zeros."""
    x, (gamma, _) = block(rng, 5, 4, scale=2e-3), affine(rng, 4)
    x[2] = 0.0
    return {"y for eps=1e-2": f(x.copy(), gamma, eps=1e-2), "y": f(x.copy(), gamma)}


@probe(1)
def rms_float32_and_untouched(f, rng):
    """x is left as it was, and float32 arguments give a float32 y."""
    x, (gamma, _) = block(rng, 6, 5), affine(rng, 5)
    low = f(*single(x, gamma))
    y = f(x, gamma)
    return {
        "x": Argument(x),
        "y": y,
        "the dtype of y for float32": str(np.asarray(low).dtype),
    }


@mistake(
    earns=0,
    hint="RMS normalization leaves the mean where it is: x itself is divided, and the squares are "
    "those of x. With the mean it would be layer normalization.",
)
def rms_subtracts_the_mean(x, gamma, eps=1e-5):
    """The mean is subtracted: this is layer normalization without a shift."""
    centered = x - x.mean(axis=-1, keepdims=True)
    return gamma * centered / np.sqrt((centered**2).mean(axis=-1, keepdims=True) + eps)


@mistake(
    earns=0,
    hint="The divisor is the root of the mean of the squares, without a mean subtracted. The "
    "standard deviation is smaller.",
)
def rms_divides_by_the_deviation(x, gamma, eps=1e-5):
    """x is divided by its standard deviation where the root of the mean square is asked."""
    return gamma * x / np.sqrt(x.var(axis=-1, keepdims=True) + eps)


@mistake(
    earns=0,
    hint="Both or none: the divisor belongs to the values that are divided, and here these are x "
    "itself.",
)
def rms_centers_the_numerator(x, gamma, eps=1e-5):
    """The mean is subtracted above the line, but not in the squares."""
    rms = np.sqrt((x**2).mean(axis=-1, keepdims=True) + eps)
    return gamma * (x - x.mean(axis=-1, keepdims=True)) / rms


@mistake(
    earns=0,
    hint="The *mean* square is asked. With the sum, x is divided by its length, and y becomes "
    "smaller the more features there are.",
)
def rms_sums_the_squares(x, gamma, eps=1e-5):
    """The squares are added up, but not divided by D: x is divided by its Euclidean length."""
    return gamma * x / np.sqrt((x**2).sum(axis=-1, keepdims=True) + eps)


@mistake(earns=0, hint="RMS: the *root* of the mean square. Take it before you divide.")
def rms_without_the_root(x, gamma, eps=1e-5):
    """x is divided by the mean square, without the root."""
    return gamma * x / ((x**2).mean(axis=-1, keepdims=True) + eps)


@mistake(
    earns=1,
    hint="Square first, then average. The square of the mean is another number, and 0 for balanced "
    "features.",
)
def rms_squares_the_mean(x, gamma, eps=1e-5):
    """The mean is squared where the mean of the squares is asked."""
    return gamma * x / np.sqrt(x.mean(axis=-1, keepdims=True) ** 2 + eps)


@mistake(
    earns=1, hint="The mean of absolute values is another norm: square, average, take the root."
)
def rms_takes_absolute_values(x, gamma, eps=1e-5):
    """x is divided by the mean of its absolute values."""
    return gamma * x / (np.abs(x).mean(axis=-1, keepdims=True) + eps)


@mistake(
    earns=7,
    hint="ε belongs under the root, with the mean square. Beside the root it is another formula, and "
    "for small samples the two differ a lot.",
)
def rms_adds_eps_outside_the_root(x, gamma, eps=1e-5):
    """ε is added to the root, outside."""
    return gamma * x / (np.sqrt((x**2).mean(axis=-1, keepdims=True)) + eps)


@mistake(
    earns=7,
    hint="Without ε a sample of zeros is 0/0, and small samples come out differently from everybody "
    "else's. Add `eps` to the mean square before taking the root.",
)
def rms_ignores_eps(x, gamma, eps=1e-5):
    """ε is left out."""
    return gamma * x / np.sqrt((x**2).mean(axis=-1, keepdims=True))


@mistake(earns=7, hint=EPS_FIXED_HINT)
def rms_uses_its_own_eps(x, gamma, eps=1e-5):
    """ε is always 10⁻⁵, whatever the argument says."""
    return gamma * x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-5)


@mistake(
    earns=7,
    hint="10⁻⁶ is what many language models set. Here the default is 10⁻⁵, as the signature says.",
)
def rms_has_another_default_eps(x, gamma, eps=1e-6):
    """The default ε is 10⁻⁶ where 10⁻⁵ is asked."""
    return gamma * x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + eps)


@mistake(earns=0, hint="Dividing is the first half. Then multiply feature by feature with γ.")
def rms_without_gamma(x, gamma, eps=1e-5):
    """γ is left out."""
    return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + eps)


@mistake(
    earns=0,
    hint="Some models store γ - 1 and multiply by 1 + γ. Here γ is the factor itself.",
)
def rms_scales_by_one_plus_gamma(x, gamma, eps=1e-5):
    """y is scaled by 1 + γ where γ is asked."""
    return (1 + gamma) * x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + eps)


@mistake(
    earns=0,
    hint="Each sample has a root mean square of its own, over its features: the last axis.",
)
def rms_over_the_batch(x, gamma, eps=1e-5):
    """The mean square is taken of each feature over the batch."""
    return gamma * x / np.sqrt((x**2).mean(axis=0) + eps)


@mistake(
    earns=0,
    hint="One number for all samples would let one sample change the others. Reduce over the last "
    "axis.",
)
def rms_over_everything(x, gamma, eps=1e-5):
    """One root mean square of all numbers serves all samples."""
    return gamma * x / np.sqrt((x**2).mean() + eps)


@mistake(earns=6, hint=LAST_AXIS_HINT)
def rms_over_axis_1(x, gamma, eps=1e-5):
    """Axis 1 is reduced, which is the features of a table, but the tokens of a sequence."""
    return gamma * x / np.sqrt((x**2).mean(axis=1, keepdims=True) + eps)


@mistake(
    earns=6,
    hint="Each token is divided by a number of its own: reduce over the last axis only.",
)
def rms_over_whole_sequences(x, gamma, eps=1e-5):
    """All tokens of a sequence share one root mean square."""
    axes = tuple(range(1, x.ndim))
    return gamma * x / np.sqrt((x**2).mean(axis=axes, keepdims=True) + eps)


@mistake(earns=0, hint=KEEPDIMS_HINT)
def rms_without_keepdims(x, gamma, eps=1e-5):
    """The root mean squares, shape (N,), are lined up with the features."""
    return gamma * x / np.sqrt((x**2).mean(axis=-1) + eps)


@mistake(earns=0, hint="γ has one entry per feature, and lines up with the last axis by itself.")
def rms_with_gamma_per_sample(x, gamma, eps=1e-5):
    """γ is lined up with the samples, where each feature has its own."""
    return gamma[:, None] * x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + eps)


@mistake(earns=7, hint="`x /= rms` writes into the caller's array; `x / rms` makes a new one.")
def rms_changes_its_input(x, gamma, eps=1e-5):
    """x is divided in place, so that the caller's array is gone."""
    x /= np.sqrt((x**2).mean(axis=-1, keepdims=True) + eps)
    return gamma * x


@mistake(earns=7, hint=PROMOTION_HINT)
def rms_promotes_to_float64(x, gamma, eps=1e-5):
    """y is float64 even when all arguments are float32."""
    x = x.astype(np.float64)
    return gamma * x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + eps)


def rms_by_norms(x, gamma, eps=1e-5):
    D = x.shape[-1]
    length = np.linalg.norm(x, axis=-1, keepdims=True)
    return x * (D**0.5 / np.sqrt(length**2 + D * eps)) * gamma


def rms_by_einsum(x, gamma, eps=1e-5):
    squares = np.einsum("...d,...d->...", x, x) / x.shape[-1]
    return x / np.sqrt(squares + eps)[..., None] * gamma


# --- merge_statistics ------------------------------------------------------------------------


def merge_statistics(counts, means, variances):
    counts = np.array(counts)
    busy = counts > 0
    n, means, variances = counts[busy][:, None], means[busy], variances[busy]
    count = n.sum()
    mean = (n * means).sum(axis=0) / count
    var = (n * (variances + (means - mean) ** 2)).sum(axis=0) / count
    return int(count), mean, var


def workers(rng, counts, scale=1.0, center=0.0):
    """What workers report of their parts of one batch with 3 features: means and variances."""
    parts = [
        rng.normal(size=(n, 3)) * rng.uniform(0.5, 2, size=3) + rng.normal(size=3) * 2
        for n in counts
    ]
    parts = [scale * part + center for part in parts]
    return np.array([p.mean(axis=0) for p in parts]), np.array([p.var(axis=0) for p in parts])


@probe(1)
def merged_count(f, rng):
    """The first result is the number of samples of all workers together."""
    counts = [int(n) for n in rng.integers(2, 10, size=3)]
    return {"the count": f(counts, *workers(rng, counts))[0]}


@probe(2)
def merged_mean(f, rng):
    """The second result is the mean of all samples, shape (D,), with workers of unequal size."""
    counts = [3, 12, 5, 2]
    return {"the mean": f(counts, *workers(rng, counts))[1]}


@probe(3)
def merged_variance(f, rng):
    """The third result is the biased variance of all samples, shape (D,), with workers of unequal size."""
    counts = [3, 12, 5, 2]
    return {"the variance": f(counts, *workers(rng, counts))[2]}


@probe(1)
def workers_of_equal_size(f, rng):
    """With workers of equal size, too, mean and variance are those of all samples."""
    counts = [6, 6, 6]
    return {"mean and variance": tuple(f(counts, *workers(rng, counts))[1:])}


@probe(1)
def workers_with_one_sample(f, rng):
    """Workers with one sample each report variance 0; the merged variance is still that of all samples."""
    counts = [1, 1, 1, 1]
    return {"the variance": f(counts, *workers(rng, counts))[2]}


@probe(1)
def one_worker(f, rng):
    """A single worker gets its own statistics back."""
    means, variances = workers(rng, [7])
    return {"count, mean and variance": tuple(f([7], means, variances))}


@probe(1)
def merging_in_stages(f, rng):
    """Merging two workers, and the result with a third, gives the same as merging all at once."""
    counts = [4, 7, 3]
    means, variances = workers(rng, counts)
    count, mean, var = f(counts[:2], means[:2], variances[:2])
    stages = f([count, counts[2]], np.array([mean, means[2]]), np.array([var, variances[2]]))
    return {"count, mean and variance": tuple(stages)}


@probe(2)
def merging_far_from_zero(f, rng):
    """With means near 10⁹ and variances near 1, the merged variance is right to 0.1 %."""
    counts = [8, 3, 21]
    near_zero, variances = workers(rng, counts)
    # The means are rounded to multiples of 2⁻¹⁰, so that 10⁹ takes no digits of theirs.
    near_zero = np.round(near_zero * 1024) / 1024
    n = np.array(counts)[:, None]
    mean = (n * near_zero).sum(axis=0) / n.sum()
    true = (n * (variances + (near_zero - mean) ** 2)).sum(axis=0) / n.sum()
    # What becomes of a list cannot be seen: each call gets its own.
    got = f([*counts], near_zero + 1e9, variances.copy())[2]
    easy = f([*counts], near_zero, variances.copy())[2]
    return {
        "the variance of the same samples around zero": easy,
        "every variance is within 0.1 % of the true one": near(got, true, 1e-3 * true),
    }


@probe(1)
def reports_are_left_alone(f, rng):
    """The workers' arrays are left as they were, the NaN of a worker without samples included."""
    counts = np.array([4, 0, 9])
    means, variances = workers(rng, [4, 1, 9])
    means[1] = variances[1] = np.nan
    f(counts, means, variances)
    # Whether the worker without samples counts for nothing is another question.
    busy = f(counts[::2], means[::2], variances[::2])
    return {
        "counts": Argument(counts),
        "means": Argument(means),
        "variances": Argument(variances),
        "the mean of the workers with samples": busy[1],
    }


@probe(1, hidden=True)
def idle_workers(f, rng):
    """A worker without samples, whose mean and variance are NaN, counts for nothing."""
    counts = [4, 0, 6]
    means, variances = workers(rng, [4, 6])
    nothing = np.full((1, 3), np.nan)
    means = np.concatenate([means[:1], nothing, means[1:]])
    variances = np.concatenate([variances[:1], nothing, variances[1:]])
    return {"count, mean and variance": tuple(f(counts, means, variances))}


@mistake(
    earns=2,
    hint="A worker with 12 samples counts four times as much as one with 3: weigh by the counts, in "
    "the mean and in the variance.",
)
def merges_by_plain_averages(counts, means, variances):
    """Means and variances are plainly averaged: not weighted, and without what lies between the means."""
    counts = np.array(counts)
    b = counts > 0
    return int(counts.sum()), means[b].mean(axis=0), variances[b].mean(axis=0)


@mistake(
    earns=5,
    hint="The samples of one worker also differ from those of another. To each worker's variance "
    "add the squared distance of its mean from the merged mean, before you average.",
)
def misses_what_lies_between(counts, means, variances):
    """The variance is the weighted average of the variances; what lies between the means is missing."""
    counts = np.array(counts)
    b = counts > 0
    n = counts[b][:, None]
    mean = (n * means[b]).sum(axis=0) / n.sum()
    return int(n.sum()), mean, (n * variances[b]).sum(axis=0) / n.sum()


@mistake(
    earns=4,
    hint="A worker with 12 samples counts four times as much as one with 3: weigh by the counts. "
    "(What lies between the means is there, and that is the harder half.)",
)
def weighs_every_worker_the_same(counts, means, variances):
    """Every worker has the same weight, however many samples it has."""
    counts = np.array(counts)
    b = counts > 0
    mean = means[b].mean(axis=0)
    return int(counts.sum()), mean, (variances[b] + (means[b] - mean) ** 2).mean(axis=0)


@mistake(
    earns=7,
    hint="The distances between the means need the same weights as the variances: the counts.",
)
def weighs_the_distances_the_same(counts, means, variances):
    """Mean and variances are weighted by the counts, but the squared distances of the means are not."""
    counts = np.array(counts)
    b = counts > 0
    n = counts[b][:, None]
    mean = (n * means[b]).sum(axis=0) / n.sum()
    between = ((means[b] - mean) ** 2).mean(axis=0)
    return int(n.sum()), mean, (n * variances[b]).sum(axis=0) / n.sum() + between


@mistake(
    earns=7,
    hint="The distances are those from the *merged* mean, which is weighted by the counts.",
)
def measures_from_the_plain_mean(counts, means, variances):
    """The distances of the means are taken from their plain average, not from the merged mean."""
    counts = np.array(counts)
    b = counts > 0
    n, means, variances = counts[b][:, None], means[b], variances[b]
    between = (means - means.mean(axis=0)) ** 2
    mean = (n * means).sum(axis=0) / n.sum()
    return int(n.sum()), mean, (n * (variances + between)).sum(axis=0) / n.sum()


@mistake(
    earns=7,
    hint="`means.var(axis=0)` counts every worker once. What lies between the workers is the average "
    "of their squared distances from the merged mean, weighted by the counts.",
)
def adds_the_plain_variance_of_the_means(counts, means, variances):
    """What lies between the workers is the plain variance of their means, without the counts."""
    counts = np.array(counts)
    b = counts > 0
    n, means, variances = counts[b][:, None], means[b], variances[b]
    mean = (n * means).sum(axis=0) / n.sum()
    within = (n * variances).sum(axis=0) / n.sum()
    return int(n.sum()), mean, within + means.var(axis=0)


@mistake(
    earns=5,
    hint="A variance is made of squares, and so is what lies between the workers: (mean of the worker "
    "- merged mean)².",
)
def does_not_square_the_distances(counts, means, variances):
    """The distances of the means are added as they are, not squared."""
    counts = np.array(counts)
    b = counts > 0
    n, means, variances = counts[b][:, None], means[b], variances[b]
    mean = (n * means).sum(axis=0) / n.sum()
    return int(n.sum()), mean, (n * (variances + np.abs(means - mean))).sum(axis=0) / n.sum()


@mistake(
    earns=4,
    hint="What matters is how far apart the workers' means lie, not how far from 0: add "
    "(mean of the worker - merged mean)².",
)
def adds_the_squares_of_the_means(counts, means, variances):
    """The squares of the means are added, not those of their distances from the merged mean."""
    counts = np.array(counts)
    b = counts > 0
    n, means, variances = counts[b][:, None], means[b], variances[b]
    mean = (n * means).sum(axis=0) / n.sum()
    return int(n.sum()), mean, (n * (variances + means**2)).sum(axis=0) / n.sum()


@mistake(
    earns=5,
    hint="What lies between the workers comes on top of what lies within them: add it.",
)
def subtracts_the_distances(counts, means, variances):
    """The squared distances of the means are subtracted where they should be added."""
    counts = np.array(counts)
    b = counts > 0
    n, means, variances = counts[b][:, None], means[b], variances[b]
    mean = (n * means).sum(axis=0) / n.sum()
    return int(n.sum()), mean, (n * (variances - (means - mean) ** 2)).sum(axis=0) / n.sum()


@mistake(
    earns=12,
    hint="E[x²] - E[x]² is exact on paper, but for means near 10⁹ the squares are near 10¹⁸, where "
    "float64 numbers lie 128 apart. To each worker's variance add the squared distance of its mean "
    "from the merged mean instead, before you average.",
)
def merges_mean_squares(counts, means, variances):
    """Mean squares are merged and the squared mean is subtracted, which loses its digits for large means."""
    counts = np.array(counts)
    b = counts > 0
    n, means, variances = counts[b][:, None], means[b], variances[b]
    mean = (n * means).sum(axis=0) / n.sum()
    squares = (n * (variances + means**2)).sum(axis=0) / n.sum()
    return int(n.sum()), mean, squares - mean**2


@mistake(
    earns=4,
    hint="All variances here are biased, those that come in and the one that goes out: divide by "
    "the total count.",
)
def merges_to_an_unbiased_variance(counts, means, variances):
    """The merged variance divides by the count minus one."""
    counts = np.array(counts)
    b = counts > 0
    n, means, variances = counts[b][:, None], means[b], variances[b]
    mean = (n * means).sum(axis=0) / n.sum()
    squares = (n * (variances + (means - mean) ** 2)).sum(axis=0)
    return int(n.sum()), mean, squares / max(n.sum() - 1, 1)


@mistake(
    earns=5,
    hint="Textbooks pool *unbiased* variances with the weights n - 1. These are biased, so n times "
    "the variance is the sum of squares: weights n.",
)
def weighs_variances_by_n_minus_1(counts, means, variances):
    """The variances are multiplied by n - 1, as if they were unbiased."""
    counts = np.array(counts)
    b = counts > 0
    n, means, variances = counts[b][:, None], means[b], variances[b]
    mean = (n * means).sum(axis=0) / n.sum()
    squares = ((n - 1) * variances + n * (means - mean) ** 2).sum(axis=0)
    return int(n.sum()), mean, squares / n.sum()


@mistake(
    earns=5,
    hint="Standard deviations cannot be averaged, only squares can. The third result is a variance.",
)
def merges_deviations(counts, means, variances):
    """Standard deviations are averaged, and the average is squared."""
    counts = np.array(counts)
    b = counts > 0
    n, means, variances = counts[b][:, None], means[b], variances[b]
    mean = (n * means).sum(axis=0) / n.sum()
    std = (n * np.sqrt(variances + (means - mean) ** 2)).sum(axis=0) / n.sum()
    return int(n.sum()), mean, std**2


@mistake(earns=4, hint="The third result is the variance, without the root.")
def merges_to_a_deviation(counts, means, variances):
    """The standard deviation is returned where the variance is asked."""
    counts = np.array(counts)
    b = counts > 0
    n, means, variances = counts[b][:, None], means[b], variances[b]
    mean = (n * means).sum(axis=0) / n.sum()
    var = (n * (variances + (means - mean) ** 2)).sum(axis=0) / n.sum()
    return int(n.sum()), mean, np.sqrt(var)


@mistake(earns=4, hint="Divide the sum of squares by the total count to get the variance.")
def merges_to_a_sum_of_squares(counts, means, variances):
    """The sum of squares (M2) is returned where the variance is asked."""
    counts = np.array(counts)
    b = counts > 0
    n, means, variances = counts[b][:, None], means[b], variances[b]
    mean = (n * means).sum(axis=0) / n.sum()
    return int(n.sum()), mean, (n * (variances + (means - mean) ** 2)).sum(axis=0)


@mistake(
    earns=10,
    hint="The count is that of samples, the sum of `counts`: whoever merges the result once more "
    "needs it as a weight.",
)
def counts_the_workers(counts, means, variances):
    """The number of workers is returned where that of samples is asked."""
    counts = np.array(counts)
    b = counts > 0
    n, means, variances = counts[b][:, None], means[b], variances[b]
    mean = (n * means).sum(axis=0) / n.sum()
    var = (n * (variances + (means - mean) ** 2)).sum(axis=0) / n.sum()
    return len(counts), mean, var


@mistake(
    earns=2,
    hint="When workers are merged one after the other, the result so far weighs as much as all the "
    "samples in it: add up the count in the loop, too. The two halves stand in three places: in the "
    "mean, in the variance, and as ½·½ = ¼ before δ².",
)
def halves_at_every_step(counts, means, variances):
    """Workers are merged one after the other, each with half the weight, whatever the counts."""
    mean, var = None, None
    for n, m, v in zip(counts, means, variances):
        if n == 0:
            continue
        if mean is None:
            mean, var = m, v
        else:
            delta = m - mean
            mean, var = (mean + m) / 2, (var + v) / 2 + delta**2 / 4
    return int(np.sum(counts)), mean, var


@mistake(
    earns=5,
    hint="The term between two parts is δ²·n_a·n_b/n, with δ the distance *before* the mean moves. "
    "Compute it before you overwrite the mean.",
)
def measures_after_the_mean_has_moved(counts, means, variances):
    """Merging one after the other, the distance is measured after the mean has moved."""
    count, mean, squares = 0, 0.0, 0.0
    for n, m, v in zip(counts, means, variances):
        if n == 0:
            continue
        mean = mean + (m - mean) * n / (count + n)
        squares = squares + n * v + (m - mean) ** 2 * count * n / (count + n)
        count = count + n
    return int(count), mean, squares / count


@mistake(
    earns=13,
    hint="0 times NaN is NaN: a weight of 0 does not remove a worker whose mean is NaN. Leave out "
    "the workers without samples before you add up.",
)
def idle_workers_spoil_everything(counts, means, variances):
    """A worker without samples, whose statistics are NaN, makes everything NaN."""
    n = np.array(counts)[:, None]
    mean = (n * means).sum(axis=0) / n.sum()
    var = (n * (variances + (means - mean) ** 2)).sum(axis=0) / n.sum()
    return int(n.sum()), mean, var


@mistake(
    earns=13,
    hint="`variances += …` writes into the workers' own array; `variances + …` makes a new one.",
)
def merges_in_place(counts, means, variances):
    """The squared distances are added to the caller's variances in place."""
    counts = np.array(counts)
    b = counts > 0
    n = counts[b][:, None]
    mean = (n * means[b]).sum(axis=0) / n.sum()
    variances += (means - mean) ** 2
    return int(n.sum()), mean, (n * variances[b]).sum(axis=0) / n.sum()


@mistake(
    earns=13,
    hint="`means[counts == 0] = 0` writes into the workers' own array. Leave those workers out, of "
    "the counts as well: with `counts` as an array, `means[counts > 0]` makes a new array.",
)
def overwrites_idle_workers(counts, means, variances):
    """The NaN of workers without samples are replaced by 0 in the caller's arrays."""
    n = np.array(counts)
    means[n == 0] = 0
    variances[n == 0] = 0
    n = n[:, None]
    mean = (n * means).sum(axis=0) / n.sum()
    var = (n * (variances + (means - mean) ** 2)).sum(axis=0) / n.sum()
    return int(n.sum()), mean, var


@mistake(earns=0, hint="The order is count, mean, variance.")
def merges_in_another_order(counts, means, variances):
    """The results are returned in another order: the count comes last."""
    counts = np.array(counts)
    b = counts > 0
    n, means, variances = counts[b][:, None], means[b], variances[b]
    mean = (n * means).sum(axis=0) / n.sum()
    var = (n * (variances + (means - mean) ** 2)).sum(axis=0) / n.sum()
    return mean, var, int(n.sum())


def merge_one_after_the_other(counts, means, variances):
    count, mean, squares = 0, np.zeros(means.shape[1]), np.zeros(means.shape[1])
    for n, m, v in zip(counts, means, variances):
        if n:
            delta = m - mean
            total = count + n
            mean = mean + delta * (n / total)
            # Exact for count = 0, too: the first worker's distance from 0 has no weight.
            squares = squares + n * v + delta**2 * (count * n / total)
            count = total
    return count, mean, squares / count


def merge_around_the_first(counts, means, variances):
    parts = [(n, m, v) for n, m, v in zip(counts, means, variances) if n > 0]
    origin = parts[0][1]
    total = sum(n for n, _, _ in parts)
    shift = sum(n * (m - origin) for n, m, _ in parts) / total
    squares = sum(n * (v + (m - origin) ** 2) for n, m, v in parts) / total
    return total, origin + shift, squares - shift**2


def merge_by_np_average(counts, means, variances):
    keep = np.flatnonzero(counts)
    weights = np.asarray(counts)[keep]
    mean = np.average(means[keep], axis=0, weights=weights)
    within = np.average(variances[keep], axis=0, weights=weights)
    between = np.average(np.square(means[keep] - mean), axis=0, weights=weights)
    return [np.sum(weights), mean, within + between]


# --- batch_renorm_forward --------------------------------------------------------------------


def batch_renorm_forward(x, gamma, beta, running_mean, running_var, r_max, d_max, eps=1e-5):
    batch_mean = x.mean(axis=0)
    batch_std = np.sqrt(x.var(axis=0) + eps)
    running_std = np.sqrt(running_var + eps)
    r = np.clip(batch_std / running_std, 1 / r_max, r_max)
    d = np.clip((batch_mean - running_mean) / running_std, -d_max, d_max)
    x_hat = (x - batch_mean) / batch_std * r + d
    return gamma * x_hat + beta, r, d


def renorm_case(rng, ratios, shifts, n=6, scale=1e5):
    """A batch whose deviation is ratios times, and mean shifts deviations off, the running one.

    Nearly so: nobody knows r and d before.
    """
    size = len(ratios)
    ratios, shifts = (np.array(a) * rng.uniform(0.97, 1.03, size) for a in (ratios, shifts))
    x_hat = exactly(rng.normal(size=(n, size)), 0, eps=0.0)
    running_std = scale * evenly(0.6, 1.8, size)
    running_mean = scale * rng.permutation(evenly(-2.0, 2.0, size)) + 0.1 * scale
    x = running_mean + running_std * (shifts + ratios * x_hat)
    return x, *affine(rng, size), running_mean, running_std**2


@probe(2)
def corrections(f, rng):
    """Within their limits, r = σ_B/σ and d = (μ_B - μ)/σ, each of shape (D,)."""
    case = renorm_case(rng, [0.6, 1.4, 0.9, 1.7], [0.5, -1.2, 0.3, -0.4])
    _, r, d = f(*case, 100.0, 200.0)
    return {"r": r, "d": d}


@probe(2)
def unlimited_is_inference(f, rng):
    """Within the limits, y is exactly what the running statistics give in inference."""
    case = renorm_case(rng, [0.6, 1.4, 0.9, 1.7], [0.5, -1.2, 0.3, -0.4])
    return {"y": f(*case, 100.0, 200.0)[0]}


@probe(1)
def closed_limits_are_batch_normalization(f, rng):
    """With r_max = 1 and d_max = 0, it is batch normalization in training: r = 1 and d = 0."""
    case = renorm_case(rng, [0.4, 2.5, 1.1, 3.0], [1.5, -2.0, 0.3, -0.8])
    y, r, d = f(*case, 1.0, 0.0)
    return {"y": y, "r": r, "d": d}


@probe(2)
def clipped_corrections(f, rng):
    """r is clipped to [1/r_max, r_max] and d to [-d_max, d_max], feature by feature."""
    case = renorm_case(rng, [0.2, 4.0, 0.7, 1.3, 0.9, 1.1], [0.4, -0.3, 2.0, -2.5, 0.1, -0.2])
    _, r, d = f(*case, 2.0, 0.5)
    return {"r for r_max=2": r, "d for d_max=0.5": d}


@probe(2)
def clipped_before_use(f, rng):
    """y is computed with the clipped r and d."""
    case = renorm_case(rng, [0.2, 4.0, 0.7, 1.3, 0.9, 1.1], [0.4, -0.3, 2.0, -2.5, 0.1, -0.2])
    return {"y for r_max=2 and d_max=0.5": f(*case, 2.0, 0.5)[0]}


@probe(1)
def renorm_eps(f, rng):
    """ε stands under both roots, is taken from the argument, and is 10⁻⁵ if none is given."""
    case = renorm_case(rng, [0.6, 1.4, 0.9], [0.5, -1.2, 0.3], scale=5e-3)
    seen = {}
    for name, kwargs in (("y, r and d for eps=1e-3", {"eps": 1e-3}), ("y, r and d", {})):
        seen[name] = tuple(f(*(a.copy() for a in case), 5.0, 50.0, **kwargs))
    return seen


@probe(1)
def running_statistics_are_left_alone(f, rng):
    """x and the running statistics are left as they were, the result is right, and float32 is kept."""
    case = renorm_case(rng, [0.6, 1.4, 0.9], [0.5, -1.2, 0.3])
    x, _, _, running_mean, running_var = case
    low, _, _ = f(*single(*case), 100.0, 200.0)
    y, _, _ = f(*case, 100.0, 200.0)  # wide enough for wrong batch statistics, which cancel in y
    return {
        "x": Argument(x),
        "running_mean": Argument(running_mean),
        "running_var": Argument(running_var),
        "y": y,
        "the dtype of y for float32": str(np.asarray(low).dtype),
    }


@probe(1, hidden=True)
def renorm_of_one_sample(f, rng):
    """A batch of one is no error: with d within its limits, y is that of inference."""
    case = renorm_case(rng, [0.6, 1.4, 0.9], [0.5, -1.2, 0.3])
    x, *rest = case
    low = int(np.argmin(x[:, 1]))  # a sample for which one d is surely negative
    # x̂ is 0, so r does not count; that d is below -1.8.
    y, _, d = f(x[low : low + 1], *rest, 1.5, 50.0)
    return {"y": y, "d": d}


@mistake(
    earns=9,
    hint="First clip, then use: y needs the clipped r and d, otherwise the limits limit nothing.",
)
def clips_after_use(x, gamma, beta, running_mean, running_var, r_max, d_max, eps=1e-5):
    """y is computed with r and d as they are; they are clipped only afterwards."""
    mean, std = x.mean(axis=0), np.sqrt(x.var(axis=0) + eps)
    running_std = np.sqrt(running_var + eps)
    r, d = std / running_std, (mean - running_mean) / running_std
    y = gamma * ((x - mean) / std * r + d) + beta
    return y, np.clip(r, 1 / r_max, r_max), np.clip(d, -d_max, d_max)


@mistake(
    earns=7,
    hint="Without limits this is inference with running statistics, which fails at the beginning of "
    "training. Clip r to [1/r_max, r_max] and d to [-d_max, d_max].",
)
def does_not_clip(x, gamma, beta, running_mean, running_var, r_max, d_max, eps=1e-5):
    """r and d are not clipped."""
    mean, std = x.mean(axis=0), np.sqrt(x.var(axis=0) + eps)
    running_std = np.sqrt(running_var + eps)
    r, d = std / running_std, (mean - running_mean) / running_std
    return gamma * ((x - mean) / std * r + d) + beta, r, d


@mistake(
    earns=7,
    hint="Both are limited: clip r to [1/r_max, r_max], as you clip d.",
)
def does_not_clip_r(x, gamma, beta, running_mean, running_var, r_max, d_max, eps=1e-5):
    """d is clipped, but r is not."""
    mean, std = x.mean(axis=0), np.sqrt(x.var(axis=0) + eps)
    running_std = np.sqrt(running_var + eps)
    r = std / running_std
    d = np.clip((mean - running_mean) / running_std, -d_max, d_max)
    return gamma * ((x - mean) / std * r + d) + beta, r, d


@mistake(
    earns=7,
    hint="Both are limited: clip d to [-d_max, d_max], as you clip r.",
)
def does_not_clip_d(x, gamma, beta, running_mean, running_var, r_max, d_max, eps=1e-5):
    """r is clipped, but d is not."""
    mean, std = x.mean(axis=0), np.sqrt(x.var(axis=0) + eps)
    running_std = np.sqrt(running_var + eps)
    r = np.clip(std / running_std, 1 / r_max, r_max)
    d = (mean - running_mean) / running_std
    return gamma * ((x - mean) / std * r + d) + beta, r, d


@mistake(
    earns=2,
    hint="r is a ratio, and may be smaller than 1: its lower limit is 1/r_max.",
)
def clips_r_at_one(x, gamma, beta, running_mean, running_var, r_max, d_max, eps=1e-5):
    """The lower limit of r is 1, so that no ratio below 1 is left."""
    mean, std = x.mean(axis=0), np.sqrt(x.var(axis=0) + eps)
    running_std = np.sqrt(running_var + eps)
    r = np.clip(std / running_std, 1, r_max)
    d = np.clip((mean - running_mean) / running_std, -d_max, d_max)
    return gamma * ((x - mean) / std * r + d) + beta, r, d


@mistake(
    earns=5,
    hint="d is *added* to the scaled values: it moves the batch mean to where the running mean sees it.",
)
def subtracts_d(x, gamma, beta, running_mean, running_var, r_max, d_max, eps=1e-5):
    """d is subtracted where it should be added."""
    mean, std = x.mean(axis=0), np.sqrt(x.var(axis=0) + eps)
    running_std = np.sqrt(running_var + eps)
    r = np.clip(std / running_std, 1 / r_max, r_max)
    d = np.clip((mean - running_mean) / running_std, -d_max, d_max)
    return gamma * ((x - mean) / std * r - d) + beta, r, d


@mistake(
    earns=9,
    hint="The backward pass needs r and d as they were *used*: return the clipped ones.",
)
def returns_r_and_d_before_clipping(
    x, gamma, beta, running_mean, running_var, r_max, d_max, eps=1e-5
):
    """y is right, but the r and d that are returned are those from before the clipping."""
    mean, std = x.mean(axis=0), np.sqrt(x.var(axis=0) + eps)
    running_std = np.sqrt(running_var + eps)
    r, d = std / running_std, (mean - running_mean) / running_std
    x_hat = (x - mean) / std * np.clip(r, 1 / r_max, r_max) + np.clip(d, -d_max, d_max)
    return gamma * x_hat + beta, r, d


@mistake(
    earns=7,
    hint="r is a ratio: too small is as bad as too large. Its lower limit is 1/r_max.",
)
def clips_r_from_above_only(x, gamma, beta, running_mean, running_var, r_max, d_max, eps=1e-5):
    """r is limited from above only: ratios below 1/r_max pass."""
    mean, std = x.mean(axis=0), np.sqrt(x.var(axis=0) + eps)
    running_std = np.sqrt(running_var + eps)
    r = np.minimum(std / running_std, r_max)
    d = np.clip((mean - running_mean) / running_std, -d_max, d_max)
    return gamma * ((x - mean) / std * r + d) + beta, r, d


@mistake(
    earns=7,
    hint="d may be negative, and far below zero is as bad as far above: its lower limit is -d_max.",
)
def clips_d_from_above_only(x, gamma, beta, running_mean, running_var, r_max, d_max, eps=1e-5):
    """d is limited from above only: corrections below -d_max pass."""
    mean, std = x.mean(axis=0), np.sqrt(x.var(axis=0) + eps)
    running_std = np.sqrt(running_var + eps)
    r = np.clip(std / running_std, 1 / r_max, r_max)
    d = np.minimum((mean - running_mean) / running_std, d_max)
    return gamma * ((x - mean) / std * r + d) + beta, r, d


@mistake(
    earns=7,
    hint="Each has a lower limit, too: 1/r_max for r, and -d_max for d.",
)
def clips_both_from_above_only(x, gamma, beta, running_mean, running_var, r_max, d_max, eps=1e-5):
    """r and d are limited from above only."""
    mean, std = x.mean(axis=0), np.sqrt(x.var(axis=0) + eps)
    running_std = np.sqrt(running_var + eps)
    r = np.minimum(std / running_std, r_max)
    d = np.minimum((mean - running_mean) / running_std, d_max)
    return gamma * ((x - mean) / std * r + d) + beta, r, d


@mistake(
    earns=1,
    hint="The mean of a batch may lie below the running mean: d needs a lower limit, -d_max.",
)
def clips_d_at_zero(x, gamma, beta, running_mean, running_var, r_max, d_max, eps=1e-5):
    """d is clipped to [0, d_max], so that negative corrections are lost."""
    mean, std = x.mean(axis=0), np.sqrt(x.var(axis=0) + eps)
    running_std = np.sqrt(running_var + eps)
    r = np.clip(std / running_std, 1 / r_max, r_max)
    d = np.clip((mean - running_mean) / running_std, 0, d_max)
    return gamma * ((x - mean) / std * r + d) + beta, r, d


@mistake(
    earns=1,
    hint="d is measured in *running* deviations: x̂·r + d should be (x - μ)/σ where nothing is "
    "clipped. Insert r and check.",
)
def divides_d_by_the_batch_deviation(
    x, gamma, beta, running_mean, running_var, r_max, d_max, eps=1e-5
):
    """d is divided by the deviation of the batch where the running one is asked."""
    mean, std = x.mean(axis=0), np.sqrt(x.var(axis=0) + eps)
    running_std = np.sqrt(running_var + eps)
    r = np.clip(std / running_std, 1 / r_max, r_max)
    d = np.clip((mean - running_mean) / std, -d_max, d_max)
    return gamma * ((x - mean) / std * r + d) + beta, r, d


@mistake(
    earns=1,
    hint="d is added to normalized values, so it must be free of units: divide μ_B - μ by the "
    "running deviation.",
)
def does_not_divide_d(x, gamma, beta, running_mean, running_var, r_max, d_max, eps=1e-5):
    """d is the difference of the means, not divided by any deviation."""
    mean, std = x.mean(axis=0), np.sqrt(x.var(axis=0) + eps)
    running_std = np.sqrt(running_var + eps)
    r = np.clip(std / running_std, 1 / r_max, r_max)
    d = np.clip(mean - running_mean, -d_max, d_max)
    return gamma * ((x - mean) / std * r + d) + beta, r, d


@mistake(
    earns=1,
    hint="`running_var` is a variance; r and d are made of deviations. Take the root of "
    "`running_var + eps`.",
)
def takes_the_variance_for_the_deviation(
    x, gamma, beta, running_mean, running_var, r_max, d_max, eps=1e-5
):
    """The running variance stands where its root should."""
    mean, std = x.mean(axis=0), np.sqrt(x.var(axis=0) + eps)
    r = np.clip(std / (running_var + eps), 1 / r_max, r_max)
    d = np.clip((mean - running_mean) / (running_var + eps), -d_max, d_max)
    return gamma * ((x - mean) / std * r + d) + beta, r, d


@mistake(
    earns=2,
    hint="r is the ratio of the deviations, not of the variances: take roots first.",
)
def takes_the_ratio_of_variances(x, gamma, beta, running_mean, running_var, r_max, d_max, eps=1e-5):
    """r is the ratio of the variances, without a root."""
    mean, var = x.mean(axis=0), x.var(axis=0) + eps
    running_std = np.sqrt(running_var + eps)
    r = np.clip(var / (running_var + eps), 1 / r_max, r_max)
    d = np.clip((mean - running_mean) / running_std, -d_max, d_max)
    return gamma * ((x - mean) / np.sqrt(var) * r + d) + beta, r, d


@mistake(
    earns=2,
    hint="Multiplying by r should turn a division by σ_B into one by σ: r = σ_B/σ.",
)
def turns_r_upside_down(x, gamma, beta, running_mean, running_var, r_max, d_max, eps=1e-5):
    """r is the running deviation divided by the batch's: upside down."""
    mean, std = x.mean(axis=0), np.sqrt(x.var(axis=0) + eps)
    running_std = np.sqrt(running_var + eps)
    r = np.clip(running_std / std, 1 / r_max, r_max)
    d = np.clip((mean - running_mean) / running_std, -d_max, d_max)
    return gamma * ((x - mean) / std * r + d) + beta, r, d


@mistake(
    earns=1,
    hint="What is subtracted too much, μ_B in place of μ, has to be given back: d = (μ_B - μ)/σ.",
)
def gives_d_the_wrong_sign(x, gamma, beta, running_mean, running_var, r_max, d_max, eps=1e-5):
    """d has the wrong sign: the batch mean is subtracted from the running mean."""
    mean, std = x.mean(axis=0), np.sqrt(x.var(axis=0) + eps)
    running_std = np.sqrt(running_var + eps)
    r = np.clip(std / running_std, 1 / r_max, r_max)
    d = np.clip((running_mean - mean) / running_std, -d_max, d_max)
    return gamma * ((x - mean) / std * r + d) + beta, r, d


@mistake(
    earns=5,
    hint="d is already in running deviations, and r must not scale it again: x̂·r + d.",
)
def multiplies_d_by_r(x, gamma, beta, running_mean, running_var, r_max, d_max, eps=1e-5):
    """d is added before r multiplies: (x̂ + d)·r."""
    mean, std = x.mean(axis=0), np.sqrt(x.var(axis=0) + eps)
    running_std = np.sqrt(running_var + eps)
    r = np.clip(std / running_std, 1 / r_max, r_max)
    d = np.clip((mean - running_mean) / running_std, -d_max, d_max)
    return gamma * ((x - mean) / std + d) * r + beta, r, d


@mistake(
    earns=5,
    hint="r and d correct the normalized value; γ and β act on the corrected one: γ·(x̂·r + d) + β.",
)
def adds_d_beside_beta(x, gamma, beta, running_mean, running_var, r_max, d_max, eps=1e-5):
    """d is added after γ has multiplied: γ·x̂·r + d + β."""
    mean, std = x.mean(axis=0), np.sqrt(x.var(axis=0) + eps)
    running_std = np.sqrt(running_var + eps)
    r = np.clip(std / running_std, 1 / r_max, r_max)
    d = np.clip((mean - running_mean) / running_std, -d_max, d_max)
    return gamma * (x - mean) / std * r + d + beta, r, d


@mistake(
    earns=5,
    hint="r and d are there to be used: x̂ = (x - μ_B)/σ_B · r + d.",
)
def computes_r_and_d_in_vain(x, gamma, beta, running_mean, running_var, r_max, d_max, eps=1e-5):
    """r and d are right, but y is that of plain batch normalization."""
    mean, std = x.mean(axis=0), np.sqrt(x.var(axis=0) + eps)
    running_std = np.sqrt(running_var + eps)
    r = np.clip(std / running_std, 1 / r_max, r_max)
    d = np.clip((mean - running_mean) / running_std, -d_max, d_max)
    return gamma * (x - mean) / std + beta, r, d


@mistake(
    earns=4,
    hint="r and d already bring the running statistics in; with them x is normalized by those of "
    "the *batch*: (x - μ_B)/σ_B.",
)
def corrects_inference(x, gamma, beta, running_mean, running_var, r_max, d_max, eps=1e-5):
    """x is normalized by the running statistics, and r and d correct it once more."""
    mean, std = x.mean(axis=0), np.sqrt(x.var(axis=0) + eps)
    running_std = np.sqrt(running_var + eps)
    r = np.clip(std / running_std, 1 / r_max, r_max)
    d = np.clip((mean - running_mean) / running_std, -d_max, d_max)
    return gamma * ((x - running_mean) / running_std * r + d) + beta, r, d


@mistake(
    earns=11,
    hint="`running_var` is without ε, like the batch's variance: add `eps` under both roots.",
)
def forgets_eps_in_the_running_deviation(
    x, gamma, beta, running_mean, running_var, r_max, d_max, eps=1e-5
):
    """ε is missing in the running deviation."""
    mean, std = x.mean(axis=0), np.sqrt(x.var(axis=0) + eps)
    running_std = np.sqrt(running_var)
    r = np.clip(std / running_std, 1 / r_max, r_max)
    d = np.clip((mean - running_mean) / running_std, -d_max, d_max)
    return gamma * ((x - mean) / std * r + d) + beta, r, d


@mistake(earns=11, hint=EPS_OUTSIDE_HINT)
def renorm_adds_eps_outside_the_roots(
    x, gamma, beta, running_mean, running_var, r_max, d_max, eps=1e-5
):
    """ε is added to the standard deviations, outside the roots."""
    mean, std = x.mean(axis=0), x.std(axis=0) + eps
    running_std = np.sqrt(running_var) + eps
    r = np.clip(std / running_std, 1 / r_max, r_max)
    d = np.clip((mean - running_mean) / running_std, -d_max, d_max)
    return gamma * ((x - mean) / std * r + d) + beta, r, d


@mistake(
    earns=4,
    hint="In the normalization the variance is the biased one; the unbiased one belongs in the "
    "running average only.",
)
def renorm_divides_by_n_minus_1(x, gamma, beta, running_mean, running_var, r_max, d_max, eps=1e-5):
    """The variance of the batch divides by N - 1."""
    mean, var = x.mean(axis=0), ((x - x.mean(axis=0)) ** 2).sum(axis=0) / max(len(x) - 1, 1)
    std, running_std = np.sqrt(var + eps), np.sqrt(running_var + eps)
    r = np.clip(std / running_std, 1 / r_max, r_max)
    d = np.clip((mean - running_mean) / running_std, -d_max, d_max)
    return gamma * ((x - mean) / std * r + d) + beta, r, d


@mistake(earns=11, hint=PROMOTION_HINT)
def renorm_promotes_to_float64(x, gamma, beta, running_mean, running_var, r_max, d_max, eps=1e-5):
    """y is float64 even when all arguments are float32."""
    x = x.astype(np.float64)
    mean, std = x.mean(axis=0), np.sqrt(x.var(axis=0) + eps)
    running_std = np.sqrt(running_var + eps)
    r = np.clip(std / running_std, 1 / r_max, r_max)
    d = np.clip((mean - running_mean) / running_std, -d_max, d_max)
    return gamma * ((x - mean) / std * r + d) + beta, r, d


@mistake(
    earns=1,
    hint="r and d belong to the running statistics *before* this batch. Here they are not updated "
    "at all: that is another function's work, and comes after.",
)
def updates_the_running_statistics_first(
    x, gamma, beta, running_mean, running_var, r_max, d_max, eps=1e-5
):
    """The running statistics are updated with this batch before r and d are computed."""
    mean, var = x.mean(axis=0), x.var(axis=0)
    running_mean = 0.9 * running_mean + 0.1 * mean
    running_var = 0.9 * running_var + 0.1 * var
    std, running_std = np.sqrt(var + eps), np.sqrt(running_var + eps)
    r = np.clip(std / running_std, 1 / r_max, r_max)
    d = np.clip((mean - running_mean) / running_std, -d_max, d_max)
    return gamma * ((x - mean) / std * r + d) + beta, r, d


@mistake(
    earns=11,
    hint="`running_mean += …` writes into the caller's array. Here nothing is updated: that is "
    "another function's work.",
)
def updates_the_callers_statistics(
    x, gamma, beta, running_mean, running_var, r_max, d_max, eps=1e-5
):
    """The caller's running statistics are updated in place."""
    mean, std = x.mean(axis=0), np.sqrt(x.var(axis=0) + eps)
    running_std = np.sqrt(running_var + eps)
    r = np.clip(std / running_std, 1 / r_max, r_max)
    d = np.clip((mean - running_mean) / running_std, -d_max, d_max)
    y = gamma * ((x - mean) / std * r + d) + beta
    running_mean += 0.1 * (mean - running_mean)
    running_var += 0.1 * (x.var(axis=0) - running_var)
    return y, r, d


@mistake(earns=0, hint="Return all three: `return y, r, d`.")
def renorm_returns_y_only(x, gamma, beta, running_mean, running_var, r_max, d_max, eps=1e-5):
    """Only y is returned, without r and d."""
    mean, std = x.mean(axis=0), np.sqrt(x.var(axis=0) + eps)
    running_std = np.sqrt(running_var + eps)
    r = np.clip(std / running_std, 1 / r_max, r_max)
    d = np.clip((mean - running_mean) / running_std, -d_max, d_max)
    return gamma * ((x - mean) / std * r + d) + beta


@mistake(earns=5, hint="The order is y, r, d.")
def exchanges_r_and_d(x, gamma, beta, running_mean, running_var, r_max, d_max, eps=1e-5):
    """r and d are returned in the wrong order."""
    mean, std = x.mean(axis=0), np.sqrt(x.var(axis=0) + eps)
    running_std = np.sqrt(running_var + eps)
    r = np.clip(std / running_std, 1 / r_max, r_max)
    d = np.clip((mean - running_mean) / running_std, -d_max, d_max)
    return gamma * ((x - mean) / std * r + d) + beta, d, r


def renorm_as_one_affine_map(x, gamma, beta, running_mean, running_var, r_max, d_max, eps=1e-5):
    mean, std = np.mean(x, axis=0), np.sqrt(np.var(x, axis=0) + eps)
    running_std = np.sqrt(running_var + eps)
    r = np.maximum(1 / r_max, np.minimum(r_max, std / running_std))
    d = np.minimum(np.maximum((mean - running_mean) / running_std, -d_max), d_max)
    scale = gamma * r / std
    return scale * (x - mean) + (gamma * d + beta), r, d


def renorm_by_features(x, gamma, beta, running_mean, running_var, r_max, d_max, eps=1e-5):
    y, D = np.empty_like(x), x.shape[1]
    r, d = np.empty(D), np.empty(D)
    for j in range(D):
        mean, std = x[:, j].mean(), (x[:, j].var() + eps) ** 0.5
        running_std = (running_var[j] + eps) ** 0.5
        r[j] = min(max(std / running_std, 1 / r_max), r_max)
        d[j] = min(max((mean - running_mean[j]) / running_std, -d_max), d_max)
        y[:, j] = gamma[j] * ((x[:, j] - mean) / std * r[j] + d[j]) + beta[j]
    return y, r, d


# --- the chapter -----------------------------------------------------------------------------

CHAPTER = Chapter(
    slug="relatives",
    title="When it fails, and what to use instead",
    exercises=(
        Exercise(
            name="normalize",
            reference=normalize,
            probes=(
                one_axis_of_a_table,
                several_axes_of_images,
                groups_after_a_reshape,
                normalize_eps,
                constants_become_zero,
                square_tables,
                normalize_far_from_zero,
                normalize_leaves_x_alone,
                other_ways_to_name_axes,
            ),
            mistakes=(
                normalize_over_the_other_axes,
                normalize_without_keepdims,
                normalize_always_over_the_batch,
                normalize_always_over_the_last_axis,
                normalize_the_whole_array,
                normalize_one_axis_after_the_other,
                normalize_over_the_first_axis_only,
                normalize_averages_the_deviations,
                normalize_with_the_spread_of_everything,
                normalize_needs_a_tuple,
                normalize_divides_by_m_minus_1,
                normalize_divides_by_the_variance,
                normalize_adds_eps_outside_the_root,
                normalize_ignores_eps,
                normalize_subtracts_eps,
                normalize_uses_its_own_eps,
                normalize_has_the_default_eps_of_keras,
                normalize_forgets_to_center,
                normalize_only_centers,
                normalize_in_one_pass,
                normalize_changes_its_input,
                normalize_promotes_to_float64,
            ),
            alternatives=(
                normalize_by_numpy,
                normalize_with_expand_dims,
                normalize_a_table_of_sets,
            ),
            tolerance=TOLERANCE,
        ),
        Exercise(
            name="layernorm_forward",
            reference=layernorm_forward,
            probes=(
                each_sample_is_normalized,
                what_the_cache_holds,
                a_sample_alone,
                tokens_are_samples,
                as_many_samples_as_features,
                layernorm_eps,
                layernorm_float32_and_untouched,
            ),
            mistakes=(
                layernorm_over_the_batch,
                layernorm_with_running_statistics,
                layernorm_over_everything,
                layernorm_over_axis_1,
                layernorm_over_whole_sequences,
                layernorm_with_gamma_per_sample,
                layernorm_without_keepdims,
                layernorm_without_the_mean,
                layernorm_divides_by_d_minus_1,
                layernorm_divides_by_the_variance,
                layernorm_adds_eps_outside_the_root,
                layernorm_ignores_eps,
                layernorm_uses_its_own_eps,
                layernorm_has_the_default_eps_of_keras,
                layernorm_shifts_before_scaling,
                layernorm_without_gamma_and_beta,
                layernorm_without_beta,
                layernorm_after_its_cache,
                layernorm_exchanges_gamma_and_beta,
                layernorm_caches_y,
                layernorm_caches_std_without_eps,
                layernorm_caches_the_variance,
                layernorm_caches_a_flat_std,
                layernorm_caches_the_inverse,
                layernorm_caches_x_hat_with_gamma,
                layernorm_changes_its_input,
                layernorm_promotes_to_float64,
                layernorm_in_one_pass,
                layernorm_returns_y_only,
            ),
            alternatives=(
                layernorm_by_numpy,
                layernorm_by_rows,
                layernorm_by_transposition,
            ),
            tolerance=TOLERANCE,
        ),
        Exercise(
            name="layernorm_backward",
            reference=layernorm_backward,
            probes=(
                layer_parameters,
                layer_input,
                layer_rows_sum_to_zero,
                layer_rows_are_orthogonal_to_x_hat,
                layer_samples_are_independent,
                layer_of_sequences,
                layer_inputs_are_left_alone,
                layer_with_a_large_eps,
            ),
            mistakes=(
                layer_copied_from_batch_normalization,
                layer_with_gamma_outside_the_means,
                layer_transposes_the_parameters_too,
                layer_divides_by_the_batch_size,
                layer_treats_statistics_as_constants,
                layer_misses_the_mean_path,
                layer_misses_the_variance_path,
                layer_misses_the_direct_path,
                layer_forgets_gamma,
                layer_forgets_the_deviation,
                layer_divides_by_the_variance,
                layer_sums_where_means_belong,
                layer_forgets_x_hat_in_the_variance_term,
                layer_adds_the_variance_term,
                layer_averages_over_everything,
                layer_divides_by_d_minus_1,
                layer_dgamma_from_g,
                layer_averages_the_parameters,
                layer_keeps_the_tokens,
                layer_means_over_axis_1,
                layer_keeps_the_batch_axis,
                layer_exchanges_dgamma_and_dbeta,
                layer_changes_dy,
                layer_adds_up_in_float64,
            ),
            alternatives=(
                layer_backward_by_transposition,
                layer_backward_by_einsum,
                layer_backward_by_jacobians,
            ),
            tolerance=EXACT,
        ),
        Exercise(
            name="groupnorm_forward",
            reference=groupnorm_forward,
            probes=(
                groups_of_channels,
                one_group_is_layer_normalization,
                a_group_per_channel_is_instance_normalization,
                an_image_alone,
                as_wide_as_channels,
                groups_eps,
                unequal_groups_are_refused,
                groups_float32_and_untouched,
            ),
            mistakes=(
                averages_over_the_groups,
                takes_groups_for_the_group_size,
                takes_every_gth_channel,
                pools_the_groups_over_the_batch,
                groups_the_images,
                instance_where_group_is_meant,
                layer_where_group_is_meant,
                batch_where_group_is_meant,
                normalizes_groups_pixel_by_pixel,
                groups_as_if_channels_came_last,
                lets_gamma_run_along_the_width,
                has_one_gamma_per_group,
                averages_the_variances_of_the_channels,
                leaves_the_groups_apart,
                cuts_through_channels,
                asserts_where_it_should_raise,
                groups_divide_by_m_minus_1,
                groups_divide_by_the_variance,
                groups_add_eps_outside_the_root,
                groups_ignore_eps,
                groups_without_gamma_and_beta,
                groups_change_their_input,
                groups_promote_to_float64,
            ),
            alternatives=(
                groups_in_five_axes,
                groups_in_a_loop,
                groups_by_splitting,
            ),
            tolerance=TOLERANCE,
        ),
        Exercise(
            name="rmsnorm_forward",
            reference=rmsnorm_forward,
            probes=(
                divided_by_the_root_mean_square,
                the_mean_stays,
                tokens_by_themselves,
                rms_of_square_tables,
                rms_eps,
                rms_float32_and_untouched,
            ),
            mistakes=(
                rms_subtracts_the_mean,
                rms_divides_by_the_deviation,
                rms_centers_the_numerator,
                rms_sums_the_squares,
                rms_without_the_root,
                rms_squares_the_mean,
                rms_takes_absolute_values,
                rms_adds_eps_outside_the_root,
                rms_ignores_eps,
                rms_uses_its_own_eps,
                rms_has_another_default_eps,
                rms_without_gamma,
                rms_scales_by_one_plus_gamma,
                rms_over_the_batch,
                rms_over_everything,
                rms_over_axis_1,
                rms_over_whole_sequences,
                rms_without_keepdims,
                rms_with_gamma_per_sample,
                rms_changes_its_input,
                rms_promotes_to_float64,
            ),
            alternatives=(
                rms_by_norms,
                rms_by_einsum,
            ),
            tolerance=TOLERANCE,
        ),
        Exercise(
            name="merge_statistics",
            reference=merge_statistics,
            probes=(
                merged_count,
                merged_mean,
                merged_variance,
                workers_of_equal_size,
                workers_with_one_sample,
                one_worker,
                merging_in_stages,
                merging_far_from_zero,
                reports_are_left_alone,
                idle_workers,
            ),
            mistakes=(
                merges_by_plain_averages,
                misses_what_lies_between,
                weighs_every_worker_the_same,
                weighs_the_distances_the_same,
                measures_from_the_plain_mean,
                adds_the_plain_variance_of_the_means,
                does_not_square_the_distances,
                adds_the_squares_of_the_means,
                subtracts_the_distances,
                merges_mean_squares,
                merges_to_an_unbiased_variance,
                weighs_variances_by_n_minus_1,
                merges_deviations,
                merges_to_a_deviation,
                merges_to_a_sum_of_squares,
                counts_the_workers,
                halves_at_every_step,
                measures_after_the_mean_has_moved,
                idle_workers_spoil_everything,
                merges_in_place,
                overwrites_idle_workers,
                merges_in_another_order,
            ),
            alternatives=(
                merge_one_after_the_other,
                merge_around_the_first,
                merge_by_np_average,
            ),
            tolerance=ROUGH,
        ),
        Exercise(
            name="batch_renorm_forward",
            reference=batch_renorm_forward,
            probes=(
                corrections,
                unlimited_is_inference,
                closed_limits_are_batch_normalization,
                clipped_corrections,
                clipped_before_use,
                renorm_eps,
                running_statistics_are_left_alone,
                renorm_of_one_sample,
            ),
            mistakes=(
                clips_after_use,
                does_not_clip,
                does_not_clip_r,
                does_not_clip_d,
                clips_r_at_one,
                subtracts_d,
                returns_r_and_d_before_clipping,
                clips_r_from_above_only,
                clips_d_from_above_only,
                clips_both_from_above_only,
                clips_d_at_zero,
                divides_d_by_the_batch_deviation,
                does_not_divide_d,
                takes_the_variance_for_the_deviation,
                takes_the_ratio_of_variances,
                turns_r_upside_down,
                gives_d_the_wrong_sign,
                multiplies_d_by_r,
                adds_d_beside_beta,
                computes_r_and_d_in_vain,
                corrects_inference,
                forgets_eps_in_the_running_deviation,
                renorm_adds_eps_outside_the_roots,
                renorm_divides_by_n_minus_1,
                renorm_promotes_to_float64,
                updates_the_running_statistics_first,
                updates_the_callers_statistics,
                renorm_returns_y_only,
                exchanges_r_and_d,
            ),
            alternatives=(
                renorm_as_one_affine_map,
                renorm_by_features,
            ),
            tolerance=TOLERANCE,
        ),
    ),
)
