"""Batch normalization, backward: what its exercises ask, and the mistakes that people make in them.

``x``, ``dy`` and ``dx`` have the shape (N, D), or (N, C, H, W) for images; ``gamma``, ``mean`` and
``var`` the shape (D,) or (C,). The forward pass is given in the notebook, and hands over a ``cache``:

    {"x": x, "mean": mean, "var": var, "x_hat": x_hat, "gamma": gamma, "eps": eps}

with the biased variance. The probes build their own caches, so that nobody pays here for a mistake
made in the forward pass. References agree with PyTorch's autograd and with finite differences.

The code of mistakes and alternatives is written as students write it, and stands alone: it uses
nothing but NumPy, its arguments, and the notebook's `FUNCTIONS`.
"""

import numpy as np

from autograder import paths
from autograder.exercise import Argument, Chapter, Exercise, Explained, Tolerance, mistake, probe

TOLERANCE = Tolerance(relative=1e-6, absolute=1e-9)
# In float64 right answers agree to about 1e-13. float32 anywhere in between leaves 1e-8: too much.
EXACT = Tolerance(relative=1e-9, absolute=3e-10)
# The same where differences, which leave 1e-10, are accepted, too.
CLOSE = Tolerance(relative=1e-9, absolute=1e-9)
# Gradients that were found by differences carry rounding errors of about 1e-10.
NUMERICAL = Tolerance(relative=1e-5, absolute=1e-8)

SCALES = np.array([0.5, 2.0, 6.0, 0.1])
CENTERS = np.array([1.0, -3.0, 20.0, 0.4])
GAMMA = np.array([1.5, -0.7, 0.4, 2.5])

FUNCTIONS = {
    "cube": lambda x: x**3,
    "energy": lambda x: (x**2).sum(axis=1),
    "relu": lambda x: np.maximum(x, 0),
    "standardize": lambda x: (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5),
}
"""What `gradient_check` is tried on; the same as in the notebook."""

ANY_STEP = "a step twice or half as long finds the same derivative, within the tolerance"
SAME_SHAPE = "a gradient has the shape of its variable"

IN_PLACE_HINT = (
    "`dy *= gamma` writes into the caller's array, and the caller will use it again. "
    "`dx_hat = dy * gamma` makes a new array. The same holds for the arrays in the cache."
)
EPS_HINT = (
    "The forward pass divided by `np.sqrt(var + eps)`: the backward pass has to use the very same "
    "number. `var` in the cache is without eps, so it is added once, under the root."
)
SUM_HINT = (
    "One parameter acts on all N samples, and contributions of paths that meet are *added*. A mean "
    "over the batch belongs in the loss, if anywhere, not here."
)
DGAMMA_HINT = (
    "The derivative of y = gamma * x_hat + beta with respect to gamma is what gamma is multiplied "
    "by: the *normalized* input."
)
KEEPDIMS_HINT = (
    "A gradient has the shape of its variable. gamma and beta have the shape (D,), so leave out "
    "`keepdims=True`."
)
NO_MEAN_HINT = (
    "Moving one sample moves the batch mean, and with it every output. Follow that path, too: a "
    "constant added to all samples changes nothing, so each column of dx must sum to 0."
)
NO_VARIANCE_HINT = (
    "Moving one sample changes the variance of the batch, and with it every output. Follow that "
    "path, too: it adds a multiple of x_hat to each column. Up to eps, dx is then orthogonal to "
    "x_hat; derive the term rather than project, for with eps the two are not quite the same."
)
CONSTANTS_HINT = (
    "Mean and variance are computed from x, so they move when x moves. Two more paths lead from y "
    "back to x, one through each of them."
)


def batch(rng, n=8):
    """Input and incoming gradient of a layer with four features of different scales.

    The gradient has a mean and a correlation with x_hat, so that all three paths count.
    """
    x = rng.normal(size=(n, 4)) * SCALES + CENTERS
    dy = rng.normal(size=(n, 4)) + 0.8 * (x - CENTERS) / SCALES + np.array([0.5, -1.0, 1.5, 0.7])
    return x, dy


def cached(x, gamma=GAMMA, eps=1e-5):
    """The cache of the notebook's forward pass."""
    mean, var = x.mean(axis=0), x.var(axis=0)
    return {
        "x": x.copy(),
        "mean": mean,
        "var": var,
        "x_hat": (x - mean) / np.sqrt(var + eps),
        "gamma": gamma.copy(),
        "eps": eps,
    }


def explained(dx, dy, cache):
    """An observed dx, with what a fit to dy, 1 and x_hat says about it."""
    std = np.sqrt(cache["var"] + cache["eps"])
    return Explained(dx, paths.explain(dy, cache["x_hat"], cache["gamma"], std))


# Far above the tolerances here, and far below every gradient.
LEAST = 1e-6


def not_zero(dx):
    """Whether there is a gradient at all: zeros have many properties of the right one.

    So has, within the tolerance, what is as small as that.
    """
    return bool((np.abs(dx) > LEAST).any())


def doubles(dx, twice):
    """Whether there is a gradient, and another one, twice as large, for twice the dy.

    Any constant is orthogonal to x_hat, and any centered numbers sum to 0.
    """
    finite = bool(np.isfinite(dx).all())
    return finite and not_zero(dx) and bool(np.allclose(twice, 2 * dx, rtol=1e-6))


def untouched(dy, cache):
    """The arrays that were handed over, to see whether they were changed.

    The dict itself was handed over as a copy: what becomes of its entries does not count.
    """
    arrays = {f'cache["{k}"]': Argument(cache[k]) for k in ("x", "mean", "var", "x_hat", "gamma")}
    return {"dy": Argument(dy), **arrays}


# --- batchnorm_backward_staged ---------------------------------------------------------------


def batchnorm_backward_staged(dy, cache):
    N = len(dy)
    centered = cache["x"] - cache["mean"]
    std = np.sqrt(cache["var"] + cache["eps"])
    dbeta = dy.sum(axis=0)
    dgamma = (dy * cache["x_hat"]).sum(axis=0)
    dx_hat = dy * cache["gamma"]
    dinv_std = (dx_hat * centered).sum(axis=0)
    dstd = -dinv_std / std**2
    dvar = dstd / (2 * std)
    dsquared = np.ones_like(dy) * dvar / N
    dcentered = dx_hat / std + 2 * centered * dsquared
    dmean = -dcentered.sum(axis=0)
    dx = dcentered + dmean / N
    return {
        "dbeta": dbeta,
        "dgamma": dgamma,
        "dx_hat": dx_hat,
        "dinv_std": dinv_std,
        "dstd": dstd,
        "dvar": dvar,
        "dsquared": dsquared,
        "dcentered": dcentered,
        "dmean": dmean,
        "dx": dx,
    }


@probe(2)
def staged_parameters(f, rng):
    """dbeta and dgamma, of shape (D,), collect what all N samples contribute."""
    x, dy = batch(rng)
    grads = f(dy, cached(x))
    return {"dbeta": grads["dbeta"], "dgamma": grads["dgamma"]}


@probe(1)
def staged_x_hat(f, rng):
    """dx_hat is what arrives at the normalized input."""
    x, dy = batch(rng)
    return {"dx_hat": f(dy, cached(x))["dx_hat"]}


@probe(1)
def staged_inv_std(f, rng):
    """dinv_std, of shape (D,), is what arrives at 1/std, which all samples are multiplied by."""
    x, dy = batch(rng)
    return {"dinv_std": f(dy, cached(x))["dinv_std"]}


@probe(1)
def staged_std(f, rng):
    """dstd has passed the reciprocal."""
    x, dy = batch(rng)
    return {"dstd": f(dy, cached(x))["dstd"]}


@probe(1)
def staged_var(f, rng):
    """dvar has passed the square root."""
    x, dy = batch(rng)
    return {"dvar": f(dy, cached(x))["dvar"]}


@probe(1)
def staged_squared(f, rng):
    """dsquared, of shape (N, D), has passed the mean over the batch."""
    x, dy = batch(rng)
    return {"dsquared": f(dy, cached(x))["dsquared"]}


@probe(2)
def staged_centered(f, rng):
    """At the centered input two paths meet: dcentered is their sum."""
    x, dy = batch(rng)
    return {"dcentered": f(dy, cached(x))["dcentered"]}


@probe(1)
def staged_mean(f, rng):
    """dmean, of shape (D,), is what arrives at the mean, which was subtracted from all samples."""
    x, dy = batch(rng)
    return {"dmean": f(dy, cached(x))["dmean"]}


@probe(1)
def staged_x(f, rng):
    """At the input, the path through the mean joins the other two: dx is the whole gradient."""
    x, dy = batch(rng)
    cache = cached(x)
    return {"dx": explained(f(dy, dict(cache))["dx"], dy, cache)}


@probe(1)
def staged_leaves_its_inputs_alone(f, rng):
    """dy and the arrays in the cache are left as they were."""
    x, dy = batch(rng)
    cache = cached(x)
    grads = f(dy, dict(cache))
    return {**untouched(dy, cache), "dx_hat": grads["dx_hat"], "dbeta": grads["dbeta"]}


@probe(1, hidden=True)
def staged_with_a_large_eps(f, rng):
    """eps counts exactly as it did in the forward pass, also when it is as large as the variance."""
    x, dy = batch(rng, 6)
    grads = f(dy, cached(x, eps=0.3))
    return {name: grads[name] for name in ("dinv_std", "dstd", "dvar")}


@mistake(earns=10, hint=NO_VARIANCE_HINT)
def staged_without_the_variance_path(dy, cache):
    """dcentered holds the direct path only: what comes back through the variance is not added."""
    N = len(dy)
    centered = cache["x"] - cache["mean"]
    std = np.sqrt(cache["var"] + cache["eps"])
    dx_hat = dy * cache["gamma"]
    dinv_std = (dx_hat * centered).sum(axis=0)
    dstd = -dinv_std / std**2
    dvar = dstd / (2 * std)
    dsquared = np.ones_like(dy) * dvar / N
    dcentered = dx_hat / std
    dmean = -dcentered.sum(axis=0)
    return {
        "dbeta": dy.sum(axis=0),
        "dgamma": (dy * cache["x_hat"]).sum(axis=0),
        "dx_hat": dx_hat,
        "dinv_std": dinv_std,
        "dstd": dstd,
        "dvar": dvar,
        "dsquared": dsquared,
        "dcentered": dcentered,
        "dmean": dmean,
        "dx": dcentered + dmean / N,
    }


@mistake(
    earns=11,
    hint="Two paths meet at the centered input: dcentered has to hold the sum of both, and then dx "
    "needs only the path through the mean besides. What comes through the variance adds "
    "nothing to dmean.",
)
def staged_adds_the_variance_path_to_dx(dy, cache):
    """dcentered holds the direct path only; what comes back through the variance is added in dx."""
    N = len(dy)
    centered = cache["x"] - cache["mean"]
    std = np.sqrt(cache["var"] + cache["eps"])
    dx_hat = dy * cache["gamma"]
    dinv_std = (dx_hat * centered).sum(axis=0)
    dstd = -dinv_std / std**2
    dvar = dstd / (2 * std)
    dsquared = np.ones_like(dy) * dvar / N
    dcentered = dx_hat / std
    dmean = -dcentered.sum(axis=0)
    return {
        "dbeta": dy.sum(axis=0),
        "dgamma": (dy * cache["x_hat"]).sum(axis=0),
        "dx_hat": dx_hat,
        "dinv_std": dinv_std,
        "dstd": dstd,
        "dvar": dvar,
        "dsquared": dsquared,
        "dcentered": dcentered,
        "dmean": dmean,
        "dx": dcentered + 2 * centered * dsquared + dmean / N,
    }


@mistake(
    earns=9,
    hint="x_hat is a product: centered * inv_std. The path back through its first factor is the "
    "direct one; add it to what comes back through the variance.",
)
def staged_without_the_direct_path(dy, cache):
    """dcentered holds the path through the variance only: the direct path is not added."""
    N = len(dy)
    centered = cache["x"] - cache["mean"]
    std = np.sqrt(cache["var"] + cache["eps"])
    dx_hat = dy * cache["gamma"]
    dinv_std = (dx_hat * centered).sum(axis=0)
    dstd = -dinv_std / std**2
    dvar = dstd / (2 * std)
    dsquared = np.ones_like(dy) * dvar / N
    dcentered = 2 * centered * dsquared
    dmean = -dcentered.sum(axis=0)
    return {
        "dbeta": dy.sum(axis=0),
        "dgamma": (dy * cache["x_hat"]).sum(axis=0),
        "dx_hat": dx_hat,
        "dinv_std": dinv_std,
        "dstd": dstd,
        "dvar": dvar,
        "dsquared": dsquared,
        "dcentered": dcentered,
        "dmean": dmean,
        "dx": dcentered + dmean / N,
    }


@mistake(earns=12, hint=NO_MEAN_HINT)
def staged_without_the_mean_path(dy, cache):
    """dx is dcentered alone: what comes back through the mean, dmean / N, is not added."""
    N = len(dy)
    centered = cache["x"] - cache["mean"]
    std = np.sqrt(cache["var"] + cache["eps"])
    dx_hat = dy * cache["gamma"]
    dinv_std = (dx_hat * centered).sum(axis=0)
    dstd = -dinv_std / std**2
    dvar = dstd / (2 * std)
    dsquared = np.ones_like(dy) * dvar / N
    dcentered = dx_hat / std + 2 * centered * dsquared
    dmean = -dcentered.sum(axis=0)
    return {
        "dbeta": dy.sum(axis=0),
        "dgamma": (dy * cache["x_hat"]).sum(axis=0),
        "dx_hat": dx_hat,
        "dinv_std": dinv_std,
        "dstd": dstd,
        "dvar": dvar,
        "dsquared": dsquared,
        "dcentered": dcentered,
        "dmean": dmean,
        "dx": dcentered,
    }


@mistake(
    earns=11,
    hint="`dx = dcentered` is another name for the same array, and `dx += ...` changes it. "
    "`dx = dcentered + dmean / N` makes a new one.",
)
def staged_changes_dcentered(dy, cache):
    """dmean / N is added to dcentered in place, so that the dict holds dx under both names."""
    N = len(dy)
    centered = cache["x"] - cache["mean"]
    std = np.sqrt(cache["var"] + cache["eps"])
    dx_hat = dy * cache["gamma"]
    dinv_std = (dx_hat * centered).sum(axis=0)
    dstd = -dinv_std / std**2
    dvar = dstd / (2 * std)
    dsquared = np.ones_like(dy) * dvar / N
    dcentered = dx_hat / std + 2 * centered * dsquared
    dmean = -dcentered.sum(axis=0)
    dx = dcentered
    dx += dmean / N
    return {
        "dbeta": dy.sum(axis=0),
        "dgamma": (dy * cache["x_hat"]).sum(axis=0),
        "dx_hat": dx_hat,
        "dinv_std": dinv_std,
        "dstd": dstd,
        "dvar": dvar,
        "dsquared": dsquared,
        "dcentered": dcentered,
        "dmean": dmean,
        "dx": dx,
    }


