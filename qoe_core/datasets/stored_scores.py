"""Scores that other people's predictors gave to the sessions of a release, stored beside it.

Nothing here was trained or run by us. One row a session and predictor: COLUMNS, sessions in the
order of the reader. Every predictor has a scale of its own, and some fall where quality rises; no
score is mapped here.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from qoe_core.datasets import catalog
from qoe_core.datasets.p1203 import SAME_SOURCE, stored_outputs
from qoe_core.datasets.release import csv_table, series

COLUMNS = ["dataset", "session", "content", "model", "predicted"]
KSQI_SCORES = Path("ksqi_published_results", "scores.csv")
STALLS_ONLY = "FTW"  # the predictor of KSQI's files that sees nothing but stalls
NETFLIX_MODELS = (
    *(STALLS_ONLY, "Mok2011QoE", "Liu2012QoE", "Yin2015QoE", "Spiteri2016QoE"),
    *("Bentaleb2016QoE", "SQI", "P1203", "VideoATLAS", "KSQI"),
)
WATERLOO_MODELS = (*NETFLIX_MODELS[:3], "Xue2014QoE", *NETFLIX_MODELS[3:])
NETFLIX_CONTENTS, NETFLIX_PATTERNS = 14, 8
STALL_FREE = (0, 2, 4, 7)  # patterns of LIVE-Netflix


def read(dataset: str) -> pd.DataFrame:
    """All stored scores of one data set; no rows where none were stored with it.

    Raises:
        ValueError: the data set is not on disk, or as the readers below.
    """
    if dataset not in READERS:
        return pd.DataFrame({name: pd.Series(dtype=object) for name in COLUMNS})
    return READERS[dataset](catalog.folder(dataset))


def of_live_netflix(folder: Path) -> pd.DataFrame:
    """KSQI and nine rivals on LIVE-Netflix, as published with KSQI.

    The file numbers its rows 001 to 112 and names no video: they are content-major, pattern by
    pattern. Held against it: FTW sees only stalls, so its best score has to be that of the four
    patterns without one, and of no other.

    Raises:
        ValueError: a damaged file, another number of rows, other columns, or another order.

    Source: Duanmu et al., arXiv 1911.07944, and its repository zduanmu/ksqi.
    """
    n_rows = NETFLIX_CONTENTS * NETFLIX_PATTERNS
    table = _ksqi_table(folder, NETFLIX_MODELS, [f"{row + 1:03d}.csv" for row in range(n_rows)])
    content, pattern = np.divmod(np.arange(n_rows), NETFLIX_PATTERNS)
    best = table[STALLS_ONLY] == table[STALLS_ONLY].max()
    wrong = np.flatnonzero(best != np.isin(pattern, STALL_FREE))
    if wrong.size:
        row = wrong[0]
        raise ValueError(
            f"{folder / KSQI_SCORES}, row {row}: {STALLS_ONLY} is {table[STALLS_ONLY][row]}, "
            f"expected {'less than ' if best[row] else ''}{table[STALLS_ONLY].max()} for content "
            f"{content[row] + 1}, pattern {pattern[row]}; are the rows not content-major?"
        )
    names = [f"content_{c + 1}_seq_{p}" for c, p in zip(content, pattern, strict=True)]
    return _tidy("live_netflix", table, names, [f"content_{c + 1:02d}" for c in content])


def of_waterloo4(folder: Path) -> pd.DataFrame:
    """KSQI and ten rivals on Waterloo SQoE-IV, rows named and in the order of `data.csv`.

    Raises:
        ValueError: a damaged file, other rows than `data.csv`, or other columns.

    Source: as `of_live_netflix`.
    """
    listed = csv_table(folder / "data.csv", [], ["streaming_log", "content"])
    logs = listed["streaming_log"].tolist()
    table = _ksqi_table(folder, WATERLOO_MODELS, logs)
    return _tidy("waterloo4", table, [Path(log).stem for log in logs], listed["content"].tolist())


def of_p1203(folder: Path) -> pd.DataFrame:
    """P.1203's own overall scores O46 in modes 0 to 3, on the opinion scale 1 to 5.

    Raises:
        ValueError: as `p1203.stored_outputs`.
    """
    table = stored_outputs(folder)
    source = table["pvs"].str.rpartition("_")[0]
    return pd.DataFrame(
        {
            "dataset": "p1203",
            "session": table["pvs"] + "_" + table["context"],
            "content": source.replace(SAME_SOURCE),
            "model": "P.1203 mode " + table["mode"].astype(int).astype(str),
            "predicted": table["O46"],
        }
    )


READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    "live_netflix": of_live_netflix,
    "p1203": of_p1203,
    "waterloo4": of_waterloo4,
}


def _ksqi_table(folder: Path, models: Sequence[str], logs: Sequence[str]) -> pd.DataFrame:
    """KSQI's file of scores: a column each for `models` and no other, a row each for `logs`."""
    path = folder / KSQI_SCORES
    table = csv_table(path, models, ["streaming_log"])
    header = path.read_text(encoding="utf-8").splitlines()[0].split(",")
    if header != ["streaming_log", *models]:
        raise ValueError(
            f"{path}: has columns {header}, expected {['streaming_log', *models]}; was a predictor "
            "added or moved?"
        )
    series(path, "streaming_log", np.zeros(len(table)), length=len(logs))
    for row, (found, expected) in enumerate(zip(table["streaming_log"], logs, strict=True)):
        if found != expected:
            raise ValueError(
                f"{path}, row {row}: streaming_log is {found!r}, expected {expected!r}; "
                "was the file sorted?"
            )
    return table


def _tidy(
    dataset: str, table: pd.DataFrame, names: Sequence[str], contents: Sequence[str]
) -> pd.DataFrame:
    wide = table.drop(columns="streaming_log").assign(
        dataset=dataset, session=names, content=contents
    )
    return wide.melt(COLUMNS[:3], var_name="model", value_name="predicted")[COLUMNS]
