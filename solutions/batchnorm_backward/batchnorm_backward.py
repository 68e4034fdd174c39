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
# # Batch normalization, backward: exercises
#
# These exercises belong to the chapter *Batch normalization, backward* of the book. You take the
# gradient through a batch normalization layer in two ways, for tables, for images and in inference
# mode; you build the instrument that tells right gradients from wrong ones, and the matrix behind it
# all; and you answer one question in your own words. Count on about two hours.
#
# **How it works.** Replace `raise NotImplementedError()` by your code and run the cell, then run the
# cell below it. Its report says which properties your answer has, which it does not have, and, if it
# knows the mistake, how to repair it. It may also tell you what your gradient is made of. You may run
# it as often as you like. A few more properties are looked at when your notebook is graded; the report
# says how many.
# What else you need, such as another import, write into your own cells, or into new ones: all others
# are put back as they are here when your notebook is graded.
#
# Throughout, `x`, `dy` and `dx` are arrays of shape `(N, D)`; `dy` stands for $\partial L/\partial y$,
# and so on: a gradient always has the shape of its variable. Write with NumPy only, compute in
# `float64`, and leave the arrays that you are given as they are.
#
# *Colab, or any other computer:* the notebook needs NumPy and this course's `autograder` package;
# the section "Learn" of the course's README has the line that installs it.

# %% nbgrader={"grade": false, "grade_id": "imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
import numpy as np

# %% [markdown] nbgrader={"grade": false, "grade_id": "forward_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## The forward pass is given
#
# All that the backward pass needs is handed over in the dictionary `cache`. Mind that `var` is the
# biased variance, *without* `eps`. The checks build their own caches in the same way, so nothing here
# depends on your solution of the chapter before.

# %% nbgrader={"grade": false, "grade_id": "forward", "locked": true, "schema_version": 3, "solution": false, "task": false}
def batchnorm_forward(x, gamma, beta, eps=1e-5):
    """Batch normalization of x, shape (N, D), in training mode; returns y and the cache."""
    mean = x.mean(axis=0)
    var = x.var(axis=0)
    x_hat = (x - mean) / np.sqrt(var + eps)
    y = gamma * x_hat + beta
    return y, {"x": x, "mean": mean, "var": var, "x_hat": x_hat, "gamma": gamma, "eps": eps}


rng = np.random.default_rng(0)
x = rng.normal(size=(6, 3)) * [0.5, 2.0, 6.0] + [1.0, -3.0, 20.0]
y, cache = batchnorm_forward(x, gamma=np.array([1.5, -0.7, 0.4]), beta=np.zeros(3))
dy = rng.normal(size=(6, 3))  # plays the part of the gradient that arrives from above

# %% [markdown] nbgrader={"grade": false, "grade_id": "batchnorm_backward_staged_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 1. Node by node (13 points)
#
# Broken down into its smallest steps, the forward pass is
#
# $$\begin{aligned}
# \text{mean} &= \tfrac1N\textstyle\sum_i x_i & \text{centered} &= x - \text{mean} &
# \text{squared} &= \text{centered}^2 & \text{var} &= \tfrac1N\textstyle\sum_i \text{squared}_i \\
# \text{std} &= \sqrt{\text{var} + \varepsilon} & \text{inv\_std} &= 1/\text{std} &
# \hat x &= \text{centered}\cdot\text{inv\_std} & y &= \gamma\,\hat x + \beta
# \end{aligned}$$
#
# Go back through it, one node at a time, and return a dictionary with the gradient of the loss with
# respect to each of these ten, each of the shape of its variable:
#
# | key | shape | | key | shape |
# |:--|:--|:--|:--|:--|
# | `"dbeta"` | `(D,)` | | `"dvar"` | `(D,)` |
# | `"dgamma"` | `(D,)` | | `"dsquared"` | `(N, D)` |
# | `"dx_hat"` | `(N, D)` | | `"dcentered"` | `(N, D)` |
# | `"dinv_std"` | `(D,)` | | `"dmean"` | `(D,)` |
# | `"dstd"` | `(D,)` | | `"dx"` | `(N, D)` |
#
# Two variables are used twice, so two gradients meet there: `centered` (in $\hat x$ and in `squared`)
# and `x` (in `centered` and in `mean`). `"dcentered"` and `"dx"` are the sums. When several
# properties fail, repair the first: the others may only inherit its error.

