"""One session on one time axis in the browser: scores, playback, and what seconds are worth.

Axes: time = seconds. A click says its second; a stall that is dragged in the strip at the top says
its number and where it lies then. Long series are thinned for the range that is on screen.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import ipywidgets
import numpy as np
from jaxtyping import Float
from plotly import graph_objects as go

from qoe_core.decimation import decimated
from qoe_core.figures import COLOURS, INK
from qoe_core.widgets.cursor import HEIGHT_PX, MARGIN_PX, WIDTH_PX, Cursor

ROWS = ("QoE (label)", "kbit/s", "quality", "worth (label)")
HEIGHTS = (0.40, 0.15, 0.15, 0.15)  # of the figure, from the top down, under the strip
STRIP = 0.05  # the height of the stalls that can be dragged: a click on them would say nothing
GAP = (1 - STRIP - sum(HEIGHTS)) / len(HEIGHTS)
STRIP_AXIS, PAGE_AXIS = "y5", "y6"  # the latter over all rows
N_LINES = 24  # that one view can hold
N_POINTS = 2000  # of a line, at most, on screen at once
DRAGGED_S = 0.05  # less is the rounding of a pixel
STALL = {"type": "rect", "yref": STRIP_AXIS, "y0": 0, "y1": 1, "fillcolor": "#777777"}
FIXED = {"automargin": False}  # a margin that depends on labels has them drawn at every change
SHADE = "rgba(90,90,90,0.18)"


@dataclass(frozen=True, eq=False, kw_only=True)
class Line:
    """A series with a value a second, in one of ROWS."""

    name: str
    row: int
    values: Float[np.ndarray, " time"]
    colour: str = INK
    width: float = 1.5
    dash: str = "solid"
    steps: bool = False
    fills: bool = False  # the area down to the line before it
    in_legend: bool = True


@dataclass(frozen=True, eq=False, kw_only=True)
class View:
    """All that a timeline shows.

    Raises:
        ValueError: no line, or more than there is room for.
    """

    lines: Sequence[Line]
    stalls: Float[np.ndarray, "stall 2"]  # starts and durations, s
    second: int
    title: str

    def __post_init__(self):
        """Refuse what cannot be drawn."""
        if not 0 < len(self.lines) <= N_LINES:
            raise ValueError(
                f"{self.title}: {len(self.lines)} lines, expected 1 to {N_LINES}; "
                "choose fewer models"
            )


class Timeline:
    """A plotly figure of a session in `box`; a new one a session, changed in place after that.

    A page that is opened later shows a figure as it was made, without what was changed since, so
    `draw` makes a whole one.
    """

    def __init__(
        self, on_second: Callable[[int], None], on_drag: Callable[[int, float, float], None]
    ):
        """Callbacks get a second; and the number of a stall with its start and end (s)."""
        self.box = ipywidgets.Box().add_class("qoe-timeline")
        self.figure: go.FigureWidget | None = None
        self.cursor = Cursor()
        self._view: View | None = None
        self._changing = False
        self._on_second, self._on_drag = on_second, on_drag

    def clear(self) -> None:
        """Show nothing."""
        self.box.children = []
        if self.figure is not None:
            self.figure.close()
            self.figure = None

    def draw(self, view: View) -> None:
        """Make the figure of a session."""
        self.clear()
        self._view = view
        self.figure = go.FigureWidget(_figure(view))
        # plotly has no public way to let the shapes of a widget be dragged
        self.figure._config = {"edits": {"shapePosition": True}, "displaylogo": False}
        for trace in self.figure.data:
            trace.on_click(lambda _, points, __: points.xs and self._on_second(round(points.xs[0])))
        self.figure.layout.on_change(self._dragged, "shapes")
        self.figure.layout.on_change(self._zoomed, "xaxis.range")
        self.box.children = [self.figure, self.cursor.element]
        self.mark(view.second)

    def change(self, view: View) -> None:
        """Change the figure in place: what it shows, and of which second."""
        drawn = _figure(view)
        self._view = view
        with self._quietly():
            for trace, new in zip(self.figure.data, drawn.data, strict=True):
                trace.update(new.to_plotly_json(), overwrite=True)
            self.figure.layout.shapes = drawn.layout.shapes
            self.figure.layout.xaxis.range = drawn.layout.xaxis.range
            self.figure.layout.title = drawn.layout.title
        self.mark(view.second)

    def mark(self, second: int) -> None:
        """Move the line of the chosen second."""
        self._view = dataclasses.replace(self._view, second=second)
        self.cursor.place(second, *map(float, self.figure.layout.xaxis.range))

    def as_page(self) -> str:
        """The figure with the chosen second as an HTML page that needs nothing else."""
        page = go.Figure(self.figure).add_vline(self._view.second, line_color=COLOURS[1])
        return page.to_html(include_plotlyjs=True, div_id="timeline")

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        """One message for all changes inside, none of which is taken for the user's."""
        self._changing = True
        try:
            with self.figure.batch_update():
                yield
        finally:
            self._changing = False

    def _dragged(self, _, shapes) -> None:
        """A drag may change the height of a stall as well, so its shape is drawn again."""
        if self._changing or not shapes:
            return
        now = np.array([sorted((float(shape.x0), float(shape.x1))) for shape in shapes])
        moved = np.abs(now - _ends(self._view.stalls)).max(axis=1)
        with self._quietly():
            self.figure.layout.shapes = _shapes(self._view)
        number = int(moved.argmax())
        if moved[number] > DRAGGED_S:
            self._on_drag(number, *(float(s) for s in now[number]))

    def _zoomed(self, _, shown) -> None:
        if self._changing:
            return
        self.cursor.place(self._view.second, *map(float, shown))
        if any(len(line.values) > N_POINTS for line in self._view.lines):
            with self._quietly():
                for trace, line in zip(self.figure.data, self._view.lines, strict=False):
                    trace.x, trace.y = decimated(line.values, N_POINTS, *shown)


