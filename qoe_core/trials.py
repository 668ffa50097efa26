"""Video ATLAS' own protocol: overall QoE scored in each random trial alone, medians over trials.

A trial is a fold of the split "video-atlas": 3 contents of LIVE-Netflix are tested, 11 may be
trained on. Trials overlap: every session is tested in some and trained on in the others, and trials
repeat each other. So no interval is drawn here and nothing is tested: quartiles are the spread over
trials, a share of trials won is a count, and neither says whether a difference is significant.
Trials are never pooled: `blocks` refuses them. Labels are on the range of all rated scores.

Source: Bampis and Bovik, arXiv 1703.00633, which reports medians over 1000 trials.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from qoe_core import runs
from qoe_core.blocks import on_one_scale
from qoe_core.metrics import DIRECTION, session_scores
from qoe_core.statistics import aggregate
from qoe_core.tables import TITLES, printed

SPLIT = "video-atlas"
METRICS = ("plcc", "srocc", "rmse")
TRIAL = ["model", "fold", "metric"]


def per_trial(study: str, dataset: str, models: Sequence[str]) -> pd.DataFrame:
    """Metrics of heads and trace means over the test sessions of each trial, means over seeds.

    Columns dataset, split, model, fold (the trial), metric, n (test sessions), value. A
    correlation that one seed leaves undefined is NaN.

    Raises:
        ValueError: an experiment has not been run, none predicts overall QoE, or models were
            tested on different sessions in a trial.
    """
    overall = on_one_scale(runs.load(study, dataset, SPLIT, models, "overall"))
    if overall.empty:
        raise ValueError(
            f"none of {list(models)} predicts overall QoE of {dataset}, split {SPLIT}, expected at "
            "least one; did viewers rate every second only?"
        )
    tested = overall[overall["part"] == "test"].astype({"model": str, "fold": str, "session": str})
    _check_same_sessions(tested)
    rows = []
    for (model, fold, _), run in tested.groupby(["model", "fold", "seed"], sort=False):
        found = session_scores(*run[["predicted", "rated"]].to_numpy(float).T)
        values = [np.nan if found[metric] is None else found[metric] for metric in METRICS]
        rows += [(model, fold, m, len(run), v) for m, v in zip(METRICS, values, strict=True)]
    scored = pd.DataFrame(rows, columns=[*TRIAL, "n", "value"]).groupby(TRIAL, sort=False)
    means = scored.agg(n=("n", "first"), value=("value", lambda seeds: seeds.mean(skipna=False)))
    identified = means.reset_index().assign(dataset=dataset, split=SPLIT)
    return identified[["dataset", "split", *TRIAL, "n", "value"]]


def _check_same_sessions(tested: pd.DataFrame) -> None:
    models = tested["model"].unique()
    for fold, rows in tested.groupby("fold"):
        sessions = {m: set(rows.loc[rows["model"] == m, "session"]) for m in models}
        if any(names != sessions[models[0]] for names in sessions.values()):
            counts = {model: len(names) for model, names in sessions.items()}
            raise ValueError(
                f"models were tested on different sessions in {fold}: {counts}; are some tables "
                "from other trials?"
            )


def medians(values: pd.DataFrame) -> pd.DataFrame:
    """Median and quartiles over trials of each model and metric of `per_trial`.

    Columns dataset, split, model, metric, trials, undefined, median, quarter, three_quarters;
    undefined trials are counted and left out.
    """
    rows = []
    for (model, metric), of_metric in values.groupby(["model", "metric"], sort=False):
        summary = aggregate(of_metric["value"].to_numpy())
        quarters = of_metric["value"].quantile([0.25, 0.75])
        rows.append((model, metric, summary.n, summary.undefined, summary.median, *quarters))
    columns = ["model", "metric", "trials", "undefined", "median", "quarter", "three_quarters"]
    table = pd.DataFrame(rows, columns=columns)
    for position, name in enumerate(("dataset", "split")):
        table.insert(position, name, values[name].iloc[0])
    return table


def paired(values: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Differences from one model in the same trial: their median, and the share of trials won.

    Columns metric, model, reference, trials (defined for both), diff_median, won; a trial is won
    by the better value, and a tie is not won. Trials overlap, so neither is evidence of a
    difference.

    Raises:
        ValueError: the reference is not among the models.
    """
    by_trial = values.pivot(index=["metric", "fold"], columns="model", values="value")
    models = values["model"].unique()
    if reference not in by_trial:
        raise ValueError(f"reference is {reference!r}, expected one of {list(models)}")
    rows = []
    for metric in values["metric"].unique():
        for model in models[models != reference]:
            pair = by_trial.loc[metric, [model, reference]].dropna()
            difference = pair[model] - pair[reference]
            won = (difference * DIRECTION[metric] > 0).mean()
            rows.append((metric, model, reference, len(pair), difference.median(), won))
    columns = ["metric", "model", "reference", "trials", "diff_median", "won"]
    return pd.DataFrame(rows, columns=columns)


def as_text(values: pd.DataFrame) -> str:
    """`wide` of the medians of `per_trial`, under what a reader must know of them."""
    first = values.iloc[0]
    return (
        f"{first['dataset']}, split {first['split']}, test part, overall QoE: median (quartiles) "
        f"over {values['fold'].nunique()} trials of {first['n']} test sessions; labels on [0, 1]; "
        "trials overlap, so quartiles are no intervals and no difference is called significant\n"
        f"{wide(medians(values)).to_string()}"
    )


def wide(table: pd.DataFrame) -> pd.DataFrame:
    """`medians` with models down and metrics across, "median (quartiles)"; RMSE is times 100."""
    rows: dict[str, dict[str, object]] = {}
    for row in table.itertuples():
        factor, digits = printed(row.metric)
        bounds = (row.median, row.quarter, row.three_quarters)
        median, low, high = (f"{bound * factor:.{digits}f}" for bound in bounds)
        cell = "undefined" if np.isnan(row.median) else f"{median} ({low} to {high})"
        rows.setdefault(row.model, {})[TITLES[row.metric]] = cell
        if row.metric == METRICS[0]:
            rows[row.model] |= {"trials": row.trials, "undefined": row.undefined}
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("model")
    return table[[*(TITLES[metric] for metric in METRICS), "trials", "undefined"]]
