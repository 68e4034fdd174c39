"""The laboratory of the chapter `evidence`: its instruments measure what they say."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent.parent / "book"))

from lab import bundle, landscape, residual, scale
from lab.bundle import Bundle, Recipe, flat

SEEDS = [0, 3]
DOUBLE = torch.float64


def small(norm=True, seeds=SEEDS, precision=DOUBLE, **options):
    """Return networks of two narrow layers, in float64."""
    return Bundle(Recipe((7, 6), norm=norm, **options), seeds, precision=precision)


def modules(net, run):
    """Return one network of a bundle, rebuilt from PyTorch's own layers."""
    layers = []
    for W, *rest in net.layers:
        linear = torch.nn.Linear(W.shape[1], W.shape[2], bias=len(rest) == 1, dtype=DOUBLE)
        linear.weight.data = W[run].T.clone()
        layers.append(linear)
        if len(rest) == 1:
            linear.bias.data = rest[0][run, 0].clone()
        else:
            norm = torch.nn.BatchNorm1d(W.shape[2], eps=net.recipe.eps, dtype=DOUBLE)
            norm.weight.data, norm.bias.data = (p[run, 0].clone() for p in rest)
            layers.append(norm)
        layers.append(torch.nn.ReLU())
    return torch.nn.Sequential(*layers[:-1])


# --- bundle ----------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", [False, True])
def test_a_bundle_trains_as_pytorch_does(norm):
    net = small(norm)
    theirs = [modules(net, run) for run in range(2)]
    optimizers = [
        torch.optim.SGD(m.parameters(), lr=rate) for m, rate in zip(theirs, (0.1, 0.5), strict=True)
    ]
    again = small(norm)  # draws the same batches
    for _ in range(5):
        X, y = again.draw(12)
        expected = []
        for run, (module, optimizer) in enumerate(zip(theirs, optimizers, strict=True)):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(module(X[run]), y[run])
            loss.backward()
            optimizer.step()
            expected.append(loss.item())
        np.testing.assert_allclose(net.train([0.1, 0.5], 1, 12)[0], expected, rtol=1e-10)
    for run, module in enumerate(theirs):
        np.testing.assert_allclose(net.layers[0][0][run].T, module[0].weight.detach(), atol=1e-12)


def test_accuracy_is_measured_with_the_statistics_of_the_training_set():
    net = small()
    net.train(0.3, 30, 32)
    module = modules(net, 1).requires_grad_(False)
    h = net.X[1]
    for layer in module:  # one pass over the training set fills in its exact statistics
        if isinstance(layer, torch.nn.BatchNorm1d):
            layer.running_mean, layer.running_var = h.mean(dim=0), h.var(dim=0, correction=0)
        h = layer.eval()(h)
    hits = module(net.X_test[1]).argmax(dim=1) == net.y_test[1]
    assert net.accuracy()[1] == pytest.approx(hits.double().mean().item())
    assert net.accuracy("train")[1] == pytest.approx(
        (h.argmax(dim=1) == net.y[1]).double().mean().item()
    )
    assert net.accuracy().min() > 0.3


@pytest.mark.parametrize("group", [None, 3])
def test_both_ways_to_normalize_agree(group):
    rng = torch.Generator().manual_seed(0)
    u = torch.randn(2, 6, 4, generator=rng, dtype=DOUBLE) * 3 + 1
    gamma = torch.randn(2, 1, 4, generator=rng, dtype=DOUBLE)
    beta = torch.randn(2, 1, 4, generator=rng, dtype=DOUBLE)
    fast = bundle.normalize(u, gamma, beta, 1e-3, group=group)
    size = group or 6
    parts = [bundle.normalize(part, gamma, beta, 1e-3, rows=size) for part in u.split(size, dim=1)]
    np.testing.assert_allclose(fast, torch.cat(parts, dim=1), rtol=1e-12)


def test_rows_alone_give_the_statistics():
    u = torch.arange(12, dtype=DOUBLE).reshape(1, 4, 3) ** 2
    one, zero = torch.ones(1, 1, 3, dtype=DOUBLE), torch.zeros(1, 1, 3, dtype=DOUBLE)
    y = bundle.normalize(u, one, zero, 0.0, rows=2)
    np.testing.assert_allclose(y[0, :2], [[-1, -1, -1], [1, 1, 1]])
    assert (y[0, 3] > 1).all()


