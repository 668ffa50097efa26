"""What a number owes to its protocol: split, seconds counted, aggregation, serial dependence."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from qoe_core import runs
from qoe_core.blocks import continuous_blocks
from qoe_core.bootstrap import interval
from qoe_core.predictions import ONSET_S
from qoe_core.session import Session
from qoe_core.statistics import effective_samples, lag1_autocorrelation


def leakage(study: str, dataset: str, splits: Sequence[str], models: Sequence[str]) -> pd.DataFrame:
    """Test scores of the same models under several splits.

    Columns: split, model, metric, n, undefined, mean, low, high, median.
    """
    tables = []
    for split in splits:
        scores = runs.load(study, dataset, split, models, "scores")
        table = _test_scores(scores, from_second=0)
        table.insert(0, "split", split)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def onset(scores: pd.DataFrame) -> pd.DataFrame:
    """Test scores with all seconds and without the first ONSET_S, as `leakage` plus from_second."""
    tables = [_test_scores(scores, start).assign(from_second=start) for start in (0, ONSET_S)]
    return pd.concat(tables, ignore_index=True)


def serial_dependence(sessions: Sequence[Session]) -> pd.DataFrame:
    """Lag-1 autocorrelation of each rated session, and how many independent seconds it leaves.

    Columns: session, n_seconds, lag1 (NaN where the rating is constant), effective.
    """
    rows = []
    for session in sessions:
        lag1 = effective = np.nan
        if np.ptp(session.rated) > 0:
            lag1 = lag1_autocorrelation(session.rated)
            effective = effective_samples(session.n_seconds, lag1)
        rows.append((session.name, session.n_seconds, lag1, effective))
    return pd.DataFrame(rows, columns=["session", "n_seconds", "lag1", "effective"])


def _test_scores(scores: pd.DataFrame, from_second: int) -> pd.DataFrame:
    rows = []
    for block in continuous_blocks(scores, "test", from_second):
        bounds = interval(block.estimate)
        for i, model in enumerate(block.models):
            summary = block.summaries[i]
            rows.append(
                {
                    "model": model,
                    "metric": block.metric,
                    "n": summary.n,
                    "undefined": summary.undefined,
                    "mean": bounds.value[i],
                    "low": bounds.low[i],
                    "high": bounds.high[i],
                    "median": summary.median,
                }
            )
    return pd.DataFrame(rows)