@mistake(
    earns=12,
    hint="Each sample is only one N-th of the mean. What arrives at the mean is handed on to every "
    "sample divided by N.",
)
def staged_hands_the_mean_on_undivided(dy, cache):
    """dmean is added to every sample without being divided by N."""
    N = len(dy)
    centered = cache["x"] - cache["mean"]
    std = np.sqrt(cache["var"] + cache["eps"])
    dx_hat = dy * cache["gamma"]
    dinv_std = (dx_hat * centered).sum(axis=0)
    dstd = -dinv_std / std**2
    dvar = dstd / (2 * std)
    dsquared = np.ones_like(dy) * dvar / N
    dcentered = dx_hat / std + 2 * centered * dsquared
    dmean = -dcentered.sum(axis=0)
    return {
        "dbeta": dy.sum(axis=0),
        "dgamma": (dy * cache["x_hat"]).sum(axis=0),
        "dx_hat": dx_hat,
        "dinv_std": dinv_std,
        "dstd": dstd,
        "dvar": dvar,
        "dsquared": dsquared,
        "dcentered": dcentered,
        "dmean": dmean,
        "dx": dcentered + dmean,
    }


@mistake(earns=11, hint="The mean is *subtracted* in centered = x - mean: its derivative is -1.")
def staged_with_the_wrong_sign_of_dmean(dy, cache):
    """dmean has the wrong sign, and with it the term of the mean in dx."""
    N = len(dy)
    centered = cache["x"] - cache["mean"]
    std = np.sqrt(cache["var"] + cache["eps"])
    dx_hat = dy * cache["gamma"]
    dinv_std = (dx_hat * centered).sum(axis=0)
    dstd = -dinv_std / std**2
    dvar = dstd / (2 * std)
    dsquared = np.ones_like(dy) * dvar / N
    dcentered = dx_hat / std + 2 * centered * dsquared
    dmean = dcentered.sum(axis=0)
    return {
        "dbeta": dy.sum(axis=0),
        "dgamma": (dy * cache["x_hat"]).sum(axis=0),
        "dx_hat": dx_hat,
        "dinv_std": dinv_std,
        "dstd": dstd,
        "dvar": dvar,
        "dsquared": dsquared,
        "dcentered": dcentered,
        "dmean": dmean,
        "dx": dcentered + dmean / N,
    }


@mistake(earns=10, hint="The derivative of c² is 2c: a factor 2 is missing.")
def staged_without_the_two_of_the_square(dy, cache):
    """The square is differentiated to `centered` where it should be `2 * centered`."""
    N = len(dy)
    centered = cache["x"] - cache["mean"]
    std = np.sqrt(cache["var"] + cache["eps"])
    dx_hat = dy * cache["gamma"]
    dinv_std = (dx_hat * centered).sum(axis=0)
    dstd = -dinv_std / std**2
    dvar = dstd / (2 * std)
    dsquared = np.ones_like(dy) * dvar / N
    dcentered = dx_hat / std + centered * dsquared
    dmean = -dcentered.sum(axis=0)
    return {
        "dbeta": dy.sum(axis=0),
        "dgamma": (dy * cache["x_hat"]).sum(axis=0),
        "dx_hat": dx_hat,
        "dinv_std": dinv_std,
        "dstd": dstd,
        "dvar": dvar,
        "dsquared": dsquared,
        "dcentered": dcentered,
        "dmean": dmean,
        "dx": dcentered + dmean / N,
    }


@mistake(earns=6, hint="The derivative of 1/s is -1/s²: mind the sign.")
def staged_with_the_wrong_sign_of_dstd(dy, cache):
    """The reciprocal is differentiated to +1/std² where it should be -1/std²."""
    N = len(dy)
    centered = cache["x"] - cache["mean"]
    std = np.sqrt(cache["var"] + cache["eps"])
    dx_hat = dy * cache["gamma"]
    dinv_std = (dx_hat * centered).sum(axis=0)
    dstd = dinv_std / std**2
    dvar = dstd / (2 * std)
    dsquared = np.ones_like(dy) * dvar / N
    dcentered = dx_hat / std + 2 * centered * dsquared
    dmean = -dcentered.sum(axis=0)
    return {
        "dbeta": dy.sum(axis=0),
        "dgamma": (dy * cache["x_hat"]).sum(axis=0),
        "dx_hat": dx_hat,
        "dinv_std": dinv_std,
        "dstd": dstd,
        "dvar": dvar,
        "dsquared": dsquared,
        "dcentered": dcentered,
        "dmean": dmean,
        "dx": dcentered + dmean / N,
    }


@mistake(earns=6, hint="The derivative of 1/s is -1/s²: s itself is squared, not only inverted.")
def staged_without_the_square_of_the_reciprocal(dy, cache):
    """The reciprocal is differentiated to -1/std where it should be -1/std²."""
    N = len(dy)
    centered = cache["x"] - cache["mean"]
    std = np.sqrt(cache["var"] + cache["eps"])
    dx_hat = dy * cache["gamma"]
    dinv_std = (dx_hat * centered).sum(axis=0)
    dstd = -dinv_std / std
    dvar = dstd / (2 * std)
    dsquared = np.ones_like(dy) * dvar / N
    dcentered = dx_hat / std + 2 * centered * dsquared
    dmean = -dcentered.sum(axis=0)
    return {
        "dbeta": dy.sum(axis=0),
        "dgamma": (dy * cache["x_hat"]).sum(axis=0),
        "dx_hat": dx_hat,
        "dinv_std": dinv_std,
        "dstd": dstd,
        "dvar": dvar,
        "dsquared": dsquared,
        "dcentered": dcentered,
        "dmean": dmean,
        "dx": dcentered + dmean / N,
    }


@mistake(earns=7, hint="The derivative of √v is 1/(2√v): a factor ½ is missing.")
def staged_forgets_the_half_of_the_root(dy, cache):
    """The root is differentiated to 1/std where it should be 1/(2 std)."""
    N = len(dy)
    centered = cache["x"] - cache["mean"]
    std = np.sqrt(cache["var"] + cache["eps"])
    dx_hat = dy * cache["gamma"]
    dinv_std = (dx_hat * centered).sum(axis=0)
    dstd = -dinv_std / std**2
    dvar = dstd / std
    dsquared = np.ones_like(dy) * dvar / N
    dcentered = dx_hat / std + 2 * centered * dsquared
    dmean = -dcentered.sum(axis=0)
    return {
        "dbeta": dy.sum(axis=0),
        "dgamma": (dy * cache["x_hat"]).sum(axis=0),
        "dx_hat": dx_hat,
        "dinv_std": dinv_std,
        "dstd": dstd,
        "dvar": dvar,
        "dsquared": dsquared,
        "dcentered": dcentered,
        "dmean": dmean,
        "dx": dcentered + dmean / N,
    }


@mistake(earns=7, hint="The derivative of √v is 1/(2√v): one half, *divided* by the root.")
def staged_multiplies_by_the_root(dy, cache):
    """dvar is multiplied by the root, `0.5 * std`, where it should be divided by `2 * std`."""
    N = len(dy)
    centered = cache["x"] - cache["mean"]
    std = np.sqrt(cache["var"] + cache["eps"])
    dx_hat = dy * cache["gamma"]
    dinv_std = (dx_hat * centered).sum(axis=0)
    dstd = -dinv_std / std**2
    dvar = 0.5 * std * dstd
    dsquared = np.ones_like(dy) * dvar / N
    dcentered = dx_hat / std + 2 * centered * dsquared
    dmean = -dcentered.sum(axis=0)
    return {
        "dbeta": dy.sum(axis=0),
        "dgamma": (dy * cache["x_hat"]).sum(axis=0),
        "dx_hat": dx_hat,
        "dinv_std": dinv_std,
        "dstd": dstd,
        "dvar": dvar,
        "dsquared": dsquared,
        "dcentered": dcentered,
        "dmean": dmean,
        "dx": dcentered + dmean / N,
    }


@mistake(
    earns=9,
    hint="Batch normalization divides by the *biased* variance, a mean over N squares. Going back "
    "through a mean divides by N, too.",
)
def staged_divides_by_n_minus_1(dy, cache):
    """The path through the variance is divided by N - 1 where the forward pass divided by N."""
    N = len(dy)
    centered = cache["x"] - cache["mean"]
    std = np.sqrt(cache["var"] + cache["eps"])
    dx_hat = dy * cache["gamma"]
    dinv_std = (dx_hat * centered).sum(axis=0)
    dstd = -dinv_std / std**2
    dvar = dstd / (2 * std)
    dsquared = np.ones_like(dy) * dvar / (N - 1)
    dcentered = dx_hat / std + 2 * centered * dsquared
    dmean = -dcentered.sum(axis=0)
    return {
        "dbeta": dy.sum(axis=0),
        "dgamma": (dy * cache["x_hat"]).sum(axis=0),
        "dx_hat": dx_hat,
        "dinv_std": dinv_std,
        "dstd": dstd,
        "dvar": dvar,
        "dsquared": dsquared,
        "dcentered": dcentered,
        "dmean": dmean,
        "dx": dcentered + dmean / N,
    }


@mistake(
    earns=9,
    hint="Going back through a mean over N values divides by N: each of them moved the mean by one "
    "N-th only.",
)
def staged_forgets_the_n_of_the_variance(dy, cache):
    """dvar is handed on to the squares without being divided by N."""
    N = len(dy)
    centered = cache["x"] - cache["mean"]
    std = np.sqrt(cache["var"] + cache["eps"])
    dx_hat = dy * cache["gamma"]
    dinv_std = (dx_hat * centered).sum(axis=0)
    dstd = -dinv_std / std**2
    dvar = dstd / (2 * std)
    dsquared = np.ones_like(dy) * dvar
    dcentered = dx_hat / std + 2 * centered * dsquared
    dmean = -dcentered.sum(axis=0)
    return {
        "dbeta": dy.sum(axis=0),
        "dgamma": (dy * cache["x_hat"]).sum(axis=0),
        "dx_hat": dx_hat,
        "dinv_std": dinv_std,
        "dstd": dstd,
        "dvar": dvar,
        "dsquared": dsquared,
        "dcentered": dcentered,
        "dmean": dmean,
        "dx": dcentered + dmean / N,
    }


@mistake(
    earns=12,
    hint="A gradient has the shape of its variable, and there are N × D squares. All N of a column "
    "receive the same, so the array repeats one row: `np.ones_like(dy) * ...`.",
)
def staged_keeps_one_row_of_squares(dy, cache):
    """dsquared has the shape (D,), of one row, where the squares have the shape (N, D)."""
    N = len(dy)
    centered = cache["x"] - cache["mean"]
    std = np.sqrt(cache["var"] + cache["eps"])
    dx_hat = dy * cache["gamma"]
    dinv_std = (dx_hat * centered).sum(axis=0)
    dstd = -dinv_std / std**2
    dvar = dstd / (2 * std)
    dsquared = dvar / N
    dcentered = dx_hat / std + 2 * centered * dsquared
    dmean = -dcentered.sum(axis=0)
    return {
        "dbeta": dy.sum(axis=0),
        "dgamma": (dy * cache["x_hat"]).sum(axis=0),
        "dx_hat": dx_hat,
        "dinv_std": dinv_std,
        "dstd": dstd,
        "dvar": dvar,
        "dsquared": dsquared,
        "dcentered": dcentered,
        "dmean": dmean,
        "dx": dcentered + dmean / N,
    }


@mistake(
    earns=5,
    hint="inv_std is multiplied by `centered`, and that is what its gradient collects. x_hat is "
    "already the product of the two.",
)
def staged_takes_x_hat_for_centered(dy, cache):
    """dinv_std sums dx_hat * x_hat where it should sum dx_hat * centered."""
    N = len(dy)
    centered = cache["x"] - cache["mean"]
    std = np.sqrt(cache["var"] + cache["eps"])
    dx_hat = dy * cache["gamma"]
    dinv_std = (dx_hat * cache["x_hat"]).sum(axis=0)
    dstd = -dinv_std / std**2
    dvar = dstd / (2 * std)
    dsquared = np.ones_like(dy) * dvar / N
    dcentered = dx_hat / std + 2 * centered * dsquared
    dmean = -dcentered.sum(axis=0)
    return {
        "dbeta": dy.sum(axis=0),
        "dgamma": (dy * cache["x_hat"]).sum(axis=0),
        "dx_hat": dx_hat,
        "dinv_std": dinv_std,
        "dstd": dstd,
        "dvar": dvar,
        "dsquared": dsquared,
        "dcentered": dcentered,
        "dmean": dmean,
        "dx": dcentered + dmean / N,
    }


@mistake(
    earns=2,
    hint="y = gamma * x_hat + beta: on the way back to x_hat, every gradient is multiplied by gamma.",
)
def staged_forgets_gamma(dy, cache):
    """dx_hat is dy itself: it is not multiplied by gamma."""
    N = len(dy)
    centered = cache["x"] - cache["mean"]
    std = np.sqrt(cache["var"] + cache["eps"])
    dx_hat = dy.copy()
    dinv_std = (dx_hat * centered).sum(axis=0)
    dstd = -dinv_std / std**2
    dvar = dstd / (2 * std)
    dsquared = np.ones_like(dy) * dvar / N
    dcentered = dx_hat / std + 2 * centered * dsquared
    dmean = -dcentered.sum(axis=0)
    return {
        "dbeta": dy.sum(axis=0),
        "dgamma": (dy * cache["x_hat"]).sum(axis=0),
        "dx_hat": dx_hat,
        "dinv_std": dinv_std,
        "dstd": dstd,
        "dvar": dvar,
        "dsquared": dsquared,
        "dcentered": dcentered,
        "dmean": dmean,
        "dx": dcentered + dmean / N,
    }


@mistake(earns=5, hint=EPS_HINT)
def staged_forgets_eps(dy, cache):
    """The standard deviation is the root of the variance alone, without eps."""
    N = len(dy)
    centered = cache["x"] - cache["mean"]
    std = np.sqrt(cache["var"])
    dx_hat = dy * cache["gamma"]
    dinv_std = (dx_hat * centered).sum(axis=0)
    dstd = -dinv_std / std**2
    dvar = dstd / (2 * std)
    dsquared = np.ones_like(dy) * dvar / N
    dcentered = dx_hat / std + 2 * centered * dsquared
    dmean = -dcentered.sum(axis=0)
    return {
        "dbeta": dy.sum(axis=0),
        "dgamma": (dy * cache["x_hat"]).sum(axis=0),
        "dx_hat": dx_hat,
        "dinv_std": dinv_std,
        "dstd": dstd,
        "dvar": dvar,
        "dsquared": dsquared,
        "dcentered": dcentered,
        "dmean": dmean,
        "dx": dcentered + dmean / N,
    }


