"""Curves averaged around stalls and rate switches, with intervals over whole contents.

Axes: time = seconds of a session, offset = seconds from an event. An event counts where its whole
window lies inside its session, so that every offset is a mean over the same events.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from qoe_core.bootstrap import draw_contents, mean_interval
from qoe_core.qos import switch
from qoe_core.session import Session

SWITCH = 2.0  # the bitrate of a second over that of the second before, up or down: our choice
KINDS = ("stall", "down-switch", "up-switch")
COLUMNS = ["event", "curve", "offset", "mean", "low", "high", "events", "contents"]


def events(session: Session) -> dict[str, list[int]]:
    """Seconds in which a stall begins, and in which the bitrate falls or rises SWITCH-fold.

    Without a bitrate there are no switches.
    """
    level = np.zeros(session.n_seconds) if session.bitrate_kbps is None else switch(session)
    least = np.log10(SWITCH) - 1e-9
    return {
        "stall": [int(start) for start, _ in session.stalls],
        "down-switch": np.flatnonzero(level <= -least).tolist(),
        "up-switch": np.flatnonzero(level >= least).tolist(),
    }


def around(
    sessions: Sequence[Session],
    curves: Sequence[Mapping[str, Float[np.ndarray, " time"]]],
    before_s: int,
    after_s: int,
) -> pd.DataFrame:
    """Mean of every curve at every offset from `before_s` before to `after_s` after an event.

    One row an event kind, curve and offset: COLUMNS. low and high bound the mean over events with
    95 %, by draws of whole contents; with a single content they are NaN. A kind without events has
    no rows.

    Raises:
        ValueError: a curve is longer or shorter than its session, or missing for one of them.
    """
    rows = []
    for kind in KINDS:
        windows, contents = _windows(sessions, curves, kind, before_s, after_s)
        for name, window in windows.items():
            values = np.array(window).T  # (offset, event)
            low = high = np.full(len(values), np.nan)
            if len(set(contents)) > 1:
                bounds = mean_interval(values, draw_contents(contents))
                low, high = bounds.low, bounds.high
            counts = len(contents), len(set(contents))
            for place, value in enumerate(values.mean(1)):
                offset = place - before_s
                rows.append((kind, name, offset, value, low[place], high[place], *counts))
    return pd.DataFrame(rows, columns=COLUMNS)


def _windows(
    sessions: Sequence[Session],
    curves: Sequence[Mapping[str, Float[np.ndarray, " time"]]],
    kind: str,
    before_s: int,
    after_s: int,
) -> tuple[dict[str, list[Float[np.ndarray, " offset"]]], list[str]]:
    """By curve a window for each event, and the contents of the events."""
    windows: dict[str, list[np.ndarray]] = {}
    contents = []
    for session, of_session in zip(sessions, curves, strict=True):
        _check(session, of_session, curves[0])
        for second in events(session)[kind]:
            first, stop = second - before_s, second + after_s + 1
            if first < 0 or stop > session.n_seconds:
                continue
            contents.append(session.content)
            for name, values in of_session.items():
                windows.setdefault(name, []).append(values[first:stop])
    return windows, contents


def _check(session: Session, curves: Mapping[str, np.ndarray], expected: Mapping) -> None:
    if set(curves) != set(expected):
        raise ValueError(
            f"{session.label} has the curves {sorted(curves)}, expected {sorted(expected)} as the "
            "first session has; were they made by different networks?"
        )
    for name, values in curves.items():
        if len(values) != session.n_seconds:
            raise ValueError(
                f"{session.label}: curve {name!r} has {len(values)} seconds, expected "
                f"{session.n_seconds}; is it that of another session?"
            )
