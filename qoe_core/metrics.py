"""Agreement between predicted and rated quality: one float per metric, on 1-D arrays.

`predicted`, `rated` and `ci_half_width`, the half width of the rating's 95 % confidence interval,
share one scale. Nothing is answered with NaN: a correlation with a constant is refused.
Clause numbers are those of Rec. ITU-T P.1401 (01/2020).
"""

import math

import numpy as np
from jaxtyping import Float
from scipy import stats

from qoe_core.kernels import compiled
from qoe_core.pairs import check_correlation, check_interval, check_length, check_pair, is_constant

DIRECTION = {  # 1: higher is better, -1: lower is better; the order is the order of every table
    "plcc": 1,
    "srocc": 1,
    "krocc": 1,
    "rmse": -1,
    "rmse_star": -1,
    "or_half": -1,
    "or_full": -1,
}
METRICS = tuple(DIRECTION)


def plcc(predicted: Float[np.ndarray, " n"], rated: Float[np.ndarray, " n"]) -> float:
    """Pearson linear correlation, -1 to 1.

    Raises:
        UndefinedCorrelation: an input is constant, up to rounding.
        ValueError: fewer than 3 samples, unequal lengths, a value that is not finite.

    Source: P.1401 clause 7.5.3. Deviation: none.

    >>> round(plcc(np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0])), 12)
    0.5
    """
    check_correlation(predicted, rated)
    return _pearson(predicted, rated)


def srocc(predicted: Float[np.ndarray, " n"], rated: Float[np.ndarray, " n"]) -> float:
    """Spearman rank correlation, -1 to 1; equal values share their mean rank.

    Raises:
        UndefinedCorrelation: an input is constant, up to rounding.
        ValueError: fewer than 3 samples, unequal lengths, a value that is not finite.

    Source: Pearson correlation of the ranks (Spearman 1904).

    >>> round(srocc(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 2.0, 9.0, 3.0])), 12)
    0.8
    """
    check_correlation(predicted, rated)
    return _pearson(stats.rankdata(predicted), stats.rankdata(rated))


def krocc(predicted: Float[np.ndarray, " n"], rated: Float[np.ndarray, " n"]) -> float:
    """Kendall rank correlation tau-b, -1 to 1.

    Raises:
        UndefinedCorrelation: an input is constant, up to rounding.
        ValueError: fewer than 3 samples, unequal lengths, a value that is not finite.

    Source: (concordant - discordant) / sqrt(pairs untied in predicted * pairs untied in rated)
    (Kendall 1945).

    >>> round(krocc(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 2.0, 9.0, 3.0])), 12)
    0.666666666667
    """
    check_correlation(predicted, rated)
    # asymptotic: the p-value is not used, and its exact form is slow
    return float(stats.kendalltau(predicted, rated, method="asymptotic").statistic)


def rmse(predicted: Float[np.ndarray, " n"], rated: Float[np.ndarray, " n"]) -> float:
    """Root mean squared error, in the unit of the ratings.

    Raises:
        ValueError: no sample, unequal lengths, a value that is not finite.

    Source: P.1401 clause 7.5.1. Deviation: divides by n, not by n - d with d the degrees of freedom
    of a mapping, because most sessions are compared without one.

    >>> rmse(np.array([0.0, 0.0]), np.array([3.0, 4.0])) == math.sqrt(12.5)
    True
    """
    check_pair(predicted, rated)
    return _root_mean_square(predicted - rated)


def rmse_star(
    predicted: Float[np.ndarray, " n"],
    rated: Float[np.ndarray, " n"],
    ci_half_width: Float[np.ndarray, " n"],
) -> float:
    """Root mean square of the part of each error that leaves the rating's 95 % interval.

    Raises:
        ValueError: as `rmse`; a half width that is negative or not finite.

    Source: P.1401 clause 7.7, epsilon-insensitive rmse. Deviation: divides by n, not by n - d.

    >>> rmse_star(np.array([0.0, 0.0]), np.array([3.0, 4.0]), np.array([5.0, 2.0])) == math.sqrt(2)
    True
    """
    check_interval(predicted, rated, ci_half_width)
    return _root_mean_square(np.maximum(0, np.abs(predicted - rated) - ci_half_width))


