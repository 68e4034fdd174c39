"""The chapter on relatives: references agree with torch, merging is exact, and answers are read."""

import inspect
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.chapters.relatives import CHAPTER, explained, incoming, layer_cache
from autograder.exercise import Tolerance
from autograder.judge import judge

torch = pytest.importorskip("torch")
functional = torch.nn.functional

EXERCISES = {e.name: e for e in CHAPTER.exercises}
MISTAKES = [(e, m) for e in CHAPTER.exercises for m in e.mistakes]
seeds = st.integers(0, 10**6)
epsilons = st.sampled_from([1e-5, 1e-3, 0.1])
many = settings(max_examples=40, deadline=None)


def right_answers(name):
    """The reference and all alternatives of an exercise."""
    return [EXERCISES[name].reference, *EXERCISES[name].alternatives]


def near(got, expected):
    np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-10)


def draw(seed, *shape):
    """Numbers whose scale and centre differ along every axis, and the generator for more."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    for axis in range(len(shape)):
        along = [n if a == axis else 1 for a, n in enumerate(shape)]
        x = x * 10.0 ** rng.uniform(-0.7, 0.7, size=along) + rng.normal(size=along)
    return x, rng


def tensors(*arrays):
    return tuple(torch.tensor(a) for a in arrays)


# --- forward passes --------------------------------------------------------------------------


@many
@given(seeds, st.tuples(*[st.integers(2, 5)] * 4), epsilons)
def test_normalize_is_batch_layer_instance_and_group_normalization(seed, shape, eps):
    N, C, H, W = shape
    x, _ = draw(seed, N, 2 * C, H, W)
    (t,) = tensors(x)
    for f in right_answers("normalize"):
        near(f(x, (0, 2, 3), eps), functional.batch_norm(t, None, None, training=True, eps=eps))
        near(f(x, (2, 3), eps), functional.instance_norm(t, eps=eps))
        near(f(x, (1, 2, 3), eps), functional.layer_norm(t, (2 * C, H, W), eps=eps))
        grouped = f(x.reshape(N, 2, C, H, W), (2, 3, 4), eps).reshape(x.shape)
        near(grouped, functional.group_norm(t, 2, eps=eps))


@pytest.mark.parametrize("axes", [0, 1, -1, (0, 1), (-1, -3), (2, 0, 1)])
def test_normalize_takes_axes_as_numpy_does(axes):
    x, _ = draw(0, 4, 3, 5)
    expected = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-5)
    for f in right_answers("normalize"):
        near(f(x, axes), expected)


shapes = st.one_of(
    st.tuples(st.integers(1, 6), st.integers(2, 7)),
    st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(2, 6)),
)


@many
@given(seeds, shapes, epsilons)
def test_layer_and_rms_normalization_agree_with_torch(seed, shape, eps):
    x, rng = draw(seed, *shape)
    D = shape[-1]
    gamma, beta = rng.normal(size=(2, D))
    t, g, b = tensors(x, gamma, beta)
    for f in right_answers("layernorm_forward"):
        y, cache = f(x, gamma, beta, eps)
        near(y, functional.layer_norm(t, (D,), g, b, eps=eps))
        near(cache["x_hat"], functional.layer_norm(t, (D,), eps=eps))
        near(cache["std"], torch.sqrt(t.var(-1, correction=0, keepdim=True) + eps))
    for f in right_answers("rmsnorm_forward"):
        near(f(x, gamma, eps), functional.rms_norm(t, (D,), g, eps=eps))


@many
@given(seeds, st.tuples(*[st.integers(1, 4)] * 4), st.integers(1, 4), epsilons)
def test_group_normalization_agrees_with_torch(seed, shape, size, eps):
    N, groups, H, W = shape
    C = groups * size
    if size * H * W == 1:
        size, C = 2, 2 * groups  # torch refuses sets of one value
    x, rng = draw(seed, N, C, H, W)
    gamma, beta = rng.normal(size=(2, C))
    t, g, b = tensors(x, gamma, beta)
    for f in right_answers("groupnorm_forward"):
        near(f(x, gamma, beta, groups, eps), functional.group_norm(t, groups, g, b, eps=eps))


@pytest.mark.parametrize(("channels", "groups"), [(6, 4), (5, 2), (3, 6), (4, 3)])
def test_unequal_groups_are_refused_as_by_torch(channels, groups):
    x, rng = draw(1, 2, channels, 4, 3)
    gamma, beta = rng.normal(size=(2, channels))
    with pytest.raises(RuntimeError):
        functional.group_norm(torch.tensor(x), groups)
    for f in right_answers("groupnorm_forward"):
        with pytest.raises(ValueError, match=r"."):
            f(x, gamma, beta, groups)


def test_defaults_are_those_of_torch():
    for name, layer in (
        ("layernorm_forward", torch.nn.LayerNorm(2)),
        ("groupnorm_forward", torch.nn.GroupNorm(1, 2)),
        ("normalize", torch.nn.InstanceNorm2d(2)),
        ("batch_renorm_forward", torch.nn.BatchNorm1d(2)),
    ):
        assert inspect.signature(EXERCISES[name].reference).parameters["eps"].default == layer.eps


# --- layer normalization, backward -----------------------------------------------------------


@many
@given(seeds, shapes, epsilons)
def test_layer_gradients_agree_with_autograd(seed, shape, eps):
    x, rng = draw(seed, *shape)
    D = shape[-1]
    gamma, beta = rng.normal(size=(2, D))
    dy = rng.normal(size=shape)
    inputs = [torch.tensor(a, requires_grad=True) for a in (x, gamma, beta)]
    y = functional.layer_norm(inputs[0], (D,), *inputs[1:], eps=eps)
    expected = torch.autograd.grad(y, inputs, torch.tensor(dy))
    _, cache = EXERCISES["layernorm_forward"].reference(x, gamma, beta, eps)
    for f in right_answers("layernorm_backward"):
        for got, right in zip(f(dy, cache), expected, strict=True):
            near(got, right)


@pytest.mark.parametrize("shape", [(3, 5), (2, 3, 4), (1, 2)])
def test_layer_gradients_agree_with_finite_differences(shape):
    x, rng = draw(2, *shape)
    gamma, beta = rng.normal(size=(2, shape[-1]))
    dy = rng.normal(size=shape)
    forward = EXERCISES["layernorm_forward"].reference
    arrays = {"x": x, "gamma": gamma, "beta": beta}
    _, cache = forward(**arrays, eps=1e-2)
    gradients = EXERCISES["layernorm_backward"].reference(dy, cache)
    h = 1e-6
    for (name, array), gradient in zip(arrays.items(), gradients, strict=True):
        for i in np.ndindex(array.shape):
            values = []
            for step in (h, -h):
                moved = array.copy()
                moved[i] += step
                values.append((forward(**{**arrays, name: moved}, eps=1e-2)[0] * dy).sum())
            slope = (values[0] - values[1]) / (2 * h)
            assert gradient[i] == pytest.approx(slope, rel=1e-6, abs=1e-7)


def test_layer_normalization_backward_is_that_of_the_transposed_batch():
    """torch's batch normalization of the transposed table, with gamma already in the gradient."""
    x, rng = draw(3, 6, 4)
    dy, gamma = rng.normal(size=(6, 4)), rng.normal(size=4)
    t = torch.tensor(x.T, requires_grad=True)
    y = functional.batch_norm(t, None, None, training=True, eps=1e-5)
    (transposed,) = torch.autograd.grad(y, t, torch.tensor((dy * gamma).T))
    _, cache = EXERCISES["layernorm_forward"].reference(x, gamma, np.zeros(4))
    near(EXERCISES["layernorm_backward"].reference(dy, cache)[0], transposed.numpy().T)


