"""The predictions table: what a fitted model said of every session of its fold, and the scores.

One row a second in the first table, one row a session in the second (overall QoE). Ratings and
predictions are labels: the data set's scale mapped to [0, 1] by the fold's LabelScale.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from qoe_core import metrics
from qoe_core.models.interface import Fitted, Prediction, training_ratings
from qoe_core.qos import LabelScale
from qoe_core.session import Session
from qoe_core.splits import Split

MIN_SCORED = 3  # seconds that a correlation needs
ONSET_S = 10  # seconds at the start in which the rating slider warms up; scored with and without
TRACE_MEAN = ", trace mean"  # behind a model's name
FLAT = 1e-9  # range of trace means, in rating units, below which they say nothing
COLUMNS = ["experiment", "dataset", "split", "fold", "seed", "model", "session", "content"]
COLUMNS += ["pattern", "part", "second", "predicted", "rated", "ci_low", "ci_high", "stalled"]
SCORE_COLUMNS = ["dataset", "split", "model", "fold", "seed", "part", "session", "content"]


def fold_tables(
    fitted: Fitted,
    split: Split,
    columns: Mapping[str, object],
    label_sessions: Sequence[Session],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Predictions of every session of a fold, per second and overall.

    Args:
        fitted: the trained model.
        split: the fold.
        columns: what is the same in every row (experiment, dataset, split, fold, seed, model).
        label_sessions: the sessions whose ratings span the label scale.
    """
    seconds, wholes = [], []
    continuous, overall = training_ratings(label_sessions)
    scale, overall_scale = LabelScale.fit(continuous), LabelScale.fit(overall)
    for part, members in split.parts.items():
        for session in members:
            prediction = fitted.predict(session)
            identity = {
                **columns,
                "session": session.name,
                "content": session.content,
                "pattern": session.pattern,
                "part": part,
            }
            if prediction.continuous is not None and scale is not None:
                rows = _second_rows(session, prediction.continuous, scale)
                seconds.append(rows.assign(**identity))
            if prediction.overall is not None and overall_scale is not None:
                row = _overall_row(session, prediction, overall_scale)
                wholes.append({**identity, **row})
    return _joined(seconds), _with_trace_means(pd.DataFrame(wholes))


def _with_trace_means(overall: pd.DataFrame) -> pd.DataFrame:
    """Add the rows of "<model>, trace mean": overall QoE as the mean of the predicted trace.

    The mean is mapped to the overall score by the first-order mapping of the training sessions.
    Models without a trace, or with the same one for every session, get no such rows.
    """
    if overall.empty or overall["trace_mean"].isna().any():
        return overall.drop(columns="trace_mean", errors="ignore")
    train = overall[overall["part"] == "train"]
    if np.ptp(train["trace_mean"]) < FLAT:
        return overall.drop(columns="trace_mean")
    slope, offset = np.polyfit(train["trace_mean"], train["rated"], 1)
    derived = overall.assign(
        model=overall["model"] + TRACE_MEAN, predicted=offset + slope * overall["trace_mean"]
    )
    return pd.concat([overall, derived], ignore_index=True).drop(columns="trace_mean")


def session_scores(predictions: pd.DataFrame) -> pd.DataFrame:
    """Every metric of every session of a fold: SCORE_COLUMNS, from_second, metric, value.

    `from_second` is 0 (all seconds) or ONSET_S; a session too short for the second has no such
    row. An undefined correlation is NaN; metrics that need a CI have no row without one.
    """
    rows = []
    for identity, session in predictions.groupby(SCORE_COLUMNS, sort=False, observed=True):
        arrays = session[["predicted", "rated", "ci_low", "ci_high"]].to_numpy()
        for start in (0, ONSET_S):
            if len(arrays) - start < MIN_SCORED:
                continue
            predicted, rated, low, high = arrays[start:].T
            half_width = None if np.isnan(low).any() else (high - low) / 2
            for metric, value in metrics.session_scores(predicted, rated, half_width).items():
                rows.append((*identity, start, metric, np.nan if value is None else value))
    return pd.DataFrame(rows, columns=[*SCORE_COLUMNS, "from_second", "metric", "value"])


def _second_rows(
    session: Session, predicted: Float[np.ndarray, " time"], scale: LabelScale
) -> pd.DataFrame:
    low, high = np.full((2, session.n_seconds), np.nan)
    if session.rated_ci is not None:
        low, high = scale.scale(session.rated_ci).T
    return pd.DataFrame(
        {
            "second": np.arange(session.n_seconds),
            "predicted": scale.scale(predicted),
            "rated": scale.scale(session.rated),
            "ci_low": low,
            "ci_high": high,
            "stalled": session.stalled,
        }
    )


def _overall_row(session: Session, prediction: Prediction, scale: LabelScale) -> dict[str, float]:
    low, high = session.overall_ci or (np.nan, np.nan)
    trace = prediction.continuous
    return {
        "predicted": scale.scale(prediction.overall),
        "rated": scale.scale(session.overall),
        "ci_low": scale.scale(low),
        "ci_high": scale.scale(high),
        "label_low": scale.low,
        "label_high": scale.high,
        "trace_mean": np.nan if trace is None else float(trace.mean()),
    }


def _joined(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """One table with repeated text as categories, which keeps the file small."""
    if not tables:
        return pd.DataFrame(columns=COLUMNS)
    joined = pd.concat(tables, ignore_index=True)[COLUMNS]
    texts = joined.select_dtypes("str").columns
    return joined.astype({name: "category" for name in texts})
