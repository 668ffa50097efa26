"""Which sessions a model gets wrong, in the browser: error against stall time, content by content.

Errors are RMSE in labels; a click on a point says its session.
"""

from collections.abc import Callable

import ipywidgets
import pandas as pd
from plotly import graph_objects as go

from qoe_core.figures import COLOURS, INK

SYMBOLS = ("circle", "square", "diamond", "cross", "triangle-up", "star")


class Scatter:
    """One point a test session, in `box`."""

    def __init__(self, on_session: Callable[[str], None]):
        """The callback gets the name of a session."""
        self.box = ipywidgets.Box().add_class("qoe-scatter")
        self.figure: go.FigureWidget | None = None
        self._on_session = on_session

    def draw(self, errors: pd.DataFrame, model: str, session: str) -> None:
        """Draw the rows of `Chapter.errors` of one model, a session marked."""
        table = errors[errors["model"] == model].reset_index(drop=True)
        names = table["session"].astype(str).tolist()
        here = table[table["session"] == session]
        old, self.figure = self.figure, go.FigureWidget(_figure(table, here, model))
        self.figure.data[0].on_click(
            lambda _, points, __: [self._on_session(names[place]) for place in points.point_inds]
        )
        self.box.children = [self.figure]
        if old is not None:
            old.close()


def _figure(table: pd.DataFrame, here: pd.DataFrame, model: str) -> go.Figure:
    codes = pd.factorize(table["content"], sort=True)[0]
    points = go.Scatter(
        mode="markers",
        x=table["stalled_s"],
        y=table["rmse"],
        text=table["session"].astype(str) + "<br>" + table["content"].astype(str),
        hovertemplate="%{text}<br>%{x:.1f} s stalled, RMSE %{y:.3f}<extra></extra>",
        marker={
            "size": 9,
            "color": [COLOURS[code % len(COLOURS)] for code in codes],
            "symbol": [SYMBOLS[code // len(COLOURS) % len(SYMBOLS)] for code in codes],
        },
    )
    ring = {"size": 16, "color": "rgba(0,0,0,0)", "line": {"color": INK, "width": 2}}
    marked = go.Scatter(
        mode="markers", x=here["stalled_s"], y=here["rmse"], marker=ring, hoverinfo="skip"
    )
    layout = _layout()
    layout["yaxis"]["title"] = {"text": f"RMSE of {model} (label)"}
    return go.Figure(data=[points, marked], layout=layout)


def _layout() -> dict[str, object]:
    return {
        "xaxis": {"title": {"text": "stalled (s)"}},
        "yaxis": {"rangemode": "tozero"},
        "template": "plotly_white",
        "height": 300,
        "width": 420,
        "margin": {"l": 60, "r": 10, "t": 10, "b": 40},
        "showlegend": False,
    }
