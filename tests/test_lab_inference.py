"""The laboratory of the chapter on inference: networks side by side are real networks."""

import copy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent.parent / "book"))

from lab import data, inference

SEEDS = (3, 8, 11)
SIZES = (5, 7, 6, 3)


def rows(samples: int = 40, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Three small data sets, one per network: (3, N, 5) and (3, N)."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(3, samples, 5)) + 1, rng.integers(0, 3, size=(3, samples))


def trained(steps: int = 12, momentum: float | None = 0.1) -> torch.nn.Sequential:
    model = inference.networks(SEEDS, SIZES, momentum=momentum)
    inference.fit(model, *rows(), SEEDS, lr=0.2, steps=steps, batch=8)
    return model


def state(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def assert_same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert list(first) == list(second)
    for name, value in first.items():
        torch.testing.assert_close(value, second[name], rtol=0, atol=0, msg=name)


# --- networks ------------------------------------------------------------------------------------


def test_wide_puts_networks_next_to_one_another():
    x = torch.arange(24.0).reshape(2, 3, 4)
    both = inference.wide(x)
    assert both.shape == (3, 8)
    torch.testing.assert_close(both[:, :4], x[0])
    torch.testing.assert_close(both[:, 4:], x[1])


@pytest.mark.parametrize("mode", [True, False])
@pytest.mark.parametrize("index", range(3))
def test_a_single_network_computes_what_it_did_in_the_stack(index, mode):
    model = trained().train(mode)
    alone = inference.single(model, index)
    assert alone.training is mode
    X = torch.as_tensor(rows(seed=1)[0]).float()
    together = model(inference.wide(X)).reshape(40, 3, 3)[:, index]
    torch.testing.assert_close(alone(X[index]), together, rtol=1e-4, atol=1e-5)


def test_training_is_that_of_ordinary_layers_with_torchs_optimizer():
    X, y = rows()
    model = trained(steps=12)
    fresh = inference.networks(SEEDS, SIZES)
    for index, seed in enumerate(SEEDS):
        alone = inference.single(fresh, index)
        optimizer = torch.optim.SGD(alone.parameters(), lr=0.2)
        rng = np.random.default_rng([seed, 1])
        for _ in range(12):
            chosen = rng.choice(40, 8, replace=False)
            inputs = torch.as_tensor(X[index, chosen]).float()
            loss = torch.nn.functional.cross_entropy(
                alone(inputs), torch.as_tensor(y[index, chosen])
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        expected = inference.single(model, index).state_dict()
        for name, value in alone.state_dict().items():
            if "num_batches" in name:
                continue
            torch.testing.assert_close(value, expected[name], rtol=1e-3, atol=1e-4, msg=name)


def test_networks_do_not_touch_one_another():
    X, y = rows()
    spoiled = X.copy()
    spoiled[1] = 1e20
    first, second = (inference.networks(SEEDS, SIZES) for _ in range(2))
    inference.fit(first, X, y, SEEDS, steps=5, batch=8)
    inference.fit(second, spoiled, y, SEEDS, steps=5, batch=8)
    for index in (0, 2):
        good, other = (state(inference.single(model, index)) for model in (first, second))
        assert_same(good, other)


def test_without_normalization_the_first_weights_are_the_same():
    normalized, plain = (inference.networks(SEEDS, SIZES, norm=norm) for norm in (True, False))
    linear = [
        [layer.weight for layer in model if isinstance(layer, inference.SideBySide)]
        for model in (normalized, plain)
    ]
    assert len(linear[0]) == 3
    assert inference.norms(plain) == []
    for one, other in zip(*linear, strict=True):
        torch.testing.assert_close(one, other)


def test_first_weights_have_he_variance():
    model = inference.networks((0,), (400, 300))
    assert model[0].weight.var().item() == pytest.approx(2 / 400, rel=0.03)


# --- training ------------------------------------------------------------------------------------


def test_a_longer_training_begins_like_a_shorter_one():
    X, y = rows()
    short, long = (inference.networks(SEEDS, SIZES) for _ in range(2))
    with inference.recorded(short) as first:
        inference.fit(short, X, y, SEEDS, steps=3, batch=8)
    with inference.recorded(long) as second:
        inference.fit(long, X, y, SEEDS, steps=6, batch=8)
    assert [len(means) for means in second.means] == [6, 6]
    np.testing.assert_array_equal(first.means[1], second.means[1][:3])


def test_the_momentum_has_no_say_in_training():
    slow, fast = trained(momentum=0.01), trained(momentum=0.9)
    for one, other in zip(slow.parameters(), fast.parameters(), strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(slow[1].running_mean, fast[1].running_mean)


def test_frozen_parameters_are_not_trained_and_the_mode_stays():
    model = inference.networks(SEEDS, SIZES)
    model[0].requires_grad_(False)
    model[1].eval()
    before = state(model)
    inference.fit(model, *rows(), SEEDS, steps=3, batch=8)
    after = state(model)
    for name in ("0.weight", "0.bias", "1.running_mean", "1.running_var"):
        assert torch.equal(before[name], after[name]), name
    for name in ("1.weight", "3.weight", "4.running_mean"):
        assert not torch.equal(before[name], after[name]), name
    assert not model[1].training


# --- running statistics --------------------------------------------------------------------------


@pytest.mark.parametrize("momentum", [0.05, 0.1, 0.5, 1.0, None])
def test_moving_average_is_torchs(momentum):
    rng = np.random.default_rng(4)
    batches = 3 * rng.normal(size=(20, 6, 4)) + 2
    layer = torch.nn.BatchNorm1d(4, momentum=momentum).double()
    for batch in batches:
        layer(torch.as_tensor(batch))
    mean = inference.moving_average(batches.mean(axis=1), momentum, 0.0)
    var = inference.moving_average(batches.var(axis=1, ddof=1), momentum, 1.0)
    assert mean.shape == (21, 4)
    np.testing.assert_allclose(mean[-1], layer.running_mean.numpy(), atol=1e-12)
    np.testing.assert_allclose(var[-1], layer.running_var.numpy(), atol=1e-12)


@pytest.mark.parametrize("momentum", [0.01, 0.1])
def test_an_average_in_bfloat16_is_that_of_a_converted_layer(momentum):
    """To the last bit; the batches' means are ready numbers, so that none is rounded before."""
    values = np.random.default_rng(0).integers(16, 128, size=(200, 50)) / 16.0
    layer = torch.nn.BatchNorm1d(50, momentum=momentum).to(torch.bfloat16)
    for value in torch.as_tensor(values).to(torch.bfloat16):
        layer(torch.stack([value, value]))
    kept = inference.moving_average(values, momentum, 0.0, torch.bfloat16, often=True)[-1]
    np.testing.assert_array_equal(kept, layer.running_mean.double().numpy())


def test_an_average_in_few_bits_stops_where_its_step_is_less_than_half_a_spacing():
    def last(momentum, dtype=torch.bfloat16):
        return inference.moving_average(np.full(9_000, 5.0), momentum, 0.0, dtype)[-1]

    assert last(0.01) == 4.0  # numbers from 4 to 8 lie 1/32 apart, and 0.01 · (5 − 4) < 1/64
    assert 5 - 1 / 64 / 0.1 <= last(0.1) < 5
    assert last(0.01, torch.float32) == pytest.approx(5, rel=1e-4)


@pytest.mark.parametrize("momentum", [0.02, 0.2])
def test_moving_average_has_the_bias_and_the_noise_of_the_closed_form(momentum):
    steps, start = 30, 5.0
    values = np.random.default_rng(0).normal(size=(steps, 40_000))  # mean 0, variance 1
    last = inference.moving_average(values, momentum, start)[-1]
    old = (1 - momentum) ** steps
    floor = momentum / (2 - momentum) * (1 - old**2)
    assert last.mean() == pytest.approx(old * start, abs=0.01)
    assert last.var() == pytest.approx(floor, rel=0.04)


@pytest.mark.parametrize("momentum", [0.1, 0.7, None])
def test_history_gives_what_the_layer_would_have_kept(momentum):
    model = inference.networks(SEEDS, SIZES, momentum=momentum)
    with inference.recorded(model) as history:
        inference.fit(model, *rows(), SEEDS, steps=9, batch=8)
    other = copy.deepcopy(model)
    for layer in inference.norms(other):
        layer.reset_running_stats()
    inference.use_history(other, history, momentum)
    for mine, kept in zip(inference.norms(other), inference.norms(model), strict=True):
        torch.testing.assert_close(mine.running_mean, kept.running_mean, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(mine.running_var, kept.running_var, rtol=1e-4, atol=1e-5)


def test_nothing_is_recorded_after_the_block():
    model = inference.networks(SEEDS, SIZES)
    with inference.recorded(model) as history:
        model(torch.randn(4, 15))
    model(torch.randn(4, 15))
    assert [len(means) for means in history.means] == [1, 1]


def test_recalibration_takes_the_statistics_of_the_data_and_nothing_else():
    model = trained().eval()
    model[2].train()
    before = state(model)
    X = rows(48, seed=2)[0]
    inference.recalibrate(model, X, batch=48)
    first = torch.as_tensor(X).float()
    u = model[0](inference.wide(first))
    torch.testing.assert_close(model[1].running_mean, u.mean(dim=0))
    torch.testing.assert_close(model[1].running_var, u.var(dim=0))
    assert not model.training
    assert not model[1].training
    assert model[2].training
    assert model[1].momentum == 0.1
    for name, _ in model.named_parameters():
        assert torch.equal(before[name], model.state_dict()[name])


def test_recalibration_weighs_all_batches_alike_unless_it_is_given_a_momentum():
    X = rows(40, seed=5)[0]
    plain, moving = trained(), trained()
    inference.recalibrate(plain, X, batch=10)
    inference.recalibrate(moving, X, batch=10, momentum=0.1)
    u = plain[0](inference.wide(torch.as_tensor(X).float())).detach().numpy()
    batches = u.reshape(4, 10, -1)
    mean = inference.moving_average(batches.mean(axis=1), 0.1, 0.0)[-1]
    np.testing.assert_allclose(plain[1].running_mean, u.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(
        plain[1].running_var, batches.var(axis=1, ddof=1).mean(axis=0), rtol=1e-4
    )
    np.testing.assert_allclose(moving[1].running_mean, mean, atol=1e-5)


def test_distance_is_in_units_of_the_references_deviation():
    model = trained()
    moved = copy.deepcopy(model)
    layers = inference.norms(moved)
    layers[0].running_mean += 0.5 * layers[0].running_var.sqrt()
    found = inference.distance(moved, model)
    assert found.shape == (3 * (7 + 6),)
    np.testing.assert_allclose(found[:21], 0.5, atol=1e-5)
    np.testing.assert_array_equal(found[21:], 0)


# --- scores --------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_a_score_leaves_the_model_as_it_was(mode):
    model = trained()
    model[4].eval()
    before, modes = state(model), [layer.training for layer in model]
    inference.score(model, *rows(), 8, mode=mode)
    assert_same(before, state(model))
    assert [layer.training for layer in model] == modes


def test_in_inference_the_company_does_not_matter():
    model, (X, y) = trained(), rows(30, seed=6)
    whole = inference.score(model, X, y)
    parts = inference.score(model, X, y, 7)
    np.testing.assert_array_equal(whole.answers, parts.answers)
    np.testing.assert_allclose(whole.loss, parts.loss, rtol=1e-5)
    np.testing.assert_array_equal(whole.accuracy, (whole.answers == y).mean(axis=1))


def test_in_training_mode_each_batch_is_for_itself_and_the_rest_is_left_out():
    model, (X, y) = trained(), rows(30, seed=6)
    found = inference.score(model, X, y, 8, mode="train")
    assert found.answers.shape == (3, 24)
    batch = torch.as_tensor(X[:, 8:16]).float()
    logits = copy.deepcopy(model).train()(inference.wide(batch)).reshape(8, 3, 3)
    np.testing.assert_array_equal(found.answers[:, 8:16], logits.argmax(dim=2).T)


def test_a_picture_and_its_copy_are_a_batch_of_one():
    X, y = (np.repeat(values, 2, axis=1) for values in rows())
    answers = inference.score(trained(), X, y, 2, mode="train").answers
    assert (answers == answers[:, :1]).all()


# --- rows ----------------------------------------------------------------------------------------


def test_rows_are_sorted_stably_and_stay_together():
    X, y = rows()
    X_sorted, y_sorted = inference.ordered(X, y, y)
    assert (np.diff(y_sorted, axis=1) >= 0).all()
    for index in range(3):
        for label in range(3):
            np.testing.assert_array_equal(
                X_sorted[index][y_sorted[index] == label], X[index][y[index] == label]
            )


def test_only_renumbers_the_classes():
    part = data.split(data.digits(), 0, 360)
    few = inference.only(part, (7, 5))
    assert set(few.y_train) == set(few.y_test) == {0, 1}
    np.testing.assert_array_equal(few.X_train[few.y_train == 0], part.X_train[part.y_train == 7])
    np.testing.assert_array_equal(few.X_test[few.y_test == 1], part.X_test[part.y_test == 5])


def test_time_ratios_are_those_of_the_work():
    def work(n: int) -> int:
        return sum(range(n))

    ratios = inference.time_ratios(lambda: work(60_000), lambda: work(3_000), rounds=9, calls=10)
    assert ratios.shape == (9,)
    assert np.median(ratios) > 2  # twenty times the work
