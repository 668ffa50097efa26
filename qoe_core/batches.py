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
    """One session for a network: scaled inputs and labels on [0, 1]; NaN where nobody rated."""

    inputs: Float[Tensor, "time feat"]
    rated: Float[Tensor, " time"]
    overall: Float[Tensor, ""]


@dataclass(frozen=True, eq=False)
class Batch:
    """Padded examples; `valid` is True on the seconds that exist, labels are NaN elsewhere."""

    inputs: Float[Tensor, "batch time feat"]
    valid: Bool[Tensor, "batch time"]
    rated: Float[Tensor, "batch time"]
    overall: Float[Tensor, " batch"]

    def to(self, device: torch.device) -> "Batch":
        """The same batch on `device`."""
        return Batch(*(tensor.to(device, non_blocking=True) for tensor in self._tensors))

    def pin_memory(self) -> "Batch":
        """The same batch where a GPU can fetch it while the CPU goes on."""
        return Batch(*(tensor.pin_memory() for tensor in self._tensors))

    @property
    def _tensors(self) -> tuple[Tensor, ...]:
        return self.inputs, self.valid, self.rated, self.overall


def collate(examples: Sequence[Example]) -> Batch:
    """Pad to the longest example: inputs with 0, labels with NaN."""
    pad = torch.nn.utils.rnn.pad_sequence
    rated = pad([e.rated for e in examples], batch_first=True, padding_value=torch.nan)
    lengths = torch.tensor([len(e.rated) for e in examples])
    return Batch(
        inputs=pad([e.inputs for e in examples], batch_first=True),
        valid=torch.arange(rated.shape[1]) < lengths[:, None],
        rated=rated,
        overall=torch.stack([e.overall for e in examples]),
    )