def said_of(dx_of):
    """What a fit says about a wrong dx."""
    x, dy = incoming(np.random.default_rng(0), 6)
    cache = layer_cache(x)
    right = EXERCISES["layernorm_backward"].reference(dy, cache)[0]
    g, x_hat, std = dy * cache["gamma"], cache["x_hat"], cache["std"]
    return explained(right, dy, cache).explain(right, dx_of(g, x_hat, std))


def mean(a):
    return a.mean(axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("dx_of", "expected"),
    [
        (
            lambda g, x_hat, std: (g - x_hat * mean(g * x_hat)) / std,
            "the term of the mean (the same for all features) is missing",
        ),
        (
            lambda g, x_hat, std: (g - mean(g) - 8 * x_hat * mean(g * x_hat)) / std,
            "the term of the variance (a multiple of x̂) is D times too large",
        ),
        (
            lambda g, x_hat, std: g - mean(g) - x_hat * mean(g * x_hat),
            "sample by sample: each of its three terms is not divided by σ",
        ),
        (
            lambda g, x_hat, std: (g - g.mean(axis=0) - x_hat * mean(g * x_hat)) / std,
            "It is not made of γ·dy, 1 and x̂ alone",
        ),
    ],
    ids=["no mean", "sum for mean", "no deviation", "mean of another axis"],
)
def test_a_wrong_gradient_is_taken_apart_sample_by_sample(dx_of, expected):
    sentence = said_of(dx_of)
    assert expected in sentence
    assert "feature by feature" not in sentence


