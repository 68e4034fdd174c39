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
# # Batch normalization in a network: exercises
#
# These exercises belong to the chapter *Batch normalization in a network* of the book. You write the parts of a small
# network and its loss, assemble a network with batch normalization and train it, sweep the learning
# rate, and then you are a detective: five networks have one fault each, and you find and repair it. At
# the end you answer one question in your own words. Count on about three hours.
#
# **How it works.** Replace `raise NotImplementedError()` by your code and run the cell, then run the
# cell below it. Its report says which properties your answer has, which it does not have, and, if it
# knows the mistake, how to repair it. You may run it as often as you like. A few more properties are
# looked at when your notebook is graded; the report says how many.
# What else you need, such as another import, write into your own cells, or into new ones: all others
# are put back as they are here when your notebook is graded.
#
# Throughout, `x` is a batch of N samples with D features, an array of shape `(N, D)`. `dy` stands for
# $\partial L/\partial y$, and so on: a gradient always has the shape of its variable. Write with NumPy
# only, and leave the arrays that you are given as they are.
#
# *Colab, or any other computer:* the notebook needs NumPy and this course's `autograder` package;
# the section "Learn" of the course's README has the line that installs it.

# %% nbgrader={"grade": false, "grade_id": "imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
import copy

import numpy as np

# %% [markdown] nbgrader={"grade": false, "grade_id": "linear_forward_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 1. A linear layer (3 points)
#
# $y = xW + b$, with $W$ of shape `(D, O)` and $b$ of shape `(O,)`. Return $y$, shape `(N, O)`.


# %% nbgrader={"grade": false, "grade_id": "linear_forward", "locked": false, "schema_version": 3, "solution": true, "task": false}
def linear_forward(x, W, b):
    """x W + b, shape (N, O), of a batch x, shape (N, D)."""
    ### BEGIN SOLUTION
    return x @ W + b
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "test_linear_forward", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "linear_forward",
    linear_forward,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "linear_backward_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 2. … and back (6 points)
#
# Given `dy`, shape `(N, O)`, return the tuple `(dx, dW, db)`. Whether the loss was a sum or a mean over
# the samples is not the layer's affair: it is in `dy` already.


# %% nbgrader={"grade": false, "grade_id": "linear_backward", "locked": false, "schema_version": 3, "solution": true, "task": false}
def linear_backward(dy, x, W):
    """The gradients (dx, dW, db), shapes (N, D), (D, O) and (O,), of y = x W + b."""
    ### BEGIN SOLUTION
    return dy @ W.T, x.T @ dy, dy.sum(axis=0)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "test_linear_backward", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "linear_backward",
    linear_backward,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "relu_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 3. ReLU and sigmoid, with their slopes (4 + 6 points)
#
# Each of the two functions works entry by entry and returns a pair: the value at `x`, and the slope
# (the derivative) at `x`, both of the shape of `x`. The gradient through the activation is then
# `dy * slope`.
#
# $$\operatorname{relu}(x) = \max(x, 0), \qquad \operatorname{sigmoid}(x) = \frac{1}{1 + e^{-x}}$$
#
# At 0, where ReLU has a kink, take the slope to be 0. The sigmoid must not produce a NaN, not for
# $x = 1000$ and not for $x = -1000$.


# %% nbgrader={"grade": false, "grade_id": "relu", "locked": false, "schema_version": 3, "solution": true, "task": false}
def relu(x):
    """The pair (max(x, 0), its slope)."""
    ### BEGIN SOLUTION
    return np.maximum(x, 0), (x > 0).astype(float)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "test_relu", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "relu",
    relu,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)


# %% nbgrader={"grade": false, "grade_id": "sigmoid", "locked": false, "schema_version": 3, "solution": true, "task": false}
def sigmoid(x):
    """The pair (1 / (1 + exp(-x)), its slope), finite for every x."""
    ### BEGIN SOLUTION
    small = np.exp(-np.abs(x))  # at most 1
    y = np.where(x >= 0, 1, small) / (1 + small)
    return y, y * (1 - y)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "test_sigmoid", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "sigmoid",
    sigmoid,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "softmax_cross_entropy_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 4. Softmax and cross-entropy in one (11 points)
#
# For logits $o$ of shape `(N, C)`, with C classes, and labels $y_i \in \{0, \dots, C-1\}$ (an array of N
# whole numbers),
#
# $$p_{ic} = \frac{e^{o_{ic}}}{\sum_k e^{o_{ik}}}, \qquad L = -\frac1N \sum_{i=1}^N \log p_{i y_i}$$
#
# Return the pair $(L, \partial L/\partial o)$. It must hold for logits around $\pm 1000$, too, and when the
# network is very sure of a wrong class: the loss is then large, but neither infinite nor cut off.
# Simplify $\log p_{ic}$ on paper before you program it.


