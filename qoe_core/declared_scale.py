"""Scores whose errors are shares of the data set's declared scale, not of a fold's training range.

In the tables that experiments write, labels are on [0, 1], where 1 is the range of the ratings that
a fold was trained and validated on. An error of one fold is therefore not on the scale of another,
and neither on that of a paper that divides by the ends of the rating scale.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from qoe_core import runs
from qoe_core.session import Session

ERRORS = ("rmse", "rmse_star")  # in units of the label
SAME_RATING = 1e-6  # most that two readings of a rating may differ, in labels


def scores(
    study: str, dataset: str, split: str, models: Sequence[str], sessions: Sequence[Session]
) -> pd.DataFrame:
    """Scores of finished experiments, their errors as shares of the data set's declared scale.

    Times 100, an RMSE is in points where a scale is 0 to 100. Other metrics are as they were.

    Raises:
        ValueError: an experiment has not been run, on these sessions, or they have several scales.
    """
    scales = {session.scale for session in sessions}
    if len(scales) > 1:
        raise ValueError(f"{dataset} declares the scales {sorted(scales)}, expected one of them")
    ((low, high),) = scales
    tables = []
    for model in models:
        found, predictions = (
            runs.load(study, dataset, split, [model], name) for name in ("scores", "predictions")
        )
        shares = _label_ranges(predictions, sessions) / (high - low)
        of_run = pd.MultiIndex.from_frame(found[["fold", "seed"]].astype({"fold": str}))
        factors = np.where(found["metric"].isin(ERRORS), shares.loc[of_run], 1.0)
        tables.append(found.assign(value=found["value"] * factors))
    return pd.concat(tables, ignore_index=True)


def _label_ranges(predictions: pd.DataFrame, sessions: Sequence[Session]) -> pd.Series:
    """Units of rating that one label is, by fold and seed."""
    known = [
        pd.DataFrame({"session": s.name, "second": np.arange(s.n_seconds), "known": s.rated})
        for s in sessions
    ]
    read = predictions[["fold", "seed", "session", "second", "rated"]]
    read = read.astype({"fold": str, "session": str})
    both = read.merge(pd.concat(known), on=["session", "second"], how="left")
    ranges = {}
    for (fold, seed), rows in both.groupby(["fold", "seed"]):
        labels, ratings = rows["rated"].to_numpy(), rows["known"].to_numpy()
        ends = [labels.argmin(), labels.argmax()]
        span = np.ptp(ratings[ends]) / np.ptp(labels[ends])
        off = ratings - ratings[ends[0]] - span * (labels - labels[ends[0]])
        if not (np.abs(off) <= SAME_RATING * span).all():
            raise ValueError(
                f"{runs.unit_title(fold, seed)}: the ratings in the predictions are not those of "
                f"the {len(sessions)} sessions; was the experiment run on another release?"
            )
        ranges[fold, seed] = span
    return pd.Series(ranges)
