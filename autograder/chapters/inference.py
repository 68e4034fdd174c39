"""Training versus inference: what its exercises ask, and the mistakes that people make in them.

``momentum`` is PyTorch's, the weight of the new value, except where Keras is named. References agree
with PyTorch: ``torch.nn.BatchNorm1d``, ``torch.optim.swa_utils.update_bn`` and
``torch.nn.utils.fuse_linear_bn_eval``. Layers and networks are plain data (dicts with named arrays),
because only plain data can be handed to a student's function.

The code of mistakes and alternatives is written as students write it, and stands alone: it uses
nothing but NumPy and its arguments.
"""

import copy
import itertools

import numpy as np

from autograder.chapters._batchnorm1d import (
    BIASED_HINT,
    BUFFER_IN_PLACE_HINT,
    CONVENTION_HINT,
    COPY_PASTE_HINT,
    DEVIATION_HINT,
    EPS_HINT,
    MOMENTUM_FIXED_HINT,
    OVERWRITE_HINT,
    ROWS_HINT,
    TOLERANCE,
    WHOLE_HINT,
    affine,
    batch,
    population,
    trained_state,
)
from autograder.chapters._batchnorm1d import EXERCISE as BATCHNORM1D
from autograder.exercise import Argument, Chapter, Exercise, Tolerance, mistake, outcome, probe

# The statistics are hundreds: float32 somewhere in between leaves about 1e-7, too little to matter.
ROUGH = Tolerance(relative=1e-5, absolute=1e-3)

# --- update_running --------------------------------------------------------------------------


def update_running(running_mean, running_var, x, momentum=0.1):
    mean = x.mean(axis=0)
    var = x.var(axis=0, ddof=1)
    return (
        (1 - momentum) * running_mean + momentum * mean,
        (1 - momentum) * running_var + momentum * var,
    )


@probe(2)
def mean_moves_towards_the_batch(f, rng):
    """The running mean moves the fraction `momentum`, 0.1 by default, towards the batch's mean."""
    mean, var = population(rng)
    new_mean, _ = f(mean, var, batch(rng))
    return {"the new running mean": new_mean}


@probe(2)
def variance_moves_towards_the_batch(f, rng):
    """The running variance moves the same fraction towards the batch's unbiased variance."""
    mean, var = population(rng)
    _, new_var = f(mean, var, batch(rng, samples=5))
    return {"the new running variance": new_var}


@probe(1)
def momentum_is_the_callers(f, rng):
    """Another `momentum` moves another fraction of the way: 0 moves nothing, 1 takes the batch's value."""
    mean, var = population(rng)
    x = batch(rng, samples=4)
    some, none, all_of_it = (
        f(mean.copy(), var.copy(), x.copy(), momentum=m) for m in (0.25, 0.0, 1.0)
    )
    # All so small that an ε in the average shows.
    small = f(1e-5 * mean, 1e-10 * var, 1e-5 * x, momentum=1.0)
    return {
        "the running mean for momentum 0.25": some[0],
        "the running variance for momentum 0.25": some[1],
        "the running mean for momentum 0": none[0],
        "the running variance for momentum 0": none[1],
        "the running mean for momentum 1": all_of_it[0],
        "1e10 times the running variance of small values for momentum 1": 1e10 * small[1],
    }


@probe(1)
def many_updates_forget_the_start(f, rng):
    """After twenty batches next to nothing is left of the start, and the last batches count most."""
    mean, var = population(rng)
    for _ in range(20):
        mean, var = f(mean, var, batch(rng), 0.4)
    return {"the running mean": mean, "the running variance": var}


@probe(1)
def update_makes_new_arrays(f, rng):
    """The arrays that you are given are left as they were, and the result is right."""
    mean, var = population(rng)
    x = batch(rng)
    new_mean, _ = f(mean, var, x)
    return {
        "running_mean": Argument(mean),
        "running_var": Argument(var),
        "x": Argument(x),
        "the new running mean": new_mean,
    }


@probe(1, hidden=True)
def update_by_two_samples(f, rng):
    """Two samples are a batch: their unbiased variance is twice the biased one."""
    mean, var = population(rng)
    new_mean, new_var = f(mean, var, batch(rng, samples=2), 0.3)
    return {"the new running mean": new_mean, "the new running variance": new_var}


@mistake(hint=CONVENTION_HINT)
def update_in_the_convention_of_keras(running_mean, running_var, x, momentum=0.1):
    """The momentum weighs the old value, which is the convention of Keras, not of PyTorch."""
    return (
        momentum * running_mean + (1 - momentum) * x.mean(axis=0),
        momentum * running_var + (1 - momentum) * x.var(axis=0, ddof=1),
    )


@mistake(hint=f"{CONVENTION_HINT} {BIASED_HINT}")
def update_altogether_as_in_keras(running_mean, running_var, x, momentum=0.1):
    """The momentum weighs the old value, and the running variance gathers the biased one."""
    return (
        momentum * running_mean + (1 - momentum) * x.mean(axis=0),
        momentum * running_var + (1 - momentum) * x.var(axis=0),
    )


@mistake(hint=OVERWRITE_HINT)
def update_overwrites(running_mean, running_var, x, momentum=0.1):
    """The batch's statistics replace the running ones; nothing is averaged."""
    return x.mean(axis=0), x.var(axis=0, ddof=1)


@mistake(earns=3, hint=DEVIATION_HINT)
def update_averages_the_deviations(running_mean, running_var, x, momentum=0.1):
    """Standard deviations are averaged, and squared afterwards, where variances should be averaged."""
    running_std = (1 - momentum) * np.sqrt(running_var) + momentum * x.std(axis=0, ddof=1)
    return (1 - momentum) * running_mean + momentum * x.mean(axis=0), running_std**2


@mistake(earns=3, hint="The running variance is moved towards a variance: `x.var`, not `x.std`.")
def update_mixes_in_the_deviation(running_mean, running_var, x, momentum=0.1):
    """The batch's standard deviation is mixed into the running variance."""
    return (
        (1 - momentum) * running_mean + momentum * x.mean(axis=0),
        (1 - momentum) * running_var + momentum * x.std(axis=0, ddof=1),
    )


@mistake(earns=3, hint=COPY_PASTE_HINT)
def update_moves_the_variance_from_the_mean(running_mean, running_var, x, momentum=0.1):
    """The running variance is moved from the old running mean: a line was copied."""
    return (
        (1 - momentum) * running_mean + momentum * x.mean(axis=0),
        (1 - momentum) * running_mean + momentum * x.var(axis=0, ddof=1),
    )


@mistake(earns=3, hint=COPY_PASTE_HINT)
def update_moves_the_variance_to_the_mean(running_mean, running_var, x, momentum=0.1):
    """The running variance is moved towards the batch's mean: a line was copied."""
    return (
        (1 - momentum) * running_mean + momentum * x.mean(axis=0),
        (1 - momentum) * running_var + momentum * x.mean(axis=0),
    )


@mistake(earns=3, hint=BIASED_HINT)
def update_gathers_the_biased_variance(running_mean, running_var, x, momentum=0.1):
    """The running variance gathers the biased variance, which divides by N, not by N - 1."""
    return (
        (1 - momentum) * running_mean + momentum * x.mean(axis=0),
        (1 - momentum) * running_var + momentum * x.var(axis=0),
    )


@mistake(
    earns=3,
    hint="The variance of the batch is too small, so the correction enlarges it: N/(N-1). `ddof=1` "
    "does the same, and needs no factor.",
)
def update_corrects_the_wrong_way(running_mean, running_var, x, momentum=0.1):
    """The biased variance is multiplied by (N-1)/N, where N/(N-1) makes it unbiased."""
    n = len(x)
    return (
        (1 - momentum) * running_mean + momentum * x.mean(axis=0),
        (1 - momentum) * running_var + momentum * x.var(axis=0) * (n - 1) / n,
    )


@mistake(
    earns=3,
    hint="Only the batch's variance needs the factor N/(N-1). The old running variance has been "
    "corrected already, and would be enlarged again by every batch.",
)
def update_corrects_the_average(running_mean, running_var, x, momentum=0.1):
    """The factor N/(N-1) is applied to the whole average, the old running variance included."""
    n = len(x)
    average = (1 - momentum) * running_var + momentum * x.var(axis=0)
    return (1 - momentum) * running_mean + momentum * x.mean(axis=0), average * n / (n - 1)


@mistake(
    earns=3,
    hint="The variance of a batch is taken around the batch's own mean. Around the running mean it "
    "would also hold how far the two means are apart.",
)
def update_takes_the_variance_around_the_running_mean(running_mean, running_var, x, momentum=0.1):
    """The batch's variance is taken around the running mean, not around the batch's own mean."""
    var = ((x - running_mean) ** 2).sum(axis=0) / (len(x) - 1)
    return (
        (1 - momentum) * running_mean + momentum * x.mean(axis=0),
        (1 - momentum) * running_var + momentum * var,
    )


@mistake(earns=7, hint=BUFFER_IN_PLACE_HINT)
def update_changes_the_callers_buffers(running_mean, running_var, x, momentum=0.1):
    """The average is formed in place, in the arrays of the caller."""
    running_mean *= 1 - momentum
    running_mean += momentum * x.mean(axis=0)
    running_var *= 1 - momentum
    running_var += momentum * x.var(axis=0, ddof=1)
    return running_mean, running_var


@mistake(earns=7, hint="`x -= mean` writes into the caller's batch. `x - mean` makes a new array.")
def update_centres_x_in_place(running_mean, running_var, x, momentum=0.1):
    """The batch is centred in place, so that the caller's batch is gone."""
    mean = x.mean(axis=0)
    x -= mean
    var = (x**2).sum(axis=0) / (len(x) - 1)
    return (
        (1 - momentum) * running_mean + momentum * mean,
        (1 - momentum) * running_var + momentum * var,
    )


