"""How well overall QoE is predicted: heads against pooled traces, models against stored predictors.

Tables are made from `overall_scores`. Stored predictors keep their scores as they are for
correlations; each has a scale of its own, so their RMSE is that after the first-order mapping of
the sessions that the fold does not test. Intervals are 95 %, from draws of whole contents, and
differences are paired, as in `tables`.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from qoe_core.blocks import LABELS, Block, overall_blocks
from qoe_core.bootstrap import ContentDraws, Estimate, draw_contents, interval
from qoe_core.datasets.p1203 import SCALE
from qoe_core.mappings import first_order
from qoe_core.metrics import DIRECTION
from qoe_core.models.table_rows import BLIND
from qoe_core.overall_scores import HEAD, LAST, MAPPED, MEAN, PEAK_END, STORED
from qoe_core.resampled_metrics import metric_estimates
from qoe_core.statistics import better, holm
from qoe_core.tables import TITLES, printed

METRICS = ("plcc", "srocc", "krocc", "rmse")
RULE_METRICS = ("rmse", "rmse_star", "plcc", "srocc")  # of P.1203's own table, in its order
BEST_STORED = "best stored"  # of a metric, among the stored predictors
COLUMNS = [
    *("dataset", "split", "target", "part", "model", "base", "way", "metric", "seeds", "n"),
    *("contents", "undefined", "mean", "low", "high"),
]
COMPARED = [
    *("dataset", "split", "metric", "base", "way", "against", "reference", "n", "contents"),
    *("diff_mean", "diff_low", "diff_high", "p", "p_holm", "verdict"),
]


def results(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Metrics of every row of a scores table on the test part, and paired differences of rows.

    The first table has COLUMNS, models in the order of `table`, and goes through `tables.wide`.
    The second has COMPARED: each pooling against the head and the trace mean of its model, and
    each head and trace mean against the best stored predictor of the metric. Holm over what is
    held against the same; "better" only where the interval excludes 0, no verdict where a row is
    undefined.

    Raises:
        ValueError: rows were tested on different sessions.
    """
    known = table.drop_duplicates("model").set_index("model")[["base", "way"]]
    place = {model: at for at, model in enumerate(known.index)}
    values, differences = [], []
    for block in overall_blocks(table, "test"):
        if block.metric in METRICS:
            rows = _rows(block).join(known, on="model")
            rows = rows.iloc[np.argsort(rows["model"].map(place))]
            rows = rows[rows["way"] != (STORED if block.metric == "rmse" else MAPPED)]
            stored = rows["way"].isin([STORED, MAPPED])
            rows.loc[stored, "way"], rows.loc[stored, "model"] = STORED, rows["base"]
            values.append(rows)
            differences += _differences(block, rows)
    identity = {name: str(table[name].iloc[0]) for name in COLUMNS[:2]}
    measured = pd.concat(values).assign(**identity, target="overall", part="test")
    order = np.argsort(measured["model"].map(place), kind="stable")
    measured = measured.iloc[order].reset_index(drop=True)
    compared = pd.DataFrame(differences, columns=COMPARED[2:]).assign(**identity)
    families = compared[compared["p"].notna()].groupby(["metric", "against"])["p"]
    compared["p_holm"] = families.transform(lambda p: holm(p.to_numpy()))
    return measured[COLUMNS], compared[COMPARED]


def _rows(block: Block) -> pd.DataFrame:
    bounds = interval(block.estimate)
    columns = {
        "model": block.models,
        "metric": block.metric,
        "seeds": block.seeds,
        "n": block.n,
        "contents": block.n_contents,
        "undefined": [summary.undefined for summary in block.summaries],
        "mean": bounds.value,
        "low": bounds.low,
        "high": bounds.high,
    }
    return pd.DataFrame(columns)


def _differences(block: Block, rows: pd.DataFrame) -> list[dict[str, object]]:
    """COMPARED of one metric; the index of `rows` is a row's place in the block."""
    pairs = _pairs(rows, DIRECTION[block.metric])
    if not pairs:
        return []
    first, second = (np.array(side) for side in list(zip(*pairs, strict=True))[:2])
    value, drawn = block.estimate.value, block.estimate.drawn
    bounds = interval(
        Estimate(value=value[first] - value[second], drawn=drawn[:, first] - drawn[:, second])
    )
    return [
        {
            **rows.loc[i, ["metric", "base", "way", "n", "contents"]],
            "against": against,
            "reference": rows.loc[j, "model"],
            "diff_mean": bounds.value[at],
            "diff_low": bounds.low[at],
            "diff_high": bounds.high[at],
            "p": bounds.p[at],
            "verdict": ""
            if np.isnan(bounds.value[at])
            else better(bounds.low[at], bounds.high[at], block.metric),
        }
        for at, (i, j, against) in enumerate(pairs)
    ]


