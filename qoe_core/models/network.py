"""A torch module as a model of the results table: inputs scaled, labels scaled, one loop.

Weights start from the seed; the module is trained on labels in [0, 1] and answers on the data
set's own rating scale.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from qoe_core import checkpoint, training
from qoe_core.batches import Example, collate
from qoe_core.models.interface import Prediction, training_ratings
from qoe_core.qos import FeatureConfig, LabelScale, Scaling, features
from qoe_core.session import Session
from qoe_core.training import TrainConfig


@dataclass(frozen=True, kw_only=True)
class Network:
    """A module built by `make(n_feat)`, trained by `training.fit`."""

    make: Callable[[int], nn.Module]
    inputs: FeatureConfig
    training: TrainConfig
    scaling: Scaling | None = None  # None: fitted on the training sessions
    stops_early = True
    seeded = True

    def fit(
        self,
        train: Sequence[Session],
        validation: Sequence[Session],
        seed: int,
        folder: Path | None = None,
    ) -> "FittedNetwork":
        """Train with early stopping on `validation`, continuing a checkpoint in `folder`."""
        raw = [features(session, self.inputs) for session in train]
        scaling = self.scaling or Scaling.fit(raw)
        continuous, overall = training_ratings(train)
        scales = LabelScale.fit(continuous), LabelScale.fit(overall)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            module = self.make(raw[0].shape[1])
        fitted = FittedNetwork(module, self.inputs, scaling, *scales)
        training.fit(
            module,
            [fitted.example(session) for session in train],
            [fitted.example(session) for session in validation],
            self.training,
            seed,
            folder,
        )
        return fitted


@dataclass(frozen=True, eq=False)
class FittedNetwork:
    """A trained module with the scales it was trained on."""

    module: nn.Module
    inputs: FeatureConfig
    scaling: Scaling
    continuous: LabelScale | None
    overall: LabelScale | None

    def example(self, session: Session) -> Example:
        """The session's scaled inputs, and its labels where the model was trained for them."""
        rated = np.full(session.n_seconds, np.nan)
        if self.continuous is not None and session.rated is not None:
            rated = self.continuous.scale(session.rated)
        score = np.nan
        if self.overall is not None and session.overall is not None:
            score = self.overall.scale(session.overall)
        return Example(
            inputs=torch.tensor(self.scaling(features(session, self.inputs)), dtype=torch.float32),
            rated=torch.tensor(rated, dtype=torch.float32),
            overall=torch.tensor(score, dtype=torch.float32),
        )

    def predict(self, session: Session) -> Prediction:
        """Scores of one session alone, so that no batch can matter."""
        device = next(self.module.parameters()).device
        batch = collate([self.example(session)]).to(device)
        self.module.eval()
        with torch.inference_mode():
            continuous, overall = self.module(batch.inputs, batch.valid)
        seconds = continuous[0].double().cpu().numpy()
        return Prediction(
            None if self.continuous is None else self.continuous.unscale(seconds),
            None if self.overall is None else float(self.overall.unscale(overall.item())),
        )

    def save(self, path: Path) -> None:
        """Write weights, inputs and scales to one safetensors file."""
        scales = {
            "inputs": dataclasses.asdict(self.inputs),
            "scaling": {"low": self.scaling.low.tolist(), "high": self.scaling.high.tolist()},
            "continuous": self.continuous and dataclasses.asdict(self.continuous),
            "overall": self.overall and dataclasses.asdict(self.overall),
        }
        checkpoint.save(path, self.module.state_dict(), scales)

    @classmethod
    def load(cls, path: Path, make: Callable[[int], nn.Module]) -> "FittedNetwork":
        """The model that `save` wrote, in a module built by `make(n_feat)`.

        Raises:
            ValueError: the file is damaged, or its weights do not fit the module.
        """
        weights, state = checkpoint.load(path)
        if "scaling" not in state:
            raise ValueError(f"{path}: weights without scales; is it a training checkpoint?")
        low, high = (np.array(state["scaling"][bound]) for bound in ("low", "high"))
        module = make(len(low))
        try:
            module.load_state_dict(weights)
        except RuntimeError as error:
            raise ValueError(
                f"{path}: weights do not fit {type(module).__name__} ({error}); "
                "was it saved with other sizes?"
            ) from error
        scales = (state[name] and LabelScale(**state[name]) for name in ("continuous", "overall"))
        inputs = {name: tuple(columns) for name, columns in state["inputs"].items()}
        return cls(module.eval(), FeatureConfig(**inputs), Scaling(low, high), *scales)
