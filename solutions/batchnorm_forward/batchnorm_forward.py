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
# # Batch normalization, forward: exercises
#
# These exercises belong to the chapter *Batch normalization, forward* of the book. You write six small
# functions, and you answer one question in your own words. Count on about an hour and a quarter.
#
# **How it works.** Replace `raise NotImplementedError()` by your code and run the cell, then run the
# cell below it. Its report says which properties your answer has, which it does not have, and, if it
# knows the mistake, how to repair it. You may run it as often as you like. A few more properties are
# looked at when your notebook is graded; the report says how many.
# What else you need, such as another import, write into your own cells, or into new ones: all others
# are put back as they are here when your notebook is graded.
#
# Throughout, `x` is a batch of N samples with D features: a NumPy array of shape `(N, D)`. `gamma` and
# `beta` have the shape `(D,)`. Return new arrays and leave your arguments as they are. Floating-point
# types are kept: float64 in, float64 out; float32 in, float32 out. Write with NumPy only.
#
# *Colab, or any other computer:* the notebook needs NumPy and this course's `autograder` package;
# the section "Learn" of the course's README has the line that installs it.

# %% nbgrader={"grade": false, "grade_id": "imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
import numpy as np

# %% [markdown] nbgrader={"grade": false, "grade_id": "batch_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# Here is a small batch to try things out: four samples of three features. The second feature is far
# from zero, and the third is the same in all samples.

# %% nbgrader={"grade": false, "grade_id": "batch", "locked": true, "schema_version": 3, "solution": false, "task": false}
x = np.array(
    [
        [0.3, 10000.5, 2.0],
        [1.1, 9998.5, 2.0],
        [-0.7, 10001.0, 2.0],
        [0.9, 10000.0, 2.0],
    ]
)
x

# %% [markdown] nbgrader={"grade": false, "grade_id": "stable_variance_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 1. A variance that keeps its digits (7 points)
#
# The (biased) variance of feature $j$ is the mean squared deviation from its mean:
#
# $$\sigma_j^2 = \frac1N \sum_{i=1}^N (x_{ij} - \mu_j)^2, \qquad \mu_j = \frac1N \sum_{i=1}^N x_{ij}$$
#
# Return the D variances, shape `(D,)`. The test batches include some whose variances are near 1 and whose
# means are near 10 000, in float32, or near $10^9$, in float64: your result must be right there, too, to
# 1 %. The page compares three ways to compute a variance. (`np.var` is one line, and allowed. You will
# learn more if you write the formula.)

# %% nbgrader={"grade": false, "grade_id": "stable_variance", "locked": false, "schema_version": 3, "solution": true, "task": false}
def stable_variance(x):
    """The biased variance of each feature of x, shape (N, D), as an array of shape (D,)."""
    ### BEGIN SOLUTION
    centered = x - x.mean(axis=0)
    return (centered**2).mean(axis=0)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test_stable_variance", "locked": true, "points": 7, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "stable_variance",
    stable_variance,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "batch_statistics_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 2. Batch statistics (5 points)
#
# Return the pair `(mean, var)` of a batch: the mean and the biased variance of each feature, both of
# shape `(D,)`. You may call `stable_variance`. A batch of a single sample is a batch; what are its mean
# and its variance?

# %% nbgrader={"grade": false, "grade_id": "batch_statistics", "locked": false, "schema_version": 3, "solution": true, "task": false}
def batch_statistics(x):
    """The mean and the biased variance of each feature of x, shape (N, D), as a pair of (D,) arrays."""
    ### BEGIN SOLUTION
    return x.mean(axis=0), stable_variance(x)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test_batch_statistics", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "batch_statistics",
    batch_statistics,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "batchnorm_forward_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 3. The transform (13 points)
#
# Normalize each feature over the batch, then scale and shift it:
#
# $$\hat x_{ij} = \frac{x_{ij} - \mu_j}{\sqrt{\sigma_j^2 + \varepsilon}},\qquad
# y_{ij} = \gamma_j\,\hat x_{ij} + \beta_j$$
#
# Return the pair `(y, cache)`. `y` has the shape and the dtype of `x` (if `x`, `gamma` and `beta` are
# float32, so is `y`). `cache` is a tuple or a dict of whatever arrays and numbers you would like to find
# again in the backward pass; nobody grades it. Every batch counts by itself: remember nothing between
# calls. A batch of one is no error here: apply the formula and see what it gives.

# %% nbgrader={"grade": false, "grade_id": "batchnorm_forward", "locked": false, "schema_version": 3, "solution": true, "task": false}
def batchnorm_forward(x, gamma, beta, eps=1e-5):
    """Batch normalization of x, shape (N, D), in training: return (y, cache), y of shape (N, D)."""
    ### BEGIN SOLUTION
    mean, var = batch_statistics(x)
    std = np.sqrt(var + eps)
    x_hat = (x - mean) / std
    return gamma * x_hat + beta, (x_hat, gamma, std)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test_batchnorm_forward", "locked": true, "points": 13, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "batchnorm_forward",
    batchnorm_forward,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "identity_parameters_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 4. The way back (4 points)
#
# Which $\gamma$ and $\beta$ make batch normalization return exactly the batch `x` that it is given?
# Return them as the pair `(gamma, beta)`, each of shape `(D,)`. `eps` is the $\varepsilon$ that the layer
# will use, and it may be as large as a variance.

