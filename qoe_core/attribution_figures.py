"""Drawings of what mattered to a network: attention, attributions, pixels, checks of the maps.

Each draws on given axes in the style of `figures`, over seconds where it shows a session. Only
`exported` opens a figure, and closes it again.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import pandas as pd
from jaxtyping import Float, UInt8
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from qoe_core.attribution import TRUTH
from qoe_core.figures import COLOURS, INK, shade
from qoe_core.manifest import Producer
from qoe_core.sanity import N_SHARES, RANDOM

POSITIVE, SIGNED = "viridis", "RdBu_r"
STRIP = 0.06  # height of the stall strip above a map, as a share of the axes


@contextmanager
def exported(
    producer: Producer, name: str, title: str, shape: tuple[int, int], size: tuple[float, float]
) -> Iterator[tuple[Figure, np.ndarray]]:
    """A figure and its axes [row column], exported as `name` at the end and closed in any case."""
    fig, axes = plt.subplots(*shape, figsize=size, squeeze=False)
    fig.suptitle(title, fontsize=7, x=0.01, ha="left")  # at the right simulated data is marked
    try:
        yield fig, axes
        producer.figure(fig, name)
    finally:
        plt.close(fig)


def draw_map(
    ax: Axes,
    values: Float[np.ndarray, "time group"],
    names: Sequence[str],
    stalled: Float[np.ndarray, " time"],
    signed: bool,
) -> AxesImage:
    """Groups over time, the strip above is dark where the player stalled.

    Signed values have white at 0 and the same range on both sides; others begin at 0.
    """
    largest = np.abs(values).max() or 1.0
    image = ax.imshow(
        values.T,
        aspect="auto",
        interpolation="nearest",
        cmap=SIGNED if signed else POSITIVE,
        vmin=-largest if signed else 0,
        vmax=largest,
    )
    ax.set_yticks(range(len(names)), names, fontsize=5)
    ax.set(xlabel="time (s)")
    _strip(ax, stalled)
    return image


def draw_long_time(
    ax: Axes, weights: Float[np.ndarray, "time key"], stalled: Float[np.ndarray, " time"]
) -> AxesImage:
    """Who looks (down) at which second (across), colours by the square root from 0 to 1.

    The strip above is dark where the player stalled.
    """
    norm = PowerNorm(0.5, vmin=0, vmax=1)
    image = ax.imshow(weights, aspect="auto", interpolation="nearest", cmap=POSITIVE, norm=norm)
    ax.set(xlabel="second looked at", ylabel="second that looks")
    _strip(ax, stalled)
    return image


def draw_gate(
    ax: Axes, gate: Float[np.ndarray, "time width"], stalled: Float[np.ndarray, " time"]
) -> None:
    """Mean of the gate over channels, with the band that holds half of them; stalls shaded."""
    second = np.arange(len(gate))
    shade(ax, stalled)
    low, high = np.percentile(gate, (25, 75), axis=1)
    ax.fill_between(second, low, high, color=COLOURS[0], alpha=0.2, lw=0)
    ax.plot(second, gate.mean(1), color=COLOURS[0])
    ax.axhline(0.5, color="0.7", lw=0.8)
    ax.set(xlabel="time (s)", ylabel="gate: video 1, QoS 0", ylim=(0, 1))
    ax.set_xlim(-0.5, len(gate) - 0.5)


def draw_effects(
    ax: Axes,
    curves: Mapping[str, Float[np.ndarray, " time"]],
    stalled: Float[np.ndarray, " time"],
) -> None:
    """Contributions of each second to a score, one line a method, in hundredths of a label."""
    shade(ax, stalled)
    ax.axhline(0, color="0.7", lw=0.8)
    for place, (name, values) in enumerate(curves.items()):
        ax.plot(100 * values, color=COLOURS[place], lw=1.1, label=name)
    ax.set(xlabel="time (s)", ylabel="change of score x100", xlim=(-0.5, len(stalled) - 0.5))


def draw_around(ax: Axes, rows: pd.DataFrame, labels: Mapping[str, str]) -> None:
    """Curves of `events.around` against the seconds from one kind of event, with 95 % bands.

    `rows` are those of one kind; `labels` says which curves, and what they are called.
    """
    ax.axvline(0, color="0.7", lw=0.8)
    for place, (curve, label) in enumerate(labels.items()):
        chosen = rows[rows["curve"] == curve]
        colour = COLOURS[place % len(COLOURS)]
        ax.plot(chosen["offset"], chosen["mean"], color=colour, lw=1.1, label=label)
        band = chosen["low"].to_numpy(float), chosen["high"].to_numpy(float)
        ax.fill_between(chosen["offset"], *band, color=colour, alpha=0.15, lw=0)
    counts = rows[["events", "contents"]].drop_duplicates().to_numpy()
    said = "".join(f"{events} events, {contents} contents" for events, contents in counts)
    ax.set_title(said or "no event", fontsize=6)
    ax.set(xlabel="seconds from the event")


def draw_checks(ax: Axes, table: pd.DataFrame, check: str, label: str) -> None:
    """One line a map of `sanity.table`: mean and 95 % interval of one check; the truth is grey."""
    rows = table[table["check"] == check].dropna(subset=["mean"])[::-1]
    ax.axvline(0, color=INK, lw=0.8)
    for y, (_, row) in enumerate(rows.iterrows()):
        colour = "0.6" if row["map"] in (TRUTH, RANDOM) else COLOURS[0]
        ax.plot([row["low"], row["high"]], [y, y], color=colour, lw=1.4)
        ax.plot(row["mean"], y, "o", color=colour, ms=4)
    ax.set_yticks(range(len(rows)), rows["map"])
    ax.set(xlabel=label, ylim=(-0.5, len(rows) - 0.5))
    ax.grid(axis="x", lw=0.4, color="0.9")


def draw_distances(ax: Axes, curves: Mapping[str, Float[np.ndarray, " share"]], label: str) -> None:
    """Deletion or insertion curves, one line a map, over the percentage of seconds."""
    share = np.linspace(0, 100, N_SHARES + 1)
    for place, (name, curve) in enumerate(curves.items()):
        ax.plot(share, curve, color=COLOURS[place % len(COLOURS)], lw=1.1, label=name)
    ax.set(xlabel=label, ylabel="distance of the score")


def draw_saliency(
    ax: Axes,
    frame: UInt8[np.ndarray, "height width 3"],
    strength: Float[np.ndarray, "height width"],
) -> None:
    """A frame in grey, and over it the pixels that move the score most, as far as they stand out.

    Strengths are shown against their 99th percentile in the frame, so that two frames compare in
    place and not in size.
    """
    grey = frame.mean(axis=2)
    shown = np.clip(strength / (np.percentile(strength, 99) or 1.0), 0, 1)
    ax.imshow(grey, cmap="gray", vmin=0, vmax=255)
    ax.imshow(shown, cmap="inferno", vmin=0, vmax=1, alpha=0.75 * shown)
    ax.set(xticks=[], yticks=[])


def _strip(ax: Axes, stalled: Float[np.ndarray, " time"]) -> None:
    strip = ax.inset_axes((0, 1.01, 1, STRIP))
    strip.imshow(stalled[None], aspect="auto", cmap="gray_r", vmin=0, vmax=1)
    strip.set(xticks=[], yticks=[])
