"""Attention between the features of one second against torch's attention and LayerNorm."""

import pytest
import torch
from torch import nn

from qoe_core.models.cross_feature import CrossFeature

FEAT, TOKEN, HEADS = 3, 4, 2


@pytest.fixture
def block():
    return CrossFeature(FEAT, TOKEN, HEADS, dropout=0.0)


@pytest.fixture
def states():
    return torch.randn(2, 5, FEAT * TOKEN)


def test_each_second_is_attention_over_its_features_with_residual_and_norm(block, states):
    theirs = nn.MultiheadAttention(TOKEN, HEADS, batch_first=True)
    theirs.load_state_dict(
        {
            "in_proj_weight": block.project.weight,
            "in_proj_bias": block.project.bias,
            "out_proj.weight": block.merge.weight,
            "out_proj.bias": block.merge.bias,
        }
    )
    block.norm.weight.data = torch.rand(TOKEN)
    block.norm.bias.data = torch.rand(TOKEN)
    found, weights = block(states)
    for session in range(2):
        for second in range(5):
            blocks = states[session, second].split(TOKEN)  # one block of channels a feature
            tokens = torch.stack(blocks)[None]
            mixed, looked = theirs(tokens, tokens, tokens, average_attn_weights=False)
            summed = tokens + mixed
            centred = summed - summed.mean(-1, keepdim=True)
            scale = (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
            expected = centred / scale * block.norm.weight + block.norm.bias
            torch.testing.assert_close(
                (found[session, second], weights[session, second]),
                (expected.flatten(), looked[0]),
                rtol=0,
                atol=2e-6,
            )


def test_each_row_of_the_weights_sums_to_1(block, states):
    weights = block(states)[1]
    assert weights.shape == (2, 5, HEADS, FEAT, FEAT)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 5, HEADS, FEAT), rtol=0, atol=1e-6)


def test_no_second_sees_another(block, states):
    before = block(states)
    states[:, 2] += 5
    after = block(states)
    others = [0, 1, 3, 4]
    assert all(a[:, others].equal(b[:, others]) for a, b in zip(after, before, strict=True))
    assert not after[0][:, 2].equal(before[0][:, 2])


def test_features_of_one_second_see_each_other(block):
    states = torch.randn(1, 1, FEAT * TOKEN, requires_grad=True)
    block(states)[0][0, 0, 0].backward()
    reached = states.grad[0, 0].unflatten(0, (FEAT, TOKEN)).abs().sum(1)
    assert reached.min() > 0


def test_the_features_are_a_set(block, states):
    """No feature has a place of its own: exchanged features give exchanged states."""
    order = [2, 0, 1]
    exchanged = states.unflatten(-1, (FEAT, TOKEN))[:, :, order].flatten(2)
    expected = block(states)[0].unflatten(-1, (FEAT, TOKEN))[:, :, order].flatten(2)
    torch.testing.assert_close(block(exchanged)[0], expected, rtol=0, atol=1e-6)


def test_tokens_of_one_channel_are_refused(refuses):
    with refuses(
        "a feature has 1 channel, expected at least 2: LayerNorm makes one channel a constant; "
        "choose a larger width or more heads"
    ):
        CrossFeature(8, 1, 1, dropout=0.0)


def test_heads_that_do_not_divide_the_tokens_are_refused_with_a_number_that_fits(refuses):
    with refuses(
        "a feature has 4 channels with 3 heads, expected a multiple of the heads; choose 6"
    ):
        CrossFeature(8, 4, 3, dropout=0.0)


def test_dropout_is_only_for_training(states):
    block = CrossFeature(FEAT, TOKEN, HEADS, dropout=0.5)
    assert not block(states)[0].equal(block(states)[0])
    block.eval()
    assert block(states)[0].equal(block(states)[0])