def _figure(view: View) -> go.Figure:
    n_seconds = max(len(line.values) for line in view.lines)
    slots = [_slot(line, n_seconds) for line in view.lines]
    slots += [go.Scatter(visible=False)] * (N_LINES - len(slots))
    shade = go.Scatter(
        yaxis=PAGE_AXIS,
        mode="lines",
        hoverinfo="skip",
        showlegend=False,
        x=[x for start, end in _ends(view.stalls) for x in (start, start, end, end, None)],
        y=[0, 1, 1, 0, None] * len(view.stalls),
        fill="toself",
        fillcolor=SHADE,
        line_width=0,
    )
    layout = _layout() | {"title": {"text": view.title}, "shapes": _shapes(view)}
    layout["xaxis"] |= {"range": (-0.5, n_seconds - 0.5)}
    return go.Figure(data=[*slots, shade], layout=layout)


def _slot(line: Line, n_seconds: int) -> go.Scatter:
    second, values = decimated(line.values, N_POINTS, 0, n_seconds - 1)
    # said of every line, since a slot may have been hidden before
    return go.Scatter(**_style(line), x=second, y=values, visible=True)


def _ends(stalls: Float[np.ndarray, "stall 2"]) -> Float[np.ndarray, "stall 2"]:
    return np.column_stack([stalls[:, 0], stalls.sum(axis=1)])


def _shapes(view: View) -> list[dict[str, object]]:
    return [STALL | {"x0": start, "x1": end} for start, end in _ends(view.stalls)]


def _style(line: Line) -> dict[str, object]:
    return {
        "name": line.name,
        "yaxis": "y" if line.row == 0 else f"y{line.row + 1}",
        "mode": "lines",
        "line": {
            "color": line.colour,
            "width": line.width,
            "dash": line.dash,
            "shape": "hvh" if line.steps else "linear",
        },
        "fill": "tonexty" if line.fills else "none",
        "fillcolor": "rgba(34,34,34,0.15)",
        "showlegend": line.in_legend,
        "hovertemplate": "%{y:.3~f}",
    }


def _layout() -> dict[str, object]:
    axes, top = {}, 1 - STRIP - GAP
    for row, (label, height) in enumerate(zip(ROWS, HEIGHTS, strict=True)):
        name = "yaxis" if row == 0 else f"yaxis{row + 1}"
        domain = [max(0.0, top - height), top]
        axes[name] = {"domain": domain, "title": {"text": label}, "zeroline": False, **FIXED}
        top -= height + GAP
    hidden = {"range": (0, 1), "fixedrange": True, "showticklabels": False, "showgrid": False}
    hidden |= FIXED
    return axes | {
        "yaxis5": {"domain": [1 - STRIP, 1], "title": {"text": "stalls"}, **hidden},
        "yaxis6": {"domain": [0, 1 - STRIP - GAP], "overlaying": "y", "visible": False, **hidden},
        "xaxis": {"title": {"text": "time (s)"}, "anchor": f"y{len(ROWS)}", **FIXED},
        "hovermode": "x unified",
        "hoverdistance": -1,  # a click anywhere in a row says its second
        "hoversubplots": "axis",
        "template": "plotly_white",
        "height": HEIGHT_PX,
        "width": WIDTH_PX,
        "margin": MARGIN_PX | {"autoexpand": False},
        "dragmode": "pan",
    }
