"""Hand-written recurrences against torch's own layers, in double precision."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from qoe_core.models.cells import CELLS, N_GATES, states
from qoe_core.models.recurrent import Layer

T, F, H, B = 7, 3, 4, 2
LAYERS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
TORCHS_CELLS = {"rnn": nn.RNNCell, "lstm": nn.LSTMCell, "gru": nn.GRUCell}
EVERY_CELL = pytest.mark.parametrize("cell", CELLS)
EXACT = {"rtol": 0, "atol": 1e-12}


@pytest.fixture(autouse=True)
def _double():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def in_torchs_order(weights, cell):
    """Rows of gates as torch has them: an LSTM's are input, forget, cell, output there."""
    if cell != "lstm":
        return weights
    i, f, o, g = weights.chunk(4)
    return torch.cat([i, f, g, o])


def given(layer, cell, ours):
    """A layer or cell of torch with the weights of our layer, and no second bias."""
    kept = [ours.gates.weight, ours.recurrent.T, ours.gates.bias, torch.zeros_like(ours.gates.bias)]
    with torch.no_grad():
        for parameter, weights in zip(layer.parameters(), kept, strict=True):
            parameter.copy_(in_torchs_order(weights, cell))
    return layer


def both(cell, **window):
    """Our layer, and that of torch with the same weights."""
    ours = Layer(F, H, cell, **window)
    return ours, given(LAYERS[cell](F, H, batch_first=True), cell, ours)


def gradients(states_of, layer, inputs, toward):
    """Of a sum of states weighted with `toward`, by inputs and weights of a layer."""
    wanted = (inputs, *list(layer.parameters())[:3])
    return torch.autograd.grad((states_of * toward).sum(), wanted)


def same_gradients(cell, ours, theirs):
    """Compare (inputs, *weights) of our layer with those of a layer of torch."""
    inputs, recurrent, gates, bias = ours
    in_torch = [in_torchs_order(weights, cell) for weights in (gates, recurrent.T, bias)]
    torch.testing.assert_close((inputs, *in_torch), tuple(theirs), **EXACT)


@EVERY_CELL
@pytest.mark.parametrize("n_seconds", [1, 2, T])
def test_states_are_those_of_torch(cell, n_seconds):
    ours, theirs = both(cell)
    inputs = torch.randn(B, n_seconds, F)
    torch.testing.assert_close(ours(inputs), theirs(inputs)[0], **EXACT)


@EVERY_CELL
@pytest.mark.parametrize("n_seconds", [1, 2, T])
def test_gradients_are_those_of_torch(cell, n_seconds):
    ours, theirs = both(cell)
    inputs, toward = torch.randn(B, n_seconds, F, requires_grad=True), torch.randn(B, n_seconds, H)
    found = gradients(ours(inputs), ours, inputs, toward)
    same_gradients(cell, found, gradients(theirs(inputs)[0], theirs, inputs, toward))


@EVERY_CELL
def test_what_the_next_second_begins_with_is_the_last_state_of_torch(cell):
    ours, theirs = both(cell)
    inputs = torch.randn(B, T, F)
    last = states(cell, ours.gates(inputs.transpose(0, 1)), ours.recurrent)[1]
    expected = theirs(inputs)[1]
    whole = torch.cat([part[0] for part in expected], 1) if cell == "lstm" else expected[0]
    torch.testing.assert_close(last, whole, **EXACT)


@EVERY_CELL
def test_gradients_are_those_of_small_differences(cell):
    gates = torch.randn(4, B, N_GATES[cell] * 2, requires_grad=True)
    weights = torch.randn(2, N_GATES[cell] * 2, requires_grad=True)
    begin = torch.randn(B, CELLS[cell].n_parts * 2)
    assert torch.autograd.gradcheck(lambda g, w: states(cell, g, w, begin)[0], (gates, weights))


@EVERY_CELL
def test_going_on_with_the_state_gives_what_the_whole_gives(cell):
    gates, weights = torch.randn(T, B, N_GATES[cell] * H), torch.randn(H, N_GATES[cell] * H)
    whole, end = states(cell, gates, weights)
    found, state = [], None
    for part in gates.split([3, 1, 3]):
        hidden, state = states(cell, part, weights, state)
        found.append(hidden)
    assert torch.cat(found).equal(whole)
    assert state.equal(end)


@EVERY_CELL
def test_no_gradient_flows_into_the_state_that_it_begins_with_or_out_of_the_last(cell):
    gates = torch.randn(T, B, N_GATES[cell] * H, requires_grad=True)
    weights = torch.randn(H, N_GATES[cell] * H, requires_grad=True)
    begin = torch.randn(B, CELLS[cell].n_parts * H, requires_grad=True)
    hidden, last = states(cell, gates, weights, begin)
    hidden.sum().backward()
    assert begin.grad is None
    assert not last.requires_grad


def in_a_loop(cell, *rows):
    """States and gradients of networks one by one; rows of gates, weights and begin."""
    found = []
    for gates, weights, begin in zip(*rows, strict=True):
        inputs = gates.clone().requires_grad_(), weights.clone().requires_grad_()
        hidden, last = states(cell, *inputs, begin)
        found.append((hidden, last, *torch.autograd.grad(hidden.square().sum(), inputs)))
    return [torch.stack(tensors) for tensors in zip(*found, strict=True)]


