"""Overall QoE of every session, four ways out of one model and beside other people's predictors.

A model says it by its overall head, or by a pooling of its predicted trace: the mean, the mean of
the last END_S seconds, or peak-end, the mean of its worst second and of the mean of those last
seconds. Poolings are made from the predictions table, nothing is trained again. Like the trace mean
of `predictions` they are brought to the scale of overall scores by the first-order mapping of the
training part of their fold. Tables are the overall tables of `predictions` with two columns more:
`base`, the model or predictor, and `way`, how it is said: one of the words below.

Source of peak-end: Redelmeier and Kahneman, "Patients' memories of painful medical treatments",
Pain 66(1), 1996, the mean of peak and end; Kahneman et al., Psychological Science 4(6), 1993. That
the peak is the lowest second and how long the end lasts are ours.
"""

from collections.abc import Iterator, Sequence

import pandas as pd

from qoe_core import runs
from qoe_core.blocks import LABELS
from qoe_core.mappings import first_order
from qoe_core.predictions import FLAT, TRACE_MEAN

END_S = 10  # seconds at the end of a session; a shorter one is all end
HEAD, MEAN, LAST, PEAK_END = "head", TRACE_MEAN.removeprefix(", "), f"last {END_S} s", "peak-end"
STORED, MAPPED = "stored", "stored, mapped"
RUN = ["fold", "seed"]


def scores(study: str, dataset: str, split: str, models: Sequence[str]) -> pd.DataFrame:
    """The overall tables of several experiments with a row more a session, fold, seed and pooling.

    Further columns: `base`, the model, and `way`, HEAD or a pooling. A model without a trace, or
    with traces that pool to the same for every training session of a fold, has no such rows.

    Raises:
        ValueError: an experiment has not been run, or none of them predicts overall QoE.
    """
    found = []
    for model in models:
        overall, seconds = (
            runs.load(study, dataset, split, [model], name) for name in ("overall", "predictions")
        )
        if overall.empty:
            continue
        names = overall["model"].astype(str)
        found.append(overall[names == model].assign(way=HEAD, base=model))
        found.append(overall[names == model + TRACE_MEAN].assign(way=MEAN, base=model))
        if len(seconds):
            found += _pooled(found[-2], seconds)
    if not found:
        raise ValueError(
            f"none of {list(models)} predicts overall QoE of {dataset}, split {split}, expected at "
            "least one; did viewers rate every second only?"
        )
    return pd.concat([table for table in found if len(table)], ignore_index=True)


def _pooled(heads: pd.DataFrame, seconds: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """The rows of one model's poolings other than the trace mean, which its table has."""
    key = [*RUN, "session"]
    by_session = seconds.groupby(key, observed=True)
    ending = seconds[seconds["second"] > by_session["second"].transform("max") - END_S]
    last = ending.groupby(key, observed=True)["predicted"].mean()
    worst = by_session["predicted"].min()
    for way, values in ((LAST, last), (PEAK_END, (worst + last) / 2)):
        rows = heads.join(values.rename("pooled"), on=key)
        trained = rows[rows["part"] == "train"].groupby(RUN, observed=True)["pooled"]
        if (trained.max() - trained.min()).min() < FLAT:
            continue
        mapped = [_mapped(run, "pooled", "train") for _, run in rows.groupby(RUN, observed=True)]
        named = pd.concat(mapped).drop(columns="pooled")
        yield named.assign(model=named["base"] + f", {way}", way=way)


def _mapped(rows: pd.DataFrame, score: str, *parts: str) -> pd.DataFrame:
    """`rows` with `predicted` from a column of scores, by the first-order mapping of `parts`."""
    fitted = rows[rows["part"].isin(parts)]
    mapping = first_order(fitted[score].to_numpy(), fitted["rated"].to_numpy())
    return rows.assign(predicted=mapping(rows[score].to_numpy()))


def with_stored(table: pd.DataFrame, stored: pd.DataFrame) -> pd.DataFrame:
    """`table` of `scores` and the rows of stored predictors, on the sessions and folds of its head.

    `way` STORED has a predictor's scores as they are, MAPPED after the first-order mapping of the
    sessions that the fold does not test.

    Raises:
        ValueError: a session without a stored score, or one under another content.
    """
    if stored.empty:
        return table
    first = table.iloc[0]
    base = table[(table["model"] == first["model"]) & (table["seed"] == first["seed"])]
    low, span = base["label_low"], base["label_high"] - base["label_low"]
    units = base[LABELS].mul(span, axis=0).add(low, axis=0)
    # in rating units, so that equal scores stay equal whatever the fold
    base = base.assign(**units, label_low=0.0, label_high=1.0, seed=0)
    base = base.astype({"session": str, "content": str})
    found = [table]
    for model, of_model in stored.groupby("model", sort=False):
        score = of_model.rename(columns={"predicted": "score"})[["session", "content", "score"]]
        rows = base.merge(score, how="left", validate="many_to_one")
        absent = rows.loc[rows["score"].isna(), "session"].unique()
        if absent.size:
            raise ValueError(
                f"{model} has no stored score of {absent[0]} with its content ({absent.size} of "
                f"{rows['session'].nunique()} sessions), expected one each; are they of one data "
                "set?"
            )
        mapped = [_mapped(fold, "score", "train", "validation") for _, fold in rows.groupby("fold")]
        raw = rows.assign(predicted=rows["score"], model=model, way=STORED)
        fitted = pd.concat(mapped).assign(model=f"{model}, mapped", way=MAPPED)
        found += [scored.drop(columns="score").assign(base=model) for scored in (raw, fitted)]
    return pd.concat(found, ignore_index=True)
