"""The book's laboratory measures what it says: closed forms, shapes, determinism, legibility."""

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

matplotlib.use("Agg")
sys.path.insert(0, str(Path(__file__).parent.parent / "book"))

import matplotlib.pyplot as plt
from lab import data, descent, figures, tables


@pytest.fixture(autouse=True)
def _own_style() -> Iterator[None]:
    """Leave Matplotlib as it was for the tests of other modules."""
    with matplotlib.rc_context():
        yield
    plt.close("all")


# --- data ------------------------------------------------------------------------------------

TABLES = {
    "wine": (data.wine, (178, 13), (59, 71, 48)),
    "digits": (data.digits, (1797, 64), None),
    "breast_cancer": (data.breast_cancer, (569, 30), (212, 357)),
    "diabetes": (data.diabetes, (442, 10), ()),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_have_the_documented_shapes(name):
    load, shape, counts = TABLES[name]
    table = load()
    assert table.X.shape == shape
    assert table.X.dtype == np.float64
    assert table.y.shape == shape[:1]
    assert len(table.features) == shape[1]
    assert np.isfinite(table.X).all()
    if counts:
        assert tuple(np.bincount(table.y)) == counts
        assert len(table.classes) == len(counts)


def test_tables_hold_what_their_docstrings_say():
    wine, digits, diabetes = data.wine(), data.digits(), data.diabetes()
    proline, hue = wine.column("proline"), wine.column("hue")
    assert (proline.min(), proline.max(), hue.min(), hue.max()) == (278, 1680, 0.48, 1.71)
    assert set(np.unique(digits.X)) == set(range(17))
    assert (np.ptp(digits.X, axis=0) == 0).sum() == 3
    assert (diabetes.y.min(), diabetes.y.max()) == (25, 346)
    assert diabetes.classes == ()
    assert diabetes.column("age").max() > 70  # years, not the prescaled version
    assert data.breast_cancer().column("worst area").mean() == pytest.approx(880, abs=20)


def test_a_table_does_not_know_other_features():
    with pytest.raises(ValueError, match="vintage"):
        data.wine().column("vintage")


def test_splits_are_seeded_stratified_and_complete():
    wine = data.wine()
    first, again, other = data.split(wine, 1), data.split(wine, 1), data.split(wine, 2)
    np.testing.assert_array_equal(first.X_train, again.X_train)
    assert not np.array_equal(first.X_train, other.X_train)
    assert (len(first.X_train), len(first.X_test)) == (124, 54)
    share = np.bincount(wine.y) / 178
    assert np.abs(np.bincount(first.y_test) / 54 - share).max() < 0.01
    together = np.vstack([first.X_train, first.X_test])
    np.testing.assert_array_equal(np.sort(together, axis=0), np.sort(wine.X, axis=0))
    assert [len(part.X_test) for part in data.splits(data.digits(), range(2), 360)] == [360, 360]
    assert len(data.split(data.diabetes(), 0).y_test) == 133


def test_scaled_looks_at_the_training_rows_only():
    part = data.split(data.wine(), 0)
    far = data.Split(part.X_train, part.y_train, part.X_test + 1e6, part.y_test)
    one, two = data.scaled(part, StandardScaler()), data.scaled(far, StandardScaler())
    np.testing.assert_array_equal(one.X_train, two.X_train)
    np.testing.assert_allclose(one.X_train.mean(axis=0), 0, atol=1e-12)
    assert two.X_test.min() > 1000


def test_center_and_rescale_keeps_the_relations_between_spreads():
    part = data.split(data.digits(), 0)
    result = data.center_and_rescale(part)
    np.testing.assert_allclose(result.X_train.mean(axis=0), 0, atol=1e-12)
    assert result.X_train.std() == pytest.approx(1)
    before, after = part.X_train.std(axis=0), result.X_train.std(axis=0)
    np.testing.assert_allclose(after / after.max(), before / before.max())
    ratio = (part.X_test - part.X_train[:1]).std() / (result.X_test - result.X_train[:1]).std()
    assert ratio == pytest.approx(before.max() / after.max())


def test_stack_adds_an_axis_for_runs():
    runs = data.stack(data.splits(data.wine(), range(3)))
    shapes = [getattr(runs, key).shape for key in ("X_train", "y_train", "X_test", "y_test")]
    assert shapes == [(3, 124, 13), (3, 124), (3, 54, 13), (3, 54)]


# --- descent ---------------------------------------------------------------------------------


def regressions(runs=3, rows=40, features=4):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(runs, rows, features)) + 1
    return X, rng.normal(size=(runs, rows))


