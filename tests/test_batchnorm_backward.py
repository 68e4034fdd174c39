"""The chapter on the backward pass: right references, and mistakes that are caught and named."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder import paths
from autograder.chapters import batchnorm_backward as module
from autograder.chapters.batchnorm_backward import CHAPTER, FUNCTIONS
from autograder.judge import judge

torch = pytest.importorskip("torch")

EXERCISES = {e.name: e for e in CHAPTER.exercises}
MISTAKES = [(e, m) for e in CHAPTER.exercises for m in e.mistakes]
SHAPES = [(2, 1), (3, 4), (8, 4), (30, 2)]


def near(got, expected, rtol=1e-10):
    np.testing.assert_allclose(got, expected, rtol=rtol, atol=1e-10)


def drawn(shape, seed=0, eps=1e-5):
    """An input, an incoming gradient and the notebook's cache, for tables and images."""
    rng = np.random.default_rng([seed, *shape])
    features = (shape[1], *(1,) * (len(shape) - 2))
    x = rng.normal(size=shape) * rng.uniform(0.5, 3, features) + rng.normal(size=features)
    axes = (0, *range(2, len(shape)))
    mean, var = x.mean(axis=axes, keepdims=True), x.var(axis=axes, keepdims=True)
    cache = {
        "x": x,
        "mean": mean.ravel(),
        "var": var.ravel(),
        "x_hat": (x - mean) / np.sqrt(var + eps),
        "gamma": rng.uniform(0.5, 2, shape[1]) * rng.choice([-1, 1], shape[1]),
        "eps": eps,
    }
    return rng.normal(size=shape), cache


def theirs(dy, cache, running=None):
    """The gradients (dx, dgamma, dbeta) by PyTorch."""
    x, gamma = (torch.tensor(cache[k], requires_grad=True) for k in ("x", "gamma"))
    beta = torch.zeros_like(gamma).requires_grad_()
    mean, var = running or (None, None)
    y = torch.nn.functional.batch_norm(
        x, mean, var, gamma, beta, training=running is None, eps=cache["eps"]
    )
    return [g.numpy() for g in torch.autograd.grad(y, (x, gamma, beta), torch.tensor(dy))]


def differences(loss, x, h=1e-5):
    found = np.empty(x.shape)
    for i in np.ndindex(x.shape):
        step = np.zeros(x.shape)
        step[i] = h
        found[i] = (loss(x + step) - loss(x - step)) / (2 * h)
    return found


# --- against PyTorch and finite differences --------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("eps", [1e-5, 0.3])
def test_tables_agree_with_torch(shape, eps):
    dy, cache = drawn(shape, eps=eps)
    for got, expected in zip(
        EXERCISES["batchnorm_backward"].reference(dy, cache), theirs(dy, cache), strict=True
    ):
        near(got, expected)


@pytest.mark.parametrize("shape", [(4, 3, 2, 5), (1, 2, 3, 3), (3, 4, 2, 4)])
def test_images_agree_with_torch(shape):
    dy, cache = drawn(shape)
    answer = EXERCISES["batchnorm2d_backward"].reference(dy, cache)
    for got, expected in zip(answer, theirs(dy, cache), strict=True):
        near(got, expected)


@pytest.mark.parametrize("shape", [*SHAPES, (1, 3)])
def test_inference_agrees_with_torch(shape):
    dy, cache = drawn(shape)
    rng = np.random.default_rng(1)
    cache["running_mean"] = rng.normal(size=shape[1])
    cache["running_var"] = rng.uniform(0.5, 2, shape[1])
    running = [torch.tensor(cache[k]) for k in ("running_mean", "running_var")]
    answer = EXERCISES["batchnorm_backward_eval"].reference(dy, cache)
    for got, expected in zip(answer, theirs(dy, cache, running), strict=True):
        near(got, expected)


def test_every_intermediate_agrees_with_torch():
    dy, cache = drawn((7, 3))
    x = torch.tensor(cache["x"], requires_grad=True)
    nodes = {"x": x, "mean": x.mean(0)}
    nodes["centered"] = x - nodes["mean"]
    nodes["squared"] = nodes["centered"] ** 2
    nodes["var"] = nodes["squared"].mean(0)
    nodes["std"] = torch.sqrt(nodes["var"] + cache["eps"])
    nodes["inv_std"] = 1 / nodes["std"]
    nodes["x_hat"] = nodes["centered"] * nodes["inv_std"]
    nodes["gamma"] = torch.tensor(cache["gamma"], requires_grad=True)
    nodes["beta"] = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    y = nodes["gamma"] * nodes["x_hat"] + nodes["beta"]
    grads = torch.autograd.grad(y, list(nodes.values()), torch.tensor(dy))
    answer = EXERCISES["batchnorm_backward_staged"].reference(dy, cache)
    assert set(answer) == {f"d{name}" for name in nodes}
    for name, expected in zip(nodes, grads, strict=True):
        near(answer[f"d{name}"], expected.numpy())