@pytest.mark.parametrize("dx", [None, "nothing", 3.0, np.zeros(3), np.full((6, 8), np.nan)])
def test_what_is_no_gradient_is_not_taken_apart(dx):
    assert said_of(lambda *_: dx) == ""


@pytest.mark.parametrize(
    "dx",
    [0.0, np.zeros((5, 8)), np.where(np.eye(5, 8), 1e-11, 0)],
    ids=["a number", "an array", "an array of nearly zeros"],
)
def test_a_gradient_of_zeros_earns_nothing_for_its_row_sums(dx):
    report = judge(
        EXERCISES["layernorm_backward"], lambda dy, cache: (dx, np.zeros(8), np.zeros(8))
    )
    assert report.earned <= 1  # for leaving its arguments alone


# --- merging ---------------------------------------------------------------------------------


def reports(parts):
    counts = [len(p) for p in parts]
    features = parts[0].shape[1]
    nothing = np.full(features, np.nan)
    means = np.array([p.mean(axis=0) if len(p) else nothing for p in parts])
    variances = np.array([p.var(axis=0) if len(p) else nothing for p in parts])
    return counts, means, variances


@many
@given(seeds, st.integers(1, 40), st.integers(1, 4), st.lists(st.integers(0, 40), max_size=6))
def test_any_partition_merges_to_the_whole(seed, samples, features, cuts):
    x, _ = draw(seed, samples, features)
    parts = np.split(x, sorted(min(c, samples) for c in cuts))  # some are empty
    for f in right_answers("merge_statistics"):
        count, got_mean, var = f(*reports(parts))
        assert count == samples
        near(got_mean, x.mean(axis=0))
        near(var, x.var(axis=0))


@pytest.mark.parametrize("center", [1e6, -1e9])
def test_merging_keeps_its_digits_far_from_zero(center):
    x, _ = draw(4, 60, 3)
    x = np.round(x * 1024) / 1024 + center  # exact in float64
    parts = np.split(x, [7, 8, 40])
    for f in right_answers("merge_statistics"):
        _, _, var = f(*reports(parts))
        np.testing.assert_allclose(var, (x - center).var(axis=0), rtol=1e-5)


def test_the_order_of_the_workers_does_not_matter():
    x, _ = draw(5, 20, 2)
    parts = np.split(x, [3, 4, 11])
    merged = [
        EXERCISES["merge_statistics"].reference(*reports(order))
        for order in itertools.permutations(parts)
    ]
    for count, got_mean, var in merged:
        assert count == 20
        near(got_mean, merged[0][1])
        near(var, merged[0][2])


def test_merged_statistics_are_those_of_synchronized_batch_normalization():
    """Normalized by merged statistics, each worker has its part of the whole batch's output."""
    x, _ = draw(6, 12, 3)
    parts = np.split(x, [2, 9])
    _, got_mean, var = EXERCISES["merge_statistics"].reference(*reports(parts))
    whole = functional.batch_norm(torch.tensor(x), None, None, training=True)
    near(np.concatenate([(p - got_mean) / np.sqrt(var + 1e-5) for p in parts]), whole)


# --- batch renormalization -------------------------------------------------------------------


def renorm_scene(seed, samples, features):
    x, rng = draw(seed, samples, features)
    gamma, beta, running_mean = rng.normal(size=(3, features))
    return x, gamma, beta, running_mean, 10.0 ** rng.uniform(-1.5, 1.5, size=features)


