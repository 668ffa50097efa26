"""The lines of a timeline: a session as it was played, or as it is edited.

Scores are labels on [0, 1].
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from qoe_core.attribution import TRUTH
from qoe_core.figures import COLOURS, INK
from qoe_core.session import Session
from qoe_core.traces import Trace
from qoe_core.widgets.timeline import Line

SCORES, BITRATE, QUALITY, WORTH = range(4)
DASHES = ("solid", "dash", "dot")  # one more each time that the colours begin again


def as_played(
    trace: Trace, session: Session, curves: Mapping[str, Float[np.ndarray, " time"]]
) -> list[Line]:
    """Rating with its interval, predictions, playback, and what each second is worth."""
    lines = []
    if trace.band is not None:
        edge = {"row": SCORES, "width": 0.0, "in_legend": False}
        low, high = trace.band.T
        lines += [Line(name="95 % CI, low", values=low, **edge)]
        lines += [Line(name="95 % CI, high", values=high, fills=True, **edge)]
    lines.append(Line(name="rated", row=SCORES, values=trace.rated, width=2.5))
    lines += [
        Line(name=model, row=SCORES, values=values, **_look(place))
        for place, (model, values) in enumerate(trace.predicted.items())
    ]
    lines += _playback(session)
    return lines + [
        Line(name=name, row=WORTH, values=values, **(_look(place) | _ink(name)))
        for place, (name, values) in enumerate(curves.items())
    ]


def as_edited(
    network: str,
    played: Float[np.ndarray, " played"],
    edited: Float[np.ndarray, " edited"],
    session: Session,
) -> list[Line]:
    """What a network says before and after an edit, and the playback after it; nobody rated it."""
    return [
        Line(name=f"{network}, as played", row=SCORES, values=played, colour=INK, dash="dot"),
        Line(name=f"{network}, as edited", row=SCORES, values=edited, colour=COLOURS[1], width=2.5),
        *_playback(session),
    ]


def _playback(session: Session) -> list[Line]:
    lines = []
    if session.bitrate_kbps is not None:
        rate = {"values": session.bitrate_kbps, "steps": True, "colour": COLOURS[5]}
        lines.append(Line(name="bitrate", row=BITRATE, **rate))
    return lines + [
        Line(name=metric, row=QUALITY, values=values, **_look(place))
        for place, (metric, values) in enumerate(session.quality.items())
    ]


def _look(place: int) -> dict[str, str]:
    turn, colour = divmod(place, len(COLOURS) - 2)  # without black and grey
    return {"colour": COLOURS[colour], "dash": DASHES[turn % len(DASHES)]}


def _ink(name: str) -> dict[str, str]:
    return {"colour": INK, "dash": "solid"} if name == TRUTH else {}
