"""A causal convolution over seconds with SELU and a residual, on a CPU in single precision.

Axes: run = networks, batch = sessions, time = seconds, channel = filters, also those before it. All
seconds are multiplied with the weights of each place in the kernel, and the products are added
where they are seen, so that nothing is copied side by side first. The sessions of one network stay
in the cache, where torch writes each of seven intermediate results of all networks to memory. The
formulas are those of `tcn.TCN`; tests compare both.
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
    # a matrix from the channels before to those behind for each place in the kernel
    given = (tensor.unsqueeze(0) for tensor in (inputs, weights.permute(2, 1, 0), bias))
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
        d_bias = weights.new_zeros(len(weights), weights.shape[3])
        back = weights.transpose(2, 3)
        given = d_inputs, d_weights, d_bias, d_result, added, inputs, back
        _convolve_back(*kernels.arrays(*given), ctx.dilation)
        return d_inputs, d_weights, d_bias, None

    @classmethod
    def vmap(cls, info, in_dims, *inputs):
        *tensors, dilation = inputs
        return kernels.side_by_side(
            lambda *flat: cls.apply(*flat, dilation), info.batch_size, in_dims[:-1], tensors
        )


@compiled
def _convolve(result, added, inputs, weights, bias, dilation):
    """The result, and what is added to the inputs; `weights` are [run kernel before after]."""
    n_sessions, n_seconds, n = inputs.shape[1:]
    last = weights.shape[1] - 1  # place in the kernel, that of the second itself
    products = np.empty((last + 1, n_sessions, n_seconds, n), F)
    for run in range(len(inputs)):
        for k in range(last + 1):
            np.dot(inputs[run].reshape(-1, n), weights[run, k], products[k].reshape(-1, n))
        for b in range(n_sessions):
            _add_bias(added[run, b], products[last, b], bias[run])
            total = added[run, b].reshape(-1)
            for k in range(last):
                later, product = total[dilation * (last - k) * n :], products[k, b].reshape(-1)
                for i in range(len(later)):
                    later[i] += product[i]
            before, after = inputs[run, b].reshape(-1), result[run, b].reshape(-1)
            for i in range(len(total)):
                x = total[i]
                total[i] = SCALE * max(x, F(0)) + FLOOR * (exp(min(x, F(0))) - ONE)
                after[i] = before[i] + total[i]


@inlined
def _add_bias(sums, products, bias):
    for t in range(len(sums)):
        for c in range(len(bias)):
            sums[t, c] = products[t, c] + bias[c]


@compiled
def _convolve_back(d_inputs, d_weights, d_bias, d_result, added, inputs, back, dilation):
    """All gradients, that of the bias added to what is there; `back` are the turned weights."""
    n_sessions, n_seconds, n = inputs.shape[1:]
    last = back.shape[1] - 1
    d = np.empty((last + 1, n_sessions, n_seconds, n), F)  # of the products, each at its second
    product = np.empty((n_sessions * n_seconds, n), F)
    for run in range(len(inputs)):
        for b in range(n_sessions):
            _slopes(d[last, b], d_bias[run], d_result[run, b], added[run, b])
            now = d[last, b].reshape(-1)
            for k in range(last):
                later, earlier = now[dilation * (last - k) * n :], d[k, b].reshape(-1)
                for i in range(len(later)):
                    earlier[i] = later[i]
                for i in range(len(later), len(now)):
                    earlier[i] = F(0)
        total, given = d_inputs[run].reshape(-1), product.reshape(-1)
        total[:] = d_result[run].reshape(-1)
        for k in range(last + 1):
            np.dot(inputs[run].reshape(-1, n).T, d[k].reshape(-1, n), d_weights[run, k])
            np.dot(d[k].reshape(-1, n), back[run, k], product)
            for i in range(len(total)):
                total[i] += given[i]


@inlined
def _slopes(d, d_bias, d_result, added):
    """Gradient of what SELU was given, also added to that of the bias."""
    for t in range(len(d)):
        for c in range(d.shape[1]):
            slope = SCALE if added[t, c] > F(0) else added[t, c] + FLOOR
            d[t, c] = d_result[t, c] * slope
            d_bias[c] += d[t, c]
