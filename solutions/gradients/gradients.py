# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] nbgrader={"grade": false, "grade_id": "introduction", "locked": true, "schema_version": 3, "solution": false, "task": false}
# # Why depth is hard: exercises
#
# These exercises belong to the chapter *Why depth is hard* of the book. You write the instruments with
# which a deep network is examined before it is trained (a saturation meter, statistics of the signal
# on its way up, the gradient on its way down), then two initializations and gradient clipping, and you
# answer one question in your own words. Count on about 75 minutes.
#
# **How it works.** Replace `raise NotImplementedError()` by your code and run the cell, then run the
# cell below it. Its report says which properties your answer has, which it does not have, and, if it
# knows the mistake, how to repair it. You may run it as often as you like. A few more properties are
# looked at when your notebook is graded; the report says how many.
# What else you need, such as another import, write into your own cells, or into new ones: all others
# are put back as they are here when your notebook is graded.
#
# Throughout, a network is a list `weights` of $K$ matrices without biases. Matrix $W_l$ has the shape
# (fan_in, fan_out), and with $h_0 = X$, of shape $(N, D)$, layer $l$ computes
#
# $$u_l = h_{l-1} W_l, \qquad h_l = f(u_l) .$$
#
# The activation $f$ is the same in all layers and given by its name: `"sigmoid"`, `"tanh"` or
# `"relu"`. Write with NumPy only, and leave the arrays that you are given as they are.
#
# *Colab, or any other computer:* the notebook needs NumPy and this course's `autograder` package;
# the section "Learn" of the course's README has the line that installs it.

# %% nbgrader={"grade": false, "grade_id": "imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
import numpy as np

# %% [markdown] nbgrader={"grade": false, "grade_id": "network_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# Here is a small deep network to try things out: eight tanh layers of 50 units, and a batch of 20
# samples. Change `gain` and see what your functions make of it.

# %% nbgrader={"grade": false, "grade_id": "network", "locked": true, "schema_version": 3, "solution": false, "task": false}
gain = 2.0
rng = np.random.default_rng(0)
X = rng.normal(size=(20, 50))
weights = [gain / np.sqrt(50) * rng.normal(size=(50, 50)) for _ in range(8)]
upstream = rng.normal(size=(20, 50))  # plays the part of ∂L/∂h of the last layer

# %% [markdown] nbgrader={"grade": false, "grade_id": "saturated_fraction_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 1. A saturation meter (5 points)
#
# Activations lie between two ends, `low` and `high`. Call a value *saturated* if it is nearer to one
# of the ends than `margin` times the length of the range:
#
# $$a < \text{low} + m\,(\text{high} - \text{low}) \quad\text{or}\quad a > \text{high} - m\,(\text{high} - \text{low}) .$$
#
# Return the share of saturated values, one number between 0 and 1 for the whole array. With the
# default margin of 0.005, tanh counts as saturated beyond ±0.99, where its slope has fallen below
# 2 % of its maximum.

# %% nbgrader={"grade": false, "grade_id": "saturated_fraction", "locked": false, "schema_version": 3, "solution": true, "task": false}
def saturated_fraction(a, low=-1.0, high=1.0, margin=0.005):
    """The share of values of a, an array of any shape, near one of its two ends."""
    ### BEGIN SOLUTION
    room = margin * (high - low)
    return np.mean((a < low + room) | (a > high - room))
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test_saturated_fraction", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "saturated_fraction",
    saturated_fraction,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "forward_statistics_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 2. The signal on its way up (8 points)
#
# Send `X` through the network and return a dictionary with three arrays of length $K$, one entry for
# each layer $l = 1, \dots, K$ (the input is not a layer):
#
# - `"mean"`: the mean of all values of $h_l$, over samples and units alike;
# - `"std"`: the standard deviation of all values of $h_l$ about that mean (divide by their number);
# - `"saturated"`: the share of values where the activation has gone flat. For tanh and sigmoid that is
#   the saturated fraction with the default margin, between the ends of that function; for ReLU it is
#   the share of exact zeros.

