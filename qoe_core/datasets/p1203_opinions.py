"""What viewers said in the ITU-T P.1203 open data set: mean scores and every single rating.

Only `subjective_scores` is read: the `mos.csv` and `ratings.csv` beside it hold a fifth database,
VL14, that has no input of the model. `subject` is unique only inside a database and context.
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float

from qoe_core.datasets.release import csv_table, series

SCALE = (1.0, 5.0)
STIMULUS = re.compile(r"([A-Z]{2}[0-9]{2})_(SRC[0-9]{2,3})_(HRC[0-9]{2,3})")
MOS = Path("subjective_scores", "mos.csv")
RATINGS = Path("subjective_scores", "ratings.csv")
KEY = ["pvs_id", "context"]


def opinions(folder: Path) -> pd.DataFrame:
    """A row per rated session, in the order of the release: pvs_id, context, mos, n, ci.

    Raises:
        ValueError: a damaged file, a session twice, or a name of another form.
    """
    path = folder / MOS
    table = csv_table(path, ["mos", "n", "ci"], KEY)
    series(path, "mos", table["mos"], low=SCALE[0], high=SCALE[1])
    series(path, "ci", table["ci"], low=0.0, high=SCALE[1] - SCALE[0])
    refuse_doubles(path, table, KEY)
    for pvs, context in zip(table["pvs_id"], table["context"], strict=True):
        if not STIMULUS.fullmatch(pvs) or context not in ("pc", "mobile"):
            raise ValueError(
                f"{path}: has {pvs!r} in context {context!r}, expected a name like "
                "TR04_SRC001_HRC01 in pc or mobile; is this another release?"
            )
    return table


def refuse_doubles(path: Path, table: pd.DataFrame, columns: list[str]) -> None:
    """Raise ValueError if two rows agree in all of `columns`."""
    doubles = np.flatnonzero(table.duplicated(columns))
    if doubles.size:
        raise ValueError(
            f"{path}, row {doubles[0]}: {dict(table.loc[doubles[0], columns])} is given before, "
            "expected it once; were two files joined?"
        )


def ratings(
    folder: Path, rated: pd.DataFrame
) -> dict[tuple[str, str], Float[np.ndarray, " _viewer"]]:
    """Scores of each session of `opinions`, one per viewer of its database and context.

    Viewers keep the order of the release; NaN where one did not rate the session.

    Raises:
        ValueError: a damaged file, a viewer twice, or another number or mean than in `rated`.
    """
    path = folder / RATINGS
    table = csv_table(path, ["rating"], [*KEY, "subject"])
    series(path, "rating", table["rating"], low=SCALE[0], high=SCALE[1])
    refuse_doubles(path, table, [*KEY, "subject"])
    table["database"] = table["pvs_id"].str.split("_").str[0]
    scores = {}
    for _, viewing in table.groupby(["database", "context"], sort=False):
        viewers = viewing["subject"].unique()
        for key, session in viewing.groupby(KEY):
            given = session.set_index("subject")["rating"].reindex(viewers)
            scores[key] = given.to_numpy(float)
    said = {(row.pvs_id, row.context): row for row in rated.itertuples()}
    if scores.keys() != said.keys():
        odd = sorted(scores.keys() ^ said.keys())
        raise ValueError(
            f"{path}: {odd[0]} is only here or only in {MOS.name} ({len(odd)} sessions are), "
            "expected in both; is one of them truncated, or from another release?"
        )
    for key, row in said.items():
        n, mean = np.isfinite(scores[key]).sum(), np.nanmean(scores[key])
        if n != row.n or abs(mean - row.mos) > 1e-6:
            raise ValueError(
                f"{path}: {key} has {n} ratings of mean {mean}, mos.csv says {row.n:g} of mean "
                f"{row.mos}, expected the same; are rows missing?"
            )
    return scores