# %% nbgrader={"grade": false, "grade_id": "softmax_cross_entropy", "locked": false, "schema_version": 3, "solution": true, "task": false}
def softmax_cross_entropy(logits, labels):
    """The mean cross-entropy, a number, and its gradient, shape (N, C)."""
    ### BEGIN SOLUTION
    rows = np.arange(len(labels))
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    dlogits = np.exp(log_p)
    dlogits[rows, labels] -= 1
    return -log_p[rows, labels].mean(), dlogits / len(labels)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "test_softmax_cross_entropy", "locked": true, "points": 11, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "softmax_cross_entropy",
    softmax_cross_entropy,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "given_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Building blocks
#
# From here on everything is built from the following blocks, which are complete and right. They do what
# you have written above and in the chapters before, so that a mistake there does not cost you again. A
# layer has `forward` and `backward`, its parameters in the dictionary `params`, and after `backward` their
# gradients, under the same names, in `grads`. What its backward pass needs it remembers. `Network` is
# what all networks have in common.


# %% nbgrader={"grade": false, "grade_id": "given", "locked": true, "schema_version": 3, "solution": false, "task": false}
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


# %% [markdown] nbgrader={"grade": false, "grade_id": "digits_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# And here is something to read: small pictures of digits, 8 × 8 pixels in a row of 64 numbers. They are
# drawn, not scanned, so that every student gets other ones. (With scikit-learn at hand you may try the
# real ones of the chapter, too: `x, labels = load_digits(return_X_y=True)`, with `x / 16`.)

# %% nbgrader={"grade": false, "grade_id": "digits", "locked": true, "schema_version": 3, "solution": false, "task": false}
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


pictures, labels = draw_digits(np.random.default_rng(0), 3)
labels[1], pictures[1].reshape(8, 8).round(1)

# %% [markdown] nbgrader={"grade": false, "grade_id": "MLP_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 5. A network with batch normalization (17 points)
#
# Assemble a network from the blocks, and train it.
#
# - `MLP(weights)`: `weights` is a list of matrices, one for each linear layer. All but the last make a
#   hidden layer each: a `Linear` without bias (batch normalization would remove it), a `BatchNorm` of as
#   many features, a `ReLU`, in this order. The last makes a `Linear` with a bias of zeros, and nothing
#   after it. Put all of them into the list `self.layers`; `Network` does the rest: `train()` and `eval()`,
#   `parameters()` and `gradients()`.
# - `forward(x)` returns the logits.
# - `backward(dlogits)`, called after `forward`, lets every layer find its gradients, and returns the
#   gradient of the batch.
# - `fit(x, labels, rate, batches)` trains with stochastic gradient descent. `batches` is a list of arrays
#   of row numbers, one for each step. A step takes those rows, in training mode, and subtracts `rate` times
#   its gradient from every parameter. Return the list of losses, one per step: those that the forward
#   passes of the steps have found. In which mode `fit` leaves the network is up to you.
# - `predict(x)` returns the class with the largest logit for each sample, in inference mode, and leaves
#   the network in the mode in which it was.
#
# The network should read: with one hidden layer of 32 units, 12 steps of 50 digits each at rate 1 are
# enough for 80 % of new digits (about 95 % is usual).


# %% nbgrader={"grade": false, "grade_id": "MLP", "locked": false, "schema_version": 3, "solution": true, "task": false}
class MLP(Network):
    """Linear layers with batch normalization and ReLU between them."""

    def __init__(self, weights):
        """Build the layers from a list of matrices, shapes (D, H1), (H1, H2), ..., (H, C)."""
        ### BEGIN SOLUTION
        self.layers = []
        for W in weights[:-1]:
            self.layers += [Linear(W), BatchNorm(W.shape[1]), ReLU()]
        self.layers.append(Linear(weights[-1], np.zeros(weights[-1].shape[1])))
        ### END SOLUTION

    def forward(self, x):
        """The logits, shape (N, C)."""
        ### BEGIN SOLUTION
        for layer in self.layers:
            x = layer.forward(x)
        return x
        ### END SOLUTION

    def backward(self, dlogits):
        """Let each layer find its gradients; returns dx."""
        ### BEGIN SOLUTION
        for layer in reversed(self.layers):
            dlogits = layer.backward(dlogits)
        return dlogits
        ### END SOLUTION

    def fit(self, x, labels, rate, batches):
        """One step of gradient descent per batch; returns the list of losses."""
        ### BEGIN SOLUTION
        self.train()
        losses = []
        for rows in batches:
            loss, dlogits = cross_entropy(self.forward(x[rows]), labels[rows])
            self.backward(dlogits)
            for p, dp in zip(self.parameters(), self.gradients()):
                p -= rate * dp
            losses.append(loss)
        return losses
        ### END SOLUTION

    def predict(self, x):
        """The most likely class of each sample, shape (N,), in inference mode."""
        ### BEGIN SOLUTION
        was_training = self.training
        self.eval()
        classes = self.forward(x).argmax(axis=1)
        self.switch(was_training)
        return classes
        ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "test_MLP", "locked": true, "points": 17, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "MLP",
    MLP,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "learning_rate_sweep_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 6. Which learning rate? (9 points)