@mistake(earns=5, hint=EPS_HINT)
def staged_adds_eps_to_the_root(dy, cache):
    """eps is added to the standard deviation, outside the root."""
    N = len(dy)
    centered = cache["x"] - cache["mean"]
    std = np.sqrt(cache["var"]) + cache["eps"]
    dx_hat = dy * cache["gamma"]
    dinv_std = (dx_hat * centered).sum(axis=0)
    dstd = -dinv_std / std**2
    dvar = dstd / (2 * std)
    dsquared = np.ones_like(dy) * dvar / N
    dcentered = dx_hat / std + 2 * centered * dsquared
    dmean = -dcentered.sum(axis=0)
    return {
        "dbeta": dy.sum(axis=0),
        "dgamma": (dy * cache["x_hat"]).sum(axis=0),
        "dx_hat": dx_hat,
        "dinv_std": dinv_std,
        "dstd": dstd,
        "dvar": dvar,
        "dsquared": dsquared,
        "dcentered": dcentered,
        "dmean": dmean,
        "dx": dcentered + dmean / N,
    }


@mistake(earns=11, hint=DGAMMA_HINT)
def staged_dgamma_from_x(dy, cache):
    """dgamma sums dy times x, the raw input, where it should be the normalized one."""
    N = len(dy)
    centered = cache["x"] - cache["mean"]
    std = np.sqrt(cache["var"] + cache["eps"])
    dx_hat = dy * cache["gamma"]
    dinv_std = (dx_hat * centered).sum(axis=0)
    dstd = -dinv_std / std**2
    dvar = dstd / (2 * std)
    dsquared = np.ones_like(dy) * dvar / N
    dcentered = dx_hat / std + 2 * centered * dsquared
    dmean = -dcentered.sum(axis=0)
    return {
        "dbeta": dy.sum(axis=0),
        "dgamma": (dy * cache["x"]).sum(axis=0),
        "dx_hat": dx_hat,
        "dinv_std": dinv_std,
        "dstd": dstd,
        "dvar": dvar,
        "dsquared": dsquared,
        "dcentered": dcentered,
        "dmean": dmean,
        "dx": dcentered + dmean / N,
    }


@mistake(earns=10, hint=SUM_HINT)
def staged_averages_over_the_batch(dy, cache):
    """dbeta and dgamma are means over the batch where they should be sums."""
    N = len(dy)
    centered = cache["x"] - cache["mean"]
    std = np.sqrt(cache["var"] + cache["eps"])
    dx_hat = dy * cache["gamma"]
    dinv_std = (dx_hat * centered).sum(axis=0)
    dstd = -dinv_std / std**2
    dvar = dstd / (2 * std)
    dsquared = np.ones_like(dy) * dvar / N
    dcentered = dx_hat / std + 2 * centered * dsquared
    dmean = -dcentered.sum(axis=0)
    return {
        "dbeta": dy.mean(axis=0),
        "dgamma": (dy * cache["x_hat"]).mean(axis=0),
        "dx_hat": dx_hat,
        "dinv_std": dinv_std,
        "dstd": dstd,
        "dvar": dvar,
        "dsquared": dsquared,
        "dcentered": dcentered,
        "dmean": dmean,
        "dx": dcentered + dmean / N,
    }


@mistake(earns=12, hint=IN_PLACE_HINT)
def staged_changes_dy(dy, cache):
    """dy is multiplied by gamma in place, so that the caller's gradient is gone."""
    N = len(dy)
    centered = cache["x"] - cache["mean"]
    std = np.sqrt(cache["var"] + cache["eps"])
    dbeta = dy.sum(axis=0)
    dgamma = (dy * cache["x_hat"]).sum(axis=0)
    dy *= cache["gamma"]
    dx_hat = dy
    dinv_std = (dx_hat * centered).sum(axis=0)
    dstd = -dinv_std / std**2
    dvar = dstd / (2 * std)
    dsquared = np.ones_like(dy) * dvar / N
    dcentered = dx_hat / std + 2 * centered * dsquared
    dmean = -dcentered.sum(axis=0)
    return {
        "dbeta": dbeta,
        "dgamma": dgamma,
        "dx_hat": dx_hat,
        "dinv_std": dinv_std,
        "dstd": dstd,
        "dvar": dvar,
        "dsquared": dsquared,
        "dcentered": dcentered,
        "dmean": dmean,
        "dx": dcentered + dmean / N,
    }


def staged_node_by_node(dy, cache):
    x, mean, var, x_hat, gamma, eps = (
        cache[k] for k in ("x", "mean", "var", "x_hat", "gamma", "eps")
    )
    n = len(x)
    inv_std = (var + eps) ** -0.5
    grads = {"dbeta": np.sum(dy, 0), "dgamma": np.einsum("nd,nd->d", dy, x_hat)}
    grads["dx_hat"] = gamma * dy
    grads["dinv_std"] = np.einsum("nd,nd->d", grads["dx_hat"], x - mean)
    grads["dstd"] = -grads["dinv_std"] * inv_std**2
    grads["dvar"] = 0.5 * grads["dstd"] * inv_std
    grads["dsquared"] = np.tile(grads["dvar"] / n, (n, 1))
    grads["dcentered"] = grads["dx_hat"] * inv_std
    grads["dcentered"] += 2 * (x - mean) * grads["dsquared"]
    grads["dmean"] = -grads["dcentered"].sum(0)
    grads["dx"] = grads["dcentered"] + grads["dmean"] / n
    return grads


def staged_with_loops(dy, cache):
    x, mean, var = cache["x"], cache["mean"], cache["var"]
    N, D = x.shape
    g = {k: np.zeros(D) for k in ("dbeta", "dgamma", "dinv_std", "dstd", "dvar", "dmean")}
    g.update({k: np.zeros((N, D)) for k in ("dx_hat", "dsquared", "dcentered", "dx")})
    for j in range(D):
        std = (var[j] + cache["eps"]) ** 0.5
        for i in range(N):
            g["dbeta"][j] += dy[i, j]
            g["dgamma"][j] += dy[i, j] * cache["x_hat"][i, j]
            g["dx_hat"][i, j] = dy[i, j] * cache["gamma"][j]
            g["dinv_std"][j] += g["dx_hat"][i, j] * (x[i, j] - mean[j])
        g["dstd"][j] = -g["dinv_std"][j] / std / std
        g["dvar"][j] = g["dstd"][j] / std / 2
        for i in range(N):
            g["dsquared"][i, j] = g["dvar"][j] / N
            g["dcentered"][i, j] = g["dx_hat"][i, j] / std
            g["dcentered"][i, j] += 2 * (x[i, j] - mean[j]) * g["dsquared"][i, j]
            g["dmean"][j] -= g["dcentered"][i, j]
        for i in range(N):
            g["dx"][i, j] = g["dcentered"][i, j] + g["dmean"][j] / N
    return g


# --- batchnorm_backward ----------------------------------------------------------------------


def batchnorm_backward(dy, cache):
    x_hat = cache["x_hat"]
    scale = cache["gamma"] / np.sqrt(cache["var"] + cache["eps"])
    dbeta = dy.sum(axis=0)
    dgamma = (dy * x_hat).sum(axis=0)
    dx = scale * (dy - dbeta / len(dy) - x_hat * dgamma / len(dy))
    return dx, dgamma, dbeta


@probe(2)
def gradients_of_the_parameters(f, rng):
    """dgamma and dbeta, of shape (D,), are sums over the batch."""
    x, dy = batch(rng)
    _, dgamma, dbeta = f(dy, cached(x))
    return {"dgamma": dgamma, "dbeta": dbeta}


@probe(3)
def gradient_of_the_input(f, rng):
    """dx holds all three paths: the direct one, the mean's and the variance's."""
    x, dy = batch(rng)
    cache = cached(x)
    dx, _, _ = f(dy, dict(cache))
    return {"dx": explained(dx, dy, cache)}


@probe(1)
def columns_sum_to_zero(f, rng):
    """Shifting a feature in all samples changes nothing, so each column of dx sums to 0."""
    x, dy = batch(rng, 6)
    twice, _, _ = f(2 * dy, cached(x))
    dx, _, _ = f(dy, cached(x))
    return {
        "the column sums of dx": dx.sum(axis=0),
        "dx is not 0, and doubles when dy does": doubles(dx, twice),
    }


@probe(1)
def orthogonal_to_x_hat(f, rng):
    """Without eps, stretching a feature changes nothing either: dx is orthogonal to x_hat."""
    x, dy = batch(rng, 6)
    cache = cached(x, eps=0.0)
    twice, _, _ = f(2 * dy, cached(x, eps=0.0))
    dx, _, _ = f(dy, dict(cache))
    return {
        "the column sums of dx * x_hat": (dx * cache["x_hat"]).sum(axis=0),
        "dx is not 0, and doubles when dy does": doubles(dx, twice),
    }


@probe(1)
def inputs_are_left_alone(f, rng):
    """dy and the arrays in the cache are left as they were, and a second call gives the same."""
    x, dy = batch(rng)
    cache = cached(x)
    twice, _, _ = f(2 * dy, cached(x))
    first = np.array(f(dy, dict(cache))[0])  # a copy: what was returned may be dy itself
    second, _, _ = f(dy, dict(cache))
    return {
        **untouched(dy, cache),
        "how far the second dx is from the first": np.abs(second - first).max(),
        "dx is not 0, and doubles when dy does": doubles(first, twice),
    }


@probe(2, hidden=True)
def with_a_large_eps(f, rng):
    """eps counts exactly as it did in the forward pass, also when it is as large as the variance."""
    x, dy = batch(rng)
    cache = cached(x, eps=0.3)
    dx, _, _ = f(dy, dict(cache))
    return {"dx for eps=0.3": explained(dx, dy, cache)}


@probe(1, hidden=True)
def with_small_batches(f, rng):
    """Batches of three samples, and of two, work like any other."""
    seen = {}
    for n in (3, 2):
        x, dy = batch(rng, n)
        dx, _, _ = f(dy, cached(x, eps=0.1))
        seen[f"dx for N={n}"] = dx
    return seen


@probe(1, hidden=True)
def blind_directions(f, rng):
    """A dy that is constant, or a multiple of x_hat, is not passed on at all (without eps)."""
    # Of 8 samples, sums divided by the number of features would be twice the means: 1 - 2 is -1,
    # as if the direct path were missing.
    x, dy = batch(rng, 7)
    cache = cached(x, eps=0.0)
    constant, _, _ = f(np.ones_like(dy) * dy[0], dict(cache))
    stretch, _, _ = f(cache["x_hat"] * dy[0], dict(cache))
    other, _, _ = f(dy, dict(cache))
    return {
        "dx for a constant dy": constant,
        "dx for a dy that is a multiple of x_hat": stretch,
        "dx for another dy is not 0 everywhere": not_zero(other),
    }


@mistake(earns=3, hint=CONSTANTS_HINT)
def treats_statistics_as_constants(dy, cache):
    """Mean and variance are treated as constants: dx is gamma/std * dy, the direct path alone."""
    dx = cache["gamma"] / np.sqrt(cache["var"] + cache["eps"]) * dy
    return dx, (dy * cache["x_hat"]).sum(axis=0), dy.sum(axis=0)


@mistake(
    earns=3,
    hint="x̂ stands in front of the mean, outside of it: x̂ times the mean of dy·x̂, which has one "
    "value per feature. Inside, x̂² is averaged away.",
)
def averages_x_hat_away(dy, cache):
    """The variance's term is the mean of dy·x̂², where it should be x̂ times the mean of dy·x̂."""
    x_hat = cache["x_hat"]
    scale = cache["gamma"] / np.sqrt(cache["var"] + cache["eps"])
    dx = scale * (dy - dy.mean(axis=0) - (x_hat * dy * x_hat).mean(axis=0))
    return dx, (dy * x_hat).sum(axis=0), dy.sum(axis=0)


@mistake(
    earns=6,
    hint="γ enters once: either it multiplies dy at the beginning, which gives the gradient of x̂, or "
    "it stands in front at the end.",
)
def multiplies_by_gamma_twice(dy, cache):
    """dx holds γ twice: dy was multiplied by it, and the result once more."""
    x_hat, gamma = cache["x_hat"], cache["gamma"]
    dx_hat = dy * gamma
    scale = gamma / np.sqrt(cache["var"] + cache["eps"])
    dx = scale * (dx_hat - dx_hat.mean(axis=0) - x_hat * (dx_hat * x_hat).mean(axis=0))
    return dx, (dy * x_hat).sum(axis=0), dy.sum(axis=0)


@mistake(
    earns=3,
    hint="In `gamma / std * dy - a - b` the factor multiplies dy alone. It belongs to all three terms: "
    "put them in parentheses.",
)
def scales_the_first_term_only(dy, cache):
    """The factor γ/σ multiplies dy only, not the two terms that are subtracted."""
    x_hat = cache["x_hat"]
    scale = cache["gamma"] / np.sqrt(cache["var"] + cache["eps"])
    dx = scale * dy - dy.mean(axis=0) - x_hat * (dy * x_hat).mean(axis=0)
    return dx, (dy * x_hat).sum(axis=0), dy.sum(axis=0)


@mistake(
    earns=10,
    hint="γ·dy is the gradient of x̂. In y = γ·x̂ + β, γ and β meet dy itself: dγ sums dy·x̂, and "
    "dβ sums dy.",
)
def dgamma_from_dx_hat(dy, cache):
    """dgamma and dbeta sum γ·dy, the gradient of x̂, where they should sum dy."""
    x_hat = cache["x_hat"]
    dx_hat = dy * cache["gamma"]
    std = np.sqrt(cache["var"] + cache["eps"])
    dx = (dx_hat - dx_hat.mean(axis=0) - x_hat * (dx_hat * x_hat).mean(axis=0)) / std
    return dx, (dx_hat * x_hat).sum(axis=0), dx_hat.sum(axis=0)


@mistake(earns=4, hint=NO_MEAN_HINT)
def misses_the_mean_path(dy, cache):
    """The path through the mean is missing from dx."""
    x_hat = cache["x_hat"]
    dgamma = (dy * x_hat).sum(axis=0)
    scale = cache["gamma"] / np.sqrt(cache["var"] + cache["eps"])
    return scale * (dy - x_hat * dgamma / len(dy)), dgamma, dy.sum(axis=0)


@mistake(earns=4, hint=NO_VARIANCE_HINT)
def misses_the_variance_path(dy, cache):
    """The path through the variance is missing from dx."""
    scale = cache["gamma"] / np.sqrt(cache["var"] + cache["eps"])
    dx = scale * (dy - dy.mean(axis=0))
    return dx, (dy * cache["x_hat"]).sum(axis=0), dy.sum(axis=0)


