"""One viewing of one stream: what was played, when it stalled, and what people said about it.

Axes: time = seconds of wall clock since the viewing began, stalls included; the last second may be
partial. Stall flags, counts and times are always derived from the stall intervals, because each
release encodes them differently and several encode them wrongly.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float

TOUCHING_S = 1e-6  # two stalls closer than this touch: one event, not two


@dataclass(frozen=True, kw_only=True, eq=False)
class Session:
    """One rated playback at 1 Hz; refuses on construction what cannot be a playback.

    `stalls` holds start and duration (s, wall clock) of each rebuffering event, in order and
    disjoint; `stalled`, the fraction of each second spent rebuffering, is computed from it.
    `bitrate_kbps` is the mean playout bitrate over the played part of each second, 0 while fully
    stalled, None where a release has none. `height_px` is the height at which what is shown was
    encoded, None where a release does not say; `quality` holds objective metrics in their own
    units. Both are held at the last shown value during stalls, NaN only before the first.
    `ratings` are per-subject scores, one row a viewer, NaN where a viewer is absent; their scale
    is the release's and is not checked.

    Raises:
        ValueError: unequal lengths, NaN, a rating outside `scale`, stalls that overlap or leave
            the session; names session, field, second, value and the likely cause.
    """

    dataset: str
    name: str  # unique inside the data set
    content: str  # the source clip: the sampling unit of every split and interval
    pattern: str  # trace, ABR and playout pattern: what happened to the clip
    device: str
    duration_s: float
    stalls: Float[np.ndarray, "stall 2"]
    bitrate_kbps: Float[np.ndarray, " time"] | None
    quality: Mapping[str, Float[np.ndarray, " time"]]
    scale: tuple[float, float]  # of rated and overall, higher is better
    height_px: Float[np.ndarray, " time"] | None = None
    rated: Float[np.ndarray, " time"] | None = None
    rated_ci: Float[np.ndarray, "time 2"] | None = None  # 95 % bounds, low and high
    overall: float | None = None
    overall_ci: tuple[float, float] | None = None
    ratings: Float[np.ndarray, " viewer *time"] | None = None
    video: Path | None = None
    sources: tuple[Path, ...] = ()  # the files it was read from
    stalled: Float[np.ndarray, " time"] = field(init=False)

    def __post_init__(self):
        """Derive `stalled`, then check every field against every other."""
        if not (math.isfinite(self.duration_s) and self.duration_s > 0):
            self._refuse("duration_s", f"is {self.duration_s}, expected a positive number of s")
        self._check_stalls()
        object.__setattr__(self, "stalled", stalled_fraction(self.stalls, self.duration_s))
        self._check_playback()
        self._check_scores()

    @property
    def n_seconds(self) -> int:
        """Length of every 1 Hz array; a partial last second counts as one."""
        return n_seconds(self.duration_s)

    @property
    def label(self) -> str:
        """`dataset/name`, for messages."""
        return f"{self.dataset}/{self.name}"

    def _refuse(self, where: str, problem: str) -> None:
        files = f" ({', '.join(str(path) for path in self.sources)})" if self.sources else ""
        raise ValueError(f"{self.label}{files}: {where} {problem}")

    def _check_stalls(self) -> None:
        if not np.isfinite(self.stalls).all():
            self._refuse("stalls", "hold a value that is not finite; is a stall time missing?")
        end = 0.0
        for number, (start, duration) in enumerate(self.stalls):
            if duration <= 0 or start < end - TOUCHING_S:
                self._refuse(
                    f"stall {number}",
                    f"starts at {start} s and lasts {duration} s, expected a positive duration and "
                    f"a start at or after {end} s; are the times media time instead of wall clock?",
                )
            end = start + duration
        if end > self.duration_s + TOUCHING_S:
            self._refuse(
                "stalls",
                f"end at {end} s, after the session of {self.duration_s} s; "
                "does the duration leave the stalls out?",
            )

    def _check_playback(self) -> None:
        if self.bitrate_kbps is not None:
            self._check_series("bitrate_kbps", self.bitrate_kbps)
            fully = self.stalled >= 1 - TOUCHING_S
            wrong = np.flatnonzero(np.where(fully, self.bitrate_kbps != 0, self.bitrate_kbps <= 0))
            if wrong.size:
                self._refuse(
                    f"bitrate_kbps, second {wrong[0]}",
                    f"is {self.bitrate_kbps[wrong[0]]} while {self.stalled[wrong[0]]:.3f} of the "
                    "second is stalled, expected 0 exactly where nothing is played; "
                    "do the stall times belong to this session?",
                )
        unshown = self.n_unshown_seconds
        if self.height_px is not None:
            self._check_series("height_px", self.height_px, skip=unshown)
            wrong = unshown + np.flatnonzero(self.height_px[unshown:] <= 0)
            if wrong.size:
                self._refuse(
                    f"height_px, second {wrong[0]}",
                    f"is {self.height_px[wrong[0]]}, expected a positive number of px; "
                    "is 0 written while nothing is played?",
                )
        for metric, values in self.quality.items():
            self._check_series(f"quality[{metric}]", values, skip=unshown)

    @property
    def n_unshown_seconds(self) -> int:
        """Seconds before the first that shows anything (initial loading)."""
        shown = np.flatnonzero(self.stalled < 1 - TOUCHING_S)
        return int(shown[0]) if shown.size else self.n_seconds

    def _check_scores(self) -> None:
        low, high = self.scale
        if not low < high:
            self._refuse("scale", f"is {self.scale}, expected low < high")
        if self.rated is not None:
            self._check_series("rated", self.rated, low, high)
        if self.rated_ci is not None:
            if self.rated is None:
                self._refuse("rated_ci", "is given without rated")
            for bound, values in zip(("low", "high"), self.rated_ci.T, strict=True):
                self._check_series(f"rated_ci {bound}", values)
            crossed = np.flatnonzero(self.rated_ci[:, 0] > self.rated_ci[:, 1])
            if crossed.size:
                self._refuse(
                    f"rated_ci, second {crossed[0]}", "has low above high; are they swapped?"
                )
        if self.overall is not None and not low <= self.overall <= high:
            self._refuse("overall", f"is {self.overall}, expected {low} to {high}; another scale?")
        if self.overall_ci is not None:
            ci_low, ci_high = self.overall_ci
            if self.overall is None:
                self._refuse("overall_ci", "is given without overall")
            if not -math.inf < ci_low <= ci_high < math.inf:
                self._refuse("overall_ci", f"is {self.overall_ci}, expected numbers, low <= high")
        if self.rated is None and self.overall is None:
            self._refuse("rated and overall", "are both missing: nobody rated this session")

    def _check_series(
        self,
        where: str,
        values: Float[np.ndarray, " time"],
        low: float = -math.inf,
        high: float = math.inf,
        skip: int = 0,
    ) -> None:
        if values.shape != (self.n_seconds,):
            self._refuse(
                where,
                f"has shape {values.shape}, expected ({self.n_seconds},) for {self.duration_s} s; "
                "are seconds missing or is it sampled per frame?",
            )
        bad = skip + np.flatnonzero(~(np.isfinite(values[skip:])))
        if bad.size:
            self._refuse(f"{where}, second {bad[0]}", f"is {values[bad[0]]}, expected a number")
        outside = skip + np.flatnonzero((values[skip:] < low) | (values[skip:] > high))
        if outside.size:
            self._refuse(
                f"{where}, second {outside[0]}",
                f"is {values[outside[0]]}, expected {low} to {high}; "
                "is the score on another scale (already z-scored, or raw)?",
            )


def n_seconds(duration_s: float) -> int:
    """Seconds that a duration touches; a remainder under a microsecond is rounding.

    >>> n_seconds(3.0), n_seconds(3.2), n_seconds(3.0000000001)
    (3, 4, 3)
    """
    return max(1, math.ceil(duration_s - TOUCHING_S))


def stalled_fraction(
    stalls: Float[np.ndarray, "stall 2"], duration_s: float
) -> Float[np.ndarray, " time"]:
    """Fraction of each second spent rebuffering, 0 to 1; of the part that exists in the last one.

    >>> stalled_fraction(np.array([[0.5, 1.0]]), 3.0)
    array([0.5, 0.5, 0. ])
    """
    edges = np.append(np.arange(n_seconds(duration_s), dtype=float), duration_s)
    starts, ends = stalls[:, :1], stalls.sum(1, keepdims=True)
    overlap = np.minimum(ends, edges[1:]) - np.maximum(starts, edges[:-1])
    return np.clip(np.clip(overlap, 0, None).sum(0) / np.diff(edges), 0, 1)


def stalls_from_flags(
    flags: Float[np.ndarray, " sample"], hz: float
) -> Float[np.ndarray, "stall 2"]:
    """Start and duration (s) of each run of non-zero flags sampled at `hz`.

    >>> stalls_from_flags(np.array([0.0, 1.0, 1.0, 0.0, 1.0]), hz=2.0)
    array([[0.5, 1. ],
           [2. , 0.5]])
    """
    steps = np.diff(np.concatenate([[0], (flags != 0).astype(int), [0]]))
    starts, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    return np.stack([starts / hz, (ends - starts) / hz], axis=1)


def hold_through_stalls(
    played: Float[np.ndarray, " time"], stalled: Float[np.ndarray, " time"]
) -> Float[np.ndarray, " time"]:
    """Repeat the last shown value in each fully stalled second; NaN before anything was shown.

    >>> hold_through_stalls(np.array([9.0, 5.0, 0.0, 7.0]), np.array([1.0, 0.5, 1.0, 0.0]))
    array([nan,  5.,  5.,  7.])
    """
    shown = stalled < 1 - TOUCHING_S
    last = np.maximum.accumulate(np.where(shown, np.arange(len(played)), -1))
    return np.where(last >= 0, played[last], np.nan)
