"""Causal convolutions against a loop over seconds, and what they keep for the next second."""

import numpy as np
import pytest
import torch

from qoe_core.models.short_time import ShortTime

VIDEO = {"widths": [8, 8, 8, 8], "kernel": 5}
QOS = {"widths": [4, 8, 8], "kernel": 5, "groups": 4}
BOTH = pytest.mark.parametrize("sizes", [VIDEO, QOS], ids=["video", "qos"])


def never_at_rest(block):
    """The block with biases that keep every ReLU open."""
    for layer in block.layers:
        layer.bias.data.fill_(9)
    return block


def by_hand(layer, inputs, groups):
    """ReLU of a causal convolution of one session, one product at a time."""
    weight, bias = layer.weight.detach().double().numpy(), layer.bias.detach().double().numpy()
    n_out, n_in, kernel = weight.shape  # n_in is of one group
    states = np.zeros((len(inputs), n_out))
    for second in range(len(inputs)):
        for out in range(n_out):
            group = out // (n_out // groups)
            total = bias[out]
            for tap in range(kernel):
                seen = second - (kernel - 1 - tap)
                if seen >= 0:
                    channels = inputs[seen, group * n_in : (group + 1) * n_in]
                    total += weight[out, :, tap] @ channels
            states[second, out] = max(total, 0)
    return states


@BOTH
@pytest.mark.parametrize("time", [1, 3, 9])
def test_layers_are_causal_convolutions_by_hand(sizes, time):
    block, inputs = ShortTime(**sizes), torch.randn(1, time, sizes["widths"][0])
    expected = inputs[0].double().numpy()
    for layer in block.layers:
        expected = by_hand(layer, expected, sizes.get("groups", 1))
    found = block(inputs)[0][0].detach().numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_there_is_a_layer_between_each_two_widths():
    shapes = [tuple(layer.weight.shape) for layer in ShortTime(**QOS).layers]
    assert shapes == [(8, 1, 5), (8, 2, 5)]


@pytest.mark.parametrize("feature", range(4))
def test_with_groups_a_feature_moves_its_own_channels_only(feature):
    block, inputs = never_at_rest(ShortTime(**QOS)), torch.rand(2, 9, 4)
    edited = inputs.clone()
    edited[:, :, feature] += 3
    moved = (block(edited)[0] != block(inputs)[0]).flatten(0, 1).any(0)
    assert moved.unflatten(0, (4, 2)).any(1).tolist() == [n == feature for n in range(4)]


@BOTH
def test_a_second_sees_all_taps_and_nothing_else(sizes):
    block = never_at_rest(ShortTime(**sizes))
    inputs = torch.rand(1, 30, sizes["widths"][0], requires_grad=True)
    block(inputs)[0][0, 20].sum().backward()
    reached = inputs.grad[0].abs().sum(1).nonzero().flatten().tolist()
    assert reached == list(range(20 - 4 * len(block.layers), 21))


@BOTH
@pytest.mark.parametrize("cuts", [[1] * 9, [3, 3, 3], [7, 2]])
def test_going_on_with_what_was_kept_is_the_whole_at_once(sizes, cuts):
    block, inputs = ShortTime(**sizes), torch.randn(2, 9, sizes["widths"][0])
    found, past = [], None
    for part in inputs.split(cuts, dim=1):
        states, past = block(part, past)
        found.append(states)
    torch.testing.assert_close(torch.cat(found, dim=1), block(inputs)[0], rtol=0, atol=1e-6)


@BOTH
def test_each_layer_keeps_the_inputs_of_the_seconds_that_its_kernel_reaches(sizes):
    kept = ShortTime(**sizes)(torch.randn(2, 9, sizes["widths"][0]))[1]
    assert [tensor.shape for tensor in kept] == [(2, 4, width) for width in sizes["widths"][:-1]]


def test_a_kernel_of_one_second_keeps_nothing():
    block = ShortTime([3, 8], kernel=1)
    states, kept = block(torch.randn(2, 5, 3))
    assert (states.shape, kept[0].shape) == ((2, 5, 8), (2, 0, 3))
    assert block(torch.randn(2, 1, 3), kept)[0].shape == (2, 1, 8)
