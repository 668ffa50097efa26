"""Gated fusion of the video and the QoS branch, and the two heads.

Axes: batch = sessions, time = seconds, width = channels of either branch. The gate is 1 where the
video branch is listened to, 0 where the QoS branch is.

Source: Jia et al., IEEE TCSVT 2024 (fusion). Deviation: none known; the dissertation's overall
head never trained.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class GatedHead(nn.Module):
    """One score from the states of both branches, weighted by sigmoid(MLP([video, QoS]))."""

    def __init__(self, width: int, dropout: float, gated: bool):
        """Build gate and head; without the gate both branches count the same."""
        super().__init__()
        self.gate = None
        if gated:
            self.gate = nn.Sequential(
                nn.Linear(2 * width, width), nn.ReLU(), nn.Linear(width, width), nn.Sigmoid()
            )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width, 1)

    def forward(
        self, *states: Float[Tensor, "*batch width"]
    ) -> tuple[Float[Tensor, "*batch"], dict[str, Float[Tensor, "*batch width"]]]:
        """Score on [0, 1] labels, unbounded, and the gate where there is one.

        `states` are those of video and QoS in this order, or of the only branch.
        """
        gate = {}
        if self.gate is not None:
            video, qos = states
            gate["gate"] = self.gate(torch.cat(states, dim=-1))
            fused = gate["gate"] * video + (1 - gate["gate"]) * qos
        else:
            fused = sum(states) / len(states)
        return self.head(self.dropout(fused)).squeeze(-1), gate
