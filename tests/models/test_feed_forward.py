"""The compiled pass behind attention against torch's own norms and maps."""

import copy

import pytest
import torch
from torch import nn

from qoe_core.models import feed_forward
from qoe_core.models.long_time import Encoder

WIDTH, WIDE = 6, 24


class Plain(nn.Module):
    """The formulas, operation by operation."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.widen, self.narrow = nn.Linear(WIDTH, WIDE), nn.Linear(WIDE, WIDTH)
        for weights in self.parameters():
            nn.init.normal_(weights, std=0.5)

    def forward(self, before, mixed):
        states = self.first(before + mixed)
        return self.second(states + self.narrow(torch.relu(self.widen(states))))


class Compiled(Plain):
    """The same by the pass that is tested."""

    def forward(self, before, mixed):
        parts = self.first, self.widen, self.narrow, self.second
        return feed_forward.states(before, mixed, *((m.weight, m.bias) for m in parts))


@pytest.fixture
def both():
    torch.manual_seed(3)
    plain, compiled = Plain().double(), Compiled()
    compiled.load_state_dict(plain.state_dict())
    return plain, compiled


@pytest.fixture
def inputs():
    """States before attention and what it mixed, of five sessions."""
    return torch.randn(2, 5, 9, WIDTH, generator=torch.Generator().manual_seed(4))


def with_gradients(module, inputs):
    """The result, and the gradients of both inputs and of every weight, of a weighted sum."""
    inputs = inputs.detach().to(next(module.parameters()).dtype).requires_grad_()
    result = module(*inputs)
    factors = torch.linspace(-1, 1, result.numel()).view_as(result)
    wanted = inputs, *module.parameters()
    return result, *torch.autograd.grad((result * factors).sum(), wanted)


def test_results_and_gradients_are_those_of_torch_in_double_precision(both, inputs):
    plain, compiled = (with_gradients(module, inputs) for module in both)
    for found, wanted in zip(compiled, plain, strict=True):
        torch.testing.assert_close(found.double(), wanted, rtol=1e-5, atol=2e-5)


def test_many_networks_at_once_are_each_of_them(both, inputs):
    _, one = both
    others = [copy.deepcopy(one) for _ in range(3)]
    for number, other in enumerate(others):
        for weights in other.parameters():
            weights.data += 0.1 * number
    named = [dict(other.named_parameters()) for other in others]
    rows = {name: torch.stack([of[name] for of in named]).detach() for name in named[0]}
    rows = {name: weights.requires_grad_() for name, weights in rows.items()}
    # as attention leaves them: positions last in memory
    strided = torch.stack([inputs + n for n in range(3)]).transpose(-2, -1).contiguous()
    call = torch.vmap(lambda row, x: torch.func.functional_call(one, row, (x[0], x[1])))
    result = call(rows, strided.transpose(-2, -1))
    factors = torch.linspace(-1, 1, result[0].numel()).view_as(result[0])
    gradients = torch.autograd.grad((result * factors).sum(), list(rows.values()))
    for number, other in enumerate(others):
        alone, _, *weights = with_gradients(other, inputs + number)
        torch.testing.assert_close(result[number], alone, rtol=1e-5, atol=1e-5)
        for found, wanted in zip(gradients, weights, strict=True):
            torch.testing.assert_close(found[number], wanted, rtol=1e-5, atol=1e-4)


def test_padding_does_not_reach_other_sessions_or_seconds(both, inputs):
    _, compiled = both
    whole = compiled(*inputs)
    assert torch.equal(compiled(*inputs[:, 1:3, :4]), whole[1:3, :4])


def test_constant_states_are_the_shift_of_the_norm(both):
    _, compiled = both
    constant = torch.full((1, 2, WIDTH), 7.0)
    nn.init.zeros_(compiled.narrow.weight)
    nn.init.zeros_(compiled.narrow.bias)
    found = compiled(constant, torch.zeros_like(constant))
    expected = compiled.second(compiled.first.bias)
    torch.testing.assert_close(found[0, 1], expected, rtol=1e-4, atol=1e-4)


def test_an_encoder_draws_dropout_where_it_has_some():
    torch.manual_seed(5)
    encoder = Encoder(WIDTH, 2, dropout=0.5)
    states, bias = torch.randn(1, 4, WIDTH), torch.zeros(1, 1, 4, 4)
    first, second = (encoder(states, bias)[0] for _ in range(2))
    assert not torch.equal(first, second)
    encoder.eval()
    first, second = (encoder(states, bias)[0] for _ in range(2))
    assert torch.equal(first, second)
