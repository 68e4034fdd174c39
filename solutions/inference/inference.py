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
# # Training versus inference: exercises
#
# These exercises belong to the chapter *Training versus inference* of the book. You gather running
# statistics, write a complete batch normalization layer that agrees with `torch.nn.BatchNorm1d`,
# translate between two libraries, and do to a trained layer what is done in practice: recalibrate it,
# fold it away, freeze it. You answer one question in your own words. Count on about two hours.
#
# **How it works.** Replace `raise NotImplementedError()` by your code and run the cell, then run the
# cell below it. Its report says which properties your answer has, which it does not have, and, if it
# knows the mistake, how to repair it. You may run it as often as you like. A few more properties are
# looked at when your notebook is graded; the report says how many.
# What else you need, such as another import, write into your own cells, or into new ones: all others
# are put back as they are here when your notebook is graded.
#
# Throughout, `x` is a batch of shape `(N, D)`, and `momentum` is PyTorch's: the weight of the *new*
# value. Write with NumPy only, and leave the arrays that you are given as they are.
#
# *Colab, or any other computer:* the notebook needs NumPy and this course's `autograder` package;
# the section "Learn" of the course's README has the line that installs it.

# %% nbgrader={"grade": false, "grade_id": "imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
import numpy as np

# %% [markdown] nbgrader={"grade": false, "grade_id": "update_running_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 1. One step of the running statistics (8 points)
#
# After a batch, PyTorch moves both running statistics a fraction $\alpha$, the momentum, of the way:
#
# $$r \leftarrow (1 - \alpha)\, r + \alpha\, s$$
#
# where $s$ is the batch's mean for the running mean, and the batch's *unbiased* variance (divided by
# $N - 1$) for the running variance. Return both as new arrays of shape `(D,)`, the mean first.

# %% nbgrader={"grade": false, "grade_id": "update_running", "locked": false, "schema_version": 3, "solution": true, "task": false}
def update_running(running_mean, running_var, x, momentum=0.1):
    """The running mean and variance, each of shape (D,), after a batch x of shape (N, D)."""
    ### BEGIN SOLUTION
    mean = x.mean(axis=0)
    var = x.var(axis=0, ddof=1)
    return (
        (1 - momentum) * running_mean + momentum * mean,
        (1 - momentum) * running_var + momentum * var,
    )
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test_update_running", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "update_running",
    update_running,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "to_keras_momentum_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 2. From PyTorch to Keras (3 points)
#
# Keras calls the weight of the *old* value momentum. Return the momentum with which Keras forms the
# same average as PyTorch with `momentum`, which is between 0 and 1 (both allowed). PyTorch's `None`, a
# cumulative average, has no counterpart in Keras: raise `ValueError`.

# %% nbgrader={"grade": false, "grade_id": "to_keras_momentum", "locked": false, "schema_version": 3, "solution": true, "task": false}
def to_keras_momentum(momentum):
    """The momentum for Keras that corresponds to PyTorch's momentum, a number or None."""
    ### BEGIN SOLUTION
    if momentum is None:
        raise ValueError("a cumulative average has no momentum that stays the same")
    return 1 - momentum
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test_to_keras_momentum", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "to_keras_momentum",
    to_keras_momentum,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "to_torch_momentum_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 3. And back (2 points)
#
# Now the other way. What is not between 0 and 1 (both allowed) is no momentum: raise `ValueError`.

# %% nbgrader={"grade": false, "grade_id": "to_torch_momentum", "locked": false, "schema_version": 3, "solution": true, "task": false}
def to_torch_momentum(momentum):
    """The momentum for PyTorch that corresponds to Keras' momentum, a number."""
    ### BEGIN SOLUTION
    if not 0 <= momentum <= 1:
        raise ValueError("a momentum is between 0 and 1")
    return 1 - momentum
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test_to_torch_momentum", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "to_torch_momentum",
    to_torch_momentum,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "Layer_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 4. What every layer can do
