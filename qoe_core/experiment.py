"""One experiment: (data set, split, model, seeds) to predictions table, scores and run.json.

Every (fold, seed) is a unit with a folder of its own, named by a digest of all that its numbers
depend on: configuration, sessions, code. A finished unit is never computed again; an unfinished one
goes on from its checkpoint. Ratings in all tables are on the [0, 1] label scale of their fold.
"""

import dataclasses
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from qoe_core import parallel, provenance
from qoe_core.models.interface import Fitted
from qoe_core.models.network import FittedNetwork
from qoe_core.models.table_rows import ModelConfig, build
from qoe_core.paths import RUNS
from qoe_core.predictions import fold_tables, session_scores
from qoe_core.qos import Scaling, features
from qoe_core.session import Session
from qoe_core.splits import SPLITS, Split, folds

TABLES = ("predictions", "overall", "scores")


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """What is trained and tested, and on what; everything that its numbers depend on.

    Raises:
        ValueError: an unknown split or scaling, or no seed.
    """

    dataset: str
    split: str  # a key of splits.SPLITS
    model: ModelConfig
    seeds: tuple[int, ...] = (0, 1, 2)
    scaling: str = "train"  # or whole-dataset: min and max over test sessions too

    def __post_init__(self):
        """Refuse names that nothing answers to."""
        if self.split not in SPLITS:
            raise ValueError(f"split is {self.split!r}, expected one of {list(SPLITS)}")
        if self.scaling not in ("train", "whole-dataset"):
            raise ValueError(f"scaling is {self.scaling!r}, expected 'train' or 'whole-dataset'")
        if not self.seeds or min(self.seeds) < 0:
            raise ValueError(f"seeds are {self.seeds}, expected at least one, none negative")

    @property
    def name(self) -> str:
        """Data set, split and model."""
        return f"{self.dataset}--{self.split}--{self.model.name}"

    @property
    def folder(self) -> Path:
        """Where its tables are."""
        return run_folder(self.dataset, self.split, self.model.name)


def run_folder(dataset: str, split: str, model: str) -> Path:
    """Folder of one experiment's tables."""
    return RUNS / "train" / f"{dataset}--{split}" / model


def run(
    experiment: Experiment,
    sessions: Sequence[Session],
    released: Mapping[str, Sequence[str]] | None = None,
    workers: int | None = None,
) -> Path:
    """Compute what is missing, write the experiment's tables, return their folder.

    Args:
        experiment: what to run.
        sessions: all sessions of its data set.
        released: released training lists, for the split "released".
        workers: processes; None for the cores there are.

    Raises:
        ValueError: the data set cannot do what is asked, before anything is trained.
        RuntimeError: a unit failed; names fold and seed. The others are kept.
    """
    started = time.perf_counter()
    units = plan(experiment, sessions, released)
    missing = [unit for unit in units if not (unit.folder / "scores.parquet").exists()]
    title = f"{experiment.model.name} on {experiment.dataset}"
    parallel.each(run_unit, missing, workers=workers, title=title)
    tables = {name: _gather(units, name) for name in TABLES}
    for name, table in tables.items():
        _write(table, experiment.folder / f"{name}.parquet")
    record = {
        "experiment": dataclasses.asdict(experiment),
        "units": {f"{unit.split.fold}, seed {unit.seed}": unit.folder.name for unit in units},
        "computed": len(missing),
        **provenance.record(sessions, started),
    }
    (experiment.folder / "run.json").write_text(json.dumps(record, indent=1) + "\n")
    return experiment.folder


@dataclass(frozen=True, eq=False)
class Unit:
    """One fold with one seed."""

    experiment: Experiment
    split: Split
    seed: int
    scaling: Scaling | None  # None: fitted on the training sessions
    label_sessions: Sequence[Session]  # whose ratings span the label scale
    folder: Path

    @property
    def name(self) -> str:
        """For messages."""
        return f"{self.experiment.model.name}, fold {self.split.fold}, seed {self.seed}"


def plan(
    experiment: Experiment,
    sessions: Sequence[Session],
    released: Mapping[str, Sequence[str]] | None = None,
) -> list[Unit]:
    """Every (fold, seed) of an experiment; models that a seed does not change have one seed."""
    model = build(experiment.model)
    scaling = None
    if experiment.scaling == "whole-dataset" and hasattr(model, "inputs"):
        scaling = Scaling.fit([features(session, model.inputs) for session in sessions])
    seeds = experiment.seeds if model.seeded else experiment.seeds[:1]
    code = provenance.code_digest()
    units = []
    for seed in seeds:
        for split in folds(experiment.split, sessions, seed, released):
            used = split if model.stops_early else split.without_validation()
            whole = experiment.scaling == "whole-dataset"
            digest = _unit_digest(experiment, used, seed, code)
            units.append(
                Unit(
                    experiment,
                    used,
                    seed,
                    scaling,
                    sessions if whole else used.train,
                    experiment.folder / "units" / digest,
                )
            )
    return units


def run_unit(unit: Unit) -> None:
    """Train, predict every session of the fold, score, and write the unit's tables."""
    model = build(unit.experiment.model, unit.scaling)
    unit.folder.mkdir(parents=True, exist_ok=True)
    split = unit.split
    fitted: Fitted = model.fit(split.train, split.validation, unit.seed, unit.folder)
    if isinstance(fitted, FittedNetwork):
        fitted.save(unit.folder / "weights.safetensors")
    columns = {
        "experiment": unit.experiment.name,
        "dataset": unit.experiment.dataset,
        "split": split.name,
        "fold": split.fold,
        "seed": unit.seed,
        "model": unit.experiment.model.name,
    }
    predictions, overall = fold_tables(fitted, split, columns, unit.label_sessions)
    _write(predictions, unit.folder / "predictions.parquet")
    _write(overall, unit.folder / "overall.parquet")
    _write(session_scores(predictions), unit.folder / "scores.parquet")


def load(dataset: str, split: str, model: str, table: str) -> pd.DataFrame:
    """One table of a finished experiment: predictions, overall or scores.

    Raises:
        ValueError: the experiment has not been run.
    """
    path = run_folder(dataset, split, model) / f"{table}.parquet"
    if not path.exists():
        raise ValueError(
            f"{path}: no such table; run notebooks/02_train.ipynb with dataset={dataset!r}, "
            f"split={split!r}, model={model!r} first (make results does)"
        )
    return pd.read_parquet(path)


def _unit_digest(experiment: Experiment, split: Split, seed: int, code: str) -> str:
    facts = {
        "code": code,
        "model": experiment.model.what_matters(),
        "split": (experiment.dataset, split.name, split.fold),
        "scaling": experiment.scaling,
        "seed": seed,
        "parts": {
            part: [provenance.session_digest(session) for session in members]
            for part, members in split.parts.items()
        },
    }
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:20]


def _gather(units: Sequence[Unit], name: str) -> pd.DataFrame:
    tables = [pd.read_parquet(unit.folder / f"{name}.parquet") for unit in units]
    return pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)


def _write(table: pd.DataFrame, path: Path) -> None:
    unfinished = path.with_suffix(".tmp")
    table.to_parquet(unfinished, index=False)
    unfinished.replace(path)
