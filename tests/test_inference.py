"""The chapter on inference: the layer is torch's, over long lives; mistakes keep their names."""

import ast
import copy
import inspect
import textwrap
from pathlib import Path

import numpy as np
import pytest

from autograder.chapters import _batchnorm1d, inference
from autograder.classroom.release import read_source, source_path
from autograder.judge import judge
from autograder.verdict import Verdict

torch = pytest.importorskip("torch")

ROOT = Path(__file__).parents[1]
EXERCISES = {e.name: e for e in inference.CHAPTER.exercises}
MISTAKES = [(e, m) for e in inference.CHAPTER.exercises for m in e.mistakes]
NAMES = {"gamma": "weight", "beta": "bias"}  # ours and torch's, where they differ
STATE = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")


def right_answers(name):
    """The reference and all alternatives of an exercise."""
    exercise = EXERCISES[name]
    return [exercise.reference, *exercise.alternatives]


def near(got, expected, rtol=1e-10):
    # Half a million comparisons: assert_allclose would take ten times as long.
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.shape == expected.shape
    assert (np.abs(got - expected) <= 1e-10 + rtol * np.abs(expected)).all()


def tensor(array):
    return torch.tensor(np.asarray(array), dtype=torch.float64)


# --- the layer, against torch ----------------------------------------------------------------


class Life:
    """A layer of ours and one of torch's that live through the same random events.

    Every event compares all that can be seen. Layers may be saved, changed for new ones, and set
    back to a state that was saved long ago.
    """

    def __init__(self, C, seed):
        self.C, self.rng = C, np.random.default_rng(seed)
        self.size = int(self.rng.integers(1, 7))
        momentum = [0.1, None, 0.0, 1.0, float(self.rng.uniform(0.01, 0.9))][seed % 5]
        self.arguments = {
            "eps": float(10.0 ** self.rng.uniform(-7, 0)),
            "momentum": momentum,
        }
        self.scale = 10.0 ** self.rng.uniform(-1, 2, size=self.size)
        self.center = self.rng.normal(size=self.size) * 3 * self.scale
        self.training, self.saved = True, []
        self.ours, self.theirs = self.pair()

    def pair(self):
        theirs = torch.nn.BatchNorm1d(self.size, dtype=torch.float64, **self.arguments)
        return self.C(self.size, **self.arguments), theirs

    def live(self, events):
        kinds = ("train", "eval", "save", "load", "fresh", "learn", "pass", "pass", "pass", "pass")
        for kind in self.rng.choice(kinds, size=events):
            getattr(self, f"event_{kind}")()
            for name in STATE:
                theirs = getattr(self.theirs, NAMES.get(name, name))
                near(getattr(self.ours, name), theirs.detach().numpy())

    def event_train(self):
        self.ours.train()
        self.theirs.train()
        self.training = True

    def event_eval(self):
        self.ours.eval()
        self.theirs.eval()
        self.training = False

    def event_save(self):
        ours = self.ours.state_dict()
        assert set(ours) == set(STATE)
        # What was handed out must not change: beside the live one, keep a true copy.
        theirs = {k: v.clone() for k, v in self.theirs.state_dict().items()}
        self.saved.append((ours, copy.deepcopy(ours), theirs))

    def event_load(self):
        if self.saved:
            handed_out, as_it_was, theirs = self.saved[self.rng.integers(len(self.saved))]
            for name in STATE:
                near(handed_out[name], as_it_was[name], rtol=0)
            self.ours.load_state_dict(handed_out)
            self.theirs.load_state_dict(theirs)

    def event_fresh(self):
        """A new layer takes over where the old one was: saved, and loaded elsewhere."""
        ours, theirs = self.pair()
        ours.load_state_dict(self.ours.state_dict())
        theirs.load_state_dict(self.theirs.state_dict())
        self.ours, self.theirs = ours, theirs
        (self.event_train if self.training else self.event_eval)()

    def event_learn(self):
        """What an optimizer does: other parameters, the statistics untouched."""
        gamma, beta = self.rng.normal(size=(2, self.size))
        self.ours.load_state_dict({**self.ours.state_dict(), "gamma": gamma, "beta": beta})
        with torch.no_grad():
            self.theirs.weight.copy_(tensor(gamma))
            self.theirs.bias.copy_(tensor(beta))

    def event_pass(self):
        n = int(self.rng.integers(2 if self.training else 1, 12))
        x = self.rng.normal(size=(n, self.size)) * self.scale + self.center
        dy = self.rng.normal(size=(n, self.size))
        x_theirs = tensor(x).requires_grad_()
        y_theirs = self.theirs(x_theirs)
        near(self.ours.forward(x), y_theirs.detach().numpy())
        if (
            self.rng.random() < 0.3
        ):  # a change of mode in between is none of the gradient's business
            (self.event_eval if self.training else self.event_train)()
        if self.rng.random() < 0.7:
            wanted = (x_theirs, self.theirs.weight, self.theirs.bias)
            expected = torch.autograd.grad(y_theirs, wanted, tensor(dy))
            for got, theirs in zip(self.ours.backward(dy), expected, strict=True):
                near(got, theirs.numpy())