# %% nbgrader={"grade": false, "grade_id": "forward_statistics", "locked": false, "schema_version": 3, "solution": true, "task": false}
def forward_statistics(X, weights, activation):
    """Mean, std and saturated fraction of each layer's activations, as a dict of arrays (K,)."""
    ### BEGIN SOLUTION
    h = X
    mean, std, saturated = [], [], []
    for W in weights:
        u = h @ W
        if activation == "relu":
            h = np.maximum(u, 0)
            flat = np.mean(h == 0)
        elif activation == "tanh":
            h = np.tanh(u)
            flat = saturated_fraction(h)
        else:
            h = 1 / (1 + np.exp(-u))
            flat = saturated_fraction(h, 0.0, 1.0)
        mean.append(h.mean())
        std.append(h.std())
        saturated.append(flat)
    return {"mean": np.array(mean), "std": np.array(std), "saturated": np.array(saturated)}
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test_forward_statistics", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "forward_statistics",
    forward_statistics,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "layer_gradient_norms_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 3. The gradient on its way down (11 points)
#
# Given `upstream`, which is $\partial L/\partial h_K$ and has the shape of $h_K$, find
# $\partial L/\partial h_l$ for all layers down to the input, $l = K, K-1, \dots, 0$, by
# backpropagation that you write yourself. Return the array of their $K + 1$ norms in the order of the
# layers: $\lVert\partial L/\partial h_0\rVert$, that of the input, first, and
# $\lVert\partial L/\partial h_K\rVert$, that of `upstream`, last. The norm of a matrix is the root of
# the sum of its squared entries (Frobenius).
#
# Where the input of a ReLU is exactly 0, its slope counts as 0.

# %% nbgrader={"grade": false, "grade_id": "layer_gradient_norms", "locked": false, "schema_version": 3, "solution": true, "task": false}
def layer_gradient_norms(X, weights, activation, upstream):
    """The norms of ∂L/∂h_l for l = 0, ..., K, as an array of shape (K + 1,)."""
    ### BEGIN SOLUTION
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
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test_layer_gradient_norms", "locked": true, "points": 11, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "layer_gradient_norms",
    layer_gradient_norms,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "xavier_std_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 4. Xavier's compromise (2 points)
#
# Return the standard deviation of the weights by Glorot and Bengio's initialization, which lets
# the variance be one over the average of fan_in and fan_out.

# %% nbgrader={"grade": false, "grade_id": "xavier_std", "locked": false, "schema_version": 3, "solution": true, "task": false}
def xavier_std(fan_in, fan_out):
    """The standard deviation of Xavier (Glorot) initialization."""
    ### BEGIN SOLUTION
    return np.sqrt(2 / (fan_in + fan_out))
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test_xavier_std", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "xavier_std",
    xavier_std,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "he_std_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 5. He's repair for ReLU (2 points)
#
# Return the standard deviation of the weights for a layer with ReLU, by He and colleagues: large
# enough to keep the mean square of the signal although half of it is cut off. Use the version that
# looks at the way up (fan_in).

# %% nbgrader={"grade": false, "grade_id": "he_std", "locked": false, "schema_version": 3, "solution": true, "task": false}
def he_std(fan_in):
    """The standard deviation of He initialization, for ReLU."""
    ### BEGIN SOLUTION
    return np.sqrt(2 / fan_in)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test_he_std", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "he_std",
    he_std,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "layer_stds_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 6. A whole network (4 points)
#
# `sizes` lists the widths of a network from its input to its output, such as `[64, 100, 50, 10]`:
# $K + 1$ numbers for $K$ weight matrices. Return an array of $K$ standard deviations, one per matrix
# in the order of the layers: He's if `activation` is `"relu"`, Xavier's if it is `"tanh"`.

