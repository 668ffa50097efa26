"""The sessions of any data set by name: released ones from $QOE_DATA, simulated ones built here."""

import inspect
from collections.abc import Mapping, Sequence
from types import ModuleType

from qoe_core import paths
from qoe_core.datasets import catalog, lfovia, live_http, live_netflix, stall2
from qoe_core.session import Session
from qoe_core.simulate import corpus

SIMULATED = "simulated"
TRAINING_LISTS = {  # released, or drawn as they were
    "lfovia": lfovia.released_training_lists,
    "live_http": live_http.released_training_lists,
    "live_netflix": live_netflix.released_training_lists,
    "stall2": stall2.drawn_training_lists,
}
CONTENT_TRIALS = {"live_netflix": live_netflix.released_content_trials}
TRIALS = 50  # of the 1000; each trains a row anew, and these test every content 6 to 16 times


def is_simulated(dataset: str) -> bool:
    """Whether a name is that of a simulated corpus; all of them begin with "simulated"."""
    return corpus.NAME.fullmatch(dataset) is not None


def sessions(dataset: str) -> list[Session]:
    """All sessions of one data set.

    Raises:
        ValueError: an unknown name, a corpus that was not built, or a release that is not found or
            not as it should be.
    """
    if is_simulated(dataset):
        return corpus.read(paths.CORPORA / dataset)
    if dataset not in catalog.CATALOG:
        names = ", ".join([SIMULATED, *catalog.CATALOG])
        raise ValueError(f"no data set is called {dataset!r}, expected one of {names}")
    return catalog.read(dataset)


def reader_module(dataset: str) -> ModuleType:
    """The module that makes the sessions; its docstring is the data set's notes."""
    return corpus if is_simulated(dataset) else inspect.getmodule(catalog.known(dataset).reader)


def training_lists(dataset: str, split: str) -> Mapping[str, Sequence[str]] | None:
    """Training names as released, where `split` asks for them: by test name, or by trial.

    "video-atlas" has the first TRIALS of its trials, the "released" splits have LSTM-QoE's lists.

    Raises:
        ValueError: the data set has none.
    """
    if split == "video-atlas":
        if dataset not in CONTENT_TRIALS:
            raise ValueError(
                f"no trials of whole contents are read for {dataset}, expected one of "
                f"{list(CONTENT_TRIALS)}; use leave-content-out"
            )
        return CONTENT_TRIALS[dataset](catalog.folder(dataset), TRIALS)
    if not split.startswith("released"):
        return None
    if dataset not in TRAINING_LISTS:
        raise ValueError(
            f"{dataset} has no released training lists, expected one of {list(TRAINING_LISTS)}; "
            "use leave-content-out"
        )
    return TRAINING_LISTS[dataset](catalog.folder(dataset))
