"""Temporal convolutional network over seconds, after CNN-QoE.

Source: Duc et al., "Convolutional neural networks for continuous QoE prediction in video streaming
services", arXiv 2003.08574: causal convolutions, kernel 3, 32 filters, dilations 1, 2, 4, SELU.
Deviation: a residual connection around each convolution and a head for overall QoE.
Axes: batch = sessions, time = seconds, feat = scaled inputs.
"""

from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from qoe_core import kernels
from qoe_core.models import conv_layer
from qoe_core.models.recurrent import Heads


@dataclass(frozen=True, kw_only=True)
class TCNConfig:
    """Sizes of `TCN`."""

    filters: int = 32
    kernel: int = 3
    dilations: tuple[int, ...] = (1, 2, 4)
    dropout: float = 0.0

    def __post_init__(self):
        """Reject sizes that torch would only reject later, with a worse message."""
        if self.filters < 1 or self.kernel < 1 or not self.dilations or min(self.dilations) < 1:
            raise ValueError(f"{self}: expected sizes and dilations of at least 1")


class TCN(nn.Module):
    """Score t sees the last 1 + (kernel - 1) sum(dilations) seconds."""

    def __init__(self, n_feat: int, config: TCNConfig):
        """Build the layers; weights come from torch's global generator."""
        super().__init__()
        self.lift = nn.Linear(n_feat, config.filters)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(config.filters, config.filters, config.kernel, dilation=dilation)
            for dilation in config.dilations
        )
        self.dropout = nn.Dropout(config.dropout)
        self.heads = Heads(config.filters)

    def forward(
        self, inputs: Float[Tensor, "batch time feat"], valid: Bool[Tensor, "batch time"]
    ) -> tuple[Float[Tensor, "batch time"], Float[Tensor, " batch"]]:
        """Continuous score of each second and overall score of each session, on [0, 1] labels."""
        states = self.lift(inputs)
        for convolution in self.convolutions:
            (size,), (dilation,) = convolution.kernel_size, convolution.dilation
            if kernels.suit(states, convolution.weight):
                states = conv_layer.states(states, convolution.weight, convolution.bias, dilation)
            else:
                past = functional.pad(states.transpose(1, 2), ((size - 1) * dilation, 0))
                states = states + functional.selu(convolution(past)).transpose(1, 2)
        return self.heads(self.dropout(states), valid)
