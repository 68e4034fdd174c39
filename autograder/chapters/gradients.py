"""Why depth is hard: what its exercises ask, and the mistakes that people make in them.

The networks here have no biases: ``weights`` is a list of K matrices, ``W[l]`` of shape
(fan_in, fan_out), and layer l computes ``h = f(h_before @ W)`` with the same activation f in each.
References agree with PyTorch: its autograd, ``nn.init`` and ``nn.utils.clip_grad_norm_``.

The code of mistakes and alternatives is written as students write it, and stands alone: it uses
nothing but NumPy and its arguments.
"""

import itertools

import numpy as np

from autograder.exercise import Argument, Chapter, Exercise, Tolerance, mistake, probe

TOLERANCE = Tolerance(relative=1e-6, absolute=1e-9)
# float32 somewhere in between leaves about 1e-7, too little to matter here.
ROUGH = Tolerance(relative=1e-6, absolute=1e-7)

NO_TIES = "no activation lies exactly on the threshold"
MAXIMUM_COMMUTES = "max(u, 0) and max(0, u) are the same number"

IN_PLACE_HINT = (
    "`g *= slope` writes into the caller's array, and the caller will use it again. "
    "`g = g * slope` makes a new array."
)
VARIANCE_HINT = (
    "The derivation gives the variance of the weights. What `rng.normal` wants, and what is asked "
    "here, is the standard deviation: its square root."
)


def activations(rng, shape=(40, 25)):
    """Outputs of tanh units, many of them saturated, more at the upper end than at the lower.

    None comes nearer to ±1 than 0.009: the ends of the data are not the ends of tanh.
    """
    return np.clip(np.tanh(2.0 * rng.normal(size=shape) + 0.7), -0.991, 0.991)


def network(rng, sizes, gain):
    """Weight matrices between layers of these sizes, with standard deviation gain/√fan_in."""
    return [
        gain * rng.normal(size=(before, after)) / np.sqrt(before)
        for before, after in itertools.pairwise(sizes)
    ]


def with_a_sample(X, W, u):
    """The table with another first sample: as many entries of its x W as it has features are u."""
    X[0] = np.linalg.solve(W[:, : len(W)].T, np.full(len(W), u))
    return X


# Just outside of the margins, where the slopes are below 2 % of tanh's and of the sigmoid's largest.
EDGE_OF_TANH = np.arctanh(0.98997)
EDGE_OF_SIGMOID = np.log(0.00501 / 0.99499)

SQUARE = (10, 10, 10, 10)
"""Equal widths: a transposed or misplaced matrix multiplies without an error, and shows."""

RECTANGULAR = (7, 12, 5, 9)


# --- saturated_fraction ----------------------------------------------------------------------


def saturated_fraction(a, low=-1.0, high=1.0, margin=0.005):
    room = margin * (high - low)
    return np.mean((a < low + room) | (a > high - room))


@probe(2)
def counts_both_ends_of_tanh(f, rng):
    """For tanh (the defaults), the share of activations below -0.99 or above 0.99 is returned."""
    a = activations(rng)
    a[:, 0] = 0.9995  # a unit that is always saturated, and so is its mean
    return {"the saturated fraction of a tanh layer": f(a)}


@probe(1)
def counts_the_ends_of_sigmoid(f, rng):
    """With `low=0, high=1`, the share below 0.005 or above 0.995 is returned: sigmoid."""
    a = (1 - activations(rng)) / 2
    return {"the saturated fraction of a sigmoid layer": f(a, low=0.0, high=1.0)}


@probe(1)
def counts_within_any_margin(f, rng):
    """`margin` is a share of the range, high - low, at both of its ends."""
    a = activations(rng)
    return {
        "the saturated fraction for margin=0.1": f(a, margin=0.1),
        # Far from the share that is outside of ±0.6, as it would be for tanh.
        "the saturated fraction for low=-1, high=3, margin=0.2": f(
            2 * a + 1, low=-1.0, high=3.0, margin=0.2
        ),
    }


@probe(1, hidden=True)
def a_value_on_the_threshold_is_not_saturated(f, rng):
    """A value exactly `margin` away from an end is not counted: "nearer than" is strict. `a` may have any shape."""
    a = np.array([[-1.0, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75]])
    a = np.append(a, rng.choice(a[0], size=(1, rng.integers(1, 8))), axis=1)
    b = np.array([-1.0, -0.5, 0.0, 0.25, 0.5, 0.999])
    return {
        "the saturated fraction of quarters from -1 to ¾ for margin=¼": f(a, margin=0.25),
        "the saturated fraction of the six values -1, -½, 0, ¼, ½, 0.999": f(b),
        "the same in an array of shape (2, 1, 3, 1)": f(b.reshape(2, 1, 3, 1)),
    }


@mistake(hint="A sigmoid-shaped function is flat at both of its ends. Count both.")
def counts_the_upper_end_only(a, low=-1.0, high=1.0, margin=0.005):
    """Only values near `high` are counted, not those near `low`."""
    return np.mean(a > high - margin * (high - low))


@mistake(hint="A sigmoid-shaped function is flat at both of its ends. Count both.")
def counts_the_lower_end_only(a, low=-1.0, high=1.0, margin=0.005):
    """Only values near `low` are counted, not those near `high`."""
    return np.mean(a < low + margin * (high - low))


@mistake(
    hint="Low *or* high: `|`, not `&`. No value lies near both ends, and none lies beyond an end.",
)
def asks_for_both_ends_at_once(a, low=-1.0, high=1.0, margin=0.005):
    """No value is ever counted, as when it has to be near both ends at once."""
    room = margin * (high - low)
    return np.mean((a < low + room) & (a > high - room))


@mistake(
    earns=3,
    hint="That is right only where `low` is `-high`, as for tanh. A sigmoid lies between 0 and 1: compare "
    "with each of the two ends.",
)
def measures_the_distance_from_zero(a, low=-1.0, high=1.0, margin=0.005):
    """The absolute value is compared with the upper end alone, so that `low` is never looked at."""
    return np.mean(np.abs(a) > high - margin * (high - low))


@mistake(hint="What you counted is the complement: the units that are *not* saturated.")
def counts_the_unsaturated(a, low=-1.0, high=1.0, margin=0.005):
    """The share of values away from both ends is returned."""
    room = margin * (high - low)
    return np.mean((a >= low + room) & (a <= high - room))


@mistake(
    earns=1,
    hint="`margin` is a share of the range. For tanh the range is 2, so 0.005 of it is 0.01.",
)
def takes_the_margin_as_a_distance(a, low=-1.0, high=1.0, margin=0.005):
    """The margin is not multiplied by the length of the range, high - low."""
    return np.mean((a < low + margin) | (a > high - margin))


@mistake(
    earns=0,
    hint="`margin` is a share of the whole range, high - low, at each of its ends.",
)
def takes_half_of_the_range(a, low=-1.0, high=1.0, margin=0.005):
    """The margin is a share of half of the range."""
    room = margin * (high - low) / 2
    return np.mean((a < low + room) | (a > high - room))


@mistake(
    earns=2,
    hint="0.99 is right for tanh and the default margin only. Compute both thresholds from `low`, "
    "`high` and `margin`.",
)
def knows_tanh_only(a, low=-1.0, high=1.0, margin=0.005):
    """The thresholds of tanh are used, whatever `low`, `high` and `margin` are."""
    return np.mean(np.abs(a) > 0.99)


@mistake(
    earns=3,
    hint="`low` and `high` are arguments: for a sigmoid the lower end is 0, not -1, and the range "
    "has the length 1, not 2.",
)
def takes_the_ends_as_minus_one_and_one(a, low=-1.0, high=1.0, margin=0.005):
    """The ends are taken to be -1 and 1, whatever `low` and `high` are."""
    return np.mean(np.abs(a) > 1 - 2 * margin)


@mistake(
    hint="`low` and `high` are the ends of the activation function, and they are given. The smallest "
    "and the largest value of a layer need not come near them."
)
def takes_the_ends_of_the_data(a, low=-1.0, high=1.0, margin=0.005):
    """The ends are taken from the data, the smallest and the largest value, not from `low` and `high`."""
    low, high = a.min(), a.max()
    room = margin * (high - low)
    return np.mean((a < low + room) | (a > high - room))


@mistake(hint="The two shares are shares of the same values: add them, but do not halve the sum.")
def averages_the_shares_of_the_ends(a, low=-1.0, high=1.0, margin=0.005):
    """The shares near the two ends are averaged, where their sum is asked."""
    room = margin * (high - low)
    return (np.mean(a < low + room) + np.mean(a > high - room)) / 2


@mistake(hint="A share lies between 0 and 1: divide the count by the number of values.")
def returns_the_count(a, low=-1.0, high=1.0, margin=0.005):
    """The number of saturated values is returned, not their share."""
    room = margin * (high - low)
    return int(np.sum((a < low + room) | (a > high - room)))


@mistake(
    hint="`len(a)` is the number of samples. A layer has `a.size` values, and each of them counts."
)
def divides_by_the_number_of_rows(a, low=-1.0, high=1.0, margin=0.005):
    """The count is divided by the number of rows, `len(a)`, not by that of all values."""
    room = margin * (high - low)
    return np.sum((a < low + room) | (a > high - room)) / len(a)


@mistake(hint="A share lies between 0 and 1; yours is in per cent.")
def returns_per_cent(a, low=-1.0, high=1.0, margin=0.005):
    """The share is returned in per cent."""
    room = margin * (high - low)
    return 100 * np.mean((a < low + room) | (a > high - room))


@mistake(hint="One number for the whole layer is asked: average over samples and units alike.")
def returns_one_share_per_unit(a, low=-1.0, high=1.0, margin=0.005):
    """One share per unit is returned, not one for the whole layer."""
    room = margin * (high - low)
    return np.mean((a < low + room) | (a > high - room), axis=0)


@mistake(
    hint="The layer's mean says nothing: half of the units at -1 and half at 1 average to 0. "
    "Compare each value with the thresholds first, then average.",
)
def asks_whether_the_mean_is_saturated(a, low=-1.0, high=1.0, margin=0.005):
    """The mean of each unit is compared with the thresholds, not each value."""
    room = margin * (high - low)
    mean = np.mean(a, axis=0)
    return np.mean((mean < low + room) | (mean > high - room))


@mistake(
    earns=4,
    hint="Nearer than the margin means strictly: a value on the threshold is not saturated. "
    "Compare with < and >, not <= and >=; the other way round if you count the unsaturated "
    "ones.",
)
def counts_the_threshold_too(a, low=-1.0, high=1.0, margin=0.005):
    """A value exactly on the threshold is counted."""
    room = margin * (high - low)
    return np.mean((a <= low + room) | (a >= high - room))


def saturated_fraction_by_position(a, low=-1.0, high=1.0, margin=0.005):
    position = (np.asarray(a, dtype=float) - low) / (high - low)
    return float(np.count_nonzero(np.abs(position - 0.5) > 0.5 - margin) / position.size)


def saturated_fraction_by_counting(a, low=-1.0, high=1.0, margin=0.005):
    bottom = low + margin * (high - low)
    top = high - margin * (high - low)
    count = 0
    for value in a.ravel():
        if value < bottom or value > top:
            count += 1
    return count / a.size


# --- forward_statistics ----------------------------------------------------------------------


def forward_statistics(X, weights, activation):
    h = X
    mean, std, saturated = [], [], []
    for W in weights:
        u = h @ W
        if activation == "relu":
            h = np.maximum(u, 0)
            flat = h == 0
        elif activation == "tanh":
            h = np.tanh(u)
            flat = np.abs(h) > 0.99
        else:
            h = 1 / (1 + np.exp(-u))
            flat = (h < 0.005) | (h > 0.995)
        mean.append(h.mean())
        std.append(h.std())
        saturated.append(flat.mean())
    return {"mean": np.array(mean), "std": np.array(std), "saturated": np.array(saturated)}


