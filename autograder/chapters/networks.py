"""Networks: what its exercises ask, and the mistakes that people make in them.

A batch ``x`` has the shape (N, D): N samples, D features. Layers are ``x @ W + b`` with ``W`` of
shape (D, O). References agree with PyTorch's autograd, whole networks included.

The code of mistakes and alternatives is written as students write it, and stands alone: it uses
nothing but NumPy, its arguments, and what the notebook gives in its locked cells. That is repeated
here, from `Linear` to `Network5`; a test holds the two together.
"""

import copy
from itertools import pairwise

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

TOLERANCE = Tolerance(relative=1e-6, absolute=1e-9)
# float32 somewhere in between leaves about 1e-7, too little to matter here.
LINEAR = Tolerance(relative=1e-5, absolute=1e-5)
SOFTMAX = Tolerance(relative=1e-6, absolute=1e-7)
# Losses and weights after some steps of training: rounding errors have grown.
TRAINED = Tolerance(relative=1e-5, absolute=1e-7)

IN_PLACE_HINT = (
    "`x *= ...`, `x += ...` and `x[...] = ...` write into the caller's array, and the caller will "
    "use it again. Make a new array."
)
AT_ZERO = "at 0 both branches are 1"
AS_MANY_LABELS = "there are as many labels as logits have rows"
AXES_IN_ANY_ORDER = "a mean over three axes is the same in whatever order they are named"

PAIR_HINT = "Return both: the value and the slope, as a pair."

# --- what the notebook gives -----------------------------------------------------------------


class Linear:
    """y = x W, plus b where there is one."""

    def __init__(self, W, b=None):
        self.params = {"W": W.copy()}
        if b is not None:
            self.params["b"] = b.copy()

    def forward(self, x):
        self.x = x
        return x @ self.params["W"] + self.params.get("b", 0.0)

    def backward(self, dy):
        self.grads = {"W": self.x.T @ dy}
        if "b" in self.params:
            self.grads["b"] = dy.sum(axis=0)
        return dy @ self.params["W"].T


class ReLU:
    """y = max(x, 0)."""

    def __init__(self):
        self.params, self.grads = {}, {}

    def forward(self, x):
        self.positive = x > 0
        return np.where(self.positive, x, 0.0)

    def backward(self, dy):
        return np.where(self.positive, dy, 0.0)


class BatchNorm:
    """Batch normalization; set `training` to False for inference mode."""

    def __init__(self, size, momentum=0.1, eps=1e-5):
        self.params = {"gamma": np.ones(size), "beta": np.zeros(size)}
        self.running_mean, self.running_var = np.zeros(size), np.ones(size)
        self.momentum, self.eps = momentum, eps
        self.training = True

    def forward(self, x):
        mean, var = self.running_mean, self.running_var
        if self.training:
            n, m = len(x), self.momentum
            mean, var = x.mean(axis=0), x.var(axis=0)
            self.running_mean = (1 - m) * self.running_mean + m * mean
            self.running_var = (1 - m) * self.running_var + m * var * n / (n - 1)
        self.std = np.sqrt(var + self.eps)
        self.x_hat = (x - mean) / self.std
        return self.params["gamma"] * self.x_hat + self.params["beta"]

    def backward(self, dy):
        self.grads = {"gamma": (dy * self.x_hat).sum(axis=0), "beta": dy.sum(axis=0)}
        dx_hat = dy * self.params["gamma"]
        if self.training:
            along = (dx_hat * self.x_hat).mean(axis=0)
            dx_hat = dx_hat - dx_hat.mean(axis=0) - self.x_hat * along
        return dx_hat / self.std


def cross_entropy(logits, labels):
    """The mean cross-entropy of a batch, and its gradient with respect to the logits."""
    rows = np.arange(len(labels))
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    dlogits = np.exp(log_p)
    dlogits[rows, labels] -= 1
    return -log_p[rows, labels].mean(), dlogits / len(labels)


class Network:
    """What every network needs; a subclass sets `self.layers`, the list of its layers."""

    training = True

    def train(self):
        self.switch(True)

    def eval(self):
        self.switch(False)

    def switch(self, training):
        self.training = training
        for layer in self.layers:
            layer.training = training

    def parameters(self):
        return [p for layer in self.layers for p in layer.params.values()]

    def gradients(self):
        return [layer.grads[name] for layer in self.layers for name in layer.params]


GLYPHS = """
.###. ..#.. .###. .###. ...#. ##### .###. ##### .###. .###.
#...# .##.. #...# #...# ..##. #.... #.... ....# #...# #...#
#...# ..#.. ....# ....# .#.#. ####. ####. ...#. #...# #...#
#...# ..#.. ...#. ..##. #..#. ....# #...# ..#.. .###. .####
#...# ..#.. ..#.. ....# ##### ....# #...# ..#.. #...# ....#
#...# ..#.. .#... #...# ...#. #...# #...# .#... #...# ....#
.###. .###. ##### .###. ...#. .###. .###. .#... .###. .###.
"""


def draw_digits(rng, n):
    """Draw n pictures of 8 × 8 pixels, shape (n, 64), and their labels: shifted, faint, noisy."""
    rows = [line.split() for line in GLYPHS.strip().split("\n")]
    glyphs = np.array([[[c == "#" for c in row[k]] for row in rows] for k in range(10)])
    labels, places = rng.integers(10, size=n), rng.integers(2, size=n)
    pictures = np.zeros((n, 8, 8))
    for place in range(2):
        here, top, left = places == place, place, 1
        pictures[here, top : top + 7, left : left + 5] = glyphs[labels[here]]
    pictures *= rng.uniform(0.5, 1.5, size=(n, 1, 1))
    return pictures.reshape(n, 64) + 0.15 * rng.normal(size=(n, 64)), labels


# --- linear_forward --------------------------------------------------------------------------


def dense(rng, samples=6, inputs=3, outputs=4):
    """A batch, a weight matrix and a bias, no two sizes alike."""
    x = rng.normal(size=(samples, inputs)) * 2 + 1
    return x, rng.normal(size=(inputs, outputs)), rng.normal(size=outputs) * 3


def linear_forward(x, W, b):
    return x @ W + b


@probe(2)
def values_of_the_layer(f, rng):
    """The result is x W + b, with b added to each sample, shape (N, O)."""
    return {"y": f(*dense(rng)), "y for a single sample": f(*dense(rng, samples=1))}


@probe(1)
def as_many_samples_as_units(f, rng):
    """That holds, too, where all sizes are equal, and your arguments are left as they were."""
    x, W, b = dense(rng, 4, 4, 4)
    y = f(x, W, b)
    return {"x": Argument(x), "W": Argument(W), "b": Argument(b), "y for N = D = O = 4": y}


@mistake(hint="The bias is a part of the layer: add b, which broadcasts over the samples.")
def forgets_the_bias(x, W, b):
    """The bias is not added."""
    return x @ W


@mistake(
    hint="W has the shape (D, O), so x @ W fits as it is; PyTorch stores the transpose, this course "
    "does not."
)
def multiplies_by_the_transpose(x, W, b):
    """x is multiplied by the transpose of W."""
    return x @ W.T + b


@mistake(hint="`*` multiplies entry by entry. The matrix product is `@`.")
def multiplies_entry_by_entry(x, W, b):
    """x and W are multiplied entry by entry where a matrix product is asked."""
    return x * W + b


@mistake(hint="Samples stay rows: the result has the shape (N, O).")
def puts_samples_into_columns(x, W, b):
    """The result is transposed: samples are columns."""
    return (x @ W + b).T


@mistake(hint="The layer adds its bias. y = x W + b.")
def subtracts_the_bias(x, W, b):
    """The bias is subtracted."""
    return x @ W - b


@mistake(
    earns=2,
    hint="`b[:, None]` or `b.reshape(-1, 1)` gives each sample a bias. Each output has one: b as it "
    "is broadcasts over the rows.",
)
def gives_each_sample_a_bias(x, W, b):
    """When there are as many samples as outputs, each sample has a bias of its own."""
    y = x @ W
    return y + b.reshape(-1, 1) if len(x) == len(b) else y + b


@mistake(earns=2, hint=IN_PLACE_HINT)
def linear_in_place(x, W, b):
    """The result is right, but the caller's batch is overwritten."""
    y = x @ W + b
    x *= 2
    return y


def linear_by_einsum(x, W, b):
    return np.einsum("nd,do->no", x, W) + b


def linear_by_samples(x, W, b):
    return np.array([W.T.dot(sample) + b for sample in x])


# --- linear_backward -------------------------------------------------------------------------


def arriving(rng, samples=6, inputs=3, outputs=4):
    """A gradient that arrives, the batch and the weights."""
    x, W, _ = dense(rng, samples, inputs, outputs)
    return rng.normal(size=(samples, outputs)) + 0.5, x, W


def linear_backward(dy, x, W):
    return dy @ W.T, x.T @ dy, dy.sum(axis=0)


@probe(2)
def gradient_of_the_batch(f, rng):
    """The first of the three results is dL/dx, shape (N, D)."""
    return {"dx": f(*arriving(rng))[0]}


@probe(2)
def gradient_of_the_weights(f, rng):
    """The second is dL/dW, shape (D, O), summed over the samples."""
    return {"dW": f(*arriving(rng))[1]}


@probe(1)
def gradient_of_the_bias(f, rng):
    """The third is dL/db, shape (O,), summed over the samples."""
    return {"db": f(*arriving(rng))[2]}


@probe(1)
def square_layers_and_their_arguments(f, rng):
    """All three are right where all sizes are equal, too, and your arguments are left as they were."""
    dy, x, W = arriving(rng, 4, 4, 4)
    dx, dW, db = f(dy, x, W)
    return {
        "dy": Argument(dy),
        "x": Argument(x),
        "W": Argument(W),
        "dx for N = D = O = 4": dx,
        "dW for N = D = O = 4": dW,
        "db for N = D = O = 4": db,
    }


MEAN_HINT = (
    "The 1/N of the mean loss is in `dy` already (the loss put it there). A layer adds up what its "
    "samples contribute."
)


@mistake(earns=4, hint=MEAN_HINT)
def averages_the_bias_gradient(dy, x, W):
    """db is the mean over the samples where it should be the sum."""
    return dy @ W.T, x.T @ dy, dy.mean(axis=0)


@mistake(earns=2, hint=MEAN_HINT)
def divides_by_the_batch_size(dy, x, W):
    """dW and db are divided by the number of samples, which the loss has done before."""
    return dy @ W.T, x.T @ dy / len(x), dy.sum(axis=0) / len(x)


@mistake(earns=3, hint="A gradient has the shape of its variable: dW has that of W, (D, O).")
def transposes_the_weight_gradient(dy, x, W):
    """dW is transposed: dyᵀ x where xᵀ dy is asked."""
    return dy @ W.T, dy.T @ x, dy.sum(axis=0)


@mistake(
    hint="Going forward, W takes D inputs to O outputs; going back it must take O to D: that is its "
    "transpose."
)
def goes_back_through_w_itself(dy, x, W):
    """dx is dy W where dy Wᵀ is asked."""
    return dy @ W, x.T @ dy, dy.sum(axis=0)


@mistake(earns=4, hint="db has the shape of b, (O,). Leave `keepdims=True` out.")
def keeps_an_axis_in_db(dy, x, W):
    """db has the shape (1, O): an axis of length 1 was kept."""
    return dy @ W.T, x.T @ dy, dy.sum(axis=0, keepdims=True)


@mistake(earns=4, hint="b is added to every sample, so db adds up over the samples: axis 0.")
def sums_over_the_outputs(dy, x, W):
    """db is summed over the outputs, not over the samples."""
    return dy @ W.T, x.T @ dy, dy.sum(axis=1)


@mistake(
    earns=4,
    hint="Without `axis=0` NumPy adds everything up to one number. Each output has a bias of its own: db "
    "has the shape (O,).",
)
def sums_over_everything(dy, x, W):
    """db is a single number, the sum over samples and outputs."""
    return dy @ W.T, x.T @ dy, dy.sum()


@mistake(hint="The order is dx, dW, db.")
def returns_the_weights_first(dy, x, W):
    """The results are in another order: dW, db, dx."""
    return x.T @ dy, dy.sum(axis=0), dy @ W.T


@mistake(
    earns=4,
    hint="y = x W + b: the slope of y in b is 1, for every sample, so that dy itself is added up.",
)
def lets_the_bias_gradient_be_one(dy, x, W):
    """db is the number of samples: dy is left out of it."""
    return dy @ W.T, x.T @ dy, np.full(W.shape[1], float(len(x)))


def linear_backward_by_einsum(dy, x, W):
    dx = np.einsum("no,do->nd", dy, W)
    dW = np.einsum("nd,no->do", x, dy)
    return [dx, dW, np.einsum("no->o", dy)]


def linear_backward_by_samples(dy, x, W):
    dW, db = np.zeros_like(W), np.zeros(W.shape[1])
    dx = np.zeros_like(x)
    for i in range(len(x)):
        dW += np.outer(x[i], dy[i])
        db += dy[i]
        dx[i] = W.dot(dy[i])
    return dx, dW, db


# --- relu ------------------------------------------------------------------------------------


def relu(x):
    positive = x > 0
    return np.where(positive, x, 0.0), positive.astype(float)


def as_numbers(slope):
    """A slope of 0 and 1 as floats: ``dy * slope`` is the same with truth values or whole numbers."""
    is_exact = isinstance(slope, np.ndarray) and slope.dtype.kind in "bi"
    return slope.astype(float) if is_exact else slope


def both_sides(rng):
    """Numbers of both signs, some of them small and some large, always."""
    x = rng.normal(size=(5, 4)) * 3
    x[0] = [0.4, 30.0, -0.4, -30.0]
    return x


@probe(1)
def values_of_relu(f, rng):
    """The first result is max(x, 0), entry by entry."""
    y, _ = f(both_sides(rng))
    return {"y": y}


@probe(1)
def slope_of_relu(f, rng):
    """The second result is the slope: 1 where x is positive and 0 where it is negative."""
    _, slope = f(both_sides(rng))
    return {"the slope": as_numbers(slope)}


@probe(1)
def slope_at_zero(f, rng):
    """At 0 the slope is taken to be 0, as PyTorch does."""
    x = rng.normal(size=(4, 3)) * 3
    x[0], x[1], x[2] = np.abs(x[0]), 0.0, -np.abs(x[2])  # numbers of both signs, always
    x[3] = [0.4, 30.0, -30.0]
    y, slope = f(x)
    return {"y": y, "the slope": as_numbers(slope)}


@probe(1)
def relu_leaves_its_input_alone(f, rng):
    """The array that you are given is left as it was, and both results are right."""
    x = both_sides(rng)
    y, slope = f(x)
    return {"x": Argument(x), "y": y, "the slope": as_numbers(slope)}


@mistake(
    earns=3,
    hint="`x >= 0` gives slope 1 at 0, `x > 0` gives 0. Either would do; the convention here is 0.",
)
def slope_is_one_at_zero(x):
    """The slope at 0 is 1 where 0 is asked."""
    return np.maximum(x, 0), (x >= 0).astype(float)


@mistake(earns=1, hint="ReLU's graph is a straight line where x is positive: its slope is 1 there.")
def slope_is_the_value(x):
    """The second result is the value again, where the slope is asked."""
    y = np.maximum(x, 0)
    return y, y.copy()


@mistake(hint="ReLU is exactly 0 for negative x. With a small slope there it is leaky ReLU.")
def leaks(x):
    """Negative values are multiplied by 0.01: that is leaky ReLU."""
    return np.where(x > 0, x, 0.01 * x), np.where(x > 0, 1.0, 0.01)


@mistake(hint="max(x, 0) makes negative numbers 0; |x| makes them positive.")
def takes_the_absolute_value(x):
    """Negative values become positive where they should become 0."""
    return np.abs(x), np.sign(x)


@mistake(
    earns=1, hint="The slope of a constant is 0, and for negative x the value is constantly 0."
)
def slope_is_one_everywhere(x):
    """The slope is 1 for negative values, too."""
    return np.maximum(x, 0), np.ones_like(x)


@mistake(
    earns=1,
    hint="The sign is -1 for negative x, where the value is constantly 0: the slope is 0 there.",
)
def slope_is_the_sign(x):
    """The slope is -1 for negative values, where it should be 0."""
    return np.maximum(x, 0), np.sign(x)


@mistake(earns=3, hint=IN_PLACE_HINT)
def relu_in_place(x):
    """The negative entries of the caller's array are overwritten."""
    x[x < 0] = 0
    return x, (x > 0).astype(float)


@mistake(hint="`np.max` looks for one largest number. Entry by entry it is `np.maximum(x, 0)`.")
def takes_one_maximum(x):
    """The result is the single largest number, not one for each entry."""
    return np.max(x), 1.0


@mistake(hint=PAIR_HINT)
def relu_without_slope(x):
    """Only the value is returned."""
    return np.maximum(x, 0)


@mistake(hint="The value comes first, the slope second: `return y, slope`.")
def relu_after_its_slope(x):
    """The pair is the wrong way round: the slope comes first."""
    positive = x > 0
    return positive.astype(float), np.where(positive, x, 0.0)


def relu_by_masks(x):
    mask = (x > 0).astype(x.dtype)
    return x * mask, mask


def relu_by_maximum(x):
    y = np.maximum(0, x)
    return y, np.sign(y)


def relu_with_truth_values(x):
    positive = x > 0
    return x * positive, positive


# --- sigmoid ---------------------------------------------------------------------------------


def sigmoid(x):
    small = np.exp(-np.abs(x))
    y = np.where(x >= 0, 1.0, small) / (1 + small)
    return y, small / (1 + small) ** 2


@probe(1)
def values_of_sigmoid(f, rng):
    """The first result is 1/(1 + e⁻ˣ), entry by entry."""
    y, _ = f(rng.uniform(-8, 8, size=(5, 4)))
    return {"y": y}


@probe(2)
def slope_of_sigmoid(f, rng):
    """The second result is the slope of the sigmoid at x."""
    _, slope = f(rng.uniform(-8, 8, size=(5, 4)))
    return {"the slope": slope}


@probe(2)
def sigmoid_far_out(f, rng):
    """Far from 0, at ±20 and at ±1000, value and slope are right and finite."""
    # At ±5 functions still differ that are both as good as 0 or 1 farther out.
    x = np.array([-1000.0, -20.0, -5.0, 0.0, 5.0, 20.0, 1000.0])
    y, slope = f(x * rng.uniform(0.8, 1.2, size=(2, 7)))
    return {"y far from 0": y, "the slope far from 0": slope}


@probe(1)
def sigmoid_leaves_its_input_alone(f, rng):
    """The array that you are given is left as it was, and the value is right."""
    x, far = rng.uniform(-8, 8, size=(5, 4)), rng.uniform(800, 1200, size=(2, 2)) * [-1, 1]
    y, _ = f(x)
    f(far)
    return {"x": Argument(x), "y": y, "x far from 0": Argument(far)}


@mistake(
    earns=4,
    hint="eˣ is infinite for large x, and ∞/∞ is NaN. eˣ/(1 + eˣ) and 1/(1 + e⁻ˣ) are the same "
    "number: choose the formula by the sign of x, so that the exponential is that of -|x| in both.",
)
def sigmoid_overflows(x):
    """eˣ/(1 + eˣ) is NaN for large x."""
    y = np.exp(x) / (1 + np.exp(x))
    return y, y * (1 - y)


@mistake(
    earns=4,
    hint="e⁻ˣ/(1 + e⁻ˣ)² is ∞/∞ for very negative x. With the value y in hand, y(1 - y) is the same "
    "slope and stays finite.",
)
def slope_overflows(x):
    """The slope e⁻ˣ/(1 + e⁻ˣ)² is NaN for very negative x."""
    e = np.exp(-x)
    return 1 / (1 + e), e / (1 + e) ** 2


@mistake(
    earns=2,
    hint="y(1 - y) takes the *value* of the sigmoid. Some code calls that x, because it stores the "
    "value only; here x is the input.",
)
def slope_of_the_input(x):
    """The slope is computed as x(1 - x), from the input where the value belongs."""
    return 1 / (1 + np.exp(-np.clip(x, -700, 700))), x * (1 - x)