# %% nbgrader={"grade": false, "grade_id": "layer_stds", "locked": false, "schema_version": 3, "solution": true, "task": false}
def layer_stds(sizes, activation):
    """The standard deviation for each weight matrix of an MLP, as an array (len(sizes) - 1,)."""
    ### BEGIN SOLUTION
    pairs = zip(sizes[:-1], sizes[1:])
    if activation == "relu":
        return np.array([he_std(fan_in) for fan_in, _ in pairs])
    return np.array([xavier_std(fan_in, fan_out) for fan_in, fan_out in pairs])
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test_layer_stds", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "layer_stds",
    layer_stds,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "clip_gradients_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 7. A leash for gradients (7 points)
#
# `grads` is a list of arrays of any shapes: the gradients of all parameters. Their *global norm* is
# the root of the sum of all squares over all arrays. Return a new list:
#
# - if the global norm exceeds `max_norm`, all arrays multiplied by the one factor that makes the
#   global norm equal to `max_norm` (PyTorch adds $10^{-6}$ to the norm before it divides; you may);
# - otherwise the gradients as they are.

# %% nbgrader={"grade": false, "grade_id": "clip_gradients", "locked": false, "schema_version": 3, "solution": true, "task": false}
def clip_gradients(grads, max_norm):
    """The gradients, shortened together to a global norm of at most max_norm: a list of arrays."""
    ### BEGIN SOLUTION
    total = np.sqrt(sum(np.sum(g**2) for g in grads))
    if total <= max_norm:
        return [g.copy() for g in grads]
    return [g * (max_norm / total) for g in grads]
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test_clip_gradients", "locked": true, "points": 7, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "clip_gradients",
    clip_gradients,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "ratio_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 8. In your own words (4 points, graded by a person)
#
# A colleague's network has 40 tanh layers of 256 units, no biases, and weights drawn with a standard
# deviation of 0.05; its inputs are standardized. It does not learn. Suspecting vanishing gradients,
# she computes $\lVert\partial L/\partial W_1\rVert / \lVert\partial L/\partial W_{40}\rVert$ and finds
# 1.1. "So the gradients do not vanish," she says, "and I shall raise the learning rate until it moves."
# In about six sentences: are her gradients vanishing, and by what factor, roughly? Why does her ratio
# not show it? What should she plot instead? What would you change, and to which number?
#
# ### BEGIN MARK SCHEME
# **Mark scheme, 1 point each**
#
# 1. Computes the factor per layer, √256 · 0.05 = 0.8 (slopes near 1, since the signal is small), and
#    its 40th power, about 1e-4 (5e-5 to 2e-4; the slopes of the first layers are somewhat below 1,
#    so that a measurement gives about 7e-5): yes, they vanish.
# 2. Explains the ratio: ∂L/∂W_l is a product of the signal h_{l-1}, which shrinks on the way up, and
#    the gradient at layer l, which shrinks on the way down; in a nearly linear net the product is the
#    same in all layers, so all weight gradients are small together.
# 3. Asks for absolute norms, or for ‖∂L/∂h_l‖ (or the spread of h_l) per layer, on a logarithmic axis.
# 4. Sets the weights' deviation to about 1/√256 = 0.0625 (Xavier), or slightly more for tanh, instead of
#    raising the learning rate (which would have to grow by orders of magnitude, and would be far too
#    large as soon as the signal recovers). Normalization layers or skip connections also earn the point
#    if argued.
# ### END MARK SCHEME

# %% [markdown] nbgrader={"grade": true, "grade_id": "ratio", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# They vanish: the signal is small, so all slopes are near 1 and each layer multiplies the gradient by
# about √256 · 0.05 = 0.8, which over 40 layers makes 0.8⁴⁰, about 1e-4. The signal shrinks by the
# same factor per layer on its way up. The gradient of a weight matrix is the product of the signal
# below it and the gradient above it; going down one layer, the one factor grows by 1/0.8 and the
# other shrinks by 0.8, so the product is nearly the same in all layers: all of them are small
# together, and their ratio is near 1. She should plot the norm of ∂L/∂h_l (or the spread of h_l)
# against the layer on a logarithmic axis. The repair is a deviation of 1/√256 = 0.0625, which makes
# the factor about 1. A learning rate large enough for the shrunken gradients would be far too large
# as soon as the weights have grown a little.
# ### END SOLUTION
