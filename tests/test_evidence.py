"""The chapter on why it works: references agree with autograd, identities hold, tables are read."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.chapters import evidence
from autograder.chapters.evidence import CHAPTER
from autograder.judge import judge

torch = pytest.importorskip("torch")
functional = torch.nn.functional

ROOT = Path(__file__).parents[1]
EXERCISES = {e.name: e for e in CHAPTER.exercises}
MISTAKES = [(e, m) for e in CHAPTER.exercises for m in e.mistakes]
seeds = st.integers(0, 10**6)
many = settings(max_examples=30, deadline=None)


def right_answers(name):
    """The reference and all alternatives of an exercise."""
    return [EXERCISES[name].reference, *EXERCISES[name].alternatives]


def near(got, expected):
    np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-10)


def tensors(arrays, **options):
    return [torch.tensor(a, **options) for a in arrays]


# --- covariate_shift -------------------------------------------------------------------------


def torch_gradients(X, Y, weights):
    """All gradients of a ReLU network's squared loss, by autograd."""
    weights = tensors(weights, requires_grad=True)
    h = torch.tensor(X)
    for W in weights[:-1]:
        h = functional.relu(h @ W)
    loss = ((h @ weights[-1] - torch.tensor(Y)) ** 2).sum() / (2 * len(X))
    return [g.numpy() for g in torch.autograd.grad(loss, weights)]


@many
@given(seeds, st.lists(st.integers(2, 7), min_size=2, max_size=6), st.floats(0.01, 0.5))
def test_the_shift_is_that_of_autograd(seed, sizes, lr):
    X, Y, weights = evidence.regression(np.random.default_rng(seed), sizes)
    before = torch_gradients(X, Y, weights)
    for layer in range(len(weights)):
        moved = [W - lr * g for W, g in zip(weights[:layer], before, strict=False)]
        after = torch_gradients(X, Y, moved + weights[layer:])
        G, G_moved = before[layer], after[layer]
        if min(np.linalg.norm(G), np.linalg.norm(G_moved)) < 1e-6:
            continue  # a layer that no sample reaches has no direction
        lengths = np.linalg.norm(G) * np.linalg.norm(G_moved)
        for answer in right_answers("covariate_shift"):
            distance, cosine = answer(X, Y, weights, layer, lr)
            near(distance, np.linalg.norm(G - G_moved))
            near(cosine, (G * G_moved).sum() / lengths)


def test_a_step_of_length_zero_shifts_nothing():
    X, Y, weights = evidence.regression(np.random.default_rng(0))
    for layer in range(4):
        near(evidence.covariate_shift(X, Y, weights, layer, 0.0), (0.0, 1.0))


# --- gradient_predictiveness -----------------------------------------------------------------


def torch_loss_and_gradient(X, y, w):
    w = torch.tensor(w, requires_grad=True)
    loss = functional.binary_cross_entropy_with_logits(torch.tensor(X) @ w, torch.tensor(y))
    (g,) = torch.autograd.grad(loss, w)
    return loss.item(), g.numpy()


@many
@given(seeds, st.lists(st.floats(0.1, 20), min_size=1, max_size=6), st.floats(0.01, 100))
def test_losses_and_gradients_along_a_step_are_those_of_autograd(seed, steps, scale):
    X, y, w = evidence.classification(np.random.default_rng(seed))
    w = scale * w
    _, g = torch_loss_and_gradient(X, y, w)
    if np.linalg.norm(g) < 1e-3:
        return  # all is right already, and a ratio of tiny changes shows rounding errors only
    ends = [torch_loss_and_gradient(X, y, w - eta * g) for eta in steps]
    losses = [loss for loss, _ in ends]
    changes = [np.linalg.norm(new - g) for _, new in ends]
    slopes = [c / (eta * np.linalg.norm(g)) for c, eta in zip(changes, steps, strict=True)]
    for answer in right_answers("gradient_predictiveness"):
        found = answer(X, y, w, steps)
        near(found["loss_range"], (min(losses), max(losses)))
        near(found["gradient_range"], (min(changes), max(changes)))
        near(found["smoothness"], max(slopes))


@pytest.mark.parametrize("seed", range(5))
def test_the_effective_smoothness_is_below_that_of_the_loss(seed):
    X, y, w = evidence.classification(np.random.default_rng(seed))
    bound = np.linalg.eigvalsh(X.T @ X)[-1] / (4 * len(X))  # the largest curvature anywhere
    found = evidence.gradient_predictiveness(X, y, w, [0.01, 0.1, 1.0, 10.0])
    assert 0 < found["smoothness"] <= bound


