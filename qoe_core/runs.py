"""What finished experiments left on disk: where it is, and reading it back.

A study groups experiments: the chapter reads its own and never an exploration.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from qoe_core import checkpoint
from qoe_core.paths import RUNS
from qoe_core.training import CHECKPOINT


def run_folder(study: str, dataset: str, split: str, model: str) -> Path:
    """Folder of one experiment's tables."""
    return RUNS / study / f"{dataset}--{split}" / model


def load(study: str, dataset: str, split: str, models: Sequence[str], table: str) -> pd.DataFrame:
    """One table of several finished experiments: predictions, overall or scores.

    Raises:
        ValueError: one of them has not been run.
    """
    tables = []
    for model in models:
        path = run_folder(study, dataset, split, model) / f"{table}.parquet"
        if not path.exists():
            raise ValueError(
                f"{path}: no such table; `make results` writes it, or notebooks/02_train.ipynb "
                f"with study={study!r}, dataset={dataset!r}, split={split!r}, model={model!r}"
            )
        tables.append(pd.read_parquet(path))
    return pd.concat([t for t in tables if len(t)] or tables[:1], ignore_index=True)


def commits(study: str, dataset: str, split: str, models: Sequence[str]) -> dict[str, str]:
    """The commit that each finished experiment was run at, by model."""
    folders = {model: run_folder(study, dataset, split, model) for model in models}
    return {m: json.loads((f / "run.json").read_text())["commit"] for m, f in folders.items()}


def histories(folder: Path) -> pd.DataFrame:
    """One row per unit and epoch of an experiment's folder; empty for models without epochs."""
    units = json.loads((folder / "run.json").read_text())["units"]
    paths = {unit: folder / "units" / digest / CHECKPOINT for unit, digest in units.items()}
    rows = [
        {"unit": unit, **row}
        for unit, path in paths.items()
        if path.exists()
        for row in checkpoint.load(path)[1]["rows"]
    ]
    return pd.DataFrame(rows)