@mistake(earns=2, hint="1 - y² is the slope of tanh. That of the sigmoid is y(1 - y).")
def slope_of_tanh(x):
    """The slope is 1 - y², which is that of tanh."""
    y = 1 / (1 + np.exp(-np.clip(x, -700, 700)))
    return y, 1 - y**2


@mistake(hint="The sigmoid runs from 0 to 1, tanh from -1 to 1: tanh(x/2) = 2σ(x) - 1.")
def takes_tanh(x):
    """The function is tanh, not the sigmoid."""
    y = np.tanh(x)
    return y, 1 - y**2


@mistake(
    earns=0,
    hint="For large x the sigmoid is near 1: that needs e to the *minus* x in the denominator.",
)
def sigmoid_has_the_wrong_sign(x):
    """The sign of x is wrong: the sigmoid falls from 1 to 0."""
    y = 1 / (1 + np.exp(np.clip(x, -700, 700)))
    return y, -y * (1 - y)


@mistake(
    earns=4,
    hint="Cutting x off at ±10 also changes what need not be changed: at -20 the sigmoid is 2·10⁻⁹, "
    "not 5·10⁻⁵. Choose the formula by the sign of x instead.",
)
def sigmoid_is_cut_off(x):
    """x is cut off at ±10, so that the sigmoid never gets near 0 or 1."""
    y = 1 / (1 + np.exp(-np.clip(x, -10, 10)))
    return y, y * (1 - y)


@mistake(
    earns=2,
    hint="The value grows with x from 0 to 1; the slope is largest at 0 and vanishes far out: y(1 - y).",
)
def slope_is_the_sigmoid(x):
    """The second result is the value again, where the slope is asked."""
    y = 1 / (1 + np.exp(-np.clip(x, -700, 700)))
    return y, y.copy()


@mistake(earns=2, hint="y(1 - y) is a product. Check it at 0: the slope there is 1/4.")
def slope_lacks_a_factor(x):
    """The slope is 1 - y: its factor y is missing."""
    y = 1 / (1 + np.exp(-np.clip(x, -700, 700)))
    return y, 1 - y


@mistake(earns=5, hint=IN_PLACE_HINT)
def sigmoid_in_place(x):
    """The value is written into the caller's array."""
    x[:] = 1 / (1 + np.exp(-np.clip(x, -700, 700)))
    return x.copy(), x * (1 - x)


@mistake(
    earns=5,
    hint="`x[x < -500] = -500` and `out=x` write into the caller's array. `np.clip(x, -500, 500)` makes a "
    "new one.",
)
def sigmoid_clips_in_place(x):
    """Numbers far from 0 are clipped in the caller's array."""
    x[x < -500] = -500
    x[x > 500] = 500
    y = 1 / (1 + np.exp(-x))
    return y, y * (1 - y)


@mistake(hint=PAIR_HINT)
def sigmoid_without_slope(x):
    """Only the value is returned."""
    return 1 / (1 + np.exp(-np.clip(x, -700, 700)))


@mistake(hint="The value comes first, the slope second: `return y, slope`.")
def sigmoid_after_its_slope(x):
    """The pair is the wrong way round: the slope comes first."""
    y = 1 / (1 + np.exp(-np.clip(x, -700, 700)))
    return y * (1 - y), y


def sigmoid_by_tanh(x):
    y = 0.5 * (1 + np.tanh(x / 2))
    return y, y * (1 - y)


def sigmoid_by_two_formulas(x):
    y = np.empty(x.shape)
    high = x >= 0
    y[high] = 1 / (1 + np.exp(-x[high]))
    y[~high] = np.exp(x[~high]) / (1 + np.exp(x[~high]))
    return [y, y * (1 - y)]


# --- softmax_cross_entropy -------------------------------------------------------------------


def scores(rng, samples=6, classes=4):
    """Ordinary logits, with labels among which every class may be."""
    return rng.normal(size=(samples, classes)) * 2, rng.integers(classes, size=samples)


def softmax_cross_entropy(logits, labels):
    rows = np.arange(len(labels))
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    loss = -log_p[rows, labels].mean()
    dlogits = np.exp(log_p)
    dlogits[rows, labels] -= 1
    return float(loss), dlogits / len(labels)


@probe(2)
def loss_of_a_batch(f, rng):
    """The loss is the mean over the samples of -log p(label)."""
    loss, _ = f(*scores(rng))
    return {"the loss": loss}


@probe(3)
def gradient_of_the_logits(f, rng):
    """The gradient of that mean with respect to the logits has the shape (N, C)."""
    _, dlogits = f(*scores(rng))
    return {"the gradient": dlogits}


@probe(2)
def logits_far_from_zero(f, rng):
    """Adding 1000 to all logits, or subtracting it, changes nothing: no overflow."""
    logits, labels = scores(rng)
    seen = {}
    for shift in (1000.0, -1000.0):
        loss, dlogits = f(logits + shift, labels)
        seen[f"the loss, shifted by {shift:+.0f}"] = loss
        seen[f"the gradient, shifted by {shift:+.0f}"] = dlogits
    return seen


def what_cuts_off(_expected, losses):
    """Says what cuts a loss off that does not grow from the first of two losses to the second."""
    numbers = isinstance(losses, list) and all(
        isinstance(loss, (float, np.floating)) and np.isfinite(loss) for loss in losses
    )
    if not numbers or losses[0] < 2 or abs(losses[1] - losses[0]) > 1:
        return ""
    return (
        "It does not grow when the other class gets further ahead: a constant of about "
        f"{np.exp(-losses[0]):.2g} cuts it off, in the logarithm or as the smallest probability."
    )


@probe(1)
def sure_and_wrong(f, rng):
    """When another class is ahead by 60, the loss is 60, and by 90, it is 90: nothing is cut off."""
    logits, labels = scores(rng)
    losses = []
    for ahead in (60, 90):
        far = logits.copy()
        far[np.arange(6), (labels + 1) % 4] += ahead
        losses.append(f(far, labels)[0])
    return {"the loss": Explained(losses, what_cuts_off)}


@probe(1)
def very_sure_and_wrong(f, rng):
    """When it is ahead by 1000, the loss is 1000: not infinite, not NaN."""
    logits, labels = scores(rng)
    logits[np.arange(6), (labels + 1) % 4] += 1000
    loss, dlogits = f(logits, labels)
    return {"the loss": loss, "the gradient": dlogits}


@probe(1)
def logits_are_left_alone(f, rng):
    """Your arguments are left as they were, and the loss is right."""
    logits, labels = scores(rng)
    loss, _ = f(logits, labels)
    return {"logits": Argument(logits), "labels": Argument(labels), "the loss": loss}


@probe(1, hidden=True)
def samples_on_different_levels(f, rng):
    """One sample's logits may lie thousands above another's."""
    logits, labels = scores(rng)
    logits += np.array([0, -3000, 3000, 0, -3000, 3000])[:, None]
    loss, dlogits = f(logits, labels)
    return {"the loss": loss, "the gradient": dlogits}


UNSTABLE_HINT = (
    "e¹⁰⁰⁰ is infinite. Softmax does not change when a number is subtracted from all logits of a "
    "sample: subtract the largest of its own."
)
LOG_ZERO_HINT = (
    "The softmax is stable, but its logarithm is not: a probability may be rounded to 0. Simplify "
    "first: the logarithm of a quotient is a difference, and that of an exponential is its exponent. "
    "What is left never takes the logarithm of 0."
)
EACH_SAMPLE_HINT = (
    "Each sample is a row with a softmax of its own: reduce over axis 1, keepdims=True."
)


@mistake(earns=7, hint=UNSTABLE_HINT)
def exponentials_overflow(logits, labels):
    """The exponentials of large logits overflow."""
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    rows = np.arange(len(labels))
    d = p.copy()
    d[rows, labels] -= 1
    return float(-np.log(p[rows, labels]).mean()), d / len(labels)


@mistake(
    earns=7,
    hint="e¹⁰⁰⁰ is infinite. log p does not change when the same number is subtracted from all logits "
    "of a sample: subtract their maximum first.",
)
def takes_the_logarithm_of_infinity(logits, labels):
    """log p is simplified, but the exponential of large logits is infinite, and with it the loss."""
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    rows = np.arange(len(labels))
    d = np.exp(log_p)
    d[rows, labels] -= 1
    return float(-log_p[rows, labels].mean()), d / len(labels)


@mistake(earns=10, hint=LOG_ZERO_HINT)
def takes_the_logarithm_of_zero(logits, labels):
    """The logarithm is taken of probabilities that may have been rounded to 0."""
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    rows = np.arange(len(labels))
    d = p.copy()
    d[rows, labels] -= 1
    return float(-np.log(p[rows, labels]).mean()), d / len(labels)


@mistake(
    earns=9,
    hint="log(p + 10⁻¹²) can never be below -28, so being very wrong costs no more than being "
    "wrong. Simplify log p instead; no constant is needed.",
)
def adds_a_constant_in_the_logarithm(logits, labels):
    """A small constant inside the logarithm cuts large losses off."""
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    rows = np.arange(len(labels))
    d = p.copy()
    d[rows, labels] -= 1
    return float(-np.log(p[rows, labels] + 1e-12).mean()), d / len(labels)


@mistake(
    earns=10,
    hint="One shift for the whole batch leaves other samples far below 0, where every exponential is "
    "0. Subtract each row's own maximum (axis=1, keepdims=True).",
)
def shifts_by_one_maximum(logits, labels):
    """The maximum of the whole batch is subtracted, where each sample needs its own."""
    shifted = logits - logits.max()
    rows = np.arange(len(labels))
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    d = np.exp(log_p)
    d[rows, labels] -= 1
    return float(-log_p[rows, labels].mean()), d / len(labels)


@mistake(
    hint="The mean over the samples is asked, of the loss as of its gradient: divide both by N."
)
def adds_the_losses_up(logits, labels):
    """Loss and gradient are those of the sum over the samples, not of the mean."""
    rows = np.arange(len(labels))
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    d = np.exp(log_p)
    d[rows, labels] -= 1
    return float(-log_p[rows, labels].sum()), d


@mistake(
    earns=4,
    hint="The loss is a mean, so its gradient has the factor 1/N. Without it the step size grows with "
    "the batch.",
)
def gradient_is_not_divided(logits, labels):
    """The loss is a mean, but its gradient lacks the factor 1/N."""
    rows = np.arange(len(labels))
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    d = np.exp(log_p)
    d[rows, labels] -= 1
    return float(-log_p[rows, labels].mean()), d


@mistake(
    earns=4,
    hint="The gradient is p minus the one-hot label: it says how far p is from the truth, so that it "
    "is negative for the right class only.",
)
def gradient_lacks_the_label(logits, labels):
    """The gradient is p/N: the one-hot label is not subtracted."""
    rows = np.arange(len(labels))
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return float(-log_p[rows, labels].mean()), np.exp(log_p) / len(labels)


@mistake(earns=4, hint="A step goes against the gradient, so the gradient must be p - one_hot.")
def gradient_points_down(logits, labels):
    """The gradient has the wrong sign: one_hot - p."""
    rows = np.arange(len(labels))
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    d = -np.exp(log_p)
    d[rows, labels] += 1
    return float(-log_p[rows, labels].mean()), d / len(labels)


@mistake(
    earns=4,
    hint="`d[:, labels]` is every row at all the labels' columns. One entry per sample is meant: "
    "`d[np.arange(N), labels]` pairs each row with its own label.",
)
def subtracts_from_whole_columns(logits, labels):
    """The 1 is subtracted in whole columns, `d[:, labels] -= 1`, not at each sample's own label."""
    rows = np.arange(len(labels))
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    d = np.exp(log_p)
    d[:, labels] -= 1
    return float(-log_p[rows, labels].mean()), d / len(labels)


@mistake(
    earns=3,
    hint="`log_p[:, labels]` is every row at all the labels' columns. One entry per sample is meant: "
    "`log_p[np.arange(N), labels]` pairs each row with its own label.",
)
def averages_whole_columns(logits, labels):
    """The loss averages whole columns, `log_p[:, labels]`, not each sample's own label."""
    rows = np.arange(len(labels))
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    d = np.exp(log_p)
    d[rows, labels] -= 1
    return float(-log_p[:, labels].mean()), d / len(labels)


@mistake(
    earns=4,
    hint="Raising any logit lowers the probability of all other classes: every entry of the row has "
    "a gradient.",
)
def gradient_of_the_label_only(logits, labels):
    """Only the label's logit receives a gradient."""
    rows = np.arange(len(labels))
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    d = np.zeros_like(logits)
    d[rows, labels] = np.exp(log_p[rows, labels]) - 1
    return float(-log_p[rows, labels].mean()), d / len(labels)


@mistake(hint=EACH_SAMPLE_HINT)
def softmax_over_the_samples(logits, labels):
    """The softmax runs over the samples (axis 0), where it should run over the classes."""
    rows = np.arange(len(labels))
    shifted = logits - logits.max(axis=0)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=0))
    d = np.exp(log_p)
    d[rows, labels] -= 1
    return float(-log_p[rows, labels].mean()), d / len(labels)


@mistake(
    hint="A mean over everything divides by N·C. There is one loss for each sample: divide by N."
)
def averages_over_the_classes_too(logits, labels):
    """Loss and gradient are divided by N·C where N is right."""
    rows = np.arange(len(labels))
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    d = np.exp(log_p)
    d[rows, labels] -= 1
    return float(-log_p[rows, labels].sum() / logits.size), d / logits.size


@mistake(
    earns=3,
    hint="-log p is positive. A loss that is minimized must grow when the answer gets worse.",
)
def loss_has_the_wrong_sign(logits, labels):
    """The loss is the mean of log p: its sign is wrong."""
    rows = np.arange(len(labels))
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    d = np.exp(log_p)
    d[rows, labels] -= 1
    return float(log_p[rows, labels].mean()), d / len(labels)


@mistake(earns=3, hint="The natural logarithm is asked; log₂ gives bits, and another gradient.")
def loss_in_bits(logits, labels):
    """The loss is in bits (log₂), and does not fit its gradient."""
    rows = np.arange(len(labels))
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    d = np.exp(log_p)
    d[rows, labels] -= 1
    return float(-log_p[rows, labels].mean() / np.log(2)), d / len(labels)


@mistake(earns=10, hint=IN_PLACE_HINT)
def shifts_the_logits_in_place(logits, labels):
    """The maximum is subtracted in place, so that the caller's logits are changed."""
    logits -= logits.max(axis=1, keepdims=True)
    rows = np.arange(len(labels))
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    d = np.exp(log_p)
    d[rows, labels] -= 1
    return float(-log_p[rows, labels].mean()), d / len(labels)


@mistake(hint="Return both: `return loss, dlogits`.")
def loss_without_gradient(logits, labels):
    """Only the loss is returned."""
    rows = np.arange(len(labels))
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return float(-log_p[rows, labels].mean())


@mistake(hint="The loss comes first, its gradient second: `return loss, dlogits`.")
def gradient_before_loss(logits, labels):
    """The pair is the wrong way round: the gradient comes first."""
    rows = np.arange(len(labels))
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    d = np.exp(log_p)
    d[rows, labels] -= 1
    return d / len(labels), float(-log_p[rows, labels].mean())


@mistake(
    earns=3, hint="The loss is a mean over the samples, as its gradient is: divide it by N, too."
)
def loss_is_not_divided(logits, labels):
    """The losses of the samples are added up; the gradient is that of their mean."""
    rows = np.arange(len(labels))
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    d = np.exp(log_p)
    d[rows, labels] -= 1
    return float(-log_p[rows, labels].sum()), d / len(labels)


def cross_entropy_by_logaddexp(logits, labels):
    one_hot = np.eye(logits.shape[1])[labels]
    log_p = logits - np.logaddexp.reduce(logits, axis=1)[:, None]
    return -(one_hot * log_p).sum() / len(labels), (np.exp(log_p) - one_hot) / len(labels)


def cross_entropy_by_samples(logits, labels):
    n, loss = len(labels), 0.0
    gradient = np.empty(logits.shape)
    for i, label in enumerate(labels):
        z = logits[i] - max(logits[i])
        total = sum(np.exp(z))
        loss += np.log(total) - z[label]
        gradient[i] = np.exp(z) / total
        gradient[i, label] -= 1
    return loss / n, gradient / n


# --- MLP -------------------------------------------------------------------------------------


class MLP(Network):
    def __init__(self, weights):
        self.layers = []
        for W in weights[:-1]:
            self.layers += [Linear(W), BatchNorm(W.shape[1]), ReLU()]
        self.layers.append(Linear(weights[-1], np.zeros(weights[-1].shape[1])))

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy):
        for layer in self.layers[::-1]:
            dy = layer.backward(dy)
        return dy

    def fit(self, x, labels, rate, batches):
        self.train()
        losses = []
        for rows in batches:
            loss, dlogits = cross_entropy(self.forward(x[rows]), labels[rows])
            self.backward(dlogits)
            for p, dp in zip(self.parameters(), self.gradients()):
                p -= rate * dp
            losses.append(float(loss))
        return losses

    def predict(self, x):
        was_training = self.training
        self.eval()
        classes = self.forward(x).argmax(axis=1)
        self.switch(was_training)
        return classes


def matrices(rng, sizes=(6, 5, 5, 3)):
    """He's initialization for layers of these sizes."""
    return [rng.normal(size=(a, b)) * np.sqrt(2 / a) for a, b in pairwise(sizes)]


def with_opposite_logits(rng, sizes=(6, 5, 5, 3)):
    """The same for a network of whose first two logits one is negative: a ReLU there would show."""
    weights = matrices(rng, sizes)
    weights[-1][:, 1] = -weights[-1][:, 0]
    return weights


def task(rng, samples=12, inputs=6, classes=3):
    """A small batch with features on different scales, and labels."""
    x = rng.normal(size=(samples, inputs)) * rng.uniform(0.5, 3, size=inputs) + 1
    return x, rng.integers(classes, size=samples)


@probe(2)
def logits_in_training_mode(f, rng):
    """A new network, and one after `train()`, normalizes by the batch: linear, batch norm, ReLU."""
    network, (x, _), (other, _) = f(with_opposite_logits(rng)), task(rng), task(rng)
    first = network.forward(x)
    network.eval()
    network.train()
    return {
        "the logits": first,
        "the logits of another batch, after eval() and train()": network.forward(other),
    }


@probe(2)
def logits_in_inference_mode(f, rng):
    """After `eval()`, running statistics are used, and a sample's logits do not depend on others."""
    network, (x, _) = f(with_opposite_logits(rng)), task(rng)
    for _ in range(3):
        network.forward(task(rng)[0])
    network.eval()
    return {"the logits": network.forward(x), "the logits of one sample": network.forward(x[:1])}


@probe(3)
def gradients_of_all_parameters(f, rng):
    """`backward` finds the gradient of every parameter; `gradients()` lists them, W1, γ1, β1 first."""
    network, (x, _) = f(with_opposite_logits(rng)), task(rng)
    network.backward(rng.normal(size=network.forward(x).shape))
    gradients = network.gradients()
    names = ("W1", "gamma1", "beta1", "W2", "gamma2", "beta2", "W3", "b3")
    return {
        "how many gradients": len(gradients),
        **{f"the gradient of {n}": g for n, g in zip(names, gradients)},
    }


@probe(1)
def gradient_of_the_input_batch(f, rng):
    """`backward` returns the gradient with respect to the batch."""
    network, (x, _) = f(with_opposite_logits(rng, (5, 5, 5, 5))), task(rng, inputs=5)
    return {"dx": network.backward(rng.normal(size=network.forward(x).shape))}


def curve(losses):
    """Losses as an array: a list or an array of them, in whatever precision, is the same answer."""
    return np.asarray(losses, dtype=float)


def whole(classes):
    """Class numbers as int64: whole numbers of another size are the same answer."""
    if isinstance(classes, np.ndarray) and classes.dtype.kind in "iu":
        return classes.astype(np.int64)
    return classes


