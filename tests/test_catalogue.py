"""Every exercise of every chapter is proved: right answers, known mistakes, automatic mutants.

`autograder verify` proves the same, and prints it as a table. What belongs to one chapter alone is
in that chapter's file.
"""

from __future__ import annotations

import contextlib
import copy
from pathlib import Path

import nbformat
import numpy as np
import pytest

from autograder.chapters import SLUGS, chapter, chapters, find
from autograder.chapters.batchnorm_backward import FUNCTIONS
from autograder.chapters.networks import accuracy, train
from autograder.classroom import cells
from autograder.classroom.release import read_source, release_text, source_path
from autograder.classroom.sample import as_answer
from autograder.classroom.verify import notebook_faults, prove
from autograder.judge import Doubter, Witness, _certain, _run, judge
from autograder.mutants import mutants
from autograder.sandbox import wire
from autograder.sandbox.ahead import Plan

ROOT = Path(__file__).parents[1]
SEEDS = range(100, 103)  # not those that `prove` tries
EXERCISES = [pytest.param(c.slug, e, id=e.name) for c in chapters() for e in c.exercises]
FUNCTIONS_ASKED = [
    pytest.param(e, id=e.name)
    for c in chapters()
    for e in c.exercises
    if not isinstance(e.reference, type)
]
MISTAKES = [
    pytest.param(c.slug, e, m, id=f"{e.name}-{m.name}")
    for c in chapters()
    for e in c.exercises
    for m in e.mistakes
]

# Seeds with which a mistake once earned more, or less, than with others.
UNLUCKY = [
    ("Scaler", "ScalerAddsAnEpsilon", 45),
    ("covariance", "covariance_around_the_overall_mean", 242),
    ("max_learning_rate", "the_smallest_of_all_limits", (279, 5)),
    ("batchnorm_forward", "adds_the_root_of_eps", 23),
    ("saturated_fraction", "takes_the_ends_as_minus_one_and_one", (70, 77)),
    ("saturated_fraction", "takes_the_ends_as_minus_one_and_one", (1020, 77)),
    ("gradient_check", "takes_forward_differences", 228),
    ("gradient_check", "divides_by_h", 228),
    ("gradient_check", "measures_the_absolute_error", 179),
    ("gradient_check", "moves_the_callers_array", 268),
    ("gradient_check", "does_not_move_back", 228),
    ("gradient_check", "leaves_the_entries_moved", 268),
    ("batchnorm_jacobian", "jacobian_without_eps", (19, 5)),
    ("batchnorm_jacobian", "jacobian_without_eps", (35, 5)),
    ("relu", "slope_is_the_value", (89, 77)),
    ("relu", "takes_the_absolute_value", (1049, 77)),
    ("relu", "slope_is_the_sign", (1049, 77)),
    ("MLP", "ActivatesTheLogits", 36),
    ("MLP", "ActivatesTheLogits", 857),
    ("MLP", "ActivatesTheLogits", 1509),
    ("MLP", "HasNoOutputBias", 1321),
    ("MLP", "HasNoOutputBias", (12, 5)),
    ("learning_rate_sweep", "never_sees_a_divergence", 35),
    ("learning_rate_sweep", "compares_with_nan", 110),
    ("learning_rate_sweep", "lets_failures_win", 178),
    ("covariate_shift", "moves_the_layer_itself", 30),
    ("covariate_shift", "leaves_out_the_layer_just_before", 224),
    ("covariate_shift", "applies_relu_to_the_output", 43),
    ("covariate_shift", "applies_relu_to_the_output", 108),
    ("gradient_predictiveness", "steps_uphill", 435),
    ("gradient_predictiveness", "clips_the_probabilities", 435),
    ("condition_number", "condition_of_the_first_and_the_last", 3),
    ("condition_number", "condition_of_the_first_and_the_last", 16),
    ("saturated_fraction", "takes_the_ends_of_the_data", 1),
    ("saturated_fraction", "takes_the_ends_of_the_data", 12),
    ("forward_statistics", "counts_small_values_of_relu", 1),
    ("batch_statistics", "statistics_include_eps", 1),
    ("batch_statistics", "statistics_include_eps", 3),
    ("learning_rate_sweep", "compares_with_the_step_before", 0),
    ("learning_rate_sweep", "compares_with_the_step_before", 7),
    ("learning_rate_sweep", "asks_for_more_than_zero", 0),
    ("learning_rate_sweep", "asks_for_more_than_zero", 102),
]


