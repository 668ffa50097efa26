"""Drawings that compare models: per content, by rank over data sets, by cost.

Each draws on given axes in the style of `figures`.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullLocator

from qoe_core.figures import COLOURS, INK
from qoe_core.metrics import DIRECTION
from qoe_core.ranking import Ranking
from qoe_core.tables import TITLES, printed

MARGIN = 0.6  # beside the ranks for names, per rank
STEP = 0.35  # between lines of a critical-difference plot
MARKERS = "osD^vP"  # one lap of COLOURS each


def draw_per_content(ax: Axes, table: pd.DataFrame, metric: str, models: Sequence[str]) -> None:
    """One line a content and one dot a model, on one metric of `peer_table.per_content`.

    The content where the first of `models` is best is at the top; a thin line spans the models, and
    an undefined value is no dot.
    """
    chosen = table[(table["metric"] == metric) & table["model"].isin(models)]
    values = chosen.pivot(index="content", columns="model", values="mean")[list(models)]
    values = values * printed(metric)[0]
    ordered = values.sort_values(models[0], ascending=DIRECTION[metric] > 0, na_position="first")
    y = np.arange(len(ordered))
    ax.hlines(y, ordered.min(axis=1), ordered.max(axis=1), color="0.8", lw=0.8, zorder=0)
    for place, model in enumerate(models):
        colour = COLOURS[place % len(COLOURS)]
        ax.plot(ordered[model], y, "o", color=colour, ms=4, label=model)
    ax.set_yticks(y, ordered.index)
    ax.set(xlabel=TITLES[metric])
    ax.grid(axis="x", lw=0.4, color="0.9")


def draw_critical_difference(ax: Axes, ranking: Ranking) -> None:
    """Mean ranks on an axis, best left; bars join models that are not told apart.

    Above the axis stands the critical difference; the better half of the models is named at the
    left, the others at the right.
    """
    ranks, n_models = ranking.ranks, len(ranking.ranks)
    n_left = (n_models + 1) // 2
    groups, gap = ranking.groups, 0.02 * n_models
    depth = STEP * (len(groups) + 1)  # of the first name
    for place, (model, rank) in enumerate(ranks.items()):
        left = place < n_left
        y = -depth - STEP * (place if left else n_models - 1 - place)
        edge = 1 - gap if left else n_models + gap
        ax.plot([rank, rank, edge], [0, y, y], color=INK, lw=0.8)
        ax.annotate(
            f"{model} {rank:.2f}" if left else f"{rank:.2f} {model}",
            (edge, y),
            (-3 if left else 3, 0),
            textcoords="offset points",
            ha="right" if left else "left",
            va="center",
            fontsize=7,
        )
    for place, group in enumerate(groups, start=1):
        ends = ranks[group[0]] - 0.05, ranks[group[-1]] + 0.05
        ax.plot(ends, [-STEP * place] * 2, color=COLOURS[0], lw=3, solid_capstyle="butt")
    ends = 1, 1 + ranking.critical_difference
    ax.plot(ends, [2 * STEP] * 2, "|-", color=INK, lw=1.2)
    ax.text(np.mean(ends), 2.3 * STEP, "critical difference", ha="center", va="bottom", fontsize=7)
    ax.plot([1, n_models], [0, 0], color=INK, lw=1)
    for rank in range(1, n_models + 1):
        ax.plot([rank, rank], [0, 0.15], color=INK, lw=1)
        ax.text(rank, 0.2, str(rank), ha="center", va="bottom", fontsize=7)
    ax.set_ylim(top=4 * STEP)
    ax.set_xlim(1 - MARGIN * n_models, n_models + MARGIN * n_models)
    ax.axis("off")


def draw_cost(ax: Axes, table: pd.DataFrame, cost: str, gain: str, title: str) -> None:
    """One dot a model by cost, on a logarithmic axis, and gain; a line through the Pareto front.

    `table` has the columns model, on_front (bool) and the two named, and a model the same colour
    and marker by its row on whatever axes. Models on the front are filled; those that lack one of
    the two are not drawn. `title` names the cost.
    """
    drawn = table.reset_index(drop=True).dropna(subset=[cost, gain])
    front = drawn[drawn["on_front"]].sort_values(cost)
    ax.step(front[cost], front[gain], where="post", color="0.6", lw=1, zorder=0)
    for place, row in drawn.iterrows():
        lap, colour = divmod(place, len(COLOURS))
        style = {"marker": MARKERS[lap % len(MARKERS)], "color": COLOURS[colour], "ls": ""}
        face = {} if row["on_front"] else {"mfc": "white"}
        ax.plot(row[cost], row[gain], ms=5, label=row["model"], **style, **face)
    ax.set(xscale="log", xlabel=title, ylabel=f"{gain.upper()}, test")
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 3)))  # two labels a decade do not touch
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_locator(NullLocator())
    ax.margins(x=0.1, y=0.1)
