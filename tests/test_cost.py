"""Counts against hand calculations; of times only what holds on every machine."""

import dataclasses

import pytest
import torch
from torch import nn
from torch.nn import functional

from qoe_core import cost as costs
from qoe_core.cost import Cost, cost
from qoe_core.models.attention import Attention
from qoe_core.models.recurrent import Recurrent, RecurrentConfig
from qoe_core.models.tcn import TCN, TCNConfig

T, F, H = 9, 6, 8  # seconds, inputs, units or channels
HEADS = T * H + H  # a product of H each second, and one for the session

ENCODER = T * (4 * F * F + 2 * 4 * F * F) + 2 * T * T * F


class Scored(nn.Module):
    """Any layer over [batch time feat], with the two scores that a model gives."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, inputs, valid):
        states = self.layer(inputs)
        return states.mean(-1), states.mean((1, 2))


class Convolution(nn.Module):
    """Causal, kernel 3, from F to 2 F channels."""

    def __init__(self, groups):
        super().__init__()
        self.convolution = nn.Conv1d(F, 2 * F, 3, groups=groups)

    def forward(self, inputs):
        return self.convolution(functional.pad(inputs.transpose(1, 2), (2, 0))).transpose(1, 2)


class FusedAttention(nn.Module):
    """Two heads over all seconds; the weight is there to be trained."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, inputs):
        heads = inputs.unflatten(-1, (2, -1)).transpose(1, 2)
        mixed = functional.scaled_dot_product_attention(heads, heads, heads, is_causal=True)
        return self.weight * mixed.transpose(1, 2).flatten(2)


class CompiledAttention(nn.Module):
    """Attention with what comes before and after it, with the two scores that a model gives."""

    def __init__(self):
        super().__init__()
        self.attention = Attention(F, 2, dropout=0.0)

    def forward(self, inputs, valid):
        states, *_ = self.attention(inputs)
        return states.mean(-1), states.mean((1, 2))


def recurrent(cell, n_layers=1):
    return Recurrent(F, RecurrentConfig(cell=cell, hidden=H, n_layers=n_layers))


def encoder():
    return nn.TransformerEncoderLayer(F, 2, 4 * F, batch_first=True)


BY_HAND = {  # a module and its multiply-adds over T seconds
    "linear": (Scored(nn.Linear(F, H)), T * F * H),
    "convolution": (Scored(Convolution(groups=1)), T * 3 * F * 2 * F),
    "grouped convolution": (Scored(Convolution(groups=F)), T * 3 * 2 * F),
    "attention": (Scored(FusedAttention()), 2 * T * T * F),
    "compiled attention": (CompiledAttention(), T * F * 4 * F + 2 * T * T * F),
    "encoder": (Scored(encoder()), ENCODER),
    "frozen encoder": (
        Scored(nn.Sequential(encoder().requires_grad_(False).eval(), nn.Linear(F, H))),
        ENCODER + T * F * H,
    ),
    "rnn": (recurrent("rnn"), T * H * (F + H) + HEADS),
    "gru": (recurrent("gru"), T * 3 * H * (F + H) + HEADS),
    "lstm": (recurrent("lstm"), T * 4 * H * (F + H) + HEADS),
    "lstm of two layers": (recurrent("lstm", 2), T * 4 * H * (F + H + H + H) + HEADS),
    "tcn": (TCN(F, TCNConfig(filters=H, dilations=(1, 2))), T * (F * H + 2 * 3 * H * H) + HEADS),
}


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    monkeypatch.setattr(costs, "MEASURED_S", 1e-3)


@pytest.mark.parametrize("name", BY_HAND)
def test_multiply_adds_are_those_of_a_hand_count(name):
    module, by_hand = BY_HAND[name]
    assert cost(module, T, F).multiply_adds_per_second == pytest.approx(by_hand / T)


def test_parameters_of_a_gru_are_those_of_its_formula():
    by_hand = 3 * H * (F + H + 1) + 2 * (H + 1)
    assert cost(recurrent("gru"), T, F).parameters == by_hand


def test_attention_costs_more_a_second_in_a_longer_session_and_a_gru_hardly_less():
    attention = [cost(Scored(FusedAttention()), n, F).multiply_adds_per_second for n in (T, 2 * T)]
    gru = [cost(recurrent("gru"), n, F).multiply_adds_per_second for n in (T, 2 * T)]
    assert attention[1] == 2 * attention[0]
    assert gru[0] - gru[1] == pytest.approx(H / T - H / (2 * T))  # the head of the session


def test_the_module_and_the_state_of_chance_are_left_as_they_were():
    module = recurrent("gru").eval()
    before = {name: weight.clone() for name, weight in module.state_dict().items()}
    chance = torch.random.get_rng_state()
    cost(module, T, F)
    assert all(weight.equal(before[name]) for name, weight in module.state_dict().items())
    assert not module.training
    assert all(weight.grad is None for weight in module.parameters())
    assert torch.random.get_rng_state().equal(chance)


def test_counts_are_the_same_each_time():
    first, second = (dataclasses.asdict(cost(recurrent("lstm"), T, F)) for _ in range(2))
    for found in (first, second):
        assert found.pop("ms_per_step") > 0
    assert first == second


def test_a_training_step_is_of_sixteen_sessions_and_changes_the_weights():
    seen = []

    class Watched(Scored):
        def forward(self, inputs, valid):
            seen.append((inputs.shape, self.layer.weight.detach().clone()))
            return super().forward(inputs, valid)

    cost(Watched(nn.Linear(F, H)), T, F)
    assert {tuple(shape) for shape, _ in seen} == {(1, T, F), (16, T, F)}
    assert not seen[1][1].equal(seen[2][1])


def test_times_are_taken_at_one_thread_and_the_number_is_put_back(monkeypatch):
    torch.set_num_threads(2)
    threads = []

    class Watched(Scored):
        def forward(self, inputs, valid):
            threads.append(torch.get_num_threads())
            return super().forward(inputs, valid)

    cost(Watched(nn.Linear(F, H)), T, F)
    after = torch.get_num_threads()
    torch.set_num_threads(1)
    assert (set(threads[1:]), after) == ({1}, 2)


@pytest.mark.parametrize(("n_seconds", "n_feat"), [(0, F), (T, 0)])
def test_nothing_to_compute_is_refused(refuses, n_seconds, n_feat):
    with refuses(
        f"n_seconds is {n_seconds} and n_feat {n_feat}, expected at least 1 each; "
        "is the session empty?"
    ):
        cost(recurrent("gru"), n_seconds, n_feat)


def test_costs_cannot_be_changed():
    found = Cost(parameters=1, multiply_adds_per_second=1.0, ms_per_step=1.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.parameters = 2