@mistake(earns=5, hint=MOMENTUM_FIXED_HINT)
def update_ignores_the_momentum(running_mean, running_var, x, momentum=0.1):
    """The momentum is always 0.1, whatever the caller asks for."""
    return (
        0.9 * running_mean + 0.1 * x.mean(axis=0),
        0.9 * running_var + 0.1 * x.var(axis=0, ddof=1),
    )


@mistake(
    hint="The two weights of an average add up to 1: what the new value gains, the old one loses. "
    "Weigh the old value by 1 - momentum.",
)
def update_does_not_forget(running_mean, running_var, x, momentum=0.1):
    """The new value is added to the old one, which keeps its full weight."""
    return (
        running_mean + momentum * x.mean(axis=0),
        running_var + momentum * x.var(axis=0, ddof=1),
    )


@mistake(earns=3, hint="Two statistics are needed in inference. Move the running variance, too.")
def update_leaves_the_variance(running_mean, running_var, x, momentum=0.1):
    """Only the running mean is moved; the running variance stays as it is."""
    return (1 - momentum) * running_mean + momentum * x.mean(axis=0), running_var.copy()


@mistake(hint="The order is mean first, variance second, as in the arguments.")
def update_returns_the_variance_first(running_mean, running_var, x, momentum=0.1):
    """The two results are returned in the wrong order."""
    return (
        (1 - momentum) * running_var + momentum * x.var(axis=0, ddof=1),
        (1 - momentum) * running_mean + momentum * x.mean(axis=0),
    )


@mistake(hint=WHOLE_HINT)
def update_by_the_whole_batch(running_mean, running_var, x, momentum=0.1):
    """Mean and variance of the batch are single numbers for all features."""
    return (
        (1 - momentum) * running_mean + momentum * x.mean(),
        (1 - momentum) * running_var + momentum * x.var(ddof=1),
    )


@mistake(hint=ROWS_HINT)
def update_by_rows(running_mean, running_var, x, momentum=0.1):
    """Mean and variance are those of each row, where each column should have its own."""
    return (
        (1 - momentum) * running_mean + momentum * x.mean(axis=1),
        (1 - momentum) * running_var + momentum * x.var(axis=1, ddof=1),
    )


@mistake(
    earns=7,
    hint="The running variance is that of the data. ε belongs under the root, where the variance is used; "
    "what is kept with ε in it gets a second one there.",
)
def update_averages_eps_in(running_mean, running_var, x, momentum=0.1):
    """ε is added to the batch's variance before it is averaged."""
    mean, var = x.mean(axis=0), x.var(axis=0, ddof=1) + 1e-5
    return (
        (1 - momentum) * running_mean + momentum * mean,
        (1 - momentum) * running_var + momentum * var,
    )


def update_by_differences(running_mean, running_var, x, momentum=0.1):
    mean = np.mean(x, axis=0)
    var = ((x - mean) ** 2).sum(axis=0) / (x.shape[0] - 1)
    return (
        running_mean + momentum * (mean - running_mean),
        running_var - momentum * (running_var - var),
    )


def update_in_copies(running_mean, running_var, x, momentum=0.1):
    n = len(x)
    running_mean, running_var = running_mean.copy(), running_var.copy()
    for old, new in ((running_mean, x.mean(0)), (running_var, x.var(0) * n / (n - 1))):
        old *= 1 - momentum
        old += momentum * new
    return running_mean, running_var


# --- to_keras_momentum -----------------------------------------------------------------------


def to_keras_momentum(momentum):
    if momentum is None:
        raise ValueError("a cumulative average has no momentum that stays the same")
    return 1 - momentum


def a_momentum(rng):
    """A momentum of PyTorch's between 0.02 and 0.4, whose third and fourth digits matter."""
    return rng.integers(2, 40) / 100 + 0.0037


@probe(1)
def same_average_in_keras(f, rng):
    """The average that Keras forms with the result is the one that PyTorch forms with `momentum`."""
    momentum, old, new = a_momentum(rng), rng.normal(), rng.normal() + 5
    keras = f(momentum)
    return {
        "the momentum of Keras for PyTorch's 0.1": f(0.1),
        "the average after one step of Keras": keras * old + (1 - keras) * new,
    }


@probe(1)
def small_momentum_in_keras(f, rng):
    """Momenta near 0 keep their digits, and 0 and 1 are momenta, too."""
    return {
        "the momentum of Keras for one below 0.0005": f(int(rng.integers(101, 500)) / 1_000_000),
        "the momentum of Keras for 0": outcome(lambda: f(0.0)),
        "the momentum of Keras for 1": outcome(lambda: f(1.0)),
    }


@probe(1)
def no_momentum_in_keras(f, rng):
    """`None`, PyTorch's cumulative average, has no counterpart: it raises ValueError."""
    return {
        "the result for None": outcome(lambda: f(None)),
        "the momentum of Keras for PyTorch's 0.25": f(0.25),
    }


KEEPS_HINT = (
    "The two libraries give the name to the two weights of one average; together they are 1."
)
NO_ROUNDING_HINT = (
    "A momentum of 0.0004 is a real one (it remembers 2500 batches). Rounding makes it another."
)


@mistake(hint=KEEPS_HINT)
def keras_momentum_unchanged(momentum):
    """The momentum is handed on as it is, with the opposite meaning."""
    if momentum is None:
        raise ValueError("a cumulative average has no momentum that stays the same")
    return momentum


@mistake(hint=KEEPS_HINT)
def keras_momentum_as_reciprocal(momentum):
    """The reciprocal is taken, where the two momenta add up to 1."""
    if momentum is None:
        raise ValueError("a cumulative average has no momentum that stays the same")
    return 1 / momentum if momentum else 1.0


@mistake(earns=1, hint=NO_ROUNDING_HINT)
def keras_momentum_rounded(momentum):
    """The result is rounded to two digits."""
    if momentum is None:
        raise ValueError("a cumulative average has no momentum that stays the same")
    return round(1 - momentum, 2)


@mistake(
    earns=2,
    hint="With `momentum=None` PyTorch weighs the nth batch by 1/n, which no constant can do. Raise "
    "ValueError, so that nobody gets another average unawares.",
)
def keras_momentum_of_none_is_the_default(momentum):
    """`None` is taken for PyTorch's default of 0.1."""
    if momentum is None:
        momentum = 0.1
    return 1 - momentum


@mistake(
    earns=2,
    hint="A TypeError, as from `1 - None`, looks like a fault of the converter. Ask for None, and raise "
    "ValueError with a message that says what is wrong.",
)
def keras_momentum_does_not_look_for_none(momentum):
    """`None` ends in a TypeError, where a ValueError is asked."""
    return 1 - momentum


@mistake(
    earns=2,
    hint="`if not momentum` is true for 0.0 as well as for None. Ask `momentum is None`.",
)
def keras_momentum_takes_zero_for_none(momentum):
    """A momentum of 0 is taken for `None`."""
    if not momentum:
        raise ValueError("a cumulative average has no momentum that stays the same")
    return 1 - momentum


@mistake(
    earns=2,
    hint="With 0 the statistics stay as they are, with 1 they are the last batch's: both are averages, "
    "and have a counterpart in Keras. Only None has none.",
)
def keras_momentum_refuses_the_limits(momentum):
    """The momenta 0 and 1 are refused, as `None` is."""
    if momentum is None or not 0 < momentum < 1:
        raise ValueError("a cumulative average has no momentum that stays the same")
    return 1 - momentum


def keras_momentum_by_complement(momentum):
    if momentum is not None:
        return -float(momentum) + 1.0
    raise ValueError("None: the cumulative average of PyTorch")


def keras_momentum_by_float(momentum):
    try:
        return 1.0 - float(momentum)
    except TypeError:
        raise ValueError(f"no constant stands for {momentum}") from None


# --- to_torch_momentum -----------------------------------------------------------------------


def to_torch_momentum(momentum):
    if not 0 <= momentum <= 1:
        raise ValueError("a momentum is between 0 and 1")
    return 1 - momentum


@probe(1)
def same_average_in_torch(f, rng):
    """The average that PyTorch forms with the result is the one that Keras forms with `momentum`."""
    momentum, old, new = 1 - a_momentum(rng), rng.normal(), rng.normal() + 5
    torch = f(momentum)
    return {
        "the momentum of PyTorch for the 0.99 of Keras": f(0.99),
        "the average after one step of PyTorch": (1 - torch) * old + torch * new,
    }


@probe(1)
def limits_in_torch(f, rng):
    """0 and 1 are momenta, 0.9997 keeps its digits, and 99 (a percentage?) raises ValueError."""
    return {
        "the momentum of PyTorch for 1": f(1.0),
        "the momentum of PyTorch for 0": f(0.0),
        "the momentum of PyTorch for 0.9997": f(0.9997),
        "the result for 99": outcome(lambda: f(99)),
        "the result for 1.5": outcome(lambda: f(1.5)),
        "the result for -0.01": outcome(lambda: f(-0.01)),
    }


@mistake(hint=KEEPS_HINT)
def torch_momentum_unchanged(momentum):
    """The momentum is handed on as it is, with the opposite meaning."""
    if not 0 <= momentum <= 1:
        raise ValueError("a momentum is between 0 and 1")
    return momentum


@mistake(
    earns=1,
    hint="PyTorch's `momentum` is the weight of the new value: 1 - 0.99 = 0.01 for the default of "
    "Keras. The 0.1 of PyTorch is another average, with a memory ten times shorter.",
)
def torch_momentum_is_the_default(momentum):
    """The default of PyTorch, 0.1, is returned for the default of Keras, 0.99."""
    if not 0 <= momentum <= 1:
        raise ValueError("a momentum is between 0 and 1")
    return 0.1 if momentum == 0.99 else 1 - momentum