@probe(3)
def three_steps_of_training(f, rng):
    """`fit` takes one step for each batch, in training mode, and returns the loss of each."""
    weights, (x, labels) = matrices(rng), task(rng, samples=40)
    network = f(weights)
    network.forward(x)
    network.eval()
    batches = np.split(rng.permutation(40)[:30], 3)
    losses = network.fit(x, labels, 0.1, batches)
    parameters = network.parameters()
    names = ("W1", "gamma1", "beta1", "W2", "gamma2", "beta2", "W3", "b3")
    network.eval()
    return {
        "the losses": curve(losses),
        "how many parameters": len(parameters),
        **{f"{n} after three steps": p for n, p in zip(names, parameters)},
        "the logits after three steps, in inference mode": network.forward(x),
        "the matrix that you were given": Argument(weights[0]),
    }


@probe(2)
def predictions_in_inference_mode(f, rng):
    """`predict` gives each sample's class, in inference mode, and leaves the mode as it was."""
    network, (x, _), (other, _) = f(matrices(rng)), task(rng, samples=30), task(rng)
    network.forward(other)
    seen = {
        "the classes": whole(network.predict(x)),
        "the logits after it, in training mode": network.forward(x),
    }
    network.eval()
    network.predict(x)
    seen["the logits after it, in inference mode"] = network.forward(x[:5])
    return seen


@probe(3)
def learns_to_read(f, rng):
    """Trained for 12 steps at rate 1, it recognizes at least 80 % of 200 new digits."""
    x, labels = draw_digits(rng, 300)
    new, truth = draw_digits(rng, 200)
    network = f(matrices(rng, (64, 32, 10)))
    order = np.concatenate([rng.permutation(300), rng.permutation(300)])
    losses = network.fit(x, labels, 1.0, np.split(order, 12))
    share = np.mean(np.asarray(network.predict(new)) == truth)
    return {
        "the losses of the first three steps": curve(losses[:3]),
        "at least 80 % are recognized": bool(share >= 0.8),
    }


@probe(1, hidden=True)
def networks_of_any_depth(f, rng):
    """A network may have one layer or four, and two networks have nothing in common."""
    x, _ = task(rng)
    one, four = f(matrices(rng, (6, 3))), f(matrices(rng, (6, 7, 4, 5, 3)))
    return {
        "the logits with four layers": four.forward(x),
        "the logits with one": one.forward(x),
        "the logits with four layers again": four.forward(x),
        "how many parameters four layers have": len(four.parameters()),
    }


@mistake(
    earns=0.0,
    hint="Batch normalization gives the logits of a class the mean β and the spread |γ| in every "
    "batch, also in one where that class is rare: in training a sample's scores depend on the others. "
    "The last layer is linear, and nothing comes after it.",
)
class NormalizesTheLogits(Network):
    """The logits are batch-normalized, too."""

    def __init__(self, weights):
        self.layers = []
        for W in weights[:-1]:
            self.layers += [Linear(W), BatchNorm(W.shape[1]), ReLU()]
        self.layers.append(Linear(weights[-1], np.zeros(weights[-1].shape[1])))
        self.layers.append(BatchNorm(weights[-1].shape[1]))

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy):
        for layer in self.layers[::-1]:
            dy = layer.backward(dy)
        return dy

    def fit(self, x, labels, rate, batches):
        self.train()
        losses = []
        for rows in batches:
            loss, dlogits = cross_entropy(self.forward(x[rows]), labels[rows])
            self.backward(dlogits)
            for p, dp in zip(self.parameters(), self.gradients()):
                p -= rate * dp
            losses.append(float(loss))
        return losses

    def predict(self, x):
        was_training = self.training
        self.eval()
        classes = self.forward(x).argmax(axis=1)
        self.switch(was_training)
        return classes


@mistake(
    earns=0.0,
    hint="After a ReLU no logit is negative, and where it cut, no gradient comes back. The last layer is linear, and nothing comes after it.",
)
class ActivatesTheLogits(Network):
    """The logits go through a ReLU."""

    def __init__(self, weights):
        self.layers = []
        for W in weights[:-1]:
            self.layers += [Linear(W), BatchNorm(W.shape[1]), ReLU()]
        self.layers.append(Linear(weights[-1], np.zeros(weights[-1].shape[1])))
        self.layers.append(ReLU())

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy):
        for layer in self.layers[::-1]:
            dy = layer.backward(dy)
        return dy

    def fit(self, x, labels, rate, batches):
        self.train()
        losses = []
        for rows in batches:
            loss, dlogits = cross_entropy(self.forward(x[rows]), labels[rows])
            self.backward(dlogits)
            for p, dp in zip(self.parameters(), self.gradients()):
                p -= rate * dp
            losses.append(float(loss))
        return losses

    def predict(self, x):
        was_training = self.training
        self.eval()
        classes = self.forward(x).argmax(axis=1)
        self.switch(was_training)
        return classes


@mistake(
    earns=0.0,
    hint="Both orders train, but the one asked here is the paper's: linear, batch normalization, ReLU.",
)
class NormalizesAfterTheActivation(Network):
    """Batch normalization comes after the ReLU, where it is asked before."""

    def __init__(self, weights):
        self.layers = []
        for W in weights[:-1]:
            self.layers += [Linear(W), ReLU(), BatchNorm(W.shape[1])]
        self.layers.append(Linear(weights[-1], np.zeros(weights[-1].shape[1])))

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy):
        for layer in self.layers[::-1]:
            dy = layer.backward(dy)
        return dy

    def fit(self, x, labels, rate, batches):
        self.train()
        losses = []
        for rows in batches:
            loss, dlogits = cross_entropy(self.forward(x[rows]), labels[rows])
            self.backward(dlogits)
            for p, dp in zip(self.parameters(), self.gradients()):
                p -= rate * dp
            losses.append(float(loss))
        return losses

    def predict(self, x):
        was_training = self.training
        self.eval()
        classes = self.forward(x).argmax(axis=1)
        self.switch(was_training)
        return classes


@mistake(
    earns=0.0, hint="Put a BatchNorm of as many units between each hidden Linear and its ReLU."
)
class HasNoNormalization(Network):
    """There is no batch normalization in it."""

    def __init__(self, weights):
        self.layers = []
        for W in weights[:-1]:
            self.layers += [Linear(W), ReLU()]
        self.layers.append(Linear(weights[-1], np.zeros(weights[-1].shape[1])))

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy):
        for layer in self.layers[::-1]:
            dy = layer.backward(dy)
        return dy

    def fit(self, x, labels, rate, batches):
        self.train()
        losses = []
        for rows in batches:
            loss, dlogits = cross_entropy(self.forward(x[rows]), labels[rows])
            self.backward(dlogits)
            for p, dp in zip(self.parameters(), self.gradients()):
                p -= rate * dp
            losses.append(float(loss))
        return losses

    def predict(self, x):
        was_training = self.training
        self.eval()
        classes = self.forward(x).argmax(axis=1)
        self.switch(was_training)
        return classes


@mistake(
    earns=0.0,
    hint="Without a nonlinearity, all layers together are one affine map. Put a ReLU after each BatchNorm.",
)
class HasNoActivation(Network):
    """There is no ReLU in it."""

    def __init__(self, weights):
        self.layers = []
        for W in weights[:-1]:
            self.layers += [Linear(W), BatchNorm(W.shape[1])]
        self.layers.append(Linear(weights[-1], np.zeros(weights[-1].shape[1])))

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy):
        for layer in self.layers[::-1]:
            dy = layer.backward(dy)
        return dy

    def fit(self, x, labels, rate, batches):
        self.train()
        losses = []
        for rows in batches:
            loss, dlogits = cross_entropy(self.forward(x[rows]), labels[rows])
            self.backward(dlogits)
            for p, dp in zip(self.parameters(), self.gradients()):
                p -= rate * dp
            losses.append(float(loss))
        return losses

    def predict(self, x):
        was_training = self.training
        self.eval()
        classes = self.forward(x).argmax(axis=1)
        self.switch(was_training)
        return classes


@mistake(
    earns=10.0,
    hint="A bias before batch normalization shifts the batch mean, and the mean is subtracted: its gradient is always 0. β does its work. Leave it out.",
)
class KeepsTheHiddenBiases(Network):
    """The hidden linear layers have biases, which batch normalization removes again."""

    def __init__(self, weights):
        self.layers = []
        for W in weights[:-1]:
            self.layers += [Linear(W, np.zeros(W.shape[1])), BatchNorm(W.shape[1]), ReLU()]
        self.layers.append(Linear(weights[-1], np.zeros(weights[-1].shape[1])))

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy):
        for layer in self.layers[::-1]:
            dy = layer.backward(dy)
        return dy

    def fit(self, x, labels, rate, batches):
        self.train()
        losses = []
        for rows in batches:
            loss, dlogits = cross_entropy(self.forward(x[rows]), labels[rows])
            self.backward(dlogits)
            for p, dp in zip(self.parameters(), self.gradients()):
                p -= rate * dp
            losses.append(float(loss))
        return losses

    def predict(self, x):
        was_training = self.training
        self.eval()
        classes = self.forward(x).argmax(axis=1)
        self.switch(was_training)
        return classes


@mistake(
    earns=3.0,
    hint="Each matrix but the last makes a hidden layer: go through `weights[:-1]` in a loop.",
)
class BuildsOneHiddenLayer(Network):
    """Only the first and the last matrix are used, however many there are."""

    def __init__(self, weights):
        W = weights[0]
        self.layers = [Linear(W), BatchNorm(W.shape[1]), ReLU()]
        self.layers.append(Linear(weights[-1], np.zeros(weights[-1].shape[1])))

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy):
        for layer in self.layers[::-1]:
            dy = layer.backward(dy)
        return dy

    def fit(self, x, labels, rate, batches):
        self.train()
        losses = []
        for rows in batches:
            loss, dlogits = cross_entropy(self.forward(x[rows]), labels[rows])
            self.backward(dlogits)
            for p, dp in zip(self.parameters(), self.gradients()):
                p -= rate * dp
            losses.append(float(loss))
        return losses

    def predict(self, x):
        was_training = self.training
        self.eval()
        classes = self.forward(x).argmax(axis=1)
        self.switch(was_training)
        return classes


@mistake(
    earns=7.0,
    hint="Only layers that are followed by batch normalization can do without a bias. The last one needs it: zeros, one for each class.",
)
class HasNoOutputBias(Network):
    """The last linear layer has no bias."""

    def __init__(self, weights):
        self.layers = []
        for W in weights[:-1]:
            self.layers += [Linear(W), BatchNorm(W.shape[1]), ReLU()]
        self.layers.append(Linear(weights[-1]))

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy):
        for layer in self.layers[::-1]:
            dy = layer.backward(dy)
        return dy

    def fit(self, x, labels, rate, batches):
        self.train()
        losses = []
        for rows in batches:
            loss, dlogits = cross_entropy(self.forward(x[rows]), labels[rows])
            self.backward(dlogits)
            for p, dp in zip(self.parameters(), self.gradients()):
                p -= rate * dp
            losses.append(float(loss))
        return losses

    def predict(self, x):
        was_training = self.training
        self.eval()
        classes = self.forward(x).argmax(axis=1)
        self.switch(was_training)
        return classes


@mistake(
    earns=5.0,
    hint="A layer keeps what its backward pass needs, its running statistics, its γ and β. One object cannot keep those of two layers: make a new BatchNorm for each.",
)
class SharesOneNormalization(Network):
    """All hidden layers share one BatchNorm."""

    def __init__(self, weights):
        self.layers = []
        norm = BatchNorm(weights[0].shape[1])
        for W in weights[:-1]:
            self.layers += [Linear(W), norm, ReLU()]
        self.layers.append(Linear(weights[-1], np.zeros(weights[-1].shape[1])))

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy):
        for layer in self.layers[::-1]:
            dy = layer.backward(dy)
        return dy

    def fit(self, x, labels, rate, batches):
        self.train()
        losses = []
        for rows in batches:
            loss, dlogits = cross_entropy(self.forward(x[rows]), labels[rows])
            self.backward(dlogits)
            for p, dp in zip(self.parameters(), self.gradients()):
                p -= rate * dp
            losses.append(float(loss))
        return losses

    def predict(self, x):
        was_training = self.training
        self.eval()
        classes = self.forward(x).argmax(axis=1)
        self.switch(was_training)
        return classes


@mistake(
    earns=10.0,
    hint="A ReLU has no parameters, but for its backward pass it keeps where its input was positive. One object cannot keep that of two layers: make a new ReLU for each.",
)
class SharesOneActivation(Network):
    """All hidden layers share one ReLU, which knows its last input only."""

    def __init__(self, weights):
        self.layers = []
        relu = ReLU()
        for W in weights[:-1]:
            self.layers += [Linear(W), BatchNorm(W.shape[1]), relu]
        self.layers.append(Linear(weights[-1], np.zeros(weights[-1].shape[1])))

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy):
        for layer in self.layers[::-1]:
            dy = layer.backward(dy)
        return dy

    def fit(self, x, labels, rate, batches):
        self.train()
        losses = []
        for rows in batches:
            loss, dlogits = cross_entropy(self.forward(x[rows]), labels[rows])
            self.backward(dlogits)
            for p, dp in zip(self.parameters(), self.gradients()):
                p -= rate * dp
            losses.append(float(loss))
        return losses

    def predict(self, x):
        was_training = self.training
        self.eval()
        classes = self.forward(x).argmax(axis=1)
        self.switch(was_training)
        return classes


@mistake(
    earns=15.0,
    hint="A prediction must not depend on who else is in the batch. Switch to inference mode before the forward pass, with `self.eval()`: setting `self.training` alone does not reach the layers.",
)
class PredictsInTrainingMode(Network):
    """`predict` normalizes by the batch that it is given."""

    def __init__(self, weights):
        self.layers = []
        for W in weights[:-1]:
            self.layers += [Linear(W), BatchNorm(W.shape[1]), ReLU()]
        self.layers.append(Linear(weights[-1], np.zeros(weights[-1].shape[1])))

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy):
        for layer in self.layers[::-1]:
            dy = layer.backward(dy)
        return dy

    def fit(self, x, labels, rate, batches):
        self.train()
        losses = []
        for rows in batches:
            loss, dlogits = cross_entropy(self.forward(x[rows]), labels[rows])
            self.backward(dlogits)
            for p, dp in zip(self.parameters(), self.gradients()):
                p -= rate * dp
            losses.append(float(loss))
        return losses

    def predict(self, x):
        was_training = self.training
        classes = self.forward(x).argmax(axis=1)
        self.switch(was_training)
        return classes


@mistake(
    earns=15.0,
    hint="Whoever evaluates between two steps of training would train on in inference mode, and not "
    "notice. Remember the mode and restore it, in the layers, too: setting `self.training` alone does "
    "not reach them.",
)
class StaysInInferenceMode(Network):
    """`predict` leaves the network in inference mode."""

    def __init__(self, weights):
        self.layers = []
        for W in weights[:-1]:
            self.layers += [Linear(W), BatchNorm(W.shape[1]), ReLU()]
        self.layers.append(Linear(weights[-1], np.zeros(weights[-1].shape[1])))

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy):
        for layer in self.layers[::-1]:
            dy = layer.backward(dy)
        return dy

    def fit(self, x, labels, rate, batches):
        self.train()
        losses = []
        for rows in batches:
            loss, dlogits = cross_entropy(self.forward(x[rows]), labels[rows])
            self.backward(dlogits)
            for p, dp in zip(self.parameters(), self.gradients()):
                p -= rate * dp
            losses.append(float(loss))
        return losses

    def predict(self, x):
        self.eval()
        classes = self.forward(x).argmax(axis=1)
        return classes


@mistake(earns=15.0, hint="Restore the mode that the network was in, whichever it was.")
class AlwaysGoesBackToTraining(Network):
    """`predict` leaves the network in training mode, even if it was in inference mode."""

    def __init__(self, weights):
        self.layers = []
        for W in weights[:-1]:
            self.layers += [Linear(W), BatchNorm(W.shape[1]), ReLU()]
        self.layers.append(Linear(weights[-1], np.zeros(weights[-1].shape[1])))

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy):
        for layer in self.layers[::-1]:
            dy = layer.backward(dy)
        return dy

    def fit(self, x, labels, rate, batches):
        self.train()
        losses = []
        for rows in batches:
            loss, dlogits = cross_entropy(self.forward(x[rows]), labels[rows])
            self.backward(dlogits)
            for p, dp in zip(self.parameters(), self.gradients()):
                p -= rate * dp
            losses.append(float(loss))
        return losses

    def predict(self, x):
        self.eval()
        classes = self.forward(x).argmax(axis=1)
        self.train()
        return classes


@mistake(
    earns=12.0, hint="The class is the number of the largest logit of each row: argmax over axis 1."
)
class PredictsLogits(Network):
    """`predict` returns the logits, not the classes."""

    def __init__(self, weights):
        self.layers = []
        for W in weights[:-1]:
            self.layers += [Linear(W), BatchNorm(W.shape[1]), ReLU()]
        self.layers.append(Linear(weights[-1], np.zeros(weights[-1].shape[1])))

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy):
        for layer in self.layers[::-1]:
            dy = layer.backward(dy)
        return dy

    def fit(self, x, labels, rate, batches):
        self.train()
        losses = []
        for rows in batches:
            loss, dlogits = cross_entropy(self.forward(x[rows]), labels[rows])
            self.backward(dlogits)
            for p, dp in zip(self.parameters(), self.gradients()):
                p -= rate * dp
            losses.append(float(loss))
        return losses

    def predict(self, x):
        was_training = self.training
        self.eval()
        classes = self.forward(x)
        self.switch(was_training)
        return classes


@mistake(
    earns=12.0,
    hint="Rows are samples, columns are classes. `argmax(axis=0)` asks for each class which sample has "
    "the largest logit; for each sample it is `argmax(axis=1)`.",
)
class PredictsASampleForEachClass(Network):
    """`predict` takes argmax over the samples (axis 0), where it should run over the classes."""

    def __init__(self, weights):
        self.layers = []
        for W in weights[:-1]:
            self.layers += [Linear(W), BatchNorm(W.shape[1]), ReLU()]
        self.layers.append(Linear(weights[-1], np.zeros(weights[-1].shape[1])))

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy):
        for layer in self.layers[::-1]:
            dy = layer.backward(dy)
        return dy

    def fit(self, x, labels, rate, batches):
        self.train()
        losses = []
        for rows in batches:
            loss, dlogits = cross_entropy(self.forward(x[rows]), labels[rows])
            self.backward(dlogits)
            for p, dp in zip(self.parameters(), self.gradients()):
                p -= rate * dp
            losses.append(float(loss))
        return losses

    def predict(self, x):
        was_training = self.training
        self.eval()
        classes = self.forward(x).argmax(axis=0)
        self.switch(was_training)
        return classes


@mistake(
    earns=4.0,
    hint="`forward` returns the logits: `cross_entropy` does the softmax itself, and must not get "
    "probabilities. The largest logit has the largest probability, so `predict` needs no softmax either.",
)
class ReturnsProbabilities(Network):
    """`forward` ends with a softmax, and so returns probabilities, not logits."""

    def __init__(self, weights):
        self.layers = []
        for W in weights[:-1]:
            self.layers += [Linear(W), BatchNorm(W.shape[1]), ReLU()]
        self.layers.append(Linear(weights[-1], np.zeros(weights[-1].shape[1])))

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        p = np.exp(x - x.max(axis=1, keepdims=True))
        return p / p.sum(axis=1, keepdims=True)

    def backward(self, dy):
        for layer in self.layers[::-1]:
            dy = layer.backward(dy)
        return dy

    def fit(self, x, labels, rate, batches):
        self.train()
        losses = []
        for rows in batches:
            loss, dlogits = cross_entropy(self.forward(x[rows]), labels[rows])
            self.backward(dlogits)
            for p, dp in zip(self.parameters(), self.gradients()):
                p -= rate * dp
            losses.append(float(loss))
        return losses

    def predict(self, x):
        was_training = self.training
        self.eval()
        classes = self.forward(x).argmax(axis=1)
        self.switch(was_training)
        return classes


