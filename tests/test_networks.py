"""The chapter on networks: right references, given code that agrees, mistakes that are caught."""

import ast
import copy
import inspect
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from autograder.chapters import networks as module
from autograder.chapters.networks import CHAPTER
from autograder.classroom import cells
from autograder.classroom.release import read_source
from autograder.judge import judge

torch = pytest.importorskip("torch")

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "solutions" / "networks" / "networks.py"
EXERCISES = {e.name: e for e in CHAPTER.exercises}
MISTAKES = [(e, m) for e in CHAPTER.exercises for m in e.mistakes]
NETWORKS = ("Network1", "Network2", "Network3", "Network4", "Network5")
GIVEN = (
    *("Linear", "ReLU", "BatchNorm", "cross_entropy", "Network", "draw_digits"),
    *("accuracy", "train", *NETWORKS),
)
SEED = 100  # not one of those that `autograder verify` tries
seeds = st.integers(0, 2**32 - 1)


def near(got, expected, rtol=1e-10):
    np.testing.assert_allclose(got, expected, rtol=rtol, atol=1e-10)


def reference(name):
    return EXERCISES[name].reference


def leaf(array):
    return torch.tensor(np.asarray(array), requires_grad=True)


def differences(loss, x, h=1e-5):
    found = np.empty(x.shape)
    for i in np.ndindex(x.shape):
        step = np.zeros(x.shape)
        step[i] = h
        found[i] = (loss(x + step) - loss(x - step)) / (2 * h)
    return found


# --- the small functions, against PyTorch and finite differences -----------------------------


@settings(max_examples=30, deadline=None)
@given(seeds, st.integers(1, 7), st.integers(1, 5), st.integers(1, 5))
def test_a_linear_layer_agrees_with_torch(seed, n, inputs, outputs):
    rng = np.random.default_rng(seed)
    dy, x, W = module.arriving(rng, n, inputs, outputs)
    b = rng.normal(size=outputs)
    x_t, W_t, b_t = leaf(x), leaf(W), leaf(b)
    y = torch.nn.functional.linear(x_t, W_t.T, b_t)
    near(reference("linear_forward")(x, W, b), y.detach().numpy())
    theirs = torch.autograd.grad(y, (x_t, W_t, b_t), torch.tensor(dy))
    for got, expected in zip(reference("linear_backward")(dy, x, W), theirs, strict=True):
        near(got, expected.numpy())


def test_a_linear_layer_agrees_with_finite_differences():
    dy, x, W = module.arriving(np.random.default_rng(0))
    dx, dW, _ = reference("linear_backward")(dy, x, W)
    near(dx, differences(lambda x: (dy * (x @ W)).sum(), x), rtol=1e-6)
    near(dW, differences(lambda W: (dy * (x @ W)).sum(), W), rtol=1e-6)


@pytest.mark.parametrize("name", ["relu", "sigmoid"])
def test_activations_agree_with_torch(name):
    x = np.concatenate([np.random.default_rng(0).normal(size=50) * 5, [0, -30, 30, -1000, 1000]])
    x_t = leaf(x)
    y = getattr(torch, name)(x_t)
    (slope,) = torch.autograd.grad(y.sum(), x_t)
    with np.errstate(all="raise", under="ignore"):
        got = reference(name)(x)
    near(got[0], y.detach().numpy())
    near(got[1], slope.numpy())


@settings(max_examples=50, deadline=None)
@given(seeds, st.integers(1, 9), st.integers(2, 6), st.sampled_from([1e-3, 1.0, 100.0, 1e4]))
def test_the_cross_entropy_agrees_with_torch(seed, n, classes, scale):
    rng = np.random.default_rng(seed)
    logits, labels = rng.normal(size=(n, classes)) * scale, rng.integers(classes, size=n)
    z = leaf(logits)
    loss = torch.nn.functional.cross_entropy(z, torch.tensor(labels))
    (dlogits,) = torch.autograd.grad(loss, z)
    for ours in (reference("softmax_cross_entropy"), module.cross_entropy):
        got_loss, got_gradient = ours(logits, labels)
        near(got_loss, loss.item())
        near(got_gradient, dlogits.numpy())


def test_the_cross_entropy_agrees_with_finite_differences():
    logits, labels = module.scores(np.random.default_rng(0))
    f = reference("softmax_cross_entropy")
    near(f(logits, labels)[1], differences(lambda z: f(z, labels)[0], logits), rtol=1e-6)


# --- whole networks, against PyTorch ---------------------------------------------------------