def numerical_gradient(problem, w, h=1e-6):
    gradient = np.empty_like(w)
    for place in itertools.product(*map(range, w.shape)):
        step = np.zeros_like(w)
        step[place] = h
        up, down = problem.loss_and_gradient(w + step)[0], problem.loss_and_gradient(w - step)[0]
        gradient[place] = (up - down)[place[0]] / (2 * h)
    return gradient


def test_curvature_is_that_of_the_hessian():
    X, _ = regressions()
    flattest, steepest = descent.curvature(X)
    A = descent.with_bias(X)
    eigenvalues = np.linalg.eigvalsh(np.swapaxes(A, 1, 2) @ A / X.shape[1])
    np.testing.assert_allclose(flattest, eigenvalues[:, 0])
    np.testing.assert_allclose(steepest, eigenvalues[:, -1])
    np.testing.assert_allclose(descent.condition_number(X), steepest / flattest)


def test_condition_number_of_one_feature_agrees_with_its_trace_and_determinant():
    x = np.random.default_rng(0).normal(size=400)
    x = 0.4 + 0.2 * (x - x.mean()) / x.std()
    trace, determinant = 0.4**2 + 0.2**2 + 1, 0.2**2
    root = np.sqrt(trace**2 / 4 - determinant)
    expected = (trace / 2 + root) / (trace / 2 - root)
    assert descent.condition_number(x[:, None]) == pytest.approx(expected)
    assert round(expected) == 34  # the page says so


def test_least_squares_has_its_closed_form():
    X, y = regressions()
    problem = descent.LeastSquares(X, y)
    w = np.random.default_rng(1).normal(size=(3, 4))
    loss, gradient = problem.loss_and_gradient(w)
    residual = np.einsum("rnd,rd->rn", X, w) - y
    np.testing.assert_allclose(loss, 0.5 * (residual**2).mean(axis=1))
    np.testing.assert_allclose(gradient, numerical_gradient(problem, w), atol=1e-8)
    at_best, flat = problem.loss_and_gradient(problem.solution)
    np.testing.assert_allclose(at_best, problem.minimum)
    np.testing.assert_allclose(flat, 0, atol=1e-12)


def test_softmax_has_the_right_loss_and_gradient():
    rng = np.random.default_rng(2)
    X, y = rng.normal(size=(2, 30, 3)), rng.integers(0, 3, size=(2, 30))
    problem = descent.SoftmaxRegression(X, y, classes=3)
    loss, _ = problem.loss_and_gradient(problem.start)
    np.testing.assert_allclose(loss, np.log(3))
    w = rng.normal(size=problem.start.shape)
    _, gradient = problem.loss_and_gradient(w)
    np.testing.assert_allclose(gradient, numerical_gradient(problem, w), atol=1e-8)
    huge, _ = problem.loss_and_gradient(1e4 * w)  # no overflow
    assert np.isfinite(huge).all()


def test_softmax_bound_is_never_exceeded():
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(1, 60, 2)), rng.integers(0, 3, size=(1, 60))
    problem = descent.SoftmaxRegression(X, y)
    for scale in (0.0, 0.3, 3.0):
        w = scale * rng.normal(size=problem.start.shape)
        columns = []
        for place in range(w.size):
            step = np.zeros(w.size)
            step[place] = 1e-5
            up = problem.loss_and_gradient(w + step.reshape(w.shape))[1]
            down = problem.loss_and_gradient(w - step.reshape(w.shape))[1]
            columns.append(((up - down) / 2e-5).ravel())
        top = np.linalg.eigvalsh((np.array(columns) + np.array(columns).T) / 2)[-1]
        assert top <= problem.curvature_bound[0] * (1 + 1e-6)


def test_softmax_descent_finds_the_optimum_that_scikit_learn_finds():
    part = data.scaled(data.split(data.wine(), 0), StandardScaler())
    X, y = part.X_train[None, :, :2], part.y_train[None]
    problem = descent.SoftmaxRegression(X, y)
    step = descent.gradient_descent(1 / problem.curvature_bound)
    run = descent.descend(problem, step, max_steps=3000)
    other = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(X[0], y[0])
    log_likelihood = other.predict_log_proba(X[0])[np.arange(len(y[0])), y[0]]
    assert run.loss[0] == pytest.approx(-log_likelihood.mean(), abs=1e-6)
    np.testing.assert_array_equal(descent.predict(run.w, X)[0], other.predict(X[0]))


