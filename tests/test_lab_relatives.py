"""The laboratory of the chapter `relatives` does what its docstrings say."""

import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from torch import nn

matplotlib.use("Agg")
sys.path.insert(0, str(Path(__file__).parent.parent / "book"))

import matplotlib.pyplot as plt
from lab import blocks, data, relatives, sequences, workers

F = nn.functional


def rows_of(seeds):
    parts = [data.center_and_rescale(part) for part in data.splits(data.digits(), seeds, 360)]
    return relatives.Rows.of(data.stack(parts), seeds)


# --- the family ------------------------------------------------------------------------------


def per_run(layer, u):
    return torch.stack([layer(one) for one in u])


@pytest.mark.parametrize(
    ("kind", "layer"),
    [
        (relatives.batch, lambda u: F.batch_norm(u, None, None, training=True)),
        (relatives.layer, lambda u: F.layer_norm(u, u.shape[1:])),
        (relatives.group(2), lambda u: F.group_norm(u, 2)),
        (relatives.rms, lambda u: F.rms_norm(u, u.shape[1:], eps=1e-5)),
        (relatives.none, lambda u: u),
    ],
)
@pytest.mark.parametrize("shape", [(3, 5, 6), (2, 3, 4, 5, 7)])
def test_every_kind_is_the_layer_of_its_name(kind, layer, shape):
    u = 3 * torch.randn(shape, dtype=torch.float64, generator=torch.manual_seed(0)) + 2
    torch.testing.assert_close(kind(u, None), per_run(layer, u), rtol=0, atol=1e-12)


def test_kinds_of_images():
    u = torch.randn(2, 3, 4, 5, 7, dtype=torch.float64, generator=torch.manual_seed(0))
    torch.testing.assert_close(relatives.instance(u), per_run(F.instance_norm, u))
    alone = relatives.pixelwise(u)
    assert alone.mean(dim=1).abs().max() < 1e-12
    assert alone.mean(dim=(1, 3, 4)).abs().max() < 1e-12
    torch.testing.assert_close(
        alone[:, :, 1, 2, 3], relatives.batch(u[:, :, 1, 2, 3, None].contiguous())[..., 0]
    )


@pytest.mark.parametrize("kind", [relatives.batch, relatives.ghost(2), relatives.Renorm(1)])
def test_inference_takes_the_statistics_of_the_reference_rows(kind):
    u = torch.randn(2, 9, 3, generator=torch.manual_seed(0))
    mean, var = u[:, :6].mean(1, keepdim=True), u[:, :6].var(1, correction=0, keepdim=True)
    torch.testing.assert_close(kind(u, 6), (u - mean) / torch.sqrt(var + 1e-5))


def test_ghost_batches_are_batches():
    u = torch.randn(2, 12, 3, generator=torch.manual_seed(0))
    parts = torch.cat([relatives.batch(part) for part in u.split(4, dim=1)], dim=1)
    torch.testing.assert_close(relatives.ghost(4)(u, None), parts)
    torch.testing.assert_close(relatives.ghost(12)(u, None), relatives.batch(u))


class TestRenorm:
    def opened(self, **limits):
        layer = relatives.Renorm(layers=1, warm=1, calls=10, **limits)
        layer.running[0] = (torch.full((1, 1, 3), 0.5), torch.full((1, 1, 3), 2.0))
        return layer

    def test_unclipped_it_has_the_value_of_inference_and_the_gradient_of_the_batch(self):
        u = torch.randn(1, 6, 3, generator=torch.manual_seed(0)).requires_grad_()
        dy = torch.randn(1, 6, 3, generator=torch.manual_seed(1))
        y = self.opened(r_max=1e6, d_max=1e6)(u, None)
        torch.testing.assert_close(y, (u - 0.5) / 2)
        (dx,) = torch.autograd.grad(y, u, dy)
        (of_batch,) = torch.autograd.grad(relatives.batch(u), u, dy)
        r = torch.sqrt(u.var(dim=1, correction=0, keepdim=True) + 1e-5) / 2
        torch.testing.assert_close(dx, (r * of_batch).detach())

    def test_its_limits_hold(self):
        u = 100 * torch.randn(1, 6, 3, generator=torch.manual_seed(0)) + 1000
        y = self.opened(r_max=3, d_max=5)(u, None)
        torch.testing.assert_close(y, 3 * relatives.batch(u) + 5)

    def test_it_begins_as_batch_normalization_and_remembers_each_layer(self):
        layer = relatives.Renorm(layers=2, warm=5, momentum=0.5)
        u, v = torch.randn(2, 1, 6, 3, generator=torch.manual_seed(0))
        for _ in range(3):
            torch.testing.assert_close(layer(u, None), relatives.batch(u))
            torch.testing.assert_close(layer(v + 7, None), relatives.batch(v + 7))
        torch.testing.assert_close(layer.running[0][0], u.mean(1, keepdim=True))
        torch.testing.assert_close(layer.running[1][0], v.mean(1, keepdim=True) + 7)


