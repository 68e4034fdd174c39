"""The laboratory of the chapter on networks: layers, the stacked trainer, Fashion-MNIST's files."""

import gzip
import struct
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent.parent / "book"))

from lab import data, fashion, layers, networks, stacks

# --- layers ----------------------------------------------------------------------------------


def gradient_of(function, x, h=1e-6):
    found = np.empty_like(x)
    for place in np.ndindex(x.shape):
        old = x[place]
        x[place] = old + h
        up = function()
        x[place] = old - h
        down = function()
        x[place] = old
        found[place] = (up - down) / (2 * h)
    return found


def made(rng):
    """One layer of each kind for inputs of 4 features, parameters not at their beginnings."""
    norm, frozen = layers.BatchNorm(4, eps=1e-3), layers.BatchNorm(4)
    for layer in (norm, frozen):
        layer.parameters["gamma"] = rng.normal(size=4)
        layer.parameters["beta"] = rng.normal(size=4)
    frozen.running_mean, frozen.running_var = rng.normal(size=4), rng.uniform(0.5, 2, size=4)
    return {
        "linear": (layers.Linear(rng, 4, 3, 0.5), True),
        "linear without bias": (layers.Linear(rng, 4, 3, 0.5, bias=False), True),
        "sigmoid": (layers.Sigmoid(), True),
        "relu": (layers.ReLU(), True),
        "batch norm": (norm, True),
        "batch norm in inference mode": (frozen, False),
    }


@pytest.mark.parametrize("name", made(np.random.default_rng(0)))
@pytest.mark.parametrize("seed", range(3))
def test_layers_pass_a_gradient_check(name, seed):
    rng = np.random.default_rng(seed)
    layer, training = made(rng)[name]
    x = rng.normal(size=(6, 4))
    dy = rng.normal(size=layer.forward(x, training).shape)

    def loss():
        return (dy * layer.forward(x, training)).sum()

    layer.forward(x, training)
    dx = layer.backward(dy)
    np.testing.assert_allclose(dx, gradient_of(loss, x), atol=1e-7)
    gradients = dict(layer.gradients)
    assert gradients.keys() == layer.parameters.keys()
    for key, values in layer.parameters.items():
        assert gradients[key].shape == values.shape
        np.testing.assert_allclose(gradients[key], gradient_of(loss, values), atol=1e-7)


def test_batch_norm_agrees_with_torch_over_a_training():
    rng = np.random.default_rng(1)
    ours, theirs = layers.BatchNorm(5), torch.nn.BatchNorm1d(5).double()
    for _ in range(20):
        x = rng.normal(size=(7, 5)) * rng.uniform(0.1, 9, size=5) + rng.normal(size=5)
        dy = rng.normal(size=x.shape)
        t = torch.tensor(x, requires_grad=True)
        y = theirs(t)
        (dx,) = torch.autograd.grad((y * torch.tensor(dy)).sum(), t)
        np.testing.assert_allclose(ours.forward(x, True), y.detach().numpy(), atol=1e-11)
        np.testing.assert_allclose(ours.backward(dy), dx.numpy(), atol=1e-11)
    np.testing.assert_allclose(ours.running_mean, theirs.running_mean.numpy(), atol=1e-12)
    np.testing.assert_allclose(ours.running_var, theirs.running_var.numpy(), atol=1e-12)
    theirs.eval()
    before = ours.running_mean.copy(), ours.running_var.copy()
    np.testing.assert_allclose(
        ours.forward(x, False), theirs(torch.tensor(x)).detach().numpy(), atol=1e-11
    )
    np.testing.assert_array_equal(before, (ours.running_mean, ours.running_var))


def test_batch_norm_refuses_to_train_on_one_sample():
    layer = layers.BatchNorm(3)
    with pytest.raises(ValueError, match="one sample"):
        layer.forward(np.zeros((1, 3)), training=True)
    assert layer.forward(np.zeros((1, 3)), training=False).shape == (1, 3)


def test_sigmoid_survives_large_inputs():
    h = layers.Sigmoid().forward(np.array([[-1e4, 0.0, 1e4]]), True)
    np.testing.assert_array_equal(h, [[0, 0.5, 1]])