#
# Your layer will inherit from this small class. A training loop uses it to keep the best state that it
# has seen: it calls `keep_state`, trains on, and may call `restore_state` later, more than once.

# %% nbgrader={"grade": false, "grade_id": "Layer", "locked": true, "schema_version": 3, "solution": false, "task": false}
class Layer:
    """A layer that can keep its state and go back to it."""

    def keep_state(self):
        self.kept = self.state_dict()

    def restore_state(self):
        self.load_state_dict(self.kept)

# %% [markdown] nbgrader={"grade": false, "grade_id": "BatchNorm1d_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 5. The layer (25 points)
#
# Write a batch normalization layer that behaves like `torch.nn.BatchNorm1d`:
#
# - A new layer is in training mode. It has the attributes `gamma` (ones), `beta` (zeros),
#   `running_mean` (zeros), `running_var` (ones), all of shape `(num_features,)` and dtype `float64`, and
#   `num_batches_tracked` (0).
# - `train()` switches to training mode and `eval()` to inference mode, in whichever mode the layer is.
# - `forward(x)` returns $y = \gamma \hat x + \beta$. In training mode $\hat x$ is made with the mean and
#   the *biased* variance of the batch; the running statistics move as in exercise 1, and the batch is
#   counted. In inference mode $\hat x$ is made with the running statistics, and nothing changes. Both
#   divide by $\sqrt{\text{variance} + \varepsilon}$. With `momentum=None` the $n$th batch has the weight
#   $1/n$ (the count includes it). A training batch of one sample raises `ValueError`, before the running
#   statistics move; whether it is counted does not matter.
# - `backward(dy)` returns `(dx, dgamma, dbeta)` for the last `forward`. In training mode
#
#   $$dx = \frac{\gamma}{\sqrt{\sigma^2 + \varepsilon}} \Bigl(dy - \tfrac1N \textstyle\sum_i dy_i -
#   \hat x\, \tfrac1N \sum_i dy_i \hat x_i\Bigr)$$
#
#   as in the chapter on the backward pass; in inference mode the statistics are constants.
# - `state_dict()` returns all five attributes from above, and no other, in a dict by their names, and
#   `load_state_dict(state)` takes such a dict over. What the layer does later must not change a state
#   that it has handed out or taken over.
#
# You may use your functions from above; then their mistakes are in the layer, too.

# %% nbgrader={"grade": false, "grade_id": "BatchNorm1d", "locked": false, "schema_version": 3, "solution": true, "task": false}
class BatchNorm1d(Layer):
    """Batch normalization of tables, shape (N, num_features), in training and in inference."""

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        """Begin in training mode; momentum is a number, or None for a cumulative average."""
        ### BEGIN SOLUTION
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = 0
        ### END SOLUTION

    def train(self):
        """Switch to training mode."""
        ### BEGIN SOLUTION
        self.training = True
        ### END SOLUTION

    def eval(self):
        """Switch to inference mode."""
        ### BEGIN SOLUTION
        self.training = False
        ### END SOLUTION

    def forward(self, x):
        """Return y for x, both of shape (N, num_features)."""
        ### BEGIN SOLUTION
        if self.training:
            if len(x) < 2:
                raise ValueError("training needs more than one sample")
            self.num_batches_tracked += 1
            new = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
            self.running_mean, self.running_var = update_running(
                self.running_mean, self.running_var, x, new
            )
            mean, var = x.mean(axis=0), x.var(axis=0)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var + self.eps)
        x_hat = (x - mean) / std
        self.cache = x_hat, self.gamma / std, self.training
        return self.gamma * x_hat + self.beta
        ### END SOLUTION

    def backward(self, dy):
        """Return (dx, dgamma, dbeta) for the gradient dy of the last output."""
        ### BEGIN SOLUTION
        x_hat, scale, training = self.cache
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        dx = dy
        if training:
            dx = dy - dbeta / len(dy) - x_hat * dgamma / len(dy)
        return scale * dx, dgamma, dbeta
        ### END SOLUTION

    def state_dict(self):
        """Return what has to be saved, as a dict of five entries."""
        ### BEGIN SOLUTION
        return {
            "gamma": self.gamma.copy(),
            "beta": self.beta.copy(),
            "running_mean": self.running_mean.copy(),
            "running_var": self.running_var.copy(),
            "num_batches_tracked": self.num_batches_tracked,
        }
        ### END SOLUTION

    def load_state_dict(self, state):
        """Go on from a state that state_dict returned."""
        ### BEGIN SOLUTION
        self.gamma = state["gamma"].copy()
        self.beta = state["beta"].copy()
        self.running_mean = state["running_mean"].copy()
        self.running_var = state["running_var"].copy()
        self.num_batches_tracked = state["num_batches_tracked"]
        ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test_BatchNorm1d", "locked": true, "points": 25, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "BatchNorm1d",
    BatchNorm1d,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "recalibrate_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 6. Recalibrate (7 points)