def test_the_input_agrees_with_finite_differences():
    dy, cache = drawn((6, 3))

    def loss(x):
        x_hat = (x - x.mean(0)) / np.sqrt(x.var(0) + cache["eps"])
        return (dy * cache["gamma"] * x_hat).sum()

    expected = differences(loss, cache["x"])
    near(EXERCISES["batchnorm_backward"].reference(dy, cache)[0], expected, rtol=1e-6)


@pytest.mark.parametrize("eps", [1e-5, 0.5])
@pytest.mark.parametrize("n", [2, 3, 9])
def test_the_jacobian_agrees_with_finite_differences(n, eps):
    x = 3 * np.random.default_rng(n).normal(size=n) + 7

    def output(i):
        return lambda x: ((x - x.mean()) / np.sqrt(x.var() + eps))[i]

    J = EXERCISES["batchnorm_jacobian"].reference(x, eps)
    np.testing.assert_allclose(J, [differences(output(i), x) for i in range(n)], atol=1e-8)
    assert (
        np.linalg.matrix_rank(EXERCISES["batchnorm_jacobian"].reference(x, 0.0), tol=1e-8) == n - 2
    )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_formulas_that_gradients_are_checked_against_agree_with_differences(name):
    x, dy, dx = module.problem(np.random.default_rng(0), name)
    near(dx, differences(lambda x: (dy * FUNCTIONS[name](x)).sum(), x), rtol=1e-6)
    accepted, error = EXERCISES["gradient_check"].reference(name, x, dy, dx)
    assert accepted
    assert error < 1e-8


# --- the catalogue ---------------------------------------------------------------------------


def test_the_catalogue_is_as_rich_as_promised():
    assert len(MISTAKES) >= 60
    assert sum(e.points for e in CHAPTER.exercises) >= 50
    assert all(len(e.alternatives) >= 2 for e in CHAPTER.exercises)


@pytest.mark.parametrize("verdict", [True, False])
def test_a_check_that_always_says_the_same_earns_little(verdict):
    report = judge(EXERCISES["gradient_check"], lambda *a, **k: (verdict, 0.0))
    assert report.earned <= 4
    assert not report.passed


# --- what a fit says of an answer that is no known mistake -----------------------------------


def told(dx):
    """What a student reads whose dx is the right one, changed by ``dx(terms, cache)``."""

    def answer(dy, cache):
        std = np.sqrt(cache["var"] + cache["eps"])
        x_hat, scale = cache["x_hat"], cache["gamma"] / std
        terms = (scale * dy, -scale * dy.mean(0), -scale * x_hat * (dy * x_hat).mean(0))
        return dx(*terms, cache), (dy * x_hat).sum(0), dy.sum(0)

    report = judge(EXERCISES["batchnorm_backward"], answer)
    finding = next(f for f in report.findings if f.probe == "gradient_of_the_input")
    return finding.detail


@pytest.mark.parametrize(
    ("dx", "sentence"),
    [
        (lambda d, m, v, c: d - m - v, "(the same for all samples) has the wrong sign"),
        (lambda d, m, v, c: -d + m + v, "the direct term (dy) has the wrong sign; "),
        (lambda d, m, v, c: 0 * d + m, "the direct term (dy) is missing"),
        (lambda d, m, v, c: d + m / 8 + v, "(the same for all samples) is N times too small"),
        (lambda d, m, v, c: d + m + v * 8 / 7, "(a multiple of x̂) is N/(N-1) times too large"),
        (lambda d, m, v, c: d + m + v / c["gamma"], "(a multiple of x̂) lacks its factor γ"),
        (lambda d, m, v, c: (d + m + v) * c["gamma"], "its three terms has its factor γ twice"),
        (
            lambda d, m, v, c: d + (m + v) * np.sqrt(c["var"] + c["eps"]),
            "(the same for all samples) is not divided by σ",
        ),
        (lambda d, m, v, c: (d + m + v) * 2, "each of its three terms is twice what it should be"),
        (lambda d, m, v, c: d + m + 3 * v, "(a multiple of x̂) is 3 times what it should be"),
        (lambda d, m, v, c: d + m + v + c["x_hat"] ** 2, "something else has been mixed in"),
    ],
)
def test_a_fit_names_the_term_that_is_wrong(dx, sentence):
    assert sentence in told(dx)