# --- stacks ----------------------------------------------------------------------------------


def torch_twin(stack, run, channels=()):
    """The same network of one run, out of PyTorch's layers."""
    layers, before = [], 1
    if channels:
        layers.append(nn.Unflatten(1, (1, 8, 8)))
    for i, W in enumerate(stack.weights[:-1]):
        W, gamma, beta = W[run].detach(), stack.gammas[i][run, 0], stack.betas[i][run, 0]
        if i < len(channels):
            linear, norm = nn.Conv2d(before, W.shape[1], 3, padding=1, bias=False), nn.BatchNorm2d
            linear.weight.data = W.T.reshape(W.shape[1], before, 3, 3).clone()
            before = W.shape[1]
        else:
            linear, norm = nn.Linear(*W.shape, bias=False), nn.BatchNorm1d
            linear.weight.data = W.T.clone()
        norm = norm(W.shape[1])
        norm.weight.data, norm.bias.data = gamma.detach().clone(), beta.detach().clone()
        layers += [linear, norm, nn.ReLU()]
        if channels and i == 0:
            layers.append(nn.MaxPool2d(2))
        if i == len(channels) - 1:
            layers.append(nn.Flatten())
    last = nn.Linear(*stack.weights[-1].shape[1:])
    last.weight.data = stack.weights[-1][run].detach().T.clone()
    last.bias.data = stack.betas[-1][run, 0].detach().clone()
    return nn.Sequential(*layers, last)


@pytest.mark.parametrize(
    ("widths", "channels"), [((64, 12, 11, 10), ()), ((64, 10), (3, 4)), ((64, 9, 10), (3,))]
)
def test_a_stack_trains_like_torch(widths, channels):
    seeds, lrs = [0, 1], [0.05, 0.2]
    rows = rows_of(seeds)
    stack = relatives.Stack(widths, relatives.batch, seeds, channels)
    twins = [torch_twin(stack, run, channels) for run in range(2)]
    optimizers = [torch.optim.SGD(t.parameters(), lr) for t, lr in zip(twins, lrs, strict=True)]
    draw, again = rows.epochs(16), rows.epochs(16)
    relatives.fit(stack, draw, lrs, 12)
    for step in range(12):
        X, y = again(step)
        for run, (twin, optimizer) in enumerate(zip(twins, optimizers, strict=True)):
            optimizer.zero_grad()
            F.cross_entropy(twin(X[run]), y[run]).backward()
            optimizer.step()
    X, _ = again(12)
    for run, twin in enumerate(twins):
        torch.testing.assert_close(stack.logits(X)[run], twin(X[run]), rtol=1e-3, atol=2e-4)


def test_runs_do_not_touch_one_another():
    rows = rows_of([0, 1])
    both = relatives.Stack((64, 8, 10), relatives.batch, [0, 1])
    relatives.fit(both, rows.epochs(8), [0.1, 1e6], 10)
    one = rows_of([0])
    alone = relatives.Stack((64, 8, 10), relatives.batch, [0])
    relatives.fit(alone, one.epochs(8), [0.1], 10)
    torch.testing.assert_close(both.weights[0][:1], alone.weights[0])


def test_inference_does_not_depend_on_the_company_and_training_does():
    rows = rows_of([0])
    stack = relatives.fit(
        relatives.Stack((64, 16, 10), relatives.batch, [0]), rows.epochs(32), [0.1], 20
    )
    together = stack.predict(rows.X_test, rows.X)
    single = torch.cat([stack.predict(x, rows.X) for x in rows.X_test[:, :20].split(1, 1)], 1)
    assert torch.equal(together[:, :20], single)
    pairs = torch.cat([stack.predict(x) for x in rows.X_test.split(2, dim=1)], dim=1)
    assert (pairs != together).float().mean() > 0.05