# %% nbgrader={"grade": false, "grade_id": "batchnorm_backward_staged", "locked": false, "schema_version": 3, "solution": true, "task": false}
def batchnorm_backward_staged(dy, cache):
    """The gradient at every node of batch normalization, as a dict of ten arrays."""
    ### BEGIN SOLUTION
    N = len(dy)
    centered = cache["x"] - cache["mean"]
    std = np.sqrt(cache["var"] + cache["eps"])
    grads = {"dbeta": dy.sum(axis=0), "dgamma": (dy * cache["x_hat"]).sum(axis=0)}
    grads["dx_hat"] = dy * cache["gamma"]
    grads["dinv_std"] = (grads["dx_hat"] * centered).sum(axis=0)
    grads["dstd"] = -grads["dinv_std"] / std**2
    grads["dvar"] = grads["dstd"] / (2 * std)
    grads["dsquared"] = np.ones_like(dy) * grads["dvar"] / N
    grads["dcentered"] = grads["dx_hat"] / std + 2 * centered * grads["dsquared"]
    grads["dmean"] = -grads["dcentered"].sum(axis=0)
    grads["dx"] = grads["dcentered"] + grads["dmean"] / N
    return grads
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test_batchnorm_backward_staged", "locked": true, "points": 13, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "batchnorm_backward_staged",
    batchnorm_backward_staged,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "batchnorm_backward_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 2. The closed form (12 points)
#
# Now without the intermediate steps. Simplify on paper first; the chapter shows the way. Return the
# tuple `(dx, dgamma, dbeta)`. Only `x_hat`, `gamma`, `var` and `eps` of the cache are needed.

# %% nbgrader={"grade": false, "grade_id": "batchnorm_backward", "locked": false, "schema_version": 3, "solution": true, "task": false}
def batchnorm_backward(dy, cache):
    """The gradients (dx, dgamma, dbeta), shapes (N, D), (D,) and (D,), of batch normalization."""
    ### BEGIN SOLUTION
    x_hat = cache["x_hat"]
    std = np.sqrt(cache["var"] + cache["eps"])
    dbeta = dy.sum(axis=0)
    dgamma = (dy * x_hat).sum(axis=0)
    dx = cache["gamma"] / std * (dy - dbeta / len(dy) - x_hat * dgamma / len(dy))
    return dx, dgamma, dbeta
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test_batchnorm_backward", "locked": true, "points": 12, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "batchnorm_backward",
    batchnorm_backward,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "batchnorm2d_backward_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 3. Images (8 points)
#
# After a convolution, `x` has the shape `(N, C, H, W)`, and each channel is one feature with
# $N\cdot H\cdot W$ values: its mean and variance run over the axes `(0, 2, 3)`. In the cache, `x` and
# `x_hat` have the shape `(N, C, H, W)`; `mean`, `var` and `gamma` the shape `(C,)`. Return
# `(dx, dgamma, dbeta)`. You may use what you have written above.

# %% nbgrader={"grade": false, "grade_id": "batchnorm2d_backward", "locked": false, "schema_version": 3, "solution": true, "task": false}
def batchnorm2d_backward(dy, cache):
    """The gradients (dx, dgamma, dbeta), shapes (N, C, H, W), (C,) and (C,), for images."""
    ### BEGIN SOLUTION
    N, C, H, W = dy.shape
    table = {"x_hat": cache["x_hat"].transpose(0, 2, 3, 1).reshape(-1, C)}
    dx, dgamma, dbeta = batchnorm_backward(dy.transpose(0, 2, 3, 1).reshape(-1, C), cache | table)
    return dx.reshape(N, H, W, C).transpose(0, 3, 1, 2), dgamma, dbeta
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test_batchnorm2d_backward", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "batchnorm2d_backward",
    batchnorm2d_backward,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "batchnorm_backward_eval_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 4. In inference mode (6 points)
#
# In inference mode, and in a layer that is frozen while the rest is fine-tuned, the forward pass is
#
# $$y = \gamma\,\frac{x - \mu_\text{run}}{\sqrt{\sigma^2_\text{run} + \varepsilon}} + \beta$$
#
# with stored statistics. The cache is `{"x", "running_mean", "running_var", "gamma", "eps"}`. Return
# `(dx, dgamma, dbeta)`.

# %% nbgrader={"grade": false, "grade_id": "batchnorm_backward_eval", "locked": false, "schema_version": 3, "solution": true, "task": false}
def batchnorm_backward_eval(dy, cache):
    """The gradients (dx, dgamma, dbeta) of batch normalization in inference mode."""
    ### BEGIN SOLUTION
    std = np.sqrt(cache["running_var"] + cache["eps"])
    x_hat = (cache["x"] - cache["running_mean"]) / std
    return cache["gamma"] / std * dy, (dy * x_hat).sum(axis=0), dy.sum(axis=0)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test_batchnorm_backward_eval", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "batchnorm_backward_eval",
    batchnorm_backward_eval,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "functions_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 5. An instrument that finds wrong gradients (10 points)
#
# Here are four functions from arrays to arrays. Your instrument is told *by name* which one to examine,
# and looks it up in `FUNCTIONS`. (The reason: when your notebook is graded, your code runs in a process
# of its own, shut off from the grader. Names and numbers can be sent there, functions cannot.)

