"""What is compiled for single precision against the same formulas of torch in double precision."""

import copy

import numpy as np
import pytest
import torch

from qoe_core import kernels
from qoe_core.models.attention import Attention
from qoe_core.models.cross_feature import CrossFeature
from qoe_core.models.recurrent import COMPILED, Layer

COMPILED_CELLS = pytest.mark.parametrize("cell", COMPILED)
SPREAD = {"lstm": 1.0, "gru": 0.3}  # a GRU of larger weights is chaotic: torch's is as far off
CLOSE = {"rtol": 1e-5, "atol": 3e-6}
CAUSAL = torch.full((9, 9), -torch.inf).triu(1)
BIASES = {
    "none": None,
    "causal": CAUSAL[None, None],
    "fading, by head": (CAUSAL - torch.arange(3)[:, None, None] * CAUSAL.isfinite().cumsum(1))[
        None
    ],
    "padding, by session": torch.zeros(2, 1, 9, 9).index_fill(3, torch.tensor([7, 8]), -torch.inf)
    - torch.arange(2)[:, None, None, None],
    "a span": torch.where(torch.ones(9, 9).tril().triu(-2) > 0, 0.0, -torch.inf)[None, None],
}


@kernels.compiled
def exponentials(numbers, results):
    """Of all numbers."""
    for place in range(len(numbers)):
        results[place] = kernels.exp(numbers[place])


def exp(*numbers):
    """By the compiled function."""
    given = np.array(numbers, np.float32)
    results = np.empty_like(given)
    exponentials(given, results)
    return results


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def results_and_gradients(function, *tensors):
    """What a function of tensors gives, and the gradients of a weighted sum of it."""
    leaves = [tensor.detach().requires_grad_() for tensor in tensors]
    result = function(*leaves)
    toward = torch.linspace(-1, 1, result.numel()).to(result).view(result.shape)
    return result, *torch.autograd.grad((result * toward).sum(), leaves)


def same_in_both_precisions(function, *tensors):
    """Compare results and gradients of single precision, which is compiled, with double."""
    found = results_and_gradients(function, *tensors)
    expected = results_and_gradients(function, *(tensor.double() for tensor in tensors))
    for ours, exact in zip(found, expected, strict=True):
        torch.testing.assert_close(ours.double(), exact, **CLOSE)


def test_the_exponential_is_that_of_numpy():
    numbers = np.linspace(-87, 88, 100_001, dtype=np.float32)
    np.testing.assert_allclose(exp(*numbers), np.exp(numbers.astype(float)), rtol=3e-7)


def test_the_exponential_of_what_is_far_below_is_next_to_nothing():
    assert exp(-1e30, -np.inf).max() < 1e-37


def test_what_is_not_a_number_stays_so():
    assert np.isnan(exp(np.nan)).all()


def layer_states(layer):
    """As a function of inputs and weights."""
    names = [name for name, _ in layer.named_parameters()]

    def found(inputs, *weights):
        named = dict(zip(names, weights, strict=True))
        return torch.func.functional_call(layer, named, (inputs,))

    return found


@COMPILED_CELLS
@pytest.mark.parametrize("hidden", [1, 5, 8, 22])
@pytest.mark.parametrize("window", [None, 1, 4])
@pytest.mark.parametrize("n_feat", [1, 9])
def test_a_layer_of_states_is_that_of_torch(cell, hidden, window, n_feat):
    layer = Layer(n_feat, hidden, cell, window)
    weights = [torch.randn_like(weights) * SPREAD[cell] for weights in layer.parameters()]
    same_in_both_precisions(layer_states(layer), torch.randn(3, 9, n_feat), *weights)


@COMPILED_CELLS
def test_a_layer_of_states_takes_sessions_of_one_second(cell):
    layer = Layer(2, 3, cell)
    same_in_both_precisions(layer_states(layer), torch.randn(2, 1, 2), *layer.parameters())


@COMPILED_CELLS
def test_layers_of_several_networks_are_each_its_own(cell):
    layers = [Layer(3, 5, cell, window=4) for _ in range(4)]
    rows = [torch.stack(weights) for weights in zip(*(x.parameters() for x in layers), strict=True)]
    inputs, function = torch.randn(4, 2, 9, 3), layer_states(layers[0])
    found = results_and_gradients(torch.vmap(function), inputs, *rows)
    alone = [function(*row) for row in zip(inputs, *rows, strict=True)]
    assert found[0].equal(torch.stack(alone))

    def looped(*rows):
        return torch.stack([function(*row) for row in zip(*rows, strict=True)])

    torch.testing.assert_close(found, results_and_gradients(looped, inputs, *rows), **CLOSE)


