"""Single sessions out of the predictions table: which to show, and what was said of them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float


@dataclass(frozen=True, eq=False)
class Trace:
    """One test session: rating, its CI where there is one, stalls, and each model's prediction.

    Predictions are means over the seeds (and folds) that tested the session.
    """

    session: str
    rated: Float[np.ndarray, " time"]
    band: Float[np.ndarray, "time 2"] | None
    stalled: Float[np.ndarray, " time"]
    predicted: dict[str, Float[np.ndarray, " time"]]


def by_error(scores: pd.DataFrame, model: str) -> pd.Series:
    """RMSE of each test session under `model`, mean over seeds, from best to worst.

    Raises:
        ValueError: no test scores of that model.
    """
    chosen = scores[
        (scores["model"] == model)
        & (scores["part"] == "test")
        & (scores["metric"] == "rmse")
        & (scores["from_second"] == 0)
    ]
    if chosen.empty:
        raise ValueError(f"no test scores of {model!r}, only of {sorted(set(scores['model']))}")
    return chosen.groupby("session", observed=True)["value"].mean().sort_values(kind="stable")


def trace(predictions: pd.DataFrame, session: str) -> Trace:
    """What the models of a predictions table said of one test session.

    Raises:
        ValueError: the session was not tested.
    """
    rows = predictions[(predictions["session"] == session) & (predictions["part"] == "test")]
    if rows.empty:
        raise ValueError(f"{session!r} is not a test session of this predictions table")
    columns = ["rated", "ci_low", "ci_high", "stalled"]
    facts = rows.groupby("second", observed=True)[columns].mean()
    said = rows.groupby(["model", "second"], observed=True)["predicted"].mean()
    band = facts[["ci_low", "ci_high"]].to_numpy()
    return Trace(
        session,
        rated=facts["rated"].to_numpy(),
        band=None if np.isnan(band).any() else band,
        stalled=facts["stalled"].to_numpy(),
        predicted={m: said[m].to_numpy() for m in rows["model"].unique()},
    )