@mistake(
    earns=7.0,
    hint="The gradient arrives at the last layer first: go through the layers in reverse.",
)
class GoesBackInForwardOrder(Network):
    """`backward` visits the layers in the order of the forward pass."""

    def __init__(self, weights):
        self.layers = []
        for W in weights[:-1]:
            self.layers += [Linear(W), BatchNorm(W.shape[1]), ReLU()]
        self.layers.append(Linear(weights[-1], np.zeros(weights[-1].shape[1])))

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy):
        for layer in self.layers:
            dy = layer.backward(dy)
        return dy

    def fit(self, x, labels, rate, batches):
        self.train()
        losses = []
        for rows in batches:
            loss, dlogits = cross_entropy(self.forward(x[rows]), labels[rows])
            self.backward(dlogits)
            for p, dp in zip(self.parameters(), self.gradients()):
                p -= rate * dp
            losses.append(float(loss))
        return losses

    def predict(self, x):
        was_training = self.training
        self.eval()
        classes = self.forward(x).argmax(axis=1)
        self.switch(was_training)
        return classes


@mistake(
    earns=7.0,
    hint="What one layer's `backward` returns is what the layer before it receives: `dy = layer.backward(dy)`.",
)
class DoesNotHandTheGradientOn(Network):
    """`backward` gives each layer the gradient of the logits, not that of the layer behind it."""

    def __init__(self, weights):
        self.layers = []
        for W in weights[:-1]:
            self.layers += [Linear(W), BatchNorm(W.shape[1]), ReLU()]
        self.layers.append(Linear(weights[-1], np.zeros(weights[-1].shape[1])))

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy):
        for layer in self.layers[::-1]:
            layer.backward(dy)
        return dy

    def fit(self, x, labels, rate, batches):
        self.train()
        losses = []
        for rows in batches:
            loss, dlogits = cross_entropy(self.forward(x[rows]), labels[rows])
            self.backward(dlogits)
            for p, dp in zip(self.parameters(), self.gradients()):
                p -= rate * dp
            losses.append(float(loss))
        return losses

    def predict(self, x):
        was_training = self.training
        self.eval()
        classes = self.forward(x).argmax(axis=1)
        self.switch(was_training)
        return classes


@mistake(
    earns=16.0,
    hint="End `backward` with `return dy`: then the network is itself a layer, which may be part of a larger one.",
)
class BackwardReturnsNothing(Network):
    """`backward` does not return the gradient of the batch."""

    def __init__(self, weights):
        self.layers = []
        for W in weights[:-1]:
            self.layers += [Linear(W), BatchNorm(W.shape[1]), ReLU()]
        self.layers.append(Linear(weights[-1], np.zeros(weights[-1].shape[1])))

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy):
        for layer in self.layers[::-1]:
            dy = layer.backward(dy)

    def fit(self, x, labels, rate, batches):
        self.train()
        losses = []
        for rows in batches:
            loss, dlogits = cross_entropy(self.forward(x[rows]), labels[rows])
            self.backward(dlogits)
            for p, dp in zip(self.parameters(), self.gradients()):
                p -= rate * dp
            losses.append(float(loss))
        return losses

    def predict(self, x):
        was_training = self.training
        self.eval()
        classes = self.forward(x).argmax(axis=1)
        self.switch(was_training)
        return classes


@mistake(
    earns=14.0,
    hint="Begin `fit` with `self.train()`: an evaluation before it may have left the network in inference mode.",
)
class TrainsInTheModeItIsIn(Network):
    """`fit` does not switch to training mode; after `eval()` it trains with running statistics."""

    def __init__(self, weights):
        self.layers = []
        for W in weights[:-1]:
            self.layers += [Linear(W), BatchNorm(W.shape[1]), ReLU()]
        self.layers.append(Linear(weights[-1], np.zeros(weights[-1].shape[1])))

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy):
        for layer in self.layers[::-1]:
            dy = layer.backward(dy)
        return dy

    def fit(self, x, labels, rate, batches):
        losses = []
        for rows in batches:
            loss, dlogits = cross_entropy(self.forward(x[rows]), labels[rows])
            self.backward(dlogits)
            for p, dp in zip(self.parameters(), self.gradients()):
                p -= rate * dp
            losses.append(float(loss))
        return losses

    def predict(self, x):
        was_training = self.training
        self.eval()
        classes = self.forward(x).argmax(axis=1)
        self.switch(was_training)
        return classes


@mistake(
    earns=11.0,
    hint="`eval()` is inference mode. A step normalizes by its batch: begin `fit` with `self.train()`.",
)
class TrainsInInferenceMode(Network):
    """`fit` switches to inference mode, and trains with running statistics."""

    def __init__(self, weights):
        self.layers = []
        for W in weights[:-1]:
            self.layers += [Linear(W), BatchNorm(W.shape[1]), ReLU()]
        self.layers.append(Linear(weights[-1], np.zeros(weights[-1].shape[1])))

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy):
        for layer in self.layers[::-1]:
            dy = layer.backward(dy)
        return dy

    def fit(self, x, labels, rate, batches):
        self.eval()
        losses = []
        for rows in batches:
            loss, dlogits = cross_entropy(self.forward(x[rows]), labels[rows])
            self.backward(dlogits)
            for p, dp in zip(self.parameters(), self.gradients()):
                p -= rate * dp
            losses.append(float(loss))
        return losses

    def predict(self, x):
        was_training = self.training
        self.eval()
        classes = self.forward(x).argmax(axis=1)
        self.switch(was_training)
        return classes


@mistake(earns=11.0, hint="The gradient points to where the loss grows. Subtract it.")
class StepsUphill(Network):
    """The step goes along the gradient, uphill."""

    def __init__(self, weights):
        self.layers = []
        for W in weights[:-1]:
            self.layers += [Linear(W), BatchNorm(W.shape[1]), ReLU()]
        self.layers.append(Linear(weights[-1], np.zeros(weights[-1].shape[1])))

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy):
        for layer in self.layers[::-1]:
            dy = layer.backward(dy)
        return dy

    def fit(self, x, labels, rate, batches):
        self.train()
        losses = []
        for rows in batches:
            loss, dlogits = cross_entropy(self.forward(x[rows]), labels[rows])
            self.backward(dlogits)
            for p, dp in zip(self.parameters(), self.gradients()):
                p += rate * dp
            losses.append(float(loss))
        return losses

    def predict(self, x):
        was_training = self.training
        self.eval()
        classes = self.forward(x).argmax(axis=1)
        self.switch(was_training)
        return classes


@mistake(
    earns=11.0,
    hint="`p = p - rate * dp` gives the name p to a new array. `p -= rate * dp` changes the array that the layer holds.",
)
class StepsOnCopies(Network):
    """The step makes new arrays, and the layers keep the old ones: nothing is learned."""

    def __init__(self, weights):
        self.layers = []
        for W in weights[:-1]:
            self.layers += [Linear(W), BatchNorm(W.shape[1]), ReLU()]
        self.layers.append(Linear(weights[-1], np.zeros(weights[-1].shape[1])))

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy):
        for layer in self.layers[::-1]:
            dy = layer.backward(dy)
        return dy

    def fit(self, x, labels, rate, batches):
        self.train()
        losses = []
        for rows in batches:
            loss, dlogits = cross_entropy(self.forward(x[rows]), labels[rows])
            self.backward(dlogits)
            for p, dp in zip(self.parameters(), self.gradients()):
                p = p - rate * dp
            losses.append(float(loss))
        return losses

    def predict(self, x):
        was_training = self.training
        self.eval()
        classes = self.forward(x).argmax(axis=1)
        self.switch(was_training)
        return classes


@mistake(
    earns=11.0,
    hint="Each batch is a step of its own: the loop that changes the parameters belongs into the loop over the batches, after `backward`.",
)
class StepsOnceAtTheEnd(Network):
    """There is one step, after the last batch, with the gradients of that batch alone."""

    def __init__(self, weights):
        self.layers = []
        for W in weights[:-1]:
            self.layers += [Linear(W), BatchNorm(W.shape[1]), ReLU()]
        self.layers.append(Linear(weights[-1], np.zeros(weights[-1].shape[1])))

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy):
        for layer in self.layers[::-1]:
            dy = layer.backward(dy)
        return dy

    def fit(self, x, labels, rate, batches):
        self.train()
        losses = []
        for rows in batches:
            loss, dlogits = cross_entropy(self.forward(x[rows]), labels[rows])
            self.backward(dlogits)
            losses.append(float(loss))
        for p, dp in zip(self.parameters(), self.gradients()):
            p -= rate * dp
        return losses

    def predict(self, x):
        was_training = self.training
        self.eval()
        classes = self.forward(x).argmax(axis=1)
        self.switch(was_training)
        return classes


@mistake(
    earns=11.0,
    hint="γ and β are parameters like W, and receive gradients: step along all that `parameters()` lists.",
)
class TrainsTheMatricesOnly(Network):
    """Only the matrices are trained: γ, β and the output bias stay as they were."""

    def __init__(self, weights):
        self.layers = []
        for W in weights[:-1]:
            self.layers += [Linear(W), BatchNorm(W.shape[1]), ReLU()]
        self.layers.append(Linear(weights[-1], np.zeros(weights[-1].shape[1])))

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy):
        for layer in self.layers[::-1]:
            dy = layer.backward(dy)
        return dy

    def fit(self, x, labels, rate, batches):
        self.train()
        losses = []
        for rows in batches:
            loss, dlogits = cross_entropy(self.forward(x[rows]), labels[rows])
            self.backward(dlogits)
            for p, dp in zip(self.parameters(), self.gradients()):
                if p.ndim == 2:
                    p -= rate * dp
            losses.append(float(loss))
        return losses

    def predict(self, x):
        was_training = self.training
        self.eval()
        classes = self.forward(x).argmax(axis=1)
        self.switch(was_training)
        return classes


@mistake(
    earns=11.0,
    hint="`cross_entropy` has divided by the number of samples. The step is rate times the gradient.",
)
class SharesTheStepBetweenSamples(Network):
    """The gradient is divided by the batch size once more."""

    def __init__(self, weights):
        self.layers = []
        for W in weights[:-1]:
            self.layers += [Linear(W), BatchNorm(W.shape[1]), ReLU()]
        self.layers.append(Linear(weights[-1], np.zeros(weights[-1].shape[1])))

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy):
        for layer in self.layers[::-1]:
            dy = layer.backward(dy)
        return dy

    def fit(self, x, labels, rate, batches):
        self.train()
        losses = []
        for rows in batches:
            loss, dlogits = cross_entropy(self.forward(x[rows]), labels[rows])
            self.backward(dlogits)
            for p, dp in zip(self.parameters(), self.gradients()):
                p -= rate * dp / len(rows)
            losses.append(float(loss))
        return losses

    def predict(self, x):
        was_training = self.training
        self.eval()
        classes = self.forward(x).argmax(axis=1)
        self.switch(was_training)
        return classes


@mistake(
    earns=11.0,
    hint="`batches` holds arrays of row numbers: a step sees `x[rows]` and `labels[rows]` only.",
)
class TrainsOnAllRows(Network):
    """Every step uses all rows; `batches` is ignored."""

    def __init__(self, weights):
        self.layers = []
        for W in weights[:-1]:
            self.layers += [Linear(W), BatchNorm(W.shape[1]), ReLU()]
        self.layers.append(Linear(weights[-1], np.zeros(weights[-1].shape[1])))

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy):
        for layer in self.layers[::-1]:
            dy = layer.backward(dy)
        return dy

    def fit(self, x, labels, rate, batches):
        self.train()
        losses = []
        for _ in batches:
            loss, dlogits = cross_entropy(self.forward(x), labels)
            self.backward(dlogits)
            for p, dp in zip(self.parameters(), self.gradients()):
                p -= rate * dp
            losses.append(float(loss))
        return losses

    def predict(self, x):
        was_training = self.training
        self.eval()
        classes = self.forward(x).argmax(axis=1)
        self.switch(was_training)
        return classes


@mistake(earns=11.0, hint="`return` belongs after the loop: mind its indentation.")
class StopsAfterOneBatch(Network):
    """`fit` returns after the first batch."""

    def __init__(self, weights):
        self.layers = []
        for W in weights[:-1]:
            self.layers += [Linear(W), BatchNorm(W.shape[1]), ReLU()]
        self.layers.append(Linear(weights[-1], np.zeros(weights[-1].shape[1])))

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy):
        for layer in self.layers[::-1]:
            dy = layer.backward(dy)
        return dy

    def fit(self, x, labels, rate, batches):
        self.train()
        losses = []
        for rows in batches:
            loss, dlogits = cross_entropy(self.forward(x[rows]), labels[rows])
            self.backward(dlogits)
            for p, dp in zip(self.parameters(), self.gradients()):
                p -= rate * dp
            losses.append(float(loss))
            return losses

    def predict(self, x):
        was_training = self.training
        self.eval()
        classes = self.forward(x).argmax(axis=1)
        self.switch(was_training)
        return classes


@mistake(
    earns=11.0,
    hint="Record the loss that the forward pass of the step has found. A second forward pass costs time, and counts the batch twice in the running statistics.",
)
class RecordsTheLossAfterTheStep(Network):
    """The losses are those after each step, which needs another forward pass."""

    def __init__(self, weights):
        self.layers = []
        for W in weights[:-1]:
            self.layers += [Linear(W), BatchNorm(W.shape[1]), ReLU()]
        self.layers.append(Linear(weights[-1], np.zeros(weights[-1].shape[1])))

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy):
        for layer in self.layers[::-1]:
            dy = layer.backward(dy)
        return dy

    def fit(self, x, labels, rate, batches):
        self.train()
        losses = []
        for rows in batches:
            loss, dlogits = cross_entropy(self.forward(x[rows]), labels[rows])
            self.backward(dlogits)
            for p, dp in zip(self.parameters(), self.gradients()):
                p -= rate * dp
            loss, _ = cross_entropy(self.forward(x[rows]), labels[rows])
            losses.append(float(loss))
        return losses

    def predict(self, x):
        was_training = self.training
        self.eval()
        classes = self.forward(x).argmax(axis=1)
        self.switch(was_training)
        return classes


@mistake(
    earns=11.0,
    hint="Return the list: a curve says whether the training goes well, a single number does not.",
)
class ReturnsTheLastLoss(Network):
    """`fit` returns the last loss only."""

    def __init__(self, weights):
        self.layers = []
        for W in weights[:-1]:
            self.layers += [Linear(W), BatchNorm(W.shape[1]), ReLU()]
        self.layers.append(Linear(weights[-1], np.zeros(weights[-1].shape[1])))

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy):
        for layer in self.layers[::-1]:
            dy = layer.backward(dy)
        return dy

    def fit(self, x, labels, rate, batches):
        self.train()
        losses = []
        for rows in batches:
            loss, dlogits = cross_entropy(self.forward(x[rows]), labels[rows])
            self.backward(dlogits)
            for p, dp in zip(self.parameters(), self.gradients()):
                p -= rate * dp
            losses.append(float(loss))
        return losses[-1]

    def predict(self, x):
        was_training = self.training
        self.eval()
        classes = self.forward(x).argmax(axis=1)
        self.switch(was_training)
        return classes


class MLPInSteps(Network):
    def __init__(self, weights):
        self.linears = [Linear(W) for W in weights[:-1]]
        self.norms = [BatchNorm(W.shape[1]) for W in weights[:-1]]
        self.relus = [ReLU() for _ in weights[:-1]]
        self.out = Linear(weights[-1], np.zeros(weights[-1].shape[1]))
        triples = zip(self.linears, self.norms, self.relus)
        self.layers = [layer for triple in triples for layer in triple] + [self.out]

    def forward(self, x):
        for linear, norm, relu in zip(self.linears, self.norms, self.relus):
            x = relu.forward(norm.forward(linear.forward(x)))
        return self.out.forward(x)

    def backward(self, dlogits):
        d = self.out.backward(dlogits)
        for i in reversed(range(len(self.linears))):
            d = self.relus[i].backward(d)
            d = self.norms[i].backward(d)
            d = self.linears[i].backward(d)
        return d

    def fit(self, x, labels, rate, batches):
        losses = []
        self.train()
        for batch in batches:
            loss, d = cross_entropy(self.forward(x[batch]), labels[batch])
            self.backward(d)
            for layer in self.layers:
                for name in layer.params:
                    layer.params[name] = layer.params[name] - rate * layer.grads[name]
            losses.append(loss)
        return losses

    def predict(self, x):
        modes = [norm.training for norm in self.norms]
        self.eval()
        logits = self.forward(x)
        for norm, mode in zip(self.norms, modes):
            norm.training = mode
        self.training = all(modes)
        return np.argmax(logits, axis=1)


class MLPOnItsOwn:
    def __init__(self, weights):
        *hidden, last = weights
        self.blocks = [(Linear(W), BatchNorm(len(W.T)), ReLU()) for W in hidden]
        self.last = Linear(last, np.zeros(last.shape[1]))
        self.sequence = [layer for block in self.blocks for layer in block] + [self.last]
        self.mode = True

    def train(self, mode=True):
        for _, norm, _ in self.blocks:
            norm.training = mode
        self.mode = mode

    def eval(self):
        self.train(False)

    def forward(self, x):
        for layer in self.sequence:
            x = layer.forward(x)
        return x

    def backward(self, d):
        for layer in reversed(self.sequence):
            d = layer.backward(d)
        return d

    def parameters(self):
        found = []
        for layer in self.sequence:
            found.extend(layer.params.values())
        return found

    def gradients(self):
        return [layer.grads[k] for layer in self.sequence for k in layer.params]

    def fit(self, x, labels, rate, batches):
        self.train()

        def one(rows):
            loss, d = cross_entropy(self.forward(x[rows]), labels[rows])
            self.backward(d)
            for p, g in zip(self.parameters(), self.gradients()):
                np.subtract(p, rate * g, out=p)
            return loss

        return np.array([one(rows) for rows in batches])

    def predict(self, x):
        before = self.mode
        self.eval()
        try:
            return self.forward(x).argmax(1).astype(np.int32)
        finally:
            self.train(before)


# --- learning_rate_sweep ---------------------------------------------------------------------


def accuracy(network, x, labels):
    """The share of samples whose largest logit is that of their label."""
    hidden = np.maximum(x @ network["W1"], 0)
    return float(np.mean((hidden @ network["W2"]).argmax(axis=1) == labels))


def train(network, x, labels, rate, steps):
    """Train the network in place, on all samples at once; returns the steps + 1 losses."""
    losses = []
    with np.errstate(all="ignore"):
        for step in range(steps + 1):
            hidden = np.maximum(x @ network["W1"], 0)
            loss, dlogits = cross_entropy(hidden @ network["W2"], labels)
            losses.append(float(loss))
            if step < steps:
                dhidden = dlogits @ network["W2"].T * (hidden > 0)
                network["W2"] -= rate * hidden.T @ dlogits
                network["W1"] -= rate * x.T @ dhidden
    return losses


def learning_rate_sweep(start, training, validation, rates, steps=5):
    accuracies, diverged = [], []
    for rate in rates:
        network = copy.deepcopy(start)
        losses = train(network, *training, rate, steps)
        failed = not losses[-1] <= losses[0]
        accuracies.append(0.0 if failed else accuracy(network, *validation))
        diverged.append(failed)
    sound = [(-a, rate) for a, rate, bad in zip(accuracies, rates, diverged) if not bad]
    return {
        "accuracies": accuracies,
        "diverged": diverged,
        "best": min(sound)[1] if sound else None,
    }


RATES = (0.3, 1e200, 0.03, 0.0, 1000.0)
# In between, losses go up and down.
WILD = (3.0, 4.0, 5.0, 6.0, 8.0, 0.01)


def sweepable(rng, samples=24):
    """A small network, and a training set of three classes that it can learn.

    Its loss begins well above 1, so that an answer that compares with 1 gets the same points always.
    """
    while True:
        start = {"W1": rng.normal(size=(4, 8)) * 0.7, "W2": rng.normal(size=(8, 3)) * 0.5}
        labels = rng.permutation(np.arange(samples) % 3)
        x = rng.normal(size=(samples, 4)) * 0.5
        x[np.arange(samples), labels] += 2
        if cross_entropy(np.maximum(x @ start["W1"], 0) @ start["W2"], labels)[0] > 1.3:
            return start, (x, labels)


