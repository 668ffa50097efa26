"""What a number owes to its protocol: the same test sessions scored in two ways, for each subject.

A subject is a key of WAYS. Its pairs table has one row per model, metric and test session: subject,
model, metric, session, content, seeds, first and second (its value in either way, the mean over
folds and seeds; NaN where one of these is undefined) and paired (both ways tested it). `contrast`
turns that into differences, second minus first, whose 95 % intervals resample whole contents.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from qoe_core.blocks import continuous_blocks
from qoe_core.bootstrap import ContentDraws, Estimate, draw_contents, interval, mean_estimate
from qoe_core.predictions import ONSET_S
from qoe_core.session import Session
from qoe_core.statistics import effective_samples, holm, lag1_autocorrelation

WAYS = {  # of scoring, by subject: the first, and the second that is compared with it
    "stopping": ("stopped within the list", "stopped on related videos"),
    "aggregation": ("mean", "median"),
    "onset": ("all seconds", f"from second {ONSET_S}"),
    "outliers": ("above half the CI", "above the full CI"),
    "scale": ("training range", "declared scale"),
    "splits": ("leave-content-out", "random-by-video"),
}
METRICS = ("plcc", "rmse")
OUTLIERS = ("or_half", "or_full")
OUTLIER_RATIO = "or"  # what both of them are called in a pairs table
COLUMNS = [  # of a contrast
    *("subject", "first", "second", "model", "metric", "seeds", "n", "n_tested", "contents"),
    *("undefined", "mean_first", "mean_second", "difference", "low", "high", "p", "p_holm"),
]


def stopping(under: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Pairs of a network that chooses its epoch within the training list, or on related videos.

    `under` holds scores of the same folds by split, errors as of `declared_scale`, since the range
    of the labels includes validation. Within the list validation is taken from training, so
    the network of the second way is trained on more: the difference is that of both together.
    """
    return _pairs("stopping", under["released"], under["released-related"])


def aggregation(scores: pd.DataFrame) -> pd.DataFrame:
    """Pairs of the same scores twice, of which `contrast` takes the mean and the median."""
    return _pairs("aggregation", scores, scores)


def onset(scores: pd.DataFrame) -> pd.DataFrame:
    """Pairs of all seconds, and of those from second ONSET_S on where a session is long enough."""
    late = scores[scores["from_second"] == ONSET_S]
    return _pairs("onset", scores, late.assign(from_second=0))


def outliers(scores: pd.DataFrame) -> pd.DataFrame:
    """Pairs of the outlier ratio above half the width of the rating's 95 % CI, and above all of it.

    Sessions without a CI are not among them.

    Raises:
        ValueError: no session has a CI.
    """
    if not has_outliers(scores):
        raise ValueError(
            f"scores hold {sorted(scores['metric'].unique())}, expected {' and '.join(OUTLIERS)}; "
            "was the data set released without confidence intervals?"
        )
    half, full = (scores[scores["metric"] == m].assign(metric=OUTLIER_RATIO) for m in OUTLIERS)
    return _pairs("outliers", half, full, (OUTLIER_RATIO,))


def has_outliers(scores: pd.DataFrame) -> bool:
    """Whether some session has a CI, without which there is no outlier ratio."""
    return bool(scores["metric"].isin(OUTLIERS).any())


def scale(scores: pd.DataFrame, declared: pd.DataFrame) -> pd.DataFrame:
    """Pairs of the RMSE on labels, and of that on the declared scale (`declared_scale`)."""
    return _pairs("scale", scores, declared, ("rmse",))


