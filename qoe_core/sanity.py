"""Which maps of what mattered deserve trust: each against the true effect of every second.

A map gives each second of a session an importance of 0 or more. Checks, per session and map:
truth: rank correlation with the true effects, the changes of the score when one second is replaced
by the baseline; high is good. deletion: area under the distance of the score from where it was,
while the most important seconds go first; large is good. insertion: the same while they come first
into a session that is all baseline; small is good. weights: rank correlation with the map of the
same network with random weights; low is good. Areas are labels on [0, 1], averaged over the share
of seconds. Removed seconds are inputs that no viewing had: a small area is not proof of no effect.

Sources: Samek et al., "Evaluating the visualization of what a deep neural network has learned",
IEEE TNNLS 2017 (deletion); Petsiuk et al., "RISE", BMVC 2018 (insertion); Adebayo et al., "Sanity
checks for saliency maps", NeurIPS 2018 (weights). Deviations: distances in place of class scores;
random weights keep each tensor's root mean square.
"""

import copy
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from scipy import stats
from torch import Tensor, nn

from qoe_core.attention_maps import attention_maps
from qoe_core.attribution import TRUTH, Subject, per_second
from qoe_core.bootstrap import ContentDraws, draw_contents, mean_interval
from qoe_core.models.dual_attention import DualAttention

Map = Float[np.ndarray, " time"]
RANDOM = "random order"  # what every map has to beat
CHECKS = ("truth", "deletion", "insertion", "weights")
CURVES = ("deletion curve", "insertion curve")
N_SHARES = 10  # equal steps in which seconds go or come
N_ORDERS = 5  # random ones, averaged
FOLLOWS = 0.5  # a rank correlation that counts as the same order, our choice
RANDOM_GAINS = {"deletion gain": ("deletion", 1), "insertion gain": ("insertion", -1)}


def maps(subject: Subject, n_steps: int = 32) -> dict[str, Map]:
    """Importance of each second by every method that the network has; TRUTH is the first.

    Gradients by their L2 norm over all inputs, contributions by the size of their sum, since it is
    all inputs of a second that go; attention by what a second receives.
    """
    found = {name: values.abs() for name, values in per_second(subject, n_steps).items()}
    if isinstance(subject.module, DualAttention):
        received = attention_maps(subject).received()
        found |= {f"attention, {name}": values for name, values in received.items()}
    return {name: values.double().cpu().numpy() for name, values in found.items()}


def checks(subject: Subject, n_steps: int = 32, seed: int = 0) -> pd.DataFrame:
    """All checks of one session: a row a map, RANDOM the last; columns map, CHECKS and CURVES.

    CURVES hold an array each, `deletion` and `insertion` of the map. A rank correlation with a map
    of equal values is NaN. `seed` draws weights and orders.
    """
    found = maps(subject, n_steps)
    other = maps(replace(subject, module=randomised(subject.module, seed)), n_steps)
    rows = []
    for name, values in found.items():
        alike = rank_correlation(values, found[TRUTH]), rank_correlation(values, other[name])
        rows.append((name, *alike, deletion(subject, values), insertion(subject, values)))
    drawn = np.random.default_rng(seed).random((N_ORDERS, len(subject.inputs)))
    truth = np.mean([rank_correlation(values, found[TRUTH]) for values in drawn])
    gone, come = (
        np.mean([curve(subject, values) for values in drawn], axis=0)
        for curve in (deletion, insertion)
    )
    rows.append((RANDOM, truth, np.nan, gone, come))
    made = pd.DataFrame(rows, columns=["map", "truth", "weights", *CURVES])
    return made.assign(deletion=made[CURVES[0]].map(area), insertion=made[CURVES[1]].map(area))


def mean_curves(sessions: pd.DataFrame, curve: str) -> dict[str, Float[np.ndarray, " share"]]:
    """One of CURVES by map, mean over the `checks` of several sessions."""
    return {n: np.mean(list(c), axis=0) for n, c in sessions.groupby("map", sort=False)[curve]}


def deletion(subject: Subject, importance: Map) -> Float[np.ndarray, " share"]:
    """Distance of the score from where it was, with 0, 1/N_SHARES, ... of all seconds gone."""
    return _distances(subject, importance, subject.inputs, subject.baseline)


def insertion(subject: Subject, importance: Map) -> Float[np.ndarray, " share"]:
    """The same distance with 0, 1/N_SHARES, ... of all seconds put into the baseline."""
    return _distances(subject, importance, subject.baseline, subject.inputs)


def area(curve: Float[np.ndarray, " share"]) -> float:
    """Mean height of a curve over shares from 0 to 1, by trapezoids."""
    return float(np.trapezoid(curve, dx=1 / (len(curve) - 1)))


