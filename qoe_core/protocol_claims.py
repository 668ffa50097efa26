"""What a difference of protocol can be said to be: one generated sentence a subject.

Made from tables of `protocol` alone. A direction is named only where the 95 % interval over whole
contents excludes 0; else the sentence says "no evidence". RMSE is times 100. Neither way is called
better: it is the same model, or one that was trained and stopped on other sessions.
"""

import numpy as np
import pandas as pd

from qoe_core import tables
from qoe_core.claims import FEW, LEVEL
from qoe_core.protocol import OUTLIER_RATIO

TITLES = tables.TITLES | {OUTLIER_RATIO: "OR"}
EVIDENCE = {"higher": "higher with", "lower": "lower with"}
NO_EVIDENCE = {"no evidence": "no evidence of a difference with", "undefined": "undefined with"}


def verdict(low: float, high: float) -> str:
    """The direction that an interval allows to name; NaN bounds are those of no difference.

    >>> verdict(0.1, 0.2), verdict(-0.2, -0.1), verdict(0.0, 0.1), verdict(np.nan, np.nan)
    ('higher', 'lower', 'no evidence', 'undefined')
    """
    if np.isnan(low) or np.isnan(high):
        return "undefined"
    if low <= 0 <= high:
        return "no evidence"
    return "higher" if low > 0 else "lower"


def sentence(contrast: pd.DataFrame, of: str) -> str:
    """What a table of `protocol.contrast` says of `of`, such as "lfovia, released".

    Each model is named with its difference, second way minus first, the interval, and both values.
    """
    subject, first, second = contrast[["subject", "first", "second"]].iloc[0]
    n, tested, contents, seeds = contrast[["n", "n_tested", "contents", "seeds"]].max()
    sessions = f"{n} test sessions" if n == tested else f"{n} of {tested} test sessions"
    clauses = [f"{TITLES[metric]} {_clause(rows)}" for metric, rows in contrast.groupby("metric")]
    if contents <= FEW:
        clauses.append(f"the intervals rest on only {contents} contents and are too narrow")
    return (
        f"{of}, {subject}, {sessions} of {contents} contents, {seeds} seed{'s' * (seeds > 1)}, "
        f"{second} against {first}: {'; '.join(clauses)}."
    )


def distance_sentence(contrast: pd.DataFrame, reported: pd.DataFrame) -> str:
    """How far either way of training a network is from what papers report for it, in PLCC.

    `contrast` is that of one network, `reported` has rows of `tables.published`.
    """
    (row,) = contrast[contrast["metric"] == "plcc"].to_dict("records")
    ways = {row["first"]: row["mean_first"], row["second"]: row["mean_second"]}
    clauses = [
        f"{of['plcc']:.3f} is reported ({tables.MARKS[of['mark']]}; {of['aggregation']}, "
        f"{of['split']}), "
        + " and ".join(f"{value - of['plcc']:+.3f} {way}" for way, value in ways.items())
        for of in reported.to_dict("records")
    ]
    here = " and ".join(f"{value:.3f} {way}" for way, value in ways.items())
    return f"{row['model']}, PLCC {here}; {'; '.join(clauses) or 'no paper reports one'}."


def dependence_sentence(dependence: pd.DataFrame, of: str) -> str:
    """What `protocol.serial_dependence` says of `of`."""
    constant = int(dependence["lag1"].isna().sum())
    left_out = f", {constant} constant ones left out" if constant else ""
    lag1, seconds, effective = dependence[["lag1", "n_seconds", "effective"]].median()
    return (
        f"{of}, dependence, {len(dependence)} rated sessions{left_out}: median lag-1 "
        f"autocorrelation {lag1:.2f}, so a session of {seconds:.0f} seconds is worth about "
        f"{effective:.1f} independent ones (medians)."
    )


def _clause(rows: pd.DataFrame) -> str:
    """What one metric says of every model, by verdict."""
    said: dict[str, list[str]] = {name: [] for name in EVIDENCE | NO_EVIDENCE}
    for row in rows.to_dict("records"):
        said[verdict(row["low"], row["high"])].append(_named(row))
    words = EVIDENCE | NO_EVIDENCE
    return " | ".join(
        f"{words[name]} {', '.join(models)}" for name, models in said.items() if models
    )


def _named(row: dict) -> str:
    word = verdict(row["low"], row["high"])
    if word == "undefined":
        return row["model"]
    factor, digits = tables.printed(row["metric"])
    difference, low, high, first, second = (
        f"{round(row[name] * factor, digits) + 0.0:.{digits}f}"  # + 0.0: never "-0.00"
        for name in ("difference", "low", "high", "mean_first", "mean_second")
    )
    found = f"{row['model']} {difference} [{low}, {high}] ({first} to {second}"
    if row["undefined"]:
        found += f", {row['undefined']} undefined"
    if word in EVIDENCE and row["p_holm"] >= LEVEL:
        found += ", not after Holm"
    return f"{found})"