def _statistics(f, X, weights, activation):
    found = f(X, weights, activation)
    asked = {name: found[name] for name in ("mean", "std", "saturated")}  # more does no harm
    return {f"the dictionary for {activation} layers": asked}


@probe(2)
def statistics_of_tanh_layers(f, rng):
    """Mean, standard deviation and saturated fraction of each tanh layer are right."""
    X, weights = rng.normal(size=(60, 10)) + 0.3, network(rng, SQUARE, 3.0)
    return _statistics(f, with_a_sample(X, weights[0], EDGE_OF_TANH), weights, "tanh")


@probe(2)
def statistics_of_sigmoid_layers(f, rng):
    """Mean, standard deviation and saturated fraction of each sigmoid layer are right."""
    X, weights = rng.normal(size=(60, 10)), network(rng, SQUARE, 9.0)
    return _statistics(f, with_a_sample(X, weights[0], EDGE_OF_SIGMOID), weights, "sigmoid")


@probe(2)
def statistics_of_relu_layers(f, rng):
    """For ReLU, the saturated fraction is the share of zeros; mean and deviation are right, too."""
    X = rng.normal(size=(60, 10))
    X[::2] *= 1e-9  # a small value is not a zero
    return _statistics(f, X, network(rng, SQUARE, 1.5), "relu")


@probe(1)
def statistics_of_layers_of_any_width(f, rng):
    """Layers may become wider and narrower, and there is one entry for each weight matrix."""
    X, weights = rng.normal(size=(20, 7)), network(rng, RECTANGULAR, 2.0)
    return _statistics(f, with_a_sample(X, weights[0], EDGE_OF_TANH), weights, "tanh")


@probe(1, hidden=True)
def statistics_of_a_dying_signal(f, rng):
    """A signal that shrinks to 1e-9 on its way is measured as exactly as any other."""
    # No further: (e²ᵘ - 1)/(e²ᵘ + 1) is tanh, too, and is off by 1e-16 where u is 0.
    found = f(rng.normal(size=(20, 5)), network(rng, (5,) * 10, 0.1), "tanh")
    return {"the logarithm (base 10) of `std` in 9 small tanh layers": np.log10(found["std"])}


@mistake(hint="Each layer's input is the output of the layer before: continue with h, not with X.")
def feeds_x_to_every_layer(X, weights, activation):
    """Every layer is fed with X instead of the output of the layer before it."""
    rows = []
    for W in weights:
        u = X @ W[: X.shape[1]]
        f = {"relu": np.maximum(u, 0), "tanh": np.tanh(u), "sigmoid": 1 / (1 + np.exp(-u))}
        h = f[activation]
        flat = {"relu": h == 0, "tanh": abs(h) > 0.99, "sigmoid": abs(h - 0.5) > 0.495}
        flat = flat[activation]
        rows.append([h.mean(), h.std(), flat.mean()])
    mean, std, saturated = np.array(rows).T
    return {"mean": mean, "std": std, "saturated": saturated}


@mistake(
    earns=5,
    hint="Saturated is what `saturated_fraction` counts: by the distance from the ends of the function. "
    "That the slope is below 2 % says nearly the same, but not quite.",
)
def calls_a_small_slope_saturated(X, weights, activation):
    """Tanh counts as saturated where its slope is below 0.02, not where it is near an end."""
    h = X
    rows = []
    for W in weights:
        u = h @ W
        f = {"relu": np.maximum(u, 0), "tanh": np.tanh(u), "sigmoid": 1 / (1 + np.exp(-u))}
        h = f[activation]
        flat = {"relu": h == 0, "tanh": 1 - h**2 < 0.02, "sigmoid": abs(h - 0.5) > 0.495}
        rows.append([h.mean(), h.std(), flat[activation].mean()])
    mean, std, saturated = np.array(rows).T
    return {"mean": mean, "std": std, "saturated": saturated}


@mistake(hint="The statistics asked for are those of h = f(u), after the activation.")
def measures_before_the_activation(X, weights, activation):
    """Mean and deviation are those of the pre-activations u, not of the activations h."""
    h = X
    rows = []
    for W in weights:
        u = h @ W
        f = {"relu": np.maximum(u, 0), "tanh": np.tanh(u), "sigmoid": 1 / (1 + np.exp(-u))}
        h = f[activation]
        flat = {"relu": h == 0, "tanh": abs(h) > 0.99, "sigmoid": abs(h - 0.5) > 0.495}
        flat = flat[activation]
        rows.append([u.mean(), u.std(), flat.mean()])
    mean, std, saturated = np.array(rows).T
    return {"mean": mean, "std": std, "saturated": saturated}


@mistake(
    hint="Between two matrices stands the activation: h = f(u). Without it all layers are one."
)
def forgets_the_activation(X, weights, activation):
    """The activation is left out: every layer is linear."""
    h = X
    rows = []
    for W in weights:
        h = h @ W
        flat = {"relu": h == 0, "tanh": abs(h) > 0.99, "sigmoid": abs(h - 0.5) > 0.495}
        flat = flat[activation]
        rows.append([h.mean(), h.std(), flat.mean()])
    mean, std, saturated = np.array(rows).T
    return {"mean": mean, "std": std, "saturated": saturated}


@mistake(
    earns=1,
    hint="Here every matrix makes a layer with the same activation, the last one, too.",
)
def leaves_the_last_layer_linear(X, weights, activation):
    """The last layer is left without its activation."""
    h = X
    rows = []
    for k, W in enumerate(weights):
        u = h @ W
        f = {"relu": np.maximum(u, 0), "tanh": np.tanh(u), "sigmoid": 1 / (1 + np.exp(-u))}
        h = f[activation] if k < len(weights) - 1 else u
        flat = {"relu": h == 0, "tanh": abs(h) > 0.99, "sigmoid": abs(h - 0.5) > 0.495}
        flat = flat[activation]
        rows.append([h.mean(), h.std(), flat.mean()])
    mean, std, saturated = np.array(rows).T
    return {"mean": mean, "std": std, "saturated": saturated}


@mistake(
    hint="The weights come in the order of the layers: `weights[0]` meets X. Walk through the list "
    "from its beginning."
)
def walks_through_the_layers_backwards(X, weights, activation):
    """The weight matrices are applied in reversed order."""
    h = X
    rows = []
    for W in weights[::-1]:
        u = h @ W
        f = {"relu": np.maximum(u, 0), "tanh": np.tanh(u), "sigmoid": 1 / (1 + np.exp(-u))}
        h = f[activation]
        flat = {"relu": h == 0, "tanh": abs(h) > 0.99, "sigmoid": abs(h - 0.5) > 0.495}
        flat = flat[activation]
        rows.append([h.mean(), h.std(), flat.mean()])
    mean, std, saturated = np.array(rows).T
    return {"mean": mean, "std": std, "saturated": saturated}


@mistake(
    hint="W has the shape (fan_in, fan_out) here, so u = h @ W. The transposed form, h @ W.T, belongs "
    "to PyTorch's `nn.Linear`."
)
def transposes_the_weights(X, weights, activation):
    """Each layer computes h @ W.T where h @ W is asked."""
    h = X
    rows = []
    for W in weights:
        u = h @ W.T
        f = {"relu": np.maximum(u, 0), "tanh": np.tanh(u), "sigmoid": 1 / (1 + np.exp(-u))}
        h = f[activation]
        flat = {"relu": h == 0, "tanh": abs(h) > 0.99, "sigmoid": abs(h - 0.5) > 0.495}
        flat = flat[activation]
        rows.append([h.mean(), h.std(), flat.mean()])
    mean, std, saturated = np.array(rows).T
    return {"mean": mean, "std": std, "saturated": saturated}


@mistake(hint="The variance has squared units; `std` is its square root.")
def returns_the_variance(X, weights, activation):
    """The variance is returned where the standard deviation is asked."""
    h = X
    rows = []
    for W in weights:
        u = h @ W
        f = {"relu": np.maximum(u, 0), "tanh": np.tanh(u), "sigmoid": 1 / (1 + np.exp(-u))}
        h = f[activation]
        flat = {"relu": h == 0, "tanh": abs(h) > 0.99, "sigmoid": abs(h - 0.5) > 0.495}
        flat = flat[activation]
        rows.append([h.mean(), h.var(), flat.mean()])
    mean, std, saturated = np.array(rows).T
    return {"mean": mean, "std": std, "saturated": saturated}


@mistake(
    hint="The standard deviation is about the mean: subtract the layer's mean before you square. "
    "`h.std()` does so."
)
def returns_the_root_mean_square(X, weights, activation):
    """`std` is the root of the mean square: the mean is not subtracted."""
    h = X
    rows = []
    for W in weights:
        u = h @ W
        f = {"relu": np.maximum(u, 0), "tanh": np.tanh(u), "sigmoid": 1 / (1 + np.exp(-u))}
        h = f[activation]
        flat = {"relu": h == 0, "tanh": abs(h) > 0.99, "sigmoid": abs(h - 0.5) > 0.495}
        flat = flat[activation]
        rows.append([h.mean(), np.sqrt((h**2).mean()), flat.mean()])
    mean, std, saturated = np.array(rows).T
    return {"mean": mean, "std": std, "saturated": saturated}


@mistake(
    hint="The population formula is asked, which divides by the number of values: the default of "
    "`np.std`. `ddof=1` divides by one less."
)
def divides_by_one_less(X, weights, activation):
    """The standard deviation divides by the number of values minus 1 (ddof=1 for ddof=0)."""
    h = X
    rows = []
    for W in weights:
        u = h @ W
        f = {"relu": np.maximum(u, 0), "tanh": np.tanh(u), "sigmoid": 1 / (1 + np.exp(-u))}
        h = f[activation]
        flat = {"relu": h == 0, "tanh": abs(h) > 0.99, "sigmoid": abs(h - 0.5) > 0.495}
        flat = flat[activation]
        rows.append([h.mean(), h.std(ddof=1), flat.mean()])
    mean, std, saturated = np.array(rows).T
    return {"mean": mean, "std": std, "saturated": saturated}


@mistake(
    hint="The spread of a layer is taken over all of its values at once. Averaging the deviations of "
    "single units leaves out how far the units' means lie apart."
)
def averages_the_deviations_of_the_units(X, weights, activation):
    """`std` is the average of the units' deviations, not the deviation of all values."""
    h = X
    rows = []
    for W in weights:
        u = h @ W
        f = {"relu": np.maximum(u, 0), "tanh": np.tanh(u), "sigmoid": 1 / (1 + np.exp(-u))}
        h = f[activation]
        flat = {"relu": h == 0, "tanh": abs(h) > 0.99, "sigmoid": abs(h - 0.5) > 0.495}
        flat = flat[activation]
        rows.append([h.mean(), h.std(axis=0).mean(), flat.mean()])
    mean, std, saturated = np.array(rows).T
    return {"mean": mean, "std": std, "saturated": saturated}


@mistake(hint="One number per layer and statistic is asked: reduce over samples and units alike.")
def keeps_one_number_per_unit(X, weights, activation):
    """One mean and one deviation per unit are returned, not one per layer."""
    h = X
    mean, std, saturated = [], [], []
    for W in weights:
        u = h @ W
        f = {"relu": np.maximum(u, 0), "tanh": np.tanh(u), "sigmoid": 1 / (1 + np.exp(-u))}
        h = f[activation]
        flat = {"relu": h == 0, "tanh": abs(h) > 0.99, "sigmoid": abs(h - 0.5) > 0.495}
        flat = flat[activation]
        mean.append(h.mean(axis=0))
        std.append(h.std(axis=0))
        saturated.append(flat.mean(axis=0))
    return {
        "mean": np.concatenate(mean),
        "std": np.concatenate(std),
        "saturated": np.concatenate(saturated),
    }


