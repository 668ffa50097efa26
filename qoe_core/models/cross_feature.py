"""Cross-feature attention: which playback feature matters at this second.

Axes: batch = sessions, time = seconds, width = channels in blocks of one block a feature.

Source: Jia et al., IEEE TCSVT 2024 (cross-feature attention of the QoS sub-network). Deviation:
none. Written out with seconds last, since every second has products and rows of a few numbers only,
for which the cost of a call outweighs the sum.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from qoe_core import kernels
from qoe_core.kernels import LEAST, F, compiled, exp


class CrossFeature(nn.Module):
    """Self-attention over the features of one second, with residual and LayerNorm."""

    def __init__(self, n_feat: int, token: int, n_heads: int, dropout: float):
        """`n_feat` tokens of `token` channels; weights come from torch's global generator.

        Raises:
            ValueError: tokens of one channel, or heads that do not divide them.
        """
        super().__init__()
        if token < 2:
            raise ValueError(
                f"a feature has {token} channel, expected at least 2: LayerNorm makes one channel "
                "a constant; choose a larger width or more heads"
            )
        if token % n_heads:
            raise ValueError(
                f"a feature has {token} channels with {n_heads} heads, expected a multiple of the "
                f"heads; choose {token - token % -n_heads}"
            )
        self.n_feat, self.n_heads = n_feat, n_heads
        self.project = nn.Linear(token, 3 * token)
        self.dropout = nn.Dropout(dropout)
        self.merge = nn.Linear(token, token)
        self.norm = nn.LayerNorm(token)

    def forward(
        self, states: Float[Tensor, "batch time width"]
    ) -> tuple[Float[Tensor, "batch time width"], Float[Tensor, "batch time head feat feat"]]:
        """States of the same shape, and the weights: row = the feature that looks."""
        tokens = states.transpose(1, 2).unflatten(
            1, (self.n_feat, -1)
        )  # (batch, feat, token, time)
        projected = _map(self.project, tokens).unflatten(2, (3, self.n_heads, -1))
        drops = self.training and self.dropout.p > 0
        if not drops and kernels.suit(projected):
            mixed, weights = _CompiledMixed.apply(projected)
        else:
            mixed, weights = self._mixed(projected)
        mixed = _map(self.merge, mixed.flatten(2, 3))
        summed = tokens + self.dropout(mixed)
        normed = self._normed(summed).flatten(1, 2).transpose(1, 2)
        return normed, weights.permute(0, 4, 3, 1, 2)

    def _mixed(
        self, projected: Float[Tensor, "batch feat 3 head size time"]
    ) -> tuple[
        Float[Tensor, "batch feat head size time"], Float[Tensor, "batch feat feat head time"]
    ]:
        queries, keys, values = projected.unbind(2)
        scores = (queries[:, :, None] * keys[:, None]).sum(4) / queries.shape[3] ** 0.5
        weights = scores.softmax(2)
        return (self.dropout(weights).unsqueeze(4) * values[:, None]).sum(2), weights

    def _normed(
        self, tokens: Float[Tensor, "batch feat token time"]
    ) -> Float[Tensor, "batch feat token time"]:
        centred = tokens - tokens.mean(2, keepdim=True)
        scale = (centred.square().mean(2, keepdim=True) + self.norm.eps).rsqrt()
        return centred * scale * self.norm.weight[:, None] + self.norm.bias[:, None]


class _CompiledMixed(torch.autograd.Function):
    """`CrossFeature._mixed` without dropout, on a CPU in single precision.

    No gradient flows through the weights that are handed back.
    """

    @staticmethod
    def forward(projected):
        n_sessions, n_feat, _, n_heads, size, n_seconds = projected.shape
        mixed = projected.new_empty(n_sessions, n_feat, n_heads, size, n_seconds)
        weights = projected.new_empty(n_sessions, n_feat, n_feat, n_heads, n_seconds)
        _relate(*kernels.arrays(projected, mixed, weights))
        return mixed, weights

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.mark_non_differentiable(output[1])
        ctx.set_materialize_grads(False)  # no table of zeros for the weights
        ctx.save_for_backward(*inputs, output[1])

    @staticmethod
    def backward(ctx, d_mixed, _):
        projected, weights = ctx.saved_tensors
        d = projected.new_empty(projected.shape)
        _relate_back(*kernels.arrays(d, d_mixed, projected, weights))
        return d

    @classmethod
    def vmap(cls, info, in_dims, projected):
        return kernels.side_by_side(cls.apply, info.batch_size, in_dims, [projected])


def _map(
    linear: nn.Linear, tokens: Float[Tensor, "batch feat token time"]
) -> Float[Tensor, "batch feat channel time"]:
    weight = linear.weight.expand(*tokens.shape[:2], -1, -1)
    return weight @ tokens + linear.bias[:, None]


@compiled
def _relate(projected, mixed, weights):
    """Mixed values and weights [session feat feat head time] of attention over features.

    `projected` has queries, keys and values, [session feat 3 head size time].
    """
    n_feat, n_heads, size, n_seconds = mixed.shape[1:]
    scale, most, total = F(1 / np.sqrt(size)), np.empty(n_seconds, F), np.empty(n_seconds, F)
    for session, looking, head in np.ndindex(mixed.shape[:3]):
        tokens, rows = projected[session], weights[session, looking]
        asked, found = tokens[looking, 0, head], mixed[session, looking, head]
        most[:] = LEAST
        total[:] = F(0)
        found[:] = F(0)
        for feat in range(n_feat):
            row = rows[feat, head]
            row[:] = F(0)
            for c in range(size):
                query, key = asked[c], tokens[feat, 1, head, c]
                for t in range(n_seconds):
                    row[t] += query[t] * key[t] * scale
            for t in range(n_seconds):
                most[t] = row[t] if row[t] > most[t] else most[t]
        for feat in range(n_feat):
            row = rows[feat, head]
            for t in range(n_seconds):
                row[t] = exp(row[t] - most[t])
                total[t] += row[t]
        for feat in range(n_feat):
            row = rows[feat, head]
            for t in range(n_seconds):
                row[t] /= total[t]
            for c in range(size):
                result, value = found[c], tokens[feat, 2, head, c]
                for t in range(n_seconds):
                    result[t] += row[t] * value[t]


@compiled
def _relate_back(d, d_mixed, projected, weights):
    """Gradient `d` of what was projected."""
    n_feat, n_heads, size, n_seconds = d_mixed.shape[1:]
    scale, mean = F(1 / np.sqrt(size)), np.empty(n_seconds, F)
    of_rows = np.empty((n_feat, n_seconds), F)
    for session, looking, head in np.ndindex(d_mixed.shape[:3]):
        if looking == head == 0:
            d[session] = F(0)
        above, rows = d_mixed[session, looking, head], weights[session, looking]
        tokens, of_tokens = projected[session], d[session]
        mean[:] = F(0)
        of_rows[:] = F(0)
        for feat in range(n_feat):
            row, of_row = rows[feat, head], of_rows[feat]
            for c in range(size):
                value, of_value = tokens[feat, 2, head, c], of_tokens[feat, 2, head, c]
                for t in range(n_seconds):
                    of_row[t] += above[c, t] * value[t]
                    of_value[t] += above[c, t] * row[t]
            for t in range(n_seconds):
                mean[t] += of_row[t] * row[t]
        for feat in range(n_feat):
            row, of_row = rows[feat, head], of_rows[feat]
            for t in range(n_seconds):
                of_row[t] = (of_row[t] - mean[t]) * row[t] * scale
            for c in range(size):
                query, of_query = tokens[looking, 0, head, c], of_tokens[looking, 0, head, c]
                key, of_key = tokens[feat, 1, head, c], of_tokens[feat, 1, head, c]
                for t in range(n_seconds):
                    of_query[t] += of_row[t] * key[t]
                    of_key[t] += of_row[t] * query[t]
