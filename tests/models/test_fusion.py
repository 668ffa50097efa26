"""The gate and its head by hand, and fusion without a gate."""

import numpy as np
import pytest
import torch

from qoe_core.models.fusion import GatedHead

WIDTH = 6


def gated(bias=None):
    """A head without dropout; `bias` opens (large) or closes (small) the gate."""
    head = GatedHead(WIDTH, dropout=0.0, gated=True)
    if bias is not None:
        head.gate[2].bias.data.fill_(bias)
    return head


def affine(layer, values):
    return values @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()


@pytest.mark.parametrize("axes", [(3,), (3, 5)], ids=["overall", "continuous"])
def test_score_and_gate_by_hand(axes):
    head = gated()
    video, qos = torch.randn(2, *axes, WIDTH)
    score, shown = head(video, qos)
    hidden = np.maximum(affine(head.gate[0], np.concatenate([video, qos], axis=-1)), 0)
    gate = 1 / (1 + np.exp(-affine(head.gate[2], hidden)))
    expected = affine(head.head, gate * video.numpy() + (1 - gate) * qos.numpy())[..., 0]
    np.testing.assert_allclose(shown["gate"].detach(), gate, rtol=0, atol=1e-6)
    np.testing.assert_allclose(score.detach(), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("bias", "heard"), [(100.0, 0), (-100.0, 1)])
def test_the_gate_is_1_where_video_is_listened_to(bias, heard):
    head, states = gated(bias), torch.randn(2, 4, WIDTH)
    score, shown = head(*states)
    assert (shown["gate"] == 1 - heard).all()
    torch.testing.assert_close(score, head.head(states[heard])[:, 0], rtol=0, atol=0)


def test_the_gate_is_between_0_and_1():
    gate = gated()(*torch.randn(2, 100, WIDTH))[1]["gate"]
    assert 0 < gate.min() < gate.max() < 1


def test_without_a_gate_both_branches_count_the_same():
    head, (video, qos) = GatedHead(WIDTH, 0.0, gated=False), torch.randn(2, 3, 4, WIDTH)
    score, shown = head(video, qos)
    assert shown == {}
    expected = head.head((video + qos) / 2)[..., 0]
    torch.testing.assert_close(score, expected, rtol=0, atol=1e-6)


def test_the_only_branch_is_read_as_it_is():
    head, states = GatedHead(WIDTH, 0.0, gated=False), torch.randn(3, 4, WIDTH)
    assert head(states)[0].equal(head.head(states)[..., 0])


def test_scores_are_not_bounded_by_the_labels():
    head = gated()
    head.head.bias.data.fill_(7.0)
    assert head(*torch.zeros(2, 3, WIDTH))[0].min() > 1


def test_dropout_is_only_for_training():
    head, states = GatedHead(WIDTH, dropout=0.5, gated=True), torch.randn(2, 9, WIDTH)
    assert not head(*states)[0].equal(head(*states)[0])
    head.eval()
    assert head(*states)[0].equal(head(*states)[0])
