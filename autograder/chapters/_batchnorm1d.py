"""The exercise `BatchNorm1d` of the chapter on inference, and what the chapter's exercises share.

``x`` is a batch of N samples with D features, shape (N, D). ``momentum`` is PyTorch's, the weight of
the new value. The batch is normalized with its biased variance, and the running variance gathers the
unbiased one. The reference agrees with ``torch.nn.BatchNorm1d``.

Nothing that is asked depends on whether an answer lives in this process or in another: what crosses
a border is copied, so two names for one array can only be seen from inside. `Layer`, which the
notebook gives, keeps a state there.

The code of mistakes and alternatives is written as students write it, and stands alone: it uses
nothing but NumPy, its arguments, and `Layer`.
"""

import copy
from typing import Any

import numpy as np

from autograder.exercise import Argument, Exercise, Explained, Tolerance, mistake, outcome, probe

TOLERANCE = Tolerance(relative=1e-6, absolute=1e-6)

CONVENTION_HINT = (
    "In PyTorch's convention the momentum is the weight of the *new* value, so that 0.1 moves a tenth "
    "of the way. Keras gives the name to the weight of the old value. Exchange the two weights, and "
    "leave the default as it is."
)
OVERWRITE_HINT = (
    "One batch says little about the population. Move a fraction of the way towards it: "
    "(1 - momentum) of the old value plus momentum of the new one."
)
DEVIATION_HINT = (
    "Average the variances, and leave the root to inference, which takes it when it divides. The "
    "average of standard deviations is smaller than the root of the average variance, so that "
    "inference would divide by too little."
)
COPY_PASTE_HINT = (
    "Each of the two statistics moves from its own old value to its own new one; compare the two lines "
    "that you wrote."
)
BIASED_HINT = (
    "The batch is a sample of the population, and its biased variance is too small on average, by "
    "(N-1)/N. The running variance takes the unbiased one: `ddof=1`."
)
BUFFER_IN_PLACE_HINT = (
    "`running_mean *= ...` writes into the caller's array, which others may hold, too. "
    "`running_mean = (1 - momentum) * running_mean + ...` makes a new one."
)
MOMENTUM_FIXED_HINT = "The caller chooses the momentum. Use the argument, not a number of your own."
EXCHANGED_HINT = (
    "ε is the small number that is added to a variance, 1e-5 unless the caller says otherwise; the "
    "momentum, 0.1, is the weight of a new batch. See which argument each of the two attributes takes."
)
ROWS_HINT = "Each feature is a column, with statistics of its own: reduce over the samples, axis 0."
WHOLE_HINT = (
    "Without `axis=0` NumPy reduces the whole batch to one number, and features with different units "
    "share it."
)
EPS_HINT = (
    "Training and inference must apply the same function to the same statistics, or the layer changes "
    "when its mode does. Both divide by √(variance + ε), with the layer's own ε under the root."
)
ALIAS_HINT = (
    "Two names for one array: what is written through one shows through the other. Copy the arrays "
    "when they leave the layer and when they enter it, or never write into them."
)


# Of four features, all spreads large beside ε.
SPREADS = np.array([300.0, 400.0, 800.0, 3000.0])
CENTRES = np.array([10.0, -200.0, 1000.0, 7500.0])


def batch(rng, samples=7):
    """Four features with centres and spreads of their own."""
    return rng.normal(size=(samples, 4)) * SPREADS + CENTRES


def large_batch(rng, samples=7):
    """The same features, ten times as large: even beside an ε of 0.1."""
    return batch(rng, samples) * 10


def even_batch(rng, samples=7):
    """The same features with spreads that no chance changes: a little larger, and exact."""
    z = rng.normal(size=(samples, 4))
    return (z - z.mean(axis=0)) / z.std(axis=0) * 1.7 * SPREADS + CENTRES


def affine(rng, size=4):
    """A scale and a shift per feature, with both signs and no two alike."""
    signs = np.where(np.arange(size) % 2, -1.0, 1.0)
    return signs * rng.uniform(0.5, 2.0, size=size), rng.normal(size=size) * 3


def population(rng, size=4):
    """A mean and a variance per feature, as a trained layer may hold them."""
    return rng.normal(size=size) * 500, rng.uniform(300, 900, size=size) ** 2


# --- the layer -----------------------------------------------------------------------------------


class Layer:
    """What the notebook gives: a layer that can keep its state and go back to it."""

    def keep_state(self):
        self.kept = self.state_dict()

    def restore_state(self):
        self.load_state_dict(self.kept)


