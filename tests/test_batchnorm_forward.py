"""The chapter on batch normalization, forward: right references, mistakes caught and named."""

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.chapters.batchnorm_forward import CHAPTER
from autograder.judge import judge

torch = pytest.importorskip("torch")
functional = torch.nn.functional

EXERCISES = {e.name: e for e in CHAPTER.exercises}
MISTAKES = [(e, m) for e in CHAPTER.exercises for m in e.mistakes]
SEEDS = range(100, 103)  # not those that `autograder verify` tries
FORWARD = EXERCISES["batchnorm_forward"].reference
FORWARD_2D = EXERCISES["batchnorm2d_forward"].reference


def near(got, expected):
    np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-10)


# --- against torch ---------------------------------------------------------------------------

RNG = np.random.default_rng(0)
BATCHES = {
    "random": RNG.normal(size=(9, 4)) * [0.2, 1, 15, 300] + [1, -2, 100, 750],
    "two samples": RNG.normal(size=(2, 3)),
    "one constant feature": np.column_stack([RNG.normal(size=5), np.full(5, 3.5)]),
    "small variances": RNG.normal(size=(7, 3)) * [1e-4, 1e-3, 1e-2],
    "far from zero": RNG.normal(size=(8, 2)) + np.array([1e4, -1e6]),
    "one feature": RNG.normal(size=(6, 1)),
}
batches = pytest.mark.parametrize("x", BATCHES.values(), ids=BATCHES.keys())


def torch_forward(x, gamma, beta, eps):
    x, gamma, beta = (torch.tensor(a) for a in (x, gamma, beta))
    return functional.batch_norm(x, None, None, gamma, beta, training=True, eps=eps).numpy()


def affine(size):
    rng = np.random.default_rng(size)
    return rng.normal(size=size), rng.normal(size=size)


@batches
@pytest.mark.parametrize("eps", [1e-5, 1e-3, 0.1])
def test_forward_agrees_with_torch(x, eps):
    gamma, beta = affine(x.shape[1])
    y, _ = FORWARD(x, gamma, beta, eps)
    near(y, torch_forward(x, gamma, beta, eps))


@pytest.mark.parametrize("shape", [(4, 3, 5, 6), (1, 2, 3, 3), (3, 4, 4, 4), (2, 1, 1, 7)])
@pytest.mark.parametrize("eps", [1e-5, 1e-2])
def test_forward_2d_agrees_with_torch(shape, eps):
    x = np.random.default_rng(1).normal(size=shape) * 3 + 10
    gamma, beta = affine(shape[1])
    y, _ = FORWARD_2D(x, gamma, beta, eps)
    near(y, torch_forward(x, gamma, beta, eps))


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 9), st.integers(1, 5), st.integers(0, 10**6))
def test_forward_agrees_with_torch_on_any_batch(samples, features, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(samples, features)) * 10.0 ** rng.integers(-2, 3, size=features)
    gamma, beta = rng.normal(size=(2, features))
    near(FORWARD(x, gamma, beta)[0], torch_forward(x, gamma, beta, 1e-5))


def test_defaults_are_those_of_torch():
    assert inspect.signature(FORWARD).parameters["eps"].default == torch.nn.BatchNorm1d(1).eps
    assert inspect.signature(FORWARD_2D).parameters["eps"].default == torch.nn.BatchNorm2d(1).eps


@batches
def test_statistics_agree_with_torch(x):
    mean, var = EXERCISES["batch_statistics"].reference(x)
    near(mean, torch.tensor(x).mean(dim=0).numpy())
    near(var, torch.tensor(x).var(dim=0, correction=0).numpy())
    near(EXERCISES["stable_variance"].reference(x), var)


@batches
@pytest.mark.parametrize("eps", [1e-5, 0.1])
def test_identity_parameters_make_torch_the_identity(x, eps):
    gamma, beta = EXERCISES["identity_parameters"].reference(x, eps)
    near(torch_forward(x, gamma, beta, eps), x)


def test_a_batch_of_one_is_beta():
    gamma, beta = affine(3)
    near(FORWARD(np.array([[5.0, -1.0, 1e3]]), gamma, beta)[0], [beta])


@pytest.mark.parametrize("offset", [0, 1e2, 1e4, 1e5])
def test_variances_survive_float32(offset):
    x = (np.random.default_rng(2).normal(size=(64, 5)) + offset).astype(np.float32)
    for right in (
        EXERCISES["stable_variance"].reference,
        *EXERCISES["stable_variance"].alternatives,
    ):
        var = right(x)
        assert var.dtype == np.float32
        np.testing.assert_allclose(var, x.astype(float).var(axis=0), rtol=2e-3)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("eps", [1e-5, 0.1])
def test_a_folded_bias_changes_nothing_in_torch(training, eps):
    rng = np.random.default_rng(3)
    x, W = torch.tensor(rng.normal(size=(8, 5))), torch.tensor(rng.normal(size=(5, 3)))
    b, gamma, beta, mean = rng.normal(size=(4, 3))
    var = rng.uniform(0.5, 2, size=3)

    def layer(u, gamma, beta, mean, var):
        gamma, beta, mean, var = (torch.tensor(a) for a in (gamma, beta, mean, var))
        return functional.batch_norm(u, mean, var, gamma, beta, training=training, eps=eps).numpy()

    folded = EXERCISES["fold_bias"].reference(b, gamma, beta, mean, var)
    near(layer(x @ W, *folded), layer(x @ W + torch.tensor(b), gamma, beta, mean, var))


# --- the catalogue ---------------------------------------------------------------------------


