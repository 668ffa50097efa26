"""A series of any length as the few points that look the same on screen.

Axes: time = seconds, point = what is drawn. Nothing is averaged: every point is a second of the
series, and a gap (NaN) stays a gap.
"""

import math

import numpy as np
from jaxtyping import Float, Int


def decimated(
    values: Float[np.ndarray, " time"], n_points: int, first: int | float, last: int | float
) -> tuple[Int[np.ndarray, " point"], Float[np.ndarray, " point"]]:
    """Seconds and values between `first` and `last`, at most `n_points` of them, in order.

    Where there are more, the seconds fall into stretches of nearly equal length, of which the
    smallest and the largest value are kept, and in a series with gaps the first second of a gap;
    with a stretch for every column of pixels, the line covers the same pixels. The seconds beside
    a bound that lies between two are kept too, so that lines run to the edge of the screen. A
    range outside of the series has no points.

    Raises:
        ValueError: too few points to keep anything, or bounds that are not in order.
    """
    if n_points < 3:
        raise ValueError(
            f"n_points is {n_points}, expected at least 3: minimum, maximum and gap of a stretch"
        )
    if not -math.inf < first <= last < math.inf:
        raise ValueError(f"the range is {first} to {last} s, expected two numbers, first <= last")
    second = np.arange(max(0, math.floor(first)), min(len(values), math.ceil(last) + 1))
    shown = values[second]
    if len(second) <= n_points:
        return second, shown

    missing = np.isnan(shown)
    n_stretches = n_points // (3 if missing.any() else 2)
    edges = np.linspace(0, len(shown), n_stretches + 1).astype(int)
    begin, end = edges[:-1, None], edges[1:, None]
    place = np.minimum(begin + np.arange((end - begin).max()), end - 1)  # short ones repeat an end
    missing, shown = missing[place], shown[place]  # (stretch, second of it)
    low = np.where(missing, np.inf, shown).argmin(1)
    high = np.where(missing, -np.inf, shown).argmax(1)
    gap = np.where(missing.any(1), missing.argmax(1), low)
    second = second[np.unique(edges[:-1] + [low, high, gap])]
    return second, values[second]