#
# The paper (Algorithm 2) takes the population's statistics after training, from batches that pass through
# the finished network: the mean is the average of the batch means, and the variance is the average of
# the batches' biased variances, times $m/(m-1)$ for batches of $m$ samples. Nothing is left of the old
# running statistics.
#
# The last batch of an epoch is often smaller. Let every *row* count the same then, and every degree of
# freedom: for batches $b$ with $N_b$ rows, means $\mu_b$ and rows $x_{b,i}$
#
# $$\mu = \frac{\sum_b N_b\, \mu_b}{\sum_b N_b}, \qquad
# \sigma^2 = \frac{\sum_b \sum_i (x_{b,i} - \mu_b)^2}{\sum_b (N_b - 1)}$$
#
# which for batches of one size is Algorithm 2. A batch of one row is allowed; at least one batch has more.
#
# `layer` is the state of a layer, a dict like that of exercise 5, and `batches` is a list of arrays, the
# layer's inputs. Return a state with the new statistics, with `num_batches_tracked` the number of batches
# (those of one row included), and with all else as it was. The arrays that you are given stay as they are;
# the dict you may change, or make a new one.

# %% nbgrader={"grade": false, "grade_id": "recalibrate", "locked": false, "schema_version": 3, "solution": true, "task": false}
def recalibrate(layer, batches):
    """The state of a layer, with the population's statistics from a list of (N_b, D) batches."""
    ### BEGIN SOLUTION
    rows = sum(len(x) for x in batches)
    mean = sum(x.sum(axis=0) for x in batches) / rows
    squares = sum(((x - x.mean(axis=0)) ** 2).sum(axis=0) for x in batches)
    return {
        **layer,
        "running_mean": mean,
        "running_var": squares / (rows - len(batches)),
        "num_batches_tracked": len(batches),
    }
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test_recalibrate", "locked": true, "points": 7, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "recalibrate",
    recalibrate,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "fold_batchnorm_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 7. Fold it away (6 points)
#
# In inference mode batch normalization is a fixed linear map, and the linear layer before it can do its
# work: find $W'$ and $b'$ such that for every $x$
#
# $$x W' + b' = \gamma\,\frac{(x W + b) - \mu}{\sqrt{\sigma^2 + \varepsilon}} + \beta$$
#
# `W` has the shape `(D_in, D_out)`, all else `(D_out,)`: mind that `torch.nn.Linear` keeps the transpose
# of it. `b` may be `None`, for a layer without bias. Return new arrays, `(W, b)`.

# %% nbgrader={"grade": false, "grade_id": "fold_batchnorm", "locked": false, "schema_version": 3, "solution": true, "task": false}
def fold_batchnorm(W, b, gamma, beta, mean, var, eps=1e-5):
    """The weights (D_in, D_out) and bias (D_out,) of one layer that does the work of two."""
    ### BEGIN SOLUTION
    scale = gamma / np.sqrt(var + eps)
    if b is None:
        b = 0
    return W * scale, (b - mean) * scale + beta
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test_fold_batchnorm", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "fold_batchnorm",
    fold_batchnorm,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "network_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 8. A network, and how it is trained