def _pairs(rows: pd.DataFrame, direction: int) -> list[tuple[int, int, str]]:
    """Places of what is compared and of what it is held against, and what that is called."""
    place = {(row.base, row.way): row.Index for row in rows.itertuples()}
    pairs = [
        (at, place[base, other], other)
        for (base, way), at in place.items()
        for other in (HEAD, MEAN)
        if way in (MEAN, LAST, PEAK_END) and way != other and (base, other) in place
    ]
    stored = rows.loc[rows["way"] == STORED, "mean"].dropna() * direction
    if len(stored):
        best = int(stored.idxmax())
        ours = [at for (_, way), at in place.items() if way in (HEAD, MEAN)]
        pairs += [(at, best, BEST_STORED) for at in ours]
    return pairs


def claim(measured: pd.DataFrame, compared: pd.DataFrame, metric: str = "plcc") -> str:
    """One sentence on what the intervals of one metric allow to say, models counted.

    Rows of BLIND, which never look at a session, do not count. Where there is no evidence the
    differences that are not excluded stand beside the count: no evidence is not equality.
    """
    first = measured.iloc[0]
    chosen = compared[(compared["metric"] == metric) & ~compared["base"].isin(BLIND)]
    said = [
        _count(rows, way, against, metric)
        for (way, against), rows in chosen.groupby(["way", "against"], sort=False)
    ]
    return (
        f"{first['dataset']}, {first['split']}, {first['n']} test sessions of {first['contents']} "
        f"contents, overall {TITLES[metric]}: "
        + ("; ".join(said) or "no model has a trace and no score is stored, nothing is compared")
        + "."
    )


def _count(rows: pd.DataFrame, way: str, against: str, metric: str) -> str:
    held = against
    if against == BEST_STORED:
        held += f" predictor, {rows['reference'].iloc[0]},"
    number = {verdict: (rows["verdict"] == verdict).sum() for verdict in ("better", "worse", "")}
    said = (
        f"{way} better than {held} in {number['better']} of {len(rows)} models, worse in "
        f"{number['worse']}"
    )
    unclear = rows[rows["verdict"] == "no evidence"]
    if len(unclear):
        factor, digits = printed(metric)
        low, high = unclear["diff_low"].min() * factor, unclear["diff_high"].max() * factor
        open_range = f"{low:+.{digits}f} to {high:+.{digits}f}"
        said += f", no evidence in {len(unclear)} ({open_range} not excluded)"
    return said + (f", undefined in {number['']}" if number[""] else "")


def repository_rule(table: pd.DataFrame) -> pd.DataFrame:
    """P.1203's protocol for heads and stored predictors: a mapping each data base, then the mean.

    For each context (pc, mobile) and data base the test scores, means over seeds, are mapped by
    the first-order mapping of those very scores, so that all numbers flatter, clipped to the
    opinion scale and measured; the rows are the plain means over data bases, in opinion units.
    Intervals draw whole contents, the mappings kept. Columns model, context, metric, n, mean, low,
    high.

    Source: README.md of the open data set, itu-p1203/open-dataset.
    """
    tested = table[(table["part"] == "test") & table["way"].isin([HEAD, STORED])]
    low, span = tested["label_low"], tested["label_high"] - tested["label_low"]
    units = tested[LABELS].mul(span, axis=0).add(low, axis=0)
    names = tested["session"].astype(str)
    units = units.assign(
        model=tested["model"],
        session=names,
        content=tested["content"].astype(str),
        database=names.str.partition("_")[0],
        context=names.str.rpartition("_")[2],
    )
    key = ["model", "context", "database", "session", "content"]
    means = units.groupby(key, sort=False)[LABELS].mean().reset_index()
    contents = sorted(means["content"].unique())
    draws = draw_contents(contents)
    found = []
    for (model, context), rows in means.groupby(["model", "context"], sort=False):
        by_database = [
            _database_estimates(of_database, contents, draws)
            for _, of_database in rows.groupby("database")
        ]
        for metric in RULE_METRICS:
            drawn = np.ma.masked_invalid([each[metric].drawn for each in by_database])
            value = np.mean([each[metric].value for each in by_database], axis=0)
            bounds = interval(Estimate(value=value, drawn=drawn.mean(0).filled(np.nan)))
            found.append((model, context, metric, len(rows), *value, *bounds.low, *bounds.high))
    return pd.DataFrame(found, columns=["model", "context", "metric", "n", "mean", "low", "high"])


def _database_estimates(
    rows: pd.DataFrame, contents: Sequence[str], draws: ContentDraws
) -> dict[str, Estimate]:
    predicted, rated, low, high = rows[LABELS].to_numpy().T
    fitted = np.clip(first_order(predicted, rated)(predicted), *SCALE)
    member = draws.member[np.searchsorted(contents, rows["content"])]
    return metric_estimates(fitted[None], rated, replace(draws, member=member), (high - low) / 2)