@mistake(
    earns=6,
    hint="A ReLU is flat where its output is *exactly* 0. A small positive value has slope 1 like "
    "any other.",
)
def counts_small_values_of_relu(X, weights, activation):
    """For ReLU, small values are counted like exact zeros."""
    h = X
    rows = []
    for W in weights:
        u = h @ W
        f = {"relu": np.maximum(u, 0), "tanh": np.tanh(u), "sigmoid": 1 / (1 + np.exp(-u))}
        h = f[activation]
        flat = {"relu": h < 0.005, "tanh": abs(h) > 0.99, "sigmoid": abs(h - 0.5) > 0.495}
        flat = flat[activation]
        rows.append([h.mean(), h.std(), flat.mean()])
    mean, std, saturated = np.array(rows).T
    return {"mean": mean, "std": std, "saturated": saturated}


@mistake(
    earns=6,
    hint="A ReLU has no upper end, and is flat where its output is exactly 0: count the zeros.",
)
def takes_relu_for_a_sigmoid(X, weights, activation):
    """For ReLU, the saturated fraction is that between the ends 0 and 1, as for a sigmoid."""
    h = X
    rows = []
    for W in weights:
        u = h @ W
        f = {"relu": np.maximum(u, 0), "tanh": np.tanh(u), "sigmoid": 1 / (1 + np.exp(-u))}
        h = f[activation]
        flat = abs(h) > 0.99 if activation == "tanh" else abs(h - 0.5) > 0.495
        rows.append([h.mean(), h.std(), flat.mean()])
    mean, std, saturated = np.array(rows).T
    return {"mean": mean, "std": std, "saturated": saturated}


@mistake(
    hint="X is the input, not a layer: K weight matrices make K layers, and K entries. Measure after "
    "the first matrix."
)
def counts_the_input_as_a_layer(X, weights, activation):
    """The statistics of X are returned as those of a first layer."""
    layers = [X]
    for W in weights:
        u = layers[-1] @ W
        f = {"relu": np.maximum(u, 0), "tanh": np.tanh(u), "sigmoid": 1 / (1 + np.exp(-u))}
        layers.append(f[activation])
    flat = {
        "relu": lambda h: h == 0,
        "tanh": lambda h: np.abs(h) > 0.99,
        "sigmoid": lambda h: np.abs(h - 0.5) > 0.495,
    }[activation]
    return {
        "mean": np.array([h.mean() for h in layers]),
        "std": np.array([h.std() for h in layers]),
        "saturated": np.array([flat(h).mean() for h in layers]),
    }


@mistake(
    earns=6,
    hint="A sigmoid is flat near 0 and near 1, so its thresholds are 0.005 and 0.995. |h| > 0.99 "
    "belongs to tanh, and so do the ends that `saturated_fraction` has by default.",
)
def uses_the_ends_of_tanh_for_sigmoid(X, weights, activation):
    """Sigmoid layers are measured with the thresholds of tanh."""
    h = X
    rows = []
    for W in weights:
        u = h @ W
        f = {"relu": np.maximum(u, 0), "tanh": np.tanh(u), "sigmoid": 1 / (1 + np.exp(-u))}
        h = f[activation]
        flat = h == 0 if activation == "relu" else np.abs(h) > 0.99
        rows.append([h.mean(), h.std(), flat.mean()])
    mean, std, saturated = np.array(rows).T
    return {"mean": mean, "std": std, "saturated": saturated}


@mistake(
    earns=6,
    hint="ReLU is flat where its output is 0, and nowhere else. A large output is no reason to call it "
    "saturated.",
)
def uses_the_ends_of_tanh_for_relu(X, weights, activation):
    """ReLU layers are measured with the thresholds of tanh, not by the share of zeros."""
    h = X
    rows = []
    for W in weights:
        u = h @ W
        f = {"relu": np.maximum(u, 0), "tanh": np.tanh(u), "sigmoid": 1 / (1 + np.exp(-u))}
        h = f[activation]
        flat = np.abs(h - 0.5) > 0.495 if activation == "sigmoid" else np.abs(h) > 0.99
        rows.append([h.mean(), h.std(), flat.mean()])
    mean, std, saturated = np.array(rows).T
    return {"mean": mean, "std": std, "saturated": saturated}


@mistake(
    earns=6,
    hint="The share of zeros is asked for ReLU; you returned the share of units that are on.",
)
def counts_the_active_relus(X, weights, activation):
    """For ReLU, the share of positive activations is returned, not that of zeros."""
    h = X
    rows = []
    for W in weights:
        u = h @ W
        f = {"relu": np.maximum(u, 0), "tanh": np.tanh(u), "sigmoid": 1 / (1 + np.exp(-u))}
        h = f[activation]
        flat = {
            "relu": h > 0,
            "tanh": np.abs(h) > 0.99,
            "sigmoid": np.abs(h - 0.5) > 0.495,
        }[activation]
        rows.append([h.mean(), h.std(), flat.mean()])
    mean, std, saturated = np.array(rows).T
    return {"mean": mean, "std": std, "saturated": saturated}


@mistake(
    earns=7,
    hint="Rounding makes small numbers zero. Return what you computed; rounding is for printing.",
)
def rounds_its_results(X, weights, activation):
    """The results are rounded to ten decimals, so that a small signal becomes zero."""
    h = X
    rows = []
    for W in weights:
        u = h @ W
        f = {"relu": np.maximum(u, 0), "tanh": np.tanh(u), "sigmoid": 1 / (1 + np.exp(-u))}
        h = f[activation]
        flat = {"relu": h == 0, "tanh": abs(h) > 0.99, "sigmoid": abs(h - 0.5) > 0.495}
        flat = flat[activation]
        rows.append([h.mean(), h.std(), flat.mean()])
    mean, std, saturated = np.array(rows).T.round(10)
    return {"mean": mean, "std": std, "saturated": saturated}


def forward_statistics_by_layers(X, weights, activation):
    functions = {
        "sigmoid": lambda u: 0.5 * (1 + np.tanh(u / 2)),
        "tanh": np.tanh,
        "relu": lambda u: u * (u > 0),
    }
    ends = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}
    layers = [X]
    for W in weights:
        layers.append(functions[activation](np.dot(layers[-1], W)))

    def saturated(h):
        if activation == "relu":
            return np.count_nonzero(h <= 0) / h.size
        low, high = ends[activation]
        room = 0.005 * (high - low)
        return np.count_nonzero((h - low < room) | (high - h < room)) / h.size

    return {
        "mean": np.array([np.sum(h) / h.size for h in layers[1:]]),
        "std": np.array([np.sqrt(np.mean((h - np.mean(h)) ** 2)) for h in layers[1:]]),
        "saturated": np.array([saturated(h) for h in layers[1:]]),
    }


def forward_statistics_in_arrays(X, weights, activation):
    result = {name: np.zeros(len(weights)) for name in ("mean", "std", "saturated")}
    h = X.copy()
    for layer, W in enumerate(weights):
        h = np.matmul(h, W)
        if activation == "sigmoid":
            h = np.reciprocal(1.0 + np.exp(-h))
            off = np.logical_or(h < 0.005, h > 0.995)
        elif activation == "tanh":
            h = np.tanh(h)
            off = np.logical_or(h < -0.99, h > 0.99)
        elif activation == "relu":
            h = np.where(h > 0, h, 0.0)
            off = h == 0.0
        else:
            raise ValueError(f"unknown activation {activation!r}")
        result["mean"][layer] = np.average(h)
        result["std"][layer] = np.std(h)
        result["saturated"][layer] = np.average(off)
    return result


# --- layer_gradient_norms --------------------------------------------------------------------


def layer_gradient_norms(X, weights, activation, upstream):
    layers = [X]
    for W in weights:
        u = layers[-1] @ W
        if activation == "relu":
            layers.append(np.maximum(u, 0))
        elif activation == "tanh":
            layers.append(np.tanh(u))
        else:
            layers.append(1 / (1 + np.exp(-u)))
    gradient = upstream
    norms = [np.linalg.norm(gradient)]
    for W, h in zip(weights[::-1], layers[::-1]):
        if activation == "relu":
            slope = h > 0
        elif activation == "tanh":
            slope = 1 - h**2
        else:
            slope = h * (1 - h)
        gradient = (gradient * slope) @ W.T
        norms.append(np.linalg.norm(gradient))
    return np.array(norms[::-1])


@probe(2)
def gradients_of_a_tanh_network(f, rng):
    """The norms in a tanh network are right, from the input's (first) to the output's (last)."""
    X, upstream = rng.normal(size=(12, 10)), rng.normal(size=(12, 10))
    return {"the norms": f(X, network(rng, SQUARE, 1.2), "tanh", upstream)}


@probe(2)
def gradients_of_a_sigmoid_network(f, rng):
    """The norms in a sigmoid network are right."""
    X, upstream = rng.normal(size=(12, 10)), rng.normal(size=(12, 10))
    return {"the norms": f(X, network(rng, SQUARE, 3.0), "sigmoid", upstream)}


@probe(2)
def gradients_of_a_relu_network(f, rng):
    """The norms in a ReLU network are right."""
    X, upstream = np.abs(rng.normal(size=(12, 10))), rng.normal(size=(12, 10))
    weights = network(rng, SQUARE, 1.5)
    for W in weights:
        W[:, 0] = np.abs(
            W[:, 0]
        )  # one unit is always on: no sample is all 0, where slopes are moot
    return {"the norms": f(X, weights, "relu", upstream)}


@probe(2)
def gradients_through_layers_of_any_width(f, rng):
    """Layers may become wider and narrower: K weight matrices give K + 1 norms."""
    X, upstream = rng.normal(size=(6, 7)), rng.normal(size=(6, 9))
    return {"the norms": f(X, network(rng, RECTANGULAR, 1.2), "tanh", upstream)}


@probe(1)
def leaves_its_arrays_alone(f, rng):
    """`X` and `upstream` are left as they were, and the norms are right."""
    X, upstream = rng.normal(size=(12, 10)), rng.normal(size=(12, 10))
    norms = f(X, network(rng, SQUARE[:3], 1.2), "tanh", upstream)
    return {"upstream": Argument(upstream), "X": Argument(X), "the norms": norms}


@probe(1, hidden=True)
def relu_has_slope_zero_at_zero(f, rng):
    """Where the input of a ReLU is exactly 0, its slope counts as 0."""
    X, upstream = rng.normal(size=(12, 10)), rng.normal(size=(12, 10))
    X[:4] = 0.0
    return {
        "the norms for samples that are zero": f(X, network(rng, SQUARE[:3], 1.5), "relu", upstream)
    }


@probe(1, hidden=True)
def gradients_that_vanish(f, rng):
    """In twenty sigmoid layers, the smallest norm is as exact as the largest."""
    X, upstream = rng.normal(size=(10, 4)), rng.normal(size=(10, 4))
    norms = f(X, network(rng, (4,) * 21, 1.0), "sigmoid", upstream)
    return {"the logarithms (base 10) of the norms": np.log10(norms)}


@mistake(
    hint="Between h and u stands f: by the chain rule, ∂L/∂u is ∂L/∂h times f'(u). Multiply by the "
    "slope before you go through W."
)
def forgets_the_slope(X, weights, activation, upstream):
    """The gradient is sent through the weights without multiplying by the activation's slope."""
    gradient = upstream
    norms = [np.linalg.norm(gradient)]
    for W in weights[::-1]:
        gradient = gradient @ W.T
        norms.append(np.linalg.norm(gradient))
    return np.array(norms[::-1])