class BatchNorm1d(Layer):
    names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var + self.eps)
        x_hat = (x - mean) / std
        self.cache = x_hat, self.gamma / std, self.training
        return self.gamma * x_hat + self.beta

    def _learn(self, x):
        if len(x) < 2:
            raise ValueError("training needs more than one sample")
        self.num_batches_tracked += 1
        new = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = (1 - new) * self.running_mean + new * mean
        self.running_var = (1 - new) * self.running_var + new * x.var(axis=0, ddof=1)
        return mean, var

    def backward(self, dy):
        x_hat, scale, training = self.cache
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        dx = dy
        if training:
            dx = dy - dbeta / len(dy) - x_hat * dgamma / len(dy)
        return scale * dx, dgamma, dbeta

    def state_dict(self):
        return {name: np.copy(getattr(self, name)) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names:
            setattr(self, name, np.copy(state[name]))


def held(layer, *names):
    """Attributes of a layer as they are now: what is read again later must not change with them."""
    values = {name: getattr(layer, name) for name in names}
    return {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in values.items()}


def statistics(layer, when):
    """The running statistics of a layer, as observations."""
    now = held(layer, "running_mean", "running_var")
    return {f"{name} {when}": value for name, value in now.items()}


def trained_state(rng, size=4):
    """What a trained layer saves: everything differs from what a new layer has."""
    gamma, beta = affine(rng, size)
    mean, var = population(rng, size)
    return {
        "gamma": gamma,
        "beta": beta,
        "running_mean": mean,
        "running_var": var,
        "num_batches_tracked": 12,
    }


def large_state(rng):
    """The same for large batches: its variances are as large as theirs."""
    state = trained_state(rng)
    return {**state, "running_var": state["running_var"] * 100}


def told_to_train(C, **arguments):
    """A layer in training mode. That a new one is so by itself, `a_new_layer` asks, once."""
    layer = C(4, **arguments)
    layer.train()
    return layer


def loaded(C, state, **arguments):
    """A layer in training mode with the state of a trained one, which stays the probe's own."""
    layer = told_to_train(C, **arguments)
    layer.load_state_dict(copy.deepcopy(state))
    return layer


def moved(before, after):
    """Whether anything was learned, however much: that is asked in `running_statistics_follow`."""
    return "moved" if np.any(before != after) else "as it was"


@probe(1)
def a_new_layer(C, rng):
    """A new layer is in training mode, with γ = 1, β = 0, running mean 0 and running variance 1."""
    layer = C(4)
    began = held(layer, "gamma", "beta", "running_mean", "running_var", "num_batches_tracked")
    y = layer.forward(batch(rng))
    return {**began, "the column means of its first output": y.mean(axis=0)}


@probe(1)
def inference_before_training(C, rng):
    """In inference mode, before any training, a new layer divides by √(1 + ε), and that is all."""
    layer = C(4)
    layer.eval()
    return {"the output of a new layer": layer.forward(batch(rng))}


@probe(2)
def training_uses_the_batch(C, rng):
    """In training mode each batch is normalized with its own mean and biased variance."""
    layer = told_to_train(C)
    first = layer.forward(large_batch(rng, samples=5))
    second = layer.forward(large_batch(rng, samples=3) * 2 + 1)
    return {"the output for the first batch": first, "the output for the second": second}


@probe(2)
def running_statistics_follow(C, rng):
    """Each training batch moves the running statistics, the variance towards the unbiased one."""
    layer = told_to_train(C)
    seen = {}
    for n, size in enumerate((4, 2, 9), start=1):
        layer.forward(batch(rng, samples=size) * n)
        seen |= statistics(layer, f"after {n} batch{'es' if n > 1 else ''}")
    return seen


@probe(1)
def batches_are_counted(C, rng):
    """`num_batches_tracked` counts the training batches."""
    layer = told_to_train(C)
    for size in (4, 2, 9):
        layer.forward(batch(rng, samples=size))
    return {
        "num_batches_tracked after three batches": layer.num_batches_tracked,
        "running_mean after three batches": moved(0.0, layer.running_mean),
    }


@probe(2)
def inference_uses_the_running_statistics(C, rng):
    """In inference mode a sample's output depends on the running statistics, not on its batch."""
    layer = told_to_train(C)
    layer.forward(even_batch(rng))
    layer.forward(even_batch(rng) * 2)
    layer.eval()
    x = even_batch(rng, samples=5)
    return {
        "the output for five samples": layer.forward(x.copy()),
        "the output for the first of them alone": layer.forward(x[:1].copy()),
    }


@probe(1)
def inference_changes_no_statistics(C, rng):
    """Inference leaves the running statistics and the count alone; after `train()` they move again."""
    layer = told_to_train(C)
    layer.forward(batch(rng))
    names = ("running_mean", "running_var")
    before, count = held(layer, *names), layer.num_batches_tracked + 0
    layer.eval()
    layer.eval()  # it says which mode, and does not turn the mode around
    layer.forward(batch(rng) * 3)
    after = held(layer, *names)
    layer.train()
    counted = layer.num_batches_tracked - count
    later = held(layer, *names)
    y = layer.forward(large_batch(rng, samples=5))
    return {
        **{f"{n} after a batch in inference mode": moved(before[n], after[n]) for n in names},
        "what eval(), this batch and train() add to num_batches_tracked": counted,
        **{f"{n} after train()": moved(after[n], later[n]) for n in names},
        "the output after train()": y,
        "running_mean after another batch": moved(later["running_mean"], layer.running_mean),
    }


@probe(1)
def gamma_and_beta_in_both_modes(C, rng):
    """γ and β are applied in training mode and in inference mode."""
    state, x = large_state(rng), large_batch(rng)
    layer = loaded(C, state)
    y = layer.forward(x.copy())
    layer.load_state_dict(copy.deepcopy(state))
    layer.eval()
    return {
        "the output in training mode": y,
        "the output in inference mode": layer.forward(x.copy()),
    }


@probe(1)
def eps_in_both_modes(C, rng):
    """`eps` is added to the variance, under the root, in both modes, also in `backward`."""
    faint, dy = 0.4 * rng.normal(size=(6, 4)), rng.normal(size=(6, 4))
    layer = told_to_train(C, eps=0.5)
    seen = {"the output in training mode for eps 0.5": layer.forward(faint.copy())}
    seen["dx in training mode for eps 0.5"] = layer.backward(dy.copy())[0]
    layer = C(4, eps=0.5)
    layer.eval()
    seen["the output in inference mode for eps 0.5"] = layer.forward(faint.copy())
    seen["dx in inference mode for eps 0.5"] = layer.backward(dy.copy())[0]
    return seen


@probe(1)
def momentum_of_the_layer(C, rng):
    """`momentum` is used as it was given, 0 keeps the statistics as they are, and ε is not averaged in."""
    layer, still = told_to_train(C, eps=100.0, momentum=0.3), told_to_train(C, momentum=0.0)
    for _ in range(2):
        x = batch(rng)
        layer.forward(x.copy())
        still.forward(x.copy())
    return {
        **statistics(layer, "for momentum 0.3 and eps 100"),
        **statistics(still, "for momentum 0"),
    }


@probe(1)
def cumulative_average(C, rng):
    """With `momentum=None` the nth batch has the weight 1/n, so that all batches count the same."""
    layer = told_to_train(C, momentum=None)
    layer.forward(batch(rng) * 2)
    seen = statistics(layer, "after the first batch")
    layer.forward(batch(rng, samples=3) * 3)
    layer.forward(batch(rng, samples=5))
    return {**seen, **statistics(layer, "after three batches of 7, 3 and 5 samples")}


@probe(2)
def backward_in_training(C, rng):
    """In training mode `backward` returns the gradients dx, dγ and dβ through the batch's statistics."""
    layer = loaded(C, trained_state(rng))
    layer.forward(batch(rng) * 3)  # large beside an ε of 0.1, but dx is not small for that
    dx, dgamma, dbeta = layer.backward(rng.normal(size=(7, 4)) * 3)
    return {"dx": dx, "dgamma": dgamma, "dbeta": dbeta}


@probe(2)
def backward_in_inference(C, rng):
    """In inference mode the statistics are constants: dx = γ dy / √(running variance + ε)."""
    state = trained_state(rng)
    layer = loaded(C, state)
    layer.forward(batch(rng, samples=5))
    layer.load_state_dict(copy.deepcopy(state))
    layer.eval()
    layer.forward(batch(rng, samples=5))
    dx, dgamma, dbeta = layer.backward(rng.normal(size=(5, 4)))
    return {"dx": dx, "dgamma": dgamma, "dbeta": dbeta}


@probe(1)
def backward_belongs_to_its_forward(C, rng):
    """`backward` belongs to the layer's last `forward`, even if then the mode was changed or another layer ran."""
    state, dy = trained_state(rng), rng.normal(size=(6, 4))
    layer = loaded(C, state)
    layer.forward(batch(rng, samples=6))
    layer.eval()
    trained, _, _ = layer.backward(dy.copy())
    layer.load_state_dict(copy.deepcopy(state))
    layer.forward(batch(rng, samples=6))
    layer.train()
    inferred, _, _ = layer.backward(dy.copy())
    layer = loaded(C, state)
    layer.forward(batch(rng, samples=6))
    loaded(C, state).forward(batch(rng, samples=6))
    again, _, _ = layer.backward(dy.copy())
    return {
        "dx of a training batch, after eval()": trained,
        "dx of an inference batch, after train()": inferred,
        "dx of a training batch, after another layer ran": again,
    }


@probe(2)
def saves_and_loads(C, rng):
    """A layer that loads the state of another continues where the other was."""
    first = loaded(C, large_state(rng), momentum=None)
    saved = copy.deepcopy(first.state_dict())
    first.forward(large_batch(rng))
    later = copy.deepcopy(first.state_dict())
    second = told_to_train(C, momentum=None)
    second.load_state_dict(copy.deepcopy(later))
    second.forward(large_batch(rng))
    one_later = held(second, "running_mean", "num_batches_tracked")
    second.load_state_dict(copy.deepcopy(saved))
    second.eval()
    return {
        "the state": saved,
        "the state after a batch": {k: v for k, v in later.items() if k != "running_var"},
        "the output of the second layer in inference mode": second.forward(large_batch(rng)),
        **{f"{k} of the second layer, one batch later": v for k, v in one_later.items()},
    }


def restored_from(value, trained):
    """A restored array, whose difference may be that it still is what training has made of it."""

    def explain(_, wrong):
        same = isinstance(wrong, np.ndarray) and wrong.dtype.kind == "f"
        if not (same and wrong.shape == trained.shape and np.allclose(wrong, trained, rtol=1e-9)):
            return ""
        return (
            "That is what training made of it: what was kept changed with the layer, or was not "
            "loaded. Arrays that are changed in place (`+=`) have to be copied, by `state_dict` and "
            "by `load_state_dict`."
        )

    return Explained(value, explain)


@probe(1)
def goes_back_to_a_kept_state(C, rng):
    """After `keep_state`, training, and `restore_state`, the layer is where it was; twice."""
    layer = loaded(C, trained_state(rng))
    layer.keep_state()
    seen: dict[str, Any] = {}
    for time in ("the first time", "the second time"):
        before = held(layer, "running_mean")["running_mean"]
        layer.forward(batch(rng) * 2)
        seen[f"running_mean after training for {time}"] = moved(before, layer.running_mean)
        after = statistics(layer, f"restored for {time}")
        layer.state_dict()
        layer.restore_state()
        restored = statistics(layer, f"restored for {time}")
        seen |= {name: restored_from(value, after[name]) for name, value in restored.items()}
    return seen


@probe(1)
def layers_are_independent(C, rng):
    """What one layer learns, another does not know, and each has a mode of its own."""
    first, idle = told_to_train(C), told_to_train(C)
    first.forward(batch(rng))
    seen = {
        "running_mean of a layer that saw a batch": moved(0.0, first.running_mean),
        **statistics(idle, "of the layer that saw none"),
    }
    first.eval()
    idle.forward(batch(rng))
    seen["running_mean of the other after its batch"] = moved(0.0, idle.running_mean)
    return seen


@probe(1)
def layer_leaves_its_inputs_alone(C, rng):
    """`forward` and `backward` leave `x` and `dy` as they were, and the results are right."""
    layer = told_to_train(C)
    x, z, dy, dz = batch(rng), batch(rng), rng.normal(size=(7, 4)), rng.normal(size=(7, 4))
    y = layer.forward(x)
    dx, _, _ = layer.backward(dy)
    layer.eval()
    layer.forward(z)
    layer.backward(dz)
    return {
        "x": Argument(x),
        "dy": Argument(dy),
        "x in inference mode": Argument(z),
        "dy in inference mode": Argument(dz),
        "the column means of the output": y.mean(axis=0),
        # Many a wrong dx has the same sums as another: that they are not 0 explains nothing.
        "the column sums of dx are 0, and dx is not": bool(
            np.any(dx != 0) and (np.abs(dx.sum(axis=0)) <= 1e-6 * np.abs(dx).max()).all()
        ),
    }


@probe(1, hidden=True)
def a_batch_of_one(C, rng):
    """A single sample has no unbiased variance: training raises ValueError, inference does not mind."""
    layer = told_to_train(C)
    x = batch(rng, samples=1)
    result = outcome(lambda: layer.forward(x.copy()))
    seen = statistics(layer, "after the attempt")
    layer.eval()
    y = layer.forward(x.copy())
    return {"the result in training mode": result, **seen, "the output in inference mode": y}


@mistake(earns=17, hint=CONVENTION_HINT)
class AveragesAsKerasDoes(Layer):
    """The momentum weighs the old value, which is the convention of Keras, not of PyTorch."""

    names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var + self.eps)
        x_hat = (x - mean) / std
        self.cache = x_hat, self.gamma / std, self.training
        return self.gamma * x_hat + self.beta

    def _learn(self, x):
        if len(x) < 2:
            raise ValueError("training needs more than one sample")
        self.num_batches_tracked += 1
        new = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = new * self.running_mean + (1 - new) * mean
        self.running_var = new * self.running_var + (1 - new) * x.var(axis=0, ddof=1)
        return mean, var

    def backward(self, dy):
        x_hat, scale, training = self.cache
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        dx = dy
        if training:
            dx = dy - dbeta / len(dy) - x_hat * dgamma / len(dy)
        return scale * dx, dgamma, dbeta

    def state_dict(self):
        return {name: np.copy(getattr(self, name)) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names:
            setattr(self, name, np.copy(state[name]))


@mistake(earns=17, hint=f"{CONVENTION_HINT} {BIASED_HINT}")
class AveragesAltogetherAsKerasDoes(Layer):
    """The momentum weighs the old value, and the running variance gathers the biased one."""

    names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var + self.eps)
        x_hat = (x - mean) / std
        self.cache = x_hat, self.gamma / std, self.training
        return self.gamma * x_hat + self.beta

    def _learn(self, x):
        if len(x) < 2:
            raise ValueError("training needs more than one sample")
        self.num_batches_tracked += 1
        new = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = new * self.running_mean + (1 - new) * mean
        self.running_var = new * self.running_var + (1 - new) * var
        return mean, var

    def backward(self, dy):
        x_hat, scale, training = self.cache
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        dx = dy
        if training:
            dx = dy - dbeta / len(dy) - x_hat * dgamma / len(dy)
        return scale * dx, dgamma, dbeta

    def state_dict(self):
        return {name: np.copy(getattr(self, name)) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names:
            setattr(self, name, np.copy(state[name]))


@mistake(earns=19, hint=BIASED_HINT)
class GathersTheBiasedVariance(Layer):
    """The running variance gathers the biased variance, which divides by N, not by N - 1."""

    names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var + self.eps)
        x_hat = (x - mean) / std
        self.cache = x_hat, self.gamma / std, self.training
        return self.gamma * x_hat + self.beta

    def _learn(self, x):
        if len(x) < 2:
            raise ValueError("training needs more than one sample")
        self.num_batches_tracked += 1
        new = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = (1 - new) * self.running_mean + new * mean
        self.running_var = (1 - new) * self.running_var + new * var
        return mean, var

    def backward(self, dy):
        x_hat, scale, training = self.cache
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        dx = dy
        if training:
            dx = dy - dbeta / len(dy) - x_hat * dgamma / len(dy)
        return scale * dx, dgamma, dbeta

    def state_dict(self):
        return {name: np.copy(getattr(self, name)) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names:
            setattr(self, name, np.copy(state[name]))


@mistake(
    earns=17,
    hint=(
        "The unbiased variance is for the running statistics. The batch itself is all that there is "
        "to normalize: its squared deviations are divided by N."
    ),
)
class NormalizesWithTheUnbiasedVariance(Layer):
    """Batches are normalized with the unbiased variance, which is meant for the running one only."""

    names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var + self.eps)
        x_hat = (x - mean) / std
        self.cache = x_hat, self.gamma / std, self.training
        return self.gamma * x_hat + self.beta

    def _learn(self, x):
        if len(x) < 2:
            raise ValueError("training needs more than one sample")
        self.num_batches_tracked += 1
        new = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        mean, var = x.mean(axis=0), x.var(axis=0, ddof=1)
        self.running_mean = (1 - new) * self.running_mean + new * mean
        self.running_var = (1 - new) * self.running_var + new * x.var(axis=0, ddof=1)
        return mean, var

    def backward(self, dy):
        x_hat, scale, training = self.cache
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        dx = dy
        if training:
            dx = dy - dbeta / len(dy) - x_hat * dgamma / len(dy)
        return scale * dx, dgamma, dbeta

    def state_dict(self):
        return {name: np.copy(getattr(self, name)) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names:
            setattr(self, name, np.copy(state[name]))


@mistake(
    earns=22,
    hint=(
        "What is looked at in inference must not change the layer: validation data would leak into "
        "it, and the same input would give another output the next time. Update in training mode "
        "only."
    ),
)
class LearnsInInference(Layer):
    """Batches in inference mode move the running statistics, too."""

    names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = self.running_mean, self.running_var
            if len(x) > 1:
                self._learn(x)
        std = np.sqrt(var + self.eps)
        x_hat = (x - mean) / std
        self.cache = x_hat, self.gamma / std, self.training
        return self.gamma * x_hat + self.beta

    def _learn(self, x):
        if len(x) < 2:
            raise ValueError("training needs more than one sample")
        self.num_batches_tracked += 1
        new = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = (1 - new) * self.running_mean + new * mean
        self.running_var = (1 - new) * self.running_var + new * x.var(axis=0, ddof=1)
        return mean, var

    def backward(self, dy):
        x_hat, scale, training = self.cache
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        dx = dy
        if training:
            dx = dy - dbeta / len(dy) - x_hat * dgamma / len(dy)
        return scale * dx, dgamma, dbeta

    def state_dict(self):
        return {name: np.copy(getattr(self, name)) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names:
            setattr(self, name, np.copy(state[name]))


@mistake(
    earns=24,
    hint="Inference changes nothing. Count where the running statistics are updated, in training mode only.",
)
class CountsInInference(Layer):
    """Batches in inference mode are counted, too."""

    names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        if len(x) > 1 or not self.training:
            self.num_batches_tracked += 1
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var + self.eps)
        x_hat = (x - mean) / std
        self.cache = x_hat, self.gamma / std, self.training
        return self.gamma * x_hat + self.beta

    def _learn(self, x):
        if len(x) < 2:
            raise ValueError("training needs more than one sample")
        new = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = (1 - new) * self.running_mean + new * mean
        self.running_var = (1 - new) * self.running_var + new * x.var(axis=0, ddof=1)
        return mean, var

    def backward(self, dy):
        x_hat, scale, training = self.cache
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        dx = dy
        if training:
            dx = dy - dbeta / len(dy) - x_hat * dgamma / len(dy)
        return scale * dx, dgamma, dbeta

    def state_dict(self):
        return {name: np.copy(getattr(self, name)) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names:
            setattr(self, name, np.copy(state[name]))


@mistake(
    earns=13,
    hint=(
        "In training mode `forward` has a second task besides its output: it moves the running "
        "statistics. Without it, inference does not normalize at all."
    ),
)
class NeverLearns(Layer):
    """The running statistics are never updated: they stay at 0 and 1."""

    names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var + self.eps)
        x_hat = (x - mean) / std
        self.cache = x_hat, self.gamma / std, self.training
        return self.gamma * x_hat + self.beta

    def _learn(self, x):
        if len(x) < 2:
            raise ValueError("training needs more than one sample")
        self.num_batches_tracked += 1
        mean, var = x.mean(axis=0), x.var(axis=0)
        return mean, var

    def backward(self, dy):
        x_hat, scale, training = self.cache
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        dx = dy
        if training:
            dx = dy - dbeta / len(dy) - x_hat * dgamma / len(dy)
        return scale * dx, dgamma, dbeta

    def state_dict(self):
        return {name: np.copy(getattr(self, name)) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names:
            setattr(self, name, np.copy(state[name]))


@mistake(
    earns=14,
    hint=(
        "In inference there may be one sample only, and an answer must not depend on who else is "
        "asked about. Use the running statistics when the layer is not in training mode."
    ),
)
class NormalizesWithTheBatchInInference(Layer):
    """In inference mode, too, the batch's own statistics are used."""

    names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = x.mean(axis=0), x.var(axis=0)
        std = np.sqrt(var + self.eps)
        x_hat = (x - mean) / std
        self.cache = x_hat, self.gamma / std, self.training
        return self.gamma * x_hat + self.beta

    def _learn(self, x):
        if len(x) < 2:
            raise ValueError("training needs more than one sample")
        self.num_batches_tracked += 1
        new = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = (1 - new) * self.running_mean + new * mean
        self.running_var = (1 - new) * self.running_var + new * x.var(axis=0, ddof=1)
        return mean, var

    def backward(self, dy):
        x_hat, scale, training = self.cache
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        dx = dy
        if training:
            dx = dy - dbeta / len(dy) - x_hat * dgamma / len(dy)
        return scale * dx, dgamma, dbeta

    def state_dict(self):
        return {name: np.copy(getattr(self, name)) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names:
            setattr(self, name, np.copy(state[name]))


@mistake(
    earns=15,
    hint=(
        "In training the batch is normalized with its own mean and variance; the running statistics "
        "are only gathered, for later."
    ),
)
class NormalizesWithTheRunningStatisticsInTraining(Layer):
    """In training mode, too, the running statistics are used."""

    names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var + self.eps)
        x_hat = (x - mean) / std
        self.cache = x_hat, self.gamma / std, self.training
        return self.gamma * x_hat + self.beta

    def _learn(self, x):
        if len(x) < 2:
            raise ValueError("training needs more than one sample")
        self.num_batches_tracked += 1
        new = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        mean = x.mean(axis=0)
        self.running_mean = (1 - new) * self.running_mean + new * mean
        self.running_var = (1 - new) * self.running_var + new * x.var(axis=0, ddof=1)
        return self.running_mean, self.running_var

    def backward(self, dy):
        x_hat, scale, training = self.cache
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        dx = dy
        if training:
            dx = dy - dbeta / len(dy) - x_hat * dgamma / len(dy)
        return scale * dx, dgamma, dbeta

    def state_dict(self):
        return {name: np.copy(getattr(self, name)) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names:
            setattr(self, name, np.copy(state[name]))


@mistake(
    earns=22,
    hint=(
        "The statistics change with the mode; γ and β do not. They are what the layer has learned, "
        "and apply in both modes."
    ),
)
class ForgetsGammaAndBetaInInference(Layer):
    """In inference mode γ and β are not applied."""

    names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var + self.eps)
        x_hat = (x - mean) / std
        self.cache = x_hat, self.gamma / std, self.training
        return self.gamma * x_hat + self.beta if self.training else x_hat

    def _learn(self, x):
        if len(x) < 2:
            raise ValueError("training needs more than one sample")
        self.num_batches_tracked += 1
        new = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = (1 - new) * self.running_mean + new * mean
        self.running_var = (1 - new) * self.running_var + new * x.var(axis=0, ddof=1)
        return mean, var

    def backward(self, dy):
        x_hat, scale, training = self.cache
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        dx = dy
        if training:
            dx = dy - dbeta / len(dy) - x_hat * dgamma / len(dy)
        return scale * dx, dgamma, dbeta

    def state_dict(self):
        return {name: np.copy(getattr(self, name)) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names:
            setattr(self, name, np.copy(state[name]))


@mistake(earns=22, hint=EPS_HINT)
class ForgetsEpsInInference(Layer):
    """In inference mode ε is not added to the variance."""

    names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var + self.eps if self.training else var)
        x_hat = (x - mean) / std
        self.cache = x_hat, self.gamma / std, self.training
        return self.gamma * x_hat + self.beta

    def _learn(self, x):
        if len(x) < 2:
            raise ValueError("training needs more than one sample")
        self.num_batches_tracked += 1
        new = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = (1 - new) * self.running_mean + new * mean
        self.running_var = (1 - new) * self.running_var + new * x.var(axis=0, ddof=1)
        return mean, var

    def backward(self, dy):
        x_hat, scale, training = self.cache
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        dx = dy
        if training:
            dx = dy - dbeta / len(dy) - x_hat * dgamma / len(dy)
        return scale * dx, dgamma, dbeta

    def state_dict(self):
        return {name: np.copy(getattr(self, name)) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names:
            setattr(self, name, np.copy(state[name]))


@mistake(
    earns=22,
    hint="ε is a variance already, and it stands beside one: add ε itself. Its square is so small that "
    "it as good as vanishes.",
)
class AddsEpsSquared(Layer):
    """The square of ε is added to the variance."""

    names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var + self.eps**2)
        x_hat = (x - mean) / std
        self.cache = x_hat, self.gamma / std, self.training
        return self.gamma * x_hat + self.beta

    def _learn(self, x):
        if len(x) < 2:
            raise ValueError("training needs more than one sample")
        self.num_batches_tracked += 1
        new = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = (1 - new) * self.running_mean + new * mean
        self.running_var = (1 - new) * self.running_var + new * x.var(axis=0, ddof=1)
        return mean, var

    def backward(self, dy):
        x_hat, scale, training = self.cache
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        dx = dy
        if training:
            dx = dy - dbeta / len(dy) - x_hat * dgamma / len(dy)
        return scale * dx, dgamma, dbeta

    def state_dict(self):
        return {name: np.copy(getattr(self, name)) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names:
            setattr(self, name, np.copy(state[name]))


@mistake(earns=22, hint=EPS_HINT)
class AddsEpsOutsideInInference(Layer):
    """In inference mode ε is added beside the root, to the standard deviation."""

    names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var + self.eps) if self.training else np.sqrt(var) + self.eps
        x_hat = (x - mean) / std
        self.cache = x_hat, self.gamma / std, self.training
        return self.gamma * x_hat + self.beta

    def _learn(self, x):
        if len(x) < 2:
            raise ValueError("training needs more than one sample")
        self.num_batches_tracked += 1
        new = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = (1 - new) * self.running_mean + new * mean
        self.running_var = (1 - new) * self.running_var + new * x.var(axis=0, ddof=1)
        return mean, var

    def backward(self, dy):
        x_hat, scale, training = self.cache
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        dx = dy
        if training:
            dx = dy - dbeta / len(dy) - x_hat * dgamma / len(dy)
        return scale * dx, dgamma, dbeta

    def state_dict(self):
        return {name: np.copy(getattr(self, name)) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names:
            setattr(self, name, np.copy(state[name]))


@mistake(
    earns=22,
    hint=EPS_HINT,
)
class AddsEpsOutside(Layer):
    """In both modes ε is added beside the root, to the standard deviation."""

    names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var) + self.eps
        x_hat = (x - mean) / std
        self.cache = x_hat, self.gamma / std, self.training
        return self.gamma * x_hat + self.beta

    def _learn(self, x):
        if len(x) < 2:
            raise ValueError("training needs more than one sample")
        self.num_batches_tracked += 1
        new = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = (1 - new) * self.running_mean + new * mean
        self.running_var = (1 - new) * self.running_var + new * x.var(axis=0, ddof=1)
        return mean, var

    def backward(self, dy):
        x_hat, scale, training = self.cache
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        dx = dy
        if training:
            dx = dy - dbeta / len(dy) - x_hat * dgamma / len(dy)
        return scale * dx, dgamma, dbeta

    def state_dict(self):
        return {name: np.copy(getattr(self, name)) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names:
            setattr(self, name, np.copy(state[name]))


@mistake(
    earns=24,
    hint=(
        "Keep the plain variance. Where it is used ε is added under the root, once; what is kept with "
        "ε in it gets a second one there."
    ),
)
class GathersTheVarianceWithEps(Layer):
    """ε is added to the variance that is gathered, and so counts twice in inference."""

    names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var + self.eps)
        x_hat = (x - mean) / std
        self.cache = x_hat, self.gamma / std, self.training
        return self.gamma * x_hat + self.beta

    def _learn(self, x):
        if len(x) < 2:
            raise ValueError("training needs more than one sample")
        self.num_batches_tracked += 1
        new = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = (1 - new) * self.running_mean + new * mean
        self.running_var = (1 - new) * self.running_var + new * (x.var(axis=0, ddof=1) + self.eps)
        return mean, var

    def backward(self, dy):
        x_hat, scale, training = self.cache
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        dx = dy
        if training:
            dx = dy - dbeta / len(dy) - x_hat * dgamma / len(dy)
        return scale * dx, dgamma, dbeta

    def state_dict(self):
        return {name: np.copy(getattr(self, name)) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names:
            setattr(self, name, np.copy(state[name]))


@mistake(
    earns=24,
    hint=(
        "Who makes the layer chooses ε: libraries differ (PyTorch 1e-5, Keras 1e-3), and weights are "
        "carried from one to the other. Use the argument."
    ),
)
class HasAnEpsOfItsOwn(Layer):
    """ε is always 1e-5, whatever the layer was made with."""

    names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = 1e-5, momentum, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var + self.eps)
        x_hat = (x - mean) / std
        self.cache = x_hat, self.gamma / std, self.training
        return self.gamma * x_hat + self.beta

    def _learn(self, x):
        if len(x) < 2:
            raise ValueError("training needs more than one sample")
        self.num_batches_tracked += 1
        new = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = (1 - new) * self.running_mean + new * mean
        self.running_var = (1 - new) * self.running_var + new * x.var(axis=0, ddof=1)
        return mean, var

    def backward(self, dy):
        x_hat, scale, training = self.cache
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        dx = dy
        if training:
            dx = dy - dbeta / len(dy) - x_hat * dgamma / len(dy)
        return scale * dx, dgamma, dbeta

    def state_dict(self):
        return {name: np.copy(getattr(self, name)) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names:
            setattr(self, name, np.copy(state[name]))


@mistake(earns=21, hint=MOMENTUM_FIXED_HINT)
class HasAMomentumOfItsOwn(Layer):
    """The momentum is always 0.1, whatever the layer was made with."""

    names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, 0.1, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var + self.eps)
        x_hat = (x - mean) / std
        self.cache = x_hat, self.gamma / std, self.training
        return self.gamma * x_hat + self.beta

    def _learn(self, x):
        if len(x) < 2:
            raise ValueError("training needs more than one sample")
        self.num_batches_tracked += 1
        new = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = (1 - new) * self.running_mean + new * mean
        self.running_var = (1 - new) * self.running_var + new * x.var(axis=0, ddof=1)
        return mean, var

    def backward(self, dy):
        x_hat, scale, training = self.cache
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        dx = dy
        if training:
            dx = dy - dbeta / len(dy) - x_hat * dgamma / len(dy)
        return scale * dx, dgamma, dbeta

    def state_dict(self):
        return {name: np.copy(getattr(self, name)) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names:
            setattr(self, name, np.copy(state[name]))


@mistake(earns=14, hint=EXCHANGED_HINT)
class ExchangesEpsAndMomentum(Layer):
    """`eps` and `momentum` are exchanged: the one is averaged with, the other stands under the root."""

    names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = momentum, eps, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var + self.eps)
        x_hat = (x - mean) / std
        self.cache = x_hat, self.gamma / std, self.training
        return self.gamma * x_hat + self.beta

    def _learn(self, x):
        if len(x) < 2:
            raise ValueError("training needs more than one sample")
        self.num_batches_tracked += 1
        new = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = (1 - new) * self.running_mean + new * mean
        self.running_var = (1 - new) * self.running_var + new * x.var(axis=0, ddof=1)
        return mean, var

    def backward(self, dy):
        x_hat, scale, training = self.cache
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        dx = dy
        if training:
            dx = dy - dbeta / len(dy) - x_hat * dgamma / len(dy)
        return scale * dx, dgamma, dbeta

    def state_dict(self):
        return {name: np.copy(getattr(self, name)) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names:
            setattr(self, name, np.copy(state[name]))


@mistake(
    earns=22,
    hint=(
        "`None` asks for the plain average of all batches so far: the nth batch has the weight 1/n."
    ),
)
class TakesNoneForTheDefault(Layer):
    """`momentum=None` is taken for 0.1, where a cumulative average is asked."""

    names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        if momentum is None:
            self.momentum = 0.1
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var + self.eps)
        x_hat = (x - mean) / std
        self.cache = x_hat, self.gamma / std, self.training
        return self.gamma * x_hat + self.beta

    def _learn(self, x):
        if len(x) < 2:
            raise ValueError("training needs more than one sample")
        self.num_batches_tracked += 1
        new = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = (1 - new) * self.running_mean + new * mean
        self.running_var = (1 - new) * self.running_var + new * x.var(axis=0, ddof=1)
        return mean, var

    def backward(self, dy):
        x_hat, scale, training = self.cache
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        dx = dy
        if training:
            dx = dy - dbeta / len(dy) - x_hat * dgamma / len(dy)
        return scale * dx, dgamma, dbeta

    def state_dict(self):
        return {name: np.copy(getattr(self, name)) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names:
            setattr(self, name, np.copy(state[name]))


@mistake(
    earns=24,
    hint=("`momentum or ...` and `if momentum` cannot tell 0 from None. Ask `momentum is None`."),
)
class TakesZeroForNone(Layer):
    """A momentum of 0 is taken for `None`, so that the statistics move."""

    names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var + self.eps)
        x_hat = (x - mean) / std
        self.cache = x_hat, self.gamma / std, self.training
        return self.gamma * x_hat + self.beta

    def _learn(self, x):
        if len(x) < 2:
            raise ValueError("training needs more than one sample")
        self.num_batches_tracked += 1
        new = self.momentum or 1 / self.num_batches_tracked
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = (1 - new) * self.running_mean + new * mean
        self.running_var = (1 - new) * self.running_var + new * x.var(axis=0, ddof=1)
        return mean, var

    def backward(self, dy):
        x_hat, scale, training = self.cache
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        dx = dy
        if training:
            dx = dy - dbeta / len(dy) - x_hat * dgamma / len(dy)
        return scale * dx, dgamma, dbeta

    def state_dict(self):
        return {name: np.copy(getattr(self, name)) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names:
            setattr(self, name, np.copy(state[name]))


@mistake(
    earns=24,
    hint=(
        "The nth batch has the weight 1/n. Is 1 added to `num_batches_tracked` before each weight is "
        "computed? Does `self.momentum` stay None? Once it has become 1/1, the next batch is not given "
        "1/n: put the weight of a batch into a variable of its own."
    ),
)
class WeighsEveryBatchWithOne(Layer):
    """With `momentum=None` every batch has the weight 1, like the first: the last batch is all that counts."""

    names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var + self.eps)
        x_hat = (x - mean) / std
        self.cache = x_hat, self.gamma / std, self.training
        return self.gamma * x_hat + self.beta

    def _learn(self, x):
        if len(x) < 2:
            raise ValueError("training needs more than one sample")
        self.num_batches_tracked += 1
        if self.momentum is None:
            self.momentum = 1 / self.num_batches_tracked
        new = self.momentum
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = (1 - new) * self.running_mean + new * mean
        self.running_var = (1 - new) * self.running_var + new * x.var(axis=0, ddof=1)
        return mean, var

    def backward(self, dy):
        x_hat, scale, training = self.cache
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        dx = dy
        if training:
            dx = dy - dbeta / len(dy) - x_hat * dgamma / len(dy)
        return scale * dx, dgamma, dbeta

    def state_dict(self):
        return {name: np.copy(getattr(self, name)) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names:
            setattr(self, name, np.copy(state[name]))


@mistake(
    earns=22,
    hint=(
        "The first batch has the weight 1, so that nothing is left of the start. Add 1 for a batch "
        "once: to the count, before you divide by it as it is."
    ),
)
class CountsTheStartAsABatch(Layer):
    """In the cumulative average the start (0 and 1) counts as a batch: the weight is 1/(n + 1)."""

    names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var + self.eps)
        x_hat = (x - mean) / std
        self.cache = x_hat, self.gamma / std, self.training
        return self.gamma * x_hat + self.beta

    def _learn(self, x):
        if len(x) < 2:
            raise ValueError("training needs more than one sample")
        self.num_batches_tracked += 1
        new = 1 / (self.num_batches_tracked + 1) if self.momentum is None else self.momentum
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = (1 - new) * self.running_mean + new * mean
        self.running_var = (1 - new) * self.running_var + new * x.var(axis=0, ddof=1)
        return mean, var

    def backward(self, dy):
        x_hat, scale, training = self.cache
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        dx = dy
        if training:
            dx = dy - dbeta / len(dy) - x_hat * dgamma / len(dy)
        return scale * dx, dgamma, dbeta

    def state_dict(self):
        return {name: np.copy(getattr(self, name)) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names:
            setattr(self, name, np.copy(state[name]))


@mistake(
    earns=22,
    hint=(
        "The count belongs to the state: a layer with `momentum=None` that is loaded must know how "
        "many batches its average holds."
    ),
)
class CountsNoBatches(Layer):
    """`num_batches_tracked` stays 0; the batches are counted elsewhere, and the count is not saved."""

    names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = self.count = 0

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var + self.eps)
        x_hat = (x - mean) / std
        self.cache = x_hat, self.gamma / std, self.training
        return self.gamma * x_hat + self.beta

    def _learn(self, x):
        if len(x) < 2:
            raise ValueError("training needs more than one sample")
        self.count += 1
        new = 1 / self.count if self.momentum is None else self.momentum
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = (1 - new) * self.running_mean + new * mean
        self.running_var = (1 - new) * self.running_var + new * x.var(axis=0, ddof=1)
        return mean, var

    def backward(self, dy):
        x_hat, scale, training = self.cache
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        dx = dy
        if training:
            dx = dy - dbeta / len(dy) - x_hat * dgamma / len(dy)
        return scale * dx, dgamma, dbeta

    def state_dict(self):
        return {name: np.copy(getattr(self, name)) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names:
            setattr(self, name, np.copy(state[name]))


@mistake(
    earns=21,
    hint="Add 1 to `num_batches_tracked` for each batch in training mode, before the weight 1/n is "
    "computed from it.",
)
class NeverCounts(Layer):
    """No batch is counted: `num_batches_tracked` stays as it is, and for `momentum=None` the weight of a batch never falls."""

    names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var + self.eps)
        x_hat = (x - mean) / std
        self.cache = x_hat, self.gamma / std, self.training
        return self.gamma * x_hat + self.beta

    def _learn(self, x):
        if len(x) < 2:
            raise ValueError("training needs more than one sample")
        new = 1 / (self.num_batches_tracked + 1) if self.momentum is None else self.momentum
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = (1 - new) * self.running_mean + new * mean
        self.running_var = (1 - new) * self.running_var + new * x.var(axis=0, ddof=1)
        return mean, var

    def backward(self, dy):
        x_hat, scale, training = self.cache
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        dx = dy
        if training:
            dx = dy - dbeta / len(dy) - x_hat * dgamma / len(dy)
        return scale * dx, dgamma, dbeta

    def state_dict(self):
        return {name: np.copy(getattr(self, name)) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names:
            setattr(self, name, np.copy(state[name]))


@mistake(
    earns=15,
    hint=(
        "A variance of 0 makes the first inference divide by √ε, which blows everything up 300 times. "
        "Begin with 1: a new layer then hardly changes anything."
    ),
)
class StartsWithVarianceZero(Layer):
    """The running variance begins at 0."""

    names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.zeros(num_features)
        self.num_batches_tracked = 0

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var + self.eps)
        x_hat = (x - mean) / std
        self.cache = x_hat, self.gamma / std, self.training
        return self.gamma * x_hat + self.beta

    def _learn(self, x):
        if len(x) < 2:
            raise ValueError("training needs more than one sample")
        self.num_batches_tracked += 1
        new = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = (1 - new) * self.running_mean + new * mean
        self.running_var = (1 - new) * self.running_var + new * x.var(axis=0, ddof=1)
        return mean, var

    def backward(self, dy):
        x_hat, scale, training = self.cache
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        dx = dy
        if training:
            dx = dy - dbeta / len(dy) - x_hat * dgamma / len(dy)
        return scale * dx, dgamma, dbeta

    def state_dict(self):
        return {name: np.copy(getattr(self, name)) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names:
            setattr(self, name, np.copy(state[name]))


@mistake(
    earns=24,
    hint="A new layer is in training mode: `self.training = True` in `__init__`.",
)
class StartsInInference(Layer):
    """A new layer is in inference mode, until `train()` is called."""

    names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, False
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var + self.eps)
        x_hat = (x - mean) / std
        self.cache = x_hat, self.gamma / std, self.training
        return self.gamma * x_hat + self.beta

    def _learn(self, x):
        if len(x) < 2:
            raise ValueError("training needs more than one sample")
        self.num_batches_tracked += 1
        new = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = (1 - new) * self.running_mean + new * mean
        self.running_var = (1 - new) * self.running_var + new * x.var(axis=0, ddof=1)
        return mean, var

    def backward(self, dy):
        x_hat, scale, training = self.cache
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        dx = dy
        if training:
            dx = dy - dbeta / len(dy) - x_hat * dgamma / len(dy)
        return scale * dx, dgamma, dbeta

    def state_dict(self):
        return {name: np.copy(getattr(self, name)) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names:
            setattr(self, name, np.copy(state[name]))


@mistake(
    earns=24,
    hint=(
        "A training loop calls `eval()` for validation and `train()` afterwards. A layer that stays "
        "in inference mode goes on with stale statistics, and nobody is told."
    ),
)
class NeverComesBackToTraining(Layer):
    """`train()` does not turn training mode on again."""

    names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self):
        return self

    def eval(self):
        self.training = False

    def forward(self, x):
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var + self.eps)
        x_hat = (x - mean) / std
        self.cache = x_hat, self.gamma / std, self.training
        return self.gamma * x_hat + self.beta

    def _learn(self, x):
        if len(x) < 2:
            raise ValueError("training needs more than one sample")
        self.num_batches_tracked += 1
        new = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = (1 - new) * self.running_mean + new * mean
        self.running_var = (1 - new) * self.running_var + new * x.var(axis=0, ddof=1)
        return mean, var

    def backward(self, dy):
        x_hat, scale, training = self.cache
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        dx = dy
        if training:
            dx = dy - dbeta / len(dy) - x_hat * dgamma / len(dy)
        return scale * dx, dgamma, dbeta

    def state_dict(self):
        return {name: np.copy(getattr(self, name)) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names:
            setattr(self, name, np.copy(state[name]))


@mistake(
    earns=13,
    hint="`eval()` sets `self.training = False`. Without `self.` it is a name inside of `eval` alone.",
)
class EvalChangesNothing(Layer):
    """`eval()` leaves the layer in training mode."""

    names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self):
        self.training = True

    def eval(self):
        training = False  # noqa: F841

    def forward(self, x):
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var + self.eps)
        x_hat = (x - mean) / std
        self.cache = x_hat, self.gamma / std, self.training
        return self.gamma * x_hat + self.beta

    def _learn(self, x):
        if len(x) < 2:
            raise ValueError("training needs more than one sample")
        self.num_batches_tracked += 1
        new = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = (1 - new) * self.running_mean + new * mean
        self.running_var = (1 - new) * self.running_var + new * x.var(axis=0, ddof=1)
        return mean, var

    def backward(self, dy):
        x_hat, scale, training = self.cache
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        dx = dy
        if training:
            dx = dy - dbeta / len(dy) - x_hat * dgamma / len(dy)
        return scale * dx, dgamma, dbeta

    def state_dict(self):
        return {name: np.copy(getattr(self, name)) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names:
            setattr(self, name, np.copy(state[name]))


@mistake(
    earns=24,
    hint=(
        "`eval()` says which mode is wanted, whatever the mode is. `not self.training` is the other "
        "one; set False."
    ),
)
class EvalTurnsTheModeAround(Layer):
    """`eval()` turns the mode around: the second of two calls goes back to training mode."""

    names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self):
        self.training = True

    def eval(self):
        self.training = not self.training

    def forward(self, x):
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var + self.eps)
        x_hat = (x - mean) / std
        self.cache = x_hat, self.gamma / std, self.training
        return self.gamma * x_hat + self.beta

    def _learn(self, x):
        if len(x) < 2:
            raise ValueError("training needs more than one sample")
        self.num_batches_tracked += 1
        new = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = (1 - new) * self.running_mean + new * mean
        self.running_var = (1 - new) * self.running_var + new * x.var(axis=0, ddof=1)
        return mean, var

    def backward(self, dy):
        x_hat, scale, training = self.cache
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        dx = dy
        if training:
            dx = dy - dbeta / len(dy) - x_hat * dgamma / len(dy)
        return scale * dx, dgamma, dbeta

    def state_dict(self):
        return {name: np.copy(getattr(self, name)) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names:
            setattr(self, name, np.copy(state[name]))


@mistake(
    earns=1,
    hint="`train()` sets `self.training = True`, `eval()` sets it to False.",
)
class ExchangesTrainAndEval(Layer):
    """`train()` switches to inference mode, and `eval()` to training mode."""

    names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self):
        self.training = False

    def eval(self):
        self.training = True

    def forward(self, x):
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var + self.eps)
        x_hat = (x - mean) / std
        self.cache = x_hat, self.gamma / std, self.training
        return self.gamma * x_hat + self.beta

    def _learn(self, x):
        if len(x) < 2:
            raise ValueError("training needs more than one sample")
        self.num_batches_tracked += 1
        new = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = (1 - new) * self.running_mean + new * mean
        self.running_var = (1 - new) * self.running_var + new * x.var(axis=0, ddof=1)
        return mean, var

    def backward(self, dy):
        x_hat, scale, training = self.cache
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        dx = dy
        if training:
            dx = dy - dbeta / len(dy) - x_hat * dgamma / len(dy)
        return scale * dx, dgamma, dbeta

    def state_dict(self):
        return {name: np.copy(getattr(self, name)) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names:
            setattr(self, name, np.copy(state[name]))


@mistake(
    earns=23,
    hint=(
        "What is set on the class belongs to all its instances: the layers of a network would average "
        "each other's statistics. Set it on `self`."
    ),
)
class SharesItsStatistics(Layer):
    """The running statistics are kept on the class, so that all layers share them."""

    names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        type(self).running_mean = np.zeros(num_features)
        type(self).running_var = np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var + self.eps)
        x_hat = (x - mean) / std
        self.cache = x_hat, self.gamma / std, self.training
        return self.gamma * x_hat + self.beta

    def _learn(self, x):
        if len(x) < 2:
            raise ValueError("training needs more than one sample")
        self.num_batches_tracked += 1
        new = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        mean, var = x.mean(axis=0), x.var(axis=0)
        type(self).running_mean = (1 - new) * self.running_mean + new * mean
        var_now = x.var(axis=0, ddof=1)
        type(self).running_var = (1 - new) * self.running_var + new * var_now
        return mean, var

    def backward(self, dy):
        x_hat, scale, training = self.cache
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        dx = dy
        if training:
            dx = dy - dbeta / len(dy) - x_hat * dgamma / len(dy)
        return scale * dx, dgamma, dbeta

    def state_dict(self):
        return {name: np.copy(getattr(self, name)) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names:
            owner = type(self) if name.startswith("running") else self
            setattr(owner, name, np.copy(state[name]))


@mistake(
    earns=24,
    hint="A `{}` in the class body, or as a default value, exists once for all layers. Make it in `__init__`.",
)
class SharesWhatItKeeps(Layer):
    """What `forward` keeps for `backward` lies in one dict for all layers: the last layer that ran overwrites it."""

    cache = {}  # noqa: RUF012
    names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var + self.eps)
        x_hat = (x - mean) / std
        self.cache["x_hat"], self.cache["scale"] = x_hat, self.gamma / std
        self.cache["training"] = self.training
        return self.gamma * x_hat + self.beta

    def _learn(self, x):
        if len(x) < 2:
            raise ValueError("training needs more than one sample")
        self.num_batches_tracked += 1
        new = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = (1 - new) * self.running_mean + new * mean
        self.running_var = (1 - new) * self.running_var + new * x.var(axis=0, ddof=1)
        return mean, var

    def backward(self, dy):
        x_hat, scale = self.cache["x_hat"], self.cache["scale"]
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        dx = dy
        if self.cache["training"]:
            dx = dy - dbeta / len(dy) - x_hat * dgamma / len(dy)
        return scale * dx, dgamma, dbeta

    def state_dict(self):
        return {name: np.copy(getattr(self, name)) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names:
            setattr(self, name, np.copy(state[name]))


@mistake(
    earns=18,
    hint=(
        "The running statistics are not parameters, but inference needs them as much: PyTorch calls "
        "them buffers and saves them. A network that is loaded without them answers nonsense in "
        "inference mode."
    ),
)
class SavesOnlyTheParameters(Layer):
    """The state holds γ and β only; the running statistics are neither saved nor loaded."""

    names = ("gamma", "beta")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var + self.eps)
        x_hat = (x - mean) / std
        self.cache = x_hat, self.gamma / std, self.training
        return self.gamma * x_hat + self.beta

    def _learn(self, x):
        if len(x) < 2:
            raise ValueError("training needs more than one sample")
        self.num_batches_tracked += 1
        new = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = (1 - new) * self.running_mean + new * mean
        self.running_var = (1 - new) * self.running_var + new * x.var(axis=0, ddof=1)
        return mean, var

    def backward(self, dy):
        x_hat, scale, training = self.cache
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        dx = dy
        if training:
            dx = dy - dbeta / len(dy) - x_hat * dgamma / len(dy)
        return scale * dx, dgamma, dbeta

    def state_dict(self):
        return {name: np.copy(getattr(self, name)) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names:
            setattr(self, name, np.copy(state[name]))


@mistake(
    earns=23,
    hint=(
        "With `momentum=None` the weight of the next batch is 1/n. A layer that has lost its n gives "
        "the next batch too much weight. Load the count, too."
    ),
)
class DoesNotLoadTheCount(Layer):
    """`num_batches_tracked` is saved, but not loaded."""

    names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var + self.eps)
        x_hat = (x - mean) / std
        self.cache = x_hat, self.gamma / std, self.training
        return self.gamma * x_hat + self.beta

    def _learn(self, x):
        if len(x) < 2:
            raise ValueError("training needs more than one sample")
        self.num_batches_tracked += 1
        new = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = (1 - new) * self.running_mean + new * mean
        self.running_var = (1 - new) * self.running_var + new * x.var(axis=0, ddof=1)
        return mean, var

    def backward(self, dy):
        x_hat, scale, training = self.cache
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        dx = dy
        if training:
            dx = dy - dbeta / len(dy) - x_hat * dgamma / len(dy)
        return scale * dx, dgamma, dbeta

    def state_dict(self):
        return {name: np.copy(getattr(self, name)) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names[:4]:
            setattr(self, name, np.copy(state[name]))


@mistake(
    earns=17,
    hint=(
        "γ and β are learned, too: without them a layer is not where the other was. Load all five "
        "entries, each into its attribute."
    ),
)
class LoadsOnlyTheStatistics(Layer):
    """γ and β are saved, but not loaded: a layer keeps its own."""

    names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var + self.eps)
        x_hat = (x - mean) / std
        self.cache = x_hat, self.gamma / std, self.training
        return self.gamma * x_hat + self.beta

    def _learn(self, x):
        if len(x) < 2:
            raise ValueError("training needs more than one sample")
        self.num_batches_tracked += 1
        new = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = (1 - new) * self.running_mean + new * mean
        self.running_var = (1 - new) * self.running_var + new * x.var(axis=0, ddof=1)
        return mean, var

    def backward(self, dy):
        x_hat, scale, training = self.cache
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        dx = dy
        if training:
            dx = dy - dbeta / len(dy) - x_hat * dgamma / len(dy)
        return scale * dx, dgamma, dbeta

    def state_dict(self):
        return {name: np.copy(getattr(self, name)) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names[2:]:
            setattr(self, name, np.copy(state[name]))


@mistake(earns=24, hint=ALIAS_HINT)
class HandsOutItsArrays(Layer):
    """The state holds the layer's own arrays, and training changes them in place."""

    names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var + self.eps)
        x_hat = (x - mean) / std
        self.cache = x_hat, self.gamma / std, self.training
        return self.gamma * x_hat + self.beta

    def _learn(self, x):
        if len(x) < 2:
            raise ValueError("training needs more than one sample")
        self.num_batches_tracked += 1
        new = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean *= 1 - new
        self.running_mean += new * mean
        self.running_var *= 1 - new
        self.running_var += new * x.var(axis=0, ddof=1)
        return mean, var

    def backward(self, dy):
        x_hat, scale, training = self.cache
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        dx = dy
        if training:
            dx = dy - dbeta / len(dy) - x_hat * dgamma / len(dy)
        return scale * dx, dgamma, dbeta

    def state_dict(self):
        return {name: getattr(self, name) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names:
            setattr(self, name, np.copy(state[name]))


@mistake(earns=24, hint=ALIAS_HINT)
class KeepsTheArraysThatItLoads(Layer):
    """The layer goes on with the arrays of the state that it loaded, and training changes them in place."""

    names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var + self.eps)
        x_hat = (x - mean) / std
        self.cache = x_hat, self.gamma / std, self.training
        return self.gamma * x_hat + self.beta

    def _learn(self, x):
        if len(x) < 2:
            raise ValueError("training needs more than one sample")
        self.num_batches_tracked += 1
        new = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean *= 1 - new
        self.running_mean += new * mean
        self.running_var *= 1 - new
        self.running_var += new * x.var(axis=0, ddof=1)
        return mean, var

    def backward(self, dy):
        x_hat, scale, training = self.cache
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        dx = dy
        if training:
            dx = dy - dbeta / len(dy) - x_hat * dgamma / len(dy)
        return scale * dx, dgamma, dbeta

    def state_dict(self):
        return {name: np.copy(getattr(self, name)) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names:
            setattr(self, name, state[name])


@mistake(
    earns=24,
    hint=ALIAS_HINT,
)
class HandsOutAndKeepsArrays(Layer):
    """A state that the layer has handed out, or taken over, changes when the layer trains on."""

    names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var + self.eps)
        x_hat = (x - mean) / std
        self.cache = x_hat, self.gamma / std, self.training
        return self.gamma * x_hat + self.beta

    def _learn(self, x):
        if len(x) < 2:
            raise ValueError("training needs more than one sample")
        self.num_batches_tracked += 1
        new = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean *= 1 - new
        self.running_mean += new * mean
        self.running_var *= 1 - new
        self.running_var += new * x.var(axis=0, ddof=1)
        return mean, var

    def backward(self, dy):
        x_hat, scale, training = self.cache
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        dx = dy
        if training:
            dx = dy - dbeta / len(dy) - x_hat * dgamma / len(dy)
        return scale * dx, dgamma, dbeta

    def state_dict(self):
        return {name: getattr(self, name) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names:
            setattr(self, name, state[name])


@mistake(
    earns=21,
    hint=(
        "In inference the mean and the variance do not depend on x: the two terms that carry their "
        "gradients are gone, and dx = γ dy / √(running variance + ε)."
    ),
)
class BackwardAlwaysThroughTheBatch(Layer):
    """In inference mode, too, `backward` uses the formula of training."""

    names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var + self.eps)
        x_hat = (x - mean) / std
        self.cache = x_hat, self.gamma / std
        return self.gamma * x_hat + self.beta

    def _learn(self, x):
        if len(x) < 2:
            raise ValueError("training needs more than one sample")
        self.num_batches_tracked += 1
        new = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = (1 - new) * self.running_mean + new * mean
        self.running_var = (1 - new) * self.running_var + new * x.var(axis=0, ddof=1)
        return mean, var

    def backward(self, dy):
        x_hat, scale = self.cache
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        dx = dy - dbeta / len(dy) - x_hat * dgamma / len(dy)
        return scale * dx, dgamma, dbeta

    def state_dict(self):
        return {name: np.copy(getattr(self, name)) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names:
            setattr(self, name, np.copy(state[name]))


@mistake(
    earns=20,
    hint=(
        "In training the mean and the variance are made of x, and the gradient flows through them as "
        "well: that gives dx two further terms."
    ),
)
class BackwardNeverThroughTheBatch(Layer):
    """In training mode, too, `backward` takes the statistics for constants."""

    names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var + self.eps)
        x_hat = (x - mean) / std
        self.cache = x_hat, self.gamma / std
        return self.gamma * x_hat + self.beta

    def _learn(self, x):
        if len(x) < 2:
            raise ValueError("training needs more than one sample")
        self.num_batches_tracked += 1
        new = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = (1 - new) * self.running_mean + new * mean
        self.running_var = (1 - new) * self.running_var + new * x.var(axis=0, ddof=1)
        return mean, var

    def backward(self, dy):
        x_hat, scale = self.cache
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        return scale * dy, dgamma, dbeta

    def state_dict(self):
        return {name: np.copy(getattr(self, name)) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names:
            setattr(self, name, np.copy(state[name]))


@mistake(
    earns=24,
    hint=(
        "A gradient belongs to the output that was computed. Keep the mode with what else `forward` "
        "keeps."
    ),
)
class BackwardAsksForTheModeOfNow(Layer):
    """`backward` uses the mode that the layer is in now, not the one in which `forward` ran."""

    names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var + self.eps)
        x_hat = (x - mean) / std
        self.cache = x_hat, self.gamma / std
        return self.gamma * x_hat + self.beta

    def _learn(self, x):
        if len(x) < 2:
            raise ValueError("training needs more than one sample")
        self.num_batches_tracked += 1
        new = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = (1 - new) * self.running_mean + new * mean
        self.running_var = (1 - new) * self.running_var + new * x.var(axis=0, ddof=1)
        return mean, var

    def backward(self, dy):
        x_hat, scale = self.cache
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        dx = dy
        if self.training:
            dx = dy - dbeta / len(dy) - x_hat * dgamma / len(dy)
        return scale * dx, dgamma, dbeta

    def state_dict(self):
        return {name: np.copy(getattr(self, name)) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names:
            setattr(self, name, np.copy(state[name]))


@mistake(
    earns=22,
    hint=(
        "`backward` belongs to the last `forward`, whatever its mode. In inference dγ needs the x̂ "
        "that was made with the running statistics, so keep it there, too."
    ),
)
class BackwardUsesTheLastTrainingBatch(Layer):
    """In inference mode `forward` keeps nothing, and `backward` uses x̂ of the last training batch."""

    names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var + self.eps)
        x_hat = (x - mean) / std
        if self.training:
            self.cache = x_hat
        self.mode = self.gamma / std, self.training
        return self.gamma * x_hat + self.beta

    def _learn(self, x):
        if len(x) < 2:
            raise ValueError("training needs more than one sample")
        self.num_batches_tracked += 1
        new = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = (1 - new) * self.running_mean + new * mean
        self.running_var = (1 - new) * self.running_var + new * x.var(axis=0, ddof=1)
        return mean, var

    def backward(self, dy):
        x_hat, (scale, training) = self.cache, self.mode
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        dx = dy
        if training:
            dx = dy - dbeta / len(dy) - x_hat * dgamma / len(dy)
        return scale * dx, dgamma, dbeta

    def state_dict(self):
        return {name: np.copy(getattr(self, name)) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names:
            setattr(self, name, np.copy(state[name]))


@mistake(
    earns=24,
    hint="`backward` divides by what `forward` divided by: √(variance + ε). Keep that root, and use it again.",
)
class BackwardForgetsEps(Layer):
    """`backward` divides by the root of the variance, without ε."""

    names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var + self.eps)
        x_hat = (x - mean) / std
        self.cache = x_hat, self.gamma / np.sqrt(var), self.training
        return self.gamma * x_hat + self.beta

    def _learn(self, x):
        if len(x) < 2:
            raise ValueError("training needs more than one sample")
        self.num_batches_tracked += 1
        new = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = (1 - new) * self.running_mean + new * mean
        self.running_var = (1 - new) * self.running_var + new * x.var(axis=0, ddof=1)
        return mean, var

    def backward(self, dy):
        x_hat, scale, training = self.cache
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        dx = dy
        if training:
            dx = dy - dbeta / len(dy) - x_hat * dgamma / len(dy)
        return scale * dx, dgamma, dbeta

    def state_dict(self):
        return {name: np.copy(getattr(self, name)) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names:
            setattr(self, name, np.copy(state[name]))


@mistake(
    earns=24,
    hint="`backward` divides by what `forward` divided by: use the layer's own `self.eps`.",
)
class BackwardHasAnEpsOfItsOwn(Layer):
    """In `backward` ε is always 1e-5, whatever the layer was made with."""

    names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var + self.eps)
        x_hat = (x - mean) / std
        self.cache = x_hat, self.gamma / np.sqrt(var + 1e-5), self.training
        return self.gamma * x_hat + self.beta

    def _learn(self, x):
        if len(x) < 2:
            raise ValueError("training needs more than one sample")
        self.num_batches_tracked += 1
        new = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = (1 - new) * self.running_mean + new * mean
        self.running_var = (1 - new) * self.running_var + new * x.var(axis=0, ddof=1)
        return mean, var

    def backward(self, dy):
        x_hat, scale, training = self.cache
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        dx = dy
        if training:
            dx = dy - dbeta / len(dy) - x_hat * dgamma / len(dy)
        return scale * dx, dgamma, dbeta

    def state_dict(self):
        return {name: np.copy(getattr(self, name)) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names:
            setattr(self, name, np.copy(state[name]))


@mistake(
    earns=20,
    hint="y = γ x̂ + β: what arrives at x̂ is dy times γ, and so dx has the factor γ, in both modes.",
)
class BackwardForgetsGamma(Layer):
    """γ is missing in dx."""

    names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var + self.eps)
        x_hat = (x - mean) / std
        self.cache = x_hat, 1 / std, self.training
        return self.gamma * x_hat + self.beta

    def _learn(self, x):
        if len(x) < 2:
            raise ValueError("training needs more than one sample")
        self.num_batches_tracked += 1
        new = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = (1 - new) * self.running_mean + new * mean
        self.running_var = (1 - new) * self.running_var + new * x.var(axis=0, ddof=1)
        return mean, var

    def backward(self, dy):
        x_hat, scale, training = self.cache
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        dx = dy
        if training:
            dx = dy - dbeta / len(dy) - x_hat * dgamma / len(dy)
        return scale * dx, dgamma, dbeta

    def state_dict(self):
        return {name: np.copy(getattr(self, name)) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names:
            setattr(self, name, np.copy(state[name]))


@mistake(
    earns=22,
    hint="y = γ x̂ + β in training as in inference: what arrives at x̂ is dy times γ. Multiply dx by γ "
    "in the branch for training, too.",
)
class BackwardForgetsGammaInTraining(Layer):
    """In training γ is missing in dx; in inference it is there."""

    names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var + self.eps)
        x_hat = (x - mean) / std
        self.cache = x_hat, 1 / std, self.training
        return self.gamma * x_hat + self.beta

    def _learn(self, x):
        if len(x) < 2:
            raise ValueError("training needs more than one sample")
        self.num_batches_tracked += 1
        new = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = (1 - new) * self.running_mean + new * mean
        self.running_var = (1 - new) * self.running_var + new * x.var(axis=0, ddof=1)
        return mean, var

    def backward(self, dy):
        x_hat, scale, training = self.cache
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        dx = self.gamma * dy
        if training:
            dx = dy - dbeta / len(dy) - x_hat * dgamma / len(dy)
        return scale * dx, dgamma, dbeta

    def state_dict(self):
        return {name: np.copy(getattr(self, name)) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names:
            setattr(self, name, np.copy(state[name]))


@mistake(
    earns=21,
    hint="The order is dx, dγ, dβ; dγ is the sum that x̂ is in.",
)
class BackwardReturnsDbetaFirst(Layer):
    """dγ and dβ are exchanged."""

    names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var + self.eps)
        x_hat = (x - mean) / std
        self.cache = x_hat, self.gamma / std, self.training
        return self.gamma * x_hat + self.beta

    def _learn(self, x):
        if len(x) < 2:
            raise ValueError("training needs more than one sample")
        self.num_batches_tracked += 1
        new = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = (1 - new) * self.running_mean + new * mean
        self.running_var = (1 - new) * self.running_var + new * x.var(axis=0, ddof=1)
        return mean, var

    def backward(self, dy):
        x_hat, scale, training = self.cache
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        dx = dy
        if training:
            dx = dy - dbeta / len(dy) - x_hat * dgamma / len(dy)
        return scale * dx, dbeta, dgamma

    def state_dict(self):
        return {name: np.copy(getattr(self, name)) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names:
            setattr(self, name, np.copy(state[name]))


@mistake(
    earns=21,
    hint="γ and β act on every sample, so that their gradients add up over the batch. Only inside dx are the two sums divided by N.",
)
class BackwardAveragesTheParametersGradients(Layer):
    """dγ and dβ are means over the batch, where they should be sums."""

    names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var + self.eps)
        x_hat = (x - mean) / std
        self.cache = x_hat, self.gamma / std, self.training
        return self.gamma * x_hat + self.beta

    def _learn(self, x):
        if len(x) < 2:
            raise ValueError("training needs more than one sample")
        self.num_batches_tracked += 1
        new = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = (1 - new) * self.running_mean + new * mean
        self.running_var = (1 - new) * self.running_var + new * x.var(axis=0, ddof=1)
        return mean, var

    def backward(self, dy):
        x_hat, scale, training = self.cache
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        dx = dy
        if training:
            dx = dy - dbeta / len(dy) - x_hat * dgamma / len(dy)
        return scale * dx, dgamma / len(dy), dbeta / len(dy)

    def state_dict(self):
        return {name: np.copy(getattr(self, name)) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names:
            setattr(self, name, np.copy(state[name]))


@mistake(
    earns=24,
    hint=(
        "`x -= mean` writes into the caller's array, and the layer before still needs it for its own "
        "backward pass. `x - mean` makes a new array."
    ),
)
class ChangesItsInput(Layer):
    """`forward` subtracts the mean in place, so that the caller's batch is gone."""

    names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var + self.eps)
        x -= mean
        x_hat = x / std
        self.cache = x_hat, self.gamma / std, self.training
        return self.gamma * x_hat + self.beta

    def _learn(self, x):
        if len(x) < 2:
            raise ValueError("training needs more than one sample")
        self.num_batches_tracked += 1
        new = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = (1 - new) * self.running_mean + new * mean
        self.running_var = (1 - new) * self.running_var + new * x.var(axis=0, ddof=1)
        return mean, var

    def backward(self, dy):
        x_hat, scale, training = self.cache
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        dx = dy
        if training:
            dx = dy - dbeta / len(dy) - x_hat * dgamma / len(dy)
        return scale * dx, dgamma, dbeta

    def state_dict(self):
        return {name: np.copy(getattr(self, name)) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names:
            setattr(self, name, np.copy(state[name]))


@mistake(
    earns=24,
    hint="`dy *= ...` writes into the caller's array. `dy * ...` makes a new one.",
)
class BackwardChangesItsInput(Layer):
    """In inference mode `backward` scales `dy` in place, so that the caller's gradient is gone."""

    names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var + self.eps)
        x_hat = (x - mean) / std
        self.cache = x_hat, self.gamma / std, self.training
        return self.gamma * x_hat + self.beta

    def _learn(self, x):
        if len(x) < 2:
            raise ValueError("training needs more than one sample")
        self.num_batches_tracked += 1
        new = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = (1 - new) * self.running_mean + new * mean
        self.running_var = (1 - new) * self.running_var + new * x.var(axis=0, ddof=1)
        return mean, var

    def backward(self, dy):
        x_hat, scale, training = self.cache
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        if training:
            dx = scale * (dy - dbeta / len(dy) - x_hat * dgamma / len(dy))
            return dx, dgamma, dbeta
        dy *= scale
        return dy, dgamma, dbeta

    def state_dict(self):
        return {name: np.copy(getattr(self, name)) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names:
            setattr(self, name, np.copy(state[name]))


@mistake(
    earns=24,
    hint=(
        "One sample has no unbiased variance. Refuse it with ValueError before anything is updated: a "
        "running variance of NaN never recovers."
    ),
)
class TrainsOnASingleSample(Layer):
    """A batch of one is accepted in training, and its variance of 0/0 makes the running variance NaN."""

    names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var + self.eps)
        x_hat = (x - mean) / std
        self.cache = x_hat, self.gamma / std, self.training
        return self.gamma * x_hat + self.beta

    def _learn(self, x):
        self.num_batches_tracked += 1
        new = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = (1 - new) * self.running_mean + new * mean
        self.running_var = (1 - new) * self.running_var + new * x.var(axis=0, ddof=1)
        return mean, var

    def backward(self, dy):
        x_hat, scale, training = self.cache
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        dx = dy
        if training:
            dx = dy - dbeta / len(dy) - x_hat * dgamma / len(dy)
        return scale * dx, dgamma, dbeta

    def state_dict(self):
        return {name: np.copy(getattr(self, name)) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names:
            setattr(self, name, np.copy(state[name]))


@mistake(
    earns=22,
    hint="Inference takes the running statistics, and so has no need of a second sample. Ask for the "
    "mode first, and only in training for the number of samples.",
)
class RefusesASingleSampleInInference(Layer):
    """A single sample is refused in inference mode, too."""

    names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        if len(x) < 2:
            raise ValueError("training needs more than one sample")
        if self.training:
            mean, var = self._learn(x)
        else:
            mean, var = self.running_mean, self.running_var
        std = np.sqrt(var + self.eps)
        x_hat = (x - mean) / std
        self.cache = x_hat, self.gamma / std, self.training
        return self.gamma * x_hat + self.beta

    def _learn(self, x):
        self.num_batches_tracked += 1
        new = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = (1 - new) * self.running_mean + new * mean
        self.running_var = (1 - new) * self.running_var + new * x.var(axis=0, ddof=1)
        return mean, var

    def backward(self, dy):
        x_hat, scale, training = self.cache
        dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
        dx = dy
        if training:
            dx = dy - dbeta / len(dy) - x_hat * dgamma / len(dy)
        return scale * dx, dgamma, dbeta

    def state_dict(self):
        return {name: np.copy(getattr(self, name)) for name in self.names}

    def load_state_dict(self, state):
        for name in self.names:
            setattr(self, name, np.copy(state[name]))


class BatchNorm1dInPlace(Layer):
    buffers = ("gamma", "beta", "running_mean", "running_var")

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.training, self.eps, self.momentum = True, eps, momentum
        for name, value in zip(self.buffers, (1.0, 0.0, 0.0, 1.0)):
            setattr(self, name, np.full(num_features, value))
        self.num_batches_tracked = 0

    def train(self, mode=True):
        self.training = mode
        return self

    def eval(self):
        return self.train(False)

    def forward(self, x):
        n = len(x)
        if self.training:
            if n == 1:
                raise ValueError("Expected more than 1 value per channel when training")
            self.mean, self.var = np.mean(x, axis=0), np.var(x, axis=0)
            self.num_batches_tracked += 1
            factor = self.momentum
            if factor is None:
                factor = 1.0 / float(self.num_batches_tracked)
            self.running_mean += factor * (self.mean - self.running_mean)
            self.running_var += factor * (self.var * n / (n - 1) - self.running_var)
        else:
            self.mean, self.var = self.running_mean.copy(), self.running_var.copy()
        self.x, self.was_training = x.copy(), self.training
        inv_std = (self.var + self.eps) ** -0.5
        return (x - self.mean) * (self.gamma * inv_std) + self.beta

    def backward(self, dy):
        inv_std = (self.var + self.eps) ** -0.5
        x_hat = (self.x - self.mean) * inv_std
        dbeta, dgamma = np.sum(dy, axis=0), np.einsum("nd,nd->d", dy, x_hat)
        if not self.was_training:
            return dy * self.gamma * inv_std, dgamma, dbeta
        dx_hat = dy * self.gamma
        centred = dx_hat - dx_hat.mean(axis=0)
        dx = (centred - x_hat * np.mean(dx_hat * x_hat, axis=0)) * inv_std
        return dx, dgamma, dbeta

    def state_dict(self):
        state = {name: np.array(getattr(self, name)) for name in self.buffers}
        return state | {"num_batches_tracked": self.num_batches_tracked}

    def load_state_dict(self, state):
        for name in self.buffers:
            getattr(self, name)[:] = state[name]
        self.num_batches_tracked = int(state["num_batches_tracked"])


class BatchNorm1dBySums(Layer):
    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.num_batches_tracked = 0

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        self.backward = self._backward_in_training if self.training else self._backward_in_inference
        if self.training:
            if x.shape[0] < 2:
                raise ValueError("a batch of one has no variance")
            mean = x.sum(axis=0) / len(x)
            squares = np.square(x - mean).sum(axis=0)
            self._gather(mean, squares / (len(x) - 1))
            var = squares / len(x)
        else:
            mean, var = self.running_mean, self.running_var
        self.inverse = 1 / np.sqrt(var + self.eps)
        self.x_hat = (x - mean) * self.inverse
        return self.x_hat * self.gamma + self.beta

    def _gather(self, mean, var):
        n = self.num_batches_tracked = self.num_batches_tracked + 1
        old = (n - 1) / n if self.momentum is None else 1 - self.momentum
        self.running_mean = old * self.running_mean + (1 - old) * mean
        self.running_var = old * self.running_var + (1 - old) * var

    def _backward_in_inference(self, dy):
        return dy * (self.gamma * self.inverse), (dy * self.x_hat).sum(0), dy.sum(0)

    def _backward_in_training(self, dy):
        n = len(dy)
        dgamma, dbeta = (dy * self.x_hat).sum(0), dy.sum(0)
        dx = self.gamma * self.inverse / n * (n * dy - dbeta - self.x_hat * dgamma)
        return dx, dgamma, dbeta

    def state_dict(self):
        names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state):
        vars(self).update(state)


