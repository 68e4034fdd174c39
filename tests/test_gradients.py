"""The chapter on depth: references agree with PyTorch, mistakes are named, the lab is right."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from autograder.chapters import gradients
from autograder.judge import judge

ACTIVATIONS = ("sigmoid", "tanh", "relu")
EXERCISES = {exercise.name: exercise for exercise in gradients.CHAPTER.exercises}


def implementations(name):
    """The reference and all alternatives of an exercise."""
    exercise = EXERCISES[name]
    return [exercise.reference, *exercise.alternatives]


def network(seed=0, sizes=(7, 12, 5, 9, 9), gain=1.7):
    rng = np.random.default_rng(seed)
    weights = gradients.network(rng, sizes, gain)
    return rng.normal(size=(11, sizes[0])), weights, rng.normal(size=(11, sizes[-1]))


# --- the references --------------------------------------------------------------------------


def torch_layers(X, weights, activation):
    torch = pytest.importorskip("torch")
    layers = [torch.tensor(X, requires_grad=True)]
    for W in weights:
        layers.append(getattr(torch, activation)(layers[-1] @ torch.tensor(W)))
    return layers


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("f", implementations("layer_gradient_norms"))
def test_gradients_agree_with_autograd(f, activation):
    torch = pytest.importorskip("torch")
    X, weights, upstream = network()
    layers = torch_layers(X, weights, activation)
    loss = (layers[-1] * torch.tensor(upstream)).sum()
    found = [g.norm().item() for g in torch.autograd.grad(loss, layers)]
    np.testing.assert_allclose(f(X, weights, activation, upstream), found, rtol=1e-12)


def test_autograd_agrees_that_relu_has_slope_zero_at_zero():
    torch = pytest.importorskip("torch")
    X, weights, upstream = network(sizes=(9, 9, 9))
    X[:3] = 0.0
    layers = torch_layers(X, weights, "relu")
    loss = (layers[-1] * torch.tensor(upstream)).sum()
    found = [g.norm().item() for g in torch.autograd.grad(loss, layers)]
    ours = gradients.layer_gradient_norms(X, weights, "relu", upstream)
    np.testing.assert_allclose(ours, found, rtol=1e-12)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
def test_gradients_agree_with_finite_differences(activation):
    X, weights, upstream = network()

    def loss(X):
        for W in weights:
            X = {"sigmoid": lambda u: 1 / (1 + np.exp(-u)), "tanh": np.tanh}[activation](X @ W)
        return (X * upstream).sum()

    slopes = np.zeros_like(X)
    for i in np.ndindex(X.shape):
        step = np.zeros_like(X)
        step[i] = 1e-5
        slopes[i] = (loss(X + step) - loss(X - step)) / 2e-5
    ours = gradients.layer_gradient_norms(X, weights, activation, upstream)
    assert ours[0] == pytest.approx(np.linalg.norm(slopes), rel=1e-8)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("f", implementations("forward_statistics"))
def test_statistics_agree_with_torch(f, activation):
    X, weights, _ = network(gain=4.0)
    layers = [h.detach() for h in torch_layers(X, weights, activation)[1:]]
    found = f(X, weights, activation)
    np.testing.assert_allclose(found["mean"], [h.mean().item() for h in layers], atol=1e-13)
    np.testing.assert_allclose(
        found["std"], [h.std(correction=0).item() for h in layers], rtol=1e-12
    )
    low, high = {"sigmoid": (0.005, 0.995), "tanh": (-0.99, 0.99), "relu": (1e-300, np.inf)}[
        activation
    ]
    flat = [((h < low) | (h > high)).double().mean().item() for h in layers]
    np.testing.assert_allclose(found["saturated"], flat, rtol=1e-12)


def test_the_default_margin_is_two_per_cent_of_the_slope():
    for slope, share in ((1 - 0.99**2, 0.02), (0.995 * 0.005 / 0.25, 0.02)):
        assert 0.95 * share < slope < share


@pytest.mark.parametrize("fans", [(30, 500), (500, 30), (64, 64)])
def test_initializations_agree_with_torch(fans):
    torch = pytest.importorskip("torch")
    init = torch.nn.init
    fan_in, fan_out = fans
    weight = torch.empty(fan_out, fan_in, dtype=torch.float64)  # PyTorch's way round
    draws = 8
    generator = torch.Generator().manual_seed(0)
    drawn = {
        "xavier": np.mean(
            [init.xavier_normal_(weight, generator=generator).std() for _ in range(draws)]
        ),
        "he": np.mean(
            [
                init.kaiming_normal_(weight, nonlinearity="relu", generator=generator).std()
                for _ in range(draws)
            ]
        ),
    }
    assert gradients.xavier_std(*fans) == pytest.approx(drawn["xavier"], rel=0.02)
    assert gradients.he_std(fan_in) == pytest.approx(drawn["he"], rel=0.02)
    exact = init.calculate_gain("relu") / np.sqrt(fan_in)
    for f in implementations("he_std"):
        assert f(fan_in) == pytest.approx(exact, rel=1e-15)


@pytest.mark.parametrize("max_norm", [0.5, 4.0, 1e3])
@pytest.mark.parametrize("f", implementations("clip_gradients"))
def test_clipping_agrees_with_torch(f, max_norm):
    torch = pytest.importorskip("torch")
    grads = gradients.gradients(np.random.default_rng(1), 30.0)
    parameters = [torch.zeros(g.shape, dtype=torch.float64) for g in grads]
    for p, g in zip(parameters, grads, strict=True):
        p.grad = torch.tensor(g)
    torch.nn.utils.clip_grad_norm_(parameters, max_norm)
    for ours, p in zip(f(grads, max_norm), parameters, strict=True):
        np.testing.assert_allclose(ours, p.grad.numpy(), rtol=1e-6)


# --- the catalogue ---------------------------------------------------------------------------


def test_the_chapter_is_worth_what_its_notebook_says():
    assert sum(e.points for e in EXERCISES.values()) == 39


@pytest.mark.parametrize("seed", range(15))
def test_tanh_may_be_written_with_exponentials(seed):
    def forward_statistics(X, weights, activation):
        h, rows = X, []
        for W in weights:
            u = h @ W
            h = {
                "tanh": (np.exp(2 * u) - 1) / (np.exp(2 * u) + 1),
                "sigmoid": np.exp(u) / (1 + np.exp(u)),
                "relu": u * (u > 0),
            }[activation]
            ends = {"tanh": abs(h) > 0.99, "sigmoid": abs(h - 0.5) > 0.495, "relu": h == 0}
            rows.append([h.mean(), h.std(), ends[activation].mean()])
        return dict(zip(("mean", "std", "saturated"), np.array(rows).T, strict=True))

    assert judge(EXERCISES["forward_statistics"], forward_statistics, seed=seed).passed


def test_the_values_away_from_the_ends_are_not_taken_for_those_near_them():
    def saturated_fraction(a, low=-1.0, high=1.0, margin=0.005):
        room = margin * (high - low)
        return np.mean((a > low + room) & (a < high - room))

    report = judge(EXERCISES["saturated_fraction"], saturated_fraction)
    assert report.earned == 0
    assert [d.mistake for d in report.diagnoses] == ["counts_the_unsaturated"]


def test_a_mistake_is_told_in_words():
    report = judge(EXERCISES["clip_gradients"], gradients.clips_by_value.implementation)
    assert "clipping by value" in str(report)
    assert "by norm" in str(report).lower()


# --- the lab ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lab():
    """The book's modules; without torch there is no lab."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    threads = torch.get_num_threads()
    sys.path.insert(0, str(Path(__file__).parent.parent / "book"))
    from lab import animation, depth

    yield depth, animation
    torch.set_num_threads(threads)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_traces_agree_with_the_reference(lab, activation):
    depth, _ = lab
    X, weights = depth.noise(3, 20, 15), depth.weights(3, 6, 15, std=0.4)
    run = depth.trace(X, weights, activation, seed=3)
    upstream = np.random.default_rng([3, 3]).normal(size=(20, 15))
    ours = gradients.layer_gradient_norms(
        X, weights, activation, upstream / np.linalg.norm(upstream)
    )
    np.testing.assert_allclose(run.gradients, ours, rtol=1e-12)
    statistics = gradients.forward_statistics(X, weights, activation)
    np.testing.assert_allclose([h.std() for h in run.activations], statistics["std"], rtol=1e-12)
    saturated = [depth.saturation(h, activation) for h in run.activations]
    np.testing.assert_allclose(saturated, statistics["saturated"], rtol=1e-12)


