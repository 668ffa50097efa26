import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qoe_core.statistics import (
    Aggregate,
    aggregate,
    better,
    effective_samples,
    holm,
    lag1_autocorrelation,
)

SAME_EACH_RUN = settings(derandomize=True, deadline=None)


def test_aggregate_leaves_out_undefined_sessions_and_counts_them():
    scores = np.array([1.0, np.nan, 2.0, 6.0])
    assert aggregate(scores) == Aggregate(mean=3.0, median=2.0, sd=7**0.5, n=4, undefined=1)


def test_aggregate_of_undefined_sessions_only_is_undefined():
    summary = aggregate(np.full(3, np.nan))
    assert (summary.n, summary.undefined) == (3, 3)
    assert np.isnan([summary.mean, summary.median, summary.sd]).all()


def test_aggregate_of_one_session_has_no_standard_deviation():
    summary = aggregate(np.array([0.5]))
    assert summary.mean == 0.5
    assert np.isnan(summary.sd)


def test_aggregate_of_nothing_is_refused():
    with pytest.raises(ValueError, match="scores hold no session"):
        aggregate(np.array([]))


def test_aggregate_refuses_an_infinite_score_by_position():
    with pytest.raises(ValueError, match=r"^scores\[1\] is inf, expected a number or NaN"):
        aggregate(np.array([0.0, np.inf]))


def test_holm_equals_the_hand_calculation():
    # sorted .005 .01 .03 .04 times 4 3 2 1 = .02 .03 .06 .04, and the last may not fall below .06
    adjusted = holm(np.array([0.01, 0.04, 0.03, 0.005]))
    np.testing.assert_allclose(adjusted, [0.03, 0.06, 0.06, 0.02], rtol=0, atol=1e-15)


def test_holm_never_exceeds_one():
    np.testing.assert_array_equal(holm(np.array([0.9, 0.8])), [1.0, 1.0])


@SAME_EACH_RUN
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_lies_between_the_p_value_and_bonferroni(p_values):
    p = np.array(p_values)
    adjusted = holm(p)
    assert (adjusted >= p).all()
    assert (adjusted <= np.minimum(1, p * p.size)).all()


@SAME_EACH_RUN
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.randoms())
def test_holm_does_not_depend_on_the_order(p_values, random):
    order = list(range(len(p_values)))
    random.shuffle(order)
    p = np.array(p_values)
    np.testing.assert_array_equal(holm(p[order]), holm(p)[order])


@pytest.mark.parametrize("value", [np.nan, -0.1, 1.1])
def test_holm_refuses_what_is_no_probability(value):
    with pytest.raises(ValueError, match=rf"^p_values\[1\] is {value}, expected 0 to 1"):
        holm(np.array([0.5, value]))


@pytest.mark.parametrize(
    ("low", "high", "metric", "verdict"),
    [
        (0.1, 0.2, "plcc", "better"),
        (-0.2, -0.1, "plcc", "worse"),
        (0.1, 0.2, "rmse", "worse"),
        (-0.2, -0.1, "rmse", "better"),
        (-0.2, -0.1, "or_full", "better"),
        (-0.1, 0.2, "rmse", "no evidence"),
        (0.0, 0.2, "plcc", "no evidence"),
        (-0.2, 0.0, "plcc", "no evidence"),
    ],
)
def test_better_needs_an_interval_that_excludes_zero_on_the_good_side(low, high, metric, verdict):
    assert better(low, high, metric) == verdict


@pytest.mark.parametrize(("low", "high"), [(np.nan, np.nan), (0.2, 0.1)])
def test_better_refuses_what_is_no_interval(low, high):
    with pytest.raises(ValueError, match=f"the interval of plcc is {low} to {high}"):
        better(low, high, "plcc")


def test_better_refuses_an_unknown_metric():
    with pytest.raises(ValueError, match="^metric is 'pcc', expected one of"):
        better(0.1, 0.2, "pcc")


def test_lag1_autocorrelation_equals_the_hand_calculation():
    # deviations -1.5 -.5 .5 1.5: (.75 - .25 + .75) / 5
    assert lag1_autocorrelation(np.array([1.0, 2.0, 3.0, 4.0])) == pytest.approx(0.25)


def test_lag1_autocorrelation_recovers_that_of_a_long_autoregression():
    shocks = np.random.default_rng(0).normal(size=50_000)
    values = np.empty_like(shocks)
    values[0] = 0.0
    for t in range(1, len(shocks)):
        values[t] = 0.9 * values[t - 1] + shocks[t]
    assert lag1_autocorrelation(values) == pytest.approx(0.9, abs=0.01)


def test_lag1_autocorrelation_of_a_constant_is_refused():
    with pytest.raises(ValueError, match="values are constant at 0.1 over 5 samples"):
        lag1_autocorrelation(np.full(5, 0.1))


@pytest.mark.parametrize("values", [[1.0, 2.0], [1.0, np.nan, 2.0]])
def test_lag1_autocorrelation_refuses_too_few_or_missing_samples(values):
    with pytest.raises(ValueError, match=f"values hold {len(values)} samples, 2 of them finite"):
        lag1_autocorrelation(np.array(values))


@pytest.mark.parametrize(("lag1", "worth"), [(0.0, 28), (0.89, 1.63), (0.91, 1.32), (0.96, 0.57)])
def test_effective_samples_of_28_seconds(lag1, worth):
    assert effective_samples(28, lag1) == pytest.approx(worth, abs=0.005)


@pytest.mark.parametrize(("n", "lag1"), [(0, 0.5), (10, 1.0), (10, -1.0), (10, np.nan)])
def test_effective_samples_refuses_what_has_no_answer(n, lag1):
    with pytest.raises(ValueError, match=f"n is {n} and lag1 {lag1}"):
        effective_samples(n, lag1)