@mistake(
    earns=3,
    hint="The mean's and the variance's terms are corrections. The direct path, dy itself, is what "
    "they correct.",
)
def misses_the_direct_path(dy, cache):
    """The direct path is missing: dx holds only the terms of the mean and of the variance."""
    x_hat = cache["x_hat"]
    scale = cache["gamma"] / np.sqrt(cache["var"] + cache["eps"])
    dx = scale * (-dy.mean(axis=0) - x_hat * (dy * x_hat).mean(axis=0))
    return dx, (dy * x_hat).sum(axis=0), dy.sum(axis=0)


@mistake(earns=6, hint="y = gamma * x_hat + beta: on every path back to x stands a factor gamma.")
def forgets_gamma(dy, cache):
    """dx lacks the factor gamma."""
    x_hat = cache["x_hat"]
    std = np.sqrt(cache["var"] + cache["eps"])
    dx = (dy - dy.mean(axis=0) - x_hat * (dy * x_hat).mean(axis=0)) / std
    return dx, (dy * x_hat).sum(axis=0), dy.sum(axis=0)


@mistake(
    earns=6,
    hint="x_hat = (x - mean) / std: a feature measured in numbers twice as large has a gradient "
    "half as large. On every path back to x stands a factor 1/std.",
)
def forgets_to_divide_by_the_deviation(dy, cache):
    """dx lacks the factor 1/std."""
    x_hat = cache["x_hat"]
    dx = cache["gamma"] * (dy - dy.mean(axis=0) - x_hat * (dy * x_hat).mean(axis=0))
    return dx, (dy * x_hat).sum(axis=0), dy.sum(axis=0)


@mistake(
    earns=6, hint="The forward pass divides by the root of var + eps, and so does the way back."
)
def divides_by_the_variance(dy, cache):
    """dx is divided by the variance where it should be the standard deviation."""
    x_hat = cache["x_hat"]
    scale = cache["gamma"] / (cache["var"] + cache["eps"])
    dx = scale * (dy - dy.mean(axis=0) - x_hat * (dy * x_hat).mean(axis=0))
    return dx, (dy * x_hat).sum(axis=0), dy.sum(axis=0)


@mistake(
    earns=3,
    hint="Both corrections are *means* over the batch. Yours are N times too large: divide dbeta "
    "and dgamma by N where they enter dx.",
)
def sums_where_means_belong(dy, cache):
    """The terms of the mean and the variance are sums over the batch, not means: 1/N is missing."""
    x_hat = cache["x_hat"]
    dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
    scale = cache["gamma"] / np.sqrt(cache["var"] + cache["eps"])
    return scale * (dy - dbeta - x_hat * dgamma), dgamma, dbeta


@mistake(
    earns=3,
    hint="Mean and variance of a feature are over its N samples: divide by `len(dy)`, which is "
    "`dy.shape[0]`. `dy.shape[1]` is the number of features.",
)
def divides_by_the_number_of_features(dy, cache):
    """The sums in dx are divided by D, the number of features, where there are N samples."""
    x_hat = cache["x_hat"]
    dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
    scale = cache["gamma"] / np.sqrt(cache["var"] + cache["eps"])
    return scale * (dy - (dbeta + x_hat * dgamma) / dy.shape[1]), dgamma, dbeta


@mistake(
    earns=3,
    hint="Through the variance, a sample gets the more the further it is from the mean: multiply the "
    "mean of dy * x_hat by x_hat.",
)
def forgets_x_hat_in_the_variance_term(dy, cache):
    """The variance's term is the mean of dy * x_hat alone, the same for all samples: its factor
    x_hat is missing.
    """
    x_hat = cache["x_hat"]
    dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
    scale = cache["gamma"] / np.sqrt(cache["var"] + cache["eps"])
    return scale * (dy - dbeta / len(dy) - dgamma / len(dy)), dgamma, dbeta


@mistake(
    earns=4,
    hint="The path through the variance pulls back what goes along x_hat: its term is subtracted.",
)
def adds_the_variance_term(dy, cache):
    """The variance's term is added to dx where it should be subtracted."""
    x_hat = cache["x_hat"]
    scale = cache["gamma"] / np.sqrt(cache["var"] + cache["eps"])
    dx = scale * (dy - dy.mean(axis=0) + x_hat * (dy * x_hat).mean(axis=0))
    return dx, (dy * x_hat).sum(axis=0), dy.sum(axis=0)


@mistake(earns=4, hint="The mean is subtracted going forward, and so is its term on the way back.")
def adds_the_mean_term(dy, cache):
    """The mean's term is added to dx where it should be subtracted."""
    x_hat = cache["x_hat"]
    scale = cache["gamma"] / np.sqrt(cache["var"] + cache["eps"])
    dx = scale * (dy + dy.mean(axis=0) - x_hat * (dy * x_hat).mean(axis=0))
    return dx, (dy * x_hat).sum(axis=0), dy.sum(axis=0)


@mistake(
    earns=4,
    hint="The forward pass divides the variance by N (biased), so N belongs here too. N - 1 is for "
    "the running variance only.",
)
def divides_the_variance_term_by_n_minus_1(dy, cache):
    """The variance's term is divided by N - 1 where the forward pass divided by N."""
    x_hat = cache["x_hat"]
    dgamma = (dy * x_hat).sum(axis=0)
    scale = cache["gamma"] / np.sqrt(cache["var"] + cache["eps"])
    dx = scale * (dy - dy.mean(axis=0) - x_hat * dgamma / (len(dy) - 1))
    return dx, dgamma, dy.sum(axis=0)


@mistake(
    earns=4,
    hint="One factor 1/std comes from normalizing, and the other is inside x_hat. Use x_hat, not "
    "x - mean, in the variance's term.",
)
def takes_centered_for_x_hat(dy, cache):
    """The variance's term is a multiple of x - mean with the factors of x_hat: 1/std is missing."""
    x_hat = cache["x_hat"]
    scale = cache["gamma"] / np.sqrt(cache["var"] + cache["eps"])
    centered = cache["x"] - cache["mean"]
    dx = scale * (dy - dy.mean(axis=0) - centered * (dy * x_hat).mean(axis=0))
    return dx, (dy * x_hat).sum(axis=0), dy.sum(axis=0)


@mistake(
    earns=3,
    hint="The variance's term is a multiple of the *normalized* input: `x_hat` of the cache, not `x`.",
)
def takes_x_for_x_hat(dy, cache):
    """The variance's term is a multiple of x, the raw input, where it should be one of x_hat."""
    x_hat = cache["x_hat"]
    scale = cache["gamma"] / np.sqrt(cache["var"] + cache["eps"])
    dx = scale * (dy - dy.mean(axis=0) - cache["x"] * (dy * x_hat).mean(axis=0))
    return dx, (dy * x_hat).sum(axis=0), dy.sum(axis=0)


@mistake(earns=3, hint="gamma stands in front of all three terms: put them in parentheses.")
def scales_the_direct_term_only(dy, cache):
    """Only the direct term is multiplied by gamma; the mean's and the variance's are not."""
    x_hat = cache["x_hat"]
    std = np.sqrt(cache["var"] + cache["eps"])
    dx = (cache["gamma"] * dy - dy.mean(axis=0) - x_hat * (dy * x_hat).mean(axis=0)) / std
    return dx, (dy * x_hat).sum(axis=0), dy.sum(axis=0)


@mistake(earns=6, hint=EPS_HINT)
def forgets_eps(dy, cache):
    """The standard deviation is the root of the variance alone, without eps."""
    x_hat = cache["x_hat"]
    scale = cache["gamma"] / np.sqrt(cache["var"])
    dx = scale * (dy - dy.mean(axis=0) - x_hat * (dy * x_hat).mean(axis=0))
    return dx, (dy * x_hat).sum(axis=0), dy.sum(axis=0)


@mistake(
    earns=6,
    hint="`eps` is a variance already, and it stands beside one: add it as it is, as the forward pass "
    "did.",
)
def squares_eps(dy, cache):
    """The square of eps is added to the variance."""
    x_hat = cache["x_hat"]
    scale = cache["gamma"] / np.sqrt(cache["var"] + cache["eps"] ** 2)
    dx = scale * (dy - dy.mean(axis=0) - x_hat * (dy * x_hat).mean(axis=0))
    return dx, (dy * x_hat).sum(axis=0), dy.sum(axis=0)


@mistake(earns=6, hint=EPS_HINT)
def counts_eps_twice(dy, cache):
    """eps is counted twice under the root."""
    x_hat = cache["x_hat"]
    scale = cache["gamma"] / np.sqrt(cache["var"] + 2 * cache["eps"])
    dx = scale * (dy - dy.mean(axis=0) - x_hat * (dy * x_hat).mean(axis=0))
    return dx, (dy * x_hat).sum(axis=0), dy.sum(axis=0)


@mistake(earns=6, hint=EPS_HINT)
def adds_eps_outside_the_root(dy, cache):
    """eps is added to the standard deviation, outside the root."""
    x_hat = cache["x_hat"]
    scale = cache["gamma"] / (np.sqrt(cache["var"]) + cache["eps"])
    dx = scale * (dy - dy.mean(axis=0) - x_hat * (dy * x_hat).mean(axis=0))
    return dx, (dy * x_hat).sum(axis=0), dy.sum(axis=0)


@mistake(earns=10, hint=DGAMMA_HINT)
def dgamma_from_x(dy, cache):
    """dgamma sums dy times x, the raw input, where it should be the normalized one."""
    x_hat = cache["x_hat"]
    scale = cache["gamma"] / np.sqrt(cache["var"] + cache["eps"])
    dx = scale * (dy - dy.mean(axis=0) - x_hat * (dy * x_hat).mean(axis=0))
    return dx, (dy * cache["x"]).sum(axis=0), dy.sum(axis=0)


@mistake(earns=10, hint=DGAMMA_HINT)
def dgamma_from_gamma_x_hat(dy, cache):
    """dgamma sums dy times gamma * x_hat where it should be x_hat alone."""
    x_hat = cache["x_hat"]
    scale = cache["gamma"] / np.sqrt(cache["var"] + cache["eps"])
    dx = scale * (dy - dy.mean(axis=0) - x_hat * (dy * x_hat).mean(axis=0))
    return dx, (dy * cache["gamma"] * x_hat).sum(axis=0), dy.sum(axis=0)


@mistake(earns=10, hint=SUM_HINT)
def averages_over_the_batch(dy, cache):
    """dgamma and dbeta are means over the batch where they should be sums."""
    x_hat = cache["x_hat"]
    dgamma, dbeta = (dy * x_hat).mean(axis=0), dy.mean(axis=0)
    scale = cache["gamma"] / np.sqrt(cache["var"] + cache["eps"])
    return scale * (dy - dbeta - x_hat * dgamma), dgamma, dbeta


@mistake(earns=10, hint=KEEPDIMS_HINT)
def keeps_the_batch_axis(dy, cache):
    """dgamma and dbeta have the shape (1, D) where (D,) is expected."""
    x_hat = cache["x_hat"]
    dgamma, dbeta = (dy * x_hat).sum(axis=0, keepdims=True), dy.sum(axis=0, keepdims=True)
    scale = cache["gamma"] / np.sqrt(cache["var"] + cache["eps"])
    return scale * (dy - dbeta / len(dy) - x_hat * dgamma / len(dy)), dgamma, dbeta


@mistake(
    earns=10, hint="The order of the result is (dx, dgamma, dbeta); you return (dx, dbeta, dgamma)."
)
def exchanges_dgamma_and_dbeta(dy, cache):
    """dgamma and dbeta are returned in the wrong order."""
    x_hat = cache["x_hat"]
    scale = cache["gamma"] / np.sqrt(cache["var"] + cache["eps"])
    dx = scale * (dy - dy.mean(axis=0) - x_hat * (dy * x_hat).mean(axis=0))
    return dx, dy.sum(axis=0), (dy * x_hat).sum(axis=0)


@mistake(
    earns=3,
    hint="A feature is a column: its statistics ran down the rows, along axis 0. So must the means "
    "in dx.",
)
def averages_over_the_features(dy, cache):
    """The means in dx run over the features of each sample, where they should run over the batch."""
    x_hat = cache["x_hat"]
    scale = cache["gamma"] / np.sqrt(cache["var"] + cache["eps"])
    along = (dy * x_hat).mean(axis=1, keepdims=True)
    dx = scale * (dy - dy.mean(axis=1, keepdims=True) - x_hat * along)
    return dx, (dy * x_hat).sum(axis=0), dy.sum(axis=0)


@mistake(earns=11, hint=IN_PLACE_HINT)
def changes_dy(dy, cache):
    """dx is computed in place, in the array dy, so that the caller's gradient is gone."""
    x_hat = cache["x_hat"]
    dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
    dy -= dbeta / len(dy)
    dy -= x_hat * dgamma / len(dy)
    dy *= cache["gamma"] / np.sqrt(cache["var"] + cache["eps"])
    return dy, dgamma, dbeta


@mistake(
    earns=11,
    hint='`a = cache["x_hat"]` makes no copy, so `a *= …` writes into the cache. `a * …` makes a '
    "new array.",
)
def changes_the_cache(dy, cache):
    """x_hat is changed in place inside the cache, so that a second call gives something else."""
    dgamma, dbeta = (dy * cache["x_hat"]).sum(axis=0), dy.sum(axis=0)
    correction = cache["x_hat"]
    correction *= dgamma / len(dy)
    scale = cache["gamma"] / np.sqrt(cache["var"] + cache["eps"])
    return scale * (dy - dbeta / len(dy) - correction), dgamma, dbeta


def backward_in_two_projections(dy, cache):
    x_hat = cache["x_hat"]
    std = np.sqrt(cache["var"] + cache["eps"])
    dx_hat = dy * cache["gamma"]
    rest = dx_hat - dx_hat.mean(axis=0)
    rest = rest - x_hat * (dx_hat * x_hat).mean(axis=0)
    return rest / std, np.einsum("nd,nd->d", dy, x_hat), np.sum(dy, axis=0)


def backward_in_one_line(dy, cache):
    n = dy.shape[0]
    inv_std = 1.0 / np.sqrt(cache["var"] + cache["eps"])
    dxh = dy * cache["gamma"]
    xh = cache["x_hat"]
    dx = inv_std / n * (n * dxh - dxh.sum(0) - xh * (dxh * xh).sum(0))
    return dx, (dy * xh).sum(0), dy.sum(0)


