"""What a player knows, second by second: features from a Session, and their scaling.

Axes: time = seconds, feat = inputs of a model. Every feature at second t uses seconds 0..t only.
Values are in their own units here; `Scaling` and `LabelScale` map inputs and ratings to [0, 1] with
the minimum and maximum of the training sessions.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import signal

from qoe_core.session import TOUCHING_S, Session, hold_through_stalls

Rating = float | Float[np.ndarray, "..."]
MEMORY_S = (2.0, 4.0, 8.0, 16.0)  # time constants of the exponential averages (s)


def indicator(session: Session) -> Float[np.ndarray, " time"]:
    """Fraction of the second spent rebuffering, 0 to 1."""
    return session.stalled


def recency(session: Session) -> Float[np.ndarray, " time"]:
    """Seconds from the end of the last stall (or the start) to the end of this second; 0 inside."""
    ends = _second_ends(session)
    since = ends.copy()
    for start, duration in session.stalls:
        since = np.where(ends > start, np.maximum(ends - (start + duration), 0.0), since)
    return since


def representation(session: Session) -> Float[np.ndarray, " time"]:
    """log10 of the second's mean bitrate in kbit/s, held while stalled; NaN before any was shown.

    Raises:
        ValueError: the data set has no bitrate.
    """
    if session.bitrate_kbps is None:
        raise ValueError(
            f"{session.label} has no bitrate, so no representation or switch; "
            "leave these two features out for this data set"
        )
    shown = np.where(session.bitrate_kbps > 0, session.bitrate_kbps, 1.0)
    return hold_through_stalls(np.log10(shown), session.stalled)


def switch(session: Session) -> Float[np.ndarray, " time"]:
    """Signed change of `representation` against the second before; 0 where either is unknown."""
    level = representation(session)
    return np.nan_to_num(np.diff(level, prepend=level[0]), nan=0.0)


def resolution(session: Session) -> Float[np.ndarray, " time"]:
    """log10 of the encoded height in px, held while stalled; NaN before any was shown.

    Raises:
        ValueError: the data set does not say at which resolution it was encoded.
    """
    if session.height_px is None:
        raise ValueError(
            f"{session.label} has no encoded height, so no resolution; "
            "leave this feature out for this data set"
        )
    return np.log10(session.height_px)


def stall_count(session: Session) -> Float[np.ndarray, " time"]:
    """Stalls that began before the end of this second; stalls that touch are one."""
    starts, ends = session.stalls[:, 0], session.stalls.sum(1)
    first = starts > np.append(-np.inf, ends)[: len(starts)] + TOUCHING_S
    return (starts[first, None] < _second_ends(session) - TOUCHING_S).sum(0).astype(float)


def stalled_so_far(session: Session) -> Float[np.ndarray, " time"]:
    """Rebuffering until the end of this second (s)."""
    starts, durations = session.stalls[:, :1], session.stalls[:, 1:]
    return np.clip(_second_ends(session) - starts, 0, durations).sum(0)


def since_down_switch(session: Session) -> Float[np.ndarray, " time"]:
    """Seconds since the last second whose bitrate fell, or since the start."""
    second = np.arange(session.n_seconds)
    down = np.where(switch(session) < -1e-9, second, -1)
    return (second - np.maximum.accumulate(down)).astype(float)


def elapsed(session: Session) -> Float[np.ndarray, " time"]:
    """Seconds since the viewing began, at the end of this second."""
    return _second_ends(session)


QOS: dict[str, Callable[[Session], Float[np.ndarray, " time"]]] = {
    "indicator": indicator,
    "recency": recency,
    "representation": representation,
    "switch": switch,
    "resolution": resolution,
    "stall_count": stall_count,
    "stalled_so_far": stalled_so_far,
    "since_down_switch": since_down_switch,
    "elapsed": elapsed,
}


@dataclass(frozen=True, eq=False)
class Scaling:
    """Min-max scaling to [0, 1] fitted on training sessions; other sessions may leave the range.

    A feature that is constant in training becomes 0. What is unknown before the first shown second
    (NaN) becomes 0, the training minimum: nothing shown is as little as anything shown.
    """

    low: Float[np.ndarray, " feat"]
    high: Float[np.ndarray, " feat"]

    @classmethod
    def fit(cls, arrays: Iterable[Float[np.ndarray, "_ feat"]]) -> "Scaling":
        """The extremes of each column over all arrays, of which one at a time is looked at.

        Raises:
            ValueError: a column is NaN throughout.
        """
        extremes = [(np.fmin.reduce(array), np.fmax.reduce(array)) for array in arrays]
        low = np.fmin.reduce([lowest for lowest, _ in extremes])
        high = np.fmax.reduce([highest for _, highest in extremes])
        empty = np.flatnonzero(np.isnan(low))
        if empty.size:
            raise ValueError(f"feature {empty[0]} is never known in the training sessions")
        return cls(low, high)

    def __call__(self, array: Float[np.ndarray, "time feat"]) -> Float[np.ndarray, "time feat"]:
        """Scaled copy of `array`."""
        span = self.high - self.low
        scaled = (array - self.low) / np.where(span > 0, span, 1.0)
        return np.where(np.isfinite(array) & (span > 0), scaled, 0.0)


@dataclass(frozen=True)
class LabelScale:
    """The rating range of the training sessions, mapped to [0, 1]; other ratings may leave it."""

    low: float
    high: float

    @classmethod
    def fit(cls, labels: Sequence[Rating] | None) -> "LabelScale | None":
        """The extremes of all labels; None where there are no labels.

        Raises:
            ValueError: every label is the same.
        """
        if labels is None:
            return None
        flat = np.concatenate([np.atleast_1d(label) for label in labels])
        if flat.min() == flat.max():
            raise ValueError(
                f"all {flat.size} training ratings are {flat[0]}, expected a range; "
                "is the training part a single session?"
            )
        return cls(float(flat.min()), float(flat.max()))

    def moved(self, by: float) -> "LabelScale":
        """The same range further up, in the data set's units: what it unscales is `by` higher."""
        return LabelScale(self.low + by, self.high + by)

    def scale(self, rating: Rating) -> Rating:
        """Rating in the data set's units to label."""
        return (rating - self.low) / (self.high - self.low)

    def unscale(self, label: Rating) -> Rating:
        """Label to rating in the data set's units."""
        return self.low + label * (self.high - self.low)


def with_memory(scaled: Float[np.ndarray, "time feat"]) -> Float[np.ndarray, "time feat*5"]:
    """`scaled` followed by its causal exponential averages over MEMORY_S, one block a constant.

    y(t) = exp(-1 / tau) y(t-1) + (1 - exp(-1 / tau)) x(t), y(0) = x(0).
    """
    blocks = [scaled]
    for tau in MEMORY_S:
        kept = np.exp(-1 / tau)
        start = kept * scaled[:1]  # the filter state that makes y(0) = x(0)
        blocks.append(signal.lfilter([1 - kept], [1, -kept], scaled, axis=0, zi=start)[0])
    return np.concatenate(blocks, axis=1)


def pooled(scaled: Float[np.ndarray, "time feat"]) -> Float[np.ndarray, " feat*4"]:
    """One vector a session: mean, minimum, maximum and last value of each feature."""
    return np.concatenate([scaled.mean(0), scaled.min(0), scaled.max(0), scaled[-1]])


def _second_ends(session: Session) -> Float[np.ndarray, " time"]:
    return np.minimum(np.arange(1.0, session.n_seconds + 1), session.duration_s)
