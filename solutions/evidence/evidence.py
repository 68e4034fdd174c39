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
# # Why does it work? Exercises
#
# These exercises belong to the chapter *Why does it work?* of the book. You compute the quantities that
# the debate about batch normalization is about (the shift of a layer's gradient, the smoothness along a
# step, the effective learning rate, the growth of gradients), read six tables, and answer one question
# in your own words. Count on about two and a half hours; every exercise stands alone.
#
# **How it works.** Replace `raise NotImplementedError()` by your code and run the cell, then run the
# cell below it. Its report says which properties your answer has, which it does not have, and, if it
# knows the mistake, how to repair it. You may run it as often as you like. A few more properties are
# looked at when your notebook is graded; the report says how many.
# What else you need, such as another import, write into your own cells, or into new ones: all others
# are put back as they are here when your notebook is graded.
#
# Throughout, `X` is a batch of shape `(N, D)`, and the weights `W` of a layer have the shape
# `(fan_in, fan_out)`: the layer computes $u = hW$, and a unit's weights $w$ are a *column* of $W$. No layer
# has a bias. $\lVert A\rVert$ is the root of the sum of all squared entries, for matrices too. Write with
# NumPy only, compute in `float64`, and leave the arrays that you are given as they are.
#
# *Colab, or any other computer:* the notebook needs NumPy and this course's `autograder` package;
# the section "Learn" of the course's README has the line that installs it.

# %% nbgrader={"grade": false, "grade_id": "imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
import numpy as np

# %% [markdown] nbgrader={"grade": false, "grade_id": "covariate_shift_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 1. The shift of a layer's gradient (8 points)
#
# While a layer learns, the layers before it learn, too, so it works on inputs that shift under its feet.
# Santurkar et al. (2018, *How does batch normalization help optimization?*, Definition 2.1) measure what
# that does to the layer: they compare its gradient before and after the *earlier layers alone* have made
# their step. With weights $W_0, \dots, W_{K-1}$ and $i$ the layer in question,
#
# $$
# G = \frac{\partial L}{\partial W_i}(W_0, \dots, W_{K-1}), \qquad
# G' = \frac{\partial L}{\partial W_i}(W_0', \dots, W_{i-1}', W_i, \dots, W_{K-1}), \qquad
# W_j' = W_j - \eta\,\frac{\partial L}{\partial W_j} ,
# $$
#
# where all the gradients $\partial L/\partial W_j$ of the step are taken at the old weights. Return the
# pair of
#
# $$
# \lVert G - G'\rVert \qquad\text{and}\qquad
# \cos(G, G') = \frac{\langle G, G'\rangle}{\lVert G\rVert\,\lVert G'\rVert} ,
# $$
#
# where $\langle G, G'\rangle$ is the sum of the products of all entries.
#
# The network has a ReLU after every layer except the last: $h_0 = X$, then
# $h_{l+1} = \max(h_l W_l, 0)$, and the output is $o = h_{K-1} W_{K-1}$. The loss is
# $L = \frac{1}{2N}\sum_{n}\lVert o_n - y_n\rVert^2$. `layer` is the index of $W_i$ in the list `weights`,
# counted from 0.

# %% nbgrader={"grade": false, "grade_id": "covariate_shift", "locked": false, "schema_version": 3, "solution": true, "task": false}
def covariate_shift(X, Y, weights, layer, lr):
    """The distance and the cosine between G and G' at one layer, as a pair.

    X has the shape (N, D), Y holds the targets, weights is a list of matrices.
    """
    ### BEGIN SOLUTION
    def gradients(weights):
        inputs = [X]
        for W in weights[:-1]:
            inputs.append(np.maximum(inputs[-1] @ W, 0))
        gradient = (inputs[-1] @ weights[-1] - Y) / len(X)
        found = []
        for W, h in zip(weights[::-1], inputs[::-1]):
            found.append(h.T @ gradient)
            gradient = (gradient @ W.T) * (h > 0)
        return found[::-1]

    before = gradients(weights)
    moved = [W - lr * g if i < layer else W for i, (W, g) in enumerate(zip(weights, before))]
    G, G_moved = before[layer], gradients(moved)[layer]
    distance = np.linalg.norm(G - G_moved)
    cosine = np.sum(G * G_moved) / (np.linalg.norm(G) * np.linalg.norm(G_moved))
    return float(distance), float(cosine)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test_covariate_shift", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "covariate_shift",
    covariate_shift,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "gradient_predictiveness_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 2. How far a gradient can be trusted (9 points)