@mistake(
    earns=3,
    hint="f' is taken at the pre-activation u: either 1 - tanh(u)², or 1 - h² with h = tanh(u) "
    "already computed. 1 - tanh(h)² applies tanh twice.",
)
def applies_the_activation_twice_in_the_slope(X, weights, activation, upstream):
    """The slope is evaluated at the activation h instead of the pre-activation u."""

    def sigmoid(u):
        return 1 / (1 + np.exp(-u))

    layers = [X]
    for W in weights:
        u = layers[-1] @ W
        layers.append(
            {"relu": np.maximum(u, 0), "tanh": np.tanh(u), "sigmoid": sigmoid(u)}[activation]
        )
    gradient = upstream
    norms = [np.linalg.norm(gradient)]
    for W, h in zip(weights[::-1], layers[::-1]):
        slope = {
            "relu": h > 0,
            "tanh": 1 - np.tanh(h) ** 2,
            "sigmoid": sigmoid(h) * (1 - sigmoid(h)),
        }[activation]
        gradient = (gradient * slope) @ W.T
        norms.append(np.linalg.norm(gradient))
    return np.array(norms[::-1])


@mistake(
    hint="Layer l computes h_l = f(u_l), so what comes from above is multiplied by the slope at h_l "
    "first, and only then sent through W_l. The input X has no activation, and no slope.",
)
def takes_the_slope_of_the_layer_below(X, weights, activation, upstream):
    """The gradient is multiplied by the slope of the layer below, after the weights, not before."""
    layers = [X]
    for W in weights:
        u = layers[-1] @ W
        f = {"relu": np.maximum(u, 0), "tanh": np.tanh(u), "sigmoid": 1 / (1 + np.exp(-u))}
        layers.append(f[activation])
    gradient = upstream
    norms = [np.linalg.norm(gradient)]
    for W, h in zip(weights[::-1], layers[-2::-1]):
        slope = {"relu": h > 0, "tanh": 1 - h**2, "sigmoid": h * (1 - h)}[activation]
        gradient = (gradient @ W.T) * slope
        norms.append(np.linalg.norm(gradient))
    return np.array(norms[::-1])


@mistake(
    earns=6,
    hint="h is tanh(u) already, and so the slope is 1 - h². 1 - tanh(h)² applies tanh twice.",
)
def applies_tanh_twice_in_its_slope(X, weights, activation, upstream):
    """The slope of tanh is evaluated at the activation h instead of the pre-activation u."""
    layers = [X]
    for W in weights:
        u = layers[-1] @ W
        f = {"relu": np.maximum(u, 0), "tanh": np.tanh(u), "sigmoid": 1 / (1 + np.exp(-u))}
        layers.append(f[activation])
    gradient = upstream
    norms = [np.linalg.norm(gradient)]
    for W, h in zip(weights[::-1], layers[::-1]):
        slope = {"relu": h > 0, "tanh": 1 - np.tanh(h) ** 2, "sigmoid": h * (1 - h)}[activation]
        gradient = (gradient * slope) @ W.T
        norms.append(np.linalg.norm(gradient))
    return np.array(norms[::-1])


@mistake(
    earns=3,
    hint="1 - h² and h(1 - h) want the *output* of the activation, h = f(u). With the pre-activation "
    "in its place, slopes even become negative.",
)
def puts_the_pre_activation_into_the_slope(X, weights, activation, upstream):
    """The formulas 1 - h² and h(1 - h) are used with the pre-activation u in place of h."""
    h = X
    inputs = []
    for W in weights:
        u = h @ W
        inputs.append(u)
        f = {"relu": np.maximum(u, 0), "tanh": np.tanh(u), "sigmoid": 1 / (1 + np.exp(-u))}
        h = f[activation]
    gradient = upstream
    norms = [np.linalg.norm(gradient)]
    for W, u in zip(weights[::-1], inputs[::-1]):
        slope = {"relu": u > 0, "tanh": 1 - u**2, "sigmoid": u * (1 - u)}[activation]
        gradient = (gradient * slope) @ W.T
        norms.append(np.linalg.norm(gradient))
    return np.array(norms[::-1])


@mistake(
    hint="The slope of layer l belongs to its own output h_l. Yours is that of the layer before: an "
    "index is off by one."
)
def takes_the_slope_of_the_layer_before(X, weights, activation, upstream):
    """The slope of each layer is computed from its input, not from its output."""
    layers = [X]
    for W in weights:
        u = layers[-1] @ W
        f = {"relu": np.maximum(u, 0), "tanh": np.tanh(u), "sigmoid": 1 / (1 + np.exp(-u))}
        layers.append(f[activation])
    gradient = upstream
    norms = [np.linalg.norm(gradient)]
    for i in range(len(weights) - 1, -1, -1):
        h = layers[i]
        slope = {"relu": h > 0, "tanh": 1 - h**2, "sigmoid": h * (1 - h)}[activation]
        gradient = (gradient * slope) @ weights[i].T
        norms.append(np.linalg.norm(gradient))
    return np.array(norms[::-1])


@mistake(
    hint="Forward, the weights come first and then f. On the way back it is the other way round: "
    "multiply by the slope of f first, then by W transposed.",
)
def applies_the_slope_after_the_weights(X, weights, activation, upstream):
    """Each layer's slope multiplies what comes out of its weights, not what goes into them."""
    layers = [X]
    for W in weights:
        u = layers[-1] @ W
        f = {"relu": np.maximum(u, 0), "tanh": np.tanh(u), "sigmoid": 1 / (1 + np.exp(-u))}
        layers.append(f[activation])
    gradient = upstream
    norms = [np.linalg.norm(gradient)]
    for W, h in zip(weights[::-1], layers[::-1]):
        slope = {"relu": h > 0, "tanh": 1 - h**2, "sigmoid": h * (1 - h)}[activation]
        gradient = (gradient @ W.T) * slope
        norms.append(np.linalg.norm(gradient))
    return np.array(norms[::-1])


@mistake(
    hint="Forward, h @ W goes from fan_in to fan_out; backward the same matrix leads from fan_out "
    "to fan_in: multiply by its transpose."
)
def forgets_to_transpose_the_weights(X, weights, activation, upstream):
    """The gradient is multiplied by W on the way back where the transpose is needed."""
    layers = [X]
    for W in weights:
        u = layers[-1] @ W
        f = {"relu": np.maximum(u, 0), "tanh": np.tanh(u), "sigmoid": 1 / (1 + np.exp(-u))}
        layers.append(f[activation])
    gradient = upstream
    norms = [np.linalg.norm(gradient)]
    for W, h in zip(weights[::-1], layers[::-1]):
        slope = {"relu": h > 0, "tanh": 1 - h**2, "sigmoid": h * (1 - h)}[activation]
        gradient = (gradient * slope) @ W
        norms.append(np.linalg.norm(gradient))
    return np.array(norms[::-1])


@mistake(
    hint="Backward means last layer first: the gradient first meets the slope of the last layer, "
    "and then `weights[-1]`. Go through both from the end.",
)
def meets_the_first_layer_first(X, weights, activation, upstream):
    """On the way back, the layers are visited in forward order."""
    layers = [X]
    for W in weights:
        u = layers[-1] @ W
        f = {"relu": np.maximum(u, 0), "tanh": np.tanh(u), "sigmoid": 1 / (1 + np.exp(-u))}
        layers.append(f[activation])
    gradient = upstream
    norms = [np.linalg.norm(gradient)]
    for W, h in zip(weights, layers[1:]):
        slope = {"relu": h > 0, "tanh": 1 - h**2, "sigmoid": h * (1 - h)}[activation]
        gradient = (gradient * slope) @ W.T
        norms.append(np.linalg.norm(gradient))
    return np.array(norms[::-1])


@mistake(
    hint="The numbers are right, but in the order in which you met them. Asked is the order of the "
    "layers: the input's norm first, the upstream's last."
)
def returns_the_norms_backwards(X, weights, activation, upstream):
    """The norms are returned from the output to the input."""
    layers = [X]
    for W in weights:
        u = layers[-1] @ W
        f = {"relu": np.maximum(u, 0), "tanh": np.tanh(u), "sigmoid": 1 / (1 + np.exp(-u))}
        layers.append(f[activation])
    gradient = upstream
    norms = [np.linalg.norm(gradient)]
    for W, h in zip(weights[::-1], layers[::-1]):
        slope = {"relu": h > 0, "tanh": 1 - h**2, "sigmoid": h * (1 - h)}[activation]
        gradient = (gradient * slope) @ W.T
        norms.append(np.linalg.norm(gradient))
    return np.array(norms)


@mistake(hint="A sum of squares is the square of a norm: take the root.")
def returns_the_squared_norms(X, weights, activation, upstream):
    """The squares of the norms are returned: a root is missing."""
    layers = [X]
    for W in weights:
        u = layers[-1] @ W
        f = {"relu": np.maximum(u, 0), "tanh": np.tanh(u), "sigmoid": 1 / (1 + np.exp(-u))}
        layers.append(f[activation])
    gradient = upstream
    norms = [np.sum(gradient**2)]
    for W, h in zip(weights[::-1], layers[::-1]):
        slope = {"relu": h > 0, "tanh": 1 - h**2, "sigmoid": h * (1 - h)}[activation]
        gradient = (gradient * slope) @ W.T
        norms.append(np.sum(gradient**2))
    return np.array(norms[::-1])


@mistake(
    hint="`np.linalg.norm(G, 2)` of a matrix is its largest singular value. The Frobenius norm, the "
    "root of the sum of all squares, is `np.linalg.norm(G)`."
)
def returns_the_spectral_norms(X, weights, activation, upstream):
    """The largest singular values are returned, not the Frobenius norms."""
    layers = [X]
    for W in weights:
        u = layers[-1] @ W
        f = {"relu": np.maximum(u, 0), "tanh": np.tanh(u), "sigmoid": 1 / (1 + np.exp(-u))}
        layers.append(f[activation])
    gradient = upstream
    norms = [np.linalg.norm(gradient, 2)]
    for W, h in zip(weights[::-1], layers[::-1]):
        slope = {"relu": h > 0, "tanh": 1 - h**2, "sigmoid": h * (1 - h)}[activation]
        gradient = (gradient * slope) @ W.T
        norms.append(np.linalg.norm(gradient, 2))
    return np.array(norms[::-1])


@mistake(
    hint="Each layer takes the gradient that the layer above it hands down: go on with the last result, "
    "not with `upstream`."
)
def begins_with_upstream_in_each_layer(X, weights, activation, upstream):
    """Every layer begins with `upstream` again, not with the gradient of the layer above it."""
    layers = [X]
    for W in weights:
        u = layers[-1] @ W
        f = {"relu": np.maximum(u, 0), "tanh": np.tanh(u), "sigmoid": 1 / (1 + np.exp(-u))}
        layers.append(f[activation])
    norms = [np.linalg.norm(upstream)]
    for W, h in zip(weights[::-1], layers[::-1]):
        slope = {"relu": h > 0, "tanh": 1 - h**2, "sigmoid": h * (1 - h)}[activation]
        norms.append(np.linalg.norm((upstream * slope) @ W.T))
    return np.array(norms[::-1])


