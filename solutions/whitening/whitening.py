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
# # Whitening and conditioning: exercises
#
# These exercises belong to the chapter *Whitening and conditioning* of the book. You write six short
# functions, and you answer one question in your own words. Count on about 75 minutes.
#
# **How it works.** Replace `raise NotImplementedError()` by your code and run the cell, then run the
# cell below it. Its report says which properties your answer has, which it does not have, and, if it
# knows the mistake, how to repair it. You may run it as often as you like. A few more properties are
# looked at when your notebook is graded; the report says how many.
# What else you need, such as another import, write into your own cells, or into new ones: all others
# are put back as they are here when your notebook is graded.
#
# Throughout, `X` is a table with N rows (samples) and D columns (features): a NumPy array of shape
# `(N, D)`. Compute in `float64`, return something new, and leave what you are given as it is. Write
# with NumPy only; everything in `np.linalg` is allowed, and `np.linalg.eigh` will be your friend: for a
# symmetric matrix it returns the eigenvalues *in rising order*, and a matrix `U` whose *columns* are the
# eigenvectors.
#
# *Colab, or any other computer:* the notebook needs NumPy and this course's `autograder` package;
# the section "Learn" of the course's README has the line that installs it.

# %% nbgrader={"grade": false, "grade_id": "imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
import numpy as np

# %% [markdown] nbgrader={"grade": false, "grade_id": "blood_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# Here are six of the patients of the chapter's diabetes table: total cholesterol, LDL cholesterol, and
# the ratio of total to HDL cholesterol, all from one blood test. The first two go up and down together. Use them to try things out.

# %% nbgrader={"grade": false, "grade_id": "blood", "locked": true, "schema_version": 3, "solution": false, "task": false}
blood = np.array(
    [
        [157.0, 93.2, 4.0],
        [183.0, 103.2, 3.0],
        [156.0, 93.6, 4.0],
        [198.0, 131.4, 5.0],
        [192.0, 125.4, 4.0],
        [139.0, 64.8, 2.0],
    ]
)
blood

# %% [markdown] nbgrader={"grade": false, "grade_id": "covariance_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 1. Covariance (5 points)
#
# The covariance of two features is the mean product of their deviations from their means. For all
# pairs of features at once, it is the $D \times D$ matrix
#
# $$\Sigma_{jk} = \frac1N \sum_{i=1}^N (x_{ij} - \mu_j)(x_{ik} - \mu_k)$$
#
# Mind the $N$. The result is a matrix for $D = 1$, too. And it should be exact when the data are far
# away from the origin: think about what you subtract, and when.

# %% nbgrader={"grade": false, "grade_id": "covariance", "locked": false, "schema_version": 3, "solution": true, "task": false}
def covariance(X):
    """Return the (D, D) covariance matrix of the columns of X, shape (N, D)."""
    ### BEGIN SOLUTION
    X = X - X.mean(axis=0)
    return X.T @ X / len(X)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test_covariance", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "covariance",
    covariance,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "condition_number_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 2. Condition number (5 points)
#
# The condition number of a table is that of its covariance matrix, the largest eigenvalue divided by
# the smallest:
#
# $$\kappa = \frac{\lambda_{\max}(\Sigma)}{\lambda_{\min}(\Sigma)}$$
#
# Some covariances have an eigenvalue 0: when a feature never varies, when it can be computed from the
# others, or when there are too few rows. Then $\kappa$ is infinite: return `np.inf`. Rounding leaves
# about $10^{-16}\lambda_{\max}$ where the zero should be, above or below it, so let an eigenvalue count
# as zero if it is at most $10^{-12}\lambda_{\max}$.

# %% nbgrader={"grade": false, "grade_id": "condition_number", "locked": false, "schema_version": 3, "solution": true, "task": false}
def condition_number(X):
    """Return the condition number of the covariance of X, shape (N, D); np.inf if it is singular."""
    ### BEGIN SOLUTION
    eigenvalues = np.linalg.eigvalsh(covariance(X))
    if eigenvalues[0] <= 1e-12 * eigenvalues[-1]:
        return np.inf
    return eigenvalues[-1] / eigenvalues[0]
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test_condition_number", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "condition_number",
    condition_number,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "max_learning_rate_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 3. The limit of the learning rate (3 points)
#
# For the loss $L(w) = \frac12 w^\top H w$, where $H$ is symmetric and none of its eigenvalues is
# negative, gradient descent with a fixed learning rate converges below a certain limit and diverges
# above it. Return that limit. ($H$ is a matrix here, not a table. It is not 0, but it may have flat
# directions.)

# %% nbgrader={"grade": false, "grade_id": "max_learning_rate", "locked": false, "schema_version": 3, "solution": true, "task": false}
def max_learning_rate(H):
    """Return the learning rate above which gradient descent diverges in the bowl H, shape (D, D)."""
    ### BEGIN SOLUTION
    return 2 / np.linalg.eigvalsh(H)[-1]
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test_max_learning_rate", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "max_learning_rate",
    max_learning_rate,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "gradient_descent_steps_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 4. Counting steps (6 points)
#
# Descend in the same bowl, $L(w) = \frac12 w^\top H w$, from the start $w_0$ and with the learning
# rate $\eta$:
#
# $$w_{t+1} = w_t - \eta\, \nabla L(w_t)$$
#
# Return the smallest $t$ for which $L(w_t) \le \text{tol} \cdot L(w_0)$. The start counts: if it
# satisfies this, the answer is 0. Take at most `max_steps` steps; if the loss after the last of them
# is still too high, return `np.inf`, because a count that was cut off is not a count.

