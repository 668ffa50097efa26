"""Summaries for a results table: aggregates, Holm's correction, the word "better", dependence.

NaN in an array of session scores means undefined (a correlation with a constant): it is left out
and counted. The sampling unit is the content, see `qoe_core.bootstrap`; nothing here gives a
p-value inside one session.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from qoe_core.metrics import DIRECTION


@dataclass(frozen=True, kw_only=True)
class Aggregate:
    """One metric over the sessions of one set."""

    mean: float
    median: float
    sd: float  # of the sample, divisor one below the count
    n: int  # sessions, the undefined ones included
    undefined: int  # sessions left out of mean, median and sd


def aggregate(scores: Float[np.ndarray, " session"]) -> Aggregate:
    """Mean, median and sample standard deviation of the defined scores, and both counts.

    What the scores leave undefined is NaN: all three when no score is defined, sd below two.

    Raises:
        ValueError: no session, or an infinite score.
    """
    check_scores(scores)
    defined = scores[~np.isnan(scores)]
    return Aggregate(
        mean=float(defined.mean()) if defined.size else np.nan,
        median=float(np.median(defined)) if defined.size else np.nan,
        sd=float(defined.std(ddof=1)) if defined.size > 1 else np.nan,
        n=scores.size,
        undefined=scores.size - defined.size,
    )


def check_scores(scores: Float[np.ndarray, "*model session"]) -> None:
    """Raise ValueError where scores hold no session or an infinite value; NaN is undefined."""
    if scores.shape[-1] == 0:
        raise ValueError("scores hold no session, expected at least 1; is the set empty?")
    bad = np.argwhere(np.isinf(scores))
    if bad.size:
        position = tuple(bad[0].tolist())
        raise ValueError(
            f"scores{list(position)} is {scores[position]}, expected a number or NaN for an "
            f"undefined score ({len(bad)} of {scores.size} are infinite); did the model diverge?"
        )


def holm(p_values: Float[np.ndarray, " comparison"]) -> Float[np.ndarray, " comparison"]:
    """P-values adjusted for the number of comparisons, in the order given; at most 1.

    The family is the array: pass the differences of one table, without the baseline's own.

    Raises:
        ValueError: no p-value, or one outside [0, 1].

    Source: Holm (1979), step-down: the i-th smallest of m is multiplied by m - i + 1, and no
    adjusted value is below that of a smaller p-value.

    >>> holm(np.array([0.01, 0.04, 0.03])).round(12)
    array([0.03, 0.06, 0.06])
    """
    if p_values.size == 0:
        raise ValueError("p_values are empty, expected at least 1; is the table without rivals?")
    bad = np.flatnonzero(~((p_values >= 0) & (p_values <= 1)))
    if bad.size:
        raise ValueError(
            f"p_values[{bad[0]}] is {p_values[bad[0]]}, expected 0 to 1; "
            "is an undefined comparison among them?"
        )
    order = np.argsort(p_values, kind="stable")
    steps = p_values[order] * np.arange(p_values.size, 0, -1)
    adjusted = np.empty(p_values.size)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted


def better(low: float, high: float, metric: str) -> str:
    """What the interval of a difference, model minus baseline, allows to say about the model.

    "better" or "worse" by the direction of the metric; "no evidence" where the interval covers 0,
    a bound of exactly 0 included.

    Raises:
        ValueError: an unknown metric, a bound that is not a number, low above high.

    >>> better(-0.2, -0.1, "rmse"), better(-0.2, -0.1, "plcc"), better(0.0, 0.1, "plcc")
    ('better', 'worse', 'no evidence')
    """
    if metric not in DIRECTION:
        raise ValueError(f"metric is {metric!r}, expected one of {list(DIRECTION)}; a misspelling?")
    if not low <= high:
        raise ValueError(
            f"the interval of {metric} is {low} to {high}, expected low <= high; "
            "is the difference undefined?"
        )
    if low <= 0 <= high:
        return "no evidence"
    return "better" if (low > 0) == (DIRECTION[metric] > 0) else "worse"


def lag1_autocorrelation(values: Float[np.ndarray, " time"]) -> float:
    """Correlation of a series with itself one sample later, -1 to 1.

    One mean and one variance serve both ends, so a short series is biased towards 0.

    Raises:
        ValueError: fewer than 3 samples, a value that is not finite, a constant series.

    Source: Box and Jenkins, Time Series Analysis, sample autocorrelation r_1.
    """
    if values.size < 3 or not np.isfinite(values).all():
        raise ValueError(
            f"values hold {values.size} samples, {int(np.isfinite(values).sum())} of them finite, "
            "expected at least 3 and all finite; is a rating missing?"
        )
    centred = values - values.mean()
    if np.ptp(values) == 0:
        raise ValueError(
            f"values are constant at {values[0]} over {values.size} samples, expected a series "
            "that varies; its autocorrelation is undefined"
        )
    return float(centred[:-1] @ centred[1:] / (centred @ centred))


def effective_samples(n: int, lag1: float) -> float:
    """Independent samples whose mean is as uncertain as that of n samples of an AR(1) series.

    The limit for long series: for n below about (1 + lag1) / (1 - lag1) it can pass under 1.

    Raises:
        ValueError: n below 1, or lag1 outside (-1, 1).

    Source: n (1 - lag1) / (1 + lag1), from the variance of the mean of an AR(1) process.

    >>> round(effective_samples(28, 0.91), 1)
    1.3
    """
    if n < 1 or not -1 < lag1 < 1:
        raise ValueError(
            f"n is {n} and lag1 {lag1}, expected n >= 1 and lag1 between -1 and 1 exclusive; "
            "is the series a trend?"
        )
    return n * (1 - lag1) / (1 + lag1)