#
# To find a learning rate, try several, and do it fairly: each begins with the same weights, what counts
# is the accuracy on samples that were not trained on, and a run that blows up is a result, too. Here is a
# small network *without* batch normalization, a dictionary of two matrices, which blows up easily. Mind that
# `train` changes the arrays of the network that it is given.


# %% nbgrader={"grade": false, "grade_id": "sweep_given", "locked": true, "schema_version": 3, "solution": false, "task": false}
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


# %% [markdown] nbgrader={"grade": false, "grade_id": "learning_rate_sweep_task", "locked": true, "schema_version": 3, "solution": false, "task": false}
# `training` and `validation` are pairs `(x, labels)`. For each rate, train a copy of the network `start`
# for so many `steps`; `start` itself stays as it is. Return a dictionary:
#
# - `"diverged"`: a list with a truth value for each rate, in the order of `rates`. A run has diverged when
#   its last loss is not a finite number, or is above its first loss.
# - `"accuracies"`: a list with the accuracy on the validation set for each rate; for a diverged run 0.
# - `"best"`: the rate with the highest accuracy among those that did not diverge; of equally good ones the
#   smallest; `None` when all diverged.
#
# A caution: what does `argmax` say of a row of NaN? And is `nan > 1` true, or `nan <= 1`?


# %% nbgrader={"grade": false, "grade_id": "learning_rate_sweep", "locked": false, "schema_version": 3, "solution": true, "task": false}
def learning_rate_sweep(start, training, validation, rates, steps=5):
    """Train a copy of start at each rate; returns {"accuracies", "diverged", "best"}."""
    ### BEGIN SOLUTION
    accuracies, diverged = [], []
    for rate in rates:
        network = copy.deepcopy(start)
        losses = train(network, *training, rate, steps)
        failed = not losses[-1] <= losses[0]  # true for NaN, too
        accuracies.append(0.0 if failed else accuracy(network, *validation))
        diverged.append(failed)
    sound = [(-a, rate) for a, rate, bad in zip(accuracies, rates, diverged) if not bad]
    return {
        "accuracies": accuracies,
        "diverged": diverged,
        "best": min(sound)[1] if sound else None,
    }
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "test_learning_rate_sweep", "locked": true, "points": 9, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "learning_rate_sweep",
    learning_rate_sweep,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "detective_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 7. Find the fault (5 × 5 points)
#
# Five networks follow. Each has exactly *one* fault, which has to do with batch normalization, and which
# has been found in code that people publish. Everything else is right, if written differently from
# network to network; the parts of a network that have no bearing on its fault are left out. In
# training none of them raises an error, and all of them learn. That is what makes such faults expensive.
#
# For each one: read the complaint, find the fault (the cell after it is a beginning; experiment), and
# repair it. Your answer is a class that inherits from the faulty one:
#
# ```python
# class Repaired1(Network1):
#     def the_method_that_is_wrong(self, ...):
#         ...
# ```
#
# What you do not define is inherited, so define only what you repair, and delete the `__init__` that stands
# there for a start.

# %% [markdown] nbgrader={"grade": false, "grade_id": "Network1_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Network 1
#
# *"In training it does well. In inference mode its accuracy jumps up and down from one evaluation to the
# next, most of all with small batches. A larger momentum made it better; I expected the opposite."*


# %% nbgrader={"grade": false, "grade_id": "Network1", "locked": true, "schema_version": 3, "solution": false, "task": false}
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


# %% nbgrader={"grade": false, "grade_id": "Network1_symptom", "locked": true, "schema_version": 3, "solution": false, "task": false}
rng = np.random.default_rng(0)
network = Network1(rng.normal(size=(3, 4)), rng.normal(size=(4, 2)))
means = []
for _ in range(6):
    network.forward(rng.normal(size=(8, 3)) + 1)
    means.append(network.running_mean[0].round(2))
