"""Rows of weights against torch's own optimiser, clipping and modules, one network at a time."""

import copy

import pytest
import torch
from torch import nn

from qoe_core.models.dual_attention import DualAttention, DualAttentionConfig
from qoe_core.models.recurrent import Recurrent, RecurrentConfig
from qoe_core.stack import AdamW, Stack, clipped

CPU = torch.device("cpu")
N_RUNS, N_WEIGHTS = 3, 7


class Affine(nn.Module):
    """An affine score of every second; the last layer may be any other."""

    def __init__(self, last=None):
        super().__init__()
        self.affine = nn.Linear(2, 1)
        self.last = last or nn.Identity()

    def forward(self, inputs, valid):
        scores = self.last(self.affine(inputs)).squeeze(-1)
        return scores, (scores * valid).sum(1)


def recurrent(**changes):
    return Recurrent(2, RecurrentConfig(**{"hidden": 3, **changes}))


def batches(n_runs):
    return torch.rand(n_runs, 2, 5, 2), torch.rand(n_runs, 2, 5) < 0.8


def reference(rows, weight_decay):
    """A parameter and an optimiser of torch for each row."""
    parameters = [nn.Parameter(row.clone()) for row in rows]
    return parameters, [torch.optim.AdamW([p], weight_decay=weight_decay) for p in parameters]


@pytest.mark.parametrize("kind", [torch.float32, torch.float64], ids=["compiled", "torch"])
@pytest.mark.parametrize("weight_decay", [0.0, 1e-2, 1.0])
def test_rows_move_as_with_the_adamw_of_torch(weight_decay, kind):
    """Each with a rate of its own that changes, and some sit steps out, the last one the first."""
    weights = torch.randn(N_RUNS, N_WEIGHTS, dtype=kind)
    parameters, optimizers = reference(weights, weight_decay)
    ours = AdamW(weights, weight_decay)
    for step in range(12):
        gradient, rates = torch.randn(N_RUNS, N_WEIGHTS, dtype=kind), torch.rand(N_RUNS) * 0.1
        active = torch.tensor([True, step % 3 != 1, step > 3])
        ours.step(gradient, rates, active)
        for run in active.nonzero().flatten():
            parameters[run].grad = gradient[run].clone()
            optimizers[run].param_groups[0]["lr"] = rates[run].item()
            optimizers[run].step()
        expected = torch.stack([p.detach() for p in parameters])
        torch.testing.assert_close(weights, expected, rtol=0, atol=1e-6)
    assert ours.n_steps.tolist() == [12, 8, 8]


def test_the_first_steps_have_all_digits():
    """The second moment is divided by 1 - 0.999 ** n, of which single precision keeps four."""
    weights = torch.zeros(1, N_WEIGHTS)
    (parameter,), (optimizer,) = reference(weights, 0.0)
    ours, gradient = AdamW(weights, 0.0), 0.5 + torch.rand(1, N_WEIGHTS)
    for _ in range(3):
        ours.step(gradient, torch.tensor([1e-3]), torch.tensor([True]))
        parameter.grad = gradient[0].clone()
        optimizer.step()
        torch.testing.assert_close(weights[0], parameter.detach(), rtol=1e-6, atol=0)


def test_a_row_that_sits_out_keeps_its_bits_and_its_moments():
    weights = torch.randn(2, N_WEIGHTS)
    ours, on = AdamW(weights, 1.0), torch.tensor([True, True])
    ours.step(torch.randn(2, N_WEIGHTS), torch.tensor([0.1, 0.1]), on)
    state = weights, ours.first, ours.second, ours.n_steps
    before = [tensor[1].clone() for tensor in state]
    ours.step(torch.randn(2, N_WEIGHTS), torch.tensor([0.1, 0.1]), torch.tensor([True, False]))
    assert all(tensor[1].equal(kept) for tensor, kept in zip(state, before, strict=True))


@pytest.mark.parametrize("norm", [0.25, 2.0, 1e6])
def test_rows_are_clipped_as_torch_clips_a_module(norm):
    gradient = torch.randn(4, N_WEIGHTS) * torch.tensor([1e-3, 0.1, 1.0, 1e4])[:, None]
    found, norms = clipped(gradient, norm)
    for row in range(4):
        parameter = nn.Parameter(torch.zeros(N_WEIGHTS))
        parameter.grad = gradient[row].clone()
        before = nn.utils.clip_grad_norm_([parameter], norm)
        torch.testing.assert_close(norms[row], before, rtol=1e-6, atol=0)
        torch.testing.assert_close(found[row], parameter.grad, rtol=1e-6, atol=0)