def backward_by_jacobians(dy, cache):
    n, d = dy.shape
    dx = np.zeros((n, d))
    for j in range(d):
        v = cache["x_hat"][:, j]
        J = (np.eye(n) - np.ones((n, n)) / n - np.outer(v, v) / n) * cache["gamma"][j]
        dx[:, j] = J @ dy[:, j] / np.sqrt(cache["var"][j] + cache["eps"])
    return dx, (dy * cache["x_hat"]).sum(axis=0), dy.sum(axis=0)


# --- batchnorm2d_backward --------------------------------------------------------------------


def batchnorm2d_backward(dy, cache):
    axes = (0, 2, 3)
    x_hat = cache["x_hat"]
    scale = cache["gamma"] / np.sqrt(cache["var"] + cache["eps"])
    dbeta = dy.sum(axis=axes)
    dgamma = (dy * x_hat).sum(axis=axes)
    m = dy.size / len(dbeta)
    corrections = dbeta[:, None, None] + x_hat * dgamma[:, None, None]
    dx = scale[:, None, None] * (dy - corrections / m)
    return dx, dgamma, dbeta


def images(rng, shape=(4, 3, 2, 5)):
    """Images and an incoming gradient, whose channels have different centers and scales."""
    c = shape[1]
    x = rng.normal(size=shape) * SCALES[:c, None, None] + CENTERS[:c, None, None]
    slope = 0.8 / SCALES[:c, None, None]
    dy = rng.normal(size=shape) + slope * (x - CENTERS[:c, None, None])
    return x, dy + np.array([0.5, -1.0, 1.5, 0.7])[:c, None, None]


def cached_images(x, eps=1e-5):
    """The cache of the notebook's forward pass for images."""
    c = x.shape[1]
    mean, var = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))
    return {
        "x": x.copy(),
        "mean": mean,
        "var": var,
        "x_hat": (x - mean[:, None, None]) / np.sqrt(var + eps)[:, None, None],
        "gamma": GAMMA[:c].copy(),
        "eps": eps,
    }


@probe(2)
def one_gradient_per_channel(f, rng):
    """dgamma and dbeta, of shape (C,), are sums over samples, rows and columns."""
    x, dy = images(rng)
    _, dgamma, dbeta = f(dy, cached_images(x))
    return {"dgamma": dgamma, "dbeta": dbeta}


@probe(3)
def gradient_of_the_images(f, rng):
    """dx, of shape (N, C, H, W), holds all three paths, channel by channel."""
    x, dy = images(rng)
    cache = cached_images(x)
    dx, _, _ = f(dy, dict(cache))
    return {"dx": explained(dx, dy, cache)}


@probe(1)
def images_are_left_alone(f, rng):
    """dy and the arrays in the cache are left as they were."""
    x, dy = images(rng)
    cache = cached_images(x)
    twice, _, _ = f(2 * dy, cached_images(x))
    dx, _, _ = f(dy, dict(cache))
    return {
        **untouched(dy, cache),
        "the size of dx": dx.shape,
        "dx is not 0, and doubles when dy does": doubles(dx, twice),
    }


@probe(1, hidden=True)
def as_many_channels_as_columns(f, rng):
    """Images with as many channels as columns of pixels (C = W), too: gamma belongs to channels."""
    x, dy = images(rng, (3, 4, 2, 4))
    cache = cached_images(x, eps=0.2)
    dx, _, _ = f(dy, dict(cache))
    return {"dx for C = W = 4, eps=0.2": explained(dx, dy, cache)}


@probe(1, hidden=True)
def a_single_image(f, rng):
    """A single image has H·W values per channel, which is batch enough."""
    x, dy = images(rng, (1, 2, 3, 3))
    dx, dgamma, _ = f(dy, cached_images(x))
    return {"dx for N=1": dx, "dgamma for N=1": dgamma}


@mistake(
    earns=3,
    hint="Both corrections are *means* over the channel: divide dbeta and dgamma by N·H·W where they "
    "enter dx. `dy.size / C` counts the values.",
)
def sums_over_the_channel(dy, cache):
    """The terms of the mean and the variance are sums over the channel: they are not divided."""
    x_hat = cache["x_hat"]
    scale = cache["gamma"] / np.sqrt(cache["var"] + cache["eps"])
    dbeta, dgamma = dy.sum(axis=(0, 2, 3)), (dy * x_hat).sum(axis=(0, 2, 3))
    corrections = dbeta[:, None, None] + x_hat * dgamma[:, None, None]
    return scale[:, None, None] * (dy - corrections), dgamma, dbeta


@mistake(
    earns=3,
    hint="Each channel has N·H·W values behind its mean, not N. `dy.size / C` counts them.",
)
def divides_by_the_number_of_images(dy, cache):
    """The means in dx divide by N, the number of images, where there are N·H·W values."""
    x_hat = cache["x_hat"]
    scale = cache["gamma"] / np.sqrt(cache["var"] + cache["eps"])
    dbeta, dgamma = dy.sum(axis=(0, 2, 3)), (dy * x_hat).sum(axis=(0, 2, 3))
    corrections = dbeta[:, None, None] + x_hat * dgamma[:, None, None]
    dx = scale[:, None, None] * (dy - corrections / len(dy))
    return dx, dgamma, dbeta


@mistake(
    earns=4,
    hint="The mean of a channel runs over all N images: it has N·H·W values, not H·W. "
    "`dy.size / C` counts them.",
)
def divides_by_the_number_of_pixels(dy, cache):
    """The sums in dx are divided by H·W, the pixels of one image, where there are N·H·W values."""
    x_hat = cache["x_hat"]
    scale = cache["gamma"] / np.sqrt(cache["var"] + cache["eps"])
    dbeta, dgamma = dy.sum(axis=(0, 2, 3)), (dy * x_hat).sum(axis=(0, 2, 3))
    corrections = dbeta[:, None, None] + x_hat * dgamma[:, None, None]
    dx = scale[:, None, None] * (dy - corrections / (dy.shape[2] * dy.shape[3]))
    return dx, dgamma, dbeta


@mistake(
    earns=4,
    hint="The statistics ran over samples *and* pixels: a mean along (2, 3) alone is that of one "
    "image, which is instance normalization.",
)
def goes_back_image_by_image(dy, cache):
    """The means in dx run over the pixels of each image, not over the whole batch."""
    x_hat = cache["x_hat"]
    scale = (cache["gamma"] / np.sqrt(cache["var"] + cache["eps"]))[:, None, None]
    mean = dy.mean(axis=(2, 3), keepdims=True)
    along = (dy * x_hat).mean(axis=(2, 3), keepdims=True)
    dx = scale * (dy - mean - x_hat * along)
    return dx, (dy * x_hat).sum(axis=(0, 2, 3)), dy.sum(axis=(0, 2, 3))


@mistake(
    earns=3,
    hint="All pixels of a channel share one mean and one variance: the means in dx run over the "
    "axes (0, 2, 3), as they did in the forward pass, with `keepdims=True`.",
)
def goes_back_pixel_by_pixel(dy, cache):
    """The means in dx run over the samples only, separately for each pixel."""
    x_hat = cache["x_hat"]
    scale = (cache["gamma"] / np.sqrt(cache["var"] + cache["eps"]))[:, None, None]
    dx = scale * (dy - dy.mean(axis=0) - x_hat * (dy * x_hat).mean(axis=0))
    return dx, (dy * x_hat).sum(axis=(0, 2, 3)), dy.sum(axis=(0, 2, 3))


@mistake(
    earns=3,
    hint="`reshape` keeps the order of the numbers in memory and does not move an axis. Put the "
    "channels last with `transpose(0, 2, 3, 1)` before `reshape(-1, C)`, and undo both afterwards.",
)
def reshapes_without_transposing(dy, cache):
    """The images are reshaped to (N·H·W, C) without moving the channels to the end first."""
    N, C, H, W = dy.shape
    flat, x_hat = dy.reshape(-1, C), cache["x_hat"].reshape(-1, C)
    scale = cache["gamma"] / np.sqrt(cache["var"] + cache["eps"])
    dx = scale * (flat - flat.mean(axis=0) - x_hat * (flat * x_hat).mean(axis=0))
    dgamma, dbeta = (dy * cache["x_hat"]).sum(axis=(0, 2, 3)), dy.sum(axis=(0, 2, 3))
    return dx.reshape(N, C, H, W), dgamma, dbeta


@mistake(
    earns=3,
    hint="A table of shape (N·H·W, C) goes back by `reshape(N, H, W, C)` and then "
    "`transpose(0, 3, 1, 2)`: the channels were last, and reshape alone does not move them.",
)
def forgets_to_transpose_back(dy, cache):
    """The result is reshaped to (N, C, H, W) without moving the channels back to their place."""
    N, C, H, W = dy.shape
    flat = dy.transpose(0, 2, 3, 1).reshape(-1, C)
    x_hat = cache["x_hat"].transpose(0, 2, 3, 1).reshape(-1, C)
    scale = cache["gamma"] / np.sqrt(cache["var"] + cache["eps"])
    dgamma, dbeta = (flat * x_hat).sum(axis=0), flat.sum(axis=0)
    dx = scale * (flat - dbeta / len(flat) - x_hat * dgamma / len(flat))
    return dx.reshape(N, C, H, W), dgamma, dbeta


@mistake(
    earns=0,
    hint="An array of shape (C,) lines up with W, the last axis. Give it the shape (C, 1, 1), "
    "or (1, C, 1, 1), before it meets images.",
)
def lines_gamma_up_with_the_columns(dy, cache):
    """gamma/std, of shape (C,), lines up with the columns of pixels instead of the channels."""
    x_hat = cache["x_hat"]
    m = dy.size / dy.shape[1]
    dbeta, dgamma = dy.sum(axis=(0, 2, 3)), (dy * x_hat).sum(axis=(0, 2, 3))
    corrections = dbeta[:, None, None] + x_hat * dgamma[:, None, None]
    scale = cache["gamma"] / np.sqrt(cache["var"] + cache["eps"])
    return scale * (dy - corrections / m), dgamma, dbeta


@mistake(
    earns=5,
    hint="A gradient has the shape of its variable: gamma and beta have the shape (C,). Drop the "
    "other axes at the end.",
)
def keeps_all_four_axes(dy, cache):
    """dgamma and dbeta have the shape (1, C, 1, 1) where (C,) is expected."""
    x_hat = cache["x_hat"]
    scale = (cache["gamma"] / np.sqrt(cache["var"] + cache["eps"]))[:, None, None]
    dbeta = dy.sum(axis=(0, 2, 3), keepdims=True)
    dgamma = (dy * x_hat).sum(axis=(0, 2, 3), keepdims=True)
    m = dy.size / dy.shape[1]
    return scale * (dy - dbeta / m - x_hat * dgamma / m), dgamma, dbeta


@mistake(earns=3, hint=CONSTANTS_HINT)
def treats_channel_statistics_as_constants(dy, cache):
    """Mean and variance are treated as constants: dx is gamma/std * dy, the direct path alone."""
    scale = (cache["gamma"] / np.sqrt(cache["var"] + cache["eps"]))[:, None, None]
    return scale * dy, (dy * cache["x_hat"]).sum(axis=(0, 2, 3)), dy.sum(axis=(0, 2, 3))


@mistake(earns=5, hint=SUM_HINT)
def averages_over_the_images(dy, cache):
    """dgamma and dbeta are means over all values of a channel where they should be sums."""
    x_hat = cache["x_hat"]
    scale = (cache["gamma"] / np.sqrt(cache["var"] + cache["eps"]))[:, None, None]
    dbeta, dgamma = dy.mean(axis=(0, 2, 3)), (dy * x_hat).mean(axis=(0, 2, 3))
    return scale * (dy - dbeta[:, None, None] - x_hat * dgamma[:, None, None]), dgamma, dbeta


@mistake(earns=3, hint=EPS_HINT)
def forgets_eps_of_the_images(dy, cache):
    """eps is left out of the standard deviation."""
    axes = (0, 2, 3)
    x_hat, gamma = cache["x_hat"], cache["gamma"][:, None, None]
    mean = dy.mean(axis=axes, keepdims=True)
    dx = dy - mean - x_hat * (dy * x_hat).mean(axis=axes, keepdims=True)
    dx = gamma * dx / np.sqrt(cache["var"])[:, None, None]
    return dx, (dy * x_hat).sum(axis=axes), dy.sum(axis=axes)


def backward_of_a_table(dy, cache):
    N, C, H, W = dy.shape
    flat = dy.transpose(0, 2, 3, 1).reshape(-1, C)
    x_hat = cache["x_hat"].transpose(0, 2, 3, 1).reshape(-1, C)
    dgamma, dbeta = (flat * x_hat).sum(axis=0), flat.sum(axis=0)
    scale = cache["gamma"] / np.sqrt(cache["var"] + cache["eps"])
    dx = scale * (flat - (dbeta + x_hat * dgamma) / len(flat))
    return dx.reshape(N, H, W, C).transpose(0, 3, 1, 2), dgamma, dbeta


def backward_channel_by_channel(dy, cache):
    dx = np.empty(dy.shape)
    dgamma, dbeta = np.empty(dy.shape[1]), np.empty(dy.shape[1])
    for c in range(dy.shape[1]):
        g, h = dy[:, c], cache["x_hat"][:, c]
        dgamma[c], dbeta[c] = np.sum(g * h), np.sum(g)
        scale = cache["gamma"][c] / np.sqrt(cache["var"][c] + cache["eps"])
        dx[:, c] = scale * (g - np.mean(g) - h * np.mean(g * h))
    return dx, dgamma, dbeta


# --- batchnorm_backward_eval -----------------------------------------------------------------


def batchnorm_backward_eval(dy, cache):
    inv_std = 1 / np.sqrt(cache["running_var"] + cache["eps"])
    x_hat = (cache["x"] - cache["running_mean"]) * inv_std
    return dy * cache["gamma"] * inv_std, (dy * x_hat).sum(axis=0), dy.sum(axis=0)


def cached_eval(rng, x, eps=1e-5):
    """The cache of the notebook's forward pass in inference mode."""
    return {
        "x": x.copy(),
        "running_mean": CENTERS + 0.3 * SCALES,
        "running_var": (SCALES * rng.uniform(0.6, 1.8, size=4)) ** 2,
        "gamma": GAMMA.copy(),
        "eps": eps,
    }


@probe(2)
def eval_gradient_of_the_input(f, rng):
    """In inference mode the statistics are constants, and dx has the direct path only."""
    x, dy = batch(rng)
    cache = cached_eval(rng, x)
    dx, _, _ = f(dy, dict(cache))
    std = np.sqrt(cache["running_var"] + cache["eps"])
    x_hat = (x - cache["running_mean"]) / std
    return {"dx": Explained(dx, paths.explain(dy, x_hat, cache["gamma"], std))}


@probe(2)
def eval_gradients_of_the_parameters(f, rng):
    """gamma and beta still learn: dgamma uses the input as the running statistics normalize it."""
    x, dy = batch(rng)
    _, dgamma, dbeta = f(dy, cached_eval(rng, x))
    return {"dgamma": dgamma, "dbeta": dbeta}


