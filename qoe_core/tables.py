"""Results as tables: every number with its split, aggregation, n, undefined count and interval.

Intervals are 95 %, from one set of 10,000 draws of whole contents, so differences are paired.
"""

from collections.abc import Iterable, Sequence
from importlib import resources

import numpy as np
import pandas as pd

from qoe_core import runs
from qoe_core.blocks import Block, continuous_blocks, overall_blocks
from qoe_core.bootstrap import interval
from qoe_core.metrics import DIRECTION
from qoe_core.models.variants import OURS
from qoe_core.predictions import TRACE_MEAN
from qoe_core.statistics import better, holm

PARTS = ("train", "validation", "test")
BEST_BASELINE = "best baseline"  # of a metric, among the models that are not OURS
COLUMNS = [  # of the exported CSV
    *("dataset", "split", "target", "model", "part", "metric", "seeds", "n", "undefined"),
    *("mean", "low", "high", "median", "sd", "diff_mean", "diff_low", "diff_high"),
]
COMPARISON = ["contents", "reference", "p", "p_holm", "verdict"]  # further columns of `results`
COMPARED = ["target", "metric", "model", "reference", "n", *COLUMNS[-3:], *COMPARISON[2:]]
TITLES = {
    "plcc": "PLCC",
    "srocc": "SROCC",
    "krocc": "KROCC",
    "rmse": "RMSE x100",
    "rmse_star": "RMSE* x100",
    "or_half": "OR (half CI)",
    "or_full": "OR (full CI)",
}
PERCENT = ("rmse", "rmse_star")  # printed times 100
MARKS = {"P": "read at the source", "S": "quoted by another document", "R": "recalled, unverified"}


def results(
    study: str,
    dataset: str,
    split: str,
    models: Sequence[str],
    reference: str = BEST_BASELINE,
    parts: Sequence[str] = PARTS,
) -> pd.DataFrame:
    """One row per target, model, part and metric with COLUMNS and COMPARISON.

    The test part compares every model with the reference: paired difference, Holm-adjusted p over
    the models of the metric, and "better" or "worse" only where the interval excludes 0. The
    reference is one of `models`, or the best baseline of each metric, which is never a row of OURS.
    A metric that the reference has no value of is not compared.

    Raises:
        ValueError: the reference is not among the models, or a baseline is asked for and there is
            none; an experiment has not been run; models were tested on different sessions.
    """
    _check_reference(models, reference)
    asked = study, dataset, split, models
    scores = runs.load(*asked, "scores", filters=[("part", "in", parts), ("from_second", "==", 0)])
    overall = runs.load(*asked, "overall")  # of all parts, whose ratings make the scale
    rows = []
    for part in parts:
        for block in [*continuous_blocks(scores, part), *overall_blocks(overall, part)]:
            rows += _rows(block, reference)
    table = pd.DataFrame(rows).assign(dataset=dataset, split=split)[[*COLUMNS, *COMPARISON]]
    order = table["model"].map(lambda name: models.index(name.removesuffix(TRACE_MEAN)))
    return table.iloc[np.argsort(order, kind="stable")].reset_index(drop=True)


def _check_reference(models: Sequence[str], reference: str) -> None:
    if reference == BEST_BASELINE and all(_is_ours(model) for model in models):
        raise ValueError(
            f"models are {list(models)}, all of them rows of {OURS}, expected a baseline too; "
            "is one of them to be the reference?"
        )
    if reference not in (BEST_BASELINE, *models):
        raise ValueError(
            f"reference is {reference!r}, expected {BEST_BASELINE!r} or one of {list(models)}; "
            "is its row missing from the models?"
        )


def _is_ours(model: str) -> bool:
    return model.startswith(OURS)


def _rows(block: Block, reference: str) -> list[dict[str, object]]:
    bounds = interval(block.estimate)
    rows = [
        {
            "target": block.target,
            "model": model,
            "part": block.part,
            "metric": block.metric,
            "seeds": block.seeds[i],
            "n": block.n[i],
            "contents": block.n_contents,
            "undefined": block.summaries[i].undefined,
            "mean": bounds.value[i],
            "low": bounds.low[i],
            "high": bounds.high[i],
            "median": block.summaries[i].median,
            "sd": block.summaries[i].sd,
            **dict.fromkeys(("diff_mean", "diff_low", "diff_high", "p", "p_holm"), np.nan),
            **dict.fromkeys(("reference", "verdict"), ""),
        }
        for i, model in enumerate(block.models)
    ]
    if block.part == "test":
        _compare(block, rows, reference)
    return rows


