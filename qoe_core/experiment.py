"""One experiment: (data set, split, model, seeds) to predictions table, scores and run.json.

A finished unit, one fold with one seed, is never computed again; an unfinished one goes on from its
checkpoint. Ratings in all tables are on the [0, 1] label scale of their fold.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from qoe_core import parallel, provenance
from qoe_core.ensemble import mean_of_seeds
from qoe_core.inputs import features, identity, prepare
from qoe_core.models.interface import training_ratings
from qoe_core.models.table_rows import ModelConfig, build
from qoe_core.qos import Scaling
from qoe_core.runs import joined, run_folder, weights
from qoe_core.session import Session
from qoe_core.split import Split
from qoe_core.splits import SPLITS, folds
from qoe_core.units import Bundle, Unit, bundles, run_bundle, write

TABLES = ("predictions", "overall", "scores")


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """What is trained and tested, and on what; everything that its numbers depend on.

    Raises:
        ValueError: an unknown split or scaling, no seed, or one twice, itself as its start, or an
            ensemble under a split that each seed draws anew.
    """

    dataset: str
    split: str  # a key of splits.SPLITS
    model: ModelConfig
    study: str = "explore"  # what it belongs to; the chapter never reads an exploration
    seeds: tuple[int, ...] = (0, 1, 2)
    scaling: str = "train"  # or whole-dataset: min and max over test sessions too
    start: str = ""  # "<study>/<dataset>--<split>/<model>" whose weights training goes on from

    def __post_init__(self):
        """Refuse names that nothing answers to."""
        if self.split not in SPLITS:
            raise ValueError(f"split is {self.split!r}, expected one of {list(SPLITS)}")
        if self.scaling not in ("train", "whole-dataset"):
            raise ValueError(f"scaling is {self.scaling!r}, expected 'train' or 'whole-dataset'")
        if not self.seeds or min(self.seeds) < 0 or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds are {self.seeds}, expected at least one, each once, from 0 on")
        if self.model.is_ensemble and self.split == "random-by-video":
            raise ValueError(
                f"{self.name}: every seed draws another split, so there is nothing to average; "
                f"expected one of {[name for name in SPLITS if name != self.split]}"
            )
        if self.folder.parts[-3:] == tuple(self.start.split("/")):
            raise ValueError(f"start is {self.start!r}, the experiment itself; expected another")

    @property
    def name(self) -> str:
        """Data set, split and model."""
        return f"{self.dataset}--{self.split}--{self.model.name}"

    @property
    def folder(self) -> Path:
        """Where its tables are."""
        return run_folder(self.study, self.dataset, self.split, self.model.name)


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
        RuntimeError: a video or a unit failed; names it. The others are kept.
    """
    if experiment.model.is_ensemble:
        return _run_ensemble(experiment, sessions, released, workers)
    prepare(sessions, experiment.model.seen, workers)
    units = plan(experiment, sessions, released)
    missing = [unit for unit in units if not unit.is_finished]
    _compute(units, workers, f"{experiment.model.name} on {experiment.dataset}")
    for name in TABLES:
        of_units = [unit.folder / f"{name}.parquet" for unit in units]
        write(joined(of_units), experiment.folder / f"{name}.parquet")
    facts = [json.loads((unit.folder / "unit.json").read_text()) for unit in units]
    record = {
        "experiment": dataclasses.asdict(experiment),
        "commit": " ".join(sorted({fact["commit"] for fact in facts})),
        "device": " ".join(sorted({fact["device"] for fact in facts})),
        "seconds": round(sum(fact["seconds"] for fact in facts), 1),
        "device_memory_mb": max(fact["peak_memory_mb"] for fact in facts),
        **provenance.record(sessions),
        "units": {unit.title: unit.folder.name for unit in units},
        "computed": len(missing),
    }
    (experiment.folder / "run.json").write_text(json.dumps(record, indent=1) + "\n")
    return experiment.folder


def finished(experiment: Experiment) -> Path:
    """The folder of an experiment that has been run as it is described here.

    Raises:
        ValueError: it has not been run, or otherwise; names what differs.
    """
    path = experiment.folder / "run.json"
    if not path.exists():
        raise ValueError(f"{path}: no such file; {experiment.name} has not been run")
    described = json.loads(json.dumps(dataclasses.asdict(experiment)))
    both = json.loads(path.read_text())["experiment"], described
    found, wanted = (pd.json_normalize(fields).to_dict("records")[0] for fields in both)
    unlike = {
        key: (found.get(key), value) for key, value in wanted.items() if found.get(key) != value
    }
    if unlike:
        raise ValueError(f"{path}: was run otherwise, {unlike} (found, expected)")
    return experiment.folder