@probe(1)
def eval_samples_are_independent(f, rng):
    """A gradient that arrives at one sample moves no other one; dy and the arrays in the cache stay as they were."""
    x, dy = batch(rng)
    dy[1:] = 0
    cache = cached_eval(rng, x)
    dx, _, _ = f(dy, dict(cache))
    arrays = {f'cache["{k}"]': Argument(cache[k]) for k in cache if k != "eps"}
    return {
        "dx of the samples that no gradient arrives at": dx[1:],
        "dx of the other is not 0": not_zero(dx[:1]),
        "dy": Argument(dy),
        **arrays,
    }


@probe(1, hidden=True)
def eval_of_one_sample_and_large_eps(f, rng):
    """A batch of one sample works like any other, whatever eps is."""
    x, dy = batch(rng, 1)
    dx, dgamma, _ = f(dy, cached_eval(rng, x, eps=0.3))
    return {"dx for N=1, eps=0.3": dx, "dgamma for N=1, eps=0.3": dgamma}


@mistake(
    earns=2,
    hint="In inference mode the statistics are stored numbers: x does not move them, so no path "
    "leads through them. The mean's and the variance's terms belong to training.",
)
def goes_back_as_in_training(dy, cache):
    """The formula of training is used, with terms for the mean and the variance."""
    std = np.sqrt(cache["running_var"] + cache["eps"])
    x_hat = (cache["x"] - cache["running_mean"]) / std
    dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
    dx = cache["gamma"] / std * (dy - dbeta / len(dy) - x_hat * dgamma / len(dy))
    return dx, dgamma, dbeta


@mistake(
    hint="The statistics of this batch played no part in the forward pass. Use `running_mean` and "
    "`running_var`, which are constants here."
)
def goes_back_with_batch_statistics(dy, cache):
    """Statistics of the batch are computed anew and used, with the formula of training."""
    x = cache["x"]
    std = np.sqrt(x.var(axis=0) + cache["eps"])
    x_hat = (x - x.mean(axis=0)) / std
    dx = cache["gamma"] / std * (dy - dy.mean(axis=0) - x_hat * (dy * x_hat).mean(axis=0))
    return dx, (dy * x_hat).sum(axis=0), dy.sum(axis=0)


@mistake(
    earns=3,
    hint="dgamma needs the x_hat of the forward pass, which was made with `running_mean` and "
    "`running_var`, not with those of the batch.",
)
def eval_dgamma_from_batch_statistics(dy, cache):
    """dgamma uses the input as normalized by its own batch, not by the running statistics."""
    x = cache["x"]
    dx = cache["gamma"] / np.sqrt(cache["running_var"] + cache["eps"]) * dy
    x_hat = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + cache["eps"])
    return dx, (dy * x_hat).sum(axis=0), dy.sum(axis=0)


@mistake(
    earns=3,
    hint="γ multiplies x̂: divide x - running_mean by the root of `running_var + eps`, too.",
)
def eval_dgamma_from_centered(dy, cache):
    """dgamma sums dy times x - running_mean, which is centered, but not divided by the deviation."""
    dx = cache["gamma"] / np.sqrt(cache["running_var"] + cache["eps"]) * dy
    return dx, (dy * (cache["x"] - cache["running_mean"])).sum(axis=0), dy.sum(axis=0)


@mistake(earns=3, hint=DGAMMA_HINT)
def eval_dgamma_from_x(dy, cache):
    """dgamma sums dy times x, the raw input, where it should be the normalized one."""
    dx = cache["gamma"] / np.sqrt(cache["running_var"] + cache["eps"]) * dy
    return dx, (dy * cache["x"]).sum(axis=0), dy.sum(axis=0)


@mistake(earns=3, hint="The layer computes gamma * x_hat + beta: dx carries the factor gamma.")
def eval_forgets_gamma(dy, cache):
    """dx lacks the factor gamma."""
    std = np.sqrt(cache["running_var"] + cache["eps"])
    dgamma = (dy * (cache["x"] - cache["running_mean"]) / std).sum(axis=0)
    return dy / std, dgamma, dy.sum(axis=0)


@mistake(earns=3, hint="The layer divided by the root of `running_var + eps`: so does dx.")
def eval_divides_dx_by_the_variance(dy, cache):
    """dgamma is right, but dx is divided by the running variance where its root should be."""
    var = cache["running_var"] + cache["eps"]
    dgamma = (dy * (cache["x"] - cache["running_mean"]) / np.sqrt(var)).sum(axis=0)
    return cache["gamma"] / var * dy, dgamma, dy.sum(axis=0)


@mistake(
    earns=1,
    hint="`running_var` is a variance. The layer divided by the root of `running_var + eps`.",
)
def eval_divides_by_the_variance(dy, cache):
    """The running variance divides where its root should."""
    var = cache["running_var"] + cache["eps"]
    dgamma = (dy * (cache["x"] - cache["running_mean"]) / var).sum(axis=0)
    return cache["gamma"] / var * dy, dgamma, dy.sum(axis=0)


@mistake(earns=1, hint="The layer divided by `np.sqrt(running_var + eps)`, in inference too.")
def eval_forgets_eps(dy, cache):
    """eps is left out."""
    std = np.sqrt(cache["running_var"])
    dgamma = (dy * (cache["x"] - cache["running_mean"]) / std).sum(axis=0)
    return cache["gamma"] / std * dy, dgamma, dy.sum(axis=0)


@mistake(
    earns=3,
    hint="The *statistics* are frozen, not the parameters: gamma and beta enter the output as ever, "
    "so the loss has a gradient with respect to them. Whether to apply it is the optimizer's affair.",
)
def eval_freezes_the_parameters(dy, cache):
    """dgamma and dbeta are zero, as if the parameters were constants, too."""
    dx = cache["gamma"] / np.sqrt(cache["running_var"] + cache["eps"]) * dy
    return dx, np.zeros_like(cache["gamma"]), np.zeros_like(cache["gamma"])


@mistake(
    earns=3,
    hint="The *statistics* are frozen, not gamma: it multiplies the input as the running statistics "
    "normalize it, so dgamma is the sum of dy times that.",
)
def eval_freezes_gamma(dy, cache):
    """dgamma is zero, as if gamma were a constant, too."""
    dx = cache["gamma"] / np.sqrt(cache["running_var"] + cache["eps"]) * dy
    return dx, np.zeros_like(cache["gamma"]), dy.sum(axis=0)


@mistake(
    earns=3, hint="The order of the result is (dx, dgamma, dbeta); you return (dx, dbeta, dgamma)."
)
def eval_exchanges_dgamma_and_dbeta(dy, cache):
    """dgamma and dbeta are returned in the wrong order."""
    std = np.sqrt(cache["running_var"] + cache["eps"])
    dgamma = (dy * (cache["x"] - cache["running_mean"]) / std).sum(axis=0)
    return cache["gamma"] / std * dy, dy.sum(axis=0), dgamma


@mistake(
    earns=5,
    hint="`dx = dy` makes no copy, so `dx *= …` writes into the caller's dy. `scale * dy` makes a new "
    "array.",
)
def eval_changes_dy(dy, cache):
    """dx is computed in place, in the array dy, so that the caller's gradient is gone."""
    std = np.sqrt(cache["running_var"] + cache["eps"])
    x_hat = (cache["x"] - cache["running_mean"]) / std
    dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
    dx = dy
    dx *= cache["gamma"] / std
    return dx, dgamma, dbeta


def eval_by_einsum(dy, cache):
    scale = (cache["running_var"] + cache["eps"]) ** -0.5
    x_hat = scale * (cache["x"] - cache["running_mean"])
    return np.multiply(dy, cache["gamma"] * scale), np.einsum("nd,nd->d", x_hat, dy), sum(dy)


def eval_sample_by_sample(dy, cache):
    std = np.sqrt(cache["running_var"] + cache["eps"])
    dx = np.array([g * cache["gamma"] / std for g in dy])
    dgamma, dbeta = np.zeros(dy.shape[1]), np.zeros(dy.shape[1])
    for g, row in zip(dy, cache["x"]):
        dgamma += g * (row - cache["running_mean"]) / std
        dbeta += g
    return dx, dgamma, dbeta


# --- gradient_check --------------------------------------------------------------------------


def gradient_check(name, x, dy, dx, h=1e-5, tolerance=1e-6):
    f = FUNCTIONS[name]
    x = np.array(x, dtype=np.float64)
    numerical = np.empty_like(x)
    for i in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[i] += h
        down[i] -= h
        numerical[i] = (dy * (f(up) - f(down))).sum() / (2 * h)
    size = max(np.linalg.norm(dx), np.linalg.norm(numerical), 1e-3)
    error = np.linalg.norm(dx - numerical) / size
    return bool(error <= tolerance), float(error)


def true_gradient(name, x, dy):
    """The right dx for each of the notebook's functions, by a formula."""
    if name == "cube":
        return 3 * x**2 * dy
    if name == "energy":
        return 2 * x * dy[:, None]
    if name == "relu":
        return dy * (x > 0)
    std = np.sqrt(x.var(axis=0) + 1e-5)
    x_hat = (x - x.mean(axis=0)) / std
    return (dy - dy.mean(axis=0) - x_hat * (dy * x_hat).mean(axis=0)) / std


def problem(rng, name, shape=(4, 3)):
    """An input away from kinks, an incoming gradient, and the right dx.

    Each column has both signs, so its deviation is not small: divided by a small one, differences
    are too inexact even for a right gradient.
    """
    signs = rng.choice([-1, 1], size=shape)
    signs[:2] = [[1], [-1]]
    x = rng.uniform(0.3, 1.5, size=shape) * signs
    dy = rng.normal(size=shape[0] if name == "energy" else shape) + 0.4
    return x, dy, true_gradient(name, x, dy)


@probe(2)
def accepts_right_gradients(f, rng):
    """Right gradients are accepted, whichever function they belong to, and one far off is not."""
    seen = {}
    x, dy, dx = problem(rng, "cube")
    turn = rng.integers(len(FUNCTIONS))  # who counts the questions does not know the answers
    for number, name in enumerate(FUNCTIONS):
        if number == turn:
            seen["cube, ten times the gradient: accepted"] = f("cube", x, dy, 10 * dx)[0]
        accepted, error = f(name, *problem(rng, name))
        seen[f"{name}: accepted"] = accepted
        seen[f"{name}: the error is below 1e-6"] = bool(error < 1e-6)
    return seen


@probe(2)
def rejects_wrong_gradients(f, rng):
    """Wrong gradients are rejected: a factor, a missing path, a single wrong entry. A right one is not."""
    x, dy, _ = problem(rng, "cube")
    dy[3, 2] = 1.5  # the entry that is wrong below is not a small one
    dx = true_gradient("cube", x, dy)
    one = dx.copy()
    one[3, 2] *= 1.01
    z, dz, _ = problem(rng, "standardize")
    std = np.sqrt(z.var(axis=0) + 1e-5)
    seen = {}
    right, turn = problem(rng, "relu"), rng.integers(5)
    for number, (what, arguments) in enumerate(
        {
            "the gradient times 1.001": ("cube", x, dy, 1.001 * dx),
            "the opposite gradient": ("cube", x, dy, -dx),
            "a gradient with one entry 1 % too large": ("cube", x, dy, one),
            "a gradient of the sum of y, without dy": ("cube", x, dy, 3 * x**2),
            "a backward pass with constant statistics": ("standardize", z, dz, dz / std),
        }.items()
    ):
        if number == turn:
            seen["the right gradient, tolerance=3: accepted"] = f("relu", *right, tolerance=3)[0]
        accepted, _ = f(*arguments)
        seen[f"{what}: accepted"] = accepted
    return seen


@probe(2)
def measures_the_error(f, rng):
    """The error is the norm of the difference, relative to the larger of the two norms."""
    seen = {}
    for what, factor in (("1.5 times too large", 1.5), ("half as large", 0.5), ("opposite", -1)):
        x, dy, dx = problem(rng, "energy")
        seen[f"the error of a gradient that is {what}"] = f("energy", x, dy, factor * dx)[1]
    x, dy, dx = problem(rng, "cube")
    seen["the error for h=0.5"] = f("cube", x, dy, dx, h=0.5)[1]
    return seen


@probe(1)
def tolerance_decides(f, rng):
    """What is accepted depends on `tolerance`."""
    # No entry of the gradient, and no direction, is nearly all of it: another norm, another error.
    signs = np.array([[1, 1, 1], [1, -1, -1], [1, 1, -1], [1, -1, 1]])
    x, dy = rng.uniform(0.9, 1.1, size=(4, 3)) * signs, rng.choice([-1.5, 1.5], size=4)
    dx = true_gradient("energy", x, dy)
    wrong = np.zeros_like(x)
    wrong[:2, 0] = 3, 4  # its norm is exactly 5, and that of the difference from 0, too
    accepted, error = f("energy", x, 0 * dy, wrong, tolerance=1)
    return {
        "accepted with an error of 1, tolerance=1": accepted if np.all(error == 1) else True,
        "accepted with an error of 1e-3, tolerance=1e-4": f(
            "energy", x, dy, dx * 1.001, tolerance=1e-4
        )[0],
        "accepted with an error of 1e-3, tolerance=1e-2": f(
            "energy", x, dy, dx * 1.001, tolerance=1e-2
        )[0],
        "accepted with an error of 1.15e-6": f("energy", x, dy, dx * (1 + 1.15e-6))[0],
        "accepted with an error of 8e-7": f("energy", x, dy, dx * (1 + 8e-7))[0],
    }


@probe(1)
def nothing_is_changed(f, rng):
    """x, dy and dx are left exactly as they were, and the answer is neither always yes nor always no."""
    x, dy, dx = problem(rng, "cube")
    before = x.copy()
    f("cube", x, dy, dx)
    return {
        "x": Argument(x),
        "dy": Argument(dy),
        "dx": Argument(dx),
        "x is exactly as it was": bool((x == before).all()),
        # No error exceeds 2, whatever the differences are worth.
        "the right gradient, tolerance=3: accepted": f("cube", x, dy, dx, tolerance=3)[0],
        "a hundred times the gradient: accepted": f("cube", x, dy, 100 * dx)[0],
    }


@probe(1)
def works_in_double_precision(f, rng):
    """A float32 input is checked in float64: a right gradient is accepted, and one far off is not."""
    x, dy, dx = problem(rng, "cube")
    x = x.astype(np.float32)
    dx = true_gradient("cube", x.astype(np.float64), dy)
    accepted, error = f("cube", x, dy, dx)
    return {
        "accepted": accepted,
        "the error is below 1e-7": bool(error < 1e-7),
        "ten times the gradient: accepted": f("cube", x, dy, 10 * dx)[0],
    }


