"""The explorer on paper: a session, what models say of it and why, one second, and all errors.

Axes: time = seconds. Scores are labels on [0, 1], contributions and effects hundredths of a label.
What is not known has no panel. Call `figures.use_style` first.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from qoe_core.attribution_figures import draw_effects, draw_saliency
from qoe_core.explanation import Second
from qoe_core.figures import COLOURS, INK, PAGE_IN, draw_bitrate, draw_trace, shade
from qoe_core.session import Session
from qoe_core.traces import Trace

SCORES_IN, PLAYBACK_IN, CURVES_IN, SECOND_IN = 2.0, 1.0, 1.1, 1.6  # heights of the panels, inches
BAR_IN = 0.12  # more of the last one, for each input beyond what it has room for
N_BARS = 8
TITLE_IN = 0.5  # and the label of the time axis


def draw_view(
    fig: Figure,
    title: str,
    trace: Trace,
    session: Session,
    second: int,
    *,
    metric: str | None = None,
    curves: Mapping[str, Float[np.ndarray, " time"]],
    known: Second | None = None,
) -> None:
    """Fill an empty figure, which becomes as wide as a page and as high as its panels need.

    Args:
        fig: is not saved and not closed.
        title: of which network `curves` and `known` are, for example.
        trace: rating and predictions of the session.
        session: its bitrate, if any, and quality.
        second: is marked in all panels over time.
        metric: which of the session's quality metrics is drawn; they have no scale in common.
        curves: what each second contributes to a score, by method; may be empty.
        known: of `second`.

    Raises:
        ValueError: `trace` is of another session, or the session has no such second or metric.
    """
    _check(trace, session, second, metric)
    has_playback = metric is not None or session.bitrate_kbps is not None
    heights = {"scores": SCORES_IN}
    heights |= {"playback": PLAYBACK_IN} if has_playback else {}
    heights |= {"curves": CURVES_IN} if curves else {}
    parts = [TITLE_IN + sum(heights.values())]
    if known is not None:
        parts.append(SECOND_IN + BAR_IN * max(0, len(known.effects) - N_BARS))
    fig.set_size_inches(PAGE_IN, sum(parts))
    fig.suptitle(title, fontsize=7, x=0.01, ha="left")  # at the right simulated data is marked
    upper, *lower = fig.subfigures(len(parts), 1, height_ratios=parts, squeeze=False)[:, 0]
    panels = _panels(upper, heights)

    draw_trace(panels["scores"], trace.rated, trace.predicted, trace.stalled, trace.band)
    if has_playback:
        _draw_playback(panels["playback"], session, metric)
    if curves:
        draw_effects(panels["curves"], curves, session.stalled)
        panels["curves"].set_ylabel("change of\nscore x100")
    for ax in panels.values():
        _finish(ax, session, second)
    upper.align_ylabels()
    for part in lower:
        _draw_second(part, session, second, known)


def draw_errors(ax: Axes, table: pd.DataFrame, session: str) -> None:
    """RMSE of a model in each test session against the time spent rebuffering, one marked.

    There are more contents than colours, so all are grey but the other sessions of its content,
    which say whether the clip or what happened to it was hard.

    Args:
        ax: to draw on.
        table: one row a session: session, content, stalled_s, rmse (label).
        session: the one that is marked.

    Raises:
        ValueError: it is not in the table, or a session has several rows.
    """
    several = table["session"][table["session"].duplicated()]
    if len(several):
        raise ValueError(
            f"{several.iloc[0]!r} has several rows, expected one a session; choose one model"
        )
    chosen = table["session"] == session
    if not chosen.any():
        raise ValueError(f"{session!r} is none of the {len(table)} test sessions of the table")
    content = table["content"][chosen].iloc[0]
    same = (table["content"] == content) & ~chosen
    for rows, name, look in (
        (~chosen & ~same, "other contents", {"marker": ".", "color": "0.65"}),
        (same, str(content), {"marker": ".", "color": COLOURS[0]}),
        (chosen, "this session", {"marker": "D", "color": COLOURS[1], "ms": 5, "mec": INK}),
    ):
        ax.plot(table["stalled_s"][rows], table["rmse"][rows], ls="", label=name, **look)
    ax.set(xlabel="stalled (s)", ylabel="RMSE (label)")
    ax.set_ylim(bottom=0)
    ax.legend()


def _check(trace: Trace, session: Session, second: int, metric: str | None) -> None:
    if trace.session != session.name:
        raise ValueError(f"the trace is of {trace.session!r}, expected that of {session.name!r}")
    if not 0 <= second < session.n_seconds:
        raise ValueError(
            f"{session.label} has no second {second}, expected 0 to {session.n_seconds - 1}"
        )
    if metric is not None and metric not in session.quality:
        raise ValueError(
            f"{session.label} has no metric {metric!r}, expected one of {sorted(session.quality)}"
        )


def _panels(part: SubFigure, heights: Mapping[str, float]) -> dict[str, Axes]:
    """Axes by name from the top down, over the same time; the lowest says so."""
    ratios = {"height_ratios": list(heights.values())}
    axes = part.subplots(len(heights), 1, sharex=True, squeeze=False, gridspec_kw=ratios)[:, 0]
    return dict(zip(heights, axes, strict=True))


def _draw_playback(ax: Axes, session: Session, metric: str | None) -> None:
    """A quality metric at the left, the bitrate at the right."""
    shade(ax, session.stalled)
    draw_bitrate(ax, session)
    if metric is None:
        ax.set_yticks([])
        return
    ax.plot(np.arange(session.n_seconds), session.quality[metric], color=INK)
    ax.set_ylabel(metric)


def _finish(ax: Axes, session: Session, second: int) -> None:
    ax.axvline(second, color=INK, lw=0.8, ls=":")
    ax.set(xlabel="time (s)", xlim=(-0.5, session.n_seconds - 0.5))
    ax.label_outer()
    if ax.get_legend_handles_labels()[0]:
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=6)


def _draw_second(part: SubFigure, session: Session, second: int, known: Second) -> None:
    widths = {"frame": 1.2} if known.frame is not None else {}
    widths |= {"attention": 2.2} if known.attention else {}
    widths |= {"effects": 1.8}
    ratios = {"width_ratios": list(widths.values())}
    axes = part.subplots(1, len(widths), squeeze=False, gridspec_kw=ratios)[0]
    panels = dict(zip(widths, axes, strict=True))
    if known.frame is not None:
        _draw_frame(panels["frame"], second, known)
    if known.attention:
        _draw_attention(panels["attention"], session, second, known.attention)
    _draw_bars(panels["effects"], second, known.effects)


def _draw_frame(ax: Axes, second: int, known: Second) -> None:
    """With its saliency where the network sees it."""
    if known.strength is None:
        ax.imshow(known.frame)
        ax.set(xticks=[], yticks=[])
    else:
        draw_saliency(ax, known.frame, known.strength)
    ax.set_title(f"second {second}, {'frame' if known.strength is None else 'pixels'}", fontsize=6)


def _draw_attention(
    ax: Axes, session: Session, second: int, attention: Mapping[str, Float[np.ndarray, " key"]]
) -> None:
    """Where a second looked, one line a layer."""
    shade(ax, session.stalled)
    for place, (layer, weights) in enumerate(attention.items()):
        ax.plot(weights, color=COLOURS[place % len(COLOURS)], lw=1.1, label=layer)
    ax.axvline(second, color=INK, lw=0.8, ls=":")
    ax.set(xlabel="second looked at", ylabel="attention", xlim=(-0.5, session.n_seconds - 0.5))
    ax.set_ylim(bottom=0)
    ax.set_title(f"second {second}, attention", fontsize=6)
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=5)


def _draw_bars(ax: Axes, second: int, effects: Mapping[str, float]) -> None:
    """What each input is worth for one score, the first at the top; orange lowers it."""
    values = 100 * np.array(list(effects.values()))
    ax.barh(range(len(values)), values, color=[COLOURS[int(value < 0)] for value in values])
    ax.axvline(0, color=INK, lw=0.8)
    ax.set_yticks(range(len(values)), list(effects), fontsize=6)
    ax.invert_yaxis()
    ax.locator_params(axis="x", nbins=4)
    ax.set(xlabel="change of score x100")
    ax.set_title(f"second {second}, inputs", fontsize=6)
