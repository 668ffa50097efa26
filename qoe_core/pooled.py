"""Agreement over all seconds of a part at once, and of overall scores after a mapping.

Further ways to aggregate, beside the mean over sessions of `blocks`; never the headline. Pooled
numbers carry intervals from draws of whole contents.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from qoe_core import runs
from qoe_core.blocks import on_one_scale
from qoe_core.bootstrap import MOST_UNDEFINED, Estimate, draw_contents, interval
from qoe_core.mappings import first_order, logistic4, third_order_monotone
from qoe_core.metrics import plcc, rmse
from qoe_core.pairs import UndefinedCorrelation

MAPPINGS = {
    "first order": first_order,
    "third order": third_order_monotone,
    "logistic": logistic4,
}
USED = ["seed", "part", "content", "predicted", "rated"]


def pooled_seconds(study: str, dataset: str, split: str, models: Sequence[str]) -> pd.DataFrame:
    """PLCC and RMSE over all seconds of all folds of a part, mean over seeds, with intervals.

    Columns: model, part, seeds, n (seconds of one seed), undefined (seeds), then plcc, plcc_low,
    plcc_high, rmse, rmse_low, rmse_high; labels on [0, 1], each on the scale of its fold. Bounds
    are NaN where over MOST_UNDEFINED of the draws have no value, as for a constant over few
    contents.
    """
    rows = []
    for model in models:
        table = runs.load(study, dataset, split, [model], "predictions", columns=USED)
        if table.empty:
            continue
        for part, of_part in table.groupby("part", sort=False, observed=True):
            seeds = [_sums(seed) for _, seed in of_part.groupby("seed")]
            n_seeds = len(seeds)
            row = {"model": model, "part": part, "seeds": n_seeds, "n": len(of_part) // n_seeds}
            rows.append(row | _pooled_row(seeds))
    return pd.DataFrame(rows)


def _sums(seconds: pd.DataFrame) -> pd.DataFrame:
    """What PLCC and RMSE need of each content: count and sums of x, y, xx, yy, xy."""
    x, y = seconds["predicted"], seconds["rated"]
    products = {"n": 1.0, "x": x, "y": y, "xx": x * x, "yy": y * y, "xy": x * y}
    return pd.DataFrame(products).groupby(seconds["content"], observed=True).sum()


def _pooled_row(seeds: Sequence[pd.DataFrame]) -> dict[str, float]:
    contents = sorted(set().union(*(sums.index for sums in seeds)))
    draws = draw_contents(contents)
    seeds = [sums.reindex(contents, fill_value=0.0) for sums in seeds]
    row: dict[str, float] = {}
    for name, metric in (("plcc", _plcc), ("rmse", _rmse)):
        values = [metric(sums.sum().to_numpy()[None]) for sums in seeds]
        drawn = [metric(draws.counts @ sums.to_numpy()) for sums in seeds]
        # a draw may hold no content that a seed validated on: the other seeds speak then
        known = np.isfinite(drawn)
        totals = np.where(known, drawn, 0.0).sum(0)
        means = np.where(known.any(0), totals / np.maximum(known.sum(0), 1), np.nan)
        low = high = np.nan
        if np.isnan(means).mean() <= MOST_UNDEFINED:
            bounds = interval(Estimate(value=np.mean(values, 0), drawn=means[:, None]))
            low, high = bounds.low[0], bounds.high[0]
        row |= {name: np.mean(values), f"{name}_low": low, f"{name}_high": high}
        if name == "plcc":
            row["undefined"] = int(np.isnan(values).sum())
    return row


def _plcc(sums: np.ndarray) -> np.ndarray:
    n, x, y, xx, yy, xy = sums.T
    spread = (n * xx - x**2) * (n * yy - y**2)
    defined = spread > 1e-18 * (n * xx) * (n * yy)
    return np.where(defined, (n * xy - x * y) / np.sqrt(np.where(defined, spread, 1.0)), np.nan)


def _rmse(sums: np.ndarray) -> np.ndarray:
    n, _, _, xx, yy, xy = sums.T
    mean = np.maximum(xx - 2 * xy + yy, 0.0) / np.maximum(n, 1)
    return np.where(n > 0, np.sqrt(mean), np.nan)


def mapped_overall(study: str, dataset: str, split: str, models: Sequence[str]) -> pd.DataFrame:
    """PLCC and RMSE of overall test scores, raw and after each of MAPPINGS.

    Predictions are means over seeds; a mapping is fitted on the test scores that it is judged on,
    as P.1401 does, so mapped numbers flatter. NaN where a model is constant or a mapping is refused
    because the ratings do not rise with the predictions. Columns: model, n, plcc, rmse, then
    "plcc, <mapping>" and "rmse, <mapping>"; empty where nobody gave overall scores.
    """
    overall = on_one_scale(runs.load(study, dataset, split, models, "overall"))
    if overall.empty:
        return pd.DataFrame()
    tested = overall[overall["part"] == "test"]
    rows = []
    for model, of_model in tested.groupby("model", sort=False, observed=True):
        scores = of_model.groupby("session", observed=True)[["predicted", "rated"]].mean()
        predicted, rated = scores.to_numpy().T
        row = {"model": model, "n": len(scores)} | _agreement(predicted, rated, "")
        for name, fit in MAPPINGS.items():
            try:
                row |= _agreement(fit(predicted, rated)(predicted), rated, f", {name}")
            except ValueError:
                row |= {f"plcc, {name}": np.nan, f"rmse, {name}": np.nan}
        rows.append(row)
    return pd.DataFrame(rows)


def _agreement(predicted: np.ndarray, rated: np.ndarray, suffix: str) -> dict[str, float]:
    try:
        correlation = plcc(predicted, rated)
    except UndefinedCorrelation:
        correlation = np.nan
    return {f"plcc{suffix}": correlation, f"rmse{suffix}": rmse(predicted, rated)}