@probe(1, hidden=True)
def vanishing_gradients(f, rng):
    """Two gradients that both vanish, up to rounding, agree; the floor of 1e-3 sees to that."""
    x, dy, _ = problem(rng, "standardize")
    accepted, _ = f("standardize", x, np.ones_like(dy), np.zeros_like(x))
    z, dz, _ = problem(rng, "energy")
    small = 1e-5 * dz
    return {
        "zero accepted where the true gradient is zero": accepted,
        "the error of zero where the true gradient is tiny": f("energy", z, small, 0 * z)[1],
    }


@mistake(
    earns=4,
    hint="(f(x + h) - f(x)) / h is off by an amount proportional to h. Step to both sides, and "
    "divide by 2h: the error is then proportional to h².",
)
def takes_forward_differences(name, x, dy, dx, h=1e-5, tolerance=1e-6):
    """The difference is taken to one side only, f(x + h) - f(x), which is too inaccurate."""
    f = FUNCTIONS[name]
    x = np.array(x, dtype=np.float64)
    numerical = np.empty_like(x)
    for i in np.ndindex(x.shape):
        up = x.copy()
        up[i] += h
        numerical[i] = (dy * (f(up) - f(x))).sum() / h
    size = max(np.linalg.norm(dx), np.linalg.norm(numerical), 1e-3)
    error = np.linalg.norm(dx - numerical) / size
    return bool(error <= tolerance), float(error)


@mistake(earns=3, hint="From x - h to x + h is a way of 2h: that is what you divide by.")
def divides_by_h(name, x, dy, dx, h=1e-5, tolerance=1e-6):
    """The central difference is divided by h where it should be 2h."""
    f = FUNCTIONS[name]
    x = np.array(x, dtype=np.float64)
    numerical = np.empty_like(x)
    for i in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[i] += h
        down[i] -= h
        numerical[i] = (dy * (f(up) - f(down))).sum() / h
    size = max(np.linalg.norm(dx), np.linalg.norm(numerical), 1e-3)
    error = np.linalg.norm(dx - numerical) / size
    return bool(error <= tolerance), float(error)


@mistake(
    earns=3,
    hint="Division and multiplication go from left to right: `/ 2 * h` halves, and multiplies by h. Put "
    "2 * h in parentheses.",
)
def misses_the_parentheses_of_2h(name, x, dy, dx, h=1e-5, tolerance=1e-6):
    """The difference is divided by 2 and multiplied by h: parentheses are missing around 2 * h."""
    f = FUNCTIONS[name]
    x = np.array(x, dtype=np.float64)
    numerical = np.empty_like(x)
    for i in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[i] += h
        down[i] -= h
        numerical[i] = (dy * (f(up) - f(down))).sum() / 2 * h
    size = max(np.linalg.norm(dx), np.linalg.norm(numerical), 1e-3)
    error = np.linalg.norm(dx - numerical) / size
    return bool(error <= tolerance), float(error)


@mistake(
    earns=1,
    hint="The loss is the sum of dy * f(x). Without dy you check the sum of the outputs, which for "
    "batch normalization does not depend on x at all.",
)
def ignores_dy(name, x, dy, dx, h=1e-5, tolerance=1e-6):
    """The loss is the sum of the outputs; dy does not enter."""
    f = FUNCTIONS[name]
    x = np.array(x, dtype=np.float64)
    numerical = np.empty_like(x)
    for i in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[i] += h
        down[i] -= h
        numerical[i] = (f(up) - f(down)).sum() / (2 * h)
    size = max(np.linalg.norm(dx), np.linalg.norm(numerical), 1e-3)
    error = np.linalg.norm(dx - numerical) / size
    return bool(error <= tolerance), float(error)


@mistake(
    earns=4,
    hint="All entries of x move at once, and you get one number: the slope in one direction. "
    "The gradient has an entry for each of x: move one at a time.",
)
def moves_all_entries_at_once(name, x, dy, dx, h=1e-5, tolerance=1e-6):
    """All entries of x are moved at once, so that single derivatives are not seen."""
    f = FUNCTIONS[name]
    x = np.array(x, dtype=np.float64)
    change = dy * (f(x + h) - f(x - h)) / (2 * h)
    numerical = change if change.shape == x.shape else change[:, None] * np.ones_like(x)
    size = max(np.linalg.norm(dx), np.linalg.norm(numerical), 1e-3)
    error = np.linalg.norm(dx - numerical) / size
    return bool(error <= tolerance), float(error)


@mistake(
    earns=7,
    hint="Other books divide by the sum of the two norms, which makes the error about half as large. "
    "Here it is the larger of the two, and no less than 1e-3.",
)
def divides_by_both_norms(name, x, dy, dx, h=1e-5, tolerance=1e-6):
    """The difference is divided by the sum of the two norms, not by the larger one."""
    f = FUNCTIONS[name]
    x = np.array(x, dtype=np.float64)
    numerical = np.empty_like(x)
    for i in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[i] += h
        down[i] -= h
        numerical[i] = (dy * (f(up) - f(down))).sum() / (2 * h)
    size = max(np.linalg.norm(dx) + np.linalg.norm(numerical), 1e-3)
    error = np.linalg.norm(dx - numerical) / size
    return bool(error <= tolerance), float(error)


@mistake(
    earns=6,
    hint="A difference of 1e-6 is nothing for a gradient of 100, and everything for one of 1e-7. "
    "Divide by the larger of the two norms, but by no less than 1e-3.",
)
def measures_the_absolute_error(name, x, dy, dx, h=1e-5, tolerance=1e-6):
    """The error is not divided by the size of the gradients."""
    f = FUNCTIONS[name]
    x = np.array(x, dtype=np.float64)
    numerical = np.empty_like(x)
    for i in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[i] += h
        down[i] -= h
        numerical[i] = (dy * (f(up) - f(down))).sum() / (2 * h)
    error = np.linalg.norm(dx - numerical)
    return bool(error <= tolerance), float(error)


@mistake(
    earns=9,
    hint="Where both gradients are zero, only their rounding errors are left, and one is as large "
    "as the other. Divide by no less than 1e-3.",
)
def has_no_floor(name, x, dy, dx, h=1e-5, tolerance=1e-6):
    """The size that divides the error has no lower bound, so rounding errors are compared."""
    f = FUNCTIONS[name]
    x = np.array(x, dtype=np.float64)
    numerical = np.empty_like(x)
    for i in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[i] += h
        down[i] -= h
        numerical[i] = (dy * (f(up) - f(down))).sum() / (2 * h)
    size = max(np.linalg.norm(dx), np.linalg.norm(numerical), 1e-300)
    error = np.linalg.norm(dx - numerical) / size
    return bool(error <= tolerance), float(error)


@mistake(
    earns=6,
    hint="Differences of either sign must count: take norms, of the *difference* of the two arrays, "
    "not the difference of their norms.",
)
def compares_the_norms_only(name, x, dy, dx, h=1e-5, tolerance=1e-6):
    """Only the lengths of the two gradients are compared, not their directions."""
    f = FUNCTIONS[name]
    x = np.array(x, dtype=np.float64)
    numerical = np.empty_like(x)
    for i in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[i] += h
        down[i] -= h
        numerical[i] = (dy * (f(up) - f(down))).sum() / (2 * h)
    size = max(np.linalg.norm(dx), np.linalg.norm(numerical), 1e-3)
    error = abs(np.linalg.norm(dx) - np.linalg.norm(numerical)) / size
    return bool(error <= tolerance), float(error)


@mistake(
    earns=9,
    hint="`x[i] += h`, then `x[i] -= h`, does not always bring back the same number, and it writes "
    "into the caller's array. Work on a copy.",
)
def moves_the_callers_array(name, x, dy, dx, h=1e-5, tolerance=1e-6):
    """The entries of the caller's x are moved and not put back exactly."""
    f = FUNCTIONS[name]
    if x.dtype != np.float64:
        x = x.astype(np.float64)
    numerical = np.empty_like(x)
    for i in np.ndindex(x.shape):
        x[i] += h
        up = f(x)
        x[i] -= 2 * h
        down = f(x)
        x[i] += h
        numerical[i] = (dy * (up - down)).sum() / (2 * h)
    size = max(np.linalg.norm(dx), np.linalg.norm(numerical), 1e-3)
    error = np.linalg.norm(dx - numerical) / size
    return bool(error <= tolerance), float(error)


@mistake(
    earns=5,
    hint="Put x[i] back to where it was before you move the next entry; working on a fresh copy "
    "for each entry is the safest way.",
)
def does_not_move_back(name, x, dy, dx, h=1e-5, tolerance=1e-6):
    """The entries that were moved stay moved while the next ones are tried."""
    f = FUNCTIONS[name]
    numerical = np.empty(x.shape)
    for i in np.ndindex(x.shape):
        x[i] += h
        up = f(x)
        x[i] -= 2 * h
        numerical[i] = (dy * (up - f(x))).sum() / (2 * h)
    size = max(np.linalg.norm(dx), np.linalg.norm(numerical), 1e-3)
    error = np.linalg.norm(dx - numerical) / size
    return bool(error <= tolerance), float(error)


@mistake(
    earns=9,
    hint="float32 has seven digits, and the difference of two outputs loses most of them. Convert x "
    "to float64 first.",
)
def works_in_the_precision_of_x(name, x, dy, dx, h=1e-5, tolerance=1e-6):
    """The differences are taken in the precision of x: in float32 they drown in rounding errors."""
    f = FUNCTIONS[name]
    numerical = np.empty(x.shape)
    for i in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[i] += h
        down[i] -= h
        numerical[i] = (dy * (f(up) - f(down))).sum() / (2 * h)
    size = max(np.linalg.norm(dx), np.linalg.norm(numerical), 1e-3)
    error = np.linalg.norm(dx - numerical) / size
    return bool(error <= tolerance), float(error)


@mistake(
    earns=9,
    hint="`h` and `tolerance` are arguments: your function must use what it is given.",
)
def ignores_the_tolerance(name, x, dy, dx, h=1e-5, tolerance=1e-6):
    """`tolerance` is not used: the limit is always 1e-6."""
    f = FUNCTIONS[name]
    x = np.array(x, dtype=np.float64)
    numerical = np.empty_like(x)
    for i in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[i] += h
        down[i] -= h
        numerical[i] = (dy * (f(up) - f(down))).sum() / (2 * h)
    size = max(np.linalg.norm(dx), np.linalg.norm(numerical), 1e-3)
    error = np.linalg.norm(dx - numerical) / size
    return bool(error <= 1e-6), float(error)


@mistake(
    earns=8,
    hint="Put the entry back to where it was before you move the next one. Outputs that depend on "
    "several entries, as those of batch normalization do, are off otherwise.",
)
def leaves_the_entries_moved(name, x, dy, dx, h=1e-5, tolerance=1e-6):
    """The entries of the copy that were moved are not put back before the next ones are tried."""
    f = FUNCTIONS[name]
    x = np.array(x, dtype=np.float64)
    numerical = np.empty_like(x)
    for i in np.ndindex(x.shape):
        x[i] += h
        up = f(x)
        x[i] -= 2 * h
        numerical[i] = (dy * (up - f(x))).sum() / (2 * h)
    size = max(np.linalg.norm(dx), np.linalg.norm(numerical), 1e-3)
    error = np.linalg.norm(dx - numerical) / size
    return bool(error <= tolerance), float(error)


@mistake(earns=0, hint="The order of the result is (accepted, error).")
def returns_the_error_first(name, x, dy, dx, h=1e-5, tolerance=1e-6):
    """The two results are returned in the wrong order: the error comes first."""
    f = FUNCTIONS[name]
    x = np.array(x, dtype=np.float64)
    numerical = np.empty_like(x)
    for i in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[i] += h
        down[i] -= h
        numerical[i] = (dy * (f(up) - f(down))).sum() / (2 * h)
    size = max(np.linalg.norm(dx), np.linalg.norm(numerical), 1e-3)
    error = np.linalg.norm(dx - numerical) / size
    return float(error), bool(error <= tolerance)


@mistake(
    earns=2,
    hint="A gradient is accepted if its error is *small*: at most `tolerance`.",
)
def accepts_what_it_should_reject(name, x, dy, dx, h=1e-5, tolerance=1e-6):
    """`accepted` is the wrong way round: it says whether the error is larger than `tolerance`."""
    f = FUNCTIONS[name]
    x = np.array(x, dtype=np.float64)
    numerical = np.empty_like(x)
    for i in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[i] += h
        down[i] -= h
        numerical[i] = (dy * (f(up) - f(down))).sum() / (2 * h)
    size = max(np.linalg.norm(dx), np.linalg.norm(numerical), 1e-3)
    error = np.linalg.norm(dx - numerical) / size
    return bool(error > tolerance), float(error)


@mistake(
    earns=9,
    hint="The error may be *at most* `tolerance`, and an error of 1 is at most 1: compare with `<=`.",
)
def wants_to_be_below_the_tolerance(name, x, dy, dx, h=1e-5, tolerance=1e-6):
    """An error that is exactly the tolerance is rejected."""
    f = FUNCTIONS[name]
    x = np.array(x, dtype=np.float64)
    numerical = np.empty_like(x)
    for i in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[i] += h
        down[i] -= h
        numerical[i] = (dy * (f(up) - f(down))).sum() / (2 * h)
    size = max(np.linalg.norm(dx), np.linalg.norm(numerical), 1e-3)
    error = np.linalg.norm(dx - numerical) / size
    return bool(error < tolerance), float(error)


def check_of_flat_arrays(name, x, dy, dx, h=1e-5, tolerance=1e-6):
    def loss(flat):
        return np.vdot(dy, FUNCTIONS[name](flat.reshape(x.shape)))

    point = x.astype(float).ravel()
    steps = h * np.eye(point.size)
    numerical = np.array([(loss(point + s) - loss(point - s)) / (2 * h) for s in steps])
    gap = np.sqrt(((np.ravel(dx) - numerical) ** 2).sum())
    size = max(np.sqrt((dx**2).sum()), np.sqrt((numerical**2).sum()), 1e-3)
    return gap / size <= tolerance, gap / size


def check_entry_by_entry(name, x, dy, dx, h=1e-5, tolerance=1e-6):
    f = FUNCTIONS[name]
    work = np.array(x, dtype=np.float64)
    numerical = np.zeros(work.shape)
    for i in range(work.shape[0]):
        for j in range(work.shape[1]):
            kept = work[i, j]
            work[i, j] = kept + h
            up = np.sum(dy * f(work))
            work[i, j] = kept - h
            down = np.sum(dy * f(work))
            work[i, j] = kept
            numerical[i, j] = (up - down) / (2 * h)
    size = np.max([np.linalg.norm(dx), np.linalg.norm(numerical), 1e-3])
    error = np.linalg.norm(numerical - dx) / size
    return error <= tolerance, error