@pytest.mark.parametrize("tens", range(10))
def test_a_thousand_lives_agree_with_torch(tens):
    for seed in range(100 * tens, 100 * (tens + 1)):
        Life(inference.BATCHNORM1D.reference, seed).live(events=20)


@pytest.mark.parametrize("C", EXERCISES["BatchNorm1d"].alternatives)
def test_other_right_layers_agree_with_torch(C):
    for seed in range(20):
        Life(C, seed).live(events=20)


@pytest.mark.parametrize("momentum", [0.1, None])
def test_one_very_long_life_agrees_with_torch(momentum):
    life = Life(inference.BATCHNORM1D.reference, 1 if momentum is None else 0)
    assert life.arguments["momentum"] == momentum
    life.live(events=1500)


def lives_through(C, seeds, events):
    try:
        for seed in seeds:
            Life(C, seed).live(events)
    except (AssertionError, KeyError, ValueError):  # an error where there should be none, too
        return False
    return True


def test_lives_tell_right_layers_from_wrong_ones():
    """The scenarios are worth something: none of the catalogue's wrong layers survives them."""
    with np.errstate(all="ignore"):
        survivors = {
            known.name
            for known in EXERCISES["BatchNorm1d"].mistakes
            if lives_through(known.implementation, range(5), events=60)
        }
    # No life has a training batch of one, lets layers take turns, or looks at x or dy after use.
    assert survivors == {
        *("TrainsOnASingleSample", "SharesWhatItKeeps"),
        *("ChangesItsInput", "BackwardChangesItsInput"),
    }


@pytest.mark.parametrize("C", right_answers("BatchNorm1d"))
def test_a_batch_of_one_is_refused_as_torch_refuses_it(C):
    x = np.ones((1, 3))
    with pytest.raises(ValueError, match=r"."):
        C(3).forward(x)
    with pytest.raises(ValueError, match=r"."):
        torch.nn.BatchNorm1d(3)(torch.ones(1, 3))


@pytest.mark.parametrize("C", right_answers("BatchNorm1d"))
@pytest.mark.parametrize("training", [True, False])
def test_gradients_agree_with_finite_differences(C, training):
    rng = np.random.default_rng(5)
    layer = C(3, momentum=0.0)  # so that the differences do not move the statistics
    layer.load_state_dict({**_batchnorm1d.trained_state(rng, 3), "running_var": np.ones(3) * 2.0})
    if not training:
        layer.eval()
    x, dy = rng.normal(size=(2, 5, 3))
    layer.forward(x)
    dx, _, _ = layer.backward(dy)
    for i in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[i] = 1e-5
        slope = ((layer.forward(x + step) - layer.forward(x - step)) * dy).sum() / 2e-5
        assert dx[i] == pytest.approx(slope, rel=1e-6, abs=1e-7)


