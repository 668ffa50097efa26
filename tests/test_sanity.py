"""Checks of maps, on modules where it is known what matters."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from qoe_core import attribution, sanity
from qoe_core.models.dual_attention import DualAttention, DualAttentionConfig
from tests.explained import Linear, Running, subject

# effects of the seconds on the overall score, sizes 4, 3, 2, 1 in this order: second 2, 0, 3, 1
INPUTS = torch.tensor([[3.0, 0.0], [1.0, 0.0], [4.0, 0.0], [2.0, 0.0]])
GONE = [0, 0, 1, 1, 2, 2, 2, 3, 3, 4, 4]  # of 4 seconds, at each tenth
BY_EFFECT = np.array([3.0, 1.0, 4.0, 2.0])


@pytest.fixture
def known():
    return subject(Linear([1.0, 1.0]), INPUTS, baseline=(0.0, 0.0))


class Square(nn.Module):
    """Every second counts by the square of its inputs."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(2))

    def forward(self, inputs, valid):
        continuous = (self.scale * inputs).square().sum(-1)
        return continuous, continuous.sum(1)


def test_seconds_go_by_importance_and_the_distance_grows_by_their_effects(known):
    np.testing.assert_allclose(sanity.deletion(known, BY_EFFECT), np.array([0, 4, 7, 9, 10])[GONE])


def test_seconds_come_into_the_baseline_by_importance(known):
    np.testing.assert_allclose(sanity.insertion(known, BY_EFFECT), np.array([10, 6, 3, 1, 0])[GONE])


def test_the_least_important_first_gives_the_smallest_deletion_area(known):
    best, worst = (sanity.area(sanity.deletion(known, m)) for m in (BY_EFFECT, -BY_EFFECT))
    assert best > worst


def test_an_area_is_the_mean_height():
    assert sanity.area(np.array([0.0, 1.0, 2.0])) == 1
    assert sanity.area(np.array([4.0, 0.0, 0.0])) == 1


def test_a_rank_correlation_has_ties_at_their_mean_rank():
    # ranks 1, 2.5, 2.5, 4 and 1, 2, 3, 4: 4.5 over the root of 4.5 times 5
    found = sanity.rank_correlation(np.array([0.0, 7, 7, 9]), np.array([1.0, 2, 3, 4]))
    assert found == pytest.approx(4.5 / (4.5 * 5) ** 0.5)


def test_a_rank_correlation_with_equal_values_is_undefined():
    assert np.isnan(sanity.rank_correlation(np.zeros(4), BY_EFFECT))


def test_random_weights_keep_the_size_of_each_tensor_and_the_module_its_own():
    module = nn.Linear(40, 50)
    before = module.weight.detach().clone()
    other = sanity.randomised(module, 0)
    torch.testing.assert_close(module.weight.detach(), before, rtol=0, atol=0)
    sizes = [w.square().mean().sqrt().item() for w in (before, other.weight.detach())]
    assert sizes[1] == pytest.approx(sizes[0], rel=0.1)
    both = torch.stack([before.flatten(), other.weight.detach().flatten()])
    assert abs(torch.corrcoef(both)[0, 1]) < 0.1


def test_random_weights_follow_the_seed():
    start = nn.Linear(3, 3)
    first, same, other = (sanity.randomised(start, seed).weight for seed in (1, 1, 2))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_the_true_effects_agree_with_themselves(known):
    found = sanity.checks(known).set_index("map")
    assert found.loc[attribution.TRUTH, "truth"] == pytest.approx(1)
    assert found.loc["integrated gradients", "truth"] == pytest.approx(1)


def test_a_map_of_equal_values_has_no_rank_correlation(known):
    assert np.isnan(sanity.checks(known).set_index("map").loc["gradient", "truth"])


@pytest.fixture(scope="module")
def made():
    """Checks of sessions of 20 s in which a few seconds matter, two a content."""
    generator = torch.Generator().manual_seed(3)
    rows = []
    for number in range(16):
        inputs = torch.rand(20, 2, generator=generator) ** 3
        of = subject(Square(), inputs, baseline=(0.0, 0.0))
        rows.append(
            sanity.checks(of, seed=number).assign(session=f"s{number}", content=f"c{number % 8}")
        )
    return pd.concat(rows, ignore_index=True)