@pytest.mark.parametrize("bias", BIASES)
@pytest.mark.parametrize("width", [3, 12, 18])
def test_attention_is_that_of_torch(bias, width):
    block = Attention(width, 3, dropout=0.0)

    def mixed(inputs, *weights):
        named = dict(zip(dict(block.named_parameters()), weights, strict=True))
        added = None if BIASES[bias] is None else BIASES[bias].to(inputs.dtype)
        return torch.func.functional_call(block, named, (inputs, added))[0]

    same_in_both_precisions(mixed, torch.randn(2, 9, width), *block.parameters())


@pytest.mark.parametrize("n_seconds", [8, 17, 37, 75])
def test_attention_over_many_seconds_is_that_of_torch(n_seconds):
    block = Attention(12, 3, dropout=0.0)
    bias = torch.full((1, 1, n_seconds, n_seconds), -torch.inf).triu(1)
    same_in_both_precisions(
        lambda inputs: copy.deepcopy(block).to(inputs.dtype)(inputs, bias.to(inputs.dtype))[0],
        torch.randn(2, n_seconds, 12),
    )


@pytest.mark.parametrize("bias", BIASES)
def test_weights_of_attention_are_those_of_torch(bias):
    block, inputs, added = Attention(12, 3, dropout=0.0), torch.randn(2, 9, 12), BIASES[bias]
    found = block(inputs, added)[1]
    exact = block.double()(inputs.double(), None if added is None else added.double())[1]
    torch.testing.assert_close(found.double(), exact, **CLOSE)


def test_attention_of_several_networks_is_each_its_own():
    block, inputs = Attention(12, 3, dropout=0.0), torch.randn(4, 2, 9, 12)
    bias = BIASES["padding, by session"].expand(4, 2, 1, 9, 9).clone()
    bias[1:] = 0
    at_once = torch.vmap(lambda x, b: block(x, b)[0])(inputs, bias)
    alone = [block(x, b)[0] for x, b in zip(inputs, bias, strict=True)]
    torch.testing.assert_close(at_once, torch.stack(alone), **CLOSE)


def test_a_score_that_is_not_a_number_shows():
    block, inputs = Attention(12, 3, dropout=0.0), torch.randn(1, 9, 12)
    inputs[0, 4] = torch.nan
    mixed = block(inputs, BIASES["causal"])[0]
    assert mixed[0, 4:].isnan().all()
    assert mixed[0, :4].isfinite().all()


@pytest.mark.parametrize(("n_feat", "token", "heads"), [(1, 4, 1), (5, 6, 3), (7, 8, 2)])
def test_attention_over_features_is_that_of_torch(n_feat, token, heads):
    block = CrossFeature(n_feat, token, heads, dropout=0.0)

    def related(inputs, *weights):
        named = dict(zip(dict(block.named_parameters()), weights, strict=True))
        return torch.func.functional_call(block, named, (inputs,))[0]

    same_in_both_precisions(related, torch.randn(3, 9, n_feat * token), *block.parameters())


def test_weights_of_attention_over_features_are_those_of_torch():
    block, inputs = CrossFeature(5, 6, 3, dropout=0.0), torch.randn(3, 9, 30)
    found, exact = block(inputs)[1], block.double()(inputs.double())[1]
    torch.testing.assert_close(found.double(), exact, **CLOSE)


def test_attention_over_features_of_several_networks_is_each_its_own():
    blocks = [CrossFeature(5, 6, 3, dropout=0.0) for _ in range(4)]
    rows = [torch.stack(weights) for weights in zip(*(x.parameters() for x in blocks), strict=True)]
    inputs, names = torch.randn(4, 2, 9, 30), list(dict(blocks[0].named_parameters()))

    def related(inputs, *weights):
        named = dict(zip(names, weights, strict=True))
        return torch.func.functional_call(blocks[0], named, (inputs,))[0]

    def looped(*rows):
        return torch.stack([related(*row) for row in zip(*rows, strict=True)])

    found = results_and_gradients(torch.vmap(related), inputs, *rows)
    torch.testing.assert_close(found, results_and_gradients(looped, inputs, *rows), **CLOSE)


def test_code_on_disk_is_not_used_after_a_change_of_what_it_is_made_of():
    assert kernels.VERSION in kernels.numba.config.CACHE_DIR
