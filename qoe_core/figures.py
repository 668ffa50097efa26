"""One style, and functions that draw on given axes; exporting is the manifest's work.

Colours are those of Okabe and Ito, which stay apart for colour-blind readers. Ratings are labels on
[0, 1] unless an axis says otherwise.
"""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from qoe_core.session import Session

INK = "#222222"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
STYLE = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "legend.fontsize": 7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": mpl.cycler(color=COLOURS),
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    "figure.dpi": 100,
    "pdf.fonttype": 42,
    "svg.hashsalt": "qoe",
}
COLUMN_IN = 3.4  # width of one text column, inches
PAGE_IN = 6.9


def use_style() -> None:
    """Set the style for every figure of this process."""
    plt.rcParams.update(STYLE)


def draw_trace(
    ax: Axes,
    rated: Float[np.ndarray, " time"],
    predicted: Mapping[str, Float[np.ndarray, " time"]],
    stalled: Float[np.ndarray, " time"],
    band: Float[np.ndarray, "time 2"] | None = None,
) -> None:
    """Rated against predicted quality over one session: CI as a band, stalls shaded grey."""
    second = np.arange(len(rated))
    shade(ax, stalled)
    if band is not None:
        ax.fill_between(second, *band.T, color=INK, alpha=0.15, lw=0, label="95 % CI")
    ax.plot(second, rated, color=INK, lw=1.6, label="rated")
    for name, values in predicted.items():
        ax.plot(second, values, lw=1.1, label=name)
    ax.set(xlabel="time (s)", ylabel="QoE (label)", xlim=(0, max(1, len(rated) - 1)))


def draw_session(ax: Axes, session: Session) -> None:
    """Rating of one session on its own scale, CI as a band, stalls shaded, bitrate beside it.

    Without a continuous rating its first quality metric takes that place.
    """
    draw_rated(ax, session)
    if session.rated is None and session.quality:
        metric = min(session.quality)
        ax.plot(np.arange(session.n_seconds), session.quality[metric], color=INK)
        ax.set_ylabel(metric)
    ax.set_title(session.name.replace("_", "\n", 1), fontsize=5)
    ax.set_xlabel("time (s)")
    draw_bitrate(ax, session)


def draw_rated(ax: Axes, session: Session) -> None:
    """Continuous rating where there is one, its 95 % interval as a band, stalls shaded."""
    second = np.arange(session.n_seconds)
    shade(ax, session.stalled)
    if session.rated_ci is not None:
        ax.fill_between(second, *session.rated_ci.T, color=INK, alpha=0.15, lw=0)
    if session.rated is not None:
        ax.plot(second, session.rated, color=INK)
        ax.set_ylabel("rated")


def draw_bitrate(ax: Axes, session: Session) -> None:
    """Bitrate of each second on an axis at the right; nothing where the release has none."""
    if session.bitrate_kbps is None:
        return
    right = ax.twinx()
    second = np.arange(session.n_seconds)
    right.step(second, session.bitrate_kbps, where="mid", color=COLOURS[5], lw=0.8)
    right.set_ylabel("kbit/s", color=COLOURS[5])
    right.spines["right"].set_visible(True)


def draw_scores(ax: Axes, sessions: Sequence[Session]) -> None:
    """Histograms of the released scores: every rated second, and every overall score."""
    rated = [s.rated for s in sessions if s.rated is not None]
    overall = [s.overall for s in sessions if s.overall is not None]
    scores = np.concatenate([*rated, overall])
    bins = np.linspace(scores.min(), scores.max(), 31)
    if rated:
        ax.hist(np.concatenate(rated), bins, density=True, alpha=0.6, label="continuous, seconds")
    if overall:
        ax.hist(overall, bins, density=True, histtype="step", color=INK, label="overall, sessions")
    ax.set(xlabel="score", ylabel="density")
    ax.margins(y=0.3)
    ax.legend()


def draw_stall_times(ax: Axes, stalled_s: pd.Series) -> None:
    """Histogram of the time spent rebuffering per session."""
    ax.hist(stalled_s, bins=25, color=COLOURS[1])
    ax.set(xlabel="stalled per session (s)", ylabel="sessions")


