"""All models on all data sets and splits in one table, beside what papers report; and per content.

A variant is "<dataset>--<split>". Every number stands beside its split. A reported number is of
another protocol unless its split and aggregation are known to be those of the row and its note says
nothing else; even then it may come from other features. RMSE is times 100 where printed.
"""

from collections.abc import Sequence

import pandas as pd
import yaml

from qoe_core import paths, runs, tables
from qoe_core.models.variants import OURS

METRICS = ("plcc", "srocc", "rmse")
REPORTED = ["reported_model", "mark", "protocol", "reported_split", "reported_aggregation", "note"]
COLUMNS = [
    *("dataset", "split", "target", "model", "metric", "mean", "low", "high", "n", "undefined"),
    *("seeds", "contents", "reported", *REPORTED),
]
CONTENT_COLUMNS = [
    *("dataset", "split", "model", "content", "metric", "mean", "n", "undefined", "seeds")
]
SAME, OTHER = "same protocol", "other protocol"
OUR_WORDS = {  # our split and target in the words of published.csv: split, aggregation, no note
    ("released", "continuous"): ("released folds", "mean over videos", ""),
}
REPORTED_AS = {  # other rows carry the name of what they re-implement, "lstm_qoe" of LSTM-QoE
    "narx": "NARX-QoE",
    "tcn": "CNN-QoE",  # with the deviations that `models.tcn` lists
    OURS: "Dual-stage attention (Jia 2024)",
    f"{OURS}-paper": "Dual-stage attention (Jia 2024)",
}


def variant_models(variant: str) -> list[str]:
    """The rows of a variant's results table, from params/03_results--<variant>.yaml.

    Raises:
        ValueError: there is no such file.
    """
    stem = "03_results--"
    path = paths.PARAMS / f"{stem}{variant}.yaml"
    known = sorted(found.stem.removeprefix(stem) for found in paths.PARAMS.glob(f"{stem}*.yaml"))
    if variant not in known:
        raise ValueError(f"variant is {variant!r}, expected one of {known}; a misspelling?")
    return yaml.safe_load(path.read_text())["models"]


def names(variant: str) -> tuple[str, str]:
    """Data set and split of a variant."""
    dataset, _, split = variant.partition("--")
    return dataset, split


def collected(
    study: str, variants: Sequence[str], reference: str = tables.BEST_BASELINE
) -> pd.DataFrame:
    """`tables.results` of every variant on its test part, one below the other.

    Raises:
        ValueError: as `variant_models` and `tables.results`.
    """
    found = [
        tables.results(study, *names(variant), variant_models(variant), reference, ["test"])
        for variant in variants
    ]
    return pd.concat(found, ignore_index=True)


def peer_table(results: pd.DataFrame) -> pd.DataFrame:
    """One row per data set, split, target, model and metric of METRICS, with COLUMNS.

    In the order of `results`, of the test part; behind each split and target come the models that
    papers report and that have no row here, with nothing but the reported number.
    """
    test = results[(results["part"] == "test") & results["metric"].isin(METRICS)]
    blocks = []
    for key, block in test.groupby(["dataset", "split", "target"], sort=False):
        reported = _reported(*key)
        by_model = {_plain(name): name for name in reported["reported_model"].unique()}
        counterpart = [REPORTED_AS.get(m, by_model.get(_plain(m))) for m in block["model"]]
        beside = block.assign(reported_model=counterpart)
        joined = beside.merge(reported, on=["reported_model", "metric"], how="left")
        alone = reported[~reported["reported_model"].isin(counterpart)]
        identity = dict(zip(("dataset", "split", "target"), key, strict=True))
        blocks += [joined, alone.assign(**identity, model=alone["reported_model"])]
    table = pd.concat([block for block in blocks if len(block)], ignore_index=True)[COLUMNS]
    texts = {column: table[column].where(table["reported"].notna(), "") for column in REPORTED}
    return table.assign(**texts)


def _plain(name: str) -> str:
    return name.lower().replace("_", "-")


