"""Dual-stage attention network: continuous and overall QoE from video and playback features.

Axes: batch = sessions, time = seconds, feat = scaled inputs, QoS columns first, width = channels d.
With the causal mask score t sees seconds 0..t. Read it beside the blocks: `short_time`,
`cross_feature`, `long_time`, `fusion`.

Source: Jia et al., "Continuous and Overall Quality of Experience Evaluation for Streaming Video
Based on Rich Features Exploration and Dual-Stage Attention", IEEE TCSVT 2024. Deviations: those of
the blocks; where the QoS features times the heads over them do not divide the width, the QoS branch
works on the next multiple and an affine map brings it back; inputs of one kind only leave the other
branch out.
"""

from dataclasses import dataclass
from typing import NamedTuple

from jaxtyping import Bool, Float
from torch import Tensor, nn

from qoe_core.models.attention import Seen
from qoe_core.models.cross_feature import CrossFeature
from qoe_core.models.fusion import GatedHead
from qoe_core.models.long_time import POSITIONS, LongTime
from qoe_core.models.short_time import Past, ShortTime


@dataclass(frozen=True, kw_only=True)
class DualAttentionConfig:
    """Sizes and parts of `DualAttention`; a part that is False is left out.

    Raises:
        ValueError: a size below 1, heads that do not divide the width, unknown positions, dropout
            outside [0, 1).
    """

    width: int = 32  # channels, d
    kernel: int = 3  # seconds that a convolution sees
    video_convolutions: int = 1
    qos_convolutions: int = 1
    cross_heads: int = 3  # of the attention over features
    heads: int = 4  # of the attention over seconds
    video_layers: int = 1  # of the long-time encoder
    qos_layers: int = 1
    dropout: float = 0.0
    positions: str = "recency"  # or sinusoidal, or learned
    longest: int = 600  # seconds that learned positions reach
    video_span: int | None = None  # seconds that each layer of this branch looks at; None: all
    qos_span: int | None = None
    causal: bool = True
    cross_feature: bool = True
    long_time: bool = True
    gate: bool = True

    def __post_init__(self):
        """Refuse sizes that torch would only refuse later, with a worse message."""
        sizes = (self.width, self.kernel, self.video_convolutions, self.qos_convolutions)
        heads = (self.cross_heads, self.heads, self.video_layers, self.qos_layers, self.longest)
        spans = [span for span in (self.video_span, self.qos_span) if span is not None]
        if min(*sizes, *heads, *spans) < 1 or self.width % self.heads:
            raise ValueError(f"{self}: expected sizes from 1 on and a width that heads divide")
        if self.positions not in POSITIONS or not 0 <= self.dropout < 1:
            raise ValueError(f"{self}: expected positions of {POSITIONS} and dropout in [0, 1)")


class Memory(NamedTuple):
    """What a network keeps of the seconds so far, to go on with the next one."""

    n_seconds: int
    complete: Bool[Tensor, ""]  # no padding among them
    past: dict[str, list[Past]]  # by branch
    seen: dict[str, list[Seen]]
    sums: dict[str, Float[Tensor, "batch width"]]  # of the states, for the overall score


class Outputs(NamedTuple):
    """Everything one pass gives."""

    continuous: Float[Tensor, "batch time"]
    overall: Float[Tensor, " batch"]
    weights: dict[str, Float[Tensor, "batch ..."]]
    memory: Memory