# --- effective_learning_rate, norm_equilibrium -----------------------------------------------


def invariant_loss(w):
    """A scale-invariant loss: batch-normalized outputs of one unit, weighed by constants."""
    rng = np.random.default_rng(7)
    X, C = torch.tensor(rng.normal(size=(20, len(w)))), torch.tensor(rng.normal(size=20))
    u = X @ w
    return (C * (u - u.mean()) / u.std(correction=0)).sum()


def gradient_of_invariant_loss(w):
    w = torch.tensor(w, requires_grad=True)
    (g,) = torch.autograd.grad(invariant_loss(w), w)
    return g.numpy()


@pytest.mark.parametrize("scale", [0.1, 3.0, 50.0])
def test_directions_turn_alike_at_equal_effective_rates(scale):
    w = np.random.default_rng(1).normal(size=(5, 1))
    lr = 0.05
    scaled = lr * scale**2
    rates = [
        answer(W, eta)
        for answer in right_answers("effective_learning_rate")
        for W, eta in ((w, lr), (scale * w, scaled))
    ]
    near(rates, rates[0][0])
    a = w[:, 0] - lr * gradient_of_invariant_loss(w[:, 0])
    b = scale * w[:, 0] - scaled * gradient_of_invariant_loss(scale * w[:, 0])
    near(b / np.linalg.norm(b), a / np.linalg.norm(a))


def test_norms_grow_by_pythagoras():
    w = np.random.default_rng(2).normal(size=6)
    lr, decay = 0.3, 0.2
    g = gradient_of_invariant_loss(w)
    norm = np.linalg.norm(w)
    after = np.linalg.norm((1 - lr * decay) * w - lr * g)
    c = np.linalg.norm(g) * norm
    for answer in right_answers("norm_equilibrium"):
        near(answer(norm, c, lr, decay, 1)["norms"], [norm, after])


@many
@given(st.floats(0.1, 10), st.floats(0.1, 10), st.floats(0.01, 1), st.floats(0.01, 0.9))
def test_a_step_leaves_the_equilibrium_as_it_is(norm, c, lr, decay):
    for answer in right_answers("norm_equilibrium"):
        found = answer(norm, c, lr, decay, 0)
        still = found["equilibrium"]
        np.testing.assert_allclose(answer(still, c, lr, decay, 5)["norms"], still, rtol=1e-10)
        tangent = lr * c / ((1 - lr * decay) * still**2)
        assert np.tan(found["rotation"]) == pytest.approx(tangent, rel=1e-10)


def test_small_rates_give_the_known_approximations():
    lr, decay, c = 1e-3, 1e-3, 2.0
    found = evidence.norm_equilibrium(1.0, c, lr, decay, 0)
    assert found["equilibrium"] == pytest.approx((lr * c**2 / (2 * decay)) ** 0.25, rel=1e-6)
    assert found["rotation"] == pytest.approx(np.sqrt(2 * lr * decay), rel=1e-6)


def test_without_decay_norms_only_grow():
    for answer in right_answers("norm_equilibrium"):
        norms = answer(1.0, 1.0, 0.1, 1e-12, 100)["norms"]
        assert np.all(np.diff(norms) > 0)


# --- scale_invariance_residual ---------------------------------------------------------------


def torch_layer(X, W, C, eps):
    X, W, C = torch.tensor(X), torch.tensor(W, requires_grad=True), torch.tensor(C)
    u = X @ W
    y = (u - u.mean(dim=0)) / torch.sqrt(u.var(dim=0, correction=0) + eps)
    (g,) = torch.autograd.grad((C * y).sum(), W)
    return y.detach().numpy(), g.numpy()


@many
@given(seeds, st.floats(0.01, 100), st.sampled_from([0.0, 1e-5, 1e-3, 0.1]))
def test_residuals_are_those_of_autograd(seed, a, eps):
    X, W, C = evidence.normalized_layer(np.random.default_rng(seed))
    (y, g), (y_scaled, g_scaled) = (torch_layer(X, V, C, eps) for V in (W, a * W))
    for answer in right_answers("scale_invariance_residual"):
        found = answer(X, W, C, a, eps)
        near(found["output"], np.abs(y_scaled - y).max())
        near(found["radial"], np.abs((W * g).sum(axis=0)).max())
        near(found["gradient"], np.abs(a * g_scaled - g).max())


