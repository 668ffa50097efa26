"""RNN, LSTM and GRU over seconds, of one network or of many at once, with their gradients.

Axes: run = networks, time = seconds, batch = sessions, gate = gates times hidden, state = what the
next second needs (the hidden state; for an LSTM also its cell). Inputs are already mapped to the
gates; second t sees the seconds before it and the state that it began with. Time comes first, so
that what one second works on lies together: products of strided matrices are six times slower.

Written out because torch's own layers train one network at a time: they have no rule for
`torch.vmap`. The products of all networks are one batched product a second, and the gradient of
the recurrent weights is one product over all seconds; tests compare with torch's layers. Sources as
torch.nn.RNN, LSTM and GRU have them; the recurrent part of the gates has no bias of its own.
"""

from collections.abc import Iterator, Mapping

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad


class Recurrence(torch.autograd.Function):
    """`hidden` of all seconds [time run batch hidden], the last state, and what backward needs.

    Gates and what is kept for backward are time first too; weights and states are run first.
    """

    n_parts = 1  # of the state, each as wide as the hidden state

    @staticmethod
    def setup_context(ctx, inputs, output):
        """Keep what backward needs."""
        _, last, *kept = output
        ctx.mark_non_differentiable(last, *kept)
        ctx.save_for_backward(inputs[1], *kept)
        ctx.window = inputs[3]

    @classmethod
    def vmap(cls, info, in_dims, *inputs):
        """Networks of all levels side by side."""
        *tensors, window = inputs
        n = info.batch_size
        places = 1, 0, 0  # of the runs in gates, weights and begin
        whole = [
            tensor.unsqueeze(place).expand(*tensor.shape[:place], n, *tensor.shape[place:])
            if dim is None
            else tensor.movedim(dim, place)
            for tensor, dim, place in zip(tensors, in_dims[:-1], places, strict=True)
        ]
        flat = (t.flatten(p, p + 1) for t, p in zip(whole, places, strict=True))
        hidden, last, *kept = cls.apply(*flat, window)
        outputs = hidden.unflatten(1, (n, -1)), last.unflatten(0, (n, -1))
        outputs += tuple(tensor.unflatten(1, (n, -1)) for tensor in kept)
        return outputs, (1, 0, *[1] * len(kept))


class _RNN(Recurrence):
    @staticmethod
    def forward(gates, weights, begin, window):
        h = torch.cat([begin.unsqueeze(0), gates])
        for before, now in zip(h[:-1], h[1:], strict=True):
            torch.baddbmm(now, before, weights, out=now).tanh_()
        return _by_run(h[1:]), h[-1].clone(), h

    @staticmethod
    def backward(ctx, d_hidden, *_):
        weights, h = ctx.saved_tensors
        back = weights.transpose(1, 2).contiguous()
        slope, d_hidden = (_windows(x, ctx.window) for x in (1 - h[1:].square(), d_hidden))
        d, carried = torch.empty_like(slope), 0.0
        for now, dh, steep in _backwards(d, d_hidden, slope):
            torch.mul(dh + carried, steep, out=now)
            carried = torch.bmm(now, back)
        return *_gradients(h, _seconds(d, h)), None, None


class _LSTM(Recurrence):
    """Gates in the order input, forget, output, cell."""

    n_parts = 2

    @staticmethod
    def forward(gates, weights, begin, window):
        n = weights.shape[1]
        opened = gates.clone(memory_format=torch.contiguous_format)
        h, c = (opened.new_empty(len(gates) + 1, *begin.shape[:2], n) for _ in range(2))
        h[0], c[0] = begin.split(n, dim=-1)
        gates = opened, opened[..., : 3 * n], *opened.split(n, dim=-1)
        seconds = *gates, h[:-1], h[1:], c[:-1], c[1:]
        for now, sigmoids, i, f, o, g, h0, h1, c0, c1 in zip(*seconds, strict=True):
            torch.baddbmm(now, h0, weights, out=now)
            sigmoids.sigmoid_()
            g.tanh_()
            torch.mul(f, c0, out=c1).addcmul_(i, g)
            torch.tanh(c1, out=h1).mul_(o)
        return _by_run(h[1:]), torch.cat([h[-1], c[-1]], dim=-1), h, c, opened

    @staticmethod
    def backward(ctx, d_hidden, *_):
        weights, h, c, opened = ctx.saved_tensors
        back = weights.transpose(1, 2).contiguous()
        i, f, o, g = opened.split(weights.shape[1], dim=-1)
        squashed, before = c[1:].tanh(), c[:-1]
        into_cell = o * (1 - squashed.square())
        slopes = (g * i * (1 - i), before * f * (1 - f), squashed * o * (1 - o), i * (1 - g**2))
        slopes = torch.stack(slopes, dim=-2)  # (time, run, batch, 4, hidden)
        whole = slopes, into_cell, f, d_hidden
        slopes, into_cell, f, d_hidden = (_windows(x, ctx.window) for x in whole)
        d, carried, dc = torch.empty_like(slopes), 0.0, torch.zeros_like(f[0])
        of_output = slopes[..., 2, :], d[..., 2, :]
        seconds = _backwards(d, d.flatten(-2), d_hidden, slopes, *of_output, into_cell, f)
        for now, flat, dh, steep, steep_o, now_o, into, kept in seconds:
            dh = dh + carried
            dc.addcmul_(dh, into)
            torch.mul(steep, dc.unsqueeze(-2), out=now)
            torch.mul(steep_o, dh, out=now_o)
            carried = torch.bmm(flat, back)
            dc *= kept
        return *_gradients(h, _seconds(d, h).flatten(-2)), None, None


