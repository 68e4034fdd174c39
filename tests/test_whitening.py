"""The chapter on whitening: its references agree with NumPy, scikit-learn and torch."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

sys.path.insert(0, str(Path(__file__).parent.parent / "book"))

from lab import data, descent
from lab.whitening import Whitening, curvatures, newton_root, steps_to

from autograder.chapters import whitening as chapter
from autograder.judge import judge

EXERCISES = {exercise.name: exercise for exercise in chapter.CHAPTER.exercises}
TABLES = {
    "wine": data.wine().X,
    "breast_cancer": data.breast_cancer().X[:, :10],
    "random": np.random.default_rng(0).normal(size=(12, 5)) @ np.diag([5.0, 2, 1, 1, 0.1]) + 3,
}


def close(a, b, tol=1e-10):
    np.testing.assert_allclose(a, b, rtol=tol, atol=tol * np.abs(b).max())


# --- references ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TABLES)
def test_covariance_is_that_of_numpy(name):
    close(chapter.covariance(TABLES[name]), np.cov(TABLES[name].T, bias=True))


@pytest.mark.parametrize("name", ["wine", "random"])
def test_the_limit_and_the_condition_number_come_from_the_hessian(name):
    X = TABLES[name] - TABLES[name].mean(axis=0)
    X = X / X.std(axis=0)

    def loss(w):
        return 0.5 * ((torch.tensor(X) @ w) ** 2).mean()

    H = torch.autograd.functional.hessian(loss, torch.zeros(X.shape[1], dtype=torch.float64))
    close(chapter.covariance(X), H.numpy())
    eigenvalues = torch.linalg.eigvalsh(H).numpy()
    close(chapter.max_learning_rate(H.numpy()), 2 / eigenvalues[-1])
    close(chapter.condition_number(X), eigenvalues[-1] / eigenvalues[0])


@pytest.mark.parametrize("name", TABLES)
def test_pca_whitening_is_scikit_learns_up_to_signs_and_divisor(name):
    X = TABLES[name]
    if name != "random":  # units as far apart as theirs cost digits in any eigendecomposition
        X = X / X.std(axis=0)
    theirs = PCA(whiten=True, svd_solver="full").fit_transform(X)
    ours = chapter.pca_whiten(X, eps=0.0)
    close(np.abs(ours), np.abs(theirs) * np.sqrt(len(X) / (len(X) - 1)))
    close(ours.T @ ours / len(X), np.eye(X.shape[1]))


@pytest.mark.parametrize("eps", [0.0, 1e-5, 0.3])
def test_zca_whitening_multiplies_by_the_inverse_root(eps):
    X = TABLES["random"]
    W = np.linalg.inv(np.real(matrix_root(chapter.covariance(X) + eps * np.eye(5))))
    close(chapter.zca_whiten(X, eps), (X - X.mean(axis=0)) @ W)


def matrix_root(A, steps=60):
    """The positive root of a matrix, by Denman and Beavers: no eigenvectors."""
    Y, Z = A, np.eye(len(A))
    for _ in range(steps):
        Y, Z = (Y + np.linalg.inv(Z)) / 2, (Z + np.linalg.inv(Y)) / 2
    return Y


def test_steps_are_those_of_a_walk_with_torch():
    rng = np.random.default_rng(3)
    H = chapter.bowl(rng, (4.0, 1.0, 0.2))
    w = torch.tensor(rng.normal(size=3), requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=0.3)
    first, steps = None, -1
    while True:
        loss = 0.5 * w @ torch.tensor(H) @ w
        first = loss.item() if first is None else first
        steps += 1
        if loss.item() <= 1e-5 * first:
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    start = np.random.default_rng(3)
    chapter.bowl(start, (4.0, 1.0, 0.2))
    assert chapter.gradient_descent_steps(H, start.normal(size=3), 0.3, tol=1e-5) == steps > 5


# --- grading ---------------------------------------------------------------------------------


def test_signs_are_free_and_the_order_is_not():
    rng = np.random.default_rng(0)

    def with_random_signs(X, eps=1e-5):
        Z = chapter.pca_whiten(X, eps)
        return Z * rng.choice([-1, 1], size=Z.shape[1])

    assert judge(EXERCISES["pca_whiten"], with_random_signs).passed
    report = judge(EXERCISES["pca_whiten"], lambda X, eps=1e-5: chapter.pca_whiten(X, eps)[:, ::-1])
    assert [d.mistake for d in report.diagnoses] == ["pca_in_rising_order"]


def test_a_return_within_the_loop_is_not_told_that_it_goes_uphill():
    def answer(H, w0, learning_rate, tol=1e-6, max_steps=200):
        w = w0
        for steps in range(max_steps + 1):
            if w @ H @ w <= tol * (w0 @ H @ w0):
                return steps
            w = w - learning_rate * H @ w
            return np.inf

    (diagnosis,) = judge(EXERCISES["gradient_descent_steps"], answer).diagnoses
    assert "the loop ends after its first step" in diagnosis.summary
    assert "behind the loop" in diagnosis.hint


def test_the_eigenvalue_without_its_root_is_named():
    def answer(X, eps=1e-5):
        Xc = X - X.mean(axis=0)
        values, axes = np.linalg.eigh(np.cov(Xc.T, bias=True))
        return Xc @ axes @ np.diag(1 / (np.maximum(values, 0) + eps)) @ axes.T

    report = judge(EXERCISES["zca_whiten"], answer)
    assert [d.mistake for d in report.diagnoses] == ["zca_divides_by_the_eigenvalue"]
    assert "√λ" in report.diagnoses[0].hint


def test_a_condition_number_is_not_rounded():
    reference = EXERCISES["condition_number"].reference
    for seed in range(5):
        report = judge(
            EXERCISES["condition_number"], lambda X: round(float(reference(X)), 2), seed=seed
        )
        lost = {finding.probe for finding in report.findings if not finding.earned}
        # Wherever a number is asked, and not only whether there is one.
        assert lost == {"ratio_of_the_extreme_eigenvalues", "a_common_unit_does_not_matter"}


@pytest.mark.parametrize("seed", range(15))
def test_a_zero_that_rounding_made_negative_always_shows(seed):
    answer = {
        "max_learning_rate": lambda H: np.min(2 / np.linalg.eigvalsh(H)),
        "condition_number": lambda X: (
            np.inf if (w := np.linalg.eigvalsh(np.cov(X.T, ddof=0)))[0] <= 0 else w[-1] / w[0]
        ),
    }
    earned = {k: judge(EXERCISES[k], f, seed=seed).earned for k, f in answer.items()}
    assert earned == {"max_learning_rate": 2, "condition_number": 3}


def test_probes_have_the_points_that_the_page_and_the_notebook_say():
    assert [e.points for e in EXERCISES.values()] == [5, 5, 3, 6, 6, 7]
    assert sum(len(e.mistakes) for e in EXERCISES.values()) >= 25
    assert all(len(e.alternatives) >= 2 for e in EXERCISES.values())


# --- the laboratory --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["pca", "zca", "cholesky"])
def test_whitening_whitens_the_rows_it_learned_from(kind):
    X = TABLES["random"]
    Z = Whitening(kind).fit_transform(X)
    close(Z.mean(axis=0) + 1, np.ones(5))
    close(Z.T @ Z / len(Z), np.eye(5))
    eased = Whitening(kind, eps=0.5).fit_transform(X)
    variances = Whitening().fit(X).variances
    close(curvatures(eased), variances / (variances + 0.5))


def test_whitening_agrees_with_the_exercises():
    X = TABLES["random"]
    close(Whitening("zca", eps=0.1).fit_transform(X), chapter.zca_whiten(X, 0.1))
    close(np.abs(Whitening("pca").fit_transform(X)), np.abs(chapter.pca_whiten(X, 0.0)))


def test_rotation_decorrelates_and_keeps_the_variances():
    rotation = Whitening("rotate").fit(TABLES["random"])
    Z = rotation.transform(TABLES["random"])
    close(Z.T @ Z / len(Z), np.diag(rotation.variances))
    close(rotation.matrix @ rotation.matrix.T, np.eye(5))


def test_zca_moves_the_data_least():
    X = TABLES["random"]
    moved = {
        kind: ((Whitening(kind).fit_transform(X) - (X - X.mean(axis=0))) ** 2).sum()
        for kind in ("zca", "pca", "cholesky")
    }
    assert moved["zca"] < min(moved["pca"], moved["cholesky"])


def test_directions_without_variance_stay_empty():
    X = np.random.default_rng(0).normal(size=(4, 7))
    whitening = Whitening("zca").fit(X)
    assert (whitening.variances > 0).sum() == 3
    Z = whitening.transform(X)
    close(np.linalg.eigvalsh(Z.T @ Z / 4), np.array([0.0] * 4 + [1.0] * 3))


def test_whitening_does_not_know_other_kinds():
    with pytest.raises(ValueError, match="blue"):
        Whitening("blue").fit(TABLES["random"])  # type: ignore[arg-type]


@pytest.mark.parametrize("fraction", [0.3, 1.0, 1.7])
def test_steps_are_counted_without_taking_them(fraction):
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(1, 40, 4)) * [1, 2, 3, 0.5], rng.normal(size=(1, 40))
    problem = descent.LeastSquares(X, y)
    _, singular, axes = np.linalg.svd(X[0], full_matrices=False)
    curvature = singular**2 / 40
    rate = fraction / curvature[0]
    first, _ = problem.loss_and_gradient(problem.start)
    target = problem.minimum + 1e-5 * (first - problem.minimum)
    walked = descent.descend(problem, descent.gradient_descent(rate), target, max_steps=5000)
    excess = curvature * (axes @ problem.solution[0]) ** 2 / 2
    assert steps_to(curvature, excess, rate, 1e-5) == walked.steps[0] > 3


def test_steps_know_when_there_is_no_end():
    ones = np.ones(2)
    assert steps_to(np.array([4.0, 1.0]), ones, 0.51, 1e-3) == np.inf
    assert steps_to(np.array([4.0, 0.0]), ones, 0.1, 1e-3) == np.inf
    assert steps_to(np.array([4.0, 1e-9]), ones, 0.1, 1e-3, give_up=1000) == np.inf
    assert steps_to(np.array([4.0, 1.0]), ones, 0.1, 1.0) == 0
    assert steps_to(np.array([4.0, 4.0]), ones, 0.25, 1e-3) == 1


def test_newton_approaches_the_inverse_root():
    X = TABLES["random"] / TABLES["random"].std(axis=0)
    covariance = np.cov(X.T, bias=True)
    close(newton_root(covariance, 12), np.linalg.inv(matrix_root(covariance)), tol=1e-6)
    pair = newton_root(np.stack([covariance, np.eye(5)]), 12)
    assert pair.shape == (2, 5, 5)
    close(pair[1], np.eye(5), tol=1e-6)


@pytest.mark.parametrize("seed", range(8))
def test_eigenvalues_that_nobody_sorted_are_seen(seed):
    def pca_whiten(X, eps=1e-5):
        X = X - X.mean(axis=0)
        eigenvalues, U = np.linalg.eig(X.T @ X / len(X))
        return X @ U / np.sqrt(np.abs(eigenvalues) + eps)

    assert not judge(EXERCISES["pca_whiten"], pca_whiten, seed=seed).passed


def test_steps_that_never_arrive_are_not_all_called_uphill():
    def shrinking(H, w0, learning_rate, tol=1e-6, max_steps=200):
        target = tol * (w0 @ H @ w0)
        w = w0
        for steps in range(max_steps + 1):
            if w @ H @ w <= target:
                return steps
            w = w - learning_rate / (steps + 1) * (H @ w)
        return np.inf

    for seed in range(4):
        report = judge(EXERCISES["gradient_descent_steps"], shrinking, seed=seed)
        assert not report.passed
        assert report.diagnoses == ()


def test_a_loss_that_stands_still_is_not_called_a_wrong_count():
    def standstill(H, w0, learning_rate, tol=1e-6, max_steps=200):
        losses = [w0 @ H @ w0 / 2]
        w = w0 - learning_rate * (H @ w0)
        for steps in range(1, max_steps + 1):
            losses.append(w @ H @ w / 2)
            if abs(losses[-2] - losses[-1]) <= tol:
                return steps
            w = w - learning_rate * (H @ w)
        return np.inf

    for seed in range(4):
        report = judge(EXERCISES["gradient_descent_steps"], standstill, seed=seed)
        assert {d.mistake for d in report.diagnoses} == {"waits_for_a_standstill"}


def test_a_root_of_each_entry_is_named_and_its_nan_is_said():
    def answer(X, eps=1e-5):
        X = X - X.mean(axis=0)
        with np.errstate(all="ignore"):
            return X @ (1 / np.sqrt(np.cov(X.T, bias=True) + np.diag([eps] * X.shape[1])))

    for seed in range(8):
        report = judge(EXERCISES["zca_whiten"], answer, seed=seed)
        assert [d.mistake for d in report.diagnoses] == ["zca_takes_the_root_of_each_entry"]
        assert not any("LinAlgError" in f.detail for f in report.findings)
