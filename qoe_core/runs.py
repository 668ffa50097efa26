"""What finished experiments left on disk: where it is, and reading it back.

A study groups experiments: the chapter reads its own and never an exploration.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from qoe_core.paths import RUNS

WEIGHTS = "weights.safetensors"
HISTORY = "history.parquet"  # one row an epoch
WORDS = pa.dictionary(pa.int32(), pa.large_string())
_SOURCE = re.compile(r"[\w-]+/(?P<dataset>[a-z0-9_]+)--(?P<split>[a-z-]+)/[\w-]+")


def run_folder(study: str, dataset: str, split: str, model: str) -> Path:
    """Folder of one experiment's tables."""
    return RUNS / study / f"{dataset}--{split}" / model


def load(
    study: str,
    dataset: str,
    split: str,
    models: Sequence[str],
    table: str,
    **chosen: Any,
) -> pd.DataFrame:
    """One table of several finished experiments: predictions, overall or scores.

    `chosen` names `columns` or has `filters`, as `pyarrow.parquet.read_table` takes them, for what
    a large table is not needed as a whole.

    Raises:
        ValueError: one of them has not been run.
    """
    paths = []
    for model in models:
        path = run_folder(study, dataset, split, model) / f"{table}.parquet"
        if not path.exists():
            raise ValueError(
                f"{path}: no such table; `make results` writes it, or notebooks/02_train.ipynb "
                f"with study={study!r}, dataset={dataset!r}, split={split!r}, model={model!r}"
            )
        paths.append(path)
    return joined(paths, **chosen)


def joined(paths: Sequence[Path], **chosen: Any) -> pd.DataFrame:
    """Tables in files, one below the other, text as sorted categories; `chosen` as in `load`."""
    filled = [path for path in paths if parquet.read_metadata(path).num_rows]
    if not filled:
        return pd.read_parquet(paths[0])  # whose columns may have no type to filter by
    tables = [_coded(parquet.read_table(path, **chosen)) for path in filled]
    whole = pa.concat_tables(tables, promote_options="permissive").unify_dictionaries()
    frame = whole.to_pandas()
    for name, words in frame.select_dtypes("category").items():
        frame[name] = words.cat.reorder_categories(sorted(words.cat.categories))
    return frame


def _coded(table: pa.Table) -> pa.Table:
    """Text as a number for each of few words, which keeps a million rows small."""
    text = pa.types.is_string, pa.types.is_large_string, pa.types.is_dictionary
    fields = [f.with_type(WORDS) if any(is_(f.type) for is_ in text) else f for f in table.schema]
    return table.cast(pa.schema(fields, table.schema.metadata))


def tested(study: str, dataset: str, split: str, model: str) -> pd.DataFrame:
    """What a model said of its test sessions: overall where anybody rated that, else by second.

    Raises:
        ValueError: it has not been run.
    """
    where, test = (study, dataset, split, [model]), [("part", "==", "test")]
    table = load(*where, "overall", filters=test)
    if table.empty:
        table = load(*where, "predictions", filters=test)
    return table[table["model"] == model]


def commits(study: str, dataset: str, split: str, models: Sequence[str]) -> dict[str, str]:
    """The commit that each finished experiment was run at, by model."""
    folders = {model: run_folder(study, dataset, split, model) for model in models}
    return {model: record(folder)["commit"] for model, folder in folders.items()}


def record(folder: Path) -> dict[str, Any]:
    """The run.json of an experiment's folder."""
    return json.loads((folder / "run.json").read_text())


def history(folder: Path) -> pd.DataFrame:
    """One row an epoch of an experiment's first unit; empty for an ensemble or without epochs."""
    for digest in record(folder)["units"].values():
        path = folder / "units" / digest / HISTORY
        return pd.read_parquet(path) if path.exists() else pd.DataFrame()
    return pd.DataFrame()


def unit_title(fold: str, seed: int) -> str:
    """What a fold and seed are called in run.json."""
    return f"fold {fold}, seed {seed}"


def weights(source: str, dataset: str, split: str, fold: str, seed: int) -> Path:
    """The weights of a finished experiment that a fold of another may go on from.

    On the same data set those of the same split, fold and seed, since all others were trained on
    what this fold tests; on another data set those of its first fold with the seed, unless they
    went on from this one. Whether two data sets share contents is for the caller to know.

    Args:
        source: "<study>/<dataset>--<split>/<model>", a folder under RUNS.
        dataset, split, fold, seed: what shall be trained.

    Raises:
        ValueError: no such experiment, or none of its folds may be used.
    """
    named, *earlier = _lineage(source)
    units = record(RUNS / source)["units"]
    wanted = [title for title in units if title.endswith(f", seed {seed}")]
    if named["dataset"] == dataset:
        same_split = named["split"] == split
        wanted = [title for title in wanted if same_split and title == unit_title(fold, seed)]
    elif dataset in [start["dataset"] for start in earlier]:
        wanted = []
    paths = [RUNS / source / "units" / units[title] / WEIGHTS for title in wanted]
    if not paths or not paths[0].exists():
        raise ValueError(
            f"{source}: no weights that {dataset}, {split}, {unit_title(fold, seed)} may go on "
            "from; expected a network, on the same data set the same split, fold and seed, and on "
            "another one no start from this one, since others were trained on what this fold tests"
        )
    return paths[0]


def _lineage(source: str) -> list[re.Match[str]]:
    """Names of a finished experiment and of those whose weights it went on from, latest first."""
    lineage: dict[str, re.Match[str]] = {}
    while source and source not in lineage:
        named = _SOURCE.fullmatch(source)
        if named is None or not (RUNS / source / "run.json").exists():
            raise ValueError(
                f"start is {source!r}, expected <study>/<dataset>--<split>/<model> of a finished "
                f"experiment under {RUNS}; has it been run?"
            )
        lineage[source] = named
        source = record(RUNS / source)["experiment"].get("start", "")
    return list(lineage.values())
