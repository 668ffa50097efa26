"""What an experiment consists of: a unit for each fold and seed, and which of them train at once.

A unit has a folder of its own, named by a digest of all that its numbers depend on: configuration,
sessions, code. Networks are trained in bundles, whose members do not depend on the machine;
a bundle that was begun goes on as it is, another one leaves out what is finished already.
"""

import hashlib
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from qoe_core import provenance, training
from qoe_core.models.interface import Fitted
from qoe_core.models.network import FittedNetwork, Network
from qoe_core.models.table_rows import ModelConfig, build
from qoe_core.predictions import fold_tables, session_scores
from qoe_core.qos import Scaling
from qoe_core.runs import HISTORY, WEIGHTS, unit_title
from qoe_core.session import Session
from qoe_core.split import Split
from qoe_core.training import Run

LAST_TABLE = "scores.parquet"  # a unit that has it is finished
N_BUNDLES = 2  # at least, so that every core of a small machine has one, where each gets FEWEST
FEWEST = 64  # networks; a step costs what 30 of them cost before it moves any
SECOND_S = 4e-6  # to train a network on one second of a session: recurrent 2e-6, dual-stage 8e-6


@dataclass(frozen=True, eq=False, kw_only=True)
class Unit:
    """One fold with one seed."""

    model: ModelConfig
    columns: Mapping[str, object]  # of its tables: experiment, dataset, split, fold, seed, model
    split: Split
    seed: int
    scaling: Scaling | None  # None: fitted on the training sessions
    label_sessions: Sequence[Session]  # whose ratings span the label scale of the tables
    start: Path | None  # weights that training goes on from
    folder: Path

    @property
    def title(self) -> str:
        """Which one it is inside its experiment."""
        return unit_title(self.split.fold, self.seed)

    @property
    def name(self) -> str:
        """For messages."""
        return f"{self.model.name}, {self.title}"

    @property
    def is_finished(self) -> bool:
        """Whether all its tables are written."""
        return (self.folder / LAST_TABLE).exists()

    def write(self, fitted: Fitted, facts: Mapping[str, object]) -> None:
        """Predict every session of the fold, score, and write the tables, with `facts` beside."""
        self.folder.mkdir(parents=True, exist_ok=True)
        sessions = self.split.sessions
        if isinstance(fitted, FittedNetwork):
            fitted.save(self.folder / WEIGHTS)
        if hasattr(fitted, "predict_all"):
            predicted = fitted.predict_all(sessions)
        else:
            predicted = [fitted.predict(session) for session in sessions]
        predictions, overall = fold_tables(predicted, self.split, self.columns, self.label_sessions)
        write(predictions, self.folder / "predictions.parquet")
        write(overall, self.folder / "overall.parquet")
        (self.folder / "unit.json").write_text(json.dumps(facts) + "\n")
        write(session_scores(predictions), self.folder / LAST_TABLE)


@dataclass(frozen=True, eq=False)
class Bundle:
    """Units whose networks are trained at once, or a single unit of any model."""

    units: Sequence[Unit]

    @property
    def name(self) -> str:
        """For messages."""
        first, last = self.units[0], self.units[-1]
        return first.name if first is last else f"{first.name} to {last.title}"

    @cached_property
    def checkpoint(self) -> Path:
        """Where its training stands while it is not finished."""
        digest = hashlib.sha256("".join(unit.folder.name for unit in self.units).encode())
        return self.units[0].folder.parent / f"{digest.hexdigest()[:20]}.safetensors"

    @property
    def expected_s(self) -> float:
        """About what training takes, on one core."""
        model = build(self.units[0].model)
        if not isinstance(model, Network):
            return 0.0
        seconds = sum(session.n_seconds for unit in self.units for session in unit.split.train)
        return model.training.n_epochs * seconds * SECOND_S

    @property
    def rest(self) -> "Bundle | None":
        """What is still to do: itself once it was begun, else its units that are not finished."""
        missing = [unit for unit in self.units if not unit.is_finished]
        if not missing:
            return None
        return self if self.checkpoint.exists() else Bundle(missing)


def run_bundle(bundle: Bundle) -> None:
    """Train all units, and write those that are not finished."""
    started = time.perf_counter()
    models = [build(unit.model, unit.scaling, unit.start) for unit in bundle.units]
    if isinstance(models[0], Network):
        fitted = _train(bundle, models)
    else:
        (unit,) = bundle.units
        parts = unit.split.train, unit.split.validation
        fitted = [models[0].fit(*parts, unit.seed, unit.folder)]
    device = bundle.units[0].model.training.device if isinstance(models[0], Network) else "cpu"
    facts = provenance.stamp(started, device)
    facts["seconds"] = round(facts["seconds"] / len(bundle.units), 3)  # a unit's share
    for unit, model in zip(bundle.units, fitted, strict=True):
        if not unit.is_finished:
            unit.write(model, facts)
    bundle.checkpoint.unlink(missing_ok=True)


def _train(bundle: Bundle, models: Sequence[Network]) -> list[FittedNetwork]:
    several = len(models) > 1
    networks = [m.begin(u.split.train, u.seed) for m, u in zip(models, bundle.units, strict=True)]
    runs = [
        Run(
            module=network.module,
            train=network.examples(unit.split.train),
            validation=network.examples(unit.split.validation),
            seed=unit.seed,
            name=unit.title if several else "",
            board=None if unit.is_finished else unit.folder / "tensorboard",
        )
        for network, unit in zip(networks, bundle.units, strict=True)
    ]
    histories = training.fit_all(runs, models[0].training, bundle.checkpoint)
    for unit, history in zip(bundle.units, histories, strict=True):
        if not unit.is_finished:
            unit.folder.mkdir(parents=True, exist_ok=True)
            write(history, unit.folder / HISTORY)
    trained = zip(models, networks, bundle.units, strict=True)
    return [model.end(network, unit.split.train) for model, network, unit in trained]


def bundles(units: Sequence[Unit]) -> list[Bundle]:
    """All units in order, those whose networks can be trained at once together."""
    model = build(units[0].model)
    if not isinstance(model, Network) or units[0].model.draws_dropout:
        return [Bundle([unit]) for unit in units]
    size = max(1, model.training.sessions_at_once // model.training.batch_size)
    n_bundles = max(math.ceil(len(units) / size), min(N_BUNDLES, len(units) // FEWEST))
    return [Bundle([units[i] for i in p]) for p in np.array_split(range(len(units)), n_bundles)]


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a table whole or not at all."""
    unfinished = path.with_suffix(".tmp")
    words = list(table.select_dtypes("category"))  # numbers seldom repeat
    rows = pa.Table.from_pandas(table, preserve_index=False)
    parquet.write_table(rows, unfinished, use_dictionary=words, write_statistics=False)
    unfinished.replace(path)