@mistake(
    hint="Nothing is averaged here: `upstream` already holds whatever 1/N the loss has. Return the "
    "norm of each gradient as it is."
)
def divides_by_the_number_of_samples(X, weights, activation, upstream):
    """Every norm is divided by the number of samples."""
    layers = [X]
    for W in weights:
        u = layers[-1] @ W
        f = {"relu": np.maximum(u, 0), "tanh": np.tanh(u), "sigmoid": 1 / (1 + np.exp(-u))}
        layers.append(f[activation])
    gradient = upstream
    norms = [np.linalg.norm(gradient) / len(X)]
    for W, h in zip(weights[::-1], layers[::-1]):
        slope = {"relu": h > 0, "tanh": 1 - h**2, "sigmoid": h * (1 - h)}[activation]
        gradient = (gradient * slope) @ W.T
        norms.append(np.linalg.norm(gradient) / len(X))
    return np.array(norms[::-1])


@mistake(
    hint="`upstream` is ∂L/∂h of the last layer, so the last layer's slope comes first. You went "
    "straight to its weights."
)
def skips_the_slope_of_the_last_layer(X, weights, activation, upstream):
    """`upstream` is taken for the gradient before the last activation: its slope is left out."""
    layers = [X]
    for W in weights:
        u = layers[-1] @ W
        f = {"relu": np.maximum(u, 0), "tanh": np.tanh(u), "sigmoid": 1 / (1 + np.exp(-u))}
        layers.append(f[activation])
    gradient = upstream
    norms = [np.linalg.norm(gradient)]
    for i in range(len(weights) - 1, -1, -1):
        h = layers[i + 1]
        if i < len(weights) - 1:
            gradient = (
                gradient * {"relu": h > 0, "tanh": 1 - h**2, "sigmoid": h * (1 - h)}[activation]
            )
        gradient = gradient @ weights[i].T
        norms.append(np.linalg.norm(gradient))
    return np.array(norms[::-1])


@mistake(
    hint="The norm is taken one step too late: after the slope, that is ∂L/∂u. Asked is ∂L/∂h, before "
    "the slope."
)
def measures_at_the_pre_activations(X, weights, activation, upstream):
    """The norms of ∂L/∂u are returned where those of ∂L/∂h are asked."""
    layers = [X]
    for W in weights:
        u = layers[-1] @ W
        f = {"relu": np.maximum(u, 0), "tanh": np.tanh(u), "sigmoid": 1 / (1 + np.exp(-u))}
        layers.append(f[activation])
    gradient = upstream
    norms = []
    for W, h in zip(weights[::-1], layers[::-1]):
        slope = {"relu": h > 0, "tanh": 1 - h**2, "sigmoid": h * (1 - h)}[activation]
        gradient = gradient * slope
        norms.append(np.linalg.norm(gradient))
        gradient = gradient @ W.T
    norms.append(np.linalg.norm(gradient))
    return np.array(norms[::-1])


@mistake(
    hint="The norm is taken too early: after the slope the gradient is ∂L/∂u. Multiply by W.T as well, "
    "and then it is ∂L/∂h of the layer below."
)
def measures_before_the_weights(X, weights, activation, upstream):
    """Below the norm of `upstream` stand those of ∂L/∂u, where those of ∂L/∂h are asked."""
    layers = [X]
    for W in weights:
        u = layers[-1] @ W
        f = {"relu": np.maximum(u, 0), "tanh": np.tanh(u), "sigmoid": 1 / (1 + np.exp(-u))}
        layers.append(f[activation])
    gradient = upstream
    norms = [np.linalg.norm(gradient)]
    for W, h in zip(weights[::-1], layers[::-1]):
        slope = {"relu": h > 0, "tanh": 1 - h**2, "sigmoid": h * (1 - h)}[activation]
        gradient = gradient * slope
        norms.append(np.linalg.norm(gradient))
        gradient = gradient @ W.T
    return np.array(norms[::-1])


@mistake(
    hint="The gradients of the *weights* are something else: in them the shrinking signal and the "
    "shrinking gradient compensate each other, and the list looks flat. Return the norms of ∂L/∂h."
)
def returns_the_norms_of_the_weight_gradients(X, weights, activation, upstream):
    """The norms of ∂L/∂W are returned where those of ∂L/∂h are asked."""
    layers = [X]
    for W in weights:
        u = layers[-1] @ W
        f = {"relu": np.maximum(u, 0), "tanh": np.tanh(u), "sigmoid": 1 / (1 + np.exp(-u))}
        layers.append(f[activation])
    gradient = upstream
    norms = []
    for i in range(len(weights) - 1, -1, -1):
        h = layers[i + 1]
        slope = {"relu": h > 0, "tanh": 1 - h**2, "sigmoid": h * (1 - h)}[activation]
        norms.append(np.linalg.norm(layers[i].T @ (gradient * slope)))
        gradient = (gradient * slope) @ weights[i].T
    return np.array(norms[::-1])


@mistake(
    hint="The gradient of the *weights*, h.T @ (∂L/∂u), is something else. What goes on to the layer "
    "below is (∂L/∂u) @ W.T: return its norm."
)
def mixes_in_the_weight_gradients(X, weights, activation, upstream):
    """Below the norm of `upstream` stand those of ∂L/∂W, where those of ∂L/∂h are asked."""
    layers = [X]
    for W in weights:
        u = layers[-1] @ W
        f = {"relu": np.maximum(u, 0), "tanh": np.tanh(u), "sigmoid": 1 / (1 + np.exp(-u))}
        layers.append(f[activation])
    gradient = upstream
    norms = [np.linalg.norm(gradient)]
    for i in range(len(weights) - 1, -1, -1):
        h = layers[i + 1]
        slope = {"relu": h > 0, "tanh": 1 - h**2, "sigmoid": h * (1 - h)}[activation]
        norms.append(np.linalg.norm(layers[i].T @ (gradient * slope)))
        gradient = (gradient * slope) @ weights[i].T
    return np.array(norms[::-1])


@mistake(
    hint="The gradient of the input counts, too: K weight matrices make K + 1 norms, that of X "
    "first."
)
def leaves_out_the_input(X, weights, activation, upstream):
    """The norm for the input X is missing."""
    layers = [X]
    for W in weights:
        u = layers[-1] @ W
        f = {"relu": np.maximum(u, 0), "tanh": np.tanh(u), "sigmoid": 1 / (1 + np.exp(-u))}
        layers.append(f[activation])
    gradient = upstream
    norms = [np.linalg.norm(gradient)]
    for W, h in zip(weights[:0:-1], layers[::-1]):
        slope = {"relu": h > 0, "tanh": 1 - h**2, "sigmoid": h * (1 - h)}[activation]
        gradient = (gradient * slope) @ W.T
        norms.append(np.linalg.norm(gradient))
    return np.array(norms[::-1])


@mistake(
    hint="The gradient of the output is given, but it belongs to the list, too: K weight matrices "
    "make K + 1 norms, that of `upstream` last."
)
def leaves_out_the_upstream(X, weights, activation, upstream):
    """The norm of `upstream` itself is missing."""
    layers = [X]
    for W in weights:
        u = layers[-1] @ W
        f = {"relu": np.maximum(u, 0), "tanh": np.tanh(u), "sigmoid": 1 / (1 + np.exp(-u))}
        layers.append(f[activation])
    gradient = upstream
    norms = []
    for W, h in zip(weights[::-1], layers[::-1]):
        slope = {"relu": h > 0, "tanh": 1 - h**2, "sigmoid": h * (1 - h)}[activation]
        gradient = (gradient * slope) @ W.T
        norms.append(np.linalg.norm(gradient))
    return np.array(norms[::-1])


@mistake(
    earns=8,
    hint="The slope of the sigmoid is h(1 - h), at most ¼. 1 - h² belongs to tanh.",
)
def uses_the_slope_of_tanh_for_sigmoid(X, weights, activation, upstream):
    """Sigmoid layers get the slope of tanh, 1 - h²."""
    layers = [X]
    for W in weights:
        u = layers[-1] @ W
        f = {"relu": np.maximum(u, 0), "tanh": np.tanh(u), "sigmoid": 1 / (1 + np.exp(-u))}
        layers.append(f[activation])
    gradient = upstream
    norms = [np.linalg.norm(gradient)]
    for W, h in zip(weights[::-1], layers[::-1]):
        slope = h > 0 if activation == "relu" else 1 - h**2
        gradient = (gradient * slope) @ W.T
        norms.append(np.linalg.norm(gradient))
    return np.array(norms[::-1])


@mistake(earns=6, hint="The slope of tanh is 1 - h², with a square; 1 - h can exceed 1.")
def forgets_the_square_in_the_slope_of_tanh(X, weights, activation, upstream):
    """The slope of tanh is taken as 1 - h, without the square."""
    layers = [X]
    for W in weights:
        u = layers[-1] @ W
        f = {"relu": np.maximum(u, 0), "tanh": np.tanh(u), "sigmoid": 1 / (1 + np.exp(-u))}
        layers.append(f[activation])
    gradient = upstream
    norms = [np.linalg.norm(gradient)]
    for W, h in zip(weights[::-1], layers[::-1]):
        slope = {"relu": h > 0, "tanh": 1 - h, "sigmoid": h * (1 - h)}[activation]
        gradient = (gradient * slope) @ W.T
        norms.append(np.linalg.norm(gradient))
    return np.array(norms[::-1])


@mistake(
    earns=8,
    hint="The slope of ReLU is 1 or 0. You multiplied by the activation itself, which is its output.",
)
def multiplies_by_the_activation_of_relu(X, weights, activation, upstream):
    """ReLU's slope is taken as its output max(u, 0), not as 1 where u > 0."""
    layers = [X]
    for W in weights:
        u = layers[-1] @ W
        f = {"relu": np.maximum(u, 0), "tanh": np.tanh(u), "sigmoid": 1 / (1 + np.exp(-u))}
        layers.append(f[activation])
    gradient = upstream
    norms = [np.linalg.norm(gradient)]
    for W, h in zip(weights[::-1], layers[::-1]):
        slope = {"relu": h, "tanh": 1 - h**2, "sigmoid": h * (1 - h)}[activation]
        gradient = (gradient * slope) @ W.T
        norms.append(np.linalg.norm(gradient))
    return np.array(norms[::-1])


@mistake(
    earns=10,
    hint="ReLU has no derivative at exactly 0; by agreement (PyTorch's, too) it counts as 0 there. Use "
    "u > 0, not u >= 0.",
)
def gives_relu_the_slope_one_at_zero(X, weights, activation, upstream):
    """The slope of ReLU is taken as 1 where its input is exactly 0."""
    h = X
    inputs = []
    for W in weights:
        u = h @ W
        inputs.append(u)
        f = {"relu": np.maximum(u, 0), "tanh": np.tanh(u), "sigmoid": 1 / (1 + np.exp(-u))}
        h = f[activation]
    gradient = upstream
    norms = [np.linalg.norm(gradient)]
    for W, u in zip(weights[::-1], inputs[::-1]):
        s = 1 / (1 + np.exp(-u))
        slope = {"relu": u >= 0, "tanh": 1 - np.tanh(u) ** 2, "sigmoid": s * (1 - s)}[activation]
        gradient = (gradient * slope) @ W.T
        norms.append(np.linalg.norm(gradient))
    return np.array(norms[::-1])


@mistake(
    earns=8,
    hint="The slope is 1 where h > 0, and 0 elsewhere. The output of a ReLU is never negative, so "
    "that `h >= 0` is true everywhere.",
)
def gives_relu_the_slope_one_everywhere(X, weights, activation, upstream):
    """ReLU's slope is taken as 1 everywhere, as it is when h >= 0 is asked."""
    layers = [X]
    for W in weights:
        u = layers[-1] @ W
        f = {"relu": np.maximum(u, 0), "tanh": np.tanh(u), "sigmoid": 1 / (1 + np.exp(-u))}
        layers.append(f[activation])
    gradient = upstream
    norms = [np.linalg.norm(gradient)]
    for W, h in zip(weights[::-1], layers[::-1]):
        slope = {"relu": h >= 0, "tanh": 1 - h**2, "sigmoid": h * (1 - h)}[activation]
        gradient = (gradient * slope) @ W.T
        norms.append(np.linalg.norm(gradient))
    return np.array(norms[::-1])