def test_the_catalogue_is_as_rich_as_promised():
    assert len(MISTAKES) >= 85
    assert sum(e.points for e in CHAPTER.exercises) == 43
    assert all(len(e.alternatives) >= 2 for e in CHAPTER.exercises)


@pytest.mark.parametrize("cache", [None, (), [], {"x": 1}, 7, "nothing"])
def test_the_cache_is_free(cache):
    def answer(x, gamma, beta, eps=1e-5):
        return gamma * (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + eps) + beta, cache

    assert judge(EXERCISES["batchnorm_forward"], answer).passed


@pytest.mark.parametrize("square", [np.square, lambda a: a * a, lambda a: np.abs(a) ** 2])
@pytest.mark.parametrize("clip", [False, True])
def test_one_pass_is_named_however_it_is_rounded(square, clip):
    def answer(x, gamma, beta, eps=1e-5):
        mean = x.sum(axis=0) / len(x)
        var = square(x).sum(axis=0) / len(x) - mean * mean
        if clip:
            var = np.maximum(var, 0)
        return gamma * (x - mean) / np.sqrt(var + eps) + beta, None

    report = judge(EXERCISES["batchnorm_forward"], answer)
    assert [d.mistake for d in report.diagnoses] == ["forward_in_one_pass"]


def test_a_mean_in_float32_is_not_called_one_pass():
    def answer(x):
        return ((x - x.mean(axis=0, dtype=np.float32)) ** 2).mean(axis=0).astype(x.dtype)

    for seed in SEEDS:
        report = judge(EXERCISES["stable_variance"], answer, seed=seed)
        assert not report.passed
        assert {d.mistake for d in report.diagnoses} <= {"variance_sums_in_float32"}


@pytest.mark.parametrize(
    "scale",
    [
        lambda x, eps: np.sqrt(x.var(axis=0) + eps**2),
        lambda x, eps: np.maximum(x.std(axis=0), eps),
    ],
)
def test_another_eps_is_not_called_eps_outside_the_root(scale):
    def answer(x, eps=1e-5):
        return scale(x, eps), x.mean(axis=0)

    for seed in SEEDS:
        report = judge(EXERCISES["identity_parameters"], answer, seed=seed)
        assert not report.passed
        assert report.diagnoses == ()


# --- answers with two mistakes at once -------------------------------------------------------


def forward_with(*, ddof=0, inside=True, affine=True, default=1e-5, whole=False):
    def batchnorm_forward(x, gamma, beta, eps=default):
        axis = None if whole else 0
        var = x.var(axis=axis, ddof=ddof)
        std = np.sqrt(var + eps) if inside else np.sqrt(var) + eps
        x_hat = (x - x.mean(axis=axis)) / std
        return (gamma * x_hat + beta if affine else gamma * (x_hat + beta)), None

    return batchnorm_forward


@pytest.mark.parametrize(
    "faults",
    [
        {"ddof": 1, "inside": False},
        {"ddof": 1, "affine": False},
        {"inside": False, "affine": False},
        {"whole": True, "ddof": 1},
        {"default": 1e-3, "affine": False},
    ],
    ids=str,
)
def test_two_mistakes_at_once_get_no_name_that_is_wrong(faults):
    known = {
        "ddof": "forward_divides_by_n_minus_1",
        "inside": "adds_eps_outside_the_root",
        "affine": "shifts_before_scaling",
        "default": "has_the_default_eps_of_keras",
        "whole": "normalizes_the_whole_batch",
    }
    for seed in SEEDS:
        report = judge(EXERCISES["batchnorm_forward"], forward_with(**faults), seed=seed)
        assert not report.passed
        assert {d.mistake for d in report.diagnoses} <= {known[f] for f in faults}


# --- what a student is told ------------------------------------------------------------------


def told(exercise, answer):
    return "\n".join(f.detail for f in judge(EXERCISES[exercise], answer).findings)


def test_a_missing_cache_is_said_in_plain_words():
    detail = told("batchnorm_forward", lambda x, gamma, beta, eps=1e-5: x)
    assert "where a tuple of 2 values is expected" in detail


def test_another_name_for_eps_is_said():
    detail = told("batchnorm_forward", lambda x, gamma, beta, epsilon=1e-5: (x, None))
    assert "unexpected keyword argument 'eps'" in detail


def test_gamma_that_meets_the_width_is_said():
    def answer(x, gamma, beta, eps=1e-5):
        return gamma * x + beta, None

    detail = told("batchnorm2d_forward", answer)
    assert "could not be broadcast together with shapes (3,) (4,3,5,6)" in detail


@pytest.mark.parametrize("exercise", ["batchnorm_forward", "batchnorm2d_forward"])
def test_a_cache_that_comes_first_is_said(exercise):
    def answer(*args, **kwargs):
        y, cache = EXERCISES[exercise].reference(*args, **kwargs)
        return {"std": cache}, y

    assert "the first of the two is a dict; y comes first" in told(exercise, answer)


def test_channels_that_are_looked_for_last_are_not_called_a_reshape():
    def answer(x, gamma, beta, eps=1e-5):
        mean, std = x.mean(axis=(0, 1, 2)), np.sqrt(x.var(axis=(0, 1, 2)) + eps)
        return (x - mean) / std * gamma + beta, None  # the other way round than the catalogue

    report = judge(EXERCISES["batchnorm2d_forward"], answer)
    assert [d.mistake for d in report.diagnoses] == ["takes_the_channels_for_the_last_axis"]


def test_shapes_that_do_not_fit_come_with_advice():
    detail = told("batchnorm_forward", lambda x, gamma, beta, eps=1e-5: x - x.mean(axis=1))
    assert "is `keepdims=True` missing" in detail