@mistake(
    earns=1,
    hint="A momentum outside of 0 to 1 makes no average. Raise ValueError rather than go on.",
)
def torch_momentum_takes_anything(momentum):
    """Numbers that are no momentum, such as 99, are converted like any other."""
    return 1 - momentum


@mistake(
    earns=1, hint="0 and 1 are extreme, but they are averages: allow them, with <= in place of <."
)
def torch_momentum_refuses_the_limits(momentum):
    """The momentum 0 or 1, or both, is refused."""
    if not 0 < momentum < 1:
        raise ValueError("a momentum is between 0 and 1")
    return 1 - momentum


@mistake(hint=NO_ROUNDING_HINT.replace("0.0004", "0.9997").replace("2500", "3300"))
def torch_momentum_rounded(momentum):
    """The result is rounded to two digits."""
    if not 0 <= momentum <= 1:
        raise ValueError("a momentum is between 0 and 1")
    return round(1 - momentum, 2)


@mistake(
    earns=1,
    hint="99 is not a momentum, and clipping makes one of it that nobody asked for. Raise ValueError.",
)
def torch_momentum_clips(momentum):
    """Numbers that are no momentum are clipped to 0 or 1."""
    return 1 - min(max(momentum, 0.0), 1.0)


def torch_momentum_by_two_tests(momentum):
    if momentum < 0 or momentum > 1:
        raise ValueError(f"{momentum} is no momentum")
    return float(1.0 - momentum)


def torch_momentum_by_result(momentum):
    new = 1 - momentum
    if abs(new - 0.5) > 0.5:
        raise ValueError("a share is between 0 and 1")
    return new


# --- recalibrate -----------------------------------------------------------------------------


def recalibrate(layer, batches):
    rows = sum(len(x) for x in batches)
    mean = sum(x.sum(axis=0) for x in batches) / rows
    squares = sum(((x - x.mean(axis=0)) ** 2).sum(axis=0) for x in batches)
    return {
        **layer,
        "running_mean": mean,
        "running_var": squares / (rows - len(batches)),
        "num_batches_tracked": len(batches),
    }


def drifting(rng, sizes):
    """Batches whose means lie further apart than chance would place them."""
    return [batch(rng, samples=n) + rng.normal(size=4) * [600, 800, 1600, 6000] for n in sizes]


@probe(1)
def mean_of_the_population(f, rng):
    """The new running mean is the mean of all rows; nothing is left of the old one."""
    new = f(trained_state(rng), drifting(rng, (6, 6, 6)))
    return {"running_mean": new["running_mean"]}


@probe(2)
def variance_of_the_population(f, rng):
    """The new running variance is the mean of the batches' unbiased variances (batches of one size)."""
    batches = drifting(rng, (5, 5, 5, 5))
    new = f(trained_state(rng), [x.copy() for x in batches])
    # So small that an ε in the variance shows.
    small = f(trained_state(rng), [1e-5 * x for x in batches])
    return {
        "running_var": new["running_var"],
        "1e10 times running_var of batches of small values": 1e10 * small["running_var"],
    }


@probe(1)
def batches_of_unequal_size(f, rng):
    """In batches of unequal size every row counts the same in the mean, every degree of freedom in the variance."""
    new = f(trained_state(rng), drifting(rng, (8, 3, 2)))
    return {"running_mean": new["running_mean"], "running_var": new["running_var"]}


@probe(1)
def rest_of_the_layer(f, rng):
    """γ and β are kept, and `num_batches_tracked` is the number of batches."""
    state = trained_state(rng)
    new = f(copy.deepcopy(state), drifting(rng, (4, 4, 1)))
    return {name: new[name] for name in ("gamma", "beta", "num_batches_tracked")} | {
        "running_mean": "new"
        if np.any(new["running_mean"] != state["running_mean"])
        else "as it was"
    }


@probe(1)
def recalibrating_leaves_its_inputs_alone(f, rng):
    """The arrays of the layer and the batches are left as they were, and the result is right."""
    layer, batches = trained_state(rng), drifting(rng, (6, 6))
    mean, var, first = layer["running_mean"], layer["running_var"], batches[0]
    new = f(layer, batches)
    return {
        "the old running_mean": Argument(mean),
        "the old running_var": Argument(var),
        "the first batch": Argument(first),
        "running_mean": new["running_mean"],
    }


@probe(1, hidden=True)
def a_last_batch_of_one(f, rng):
    """A last batch of a single row adds to the mean, and has nothing to say about the variance."""
    new = f(trained_state(rng), drifting(rng, (6, 5, 1)))
    return {"running_mean": new["running_mean"], "running_var": new["running_var"]}


EVERY_ROW_HINT = (
    "The last batch is often a small one. Weigh each batch's mean by its rows N, so that every row "
    "counts the same, and each variance by N - 1: add up the squared deviations of all batches, and "
    "divide by the sum of all N - 1."
)


@mistake(
    earns=1,
    hint="A moving average remembers the old statistics, and the last batches more than the first. "
    "Here all batches are at hand: give each row the same weight, and the old values none.",
)
def recalibrates_by_a_moving_average(layer, batches):
    """The statistics are moved a tenth of the way by each batch, as in training."""
    mean, var = layer["running_mean"], layer["running_var"]
    for x in batches:
        mean = 0.9 * mean + 0.1 * x.mean(axis=0)
        var = 0.9 * var + 0.1 * x.var(axis=0, ddof=1)
    count = len(batches)
    return {**layer, "running_mean": mean, "running_var": var, "num_batches_tracked": count}


@mistake(
    earns=1,
    hint="The old statistics belong to other weights, or to other data; that is why they are replaced. "
    "Begin with nothing.",
)
def recalibrates_with_the_old_statistics(layer, batches):
    """The old statistics are averaged in, as if they were one batch more."""
    means = [layer["running_mean"], *(x.mean(axis=0) for x in batches)]
    variances = [layer["running_var"], *(x.var(axis=0, ddof=1) for x in batches)]
    return {
        **layer,
        "running_mean": np.mean(means, axis=0),
        "running_var": np.mean(variances, axis=0),
        "num_batches_tracked": len(batches),
    }


@mistake(earns=1, hint="Gather over all batches, and divide once, after the loop.")
def recalibrates_by_the_last_batch(layer, batches):
    """The statistics are those of the last batch; the others are overwritten."""
    for x in batches:
        mean, var = x.mean(axis=0), x.var(axis=0, ddof=1)
    count = len(batches)
    return {**layer, "running_mean": mean, "running_var": var, "num_batches_tracked": count}


@mistake(
    earns=3,
    hint="A batch's own variance is too small on average, by (m-1)/m; Algorithm 2 of the paper makes up "
    "for it with m/(m-1). Divide the squared deviations by the sum of all N - 1.",
)
def recalibrates_with_biased_variances(layer, batches):
    """The variance is the biased one: the factor m/(m-1) of Algorithm 2 is missing."""
    rows = sum(len(x) for x in batches)
    return {
        **layer,
        "running_mean": sum(x.sum(axis=0) for x in batches) / rows,
        "running_var": sum(len(x) * x.var(axis=0) for x in batches) / rows,
        "num_batches_tracked": len(batches),
    }


@mistake(earns=3, hint="`ddof=1` is the factor m/(m-1) already. Use one of the two.")
def recalibrates_with_the_factor_twice(layer, batches):
    """The unbiased variances are multiplied by m/(m-1) once more."""
    rows = sum(len(x) for x in batches)
    freedom = rows - len(batches)
    squares = sum(((x - x.mean(axis=0)) ** 2).sum(axis=0) for x in batches)
    return {
        **layer,
        "running_mean": sum(x.sum(axis=0) for x in batches) / rows,
        "running_var": squares / freedom * rows / freedom,
        "num_batches_tracked": len(batches),
    }


@mistake(earns=3, hint=DEVIATION_HINT)
def recalibrates_by_averaging_deviations(layer, batches):
    """Standard deviations are averaged, and squared afterwards, where variances should be averaged."""
    rows = sum(len(x) for x in batches)
    return {
        **layer,
        "running_mean": sum(x.sum(axis=0) for x in batches) / rows,
        "running_var": np.mean([x.std(axis=0, ddof=1) for x in batches], axis=0) ** 2,
        "num_batches_tracked": len(batches),
    }


@mistake(
    earns=3,
    hint="The variance of all rows also holds how far the batches' means lie apart. Training divided by "
    "the deviations *within* a batch; Algorithm 2 averages those. (When batches are drawn at random "
    "the two hardly differ.)",
)
def recalibrates_by_the_variance_of_all_rows(layer, batches):
    """The variance is that of all rows together, around one common mean."""
    x = np.concatenate(batches)
    return {
        **layer,
        "running_mean": x.mean(axis=0),
        "running_var": x.var(axis=0, ddof=1),
        "num_batches_tracked": len(batches),
    }


@mistake(
    earns=3,
    hint="Take the deviations from each batch's own mean, as training did, and divide the sum of their "
    "squares by the sum of all N - 1: two things to change.",
)
def recalibrates_by_the_biased_variance_of_all_rows(layer, batches):
    """The variance is the biased one of all rows together, around one common mean."""
    x = np.concatenate(batches)
    return {
        **layer,
        "running_mean": x.mean(axis=0),
        "running_var": x.var(axis=0),
        "num_batches_tracked": len(batches),
    }


@mistake(
    earns=3,
    hint="How the means of the batches vary is another question, and m times too little. Average the "
    "variances within the batches.",
)
def recalibrates_by_the_variance_of_the_means(layer, batches):
    """The variance is that of the batches' means."""
    rows = sum(len(x) for x in batches)
    return {
        **layer,
        "running_mean": sum(x.sum(axis=0) for x in batches) / rows,
        "running_var": np.var([x.mean(axis=0) for x in batches], axis=0, ddof=1),
        "num_batches_tracked": len(batches),
    }


