"""Causal regressors per second: ridge and gradient boosting on features with memory.

Input at second t: the configured features, scaled on the training sessions, with their exponential
averages. Overall QoE: the same regressor on the mean, minimum, maximum and last value of the
features of a session.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import Ridge as RidgeRegressor

from qoe_core.inputs import FeatureConfig, features
from qoe_core.models.interface import Prediction, training_ratings
from qoe_core.qos import Scaling, pooled, with_memory
from qoe_core.session import Session


@dataclass(frozen=True, kw_only=True)
class Regressor:
    """A scikit-learn regressor for each target; `make(seed, n_samples)` builds a fresh one."""

    make: Callable[[int, int], RegressorMixin]
    inputs: FeatureConfig
    scaling: Scaling | None = None  # None: fitted on the training sessions
    stops_early = False
    seeded = False

    def fit(
        self,
        train: Sequence[Session],
        validation: Sequence[Session],
        seed: int,
        folder: Path | None = None,
    ) -> "FittedRegressor":
        """Fit one regressor for each target that the training sessions are rated for."""
        scaling = self.scaling or Scaling.fit(features(session, self.inputs) for session in train)
        scaled = [scaling(features(session, self.inputs)) for session in train]
        continuous, overall = training_ratings(train)
        seconds = sessions = None
        if continuous is not None:
            inputs = np.concatenate([with_memory(array) for array in scaled])
            seconds = self.make(seed, len(inputs)).fit(inputs, np.concatenate(continuous))
        if overall is not None:
            inputs = np.stack([pooled(array) for array in scaled])
            sessions = self.make(seed, len(inputs)).fit(inputs, np.array(overall))
        return FittedRegressor(self.inputs, scaling, seconds, sessions)


@dataclass(frozen=True, eq=False)
class FittedRegressor:
    """One regressor over seconds, one over sessions, either None where nobody rated."""

    inputs: FeatureConfig
    scaling: Scaling
    seconds: RegressorMixin | None
    sessions: RegressorMixin | None

    def predict(self, session: Session) -> Prediction:
        """Score of each second from the features up to it, and one of the whole."""
        return self.predict_all([session])[0]

    def predict_all(self, sessions: Sequence[Session]) -> list[Prediction]:
        """The same for many sessions: a call of boosting costs more than a session."""
        scaled = [self.scaling(features(session, self.inputs)) for session in sessions]
        continuous = overall = [None] * len(sessions)
        if self.seconds is not None:
            scores = self.seconds.predict(np.concatenate([with_memory(s) for s in scaled]))
            continuous = np.split(scores, np.cumsum([len(array) for array in scaled])[:-1])
        if self.sessions is not None:
            overall = self.sessions.predict(np.stack([pooled(s) for s in scaled])).tolist()
        return [Prediction(*scores) for scores in zip(continuous, overall, strict=True)]


def ridge(seed: int, n_samples: int) -> RidgeRegressor:
    """Ridge regression, alpha 1 on features in [0, 1]; the same for every seed."""
    return RidgeRegressor(alpha=1.0)


def boosting(seed: int, n_samples: int) -> HistGradientBoostingRegressor:
    """Gradient-boosted trees of 8 leaves, each with 50 samples or a twentieth of few."""
    return HistGradientBoostingRegressor(
        max_iter=150,
        learning_rate=0.05,
        max_leaf_nodes=8,
        min_samples_leaf=max(2, min(50, n_samples // 20)),
        early_stopping=False,
        random_state=seed,
    )
