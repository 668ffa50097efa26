"""Sessions of different length as padded tensors.

Axes: batch = sessions, time = seconds up to the longest of the batch, feat = scaled inputs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Example:
    """One session for a network: scaled inputs and labels on [0, 1], NaN where nobody rated."""

    inputs: Float[Tensor, "time feat"]
    rated: Float[Tensor, " time"]
    overall: Float[Tensor, ""]
    content: str = ""


@dataclass(frozen=True, eq=False)
class Batch:
    """Padded examples; `valid` is True on the seconds that exist, labels are NaN elsewhere.

    With a batch for each of several networks, the first axis is the network: run batch time feat.
    """

    inputs: Float[Tensor, "*batch time feat"]
    valid: Bool[Tensor, "*batch time"]
    rated: Float[Tensor, "*batch time"]
    overall: Float[Tensor, "*batch"]

    def to(self, device: torch.device) -> "Batch":
        """The same batch on `device`; on its way to a GPU it is pinned, so that nobody waits."""
        if device.type == "cuda":
            return Batch(*(t.pin_memory().to(device, non_blocking=True) for t in self._tensors))
        return Batch(*(tensor.to(device) for tensor in self._tensors))

    @property
    def _tensors(self) -> tuple[Tensor, ...]:
        return self.inputs, self.valid, self.rated, self.overall


def collate(examples: Sequence[Example]) -> Batch:
    """Pad to the longest example: inputs with 0, labels with NaN.

    Raises:
        ValueError: an example without a second.
    """
    lengths = [len(example.rated) for example in examples]
    if 0 in lengths:
        raise ValueError(
            f"example {lengths.index(0)} of {len(lengths)} has no second, expected at least one in "
            "each; is a session empty?"
        )
    valid = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    sample = examples[0]
    inputs = sample.inputs.new_zeros(*valid.shape, sample.inputs.shape[1])
    rated = sample.rated.new_full(valid.shape, torch.nan)
    # at once, since there may be hundreds: torch's pad_sequence copies one after the other
    inputs.masked_scatter_(valid.unsqueeze(-1), torch.cat([e.inputs for e in examples]))
    rated.masked_scatter_(valid, torch.cat([e.rated for e in examples]))
    overall = torch.stack([e.overall for e in examples])
    return Batch(inputs=inputs, valid=valid, rated=rated, overall=overall)


def stack(groups: Sequence[Sequence[Example]]) -> Batch:
    """The batches of several networks as one, a network a row; smaller ones are filled up.

    What fills up is one second that nobody rated, so it adds nothing to a loss.

    Raises:
        ValueError: all groups are empty, or an example has no second.
    """
    size = max(map(len, groups))
    sample = next((group[0] for group in groups if group), None)
    if sample is None:
        raise ValueError(
            f"{len(groups)} groups without an example, expected one; is the set empty?"
        )
    nobody = Example(
        inputs=torch.zeros_like(sample.inputs[:1]),
        rated=torch.full_like(sample.rated[:1], torch.nan),
        overall=torch.full_like(sample.overall, torch.nan),
    )
    batch = collate([e for group in groups for e in (*group, *[nobody] * (size - len(group)))])
    return Batch(*(t.unflatten(0, (len(groups), size)) for t in batch._tensors))
