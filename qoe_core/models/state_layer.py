"""A layer of recurrent states by compiled loops, on a CPU in single precision.

Axes: run = networks, batch = sessions, time = seconds, gate = gates times hidden. One session after
another goes to its end, with the map from inputs to gates before each second: what torch would
write to memory between the two stays in the cache here. The formulas are those of `cells`; tests
compare both.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from qoe_core import kernels


class Loops(NamedTuple):
    """What a cell consists of; arrays are [run batch time ...], weights [run ...]."""

    n_gates: int
    # fills in states, what backward needs of the cell, and opened gates, from inputs, the map into
    # the gates as [run feat gate], its bias and the recurrent weights
    forward: Callable[..., None]
    # fills in gradients of inputs, map, bias and weights, from that of the states, the inputs, the
    # results of forward, the map as [run gate feat], the transposed weights in whole eights, the
    # window, and whether the gradient of the inputs is wanted
    backward: Callable[..., None]


def states(
    loops: Loops,
    inputs: Float[Tensor, "batch time feat"],
    into: Float[Tensor, "gate feat"],
    bias: Float[Tensor, " gate"],
    weights: Float[Tensor, "hidden gate"],
    window: int | None = None,
) -> Float[Tensor, "batch time hidden"]:
    """Hidden state of every second; no gradient flows from one `window` into the one before it."""
    n_seconds = inputs.shape[1]
    given = (tensor.unsqueeze(0) for tensor in (inputs, into, bias, weights))
    return _Layer.apply(*given, loops, min(window or n_seconds, n_seconds))[0].squeeze(0)


class _Layer(torch.autograd.Function):
    """States, and what backward needs; all with the networks first."""

    @staticmethod
    def forward(inputs, into, bias, weights, loops, window):
        before, n = inputs.shape[:3], weights.shape[1]
        h, kept = inputs.new_empty(*before, n), inputs.new_empty(*before, n)
        opened = inputs.new_empty(*before, loops.n_gates * n)
        given = inputs, into.transpose(1, 2), bias, weights
        loops.forward(*kernels.arrays(h, kept, opened, *given))
        return h, kept, opened

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.mark_non_differentiable(*output[1:])
        ctx.set_materialize_grads(False)  # no table of zeros for what is only kept
        ctx.save_for_backward(*inputs[:2], inputs[3], *output)
        ctx.loops, ctx.window = inputs[4:]

    @staticmethod
    def backward(ctx, d_hidden, *_):
        inputs, into, weights, *results = ctx.saved_tensors
        d_inputs, d_weights = torch.empty_like(inputs), torch.empty_like(weights)
        d_into = torch.empty_like(into.transpose(1, 2), memory_format=torch.contiguous_format)
        d_bias = into.new_empty(into.shape[:2])
        back = pad(weights.transpose(1, 2), [0, -weights.shape[1] % 8])
        d = d_inputs, d_into, d_bias, d_weights
        given = d_hidden, inputs, *results, into, back
        wanted = ctx.needs_input_grad[0]
        ctx.loops.backward(*kernels.arrays(*d, *given), ctx.window, wanted)
        return d_inputs if wanted else None, d_into.transpose(1, 2), d_bias, d_weights, None, None

    @classmethod
    def vmap(cls, info, in_dims, *inputs):
        """Networks of all levels side by side."""
        *tensors, loops, window = inputs
        return kernels.side_by_side(
            lambda *flat: cls.apply(*flat, loops, window), info.batch_size, in_dims[:-2], tensors
        )
