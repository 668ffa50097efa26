"""One metric of one part for several models, with its draws: what a row of a table is made of.

Continuous QoE: a metric per session, averaged over the folds and seeds of that session, then over
sessions. Overall QoE: a metric over all sessions of a part, averaged over folds and seeds; labels
of all folds are brought to the range of the rated scores first.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from qoe_core.bootstrap import ContentDraws, Estimate, draw_contents, mean_estimate
from qoe_core.metrics import METRICS
from qoe_core.resampled_metrics import metric_estimates
from qoe_core.statistics import Aggregate, aggregate

LABELS = ["predicted", "rated", "ci_low", "ci_high"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Block:
    """One metric of one part; the sequences run over models."""

    target: str
    part: str
    metric: str
    models: Sequence[str]
    seeds: Sequence[int]
    n: Sequence[int]  # sessions
    n_contents: int
    summaries: Sequence[Aggregate]  # over sessions, or for overall QoE over folds and seeds
    estimate: Estimate
    differences: Callable[[int], Estimate]  # from the model of that index, paired


def continuous_blocks(scores: pd.DataFrame, part: str, from_second: int = 0) -> Iterator[Block]:
    """A block per metric over the sessions of `part`, from the scores tables of several models.

    Raises:
        ValueError: models were tested on different sessions, or a session in several folds.
    """
    _check_tested_once(scores, "from_second", "metric")
    chosen = scores[(scores["part"] == part) & (scores["from_second"] == from_second)]
    seeds = chosen.groupby("model", observed=True)["seed"].nunique()
    for metric in METRICS:
        of_metric = chosen[chosen["metric"] == metric]
        if of_metric.empty:
            continue
        grouped = of_metric.groupby(["model", "session"], observed=True)["value"]
        # a session that any run leaves undefined is undefined
        means = grouped.mean().where(grouped.count() == grouped.size())
        present = grouped.size().unstack("session").notna()
        if part == "test":
            _check_same_sessions(present)
        matrix = means.unstack("session").reindex_like(present)
        content = of_metric.groupby("session", observed=True)["content"].first()
        yield _continuous_block(part, metric, matrix, present, content, seeds)


def _continuous_block(
    part: str,
    metric: str,
    matrix: pd.DataFrame,
    present: pd.DataFrame,
    content: pd.Series,
    seeds: pd.Series,
) -> Block:
    draws = draw_contents(content[matrix.columns].tolist())
    values, masks = matrix.to_numpy(), present.to_numpy()
    return Block(
        target="continuous",
        part=part,
        metric=metric,
        models=list(matrix.index),
        seeds=[int(seeds[model]) for model in matrix.index],
        n=[int(mask.sum()) for mask in masks],
        n_contents=content.nunique(),
        summaries=[aggregate(row[mask]) for row, mask in zip(values, masks, strict=True)],
        estimate=mean_estimate(values, draws),
        differences=lambda best: mean_estimate(values - values[best], draws),
    )


def overall_blocks(overall: pd.DataFrame, part: str) -> Iterator[Block]:
    """A block per metric over the sessions of `part`, from the overall tables of several models.

    A fold tests and validates on few contents, so those sessions are scored over all folds of a
    seed together; training sessions are scored fold by fold. One set of draws serves all of them.

    Raises:
        ValueError: models were tested on different sessions, or a session in several folds.
    """
    _check_tested_once(overall)
    chosen = on_one_scale(overall)
    chosen = chosen[chosen["part"] == part]
    if chosen.empty:
        return
    if part == "test":
        pairs = chosen.groupby(["model", "session"], observed=True)
        _check_same_sessions(pairs.size().unstack("session").notna())
    contents = sorted(chosen["content"].unique())
    draws = draw_contents(contents)
    runs = ["model", "seed", "fold"] if part == "train" else ["model", "seed"]
    found: dict[str, dict[str, _Average]] = {}
    for (model, *_), run in chosen.groupby(runs, observed=True):
        member = draws.member[np.searchsorted(contents, run["content"].astype(str))]
        for metric, estimate in _run_estimates(run, replace(draws, member=member)).items():
            average = found.setdefault(metric, {}).setdefault(model, _Average(len(draws.counts)))
            average.add(estimate)
    by_model = chosen.groupby("model", observed=True)
    seeds, sessions = by_model["seed"].nunique(), by_model["session"].nunique()
    for metric, runs_of in found.items():
        stacked = _side_by_side(runs_of.values())
        yield Block(
            target="overall",
            part=part,
            metric=metric,
            models=list(runs_of),
            seeds=[int(seeds[model]) for model in runs_of],
            n=[int(sessions[model]) for model in runs_of],
            n_contents=len(contents),
            summaries=[aggregate(np.array(average.values)) for average in runs_of.values()],
            estimate=stacked,
            differences=stacked.against,
        )


def on_one_scale(overall: pd.DataFrame) -> pd.DataFrame:
    """`overall` with the labels of every fold mapped to the range of all rated scores."""
    if overall.empty:
        return overall
    low, span = overall["label_low"], overall["label_high"] - overall["label_low"]
    units = overall[LABELS].mul(span, axis=0).add(low, axis=0)
    lowest, highest = units["rated"].min(), units["rated"].max()
    return overall.assign(**(units - lowest) / (highest - lowest))


def _check_tested_once(table: pd.DataFrame, *further: str) -> None:
    """Refuse folds that overlap: one session would count as often as it is tested."""
    tested = table[table["part"] == "test"]
    again = tested[tested.duplicated(["model", "seed", "session", *further])]
    if len(again):
        first = again.iloc[0]
        raise ValueError(
            f"{first['session']} is tested in several folds by {first['model']}, seed "
            f"{first['seed']}, again in {first['fold']}; expected one fold for each session, do "
            "folds overlap, as the trials of video-atlas do? Score each of them alone"
        )


def _check_same_sessions(present: pd.DataFrame) -> None:
    """Refuse what cannot be paired; `present` has models down and sessions across."""
    if not present.to_numpy().all():
        raise ValueError(
            f"models were tested on different sessions: {present.sum(axis=1).to_dict()} of "
            f"{present.shape[1]}; are some tables from other data?"
        )


def _run_estimates(run: pd.DataFrame, draws: ContentDraws) -> dict[str, Estimate]:
    predicted, rated, low, high = run[LABELS].to_numpy(float).T
    half_width = None if np.isnan(low).any() else (high - low) / 2
    return metric_estimates(predicted[None], rated, draws, half_width)


class _Average:
    """The mean over the runs of a model, of which none is kept: they may be thousands.

    A draw in which a run is undefined, such as one without contents of its fold, leaves it out.
    """

    def __init__(self, n_draws: int):
        self.values: list[float] = []  # of the runs
        self.total = np.zeros(n_draws)
        self.n_defined = np.zeros(n_draws)

    def add(self, run: Estimate) -> None:
        """One more run."""
        drawn = run.drawn[:, 0]
        defined = ~np.isnan(drawn)
        self.values.append(run.value[0])
        self.total += np.where(defined, drawn, 0.0)
        self.n_defined += defined


def _side_by_side(averages: Iterable[_Average]) -> Estimate:
    """One model a column; NaN where no run of it is defined."""
    averages = list(averages)
    with np.errstate(invalid="ignore"):  # 0 / 0
        drawn = np.stack([average.total / average.n_defined for average in averages], axis=1)
    return Estimate(value=np.array([np.mean(a.values) for a in averages]), drawn=drawn)