def test_softmax_cross_entropy_agrees_with_torch_even_for_large_logits():
    rng = np.random.default_rng(0)
    for scale in (1, 1000):
        logits, y = scale * rng.normal(size=(9, 4)), rng.integers(0, 4, size=9)
        t = torch.tensor(logits, requires_grad=True)
        expected = torch.nn.functional.cross_entropy(t, torch.tensor(y))
        (gradient,) = torch.autograd.grad(expected, t)
        loss, dlogits = layers.softmax_cross_entropy(logits, y)
        assert loss == pytest.approx(expected.item())
        np.testing.assert_allclose(dlogits, gradient.numpy(), atol=1e-12)


# --- the stacked trainer ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def parts():
    return [data.center_and_rescale(p) for p in data.splits(data.digits(), range(3), 360)]


def by_hand(part, net, seed, lr, steps, batch, gain=1.0, decay=0.0, decay_all=False):
    """One network, layer by layer with nn.Module, from the same first weights and batches."""
    sizes = [part.X_train.shape[1], *net.hidden, 10]
    rng = np.random.default_rng([seed, 0])
    modules, weights = [], []
    for i, (D_in, D_out) in enumerate(pairwise(sizes)):
        last = i == len(net.hidden)
        bn = net.logits != "plain" if last else net.bn
        linear = torch.nn.Linear(D_in, D_out, bias=not bn)
        std = {"he": (2 / D_in) ** 0.5, "lecun": D_in**-0.5}.get(net.init, net.init)
        linear.weight.data = torch.tensor(gain * std * rng.normal(size=(D_in, D_out)).T).float()
        if not bn:
            linear.bias.data.zero_()
        modules.append(linear)
        weights.append(linear.weight)
        if bn:
            modules.append(torch.nn.BatchNorm1d(D_out, affine=not last or net.logits == "affine"))
        if not last:
            modules.append(
                {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh, "sigmoid": torch.nn.Sigmoid}[
                    net.activation
                ]()
            )
    model = torch.nn.Sequential(*modules)
    X, y = torch.tensor(part.X_train).float(), torch.tensor(part.y_train)
    draws, losses = np.random.default_rng([seed, 1]), []
    for _ in range(steps):
        rows = draws.choice(len(X), batch, replace=False)
        loss = torch.nn.functional.cross_entropy(model(X[rows]), y[rows])
        learned = list(model.parameters())
        found = torch.autograd.grad(loss, learned)
        with torch.no_grad():
            for w, g in zip(learned, found, strict=True):
                if decay_all or any(w is other for other in weights):
                    g = g + decay * w
                w -= lr * g
        losses.append(loss.item())
    # The exact statistics of the first 512 training rows, in place of the running ones.
    for module in modules:
        if isinstance(module, torch.nn.BatchNorm1d):
            module.momentum = 1.0
    with torch.no_grad():
        model(X[:512])
        for module in modules:
            if isinstance(module, torch.nn.BatchNorm1d):
                module.running_var *= 511 / 512
        model.eval()
        logits = model(torch.tensor(part.X_test).float())
        test_loss = torch.nn.functional.cross_entropy(logits, torch.tensor(part.y_test)).item()
        accuracy = (logits.argmax(dim=1).numpy() == part.y_test).mean()
    return losses, test_loss, accuracy, [w.detach().numpy().T for w in weights]


@pytest.mark.parametrize(
    ("net", "options"),
    [
        (networks.Net((20, 15), "relu", init="he"), {}),
        (networks.Net((20, 15), "sigmoid", bn=True, init=0.1), {"gain": 0.5}),
        (networks.Net((20,), "tanh", bn=True), {"decay": 0.1}),
        (networks.Net((20,), "relu", bn=True), {"decay": 0.1, "decay_all": True}),
        (networks.Net((20,), "relu", bn=True, logits="affine"), {}),
        (networks.Net((20,), "relu", logits="normalized"), {}),
    ],
)
def test_a_stack_is_the_networks_that_it_stands_for(parts, net, options):
    gain, decay = options.get("gain", 1.0), options.get("decay", 0.0)
    record = networks.train(
        parts,
        net,
        [0, 2, 2],
        [0.05, 0.05, 0.2],
        gains=gain,
        decay=decay,
        decay_all=options.get("decay_all", False),
        steps=25,
        batch=16,
    )
    for run, (seed, lr) in enumerate([(0, 0.05), (2, 0.05), (2, 0.2)]):
        losses, test_loss, accuracy, weights = by_hand(
            parts[seed], net, seed, lr, 25, 16, **options
        )
        np.testing.assert_allclose(record.losses[:, run], losses, rtol=1e-3, atol=1e-4)
        assert record.test_loss[-1, run] == pytest.approx(test_loss, rel=2e-3)
        assert record.accuracy[-1, run] == pytest.approx(accuracy, abs=1.5 / 360)
        for ours, theirs in zip(record.weights, weights, strict=True):
            np.testing.assert_allclose(ours[run], theirs, atol=2e-3)