@mistake(earns=5, hint=EVERY_ROW_HINT)
def recalibrates_with_equal_weights(layer, batches):
    """All batches have the same weight, however many rows they have."""
    return {
        **layer,
        "running_mean": np.mean([x.mean(axis=0) for x in batches], axis=0),
        "running_var": np.mean([x.var(axis=0, ddof=1) for x in batches], axis=0),
        "num_batches_tracked": len(batches),
    }


@mistake(
    earns=5,
    hint="The last batch is often a small one, and its mean would count as much as that of a full one. "
    "Weigh each batch's mean by its rows: add up all rows, and divide by their number.",
)
def recalibrates_by_the_plain_mean_of_means(layer, batches):
    """The variance is right, but the mean is the plain mean of the batches' means."""
    squares = sum(((x - x.mean(axis=0)) ** 2).sum(axis=0) for x in batches)
    return {
        **layer,
        "running_mean": np.mean([x.mean(axis=0) for x in batches], axis=0),
        "running_var": squares / sum(len(x) - 1 for x in batches),
        "num_batches_tracked": len(batches),
    }


@mistake(earns=5, hint=EVERY_ROW_HINT)
def recalibrates_with_variances_by_rows(layer, batches):
    """The unbiased variances are weighted by N, where N - 1 is the weight that they deserve."""
    rows = sum(len(x) for x in batches)
    return {
        **layer,
        "running_mean": sum(x.sum(axis=0) for x in batches) / rows,
        "running_var": sum(len(x) * x.var(axis=0, ddof=1) for x in batches) / rows,
        "num_batches_tracked": len(batches),
    }


@mistake(earns=5, hint=EVERY_ROW_HINT)
def recalibrates_by_the_plain_mean_of_variances(layer, batches):
    """The mean counts every row the same, but the variance is the plain mean of the batches' variances."""
    rows = sum(len(x) for x in batches)
    return {
        **layer,
        "running_mean": sum(x.sum(axis=0) for x in batches) / rows,
        "running_var": np.mean([x.var(axis=0, ddof=1) for x in batches], axis=0),
        "num_batches_tracked": len(batches),
    }


@mistake(
    earns=6,
    hint="The unbiased variance of one row is NaN, and 0 · NaN is NaN: add up squared deviations instead.",
)
def recalibrates_with_zero_times_nan(layer, batches):
    """The unbiased variances are weighted by N - 1; a batch of one row makes the sum NaN."""
    rows = sum(len(x) for x in batches)
    squares = sum((len(x) - 1) * x.var(axis=0, ddof=1) for x in batches)
    return {
        **layer,
        "running_mean": sum(x.sum(axis=0) for x in batches) / rows,
        "running_var": squares / (rows - len(batches)),
        "num_batches_tracked": len(batches),
    }


@mistake(
    earns=3,
    hint="Each batch has spent one degree of freedom on a mean of its own. With B batches the divisor "
    "is the number of rows minus B, not minus 1.",
)
def recalibrates_with_one_degree_of_freedom(layer, batches):
    """The squared deviations within the batches are divided by the number of rows minus 1."""
    rows = sum(len(x) for x in batches)
    squares = sum(((x - x.mean(axis=0)) ** 2).sum(axis=0) for x in batches)
    return {
        **layer,
        "running_mean": sum(x.sum(axis=0) for x in batches) / rows,
        "running_var": squares / (rows - 1),
        "num_batches_tracked": len(batches),
    }


@mistake(
    earns=6, hint="Return the whole state, with γ and β as they were: it is to be loaded again."
)
def recalibrates_into_a_new_layer(layer, batches):
    """γ and β are set back to 1 and 0."""
    rows = sum(len(x) for x in batches)
    squares = sum(((x - x.mean(axis=0)) ** 2).sum(axis=0) for x in batches)
    return {
        "gamma": np.ones_like(layer["gamma"]),
        "beta": np.zeros_like(layer["beta"]),
        "running_mean": sum(x.sum(axis=0) for x in batches) / rows,
        "running_var": squares / (rows - len(batches)),
        "num_batches_tracked": len(batches),
    }


@mistake(
    earns=6,
    hint="The statistics are now an average of these batches, and the count says of how many: a layer "
    "with `momentum=None` takes the weight of its next batch from it.",
)
def recalibrates_without_the_count(layer, batches):
    """`num_batches_tracked` stays as it was."""
    rows = sum(len(x) for x in batches)
    squares = sum(((x - x.mean(axis=0)) ** 2).sum(axis=0) for x in batches)
    return {
        **layer,
        "running_mean": sum(x.sum(axis=0) for x in batches) / rows,
        "running_var": squares / (rows - len(batches)),
    }


@mistake(
    earns=6,
    hint="Nothing is left of the old statistics, so the count begins anew, too: `len(batches)`.",
)
def recalibrates_counting_on(layer, batches):
    """The batches are added to the old `num_batches_tracked`."""
    rows = sum(len(x) for x in batches)
    squares = sum(((x - x.mean(axis=0)) ** 2).sum(axis=0) for x in batches)
    return {
        **layer,
        "running_mean": sum(x.sum(axis=0) for x in batches) / rows,
        "running_var": squares / (rows - len(batches)),
        "num_batches_tracked": layer["num_batches_tracked"] + len(batches),
    }


@mistake(earns=6, hint="It is the batches that are counted, not their rows: `len(batches)`.")
def recalibrates_counting_rows(layer, batches):
    """`num_batches_tracked` is the number of rows."""
    rows = sum(len(x) for x in batches)
    squares = sum(((x - x.mean(axis=0)) ** 2).sum(axis=0) for x in batches)
    return {
        **layer,
        "running_mean": sum(x.sum(axis=0) for x in batches) / rows,
        "running_var": squares / (rows - len(batches)),
        "num_batches_tracked": rows,
    }


@mistake(
    hint="Return the state with the two statistics in it, a dict like the one that you were given."
)
def recalibrates_into_a_pair(layer, batches):
    """The two statistics are returned by themselves, without the rest of the state."""
    rows = sum(len(x) for x in batches)
    squares = sum(((x - x.mean(axis=0)) ** 2).sum(axis=0) for x in batches)
    return sum(x.sum(axis=0) for x in batches) / rows, squares / (rows - len(batches))


@mistake(
    earns=6,
    hint="`layer['running_mean'][:] = ...` writes into the caller's array, and the old layer is gone. "
    "Return new arrays; then the two can be compared.",
)
def recalibrates_in_place(layer, batches):
    """The new statistics are written into the arrays of the layer that was given."""
    rows = sum(len(x) for x in batches)
    squares = sum(((x - x.mean(axis=0)) ** 2).sum(axis=0) for x in batches)
    layer["running_mean"][:] = sum(x.sum(axis=0) for x in batches) / rows
    layer["running_var"][:] = squares / (rows - len(batches))
    layer["num_batches_tracked"] = len(batches)
    return layer


@mistake(
    earns=5,
    hint="The running variance is that of the data, without ε, as a layer in training mode gathers it: "
    "the layer adds ε itself, under the root.",
)
def recalibrates_with_eps(layer, batches):
    """ε is added to the variance."""
    rows = sum(len(x) for x in batches)
    squares = sum(((x - x.mean(axis=0)) ** 2).sum(axis=0) for x in batches)
    return {
        **layer,
        "running_mean": sum(x.sum(axis=0) for x in batches) / rows,
        "running_var": squares / (rows - len(batches)) + 1e-5,
        "num_batches_tracked": len(batches),
    }


def recalibrate_by_weights(layer, batches):
    sizes = np.array([len(x) for x in batches])
    variances = np.array([x.var(axis=0) for x in batches])
    new = layer.copy()
    new["running_mean"] = np.average([x.mean(axis=0) for x in batches], axis=0, weights=sizes)
    new["running_var"] = (sizes[:, None] * variances).sum(axis=0) / (sizes - 1).sum()
    new["num_batches_tracked"] = len(batches)
    return new


def recalibrate_by_concatenation(layer, batches):
    x = np.vstack(batches)
    centred = np.vstack([part - part.mean(axis=0) for part in batches])
    var = np.square(centred).sum(axis=0) / (len(x) - len(batches))
    return dict(
        layer, running_mean=x.mean(axis=0), running_var=var, num_batches_tracked=len(batches)
    )


def recalibrate_in_a_loop(layer, batches):
    n = freedom = 0
    total = np.zeros_like(layer["running_mean"])
    squares = np.zeros_like(layer["running_var"])
    for x in batches:
        n += len(x)
        total += x.sum(axis=0)
        if len(x) > 1:
            freedom += len(x) - 1
            squares += (len(x) - 1) * x.var(axis=0, ddof=1)
    layer = dict(layer)
    layer.update(running_mean=total / n, running_var=squares / freedom)
    layer["num_batches_tracked"] = len(batches)
    return layer


# --- fold_batchnorm --------------------------------------------------------------------------


def fold_batchnorm(W, b, gamma, beta, mean, var, eps=1e-5):
    scale = gamma / np.sqrt(var + eps)
    if b is None:
        b = 0
    return W * scale, (b - mean) * scale + beta


def two_layers(rng, inputs=3, outputs=4):
    """A linear layer and the batch normalization that follows it, as arguments to be folded."""
    gamma, beta = affine(rng, outputs)
    mean, var = population(rng, outputs)
    W, b = rng.normal(size=(inputs, outputs)), rng.normal(size=outputs) * 2
    return W, b, gamma, beta, mean, var


@probe(1)
def folded_weights(f, rng):
    """Each column of the new W is the old one times γ / √(variance + ε)."""
    W, _ = f(*two_layers(rng))
    return {"the new W": W}


@probe(1)
def folded_bias(f, rng):
    """The new b makes up for the mean and for β."""
    _, b = f(*two_layers(rng))
    return {"the new b": b}


@probe(1)
def one_layer_for_two(f, rng):
    """The folded layer gives what the two layers gave, also when there are as many inputs as outputs."""
    W, b = f(*two_layers(rng, inputs=4))
    return {"the output of the folded layer": rng.normal(size=(5, 4)) @ W + b}


