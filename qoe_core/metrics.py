"""Agreement between predicted and rated quality: one float per metric, on 1-D arrays.

`predicted`, `rated` and `ci_half_width`, the half width of the rating's 95 % confidence interval,
share one scale. Nothing is answered with NaN: a correlation with a constant is refused.
Clause numbers are those of Rec. ITU-T P.1401 (01/2020).
"""

import math

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

from qoe_core import metric_loops
from qoe_core.pairs import (
    MIN_SAMPLES,
    ROUNDING,
    check_correlation,
    check_interval,
    check_length,
    check_pair,
)

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
NEEDS_INTERVAL = np.array([name in ("rmse_star", "or_half", "or_full") for name in METRICS])


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
    half = np.zeros(len(rated)) if ci_half_width is None else ci_half_width
    n = max(map(len, (predicted, rated, half)))  # of unequal ones none is cut
    (scores,) = scores_of_sessions(predicted, rated, half, np.array([n]))
    found = zip(
        METRICS, scores.tolist(), ~NEEDS_INTERVAL | (ci_half_width is not None), strict=True
    )
    return {name: None if math.isnan(value) else value for name, value, known in found if known}


def scores_of_sessions(
    predicted: Float[np.ndarray, " _"],
    rated: Float[np.ndarray, " _"],
    ci_half_width: Float[np.ndarray, " _"],
    ends: Int[np.ndarray, " session"],
) -> Float[np.ndarray, "session metric"]:
    """`METRICS` of sessions that lie one behind the other, NaN for an undefined correlation.

    In one compiled pass, refusals included: a table has a million sessions.

    Raises:
        ValueError: the first refusal of `session_scores`.
    """
    given = predicted, rated, ci_half_width
    scores = np.empty((len(ends), len(METRICS)))
    refused = metric_loops.score_each(*_doubles(*given), ends, scores, MIN_SAMPLES, ROUNDING)
    if refused >= 0:
        one = slice(ends[refused - 1] if refused else 0, ends[refused])
        check_interval(*(values[one] for values in given))
        check_length(predicted[one])
    return scores


def _root_mean_square(errors: np.ndarray) -> float:
    return math.sqrt(np.mean(errors**2))


def _pearson(first: np.ndarray, second: np.ndarray) -> float:
    return metric_loops.correlate(*_doubles(first, second))


def _doubles(*inputs: np.ndarray) -> list[np.ndarray]:
    """What compiled loops take."""
    return [np.ascontiguousarray(values, dtype=float) for values in inputs]
