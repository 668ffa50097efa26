"""Chunks of media placed on the wall clock: what a viewer saw in each second, stalls included.

Media time runs while something is played, wall-clock time always. The value of a wall-clock second
is the mean of the chunks shown in it, weighted by how long each was shown.
"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from qoe_core.session import TOUCHING_S, hold_through_stalls, n_seconds, stalled_fraction


@dataclass(frozen=True, eq=False)
class Timeline:
    """Consecutive chunks (s of media each) and the stalls (start and duration, s, wall clock).

    `share[t, c]` is the part of what second t shows that belongs to chunk c: rows sum to 1, and
    to 0 where the second is fully stalled, which a millionth of it played still is.
    """

    chunk_s: Float[np.ndarray, " chunk"]
    stalls: Float[np.ndarray, "stall 2"]
    share: Float[np.ndarray, "time chunk"] = field(init=False)

    def __post_init__(self):
        """Derive `share`."""
        wall = np.append(np.arange(n_seconds(self.duration_s), dtype=float), self.duration_s)
        stalled_before = np.clip(wall[:, None] - self.stalls[:, 0], 0, self.stalls[:, 1]).sum(1)
        media = (wall - stalled_before)[:, None]
        edges = np.concatenate([[0.0], np.cumsum(self.chunk_s)])
        shown = np.minimum(media[1:], edges[1:]) - np.maximum(media[:-1], edges[:-1])
        shown = np.clip(shown, 0, None)
        shown[self.stalled >= 1 - TOUCHING_S] = 0
        total = shown.sum(axis=1, keepdims=True)
        share = np.divide(shown, total, out=np.zeros_like(shown), where=total > 0)
        object.__setattr__(self, "share", share)

    @property
    def duration_s(self) -> float:
        """Wall-clock length: playback plus stalls."""
        return float(self.chunk_s.sum() + self.stalls[:, 1].sum())

    @property
    def stalled(self) -> Float[np.ndarray, " time"]:
        """Fraction of each second spent rebuffering."""
        return stalled_fraction(self.stalls, self.duration_s)

    def mean(self, values: Float[np.ndarray, " chunk"]) -> Float[np.ndarray, " time"]:
        """Mean of what each second shows; 0 while fully stalled.

        >>> stalls = wall_clock_stalls(np.array([1.0]), np.array([1.5]))
        >>> Timeline(np.array([1.0, 1.0]), stalls).mean(np.array([8.0, 4.0]))
        array([8., 0., 4., 4.])
        """
        return self.share @ values

    def held(self, values: Float[np.ndarray, " chunk"]) -> Float[np.ndarray, " time"]:
        """Like `mean`, but the last shown value while fully stalled; NaN before the first."""
        return hold_through_stalls(self.mean(values), self.stalled)


def wall_clock_stalls(
    media_s: Float[np.ndarray, " stall"], stalled_s: Float[np.ndarray, " stall"]
) -> Float[np.ndarray, "stall 2"]:
    """Start on the wall clock and duration of stalls given by their media time, in order.

    >>> wall_clock_stalls(np.array([0.0, 10.0]), np.array([2.0, 5.0]))
    array([[ 0.,  2.],
           [12.,  5.]])
    """
    earlier = np.concatenate([[0.0], np.cumsum(stalled_s)[:-1]])[: len(stalled_s)]
    return np.stack([media_s + earlier, stalled_s], axis=1)
