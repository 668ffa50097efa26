"""A torch module as a model of the results table: inputs scaled, labels scaled, one loop.

Weights start from the seed; the module is trained on labels in [0, 1] and answers on the data
set's own rating scale. It sees the QoS columns first, then those of the video.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from qoe_core import checkpoint, paths, training
from qoe_core.batches import Example, collate
from qoe_core.extraction import VideoConfig
from qoe_core.inputs import FeatureConfig, features, frame_weights, restored
from qoe_core.models.examples import Examples
from qoe_core.models.interface import Prediction, training_ratings
from qoe_core.qos import LabelScale, Rating, Scaling
from qoe_core.session import Session
from qoe_core.train_config import TrainConfig

PREDICTED_S = 8192  # seconds in a batch of predictions, which bounds its memory


@dataclass(frozen=True, kw_only=True)
class Network:
    """A module built by `make(n_qos, n_video)`, trained by `training.fit`."""

    make: Callable[[int, int], nn.Module]  # numbers of QoS columns and of video columns
    inputs: FeatureConfig
    training: TrainConfig
    scaling: Scaling | None = None  # None: fitted on the training sessions
    start: Path | None = None  # weights that `FittedNetwork.save` wrote; None: drawn from the seed
    seeded = True

    @property
    def stops_early(self) -> bool:
        """Whether a validation part decides how long it is trained."""
        return self.training.patience is not None

    def fit(
        self,
        train: Sequence[Session],
        validation: Sequence[Session],
        seed: int,
        folder: Path | None = None,
    ) -> "FittedNetwork":
        """Train, with early stopping on `validation`, continuing a checkpoint in `folder`.

        Raises:
            ValueError: no label that the loss looks at, no content of which several sessions are
                there where the loss forgives, or `start` has other inputs or sizes.
        """
        fitted = self.begin(train, seed)
        parts = fitted.examples(train), fitted.examples(validation)
        training.fit(fitted.module, *parts, self.training, seed, folder)
        return self.end(fitted, train)

    def begin(self, train: Sequence[Session], seed: int) -> "FittedNetwork":
        """The network before its first step, with the scales of the training sessions.

        Raises:
            ValueError: see `fit`.
        """
        scaling = self.scaling or Scaling.fit(features(session, self.inputs) for session in train)
        scales = self._label_scales(train)
        self._check_contents(train)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            module = self.make(self.inputs.n_qos, len(scaling.low) - self.inputs.n_qos)
        if self.start is not None:
            _check_same_inputs(self.start, self.inputs)
            checkpoint.load_weights(module, self.start)
        return FittedNetwork(module, self.inputs, scaling, *scales)

    def end(self, fitted: "FittedNetwork", train: Sequence[Session]) -> "FittedNetwork":
        """The network after its last step; a level that the loss forgave comes from `train`."""
        return fitted.levelled(train) if self.training.loss.forgiven else fitted

    def _check_contents(self, train: Sequence[Session]) -> None:
        """With nothing to compare inside of a content, overall QoE would hardly be learnt."""
        forgiven = self.training.loss.forgiven
        if forgiven and len({session.content for session in train}) == len(train):
            raise ValueError(
                f"loss has forgiven={forgiven}, and each of the {len(train)} training sessions of "
                f"{train[0].dataset} is of another content, expected several of one; leave it at 0"
            )

    def _label_scales(
        self, train: Sequence[Session]
    ) -> tuple[LabelScale | None, LabelScale | None]:
        """Of continuous and overall labels; None where nobody rated or the loss does not look."""
        continuous, overall = training_ratings(train)
        loss = self.training.loss
        looked = (loss.mse + loss.plcc + loss.change, loss.overall)
        scales = [
            LabelScale.fit(labels if weight else None)
            for labels, weight in zip((continuous, overall), looked, strict=True)
        ]
        if scales == [None, None]:
            raise ValueError(
                f"{loss} looks at no label that sessions of {train[0].dataset} have; "
                "were they rated for the other target only?"
            )
        return scales[0], scales[1]


@dataclass(frozen=True, eq=False)
class FittedNetwork:
    """A trained module with the scales it was trained on."""

    module: nn.Module
    inputs: FeatureConfig
    scaling: Scaling
    continuous: LabelScale | None
    overall: LabelScale | None

    def levelled(self, train: Sequence[Session]) -> "FittedNetwork":
        """Itself, its scores moved so that their mean error over `train` is 0 for each target."""
        rated, overall = training_ratings(train)
        predicted = self.predict_all(train)
        return replace(
            self,
            continuous=_levelled(self.continuous, rated, [p.continuous for p in predicted]),
            overall=_levelled(self.overall, overall, [p.overall for p in predicted]),
        )

    def examples(self, sessions: Sequence[Session]) -> Sequence[Example]:
        """Scaled inputs, and labels where the model was trained for them.

        Frame features stay in the store, whose memory is bounded; other inputs are made at once.
        """
        scales = self.scaling, self.continuous, self.overall
        made = Examples(sessions, self.inputs, *scales, paths.STORE)
        return made.at_once() if self.inputs.frames is None else made

    def predict(self, session: Session) -> Prediction:
        """Scores of one session."""
        return self.predict_all([session])[0]

    def predict_all(self, sessions: Sequence[Session]) -> list[Prediction]:
        """Scores of each session, which padding changes in the last digits of a float32 at most."""
        examples, lengths = self.examples(sessions), [session.n_seconds for session in sessions]
        predictions = {}
        rest = sorted(range(len(sessions)), key=lengths.__getitem__, reverse=True)
        while rest:
            n_at_once = max(1, PREDICTED_S // lengths[rest[0]])
            places, rest = rest[:n_at_once], rest[n_at_once:]
            scores = self._scores([examples[place] for place in places])
            for place, seconds, score in zip(places, *scores, strict=True):
                predictions[place] = self._unscaled(seconds[: lengths[place]], score)
        return [predictions[place] for place in range(len(sessions))]

    def _scores(self, examples: Sequence[Example]) -> tuple[np.ndarray, np.ndarray]:
        """Continuous scores, padded, and overall scores, as labels."""
        self.module.eval()
        batch = collate(examples).to(next(self.module.parameters()).device)
        with torch.inference_mode():
            scores = self.module(batch.inputs, batch.valid)
        continuous, overall = (tensor.double().cpu().numpy() for tensor in scores)
        return continuous, overall

    def _unscaled(self, seconds: Float[np.ndarray, " time"], score: float) -> Prediction:
        return Prediction(
            None if self.continuous is None else self.continuous.unscale(seconds),
            None if self.overall is None else float(self.overall.unscale(score)),
        )

    def save(self, path: Path) -> None:
        """Write weights, inputs and scales to one safetensors file."""
        scales = {
            "inputs": asdict(self.inputs),
            "frame_weights": frame_weights(self.inputs),
            "scaling": {"low": self.scaling.low.tolist(), "high": self.scaling.high.tolist()},
            "continuous": self.continuous and asdict(self.continuous),
            "overall": self.overall and asdict(self.overall),
        }
        checkpoint.save(path, self.module.state_dict(), scales)

    @classmethod
    def load(
        cls, path: Path, make: Callable[[int, int], nn.Module], video: VideoConfig | None = None
    ) -> "FittedNetwork":
        """The model that `save` wrote, in a module built by `make(n_qos, n_video)`.

        Args:
            path: of the file.
            make: builds the module with the sizes it was saved with.
            video: what looks at the frames, where weights of it lie outside of the package; a path
                in the file is never opened.

        Raises:
            ValueError: the file is damaged, its weights do not fit the module, `video` is needed,
                or the networks that look at the frames have other weights than in training.
        """
        _, state = checkpoint.load(path)
        if "scaling" not in state:
            raise ValueError(f"{path}: weights without scales; is it a training checkpoint?")
        try:
            seen = restored(state["inputs"], video)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        known, found = state.get("frame_weights", []), frame_weights(seen)
        if found != known:
            raise ValueError(
                f"{path}: trained on frame features by weights with SHA-256 {known}, but those "
                f"here have {found}, expected the same; is `video` that of another model?"
            )
        low, high = (np.array(state["scaling"][bound]) for bound in ("low", "high"))
        module = make(seen.n_qos, len(low) - seen.n_qos)
        checkpoint.load_weights(module, path)
        scales = (state[name] and LabelScale(**state[name]) for name in ("continuous", "overall"))
        return cls(module.eval(), seen, Scaling(low, high), *scales)


def _levelled(
    scale: LabelScale | None, rated: Sequence[Rating] | None, predicted: Sequence[Rating | None]
) -> LabelScale | None:
    if scale is None:
        return None
    errors = [np.atleast_1d(r - p) for r, p in zip(rated, predicted, strict=True)]
    return scale.moved(float(np.concatenate(errors).mean()))


def _check_same_inputs(path: Path, inputs: FeatureConfig) -> None:
    """Weights learnt on other columns would fit by shape alone."""
    _, state = checkpoint.load(path)
    there, here = (json.dumps(fields) for fields in (state.get("inputs"), asdict(inputs)))
    if there != here:
        raise ValueError(
            f"{path}: trained on inputs {there}, expected {here}; choose the same qos and quality"
        )
