"""The chapter on feature scaling: right references, mistakes that are caught, named and priced."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from autograder.chapters.feature_scaling import CHAPTER
from autograder.judge import judge

EXERCISES = {e.name: e for e in CHAPTER.exercises}
MISTAKES = [(e, m) for e in CHAPTER.exercises for m in e.mistakes]
SEEDS = range(100, 103)  # not those that `autograder verify` tries


def name_of(value):
    return getattr(value, "name", getattr(value, "__name__", None))


# --- against scikit-learn --------------------------------------------------------------------

RNG = np.random.default_rng(0)
TABLES = {
    "random": RNG.normal(size=(9, 4)) * [0.2, 1, 15, 300] + [1, -2, 100, 750],
    "one constant column": np.column_stack([RNG.normal(size=5), np.full(5, 3.5)]),
    "constant but for rounding": np.column_stack([RNG.normal(size=12), np.full(12, 0.1)]),
    "a single row": RNG.normal(size=(1, 3)),
    "whole numbers": RNG.integers(-50, 50, size=(8, 3)),
    "small units": RNG.normal(size=(7, 2)) * 1e-6,
    "a single column": RNG.normal(size=(6, 1)),
}
tables = pytest.mark.parametrize("X", TABLES.values(), ids=TABLES.keys())


def near(got, expected):
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)


@tables
@pytest.mark.parametrize("feature_range", [(0, 1), (-2, 5), (-1.5, -0.25)])
def test_min_max_scale_agrees_with_scikit_learn(X, feature_range):
    theirs = MinMaxScaler(feature_range).fit_transform(X)
    near(EXERCISES["min_max_scale"].reference(X, feature_range=feature_range), theirs)


@tables
def test_standardize_agrees_with_scikit_learn(X):
    near(EXERCISES["standardize"].reference(X), StandardScaler().fit_transform(X))


@tables
def test_scaler_agrees_with_scikit_learn(X):
    new = np.random.default_rng(1).normal(size=(4, X.shape[1]))
    ours, theirs = EXERCISES["Scaler"].reference().fit(X), StandardScaler().fit(X)
    near(ours.transform(new), theirs.transform(new))
    near(ours.inverse_transform(new), theirs.inverse_transform(new))


@tables
def test_scale_splits_agrees_with_scikit_learn(X):
    new = np.random.default_rng(1).normal(size=(4, X.shape[1]))
    theirs = StandardScaler().fit(X)
    train, test = EXERCISES["scale_splits"].reference(X, new)
    near(train, theirs.transform(X))
    near(test, theirs.transform(new))


@tables
def test_mean_normalize_is_min_max_scaling_around_the_mean(X):
    unit = MinMaxScaler().fit_transform(X)
    near(EXERCISES["mean_normalize"].reference(X), unit - unit.mean(axis=0))


@settings(max_examples=50, deadline=None)
@given(
    hnp.arrays(
        np.int64,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=6),
        elements=st.integers(-1000, 1000),
    )
)
def test_references_agree_with_scikit_learn_on_any_table(X):
    near(EXERCISES["min_max_scale"].reference(X), MinMaxScaler().fit_transform(X))
    near(EXERCISES["standardize"].reference(X), StandardScaler().fit_transform(X))


# --- the catalogue ---------------------------------------------------------------------------


def test_the_catalogue_is_as_rich_as_promised():
    assert len(MISTAKES) >= 16
    assert sum(e.points for e in CHAPTER.exercises) >= 30
    assert all(len(e.alternatives) >= 1 for e in CHAPTER.exercises)


@pytest.mark.parametrize("exercise", CHAPTER.exercises, ids=name_of)
def test_returning_the_input_earns_nothing(exercise):
    class Same:
        def fit(self, X):
            return self

        def transform(self, X):
            return X

        inverse_transform = transform

    answer = {
        "Scaler": Same,
        "scale_splits": lambda a, b: (a, b),
    }.get(exercise.name, lambda X, **_: X)
    assert judge(exercise, answer).earned <= 2  # what has nothing to do with the values


# --- answers with two mistakes at once -------------------------------------------------------


def standardize_with(*, ddof=0, center=True, guard=True, whole=False):
    def standardize(X):
        if whole:
            return (X - X.mean()) / X.std()
        std = X.std(axis=0, ddof=ddof)
        if guard:
            std = np.where(X.max(axis=0) == X.min(axis=0), 1, std)
        return (X - center * X.mean(axis=0)) / std

    return standardize


class ScalerWith:
    """A scaler with chosen faults."""

    returns_self = True
    adds_mean = True
    ddof = 0
    guard = True

    def fit(self, X):
        constant = X.max(axis=0) == X.min(axis=0)
        self.mean_ = X.mean(axis=0)
        self.scale_ = X.std(axis=0, ddof=self.ddof)
        if self.guard:
            self.scale_ = np.where(constant, 1, self.scale_)
        return self if self.returns_self else None

    def transform(self, X):
        return (X - self.mean_) / self.scale_

    def inverse_transform(self, Z):
        return Z * self.scale_ + (self.mean_ if self.adds_mean else 0)


def min_max_without_guard_and_range(X, feature_range=(0, 1)):
    return (X - X.min(axis=0)) / np.ptp(X, axis=0)


def splits_with_test_statistics_in_place(X_train, X_test):
    mean, std = X_train.mean(axis=0), X_train.std(axis=0)
    std[X_train.max(axis=0) == X_train.min(axis=0)] = 1
    test = (X_test - X_test.mean(axis=0)) / X_test.std(axis=0)
    X_train -= mean
    X_train /= std
    X_test -= mean
    X_test /= std
    return X_train, test


@pytest.mark.parametrize(
    ("exercise", "answer", "mistakes"),
    [
        (
            "standardize",
            standardize_with(ddof=1, guard=False),
            {"divides_by_n_minus_1", "standardizing_divides_by_zero"},
        ),
        (
            "min_max_scale",
            min_max_without_guard_and_range,
            {"ignores_the_range", "min_max_divides_by_zero"},
        ),
        (
            "Scaler",
            type("Answer", (ScalerWith,), {"returns_self": False, "adds_mean": False}),
            {"FitReturnsNothing", "ForgetsTheMeanOnTheWayBack"},
        ),
        (
            "Scaler",
            type("Answer", (ScalerWith,), {"returns_self": False, "guard": False}),
            {"FitReturnsNothing", "ScalerDividesByZero"},
        ),
        (
            "scale_splits",
            splits_with_test_statistics_in_place,
            {"fits_the_test_split_again", "splits_change_their_input"},
        ),
    ],
)
def test_two_mistakes_at_once_are_both_named(exercise, answer, mistakes):
    for seed in SEEDS:
        report = judge(EXERCISES[exercise], answer, seed=seed)
        assert {d.mistake for d in report.diagnoses} == mistakes
        assert report.earned < EXERCISES[exercise].points - 1


def test_no_combination_of_faults_is_given_a_name_that_is_wrong():
    known = {
        "ddof": "divides_by_n_minus_1",
        "center": "forgets_to_center",
        "guard": "standardizing_divides_by_zero",
        "whole": "standardizes_the_whole_matrix",
    }
    wrong = {"ddof": 1, "center": False, "guard": False, "whole": True}
    for faults in itertools.chain.from_iterable(itertools.combinations(wrong, n) for n in (1, 2)):
        answer = standardize_with(**{fault: wrong[fault] for fault in faults})
        report = judge(EXERCISES["standardize"], answer)
        assert {d.mistake for d in report.diagnoses} <= {known[fault] for fault in faults}


# --- what a student is told ------------------------------------------------------------------


def told(exercise, answer):
    return "\n".join(f.detail for f in judge(EXERCISES[exercise], answer).findings)


def test_a_range_that_is_no_argument():
    detail = told("min_max_scale", lambda X: X)
    assert "unexpected keyword argument 'feature_range'" in detail
    assert "rng" not in detail


def test_the_wrong_axis_without_keepdims():
    def answer(X):
        return (X - X.mean(axis=1)) / X.std(axis=1)

    detail = told("standardize", answer)
    assert "could not be broadcast together with shapes (7,4) (7,)" in detail
    assert "`return (X - X.mean(axis=1)) / X.std(axis=1)`" in detail


def test_a_scaler_without_an_inverse():
    class Half:
        fit, transform = ScalerWith.fit, ScalerWith.transform
        ddof, guard, returns_self = 0, True, True

    assert "there is no Scaler.inverse_transform: is it written yet?" in told("Scaler", Half)
    assert judge(EXERCISES["Scaler"], Half).earned > 0


def test_a_transform_that_returns_nothing_is_not_taken_for_a_fit_that_does():
    class Answer(ScalerWith):
        def transform(self, X):
            (X - self.mean_) / self.scale_

    report = judge(EXERCISES["Scaler"], Answer)
    assert report.diagnoses == ()
    assert "Scaler.fit(…).transform(7×4 float64 array) returned None" in told("Scaler", Answer)


@pytest.mark.parametrize("eps", [1e-10, 1e-9, 1e-7, 1e-5])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_constant_in_the_divisor_is_told_with_its_size(eps, seed):
    report = judge(
        EXERCISES["min_max_scale"],
        lambda X, feature_range=(0, 1): (
            feature_range[0]
            + (feature_range[1] - feature_range[0])
            * (X - X.min(axis=0))
            / (X.max(axis=0) - X.min(axis=0) + eps)
        ),
        seed=seed,
    )
    (detail,) = [f.detail for f in report.findings if f.probe == "small_units"]
    assert f"{eps:.3g} were added to the spread of each column" in detail


def test_a_floor_under_the_divisor_is_told():
    def mean_normalize(X):
        return (X - X.mean(axis=0)) / np.maximum(np.ptp(X, axis=0), 1e-5)

    assert "no spread could be smaller than 1e-05" in told("mean_normalize", mean_normalize)


ADDED = "It is as if {:.3g} were added to the deviation of each column."
FLOOR = "It is as if no deviation could be smaller than {:.3g}."


@pytest.mark.parametrize(
    ("rule", "eps", "sentence"),
    [(np.add, eps, ADDED) for eps in (1e-10, 1e-8, 1e-6, 1e-5)]
    + [(np.maximum, eps, FLOOR) for eps in (1e-8, 1e-6)],
)
def test_what_stands_beside_a_guard_is_told(rule, eps, sentence):
    """A column that never varies is divided by 1, and all others by something with an epsilon."""

    def scale(X):
        return np.where(X.max(axis=0) == X.min(axis=0), 1, rule(X.std(axis=0), eps))

    class Scaler:
        def fit(self, X):
            self.mean, self.scale = X.mean(axis=0), scale(X)
            return self

        def transform(self, X):
            return (X - self.mean) / self.scale

        def inverse_transform(self, Z):
            return Z * self.scale + self.mean

    def scale_splits(X_train, X_test):
        scaler = Scaler().fit(X_train)
        return scaler.transform(X_train), scaler.transform(X_test)

    assert sentence.format(eps) in told("Scaler", Scaler)
    assert sentence.format(eps) in told("scale_splits", scale_splits)


@pytest.mark.parametrize("none", ["s < 1e-8", "s <= 1e-6", "np.isclose(s, 0)", "s.round(8) == 0"])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_small_spread_that_is_taken_for_none_is_named(none, seed):
    def is_none(s):
        return eval(none, {"s": s, "np": np})

    def min_max_scale(X, feature_range=(0, 1)):
        a, b = feature_range
        span = np.ptp(X, axis=0)
        return a + (b - a) * (X - X.min(axis=0)) / np.where(is_none(span), 1, span)

    def mean_normalize(X):
        span = np.ptp(X, axis=0)
        return (X - X.mean(axis=0)) / np.where(is_none(span), 1, span)

    def standardize(X):
        return (X - X.mean(axis=0)) / np.where(is_none(X.std(axis=0)), 1, X.std(axis=0))

    for answer in (min_max_scale, mean_normalize, standardize):
        exercise = EXERCISES[answer.__name__]
        report = judge(exercise, answer, seed=seed)
        assert report.earned == exercise.points - 1
        (diagnosis,) = report.diagnoses
        assert "takes_a_small" in diagnosis.mistake


@pytest.mark.parametrize("seed", SEEDS)
def test_a_floor_that_knows_the_size_of_the_numbers_is_right(seed):
    def standardize(X):
        std = X.std(axis=0)
        rounding = 1e-10 * np.abs(X).max(axis=0)
        return (X - X.mean(axis=0)) / np.where(std <= rounding, 1, std)

    assert judge(EXERCISES["standardize"], standardize, seed=seed).passed


def test_a_single_test_row_is_no_constant_column():
    def scale_splits(X_train, X_test):
        constant = [np.ptp(X, axis=0) == 0 for X in (X_train, X_test)]
        mean, std = X_train.mean(axis=0), X_train.std(axis=0)
        std = np.where(constant[0] | constant[1], 1, std)
        return (X_train - mean) / std, (X_test - mean) / std

    report = judge(EXERCISES["scale_splits"], scale_splits)
    assert report.earned == 5
    assert "a scaled test split of one row" in told("scale_splits", scale_splits)


@pytest.mark.parametrize("divisor", ["X.max(axis=0)", "X.std()", "np.ptp(X)", "X.var(axis=0)"])
def test_another_divisor_is_not_taken_for_a_constant(divisor):
    def standardize(X):
        return (X - X.mean(axis=0)) / eval(divisor, {"X": X, "np": np})

    assert "as if" not in told("standardize", standardize)


@pytest.mark.parametrize("eps", [0, 1e-12, 1e-10, 1e-8])
def test_rounding_that_is_blown_up_is_told(eps):
    def scale_splits(X_train, X_test):
        mean, std = X_train.mean(axis=0), X_train.std(axis=0) + eps
        return (X_train - mean) / std, (X_test - mean) / std

    said = "What is left of this column after centering is rounding"
    assert (said in told("scale_splits", scale_splits)) == (eps > 0)


@pytest.mark.parametrize(
    "result",
    [[1.0, [2.0]], None, "no", np.zeros((7, 0)), np.full((7, 4), "1"), np.ones((7, 4)) * 1j],
)
@pytest.mark.parametrize("exercise", ["min_max_scale", "mean_normalize", "standardize"])
def test_a_result_that_is_no_table_does_no_harm(exercise, result):
    report = judge(EXERCISES[exercise], lambda X, feature_range=(0, 1): result)
    assert report.earned == 0
    assert "Traceback" not in str(report)


def constant_by(rule):
    def standardize(X):
        mean, std = X.mean(axis=0), X.std(axis=0)
        constant = rule(X, mean, std)
        return np.where(constant, 0, (X - mean) / np.where(constant, 1, std))

    return standardize


@pytest.mark.parametrize(
    ("rule", "right"),
    [
        (lambda X, mean, std: np.ptp(X, axis=0) == 0, True),
        (lambda X, mean, std: std <= 1e-12 * np.abs(mean), True),
        (lambda X, mean, std: std <= 1e-8 * np.abs(mean), False),
        (lambda X, mean, std: np.isclose(X.max(axis=0), X.min(axis=0), atol=0), False),
    ],
)
def test_numbers_near_one_that_lie_a_billionth_apart_vary(rule, right):
    for seed in SEEDS:
        assert judge(EXERCISES["standardize"], constant_by(rule), seed=seed).passed == right


def test_a_variance_in_one_pass_does_not_pass():
    def answer(X):
        mean, constant = X.mean(axis=0), X.max(axis=0) == X.min(axis=0)
        with np.errstate(all="ignore"):
            std = np.sqrt(np.mean(X * X, axis=0) - mean * mean)
            return np.where(constant, 0, (X - mean) / std)

    for seed in SEEDS:
        report = judge(EXERCISES["standardize"], answer, seed=seed)
        assert report.earned == 6
        assert [d.mistake for d in report.diagnoses] == ["standardizing_in_one_pass"]