def test_defaults_are_those_of_torch():
    ours, theirs = inspect.signature(inference.BATCHNORM1D.reference), torch.nn.BatchNorm1d(1)
    assert ours.parameters["eps"].default == theirs.eps
    assert ours.parameters["momentum"].default == theirs.momentum
    update = inspect.signature(EXERCISES["update_running"].reference)
    assert update.parameters["momentum"].default == theirs.momentum
    fold = inspect.signature(EXERCISES["fold_batchnorm"].reference)
    assert fold.parameters["eps"].default == theirs.eps


# --- the functions, against torch ------------------------------------------------------------


@pytest.mark.parametrize("f", right_answers("update_running"))
def test_updates_agree_with_torch(f):
    for seed in range(30):
        rng = np.random.default_rng(seed)
        size, momentum = int(rng.integers(1, 6)), float(rng.uniform())
        mean, var = rng.normal(size=size), rng.uniform(0.1, 5, size=size)
        layer = torch.nn.BatchNorm1d(size, momentum=momentum, dtype=torch.float64)
        layer.running_mean.copy_(tensor(mean))
        layer.running_var.copy_(tensor(var))
        for _ in range(4):
            x = rng.normal(size=(int(rng.integers(2, 9)), size)) * 3 + 1
            mean, var = f(mean, var, x, momentum)
            layer(tensor(x))
        near(mean, layer.running_mean.numpy())
        near(var, layer.running_var.numpy())


@pytest.mark.parametrize("to_keras", right_answers("to_keras_momentum"))
@pytest.mark.parametrize("to_torch", right_answers("to_torch_momentum"))
def test_converters_undo_each_other(to_keras, to_torch):
    for momentum in (0.0, 0.0004, 0.01, 0.1, 0.5, 1.0):
        assert to_torch(to_keras(momentum)) == pytest.approx(momentum, abs=1e-15)
    assert to_torch(0.99) == pytest.approx(0.01)  # Keras' default; PyTorch's is 0.1


@pytest.mark.parametrize("f", right_answers("recalibrate"))
def test_recalibration_agrees_with_torch(f):
    """`update_bn` resets the statistics, and averages over the batches with momentum None."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        n, size, count = rng.integers([2, 1, 1], [9, 6, 8])
        batches = list(rng.normal(size=(count, n, size)) * 3 + rng.normal(size=(count, 1, size)))
        layer = torch.nn.BatchNorm1d(int(size), dtype=torch.float64)
        layer(tensor(rng.normal(size=(5, size))))
        torch.optim.swa_utils.update_bn([tensor(x) for x in batches], layer)
        new = f(_batchnorm1d.trained_state(rng, int(size)), batches)
        near(new["running_mean"], layer.running_mean.numpy())
        near(new["running_var"], layer.running_var.numpy())
        assert new["num_batches_tracked"] == int(layer.num_batches_tracked)


@pytest.mark.parametrize("f", right_answers("recalibrate"))
def test_batches_of_unequal_size_are_unbiased(f):
    """Over many draws, whatever the sizes: no pull away from the population's variance."""
    rng = np.random.default_rng(0)
    state = _batchnorm1d.trained_state(rng, 2000)
    batches = [rng.normal(size=(n, 2000)) * 3 + 7 for n in (2, 9, 3, 1)]
    new = f(state, batches)
    error = 3 * 9 * np.sqrt(2 / 11 / 2000)  # three standard errors of the mean of 2000 variances
    assert new["running_var"].mean() == pytest.approx(9, abs=error)
    near(new["running_mean"], np.concatenate(batches).mean(axis=0))


@pytest.mark.parametrize("f", right_answers("recalibrate"))
def test_a_recalibrated_state_can_be_loaded(f):
    rng = np.random.default_rng(1)
    layer = inference.BATCHNORM1D.reference(4, momentum=None)
    batches = list(rng.normal(size=(6, 5, 4)))
    for x in batches:
        layer.forward(x)
    gathered = layer.state_dict()
    layer.load_state_dict(f(_batchnorm1d.trained_state(rng), batches))
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        near(getattr(layer, name), gathered[name])


