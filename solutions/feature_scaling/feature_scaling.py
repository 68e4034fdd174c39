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
# # Feature scaling: exercises
#
# These exercises belong to the chapter *Feature scaling* of the book. You write four small functions
# and one class, and you answer one question in your own words. Count on about an hour.
#
# **How it works.** Replace `raise NotImplementedError()` by your code and run the cell, then run the
# cell below it. Its report says which properties your answer has, which it does not have, and, if it
# knows the mistake, how to repair it. You may run it as often as you like. A few more properties are
# looked at when your notebook is graded; the report says how many.
# What else you need, such as another import, write into your own cells, or into new ones: all others
# are put back as they are here when your notebook is graded.
#
# Throughout, `X` is a table with N rows (samples) and D columns (features): a NumPy array of shape
# `(N, D)`. Compute in `float64`, return a new array, and leave `X` as it is. A column *never varies* if
# all of its values are equal; one whose values lie only $10^{-9}$ apart, as in large units, does vary.
# Write with NumPy only: scikit-learn would do it in one line, and you would not learn where the traps
# are.
#
# *Colab, or any other computer:* the notebook needs NumPy and this course's `autograder` package;
# the section "Learn" of the course's README has the line that installs it.

# %% nbgrader={"grade": false, "grade_id": "imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
import numpy as np

# %% [markdown] nbgrader={"grade": false, "grade_id": "wine_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# Here are five of the wines from the chapter, with three of their thirteen features: alcohol (% by
# volume), hue (no unit, about 1) and proline (mg/l). Use them to try things out.

# %% nbgrader={"grade": false, "grade_id": "wine", "locked": true, "schema_version": 3, "solution": false, "task": false}
wine = np.array(
    [
        [14.23, 1.04, 1065.0],
        [13.20, 1.05, 1050.0],
        [12.37, 1.05, 520.0],
        [12.33, 1.25, 680.0],
        [12.86, 0.76, 630.0],
    ]
)
wine

# %% [markdown] nbgrader={"grade": false, "grade_id": "min_max_scale_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 1. Min-max scaling (7 points)
#
# Map each column linearly to the range $[a, b]$, so that its smallest value arrives at $a$ and its
# largest at $b$:
#
# $$x'_{ij} = a + (b - a)\,\frac{x_{ij} - \min_i x_{ij}}{\max_i x_{ij} - \min_i x_{ij}}$$
#
# `feature_range` is the pair $(a, b)$. A column that never varies has no range to divide by: map it
# to $a$.

# %% nbgrader={"grade": false, "grade_id": "min_max_scale", "locked": false, "schema_version": 3, "solution": true, "task": false}
def min_max_scale(X, feature_range=(0, 1)):
    """Scale each column of X, shape (N, D), linearly to feature_range = (a, b)."""
    ### BEGIN SOLUTION
    a, b = feature_range
    low = X.min(axis=0)
    span = X.max(axis=0) - low
    span = np.where(span == 0, 1, span)
    return a + (b - a) * (X - low) / span
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test_min_max_scale", "locked": true, "points": 7, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "min_max_scale",
    min_max_scale,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "mean_normalize_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 2. Mean normalization (6 points)
#
# Move each column's mean $\mu_j$ to 0 and divide by its range:
#
# $$x'_{ij} = \frac{x_{ij} - \mu_j}{\max_i x_{ij} - \min_i x_{ij}}$$
#
# A column that never varies becomes 0.

# %% nbgrader={"grade": false, "grade_id": "mean_normalize", "locked": false, "schema_version": 3, "solution": true, "task": false}
def mean_normalize(X):
    """Subtract each column's mean from X, shape (N, D), and divide by the column's range."""
    ### BEGIN SOLUTION
    span = X.max(axis=0) - X.min(axis=0)
    return (X - X.mean(axis=0)) / np.where(span == 0, 1, span)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test_mean_normalize", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "mean_normalize",
    mean_normalize,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "standardize_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 3. Standardization (7 points)
#
# Turn each column into z-scores:
#
# $$z_{ij} = \frac{x_{ij} - \mu_j}{\sigma_j},\qquad \sigma_j^2 = \frac1N \sum_{i=1}^N (x_{ij} - \mu_j)^2$$
#
# Mind the $N$ in the variance. A column that never varies becomes 0; and mind that the *computed*
# standard deviation of such a column need not be exactly 0.

