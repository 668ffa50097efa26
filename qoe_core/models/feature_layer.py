"""Attention over the features of every second, on a CPU in single precision, in one pass.

Axes: run = networks, batch = sessions, feat = features, token = channels of one, time = seconds;
inside, channels come first, so that features and seconds of a session are one long row. Torch
computes the products of a few numbers that a second has one small matrix at a time. The formulas
are those of `cross_feature.CrossFeature`; tests compare both.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from qoe_core import kernels
from qoe_core.kernels import LEAST, ONE, F, compiled, exp, inlined

EPSILON = F(1e-5)  # of the variance, as torch.nn.LayerNorm has it


def states(
    tokens: Float[Tensor, "batch feat token time"],
    project: tuple[Float[Tensor, "3*token token"], Float[Tensor, " 3*token"]],
    merge: tuple[Float[Tensor, "token token"], Float[Tensor, " token"]],
    norm: tuple[Float[Tensor, " token"], Float[Tensor, " token"]],
    n_heads: int,
) -> tuple[Float[Tensor, "batch feat token time"], Float[Tensor, "batch feat feat head time"]]:
    """LayerNorm of `tokens` + merged attention, and who looked at whom; maps are weight and bias.

    No gradient flows through the weights that are handed back.
    """
    given = (tensor.unsqueeze(0) for tensor in (tokens, *project, *merge, *norm))
    result, weights, *_ = _Related.apply(*given, n_heads)
    return result.squeeze(0), weights.squeeze(0)


class _Related(torch.autograd.Function):
    """Result and weights, and what backward needs besides; all with the networks first."""

    @staticmethod
    def forward(tokens, *maps):
        *maps, n_heads = maps
        *before, n_feat, token, n_seconds = tokens.shape
        weights = tokens.new_empty(*before, n_feat, n_feat, n_heads, n_seconds)
        projected = tokens.new_empty(*before, 3 * token, n_feat, n_seconds)
        mixed, normed = (tokens.new_empty(*before, token, n_feat, n_seconds) for _ in range(2))
        scales = tokens.new_empty(*before, n_feat * n_seconds)
        result = tokens.new_empty(tokens.shape)
        filled = result, weights, projected, mixed, normed, scales
        _relate(*kernels.arrays(*filled, tokens, *maps))
        return filled

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.mark_non_differentiable(*output[1:])
        ctx.set_materialize_grads(False)  # no table of zeros for what is only kept
        needed = (inputs[place] for place in (0, 1, 3, 5))  # all but biases and heads
        ctx.save_for_backward(*output[1:], *needed)

    @staticmethod
    def backward(ctx, d_result, *_):
        kept = ctx.saved_tensors
        *_, tokens, project, merge, gain = kept
        n_runs, token = gain.shape
        shapes = project.shape, (n_runs, 3 * token), merge.shape, *[gain.shape] * 3
        d_tokens = tokens.new_empty(tokens.shape)
        d_maps = [gain.new_zeros(shape) for shape in shapes]
        _relate_back(*kernels.arrays(d_tokens, *d_maps, d_result, *kept))
        return d_tokens, *d_maps, None

    @classmethod
    def vmap(cls, info, in_dims, *inputs):
        *tensors, n_heads = inputs
        return kernels.side_by_side(
            lambda *flat: cls.apply(*flat, n_heads), info.batch_size, in_dims[:-1], tensors
        )


@inlined
def _turn(turned, tokens):
    """Exchange the first two axes."""
    for first, second in np.ndindex(tokens.shape[:2]):
        turned[second, first] = tokens[first, second]


@inlined
def _map(rows, given, weights, bias):
    """Fill in rows that are an affine map of others."""
    np.dot(weights, given, rows)
    for channel in range(len(bias)):
        for i in range(rows.shape[1]):
            rows[channel, i] += bias[channel]


@inlined
def _attend(mixed, weights, projected):
    """Mixed values [token feat time] and weights [feat feat head time]."""
    n_feat, _, n_heads, n_seconds = weights.shape
    size = len(mixed) // n_heads
    scale, most, total = F(1 / np.sqrt(size)), np.empty(n_seconds, F), np.empty(n_seconds, F)
    for looking, head in np.ndindex((n_feat, n_heads)):
        channel = head * size
        most[:], total[:] = LEAST, F(0)
        for feat in range(n_feat):
            row = weights[looking, feat, head]
            row[:] = F(0)
            for c in range(channel, channel + size):
                query, key = projected[c, looking], projected[len(mixed) + c, feat]
                for t in range(n_seconds):
                    row[t] += query[t] * key[t] * scale
            for t in range(n_seconds):
                most[t] = max(most[t], row[t])
        for feat in range(n_feat):
            row = weights[looking, feat, head]
            for t in range(n_seconds):
                row[t] = exp(row[t] - most[t])
                total[t] += row[t]
        for c in range(channel, channel + size):
            mixed[c, looking] = F(0)
        for feat in range(n_feat):
            row = weights[looking, feat, head]
            for t in range(n_seconds):
                row[t] /= total[t]
            for c in range(channel, channel + size):
                found, value = mixed[c, looking], projected[2 * len(mixed) + c, feat]
                for t in range(n_seconds):
                    found[t] += row[t] * value[t]


@inlined
def _attend_back(d, d_mixed, weights, projected):
    """Fill in the gradient `d` of what was projected."""
    n_feat, _, n_heads, n_seconds = weights.shape
    token, size = len(d_mixed), len(d_mixed) // n_heads
    scale, mean = F(1 / np.sqrt(size)), np.empty(n_seconds, F)
    of_rows = np.empty((n_feat, n_seconds), F)
    d[:] = F(0)
    for looking, head in np.ndindex((n_feat, n_heads)):
        channel = head * size
        mean[:], of_rows[:] = F(0), F(0)
        for feat in range(n_feat):
            row, of_row = weights[looking, feat, head], of_rows[feat]
            for c in range(channel, channel + size):
                above, value = d_mixed[c, looking], projected[2 * token + c, feat]
                of_value = d[2 * token + c, feat]
                for t in range(n_seconds):
                    of_row[t] += above[t] * value[t]
                    of_value[t] += above[t] * row[t]
            for t in range(n_seconds):
                mean[t] += of_row[t] * row[t]
        for feat in range(n_feat):
            row, of_row = weights[looking, feat, head], of_rows[feat]
            for t in range(n_seconds):
                of_row[t] = (of_row[t] - mean[t]) * row[t] * scale
            for c in range(channel, channel + size):
                query, of_query = projected[c, looking], d[c, looking]
                key, of_key = projected[token + c, feat], d[token + c, feat]
                for t in range(n_seconds):
                    of_query[t] += of_row[t] * key[t]
                    of_key[t] += of_row[t] * query[t]


@inlined
def _norm(normed, scales, summed):
    """Fill in the rows [channel ...] with mean 0 and variance 1 over channels."""
    n, mean = F(len(summed)), np.zeros_like(scales)
    for channel in range(len(summed)):
        for i in range(len(mean)):
            mean[i] += summed[channel, i] / n
    scales[:] = F(0)
    for channel in range(len(summed)):
        for i in range(len(mean)):
            normed[channel, i] = summed[channel, i] - mean[i]
            scales[i] += normed[channel, i] * normed[channel, i] / n
    for i in range(len(scales)):
        scales[i] = ONE / np.sqrt(scales[i] + EPSILON)
    normed *= scales


@inlined
def _norm_back(d, normed, scales, gain, totals):
    """Make the gradient of the result that of the rows; add those of gain and shift, in doubles."""
    n, mean, along = F(len(d)), np.zeros_like(scales), np.zeros_like(scales)
    for channel in range(len(d)):
        of_gain = of_shift = 0.0
        for i in range(len(scales)):
            of_gain += d[channel, i] * normed[channel, i]
            of_shift += d[channel, i]
            d[channel, i] *= gain[channel]
            mean[i] += d[channel, i] / n
            along[i] += d[channel, i] * normed[channel, i] / n
        totals[0, channel] += of_gain
        totals[1, channel] += of_shift
    for channel in range(len(d)):
        for i in range(len(scales)):
            d[channel, i] = (d[channel, i] - mean[i] - normed[channel, i] * along[i]) * scales[i]


@compiled
def _relate(
    result, weights, projected, mixed, normed, scales,
    tokens, project, project_bias, merge, merge_bias, gain, shift,
):  # fmt: skip
    """The result, the weights, and what backward needs."""
    n_feat, token, n_seconds = tokens.shape[2:]
    rows = n_feat * n_seconds
    turned, summed = np.empty((token, n_feat, n_seconds), F), np.empty((token, rows), F)
    for run, b in np.ndindex(tokens.shape[:2]):
        _turn(turned, tokens[run, b])
        found = projected[run, b].reshape(3 * token, rows)
        _map(found, turned.reshape(token, rows), project[run], project_bias[run])
        _attend(mixed[run, b], weights[run, b], projected[run, b])
        _map(summed, mixed[run, b].reshape(token, rows), merge[run], merge_bias[run])
        summed += turned.reshape(token, rows)
        unit = normed[run, b].reshape(token, rows)
        _norm(unit, scales[run, b], summed)
        for channel in range(token):
            for i in range(rows):
                summed[channel, i] = unit[channel, i] * gain[run, channel] + shift[run, channel]
        _turn(result[run, b], summed.reshape(token, n_feat, n_seconds))


@compiled
def _relate_back(
    d_tokens, d_project, d_project_bias, d_merge, d_merge_bias, d_gain, d_shift,
    d_result, weights, projected, mixed, normed, scales, tokens, project, merge, gain,
):  # fmt: skip
    """All gradients; those of the maps and of the norm are added to what is there."""
    n_feat, token, n_seconds = tokens.shape[2:]
    rows, ones = n_feat * n_seconds, np.ones(n_feat * n_seconds, F)
    turned, d = np.empty((token, n_feat, n_seconds), F), np.empty((token, n_feat, n_seconds), F)
    d_mixed, d_projected = np.empty_like(d), np.empty((3 * token, n_feat, n_seconds), F)
    flat, flat_mixed = d.reshape(token, rows), d_mixed.reshape(token, rows)
    flat_projected, totals = d_projected.reshape(3 * token, rows), np.empty((2, token))
    for run, b in np.ndindex(tokens.shape[:2]):
        if b == 0:
            totals[:] = 0
        _turn(turned, tokens[run, b])
        _turn(d, d_result[run, b])
        unit = normed[run, b].reshape(token, rows)
        _norm_back(flat, unit, scales[run, b], gain[run], totals)
        d_gain[run], d_shift[run] = totals
        d_merge[run] += flat @ mixed[run, b].reshape(token, rows).T
        np.dot(merge[run].T, flat, flat_mixed)
        _attend_back(d_projected, d_mixed, weights[run, b], projected[run, b])
        d_project[run] += flat_projected @ turned.reshape(token, rows).T
        d_merge_bias[run] += flat @ ones
        d_project_bias[run] += flat_projected @ ones
        flat += project[run].T @ flat_projected
        _turn(d_tokens[run, b], d)