def rank_correlation(first: Map, second: Map) -> float:
    """Spearman's, ties at their mean rank; NaN where one of the two is constant."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return np.nan
    return float(stats.spearmanr(first, second).statistic)


def randomised(module: nn.Module, seed: int) -> nn.Module:
    """A copy whose weights are normal draws, each tensor with the root mean square it had.

    By numpy, since torch's generator may have drawn the first weights from the same seed.
    """
    rng = np.random.default_rng(seed)
    other = copy.deepcopy(module)
    with torch.no_grad():
        for weight in other.parameters():
            drawn = torch.tensor(rng.standard_normal(weight.shape)).to(weight)
            weight.copy_(drawn * weight.square().mean().sqrt())
    return other


def table(sessions: pd.DataFrame, n_draws: int = 10_000) -> pd.DataFrame:
    """Means over sessions with 95 % intervals by draws of whole contents: a row a map and check.

    Beside CHECKS stand differences within a session, for all of which more is better or 0 is the
    mark: "deletion gain" and "insertion gain" over RANDOM, and "weights excess" over TRUTH.

    Args:
        sessions: `checks` of every session, with columns session and content.
        n_draws: of the bootstrap.

    Returns:
        Columns map, check, mean, low, high, sessions, contents, undefined.
    """
    content = sessions.drop_duplicates("session").set_index("session")["content"].sort_index()
    names = list(sessions["map"].unique())
    wide = {
        check: sessions.pivot(index="map", columns="session", values=check).loc[
            names, content.index
        ]
        for check in CHECKS
    }
    for gain, (check, sign) in RANDOM_GAINS.items():
        wide[gain] = sign * (wide[check] - wide[check].loc[RANDOM])
    wide["weights excess"] = wide["weights"] - wide["weights"].loc[TRUTH]
    draws = draw_contents(content.to_list(), n_draws)
    blocks = [_means(check, values, draws) for check, values in wide.items()]
    return pd.concat(blocks, ignore_index=True).assign(contents=content.nunique())


def sentences(table: pd.DataFrame) -> list[str]:
    """Which maps deserve trust, one sentence a map, from the intervals of `table` alone."""
    said = []
    for name, rows in table.groupby("map", sort=False):
        if name in (TRUTH, RANDOM):
            continue
        found = rows.set_index("check")
        problems = _problems(found)
        verdict = f"do not rely on it: {'; '.join(problems)}" if problems else "deserves trust"
        numbers = ", ".join(
            f"{words} {_interval(found.loc[check])}"
            for check, words in (("truth", "rank correlation with the true effects"),
                                 ("weights", "with its own map under random weights"))
        )  # fmt: skip
        said.append(f"{name}: {verdict} ({numbers})")
    return said


def _problems(found: pd.DataFrame) -> list[str]:
    """What speaks against a map; `found` has its row of every check."""
    problems = []
    if not found.loc["truth", "low"] > FOLLOWS:
        problems.append(f"its rank correlation with the true effects may be below {FOLLOWS}")
    for gain, words in (("deletion gain", "removing"), ("insertion gain", "putting in")):
        if not found.loc[gain, "low"] > 0:
            problems.append(f"{words} its seconds first is not better than a random order")
    if found.loc["weights", "mean"] >= FOLLOWS and found.loc["weights excess", "low"] > 0:
        problems.append("it changes less with the weights than the true effects do")
    return problems


def _interval(row: pd.Series) -> str:
    return f"{row['mean']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"


def _means(check: str, values: pd.DataFrame, draws: ContentDraws) -> pd.DataFrame:
    bounds = mean_interval(values.to_numpy(float), draws)
    return pd.DataFrame(
        {
            "map": values.index,
            "check": check,
            "mean": bounds.value,
            "low": bounds.low,
            "high": bounds.high,
            "sessions": values.shape[1],
            "undefined": values.isna().sum(axis=1).to_numpy(),
        }
    )


def _distances(
    subject: Subject, importance: Map, before: Tensor, after: Tensor
) -> Float[np.ndarray, " share"]:
    """From the score of the session, while its seconds turn from `before` into `after`."""
    order = np.argsort(-importance, kind="stable")
    turned = torch.zeros(N_SHARES + 1, len(order), 1, dtype=torch.bool)
    for place, share in enumerate(np.linspace(0, 1, N_SHARES + 1)):
        turned[place, order[: round(share * len(order))]] = True
    shown = torch.where(turned.to(subject.inputs.device), after, before)
    scores = subject.scores(torch.cat([shown, subject.inputs[None]]))
    return (scores[:-1] - scores[-1]).abs().double().cpu().numpy()