def losses_at(rates, start, x, labels, steps):
    """What `train` returns at each of several rates, for all of them at once, (rates, steps + 1)."""
    rate, one_hot = rates[:, None, None], np.eye(3)[labels]
    W1, W2 = start["W1"], start["W2"]
    losses = []
    for _ in range(steps + 1):
        hidden = np.maximum(x @ W1, 0)
        logits = hidden @ W2
        logits = logits - logits.max(axis=-1, keepdims=True)
        exps = np.exp(logits)
        sums = exps.sum(axis=-1, keepdims=True)
        losses.append(np.mean(np.log(sums[..., 0]) - (logits * one_hot).sum(axis=-1), axis=-1))
        dlogits = (exps / sums - one_hot) / len(x)
        dhidden = dlogits @ W2.swapaxes(-1, -2) * (hidden > 0)
        W2 = W2 - rate * hidden.swapaxes(-1, -2) @ dlogits
        W1 = W1 - rate * x.T @ dhidden
    return np.transpose([np.broadcast_to(loss, len(rates)) for loss in losses])


def run_that(is_so, rng):
    """A network, data, and a rate with which the losses of five steps are of a certain kind."""
    rates = np.geomspace(2.0, 7.0, 12)
    while True:  # one problem in four has such a run, or more
        start, training = sweepable(rng)
        for rate, losses in zip(rates, losses_at(rates, start, *training, 7)):
            for step in range(3):
                if is_so(losses[step : step + 6]):
                    train(start, *training, rate, step)
                    return start, training, float(rate)


def recovers(losses):
    """Whether the losses rise first, and end well below their start."""
    return max(losses) > 1.05 * losses[0] and losses[-1] < 0.95 * losses[0]


def rises_at_the_end(losses):
    """Whether they end above the loss before, and well below their start."""
    return 1.05 * losses[-2] < losses[-1] < 0.95 * losses[0]


def grows_a_little(losses):
    """Whether they end above their start, and are still small."""
    return 1.05 * losses[0] < losses[-1] < 5


@probe(2)
def each_rate_starts_afresh(f, rng):
    """Each rate begins with the same weights: accuracies are those of separate trainings."""
    start, training = sweepable(rng)
    W1 = start["W1"]
    rates = (0.05, 0.01, 0.2, 0.01)
    _, (x, labels) = sweepable(rng, samples=120)
    validation = (x + rng.normal(size=x.shape), labels)
    return {
        "the accuracies after 3 steps": f({**start}, training, validation, rates, steps=3)[
            "accuracies"
        ],
        "the accuracies after 5 steps": f({**start}, training, validation, rates)["accuracies"],
        "W1 of start": Argument(W1),
    }


def shuffled(rng, *rates):
    """These rates, in any order."""
    return tuple(float(rate) for rate in rng.permutation(rates))


def truths(values):
    """A list of truth values; the numbers 0 and 1 are as good."""
    if not isinstance(values, list):
        return values
    return [bool(v) if isinstance(v, (int, np.integer)) and v in (0, 1) else v for v in values]


@probe(2)
def diverged_runs_are_marked(f, rng):
    """A run whose last loss is not finite, or above its first, has diverged, and counts as 0."""
    start, training = sweepable(rng)
    _, validation = sweepable(rng)
    # At rates where training diverges, it does not on these.
    faint = (1e-3 * validation[0], validation[1])
    rates = RATES[:: rng.choice([1, -1])]  # nobody knows before where they stand
    found = f({**start}, training, validation, rates, steps=5)
    accuracies = found["accuracies"]
    kinds = {
        "rose, and fell again": recovers,
        "fell, and rose at the end, to less than the first": rises_at_the_end,
        "grew a little": grows_a_little,
    }
    moving = {}
    for kind, is_so in kinds.items():
        other, other_training, rate = run_that(is_so, rng)
        moving[f"which runs diverged, of one whose losses {kind}, and one at 0.01"] = truths(
            f(other, other_training, validation, shuffled(rng, rate, 0.01), steps=5)["diverged"]
        )
    return {
        "which runs diverged": truths(found["diverged"]),
        "which runs at rates from 0.01 to 8 diverged": truths(
            f({**start}, training, validation, WILD, steps=5)["diverged"]
        ),
        "which runs of one step at rates 1000 and 0.01 diverged": truths(
            f({**start}, training, faint, shuffled(rng, 1000.0, 0.01), steps=1)["diverged"]
        ),
        "the accuracies of the runs at the large rates": (
            None if accuracies is None else [accuracies[rates.index(r)] for r in (1e200, 1000.0)]
        ),
        **moving,
    }


def after(rate, start, training):
    """The network that training at a rate leads to."""
    network = copy.deepcopy(start)
    train(network, *training, rate, 5)
    return network


def worth_learning(rng):
    """A problem, a validation set for which training at 0.4 surely helps, and one for which none does.

    In the latter, what is learned is wrong: the best network is the one that learned least.
    """
    while True:  # most problems are like this
        start, training = sweepable(rng)
        _, alike = sweepable(rng)
        if accuracy(after(0.4, start, training), *alike) > accuracy(start, *alike) + 0.1:
            answers = (np.maximum(training[0] @ start["W1"], 0) @ start["W2"]).argmax(axis=1)
            return start, training, alike, (training[0], answers)


@probe(2)
def best_by_validation(f, rng):
    """The best rate is the one of the highest validation accuracy."""
    start, training, alike, wrong = worth_learning(rng)
    return {
        # In several orders: a rate that is best in another way is not the same in all of them.
        "the best rate when learning helps": [
            f({**start}, training, alike, rates)["best"]
            for rates in ((1e-6, 0.4, 1e-5), (0.4, 1e-6, 1e-5), (1e-5, 1e-6, 0.4))
        ],
        "the best rate when learning harms": f({**start}, training, wrong, (0.9, 0.5, 1e-6, 0.7))[
            "best"
        ],
    }


def always_the_smallest(f, rng):
    """Whether the smallest rate is the best when learning helps, and when it harms: it is cheap to say so."""
    start, training, alike, wrong = worth_learning(rng)
    helps = f({**start}, training, alike, (1e-6, 1e-5, 0.4))["best"]
    harms = f({**start}, training, wrong, (0.9, 0.5, 1e-6, 0.7))["best"]
    return helps == harms == 1e-6


@probe(1)
def a_diverged_run_never_wins(f, rng):
    """A network full of NaN always answers "class 0"; even where that is right, it does not win."""
    start, training = sweepable(rng)
    # The sound network never answers class 0 itself: these samples are among those where it does not.
    start["W2"][:, :2] = np.abs(start["W2"][:, :2]) * [-1, 1]
    sound = copy.deepcopy(start)
    train(sound, *training, 0.01, 5)
    x = rng.normal(size=(300, 4))
    answers = (np.maximum(x @ sound["W1"], 0) @ sound["W2"]).argmax(axis=1)
    zeros = (x[answers > 0][:30], np.zeros(30, dtype=int))
    orders = ((1e200, 0.01, 1e201), (0.01, 1e201, 1e200), (1e201, 1e200, 0.01))
    return {
        "the best rate": [f({**start}, training, zeros, rates)["best"] for rates in orders],
        "whether the smallest is always the best": always_the_smallest(f, rng),
    }


@probe(1)
def equally_good_rates(f, rng):
    """Of equally good rates the smallest is the best, wherever it stands in the list."""
    start, training = sweepable(rng)
    while accuracy(start, *training) == 0:  # what is equally bad is asked elsewhere
        start, training = sweepable(rng)
    rates = (3e-6, 2e-6, 1e-6, 4e-6)
    found = f(start, training, training, rates, steps=2)
    return {
        "the best of four rates that change next to nothing": found["best"],
        "whether the smallest is always the best": always_the_smallest(f, rng),
    }


@probe(1, hidden=True)
def all_runs_diverged(f, rng):
    """When all runs diverged there is no best rate: None."""
    start, training = sweepable(rng)
    found = f(start, training, training, (1e200, 1e201))
    start, training = sweepable(rng)
    sound = f(start, training, training, (0.4,), steps=10)
    return {
        "the best rate": found["best"],
        "which runs diverged": truths(found["diverged"]),
        "the best rate when a run did not diverge": (
            None if sound["best"] is None else "there is one"
        ),
    }


@mistake(
    earns=2.0,
    hint="`train` changes the arrays in place. `dict(start)` and `start.copy()` are shallow: the new dictionary holds the same arrays. Copy each of them, or use `copy.deepcopy`, for every rate.",
)
def goes_on_where_the_last_rate_ended(start, training, validation, rates, steps=5):
    """Each rate goes on where the one before it ended: the arrays of `start` are not copied."""
    accuracies, diverged = [], []
    for rate in rates:
        network = start
        losses = train(network, *training, rate, steps)
        failed = not losses[-1] <= losses[0]
        accuracies.append(0.0 if failed else accuracy(network, *validation))
        diverged.append(failed)
    sound = [(-a, rate) for a, rate, bad in zip(accuracies, rates, diverged) if not bad]
    return {
        "accuracies": accuracies,
        "diverged": diverged,
        "best": min(sound)[1] if sound else None,
    }


@mistake(
    earns=2.0,
    hint="Copy inside the loop: the second rate must not begin with what the first has learned.",
)
def copies_once(start, training, validation, rates, steps=5):
    """The network is copied once, before the loop, and all rates share that copy."""
    accuracies, diverged = [], []
    network = copy.deepcopy(start)
    for rate in rates:
        losses = train(network, *training, rate, steps)
        failed = not losses[-1] <= losses[0]
        accuracies.append(0.0 if failed else accuracy(network, *validation))
        diverged.append(failed)
    sound = [(-a, rate) for a, rate, bad in zip(accuracies, rates, diverged) if not bad]
    return {
        "accuracies": accuracies,
        "diverged": diverged,
        "best": min(sound)[1] if sound else None,
    }


@mistake(
    earns=7.0,
    hint="What the network has seen says little about what it has learned. Choose by the validation set.",
)
def chooses_by_training_accuracy(start, training, validation, rates, steps=5):
    """The best rate is chosen by the accuracy on the training set."""
    accuracies, diverged = [], []
    for rate in rates:
        network = copy.deepcopy(start)
        losses = train(network, *training, rate, steps)
        failed = not losses[-1] <= losses[0]
        accuracies.append(0.0 if failed else accuracy(network, *validation))
        diverged.append(failed)
    seen = []
    for rate in rates:
        network = copy.deepcopy(start)
        train(network, *training, rate, steps)
        seen.append(accuracy(network, *training))
    sound = [(-a, rate) for a, rate, bad in zip(seen, rates, diverged) if not bad]
    return {
        "accuracies": accuracies,
        "diverged": diverged,
        "best": min(sound)[1] if sound else None,
    }


@mistake(
    earns=5.0,
    hint="The accuracy that counts is that on samples which the network was not trained on: `validation`.",
)
def measures_on_the_training_set(start, training, validation, rates, steps=5):
    """The accuracies are those on the training set."""
    accuracies, diverged = [], []
    for rate in rates:
        network = copy.deepcopy(start)
        losses = train(network, *training, rate, steps)
        failed = not losses[-1] <= losses[0]
        accuracies.append(0.0 if failed else accuracy(network, *training))
        diverged.append(failed)
    sound = [(-a, rate) for a, rate, bad in zip(accuracies, rates, diverged) if not bad]
    return {
        "accuracies": accuracies,
        "diverged": diverged,
        "best": min(sound)[1] if sound else None,
    }


@mistake(
    earns=6.0,
    hint="A low training loss may be mere memory. Choose by the accuracy on the validation set.",
)
def chooses_by_the_last_loss(start, training, validation, rates, steps=5):
    """The best rate is the one with the lowest training loss."""
    accuracies, diverged, last = [], [], []
    for rate in rates:
        network = copy.deepcopy(start)
        losses = train(network, *training, rate, steps)
        failed = not losses[-1] <= losses[0]
        accuracies.append(0.0 if failed else accuracy(network, *validation))
        diverged.append(failed)
        last.append(losses[-1])
    sound = [(a, rate) for a, rate, bad in zip(last, rates, diverged) if not bad]
    return {
        "accuracies": accuracies,
        "diverged": diverged,
        "best": min(sound)[1] if sound else None,
    }


@mistake(
    earns=5.0,
    hint="A network full of NaN has an accuracy, too: argmax of NaN is 0, so it is the share of class 0. Ask the losses whether the run went well.",
)
def never_sees_a_divergence(start, training, validation, rates, steps=5):
    """No run is ever marked as diverged."""
    accuracies, diverged = [], []
    for rate in rates:
        network = copy.deepcopy(start)
        train(network, *training, rate, steps)
        failed = False
        accuracies.append(0.0 if failed else accuracy(network, *validation))
        diverged.append(failed)
    sound = [(-a, rate) for a, rate, bad in zip(accuracies, rates, diverged) if not bad]
    return {
        "accuracies": accuracies,
        "diverged": diverged,
        "best": min(sound)[1] if sound else None,
    }


@mistake(
    earns=7.0, hint="A run can blow up and stay finite. Compare the last loss with the first, too."
)
def asks_only_for_nan(start, training, validation, rates, steps=5):
    """Only a loss of NaN or infinity counts as diverged, not one that has grown."""
    accuracies, diverged = [], []
    for rate in rates:
        network = copy.deepcopy(start)
        losses = train(network, *training, rate, steps)
        failed = not np.isfinite(losses[-1])
        accuracies.append(0.0 if failed else accuracy(network, *validation))
        diverged.append(failed)
    sound = [(-a, rate) for a, rate, bad in zip(accuracies, rates, diverged) if not bad]
    return {
        "accuracies": accuracies,
        "diverged": diverged,
        "best": min(sound)[1] if sound else None,
    }


@mistake(
    earns=7.0,
    hint="A large rate may throw the loss up in the first steps, and the run recovers. What counts is "
    "where it ends: compare the last loss with the first.",
)
def gives_up_runs_that_recover(start, training, validation, rates, steps=5):
    """A run counts as diverged if any of its losses is above the first, not only if the last is."""
    accuracies, diverged = [], []
    for rate in rates:
        network = copy.deepcopy(start)
        losses = train(network, *training, rate, steps)
        failed = not max(losses) <= losses[0] or not np.all(np.isfinite(losses))
        accuracies.append(0.0 if failed else accuracy(network, *validation))
        diverged.append(failed)
    sound = [(-a, rate) for a, rate, bad in zip(accuracies, rates, diverged) if not bad]
    return {
        "accuracies": accuracies,
        "diverged": diverged,
        "best": min(sound)[1] if sound else None,
    }


@mistake(
    earns=7.0,
    hint="A loss may go up and down on its way. What counts is whether the run has come down at all: "
    "compare the last loss, `losses[-1]`, with the first, `losses[0]`.",
)
def compares_with_the_step_before(start, training, validation, rates, steps=5):
    """A run counts as diverged if its last loss is above the one before it, not above the first."""
    accuracies, diverged = [], []
    for rate in rates:
        network = copy.deepcopy(start)
        losses = train(network, *training, rate, steps)
        failed = not losses[-1] <= losses[-2]
        accuracies.append(0.0 if failed else accuracy(network, *validation))
        diverged.append(failed)
    sound = [(-a, rate) for a, rate, bad in zip(accuracies, rates, diverged) if not bad]
    return {
        "accuracies": accuracies,
        "diverged": diverged,
        "best": min(sound)[1] if sound else None,
    }


@mistake(
    earns=1.0,
    hint="Where a loss begins depends on the data and the weights, so no fixed number says that it has grown. Compare the last loss with the first.",
)
def compares_with_one(start, training, validation, rates, steps=5):
    """A run counts as diverged if its last loss is above 1, wherever it began."""
    accuracies, diverged = [], []
    for rate in rates:
        network = copy.deepcopy(start)
        losses = train(network, *training, rate, steps)
        failed = not losses[-1] <= 1
        accuracies.append(0.0 if failed else accuracy(network, *validation))
        diverged.append(failed)
    sound = [(-a, rate) for a, rate, bad in zip(accuracies, rates, diverged) if not bad]
    return {
        "accuracies": accuracies,
        "diverged": diverged,
        "best": min(sound)[1] if sound else None,
    }


@mistake(
    earns=5.0,
    hint="Every comparison with NaN is False, `nan > 1` as well. Ask `np.isfinite`, or turn the condition around: not (last <= first).",
)
def compares_with_nan(start, training, validation, rates, steps=5):
    """A run counts as diverged if its last loss is above its first; NaN is above nothing."""
    accuracies, diverged = [], []
    for rate in rates:
        network = copy.deepcopy(start)
        losses = train(network, *training, rate, steps)
        failed = losses[-1] > losses[0]
        accuracies.append(0.0 if failed else accuracy(network, *validation))
        diverged.append(failed)
    sound = [(-a, rate) for a, rate, bad in zip(accuracies, rates, diverged) if not bad]
    return {
        "accuracies": accuracies,
        "diverged": diverged,
        "best": min(sound)[1] if sound else None,
    }


@mistake(
    earns=7.0,
    hint="A network of NaN answers class 0 every time, and is right now and then. A run that failed counts as 0.",
)
def keeps_the_accuracy_of_failures(start, training, validation, rates, steps=5):
    """Diverged runs are marked, but keep an accuracy that means nothing."""
    accuracies, diverged = [], []
    for rate in rates:
        network = copy.deepcopy(start)
        losses = train(network, *training, rate, steps)
        failed = not losses[-1] <= losses[0]
        accuracies.append(accuracy(network, *validation))
        diverged.append(failed)
    sound = [(-a, rate) for a, rate, bad in zip(accuracies, rates, diverged) if not bad]
    return {
        "accuracies": accuracies,
        "diverged": diverged,
        "best": min(sound)[1] if sound else None,
    }


@mistake(earns=5.0, hint="Choose among the runs that did not diverge.")
def lets_failures_win(start, training, validation, rates, steps=5):
    """A diverged run can be the best."""
    accuracies, diverged = [], []
    for rate in rates:
        network = copy.deepcopy(start)
        losses = train(network, *training, rate, steps)
        failed = not losses[-1] <= losses[0]
        accuracies.append(accuracy(network, *validation))
        diverged.append(failed)
    sound = [(-a, rate) for a, rate, bad in zip(accuracies, rates, diverged)]
    return {
        "accuracies": accuracies,
        "diverged": diverged,
        "best": min(sound)[1] if sound else None,
    }


@mistake(earns=5.0, hint="A failure is a result: the lists have an entry for each rate.")
def leaves_failures_out(start, training, validation, rates, steps=5):
    """Diverged runs are left out of the lists, so that these no longer match the rates."""
    accuracies, diverged = [], []
    for rate in rates:
        network = copy.deepcopy(start)
        losses = train(network, *training, rate, steps)
        failed = not losses[-1] <= losses[0]
        if not failed:
            accuracies.append(accuracy(network, *validation))
            diverged.append(failed)
    sound = [(-a, rate) for a, rate, bad in zip(accuracies, rates, diverged) if not bad]
    return {
        "accuracies": accuracies,
        "diverged": diverged,
        "best": min(sound)[1] if sound else None,
    }


@mistake(
    earns=5.0,
    hint="The rates are in no particular order, and later ones may be sound: go on with the next.",
)
def stops_at_the_first_failure(start, training, validation, rates, steps=5):
    """The sweep ends at the first rate that diverges."""
    accuracies, diverged = [], []
    for rate in rates:
        network = copy.deepcopy(start)
        losses = train(network, *training, rate, steps)
        failed = not losses[-1] <= losses[0]
        if failed:
            break
        accuracies.append(0.0 if failed else accuracy(network, *validation))
        diverged.append(failed)
    sound = [(-a, rate) for a, rate, bad in zip(accuracies, rates, diverged) if not bad]
    return {
        "accuracies": accuracies,
        "diverged": diverged,
        "best": min(sound)[1] if sound else None,
    }


