"""Every metric over sessions (overall quality) on every draw of a bootstrap, without a loop.

A session drawn k times counts as k sessions with equal scores, so each value equals the metric of
`qoe_core.metrics` on the repeated arrays. All three correlations have one form,
sum_ij w_i w_j a_ij b_ij / sqrt(sum_ij w_i w_j a_ij^2 * sum_ij w_i w_j b_ij^2), with weights w and
with a and b antisymmetric: differences of scores (Pearson), of ranks (Spearman), or signs of
differences (Kendall tau-b); Daniels (1944). A draw in which an input is constant gives NaN.
Memory grows with the square of the sessions: 1,350 need about 250 MB.
"""

import numpy as np
from jaxtyping import Float

from qoe_core.bootstrap import ContentDraws, Estimate, check_sessions
from qoe_core.kernels import compiled, inlined
from qoe_core.metrics import session_scores

AT_ONCE = 32  # draws whose ranks are computed side by side


def metric_estimates(
    predicted: Float[np.ndarray, "model session"],
    rated: Float[np.ndarray, " session"],
    draws: ContentDraws,
    ci_half_width: Float[np.ndarray, " session"] | None = None,
) -> dict[str, Estimate]:
    """Each metric of each model over the sessions, on the sessions and on every draw.

    Keys in the order of `METRICS`; without a confidence interval rmse_star, or_half and or_full
    are absent. A correlation of a constant model is NaN throughout.

    Raises:
        ValueError: the refusals of `session_scores`, or sessions other than those of the draws.
    """
    check_sessions(len(rated), draws)
    scores = [session_scores(row, rated, ci_half_width) for row in predicted]
    drawn = [_drawn_metrics(row, rated, draws, ci_half_width) for row in predicted]
    estimates = {}
    for name in scores[0]:
        value = np.array([model[name] for model in scores], dtype=float)  # None becomes NaN
        columns = np.stack([model[name] for model in drawn], axis=1)
        estimates[name] = Estimate(value=value, drawn=np.where(np.isnan(value), np.nan, columns))
    return estimates


def _drawn_metrics(
    predicted: np.ndarray, rated: np.ndarray, draws: ContentDraws, ci_half_width: np.ndarray | None
) -> dict[str, np.ndarray]:
    error = np.abs(predicted - rated)
    metrics = {
        "plcc": _pair_correlation(_differences(predicted), _differences(rated), draws),
        "srocc": _rank_correlation(predicted, rated, draws),
        "krocc": _pair_correlation(
            np.sign(_differences(predicted)), np.sign(_differences(rated)), draws
        ),
        "rmse": np.sqrt(_weighted_mean(error**2, draws)),
    }
    if ci_half_width is not None:
        beyond = np.maximum(0, error - ci_half_width)
        metrics["rmse_star"] = np.sqrt(_weighted_mean(beyond**2, draws))
        metrics["or_half"] = _weighted_mean(error > ci_half_width, draws)
        metrics["or_full"] = _weighted_mean(error > 2 * ci_half_width, draws)
    return metrics


def _weighted_mean(values: np.ndarray, draws: ContentDraws) -> np.ndarray:
    with np.errstate(invalid="ignore"):  # 0 / 0 where a draw holds none of the sessions
        return (draws.counts @ (values @ draws.member)) / (draws.counts @ draws.member.sum(0))


def _differences(values: np.ndarray) -> np.ndarray:
    """[j, i] = values[i] - values[j], in units of the largest, or 0 for a constant."""
    differences = np.subtract.outer(values, values).T
    return differences / (np.abs(differences).max() or 1.0)


def _pair_correlation(first: np.ndarray, second: np.ndarray, draws: ContentDraws) -> np.ndarray:
    shared = _pair_sum(first * second, draws)
    with np.errstate(invalid="ignore"):  # 0 / 0 where a draw is constant
        return shared / np.sqrt(_pair_sum(first**2, draws) * _pair_sum(second**2, draws))


def _pair_sum(products: np.ndarray, draws: ContentDraws) -> np.ndarray:
    """Weighted sum over pairs of sessions per draw, exact for whole numbers.

    Sessions of one content weigh the same, so the pairs are summed by content once.
    """
    by_content = draws.member.T @ products @ draws.member
    return np.einsum("dc,dc->d", draws.counts @ by_content, draws.counts)


def _rank_correlation(predicted: np.ndarray, rated: np.ndarray, draws: ContentDraws) -> np.ndarray:
    """Spearman per draw: a centred mid-rank is half the weighted sum of signs of differences."""
    both = np.stack([predicted, rated])
    order = both.argsort(1)
    by_size = np.take_along_axis(both, order, 1)
    last = np.append(by_size[:, 1:] != by_size[:, :-1], [[True]] * 2, axis=1)
    drawn = np.empty(len(draws.counts))
    counts = np.ascontiguousarray(draws.counts.T)
    _correlate_ranks(counts, draws.member.argmax(1), order, last, drawn)
    return drawn


@compiled
def _correlate_ranks(counts, content, order, last, drawn):
    """Fill in the correlation of each draw; `counts` [content draw] holds what a session weighs.

    `order` [2 session] has the sessions of both inputs by size, `last` marks the last of equals.
    """
    ranks = np.empty((2, len(content), AT_ONCE))
    for start in range(0, len(drawn), AT_ONCE):
        end = min(start + AT_ONCE, len(drawn))
        for k in range(2):
            _rank(ranks[k], counts, content, order[k], last[k], start, end)
        shared, one, two = np.zeros((3, AT_ONCE))
        for i in range(len(content)):
            weight, a, b = counts[content[i]][start:end], ranks[0, i], ranks[1, i]
            for d in range(end - start):
                shared[d] += weight[d] * a[d] * b[d]
                one[d] += weight[d] * a[d] * a[d]
                two[d] += weight[d] * b[d] * b[d]
        for d in range(end - start):
            drawn[start + d] = shared[d] / np.sqrt(one[d] * two[d])


@inlined
def _rank(ranks, counts, content, order, last, start, end):
    """Fill in what each session is above, less what is above it, in the draws from start to end."""
    below, reached = np.zeros((2, AT_ONCE))
    first = 0
    for i in range(len(order)):
        weight = counts[content[order[i]]][start:end]
        for d in range(end - start):
            reached[d] += weight[d]
        if last[i]:
            for j in range(first, i + 1):
                rank = ranks[order[j]]
                for d in range(end - start):
                    rank[d] = below[d] + reached[d]
            for d in range(end - start):
                below[d] = reached[d]
            first = i + 1
    for rank in ranks:
        for d in range(end - start):
            rank[d] -= reached[d]