def test_noise_and_dropout_act_in_training_only():
    X = small().X[:, :10]
    for options in ({"noise": True}, {"dropout": 0.5}):
        net, plain = small(**options), small()
        calm = net.forward(X, training=False)[-1]
        np.testing.assert_allclose(calm, plain.forward(X, training=False)[-1])
        assert (net.forward(X)[-1] - calm).abs().max() > 0.1


def test_dropout_keeps_the_mean_and_drops_the_share():
    net = Bundle(Recipe((4000,), dropout=0.25), [0])
    dropped, whole = net.forward(net.X[:, :20])[1], net.forward(net.X[:, :20], training=False)[1]
    alive = whole > 0
    assert (dropped[alive] == 0).float().mean().item() == pytest.approx(0.25, abs=0.01)
    assert dropped.mean().item() == pytest.approx(whole.mean().item(), rel=0.02)


def test_the_noise_shifts_and_scales_as_documented():
    net = Bundle(Recipe((3000,), activation="tanh", norm=True, noise=True), [0])
    u = net.X[:, :200] @ net.layers[0][0]
    gamma, beta = net.layers[0][1:]
    clean = bundle.normalize(u, gamma, beta)
    added = net._normalize(u, gamma, beta, None, True) - clean
    shift = added.mean(dim=1)
    assert -1.1 < shift.min() < -0.9
    assert 0.9 < shift.max() < 1.1
    # One value: (scale − 1)·x̂ with x̂ of variance 1, plus noise of variance 1/16.
    within = added.var(dim=1).mean().item()
    assert within == pytest.approx(1 / 16 + 1 / 48, rel=0.05)


def test_labels_are_flipped_in_the_asked_for_number():
    y = np.arange(100) % 10
    flipped = bundle.flip(y, 0.2, seed=1)
    assert (flipped != y).sum() == 20
    assert set(np.unique(flipped)) <= set(range(10))
    np.testing.assert_array_equal(y, np.arange(100) % 10)
    np.testing.assert_array_equal(flipped, bundle.flip(y, 0.2, seed=1))
    clean = small()
    noisy = Bundle(Recipe((7, 6)), SEEDS, samples=50, flipped=0.2)
    assert (noisy.y != clean.y[:, :50]).sum(dim=1).tolist() == [10, 10]


def test_runs_do_not_touch_one_another():
    together, alone = small(seeds=[0, 3]), small(seeds=[3])
    losses = together.train([1e30, 0.1], 4, 16)[:, 1]
    np.testing.assert_allclose(losses, alone.train(0.1, 4, 16)[:, 0], rtol=1e-10)


# --- landscape -------------------------------------------------------------------------------


def test_covariate_shift_is_g_and_g_prime():
    net = small()
    batch = net.draw(20)
    shift = landscape.covariate_shift(net, batch, 0.2)
    assert shift.distance.shape == (2, 2)
    _, before = net.gradient(batch)
    moved = net.moved(before, 0.2)
    # The last layer by hand: all below have moved, itself not.
    _, after = net.gradient(batch, [moved[0], moved[1], net.layers[2]])
    g, h = flat([before[2]]).numpy(), flat([after[2]]).numpy()
    np.testing.assert_allclose(shift.distance[1], np.linalg.norm(g - h, axis=1))
    np.testing.assert_allclose(
        shift.relative[1], np.linalg.norm(g - h, axis=1) / np.linalg.norm(g, axis=1)
    )
    lengths = np.linalg.norm(g, axis=1) * np.linalg.norm(h, axis=1)
    np.testing.assert_allclose(shift.cosine[1], (g * h).sum(axis=1) / lengths)


def test_nothing_shifts_when_nothing_moves():
    net = small()
    shift = landscape.covariate_shift(net, net.draw(20), 0.0)
    np.testing.assert_array_equal(shift.distance, 0)
    np.testing.assert_allclose(shift.cosine, 1)


