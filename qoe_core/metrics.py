"""Agreement between predicted and rated quality: one float per metric, on 1-D arrays.

`predicted`, `rated` and `ci_half_width`, the half width of the rating's 95 % confidence interval,
share one scale. Nothing is answered with NaN: a correlation with a constant is refused.
Clause numbers are those of Rec. ITU-T P.1401 (01/2020).
"""

import math

import numpy as np
from jaxtyping import Float
from scipy import stats

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
ROUNDING = 1e-13  # a range below this share of the largest magnitude is rounding, not information


class UndefinedCorrelation(ValueError):
    """One input of a correlation is constant, so the correlation does not exist."""


def plcc(predicted: Float[np.ndarray, " n"], rated: Float[np.ndarray, " n"]) -> float:
    """Pearson linear correlation, -1 to 1.

    Raises:
        UndefinedCorrelation: an input is constant, up to rounding.
        ValueError: fewer than 3 samples, unequal lengths, a value that is not finite.

    Source: P.1401 clause 7.5.3. Deviation: none.

    >>> round(plcc(np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0])), 12)
    0.5
    """
    _check_correlation(predicted, rated)
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
    _check_correlation(predicted, rated)
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
    _check_correlation(predicted, rated)
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
    _check_pair(predicted, rated)
    return math.sqrt(np.mean((predicted - rated) ** 2))


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
    _check_interval(predicted, rated, ci_half_width)
    beyond = np.maximum(0, np.abs(predicted - rated) - ci_half_width)
    return math.sqrt(np.mean(beyond**2))


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
    _check_interval(predicted, rated, ci_half_width)
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
    _check_interval(predicted, rated, ci_half_width)
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
    scores = {**_correlations(predicted, rated), "rmse": rmse(predicted, rated)}
    if ci_half_width is not None:
        for name, metric in (("rmse_star", rmse_star), ("or_half", or_half), ("or_full", or_full)):
            scores[name] = metric(predicted, rated, ci_half_width)
    return scores


def _correlations(predicted: np.ndarray, rated: np.ndarray) -> dict[str, float | None]:
    """All at once from the signs of all pairs, which is faster than one by one in a session.

    Source: Daniels, Biometrika 33(2), 1944: tau-b correlates the signs, srocc their sums, which are
    twice the centred mean ranks.
    """
    try:
        _check_correlation(predicted, rated)
    except UndefinedCorrelation:
        return dict.fromkeys(("plcc", "srocc", "krocc"))
    first, second = (np.sign(np.subtract.outer(x, x)) for x in (predicted, rated))
    krocc = np.vdot(first, second) / math.sqrt(np.vdot(first, first) * np.vdot(second, second))
    srocc = _pearson(first.sum(axis=1), second.sum(axis=1))
    return {"plcc": _pearson(predicted, rated), "srocc": srocc, "krocc": float(krocc)}


def _pearson(first: np.ndarray, second: np.ndarray) -> float:
    """Correlation of two inputs that vary; each is centred and scaled before any product."""
    # float64 means turn float32 input into float64
    first, second = first - first.mean(dtype=float), second - second.mean(dtype=float)
    first, second = first / np.abs(first).max(), second / np.abs(second).max()
    ratio = (first @ second) / math.sqrt((first @ first) * (second @ second))
    return float(min(1.0, max(-1.0, ratio)))  # rounding can pass 1 in the last place


def _check_pair(predicted: np.ndarray, rated: np.ndarray) -> None:
    if len(predicted) != len(rated):
        raise ValueError(
            f"predicted has {len(predicted)} samples and rated {len(rated)}, expected as many; "
            "was one of them cut or padded?"
        )
    if len(predicted) == 0:
        raise ValueError("predicted and rated are empty, expected at least 1 sample")
    _check_finite("predicted", predicted)
    _check_finite("rated", rated)


def _check_correlation(predicted: np.ndarray, rated: np.ndarray) -> None:
    _check_pair(predicted, rated)
    if len(predicted) < 3:
        raise ValueError(
            f"predicted and rated have {len(predicted)} samples, a correlation needs at least 3; "
            "is the session that short?"
        )
    for name, values in (("predicted", predicted), ("rated", rated)):
        low, high = values.min(), values.max()
        if high - low <= ROUNDING * max(abs(low), abs(high)):
            raise UndefinedCorrelation(
                f"{name} is constant at {values[0]} over {len(values)} samples, "
                "expected values that vary; a correlation with a constant is undefined"
            )


def _check_interval(predicted: np.ndarray, rated: np.ndarray, ci_half_width: np.ndarray) -> None:
    _check_pair(predicted, rated)
    if len(ci_half_width) != len(rated):
        raise ValueError(
            f"ci_half_width has {len(ci_half_width)} samples and rated {len(rated)}, expected as "
            "many; was one of them cut or padded?"
        )
    _check_finite("ci_half_width", ci_half_width)
    bad = np.flatnonzero(ci_half_width < 0)
    if bad.size:
        raise ValueError(
            f"ci_half_width[{bad[0]}] is {ci_half_width[bad[0]]}, expected 0 or more; "
            "are the bounds of the interval swapped?"
        )


def _check_finite(name: str, values: np.ndarray) -> None:
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise ValueError(
            f"{name}[{bad[0]}] is {values[bad[0]]}, expected a number ({bad.size} of {len(values)} "
            "are not); did the model diverge or is a rating missing?"
        )