means  # the running mean of the first unit, after each of six batches


# %% nbgrader={"grade": false, "grade_id": "Repaired1", "locked": false, "schema_version": 3, "solution": true, "task": false}
class Repaired1(Network1):
    """Network 1 without its fault."""

    def __init__(self, *args, **kwargs):
        ### BEGIN SOLUTION
        super().__init__(*args, **kwargs)

    def remember(self, mean, var, n):
        m = self.momentum
        self.running_mean = (1 - m) * self.running_mean + m * mean
        self.running_var = (1 - m) * self.running_var + m * var * n / (n - 1)
        ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "test_Repaired1", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "Repaired1",
    Repaired1,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "Network2_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Network 2
#
# *"The test accuracy is fine with the whole test set at once. In production, where pictures come one at a
# time, it gives the same answer to every one of them."*


# %% nbgrader={"grade": false, "grade_id": "Network2", "locked": true, "schema_version": 3, "solution": false, "task": false}
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


# %% nbgrader={"grade": false, "grade_id": "Network2_symptom", "locked": true, "schema_version": 3, "solution": false, "task": false}
rng = np.random.default_rng(0)
network = Network2(rng.normal(size=(3, 4)), rng.normal(size=(4, 2)))
for _ in range(50):
    network.forward(rng.normal(size=(16, 3)) + 1)
network.eval()
x = rng.normal(size=(4, 3)) + 1
together = network.forward(x)
alone = np.array([network.forward(sample[None])[0] for sample in x])
together.round(2), alone.round(2)


# %% nbgrader={"grade": false, "grade_id": "Repaired2", "locked": false, "schema_version": 3, "solution": true, "task": false}
class Repaired2(Network2):
    """Network 2 without its fault."""

    def __init__(self, *args, **kwargs):
        ### BEGIN SOLUTION
        super().__init__(*args, **kwargs)

    def statistics(self, s):
        if self.training:
            return super().statistics(s)
        return self.running_mean, self.running_var
        ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "test_Repaired2", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "Repaired2",
    Repaired2,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "Network3_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Network 3
#
# *"A small network for images, trained with 6 × 6 pixels. It needs many more images per batch than I
# thought, a batch of one teaches it nothing at all, and when I give it larger images, it fails. But there is nothing in
# a 1 × 1 convolution that depends on the size."*
#
# The fault shows in the forward pass; the backward pass is left out.


# %% nbgrader={"grade": false, "grade_id": "Network3", "locked": true, "schema_version": 3, "solution": false, "task": false}
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


# %% nbgrader={"grade": false, "grade_id": "Network3_symptom", "locked": true, "schema_version": 3, "solution": false, "task": false}
rng = np.random.default_rng(0)
network = Network3(rng.normal(size=(3, 5)), rng.normal(size=(5, 2)))
for _ in range(3):
    network.forward(rng.normal(size=(8, 3, 6, 6)))
network.eval()
try:
    answer = network.forward(rng.normal(size=(2, 3, 9, 9)))
except ValueError as error:
    answer = str(error)
answer


# %% nbgrader={"grade": false, "grade_id": "Repaired3", "locked": false, "schema_version": 3, "solution": true, "task": false}
class Repaired3(Network3):
    """Network 3 without its fault."""

    def __init__(self, *args, **kwargs):
        ### BEGIN SOLUTION
        super().__init__(*args, **kwargs)

    def statistics(self, s):
        mean = s.mean(axis=(0, 2, 3), keepdims=True)
        var = s.var(axis=(0, 2, 3), keepdims=True)
        return mean, var, s.size / mean.size
        ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "test_Repaired3", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "Repaired3",
    Repaired3,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "Network4_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Network 4
#
# *"It trains, but worse than my colleague's, and its weights drift. Everybody says batch normalization
# makes the length of the weights irrelevant, so the gradient should be at right angles to each column of
# W1. Mine is not."* That is said of training mode; your gradients should be right in both modes.


# %% nbgrader={"grade": false, "grade_id": "Network4", "locked": true, "schema_version": 3, "solution": false, "task": false}
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


# %% nbgrader={"grade": false, "grade_id": "Network4_symptom", "locked": true, "schema_version": 3, "solution": false, "task": false}
rng = np.random.default_rng(0)
W1, W2 = rng.normal(size=(3, 4)), rng.normal(size=(4, 2))
network = Network4(W1, np.ones(4), np.zeros(4), W2)
x, dlogits = rng.normal(size=(8, 3)) + 1, rng.normal(size=(8, 2))
network.forward(x)
dW1, dgamma, dbeta, dW2 = network.backward(dlogits)
(dW1 * W1).sum(axis=0).round(3)  # each column of dW1 times that of W1: 0 is right