@pytest.mark.parametrize("a", [0.01, 0.5, 7.0, 1000.0])
def test_invariance_is_exact_without_eps_and_only_then(a):
    layer = evidence.normalized_layer(np.random.default_rng(3))
    assert max(evidence.scale_invariance_residual(*layer, a, 0.0).values()) < 1e-12
    assert min(evidence.scale_invariance_residual(*layer, a, 1e-3).values()) > 1e-5


# --- residual_block_gradient -----------------------------------------------------------------


@many
@given(seeds, st.integers(1, 8), st.booleans(), st.sampled_from([1e-5, 1e-2]))
def test_the_factor_is_that_of_autograd(seed, depth, residual, eps):
    X, weights, upstream = evidence.stack(np.random.default_rng(seed), depth)
    x = torch.tensor(X, requires_grad=True)
    h = x
    for W in tensors(weights):
        branch = functional.relu(functional.batch_norm(h @ W, None, None, training=True, eps=eps))
        h = h + branch if residual else branch
    (g,) = torch.autograd.grad((h * torch.tensor(upstream)).sum(), x)
    expected = (g.norm().item() / np.linalg.norm(upstream)) ** (1 / depth)
    for answer in right_answers("residual_block_gradient"):
        near(answer(X, weights, upstream, residual, eps), expected)


def growth_in_the_middle(rng, residual):
    """The factor per layer between depth 8 and depth 24: the two ends of a stack cancel."""
    logs = {}
    for depth in (8, 24):
        X, weights, upstream = evidence.stack(rng, depth, width=200, samples=128)
        factor = evidence.residual_block_gradient(X, weights, upstream, residual)
        logs[depth] = depth * np.log(factor)
    return np.exp((logs[24] - logs[8]) / 16)


def test_gradients_grow_as_in_theory_and_less_with_residual_connections():
    """Yang et al. (2019): a factor √(π/(π-1)) per layer, wide layers and large batches."""
    rng = np.random.default_rng(4)
    plain = [growth_in_the_middle(rng, False) for _ in range(5)]
    residual = [growth_in_the_middle(rng, True) for _ in range(5)]
    assert np.mean(plain) == pytest.approx(np.sqrt(np.pi / (np.pi - 1)), abs=0.02)
    assert max(residual) < min(plain) - 0.1


# --- read_tables -----------------------------------------------------------------------------

NOTEBOOK = (ROOT / "solutions" / "evidence" / "evidence.py").read_text(encoding="utf-8")


def test_each_misreading_of_each_table_has_a_name():
    right = evidence.read_tables()
    chosen = {
        (table, letter)
        for mistake in EXERCISES["read_tables"].mistakes
        for table, letter in mistake.implementation().items()
        if letter != right[table]
    }
    assert chosen == {(t, c) for t in right for c in "abcd" if right[t] != c}


def test_the_notebook_offers_the_claims_that_are_judged():
    sections = re.split(r"^# ### Table ([A-F])$", NOTEBOOK, flags=re.MULTILINE)[1:]
    tables = dict(zip(sections[::2], sections[1::2], strict=True))
    assert list(tables) == list(evidence.read_tables())
    for text in tables.values():
        assert re.findall(r"^# - \*\*([a-d])\*\* ", text, flags=re.MULTILINE) == list("abcd")
        assert "±" in text  # a table without a spread cannot be read


@pytest.mark.parametrize("hidden", [False, True])
def test_a_report_does_not_give_the_right_claim_away(hidden):
    # The reports of a wrong table differ in the diagnosis only, whichever claim is the right one.
    told = {
        str(
            [
                f.detail
                for f in judge(EXERCISES["read_tables"], m.implementation, hidden=hidden).findings
                if f.probe == "reads_table_a"
            ]
        )
        for m in EXERCISES["read_tables"].mistakes[:3]
    }
    sentence = (
        "the claim that you chose for table A: it is 'not supported by the table' "
        "where 'supported by the table' is expected"
    )
    assert told == {str([sentence])}


def test_a_dictionary_may_hold_more_than_is_asked_for():
    for name in ("gradient_predictiveness", "norm_equilibrium", "scale_invariance_residual"):
        reference = EXERCISES[name].reference

        def answer(*arguments, reference=reference):
            return {**reference(*arguments), "for myself": [1.0, 2.0]}

        assert judge(EXERCISES[name], answer).passed