class Theirs(torch.nn.Module):
    """The same network out of PyTorch's layers, in float64."""

    def __init__(self, weights):
        super().__init__()
        layers = []
        for i, W in enumerate(weights):
            last = i == len(weights) - 1
            linear = torch.nn.Linear(*W.shape, bias=last, dtype=torch.float64)
            linear.weight.data = torch.tensor(W.T.copy())
            layers.append(linear)
            if last:
                torch.nn.init.zeros_(linear.bias)
            else:
                layers += [torch.nn.BatchNorm1d(W.shape[1], dtype=torch.float64), torch.nn.ReLU()]
        self.layers = torch.nn.Sequential(*layers)

    def forward(self, x):
        return self.layers(torch.as_tensor(x))

    def numbers(self, of=lambda p: p):
        return [of(p).detach().numpy().T for p in self.parameters()]


@settings(max_examples=25, deadline=None)
@given(seeds, st.lists(st.integers(1, 6), min_size=2, max_size=5), st.integers(3, 12))
def test_a_network_agrees_with_torch_in_training_and_inference(seed, sizes, n):
    rng = np.random.default_rng(seed)
    weights = module.matrices(rng, sizes)
    ours, theirs = module.MLP(weights), Theirs(weights)
    x, dlogits = rng.normal(size=(n, sizes[0])) * 3 + 1, rng.normal(size=(n, sizes[-1]))
    x_t = leaf(x)
    logits = theirs(x_t)
    near(ours.forward(x), logits.detach().numpy(), rtol=1e-9)
    logits.backward(torch.tensor(dlogits))
    near(ours.backward(dlogits), x_t.grad.numpy(), rtol=1e-7)
    for got, expected in zip(ours.gradients(), theirs.numbers(lambda p: p.grad), strict=True):
        near(got, expected, rtol=1e-7)
    ours.eval()
    theirs.eval()
    near(ours.forward(x), theirs(x).detach().numpy(), rtol=1e-9)
    near(ours.predict(x), theirs(x).detach().numpy().argmax(axis=1))


def test_gradients_of_a_network_agree_with_finite_differences():
    rng = np.random.default_rng(1)
    weights, (x, labels) = module.matrices(rng), module.task(rng)
    network = module.MLP(weights)
    loss, dlogits = module.cross_entropy(network.forward(x), labels)
    dx = network.backward(dlogits)

    def moved(x):
        return module.cross_entropy(module.MLP(weights).forward(x), labels)[0]

    assert loss == moved(x)
    np.testing.assert_allclose(dx, differences(moved, x), rtol=1e-5, atol=1e-8)
    got = network.gradients()[0]

    def with_first(W):
        return module.cross_entropy(module.MLP([W, *weights[1:]]).forward(x), labels)[0]

    np.testing.assert_allclose(got, differences(with_first, weights[0]), rtol=1e-5, atol=1e-8)


def test_training_agrees_with_torch_step_by_step():
    rng = np.random.default_rng(2)
    weights, (x, labels) = module.matrices(rng), module.task(rng, samples=40)
    batches = np.split(rng.permutation(40), 5)
    ours, theirs = module.MLP(weights), Theirs(weights)
    losses = ours.fit(x, labels, 0.1, batches)
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.1)
    for rows, found in zip(batches, losses, strict=True):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(theirs(x[rows]), torch.tensor(labels[rows]))
        loss.backward()
        optimizer.step()
        near(found, loss.item(), rtol=1e-8)
    for got, expected in zip(ours.parameters(), theirs.numbers(), strict=True):
        near(got, expected, rtol=1e-8)


def test_it_reads_the_digits_of_every_student():
    """The threshold of 80 % leaves room for bad luck."""
    shares = []
    for seed in range(40):
        rng = np.random.default_rng([7, seed])
        x, labels = module.draw_digits(rng, 300)
        new, truth = module.draw_digits(rng, 200)
        network = module.MLP(module.matrices(rng, (64, 32, 10)))
        order = np.concatenate([rng.permutation(300), rng.permutation(300)])
        network.fit(x, labels, 1.0, np.split(order, 12))
        shares.append(np.mean(network.predict(new) == truth))
    assert min(shares) > 0.83
    assert np.mean(shares) > 0.92


