"""Multi-head attention that says where it looked.

Axes: query and key = positions (seconds), width = channels, size = channels of a head.
The weights come with every result, so asking for them cannot change it. What is needed to go on
with more keys later is handed back as `Seen`.

Written out, with its gradient, because torch's MultiheadAttention keeps no keys between calls, and
because a training step of many small networks spends most of its time here; tests compare the two.
Inside, positions come last, where products of a few channels a head are three times as fast on a
CPU, and tables of pairs are changed in place; see `kernels` for what is compiled.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from qoe_core import kernels
from qoe_core.models import attention_loops


class Seen(NamedTuple):
    """Keys and values of earlier positions."""

    keys: Float[Tensor, "*batch head size past"]
    values: Float[Tensor, "*batch head size past"]


class Attention(nn.Module):
    """Scaled dot-product self-attention with an affine map before and after.

    Source: Vaswani et al., "Attention is all you need", 2017, section 3.2. Deviation:
    affine maps in place of linear ones, dropout of the weights, a bias of the scores.
    """

    def __init__(self, width: int, n_heads: int, dropout: float):
        """Build the maps; weights come from torch's global generator.

        Raises:
            ValueError: the heads do not divide the width.
        """
        super().__init__()
        if width % n_heads:
            raise ValueError(
                f"width is {width} with {n_heads} heads, expected a multiple of the heads; "
                f"choose {width - width % n_heads or n_heads} or {width - width % -n_heads}"
            )
        self.n_heads = n_heads
        self.project = nn.Linear(width, 3 * width)
        self.dropout = nn.Dropout(dropout)  # of the weights
        self.merge = nn.Linear(width, width)

    def forward(
        self,
        inputs: Float[Tensor, "*batch query width"],
        bias: Float[Tensor, "#*batch #head query key"] | None = None,
        seen: Seen | None = None,
    ) -> tuple[Float[Tensor, "*batch query width"], Float[Tensor, "*batch head query key"], Seen]:
        """Result, weights (before dropout, each row sums to 1) and all keys and values so far.

        Keys are those of `seen`, then those of `inputs`; `bias` is added to the scores, -inf where
        a query may not look, with at least one key left to each. No gradient flows through the
        weights that are handed back, nor into `bias`.
        """
        # one matrix a batch: torch would fold them into one with the positions first
        weight = self.project.weight.expand(*inputs.shape[:-2], -1, -1)
        projected = weight @ inputs.transpose(-2, -1) + self.project.bias[:, None]
        queries, keys, values = (
            part.unflatten(-2, (self.n_heads, -1)) for part in projected.chunk(3, dim=-2)
        )  # (batch, head, size, query)
        if seen is not None:
            keys = torch.cat([seen.keys, keys], dim=-1)
            values = torch.cat([seen.values, values], dim=-1)
        with torch.autocast(inputs.device.type, enabled=False):
            exact = [
                x.to(torch.promote_types(x.dtype, torch.float32)) for x in (queries, keys, values)
            ]
            kept = self._kept(exact[0], exact[1])
            fast = kept is None and kernels.suit(*exact)
            function = _CompiledMixed if fast else _Mixed
            mixed, weights = function.apply(*exact, bias, kept)
        return self.merge(mixed.flatten(-3, -2).transpose(-2, -1)), weights, Seen(keys, values)

    def _kept(self, queries: Tensor, keys: Tensor) -> Tensor | None:
        """Factors that dropout gives to the weights."""
        if not self.training or not self.dropout.p:
            return None
        return self.dropout(keys.new_ones(*queries.shape[:-2], queries.shape[-1], keys.shape[-1]))


class _Mixed(torch.autograd.Function):
    """Mixed values [..., size, query] and weights [..., query, key] of queries, keys and values.

    `kept` multiplies the weights before they mix. All have the same axes before the last two, but
    for those that `bias` is broadcast over.
    """

    @staticmethod
    def forward(queries, keys, values, bias, kept):
        scale = queries.shape[-2] ** -0.5
        scores = (queries * scale).transpose(-2, -1) @ keys
        if bias is not None:
            scores += bias
        weights = scores.softmax(-1)
        used = weights if kept is None else weights * kept
        return values @ used.transpose(-2, -1), weights

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(*inputs, output[1])

    @staticmethod
    def backward(ctx, d_mixed, _):
        queries, keys, values, _, kept, weights = ctx.saved_tensors
        scale = queries.shape[-2] ** -0.5
        d_scores = d_mixed.transpose(-2, -1) @ values
        used = weights
        if kept is not None:
            d_scores *= kept
            used = weights * kept
        d_scores -= (d_scores * weights).sum(-1, keepdim=True)
        d_scores *= weights
        d_queries = keys @ d_scores.transpose(-2, -1) * scale
        d_keys = (queries * scale) @ d_scores
        return d_queries, d_keys, d_mixed @ used, None, None

    @classmethod
    def vmap(cls, info, in_dims, *inputs):
        whole = [
            tensor if dim is None else tensor.movedim(dim, 0)
            for tensor, dim in zip(inputs, in_dims, strict=True)
        ]
        return cls.apply(*whole), (0, 0)


class _CompiledMixed(_Mixed):
    """The same without `kept`, on a CPU in single precision: one head after the other."""

    @staticmethod
    def forward(queries, keys, values, bias, kept):
        asked = queries * queries.shape[-2] ** -0.5
        heads = [tensor.flatten(0, -3) for tensor in (asked, keys, values)]
        mixed = asked.new_empty(heads[0].shape)
        weights = asked.new_empty(len(mixed), queries.shape[-1], keys.shape[-1])
        attention_loops.attend(
            *kernels.arrays(*heads, _of_heads(bias, queries, keys), mixed, weights)
        )
        return mixed.view(queries.shape), weights.unflatten(0, queries.shape[:-2])

    @staticmethod
    def setup_context(ctx, inputs, output):
        _Mixed.setup_context(ctx, inputs, output)
        ctx.set_materialize_grads(False)  # no table of zeros for the weights

    @staticmethod
    def backward(ctx, d_mixed, _):
        queries, keys, values, bias, _, weights = ctx.saved_tensors
        scale = queries.shape[-2] ** -0.5
        given = d_mixed, queries * scale, keys, values, weights
        heads = [tensor.flatten(0, -3) for tensor in given]
        d = [tensor.new_empty(tensor.shape) for tensor in heads[1:4]]
        biases = _of_heads(bias, queries, keys)
        attention_loops.attend_back(*kernels.arrays(*d, *heads[:4], biases, heads[4]))
        d_queries, d_keys, d_values = (x.unflatten(0, queries.shape[:-2]) for x in d)
        return d_queries * scale, d_keys, d_values, None, None


def _of_heads(bias: Tensor | None, queries: Tensor, keys: Tensor) -> Float[Tensor, "_ query key"]:
    """Biases that all heads take in turn."""
    if bias is None:
        return queries.new_zeros(1, queries.shape[-1], keys.shape[-1])
    if bias.shape[:-3].numel() > 1:
        bias = bias.expand(*queries.shape[:-2], *bias.shape[-2:])
    return bias.flatten(0, -3)
