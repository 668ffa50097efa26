"""LSTM-QoE: two layers of 22 units, whose gradients flow back over four seconds.

Source: Eswara et al., "Streaming Video QoE Modeling and Prediction: A Long Short-Term Memory
Approach", IEEE TCSVT 30(3), 2020 (arXiv 1807.07126), and the protocol of its repository
lfovia/lstm_qoe: Adam, squared error, 50 epochs, one session after the other, weights of the epoch
with the lowest validation loss from the fifth on. Deviations: sessions begin with a state of zeros,
where theirs is that of the end of the session before; one step a session, not one every four
seconds; sessions in a random order; inputs and labels scaled on the training part, where theirs
have fixed bounds; the head begins at the middle of the labels, since a rectifier that is closed at
the start may stay so; seconds since a stall are not divided by the length of the session, which
nobody knows while it is watched, and where rates change, seconds since the last fall of the bitrate
stand beside them, where theirs is one time since a stall or low rate.
Axes: batch = sessions, time = seconds, feat = scaled inputs.
"""

import dataclasses

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from qoe_core.losses import LossConfig
from qoe_core.models.recurrent import Layer
from qoe_core.train_config import TrainConfig

UNITS = 22
N_LAYERS = 2
WINDOW_S = 4  # that a gradient flows back over


class LSTMQoE(nn.Module):
    """A score each second that is never below the lowest label; that of a session is their mean."""

    def __init__(self, n_feat: int):
        """Build the layers; weights come from torch's global generator."""
        super().__init__()
        widths = [n_feat, *[UNITS] * (N_LAYERS - 1)]
        self.layers = nn.ModuleList(Layer(n, UNITS, "lstm", WINDOW_S) for n in widths)
        self.head = nn.Linear(UNITS, 1)
        nn.init.constant_(self.head.bias, 0.5)

    def forward(
        self, inputs: Float[Tensor, "batch time feat"], valid: Bool[Tensor, "batch time"]
    ) -> tuple[Float[Tensor, "batch time"], Float[Tensor, " batch"]]:
        """Continuous score of each second on [0, 1] labels, and their mean over valid seconds."""
        hidden = inputs
        for layer in self.layers:
            hidden = layer(hidden)
        scores = torch.relu(self.head(hidden)).squeeze(-1)
        weights = valid.to(scores.dtype)
        return scores, (scores * weights).sum(1) / weights.sum(1)


def training(config: TrainConfig) -> TrainConfig:
    """How it was trained, on the device of `config`."""
    return dataclasses.replace(
        config,
        n_epochs=50,
        batch_size=1,
        learning_rate=1e-3,
        decay=1.0,
        weight_decay=0.0,
        noise=0.0,
        clip_norm=1e9,
        patience=50,
        kept_from=5,
        loss=LossConfig(plcc=0.0, change=0.0, overall=0.0),
    )