@pytest.mark.parametrize("seed", range(5))
def test_it_reads_real_digits(seed):
    """At the same rate, in 200 steps with 50 of the 1437 training pictures each."""
    rng = np.random.default_rng(seed)
    x, labels = load_digits(return_X_y=True)
    order = rng.permutation(len(x))
    x, labels = x[order] / 16, labels[order]
    network = module.MLP(module.matrices(rng, (64, 32, 32, 10)))
    network.fit(x, labels, 0.5, [rng.choice(1437, 50, replace=False) for _ in range(200)])
    assert np.mean(network.predict(x[1437:]) == labels[1437:]) > 0.94


def test_the_sweep_sees_success_and_both_kinds_of_failure():
    start, training = module.sweepable(np.random.default_rng(0))
    x, labels = training
    for rate, failed, finite in ((0.3, False, True), (1000.0, True, True), (1e200, True, False)):
        found = module.learning_rate_sweep(start, training, training, (rate,))
        assert found["diverged"] == [failed]
        assert found["best"] == (None if failed else rate)
        copied = {name: W.copy() for name, W in start.items()}
        assert np.isfinite(module.train(copied, x, labels, rate, 5)[-1]) == finite


@pytest.mark.parametrize("key", ["accuracies", "diverged", "best"])
def test_none_in_what_a_sweep_returns_is_told_by_its_name(key):
    def learning_rate_sweep(*args, **kwargs):
        return {**module.learning_rate_sweep(*args, **kwargs), key: None}

    report = judge(EXERCISES["learning_rate_sweep"], learning_rate_sweep, seed=SEED)
    details = [f.detail for f in report.findings if f.detail]
    assert details
    assert all(": it is None where " in d and "`return`" not in d for d in details)


# --- the five faults -------------------------------------------------------------------------


def normed(network):
    """PyTorch's counterpart of the batch norm of a network with one hidden layer."""
    layer = torch.nn.BatchNorm1d(len(network.gamma), dtype=torch.float64)
    layer.weight.data, layer.bias.data = torch.tensor(network.gamma), torch.tensor(network.beta)
    return layer


@pytest.mark.parametrize("k", [1, 2])
def test_repaired_tables_agree_with_torch_and_the_faulty_ones_do_not(k):
    rng = np.random.default_rng(k)
    W1, W2 = module.matrices(rng, (6, 5, 3))
    for cls, right in ((reference(f"Repaired{k}"), True), (getattr(module, f"Network{k}"), False)):
        network = cls(W1, W2)
        norm = normed(network)
        for samples in (8, 5, 13):
            x, _ = module.task(rng, samples)
            expected = torch.relu(norm(torch.tensor(x @ W1))).detach().numpy() @ W2
            near(network.forward(x), expected)
        network.eval()
        norm.eval()
        expected = torch.relu(norm(torch.tensor(x @ W1))).detach().numpy() @ W2
        assert np.allclose(network.forward(x), expected, rtol=1e-9) == right


def test_a_step_of_the_repaired_tables_follows_the_gradient():
    rng = np.random.default_rng(3)
    x, dlogits = module.task(rng)[0], rng.normal(size=(12, 3))
    W1, W2 = module.matrices(rng, (6, 5, 3))
    W1_t, W2_t = leaf(W1), leaf(W2)
    norm = torch.nn.BatchNorm1d(5, dtype=torch.float64)
    torch.autograd.backward(torch.relu(norm(torch.tensor(x) @ W1_t)) @ W2_t, torch.tensor(dlogits))
    for k, matrices in (
        (1, lambda n: (n.W1, n.W2)),
        (2, lambda n: (n.first.params["W"], n.last.params["W"])),
    ):
        network = reference(f"Repaired{k}")(W1, W2)
        network.forward(x)
        network.step(dlogits, 0.5)
        for got, old, new in zip(matrices(network), (W1, W2), (W1_t, W2_t), strict=True):
            near(got, old - 0.5 * new.grad.numpy(), rtol=1e-8)
        near(network.gamma, 1 - 0.5 * norm.weight.grad.numpy())
        near(network.beta, -0.5 * norm.bias.grad.numpy())