@mistake(earns=5.0, hint="In a sweep some runs are expected to fail. Note it, and go on.")
def raises_on_a_failure(start, training, validation, rates, steps=5):
    """A run that diverges ends the sweep with an error."""
    accuracies, diverged = [], []
    for rate in rates:
        network = copy.deepcopy(start)
        losses = train(network, *training, rate, steps)
        failed = not losses[-1] <= losses[0]
        if failed:
            raise FloatingPointError(f"diverged at rate {rate}")
        accuracies.append(0.0 if failed else accuracy(network, *validation))
        diverged.append(failed)
    sound = [(-a, rate) for a, rate, bad in zip(accuracies, rates, diverged) if not bad]
    return {
        "accuracies": accuracies,
        "diverged": diverged,
        "best": min(sound)[1] if sound else None,
    }


@mistake(earns=8.0, hint="With the same accuracy, the smaller rate is the safer one.")
def takes_the_first_of_equals(start, training, validation, rates, steps=5):
    """Of equally good rates the first in the list is taken, not the smallest."""
    accuracies, diverged = [], []
    for rate in rates:
        network = copy.deepcopy(start)
        losses = train(network, *training, rate, steps)
        failed = not losses[-1] <= losses[0]
        accuracies.append(0.0 if failed else accuracy(network, *validation))
        diverged.append(failed)
    sound = [(-a, rate) for a, rate, bad in zip(accuracies, rates, diverged) if not bad]
    return {
        "accuracies": accuracies,
        "diverged": diverged,
        "best": min(sound, key=lambda pair: pair[0])[1] if sound else None,
    }


@mistake(earns=8.0, hint="With the same accuracy, the smaller rate is the safer one.")
def takes_the_largest_of_equals(start, training, validation, rates, steps=5):
    """Of equally good rates the largest is taken."""
    accuracies, diverged = [], []
    for rate in rates:
        network = copy.deepcopy(start)
        losses = train(network, *training, rate, steps)
        failed = not losses[-1] <= losses[0]
        accuracies.append(0.0 if failed else accuracy(network, *validation))
        diverged.append(failed)
    sound = [(-a, -rate) for a, rate, bad in zip(accuracies, rates, diverged) if not bad]
    return {
        "accuracies": accuracies,
        "diverged": diverged,
        "best": -min(sound)[1] if sound else None,
    }


@mistake(earns=5.0, hint="`argmax` finds where the best is: look the rate up.")
def returns_the_place_of_the_best(start, training, validation, rates, steps=5):
    """`best` is the place in the list, not the rate."""
    accuracies, diverged = [], []
    for rate in rates:
        network = copy.deepcopy(start)
        losses = train(network, *training, rate, steps)
        failed = not losses[-1] <= losses[0]
        accuracies.append(0.0 if failed else accuracy(network, *validation))
        diverged.append(failed)
    sound = [(-a, rate) for a, rate, bad in zip(accuracies, rates, diverged) if not bad]
    return {
        "accuracies": accuracies,
        "diverged": diverged,
        "best": rates.index(min(sound)[1]) if sound else None,
    }


@mistake(
    earns=4.0,
    hint="Look up what stands at that place in `rates`. And `argmax` takes the first of equals, also "
    "of the zeros of runs that all diverged: see to both.",
)
def returns_the_place_of_the_largest_accuracy(start, training, validation, rates, steps=5):
    """`best` is what `argmax` says of the accuracies, a place in the list, not the rate."""
    accuracies, diverged = [], []
    for rate in rates:
        network = copy.deepcopy(start)
        losses = train(network, *training, rate, steps)
        failed = not losses[-1] <= losses[0]
        accuracies.append(0.0 if failed else accuracy(network, *validation))
        diverged.append(failed)
    return {
        "accuracies": accuracies,
        "diverged": diverged,
        "best": int(np.argmax(accuracies)),
    }


@mistake(earns=5.0, hint="The question is which rate to train with.")
def returns_the_best_accuracy(start, training, validation, rates, steps=5):
    """`best` is the highest accuracy, not its rate."""
    accuracies, diverged = [], []
    for rate in rates:
        network = copy.deepcopy(start)
        losses = train(network, *training, rate, steps)
        failed = not losses[-1] <= losses[0]
        accuracies.append(0.0 if failed else accuracy(network, *validation))
        diverged.append(failed)
    sound = [(-a, rate) for a, rate, bad in zip(accuracies, rates, diverged) if not bad]
    return {
        "accuracies": accuracies,
        "diverged": diverged,
        "best": -min(sound)[0] if sound else None,
    }


@mistake(earns=7.0, hint="An accuracy is to be large, a loss small.")
def takes_the_worst(start, training, validation, rates, steps=5):
    """The rate with the lowest accuracy is returned."""
    accuracies, diverged = [], []
    for rate in rates:
        network = copy.deepcopy(start)
        losses = train(network, *training, rate, steps)
        failed = not losses[-1] <= losses[0]
        accuracies.append(0.0 if failed else accuracy(network, *validation))
        diverged.append(failed)
    sound = [(a, rate) for a, rate, bad in zip(accuracies, rates, diverged) if not bad]
    return {
        "accuracies": accuracies,
        "diverged": diverged,
        "best": min(sound)[1] if sound else None,
    }


@mistake(
    earns=6.0,
    hint="An accuracy is to be large. Of pairs `(-accuracy, rate)` the *smallest* is the best: it has the "
    "highest accuracy, and of equally good rates the smallest.",
)
def takes_the_largest_of_the_worst(start, training, validation, rates, steps=5):
    """The rate with the lowest accuracy is returned, and of equally bad ones the largest."""
    accuracies, diverged = [], []
    for rate in rates:
        network = copy.deepcopy(start)
        losses = train(network, *training, rate, steps)
        failed = not losses[-1] <= losses[0]
        accuracies.append(0.0 if failed else accuracy(network, *validation))
        diverged.append(failed)
    sound = [(-a, rate) for a, rate, bad in zip(accuracies, rates, diverged) if not bad]
    return {
        "accuracies": accuracies,
        "diverged": diverged,
        "best": max(sound)[1] if sound else None,
    }


@mistake(earns=7.0, hint="Hand `steps` on to `train`.")
def ignores_the_steps(start, training, validation, rates, steps=5):
    """`steps` is ignored: every run has five."""
    accuracies, diverged = [], []
    for rate in rates:
        network = copy.deepcopy(start)
        losses = train(network, *training, rate, 5)
        failed = not losses[-1] <= losses[0]
        accuracies.append(0.0 if failed else accuracy(network, *validation))
        diverged.append(failed)
    sound = [(-a, rate) for a, rate, bad in zip(accuracies, rates, diverged) if not bad]
    return {
        "accuracies": accuracies,
        "diverged": diverged,
        "best": min(sound)[1] if sound else None,
    }


@mistake(earns=5.0, hint="The caller matches the lists with the rates as given: keep their order.")
def sorts_the_rates(start, training, validation, rates, steps=5):
    """The results are in the order of the sorted rates, not of those given."""
    accuracies, diverged = [], []
    rates = sorted(rates)
    for rate in rates:
        network = copy.deepcopy(start)
        losses = train(network, *training, rate, steps)
        failed = not losses[-1] <= losses[0]
        accuracies.append(0.0 if failed else accuracy(network, *validation))
        diverged.append(failed)
    sound = [(-a, rate) for a, rate, bad in zip(accuracies, rates, diverged) if not bad]
    return {
        "accuracies": accuracies,
        "diverged": diverged,
        "best": min(sound)[1] if sound else None,
    }


@mistake(
    earns=8.0,
    hint="If nothing worked, say so: `best` is None. A search that begins with `best = rates[0]` ends "
    "with it, too, when no run can win.",
)
def finds_a_best_among_failures(start, training, validation, rates, steps=5):
    """When all runs diverged, one of the rates is said to be the best all the same."""
    accuracies, diverged = [], []
    for rate in rates:
        network = copy.deepcopy(start)
        losses = train(network, *training, rate, steps)
        failed = not losses[-1] <= losses[0]
        accuracies.append(0.0 if failed else accuracy(network, *validation))
        diverged.append(failed)
    sound = [(-a, rate) for a, rate, bad in zip(accuracies, rates, diverged) if not bad]
    return {
        "accuracies": accuracies,
        "diverged": diverged,
        "best": min(sound)[1] if sound else min(rates),
    }


@mistake(
    earns=8.0,
    hint="`min`, `max` and `argmax` fail when there is nothing to choose from. Return None for `best` then.",
)
def fails_when_all_runs_failed(start, training, validation, rates, steps=5):
    """When all runs diverged, the minimum of an empty list is taken, which is an error."""
    accuracies, diverged = [], []
    for rate in rates:
        network = copy.deepcopy(start)
        losses = train(network, *training, rate, steps)
        failed = not losses[-1] <= losses[0]
        accuracies.append(0.0 if failed else accuracy(network, *validation))
        diverged.append(failed)
    sound = [(-a, rate) for a, rate, bad in zip(accuracies, rates, diverged) if not bad]
    return {
        "accuracies": accuracies,
        "diverged": diverged,
        "best": min(sound)[1],
    }


@mistake(
    earns=8.0,
    hint="A run that did not diverge may have an accuracy of 0 and be the best there is. Begin below "
    "every accuracy, with -1, or with None, and let only such runs compete: a diverged one has 0, too.",
)
def asks_for_more_than_zero(start, training, validation, rates, steps=5):
    """The search for the best begins with an accuracy of 0, which a sound run has to exceed."""
    accuracies, diverged = [], []
    best, most = None, 0.0
    for rate in rates:
        network = copy.deepcopy(start)
        losses = train(network, *training, rate, steps)
        failed = not losses[-1] <= losses[0]
        a = 0.0 if failed else accuracy(network, *validation)
        accuracies.append(a)
        diverged.append(failed)
        if a > most or (best is not None and a == most and rate < best):
            best, most = rate, a
    return {"accuracies": accuracies, "diverged": diverged, "best": best}


def sweep_by_numpy(start, training, validation, rates, steps=5):
    accuracies, diverged = np.zeros(len(rates)), np.zeros(len(rates), dtype=bool)
    for i, rate in enumerate(rates):
        network = {name: np.array(W) for name, W in start.items()}
        x, labels = training
        losses = train(network, x, labels, rate, steps)
        diverged[i] = not np.isfinite(losses[-1]) or losses[-1] > losses[0]
        if not diverged[i]:
            accuracies[i] = accuracy(network, validation[0], validation[1])
    best = None
    for i in np.argsort(rates):
        if not diverged[i] and (best is None or accuracies[i] > accuracies[best]):
            best = i
    return {
        "accuracies": accuracies.tolist(),
        "diverged": diverged.tolist(),
        "best": None if best is None else rates[best],
    }


def sweep_by_functions(start, training, validation, rates, steps=5):
    def run(rate):
        network = {k: start[k].copy() for k in start}
        first, *_, last = train(network, *training, rate, steps)
        if np.isnan(last) or np.isinf(last) or last > first:
            return 0.0, True
        return accuracy(network, *validation), False

    runs = [run(rate) for rate in rates]
    well = {rate: a for rate, (a, failed) in zip(rates, runs) if not failed}
    top = max(well.values(), default=None)
    return {
        "best": min((rate for rate in well if well[rate] == top), default=None),
        "accuracies": [a for a, _ in runs],
        "diverged": [int(failed) for _, failed in runs],
    }


# --- five networks with one fault each -------------------------------------------------------


class Network1:
    """One hidden layer. `momentum` is the weight of the new batch in the running statistics."""

    def __init__(self, W1, W2, momentum=0.1, eps=1e-5):
        self.W1, self.W2 = W1.copy(), W2.copy()
        self.gamma, self.beta = np.ones(W1.shape[1]), np.zeros(W1.shape[1])
        self.running_mean = np.zeros(W1.shape[1])
        self.running_var = np.ones(W1.shape[1])
        self.momentum, self.eps = momentum, eps
        self.training = True

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def remember(self, mean, var, n):
        """Let the running statistics follow those of a batch of n samples."""
        m = self.momentum
        self.running_mean = m * self.running_mean + (1 - m) * mean
        self.running_var = m * self.running_var + (1 - m) * var * n / (n - 1)

    def normalize(self, s):
        mean, var = self.running_mean, self.running_var
        if self.training:
            mean, var = s.mean(axis=0), s.var(axis=0)
            self.remember(mean, var, len(s))
        self.std = np.sqrt(var + self.eps)
        self.s_hat = (s - mean) / self.std
        return self.gamma * self.s_hat + self.beta

    def normalize_backward(self, dy):
        dgamma, dbeta, n = (dy * self.s_hat).sum(axis=0), dy.sum(axis=0), len(dy)
        ds = self.gamma / self.std * (dy - dbeta / n - self.s_hat * dgamma / n)
        return ds, dgamma, dbeta

    def forward(self, x):
        self.x = x
        self.hidden = np.maximum(self.normalize(x @ self.W1), 0)
        return self.hidden @ self.W2

    def step(self, dlogits, rate):
        ds, dgamma, dbeta = self.normalize_backward(dlogits @ self.W2.T * (self.hidden > 0))
        self.W2 -= rate * self.hidden.T @ dlogits
        self.W1 -= rate * self.x.T @ ds
        self.gamma -= rate * dgamma
        self.beta -= rate * dbeta


class Network2:
    """One hidden layer, with the weight 0.1 of the new batch in the running statistics."""

    def __init__(self, W1, W2):
        size = W1.shape[1]
        self.first, self.relu, self.last = Linear(W1), ReLU(), Linear(W2)
        self.gamma, self.beta = np.ones(size), np.zeros(size)
        self.running_mean, self.running_var = np.zeros(size), np.ones(size)
        self.training = True

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def statistics(self, s):
        mean, var, n = s.mean(axis=0), s.var(axis=0), len(s)
        if self.training:
            self.running_mean = 0.9 * self.running_mean + 0.1 * mean
            self.running_var = 0.9 * self.running_var + 0.1 * var * n / (n - 1)
        return mean, var

    def forward(self, x):
        s = self.first.forward(x)
        mean, var = self.statistics(s)
        self.std = np.sqrt(var + 1e-5)
        self.s_hat = (s - mean) / self.std
        y = self.gamma * self.s_hat + self.beta
        return self.last.forward(self.relu.forward(y))

    def step(self, dlogits, rate):
        dy = self.relu.backward(self.last.backward(dlogits))
        dgamma, dbeta, n = (dy * self.s_hat).sum(axis=0), dy.sum(axis=0), len(dy)
        self.first.backward(self.gamma / self.std * (dy - dbeta / n - self.s_hat * dgamma / n))
        for layer in (self.first, self.last):
            layer.params["W"] -= rate * layer.grads["W"]
        self.gamma -= rate * dgamma
        self.beta -= rate * dbeta


class Network3:
    """For images, (N, C, H, W): 1 × 1 convolution to K channels, batch norm, ReLU, pooling."""

    def __init__(self, W1, W2):
        self.W1, self.W2 = W1.copy(), W2.copy()
        channels = (1, W1.shape[1], 1, 1)
        self.gamma, self.beta = np.ones(channels), np.zeros(channels)
        self.running_mean, self.running_var = np.zeros(channels), np.ones(channels)
        self.training = True

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def statistics(self, s):
        """Mean and (biased) variance, and how many numbers each of them was computed from."""
        mean = s.mean(axis=0, keepdims=True)
        var = s.var(axis=0, keepdims=True)
        return mean, var, s.size / mean.size

    def normalize(self, s):
        mean, var = self.running_mean, self.running_var
        if self.training:
            mean, var, m = self.statistics(s)
            self.running_mean = 0.9 * self.running_mean + 0.1 * mean
            self.running_var = 0.9 * self.running_var + 0.1 * var * m / (m - 1)
        return self.gamma * (s - mean) / np.sqrt(var + 1e-5) + self.beta

    def forward(self, x):
        s = np.einsum("nchw,ck->nkhw", x, self.W1)
        hidden = np.maximum(self.normalize(s), 0)
        return hidden.mean(axis=(2, 3)) @ self.W2


class Network4:
    """One hidden layer with γ and β as given; `backward` returns dW1, dgamma, dbeta and dW2."""

    def __init__(self, W1, gamma, beta, W2):
        self.W1, self.gamma, self.beta, self.W2 = W1, gamma, beta, W2
        self.running_mean, self.running_var = np.zeros(len(gamma)), np.ones(len(gamma))
        self.training = True

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def normalize(self, s):
        mean, var, n = self.running_mean, self.running_var, len(s)
        if self.training:
            mean, var = s.mean(axis=0), s.var(axis=0)
            self.running_mean = 0.9 * self.running_mean + 0.1 * mean
            self.running_var = 0.9 * self.running_var + 0.1 * var * n / (n - 1)
        self.std = np.sqrt(var + 1e-5)
        self.s_hat = (s - mean) / self.std
        return self.gamma * self.s_hat + self.beta

    def normalize_backward(self, dy):
        """The gradients of the sums s, of gamma and of beta."""
        return dy * self.gamma / self.std, (dy * self.s_hat).sum(axis=0), dy.sum(axis=0)

    def forward(self, x):
        self.x = x
        self.hidden = np.maximum(self.normalize(x @ self.W1), 0)
        return self.hidden @ self.W2

    def backward(self, dlogits):
        dy = dlogits @ self.W2.T * (self.hidden > 0)
        ds, dgamma, dbeta = self.normalize_backward(dy)
        return self.x.T @ ds, dgamma, dbeta, self.hidden.T @ dlogits


class Network5:
    """Hidden layers of equal width, each with batch norm (γ = 1, β = 0) and ReLU, then a linear one."""

    def __init__(self, weights):
        *self.hidden, self.last = weights
        self.running = self.new_statistics(len(self.hidden), self.last.shape[0])
        self.training = True

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def new_statistics(self, layers, width):
        """Running statistics for each layer, to begin with."""
        return [{"mean": np.zeros(width), "var": np.ones(width)}] * layers

    def remember(self, running, mean, var, n):
        running["mean"] += 0.1 * (mean - running["mean"])
        running["var"] += 0.1 * (var * n / (n - 1) - running["var"])

    def normalize(self, s, running):
        mean, var = running["mean"], running["var"]
        if self.training:
            mean, var = s.mean(axis=0), s.var(axis=0)
            self.remember(running, mean, var, len(s))
        return (s - mean) / np.sqrt(var + 1e-5)

    def forward(self, x):
        for W, running in zip(self.hidden, self.running):
            x = np.maximum(self.normalize(x @ W, running), 0)
        return x @ self.last


# --- Repaired1 -------------------------------------------------------------------------------


class Repaired1(Network1):
    def remember(self, mean, var, n):
        m = self.momentum
        self.running_mean = (1 - m) * self.running_mean + m * mean
        self.running_var = (1 - m) * self.running_var + m * var * n / (n - 1)


def logits_in_eval(network, x):
    """The logits in inference mode; the network is left in training mode."""
    network.eval()
    logits = network.forward(x)
    network.train()
    return logits


@probe(2)
def default_momentum(f, rng):
    """With the default momentum, each batch moves the running statistics a tenth of the way."""
    network, (x, _) = f(*matrices(rng, (6, 5, 3))), task(rng)
    network.forward(x)
    first = logits_in_eval(network, x)
    network.forward(task(rng)[0])
    return {
        "the logits in inference mode after one batch": first,
        "the logits in inference mode after two batches": logits_in_eval(network, x),
    }


@probe(2)
def momentum_is_the_weight_of_the_new_batch(f, rng):
    """So does any other momentum, over many batches: it is the weight of the new batch."""
    seen = {}
    for momentum in (0.02, 0.7):
        network, (x, _) = f(*matrices(rng, (6, 5, 3)), momentum=momentum), task(rng)
        for samples in (12, 4, 30, 8):
            network.forward(task(rng, samples)[0])
        seen[f"the logits in inference mode for momentum={momentum}"] = logits_in_eval(network, x)
    return seen


@probe(1)
def trains_as_before_1(f, rng):
    """Training is as it was: in this mode there was no fault. What is remembered of it is right."""
    network, (x, _) = f(*matrices(rng, (6, 5, 3))), task(rng)
    first = network.forward(x)
    network.step(rng.normal(size=first.shape), 0.1)
    return {
        "the logits in training mode": first,
        "the logits in training mode after a step": network.forward(x),
        "the logits in inference mode": logits_in_eval(network, x),
    }


