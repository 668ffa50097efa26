"""The predictions table: what a fitted model said of every session of its fold, and the scores.

One row a second in the first table, one row a session in the second (overall QoE). Ratings and
predictions are labels: the data set's scale mapped to [0, 1] by the fold's LabelScale.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from qoe_core import metrics
from qoe_core.mappings import first_order
from qoe_core.models.interface import Prediction, training_ratings
from qoe_core.pairs import MIN_SAMPLES
from qoe_core.qos import LabelScale
from qoe_core.session import Session
from qoe_core.split import Split

ONSET_S = 10  # seconds at the start in which the rating slider warms up; scored with and without
TRACE_MEAN = ", trace mean"  # behind a model's name
FLAT = 1e-9  # range of trace means, in rating units, below which they say nothing
SECOND_COLUMNS = ["second", "predicted", "rated", "ci_low", "ci_high", "stalled"]
OVERALL_COLUMNS = [*SECOND_COLUMNS[1:5], "label_low", "label_high", "trace_mean"]
SCORE_COLUMNS = ["dataset", "split", "model", "fold", "seed", "part", "session", "content"]


def fold_tables(
    predictions: Sequence[Prediction],
    split: Split,
    columns: Mapping[str, object],
    label_sessions: Sequence[Session],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Predictions of every session of a fold, per second and overall.

    Args:
        predictions: one for each session of the fold, in the order of `split.sessions`.
        split: the fold.
        columns: what is the same in every row (experiment, dataset, split, fold, seed, model).
        label_sessions: the sessions whose ratings span the label scale.
    """
    continuous, overall = training_ratings(label_sessions)
    scale, overall_scale = LabelScale.fit(continuous), LabelScale.fit(overall)
    identity, seconds, wholes = _identity(split, columns), [], []
    for session, prediction in zip(split.sessions, predictions, strict=True):
        if prediction.continuous is not None and scale is not None:
            seconds.append(_second_columns(session, prediction.continuous, scale))
        if prediction.overall is not None and overall_scale is not None:
            wholes.append(_overall_columns(session, prediction, overall_scale))
    rows = np.repeat(np.arange(len(seconds)), [array.shape[1] for array in seconds])
    per_second = np.concatenate(seconds, axis=1) if seconds else np.empty((6, 0))
    every_second = dict(zip(SECOND_COLUMNS, per_second, strict=True))
    every_second["second"] = every_second["second"].astype(int)
    whole = pd.DataFrame(wholes, columns=OVERALL_COLUMNS)
    overall_table = _beside(identity.iloc[: len(wholes)], whole)
    repeated = {name: column.array.take(rows) for name, column in identity.items()}
    return pd.DataFrame(repeated | every_second), _with_trace_means(overall_table)


def _identity(split: Split, columns: Mapping[str, object]) -> pd.DataFrame:
    """Who each row is about, a session a row; text as categories, which keep a million rows small.

    They are made before a row is repeated.
    """
    sessions = split.sessions
    found = {name: [value] * len(sessions) for name, value in columns.items()}
    found |= {name: [getattr(s, name) for s in sessions] for name in ("content", "pattern")}
    found["session"] = [session.name for session in sessions]
    found["part"] = [part for part, members in split.parts.items() for _ in members]
    order = [*columns, "session", "content", "pattern", "part"]
    texts = {name: pd.Categorical(found[name]) for name in order if name != "seed"}
    return pd.DataFrame(found | texts)[order]


def _beside(identity: pd.DataFrame, numbers: pd.DataFrame) -> pd.DataFrame:
    """Both tables side by side, row by row."""
    return pd.concat([identity.reset_index(drop=True), numbers], axis=1)


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
    mapping = first_order(train["trace_mean"].to_numpy(), train["rated"].to_numpy())
    derived = overall.assign(
        model=overall["model"].astype(str) + TRACE_MEAN,
        predicted=mapping(overall["trace_mean"].to_numpy()),
    )
    return pd.concat([overall, derived], ignore_index=True).drop(columns="trace_mean")


def session_scores(predictions: pd.DataFrame) -> pd.DataFrame:
    """Every metric of every session of a fold: SCORE_COLUMNS, from_second, metric, value.

    `from_second` is 0 (all seconds) or ONSET_S; a session too short for the second has no such
    row. An undefined correlation is NaN; metrics that need a CI have no row without one.
    """
    if predictions.empty:
        return pd.DataFrame(columns=[*SCORE_COLUMNS, "from_second", "metric", "value"])
    arrays = predictions[["predicted", "rated", "ci_low", "ci_high"]].to_numpy()
    rows, starts, names, values = [], [], [], []
    for indices in predictions.groupby(
        ["part", "session"], sort=False, observed=True
    ).indices.values():
        for start in (0, ONSET_S):
            if len(indices) - start < MIN_SAMPLES:
                continue
            predicted, rated, low, high = arrays[indices[start:]].T
            half_width = None if np.isnan(low).any() else (high - low) / 2
            scores = metrics.session_scores(predicted, rated, half_width)
            rows += [indices[0]] * len(scores)
            starts += [start] * len(scores)
            names += scores
            values += scores.values()
    numbers = {"from_second": starts, "metric": names, "value": np.array(values, float)}
    identity = predictions[SCORE_COLUMNS].iloc[rows]
    return _beside(identity, pd.DataFrame(numbers))


def _second_columns(
    session: Session, predicted: Float[np.ndarray, " time"], scale: LabelScale
) -> Float[np.ndarray, "column time"]:
    """SECOND_COLUMNS of one session."""
    low, high = np.full((2, session.n_seconds), np.nan)
    if session.rated_ci is not None:
        low, high = scale.scale(session.rated_ci).T
    labels = (scale.scale(predicted), scale.scale(session.rated), low, high)
    return np.stack([np.arange(session.n_seconds), *labels, session.stalled])


def _overall_columns(
    session: Session, prediction: Prediction, scale: LabelScale
) -> tuple[float, ...]:
    """OVERALL_COLUMNS of one session."""
    low, high = session.overall_ci or (np.nan, np.nan)
    labels = (scale.scale(score) for score in (prediction.overall, session.overall, low, high))
    trace = prediction.continuous
    return (*labels, scale.low, scale.high, np.nan if trace is None else float(trace.mean()))
