import inspect
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from scipy import stats

from qoe_core import metrics
from qoe_core.pairs import UndefinedCorrelation

SAME_EACH_RUN = settings(derandomize=True, deadline=None)
CORRELATIONS = {
    "plcc": (metrics.plcc, stats.pearsonr),
    "srocc": (metrics.srocc, stats.spearmanr),
    "krocc": (metrics.krocc, stats.kendalltau),
}
WITH_INTERVAL = {
    "rmse_star": metrics.rmse_star,
    "or_half": metrics.or_half,
    "or_full": metrics.or_full,
}


@st.composite
def pairs(draw):
    """Two arrays of one length that vary, on a coarse grid so that ties are common."""
    n = draw(st.integers(3, 40))
    grid = st.lists(st.integers(-5, 5), min_size=n, max_size=n)
    varying = grid.filter(lambda values: len(set(values)) > 1)
    return np.array(draw(varying)) / 4, np.array(draw(varying)) * 0.3


def tau_b_by_counting(predicted, rated):
    """Concordant minus discordant over the root of the untied pairs, one pair at a time."""
    agreement = untied_predicted = untied_rated = 0
    for i in range(len(rated)):
        for j in range(i):
            first = np.sign(predicted[i] - predicted[j])
            second = np.sign(rated[i] - rated[j])
            agreement += first * second
            untied_predicted += first != 0
            untied_rated += second != 0
    return agreement / math.sqrt(untied_predicted * untied_rated)


@SAME_EACH_RUN
@given(pairs())
def test_plcc_and_srocc_equal_scipy_with_ties(pair):
    for name in ("plcc", "srocc"):
        ours, reference = CORRELATIONS[name]
        assert ours(*pair) == pytest.approx(float(reference(*pair).statistic), abs=1e-9)


@SAME_EACH_RUN
@given(pairs())
def test_krocc_equals_counting_pairs_with_ties(pair):
    assert metrics.krocc(*pair) == pytest.approx(tau_b_by_counting(*pair), abs=1e-9)


@SAME_EACH_RUN
@given(pairs(), st.sampled_from([1e-9, 1.0, 1e9]), st.sampled_from([0.0, 1e3, -1e6]))
def test_plcc_does_not_depend_on_scale_and_large_offset(pair, scale, offset):
    predicted, rated = pair
    moved = (predicted + offset) * scale
    assert metrics.plcc(moved, rated) == pytest.approx(metrics.plcc(predicted, rated), abs=1e-9)


@pytest.mark.parametrize("magnitude", [1e-200, 1e200])
def test_plcc_survives_values_whose_squares_leave_floating_point(magnitude):
    predicted = magnitude * np.array([1.0, 2.0, 3.0])
    assert metrics.plcc(predicted, np.array([1.0, 3.0, 2.0])) == pytest.approx(0.5, abs=1e-12)


def test_plcc_of_float32_is_computed_in_float64():
    rng = np.random.default_rng(0)
    predicted = (1000 + rng.normal(size=300)).astype(np.float32)
    rated = rng.normal(size=300)
    exact = stats.pearsonr(predicted.astype(float), rated).statistic
    assert metrics.plcc(predicted, rated) == pytest.approx(float(exact), abs=1e-9)


def test_rmse_of_errors_three_and_four_is_root_of_twelve_and_a_half():
    assert metrics.rmse(np.zeros(2), np.array([3.0, -4.0])) == pytest.approx(math.sqrt(12.5))


def test_rmse_star_counts_only_what_leaves_the_interval():
    # errors 1, 2, 5 beyond half widths 2, 0.5, 3 by 0, 1.5, 2
    score = metrics.rmse_star(np.array([1.0, -2.0, 5.0]), np.zeros(3), np.array([2.0, 0.5, 3.0]))
    assert score == pytest.approx(math.sqrt((0 + 2.25 + 4) / 3))


def test_rmse_star_with_a_zero_interval_is_rmse():
    predicted, rated = np.array([0.1, 0.5, 0.4]), np.array([0.3, 0.2, 0.9])
    assert metrics.rmse_star(predicted, rated, np.zeros(3)) == metrics.rmse(predicted, rated)


