"""A network's own weights of a session, against networks that were made to look somewhere."""

import pytest
import torch

from qoe_core.attention_maps import attention_maps
from qoe_core.models.dual_attention import DualAttention, DualAttentionConfig
from qoe_core.models.tcn import TCN, TCNConfig
from tests.explained import subject

INPUTS = torch.rand(7, 2)


def network(n_qos=1, n_video=1, indifferent=True, **changes):
    """A network whose queries are all zero, unless it may choose."""
    module = DualAttention(n_qos, n_video, DualAttentionConfig(width=12, **changes))
    for name, weights in module.named_parameters():
        if indifferent and ".project." in name:
            weights.data[: len(weights) // 3] = 0
    return module


@pytest.mark.parametrize("changes", [{}, {"causal": False}, {"positions": "sinusoidal"},
                                     {"video_span": 2, "qos_span": 3}])  # fmt: skip
def test_where_seconds_do_not_differ_distance_alone_decides(changes):
    maps = attention_maps(subject(network(**changes), INPUTS))
    assert set(maps.long_time) == {"video 0", "qos 0"}
    for name, weights in maps.long_time.items():
        torch.testing.assert_close(weights, maps.by_distance[name])
        torch.testing.assert_close(maps.choice()[name], torch.ones(7))


def test_even_attention_to_the_past_by_hand():
    maps = attention_maps(subject(network(positions="sinusoidal"), INPUTS[:3]))
    expected = torch.tensor([[1, 0, 0], [1 / 2, 1 / 2, 0], [1 / 3, 1 / 3, 1 / 3]])
    torch.testing.assert_close(maps.long_time["qos 0"], expected)
    expected = torch.tensor([11 / 18, 5 / 18, 2 / 18])
    torch.testing.assert_close(maps.received()["qos 0"], expected)


def test_a_network_that_chooses_is_told_from_one_that_does_not():
    module = network(indifferent=False)
    for name, weights in module.named_parameters():
        if "project.weight" in name:
            weights.data *= 20
    choice = attention_maps(subject(module, INPUTS)).choice()["video 0"]
    assert (choice - 1).abs().max() > 0.1


def test_features_share_the_attention_of_each_second():
    maps = attention_maps(subject(network(n_qos=2, n_video=0), INPUTS))
    assert maps.cross_feature.shape == (7, 2, 2)
    curves = maps.curves(["recency", "switch"])
    torch.testing.assert_close(curves["share of recency"], torch.full((7,), 0.5))
    assert set(curves) == {"choice, qos 0", "share of recency", "share of switch"}


def test_the_gate_is_one_where_the_video_is_listened_to():
    module = network()
    module.continuous.gate[2].weight.data.zero_()
    module.continuous.gate[2].bias.data.fill_(20.0)
    maps = attention_maps(subject(module, INPUTS))
    torch.testing.assert_close(maps.gate, torch.ones(7, 12))
    torch.testing.assert_close(maps.curves(["a"])["gate"], torch.ones(7))


def test_parts_that_a_variant_lacks_are_missing():
    left_out = {"cross_feature": False, "long_time": False, "gate": False}
    maps = attention_maps(subject(network(**left_out), INPUTS))
    assert maps.cross_feature is None
    assert maps.gate is None
    assert maps.curves(["a"]) == {}


def test_reading_weights_leaves_the_mode_as_it_was():
    module = network(dropout=0.5).train()
    first, second = (attention_maps(subject(module, INPUTS)).gate for _ in range(2))
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    assert all(part.training for part in module.modules())


def test_a_network_without_attention_is_refused(refuses):
    with refuses(
        "tiny/one: TCN is a model without attention, expected the dual-stage attention network; "
        "gradients and occlusion explain any network"
    ):
        attention_maps(subject(TCN(2, TCNConfig(filters=4)), INPUTS))
