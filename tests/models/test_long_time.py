"""Encoder and positions against torch and the formula; spans, learned positions, kept state."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from qoe_core.models.long_time import POSITIONS, Encoder, LongTime, sinusoidal

WIDTH, HEADS, TIME = 8, 2, 9
EXISTS = torch.arange(TIME) < torch.tensor([9, 6, 1])[:, None]  # (batch, time)
PAST = torch.ones(TIME, TIME, dtype=torch.bool).tril()  # (query, key)


def block(**changes):
    """A causal block of one layer with sinusoidal positions and without dropout."""
    sizes = {"n_layers": 1, "n_heads": HEADS, "dropout": 0.0, "span": None, "causal": True}
    places = {"positions": "sinusoidal", "longest": TIME}
    return LongTime(WIDTH, **{**sizes, **places, **changes}).eval()


def torchs(encoder):
    """Torch's layer with the weights of ours, on the path that training takes."""
    layer = nn.TransformerEncoderLayer(
        WIDTH, HEADS, 4 * WIDTH, dropout=0.0, activation="relu", batch_first=True
    )
    copied = {
        "self_attn.in_proj_": encoder.attention.project,
        "self_attn.out_proj.": encoder.attention.merge,
        "linear1.": encoder.widen,
        "linear2.": encoder.narrow,
        "norm1.": encoder.norms[0],
        "norm2.": encoder.norms[1],
    }
    layer.load_state_dict(
        {
            f"{name}{p}": getattr(ours, p)
            for name, ours in copied.items()
            for p in ("weight", "bias")
        }
    )
    return layer


def everything(time, batch=1):
    return torch.ones(batch, time, dtype=torch.bool)


def randomise_norms(module):
    for norm in (m for m in module.modules() if isinstance(m, nn.LayerNorm)):
        nn.init.uniform_(norm.weight)
        nn.init.uniform_(norm.bias)


def test_the_encoder_is_that_of_torch():
    encoder, states = Encoder(WIDTH, HEADS, dropout=0.0), torch.randn(3, TIME, WIDTH)
    randomise_norms(encoder)
    bias = torch.zeros(1, 1, TIME, TIME).masked_fill(~PAST, -torch.inf)
    found = encoder(states, bias)[0]
    expected = torchs(encoder)(states, src_mask=~PAST)
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("n_layers", [1, 2])
def test_the_block_is_positions_then_layers_then_a_residual_of_selu(causal, n_layers):
    ours, inputs = block(causal=causal, n_layers=n_layers), torch.randn(3, TIME, WIDTH)
    randomise_norms(ours)
    states = inputs + sinusoidal(0, TIME, WIDTH)
    for encoder in ours.layers:
        masks = {"src_mask": ~PAST} if causal else {}
        states = torchs(encoder)(states, src_key_padding_mask=~EXISTS, **masks)
    expected = functional.selu(states @ ours.regress.weight.T + ours.regress.bias) + states
    found = ours(inputs, EXISTS)[0]
    torch.testing.assert_close(found[EXISTS], expected[EXISTS], rtol=0, atol=5e-6)