def test_a_good_map_wins_and_a_random_one_does_not(made):
    found = sanity.table(made).set_index(["map", "check"])
    good = found.loc["integrated gradients"]
    assert good.loc["truth", "mean"] > 0.95
    assert good.loc["deletion gain", "low"] > 0
    assert good.loc["insertion gain", "low"] > 0
    chance = found.loc[sanity.RANDOM]
    assert chance.loc["truth", "low"] < 0 < chance.loc["truth", "high"]
    assert chance.loc["deletion gain", "mean"] == 0


def test_means_are_over_sessions_and_intervals_over_contents(made):
    found = sanity.table(made).set_index(["map", "check"]).loc[("gradient", "deletion")]
    own = made[made["map"] == "gradient"]
    assert found["mean"] == pytest.approx(own["deletion"].mean())
    by_content = own.groupby("content")["deletion"].mean()
    assert by_content.min() <= found["low"] < found["mean"] < found["high"] <= by_content.max()
    assert found["sessions"] == 16
    assert found["contents"] == 8


def test_curves_are_averaged_over_sessions(made):
    own = made[made["map"] == "gradient"]["deletion curve"]
    found = sanity.mean_curves(made, "deletion curve")
    np.testing.assert_allclose(found["gradient"], sum(own) / 16)
    assert list(found) == list(made["map"].unique())


def rows(name, truth=(0.9, 0.8), gain=(0.1, 0.1), weights=0.2, excess=-0.1):
    """A row of every check of a map."""
    checks = {"truth": truth, "weights": (weights, weights), "deletion gain": (gain[0],) * 2,
              "insertion gain": (gain[1],) * 2, "weights excess": (excess, excess)}  # fmt: skip
    return pd.DataFrame(
        [(name, check, mean, low, 1.0) for check, (mean, low) in checks.items()],
        columns=["map", "check", "mean", "low", "high"],
    )


NUMBERS = (
    "(rank correlation with the true effects {} [{}, 1.00], with its own map under random weights "
    "{} [{}, 1.00])"
)


def test_a_map_that_passes_all_checks_deserves_trust():
    said = sanity.sentences(rows("gradient"))
    assert said == [f"gradient: deserves trust {NUMBERS.format('0.90', '0.80', '0.20', '0.20')}"]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"truth": (0.9, 0.5)}, "its rank correlation with the true effects may be below 0.5"),
        ({"gain": (0.0, 0.1)}, "removing its seconds first is not better than a random order"),
        ({"gain": (0.1, 0.0)}, "putting in its seconds first is not better than a random order"),
        (
            {"weights": 0.5, "excess": 0.1},
            "it changes less with the weights than the true effects do",
        ),
    ],
)
def test_a_map_that_fails_a_check_is_not_to_be_relied_on(changes, problem):
    (said,) = sanity.sentences(rows("gradient", **changes))
    assert said.startswith(f"gradient: do not rely on it: {problem} (")


@pytest.mark.parametrize(
    "changes", [{"weights": 0.9, "excess": 0.0}, {"weights": 0.4, "excess": 0.1}]
)
def test_a_map_may_stay_alike_as_far_as_the_truth_does(changes):
    assert "deserves trust" in sanity.sentences(rows("gradient", **changes))[0]


def test_neither_the_truth_nor_a_random_order_is_judged():
    table = pd.concat([rows(attribution.TRUTH), rows(sanity.RANDOM)])
    assert sanity.sentences(table) == []


def test_attention_is_checked_as_a_map_too():
    module = DualAttention(1, 1, DualAttentionConfig(width=8))
    found = sanity.maps(subject(module, torch.rand(6, 2), target="mean"))
    assert [name for name in found if name.startswith("attention")] == [
        "attention, video 0",
        "attention, qos 0",
    ]
    assert all((values >= 0).all() for values in found.values())


def test_maps_are_of_the_subjects_own_score():
    first, last = (sanity.maps(subject(Running(), INPUTS + 1, target=t)) for t in (0, 3))
    assert np.count_nonzero(first["gradient"]) == 1
    assert np.count_nonzero(last["gradient"]) == 4