@EVERY_CELL
def test_many_networks_at_once_give_what_they_give_one_by_one(cell):
    gates = torch.randn(5, T, B, N_GATES[cell] * H, requires_grad=True)
    weights = torch.randn(5, H, N_GATES[cell] * H, requires_grad=True)
    begin = torch.randn(5, B, CELLS[cell].n_parts * H)
    hidden, last = torch.vmap(lambda *row: states(cell, *row))(gates, weights, begin)
    found = hidden, last, *torch.autograd.grad(hidden.square().sum(), (gates, weights))
    expected = in_a_loop(cell, gates.detach(), weights.detach(), begin)
    torch.testing.assert_close(found, tuple(expected), **EXACT)


@EVERY_CELL
def test_networks_may_share_their_weights_or_their_inputs_or_lie_on_another_axis(cell):
    gates = torch.randn(5, T, B, N_GATES[cell] * H)
    weights = torch.randn(5, H, N_GATES[cell] * H)
    for dims, rows in (
        ((0, None), (gates, weights[0])),
        ((None, 0), (gates[0], weights)),
        ((2, 1), (gates.movedim(0, 2), weights.movedim(0, 1))),
    ):
        inputs = [row.clone().requires_grad_() for row in rows]
        hidden = torch.vmap(lambda *row: states(cell, *row)[0], in_dims=dims)(*inputs)
        found = torch.autograd.grad(hidden.square().sum(), inputs)
        pairs = zip(inputs, dims, strict=True)
        one_by_one = [
            i.expand(5, *i.shape) if dim is None else i.movedim(dim, 0) for i, dim in pairs
        ]
        looped = torch.stack([states(cell, g, w)[0] for g, w in zip(*one_by_one, strict=True)])
        expected = torch.autograd.grad(looped.square().sum(), inputs)
        torch.testing.assert_close((hidden, *found), (looped, *expected), **EXACT)


def detached_loop(cell, torchs, inputs, window):
    """States by a cell of torch, second by second; the state is cut off every `window` seconds."""
    state, found = None, []
    for second in range(inputs.shape[1]):
        if state is not None and second % window == 0:
            state = tuple(s.detach() for s in state) if cell == "lstm" else state.detach()
        state = torchs(inputs[:, second], state)
        found.append(state[0] if cell == "lstm" else state)
    return torch.stack(found, dim=1)


@EVERY_CELL
@pytest.mark.parametrize("window", [1, 3, 6, T, 100])
def test_a_window_bounds_how_far_a_gradient_flows_back(cell, window):
    ours = Layer(F, H, cell, window)
    torchs = given(TORCHS_CELLS[cell](F, H), cell, ours)
    inputs, toward = torch.randn(B, T, F, requires_grad=True), torch.randn(B, T, H)
    found, expected = ours(inputs), detached_loop(cell, torchs, inputs, window)
    torch.testing.assert_close(found, expected, **EXACT)
    reference = gradients(expected, torchs, inputs, toward)
    same_gradients(cell, gradients(found, ours, inputs, toward), reference)


@EVERY_CELL
def test_networks_at_once_have_the_window_of_one(cell):
    gates = torch.randn(5, T, B, N_GATES[cell] * H)
    weights = torch.randn(5, H, N_GATES[cell] * H)
    found = []
    for call in (torch.vmap, lambda function: lambda *rows: torch.stack([*map(function, *rows)])):
        inputs = gates.clone().requires_grad_(), weights.clone().requires_grad_()
        hidden = call(lambda g, w: states(cell, g, w, window=3)[0])(*inputs)
        found.append(torch.autograd.grad(hidden.square().sum(), inputs))
    torch.testing.assert_close(*found, **EXACT)


@EVERY_CELL
def test_a_window_does_not_change_the_states(cell):
    whole, inputs = Layer(F, H, cell), torch.randn(B, T, F)
    cut = Layer(F, H, cell, window=2)
    cut.load_state_dict(whole.state_dict())
    torch.testing.assert_close(cut(inputs), whole(inputs), **EXACT)


@EVERY_CELL
def test_states_stay_in_the_precision_of_the_weights(cell):
    weights = torch.randn(H, N_GATES[cell] * H, dtype=torch.float32)
    gates = torch.randn(T, B, N_GATES[cell] * H, dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        hidden, _ = states(cell, gates, weights)
    assert hidden.dtype == torch.float32
    assert hidden.equal(states(cell, gates.float(), weights)[0])


@EVERY_CELL
def test_weights_begin_as_those_of_torch(cell):
    """Uniform between -1 and 1 over the root of the number of units, as in torch.nn.RNN."""
    weights = torch.cat([w.flatten() for w in Layer(50, 100, cell).parameters()])
    assert functional.relu(weights.abs() - 0.1).count_nonzero() == 0
    assert weights.mean().item() == pytest.approx(0, abs=4 * 0.1 / (3 * len(weights)) ** 0.5)
    assert weights.square().mean().item() == pytest.approx(0.01 / 3, rel=0.05)