@pytest.mark.parametrize("width", [1, 7, 8])
@pytest.mark.parametrize("first", [0, 5])
def test_sinusoidal_positions_by_hand(first, width):
    found = sinusoidal(first, 600, width)
    for second, channel in ((0, 0), (1, width - 1), (599, width // 2), (300, width - 1)):
        angle = (first + second) / 10_000 ** (channel // 2 * 2 / width)
        expected = math.cos(angle) if channel % 2 else math.sin(angle)
        # 5e-5: an angle of 600 is rounded to 3e-5 in single precision
        assert found[second, channel].item() == pytest.approx(expected, abs=5e-5)
    assert found.shape == (600, width)


@pytest.mark.parametrize("causal", [True, False])
def test_recency_fades_with_distance_by_the_time_constant_of_each_head(causal):
    """Against torch with distances over 2 and 4 s subtracted from the scores of its two heads."""
    ours, inputs = block(positions="recency", causal=causal), torch.randn(1, TIME, WIDTH)
    second = torch.arange(TIME, dtype=torch.float32)
    distance = (second - second[:, None]).abs()
    mask = torch.stack([-distance / 2, -distance / 4])  # (head, query, key)
    if causal:
        mask = mask.masked_fill(~PAST, -torch.inf)
    states = torchs(ours.layers[0])(inputs, src_mask=mask)
    expected = functional.selu(states @ ours.regress.weight.T + ours.regress.bias) + states
    found = ours(inputs, everything(TIME))[0]
    torch.testing.assert_close(found, expected, rtol=0, atol=5e-6)


def test_recency_begins_again_with_the_first_time_constant_behind_the_fourth_head():
    ours = block(positions="recency", n_heads=8)
    ours.layers[0].attention.project.weight.data.zero_()
    ours.layers[0].attention.project.bias.data.zero_()
    weights = ours(torch.randn(1, TIME, WIDTH), everything(TIME))[1][0][0]
    ratios = weights[:, -1, -1] / weights[:, -1, -2]
    expected = torch.tensor([2.0, 4.0, 8.0, 16.0] * 2).reciprocal().exp()
    torch.testing.assert_close(ratios, expected, rtol=1e-5, atol=0)


def test_learned_positions_are_the_rows_of_their_table():
    """A session of 0 at second 5 on, and one of these rows without positions, are the same."""
    ours, plain = block(positions="learned"), block()
    plain.load_state_dict({k: v for k, v in ours.state_dict().items() if "learned" not in k})
    rows = ours.learned.weight[5:][None]
    expected = plain(rows - sinusoidal(0, 4, WIDTH), everything(4))[0]
    found = ours(torch.zeros(1, 4, WIDTH), everything(4), first=5)[0]
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-6)


def test_each_row_of_the_weights_sums_to_1_and_leaves_padding_and_future_out():
    _, (weights,), _ = block()(torch.randn(3, TIME, WIDTH), EXISTS)
    torch.testing.assert_close(weights.sum(-1), torch.ones(3, HEADS, TIME), rtol=0, atol=1e-6)
    looked = (weights > 0).all(1)
    assert looked[EXISTS].equal((PAST & EXISTS[:, None])[EXISTS])


@pytest.mark.parametrize("span", [1, 3, 20])
@pytest.mark.parametrize("causal", [True, False])
def test_a_layer_looks_back_exactly_span_seconds(span, causal):
    _, weights, _ = block(span=span, causal=causal, n_layers=2)(
        torch.randn(1, TIME, WIDTH), everything(TIME)
    )
    back = np.subtract.outer(np.arange(TIME), np.arange(TIME))
    allowed = (back < span) & ((back >= 0) | (not causal))
    for looked in weights:
        assert ((looked[0] > 0).all(0).numpy() == allowed).all()


@pytest.mark.parametrize(("n_layers", "reach"), [(1, 2), (2, 4), (3, 6)])
def test_each_layer_adds_span_minus_1_seconds_of_reach(n_layers, reach):
    inputs = torch.randn(1, TIME, WIDTH, requires_grad=True)
    block(span=3, n_layers=n_layers)(inputs, everything(TIME))[0][0, 7, 0].backward()
    reached = inputs.grad[0].abs().sum(1).nonzero().flatten().tolist()
    assert reached == list(range(7 - reach, 8))


@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("span", [None, 1, 4])
@pytest.mark.parametrize("cuts", [[1] * TIME, [3, 3, 3], [7, 2]])
def test_going_on_with_what_was_kept_is_the_whole_at_once(positions, span, cuts):
    ours, inputs = block(positions=positions, span=span, n_layers=2), torch.randn(2, TIME, WIDTH)
    found, seen, first = [], None, 0
    for part in inputs.split(cuts, dim=1):
        states, _, seen = ours(part, everything(part.shape[1], 2), seen, first)
        found.append(states)
        first += part.shape[1]
    whole = ours(inputs, everything(TIME, 2))[0]
    torch.testing.assert_close(torch.cat(found, dim=1), whole, rtol=0, atol=2e-6)


@pytest.mark.parametrize(("span", "n_kept"), [(None, TIME), (20, TIME), (4, 3), (1, 0)])
def test_what_is_kept_is_what_the_next_second_looks_at(span, n_kept):
    kept = block(span=span, n_layers=2)(torch.randn(2, TIME, WIDTH), everything(TIME, 2))[2]
    assert {part.shape for seen in kept for part in seen} == {(2, HEADS, WIDTH // HEADS, n_kept)}


@pytest.mark.parametrize(("first", "n_seconds"), [(0, 10), (9, 1), (7, 3)])
def test_seconds_behind_the_learned_positions_are_refused(refuses, first, n_seconds):
    with refuses(
        "a session has 10 s, expected at most 9: learned positions end where their table ends; "
        "train with a larger `longest`, or with positions='recency' or 'sinusoidal', which have no "
        "end"
    ):
        block(positions="learned")(
            torch.rand(1, n_seconds, WIDTH), everything(n_seconds), None, first
        )


@pytest.mark.parametrize("positions", ["sinusoidal", "learned"])
def test_positions_tell_seconds_apart(positions):
    ours, inputs = block(positions=positions, span=1), torch.zeros(1, TIME, WIDTH)
    assert torch.pdist(ours(inputs, everything(TIME))[0][0]).min() > 0.01


def test_dropout_is_only_for_training():
    ours, inputs = block(dropout=0.5).train(), torch.randn(1, TIME, WIDTH)
    assert not ours(inputs, everything(TIME))[0].equal(ours(inputs, everything(TIME))[0])
    ours.eval()
    assert ours(inputs, everything(TIME))[0].equal(ours(inputs, everything(TIME))[0])
