"""The mean of what several seeds of one model said, as a model of its own with the one seed 0."""

import pandas as pd

from qoe_core.predictions import session_scores

ROW = ["model", "fold", "session"]


def mean_of_seeds(
    predictions: pd.DataFrame, overall: pd.DataFrame, member: str, name: str
) -> dict[str, pd.DataFrame]:
    """Predictions, overall and scores tables of the ensemble called `name`.

    A session counts as trained on where it was by one of the seeds.

    Args:
        predictions: one row a second, of all seeds of one experiment.
        overall: one row a session and seed, trace means included.
        member: the model's name in both, which `name` takes the place of.
        name: the ensemble's.

    Raises:
        ValueError: the seeds were not tested on the same sessions.
    """
    seconds = _averaged(predictions, [*ROW, "second"])
    tables = {"predictions": seconds, "overall": _averaged(overall, ROW)}
    for table in tables.values():
        # one begins with the member's name, the other ends with it
        models, experiments = (table[column].astype(str).str for column in ("model", "experiment"))
        table["model"] = (name + models.removeprefix(member)).astype("category")
        table["experiment"] = (experiments.removesuffix(member) + name).astype("category")
    folds = [fold for _, fold in seconds.groupby("fold", sort=False, observed=True)]
    scores = [session_scores(fold) for fold in folds or [seconds]]
    return tables | {"scores": pd.concat(scores, ignore_index=True)}


def _averaged(table: pd.DataFrame, row: list[str]) -> pd.DataFrame:
    if table.empty:
        return table.copy()
    n_seeds = table["seed"].nunique()
    marked = table.assign(tested=table["part"] == "test", trained=table["part"] == "train")
    by_row = marked.groupby(row, sort=False, observed=True)
    tested = by_row["tested"].sum()
    if (by_row.size() != n_seeds).any() or not tested.isin([0, n_seeds]).all():
        raise ValueError(
            f"{n_seeds} seeds of {table['experiment'].iloc[0]} were tested on different sessions, "
            "expected the same; does the seed draw the split?"
        )
    averaged = by_row.first().assign(predicted=by_row["predicted"].mean(), seed=0)
    averaged.loc[by_row["trained"].any(), "part"] = "train"
    return averaged.reset_index()[list(table.columns)]