@probe(1)
def folded_with_eps(f, rng):
    """`eps` is added under the root; with small variances it matters."""
    W, b, gamma, beta, mean, _ = two_layers(rng)
    var = rng.uniform(0.5, 3, size=4) * 1e-5
    arguments = (W, b, gamma, beta, mean, var)
    own = f(*(a.copy() for a in arguments))
    given = f(*(a.copy() for a in arguments), eps=1e-3)
    return {
        "the new W for eps 1e-3": given[0],
        "the new b for eps 1e-3": given[1],
        "the new W for the default eps": own[0],
    }


@probe(1)
def folded_without_bias(f, rng):
    """`b` may be None, for a linear layer without a bias; the new layer has one."""
    W, _, *rest = two_layers(rng)
    new_W, new_b = f(W, None, *rest)
    return {"the new b": new_b, "the new W": new_W}


@probe(1)
def folding_makes_new_arrays(f, rng):
    """The arrays that you are given are left as they were, and the result is right."""
    arguments = two_layers(rng)
    var, before = arguments[-1], arguments[-1].copy()
    W, _ = f(*arguments)
    names = ("W", "b", "gamma", "beta", "mean", "var")
    return {n: Argument(a) for n, a in zip(names, arguments, strict=True)} | {
        "var is exactly as it was": bool((var == before).all()),  # an ε is little beside it
        "the new W": W,
    }


@mistake(
    hint="Here W has the layout (D_in, D_out): y = x @ W + b, an output is a column, and `W * scale` "
    "scales columns. (torch.nn.Linear keeps the transpose; there the rows are scaled.)",
)
def folds_into_the_rows(W, b, gamma, beta, mean, var, eps=1e-5):
    """The rows of W are scaled, where the columns belong to the outputs."""
    scale = gamma / np.sqrt(var + eps)
    if b is None:
        b = 0
    return W * scale[:, None], (b - mean) * scale + beta


@mistake(earns=5, hint=EPS_HINT)
def folds_without_eps(W, b, gamma, beta, mean, var, eps=1e-5):
    """ε is not added to the variance."""
    scale = gamma / np.sqrt(var)
    if b is None:
        b = 0
    return W * scale, (b - mean) * scale + beta


@mistake(earns=5, hint=EPS_HINT)
def folds_with_eps_outside(W, b, gamma, beta, mean, var, eps=1e-5):
    """ε is added beside the root, to the standard deviation."""
    scale = gamma / (np.sqrt(var) + eps)
    if b is None:
        b = 0
    return W * scale, (b - mean) * scale + beta


@mistake(
    earns=5,
    hint="The layer that is folded had an ε of its own: 1e-5 in PyTorch, 1e-3 in Keras. Use the argument.",
)
def folds_with_an_eps_of_its_own(W, b, gamma, beta, mean, var, eps=1e-5):
    """ε is always 1e-5, whatever the caller asks for."""
    scale = gamma / np.sqrt(var + 1e-5)
    if b is None:
        b = 0
    return W * scale, (b - mean) * scale + beta


@mistake(hint="The layer divides by the standard deviation: take the root of variance + ε.")
def folds_without_the_root(W, b, gamma, beta, mean, var, eps=1e-5):
    """The weights are divided by the variance, not by the square root of it."""
    scale = gamma / (var + eps)
    if b is None:
        b = 0
    return W * scale, (b - mean) * scale + beta


@mistake(
    earns=2,
    hint="The layer subtracts the mean from x @ W + b before it scales: the mean is subtracted where b "
    "is, and scaled with it.",
)
def folds_without_the_mean(W, b, gamma, beta, mean, var, eps=1e-5):
    """The running mean is left out of the new bias."""
    scale = gamma / np.sqrt(var + eps)
    if b is None:
        b = 0
    return W * scale, b * scale + beta


@mistake(
    earns=2,
    hint="The mean is subtracted from the layer's *output*, after b was added: subtract it in the bias, "
    "not add it.",
)
def folds_the_mean_with_the_wrong_sign(W, b, gamma, beta, mean, var, eps=1e-5):
    """The running mean is added to the bias, where it should be subtracted."""
    scale = gamma / np.sqrt(var + eps)
    if b is None:
        b = 0
    return W * scale, (b + mean) * scale + beta


@mistake(
    earns=2,
    hint="The running mean is subtracted before the division: γ/√(σ² + ε) multiplies it, too, as it "
    "does b.",
)
def folds_without_scaling_the_mean(W, b, gamma, beta, mean, var, eps=1e-5):
    """The running mean is subtracted from the new bias as it is, without the scale."""
    scale = gamma / np.sqrt(var + eps)
    if b is None:
        b = 0
    return W * scale, b * scale - mean + beta


@mistake(
    earns=1,
    hint="What multiplies x W multiplies each column of W: the weights change as well as the bias.",
)
def folds_into_the_bias_alone(W, b, gamma, beta, mean, var, eps=1e-5):
    """The weights stay as they are; only the bias is new."""
    scale = gamma / np.sqrt(var + eps)
    if b is None:
        b = 0
    return W.copy(), (b - mean) * scale + beta


@mistake(
    earns=3,
    hint="The old bias passes through the normalization like everything else: scale it, too.",
)
def folds_without_scaling_the_bias(W, b, gamma, beta, mean, var, eps=1e-5):
    """The old bias is not scaled."""
    scale = gamma / np.sqrt(var + eps)
    if b is None:
        b = 0
    return W * scale, b - mean * scale + beta


@mistake(earns=2, hint="β is added last, after the scaling: it is not scaled.")
def folds_a_scaled_beta(W, b, gamma, beta, mean, var, eps=1e-5):
    """β is scaled as well."""
    scale = gamma / np.sqrt(var + eps)
    if b is None:
        b = 0
    return W * scale, (b - mean + beta) * scale


@mistake(earns=2, hint="y = γ x̂ + β: what is added at the end belongs into the new bias.")
def folds_without_beta(W, b, gamma, beta, mean, var, eps=1e-5):
    """β is left out of the new bias."""
    scale = gamma / np.sqrt(var + eps)
    if b is None:
        b = 0
    return W * scale, (b - mean) * scale


@mistake(hint="y = γ x̂ + β: γ scales weights and bias, together with the division.")
def folds_without_gamma(W, b, gamma, beta, mean, var, eps=1e-5):
    """γ is left out: weights and bias are divided by the standard deviation only."""
    scale = 1 / np.sqrt(var + eps)
    if b is None:
        b = 0
    return W * scale, (b - mean) * scale + beta


@mistake(earns=2, hint="Scale the weights, and the bias as well: mean and β have to go somewhere.")
def folds_into_the_weights_only(W, b, gamma, beta, mean, var, eps=1e-5):
    """Only the weights are changed; the bias stays as it was."""
    scale = gamma / np.sqrt(var + eps)
    return W * scale, np.zeros_like(beta) if b is None else b.copy()


@mistake(earns=3, hint="The old bias is part of what is normalized. It belongs into (b - mean).")
def folds_without_the_old_bias(W, b, gamma, beta, mean, var, eps=1e-5):
    """The old bias is dropped."""
    scale = gamma / np.sqrt(var + eps)
    return W * scale, beta - mean * scale


@mistake(
    earns=5,
    hint="Layers before batch normalization are often made without a bias, because the mean takes it "
    "away. Count a bias of None as zeros.",
)
def folds_only_with_a_bias(W, b, gamma, beta, mean, var, eps=1e-5):
    """A bias of None fails: `None - mean` raises TypeError."""
    scale = gamma / np.sqrt(var + eps)
    return W * scale, (b - mean) * scale + beta


@mistake(
    earns=5,
    hint="`W *= scale` writes into the caller's array: the network that was to be folded is gone, and "
    "folding twice gives nonsense. `W * scale` makes a new array.",
)
def folds_in_place(W, b, gamma, beta, mean, var, eps=1e-5):
    """The weights are scaled in place, so that the caller's layer is gone."""
    scale = gamma / np.sqrt(var + eps)
    if b is None:
        b = 0
    W *= scale
    return W, (b - mean) * scale + beta


@mistake(
    earns=5,
    hint="`b -= mean` writes into the caller's array: folding twice gives nonsense. `b = b - mean` makes "
    "a new one.",
)
def folds_the_bias_in_place(W, b, gamma, beta, mean, var, eps=1e-5):
    """The mean is subtracted from the bias in place, so that the caller's bias is gone."""
    scale = gamma / np.sqrt(var + eps)
    if b is None:
        b = np.zeros_like(beta)
    b -= mean
    return W * scale, b * scale + beta


@mistake(
    earns=5,
    hint="`*=`, `-=` and `+=` write into the caller's arrays: the network that was to be folded is gone. "
    "Make new ones.",
)
def folds_all_in_place(W, b, gamma, beta, mean, var, eps=1e-5):
    """Weights and bias are both changed in place, so that the caller's layer is gone."""
    scale = gamma / np.sqrt(var + eps)
    W *= scale
    if b is None:
        b = np.zeros_like(beta)
    b -= mean
    b *= scale
    b += beta
    return W, b


@mistake(
    earns=5,
    hint="Without a bias the mean is still subtracted, and scaled: count b as zeros.",
)
def folds_without_bias_to_beta(W, b, gamma, beta, mean, var, eps=1e-5):
    """Where there is no bias, the new one is β alone: the mean is left out."""
    scale = gamma / np.sqrt(var + eps)
    if b is None:
        return W * scale, beta.copy()
    return W * scale, (b - mean) * scale + beta


@mistake(
    earns=1,
    hint="Here W has the layout (D_in, D_out), as in `x @ W`, and keeps it. Only torch.nn.Linear stores the "
    "transpose.",
)
def folds_into_the_transpose(W, b, gamma, beta, mean, var, eps=1e-5):
    """The new W is transposed."""
    scale = gamma / np.sqrt(var + eps)
    if b is None:
        b = 0
    return (W * scale).T, (b - mean) * scale + beta


