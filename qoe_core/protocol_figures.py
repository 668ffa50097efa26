"""Drawings of what a number owes to its protocol; tables as `protocol` makes them.

Each draws on given axes in the style of `figures`. RMSE is times 100.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from qoe_core.figures import COLOURS, INK
from qoe_core.protocol_claims import EVIDENCE, TITLES, verdict
from qoe_core.tables import printed

ABOVE = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "ncols": 3}  # the axes, a legend


def draw_contrast(axes: np.ndarray, contrast: pd.DataFrame) -> None:
    """A row of two axes a metric of `contrast`: `draw_ways` with a legend, `draw_differences`."""
    for (left, right), metric in zip(axes, contrast["metric"].unique(), strict=True):
        draw_ways(left, contrast, metric)
        draw_differences(right, contrast, metric)
    axes[0, 0].legend(**ABOVE)


def draw_ways(ax: Axes, contrast: pd.DataFrame, metric: str) -> None:
    """One line a model between both ways of scoring it, whose names label the axis."""
    rows = contrast[contrast["metric"] == metric]
    for place, row in enumerate(rows.to_dict("records")):
        values = np.array([row["mean_first"], row["mean_second"]]) * printed(metric)[0]
        colour = COLOURS[place % len(COLOURS)]
        ax.plot([0, 1], values, "o-", ms=3, lw=1, color=colour, label=row["model"])
    ax.set_xticks([0, 1], list(rows[["first", "second"]].iloc[0]))
    ax.set(xlim=(-0.3, 1.3), ylabel=f"{TITLES[metric]}, test")


def draw_differences(ax: Axes, contrast: pd.DataFrame, metric: str) -> None:
    """One line a model: second way minus first, its 95 % interval, and a line at 0.

    The first model is at the top, in the colour of `draw_ways`. Hollow grey: no evidence. An
    undefined difference is an empty line.
    """
    rows = contrast[contrast["metric"] == metric].reset_index(drop=True)
    factor, last = printed(metric)[0], len(rows) - 1
    ax.axvline(0, color=INK, lw=0.8)
    for place, row in rows.iterrows():
        known = verdict(row["low"], row["high"]) in EVIDENCE
        colour = COLOURS[place % len(COLOURS)] if known else "0.45"
        ends = np.array([row["low"], row["high"]]) * factor
        ax.plot(ends, [last - place] * 2, color=colour, lw=1.4)
        face = colour if known else "white"
        ax.plot(row["difference"] * factor, last - place, "o", color=colour, mfc=face, ms=4)
    ax.set_yticks(range(last, -1, -1), rows["model"])
    ax.set_title("{second} minus {first}".format(**rows.iloc[0]))
    ax.set(xlabel=f"{TITLES[metric]}, difference", ylim=(-0.5, last + 0.5))
    ax.locator_params(axis="x", nbins=5)  # long numbers would touch
    ax.grid(axis="x", lw=0.4, color="0.9")


def draw_sessions(ax: Axes, pairs: pd.DataFrame, contrast: pd.DataFrame, metric: str) -> None:
    """One point a test session in both ways, with the diagonal; the mean difference above."""
    chosen = pairs[(pairs["metric"] == metric) & pairs["paired"]]
    factor, digits = printed(metric)
    (row,) = contrast[contrast["metric"] == metric].to_dict("records")
    middle = np.nanmean(chosen[["first", "second"]]) * factor
    ax.axline((middle, middle), slope=1, color="0.7", lw=0.8)
    ax.plot(chosen["first"] * factor, chosen["second"] * factor, ".", ms=4, alpha=0.7)
    mean, low, high = (
        f"{round(row[name] * factor, digits) + 0.0:.{digits}f}"
        for name in ("difference", "low", "high")
    )
    ax.set_title(f"{TITLES[metric]}, difference {mean} [{low}, {high}]")
    ax.set(xlabel=row["first"], ylabel=row["second"])


def draw_splits(ax: Axes, table: pd.DataFrame, metric: str) -> None:
    """Mean and interval of one metric per split, one colour a model; `table` as of `leakage`."""
    chosen = table[table["metric"] == metric].dropna(subset=["mean"])
    splits, models = list(chosen["split"].unique()), list(chosen["model"].unique())
    factor = printed(metric)[0]
    for i, model in enumerate(models):
        rows = chosen[chosen["model"] == model].set_index("split").reindex(splits)
        x = np.arange(len(splits)) + 0.12 * (i - (len(models) - 1) / 2)
        means = rows["mean"].to_numpy() * factor
        bars = np.abs(rows[["low", "high"]].to_numpy().T * factor - means)
        ax.errorbar(x, means, bars, fmt="o", ms=4, lw=1.2, label=model)
    ax.set_xticks(range(len(splits)), [split.replace("-", "-\n", 1) for split in splits])
    ax.set(ylabel=f"{TITLES[metric]}, test")
    ax.legend(**ABOVE)


def draw_dependence(ax: Axes, dependence: pd.DataFrame) -> None:
    """Histogram of the lag-1 autocorrelation of ratings, one count a session."""
    ax.hist(dependence["lag1"].dropna(), bins=25, color=COLOURS[0])
    ax.set(xlabel="lag-1 autocorrelation of the rating", ylabel="sessions")