def test_without_training_the_checks_see_the_first_weights(parts):
    net = networks.Net((20,), "relu", init="he")
    record = networks.train(parts, net, [0, 1], 0.1, steps=0)
    W1, W2 = (w[1] for w in record.weights)
    test = parts[1].X_test
    expected = ((np.maximum(test @ W1, 0) @ W2).argmax(axis=1) == parts[1].y_test).mean()
    assert record.accuracy[0, 1] == pytest.approx(expected, abs=1.5 / 360)
    assert list(record.steps) == [0]


def test_checks_come_after_the_steps_they_name(parts):
    net = networks.Net((16,), "relu", bn=True, init="he")
    long = networks.train(parts, net, [0, 1], 0.2, steps=30, checks=[0, 10, 30, 50])
    short = networks.train(parts, net, [0, 1], 0.2, steps=10)
    assert list(long.steps) == [0, 10, 30]
    np.testing.assert_allclose(long.accuracy[1], short.accuracy[0])
    np.testing.assert_allclose(long.losses[:10], short.losses)
    assert long.accuracy.shape == long.test_loss.shape == (3, 2)


def test_percentiles_are_those_of_what_enters_the_last_activation(parts):
    for bn in (False, True):
        net = networks.Net((30, 12), "sigmoid", bn=bn)
        record = networks.train(parts, net, [0, 1, 2], 0.1, steps=0, watch=[2], population=200)
        assert record.percentiles.shape == (1, 1, 12, 3)
        h = parts[2].X_train[:200]
        for W in (w[2] for w in record.weights[:2]):
            u = h @ W
            if bn:
                u = (u - u.mean(axis=0)) / np.sqrt(u.var(axis=0) + networks.EPS)
            h = 1 / (1 + np.exp(-u))
        expected = np.percentile(u, networks.PERCENTILES, axis=0).T
        np.testing.assert_allclose(record.percentiles[0, 0], expected, atol=1e-4)


def test_runs_do_not_touch_one_another(parts):
    net = networks.Net((16, 16), "relu", bn=False, init="he", dropout=0.3)
    together = networks.train(parts, net, [0, 1, 1], [0.1, 1e6, 0.1], steps=20)
    alone = networks.train(parts, net, [1], 0.1, steps=20)
    np.testing.assert_allclose(together.losses[:, 2], alone.losses[:, 0], rtol=1e-4)
    assert np.isfinite(together.losses[:, [0, 2]]).all()
    assert not (together.losses[-1, 1] < 10)  # NaN or huge: it diverged


def test_dropout_drops_its_share_and_keeps_the_mean():
    draws = [np.random.default_rng([s, 2]) for s in range(2)]
    masks = networks._masks(draws, (400, 50), 0.3).numpy()
    assert masks.shape == (2, 400, 50)
    assert set(np.unique(masks)) == {np.float32(0), np.float32(1 / 0.7)}
    assert (masks == 0).mean() == pytest.approx(0.3, abs=0.01)
    assert not np.array_equal(masks[0], masks[1])


def test_dropout_is_off_when_the_network_is_tested(parts):
    plain, dropped = (
        networks.train(parts, networks.Net((16,), "relu", dropout=p), [0, 1], 0.1, steps=0)
        for p in (0.0, 0.9)
    )
    np.testing.assert_array_equal(plain.test_loss, dropped.test_loss)


