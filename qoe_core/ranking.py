"""Models ranked over data sets: Friedman's test and Nemenyi's critical difference.

A block is one data set under one split, and says which model is best, second and so on; rank 1 is
the best, ties share their mean rank. Blocks count as independent, so take one split of a data set.

Source: Demšar, "Statistical comparisons of classifiers over multiple data sets", JMLR 7, 2006,
section 3.2. Deviation: Friedman's statistic is corrected for ties, which his formula is not.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from qoe_core.metrics import DIRECTION

LEVEL = 0.05
FEW_BLOCKS = 5  # below, the test has little power
BLOCK = ["dataset", "split"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Ranking:
    """Mean ranks of the models that every block has a value of, the best first."""

    target: str
    metric: str
    blocks: tuple[str, ...]
    ranks: pd.Series  # mean rank by model, rising
    statistic: float  # of Friedman, chi-square with one degree of freedom fewer than models
    p: float  # of Friedman: that all models rank alike
    critical_difference: float  # of mean ranks, at LEVEL
    left_out: tuple[str, ...]  # models without a value in some block

    @property
    def groups(self) -> list[tuple[str, ...]]:
        """Models that are not told apart: the longest runs with ranks closer than the difference.

        A model that is told apart from all others is in none.
        """
        ranks, names = self.ranks.to_numpy(), tuple(self.ranks.index)
        ends = [int((ranks - rank < self.critical_difference).sum()) for rank in ranks]
        return [
            names[first:end]
            for first, end in enumerate(ends)
            if end - first > 1 and (first == 0 or end > ends[first - 1])
        ]

    @property
    def caption(self) -> str:
        """What was tested, on what, with what result, and how much that is worth."""
        p = "p < 0.001" if self.p < 0.001 else f"p {self.p:.3f}"
        words = (
            f"{self.target} {self.metric.upper()}, {len(self.ranks)} models on "
            f"{len(self.blocks)} data sets: Friedman chi-square {self.statistic:.2f}, "
            f"{p}; critical difference {self.critical_difference:.2f} (Nemenyi, {LEVEL})"
        )
        if len(self.blocks) < FEW_BLOCKS:
            words += f"; with fewer than {FEW_BLOCKS} data sets the test has little power"
        return words


def rank(table: pd.DataFrame, target: str, metric: str) -> Ranking:
    """Rank the models of several data sets by their mean of one metric on the test sessions.

    Args:
        table: `tables.results` of all data sets, one below the other; blocks without the target
            are no part of it.
        target: continuous or overall.
        metric: a key of `metrics.DIRECTION`.

    Raises:
        ValueError: fewer than two blocks, or fewer than three models that all of them have.
    """
    chosen = table[
        (table["part"] == "test") & (table["target"] == target) & (table["metric"] == metric)
    ]
    values = chosen.pivot(index="model", columns=BLOCK, values="mean")
    complete = values.dropna().sort_index()
    left_out = [name for name in chosen["model"].unique() if name not in complete.index]
    if values.shape[1] < 2 or len(complete) < 3:
        raise ValueError(
            f"{values.shape[1]} data sets with {target} {metric.upper()}, {len(complete)} models "
            "on all of them, expected at least 2 data sets and 3 models; has too little been run?"
        )
    scores = complete.to_numpy().T * DIRECTION[metric]
    by_block = stats.rankdata(-scores, axis=1)
    friedman = stats.friedmanchisquare(*by_block.T)
    ranks = pd.Series(by_block.mean(0), complete.index, name="rank")
    return Ranking(
        target=target,
        metric=metric,
        blocks=tuple(", ".join(block) for block in values.columns),
        ranks=ranks.sort_values(kind="stable"),
        statistic=float(friedman.statistic),
        p=float(friedman.pvalue),
        critical_difference=critical_difference(*by_block.shape[::-1]),
        left_out=tuple(left_out),
    )


def critical_difference(n_models: int, n_blocks: int, level: float = LEVEL) -> float:
    """By how much two mean ranks have to differ to be told apart, after Nemenyi.

    Source: Demšar (2006), section 3.2.2; q is the studentized range over the square root of 2.
    """
    q = stats.studentized_range.ppf(1 - level, n_models, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(n_models * (n_models + 1) / (6 * n_blocks)))