@pytest.mark.parametrize("f", right_answers("fold_batchnorm"))
@pytest.mark.parametrize("bias", [True, False])
def test_folding_agrees_with_torch(f, bias):
    for seed in range(10):
        rng = np.random.default_rng(seed)
        inputs, outputs = (int(n) for n in rng.integers(1, 7, size=2))
        linear = torch.nn.Linear(inputs, outputs, bias=bias, dtype=torch.float64)
        layer = torch.nn.BatchNorm1d(outputs, eps=1e-3, dtype=torch.float64)
        state = _batchnorm1d.trained_state(rng, outputs)
        layer.load_state_dict({NAMES.get(k, k): tensor(v) for k, v in state.items()})
        linear.eval()
        layer.eval()
        fused = torch.nn.utils.fuse_linear_bn_eval(linear, layer)
        W, b = f(
            linear.weight.detach().numpy().T.copy(),
            linear.bias.detach().numpy() if bias else None,
            *(state[k] for k in ("gamma", "beta", "running_mean", "running_var")),
            eps=1e-3,
        )
        near(W, fused.weight.detach().numpy().T)
        near(b, fused.bias.detach().numpy())
        x = tensor(rng.normal(size=(4, inputs)))
        near(x.numpy() @ W + b, layer(linear(x)).detach().numpy())


# --- freezing, against torch -----------------------------------------------------------------


def in_torch(network):
    """The network as torch.nn.Sequential; what is frozen in it is frozen there."""
    modules = []
    for layer in network:
        if layer["kind"] == "linear":
            module = torch.nn.Linear(*layer["W"].shape, dtype=torch.float64)
            state = {"weight": layer["W"].T, "bias": layer["b"]}
        elif layer["kind"] == "batchnorm":
            module = torch.nn.BatchNorm1d(
                len(layer["gamma"]), layer["eps"], layer["momentum"], dtype=torch.float64
            )
            state = {"num_batches_tracked": 0} | {
                NAMES.get(k, k): layer[k] for k in STATE if k in layer
            }
        else:
            module, state = torch.nn.ReLU(), {}
        module.load_state_dict({k: tensor(v) for k, v in state.items()})
        for parameter in module.parameters():
            parameter.requires_grad_(bool(layer["trainable"]))
        module.train(layer["training"])
        modules.append(module)
    return torch.nn.Sequential(*modules)


@pytest.mark.parametrize("n", [0, 2, 3, 5, 7])
@pytest.mark.parametrize("f", right_answers("freeze"))
def test_a_frozen_network_trains_as_torch_trains_it(f, n):
    rng = np.random.default_rng(n)
    network = f(inference.pretrained(rng), n)
    theirs = in_torch(network)
    parameters = [p for p in theirs.parameters() if p.requires_grad]
    if parameters:
        optimizer = torch.optim.SGD(parameters, lr=0.05, weight_decay=0.01)
    for _ in range(6):
        inference.train_mode(
            network
        )  # in torch: theirs.train(), and the frozen ones back to eval()
        theirs.train()
        for module in theirs[:n]:
            module.eval()
        x, target = inference.new_data(rng)
        if parameters:
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(theirs(tensor(x)), tensor(target)).backward()
            optimizer.step()
        inference.training_step(network, x, target)
    for layer, module in zip(network, theirs, strict=True):
        state = module.state_dict()
        for name in ("gamma", "beta", "running_mean", "running_var", "b"):
            if name in layer:
                key = "bias" if name == "b" else NAMES.get(name, name)
                near(layer[name], state[key].numpy())
        if "W" in layer:
            near(layer["W"], state["weight"].numpy().T)
    x, _ = inference.new_data(rng)
    theirs.eval()
    for layer in network:
        layer["training"] = False
    near(inference.forward(network, x)[-1], theirs(tensor(x)).detach().numpy())


# --- the notebook ----------------------------------------------------------------------------


def without_docstrings(source):
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(node):
            node.body = node.body[1:]
    return ast.unparse(tree)