def divides_by_a_little_more(X):
    std = X.std(axis=0)
    std[X.max(axis=0) == X.min(axis=0)] = 1
    return (X - X.mean(axis=0)) / (std + 1e-12)


class ScalerThatClips:
    def fit(self, X):
        constant = X.max(axis=0) == X.min(axis=0)
        self.mean, self.std = X.mean(axis=0), np.where(constant, 1, X.std(axis=0))
        return self

    def transform(self, X):
        return np.clip((X - self.mean) / self.std, -3, 3)

    def inverse_transform(self, Z):
        return Z * self.std + self.mean


def sums_in_float32(x, gamma, beta, eps=1e-5):
    var = x.var(axis=-1, keepdims=True, dtype=np.float32).astype(x.dtype)
    std = np.sqrt(var + eps)
    x_hat = (x - x.mean(axis=-1, keepdims=True)) / std
    return gamma * x_hat + beta, {"x_hat": x_hat, "std": std, "gamma": gamma}


def images_in_float32(x, gamma, beta, eps=1e-5):
    low, axes = x.astype(np.float32), (0, 2, 3)
    std = np.sqrt(low.var(axis=axes, keepdims=True) + eps)
    y = gamma[:, None, None] * (low - low.mean(axis=axes, keepdims=True)) / std
    return (y + beta[:, None, None]).astype(x.dtype), ()


def table_in_float32(x, gamma, beta, eps=1e-5):
    low = x.astype(np.float32)
    x_hat = (low - low.mean(axis=0)) / np.sqrt(low.var(axis=0) + eps)
    return (gamma * x_hat + beta).astype(x.dtype), ()


def normalized_in_float32(x, axes, eps=1e-5):
    low = x.astype(np.float32)
    std = np.sqrt(low.var(axis=axes, keepdims=True) + eps)
    return ((low - low.mean(axis=axes, keepdims=True)) / std).astype(x.dtype)


def vectors_in_float32(b, gamma, beta, mean, var):
    return gamma, beta, (mean - b).astype(np.float32).astype(mean.dtype), var


def real_eig(C):
    eigenvalues, U = np.linalg.eig(C)
    return eigenvalues.real, U.real  # complex from NumPy 2.5 on, which is another mistake


def axes_out_of_order(X, eps=1e-5):
    X = X - X.mean(axis=0)
    eigenvalues, U = real_eig(X.T @ X / len(X))
    return X @ U / np.sqrt(eigenvalues + eps)


def steps_by_columns(H, w0, learning_rate, tol=1e-6, max_steps=200):
    w, target = w0, tol * (w0 @ H @ w0)
    for steps in range(max_steps + 1):
        if w @ H @ w <= target:
            return steps
        w = w - learning_rate * (H * w).sum(axis=0)
    return np.inf


def rate_with_an_epsilon(W, lr):
    return lr / (np.sum(W**2, axis=0) + 1e-6)


def clips_by_a_sum(grads, max_norm):
    total = np.sqrt(sum(np.sum(g) for g in grads))
    return [g if total <= max_norm else g * (max_norm / total) for g in grads]


def renormalizes_with(fault):
    """The mutant of `batch_renorm_forward` with this fault."""
    reference = find("batch_renorm_forward").reference
    (mutant,) = (m for m in mutants(reference) if fault in str(m))
    return mutant.implementation


