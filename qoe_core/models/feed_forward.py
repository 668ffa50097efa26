"""What an encoder layer does behind its attention, on a CPU in single precision, in one pass.

Axes: run = networks, batch = sessions, time = seconds, width = channels, wide = those between both
maps. Torch goes through all sessions with each of some ten operations; here those of one session
stay in the cache. The formulas are those of `long_time.Encoder`; tests compare both.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from qoe_core import kernels
from qoe_core.kernels import ONE, F, compiled, inlined

EPSILON = F(1e-5)  # of the variance, as torch.nn.LayerNorm has it


def states(
    before: Float[Tensor, "batch time width"],
    mixed: Float[Tensor, "batch time width"],
    first: tuple[Float[Tensor, " width"], Float[Tensor, " width"]],
    widen: tuple[Float[Tensor, "wide width"], Float[Tensor, " wide"]],
    narrow: tuple[Float[Tensor, "width wide"], Float[Tensor, " width"]],
    second: tuple[Float[Tensor, " width"], Float[Tensor, " width"]],
) -> Float[Tensor, "batch time width"]:
    """LayerNorm of `before` + `mixed`, and that of itself + narrow(relu(widen(itself))).

    Norms and maps are weight and bias.
    """
    given = (before + mixed, *first, *widen, *narrow, *second)
    return _FeedForward.apply(*(tensor.unsqueeze(0) for tensor in given))[0].squeeze(0)


class _FeedForward(torch.autograd.Function):
    """States, and what backward needs: both norms before their weights, and their scales."""

    @staticmethod
    def forward(summed, *weights):
        result, first, second = (summed.new_empty(summed.shape) for _ in range(3))
        scales = summed.new_empty(*summed.shape[:3], 2)
        _feed(*kernels.arrays(result, first, second, scales, summed, *weights))
        return result, first, second, scales

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.mark_non_differentiable(*output[1:])
        ctx.set_materialize_grads(False)  # no table of zeros for what is only kept
        ctx.save_for_backward(*output[1:], *inputs[1:])

    @staticmethod
    def backward(ctx, d_result, *_):
        first, second, scales, *weights = ctx.saved_tensors
        d_summed = first.new_empty(first.shape)
        d_weights = [w.new_zeros(w.shape) for w in weights]
        given = d_summed, *d_weights, d_result, first, second, scales, *weights[:-1]
        _feed_back(*kernels.arrays(*given))
        return d_summed, *d_weights

    @classmethod
    def vmap(cls, info, in_dims, *inputs):
        return kernels.side_by_side(cls.apply, info.batch_size, in_dims, inputs)


@inlined
def _rows(whole, n):
    """Room for `n` numbers of each second of a session."""
    return np.empty((whole.shape[2], n), F)


@inlined
def _normed(row, normed):
    """Fill in the row with mean 0 and variance 1; what it was multiplied by for that."""
    mean, variance = F(0), F(0)
    for c in range(len(row)):
        mean += row[c]
    mean /= F(len(row))
    for c in range(len(row)):
        variance += (row[c] - mean) * (row[c] - mean)
    scale = ONE / np.sqrt(variance / F(len(row)) + EPSILON)
    for c in range(len(row)):
        normed[c] = (row[c] - mean) * scale
    return scale


@inlined
def _normed_back(d_row, d, normed, scale, gain, d_gain, d_shift):
    """Fill in the gradient of the row that was normed, from that of the result; add the others."""
    mean, along = F(0), F(0)
    for c in range(len(d)):
        d_gain[c] += d[c] * normed[c]
        d_shift[c] += d[c]
        mean += d[c] * gain[c]
        along += d[c] * gain[c] * normed[c]
    mean, along = mean / F(len(d)), along / F(len(d))
    for c in range(len(d)):
        d_row[c] = (d[c] * gain[c] - mean - normed[c] * along) * scale


@inlined
def _widened(wide, states, normed, gain, shift, weights, bias):
    """Fill in the states behind the first norm, and what relu leaves of the wide ones."""
    for t in range(len(normed)):
        for c in range(len(gain)):
            states[t, c] = normed[t, c] * gain[c] + shift[c]
    np.dot(states, weights.T, wide)
    for t in range(len(wide)):
        for c in range(len(bias)):
            wide[t, c] = max(wide[t, c] + bias[c], F(0))


@compiled
def _feed(
    result, first, second, scales, summed,
    gain, shift, widen, widen_bias, narrow, narrow_bias, gain_2, shift_2,
):  # fmt: skip
    """The result, and what backward needs."""
    n_seconds, width = summed.shape[2:]
    states, added = _rows(summed, width), _rows(summed, width)
    wide = _rows(summed, widen.shape[1])
    for run, b in np.ndindex(summed.shape[:2]):
        for t in range(n_seconds):
            scales[run, b, t, 0] = _normed(summed[run, b, t], first[run, b, t])
        normed = first[run, b]
        _widened(wide, states, normed, gain[run], shift[run], widen[run], widen_bias[run])
        np.dot(wide, narrow[run].T, added)
        for t in range(n_seconds):
            for c in range(width):
                states[t, c] += added[t, c] + narrow_bias[run, c]
            again = second[run, b, t]
            scales[run, b, t, 1] = _normed(states[t], again)
            for c in range(width):
                result[run, b, t, c] = again[c] * gain_2[run, c] + shift_2[run, c]


@compiled
def _feed_back(
    d_summed, d_gain, d_shift, d_widen, d_widen_bias, d_narrow, d_narrow_bias, d_gain_2, d_shift_2,
    d_result, first, second, scales,
    gain, shift, widen, widen_bias, narrow, narrow_bias, gain_2,
):  # fmt: skip
    """All gradients; those of the weights are added to what is there."""
    n_seconds, width = first.shape[2:]
    states, wide = _rows(first, width), _rows(first, widen.shape[1])
    d, d_states, d_wide = _rows(first, width), _rows(first, width), _rows(first, widen.shape[1])
    for run, b in np.ndindex(first.shape[:2]):
        for t in range(n_seconds):
            _normed_back(
                d[t], d_result[run, b, t], second[run, b, t], scales[run, b, t, 1],
                gain_2[run], d_gain_2[run], d_shift_2[run],
            )  # fmt: skip
            for c in range(width):
                d_narrow_bias[run, c] += d[t, c]
        normed = first[run, b]
        _widened(wide, states, normed, gain[run], shift[run], widen[run], widen_bias[run])
        d_narrow[run] += d.T @ wide
        np.dot(d, narrow[run], d_wide)
        for t in range(n_seconds):
            for c in range(d_wide.shape[1]):
                d_wide[t, c] = d_wide[t, c] if wide[t, c] > F(0) else F(0)
                d_widen_bias[run, c] += d_wide[t, c]
        d_widen[run] += d_wide.T @ states
        np.dot(d_wide, widen[run], d_states)
        for t in range(n_seconds):
            for c in range(width):
                d_states[t, c] += d[t, c]
            _normed_back(
                d_summed[run, b, t], d_states[t], normed[t], scales[run, b, t, 0],
                gain[run], d_gain[run], d_shift[run],
            )  # fmt: skip
