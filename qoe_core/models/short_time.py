"""Short-time regression: what the last few seconds say, by causal convolutions.

Axes: batch = sessions, time = seconds, channel = features. A layer sees the second itself and the
`kernel - 1` before it; before the first second there is 0.

Source: Jia et al., IEEE TCSVT 2024 (short-time regression of both sub-networks). Deviation: none.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

Past = Float[Tensor, "batch past _"]  # as many channels as the inputs of its layer


class ShortTime(nn.Module):
    """Layers of [causal Conv1d, ReLU]; with `groups`, no feature sees another."""

    def __init__(self, widths: Sequence[int], kernel: int, groups: int = 1):
        """One layer between each two of `widths`; weights come from torch's global generator."""
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Conv1d(before, after, kernel, groups=groups)
            for before, after in zip(widths[:-1], widths[1:], strict=True)
        )

    def forward(
        self, inputs: Float[Tensor, "batch time channel"], past: Sequence[Past] | None = None
    ) -> tuple[Float[Tensor, "batch time width"], list[Past]]:
        """States, and the inputs of each layer that its next second will need."""
        states, kept = inputs, []
        for number, layer in enumerate(self.layers):
            n_past = layer.kernel_size[0] - 1
            before = states.new_zeros(len(states), n_past, states.shape[-1])
            if past is not None:
                before = past[number]
            known = torch.cat([before, states], dim=1)
            kept.append(known[:, known.shape[1] - n_past :])
            states = torch.relu(layer(known.transpose(1, 2)).transpose(1, 2))
        return states, kept