def test_gradient_descent_takes_the_steps_of_the_closed_form():
    """On an exact quadratic, step t multiplies the error along each axis by (1 − λ/L)^t."""
    Z = np.linalg.qr(np.random.default_rng(4).normal(size=(50, 2)))[0] * np.sqrt(50)
    X = Z * [1.0, 5.0]
    problem = descent.LeastSquares(X[None], (X @ [1.0, 1.0])[None])
    run = descent.descend(problem, descent.gradient_descent(1 / 25), max_steps=40)
    np.testing.assert_allclose(run.w, [[1 - (1 - 1 / 25) ** 40, 1]])
    assert not run.reached.any()
    target = 0.5 * 1e-6
    counted = descent.descend(problem, descent.gradient_descent(1 / 25), target, max_steps=2000)
    expected = int(np.ceil(np.log(1e-6) / (2 * np.log(1 - 1 / 25))))
    assert counted.steps[0] == expected
    assert counted.reached[0]
    assert counted.loss[0] <= target


def test_heavy_ball_and_adam_arrive():
    X, y = regressions()
    problem = descent.LeastSquares(X, y)
    curvature = descent.curvature(X, bias=False)
    for update in (descent.heavy_ball_for(*curvature), descent.adam(0.05)):
        run = descent.descend(problem, update, problem.minimum + 1e-9, max_steps=5000)
        assert run.reached.all()
        np.testing.assert_allclose(run.w, problem.solution, atol=1e-3)


def test_heavy_ball_without_momentum_is_gradient_descent():
    X, y = regressions()
    problem = descent.LeastSquares(X, y)
    one = descent.descend(problem, descent.heavy_ball(0.1, 0.0), max_steps=30)
    two = descent.descend(problem, descent.gradient_descent(0.1), max_steps=30)
    np.testing.assert_array_equal(one.w, two.w)


def test_adam_is_that_of_torch():
    torch = pytest.importorskip("torch")
    gradients = np.random.default_rng(5).normal(size=(20, 2, 3))
    w, update = np.zeros((2, 3)), descent.adam(0.01)
    other = torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([other], lr=0.01)
    for gradient in gradients:
        w = update(w, gradient)
        other.grad = torch.tensor(gradient)
        optimizer.step()
    np.testing.assert_allclose(w, other.detach().numpy(), rtol=1e-9)


def test_runs_are_independent_and_a_diverging_one_is_harmless():
    X, y = regressions()
    _, steepest = descent.curvature(X, bias=False)
    alone = descent.descend(
        descent.LeastSquares(X[:1], y[:1]),
        descent.gradient_descent(1 / steepest[:1]),
        max_steps=3000,
    )
    rates = np.array([1, 100, 1]) / steepest
    together = descent.descend(
        descent.LeastSquares(X, y), descent.gradient_descent(rates), max_steps=3000
    )
    np.testing.assert_allclose(together.w[0], alone.w[0])
    assert not np.isfinite(together.loss[1])
    assert np.isfinite(together.loss[[0, 2]]).all()


def test_descent_stops_at_once_where_it_already_is():
    X, y = regressions()
    problem = descent.LeastSquares(X, y)
    run = descent.descend(problem, descent.gradient_descent(0.1), target=np.inf)
    assert (run.steps == 0).all()
    np.testing.assert_array_equal(run.w, problem.start)


@pytest.mark.parametrize("problem", [descent.LeastSquares, descent.SoftmaxRegression])
def test_wrong_shapes_are_named(problem):
    with pytest.raises(ValueError, match=r"\(5, 2\)"):
        problem(np.zeros((5, 2)), np.zeros(5))


# --- figures ---------------------------------------------------------------------------------

COLOR_BLINDNESS = {  # Machado, Oliveira and Fernandes (2009), full severity, linear RGB
    "none": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
               [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
               [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
               [0.004733, 0.691367, 0.303900]],
}  # fmt: skip


def cielab(color, seen_with):
    rgb = np.array(matplotlib.colors.to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(seen_with) @ linear, 0, 1)
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    t = (to_xyz @ seen) / to_xyz.sum(axis=1)
    x, y, z = np.where(t > 0.008856, np.cbrt(t), 7.787 * t + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_contrast_is_that_of_the_web_guidelines():
    assert figures.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert figures.contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)
    assert figures.contrast("#123456", "#123456") == 1


def test_text_is_legible_on_both_pages():
    assert figures.contrast(figures.INK, figures.LIGHT_PAGE) >= 4.5
    assert figures.contrast(figures.INK, figures.DARK_PAGE) >= 4.1
    lighter = "#777777"  # no grey does better on the dark page without failing on the white one
    assert figures.contrast(lighter, figures.LIGHT_PAGE) < 4.5


@pytest.mark.parametrize("series", figures.SERIES, ids=lambda series: series.color)
def test_lines_stand_out_on_both_pages(series):
    assert figures.contrast(series.color, figures.LIGHT_PAGE) >= 3
    assert figures.contrast(series.color, figures.DARK_PAGE) >= 3


@pytest.mark.parametrize("sight", COLOR_BLINDNESS)
def test_colours_stay_apart_for_every_eye(sight):
    colors = [cielab(series.color, COLOR_BLINDNESS[sight]) for series in figures.SERIES]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(colors, 2)) > 10