#
# A gradient is a promise about the neighbourhood. Santurkar et al. (2018, Section 3) test it: from one
# point $w$ they step along its gradient $g$ with several step sizes $\eta$, and look at the loss and at
# the new gradient at the end of each. With $g(\eta) = \nabla L(w - \eta g)$ and $g = g(0)$, return a
# dictionary with
#
# - `"loss_range"`: the lowest and the highest $L(w - \eta g)$, as a pair;
# - `"gradient_range"`: the smallest and the largest $\lVert g - g(\eta)\rVert$, as a pair;
# - `"smoothness"`: the effective smoothness, the change of the gradient per distance moved, at worst:
#
# $$\beta = \max_\eta \frac{\lVert g - g(\eta)\rVert}{\lVert \eta g\rVert} .$$
#
# The maxima and minima run over the given `step_sizes` (positive, in any order), and all steps start at
# the same $w$. The loss is that of logistic regression with labels $y_n \in \{0, 1\}$,
#
# $$
# L(w) = \frac1N\sum_n \log\!\left(1 + e^{z_n}\right) - y_n z_n, \qquad z = Xw, \qquad
# \nabla L = \frac1N X^\top (p - y), \qquad p_n = \frac{1}{1 + e^{-z_n}} .
# $$
#
# Mind large $z$: the loss is finite for $z = 1000$.

# %% nbgrader={"grade": false, "grade_id": "gradient_predictiveness", "locked": false, "schema_version": 3, "solution": true, "task": false}
def gradient_predictiveness(X, y, w, step_sizes):
    """Ranges of loss and gradient along the steps, and the smoothness, as a dictionary.

    X has the shape (N, D), y holds 0 and 1, w has the shape (D,), step_sizes is a list.
    """
    ### BEGIN SOLUTION
    def loss(w):
        z = X @ w
        return np.mean(np.logaddexp(0, z) - y * z)

    def gradient(w):
        p = (1 + np.tanh(X @ w / 2)) / 2
        return X.T @ (p - y) / len(y)

    g = gradient(w)
    losses = [loss(w - eta * g) for eta in step_sizes]
    changes = [np.linalg.norm(gradient(w - eta * g) - g) for eta in step_sizes]
    distances = [np.linalg.norm(eta * g) for eta in step_sizes]
    return {
        "loss_range": (float(min(losses)), float(max(losses))),
        "gradient_range": (float(min(changes)), float(max(changes))),
        "smoothness": float(max(c / d for c, d in zip(changes, distances))),
    }
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test_gradient_predictiveness", "locked": true, "points": 9, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "gradient_predictiveness",
    gradient_predictiveness,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "effective_learning_rate_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 3. The effective learning rate (5 points)
#
# Where batch normalization follows, only the *direction* of a unit's weights matters. For a loss with
# $L(aw) = L(w)$ the gradient is the smaller the longer $w$ is, and an update of a long $w$ turns it by a
# smaller angle. Two factors $1/\lVert w\rVert$ make the learning rate of the direction (van Laarhoven 2017,
# *L2 regularization versus batch and weight normalization*)
#
# $$\eta_\text{eff} = \frac{\eta}{\lVert w\rVert^2} .$$
#
# Return it for each unit, that is, for each column of `W`: an array of shape `(fan_out,)`.

# %% nbgrader={"grade": false, "grade_id": "effective_learning_rate", "locked": false, "schema_version": 3, "solution": true, "task": false}
def effective_learning_rate(W, lr):
    """The effective learning rate of each unit of W, shape (fan_in, fan_out)."""
    ### BEGIN SOLUTION
    return lr / np.sum(W**2, axis=0)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test_effective_learning_rate", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "effective_learning_rate",
    effective_learning_rate,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "norm_equilibrium_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 4. Growth against decay (9 points)
