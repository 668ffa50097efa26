"""The explorer: choose a session, see what models say of it and why, and what if it were otherwise.

What a choice cannot do is told in one sentence; the page shows no traceback. Scores are labels on
[0, 1].
"""

import dataclasses
import html
from collections.abc import Callable, Sequence

import ipywidgets
import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from qoe_core import library
from qoe_core.explanation import Explanation, explain
from qoe_core.incremental import Incremental
from qoe_core.manifest import SIMULATED
from qoe_core.selection import Chapter, Selection, finished
from qoe_core.session import Session
from qoe_core.traces import Trace
from qoe_core.trained import Trained
from qoe_core.widgets import export, lines
from qoe_core.widgets.controls import Controls
from qoe_core.widgets.edits import Edits
from qoe_core.widgets.panel import Panel
from qoe_core.widgets.scatter import Scatter
from qoe_core.widgets.timeline import Line, Timeline, View


class Explorer(ipywidgets.VBox):
    """Controls, timeline, the chosen second, edits, and the errors of all sessions."""

    def __init__(self, selection: Selection):
        """Show `selection`.

        Raises:
            ValueError: there is no such chapter, its data set cannot be read, or it lacks what is
                selected.
        """
        where = {"study": selection.study, "dataset": selection.dataset, "split": selection.split}
        self.chapter = Chapter(**where)
        self.selection = self.chapter.completed(selection)
        self.trace: Trace | None = None
        self.explanation: Explanation | None = None
        self.explanation_of_edit: Explanation | None = None
        self.incremental: Incremental | None = None
        self.controls = Controls(finished(selection.study), self._choose)
        self.timeline = Timeline(self.look_at, self.drag)
        self.panel, self.scatter = Panel(), Scatter(self.look_into)
        self.edits = Edits(self._edited, self.attempt)
        self.status = ipywidgets.HTML().add_class("qoe-status")
        self.yaml = ipywidgets.Textarea(
            disabled=True, layout=ipywidgets.Layout(width="420px", height="150px")
        ).add_class("qoe-yaml")
        exported = ipywidgets.Button(description="export to figures/").add_class("qoe-export")
        exported.on_click(lambda _: self.attempt(self.export, True))
        right = ipywidgets.VBox([self.scatter.box, self.yaml, exported])
        left = ipywidgets.VBox([self.panel.box, self.edits.box])
        super().__init__(
            [self.controls.box, self.status, self.timeline.box, ipywidgets.HBox([left, right])]
        )
        self.add_class("qoe-explorer")
        self.attempt(self._show)

    def __repr__(self) -> str:
        """Short: what is stored with a notebook."""
        return f"Explorer({self.selection})"

    def attempt(self, action: Callable[..., object], *arguments: object) -> None:
        """Do it, and tell in the status line what was refused."""
        self.tell("")
        try:
            action(*arguments)
        except (ValueError, OSError, ArithmeticError) as error:
            self.tell(f"{error}")

    def tell(self, sentence: str) -> None:
        """Show a sentence in the status line, as text and never as markup."""
        self.status.value = html.escape(sentence)

    def export(self, page: bool = False) -> Figure:
        """Write the view to figures/: PDF and PNG; with `page` also the timeline as HTML.

        Raises:
            ValueError: nothing is shown, and why.
        """
        if self.trace is None:
            raise ValueError(f"nothing to export: {html.unescape(self.status.value)}")
        stem = export.name(self.selection)
        stalls = {"stalls": self.edits.session.stalls.tolist()} if self.edits.is_edited else {}
        made = export.producer(self.selection, self.chapter, stalls)
        shown = {"selection": self.selection, "chapter": self.chapter, "trace": self.trace}
        fig = export.view(made, stem, **shown, explanation=self.explanation)
        if self.edits.is_edited:
            export.edit(made, stem, self.edits.session, *self.before_and_after())
        if page:
            made.text(self.timeline.as_page(), f"{stem}.html")
        self.tell(f"exported {stem} to figures/{export.FOLDER}/")
        return fig

    def look_at(self, second: int) -> None:
        """What a click on a second does."""
        self.controls.chosen["second"].value = second

    def look_into(self, session: str) -> None:
        """What a click on a point does."""
        self.controls.chosen["session"].value = session

    def drag(self, number: int, start_s: float, end_s: float) -> None:
        """What dragging a stall does."""
        self.attempt(self.edits.move, number, start_s, end_s)

    def _choose(self, name: str, value: object) -> None:
        self.attempt(self._go, dataclasses.replace(self.selection, **{name: value}))

    def _go(self, asked: Selection) -> None:
        """Show what was chosen, or what comes nearest where the chapter changes with it."""
        before, self.selection = self.selection, asked
        if dataclasses.replace(before, second=asked.second) == asked:
            return self._show_second()
        splits = finished(asked.study)[asked.dataset]
        split = asked.split if asked.split in splits else min(splits)
        if (asked.dataset, split) != (self.chapter.dataset, self.chapter.split):
            self.chapter = Chapter(study=asked.study, dataset=asked.dataset, split=split)
        self.selection = self.chapter.nearest(asked)
        return self._show()

    def _show(self) -> None:
        """Everything of a session."""
        self.trace = self.explanation = self.explanation_of_edit = self.incremental = None
        self.timeline.clear()
        self.panel.clear("")
        chosen = self.selection
        self.controls.show(chosen, self.chapter)
        session = self.chapter.sessions[chosen.session]
        self.edits.begin(session)
        self.trace = self.chapter.trace(chosen.session, chosen.models)
        self.scatter.draw(self.chapter.errors, chosen.models[0], chosen.session)
        if chosen.network:
            self._explain(session)
        self.timeline.draw(self._as_played())
        self._show_second()
        self.tell(self.chapter.notice(chosen.models))

    def _explain(self, session: Session) -> None:
        fields = ("study", "dataset", "split", "seed")
        known = {name: getattr(self.selection, name) for name in fields}
        trained = Trained(model=self.selection.network, **known)
        self.explanation = explain(trained, session, list(self.chapter.sessions.values()))
        self.incremental = Incremental(self.explanation.network, session)

    def _as_played(self) -> View:
        curves = {} if self.explanation is None else self.explanation.curves
        session = self.edits.played
        drawn = lines.as_played(self.trace, session, curves)
        return self._view(drawn, session)

    def _view(self, drawn: Sequence[Line], session: Session) -> View:
        said = f" ({SIMULATED})" if library.is_simulated(session.dataset) else ""
        title = f"{session.label}{said}"
        return View(lines=drawn, stalls=session.stalls, second=self._second, title=title)

    @property
    def _second(self) -> int:
        """The chosen second, or the last one of a session that an edit has made shorter."""
        return min(self.selection.second, self.edits.session.n_seconds - 1)

    def _show_second(self) -> None:
        second = self._second
        self.yaml.value = self.selection.as_yaml()
        self.timeline.mark(second)
        if self.explanation is None:
            self.panel.clear(f"<b>second {second}</b> choose a network to see why")
        else:
            explained = self.explanation_of_edit or self.explanation
            self.panel.show(second, explained.second(second))

    def _edited(self) -> None:
        """Say what the network makes of the edit."""
        session = self.edits.session
        if self.incremental is None:
            raise ValueError("no network is chosen, whose prediction could change; choose one")
        if session is self.edits.played:
            self.explanation_of_edit = None
            self.edits.changed.value = ""
            self.controls.chosen["second"].max = session.n_seconds - 1
            return self.timeline.change(self._as_played())
        self.explanation_of_edit = dataclasses.replace(self.explanation, session=session)
        before, after = self.before_and_after()
        drawn = lines.as_edited(self.selection.network, before, after, session)
        self.timeline.change(self._view(drawn, session))
        self.edits.changed.value = (
            f"predicted mean {before.mean():.3f} as played, {after.mean():.3f} as edited"
        )
        self.controls.chosen["second"].max = session.n_seconds - 1
        return None

    def before_and_after(
        self,
    ) -> tuple[Float[np.ndarray, " played"], Float[np.ndarray, " edited"]]:
        """What the network says of the session as it was played, and as it is edited."""
        scale = self.explanation.network.continuous.scale
        played, edited = self.edits.played, self.edits.session
        before, after = (self.incremental.predict(s).continuous for s in (played, edited))
        return scale(before), scale(after)