def or_half(
    predicted: Float[np.ndarray, " n"],
    rated: Float[np.ndarray, " n"],
    ci_half_width: Float[np.ndarray, " n"],
) -> float:
    """Outlier ratio, 0 to 1: share of errors above the half width of the rating's 95 % interval.

    Raises:
        ValueError: as `rmse_star`.

    Source: P.1401 clause 7.5.2.2. Deviation: none; an error equal to the half width is inside.

    >>> or_half(np.array([0.0, 0.0]), np.array([3.0, 4.0]), np.array([3.0, 2.5]))
    0.5
    """
    check_interval(predicted, rated, ci_half_width)
    return float(np.mean(np.abs(predicted - rated) > ci_half_width))


def or_full(
    predicted: Float[np.ndarray, " n"],
    rated: Float[np.ndarray, " n"],
    ci_half_width: Float[np.ndarray, " n"],
) -> float:
    """Outlier ratio, 0 to 1: share of errors above the full width of the rating's 95 % interval.

    Raises:
        ValueError: as `rmse_star`.

    Source: the outlier ratio of LSTM-QoE; never above `or_half`, and not comparable with it.

    >>> or_full(np.array([0.0, 0.0]), np.array([3.0, 4.0]), np.array([3.0, 2.5]))
    0.0
    """
    check_interval(predicted, rated, ci_half_width)
    return float(np.mean(np.abs(predicted - rated) > 2 * ci_half_width))


def session_scores(
    predicted: Float[np.ndarray, " n"],
    rated: Float[np.ndarray, " n"],
    ci_half_width: Float[np.ndarray, " n"] | None = None,
) -> dict[str, float | None]:
    """Every metric of one session, in the order of `METRICS`.

    An undefined correlation is None, for the table to count. Without a confidence interval
    rmse_star, or_half and or_full are absent.

    Raises:
        ValueError: any refusal of the metrics other than `UndefinedCorrelation`.
    """
    # checked once for all metrics: a table has a million sessions
    half = ci_half_width
    if half is None:
        check_pair(predicted, rated)
    else:
        check_interval(predicted, rated, half)
    error = np.abs(predicted - rated)
    scores = {**_correlations(predicted, rated), "rmse": _root_mean_square(error)}
    if half is not None:
        scores["rmse_star"] = _root_mean_square(np.maximum(0, error - half))
        scores |= {
            "or_half": float(np.mean(error > half)),
            "or_full": float(np.mean(error > 2 * half)),
        }
    return scores


def _correlations(predicted: np.ndarray, rated: np.ndarray) -> dict[str, float | None]:
    """All at once from the order of all pairs, which is faster than one by one in a session.

    Source: Daniels, Biometrika 33(2), 1944: tau-b correlates the signs, srocc their sums, which are
    twice the centred mean ranks.
    """
    check_length(predicted)
    if is_constant(predicted) or is_constant(rated):
        return dict.fromkeys(("plcc", "srocc", "krocc"))
    above = np.empty((2, len(rated)))
    agreeing, n_first, n_second = _compare_pairs(*_doubles(predicted, rated), *above)
    krocc = agreeing / math.sqrt(n_first * n_second)
    return {"plcc": _pearson(predicted, rated), "srocc": _pearson(*above), "krocc": krocc}


@compiled
def _compare_pairs(first, second, first_above, second_above):
    """How many ordered pairs agree less those that disagree, and how many differ in each input.

    Fills in how many values each one is above, less how many are above it.
    """
    agreeing = n_first = n_second = 0
    for i in range(len(first)):
        above = other_above = 0
        for j in range(len(first)):
            sign = int(first[i] > first[j]) - int(first[i] < first[j])
            other = int(second[i] > second[j]) - int(second[i] < second[j])
            agreeing += sign * other
            n_first += sign * sign
            n_second += other * other
            above += sign
            other_above += other
        first_above[i], second_above[i] = above, other_above
    return agreeing, n_first, n_second


def _root_mean_square(errors: np.ndarray) -> float:
    return math.sqrt(np.mean(errors**2))


def _pearson(first: np.ndarray, second: np.ndarray) -> float:
    """Correlation of two inputs that vary; each is centred and scaled before any product."""
    ratio = _centred_ratio(*_doubles(first, second))
    return float(min(1.0, max(-1.0, ratio)))  # rounding can pass 1 in the last place


def _doubles(*inputs: np.ndarray) -> list[np.ndarray]:
    """What compiled loops take."""
    return [np.ascontiguousarray(values, dtype=float) for values in inputs]


@compiled
def _centred_ratio(first, second):
    first, second = first - first.mean(), second - second.mean()
    first, second = first / np.abs(first).max(), second / np.abs(second).max()
    product = first_square = second_square = 0.0
    for i in range(len(first)):
        product += first[i] * second[i]
        first_square += first[i] * first[i]
        second_square += second[i] * second[i]
    return product / math.sqrt(first_square * second_square)