def test_repaired_images_agree_with_torch_and_the_faulty_ones_do_not():
    rng = np.random.default_rng(4)
    W1, W2 = module.matrices(rng, (3, 5, 2))
    for cls, right in ((reference("Repaired3"), True), (module.Network3, False)):
        network, norm = cls(W1, W2), torch.nn.BatchNorm2d(5, dtype=torch.float64)
        for mode in ("train", "train", "eval"):
            getattr(network, mode)()
            getattr(norm, mode)()
            x = module.pictures(rng)
            s = torch.tensor(np.einsum("nchw,ck->nkhw", x, W1))
            expected = torch.relu(norm(s)).mean(dim=(2, 3)).detach().numpy() @ W2
            assert np.allclose(network.forward(x), expected, rtol=1e-9) == right


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_the_repaired_gradient_agrees_with_torch(mode):
    rng = np.random.default_rng(5)
    W1, gamma, beta, W2 = module.with_affine(rng)
    x, dlogits = module.task(rng)[0], rng.normal(size=(12, 3))
    W1_t, W2_t, gamma_t, beta_t = leaf(W1), leaf(W2), leaf(gamma), leaf(beta)
    statistics = torch.zeros(5, dtype=torch.float64), torch.ones(5, dtype=torch.float64)
    y = torch.nn.functional.batch_norm(
        torch.tensor(x) @ W1_t, *statistics, gamma_t, beta_t, training=mode == "train"
    )
    theirs = torch.autograd.grad(
        torch.relu(y) @ W2_t, (W1_t, gamma_t, beta_t, W2_t), torch.tensor(dlogits)
    )
    for cls, right in ((reference("Repaired4"), True), (module.Network4, mode == "eval")):
        network = cls(W1, gamma, beta, W2)
        getattr(network, mode)()
        network.forward(x)
        ours = network.backward(dlogits)
        assert np.allclose(ours[0], theirs[0].numpy(), rtol=1e-8) == right
        for got, expected in zip(ours[1:], theirs[1:], strict=True):
            near(got, expected.numpy(), rtol=1e-8)


def test_repaired_layers_remember_as_torch_does_and_the_faulty_ones_do_not():
    rng = np.random.default_rng(6)
    weights = module.matrices(rng, (6, 5, 5, 5, 3))
    theirs = Theirs(weights)
    batches = [module.task(rng)[0] for _ in range(6)]
    for x in batches:
        theirs(x)
    theirs.eval()
    expected = theirs(batches[0]).detach().numpy()
    for cls, right in ((reference("Repaired5"), True), (module.Network5, False)):
        network = cls(weights)
        for x in batches:
            network.forward(x)
        network.eval()
        assert np.allclose(network.forward(batches[0]), expected, rtol=1e-9) == right


@pytest.mark.parametrize("k", range(1, 6))
def test_a_network_as_it_was_given_earns_nothing(k):
    exercise = EXERCISES[f"Repaired{k}"]
    report = judge(exercise, getattr(module, f"Network{k}"), seed=SEED)
    assert report.earned == 0
    assert len(report.diagnoses) == 1
    assert report.diagnoses[0].mistake.startswith("Unrepaired")


# --- the notebook ----------------------------------------------------------------------------


def definitions(text):
    return {
        node.name: ast.unparse(node)
        for node in ast.parse(text).body
        if isinstance(node, (ast.FunctionDef, ast.ClassDef))
    }


def test_what_the_notebook_gives_is_what_the_references_use():
    notebook = read_source(SOURCE)
    locked = [
        c
        for c in notebook.cells
        if c.cell_type == "code" and not cells.is_solution(c) and not cells.is_test(c)
    ]
    found = {n: d for c in locked for n, d in definitions(c.source).items()}
    ours = definitions(inspect.getsource(module))
    assert set(found) == set(GIVEN)
    assert {n: ours[n] for n in GIVEN} == found
    glyphs = next(c.source for c in locked if "GLYPHS = " in c.source)
    assert module.GLYPHS in glyphs


# --- the catalogue ---------------------------------------------------------------------------


def test_the_catalogue_is_as_rich_as_promised():
    assert len(MISTAKES) >= 100
    assert all(len(e.alternatives) >= 2 for e in CHAPTER.exercises)
    assert len({m.name for _, m in MISTAKES}) == len(MISTAKES)


@pytest.mark.parametrize("eps", [1e-15, 1e-12, 1e-8])
@pytest.mark.parametrize("cut", [np.add, np.maximum])
def test_a_constant_in_the_logarithm_is_told_with_its_size(eps, cut):
    def softmax_cross_entropy(logits, labels):
        e = np.exp(logits - logits.max(axis=1, keepdims=True))
        p, rows = e / e.sum(axis=1, keepdims=True), np.arange(len(labels))
        loss = -np.log(cut(p[rows, labels], eps)).mean()
        p[rows, labels] -= 1
        return loss, p / len(labels)

    report = judge(EXERCISES["softmax_cross_entropy"], softmax_cross_entropy, seed=SEED)
    (detail,) = [f.detail for f in report.findings if f.probe == "sure_and_wrong"]
    assert f"a constant of about {eps:.2g} cuts it off" in detail