def test_steps_to_is_the_first_check_that_reaches_the_level():
    record = networks.Record(
        steps=np.array([0, 10, 20]),
        accuracy=np.array([[0.1, 0.1], [0.95, 0.2], [0.9, 0.3]]),
        test_loss=np.zeros((3, 2)),
        losses=np.arange(20.0)[:, None],
        percentiles=np.empty((3, 0, 5, 3)),
        weights=[],
        gammas=[],
        betas=[],
    )
    np.testing.assert_array_equal(record.steps_to(0.9), [10, np.nan])
    assert record.late_loss() == pytest.approx([18.5])


def test_few_keeps_rows_and_makes_exactly_that_many_labels_wrong(parts):
    part = networks.few(parts[0], 100, noise=0.2, seed=4)
    assert part.X_train.shape == (100, 64)
    assert (part.y_train != parts[0].y_train[:100]).sum() == 20
    assert set(part.y_train) <= set(range(10))
    assert part.X_test is parts[0].X_test
    assert part.y_test is parts[0].y_test
    again = networks.few(parts[0], 100, noise=0.2, seed=4)
    np.testing.assert_array_equal(part.y_train, again.y_train)
    np.testing.assert_array_equal(networks.few(parts[0], 100).y_train, parts[0].y_train[:100])


def test_a_normalized_perfect_logit_has_the_floor_of_the_page():
    K, copies = 10, 7
    logits = torch.eye(K, dtype=torch.float64).repeat(copies, 1)
    y = torch.arange(K).repeat(copies)
    normalized = torch.nn.functional.batch_norm(logits, None, None, training=True, eps=1e-12)
    loss = torch.nn.functional.cross_entropy(normalized, y).item()
    assert loss == pytest.approx(np.log(1 + (K - 1) * np.exp(-K / np.sqrt(K - 1))))


def test_small_weights_grow_and_large_ones_do_not(parts):
    """The asymmetry that the page derives: the relative step is η / a²."""
    runs, gains = stacks.grid([0, 1], [0.01, 100.0])
    record = networks.train(
        parts, networks.Net((24, 24), "relu", bn=True, init="he"), runs, 0.1, gains=gains, steps=40
    )
    first = networks.train(
        parts, networks.Net((24, 24), "relu", bn=True, init="he"), runs, 0.1, gains=gains, steps=0
    )
    grown = np.linalg.norm(record.weights[1], axis=(1, 2)) / np.linalg.norm(
        first.weights[1], axis=(1, 2)
    )
    assert (grown[::2] > 3).all()
    assert (grown[1::2] < 1.01).all()


def test_each_layer_can_have_a_gain_of_its_own(parts):
    runs, by_run = [0, 1, 1], np.array([1.0, 5.0, 20.0])
    net = networks.Net((24, 24), "relu", bn=True, init="he")
    usual = networks.train(parts, net, runs, 0.1, steps=0).weights
    of_all = networks.train(parts, net, runs, 0.1, gains=by_run, steps=0).weights
    rows = [np.ones(3), np.ones(3), by_run]
    of_top = networks.train(parts, net, runs, 0.1, gains=rows, steps=0).weights
    for w, everywhere in zip(usual, of_all, strict=True):
        np.testing.assert_allclose(everywhere, w * by_run[:, None, None], rtol=1e-6)
    for w, only_top, expected in zip(usual, of_top, [*usual[:2], of_all[2]], strict=True):
        assert only_top.shape == w.shape
        np.testing.assert_array_equal(only_top, expected)


def test_the_steep_sigmoid_is_four_times_as_steep():
    u = torch.linspace(-3, 3, 7)
    plain, steep = (stacks.ACTIVATIONS[name] for name in ("sigmoid", "steep sigmoid"))
    torch.testing.assert_close(steep(u), plain(4 * u))


# --- Fashion-MNIST ---------------------------------------------------------------------------


