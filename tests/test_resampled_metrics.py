import math

import numpy as np
import pytest
from scipy import stats

from qoe_core.bootstrap import draw_contents, interval
from qoe_core.metrics import METRICS
from qoe_core.resampled_metrics import metric_estimates

N_DRAWS = 60  # not a multiple of what is ranked side by side


@pytest.fixture
def table():
    """Two models on 30 sessions of 6 contents; ratings and the second model have many ties."""
    rng = np.random.default_rng(0)
    rated = rng.normal(size=30).round(1) + 7
    predicted = np.stack([rated + rng.normal(size=30), (rated + rng.normal(size=30)).round(0)])
    content = [f"content_{i}" for i in rng.permutation(np.arange(30) % 6)]
    return predicted, rated, draw_contents(content, N_DRAWS), rng.uniform(0, 1, 30)


def expanded(values, draws, draw):
    weights = (draws.counts @ draws.member.T)[draw].astype(int)
    return np.repeat(values, weights)


@pytest.mark.parametrize(
    ("name", "reference"),
    [("plcc", stats.pearsonr), ("srocc", stats.spearmanr), ("krocc", stats.kendalltau)],
)
def test_each_drawn_correlation_equals_scipy_on_the_repeated_sessions(table, name, reference):
    predicted, rated, draws, _ = table
    drawn = metric_estimates(predicted, rated, draws)[name].drawn
    expected = [
        [
            reference(expanded(row, draws, draw), expanded(rated, draws, draw)).statistic
            for row in predicted
        ]
        for draw in range(N_DRAWS)
    ]
    np.testing.assert_allclose(drawn, expected, rtol=0, atol=1e-9)


def test_each_drawn_error_equals_its_formula_on_the_repeated_sessions(table):
    predicted, rated, draws, half = table
    estimates = metric_estimates(predicted, rated, draws, half)
    for draw in range(N_DRAWS):
        error = np.abs(expanded(predicted[0] - rated, draws, draw))
        width = expanded(half, draws, draw)
        expected = {
            "rmse": math.sqrt((error**2).mean()),
            "rmse_star": math.sqrt((np.clip(error - width, 0, None) ** 2).mean()),
            "or_half": (error > width).mean(),
            "or_full": (error > 2 * width).mean(),
        }
        for name, value in expected.items():
            assert estimates[name].drawn[draw, 0] == pytest.approx(value, abs=1e-9)


def test_a_large_offset_leaves_the_drawn_correlation_unchanged(table):
    predicted, rated, draws, _ = table
    drawn = metric_estimates(predicted, rated, draws)["plcc"].drawn
    moved = metric_estimates(predicted + 1e6, rated, draws)["plcc"].drawn
    np.testing.assert_allclose(moved, drawn, rtol=0, atol=1e-9)


def test_the_value_is_the_metric_on_the_sessions_themselves(table):
    predicted, rated, draws, _ = table
    value = metric_estimates(predicted, rated, draws)["srocc"].value
    expected = [stats.spearmanr(row, rated).statistic for row in predicted]
    np.testing.assert_allclose(value, expected, rtol=0, atol=1e-9)


def test_metrics_come_in_the_fixed_order(table):
    assert tuple(metric_estimates(*table)) == METRICS


def test_without_an_interval_no_metric_of_it_is_invented(table):
    assert list(metric_estimates(*table[:3])) == ["plcc", "srocc", "krocc", "rmse"]


def test_a_constant_model_has_an_error_but_no_correlation(table):
    _, rated, draws, _ = table
    estimates = metric_estimates(np.full((1, 30), 0.1), rated, draws)
    assert np.isnan(estimates["plcc"].drawn).all()
    assert np.isnan(interval(estimates["krocc"]).low).all()
    assert np.isfinite(interval(estimates["rmse"]).low).all()


def test_draws_in_which_the_model_is_constant_are_undefined_and_refused_when_frequent():
    predicted = np.array([[0.1, 0.1, 0.1, 0.7]])
    draws = draw_contents(["a", "b", "b", "c"], 1000)
    estimates = metric_estimates(predicted, np.array([1.0, 2.0, 3.0, 4.0]), draws)
    constant = (draws.counts[:, 2] == 0) | (draws.counts[:, 2] == 3)
    for name in ("plcc", "srocc", "krocc"):
        np.testing.assert_array_equal(np.isnan(estimates[name].drawn[:, 0]), constant)
        with pytest.raises(ValueError, match=f"^row 0 is undefined in {constant.sum()} of 1000"):
            interval(estimates[name])


def test_a_missing_prediction_is_refused(table):
    predicted, rated, draws, _ = table
    predicted[1, 2] = np.nan
    with pytest.raises(ValueError, match=r"^predicted\[2\] is nan"):
        metric_estimates(predicted, rated, draws)


def test_draws_of_other_sessions_are_refused(table):
    predicted, rated, draws, _ = table
    with pytest.raises(ValueError, match="scores of 29 sessions and draws for 30"):
        metric_estimates(predicted[:, :29], rated[:29], draws)