def _compare(block: Block, rows: list[dict[str, object]], reference: str) -> None:
    """Add the paired differences from the reference to the rows of every other model."""
    eligible = [
        not _is_ours(model) if reference == BEST_BASELINE else model == reference
        for model in block.models
    ]
    means = np.where(eligible, block.estimate.value * DIRECTION[block.metric], np.nan)
    if np.isnan(means).all():
        return
    best = int(np.nanargmax(means))
    bounds = interval(block.differences(best))
    others = [i for i in range(len(rows)) if i != best and not np.isnan(bounds.value[i])]
    adjusted = holm(bounds.p[others]) if others else []
    for i, p_holm in zip(others, adjusted, strict=True):
        rows[i] |= {
            "diff_mean": bounds.value[i],
            "diff_low": bounds.low[i],
            "diff_high": bounds.high[i],
            "reference": block.models[best],
            "p": bounds.p[i],
            "p_holm": p_holm,
            "verdict": better(bounds.low[i], bounds.high[i], block.metric),
        }


def wide(table: pd.DataFrame, target: str, part: str) -> pd.DataFrame:
    """Models down, metrics across, each cell "mean [low, high]"; then n, undefined and seeds.

    Models are in the order of `table`. RMSE and RMSE* are times 100. `undefined` is of PLCC.
    """
    chosen = table[(table["target"] == target) & (table["part"] == part)]
    metrics = [metric for metric in TITLES if metric in set(chosen["metric"])]
    rows = {}
    for model, of_model in chosen.groupby("model", sort=False, observed=True):
        by_metric = of_model.set_index("metric")
        counts = by_metric.loc["plcc", ["n", "undefined", "seeds"]].astype(int)
        cells = {TITLES[metric]: _cell(by_metric.loc[metric], metric) for metric in metrics}
        rows[model] = {**cells, **counts}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("model")


def _cell(row: pd.Series, metric: str) -> str:
    if np.isnan(row["mean"]):
        return "undefined"
    factor, digits = printed(metric)
    mean, low, high = (f"{row[name] * factor:.{digits}f}" for name in ("mean", "low", "high"))
    return f"{mean} [{low}, {high}]"


def printed(metric: str) -> tuple[int, int]:
    """What a metric is multiplied with for print, and its digits."""
    return (100, 2) if metric in PERCENT else (1, 3)


def spread(table: pd.DataFrame, target: str, metric: str) -> pd.DataFrame:
    """Mean, median and SD of one metric, train beside test; models down as in `table`."""
    chosen = table[(table["target"] == target) & (table["metric"] == metric)]
    columns = {
        f"{part} {name}": chosen[chosen["part"] == part].set_index("model")[name]
        for part in PARTS
        for name in ("mean", "median", "sd")
    }
    defined = (pd.DataFrame(columns) * printed(metric)[0]).dropna(axis=1, how="all")
    return defined.reindex(chosen["model"].unique()).rename_axis("model")


def caption(table: pd.DataFrame, target: str, part: str) -> str:
    """What a reader must know of a table: data, split, part, aggregation, sessions and seeds."""
    chosen = table[(table["target"] == target) & (table["part"] == part)]
    how = {
        "continuous": "mean over sessions of the metric per session",
        "overall": "metric over sessions, mean over seeds",
    }[target]
    return (
        f"{chosen['dataset'].iloc[0]}, split {chosen['split'].iloc[0]}, {part} part, "
        f"{target} QoE: {how}; {chosen['n'].max()} sessions, up to {chosen['seeds'].max()} seeds; "
        f"95 % intervals from 10,000 draws of {chosen['contents'].max()} whole contents; "
        "labels on [0, 1]"
    )


def as_text(table: pd.DataFrame, target: str, part: str) -> str:
    """`wide` under its caption, as plain text."""
    return f"{caption(table, target, part)}\n{wide(table, target, part).to_string()}"


def published(dataset: str) -> pd.DataFrame:
    """What papers report for a data set, with the mark that says how far it was verified.

    Columns: model, plcc, srocc, rmse (x100), aggregation, split, mark (a key of MARKS), source.
    """
    path = resources.files("qoe_core") / "published.csv"
    with path.open() as file:
        table = pd.read_csv(file, comment="#", dtype={"note": str})
    chosen = table[table["dataset"] == dataset].fillna({"note": ""})
    return chosen.drop(columns=["dataset"]).reset_index(drop=True)


def as_latex(table: pd.DataFrame, note: str) -> str:
    """A booktabs tabular with `note` as its first line, a comment; text is escaped."""
    plain = table.reset_index()
    lines = [
        f"% {note}",
        rf"\begin{{tabular}}{{l{'r' * (len(plain.columns) - 1)}}}",
        r"\toprule",
        _latex_row(plain.columns),
        r"\midrule",
        *(_latex_row(row) for row in plain.itertuples(index=False)),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def _latex_row(cells: Iterable[object]) -> str:
    escaped = str.maketrans({c: rf"\{c}" for c in "&%$#_{}"})
    texts = (f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in cells)
    return " & ".join(text.translate(escaped) for text in texts) + r" \\"
