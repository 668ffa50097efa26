"""What each part of the network is worth: the full network against variants with one part changed.

A difference is always full minus variant, paired and clustered by content as in `tables`; Holm's
correction is over the variants shown. A part is called worth something, or said to cost something,
only where the 95 % interval of the difference excludes 0.
"""

from collections.abc import Sequence

import pandas as pd

from qoe_core import tables
from qoe_core.metrics import DIRECTION
from qoe_core.models.variants import OURS
from qoe_core.predictions import TRACE_MEAN
from qoe_core.statistics import holm
from qoe_core.tables import TITLES

METRICS = ("plcc", "srocc", "rmse")
PART = "test"
CHANGES = {  # what a row is, and the part that it lacks of the full network
    OURS: ("the full network", ""),
    f"{OURS}-qos": ("QoS branch alone, no video", "video branch"),
    f"{OURS}-video": ("video branch alone, no playback log", "QoS branch"),
    f"{OURS}-without_cross_feature": (
        "no attention between the QoS features of a second",
        "cross-feature attention",
    ),
    f"{OURS}-without_long_time": ("no attention over the seconds before", "long-time attention"),
    f"{OURS}-without_gate": ("both branches count the same, no gate", "gate"),
    f"{OURS}-not_causal": ("every second sees the whole session, its future too", "causal mask"),
    f"{OURS}-sinusoidal_positions": (
        "sinusoidal positions, no fading attention",
        "fading against sinusoidal positions",
    ),
    f"{OURS}-learned_positions": (
        "learned positions, no fading attention",
        "fading against learned positions",
    ),
    f"{OURS}-without_plcc": ("no PLCC in the loss", "PLCC in the loss"),
    f"{OURS}-without_change": ("no error of the change in the loss", "change in the loss"),
    f"{OURS}-without_forgiven": (
        "every error counts, that of a whole content too",
        "forgiving the level of a content in training",
    ),
    f"{OURS}-without_noise": ("no noise on the inputs in training", "noise in training"),
    f"{OURS}-continuous_only": (
        "trained for continuous QoE alone",
        "training for overall QoE as well",
    ),
    f"{OURS}-overall_only": (
        "trained for overall QoE alone",
        "training for continuous QoE as well",
    ),
    f"{OURS}-ensemble": ("the mean of all seeds", "a single network"),
    f"{OURS}-paper": ("sizes of the paper, recipe of its re-implementation", "our size and recipe"),
    OURS + TRACE_MEAN: ("overall QoE as the mean of its own predicted trace", "overall head"),
}
VARIANTS = [name for name in CHANGES if not name.endswith(TRACE_MEAN)]  # rows to be run
VERDICTS = {"worse": "worth", "better": "costs"}  # of the variant; what follows for its part
VALUE = ["mean", "low", "high"]
DIFFERENCE = ["full_minus", "full_minus_low", "full_minus_high"]
COLUMNS = [
    *("dataset", "split", "part", "model", "change", "target", "metric", "seeds", "n", "contents"),
    *("undefined", *VALUE, *DIFFERENCE, "p", "p_holm", "verdict", "sentence"),
]


def ablation(study: str, dataset: str, split: str, models: Sequence[str]) -> pd.DataFrame:
    """One row per model, target and metric with COLUMNS, on the test sessions.

    `models` are the full network, OURS, and variants of it in the order of the table. Behind the
    full network stands its overall score as the mean of its own trace, where it has both. A
    variant that does not predict a target has no row there.

    Raises:
        ValueError: a model that is no known variant, the full network is not among the models, or
            as `tables.results`.
    """
    unknown = [model for model in models if model not in VARIANTS]
    if unknown:
        raise ValueError(
            f"models are {list(models)}, of which {unknown} are not among {VARIANTS}; "
            "does a new variant lack its words in CHANGES?"
        )
    found = tables.results(study, dataset, split, models, reference=OURS, parts=[PART])
    shown = found["model"].isin([*models, OURS + TRACE_MEAN])
    table = found[found["metric"].isin(METRICS) & shown].copy()
    table["change"] = [CHANGES[model][0] for model in table["model"]]
    table[DIFFERENCE] = 0.0 - table[["diff_mean", "diff_high", "diff_low"]]  # never "-0.000"
    compared = table["p"].notna()
    families = table[compared].groupby(["target", "metric"], sort=False)["p"]
    table["p_holm"] = families.transform(lambda p: holm(p.to_numpy()))
    table["verdict"] = table["verdict"].replace(VERDICTS)
    table["sentence"] = [_sentence(row) for _, row in table.iterrows()]
    return table[COLUMNS].reset_index(drop=True)


def _sentence(row: pd.Series) -> str:
    """What the interval allows to say about the part that the variant lacks.

    "worth" is a gain in the direction of the metric: a higher correlation, a lower error.
    """
    part = CHANGES[row["model"]][1]
    metric = f"{row['target']} {TITLES[row['metric']]}"
    if not row["verdict"]:
        return f"{part}: difference of {metric} undefined" if part else ""
    factor, digits = tables.printed(row["metric"])
    factor *= DIRECTION[row["metric"]] * (-1 if row["verdict"] == "costs" else 1)
    value, *bounds = (row[column] * factor + 0.0 for column in DIFFERENCE)
    low, high = sorted(bounds)
    found = f"{row['verdict']} {value:.{digits}f} of"
    if row["verdict"] == "no evidence":
        found = "no evidence of a gain in"
    return (
        f"{part}: {found} {metric} (95 % interval {low:.{digits}f} to {high:.{digits}f}, "
        f"Holm p {row['p_holm']:.3f})"
    )


def summary(table: pd.DataFrame, target: str) -> pd.DataFrame:
    """Models down; the change, then per metric its value, full minus it, and Holm's p; counts.

    Cells are "mean [low, high]", RMSE times 100; the full network is not compared with itself.
    """
    differences = table.drop(columns=VALUE).rename(
        columns=dict(zip(DIFFERENCE, VALUE, strict=True))
    )
    values, minus = (tables.wide(found, target, PART) for found in (table, differences))
    of_target = table[table["target"] == target]
    columns = {"change": of_target.groupby("model", sort=False)["change"].first()}
    for metric, rows in of_target.groupby("metric", sort=False):
        title = TITLES[metric]
        p_holm = rows.set_index("model")["p_holm"]
        columns |= {
            title: values[title],
            f"full minus it, {title}": minus[title].where(minus.index != OURS, ""),
            f"Holm p, {title}": p_holm.map("{:.3f}".format).where(p_holm.notna(), ""),
        }
    return pd.DataFrame(columns).join(values[["n", "undefined", "seeds"]]).reindex(values.index)