def test_momentum_is_that_of_torch():
    stack = relatives.Stack((4, 3), relatives.none, [0])
    W = stack.weights[0][0].detach().clone().requires_grad_()
    b = torch.zeros(3, requires_grad=True)
    optimizer = torch.optim.SGD([W, b], 0.1, momentum=0.9)
    X = torch.randn(1, 6, 4, generator=torch.manual_seed(0))
    y = torch.tensor([[0, 1, 2, 0, 1, 2]])
    relatives.fit(stack, lambda step: (X, y), [0.1], 5, momentum=0.9)
    for _ in range(5):
        optimizer.zero_grad()
        F.cross_entropy(X[0] @ W + b, y[0]).backward()
        optimizer.step()
    torch.testing.assert_close(stack.weights[0][0], W)


# --- batches ---------------------------------------------------------------------------------


def test_an_epoch_shows_every_row_once():
    rows = rows_of([0, 1])
    draw = rows.epochs(479)  # 1437 = 3 · 479
    seen = torch.cat([draw(step)[0] for step in range(3)], dim=1)
    for run in range(2):
        assert torch.equal(seen[run].sum(dim=1).sort().values, rows.X[run].sum(dim=1).sort().values)
    assert not torch.equal(seen[0], seen[1])


def test_batches_hold_as_many_classes_as_asked():
    seeds, counts = [0, 0, 1], [1, 2, 10]
    rows = rows_of(seeds)
    draw = rows.classes(32, counts)
    found = [[len(y[run].unique()) for run in range(3)] for _, y in map(draw, range(20))]
    assert {f[0] for f in found} == {1}
    assert {f[1] for f in found} == {2}
    assert min(f[2] for f in found) > 5


@pytest.mark.parametrize("test", [False, True])
def test_the_odd_one_out_is_the_only_stranger_and_no_class_is_preferred(test):
    rows = rows_of([0])
    draw = rows.odd_one_out(8, test=test)
    X, labels = (rows.X_test, rows.y_test) if test else (rows.X, rows.y)
    known = {tuple(x): int(label) for x, label in zip(X[0].tolist(), labels[0], strict=True)}
    strangers, places = [], []
    for step in range(300):
        x, y = draw(step)
        classes = np.array([known[tuple(one)] for one in x[0].tolist()])
        odd = y[0].numpy() == 1
        assert odd.sum() == 1
        assert len(set(classes[~odd])) == 1
        assert classes[odd][0] != classes[~odd][0]
        strangers.append(classes[odd][0])
        places.append(odd.argmax())
    assert np.bincount(strangers, minlength=10).min() > 10
    assert np.bincount(places, minlength=8).min() > 15


# --- sequences -------------------------------------------------------------------------------


def test_sequences_have_the_lengths_they_should():
    rngs = [np.random.default_rng(seed) for seed in (0, 1)]
    drawn = sequences.draw(rngs, 2000, [True, False])
    assert drawn.X.shape == (2, 2000, 8, 8)
    assert (drawn.lengths[0] == 8).all()
    counts = np.bincount(drawn.lengths[1].numpy(), minlength=9)
    assert counts[:2].sum() == 0
    assert (counts[2:9] > 0).all()
    assert counts[2] > counts[4] > counts[7]


@pytest.mark.parametrize("norm", ["none", "batch", "layer"])
def test_steps_beyond_the_end_are_not_looked_at(norm):
    net = sequences.Recurrent(norm, [0, 1], [False, False], units=6)
    batch = sequences.draw([np.random.default_rng(0), np.random.default_rng(1)], 16, [False] * 2)
    scores = net.scores(batch)
    beyond = torch.arange(8) >= batch.lengths[..., None]
    spoiled = torch.where(beyond[..., None], 1e3, batch.X)
    other = net.scores(sequences.Sequences(spoiled, batch.lengths, batch.y))
    torch.testing.assert_close(scores, other)


def test_a_step_is_normalized_over_the_sequences_that_go_on():
    net = sequences.Recurrent("batch", [0], [False], units=6)
    batch = sequences.draw([np.random.default_rng(0)], 16, [False])
    seen = []
    net.scores(batch, seen=seen)
    first = batch.X[0, :, 0] @ net.W[0]
    torch.testing.assert_close(seen[0][0][0, 0], first.mean(dim=0))
    torch.testing.assert_close(seen[0][1][0, 0], first.var(dim=0, correction=0))
    h = torch.tanh((first - first.mean(0)) / torch.sqrt(first.var(0, correction=0) + 1e-5))
    on = batch.lengths[0] > 2
    going = batch.lengths[0] > 1
    assert 0 < on.sum() < 16  # otherwise the test would see nothing
    second = (batch.X[0, :, 1] @ net.W[0] + h @ net.U[0])[going]
    torch.testing.assert_close(seen[1][0][0, 0], second.mean(dim=0), rtol=1e-4, atol=1e-5)