#
# For the last exercise, a network is a list of layers, and a layer is a dict. Besides its arrays it has
#
# - `"kind"`: `"linear"`, `"batchnorm"` or `"relu"`;
# - `"trainable"`: the names of those of its arrays which the optimizer changes, for instance `["W", "b"]`;
# - `"training"`: whether it is in training mode, which makes a difference to batch normalization only;
# - `"locked"`: whether `train_mode` passes it by.
#
# A training loop calls `train_mode` at the beginning of every epoch, because it has switched the network
# to inference mode for validation before, and then `training_step` for every batch. Read what the two do:
# what must be changed in a layer so that neither can change it?

# %% nbgrader={"grade": false, "grade_id": "network", "locked": true, "schema_version": 3, "solution": false, "task": false}
def train_mode(network):
    """Put all layers into training mode, except those that are locked."""
    for layer in network:
        if not layer["locked"]:
            layer["training"] = True


def forward(network, x):
    """Return the outputs of all layers, x first; in training mode, gather the statistics."""
    outputs = [x]
    for layer in network:
        x = outputs[-1]
        if layer["kind"] == "linear":
            x = x @ layer["W"] + layer["b"]
        elif layer["kind"] == "relu":
            x = np.maximum(x, 0)
        else:
            mean, var = layer["running_mean"], layer["running_var"]
            if layer["training"]:
                new = layer["momentum"]
                layer["running_mean"] = (1 - new) * mean + new * x.mean(axis=0)
                layer["running_var"] = (1 - new) * var + new * x.var(axis=0, ddof=1)
                mean, var = x.mean(axis=0), x.var(axis=0)
            x = layer["gamma"] * (x - mean) / np.sqrt(var + layer["eps"]) + layer["beta"]
        outputs.append(x)
    return outputs


def training_step(network, x, target, lr=0.05, decay=0.01):
    """Change the network by one step of gradient descent on the mean squared error."""
    outputs = forward(network, x)
    dy = 2 * (outputs[-1] - target) / target.size
    for layer, x in zip(reversed(network), reversed(outputs[:-1]), strict=True):
        gradients = {}
        if layer["kind"] == "linear":
            gradients = {"W": x.T @ dy, "b": dy.sum(axis=0)}
            dy = dy @ layer["W"].T
        elif layer["kind"] == "relu":
            dy = dy * (x > 0)
        else:
            mean, var = layer["running_mean"], layer["running_var"]
            if layer["training"]:
                mean, var = x.mean(axis=0), x.var(axis=0)
            std = np.sqrt(var + layer["eps"])
            x_hat = (x - mean) / std
            gradients = {"gamma": (dy * x_hat).sum(axis=0), "beta": dy.sum(axis=0)}
            scale = layer["gamma"] / std
            if layer["training"]:
                dy = dy - dy.mean(axis=0) - x_hat * (dy * x_hat).mean(axis=0)
            dy = scale * dy
        for name in layer["trainable"]:
            layer[name] = layer[name] - lr * (gradients[name] + decay * layer[name])

# %% nbgrader={"grade": false, "grade_id": "small_network", "locked": true, "schema_version": 3, "solution": false, "task": false}
rng = np.random.default_rng(0)
network = [
    {
        "kind": "linear",
        "W": rng.normal(size=(4, 3)),
        "b": np.zeros(3),
        "trainable": ["W", "b"],
        "training": True,
        "locked": False,
    },
    {
        "kind": "batchnorm",
        "gamma": np.ones(3),
        "beta": np.zeros(3),
        "running_mean": np.zeros(3),
        "running_var": np.ones(3),
        "eps": 1e-5,
        "momentum": 0.1,
        "trainable": ["gamma", "beta"],
        "training": True,
        "locked": False,
    },
    {"kind": "relu", "trainable": [], "training": True, "locked": False},
]