@mistake(earns=10, hint=IN_PLACE_HINT)
def changes_the_upstream_gradient(X, weights, activation, upstream):
    """The slopes are multiplied into `upstream` in place."""
    layers = [X]
    for W in weights:
        u = layers[-1] @ W
        f = {"relu": np.maximum(u, 0), "tanh": np.tanh(u), "sigmoid": 1 / (1 + np.exp(-u))}
        layers.append(f[activation])
    gradient = upstream
    norms = [np.linalg.norm(gradient)]
    for W, h in zip(weights[::-1], layers[::-1]):
        gradient *= {"relu": h > 0, "tanh": 1 - h**2, "sigmoid": h * (1 - h)}[activation]
        gradient = gradient @ W.T
        norms.append(np.linalg.norm(gradient))
    return np.array(norms[::-1])


def layer_gradient_norms_by_recursion(X, weights, activation, upstream):
    if len(weights) == 0:
        return np.array([np.linalg.norm(upstream)])
    u = X @ weights[0]
    if activation == "sigmoid":
        h = 1.0 / (1.0 + np.exp(-u))
        slope = np.exp(-u) * h**2
    elif activation == "tanh":
        h = np.tanh(u)
        slope = 1.0 / np.cosh(u) ** 2
    else:
        h = np.where(u > 0, u, 0.0)
        slope = np.where(u > 0, 1.0, 0.0)

    def back(signal, rest):
        if not rest:
            return upstream, [np.linalg.norm(upstream)]
        v = signal @ rest[0]
        if activation == "sigmoid":
            out = 1.0 / (1.0 + np.exp(-v))
            steep = out - out**2
        elif activation == "tanh":
            out = np.tanh(v)
            steep = (1 - out) * (1 + out)
        else:
            out = np.maximum(0.0, v)
            steep = np.sign(out)
        above, norms = back(out, rest[1:])
        gradient = (above * steep) @ rest[0].T
        return gradient, [np.linalg.norm(gradient), *norms]

    above, norms = back(h, weights[1:])
    first = np.linalg.norm((above * slope) @ weights[0].T)
    return np.array([first, *norms])


def layer_gradient_norms_by_columns(X, weights, activation, upstream):
    """Works on transposed matrices, one sample per column, with the slopes kept on the way up."""
    h = X.T
    slopes = []
    for W in weights:
        u = W.T @ h
        if activation == "relu":
            h, slope = u * (u > 0), (u > 0).astype(float)
        elif activation == "tanh":
            h = np.tanh(u)
            slope = 1 - h * h
        else:
            h = (1 + np.tanh(u / 2)) / 2
            slope = h - h * h
        slopes.append(slope)
    delta = upstream.T
    result = np.empty(len(weights) + 1)
    result[-1] = np.sqrt((delta**2).sum())
    for i in reversed(range(len(weights))):
        delta = weights[i] @ (slopes[i] * delta)
        result[i] = np.sqrt(np.vdot(delta, delta))
    return result


# --- xavier_std ------------------------------------------------------------------------------


def xavier_std(fan_in, fan_out):
    return np.sqrt(2 / (fan_in + fan_out))


@probe(1)
def xavier_of_a_square_layer(f, rng):
    """For a layer with as many outputs as inputs, the standard deviation is right."""
    n = int(rng.integers(20, 400))
    return {f"xavier_std({n}, {n})": f(n, n)}


@probe(1)
def xavier_of_any_layer(f, rng):
    """Inputs and outputs count alike: the standard deviation is right when they differ."""
    n, m = int(rng.integers(20, 100)), int(rng.integers(300, 900))
    return {
        f"xavier_std({n}, {m})": f(n, m),
        f"xavier_std({m}, {n})": f(m, n),
        "xavier_std(7, 2)": f(7, 2),  # an odd sum
    }


@mistake(hint=VARIANCE_HINT)
def xavier_variance(fan_in, fan_out):
    """The variance 2/(fan_in + fan_out) is returned, not its square root."""
    return 2 / (fan_in + fan_out)


@mistake(
    hint="The variance is one over the *average* of fan_in and fan_out. Yours is one over their "
    "sum, which is twice as large.",
)
def xavier_without_the_two(fan_in, fan_out):
    """The variance is one over the sum of both fans, where it is one over their average."""
    return np.sqrt(1 / (fan_in + fan_out))


@mistake(
    earns=1,
    hint="1/fan_in keeps the variance of the signal on the way forward only. The compromise with the "
    "way back averages fan_in and fan_out.",
)
def xavier_with_fan_in_only(fan_in, fan_out):
    """Only fan_in is used: that is LeCun's initialization."""
    return np.sqrt(1 / fan_in)


@mistake(
    earns=1,
    hint="1/fan_out keeps the variance of the gradient on the way back only. The compromise with the "
    "way forward averages fan_in and fan_out.",
)
def xavier_with_fan_out_only(fan_in, fan_out):
    """Only fan_out is used."""
    return np.sqrt(1 / fan_out)


@mistake(
    hint="√(6/(fan_in + fan_out)) is the *bound* of a uniform distribution, whose standard deviation "
    "is smaller by √3. Asked is the standard deviation."
)
def xavier_bound_of_the_uniform(fan_in, fan_out):
    """The bound of the uniform distribution is returned, not its standard deviation."""
    return np.sqrt(6 / (fan_in + fan_out))


@mistake(hint="2/fan_in is He's variance, made for ReLU. Here fan_in and fan_out are averaged.")
def xavier_taken_for_he(fan_in, fan_out):
    """He's formula is used where Xavier's is asked."""
    return np.sqrt(2 / fan_in)


@mistake(
    hint="A gain of 2 makes up for what ReLU cuts off; that is He's formula. Xavier's has no gain: one "
    "over the average of the fans."
)
def xavier_with_the_gain_of_relu(fan_in, fan_out):
    """The variance is doubled, as it is for ReLU."""
    return np.sqrt(4 / (fan_in + fan_out))


@mistake(hint="The average of the two fans is (fan_in + fan_out)/2; you multiplied them.")
def xavier_with_a_product(fan_in, fan_out):
    """The fans are multiplied where they should be added."""
    return np.sqrt(2 / (fan_in * fan_out))


@mistake(
    hint="Average the fans, not their reciprocals: the variance is one over that average.",
)
def xavier_adds_the_reciprocals(fan_in, fan_out):
    """The reciprocals of the fans are added up, where the fans should be averaged."""
    return np.sqrt(1 / fan_in + 1 / fan_out)


@mistake(hint="Division binds before addition: put fan_in + fan_out in parentheses.")
def xavier_misses_the_parentheses(fan_in, fan_out):
    """Only fan_in divides, and fan_out is added afterwards: parentheses are missing."""
    return np.sqrt(2 / fan_in + fan_out)


@mistake(hint="Only the 2 is under your root; the sum of the fans belongs there, too.")
def xavier_divides_outside_the_root(fan_in, fan_out):
    """Only the 2 is under the root, and the sum of the fans divides outside of it."""
    return np.sqrt(2) / (fan_in + fan_out)


@mistake(hint="More inputs need *smaller* weights: the fraction is upside down.")
def xavier_upside_down(fan_in, fan_out):
    """The root of the average is returned, not one over it."""
    return np.sqrt((fan_in + fan_out) / 2)


def xavier_std_by_average(fan_in, fan_out):
    average = (fan_in + fan_out) / 2
    return average**-0.5


def xavier_std_from_the_uniform(fan_in, fan_out):
    bound = np.sqrt(6) / np.sqrt(fan_in + fan_out)
    return bound / np.sqrt(3)


# --- he_std ----------------------------------------------------------------------------------


def he_std(fan_in):
    return np.sqrt(2 / fan_in)


@probe(2)
def he_of_any_layer(f, rng):
    """The standard deviation of He initialization is right."""
    n, m = 1 + 2 * int(rng.integers(10, 50)), int(rng.integers(300, 900))  # an odd one
    return {f"he_std({n})": f(n), f"he_std({m})": f(m)}


@mistake(hint=VARIANCE_HINT)
def he_variance(fan_in):
    """The variance 2/fan_in is returned, not its square root."""
    return 2 / fan_in


@mistake(
    hint="ReLU sets half of the signal to zero, and with it half of the mean square. The gain of 2 "
    "in the variance makes up for it."
)
def he_without_the_gain(fan_in):
    """The factor 2, which makes up for the half that ReLU cuts off, is missing."""
    return np.sqrt(1 / fan_in)


@mistake(hint="The 2 multiplies the variance: it belongs under the root.")
def he_with_the_gain_outside_the_root(fan_in):
    """The factor 2 stands outside the root: the deviation is doubled, not the variance."""
    return 2 * np.sqrt(1 / fan_in)


@mistake(hint="Only the 2 is under your root; fan_in belongs there, too.")
def he_divides_outside_the_root(fan_in):
    """Only the 2 is under the root, and fan_in divides outside of it."""
    return np.sqrt(2) / fan_in


@mistake(
    hint="√(6/fan_in) is the *bound* of a uniform distribution, whose standard deviation is smaller "
    "by √3. Asked is the standard deviation."
)
def he_bound_of_the_uniform(fan_in):
    """The bound of the uniform distribution is returned, not its standard deviation."""
    return np.sqrt(6 / fan_in)


@mistake(hint="More inputs need *smaller* weights: the fraction is upside down.")
def he_upside_down(fan_in):
    """The fraction under the root is upside down."""
    return np.sqrt(fan_in / 2)


@mistake(hint="Powers bind before division: `v ** 1 / 2` is `(v ** 1) / 2`. Write `v ** 0.5`.")
def he_with_half_a_power(fan_in):
    """The variance is halved, where its root is asked: `** 1 / 2` is not `** (1 / 2)`."""
    return (2 / fan_in) ** 1 / 2