def test_outlier_ratios_use_half_and_full_width_and_keep_the_bound_inside():
    predicted = np.array([1.0, 1.5, 2.0, 2.5])
    half = np.ones(4)
    assert metrics.or_half(predicted, np.zeros(4), half) == 0.75
    assert metrics.or_full(predicted, np.zeros(4), half) == 0.25


@pytest.mark.parametrize("name", CORRELATIONS)
@pytest.mark.parametrize("constant", [0.0, 0.1, -3e8])
def test_a_correlation_with_a_constant_is_refused_by_name(name, constant):
    with pytest.raises(UndefinedCorrelation, match=f"^rated is constant at {constant} over 4"):
        CORRELATIONS[name][0](np.arange(4.0), np.full(4, constant))


@pytest.mark.parametrize("name", CORRELATIONS)
def test_a_constant_with_rounding_noise_counts_as_constant(name):
    noisy = np.array([0.3, 0.1 + 0.2, 0.3, 0.3])
    with pytest.raises(UndefinedCorrelation, match="^predicted is constant at 0.3 over 4 samples"):
        CORRELATIONS[name][0](noisy, np.arange(4.0))


def test_a_small_but_real_variation_is_no_constant():
    predicted = 1.0 + 1e-9 * np.array([0.0, 1.0, 2.0, 3.0])
    assert metrics.plcc(predicted, np.arange(4.0)) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("name", CORRELATIONS)
def test_a_correlation_of_two_samples_is_refused(name):
    with pytest.raises(ValueError, match="have 2 samples, a correlation needs at least 3"):
        CORRELATIONS[name][0](np.arange(2.0), np.arange(2.0))


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("metric", [metrics.plcc, metrics.srocc, metrics.krocc, metrics.rmse])
def test_a_value_that_is_not_finite_is_refused_by_name_and_position(metric, value):
    with pytest.raises(ValueError, match=rf"^rated\[1\] is {value}, expected a number \(1 of 3"):
        metric(np.arange(3.0), np.array([0.0, value, 1.0]))


@pytest.mark.parametrize("metric", [metrics.plcc, metrics.srocc, metrics.krocc, metrics.rmse])
def test_unequal_lengths_are_refused_by_the_shape_check(metric):
    with pytest.raises(TypeCheckError, match="rated"):
        metric(np.arange(4.0), np.arange(3.0))


@pytest.mark.parametrize("metric", [metrics.plcc, metrics.srocc, metrics.krocc, metrics.rmse])
def test_unequal_lengths_are_refused_without_the_shape_check(metric):
    with pytest.raises(ValueError, match="^predicted has 4 samples and rated 3, expected as many"):
        inspect.unwrap(metric)(np.arange(4.0), np.arange(3.0))


def test_rmse_of_nothing_is_refused():
    with pytest.raises(ValueError, match="predicted and rated are empty"):
        metrics.rmse(np.array([]), np.array([]))


@pytest.mark.parametrize("name", WITH_INTERVAL)
def test_a_negative_half_width_is_refused_by_position(name):
    with pytest.raises(ValueError, match=r"^ci_half_width\[2\] is -0.1, expected 0 or more"):
        WITH_INTERVAL[name](np.zeros(3), np.ones(3), np.array([0.1, 0.0, -0.1]))


@pytest.mark.parametrize("name", WITH_INTERVAL)
def test_a_missing_half_width_is_refused_by_position(name):
    with pytest.raises(ValueError, match=r"^ci_half_width\[0\] is nan, expected a number"):
        WITH_INTERVAL[name](np.zeros(3), np.ones(3), np.array([np.nan, 0.0, 0.1]))


@pytest.mark.parametrize("name", WITH_INTERVAL)
def test_half_widths_of_other_length_are_refused(name):
    with pytest.raises(ValueError, match="^ci_half_width has 2 samples and rated 3"):
        inspect.unwrap(WITH_INTERVAL[name])(np.zeros(3), np.ones(3), np.zeros(2))


def test_session_scores_hold_every_metric_in_the_fixed_order():
    scores = metrics.session_scores(np.arange(4.0), np.array([0.0, 2.0, 1.0, 3.0]), np.ones(4))
    assert tuple(scores) == metrics.METRICS


