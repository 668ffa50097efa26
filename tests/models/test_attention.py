"""Attention against torch's own with the same weights, its weights, and what it keeps."""

import pytest
import torch
from torch import nn

from qoe_core.models.attention import Attention, Seen

WIDTH, HEADS = 12, 4
PAST = torch.ones(7, 7, dtype=torch.bool).tril()  # (query, key)
EXISTS = torch.arange(7) < torch.tensor([7, 5, 1])[:, None]  # (batch, key)


@pytest.fixture
def pair():
    """Ours and torch's with the same weights, both without dropout."""
    ours = Attention(WIDTH, HEADS, dropout=0.0)
    theirs = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
    copied = {
        "in_proj_weight": ours.project.weight,
        "in_proj_bias": ours.project.bias,
        "out_proj.weight": ours.merge.weight,
        "out_proj.bias": ours.merge.bias,
    }
    theirs.load_state_dict(copied)
    return ours, theirs


def barred(allowed):
    """The bias that keeps queries from keys that they may not look at, both last in `allowed`."""
    return torch.zeros(allowed.shape).masked_fill(~allowed, -torch.inf).unsqueeze(-3)


@pytest.fixture
def inputs():
    return torch.randn(3, 7, WIDTH)


@pytest.fixture(params=["training path", "inference path"])
def path(request):
    """Which of torch's two implementations is compared; the second needs no gradient at all."""
    torch.backends.mha.set_fastpath_enabled(request.param == "inference path")
    with torch.set_grad_enabled(request.param == "training path"):
        yield request.param == "training path"
    torch.backends.mha.set_fastpath_enabled(True)


@pytest.mark.parametrize(
    ("allowed", "masks"),
    [
        (None, {}),
        (PAST, {"attn_mask": ~PAST}),
        (EXISTS[:, None].expand(3, 7, 7), {"key_padding_mask": ~EXISTS}),
        (PAST & EXISTS[:, None], {"attn_mask": ~PAST, "key_padding_mask": ~EXISTS}),
    ],
    ids=["all", "past", "padded", "past and padded"],
)
def test_result_and_weights_are_those_of_torch(pair, inputs, path, allowed, masks):
    ours, theirs = (module.train(path) for module in pair)
    found, weights, _ = ours(inputs, None if allowed is None else barred(allowed))
    expected = theirs(inputs, inputs, inputs, average_attn_weights=False, **masks)
    torch.testing.assert_close((found, weights), expected, rtol=0, atol=2e-6)


def test_the_gradient_is_that_of_torch(pair, inputs):
    ours, theirs = pair
    inputs.requires_grad_()
    (found,) = torch.autograd.grad(ours(inputs, barred(PAST))[0].square().sum(), inputs)
    mixed = theirs(inputs, inputs, inputs, attn_mask=~PAST)[0]
    (expected,) = torch.autograd.grad(mixed.square().sum(), inputs)
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_the_gradient_of_weights_and_inputs_is_that_of_small_differences(dropout):
    attention = Attention(4, 2, dropout).double()
    inputs = torch.randn(2, 5, 4, dtype=torch.double, requires_grad=True)
    past = barred(torch.ones(5, 5, dtype=torch.bool).tril()).double()

    def mixed(inputs, *_):
        torch.manual_seed(0)  # the same weights are dropped each time
        return attention(inputs, past)[0]

    assert torch.autograd.gradcheck(mixed, (inputs, *attention.parameters()))


def test_two_positions_by_hand():
    """All maps 1: the queries, keys and values are the inputs."""
    attention = Attention(4, 1, dropout=0.0)
    attention.load_state_dict(
        {
            "project.weight": torch.eye(4).repeat(3, 1),
            "project.bias": torch.zeros(12),
            "merge.weight": torch.eye(4),
            "merge.bias": torch.zeros(4),
        }
    )
    found, weights, _ = attention(torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.0, 2.0, 0.0, 0.0]]))
    half, two = torch.tensor([1 / 2, 4 / 2]).exp()  # products 1 and 4 over the root of 4 channels
    expected = torch.stack([half / (half + 1), 1 / (half + 1), 1 / (1 + two), two / (1 + two)])
    torch.testing.assert_close(weights.flatten(), expected, rtol=0, atol=1e-6)
    mixed = torch.stack([expected[::2], 2 * expected[1::2]], dim=1)
    torch.testing.assert_close(found[:, :2], mixed, rtol=0, atol=1e-6)


def test_each_row_of_the_weights_sums_to_1(pair, inputs):
    weights = pair[0](inputs, barred(PAST))[1]
    torch.testing.assert_close(weights.sum(-1), torch.ones(3, HEADS, 7), rtol=0, atol=1e-6)


def test_what_is_not_allowed_has_weight_0(pair, inputs):
    weights = pair[0](inputs, barred(PAST))[1]
    assert weights[:, :, ~PAST].abs().max() == 0
    assert weights[:, :, PAST].min() > 0


def test_any_number_of_batch_axes_is_one_batch(pair):
    inputs = torch.randn(2, 3, 5, WIDTH)
    together = pair[0](inputs)[:2]
    flat = [tensor.unflatten(0, (2, 3)) for tensor in pair[0](inputs.flatten(0, 1))[:2]]
    torch.testing.assert_close(together, tuple(flat), rtol=0, atol=1e-6)


@pytest.mark.parametrize("cuts", [[1] * 7, [3, 3, 1], [6, 1]])
def test_going_on_with_what_was_seen_is_the_whole_at_once(pair, inputs, cuts):
    whole, _, known = pair[0](inputs, barred(PAST))
    found, seen, start = [], None, 0
    for n in cuts:
        bias = barred(PAST[start : start + n, : start + n])
        part, _, seen = pair[0](inputs[:, start : start + n], bias, seen)
        found.append(part)
        start += n
    torch.testing.assert_close(torch.cat(found, dim=1), whole, rtol=0, atol=1e-6)
    torch.testing.assert_close(seen, known, rtol=0, atol=1e-6)


def test_what_was_seen_comes_first_and_unchanged(pair, inputs):
    seen = Seen(*torch.randn(2, 3, HEADS, WIDTH // HEADS, 5))
    _, weights, known = pair[0](inputs, None, seen)
    assert weights.shape == (3, HEADS, 7, 12)
    assert known.keys[..., :5].equal(seen.keys)
    assert known.values[..., :5].equal(seen.values)


def test_dropout_changes_the_result_and_not_the_weights(inputs):
    dropping = Attention(WIDTH, HEADS, dropout=0.5)
    dropped, shown, _ = dropping(inputs)
    kept, expected, _ = dropping.eval()(inputs)
    torch.testing.assert_close(shown, expected)
    assert (dropped - kept).abs().max() > 0.01


@pytest.mark.parametrize(
    ("width", "heads", "choice"), [(10, 4, "8 or 12"), (13, 4, "12 or 16"), (7, 3, "6 or 9")]
)
def test_heads_that_do_not_divide_the_width_are_refused(refuses, width, heads, choice):
    with refuses(
        f"width is {width} with {heads} heads, expected a multiple of the heads; choose {choice}"
    ):
        Attention(width, heads, dropout=0.0)