@mistake(hint="`//` cuts 2/fan_in down to the whole number 0. Use `/`.")
def he_with_whole_numbers(fan_in):
    """The whole-number division 2 // fan_in gives 0."""
    return np.sqrt(2 // fan_in)


def he_std_by_power(fan_in):
    return (fan_in / 2) ** -0.5


def he_std_by_gain(fan_in):
    gain = np.sqrt(2)
    return gain / np.sqrt(fan_in)


# --- layer_stds ------------------------------------------------------------------------------


def layer_stds(sizes, activation):
    fan_in = np.array(sizes[:-1])
    fan_out = np.array(sizes[1:])
    if activation == "relu":
        return np.sqrt(2 / fan_in)
    return np.sqrt(2 / (fan_in + fan_out))


def _sizes(rng, layers):
    """Different sizes; the sum of the last two is odd, so that half of it is no whole number."""
    sizes = [int(n) for n in rng.permutation(np.arange(10, 400, 13))[:layers]]
    sizes[-1] += 1 - sum(sizes[-2:]) % 2
    return sizes


@probe(2)
def relu_layers_get_he(f, rng):
    """With ReLU, each weight matrix gets He's standard deviation for its own fan_in."""
    sizes = _sizes(rng, 5)
    return {f"layer_stds({sizes}, 'relu')": f(sizes, "relu")}


@probe(1)
def tanh_layers_get_xavier(f, rng):
    """With tanh, each weight matrix gets Xavier's standard deviation for its own two fans."""
    sizes = _sizes(rng, 5)
    return {f"layer_stds({sizes}, 'tanh')": f(sizes, "tanh")}


@probe(1, hidden=True)
def one_layer_alone(f, rng):
    """Two sizes make one weight matrix, and an array of one number."""
    sizes = _sizes(rng, 2)
    return {  # what becomes of a list cannot be seen: each call gets its own
        f"layer_stds({sizes}, 'relu')": f([*sizes], "relu"),
        f"layer_stds({sizes}, 'tanh')": f([*sizes], "tanh"),
    }


@mistake(
    earns=1,
    hint="He's fan_in is the size of the layer *before* the matrix, since each unit sums over its "
    "inputs. Yours is the size of the layer after it.",
)
def gives_he_the_fan_out(sizes, activation):
    """He initialization is computed with fan_out in place of fan_in."""
    fan_in, fan_out = np.array(sizes[:-1]), np.array(sizes[1:])
    if activation == "relu":
        return np.sqrt(2 / fan_out)
    return np.sqrt(2 / (fan_in + fan_out))


@mistake(
    earns=1,
    hint="ReLU cuts off half of the signal, which Xavier's formula does not know. With 'relu', use "
    "He's.",
)
def gives_xavier_to_relu(sizes, activation):
    """Xavier initialization is used for ReLU, too."""
    fan_in, fan_out = np.array(sizes[:-1]), np.array(sizes[1:])
    return np.sqrt(2 / (fan_in + fan_out))


@mistake(
    earns=1,
    hint="`activation` decides for all matrices. Networks often end with a linear layer; here the last "
    "one is like the others.",
)
def gives_the_last_layer_xavier(sizes, activation):
    """With ReLU, the last weight matrix gets Xavier's standard deviation."""
    fan_in, fan_out = np.array(sizes[:-1]), np.array(sizes[1:])
    stds = np.sqrt(2 / (fan_in + fan_out))
    if activation == "relu":
        stds[:-1] = np.sqrt(2 / fan_in[:-1])
    return stds


@mistake(
    earns=2,
    hint="He's factor 2 makes up for what ReLU cuts off. tanh cuts off nothing: with 'tanh', use "
    "Xavier's formula.",
)
def gives_he_to_tanh(sizes, activation):
    """He initialization is used for tanh, too."""
    return np.sqrt(2 / np.array(sizes[:-1]))


@mistake(hint="The two branches are exchanged: He belongs to ReLU, Xavier to tanh.")
def exchanges_he_and_xavier(sizes, activation):
    """He initialization is used for tanh, and Xavier's for ReLU."""
    fan_in, fan_out = np.array(sizes[:-1]), np.array(sizes[1:])
    if activation == "tanh":
        return np.sqrt(2 / fan_in)
    return np.sqrt(2 / (fan_in + fan_out))


@mistake(hint=VARIANCE_HINT)
def returns_the_variances(sizes, activation):
    """The variances are returned, not their square roots."""
    fan_in, fan_out = np.array(sizes[:-1]), np.array(sizes[1:])
    if activation == "relu":
        return 2 / fan_in
    return 2 / (fan_in + fan_out)


@mistake(
    earns=1,
    hint="Each matrix has fans of its own. One number for all layers is right only if all widths are "
    "equal.",
)
def uses_the_first_layer_for_all(sizes, activation):
    """The standard deviation of the first layer is used for all layers."""
    fan_in, fan_out = sizes[0], sizes[1]
    std = np.sqrt(2 / fan_in) if activation == "relu" else np.sqrt(2 / (fan_in + fan_out))
    return np.full(len(sizes) - 1, std)


@mistake(
    hint="The numbers are right, but the order is that of the way back: the first entry belongs to "
    "the matrix between `sizes[0]` and `sizes[1]`.",
    earns=1,
)
def lists_the_layers_backwards(sizes, activation):
    """The standard deviations are listed from the last layer to the first."""
    fan_in, fan_out = np.array(sizes[:-1]), np.array(sizes[1:])
    if activation == "relu":
        return np.sqrt(2 / fan_in)[::-1]
    return np.sqrt(2 / (fan_in + fan_out))[::-1]


@mistake(
    earns=1,
    hint="`sizes` has one entry more than there are matrices: a matrix lies *between* two sizes.",
)
def gives_every_size_a_std(sizes, activation):
    """There is one number per size: one more than there are weight matrices."""
    fan_in, fan_out = np.array(sizes[:-1]), np.array(sizes[1:])
    if activation == "relu":
        return np.sqrt(2 / np.array(sizes))
    return np.sqrt(2 / (fan_in + fan_out))


def layer_stds_by_pairs(sizes, activation):
    stds = []
    for i in range(len(sizes) - 1):
        before, after = sizes[i], sizes[i + 1]
        stds.append(np.sqrt(2 / before) if activation == "relu" else (2 / (before + after)) ** 0.5)
    return np.array(stds)


def layer_stds_by_index(sizes, activation):
    result = np.zeros(len(sizes) - 1)
    for i in range(len(result)):
        mean_fan = sizes[i] / 2 if activation == "relu" else 0.5 * (sizes[i] + sizes[i + 1])
        result[i] = 1 / np.sqrt(mean_fan)
    return result


# --- clip_gradients --------------------------------------------------------------------------


def clip_gradients(grads, max_norm):
    total = np.sqrt(sum(np.sum(g**2) for g in grads))
    if total <= max_norm:
        return [g.copy() for g in grads]
    return [g * (max_norm / total) for g in grads]


def gradients(rng, norm):
    """Gradients of two weight matrices and two biases whose global norm is as given.

    Their own norms are as 2 to 4 to 1 to 3: the largest and the smallest are in the middle.
    """
    grads = [rng.normal(size=shape) for shape in ((5, 4), (4,), (4, 6), (6,))]
    shares = np.array([2.0, 4.0, 1.0, 3.0]) * norm / np.sqrt(30)
    return [g * (share / np.linalg.norm(g)) for g, share in zip(grads, shares)]


def _listed(result):
    """A list; a tuple of the same arrays is as good."""
    return [*result] if isinstance(result, tuple) else result


def _differ(clipped, grads):
    """Whether clipping did anything: what stays as it is anyway is no merit."""
    return any(bool(np.any(c != g)) for c, g in zip(clipped, grads))


def global_norm(grads):
    return np.sqrt(sum(np.sum(np.square(g)) for g in grads))


@probe(2)
def long_gradients_are_shortened(f, rng):
    """If the global norm exceeds `max_norm`, all gradients shrink by one factor, and it becomes `max_norm`."""
    clipped = _listed(f(gradients(rng, 30.0), 2.0))
    return {
        "the clipped gradients": clipped,
        "their global norm": global_norm(clipped),
    }


@probe(2)
def short_gradients_stay(f, rng):
    """If the global norm is at most `max_norm`, the gradients stay as they are."""
    # A sum of entries that are not squared is negative, and has no root.
    grads, long = [-np.sign(g.sum()) * g for g in gradients(rng, 3.0)], gradients(rng, 30.0)
    return {
        "the gradients": _listed(f([g.copy() for g in grads], 7.0)),
        "whether longer ones change": _differ(f([g.copy() for g in long], 2.0), long),
    }


@probe(1)
def zero_gradients_stay_zero(f, rng):
    """Gradients that are all zero stay zero: no NaN, no error."""
    # Without squares, too, a sum of these is large.
    long, short = [np.abs(g) for g in gradients(rng, 30.0)], gradients(rng, 3.0)
    others = f([g.copy() for g in long], 2.0)
    lengthened = _differ(f([g.copy() for g in short], 7.0), short)
    return {
        "the gradients": _listed(f([np.zeros((3, 2)), np.zeros(2)], 1.0)),
        "others do not become zero": any(bool(np.any(np.abs(g) > 1e-6)) for g in others),
        "whether any others change": _differ(others, long) or lengthened,
    }


@probe(1)
def gradients_are_left_alone(f, rng):
    """The arrays that you are given stay as they were, and the result is right."""
    grads = gradients(rng, 30.0)
    clipped = f([*grads], 2.0)  # what becomes of the list itself cannot be seen
    return {
        **{f"grads[{i}]": Argument(g) for i, g in enumerate(grads)},
        "the clipped gradients": _listed(clipped),
    }


@probe(1, hidden=True)
def one_large_gradient_shrinks_all(f, rng):
    """One gradient with nearly all of the norm shrinks the others, too: the direction stays."""
    first, *others = gradients(rng, 3.0)
    grads = [first, 50.0 * np.ones((1, 1, 2)), *others]
    return {"the clipped gradients": _listed(f(grads, 1.5))}


@mistake(
    earns=3,
    hint="Each array got a factor of its own, which turns the direction of the step. Compute one norm "
    "over all arrays, and one factor.",
)
def clips_each_gradient_by_itself(grads, max_norm):
    """Each array is clipped by its own norm, where one norm of all together is asked."""
    clipped = []
    for g in grads:
        norm = np.linalg.norm(g)
        clipped.append(g * (max_norm / norm) if norm > max_norm else g.copy())
    return clipped


@mistake(
    earns=3,
    hint="`np.clip` cuts each entry by itself: that is clipping by value, and it turns the direction. "
    "By norm, all entries are multiplied by the same factor.",
)
def clips_by_value(grads, max_norm):
    """Each entry is cut to [-max_norm, max_norm]: clipping by value."""
    return [np.clip(g, -max_norm, max_norm) for g in grads]


@mistake(
    earns=4,
    hint="Clipping only ever shortens. If the norm is below max_norm, leave the gradients as they are; "
    "that also spares you 0/0.",
)
def lengthens_short_gradients(grads, max_norm):
    """Short gradients are scaled *up* to max_norm, too."""
    total = np.sqrt(sum(np.sum(g**2) for g in grads))
    return [g * (max_norm / total) for g in grads]


@mistake(
    earns=5,
    hint="Clipping only ever shortens. If the norm is below max_norm, leave the gradients as they are.",
)
def lengthens_all_but_zero(grads, max_norm):
    """Gradients are scaled up to max_norm, too, unless they are zero."""
    total = np.sqrt(sum(np.sum(g**2) for g in grads))
    return [g * (max_norm / total) if total > 0 else g.copy() for g in grads]


@mistake(
    hint="Does the list that you return hold the shortened arrays? `g = g * factor` in a loop gives a "
    "new array a name, and puts it nowhere.",
)
def never_shortens(grads, max_norm):
    """Long gradients come back as long as they were."""
    return [g.copy() for g in grads]


@mistake(
    earns=1,
    hint="The comparison is the wrong way round: shorten when the norm is *above* max_norm.",
)
def clips_the_short_ones(grads, max_norm):
    """Short gradients are scaled up, and long ones are left as they are."""
    total = np.sqrt(sum(np.sum(g**2) for g in grads))
    if total >= max_norm or total == 0:
        return [g.copy() for g in grads]
    return [g * (max_norm / total) for g in grads]


@mistake(
    earns=1,
    hint="The norm is the *root* of the sum of squares. Without the root, the factor is far too "
    "small, and gradients are shortened that need not be.",
)
def forgets_the_root_of_the_norm(grads, max_norm):
    """The sum of squares is used in place of the norm."""
    total = sum(np.sum(g**2) for g in grads)
    if total <= max_norm:
        return [g.copy() for g in grads]
    return [g * (max_norm / total) for g in grads]


@mistake(
    earns=3,
    hint="Norms do not add up: the global norm is the root of the sum of all squares, √(a² + b²), "
    "not a + b.",
)
def adds_the_norms(grads, max_norm):
    """The norms of the arrays are added, where their squares should be."""
    total = sum(np.linalg.norm(g) for g in grads)
    if total <= max_norm:
        return [g.copy() for g in grads]
    return [g * (max_norm / total) for g in grads]


@mistake(
    earns=3,
    hint="The factor is decided by the largest array alone; the squares of all of them belong "
    "under one root.",
)
def takes_the_largest_norm(grads, max_norm):
    """The largest of the arrays' norms is used, where the norm of all together is asked."""
    total = max(np.linalg.norm(g) for g in grads)
    if total <= max_norm:
        return [g.copy() for g in grads]
    return [g * (max_norm / total) for g in grads]


@mistake(
    earns=3,
    hint="Of all arrays only the first decides. Add up the squares of all of them under one root.",
)
def takes_the_first_norm(grads, max_norm):
    """The norm of the first array alone is used, where the norm of all together is asked."""
    total = np.linalg.norm(grads[0])
    if total <= max_norm:
        return [g.copy() for g in grads]
    return [g * (max_norm / total) for g in grads]


@mistake(
    earns=3,
    hint="Of all arrays only the last decides: is the norm overwritten in a loop? Add up the squares "
    "of all of them under one root.",
)
def takes_the_last_norm(grads, max_norm):
    """The norm of the last array alone is used, where the norm of all together is asked."""
    for g in grads:
        total = np.linalg.norm(g)
    if total <= max_norm:
        return [g.copy() for g in grads]
    return [g * (max_norm / total) for g in grads]


@mistake(
    earns=3,
    hint="The smallest array decides alone; the squares of all of them belong under one root.",
)
def takes_the_smallest_norm(grads, max_norm):
    """The smallest of the arrays' norms is used, where the norm of all together is asked."""
    total = min(np.linalg.norm(g) for g in grads)
    if total <= max_norm:
        return [g.copy() for g in grads]
    return [g * (max_norm / total) for g in grads]


@mistake(
    earns=3,
    hint="Dividing by the norm makes it 1. Multiply by max_norm, too.",
)
def shortens_to_one(grads, max_norm):
    """Long gradients are shortened to norm 1, not to max_norm."""
    total = np.sqrt(sum(np.sum(g**2) for g in grads))
    if total <= max_norm:
        return [g.copy() for g in grads]
    return [g / total for g in grads]


@mistake(
    earns=3,
    hint="The factor is upside down: with norm / max_norm, long gradients become longer still.",
)
def lengthens_long_gradients(grads, max_norm):
    """Long gradients are multiplied by norm/max_norm, where max_norm/norm is asked."""
    total = np.sqrt(sum(np.sum(g**2) for g in grads))
    if total <= max_norm:
        return [g.copy() for g in grads]
    return [g * (total / max_norm) for g in grads]


@mistake(earns=6, hint="An all-zero gradient has norm 0. Ask whether to clip before you divide.")
def clipping_divides_by_zero(grads, max_norm):
    """The norm divides before it is looked at: gradients that are all zero raise an error."""
    total = sum(float(np.sum(g**2)) for g in grads) ** 0.5
    factor = min(1.0, max_norm / total)
    return [g * factor for g in grads]


@mistake(
    earns=6,
    hint="`g *= factor` writes into the caller's arrays. `g * factor` makes a new one: return a list "
    "of those.",
)
def clips_in_place(grads, max_norm):
    """The caller's arrays are clipped in place."""
    total = np.sqrt(sum(np.sum(g**2) for g in grads))
    if total > max_norm:
        for g in grads:
            g *= max_norm / total
    return grads


def clip_gradients_by_concatenation(grads, max_norm):
    total = np.linalg.norm(np.concatenate([g.ravel() for g in grads]))
    factor = max_norm / max(total, max_norm)
    return [factor * g for g in grads]


def clip_gradients_by_norms(grads, max_norm):
    norms = np.array([np.linalg.norm(g.ravel()) for g in grads])
    total = np.linalg.norm(norms)
    factor = 1.0
    if total > max_norm:
        factor = max_norm / total
    return [np.multiply(g, factor) for g in grads]


def clip_gradients_like_pytorch(grads, max_norm):
    """PyTorch adds 1e-6 to the norm before it divides: no harm, and no reason for a lost point."""
    total = sum(float((g * g).sum()) for g in grads) ** 0.5
    factor = min(max_norm / (total + 1e-6), 1.0)
    return [g * factor for g in grads]


# --- the chapter -----------------------------------------------------------------------------

CHAPTER = Chapter(
    slug="gradients",
    title="Why depth is hard: saturation, vanishing and exploding gradients",
    exercises=(
        Exercise(
            name="saturated_fraction",
            reference=saturated_fraction,
            probes=(
                counts_both_ends_of_tanh,
                counts_the_ends_of_sigmoid,
                counts_within_any_margin,
                a_value_on_the_threshold_is_not_saturated,
            ),
            mistakes=(
                counts_the_upper_end_only,
                counts_the_lower_end_only,
                asks_for_both_ends_at_once,
                measures_the_distance_from_zero,
                counts_the_unsaturated,
                takes_the_margin_as_a_distance,
                takes_half_of_the_range,
                knows_tanh_only,
                takes_the_ends_as_minus_one_and_one,
                takes_the_ends_of_the_data,
                averages_the_shares_of_the_ends,
                returns_the_count,
                divides_by_the_number_of_rows,
                returns_per_cent,
                returns_one_share_per_unit,
                asks_whether_the_mean_is_saturated,
                counts_the_threshold_too,
            ),
            alternatives=(saturated_fraction_by_position, saturated_fraction_by_counting),
            tolerance=TOLERANCE,
        ),
        Exercise(
            name="forward_statistics",
            reference=forward_statistics,
            probes=(
                statistics_of_tanh_layers,
                statistics_of_sigmoid_layers,
                statistics_of_relu_layers,
                statistics_of_layers_of_any_width,
                statistics_of_a_dying_signal,
            ),
            mistakes=(
                feeds_x_to_every_layer,
                calls_a_small_slope_saturated,
                measures_before_the_activation,
                forgets_the_activation,
                leaves_the_last_layer_linear,
                walks_through_the_layers_backwards,
                transposes_the_weights,
                returns_the_variance,
                returns_the_root_mean_square,
                divides_by_one_less,
                averages_the_deviations_of_the_units,
                keeps_one_number_per_unit,
                counts_small_values_of_relu,
                takes_relu_for_a_sigmoid,
                counts_the_input_as_a_layer,
                uses_the_ends_of_tanh_for_sigmoid,
                uses_the_ends_of_tanh_for_relu,
                counts_the_active_relus,
                rounds_its_results,
            ),
            alternatives=(forward_statistics_by_layers, forward_statistics_in_arrays),
            equivalents={
                "h = np.maximum(0, u)": MAXIMUM_COMMUTES,
                "flat = np.abs(h) >= 0.99": NO_TIES,
                "flat = (h <= 0.005) | (h > 0.995)": NO_TIES,
                "flat = (h < 0.005) | (h >= 0.995)": NO_TIES,
            },
            tolerance=ROUGH,
        ),
        Exercise(
            name="layer_gradient_norms",
            reference=layer_gradient_norms,
            probes=(
                gradients_of_a_tanh_network,
                gradients_of_a_sigmoid_network,
                gradients_of_a_relu_network,
                gradients_through_layers_of_any_width,
                leaves_its_arrays_alone,
                relu_has_slope_zero_at_zero,
                gradients_that_vanish,
            ),
            mistakes=(
                forgets_the_slope,
                applies_the_activation_twice_in_the_slope,
                applies_tanh_twice_in_its_slope,
                puts_the_pre_activation_into_the_slope,
                takes_the_slope_of_the_layer_below,
                takes_the_slope_of_the_layer_before,
                applies_the_slope_after_the_weights,
                forgets_to_transpose_the_weights,
                meets_the_first_layer_first,
                returns_the_norms_backwards,
                returns_the_squared_norms,
                returns_the_spectral_norms,
                begins_with_upstream_in_each_layer,
                divides_by_the_number_of_samples,
                skips_the_slope_of_the_last_layer,
                measures_at_the_pre_activations,
                measures_before_the_weights,
                returns_the_norms_of_the_weight_gradients,
                mixes_in_the_weight_gradients,
                leaves_out_the_input,
                leaves_out_the_upstream,
                uses_the_slope_of_tanh_for_sigmoid,
                forgets_the_square_in_the_slope_of_tanh,
                multiplies_by_the_activation_of_relu,
                gives_relu_the_slope_one_at_zero,
                gives_relu_the_slope_one_everywhere,
                changes_the_upstream_gradient,
            ),
            alternatives=(layer_gradient_norms_by_recursion, layer_gradient_norms_by_columns),
            equivalents={"layers.append(np.maximum(0, u))": MAXIMUM_COMMUTES},
            tolerance=ROUGH,
        ),
        Exercise(
            name="xavier_std",
            reference=xavier_std,
            probes=(xavier_of_a_square_layer, xavier_of_any_layer),
            mistakes=(
                xavier_variance,
                xavier_without_the_two,
                xavier_with_fan_in_only,
                xavier_with_fan_out_only,
                xavier_bound_of_the_uniform,
                xavier_taken_for_he,
                xavier_with_the_gain_of_relu,
                xavier_with_a_product,
                xavier_adds_the_reciprocals,
                xavier_misses_the_parentheses,
                xavier_divides_outside_the_root,
                xavier_upside_down,
            ),
            alternatives=(xavier_std_by_average, xavier_std_from_the_uniform),
            tolerance=TOLERANCE,
        ),
        Exercise(
            name="he_std",
            reference=he_std,
            probes=(he_of_any_layer,),
            mistakes=(
                he_variance,
                he_without_the_gain,
                he_with_the_gain_outside_the_root,
                he_divides_outside_the_root,
                he_bound_of_the_uniform,
                he_upside_down,
                he_with_half_a_power,
                he_with_whole_numbers,
            ),
            alternatives=(he_std_by_power, he_std_by_gain),
            tolerance=TOLERANCE,
        ),
        Exercise(
            name="layer_stds",
            reference=layer_stds,
            probes=(relu_layers_get_he, tanh_layers_get_xavier, one_layer_alone),
            mistakes=(
                gives_he_the_fan_out,
                gives_xavier_to_relu,
                gives_the_last_layer_xavier,
                gives_he_to_tanh,
                exchanges_he_and_xavier,
                returns_the_variances,
                uses_the_first_layer_for_all,
                lists_the_layers_backwards,
                gives_every_size_a_std,
            ),
            alternatives=(layer_stds_by_pairs, layer_stds_by_index),
            tolerance=TOLERANCE,
        ),
        Exercise(
            name="clip_gradients",
            reference=clip_gradients,
            probes=(
                long_gradients_are_shortened,
                short_gradients_stay,
                zero_gradients_stay_zero,
                gradients_are_left_alone,
                one_large_gradient_shrinks_all,
            ),
            mistakes=(
                clips_each_gradient_by_itself,
                clips_by_value,
                lengthens_short_gradients,
                lengthens_all_but_zero,
                never_shortens,
                clips_the_short_ones,
                forgets_the_root_of_the_norm,
                adds_the_norms,
                takes_the_largest_norm,
                takes_the_first_norm,
                takes_the_last_norm,
                takes_the_smallest_norm,
                shortens_to_one,
                lengthens_long_gradients,
                clipping_divides_by_zero,
                clips_in_place,
            ),
            alternatives=(
                clip_gradients_by_concatenation,
                clip_gradients_by_norms,
                clip_gradients_like_pytorch,
            ),
            equivalents={"if total < max_norm:": "at equality the factor is 1"},
            tolerance=TOLERANCE,
        ),
    ),
)
