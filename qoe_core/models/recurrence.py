"""RNN, LSTM and GRU states over seconds, of one network or of many at once.

Axes: run = networks, time = seconds, batch = sessions, gate = gates times hidden, state = what the
next second needs (the hidden state; for an LSTM also its cell). Inputs are already mapped to the
gates; second t sees the seconds before it and the state that it began with. Time comes before
batch, so that what one second works on lies together.

Written out because torch's own layers train one network at a time: they have no rule for
`torch.vmap`. The products of all networks are one batched product a second, and the gradient of
the recurrent weights is one product over all seconds; tests compare with torch's layers. Sources as
torch.nn.RNN, LSTM and GRU have them; the recurrent part of the gates has no bias of its own.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor


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
    function = CELLS[cell]
    if begin is None:
        begin = weights.new_zeros(gates.shape[1], function.n_parts * len(weights))
    with torch.autocast(gates.device.type, enabled=False):
        inputs = (t.unsqueeze(0) for t in (gates.to(weights.dtype), weights, begin))
        hidden, last, *_ = function.apply(*inputs, window or len(gates))
    return hidden.squeeze(0), last.squeeze(0)


class _Recurrence(torch.autograd.Function):
    """`hidden` of all seconds [run time batch hidden], the last state, and what backward needs."""

    n_parts = 1  # of the state, each as wide as the hidden state

    @staticmethod
    def setup_context(ctx, inputs, output):
        _, last, *kept = output
        ctx.mark_non_differentiable(last, *kept)
        ctx.save_for_backward(inputs[1], *kept)
        ctx.window = inputs[3]

    @classmethod
    def vmap(cls, info, in_dims, *inputs):
        *tensors, window = inputs
        whole = [
            tensor.unsqueeze(0).expand(info.batch_size, *tensor.shape)
            if dim is None
            else tensor.movedim(dim, 0)
            for tensor, dim in zip(tensors, in_dims[:-1], strict=True)
        ]
        outputs = cls.apply(*(tensor.flatten(0, 1) for tensor in whole), window)
        split = tuple(output.unflatten(0, (info.batch_size, -1)) for output in outputs)
        return split, (0,) * len(split)


class _RNN(_Recurrence):
    @staticmethod
    def forward(gates, weights, begin, window):
        n_seconds = gates.shape[1]
        h = gates.new_empty(len(gates), n_seconds + 1, *begin.shape[1:])
        h[:, 0] = begin
        for t in range(n_seconds):
            torch.baddbmm(gates[:, t], h[:, t], weights, out=h[:, t + 1]).tanh_()
        return h[:, 1:].clone(), h[:, -1].clone(), h

    @staticmethod
    def backward(ctx, d_hidden, *_):
        weights, h = ctx.saved_tensors
        back, slope = weights.transpose(1, 2).contiguous(), 1 - h[:, 1:].square()
        d, carried = torch.empty_like(slope), 0.0
        for t in reversed(range(d.shape[1])):
            torch.mul(d_hidden[:, t] + carried, slope[:, t], out=d[:, t])
            carried = torch.bmm(d[:, t], back) if t % ctx.window else 0.0
        return d, _over_seconds(h, d), None, None


class _LSTM(_Recurrence):
    """Gates in the order input, forget, output, cell."""

    n_parts = 2

    @staticmethod
    def forward(gates, weights, begin, window):
        n_seconds, n = gates.shape[1], weights.shape[1]
        opened = gates.new_empty(gates.shape)
        h, c = (gates.new_empty(len(gates), n_seconds + 1, begin.shape[1], n) for _ in range(2))
        h[:, 0], c[:, 0] = begin.split(n, dim=-1)
        for t in range(n_seconds):
            now = torch.baddbmm(gates[:, t], h[:, t], weights, out=opened[:, t])
            now[..., : 3 * n].sigmoid_()
            now[..., 3 * n :].tanh_()
            i, f, o, g = now.split(n, dim=-1)
            torch.mul(f, c[:, t], out=c[:, t + 1]).addcmul_(i, g)
            torch.tanh(c[:, t + 1], out=h[:, t + 1]).mul_(o)
        last = torch.cat([h[:, -1], c[:, -1]], dim=-1)
        return h[:, 1:].clone(), last, h, c, opened

    @staticmethod
    def backward(ctx, d_hidden, *_):
        weights, h, c, opened = ctx.saved_tensors
        back = weights.transpose(1, 2).contiguous()
        i, f, o, g = opened.split(weights.shape[1], dim=-1)
        squashed, before = c[:, 1:].tanh(), c[:, :-1]
        into_cell = o * (1 - squashed.square())
        slopes = (g * i * (1 - i), before * f * (1 - f), squashed * o * (1 - o), i * (1 - g**2))
        slopes = torch.stack(slopes, dim=-2)  # (run, time, batch, 4, hidden)
        d, carried, dc = torch.empty_like(slopes), 0.0, torch.zeros_like(f[:, 0])
        for t in reversed(range(d.shape[1])):
            dh = d_hidden[:, t] + carried
            dc.addcmul_(dh, into_cell[:, t])
            torch.mul(slopes[:, t], dc.unsqueeze(-2), out=d[:, t])
            torch.mul(slopes[:, t, :, 2], dh, out=d[:, t, :, 2])
            flows = t % ctx.window > 0
            carried = torch.bmm(d[:, t].flatten(-2), back) if flows else 0.0
            dc *= f[:, t] if flows else 0.0
        d = d.flatten(-2)
        return d, _over_seconds(h, d), None, None


class _GRU(_Recurrence):
    """Gates in the order reset, update, new."""

    @staticmethod
    def forward(gates, weights, begin, window):
        n_seconds, n = gates.shape[1], weights.shape[1]
        h = gates.new_empty(len(gates), n_seconds + 1, *begin.shape[1:])
        opened, from_state = (gates.new_empty(gates.shape) for _ in range(2))
        h[:, 0] = begin
        for t in range(n_seconds):
            now, past = opened[:, t], torch.bmm(h[:, t], weights, out=from_state[:, t])
            torch.add(gates[:, t], past, out=now)[..., : 2 * n].sigmoid_()
            r, z, new = now.split(n, dim=-1)
            torch.addcmul(gates[:, t, :, 2 * n :], r, past[..., 2 * n :], out=new).tanh_()
            torch.lerp(new, h[:, t], z, out=h[:, t + 1])
        return h[:, 1:].clone(), h[:, -1].clone(), h, opened, from_state

    @staticmethod
    def backward(ctx, d_hidden, *_):
        weights, h, opened, from_state = ctx.saved_tensors
        back, n = weights.transpose(1, 2).contiguous(), weights.shape[1]
        r, z, new = opened.split(n, dim=-1)
        to_new = (1 - z) * (1 - new.square())
        to_update = (h[:, :-1] - new) * z * (1 - z)
        to_reset = to_new * from_state[..., 2 * n :] * r * (1 - r)
        slopes = torch.stack([to_reset, to_update, to_new * r], dim=-2)
        d, carried = torch.empty_like(slopes), 0.0  # of what comes from the state
        d_new = torch.empty_like(to_new)
        for t in reversed(range(d.shape[1])):
            dh = d_hidden[:, t] + carried
            torch.mul(slopes[:, t], dh.unsqueeze(-2), out=d[:, t])
            torch.mul(to_new[:, t], dh, out=d_new[:, t])
            onward = dh * z[:, t], d[:, t].flatten(-2), back
            carried = torch.baddbmm(*onward) if t % ctx.window else 0.0
        d = d.flatten(-2)
        return torch.cat([d[..., : 2 * n], d_new], dim=-1), _over_seconds(h, d), None, None


def _over_seconds(h: Tensor, d: Tensor) -> Tensor:
    """Gradient of the recurrent weights: products of states and gates over seconds and sessions."""
    return torch.bmm(h[:, :-1].flatten(1, 2).transpose(1, 2), d.flatten(1, 2))


CELLS: Mapping[str, type[_Recurrence]] = {"rnn": _RNN, "lstm": _LSTM, "gru": _GRU}
N_GATES: Mapping[str, int] = {"rnn": 1, "lstm": 4, "gru": 3}