def test_without_normalization_it_is_the_network_of_torch():
    net = sequences.Recurrent("none", [0], [True], units=6)
    batch = sequences.draw([np.random.default_rng(0)], 5, [True])
    twin = nn.RNN(8, 6, batch_first=True, bias=False)
    twin.weight_ih_l0.data, twin.weight_hh_l0.data = net.W[0].T.clone(), net.U[0].T.clone()
    torch.testing.assert_close(net.scores(batch)[0], twin(batch.X[0])[1][0] @ net.V[0])


def test_shared_statistics_are_the_averages_over_the_steps():
    moments = [(torch.full((1, 1, 2), float(t)), torch.full((1, 1, 2), 2.0 * t)) for t in range(3)]
    ((mean, var),) = sequences.shared(moments)
    assert mean.unique().tolist() == [1.0]
    assert var.unique().tolist() == [2.0]
    np.testing.assert_allclose(sequences.spreads(moments), [[0, 2**0.5, 2]], rtol=1e-6)


def test_recurrent_networks_learn():
    net = sequences.Recurrent("layer", [0, 1], [True, True], units=16)
    before = net.accuracy(8)
    after = net.fit([0.4, 0.4], 60, 16).accuracy(8)
    assert (after > before + 0.2).all()


# --- workers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_merging_is_exact_in_any_order_and_for_any_sizes(seed):
    rng = np.random.default_rng(seed)
    shards = [rng.normal(rng.normal(0, 5, 3), 1, size=(n, 3)) for n in rng.integers(1, 9, size=6)]
    whole = np.concatenate(shards)
    parts = [workers.Moments.of(shard) for shard in shards]
    backwards = (parts[5] + (parts[4] + parts[3])) + ((parts[2] + parts[1]) + parts[0])
    for merged in (workers.merge(parts), backwards):
        assert merged.count == len(whole)
        np.testing.assert_allclose(merged.mean, whole.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(merged.var, whole.var(axis=0), rtol=1e-12)


def test_processes_agree_with_the_whole_batch():
    rng = np.random.default_rng(0)
    gamma = rng.normal(size=4)
    shards = [rng.normal(size=(n, 4)) + rng.normal(size=4) for n in (3, 1)]
    dys = [rng.normal(size=shard.shape) for shard in shards]
    result = workers.synchronized(shards, dys, gamma)
    x = torch.tensor(np.concatenate(shards)).requires_grad_()
    y = F.batch_norm(x, None, None, torch.tensor(gamma), training=True)
    (dx,) = torch.autograd.grad(y, x, torch.tensor(np.concatenate(dys)))
    np.testing.assert_allclose(np.concatenate(result.y), y.detach(), rtol=0, atol=1e-12)
    np.testing.assert_allclose(np.concatenate(result.dx), dx, rtol=0, atol=1e-12)
    assert len(set(result.processes)) == 2
    assert result.sent == 1 + 4 * 4


def test_a_worker_that_dies_does_not_hang_the_others():
    good = np.zeros((2, 3))
    with pytest.raises((EOFError, ConnectionError)):
        # gradients of another shape than the samples: the worker fails after the first exchange
        workers.synchronized([good, good], [good, np.zeros((2, 4))], np.ones(3))


# --- the picture -----------------------------------------------------------------------------


def test_the_picture_shows_what_a_value_depends_on():
    n, c, h, w = blocks.SHAPE
    batch = blocks.reach(lambda x: F.batch_norm(x, None, None, training=True))
    assert batch[:, 0].all()
    assert batch.sum() == n * h * w
    sample = blocks.reach(lambda x: F.layer_norm(x, x.shape[1:]))
    assert sample[0].all()
    assert sample.sum() == c * h * w
    assert blocks.reach(lambda x: x).sum() == 1


def test_the_picture_has_one_block_per_layer():
    fig = blocks.draw({"a": lambda x: x, "b": F.instance_norm, "c": F.instance_norm}, columns=2)
    assert [ax.get_title(loc="left") for ax in fig.axes] == ["a", "b", "c", ""]
    filled = [sum(p.get_facecolor()[3] > 0 for p in ax.patches) for ax in fig.axes]
    assert filled == [1, 9, 9, 0]
    plt.close(fig)
