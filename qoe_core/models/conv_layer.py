"""A causal convolution over seconds with SELU and a residual, on a CPU in single precision.

Axes: run = networks, batch = sessions, time = seconds, channel = filters, also those before it;
column = channels of all seconds that a second sees. The sessions of one network stay in the cache,
where torch writes each of seven intermediate results of all networks to memory. The formulas are
those of `tcn.TCN`; tests compare both.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from qoe_core import kernels
from qoe_core.kernels import ONE, F, compiled, exp, inlined

# Klambauer et al., "Self-normalizing neural networks", NeurIPS 2017, equation 14, as torch has them
SCALE, FLOOR = F(1.0507009873554805), F(1.0507009873554805 * 1.6732632423543772)


def states(
    inputs: Float[Tensor, "batch time channel"],
    weights: Float[Tensor, "channel channel kernel"],
    bias: Float[Tensor, " channel"],
    dilation: int,
) -> Float[Tensor, "batch time channel"]:
    """`inputs` + selu(convolution of `inputs`), in which second t sees 0..t."""
    # kernel and channels before the convolution first, as the columns have them
    columns = weights.permute(2, 1, 0).flatten(0, 1)
    given = (tensor.unsqueeze(0) for tensor in (inputs, columns, bias))
    return _Layer.apply(*given, dilation)[0].squeeze(0)


class _Layer(torch.autograd.Function):
    """States, and what SELU gave for backward; all with the networks first."""

    @staticmethod
    def forward(inputs, weights, bias, dilation):
        result, added = (inputs.new_empty(inputs.shape) for _ in range(2))
        _convolve(*kernels.arrays(result, added, inputs, weights, bias), dilation)
        return result, added

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.mark_non_differentiable(output[1])
        ctx.set_materialize_grads(False)  # no table of zeros for what is only kept
        ctx.save_for_backward(*inputs[:2], output[1])
        ctx.dilation = inputs[3]

    @staticmethod
    def backward(ctx, d_result, _):
        inputs, weights, added = ctx.saved_tensors
        d_inputs, d_weights = inputs.new_empty(inputs.shape), weights.new_empty(weights.shape)
        d_bias = weights.new_zeros(len(weights), weights.shape[2])
        given = d_inputs, d_weights, d_bias, d_result, added, inputs, weights
        _convolve_back(*kernels.arrays(*given), ctx.dilation)
        return d_inputs, d_weights, d_bias, None

    @classmethod
    def vmap(cls, info, in_dims, *inputs):
        *tensors, dilation = inputs
        return kernels.side_by_side(
            lambda *flat: cls.apply(*flat, dilation), info.batch_size, in_dims[:-1], tensors
        )


@inlined
def _fill(columns, states, dilation):
    """What each second sees, the earliest first; 0 before the start of a session."""
    n_seconds, n = states.shape[1:]
    n_kernel = columns.shape[2] // n
    for b, k in np.ndindex((len(states), n_kernel)):
        past = dilation * (n_kernel - 1 - k)
        columns[b, :past, k * n : (k + 1) * n] = F(0)
        for t in range(past, n_seconds):
            for c in range(n):
                columns[b, t, k * n + c] = states[b, t - past, c]


@compiled
def _convolve(result, added, inputs, weights, bias, dilation):
    """The result, and what is added to the inputs; `weights` are [run column channel]."""
    n_sessions, n_seconds, n = inputs.shape[1:]
    columns = np.empty((n_sessions, n_seconds, weights.shape[1]), F)
    for run in range(len(inputs)):
        _fill(columns, inputs[run], dilation)
        rows = added[run].reshape(-1, n)
        np.dot(columns.reshape(-1, weights.shape[1]), weights[run], rows)
        before, after = inputs[run].reshape(-1, n), result[run].reshape(-1, n)
        for row in range(len(rows)):
            for c in range(n):
                x = rows[row, c] + bias[run, c]
                rows[row, c] = SCALE * max(x, F(0)) + FLOOR * (exp(min(x, F(0))) - ONE)
                after[row, c] = before[row, c] + rows[row, c]


@compiled
def _convolve_back(d_inputs, d_weights, d_bias, d_result, added, inputs, weights, dilation):
    """All gradients; those of the bias are added to what is there."""
    n_sessions, n_seconds, n = inputs.shape[1:]
    n_columns = weights.shape[1]
    columns = np.empty((n_sessions, n_seconds, n_columns), F)
    flat, d = columns.reshape(-1, n_columns), np.empty((n_sessions * n_seconds, n), F)
    for run in range(len(inputs)):
        _fill(columns, inputs[run], dilation)
        above, selu = d_result[run].reshape(-1, n), added[run].reshape(-1, n)
        for row in range(len(d)):
            for c in range(n):
                slope = SCALE if selu[row, c] > F(0) else selu[row, c] + FLOOR
                d[row, c] = above[row, c] * slope
                d_bias[run, c] += d[row, c]
        np.dot(flat.T, d, d_weights[run])
        np.dot(d, weights[run].T, flat)
        d_inputs[run] = d_result[run]
        _give_back(d_inputs[run], columns, dilation)


@inlined
def _give_back(d_states, d_columns, dilation):
    """Add the gradient of what each second sees to that of the second it comes from."""
    n_seconds, n = d_states.shape[1:]
    n_kernel = d_columns.shape[2] // n
    for b, k in np.ndindex((len(d_states), n_kernel)):
        past = dilation * (n_kernel - 1 - k)
        for t in range(past, n_seconds):
            for c in range(n):
                d_states[b, t - past, c] += d_columns[b, t, k * n + c]