def test_normalized_traces_agree_with_torch(lab):
    import torch

    depth, _ = lab
    X, weights = depth.noise(0, 20, 15), depth.weights(0, 1, 15)
    layer = torch.nn.BatchNorm1d(15, affine=False).double()
    u = torch.tensor(X) @ torch.tensor(weights[0])
    before = depth.trace(X, weights, "tanh", "before")
    np.testing.assert_allclose(before.inputs[0], layer(u).numpy(), atol=1e-12)
    np.testing.assert_allclose(before.activations[0], torch.tanh(layer(u)).numpy(), atol=1e-12)
    after = depth.trace(X, [*weights, np.eye(15)], "tanh", "after")
    np.testing.assert_allclose(after.inputs[1], layer(torch.tanh(u)).numpy(), atol=1e-12)


def test_weights_of_one_seed_differ_by_a_factor_only(lab):
    depth, _ = lab
    small, large = (depth.weights(1, 4, 10, std, inputs=40) for std in (0.1, 0.5))
    for a, b in zip(small, large, strict=True):
        np.testing.assert_allclose(5 * a, b)
    assert [W.shape for W in small] == [(40, 10), (10, 10), (10, 10), (10, 10)]
    wide = depth.weights(1, 2, 100, 0.1, inputs=400)
    assert wide[0].std() == pytest.approx(0.05, rel=0.02)
    assert wide[1].std() == pytest.approx(0.1, rel=0.05)