class Bowl:
    """Stands in for a bundle whose loss is the quadratic ½·w·H·w."""

    def __init__(self, H, w):
        self.H, self.layers = torch.tensor(H), [[torch.tensor(w).reshape(1, 1, -1)]]

    def gradient(self, batch, layers=None):
        w = (layers or self.layers)[0][0]
        return (w * (w @ self.H)).sum(dim=(1, 2)) / 2, [[w @ self.H]]

    def moved(self, gradient, rate):
        return [[self.layers[0][0] - rate * gradient[0][0]]]


def test_a_look_along_a_quadratic_finds_its_closed_form():
    H, w = np.diag([1.0, 4.0]), np.array([1.0, 1.0])
    step = landscape.look(Bowl(H, w), None, [0.1, 0.5])
    g = H @ w
    for i, rate in enumerate((0.1, 0.5)):
        there = w - rate * g
        assert step.loss[i + 1, 0] == pytest.approx(there @ H @ there / 2)
        change = np.linalg.norm(rate * H @ g) / np.linalg.norm(g)
        assert step.change[i, 0] == pytest.approx(change)
        assert step.smoothness[i, 0] == pytest.approx(change / rate)
        h = H @ there
        assert step.cosine[i, 0] == pytest.approx(g @ h / np.linalg.norm(g) / np.linalg.norm(h))
    assert 1 <= step.smoothness[0, 0] <= 4  # between the curvatures
    assert step.loss[0, 0] == pytest.approx(2.5)


def test_a_survey_trains_like_training():
    looked, trained = small(), small()
    survey = landscape.survey(looked, 0.1, steps=6, batch=16, every=3)
    trained.train(0.1, 6, 16)
    np.testing.assert_allclose(flat(looked.layers), flat(trained.layers))
    assert survey.loss_range.shape == survey.change.shape == (2, 2)
    assert (survey.loss_range > 0).all()
    np.testing.assert_allclose(survey.accuracy, trained.accuracy())


def test_drift_is_zero_without_steps_and_reports_at_the_stops():
    still = landscape.drift(small(), 0.0, stops=[0, 4], every=2)
    np.testing.assert_array_equal(still.drift, 0)
    moving, trained = landscape.drift(small(), 0.3, stops=[0, 4], every=2), small()
    trained.train(0.3, 4, 64)
    assert moving.drift.shape == (2, 2)
    assert (moving.drift > 0).all()
    np.testing.assert_allclose(moving.accuracy, [small().accuracy(), trained.accuracy()])


# --- scale -----------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [0.05, 20])
def test_normalized_networks_are_scale_invariant_and_plain_ones_are_not(factor):
    net = small(eps=0.0)
    assert max(scale.invariance(net, net.draw(20), factor)) < 1e-12
    plain = small(norm=False)
    assert min(scale.invariance(plain, plain.draw(20), factor)) > 1e-3


def test_weights_grow_by_pythagoras():
    path = scale.follow(small(eps=0.0), [0.5, 2.0], steps=8, batch=20)
    assert path.lengths.shape == (9, 2, 13)
    grown = np.diff(path.lengths**2, axis=0)
    step = np.array([0.5, 2.0])[:, None] * path.slopes
    np.testing.assert_allclose(grown, step**2, atol=1e-10)
    # A step perpendicular to w turns it by arctan(step / length).
    np.testing.assert_allclose(path.turns, np.arctan(step / path.lengths[:-1]), atol=1e-10)


def test_decay_shortens_the_hidden_weights_only():
    net = small(eps=0.0)
    before = [[p.clone() for p in layer] for layer in net.layers]
    path = scale.follow(net, 0.5, steps=1, batch=20, decay=0.1, others=0.0)
    expected = (0.95 * path.lengths[0]) ** 2 + (0.5 * path.slopes[0]) ** 2
    np.testing.assert_allclose(path.lengths[1] ** 2, expected)
    for old, new in zip(before, net.layers, strict=True):
        for p, q in zip(old[1:], new[1:], strict=True):
            np.testing.assert_array_equal(p, q)
    np.testing.assert_array_equal(before[-1][0], net.layers[-1][0])


def test_effective_rate_decides():
    def losses(factor):
        net = small(eps=0.0)
        net.layers = scale.rescaled(net.layers, factor)
        return scale.follow(net, 0.4 * factor**2, 10, 20, others=0.4).losses

    np.testing.assert_allclose(losses(8.0), losses(1.0), rtol=1e-9)
    net = small(eps=0.0)
    wrong = scale.follow(net, 0.4 * 8, 10, 20, others=0.4).losses
    assert np.abs(wrong - losses(1.0)).max() > 0.01


