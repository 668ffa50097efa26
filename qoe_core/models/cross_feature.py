"""Cross-feature attention: which playback feature matters at this second.

Axes: batch = sessions, time = seconds, width = channels in blocks of one block a feature.

Source: Jia et al., IEEE TCSVT 2024 (cross-feature attention of the QoS sub-network). Deviation:
none. Written out with seconds last, since every second has products and rows of a few numbers only,
for which the cost of a call outweighs the sum.
"""

from jaxtyping import Float
from torch import Tensor, nn

from qoe_core import kernels
from qoe_core.models import feature_layer


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
        drops = self.training and self.dropout.p > 0
        if not drops and kernels.suit(tokens, self.project.weight):
            maps = ((part.weight, part.bias) for part in (self.project, self.merge, self.norm))
            normed, weights = feature_layer.states(tokens, *maps, self.n_heads)
        else:
            projected = _map(self.project, tokens).unflatten(2, (3, self.n_heads, -1))
            mixed, weights = self._mixed(projected)
            normed = self._normed(tokens + self.dropout(_map(self.merge, mixed.flatten(2, 3))))
        return normed.flatten(1, 2).transpose(1, 2), weights.permute(0, 4, 3, 1, 2)

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


def _map(
    linear: nn.Linear, tokens: Float[Tensor, "batch feat token time"]
) -> Float[Tensor, "batch feat channel time"]:
    weight = linear.weight.expand(*tokens.shape[:2], -1, -1)
    return weight @ tokens + linear.bias[:, None]
