import inspect

import numpy as np
import pytest
from scipy import optimize

from qoe_core.mappings import first_order, logistic4, third_order_monotone
from qoe_core.metrics import rmse

FITS = [first_order, third_order_monotone, logistic4]


def noisy(shape, seed, n=60):
    """Predictions, and ratings that follow them by `shape` with noise."""
    rng = np.random.default_rng(seed)
    predicted = rng.uniform(-2, 3, n)
    return predicted, shape(predicted) + 0.3 * rng.normal(size=n)


RISING = {
    "cubic": lambda x: x**3 / 5,
    "humps": lambda x: x**3 - 3 * x,
    "saturating": np.tanh,
    "exponential": np.exp,
}


def test_first_order_recovers_a_line():
    predicted = np.array([10.0, 20.0, 40.0])
    mapped = first_order(predicted, 3 - 0.5 * predicted)(np.array([0.0, 100.0]))
    np.testing.assert_allclose(mapped, [3.0, -47.0], rtol=0, atol=1e-9)


def test_first_order_equals_numpy_on_noisy_ratings():
    predicted, rated = noisy(np.tanh, 0)
    expected = np.polyval(np.polyfit(predicted, rated, 1), predicted)
    np.testing.assert_allclose(first_order(predicted, rated)(predicted), expected, atol=1e-9)


def test_third_order_recovers_a_monotone_cubic():
    predicted = np.linspace(-2, 3, 30)
    mapped = third_order_monotone(predicted, 1 + 2 * predicted + 0.5 * predicted**3)(predicted)
    np.testing.assert_allclose(mapped, 1 + 2 * predicted + 0.5 * predicted**3, atol=1e-6)


def test_third_order_equals_the_free_cubic_where_that_is_monotone():
    predicted, rated = noisy(lambda x: 3 * x + x**3, 1)
    expected = np.polyval(np.polyfit(predicted, rated, 3), predicted)
    np.testing.assert_allclose(
        third_order_monotone(predicted, rated)(predicted), expected, rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("shape", RISING)
def test_third_order_never_falls_over_the_range_of_the_predictions(shape):
    predicted, rated = noisy(RISING[shape], 2)
    mapping = third_order_monotone(predicted, rated)
    grid = np.linspace(predicted.min(), predicted.max(), 5001)
    assert np.diff(mapping(grid)).min() >= -1e-12


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("shape", RISING)
def test_third_order_is_as_good_as_a_constrained_optimiser(shape, seed):
    predicted, rated = noisy(RISING[shape], seed)
    unit = np.interp(predicted, [predicted.min(), predicted.max()], [-1, 1])
    powers = np.vander(unit, 4, increasing=True)
    grid = np.linspace(-1, 1, 401)
    slopes = np.stack([0 * grid, 0 * grid + 1, 2 * grid, 3 * grid**2], axis=1)
    reference = optimize.minimize(
        lambda c: np.mean((powers @ c - rated) ** 2),
        np.array([rated.mean(), 0.0, 0.0, 0.0]),
        jac=lambda c: 2 * powers.T @ (powers @ c - rated) / len(rated),
        method="SLSQP",
        constraints={"type": "ineq", "fun": lambda c: slopes @ c, "jac": lambda c: slopes},
        options={"ftol": 1e-13, "maxiter": 500},
    )
    error = rmse(third_order_monotone(predicted, rated)(predicted), rated)
    assert error == pytest.approx(np.sqrt(reference.fun), rel=1e-3)


def test_third_order_refuses_ratings_that_fall_with_the_predictions():
    predicted = np.linspace(0, 1, 20)
    with pytest.raises(ValueError, match=r"rated does not rise with predicted over 0\.0 to 1\.0"):
        third_order_monotone(predicted, 5 - predicted)


@pytest.mark.parametrize(("bottom", "top"), [(1.2, 4.6), (4.6, 1.2)])
def test_logistic_recovers_its_parameters(bottom, top):
    predicted = np.linspace(0, 100, 40)
    rated = bottom + (top - bottom) / (1 + np.exp(-(predicted - 42) / 9))
    mapping = logistic4(predicted, rated)
    found = [mapping.bottom, mapping.top, mapping.centre, mapping.width]
    np.testing.assert_allclose(found, [bottom, top, 42, 9], rtol=1e-5)


def test_logistic_of_a_line_is_that_line_within_a_thousandth():
    predicted = np.linspace(0, 1, 30)
    np.testing.assert_allclose(
        logistic4(predicted, 2 * predicted)(predicted), 2 * predicted, atol=2e-3
    )


def test_logistic_is_monotone_and_stays_between_its_ends():
    mapping = logistic4(*noisy(np.tanh, 3))
    mapped = mapping(np.linspace(-50, 50, 1001))
    assert (np.diff(mapped) >= 0).all()
    assert mapping.bottom - 1e-12 <= mapped.min()
    assert mapped.max() <= mapping.top + 1e-12


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("shape", RISING)
@pytest.mark.parametrize("fit", [third_order_monotone, logistic4])
def test_a_curve_is_no_worse_than_the_rising_line_it_contains(fit, shape, seed):
    predicted, rated = noisy(RISING[shape], seed)
    line = rmse(first_order(predicted, rated)(predicted), rated)
    assert rmse(fit(predicted, rated)(predicted), rated) <= line * 1.001


@pytest.mark.parametrize("fit", FITS)
def test_a_fit_gives_the_same_mapping_twice(fit):
    assert fit(*noisy(np.tanh, 4)) == fit(*noisy(np.tanh, 4))


@pytest.mark.parametrize("fit", FITS)
def test_a_fit_follows_the_scale_of_both_inputs(fit):
    predicted, rated = noisy(np.tanh, 5)
    mapped = fit(predicted, rated)(predicted)
    rescaled = fit(1000 * predicted - 7, 0.01 * rated + 3)(1000 * predicted - 7)
    np.testing.assert_allclose(rescaled, 0.01 * mapped + 3, rtol=0, atol=1e-6)


@pytest.mark.parametrize("fit", FITS)
def test_a_constant_model_cannot_be_mapped(fit):
    with pytest.raises(ValueError, match="^predicted has 1 different values in 9 samples"):
        fit(np.full(9, 0.1), np.arange(9.0))


@pytest.mark.parametrize("fit", FITS)
def test_constant_ratings_cannot_be_fitted(fit):
    with pytest.raises(ValueError, match="^rated is constant at 0.1 over 9 samples"):
        fit(np.arange(9.0), np.full(9, 0.1))


@pytest.mark.parametrize("fit", FITS)
def test_a_missing_rating_is_refused_by_position(fit):
    with pytest.raises(ValueError, match=r"^rated\[1\] is nan, expected a number \(1 of 5"):
        fit(np.arange(5.0), np.array([0.0, np.nan, 1.0, 2.0, 3.0]))


@pytest.mark.parametrize("fit", FITS)
def test_unequal_lengths_are_refused(fit):
    with pytest.raises(ValueError, match="^predicted has 5 samples and rated 4"):
        inspect.unwrap(fit)(np.arange(5.0), np.arange(4.0))