def test_curvature_falls_with_the_square_of_the_length():
    net = small(eps=0.0)
    batch = net.draw(40)
    one, long = (scale.curvature(net, batch, factor) for factor in (1.0, 5.0))
    np.testing.assert_allclose(long * 25, one, rtol=1e-6)


def turns_and_lengths(momentum, start, steps=3000, rate=0.1, decay=0.01):
    """Weights whose gradient is random, orthogonal to them, and as long as they are short."""
    rng = np.random.default_rng(0)
    w = rng.normal(size=(20, 100))
    w *= start / np.linalg.norm(w, axis=1, keepdims=True)
    step, turns, lengths = np.zeros_like(w), [], []
    for _ in range(steps):
        g = rng.normal(size=w.shape) / 10
        square = (w * w).sum(axis=1, keepdims=True)
        g = (g - (g * w).sum(axis=1, keepdims=True) / square * w) / np.sqrt(square)
        step = momentum * step + g + decay * w
        old, w = w, w - rate * step
        lengths.append(np.linalg.norm(w, axis=1))
        cosine = (old * w).sum(axis=1) / np.linalg.norm(old, axis=1) / lengths[-1]
        turns.append(np.arccos(np.clip(cosine, -1, 1)))
    return scale.rms(np.array(turns[-500:])[:, None]), np.mean(lengths, axis=1)


def test_momentum_turns_by_less_and_balances_ten_times_sooner():
    """What the page says of common settings, beside its formula for plain SGD."""
    until = {}
    for momentum, divisor, faster in ((0.0, 1.0, 1), (0.9, 1.9, 10)):
        # Begun at twice the length of the balance, ‖w‖⁴ = η‖g‖²/2λ.
        balance = (faster * 0.1 / 0.02) ** 0.25
        (angle,), lengths = turns_and_lengths(momentum, start=2 * balance)
        assert angle == pytest.approx(np.sqrt(2 * 0.1 * 0.01 / divisor), rel=0.02)
        assert lengths[-500:].mean() == pytest.approx(balance, rel=0.02)
        until[momentum] = np.argmax(lengths < 1.1 * balance)
    assert until[0.0] / until[0.9] == pytest.approx(10, rel=0.2)


def test_adam_moves_hidden_weights_as_pytorch_does():
    net = small(seeds=[0])
    theirs = modules(net, 0)
    optimizer = torch.optim.AdamW(
        [p for p in theirs.parameters() if p.ndim > 1][:-1], lr=0.02, weight_decay=0.3
    )
    drawn = small(seeds=[0])
    for _ in range(5):
        X, y = drawn.draw(20)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(theirs(X[0]), y[0]).backward()
        optimizer.step()
    scale.follow(net, 0.02, 5, 20, decay=0.3, others=0.0, along=scale.adam())
    for layer, module in zip(net.layers[:-1], (theirs[0], theirs[3]), strict=True):
        np.testing.assert_allclose(layer[0][0].T, module.weight.detach(), rtol=1e-9, atol=1e-12)


def test_the_angle_of_adam_is_that_of_independent_gradients():
    """The page's formula, where all that it takes for granted is true."""
    rng = np.random.default_rng(0)
    eta, lam = 0.01, 1.0
    w = torch.from_numpy(rng.normal(size=(1, 100, 20)))
    along, turns = scale.adam(), []
    for t in range(1500):
        g = torch.from_numpy(rng.normal(size=w.shape))
        g -= (g * w).sum(dim=1, keepdim=True) / (w * w).sum(dim=1, keepdim=True) * w
        (direction,) = along([g / w.norm(dim=1, keepdim=True)])
        old, w = w, w - eta * (direction + lam * w)
        if t >= 1000:
            cosine = torch.nn.functional.cosine_similarity(old, w, dim=1)
            turns.append(torch.arccos(cosine.clamp(max=1)).numpy())
    (angle,) = scale.rms(np.array(turns))
    assert angle == pytest.approx(np.sqrt(2 * eta * lam / 19), rel=0.02)


def test_rms_is_over_time_and_units():
    values = np.array([[[3.0, 4.0]], [[0.0, 5.0]]])
    np.testing.assert_allclose(scale.rms(values), [np.sqrt(50 / 4)])