# True also of an answer that changed something else: a diagnosis stands beside the probes it explains.
LOCATE_HINT = "In this the network still does what it did when it was given to you."


@mistake(
    hint=LOCATE_HINT
    + " Let one batch pass, and print `running_mean` beside the batch's mean: what "
    "share of the way has it gone, and what share should it have gone?"
)
class UnrepairedMomentum(Network1):
    """The momentum is still the weight of the old statistics: a batch moves them nine tenths."""


@mistake(
    earns=3,
    hint="That exchanges the fault for another default. Whoever passes `momentum` means the weight of "
    "the new batch: leave the default as it was, and repair what is done with `momentum`.",
)
class ChangesTheDefault(Network1):
    """Only the default is changed, to 0.9; a momentum that is passed still means the opposite."""

    def __init__(self, W1, W2, momentum=0.9, eps=1e-5):
        super().__init__(W1, W2, momentum, eps)


@mistake(hint="There are two running statistics, and both were updated the wrong way around.")
class RepairsTheMeanOnly(Network1):
    """The running mean is repaired, the running variance is not."""

    def remember(self, mean, var, n):
        m = self.momentum
        self.running_mean = (1 - m) * self.running_mean + m * mean
        self.running_var = m * self.running_var + (1 - m) * var * n / (n - 1)


@mistake(hint="There are two running statistics, and both were updated the wrong way around.")
class RepairsTheVarianceOnly(Network1):
    """The running variance is repaired, the running mean is not."""

    def remember(self, mean, var, n):
        m = self.momentum
        self.running_mean = m * self.running_mean + (1 - m) * mean
        self.running_var = (1 - m) * self.running_var + m * var * n / (n - 1)


@mistake(hint="The factor n/(n - 1) was right: the running variance is the unbiased one.")
class DropsTheCorrection(Network1):
    """The weights are repaired, but the running variance has become the biased one."""

    def remember(self, mean, var, n):
        m = self.momentum
        self.running_mean = (1 - m) * self.running_mean + m * mean
        self.running_var = (1 - m) * self.running_var + m * var


@mistake(hint="An average over all batches ignores `momentum`; a moving one was asked.")
class AveragesAllBatches(Network1):
    """The running statistics are the plain average over all batches; `momentum` is not used."""

    count = 0

    def remember(self, mean, var, n):
        self.count += 1
        m = 1 / self.count
        self.running_mean = (1 - m) * self.running_mean + m * mean
        self.running_var = (1 - m) * self.running_var + m * var * n / (n - 1)


@mistake(
    hint="One batch is too few. Keep (1 - momentum) of what was known before, and give the "
    "batch the rest."
)
class KeepsTheLastBatch(Network1):
    """The statistics of the last batch replace the running ones."""

    def remember(self, mean, var, n):
        self.running_mean = mean
        self.running_var = var * n / (n - 1)


@mistake(hint="The two weights add up to 1: 1 - momentum for the old, momentum for the new.")
class ForgetsTheOldWeight(Network1):
    """The old statistics keep their full weight, so that the sums grow without end."""

    def remember(self, mean, var, n):
        m = self.momentum
        self.running_mean = self.running_mean + m * mean
        self.running_var = self.running_var + m * var * n / (n - 1)


class Repaired1ByDifferences(Network1):
    def remember(self, mean, var, n):
        self.running_mean = self.running_mean + self.momentum * (mean - self.running_mean)
        self.running_var = self.running_var + self.momentum * (var * n / (n - 1) - self.running_var)


class Repaired1AtTheCall(Network1):
    def remember(self, mean, var, n):
        self.momentum = 1 - self.momentum
        super().remember(mean, var, n)
        self.momentum = 1 - self.momentum


# --- Repaired2 -------------------------------------------------------------------------------


class Repaired2(Network2):
    def statistics(self, s):
        if self.training:
            return super().statistics(s)
        return self.running_mean, self.running_var


@probe(2)
def a_sample_alone(f, rng):
    """In inference mode a sample's logits are the same whoever is beside it, and alone."""
    network, (x, _) = f(*matrices(rng, (6, 5, 3))), task(rng)
    for _ in range(3):
        network.forward(task(rng)[0])
    network.eval()
    # Several, because a single one may leave every unit of a small network at zero.
    alone = [network.forward(x[i : i + 1]) for i in range(len(x))]
    strangers = np.concatenate([x[:4], 10 * task(rng)[0] + 50])
    return {
        "the logits of each sample alone": np.concatenate(alone),
        "the logits of all together": network.forward(x),
        "the logits of four samples beside strangers": network.forward(strangers)[:4],
    }


@probe(1)
def inference_remembers_nothing(f, rng):
    """What is seen in inference mode changes nothing, however far it is from the training data."""
    network, (x, _) = f(*matrices(rng, (6, 5, 3))), task(rng)
    network.forward(task(rng)[0])
    logits_in_eval(network, 10 * x + 50)
    return {"the logits in inference mode": logits_in_eval(network, x)}


@probe(2)
def trains_as_before_2(f, rng):
    """In training mode the batch's statistics are used, as before, and a step does what it did."""
    network, (x, _), (other, _) = f(*matrices(rng, (6, 5, 3))), task(rng), task(rng)
    first = network.forward(x)
    network.step(rng.normal(size=first.shape), 0.1)
    second = network.forward(x)
    return {
        "the logits in training mode": first,
        "the logits in training mode after a step": second,
        "the logits in inference mode": logits_in_eval(network, other),
    }


@mistake(
    hint=LOCATE_HINT
    + " Send one sample alone through it in inference mode: every hidden unit is β, "
    "whatever the sample. Which statistics does it use?"
)
class UnrepairedInference(Network2):
    """In inference mode the network still normalizes by the batch that it is given."""


@mistake(
    earns=3,
    hint="Training needs the statistics of the batch: the running ones lag behind, and no gradient "
    "goes through them.",
)
class UsesRunningStatisticsAlways(Network2):
    """The running statistics are used in training, too."""

    def statistics(self, s):
        super().statistics(s)
        return self.running_mean, self.running_var


@mistake(
    hint="The condition is the wrong way round: the batch is for training, the running statistics are for "
    "inference."
)
class ExchangesTheModes(Network2):
    """In training the running statistics are used, and in inference mode those of the batch."""

    def statistics(self, s):
        if self.training:
            return self.running_mean, self.running_var
        return super().statistics(s)


@mistake(
    hint="That a single sample has no statistics is only the plainest case. In inference mode those "
    "of a larger batch are wrong, too: a sample's answer depends on the others."
)
class RunningStatisticsForOneOnly(Network2):
    """In inference mode the running statistics are used for a single sample only."""

    def statistics(self, s):
        if self.training or len(s) > 1:
            return super().statistics(s)
        return self.running_mean, self.running_var


@mistake(hint="The variance of the batch depends on the others as much as the mean does.")
class RunningMeanWithBatchVariance(Network2):
    """In inference mode the running mean is used, but the variance of the batch."""

    def statistics(self, s):
        mean, var = super().statistics(s)
        return (mean, var) if self.training else (self.running_mean, var)


@mistake(hint="The mean of the batch depends on the others as much as the variance does.")
class BatchMeanWithRunningVariance(Network2):
    """In inference mode the running variance is used, but the mean of the batch."""

    def statistics(self, s):
        mean, var = super().statistics(s)
        return (mean, var) if self.training else (mean, self.running_var)


@mistake(
    hint="Inference only reads the running statistics. If it writes them, the data that you test on "
    "become part of the network."
)
class RemembersInInference(Network2):
    """Batches seen in inference mode change the running statistics."""

    def statistics(self, s):
        mean, var = s.mean(axis=0), s.var(axis=0)
        self.running_mean = 0.9 * self.running_mean + 0.1 * mean
        self.running_var = 0.9 * self.running_var + 0.1 * var * len(s) / max(len(s) - 1, 1)
        return (mean, var) if self.training else (self.running_mean, self.running_var)


@mistake(hint="`statistics` returns the mean first; `forward` unpacks mean, var.")
class ReturnsTheVarianceFirst(Network2):
    """In inference mode mean and variance are returned in the wrong order."""

    def statistics(self, s):
        if self.training:
            return super().statistics(s)
        return self.running_var, self.running_mean


@mistake(hint="`forward` takes the root itself: return the variance, not the deviation.")
class ReturnsTheDeviation(Network2):
    """In inference mode the root of the running variance is returned, and taken again."""

    def statistics(self, s):
        if self.training:
            return super().statistics(s)
        return self.running_mean, np.sqrt(self.running_var)


@mistake(
    hint="In training mode the statistics must be remembered, or inference has nothing to work with: "
    "mean 0 and variance 1, as at the beginning."
)
class ForgetsToRemember(Network2):
    """The running statistics are used in inference mode, but no longer updated in training."""

    def statistics(self, s):
        if self.training:
            return s.mean(axis=0), s.var(axis=0)
        return self.running_mean, self.running_var


class Repaired2InFull(Network2):
    def statistics(self, s):
        mean, var = self.running_mean, self.running_var
        if self.training:
            mean, var = s.mean(axis=0), s.var(axis=0)
            unbiased = s.var(axis=0, ddof=1)
            self.running_mean = self.running_mean + 0.1 * (mean - self.running_mean)
            self.running_var = self.running_var + 0.1 * (unbiased - self.running_var)
        return mean, var


class Repaired2InForward(Network2):
    def forward(self, x):
        if self.training:
            return super().forward(x)
        s_hat = (x @ self.first.params["W"] - self.running_mean) / np.sqrt(self.running_var + 1e-5)
        return np.maximum(self.gamma * s_hat + self.beta, 0) @ self.last.params["W"]


# --- Repaired3 -------------------------------------------------------------------------------


class Repaired3(Network3):
    def statistics(self, s):
        mean = s.mean(axis=(0, 2, 3), keepdims=True)
        var = s.var(axis=(0, 2, 3), keepdims=True)
        return mean, var, s.size / mean.size


def pictures(rng, samples=5, height=4, width=6):
    """Images of three channels, whose brightness and contrast change from place to place.

    All variances are large beside any ε, which is no part of the repair.
    """
    ramp = np.linspace(-2, 2, height)[:, None] + np.linspace(0, 3, width) ** 2 / 4
    return 100 * (rng.normal(size=(samples, 3, height, width)) * (1 + np.abs(ramp)) + ramp + 1)


@probe(2)
def one_mean_for_each_channel(f, rng):
    """In training mode each channel is normalized by one mean and one variance, over all pixels."""
    network = f(*matrices(rng, (3, 5, 2)))
    return {"the logits in training mode": network.forward(pictures(rng))}


@probe(2)
def images_of_another_size(f, rng):
    """In inference mode it takes images of any size, and a single one, with any number of channels."""
    network = f(*matrices(rng, (3, 4, 2)))
    network.forward(pictures(rng))
    network.forward(pictures(rng, samples=3))
    network.eval()
    return {
        "the logits of one image": network.forward(pictures(rng, samples=1)),
        "the logits of larger images": network.forward(pictures(rng, 2, 8, 7)),
    }


@probe(1)
def one_image_in_training(f, rng):
    """In training mode a single image is enough: it has many pixels."""
    network = f(*matrices(rng, (3, 5, 2)))
    logits = network.forward(pictures(rng, samples=1))
    return {
        "the logits of one image in training mode": logits,
        "the logits in inference mode after it": logits_in_eval(network, pictures(rng)),
    }


@mistake(
    hint=LOCATE_HINT
    + " Print the shape of `running_mean` after a batch: how many means should five "
    "channels have?"
)
class UnrepairedAxes(Network3):
    """Each pixel of each channel still has a mean and a variance of its own."""


@mistake(
    earns=1,
    hint="Over the axes (2, 3) each image is normalized by itself: that is instance normalization. "
    "Batch normalization shares the statistics among the images.",
)
class NormalizesEachImage(Network3):
    """Each channel of each image is normalized by itself."""

    def statistics(self, s):
        mean = s.mean(axis=(2, 3), keepdims=True)
        var = s.var(axis=(2, 3), keepdims=True)
        return mean, var, s.size / mean.size


@mistake(
    hint="(0, 1, 2) are the axes for channels that come last, (N, H, W, C). Here they come second."
)
class TakesChannelsForLast(Network3):
    """The statistics run over the axes (0, 1, 2), as if the channels came last."""

    def statistics(self, s):
        mean = s.mean(axis=(0, 1, 2), keepdims=True)
        var = s.var(axis=(0, 1, 2), keepdims=True)
        return mean, var, s.size / mean.size


@mistake(hint="Over (1, 2, 3) all channels of an image share a mean: that is layer normalization.")
class NormalizesAllChannelsOfAnImage(Network3):
    """Each image is normalized by one mean over all its channels."""

    def statistics(self, s):
        mean = s.mean(axis=(1, 2, 3), keepdims=True)
        var = s.var(axis=(1, 2, 3), keepdims=True)
        return mean, var, s.size / mean.size


@mistake(
    hint="Each channel is a feature, with statistics of its own: leave axis 1 out, and "
    "count only what is averaged."
)
class SharesStatisticsAmongChannels(Network3):
    """All channels share one mean and one variance."""

    def statistics(self, s):
        mean = s.mean(keepdims=True)
        var = s.var(keepdims=True)
        return mean, var, s.size


@mistake(hint="The width is a direction in the image like the height: average over it, too.")
class ForgetsTheWidth(Network3):
    """The statistics run over images and height, but not over the width."""

    def statistics(self, s):
        mean = s.mean(axis=(0, 2), keepdims=True)
        var = s.var(axis=(0, 2), keepdims=True)
        return mean, var, s.size / mean.size


@mistake(hint="Mean and variance belong together: both over images, height and width.")
class RepairsTheAxesOfTheMeanOnly(Network3):
    """The mean runs over the right axes, the variance is still that of each pixel."""

    def statistics(self, s):
        mean = s.mean(axis=(0, 2, 3), keepdims=True)
        var = s.var(axis=0, keepdims=True)
        return mean, var, s.size / mean.size


@mistake(
    earns=2,
    hint="The variance of a channel was computed from N·H·W numbers, and that is the number which "
    "its correction m/(m - 1) needs.",
)
class CountsTheImagesOnly(Network3):
    """The unbiased variance is corrected for N numbers, where it was computed from N·H·W."""

    def statistics(self, s):
        mean = s.mean(axis=(0, 2, 3), keepdims=True)
        var = s.var(axis=(0, 2, 3), keepdims=True)
        return mean, var, len(s)


@mistake(
    earns=1,
    hint="The images differ in their means, and that is variance, too; the mean of their variances "
    "leaves it out. Take the variance over images, height and width at once.",
)
class AveragesTheVariancesOfTheImages(Network3):
    """The variance is the average of the variances of the images, without that of their means."""

    def statistics(self, s):
        mean = s.mean(axis=(0, 2, 3), keepdims=True)
        var = s.var(axis=(2, 3), keepdims=True).mean(axis=0, keepdims=True)
        return mean, var, s.size / mean.size


@mistake(
    hint="Without `keepdims=True` the K means lie along the width when NumPy broadcasts them, or fit "
    "nowhere. They need the shape (1, K, 1, 1)."
)
class DropsTheAxes(Network3):
    """Mean and variance have the shape (K,), which does not fit to the images."""

    def statistics(self, s):
        mean, var = s.mean(axis=(0, 2, 3)), s.var(axis=(0, 2, 3))
        return mean, var, s.size / mean.size


@mistake(
    earns=3,
    hint="The number of channels is that of the columns of `W1`, 5 in one network and not in another: "
    "take it from the shape of `s` wherever you need it.",
)
class FixesTheChannels(Network3):
    """The number of channels is taken to be 5, whatever the network."""

    def statistics(self, s):
        mean = s.mean(axis=(0, 2, 3)).reshape(1, 5, 1, 1)
        var = s.var(axis=(0, 2, 3)).reshape(1, 5, 1, 1)
        return mean, var, s.size / 5


class Repaired3AsTable(Network3):
    def statistics(self, s):
        table = s.transpose(1, 0, 2, 3).reshape(s.shape[1], -1)
        shape = (1, -1, 1, 1)
        return table.mean(axis=1).reshape(shape), table.var(axis=1).reshape(shape), table.shape[1]


class Repaired3InNormalize(Network3):
    def normalize(self, s):
        if self.training:
            by_channel = np.moveaxis(s, 1, -1).reshape(-1, s.shape[1])
            mean = by_channel.mean(axis=0)[None, :, None, None]
            var = by_channel.var(axis=0)[None, :, None, None]
            unbiased = by_channel.var(axis=0, ddof=1)[None, :, None, None]
            self.running_mean = 0.9 * self.running_mean + 0.1 * mean
            self.running_var = 0.9 * self.running_var + 0.1 * unbiased
        else:
            mean, var = self.running_mean, self.running_var
        return self.gamma * (s - mean) / np.sqrt(var + 1e-5) + self.beta


# --- Repaired4 -------------------------------------------------------------------------------


class Repaired4(Network4):
    def normalize_backward(self, dy):
        dgamma, dbeta = (dy * self.s_hat).sum(axis=0), dy.sum(axis=0)
        if self.training:
            dy = dy - dbeta / len(dy) - self.s_hat * dgamma / len(dy)
        return dy * self.gamma / self.std, dgamma, dbeta


def with_affine(rng):
    """W1, gamma, beta and W2, with a gamma of both signs."""
    W1, W2 = matrices(rng, (6, 5, 3))
    gamma = rng.uniform(0.5, 2, size=5) * np.array([1, -1, 1, -1, 1])
    return W1, gamma, rng.normal(size=5) * 0.3, W2


@probe(2)
def gradient_of_the_first_matrix(f, rng):
    """In training mode the gradient of W1 takes in that the batch's statistics depend on W1."""
    network, (x, _) = f(*with_affine(rng)), task(rng)
    return {"dW1": network.backward(rng.normal(size=network.forward(x).shape))[0]}


@probe(2)
def gradient_in_inference_mode(f, rng):
    """It is right in both modes: in inference mode the statistics are constants."""
    network, (x, _), dlogits = f(*with_affine(rng)), task(rng), rng.normal(size=(12, 3))
    network.forward(x)
    seen = {"dW1 in training mode": network.backward(dlogits)[0]}
    network.eval()
    network.forward(x)
    return {**seen, "dW1 in inference mode": network.backward(dlogits)[0]}


@probe(1)
def all_gradients(f, rng):
    """All four gradients are right, those that were right before as well."""
    network, (x, _) = f(*with_affine(rng)), task(rng, samples=4)
    gradients = network.backward(rng.normal(size=network.forward(x).shape))
    names = ("dW1", "dgamma", "dbeta", "dW2")
    return {f"{name} for four samples": g for name, g in zip(names, gradients)}


@mistake(
    hint=LOCATE_HINT + " Compare each of the four gradients with differences of the loss, in both "
    "modes: which one is wrong, and in which mode?"
)
class UnrepairedGradient(Network4):
    """Mean and variance are still treated as constants in the backward pass."""


@mistake(
    hint="The mean is one path by which a sample acts on the others; the variance is another: "
    "the term with x̂ is missing."
)
class AddsTheMeanPathOnly(Network4):
    """The path through the mean was added, that through the variance is missing."""

    def normalize_backward(self, dy):
        dgamma, dbeta = (dy * self.s_hat).sum(axis=0), dy.sum(axis=0)
        if self.training:
            dy = dy - dbeta / len(dy)
        return dy * self.gamma / self.std, dgamma, dbeta


@mistake(
    hint="The variance is one path by which a sample acts on the others; the mean is another: "
    "subtract the mean of dy."
)
class AddsTheVariancePathOnly(Network4):
    """The path through the variance was added, that through the mean is missing."""

    def normalize_backward(self, dy):
        dgamma, dbeta = (dy * self.s_hat).sum(axis=0), dy.sum(axis=0)
        if self.training:
            dy = dy - self.s_hat * dgamma / len(dy)
        return dy * self.gamma / self.std, dgamma, dbeta


