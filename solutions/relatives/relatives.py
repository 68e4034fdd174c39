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
# # When it fails, and what to use instead: exercises
#
# These exercises belong to the chapter *When it fails, and what to use instead* of the book. You write
# one function from which four normalizations fall out, then three of batch normalization's relatives as
# networks use them, the backward pass of one of them, and two remedies for small batches; and you answer
# one question in your own words. Count on about two hours.
#
# **How it works.** Replace `raise NotImplementedError()` by your code and run the cell, then run the
# cell below it. Its report says which properties your answer has, which it does not have, and, if it
# knows the mistake, how to repair it. You may run it as often as you like. A few more properties are
# looked at when your notebook is graded; the report says how many.
# What else you need, such as another import, write into your own cells, or into new ones: all others
# are put back as they are here when your notebook is graded.
#
# Variances are biased throughout: squares are divided by the number of values. Return new arrays and
# leave your arguments as they are. Floating-point types are kept: float64 in, float64 out; float32 in,
# float32 out. Write with NumPy only.
#
# *Colab, or any other computer:* the notebook needs NumPy and this course's `autograder` package;
# the section "Learn" of the course's README has the line that installs it.

# %% nbgrader={"grade": false, "grade_id": "imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
import numpy as np

# %% [markdown] nbgrader={"grade": false, "grade_id": "data_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# Something to try things out: a table of four samples with three features, and two images with six
# channels of 4×3 pixels. All lengths differ, so that a wrong axis shows.

# %% nbgrader={"grade": false, "grade_id": "data", "locked": true, "schema_version": 3, "solution": false, "task": false}
rng = np.random.default_rng(0)
x = rng.normal(size=(4, 3)) * [1.0, 5.0, 0.2] + [0.0, 20.0, -3.0]
images = rng.normal(size=(2, 6, 4, 3)) + 10 * np.arange(6)[:, None, None]
x

# %% [markdown] nbgrader={"grade": false, "grade_id": "normalize_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 1. One function for four (11 points)
#
# Batch, layer, instance and group normalization differ in one thing only: which values share a mean and
# a variance. Write the function that takes this as an argument. `axes` are the axes to average *over*,
# one whole number or a tuple of them, as NumPy's `axis`. All values that differ in nothing but their
# positions along these axes are one set, and every set gets mean 0 and (up to $\varepsilon$) variance 1:
#
# $$\hat x = \frac{x - \mu}{\sqrt{\sigma^2 + \varepsilon}},\qquad
# \mu = \operatorname{mean}_\text{axes}(x),\quad
# \sigma^2 = \operatorname{mean}_\text{axes}\big((x - \mu)^2\big)$$
#
# | | shape | `axes` |
# |:--|:--|:--|
# | batch normalization of a table | `(N, D)` | `0` |
# | layer normalization of a table | `(N, D)` | `1` |
# | batch normalization of images | `(N, C, H, W)` | `(0, 2, 3)` |
# | instance normalization | `(N, C, H, W)` | `(2, 3)` |
# | layer normalization of images | `(N, C, H, W)` | `(1, 2, 3)` |
# | group normalization, G groups | `(N, G, C // G, H, W)` | `(2, 3, 4)` |
#
# There is no $\gamma$ and no $\beta$ here. The result has the shape of `x`. As in the chapters before,
# some float32 test data lie far from zero.

# %% nbgrader={"grade": false, "grade_id": "normalize", "locked": false, "schema_version": 3, "solution": true, "task": false}
def normalize(x, axes, eps=1e-5):
    """x with mean 0 and variance 1 over the given axes, an array of the same shape."""
    ### BEGIN SOLUTION
    centered = x - x.mean(axis=axes, keepdims=True)
    var = (centered**2).mean(axis=axes, keepdims=True)
    return centered / np.sqrt(var + eps)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test_normalize", "locked": true, "points": 11, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "normalize",
    normalize,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "layernorm_forward_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 2. Layer normalization, forward (10 points)
