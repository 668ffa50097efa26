"""Cross-feature attention: which playback feature matters at this second.

Axes: batch = sessions, time = seconds, width = channels in blocks of one block a feature.

Source: Jia et al., IEEE TCSVT 2024 (cross-feature attention of the QoS sub-network). Deviation:
none.
"""

from jaxtyping import Float
from torch import Tensor, nn

from qoe_core.models.attention import Attention


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
        self.n_feat = n_feat
        self.attention = Attention(token, n_heads, dropout)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(token)

    def forward(
        self, states: Float[Tensor, "batch time width"]
    ) -> tuple[Float[Tensor, "batch time width"], Float[Tensor, "batch time head feat feat"]]:
        """States of the same shape, and the weights: row = the feature that looks."""
        tokens = states.unflatten(-1, (self.n_feat, -1))  # (batch, time, feat, token)
        mixed, weights, _ = self.attention(tokens)
        return self.norm(tokens + self.dropout(mixed)).flatten(-2), weights
