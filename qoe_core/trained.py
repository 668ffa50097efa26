"""The networks of a finished experiment, and which sessions each of them was trained and tested on.

Who explains a session takes the network of the fold that tested it: what a network does with a
session that it was trained on says nothing of how it generalises.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from qoe_core import runs
from qoe_core.extraction import VideoConfig
from qoe_core.inputs import features, restored
from qoe_core.models.dual_attention import DualAttentionConfig
from qoe_core.models.network import FittedNetwork
from qoe_core.models.table_rows import NETWORKS, ModelConfig
from qoe_core.session import Session

_DIGEST = re.compile(r"[0-9a-f]{20}")  # the only names of units that are opened


@dataclass(frozen=True, kw_only=True)
class Trained:
    """One network row of a study under one seed, read from what its run left on disk.

    `video` is needed where frame features come from weights outside of the installed packages.

    Raises:
        ValueError: not run, not a network, an ensemble, another seed, or run by another version.
    """

    study: str
    dataset: str
    split: str
    model: str
    seed: int = 0
    video: VideoConfig | None = None

    def __post_init__(self):
        """Refuse what has no weights to load."""
        if not was_run(self.study, self.dataset, self.split, self.model):
            raise ValueError(
                f"{self._folder}: not run; `make results` runs it, or notebooks/02_train.ipynb "
                f"with study={self.study!r}, dataset={self.dataset!r}, split={self.split!r}, "
                f"model={self.model!r}"
            )
        if self._row.base not in NETWORKS:
            raise ValueError(
                f"{self.model!r} is no network, expected a row of {list(NETWORKS)}; the others "
                "keep no weights"
            )
        if self._row.is_ensemble:
            raise ValueError(
                f"{self.model!r} is the mean of several networks, expected one of them: choose "
                f"{self._row.member.name!r} and a seed"
            )
        if self.seed not in self._record["experiment"]["seeds"]:
            raise ValueError(
                f"{self._folder}: no seed {self.seed}, expected one of "
                f"{self._record['experiment']['seeds']}"
            )

    @property
    def _folder(self) -> Path:
        return runs.run_folder(self.study, self.dataset, self.split, self.model)

    @cached_property
    def _record(self) -> dict[str, Any]:
        return runs.record(self._folder)

    @cached_property
    def _row(self) -> ModelConfig:
        ran = self._record["experiment"]["model"]
        try:
            return row(self.model, ran)
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"{self._folder}: run.json describes {self.model!r} by {sorted(ran)} ({error}), "
                "expected what this version writes; run it again"
            ) from error

    @cached_property
    def _parts(self) -> pd.DataFrame:
        """Which session was in which part of which fold."""
        columns = ["fold", "seed", "session", "part"]
        table = pd.read_parquet(self._folder / "predictions.parquet", columns=columns)
        return table[table["seed"] == self.seed].drop_duplicates()

    def folds(self, session: str) -> list[str]:
        """The folds whose network tested the session, most often one.

        Raises:
            ValueError: none did.
        """
        rows = self._parts[(self._parts["session"] == session) & (self._parts["part"] == "test")]
        if rows.empty:
            raise ValueError(
                f"{session!r} is not a test session of {self.model!r} on {self.dataset}, "
                f"{self.split}, seed {self.seed}; is the name that of another data set?"
            )
        return sorted(rows["fold"])

    def fold(self, session: str) -> str:
        """The fold whose network tested the session.

        Raises:
            ValueError: none did, or several, from which the caller has to choose.
        """
        folds = self.folds(session)
        if len(folds) > 1:
            raise ValueError(
                f"{session!r} was tested in {len(folds)} folds under {self.split}, expected one; "
                f"choose one of {folds}"
            )
        return folds[0]

    def network(self, fold: str) -> FittedNetwork:
        """The network of one fold, as its unit saved it.

        Raises:
            ValueError: no such fold, or weights that are gone, damaged or of other sizes.
        """
        title = runs.unit_title(fold, self.seed)
        digest = self._record["units"].get(title, "")
        path = self._folder / "units" / digest / runs.WEIGHTS
        if not _DIGEST.fullmatch(digest) or not path.exists():
            known = sorted(self._parts["fold"].unique())
            raise ValueError(
                f"{self._folder}: no weights of {title}, expected a fold of {known}; were they "
                "deleted after the run?"
            )
        return FittedNetwork.load(path, self._row.module, self.video)

    def trained_on(self, fold: str) -> set[str]:
        """Names of the sessions that the network of a fold saw, those of its validation included.

        Raises:
            ValueError: no such fold.
        """
        rows = self._parts[(self._parts["fold"] == fold) & (self._parts["part"] != "test")]
        if rows.empty:
            raise ValueError(
                f"{self._folder}: no fold {fold!r}, expected one of "
                f"{sorted(self._parts['fold'].unique())}"
            )
        return set(rows["session"])

    def baseline(self, fold: str, sessions: Sequence[Session]) -> Float[np.ndarray, " feat"]:
        """Mean scaled inputs over all seconds that the network of a fold was trained on.

        `sessions` are those of the data set; what the network has not seen has no part in it.

        Raises:
            ValueError: a session of its training is not among them.
        """
        names = self.trained_on(fold)
        seen = [session for session in sessions if session.name in names]
        if len(seen) < len(names):
            missing = sorted(names - {session.name for session in seen})
            raise ValueError(
                f"{len(missing)} of {len(names)} training sessions of fold {fold!r} are not among "
                f"the {len(sessions)} given, expected all: {missing[0]} is missing; are they those "
                f"of {self.dataset}?"
            )
        network = self.network(fold)
        scaled = [network.scaling(features(session, network.inputs)) for session in seen]
        return np.concatenate(scaled).mean(0)


def was_run(study: str, dataset: str, split: str, model: str) -> bool:
    """Whether an experiment is finished."""
    return (runs.run_folder(study, dataset, split, model) / "run.json").exists()


def row(model: str, ran: Mapping[str, Any]) -> ModelConfig:
    """The row of a results table with the sizes and inputs of its run, as run.json has them.

    Raises:
        KeyError, TypeError: written by another version.
    """
    sizes = {"hidden": ran["hidden"], "network": DualAttentionConfig(**ran["network"])}
    own = {"dropout": ran["dropout"], "peer": ran.get("peer", {})}
    return ModelConfig(name=model, inputs=restored(ran["inputs"]), **sizes, **own)