# %% nbgrader={"grade": false, "grade_id": "Repaired4", "locked": false, "schema_version": 3, "solution": true, "task": false}
class Repaired4(Network4):
    """Network 4 without its fault."""

    def __init__(self, *args, **kwargs):
        ### BEGIN SOLUTION
        super().__init__(*args, **kwargs)

    def normalize_backward(self, dy):
        dgamma, dbeta = (dy * self.s_hat).sum(axis=0), dy.sum(axis=0)
        if self.training:
            dy = dy - dbeta / len(dy) - self.s_hat * dgamma / len(dy)
        return dy * self.gamma / self.std, dgamma, dbeta
        ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "test_Repaired4", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "Repaired4",
    Repaired4,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "Network5_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Network 5
#
# *"With one hidden layer all was well. Since I have made the network deeper, the training loss is better than
# ever and inference is useless."*
#
# The fault shows in the forward pass; the backward pass is left out.


# %% nbgrader={"grade": false, "grade_id": "Network5", "locked": true, "schema_version": 3, "solution": false, "task": false}
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


# %% nbgrader={"grade": false, "grade_id": "Network5_symptom", "locked": true, "schema_version": 3, "solution": false, "task": false}
rng = np.random.default_rng(0)
weights = [rng.normal(size=shape) for shape in ((3, 5), (5, 5), (5, 2))]
network, x = Network5(weights), rng.normal(size=(1000, 3)) + 1
for _ in range(100):
    in_training = network.forward(x)
network.eval()
# The first three of 1000 samples, in training and in inference mode.
in_training[:3].round(2), network.forward(x)[:3].round(2)


# %% nbgrader={"grade": false, "grade_id": "Repaired5", "locked": false, "schema_version": 3, "solution": true, "task": false}
class Repaired5(Network5):
    """Network 5 without its fault."""

    def __init__(self, *args, **kwargs):
        ### BEGIN SOLUTION
        super().__init__(*args, **kwargs)

    def new_statistics(self, layers, width):
        return [{"mean": np.zeros(width), "var": np.ones(width)} for _ in range(layers)]
        ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "test_Repaired5", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "Repaired5",
    Repaired5,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "detective_question", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 8. In your own words (4 points, graded by a person)
#
# A colleague trains a deep network with batch normalization. In training mode it classifies 97 % of the
# training set; after `eval()` only 40 % of the *same* images. "So it overfits," your colleague says. In about
# six sentences: why can that not be the explanation? Name three faults or settings that could be, and for
# each an observation or experiment that would tell it from the other two.
#
# ### BEGIN MARK SCHEME
# **Mark scheme, 1 point each**
#
# 1. It is the same set of images: overfitting is a gap between training and new data. What differs is only
#    the mode, hence the statistics that normalize.
# 2. Names three possible causes, such as: running statistics that lag (momentum too small for the number of
#    steps, or training stopped early); momentum used the wrong way around (statistics of the last batch
#    only); running statistics shared between layers, overwritten or not saved and loaded; very small
#    batches in training; a different eps, or γ and β missing, in inference mode; training data that are
#    prepared differently in the two modes.
# 3. An experiment that isolates one: for instance compare the running statistics of each layer with those
#    of the whole training set; recalibrate them with the weights frozen, and see whether the gap closes.
# 4. Experiments for the others that do tell them apart: watch the gap while more batches pass without any
#    training (lag disappears, sharing stays); evaluate after each of several batches (jumps: last batch);
#    vary the batch size; check layers for identity (`is`); set the running statistics to those of a batch
#    and compare both modes.
# ### END MARK SCHEME

# %% [markdown] nbgrader={"grade": true, "grade_id": "detective", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# The images are the same in both modes, so nothing new was seen, and overfitting is a gap between seen and
# new images; only the statistics that normalize have changed. First, the running statistics may lag behind,
# with a momentum that is too small for the number of steps: then letting more batches pass in training mode,
# without changing any weight, closes the gap. Second, the momentum may be the wrong way around, so that they
# are nearly those of the last batch: then the accuracy jumps when I evaluate after each of several batches,
# and larger batches make it better. Third, layers may share their running statistics: then passing more
# batches does not help, the means of two layers are the same numbers, and they differ much from the means
# that I compute for each layer over the training set. In all three cases, replacing the running statistics
# by these means and variances brings back the 97 %, which shows that the weights are sound.
# ### END SOLUTION