def test_colour_never_stands_alone():
    for key in ("color", "marker", "linestyle"):
        values = [getattr(series, key) for series in figures.SERIES]
        assert len(set(values)) == len(values)


def test_figures_are_transparent_and_the_same_each_time(tmp_path):
    figures.use()
    images = []
    for name in ("one.svg", "two.svg"):
        fig, ax = plt.subplots()
        figures.errorbars(ax, [1, 2], [[1, 2], [3, 5]], label="a")
        ax.set(title="title", xlabel="x")
        ax.legend()
        fig.savefig(tmp_path / name, metadata={"Date": None})
        images.append((tmp_path / name).read_text())
    assert images[0] == images[1]
    assert "#ffffff" not in images[0].lower()
    assert "#000000" not in images[0]
    fig.savefig(tmp_path / "one.png")
    assert plt.imread(tmp_path / "one.png")[0, 0, 3] == 0


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_the_style_needs_no_notebook(kind):
    figures.use(kind)
    assert matplotlib.rcParams["text.color"] == figures.INK


def test_series_can_be_overridden():
    look = figures.series(1, linestyle="none", zorder=3)
    assert look["marker"] == "s"
    assert (look["linestyle"], look["zorder"]) == ("none", 3)
    assert figures.series(len(figures.SERIES)) == figures.series(0)


def test_error_bars_are_what_they_are_called():
    values = np.array([[1.0, 10.0], [2.0, 10.0], [3.0, 10.0], [6.0, 10.0]])
    mean, std = figures.summarize(values)
    np.testing.assert_allclose(mean, [3, 10])
    np.testing.assert_allclose(std, [np.sqrt(14 / 3), 0])
    np.testing.assert_allclose(figures.summarize(values, "se")[1], std / 2)
    np.testing.assert_allclose(figures.summarize(values.T, axis=1)[0], mean)
    assert figures.pm([1, 2, 3], digits=1).split() == ["2.0", "±", "1.0"]
    assert figures.pm([-1, -2, -3], "se", 2).replace("\N{MINUS SIGN}", "-").startswith("-2.00")
    with pytest.raises(ValueError, match="two seeds"):
        figures.summarize([[1.0, 2.0]])


# --- tables ----------------------------------------------------------------------------------


def test_tables_show_themselves_in_both_ways():
    table = tables.table(["mean", "a < b"], {"raw": [0.5, "x"], "z-score": [1, "&"]}, corner="data")
    assert repr(table) == "data     mean  a < b\nraw       0.5      x\nz-score     1      &"
    html = table._repr_html_()
    assert '<th scope="col">a &lt; b</th>' in html
    assert '<th scope="row">raw</th>' in html
    assert "<td>&amp;</td>" in html
    assert html.startswith('<table class="dataframe"><thead><tr><th scope="col">data</th>')
    assert "<tr><td></td><th" in tables.table(["a"], {"b": [1]})._repr_html_()


def test_what_cannot_be_read_in_two_lines_stays_on_one():
    """A narrow screen breaks behind hyphens and slashes, 1.9e- and 16."""
    for word in ("1.9e-16", "1e-5,", "|∂L/∂W|", "501–1000", "64-300-10", "z-score", "√(3/N)"):
        html = tables.table([f"of {word}"], {f"{word} a": [f"b {word}"]})._repr_html_()
        assert html.count(f'<span class="joined">{word}</span>') == 3
    for text in ("nearest-neighbour", "N − 1", "without the mean path", "0.71 ± 0.05"):
        assert "joined" not in tables.table([text], {text: [text]})._repr_html_()
    assert '<span class="joined">a/&lt;b</span>' in tables.markup("a/<b")


def test_a_short_row_is_an_error():
    with pytest.raises(ValueError, match="'raw' has 1 cells for 2"):
        tables.table(["a", "b"], {"raw": [1]})
