"""Video ATLAS: a support-vector regression on five numbers of a whole session.

In the order of the columns, `time` in seconds of wall clock:
1. quality: mean of the first metric of the row's `quality` over what was played;
2. stalled: rebuffering time over the length of the session;
3. stalls: number of rebuffering events, those that touch being one;
4. recovered: time since the last impairment (a stall or a lowered bitrate) ended, over the length;
   1 where there was none, 0 where the session ends in one;
5. lowered: time played at a lowered bitrate over the length.

Overall QoE only. C, gamma and epsilon are chosen by cross-validation over the training contents.

Source: Bampis and Bovik, "Learning to predict streaming video QoE: distortions, rebuffering and
memory", arXiv 1703.00633; which features, their normalisation and the value 1 without impairment as
in the authors' release (GeneratePreTrainedModels.py and its .mat files). Deviations: a bitrate is
lowered while it is below the highest of the session so far, as on general streams there is no
design that says which of the rates are low (LIVE-Netflix' constant low rates count as lowered in
the release and not here); epsilon is searched too, and folds keep contents together; STRRED enters
as log10(1 + STRRED).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from sklearn.base import RegressorMixin
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection import GroupKFold, ParameterGrid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from qoe_core.inputs import FeatureConfig, features
from qoe_core.models.interface import Prediction, training_ratings
from qoe_core.qos import Scaling, stall_count
from qoe_core.session import Session

ROUNDING = 1e-9  # share of a bitrate below which a difference is none
GRID = ParameterGrid(
    {
        "C": [1.0, 10.0, 100.0],
        "gamma": [0.003, 0.01, 0.03, 0.1, 0.3],
        "epsilon": [0.1, 0.3],  # of the standard deviation of the overall scores
    }
)


@dataclass(frozen=True, kw_only=True)
class Peer:
    """Video ATLAS before training; of the row's inputs it sees the first quality metric only.

    Raises:
        ValueError: the row has no quality metric.
    """

    inputs: FeatureConfig
    scaling: Scaling | None = None  # None: fitted on the training sessions
    folds: int = 5  # of the cross-validation; as many as contents where there are fewer
    stops_early = False
    seeded = False

    def __post_init__(self):
        """Refuse inputs without quality."""
        if not self.inputs.quality:
            raise ValueError(
                f"inputs of video_atlas are {self.inputs}, expected a quality metric: the mean of "
                "the first one is among its five features"
            )

    def fit(
        self,
        train: Sequence[Session],
        validation: Sequence[Session],
        seed: int,
        folder: Path | None = None,
    ) -> "FittedVideoAtlas":
        """Choose the SVR by grouped cross-validation, then fit it on all training sessions.

        Raises:
            ValueError: no overall ratings, fewer than two contents, or a session without bitrate.
        """
        _, overall = training_ratings(train)
        contents = {session.content for session in train}
        if overall is None or len(contents) < 2:
            raise ValueError(
                f"training sessions of {train[0].dataset} have {len(contents)} contents and "
                f"{'no ' if overall is None else ''}overall ratings; video_atlas predicts overall "
                "QoE only, and is chosen by cross-validation over contents"
            )
        scaling = self.scaling or Scaling.fit(features(session, self.inputs) for session in train)
        numbers = np.stack([five_features(session, self.inputs, scaling) for session in train])
        folds = GroupKFold(min(self.folds, len(contents)))
        parts = folds.split(numbers, groups=[session.content for session in train])
        svr = make_pipeline(StandardScaler(), SVR(**_best(numbers, np.array(overall), parts)))
        regressor = TransformedTargetRegressor(svr, transformer=StandardScaler())
        return FittedVideoAtlas(self.inputs, scaling, regressor.fit(numbers, np.array(overall)))


@dataclass(frozen=True, eq=False)
class FittedVideoAtlas:
    """The chosen regression."""

    inputs: FeatureConfig
    scaling: Scaling
    regressor: RegressorMixin

    def predict(self, session: Session) -> Prediction:
        """One score of the whole session."""
        numbers = five_features(session, self.inputs, self.scaling)
        return Prediction(None, float(self.regressor.predict(numbers[None])[0]))


def _best(
    numbers: Float[np.ndarray, "session 5"],
    overall: Float[np.ndarray, " session"],
    parts: Iterable[tuple[np.ndarray, np.ndarray]],
) -> dict[str, float]:
    """The point of GRID whose mean squared error, averaged over the folds, is lowest.

    A plain loop: GridSearchCV has the same errors and takes five times as long to call the SVR.
    """
    errors = np.zeros(len(GRID))
    for train, test in parts:
        scaler = StandardScaler().fit(numbers[train])
        centre, spread = overall[train].mean(), overall[train].std() or 1.0
        inputs, targets = scaler.transform(numbers[train]), (overall[train] - centre) / spread
        seen, wanted = scaler.transform(numbers[test]), (overall[test] - centre) / spread
        for i, point in enumerate(GRID):
            said = SVR(**point).fit(inputs, targets).predict(seen)
            errors[i] += np.mean((said - wanted) ** 2) * spread**2
    return GRID[int(errors.argmin())]


def five_features(
    session: Session, inputs: FeatureConfig, scaling: Scaling
) -> Float[np.ndarray, "5"]:
    """The five numbers of the module's docstring; quality on the scale of `scaling`.

    Raises:
        ValueError: the session has no bitrate.
    """
    if session.bitrate_kbps is None:
        raise ValueError(
            f"{session.label} has no bitrate, so nothing tells when video_atlas' quality was "
            "lowered; leave this row out for this data set"
        )
    quality = scaling(features(session, inputs))[:, inputs.n_qos]
    edges = np.append(np.arange(session.n_seconds, dtype=float), session.duration_s)
    played = np.diff(edges) * (1 - session.stalled)
    rate = session.bitrate_kbps
    lowered = (rate > 0) & (rate < (1 - ROUNDING) * np.maximum.accumulate(rate))
    ends = [0.0, *session.stalls.sum(1), *(edges[1:][lowered])]
    return np.array(
        [
            (quality * played).sum() / (played.sum() or 1.0),
            session.stalls[:, 1].sum() / session.duration_s,
            stall_count(session)[-1],
            1 - max(ends) / session.duration_s,
            played[lowered].sum() / session.duration_s,
        ]
    )