#
# Gradient descent with weight decay $\lambda$ computes $w' = (1 - \eta\lambda)\,w - \eta g$. Let the loss be
# scale-invariant, as in exercise 3. Then
#
# - $g$ is orthogonal to $w$, because moving along $w$ changes nothing, and
# - $\lVert g\rVert = c/\lVert w\rVert$, where $c$ is the gradient's norm on the unit sphere. Take $c$ to be
#   constant.
#
# Let $0 < \eta\lambda < 1$. Return a dictionary with
#
# - `"norms"`: the norms $\lVert w\rVert$ before the first step (the given `norm`) and after each of
#   `steps` steps: an array with `steps + 1` entries;
# - `"equilibrium"`: the norm that a step leaves as it is, $\lVert w'\rVert = \lVert w\rVert$, solved exactly;
# - `"rotation"`: the angle between $w$ and $w'$ in this equilibrium, in radians, exactly.
#
# Draw the triangle with the sides $(1-\eta\lambda)w$, $-\eta g$ and $w'$ first; it has a right angle. For
# small $\eta\lambda$ your results approach $(\eta c^2/2\lambda)^{1/4}$ and $\sqrt{2\eta\lambda}$ (Wan et al.
# 2021, *Spherical motion dynamics*), but the exact ones are asked.

# %% nbgrader={"grade": false, "grade_id": "norm_equilibrium", "locked": false, "schema_version": 3, "solution": true, "task": false}
def norm_equilibrium(norm, c, lr, decay, steps):
    """Norms along the steps, their equilibrium and the rotation in it, as a dictionary."""
    ### BEGIN SOLUTION
    norms = [norm]
    for _ in range(steps):
        shrunk = (1 - lr * decay) * norms[-1]
        norms.append(np.hypot(shrunk, lr * c / norms[-1]))
    equilibrium = (lr * c**2 / (decay * (2 - lr * decay))) ** 0.25
    return {
        "norms": np.array(norms),
        "equilibrium": float(equilibrium),
        "rotation": float(np.arccos(1 - lr * decay)),
    }
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test_norm_equilibrium", "locked": true, "points": 9, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "norm_equilibrium",
    norm_equilibrium,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "scale_invariance_residual_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 5. How invariant is it, really? (10 points)
#
# "Batch normalization makes a layer invariant to the scale of its weights" holds exactly for
# $\varepsilon = 0$. Measure what is left of it for another $\varepsilon$. The layer is
#
# $$
# f(W) = \frac{u - \mu}{\sqrt{\sigma^2 + \varepsilon}}, \qquad u = XW ,
# $$
#
# with mean $\mu$ and biased variance $\sigma^2$ of each column over the batch, and the loss is
# $L(W) = \sum_{n,j} C_{nj}\, f(W)_{nj}$ with given constants $C$. Write $g(W) = \partial L/\partial W$ and return
# a dictionary with
#
# - `"output"`: the largest $\lvert f(aW) - f(W)\rvert$ of all entries;
# - `"radial"`: the largest $\lvert\langle w_j, g_j\rangle\rvert$ of all units $j$ (columns of $W$ and of
#   $g(W)$), which is 0 if the gradient is orthogonal to the weights;
# - `"gradient"`: the largest $\lvert a\,g(aW) - g(W)\rvert$ of all entries, which is 0 if the gradient
#   shrinks as the weights grow.
#
# The gradient goes through mean and variance. With $\hat x = f(W)$ and $s = \sqrt{\sigma^2 + \varepsilon}$,
# per column,
#
# $$
# \frac{\partial L}{\partial u} = \frac1s\Bigl(C - \overline{C} - \hat x\;\overline{C\hat x}\Bigr), \qquad
# g = X^\top \frac{\partial L}{\partial u} ,
# $$
#
# where the bar is the mean over the batch.

# %% nbgrader={"grade": false, "grade_id": "scale_invariance_residual", "locked": false, "schema_version": 3, "solution": true, "task": false}
def scale_invariance_residual(X, W, C, a, eps):
    """What is left of three identities of scale invariance, as a dictionary of numbers.

    X has the shape (N, fan_in), W (fan_in, fan_out), C (N, fan_out); a is positive, eps >= 0.
    """
    ### BEGIN SOLUTION
    def layer(W):
        u = X @ W
        std = np.sqrt(u.var(axis=0) + eps)
        y = (u - u.mean(axis=0)) / std
        du = (C - C.mean(axis=0) - y * (C * y).mean(axis=0)) / std
        return y, X.T @ du

    y, g = layer(W)
    y_scaled, g_scaled = layer(a * W)
    return {
        "output": float(np.abs(y_scaled - y).max()),
        "radial": float(np.abs((W * g).sum(axis=0)).max()),
        "gradient": float(np.abs(a * g_scaled - g).max()),
    }
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test_scale_invariance_residual", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "scale_invariance_residual",
    scale_invariance_residual,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "residual_block_gradient_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 6. Growing gradients, and a way around (9 points)