# %% [markdown] nbgrader={"grade": false, "grade_id": "freeze_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 9. Freeze (9 points)
#
# A network was trained on a large data set and is to be fine-tuned on a small one. Its first `n` layers
# stay as they are. Return the network (a list of all layers, in order) such that, however often
# `train_mode` and `training_step` are called,
#
# - no parameter and no statistic of the first `n` layers changes;
# - the first `n` layers give a sample the same output in a training batch as alone;
# - the other layers are trained as before, their statistics included. (Some may have been frozen before, in
#   part or wholly; they stay so.)
#
# Change no array: what the network has learned so far is kept. The dicts you may change, or make new ones.

# %% nbgrader={"grade": false, "grade_id": "freeze", "locked": false, "schema_version": 3, "solution": true, "task": false}
def freeze(network, n):
    """The network, a list of dicts, with its first n layers frozen."""
    ### BEGIN SOLUTION
    frozen = {"trainable": [], "training": False, "locked": True}
    return [{**layer, **frozen} for layer in network[:n]] + network[n:]
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test_freeze", "locked": true, "points": 9, "schema_version": 3, "solution": false, "task": false}
from autograder import check

check(
    "freeze",
    freeze,
    ### BEGIN HIDDEN TESTS
    hidden=True,
    ### END HIDDEN TESTS
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "in_torch", "locked": true, "schema_version": 3, "solution": false, "task": false}
# In PyTorch the three keys are `requires_grad_(False)` for the parameters, `eval()` for the mode, and,
# since `model.train()` has no lock, either a layer whose `train` does nothing or another call of `eval()`
# after each `model.train()`.

# %% [markdown] nbgrader={"grade": false, "grade_id": "drift_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 10. In your own words (4 points, graded by a person)
#
# A colleague fine-tunes a network with batch normalization on 300 images of her own, in batches of 4. For
# all layers but the last she sets `requires_grad = False`. Every epoch begins with `model.train()`. She
# validates under `torch.no_grad()` in batches of 4, and reports: "The accuracy is another one in every
# run over the *same* images, and the network becomes worse on its old task although I have not
# touched its old layers." In about six sentences: where does each of the two observations come from, why
# do the batches of 4 make it worse, and what should she do?
#
# ### BEGIN MARK SCHEME
# **Mark scheme, 1 point each**
#
# 1. The accuracy changes because `no_grad` is not `eval`: the layers are still in training mode, so that a
#    prediction depends on the other images of its batch (shuffled), and the validation images move
#    the running statistics as well.
# 2. The old task suffers because the running statistics are no parameters: every forward pass in
#    training mode moves them towards the new images (and `model.train()` in every epoch turns the mode
#    back on), whatever `requires_grad` says.
# 3. Four images make a noisy mean and variance: noisy predictions, and running statistics that
#    fluctuate. (For images the pixels of a channel count, but they are alike.)
# 4. A remedy that works: `model.eval()` for validation; the frozen layers in inference mode during
#    training, again after every `model.train()`, with γ and β frozen. Or: recalibrate on many images, if
#    the new data are what matters.
# ### END MARK SCHEME

# %% [markdown] nbgrader={"grade": true, "grade_id": "drift", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# `torch.no_grad()` turns gradients off and nothing else, so that she validates in training mode: each image
# is normalized with the three others in its batch, and a shuffled order gives other predictions. These
# passes move the running statistics, too. The running mean and variance are buffers, not parameters;
# `requires_grad` does not concern them. In every epoch `model.train()` puts all layers into training mode,
# and every batch pulls the statistics towards the new images, so that on the old ones the network is
# another. A mean and a variance of four images are noisy, which makes both the predictions and the
# statistics noisy. She should call `model.eval()` before validating, and after each `model.train()` put
# the frozen batch normalization layers back into inference mode, with γ and β frozen. If only the new
# images matter, she may recalibrate the statistics on all 300 instead.
# ### END SOLUTION