def test_session_scores_equal_the_single_metrics():
    predicted, rated, half = np.arange(4.0), np.array([0.0, 2.0, 1.0, 7.0]), np.full(4, 0.5)
    expected = {name: ours(predicted, rated) for name, (ours, _) in CORRELATIONS.items()}
    expected["rmse"] = metrics.rmse(predicted, rated)
    for name, metric in WITH_INTERVAL.items():
        expected[name] = metric(predicted, rated, half)
    assert metrics.session_scores(predicted, rated, half) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("n", [3, 11, 90])
@pytest.mark.parametrize("digits", [0, 1, 9])
def test_correlations_of_a_session_equal_the_single_metrics_with_and_without_ties(n, digits):
    pairs = np.random.default_rng(n + digits).normal(size=(20, 2, n)).round(digits)
    pairs[:, :, :2] = 5, -5  # nothing is constant
    for predicted, rated in pairs:
        expected = {name: ours(predicted, rated) for name, (ours, _) in CORRELATIONS.items()}
        scores = metrics.session_scores(predicted, rated)
        assert {name: scores[name] for name in expected} == pytest.approx(expected, abs=1e-14)


def test_session_scores_without_an_interval_invent_none():
    scores = metrics.session_scores(np.arange(4.0), np.arange(4.0))
    assert list(scores) == ["plcc", "srocc", "krocc", "rmse"]


def test_session_scores_of_a_constant_prediction_leave_only_the_correlations_undefined():
    scores = metrics.session_scores(np.ones(4), np.array([0.0, 2.0, 2.0, 0.0]))
    assert scores == {"plcc": None, "srocc": None, "krocc": None, "rmse": 1.0}


def test_session_scores_of_errors_beyond_floating_point_are_infinite_and_none_is_made_up():
    far = np.array([1e308, -1e308, 1e308])
    scores = metrics.session_scores(far, -far, np.zeros(3))
    assert [scores[name] for name in ("rmse", "rmse_star")] == [np.inf, np.inf]
    assert [scores[name] for name in ("plcc", "or_half", "or_full")] == [-1, 1, 1]


def test_session_scores_do_not_hide_a_diverged_model():
    with pytest.raises(ValueError, match=r"^predicted\[0\] is nan"):
        metrics.session_scores(np.array([np.nan, 1.0, 2.0]), np.arange(3.0))


@pytest.mark.parametrize("lengths", [(4, 3, 3), (3, 4, 3), (3, 3, 4)])
def test_session_scores_cut_nothing_that_is_longer(lengths):
    with pytest.raises(ValueError, match="expected as many"):
        inspect.unwrap(metrics.session_scores)(*map(np.ones, lengths))


def test_scores_of_sessions_one_behind_the_other_are_those_of_each():
    values, ends = np.random.default_rng(0).normal(size=(3, 21)).round(1), np.array([5, 8, 21])
    values[0, 5:8] = 1.0  # has no correlation
    predicted, rated, half = values[0], values[1], abs(values[2])
    scores = metrics.scores_of_sessions(predicted, rated, half, ends)
    for one, row in zip(
        np.split(np.stack([predicted, rated, half]), ends[:-1], 1), scores, strict=True
    ):
        expected = [np.nan if v is None else v for v in metrics.session_scores(*one).values()]
        assert row.tolist() == pytest.approx(expected, abs=0, nan_ok=True)


def test_scores_of_sessions_name_what_is_refused_of_any_of_them():
    half = np.ones(7)
    half[4] = -1.0
    with pytest.raises(ValueError, match=r"^ci_half_width\[1\] is -1.0"):
        metrics.scores_of_sessions(np.arange(7.0), np.ones(7), half, np.array([3, 7]))


def test_correlations_are_higher_better_and_errors_lower_better():
    perfect, poor = np.arange(5.0), np.array([2.0, 0.0, 9.0, 1.0, 3.0])
    good = metrics.session_scores(perfect, np.arange(5.0), np.full(5, 0.1))
    bad = metrics.session_scores(poor, np.arange(5.0), np.full(5, 0.1))
    assert {name: int(np.sign(good[name] - bad[name])) for name in good} == metrics.DIRECTION