@pytest.mark.parametrize("n_runs", [1, 3])
def test_each_network_scores_its_own_batch(n_runs):
    modules, (inputs, valid) = [recurrent() for _ in range(n_runs)], batches(n_runs)
    valid[..., 0] = True
    continuous, overall = Stack(modules, CPU)(inputs, valid)
    for run, module in enumerate(modules):
        expected = module(inputs[run], valid[run])
        torch.testing.assert_close((continuous[run], overall[run]), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("n_runs", [1, 3])
def test_modules_get_their_rows_back_when_asked(n_runs):
    modules = [recurrent() for _ in range(n_runs)]
    before = [copy.deepcopy(module.state_dict()) for module in modules]
    stack = Stack(modules, CPU)
    with torch.no_grad():
        stack.weights += torch.arange(1.0, n_runs + 1)[:, None]

    def moved_by(module, state, amount):
        pairs = zip(module.state_dict().values(), state.values(), strict=True)
        return all(now.equal(then + amount) for now, then in pairs)

    assert all(moved_by(m, s, 0) for m, s in zip(modules, before, strict=True))
    stack.write_back()
    moves = enumerate(zip(modules, before, strict=True), start=1)
    assert all(moved_by(module, state, amount) for amount, (module, state) in moves)


def test_frozen_weights_are_no_rows_and_stay():
    modules = [Affine() for _ in range(2)]
    for module in modules:
        module.affine.bias.requires_grad_(False).fill_(7)
    stack = Stack(modules, CPU)
    assert stack.weights.shape == (2, 2)
    with torch.no_grad():
        stack.weights.zero_()
    inputs, valid = batches(2)
    assert stack(inputs, valid)[0].unique().tolist() == [7]
    stack.write_back()
    assert [module.affine.bias.item() for module in modules] == [7, 7]


def differing():
    """Pairs of modules that differ in more than trained weights."""
    frozen = [Affine(), Affine()]
    for value, module in enumerate(frozen):
        module.affine.bias.requires_grad_(False).fill_(value)
    free, partly = Affine(), Affine()
    partly.affine.bias.requires_grad_(False)
    tables = [Affine(), Affine()]
    for value, module in enumerate(tables):
        module.register_buffer("table", torch.tensor(value))
    small = DualAttentionConfig(width=4)
    blind = DualAttentionConfig(width=4, causal=False)
    return {
        "sizes": (recurrent(), recurrent(hidden=4)),
        "layers": (recurrent(), recurrent(n_layers=2)),
        "kinds": (Affine(nn.Tanh()), Affine(nn.ReLU())),
        "what is trained": (free, partly),
        "frozen weights": tuple(frozen),
        "buffers": tuple(tables),
        "a window": (recurrent(), recurrent(window=2)),
        "a mask": (DualAttention(1, 1, small), DualAttention(1, 1, blind)),
    }


@pytest.mark.parametrize("what", differing())
def test_modules_that_differ_in_more_than_trained_weights_are_refused(refuses, what):
    first, other = differing()[what]
    with refuses(
        f"3 modules differ in more than their trained weights, expected the same sizes as {first}; "
        "were they built from different configurations?"
    ):
        Stack([first, copy.deepcopy(first), other], CPU)


def test_modules_in_other_modes_are_alike():
    Stack([recurrent().eval(), recurrent().train()], CPU)


def test_dropout_is_refused_where_several_are_trained(refuses):
    with refuses(
        "2 modules with Dropout(p=0.1, inplace=False), expected no dropout or one module: what "
        "dropout draws would depend on what is trained beside a module"
    ):
        Stack([recurrent(dropout=0.1), recurrent(dropout=0.1)], CPU)


def test_dropout_is_drawn_in_training_where_one_is_trained():
    stack = Stack([recurrent(dropout=0.5)], CPU)
    inputs, valid = torch.rand(1, 2, 5, 2), torch.ones(1, 2, 5, dtype=torch.bool)
    stack.train(True)
    assert not stack(inputs, valid)[0].equal(stack(inputs, valid)[0])
    stack.train(False)
    assert stack(inputs, valid)[0].equal(stack(inputs, valid)[0])


@pytest.mark.parametrize("n_runs", [1, 2])
def test_norms_that_count_are_refused(refuses, n_runs):
    with refuses(
        f"a module has {nn.BatchNorm1d(5)}, whose statistics are no weights and would not be kept; "
        "expected LayerNorm, or another norm that needs none"
    ):
        Stack([Affine(nn.BatchNorm1d(5)) for _ in range(n_runs)], CPU)
