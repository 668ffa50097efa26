"""Models that look at no signal at all: constant, mean curve, identity look-up.

They say what a split gives away for free; no results table is without them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from qoe_core.models.interface import Prediction, training_ratings
from qoe_core.session import Session


@dataclass(frozen=True)
class Constant:
    """The mean rating of all training seconds, and the mean overall score."""

    stops_early = False
    seeded = False

    def fit(
        self,
        train: Sequence[Session],
        validation: Sequence[Session],
        seed: int,
        folder: Path | None = None,
    ) -> "FittedConstant":
        """Average; `seed` and `folder` change nothing."""
        continuous, overall = training_ratings(train)
        return FittedConstant(
            None if continuous is None else float(np.concatenate(continuous).mean()),
            None if overall is None else float(np.mean(overall)),
        )


@dataclass(frozen=True)
class FittedConstant:
    """Two numbers."""

    level: float | None
    overall: float | None

    def predict(self, session: Session) -> Prediction:
        """The same score for every second of every session."""
        level = None if self.level is None else np.full(session.n_seconds, self.level)
        return Prediction(level, self.overall)


@dataclass(frozen=True)
class MeanCurve:
    """The mean rating at each second since the start, over the training sessions still running."""

    stops_early = False
    seeded = False

    def fit(
        self,
        train: Sequence[Session],
        validation: Sequence[Session],
        seed: int,
        folder: Path | None = None,
    ) -> "FittedMeanCurve":
        """Average; `seed` and `folder` change nothing."""
        return FittedMeanCurve(*_mean_curve(train))


@dataclass(frozen=True, eq=False)
class FittedMeanCurve:
    """One curve, continued at its last value."""

    curve: Float[np.ndarray, " time"] | None
    overall: float | None

    def predict(self, session: Session) -> Prediction:
        """The curve cut to the session's length."""
        return Prediction(_fit_length(self.curve, session.n_seconds), self.overall)


@dataclass(frozen=True)
class Lookup:
    """The mean curve of the training sessions that share most identity with the session.

    Asked in turn: same content and same trace, same trace, same content, any. The trace is what
    follows the last "/" of the pattern. It measures how much a split leaks, not quality.
    """

    stops_early = False
    seeded = False

    def fit(
        self,
        train: Sequence[Session],
        validation: Sequence[Session],
        seed: int,
        folder: Path | None = None,
    ) -> "FittedLookup":
        """Remember the training sessions."""
        return FittedLookup(tuple(train))


@dataclass(frozen=True, eq=False)
class FittedLookup:
    """The training sessions themselves."""

    train: tuple[Session, ...]

    def predict(self, session: Session) -> Prediction:
        """Mean curve and mean overall score of the most alike training sessions."""
        curve, overall = _mean_curve(self._alike(session))
        return Prediction(_fit_length(curve, session.n_seconds), overall)

    def _alike(self, session: Session) -> Sequence[Session]:
        same_content = [s for s in self.train if s.content == session.content]
        same_trace = [s for s in self.train if _trace(s) == _trace(session)]
        both = [s for s in same_content if _trace(s) == _trace(session)]
        return both or same_trace or same_content or self.train


def _trace(session: Session) -> str:
    return session.pattern.rsplit("/", 1)[-1]


def _mean_curve(train: Sequence[Session]) -> tuple[Float[np.ndarray, " time"] | None, float | None]:
    continuous, overall = training_ratings(train)
    curve = None
    if continuous is not None:
        padded = np.full((len(continuous), max(map(len, continuous))), np.nan)
        for row, rated in zip(padded, continuous, strict=True):
            row[: len(rated)] = rated
        curve = np.nanmean(padded, axis=0)
    return curve, None if overall is None else float(np.mean(overall))


def _fit_length(
    curve: Float[np.ndarray, " time"] | None, length: int
) -> Float[np.ndarray, " length"] | None:
    if curve is None:
        return None
    return np.pad(curve[:length], (0, max(0, length - len(curve))), mode="edge")