def _reported(dataset: str, split: str, target: str) -> pd.DataFrame:
    """What papers report, one row per model and metric; errors as shares like ours."""
    published = tables.published(dataset)
    published = published[published["task"] == target]
    ours = OUR_WORDS.get((split, target))
    theirs = zip(*(published[name] for name in ("split", "aggregation", "note")), strict=True)
    protocol = [SAME if words == ours else OTHER for words in theirs]
    renamed = published.assign(protocol=protocol).rename(
        columns={
            "model": "reported_model",
            "split": "reported_split",
            "aggregation": "reported_aggregation",
        }
    )
    long = renamed.melt(REPORTED, METRICS, "metric", "reported").dropna(subset=["reported"])
    factors = long["metric"].map(lambda metric: tables.printed(metric)[0]).astype(float)
    return long.assign(reported=long["reported"] / factors)


def wide(table: pd.DataFrame, target: str) -> pd.DataFrame:
    """Models down; for each data set and split the three metrics, and what papers report.

    Cells are "mean [low, high]", the reported ones "PLCC / SROCC / RMSE (mark, protocol)" with a
    dash for what a paper does not say; empty where a model was not run.
    """
    chosen = table[table["target"] == target].assign(part="test")
    blocks = []
    for key, block in chosen.groupby(["dataset", "split"], sort=False):
        ours = tables.wide(block[block["n"].notna()], target, "test")
        found = ours[[title for title in ours.columns if title in tables.TITLES.values()]]
        reported = pd.Series(_reported_cells(block), name="reported", dtype=object)
        joined = found.join(reported, how="outer")
        blocks.append(joined.add_prefix(f"{', '.join(key)}: "))
    frame = pd.concat(blocks, axis=1).reindex(chosen["model"].unique()).fillna("")
    return frame.loc[:, (frame != "").any()].rename_axis("model")


def _reported_cells(block: pd.DataFrame) -> dict[str, str]:
    cells = {}
    for model, rows in block[block["reported"].notna()].groupby("model", sort=False):
        by_metric = rows.set_index("metric")["reported"]
        numbers = []
        for metric in METRICS:
            factor, digits = tables.printed(metric)
            known = metric in by_metric
            numbers.append(f"{by_metric[metric] * factor:.{digits}f}" if known else "-")
        mark, protocol = rows[["mark", "protocol"]].iloc[0]
        cells[model] = f"{' / '.join(numbers)} ({mark}, {protocol})"
    return cells


def caption(table: pd.DataFrame, target: str) -> str:
    """What a reader must know of a target's numbers, with the sessions of every data set."""
    chosen = table[(table["target"] == target) & table["n"].notna()]
    counts = [
        f"{dataset}, {split}: {int(rows['n'].max())} sessions of {int(rows['contents'].max())} "
        f"contents, up to {int(rows['seeds'].max())} seeds"
        for (dataset, split), rows in chosen.groupby(["dataset", "split"], sort=False)
    ]
    marks = "; ".join(f"{mark} = {meaning}" for mark, meaning in tables.MARKS.items())
    return (
        f"{target} QoE, test part, mean [95 % interval over contents]; {'; '.join(counts)}; "
        f"reported as PLCC / SROCC / RMSE x100, {marks}"
    )


def per_content(study: str, variant: str, models: Sequence[str]) -> pd.DataFrame:
    """Each model's continuous metrics on the test sessions of each content, with CONTENT_COLUMNS.

    A session's value is its mean over folds and seeds, and undefined where one of them is; a
    content's is the mean over its defined sessions, NaN without any. `n` counts all sessions.

    Raises:
        ValueError: an experiment has not been run, or none predicts continuous QoE.
    """
    scores = runs.load(study, *names(variant), models, "scores")
    chosen = scores[(scores["part"] == "test") & (scores["from_second"] == 0)]
    if chosen.empty:
        raise ValueError(
            f"{variant}: none of {list(models)} was scored second by second, expected continuous "
            "QoE; has the data set overall scores only?"
        )
    by_session = chosen.groupby(["model", "metric", "content", "session"], observed=True)["value"]
    sessions = by_session.mean().where(by_session.count() == by_session.size())
    by_content = sessions.groupby(["model", "metric", "content"], observed=True)
    table = pd.DataFrame({"mean": by_content.mean(), "n": by_content.size()})
    table["undefined"] = table["n"] - by_content.count()
    seeds = chosen.groupby("model", observed=True)["seed"].nunique()
    dataset, split = names(variant)
    table = table.reset_index().assign(dataset=dataset, split=split)
    table["seeds"] = table["model"].map(seeds).astype(int)
    ordered = table.sort_values(
        "model", key=lambda c: c.astype(str).map(list(models).index), kind="stable"
    )
    return ordered[CONTENT_COLUMNS].reset_index(drop=True)