class Branch(nn.Module):
    """Short-time, for QoS cross-feature, and long-time regression of one kind of input."""

    def __init__(self, n_feat: int, config: DualAttentionConfig, qos: bool):
        """Build the blocks; weights come from torch's global generator."""
        super().__init__()
        width = config.width
        self.lift, self.cross, self.lower = nn.Identity(), None, nn.Identity()
        if qos:
            token = _next_multiple(-(-width // n_feat), config.cross_heads)
            wide = n_feat * token
            widths = [n_feat, *[wide] * config.qos_convolutions]
            self.short = ShortTime(widths, config.kernel, groups=n_feat)
            if config.cross_feature:
                self.cross = CrossFeature(n_feat, token, config.cross_heads, config.dropout)
            if wide != width:
                self.lower = nn.Linear(wide, width)
        else:
            self.lift = nn.Linear(n_feat, width)
            self.short = ShortTime([width] * (config.video_convolutions + 1), config.kernel)
        self.long = None
        if config.long_time:
            self.long = LongTime(
                width,
                n_layers=config.qos_layers if qos else config.video_layers,
                n_heads=config.heads,
                dropout=config.dropout,
                span=config.qos_span if qos else config.video_span,
                causal=config.causal,
                positions=config.positions,
                longest=config.longest,
            )

    def forward(
        self,
        inputs: Float[Tensor, "batch time feat"],
        valid: Bool[Tensor, "batch time"],
        past: list[Past] | None,
        seen: list[Seen] | None,
        first: int,
    ) -> tuple[Float[Tensor, "batch time width"], dict[str, Tensor], list[Past], list[Seen]]:
        """States, attention weights by block, and what the next second needs."""
        states, past = self.short(self.lift(inputs), past)
        weights = {}
        if self.cross is not None:
            states, weights["cross_feature"] = self.cross(states)
        states = self.lower(states)
        if self.long is None:
            return states, weights, past, []
        states, looked, seen = self.long(states, valid, seen, first)
        return states, weights | {f"long_time_{i}": w for i, w in enumerate(looked)}, past, seen


class DualAttention(nn.Module):
    """Both branches, gated fusion, and a head for each target."""

    def __init__(self, n_qos: int, n_video: int, config: DualAttentionConfig):
        """Build the branches that have inputs; weights come from torch's global generator."""
        super().__init__()
        self.columns = {"video": slice(n_qos, n_qos + n_video), "qos": slice(0, n_qos)}
        counts = {"video": n_video, "qos": n_qos}
        self.causal = config.causal
        self.branches = nn.ModuleDict(
            {name: Branch(n, config, name == "qos") for name, n in counts.items() if n}
        )
        gated = config.gate and len(self.branches) == 2
        self.continuous = GatedHead(config.width, config.dropout, gated)
        self.overall = GatedHead(config.width, config.dropout, gated)

    def forward(
        self, inputs: Float[Tensor, "batch time feat"], valid: Bool[Tensor, "batch time"]
    ) -> tuple[Float[Tensor, "batch time"], Float[Tensor, " batch"]]:
        """Continuous score of each second and overall score of each session, on [0, 1] labels.

        Raises:
            ValueError: no second, or more than learned positions reach.
        """
        outputs = self.run(inputs, valid)
        return outputs.continuous, outputs.overall

    def attention(
        self, inputs: Float[Tensor, "batch time feat"], valid: Bool[Tensor, "batch time"]
    ) -> dict[str, Float[Tensor, "batch row column"]]:
        """Attention weights and gate as one map a session, mean over heads, each in [0, 1].

        Row = who looks (second or feature), column = at what; features are averaged over the valid
        seconds. The gate has a row a second, a column a channel. Rows of padding say nothing; in
        training mode dropout is drawn.
        """
        exists = valid[..., None, None].to(inputs.dtype)
        maps = {}
        for name, weights in self.run(inputs, valid).weights.items():
            if name.endswith("cross_feature"):
                maps[name] = (weights.mean(2) * exists).sum(1) / exists.sum(1)
            elif name == "gate":
                maps[name] = weights
            else:
                maps[name] = weights.mean(1)
        return maps

    def run(
        self,
        inputs: Float[Tensor, "batch time feat"],
        valid: Bool[Tensor, "batch time"],
        memory: Memory | None = None,
    ) -> Outputs:
        """Scores with all attention weights; `memory` of an earlier call goes on after it.

        Weights: "qos/cross_feature" [batch time head feat feat], "<branch>/long_time_<layer>"
        [batch head time key], "gate" [batch time width]. With `memory` the keys begin with those
        that it holds, and the overall score is that of all seconds so far.

        Raises:
            ValueError: no second, more than learned positions reach, a memory of padding, or one
                in a network without causal mask.
        """
        memory = self._check(inputs, valid, memory)
        states, weights = {}, {}
        complete = memory.complete & valid.all()
        now = Memory(memory.n_seconds + inputs.shape[1], complete, {}, {}, {})
        exists = valid.unsqueeze(-1).to(inputs.dtype)
        for name, branch in self.branches.items():
            states[name], found, now.past[name], now.seen[name] = branch(
                inputs[..., self.columns[name]],
                valid,
                memory.past.get(name),
                memory.seen.get(name),
                memory.n_seconds,
            )
            weights |= {f"{name}/{block}": looked for block, looked in found.items()}
            now.sums[name] = memory.sums.get(name, 0.0) + (states[name] * exists).sum(1)
        n_valid = memory.n_seconds + exists.sum(1)
        means = {name: total / n_valid for name, total in now.sums.items()}
        continuous, gate = self.continuous(*states.values())
        overall, _ = self.overall(*means.values())
        return Outputs(continuous, overall, weights | gate, now)

    def _check(self, inputs: Tensor, valid: Tensor, memory: Memory | None) -> Memory:
        if not inputs.shape[1]:
            raise ValueError(
                f"inputs have shape {tuple(inputs.shape)}, expected at least one second; is a "
                "session empty?"
            )
        if memory is None:
            return Memory(0, valid.new_ones(()), {}, {}, {})
        if not self.causal:
            raise ValueError(
                "a network without causal mask cannot go on second by second, since what it says "
                "of the past depends on what comes; use causal=True"
            )
        if not memory.complete:
            raise ValueError(
                "a memory holds padding, expected that every second of it exists; sessions of "
                "different length go on in different batches"
            )
        return memory


def _next_multiple(n: int, of: int) -> int:
    return -(-n // of) * of
