"""Figures of what was shown: frames beside quality, stalls and rating; what features cost."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes

from qoe_core.figures import COLOURS, draw_bitrate, draw_rated, shade
from qoe_core.session import Session


def draw_frames(ax: Axes, frames: UInt8[np.ndarray, "second height width 3"], n_shown: int) -> None:
    """`n_shown` frames side by side, from the middles of equal parts of the session, over time.

    The axis is seconds, so the strip lines up with curves below that have the same limits.
    """
    n_seconds = len(frames)
    edges = np.linspace(0, n_seconds, n_shown + 1)
    for left, right in zip(edges[:-1], edges[1:], strict=True):
        frame = frames[int((left + right) / 2)]
        ax.imshow(frame, extent=(left - 0.5, right - 0.5, 0, 1), aspect="auto")
    ax.set(xlim=(-0.5, n_seconds - 0.5), ylim=(0, 1), yticks=[])
    ax.tick_params(labelbottom=False)
    for spine in ax.spines.values():
        spine.set_visible(False)


def draw_playback(ax: Axes, session: Session, metric: str) -> None:
    """Quality per second with stalls shaded, the bitrate on a second axis where there is one."""
    second = np.arange(session.n_seconds)
    shade(ax, session.stalled)
    ax.plot(second, session.quality[metric], color=COLOURS[0])
    ax.set_ylabel(metric.upper(), color=COLOURS[0])
    ax.set_xlim(-0.5, session.n_seconds - 0.5)
    ax.tick_params(labelbottom=False)
    draw_bitrate(ax, session)


def draw_rating(ax: Axes, session: Session) -> None:
    """The continuous rating on its declared scale; the overall score as a dashed line."""
    draw_rated(ax, session)
    if session.overall is not None:
        ax.axhline(session.overall, color=COLOURS[1], lw=0.8, ls="--")
    ax.set(xlim=(-0.5, session.n_seconds - 0.5), ylim=session.scale, ylabel="rated")
    ax.set_xlabel("time (s)")


def draw_cost(ax: Axes, cost: pd.DataFrame) -> None:
    """Milliseconds per second of video, one bar a step, on a logarithmic axis."""
    labels = [f"{row.step}\n{row.function}" for row in cost.itertuples()]
    steps = list(cost["step"].unique())
    colours = [COLOURS[steps.index(step)] for step in cost["step"]]
    ax.barh(range(len(cost)), cost["ms_per_s"], color=colours)
    ax.set_yticks(range(len(cost)), labels, fontsize=5)
    ax.set(xscale="log", xlabel="ms per second of video")
    ax.invert_yaxis()


def draw_hit_rates(ax: Axes, rates: pd.DataFrame) -> None:
    """Hit rate against memory, one line a policy."""
    for place, (policy, rows) in enumerate(rates.groupby("policy", sort=False)):
        ax.plot(100 * rows["memory"], rows["hit_rate"], "o-", ms=3, lw=1, label=policy,
                color=COLOURS[place])  # fmt: skip
    ax.set(xlabel="memory (% of all entries)", ylabel="hit rate", ylim=(-0.05, 1.05))
    ax.legend(loc="center left", fontsize=6)


def draw_similarity(
    ax: Axes, sessions: Sequence[Session], features: Float[np.ndarray, "session feat"]
) -> None:
    """Correlation of the sessions' features with each other; sessions of a content side by side."""
    order = sorted(range(len(sessions)), key=lambda place: sessions[place].content)
    contents = [sessions[place].content for place in order]
    spread = features.std(axis=0)
    centred = (features - features.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    ax.imshow(np.corrcoef(centred[order]), cmap="RdBu_r", vmin=-1, vmax=1)
    names = list(dict.fromkeys(contents))
    middles = [np.mean([place for place, c in enumerate(contents) if c == name]) for name in names]
    ax.set_xticks(middles, names, rotation=90, fontsize=5)
    ax.set_yticks(middles, names, fontsize=5)
    ax.set_title("correlation of frame features")
