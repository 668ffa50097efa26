"""The compiled convolution against torch's own."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from qoe_core.models import conv_layer

N = 5  # channels


def plain(inputs, weights, bias, dilation):
    past = functional.pad(inputs.transpose(1, 2), ((weights.shape[2] - 1) * dilation, 0))
    found = functional.conv1d(past, weights, bias, dilation=dilation)
    return inputs + functional.selu(found).transpose(1, 2)


def drawn(kernel=3, seconds=9, seed=2):
    """Inputs of four sessions, weights and bias."""
    generator = torch.Generator().manual_seed(seed)
    shapes = (4, seconds, N), (N, N, kernel), (N,)
    return [torch.randn(shape, generator=generator) for shape in shapes]


def with_gradients(function, tensors, dilation):
    """The result, and the gradients of all tensors, of a weighted sum."""
    tensors = [tensor.requires_grad_() for tensor in tensors]
    result = function(*tensors, dilation)
    factors = torch.linspace(-1, 1, result.numel()).view_as(result)
    return result, *torch.autograd.grad((result * factors).sum(), tensors)


@pytest.mark.parametrize("kernel", [1, 2, 3])
@pytest.mark.parametrize("dilation", [1, 4])
@pytest.mark.parametrize("seconds", [1, 3, 9])
def test_results_and_gradients_are_those_of_torch_in_double_precision(kernel, dilation, seconds):
    tensors = drawn(kernel, seconds)
    exact = with_gradients(plain, [tensor.double() for tensor in tensors], dilation)
    compiled = with_gradients(conv_layer.states, tensors, dilation)
    for found, wanted in zip(compiled, exact, strict=True):
        torch.testing.assert_close(found.double(), wanted, rtol=1e-5, atol=2e-5)


def test_many_networks_at_once_are_each_of_them():
    networks = [drawn(seed=seed) for seed in range(3)]
    rows = [torch.stack(parts).requires_grad_() for parts in zip(*networks, strict=True)]
    result = torch.vmap(lambda *row: conv_layer.states(*row, 2))(*rows)
    factors = torch.linspace(-1, 1, result[0].numel()).view_as(result[0])
    gradients = torch.autograd.grad((result * factors).sum(), rows)
    for number, tensors in enumerate(networks):
        alone = with_gradients(conv_layer.states, tensors, 2)
        together = result[number], *(gradient[number] for gradient in gradients)
        for found, wanted in zip(together, alone, strict=True):
            torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


def test_no_second_sees_a_later_one():
    inputs, weights, bias = drawn()
    whole = conv_layer.states(inputs, weights, bias, 2)
    changed = inputs.clone()
    changed[:, 5:] = nn.init.normal_(torch.empty(4, 4, N))
    assert torch.equal(conv_layer.states(changed, weights, bias, 2)[:, :5], whole[:, :5])
