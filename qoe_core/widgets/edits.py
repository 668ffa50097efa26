"""What if it had been played otherwise: controls that change a session's stalls and bitrate.

Times are seconds of the session as it is edited. A change that cannot be leaves it as it was.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import ipywidgets
import numpy as np

from qoe_core import what_if
from qoe_core.session import Session

STEP_S = 0.1
INSERTED_S = 2.0  # length of a new stall
GRID_DIGITS = 2  # of the decimal logarithm of a bitrate


class Edits:
    """Controls of one session, `session` as it is edited and `played` as it was."""

    def __init__(self, on_edit: Callable[[], None], attempt: Callable[..., None]):
        """Without a session yet; `attempt` calls a function and tells what it refuses."""
        wide = ipywidgets.Layout(width="330px")
        slider = {"min": 0.0, "max": 0.0, "step": STEP_S, "layout": wide}
        self.stall = ipywidgets.Dropdown(description="stall", layout=wide).add_class("qoe-stall")
        self.start = ipywidgets.FloatSlider(description="starts (s)", **slider)
        self.length = ipywidgets.FloatSlider(description="lasts (s)", **slider)
        self.range = ipywidgets.IntRangeSlider(description="seconds", min=0, max=0, layout=wide)
        self.bitrate = ipywidgets.FloatLogSlider(
            description="kbit/s",
            min=1,
            max=5,
            step=10**-GRID_DIGITS,
            readout_format=".0f",
            layout=wide,
        )
        self.buttons = {
            name: ipywidgets.Button(description=name, layout=ipywidgets.Layout(width="106px"))
            for name in ("insert", "delete", "reset")
        }
        self.changed = ipywidgets.HTML().add_class("qoe-changed")
        named = {"qoe-stall-start": self.start, "qoe-stall-length": self.length}
        named |= {"qoe-range": self.range, "qoe-bitrate": self.bitrate}
        named |= {f"qoe-{name}": button for name, button in self.buttons.items()}
        for name, control in named.items():
            control.add_class(name)
        buttons = ipywidgets.HBox(list(self.buttons.values()))
        stall = ipywidgets.VBox([buttons, self.stall, self.start, self.length])
        self.box = ipywidgets.VBox(
            [ipywidgets.HBox([stall, ipywidgets.VBox([self.range, self.bitrate])]), self.changed]
        )
        self._on_edit, self._attempt = on_edit, attempt
        self._filling = False
        self._connect()

    def begin(self, session: Session) -> None:
        """Take another session as it was played."""
        self.played = self.session = session
        self.changed.value = ""
        with self._quiet():
            self.range.max = session.n_seconds - 1
            self.range.value = 0, session.n_seconds - 1
            if session.bitrate_kbps is not None:
                played = np.median(session.bitrate_kbps[session.stalled < 1])
                # on the slider's own grid: a browser would put it there and say it was moved
                self.bitrate.value = 10 ** float(np.round(np.log10(played), GRID_DIGITS))
        self._fill(0)

    @property
    def is_edited(self) -> bool:
        """Whether anything was changed."""
        return self.session is not self.played

    def move(self, number: int, start_s: float, end_s: float) -> None:
        """A stall to other times, as dragging gives them."""
        start, length = self.session.stalls[number]
        moved = self.session
        if abs(end_s - start_s - length) > STEP_S / 2:
            moved = what_if.lengthen_stall(moved, number, end_s - start_s)
        if abs(start_s - start) > STEP_S / 2:
            moved = what_if.move_stall(moved, number, max(0.0, start_s))
        self._take(moved)
        self._fill_nearest(start_s)

    def _take(self, session: Session) -> None:
        before, self.session = self.session, session
        try:
            self._on_edit()
        except ValueError:
            self.session = before
            raise

    def _connect(self) -> None:
        self.stall.observe(lambda _: self._chosen(self._fill, self.stall.value), "value")
        for control in (self.start, self.length):
            control.observe(lambda _: self._chosen(self._slide), "value")
        self.bitrate.observe(lambda _: self._chosen(self._rate), "value")
        pressed = {"insert": self._insert, "delete": self._delete, "reset": self._reset}
        for name, action in pressed.items():
            self.buttons[name].on_click(lambda _, action=action: self._attempt(action))

    def _chosen(self, action: Callable[..., None], *arguments: object) -> None:
        """Act on what the user did to a control, not on what this class did to it."""
        if not self._filling:
            self._attempt(action, *arguments)

    def _insert(self) -> None:
        start_s = float(self.range.value[0])
        self._take(what_if.insert_stall(self.session, start_s, INSERTED_S))
        self._fill_nearest(start_s)

    def _delete(self) -> None:
        if self.stall.value is None:
            raise ValueError("there is no stall to delete; insert one first")
        self._take(what_if.delete_stall(self.session, self.stall.value))
        self._fill(0)

    def _reset(self) -> None:
        self._take(self.played)
        self._fill(0)

    def _slide(self) -> None:
        start = self.start.value
        self.move(self.stall.value, start, start + self.length.value)

    def _rate(self) -> None:
        self._take(what_if.set_bitrate(self.session, *self.range.value, self.bitrate.value))

    def _fill_nearest(self, start_s: float) -> None:
        self._fill(int(np.argmin(np.abs(self.session.stalls[:, 0] - start_s))))

    def _fill(self, number: int) -> None:
        """Show the stalls that there are, one of them chosen, on controls that fit the session."""
        stalls, n_seconds = self.session.stalls, self.session.n_seconds
        with self._quiet():
            self.stall.options = [
                (f"{i + 1}: {start:.1f} s, {length:.1f} s long", i)
                for i, (start, length) in enumerate(stalls)
            ]
            self.stall.value = number if len(stalls) else None
            for control in (self.start, self.length, self.stall):
                control.disabled = not len(stalls)
            self.start.max = self.length.max = float(n_seconds)
            if len(stalls):
                self.start.value, self.length.value = stalls[number]
            self.range.max = n_seconds - 1
            self.bitrate.disabled = self.session.bitrate_kbps is None

    @contextmanager
    def _quiet(self) -> Iterator[None]:
        self._filling = True
        try:
            yield
        finally:
            self._filling = False