# --- batchnorm_jacobian ----------------------------------------------------------------------


def batchnorm_jacobian(x, eps=1e-5):
    N = len(x)
    std = np.sqrt(x.var() + eps)
    x_hat = (x - x.mean()) / std
    return (np.eye(N) - 1 / N - np.outer(x_hat, x_hat) / N) / std


def values(rng, n=6):
    """One feature of a batch."""
    return 3.0 * rng.normal(size=n) + 7.0


@probe(3)
def jacobian_entries(f, rng):
    """Entry (i, j) is the derivative of x_hat of sample i with respect to x of sample j."""
    return {"the Jacobian": f(values(rng) / 3)}  # beside a larger variance eps would not show


@probe(1)
def jacobian_rows_sum_to_zero(f, rng):
    """Every row sums to 0: moving all samples together moves no output."""
    x = values(rng)
    J, same, another = f(x.copy(), eps=0.5), f(x.copy(), eps=0.5), f(2 * x, eps=0.5)
    return {
        "the row sums": J.sum(axis=1),
        "J is not 0 everywhere": not_zero(J),
        "J is the same for the same x, and another for another": bool(
            np.allclose(J, same) and not np.allclose(J, another)
        ),
    }


@probe(1)
def jacobian_has_rank_n_minus_2(f, rng):
    """Without eps, two directions are lost: the constant one and x_hat itself."""
    x = values(rng, 7)
    J = f(x, eps=0.0)
    return {
        "J applied to the constant direction": J @ np.ones(7),
        "J applied to x_hat": J @ ((x - x.mean()) / x.std()),
        "std times the five largest singular values": x.std() * np.linalg.svd(J)[1][:5],
    }


@probe(1, hidden=True)
def jacobian_with_a_large_eps(f, rng):
    """eps counts as in the forward pass, also when it is as large as the variance, and when both are tiny."""
    large, x = f(values(rng, 4), eps=5.0), 1e-5 * rng.normal(size=6)
    return {
        "the Jacobian for eps=5": large,
        "std times the Jacobian for deviations near 1e-5 and eps=1e-14": np.sqrt(x.var() + 1e-14)
        * f(x, eps=1e-14),
    }


@mistake(
    earns=1,
    hint="Moving one sample changes the variance of the batch, and with it every normalized value. "
    "Follow that path, too: it adds a multiple of x_hat to each column.",
)
def jacobian_without_the_variance(x, eps=1e-5):
    """The path through the variance is missing."""
    N = len(x)
    return (np.eye(N) - 1 / N) / np.sqrt(x.var() + eps)


@mistake(
    earns=0,
    hint="Moving one sample moves the batch mean, and with it every normalized value. Follow that "
    "path, too: a constant added to all samples changes nothing, so each row must sum to 0.",
)
def jacobian_without_the_mean(x, eps=1e-5):
    """The path through the mean is missing."""
    N = len(x)
    std = np.sqrt(x.var() + eps)
    x_hat = (x - x.mean()) / std
    return (np.eye(N) - np.outer(x_hat, x_hat) / N) / std


@mistake(
    hint="Mean and variance are computed from x, so they move when x moves. Two more paths lead "
    "from x_hat back to x, one through each of them.",
)
def jacobian_of_constant_statistics(x, eps=1e-5):
    """Mean and variance are treated as constants: the Jacobian is diagonal."""
    return np.eye(len(x)) / np.sqrt(x.var() + eps)


@mistake(
    earns=1,
    hint="x_hat is measured in standard deviations: the whole Jacobian carries a factor 1/std.",
)
def jacobian_without_the_deviation(x, eps=1e-5):
    """The factor 1/std is missing."""
    N = len(x)
    x_hat = (x - x.mean()) / np.sqrt(x.var() + eps)
    return np.eye(N) - 1 / N - np.outer(x_hat, x_hat) / N


@mistake(
    earns=1,
    hint="The outer product is that of *normalized* values. With x - mean in its place, 1/std² is "
    "missing from the term.",
)
def jacobian_from_centered_values(x, eps=1e-5):
    """The outer product is taken of x - mean where it should be of x_hat."""
    N = len(x)
    std = np.sqrt(x.var() + eps)
    c = x - x.mean()
    return (np.eye(N) - 1 / N - np.outer(c, c) / N) / std


@mistake(
    earns=1,
    hint="Both corrections are shared among N samples: divide the outer product by N, too.",
)
def jacobian_with_an_undivided_outer_product(x, eps=1e-5):
    """The outer product of x_hat is not divided by N."""
    N = len(x)
    std = np.sqrt(x.var() + eps)
    x_hat = (x - x.mean()) / std
    return (np.eye(N) - 1 / N - np.outer(x_hat, x_hat)) / std


@mistake(
    earns=1,
    hint="The variance pulls back what goes along x_hat: its term is subtracted, like the mean's.",
)
def jacobian_adds_the_variance_term(x, eps=1e-5):
    """The variance's term is added where it should be subtracted."""
    N = len(x)
    std = np.sqrt(x.var() + eps)
    x_hat = (x - x.mean()) / std
    return (np.eye(N) - 1 / N + np.outer(x_hat, x_hat) / N) / std


@mistake(
    earns=2,
    hint="x_hat is normalized by `np.sqrt(var + eps)`: eps belongs under the root wherever you "
    "divide by the standard deviation.",
)
def jacobian_without_eps(x, eps=1e-5):
    """eps is left out."""
    N = len(x)
    x_hat = (x - x.mean()) / x.std()
    return (np.eye(N) - 1 / N - np.outer(x_hat, x_hat) / N) / x.std()


@mistake(
    earns=1,
    hint="Batch normalization divides by the biased standard deviation: `np.std` without ddof.",
)
def jacobian_divides_by_n_minus_1(x, eps=1e-5):
    """The unbiased variance, with N - 1, is used where batch normalization divides by N."""
    N = len(x)
    std = np.sqrt(x.var(ddof=1) + eps)
    x_hat = (x - x.mean()) / std
    return (np.eye(N) - 1 / N - np.outer(x_hat, x_hat) / N) / std


@mistake(
    earns=5,
    hint="A difference is good as long as its step is small beside the spread of x, and you do not "
    "know the spread beforehand. A formula is asked, and it has no step.",
)
def jacobian_by_central_differences(x, eps=1e-5):
    """The derivatives are found by differences with a step of 1e-5, not by a formula."""
    J = np.empty((len(x), len(x)))
    for j in range(len(x)):
        up, down = x.copy(), x.copy()
        up[j] += 1e-5
        down[j] -= 1e-5
        high = (up - up.mean()) / np.sqrt(up.var() + eps)
        low = (down - down.mean()) / np.sqrt(down.var() + eps)
        J[:, j] = (high - low) / 2e-5
    return J


def jacobian_by_columns(x, eps=1e-5):
    n = x.size
    inv = 1 / np.sqrt(np.mean((x - x.mean()) ** 2) + eps)
    h = (x - x.mean()) * inv
    columns = []
    for j in range(n):
        moved = np.zeros(n)
        moved[j] = 1
        columns.append(inv * (moved - 1 / n - h * h[j] / n))
    return np.column_stack(columns)


def jacobian_by_the_quotient_rule(x, eps=1e-5):
    n = len(x)
    c = x - np.mean(x)
    std = (np.var(x) + eps) ** 0.5
    J = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            J[i, j] = ((i == j) - 1 / n) / std - c[i] * c[j] / (n * std**3)
    return J


# --- the chapter -----------------------------------------------------------------------------

CHAPTER = Chapter(
    slug="batchnorm_backward",
    title="Batch normalization, backward",
    exercises=(
        Exercise(
            name="batchnorm_backward_staged",
            reference=batchnorm_backward_staged,
            probes=(
                staged_parameters,
                staged_x_hat,
                staged_inv_std,
                staged_std,
                staged_var,
                staged_squared,
                staged_centered,
                staged_mean,
                staged_x,
                staged_leaves_its_inputs_alone,
                staged_with_a_large_eps,
            ),
            mistakes=(
                staged_without_the_variance_path,
                staged_adds_the_variance_path_to_dx,
                staged_without_the_direct_path,
                staged_without_the_mean_path,
                staged_changes_dcentered,
                staged_hands_the_mean_on_undivided,
                staged_with_the_wrong_sign_of_dmean,
                staged_without_the_two_of_the_square,
                staged_with_the_wrong_sign_of_dstd,
                staged_without_the_square_of_the_reciprocal,
                staged_forgets_the_half_of_the_root,
                staged_multiplies_by_the_root,
                staged_divides_by_n_minus_1,
                staged_forgets_the_n_of_the_variance,
                staged_keeps_one_row_of_squares,
                staged_takes_x_hat_for_centered,
                staged_forgets_gamma,
                staged_forgets_eps,
                staged_adds_eps_to_the_root,
                staged_dgamma_from_x,
                staged_averages_over_the_batch,
                staged_changes_dy,
            ),
            alternatives=(staged_node_by_node, staged_with_loops),
            tolerance=EXACT,
        ),
        Exercise(
            name="batchnorm_backward",
            reference=batchnorm_backward,
            probes=(
                gradients_of_the_parameters,
                gradient_of_the_input,
                columns_sum_to_zero,
                orthogonal_to_x_hat,
                inputs_are_left_alone,
                with_a_large_eps,
                with_small_batches,
                blind_directions,
            ),
            mistakes=(
                treats_statistics_as_constants,
                averages_x_hat_away,
                multiplies_by_gamma_twice,
                scales_the_first_term_only,
                dgamma_from_dx_hat,
                misses_the_mean_path,
                misses_the_variance_path,
                misses_the_direct_path,
                forgets_gamma,
                forgets_to_divide_by_the_deviation,
                divides_by_the_variance,
                sums_where_means_belong,
                divides_by_the_number_of_features,
                forgets_x_hat_in_the_variance_term,
                adds_the_variance_term,
                adds_the_mean_term,
                divides_the_variance_term_by_n_minus_1,
                takes_centered_for_x_hat,
                takes_x_for_x_hat,
                scales_the_direct_term_only,
                forgets_eps,
                squares_eps,
                counts_eps_twice,
                adds_eps_outside_the_root,
                dgamma_from_x,
                dgamma_from_gamma_x_hat,
                averages_over_the_batch,
                keeps_the_batch_axis,
                exchanges_dgamma_and_dbeta,
                averages_over_the_features,
                changes_dy,
                changes_the_cache,
            ),
            alternatives=(backward_in_two_projections, backward_in_one_line, backward_by_jacobians),
            tolerance=EXACT,
        ),
        Exercise(
            name="batchnorm2d_backward",
            reference=batchnorm2d_backward,
            probes=(
                one_gradient_per_channel,
                gradient_of_the_images,
                images_are_left_alone,
                as_many_channels_as_columns,
                a_single_image,
            ),
            mistakes=(
                sums_over_the_channel,
                divides_by_the_number_of_images,
                divides_by_the_number_of_pixels,
                goes_back_image_by_image,
                goes_back_pixel_by_pixel,
                reshapes_without_transposing,
                forgets_to_transpose_back,
                lines_gamma_up_with_the_columns,
                keeps_all_four_axes,
                treats_channel_statistics_as_constants,
                averages_over_the_images,
                forgets_eps_of_the_images,
            ),
            alternatives=(backward_of_a_table, backward_channel_by_channel),
            equivalents={
                "axes = (2, 0, 3)": "a sum over three axes does not depend on their order"
            },
            tolerance=EXACT,
        ),
        Exercise(
            name="batchnorm_backward_eval",
            reference=batchnorm_backward_eval,
            probes=(
                eval_gradient_of_the_input,
                eval_gradients_of_the_parameters,
                eval_samples_are_independent,
                eval_of_one_sample_and_large_eps,
            ),
            mistakes=(
                goes_back_as_in_training,
                goes_back_with_batch_statistics,
                eval_dgamma_from_batch_statistics,
                eval_dgamma_from_centered,
                eval_dgamma_from_x,
                eval_forgets_gamma,
                eval_divides_dx_by_the_variance,
                eval_divides_by_the_variance,
                eval_forgets_eps,
                eval_freezes_the_parameters,
                eval_freezes_gamma,
                eval_exchanges_dgamma_and_dbeta,
                eval_changes_dy,
            ),
            alternatives=(eval_by_einsum, eval_sample_by_sample),
            tolerance=EXACT,
        ),
        Exercise(
            name="gradient_check",
            reference=gradient_check,
            probes=(
                accepts_right_gradients,
                rejects_wrong_gradients,
                measures_the_error,
                tolerance_decides,
                nothing_is_changed,
                works_in_double_precision,
                vanishing_gradients,
            ),
            mistakes=(
                takes_forward_differences,
                divides_by_h,
                misses_the_parentheses_of_2h,
                ignores_dy,
                moves_all_entries_at_once,
                measures_the_absolute_error,
                divides_by_both_norms,
                has_no_floor,
                compares_the_norms_only,
                moves_the_callers_array,
                does_not_move_back,
                works_in_the_precision_of_x,
                ignores_the_tolerance,
                leaves_the_entries_moved,
                returns_the_error_first,
                accepts_what_it_should_reject,
                wants_to_be_below_the_tolerance,
            ),
            alternatives=(check_of_flat_arrays, check_entry_by_entry),
            equivalents={
                f"def gradient_check(name, x, dy, dx, h={h}, tolerance=1e-06):": ANY_STEP
                for h in ("2e-05", "5e-06")
            }
            | {
                f"size = max({order})": "the order of the arguments does not change the maximum"
                for order in (
                    "np.linalg.norm(numerical), np.linalg.norm(dx), 0.001",
                    "np.linalg.norm(dx), 0.001, np.linalg.norm(numerical)",
                )
            }
            | {
                "numerical = np.empty_like(dx)": SAME_SHAPE,
                "for i in np.ndindex(dx.shape):": SAME_SHAPE,
            },
            tolerance=NUMERICAL,
        ),
        Exercise(
            name="batchnorm_jacobian",
            reference=batchnorm_jacobian,
            probes=(
                jacobian_entries,
                jacobian_rows_sum_to_zero,
                jacobian_has_rank_n_minus_2,
                jacobian_with_a_large_eps,
            ),
            mistakes=(
                jacobian_without_the_variance,
                jacobian_without_the_mean,
                jacobian_of_constant_statistics,
                jacobian_without_the_deviation,
                jacobian_from_centered_values,
                jacobian_with_an_undivided_outer_product,
                jacobian_adds_the_variance_term,
                jacobian_without_eps,
                jacobian_divides_by_n_minus_1,
                jacobian_by_central_differences,
            ),
            alternatives=(jacobian_by_columns, jacobian_by_the_quotient_rule),
            tolerance=CLOSE,
        ),
    ),
)