#
# At initialization, a deep stack of batch-normalized ReLU layers *multiplies* the norm of the gradient in
# every layer, by about $\sqrt{\pi/(\pi - 1)} \approx 1.21$ away from the two ends, for wide layers and large
# batches (Yang et al. 2019, *A mean field theory of batch normalization*). A residual connection changes
# that. Measure both. Let $\mathrm{BN}$ be normalization over the batch with biased variance and `eps`, without $\gamma$ and $\beta$,
# and $h_0 = X$;
#
# $$
# \text{plain: } h_{l+1} = \max\bigl(\mathrm{BN}(h_l W_l),\, 0\bigr), \qquad
# \text{residual: } h_{l+1} = h_l + \max\bigl(\mathrm{BN}(h_l W_l),\, 0\bigr) .
# $$
#
# `upstream` is $\partial L/\partial h_K$, the gradient at the top of the $K$ layers. Send it down and return
# the factor per layer
#
# $$
# \rho = \left(\frac{\lVert\partial L/\partial h_0\rVert}{\lVert\partial L/\partial h_K\rVert}\right)^{1/K} .
# $$
#
# Through $y = \mathrm{BN}(u)$, with $s = \sqrt{\sigma^2 + \varepsilon}$ and the bar for the mean over the
# batch, a gradient passes as
# $\partial L/\partial u = \bigl(\partial y - \overline{\partial y} - y\;\overline{\partial y\, y}\bigr)/s$, where
# $\partial y$ stands for $\partial L/\partial y$.

# %% nbgrader={"grade": false, "grade_id": "residual_block_gradient", "locked": false, "schema_version": 3, "solution": true, "task": false}
def residual_block_gradient(X, weights, upstream, residual, eps=1e-5):
    """The factor per layer by which the gradient's norm grows on its way down, as a number.

    X and upstream have the shapes of h_0 and h_K; weights is a list; residual is True or False.
    """
    ### BEGIN SOLUTION
    h = X
    kept = []
    for W in weights:
        u = h @ W
        std = np.sqrt(u.var(axis=0) + eps)
        y = (u - u.mean(axis=0)) / std
        kept.append((y, std))
        branch = np.maximum(y, 0)
        h = h + branch if residual else branch
    g = upstream
    for W, (y, std) in zip(weights[::-1], kept[::-1]):
        dy = g * (y > 0)
        du = (dy - dy.mean(axis=0) - y * (dy * y).mean(axis=0)) / std
        through = du @ W.T
        g = g + through if residual else through
    growth = np.linalg.norm(g) / np.linalg.norm(upstream)
    return float(growth ** (1 / len(weights)))
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test_residual_block_gradient", "locked": true, "points": 9, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "residual_block_gradient",
    residual_block_gradient,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "tables", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 7. Six tables (12 points)
