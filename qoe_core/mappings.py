"""Monotone mappings of predictions onto the scale of the ratings, fitted by least squares.

A fitted mapping is a small frozen object: `mapping(predicted)` gives mapped scores. Fit it on the
sessions it is stated for, and show raw and mapped scores both. All fits are deterministic. Nothing
is clipped: outside the fitted range a mapping goes on as its formula does.
Source: Rec. ITU-T P.1401 (01/2020) clause 7.3.2, scale calibration of objective quality models.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.polynomial import Polynomial
from scipy import optimize, special

N_ROOTS = 41  # places tried for the flattest point of the cubic, before refinement
N_GRID = 21  # centres, and widths, tried before refinement
LOG_WIDTHS = (np.log(0.02), np.log(20.0))  # of a logistic on [-1, 1]
FLAT = 1e-9  # a slope below this share of the slope sd(rated) / range(predicted) is a constant


@dataclass(frozen=True, kw_only=True)
class PolynomialMapping:
    """sum_k coefficients[k] * x^k with x = 2 (predicted - low) / (high - low) - 1.

    `low` and `high` are the range of the predictions it was fitted on, mapped to -1 and 1.
    """

    coefficients: tuple[float, ...]
    low: float
    high: float

    def __call__(self, predicted: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """Mapped scores on the scale of the ratings."""
        return Polynomial(self.coefficients)(_unit(predicted, self.low, self.high))


@dataclass(frozen=True, kw_only=True)
class LogisticMapping:
    """bottom + (top - bottom) / (1 + exp(-(predicted - centre) / width)), with width > 0."""

    bottom: float
    top: float
    centre: float
    width: float

    def __call__(self, predicted: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """Mapped scores on the scale of the ratings, between bottom and top."""
        share = special.expit((predicted - self.centre) / self.width)
        return self.bottom + (self.top - self.bottom) * share


def first_order(
    predicted: Float[np.ndarray, " n"], rated: Float[np.ndarray, " n"]
) -> PolynomialMapping:
    """The straight line of least squares; it falls where predictions and ratings disagree.

    Raises:
        ValueError: unequal lengths, a value that is not finite, fewer than 2 different predictions,
            constant ratings.
    """
    low, high = _check(predicted, rated, 2)
    x = _unit(predicted, low, high)
    coefficients = np.linalg.lstsq(np.stack([np.ones_like(x), x], axis=1), rated)[0]
    return PolynomialMapping(coefficients=tuple(coefficients.tolist()), low=low, high=high)


def third_order_monotone(
    predicted: Float[np.ndarray, " n"], rated: Float[np.ndarray, " n"]
) -> PolynomialMapping:
    """The cubic of least squares among those that never fall over the range of the predictions.

    On [-1, 1] a quadratic is nowhere negative exactly if it is a (x - r)^2 + c (1 - x^2) with
    a, c >= 0 and r in [-1, 1] (Markov and Lukacs). With r given, a and c are a non-negative least
    squares problem, so the derivative is searched over r alone. The result is monotone between
    `low` and `high` only.

    Raises:
        ValueError: unequal lengths, a value that is not finite, fewer than 4 different predictions,
            constant ratings, or ratings that do not rise with the predictions.
    """
    low, high = _check(predicted, rated, 4)
    x = _unit(predicted, low, high)
    scale = float(rated.std())

    def misfit(root: float) -> float:
        return _cubic(x, rated / scale, root)[1]

    roots = np.linspace(-1, 1, N_ROOTS)
    start = int(np.argmin([misfit(root) for root in roots]))
    nearby = roots[max(start - 1, 0)], roots[min(start + 1, N_ROOTS - 1)]
    refined = optimize.minimize_scalar(
        misfit, bounds=nearby, method="bounded", options={"xatol": 1e-10}
    ).x
    best = min(roots[start], float(refined), key=misfit)
    cubic = scale * _cubic(x, rated / scale, best)[0]
    if cubic(1.0) - cubic(-1.0) <= FLAT * scale:
        raise ValueError(
            f"rated does not rise with predicted over {low} to {high}, expected a rising relation; "
            "the best monotone mapping is a constant. Does the model predict impairment, not "
            "quality?"
        )
    return PolynomialMapping(coefficients=tuple(cubic.coef.tolist()), low=low, high=high)


def logistic4(
    predicted: Float[np.ndarray, " n"], rated: Float[np.ndarray, " n"]
) -> LogisticMapping:
    """The logistic with four parameters of least squares; falls (top < bottom) where they disagree.

    The centre is kept inside the range of the predictions and the width between 1/100 and 10 of
    it, because data on a line or on one arm of the curve have no finite optimum. With centre and
    width given, bottom and top are linear least squares; the best of a grid of centres and widths
    is refined. The widest logistic is a line within 0.03 % of its rise, so the fit is no worse than
    `first_order` by more than that.

    Raises:
        ValueError: unequal lengths, a value that is not finite, fewer than 4 different predictions,
            constant ratings.
    """
    low, high = _check(predicted, rated, 4)
    scale, offset = float(np.ptp(rated)), float(rated.min())
    x, y = _unit(predicted, low, high), (rated - offset) / scale

    def residuals(shape: np.ndarray) -> np.ndarray:
        bottom, top = _ends(x, y, *shape)
        return _logistic(x, bottom, top, *shape) - y

    grid = itertools.product(np.linspace(-1, 1, N_GRID), np.linspace(*LOG_WIDTHS, N_GRID))
    start = min(map(np.array, grid), key=lambda shape: np.sum(residuals(shape) ** 2))
    bounds = [-1, LOG_WIDTHS[0]], [1, LOG_WIDTHS[1]]
    refined = optimize.least_squares(residuals, start, bounds=bounds, xtol=1e-12, ftol=1e-12).x
    best = min(start, refined, key=lambda shape: np.sum(residuals(shape) ** 2))
    bottom, top = _ends(x, y, *best)
    centre, log_width = best.tolist()
    half_range = (high - low) / 2
    return LogisticMapping(
        bottom=offset + scale * bottom,
        top=offset + scale * top,
        centre=low + half_range * (centre + 1),
        width=half_range * float(np.exp(log_width)),
    )


def _logistic(
    x: np.ndarray, bottom: float, top: float, centre: float, log_width: float
) -> np.ndarray:
    return bottom + (top - bottom) * special.expit((x - centre) * np.exp(-log_width))


def _ends(x: np.ndarray, y: np.ndarray, centre: float, log_width: float) -> tuple[float, float]:
    """Bottom and top of least squares for a given centre and width."""
    share = _logistic(x, 0.0, 1.0, centre, log_width)
    varying = share - share.mean()
    rise = float(varying @ y / (varying @ varying))
    bottom = float(y.mean() - rise * share.mean())
    return bottom, bottom + rise


def _cubic(x: np.ndarray, y: np.ndarray, root: float) -> tuple[Polynomial, float]:
    """The rising cubic whose derivative is a (x - root)^2 + c (1 - x^2), and its misfit."""
    slopes = [Polynomial([-root, 1.0]) ** 2, Polynomial([1.0, 0.0, -1.0])]
    rises = [slope.integ() for slope in slopes]
    columns = np.stack([rise(x) for rise in rises], axis=1)
    weights, misfit = optimize.nnls(columns - columns.mean(0), y - y.mean())
    offset = float(y.mean() - columns.mean(0) @ weights)
    return offset + weights[0] * rises[0] + weights[1] * rises[1], misfit


def _unit(predicted: np.ndarray, low: float, high: float) -> np.ndarray:
    return 2 * (predicted - low) / (high - low) - 1


def _check(predicted: np.ndarray, rated: np.ndarray, n_distinct: int) -> tuple[float, float]:
    """Raise ValueError for what no mapping can be fitted to; else the range of the predictions."""
    if len(predicted) != len(rated):
        raise ValueError(
            f"predicted has {len(predicted)} samples and rated {len(rated)}, expected as many"
        )
    for name, values in (("predicted", predicted), ("rated", rated)):
        bad = np.flatnonzero(~np.isfinite(values))
        if bad.size:
            raise ValueError(
                f"{name}[{bad[0]}] is {values[bad[0]]}, expected a number ({bad.size} of "
                f"{len(values)} are not); did the model diverge or is a rating missing?"
            )
    if len(rated) and np.ptp(rated) == 0:
        raise ValueError(
            f"rated is constant at {rated[0]} over {len(rated)} samples, expected ratings that vary"
        )
    distinct = len(np.unique(predicted))
    if distinct < n_distinct:
        raise ValueError(
            f"predicted has {distinct} different values in {len(predicted)} samples, expected at "
            f"least {n_distinct} for this mapping; is the model constant?"
        )
    return float(predicted.min()), float(predicted.max())