# %% nbgrader={"grade": false, "grade_id": "gradient_descent_steps", "locked": false, "schema_version": 3, "solution": true, "task": false}
def gradient_descent_steps(H, w0, learning_rate, tol=1e-6, max_steps=200):
    """Count the steps from w0, shape (D,), until the loss has fallen to tol times its first value."""
    ### BEGIN SOLUTION
    def loss(w):
        return 0.5 * w @ H @ w

    w = w0
    for steps in range(max_steps + 1):
        if loss(w) <= tol * loss(w0):
            return steps
        w = w - learning_rate * (H @ w)
    return np.inf
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test_gradient_descent_steps", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "gradient_descent_steps",
    gradient_descent_steps,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "pca_whiten_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 5. PCA whitening (6 points)
#
# Center the table, take its coordinates along the eigenvectors $u_k$ of the covariance, and divide
# each by the standard deviation in that direction, with $\varepsilon$ under the root:
#
# $$z_{ik} = \frac{(x_i - \mu)\cdot u_k}{\sqrt{\lambda_k + \varepsilon}}$$
#
# The first column belongs to the largest eigenvalue, the last to the smallest. An eigenvector has no
# sign of its own, so every column may have either sign. The result has the shape of `X`, even if $X$
# has fewer rows than columns.

# %% nbgrader={"grade": false, "grade_id": "pca_whiten", "locked": false, "schema_version": 3, "solution": true, "task": false}
def pca_whiten(X, eps=1e-5):
    """Return X, shape (N, D), whitened, with the coordinates along the principal axes as columns."""
    ### BEGIN SOLUTION
    eigenvalues, U = np.linalg.eigh(covariance(X))
    Z = (X - X.mean(axis=0)) @ U / np.sqrt(eigenvalues + eps)
    return Z[:, ::-1]
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test_pca_whiten", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "pca_whiten",
    pca_whiten,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "zca_whiten_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 6. ZCA whitening (7 points)
#
# Among all whitenings, return the one that changes the centered data least. It is unique: scale along
# the eigenvectors as in the last exercise, but then express the result in the old features again, so
# that column $j$ is a cleaned-up version of feature $j$. With $\varepsilon = 0$, data that are white
# already are centered and otherwise stay as they are.

# %% nbgrader={"grade": false, "grade_id": "zca_whiten", "locked": false, "schema_version": 3, "solution": true, "task": false}
def zca_whiten(X, eps=1e-5):
    """Return the whitened version of X, shape (N, D), that is nearest to X once X is centered."""
    ### BEGIN SOLUTION
    eigenvalues, U = np.linalg.eigh(covariance(X))
    return (X - X.mean(axis=0)) @ U / np.sqrt(eigenvalues + eps) @ U.T
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test_zca_whiten", "locked": true, "points": 7, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "zca_whiten",
    zca_whiten,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "every_layer_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 7. In your own words (4 points, graded by a person)
#
# A colleague wants to whiten the 256 inputs of a hidden layer anew in every batch of 64 samples, with
# $\varepsilon = 10^{-5}$, "because $\kappa = 1$ is the best there is". In about six sentences: what
# does the covariance of such a batch look like, what does $\varepsilon$ repair and what not, what else
# speaks against it, and what does batch normalization keep of the plan and what does it give up?
#
# ### BEGIN MARK SCHEME
# **Mark scheme, 1 point each**
#
# 1. The batch covariance is singular: rank at most 63 of 256, so most eigenvalues are 0 and the batch
#    cannot be made white ($\kappa$ is infinite).
# 2. $\varepsilon$ keeps the result finite, but does not give the missing directions variance 1;
#    directions with almost no variance are amplified up to $1/\sqrt\varepsilon$, about 300 times,
#    which is noise in the batch and worse for other samples (either point suffices).
# 3. One more reason: a cost that grows with $D^3$; a gradient through the eigendecomposition that is
#    unstable where eigenvalues meet; axes that flip or swap from batch to batch (PCA); a covariance
#    that is estimated far too badly to hold for other samples.
# 4. Batch normalization keeps only the diagonal: a mean and a variance for each feature, each from 64
#    values. It gives up the correlations, so $\kappa$ is smaller in general, but not 1.
# ### END MARK SCHEME

# %% [markdown] nbgrader={"grade": true, "grade_id": "every_layer", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# After centering, 64 samples span at most 63 directions, so the 256 × 256 covariance has at least 193
# eigenvalues that are zero, and no linear map can make this batch white. With $\varepsilon$ the
# division stays finite, but the empty directions stay empty in this batch; a new sample has a part in
# them, and that part is multiplied by $1/\sqrt\varepsilon \approx 316$, noise included. Besides, the
# eigendecomposition costs a multiple of $D^3$ per layer and step, and its gradient contains the
# reciprocal differences of eigenvalues, which explode where two of them meet. Batch normalization
# keeps what 64 samples can tell reliably, a mean and a variance for each feature, the diagonal of the
# covariance. It gives up the correlations: each feature has variance 1, but the condition number is
# that of the correlation matrix and not 1.
# ### END SOLUTION
