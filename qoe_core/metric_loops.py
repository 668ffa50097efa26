"""The compiled loops behind the metrics of a session: arrays are doubles, a number a sample."""

import math

import numpy as np

from qoe_core.kernels import compiled


@compiled
def score(predicted, rated, half, scores, min_samples, rounding):
    """Fill in METRICS, NaN for an undefined correlation; False for what `pairs` would refuse.

    `min_samples` and `rounding` are those of `pairs`, which compiled code on disk would not follow.
    Correlations of ranks come from the order of all pairs, which is faster than one by one. Source:
    Daniels, Biometrika 33(2), 1944: tau-b correlates the signs, srocc their sums, which are twice
    the centred mean ranks.
    """
    n = len(rated)
    if not len(predicted) == n == len(half) or n < min_samples:
        return False
    square = outside = n_half = n_full = 0.0
    for i in range(n):
        known = np.isfinite(predicted[i]) and np.isfinite(rated[i]) and np.isfinite(half[i])
        if not known or half[i] < 0:
            return False
        error = abs(predicted[i] - rated[i])
        square += error * error
        outside += max(0.0, error - half[i]) ** 2
        n_half += error > half[i]
        n_full += error > 2 * half[i]
    scores[3], scores[4] = math.sqrt(square / n), math.sqrt(outside / n)
    scores[5], scores[6] = n_half / n, n_full / n
    scores[:3] = np.nan
    if _varies(predicted, rounding) and _varies(rated, rounding):
        above = np.empty((2, n))
        agreeing, n_first, n_second = _compare_pairs(predicted, rated, above[0], above[1])
        scores[0] = correlate(predicted, rated)
        scores[1] = correlate(above[0], above[1])
        scores[2] = agreeing / math.sqrt(n_first * n_second)
    return True


@compiled
def score_each(predicted, rated, half, ends, scores, min_samples, rounding):
    """`score` each session, which ends where `ends` says; the first that is refused, or -1."""
    start = 0
    for i in range(len(ends)):
        p, r, h = predicted[start : ends[i]], rated[start : ends[i]], half[start : ends[i]]
        if not score(p, r, h, scores[i], min_samples, rounding):
            return i
        start = ends[i]
    return -1


@compiled
def _varies(values, rounding):
    """What `pairs.is_constant` denies."""
    low, high = values.min(), values.max()
    return high - low > rounding * max(abs(low), abs(high))


@compiled
def correlate(first, second):
    """Pearson correlation of inputs that vary, each centred and scaled before any product."""
    first, second = first - first.mean(), second - second.mean()
    first, second = first / np.abs(first).max(), second / np.abs(second).max()
    product = first_square = second_square = 0.0
    for i in range(len(first)):
        product += first[i] * second[i]
        first_square += first[i] * first[i]
        second_square += second[i] * second[i]
    ratio = product / math.sqrt(first_square * second_square)
    return min(1.0, max(-1.0, ratio))  # rounding can pass 1 in the last place


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
