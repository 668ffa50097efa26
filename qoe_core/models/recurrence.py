"""States of a recurrence over seconds, by the fastest way that the device has.

Axes: time = seconds, batch = sessions, gate = gates times hidden, state = what the next second
needs: the hidden state, for an LSTM also its cell. Inputs are already mapped to the gates.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from qoe_core import kernels
from qoe_core.kernels import ONE, TWO, F, add_product, compiled, exp, inlined
from qoe_core.models.cells import CELLS, Recurrence


def states(
    cell: str,
    gates: Float[Tensor, "time batch gate"],
    weights: Float[Tensor, "hidden gate"],
    begin: Float[Tensor, "batch state"] | None = None,
    window: int | None = None,
) -> tuple[Float[Tensor, "time batch hidden"], Float[Tensor, "batch state"]]:
    """Hidden state of every second, and what the second after the last one begins with.

    No gradient flows into `begin` (None for zeros) or out of the second result, and none from one
    `window` of seconds into the one before it.
    """
    gates = gates.to(weights.dtype)
    fast = cell == "lstm" and kernels.suit(gates, weights)
    function = _CompiledLSTM if fast else CELLS[cell]
    if begin is None:
        begin = weights.new_zeros(gates.shape[1], function.n_parts * len(weights))
    with torch.autocast(gates.device.type, enabled=False):
        inputs = gates.unsqueeze(1), weights.unsqueeze(0), begin.unsqueeze(0)
        hidden, last, *_ = function.apply(*inputs, min(window or len(gates), len(gates)))
    return hidden.squeeze(1), last.squeeze(0)


class _CompiledLSTM(Recurrence):
    """The LSTM of `cells` on a CPU in single precision: a session after another, not a second."""

    n_parts = 2

    @staticmethod
    def forward(gates, weights, begin, window):
        opened = gates.transpose(0, 1).clone(memory_format=torch.contiguous_format)
        n_runs, n_seconds, n_sessions = opened.shape[:3]
        shape = n_runs, n_seconds + 1, n_sessions, weights.shape[1]
        h, c = opened.new_empty(shape), opened.new_empty(shape)
        h[:, 0], c[:, 0] = begin.chunk(2, dim=-1)
        _lstm(*kernels.arrays(opened, h, c, weights))
        last = torch.cat([h[:, -1], c[:, -1]], dim=-1)
        h, c, opened = (by_run.transpose(0, 1) for by_run in (h, c, opened))
        return h[1:].clone(), last, h, c, opened

    @staticmethod
    def backward(ctx, d_hidden, *_):
        weights, *kept = ctx.saved_tensors
        h, c, opened = (by_second.transpose(0, 1) for by_second in kept)
        d = torch.empty_like(opened)
        back = pad(weights.transpose(1, 2), [0, -weights.shape[1] % 8])
        given = d_hidden.transpose(0, 1), opened, c, back
        _lstm_back(*kernels.arrays(d, *given), ctx.window)
        d_weights = h[:, :-1].flatten(1, 2).transpose(1, 2) @ d.flatten(1, 2)
        return d.transpose(0, 1), d_weights, None, None


@inlined
def _eights(n):
    """Room for n numbers that is computed eight at a time to its end."""
    return np.zeros(n + -n % 8, F)


@inlined
def _squash(row):
    """Put tanh of each number in its place; near 0 its last digits are lost."""
    for g in range(len(row)):
        row[g] = ONE - TWO / (ONE + exp(row[g] + row[g]))


@compiled
def _lstm(opened, h, c, weights):
    """States h and c [run second batch hidden] after the first, which they hold.

    `opened` holds the gates [run second batch gate], which are opened in place.
    """
    n = h.shape[3]
    squashed = _eights(n)
    for run, b in np.ndindex((h.shape[0], h.shape[2])):
        for t in range(h.shape[1] - 1):
            now, state = opened[run, t, b], h[run, t + 1, b]
            before, cell = c[run, t, b], c[run, t + 1, b]
            i, f, o, a = now[:n], now[n : 2 * n], now[2 * n : 3 * n], now[3 * n :]
            add_product(now, h[run, t, b], weights[run])
            for g in range(n):
                a[g] += a[g]  # tanh(x) is 2 sigmoid(2 x) - 1
            for g in range(len(now)):
                now[g] = ONE / (ONE + exp(-now[g]))
            for g in range(n):
                a[g] = a[g] + a[g] - ONE
                cell[g] = squashed[g] = f[g] * before[g] + i[g] * a[g]
            _squash(squashed)
            for g in range(n):
                state[g] = o[g] * squashed[g]


@compiled
def _lstm_back(d, d_hidden, opened, c, back, window):
    """Gradient `d` of the gates, `window` seconds back; `back`: weights transposed, in eights."""
    n_seconds, n = d.shape[1], c.shape[3]
    carried, of_cell, squashed = _eights(n), _eights(n), _eights(n)
    for run, b in np.ndindex((d.shape[0], d.shape[2])):
        for t in range(n_seconds - 1, -1, -1):
            if t == n_seconds - 1 or (t + 1) % window == 0:
                carried[:] = F(0)
                of_cell[:] = F(0)
            now, gates, above = d[run, t, b], opened[run, t, b], d_hidden[run, t, b]
            before, cell = c[run, t, b], c[run, t + 1, b]
            d_i, d_f, d_o, d_a = now[:n], now[n : 2 * n], now[2 * n : 3 * n], now[3 * n :]
            i, f, o, a = gates[:n], gates[n : 2 * n], gates[2 * n : 3 * n], gates[3 * n :]
            for g in range(n):
                squashed[g] = cell[g]
            _squash(squashed)
            for g in range(n):
                dh = carried[g] + above[g]
                dc = of_cell[g] + dh * o[g] * (ONE - squashed[g] * squashed[g])
                d_i[g] = dc * a[g] * i[g] * (ONE - i[g])
                d_f[g] = dc * before[g] * f[g] * (ONE - f[g])
                d_o[g] = dh * squashed[g] * o[g] * (ONE - o[g])
                d_a[g] = dc * i[g] * (ONE - a[g] * a[g])
                of_cell[g] = dc * f[g]
                carried[g] = F(0)
            add_product(carried, now, back[run])