@mistake(
    earns=3,
    hint="In inference mode the running statistics are constants: there the code that you were given "
    "was right. Let `self.training` decide.",
)
class RepairsBothModes(Network4):
    """The paths through mean and variance are there in inference mode, too, where none are."""

    def normalize_backward(self, dy):
        dgamma, dbeta = (dy * self.s_hat).sum(axis=0), dy.sum(axis=0)
        ds = self.gamma / self.std * (dy - dbeta / len(dy) - self.s_hat * dgamma / len(dy))
        return ds, dgamma, dbeta


@mistake(hint="The sums are divided by N, the number of samples: they are means.")
class SubtractsSums(Network4):
    """The two terms lack their factor 1/N."""

    def normalize_backward(self, dy):
        dgamma, dbeta = (dy * self.s_hat).sum(axis=0), dy.sum(axis=0)
        if self.training:
            dy = dy - dbeta - self.s_hat * dgamma
        return dy * self.gamma / self.std, dgamma, dbeta


@mistake(hint="The forward pass normalizes by the biased variance, so both terms are divided by N.")
class DividesByNMinus1(Network4):
    """The term of the variance is divided by N - 1, the forward pass by N."""

    def normalize_backward(self, dy):
        dgamma, dbeta = (dy * self.s_hat).sum(axis=0), dy.sum(axis=0)
        if self.training:
            dy = dy - dbeta / len(dy) - self.s_hat * dgamma / (len(dy) - 1)
        return dy * self.gamma / self.std, dgamma, dbeta


@mistake(hint="All three terms have the factor γ/σ. It was there before; keep it.")
class LosesGamma(Network4):
    """The paths are complete, but γ is missing from the gradient."""

    def normalize_backward(self, dy):
        dgamma, dbeta = (dy * self.s_hat).sum(axis=0), dy.sum(axis=0)
        if self.training:
            return (
                (dy - dbeta / len(dy) - self.s_hat * dgamma / len(dy)) / self.std,
                dgamma,
                dbeta,
            )
        return dy * self.gamma / self.std, dgamma, dbeta


@mistake(
    hint="Moving one sample by δ moves the mean by δ/N, and x̂ *down*: both terms are subtracted."
)
class AddsTheTerms(Network4):
    """The two terms are added, where they must be subtracted."""

    def normalize_backward(self, dy):
        dgamma, dbeta = (dy * self.s_hat).sum(axis=0), dy.sum(axis=0)
        if self.training:
            dy = dy + dbeta / len(dy) + self.s_hat * dgamma / len(dy)
        return dy * self.gamma / self.std, dgamma, dbeta


@mistake(
    earns=4,
    hint="dγ and dβ were right: they are sums of the dy that arrives, before anything is subtracted.",
)
class TakesGammaAfterTheSubtraction(Network4):
    """dγ and dβ are taken from what is left after the subtraction, and vanish."""

    def normalize_backward(self, dy):
        if self.training:
            dy = dy - dy.mean(axis=0) - self.s_hat * (dy * self.s_hat).mean(axis=0)
        return dy * self.gamma / self.std, (dy * self.s_hat).sum(axis=0), dy.sum(axis=0)


class Repaired4ByDxHat(Network4):
    def normalize_backward(self, dy):
        grads = (dy * self.s_hat).sum(axis=0), dy.sum(axis=0)
        d = dy * self.gamma
        if self.training:
            d = d - d.mean(axis=0) - self.s_hat * np.mean(d * self.s_hat, axis=0)
        return d / self.std, *grads


class Repaired4ByJacobians(Network4):
    def normalize_backward(self, dy):
        ds, dgamma, dbeta = super().normalize_backward(dy)
        if not self.training:
            return ds, dgamma, dbeta
        ds, N = np.empty_like(dy), len(dy)
        for j in range(dy.shape[1]):
            x_hat = self.s_hat[:, j]
            J = (np.eye(N) - 1 / N - np.outer(x_hat, x_hat) / N) / self.std[j]
            ds[:, j] = J.T @ (self.gamma[j] * dy[:, j])
        return ds, dgamma, dbeta


# --- Repaired5 -------------------------------------------------------------------------------


class Repaired5(Network5):
    def new_statistics(self, layers, width):
        return [{"mean": np.zeros(width), "var": np.ones(width)} for _ in range(layers)]


@probe(2)
def each_layer_remembers_its_own(f, rng):
    """After training batches, each layer normalizes by its own running mean and variance."""
    network = f(matrices(rng, (6, 5, 5, 3)))
    for _ in range(4):
        network.forward(task(rng)[0])
    return {"the logits in inference mode": logits_in_eval(network, task(rng)[0])}


@probe(2)
def many_layers_remember(f, rng):
    """So it is with four hidden layers of another width, and the statistics go on from batch to batch."""
    network, (x, _) = f(matrices(rng, (6, 7, 7, 7, 7, 3))), task(rng)
    seen = {}
    for count in ("one batch", "two batches", "three batches"):
        network.forward(task(rng)[0])
        seen[f"the logits in inference mode after {count}"] = logits_in_eval(network, x)
    return seen


@probe(1)
def networks_remember_apart(f, rng):
    """Two networks have nothing in common, and training is as it was."""
    one, two = f(matrices(rng, (6, 5, 5, 3))), f(matrices(rng, (6, 5, 5, 3)))
    (x, _), (other, _) = task(rng), task(rng)
    first = one.forward(x)
    two.forward(10 * other + 5)
    return {
        "the logits in training mode": first,
        "the logits of the first network in inference mode": logits_in_eval(one, x),
    }


@mistake(
    hint=LOCATE_HINT + " After one batch, compare the running means of the first and the second "
    "layer. Then ask whether `running[0]['mean'] is running[1]['mean']`. A copy may share, "
    "too: that of a dictionary holds the same arrays, and `deepcopy` of a list repeats the sharing."
)
class UnrepairedSharing(Network5):
    """All layers still share the arrays of one pair of running statistics."""


@mistake(hint="The variances must be apart, too.")
class SeparatesTheMeansOnly(Network5):
    """Each layer has its own running mean, but the running variance is shared."""

    def new_statistics(self, layers, width):
        var = np.ones(width)
        return [{"mean": np.zeros(width), "var": var} for _ in range(layers)]


@mistake(hint="The means must be apart, too.")
class SeparatesTheVariancesOnly(Network5):
    """Each layer has its own running variance, but the running mean is shared."""

    def new_statistics(self, layers, width):
        mean = np.zeros(width)
        return [{"mean": mean, "var": np.ones(width)} for _ in range(layers)]


@mistake(
    earns=3,
    hint="With two hidden layers that is enough; with three, the others share. Make a new pair in "
    "each round of a loop.",
)
class SeparatesTheFirstLayer(Network5):
    """The first layer has running statistics of its own, all others share theirs."""

    def new_statistics(self, layers, width):
        first = [{"mean": np.zeros(width), "var": np.ones(width)}]
        return first + [{"mean": np.zeros(width), "var": np.ones(width)}] * (layers - 1)


@mistake(
    earns=1,
    hint="What is made anew in each forward pass remembers nothing but the last batch. The running "
    "statistics are made once, in `__init__`.",
)
class BeginsAnewInEachPass(Network5):
    """The running statistics are made anew in each forward pass in training mode."""

    def forward(self, x):
        if self.training:
            self.running = [
                {"mean": np.zeros(W.shape[1]), "var": np.ones(W.shape[1])} for W in self.hidden
            ]
        return super().forward(x)


@mistake(
    hint="A running variance that begins with 0 is too small at first: after one batch it is a tenth "
    "of that batch's, and inference divides by too little. Begin with mean 0 and variance 1."
)
class BeginsWithVarianceZero(Network5):
    """The layers are apart, but their running variances begin with 0 instead of 1."""

    def new_statistics(self, layers, width):
        return [{"mean": np.zeros(width), "var": np.zeros(width)} for _ in range(layers)]


@mistake(
    hint="A copy is updated, and thrown away at the end of the method. What is remembered must be "
    "written into the layer's own dictionary."
)
class RemembersNothing(Network5):
    """Nothing is shared any more, because nothing is remembered."""

    def remember(self, running, mean, var, n):
        running = running.copy()
        running["mean"] = running["mean"] + 0.1 * (mean - running["mean"])
        running["var"] = running["var"] + 0.1 * (var * n / (n - 1) - running["var"])


@mistake(
    hint="In inference mode each layer would be normalized by the batch that it is given, and a "
    "sample's answer would depend on the others."
)
class DoesWithoutRunningStatistics(Network5):
    """The batch's own statistics are used in inference mode, so that none are needed."""

    def normalize(self, s, running):
        return (s - s.mean(axis=0)) / np.sqrt(s.var(axis=0) + 1e-5)


@mistake(
    earns=3,
    hint="How wide the layers are differs from network to network: `new_statistics` is given `width`.",
)
class FixesTheWidth(Network5):
    """The layers are apart, but each is taken to have 5 units, whatever the network."""

    def new_statistics(self, layers, width):
        return [{"mean": np.zeros(5), "var": np.ones(5)} for _ in range(layers)]


class Repaired5ByLoop(Network5):
    def new_statistics(self, layers, width):
        statistics = []
        for _ in range(layers):
            statistics.append({"mean": np.zeros(width), "var": np.ones(width)})
        return statistics


class Repaired5InInit(Network5):
    def __init__(self, weights):
        super().__init__(weights)
        self.running = [
            {"mean": np.zeros(W.shape[1]), "var": np.ones(W.shape[1])} for W in self.hidden
        ]


# --- the chapter -----------------------------------------------------------------------------

CHAPTER = Chapter(
    slug="networks",
    title="Batch normalization in a network",
    exercises=(
        Exercise(
            name="linear_forward",
            reference=linear_forward,
            probes=(
                values_of_the_layer,
                as_many_samples_as_units,
            ),
            mistakes=(
                forgets_the_bias,
                multiplies_by_the_transpose,
                multiplies_entry_by_entry,
                puts_samples_into_columns,
                subtracts_the_bias,
                gives_each_sample_a_bias,
                linear_in_place,
            ),
            alternatives=(
                linear_by_einsum,
                linear_by_samples,
            ),
            tolerance=LINEAR,
        ),
        Exercise(
            name="linear_backward",
            reference=linear_backward,
            probes=(
                gradient_of_the_batch,
                gradient_of_the_weights,
                gradient_of_the_bias,
                square_layers_and_their_arguments,
            ),
            mistakes=(
                averages_the_bias_gradient,
                divides_by_the_batch_size,
                transposes_the_weight_gradient,
                goes_back_through_w_itself,
                keeps_an_axis_in_db,
                sums_over_the_outputs,
                sums_over_everything,
                returns_the_weights_first,
                lets_the_bias_gradient_be_one,
            ),
            alternatives=(
                linear_backward_by_einsum,
                linear_backward_by_samples,
            ),
            tolerance=LINEAR,
        ),
        Exercise(
            name="relu",
            reference=relu,
            probes=(
                values_of_relu,
                slope_of_relu,
                slope_at_zero,
                relu_leaves_its_input_alone,
            ),
            mistakes=(
                slope_is_one_at_zero,
                slope_is_the_value,
                leaks,
                takes_the_absolute_value,
                slope_is_one_everywhere,
                slope_is_the_sign,
                relu_in_place,
                takes_one_maximum,
                relu_without_slope,
                relu_after_its_slope,
            ),
            alternatives=(
                relu_by_masks,
                relu_by_maximum,
                relu_with_truth_values,
            ),
            tolerance=TOLERANCE,
        ),
        Exercise(
            name="sigmoid",
            reference=sigmoid,
            probes=(
                values_of_sigmoid,
                slope_of_sigmoid,
                sigmoid_far_out,
                sigmoid_leaves_its_input_alone,
            ),
            mistakes=(
                sigmoid_overflows,
                slope_overflows,
                slope_of_the_input,
                slope_of_tanh,
                slope_is_the_sigmoid,
                takes_tanh,
                sigmoid_has_the_wrong_sign,
                sigmoid_is_cut_off,
                slope_lacks_a_factor,
                sigmoid_in_place,
                sigmoid_clips_in_place,
                sigmoid_without_slope,
                sigmoid_after_its_slope,
            ),
            alternatives=(
                sigmoid_by_tanh,
                sigmoid_by_two_formulas,
            ),
            equivalents={"y = np.where(x > 0, 1.0, small) / (1 + small)": AT_ZERO},
            tolerance=TOLERANCE,
        ),
        Exercise(
            name="softmax_cross_entropy",
            reference=softmax_cross_entropy,
            probes=(
                loss_of_a_batch,
                gradient_of_the_logits,
                logits_far_from_zero,
                sure_and_wrong,
                very_sure_and_wrong,
                logits_are_left_alone,
                samples_on_different_levels,
            ),
            mistakes=(
                exponentials_overflow,
                takes_the_logarithm_of_infinity,
                takes_the_logarithm_of_zero,
                adds_a_constant_in_the_logarithm,
                shifts_by_one_maximum,
                adds_the_losses_up,
                gradient_is_not_divided,
                gradient_lacks_the_label,
                gradient_points_down,
                gradient_of_the_label_only,
                subtracts_from_whole_columns,
                averages_whole_columns,
                softmax_over_the_samples,
                averages_over_the_classes_too,
                loss_has_the_wrong_sign,
                loss_in_bits,
                shifts_the_logits_in_place,
                loss_without_gradient,
                gradient_before_loss,
                loss_is_not_divided,
            ),
            alternatives=(
                cross_entropy_by_logaddexp,
                cross_entropy_by_samples,
            ),
            equivalents={
                "rows = np.arange(len(logits))": AS_MANY_LABELS,
                "return (float(loss), dlogits / len(logits))": AS_MANY_LABELS,
            },
            tolerance=SOFTMAX,
        ),
        Exercise(
            name="MLP",
            reference=MLP,
            probes=(
                logits_in_training_mode,
                logits_in_inference_mode,
                gradients_of_all_parameters,
                gradient_of_the_input_batch,
                three_steps_of_training,
                predictions_in_inference_mode,
                learns_to_read,
                networks_of_any_depth,
            ),
            mistakes=(
                NormalizesTheLogits,
                ActivatesTheLogits,
                NormalizesAfterTheActivation,
                HasNoNormalization,
                HasNoActivation,
                KeepsTheHiddenBiases,
                BuildsOneHiddenLayer,
                HasNoOutputBias,
                SharesOneNormalization,
                SharesOneActivation,
                PredictsInTrainingMode,
                StaysInInferenceMode,
                AlwaysGoesBackToTraining,
                PredictsLogits,
                PredictsASampleForEachClass,
                ReturnsProbabilities,
                GoesBackInForwardOrder,
                DoesNotHandTheGradientOn,
                BackwardReturnsNothing,
                TrainsInTheModeItIsIn,
                TrainsInInferenceMode,
                StepsUphill,
                StepsOnCopies,
                StepsOnceAtTheEnd,
                TrainsTheMatricesOnly,
                SharesTheStepBetweenSamples,
                TrainsOnAllRows,
                StopsAfterOneBatch,
                RecordsTheLossAfterTheStep,
                ReturnsTheLastLoss,
            ),
            alternatives=(
                MLPInSteps,
                MLPOnItsOwn,
            ),
            tolerance=TRAINED,
        ),
        Exercise(
            name="learning_rate_sweep",
            reference=learning_rate_sweep,
            probes=(
                each_rate_starts_afresh,
                diverged_runs_are_marked,
                best_by_validation,
                a_diverged_run_never_wins,
                equally_good_rates,
                all_runs_diverged,
            ),
            mistakes=(
                goes_on_where_the_last_rate_ended,
                copies_once,
                chooses_by_training_accuracy,
                measures_on_the_training_set,
                chooses_by_the_last_loss,
                never_sees_a_divergence,
                asks_only_for_nan,
                gives_up_runs_that_recover,
                compares_with_the_step_before,
                compares_with_one,
                compares_with_nan,
                keeps_the_accuracy_of_failures,
                lets_failures_win,
                leaves_failures_out,
                stops_at_the_first_failure,
                raises_on_a_failure,
                takes_the_first_of_equals,
                takes_the_largest_of_equals,
                returns_the_place_of_the_best,
                returns_the_place_of_the_largest_accuracy,
                returns_the_best_accuracy,
                takes_the_worst,
                takes_the_largest_of_the_worst,
                ignores_the_steps,
                sorts_the_rates,
                finds_a_best_among_failures,
                fails_when_all_runs_failed,
                asks_for_more_than_zero,
            ),
            alternatives=(
                sweep_by_numpy,
                sweep_by_functions,
            ),
            tolerance=TOLERANCE,
        ),
        Exercise(
            name="Repaired1",
            reference=Repaired1,
            probes=(
                default_momentum,
                momentum_is_the_weight_of_the_new_batch,
                trains_as_before_1,
            ),
            mistakes=(
                UnrepairedMomentum,
                ChangesTheDefault,
                RepairsTheMeanOnly,
                RepairsTheVarianceOnly,
                DropsTheCorrection,
                AveragesAllBatches,
                KeepsTheLastBatch,
                ForgetsTheOldWeight,
            ),
            alternatives=(
                Repaired1ByDifferences,
                Repaired1AtTheCall,
            ),
            tolerance=TOLERANCE,
        ),
        Exercise(
            name="Repaired2",
            reference=Repaired2,
            probes=(
                a_sample_alone,
                inference_remembers_nothing,
                trains_as_before_2,
            ),
            mistakes=(
                UnrepairedInference,
                UsesRunningStatisticsAlways,
                ExchangesTheModes,
                RunningStatisticsForOneOnly,
                RunningMeanWithBatchVariance,
                BatchMeanWithRunningVariance,
                RemembersInInference,
                ReturnsTheVarianceFirst,
                ReturnsTheDeviation,
                ForgetsToRemember,
            ),
            alternatives=(
                Repaired2InFull,
                Repaired2InForward,
            ),
            tolerance=TOLERANCE,
        ),
        Exercise(
            name="Repaired3",
            reference=Repaired3,
            probes=(
                one_mean_for_each_channel,
                images_of_another_size,
                one_image_in_training,
            ),
            mistakes=(
                UnrepairedAxes,
                NormalizesEachImage,
                TakesChannelsForLast,
                NormalizesAllChannelsOfAnImage,
                SharesStatisticsAmongChannels,
                ForgetsTheWidth,
                RepairsTheAxesOfTheMeanOnly,
                CountsTheImagesOnly,
                AveragesTheVariancesOfTheImages,
                DropsTheAxes,
                FixesTheChannels,
            ),
            alternatives=(
                Repaired3AsTable,
                Repaired3InNormalize,
            ),
            equivalents={
                "mean = s.mean(axis=(2, 0, 3), keepdims=True)": AXES_IN_ANY_ORDER,
                "var = s.var(axis=(2, 0, 3), keepdims=True)": AXES_IN_ANY_ORDER,
            },
            tolerance=TOLERANCE,
        ),
        Exercise(
            name="Repaired4",
            reference=Repaired4,
            probes=(
                gradient_of_the_first_matrix,
                gradient_in_inference_mode,
                all_gradients,
            ),
            mistakes=(
                UnrepairedGradient,
                AddsTheMeanPathOnly,
                AddsTheVariancePathOnly,
                RepairsBothModes,
                SubtractsSums,
                DividesByNMinus1,
                LosesGamma,
                AddsTheTerms,
                TakesGammaAfterTheSubtraction,
            ),
            alternatives=(
                Repaired4ByDxHat,
                Repaired4ByJacobians,
            ),
            tolerance=TOLERANCE,
        ),
        Exercise(
            name="Repaired5",
            reference=Repaired5,
            probes=(
                each_layer_remembers_its_own,
                many_layers_remember,
                networks_remember_apart,
            ),
            mistakes=(
                UnrepairedSharing,
                SeparatesTheMeansOnly,
                SeparatesTheVariancesOnly,
                SeparatesTheFirstLayer,
                BeginsAnewInEachPass,
                BeginsWithVarianceZero,
                RemembersNothing,
                DoesWithoutRunningStatistics,
                FixesTheWidth,
            ),
            alternatives=(
                Repaired5ByLoop,
                Repaired5InInit,
            ),
            tolerance=TOLERANCE,
        ),
    ),
)
