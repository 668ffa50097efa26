"""One second of a session in the browser: its frame with saliency, attention, and effects.

Axes: key = the seconds that are looked at. Effects are changes of this second's score, in labels.
"""

from io import BytesIO

import ipywidgets
import numpy as np
from jaxtyping import Float, UInt8
from matplotlib import colormaps
from matplotlib.image import imsave
from plotly import graph_objects as go

from qoe_core.explanation import Second
from qoe_core.figures import COLOURS
from qoe_core.widgets.timeline import FIXED

FRAME_PX = 280


class Panel:
    """What is known of a second, in `box`; a new figure a session, then changed in place."""

    def __init__(self):
        """Nothing to show yet."""
        self.heading = ipywidgets.HTML()
        size = ipywidgets.Layout(width=f"{FRAME_PX}px", height="auto", align_self="flex-start")
        self.frame = ipywidgets.Image(format="png", layout=size)
        self.place = ipywidgets.Box()
        self.figure: go.FigureWidget | None = None
        beside = ipywidgets.HBox([self.frame, self.place])
        self.box = ipywidgets.VBox([self.heading, beside]).add_class("qoe-panel")
        self.clear("")

    def clear(self, sentence: str) -> None:
        """Show nothing, and why."""
        self.heading.value = sentence
        self.frame.layout.display = "none"
        self.place.children = []
        if self.figure is not None:
            self.figure.close()
            self.figure = None

    def show(self, second: int, known: Second) -> None:
        """Draw one second."""
        missing = [] if known.attention else ["this model has no attention"]
        if known.frame is None:
            missing.append("no frame: the session has no video")
        elif known.strength is None:
            missing.append("no saliency: this model does not see the frame")
        self.heading.value = f"<b>second {second}</b> {'; '.join(missing)}"
        self.frame.layout.display = "none" if known.frame is None else ""
        if known.frame is not None:
            self.frame.value = png(known.frame, known.strength)
        if self.figure is None:
            self.figure = go.FigureWidget(_figure(known))
            self.place.children = [self.figure]
            return
        bars, *rows = self.figure.data
        with self.figure.batch_update():
            bars.x = list(known.effects.values())
            for row, weights in zip(rows, known.attention.values(), strict=True):
                row.y = weights


def _figure(known: Second) -> go.Figure:
    bars = go.Bar(
        x=list(known.effects.values()),
        y=list(known.effects),
        orientation="h",
        marker_color=COLOURS[0],
        showlegend=False,
        xaxis="x2",
        yaxis="y2",
    )
    rows = [
        go.Scatter(y=weights, x=np.arange(len(weights)), name=name, mode="lines", line_color=colour)
        for (name, weights), colour in zip(known.attention.items(), COLOURS, strict=False)
    ]
    return go.Figure(data=[bars, *rows], layout=_layout())


def png(
    frame: UInt8[np.ndarray, "height width 3"],
    strength: Float[np.ndarray, "height width"] | None,
) -> bytes:
    """The frame; in grey under its saliency, if any, as `attribution_figures.draw_saliency`."""
    written = BytesIO()
    if strength is None:
        imsave(written, frame, format="png")
        return written.getvalue()
    share = np.clip(strength / (np.percentile(strength, 99) or 1.0), 0, 1)[..., None]
    grey = frame.mean(axis=2, keepdims=True) / 255
    colour = colormaps["inferno"](share[..., 0])[..., :3]
    imsave(written, grey + 0.75 * share * (colour - grey), format="png")
    return written.getvalue()


def _layout() -> dict[str, object]:
    return {
        "xaxis": {
            "title": {"text": "second that is looked at"},
            "anchor": "y",
            "domain": [0.6, 1],
            **FIXED,
        },
        "yaxis": {"title": {"text": "attention"}, "anchor": "x", "rangemode": "tozero", **FIXED},
        "xaxis2": {
            "title": {"text": "effect (label)"},
            "anchor": "y2",
            "domain": [0.12, 0.48],
            **FIXED,
        },
        "yaxis2": {"anchor": "x2", "autorange": "reversed", **FIXED},
        "template": "plotly_white",
        "height": 280,
        "width": 740,
        "margin": {"l": 60, "r": 10, "t": 30, "b": 40},
        "showlegend": True,
        "legend": {"font": {"size": 10}, "orientation": "h", "x": 0.6, "y": 1.15},
    }