def test_a_fit_finds_terms_where_none_belong():
    def answer(dy, cache):
        std = np.sqrt(cache["running_var"] + cache["eps"])
        x_hat = (cache["x"] - cache["running_mean"]) / std
        return cache["gamma"] / std * (dy - 2 * dy.mean(0)), (dy * x_hat).sum(0), dy.sum(0)

    report = judge(EXERCISES["batchnorm_backward_eval"], answer)
    assert "the term of the mean (the same for all samples) is there, where none belongs" in str(
        report.findings[0].detail
    )


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([(8, 4), (5, 2), (2, 3, 2, 2)]))
def test_a_fit_says_nothing_bad_of_a_right_gradient(seed, shape):
    dy, cache = drawn(shape, seed)
    name = "batchnorm_backward" if len(shape) == 2 else "batchnorm2d_backward"
    dx = EXERCISES[name].reference(dy, cache)[0]
    std = np.sqrt(cache["var"] + cache["eps"])
    say = paths.explain(dy, cache["x_hat"], cache["gamma"], std)
    assert all(f"{term} is right" in say(dx, dx) for term in paths.TERMS)


@pytest.mark.parametrize(
    "got", [None, 3.0, np.ones(3), np.full((8, 4), np.nan), np.ones((8, 4), dtype=int), "dx"]
)
def test_a_fit_has_nothing_to_say_of_what_is_no_gradient(got):
    dy, cache = drawn((8, 4))
    dx = EXERCISES["batchnorm_backward"].reference(dy, cache)[0]
    assert paths.explain(dy, cache["x_hat"], cache["gamma"], cache["var"])(dx, got) == ""


@pytest.mark.parametrize(
    "name", ["batchnorm_backward_staged", "batchnorm_backward", "batchnorm2d_backward"]
)
@pytest.mark.parametrize("put", [True, False])
def test_what_becomes_of_the_entries_of_the_cache_does_not_count(name, put):
    """They do not come back from a worker, so a check in the notebook must not look at them."""

    def answer(dy, cache):
        result = EXERCISES[name].reference(dy, cache)
        for key in list(cache):
            if put:
                cache[key] = None
            else:
                del cache[key]
        return result

    assert judge(EXERCISES[name], answer).passed


def test_answers_that_look_at_nothing_earn_next_to_nothing():
    def no_gradient(dy, cache):
        return 0 * dy, 0 * cache["gamma"], 0 * cache["gamma"]

    def hardly_any(dy, cache):
        return 1e-11 * dy, 0 * cache["gamma"], 0 * cache["gamma"]

    for answer in (no_gradient, hardly_any):
        assert judge(EXERCISES["batchnorm_backward"], answer).earned == 0
    for always in ((True, 0.0), (False, 1.0)):
        report = judge(EXERCISES["gradient_check"], lambda *args, always=always, **kwargs: always)
        assert report.earned == 0


def test_a_mean_of_too_much_is_not_called_the_direct_path_alone():
    def answer(dy, cache):
        x_hat = cache["x_hat"]
        inner = dy.mean(axis=0) + np.mean(dy * x_hat**2, axis=0)
        dx = cache["gamma"] * (dy - inner) / np.sqrt(cache["var"] + cache["eps"])
        return dx, (dy * x_hat).sum(axis=0), dy.sum(axis=0)

    report = judge(EXERCISES["batchnorm_backward"], answer)
    assert [d.mistake for d in report.diagnoses] == ["averages_x_hat_away"]


@pytest.mark.parametrize("seed", range(5))
def test_an_error_that_is_the_tolerance_is_accepted(seed):
    exercise = EXERCISES["gradient_check"]

    def strict(name, x, dy, dx, h=1e-5, tolerance=1e-6):
        _, error = exercise.reference(name, x, dy, dx, h)
        return error < tolerance, error

    report = judge(exercise, strict, seed=seed)
    assert report.earned == 9
    assert [d.mistake for d in report.diagnoses] == ["wants_to_be_below_the_tolerance"]


def test_what_is_said_of_the_jacobian_names_nothing_that_it_does_not_have():
    for known in EXERCISES["batchnorm_jacobian"].mistakes:
        assert not {"cache", "dx", "dy", "y"} & set(re.findall(r"\w+", known.summary + known.hint))