def splits(under: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Pairs of the sessions that both leave-content-out and the random draws tested.

    `under` holds scores by split, errors as of `declared_scale`.
    """
    first, second = WAYS["splits"]
    return _pairs("splits", under[first], under[second])


def leakage(under: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Test scores under each split, on all sessions that it tests, models in the order of `under`.

    Columns: split, model, metric, n, undefined, mean, low, high, median.
    """
    rows = []
    for split, scores in under.items():
        for block in continuous_blocks(scores, "test"):
            bounds = interval(block.estimate)
            for model in scores["model"].unique():
                i = block.models.index(model)
                summary, mean = block.summaries[i], (bounds.value[i], bounds.low[i], bounds.high[i])
                counts = (summary.n, summary.undefined)
                rows.append((split, model, block.metric, *counts, *mean, summary.median))
    names = ["split", "model", "metric", "n", "undefined", "mean", "low", "high", "median"]
    return pd.DataFrame(rows, columns=names)


def serial_dependence(sessions: Sequence[Session]) -> pd.DataFrame:
    """Lag-1 autocorrelation of each rated session, and how many independent seconds it leaves.

    Columns: session, n_seconds, lag1 (NaN where the rating is constant), effective.
    """
    rows = []
    for session in sessions:
        lag1 = effective = np.nan
        if np.ptp(session.rated) > 0:
            lag1 = lag1_autocorrelation(session.rated)
            effective = effective_samples(session.n_seconds, lag1)
        rows.append((session.name, session.n_seconds, lag1, effective))
    return pd.DataFrame(rows, columns=["session", "n_seconds", "lag1", "effective"])


def contrast(pairs: pd.DataFrame) -> pd.DataFrame:
    """One row per metric and model with COLUMNS: second minus first over the sessions of `pairs`.

    Both means, for `aggregation` the mean and the median, are over the paired sessions (`n`) that
    both ways define, and `contents` are those of these; `undefined` counts the other paired ones,
    `n_tested` all that either way tested. Holm's correction is over the models of a metric.

    Raises:
        ValueError: the sessions of a model have a single content.
    """
    (subject,) = pairs["subject"].unique()
    rows = []
    for (metric, model), tested in pairs.groupby(["metric", "model"], observed=True):
        pair = tested[tested["paired"]]
        found = {"metric": metric, "model": model, "n": len(pair), "n_tested": len(tested)}
        rows.append(found | {"seeds": tested["seeds"].max()} | _difference(subject, pair))
    table = pd.DataFrame(rows).assign(subject=subject)
    table["first"], table["second"] = WAYS[subject]
    families = table.dropna(subset=["p"]).groupby("metric")["p"]
    table["p_holm"] = families.transform(lambda p: holm(p.to_numpy()))
    return table[COLUMNS]


def _pairs(
    subject: str,
    first: pd.DataFrame,
    second: pd.DataFrame,
    metrics: Sequence[str] = METRICS,
) -> pd.DataFrame:
    """The pairs table of two scores tables, over all seconds, models in the order of `first`."""
    models = list(first["model"].unique())
    alone = sorted({*models} ^ {*second["model"].unique()})
    if alone:
        raise ValueError(f"{subject}: {alone} were scored in one of both ways, expected in both")
    sides = (_by_session(scores[scores["metric"].isin(metrics)]) for scores in (first, second))
    keys = ["metric", "model", "session", "content"]
    joined = pd.merge(*sides, on=keys, how="outer", suffixes=("_first", "_second"), indicator=True)
    pairs = joined[keys].assign(
        subject=subject,
        model=pd.Categorical(joined["model"], models),
        seeds=joined[["seeds_first", "seeds_second"]].max(axis=1).astype(int),
        first=joined["value_first"],
        second=joined["value_second"],
        paired=joined["_merge"] == "both",
    )
    return pairs.sort_values(["metric", "model", "session"], ignore_index=True)


def _by_session(scores: pd.DataFrame) -> pd.DataFrame:
    """A session's value is its mean over folds and seeds; undefined if one of them is."""
    chosen = scores[(scores["part"] == "test") & (scores["from_second"] == 0)]
    grouped = chosen.groupby(["metric", "model", "session", "content"], observed=True)
    value = grouped["value"].mean().where(grouped["value"].count() == grouped.size())
    return pd.DataFrame({"value": value, "seeds": grouped["seed"].nunique()}).reset_index()


def _difference(subject: str, pair: pd.DataFrame) -> dict[str, object]:
    """What a row of `contrast` says of one model and metric; NaN where nothing is defined."""
    defined = pair.dropna(subset=["first", "second"])
    names = ["mean_first", "mean_second", "difference", "low", "high", "p"]
    found = dict.fromkeys(names, np.nan)
    if len(defined):
        draws = draw_contents(defined["content"].tolist())
        values = defined[["first", "second"]].to_numpy(float).T
        estimate = mean_estimate(values, draws)
        if subject == "aggregation":
            estimate = _mean_and_median(values[0], draws)
        bounds = interval(estimate.against(0))
        numbers = (bounds.value[1], bounds.low[1], bounds.high[1], bounds.p[1])
        found = dict(zip(names, (*estimate.value, *numbers), strict=True))
    return found | {
        "contents": defined["content"].nunique(),
        "undefined": len(pair) - len(defined),
    }


def _mean_and_median(values: Float[np.ndarray, " session"], draws: ContentDraws) -> Estimate:
    """Both as if they were two models; a session counts as often as its content was drawn."""
    mean = mean_estimate(values[None], draws)
    order = np.argsort(values)
    often = (draws.counts @ draws.member[order].T).cumsum(axis=1)
    size = often[:, -1:]
    middle = [(often > np.floor((size - odd) / 2)).argmax(axis=1) for odd in (1, 0)]
    medians = values[order][middle].mean(axis=0)
    return Estimate(
        value=np.array([mean.value[0], np.median(values)]),
        drawn=np.stack([mean.drawn[:, 0], medians], axis=1),
    )