def test_ravines_have_their_condition_and_descents_keep_the_bound():
    for seed in range(3):
        problem = scale.ravine(seed, 50.0)
        assert problem.steepest / problem.flattest == pytest.approx(50)
        start = scale.starts([seed])[0]
        bound = (1 - 1 / 50) ** (2 * np.arange(61))
        for way in (problem.directions, problem.plain):
            left = way(start, 60)
            assert (np.diff(left) <= 1e-12).all()
            assert (left <= left[0] * bound * (1 + 1e-9)).all()
        assert problem.directions(start, 1)[0] == pytest.approx(problem.plain(start, 1)[0])


def test_the_direction_is_descended_along_its_gradient():
    problem = scale.ravine(0, 20.0)
    w = scale.starts([0])[0]

    def rho(w):
        return -((w @ problem.c) ** 2) / (w @ problem.S @ w)

    h = 1e-6
    slope = np.array([(rho(w + h * e) - rho(w - h * e)) / (2 * h) for e in np.eye(len(w))])
    length = w @ problem.S @ w / (2 * problem.steepest * abs(rho(w)))
    best = problem.c @ problem.solution
    expected = (best + rho(w - length * slope)) / 2
    assert problem.directions(w, 1)[1] == pytest.approx(expected, rel=1e-6)


# --- residual --------------------------------------------------------------------------------


def test_normalized_branches_shrink_as_derived():
    c = 1 - 1 / np.pi
    births = [residual.birth(seed, "normalized", blocks=20, width=128) for seed in range(3)]
    share = np.mean([b.share for b in births], axis=0)
    place = np.arange(1, 21)
    np.testing.assert_allclose(share, c / (1 + c * place), rtol=0.1)
    variance = np.mean([b.variance for b in births], axis=0)
    assert variance[-1] == pytest.approx(1 + 20 * c, rel=0.1)
    assert births[0].gradients[-1] == pytest.approx(1)


def test_plain_branches_double_the_stream_and_scaled_ones_hardly_add():
    plain = [residual.birth(seed, "plain", blocks=12, width=128) for seed in range(3)]
    # The mean square doubles per block; the variance over the batch is a part of it.
    c = 1 - 1 / np.pi
    assert (1 + c) ** 12 < np.mean([b.variance[-1] for b in plain]) < 2**12
    scaled = residual.birth(0, "scaled", blocks=12, width=128)
    assert scaled.variance[-1] < 3
    assert scaled.gradients[0] < 3 < plain[0].gradients[0]


@pytest.mark.parametrize("norms", [{}, {"norm": True}, {"norm": True, "last": True}])
def test_blocks_with_a_scale_of_zero_begin_as_the_identity(norms):
    """With all branches at 0 nothing depends on the blocks: depth changes no result."""
    options = {"scale": 0.0, "after": [3], "width": 12, **norms}
    shallow, deep = (residual.train([0.0], [0], blocks=b, **options) for b in (1, 9))
    np.testing.assert_array_equal(shallow, deep)
    assert residual.train([0.0], [0], blocks=9, after=[0], width=12, **norms) != deep


@pytest.mark.parametrize("way", [{"norm": True, "last": True}, {"learned": True}])
def test_blocks_that_begin_as_the_identity_learn(way):
    """Branches at 0 must be able to leave it, or a linear classifier is all that is trained."""
    rates, seeds = [0.1] * 3, [0, 1, 2]
    options = {"scale": 0.0, "blocks": 4, "after": [20], "width": 12}
    held = residual.train(rates, seeds, norm="norm" in way, **options)
    assert (residual.train(rates, seeds, **options, **way) != held).any()


def test_shortcuts_and_norms_train_and_divergence_counts_as_zero():
    rates, seeds = [0.1, 0.1], [0, 1]
    options = {"blocks": 4, "width": 30, "after": [20, 40]}
    early, late = residual.train(rates, seeds, norm=True, **options)
    assert late.min() > 0.7
    np.testing.assert_allclose(residual.train([0.1, 1e30], seeds, **options)[:, 1], 0.0)
    options["after"] = [20]
    np.testing.assert_array_equal(residual.train(rates, seeds, norm=True, **options), [early])
