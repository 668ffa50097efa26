"""Attributions against sums that can be done by hand; what is left behind in the module."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from qoe_core import attribution
from qoe_core.inputs import FeatureConfig
from qoe_core.models.dual_attention import DualAttention, DualAttentionConfig
from qoe_core.models.network import FittedNetwork
from qoe_core.models.recurrent import Recurrent, RecurrentConfig
from qoe_core.models.tcn import TCN, TCNConfig
from qoe_core.qos import LabelScale, Scaling
from tests.explained import Linear, Running, subject

INPUTS = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
WEIGHTS = [2.0, -3.0]
CAUSAL = {
    "gru": lambda: Recurrent(2, RecurrentConfig(hidden=4)),
    "lstm": lambda: Recurrent(2, RecurrentConfig(cell="lstm", hidden=4)),
    "tcn": lambda: TCN(2, TCNConfig(filters=4)),
    "dual_attention": lambda: DualAttention(1, 1, DualAttentionConfig(width=8)),
}


@pytest.fixture
def linear():
    return subject(Linear(WEIGHTS), INPUTS)


def values_of(method, of):
    found = getattr(attribution, method)(of)
    return found[0] if isinstance(found, tuple) else found


def test_the_gradient_of_a_linear_map_is_its_weights(linear):
    torch.testing.assert_close(attribution.gradient(linear), torch.tensor([WEIGHTS] * 3))


def test_the_gradient_of_a_mean_is_shared_by_its_seconds():
    of = subject(Linear(WEIGHTS), INPUTS, target="mean")
    torch.testing.assert_close(attribution.gradient(of), torch.tensor([WEIGHTS] * 3) / 3)


def test_gradient_times_input_is_the_product(linear):
    expected = torch.tensor([[2.0, -6.0], [6.0, -12.0], [10.0, -18.0]])
    torch.testing.assert_close(attribution.gradient_times_input(linear), expected)


def test_integrated_gradients_of_a_linear_map_are_weights_times_the_way_from_the_baseline(linear):
    expected = torch.tensor([[1.0, -5.25], [5.0, -11.25], [9.0, -17.25]])
    torch.testing.assert_close(attribution.integrated_gradients(linear)[0], expected)


def test_integrated_gradients_add_up_to_the_change_of_the_score():
    of = subject(Running(), INPUTS, target="mean")
    # running sums 1 2, 4 6, 9 12 and of the baseline 0.5 0.25, 1 0.5, 1.5 0.75
    change = (1 * 2 + 4 * 6 + 9 * 12) / 3 - (0.125 + 0.5 + 1.125) / 3
    contributions, gap = attribution.integrated_gradients(of)
    assert contributions.sum().item() == pytest.approx(change, rel=1e-5)
    assert gap == pytest.approx(0, abs=1e-4)


def test_the_gap_is_what_the_contributions_lack():
    torch.manual_seed(1)
    of = subject(CAUSAL["dual_attention"](), 5 * torch.rand(9, 2), target="mean")
    contributions, gap = attribution.integrated_gradients(of, n_steps=2)
    ends = of.scores(torch.stack([of.inputs, of.baseline.expand(9, 2)]))
    assert gap == pytest.approx((contributions.sum() - ends[0] + ends[1]).item(), abs=1e-6)
    assert abs(gap) > 1e-5


def test_the_effect_of_a_second_is_what_the_score_loses_without_it(linear):
    torch.testing.assert_close(
        attribution.second_effects(linear), torch.tensor([-4.25, -6.25, -8.25])
    )


def test_the_effect_of_a_second_is_of_the_network_and_not_of_its_slope():
    # a score of 9 x 12 that becomes 6.5 x 8.25 without second 1
    of = subject(Running(), INPUTS, target=2)
    assert attribution.second_effects(of)[1].item() == 9 * 12 - 6.5 * 8.25


def test_the_effect_of_an_input_is_of_all_its_seconds(linear):
    torch.testing.assert_close(attribution.group_effects(linear), torch.tensor([15.0, -33.75]))


def test_the_effects_of_inputs_on_every_second_come_together():
    # running sums 1 2, 4 6, 9 12, and of one input's baseline .5 1 1.5, of the other's .25 .5 .75
    found = attribution.group_effects(subject(Running(), INPUTS, target="seconds"))
    a = [(1 - 0.5) * 2, (4 - 1) * 6, (9 - 1.5) * 12]
    b = [1 * (2 - 0.25), 4 * (6 - 0.5), 9 * (12 - 0.75)]
    torch.testing.assert_close(found, torch.tensor([a, b]))


def test_an_effect_that_is_no_number_is_refused(refuses):
    with refuses(
        "tiny/one: occlusion of a is nan, expected a number; is a weight or an input not finite?"
    ):
        attribution.group_effects(subject(Linear([1.0, torch.nan]), INPUTS))


def test_frame_features_go_together():
    asked = FeatureConfig(qos=("recency",), quality=("vmaf",))
    assert attribution.groups(asked, 2) == {"recency": slice(0, 1), "vmaf": slice(1, 2)}


def test_slopes_are_summed_up_by_their_norm_and_contributions_with_their_sign():
    found = torch.tensor([[3.0, 4.0, -1.0]])
    both = {"pair": slice(0, 2), "last": slice(2, 3)}
    torch.testing.assert_close(attribution.norms(found, both), torch.tensor([[5.0, 1.0]]))
    torch.testing.assert_close(attribution.sums(found, both), torch.tensor([[7.0, -1.0]]))


def test_per_second_no_slopes_cancel(linear):
    found = attribution.per_second(linear)
    torch.testing.assert_close(found["gradient"], torch.full((3,), 13.0**0.5))
    torch.testing.assert_close(found["gradient x input"], torch.tensor([-4.0, -6.0, -8.0]))
    torch.testing.assert_close(found["integrated gradients"], found["true effect"])


@pytest.mark.parametrize("method", ["gradient", "gradient_times_input", "integrated_gradients"])
@pytest.mark.parametrize("network", CAUSAL)
def test_later_seconds_have_no_part_in_a_score(network, method):
    of = subject(CAUSAL[network](), torch.rand(8, 2), target=4)
    found = values_of(method, of)
    assert (found[5:] == 0).all()
    assert (found[4] != 0).any()


@pytest.mark.parametrize("network", CAUSAL)
def test_occluding_a_later_second_changes_nothing(network):
    of = subject(CAUSAL[network](), torch.rand(40, 2), target=4)
    found = attribution.second_effects(of)
    assert (found[5:] == 0).all()
    assert (found[4] != 0).any()


def state(module):
    """Everything that explaining could leave behind."""
    modes = [part.training for part in module.modules()]
    hooks = [len(part._forward_hooks) + len(part._backward_hooks) for part in module.modules()]
    weights = [(w.requires_grad, w.grad, w.detach().clone()) for w in module.parameters()]
    return modes, hooks, weights, torch.backends.mha.get_fastpath_enabled()


@pytest.mark.parametrize("fails", [False, True])
def test_the_module_is_left_as_it_was(fails):
    module = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))
    module[1].eval()
    module[0].weight.requires_grad_(False)
    module[0].register_forward_hook(lambda *_: None)
    before = copy.deepcopy(state(module))
    try:
        with attribution.explaining(module):
            assert state(module)[0] == [False, False, False]
            assert not torch.backends.mha.get_fastpath_enabled()
            module[1].register_forward_hook(lambda *_: None)
            module(torch.ones(1, 2, requires_grad=True)).sum().backward()
            if fails:
                raise RuntimeError("in the middle")
    except RuntimeError:
        assert fails
    after = state(module)
    assert after[:2] == before[:2]
    assert [w[:2] for w in after[2]] == [w[:2] for w in before[2]]
    assert after[3]


def test_dropout_has_no_part_in_an_attribution(linear):
    linear.module.train()
    torch.testing.assert_close(attribution.gradient(linear), torch.tensor([WEIGHTS] * 3))
    assert linear.module.dropout.training


def test_an_attribution_that_is_not_finite_is_refused_by_name(refuses):
    of = subject(Linear([1.0, torch.nan]), INPUTS)
    with refuses(
        "tiny/one: gradient of second 0, b is nan, expected a number; is a weight or an input not "
        "finite?"
    ):
        attribution.gradient(of)


@pytest.mark.parametrize(
    "method",
    [
        attribution.gradient,
        attribution.gradient_times_input,
        attribution.integrated_gradients,
        attribution.second_effects,
    ],
)
def test_a_method_for_a_single_score_refuses_all_seconds_at_once(method, refuses):
    with refuses("tiny/one: target is 'seconds', expected a single score"):
        method(subject(Running(), INPUTS, target="seconds"))


@pytest.mark.parametrize("target", [3, -1, "best", True])
def test_a_score_that_the_session_has_not_is_refused(target, refuses):
    with refuses(
        f"tiny/one: target is {target!r}, expected 'mean', 'overall', 'seconds' or a second from "
        "0 to 2"
    ):
        subject(Linear(WEIGHTS), INPUTS, target=target)


def fitted(overall):
    inputs = FeatureConfig(qos=("indicator", "recency"))
    scaling = Scaling(np.zeros(2), np.array([1.0, 20.0]))
    return FittedNetwork(Linear(WEIGHTS), inputs, scaling, LabelScale(0.0, 100.0), overall)


def test_a_session_is_explained_by_the_inputs_that_the_network_was_given(make_session):
    session = make_session(pattern=1)
    of = attribution.subject(fitted(None), session, np.array([0.5, 0.25]))
    torch.testing.assert_close(of.inputs[:, 0], torch.tensor(session.stalled, dtype=torch.float32))
    assert of.inputs[3, 1].item() == pytest.approx(4 / 20)
    assert list(of.groups) == ["indicator", "recency"]


def test_a_score_that_the_network_was_not_trained_for_is_refused(make_session, refuses):
    with refuses(
        "tiny/content_0_pattern_0: the network was not trained for the score 'overall'; choose "
        "'mean'"
    ):
        attribution.subject(fitted(None), make_session(), np.array([0.5, 0.25]), "overall")
