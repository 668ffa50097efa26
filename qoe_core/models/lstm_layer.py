"""The compiled loops of a layer of LSTM states, see `state_layer`.

Axes: run = networks, batch = sessions, time = seconds, gate = four times hidden in the order input,
forget, output, cell.
"""

import numpy as np

from qoe_core.kernels import ONE, TWO, F, add_product, compiled, exp, inlined
from qoe_core.models.state_layer import Loops


@inlined
def _eights(n):
    """Room for n numbers that is computed eight at a time to its end."""
    return np.zeros(n + -n % 8, F)


@inlined
def _squash(row, squashed):
    """Fill in tanh of each number; near 0 its last digits are lost."""
    for g in range(len(row)):
        squashed[g] = ONE - TWO / (ONE + exp(row[g] + row[g]))


@compiled
def _lstm(h, c, opened, inputs, into, bias, weights):
    """States h, cells c and opened gates of all seconds; `into` is [run feat gate]."""
    n = h.shape[3]
    kept, squashed = _eights(n), _eights(n)
    for run, b in np.ndindex(h.shape[:2]):
        kept[:] = F(0)
        for t in range(h.shape[2]):
            now = opened[run, b, t]
            for g in range(4 * n):
                now[g] = bias[run, g]
            add_product(now, inputs[run, b, t], into[run])
            if t > 0:
                add_product(now, h[run, b, t - 1], weights[run])
            for g in range(3 * n, 4 * n):
                now[g] += now[g]  # tanh(x) is 2 sigmoid(2 x) - 1
            for g in range(4 * n):
                now[g] = ONE / (ONE + exp(-now[g]))
            for g in range(n):
                a = now[3 * n + g] + now[3 * n + g] - ONE
                now[3 * n + g] = a
                cell = now[g] * a + now[n + g] * kept[g]
                kept[g] = cell
                c[run, b, t, g] = cell
            _squash(kept, squashed)
            for g in range(n):
                h[run, b, t, g] = now[2 * n + g] * squashed[g]


@compiled
def _lstm_back(
    d_inputs, d_into, d_bias, d_weights, d_hidden, inputs, h, c, opened, into, back, window, wanted
):
    """Gradients, `window` seconds back; that of the inputs only if it is wanted."""
    n_sessions, n_seconds, n = h.shape[1:]
    d = np.empty((n_sessions, n_seconds, 4 * n), F)
    rows, n_feat = d.reshape(-1, 4 * n), inputs.shape[3]  # of all sessions, for one product
    for run in range(len(h)):
        d_bias[run] = F(0)
        for b in range(n_sessions):
            _gates_back(d[b], d_hidden[run, b], c[run, b], opened[run, b], back[run], window)
        for row in range(len(rows)):
            for g in range(4 * n):
                d_bias[run, g] += rows[row, g]
        np.dot(inputs[run].reshape(-1, n_feat).T, rows, d_into[run])
        if wanted:
            np.dot(rows, into[run], d_inputs[run].reshape(-1, n_feat))
        d[:, 0] = F(0)  # which no state was before
        np.dot(h[run].reshape(-1, n)[:-1].T, rows[1:], d_weights[run])


@inlined
def _gates_back(d, d_hidden, c, opened, back, window):
    """Gradient `d` of the gates of one session; `back` is the transposed weights, in eights."""
    n_seconds, n = c.shape
    carried, of_cell = _eights(n), _eights(n)
    cell, before, squashed = _eights(n), _eights(n), _eights(n)
    for t in range(n_seconds - 1, -1, -1):
        if t == n_seconds - 1 or (t + 1) % window == 0:
            carried[:] = F(0)
            of_cell[:] = F(0)
        for g in range(n):
            cell[g], before[g] = c[t, g], F(0)
        if t > 0:
            for g in range(n):
                before[g] = c[t - 1, g]
        _squash(cell, squashed)
        for g in range(n):
            i, f, o, a = opened[t, g], opened[t, n + g], opened[t, 2 * n + g], opened[t, 3 * n + g]
            dh = carried[g] + d_hidden[t, g]
            dc = of_cell[g] + dh * o * (ONE - squashed[g] * squashed[g])
            d[t, g] = dc * a * i * (ONE - i)
            d[t, n + g] = dc * before[g] * f * (ONE - f)
            d[t, 2 * n + g] = dh * squashed[g] * o * (ONE - o)
            d[t, 3 * n + g] = dc * i * (ONE - a * a)
            of_cell[g] = dc * f
            carried[g] = F(0)
        add_product(carried, d[t], back)


LOOPS = Loops(n_gates=4, forward=_lstm, backward=_lstm_back)