# %% nbgrader={"grade": false, "grade_id": "functions", "locked": true, "schema_version": 3, "solution": false, "task": false}
FUNCTIONS = {
    "cube": lambda x: x**3,
    "energy": lambda x: (x**2).sum(axis=1),
    "relu": lambda x: np.maximum(x, 0),
    "standardize": lambda x: (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5),
}

# %% [markdown] nbgrader={"grade": false, "grade_id": "gradient_check_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# Let $f$ be one of them, and $L(x) = \sum_k \text{dy}_k\, f(x)_k$, so that `dy` is the gradient that
# arrives. Somebody claims that `dx` is $\partial L/\partial x$. Find out:
#
# - Find each entry of the gradient by a *central difference*, moving one entry of $x$ at a time:
#   $\frac{L(x + h e_i) - L(x - h e_i)}{2h}$. Work in `float64`, whatever the dtype of `x` is.
# - The *error* is $\lVert \text{dx} - \text{numerical} \rVert$ divided by the larger of
#   $\lVert\text{dx}\rVert$ and $\lVert\text{numerical}\rVert$, but by no less than $10^{-3}$: where both
#   gradients vanish, there is nothing to compare but rounding errors. Norms are taken over all entries.
# - Return the pair `(accepted, error)`, where `accepted` says whether the error is at most `tolerance`.
#
# `dy` has the shape of $f(x)$, which need not be that of `x`.

# %% nbgrader={"grade": false, "grade_id": "gradient_check", "locked": false, "schema_version": 3, "solution": true, "task": false}
def gradient_check(name, x, dy, dx, h=1e-5, tolerance=1e-6):
    """Is dx the gradient of sum(dy * f(x)) for f = FUNCTIONS[name]? Returns (accepted, error)."""
    ### BEGIN SOLUTION
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
    return error <= tolerance, error
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test_gradient_check", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "gradient_check",
    gradient_check,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "gradient_check_use", "locked": true, "schema_version": 3, "solution": false, "task": false}
# Try it on your own work: with `gamma` all ones, `"standardize"` is the layer of exercise 2.
# What does it say of your `dx` if `dy` is random, and what if `dy` is all ones? What would it say of a
# wrong one?

# %% [markdown] nbgrader={"grade": false, "grade_id": "batchnorm_jacobian_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 6. The matrix behind it (6 points)
#
# For one feature of a batch, `x` of shape `(N,)`, normalization is a map from $N$ numbers to $N$
# numbers. Return its Jacobian, the array $J$ of shape `(N, N)` with $J_{ij} = \partial \hat x_i / \partial x_j$,
# by a formula (no differences). $\hat x$ is normalized with the biased variance and `eps`.

# %% nbgrader={"grade": false, "grade_id": "batchnorm_jacobian", "locked": false, "schema_version": 3, "solution": true, "task": false}
def batchnorm_jacobian(x, eps=1e-5):
    """The (N, N) derivatives of the normalized values with respect to the N values x."""
    ### BEGIN SOLUTION
    N = len(x)
    std = np.sqrt(x.var() + eps)
    x_hat = (x - x.mean()) / std
    return (np.eye(N) - 1 / N - np.outer(x_hat, x_hat) / N) / std
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test_batchnorm_jacobian", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "batchnorm_jacobian",
    batchnorm_jacobian,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "blind_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 7. In your own words (4 points, graded by a person)
#
# A colleague has written the backward pass of a batch normalization layer and tested it like this: for
# random `x`, with $\gamma = 1$ and $\beta = 0$, the loss is `(y**2).sum()`, and the gradient agrees with
# a numerical one to within 1e-4 (absolute). "So it is right." In about five sentences: what is the
# gradient of this loss, and why? Which wrong backward passes would pass the test, too? How would you
# test instead?
#
# ### BEGIN MARK SCHEME
# **Mark scheme, 1 point each**
#
# 1. The gradient is zero, or nearly so (of the order of eps).
# 2. Reason: the normalized values have mean 0 and mean square 1 (up to eps) whatever x is, so the loss
#    is constant; or: dy = 2 x_hat lies in a direction that the Jacobian maps to zero.
# 3. Names wrong answers that pass: returning zeros; any wrong factor (gamma, 1/std, N) in front of dx.
#    (Leaving out the mean's path passes as well, since the mean of dy is 0.)
# 4. A better test: random dy (loss = sum of dy * y), gamma different from 1, relative error, float64.
#    Any two of these.
# ### END MARK SCHEME

# %% [markdown] nbgrader={"grade": true, "grade_id": "blind", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# The gradient is zero but for eps. Whatever x is, each column of y has mean 0 and mean square
# var/(var + eps), so the loss is N·D up to eps, a constant. Seen from the other side, dy = 2 x_hat, and
# that is one of the two directions which the backward pass removes. A function that returns zeros
# passes, and so does the right formula with any wrong factor in front, or without the path through the
# mean, because the mean of this dy is 0 anyway. I would draw dy at random, take sum(dy * y) as the
# loss, give gamma and the features different scales, and ask for a small relative error in float64.
# ### END SOLUTION