@pytest.mark.parametrize(
    "answer",
    ["e", "", 2, ["b"], "ab", None],
)
def test_an_answer_that_is_no_letter_is_said_to_be_none(answer):
    def read_tables():
        return {**evidence.read_tables(), "C": answer}

    report = judge(EXERCISES["read_tables"], read_tables)
    (finding,) = [f for f in report.findings if f.probe == "reads_table_c"]
    said = "your answer for table C: it is 'none of a, b, c, d' where 'one of "
    assert finding.detail.startswith(said)
    assert report.earned == 10


def test_a_table_without_an_answer_is_said_to_have_none():
    def read_tables():
        return {"A": "b", "B": "d", "c": "c", "D": "a", "E": "d", "F": "b"}

    report = judge(EXERCISES["read_tables"], read_tables)
    (finding,) = [f for f in report.findings if f.probe == "reads_table_c"]
    assert finding.detail == "read_tables() returned a dict without the key 'C'"
    assert report.earned == 10


def test_several_misreadings_are_all_named():
    def read_tables():
        return {**evidence.read_tables(), "A": "a", "D": "b", "F": "d"}

    report = judge(EXERCISES["read_tables"], read_tables)
    assert {d.mistake for d in report.diagnoses} == {
        "ignores_the_error_bars",
        "takes_smoothness_for_speed",
        "compares_across_the_rows",
    }
    assert report.earned == 6


@pytest.mark.parametrize("eps", [1e-6, 1e-8, 1e-12])
def test_an_eps_in_the_effective_rate_is_named_whatever_its_size(eps):
    report = judge(
        EXERCISES["effective_learning_rate"], lambda W, lr: lr / (np.sum(W**2, axis=0) + eps)
    )
    assert [d.mistake for d in report.diagnoses] == ["adds_an_eps_to_the_squared_norm"]


def steps_that_add_up(X, y, w, step_sizes):
    """What is left of `walks_in_place` with `w = w - eta * g` in place of `w -= eta * g`."""
    known = EXERCISES["gradient_predictiveness"].reference(X, y, w, np.cumsum(step_sizes))
    g = X.T @ (1 / (1 + np.exp(-X @ w)) - y) / len(y)
    ends = [w - total * g for total in np.cumsum(step_sizes)]
    changes = [X.T @ (1 / (1 + np.exp(-X @ v)) - y) / len(y) - g for v in ends]
    ratios = [
        np.linalg.norm(c) / np.linalg.norm(eta * g)
        for c, eta in zip(changes, step_sizes, strict=True)
    ]
    return {**known, "smoothness": float(max(ratios))}


def squares_without_a_root(norm, c, lr, decay, steps):
    """What is left of `adds_the_lengths` when the squares are added, and no more."""
    norms = [norm]
    while len(norms) <= steps:
        norms.append((norms[-1] - lr * decay * norms[-1]) ** 2 + (lr * c) ** 2 / norms[-1] ** 2)
    known = EXERCISES["norm_equilibrium"].reference(norm, c, lr, decay, 0)
    return {**known, "norms": np.array(norms)}


@pytest.mark.parametrize(
    ("exercise", "answer", "named"),
    [
        ("gradient_predictiveness", steps_that_add_up, "adds_up_the_steps"),
        ("norm_equilibrium", squares_without_a_root, "forgets_the_root_of_pythagoras"),
    ],
)
def test_half_a_repair_has_a_name_of_its_own(exercise, answer, named):
    for seed in range(5):
        report = judge(EXERCISES[exercise], answer, seed=seed)
        assert [d.mistake for d in report.diagnoses] == [named]


@pytest.mark.parametrize("seed", range(15))
def test_an_angle_without_its_sign_always_shows(seed):
    def covariate_shift(*args):
        distance, cosine = EXERCISES["covariate_shift"].reference(*args)
        return distance, abs(cosine)

    report = judge(EXERCISES["covariate_shift"], covariate_shift, seed=seed)
    assert "cosine_between_the_gradients" in [f.probe for f in report.findings if f.detail]


# --- the catalogue ---------------------------------------------------------------------------


def test_the_catalogue_is_as_rich_as_promised():
    assert len(MISTAKES) >= 110
    assert sum(e.points for e in CHAPTER.exercises) == 62
    assert all(len(e.alternatives) >= 2 for e in CHAPTER.exercises)