def test_a_factor_is_read_off_a_geometric_sequence(lab):
    depth, _ = lab
    assert depth.factor(0.9 ** np.arange(30, -1, -1.0)) == pytest.approx(0.9)


def test_averages_over_a_normal_distribution(lab):
    depth, _ = lab
    assert depth.gaussian_average(lambda u: u**2, std=3) == pytest.approx(9)
    half = depth.gaussian_average(lambda u: depth.slope(u, "relu") ** 2)
    assert half == pytest.approx(0.5)
    relu = depth.gaussian_average(lambda u: np.maximum(u, 0) ** 2)
    assert relu == pytest.approx(0.5)


def test_the_growth_by_batch_normalization_is_that_of_the_theory(lab):
    depth, _ = lab
    found = [
        depth.factor(
            depth.trace(
                depth.noise(seed, 128, 128),
                depth.weights(seed, 40, 128, 1 / np.sqrt(128)),
                "relu",
                "before",
                seed,
            ).gradients
        )
        for seed in range(5)
    ]
    assert np.mean(found) == pytest.approx(np.sqrt(np.pi / (np.pi - 1)), rel=0.01)


def test_euler_holds_for_relu_networks_without_biases(lab):
    depth, _ = lab
    run = depth.trace(depth.noise(0, 20, 30), depth.weights(0, 20, 30, 0.2), "relu")
    np.testing.assert_allclose(run.alignment, run.alignment[0], rtol=1e-10)


@pytest.mark.parametrize("normalization", ["none", "before", "after"])
def test_networks_that_train_side_by_side_do_not_meet(lab, normalization):
    depth, _ = lab
    options = {"width": 20, "steps": 15, "batch": 16, "normalization": normalization}
    both, finite = depth.train("relu", 2, [0.3, 0.3], [0.1, 1e6], [0, 1], **options)
    alone, _ = depth.train("relu", 2, [0.3], [0.1], [0], **options)
    np.testing.assert_allclose(both[0], alone[0], atol=1 / 360 + 1e-12)
    assert finite[0]
    assert both[0] > 0.15


def test_a_leash_keeps_a_network_finite(lab):
    depth, _ = lab
    options = {"width": 20, "steps": 20, "batch": 16}
    for limit, survives in ((np.inf, False), (1.0, True)):
        _, finite = depth.train("relu", 6, [1.0], [0.1], [0], max_norm=limit, **options)
        assert finite.all() == survives


@pytest.mark.parametrize("normalization", ["none", "before"])
def test_a_rate_may_fall_from_layer_to_layer(lab, normalization):
    """A million times the rate below harms; the layer below the top keeps its rate."""
    depth, _ = lab
    options = {"width": 20, "steps": 20, "batch": 16, "normalization": normalization}
    usual = [depth.train("relu", layers, [0.3], [0.1], [0], **options)[0] for layers in (1, 2)]
    scores = [
        depth.train("relu", layers, [0.3], [0.1], [0], growth=growth, **options)[0]
        for layers, growth in ((1, 1e-6), (2, 1.0), (2, 1e-6))
    ]
    np.testing.assert_array_equal(scores[:2], usual)
    assert scores[2] < usual[1] - 0.02


def test_numbers_are_written_with_powers_of_ten(lab):
    depth, _ = lab
    assert [depth.power(x) for x in (0, 0.5, 123.4, 3.2e-31, 4e9)] == [
        "0",
        "0.5",
        "123",
        "3·10⁻³¹",
        "4·10⁹",
    ]


# --- the animation ---------------------------------------------------------------------------


def animated(animation, **options):
    values = np.array([[0, 1, 2, 3.0], [3, 2, 1, 0], [1, 1, 1, 1]])
    return animation.animate(
        {"first": {"a": values, "b": values[::-1]}, "second": {"a": values + 1, "b": values}},
        ["low", "<middle>", "high"],
        {"mean": ["1", "2", "3"]},
        control="scale",
        description="Bars & outlines.",
        **options,
    )