#
# Every sample is normalized over its own D features; $\gamma$ and $\beta$ still belong to the features:
#
# $$\mu_i = \frac1D\sum_{j=1}^D x_{ij},\qquad
# \sigma_i^2 = \frac1D\sum_{j=1}^D (x_{ij} - \mu_i)^2,\qquad
# y_{ij} = \gamma_j\,\frac{x_{ij} - \mu_i}{\sqrt{\sigma_i^2 + \varepsilon}} + \beta_j$$
#
# `x` has the shape `(N, D)`, or `(N, T, D)` for N sequences of T tokens. The features are always the
# *last* axis, and in a sequence every token is normalized by itself. `gamma` and `beta` have the shape
# `(D,)`.
#
# Return the pair `(y, cache)`. The cache is a dictionary that the next exercise will use:
#
# | key | | shape |
# |:--|:--|:--|
# | `"x_hat"` | the normalized input, before $\gamma$ and $\beta$ | that of `x` |
# | `"std"` | $\sqrt{\sigma^2 + \varepsilon}$, what you divided by | `(N, 1)` or `(N, T, 1)` |
# | `"gamma"` | $\gamma$ | `(D,)` |

# %% nbgrader={"grade": false, "grade_id": "layernorm_forward", "locked": false, "schema_version": 3, "solution": true, "task": false}
def layernorm_forward(x, gamma, beta, eps=1e-5):
    """Layer normalization of x over its last axis: return (y, cache), y shaped as x."""
    ### BEGIN SOLUTION
    std = np.sqrt(x.var(axis=-1, keepdims=True) + eps)
    x_hat = (x - x.mean(axis=-1, keepdims=True)) / std
    return gamma * x_hat + beta, {"x_hat": x_hat, "std": std, "gamma": gamma}
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test_layernorm_forward", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "layernorm_forward",
    layernorm_forward,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "layernorm_backward_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 3. Layer normalization, backward (12 points)
#
# Layer normalization is batch normalization of the transposed table, and so is its backward pass. You
# have derived, for batch normalization,
#
# $$\frac{\partial L}{\partial x_{ij}} = \frac{1}{\sigma_j}\Big(g_{ij} - \frac1N\sum_{k} g_{kj}
# - \hat x_{ij}\,\frac1N\sum_{k} g_{kj}\,\hat x_{kj}\Big),\qquad g_{ij} = \gamma_j\,\frac{\partial L}{\partial y_{ij}} ,$$
#
# where $\gamma_j$ could be moved out in front of the parentheses. Exchange the roles of samples and
# features. What happens to $\gamma$? And which sums do *not* change, because $\gamma$ and $\beta$ still
# belong to the features?
#
# Return `(dx, dgamma, dbeta)`: `dx` has the shape of `dy`, which is `(N, D)` or `(N, T, D)`; `dgamma` and
# `dbeta` have the shape `(D,)`. `cache` is that of exercise 2; the checks make their own, so nothing here
# depends on your answer there.

# %% nbgrader={"grade": false, "grade_id": "layernorm_backward", "locked": false, "schema_version": 3, "solution": true, "task": false}
def layernorm_backward(dy, cache):
    """The gradients (dx, dgamma, dbeta) of layer normalization over the last axis."""
    ### BEGIN SOLUTION
    x_hat = cache["x_hat"]
    samples = tuple(range(dy.ndim - 1))
    dgamma, dbeta = (dy * x_hat).sum(axis=samples), dy.sum(axis=samples)
    g = dy * cache["gamma"]  # inside the means: gamma differs from feature to feature
    mean = g.mean(axis=-1, keepdims=True)
    slope = (g * x_hat).mean(axis=-1, keepdims=True)
    return (g - mean - x_hat * slope) / cache["std"], dgamma, dbeta
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test_layernorm_backward", "locked": true, "points": 12, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "layernorm_backward",
    layernorm_backward,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "groupnorm_forward_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 4. Group normalization (10 points)
#
# `x` holds images of shape `(N, C, H, W)`. The C channels are divided into `groups` runs of neighbouring
# channels, all of one size. (With 6 channels and `groups=2`: channels 0, 1, 2 and channels 3, 4, 5.) In
# each image, the values of a group, all its channels with all their pixels, share one mean and one
# variance. $\gamma_c$ and $\beta_c$, shape `(C,)`, belong to the channels and are applied afterwards.
#
# Return `y`, of the shape of `x`. If the channels cannot be divided into groups of one size, raise a
# `ValueError`.

