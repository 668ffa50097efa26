"""Recurrent networks over seconds: RNN, LSTM, GRU.

Axes: batch = sessions, time = seconds, feat = scaled inputs.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from qoe_core import kernels
from qoe_core.models import gru_layer, lstm_layer, state_layer
from qoe_core.models.cells import CELLS, N_GATES, states

COMPILED = {"lstm": lstm_layer.LOOPS, "gru": gru_layer.LOOPS}  # in single precision on a CPU


@dataclass(frozen=True, kw_only=True)
class RecurrentConfig:
    """Sizes of `Recurrent`."""

    cell: str = "gru"
    hidden: int = 32
    n_layers: int = 1
    dropout: float = 0.0  # on the states that the heads read
    window: int | None = None  # seconds that a gradient flows back over at most; None: all

    def __post_init__(self):
        """Reject sizes that torch would only reject later, with a worse message."""
        sizes = (self.hidden, self.n_layers, self.window or 1)
        if self.cell not in CELLS or min(sizes) < 1 or self.window == 0:
            raise ValueError(f"{self}: expected a cell of {list(CELLS)} and sizes of at least 1")


class Layer(nn.Module):
    """States of one direction only, so state t knows seconds 0..t."""

    def __init__(self, n_feat: int, hidden: int, cell: str, window: int | None = None):
        """Weights from torch's global generator, uniform as in torch's own layers."""
        super().__init__()
        self.cell = cell
        self.window = window
        n_gates = N_GATES[cell] * hidden
        self.gates = nn.Linear(n_feat, n_gates)
        self.recurrent = nn.Parameter(torch.empty(hidden, n_gates))
        for weights in self.parameters():
            nn.init.uniform_(weights, -(hidden**-0.5), hidden**-0.5)

    def forward(
        self, inputs: Float[Tensor, "batch time feat"]
    ) -> Float[Tensor, "batch time hidden"]:
        """States of every second."""
        if self.cell in COMPILED and kernels.suit(inputs, self.recurrent):
            weights = self.gates.weight, self.gates.bias, self.recurrent
            return state_layer.states(COMPILED[self.cell], inputs, *weights, self.window)
        flat = inputs.transpose(0, 1).flatten(0, 1)  # one product, not one a second
        gates = self.gates(flat).unflatten(0, (inputs.shape[1], -1))  # (time, batch, gate)
        hidden, _ = states(self.cell, gates, self.recurrent, window=self.window)
        return hidden.transpose(0, 1)


class Recurrent(nn.Module):
    """Layers of states, so score t sees seconds 0..t; two affine heads."""

    def __init__(self, n_feat: int, config: RecurrentConfig):
        """Build the layers; weights come from torch's global generator."""
        super().__init__()
        widths = [n_feat, *[config.hidden] * (config.n_layers - 1)]
        self.layers = nn.ModuleList(
            Layer(n, config.hidden, config.cell, config.window) for n in widths
        )
        self.dropout = nn.Dropout(config.dropout)
        self.heads = Heads(config.hidden)

    def forward(
        self, inputs: Float[Tensor, "batch time feat"], valid: Bool[Tensor, "batch time"]
    ) -> tuple[Float[Tensor, "batch time"], Float[Tensor, " batch"]]:
        """Continuous score of each second and overall score of each session, on [0, 1] labels."""
        hidden = inputs
        for layer in self.layers:
            hidden = layer(hidden)
        return self.heads(self.dropout(hidden), valid)


class Heads(nn.Module):
    """Affine read-out of each second's state, and of the mean state over the valid seconds."""

    def __init__(self, n_state: int):
        """Build both heads."""
        super().__init__()
        self.continuous = nn.Linear(n_state, 1)
        self.overall = nn.Linear(n_state, 1)

    def forward(
        self, states: Float[Tensor, "batch time state"], valid: Bool[Tensor, "batch time"]
    ) -> tuple[Float[Tensor, "batch time"], Float[Tensor, " batch"]]:
        """Scores; what is not valid does not enter the overall score."""
        weights = valid.to(states.dtype).unsqueeze(-1)
        mean = (states * weights).sum(1) / weights.sum(1)  # (batch, state)
        return self.continuous(states).squeeze(-1), self.overall(mean).squeeze(-1)