def test_a_loss_that_grows_is_not_said_to_be_cut_off():
    def softmax_cross_entropy(logits, labels):
        loss, dlogits = reference("softmax_cross_entropy")(logits, labels)
        return loss / 4, dlogits

    report = judge(EXERCISES["softmax_cross_entropy"], softmax_cross_entropy, seed=SEED)
    assert not any("cuts it off" in f.detail for f in report.findings)


def test_a_loss_compared_with_one_earns_the_same_for_all_students():
    mistakes = {m.name: m for m in EXERCISES["learning_rate_sweep"].mistakes}
    known = mistakes["compares_with_one"]
    for seed in range(SEED, SEED + 20):
        report = judge(EXERCISES["learning_rate_sweep"], known.implementation, seed=seed)
        assert report.earned == known.earns
        assert [d.mistake for d in report.diagnoses] == [known.name]


def test_the_logarithm_of_infinity_is_named_however_it_is_written():
    def answer(logits, labels):
        log_p = logits - np.log(np.sum(np.exp(logits), axis=1))[:, None]
        own = np.eye(logits.shape[1])[labels]
        return -log_p[own > 0].mean(), (np.exp(log_p) - own) / len(labels)

    report = judge(EXERCISES["softmax_cross_entropy"], answer, seed=SEED)
    assert [d.mistake for d in report.diagnoses] == ["takes_the_logarithm_of_infinity"]


@pytest.mark.parametrize("hidden", [False, True])
def test_a_best_rate_that_agrees_by_chance_names_no_other_mistake(hidden):
    train, accuracy = module.train, module.accuracy

    def in_sorted_order(start, training, validation, rates, steps=5):
        accuracies, diverged = [], []
        for rate in sorted(rates):
            network = copy.deepcopy(start)
            losses = train(network, *training, rate, steps)
            diverged.append(not losses[-1] <= losses[0])
            accuracies.append(0.0 if diverged[-1] else accuracy(network, *validation))
        sound = [k for k, bad in enumerate(diverged) if not bad]
        top = max((accuracies[k] for k in sound), default=None)
        best = min((rates[k] for k in sound if accuracies[k] == top), default=None)
        return {"accuracies": accuracies, "diverged": diverged, "best": best}

    for seed in range(12):
        report = judge(EXERCISES["learning_rate_sweep"], in_sorted_order, seed=seed, hidden=hidden)
        assert {d.mistake for d in report.diagnoses} == {"sorts_the_rates"}


def test_whole_columns_of_the_log_probabilities_are_named():
    def answer(logits, labels):
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        loss = -np.log(p)[:, labels].mean() if p.min() > 0 else np.inf
        p[np.arange(len(labels)), labels] -= 1
        return loss, p / len(labels)

    report = judge(EXERCISES["softmax_cross_entropy"], answer, seed=SEED)
    assert "averages_whole_columns" in {d.mistake for d in report.diagnoses}


def test_the_place_of_the_largest_accuracy_is_not_called_an_accuracy():
    def answer(start, training, validation, rates, steps=5):
        networks = [copy.deepcopy(start) for _ in rates]
        runs = [module.train(n, *training, r, steps) for n, r in zip(networks, rates, strict=True)]
        diverged = [not losses[-1] <= losses[0] for losses in runs]
        accuracies = [
            0.0 if bad else module.accuracy(network, *validation)
            for network, bad in zip(networks, diverged, strict=True)
        ]
        best = accuracies.index(max(accuracies))
        return {"accuracies": accuracies, "diverged": diverged, "best": best}

    for seed in range(6):
        report = judge(EXERCISES["learning_rate_sweep"], answer, seed=seed)
        names = [d.mistake for d in report.diagnoses]
        assert names == ["returns_the_place_of_the_largest_accuracy"]


def test_one_step_behind_the_loop_is_not_called_a_step_on_copies():
    class MLP(module.MLP):
        def fit(self, x, labels, rate, batches):
            self.train()
            losses = []
            for rows in batches:
                loss, dlogits = module.cross_entropy(self.forward(x[rows]), labels[rows])
                losses.append(loss)
            self.backward(dlogits)
            for p, dp in zip(self.parameters(), self.gradients(), strict=True):
                p -= rate * dp
            return losses

    report = judge(EXERCISES["MLP"], MLP, seed=SEED)
    assert [d.mistake for d in report.diagnoses] == ["StepsOnceAtTheEnd"]
