"""Recurrent networks over seconds: RNN, LSTM, GRU.

Axes: batch = sessions, time = seconds, feat = scaled inputs.
"""

from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor, nn

CELLS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


@dataclass(frozen=True, kw_only=True)
class RecurrentConfig:
    """Sizes of `Recurrent`."""

    cell: str = "gru"
    hidden: int = 32
    n_layers: int = 1
    dropout: float = 0.1  # on the states that the heads read

    def __post_init__(self):
        """Reject sizes that torch would only reject later, with a worse message."""
        if self.cell not in CELLS or self.hidden < 1 or self.n_layers < 1:
            raise ValueError(f"{self}: expected a cell of {list(CELLS)} and sizes of at least 1")


class Recurrent(nn.Module):
    """States of one direction only, so score t sees seconds 0..t; two affine heads."""

    def __init__(self, n_feat: int, config: RecurrentConfig):
        """Build the layers; weights come from torch's global generator."""
        super().__init__()
        cell = CELLS[config.cell]
        self.states = cell(n_feat, config.hidden, config.n_layers, batch_first=True)
        self.dropout = nn.Dropout(config.dropout)
        self.heads = Heads(config.hidden)

    def forward(
        self, inputs: Float[Tensor, "batch time feat"], valid: Bool[Tensor, "batch time"]
    ) -> tuple[Float[Tensor, "batch time"], Float[Tensor, " batch"]]:
        """Continuous score of each second and overall score of each session, on [0, 1] labels."""
        states, _ = self.states(inputs)
        return self.heads(self.dropout(states), valid)


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
