"""What can be claimed and what not: one generated sentence per data set, split and target.

Made from tables of `tables.results` alone, from the 95 % intervals of paired differences over whole
contents: an interval that covers 0 reads "no evidence". Differences are in the units of print, RMSE
times 100, model minus reference. Holm's correction is over the models of one metric. The best
baseline was chosen on the sessions it is compared on, which favours the baseline.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from qoe_core.models.variants import OURS
from qoe_core.predictions import TRACE_MEAN
from qoe_core.statistics import better
from qoe_core.tables import TITLES, printed

METRICS = ("plcc", "srocc", "rmse")
LEVEL = 0.05  # of Holm's adjusted p
FEW = 5  # contents up to which a sentence warns; see `bootstrap` for what such intervals cover
IDENTITY = ["dataset", "split", "target"]


def network_claims(table: pd.DataFrame) -> pd.DataFrame:
    """The dual-stage network, OURS, against the reference of each metric.

    Args:
        table: `tables.results` against the best baseline, of one or several data sets.

    Returns:
        Columns IDENTITY and sentence.
    """
    return _sentences(table, f"{OURS} ({{}}) against the best baseline of each metric", _of_network)


def model_claims(table: pd.DataFrame) -> pd.DataFrame:
    """Every other model against the dual-stage network.

    Args:
        table: `tables.results` with OURS as reference, of one or several data sets; where OURS is
            no model of it, the sentence says that nothing was compared.

    Returns:
        Columns IDENTITY and sentence.

    Raises:
        ValueError: a model was compared with another reference.
    """
    others = sorted({*table["reference"]} - {OURS, ""})
    if others:
        raise ValueError(
            f"the table compares with {others}, expected with {OURS!r} alone; was `tables.results` "
            "called without this reference?"
        )
    return _sentences(table, f"every model against {OURS} ({{}})", _of_models)


def _sentences(
    table: pd.DataFrame, subject: str, clause: Callable[[pd.DataFrame], str]
) -> pd.DataFrame:
    test = table[(table["part"] == "test") & table["metric"].isin(METRICS)]
    rows = [
        (*names, f"{', '.join(names[:2])}, {names[2]} QoE, {_rest(block, subject, clause)}.")
        for names, block in test.groupby(IDENTITY, sort=False)
    ]
    return pd.DataFrame(rows, columns=[*IDENTITY, "sentence"])


def _rest(block: pd.DataFrame, subject: str, clause: Callable[[pd.DataFrame], str]) -> str:
    """A sentence behind the name of what it is about: counts, then a clause per metric."""
    network, contents = block[block["model"] == OURS], block["contents"].max()
    counts = f"{_count(block['n'].max(), 'test session')} of {_count(contents, 'content')}"
    if network.empty:
        return f"{counts}: {OURS} is not among the models, so nothing can be claimed of it"
    head = f"{counts}, {subject.format(_count(network['seeds'].max(), 'seed'))}"
    if contents < 2:
        return f"{head}: a single content has no interval, so nothing can be claimed"
    clauses = [
        f"{TITLES[metric]}: {clause(block[block['metric'] == metric])}"
        for metric in METRICS
        if metric in set(block["metric"])
    ]
    if contents <= FEW:
        clauses.append(f"the intervals rest on only {contents} contents and are too narrow")
    return f"{head}: {'; '.join(clauses)}"


def _of_network(rows: pd.DataFrame) -> str:
    """What one metric says of the network."""
    (row,) = rows[rows["model"] == OURS].to_dict("records")
    if np.isnan(row["diff_mean"]):
        return "no difference is defined, so nothing can be claimed"
    verdict = better(row["diff_low"], row["diff_high"], row["metric"])
    word = {"no evidence": "no evidence of a difference from"}.get(verdict, f"{verdict} than")
    (reference,) = rows[rows["model"] == row["reference"]].to_dict("records")
    found = f"{word} {_named(reference)} ({_count(reference['seeds'], 'seed')}), {_difference(row)}"
    if row["undefined"]:
        found += f", {row['undefined']} of the network's scores undefined and left out"
    if verdict == "no evidence":
        return found
    survives = "also" if row["p_holm"] < LEVEL else "but not"
    return f"{found}, {survives} after Holm over {_count(rows['p_holm'].count(), 'model')}"


def _of_models(rows: pd.DataFrame) -> str:
    """What one metric says of every model but the network, by verdict."""
    said: dict[str, list[str]] = {"better": [], "worse": [], "no evidence": [], "undefined": []}
    for row in rows[rows["model"] != OURS].to_dict("records"):
        if np.isnan(row["diff_mean"]):
            said["undefined"].append(_named(row))
            continue
        verdict = better(row["diff_low"], row["diff_high"], row["metric"])
        lost = verdict != "no evidence" and row["p_holm"] >= LEVEL
        said[verdict].append(f"{_named(row)} (not after Holm)" if lost else _named(row))
    named = [f"{verdict} {', '.join(models)}" for verdict, models in said.items() if models]
    return " | ".join(named) or "no other model"


def _named(row: dict) -> str:
    """The model without a comma, which separates models."""
    return row["model"].replace(TRACE_MEAN, " by trace mean")


def _difference(row: dict) -> str:
    factor, digits = printed(row["metric"])
    mean, low, high = (
        _digits(row[name] * factor, digits) for name in ("diff_mean", "diff_low", "diff_high")
    )
    return f"difference {mean} [{low}, {high}]"


def _digits(value: float, digits: int) -> str:
    """Rounded, but never to 0: a bound beside 0 is to be seen on its side of it."""
    text = f"{value:.{digits}f}"
    return text if float(text) or not value else f"{value:.1g}"


def _count(number: int | np.integer, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