@pytest.mark.parametrize(
    ("cell", "things"),
    [
        ("Layer", (_batchnorm1d.Layer,)),
        ("network", (inference.train_mode, inference.forward, inference.training_step)),
    ],
    ids=["Layer", "network"],
)
def test_what_the_notebook_gives_is_what_the_judge_uses(cell, things):
    source = read_source(source_path(ROOT, "inference"))
    (given,) = (c for c in source.cells if c.metadata.get("nbgrader", {}).get("grade_id") == cell)
    ours = "\n".join(textwrap.dedent(inspect.getsource(t)) for t in things)
    assert without_docstrings(given.source) == without_docstrings(ours)


# --- the catalogue ---------------------------------------------------------------------------


def test_the_catalogue_is_as_rich_as_promised():
    assert len(MISTAKES) >= 100
    assert sum(e.points for e in inference.CHAPTER.exercises) == 60
    assert all(len(e.alternatives) >= 2 for e in inference.CHAPTER.exercises)


def layer_with(*changes):
    """The reference with some of its text changed: an answer with several mistakes."""
    source = textwrap.dedent(inspect.getsource(inference.BATCHNORM1D.reference))
    for old, new in changes:
        assert old in source
        source = source.replace(old, new)
    made = {"np": np, "Layer": _batchnorm1d.Layer}
    exec(source, made)
    return made["BatchNorm1d"]


FAULTS = {
    "GathersTheBiasedVariance": ("new * x.var(axis=0, ddof=1)", "new * x.var(axis=0)"),
    "BackwardAlwaysThroughTheBatch": (
        "        if training:\n            dx",
        "        if 1:\n            dx",
    ),
    "SavesOnlyTheParameters": (
        'names = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")',
        'names = ("gamma", "beta")',
    ),
    "HasAnEpsOfItsOwn": ("self.training = eps,", "self.training = 1e-5,"),
}


@pytest.mark.parametrize(
    "names",
    [
        ("GathersTheBiasedVariance", "BackwardAlwaysThroughTheBatch"),
        ("BackwardAlwaysThroughTheBatch", "SavesOnlyTheParameters"),
        ("HasAnEpsOfItsOwn", "BackwardAlwaysThroughTheBatch"),
        ("GathersTheBiasedVariance", "SavesOnlyTheParameters"),
    ],
    ids=" and ".join,
)
def test_two_mistakes_at_once_get_no_name_that_is_wrong(names):
    for seed in range(2):
        C = layer_with(*(FAULTS[name] for name in names))
        report = judge(EXERCISES["BatchNorm1d"], C, seed=seed)
        assert not report.passed
        assert {d.mistake for d in report.diagnoses} <= set(names)


def test_a_network_that_cannot_be_used_is_said_in_plain_words():
    def renamed(network, n):
        return [{"kind": layer["kind"], "frozen": True} for layer in network]

    report = judge(EXERCISES["freeze"], renamed)
    assert report.earned == 0
    assert "layer 0 has lost its 'W'" in report.findings[0].detail


def test_a_kept_mean_that_changes_with_the_layer_leads_to_the_copy():
    class BatchNorm1d(_batchnorm1d.BatchNorm1d):
        def _learn(self, x):
            kept, before = self.running_mean, self.running_mean.copy()
            statistics = super()._learn(x)
            kept += self.running_mean - before
            self.running_mean = kept
            return statistics

        def state_dict(self):
            return {**super().state_dict(), "running_mean": self.running_mean}

    report = judge(EXERCISES["BatchNorm1d"], BatchNorm1d)
    (failed,) = [f for f in report.findings if f.verdict is not Verdict.PASS]
    assert failed.probe == "goes_back_to_a_kept_state"
    assert "have to be copied" in failed.detail


def test_a_layer_that_never_counts_is_not_said_to_count_elsewhere():
    class BatchNorm1d(_batchnorm1d.BatchNorm1d):
        def _learn(self, x):
            counted = int(self.num_batches_tracked)
            statistics = super()._learn(x)
            self.num_batches_tracked = counted
            return statistics

    report = judge(EXERCISES["BatchNorm1d"], BatchNorm1d)
    assert {d.mistake for d in report.diagnoses} == {"NeverCounts"}