def draw_around_stalls(
    ax: Axes, sessions: Sequence[Session], before_s: int = 5, after_s: int = 15
) -> int:
    """Mean rating around the start of each stall, minus its value at the start; returns the count.

    A stall counts where the whole window lies inside its session. The band is the 95 % interval of
    the mean over stalls, as if they were independent; a single stall draws nothing.
    """
    windows = []
    for session in sessions:
        for start, _ in session.stalls:
            first = int(start) - before_s
            if first >= 0 and int(start) + after_s < session.n_seconds:
                window = session.rated[first : int(start) + after_s + 1]
                windows.append(window - window[before_s])
    if len(windows) > 1:
        stacked = np.stack(windows)
        mean, sem = stacked.mean(0), stacked.std(0, ddof=1) / np.sqrt(len(stacked))
        second = np.arange(-before_s, after_s + 1)
        ax.axvline(0, color="0.7", lw=0.8)
        ax.plot(second, mean, color=INK)
        ax.fill_between(second, mean - 1.96 * sem, mean + 1.96 * sem, color=INK, alpha=0.15, lw=0)
    ax.set(xlabel="seconds from stall start", ylabel="change of rating")
    return len(windows)


def draw_overall_by_stalls(ax: Axes, sessions: Sequence[Session]) -> int:
    """Overall score against the time spent rebuffering, one point a session; returns the count."""
    rated = [session for session in sessions if session.overall is not None]
    stalled_s = [session.stalls[:, 1].sum() for session in rated]
    ax.plot(stalled_s, [session.overall for session in rated], ".", ms=3, alpha=0.5)
    ax.set(xlabel="stalled (s)", ylabel="overall score")
    return len(rated)


def draw_forest(ax: Axes, rows: pd.DataFrame, metric: str, lower_is_better: bool) -> None:
    """One line a model: mean and 95 % clustered interval of `metric` on the test sessions.

    `rows` has the columns model, mean, low, high; the best is at the top, undefined rows are not
    drawn.
    """
    defined = rows.dropna(subset=["mean"])
    ordered = defined.sort_values("mean", ascending=not lower_is_better, ignore_index=True)
    for y, row in ordered.iterrows():
        best = y == len(ordered) - 1
        colour = COLOURS[1] if best else COLOURS[0]
        ax.plot([row["low"], row["high"]], [y, y], color=colour, lw=1.4)
        ax.plot(row["mean"], y, "o", color=colour, ms=4)
    ax.set_yticks(range(len(ordered)), ordered["model"])
    ax.set(xlabel=metric)
    ax.grid(axis="x", lw=0.4, color="0.9")


def draw_ablation(ax: Axes, table: pd.DataFrame, target: str, metric: str) -> None:
    """One line a variant: full minus variant of one metric, its 95 % interval, and a line at 0.

    `table` as of `ablation`, its first variant at the top. Filled blue: the part is worth it;
    filled orange: it costs; hollow grey: no evidence. An undefined difference is an empty line.
    """
    chosen = table[(table["target"] == target) & (table["metric"] == metric)]
    rows = chosen[chosen["sentence"] != ""][::-1]  # all but the full network
    colours = {"worth": COLOURS[0], "costs": COLOURS[1]}
    ax.axvline(0, color=INK, lw=0.8)
    for y, (_, row) in enumerate(rows.iterrows()):
        colour = colours.get(row["verdict"], "0.45")
        face = colours.get(row["verdict"], "white")
        ax.plot([row["full_minus_low"], row["full_minus_high"]], [y, y], color=colour, lw=1.4)
        ax.plot(row["full_minus"], y, "o", color=colour, mfc=face, ms=4)
    ax.set_yticks(range(len(rows)), rows["change"])
    ax.set(xlabel=f"{metric.upper()}, {target}", ylim=(-0.5, len(rows) - 0.5))
    ax.locator_params(axis="x", nbins=4)  # long numbers would touch
    ax.grid(axis="x", lw=0.4, color="0.9")


def draw_agreement(ax: Axes, predicted: pd.Series, rated: pd.Series, label: str) -> None:
    """Prediction against rating, one point a session, with the diagonal."""
    ax.axline((0.5, 0.5), slope=1, color="0.7", lw=0.8)
    ax.plot(rated, predicted, ".", ms=3, alpha=0.6, label=label)
    ax.set(xlabel="rated (label)", ylabel="predicted (label)")


def draw_learning(ax: Axes, history: pd.DataFrame) -> None:
    """Training and validation loss per epoch, the best validation epoch marked."""
    ax.plot(history["epoch"], history["train/loss"], label="train")
    if "validation/loss" in history:
        ax.plot(history["epoch"], history["validation/loss"], label="validation")
        best = history.loc[history["validation/loss"].idxmin()]
        ax.plot(best["epoch"], best["validation/loss"], "o", color=INK, ms=4, label="kept")
    ax.set(xlabel="epoch", ylabel="loss", yscale="log")
    ax.legend()


def shade(ax: Axes, stalled: Float[np.ndarray, " time"]) -> None:
    """Grey where the player stalled, darker for a larger part of the second."""
    for second in np.flatnonzero(stalled > 0):
        ax.axvspan(second - 0.5, second + 0.5, color="0.5", alpha=0.35 * stalled[second], lw=0)