@mistake(hint="The order is weights first, bias second, as in the arguments.")
def folds_and_returns_the_bias_first(W, b, gamma, beta, mean, var, eps=1e-5):
    """The two results are returned in the wrong order."""
    scale = gamma / np.sqrt(var + eps)
    if b is None:
        b = 0
    return (b - mean) * scale + beta, W * scale


@mistake(
    earns=5,
    hint="`var += eps` writes into the caller's running variance, which grows with every call. "
    "`var + eps` makes a new array.",
)
def folds_eps_into_the_variance(W, b, gamma, beta, mean, var, eps=1e-5):
    """ε is added to the variance in place, so that the caller's layer is changed."""
    if b is None:
        b = 0
    var += eps
    scale = gamma / np.sqrt(var)
    return W * scale, (b - mean) * scale + beta


def fold_by_a_diagonal_matrix(W, b, gamma, beta, mean, var, eps=1e-5):
    S = np.diag(gamma * (var + eps) ** -0.5)
    b = np.zeros(W.shape[1]) if b is None else b
    return W @ S, (b - mean) @ S + beta


def fold_by_two_evaluations(W, b, gamma, beta, mean, var, eps=1e-5):
    def both(x):
        u = x @ W + (0 if b is None else b)
        return gamma * (u - mean) / np.sqrt(var + eps) + beta

    new_b = both(np.zeros(W.shape[0]))
    return both(np.eye(W.shape[0])) - new_b, new_b


def fold_columns(W, b, gamma, beta, mean, var, eps=1e-5):
    new_W, new_b = np.empty(W.shape), np.empty(W.shape[1])
    for j in range(W.shape[1]):
        s = gamma[j] / np.sqrt(var[j] + eps)
        new_W[:, j] = s * W[:, j]
        new_b[j] = beta[j] - s * mean[j] + (s * b[j] if b is not None else 0.0)
    return new_W, new_b


# --- freeze ----------------------------------------------------------------------------------
# The three functions are what the notebook gives; a test holds the two copies together.


def train_mode(network):
    """Put all layers into training mode, except those that are locked."""
    for layer in network:
        if not layer["locked"]:
            layer["training"] = True


def forward(network, x):
    """Return the outputs of all layers, x first; in training mode, gather the statistics."""
    outputs = [x]
    for layer in network:
        x = outputs[-1]
        if layer["kind"] == "linear":
            x = x @ layer["W"] + layer["b"]
        elif layer["kind"] == "relu":
            x = np.maximum(x, 0)
        else:
            mean, var = layer["running_mean"], layer["running_var"]
            if layer["training"]:
                new = layer["momentum"]
                layer["running_mean"] = (1 - new) * mean + new * x.mean(axis=0)
                layer["running_var"] = (1 - new) * var + new * x.var(axis=0, ddof=1)
                mean, var = x.mean(axis=0), x.var(axis=0)
            x = layer["gamma"] * (x - mean) / np.sqrt(var + layer["eps"]) + layer["beta"]
        outputs.append(x)
    return outputs


def training_step(network, x, target, lr=0.05, decay=0.01):
    """Change the network by one step of gradient descent on the mean squared error."""
    outputs = forward(network, x)
    dy = 2 * (outputs[-1] - target) / target.size
    for layer, x in zip(reversed(network), reversed(outputs[:-1]), strict=True):
        gradients = {}
        if layer["kind"] == "linear":
            gradients = {"W": x.T @ dy, "b": dy.sum(axis=0)}
            dy = dy @ layer["W"].T
        elif layer["kind"] == "relu":
            dy = dy * (x > 0)
        else:
            mean, var = layer["running_mean"], layer["running_var"]
            if layer["training"]:
                mean, var = x.mean(axis=0), x.var(axis=0)
            std = np.sqrt(var + layer["eps"])
            x_hat = (x - mean) / std
            gradients = {"gamma": (dy * x_hat).sum(axis=0), "beta": dy.sum(axis=0)}
            scale = layer["gamma"] / std
            if layer["training"]:
                dy = dy - dy.mean(axis=0) - x_hat * (dy * x_hat).mean(axis=0)
            dy = scale * dy
        for name in layer["trainable"]:
            layer[name] = layer[name] - lr * (gradients[name] + decay * layer[name])


def freeze(network, n):
    frozen = {"trainable": [], "training": False, "locked": True}
    return [{**layer, **frozen} for layer in network[:n]] + network[n:]


PARAMETERS = ("W", "b", "gamma", "beta")
STATISTICS = ("running_mean", "running_var")


def pretrained(rng, sizes=(4, 6, 5, 2)):
    """A network of three linear layers, with batch normalization and ReLU after the first two."""
    network = []
    for inputs, outputs in itertools.pairwise(sizes):
        common = {"training": True, "locked": False}
        W = rng.normal(size=(inputs, outputs)) / np.sqrt(inputs)
        b = rng.normal(size=outputs)
        network.append({"kind": "linear", "W": W, "b": b, "trainable": ["W", "b"], **common})
        if outputs == sizes[-1]:
            break
        gamma, beta = affine(rng, outputs)
        mean, var = rng.normal(size=outputs), rng.uniform(0.5, 3.0, size=outputs) ** 2
        network.append(
            {
                "kind": "batchnorm",
                "gamma": gamma,
                "beta": beta,
                "running_mean": mean,
                "running_var": var,
                "eps": 1e-5,
                "momentum": 0.1,
                "trainable": ["gamma", "beta"],
                **common,
            }
        )
        network.append({"kind": "relu", "trainable": [], **common})
    return network


def new_data(rng, samples=8):
    """A batch of another domain than the network was trained on, and its targets."""
    return rng.normal(size=(samples, 4)) * 2 + 1, rng.normal(size=(samples, 2))


def answered(f, network, n):
    """The network that an answer makes.

    Raises:
        ValueError: its layers are not those that were given; nothing could be done with it.
    """
    result = f(copy.deepcopy(network), n)
    if len(result) != len(network):
        raise ValueError(f"{len(result)} layers came back, of {len(network)}")
    for i, (new, old) in enumerate(zip(result, network, strict=True)):
        if lost := sorted(old.keys() - new.keys()):
            raise ValueError(f"layer {i} has lost its {lost[0]!r}")
        if new["kind"] != old["kind"]:
            raise ValueError(f"layer {i} is of another kind than before")
        for name in (*PARAMETERS, *STATISTICS):
            if name in old and np.shape(new[name]) != np.shape(old[name]):
                raise ValueError(f"{name!r} of layer {i} has another shape than before")
    return copy.deepcopy(list(result))


def values(network, names, layers=slice(None)):
    """Some arrays of a network, by layer and name."""
    numbered = list(enumerate(network))[layers]
    return {
        f"{name} of layer {i}": layer[name]
        for i, layer in numbered
        for name in names
        if name in layer
    }


def moved(before, after):
    """Which arrays are not the same after training as before."""
    return {
        f"{name} after training": "changed" if np.any(before[name] != after[name]) else "as it was"
        for name in before
    }


def moved_by_training(network, names, rng, n):
    """What two training steps change of the first n layers, and whether they change any other.

    Where nothing at all is trained, it is no merit that the first layers stay as they are.
    """
    first, others = slice(n), slice(n, None)
    before, rest = values(network, names, first), values(network, PARAMETERS, others)
    for _ in range(2):
        training_step(network, *new_data(rng))
    goes_on = "changed" in moved(rest, values(network, PARAMETERS, others)).values()
    return {
        **moved(before, values(network, names, first)),
        "the parameters behind the frozen layers": "changed" if goes_on else "all as they were",
    }


def freezes_at_all(f, rng):
    """Whether five layers have other entries than before, besides their numbers and their locks.

    A network that comes back as it was learns, too, and no number is changed.
    """
    given = pretrained(rng)
    network = answered(f, given, 5)
    numbers = (*PARAMETERS, *STATISTICS, "locked")
    return any(
        repr(new[name]) != repr(old[name])
        for new, old in zip(network, given, strict=True)
        for name in old
        if name not in numbers
    )


@probe(2)
def parameters_of_frozen_layers_stay(f, rng):
    """Training goes on, but leaves W, b, γ and β of the first n layers alone, weight decay included."""
    return moved_by_training(answered(f, pretrained(rng), 4), PARAMETERS, rng, 4)


@probe(2)
def statistics_of_frozen_layers_stay(f, rng):
    """Training goes on, but leaves the running statistics of the first n layers alone."""
    return moved_by_training(answered(f, pretrained(rng), 3), STATISTICS, rng, 3)


@probe(1)
def frozen_layers_do_not_see_the_batch(f, rng):
    """In a training batch a frozen layer gives each sample what it would give it alone."""
    network = answered(f, pretrained(rng), 2)
    x, _ = new_data(rng)
    return {"the output of the frozen layers for a training batch": forward(network, x)[2]}


@probe(1)
def other_layers_go_on(f, rng):
    """The other layers train on as before, in every epoch; what was frozen before stays so."""
    given = pretrained(rng)
    given[4].update(training=False, locked=True)
    given[6]["trainable"] = ["W"]
    network = answered(f, given, 1)
    before = values(network, (*PARAMETERS, *STATISTICS), slice(1, None))
    training_step(network, *new_data(rng))
    after = values(network, (*PARAMETERS, *STATISTICS), slice(1, None))
    for layer in network:  # as a validation leaves it
        layer["training"] = False
    train_mode(network)
    training_step(network, *new_data(rng))
    next_epoch = moved(after, values(network, (*PARAMETERS, *STATISTICS), slice(1, None)))
    return {
        **values(given, STATISTICS),
        **moved(before, after),
        **{f"{name} in the next epoch": what for name, what in next_epoch.items()},
        "whether any layer is frozen": freezes_at_all(f, rng),
    }