# %% nbgrader={"grade": false, "grade_id": "standardize", "locked": false, "schema_version": 3, "solution": true, "task": false}
def standardize(X):
    """Give each column of X, shape (N, D), mean 0 and (population) standard deviation 1."""
    ### BEGIN SOLUTION
    constant = X.max(axis=0) == X.min(axis=0)
    return (X - X.mean(axis=0)) / np.where(constant, 1, X.std(axis=0))
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test_standardize", "locked": true, "points": 7, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "standardize",
    standardize,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "Scaler_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 4. A scaler that remembers (11 points)
#
# A model that was trained on z-scores must see new data through the *same* means and deviations.
# Write a class that computes them once, in `fit`, and uses them from then on:
#
# - `fit(X)` computes each column's mean and standard deviation and returns the scaler itself;
# - `transform(X)` returns $(x_{ij} - \mu_j)/\sigma_j$ with the statistics of the data that was fitted,
#   whatever it is given: other rows, or a single one;
# - `inverse_transform(Z)` undoes `transform`.
#
# A column that never varied in `fit` is centered only ($\sigma_j$ counts as 1); as in exercise 3, its
# *computed* deviation need not be exactly 0. Fitting again replaces the old statistics.

# %% nbgrader={"grade": false, "grade_id": "Scaler", "locked": false, "schema_version": 3, "solution": true, "task": false}
class Scaler:
    """Standardize the columns of a table with the statistics of the table that was fitted."""

    def fit(self, X):
        """Compute the statistics of X, shape (N, D), and return self."""
        ### BEGIN SOLUTION
        constant = X.max(axis=0) == X.min(axis=0)
        self.mean_ = X.mean(axis=0)
        self.scale_ = np.where(constant, 1, X.std(axis=0))
        return self
        ### END SOLUTION

    def transform(self, X):
        """Return X, shape (any, D), in units of the fitted statistics."""
        ### BEGIN SOLUTION
        return (X - self.mean_) / self.scale_
        ### END SOLUTION

    def inverse_transform(self, Z):
        """Return the table whose transform is Z, shape (any, D)."""
        ### BEGIN SOLUTION
        return Z * self.scale_ + self.mean_
        ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test_Scaler", "locked": true, "points": 11, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "Scaler",
    Scaler,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "scale_splits_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 5. Two splits, one ruler (7 points)
#
# Standardize a training split and a test split as a careful person does before training a model: the
# test split is measured, too, but it has no say in what the ruler looks like. Return the pair
# `(train, test)`. Test values beyond the training range are scaled like all others. A column that
# never varies in the training split is centered only, in both splits; its computed deviation, too,
# need not be exactly 0.

# %% nbgrader={"grade": false, "grade_id": "scale_splits", "locked": false, "schema_version": 3, "solution": true, "task": false}
def scale_splits(X_train, X_test):
    """Standardize both splits, shapes (N, D) and (M, D), and return them as (train, test)."""
    ### BEGIN SOLUTION
    scaler = Scaler().fit(X_train)
    return scaler.transform(X_train), scaler.transform(X_test)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test_scale_splits", "locked": true, "points": 7, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "scale_splits",
    scale_splits,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "leakage_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 6. In your own words (4 points, graded by a person)
#
# A colleague standardizes all 178 wines, then splits them into a training and a test set, trains a
# k-nearest-neighbour classifier, and reports a test accuracy of 97 %. In about five sentences: what
# is wrong with the procedure, how large do you expect the effect on the 97 % to be here and why, when
# would it be larger, and how should it be done?
#
# ### BEGIN MARK SCHEME
# **Mark scheme, 1 point each**
#
# 1. Names leakage: statistics of the test rows entered the preparation, so the estimate is not one
#    for unseen wines.
# 2. Expects a very small effect here, with a reason (many rows, few statistics, no labels).
# 3. Names a case where it is larger: few rows, minimum and maximum set by extreme rows, or steps
#    that use the labels, such as feature selection.
# 4. Split first, fit the scaler on the training split (or fold) only, transform both with it.
# ### END MARK SCHEME

# %% [markdown] nbgrader={"grade": true, "grade_id": "leakage", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# The means and deviations were computed from the test wines, too, so the test set took part in
# preparing the data that the model was trained on: information leaked from the test set, and 97 % is
# no longer an estimate for wines never seen. With 178 wines and two statistics per feature the effect
# is tiny: a third of the rows moves a mean very little, and no label was used. It grows when there are
# few rows, when the statistic hangs on single rows (minimum and maximum), and it becomes severe when
# the step looks at labels, as in choosing features. Split first, fit the scaler on the training split
# only, and transform both with it; in cross-validation, do so inside each fold (a pipeline).
# ### END SOLUTION
