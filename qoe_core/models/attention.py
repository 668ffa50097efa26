"""Multi-head attention that says where it looked.

Axes: query and key = positions (seconds, or features), width = channels. The weights come with
every result, so asking for them cannot change it. What is needed to go on with more keys later is
handed back as `Seen`.

Written out because torch's MultiheadAttention keeps no keys between calls; tests compare the two.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn


class Seen(NamedTuple):
    """Keys and values of earlier positions."""

    keys: Float[Tensor, "*batch head past size"]
    values: Float[Tensor, "*batch head past size"]


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
        allowed: Bool[Tensor, "#*batch query key"] | None = None,
        seen: Seen | None = None,
        bias: Float[Tensor, "head query key"] | None = None,
    ) -> tuple[Float[Tensor, "*batch query width"], Float[Tensor, "*batch head query key"], Seen]:
        """Result, weights (before dropout, each row sums to 1) and all keys and values so far.

        Keys are those of `seen`, then those of `inputs`; `allowed` says which of them a query may
        look at, at least one each; None: all. `bias` is added to the scores.
        """
        queries, keys, values = (
            part.unflatten(-1, (self.n_heads, -1)).transpose(-3, -2)
            for part in self.project(inputs).chunk(3, dim=-1)
        )  # (batch, head, query, size)
        if seen is not None:
            keys = torch.cat([seen.keys, keys], dim=-2)
            values = torch.cat([seen.values, values], dim=-2)
        scores = queries @ keys.transpose(-2, -1) / queries.shape[-1] ** 0.5
        if bias is not None:
            scores = scores + bias
        if allowed is not None:
            scores = scores.masked_fill(~allowed.unsqueeze(-3), -torch.inf)
        weights = scores.softmax(-1)  # (batch, head, query, key)
        mixed = (self.dropout(weights) @ values).transpose(-3, -2).flatten(-2)
        return self.merge(mixed), weights, Seen(keys, values)