# %% nbgrader={"grade": false, "grade_id": "groupnorm_forward", "locked": false, "schema_version": 3, "solution": true, "task": false}
def groupnorm_forward(x, gamma, beta, groups, eps=1e-5):
    """Group normalization of images x, shape (N, C, H, W), in the given number of groups."""
    ### BEGIN SOLUTION
    N, C, H, W = x.shape
    if C % groups:
        raise ValueError(f"{C} channels cannot be divided into {groups} groups of one size")
    x_hat = normalize(x.reshape(N, groups, C // groups, H, W), (2, 3, 4), eps).reshape(x.shape)
    return gamma[:, None, None] * x_hat + beta[:, None, None]
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test_groupnorm_forward", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "groupnorm_forward",
    groupnorm_forward,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "rmsnorm_forward_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 5. RMS normalization (8 points)
#
# Many language models leave out the mean, and $\beta$ with it. Every sample is divided by the root of the
# mean square of its features:
#
# $$y_{ij} = \gamma_j\,\frac{x_{ij}}{\sqrt{\frac1D\sum_{k=1}^D x_{ik}^2 + \varepsilon}}$$
#
# `x` has the shape `(N, D)` or `(N, T, D)`; the features are the last axis, and every token is
# divided by a number of its own. `gamma` has the shape `(D,)`. Return `y`.

# %% nbgrader={"grade": false, "grade_id": "rmsnorm_forward", "locked": false, "schema_version": 3, "solution": true, "task": false}
def rmsnorm_forward(x, gamma, eps=1e-5):
    """RMS normalization of x over its last axis, an array shaped as x."""
    ### BEGIN SOLUTION
    return gamma * x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + eps)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test_rmsnorm_forward", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "rmsnorm_forward",
    rmsnorm_forward,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "merge_statistics_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 6. Statistics of several workers (14 points)
#
# A batch is spread over K workers. Worker $k$ holds $n_k$ of its samples and reports their number, the mean
# and the biased variance of each feature: `counts` is a list or array of K whole numbers, `means` and
# `variances` are arrays of shape `(K, D)`. Return `(count, mean, var)` of the whole batch, without seeing a
# single sample: the number of all samples, and their mean and biased variance, both of shape `(D,)`.
#
# The result must be exact, not an estimate, however unequal the workers are. Three things to think of:
#
# - Samples of different workers differ, too. Where does this enter the variance?
# - Means may be near $10^9$ while variances are near 1; the merged variance must be right then, too.
# - A worker may have no samples at all. Its count is 0, and its mean and variance are NaN, which is what
#   `np.mean` of nothing gives. It must not spoil the result. (At least one worker has samples.)

# %% nbgrader={"grade": false, "grade_id": "merge_statistics", "locked": false, "schema_version": 3, "solution": true, "task": false}
def merge_statistics(counts, means, variances):
    """The (count, mean, var) of all samples, from those of K workers."""
    ### BEGIN SOLUTION
    counts = np.array(counts)
    busy = counts > 0
    n, means, variances = counts[busy][:, None], means[busy], variances[busy]
    mean = (n * means).sum(axis=0) / n.sum()
    var = (n * (variances + (means - mean) ** 2)).sum(axis=0) / n.sum()
    return int(n.sum()), mean, var
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test_merge_statistics", "locked": true, "points": 14, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "merge_statistics",
    merge_statistics,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "batch_renorm_forward_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 7. Batch renormalization (12 points)
#
# In training a batch is normalized by its own statistics, in use by the running ones. Batch
# renormalization corrects the first towards the second, as far as limits allow. With
# $\sigma_\mathcal{B} = \sqrt{\texttt{var} + \varepsilon}$, where `var` is the biased variance of the batch,
# and with $\sigma = \sqrt{\texttt{running\_var} + \varepsilon}$,
#
# $$r = \operatorname{clip}_{[1/r_\max,\ r_\max]}\Big(\frac{\sigma_\mathcal{B}}{\sigma}\Big),\qquad
# d = \operatorname{clip}_{[-d_\max,\ d_\max]}\Big(\frac{\mu_\mathcal{B} - \mu}{\sigma}\Big),\qquad
# \hat x = \frac{x - \mu_\mathcal{B}}{\sigma_\mathcal{B}}\,r + d,\qquad y = \gamma\,\hat x + \beta$$
#
# where $\mu$ is `running_mean`, and all of it happens feature by feature. `x` has the shape `(N, D)`;
# `gamma`, `beta`, `running_mean` and `running_var` have the shape `(D,)`; `r_max` ($\ge 1$) and `d_max`
# ($\ge 0$) are numbers.
#
# Return the triple `(y, r, d)`, with `r` and `d` of shape `(D,)` as they were used. (The backward pass
# would need them: it treats them as constants.) This is the forward pass in training mode, without the
# update of the running statistics, which is left to its caller. Before you write: what is $\hat x$ when
# nothing is clipped? And what with $r_\max = 1$ and $d_\max = 0$?

# %% nbgrader={"grade": false, "grade_id": "batch_renorm_forward", "locked": false, "schema_version": 3, "solution": true, "task": false}
def batch_renorm_forward(x, gamma, beta, running_mean, running_var, r_max, d_max, eps=1e-5):
    """Batch renormalization of x, shape (N, D), in training: return (y, r, d)."""
    ### BEGIN SOLUTION
    batch_mean, batch_std = x.mean(axis=0), np.sqrt(x.var(axis=0) + eps)
    running_std = np.sqrt(running_var + eps)
    r = np.clip(batch_std / running_std, 1 / r_max, r_max)
    d = np.clip((batch_mean - running_mean) / running_std, -d_max, d_max)
    return gamma * ((x - batch_mean) / batch_std * r + d) + beta, r, d
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test_batch_renorm_forward", "locked": true, "points": 12, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "batch_renorm_forward",
    batch_renorm_forward,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "two_images_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 8. In your own words (4 points, graded by a person)
#
# A network with batch normalization was trained with batches of 32 images. It is trained again with larger
# images, on a machine where each of eight graphics cards holds 2 images of a batch of 16. Normalization
# takes its statistics on each card alone, and the result is much worse. Four colleagues have four ideas:
#
# - **A.** Add up the gradients of 8 steps before each update, so that an update sees 128 images.
# - **B.** Merge the statistics of the eight cards in every layer, as in exercise 6.
# - **C.** Replace batch normalization by group normalization and train anew.
# - **D.** Leave everything, but switch the normalization layers to their running statistics for
#   predictions (evaluation mode), "because then the batch size does not matter".
#
# In about eight sentences: say of each idea whether it helps against the small batches, and why or why
# not, and name for B and C what each costs or changes.
#
# ### BEGIN MARK SCHEME
# **Mark scheme, 1 point each**
#
# 1. A: does not help. Every forward pass still normalizes by the statistics of 2 images; adding
#    up gradients makes the update's noise smaller, not that of the statistics.
# 2. B: helps; the statistics are exactly those of 16 images (synchronized batch normalization). The price:
#    communication in every layer, forward and backward, and all cards wait for one another. (16 are still
#    not 32.)
# 3. C: helps; statistics are those of one image, independent of the batch, and the same in training and in
#    use. The price: another network: kept weights do not fit, the number of groups is to be chosen, the
#    noise of the batch as a regularizer is gone, and nothing can be folded into the layer before.
# 4. D: is right for predictions, but no remedy: the network has been trained with the noisy statistics of 2
#    images, and those in use differ from them; that gap, and the noise in training, remain. (Credit also
#    for: the running statistics themselves are averaged from small batches.)
# ### END MARK SCHEME

# %% [markdown] nbgrader={"grade": true, "grade_id": "two_images", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# A does not help: however many gradients are added up, each of them comes from a forward pass in which
# every layer took mean and variance from 2 images, and these statistics stay as noisy as they were. B helps:
# merged exactly, the statistics are those of all 16 images, as if one card held them all. The price is
# communication in every normalization layer, forward and backward, with all cards waiting for the slowest;
# and 16 images are still fewer than the 32 from before. C helps, too, and at any batch size: group
# normalization takes its statistics from one image alone, does the same in training and in use, and needs
# no communication. But it is another network: the old weights do not fit, the number of groups must be
# chosen, and the layer can no longer be folded into the convolution before it, because its statistics depend
# on the image. D is what one should do for predictions anyway, yet it is no remedy: the weights were
# trained under the statistics of 2 images and now meet others, so the gap between training and use is what
# hurts, and the noise in training has done its damage already.
# ### END SOLUTION
