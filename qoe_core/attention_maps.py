"""Where the dual-stage network looked in one session: its own weights, second by second.

Axes: time = the second that looks, key = the second that is looked at, feat = QoS features, layer =
of a long-time encoder, width = channels. Weights are means over heads, each row sums to 1. They say
what a layer mixed, not what moved the score: `sanity` compares the two.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from qoe_core.attribution import Subject, explaining
from qoe_core.models.dual_attention import DualAttention

LONG_TIME = "/long_time_"


@dataclass(frozen=True, eq=False, kw_only=True)
class AttentionMaps:
    """What a network without one of the parts says of that part is None, or an empty mapping."""

    cross_feature: Float[Tensor, "time feat feat"] | None  # who looks, at whom
    long_time: Mapping[str, Float[Tensor, "time key"]]  # by branch and layer, such as "qos 0"
    by_distance: Mapping[str, Float[Tensor, "time key"]]  # the same if distance alone decided
    gate: Float[Tensor, "time width"] | None  # 1 = the video branch, 0 = the QoS branch

    def received(self) -> dict[str, Float[Tensor, " key"]]:
        """How much each second is looked at, mean over the seconds that look."""
        return {name: weights.mean(0) for name, weights in self.long_time.items()}

    def choice(self) -> dict[str, Float[Tensor, " key"]]:
        """What each second receives, over what it would receive if distance alone decided.

        1 everywhere: the network looks at a second for when it was, and not for what happened.
        """
        received = self.received()
        return {name: received[name] / by.mean(0) for name, by in self.by_distance.items()}

    def curves(self, qos: Sequence[str]) -> dict[str, Float[Tensor, " time"]]:
        """One number a second: `choice`, gate, and the attention that each QoS feature receives.

        `qos` names the features; a share is the mean over those that look, and all sum to 1.
        """
        curves = {f"choice, {name}": values for name, values in self.choice().items()}
        if self.gate is not None:
            curves["gate"] = self.gate.mean(1)
        if self.cross_feature is not None:
            shares = self.cross_feature.mean(1)
            curves |= {f"share of {name}": shares[:, i] for i, name in enumerate(qos)}
        return curves


def attention_maps(subject: Subject) -> AttentionMaps:
    """The weights of one session.

    Raises:
        ValueError: the network has no attention.
    """
    module = subject.module
    if not isinstance(module, DualAttention):
        raise ValueError(
            f"{subject.name}: {type(module).__name__} is a model without attention, expected the "
            "dual-stage attention network; gradients and occlusion explain any network"
        )
    valid = torch.ones(1, len(subject.inputs), dtype=torch.bool, device=subject.inputs.device)
    with explaining(module), torch.no_grad():
        found = module.run(subject.inputs[None], valid).weights
        longs = {name: branch.long for name, branch in module.branches.items()}
        biases = {name: long.bias(valid) for name, long in longs.items() if long is not None}
    looked = {name: weights[0].mean(0) for name, weights in found.items() if LONG_TIME in name}
    cross, gate = found.get("qos/cross_feature"), found.get("gate")
    return AttentionMaps(
        cross_feature=None if cross is None else cross[0].mean(1),
        long_time={name.replace(LONG_TIME, " "): weights for name, weights in looked.items()},
        by_distance={  # queries and keys that all agree
            name.replace(LONG_TIME, " "): biases[name.partition("/")[0]].softmax(-1)[0].mean(0)
            for name in looked
        },
        gate=None if gate is None else gate[0],
    )