def _compute(units: Sequence[Unit], workers: int | None, title: str) -> None:
    todo = [rest for rest in (bundle.rest for bundle in bundles(units)) if rest is not None]
    expected_s = max((bundle.expected_s for bundle in todo), default=0.0)
    try:
        parallel.each(run_bundle, todo, workers=workers, title=title, expected_s=expected_s)
    except RuntimeError:
        if all(len(bundle.units) == 1 for bundle in todo):
            raise
        # one unit that cannot be trained shall not keep the others of its bundle from it
        alone = [Bundle([unit]) for unit in units if not unit.is_finished]
        parallel.each(run_bundle, alone, workers=workers, title=f"{title}, one by one")
    for bundle in bundles(units):  # one may have been killed between its last table and this
        bundle.checkpoint.unlink(missing_ok=True)


def _run_ensemble(
    experiment: Experiment,
    sessions: Sequence[Session],
    released: Mapping[str, Sequence[str]] | None,
    workers: int | None,
) -> Path:
    """Run the seeds as an experiment of their own, then average what they said."""
    member = dataclasses.replace(experiment, model=experiment.model.member)
    folder = run(member, sessions, released, workers)
    predictions, overall = (pd.read_parquet(folder / f"{name}.parquet") for name in TABLES[:2])
    averaged = mean_of_seeds(predictions, overall, member.model.name, experiment.model.name)
    experiment.folder.mkdir(parents=True, exist_ok=True)
    for name, table in averaged.items():
        write(table, experiment.folder / f"{name}.parquet")
    record = json.loads((folder / "run.json").read_text())
    record["experiment"] = dataclasses.asdict(experiment)
    text = json.dumps(record | {"units": {}, "members": member.name}, indent=1)
    (experiment.folder / "run.json").write_text(text + "\n")
    return experiment.folder


def plan(
    experiment: Experiment,
    sessions: Sequence[Session],
    released: Mapping[str, Sequence[str]] | None = None,
) -> list[Unit]:
    """Every (fold, seed) of an experiment; one seed where neither model nor test part needs more.

    Raises:
        ValueError: sessions without a label or an input that others have.
    """
    model = build(experiment.model)
    whole = experiment.scaling == "whole-dataset"
    training_ratings(sessions)
    scaling = None
    if hasattr(model, "inputs"):
        # always fitted: it refuses what a session lacks before anything is trained
        spanned = Scaling.fit(features(session, model.inputs) for session in sessions)
        scaling = spanned if whole else None
    seeds_matter = model.seeded or experiment.split == "random-by-video"
    seen = experiment.model.seen
    digests = {s.name: (provenance.session_digest(s), *identity(s, seen)) for s in sessions}
    facts = {
        "code": provenance.code_digest(*experiment.model.own_code),
        "model": experiment.model.what_matters(),
        "scaling": experiment.scaling,
    }
    units = []
    for seed in experiment.seeds if seeds_matter else experiment.seeds[:1]:
        for split in folds(experiment.split, sessions, seed, released):
            used = split if model.stops_early else split.without_validation()
            # validation too, so that all models of a fold are scored on one scale
            labelled = sessions if whole else (*split.train, *split.validation)
            start = _start(experiment, split.fold, seed)
            facts |= {
                "split": (experiment.dataset, used.name, used.fold),
                "seed": seed,
                "start": start and provenance.file_digest(start),
                "labelled": sorted(digests[session.name] for session in labelled),
                "parts": {p: [digests[s.name] for s in part] for p, part in used.parts.items()},
            }
            units.append(_unit(experiment, used, seed, scaling, labelled, start, facts))
    return units


def _unit(
    experiment: Experiment,
    split: Split,
    seed: int,
    scaling: Scaling | None,
    labelled: Sequence[Session],
    start: Path | None,
    facts: Mapping[str, object],
) -> Unit:
    columns = {
        "experiment": experiment.name,
        "dataset": experiment.dataset,
        "split": split.name,
        "fold": split.fold,
        "seed": seed,
        "model": experiment.model.name,
    }
    digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:20]
    return Unit(
        model=experiment.model,
        columns=columns,
        split=split,
        seed=seed,
        scaling=scaling,
        label_sessions=labelled,
        start=start,
        folder=experiment.folder / "units" / digest,
    )


def _start(experiment: Experiment, fold: str, seed: int) -> Path | None:
    if not experiment.start:
        return None
    return weights(experiment.start, experiment.dataset, experiment.split, fold, seed)