#
# The hard part of this debate is not to compute but to *read*. Each table below holds real measurements
# on the digits of scikit-learn (1437 training and 360 test images, 64 pixels). "a ± b" is mean and
# standard deviation over seeds; a seed fixes split, initial weights and the order of batches, and all
# networks of a table share the seeds. For each table, choose the one claim that it supports.
#
# ### Table A
#
# Test accuracy after 400 steps, five seeds, each network at its own best of 13 learning rates.
#
# | network | plain | with batch normalization |
# |:--|:--|:--|
# | 6 hidden layers of 64 ReLU units | 0.973 ± 0.011 | 0.976 ± 0.018 |
# | 3 hidden layers of 100 sigmoid units | 0.944 ± 0.017 | 0.974 ± 0.013 |
#
# - **a** Batch normalization gives the higher accuracy in both networks.
# - **b** In the sigmoid network batch normalization is ahead; for the ReLU network the table does not
#   decide.
# - **c** In the sigmoid network batch normalization is ahead; in the ReLU network it makes no difference.
# - **d** In the ReLU network batch normalization is the less reliable choice, because its accuracies
#   scatter more.
#
# ### Table B
#
# Test accuracy of a 300-100-10 ReLU network, ten seeds, 440 steps; batch normalization before or after
# the activation. The last column is the mean over seeds of the difference *before minus after*, in
# percentage points, ± its standard deviation, and the standard error of the mean in parentheses.
#
# | learning rate | after | before | before minus after |
# |:--|:--|:--|:--|
# | 0.001 | 0.849 ± 0.009 | 0.751 ± 0.028 | -9.8 ± 3.2 (1.0) |
# | 0.01 | 0.970 ± 0.008 | 0.959 ± 0.006 | -1.1 ± 0.7 (0.23) |
# | 0.1 | 0.980 ± 0.007 | 0.979 ± 0.007 | -0.08 ± 0.52 (0.16) |
#
# - **a** At 0.01 the bars overlap, so it is only at 0.001 that a difference shows.
# - **b** Normalizing after the activation is ahead, whatever the learning rate.
# - **c** Normalizing before the activation is ahead at 0.001 and at 0.01.
# - **d** Normalizing after the activation is ahead at 0.001 and at 0.01; at 0.1 no difference shows.
#
# ### Table C
#
# Test accuracy of the same 300-100-10 network, ten seeds, 440 steps. The inputs are raw pixels, or
# standardized ones, or raw ones with batch normalization at the input and after both activations.
#
# | learning rate | 0.001 | 0.01 | 0.1 |
# |:--|:--|:--|:--|
# | raw inputs | 0.244 ± 0.059 | 0.854 ± 0.031 | 0.955 ± 0.009 |
# | standardized inputs | 0.478 ± 0.063 | 0.922 ± 0.011 | 0.972 ± 0.009 |
# | batch normalization | 0.849 ± 0.009 | 0.970 ± 0.008 | 0.980 ± 0.007 |
#
# - **a** Without batch normalization such a network hardly learns: batch normalization raises its
#   accuracy from 0.24 to 0.85.
# - **b** Standardized inputs do as well as batch normalization, which can be left out.
# - **c** Batch normalization learns faster at small learning rates; most of its lead at 0.001 is owed to a
#   learning rate that is too small for the others.
# - **d** Batch normalization helps because it allows learning rates at which the plain network fails.
#
# ### Table D
#
# A network with 10 hidden layers of 50 ReLU units, learning rate 0.03, five seeds. The first three rows
# are medians over 150 steps of the quantities of exercise 2, measured along the gradient at ½ to 4 times
# the learning rate; the gradient's change is relative to its norm.
#
# | | plain | with batch normalization |
# |:--|:--|:--|
# | loss, highest minus lowest | 1.35 ± 0.40 | 0.169 ± 0.007 |
# | largest relative change of the gradient | 4.30 ± 0.37 | 1.23 ± 0.03 |
# | effective smoothness β | 53 ± 8 | 45 ± 1 |
# | test accuracy after 150 steps | 0.870 ± 0.057 | 0.811 ± 0.036 |
#
# - **a** Along a step, loss and gradient of the normalized network vary much less; yet it is not ahead
#   after 150 steps.
# - **b** The loss of the normalized network is smoother, and therefore the network trains faster.
# - **c** The normalized network is not ahead after 150 steps, so its loss cannot be smoother.
# - **d** By all three measures the normalized network is smoother.
#
# ### Table E
#
# Effective smoothness β as in table D, five seeds, in three networks. A *smaller* β is smoother.
#
# | network | plain | with batch normalization |
# |:--|:--|:--|
# | 4 × 50 ReLU, learning rate 0.1 | 9.8 ± 1.3 | 4.2 ± 0.4 |
# | 10 × 50 tanh, learning rate 0.1 | 7.8 ± 0.9 | 9.1 ± 0.5 |
# | 4 × 50 sigmoid, learning rate 0.5 | 1.21 ± 0.05 | 1.74 ± 0.07 |
#
# - **a** Batch normalization makes the loss smoother: β falls by more than half.
# - **b** Batch normalization makes the loss rougher: β grows by more than a third.
# - **c** On average over the networks β falls from 6.3 to 5.0: on the whole, the loss becomes smoother.
# - **d** It depends on the network: smoother with ReLU, rougher with sigmoid, not smoother with tanh.
#
# ### Table F
#
# Test accuracy after 300 steps, five seeds. "Noisy" adds noise to the output of every batch normalization,
# with a mean and a scale that change at random in every step. In the sigmoid network, the inputs of the
# last layer then move 100 times as much as with batch normalization; in the ReLU network that was not
# measured.
#
# | network | plain | batch normalization | noisy |
# |:--|:--|:--|:--|
# | 5 × 100 sigmoid, learning rate 0.5 | 0.086 | 0.967 ± 0.010 | 0.962 ± 0.008 |
# | 10 × 50 ReLU, learning rate 0.1 | 0.953 ± 0.007 | 0.962 ± 0.011 | 0.887 ± 0.043 |
#
# - **a** The noisy ReLU network is worse: batch normalization works because it reduces the shift.
# - **b** In the sigmoid network a shift 100 times as large costs nothing that shows, so a smaller shift is
#   not what makes batch normalization work there. In the ReLU network noise does harm; whether through
#   the shift, the table does not say.
# - **c** The shift does no harm: with noise, training succeeds as well as without.
# - **d** Noise costs nothing in a deep network: noisy or not, 0.962 is reached.