def idx(values, kind=0x08):
    header = bytes([0, 0, kind, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    return header + values.astype(np.uint8).tobytes()


@pytest.fixture
def folder(tmp_path):
    """The four files, small: 30 images to learn from and 12 to test, one pair unpacked."""
    rng = np.random.default_rng(0)
    for part, count in (("train", 30), ("t10k", 12)):
        images = rng.integers(0, 256, size=(count, 28, 28))
        images[:, 0, 0] = np.arange(count)  # so that a row can be recognised
        labels = np.arange(count) % 10
        for name, values in (("images-idx3", images), ("labels-idx1", labels)):
            path = tmp_path / f"{part}-{name}-ubyte"
            if part == "train":
                path.with_name(path.name + ".gz").write_bytes(gzip.compress(idx(values)))
            else:
                path.write_bytes(idx(values))
    return tmp_path


def test_idx_files_are_read_as_written(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, size=(3, 4, 5))
    for name, content in (("a.gz", gzip.compress(idx(values))), ("b", idx(values))):
        (tmp_path / name).write_bytes(content)
        found = fashion.read_idx(tmp_path / name)
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an idx file"),
        (b"<html>not found</html>", "not an idx file"),
        (idx(np.zeros((2, 3)), kind=0x0D), "type 0x0d"),
        (bytes([0, 0, 8, 3, 0, 0]), "header ends"),
        (idx(np.zeros((2, 3)))[:-1], "5 values for the shape"),
        (idx(np.zeros((2, 3))) + b"\0", "7 values for the shape"),
        (gzip.compress(idx(np.zeros((200, 30))), mtime=0)[:-20], "damaged"),
    ],
    ids=["empty", "html", "floats", "short header", "short", "long", "cut off"],
)
def test_other_files_are_refused_with_a_reason(tmp_path, content, message):
    path = tmp_path / "file.gz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        fashion.read_idx(path)


def test_load_finds_packed_and_unpacked_files(folder):
    raw = fashion.load(folder)
    assert {key: values.shape for key, values in raw.items()} == {
        "X_train": (30, 28, 28),
        "y_train": (30,),
        "X_test": (12, 28, 28),
        "y_test": (12,),
    }


def test_load_names_a_missing_file_and_notices_a_mismatch(folder):
    labels = folder / "t10k-labels-idx1-ubyte"
    labels.write_bytes(idx(np.zeros(11)))
    with pytest.raises(ValueError, match="test images"):
        fashion.load(folder)
    labels.unlink()
    with pytest.raises(FileNotFoundError, match="t10k-labels-idx1-ubyte"):
        fashion.load(folder)


def test_splits_are_seeded_and_keep_images_and_labels_together(folder):
    one, two, again = fashion.splits(folder, [0, 1, 0], train=20, test=5)
    assert one.X_train.shape == (20, 784)
    assert one.X_test.shape == (5, 784)
    assert one.X_train.dtype == np.float64
    assert one.y_train.dtype == np.int64
    for X, y in ((one.X_train, one.y_train), (one.X_test, one.y_test)):
        np.testing.assert_array_equal(X[:, 0] % 10, y)  # the first pixel knows the label
        assert len(np.unique(X[:, 0])) == len(X)
    np.testing.assert_array_equal(one.X_train, again.X_train)
    assert not np.array_equal(one.X_train, two.X_train)
    assert len(fashion.splits(folder, [0])[0].X_train) == 30


def test_the_reader_decides_which_data_the_page_uses(folder, monkeypatch):
    monkeypatch.delenv(fashion.VARIABLE, raising=False)
    name, parts = fashion.images([0, 1])
    assert (name, len(parts), parts[0].X_test.shape) == ("digits", 2, (360, 64))
    monkeypatch.setenv(fashion.VARIABLE, str(folder))
    name, parts = fashion.images([0, 1])
    assert (name, len(parts), parts[0].X_test.shape) == ("Fashion-MNIST", 2, (12, 784))
    monkeypatch.setenv(fashion.VARIABLE, str(folder / "elsewhere"))
    with pytest.raises(FileNotFoundError):
        fashion.images([0])


def test_the_experiments_run_on_data_of_that_shape(folder):
    parts = [data.center_and_rescale(p) for p in fashion.splits(folder, [0, 1])]
    net = networks.Net((8, 8), "relu", bn=True, init="he")
    record = networks.train(parts, net, [0, 1], 0.1, steps=60, batch=16, population=30)
    assert record.losses[-5:].mean() < 0.5 * record.losses[:5].mean()
    assert record.accuracy.shape == (1, 2)
