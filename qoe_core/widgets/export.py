"""What the explorer shows, as files under figures/ with their producer."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
from jaxtyping import Float
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from qoe_core import explorer_figures, figures
from qoe_core.explanation import Explanation
from qoe_core.figures import COLOURS, INK, PAGE_IN
from qoe_core.manifest import Producer
from qoe_core.selection import Chapter, Selection
from qoe_core.session import Session
from qoe_core.traces import Trace

FOLDER = "07_explorer"


def producer(selection: Selection, chapter: Chapter, edits: Mapping[str, object]) -> Producer:
    """Who makes the files: the notebook with the parameters of this view, and its runs."""
    models = dict.fromkeys([*selection.models, *filter(None, [selection.network])])
    return Producer(
        notebook=FOLDER,
        parameters={**vars(selection), "models": list(selection.models), **edits},
        runs=chapter.commits(list(models)),
    )


def name(selection: Selection) -> str:
    """Of the files of a view, without what file systems mind."""
    session = re.sub(r"[^\w.-]+", "_", selection.session)
    return f"{selection.dataset}--{selection.split}--{session}"


def view(
    made: Producer,
    stem: str,
    *,
    selection: Selection,
    chapter: Chapter,
    trace: Trace,
    explanation: Explanation | None,
) -> Figure:
    """Export the session as it was played, which comes back, and the errors of all sessions."""
    figures.use_style()
    session = chapter.sessions[selection.session]
    known = None if explanation is None else explanation.second(selection.second)
    seen = () if explanation is None else explanation.network.inputs.quality
    # predictions are means over seeds, reasons are those of one network
    by = f"; why: {selection.network}, seed {selection.seed}" if selection.network else ""
    with _drawn() as fig:
        explorer_figures.draw_view(
            fig,
            f"{session.label}, {selection.split}{by}",
            trace,
            session,
            selection.second,
            metric=next(iter(seen), min(session.quality, default=None)),
            curves={} if explanation is None else explanation.curves,
            known=known,
        )
        made.figure(fig, stem)
    _errors(made, stem, selection, chapter)
    return fig


def _errors(made: Producer, stem: str, selection: Selection, chapter: Chapter) -> None:
    """Export the errors of the first model."""
    model = selection.models[0]
    errors = chapter.errors[chapter.errors["model"] == model].reset_index(drop=True)
    with _drawn(figsize=(figures.COLUMN_IN, 2.4)) as fig:
        ax = fig.subplots()
        explorer_figures.draw_errors(ax, errors, selection.session)
        ax.set_title(f"{selection.dataset}, {selection.split}: {model}", fontsize=6, loc="left")
        made.figure(fig, f"{stem}-errors")


def edit(
    made: Producer,
    stem: str,
    edited: Session,
    before: Float[np.ndarray, " played"],
    after: Float[np.ndarray, " edited"],
) -> None:
    """Export what a network says before and after an edit; stalls are those of the edit."""
    with _drawn(figsize=(PAGE_IN, 2.0)) as fig:
        ax = fig.subplots()
        figures.shade(ax, edited.stalled)
        ax.plot(before, color=INK, ls=":", lw=1.2, label="as played")
        ax.plot(after, color=COLOURS[1], lw=1.4, label="as edited")
        n_seconds = max(len(before), len(after))
        ax.set(xlabel="time (s)", ylabel="predicted (label)", xlim=(-0.5, n_seconds - 0.5))
        ax.set_title(f"{edited.label}: predicted, not rated", fontsize=7, loc="left")
        ax.legend()
        made.figure(fig, f"{stem}-edited")


@contextmanager
def _drawn(**size: object) -> Iterator[Figure]:
    """A figure that is closed at the end, an error included; a notebook can still show it."""
    fig = plt.figure(**size)
    try:
        yield fig
    finally:
        plt.close(fig)