# --- the exercise ----------------------------------------------------------------------------

EXERCISE = Exercise(
    name="BatchNorm1d",
    reference=BatchNorm1d,
    probes=(
        a_new_layer,
        inference_before_training,
        training_uses_the_batch,
        running_statistics_follow,
        batches_are_counted,
        inference_uses_the_running_statistics,
        inference_changes_no_statistics,
        gamma_and_beta_in_both_modes,
        eps_in_both_modes,
        momentum_of_the_layer,
        cumulative_average,
        backward_in_training,
        backward_in_inference,
        backward_belongs_to_its_forward,
        saves_and_loads,
        goes_back_to_a_kept_state,
        layers_are_independent,
        layer_leaves_its_inputs_alone,
        a_batch_of_one,
    ),
    mistakes=(
        AveragesAsKerasDoes,
        AveragesAltogetherAsKerasDoes,
        GathersTheBiasedVariance,
        NormalizesWithTheUnbiasedVariance,
        LearnsInInference,
        CountsInInference,
        NeverLearns,
        NormalizesWithTheBatchInInference,
        NormalizesWithTheRunningStatisticsInTraining,
        ForgetsGammaAndBetaInInference,
        ForgetsEpsInInference,
        AddsEpsSquared,
        AddsEpsOutsideInInference,
        AddsEpsOutside,
        GathersTheVarianceWithEps,
        HasAnEpsOfItsOwn,
        # Before the next, which shows the same for None: `momentum or 0.1` leaves 0.3 as it is.
        TakesNoneForTheDefault,
        HasAMomentumOfItsOwn,
        ExchangesEpsAndMomentum,
        TakesZeroForNone,
        WeighsEveryBatchWithOne,
        CountsTheStartAsABatch,
        CountsNoBatches,
        NeverCounts,
        StartsWithVarianceZero,
        StartsInInference,
        NeverComesBackToTraining,
        EvalChangesNothing,
        EvalTurnsTheModeAround,
        ExchangesTrainAndEval,
        SharesItsStatistics,
        SharesWhatItKeeps,
        SavesOnlyTheParameters,
        DoesNotLoadTheCount,
        LoadsOnlyTheStatistics,
        HandsOutItsArrays,
        KeepsTheArraysThatItLoads,
        HandsOutAndKeepsArrays,
        BackwardAlwaysThroughTheBatch,
        BackwardNeverThroughTheBatch,
        BackwardAsksForTheModeOfNow,
        BackwardUsesTheLastTrainingBatch,
        BackwardForgetsEps,
        BackwardHasAnEpsOfItsOwn,
        BackwardForgetsGamma,
        BackwardForgetsGammaInTraining,
        BackwardReturnsDbetaFirst,
        BackwardAveragesTheParametersGradients,
        ChangesItsInput,
        BackwardChangesItsInput,
        TrainsOnASingleSample,
        RefusesASingleSampleInInference,
    ),
    alternatives=(
        BatchNorm1dInPlace,
        BatchNorm1dBySums,
    ),
    equivalents={
        "names = ('beta', 'gamma', 'running_mean', 'running_var', 'num_batches_tracked')": "a state is a dict: the order in which its entries are saved and loaded is free"
    },
    tolerance=TOLERANCE,
)