# %% nbgrader={"grade": false, "grade_id": "identity_parameters", "locked": false, "schema_version": 3, "solution": true, "task": false}
def identity_parameters(x, eps=1e-5):
    """The (gamma, beta) for which batch normalization of x, shape (N, D), returns x."""
    ### BEGIN SOLUTION
    mean, var = batch_statistics(x)
    return np.sqrt(var + eps), mean
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test_identity_parameters", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "identity_parameters",
    identity_parameters,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "batchnorm2d_forward_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 5. Images (9 points)
#
# Now `x` has the shape `(N, C, H, W)`: N images with C channels (channels first, as in PyTorch). All
# $m = N \cdot H \cdot W$ values of a channel are one feature, with one mean, one variance, one $\gamma_c$
# and one $\beta_c$:
#
# $$\mu_c = \frac1{m}\sum_{n,h,w} x_{nchw},\qquad
# \sigma_c^2 = \frac1{m}\sum_{n,h,w} (x_{nchw} - \mu_c)^2,\qquad
# y_{nchw} = \gamma_c\,\frac{x_{nchw} - \mu_c}{\sqrt{\sigma_c^2 + \varepsilon}} + \beta_c$$
#
# `gamma` and `beta` have the shape `(C,)`. Return `(y, cache)`; `y` has the shape `(N, C, H, W)`.

# %% nbgrader={"grade": false, "grade_id": "batchnorm2d_forward", "locked": false, "schema_version": 3, "solution": true, "task": false}
def batchnorm2d_forward(x, gamma, beta, eps=1e-5):
    """Batch normalization of x, shape (N, C, H, W), in training: return (y, cache), y shaped as x."""
    ### BEGIN SOLUTION
    N, C, H, W = x.shape
    flat = x.transpose(0, 2, 3, 1).reshape(-1, C)
    y, cache = batchnorm_forward(flat, gamma, beta, eps)
    return y.reshape(N, H, W, C).transpose(0, 3, 1, 2), cache
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test_batchnorm2d_forward", "locked": true, "points": 9, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "batchnorm2d_forward",
    batchnorm2d_forward,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "fold_bias_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 6. The bias that nobody needs (5 points)
#
# A trained network computes $u = xW + b$ and normalizes $u$. You want to delete $b$. In training that is
# easy, because the batch mean takes $b$ away. But later, in use, the layer divides and subtracts with
# a *kept* mean and variance (chapter 6 says where they come from), and these belong to $xW + b$:
#
# - in training: $\;y = \gamma\,\dfrac{u - \mu_\mathcal{B}}{\sqrt{\sigma_\mathcal{B}^2 + \varepsilon}} + \beta\;$ with mean and variance of the batch of $u$;
# - in use: $\;y = \gamma\,\dfrac{u - \texttt{mean}}{\sqrt{\texttt{var} + \varepsilon}} + \beta\;$ with the kept `mean` and `var`.
#
# Return the four vectors `(gamma, beta, mean, var)` for the layer *without* bias, $u = xW$, so that its
# output is the same as before **both** in training and in use, for every input and every
# $\varepsilon$. All vectors have the shape `(D,)`. (One of them has to change. Which?)

# %% nbgrader={"grade": false, "grade_id": "fold_bias", "locked": false, "schema_version": 3, "solution": true, "task": false}
def fold_bias(b, gamma, beta, mean, var):
    """The (gamma, beta, mean, var) with which a layer without the bias b computes the same."""
    ### BEGIN SOLUTION
    return gamma, beta, mean - b, var
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test_fold_bias", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "fold_bias",
    fold_bias,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "batch_of_one_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 7. In your own words (4 points, graded by a person)
#
# A colleague puts a trained classifier, fully connected layers with batch normalization, behind a web
# page. Visitors send one picture at a time. There is no error message and no NaN, but every visitor gets
# the *same* answer, whatever the picture. It turns out that the layers were left in training mode. In
# about five sentences: explain from the formula why all answers are the same; say what the answer *does*
# depend on; say what would change with batches of two or of a hundred, and what would still be wrong then;
# and say how a layer with 5×5 images per channel would have behaved.
#
# ### BEGIN MARK SCHEME
# **Mark scheme, 1 point each**
#
# 1. For N = 1 the sample is its own mean, so x - μ = 0, the variance is 0, ε avoids 0/0, and x̂ = 0.
# 2. So y = β (of the first such layer): the answer depends on the learned parameters only, not on the
#    picture.
# 3. With larger batches outputs do vary, but each depends on the other pictures in the batch: the same
#    picture gets different answers in different company; larger batches make this smaller.
# 4. A convolutional layer has H·W = 25 values per channel even for one image, so its output still varies
#    with the picture (but every picture is normalized by its own statistics, unlike in training).
# ### END MARK SCHEME

# %% [markdown] nbgrader={"grade": true, "grade_id": "batch_of_one", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# With a batch of one, the mean of each feature over the batch is the feature itself, so x - μ is 0, the
# variance is 0, and thanks to ε the quotient is 0 and not NaN: x̂ = 0 for every picture. The first such
# layer therefore outputs β, whatever comes in, and all later layers compute the same from it: the answer
# depends on the learned parameters alone. With two pictures the outputs differ, but only through
# which of the two is larger in each feature; with a hundred they are close to sensible, yet each answer
# still depends on the other visitors, so the same picture may be classified differently tomorrow. A
# convolutional layer with 5×5 positions has 25 values per channel even for a single image, so its
# output would vary with the picture, normalized by that picture's own statistics, which is not what the
# network was trained with. The remedy is fixed statistics in use (inference mode).
# ### END SOLUTION