# %% [markdown] nbgrader={"grade": false, "grade_id": "read_tables_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Your reading
#
# Return one letter for each table. A wrong choice is not just marked as wrong: the report names the
# misreading behind it.

# %% nbgrader={"grade": false, "grade_id": "read_tables", "locked": false, "schema_version": 3, "solution": true, "task": false}
def read_tables():
    """The claim that each table supports: a dictionary from "A" to "F" to letters, "a" to "d"."""
    ### BEGIN SOLUTION
    return {"A": "b", "B": "d", "C": "c", "D": "a", "E": "d", "F": "b"}
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test_read_tables", "locked": true, "points": 12, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "read_tables",
    read_tables,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "claim_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 8. In your own words (4 points, graded by a person)
#
# A popular article writes: "Batch normalization works because it reduces internal covariate shift. The
# proof: at a learning rate of 0.5, our network with five sigmoid layers reached 97 % with batch
# normalization and 9 % without it." In about eight sentences: what does the measurement show, and what
# does it not show? Which control experiment would test the *because*, and which outcome would speak
# against it? Name one explanation that the measurement does not exclude, and what you would measure to
# test it. What would you ask of the numbers before you believe the first sentence of your own answer?
#
# ### BEGIN MARK SCHEME
# **Mark scheme, 1 point each**
#
# 1. Separates effect from cause: the measurement shows that this network trains with batch normalization
#    at this learning rate and not without it; the shift itself was not measured, neither with nor without.
# 2. Names a control that changes the shift and leaves the rest: noise with a changing mean and scale after
#    the normalization (Santurkar et al. 2018), or G against G′; and the outcome that speaks against the
#    claim: more shift, training as good.
# 3. Names another explanation with a test that fits it: larger usable learning rates (sweep the rate, each
#    network at its best), saturation and small gradients of sigmoids (measure gradients or saturated
#    units, try another initialization or ReLU), smoother loss along the gradient (loss range,
#    predictiveness), scale invariance (effective learning rates).
# 4. Asks for several seeds with their spread, pairs them, and tunes the learning rate of each network on
#    its own; or asks whether it holds for other activations and depths.
# ### END MARK SCHEME

# %% [markdown] nbgrader={"grade": true, "grade_id": "claim", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# The measurement shows that this network, at this one learning rate, trains with batch normalization and
# does not train without it. It does not show why: no shift was measured, in either network, so the
# sentence's "because" rests on nothing. A control has to change the shift and leave the normalization as
# it is: add noise with a mean and a scale that change in every step after each normalization, so that the
# inputs of each layer move more than ever. If the noisy network trains as well, a smaller shift is not the
# cause; and that is what was found for such a network. Another explanation is that sigmoid units with
# poorly scaled inputs have tiny gradients, and the plain network is stuck on a plateau; I would measure the
# gradients' norms per layer at the start, and train the plain network from a better initialization, and
# with other learning rates, because 0.5 may suit only one of the two. Before I believe even the first
# sentence, I would ask for at least five seeds with their spread, shared by both networks, and for each
# network at its own best learning rate.
# ### END SOLUTION