@many
@given(seeds, st.integers(2, 8), st.integers(1, 5), st.floats(1, 5), st.floats(0, 5), epsilons)
def test_renormalization_is_batch_normalization_with_another_scale_and_shift(
    seed, samples, features, r_max, d_max, eps
):
    x, gamma, beta, running_mean, running_var = renorm_scene(seed, samples, features)
    for f in right_answers("batch_renorm_forward"):
        y, r, d = f(x, gamma, beta, running_mean, running_var, r_max, d_max, eps)
        t, scale, shift = tensors(x, gamma * r, gamma * d + beta)
        near(y, functional.batch_norm(t, None, None, scale, shift, training=True, eps=eps))
        assert np.all((r >= 1 / r_max - 1e-12) & (r <= r_max + 1e-12))
        assert np.all(np.abs(d) <= d_max)


@many
@given(seeds, st.integers(1, 8), st.integers(1, 5), epsilons)
def test_unlimited_renormalization_is_inference(seed, samples, features, eps):
    x, gamma, beta, running_mean, running_var = renorm_scene(seed, samples, features)
    t, m, v, g, b = tensors(x, running_mean, running_var, gamma, beta)
    expected = functional.batch_norm(t, m, v, g, b, training=False, eps=eps)
    for f in right_answers("batch_renorm_forward"):
        y, _, _ = f(x, gamma, beta, running_mean, running_var, 1e9, 1e9, eps)
        near(y, expected)


def test_closed_limits_are_batch_normalization():
    scene = renorm_scene(7, 6, 4)
    for f in right_answers("batch_renorm_forward"):
        y, r, d = f(*scene, 1.0, 0.0)
        t, g, b = tensors(*scene[:3])
        near(y, functional.batch_norm(t, None, None, g, b, training=True))
        assert np.all(r == 1)
        assert np.all(d == 0)


def test_with_constant_corrections_the_gradient_is_r_times_that_of_batch_normalization():
    """What the notebook and the page say of the backward pass, by autograd."""
    x, gamma, beta, running_mean, running_var = renorm_scene(8, 6, 3)
    _, r, d = EXERCISES["batch_renorm_forward"].reference(
        x, gamma, beta, running_mean, running_var, 3.0, 5.0
    )
    dy = torch.tensor(np.random.default_rng(0).normal(size=x.shape))
    t, g, b = (torch.tensor(a, requires_grad=a is x) for a in (x, gamma, beta))
    std = torch.sqrt(t.var(0, correction=0) + 1e-5)
    corrected = g * ((t - t.mean(0)) / std * torch.tensor(r) + torch.tensor(d)) + b
    (got,) = torch.autograd.grad(corrected, t, dy)
    plain = functional.batch_norm(t, None, None, g, b, training=True)
    (expected,) = torch.autograd.grad(plain, t, dy)
    near(got, r * expected.numpy())


# --- the catalogue ---------------------------------------------------------------------------


def test_the_catalogue_is_as_rich_as_promised():
    assert len(MISTAKES) >= 140
    assert sum(e.points for e in CHAPTER.exercises) == 77
    assert all(len(e.alternatives) >= 2 for e in CHAPTER.exercises)
    assert all(any(p.hidden for p in e.probes) for e in CHAPTER.exercises)


def test_a_student_already_reads_the_right_name_of_a_mistake():
    """Without the hidden probes, too: a wrong name would be worse than none."""
    only_when_graded = set()
    for exercise, known in MISTAKES:
        report = judge(exercise, known.implementation, seed=600, hidden=False)
        if report.passed:
            only_when_graded.add(known.name)
            continue
        assert [d.mistake for d in report.diagnoses] == [known.name]
    assert only_when_graded == {"idle_workers_spoil_everything"}


# --- answers that the catalogue does not hold ------------------------------------------------


def diagnoses(name, answer, seed=602):
    report = judge(EXERCISES[name], answer, seed=seed)
    assert not report.passed
    return {d.mistake for d in report.diagnoses}


def test_batch_normalization_by_torch_is_named_in_place_of_layer_normalization():
    def answer(x, gamma, beta, eps=1e-5):
        if x.ndim != 2:
            raise ValueError("a table is expected")
        t, g, b = tensors(x, gamma, beta)
        if len(x) == 1:
            return np.broadcast_to(beta, x.shape).copy(), {"x_hat": 0 * x, "std": 1, "gamma": gamma}
        y = functional.batch_norm(t, None, None, g, b, training=True, eps=eps).numpy()
        std = np.sqrt(x.var(axis=0, keepdims=True) + eps)
        return y, {"x_hat": (x - x.mean(axis=0)) / std, "std": std, "gamma": gamma}

    assert "layernorm_over_the_batch" in diagnoses("layernorm_forward", answer)