def sees_the_batch(network, x):
    """Whether the first three layers give some samples something else when others are in their batch."""
    together, apart = (forward(copy.deepcopy(network), batch)[3][:4] for batch in (x, x[:4]))
    return not np.allclose(together, apart)


@probe(1)
def stays_frozen_in_the_next_epoch(f, rng):
    """`train_mode`, which begins every epoch of a training loop, does not thaw what is frozen."""
    network = answered(f, pretrained(rng), 3)
    x, _ = new_data(rng)
    before, began = values(network, STATISTICS, slice(3)), sees_the_batch(network, x)
    for _ in range(2):
        train_mode(network)
        training_step(network, *new_data(rng))
    seen = moved(before, values(network, STATISTICS, slice(3)))
    train_mode(network)
    kept = sees_the_batch(network, x) == began
    seen["whether the frozen layers see the batch, after train_mode"] = (
        "as before it" if kept else "not as before it"
    )
    return seen


@probe(1)
def freezing_keeps_the_network(f, rng):
    """No number in the network is changed by freezing; frozen statistics are those that were learned."""
    return {
        **values(answered(f, pretrained(rng), 5), (*PARAMETERS, *STATISTICS)),
        "whether any layer is frozen": freezes_at_all(f, rng),
    }


@probe(1, hidden=True)
def none_or_all(f, rng):
    """For n = 0 nothing is frozen, for n = 7 the whole network is, and a ReLU counts as a layer."""
    seen = {}
    for n in (0, 7):
        network = answered(f, pretrained(rng), n)
        before = values(network, (*PARAMETERS, *STATISTICS))
        training_step(network, *new_data(rng))
        changed = moved(before, values(network, (*PARAMETERS, *STATISTICS)))
        seen |= {f"for n = {n}, {name}": value for name, value in changed.items()}
    # Two layers with parameters and a ReLU are three; the next one is trained on.
    network = answered(f, pretrained(rng), 3)
    before = values(network, PARAMETERS, slice(3, 4))
    training_step(network, *new_data(rng))
    changed = moved(before, values(network, PARAMETERS, slice(3, 4)))
    return seen | {f"for n = 3, {name}": value for name, value in changed.items()}


@mistake(
    earns=1,
    hint="`network[:n]` are the first n layers, and `network[n:]` are the others: freeze the first, "
    "not the others. The order of the list stays as it is.",
)
def freezes_the_other_layers(network, n):
    """The first n layers are left as they are; all the others are frozen."""
    frozen = {"trainable": [], "training": False, "locked": True}
    return network[:n] + [{**layer, **frozen} for layer in network[n:]]


@mistake(
    earns=2,
    hint="All of the first n layers are to be frozen, not one of them: go through `network[:n]`.",
)
def freezes_only_the_first_layer(network, n):
    """Only the first layer is frozen, whatever n is."""
    frozen = {"trainable": [], "training": False, "locked": True}
    return [{**layer, **frozen} if i == 0 else layer for i, layer in enumerate(network)]


@mistake(
    earns=4,
    hint="The running statistics are no parameters: no gradient moves them, every forward pass in "
    "training mode does. Put the frozen layers into inference mode, too.",
)
def freezes_only_the_parameters(network, n):
    """The parameters are frozen (in PyTorch `requires_grad = False`), but the statistics still move."""
    return [{**layer, "trainable": []} for layer in network[:n]] + network[n:]


@mistake(
    hint="A lock keeps `train_mode` away, and no more. Read which entries of a layer `forward` and "
    "`training_step` ask for, and change those as well.",
)
def freezes_nothing(network, n):
    """Nothing is frozen: the parameters are still trained, and the statistics still move."""
    return [{**layer, "locked": True} for layer in network[:n]] + network[n:]


@mistake(
    earns=6,
    hint="Inference mode keeps the statistics. γ, β and the weights are moved by the optimizer, which "
    "does not ask for the mode: take them out of `trainable`.",
)
def freezes_only_the_statistics(network, n):
    """The layers are put into inference mode, but their parameters are still trained."""
    return [{**layer, "training": False, "locked": True} for layer in network[:n]] + network[n:]


@mistake(
    earns=2,
    hint="`trainable` is a list of names, which the optimizer goes through; an empty list trains nothing.",
)
def freezes_with_no_list(network, n):
    """`trainable` of the frozen layers is no list of names, and a training step fails with TypeError."""
    frozen = {"trainable": False, "training": False, "locked": True}
    return [{**layer, **frozen} for layer in network[:n]] + network[n:]


@mistake(
    earns=8,
    hint="With a momentum of 0 the statistics stay, but nobody uses them: the layer still normalizes "
    "each batch with the batch's own. Inference mode does both.",
)
def freezes_by_a_momentum_of_zero(network, n):
    """The momentum is set to 0; the statistics stay, but each batch is still normalized with its own."""
    frozen = [{**layer, "trainable": []} for layer in network[:n]]
    for layer in frozen:
        if layer["kind"] == "batchnorm":
            layer["momentum"] = 0.0
    return frozen + network[n:]


@mistake(
    earns=8,
    hint="A training loop calls `train_mode` (in PyTorch `model.train()`) in every epoch, which puts the "
    "frozen layers back into training mode. Lock them.",
)
def freezes_until_the_next_epoch(network, n):
    """The frozen layers are not locked, so that the next `train_mode` thaws their statistics."""
    return [{**layer, "trainable": [], "training": False} for layer in network[:n]] + network[n:]


@mistake(
    earns=3, hint="Only the first n layers are frozen. The others are to learn from the new data."
)
def freezes_everything(network, n):
    """The whole network is frozen, whatever n is."""
    return [{**layer, "trainable": [], "training": False, "locked": True} for layer in network]


@mistake(
    earns=8,
    hint="`train_mode` passes a locked layer by. A layer that is to be trained must not be locked: "
    "after the first validation it would stay in inference mode, and its statistics would stand still.",
)
def freezes_and_locks_everything(network, n):
    """All layers are locked, also those that are trained on: validation leaves them in inference mode."""
    frozen = {"trainable": [], "training": False}
    locked = [{**layer, "locked": True} for layer in network]
    return [{**layer, **frozen} for layer in locked[:n]] + locked[n:]


@mistake(
    earns=2,
    hint="The first layers hold what is common to many tasks, and stay; the last ones are trained anew. "
    "The first n are `network[:n]`.",
)
def freezes_the_last_layers(network, n):
    """The last n layers are frozen, not the first."""
    frozen = {"trainable": [], "training": False, "locked": True}
    start = len(network) - n
    return network[:start] + [{**layer, **frozen} for layer in network[start:]]


@mistake(
    earns=1,
    hint="The first n layers are `network[:n]`, also for n = 0, where it is empty.",
)
def freezes_from_the_end(network, n):
    """The last n layers are frozen; for n = 0, `network[-0:]` is the whole list."""
    network = [dict(layer) for layer in network]
    for layer in network[-n:]:
        layer.update(trainable=[], training=False, locked=True)
    return network


@mistake(
    earns=8,
    hint="A layer is an entry of the list, with parameters or without: `network[:n]`.",
)
def freezes_layers_with_parameters_only(network, n):
    """Only layers with parameters are counted, so that more layers than asked are frozen."""
    network = [dict(layer) for layer in network]
    left = n
    for layer in network:
        if left == 0:
            break
        if layer["trainable"]:
            left -= 1
        layer.update(trainable=[], training=False, locked=True)
    return network


@mistake(earns=7, hint="`network[:n]` holds the first n layers already; count again.")
def freezes_one_layer_too_many(network, n):
    """One layer more than asked is frozen."""
    frozen = {"trainable": [], "training": False, "locked": True}
    return [{**layer, **frozen} for layer in network[: n + 1]] + network[n + 1 :]


@mistake(
    earns=5,
    hint="`range(n)` and `network[:n]` are n layers: the first of them has the number 0, the last n - 1.",
)
def freezes_one_layer_too_few(network, n):
    """One layer less than asked is frozen."""
    frozen = {"trainable": [], "training": False, "locked": True}
    return [{**layer, **frozen} if i < n - 1 else layer for i, layer in enumerate(network)]


@mistake(earns=6, hint="The first layer has the number 0: `range(n)` begins with it.")
def freezes_without_the_first_layer(network, n):
    """Counting begins at 1, so that the first layer is not frozen."""
    frozen = {"trainable": [], "training": False, "locked": True}
    return [{**layer, **frozen} if i in range(1, n) else layer for i, layer in enumerate(network)]


@mistake(
    earns=6,
    hint="The layers before the batch normalization are frozen as well: if their weights move, the "
    "statistics that you kept are those of another network.",
)
def freezes_only_batch_normalization(network, n):
    """Only the batch normalization layers are frozen; the linear layers are still trained."""
    frozen = {"trainable": [], "training": False, "locked": True}
    return [
        {**layer, **frozen} if i < n and layer["kind"] == "batchnorm" else layer
        for i, layer in enumerate(network)
    ]


@mistake(
    earns=2,
    hint="Batch normalization has parameters and statistics of its own. Freeze every kind of layer.",
)
def freezes_only_the_linear_layers(network, n):
    """Only the linear layers are frozen; batch normalization is trained and moves on."""
    frozen = {"trainable": [], "training": False, "locked": True}
    return [
        {**layer, **frozen} if i < n and layer["kind"] == "linear" else layer
        for i, layer in enumerate(network)
    ]


@mistake(
    earns=7,
    hint="The later layers are trained, and their statistics have to follow. Switch the mode of the "
    "first n layers only.",
)
def freezes_all_statistics(network, n):
    """All layers are put into inference mode, also those that are trained on."""
    still = [{**layer, "training": False, "locked": True} for layer in network]
    return [{**layer, "trainable": []} for layer in still[:n]] + still[n:]


