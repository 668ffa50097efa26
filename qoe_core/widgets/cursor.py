"""The line of the chosen second over a timeline.

It is an element of the page and no part of the figure, which plotly draws as a whole again when
anything of it is changed from here. Where it lies follows from the figure's size and margins, which
therefore must not depend on what is drawn.
"""

import ipywidgets

from qoe_core.figures import COLOURS

WIDTH_PX, HEIGHT_PX = 1080, 640  # of the figure
MARGIN_PX = {"l": 60, "r": 190, "t": 36, "b": 40}  # at the right is room for the legend
LINE_PX = 2
STYLE = """<style>
.qoe-timeline { position: relative; }
.qoe-cursor { position: absolute; left: 0; top: 0; margin: 0; pointer-events: none; }
</style>"""


class Cursor:
    """A thin vertical line in `element`, which belongs into a box of class qoe-timeline."""

    def __init__(self):
        """Nothing to show yet."""
        self.element = ipywidgets.HTML(STYLE).add_class("qoe-cursor")

    def place(self, second: int, low: float, high: float) -> None:
        """Move it to a second of a timeline that shows the range from `low` to `high`."""
        share = (second - low) / (high - low)
        if not 0 <= share <= 1:
            self.element.value = STYLE
            return
        left, right, top, bottom = (MARGIN_PX[side] for side in "lrtb")
        x = left + share * (WIDTH_PX - left - right) - LINE_PX / 2
        place = f"left:{x:.1f}px;top:{top}px;width:{LINE_PX}px;height:{HEIGHT_PX - top - bottom}px"
        look = f"position:absolute;background:{COLOURS[1]};opacity:.8"
        self.element.value = f'{STYLE}<div data-second="{second}" style="{look};{place}"></div>'
