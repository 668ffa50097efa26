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
NO_SECONDS = {name: np.empty(0, int if name == "second" else float) for name in SECOND_COLUMNS}
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

    Raises:
        ValueError: a trace that has not a score for each second of its session.
    """
    continuous, overall = training_ratings(label_sessions)
    scale, overall_scale = LabelScale.fit(continuous), LabelScale.fit(overall)
    identity, seconds, wholes = _identity(split, columns), [], []
    for session, prediction in zip(split.sessions, predictions, strict=True):
        if prediction.continuous is not None and scale is not None:
            _check_length(session, prediction)
            seconds.append((session, prediction.continuous))
        if prediction.overall is not None and overall_scale is not None:
            wholes.append(_overall_columns(session, prediction, overall_scale))
    rows = np.repeat(np.arange(len(seconds)), [len(predicted) for _, predicted in seconds])
    every_second = _second_columns(seconds, scale) if seconds else NO_SECONDS
    repeated = {name: column.take(rows) for name, column in identity.items()}
    return pd.DataFrame(repeated | every_second), _overall_table(identity, wholes)


def _identity(
    split: Split, columns: Mapping[str, object]
) -> dict[str, pd.Categorical | np.ndarray]:
    """Who each row is about, a session a row; text as categories, which keep a million rows small.

    They are made before a row is repeated.
    """
    sessions, n = split.sessions, len(split.sessions)
    found = {
        name: pd.Categorical.from_codes(np.zeros(n, np.int8), [value])
        for name, value in columns.items()
        if name != "seed"
    }
    found["seed"] = np.full(n, columns["seed"])
    for name in ("content", "pattern"):
        found[name] = pd.Categorical([getattr(session, name) for session in sessions])
    found["session"] = pd.Categorical([session.name for session in sessions])
    found["part"] = pd.Categorical([p for p, members in split.parts.items() for _ in members])
    return {name: found[name] for name in (*columns, "session", "content", "pattern", "part")}


def _overall_table(
    identity: Mapping[str, pd.Categorical | np.ndarray], wholes: Sequence[tuple[float, ...]]
) -> pd.DataFrame:
    """A row a session, then those of "<model>, trace mean": the mean of the predicted trace.

    The mean is mapped to the overall score by the first-order mapping of the training sessions.
    Models without a trace, or with the same one for every session, get no such rows.
    """
    columns = np.reshape(wholes, (-1, len(OVERALL_COLUMNS))).T
    numbers = dict(zip(OVERALL_COLUMNS, columns, strict=True))
    means, n = numbers.pop("trace_mean"), len(wholes)
    who = {name: column[:n] for name, column in identity.items()}
    is_train = who["part"] == "train"
    if not n or np.isnan(means).any() or np.ptp(means[is_train]) < FLAT:
        return pd.DataFrame(who | numbers)
    mapping = first_order(means[is_train], numbers["rated"][is_train])
    twice, model = np.tile(np.arange(n), 2), who["model"][0]
    who = {name: column.take(twice) for name, column in who.items()}
    who["model"] = pd.Categorical.from_codes(np.arange(2 * n) // n, [model, model + TRACE_MEAN])
    said = np.concatenate([numbers["predicted"], mapping(means)])
    numbers = {name: column.take(twice) for name, column in numbers.items()}
    return pd.DataFrame(who | numbers | {"predicted": said})


def session_scores(predictions: pd.DataFrame) -> pd.DataFrame:
    """Every metric of every session of a fold: SCORE_COLUMNS, from_second, metric, value.

    `from_second` is 0 (all seconds) or ONSET_S; a session too short for the second has no such
    row. An undefined correlation is NaN; metrics that need a CI have no row without one.
    """
    groups = predictions.groupby(["part", "session"], sort=False, observed=True).indices.values()
    pieces = [
        (indices[start:], start)
        for indices in groups
        for start in (0, ONSET_S)
        if len(indices) - start >= MIN_SAMPLES
    ]
    if not pieces:
        return pd.DataFrame(columns=[*SCORE_COLUMNS, "from_second", "metric", "value"])
    seconds, starts = zip(*pieces, strict=True)
    lengths = [len(indices) for indices in seconds]
    ends = np.cumsum(lengths)
    labels = predictions[["predicted", "rated", "ci_low", "ci_high"]].to_numpy()
    predicted, rated, low, high = labels[np.concatenate(seconds)].T
    bare = np.logical_or.reduceat(np.isnan(low), ends - lengths)  # sessions without a CI
    half_width = np.where(np.repeat(bare, lengths), 0.0, (high - low) / 2)
    values = metrics.scores_of_sessions(predicted, rated, half_width, ends)
    piece, metric = np.nonzero(~(bare[:, None] & metrics.NEEDS_INTERVAL))
    which = pd.Categorical.from_codes(metric, metrics.METRICS)
    numbers = {
        "from_second": np.array(starts)[piece],
        "metric": which.remove_unused_categories(),
        "value": values[piece, metric],
    }
    firsts = np.array([indices[0] for indices in seconds])
    who = {name: predictions[name].array.take(firsts[piece]) for name in SCORE_COLUMNS}
    return pd.DataFrame(who | numbers)


def _check_length(session: Session, prediction: Prediction) -> None:
    if len(prediction.continuous) != session.n_seconds:
        raise ValueError(
            f"{session.label} was predicted {len(prediction.continuous)} scores, expected one for "
            f"each of its {session.n_seconds} seconds; does the model cut or pad a session?"
        )


def _second_columns(
    predicted: Sequence[tuple[Session, Float[np.ndarray, " _"]]], scale: LabelScale
) -> dict[str, np.ndarray]:
    """SECOND_COLUMNS of all sessions, one below the other."""
    sessions = [session for session, _ in predicted]
    unknown = [np.full((session.n_seconds, 2), np.nan) for session in sessions]
    bounds = [
        nothing if session.rated_ci is None else session.rated_ci
        for session, nothing in zip(sessions, unknown, strict=True)
    ]
    ratings = [[trace for _, trace in predicted], [session.rated for session in sessions], bounds]
    said, rated, bounds = (scale.scale(np.concatenate(of_all)) for of_all in ratings)
    seconds = np.concatenate([np.arange(len(nothing)) for nothing in unknown])
    stalled = np.concatenate([session.stalled for session in sessions]).astype(float)
    columns = seconds, said, rated, *bounds.T, stalled
    return dict(zip(SECOND_COLUMNS, columns, strict=True))


def _overall_columns(
    session: Session, prediction: Prediction, scale: LabelScale
) -> tuple[float, ...]:
    """OVERALL_COLUMNS of one session."""
    low, high = session.overall_ci or (np.nan, np.nan)
    labels = (scale.scale(score) for score in (prediction.overall, session.overall, low, high))
    trace = prediction.continuous
    return (*labels, scale.low, scale.high, np.nan if trace is None else float(trace.mean()))
