"""The compiled attention over features against torch's operations in double precision."""

import copy

import pytest
import torch
from torch import nn

from qoe_core.models.cross_feature import CrossFeature

FEAT, TOKEN, HEADS = 3, 6, 2


def drawn(seed):
    """A block whose biases and norm count too."""
    torch.manual_seed(seed)
    block = CrossFeature(FEAT, TOKEN, HEADS, dropout=0.0)
    for weights in block.parameters():
        nn.init.normal_(weights, std=0.7)
    return block


def states(n_seconds=11):
    """Of four sessions."""
    return torch.randn(4, n_seconds, FEAT * TOKEN, generator=torch.Generator().manual_seed(9))


def with_gradients(block, inputs):
    """The result, and the gradients of the inputs and all weights, of a weighted sum."""
    inputs = inputs.detach().to(block.project.weight.dtype).requires_grad_()
    result, _ = block(inputs)
    factors = torch.linspace(-1, 1, result.numel()).view_as(result)
    wanted = inputs, *block.parameters()
    return result, *torch.autograd.grad((result * factors).sum(), wanted)


@pytest.mark.parametrize("n_seconds", [1, 11])
def test_results_and_gradients_are_those_of_torch_in_double_precision(n_seconds):
    block = drawn(seed=0)
    exact = with_gradients(copy.deepcopy(block).double(), states(n_seconds))
    compiled = with_gradients(block, states(n_seconds))
    for found, wanted in zip(compiled, exact, strict=True):
        torch.testing.assert_close(found.double(), wanted, rtol=1e-5, atol=5e-5)


def test_the_weights_that_are_handed_back_are_those_of_torch():
    block = drawn(seed=1)
    _, exact = copy.deepcopy(block).double()(states().double())
    torch.testing.assert_close(block(states())[1].double(), exact, rtol=0, atol=2e-6)


def test_many_networks_at_once_are_each_of_them():
    blocks = [drawn(seed) for seed in range(3)]
    named = [dict(block.named_parameters()) for block in blocks]
    rows = {name: torch.stack([of[name] for of in named]).detach() for name in named[0]}
    rows = {name: weights.requires_grad_() for name, weights in rows.items()}
    inputs = torch.stack([states() + number for number in range(3)]).requires_grad_()
    call = torch.vmap(lambda row, x: torch.func.functional_call(blocks[0], row, (x,))[0])
    result = call(rows, inputs)
    factors = torch.linspace(-1, 1, result[0].numel()).view_as(result[0])
    gradients = torch.autograd.grad((result * factors).sum(), [inputs, *rows.values()])
    for number, block in enumerate(blocks):
        alone = with_gradients(block, states() + number)
        together = result[number], *(gradient[number] for gradient in gradients)
        for found, wanted in zip(together, alone, strict=True):
            torch.testing.assert_close(found, wanted, rtol=1e-5, atol=2e-5)