def takes_the_last_of_equals(start, training, validation, rates, steps=5):
    accuracies, diverged = [], []
    for rate in rates:
        network = copy.deepcopy(start)
        losses = train(network, *training, rate, steps)
        diverged.append(not losses[-1] <= losses[0])
        accuracies.append(0.0 if diverged[-1] else accuracy(network, *validation))
    sound = [(a, i) for i, (a, bad) in enumerate(zip(accuracies, diverged, strict=True)) if not bad]
    best = rates[max(sound)[1]] if sound else None
    return {"accuracies": accuracies, "diverged": diverged, "best": best}


def in_float32(exercise):
    """The reference, which rounds its arguments to float32, computes in it, and casts back."""

    def cast(value, dtype):
        if isinstance(value, dict):
            return {key: cast(v, dtype) for key, v in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(cast(v, dtype) for v in value)
        return value.astype(dtype) if isinstance(value, (np.ndarray, np.floating)) else value

    def answer(*args, **kwargs):
        return cast(find(exercise).reference(*cast(args, np.float32), **kwargs), np.float64)

    return answer


def turns_only_the_largest(X, eps=1e-5):
    X = X - X.mean(axis=0)
    eigenvalues, U = real_eig(X.T @ X / len(X))
    first = np.argmax(eigenvalues)
    order = [first, *np.delete(np.arange(len(eigenvalues)), first)]
    return (X @ U / np.sqrt(eigenvalues + eps))[:, order]


def sorts_the_eigenvalues_alone(X, eps=1e-5):
    X = X - X.mean(axis=0)
    eigenvalues, U = real_eig(X.T @ X / len(X))
    return X @ U / np.sqrt(np.sort(eigenvalues)[::-1] + eps)


def checks_row_by_row(name, x, dy, dx, h=1e-5, tolerance=1e-6):
    f, x = FUNCTIONS[name], x.astype(float)
    numerical = np.empty_like(x)
    for i in range(len(x)):
        up, down = x.copy(), x.copy()
        up[i] += h
        down[i] -= h
        numerical[i] = (dy * (f(up) - f(down))).sum() / (2 * h)
    size = max(np.linalg.norm(dx), np.linalg.norm(numerical), 1e-3)
    error = np.linalg.norm(dx - numerical) / size
    return bool(error <= tolerance), float(error)


def calls_large_losses_diverged(start, training, validation, rates, steps=5):
    accuracies, diverged = [], []
    for rate in rates:
        network = copy.deepcopy(start)
        last = train(network, *training, rate, steps)[-1]
        diverged.append(not last <= 10)
        accuracies.append(0.0 if diverged[-1] else accuracy(network, *validation))
    sound = [(-a, r) for a, r, bad in zip(accuracies, rates, diverged, strict=True) if not bad]
    best = min(sound)[1] if sound else None
    return {"accuracies": accuracies, "diverged": diverged, "best": best}


def looks_up_the_largest_accuracy(start, training, validation, rates, steps=5):
    found = find("learning_rate_sweep").reference(start, training, validation, rates, steps)
    if found["best"] is not None:
        found["best"] = rates[int(np.argmax(found["accuracies"]))]
    return found


def cuts_off_at_six(x):
    return np.clip(x, 0, 6), (x > 0).astype(float)


def tanh_without_the_half(x):
    y = (1 + np.tanh(x)) / 2
    return y, y * (1 - y)


def takes_another_norm(order):
    """The reference of `gradient_check` with another norm of the difference."""

    def answer(name, x, dy, dx, h=1e-5, tolerance=1e-6):
        f, x = FUNCTIONS[name], x.astype(float)
        numerical = np.empty_like(x)
        for i in np.ndindex(x.shape):
            up, down = x.copy(), x.copy()
            up[i] += h
            down[i] -= h
            numerical[i] = (dy * (f(up) - f(down))).sum() / (2 * h)
        size = max(np.linalg.norm(dx), np.linalg.norm(numerical), 1e-3)
        difference = dx - numerical
        error = np.linalg.norm(difference.ravel() if order == np.inf else difference, order) / size
        return bool(error <= tolerance), float(error)

    return answer


def trains_on_the_validation_set(start, training, validation, rates, steps=5):
    return find("learning_rate_sweep").reference(start, validation, validation, rates, steps)


def covariances_without_signs(X):
    return np.abs(find("covariance").reference(X))


def counts_as_zero_below(share):
    """The reference of `condition_number` with another share of the largest eigenvalue."""

    def answer(X):
        X = X - X.mean(axis=0)
        eigenvalues = np.linalg.eigvalsh(X.T @ X / len(X))
        return (
            np.inf
            if eigenvalues[0] <= share * eigenvalues[-1]
            else np.divide(*eigenvalues[[-1, 0]])
        )

    return answer


def everywhere(value, shape=None):
    """An answer that looks at nothing but the shape of its argument."""
    return lambda X, *args, **kwargs: np.full(shape or X.shape, value)


def scales_with_zero_deviation(X, feature_range=(0, 1)):
    a, b = feature_range
    with np.errstate(invalid="ignore"):
        unit = (X - X.min(axis=0)) / np.where(X.std(axis=0) == 0, 1, np.ptp(X, axis=0))
    return a + (b - a) * unit


def normalizes_and_mends_nan(X):
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.nan_to_num((X - X.mean(axis=0)) / np.ptp(X, axis=0))


def asks_for_the_ends_only(X):
    return (X - X.mean(axis=0)) / np.where(X[0] == X[-1], 1, X.std(axis=0))


def standardizes_and_clips(X):
    return np.clip(find("standardize").reference(X), -3, 3)


def takes_the_size_of_the_bias(b, gamma, beta, mean, var):
    return gamma, beta, mean - np.abs(b), var


def standardized(*axes):
    """Random numbers with mean 0 and deviation 1 over these axes, as far as there are any."""

    def fill(shape):
        numbers = np.random.default_rng(1).normal(size=shape)
        over = tuple(axis for axis in axes if axis < len(shape) and shape[axis] > 1)
        numbers = numbers - numbers.mean(axis=over, keepdims=True)
        return numbers / numbers.std(axis=over, keepdims=True) if over else numbers

    return fill


def white(shape):
    """Random numbers without means or correlations, where a table can hold them."""
    numbers = standardized(0)(shape)
    tall = len(shape) == 2 and shape[0] > shape[1] > 1
    return np.linalg.qr(numbers)[0] * np.sqrt(shape[0]) if tall else numbers


# What may stand where numbers are asked.
FILLS = {
    "zeros": np.zeros,
    "ones": np.ones,
    "next to nothing": lambda shape: np.full(shape, 1e-12),
    "infinity": lambda shape: np.full(shape, np.inf),
    "others each time": np.random.default_rng(1).standard_normal,
    "standardized columns": standardized(0),
    "standardized rows": standardized(1, 2, 3),
    "white": white,
}


def filled(value, fill):
    """A value of the same form, with other numbers in it, and no words."""
    if isinstance(value, dict):
        return {key: filled(v, fill) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(filled(v, fill) for v in value)
    if isinstance(value, np.ndarray):
        with np.errstate(invalid="ignore"):
            return fill(value.shape).astype(value.dtype)
    if isinstance(value, str):
        return ""
    # Nor does it tell where there is no number, or none that is whole, or finite.
    return bool(fill(())) if isinstance(value, (bool, np.bool_)) else float(fill(()))


def hollow(reference, change):
    """An answer of which no more than the form is the reference's: `change(result, arguments)`."""

    def result_of(function, args, kwargs):
        with contextlib.suppress(Exception):  # to refuse an argument, one has to look at it
            return change(function(*args, **kwargs), (*args, *kwargs.values()))

    class Hollow:
        def __init__(self, *args, **kwargs):
            self.whole = reference(*args, **kwargs)

        def __getattr__(self, name):
            if name.startswith("__"):
                raise AttributeError(name)
            value = getattr(self.whole, name)
            if not callable(value):
                return change(value, ())
            if name == "fit":
                return lambda *args: value(*args) and self
            return lambda *args, **kwargs: result_of(value, args, kwargs)

    if isinstance(reference, type):
        return Hollow
    return lambda *args, **kwargs: result_of(reference, args, kwargs)


# Answers that are not in the catalogue, what they earn, and seeds with which they once earned more,
# or less, than with others; some once earned the same too much with all.
UNKNOWN = [
    ("covariance", covariances_without_signs, 2, (0, 1, *range(2000, 2012))),
    ("covariance", lambda X: np.ones((X.shape[1], X.shape[1])), 0, (0, 1)),
    ("covariance", lambda X: np.eye(X.shape[1]), 0, (0, 1)),
    ("condition_number", lambda X: np.inf, 0, (0, 1)),
    ("condition_number", counts_as_zero_below(1e-10), 4, (0, 1)),
    ("pca_whiten", everywhere(1.0), 0, (0, 1)),
    ("zca_whiten", everywhere(1.0), 0, (0, 1)),
    ("zca_whiten", everywhere(1.0, (1, 4000)), 0, (0,)),
    ("normalize", everywhere(5e-324), 0, (0, 1)),
    ("min_max_scale", scales_with_zero_deviation, 6, (0, 1)),
    ("mean_normalize", normalizes_and_mends_nan, 5, (0, 1)),
    ("standardize", asks_for_the_ends_only, 6, (0, 1)),
    ("standardize", standardizes_and_clips, 6, (0, 1)),
    ("fold_bias", takes_the_size_of_the_bias, 2, range(2000, 2012)),
    ("standardize", divides_by_a_little_more, 6, (0, 1)),
    ("Scaler", ScalerThatClips, 6, (0, 1, 2)),
    ("layernorm_forward", sums_in_float32, 10, (1, 17, 48)),
    ("batchnorm2d_forward", images_in_float32, 9, (0, 6, 27)),
    ("batchnorm_forward", table_in_float32, 11, (0, 6, 37)),
    ("normalize", normalized_in_float32, 2, (1, 31, 50)),
    ("fold_bias", vectors_in_float32, 5, (0, 8)),
    ("pca_whiten", axes_out_of_order, 3, (0, 2)),
    ("gradient_descent_steps", steps_by_columns, 3, (0, 2)),
    ("effective_learning_rate", rate_with_an_epsilon, 4, (0, 1, 10)),
    ("clip_gradients", clips_by_a_sum, 1, (0, 2)),
    ("batch_renorm_forward", renormalizes_with("batch_mean = x.sum(axis=0)"), 4, (0, 4)),
    ("batch_renorm_forward", renormalizes_with("running_std, -r_max, d_max)"), 6, (0, 2)),
    ("learning_rate_sweep", takes_the_last_of_equals, 8, (0, 1010)),
    ("learning_rate_sweep", trains_on_the_validation_set, 5, (0, 7)),
    ("learning_rate_sweep", calls_large_losses_diverged, 7, (0, 11, (5, 77))),
    ("learning_rate_sweep", looks_up_the_largest_accuracy, 7, (0, 1, 2, 3)),
    ("relu", cuts_off_at_six, 1, (0, 1, 2, 3)),
    ("sigmoid", tanh_without_the_half, 0, (0, 1, 2, 3)),
    ("gradient_check", takes_another_norm(np.inf), 6, (0, 1, 2, 3)),
    ("gradient_check", takes_another_norm(2), 6, (0, 1, 2, 3)),
    ("gradient_check", checks_row_by_row, 3, (0, 5)),
    ("gradient_check", in_float32("gradient_check"), 10, (0, 1)),
    ("pca_whiten", turns_only_the_largest, 3, (0, 2)),
    ("pca_whiten", sorts_the_eigenvalues_alone, 0, (0, 8)),
    ("min_max_scale", in_float32("min_max_scale"), 2, (0, 2, 6)),
    ("mean_normalize", in_float32("mean_normalize"), 2, (0, 1)),
    ("standardize", in_float32("standardize"), 4, (0, 1)),
    ("covariance", in_float32("covariance"), 0, (0, 1, 2)),
    ("condition_number", in_float32("condition_number"), 0, (0, 4, 9)),
    ("forward_statistics", in_float32("forward_statistics"), 8, (0, 1, 24)),
    ("layer_gradient_norms", in_float32("layer_gradient_norms"), 11, (0, 1)),
    ("batchnorm_backward_staged", in_float32("batchnorm_backward_staged"), 0, (0, 4, 15)),
    ("batchnorm_backward", in_float32("batchnorm_backward"), 1, (0, 1, 6)),
    ("batchnorm2d_backward", in_float32("batchnorm2d_backward"), 1, (0, 2)),
    ("batchnorm_backward_eval", in_float32("batchnorm_backward_eval"), 1, (0, 1)),
    ("batchnorm_jacobian", in_float32("batchnorm_jacobian"), 0, (0, 1, 2)),
    ("update_running", in_float32("update_running"), 8, (0, 4, 10)),
    ("recalibrate", in_float32("recalibrate"), 7, (0, 8)),
    ("linear_forward", in_float32("linear_forward"), 3, (0, 1, 4)),
    ("linear_backward", in_float32("linear_backward"), 6, (0, 3, 6)),
    ("covariate_shift", in_float32("covariate_shift"), 8, (0, 1, 4)),
    ("gradient_predictiveness", in_float32("gradient_predictiveness"), 9, (0, 2, 3)),
    ("scale_invariance_residual", in_float32("scale_invariance_residual"), 0, (0, 1, 2)),
    ("layernorm_backward", in_float32("layernorm_backward"), 0, (0, 2, 5)),
    ("merge_statistics", in_float32("merge_statistics"), 12, (0, 42, 47)),
]

# Besides NumPy, what the chapter's notebook gives its students.
GIVEN = {
    "batchnorm_backward": {"FUNCTIONS"},
    "inference": {"Layer"},
    "networks": {
        *("copy", "Linear", "ReLU", "BatchNorm", "cross_entropy", "train", "accuracy", "Network"),
        *(f"Network{k}" for k in range(1, 6)),
    },
}
# A hint is one or more sentences; in some chapters the last may ask, or stand in parentheses.
ENDS = {
    "batchnorm_forward": (".", "?", ".)"),
    "inference": (".", ".)"),
    "networks": (".", "?"),
    "evidence": (".", "?"),
    "relatives": (".", ".)"),
}


@pytest.mark.parametrize(("slug", "exercise"), EXERCISES)
def test_an_exercise_is_proved(slug, exercise):
    proof = prove(exercise)
    assert proof.ok, (proof.faults, [str(m) for m in proof.survivors])
    print(f"{slug}, {exercise.name}: {proof.killed} of {proof.mutants} mutants caught")


@pytest.mark.parametrize(("slug", "exercise"), EXERCISES)
def test_right_answers_pass_without_a_warning(slug, exercise):
    for right in (exercise.reference, *exercise.alternatives):
        for seed in SEEDS:
            report = judge(exercise, right, seed=seed)
            assert report.passed, report
            assert report.warned == ()


@pytest.mark.parametrize(("slug", "exercise", "known"), MISTAKES)
def test_a_mistake_is_caught_and_named_and_earns_what_it_deserves(slug, exercise, known):
    for seed in SEEDS:
        report = judge(exercise, known.implementation, seed=seed)
        assert not report.passed
        assert [d.mistake for d in report.diagnoses] == [known.name]
        assert 0 <= report.earned == known.earns < exercise.points


@pytest.mark.parametrize(("exercise", "known", "seed"), UNLUCKY)
def test_no_luck_of_the_draw_hides_a_mistake_or_adds_one(exercise, known, seed):
    exercise = find(exercise)
    (mistake,) = (m for m in exercise.mistakes if m.name == known)
    report = judge(exercise, mistake.implementation, seed=seed)
    assert report.earned == mistake.earns
    assert [d.mistake for d in report.diagnoses] == [known]


@pytest.mark.parametrize(("exercise", "answer", "points", "seeds"), UNKNOWN)
def test_no_luck_of_the_draw_decides_about_an_unknown_answer(exercise, answer, points, seeds):
    assert {judge(find(exercise), answer, seed=seed).earned for seed in seeds} == {points}


@pytest.mark.parametrize(("slug", "exercise", "known"), MISTAKES)
def test_a_student_already_sees_a_mistake_or_is_told_that_more_is_looked_at(slug, exercise, known):
    report = judge(exercise, known.implementation, hidden=False)
    assert not report.passed or report.unseen


@pytest.mark.parametrize(("slug", "exercise", "known"), MISTAKES)
def test_a_mistake_says_what_it_does_and_what_to_do(slug, exercise, known):
    assert known.summary.endswith(".")
    assert known.hint.endswith(ENDS.get(slug, "."))
    assert known.hint.count("`") % 2 == known.summary.count("`") % 2 == 0
    assert "return " + known.name not in known.hint
    assert [m.summary for m in exercise.mistakes].count(known.summary) == 1


@pytest.mark.parametrize("exercise", FUNCTIONS_ASKED)
def test_what_becomes_of_a_list_does_not_count(exercise):
    """Behind the walls lists and dicts are copies; the same answer earns the same in a notebook."""

    def answer(*args, **kwargs):
        result = exercise.reference(*args, **kwargs)
        for given in (*args, *kwargs.values()):
            if isinstance(given, (list, dict)) and given is not result:
                given.clear()
        return result

    assert judge(exercise, answer).passed


@pytest.mark.parametrize(("slug", "exercise"), EXERCISES)
def test_an_empty_answer_earns_nothing(slug, exercise):
    def empty(*args, **kwargs):
        raise NotImplementedError

    assert judge(exercise, empty).earned == 0
    assert judge(exercise, lambda *a, **k: None).earned == 0


@pytest.mark.parametrize(("slug", "exercise"), EXERCISES)
def test_an_answer_that_computes_nothing_earns_next_to_nothing(slug, exercise):
    changes = {name: lambda r, _, fill=fill: filled(r, fill) for name, fill in FILLS.items()}
    for i in range(3):
        changes[f"argument {i}"] = lambda _, arguments, i=i: copy.deepcopy(arguments[i])
    for name, change in changes.items():
        report = judge(exercise, hollow(exercise.reference, change))
        earned = [finding.probe for finding in report.findings if finding.earned]
        assert report.earned <= exercise.points / 20, (name, earned)


@pytest.mark.parametrize(("slug", "exercise"), EXERCISES)
def test_code_in_the_catalogue_stands_alone(slug, exercise):
    """Students could have written it: it needs nothing that their notebook does not have."""
    mistakes = [m.implementation for m in exercise.mistakes]
    for implementation in (exercise.reference, *exercise.alternatives, *mistakes):
        needed = cells.free_names(as_answer(implementation, exercise.name))
        assert needed <= {"np"} | GIVEN.get(slug, set()), implementation.__name__


@pytest.mark.parametrize(("slug", "exercise"), EXERCISES)
def test_what_is_foreseen_holds_for_every_seed_and_nothing_that_the_reference_returned(
    slug, exercise
):
    for probe in exercise.probes:
        certain = _certain(probe, exercise.reference, exercise.name)
        for seed in SEEDS:
            again = _certain(probe, exercise.reference, exercise.name, seed)
            assert again.ends >= certain.ends
            assert again.operations is None or (
                certain.operations is not None and again.operations >= certain.operations
            ), probe.name
            sent = []
            for witness in (Witness, Doubter):
                (script,) = Plan(None, None).judge(0, [certain]).scripts
                _run(probe, exercise.reference, exercise.name, seed, witness, script)
                sent.append((wire.to_json(script.questions), script.body))
            assert sent[0] == sent[1], probe.name


@pytest.mark.parametrize("slug", SLUGS)
def test_a_notebook_is_proved(slug):
    """The solution earns everything, the release nothing, and the points agree."""
    source = read_source(source_path(ROOT, slug))
    release = nbformat.reads(release_text(ROOT, slug), as_version=4)
    assert notebook_faults(chapter(slug), source, release) == []