class _GRU(Recurrence):
    """Gates in the order reset, update, new."""

    @staticmethod
    def forward(gates, weights, begin, window):
        n = weights.shape[1]
        h = gates.new_empty(len(gates) + 1, *begin.shape)
        opened = gates.clone(memory_format=torch.contiguous_format)
        from_state = torch.empty_like(opened)
        h[0] = begin
        pasts = from_state, from_state[..., : 2 * n], from_state[..., 2 * n :]
        seconds = *pasts, opened[..., : 2 * n], *opened.split(n, dim=-1), h[:-1], h[1:]
        for past, past_rz, past_new, rz, r, z, new, h0, h1 in zip(*seconds, strict=True):
            torch.bmm(h0, weights, out=past)
            rz.add_(past_rz).sigmoid_()
            new.addcmul_(r, past_new).tanh_()
            torch.lerp(new, h0, z, out=h1)
        return _by_run(h[1:]), h[-1].clone(), h, opened, from_state

    @staticmethod
    def backward(ctx, d_hidden, *_):
        weights, h, opened, from_state = ctx.saved_tensors
        back, n = weights.transpose(1, 2).contiguous(), weights.shape[1]
        r, z, new = opened.split(n, dim=-1)
        to_new = (1 - z) * (1 - new.square())
        to_update = (h[:-1] - new) * z * (1 - z)
        to_reset = to_new * from_state[..., 2 * n :] * r * (1 - r)
        slopes = torch.stack([to_reset, to_update, to_new * r], dim=-2)
        whole = slopes, to_new, z, d_hidden
        slopes, to_new, z, d_hidden = (_windows(x, ctx.window) for x in whole)
        d, carried = torch.empty_like(slopes), 0.0  # of what comes from the state
        d_new = torch.empty_like(to_new)
        seconds = _backwards(d, d.flatten(-2), d_new, d_hidden, slopes, to_new, z)
        for now, flat, now_new, dh, steep, steep_new, kept in seconds:
            dh = dh + carried
            torch.mul(steep, dh.unsqueeze(-2), out=now)
            torch.mul(steep_new, dh, out=now_new)
            carried = torch.baddbmm(dh * kept, flat, back)
        d, d_new = _seconds(d, h).flatten(-2), _seconds(d_new, h)
        d_gates = torch.cat([d[..., : 2 * n], d_new], dim=-1)
        return _by_run(d_gates), _gradients(h, d)[1], None, None


def _backwards(*seconds: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """What all have of each second, the last one first; cheaper than an index at a time."""
    return reversed([*zip(*seconds, strict=True)])


def _windows(whole: Tensor, window: int) -> Tensor:
    """From (time, run, batch, ...) to (window, run, batch, ...), windows side by side in the batch.

    No gradient flows between them, so backward goes through all of them at once.
    """
    n_windows = -(-len(whole) // window)
    missing = n_windows * window - len(whole)
    filled = pad(whole, [0, 0] * (whole.dim() - 1) + [0, missing]) if missing else whole
    return filled.unflatten(0, (n_windows, window)).movedim(0, 2).flatten(2, 3)


def _seconds(windows: Tensor, states: Tensor) -> Tensor:
    """Back to (time, run, batch, ...); `states` has one second more."""
    sessions = windows.unflatten(2, (-1, states.shape[2])).movedim(2, 0)
    return sessions.flatten(0, 1)[: len(states) - 1]


def _by_run(whole: Tensor) -> Tensor:
    """The same (time, run, ...), but in memory a run lies together, as layers outside want it."""
    return whole.transpose(0, 1).contiguous().transpose(0, 1)


def _gradients(h: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
    """Of the gates, and of the recurrent weights: products over all seconds and sessions."""
    d = _by_run(d)
    states, gates = (x.transpose(0, 1).flatten(1, 2) for x in (h[:-1], d))
    return d, torch.bmm(states.transpose(1, 2), gates)


CELLS: Mapping[str, type[Recurrence]] = {"rnn": _RNN, "lstm": _LSTM, "gru": _GRU}
N_GATES: Mapping[str, int] = {"rnn": 1, "lstm": 4, "gru": 3}


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
    function = CELLS[cell]
    if begin is None:
        begin = weights.new_zeros(gates.shape[1], function.n_parts * len(weights))
    with torch.autocast(gates.device.type, enabled=False):
        inputs = gates.unsqueeze(1), weights.unsqueeze(0), begin.unsqueeze(0)
        hidden, last, *_ = function.apply(*inputs, min(window or len(gates), len(gates)))
    return hidden.squeeze(1), last.squeeze(0)