def test_an_animation_stands_alone_and_is_said_in_words(lab):
    bs4 = pytest.importorskip("bs4")
    _, animation = lab
    html = animated(animation, start=1)._repr_html_()
    assert "http" not in html
    assert not re.search(r"\bid=", html)  # two of them on a page do not collide
    document = bs4.BeautifulSoup(html, "html.parser")
    assert document.select_one("[role=img]")["aria-label"] == "Bars & outlines."
    assert document.select_one(".controls").has_attr("hidden")  # until the script runs
    slider = document.select_one("input[type=range]")
    assert (slider["max"], slider["value"], slider["aria-valuetext"]) == ("2", "1", "<middle>")
    assert document.select_one(".reading").get_text() == "scale: <middle>; mean: 2."
    rows = [[c.get_text() for c in r.select("th, td")] for r in document.select("table tr")]
    assert rows == [["scale", "mean"], ["low", "1"], ["<middle>", "2"], ["high", "3"]]
    numbers = json.loads(document.select_one("script[type='application/json']").string)
    assert numbers["panels"][0][0] == [[0, 25, 50, 75], [75, 50, 25, 0], [25, 25, 25, 25]]
    drawn = [path["d"] for path in document.select(".panels path")]
    assert len(drawn) == 4
    for path, (panel, series) in zip(drawn, [(0, 0), (0, 1), (1, 0), (1, 1)], strict=True):
        heights = np.array(numbers["panels"][panel][series][1])
        assert path == animation.path(numbers["looks"][series], heights)


def test_an_animation_is_a_list_of_sentences_in_a_terminal(lab):
    _, animation = lab
    assert repr(animated(animation)).splitlines()[2] == "scale: high; mean: 3."


def test_paths_begin_and_end_where_they_should(lab):
    _, animation = lab
    heights = np.array([0, 40, 100])
    assert animation.path("bars", heights) == "M100 100V60H200V100zM200 100V0H300V100z"
    assert animation.path("outline", heights) == "M0 100V100H100V60H200V0H300"
    assert animation.path("lines", heights) == "M0 100L150 60L300 0"


def test_values_above_the_top_are_cut_off(lab):
    _, animation = lab
    made = animated(animation, top=2.0, kind="lines")
    assert made.panels["first"]["a"][0].tolist() == [0, 50, 100, 100]
    assert "outline" not in re.findall(r'path class="(\w+)"', made._repr_html_())


def test_histograms_are_shares(lab):
    _, animation = lab
    found = animation.histograms([[0.1, 0.2, 0.9, 5.0]], [0, 0.5, 1])
    np.testing.assert_allclose(found, [[0.5, 0.25]])


@pytest.mark.parametrize(
    ("panels", "readings", "message"),
    [
        ({}, {}, "panels"),
        ({"p": {"a": [[1, 2]]}, "q": {"b": [[1, 2]]}}, {}, "same series"),
        ({"p": {"a": [[1, 2], [3, 4]]}}, {}, "1 frames"),
        ({"p": {"a": [[1, -2]]}}, {}, "negative"),
        ({"p": {"a": [[1, np.nan]]}}, {}, "finite"),
        ({"p": {"a": [[1, 2]]}}, {"mean": []}, "1 texts"),
        ({"p": {str(i): [[1, 2]] for i in range(9)}}, {}, "told apart"),
    ],
)
def test_an_animation_refuses_what_it_cannot_show(lab, panels, readings, message):
    _, animation = lab
    with pytest.raises(ValueError, match=message):
        animation.animate(panels, ["one"], readings, control="c", description="d")


def test_gradients_that_add_up_are_not_called_a_slope_in_the_wrong_place():
    """Both stop where shapes do not fit, with the same words."""

    def answer(X, weights, activation, upstream):
        layers = [X]
        for W in weights:
            u = layers[-1] @ W
            f = {"relu": np.maximum(u, 0), "tanh": np.tanh(u), "sigmoid": 1 / (1 + np.exp(-u))}
            layers.append(f[activation])
        gradient = upstream
        norms = [np.linalg.norm(gradient)]
        for W, h in zip(weights[::-1], layers[::-1], strict=False):
            slope = {"relu": h > 0, "tanh": 1 - h**2, "sigmoid": h * (1 - h)}[activation]
            gradient = gradient + (gradient * slope) @ W.T
            norms.append(np.linalg.norm(gradient))
        return np.array(norms[::-1])

    report = judge(EXERCISES["layer_gradient_norms"], answer)
    assert not report.passed
    assert report.diagnoses == ()


@pytest.mark.parametrize("seed", range(8))
def test_half_a_fan_that_is_cut_down_is_seen(seed):
    def he_std(fan_in):
        return np.sqrt(1 / (fan_in // 2))

    assert not judge(EXERCISES["he_std"], he_std, seed=seed).passed
