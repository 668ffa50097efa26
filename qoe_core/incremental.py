"""What a network says of one session after another edit, computed from the first changed second on.

A causal dual-stage network keeps memories of the session as it was played, one every STEP_S
seconds; an edit is scored from the last one before the first second whose inputs differ. Every
other network, of which any second may change with any other or which keeps no memory, is run whole.
Scores are those of `FittedNetwork.predict`, on the data set's own rating scale.

While a module is run it is in evaluation mode and records no gradient; afterwards it is as it was.
Its weights must not change as long as memories of it are kept.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn

from qoe_core.models.dual_attention import DualAttention, Memory, Outputs
from qoe_core.models.interface import Prediction
from qoe_core.models.network import FittedNetwork
from qoe_core.session import Session

STEP_S = 10  # between memories; 2 and 5 cost more to keep than they save


class Incremental:
    """One network on edits of one session."""

    def __init__(self, network: FittedNetwork, played: Session):
        """Go through the session as it was played, keeping memories where the network has them.

        Raises:
            ValueError: the session lacks an input of the network, or is longer than it can see.
        """
        self.network = network
        self._kept = None
        if isinstance(network.module, DualAttention) and network.module.causal:
            inputs = self._inputs(played)
            with _predicting(network.module):
                self._kept = _Kept(network.module, inputs)

    def predict(self, edited: Session) -> Prediction:
        """Scores of the session as edited, shorter or longer; in ratings, None as in `predict`.

        Raises:
            ValueError: see the constructor; frame features of an edited session do not exist.
        """
        with _predicting(self.network.module):
            if self._kept is None:
                return self.network.predict(edited)
            continuous, overall = self._kept.scores(self._inputs(edited))
        scales = self.network.continuous, self.network.overall
        return Prediction(
            None if scales[0] is None else scales[0].unscale(continuous.double().cpu().numpy()),
            None if scales[1] is None else float(scales[1].unscale(overall.item())),
        )

    def _inputs(self, session: Session) -> Float[Tensor, "time feat"]:
        device = next(self.network.module.parameters()).device
        return self.network.examples([session])[0].inputs.to(device)


class _Kept:
    """Scores of a session, and the memory before every STEP_S-th second of it."""

    def __init__(self, module: DualAttention, inputs: Float[Tensor, "time feat"]):
        self.module = module
        self.inputs = inputs
        self.memories: list[Memory | None] = [None]
        parts = []
        for part in inputs.split(STEP_S):
            outputs = self._run(part, self.memories[-1])
            self.memories.append(outputs.memory)
            parts.append(outputs.continuous[0])
        self.continuous = torch.cat(parts)

    def scores(
        self, inputs: Float[Tensor, "time feat"]
    ) -> tuple[Float[Tensor, " time"], Float[Tensor, ""]]:
        """Labels of other inputs, from the last memory before they differ on."""
        n_both = min(len(inputs), len(self.inputs))
        differs = (inputs[:n_both] != self.inputs[:n_both]).any(1)
        n_same = int(differs.int().argmax()) if differs.any() else n_both
        place = min(n_same, len(inputs) - 1) // STEP_S  # the overall score needs a second to run
        first = place * STEP_S
        outputs = self._run(inputs[first:], self.memories[place])
        return torch.cat([self.continuous[:first], outputs.continuous[0]]), outputs.overall[0]

    def _run(self, inputs: Float[Tensor, "time feat"], memory: Memory | None) -> Outputs:
        valid = torch.ones(1, len(inputs), dtype=torch.bool, device=inputs.device)
        return self.module.run(inputs[None], valid, memory)


@contextmanager
def _predicting(module: nn.Module) -> Iterator[None]:
    """Evaluation mode of every part, put back at the end, an error included."""
    modes = {part: part.training for part in module.modules()}
    try:
        module.eval()
        with torch.inference_mode():
            yield
    finally:
        for part, mode in modes.items():
            part.training = mode
