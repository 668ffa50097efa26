"""What can be chosen: data set, split, session, models, a network to explain, and a second."""

from collections.abc import Callable, Mapping, Sequence

import ipywidgets

from qoe_core.selection import Chapter, Selection

CHOICES = ("dataset", "split", "session", "network")


class Controls:
    """Drop-downs, a list and a slider, all usable by keyboard."""

    def __init__(
        self,
        found: Mapping[str, Mapping[str, Sequence[str]]],
        on_choice: Callable[[str, object], None],
    ):
        """`found` as `selection.finished` gives it; the callback gets a field of Selection, and its
        value, but not for what `show` sets.
        """
        wide, whole = (ipywidgets.Layout(width=width) for width in ("360px", "740px"))
        self._found = found
        self._filling = False
        self.chosen = {n: ipywidgets.Dropdown(description=n, layout=wide) for n in CHOICES}
        self.chosen["models"] = ipywidgets.SelectMultiple(description="models", rows=6, layout=wide)
        self.chosen["second"] = ipywidgets.IntSlider(description="second", layout=whole)
        for name, control in self.chosen.items():
            control.add_class(f"qoe-{name}")
            control.observe(lambda change, name=name: self._tell(name, change.new), "value")
        self._on_choice = on_choice
        boxes = [self.chosen[name] for name in CHOICES]
        beside = ipywidgets.HBox([ipywidgets.VBox(boxes), self.chosen["models"]])
        self.box = ipywidgets.VBox([beside, self.chosen["second"]])

    def show(self, selection: Selection, chapter: Chapter) -> None:
        """Offer what there is, and choose what is selected."""
        options = {
            "dataset": list(self._found),
            "split": list(self._found[selection.dataset]),
            "session": sorted(chapter.sessions),
            "network": [("none", ""), *zip(chapter.networks, chapter.networks, strict=True)],
            "models": chapter.models,
        }
        self._filling = True
        try:
            for name, offered in options.items():
                self.chosen[name].options = offered
                self.chosen[name].value = getattr(selection, name)
            self.chosen["second"].max = chapter.sessions[selection.session].n_seconds - 1
            self.chosen["second"].value = selection.second
        finally:
            self._filling = False

    def _tell(self, name: str, value: object) -> None:
        if not self._filling:
            self._on_choice(name, value)