def test_swapped_groups_are_named_however_they_are_written():
    def answer(x, gamma, beta, groups, eps=1e-5):
        t, g, b = tensors(x, gamma, beta)
        if x.shape[1] % groups:
            raise ValueError("unequal groups")
        return functional.group_norm(t, x.shape[1] // groups, g, b, eps=eps).numpy()

    assert diagnoses("groupnorm_forward", answer) == {"takes_groups_for_the_group_size"}


def test_two_mistakes_at_once_get_no_name_that_is_wrong():
    def answer(x, gamma, eps=1e-5):
        centered = x - x.mean(axis=-1, keepdims=True)
        return gamma * centered / (np.sqrt((centered**2).mean(axis=-1, keepdims=True)) + eps)

    assert diagnoses("rmsnorm_forward", answer) <= {
        "rms_subtracts_the_mean",
        "rms_adds_eps_outside_the_root",
    }


@pytest.mark.parametrize("value", [np.nan, 0.0])
@pytest.mark.parametrize("name", ["normalize", "rmsnorm_forward"])
def test_an_array_of_one_number_is_not_told_of_a_mistake_that_it_does_not_hold(name, value):
    assert diagnoses(name, lambda x, _, eps=1e-5: np.full_like(x, value)) == set()


@pytest.mark.parametrize("unlimited", ["r", "d"])
def test_a_correction_that_is_clipped_is_not_said_to_be_unclipped(unlimited):
    def answer(x, gamma, beta, running_mean, running_var, r_max, d_max, eps=1e-5):
        mean, std = x.mean(axis=0), np.sqrt(x.var(axis=0) + eps)
        running_std = np.sqrt(running_var + eps)
        r, d = std / running_std, (mean - running_mean) / running_std
        r = r if unlimited == "r" else np.clip(r, 1 / r_max, r_max)
        d = d if unlimited == "d" else np.clip(d, -d_max, d_max)
        return gamma * ((x - mean) / std * r + d) + beta, r, d

    assert diagnoses("batch_renorm_forward", answer) == {f"does_not_clip_{unlimited}"}


@pytest.mark.parametrize(
    ("cache", "said"),
    [
        (lambda x_hat, std, gamma: {"x_hat": x_hat, "gamma": gamma}, "the key 'std' is missing"),
        (lambda *parts: parts, "it is a tuple of 3 where a dict is expected"),
        (lambda *parts: None, "it is None where a dict of 3 is expected"),
    ],
)
def test_a_cache_that_lacks_something_is_told_so(cache, said):
    def answer(*args, **kwargs):
        y, kept = EXERCISES["layernorm_forward"].reference(*args, **kwargs)
        return y, cache(*kept.values())

    report = judge(EXERCISES["layernorm_forward"], answer)
    (finding,) = [f for f in report.findings if f.detail]
    assert finding.detail == f"the cache: {said}"
    assert report.earned == 8


def test_the_tolerance_is_no_wider_than_rounding_needs():
    usual = Tolerance(relative=1e-6, absolute=1e-8)
    others = {e.name: e.tolerance for e in CHAPTER.exercises if e.tolerance != usual}
    assert others == {
        "layernorm_backward": Tolerance(relative=1e-9, absolute=1e-10),  # less than float32 leaves
        "merge_statistics": Tolerance(relative=1e-5, absolute=1e-5),  # more than float32 leaves
    }


def test_what_becomes_of_the_entries_of_the_cache_does_not_count():
    def answer(dy, cache):
        return EXERCISES["layernorm_backward"].reference(
            dy, {key: cache.pop(key) for key in ("x_hat", "std", "gamma")}
        )

    assert judge(EXERCISES["layernorm_backward"], answer).passed


def test_an_average_over_the_groups_is_not_called_a_wrong_group_size():
    def answer(x, gamma, beta, groups, eps=1e-5):
        N, C, H, W = x.shape
        if C % groups:
            raise ValueError("unequal groups")
        sets = x.reshape(N, groups, -1, H, W)
        sets = sets - sets.mean(axis=(1, 3, 4), keepdims=True)
        sets = sets / np.sqrt((sets**2).mean(axis=(1, 3, 4), keepdims=True) + eps)
        return gamma[:, None, None] * sets.reshape(x.shape) + beta[:, None, None]

    assert diagnoses("groupnorm_forward", answer) == {"averages_over_the_groups"}
