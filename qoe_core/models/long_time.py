"""Long-time regression: which past seconds each second looks at.

Axes: batch = sessions, time = seconds, width = channels. In each layer second t looks at the
seconds t - span + 1 to t, or all up to t, so n layers reach n (span - 1) seconds back; without the
causal mask it looks at those after it too.

Source: Jia et al., IEEE TCSVT 2024 (long-time regression of both sub-networks), its encoder after
Vaswani et al., 2017, section 3.1. Deviation: a causal mask, a key-padding mask and a bounded span;
recency and sinusoidal positions beside the paper's learned ones. Recency: attention that fades with
distance, after Press et al., "Train short, test long" (ALiBi), ICLR 2022, section 3; its slopes are
here one over the time constants that the regressors' averages have.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from qoe_core import kernels
from qoe_core.models import feed_forward
from qoe_core.models.attention import Attention, Seen
from qoe_core.qos import MEMORY_S

POSITIONS = ("recency", "sinusoidal", "learned")
LONGEST_PERIOD = 10_000.0  # Vaswani et al., section 3.5


class LongTime(nn.Module):
    """Positions, encoder layers C, then SELU(FC(C)) + C."""

    def __init__(
        self, width: int, *, n_layers: int, n_heads: int, dropout: float, span: int | None,
        causal: bool, positions: str, longest: int,
    ):  # fmt: skip
        """Build the layers; `longest` seconds where `positions` are learned."""
        super().__init__()
        self.span = span
        self.causal = causal
        self.positions = positions
        if positions == "learned":
            self.learned = nn.Embedding(longest, width)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(Encoder(width, n_heads, dropout) for _ in range(n_layers))
        self.regress = nn.Linear(width, width)

    def forward(
        self,
        inputs: Float[Tensor, "batch time width"],
        valid: Bool[Tensor, "batch time"],
        seen: Sequence[Seen] | None = None,
        first: int = 0,
    ) -> tuple[
        Float[Tensor, "batch time width"], list[Float[Tensor, "batch head time key"]], list[Seen]
    ]:
        """States, the weights of each layer, and what each layer keeps for the next second.

        Args:
            inputs: seconds `first`, `first` + 1, ... of the sessions.
            valid: False on padding, behind the last second of a session; no second looks at it.
            seen: what an earlier call kept; all of those seconds exist.
            first: the number of seconds before `inputs`.

        Raises:
            ValueError: more seconds than there are learned positions.
        """
        bias = self.bias(valid, 0 if seen is None else seen[0].keys.shape[-1])
        states = self.dropout(self._placed(inputs, first))
        weights, kept = [], []
        for number, layer in enumerate(self.layers):
            states, looked, known = layer(states, bias, seen and seen[number])
            weights.append(looked)
            kept.append(known if self.span is None else _last(known, self.span - 1))
        return functional.selu(self.regress(states)) + states, weights, kept

    def bias(
        self, valid: Bool[Tensor, "batch time"], n_seen: int = 0
    ) -> Float[Tensor, "#batch #head time key"]:
        """What every layer adds to its scores: less for far seconds, -inf for forbidden ones.

        Keys are `n_seen` earlier seconds, all of which exist, then those of `valid`.
        """
        keys = torch.arange(-n_seen, valid.shape[1], device=valid.device)
        ahead = keys - keys[n_seen:, None]  # (time, key), in seconds
        return self._fading(ahead).masked_fill(~self._allowed(valid, ahead), -torch.inf)

    def _allowed(self, valid: Tensor, ahead: Tensor) -> Bool[Tensor, "#batch #head time key"]:
        near = ahead > -(self.span or math.inf)
        if self.causal:
            # padding lies ahead of every second that exists
            return (near & (ahead <= 0))[None, None]
        n_seen = ahead.shape[1] - valid.shape[1]
        exists = torch.cat([valid.new_ones(len(valid), n_seen), valid], dim=1)
        # padding looks at itself, so that no row is empty
        return (near & exists[:, None] | (ahead == 0)).unsqueeze(1)

    def _fading(self, ahead: Tensor) -> Float[Tensor, "#head time key"]:
        if self.positions != "recency":
            return torch.zeros_like(ahead, dtype=torch.float32)[None]
        n_heads = self.layers[0].attention.n_heads
        fading = torch.tensor([MEMORY_S[head % len(MEMORY_S)] for head in range(n_heads)])
        return -ahead.abs() / fading.to(ahead.device)[:, None, None]

    def _placed(
        self, inputs: Float[Tensor, "batch time width"], first: int
    ) -> Float[Tensor, "batch time width"]:
        n_seconds, width = inputs.shape[1:]
        if self.positions == "recency":
            return inputs
        if self.positions == "sinusoidal":
            return inputs + sinusoidal(first, n_seconds, width).to(inputs)
        longest = self.learned.num_embeddings
        if first + n_seconds > longest:
            raise ValueError(
                f"a session has {first + n_seconds} s, expected at most {longest}: learned "
                "positions end where their table ends; train with a larger `longest`, or with "
                "positions='recency' or 'sinusoidal', which have no end"
            )
        return inputs + self.learned.weight[first : first + n_seconds]


class Encoder(nn.Module):
    """Self-attention over seconds, then two affine maps, each with residual and LayerNorm."""

    def __init__(self, width: int, n_heads: int, dropout: float):
        """Feed-forward layers of 4 times the width."""
        super().__init__()
        self.attention = Attention(width, n_heads, dropout)
        self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        states: Float[Tensor, "batch time width"],
        bias: Float[Tensor, "#batch #head time key"],
        seen: Seen | None = None,
    ) -> tuple[Float[Tensor, "batch time width"], Float[Tensor, "batch head time key"], Seen]:
        """States, attention weights, and the keys and values so far."""
        mixed, weights, known = self.attention(states, bias, seen)
        drops = self.training and self.dropout.p > 0
        if not drops and kernels.suit(states, mixed, self.widen.weight):
            first, widen, narrow, second = (
                (m.weight, m.bias) for m in (self.norms[0], self.widen, self.narrow, self.norms[1])
            )
            fed = feed_forward.states(states, mixed, first, widen, narrow, second)
            return fed, weights, known
        states = self.norms[0](states + self.dropout(mixed))
        forward = self.narrow(self.dropout(torch.relu(self.widen(states))))
        return self.norms[1](states + self.dropout(forward)), weights, known


def sinusoidal(first: int, n_seconds: int, width: int) -> Float[Tensor, "time width"]:
    """Positions `first` to `first + n_seconds - 1`: sines in even channels, cosines in odd ones.

    Source: Vaswani et al., 2017, section 3.5.
    """
    seconds = torch.arange(first, first + n_seconds, dtype=torch.float32)[:, None]
    even = torch.arange(0, width, 2, dtype=torch.float32)
    angles = seconds * torch.exp(-math.log(LONGEST_PERIOD) * even / width)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :width]


def _last(known: Seen, n: int) -> Seen:
    start = max(0, known.keys.shape[-1] - n)
    return Seen(*(tensor[..., start:] for tensor in known))
