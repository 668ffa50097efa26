"""The compiled loops of a layer of GRU states, see `state_layer`.

Axes: run = networks, batch = sessions, time = seconds, gate = three times hidden in the order
reset, update, new.
"""

import numpy as np

from qoe_core.kernels import ONE, TWO, F, add_product, compiled, exp, inlined
from qoe_core.models.state_layer import Loops


@compiled
def _gru(h, past, opened, inputs, into, bias, weights):
    """States h, opened gates, and the state's share of the new one; `into` is [run feat gate]."""
    n = h.shape[3]
    kept, of_state = np.empty(n, F), np.empty(3 * n, F)
    for run, b in np.ndindex(h.shape[:2]):
        kept[:] = F(0)
        for t in range(h.shape[2]):
            now, share = opened[run, b, t], past[run, b, t]
            for g in range(3 * n):
                now[g], of_state[g] = bias[run, g], F(0)
            add_product(now, inputs[run, b, t], into[run])
            add_product(of_state, kept, weights[run])
            for g in range(2 * n):
                now[g] = ONE / (ONE + exp(-now[g] - of_state[g]))
            for g in range(n):
                share[g] = of_state[2 * n + g]
                new = now[2 * n + g] + now[g] * share[g]
                new = ONE - TWO / (ONE + exp(new + new))  # tanh, without last digits near 0
                now[2 * n + g] = new
                kept[g] = new + now[n + g] * (kept[g] - new)
                h[run, b, t, g] = kept[g]


@compiled
def _gru_back(
    d_inputs, d_into, d_bias, d_weights, d_hidden, inputs, h, past, opened, into, back,
    window, wanted,
):  # fmt: skip
    """Gradients, `window` seconds back; that of the inputs only if it is wanted."""
    n_sessions, n_seconds, n = h.shape[1:]
    n_feat = inputs.shape[3]
    # of the gates as the inputs open them, and as the state does
    d = np.empty((n_sessions, n_seconds, 3 * n), F)
    of_state = np.empty_like(d)
    rows = d.reshape(-1, 3 * n)  # of all sessions, for one product
    for run in range(len(h)):
        d_bias[run] = F(0)
        for b in range(n_sessions):
            kept, share, gates = h[run, b], past[run, b], opened[run, b]
            _gates_back(d[b], of_state[b], d_hidden[run, b], kept, share, gates, back[run], window)
        for row in range(len(rows)):
            for g in range(3 * n):
                d_bias[run, g] += rows[row, g]
        np.dot(inputs[run].reshape(-1, n_feat).T, rows, d_into[run])
        if wanted:
            np.dot(rows, into[run], d_inputs[run].reshape(-1, n_feat))
        of_state[:, 0] = F(0)  # which no state was before
        before, after = h[run].reshape(-1, n)[:-1], of_state.reshape(-1, 3 * n)[1:]
        np.dot(before.T, after, d_weights[run])


@inlined
def _gates_back(d, of_state, d_hidden, h, past, opened, back, window):
    """Gradients of the gates of one session; `back` is the transposed weights."""
    n_seconds, n = h.shape
    carried, before = np.empty(n, F), np.empty(n, F)
    for t in range(n_seconds - 1, -1, -1):
        if t == n_seconds - 1 or (t + 1) % window == 0:
            carried[:] = F(0)
        for g in range(n):
            before[g] = F(0)
        if t > 0:
            for g in range(n):
                before[g] = h[t - 1, g]
        for g in range(n):
            r, z, new = opened[t, g], opened[t, n + g], opened[t, 2 * n + g]
            dh = carried[g] + d_hidden[t, g]
            d_new = dh * (ONE - z) * (ONE - new * new)
            d_reset = d_new * past[t, g] * r * (ONE - r)
            d_update = dh * (before[g] - new) * z * (ONE - z)
            d[t, g] = of_state[t, g] = d_reset
            d[t, n + g] = of_state[t, n + g] = d_update
            d[t, 2 * n + g] = d_new
            of_state[t, 2 * n + g] = d_new * r
            carried[g] = dh * z
        add_product(carried, of_state[t], back)


LOOPS = Loops(n_gates=3, forward=_gru, backward=_gru_back)