@mistake(
    earns=7,
    hint="The statistics that the network was trained with are what is worth keeping. With 0 and 1 the "
    "frozen layer computes another function.",
)
def freezes_reset_statistics(network, n):
    """The running statistics of the frozen layers are set back to 0 and 1."""
    frozen = [
        {**layer, "trainable": [], "training": False, "locked": True} for layer in network[:n]
    ]
    for layer in frozen:
        if layer["kind"] == "batchnorm":
            layer["running_mean"] = np.zeros_like(layer["running_mean"])
            layer["running_var"] = np.ones_like(layer["running_var"])
    return frozen + network[n:]


@mistake(hint="The caller wants a network that can be trained: return all layers, in their order.")
def freezes_and_returns_the_frozen_layers(network, n):
    """Only the frozen layers are returned."""
    return [{**layer, "trainable": [], "training": False, "locked": True} for layer in network[:n]]


@mistake(
    earns=1,
    hint="`network[n]` is one layer, the one with the number n. The first n are `network[:n]`.",
)
def freezes_only_the_nth_layer(network, n):
    """One layer is frozen, the one with the number n."""
    network = [dict(layer) for layer in network]
    network[n].update(trainable=[], training=False, locked=True)
    return network


@mistake(
    earns=8,
    hint="Layers that are to be trained on stay as they were given, `trainable`, `training` and `locked` "
    "included: some of them may have been frozen before.",
)
def freezes_and_thaws_the_rest(network, n):
    """All later layers are unlocked and put into training mode, also those that were frozen before."""
    frozen = {"trainable": [], "training": False, "locked": True}
    trained = {"training": True, "locked": False}
    return [{**layer, **(frozen if i < n else trained)} for i, layer in enumerate(network)]


@mistake(earns=6, hint="b and β are parameters, too. `trainable` of a frozen layer is empty.")
def freezes_the_factors_only(network, n):
    """W and γ are frozen, but b and β are still trained."""
    frozen = [{**layer, "training": False, "locked": True} for layer in network[:n]]
    for layer in frozen:
        layer["trainable"] = [name for name in layer["trainable"] if name in ("b", "beta")]
    return frozen + network[n:]


@mistake(
    earns=7,
    hint="γ and β were learned together with the rest; with 1 and 0 the layer computes another function. "
    "Leave the numbers as they are: what must end is their training.",
)
def freezes_by_neutral_parameters(network, n):
    """γ and β of the frozen layers are set to 1 and 0."""
    frozen = [
        {**layer, "trainable": [], "training": False, "locked": True} for layer in network[:n]
    ]
    for layer in frozen:
        if layer["kind"] == "batchnorm":
            layer["gamma"] = np.ones_like(layer["gamma"])
            layer["beta"] = np.zeros_like(layer["beta"])
    return frozen + network[n:]


def freeze_in_a_loop(network, n):
    result = []
    for i, layer in enumerate(network):
        layer = dict(layer)
        if i < n:
            layer["trainable"] = ()
            layer["training"] = False
            layer["locked"] = True
        result.append(layer)
    return result


def freeze_in_place(network, n):
    for layer in network[:n]:
        layer["trainable"].clear()
        layer.update(training=False, locked=True)
    return network


# --- the chapter -----------------------------------------------------------------------------

CHAPTER = Chapter(
    slug="inference",
    title="Training versus inference",
    exercises=(
        Exercise(
            name="update_running",
            reference=update_running,
            probes=(
                mean_moves_towards_the_batch,
                variance_moves_towards_the_batch,
                momentum_is_the_callers,
                many_updates_forget_the_start,
                update_makes_new_arrays,
                update_by_two_samples,
            ),
            mistakes=(
                update_in_the_convention_of_keras,
                update_altogether_as_in_keras,
                update_overwrites,
                update_averages_the_deviations,
                update_mixes_in_the_deviation,
                update_moves_the_variance_from_the_mean,
                update_moves_the_variance_to_the_mean,
                update_gathers_the_biased_variance,
                update_corrects_the_wrong_way,
                update_corrects_the_average,
                update_takes_the_variance_around_the_running_mean,
                update_changes_the_callers_buffers,
                update_centres_x_in_place,
                update_ignores_the_momentum,
                update_does_not_forget,
                update_leaves_the_variance,
                update_returns_the_variance_first,
                update_by_the_whole_batch,
                update_by_rows,
                update_averages_eps_in,
            ),
            alternatives=(
                update_by_differences,
                update_in_copies,
            ),
            tolerance=ROUGH,
        ),
        Exercise(
            name="to_keras_momentum",
            reference=to_keras_momentum,
            probes=(
                same_average_in_keras,
                small_momentum_in_keras,
                no_momentum_in_keras,
            ),
            mistakes=(
                keras_momentum_unchanged,
                keras_momentum_as_reciprocal,
                keras_momentum_rounded,
                keras_momentum_of_none_is_the_default,
                keras_momentum_does_not_look_for_none,
                keras_momentum_takes_zero_for_none,
                keras_momentum_refuses_the_limits,
            ),
            alternatives=(
                keras_momentum_by_complement,
                keras_momentum_by_float,
            ),
            tolerance=TOLERANCE,
        ),
        Exercise(
            name="to_torch_momentum",
            reference=to_torch_momentum,
            probes=(
                same_average_in_torch,
                limits_in_torch,
            ),
            mistakes=(
                torch_momentum_unchanged,
                torch_momentum_is_the_default,
                torch_momentum_takes_anything,
                torch_momentum_refuses_the_limits,
                torch_momentum_rounded,
                torch_momentum_clips,
            ),
            alternatives=(
                torch_momentum_by_two_tests,
                torch_momentum_by_result,
            ),
            tolerance=TOLERANCE,
        ),
        BATCHNORM1D,
        Exercise(
            name="recalibrate",
            reference=recalibrate,
            probes=(
                mean_of_the_population,
                variance_of_the_population,
                batches_of_unequal_size,
                rest_of_the_layer,
                recalibrating_leaves_its_inputs_alone,
                a_last_batch_of_one,
            ),
            mistakes=(
                recalibrates_by_a_moving_average,
                recalibrates_with_the_old_statistics,
                recalibrates_by_the_last_batch,
                recalibrates_with_biased_variances,
                recalibrates_with_the_factor_twice,
                recalibrates_by_averaging_deviations,
                recalibrates_by_the_variance_of_all_rows,
                recalibrates_by_the_biased_variance_of_all_rows,
                recalibrates_by_the_variance_of_the_means,
                recalibrates_with_equal_weights,
                recalibrates_by_the_plain_mean_of_means,
                recalibrates_with_variances_by_rows,
                recalibrates_by_the_plain_mean_of_variances,
                recalibrates_with_zero_times_nan,
                recalibrates_with_one_degree_of_freedom,
                recalibrates_into_a_new_layer,
                recalibrates_without_the_count,
                recalibrates_counting_on,
                recalibrates_counting_rows,
                recalibrates_into_a_pair,
                recalibrates_in_place,
                recalibrates_with_eps,
            ),
            alternatives=(
                recalibrate_by_weights,
                recalibrate_by_concatenation,
                recalibrate_in_a_loop,
            ),
            tolerance=ROUGH,
        ),
        Exercise(
            name="fold_batchnorm",
            reference=fold_batchnorm,
            probes=(
                folded_weights,
                folded_bias,
                one_layer_for_two,
                folded_with_eps,
                folded_without_bias,
                folding_makes_new_arrays,
            ),
            mistakes=(
                folds_into_the_rows,
                folds_into_the_transpose,
                folds_without_eps,
                folds_with_eps_outside,
                folds_with_an_eps_of_its_own,
                folds_without_the_root,
                folds_without_the_mean,
                folds_the_mean_with_the_wrong_sign,
                folds_without_scaling_the_mean,
                folds_into_the_bias_alone,
                folds_without_scaling_the_bias,
                folds_a_scaled_beta,
                folds_without_beta,
                folds_without_gamma,
                folds_into_the_weights_only,
                folds_without_the_old_bias,
                folds_only_with_a_bias,
                folds_without_bias_to_beta,
                folds_in_place,
                folds_the_bias_in_place,
                folds_all_in_place,
                folds_eps_into_the_variance,
                folds_and_returns_the_bias_first,
            ),
            alternatives=(
                fold_by_a_diagonal_matrix,
                fold_by_two_evaluations,
                fold_columns,
            ),
            tolerance=TOLERANCE,
        ),
        Exercise(
            name="freeze",
            reference=freeze,
            probes=(
                parameters_of_frozen_layers_stay,
                statistics_of_frozen_layers_stay,
                frozen_layers_do_not_see_the_batch,
                other_layers_go_on,
                stays_frozen_in_the_next_epoch,
                freezing_keeps_the_network,
                none_or_all,
            ),
            mistakes=(
                freezes_nothing,
                freezes_the_other_layers,
                freezes_only_the_first_layer,
                freezes_only_the_parameters,
                freezes_only_the_statistics,
                freezes_with_no_list,
                freezes_by_a_momentum_of_zero,
                freezes_until_the_next_epoch,
                freezes_everything,
                freezes_and_locks_everything,
                freezes_the_last_layers,
                freezes_from_the_end,
                freezes_only_the_nth_layer,
                freezes_layers_with_parameters_only,
                freezes_one_layer_too_many,
                freezes_one_layer_too_few,
                freezes_without_the_first_layer,
                freezes_only_batch_normalization,
                freezes_only_the_linear_layers,
                freezes_all_statistics,
                freezes_reset_statistics,
                freezes_and_returns_the_frozen_layers,
                freezes_and_thaws_the_rest,
                freezes_the_factors_only,
                freezes_by_neutral_parameters,
            ),
            alternatives=(
                freeze_in_a_loop,
                freeze_in_place,
            ),
            tolerance=TOLERANCE,
        ),
    ),
)
